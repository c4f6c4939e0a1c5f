"""What every channel keeps to, the same tests for each of them over its vendor's simulator."""

from __future__ import annotations

import traceback
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from bot.cards.card import Block, Card, DiffLine, DiffPart, Gap, Heading, ItemLine, Line, Note
from bot.channels.port import Outgoing, Part, SendError
from tests.contract.channels.kits import KITS, Kit, Trouble

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
SESSION = Card(
    "blog-writer (prod) self-analysis, 2026-02-26",
    (
        Line("Last 24 h: 214 sessions, avg cost $0.041"),
        Heading("Cost (2 savings):"),
        ItemLine(3, "Playbooks text stands twice"),
        ItemLine(4, "Ghost block stands twice", "removed", closed=True),
        Gap(),
        DiffLine((DiffPart("same", "Be "), DiffPart("removed", "kind"), DiffPart("added", "brief"))),
        Note("Watching: write_article failed 2 of 12"),
        Line("It is worse.", "bad"),
    ),
    ("deploy all", "show 3", "skip"),
)
HOSTILE = "<!channel> @channel <@U0DANA> <https://evil.example|free> & *loud* _low_ ~gone~ `code` ```more```"


REMOTE = sorted(set(KITS) - {"console"})  # a terminal fails in none of these ways
over_a_network = pytest.mark.parametrize("kit", REMOTE, indirect=True)


@pytest.fixture(params=sorted(KITS))
async def kit(request: pytest.FixtureRequest) -> AsyncIterator[Kit]:
    async with KITS[request.param]() as opened:
        yield opened


async def say(kit: Kit, card: Card, *, plain: bool = False, lists: bool = True) -> list[str]:
    """Sends all of it; the vendor's ids."""
    parts = kit.channel.parts(Outgoing(card, lists=lists), plain=plain)
    return [await kit.channel.send(kit.chat, part, thread=None, token=f"t:{n}") for n, part in enumerate(parts)]


def first_part(kit: Kit, card: Card = SESSION) -> Part:
    return kit.channel.parts(Outgoing(card, lists=True))[0]


def missing(kit: Kit, *texts: str) -> list[str]:
    """Which of them nobody reads in the chat; where rows break is the channel's business."""
    seen = "".join(kit.read().split())
    return [one for one in texts if "".join(one.split()) not in seen]


async def trouble(kit: Kit, what: Trouble) -> SendError:
    """The error of a message to which that happens."""
    kit.fails[what]()
    with pytest.raises(SendError) as raised:
        await kit.channel.send(kit.chat, first_part(kit), thread=None, token="t:0")
    told = "".join(traceback.format_exception(raised.value))
    assert not [secret for secret in kit.secrets if secret in told]
    return raised.value


async def found(kit: Kit) -> str | None:
    return await kit.channel.sent(kit.chat, first_part(kit), thread=None, token="t:0", since=LONG_AGO)


@pytest.mark.parametrize("plain", [False, True])
async def test_a_card_is_read_whole(kit: Kit, plain: bool) -> None:
    await say(kit, SESSION, plain=plain)
    texts = ["blog-writer (prod)", "214 sessions", "Cost (2 savings)", "[3]", "Playbooks text stands twice", "[4]",
             "removed", "kind", "brief", "Watching: write_article failed 2 of 12", "It is worse."]  # fmt: skip
    assert missing(kit, *texts) == []
    assert "deploy all" in kit.read().lower()


async def test_each_message_has_an_id_of_its_own(kit: Kit) -> None:
    ids = await say(kit, SESSION) + await say(kit, SESSION)
    assert len(set(ids)) == len(ids) == kit.messages()


@pytest.mark.parametrize("plain", [False, True])
async def test_forty_long_items_are_presented_whole_in_messages_that_the_vendor_takes(kit: Kit, plain: bool) -> None:
    items: list[Block] = [ItemLine(n, f"Item {n} " + f"and why it costs, reason {n}, " * 18) for n in range(1, 41)]
    card = Card("blog-writer (prod)", tuple(items), ("deploy all", "skip"))
    parts = kit.channel.parts(Outgoing(card, lists=True), plain=plain)
    assert all(len(part.text) <= kit.channel.capabilities.characters_max for part in parts)
    await say(kit, card, plain=plain)
    assert missing(kit, *(f"[{n}]" for n in range(1, 41)), *(f"reason {n}," for n in range(1, 41))) == []
    assert "deploy all" in kit.read().lower()


async def test_one_endless_word_is_cut_and_not_lost(kit: Kit) -> None:
    await say(kit, Card("", (Line("x" * 20_000), Note("y" * 7_000), Line("the end"))), lists=False)
    seen = kit.read()
    assert (seen.count("x"), seen.count("y")) == (20_000, 7_000)


async def test_words_out_of_traces_call_nobody_and_are_no_links(kit: Kit) -> None:
    items = (ItemLine(1, HOSTILE, HOSTILE), ItemLine(2, HOSTILE, "", closed=True))
    blocks = (Line(HOSTILE), Heading(HOSTILE), Note(HOSTILE), *items, DiffLine((DiffPart("added", HOSTILE),)))
    for plain in (False, True):
        await say(kit, Card(HOSTILE[:60], blocks), plain=plain)
    assert kit.pings() == []


async def test_a_message_is_changed_in_its_place_where_the_channel_can(kit: Kit) -> None:
    (vendor_id,) = await say(kit, SESSION)
    before = kit.messages()
    changed = Card("blog-writer (prod)", (Line("Decided by Dana."),), ("status", "history"))
    await kit.channel.update(kit.chat, vendor_id, first_part(kit, changed))
    assert kit.messages() == before
    assert bool(missing(kit, "Decided by Dana.")) is not kit.channel.capabilities.updates


async def test_a_change_of_a_message_that_is_gone_is_no_error(kit: Kit) -> None:
    await kit.channel.update(kit.chat, "1772000000.999999", first_part(kit))


async def test_a_person_has_a_chat(kit: Kit) -> None:
    assert await kit.channel.chat_with(kit.identity) == kit.chat


@over_a_network
async def test_too_many_messages_wait_as_long_as_the_vendor_says(kit: Kit) -> None:
    error = await trouble(kit, Trouble.busy)
    assert (error.kind, error.retry_after_seconds) == ("later", 7.0)
    assert await found(kit) is None


@over_a_network
@pytest.mark.parametrize("what", [Trouble.failed, Trouble.lost])
async def test_what_was_not_sent_is_not_found(kit: Kit, what: Trouble) -> None:
    error = await trouble(kit, what)
    assert error.kind in ("unknown", "later")
    assert await found(kit) is None
    assert await say(kit, SESSION)


@over_a_network
@pytest.mark.parametrize("what", [Trouble.failed_after, Trouble.lost_after, Trouble.silent_after])
async def test_what_may_have_been_sent_is_looked_for(kit: Kit, what: Trouble) -> None:
    assert (await trouble(kit, what)).kind == "unknown"
    assert (await found(kit) is not None) is kit.can_look
    assert kit.messages() == 1  # and nothing was tried again behind our back


@over_a_network
async def test_a_refused_form_is_taken_without_markup(kit: Kit) -> None:
    assert (await trouble(kit, Trouble.refused)).kind == "refused"
    assert await say(kit, SESSION, plain=True)
    assert missing(kit, "Playbooks text stands twice") == []


@pytest.mark.parametrize(
    ("kit", "what"),
    [("slack", Trouble.gone), *((name, Trouble.locked_out) for name in REMOTE)],  # WhatsApp tells nobody that one left
    indirect=["kit"],
)
async def test_who_cannot_be_reached_is_not_tried_again(kit: Kit, what: Trouble) -> None:
    assert (await trouble(kit, what)).kind == "never"
