"""What users go through: handed over, many messages, the same request twice."""

from __future__ import annotations

import math

import pytest

from optimizer.diagnose.rules import diagnose
from optimizer.records.findings import CitedFact, Finding, Goal
from tests.unit.diagnose.builders import NO_TRAFFIC, Traffic, snapshot


def found(now: Traffic, before: Traffic = NO_TRAFFIC) -> dict[str, Finding]:
    return {finding.key: finding for finding in diagnose(snapshot(now, before)).findings}


def cited(finding: Finding) -> dict[str, CitedFact]:
    return {cite.name: cite for cite in finding.cites}


def handing_over(sessions: int, escalated: int) -> Traffic:
    tools = {"transfer_to_human_agents": (escalated, escalated), "search": (sessions, sessions)}
    return Traffic(sessions, tools).add("escalations", escalated)


def test_more_sessions_handed_to_a_human_than_before() -> None:
    findings = found(handing_over(300, 36), handing_over(9000, 270))
    assert set(findings) == {"escalations"}
    finding = findings["escalations"]
    assert finding.title == "12% of sessions handed to a human (before that 3%)"
    assert finding.goal is Goal.accuracy
    assert finding.severity == 0.12
    assert finding.impact == 36
    assert "by transfer_to_human_agents in 36 sessions" in finding.detail
    assert "search" not in finding.detail
    cites = cited(finding)
    assert (cites["escalation_rate"].value, cites["escalation_rate"].baseline) == (0.12, 0.03)
    assert (cites["escalations"].value, cites["escalations"].samples) == (36, ("s0", "s1", "s2", "s3", "s4"))
    assert cites["tool.calls"].labels == {"tool": "transfer_to_human_agents"}


def test_without_a_history_many_are_held_against_a_healthy_share() -> None:
    assert found(handing_over(30, 8)) == {}
    finding = found(handing_over(30, 17))["escalations"]
    assert finding.title == "57% of sessions handed to a human"


def test_as_many_as_ever_is_no_news_however_many() -> None:
    assert found(handing_over(300, 180), handing_over(9000, 5400)) == {}


def test_a_point_more_is_no_news_however_sure() -> None:
    assert found(handing_over(100_000, 3800), handing_over(3_000_000, 90_000)) == {}


def test_a_few_more_are_watched() -> None:
    now = handing_over(60, 7)
    diagnosis = diagnose(snapshot(now, handing_over(1800, 54)))
    assert diagnosis.findings == ()
    assert [line.text for line in diagnosis.watching] == ["7 of 60 sessions handed to a human"]


def writing(sessions: int, messages: float, many: int) -> Traffic:
    traffic = Traffic(sessions).values("user_messages", sessions, messages, messages)
    return traffic.values("user_messages_log", sessions, math.log(1 + messages), 0.5).add("many_messages", many)


def test_more_messages_per_session_than_before() -> None:
    finding = found(writing(300, 5.2, 18), writing(9000, 3.7, 540))["many_messages"]
    assert finding.title == "User messages per session up 41% to 5.2 (before 3.7)"
    assert finding.severity == pytest.approx(5.2)
    # Sessions, as of all that costs accuracy: messages would put it above whatever else went wrong.
    assert finding.impact == 18
    cites = cited(finding)
    assert (cites["user_messages.mean"].value, cites["user_messages.mean"].baseline) == (
        pytest.approx(5.2),
        pytest.approx(3.7),
    )
    assert (cites["many_messages_rate"].value, cites["many_messages_rate"].n) == (0.06, 300)


def test_more_sessions_with_many_messages_than_before() -> None:
    findings = found(writing(300, 3.8, 48), writing(9000, 3.7, 450))
    assert set(findings) == {"many_messages"}
    assert findings["many_messages"].title == ("Users write 10 messages or more in 16% of sessions (before that 5%)")
    # One trouble, one measure of it: both ways to see it compare by the mean.
    assert findings["many_messages"].severity == pytest.approx(3.8)


def test_many_messages_without_a_history() -> None:
    assert found(writing(40, 6, 12)) == {}
    assert "70% of sessions" in found(writing(40, 14, 28))["many_messages"].title


def test_the_same_request_twice_in_many_sessions() -> None:
    now = Traffic(240).add("repeated_request", 48, 60)
    finding = found(now)["repeated_request"]
    assert finding.title == "Users send the same request twice in 20% of sessions"
    assert "60 times in all" in finding.detail
    assert {name: cite.value for name, cite in cited(finding).items()} == {
        "repeated_request_rate": 0.2,
        "repeated_requests": 60,
    }


def test_the_same_request_twice_in_more_sessions_than_before() -> None:
    before = Traffic(30_000).add("repeated_request", 300)
    assert "before that 1%" in found(Traffic(1000).add("repeated_request", 65), before)["repeated_request"].title
    assert found(Traffic(1000).add("repeated_request", 35), before) == {}  # less than the margin, given chance
    assert found(Traffic(240).add("repeated_request", 20)) == {}


def test_titles_fit_a_phone() -> None:
    crowded = [
        *found(handing_over(300, 36), handing_over(9000, 270)).values(),
        *found(writing(300, 3.8, 48), writing(9000, 3.7, 450)).values(),
        *found(writing(300, 5.2, 18), writing(9000, 3.7, 540)).values(),
        *found(Traffic(1000).add("repeated_request", 65), Traffic(30_000).add("repeated_request", 300)).values(),
    ]
    assert len(crowded) == 4
    assert all(len(finding.title) <= 90 for finding in crowded)
