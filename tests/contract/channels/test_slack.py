"""What is Slack's own: what may be delivered to the webhook, and how the channel copes with threads and pictures."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from bot.cards.card import Card, Line
from bot.channels.port import Outgoing, SendError
from bot.channels.slack.channel import SlackChannel, open_slack
from bot.channels.slack.socket import open_socket
from bot.web.slack import PATH, Identity, is_signed, make_bolt, slack_router
from optimizer.clock import ManualClock, SystemClock
from optimizer.errors import DatabaseError
from optimizer.records.messages import Inbound
from tests.simulators.slack import APP_TOKEN, BOT_TOKEN, SIGNING_SECRET, Fault, Slack, slack
from tests.simulators.slack_events import Sender, envelope_of, event_of, signed
from tests.simulators.slack_socket import socket

DANA = "U0DANA"
SAID = Outgoing(Card("blog-writer (prod)", (Line("It is live."),)))


@dataclass
class Hook:
    """The webhook, and what it kept."""

    space: Slack
    channel: SlackChannel
    client: httpx.AsyncClient
    kept: list[Inbound]
    opened: list[str]

    @property
    def sender(self) -> Sender:
        return Sender(self.space, self.client)

    async def keep(self, message: Inbound) -> None:
        self.kept.append(message)

    async def post(self, body: bytes, kind: str = "application/json", **headers: str) -> int:
        answer = await self.client.post(PATH, content=body, headers={"Content-Type": kind, **signed(body), **headers})
        return answer.status_code


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    async with AsyncExitStack() as stack:
        space = stack.enter_context(slack())
        space.workspace.add_user(DANA, "dana")
        space.workspace.add_channel("C0OPS")
        channel = await stack.enter_async_context(open_slack(BOT_TOKEN, space.url))
        made = Hook(space, channel, httpx.AsyncClient(), [], [])
        identity = Identity(channel.client)
        app = FastAPI()
        bolt = make_bolt(channel.client, identity, lambda one: made.keep(one), made.opened.append, SystemClock())
        app.include_router(slack_router(bolt, identity, SIGNING_SECRET))
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        made.client = await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://bot"))
        yield made


def event(**values: Any) -> bytes:
    message = {
        "type": "message",
        "channel": "D0DANA",
        "channel_type": "im",
        "user": DANA,
        "text": "status",
        "ts": "1.1",
    }
    return json.dumps(envelope_of({**message, **values})).encode()


def test_the_published_signature_is_taken() -> None:
    body = b"token=xyzz0WbapA4vBCDEFi8LC8KO&command=%2Fratchet&text=status"
    digest = "38c13ef4e65c80524912d89c5785707367a5f0954eb7ea7dfa0269096f790f94"
    headers = {"X-Slack-Request-Timestamp": "1531420618", "X-Slack-Signature": f"v0={digest}"}
    clock = ManualClock(datetime.fromtimestamp(1531420618, UTC))
    assert is_signed(headers, body, "8f742231b10e8888abcd99yyyzzz85a5", clock)
    assert not is_signed(headers, body + b" ", "8f742231b10e8888abcd99yyyzzz85a5", clock)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Slack-Request-Timestamp": "soon"},
        {"X-Slack-Request-Timestamp": "\u0661\u0662"},
        {"X-Slack-Request-Timestamp": "9" * 40},
        {"X-Slack-Signature": "v0=\u00e9"},
        {"X-Slack-Signature": ""},
    ],
)
async def test_a_strange_proof_proves_nothing_and_asks_slack_nothing(hook: Hook, headers: dict[str, str]) -> None:
    body = event()
    sent = [(name.encode(), value.encode()) for name, value in {**signed(body), **headers}.items()]
    answer = await hook.client.post(PATH, content=body, headers=sent)
    assert answer.status_code == 401
    assert (hook.kept, hook.space.requests) == ([], [])


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", b'{"a":' * 100_000, b"null"])
@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded"])
async def test_what_is_signed_and_cannot_be_read_is_refused(hook: Hook, body: bytes, kind: str) -> None:
    form = kind != "application/json"
    assert await hook.post(b"payload=" + body if form else body, kind) == 400
    assert hook.kept == []


async def test_what_arrives_while_slack_does_not_say_who_we_are_comes_again(hook: Hook) -> None:
    hook.space.fails("auth.test", Fault.failed)
    assert await hook.post(event()) == 503
    assert hook.kept == []
    assert await hook.post(event(), **{"X-Slack-Retry-Num": "1", "X-Slack-Retry-Reason": "http_error"}) == 200
    assert [one.text for one in hook.kept] == ["status"]


async def test_what_cannot_be_kept_is_not_acknowledged(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(message: Inbound) -> None:
        raise DatabaseError("The disk is full.")

    hook.keep = full  # pyright: ignore[reportAttributeAccessIssue]
    assert await hook.post(event()) >= 500


@pytest.mark.parametrize(
    "values",
    [
        {"subtype": "message_changed"},
        {"bot_id": "B9"},
        {"user": "UBOT"},
        {"type": "reaction_removed"},
        {"type": "channel_rename"},
        {"type": "something_new"},
    ],
)
async def test_what_is_no_message_is_acknowledged_and_not_kept(hook: Hook, values: dict[str, Any]) -> None:
    assert await hook.post(event(**values)) == 200
    assert hook.kept == []


async def test_slack_is_answered_when_it_checks_the_address_or_holds_events_back(hook: Hook) -> None:
    body = json.dumps({"type": "url_verification", "challenge": "abc", "token": "t"}).encode()
    answer = await hook.client.post(PATH, content=body, headers={"Content-Type": "application/json", **signed(body)})
    assert (answer.status_code, "abc" in answer.text) == (200, True)
    assert await hook.post(json.dumps({"type": "app_rate_limited", "team_id": "T1"}).encode()) == 200


async def test_the_keys_of_another_way_in_do_not_turn_the_token_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_CLIENT_ID", "1.2")
    monkeypatch.setenv("SLACK_CLIENT_SECRET", "secret")
    kept: list[Inbound] = []

    async def keep(message: Inbound) -> None:
        kept.append(message)

    with slack() as space:
        async with open_slack(BOT_TOKEN, space.url) as channel:
            identity = Identity(channel.client)
            app = FastAPI()
            bolt = make_bolt(channel.client, identity, keep, lambda _: None, SystemClock())
            app.include_router(slack_router(bolt, identity, SIGNING_SECRET))
            body = event()
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bot") as client:
                headers = {"Content-Type": "application/json", **signed(body)}
                assert (await client.post(PATH, content=body, headers=headers)).status_code == 200
    assert len(kept) == 1


async def test_a_command_is_answered_in_private_and_says_so(hook: Hook) -> None:
    in_channel = await hook.sender.commands(DANA, "status", "C0OPS")
    in_direct = await hook.sender.commands(DANA, "")
    assert "direct messages" in in_channel.text
    assert in_direct.text == ""
    assert [(one.chat, one.text) for one in hook.kept] == [(f"slack:{DANA}", "status"), (f"slack:{DANA}", "show all")]


async def test_the_home_tab_is_drawn_after_it_was_acknowledged(hook: Hook) -> None:
    assert (await hook.sender.opens_home(DANA)).status_code == 200
    assert (hook.opened, hook.kept) == ([DANA], [])


async def test_below_a_thread_that_is_gone_is_said_in_the_chat_itself(hook: Hook) -> None:
    chat = await hook.channel.chat_with(f"slack:{DANA}")
    (part,) = hook.channel.parts(SAID)
    await hook.channel.send(chat, part, thread="1.000001", token="t")
    assert "It is live." in hook.space.workspace.read(chat)


async def test_a_message_is_found_behind_hundreds_of_others(hook: Hook) -> None:
    chat = await hook.channel.chat_with(f"slack:{DANA}")
    head = hook.space.workspace.said(chat, DANA, "status")
    (part,) = hook.channel.parts(SAID)
    for thread in (None, head.ts):
        sent = await hook.channel.send(chat, part, thread=thread, token=f"t:{thread}")
        for n in range(300):
            hook.space.workspace.said(chat, DANA, f"talk {n}", thread)
        since = datetime(2026, 1, 1, tzinfo=UTC)
        assert await hook.channel.sent(chat, part, thread=thread, token=f"t:{thread}", since=since) == sent


async def test_who_may_not_look_takes_it_as_not_sent(hook: Hook) -> None:
    chat = await hook.channel.chat_with(f"slack:{DANA}")
    (part,) = hook.channel.parts(SAID)
    hook.space.scopes.discard("im:history")
    assert await hook.channel.sent(chat, part, thread=None, token="t", since=datetime(2026, 1, 1, tzinfo=UTC)) is None


async def test_a_picture_is_sent_below_its_words_and_found_again(hook: Hook) -> None:
    chat = await hook.channel.chat_with(f"slack:{DANA}")
    words, picture = hook.channel.parts(Outgoing(SAID.card, picture=b"\x89PNG"))
    await hook.channel.send(chat, words, thread=None, token="t:0")
    sent = await hook.channel.send(chat, picture, thread=None, token="t:1")
    assert hook.space.workspace.uploads[sent] == b"\x89PNG"
    since = datetime(2026, 1, 1, tzinfo=UTC)
    assert await hook.channel.sent(chat, picture, thread=None, token="t:1", since=since) == sent
    assert await hook.channel.sent(chat, picture, thread=None, token="t:2", since=since) is None


async def test_who_left_cannot_be_reached(hook: Hook) -> None:
    hook.space.workspace.users[DANA]["deleted"] = True
    with pytest.raises(SendError) as raised:
        await hook.channel.chat_with(f"slack:{DANA}")
    assert raised.value.kind == "never"
    assert not await hook.channel.is_active(f"slack:{DANA}")


async def test_a_laptop_hears_over_its_own_connection_also_after_it_broke(hook: Hook) -> None:
    identity = Identity(hook.channel.client)
    bolt = make_bolt(hook.channel.client, identity, hook.keep, hook.opened.append, SystemClock())
    said = hook.space.workspace.said("D0DANA", DANA, "status") if hook.space.workspace.direct(DANA) else None
    assert said is not None
    async with socket(hook.space) as link, open_socket(bolt, APP_TOKEN) as client:
        await link.deliver("events_api", envelope_of(event_of(said)))
        await client.connect_to_new_endpoint()
        await link.deliver("slash_commands", {"command": "/ratchet", "text": "history", "user_id": DANA,
                                              "channel_id": "D0DANA", "trigger_id": "1"})  # fmt: skip
    assert [one.text for one in hook.kept] == ["status", "history"]


async def test_a_wrong_key_for_the_connection_is_told(hook: Hook) -> None:
    identity = Identity(hook.channel.client)
    bolt = make_bolt(hook.channel.client, identity, hook.keep, hook.opened.append, SystemClock())
    with pytest.raises(SendError, match="SLACK_APP_TOKEN"):
        async with open_socket(bolt, "xapp-wrong", connect_seconds=1):
            pass
