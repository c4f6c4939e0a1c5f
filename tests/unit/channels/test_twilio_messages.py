"""What Twilio is given and what it delivers: within WhatsApp's limits outward, nothing taken for granted inward."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.cards.card import Card, ItemLine, Line
from bot.channels.port import Outgoing, Part
from bot.channels.twilio.api import TwilioApi
from bot.channels.twilio.channel import TwilioChannel
from bot.channels.twilio.inbound import RANKS, of_message, of_status
from bot.channels.twilio.templates import CHANGES, NEWS, TEMPLATES, Contents, Template
from tests.simulators.twilio_account import Message
from tests.simulators.twilio_phone import form_of

DANA = "whatsapp:+33600000001"
NOW = datetime(2026, 2, 26, 6, 0, tzinfo=UTC)
API = TwilioApi(None, "AC0")  # pyright: ignore[reportArgumentType]
CHANNEL = TwilioChannel(
    API, "+14155238886", contents=Contents("HX1", "HX2", "HX3"), hang=lambda picture: "https://bot.example.com/1.png"
)
LIST = Card(
    "blog-writer (prod) self-analysis, 26 Feb",
    tuple(ItemLine(n, "A long title. " * 30, closed=n == 2) for n in range(1, 41)),
    ("deploy all", "remove 1, deploy", "show 1", "skip"),
)
_PLACE = re.compile(r"\{\{\d\}\}")


def test_a_list_of_forty_is_whole_and_ends_with_its_buttons() -> None:
    *texts, buttons = CHANNEL.parts(Outgoing(LIST, lists=True))
    assert all(len(part.text) <= 1_500 for part in texts)
    assert all(f"[{n}]" in "".join(part.text for part in texts) for n in range(1, 41))
    assert buttons.payload["ContentSid"] == "HX3"
    assert buttons.text == "Your decision on the 39 changes for blog-writer (prod):"


def test_other_replies_and_plain_ones_have_no_buttons() -> None:
    one = Card("blog-writer (prod)", (ItemLine(3, "Ghost block"),), ("deploy 3", "show 3", "skip"))
    assert [part.payload for part in CHANNEL.parts(Outgoing(one, lists=True))] == [{}]
    assert all(part.payload == {} for part in CHANNEL.parts(Outgoing(LIST, lists=True), plain=True))
    bare = TwilioChannel(API, "+14155238886")
    assert all(part.payload == {} for part in bare.parts(Outgoing(LIST, lists=True)))


def test_outside_the_window_there_is_one_template() -> None:
    (part,) = CHANNEL.parts(Outgoing(LIST, lists=True, window_open=False))
    assert part.text == "Ratchet: 39 changes waiting for blog-writer (prod). Reply LIST to see what."
    assert json.loads(part.payload["ContentVariables"]) == {"1": "39 changes", "2": "blog-writer (prod)"}
    news = Card("blog-writer (prod)", (Line("Live: system v8\n(was v7).", "good"),), ("rollback",))
    (part,) = CHANNEL.parts(Outgoing(news, window_open=False))
    assert part.text == "News of blog-writer (prod): Live: system v8 (was v7). Reply STATUS for more."
    assert part.payload["ContentSid"] == "HX2"


def test_a_picture_is_its_own_message_where_it_can_be_fetched() -> None:
    parts = CHANNEL.parts(Outgoing(LIST, picture=b"png"))
    (picture,) = [part for part in parts if "picture" in part.payload]
    assert picture.text == "*blog-writer (prod) self-analysis, 26 Feb*"
    bare = TwilioChannel(API, "+14155238886")
    assert not bare.capabilities.pictures
    assert not [part for part in bare.parts(Outgoing(LIST, picture=b"png")) if "picture" in part.payload]


@given(st.text(max_size=2_000), st.text(max_size=2_000))
def test_whatever_is_filled_in_is_taken_by_whatsapp(first: str, second: str) -> None:
    for template in (CHANGES, NEWS):
        part: Part = template.part("HX1", first, second)
        for value in json.loads(part.payload["ContentVariables"]).values():
            assert value.strip()
            assert len(value) <= 255
            assert not re.search(r"[\n\t\r]| {4}", value)
        assert len(part.text) <= 1_024


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda one: one.name)
def test_every_template_is_as_whatsapp_wants_it(template: Template) -> None:
    kind = template.content()["types"]["twilio/quick-reply"]
    assert len(kind["actions"]) <= 3
    assert all(len(one["title"]) <= 20 and len(one["id"]) <= 200 for one in kind["actions"])
    assert re.fullmatch("[a-z0-9_]+", template.name)
    assert len(template.samples) == len(_PLACE.findall(template.body))
    assert not re.search(r"^\{\{|\}\}$|\}\}\s*\{\{", template.body)


# ---- what arrives


def _message(text: str) -> Message:
    return Message("SM0123456789abcdef0123456789abcdef", DANA, text, NOW, mine=False)


def test_words_are_the_persons_own() -> None:
    arrived = of_message(form_of(_message("remove 3, deploy")), NOW)
    assert arrived is not None
    assert (arrived.channel, arrived.chat, arrived.actor) == ("twilio", DANA, DANA)
    assert (arrived.text, arrived.clicked, arrived.quoted, arrived.media) == ("remove 3, deploy", False, None, False)
    assert arrived.vendor_id == "SM0123456789abcdef0123456789abcdef"


def test_a_tap_is_the_reply_that_the_button_stands_for() -> None:
    more = {"ButtonText": "Deploy all", "ButtonPayload": "deploy all", "MessageType": "interactive"}
    arrived = of_message(form_of(_message("Deploy all"), _message("ours"), more), NOW)
    assert arrived is not None
    assert (arrived.text, arrived.clicked) == ("deploy all", True)
    assert arrived.quoted == "SM0123456789abcdef0123456789abcdef"


def test_an_address_need_not_be_a_number() -> None:
    arrived = of_message({**form_of(_message("status")), "From": "whatsapp:ID.4566546130240823"}, NOW)
    assert arrived is not None
    assert arrived.actor == "whatsapp:ID.4566546130240823"


@pytest.mark.parametrize("field", ["Forwarded", "FrequentlyForwarded"])
def test_what_was_forwarded_is_marked(field: str) -> None:
    arrived = of_message(form_of(_message("deploy all"), more={field: "true"}), NOW)
    assert arrived is not None
    assert arrived.forwarded


@pytest.mark.parametrize("more", [{"NumMedia": "1"}, {"Latitude": "48.1", "MessageType": "location"}])
def test_a_picture_or_a_place_is_no_text(more: dict[str, str]) -> None:
    arrived = of_message(form_of(_message(""), more=more), NOW)
    assert arrived is not None
    assert arrived.media


@pytest.mark.parametrize(
    "more", [{"MessageType": "reaction"}, {"MessageSid": ""}, {"From": "+33600000001"}, {"To": ""}]
)
def test_what_is_no_message_is_not_kept(more: dict[str, str]) -> None:
    assert of_message(form_of(_message("deploy all"), more=more), NOW) is None


def test_a_long_text_is_cut() -> None:
    arrived = of_message(form_of(_message("x" * 60_000)), NOW)
    assert arrived is not None
    assert len(arrived.text) == 4_000


def test_a_status_tells_of_which_message_and_why() -> None:
    said = of_status({"MessageSid": "SM1", "To": DANA, "MessageStatus": "undelivered", "ErrorCode": "63016"})
    assert said == ("SM1", DANA, "undelivered", RANKS["undelivered"], 63016)
    assert of_status({"MessageSid": "SM1", "To": DANA, "MessageStatus": "sent", "ErrorCode": "9" * 99}) == (
        "SM1",
        DANA,
        "sent",
        RANKS["sent"],
        None,
    )


@pytest.mark.parametrize("form", [{}, {"MessageSid": "SM1", "To": DANA, "MessageStatus": "glowing"}, {"To": DANA}])
def test_a_status_that_is_not_known_is_none(form: dict[str, str]) -> None:
    assert of_status(form) is None


def test_a_message_only_ever_gets_on() -> None:
    life = ("queued", "sending", "sent", "delivered", "read")
    assert sorted(life, key=RANKS.__getitem__) == list(life)
    assert min(RANKS["failed"], RANKS["undelivered"]) > RANKS["read"]
