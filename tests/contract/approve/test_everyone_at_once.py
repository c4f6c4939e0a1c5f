"""Several people, runs and workers at once: whatever the order, nothing goes live that was not approved."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import dict_row

from optimizer.approve.machine import Kind, Order
from optimizer.db.postgres import PostgresDatabase
from optimizer.errors import RegistryConflict
from optimizer.records.base import sha256_of
from optimizer.records.session import Item, Session
from optimizer.records.states import LIVE
from tests.builders import DANA, MALLORY, RUI, Office, approve, make_item, rule_line

STEPS = 60
LOG_OF_LABELS = """
create table moved (like ratchet.prompt_labels);
create function log_move() returns trigger language plpgsql as
  $$ begin insert into public.moved select new.*; return new; end $$;
create trigger log_moves after update on ratchet.prompt_labels for each row execute function log_move();
"""
Action = Callable[[], Awaitable[None]]


class Crowd:
    """Everyone who acts, with a random but repeatable choice of what they do."""

    def __init__(self, office: Office, seed: int) -> None:
        self.office = office
        self.random = random.Random(seed)
        self.seen: list[Session] = []  # sessions as people saw them, old ones too
        self.done: Counter[str] = Counter()

    async def act(self, name: str) -> None:
        for _ in range(STEPS):
            actions: list[Action] = [*[self.decide] * 6, *[self.work] * 4, self.run]
            actions += [self.take_back, self.halt, self.edit_by_hand] if self.random.random() < 0.4 else []
            action = self.random.choice(actions)
            await action()
            self.office.clock.advance(timedelta(minutes=self.random.choice([1, 5, 90])))

    async def run(self) -> None:
        """A new session of items on the texts of this moment; some are carried over."""
        worker = f"runner-{self.random.random()}"
        run_id, answer = await self.office.start_run(worker)
        if not answer["started"]:
            return
        texts = {name: (await self.office.current(name)).text for name in ("system", "playbooks")}
        answered = await self.office.sessions.answered(self.office.agent)
        items: list[Item] = []
        for n in range(1, 5):
            both = n == 4
            prompt = "playbooks" if n == 3 else "system"
            edits = [self._edit(prompt, n, texts)] + ([self._edit("playbooks", n, texts)] if both else [])
            item = make_item(n, edits, texts=texts)
            before = answered.get(item.key)
            if before is not None and before.state == "open" and before.content_sha256 == item.content_sha256:
                item = item.model_copy(update={"id": before.id})
            items.append(item)
        id_ = await self.office.save(items, run_id=run_id, worker=worker)
        if id_ is not None:
            self.done["run"] += 1
            self.seen.append(await self.office.read(id_))

    def _edit(self, prompt: str, n: int, texts: dict[str, str]):
        word = "Rule" if prompt == "system" else "Play"
        found = next(line for line in texts[prompt].splitlines() if line.startswith(f"{word} {n}:"))
        replaced = (
            f"{word} {n}: in edition {self.random.randrange(3)}" + found[found.index(",") if "," in found else 0 :]
        )
        return rule_line(n, prompt).model_copy(update={"find": found, "replace": replaced})

    async def decide(self) -> None:
        newest = await self.office.sessions.newest(self.office.agent)
        if newest is None or newest.state != "pending":
            return await self.run()
        session = newest if self.random.random() < 0.9 else self.random.choice([newest, *self.seen])
        chosen = [item for item in session.items if item.state == "open" or self.random.random() < 0.1]
        chosen = self.random.sample(chosen, self.random.randint(0, len(chosen)))
        orders = [
            approve(*chosen),
            approve(*chosen[:1]),
            Order(Kind.remove, frozenset(item.id for item in chosen[:1])),
            Order(Kind.restore, frozenset(item.id for item in chosen)),
            Order(Kind.mute, frozenset(item.id for item in chosen[1:2])),
            Order(Kind.skip),
        ]
        weights = [8, 8, 2, 2, 1, 1]
        picked = self.random.choices(orders, weights, k=self.random.choice([1, 1, 1, 2]))
        actor = self.random.choice([DANA, DANA, RUI, RUI, RUI, MALLORY])
        decided = await self.office.decide(session, *picked, actor=actor)
        self.done[f"decide {decided.refusal or 'yes'}"] += 1
        self.done["planned"] += decided.batch_id is not None
        return await self.run() if decided.refusal == "stale" else None

    async def work(self) -> None:
        worker = self.office.worker(f"worker-{self.random.randrange(3)}-{self.random.random()}")
        self.done["work"] += await worker.work()

    async def take_back(self) -> None:
        live = [one for one in await self.office.deployments.newest(self.office.agent) if one.state in LIVE]
        if live:
            chosen = self.random.choice(live[:3])
            self.done["take_back"] += await self.office.take_back(chosen, actor=RUI)

    async def halt(self) -> None:
        self.done["halt"] += await self.office.halt(RUI)

    async def edit_by_hand(self) -> None:
        held = await self.office.current("playbooks")
        published = await self.office.registry.publish(
            "playbooks",
            held.text.replace("Play 9:", f"Play 9: by hand {self.random.randrange(10**6)},", 1),
            commit_message="by hand",
            metadata={"by": "hand"},
            deployment_id=UUID(int=self.random.getrandbits(128)),
        )
        with suppress(RegistryConflict):
            await self.office.registry.move_label("playbooks", "prod", published.version, expected=held.version)
            self.done["by hand"] += 1


def rows(dsn: str, query: str) -> list[dict[str, Any]]:
    with psycopg.connect(dsn) as connection, connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query.encode()).fetchall()


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_the_order_only_what_was_approved_goes_live(
    dsn: str, database: PostgresDatabase, seed: int
) -> None:
    office = await Office(database).open()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(LOG_OF_LABELS.encode())
    crowd = Crowd(office, seed)
    await asyncio.gather(*(crowd.act(name) for name in ("dana", "rui", "run", "worker-1", "worker-2")))
    while await office.worker("last").work():
        pass
    assert crowd.done["planned"]
    assert crowd.done["work"]

    await audit_holds(office)
    everything_live_was_approved(dsn)
    each_deployment_happened_once(dsn)
    items_and_deployments_agree(dsn)
    labels_point_to_known_texts(dsn)


async def audit_holds(office: Office) -> None:
    anchors = frozenset(
        version.metadata["audit_head"]
        for version in await office.registry.history()
        if "audit_head" in version.metadata
    )
    report = await office.audit.verify(office.agent, anchors)
    assert report.problem is None


def everything_live_was_approved(dsn: str) -> None:
    """Each published text is one that a listed approver said yes to, made of items that were shown to them."""
    decisions = [json.loads(row["body"]) for row in rows(dsn, "select body from ratchet.decisions order by seq")]
    approved: dict[str, set[str]] = {}
    for body in decisions:
        if body["kind"] == "decision":
            assert body["actor"] in (DANA, RUI)
            for deployment in body["deployments"]:
                yes = {item["id"] for item in body["items"] if item["to"] == "approved"}
                approved[deployment["sha256"]] = approved.get(deployment["sha256"], set()) | yes
    hashes = {
        row["id"]: row["content_sha256"] for row in rows(dsn, "select id::text, content_sha256 from ratchet.items")
    }
    for body in decisions:
        for item in body.get("items", []) if body["kind"] == "decision" else []:
            assert hashes[item["id"]] == item["content_sha256"]
    for deployment in rows(dsn, "select * from ratchet.deployments"):
        assert deployment["sha256"] in approved
        assert set(deployment["items"]) <= approved[deployment["sha256"]]
        assert sha256_of(deployment["text"]) == deployment["sha256"]


def each_deployment_happened_once(dsn: str) -> None:
    under_way = rows(
        dsn, "select id from ratchet.deployments where state in ('planned', 'publishing', 'published', 'verifying')"
    )
    assert under_way == []
    published = rows(
        dsn,
        "select d.id, d.state, d.sha256, d.new_version, v.version, v.sha256 as held from ratchet.deployments d"
        " left join ratchet.prompt_versions v on v.deployment_id = d.id",
    )
    assert len({row["id"] for row in published}) == len(published)
    for row in published:
        if row["state"] in ("live", "seen", "rolled_back"):
            assert (row["new_version"], row["sha256"]) == (row["version"], row["held"])
    for step in ("publish", "move_label"):
        again = rows(
            dsn,
            "select deployment_id from ratchet.deployment_steps"
            f" where step = '{step}' and phase = 'after' group by 1 having count(*) > 1",
        )
        assert again == []


def items_and_deployments_agree(dsn: str) -> None:
    items = {row["id"]: row["state"] for row in rows(dsn, "select id::text, state from ratchet.items")}
    assert "approved" not in items.values()
    parts: dict[str, list[dict[str, Any]]] = {}
    for deployment in rows(dsn, "select * from ratchet.deployments"):
        for item in deployment["items"]:
            parts.setdefault(item, []).append(deployment)
    for item, state in items.items():
        states = [one["state"] for one in parts.get(item, [])]
        if state == "deployed":
            assert states
            stuck = any("failed" in (one["rollback"] or {}) for one in parts[item])
            assert stuck or set(states) <= {"live", "seen"}
        elif state == "stale":  # somebody's version was in the way: nothing of it went live
            assert set(states) <= {"failed", "halted"}
        elif state != "failed":
            assert states == []
    pending = rows(dsn, "select agent from ratchet.sessions where state = 'pending' group by 1 having count(*) > 1")
    assert pending == []


def labels_point_to_known_texts(dsn: str) -> None:
    """A label only ever stood on a text of a person's hand, or of a deployment that went live.

    Or of one that a person's hand took the label from before its worker had read it back: that one has failed.
    """
    moves = rows(
        dsn,
        "select v.commit_message, d.state, d.live_at,"
        " lead(v.commit_message)"
        " over (partition by moved.agent, moved.prompt, moved.label order by moved.moves) as next"
        " from moved join ratchet.prompt_versions v using (agent, prompt, version)"
        " left join ratchet.deployments d on d.id = v.deployment_id",
    )
    assert moves
    for move in moves:
        went_live = move["live_at"] and move["state"] != "halted"
        overtaken = move["state"] == "failed" and move["next"] == "by hand"
        assert move["commit_message"] == "by hand" or went_live or overtaken, move
    stand = rows(
        dsn,
        "select v.commit_message, d.state from ratchet.prompt_labels join ratchet.prompt_versions v"
        " using (agent, prompt, version) left join ratchet.deployments d on d.id = v.deployment_id",
    )
    for label in stand:
        assert label["commit_message"] == "by hand" or label["state"] in ("live", "seen"), label
