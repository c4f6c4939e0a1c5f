"""Secrets in a text by their shape: a well-kept detector, and what of it we see more.

The detector is used as a library and offline: its plugins look at strings, nothing is verified anywhere. All
patterns are bounded, and the detector's own are given pieces of a bounded length, so that no text makes them slow.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, NamedTuple, Protocol

from optimizer.prompts.hidden import without_hidden

_PIECE_CHARACTERS_MAX = 2_000
_PIECE_OVERLAP = 400  # longer than the secrets that the detector knows
_CHARACTERS_MIN = 6
_ENTROPY_BITS_MIN = 4.5  # per character, of a quoted string: 40 random letters and digits have 4.8, a path 4.2

# The detector's plugins, less those that take a hash in prose or an IP address for a secret, and its keywords, which
# take a minute for a text of nothing but "password". In the package `detect_secrets.plugins`, imported when the
# first text is looked at: they bring an HTTP client along.
_DETECTORS = {
    "artifactory": "ArtifactoryDetector",
    "aws": "AWSKeyDetector",
    "azure_storage_key": "AzureStorageKeyDetector",
    "cloudant": "CloudantDetector",
    "discord": "DiscordBotTokenDetector",
    "github_token": "GitHubTokenDetector",
    "gitlab_token": "GitLabTokenDetector",
    "ibm_cloud_iam": "IbmCloudIamDetector",
    "ibm_cos_hmac": "IbmCosHmacDetector",
    "jwt": "JwtTokenDetector",
    "mailchimp": "MailchimpDetector",
    "npm": "NpmDetector",
    "openai": "OpenAIDetector",
    "private_key": "PrivateKeyDetector",
    "pypi_token": "PypiTokenDetector",
    "sendgrid": "SendGridDetector",
    "slack": "SlackDetector",
    "softlayer": "SoftlayerDetector",
    "square_oauth": "SquareOAuthDetector",
    "stripe": "StripeDetector",
    "telegram_token": "TelegramBotTokenDetector",
    "twilio": "TwilioKeyDetector",
}
_WITHOUT_DIGITS = "PrivateKeyDetector"
# What such a plugin may also take for a value: a placeholder, a description.
_NO_VALUE = re.compile(r"[\"'`]?[{<$\[(*]|.*\s")

# A value, not a placeholder or a description: `password = {password}`, `password=<yours>`.
_VALUE = r"(?![\"'`]?[{<$\[(*])[\"'`]?"
_PREFIXES = (
    r"pl_|sb_secret_|sbp_|hf_|npm_|github_pat_|do[opr]_v1_|dp\.(?:pt|st|ct|sa)\.|dapi|lin_api_|ntn_|secret_|shp(?:at|ca|pa|ss)_"
    r"|hv[sb]\.|glsa_|glc_|NRAK-|lsv2_[ps]t_|gsk_|r8_|pplx-|xai-|fo1_|re_|ATATT|sq0atp-|sntry[su]_|xkeysib-|pul-|rubygems_"
    r"|figd_|whsec_|pscale_tkn_|AGE-SECRET-KEY-|key-|xapp-|AIza|SG\.|pypi-"
)
_OURS = {
    kind: re.compile(pattern)
    for kind, pattern in {
        "an API key (sk-...)": r"(?<![\w-])[srp]k[-_](?:(?=[\w-]{0,60}\d)[\w-]{18,300}|[A-Za-z\d]{20,300})",
        "a vendor's key": rf"(?<![\w-])(?:{_PREFIXES})(?=[\w.-]{{,60}}\d)[\w.-]{{20,300}}",
        "a private key": r"-----BEGIN (?:[A-Z\d]{2,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----",
        "a password in an address": r"(?<!\w)[a-z][a-z+]{1,20}://[^\s/:@]{0,100}:[^\s/@{<$]{1,100}@",
        "a password": r"(?i:(?<![a-z])(?:password|passwd|pwd|secret))[\"']?\s{0,3}"
        rf"(?:=\s{{0,3}}{_VALUE}[^\s\"'`]{{4,300}}|:\s{{0,3}}{_VALUE}(?=[^\s\"'`]{{0,60}}\d)[^\s\"'`]{{8,300}})",
        "a token": r"(?i:(?<![a-z])(?:api[_ -]?key|token|bearer))(?:[\"']?\s{0,3}[=:]|\s)\s{0,3}"
        rf"{_VALUE}(?=[^\s\"'`]{{0,60}}\d)[^\s\"'`]{{12,300}}",
    }.items()
}
# Letters of both cases with digits between them, and no break: a hash in hex is none, nor a name or a path.
_RUN = re.compile(r"(?<![A-Za-z\d])[A-Za-z\d]{24,300}(?![A-Za-z\d])")
_DIGIT_GROUPS_MIN = 3


class _Detector(Protocol):
    """What we use of the detector's plugins."""

    secret_type: str
    denylist: Iterable[re.Pattern[str]]

    def analyze_string(self, string: str) -> Iterable[str]: ...


class Secret(NamedTuple):
    """`kind` in words; nobody may print `value`."""

    kind: str
    value: str


def secrets(text: str) -> frozenset[Secret]:
    """The secrets in the text."""
    return frozenset(_found(without_hidden(text)))


def new_secrets(base: str, new: str) -> frozenset[Secret]:
    """Those of the new text whose value stands nowhere in the base. Lines that both have are not looked at."""
    plain, known = without_hidden(new), without_hidden(base)
    lines = set(known.split("\n"))
    fresh = "\n".join(line for line in plain.split("\n") if line not in lines)
    return frozenset(one for one in _found(fresh) if one.value not in known)


def _found(text: str) -> Iterator[Secret]:
    for kind, shape in _OURS.items():
        yield from (Secret(kind, match[0]) for match in shape.finditer(text))
    yield from (Secret("what looks like a key", match[0]) for match in _RUN.finditer(text) if _is_mixed(match[0]))
    detectors = _detectors() if text else ()
    for piece in _pieces(text):
        for name, detector in detectors:
            for value in _values(detector, piece):
                if name == _WITHOUT_DIGITS or _is_value(value):
                    yield Secret(f"what looks like a secret ({detector.secret_type})", value)
        if detectors:
            yield from (Secret("what looks like a key", value) for value in _random(piece) if _is_mixed(value))


@cache
def _detectors() -> tuple[tuple[str, _Detector], ...]:
    return tuple((name, _plugin(module, name)()) for module, name in _DETECTORS.items())


def _random(piece: str) -> Iterator[str]:
    """Quoted strings that are as random as a key."""
    found: Iterable[Any] = _entropy().analyze_line("", piece)
    yield from (str(one.secret_value) for one in found)


@cache
def _entropy() -> Any:
    return _plugin("high_entropy_strings", "Base64HighEntropyString")(limit=_ENTROPY_BITS_MIN)


def _plugin(module: str, name: str) -> Any:
    return getattr(importlib.import_module(f"detect_secrets.plugins.{module}"), name)


def _values(detector: _Detector, piece: str) -> Iterator[str]:
    """The whole of what it finds: by itself it tells of some secrets the beginning only."""
    if any(detector.analyze_string(piece)):
        yield from (match[0] for shape in detector.denylist for match in shape.finditer(piece))


def _is_mixed(value: str) -> bool:
    groups = len(re.findall(r"\d+", value))
    return groups >= _DIGIT_GROUPS_MIN and not value.isupper() and not value.islower()


def _is_value(value: str) -> bool:
    return len(value) >= _CHARACTERS_MIN and any(map(str.isdigit, value)) and not _NO_VALUE.match(value)


def _pieces(text: str) -> Iterator[str]:
    """Each line, in pieces that share their ends where it is long."""
    step = _PIECE_CHARACTERS_MAX - _PIECE_OVERLAP
    for line in text.split("\n"):
        for start in range(0, max(1, len(line) - _PIECE_OVERLAP), step):
            yield line[start : start + _PIECE_CHARACTERS_MAX]
