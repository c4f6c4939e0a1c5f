"""Measures of a window -> its facts, each with the same number over the comparison window."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from optimizer.prompts.duplicates import included_blocks, repeated_blocks
from optimizer.prompts.tokens import estimate_tokens
from optimizer.records.facts import Fact, Measure, Measures
from optimizer.records.snapshot import PromptText
from optimizer.stats.histogram import quantile

SPLIT_LABELS = ("prompt_version", "model", "task_category", "environment", "release")
MEANS = ("cost_usd", "tokens_in", "tokens_out", "tokens_cached", "steps", "user_messages")
# Sessions that have it -> the share of all sessions, and how often it was there in all.
RATES = (
    ("escalations", "escalation_rate", None),
    ("many_messages", "many_messages_rate", None),
    ("repeated_request", "repeated_request_rate", "repeated_requests"),
)
QUANTILES = (("p50", 0.5), ("p95", 0.95))

_Labels = Mapping[str, str]


class _Draft(NamedTuple):
    """A fact before it has an id and a baseline."""

    name: str
    labels: _Labels
    value: float
    n: int | None
    samples: tuple[str, ...] = ()


def facts_of(
    main: Measures,
    before: Measures,
    *,
    tools: Sequence[str] = (),
    prompts: Mapping[str, PromptText] | None = None,
    characters_per_token: float,
) -> tuple[Fact, ...]:
    """All facts of a window, numbered F1, F2, ... in one order: plain, by tool, by argument, prompts, splits.

    - There is no fact about what no session carries; counts (calls, errors, loops, ...) are zero where there
      were sessions.
    - `baseline` is the same number over the comparison window, None where it has none. A count is that
      window's count: it is not scaled to the length of this one, which history may not fill.
    - `n` is the sessions behind a mean, the calls behind an error rate, the results behind a latency, the
      sessions that have it behind a count of calls, errors, texts and tokens, the sessions that call behind
      `tool.error_session_rate`, those with known tokens behind `input_heavy_rate`, all sessions behind the others.
    """
    drafts_before = _drafts(before, tools, characters_per_token) if before.get("sessions").n else ()
    baselines = {(draft.name, tuple(sorted(draft.labels.items()))): draft.value for draft in drafts_before}
    drafts = [
        *_drafts(main, tools, characters_per_token),
        *_prompt_drafts(prompts or {}, characters_per_token),
    ]
    return tuple(
        Fact(
            id=f"F{number}",
            name=draft.name,
            labels=dict(draft.labels),
            value=draft.value,
            n=draft.n,
            baseline=baselines.get((draft.name, tuple(sorted(draft.labels.items())))),
            samples=draft.samples,
        )
        for number, draft in enumerate(drafts, 1)
    )


def _drafts(measures: Measures, tools: Sequence[str], characters_per_token: float) -> Iterator[_Draft]:
    yield from _common(measures, {}, always=True)
    if measures.get("sessions").n:
        yield from _repeats(measures)
        yield from _rates(measures)
        yield from _by_tool(measures, tools)
    yield from _by_argument(measures, characters_per_token)
    for label in SPLIT_LABELS:
        for value in measures.by("sessions", label):
            yield from _common(measures, {label: value}, always=False)
            yield from _latencies(measures, {label: value})
    for labels, _ in measures.named("sessions"):
        if labels.keys() == {"model", "task_category"}:
            yield from _outcomes(measures, labels)


def _common(measures: Measures, labels: _Labels, *, always: bool) -> Iterator[_Draft]:
    """What is there for all sessions and for each part of them."""
    sessions = measures.get("sessions", **labels)
    if not (sessions.n or always):
        return
    yield _Draft("sessions", labels, sessions.n, sessions.n)
    if not sessions.n:
        return
    success = measures.get("success", **labels)
    if success.n:
        yield _Draft("success_rate", labels, success.mean, success.n, success.samples)
    yield from (_mean(measures, name, labels) for name in MEANS if measures.get(name, **labels).n)
    yield from _calls(measures, labels)
    escalations = measures.get("escalations", **labels)
    yield _Draft("escalations", labels, escalations.n, sessions.n, escalations.samples)


def _outcomes(measures: Measures, labels: _Labels) -> Iterator[_Draft]:
    """Of one model in one task category: how many, how well, and for how much."""
    sessions, success = measures.get("sessions", **labels), measures.get("success", **labels)
    yield _Draft("sessions", labels, sessions.n, sessions.n)
    if success.n:
        yield _Draft("success_rate", labels, success.mean, success.n, success.samples)
    if measures.get("cost_usd", **labels).n:
        yield _mean(measures, "cost_usd", labels)


def _mean(measures: Measures, name: str, labels: _Labels) -> _Draft:
    measure = measures.get(name, **labels)
    return _Draft(f"{name}.mean", labels, measure.mean, measure.n)


def _calls(measures: Measures, labels: _Labels) -> Iterator[_Draft]:
    calls, errors = measures.get("tool.calls", **labels), measures.get("tool.errors", **labels)
    yield _Draft("tool.calls", labels, calls.total, calls.n)
    yield _Draft("tool.errors", labels, errors.total, errors.n, errors.samples)
    if calls.total:
        yield _Draft("tool.error_rate", labels, errors.total / calls.total, round(calls.total), errors.samples)
        share = min(errors.n, calls.n) / calls.n
        yield _Draft("tool.error_session_rate", labels, share, calls.n, errors.samples)


def _latencies(measures: Measures, labels: _Labels) -> Iterator[_Draft]:
    latency = measures.get("tool.latency_ms", **labels)
    if latency.n:
        for suffix, q in QUANTILES:
            yield _Draft(f"tool.latency_ms.{suffix}", labels, quantile(latency.buckets, q), latency.n)


def _repeats(measures: Measures) -> Iterator[_Draft]:
    sessions = measures.get("sessions").n
    loop, redundant = measures.get("loop"), measures.get("redundant_calls")
    yield _Draft("loop.sessions", {}, loop.n, sessions, loop.samples)
    if loop.largest:
        yield _Draft("loop.longest", {}, loop.largest, sessions, loop.samples)
    yield _Draft("redundant_calls", {}, redundant.total, redundant.n, redundant.samples)


def _rates(measures: Measures) -> Iterator[_Draft]:
    sessions = measures.get("sessions").n
    for name, rate, times in RATES:
        measure = measures.get(name)
        if measure.n:
            yield _Draft(rate, {}, min(measure.n, sessions) / sessions, sessions, measure.samples)
            if times is not None:
                yield _Draft(times, {}, measure.total, measure.n, measure.samples)
    heavy, known = measures.get("input_heavy"), measures.get("tokens_in").n
    if heavy.n and known:
        yield _Draft("input_heavy_rate", {}, min(heavy.n, known) / known, known, heavy.samples)
        yield _Draft("input_heavy.tokens", {}, heavy.total, heavy.n, heavy.samples)


def _by_tool(measures: Measures, tools: Sequence[str]) -> Iterator[_Draft]:
    sessions = measures.get("sessions").n
    called = measures.by("tool.calls", "tool")
    for tool in sorted(called.keys() | measures.by("tool.errors", "tool").keys()):
        labels = {"tool": tool}
        yield from _calls(measures, labels)
        yield from _latencies(measures, labels)
        yield from _tool_troubles(measures, labels, called.get(tool, Measure()))
    yield from (_Draft("tool.never_called", {"tool": tool}, 0, sessions) for tool in sorted({*tools} - called.keys()))
    for labels, measure in _most_frequent(measures):
        yield _Draft("tool.error_signature", labels, measure.total, measure.n, measure.samples)


def _tool_troubles(measures: Measures, labels: _Labels, calls: Measure) -> Iterator[_Draft]:
    sessions = measures.get("sessions").n
    loop, error_loop = measures.get("loop", **labels), measures.get("error_loop", **labels)
    abandoned, redundant = measures.get("tool.abandoned", **labels), measures.get("redundant_calls", **labels)
    if abandoned.n:
        yield _Draft("tool.abandoned", labels, abandoned.n, calls.n, abandoned.samples)
    if loop.n:
        yield _Draft("loop.sessions", labels, loop.n, sessions, loop.samples)
        yield _Draft("loop.longest", labels, loop.largest, loop.n, loop.samples)
    if error_loop.n:
        yield _Draft("error_loop.sessions", labels, error_loop.n, sessions, error_loop.samples)
        yield _Draft("error_loop.errors", labels, error_loop.total, error_loop.n, error_loop.samples)
        yield _Draft("error_loop.longest", labels, error_loop.largest, error_loop.n, error_loop.samples)
    if redundant.n:
        yield _Draft("redundant_calls", labels, redundant.total, redundant.n, redundant.samples)


def _most_frequent(measures: Measures) -> list[tuple[dict[str, str], Measure]]:
    """Error texts by tool, the most frequent first."""
    return sorted(
        measures.named("tool.error_signature"),
        key=lambda row: (row[0]["tool"], -row[1].total, row[0]["signature"]),
    )


def _by_argument(measures: Measures, characters_per_token: float) -> Iterator[_Draft]:
    for argument, measure in measures.by("repeated_text", "argument").items():
        tokens = measure.total / characters_per_token
        yield _Draft("repeated_text.tokens", {"argument": argument}, tokens, measure.n, measure.samples)


def _prompt_drafts(prompts: Mapping[str, PromptText], characters_per_token: float) -> Iterator[_Draft]:
    for name, prompt in sorted(prompts.items()):
        yield _Draft("prompt.tokens", {"prompt": name}, estimate_tokens(prompt.text, characters_per_token), None)
    for name, prompt in sorted(prompts.items()):
        if copies := duplicated_text(prompt, prompts):
            yield _Draft(
                "prompt.duplicated_tokens",
                {"prompt": name},
                estimate_tokens(copies, characters_per_token),
                None,
            )


def duplicated_text(prompt: PromptText, prompts: Mapping[str, PromptText]) -> str:
    """What the prompt could lose: copies in its own text, and text that a prompt included in it has too."""
    included = {placeholder: prompts[name].text for placeholder, name in prompt.includes.items() if name in prompts}
    spans = [span for block in repeated_blocks(prompt.text) for span in block.further]
    spans += [block.span for block in included_blocks(prompt.text, included)]
    pieces: list[str] = []
    reach = 0
    for span in sorted(spans):  # a text may be both: it counts once
        pieces.append(prompt.text[max(span.start, reach) : span.end])
        reach = max(reach, span.end)
    return "".join(pieces)
