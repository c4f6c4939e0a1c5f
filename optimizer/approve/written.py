"""What is written with a decision, and with a refusal: audit rows and notices. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from optimizer.approve.machine import Ruling
from optimizer.approve.policy import Block, Tally
from optimizer.approve.provenance import Confirmed
from optimizer.clock import iso
from optimizer.records.deployment import Plan
from optimizer.records.session import Item, Session
from optimizer.records.states import ItemState
from optimizer.stores.audit import audit_body

_STAYS_OUT = frozenset({ItemState.approved, ItemState.failed})


@dataclass(frozen=True)
class Said:
    """Who said it, where, in which words, and as what it was understood."""

    actor: str  # channel identity: "console:dana"
    channel: str
    chat: str
    words: str
    understood: str
    message: str | None = None  # the channel's name of the message: what came of it is looked up by it


def votes(session: Session, ruling: Ruling, said: Said, person: str) -> list[dict[str, Any]]:
    """The votes of a decision: those that it gives, and those that a no or a restored item takes away."""
    cleared = {move.item for move in ruling.moves if move.target not in _STAYS_OUT}
    gone = [
        {"item_id": str(item.id), "person": vote.person}
        for item in session.items
        if item.id in cleared
        for vote in item.votes
    ]
    given = [
        {
            "item_id": str(item.id),
            "person": person,
            "actor": said.actor,
            "content_sha256": item.content_sha256,
            "base_sha256": item.base_sha256,
            "words": said.words,
        }
        for item in session.items
        if item.id in ruling.noted
    ]
    return gone + given


def decision(
    session: Session,
    ruling: Ruling,
    plan: Plan | None,
    said: Said,
    confirmed: Confirmed,
    tallies: Mapping[UUID, Tally],
    at: datetime,
) -> str:
    by_id = {item.id: item for item in session.items}
    return audit_body(
        "decision",
        at=iso(at),
        **asdict(said),
        session_id=str(session.id),
        session_revision=session.revision,
        session_state=ruling.session_state.value if ruling.session_state else session.state.value,
        items=[
            {**_bound(by_id[move.item]), "from": move.source.value, "to": move.target.value} for move in ruling.moves
        ],
        votes=[
            {**_bound(item), "people": tallies[item.id].people, "needed": tallies[item.id].needed}
            for item in session.items
            if item.id in ruling.noted
        ],
        deployments=[
            {"prompt": one.prompt, "base_version": one.base_version, "sha256": one.sha256}
            for one in (plan.deployments if plan else ())
        ],
        left_out=[{"n": left.n, "reason": left.reason} for left in (plan.left_out if plan else ())],
        confirmed={str(item): sorted(checks) for item, checks in confirmed.items()},
    )


def _bound(item: Item) -> dict[str, Any]:
    """An item by all that an approval is bound to."""
    return {
        "id": str(item.id),
        "n": item.n,
        "title": item.title,
        "content_sha256": item.content_sha256,
        "base_sha256": item.base_sha256,
    }


def refused(session: Session, said: Said, reason: str, block: Block | None, at: datetime) -> str:
    return audit_body(
        "refused",
        at=iso(at),
        **asdict(said),
        session_id=str(session.id),
        session_revision=session.revision,
        reason=reason,
        blocked=block.sentence if block else None,
    )


def expired(session: Session, at: datetime) -> str:
    return audit_body("expired", at=iso(at), session_id=str(session.id), expires_at=iso(session.expires_at))


def notice(session: Session, ruling: Ruling, said: Said, tallies: Mapping[UUID, Tally]) -> dict[str, Any]:
    by_id = {item.id: item for item in session.items}
    noted = [item for item in session.items if item.id in ruling.noted]
    return {
        "kind": "decision",
        "session_id": str(session.id),
        "actor": said.actor,
        "body": {
            "words": said.words,
            "understood": said.understood,
            "session_state": ruling.session_state.value if ruling.session_state else None,
            "items": [{"n": by_id[move.item].n, "to": move.target.value} for move in ruling.moves],
            "votes": [
                {"n": item.n, "people": len(tallies[item.id].people), "needed": tallies[item.id].needed}
                for item in noted
            ],
        },
    }
