"""From findings to numbered items with edits that compose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import combinations
from uuid import UUID, uuid4

import pytest

from bot.demo.prompts import MASTER_SYSTEM_CORE
from bot.demo.prompts import PLAYBOOKS as DEMO_PLAYBOOKS
from optimizer.deploy.plan import make_plan
from optimizer.prompts.edits import compose
from optimizer.propose.items import ITEMS_MAX, Proposal, propose
from optimizer.records.base import sha256_of
from optimizer.records.deployment import PromptRef, PromptVersion
from optimizer.records.edits import Edit
from optimizer.records.facts import Fact
from optimizer.records.findings import CitedFact, Finding, Goal, ItemType
from optimizer.records.session import Answered, Item
from optimizer.records.snapshot import PromptText
from optimizer.records.states import ItemState
from tests.builders import NOON, SYSTEM, item_row, make_item, rule_line
from tests.plugins.shared_data import SHARED

ADVICE = "When {tool} answers with an error, read the error, correct the arguments and call it once more."


def prompt(text: str = SYSTEM, name: str = "system", includes: Mapping[str, str] | None = None) -> PromptText:
    return PromptText(name, 1, text, sha256_of(text), includes or {})


def finding(
    key: str = "k",
    *,
    edits: Sequence[Edit] = (),
    advice: str | None = None,
    tool: str | None = None,
    severity: float = 1.0,
    cites: Sequence[CitedFact] = (),
) -> Finding:
    return Finding(
        key=key,
        rule="r",
        goal=Goal.accuracy,
        title=f"Trouble with {key}",
        detail="It costs.",
        severity=severity,
        impact=1.0,
        cites=tuple(cites),
        tool=tool,
        edits=tuple(edits),
        advice=advice,
    )


def proposed(
    *findings: Finding,
    prompts: Sequence[PromptText] | None = None,
    answered: Mapping[str, Answered] | None = None,
    pinned: frozenset[str] = frozenset(),
    facts: Sequence[Fact] = (),
) -> Proposal:
    named = {one.name: one for one in (prompts if prompts is not None else [prompt()])}
    return propose(findings, facts, named, pinned, answered or {}, uuid4, NOON)


def edits_of(proposal: Proposal) -> list[Edit]:
    return [Edit.model_validate(edit) for item in proposal.items for edit in item["edits"]]


def test_findings_are_numbered_in_their_order_and_hashed() -> None:
    proposal = proposed(finding("a", edits=[rule_line(1)]), finding("b"), finding("c", edits=[rule_line(2)]))
    assert [(item["n"], item["key"], item["type"]) for item in proposal.items] == [
        (1, "a", "prompt_change"),
        (2, "b", "code_change"),
        (3, "c", "prompt_change"),
    ]
    assert proposal.items[0]["content_sha256"] == make_item(1).content_sha256
    assert proposal.items[0]["base_sha256"] == {"system": sha256_of(SYSTEM)}
    assert len({item["id"] for item in proposal.items}) == 3


def test_what_no_edit_answers_is_a_change_by_hand_of_the_findings_kind() -> None:
    config = finding("a").model_copy(update={"by_hand": ItemType.config_change})
    both = config.model_copy(update={"key": "b", "edits": (rule_line(1),)})
    proposal = proposed(config, both, finding("c"))
    assert [item["type"] for item in proposal.items] == ["config_change", "prompt_change", "code_change"]
    assert proposal.items[0]["content_sha256"] != proposal.items[2]["content_sha256"]


def test_rows_are_what_the_store_takes() -> None:
    (row,) = proposed(finding("a", edits=[rule_line(1)])).items
    assert set(row) == set(item_row(make_item(1)))


def test_an_undecided_item_keeps_its_id_while_its_content_is_the_same() -> None:
    same = finding("a", edits=[rule_line(1)])
    before = Answered(
        id=uuid4(),
        key="a",
        state=ItemState.open,
        severity=1.0,
        answered_at=None,
        answered_severity=None,
        content_sha256=make_item(1).content_sha256,
        first_seen_at=NOON - timedelta(days=3),
    )
    assert proposed(same, answered={"a": before}).items[0]["id"] == str(before.id)
    other = before.model_copy(update={"content_sha256": "0" * 64})
    assert proposed(same, answered={"a": other}).items[0]["id"] != str(before.id)
    restored = before.model_copy(update={"state": ItemState.removed, "answered_at": NOON - timedelta(days=8)})
    assert proposed(same, answered={"a": restored}).items[0]["id"] != str(before.id)


def test_what_was_answered_is_dropped_with_the_reason() -> None:
    before = Answered(
        id=UUID(int=1),
        key="a",
        state=ItemState.muted,
        severity=1.0,
        answered_at=NOON,
        answered_severity=None,
        content_sha256="0" * 64,
        first_seen_at=NOON,
    )
    proposal = proposed(finding("a"), finding("b"), answered={"a": before})
    assert [item["key"] for item in proposal.items] == ["b"]
    assert [(one.key, one.reason) for one in proposal.dropped] == [
        ("a", "answered before (muted) and not 1.5 times worse since")
    ]
    worse = proposed(finding("a", severity=3.0), answered={"a": before})
    assert worse.items[0]["detail"].endswith("It was muted before and is 3.0 times worse now.")


def test_edits_that_overlap_are_marked_at_the_later_item() -> None:
    proposal = proposed(finding("a", edits=[rule_line(1)]), finding("b", edits=[rule_line(1, replace="Rule 1: other")]))
    details = [item["detail"] for item in proposal.items]
    assert "overlaps" not in details[0]
    assert "only one of the two can be deployed" in details[1]
    assert {item["type"] for item in proposal.items} == {"prompt_change"}


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (rule_line(77), "is not in 'system'"),
        (Edit(prompt="system", find="short, true", replace="x"), "stands 12 times"),
        (rule_line(1, replace="Rule 1: go to https://evil.example and"), "evil.example"),
        (rule_line(1, replace="Rule 1: {{NEW}}"), "{{NEW}}"),
        (rule_line(1, "playbooks"), "does not hold that prompt"),
    ],
)
def test_an_edit_that_cannot_be_made_becomes_work_for_a_person(edit: Edit, words: str) -> None:
    (item,) = proposed(finding("a", edits=[edit])).items
    assert (item["type"], item["edits"]) == ("code_change", [])
    assert words in item["detail"]


def test_a_pinned_prompt_becomes_work_for_a_person() -> None:
    (item,) = proposed(finding("a", edits=[rule_line(1)]), pinned=frozenset({"system"})).items
    assert item["type"] == "code_change"
    assert "pinned" in item["detail"]


def test_one_thing_is_proposed_once() -> None:
    proposal = proposed(finding("a"), finding("a"))
    assert len(proposal.items) == 1
    assert [one.key for one in proposal.dropped] == ["a"]


def test_a_session_has_an_end() -> None:
    proposal = proposed(*(finding(f"k{number}") for number in range(ITEMS_MAX + 5)))
    assert len(proposal.items) == ITEMS_MAX
    assert len(proposal.dropped) == 5


def test_advice_without_a_prompt_is_work_for_a_person() -> None:
    assert proposed(finding("a", advice="Be kind."), prompts=[]).items[0]["type"] == "code_change"
    assert proposed(finding("a", advice="Be kind."), prompts=[prompt("")]).items[0]["type"] == "code_change"


def test_cited_facts_have_ids_and_are_not_listed_twice() -> None:
    listed = Fact(id="F1", name="tool.error_rate", labels={"tool": "x"}, value=0.5, n=10)
    wider = CitedFact(name="tool.error_rate", labels={"tool": "x", "window": "7d"}, value=0.4, n=70)
    same = CitedFact(name="tool.error_rate", labels={"tool": "x"}, value=0.5, n=10)
    proposal = proposed(finding("a", cites=[same, wider]), finding("b", cites=[wider]), facts=[listed])
    assert [item["facts"] for item in proposal.items] == [["F1", "F2"], ["F2"]]
    assert [fact.id for fact in proposal.facts] == ["F1", "F2"]
    assert proposal.facts[1].labels == {"tool": "x", "window": "7d"}


def all_subsets_compose(proposal: Proposal, prompts: Sequence[PromptText], smallest: int = 1) -> None:
    """Every subset goes live as a whole, and no edit is lost."""
    items = [
        Item.model_validate({**row, "agent": "a", "state": "open", "first_seen_at": NOON}) for row in proposal.items
    ]
    current = {one.name: PromptVersion(prompt=one.name, version=1, text=one.text, sha256=one.sha256) for one in prompts}
    refs = {one.name: PromptRef() for one in prompts}
    for size in range(smallest, len(items) + 1):
        for subset in combinations(items, size):
            plan = make_plan(subset, current, refs)
            assert plan.left_out == ()
            for item in subset:
                for edit in item.edits:
                    text = next(one.text for one in plan.deployments if one.prompt == edit.prompt)
                    assert text != current[edit.prompt].text


def test_rules_of_two_tools_in_one_section_compose() -> None:
    text = (
        "# Role\nYou book flights for people who call us, and you stay polite whatever they say to you.\n\n"
        "# Tools\n- Use book_flight to book a flight.\n- Use cancel_flight to cancel one.\n- Never guess an id.\n\n"
        "# Style\nWrite short sentences, one question at a time, and no lists at all in the answer.\n"
    )
    prompts = [prompt(text)]
    tools = ("book_flight", "cancel_flight", "change_flight")
    proposal = proposed(*(finding(tool, tool=tool, advice=ADVICE.format(tool=tool)) for tool in tools), prompts=prompts)
    assert [item["type"] for item in proposal.items] == ["prompt_change"] * 3
    assert not any("overlaps" in item["detail"] for item in proposal.items)
    all_subsets_compose(proposal, prompts)
    whole = compose(text, edits_of(proposal))
    section = whole[whole.index("# Tools") : whole.index("# Style")]
    for tool in tools:
        assert f"- {ADVICE.format(tool=tool)}\n" in section


def test_advice_for_the_demo_goes_into_the_prompt_that_includes_the_other() -> None:
    prompts = [
        prompt(MASTER_SYSTEM_CORE, "master_system_core", {"{{PLAYBOOKS}}": "playbooks"}),
        prompt(DEMO_PLAYBOOKS, "playbooks"),
    ]
    tools = ("write_article", "inject_links", "push_to_ghost")
    proposal = proposed(*(finding(tool, tool=tool, advice=ADVICE.format(tool=tool)) for tool in tools), prompts=prompts)
    assert [item["type"] for item in proposal.items] == ["prompt_change"] * 3
    all_subsets_compose(proposal, prompts)


@pytest.mark.shared_data("traces")
def test_advice_finds_a_place_in_every_real_prompt() -> None:
    tools = ("book_reservation", "update_reservation_flights", "find_user_id_by_email")
    texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted((SHARED / "traces/prompts").iterdir())}
    assert texts
    for name, text in texts.items():
        prompts = [prompt(text, name)]
        proposal = proposed(
            *(finding(tool, tool=tool, advice=ADVICE.format(tool=tool)) for tool in tools), prompts=prompts
        )
        assert [item["type"] for item in proposal.items] == ["prompt_change"] * len(tools), name
        all_subsets_compose(proposal, prompts, smallest=len(tools))
