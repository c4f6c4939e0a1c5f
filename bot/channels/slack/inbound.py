"""What Slack delivers, as inbound messages. Pure: the signature was checked, and nothing else of it is believed."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

from bot.channels.slack.channel import IDENTITY, NAME
from bot.conversation.tokens import readable
from optimizer.records.messages import Inbound

TEXT_CHARACTERS_MAX = 4_000  # nobody answers a list in more
_COMMAND = "/ratchet"
_TALK = ("message", "app_mention")
_DIRECT = ("im", "app_home")
_WITH_TEXT = ("file_share", "thread_broadcast")  # every other subtype is no message of a person
_THUMBS = {"+1": "\U0001f44d", "thumbsup": "\U0001f44d", "-1": "\U0001f44e", "thumbsdown": "\U0001f44e"}
_REFERENCE = re.compile(r"<([^<>|]+)(?:\|([^<>]*))?>")
_QUOTES = str.maketrans({"\u201c": '"', "\u201d": '"', "\u2018": "'", "\u2019": "'"})


def of_event(body: Mapping[str, Any], bot_user: str) -> Inbound | None:
    """A message to the bot, or beside it in a channel where it is; None for all else: edits, bots, its own words."""
    event = _object(body.get("event"))
    kind, subtype = event.get("type"), event.get("subtype")
    if kind not in _TALK or (subtype is not None and subtype not in _WITH_TEXT) or event.get("edited"):
        return None
    user, channel, ts = (_text(event.get(key)) for key in ("user", "channel", "ts"))
    if not (user and channel and ts) or event.get("bot_id") or user == bot_user:
        return None
    raw, thread = _text(event.get("text")), _text(event.get("thread_ts"))
    mentioned = kind == "app_mention" or f"<@{bot_user}>" in raw
    is_shared = any(_object(one).get("is_share") for one in _list(event.get("attachments")))
    return Inbound(
        channel=NAME,
        vendor_id=f"{channel}:{ts}",  # a mention is delivered as a message, too: with the same time
        chat=channel,
        actor=f"{IDENTITY}{user}",
        text=plain(raw, bot_user),
        at=_at(ts),
        thread=thread if thread and thread != ts else None,
        addressed=mentioned or event.get("channel_type") in _DIRECT,
        media=bool(event.get("files")),
        forwarded=is_shared and not raw.strip(),
    )


def of_reaction(body: Mapping[str, Any]) -> Inbound | None:
    """A thumb on a message, as talk beside the bot: whether it is asked about is the agent's setting."""
    event = _object(body.get("event"))
    item, reaction = _object(event.get("item")), _text(event.get("reaction"))
    thumb = _THUMBS.get(reaction.partition("::")[0])  # whatever its skin
    user, at = _text(event.get("user")), _text(event.get("event_ts"))
    channel, ts = _text(item.get("channel")), _text(item.get("ts"))
    if event.get("type") != "reaction_added" or thumb is None or not (user and channel and ts):
        return None
    return Inbound(
        channel=NAME,
        vendor_id=f"{channel}:{ts}:{user}:{reaction}:{at}",
        chat=channel,
        actor=f"{IDENTITY}{user}",
        text=thumb,
        at=_at(at),
        thread=ts,
        quoted=ts,
        addressed=False,
    )


def of_click(body: Mapping[str, Any]) -> Inbound | None:
    """A button of ours; its value is the reply that it stands for. One on the home tab is answered in private."""
    container, message = _object(body.get("container")), _object(body.get("message"))
    action = _object(next(iter(_list(body.get("actions"))), None))
    user = _text(_object(body.get("user")).get("id"))
    channel = _text(_object(body.get("channel")).get("id")) or _text(container.get("channel_id"))
    if container.get("type") == "view":
        channel = f"{IDENTITY}{user}"
    value, clicked_at = _text(action.get("value")), _text(action.get("action_ts"))
    if action.get("type") != "button" or not (user and channel and value and clicked_at):
        return None
    if len(value) > TEXT_CHARACTERS_MAX:  # a part of a reply is another one
        return None
    message_ts = _text(container.get("message_ts")) or None
    return Inbound(
        channel=NAME,
        vendor_id=f"{channel}:{message_ts}:{user}:{clicked_at}",
        chat=channel,
        actor=f"{IDENTITY}{user}",
        text=value,
        at=_at(clicked_at),
        thread=_text(message.get("thread_ts")) or message_ts,
        quoted=message_ts,
        clicked=True,
    )


def of_command(form: Mapping[str, Any], at: datetime) -> Inbound | None:
    """`/ratchet status`; without words it asks for the list. It may be given where the bot is not, and is seen by
    nobody else there, so that it is answered in the person's own chat."""
    user, channel, trigger = form.get("user_id"), form.get("channel_id"), form.get("trigger_id")
    if form.get("command") != _COMMAND or not (user and channel and trigger):
        return None
    return Inbound(
        channel=NAME,
        vendor_id=f"command:{trigger}",
        chat=f"{IDENTITY}{user}",
        actor=f"{IDENTITY}{user}",
        text=plain(str(form.get("text") or ""), "") or "show all",
        at=at,
    )


def plain(text: str, bot_user: str) -> str:
    """The words as they were typed: without the mention of the bot, Slack's references and its escapes."""

    def shown(reference: re.Match[str]) -> str:
        target, label = reference[1], reference[2]
        if target == f"@{bot_user}":
            return " "
        if target.startswith(("@", "#", "!")):
            return f"{target[0]}{label or target[1:]}"
        return label or target.removeprefix("mailto:").removeprefix("tel:")

    # Cut at the end: what is left of a long text must not read as a short one.
    return readable(html.unescape(_REFERENCE.sub(shown, text))).translate(_QUOTES).strip()[:TEXT_CHARACTERS_MAX]


def _object(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _at(ts: str) -> datetime:
    try:
        return datetime.fromtimestamp(float(ts), UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)
