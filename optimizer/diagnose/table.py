"""The table of rules: what each asks, from where on it counts, and why it is worth a person's time.

Thresholds named `healthy_share` are what a healthy agent may have; `margin` and `times_allowed` are what may
drift from day to day without being news, as points of a share and as a factor of what is typical (of the odds,
for what is rare). `weight` is a rule's part of the error probability: 4 for what must not be missed, 2 for what
needs more of it, because it is shared by many tools or asks for much data, 1 for the others (docs/adr/0009).
"""

from __future__ import annotations

from optimizer.diagnose import drops, loops, models, repeats, rises, spending, texts, tools, unused, users
from optimizer.diagnose.rule import Rule
from optimizer.records.findings import Goal

RULES: tuple[Rule, ...] = (
    Rule(
        id="tool_failing",
        goal=Goal.accuracy,
        thresholds={"healthy_call_share": 0.05, "sessions_min": 5, "failing_sessions_min": 3},
        reason="A few failing calls are everyday life; a tool that fails for many who need it costs results.",
        check=tools.failing,
        weight=4.0,
    ),
    Rule(
        id="tool_abandoned",
        goal=Goal.accuracy,
        thresholds={
            "healthy_share": 0.05,
            "share_min": 0.01,
            "odds_times_allowed": 1.5,
            "sessions_min": 5,
            "failing_sessions_min": 3,
            "calling_before_min": 20,
        },
        reason="A call that fails and is not tried again is a step that never happened, and nobody is told.",
        check=tools.abandoned,
        weight=4.0,
    ),
    Rule(
        id="tool_errors_up",
        goal=Goal.accuracy,
        thresholds={"margin": 0.02, "sessions_min": 5, "sessions_before_min": 50, "failing_sessions_min": 3},
        reason="A tool that fails more than it used to is breaking, long before it fails for everyone.",
        check=tools.errors_up,
        weight=2.0,
    ),
    Rule(
        id="error_loop",
        goal=Goal.accuracy,
        thresholds={"healthy_share": 0.01, "sessions_min": 5, "looping_sessions_min": 3},
        reason="A call that has just failed fails again: the agent is stuck, and its user waits.",
        check=loops.error_loops,
        weight=2.0,
    ),
    Rule(
        id="success_down",
        goal=Goal.accuracy,
        thresholds={"margin": 0.03, "sessions_min": 10, "sessions_before_min": 50, "failed_sessions_min": 3},
        reason="Fewer sessions reach what they were for: whatever the cause, this is what it costs.",
        check=drops.success_down,
        weight=4.0,
    ),
    Rule(
        id="errors_up",
        goal=Goal.accuracy,
        thresholds={"margin": 0.02, "sessions_min": 10, "sessions_before_min": 50, "failing_sessions_min": 5},
        reason="Errors that spread over many tools show in no single one of them.",
        check=drops.errors_up,
    ),
    Rule(
        id="escalations",
        goal=Goal.accuracy,
        thresholds={
            "healthy_share": 0.25,
            "margin": 0.01,
            "sessions_min": 10,
            "sessions_before_min": 50,
            "sessions_seen_min": 3,
        },
        reason="A session that a human has to finish costs more than all its tokens.",
        check=users.escalations,
    ),
    Rule(
        id="many_messages",
        goal=Goal.accuracy,
        thresholds={
            "healthy_share": 0.25,
            "margin": 0.02,
            "times_allowed": 1.10,
            "sessions_min": 10,
            "sessions_before_min": 50,
            "sessions_seen_min": 3,
        },
        reason="A user who has to write again and again does not get what they came for.",
        check=users.many_messages,
    ),
    Rule(
        id="repeated_request",
        goal=Goal.accuracy,
        thresholds={
            "healthy_share": 0.08,
            "margin": 0.02,
            "sessions_min": 10,
            "sessions_before_min": 50,
            "sessions_seen_min": 3,
        },
        reason="Who asks the same thing twice was not answered the first time.",
        check=users.repeated_request,
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
        weight=2.0,
    ),
    Rule(
        id="loop",
        goal=Goal.cost,
        thresholds={
            "healthy_share_short": 0.05,
            "healthy_share_long": 0.01,
            "long_repeats": 4,
            "sessions_min": 5,
            "looping_sessions_min": 3,
        },
        reason="The same call again and again brings nothing new, and each repeat sends the whole context.",
        check=loops.loops,
        weight=2.0,
    ),
    Rule(
        id="redundant_calls",
        goal=Goal.cost,
        thresholds={"healthy_share": 0.10, "sessions_min": 5, "repeating_sessions_min": 3},
        reason="What a tool has already answered in a session need not be asked again.",
        check=repeats.redundant_calls,
        weight=2.0,
    ),
    Rule(
        id="cost_up",
        goal=Goal.cost,
        thresholds={"times_allowed": 1.08, "sessions_min": 10, "sessions_before_min": 50},
        reason="What one session costs is the one number that the bill follows.",
        check=rises.cost_up,
        weight=4.0,
    ),
    Rule(
        id="steps_up",
        goal=Goal.cost,
        thresholds={"times_allowed": 1.10, "sessions_min": 10, "sessions_before_min": 50},
        reason="Each further step sends the whole context once more, and lets the user wait.",
        check=rises.steps_up,
    ),
    Rule(
        id="latency_up",
        goal=Goal.cost,
        thresholds={"times_allowed": 1.25, "sessions_min": 10, "sessions_before_min": 50},
        reason="A tool that gets slow makes every session wait, and times out next.",
        check=rises.latency_up,
        weight=2.0,
    ),
    Rule(
        id="cost_spike",
        goal=Goal.cost,
        thresholds={"times": 2.0, "slots_min": 7, "sessions_min": 3},
        reason="A window that costs twice the usual may be growth, a test, or a loop that nobody watches.",
        check=spending.cost_spike,
    ),
    Rule(
        id="cheaper_model",
        goal=Goal.cost,
        thresholds={"margin": 0.05, "cheaper_by": 0.20, "rated_min": 100},
        reason="Where a cheaper model does as well, the difference is paid for nothing.",
        check=models.cheaper_model,
        weight=2.0,
    ),
    Rule(
        id="input_heavy",
        goal=Goal.cost,
        thresholds={"healthy_share": 0.25, "sessions_min": 10, "heavy_sessions_min": 3},
        reason="Much read for little written is mostly the same text sent again, which caching makes far cheaper.",
        check=spending.input_heavy,
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
