"""WhatsApp by Twilio, outbound: free words within 24 hours of the person's own, a template outside of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta

from bot.cards.card import Card, ItemLine, Line
from bot.channels.port import Capabilities, Outgoing, Part, SendError
from bot.channels.twilio.api import TwilioApi
from bot.channels.twilio.templates import CHANGES, DECIDE, NEWS, NO_CONTENTS, Contents
from bot.channels.whatsapp import IDENTITY, messages_of
from optimizer.text.numbers import count

NAME = "twilio"
CHARACTERS_MAX = 1_500  # Twilio takes 1,600
WINDOW_HOURS = 24.0
_CLOCKS_DIFFER = timedelta(seconds=2)
_REMEMBERED_MAX = 1_000
_DECIDING = frozenset({"deploy all", "skip"})

Hang = Callable[[bytes], str]  # a picture -> the address under which it can be fetched for a while


class TwilioChannel:
    """Implements `Channel` for one sender."""

    name = NAME

    def __init__(
        self,
        api: TwilioApi,
        sender: str,
        *,
        contents: Contents = NO_CONTENTS,
        callback_url: str | None = None,
        hang: Hang | None = None,
    ) -> None:
        """`callback_url` is told what becomes of a message; pictures are sent where `hang` gives them an address."""
        self._api = api
        self._sender = sender if sender.startswith(IDENTITY) else f"{IDENTITY}{sender}"
        self._contents = contents
        self._callback_url = callback_url
        self._hang = hang
        self._known: deque[str] = deque(maxlen=_REMEMBERED_MAX)
        self.capabilities = Capabilities(
            buttons_max=len(DECIDE.buttons) if contents.buttons else 0,
            updates=False,
            threads=False,
            characters_max=CHARACTERS_MAX,
            pictures=hang is not None,
            window_hours=WINDOW_HOURS,
        )

    def parts(self, outgoing: Outgoing, *, plain: bool = False) -> tuple[Part, ...]:
        card = outgoing.card
        if not outgoing.window_open:
            return (self._in_template(outgoing),)
        texts = tuple(Part(text, {}) for text in messages_of(card, CHARACTERS_MAX))
        if plain:
            return texts
        pictures: tuple[Part, ...] = ()
        if outgoing.picture is not None and self._hang is not None:
            pictures = (Part(messages_of(Card(card.header), CHARACTERS_MAX)[0], {"picture": outgoing.picture}),)
        return (*texts, *pictures, *self._buttons(card))

    def _buttons(self, card: Card) -> tuple[Part, ...]:
        """They stand below the list that they decide on, and a tap names their message: it cannot mean another list."""
        if self._contents.buttons is None or not _DECIDING.issubset(card.choices):
            return ()
        return (DECIDE.part(self._contents.buttons, f"the {_changes(card)} for {_subject(card)}"),)

    def _in_template(self, outgoing: Outgoing) -> Part:
        """`Ratchet: 3 changes waiting for blog-writer (prod). Reply LIST to see what.`: the rest comes after that."""
        card = outgoing.card
        if outgoing.lists:
            return CHANGES.part(self._contents.changes, _changes(card), _subject(card))
        told = " ".join(block.text for block in card.blocks if isinstance(block, Line))
        return NEWS.part(self._contents.news, _subject(card), told or "there is something to read.")

    async def chat_with(self, identity: str) -> str:
        return identity  # the address is the chat

    async def send(self, chat: str, part: Part, *, thread: str | None, token: str) -> str:
        form = {"From": self._sender, "To": chat}
        if "ContentSid" in part.payload:
            sid = part.payload["ContentSid"]
            if sid is None:
                raise SendError(
                    f"{chat} cannot be written to: outside the 24 h window, and no template is set; run "
                    f"`ratchet whatsapp setup`, and set {part.payload['variable']}.",
                    "never",
                )
            form |= {"ContentSid": sid, "ContentVariables": part.payload["ContentVariables"]}
        else:
            form["Body"] = part.text
        if "picture" in part.payload and self._hang is not None:
            form["MediaUrl"] = self._hang(part.payload["picture"])
        if self._callback_url:
            form["StatusCallback"] = self._callback_url
        sid = await self._api.send(form)
        self._known.append(sid)
        return sid

    async def update(self, chat: str, vendor_id: str, part: Part) -> None:
        """What was sent on WhatsApp stays as it is."""

    async def sent(self, chat: str, part: Part, *, thread: str | None, token: str, since: datetime) -> str | None:
        """Twilio keeps no token with a message: the same words to the same person since then are the same message.

        Words that were sent before and are known are another one; where it is in doubt, a message comes twice.
        """
        day = (since - timedelta(days=1)).strftime("%Y-%m-%d")
        for message in await self._api.listed(sender=self._sender, to=chat, since=day):
            sid, made_at = str(message.get("sid") or ""), _time(str(message.get("date_created") or ""))
            recent = made_at is not None and made_at >= since - _CLOCKS_DIFFER
            if recent and message.get("body") == part.text and sid not in self._known:
                self._known.append(sid)
                return sid
        return None


def _changes(card: Card) -> str:
    """`3 changes`: those that wait."""
    waiting = sum(1 for block in card.blocks if isinstance(block, ItemLine) and not block.closed)
    return count(max(waiting, 1), "change")


def _subject(card: Card) -> str:
    """`blog-writer (prod)`, of a list's header as of a notice's."""
    return card.header.partition(" self-analysis")[0]


def _time(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%a, %d %b %Y %H:%M:%S %z")
    except ValueError:
        return None
