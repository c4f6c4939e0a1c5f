"""What has to hold before something is deployed: facts in, blocks out. Each block says who or what could lift it. Pure.

What a policy says about the text itself (protected sections, how much may change) is checked with the plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from optimizer.approve.machine import Refusal
from optimizer.approve.people import People, either
from optimizer.approve.quiet import quiet_until
from optimizer.records.freeze import Freeze, Standing
from optimizer.records.session import Item, Session, Vote
from optimizer.records.states import ItemState
from optimizer.settings.policies import PolicySettings
from optimizer.text.numbers import count

_DAY = timedelta(hours=24)


@dataclass(frozen=True)
class Block:
    """Why nothing is deployed now, in one sentence without its full stop."""

    refusal: Refusal
    sentence: str


@dataclass(frozen=True)
class Tally:
    """The people whose yes to an item counts, how many it needs, and who may still say it."""

    people: tuple[str, ...]  # in the order of their votes
    needed: int
    others: tuple[str, ...]

    @property
    def reached(self) -> bool:
        return len(self.people) >= self.needed


@dataclass(frozen=True)
class Ballot:
    """The items of one yes: those that have all they need with it, and those that wait for more people."""

    ready: frozenset[UUID]
    waiting: frozenset[UUID]
    tallies: Mapping[UUID, Tally]


@dataclass(frozen=True)
class Gate:
    """What a person is shown of the policies: why nothing can be deployed now, and how the votes stand."""

    block: Block | None = None
    tallies: Mapping[UUID, Tally] = field(default_factory=dict[UUID, Tally])
    may_approve: bool = False  # this person, now
    person: str = ""  # who looks
    noted: frozenset[UUID] = frozenset()  # items that have this person's yes, and wait for others


@dataclass(frozen=True)
class Policy:
    """The policies of one agent, with the people they are about."""

    settings: PolicySettings
    people: People

    def ballot(self, session: Session, wanted: frozenset[UUID], actor: str) -> Ballot:
        """What becomes of these items when `actor` says yes to them.

        An item waits too where one that it requires does: it would be nothing without it.
        """
        items = [item for item in session.items if item.id in wanted]
        tallies = {item.id: self.tally(session, item, actor) for item in items}
        waiting = {id_ for id_, tally in tallies.items() if not tally.reached}
        while held := {item.id for item in items if item.id not in waiting and waiting & set(item.requires)}:
            waiting |= held
        return Ballot(frozenset(tallies) - waiting, frozenset(waiting), tallies)

    def tally(self, session: Session, item: Item, yes: str | None = None) -> Tally:
        """How the item stands; `yes`: the channel identity of someone who says yes in this moment."""
        people = [vote.person for vote in self.votes(session, item)]
        if yes is not None and self._counts(session, yes):
            people.append(self.people.person(yes))
        distinct = tuple(dict.fromkeys(people))
        others = (one for one in self.people.deciders if one not in distinct and one != self._excluded(session))
        return Tally(distinct, self.settings.approvals_min, tuple(others))

    def votes(self, session: Session, item: Item) -> tuple[Vote, ...]:
        """The votes that count: by approvers of today, on the content and the base that the item has now.

        Each names the person as the settings do now: two identities may turn out to be one person.
        """
        if item.state is not ItemState.open:
            return ()
        return tuple(
            vote.model_copy(update={"person": self.people.person(vote.actor)})
            for vote in item.votes
            if vote.content_sha256 == item.content_sha256
            and vote.base_sha256 == item.base_sha256
            and self._counts(session, vote.actor)
        )

    def counted(self, session: Session) -> Session:
        """The session with no other votes than those that count."""
        items = (item.model_copy(update={"votes": self.votes(session, item)}) for item in session.items)
        return session.model_copy(update={"items": tuple(items)})

    def gate(self, session: Session | None, standing: Standing, actor: str, at: datetime) -> Gate:
        """How all of this stands for one person who looks."""
        block, person = self.blocked(standing, at), self.people.person(actor)
        if session is None:
            return Gate(block, person=person)
        tallies = {item.id: self.tally(session, item) for item in session.items if item.deployable}
        if block is None and tallies and self.people.may_decide(actor):
            block = self.asked_for_it(session, actor)
        noted = {id_ for id_, tally in tallies.items() if person in tally.people and not tally.reached}
        return Gate(block, tallies, block is None and self._counts(session, actor), person, frozenset(noted))

    def no_approver(self) -> Block:
        """Why someone who is not on the list decides nothing."""
        who = either(self.people.deciders)
        return Block(
            Refusal.not_allowed,
            f"You are not an approver of this agent; {f'{who} can decide' if who else 'ratchet.toml has to name one'}",
        )

    def alone(self) -> Block | None:
        """Why one person does not bring text live again that was taken out; None where one person may deploy."""
        needed = self.settings.approvals_min
        if needed < 2:
            return None
        return Block(
            Refusal.not_allowed,
            f"What goes live needs the yes of {needed} people, and this would have one; a run proposes it again in 7 "
            "days, if it still holds",
        )

    def asked_for_it(self, session: Session, actor: str) -> Block | None:
        """Why the yes of this person does not count: they asked for the run, where that excludes them."""
        excluded = self._excluded(session)
        if excluded is None or self.people.person(actor) != excluded:
            return None
        who = either([one for one in self.people.deciders if one != excluded])
        return Block(
            Refusal.requester,
            f"You asked for this run, so your own yes does not count here; {who or 'another approver'} can approve it",
        )

    def blocked(self, standing: Standing, at: datetime) -> Block | None:
        """Why nothing at all is deployed to the agent now."""
        if standing.freeze is not None:
            return Block(Refusal.frozen, self._frozen(standing.freeze))
        quiet = self.settings.quiet_hours
        until = quiet_until(quiet, at) if quiet else None
        if quiet is not None and until is not None:
            day = f"{until:%A} {until:%Y-%m-%d} " if until - at > _DAY else ""
            return Block(Refusal.quiet, f"Nothing is deployed until {day}{until:%H:%M} {quiet.timezone} (quiet hours)")
        return self._capped(standing.deployed_at, at)

    def _capped(self, deployed_at: Sequence[datetime], at: datetime) -> Block | None:
        allowed = self.settings.deployments_per_day_max
        counted = sorted(one for one in deployed_at if at - one < _DAY)
        if allowed is None or len(counted) < allowed:
            return None
        free = _utc(counted[-allowed] + _DAY)
        most = f"More than {count(allowed, 'deployment')} in 24 hours is not allowed"
        return Block(Refusal.capped, f"{most}; the next is possible from {free}")

    def _frozen(self, freeze: Freeze) -> str:
        who = either(self.people.deciders) or "an approver, when ratchet.toml names one,"
        reason = f" ({freeze.reason})" if freeze.reason else ""
        by = self.people.person(freeze.actor)
        return f'Deployments are frozen since {_utc(freeze.frozen_at)} by {by}{reason}; {who} can say "unfreeze"'

    def _counts(self, session: Session, actor: str) -> bool:
        return self.people.may_decide(actor) and self.people.person(actor) != self._excluded(session)

    def _excluded(self, session: Session) -> str | None:
        """The person who asked for the run, where the policy leaves them out."""
        asked = session.header.requested_by
        return self.people.person(asked) if asked and self.settings.requester_excluded else None


def _utc(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
