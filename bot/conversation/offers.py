"""Which replies may be offered: those that work as they stand, for this person, at this moment. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from bot.conversation.asking import choices_for
from bot.conversation.commands import Action, PendingItem, Question
from bot.conversation.grammar import parse
from bot.conversation.orders import DECIDING, orders_of, pending_items, waiting_items
from optimizer.approve.machine import Kind, Order, is_expired, may_reopen
from optimizer.records.session import Session
from optimizer.records.states import ItemState, SessionState

_ALWAYS = ("status", "help")
_FOR_LISTED = frozenset({Action.RUN, Action.ROLLBACK, Action.UNDO, Action.STOP, Action.FREEZE})
_LATE = frozenset({Kind.mute, Kind.done})
_FROM = {
    Kind.restore: frozenset({ItemState.removed}),
    Kind.mute: frozenset({ItemState.open, ItemState.removed}),
}
_OPEN = frozenset({ItemState.open})


@dataclass(frozen=True, slots=True)
class Offers:
    """What one person may be offered about the session that they see."""

    session: Session | None
    at: datetime
    may_decide: bool
    may_take_back: bool
    prompts: tuple[str, ...] = ()  # the names of the agent's
    may_approve: bool = True  # no policy stands against it now
    said_yes: frozenset[UUID] = frozenset()  # items that have this person's yes, and wait for others

    @property
    def waiting(self) -> tuple[PendingItem, ...]:
        """The items about which something can still be said; none once the session is closed for good."""
        if not self.may_decide or not (self._is_open or self._may_reopen):
            return ()
        return tuple(one for one in waiting_items(self.session) if self._is_open or one.removed)

    def of(self, choices: Sequence[str]) -> tuple[str, ...]:
        """Those of the replies that work, best first; a few that always do where none of them would."""
        kept = tuple(choice for choice in choices if self.works(choice))
        if kept or not choices:
            return kept
        return tuple(choice for choice in choices_for(self.waiting) if self.works(choice)) or _ALWAYS

    def works(self, choice: str) -> bool:
        """Whether this reply is understood, and comes to something other than a question or a refusal."""
        answer = parse(choice, pending_items(self.session), self.prompts)
        if isinstance(answer, Question):
            return answer.acknowledgement is not None  # offered with a question of ours only
        deciding = [command for command in answer.commands if command.action in DECIDING]
        if any(command.action in _FOR_LISTED for command in answer.commands) and not self.may_take_back:
            return False
        if any(command.action is Action.UNFREEZE for command in answer.commands) and not self.may_decide:
            return False
        if not deciding:
            return True
        if self.session is None or not self.may_decide:
            return False
        orders = orders_of(deciding, answer.deploys, self.session)
        if orders.notices or not orders.orders:
            return False
        deploys = any(command.action is Action.DEPLOY for command in deciding)
        approved = frozenset[UUID]().union(*(one.items for one in orders.orders if one.kind is Kind.approve))
        approves = bool(approved)
        if approves and (not self.may_approve or approved <= self.said_yes):
            return False
        return deploys is approves and all(self._applies(order, self.session) for order in orders.orders)

    def _applies(self, order: Order, session: Session) -> bool:
        late = order.kind in _LATE and session.state in (SessionState.decided, SessionState.skipped)
        again = order.kind is Kind.restore and self._may_reopen
        if not (self._is_open or late or again):
            return False
        if order.kind in (Kind.approve, Kind.skip, Kind.snooze):
            return True  # what cannot be approved any more is no order
        states = _FROM.get(order.kind, _OPEN)
        return all(item.state in states for item in session.items if item.id in order.items)

    @property
    def _may_reopen(self) -> bool:
        return self.session is not None and may_reopen(self.session, self.at)

    @property
    def _is_open(self) -> bool:
        session = self.session
        return session is not None and session.state is SessionState.pending and not is_expired(session, self.at)
