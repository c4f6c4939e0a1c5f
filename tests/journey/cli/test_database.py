"""The operator's day: a schema that is behind, a wrong address, a chain of decisions to verify."""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Thread
from uuid import uuid4

import psycopg
import pytest

from optimizer.db import migrate
from tests.journey.cli.program import Ratchet, line, lines
from tests.plugins.database import with_database

At = Callable[..., Ratchet]


@pytest.fixture
def bare_dsn(server_dsn: str) -> Iterator[str]:
    """A database without anything of ours."""
    name = f"bare_{uuid4().hex}"
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        connection.execute(f"create database {name}".encode())
    yield with_database(server_dsn, name)
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)".encode())


def test_a_schema_that_is_behind_stops_every_command_until_it_is_migrated(at: At, bare_dsn: str) -> None:
    ratchet = at(bare_dsn)
    ratchet.write("day.jsonl", lines(line("a")))
    for words in ("import day.jsonl --agent x", "optimize --agent x", "chat --agent x", "rollback --agent x"):
        said = ratchet(*words.split())
        assert (said.code, said.out) == (1, "")
        assert said.sentence.startswith("ratchet: The database schema is ")
        assert said.sentence.endswith("; run `ratchet migrate`.")
    assert "run `ratchet migrate`" in ratchet("doctor").sentence
    done = ratchet("migrate")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("Applied ")
    assert done.out.endswith("The schema is up to date.\n")
    assert ratchet("migrate").out == "The schema is up to date.\n"
    assert ratchet("import", "day.jsonl", "--agent", "x").code == 0


def test_what_is_missing_can_be_pasted(at: At, bare_dsn: str) -> None:
    ratchet = at(bare_dsn)
    script = ratchet("migrate", "--sql")
    assert (script.code, script.err) == (0, "")
    with psycopg.connect(bare_dsn, autocommit=True) as connection:
        connection.execute(script.out.encode())
    assert ratchet("migrate").out == "The schema is up to date.\n"
    assert ratchet("migrate", "--sql").out == "-- Nothing is missing.\n"


def test_the_files_can_be_copied(at: At) -> None:
    ratchet = at("postgresql://127.0.0.1:1/nothing")  # which is not asked
    (ratchet.folder / "migrations").mkdir()
    said = ratchet("migrate", "--into", "migrations")
    assert (said.code, said.err) == (0, "")
    copied = sorted(path.name for path in (ratchet.folder / "migrations").iterdir())
    assert copied == [one.path.name for one in migrate.all_migrations()]
    assert ratchet("migrate", "--into", "migrations").out.startswith("Copied 0 ")
    assert ratchet("migrate", "--into", "elsewhere").sentence.startswith("ratchet: 'elsewhere' is not a folder")


@pytest.mark.parametrize(
    ("address", "code", "reason"),
    [
        (
            "postgresql://me:sekret@127.0.0.1:1/shop",
            1,
            "The database shop at 127.0.0.1:1 cannot be reached (Connection",
        ),
        ("postgres//me:sekret@db/shop", 2, "DATABASE_URL is not a PostgreSQL address"),
        ("http://me:sekret@db/shop", 2, "DATABASE_URL is not a PostgreSQL address"),
        ("sekret", 2, "DATABASE_URL is not a PostgreSQL address"),
        ("postgresql://me:se%kret@db/shop", 2, "DATABASE_URL is not a PostgreSQL address"),
        ("postgresql://me:x@sekret@127.0.0.1/shop", 2, "The password in DATABASE_URL holds a character that ends it"),
        ("postgresql://me:x/sekret@127.0.0.1/shop", 2, "The password in DATABASE_URL holds a character that ends it"),
    ],
)
@pytest.mark.parametrize("words", ["doctor", "migrate", "optimize --agent x"])
def test_a_wrong_address_is_one_sentence_without_its_password(
    at: At, words: str, address: str, code: int, reason: str
) -> None:
    said = at(address)(*words.split())
    assert said.code == code
    assert reason in said.sentence
    assert "ekret" not in said.out + said.err
    with_cause = at(address)(*words.split(), "--debug") if words == "doctor" else said
    assert "ekret" not in with_cause.out + with_cause.err


@contextmanager
def server(answer: bytes | None) -> Iterator[int]:
    """Something that listens, and answers every client's first message after the question for TLS; or never."""
    clients: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    client, _ = listening.accept()
                except OSError:
                    return
                clients.append(client)
                if answer is not None:
                    client.recv(8)
                    client.sendall(b"N")
                    client.recv(1000)
                    client.sendall(answer)
                    client.close()

        thread = Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(5)
    for client in clients:
        client.close()


def fatal(code: str, message: str) -> bytes:
    """PostgreSQL's message E."""
    fields = f"SFATAL\0VFATAL\0C{code}\0M{message}\0\0".encode()
    return b"E" + struct.pack("!i", len(fields) + 4) + fields


@pytest.mark.parametrize("words", ["doctor", "migrate"])
def test_a_wrong_password_is_what_the_server_says(at: At, words: str) -> None:
    with server(fatal("28P01", 'password authentication failed for user "me"')) as port:
        said = at(f"postgresql://me:sekret@127.0.0.1:{port}/shop?sslmode=prefer")(words)
    assert said.code == 1
    assert f'shop at 127.0.0.1:{port} cannot be reached (password authentication failed for user "me")' in said.sentence
    assert "sekret" not in said.out + said.err


def test_a_server_that_never_answers_is_given_up(at: At) -> None:
    """Twenty seconds is the most that anyone should stare at nothing."""
    with server(None) as port, ThreadPoolExecutor() as pool:
        ratchet = at(f"postgresql://me:sekret@127.0.0.1:{port}/shop")
        for said in pool.map(lambda words: ratchet.process(words, before=["timeout", "20"]), ("doctor", "migrate")):
            assert said.code == 1
            assert "cannot be reached (" in said.sentence
            assert "sekret" not in said.out + said.err


def test_doctor_verifies_the_chain_and_finds_what_was_changed(ratchet: Ratchet) -> None:
    assert ratchet("doctor", "--verify-audit").out == "audit: no agents yet\n"
    ratchet.write("main.md", "Be kind to whoever asks, and say where you know it from. " * 5)
    assert ratchet("import", "--agent", "x", "--prompt", "main=main.md").code == 0
    said = ratchet("doctor", "--verify-audit")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("audit of x: 1 rows, unbroken, head ")
    assert ratchet.dsn is not None
    with psycopg.connect(ratchet.dsn, autocommit=True) as connection:
        connection.execute("set session_replication_role = replica")  # past the guard of an append-only table
        connection.execute("update ratchet.decisions set body = replace(body, 'main', 'mine')")
    said = ratchet("doctor", "--verify-audit")
    assert (said.code, said.out) == (1, "")
    assert said.sentence.startswith("audit of x: BROKEN: ")


def test_a_long_slug_does_not_cut_what_was_verified(ratchet: Ratchet) -> None:
    slug = "front-desk-of-the-hotel-at-the-lake"
    ratchet.write("main.md", "Be kind to whoever asks, and say where you know it from. " * 5)
    assert ratchet("import", "--agent", slug, "--prompt", "main=main.md").code == 0
    said = ratchet("doctor", "--verify-audit").out
    assert re.fullmatch(rf"audit of {slug}: 1 rows, unbroken, head [0-9a-f]{{12}}\n", said), said


def test_a_registry_without_its_address_stops_only_what_needs_it(ratchet: Ratchet) -> None:
    ratchet.approve("x", "registry = 'mlflow'")
    ratchet.write("main.md", "Be kind to whoever asks, and say where you know it from. " * 5)
    ratchet.write("day.jsonl", lines(line("a")))
    assert ratchet("import", "day.jsonl", "--agent", "x").code == 0
    assert "agent x (prod): registry mlflow" in ratchet("doctor").out
    for words in ("import --agent x --prompt main=main.md", "optimize --agent x"):
        said = ratchet(*words.split())
        assert (said.code, said.out) == (2, "")
        assert said.sentence.startswith("ratchet: The registry of 'x' is 'mlflow' in ratchet.toml, and MLFLOW_TRACKING")
    said = ratchet("doctor", "--verify-audit")
    assert (said.code, said.out) == (1, "")
    assert said.sentence.startswith("audit of x: not verified. The registry of 'x' is 'mlflow'")
    (ratchet.folder / "ratchet.toml").unlink()
    assert ratchet("import", "--agent", "x", "--prompt", "main=main.md").code == 0


def test_doctor_tells_what_is_there(ratchet: Ratchet) -> None:
    ratchet.approve("y")
    ratchet.write("day.jsonl", lines(line("a")))
    assert ratchet("import", "day.jsonl", "--agent", "x").code == 0
    said = ratchet("doctor")
    assert (said.code, said.err) == (0, "")
    assert "database (DATABASE_URL): reachable, schema up to date\n" in said.out
    assert "known agent x: 0 tools, prompts: none registered\n" in said.out
    assert "agent y: no traces yet; `ratchet import FILE --agent y`\n" in said.out, said.out


def test_doctor_stops_at_settings_that_are_wrong(ratchet: Ratchet) -> None:
    ratchet.write("ratchet.toml", "[agents.x]\nenviroment = 'prod'")
    said = ratchet("doctor")
    assert (said.code, said.out) == (2, "")
    assert "did you mean 'environment'?" in said.sentence
