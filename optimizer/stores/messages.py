"""Inbound messages and deliveries over the database port."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from optimizer.db.port import Database
from optimizer.records.messages import Arrived, Delivery, Inbound

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Behind:
    """What waits: since when the oldest message is not answered, and per channel since when a delivery is due."""

    inbound: datetime | None
    deliveries: Mapping[str, datetime]


class InboundStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, message: Inbound, at: datetime) -> bool:
        """Keeps it; False when the same message came before, or too many of that chat wait to be answered: it is kept
        as refused then. Once this returns it is not lost."""
        (is_new,) = await self.put_many([message], at)
        return is_new

    async def put_many(self, messages: Sequence[Inbound], at: datetime) -> tuple[bool, ...]:
        """Keeps them all or none; what `put` answers for each."""
        rows = [
            {
                "channel": message.channel,
                "vendor_id": message.vendor_id,
                "chat": message.chat,
                "actor": message.actor,
                "message": message.model_dump(mode="json"),
            }
            for message in messages
        ]
        answers = await self._database.call("inbound_put", messages=rows, at=at)
        for answer, message in zip(answers, messages, strict=True):
            if answer["full"]:
                _log.warning(
                    "message %s of %s is not answered: too many of that chat wait", answer["id"], message.channel
                )
        return tuple(answer["new"] and not answer["full"] for answer in answers)

    async def is_kept(self, channel: str, vendor_id: str) -> bool:
        """Whether this message arrived before."""
        return bool(await self._database.call("inbound_is_kept", channel=channel, vendor_id=vendor_id))

    async def newest_at(self, channel: str, chat: str) -> datetime | None:
        """When something arrived there last."""
        at = await self._database.call("inbound_newest_at", channel=channel, chat=chat)
        return datetime.fromisoformat(at) if at else None

    async def claim(self, worker: str, lease_seconds: int) -> Arrived | None:
        """The oldest message that waits, in a chat where none before it does; None when there is none."""
        row = await self._database.call("inbound_claim", worker=worker, lease_seconds=lease_seconds)
        return Arrived.model_validate(row) if row else None

    async def renew(self, id_: int, worker: str, lease_seconds: int) -> bool:
        """Holds it for longer; False when another worker has it."""
        return bool(await self._database.call("inbound_renew", id=id_, worker=worker, lease_seconds=lease_seconds))

    async def release(self, id_: int, worker: str, wait_seconds: float) -> bool:
        """Hands it back, to be taken again after a while; False when another worker has it."""
        return bool(
            await self._database.call("inbound_release", id=id_, worker=worker, wait_seconds=float(wait_seconds))
        )

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

    async def renew(self, id_: UUID, worker: str, lease_seconds: int) -> bool:
        """Holds it for longer; False when another worker has it."""
        return bool(await self._database.call("deliveries_renew", id=id_, worker=worker, lease_seconds=lease_seconds))

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

    async def get(self, id_: UUID) -> Delivery | None:
        row = await self._database.call("deliveries_get", id=id_)
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

    async def fanned(self, agent: str, since: datetime) -> int:
        """Up to which notice the agent's were fanned out; before the first time, up to those older than `since`."""
        return int(await self._database.call("notices_fanned", agent=agent, since=since))

    async def unfanned(self, since: datetime) -> tuple[str, ...]:
        """The agents that have notices which were not fanned out; `since` as in `fanned`."""
        return tuple(await self._database.call("notices_unfanned", since=since))

    async def fan_out(
        self, agent: str, after: int, upto: int, deliveries: Sequence[dict[str, Any]], at: datetime
    ) -> bool:
        """Writes the deliveries that follow from the notices in (after, upto]; False when someone was faster."""
        return bool(
            await self._database.call(
                "notices_fan_out", agent=agent, after=after, upto=upto, deliveries=list(deliveries), at=at
            )
        )

    async def behind(self, at: datetime) -> Behind:
        """How far the service is behind."""
        row = await self._database.call("messages_behind", at=at)
        due = {channel: datetime.fromisoformat(since) for channel, since in row["deliveries"].items()}
        return Behind(datetime.fromisoformat(row["inbound"]) if row["inbound"] else None, due)
