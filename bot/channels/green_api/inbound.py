"""What Green API delivers, as inbound messages. Pure: who sent it was checked by its token and its path."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

from bot.channels.green_api.channel import NAME, identity_of
from optimizer.records.messages import Inbound

TEXT_CHARACTERS_MAX = 4_000
_INCOMING = "incomingMessageReceived"
_MEDIA = frozenset({"imageMessage", "videoMessage", "audioMessage", "documentMessage", "stickerMessage"})


def of_notification(body: Mapping[str, Any]) -> Inbound | None:
    """A message of a person; None for all else: our own, the phone's, statuses, states, polls, reactions."""
    if body.get("typeWebhook") != _INCOMING:
        return None
    sender, data = _part(body, "senderData"), _part(body, "messageData")
    chat, who, id_ = sender.get("chatId"), sender.get("sender"), body.get("idMessage")
    if not (isinstance(chat, str) and isinstance(who, str) and isinstance(id_, str) and chat and who and id_):
        return None
    found = _words(data)
    if found is None:
        return None
    text, quoted, clicked = found
    holder = _part(data, "extendedTextMessageData") or _part(data, "textMessageData")
    score = holder.get("forwardingScore", 0)
    return Inbound(
        channel=NAME,
        vendor_id=id_,
        chat=chat,
        actor=identity_of(who),
        text=text[:TEXT_CHARACTERS_MAX],
        at=_at(body.get("timestamp")),
        name=str(sender.get("senderName") or "")[:100],
        quoted=quoted,
        forwarded=bool(holder.get("isForwarded")) or (isinstance(score, int) and score > 0),
        clicked=clicked,
        media=data.get("typeMessage") in _MEDIA,
    )


def _words(data: Mapping[str, Any]) -> tuple[str, str | None, bool] | None:
    """The text, the message that it answers, and whether it was a button; None for what is no message."""
    kind = data.get("typeMessage")
    match kind:
        case "textMessage":
            return str(_part(data, "textMessageData").get("textMessage") or ""), None, False
        case "extendedTextMessage" | "quotedMessage":
            said = _part(data, "extendedTextMessageData")
            quoted = said.get("stanzaId") or _part(data, "quotedMessage").get("stanzaId")
            return str(said.get("text") or ""), quoted if isinstance(quoted, str) else None, False
        case "buttonsResponseMessage" | "interactiveButtonsReply":
            said = _part(data, str(kind))
            chosen = said.get("selectedButtonId") or said.get("selectedButtonText") or ""
            quoted = said.get("stanzaId")
            return str(chosen), quoted if isinstance(quoted, str) else None, True
        case _ if kind in _MEDIA:
            return str(_part(data, "fileMessageData").get("caption") or ""), None, False
        case _:
            return None


def _part(holder: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = holder.get(key)
    return cast("Mapping[str, Any]", found) if isinstance(found, dict) else {}


def _at(stamp: Any) -> datetime:
    return datetime.fromtimestamp(stamp if isinstance(stamp, int) and 0 <= stamp < 2**33 else 0, UTC)
