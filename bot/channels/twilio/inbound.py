"""What Twilio delivers, as inbound messages and statuses. Pure: the signature was checked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from bot.channels.twilio.channel import NAME
from bot.channels.whatsapp import IDENTITY
from optimizer.records.messages import Inbound

TEXT_CHARACTERS_MAX = 4_000
_CODE_DIGITS_MAX = 9
# Later ones of a message's life; callbacks come out of order and more than once.
RANKS = {
    "accepted": 1,
    "queued": 1,
    "scheduled": 1,
    "sending": 2,
    "sent": 3,
    "partially_delivered": 4,
    "delivered": 5,
    "read": 6,
    "canceled": 7,
    "undelivered": 8,
    "failed": 8,
}
NOT_DELIVERED = frozenset({"undelivered", "failed"})


class Status(NamedTuple):
    """What became of a message that we sent to `chat`."""

    vendor_id: str
    chat: str
    status: str
    rank: int
    code: int | None


def of_message(form: Mapping[str, str], at: datetime) -> Inbound | None:
    """A message of a person; None for what is none. The address is opaque: it need not be a number."""
    sid, sender, to = form.get("MessageSid", ""), form.get("From", ""), form.get("To", "")
    if not sid or not sender.startswith(IDENTITY) or not to:
        return None
    if form.get("MessageType") == "reaction":
        return None  # it says nothing that could be relied on
    tapped = form.get("ButtonPayload", "") or form.get("ListId", "")
    text = tapped or form.get("Body", "")
    return Inbound(
        channel=NAME,
        vendor_id=sid,
        chat=sender,
        actor=sender,
        text=text[:TEXT_CHARACTERS_MAX],
        at=at,
        name=form.get("ProfileName", "")[:100],
        quoted=form.get("OriginalRepliedMessageSid") or None,
        forwarded="true" in (form.get("Forwarded", "").lower(), form.get("FrequentlyForwarded", "").lower()),
        clicked=bool(tapped),
        media=form.get("NumMedia", "0") != "0" or not text.strip(),  # a place or a contact has no words either
    )


def of_status(form: Mapping[str, str]) -> Status | None:
    """None for what is no status that is known here."""
    sid, chat, status = form.get("MessageSid", ""), form.get("To", ""), form.get("MessageStatus", "")
    rank = RANKS.get(status)
    if not sid or not chat or rank is None:
        return None
    code = form.get("ErrorCode", "")
    return Status(sid, chat, status, rank, int(code) if code.isdecimal() and len(code) <= _CODE_DIGITS_MAX else None)
