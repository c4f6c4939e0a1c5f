"""The session's message, word for word."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.cards.card import ItemLine
from bot.cards.layout import as_text, page
from bot.cards.session import nothing_pending_card, quiet_card, session_card
from bot.cards.words import Reader
from optimizer.records.findings import Goal, ItemType
from optimizer.records.report import RunReport
from optimizer.records.states import DeploymentState, ItemState, SessionState
from optimizer.records.verdict import Comparison, Outcome
from optimizer.records.window import Window
from tests.unit.cards.samples import (
    NOW,
    READER,
    deployment,
    header,
    item,
    session,
    uuid,
    verdict,
    watching,
    with_states,
)

MESSAGE = """\
blog-writer (prod) self-analysis, 2026-02-26
Last 24h: 240 sessions, avg cost $0.044

Accuracy (1 issue):
[1] write_article times out and is not tried again (9 sessions)
Capabilities (1 issue):
[2] inject_links not called for 24h, before that in 31% of sessions
Cost (3 savings):
[3] Playbooks text stands twice in master_system_core (~650 tokens/turn)
[4] Ghost block stands twice (~210 tokens/turn)
[5] Same research text passed 5x in one session (~120k tokens/day)

Deployable (prompt changes): 3, 4. For you to do: 1, 2, 5.

Reply: "deploy all" | "remove 3, deploy" | "show 3" | "skip\""""

THE_DAY_AFTER = """\
blog-writer (prod) self-analysis, 2026-02-26
Last 24h: 240 sessions, avg cost $0.044
Alarm: 3 sessions, far fewer than usual.
master_system_core v2 (deployed), better: cost per session
-14.2% (-17 to -11); not sure yet: success 88% -> 89%, sessions
with errors 3.1% -> 3%; 240 sessions after, 7,200 before.
playbooks v5 (deployed): not enough data yet (12 sessions under
v5).
Watching: tool_1 failed 2 of 12; tool_2 failed 2 of 12

Accuracy (1 issue):
[1] write_article times out and is not tried again (9 sessions)
    (waiting 3 days)
Cost (2 savings):
[3] Playbooks text stands twice in master_system_core (~650
    tokens/turn) (live as v2)
[4] Ghost block stands twice (~210 tokens/turn) (removed)

For you to do: 1.

Reply: "show 1" | "done 1" | "skip\""""


def report(**changes: object) -> RunReport:
    values = {
        "agent": "blog-writer",
        "window": Window(since=NOW - timedelta(hours=24), until=NOW),
        "status": "quiet",
        "header": header(),
        "facts": (),
        "items": (),
        "watching": (),
        "dropped": (),
    }
    return RunReport.model_validate(values | changes)


def test_the_message_is_the_one_of_the_design():
    assert as_text(session_card(session(), READER)) == MESSAGE


def test_the_message_opens_with_what_was_deployed_and_marks_what_was_answered():
    second = verdict(Outcome.not_enough_data, prompt="playbooks", base_version=4, new_version=5, sessions_after=12)
    told = session(
        header=header(verdicts=(verdict(), second), alarms=("3 sessions, far fewer than usual",)),
        watching=watching(2),
        items=(
            item(1, first_seen_at=NOW - timedelta(days=3, hours=2)),
            item(3, state=ItemState.deployed),
            item(4, state=ItemState.removed),
        ),
    )
    assert as_text(session_card(told, READER, [deployment()])) == THE_DAY_AFTER


def test_a_missing_cost_is_left_out_and_not_zero():
    card = session_card(session(header=header(cost_usd_mean=None, sessions=1)), READER)
    assert as_text(card).splitlines()[1] == "Last 24h: 1 session"


def test_the_date_is_that_of_the_readers_day():
    from zoneinfo import ZoneInfo

    card = session_card(session(until=NOW - timedelta(hours=1)), Reader(NOW, timezone=ZoneInfo("America/New_York")))
    assert card.header == "blog-writer (prod) self-analysis, 2026-02-26"
    early = session_card(session(until=NOW - timedelta(hours=2)), Reader(NOW, timezone=ZoneInfo("America/New_York")))
    assert early.header == "blog-writer (prod) self-analysis, 2026-02-25"


@pytest.mark.parametrize(
    ("state", "deployed", "mark"),
    [
        (ItemState.removed, None, "removed"),
        (ItemState.approved, None, "going live"),
        (ItemState.approved, DeploymentState.publishing, "going live"),
        (ItemState.deployed, DeploymentState.seen, "live as v2"),
        (ItemState.failed, DeploymentState.rolled_back, "taken back"),
        (ItemState.failed, DeploymentState.failed, "not live"),
        (ItemState.stale, None, "the prompt changed"),
        (ItemState.muted, None, "muted"),
        (ItemState.done, None, "done"),
    ],
)
def test_every_answered_item_says_what_became_of_it(state: ItemState, deployed: DeploymentState | None, mark: str):
    card = session_card(with_states({3: state}), READER, [deployment(deployed)] if deployed else [])
    line = next(block for block in card.blocks if isinstance(block, ItemLine) and block.n == 3)
    assert (line.mark, line.closed) == (mark, True)


def test_an_item_of_two_prompts_names_both_versions():
    two = [deployment(), deployment(prompt="playbooks", new_version=7)]
    card = session_card(with_states({3: ItemState.deployed}), READER, two)
    assert "(live as v2 and v7)" in as_text(card)


@pytest.mark.parametrize(
    ("answered", "choices"),
    [
        ({}, ("deploy all", "remove 3, deploy", "show 3", "skip")),
        ({3: ItemState.removed}, ("deploy 4", "show 4", "skip")),
        ({3: ItemState.removed, 4: ItemState.muted}, ("show 1", "done 1", "skip")),
        (dict.fromkeys(range(1, 6), ItemState.removed), ("status", "history")),
    ],
)
def test_the_replies_are_those_of_what_is_left(answered: dict[int, ItemState], choices: tuple[str, ...]):
    assert session_card(with_states(answered), READER).choices == choices


@pytest.mark.parametrize(
    ("changes", "ending"),
    [
        (
            {"state": SessionState.expired},
            'This list expired without a decision.\n\nReply: "run optimization" | "status"',
        ),
        (
            {"state": SessionState.superseded},
            'A newer list took the place of this one.\n\nReply: "show all" | "status"',
        ),
    ],
)
def test_a_list_that_is_over_offers_nothing_to_deploy(changes: dict[str, object], ending: str):
    text = as_text(session_card(session(**changes), READER))
    assert text.endswith(ending)
    assert "Deployable" not in text
    assert "[3] Playbooks text stands twice" in text


def test_what_another_item_requires_is_not_offered_for_removal():
    tied = session(items=(item(3), item(4, requires=(uuid(3),))))
    assert "remove 4, deploy" in session_card(tied, READER).choices


def test_one_watching_line_says_that_there_are_more():
    text = as_text(session_card(session(watching=watching(7)), READER))
    assert "tool_4 failed 2 of 12; and more" in " ".join(text.split())
    assert "tool_5" not in text


def test_a_verdict_that_is_worse_and_one_without_costs():
    worse = verdict(Outcome.worse)
    assert "(deployed), worse: cost per session" in as_text(
        session_card(session(header=header(verdicts=(worse,))), READER)
    )
    sides = {"n_before": 60, "n_after": 60}
    success = Comparison(metric="success", outcome=Outcome.no_difference, before=0.88, after=0.89, **sides)
    plain = verdict(Outcome.no_difference, comparisons=(success,), sessions_before=60, sessions_after=60)
    text = " ".join(as_text(session_card(session(header=header(verdicts=(plain,))), READER)).split())
    assert "v2 (deployed), no clear difference: success 88% -> 89%; 60 sessions after, 60 before." in text


def test_data_may_be_missing_on_the_old_side():
    thin = verdict(Outcome.not_enough_data, sessions_before=7, sessions_after=240)
    text = as_text(session_card(session(header=header(verdicts=(thin,))), READER))
    assert "not enough data yet (7 sessions under v1)" in " ".join(text.split())


def test_a_long_list_is_read_page_by_page_and_decided_on_the_last():
    many = session(items=tuple(item(n) for n in range(1, 41)))
    card = session_card(many, READER)
    pages = [page(card, 1)]
    while pages[-1].choices == ("more",):
        pages.append(page(card, len(pages) + 1))
    texts = [as_text(one) for one in pages]
    assert len(pages) == 3
    assert all(len(text.splitlines()) <= 30 for text in texts)
    assert all(text.startswith("blog-writer (prod) self-analysis") for text in texts)
    assert texts[0].splitlines()[-1] == 'Reply: "more"'
    assert "Page 1 of 3." in texts[0]
    assert texts[-1].splitlines()[-1] == 'Reply: "deploy all" | "remove 3, deploy" | "show 3" | "skip"'
    shown = [block.n for one in pages for block in one.blocks if isinstance(block, ItemLine)]
    assert sorted(shown) == list(range(1, 41))
    assert page(card, 99) == pages[-1]
    assert page(card, 0) == pages[0]


def test_a_short_list_is_one_page():
    card = session_card(session(), READER)
    assert page(card) is card


def test_a_quiet_run_says_so():
    text = as_text(quiet_card(report(watching=watching(1)), "prod", READER))
    assert text == (
        "blog-writer (prod) self-analysis, 2026-02-26\n"
        "Last 24h: 240 sessions, avg cost $0.044\n"
        "Watching: tool_1 failed 2 of 12\n"
        "\n"
        "All quiet: nothing new to change.\n"
        "\n"
        'Reply: "status" | "history"'
    )


@pytest.mark.parametrize(
    "changes", [{"sessions": 0, "cost_usd_mean": None}, {"alarms": ("The key of the registry has expired.",)}]
)
def test_a_blind_run_is_never_all_quiet(changes: dict[str, object]):
    text = as_text(quiet_card(report(header=header(**changes)), "prod", READER))
    assert "quiet" not in text
    assert "No new items, and that may be for lack of traces." in text


def test_nothing_pending_names_what_works():
    card = nothing_pending_card("blog-writer", "prod")
    assert as_text(card).startswith("blog-writer (prod)\nNothing waits for a decision.")
    assert card.choices[0] == "run optimization"


def test_a_change_of_the_configuration_is_for_a_person_to_do() -> None:
    cheaper = item(1, goal=Goal.cost, type=ItemType.config_change, title="small-1 does faq as well as large-1")
    text = as_text(session_card(session(items=(cheaper, item(4))), READER))
    assert "[1] small-1 does faq as well as large-1" in text
    assert "Deployable (prompt changes): 4. For you to do: 1." in text
    assert 'Reply: "deploy 4"' in text
