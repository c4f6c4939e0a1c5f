"""Measures of a window become facts with ids, baselines and samples."""

from __future__ import annotations

import pytest

from optimizer.observe.facts import duplicated_text, facts_of
from optimizer.observe.ratio import characters_per_token
from optimizer.records.base import sha256_of
from optimizer.records.facts import Fact, Measure, Measures, labels_of
from optimizer.records.snapshot import PromptText

SESSIONS = Measure(n=4, total=4)


def measures(**plain: Measure) -> Measures:
    return Measures({(name.replace("__", "."), ()): measure for name, measure in plain.items()})


def facts(main: Measures, before: Measures | None = None, **more: object) -> dict[tuple[str, str], Fact]:
    found = facts_of(main, before or Measures({}), characters_per_token=4.0, **more)  # pyright: ignore[reportArgumentType]
    return {(fact.name, ",".join(fact.labels.values())): fact for fact in found}


def test_there_is_no_fact_about_what_no_session_carries() -> None:
    names = {name for name, _ in facts(measures(sessions=SESSIONS))}
    assert names == {
        "sessions",
        "tool.calls",
        "tool.errors",
        "escalations",
        "loop.sessions",
        "redundant_calls",
    }


def test_a_mean_is_over_the_sessions_that_carry_the_value() -> None:
    found = facts(measures(sessions=SESSIONS, cost_usd=Measure(n=2, total=0.5), success=Measure(n=3, total=1)))
    assert (found["cost_usd.mean", ""].value, found["cost_usd.mean", ""].n) == (0.25, 2)
    assert (found["success_rate", ""].value, found["success_rate", ""].n) == (pytest.approx(1 / 3), 3)


def test_the_baseline_is_the_same_number_before_and_null_without_sessions_before() -> None:
    main = measures(sessions=SESSIONS, steps=Measure(n=4, total=8))
    before = measures(sessions=Measure(n=10, total=10), steps=Measure(n=10, total=30))
    assert facts(main, before)["steps.mean", ""].baseline == 3
    assert facts(main, before)["sessions", ""].baseline == 10
    assert all(fact.baseline is None for fact in facts(main).values())


def test_error_rates_are_over_calls_and_latencies_come_from_the_histogram() -> None:
    rows = {
        ("sessions", ()): SESSIONS,
        ("tool.calls", labels_of(tool="search")): Measure(n=2, total=8),
        ("tool.errors", labels_of(tool="search")): Measure(n=1, total=2, samples=("s1",)),
        ("tool.latency_ms", labels_of(tool="search")): Measure(n=3, total=300, buckets={100: 2, 150: 1}),
        ("tool.error_signature", labels_of(tool="search", signature="x")): Measure(n=1, total=2),
    }
    found = facts(Measures(rows), tools=("search", "publish"))
    rate = found["tool.error_rate", "search"]
    assert (rate.value, rate.n, rate.samples) == (0.25, 8, ("s1",))
    assert found["tool.latency_ms.p50", "search"].value == pytest.approx(1.04**100.5)
    assert found["tool.latency_ms.p95", "search"].value == pytest.approx(1.04**150.5)
    assert (found["tool.never_called", "publish"].value, found["tool.never_called", "publish"].n) == (0, 4)
    assert ("tool.never_called", "search") not in found
    assert found["tool.error_signature", "x,search"].value == 2


def test_what_users_go_through_is_told_as_a_share_of_all_sessions() -> None:
    main = measures(
        sessions=Measure(n=200, total=200),
        escalations=Measure(n=10, total=10, samples=("s1",)),
        many_messages=Measure(n=5, total=5),
        repeated_request=Measure(n=8, total=11),
        tokens_in=Measure(n=100, total=2_000_000),
        input_heavy=Measure(n=25, total=500_000),
    )
    before = measures(sessions=Measure(n=1000, total=1000), escalations=Measure(n=20, total=20))
    found = facts(main, before)
    assert (found["escalation_rate", ""].value, found["escalation_rate", ""].baseline) == (0.05, 0.02)
    assert (found["escalation_rate", ""].n, found["escalation_rate", ""].samples) == (200, ("s1",))
    assert (found["many_messages_rate", ""].value, found["many_messages_rate", ""].baseline) == (0.025, None)
    assert (found["repeated_request_rate", ""].value, found["repeated_requests", ""].value) == (0.04, 11)
    # Of the sessions whose tokens are known.
    assert (found["input_heavy_rate", ""].value, found["input_heavy_rate", ""].n) == (0.25, 100)
    assert (found["input_heavy.tokens", ""].value, found["input_heavy.tokens", ""].n) == (500_000, 25)


def test_a_failing_repeat_and_the_sessions_that_see_an_error() -> None:
    rows = {
        ("sessions", ()): SESSIONS,
        ("tool.calls", labels_of(tool="search")): Measure(n=4, total=9),
        ("tool.errors", labels_of(tool="search")): Measure(n=1, total=3, samples=("s1",)),
        ("error_loop", labels_of(tool="search")): Measure(n=1, total=3, largest=4, samples=("s1",)),
    }
    found = facts(Measures(rows))
    rate = found["tool.error_session_rate", "search"]
    assert (rate.value, rate.n, rate.samples) == (0.25, 4, ("s1",))
    assert (found["error_loop.sessions", "search"].value, found["error_loop.sessions", "search"].n) == (1, 4)
    assert (found["error_loop.errors", "search"].value, found["error_loop.errors", "search"].n) == (3, 1)
    assert found["error_loop.longest", "search"].value == 4


def test_a_model_in_a_category_has_its_outcome_and_its_cost() -> None:
    both = {"model": "a", "task_category": "faq"}
    rows = {
        ("sessions", ()): SESSIONS,
        ("sessions", labels_of(**both)): Measure(n=3, total=3),
        ("success", labels_of(**both)): Measure(n=2, total=1),
        ("cost_usd", labels_of(**both)): Measure(n=3, total=6),
        ("tool.calls", labels_of(**both)): Measure(n=3, total=9),
    }
    found = [fact for fact in facts_of(Measures(rows), Measures({}), characters_per_token=4.0) if fact.labels == both]
    assert [(fact.name, fact.value, fact.n) for fact in found] == [
        ("sessions", 3, 3),
        ("success_rate", 0.5, 2),
        ("cost_usd.mean", 2, 3),
    ]


def test_a_split_has_the_latency_of_all_its_tools() -> None:
    rows = {
        ("sessions", ()): SESSIONS,
        ("sessions", labels_of(model="a")): SESSIONS,
        ("tool.latency_ms", labels_of(model="a")): Measure(n=3, total=300, buckets={100: 2, 150: 1}),
    }
    found = facts(Measures(rows))
    assert found["tool.latency_ms.p50", "a"].value == pytest.approx(1.04**100.5)
    assert found["tool.latency_ms.p95", "a"].n == 3


def test_splits_repeat_the_plain_facts_and_ids_follow_one_order() -> None:
    rows = {
        ("sessions", ()): SESSIONS,
        ("sessions", labels_of(model="b")): Measure(n=1, total=1),
        ("sessions", labels_of(model="a")): Measure(n=3, total=3),
        ("cost_usd", labels_of(model="a")): Measure(n=3, total=6),
    }
    found = facts_of(Measures(rows), Measures({}), characters_per_token=4.0)
    assert [fact.id for fact in found] == [f"F{number}" for number in range(1, len(found) + 1)]
    split = [(fact.name, fact.labels["model"], fact.value) for fact in found if "model" in fact.labels]
    assert split[:2] == [("sessions", "a", 3), ("cost_usd.mean", "a", 2)]
    assert found == facts_of(Measures(dict(reversed(rows.items()))), Measures({}), characters_per_token=4.0)


def test_an_empty_window_has_one_fact() -> None:
    assert list(facts(Measures({}), tools=("search",))) == [("sessions", "")]


BLOCK = "Always check the order number against the invoice before you answer, and say what you checked.\n" * 3


def prompt(name: str, text: str, **includes: str) -> PromptText:
    return PromptText(name=name, version=1, text=text, sha256=sha256_of(text), includes=includes)


def test_duplicated_tokens_count_copies_within_and_from_included_prompts_once() -> None:
    playbooks = prompt("playbooks", "# Playbooks\n" + BLOCK)
    master = prompt("master", f"Intro\n\n{BLOCK}\nMiddle\n\n{{{{PLAYBOOKS}}}}\n", PLAYBOOKS="playbooks")
    prompts = {"master": master, "playbooks": playbooks}
    copies = duplicated_text(master, prompts)
    assert "check the order number" in copies
    assert len(copies) <= len(BLOCK)
    found = facts(measures(sessions=SESSIONS), prompts=prompts)
    assert found["prompt.tokens", "master"].value == -(-len(master.text) // 4)
    assert found["prompt.duplicated_tokens", "master"].value == -(-len(copies) // 4)
    assert ("prompt.duplicated_tokens", "playbooks") not in found


def test_the_ratio_is_learned_where_prompt_and_tools_are_known() -> None:
    first = measures(first_tokens_in=Measure(n=10, total=3000), first_characters=Measure(n=10, total=1000))
    prompts = {
        "master": prompt("master", "x" * 700 + "{{P}}", P="inner"),
        "inner": prompt("inner", "y" * 200),
    }
    assert characters_per_token(first, prompts, 100) == pytest.approx((10 * 1000 + 1000) / 3000)
    assert characters_per_token(first, prompts, None) == 3.8  # tools known by name only
    assert characters_per_token(first, prompts, 10_000) == 3.8  # out of bounds: something else was counted
    assert characters_per_token(Measures({}), prompts, 100) == 3.8
    assert characters_per_token(first, {**prompts, "other": prompt("other", "z")}, 100) == 3.8
