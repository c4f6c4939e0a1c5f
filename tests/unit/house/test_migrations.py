"""SQL that keeps business time in one clock and good manners in someone else's database."""

from __future__ import annotations

import re

import pytest

from tests.unit.house.tree import project_files, relative

SERVER_CLOCK = re.compile(
    r"\b(now|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday)\s*\("
    r"|\b(current_timestamp|current_date|current_time|localtimestamp|localtime)\b"
    r"|'(now|today|tomorrow|yesterday)'",
    re.IGNORECASE,
)
LEASE = "-- lease:"
CREATES = re.compile(r"\bcreate\s+(?:or\s+replace\s+)?(?:function|procedure|aggregate)\s+([\w.\"]+)", re.IGNORECASE)
OURS = re.compile(r"(public\.ratchet_|ratchet\.)\w+")


def server_clock_lines(sql: str) -> list[int]:
    """The numbers of the lines that ask the server for the time without being marked as a lease."""
    return [
        number
        for number, line in enumerate(sql.splitlines(), start=1)
        if LEASE not in line and SERVER_CLOCK.search(line.partition("--")[0])
    ]


def foreign_functions(sql: str) -> list[str]:
    """The functions that a file creates outside our schema and our name."""
    statements = re.sub(r"--[^\n]*", "", sql)
    return [name for name in CREATES.findall(statements) if not OURS.fullmatch(name)]


def test_only_leases_ask_the_server_for_the_time() -> None:
    """A run that was replayed for last Tuesday wrote today's date into its rows: time is an argument."""
    found = [
        f"{relative(path)}:{line}"
        for path in project_files(".sql", under="migrations")
        for line in server_clock_lines(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_functions_are_named_as_ours() -> None:
    """The owner's API shows every function in `public`: ours are told apart by their name."""
    found = [
        f"{relative(path)}: {name}"
        for path in project_files(".sql", under="migrations")
        for name in foreign_functions(path.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "set at = now()",
        "default CURRENT_TIMESTAMP",
        "select Clock_Timestamp ()",
        "at timestamptz default 'now'",
    ],
)
def test_the_server_clock_is_recognised(line: str) -> None:
    assert server_clock_lines(f"select 1;\n{line}") == [2]


@pytest.mark.parametrize(
    "line",
    [
        "where leased_until < now()  -- lease: taken over when its worker is gone",
        "-- now() is refused here",
        "select ratchet.known(p_at), snow(1)",
    ],
)
def test_a_lease_a_comment_and_another_word_are_not(line: str) -> None:
    assert server_clock_lines(line) == []


def test_a_function_outside_our_name_is_recognised() -> None:
    sql = """
    create or replace function public.ratchet_session_get(p_id uuid) returns jsonb language sql as $$ $$;
    CREATE FUNCTION ratchet.hash(text) returns text language sql as $$ $$;
    -- create function public.in_a_comment()
    create function public.get_session() returns jsonb language sql as $$ $$;
    create function helper() returns jsonb language sql as $$ $$;
    """
    assert foreign_functions(sql) == ["public.get_session", "helper"]
