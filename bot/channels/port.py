"""The channel port."""

from __future__ import annotations

from typing import Protocol

from bot.cards.card import Card


class Channel(Protocol):
    """One place where one conversation is held: a terminal, a Slack thread, a WhatsApp chat.

    Cards are neutral and their texts are safe to show as they are; a channel adds its own markup, and escapes
    what its markup would read. Failures of the transport are errors of ours, raised to the caller.
    """

    @property
    def name(self) -> str:
        """The channel of an identity and of an audit row: `console`."""
        ...

    async def send(self, card: Card) -> None:
        """Says something new."""
        ...

    async def update(self, card: Card) -> None:
        """The card that lists the items reads like this now.

        A channel that can edit changes what it sent before; any other takes over which replies work.
        """
        ...
