"""Under load, faults and crashes: each message is answered once, in order, and what breaks ends and is told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from bot.cards.card import Card, Line
from bot.cards.stored import as_json
from bot.channels.port import Capabilities, Outgoing, Part, SendError
from bot.inbox import ATTEMPTS_MAX as ANSWERS_MAX
from bot.outbox import ATTEMPTS_MAX as SENDS_MAX
from bot.outbox import MOVED_AFTER_ATTEMPTS
from bot.service import Service, make_service
from optimizer.db.port import Database
from optimizer.loop import Decisions
from optimizer.records.messages import Delivery, Inbound
from optimizer.stores.messages import DeliveryStore, InboundStore
from tests.contract.channels.test_messages import SETTINGS
from tests.journey import hotel
from tests.journey.hotel import AGENT
from tests.journey.world import DANA, Proposed, World

CHAT = "there"
PLAIN = "Plain."  # what looks the same with markup
Sending = Callable[[str, Part], Awaitable[None]]


class Recording:
    """A channel that keeps what was sent; `before` and `after` run around each message that it takes."""

    def __init__(self, name: str = "console", *, can_look: bool = True) -> None:
        self.name = name
        self.capabilities = Capabilities(0, updates=False, threads=False, characters_max=100, pictures=False)
        self.messages: list[tuple[str, str, str]] = []  # chat, token, text
        self.before: Sending = _nothing
        self.after: Sending = _nothing
        self.unreachable: SendError | None = None
        self.looked = 0
        self._can_look = can_look

    def parts(self, outgoing: Outgoing, *, plain: bool = False) -> tuple[Part, ...]:
        lines = [block.text for block in outgoing.card.blocks if isinstance(block, Line)]
        return tuple(Part(line if plain or line == PLAIN else f"*{line}*", {}) for line in lines)

    async def chat_with(self, identity: str) -> str:
        if self.unreachable:
            raise self.unreachable
        return CHAT

    async def send(self, chat: str, part: Part, *, thread: str | None, token: str) -> str:
        await self.before(chat, part)
        self.messages.append((chat, token, part.text))
        await self.after(chat, part)
        return str(len(self.messages))

    async def update(self, chat: str, vendor_id: str, part: Part) -> None:
        await self.before(chat, part)

    async def sent(self, chat: str, part: Part, *, thread: str | None, token: str, since: datetime) -> str | None:
        self.looked += 1
        tokens = [one for _, one, _ in self.messages]
        return str(tokens.index(token) + 1) if self._can_look and token in tokens else None

    def texts(self, chat: str = CHAT) -> list[str]:
        return [text for place, _, text in self.messages if place == chat]


async def _nothing(chat: str, part: Part) -> None:
    pass


def once(error: BaseException) -> Sending:
    """Fails the first time."""
    left = [error]

    async def fail(chat: str, part: Part) -> None:
        if left:
            raise left.pop()

    return fail


class DiesBeforeTheAnswer(InboundStore):
    async def done(self, *_: object, **__: object) -> bool:
        raise KeyError("the process dies here")


class Bot:
    """A service over recording channels, and its database."""

    def __init__(self, world: World, database: Database, dsn: str, *channels: Recording) -> None:
        self.world = world
        self.dsn = dsn
        self.database = database
        self.channels = {one.name: one for one in channels}
        self.service = self.another()

    def another(self, lease_seconds: int = 30) -> Service:
        """One more copy of the service, as another process would run it."""
        service = make_service(self.world.ratchet, self.channels, uuid4().hex)
        return replace(
            service,
            inbox=replace(service.inbox, lease_seconds=lease_seconds),
            outbox=replace(service.outbox, lease_seconds=lease_seconds),
        )

    @property
    def channel(self) -> Recording:
        return self.channels["console"]

    async def hears(self, text: str, vendor_id: str, chat: str = CHAT) -> None:
        now = self.world.clock.now()
        message = Inbound(channel="console", vendor_id=vendor_id, chat=chat, actor=DANA, text=text, at=now)
        await self.service.keep(message)

    def must_say(self, *lines: str, chat: str = CHAT, channel: str = "console") -> str:
        """A delivery that waits."""
        id_ = str(uuid4())
        body = {"card": as_json(Card("", tuple(Line(line) for line in lines)))}
        row = {"id": id_, "key": id_, "agent": AGENT, "channel": channel, "chat": chat, "body": body}
        self.sql("select ratchet.deliveries_add(%s, %s)", Jsonb([row]), self.world.clock.now())
        return id_

    def sql(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(query.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def leases_end(self) -> None:
        """As if whoever holds them had died a while ago."""
        for table in ("inbound", "deliveries"):
            self.sql(f"update ratchet.{table} set lease_until = '-infinity' where lease_until is not null")

    async def delivery(self, id_: str) -> Delivery:
        found = await DeliveryStore(self.database).get(id_)  # pyright: ignore[reportArgumentType]
        assert found is not None
        return found


@pytest.fixture
async def bot(database: Database, dsn: str) -> Bot:
    world = World(database, SETTINGS)
    await world.ratchet.agents.register(AGENT, at=world.clock.now(), environment="prod", tools=hotel.TOOLS)
    await world.edit_prompts(hotel.PROMPTS)
    return Bot(world, database, dsn, Recording(), Recording("slack", can_look=False))


@asynccontextmanager
async def running(service: Service) -> AsyncIterator[asyncio.Event]:
    stop = asyncio.Event()
    async with asyncio.timeout(30):
        task = asyncio.create_task(service.run(stop))
        try:
            yield stop
        finally:
            stop.set()
            await task


async def until(true: Callable[[], bool]) -> None:
    for _ in range(1000):
        if true():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come true in 20 seconds")


# ---- sending


async def test_a_message_that_was_sent_before_a_crash_is_found_and_not_said_again(bot: Bot) -> None:
    id_ = bot.must_say("Hello.")
    bot.channel.after = once(KeyError("the process dies here"))
    with pytest.raises(KeyError):
        await bot.service.outbox.work()
    bot.world.clock.advance(timedelta(minutes=1))
    await bot.service.outbox.work()
    assert bot.channel.texts() == ["*Hello.*"]
    assert (await bot.delivery(id_)).state == "sent"


async def test_what_a_dead_worker_held_is_looked_for_first(bot: Bot) -> None:
    id_ = bot.must_say("Hello.")
    claimed = await bot.service.outbox.claim(bot.channels)
    assert claimed is not None
    await bot.channel.send(CHAT, Part("*Hello.*", {}), thread=None, token=f"{id_}:0")  # it died after this
    assert await bot.service.outbox.work() == 0
    bot.leases_end()
    await bot.service.outbox.work()
    assert bot.channel.texts() == ["*Hello.*"]
    assert bot.channel.looked == 1


async def test_nobody_looks_where_it_is_certain_that_nothing_was_sent(bot: Bot) -> None:
    bot.must_say("Hello.")
    bot.channel.before = once(SendError("Busy.", "later"))
    await bot.service.outbox.work()
    bot.world.clock.advance(timedelta(minutes=1))
    await bot.service.outbox.work()
    assert bot.channel.texts() == ["*Hello.*"]
    assert bot.channel.looked == 0


async def test_the_rest_of_a_long_message_goes_on_where_it_stopped(bot: Bot) -> None:
    id_ = bot.must_say("One.", "Two.", "Three.")
    failing = iter((None, SendError("No answer.", "unknown"), None, None))

    async def fail(chat: str, part: Part) -> None:
        error = next(failing)
        if error:
            raise error

    bot.channel.after = fail  # the second part arrives, and its answer does not
    await bot.service.outbox.work()
    assert (await bot.delivery(id_)).doubt
    bot.world.clock.advance(timedelta(minutes=1))
    await bot.service.outbox.work()
    assert bot.channel.texts() == ["*One.*", "*Two.*", "*Three.*"]


async def test_what_is_refused_is_said_without_markup_and_only_what_was_not_said(bot: Bot) -> None:
    id_ = bot.must_say(PLAIN, "One.", "Two.")

    async def refuse(chat: str, part: Part) -> None:
        if part.text == "*Two.*":
            raise SendError("invalid_blocks", "refused")

    bot.channel.before = refuse
    await bot.service.outbox.work()
    assert bot.channel.texts() == [PLAIN, "*One.*", "One.", "Two."]  # what has another form now is said again
    delivery = await bot.delivery(id_)
    assert (delivery.state, len(delivery.vendor_ids), delivery.error) == ("sent", 4, None)


async def test_a_chat_that_waits_holds_its_own_order_and_no_other_chat(bot: Bot) -> None:
    bot.must_say("First.")
    bot.must_say("Second.")
    bot.must_say("Elsewhere.", chat="other")
    bot.channel.before = once(SendError("Slow down.", "later", 30.0))
    await bot.service.outbox.work()
    assert (bot.channel.texts(), bot.channel.texts("other")) == ([], ["*Elsewhere.*"])
    bot.world.clock.advance(timedelta(seconds=31))
    await bot.service.outbox.work()
    assert bot.channel.texts() == ["*First.*", "*Second.*"]


async def test_a_delivery_that_breaks_every_attempt_is_given_up_and_the_next_is_said(
    bot: Bot, caplog: pytest.LogCaptureFixture
) -> None:
    id_ = bot.must_say("Breaks.")
    bot.must_say("Fine.")

    async def breaks(chat: str, part: Part) -> None:
        if "Breaks" in part.text:
            raise KeyError("a bug")

    bot.channel.before = breaks
    for _ in range(SENDS_MAX):
        with pytest.raises(KeyError):
            await bot.service.outbox.work()
        bot.world.clock.advance(timedelta(hours=1))
    await bot.service.outbox.work()
    assert bot.channel.texts() == ["*Fine.*"]
    assert (await bot.delivery(id_)).state == "failed"
    assert "given up" in caplog.text


async def test_a_channel_that_stays_down_gives_way_to_the_persons_next(bot: Bot) -> None:
    async def down(chat: str, part: Part) -> None:
        raise SendError("It cannot be reached.", "later")

    async def elsewhere(delivery: Delivery) -> list[dict[str, Any]]:
        return [{**delivery.model_dump(mode="json"), "id": str(uuid4()), "key": "elsewhere", "channel": "slack"}]

    bot.channel.before = down
    id_ = bot.must_say("Hello.")
    outbox = replace(bot.service.outbox, elsewhere=elsewhere)
    for _ in range(MOVED_AFTER_ATTEMPTS):
        assert not bot.channels["slack"].messages
        await outbox.work()
        bot.world.clock.advance(timedelta(minutes=10))
    await outbox.work()
    assert bot.channels["slack"].texts() == ["*Hello.*"]
    assert (await bot.delivery(id_)).state == "moved"


async def test_who_lost_a_delivery_writes_nothing_more_about_it(bot: Bot) -> None:
    id_ = bot.must_say("Hello.")
    late = await bot.service.outbox.claim(bot.channels)
    assert late is not None
    bot.leases_end()
    await bot.another().outbox.work()
    bot.channel.before = once(SendError("Busy.", "later"))
    await bot.service.outbox.deliver(late)
    assert (await bot.delivery(id_)).state == "sent"


async def test_a_slow_channel_holds_no_other_up(bot: Bot) -> None:
    release = asyncio.Event()

    async def slow(chat: str, part: Part) -> None:
        await release.wait()

    bot.channels["slack"].before = slow
    for n in range(8):
        bot.must_say("Slow.", chat=f"slow {n}", channel="slack")
    async with running(bot.service):
        bot.must_say("Quick.")
        bot.service.wake()
        await until(lambda: bot.channel.texts() == ["*Quick.*"])
        release.set()
        await until(lambda: len(bot.channels["slack"].messages) == 8)


async def test_a_lease_is_renewed_while_the_vendor_takes_its_time(bot: Bot) -> None:
    bot.service = bot.another(lease_seconds=1)
    begun, release = asyncio.Event(), asyncio.Event()

    async def slow(chat: str, part: Part) -> None:
        begun.set()
        await release.wait()

    bot.channel.before = slow
    bot.must_say("Hello.")
    sending = asyncio.create_task(bot.service.outbox.work())
    await begun.wait()
    await asyncio.sleep(1.6)
    assert await bot.another().outbox.claim(bot.channels) is None
    release.set()
    await sending
    assert bot.channel.texts() == ["*Hello.*"]


# ---- answering


async def test_every_chat_is_answered_in_order_by_several_copies_at_once(bot: Bot) -> None:
    for n in range(12):
        await bot.hears("status" if n % 3 else "help", f"m{n}", f"chat {n % 4}")
    async with running(bot.service), running(bot.another()):
        await until(lambda: bot.sql("select count(*) from ratchet.inbound where state = 'done'")[0][0] == 12)
        await until(lambda: not bot.sql("select from ratchet.deliveries where state = 'waiting'"))
    keys = [key for (key,) in bot.sql("select key from ratchet.deliveries order by position")]
    for chat in range(4):
        numbers = [int(key.split(":")[1]) for key in keys if int(key.split(":")[1]) % 4 == (chat + 1) % 4]
        assert numbers == sorted(numbers)
    assert len({key for key in keys if key.endswith(":0")}) == 12


async def test_a_decision_whose_answer_was_lost_in_a_crash_is_not_made_again(bot: Bot) -> None:
    lines = [line for line in hotel.PROMPTS["core"].splitlines() if line.startswith("- ")]
    await bot.world.propose(Proposed("One", (World.edit(lines[0], 1),)), Proposed("Two", (World.edit(lines[1], 2),)))
    await bot.service.once()
    await bot.hears("remove 1", "m1")
    dying = replace(bot.service.inbox, inbound=DiesBeforeTheAnswer(bot.database))
    with pytest.raises(KeyError):
        await dying.work()
    bot.leases_end()
    await bot.service.once()
    decided = bot.sql(
        "select body::jsonb ->> 'message' from ratchet.decisions where body::jsonb ->> 'kind' = 'decision'"
    )
    assert decided == [("console:m1",)]
    said = [
        body
        for (body,) in bot.sql("select body::text from ratchet.deliveries where key like 'answer:%%' order by position")
    ]
    assert "was done, once" in said[0]


class Slow(Decisions):
    """A registry that takes its time."""

    release = asyncio.Event()

    async def work(self, agent: str | None = None) -> int:
        await self.release.wait()
        return await super().work(agent)


async def test_a_chat_is_told_that_a_slow_deployment_is_under_way(bot: Bot) -> None:
    core = hotel.PROMPTS["core"]
    line = next(one for one in core.splitlines() if one.startswith("- ") and core.count(one) == 1)
    await bot.world.propose(Proposed("One", (World.edit(line, 1),)))
    await bot.service.once()
    ratchet, Slow.release = bot.world.ratchet, asyncio.Event()
    slow = replace(ratchet, decisions=Slow(**vars(ratchet.decisions)))
    inbox = replace(bot.service.inbox, ratchet=slow, patience_seconds=0.2)
    await bot.hears("deploy all", "m1")
    await inbox.work()
    await bot.service.outbox.work()
    assert any("Under way: core" in text for text in bot.channel.texts())
    Slow.release.set()
    await until(lambda: bot.sql("select state from ratchet.deployments") == [("live",)])


async def test_a_message_that_kills_whoever_reads_it_is_given_up_with_a_word(bot: Bot) -> None:
    await bot.hears("help", "m1")
    for _ in range(ANSWERS_MAX):
        assert await bot.service.inbox.claim() is not None
        bot.leases_end()
    await bot.service.inbox.work()
    await bot.service.outbox.work()
    ((state, error),) = bot.sql("select state, error from ratchet.inbound")
    assert (state, error) == ("failed", "every attempt broke off")
    assert "Something went wrong" in bot.channel.texts()[0]


async def test_a_flood_in_one_chat_is_bounded_and_nobody_else_notices(bot: Bot) -> None:
    now = bot.world.clock.now()
    flood = [
        Inbound(channel="console", vendor_id=f"f{n}", chat="flood", actor=DANA, text="help", at=now) for n in range(510)
    ]
    kept = await bot.service.inbound.put_many(flood, now)
    assert kept == (True,) * 500 + (False,) * 10
    await bot.hears("help", "m1")
    states = dict(bot.sql("select vendor_id, state from ratchet.inbound where vendor_id in ('f499', 'f500', 'm1')"))
    assert states == {"f499": "waiting", "f500": "failed", "m1": "waiting"}


async def test_messages_that_arrive_together_are_each_kept_once(bot: Bot) -> None:
    await asyncio.gather(*(bot.hears("help", f"m{n % 30}") for n in range(60)))
    assert bot.sql("select count(*) from ratchet.inbound") == [(30,)]


async def test_text_that_no_database_takes_is_kept_without_what_is_wrong_with_it(bot: Bot) -> None:
    await asyncio.gather(bot.hears("he\0lp \ud83d", "m1"), bot.hears("help", "m2"))
    kept = bot.sql("select message ->> 'text' from ratchet.inbound order by vendor_id")
    assert kept == [("he\ufffdlp ?",), ("help",)]


# ---- the service


async def test_what_another_process_writes_is_seen_within_a_second_or_so(bot: Bot) -> None:
    async with running(bot.service):
        await asyncio.sleep(0.2)
        bot.must_say("From elsewhere.")
        await until(lambda: bot.channel.texts() == ["*From elsewhere.*"])


async def test_a_stop_hands_back_what_is_under_way(bot: Bot) -> None:
    begun = asyncio.Event()

    async def forever(chat: str, part: Part) -> None:
        begun.set()
        await asyncio.Event().wait()

    bot.channel.before = forever
    id_ = bot.must_say("Hello.")
    async with running(replace(bot.service, grace_seconds=0.1)):
        await begun.wait()
    delivery = await bot.delivery(id_)
    assert (delivery.state, delivery.worker, delivery.doubt) == ("waiting", None, True)
    bot.channel.before = _nothing
    bot.world.clock.advance(timedelta(minutes=1))
    await bot.another().outbox.work()
    assert bot.channel.texts() == ["*Hello.*"]


async def test_one_broken_job_is_told_and_the_others_go_on(bot: Bot, caplog: pytest.LogCaptureFixture) -> None:
    async def breaks(chat: str, part: Part) -> None:
        if chat == "broken":
            raise KeyError("a bug")

    bot.channel.before = breaks
    bot.must_say("Breaks.", chat="broken")
    with caplog.at_level(logging.ERROR):
        async with running(bot.service):
            await until(lambda: "a job broke" in caplog.text)
            bot.must_say("Fine.")
            await until(lambda: bot.channel.texts() == ["*Fine.*"])


async def test_who_starts_after_months_is_not_told_months(bot: Bot) -> None:
    await bot.world.day()
    await bot.world.run()
    bot.world.clock.advance(timedelta(days=60))
    assert await bot.service.fan_out() == 0
    await bot.world.run()
    assert await bot.service.fan_out() > 0
    assert await bot.service.fan_out() == 0


async def test_a_notice_waits_for_who_cannot_be_found_just_now(bot: Bot) -> None:
    await bot.world.day()
    await bot.world.run()
    bot.channel.unreachable = SendError("It cannot be reached.", "later")
    with pytest.raises(SendError):
        await bot.service.fan_out()
    bot.channel.unreachable = None
    assert await bot.service.fan_out() == 1
