"""What only the Supabase transport has to do: the key, the gateway's own answers, the API's roles and limits."""

from __future__ import annotations

import asyncio
import json
import logging
import time

import psycopg
import pytest

from optimizer.db import migrate
from optimizer.db.supabase import Project, SupabaseDatabase
from optimizer.errors import (
    CallTooLong,
    DatabaseError,
    DatabaseUnavailable,
    FunctionMissing,
    SettingsError,
)
from tests.plugins.supabase import SupabaseProject, key_for
from tests.simulators.supabase_gateway import Fault, UnixConnection

SLEEP = """
create function public.ratchet_probe_sleep(p_seconds double precision) returns jsonb language sql as
  $$ select to_jsonb(pg_sleep(p_seconds) is null) $$;
notify pgrst, 'reload schema';
"""


@pytest.mark.parametrize(
    ("fault", "error", "said"),
    [
        (Fault.overloaded, DatabaseUnavailable, r"did not answer 'agents_list' \(503 Database connection error"),
        (Fault.page, DatabaseUnavailable, r"did not answer 'agents_list' \(502 Bad Gateway\); it may or may not"),
        (Fault.page_as_answer, DatabaseError, r"as Supabase does \(200 OK\); check SUPABASE_URL"),
        (Fault.redirect, DatabaseError, r"as Supabase does \(301 Moved Permanently\); check SUPABASE_URL"),
        (Fault.dropped, DatabaseUnavailable, "went away during 'agents_list'; it may or may not have taken effect"),
        (Fault.too_large, DatabaseError, "too large .* was not done"),
    ],
)
async def test_what_is_no_answer_is_one_sentence_and_the_next_call_works(
    supabase: SupabaseDatabase, project: SupabaseProject, fault: Fault, error: type[DatabaseError], said: str
) -> None:
    project.gateway.faults.append(fault)
    with pytest.raises(error, match=said) as told:
        await supabase.call("agents_list")
    assert "<" not in str(told.value)
    assert type(told.value) is error
    assert await supabase.call("agents_list") == []
    # It is the caller who tries again: whether that is safe, a client cannot know.
    assert len(project.gateway.requests) == 2


async def test_a_write_whose_answer_was_lost_may_be_repeated(
    supabase: SupabaseDatabase, project: SupabaseProject
) -> None:
    project.gateway.faults.append(Fault.dropped)
    declared = {"agent": "a", "environment": None, "tools": None, "prompts": None, "escalation_tools": None}
    at = "2026-02-26T06:00:00Z"
    with pytest.raises(DatabaseUnavailable):
        await supabase.call("agents_register", **declared, at=at)
    (first,) = await supabase.call("agents_list")
    await supabase.call("agents_register", **declared, at=at)
    assert await supabase.call("agents_list") == [first]


async def test_an_answer_that_is_late_is_given_up(project: SupabaseProject) -> None:
    impatient = SupabaseDatabase(project.url, project.key, call_timeout_seconds=0.3)
    await impatient.open()
    try:
        project.gateway.faults.append(Fault.slow)
        with pytest.raises(CallTooLong, match="may or may not have taken effect"):
            await impatient.call("agents_list")
        assert await impatient.call("agents_list") == []
    finally:
        await impatient.close()


async def test_more_callers_than_connections_wait_their_turn_within_bounds(project: SupabaseProject) -> None:
    narrow = SupabaseDatabase(project.url, project.key, connections_max=1, waiting_max=3)
    await narrow.open()
    try:
        answers = await asyncio.gather(*(narrow.call("agents_list") for _ in range(6)), return_exceptions=True)
        refused = [answer for answer in answers if isinstance(answer, DatabaseError)]
        assert [answer for answer in answers if answer == []] == [[]] * (6 - len(refused))
        assert refused
        assert "calls wait already, so 'agents_list' was not made" in str(refused[0])
        assert await narrow.call("agents_list") == []
    finally:
        await narrow.close()


async def test_a_project_that_nobody_answers_for_is_one_sentence() -> None:
    nowhere = SupabaseDatabase("http://127.0.0.1:1", "sb_secret_x")
    await nowhere.open()
    try:
        with pytest.raises(DatabaseUnavailable, match=r"at 127\.0\.0\.1 cannot be reached .*; check SUPABASE_URL"):
            await nowhere.call("agents_list")
    finally:
        await nowhere.close()


# ---- keys and roles


async def test_the_key_goes_in_both_headers_and_no_browser_is_imitated(
    supabase: SupabaseDatabase, project: SupabaseProject
) -> None:
    await supabase.call("agents_list")
    ((path, headers),) = project.gateway.requests
    sent = {name.lower(): value for name, value in headers.items()}
    assert path == "/rest/v1/rpc/ratchet_agents_list"
    assert sent["apikey"] == project.key
    assert sent["authorization"] == f"Bearer {project.key}"
    assert "mozilla" not in sent["user-agent"].lower()


async def test_a_wrong_key_is_said_and_not_shown(project: SupabaseProject, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    stranger = SupabaseDatabase(project.url, "sb_secret_of_another_project")
    await stranger.open()
    try:
        with pytest.raises(
            DatabaseError, match=r"refused the key \(Invalid API key\).*SUPABASE_SERVICE_ROLE_KEY"
        ) as told:
            await stranger.call("agents_list")
    finally:
        await stranger.close()
    assert "of_another_project" not in f"{told.value}{told.value.__cause__!r}{caplog.text}"


async def test_nothing_that_is_called_is_logged(
    supabase: SupabaseDatabase, project: SupabaseProject, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await supabase.call("agents_list")
    assert project.url not in caplog.text
    assert project.key not in caplog.text


@pytest.mark.parametrize("role", ["anon", "authenticated"])
async def test_the_roles_of_browsers_may_call_nothing(project: SupabaseProject, role: str) -> None:
    """Although a hosted project grants them everything that is made in `public`."""
    key = key_for(role)
    with pytest.raises(SettingsError, match="holds a public key"):
        SupabaseDatabase(project.url, key)
    api = UnixConnection(project.gateway.upstream)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    api.request("POST", "/rpc/ratchet_agents_list", "{}", headers)
    answer = api.getresponse()
    assert answer.status in (401, 403)
    assert json.loads(answer.read())["code"] == "42501"
    api.close()
    for path in ("optimization_sessions", "rpc/optimization_sessions", "traces"):
        api.request(
            "GET", f"/{path}", headers={**headers, "Accept-Profile": "ratchet" if path == "traces" else "public"}
        )
        answer = api.getresponse()
        said = json.loads(answer.read())
        assert (answer.status >= 400, isinstance(said, dict)) == (True, True), said
        api.close()
    with psycopg.connect(project.dsn) as connection:
        rows = connection.execute(
            "select p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace"
            " where (n.nspname = 'ratchet' or p.proname like 'ratchet\\_%%')"
            " and has_function_privilege(%s, p.oid, 'execute')",
            (role,),
        ).fetchall()
    assert rows == []


async def test_the_service_role_reaches_our_tables_through_our_functions_alone(project: SupabaseProject) -> None:
    with psycopg.connect(project.dsn) as connection:
        rows = connection.execute(
            "select relname from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'ratchet'"
            " and c.relkind in ('r', 'v', 'p') and has_table_privilege('service_role', c.oid, 'select, insert')"
        ).fetchall()
        schema = connection.execute("select has_schema_privilege('service_role', 'ratchet', 'usage')").fetchone()
    assert rows == []
    assert schema == (False,)


@pytest.mark.parametrize(
    "url",
    [
        "abc.supabase.co",
        "postgresql://postgres:sekret@db.abc.supabase.co:5432/postgres",
        "https://",
        "https://me:sekret@abc.supabase.co",
        "https://supabase.com/dashboard/project/abc",
        "http://[sekret",
        "https://abc.supabase.co:99999",
        "https://abc.supabase.co?key=sekret",
    ],
)
def test_an_address_that_is_none_is_said(url: str) -> None:
    with pytest.raises(SettingsError, match=r"SUPABASE_URL is .*https://<project>\.supabase\.co") as told:
        Project.of(url, "sb_secret_x")
    assert "sekret" not in str(told.value)


@pytest.mark.parametrize(
    "url", ["https://abc.supabase.co", "https://abc.supabase.co/", " https://abc.supabase.co/rest/v1/ "]
)
def test_the_address_may_be_any_that_the_dashboard_shows(url: str) -> None:
    assert Project.of(url, " sb_secret_x\n") == ("https://abc.supabase.co", "sb_secret_x")


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("sb_publishable_sekret", "public key"),
        (key_for("anon"), "public key"),
        ("sekret key", "is not a key"),
        ("sekret\u00e9", "is not a key"),
        ("", "is not a key"),
    ],
)
def test_a_key_that_cannot_work_is_said_before_anything_is_asked(key: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as told:
        Project.of("https://abc.supabase.co", key)
    assert "sekret" not in str(told.value)


@pytest.mark.parametrize("key", ["sb_secret_x", key_for("service_role"), "a.b.c"])
def test_a_key_that_may_work_is_taken(key: str) -> None:
    assert Project.of("https://abc.supabase.co", key).key == key


# ---- the schema, and its limits


async def test_a_project_without_anything_of_ours_lacks_every_migration(bare_project: SupabaseProject) -> None:
    database = SupabaseDatabase(bare_project.url, bare_project.key)
    await database.open()
    try:
        assert await migrate.missing(database) == migrate.all_migrations()
        with psycopg.connect(bare_project.owner_dsn, autocommit=True) as editor:
            editor.execute(migrate.as_script(migrate.all_migrations()).encode())
        await _known(database, "schema_versions")
        assert await migrate.missing(database) == ()
    finally:
        await database.close()


async def test_a_migration_by_address_is_known_to_the_api_at_once(bare_project: SupabaseProject) -> None:
    database = SupabaseDatabase(bare_project.url, bare_project.key)
    await database.open()
    try:
        migrate.apply(bare_project.owner_dsn)
        await _known(database, "schema_versions")
        assert await migrate.missing(database) == ()
    finally:
        await database.close()


async def test_a_call_beyond_the_limit_of_the_api_is_ended_by_the_server(hurried_project: SupabaseProject) -> None:
    with psycopg.connect(hurried_project.dsn, autocommit=True) as connection:
        connection.execute(SLEEP)
    database = SupabaseDatabase(hurried_project.url, hurried_project.key)
    await database.open()
    try:
        await _known(database, "probe_sleep", seconds=0)
        with pytest.raises(
            CallTooLong, match="ended the call 'probe_sleep': canceling statement due to statement timeout"
        ):
            await database.call("probe_sleep", seconds=5)
    finally:
        await database.close()


async def _known(database: SupabaseDatabase, function: str, **arguments: float) -> None:
    """Until the API has read the schema anew, which it was told to."""
    deadline = time.monotonic() + 60
    while True:
        try:
            await database.call(function, **arguments)
            return
        except (FunctionMissing, DatabaseUnavailable):
            assert time.monotonic() < deadline, "the API was not told of the new functions"
        await asyncio.sleep(0.02)
