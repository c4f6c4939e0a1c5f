"""The checks that a changed prompt passes before it is published."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from optimizer.prompts.formats import new_format_problems
from optimizer.prompts.hidden import hidden_characters
from optimizer.prompts.placeholders import (
    has_placeholder,
    missing_placeholders,
    new_placeholders,
    placeholders,
)
from optimizer.prompts.secrets import new_secrets, secrets
from optimizer.prompts.spans import shorten
from optimizer.prompts.suspects import addresses, instructions, mixed_words
from optimizer.prompts.tokens import estimate_tokens

CHARACTERS_MIN = 200
SIZE_CHARACTERS_MAX = 200_000
_NAMED_MAX = 5
_LINES_AROUND = 8  # as many as a phrase may run over

CheckCode = Literal[
    "too_short",
    "too_large",
    "placeholder_missing",
    "placeholder_added",
    "template_syntax",
    "secret",
    "address",
    "instruction",
    "hidden_text",
    "protected",
    "tainted",
    "changed_too_much",
    "rehearsal",
]


class CheckProblem(NamedTuple):
    """Why a text must not be published; the sentence shows nothing of a secret and no hidden character."""

    code: CheckCode
    sentence: str


def check_prompt(
    base: str,
    new: str,
    *,
    required_placeholders: Sequence[str] = (),
    size_characters_max: int = SIZE_CHARACTERS_MAX,
    template_format: str = "",
) -> tuple[CheckProblem, ...]:
    """What is wrong with the new text; empty when it may be published.

    Absolute: its length, and the required placeholders (`PLAYBOOKS` or `{{PLAYBOOKS}}`). Against the base:
    placeholders, template syntax (`template_format`: "jinja2", "f-string" or neither), secrets, addresses, words that
    order a model about, hidden characters.
    What the base already has of these is the owner's. A text that is too large is not looked into further.
    """
    sizes = tuple(_size(base, new, size_characters_max))
    if any(problem.code == "too_large" for problem in sizes):
        return sizes
    return (
        *sizes,
        *_placeholders(base, new, required_placeholders),
        *(
            CheckProblem("template_syntax", f"The template breaks at {problem.sentence}; mend the edit.")
            for problem in new_format_problems(base, new, template_format)[:_NAMED_MAX]
        ),
        *_foreign(base, new),
    )


def _size(base: str, new: str, size_characters_max: int) -> Iterator[CheckProblem]:
    length = len(new.strip())
    if length < CHARACTERS_MIN:
        sentence = f"The text has {length} characters, and a prompt needs {CHARACTERS_MIN}; check what was removed."
        yield CheckProblem("too_short", sentence)
    # A prompt above the budget may still get smaller.
    if len(new) > max(size_characters_max, len(base) - 1):
        size = f"{len(new):,} characters (about {estimate_tokens(new):,} tokens)"
        sentence = f"The text has {size}, more than the {size_characters_max:,} characters allowed; shorten it."
        yield CheckProblem("too_large", sentence)


def _placeholders(base: str, new: str, required: Sequence[str]) -> Iterator[CheckProblem]:
    missing = list(missing_placeholders(base, new))
    for name in required:
        if not has_placeholder(new, name) and not any(has_placeholder(gone, name) for gone in missing):
            missing.append(next(iter(placeholders(name)), f"{{{{{name}}}}}"))
    for name in missing:
        yield CheckProblem("placeholder_missing", f"The placeholder {name} is gone; put it back.")
    for name in new_placeholders(base, new):
        if not any(has_placeholder(name, wanted) for wanted in required):
            sentence = f"The placeholder {name} is new, and nothing fills it; take it out or declare it."
            yield CheckProblem("placeholder_added", sentence)


def _foreign(base: str, new: str) -> Iterator[CheckProblem]:
    changed_from, changed_to = _changed(base, new)
    for kind in sorted({one.kind for one in new_secrets(base, new)}):
        yield CheckProblem("secret", f"The text has {kind} that was not there before; take it out.")
    fresh = addresses(changed_to) - addresses(changed_from)
    fresh = fresh and fresh - addresses(base)
    # The host of a URL that is named need not be named again.
    named = sorted(one for one in fresh if not any(one != other and one in other.lower() for other in fresh))
    for address in named[:_NAMED_MAX]:
        sentence = f"The address {_shown(address)!r} was not there before; take it out."
        yield CheckProblem("address", sentence)
    for phrase in sorted((instructions(changed_to) - instructions(changed_from)).keys())[:_NAMED_MAX]:
        sentence = f"The words {shorten(phrase)!r} order the agent about as injected text does; say it otherwise."
        yield CheckProblem("instruction", sentence)
    hidden = hidden_characters(changed_to) - hidden_characters(changed_from)
    if hidden:
        codes = ", ".join(sorted(f"U+{ord(character):04X}" for character in hidden)[:_NAMED_MAX])
        sentence = f"The text has hidden characters ({codes}) that were not there before; take them out."
        yield CheckProblem("hidden_text", sentence)
    mixed = sorted(mixed_words(changed_to) - mixed_words(base))
    if mixed:
        words = ascii(shorten(", ".join(mixed)))
        yield CheckProblem("hidden_text", f"The words {words} mix alphabets that look alike; type them again.")


def _changed(base: str, new: str) -> tuple[str, str]:
    """Both texts without the lines that they begin and end with alike, but for some around what differs."""
    old_lines, new_lines = base.split("\n"), new.split("\n")
    shorter = min(len(old_lines), len(new_lines))
    head = next((n for n in range(shorter) if old_lines[n] != new_lines[n]), shorter)
    tail = next((n for n in range(shorter - head) if old_lines[-1 - n] != new_lines[-1 - n]), shorter - head)
    start, end = max(0, head - _LINES_AROUND), max(0, tail - _LINES_AROUND)
    return "\n".join(old_lines[start : len(old_lines) - end]), "\n".join(new_lines[start : len(new_lines) - end])


def _shown(address: str) -> str:
    """The address without what may be secret in it: user, password, query."""
    scheme, mark, rest = re.split(r"[?#]", address, maxsplit=1)[0].rpartition("://")
    host, slash, path = rest.partition("/")
    shown = f"{scheme}{mark}{host.rpartition('@')[2]}{slash}{path}"
    return "(it holds a secret)" if secrets(shown) else shorten(shown)
