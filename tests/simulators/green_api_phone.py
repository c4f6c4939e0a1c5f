"""A WhatsApp number behind Green API: its chats, its queue and settings, and people who write to it."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

OWN = "33600000000@c.us"
MESSAGE_MAX = 20_000
_CHAT_ENDS = ("@c.us", "@g.us")


class Refused(Exception):
    """What Green API answers with a status of its own."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class Message:
    """One message of a chat; `mine` is what the bot sent."""

    id: str
    chat: str
    sender: str
    text: str
    mine: bool
    quoted: str | None = None


@dataclass
class WhatsApp:
    """Its state survives whatever the bot does; `read` shows a chat as its people see it."""

    state: str | None = "authorized"
    messages: list[Message] = field(default_factory=list[Message])
    settings: dict[str, str] = field(
        default_factory=lambda: {
            "wid": OWN,
            "webhookUrl": "",
            "webhookUrlToken": "",
            "incomingWebhook": "yes",
            "outgoingWebhook": "yes",
            "stateWebhook": "yes",
        }
    )
    queue: list[tuple[int, dict[str, Any]]] = field(default_factory=list[tuple[int, dict[str, Any]]])
    lock: threading.RLock = field(default_factory=threading.RLock)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def id(self) -> str:
        return f"3EB0{next(self._numbers):016X}"

    def chat(self, chat: str) -> list[Message]:
        """What people see there: what lies in the queue of a number that is not connected, nobody sees."""
        return [one for one in self.messages if one.chat == chat]

    def read(self, chat: str) -> str:
        lines: list[str] = []
        for one in self.chat(chat):
            quoted = next((other.text for other in self.messages if other.id == one.quoted), "")
            above = f"> {quoted.splitlines()[0]}\n" if quoted else ""
            lines.append(f"{above}{'ratchet' if one.mine else 'me'}: {one.text}")
        return "\n".join(lines)

    def send(self, given: Mapping[str, Any]) -> str:
        """The id of the message; queued alone while the number is not connected."""
        chat, text = given.get("chatId"), given.get("message")
        if not isinstance(chat, str) or not chat.endswith(_CHAT_ENDS) or not chat[:-5].replace("-", "").isdigit():
            raise Refused(400, "Validation failed. Details: 'chatId' invalid")
        if not isinstance(text, str) or not 0 < len(text) <= MESSAGE_MAX:
            raise Refused(400, f"Validation failed. Details: 'message' length must be less than {MESSAGE_MAX}")
        with self.lock:
            message = Message(self.id(), chat, OWN, text, True, given.get("quotedMessageId"))
            if self.state == "authorized":
                self.messages.append(message)
            return message.id

    def arrive(self, body: dict[str, Any]) -> None:
        """Into the queue, which is there while no webhook is set."""
        with self.lock:
            if not self.settings["webhookUrl"]:
                self.queue.append((next(self._numbers), body))

    def oldest(self) -> dict[str, Any] | None:
        with self.lock:
            return {"receiptId": self.queue[0][0], "body": self.queue[0][1]} if self.queue else None

    def forget(self, receipt: int) -> bool:
        with self.lock:
            before = len(self.queue)
            self.queue = [one for one in self.queue if one[0] != receipt]
            return len(self.queue) < before


@dataclass
class Phones:
    """Delivers what people do: to the webhook that is set, or to `post` for who relays it."""

    whatsapp: WhatsApp
    client: httpx.AsyncClient  # its base is where the bot really listens
    public_url: str
    answers: list[httpx.Response] = field(default_factory=list[httpx.Response])

    def write(
        self,
        person: str,
        text: str,
        *,
        quoted: Message | None = None,
        group: str | None = None,
        forwarded: bool = False,
    ) -> dict[str, Any]:
        """What Green API tells of a message that somebody wrote."""
        chat = group or person
        message = Message(self.whatsapp.id(), chat, person, text, False, quoted.id if quoted else None)
        self.whatsapp.messages.append(message)
        if quoted is not None:
            data: dict[str, Any] = {
                "typeMessage": "quotedMessage",
                "extendedTextMessageData": {"text": text, "stanzaId": quoted.id, "participant": OWN},
                "quotedMessage": {
                    "stanzaId": quoted.id,
                    "participant": OWN,
                    "typeMessage": "textMessage",
                    "textMessage": quoted.text,
                },
            }
        elif forwarded:
            data = {
                "typeMessage": "extendedTextMessage",
                "extendedTextMessageData": {"text": text, "isForwarded": True, "forwardingScore": 1},
            }
        else:
            data = {"typeMessage": "textMessage", "textMessageData": {"textMessage": text}}
        return self.body(message, data)

    def body(self, message: Message, data: Mapping[str, Any], kind: str = "incomingMessageReceived") -> dict[str, Any]:
        sender = {"chatId": message.chat, "chatName": "", "sender": message.sender, "senderName": "Somebody"}
        return {**base(kind), "idMessage": message.id, "senderData": sender, "messageData": dict(data)}

    def status(self, message: Message, status: str) -> dict[str, Any]:
        return {
            **base("outgoingMessageStatus"),
            "idMessage": message.id,
            "chatId": message.chat,
            "status": status,
            "sendByApi": True,
        }

    async def deliver(self, body: Mapping[str, Any]) -> httpx.Response | None:
        """As the instance is set: posted to the webhook with its token, or into the queue."""
        url = self.whatsapp.settings["webhookUrl"]
        if not url:
            self.whatsapp.arrive(dict(body))
            return None
        assert url.startswith(self.public_url)
        return await self.post(url.removeprefix(self.public_url), body, self.whatsapp.settings["webhookUrlToken"])

    async def post(self, path: str, body: Mapping[str, Any] | bytes, token: str | None) -> httpx.Response:
        """Posts a notification with that token."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if isinstance(body, bytes):
            answer = await self.client.post(path, content=body, headers=headers)
        else:
            answer = await self.client.post(path, json=body, headers=headers)
        self.answers.append(answer)
        return answer


def base(kind: str) -> dict[str, Any]:
    return {
        "typeWebhook": kind,
        "instanceData": {"idInstance": 1101000001, "wid": OWN, "typeInstance": "whatsapp"},
        "timestamp": 1772000000,
    }
