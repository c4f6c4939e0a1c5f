"""Reminders of what waits, and the end of what nobody answered."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from bot.surfaces import Surfaces
from bot.timing import Reminder, Waiting, next_reminder
from optimizer.clock import timezone_named
from optimizer.errors import RatchetError
from optimizer.stores.audit import Notice
from optimizer.stores.reminders import ReminderStore, WaitingSession

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reminders:
    """For all agents; safe with any number of workers."""

    surfaces: Surfaces
    store: ReminderStore

    async def work(self) -> int:
        """Closes sessions whose time is over, and writes the reminders that are due; returns how many of both."""
        done = 0
        for session in await self.store.waiting():
            try:
                done += await self._meet(session)
            except RatchetError as error:  # the next turn tries again; the other agents do not wait for it
                _log.error("the reminder of %r waits: %s", session.agent, error)
        return done

    async def _meet(self, session: WaitingSession) -> bool:
        now = self.surfaces.ratchet.clock.now()
        if session.expires_at <= now:
            return await self.surfaces.ratchet.decisions.expire(session.agent)
        is_snoozed = session.snoozed_until is not None and session.snoozed_until > now
        return session.told and not is_snoozed and await self._remind(session)

    async def _remind(self, session: WaitingSession) -> bool:
        ratchet = self.surfaces.ratchet
        now = ratchet.clock.now()
        settings = ratchet.settings.agent(session.agent).notices
        waiting = Waiting(session.created_at, session.expires_at, session.snoozed_until, session.reminded_at)
        people = ratchet.settings.file.people
        named = [
            (name, timezone_named(people[name].timezone))
            for name in ratchet.settings.agent(session.agent).approvers
            if self.surfaces.has_place(name)
        ]
        due = next_reminder(waiting, named, settings)
        if due is None or due.at > now:
            return False
        place = await self.surfaces.place_of(due.person)
        if place is None:
            return False
        row = self.surfaces.reminder_row(_notice(session, due), session.agent, place)
        return await self.store.add(session.id, [row], now)


def _notice(session: WaitingSession, due: Reminder) -> Notice:
    return Notice(0, "session_reminder", str(session.id), None, {"n": due.n}, due.at)
