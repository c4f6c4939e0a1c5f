"""The same stories where an owner gives nothing but the address of a Supabase project and its key."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from optimizer.db import migrate
from optimizer.db.postgres import PostgresDatabase
from optimizer.db.supabase import SupabaseDatabase
from optimizer.records.states import DeploymentState
from tests.journey.cli.program import Ratchet, Said, line, lines
from tests.journey.world import AGENT, World
from tests.plugins.supabase import SupabaseProject, paste

PROMPT = "You write posts for a blog about food. " * 10


async def told(world: World) -> tuple[str, ...]:
    """A day, a proposal, a yes, the next day, the verdict and a rollback: every word that a person reads."""
    await world.day()
    assert (await world.run()).status == "pending"
    dana = world.chat()
    said = [await dana.open()]
    n = await world.number("House_rules")
    said += [await dana.say(f"show {n}"), await dana.say(f"deploy {n}"), await dana.say("status")]
    assert await world.live() == {"house_rules": 1, "core": 2}
    dana = await world.morning()
    said.append(dana.told)
    (deployment,) = await world.ratchet.deployments.newest(AGENT)
    assert deployment.state is DeploymentState.seen
    assert deployment.verdict is not None
    said += [await dana.say("history"), await dana.say("rollback"), await dana.say("yes")]
    assert await world.live() == {"house_rules": 1, "core": 1}
    assert await world.chain_holds()
    return tuple(said)


async def test_one_proposal_from_trace_to_verdict_is_the_same_story(
    supabase: SupabaseDatabase, database: PostgresDatabase
) -> None:
    assert await told(await World.begin(supabase)) == await told(await World.begin(database))


@pytest.fixture
def ratchet(
    bare_project: SupabaseProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Ratchet:
    """The command line with an address and a key, on a project in which nothing of ours is."""
    variables = {"SUPABASE_URL": bare_project.url, "SUPABASE_SERVICE_ROLE_KEY": bare_project.key}
    return Ratchet(tmp_path, None, monkeypatch, capsys, variables)


def test_from_an_empty_project_to_a_session_with_an_address_and_a_key(
    ratchet: Ratchet, bare_project: SupabaseProject
) -> None:
    # Whatever is tried first says what is missing, and that says what to do about it.
    ratchet.approve("writer")
    ratchet.write("day.jsonl", lines(*(line(f"s{n}") for n in range(30))))
    assert ratchet("import", "day.jsonl", "--agent", "writer").sentence.endswith("; run `ratchet migrate`.")
    assert "SUPABASE_URL, over the project's API" in ratchet("doctor").sentence
    refused = ratchet("migrate")
    assert (refused.code, refused.out) == (1, "")
    assert "`ratchet migrate --sql`, paste what it prints into the SQL editor" in refused.sentence

    # The owner pastes the script.
    script = ratchet("migrate", "--sql")
    assert (script.code, script.err) == (0, "")
    assert script.out.endswith("\nnotify pgrst, 'reload schema';\n")
    paste(bare_project.owner_dsn, script.out)

    # The API was told, and everything works.
    known = _soon(lambda: ratchet("migrate"))
    assert (known.out, known.err) == ("The schema is up to date.\n", "")
    assert ratchet("migrate", "--sql").out == "-- Nothing is missing.\n"
    imported = ratchet(
        "import", "day.jsonl", "--agent", "writer", "--prompt", f"system={ratchet.write('p.md', PROMPT)}"
    )
    assert (imported.code, imported.err) == (0, "")
    assert "30 new" in imported.out
    assert ratchet("import", "day.jsonl", "--agent", "writer").out.count("30 known") == 1
    run = ratchet("optimize", "--agent", "writer", "--json")
    assert (run.code, run.err) == (0, "")
    report = json.loads(run.out)
    assert {fact["name"]: fact["value"] for fact in report["facts"] if not fact["labels"]}["sessions"] == 30
    looked = ratchet("doctor")
    assert looked.err == ""
    assert "database (SUPABASE_URL, over the project's API): reachable, schema up to date" in looked.out
    assert "SUPABASE_SERVICE_ROLE_KEY: set (hidden)" in looked.out
    assert bare_project.key not in looked.out
    assert ratchet("doctor", "--verify-audit").code == 0


def test_out_again_by_a_script_that_is_pasted(ratchet: Ratchet, bare_project: SupabaseProject, tmp_path: Path) -> None:
    paste(bare_project.owner_dsn, migrate.as_script(migrate.all_migrations()))
    with psycopg.connect(bare_project.owner_dsn, autocommit=True) as editor:
        editor.execute("create table public.messages (id integer); insert into public.messages values (1)")
    assert _soon(lambda: ratchet("migrate")).code == 0
    ratchet.write("day.jsonl", lines(line("s1")))
    assert (
        ratchet("import", "day.jsonl", "--agent", "a", "--prompt", f"system={ratchet.write('p.md', PROMPT)}").code == 0
    )
    refused = ratchet("uninstall", "--export", "audit.jsonl", "--yes")
    assert (refused.code, refused.out) == (2, "")
    assert "`ratchet uninstall --sql --export FILE`, and paste what it prints" in refused.sentence

    # What happens between the script and the paste is not lost: the script says that it is too old.
    script = ratchet("uninstall", "--sql", "--export", "early.jsonl")
    assert (script.code, script.err) == (
        0,
        "Exported 1 audit row(s) to early.jsonl; paste the script to drop the rest.\n",
    )
    other = ratchet.write("q.md", f"{PROMPT} And keep it short.")
    assert ratchet("import", "day.jsonl", "--agent", "a", "--prompt", f"system={other}").code == 0
    with psycopg.connect(bare_project.owner_dsn, autocommit=True) as editor:
        with pytest.raises(psycopg.Error, match="The audit is not the one that was exported"):
            editor.execute(script.out.encode())
        editor.execute(ratchet("uninstall", "--sql", "--export", "audit.jsonl").out.encode())
        assert editor.execute("select to_regnamespace('ratchet'), count(*) from public.messages").fetchone() == (
            None,
            1,
        )
    assert [json.loads(row)["seq"] for row in (tmp_path / "audit.jsonl").read_text().splitlines()] == [1, 2]

    # The API was told: it knows our functions no more.
    deadline = time.monotonic() + 60
    while (said := ratchet("uninstall", "--sql", "--export", "again.jsonl")).code != 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert (said.out, said.err) == ("-- Nothing of Ratchet is in this database.\n", "")
    assert not (tmp_path / "again.jsonl").exists()


def _soon(tried: Callable[[], Said]) -> Said:
    deadline = time.monotonic() + 60
    while (said := tried()).code != 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    return said


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"SUPABASE_URL": "https://abc.supabase.co"}, "SUPABASE_URL is set and SUPABASE_SERVICE_ROLE_KEY is not"),
        ({"SUPABASE_SERVICE_ROLE_KEY": "sb_secret_x"}, "SUPABASE_SERVICE_ROLE_KEY is set and SUPABASE_URL is not"),
    ],
)
@pytest.mark.parametrize("words", ["doctor", "migrate", "optimize --agent x"])
def test_half_of_what_supabase_needs_is_wrong_usage(
    ratchet: Ratchet, variables: dict[str, str], said: str, words: str
) -> None:
    half = replace(ratchet, environment=variables)
    told = half(*words.split())
    assert told.code == 2
    assert said in told.sentence
    assert "set both, or DATABASE_URL instead" in told.sentence
    assert not (ratchet.folder / ".ratchet").exists()


def test_a_connection_string_comes_first(ratchet: Ratchet, dsn: str) -> None:
    both = replace(ratchet, dsn=dsn)
    said = both("doctor")
    assert said.err == ""
    assert "database (DATABASE_URL): reachable" in said.out
    assert "SUPABASE_URL: http://127.0.0.1" in said.out
    assert "not used, DATABASE_URL comes first" in said.out
