"""Healthy but messy traffic gives quiet nights, and what is planted in it is found by its name and size."""

from __future__ import annotations

import pytest

from optimizer.diagnose.alarms import traffic_alarms
from optimizer.diagnose.rules import diagnose
from tests.unit.diagnose.nights import TOOLS, Rates, chances, nights

NIGHTS = 100


def test_the_simulated_traffic_is_what_it_says() -> None:
    night = next(nights(300, count=1))
    month = night.looks[2].measures
    tools = [tool for tool in TOOLS if month.get("tool.calls", tool=tool).n]
    calls = sum(month.get("tool.calls", tool=tool).total for tool in tools)
    errors = sum(month.get("tool.errors", tool=tool).total for tool in tools)
    assert errors / calls == pytest.approx(0.03, abs=0.003)
    assert month.get("tool.calls", tool="tool_13").n / 9000 == pytest.approx(0.04, abs=0.01)
    assert month.get("cost_usd_log").variance == pytest.approx(1.0, abs=0.06)
    assert month.get("sessions").n == pytest.approx(9000, rel=0.05)
    assert sum(slot.sessions for slot in night.history) == night.main.before.get("sessions").n
    assert sum(chances(0.3)[0]) == pytest.approx(1.0)


@pytest.mark.parametrize("a_day", [12, 50, 300])
def test_healthy_agents_have_quiet_nights_and_slow_weekends_are_no_alarm(a_day: int) -> None:
    loud: list[str] = []
    alarmed: list[str] = []
    for night in nights(a_day, count=NIGHTS):
        loud += [finding.title for finding in diagnose(night).findings][:1]
        alarmed += traffic_alarms(night, None, exact=False)
    assert len(loud) <= 0.05 * NIGHTS, loud[:3]
    assert len(alarmed) <= 0.01 * NIGHTS, alarmed[:3]


@pytest.mark.parametrize(
    ("planted", "key"),
    [
        (Rates(errors={"tool_5": 0.3}), "tool_failing:tool_5"),
        (Rates(success=0.6), "success_down"),
        (Rates(cost_times=1.5), "cost_up"),
        (Rates(latency_times={"tool_3": 2.0}), "latency_up:tool_3"),
        (Rates(steps=12.0), "steps_up"),
        (Rates(messages=4.0), "many_messages"),
        (Rates(repeating=0.2), "repeated_request"),
        (Rates(escalated=0.15), "escalations"),
        (Rates(heavy=0.5), "input_heavy"),
        (Rates(silent_tool="tool_4"), "tool_unused:tool_4"),
    ],
)
def test_what_is_planted_in_one_day_is_found_and_nothing_else(planted: Rates, key: str) -> None:
    found = [[finding.key for finding in diagnose(night).findings] for night in nights(300, planted, count=12)]
    assert sum(keys == [key] for keys in found) >= 11, found


def test_a_rise_is_told_with_its_size() -> None:
    told = 0
    for night in nights(300, Rates(cost_times=1.5), count=5):
        now, before = night.main.measures.get("cost_usd").mean, night.main.before.get("cost_usd").mean
        for finding in diagnose(night).findings:
            told += 1
            assert finding.title.startswith(f"Cost per session up {now / before - 1:.0%} to ${now:.3f} (before $0.0")
            assert finding.severity == now
            assert (finding.cites[0].name, finding.cites[0].value) == ("cost_usd.mean", now)
            assert finding.cites[0].baseline == before
    assert told >= 4
