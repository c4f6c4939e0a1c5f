"""Characters that a reader does not see and a model does."""

from __future__ import annotations

import re
from collections import Counter

# Joiners between letters that are not ASCII spell words of several languages, and emoji.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e"
    "\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ud800-\udfff\ufe00-\ufe0d\ufeff\uffa0"
    "\ufff9-\ufffb\U000e0000-\U000e0fff]"
    "|[\u200c\u200d](?=[ -~]|\\Z)|(?<=[ -~])[\u200c\u200d]|\\A[\u200c\u200d]"
)


def hidden_characters(text: str) -> Counter[str]:
    """How often each hidden character stands in the text: controls, direction marks, zero widths, tags."""
    return Counter(_HIDDEN.findall(text))


def without_hidden(text: str) -> str:
    return _HIDDEN.sub("", text)


def visible(text: str) -> str:
    r"""The text with hidden characters spelled out (`\u202e`), for a terminal or a chat."""
    return _HIDDEN.sub(lambda match: match[0].encode("unicode_escape", "surrogatepass").decode("ascii"), text)
