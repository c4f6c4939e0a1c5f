"""Whose fault an error is, by its masked text, and what a prompt can say about it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from optimizer.records.facts import Measure, Measures
from optimizer.text.excerpt import is_name, is_quotable, one_line

# What the rollups put in the place of a text: all beyond the most frequent ones, and errors without one.
NO_TEXTS = frozenset({"other", "(no text)"})
QUOTED_CHARACTERS_MAX = 100
CARES_MAX = 2  # of the things to take care of, in one rule for the prompt


class Fault(StrEnum):
    caller = "caller"  # the arguments: the prompt can help
    outage = "outage"  # the tool or the network: code has to
    unknown = "unknown"


def _pattern(words: str) -> re.Pattern[str]:
    return re.compile(words, re.IGNORECASE)


# First match wins. Numbers are masked, but for the class of an HTTP status: "HTTP 5xx".
_OUTAGES: tuple[tuple[re.Pattern[str], str], ...] = (
    (_pattern(r"time[sd]?[ -]?out|deadline exceeded|took too long"), "times out"),
    (_pattern(r"rate.?limit|too many requests|throttl|quota exceeded"), "is rate limited"),
    (
        _pattern(
            r"\b5xx\b|bad gateway|gateway error|\bunavailable\b|overloaded|temporar(?:y|ily)|unreachable"
            r"|internal (?:server )?error|server error|ECONN|EPIPE|host not found|\b(?:DNS|SSL|TLS)\b"
            r"|connection.?(?:error|reset|refused|closed|aborted|lost|failed)|socket.(?:error|hang|closed)"
            r"|network.?(?:error|failure)"
        ),
        "is unavailable",
    ),
)

# Keys and rights: whoever set the agent up is asked, not the model.
_SETUP = _pattern(r"unauthori[sz]ed|forbidden|authenticat|api.?key|credential|(?:permission|access) denied")

_CALLER_FAULTS: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        _pattern(
            r"add up|balance|not enough|insufficient|exceed|amount|\btotal\b"
            r"|too (?:many|few|large|long|short)"
        ),
        "work out amounts and totals before the call and make sure that they match",
    ),
    (
        _pattern(r"not found|unknown|no such|does ?n[o']t exist|not available|no record"),
        "use only ids and values that the user or an earlier result has given, exactly as written",
    ),
    (
        _pattern(
            r"required|missing|validation|invalid|malformed|not a valid|\bexpected|type.?error|pars(?:e|ing)"
            r"|schema|format|bad request|\b4xx\b"
            r"|must (?:be|have|match|contain)|should (?:be|match|have)|not match"
        ),
        "fill in every required argument, in the form that the tool's description asks for",
    ),
    (
        _pattern(
            r"cannot|can ?not|can't|must|not allowed|not permitted|already|ineligible"
            r"|\bnon-\w+|\bonly\b"
        ),
        "make sure from earlier results that the call is allowed in the current state",
    ),
)


@dataclass(frozen=True, slots=True)
class Trouble:
    """How one tool fails, over one window."""

    fault: Fault = Fault.unknown  # of most of its error results
    verb: str = "fails"  # or "times out"
    signatures: tuple[tuple[str, Measure], ...] = ()  # the most frequent first

    @property
    def quotable(self) -> tuple[str, Measure] | None:
        """The most frequent error text that can be shown and quoted, without its leading "Error:"."""
        for signature, measure in self.signatures:
            text = one_line(re.sub(r"^(?:\w*Error|Exception)\s*:\s*", "", signature), QUOTED_CHARACTERS_MAX)
            if signature not in NO_TEXTS and is_quotable(text):
                return text, measure
        return None

    def advice(self, tool: str) -> str | None:
        """A rule for the prompt, where the arguments are at fault and the tool's name is one."""
        if self.fault is not Fault.caller or not is_name(tool):
            return None
        cares = (_care(signature) for signature, _ in self.signatures)
        wanted = list(dict.fromkeys(care for care in cares if care is not None))[:CARES_MAX]
        quoted = self.quotable
        error = f"an error such as `{quoted[0]}`" if quoted else "an error"
        return (
            f"Before you call `{tool}`, {', and '.join(wanted)}. "
            f"If it answers with {error}, correct the arguments before you call it again."
        )


def troubles(measures: Measures) -> dict[str, Trouble]:
    """How each tool fails in these measures: tool -> trouble, for the tools that have an error text."""
    found: dict[str, list[tuple[str, Measure]]] = {}
    for labels, measure in measures.named("tool.error_signature"):
        if labels.keys() == {"tool", "signature"}:
            found.setdefault(labels["tool"], []).append((labels["signature"], measure))
    return {tool: _judge(signatures) for tool, signatures in found.items()}


def fault_of(signature: str) -> Fault:
    if _outage(signature) is not None:
        return Fault.outage
    return Fault.unknown if _care(signature) is None else Fault.caller


def _judge(found: Iterable[tuple[str, Measure]]) -> Trouble:
    ordered = tuple(sorted(found, key=lambda entry: (-entry[1].total, entry[0])))
    errors: dict[tuple[Fault, str], float] = {}
    for signature, measure in ordered:
        kind = (fault_of(signature), _outage(signature) or "fails")
        errors[kind] = errors.get(kind, 0.0) + measure.total
    fault, verb = max(errors, key=lambda kind: errors[kind], default=(Fault.unknown, "fails"))
    return Trouble(fault, verb, ordered)


def _outage(signature: str) -> str | None:
    return next((verb for pattern, verb in _OUTAGES if pattern.search(signature)), None)


def _care(signature: str) -> str | None:
    if _outage(signature) is not None or _SETUP.search(signature):
        return None
    return next((care for pattern, care in _CALLER_FAULTS if pattern.search(signature)), None)
