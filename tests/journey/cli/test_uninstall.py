"""The operator takes Ratchet out: asked first, the audit in a file, nothing left, and harmless the second time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import psycopg

from tests.journey.cli.program import Ratchet, line, lines

At = Callable[..., Ratchet]


def _filled(ratchet: Ratchet) -> None:
    ratchet.write("day.jsonl", lines(line("a"), line("b")))
    ratchet.write("system.md", "You write posts for our blog, short and true. " * 10)
    assert ratchet("import", "day.jsonl", "--agent", "blog", "--prompt", "system=system.md").code == 0


def _there(dsn: str) -> bool:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "select to_regnamespace('ratchet') is not null"
            " or exists (select from pg_proc where proname like 'ratchet%')"
        ).fetchone()
        return row is not None and row[0]


def test_it_asks_exports_drops_and_does_so_once(ratchet: Ratchet) -> None:
    assert ratchet.dsn is not None
    _filled(ratchet)
    for reply in ("", "yes\n", "uninstall everything\n"):
        said = ratchet.process("uninstall", "--export", "audit.jsonl", replies=reply)
        assert (said.code, "1 agent(s), 2 trace(s), 1 prompt version(s)" in said.out) == (2, True)
        assert said.sentence.startswith("ratchet: Nothing was dropped")
        assert not (ratchet.folder / "audit.jsonl").exists()
        assert _there(ratchet.dsn)
    said = ratchet.process("uninstall", "--export", "audit.jsonl", replies="uninstall\n")
    assert (said.code, said.err) == (0, "")
    assert "Ratchet is out of" in said.out
    assert not _there(ratchet.dsn)
    previous = "0" * 64
    for text in (ratchet.folder / "audit.jsonl").read_text().splitlines():
        row = json.loads(text)
        previous = hashlib.sha256((previous + row["body"]).encode()).hexdigest()
        assert (row["agent"], row["sha256"]) == ("blog", previous)
    again = ratchet("uninstall", "--export", "second.jsonl", "--yes")
    assert (again.code, again.out) == (0, "Nothing of Ratchet is in this database.\n")
    assert not (ratchet.folder / "second.jsonl").exists()
    # And in again.
    assert ratchet("migrate").code == 0
    _filled(ratchet)


def test_a_file_that_is_there_is_refused_before_anything_is_asked(ratchet: Ratchet) -> None:
    ratchet.write("audit.jsonl", "mine")
    said = ratchet("uninstall", "--export", "audit.jsonl", "--yes")
    assert (said.code, said.out) == (2, "")
    assert said.sentence == "ratchet: 'audit.jsonl' is there already; name a file that is not, for the audit."


def test_the_script_is_printed_and_nothing_else_with_it(ratchet: Ratchet) -> None:
    assert ratchet.dsn is not None
    _filled(ratchet)
    said = ratchet("uninstall", "--sql", "--export", "audit.jsonl")
    assert said.code == 0
    assert "paste the script" in said.err
    assert (ratchet.folder / "audit.jsonl").read_text().count("\n") > 0
    assert _there(ratchet.dsn)
    with psycopg.connect(ratchet.dsn, autocommit=True) as connection:
        connection.execute(said.out.encode())
    assert not _there(ratchet.dsn)
    assert ratchet("uninstall", "--sql", "--export", "b.jsonl").out == "-- Nothing of Ratchet is in this database.\n"


def test_with_a_key_alone_the_script_is_what_to_ask_for(at: At) -> None:
    ratchet = at(None, SUPABASE_URL="http://127.0.0.1:9", SUPABASE_SERVICE_ROLE_KEY="k" * 40)
    said = ratchet("uninstall", "--export", "audit.jsonl", "--yes")
    assert said.code == 2
    assert "run `ratchet uninstall --sql --export FILE`" in said.sentence


def test_the_embedded_database_is_left_empty_and_none_is_made_to_say_so(at: At) -> None:
    ratchet = at(None)
    nothing = ratchet("uninstall", "--export", "audit.jsonl", "--yes")
    assert (nothing.code, nothing.out) == (0, "Nothing of Ratchet is in this database.\n")
    assert not (ratchet.folder / ".ratchet" / "postgres").exists()
    _filled(ratchet)
    done = ratchet("uninstall", "--export", "audit.jsonl", "--yes")
    assert (done.code, done.err) == (0, "")
    assert "Ratchet is out of ratchet at" in done.out
    again = ratchet("uninstall", "--export", "again.jsonl", "--yes")
    assert again.out == "Nothing of Ratchet is in this database.\n"
