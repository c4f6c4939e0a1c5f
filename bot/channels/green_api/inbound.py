"""What Green API delivers: messages, what became of ours, and its own state. Pure: who sent it was checked before."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from bot.channels.green_api.channel import NAME, identity_of
from optimizer.records.messages import Inbound

TEXT_CHARACTERS_MAX = 4_000
_NAME_CHARACTERS_MAX = 100
_ID = re.compile(r"[!-~]{1,200}")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_MEDIA = frozenset(
    {"imageMessage", "videoMessage", "audioMessage", "documentMessage", "stickerMessage", "locationMessage",
     "contactMessage", "contactsArrayMessage"}
)  # fmt: skip
_BUTTONS = frozenset({"buttonsResponseMessage", "interactiveButtonsReply"})
_RANKS = {"sent": 1, "delivered": 2, "read": 3}
_NOT_DELIVERED = {
    "failed": "WhatsApp refused it",
    "noAccount": "that number is not on WhatsApp",
    "notInGroup": "the bot is not in that group",
    "noActiveSession": "the WhatsApp number is not connected",
    "suspicious": "WhatsApp holds it for suspicious",
}
_FAILED_RANK = 9


@dataclass(frozen=True, slots=True)
class Status:
    """What became of a message of ours; `failed` says why it did not arrive."""

    chat: str
    vendor_id: str
    status: str
    rank: int
    failed: str | None = None


@dataclass(frozen=True, slots=True)
class StateChanged:
    state: str


Notification = Inbound | Status | StateChanged


def of_notification(body: Mapping[str, Any]) -> Notification | None:
    """None for what is nothing to us: what the phone sent, calls, polls, reactions, changes of old messages."""
    match body.get("typeWebhook"):
        case "incomingMessageReceived":
            return _message(body)
        case "outgoingMessageStatus":
            return _status(body)
        case "stateInstanceChanged":
            state = body.get("stateInstance")
            return StateChanged(state[:40]) if isinstance(state, str) else None
        case _:
            return None


def _message(body: Mapping[str, Any]) -> Inbound | None:
    sender, data = _part(body, "senderData"), _part(body, "messageData")
    chat, who, id_ = _id(sender.get("chatId")), _id(sender.get("sender")), _id(body.get("idMessage"))
    found = _words(data)
    if chat is None or who is None or id_ is None or found is None:
        return None
    text, quoted, clicked = found
    return Inbound(
        channel=NAME,
        vendor_id=id_,
        chat=chat,
        actor=identity_of(who),
        text=_storable(text)[:TEXT_CHARACTERS_MAX],
        at=_at(body.get("timestamp")),
        name=_storable(sender.get("senderName"))[:_NAME_CHARACTERS_MAX],
        quoted=quoted,
        forwarded=_is_forwarded(data),
        clicked=clicked,
        media=data.get("typeMessage") in _MEDIA,
    )


def _words(data: Mapping[str, Any]) -> tuple[Any, str | None, bool] | None:
    """The text, the message that it answers, and whether it was a button; None for what is no message."""
    kind = data.get("typeMessage")
    quoted = _id(_part(data, "quotedMessage").get("stanzaId"))
    if not isinstance(kind, str):
        return None
    if kind == "textMessage":
        return _part(data, "textMessageData").get("textMessage"), quoted, False
    if kind in ("extendedTextMessage", "quotedMessage"):
        said = _part(data, "extendedTextMessageData")
        return said.get("text"), _id(said.get("stanzaId")) or quoted, False
    if kind in _BUTTONS:
        said = _part(data, kind)
        return said.get("selectedButtonId") or said.get("selectedButtonText"), _id(said.get("stanzaId")) or quoted, True
    if kind in _MEDIA:
        return _part(data, "fileMessageData").get("caption"), quoted, False
    return None


def _is_forwarded(data: Mapping[str, Any]) -> bool:
    """Wherever it is said: texts and files each say it in a part of their own."""
    parts = [data, *(part for part in data.values() if isinstance(part, dict))]
    return any(
        part.get("isForwarded") is True or _counts(cast("Mapping[str, Any]", part).get("forwardingScore"))
        for part in parts
    )


def _counts(score: Any) -> bool:
    return isinstance(score, int) and score > 0


def _status(body: Mapping[str, Any]) -> Status | None:
    chat, id_, status = _id(body.get("chatId")), _id(body.get("idMessage")), _id(body.get("status"))
    if chat is None or id_ is None or status is None or body.get("sendByApi") is False:
        return None
    if status in _NOT_DELIVERED:
        return Status(chat, id_, "failed", _FAILED_RANK, _NOT_DELIVERED[status])
    return Status(chat, id_, status, _RANKS[status]) if status in _RANKS else None


def _part(holder: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = holder.get(key)
    return cast("Mapping[str, Any]", found) if isinstance(found, dict) else {}


def _id(given: Any) -> str | None:
    return given if isinstance(given, str) and _ID.fullmatch(given) else None


def _storable(text: Any) -> str:
    return _UNSTORABLE.sub("\ufffd", text) if isinstance(text, str) else ""


def _at(stamp: Any) -> datetime:
    return datetime.fromtimestamp(stamp if isinstance(stamp, int) and 0 <= stamp < 2**33 else 0, UTC)
