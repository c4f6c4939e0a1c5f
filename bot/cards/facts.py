"""Facts as plain sentences: the value, how much stands behind it, and what it was before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from bot.cards.card import Block, Heading, Line, Note
from bot.cards.words import safe
from optimizer.records.facts import Fact
from optimizer.text.numbers import about, count, percent, tokens, usd

FACTS_MAX = 12
SAMPLES_MAX = 5
_SIGNATURE_CHARACTERS_MAX = 100

_Sentence = Callable[[Fact], str]


def facts_blocks(facts: Sequence[Fact]) -> Iterator[Block]:
    """The facts with a heading, and the sessions to look at; nothing for no facts."""
    if not facts:
        return
    yield Heading("Measured:")
    for fact in facts[:FACTS_MAX]:
        yield Line(f"- {fact_sentence(fact)}")
    if len(facts) > FACTS_MAX:
        yield Note(f"and {count(len(facts) - FACTS_MAX, 'fact')} more.")
    samples = list(dict.fromkeys(safe(sample) for fact in facts for sample in fact.samples))
    if samples:
        yield Note(f"Sessions to look at: {', '.join(samples[:SAMPLES_MAX])}")


def fact_sentence(fact: Fact) -> str:
    """`47% of 53 write_article calls failed; before: 3.1%`, with the labels that the words do not hold.

    A count says nothing beside that of the 30 days before: only what does not grow with the window is compared.
    """
    told = _SENTENCES.get(fact.name, _any)(fact)
    compared = fact.baseline if fact.name.endswith(_COMPARED) else None
    before = "" if compared is None else f"; before: {_value(fact, compared)}"
    return f"{told}{before}{_where(fact)}"


_COMPARED = (".mean", "_rate", "_share", ".p50", ".p95", ".never_called")
_NAMED_IN_WORDS = frozenset({"tool", "signature", "prompt", "text", "argument"})


def _where(fact: Fact) -> str:
    """The labels that narrow the fact down: ` (7d, model gpt-4o)`."""
    told = [
        safe(value) if name == "window" else f"{safe(name).replace('_', ' ')} {safe(value)}"
        for name, value in fact.labels.items()
        if name not in _NAMED_IN_WORDS or fact.name not in _SENTENCES
    ]
    return f" ({', '.join(told)})" if told else ""


def _value(fact: Fact, value: float) -> str:
    """The value in the unit of the fact; of a tool that is not called any more, the baseline is a share."""
    if fact.name.endswith("_rate") or fact.name in ("tool.never_called", "tool.session_share"):
        return percent(value)
    if fact.name.startswith("cost_usd") or ".cost_usd" in fact.name:
        return usd(value)
    if "latency_ms" in fact.name:
        return _seconds(value)
    return f"{value:.1f}".removesuffix(".0") if abs(value) < 10 else about(value)


def _seconds(milliseconds: float) -> str:
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms"
    return f"{milliseconds / 1000:.1f}".removesuffix(".0") + " s"


def _label(fact: Fact, name: str) -> str:
    return safe(fact.labels.get(name, "")) or f"({name})"


def _tool(fact: Fact) -> str:
    """The tool's name with a blank, where the fact is about one."""
    return f"{_label(fact, 'tool')} " if "tool" in fact.labels else ""


def _of(fact: Fact, noun: str) -> str:
    return count(fact.n, noun) if fact.n is not None else f"{noun}s"


def _times(value: float) -> str:
    return "once" if value == 1 else f"{about(value)} times"


def _out_of(fact: Fact, noun: str = "session") -> str:
    """`9 of 201 sessions`."""
    return f"{about(fact.value)} of {_of(fact, noun)}" if fact.n is not None else count(fact.value, noun)


def _behind(fact: Fact, noun: str = "session") -> str:
    return f" ({_of(fact, noun)})" if fact.n is not None else ""


def _mean(unit: str) -> _Sentence:
    return lambda fact: f"{_value(fact, fact.value)} {unit} per session{_behind(fact)}"


def _share(words: str) -> _Sentence:
    return lambda fact: f"{percent(fact.value)} of {_of(fact, 'session')} {words}"


def _latency(name: str) -> _Sentence:
    return lambda fact: f"{_tool(fact)}took {_value(fact, fact.value)} {name}{_behind(fact, 'call')}"


def _signature(fact: Fact) -> str:
    text = safe(fact.labels.get("signature", ""), _SIGNATURE_CHARACTERS_MAX)
    return f'{_tool(fact)}answered "{text}" {_times(fact.value)}{_behind(fact)}'


def _repeats(fact: Fact) -> str:
    return count(fact.value, f"identical {_tool(fact)}call")


def _any(fact: Fact) -> str:
    """A fact without words of its own: its name, its value, and what stands behind it."""
    return f"{safe(fact.name, 60).replace('_', ' ')}: {_value(fact, fact.value)}{_behind(fact)}"


_SENTENCES: dict[str, _Sentence] = {
    "sessions": lambda fact: count(fact.value, "session"),
    "success_rate": lambda fact: f"{percent(fact.value)} of {_of(fact, 'session')} succeeded",
    "cost_usd.mean": lambda fact: f"{usd(fact.value)} per session{_behind(fact)}",
    "tokens_in.mean": _mean("tokens in"),
    "tokens_out.mean": _mean("tokens out"),
    "steps.mean": _mean("steps"),
    "user_messages.mean": _mean("user messages"),
    "tokens_cached.mean": _mean("cached tokens in"),
    "cost_usd.total": lambda fact: f"{usd(fact.value)} in all{_behind(fact)}",
    "cost_usd.usual": lambda fact: f"{usd(fact.value)} in a usual window{_behind(fact, 'window')}",
    "cost_usd.largest": lambda fact: f"{usd(fact.value)} for the dearest session",
    "sessions.usual": lambda fact: f"{count(fact.value, 'session')} in a usual window{_behind(fact, 'window')}",
    "escalation_rate": _share("were handed over to a person"),
    "many_messages_rate": _share("have 10 user messages or more"),
    "repeated_request_rate": _share("have the same request twice"),
    "repeated_requests": lambda fact: f"{count(fact.value, 'request')} sent again{_behind(fact)}",
    "input_heavy_rate": _share("read 10k tokens or more, over 50 times what they write"),
    "input_heavy.tokens": lambda fact: f"{tokens(fact.value, estimated=False)} read in these{_behind(fact)}",
    "escalations": lambda fact: f"{count(fact.value, 'session')} handed over to a person",
    "tool.calls": lambda fact: f"{_tool(fact)}called {_times(fact.value)}{_behind(fact)}",
    "tool.errors": lambda fact: f"{_tool(fact)}failed {_times(fact.value)}{_behind(fact)}",
    "tool.error_rate": lambda fact: f"{percent(fact.value)} of {_of(fact, f'{_tool(fact)}call')} failed",
    "tool.error_session_rate": lambda fact: (
        f"{percent(fact.value)} of {_of(fact, 'session')} that call {_tool(fact) or 'tools '}saw an error"
    ),
    "tool.session_share": lambda fact: f"{_tool(fact)}called in {percent(fact.value)} of {_of(fact, 'session')}",
    "tool.error_signature": _signature,
    "tool.abandoned": lambda fact: f"{_tool(fact)}not tried again after an error in {_out_of(fact)}",
    "tool.never_called": lambda fact: f"{_tool(fact)}not called in {_of(fact, 'session')}",
    "tool.latency_ms.p50": _latency("at the median"),
    "tool.latency_ms.p95": _latency("at the 95th percentile"),
    "loop.sessions": lambda fact: f"same {_tool(fact)}call 3 times or more in {_out_of(fact)}",
    "error_loop.sessions": lambda fact: f"same {_tool(fact)}call failing again and again in {_out_of(fact)}",
    "error_loop.errors": lambda fact: f"{_tool(fact)}failed {_times(fact.value)} in such repeats{_behind(fact)}",
    "error_loop.longest": lambda fact: f"longest repeat of one failing {_tool(fact)}call: {_times(fact.value)}",
    "loop.longest": lambda fact: f"longest repeat of one {_tool(fact)}call: {_times(fact.value)}",
    "redundant_calls": lambda fact: f"{_repeats(fact)} too many{_behind(fact)}",
    "prompt.tokens": lambda fact: f"{tokens(fact.value)} in {_label(fact, 'prompt')}",
    "prompt.duplicated_tokens": lambda fact: f"{tokens(fact.value)} stand twice in {_label(fact, 'prompt')}",
    "repeated_text.tokens": lambda fact: (
        f'{tokens(fact.value)} of text passed again as "{_label(fact, "argument")}"{_behind(fact)}'
    ),
}  # fmt: skip
