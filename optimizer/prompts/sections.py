"""Where in a prompt a rule about a tool belongs, and the edit that puts it there."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

from optimizer.prompts.anchors import edit_for_span
from optimizer.prompts.lists import lead, places, without_closing_tags
from optimizer.prompts.outline import Line, holds, read_lines
from optimizer.prompts.placeholders import without_placeholders
from optimizer.prompts.spans import Span
from optimizer.records.edits import Edit

# Words of tool names and the words that policies use for them.
_SAME_WORDS = {
    word: words.split()[0]
    for words in (
        "update modify change edit set",
        "get find look lookup search fetch list",
        "create add new make",
        "cancel delete remove",
        "send push publish post",
        "transfer escalate handoff hand",
        "write draft compose",
    )
    for word in words.split()
}
_EMPTY_WORDS = frozenset({"a", "an", "and", "by", "for", "from", "in", "of", "on", "or", "the", "to", "with"})
_RULE_TITLE = re.compile(r"\b(tools?|rules?|guidelines?)\b", re.IGNORECASE)
_POLICY_TITLE = re.compile(r"\b(policy|policies|instructions?)\b", re.IGNORECASE)
# What stands under these is material, not rules.
_MATERIAL_TITLE = re.compile(
    r"(few.?shot |sample )?(examples?|tickets?|inputs?|outputs?|data|documents?|context|history)[ \d]*",
    re.IGNORECASE,
)
_INSTRUCTIONS = re.compile(r"\((system|developer)\)")
_ENDINGS = (("ying", "y"), ("ies", "y"), ("ied", "y"), ("ing", ""), ("ed", ""), ("es", ""), ("s", ""))


class Section(NamedTuple):
    """A stretch of a prompt under one heading or in one tag, its heading included, nothing deeper."""

    title: str  # empty above the first heading
    start: int
    end: int  # after its last character that is not blank
    first_line: int
    last_line: int


def best_section(text: str, keywords: Sequence[str]) -> Section:
    """The section where a rule about these words belongs.

    In the order of their weight: a keyword (a tool's name) in the heading, or in the body; its words (`book`
    of `book_reservation`) in either, rare ones before common ones; a heading about tools, rules or
    guidelines. Without any of these the last section, as the end of the text. Examples and the like are out.
    """
    lines = read_lines(text)
    sections = tuple(_sections(lines))
    if not sections:
        return _nowhere(text, lines)
    bodies = [_body(lines, section) for section in sections]
    words = [_words(f"{section.title} {body}") for section, body in zip(sections, bodies, strict=True)]
    spread = Counter(word for found in words for word in found)
    weights = {
        word: math.log(1 + len(sections) / (1 + spread[word])) for keyword in keywords for word in _words(keyword)
    }
    scores = [
        _named(section, body, keywords) + _likeness(section, found, weights) + _generic(section)
        for section, body, found in zip(sections, bodies, words, strict=True)
    ]
    # Of equals the last one: what stands later weighs more with a model.
    best, index = max((score, index) for index, score in enumerate(scores))
    return sections[index] if best >= 1 else sections[-1]


def insert_rule(prompt: str, text: str, rule: str, keywords: Sequence[str], *, clear_of: Sequence[Span] = ()) -> Edit:
    """The edit that adds the rule at the end of the section that fits the keywords (`best_section`).

    The rule becomes one line, an item of the list that stands there, else `- <rule>` below a blank line, and
    always inside the tag that closes after the section. With `clear_of` (the spans of other edits) it goes
    after an earlier item or paragraph of the section where the last one is taken. Raises `InputError` for an
    empty prompt.
    """
    lines = read_lines(text)
    section = best_section(text, keywords)
    newline = "\r\n" if "\r\n" in text else "\n"
    edits: list[Edit] = []
    for number in places(lines, section.first_line, section.last_line):
        line = lines[number]
        start = line.start + len(without_closing_tags(line.text))
        item = lead(lines, section.first_line, number, newline) + " ".join(rule.split()).removeprefix("- ")
        if text[start : line.end].strip():
            item += newline
        edit = edit_for_span(prompt, text, start, start, item, clear_of=clear_of)
        anchor = Span(text.find(edit.find), text.find(edit.find) + len(edit.find))
        if not any(anchor.overlaps(span) for span in clear_of):
            return edit
        edits.append(edit)
    return edits[0]


def _nowhere(text: str, lines: Sequence[Line]) -> Section:
    """A place in a text where no section may take a rule: its first line, or that of its first message."""
    number = next((number + 1 for number, line in enumerate(lines) if line.kind == "message"), 0)
    start = lines[number].start
    return Section("", start, max(start, len(text.rstrip())), number, number)


def _sections(lines: Sequence[Line]) -> Iterator[Section]:
    """Every section that may take a rule: with text of its own, and not part of an example or of data.

    Of a template with several messages those of its instructions, where it has any: what a user says is no place.
    """
    material = _material_lines(lines)
    titles: list[str] = [""]  # of the tags around the line
    first, title = 0, ""
    for number in range(len(lines) + 1):
        line = lines[number] if number < len(lines) else None
        if line is not None and line.kind not in ("heading", "open", "close", "message"):
            continue
        if first < number and not material[first] and (section := _section(lines, first, number, title)):
            yield section
        if line is None:
            return
        if line.kind == "message":
            titles = [""]
            first, title = number + 1, ""
        elif line.kind == "close":
            del titles[max(1, len(titles) - 1) :]
            first, title = number + 1, titles[-1]
        else:
            if line.kind == "open":
                titles.append(line.name)
            first, title = number, line.name


def _section(lines: Sequence[Line], first: int, end: int, title: str) -> Section | None:
    filled = [number for number in range(first, end) if lines[number].text]
    own = [lines[number].text for number in filled if lines[number].kind not in ("heading", "open")]
    only_placeholders = bool(own) and not without_placeholders("\n".join(own)).strip()
    only_a_tag = bool(filled) and not own and lines[first].kind == "open"
    if not filled or only_placeholders or only_a_tag:
        return None
    last = lines[filled[-1]]
    return Section(title, lines[filled[0]].start, last.start + len(last.text), filled[0], filled[-1])


def _material_lines(lines: Sequence[Line]) -> list[int]:
    depth = [0] * (len(lines) + 1)
    for number, hold in holds(lines).items():
        if number == hold.first and _MATERIAL_TITLE.fullmatch(lines[number].name):
            depth[hold.first] += 1
            depth[hold.last + 1] -= 1
    marks = [number for number, line in enumerate(lines) if line.kind == "message"]
    if any(_INSTRUCTIONS.search(lines[number].name) for number in marks):
        for first, end in zip(marks, [*marks[1:], len(lines)], strict=True):
            if not _INSTRUCTIONS.search(lines[first].name):
                depth[first] += 1
                depth[end] -= 1
    return list(accumulate(depth))


def _body(lines: Sequence[Line], section: Section) -> str:
    body = lines[section.first_line : section.last_line + 1]
    return "\n".join(line.text for line in body if line.kind not in ("heading", "open"))


def _named(section: Section, body: str, keywords: Sequence[str]) -> float:
    for weight, where in ((10, section.title), (6, body)):
        for keyword in keywords:
            if keyword and re.search(rf"(?<!\w){re.escape(keyword)}(?!\w)", where, re.IGNORECASE):
                return weight
    return 0


def _likeness(section: Section, words: frozenset[str], weights: Mapping[str, float]) -> float:
    whole = sum(weights.values())
    if not whole:
        return 0
    heading = _words(section.title)
    in_heading = sum(weight for word, weight in weights.items() if word in heading)
    anywhere = sum(weight for word, weight in weights.items() if word in words)
    # One common word of three is chance.
    return (4 * in_heading + 2 * anywhere) / whole if anywhere >= 0.4 * whole else 0


def _generic(section: Section) -> float:
    return 2 if _RULE_TITLE.search(section.title) else 1 if _POLICY_TITLE.search(section.title) else 0


def _words(text: str) -> frozenset[str]:
    parts = re.findall(r"[^\W\d_a-z]?[^\W\d_A-Z]+|[^\W\d_a-z]+", text)
    return frozenset(_root(part.lower()) for part in parts) - _EMPTY_WORDS


def _root(word: str) -> str:
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word.removesuffix(ending) + instead
            break
    return _SAME_WORDS.get(word, word)
