"""What Slack delivers, as the bot takes it: people's words as they typed them, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.channels.slack.inbound import TEXT_CHARACTERS_MAX, of_click, of_event, of_reaction, plain

BOT = "UBOT"
MESSAGE = {
    "type": "message",
    "channel": "D1",
    "channel_type": "im",
    "user": "U1",
    "text": "status",
    "ts": "1772000000.000100",
}


def event(**changes: Any) -> dict[str, Any]:
    return {"event": {key: value for key, value in {**MESSAGE, **changes}.items() if value is not None}}


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("remove 3 &amp; deploy &lt;4&gt;", "remove 3 & deploy <4>"),
        ("<@UBOT> deploy all", "deploy all"),
        ("<@U2> deploy all", "@U2 deploy all"),
        ("<@U2|sam> deploy", "@sam deploy"),
        ("see <#C1|ops>", "see #ops"),
        ("<!channel> deploy", "!channel deploy"),
        ("<https://example.com/a|example.com>", "example.com"),
        ("<mailto:a@example.com|a@example.com>", "a@example.com"),
        ("<https://example.com>", "https://example.com"),
        ("\u201cdeploy\u201d don\u2019t", '"deploy" don\'t'),
        ("&gt; deploy all\nno", "> deploy all\nno"),
        ("&amp;lt;", "&lt;"),
    ],
)
def test_words_are_read_as_they_were_typed(typed: str, read: str) -> None:
    assert plain(typed, BOT) == read


def test_what_is_cut_does_not_read_as_something_short() -> None:
    links = "<https://example.com/" + "a" * 300 + "|.> "
    assert len(plain(f"deploy all {links * 40} not", BOT)) < TEXT_CHARACTERS_MAX
    assert plain(f"deploy all {links * 40} not", BOT).endswith("not")
    assert len(plain("deploy all " * 1000, BOT)) == TEXT_CHARACTERS_MAX


@pytest.mark.parametrize(
    "changes",
    [
        {"subtype": "message_changed"},
        {"subtype": "message_deleted"},
        {"subtype": "bot_message", "user": None},
        {"subtype": "channel_join"},
        {"bot_id": "B2"},
        {"user": BOT},
        {"user": None},
        {"ts": None},
        {"type": "pin_added"},
        {"type": "app_mention", "edited": {"user": "U1", "ts": "2.0"}},
    ],
)
def test_what_no_person_wrote_now_is_no_message(changes: dict[str, Any]) -> None:
    assert of_event(event(**changes), BOT) is None


def test_a_mention_and_its_message_are_one() -> None:
    channel = {"channel": "C1", "channel_type": "channel", "text": "<@UBOT> status"}
    as_message, as_mention = of_event(event(**channel), BOT), of_event(event(**channel, type="app_mention"), BOT)
    assert as_message == as_mention
    assert as_message is not None
    assert as_message.addressed


def test_talk_in_a_channel_is_beside_the_bot_until_it_is_named() -> None:
    talk = of_event(event(channel="C1", channel_type="channel", thread_ts="1.0"), BOT)
    assert talk is not None
    assert (talk.addressed, talk.thread) == (False, "1.0")


def test_a_file_without_words_is_media_and_a_shared_message_without_words_is_forwarded() -> None:
    file = of_event(event(subtype="file_share", text="", files=[{"id": "F1"}]), BOT)
    shared = of_event(event(text="", attachments=[{"is_share": True, "text": "deploy all"}]), BOT)
    assert file is not None
    assert shared is not None
    assert (file.media, shared.forwarded, shared.text) == (True, True, "")


def click(**action: Any) -> dict[str, Any]:
    return {
        "user": {"id": "U1"},
        "container": {"type": "message", "message_ts": "1.0", "channel_id": "C1"},
        "channel": {"id": "C1"},
        "actions": [{"type": "button", "value": "show 3", "action_ts": "2.0", **action}],
    }


def test_a_click_is_the_reply_on_its_button() -> None:
    clicked = of_click(click())
    assert clicked is not None
    assert (clicked.text, clicked.clicked, clicked.quoted, clicked.thread) == ("show 3", True, "1.0", "1.0")


def test_a_click_on_the_home_tab_is_answered_in_private() -> None:
    clicked = of_click({**click(), "container": {"type": "view", "view_id": "V1"}, "channel": None})
    assert clicked is not None
    assert clicked.chat == clicked.actor == "slack:U1"


@pytest.mark.parametrize(
    "action", [{"value": None}, {"type": "static_select"}, {"action_ts": None}, {"value": "x" * 9_000}]
)
def test_what_is_no_button_of_ours_is_no_click(action: dict[str, Any]) -> None:
    assert of_click(click(**action)) is None


@pytest.mark.parametrize(
    ("name", "thumb"),
    [
        ("+1", "\U0001f44d"),
        ("+1::skin-tone-4", "\U0001f44d"),
        ("-1", "\U0001f44e"),
        ("white_check_mark", None),
        ("eyes", None),
    ],
)
def test_only_a_thumb_is_a_reaction(name: str, thumb: str | None) -> None:
    item = {"type": "message", "channel": "C1", "ts": "1.0"}
    said = of_reaction(
        {"event": {"type": "reaction_added", "user": "U1", "reaction": name, "item": item, "event_ts": "2.0"}}
    )
    assert (said.text if said else None) == thumb
    assert said is None or (not said.addressed and said.quoted == "1.0")


_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=6,
)


def _with(*keys: str) -> st.SearchStrategy[dict[str, Any]]:
    """Any of these keys, with anything in them."""
    return st.fixed_dictionaries({}, optional=dict.fromkeys(keys, _JSON))


@given(_with("text", "ts", "user", "channel", "thread_ts", "files", "attachments", "subtype"))
def test_nothing_that_is_signed_breaks_the_reader(changes: dict[str, Any]) -> None:
    of_event({"event": {**MESSAGE, **changes}}, BOT)


@given(_with("user", "container", "channel", "actions", "message"))
def test_no_click_breaks_the_reader(changes: dict[str, Any]) -> None:
    of_click({**click(), **changes})


@given(_with("user", "reaction", "item", "event_ts"))
def test_no_reaction_breaks_the_reader(changes: dict[str, Any]) -> None:
    of_reaction({"event": {"type": "reaction_added", "reaction": "+1", **changes}})
