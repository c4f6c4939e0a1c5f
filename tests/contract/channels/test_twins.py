"""Slack's and Twilio's webhooks and their twins, over the application as it is served."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from urllib.parse import parse_qsl, urlencode

import httpx

from bot.web import slack as slack_web
from bot.web import twilio as twilio_web
from bot.web.app import make_app
from bot.wiring import open_service
from optimizer.clock import SystemClock
from optimizer.db.port import Database
from optimizer.settings import Environment, FileSettings, Settings
from optimizer.wiring import open_ratchet
from tests.contract.channels.twins import Webhook, check
from tests.simulators.slack import BOT_TOKEN, SIGNING_SECRET, slack
from tests.simulators.slack_events import signed
from tests.simulators.twilio import ACCOUNT_SID, AUTH_TOKEN
from tests.simulators.twilio_phone import signature

PUBLIC_URL = "https://bot.example.com"
STALE_SECONDS = 301  # Slack's window is five minutes


async def _client(stack: AsyncExitStack, database: Database, environment: Environment) -> httpx.AsyncClient:
    settings = Settings(environment=environment, file=FileSettings())
    ratchet = await stack.enter_async_context(open_ratchet(settings, database=database, clock=SystemClock()))
    opened = await stack.enter_async_context(open_service(ratchet))
    transport = httpx.ASGITransport(make_app(opened.service, opened.routers))
    return await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://bot"))


async def _slack(stack: AsyncExitStack, database: Database) -> httpx.AsyncClient:
    space = stack.enter_context(slack())
    environment = {
        "slack_bot_token": BOT_TOKEN,
        "slack_signing_secret": SIGNING_SECRET,
        "slack_base_url": space.url,
    }
    return await _client(stack, database, Environment.model_validate(environment))


def _at(age_seconds: float) -> Callable[[bytes], dict[str, str]]:
    return lambda body: signed(body, at=time.time() - age_seconds)


async def test_events_from_slack(database: Database, dsn: str) -> None:
    event = {
        "type": "message",
        "channel": "D0DANA",
        "channel_type": "im",
        "user": "U0DANA",
        "text": "deploy all",
        "ts": "1772000000.000001",
    }
    body = json.dumps({"type": "event_callback", "team_id": "T1", "event_id": "Ev1", "event": event}).encode()
    webhook = Webhook(
        slack_web.PATH, body, signed, "X-Slack-Signature", forged=401, truncated=400, stale=_at(STALE_SECONDS)
    )
    async with AsyncExitStack() as stack:
        await check(webhook, await _slack(stack, database), dsn)


async def test_clicks_from_slack(database: Database, dsn: str) -> None:
    payload = {
        "type": "block_actions",
        "user": {"id": "U0DANA"},
        "team": {"id": "T1"},
        "channel": {"id": "D0DANA"},
        "container": {"message_ts": "1772000000.000001", "channel_id": "D0DANA"},
        "actions": [{"type": "button", "action_id": "a", "value": "deploy all", "action_ts": "1772000001.000001"}],
    }
    webhook = Webhook(
        slack_web.PATH,
        urlencode({"payload": json.dumps(payload)}).encode(),
        signed,
        "X-Slack-Signature",
        forged=401,
        truncated=400,
        kind="application/x-www-form-urlencoded",
        stale=_at(STALE_SECONDS),
    )
    async with AsyncExitStack() as stack:
        await check(webhook, await _slack(stack, database), dsn)


async def test_messages_from_twilio(database: Database, dsn: str) -> None:
    form = {
        "Body": "deploy all",
        "MessageSid": "SM0123456789abcdef0123456789abcdef",
        "AccountSid": ACCOUNT_SID,
        "From": "whatsapp:+33600000001",
        "To": "whatsapp:+14155238886",
    }

    def sign(body: bytes) -> dict[str, str]:
        fields = parse_qsl(body.decode(), keep_blank_values=True)
        return {"X-Twilio-Signature": signature(f"{PUBLIC_URL}{twilio_web.PATH}", fields)}

    environment = {
        "twilio_account_sid": ACCOUNT_SID,
        "twilio_auth_token": AUTH_TOKEN,
        "twilio_whatsapp_from": "whatsapp:+14155238886",
        "public_url": PUBLIC_URL,
    }
    webhook = Webhook(
        twilio_web.PATH,
        urlencode(form).encode(),
        sign,
        "X-Twilio-Signature",
        forged=403,
        truncated=200,  # what is proven and no message is acknowledged and not kept
        kind="application/x-www-form-urlencoded",
    )
    async with AsyncExitStack() as stack:
        await check(webhook, await _client(stack, database, Environment.model_validate(environment)), dsn)
