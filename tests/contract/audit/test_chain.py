"""The audit chain: it verifies, it cannot be changed, and what was changed all the same is found."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from optimizer.db.postgres import PostgresDatabase
from optimizer.stores.audit import AuditStore, audit_body
from tests.builders import AGENT, NOON, Office, make_item

# What a person with every right on the database could do.
WITHOUT_TRIGGER = "alter table ratchet.decisions disable trigger user"


@pytest.fixture
async def audit(database: PostgresDatabase) -> AuditStore:
    """A chain of five rows."""
    store = AuditStore(database)
    for number in range(5):
        await store.write(AGENT, audit_body("test", number=number, words="d\u00e9ploie 3 \U0001f680 'now'"), NOON)
    return store


def execute(dsn: str, *statements: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


async def test_a_chain_verifies(audit: AuditStore) -> None:
    report = await audit.verify(AGENT)
    assert (report.problem, report.rows) == (None, 5)
    assert report.head == await audit.head(AGENT)


async def test_an_agent_without_decisions_has_an_empty_chain(audit: AuditStore) -> None:
    report = await audit.verify("another")
    assert (report.problem, report.rows, report.head) == (None, 0, "0" * 64)


async def test_writers_at_once_make_one_chain(audit: AuditStore) -> None:
    await asyncio.gather(*(audit.write(AGENT, audit_body("test", number=number), NOON) for number in range(30)))
    report = await audit.verify(AGENT)
    assert (report.problem, report.rows) == (None, 35)


async def test_a_long_chain_is_read_in_pages(database: PostgresDatabase, dsn: str) -> None:
    store = AuditStore(database)
    execute(
        dsn,
        "select ratchet.audit_append('blog-writer', '{\"number\":' || n || '}', now()) from generate_series(1, 2050) n",
    )
    report = await store.verify(AGENT)
    assert (report.problem, report.rows) == (None, 2050)


@pytest.mark.parametrize(
    "statement",
    [
        "update ratchet.decisions set body = body",
        "delete from ratchet.decisions where seq = 5",
        "truncate ratchet.decisions",
    ],
)
async def test_rows_are_neither_changed_nor_removed(audit: AuditStore, dsn: str, statement: str) -> None:
    with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
        execute(dsn, statement)
    assert (await audit.verify(AGENT)).rows == 5


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("update ratchet.decisions set body = replace(body, '2', '7') where seq = 3", "row 3 was changed"),
        ("update ratchet.decisions set sha256 = repeat('a', 64) where seq = 3", "row 3 was changed"),
        ("update ratchet.decisions set prev_sha256 = repeat('a', 64) where seq = 3", "row 3 was changed"),
        (
            'update ratchet.decisions set body = \'{"kind":"forged"}\', sha256 = '
            "encode(sha256(convert_to(prev_sha256 || '{\"kind\":\"forged\"}', 'UTF8')), 'hex') where seq = 3",
            "row 4 was changed",
        ),
        ("delete from ratchet.decisions where seq = 3", "row 3 is missing"),
        ("delete from ratchet.decisions where seq = 1", "row 1 is missing"),
        ("delete from ratchet.decisions where seq = 5", "ends at row 4, its head says row 5"),
        ("delete from ratchet.decisions", "ends at row 0, its head says row 5"),
        ("update ratchet.decision_heads set sha256 = repeat('a', 64)", "its head says another hash"),
        ("update ratchet.decision_heads set seq = 4", "ends at row 5, its head says row 4"),
        ("delete from ratchet.decision_heads", "ends at row 5, its head says row 0"),
    ],
)
async def test_what_was_changed_all_the_same_is_found(
    audit: AuditStore, dsn: str, statement: str, problem: str
) -> None:
    execute(dsn, WITHOUT_TRIGGER, statement)
    report = await audit.verify(AGENT)
    assert report.problem is not None
    assert problem in report.problem


async def test_a_row_that_was_given_another_time_is_found(database: PostgresDatabase, dsn: str) -> None:
    store = AuditStore(database)
    await store.write(AGENT, audit_body("test", at="2026-03-02T12:00:00Z"), NOON)
    assert (await store.verify(AGENT)).problem is None
    execute(dsn, WITHOUT_TRIGGER, "update ratchet.decisions set at = at - interval '1 day'")
    assert "row 1 was changed" in str((await store.verify(AGENT)).problem)


async def test_a_chain_that_was_cut_and_mended_is_found_by_what_was_published(
    database: PostgresDatabase, dsn: str
) -> None:
    office = await Office(database).open()
    await office.deployed([make_item(1)])
    anchors = frozenset(
        version.metadata["audit_head"]
        for version in await office.registry.history()
        if "audit_head" in version.metadata
    )
    assert len(anchors) == 1
    assert (await office.audit.verify(AGENT, anchors)).problem is None
    execute(
        dsn,
        WITHOUT_TRIGGER,
        "delete from ratchet.decisions where seq > 1",
        "update ratchet.decision_heads set (seq, sha256) = (select seq, sha256 from ratchet.decisions)",
    )
    assert (await office.audit.verify(AGENT)).problem is None
    assert "1 published version(s)" in str((await office.audit.verify(AGENT, anchors)).problem)
