"""Slack's deliveries: signed events, clicks and commands, posted as Slack posts them."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx

from tests.simulators.slack import SIGNING_SECRET, Slack
from tests.simulators.slack_workspace import Message

PATH = "/slack/events"
_event_ids = itertools.count(1)


def signed(body: bytes, secret: str = SIGNING_SECRET, at: float | None = None) -> dict[str, str]:
    """The headers that prove it came from Slack."""
    stamp = str(int(time.time() if at is None else at))
    digest = hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={digest}"}


@dataclass
class Sender:
    """Delivers what people do in the simulated workspace to the bot's webhook."""

    slack: Slack
    client: httpx.AsyncClient  # its base is the bot's address
    answers: list[httpx.Response] = field(default_factory=list[httpx.Response])

    async def says(self, user: str, text: str, *, channel: str | None = None, thread: str | None = None) -> Message:
        """Writes in the direct chat with the bot, or in a channel; the bot hears of it as Slack tells it."""
        space = self.slack.workspace
        place = channel or space.direct(user)
        message = space.said(place, user, text, thread)
        await self.post_event(event_of(message))
        if "<@UBOT>" in text and not place.startswith("D"):
            await self.post_event({**event_of(message), "type": "app_mention"})
        return message

    async def reacts(self, user: str, message: Message, name: str) -> None:
        item = {"type": "message", "channel": message.channel, "ts": message.ts}
        stamp = self.slack.workspace.next_ts()
        await self.post_event(
            {"type": "reaction_added", "user": user, "reaction": name, "item": item, "event_ts": stamp}
        )

    async def opens_home(self, user: str) -> httpx.Response:
        place = self.slack.workspace.direct(user)
        return await self.post_event({"type": "app_home_opened", "user": user, "channel": place, "tab": "home"})

    async def clicks(self, user: str, message: Message, value: str) -> httpx.Response:
        """Presses a button of a message, as it stands now."""
        (button,) = [one for one in message.buttons if one["value"] == value]
        payload = {
            "type": "block_actions",
            "user": {"id": user, "username": user, "team_id": "T1"},
            "api_app_id": "A1",
            "token": "legacy",
            "container": {
                "type": "message",
                "message_ts": message.ts,
                "channel_id": message.channel,
                "is_ephemeral": False,
            },
            "trigger_id": f"trigger-{next(_event_ids)}",
            "team": {"id": "T1", "domain": "t"},
            "enterprise": None,
            "channel": {"id": message.channel, "name": "directmessage"},
            "message": message.as_answer(),
            "state": {"values": {}},
            "response_url": "https://hooks.slack.com/unused",
            "actions": [
                {
                    "type": "button",
                    "action_id": button["action_id"],
                    "block_id": "b",
                    "text": button["text"],
                    "value": value,
                    "action_ts": f"{time.time():.6f}",
                }
            ],
        }
        return await self.post_form({"payload": json.dumps(payload)})

    async def commands(self, user: str, text: str, channel: str | None = None) -> httpx.Response:
        place = channel or self.slack.workspace.direct(user)
        form = {
            "token": "legacy",
            "team_id": "T1",
            "team_domain": "t",
            "channel_id": place,
            "channel_name": "directmessage",
            "user_id": user,
            "user_name": user,
            "command": "/ratchet",
            "text": text,
            "response_url": "https://hooks.slack.com/unused",
            "trigger_id": f"trigger-{next(_event_ids)}",
            "api_app_id": "A1",
        }
        return await self.post_form(form)

    async def post_event(self, event: dict[str, Any], *, event_id: str | None = None, retry: int = 0) -> httpx.Response:
        body = envelope_of(event, event_id)
        more = {"X-Slack-Retry-Num": str(retry), "X-Slack-Retry-Reason": "http_timeout"} if retry else {}
        return await self.post(json.dumps(body).encode(), "application/json", more)

    async def post_form(self, form: dict[str, str]) -> httpx.Response:
        return await self.post(urlencode(form).encode(), "application/x-www-form-urlencoded")

    async def post(self, body: bytes, kind: str, more: dict[str, str] | None = None) -> httpx.Response:
        headers = {"Content-Type": kind, **signed(body), **(more or {})}
        answer = await self.client.post(PATH, content=body, headers=headers)
        self.answers.append(answer)
        return answer


def envelope_of(event: dict[str, Any], event_id: str | None = None) -> dict[str, Any]:
    """An event as the Events API delivers it."""
    return {
        "token": "legacy",
        "team_id": "T1",
        "api_app_id": "A1",
        "type": "event_callback",
        "event_id": event_id or f"Ev{next(_event_ids)}",
        "event_time": int(time.time()),
        "authorizations": [{"enterprise_id": None, "team_id": "T1", "user_id": "UBOT", "is_bot": True}],
        "event": event,
    }


def event_of(message: Message) -> dict[str, Any]:
    kind = "im" if message.channel.startswith("D") else "channel"
    event: dict[str, Any] = {
        "type": "message",
        "channel": message.channel,
        "channel_type": kind,
        "user": message.user,
        "text": message.text,
        "ts": message.ts,
        "event_ts": message.ts,
        "client_msg_id": f"id-{message.ts}",
        "team": "T1",
    }
    return {**event, "thread_ts": message.thread_ts} if message.thread_ts else event
