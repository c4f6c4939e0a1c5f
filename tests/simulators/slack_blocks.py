"""What Slack takes as a message or as a view, and what it answers to the rest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

BLOCKS_MAX, HOME_BLOCKS_MAX = 50, 100
TEXT_MAX = 40_000
BLOCK_CHARACTERS_MAX = 13_200  # of one message: measured, not documented
SECTION_MAX, FIELD_MAX, FIELDS_MAX, HEADER_MAX = 3000, 2000, 10, 150
BUTTON_TEXT_MAX, BUTTON_VALUE_MAX, ACTION_ID_MAX = 75, 2000, 255
ACTIONS_MAX, CONTEXT_MAX = 25, 10
CONFIRM_TITLE_MAX, CONFIRM_TEXT_MAX, CONFIRM_BUTTON_MAX = 100, 300, 30


class Refused(Exception):
    """What Slack answers as `{"ok": false, "error": ...}`."""

    def __init__(self, error: str, **more: Any) -> None:
        super().__init__(error)
        self.answer = {"ok": False, "error": error, **more}


def check_message(text: str, blocks: list[dict[str, Any]]) -> None:
    """Raises `Refused` for what chat.postMessage does not take."""
    if not text and not blocks:
        raise Refused("no_text")
    problems = check_blocks(blocks, BLOCKS_MAX)
    if problems:
        raise Refused("invalid_blocks", errors=problems, response_metadata={"messages": [f"[ERROR] {problems[0]}"]})
    if sum(len(one) for block in blocks for one in texts_in(block)) > BLOCK_CHARACTERS_MAX:
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


def texts_in(block: Any) -> Iterator[str]:
    """Every text in a block, at any depth."""
    if isinstance(block, dict):
        for key, value in cast("dict[str, Any]", block).items():
            if key == "text" and isinstance(value, str):
                yield value
            else:
                yield from texts_in(value)
    elif isinstance(block, list):
        for one in cast("list[Any]", block):
            yield from texts_in(one)
