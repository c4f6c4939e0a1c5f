"""The pure state machine: what an order may change in a session, and what it may not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from optimizer.records.deployment import Plan
from optimizer.records.findings import ItemType
from optimizer.records.session import Item, Session
from optimizer.records.states import ItemState, SessionState


class Kind(StrEnum):
    approve = "approve"
    remove = "remove"
    restore = "restore"
    mute = "mute"
    done = "done"
    skip = "skip"
    snooze = "snooze"


@dataclass(frozen=True)
class Order:
    """One thing that a person wants done with some items. `skip` and `snooze` are about the whole session."""

    kind: Kind
    items: frozenset[UUID] = frozenset()


@dataclass(frozen=True)
class Move:
    """One item goes from one state to the next."""

    item: UUID
    source: ItemState
    target: ItemState


class Refusal(StrEnum):
    """Why nothing happened."""

    not_allowed = "not_allowed"
    expired = "expired"
    superseded = "superseded"
    decided = "decided"
    skipped = "skipped"
    changed = "changed"  # the content is not what was shown
    stale = "stale"  # the prompt changed since it was shown
    nothing = "nothing"  # no item is left to which the order applies
    confirm = "confirm"  # each needs a second yes of its own
    unfit = "unfit"  # none of it could go live as it is
    requester = "requester"  # who asked for the run does not approve it
    frozen = "frozen"  # deployments of the agent are stopped
    quiet = "quiet"  # not at this time of the day or week
    capped = "capped"  # as many deployments as a day may have
    busy = "busy"  # another deployment of the prompt is under way
    unclear = "unclear"  # the orders contradict each other
    conflict = "conflict"  # someone else decided in between, again and again


@dataclass(frozen=True)
class Ruling:
    """What an order comes to: moves and the session's next state, or a refusal."""

    moves: tuple[Move, ...] = ()
    session_state: SessionState | None = None
    refusal: Refusal | None = None
    failed: frozenset[UUID] = frozenset()  # approved, and left out of the deployment
    noted: frozenset[UUID] = frozenset()  # a yes was given that is not enough yet: the item stays open


_CLOSED = {
    SessionState.superseded: Refusal.superseded,
    SessionState.decided: Refusal.decided,
    SessionState.skipped: Refusal.skipped,
    SessionState.expired: Refusal.expired,
}
_TARGET = {
    Kind.remove: ItemState.removed,
    Kind.restore: ItemState.open,
    Kind.mute: ItemState.muted,
    Kind.done: ItemState.done,
}
_FROM = {
    Kind.remove: frozenset({ItemState.open}),
    Kind.restore: frozenset({ItemState.removed}),
    Kind.mute: frozenset({ItemState.open, ItemState.removed}),
    Kind.done: frozenset({ItemState.open}),
}
# These deploy nothing: a person may say them after the session was decided or skipped.
_LATE = frozenset({Kind.mute, Kind.done})
_OPEN_TO_LATE = frozenset({SessionState.decided, SessionState.skipped})
# Once an item is one of these, a decision has had its effect.
_WENT_ON = frozenset({ItemState.approved, ItemState.deployed, ItemState.failed})
# An item that is approved cannot be answered like this in the same breath.
_NO = frozenset({Kind.remove, Kind.mute, Kind.done})


def is_expired(session: Session, at: datetime) -> bool:
    return session.state is SessionState.pending and at >= session.expires_at


def may_reopen(session: Session, at: datetime) -> bool:
    """Whether a removed item can bring a decided session back: nothing was approved, and its time is not over."""
    answered = session.state is SessionState.decided and at < session.expires_at
    return answered and not any(item.state in _WENT_ON for item in session.items)


def rule(
    session: Session,
    orders: Sequence[Order],
    plan: Plan | None,
    shown: Mapping[UUID, str],
    at: datetime,
    waiting: frozenset[UUID] = frozenset(),
) -> Ruling:
    """Applies the orders in turn, all or none. `shown` maps item ids to the content hash that the person saw.

    `waiting`: the items that need the yes of more people than have said it, so that the plan does not deploy them.
    """
    refusal = _closed(session, orders, at) or _unusable(session, orders, plan)
    if refusal is not None:
        return Ruling(refusal=refusal)
    if any(order.kind is Kind.snooze for order in orders):
        return Ruling()
    states = {item.id: item.state for item in session.items}
    moves: list[Move] = []
    noted: set[UUID] = set()
    for order in orders:
        for item in session.items:
            if item.id not in order.items and order.kind is not Kind.skip:
                continue
            if order.kind is not Kind.approve:
                step = _moves(item, states, Kind.remove if order.kind is Kind.skip else order.kind)
            elif any(move.item == item.id and move.target is ItemState.approved for move in moves):
                continue
            else:
                refusal = _approvable(item, states, plan, shown)
                if refusal is not None:
                    return Ruling(refusal=refusal)
                step = _approval(item, plan, waiting)
                noted |= {item.id} & waiting - _left_out(plan)
            states.update({move.item: move.target for move in step})
            moves.extend(step)
    skipped = any(order.kind is Kind.skip for order in orders)
    if not moves and not skipped and not noted:
        return Ruling(refusal=_why_nothing(plan))
    failed = frozenset(move.item for move in moves if move.target is ItemState.failed)
    return Ruling(tuple(moves), _next_state(session, states, skipped), None, failed, frozenset(noted))


def _left_out(plan: Plan | None) -> frozenset[UUID]:
    return frozenset(left.item for left in (plan.left_out if plan else ()))


def _why_nothing(plan: Plan | None) -> Refusal:
    if plan is None or not plan.left_out:
        return Refusal.nothing
    return Refusal.confirm if any(left.may_confirm for left in plan.left_out) else Refusal.unfit


def _closed(session: Session, orders: Sequence[Order], at: datetime) -> Refusal | None:
    """Why nothing more can be said about the session; None when it can."""
    if is_expired(session, at):
        return Refusal.expired
    if session.state in _OPEN_TO_LATE and all(order.kind in _LATE for order in orders):
        return None
    if any(order.kind is Kind.restore for order in orders) and may_reopen(session, at):
        return None
    return _CLOSED.get(session.state)


def _unusable(session: Session, orders: Sequence[Order], plan: Plan | None) -> Refusal | None:
    """Orders that are not about this session, contradict each other, or do not say what the plan would do."""
    named = frozenset[UUID]().union(*(order.items for order in orders))
    if named - {item.id for item in session.items}:
        return Refusal.nothing
    kinds = {order.kind for order in orders}
    approved = frozenset[UUID]().union(*(order.items for order in orders if order.kind is Kind.approve))
    refused = frozenset[UUID]().union(*(order.items for order in orders if order.kind in _NO))
    if approved & refused or {Kind.approve, Kind.skip} <= kinds or (Kind.snooze in kinds and len(kinds) > 1):
        return Refusal.unclear
    if plan is not None and plan.items - approved:
        return Refusal.changed
    return None


def _moves(item: Item, states: Mapping[UUID, ItemState], kind: Kind) -> list[Move]:
    if states[item.id] not in _FROM[kind]:
        return []
    return [Move(item.id, states[item.id], _TARGET[kind])]


def _approvable(
    item: Item, states: Mapping[UUID, ItemState], plan: Plan | None, shown: Mapping[UUID, str]
) -> Refusal | None:
    if item.type is not ItemType.prompt_change or states[item.id] is not ItemState.open:
        return Refusal.nothing
    if shown.get(item.id) != item.content_sha256:
        return Refusal.changed
    if plan is None:
        return Refusal.nothing
    if any(left.item == item.id and left.stale for left in plan.left_out):
        return Refusal.stale
    return None


def _approval(item: Item, plan: Plan | None, waiting: frozenset[UUID]) -> list[Move]:
    """Approved; and failed at once when the checks leave it out of the deployment for good."""
    asked = plan is not None and any(left.item == item.id and left.may_confirm for left in plan.left_out)
    if asked or item.id in waiting:
        return []  # it stays open: the person is asked, or others are
    moves = [Move(item.id, ItemState.open, ItemState.approved)]
    if plan is None or item.id not in plan.items:
        moves.append(Move(item.id, ItemState.approved, ItemState.failed))
    return moves


def _next_state(session: Session, states: Mapping[UUID, ItemState], skipped: bool) -> SessionState | None:
    """Decided when no deployable item is left open and at least one was answered with a deployment or a no.

    Pending again when one of a decided session was restored.
    """
    deployable = [item for item in session.items if item.type is ItemType.prompt_change]
    waiting = [item for item in deployable if states[item.id] is ItemState.open]
    if session.state is SessionState.decided and any(item.state is ItemState.removed for item in waiting):
        return SessionState.pending
    if session.state is not SessionState.pending:
        return None
    if skipped:
        return SessionState.skipped
    return SessionState.decided if deployable and not waiting else None
