"""Files of trace lines, good and bad, into the store: what is kept, what is refused and why."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from optimizer.clock import ManualClock
from optimizer.db.postgres import PostgresDatabase
from optimizer.errors import InputError
from optimizer.observe.ingest import ImportReport, import_file
from optimizer.observe.lines import LINE_BYTES_MAX
from optimizer.stores.traces import TraceStore

NOW = datetime(2026, 2, 27, 6, tzinfo=UTC)


def line(session_id: Any = "s1", **fields: Any) -> dict[str, Any]:
    call = {"type": "tool_call", "t_ms": 5, "name": "search", "args": {"q": "x"}, "call_id": "a"}
    result = {"type": "tool_result", "t_ms": 9, "call_id": "a", "ok": True, "text": "found"}
    given = {"session_id": session_id, "started_at": "2026-02-26T06:00:00Z", "events": [call, result]}
    return {name: value for name, value in {**given, **fields}.items() if value is not ...}


def write(path: Path, lines: Sequence[dict[str, Any] | bytes]) -> Path:
    raw = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in lines]
    path.write_bytes(b"\n".join(raw) + b"\n")
    return path


@pytest.fixture
def store(database: PostgresDatabase) -> TraceStore:
    return TraceStore(database)


async def take_in(store: TraceStore, path: Path, agent: str | None = "blog-writer") -> ImportReport:
    *_, report = [step async for step in import_file(path, store, ManualClock(NOW), agent=agent)]
    return report


async def test_a_file_again_is_known_and_a_longer_line_replaces(store: TraceStore, tmp_path: Path) -> None:
    first = write(tmp_path / "a.jsonl", [line("s1"), line("s2")])
    report = await take_in(store, first)
    assert (report.new, report.known, report.agents) == (2, 0, ("blog-writer",))
    assert report.bytes_read == report.bytes_total == first.stat().st_size
    assert (await take_in(store, first)).known == 2

    longer = line("s1", events=[*line()["events"], {"type": "assistant_message", "t_ms": 20, "text": "done"}])
    report = await take_in(store, write(tmp_path / "b.jsonl", [longer, line("s2"), line("s3")]))
    assert (report.new, report.grown, report.known) == (1, 1, 1)


async def test_a_late_outcome_rates_a_known_trace_once(store: TraceStore, tmp_path: Path) -> None:
    await take_in(store, write(tmp_path / "a.jsonl", [line()]))
    rated = write(tmp_path / "b.jsonl", [line(outcome={"success": False, "reward": 0.25})])
    assert (await take_in(store, rated)).rated == 1
    assert (await take_in(store, rated)).known == 1
    # A longer line that says nothing of the outcome does not take it away.
    longer = line(events=[*line()["events"], {"type": "user_message", "t_ms": 20, "text": "thanks"}])
    assert (await take_in(store, write(tmp_path / "c.jsonl", [longer]))).grown == 1
    assert (await take_in(store, rated)).known == 1


async def test_the_given_agent_wins_and_a_line_without_any_is_refused(store: TraceStore, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [line("s1", agent="one"), line("s2", agent="two"), line("s3")])
    report = await take_in(store, path, agent=None)
    assert report.agents == ("one", "two")
    assert [str(refused) for refused in report.refused] == ["line 3: agent is missing; name the agent with --agent"]
    assert (await take_in(store, path)).agents == ("blog-writer",)


REFUSED = {
    "events[0].t_ms is 'abc', not a whole number of milliseconds": line(events=[{"type": "error", "t_ms": "abc"}]),
    "events[1].type is 'tool_cal', not one of": line(
        events=[{"type": "error", "t_ms": 1}, {"type": "tool_cal", "t_ms": 2}]
    ),
    "events[0].t_ms is -1, below zero": line(events=[{"type": "error", "t_ms": -1}]),
    "events[0].t_ms is 1700000000000, more than a year after the trace began": line(
        events=[{"type": "error", "t_ms": 1700000000000}]
    ),
    "events[0].tokens_in is 'many', not a whole number of tokens": line(
        events=[{"type": "llm_call", "t_ms": 1, "tokens_in": "many"}]
    ),
    "events[0].name is missing: a tool_call names its tool": line(events=[{"type": "tool_call", "t_ms": 1}]),
    "events[0].name is missing, and no tool_call waits for this result": line(
        events=[{"type": "tool_result", "t_ms": 1, "ok": True}]
    ),
    "events[0] is 'hello', not an object": line(events=["hello"]),
    "events is missing": line(events=...),
    "events is 7, not a list of events": line(events=7),
    "session_id is missing": line(session_id=...),
    "session_id is empty": line(session_id=""),
    "session_id has more than 500 characters": line("s" * 501),
    "started_at is 'yesterday', not a time; write it as": line(started_at="yesterday"),
    "started_at is 1772000000, not a time; write it as": line(started_at=1772000000),
    "started_at is 1970-01-01T00:00:00Z, before the year 2000": line(started_at="1970-01-01"),
    "started_at is 2026-02-28T07:00:00Z, more than 24 hours in the future": line(started_at="2026-02-28T07:00:00Z"),
    "outcome.success is 'perhaps', not true or false": line(outcome={"success": "perhaps"}),
    "prompts is 'master', not an object of prompt names": line(prompts="master"),
    "it is not JSON: Expecting ',' delimiter at character": json.dumps(line()).encode()[:-2] + b"!",
    "it is a list, not a JSON object": b"[1, 2]",
    "it holds NaN, which is no number in JSON": b'{"session_id": "s", "x": NaN}',
    "it holds a number that is too large": b'{"session_id": "s", "x": 1e999}',
    "it holds a number of thousands of digits": b'{"x": ' + b"9" * 5000 + b"}",
    "it is nested more than 200 levels deep": b'{"x": ' + b"[" * 900 + b"]" * 900 + b"}",
    "it is nested more than 200 levels": b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
}


@pytest.mark.parametrize("reason", REFUSED)
async def test_a_bad_line_is_refused_with_its_reason_and_the_others_are_kept(
    store: TraceStore, tmp_path: Path, reason: str
) -> None:
    path = write(tmp_path / "a.jsonl", [line("before"), REFUSED[reason], line("after")])
    report = await take_in(store, path)
    assert (report.new, report.refused_count) == (2, 1)
    assert str(report.refused[0]).startswith(f"line 2: {reason}")


@pytest.mark.parametrize("opened", [open, gzip.open])
async def test_a_line_of_50_mb_is_refused_without_the_rest(store: TraceStore, tmp_path: Path, opened: Any) -> None:
    path = tmp_path / "a.jsonl"
    with opened(path, "wb") as file:
        file.write(json.dumps(line("before")).encode() + b'\n{"session_id": "')
        for _ in range(50):
            file.write(b"x" * 1024 * 1024)
        file.write(b'"}\n' + json.dumps(line("after")).encode())
    report = await take_in(store, path)
    assert (report.new, report.refused_count) == (2, 1)
    assert str(report.refused[0]) == f"line 2: it is longer than {LINE_BYTES_MAX // 1024**2} MB"


async def test_only_the_first_refusals_are_kept_and_all_are_counted(store: TraceStore, tmp_path: Path) -> None:
    report = await take_in(store, write(tmp_path / "a.jsonl", [b"{"] * 700 + [line()]))
    assert (report.new, report.refused_count, len(report.refused)) == (1, 700, 20)


async def test_characters_that_cannot_be_stored_are_replaced_and_counted(
    database: PostgresDatabase, store: TraceStore, tmp_path: Path
) -> None:
    good = line("s0", events=[{"type": "user_message", "t_ms": 1, "text": "\U0001f600 fine"}])
    raw = [
        good,
        line("s1", events=[{"type": "user_message", "t_ms": 1, "text": "a\x00b"}]),
        line("s2", events=[{"type": "tool_call", "t_ms": 1, "name": "f", "args": {"k\ud800": "\udc00"}}]),
        json.dumps(line("s3", note="caf?")).encode().replace(b"?", b"\xe9"),
        json.dumps(line("s4", note="raw?")).encode().replace(b"?", b"\x00"),
    ]
    report = await take_in(store, write(tmp_path / "a.jsonl", raw))
    assert (report.new, report.refused_count, report.cleaned) == (5, 0, 4)


async def test_a_gzip_file_cut_short_keeps_its_whole_lines_and_says_where_it_ended(
    store: TraceStore, tmp_path: Path
) -> None:
    lines = [line(f"s{number}", note=f"{number:x}" * 50) for number in range(4000)]
    packed = gzip.compress("".join(json.dumps(one) + "\n" for one in lines).encode())
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(packed[: len(packed) // 2])
    report = await take_in(store, path)
    assert 0 < report.new < 4000
    assert report.refused_count == 0
    assert report.truncated is not None
    assert f"ends too early: its first {report.new} lines were read" in report.truncated
    path.write_bytes(packed)
    report = await take_in(store, path)
    assert report.truncated is None
    assert report.new + report.known == 4000


async def test_a_damaged_gzip_file_keeps_what_was_whole(store: TraceStore, tmp_path: Path) -> None:
    lines = [line(f"s{number}", note=f"{number * 7919:x}" * 50) for number in range(4000)]
    packed = bytearray(gzip.compress("".join(json.dumps(one) + "\n" for one in lines).encode()))
    packed[-6] ^= 0xFF  # the checksum at the end
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(packed)
    report = await take_in(store, path)
    assert report.new == 4000
    assert report.truncated is not None
    assert "is damaged" in report.truncated


async def test_blank_lines_a_byte_order_mark_and_no_lines_at_all_are_fine(store: TraceStore, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [b"\xef\xbb\xbf" + json.dumps(line()).encode(), b"", b"  "])
    assert (await take_in(store, path)).new == 1
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    assert (await take_in(store, empty)).lines == 0


async def test_a_file_that_is_not_there_is_one_sentence(store: TraceStore, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Cannot read .*missing\.jsonl' \(No such file or directory\)"):
        await take_in(store, tmp_path / "missing.jsonl")
    with pytest.raises(InputError, match="Is a directory"):
        await take_in(store, tmp_path)
