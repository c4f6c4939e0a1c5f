"""Facts as sentences."""

from __future__ import annotations

import pytest

from bot.cards.card import Card
from bot.cards.facts import fact_sentence, facts_blocks
from bot.cards.layout import as_text
from optimizer.records.facts import Fact


def fact(name: str, value: float, n: int | None = None, baseline: float | None = None, **labels: str) -> Fact:
    return Fact(id="F1", name=name, labels=labels, value=value, n=n, baseline=baseline)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (fact("sessions", 240), "240 sessions"),
        (fact("success_rate", 0.912, 230), "91% of 230 sessions succeeded"),
        (fact("cost_usd.mean", 0.0438, 240, 0.051), "$0.044 per session (240 sessions); before: $0.051"),
        (fact("tokens_in.mean", 41_200, 240), "41k tokens in per session (240 sessions)"),
        (fact("user_messages.mean", 1.48, 240), "1.5 user messages per session (240 sessions)"),
        (fact("escalations", 3, 240), "3 sessions handed over to a person"),
        (fact("tool.calls", 212, 201, tool="write"), "write called 212 times (201 sessions)"),
        (fact("tool.errors", 1, 1, tool="write"), "write failed once (1 session)"),
        (fact("tool.error_rate", 0.47, 53, 0.031, tool="book"), "47% of 53 book calls failed; before: 3.1%"),
        (fact("tool.error_rate", 1.0, 1, tool="book"), "100% of 1 book call failed"),
        (
            fact("tool.abandoned", 9, 201, tool="write"),
            "write not tried again after an error in 9 of 201 sessions",
        ),
        (
            fact("tool.never_called", 0, 240, 0.31, tool="inject_links"),
            "inject_links not called in 240 sessions; before: 31%",
        ),
        (
            fact("tool.error_signature", 25, 9, tool="write", signature="timeout after # s"),
            'write answered "timeout after # s" 25 times (9 sessions)',
        ),
        (
            fact("tool.latency_ms.p95", 21_400, 200, tool="write"),
            "write took 21.4 s at the 95th percentile (200 calls)",
        ),
        (fact("tool.latency_ms.p50", 350, 200, tool="find"), "find took 350 ms at the median (200 calls)"),
        (fact("loop.sessions", 7, 50, tool="get"), "same get call 3 times or more in 7 of 50 sessions"),
        (fact("loop.longest", 12, 7), "longest repeat of one call: 12 times"),
        (fact("redundant_calls", 31, 12, tool="get"), "31 identical get calls too many (12 sessions)"),
        (fact("prompt.tokens", 4_100, prompt="core"), "~4.1k tokens in core"),
        (fact("prompt.duplicated_tokens", 650, prompt="core"), "~650 tokens stand twice in core"),
        (
            fact("repeated_text.tokens", 120_000, 60, argument="research"),
            '~120k tokens of text passed again as "research" (60 sessions)',
        ),
        (fact("tool.errors", 25, 9, tool="write", window="7d"), "write failed 25 times (9 sessions) (7d)"),
        (
            fact("success_rate", 0.9, 30, model="gpt-4o", task_category="news"),
            "90% of 30 sessions succeeded (model gpt-4o, task category news)",
        ),
        (fact("tokens_cached.mean", 6_000, 240), "6k cached tokens in per session (240 sessions)"),
        (fact("cost_usd.total", 38.44, 620), "$38.44 in all (620 sessions)"),
        (fact("cost_usd.usual", 11.66, 30), "$11.66 in a usual window (30 windows)"),
        (fact("cost_usd.largest", 0.558, 620), "$0.56 for the dearest session"),
        (fact("sessions.usual", 196, 30), "196 sessions in a usual window (30 windows)"),
        (
            fact("escalation_rate", 0.12, 300, 0.03),
            "12% of 300 sessions were handed over to a person; before: 3%",
        ),
        (fact("many_messages_rate", 0.06, 300), "6% of 300 sessions have 10 user messages or more"),
        (fact("repeated_request_rate", 0.2, 240), "20% of 240 sessions have the same request twice"),
        (fact("repeated_requests", 60, 48), "60 requests sent again (48 sessions)"),
        (
            fact("input_heavy_rate", 0.625, 240),
            "62% of 240 sessions read 10k tokens or more, over 50 times what they write",
        ),
        (fact("input_heavy.tokens", 8_100_000, 150), "8.1M tokens read in these (150 sessions)"),
        (
            fact("tool.error_session_rate", 0.1, 320, 0.025),
            "10% of 320 sessions that call tools saw an error; before: 2.5%",
        ),
        (
            fact("tool.error_session_rate", 0.5, 20, tool="book"),
            "50% of 20 sessions that call book saw an error",
        ),
        (
            fact("tool.session_share", 0, 240, 0.31, tool="inject_links"),
            "inject_links called in 0% of 240 sessions; before: 31%",
        ),
        (
            fact("error_loop.errors", 30, 9, tool="search"),
            "search failed 30 times in such repeats (9 sessions)",
        ),
        (fact("error_loop.longest", 4, 9, tool="search"), "longest repeat of one failing search call: 4 times"),
        (
            fact("cost_usd.mean", 0.066, 240, 0.043, answered="2026-02-23"),
            "$0.066 per session (240 sessions); before: $0.043 (answered 2026-02-23)",
        ),
        (
            fact("success_rate", 0.91, 1500, model="small-1", task_category="faq", window="30d"),
            "91% of 1,500 sessions succeeded (model small-1, task category faq, 30d)",
        ),
        # 39 in the 30 days before is less than 9 in a day: a count has nothing beside it.
        (fact("tool.errors", 9, 9, 39, tool="write"), "write failed 9 times (9 sessions)"),
        (fact("loop.sessions", 7, 50, 120, tool="get"), "same get call 3 times or more in 7 of 50 sessions"),
        (fact("loop.longest", 12, 7, 30), "longest repeat of one call: 12 times"),
        (fact("made_up.thing", 3.25, 12, tool="x"), "made up.thing: 3.2 (12 sessions) (tool x)"),
    ],
)  # fmt: skip
def test_every_fact_is_a_sentence_with_its_numbers(given: Fact, told: str):
    assert fact_sentence(given) == told


def test_the_sessions_to_look_at_are_named_once_and_are_few():
    facts = [
        Fact(id=f"F{n}", name="sessions", labels={}, value=1, n=None, samples=("s1", f"s{n}")) for n in range(2, 9)
    ]
    text = as_text(Card("", tuple(facts_blocks(facts))))
    assert text.endswith("Sessions to look at: s1, s2, s3, s4, s5")


def test_no_facts_have_no_heading():
    assert list(facts_blocks([])) == []
