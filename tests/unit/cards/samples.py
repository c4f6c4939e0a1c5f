"""The session of the design's message, and what tests need beside it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from bot.cards.words import Reader
from optimizer.approve.door import Decided
from optimizer.approve.machine import Move, Refusal, Ruling
from optimizer.records.base import sha256_of
from optimizer.records.deployment import Deployment, Plan, PlannedDeployment
from optimizer.records.edits import Edit
from optimizer.records.facts import Fact
from optimizer.records.findings import Goal, ItemType, Watching, content_sha256
from optimizer.records.session import Header, Item, Session
from optimizer.records.states import DeploymentState, ItemState, SessionState
from optimizer.records.verdict import Comparison, Outcome, Verdict

NOW = datetime(2026, 2, 26, 6, 0, tzinfo=UTC)
READER = Reader(NOW, "console:erik", people={"slack:U012AB3CD": "dana"})

GHOST = "## Ghost\n- Push each post as a draft.\n- Never publish by yourself.\n"
CORE = f"You write posts for our blog.\n\n{GHOST}\n{{{{PLAYBOOKS}}}}\n\n## Once more\n{GHOST}\nBe kind.\n"
TEXTS = {"master_system_core": CORE}

TITLES = (
    (Goal.accuracy, ItemType.code_change, "write_article times out and is not tried again (9 sessions)"),
    (
        Goal.capability,
        ItemType.code_change,
        "inject_links not called for 24h, before that in 31% of sessions",
    ),
    (
        Goal.cost,
        ItemType.prompt_change,
        "Playbooks text stands twice in master_system_core (~650 tokens/turn)",
    ),
    (Goal.cost, ItemType.prompt_change, "Ghost block stands twice (~210 tokens/turn)"),
    (Goal.cost, ItemType.code_change, "Same research text passed 5x in one session (~120k tokens/day)"),
)
EDITS = {
    3: Edit(prompt="master_system_core", find="Be kind.", replace="Be kind and brief."),
    4: Edit(prompt="master_system_core", find=f"## Once more\n{GHOST}", replace=""),
}
FACTS = (
    Fact(
        id="F1",
        name="tool.error_rate",
        labels={"tool": "write_article"},
        value=0.118,
        n=212,
        baseline=0.004,
        samples=("s-17", "s-44"),
    ),
    Fact(id="F2", name="tool.abandoned", labels={"tool": "write_article"}, value=9, n=201, samples=("s-17",)),
    Fact(id="F3", name="prompt.duplicated_tokens", labels={"prompt": "master_system_core"}, value=650, n=None),
)
CITES = {1: ("F1", "F2"), 3: ("F3",)}


def uuid(number: int) -> UUID:
    return UUID(int=number)


def item(n: int, **changes: Any) -> Item:
    goal, type_, title = TITLES[(n - 1) % len(TITLES)]
    edits = (EDITS[n],) if n in EDITS else ()
    values: dict[str, Any] = {
        "id": uuid(n),
        "n": n,
        "agent": "blog-writer",
        "key": f"key:{n}",
        "rule": "rule",
        "goal": goal,
        "type": type_,
        "title": title,
        "detail": f"The reason of item {n} in plain words.",
        "facts": CITES.get(n, ()),
        "edits": edits,
        "base_sha256": {edit.prompt: sha256_of(CORE) for edit in edits},
        "requires": (),
        "content_sha256": content_sha256(type_, edits),
        "state": ItemState.open,
        "severity": 1.0,
        "first_seen_at": NOW,
    }
    return Item(**(values | changes))


def items(**changes: Any) -> tuple[Item, ...]:
    return tuple(item(n, **changes) for n in range(1, 6))


def header(**changes: Any) -> Header:
    return Header(**({"span": "24h", "sessions": 240, "cost_usd_mean": 0.0438} | changes))


def session(**changes: Any) -> Session:
    values: dict[str, Any] = {
        "id": uuid(100),
        "agent": "blog-writer",
        "run_id": uuid(101),
        "environment": "prod",
        "since": NOW - timedelta(hours=24),
        "until": NOW,
        "state": SessionState.pending,
        "revision": 1,
        "created_at": NOW,
        "expires_at": NOW + timedelta(days=3),
        "decided_at": None,
        "snoozed_until": None,
        "facts": FACTS,
        "header": header(),
        "watching": (),
        "dropped": (),
        "items": items(),
    }
    return Session(**(values | changes))


def with_states(states: dict[int, ItemState]) -> Session:
    return session(items=tuple(item(n, state=states.get(n, ItemState.open)) for n in range(1, 6)))


def deployment(state: DeploymentState = DeploymentState.live, **changes: Any) -> Deployment:
    values: dict[str, Any] = {
        "id": uuid(200),
        "agent": "blog-writer",
        "session_id": uuid(100),
        "batch_id": uuid(201),
        "ordinal": 0,
        "prompt": "master_system_core",
        "label": "prod",
        "follow": "label",
        "state": state,
        "revision": 1,
        "items": (uuid(3),),
        "actor": "slack:U012AB3CD",
        "base_version": 1,
        "base_sha256": sha256_of(CORE),
        "text": "new",
        "sha256": sha256_of("new"),
        "new_version": 2,
        "reason": None,
        "planned_at": NOW,
        "live_at": NOW - timedelta(hours=2),
        "seen_at": None,
        "ended_at": None,
        "verdict": None,
        "rollback": None,
        "worker": None,
        "lease_until": None,
        "steps": (),
    }
    return Deployment(**(values | changes))


def verdict(outcome: Outcome = Outcome.better, **changes: Any) -> Verdict:
    sides = {"n_before": 7200, "n_after": 240}
    values: dict[str, Any] = {
        "deployment_id": uuid(200),
        "prompt": "master_system_core",
        "base_version": 1,
        "new_version": 2,
        "sessions_before": 7200,
        "sessions_after": 240,
        "comparisons": (
            Comparison(
                metric="cost_usd", outcome=outcome, before=0.044, after=0.038,
                change=-0.142, low=-0.17, high=-0.11, **sides,
            ),
            Comparison(metric="success", outcome=Outcome.no_difference, before=0.88, after=0.89, **sides),
            Comparison(metric="errors", outcome=Outcome.no_difference, before=0.031, after=0.03, **sides),
        ),
        "outcome": outcome,
    }  # fmt: skip
    return Verdict(**(values | changes))


def watching(count: int) -> tuple[Watching, ...]:
    return tuple(Watching(key=f"k{n}", text=f"tool_{n} failed 2 of 12") for n in range(1, count + 1))


def plan(*numbers: int, **changes: Any) -> Plan:
    """The plan that deploys these items."""
    deployments = (
        PlannedDeployment(
            prompt="master_system_core",
            label="prod",
            follow="label",
            items=tuple(uuid(n) for n in numbers),
            base_version=1,
            base_sha256=sha256_of(CORE),
            text="new",
            sha256=sha256_of("new"),
        ),
    )
    return Plan(**({"deployments": deployments if numbers else (), "left_out": ()} | changes))


def decided(moves: Sequence[tuple[int, ItemState, ItemState]], **changes: Any) -> Decided:
    """A decision by moves (number, from, to); other fields of `Decided` and `Ruling` by name."""
    ruling = Ruling(
        moves=tuple(Move(uuid(n), source, target) for n, source, target in moves),
        session_state=changes.pop("session_state", None),
        failed=frozenset(uuid(n) for n, _, target in moves if target is ItemState.failed),
    )
    values: dict[str, Any] = {"ruling": ruling, "session": session(), "plan": None, "batch_id": None}
    return Decided(**(values | changes))


def refused(refusal: Refusal, **changes: Any) -> Decided:
    values: dict[str, Any] = {"session": session(), "plan": None, "batch_id": None}
    return Decided(ruling=Ruling(refusal=refusal), **(values | changes))
