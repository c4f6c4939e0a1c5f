"""A Slack workspace as its Web API sees it: users, channels, messages, home views. It checks blocks as Slack does."""

from __future__ import annotations

import itertools
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from tests.simulators.slack_blocks import Refused, texts_in

SCOPES = frozenset(
    {
        "chat:write",
        "im:write",
        "im:history",
        "app_mentions:read",
        "channels:history",
        "groups:history",
        "reactions:read",
        "reactions:write",
        "files:write",
        "commands",
        "users:read",
        "users:read.email",
    }
)
_REFERENCE = re.compile(r"<[^<>]+>")
_NAMES = re.compile(r"@(?:channel|here|everyone)\b")
_BASE_SECONDS = 1_772_000_000  # of the first message


@dataclass
class Message:
    ts: str
    channel: str
    user: str
    text: str
    blocks: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    thread_ts: str | None = None
    metadata: dict[str, Any] | None = None
    files: dict[str, str] = field(default_factory=dict[str, str])  # id -> name
    reactions: list[str] = field(default_factory=list[str])
    edits: int = 0
    parse: str = "none"  # whether Slack looks for names in the text
    seen_by: str | None = None  # an ephemeral message is seen by one person

    def as_answer(self, *, with_metadata: bool = False) -> dict[str, Any]:
        answer: dict[str, Any] = {"type": "message", "ts": self.ts, "user": self.user, "text": self.text}
        if self.user == "UBOT":
            answer |= {"bot_id": "BBOT", "app_id": "A1"}
        if self.blocks:
            answer["blocks"] = self.blocks
        if self.files:
            answer["files"] = [{"id": id_, "name": name} for id_, name in self.files.items()]
        if self.thread_ts:
            answer["thread_ts"] = self.thread_ts
        if with_metadata and self.metadata:
            answer["metadata"] = self.metadata
        return answer

    @property
    def buttons(self) -> list[dict[str, Any]]:
        return [element for block in self.blocks for element in _elements(block) if element.get("type") == "button"]

    def as_seen(self) -> str:
        """What a person reads: the texts of the blocks, buttons in brackets; the text where there are no blocks."""
        if not self.blocks:
            return self.text
        return "\n".join(line for block in self.blocks for line in _seen(block))


@dataclass
class Workspace:
    """State that a test can look at as a person looks at the chat."""

    users: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    channels: dict[str, list[Message]] = field(default_factory=dict[str, list[Message]])
    homes: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    uploads: dict[str, bytes] = field(default_factory=dict[str, bytes])
    file_names: dict[str, str] = field(default_factory=dict[str, str])
    lock: threading.RLock = field(default_factory=threading.RLock)
    base_seconds: int = _BASE_SECONDS
    _count: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.add_user("UBOT", "ratchet", is_bot=True)

    def add_user(self, id_: str, name: str, *, is_bot: bool = False, tz: str = "Europe/Paris") -> str:
        self.users[id_] = {
            "id": id_,
            "name": name,
            "tz": tz,
            "deleted": False,
            "is_bot": is_bot,
            "profile": {"email": f"{name}@example.com", "display_name": name.capitalize()},
        }
        return id_

    def add_channel(self, id_: str) -> str:
        self.channels.setdefault(id_, [])
        return id_

    def direct(self, user: str) -> str:
        """The direct message channel with a user."""
        if user not in self.users:
            raise Refused("user_not_found")
        return self.add_channel(f"D{user[1:]}")

    def next_ts(self) -> str:
        return f"{self.base_seconds}.{next(self._count):06d}"

    def post(self, message: Message) -> Message:
        with self.lock:
            self.channels[message.channel].append(message)
        return message

    def said(self, channel: str, user: str, text: str, thread_ts: str | None = None) -> Message:
        """A person writes."""
        return self.post(Message(self.next_ts(), channel, user, text, thread_ts=thread_ts))

    def find(self, channel: str, ts: str) -> Message:
        found = next((one for one in self.channels.get(channel, []) if one.ts == ts), None)
        if found is None:
            raise Refused("message_not_found")
        return found

    def pings(self, channel: str) -> list[str]:
        """What in the bot's messages calls people, or is a link: written references, and names that Slack finds."""
        said = [one for one in self.channels.get(channel, []) if one.user == "UBOT"]
        found = [ref for one in said for text in [one.text, *_marked(one.blocks)] for ref in _REFERENCE.findall(text)]
        loose = [text for one in said for text in _marked(one.blocks, only_loose=True)]
        loose += [one.text for one in said if one.parse != "none"]
        return found + [name for text in loose for name in _NAMES.findall(text)]

    def read(self, channel: str, user: str | None = None) -> str:
        """The chat as a person sees it, replies indented below the head of their thread."""
        lines: list[str] = []
        messages = [one for one in self.channels.get(channel, []) if one.seen_by in (None, user)]
        for head in (one for one in messages if one.thread_ts in (None, one.ts)):
            lines.append(f"{self.users[head.user]['name']}: {head.as_seen()}")
            for reply in (one for one in messages if one.thread_ts == head.ts and one is not head):
                lines += [f"    {row}" for row in f"{self.users[reply.user]['name']}: {reply.as_seen()}".splitlines()]
        return "\n".join(lines)


def _elements(block: dict[str, Any]) -> list[dict[str, Any]]:
    accessory = [block["accessory"]] if "accessory" in block else []
    return [*accessory, *(block.get("elements", []) if block.get("type") == "actions" else [])]


def _marked(block: Any, *, only_loose: bool = False) -> Iterator[str]:
    """The texts in which Slack reads markup; with `only_loose` those in which it also looks for names and addresses."""
    if isinstance(block, dict):
        one = cast("dict[str, Any]", block)
        if one.get("type") == "mrkdwn" and not (only_loose and one.get("verbatim")):
            yield one["text"]
        for value in one.values():
            yield from _marked(value, only_loose=only_loose)
    elif isinstance(block, list):
        for value in cast("list[Any]", block):
            yield from _marked(value, only_loose=only_loose)


def _seen(block: dict[str, Any]) -> Iterator[str]:
    match block.get("type"):
        case "header" | "section":
            if "text" in block:
                yield block["text"]["text"]
            yield from (part["text"] for part in block.get("fields", []))
        case "context":
            yield " ".join(one.get("text", f"({one.get('alt_text')})") for one in block["elements"])
        case "divider":
            yield "---"
        case "image":
            yield f"(picture: {block['alt_text']})"
        case "rich_text":
            yield "".join(texts_in(block))
        case _:
            pass
    buttons = [f"[{element['text']['text']}]" for element in _elements(block) if element.get("type") == "button"]
    if buttons:
        yield " ".join(buttons)


def parsed(value: Any) -> Any:
    """An argument that came as JSON text in a form."""
    return json.loads(value) if isinstance(value, str) and value[:1] in "[{" else value
