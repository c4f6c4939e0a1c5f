"""Characters that a reader does not see and a model does."""

from __future__ import annotations

import re
from collections import Counter

# Controls but for tab, line feed and carriage return; what no font shows of Unicode's format characters (direction
# marks, isolates, overrides, zero widths, tags, notes between lines, music, shorthand); fillers; variation selectors;
# lone surrogates; private use, and what is no character.
_ALWAYS = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160"
    "\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ud800-\uf8ff\ufdd0-\ufdef"
    "\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\U00013430-\U0001343f\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U0010ffff"
)
# Joiners between letters that are not ASCII spell words of several languages, and emoji; two in a row spell nothing.
# What chooses the look of an emoji stands behind it, or behind the digit or sign of a keycap.
_HIDDEN = re.compile(
    f"[{_ALWAYS}]"
    "|[\u200c\u200d](?=[ -~\u200c\u200d]|\\Z)|(?<=[ -~])[\u200c\u200d]|\\A[\u200c\u200d]"
    "|(?<![\u00a9\u00ae\u203c-\u3299\U0001f000-\U0001faff])[\ufe0e\ufe0f](?!\u20e3)|(?<=[\ufe0e\ufe0f])[\ufe0e\ufe0f]"
)


def hidden_characters(text: str) -> Counter[str]:
    """How often each hidden character stands in the text: controls, direction marks, zero widths, tags."""
    return Counter(_HIDDEN.findall(text))


def without_hidden(text: str) -> str:
    return _HIDDEN.sub("", text)


def visible(text: str) -> str:
    r"""The text with hidden characters spelled out (`\u202e`), for a terminal or a chat."""
    return _HIDDEN.sub(lambda match: match[0].encode("unicode_escape", "surrogatepass").decode("ascii"), text)
