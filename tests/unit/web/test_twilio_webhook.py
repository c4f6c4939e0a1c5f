"""Twilio's webhooks let in what Twilio signed for our public address, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlencode

import httpx
import pytest
from fastapi import FastAPI

from bot.channels.twilio.inbound import Status
from bot.web.limits import BodyLimit
from bot.web.twilio import PATH, STATUS_PATH, Signed, twilio_router
from optimizer.clock import ManualClock
from optimizer.records.messages import Inbound
from tests.simulators.twilio_phone import signature

TOKEN, PUBLIC_URL = "12345", "https://bot.example.com"
FORM = {
    "MessageSid": "SM0123456789abcdef0123456789abcdef",
    "From": "whatsapp:+33600000001",
    "To": "whatsapp:+14155238886",
    "Body": "remove 3, deploy",
    "NumMedia": "0",
}
PUBLISHED = "GB3FQOEyXsgHcNgZosE5sDBbcG8="
BODY = urlencode(FORM).encode()
STATUS = {"MessageSid": "SM1", "To": "whatsapp:+33600000001", "MessageStatus": "undelivered", "ErrorCode": "63016"}


@dataclass
class Bot:
    client: httpx.AsyncClient
    kept: list[Inbound] = field(default_factory=list[Inbound])
    told: list[Status] = field(default_factory=list[Status])

    async def post(self, body: bytes, signed: str, path: str = PATH) -> httpx.Response:
        kind = "application/x-www-form-urlencoded; charset=UTF-8"
        headers = {"X-Twilio-Signature": signed, "Content-Type": kind}
        return await self.client.post(path, content=body, headers=headers)


@pytest.fixture
async def bot() -> AsyncIterator[Bot]:
    app = FastAPI()
    app.add_middleware(BodyLimit)
    # Behind a proxy: what it is asked for is not what Twilio signed.
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://10.0.0.7:8080") as client:
        made = Bot(client)

        async def keep(message: Inbound) -> None:
            made.kept.append(message)

        async def told(status: Status) -> None:
            made.told.append(status)

        clock = ManualClock(datetime(2026, 2, 26, tzinfo=UTC))
        app.include_router(twilio_router(Signed(TOKEN, f"{PUBLIC_URL}/"), keep, told, clock))
        yield made


def test_the_simulator_signs_as_twilio_documents_it() -> None:
    fields = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+12349013030",
        "Digits": "1234",
        "From": "+12349013030",
        "To": "+18005551212",
    }
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    assert signature(url, fields.items(), TOKEN) == "0/KCTR6DLpKmkAf8muzZqo1nDgQ="
    assert signature(f"{PUBLIC_URL}{PATH}", FORM.items(), TOKEN) == PUBLISHED


async def test_a_signed_message_is_kept_and_answered_with_nothing(bot: Bot) -> None:
    answer = await bot.post(BODY, PUBLISHED)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/xml; charset=utf-8")
    assert answer.text == '<?xml version="1.0" encoding="UTF-8"?><Response/>'
    assert [one.text for one in bot.kept] == ["remove 3, deploy"]


async def test_fields_that_nobody_knows_yet_are_fine_once_signed(bot: Bot) -> None:
    fields = [*FORM.items(), ("Novelty", "b"), ("Novelty", "a"), ("Novelty", "a"), ("Empty", "")]
    signed = signature(f"{PUBLIC_URL}{PATH}", fields, TOKEN)
    assert (await bot.post(urlencode(fields).encode(), signed)).status_code == 200
    assert len(bot.kept) == 1


async def test_a_query_belongs_to_the_address(bot: Bot) -> None:
    signed = signature(f"{PUBLIC_URL}{PATH}?a=1", FORM.items(), TOKEN)
    assert (await bot.post(BODY, signed, f"{PATH}?a=1")).status_code == 200
    assert (await bot.post(BODY, signed)).status_code == 403


@pytest.mark.parametrize(
    ("body", "signed"),
    [
        (BODY, ""),
        (BODY, "A" * 28),
        (BODY, "ü"),
        (BODY.replace(b"remove+3", b"remove+4"), PUBLISHED),
        (BODY + b"&Extra=1", PUBLISHED),
        (BODY[:-1], PUBLISHED),
        (BODY[: len(BODY) // 2], PUBLISHED),
        (b"", PUBLISHED),
        (b'{"Body": "deploy all"}', PUBLISHED),
        (b"\xff\xfe&" + BODY, PUBLISHED),
        (b"%ff=1&" + BODY, PUBLISHED),
        (BODY, signature(f"http://10.0.0.7:8080{PATH}", FORM.items(), TOKEN)),
        (BODY, signature(f"{PUBLIC_URL}{STATUS_PATH}", FORM.items(), TOKEN)),
        (BODY, signature(f"{PUBLIC_URL}{PATH}", FORM.items(), "54321")),
        (b"&".join(b"f%d=1" % n for n in range(500)), PUBLISHED),
    ],
)
@pytest.mark.parametrize("path", [PATH, STATUS_PATH])
async def test_what_proves_nothing_is_refused(bot: Bot, body: bytes, signed: str, path: str) -> None:
    if path == STATUS_PATH and signed == signature(f"{PUBLIC_URL}{STATUS_PATH}", FORM.items(), TOKEN):
        signed = PUBLISHED
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    if signed:
        headers["X-Twilio-Signature"] = signed
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    answer = await bot.client.post(path, content=body, headers=encoded)
    assert answer.status_code == 403
    assert not answer.content
    assert not bot.kept
    assert not bot.told


async def test_another_algorithm_is_not_let_in(bot: Bot) -> None:
    headers = {
        "X-Twilio-Signature": "iJn8BUg5qrLv0DuM9W9i96w8tkYuH++dnWN6SPrK3KU=",
        "X-Twilio-Webhooks-Signature-Settings": "key=k,algorithm=HMAC_SHA256",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    assert (await bot.client.post(PATH, content=BODY, headers=headers)).status_code == 403


async def test_too_much_is_refused_before_it_is_read(bot: Bot) -> None:
    fields = {**FORM, "Body": "x" * 2_000_000}
    signed = signature(f"{PUBLIC_URL}{PATH}", fields.items(), TOKEN)
    assert (await bot.post(urlencode(fields).encode(), signed)).status_code == 413
    assert not bot.kept


async def test_a_status_is_told(bot: Bot) -> None:
    signed = signature(f"{PUBLIC_URL}{STATUS_PATH}", STATUS.items(), TOKEN)
    assert (await bot.post(urlencode(STATUS).encode(), signed, STATUS_PATH)).status_code == 204
    assert [(one.vendor_id, one.code) for one in bot.told] == [("SM1", 63016)]
    assert not bot.kept
