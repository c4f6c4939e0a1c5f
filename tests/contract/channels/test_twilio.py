"""WhatsApp by Twilio over a real socket: what is sent, what is refused, and what a lost answer leaves behind."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import pytest

from bot.cards.card import Card, ItemLine, Line
from bot.channels.port import Outgoing, Part, SendError
from bot.channels.twilio.api import open_api
from bot.channels.twilio.channel import TwilioChannel
from bot.channels.twilio.setup import open_contents
from bot.channels.twilio.templates import Contents
from optimizer.clock import ManualClock
from tests.simulators.twilio import ACCOUNT_SID, AUTH_TOKEN, Fault, Twilio, twilio
from tests.simulators.twilio_account import SENDER, Message

DANA = "whatsapp:+33600000001"
NOW = datetime(2026, 2, 26, 6, 0, 0, 400_000, tzinfo=UTC)
WORDS = Part("hello", {})
LIST = Card("blog-writer (prod)", (ItemLine(1, "One"), ItemLine(2, "Two")), ("deploy all", "skip"))


class Wire:
    """One sender, and Dana, who wrote a minute ago."""

    def __init__(self, space: Twilio, channel: TwilioChannel, clock: ManualClock) -> None:
        self.twilio, self.channel, self.clock = space, channel, clock
        space.account.now = clock.now

    def dana_writes(self) -> None:
        account = self.twilio.account
        account.messages.append(Message(account.sid("SM"), DANA, "hi", account.now(), mine=False))

    async def send(self, part: Part = WORDS) -> str:
        return await self.channel.send(DANA, part, thread=None, token="t:0")

    async def refused(self, part: Part = WORDS) -> SendError:
        with pytest.raises(SendError) as caught:
            await self.send(part)
        said = str(caught.value)
        assert AUTH_TOKEN not in said
        assert ACCOUNT_SID not in said
        return caught.value

    async def found(self, part: Part = WORDS, since: datetime | None = None) -> str | None:
        return await self.channel.sent(DANA, part, thread=None, token="t:0", since=since or self.clock.now())

    @property
    def ours(self) -> list[Message]:
        return [one for one in self.twilio.account.chat(DANA) if one.mine]


@pytest.fixture
async def line() -> AsyncIterator[Wire]:
    async with AsyncExitStack() as stack:
        space = stack.enter_context(twilio())
        contents = await stack.enter_async_context(open_contents(ACCOUNT_SID, AUTH_TOKEN, space.url))
        made = Contents(*[one.sid for one in await contents.put_all()])
        space.account.approve()
        api = await stack.enter_async_context(open_api(ACCOUNT_SID, AUTH_TOKEN, space.url, timeout_seconds=0.5))
        channel = TwilioChannel(api, SENDER.removeprefix("whatsapp:"), contents=made, callback_url="https://bot/status")
        opened = Wire(space, channel, ManualClock(NOW))
        opened.dana_writes()
        yield opened


async def test_words_and_buttons_arrive(line: Wire) -> None:
    for part in line.channel.parts(Outgoing(LIST, lists=True)):
        await line.send(part)
    assert line.twilio.account.read(DANA).split("ratchet: ")[1:] == [
        '*blog-writer (prod)*\n*[1]* One\n*[2]* Two\n\nReply: "deploy all" | "skip"\n',
        "Your decision on the 2 changes for blog-writer (prod): [Deploy all] [Skip] [Status]",
    ]
    assert {one.callback for one in line.ours} == {"https://bot/status"}


async def test_a_template_arrives_where_nothing_was_heard(line: Wire) -> None:
    line.twilio.account.messages.clear()
    for card in (LIST, Card("blog-writer (prod)", (Line("Live: system v8."),))):
        (part,) = line.channel.parts(Outgoing(card, lists=card is LIST, window_open=False))
        assert await line.send(part) == line.ours[-1].sid
        assert line.ours[-1].seen
        assert line.ours[-1].text == part.text


async def test_without_a_template_nobody_is_written_to(line: Wire) -> None:
    bare = TwilioChannel(line.channel._api, SENDER)
    (part,) = bare.parts(Outgoing(LIST, lists=True, window_open=False))
    line.channel = bare
    error = await line.refused(part)
    assert error.kind == "never"
    assert "TWILIO_CONTENT_SID" in str(error)
    assert not line.ours


@pytest.mark.parametrize(
    ("fault", "kind", "wait", "done"),
    [
        (Fault.limited, "later", 7.0, 0),
        (Fault.failed, "unknown", None, 0),
        (Fault.failed_after, "unknown", None, 1),
        (Fault.dropped, "unknown", None, 0),
        (Fault.dropped_after, "unknown", None, 1),
        (Fault.slow, "unknown", None, 1),
        (Fault.page, "unknown", None, 0),
        (Fault.revoked, "never", None, 0),
    ],
    ids=lambda one: one.name if isinstance(one, Fault) else None,
)
async def test_a_fault_is_what_it_is_and_nothing_is_tried_again(
    line: Wire, fault: Fault, kind: str, wait: float | None, done: int
) -> None:
    since = line.clock.now()
    line.twilio.fails(fault)
    error = await line.refused()
    assert (error.kind, error.retry_after_seconds) == (kind, wait)
    assert len(line.ours) == done
    assert (await line.found(since=since) is not None) is bool(done)


async def test_an_unreachable_vendor_was_not_sent_anything(line: Wire) -> None:
    async with open_api(ACCOUNT_SID, AUTH_TOKEN, "http://127.0.0.1:1") as api:
        line.channel = TwilioChannel(api, SENDER)
        assert (await line.refused()).kind == "later"


async def test_too_long_a_text_is_at_fault_itself(line: Wire) -> None:
    error = await line.refused(Part("x" * 1_601, {}))
    assert error.kind == "refused"
    assert str(error) == "Twilio refused the message: the text is too long."


async def test_wrong_keys_are_told_without_naming_them(line: Wire) -> None:
    async with open_api(ACCOUNT_SID, "wrong", line.twilio.url) as api:
        line.channel = TwilioChannel(api, SENDER)
        error = await line.refused()
        assert error.kind == "never"
        assert "TWILIO_AUTH_TOKEN" in str(error)


async def test_a_template_that_was_deleted_is_told(line: Wire) -> None:
    line.twilio.account.contents.clear()
    (part,) = line.channel.parts(Outgoing(LIST, lists=True, window_open=False))
    assert "ratchet whatsapp setup" in str(await line.refused(part))


async def test_the_same_words_said_before_are_not_these(line: Wire) -> None:
    await line.send()
    line.twilio.fails(Fault.failed)
    await line.refused()
    assert await line.found(since=line.clock.now()) is None
    line.twilio.fails(Fault.failed_after)
    await line.refused()
    assert await line.found(since=line.clock.now()) == line.ours[-1].sid
    assert await line.found(since=line.clock.now()) is None


async def test_what_a_process_sent_before_it_died_is_found_by_the_next(line: Wire) -> None:
    since = line.clock.now()
    sid = await line.send()
    line.channel = TwilioChannel(line.channel._api, SENDER)
    assert await line.found(since=since) == sid
    assert await line.found(Part("other", {}), since=since) is None
