"""Registry templates (chat and completion) and the one text of theirs that people read and edit.

A template is JSON as PromptLayer holds it: messages with content blocks, beside tools and much else. Its text is that
of its only text block; where there are several, each stands below a line that names it:

    === message 1 (system), block 1 ===
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, cast

from optimizer.errors import InputError
from optimizer.prompts.messages import MARKER, fence_for
from optimizer.prompts.variables import VARIABLES_IN, variables_of

Template = Mapping[str, Any]

_ROLE = re.compile(r"[a-z_]{1,20}")
_DEFAULT_FORMAT = "f-string"


class TemplateError(InputError):
    """A text that does not fit the template that it is to be put into."""


class _Block(NamedTuple):
    name: str  # what its marker says
    content: dict[str, Any]  # the block itself, which holds `text`
    holder: dict[str, Any]  # the message, or the completion template


def text_of(template: Template) -> str:
    """The template's text; empty where it has no text block."""
    return _joined(list(_blocks(template)))


def with_text(template: Template, text: str) -> dict[str, Any]:
    """The template with this text in its blocks, and the input variables that follow; all else as it was.

    Raises `TemplateError` for a text whose marker lines are not those of the template.
    """
    changed = copy.deepcopy(dict(template))
    blocks = list(_blocks(changed))
    texts = _split(blocks, text)
    before = {id(holder): _variables(holder) for holder in _holders(blocks)}
    for block, new in zip(blocks, texts, strict=True):
        block.content["text"] = new
    if _joined(blocks) != text:
        raise TemplateError(
            "The text has, or has lost, a line that looks like one that names a message; write that line differently."
        )
    _recompute(changed, blocks, before)
    return changed


def format_of(template: Template) -> str:
    """How its texts name variables: "f-string" or "jinja2"; empty where its messages differ in that."""
    found = {str(holder.get("template_format") or _DEFAULT_FORMAT) for holder in _holders(list(_blocks(template)))}
    return found.pop() if len(found) == 1 else ""


def frame_of(template: Template) -> dict[str, Any]:
    """What is left of the template without its texts: equal for two versions that differ in texts alone."""
    bare = copy.deepcopy(dict(template))
    for block in _blocks(bare):
        block.content["text"] = ""
    for holder in (bare, *_messages(bare)):
        holder.pop(VARIABLES_IN, None)
    return bare


def block_name(line: str) -> str | None:
    """`message 1 (system), block 1`, of a line that may name a block of a template with several."""
    return line.strip("= ") if MARKER.fullmatch(line) else None


def new_template(text: str) -> dict[str, Any]:
    """A chat template of one system message, for a prompt that the registry does not have yet.

    It is an f-string where the text has `{variables}` and nothing of jinja2, whose braces JSON and code may have.
    """
    is_format = bool(variables_of(text, "f-string")) and "{{" not in text and "{%" not in text
    template_format = "f-string" if is_format else "jinja2"
    found = list(variables_of(text, template_format))
    message = {
        "role": "system",
        "content": [{"type": "text", "text": text}],
        VARIABLES_IN: found,
        "template_format": template_format,
    }
    return {"type": "chat", "messages": [message], VARIABLES_IN: list(found)}


def _messages(template: Template) -> list[dict[str, Any]]:
    messages = template.get("messages")
    if not isinstance(messages, list):
        return []
    return [cast("dict[str, Any]", one) for one in cast("list[Any]", messages) if isinstance(one, dict)]


def _texts_in(holder: Template) -> Iterator[tuple[int, dict[str, Any]]]:
    """The text blocks of a message, with their numbers among all its blocks, from 1."""
    content = holder.get("content")
    if not isinstance(content, list):
        return
    for number, block in enumerate(cast("list[Any]", content), 1):
        if isinstance(block, dict):
            known = cast("dict[str, Any]", block)
            if known.get("type") == "text" and isinstance(known.get("text"), str):
                yield number, known


def _blocks(template: Template) -> Iterator[_Block]:
    """Every text block that an edit may change, in order; a placeholder message stands for others and has none."""
    if isinstance(template.get("content"), list):
        for number, content in _texts_in(template):
            yield _Block(f"block {number}", content, cast("dict[str, Any]", template))
    for place, message in enumerate(_messages(template), 1):
        role = str(message.get("role"))
        if role == "placeholder":
            continue
        shown = role if _ROLE.fullmatch(role) else "other"
        for number, content in _texts_in(message):
            yield _Block(f"message {place} ({shown}), block {number}", content, message)


def _fence(blocks: Sequence[_Block]) -> str:
    return fence_for(block.content["text"] for block in blocks)


def _markers(blocks: Sequence[_Block]) -> list[str]:
    fence = _fence(blocks)
    return [f"{fence} {block.name} {fence}" for block in blocks]


def _joined(blocks: Sequence[_Block]) -> str:
    texts = [block.content["text"] for block in blocks]
    if len(blocks) <= 1:
        return "".join(texts)
    return "\n".join(line for pair in zip(_markers(blocks), texts, strict=True) for line in pair)


def _split(blocks: Sequence[_Block], text: str) -> list[str]:
    """The text of each block. Raises `TemplateError` unless exactly the markers of these blocks stand in it."""
    if len(blocks) == 1:
        return [text]
    markers, lines = _markers(blocks), text.split("\n")
    if not blocks:
        if text:
            raise TemplateError("The template has no text block, so no text can be put into it; add one to it first.")
        return []
    width = len(_fence(blocks))
    at = [n for n, line in enumerate(lines) if (match := MARKER.fullmatch(line)) and len(match[1]) == width]
    if [lines[n] for n in at] != markers or at[0] != 0:
        raise TemplateError(
            f"The {len(markers)} lines that name the messages of the template, the first of them {markers[0]!r}, are "
            "not all where they were; leave them as they are."
        )
    return ["\n".join(lines[start + 1 : end]) for start, end in pairwise([*at, len(lines)])]


def _holders(blocks: Sequence[_Block]) -> list[dict[str, Any]]:
    return list({id(block.holder): block.holder for block in blocks}.values())


def _variables(holder: dict[str, Any]) -> list[str]:
    template_format = str(holder.get("template_format") or _DEFAULT_FORMAT)
    found = (name for _, block in _texts_in(holder) for name in variables_of(block["text"], template_format))
    return list(dict.fromkeys(found))


def _recompute(template: dict[str, Any], blocks: Sequence[_Block], before: Mapping[int, list[str]]) -> None:
    """Brings the lists of variables up to date, per message and overall, where there are such lists."""
    holders = _holders(blocks)
    for holder in holders:
        if holder is not template:
            _list_variables(holder, before[id(holder)], _variables(holder))
    was = [name for names in before.values() for name in names]
    _list_variables(template, was, [name for holder in holders for name in _variables(holder)])


def _list_variables(holder: dict[str, Any], was: Sequence[str], now: Sequence[str]) -> None:
    """A name that the list has for another reason than the texts (a snippet, an image's address) stays in it."""
    listed = holder.get(VARIABLES_IN)
    if not isinstance(listed, list) or list(was) == list(now):
        return
    names = cast("list[Any]", listed)
    gone, fresh = set(was) - set(now), [name for name in dict.fromkeys(now) if name not in names and name not in was]
    holder[VARIABLES_IN] = [name for name in names if name not in gone] + fresh
