"""How sure it is which version a session ran under is said beside every figure that rests on it."""

from __future__ import annotations

import pytest

from bot.cards.answers import decided_card
from bot.cards.layout import as_text
from bot.cards.session import session_card
from bot.cards.verdict import verdict_line
from optimizer.records.states import ItemState
from optimizer.records.verdict import Outcome, ToldBy
from tests.unit.cards.samples import READER, decided, plan, session, verdict

UNTOLD = (
    "blog-writer's traces do not say which version of core they run under (0 of 412 sessions in 7 days): the effect"
)


def text(card: object) -> str:
    return " ".join(as_text(card).split())  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("told_by", [ToldBy.number, ToldBy.hash, ToldBy.composed])
def test_versions_that_were_named_need_no_words(told_by: ToldBy) -> None:
    assert verdict_line(verdict(told_by=told_by, sessions_in_all=7440)) == verdict_line(verdict())


def test_sessions_that_are_left_out_are_counted() -> None:
    line = verdict_line(verdict(sessions_in_all=412, sessions_unknown=38))
    assert line.text.endswith(
        "; 240 sessions after, 7,200 before; 38 of 412 sessions did not name a known version and are left out."
    )
    thin = verdict(Outcome.not_enough_data, sessions_after=12, sessions_in_all=1412, sessions_unknown=1038)
    assert verdict_line(thin).text == (
        "master_system_core v2 (deployed): not enough data yet (12 sessions under v2; "
        "1,038 of 1,412 sessions did not name a known version and are left out)."
    )


@pytest.mark.parametrize(
    ("told_by", "words"),
    [
        (ToldBy.label, "versions told by where the label pointed"),
        (ToldBy.first_seen, "versions told by first appearance"),
    ],
)
def test_what_was_inferred_is_said(told_by: ToldBy, words: str) -> None:
    line = verdict_line(verdict(told_by=told_by))
    assert line.text.endswith(f"before; {words}.")
    assert line.tone == "good"


def test_by_time_nothing_is_praised_or_blamed() -> None:
    for outcome, word in ((Outcome.better, "better"), (Outcome.worse, "worse")):
        line = verdict_line(verdict(outcome, told_by=ToldBy.time, sessions_in_all=7440, sessions_unknown=7440))
        assert line.tone == "plain"
        assert line.text.startswith(f"master_system_core v2 (deployed), {word} since then: cost per session")
        assert line.text.endswith("before; compared by time only: traces name no known version.")
        assert "left out" not in line.text
    thin = verdict(Outcome.not_enough_data, told_by=ToldBy.time, sessions_after=12)
    assert verdict_line(thin).text == (
        "master_system_core v2 (deployed): not enough data yet (12 sessions after; "
        "compared by time only: traces name no known version)."
    )


def test_the_message_says_it_before_anything_is_deployed() -> None:
    asked = session()
    told = asked.model_copy(update={"header": asked.header.model_copy(update={"untold": (UNTOLD,)})})
    assert f"Before you deploy: {UNTOLD}." in text(session_card(told, READER))
    assert "Before you deploy" not in text(session_card(asked, READER))
    by_hand = told.model_copy(update={"items": tuple(item for item in told.items if not item.deployable)})
    assert "Before you deploy" not in text(session_card(by_hand, READER))


def test_the_answer_to_a_yes_says_it_too() -> None:
    moves = [(3, ItemState.open, ItemState.approved)]
    assert f"{UNTOLD}." in text(decided_card(decided(moves, plan=plan(3, untold=(UNTOLD,))), READER))
    assert "traces" not in text(decided_card(decided(moves, plan=plan(3)), READER))


def test_an_agent_with_a_strange_name_breaks_no_line() -> None:
    asked = session()
    strange = "a\nb\u202e's traces do not say"
    told = asked.model_copy(update={"header": asked.header.model_copy(update={"untold": (strange,)})})
    assert "Before you deploy: a b's traces do not say." in text(session_card(told, READER))
