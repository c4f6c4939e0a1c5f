"""One run by hand: what it prints, for which time, and what it leaves."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from optimizer.clock import iso
from tests.journey.cli.program import Ratchet, line, lines

KEYS = {"agent", "window", "status", "facts", "items", "dropped", "cost_usd", "tokens", "seconds", "watching"}
FACT_KEYS = {"id", "name", "labels", "value", "n", "baseline", "samples"}
ITEM_KEYS = {"n", "id", "goal", "type", "title", "detail", "facts", "edits", "status", "content_sha256"}
WRITTEN_BY_A_RUN = ("runs", "sessions", "items", "decisions", "notices", "deployments", "questions")
BLOCK = "\n".join(f"Rule {number}: {word} every claim, and name where it comes from." for number, word in enumerate(
    ("check", "weigh", "read", "test", "prove", "doubt", "quote", "date", "sign", "file")
))  # fmt: skip
TWICE = f"# Writer\nWrite well.\n\n## Rules\n{BLOCK}\n\n## Once more\n{BLOCK}\n"


@pytest.fixture
def known(ratchet: Ratchet) -> Ratchet:
    """An agent with an hour of traffic and a prompt in which a block stands twice."""
    now = datetime.now(UTC)
    ratchet.write("day.jsonl", lines(*(line(f"s{n}", now - timedelta(minutes=n)) for n in range(1, 60))))
    ratchet.write("main.md", TWICE)
    assert ratchet("import", "day.jsonl", "--agent", "x", "--prompt", "main=main.md").code == 0
    return ratchet


def session(ratchet: Ratchet, *options: str) -> dict[str, Any]:
    said = ratchet("optimize", "--agent", "x", "--json", *options)
    assert (said.code, said.err) == (0, "")
    return json.loads(said.out)


def counts(ratchet: Ratchet) -> dict[str, int]:
    assert ratchet.dsn is not None
    with psycopg.connect(ratchet.dsn) as connection:
        return {
            table: connection.execute(f"select count(*) from ratchet.{table}").fetchone()[0]  # pyright: ignore
            for table in WRITTEN_BY_A_RUN
        }


def test_json_is_the_session_and_nothing_else(known: Ratchet) -> None:
    said = known.process("optimize", "--agent", "x", "--json")
    assert (said.code, said.err) == (0, "")
    whole = json.loads(said.out)
    assert set(whole) == KEYS
    assert set(whole["window"]) == {"since", "until"}
    assert {frozenset(fact) for fact in whole["facts"]} == {frozenset(FACT_KEYS)}
    assert {frozenset(item) for item in whole["items"]} == {frozenset(ITEM_KEYS)}
    assert (whole["agent"], whole["status"]) == ("x", "pending")
    assert [item["edits"][0]["prompt"] for item in whole["items"]] == ["main"]


def test_text_ends_with_the_command_that_comes_next(known: Ratchet) -> None:
    said = known("optimize", "--agent", "x")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("x (prod) self-analysis, ")
    assert "[1] " in said.out
    assert said.out.endswith("\nTalk about it and decide: ratchet chat --agent x\n")
    assert "Reply:" not in said.out


def test_a_dry_run_leaves_nothing(known: Ratchet) -> None:
    before = counts(known)
    assert session(known, "--dry-run")["status"] == "dry_run"
    assert known("optimize", "--agent", "x", "--dry-run").out.endswith(
        "\nDry run: nothing was written, so there is nothing to answer.\n"
    )
    assert counts(known) == before
    session(known)
    assert counts(known) != before


def test_explicit_times_are_exact_to_the_minute_and_may_lie_ahead(ratchet: Ratchet) -> None:
    base = datetime(2026, 2, 26, 6, tzinfo=UTC)
    ahead = datetime.now(UTC) + timedelta(hours=20)
    moments = {"a": base, "b": base + timedelta(minutes=29), "c": base + timedelta(minutes=30), "d": ahead}
    ratchet.write("some.jsonl", lines(*(line(name, moment) for name, moment in moments.items())))
    assert ratchet("import", "some.jsonl", "--agent", "x").code == 0

    def sessions(since: str, until: str) -> float:
        whole = session(ratchet, "--dry-run", "--since", since, "--until", until)
        assert datetime.fromisoformat(whole["window"]["until"]) == datetime.fromisoformat(until).replace(tzinfo=UTC)
        return next(fact["value"] for fact in whole["facts"] if fact["name"] == "sessions" and not fact["labels"])

    assert sessions("2026-02-26T06:00:00Z", "2026-02-26T06:30:00Z") == 2
    assert sessions("2026-02-26T06:00:01Z", "2026-02-26T06:30:01Z") == 2
    assert sessions("2026-02-26T06:29", "2026-02-26T06:29:01") == 1  # without an offset it is UTC
    assert sessions(iso(ahead - timedelta(minutes=1)), iso(ahead + timedelta(days=300))) == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--window 0", "--window 0 is not between 0 and"),
        ("--window -5", "--window -5 is not between 0 and"),
        ("--window 1e9", "--window 1e+09 is not between 0 and"),
        ("--window nan", "--window nan is not between 0 and"),
        ("--window inf", "--window inf is not between 0 and"),
        ("--since 2026-02-26", "--since and --until belong together"),
        ("--until 2026-02-26", "--since and --until belong together"),
        ("--since 2026-02-26 --until 2026-02-27 --window 3", "Give either --window or --since with --until"),
        ("--since 2026-02-27 --until 2026-02-26", "--until '2026-02-26' is not after --since '2026-02-27'"),
        ("--since 2026-02-26 --until 2026-02-26", "--until '2026-02-26' is not after --since '2026-02-26'"),
        ("--since tuesday --until 2026-02-26", "--since 'tuesday' is not a time; write it as"),
        ("--since 2026-02-30 --until 2026-03-01", "--since '2026-02-30' is not a time; write it as"),
        ("--since 0001-01-01T00:00+09:00 --until 2026-03-01", "--since '0001-01-01T00:00+09:00' is not a time"),
    ],
)
def test_a_time_that_is_none_is_told_without_asking_the_database(
    at: Callable[..., Ratchet], words: str, sentence: str
) -> None:
    said = at("postgresql://127.0.0.1:1/nothing")("optimize", "--agent", "x", *words.split())
    assert (said.code, said.out) == (2, "")
    assert said.sentence.startswith(f"ratchet: {sentence}")


def test_an_agent_that_nobody_knows_is_met_with_those_that_are(known: Ratchet) -> None:
    said = known("optimize", "--agent", "y")
    assert (said.code, said.out) == (1, "")
    assert said.sentence.startswith("ratchet: There is no agent 'y' (known: 'x'); import its traces with")


def test_a_label_that_no_version_has_is_named(known: Ratchet) -> None:
    known.approve("x", "prompts.main = { label = 'production' }")
    said = known("optimize", "--agent", "x")
    assert (said.code, said.out) == (1, "")
    assert "no prompt 'main' of 'x' under the label 'production'" in said.sentence
    known.approve("x", "prompts.main = { label = 'prod' }")
    assert known("optimize", "--agent", "x").code == 0


def test_a_prompt_that_was_never_loaded_is_named(known: Ratchet) -> None:
    known.approve("x", "prompts.main = { includes = { PLAYBOOKS = 'playbooks' } }\nprompts.playbooks = {}")
    said = known("optimize", "--agent", "x")
    assert (said.code, said.out) == (1, "")
    assert "no prompt 'playbooks' of 'x' under the label 'prod'; load it with `ratchet import" in said.sentence


def test_from_the_terminal_to_live_and_back(known: Ratchet) -> None:
    """Someone who is not an approver yet, becomes one, deploys, and takes it back."""
    assert known("optimize", "--agent", "x").code == 0
    refused = known.process("chat", "--agent", "x", replies="deploy 1\n")
    assert refused.code == 0
    assert "who may look here but not decide" in refused.out
    assert "You are not an approver of this agent" in refused.out
    start = refused.out.index("[agents.x]")
    known.write("ratchet.toml", refused.out[start : refused.out.index("\n\n", start)])
    assert known("rollback", "--agent", "x").sentence.startswith("ratchet: Nothing of 'x' is live")

    agreed = known.process("chat", "--agent", "x", replies="deploy 1\nstatus\n")
    assert agreed.code == 0
    assert "may look here" not in agreed.out
    assert "Live: main v2 (was v1), item 1." in agreed.out

    assert known("rollback", "--agent", "x", "--prompt", "other").code == 1
    back = known("rollback", "--agent", "x")
    assert (back.code, back.out, back.err) == (0, "main is back on version 1 (was 2).\n", "")
    assert known("rollback", "--agent", "x").code == 1


def test_a_rollback_over_what_someone_changed_since_says_so_and_fails(known: Ratchet) -> None:
    known.approve("x")
    assert known("optimize", "--agent", "x").code == 0
    assert "Live: main v2" in known.process("chat", "--agent", "x", replies="deploy 1\n").out
    known.write("main.md", "Be kind, and written by hand since. " * 5)
    assert known("import", "--agent", "x", "--prompt", "main=main.md").code == 0
    said = known("rollback", "--agent", "x")
    assert said.code == 1
    assert said.sentence.startswith("ratchet: main runs v3 by now, not v2, so nothing was done;")
    assert "[-Be kind, and written by hand since." in said.out  # what would be lost


def test_a_rollback_that_another_process_has_in_hand_is_not_called_done(known: Ratchet) -> None:
    known.approve("x")
    assert known("optimize", "--agent", "x").code == 0
    assert "Live: main v2" in known.process("chat", "--agent", "x", replies="deploy 1\n").out
    assert known.dsn is not None
    with psycopg.connect(known.dsn, autocommit=True) as connection:
        connection.execute(
            "update ratchet.deployments set worker = 'another', lease_until = clock_timestamp() + interval '1 hour'"
        )
    said = known("rollback", "--agent", "x")
    assert (said.code, said.out) == (1, "")
    assert said.sentence.startswith("ratchet: main was not taken back: another process carries it out;")


def test_a_rollback_by_someone_who_is_not_listed_is_refused(known: Ratchet) -> None:
    known.approve("x")
    assert known("optimize", "--agent", "x").code == 0
    assert "Live: main v2" in known.process("chat", "--agent", "x", replies="deploy 1\n").out
    (known.folder / "ratchet.toml").unlink()
    said = known("rollback", "--agent", "x")
    assert (said.code, said.out) == (2, "")
    assert "take back deployments of 'x'; ask one of its approvers." in said.sentence


def test_a_chat_about_nothing_says_so(known: Ratchet) -> None:
    said = known.process("chat", "--agent", "x", replies="deploy all\n")
    assert (said.code, said.err) == (0, "")
    assert "Nothing waits for a decision." in said.out
