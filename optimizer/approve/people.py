"""Who may do what. A channel identity is an opaque string such as `console:dana`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from optimizer.settings import Settings


@dataclass(frozen=True)
class People:
    """The allow-list of one agent. Empty means nobody."""

    approvers: frozenset[str]  # may decide
    listed: frozenset[str]  # may look, halt and take back
    names: Mapping[str, str] = field(default_factory=dict[str, str])  # channel identity -> person, of those named

    def may_decide(self, actor: str) -> bool:
        return actor in self.approvers

    def person(self, actor: str) -> str:
        """Who that is: one person may have several channel identities. Someone unnamed is their identity."""
        return self.names.get(actor, actor)

    @property
    def deciders(self) -> tuple[str, ...]:
        """The people who may decide, each once."""
        return tuple(sorted({self.person(actor) for actor in self.approvers}))

    @property
    def to_ask(self) -> str:
        """Whom someone asks who may not do it themselves: `dana or rui`."""
        return either(self.deciders) or "one of its approvers"

    def may_take_back(self, actor: str) -> bool:
        return actor in self.approvers or actor in self.listed


def either(names: Sequence[str]) -> str:
    """`dana`, `dana or rui`, `dana, rui or sam`."""
    return " or ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def people_of(settings: Settings, agent: str) -> People:
    """From `ratchet.toml`: the agent's approvers, and everyone under [people]."""

    def identities(names: Iterable[str]) -> frozenset[str]:
        return frozenset(identity for name in names for identity in settings.identities(name))

    names = {identity: name for name, person in settings.file.people.items() for identity in person.named}
    return People(identities(settings.agent(agent).approvers), identities(settings.file.people), names)
