"""The channel port: where people are talked to, and what each such place can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from bot.cards.card import Card
from optimizer.errors import RatchetError


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a channel can show and do; what it cannot is said in words."""

    buttons_max: int  # of one message; 0: replies are typed
    updates: bool  # a message that was sent can be changed
    threads: bool
    characters_max: int  # of one message
    pictures: bool
    window_hours: float | None = None  # how long after a person's message free words may be sent; None: always


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What is to be said. `lists`: the card shows a session, so its items get buttons where there are buttons;
    `waits`: that session takes decisions."""

    card: Card
    lists: bool = False
    waits: bool = True
    session_id: str | None = None
    picture: bytes | None = None  # PNG; its figures stand in the card's words
    window_open: bool = True  # False: the chat takes a template alone just now
    shown: Mapping[str, Any] | None = None  # item id -> what an approval of it is bound to, where numbers mean items


@dataclass(frozen=True, slots=True)
class Part:
    """One message of a vendor. `payload` is that channel's own; `text` what it says without markup."""

    text: str
    payload: dict[str, Any]


class SendError(RatchetError):
    """A message was not sent.

    `later`: another try may help, not before `retry_after_seconds`; `unknown`: it may have been sent; `window`: this
    chat takes templates alone just now; `never`: this chat cannot be reached; `refused`: the content is at fault.
    """

    def __init__(
        self,
        message: str,
        kind: Literal["later", "unknown", "window", "never", "refused"],
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.retry_after_seconds = retry_after_seconds


class Channel(Protocol):
    """One way to reach people, with all the chats that it has.

    Cards are neutral and their texts are safe to show as they are; a channel adds its own markup, and escapes what its
    markup would read. Rendering is pure; sending is bounded in time and never tried again by the channel itself.
    """

    @property
    def name(self) -> str:
        """The adapter: console, slack, twilio, green_api."""
        ...

    @property
    def capabilities(self) -> Capabilities: ...

    def parts(self, outgoing: Outgoing, *, plain: bool = False) -> tuple[Part, ...]:
        """The messages that say it, each within the vendor's limits. `plain`: without buttons and blocks."""
        ...

    async def chat_with(self, identity: str) -> str:
        """The chat with one person, by channel identity. Raises `SendError`."""
        ...

    async def send(self, chat: str, part: Part, *, thread: str | None, token: str) -> str:
        """Sends one message; returns the vendor's id. `token` goes with it where it can. Raises `SendError`."""
        ...

    async def update(self, chat: str, vendor_id: str, part: Part) -> None:
        """Changes a message that was sent; does nothing where the channel cannot. Raises `SendError`."""
        ...

    async def sent(self, chat: str, part: Part, *, thread: str | None, token: str, since: datetime) -> str | None:
        """The vendor's id of a message that a lost answer or a crash left unrecorded; None where it was not sent, or
        the vendor does not allow to look."""
        ...
