"""A developer loads what there is: good lines, broken lines, whole files that are none."""

from __future__ import annotations

import gzip
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from tests.journey.cli.program import Ratchet, line, lines

LONG = 50 * 1024 * 1024


def traces(ratchet: Ratchet) -> list[str]:
    """The trace ids in the database."""
    assert ratchet.dsn is not None
    with psycopg.connect(ratchet.dsn) as connection:
        return [row[0] for row in connection.execute("select trace_id from ratchet.traces order by trace_id")]


def test_what_is_loaded_is_said_on_standard_output_alone(ratchet: Ratchet) -> None:
    ratchet.write("day.jsonl", lines(line("a"), line("b")))
    first = ratchet.process("import", "day.jsonl", "--agent", "x")
    assert (first.code, first.out, first.err) == (0, "day.jsonl: 2 new, 0 known.\n", "")
    again = ratchet("import", "day.jsonl", "--agent", "x")
    assert (again.code, again.out, again.err) == (0, "day.jsonl: 0 new, 2 known.\n", "")


BROKEN = [
    (b"not json at all", "not"),
    (b'["a", "list"]', "object"),
    (b'{"started_at": "2026-02-26T06:00:00Z", "events": []}', "session_id is missing"),
    (b'{"session_id": "a", "started_at": "yesterday", "events": []}', "started_at is 'yesterday', not a time"),
    (b'{"session_id": "a", "events": []}', "started_at is missing"),
    (b'{"session_id": "", "started_at": "2026-02-26T06:00:00Z", "events": []}', "session_id is empty"),
    (b'{"session_id": "a", "started_at": "2026-02-26T06:00:00Z", "events": {}}', "not a list of events"),
    (b'{"session_id": "a", "started_at": "2026-02-26T06:00:00Z", "events": [{"type": "shout", "t_ms": 0}]}', "'shout'"),
    (b'{"session_id": "a", "started_at": "2199-01-01T00:00:00Z", "events": []}', "in the future"),
    (b'{"session_id": "a", "sta', "not"),
    (b"\xff\xfe\x00", "not"),
]


def test_each_broken_line_is_named_with_its_reason_and_the_others_are_in(ratchet: Ratchet) -> None:
    good = [json.dumps(line(f"good-{number}")).encode() for number in range(len(BROKEN) + 1)]
    rows = [row for pair in zip(good, [broken for broken, _ in BROKEN], strict=False) for row in pair]
    ratchet.write("mixed.jsonl", b"\n".join([*rows, good[-1]]) + b"\n")
    said = ratchet("import", "mixed.jsonl", "--agent", "x")
    assert said.code == 1
    assert said.out == f"mixed.jsonl: {len(good)} new, 0 known, {len(BROKEN)} refused.\n"
    told = said.err.splitlines()
    assert len(told) == len(BROKEN)
    for number, (sentence, (_, reason)) in enumerate(zip(told, BROKEN, strict=True)):
        assert sentence.startswith(f"mixed.jsonl, line {2 * number + 2}: ")
        assert reason in sentence
    assert len(traces(ratchet)) == len(good)
    again = ratchet("import", "mixed.jsonl", "--agent", "x")
    assert (again.code, again.out) == (1, f"mixed.jsonl: 0 new, {len(good)} known, {len(BROKEN)} refused.\n")


def test_a_line_of_50_mb_is_refused_and_its_neighbours_are_not(ratchet: Ratchet) -> None:
    before, after = lines(line("before")).encode(), lines(line("after")).encode()
    huge = b'{"session_id": "' + b"x" * LONG + b'"}\n'
    ratchet.write("huge.jsonl", before + huge + after)
    said = ratchet("import", "huge.jsonl", "--agent", "x")
    assert (said.code, said.out) == (1, "huge.jsonl: 2 new, 0 known, 1 refused.\n")
    assert said.sentence == "huge.jsonl, line 2: it is longer than 16 MB"
    assert traces(ratchet) == ["after", "before"]


def test_duplicates_in_one_file_are_one_trace(ratchet: Ratchet) -> None:
    ratchet.write("twice.jsonl", lines(line("a"), line("a"), line("b")))
    assert ratchet("import", "twice.jsonl", "--agent", "x").code == 0
    assert traces(ratchet) == ["a", "b"]


def test_characters_that_cannot_be_stored_are_replaced_and_that_is_said(ratchet: Ratchet) -> None:
    started = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    text = (
        r'{"session_id": "odd", "started_at": "%s", "events": [{"type": "error", "t_ms": 0, "text": "a\u0000\ud800b"}]}'
    )
    ratchet.write("odd.jsonl", text % started)
    said = ratchet("import", "odd.jsonl", "--agent", "x")
    assert (said.code, said.out) == (0, "odd.jsonl: 1 new, 0 known.\n")
    assert "were replaced by U+FFFD" in said.sentence
    assert traces(ratchet) == ["odd"]


def test_of_a_gzip_file_that_was_cut_short_the_whole_lines_are_kept(ratchet: Ratchet) -> None:
    whole = gzip.compress(lines(*(line(f"s{number}", text=os.urandom(400).hex()) for number in range(40))).encode())
    ratchet.write("cut.jsonl.gz", whole[: len(whole) // 2])
    said = ratchet("import", "cut.jsonl.gz", "--agent", "x")
    kept = traces(ratchet)
    assert said.code == 1
    assert 0 < len(kept) < 40
    assert said.out == f"cut.jsonl.gz: {len(kept)} new, 0 known.\n"
    assert "ends too early" in said.sentence
    ratchet.write("cut.jsonl.gz", whole)
    again = ratchet("import", "cut.jsonl.gz", "--agent", "x")
    assert (again.code, again.out) == (0, f"cut.jsonl.gz: {40 - len(kept)} new, {len(kept)} known.\n")


def test_an_empty_file_is_in_order(ratchet: Ratchet) -> None:
    ratchet.write("empty.jsonl", "")
    said = ratchet("import", "empty.jsonl", "--agent", "x")
    assert (said.code, said.out, said.err) == (0, "empty.jsonl: 0 new, 0 known.\n", "")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("gone.jsonl", "No such file"),
        (".", "is not a file"),
        ("pipe", "pipes and standard input cannot"),
        ("-", "Standard input cannot be imported"),
        ("a" * 300, "too long"),
    ],
)
def test_what_is_no_file_is_told_before_anything_is_written(ratchet: Ratchet, name: str, reason: str) -> None:
    ratchet.write("good.jsonl", lines(line("a")))
    os.mkfifo(ratchet.folder / "pipe")
    said = ratchet("import", "good.jsonl", name, "--agent", "x")
    assert (said.code, said.out) == (1, "")
    assert reason in said.sentence
    assert traces(ratchet) == []
    assert ratchet("import", "good.jsonl", "--agent", "x").code == 0


def test_a_file_that_one_may_not_read_is_said_to_be_one(ratchet: Ratchet) -> None:
    ratchet.write("closed.jsonl", lines(line("a"))).chmod(0)
    # Root may read everything, unless it gives that right away.
    before = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    said = ratchet.process("import", "closed.jsonl", "--agent", "x", before=before)
    assert said.code == 1
    assert said.sentence.startswith("ratchet: Cannot read 'closed.jsonl' (Permission denied)")


def test_a_file_that_fails_while_it_is_read_leaves_the_others_alone(ratchet: Ratchet) -> None:
    """A damaged medium, here the memory of this process at an address that is nobody's."""
    ratchet.write("good.jsonl", lines(line("a")))
    said = ratchet("import", "/proc/self/mem", "good.jsonl", "--agent", "x")
    assert (said.code, said.out) == (1, "good.jsonl: 1 new, 0 known.\n")
    assert said.sentence.startswith("ratchet: Cannot read '/proc/self/mem' (")


def test_lines_without_an_agent_need_one(ratchet: Ratchet) -> None:
    ratchet.write("mixed.jsonl", lines(line("a"), line("b", agent="y")))
    said = ratchet("import", "mixed.jsonl")
    assert (said.code, said.out) == (1, "mixed.jsonl: 1 new, 0 known, 1 refused.\n")
    assert said.sentence == "mixed.jsonl, line 1: agent is missing; name the agent with --agent"


@pytest.mark.parametrize("agent", ["x\ny", "my agent", "x!", "x" * 101, "\u202ex"])
def test_an_agent_that_is_no_name_is_refused_unless_one_is_given(ratchet: Ratchet, agent: str) -> None:
    ratchet.write("named.jsonl", lines(line("a", agent=agent)))
    said = ratchet("import", "named.jsonl")
    assert said.code == 1
    assert "not letters, digits and . _ - / : alone, at most 100" in said.sentence
    assert said.sentence.isprintable()
    assert ratchet("import", "named.jsonl", "--agent", "mine").code == 0


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[", "cannot be used"),
        (b'{"a": 1}', "holds no list of tools"),
        (b'[{"description": "no name"}]', "Tool 1"),
        (b"", "cannot be used"),
        (b"\xff", "cannot be used"),
    ],
)
def test_a_wrong_tools_file_is_told_before_anything_is_written(ratchet: Ratchet, content: bytes, reason: str) -> None:
    ratchet.write("good.jsonl", lines(line("a")))
    ratchet.write("tools.json", content)
    said = ratchet("import", "good.jsonl", "--agent", "x", "--tools", "tools.json")
    assert (said.code, said.out) == (1, "")
    assert "tools.json" in said.sentence
    assert reason in said.sentence
    assert traces(ratchet) == []


INCLUDES = "prompts.main = { includes = { PLAYBOOKS = 'playbooks' }, required = ['{{TONE}}'] }\nprompts.playbooks = {}"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff", "is not UTF-8 (byte 0)"),
        (b"", "is empty"),
        (b"a\0b", "holds a NUL character"),
        (None, "cannot be read (No such file or directory)"),
        (b"Be {{TONE}}.", "includes 'playbooks' as PLAYBOOKS, says ratchet.toml, but there is no such prompt"),
    ],
)
def test_a_prompt_that_cannot_be_one_is_told_and_nothing_is_written(
    ratchet: Ratchet, content: bytes | None, reason: str
) -> None:
    ratchet.approve("x", INCLUDES)
    ratchet.write("tools.json", '["search"]')
    if content is not None:
        ratchet.write("main.md", content)
    said = ratchet("import", "--agent", "x", "--prompt", "main=main.md", "--tools", "tools.json")
    assert (said.code, said.out) == (1, "")
    assert reason in said.sentence
    assert "There is no agent 'x'" in ratchet("rollback", "--agent", "x").sentence


@pytest.mark.parametrize(("missing", "text"), [("PLAYBOOKS", "Be {{TONE}}."), ("TONE", "Do {{PLAYBOOKS}}.")])
def test_a_prompt_without_a_placeholder_that_it_must_have_is_refused(ratchet: Ratchet, missing: str, text: str) -> None:
    ratchet.approve("x", INCLUDES)
    ratchet.write("main.md", text)
    ratchet.write("playbooks.md", "How to do it.")
    given = ["--prompt", "main=main.md", "--prompt", "playbooks=playbooks.md"]
    said = ratchet("import", "--agent", "x", *given)
    assert (said.code, said.out) == (1, "")
    assert f"The prompt 'main' has no {{{{{missing}}}}}, which ratchet.toml says it has" in said.sentence
    ratchet.write("main.md", f"{text} {{{{{missing}}}}}")
    said = ratchet("import", "--agent", "x", *given)
    assert said.code == 0
    assert "x: prompt main is version 1 (new).\n" in said.out
    assert "x: prompt main is version 1 (as before).\n" in ratchet("import", "--agent", "x", *given).out


@pytest.mark.parametrize("name", ["x\ny", "no such name!", "x" * 3000, "\u202ex", "", " "])
def test_a_name_that_no_line_can_hold_is_refused_before_anything_is_written(ratchet: Ratchet, name: str) -> None:
    ratchet.write("main.md", "Be kind.")
    ratchet.write("day.jsonl", lines(line("a")))
    for words in (["day.jsonl", "--agent", name], ["--agent", "x", "--prompt", f"{name}=main.md"]):
        said = ratchet("import", *words)
        assert (said.code, said.out) == (2, "")
        assert name == "" or "is not a name of letters, digits and . _ - / : alone, at most 100" in said.sentence
        assert len(said.sentence) < 300
    assert traces(ratchet) == []


def test_a_prompt_is_named_once(ratchet: Ratchet, tmp_path: Path) -> None:
    ratchet.write("main.md", "Be kind.")
    said = ratchet("import", "--agent", "x", "--prompt", "main=main.md", "--prompt", "main=main.md")
    assert (said.code, said.out) == (2, "")
    assert "'main' is given twice" in said.sentence
