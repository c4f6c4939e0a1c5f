"""The table of rules, and the one decision over all that they tested."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from optimizer.diagnose import repeats, texts, tools, unused
from optimizer.diagnose.rule import FAMILY_ALPHA, Diagnosis, Rule, Test
from optimizer.records.findings import Finding, Goal, Watching
from optimizer.records.snapshot import Snapshot
from optimizer.stats.bounds import survivors

WATCHING_MAX = 5

RULES: tuple[Rule, ...] = (
    Rule(
        id="tool_failing",
        goal=Goal.accuracy,
        thresholds={"healthy_call_share": 0.05, "sessions_min": 5, "failing_sessions_min": 3},
        reason="A few failing calls are everyday life; a tool that fails for many who need it costs results.",
        check=tools.failing,
    ),
    Rule(
        id="tool_abandoned",
        goal=Goal.accuracy,
        thresholds={
            "healthy_share": 0.05,
            "share_min": 0.01,
            "sessions_min": 5,
            "failing_sessions_min": 3,
            "calling_before_min": 20,
        },
        reason="A call that fails and is not tried again is a step that never happened, and nobody is told.",
        check=tools.abandoned,
    ),
    Rule(
        id="tool_unused",
        goal=Goal.capability,
        thresholds={
            "sessions_min": 5,
            "sessions_before_min": 20,
            "calling_before_min": 5,
            "share_before_min": 0.02,
        },
        reason="A tool that was in use and fell silent is something that the agent could do and does not.",
        check=unused.unused,
    ),
    Rule(
        id="loop",
        goal=Goal.cost,
        thresholds={
            "healthy_share_short": 0.05,
            "healthy_share_bad": 0.01,
            "long_repeats": 4,
            "failing_part": 0.5,
            "sessions_min": 5,
            "looping_sessions_min": 3,
        },
        reason="The same call again and again brings nothing new, and each repeat sends the whole context.",
        check=repeats.loops,
    ),
    Rule(
        id="redundant_calls",
        goal=Goal.cost,
        thresholds={"healthy_share": 0.10, "sessions_min": 5, "repeating_sessions_min": 3},
        reason="What a tool has already answered in a session need not be asked again.",
        check=repeats.redundant_calls,
    ),
    Rule(
        id="prompt_included_twice",
        goal=Goal.cost,
        thresholds={"characters_min": 200},
        reason="Text that an include brings anyway is sent, and paid for, twice in every turn.",
        check=texts.prompt_includes,
    ),
    Rule(
        id="prompt_duplicate",
        goal=Goal.cost,
        # Two sections may share a sentence or two for good reason; a whole block was pasted twice.
        thresholds={"characters_min": 300},
        reason="Text that stands twice in a prompt is sent, and paid for, twice in every turn.",
        check=texts.prompt_duplicates,
    ),
    Rule(
        id="repeated_text",
        goal=Goal.cost,
        thresholds={"healthy_share": 0.01, "sessions_min": 5, "repeating_sessions_min": 3},
        reason="A long text that the model writes into call after call is paid for as output each time.",
        check=repeats.repeated_text,
    ),
)

# A rule that has nothing to add where the other one already speaks of the same tool.
SILENT_WHERE: Mapping[str, str] = {"redundant_calls": "loop"}

_GOAL_ORDER = {goal: position for position, goal in enumerate((Goal.accuracy, Goal.capability, Goal.cost))}


def diagnose(
    snapshot: Snapshot, starts: Mapping[str, datetime] | None = None, *, rules: Sequence[Rule] = RULES
) -> Diagnosis:
    """What is wrong in this snapshot, and what to watch.

    `starts` holds, for findings that were answered, the moment from which their window may begin: a look that
    begins earlier says nothing about them. All tests of the run share `FAMILY_ALPHA`. Where several looks
    show the same trouble, the shortest one speaks.
    """
    outcomes = [rule.examine(snapshot) for rule in rules]
    tests = _allowed((test for outcome in outcomes for test in outcome.tests), starts or {})
    too_little = _allowed((test for outcome in outcomes for test in outcome.watching), starts or {})
    rejected = survivors([test.p_value for test in tests], FAMILY_ALPHA)
    sure: dict[str, Finding] = {}
    ordered = sorted(zip(tests, rejected, strict=True), key=lambda entry: entry[0].since, reverse=True)
    for test, is_rejected in ordered:
        if is_rejected and test.finding is not None:
            sure.setdefault(test.key, test.finding)
    certain = (finding for outcome in outcomes for finding in outcome.findings)
    findings = _without_echoes([*sure.values(), *certain])
    return Diagnosis(
        findings=tuple(sorted(findings, key=_order)),
        watching=_watching([*tests, *too_little], findings),
        tests=len(tests),
    )


def _without_echoes(findings: Sequence[Finding]) -> list[Finding]:
    spoken = {(finding.rule, finding.tool) for finding in findings}
    return [
        finding
        for finding in findings
        if (SILENT_WHERE.get(finding.rule), finding.tool) not in spoken or finding.tool is None
    ]


def _allowed(tests: Iterable[Test], starts: Mapping[str, datetime]) -> list[Test]:
    return [test for test in tests if test.key not in starts or test.since >= starts[test.key]]


def _watching(tests: Iterable[Test], findings: Sequence[Finding]) -> tuple[Watching, ...]:
    """One line for each thing that is not yet sure, where no finding speaks of the same tool or text."""
    subjects = {_subject(finding.key) for finding in findings}
    lines: dict[str, tuple[float, Watching]] = {}
    for test in tests:
        if test.watching is None or _subject(test.key) in subjects:
            continue
        known = lines.get(test.key)
        if known is None or test.p_value < known[0]:
            lines[test.key] = (test.p_value, test.watching)
    best = sorted(lines.values(), key=lambda line: (line[0], line[1].key))
    return tuple(line for _, line in best[:WATCHING_MAX])


def _subject(key: str) -> str:
    return key.partition(":")[2]


def _order(finding: Finding) -> tuple[int, float, str]:
    return _GOAL_ORDER[finding.goal], -finding.impact, finding.key
