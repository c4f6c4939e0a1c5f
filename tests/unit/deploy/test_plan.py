"""Composing and validating: item by item and as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.deploy.plan import make_plan, untold
from optimizer.records.base import sha256_of
from optimizer.records.deployment import Plan, PromptRef, PromptVersion
from optimizer.records.edits import Edit
from optimizer.records.findings import ItemType
from optimizer.records.session import Item
from optimizer.records.traced import Traced
from tests.builders import SYSTEM, held, make_item, rule_line

CURRENT = {"system": held("system"), "playbooks": held("playbooks")}
REFS = {name: PromptRef() for name in CURRENT}
PROMPTS = st.sampled_from(["system", "playbooks"])


def plan(*items: Item, current: Mapping[str, PromptVersion] = CURRENT, refs: Mapping[str, PromptRef] = REFS) -> Plan:
    return make_plan(items, current, refs)


def reasons(plan: Plan) -> dict[int, str]:
    return {left.n: left.reason for left in plan.left_out}


def texts(plan: Plan) -> dict[str, str]:
    return {one.prompt: one.text for one in plan.deployments}


@st.composite
def apart(draw: st.DrawFn) -> list[Item]:
    """Items whose edits do not overlap, each of one or two prompts."""
    places = draw(st.lists(st.tuples(PROMPTS, st.integers(0, 11)), min_size=2, max_size=8, unique=True))
    words = st.sampled_from(["", " (always)", "\nand more\n", " 日本語"])
    edits = [
        rule_line(number, prompt, f"{'Rule' if prompt == 'system' else 'Play'} {number}:{draw(words)} x")
        for prompt, number in places
    ]
    items: list[Item] = []
    while edits:
        size = draw(st.integers(1, min(2, len(edits))))
        items.append(make_item(len(items) + 1, edits[:size]))
        edits = edits[size:]
    return items


@given(data=st.data())
def test_any_subset_in_any_order_gives_one_text(data: st.DataObject) -> None:
    items = data.draw(apart())
    subset = data.draw(st.lists(st.sampled_from(items), unique_by=lambda item: item.id, min_size=1))
    first = plan(*subset)
    assert first == plan(*data.draw(st.permutations(subset)))
    assert not first.left_out
    assert first.items == {item.id for item in subset}
    for one in first.deployments:
        expected = CURRENT[one.prompt].text
        for edit in (edit for item in subset for edit in item.edits if edit.prompt == one.prompt):
            expected = expected.replace(edit.find, edit.replace)
        assert one.text == expected
        assert one.sha256 == sha256_of(expected)
        assert one.base_sha256 == CURRENT[one.prompt].sha256


@given(data=st.data())
def test_every_item_is_in_the_plan_or_left_out_with_a_reason(data: st.DataObject) -> None:
    items: list[Item] = []
    for n in range(1, data.draw(st.integers(1, 6)) + 1):
        edits = [
            rule_line(data.draw(st.integers(0, 3)), data.draw(PROMPTS)) for _ in range(data.draw(st.integers(0, 2)))
        ]
        others = data.draw(st.lists(st.sampled_from([*items, make_item(99)]), max_size=2))
        items.append(make_item(n, edits, requires=[other.id for other in others]))
    made = plan(*items)
    left = {one.item for one in made.left_out}
    assert made.items | left == {item.id for item in items}
    assert not made.items & left
    assert all(one.reason for one in made.left_out)
    for item in items:
        if item.id in made.items:
            assert set(item.requires) <= made.items
            assert {one.prompt for one in made.deployments if item.id in one.items} == set(item.prompts)


def test_a_prompt_that_changed_leaves_its_items_out_as_stale() -> None:
    changed = {**CURRENT, "system": held("system", SYSTEM + "By hand.\n", version=2)}
    made = plan(make_item(1), make_item(2, [rule_line(2, "playbooks")]), current=changed)
    assert [(left.n, left.stale) for left in made.left_out] == [(1, True)]
    assert list(texts(made)) == ["playbooks"]


def test_the_same_text_under_another_number_is_not_stale() -> None:
    made = plan(make_item(1), current={**CURRENT, "system": held("system", version=7)})
    assert not made.left_out
    assert made.deployments[0].base_version == 7


def test_what_fails_a_check_is_left_out_and_the_others_go() -> None:
    too_short = make_item(1, [Edit(prompt="system", find=SYSTEM, replace="Write.")])
    secret = make_item(2, [rule_line(2, replace="Rule 2: use https://evil.example/x and")])
    fine = make_item(3)
    made = plan(too_short, secret, fine)
    assert made.items == {fine.id}
    assert "needs 200" in reasons(made)[1]
    assert "evil.example" in reasons(made)[2]


def test_changes_that_fail_together_keep_the_earlier_one() -> None:
    lines = SYSTEM.splitlines(keepends=True)
    half = len(lines) // 2
    first = make_item(1, [Edit(prompt="system", find="".join(lines[:half]), replace="")])
    second = make_item(2, [Edit(prompt="system", find="".join(lines[half:]), replace="")])
    other = make_item(3, [rule_line(1, "playbooks")])
    made = plan(first, second, other)
    assert made.items == {first.id, other.id}
    assert "beside the items before it" in reasons(made)[2]
    assert plan(second).items == {second.id}


def test_a_required_placeholder_stays() -> None:
    text = SYSTEM + "{{PLAYBOOKS}}\n"
    drops = make_item(1, [Edit(prompt="system", find="{{PLAYBOOKS}}\n", replace="")], texts={"system": text})
    refs = {"system": PromptRef(required=("PLAYBOOKS",))}
    made = plan(drops, current={"system": held("system", text)}, refs=refs)
    assert "PLAYBOOKS" in reasons(made)[1]


def test_of_two_that_overlap_the_earlier_number_wins() -> None:
    first, second = make_item(1, [rule_line(5)]), make_item(2, [rule_line(5, replace="Rule 5: other")])
    made = plan(second, first)
    assert made.items == {first.id}
    assert "overlaps with that of item 1" in reasons(made)[2]
    assert plan(second).items == {second.id}


def test_items_that_need_each_other_go_together_or_not_at_all() -> None:
    first_id, second_id = uuid4(), uuid4()
    first = make_item(1, id_=first_id, requires=[second_id])
    second = make_item(2, id_=second_id, requires=[first_id])
    assert plan(first, second).items == {first_id, second_id}
    assert reasons(plan(first)) == {1: "it needs another item that was not chosen"}
    made = plan(first, second.model_copy(update={"edits": (rule_line(77),)}))
    assert not made.deployments
    assert reasons(made)[1] == "it needs item 2, which is left out"


def test_what_is_left_out_takes_along_what_needs_it() -> None:
    bad = make_item(1, [rule_line(99)])
    second = make_item(2, requires=[bad.id])
    third = make_item(3, requires=[second.id])
    free = make_item(4)
    made = plan(bad, second, third, free)
    assert made.items == {free.id}
    assert reasons(made)[3] == "it needs item 2, which is left out"


def test_an_item_that_cannot_go_does_not_push_others_out() -> None:
    orphan = make_item(1, [rule_line(5)], requires=[uuid4()])
    overlapping = make_item(2, [rule_line(5)])
    assert plan(orphan, overlapping).items == {overlapping.id}


def test_what_is_live_already_meets_a_need() -> None:
    live = uuid4()
    item = make_item(1, requires=[live])
    assert make_plan([item], CURRENT, REFS, already_live=frozenset({live})).items == {item.id}


def test_a_pinned_prompt_is_changed_by_a_person() -> None:
    made = plan(make_item(1), refs={**REFS, "system": PromptRef(follow="pinned")})
    assert "pinned" in reasons(made)[1]
    assert not made.deployments


def test_an_unknown_prompt_and_an_empty_change_are_named() -> None:
    nowhere = make_item(1, [Edit(prompt="other", find="a", replace="b")], texts={"other": "a"})
    empty = make_item(2, [], type_=ItemType.code_change)
    nothing = make_item(3, [rule_line(3, replace="Rule 3:")])
    assert reasons(plan(nowhere, empty, nothing)) == {
        1: "the prompt 'other' is not in the registry",
        2: "it has no change to a prompt",
        3: "its change leaves 'system' as it is",
    }


def test_the_prompt_that_gains_text_goes_first() -> None:
    moves = make_item(1, [rule_line(1, replace=""), rule_line(1, "playbooks", replace="Play 1: and more:")])
    assert [one.prompt for one in plan(moves).deployments] == ["playbooks", "system"]
    back = make_item(1, [rule_line(1, replace="Rule 1: and more:"), rule_line(1, "playbooks", replace="")])
    assert [one.prompt for one in plan(back).deployments] == ["system", "playbooks"]


def test_a_deployment_says_which_items_are_in_it() -> None:
    both: Sequence[Edit] = [rule_line(1), rule_line(1, "playbooks")]
    first, second = make_item(1, both), make_item(2)
    items = {one.prompt: set(one.items) for one in plan(first, second).deployments}
    assert items == {"system": {first.id, second.id}, "playbooks": {first.id}}


def traced(prompt: str = "system", *, sessions: int = 412, named: int = 412, known: int = 412) -> Traced:
    return Traced(prompt=prompt, days=7, sessions=sessions, named=named, known=known)


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (traced(), None),
        (traced(known=371), None),  # nine in ten
        (traced(sessions=0, named=0, known=0), None),  # nothing ran, so nothing is known
        (
            traced(known=157),
            "only part of blog-writer's traces name a known version of system (157 of 412 sessions in 7 days): "
            "a comparison leaves the others out",
        ),
        (
            traced(named=0, known=0),
            "blog-writer's traces do not say which version of system they run under (0 of 412 sessions in 7 days): "
            "the effect cannot be told apart, only compared by time",
        ),
        (
            traced(named=3, known=0),
            "blog-writer's traces name no version of system that the registry knows (0 of 412 sessions in 7 days): "
            "the effect cannot be told apart, only compared by time",
        ),
    ],
)
def test_what_could_not_be_told_apart_afterwards_is_said_in_the_plan(one: Traced, said: str | None) -> None:
    made = make_plan([make_item(1)], CURRENT, REFS, traced={"system": one, "playbooks": traced("playbooks", known=0)})
    assert made.untold == ((said,) if said else ())  # of the other prompt nothing is deployed


def test_nothing_is_said_of_what_is_not_deployed() -> None:
    assert make_plan([], CURRENT, REFS, traced={"system": traced(known=0)}).untold == ()
    refused = make_item(1, [rule_line(1, replace="Rule 1:")])
    assert make_plan([refused], CURRENT, REFS, traced={"system": traced(known=0)}).untold == ()


def test_long_names_leave_room_for_the_figure() -> None:
    (said,) = untold("a" * 100, [traced("p" * 500, known=1)])
    assert len(said) < 240
    assert "(1 of 412 sessions in 7 days)" in said
