"""What is said to the bot in a chat that is not its alone: the agent's own chat, or a group."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from bot.conversation.beside import is_acknowledgement, is_order
from bot.conversation.orders import pending_items
from bot.surfaces import Surfaces
from optimizer.records.messages import Inbound
from optimizer.stores.messages import DeliveryStore, InboundStore
from optimizer.wiring import Ratchet


@dataclass(frozen=True)
class Relay:
    """Decides without a word; whatever is not clearly for the bot is not."""

    ratchet: Ratchet
    surfaces: Surfaces
    inbound: InboundStore
    deliveries: DeliveryStore

    async def mine(self, message: Inbound) -> bool:
        """A command of someone who is listed, or their answer to a message or an open question of ours.

        The same again, when the message is handed on again: what it did may have changed what it would mean now.
        """
        if await self.inbound.is_kept(message.channel, message.vendor_id):
            return True
        if message.forwarded or message.media:
            return False
        agent, session_id, is_answer = await self._about(message)
        if agent is None or not self.ratchet.people_of(agent).may_take_back(message.actor):
            return False
        if is_answer:
            return True
        if message.quoted is not None:  # they answer somebody else
            return False
        return await self._is_command(message, agent, session_id) or await self._is_awaited(message)

    async def _about(self, message: Inbound) -> tuple[str | None, UUID | None, bool]:
        """The agent, the session that numbers mean, and whether a message of ours is quoted."""
        if message.quoted is not None:
            quoted = await self.deliveries.find(message.channel, message.chat, message.quoted)
            if quoted is not None:
                return quoted.agent or await self.surfaces.agent_of(message, None), quoted.session_id, True
        newest = await self.deliveries.newest_list(message.channel, message.chat)
        return await self.surfaces.agent_of(message, newest), newest.session_id if newest else None, False

    async def _is_command(self, message: Inbound, agent: str, session_id: UUID | None) -> bool:
        if session_id is not None:
            session = await self.ratchet.sessions.read(session_id)
        else:
            session = await self.ratchet.sessions.newest(agent)
        known = await self.ratchet.agents.find(agent)
        prompts = {**(known.prompts if known else {}), **self.ratchet.prompts.configured(agent)}
        return is_order(message.text, pending_items(session), tuple(prompts))

    async def _is_awaited(self, message: Inbound) -> bool:
        if not is_acknowledgement(message.text):
            return False
        now = self.ratchet.clock.now()
        return await self.ratchet.questions.open(message.channel, message.chat, message.actor, now) is not None
