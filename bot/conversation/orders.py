"""From commands over numbers to orders over immutable item ids. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from bot.cards.words import are
from bot.conversation.commands import Action, Command, PendingItem
from optimizer.approve.machine import Kind, Order
from optimizer.records.findings import ItemType
from optimizer.records.session import Session
from optimizer.records.states import ItemState

_KINDS = {
    Action.REMOVE: Kind.remove,
    Action.RESTORE: Kind.restore,
    Action.MUTE: Kind.mute,
    Action.DONE: Kind.done,
    Action.SKIP: Kind.skip,
    Action.SNOOZE: Kind.snooze,
}
_ANSWERED = {
    ItemState.removed: "removed",
    ItemState.approved: "going live already",
    ItemState.deployed: "live already",
    ItemState.failed: "not open any more: left out, halted or taken back",
    ItemState.stale: "not possible any more: the prompt changed",
    ItemState.muted: "muted",
    ItemState.done: "done",
    ItemState.wont_fix: "not to be done",
    ItemState.intended: "intended",
}
DECIDING = frozenset({Action.DEPLOY, *_KINDS})


@dataclass(frozen=True, slots=True)
class Orders:
    """What a run of deciding commands asks for, and what has to be said about numbers that are closed."""

    orders: tuple[Order, ...]
    notices: tuple[str, ...]


def pending_items(session: Session | None) -> tuple[PendingItem, ...]:
    """The session's items as the grammar needs them."""
    if session is None:
        return ()
    return tuple(
        PendingItem(item.n, item.type.value, removed=item.state is ItemState.removed) for item in session.items
    )


def waiting_items(session: Session | None) -> tuple[PendingItem, ...]:
    """Those about which something can still be said."""
    return tuple(one for one in pending_items(session) if session and _waits(session, one.n))


def _waits(session: Session, n: int) -> bool:
    item = session.numbered(n)
    return item is not None and item.state in (ItemState.open, ItemState.removed)


def orders_of(commands: Sequence[Command], deploys: Sequence[int], session: Session) -> Orders:
    """One decision of all these commands, in their order. `deploys`: what the grammar says is deployed."""
    orders: list[Order] = []
    notices: list[str] = []
    restored: set[int] = set()
    for command in commands:
        if command.action is Action.DEPLOY:
            numbers = [n for n in deploys if n in command.items]
            closed = {n: reason for n in numbers if (reason := _closed(session, n, restored)) is not None}
            wanted = _ids(session, [n for n in numbers if n not in closed])
            if wanted:
                orders.append(Order(Kind.approve, wanted))
            # "all" means what is left; a number that was named is answered for.
            if not (command.all_items and wanted):
                notices += _told(closed)
        else:
            if command.action is Action.RESTORE:
                restored.update(command.items)
            orders.append(Order(_KINDS[command.action], _ids(session, command.items)))
    return Orders(tuple(orders), tuple(notices))


def _closed(session: Session, n: int, restored: set[int]) -> str | None:
    """Why a number cannot be deployed any more; None while it is open."""
    item = session.numbered(n)
    if item is None or item.type is not ItemType.prompt_change:
        return "not to be deployed"
    if n in restored:
        return None
    return _ANSWERED.get(item.state)


def _told(closed: Mapping[int, str]) -> list[str]:
    """`1 and 3 are live already.`"""
    reasons = dict.fromkeys(closed.values())
    return [f"{are([n for n in closed if closed[n] == reason])} {reason}." for reason in reasons]


def _ids(session: Session, numbers: Sequence[int]) -> frozenset[UUID]:
    return frozenset(item.id for item in session.items if item.n in numbers)
