"""What Green API delivers, read without trust: any JSON is a message, a status or nothing, and never an error."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.channels.green_api.channel import chat_of, identity_of
from bot.channels.green_api.inbound import TEXT_CHARACTERS_MAX, Status, of_notification
from bot.channels.green_api.instance import webhook_of
from optimizer.records.messages import Inbound

DANA = "33600000001@c.us"
_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
_KINDS = st.sampled_from(
    ["textMessage", "extendedTextMessage", "quotedMessage", "buttonsResponseMessage", "interactiveButtonsReply",
     "imageMessage", "reactionMessage", "pollUpdateMessage"]
)  # fmt: skip
_FIELDS = ("text", "textMessage", "stanzaId", "caption", "isForwarded", "forwardingScore", "selectedButtonId")
_HOLDERS = ("textMessageData", "extendedTextMessageData", "quotedMessage", "fileMessageData", "buttonsResponseMessage",
            "interactiveButtonsReply")  # fmt: skip
_PARTS = st.fixed_dictionaries(
    {"typeMessage": _KINDS | _ANY},
    optional=dict.fromkeys(_HOLDERS, st.fixed_dictionaries({}, optional=dict.fromkeys(_FIELDS, _ANY)) | _ANY),
)


def delivered(data: Any, **changes: Any) -> dict[str, Any]:
    sender = {"chatId": DANA, "sender": DANA, "senderName": "Dana"}
    return {
        "typeWebhook": "incomingMessageReceived",
        "timestamp": 1772000000,
        "idMessage": "F7AEC1B7",
        "senderData": sender,
        "messageData": data,
        **changes,
    }


def message(data: Any, **changes: Any) -> Inbound:
    found = of_notification(delivered(data, **changes))
    assert isinstance(found, Inbound)
    return found


@given(_PARTS, _ANY, _ANY)
def test_whatever_is_delivered_breaks_nothing_and_can_be_stored(data: Any, stamp: Any, name: Any) -> None:
    sender = {"chatId": DANA, "sender": DANA, "senderName": name}
    found = of_notification(delivered(data, timestamp=stamp, senderData=sender))
    if isinstance(found, Inbound):
        stored = found.model_dump_json()
        assert "\\u0000" not in stored
        assert len(found.text) <= TEXT_CHARACTERS_MAX


@given(st.dictionaries(st.sampled_from(["typeWebhook", "idMessage", "senderData", "messageData", "status"]), _ANY))
def test_any_object_at_all_is_read(body: dict[str, Any]) -> None:
    of_notification(body)


def test_what_no_database_takes_does_not_hold_the_queue_up() -> None:
    said = message({"typeMessage": "textMessage", "textMessageData": {"textMessage": "sta\x00tus \ud800"}})
    assert said.text == "sta\ufffdtus \ufffd"


def test_a_reply_names_the_message_that_it_answers() -> None:
    said = message(
        {
            "typeMessage": "quotedMessage",
            "extendedTextMessageData": {"text": "remove 3", "stanzaId": "3EB0"},
            "quotedMessage": {"stanzaId": "3EB0", "textMessage": "deploy all"},
        }
    )
    assert (said.text, said.quoted, said.actor) == ("remove 3", "3EB0", "whatsapp:+33600000001")


@pytest.mark.parametrize("kind", ["buttonsResponseMessage", "interactiveButtonsReply"])
def test_a_button_is_what_stands_behind_it(kind: str) -> None:
    said = message(
        {"typeMessage": kind, kind: {"stanzaId": "3EB0", "selectedButtonId": "skip", "selectedButtonText": "S"}}
    )
    assert (said.text, said.quoted, said.clicked) == ("skip", "3EB0", True)


@pytest.mark.parametrize("mark", [{"isForwarded": True}, {"forwardingScore": 4}])
@pytest.mark.parametrize("place", ["extendedTextMessageData", "textMessageData", "fileMessageData"])
def test_a_forward_is_one_wherever_it_is_marked(place: str, mark: dict[str, Any]) -> None:
    assert message({"typeMessage": "textMessage", place: mark}).forwarded
    assert not message({"typeMessage": "textMessage", place: {"isForwarded": False, "forwardingScore": 0}}).forwarded


def test_a_status_of_what_the_phone_sent_is_none_of_ours() -> None:
    body = {"typeWebhook": "outgoingMessageStatus", "chatId": DANA, "idMessage": "1", "status": "read"}
    assert of_notification(body) == Status(DANA, "1", "read", 3)
    assert of_notification({**body, "sendByApi": False}) is None


def test_people_and_chats_are_named_both_ways() -> None:
    assert identity_of(DANA) == "whatsapp:+33600000001"
    assert chat_of(identity_of(DANA)) == DANA
    assert chat_of("120363043968066561@g.us") == "120363043968066561@g.us"


def test_the_address_of_the_webhook_is_a_secret_that_stays_the_same() -> None:
    ours, theirs = webhook_of("token", "https://bot.example.com/"), webhook_of("token-2", "https://bot.example.com")
    assert ours == webhook_of("token", "https://bot.example.com")
    assert ours.url == f"https://bot.example.com/green-api/hooks/{ours.secret}"
    assert len({ours.secret, ours.token, theirs.secret, theirs.token}) == 4
