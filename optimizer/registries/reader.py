"""The agent's side of the local registry: prompts by label, from memory, that follow a deployment within a second."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from optimizer.db.port import Database
from optimizer.errors import CallTooLong, DatabaseError, PromptNotFound
from optimizer.records.deployment import PromptVersion
from optimizer.registries.local import version_of

POLL_SECONDS = 0.25
PROMPTS_MAX = 500  # in memory: those that were read last
CHARACTERS_MAX = 50_000_000  # of their texts together
_CALL_SECONDS_MAX = 3.0
_AWAY_SECONDS_MAX = 2.0  # between two polls of a database that does not answer
CHANGES_MAX = 20  # in one answer: each comes with its text


class PromptRead(NamedTuple):
    """A version and how old the knowledge is that it is the current one.

    `version.version` and `version.sha256` name the content. `stale_seconds` is the time since the database last said
    so: below a second while it answers. `problem` is why it does not, in a sentence.
    """

    version: PromptVersion
    stale_seconds: float
    problem: str | None = None


class _Place(NamedTuple):
    agent: str
    prompt: str
    label: str | None  # None: the newest version


@dataclass
class _Known:
    version: PromptVersion
    checked_at: float


class PromptReader:
    """Reads of all agents of one database, in one process.

    The first read of a prompt asks the database; all others are answered from memory. One call, again and again, asks
    what became of all that is known: it needs neither a session nor a notification, so it works through any pooler and
    over PostgREST. Number, text and hash of an answer are always those of one version.
    """

    def __init__(
        self,
        database: Database,
        *,
        poll_seconds: float = POLL_SECONDS,
        prompts_max: int = PROMPTS_MAX,
        characters_max: int = CHARACTERS_MAX,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._poll_seconds = poll_seconds
        self._prompts_max = prompts_max
        self._characters_max = characters_max
        self._monotonic = monotonic
        self._known: OrderedDict[_Place, _Known] = OrderedDict[_Place, _Known]()
        self._problem: str | None = None

    async def read(self, agent: str, prompt: str, label: str | None = "prod") -> PromptRead:
        """The version under a label; with `label=None` the newest one.

        Raises `PromptNotFound` where there is none, and `DatabaseError` where the first read does not get through.
        """
        place = _Place(agent, prompt, label)
        known = self._known.get(place)
        if known is None:
            known = await self._load(place)
        else:
            self._known.move_to_end(place)
        return PromptRead(known.version, max(0.0, self._monotonic() - known.checked_at), self._problem)

    async def follow(self) -> None:
        """Keeps what is known up to date, until it is cancelled."""
        pause_seconds = self._poll_seconds
        try:
            while True:
                await asyncio.sleep(pause_seconds)
                try:
                    await self.catch_up()
                except DatabaseError as error:
                    self._problem = str(error)  # told by every read, until the database answers again
                    pause_seconds = min(2 * pause_seconds, max(_AWAY_SECONDS_MAX, self._poll_seconds))
                else:
                    self._problem, pause_seconds = None, self._poll_seconds
        finally:
            self._problem = "The reader does not follow any more; open it again."

    async def catch_up(self) -> None:
        """Asks what became of all that is known, until nothing of it has changed since it was asked."""
        while True:
            at = self._monotonic()
            asked = list(self._known.items())
            rows = await self._changes([_row(place, known.version) for place, known in asked]) if asked else []
            for row in rows:
                place, known = asked[int(row["place"])]
                # Where it was forgotten and read anew in between, what was read then is later than this answer.
                if self._known.get(place) is known:
                    self._hold(place, row["held"], at)
            if len(rows) < CHANGES_MAX:
                for _, known in asked:
                    known.checked_at = at
                return

    async def _load(self, place: _Place) -> _Known:
        at = self._monotonic()
        rows = await self._changes([_row(place, None)])
        if place in self._known:  # another read was faster
            return self._known[place]
        known = self._hold(place, rows[0]["held"], at) if rows else None
        if known is None:
            under = f"under the label {place.label!r}" if place.label is not None else "in any version"
            raise PromptNotFound(
                f"The local registry has no prompt {place.prompt!r} of {place.agent!r} {under}; correct the name, or "
                f"load it with `ratchet import --agent {place.agent} --prompt {place.prompt}=FILE`."
            )
        return known

    def _hold(self, place: _Place, held: Mapping[str, Any] | None, at: float) -> _Known | None:
        """Keeps what the database holds there (None: nothing any more), and forgets what was read longest ago."""
        if held is None:
            self._known.pop(place, None)
            return None
        known = self._known[place] = _Known(version_of(held), at)
        characters = sum(len(one.version.text) for one in self._known.values())
        while len(self._known) > self._prompts_max or (characters > self._characters_max and len(self._known) > 1):
            characters -= len(self._known.popitem(last=False)[1].version.text)
        return known

    async def _changes(self, known: list[dict[str, Any]]) -> list[dict[str, Any]]:
        try:
            async with asyncio.timeout(_CALL_SECONDS_MAX):
                return await self._database.call("prompts_changes", known=known, limit=CHANGES_MAX)
        except TimeoutError as error:
            raise CallTooLong(
                f"The database did not say within {_CALL_SECONDS_MAX:g} s which prompts are current; try again."
            ) from error


@asynccontextmanager
async def open_reader(
    database: Database,
    *,
    poll_seconds: float = POLL_SECONDS,
    prompts_max: int = PROMPTS_MAX,
    characters_max: int = CHARACTERS_MAX,
) -> AsyncGenerator[PromptReader]:
    """A reader that follows while it is open."""
    reader = PromptReader(database, poll_seconds=poll_seconds, prompts_max=prompts_max, characters_max=characters_max)
    following = asyncio.create_task(reader.follow())
    try:
        yield reader
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following


def _row(place: _Place, known: PromptVersion | None) -> dict[str, Any]:
    version, sha256 = (known.version, known.sha256) if known else (None, None)
    return {**place._asdict(), "version": version, "sha256": sha256}
