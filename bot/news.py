"""Which notices are told to people, and how: the quiet ones once a week, and lists that nobody answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from bot.timing import WEEK, waits_for_its_week
from optimizer.clock import timezone_named
from optimizer.settings import Settings
from optimizer.stores.audit import Notice
from optimizer.stores.reminders import ReminderStore

# Kinds that every chat of an agent is told; the others are for who asks.
TOLD = frozenset(
    {
        "session_pending",
        "session_alarm",
        "session_expired",
        "decision",
        "deployment_live",
        "deployment_failed",
        "deployment_halted",
        "deployment_rolled_back",
        "rollback_failed",
        "run_failed",
        "verdict",
    }
)
# What its author was answered already. A deployment ends after the answer: that is told to all.
_ANSWERED = frozenset({"decision", "deployment_halted"})


@dataclass(frozen=True)
class News:
    """A notice as it is told; `key` is what makes it once in each chat."""

    notice: Notice
    key: str


@dataclass(frozen=True)
class Newsroom:
    settings: Settings
    store: ReminderStore

    async def news_of(self, notice: Notice, agent: str) -> News | None:
        """None where nobody is told."""
        if notice.kind == "session_quiet":
            return await self._quiet(notice, agent)
        if notice.kind not in TOLD:
            return None
        if notice.kind == "session_pending" and notice.session_id:
            return await self._list(notice, agent, UUID(notice.session_id))
        if notice.kind == "session_expired" and notice.session_id:
            ignored = await self.store.ignored(agent, UUID(notice.session_id))
            return News(notice, f"notice:{notice.id}") if ignored.told else None
        return News(notice, f"notice:{notice.id}")

    async def _list(self, notice: Notice, agent: str, session_id: UUID) -> News | None:
        settings = self.settings.agent(agent).notices
        before = await self.store.ignored(agent, session_id)
        if waits_for_its_week(before.sessions, before.told_at, notice.created_at, settings):
            return None
        is_weekly = bool(settings.weekly_after_ignored) and before.sessions >= settings.weekly_after_ignored
        body = {**notice.body, "ignored": before.sessions} if is_weekly else notice.body
        return News(replace(notice, body=body), f"notice:{notice.id}")

    async def _quiet(self, notice: Notice, agent: str) -> News | None:
        section = self.settings.agent(agent)
        match section.notices.all_quiet:
            case "each":
                return News(notice, f"notice:{notice.id}")
            case "weekly":
                at = notice.created_at
                local = at.astimezone(timezone_named(section.schedule.timezone)).isocalendar()
                week = await self.store.week(agent, at - WEEK, at)
                told = replace(notice, kind="week_quiet", body=dict(week))
                return News(told, f"week:{agent}:{local.year}-{local.week:02}")
            case _:
                return None


def is_own(notice: Notice, person: str | None, people: Mapping[str, str]) -> bool:
    """Whether that person did it, and was answered. `people`: channel identity -> a name under [people]."""
    return (
        notice.kind in _ANSWERED
        and person is not None
        and notice.actor is not None
        and people.get(notice.actor) == person
    )
