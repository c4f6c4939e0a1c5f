"""Inbound messages and deliveries over the database port."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from optimizer.db.port import Database
from optimizer.records.messages import Arrived, Delivery, Inbound


class InboundStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, message: Inbound, at: datetime) -> bool:
        """Keeps it; False when the same message came before. Once this returns it is not lost."""
        answer = await self._database.call(
            "inbound_put",
            channel=message.channel,
            vendor_id=message.vendor_id,
            chat=message.chat,
            actor=message.actor,
            message=message.model_dump(mode="json"),
            at=at,
        )
        return bool(answer["new"])

    async def newest_at(self, channel: str, chat: str) -> datetime | None:
        """When something arrived there last."""
        at = await self._database.call("inbound_newest_at", channel=channel, chat=chat)
        return datetime.fromisoformat(at) if at else None

    async def claim(self, worker: str, lease_seconds: int) -> Arrived | None:
        """The oldest message that waits, in a chat where none before it does; None when there is none."""
        row = await self._database.call("inbound_claim", worker=worker, lease_seconds=lease_seconds)
        return Arrived.model_validate(row) if row else None

    async def done(
        self, id_: int, worker: str, deliveries: Sequence[dict[str, Any]], at: datetime, *, error: str | None = None
    ) -> bool:
        """Ends the work on a message, with what is answered to it; False when another worker has it."""
        return bool(
            await self._database.call(
                "inbound_done", id=id_, worker=worker, error=error, deliveries=list(deliveries), at=at
            )
        )


class DeliveryStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, channels: Sequence[str], worker: str, lease_seconds: int, at: datetime) -> Delivery | None:
        """The oldest that is due on these channels, in a chat where none before it waits; None when there is none."""
        row = await self._database.call(
            "deliveries_claim", channels=list(channels), worker=worker, lease_seconds=lease_seconds, at=at
        )
        return Delivery.model_validate(row) if row else None

    async def record(
        self,
        id_: UUID,
        worker: str,
        values: dict[str, Any],
        at: datetime,
        *,
        done: bool = True,
        deliveries: Sequence[dict[str, Any]] = (),
    ) -> bool:
        """Writes down what became of a claimed delivery; False when another worker has it."""
        return bool(
            await self._database.call(
                "deliveries_record",
                id=id_,
                worker=worker,
                set=values,
                done=done,
                deliveries=list(deliveries),
                at=at,
            )
        )

    async def status(
        self,
        channel: str,
        vendor_id: str,
        status: str,
        rank: int,
        error: str | None,
        *,
        deliveries: Sequence[dict[str, Any]] = (),
        at: datetime,
    ) -> Delivery | None:
        """What the vendor says of a message, with what is sent instead where it was not delivered; None when that is
        no news, or the message is not ours. With an `error` nothing of the message counts as shown."""
        row = await self._database.call(
            "deliveries_status",
            channel=channel,
            vendor_id=vendor_id,
            status=status,
            rank=rank,
            error=error,
            deliveries=list(deliveries),
            at=at,
        )
        return Delivery.model_validate(row) if row else None

    async def find(self, channel: str, chat: str, vendor_id: str) -> Delivery | None:
        row = await self._database.call("deliveries_find", channel=channel, chat=chat, vendor_id=vendor_id)
        return Delivery.model_validate(row) if row else None

    async def newest_list(self, channel: str, chat: str) -> Delivery | None:
        """The newest message in a chat whose numbers mean a session."""
        row = await self._database.call("deliveries_newest_list", channel=channel, chat=chat)
        return Delivery.model_validate(row) if row else None

    async def of_session(self, session_id: UUID) -> tuple[Delivery, ...]:
        """Every message that is the session's own, on all surfaces."""
        rows = await self._database.call("deliveries_of_session", session_id=session_id)
        return tuple(Delivery.model_validate(row) for row in rows)

    async def troubled(self, agent: str, limit: int = 20) -> tuple[Delivery, ...]:
        """Those that failed, or were tried more than once and wait; newest first."""
        rows = await self._database.call("deliveries_troubled", agent=agent, limit=limit)
        return tuple(Delivery.model_validate(row) for row in rows)

    async def fanned(self, agent: str) -> int:
        """Up to which notice the agent's were fanned out."""
        return int(await self._database.call("notices_fanned", agent=agent))

    async def fan_out(
        self, agent: str, after: int, upto: int, deliveries: Sequence[dict[str, Any]], at: datetime
    ) -> bool:
        """Writes the deliveries that follow from the notices in (after, upto]; False when someone was faster."""
        return bool(
            await self._database.call(
                "notices_fan_out", agent=agent, after=after, upto=upto, deliveries=list(deliveries), at=at
            )
        )
