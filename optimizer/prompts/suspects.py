"""What has no business in a prompt when it was not there before: addresses, orders to a model.

Shapes, not certainty: a text that is refused goes to a person with the reason. All patterns are bounded, so
that no text makes them slow.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

from optimizer.prompts.hidden import without_hidden

# Endings that are also names in code (user.id, app.run) or of files count only in a URL or mail address.
_TOP_LEVEL = (
    "com|net|org|io|ai|dev|app|co|biz|xyz|site|online|cloud|gov|edu|eu|de|fr|uk|us|ca|au|nz|ch|nl|es|pt|se|dk|fi"
    "|ie|cz|gr|hu|ro|ru|ua|cn|jp|kr|br|mx|ar|za|tr|ae|sg|hk|tw|vn|th|gg|ly|tv|cc|ws|onion"
)
_ADDRESSES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(?<![\w.+-])(?:[a-z][a-z\d+.-]{1,20}://|www\.|mailto:|javascript:|data:[a-z]{2,20}/)"
        r"[^\s<>\"'`|]{1,2000}",
        rf"(?<![\w.-])(?:[\w-]{{1,63}}\.){{1,8}}(?:{_TOP_LEVEL}|xn--[\w-]{{1,60}})(?![\w-]|\.\w)",
        r"(?<=@)(?:[\w-]{1,63}\.){1,8}[a-z]{2,24}(?![\w-])",
        r"(?<![\w.-])(?:[\w-]{1,63}\.){1,8}[a-z]{2,24}(?=/\w)",
        r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])|(?<!\w)localhost(?!\w)",
    )
)

_OLD = r"(?:previous|prior|above|earlier|preceding|foregoing|existing|initial|original|system)"
_ORDERS = r"(?:instructions?|rules?|prompts?|messages?|context|directions?|guidelines?|polic(?:y|ies)|commands?)"
_DROP = r"(?:ignore|disregard|forget|override|bypass)"
_LATIN_ORDERS = r"(?:instruc|instruk|istruz|anweis|règle|regeln|regla|regole|consigne)\w*"
_INSTRUCTIONS = tuple(
    re.compile(pattern, re.IGNORECASE | re.MULTILINE)
    for pattern in (
        rf"\b{_DROP}\b(?:\s\w+){{0,4}}?\s{_OLD}\s(?:\w+\s){{0,3}}?{_ORDERS}\b",
        rf"\b{_DROP}\s(?:all|any|everything|your|these|those)\s(?:of\s)?(?:the\s|your\s)?{_ORDERS}\b",
        rf"\b{_DROP}\s(?:everything|all|anything)\s(?:above|before|so\sfar|that|you)\b",
        r"\byou\sare\s(?:now|no\slonger)\b",
        r"\bfrom\snow\son,?\syou\b",
        r"\b(?:pretend\s(?:to\sbe|that\syou|you)|act\sas\sif\syou|roleplay\sas)\b",
        r"\b(?:new|updated|real|actual)\s(?:system\s)?(?:instructions?|prompt)\s?:",
        r"\b(?:reveal|print|show|repeat|output|leak|send)\s(?:\w+\s){0,3}?"
        r"(?:system\sprompt|your\s(?:instructions|prompt))\b",
        r"\b(?:do\snot|don't|never)\s(?:tell|inform|alert|notify)\s(?:the\s|your\s)?"
        r"(?:humans?|operators?|anyone|owners?|developers?)\b",
        r"\b(?:developer\smode|jailbreak|do\sanything\snow|god\smode|sudo\smode)\b",
        r"(?:^[>\s*#\d.\"'(\[-]{0,12}|[.!?\"')]\s)(?:system|assistant|developer|human)"
        r"(?:\s(?:message|prompt))?\s?[\])]?\s?:",
        r"<\|[\w ]{1,40}\|>|\[/?INST\]|<</?SYS>>",
        r"</?(?:system|assistant|instructions?|policy|prompt)\b[^<>]{0,80}>",
        rf"\bignor(?:ez|er|ieren?|iert|iere|a|ad|ar|are|ate)\s(?:\w+\s){{0,3}}?{_LATIN_ORDERS}",
        rf"\b(?:vergiss|vergesst|oublie[zrs]?|olvida[rd]?|dimentica(?:re|te)?)\s(?:\w+\s){{0,3}}?{_LATIN_ORDERS}",
    )
)
_MIXED = re.compile(r"\b(?=\w{0,40}[A-Za-z])(?=\w{0,40}[\u0400-\u052f\u039f\u03bf])\w{2,80}\b")


def addresses(text: str) -> frozenset[str]:
    """URLs, host names (of mail addresses too) and IP addresses; hosts in small letters."""
    plain = _readable(text).replace("\u3002", ".")
    url, *hosts = _ADDRESSES
    found = {match[0].rstrip(".,;:!?)]}*_") for match in url.finditer(plain)}
    return frozenset(found.union(match[0].lower() for host in hosts for match in host.finditer(plain)))


def instructions(text: str) -> Counter[str]:
    """Phrases of injected text, in small letters: they order a model about or forge the prompt's frame."""
    lines = "\n".join(" ".join(line.split()) for line in _readable(text).split("\n"))
    found: Counter[str] = Counter()
    for pattern in _INSTRUCTIONS:
        found.update(" ".join(match[0].lower().split()) for match in pattern.finditer(lines))
    return found


def mixed_words(text: str) -> frozenset[str]:
    """Words that mix Latin letters with Cyrillic or Greek ones that look the same."""
    return frozenset(_MIXED.findall(text))


def _readable(text: str) -> str:
    return unicodedata.normalize("NFKC", without_hidden(text))
