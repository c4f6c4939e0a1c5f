"""A Slack workspace as its Web API sees it: users, channels, messages, home views. It checks blocks as Slack does."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

BLOCKS_MAX, HOME_BLOCKS_MAX = 50, 100
TEXT_MAX = 40_000
BLOCK_CHARACTERS_MAX = 13_200  # of one message: measured, not documented
SECTION_MAX, FIELD_MAX, FIELDS_MAX, HEADER_MAX = 3000, 2000, 10, 150
BUTTON_TEXT_MAX, BUTTON_VALUE_MAX, ACTION_ID_MAX = 75, 2000, 255
ACTIONS_MAX, CONTEXT_MAX = 25, 10
CONFIRM_TITLE_MAX, CONFIRM_TEXT_MAX, CONFIRM_BUTTON_MAX = 100, 300, 30
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
_BASE_SECONDS = 1_772_000_000  # of the first message


class Refused(Exception):
    """What Slack answers as `{"ok": false, "error": ...}`."""

    def __init__(self, error: str, **more: Any) -> None:
        super().__init__(error)
        self.answer = {"ok": False, "error": error, **more}


@dataclass
class Message:
    ts: str
    channel: str
    user: str
    text: str
    blocks: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    thread_ts: str | None = None
    metadata: dict[str, Any] | None = None
    files: list[str] = field(default_factory=list[str])
    reactions: list[str] = field(default_factory=list[str])
    edits: int = 0
    seen_by: str | None = None  # an ephemeral message is seen by one person

    def as_answer(self, *, with_metadata: bool = False) -> dict[str, Any]:
        answer: dict[str, Any] = {"type": "message", "ts": self.ts, "user": self.user, "text": self.text}
        if self.user == "UBOT":
            answer |= {"bot_id": "BBOT", "app_id": "A1"}
        if self.blocks:
            answer["blocks"] = self.blocks
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
    lock: threading.RLock = field(default_factory=threading.RLock)
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
        return f"{_BASE_SECONDS}.{next(self._count):06d}"

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

    def read(self, channel: str, user: str | None = None) -> str:
        """The chat as a person sees it, replies indented below the head of their thread."""
        lines: list[str] = []
        messages = [one for one in self.channels.get(channel, []) if one.seen_by in (None, user)]
        for head in (one for one in messages if one.thread_ts in (None, one.ts)):
            lines.append(f"{self.users[head.user]['name']}: {head.as_seen()}")
            for reply in (one for one in messages if one.thread_ts == head.ts and one is not head):
                lines += [f"    {row}" for row in f"{self.users[reply.user]['name']}: {reply.as_seen()}".splitlines()]
        return "\n".join(lines)


def check_message(text: str, blocks: list[dict[str, Any]]) -> None:
    """Raises `Refused` for what chat.postMessage does not take."""
    if not text and not blocks:
        raise Refused("no_text")
    problems = check_blocks(blocks, BLOCKS_MAX)
    if problems:
        raise Refused("invalid_blocks", errors=problems, response_metadata={"messages": [f"[ERROR] {problems[0]}"]})
    if sum(len(one) for block in blocks for one in _texts(block)) > BLOCK_CHARACTERS_MAX:
        raise Refused("msg_blocks_too_long")


def check_blocks(blocks: Any, blocks_max: int) -> list[str]:
    """What is wrong with them; empty where nothing is."""
    if not isinstance(blocks, list):
        return ["must be an array [json-pointer:/blocks]"]
    found = cast("list[Any]", blocks)
    problems = [f"no more than {blocks_max} items allowed [json-pointer:/blocks]"] if len(found) > blocks_max else []
    seen: set[str] = set()
    for place, block in enumerate(found):
        problems += [f"{why} [json-pointer:/blocks/{place}]" for why in _wrong(block)]
        block_id = block.get("block_id") if isinstance(block, dict) else None
        if block_id is not None and block_id in seen:
            problems.append(f"block_id already exists [json-pointer:/blocks/{place}/block_id]")
        seen.add(str(block_id)) if block_id is not None else None
    return problems


def _wrong(block: Any) -> Iterator[str]:
    if not isinstance(block, dict):
        yield "must be an object"
        return
    one = cast("dict[str, Any]", block)
    kind = one.get("type")
    match kind:
        case "header":
            yield from _text(one.get("text"), HEADER_MAX, ("plain_text",))
        case "section":
            if "text" not in one and "fields" not in one:
                yield "section needs text or fields"
            if "text" in one:
                yield from _text(one["text"], SECTION_MAX)
            if len(one.get("fields", [])) > FIELDS_MAX:
                yield f"no more than {FIELDS_MAX} items allowed"
            for part in one.get("fields", []):
                yield from _text(part, FIELD_MAX)
            if "accessory" in one:
                yield from _element(one["accessory"])
        case "actions":
            if not 1 <= len(one.get("elements", [])) <= ACTIONS_MAX:
                yield f"1 to {ACTIONS_MAX} elements allowed"
            for element in one.get("elements", []):
                yield from _element(element)
            ids = [element.get("action_id") for element in one.get("elements", [])]
            if len(set(ids)) < len(ids):
                yield "action_id must be unique in a block"
        case "context":
            if not 1 <= len(one.get("elements", [])) <= CONTEXT_MAX:
                yield f"1 to {CONTEXT_MAX} elements allowed"
            for element in one.get("elements", []):
                if element.get("type") != "image":
                    yield from _text(element, SECTION_MAX)
        case "divider":
            pass
        case "image":
            if not one.get("alt_text") or not (one.get("image_url") or one.get("slack_file")):
                yield "image needs alt_text and an address"
        case "rich_text":
            if not isinstance(one.get("elements"), list):
                yield "rich_text needs elements"
        case _:
            yield f"unsupported type: {kind}"


def _text(text: Any, characters_max: int, kinds: tuple[str, ...] = ("plain_text", "mrkdwn")) -> Iterator[str]:
    if not isinstance(text, dict) or text.get("type") not in kinds:
        yield "must be a text object"
        return
    said = cast("dict[str, Any]", text).get("text")
    if not isinstance(said, str) or not said:
        yield "must be at least 1 character"
    elif len(said) > characters_max:
        yield f"must be less than {characters_max + 1} characters"


def _element(element: Any) -> Iterator[str]:
    if not isinstance(element, dict):
        yield "must be an object"
        return
    one = cast("dict[str, Any]", element)
    if one.get("type") != "button":
        yield f"unsupported element: {one.get('type')}"
        return
    yield from _text(one.get("text"), BUTTON_TEXT_MAX, ("plain_text",))
    if len(one.get("value", "")) > BUTTON_VALUE_MAX or len(one.get("action_id", "")) > ACTION_ID_MAX:
        yield "value or action_id is too long"
    if one.get("style") not in (None, "primary", "danger"):
        yield "style must be primary or danger"
    confirm = one.get("confirm")
    if confirm is not None:
        yield from _text(confirm.get("title"), CONFIRM_TITLE_MAX, ("plain_text",))
        yield from _text(confirm.get("text"), CONFIRM_TEXT_MAX)
        yield from _text(confirm.get("confirm"), CONFIRM_BUTTON_MAX, ("plain_text",))
        yield from _text(confirm.get("deny"), CONFIRM_BUTTON_MAX, ("plain_text",))


def _elements(block: dict[str, Any]) -> list[dict[str, Any]]:
    accessory = [block["accessory"]] if "accessory" in block else []
    return [*accessory, *(block.get("elements", []) if block.get("type") == "actions" else [])]


def _texts(block: Any) -> Iterator[str]:
    """Every text in a block, at any depth."""
    if isinstance(block, dict):
        for key, value in cast("dict[str, Any]", block).items():
            if key == "text" and isinstance(value, str):
                yield value
            else:
                yield from _texts(value)
    elif isinstance(block, list):
        for one in cast("list[Any]", block):
            yield from _texts(one)


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
            yield "".join(_texts(block))
        case _:
            pass
    buttons = [f"[{element['text']['text']}]" for element in _elements(block) if element.get("type") == "button"]
    if buttons:
        yield " ".join(buttons)


def parsed(value: Any) -> Any:
    """An argument that came as JSON text in a form."""
    return json.loads(value) if isinstance(value, str) and value[:1] in "[{" else value
