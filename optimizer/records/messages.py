"""What people say to the bot, and what it has to say to them, as they are stored."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field, field_validator

from optimizer.records.base import Record

DeliveryState = Literal["waiting", "sent", "failed", "moved"]


class Inbound(Record):
    """One message or click, the same on every channel. Its text is data until it was understood."""

    channel: str  # the adapter: slack, twilio, green_api
    vendor_id: str  # what arrives twice has the same
    chat: str
    actor: str  # channel identity: "slack:U012AB3CD"
    text: str
    at: datetime
    name: str = ""  # as the vendor shows the person; chosen by them, so never a reason for anything
    thread: str | None = None  # the vendor's id of the message at the head of the thread
    quoted: str | None = None  # the vendor's id of the message that it answers
    forwarded: bool = False
    clicked: bool = False  # a button of ours: the text is what we put on it
    addressed: bool = True  # said to the bot: a direct message, a mention, a click; False: talk beside it
    media: bool = False  # it holds a picture, a voice message, a file

    @field_validator("*", mode="before")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        """Half a character, or none at all, is valid JSON and no text that a database takes."""
        if not isinstance(value, str):
            return value
        return value.encode("utf-8", "replace").decode("utf-8").replace("\0", "\ufffd")


class Arrived(Record):
    """An inbound message with its place in the queue."""

    id: int
    message: Inbound
    received_at: datetime
    attempts: int
    worker: str | None = None  # who works on it


class SeenItem(Record):
    """An item as a message showed it: what an approval is bound to."""

    content_sha256: str
    base_sha256: dict[str, str]


class Delivery(Record):
    """One message to one chat."""

    id: UUID
    key: str
    agent: str
    channel: str
    chat: str
    thread: str | None
    person: str | None
    body: dict[str, Any]  # {card}, {notice} or {update}
    session_id: UUID | None
    lists: bool
    shown: dict[UUID, SeenItem] | None
    created_at: datetime
    state: DeliveryState
    attempts: int
    next_at: datetime
    vendor_ids: tuple[str, ...] = Field(default=())
    sent_at: datetime | None = None
    worker: str | None = None  # who works on it
    doubt: bool = False  # a part may have been sent whose id is not written down
    plain_from: int | None = None  # how many parts were sent before markup was refused
    status: str | None = None
    error: str | None = None
