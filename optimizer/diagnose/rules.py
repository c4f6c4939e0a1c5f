"""All rules over one snapshot, and the one decision over all that they tested."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from optimizer.diagnose.answered import name_the_baseline, since_answer
from optimizer.diagnose.rule import FAMILY_ALPHA, Diagnosis, Rule, RuleOutcome, Test
from optimizer.diagnose.table import RULES
from optimizer.records.findings import Finding, Goal, Watching
from optimizer.records.snapshot import MONTH, Snapshot
from optimizer.stats.bounds import survivors

WATCHING_MAX = 5
# The run's own window, beside each of the wider ones: what broke today is what cannot wait.
OWN_WINDOW_WEIGHT = 2.0

_FAILING = frozenset({"tool_failing", "tool_abandoned", "tool_errors_up"})
# A rule that has nothing to add where one of the others already speaks of the same tool: trying again after an
# error repeats a call, for one.
SILENT_WHERE: Mapping[str, frozenset[str]] = {
    "redundant_calls": frozenset({"loop", "error_loop"}) | _FAILING,
    "loop": frozenset({"error_loop"}),
}
# The same for what is about the whole agent, where one of the others speaks at all: more messages bring more
# steps, and more steps more cost.
SILENT_WHERE_ANY: Mapping[str, frozenset[str]] = {
    "errors_up": _FAILING | {"error_loop"},
    "steps_up": frozenset({"cost_up", "many_messages", "loop", "error_loop"}),
    "cost_spike": frozenset({"cost_up"}),
}

_GOAL_ORDER = {goal: position for position, goal in enumerate((Goal.accuracy, Goal.capability, Goal.cost))}


class _Weighed(NamedTuple):
    test: Test
    weight: float


def diagnose(
    snapshot: Snapshot, starts: Mapping[str, datetime] | None = None, *, rules: Sequence[Rule] = RULES
) -> Diagnosis:
    """What is wrong in this snapshot, and what to watch.

    `starts` holds, for findings that were answered, the moment from which their window may begin: a look that
    begins earlier says nothing about them, and no comparison has that moment on one of its sides.

    All tests of the run share `FAMILY_ALPHA`. Each rule that has something to test gets its weight of it, each
    thing that it tests (a tool, say) an equal part of that, and half of it the run's own window: so many tools
    take nothing from the rules that ask about the whole agent, and three looks at one thing count as one. What
    a hypothesis leaves that falls is shared by the others (Holm). Where several looks show the same trouble,
    the shortest one speaks.
    """
    starts = starts or {}
    outcomes = _outcomes(snapshot, starts, rules)
    weighed = [one for rule, outcome in zip(rules, outcomes, strict=True) for one in _weigh(rule, outcome.tests)]
    rejected = survivors([test.p_value for test, _ in weighed], FAMILY_ALPHA, [weight for _, weight in weighed])
    sure: dict[str, Finding] = {}
    ordered = sorted(zip(weighed, rejected, strict=True), key=lambda entry: entry[0].test.since, reverse=True)
    for (test, _), is_rejected in ordered:
        if is_rejected and test.finding is not None:
            sure.setdefault(test.key, test.finding)
    certain = (finding for outcome in outcomes for finding in outcome.findings)
    findings = _without_echoes([*sure.values(), *certain])
    tests = [test for test, _ in weighed]
    return Diagnosis(
        findings=tuple(sorted(findings, key=_order)),
        watching=_watching([*tests, *(test for outcome in outcomes for test in outcome.watching)], findings),
        tests=len(tests),
    )


def _outcomes(snapshot: Snapshot, starts: Mapping[str, datetime], rules: Sequence[Rule]) -> list[RuleOutcome]:
    """What each rule says; of a thing that was answered, what it says of the time since."""
    oldest = snapshot.looks[-1].window.since - MONTH
    recent = {key: start for key, start in starts.items() if start > oldest}
    outcomes = [_only(rule.examine(snapshot), lambda key: key not in recent) for rule in rules]
    for start in sorted(set(recent.values())):
        since = since_answer(snapshot, start)
        if since is None:
            continue
        keys = {key for key, moment in recent.items() if moment == start}
        for place, rule in enumerate(rules):
            own = _only(rule.examine(since), keys.__contains__)
            outcomes[place] = replace(
                outcomes[place],
                tests=(*outcomes[place].tests, *(_of_its_time(test, start) for test in own.tests)),
                watching=(*outcomes[place].watching, *own.watching),
            )
    return outcomes


def _of_its_time(test: Test, start: datetime) -> Test:
    return test if test.finding is None else replace(test, finding=name_the_baseline(test.finding, start))


def _only(outcome: RuleOutcome, wanted: Callable[[str], bool]) -> RuleOutcome:
    """The findings, and the tests of the keys that are wanted."""
    return replace(
        outcome,
        tests=tuple(test for test in outcome.tests if wanted(test.key)),
        watching=tuple(test for test in outcome.watching if wanted(test.key)),
    )


def _weigh(rule: Rule, tests: Sequence[Test]) -> Iterator[_Weighed]:
    newest = max((test.since for test in tests), default=None)
    parts = [OWN_WINDOW_WEIGHT if test.since == newest else 1.0 for test in tests]
    of_key: defaultdict[str, float] = defaultdict(float)
    for test, part in zip(tests, parts, strict=True):
        of_key[test.key] += part
    for test, part in zip(tests, parts, strict=True):
        yield _Weighed(test, rule.weight * part / (len(of_key) * of_key[test.key]))


def _without_echoes(findings: Sequence[Finding]) -> list[Finding]:
    spoken = {finding.rule for finding in findings}
    of_tools = {(finding.rule, finding.tool) for finding in findings if finding.tool is not None}
    return [
        finding
        for finding in findings
        if spoken.isdisjoint(SILENT_WHERE_ANY.get(finding.rule, ()))
        and of_tools.isdisjoint((rule, finding.tool) for rule in SILENT_WHERE.get(finding.rule, ()))
    ]


def _watching(tests: Iterable[Test], findings: Sequence[Finding]) -> tuple[Watching, ...]:
    """One line for each tool, text or quantity that is not yet sure, where no finding speaks of it."""
    subjects = {_subject(finding.key) for finding in findings}
    spoken = {finding.rule for finding in findings}
    lines: dict[str, tuple[float, Watching]] = {}
    for test in tests:
        subject = _subject(test.key)
        if test.watching is None or subject in subjects or spoken & SILENT_WHERE_ANY.get(test.key, frozenset()):
            continue
        known = lines.get(subject)
        if known is None or test.p_value < known[0]:
            lines[subject] = (test.p_value, test.watching)
    best = sorted(lines.values(), key=lambda line: (line[0], line[1].key))
    return tuple(line for _, line in best[:WATCHING_MAX])


def _subject(key: str) -> str:
    """What the finding is about: the tool or the text behind the colon; without one, the whole agent by rule."""
    return key.partition(":")[2] or key


def _order(finding: Finding) -> tuple[int, float, str]:
    return _GOAL_ORDER[finding.goal], -finding.impact, finding.key
