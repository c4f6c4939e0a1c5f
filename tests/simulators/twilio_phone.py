"""People with WhatsApp on their phones: what they write and tap, posted to the bot signed as Twilio signs it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

import httpx

from tests.simulators.twilio import ACCOUNT_SID, AUTH_TOKEN, Twilio
from tests.simulators.twilio_account import SENDER, Message

PATH, STATUS_PATH = "/twilio/whatsapp", "/twilio/status"
_idempotency = itertools.count(1)


def signature(url: str, fields: Iterable[tuple[str, str]], token: str = AUTH_TOKEN) -> str:
    """X-Twilio-Signature: the address, then every name with each of its values, sorted."""
    signed = url + "".join(f"{name}{value}" for name, value in sorted(set(fields)))
    return base64.b64encode(hmac.new(token.encode(), signed.encode(), hashlib.sha1).digest()).decode()


@dataclass
class Phones:
    """Delivers what people do to the bot's webhooks, which it knows under `public_url`."""

    twilio: Twilio
    client: httpx.AsyncClient  # its base is where the bot really listens
    public_url: str
    answers: list[httpx.Response] = field(default_factory=list[httpx.Response])

    async def says(self, person: str, text: str, *, quoted: Message | None = None, **more: str) -> Message:
        """Writes to the bot; `more` are other fields of Twilio's form."""
        account = self.twilio.account
        message = Message(account.sid("SM"), person, text, account.now(), False)
        account.messages.append(message)
        await self.deliver(message, quoted=quoted, **more)
        return message

    async def taps(self, person: str, message: Message, title: str) -> Message:
        """Presses a button of a message that the person has."""
        assert message.seen, f"{person} never got {message.text!r}"
        (button,) = [one for one in message.buttons if one["title"] == title]
        payload = {"ButtonText": title, "ButtonPayload": button["id"], "MessageType": "interactive"}
        return await self.says(person, title, quoted=message, **payload)

    async def deliver(self, message: Message, *, quoted: Message | None = None, **more: str) -> httpx.Response:
        """Twilio's delivery of a message; again, it is the same."""
        return await self.post(PATH, form_of(message, quoted, more))

    async def tell(self, message: Message, status: str, code: int | None = None) -> httpx.Response:
        """A status callback, where the bot asked for them."""
        assert message.callback == f"{self.public_url}{STATUS_PATH}"
        form = {
            "MessageSid": message.sid,
            "SmsSid": message.sid,
            "AccountSid": ACCOUNT_SID,
            "MessageStatus": status,
            "SmsStatus": status,
            "From": SENDER,
            "To": message.chat,
            "ChannelPrefix": "whatsapp",
            "ApiVersion": "2010-04-01",
        }
        failure = {"ErrorCode": str(code), "ErrorMessage": ""} if code else {}
        return await self.post(STATUS_PATH, {**form, **failure})

    async def settle(self) -> None:
        """What was queued goes its way, and the bot is told."""
        for message in list(self.twilio.account.messages):
            if message.mine and message.status == "queued":
                message.status = "delivered" if message.seen else "undelivered"
                if message.seen:
                    await self.tell(message, "sent")
                await self.tell(message, message.status, message.error_code)

    async def post(self, path: str, form: Mapping[str, str], sign: str | None = None) -> httpx.Response:
        """Posts a form; signed as Twilio does unless `sign` is another signature."""
        headers = {
            "X-Twilio-Signature": signature(f"{self.public_url}{path}", form.items()) if sign is None else sign,
            "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
            "I-Twilio-Idempotency-Token": str(next(_idempotency)),
        }
        answer = await self.client.post(path, content=urlencode(form).encode(), headers=headers)
        self.answers.append(answer)
        return answer


def form_of(message: Message, quoted: Message | None = None, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """What Twilio posts of a person's message."""
    reply = {"OriginalRepliedMessageSid": quoted.sid, "OriginalRepliedMessageSender": SENDER} if quoted else {}
    return {
        "MessageSid": message.sid,
        "SmsMessageSid": message.sid,
        "SmsSid": message.sid,
        "AccountSid": ACCOUNT_SID,
        "ApiVersion": "2010-04-01",
        "From": message.chat,
        "To": SENDER,
        "Body": message.text,
        "ProfileName": "Somebody",
        "WaId": message.chat.removeprefix("whatsapp:+"),
        "ExternalUserId": "whatsapp:ID.4566546130240823",
        "MessageType": "text",
        "NumMedia": "0",
        "NumSegments": "1",
        "ReferralNumMedia": "0",
        "SmsStatus": "received",
        "Forwarded": "false",
        "FrequentlyForwarded": "false",
        "ChannelMetadata": '{"type":"whatsapp","data":{"context":{}}}',
        **reply,
        **(more or {}),
    }
