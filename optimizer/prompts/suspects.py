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
_LATIN_ORDERS = r"(?:instru[cçk]|istruz|anweis|règle|regeln|regels|regla|regole|regras|consigne|polecen|zasad)\w*"
_FOREIGN_ORDERS = _LATIN_ORDERS.replace("instru[cçk]", "instru[çk]")  # not what follows an English verb
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
        rf"\bignore\s(?:\w+\s){{0,3}}?{_FOREIGN_ORDERS}",
        rf"\b(?:vergiss|vergesst|oublie[zrs]?|olvida[rd]?|dimentica(?:re|te)?|esque[cç]a[ms]?|desconsidere[ms]?"
        rf"|negeer|vergeet|zignoruj|pomiń|zapomnij)\s(?:\w+\s){{0,3}}?{_LATIN_ORDERS}",
        r"\b(?:игнорируй|проигнорируй|забудь|отбрось|ігноруй)\w{0,3}\s(?:\w+\s){0,3}?(?:инструкц|указан|правил|команд|інструкц)",
        r"(?:忽略|无视|無視|忘记|忘記|不要理会|不要理會)\w{0,12}(?:指令|指示|规则|規則|说明|說明|提示|内容|對話|对话)",
        r"(?:指示|命令|ルール|プロンプト)\w{0,8}(?:無視|忘れ)",
        r"(?:지시|명령|규칙|지침)\w{0,4}\s?(?:모두\s|전부\s)?(?:무시|잊)",
        r"(?:تجاهل|انس|تخط)\w{0,3}\s(?:\w+\s){0,2}?(?:ال)?(?:تعليمات|أوامر|قواعد)",
        r"(?:निर्देश|आदेश|नियम)\S{0,4}\s(?:\S{1,8}\s){0,3}?(?:अनदेखा|नज़रअंदाज़|भूल)",
        r"\b(?:talimat|yönerge|kural)\w{0,12}\s(?:\w+\s)?(?:yok\s?say|görmezden|unut|dikkate\salma)",
        r"(?:bỏ\squa|phớt\slờ|quên)\s(?:\w+\s){0,4}?(?:hướng\sdẫn|chỉ\sdẫn|quy\stắc)",
        r"\b(?:abaikan|lupakan)\s(?:\w+\s){0,3}?(?:instruksi|perintah|aturan|arahan)",
    )
)
# "1gn0re", and "i g n o r e".
_LEET = re.compile(r"\b(?=\w{0,20}[A-Za-z])[A-Za-z]{0,20}[013457@$][\w@$]{0,20}")
_DIGITS_AS_LETTERS = str.maketrans("013457@$", "oieastas")
_SPACED = re.compile(r"\b(?:[A-Za-z][ .*_-]){3,30}[A-Za-z]\b")
_MIXED = re.compile(r"\b(?=\w{0,40}[A-Za-z])(?=\w{0,40}[\u0400-\u052f\u039f\u03bf])\w{2,80}\b")


def addresses(text: str) -> frozenset[str]:
    """URLs, host names (of mail addresses too) and IP addresses; hosts in small letters."""
    plain = _readable(text).replace("\u3002", ".")
    url, *hosts = _ADDRESSES
    found = {match[0].rstrip(".,;:!?)]}*_") for match in url.finditer(plain)}
    return frozenset(found.union(match[0].lower() for host in hosts for match in host.finditer(plain)))


def instructions(text: str) -> Counter[str]:
    """Phrases of injected text, in small letters: they order a model about or forge the prompt's frame.

    Words that are written with digits or spaced out are read as well.
    """
    lines = "\n".join(" ".join(line.split()) for line in _readable(text).split("\n"))
    plain = _SPACED.sub(lambda match: re.sub(r"[ .*_-]", "", match[0]), _LEET.sub(_without_digits, lines))
    found = _phrases(lines)
    return found if plain == lines else found | _phrases(plain)


def _phrases(lines: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for pattern in _INSTRUCTIONS:
        found.update(" ".join(match[0].lower().split()) for match in pattern.finditer(lines))
    return found


def _without_digits(match: re.Match[str]) -> str:
    return match[0].translate(_DIGITS_AS_LETTERS)


def mixed_words(text: str) -> frozenset[str]:
    """Words that mix Latin letters with Cyrillic or Greek ones that look the same."""
    return frozenset(_MIXED.findall(text))


def _readable(text: str) -> str:
    return unicodedata.normalize("NFKC", without_hidden(text))
