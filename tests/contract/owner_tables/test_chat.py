"""What people said in the owner's table of messages becomes part of the runs that answered them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.contract.owner_tables.beside import TABLE, TRACES, Beside, call

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@pytest.fixture
def chat(beside: Beside) -> Beside:
    beside.tables = {"traces": TRACES, "messages": {"table": "messages"}}
    return beside


def said(trace: Any) -> list[tuple[str, str]]:
    return [(event["type"], event["text"]) for event in trace["events"] if "merged_from" in event]


async def test_messages_over_every_way_into_a_database(everywhere: Beside) -> None:
    everywhere.tables = {"traces": TRACES, "messages": {"table": "messages"}}
    before = everywhere.owner.digest()
    row = everywhere.add("s1", call("search", t_ms=1000), ago=5 * MINUTE)
    everywhere.say("s1", "user", "Where is it?", ago=5 * MINUTE + timedelta(seconds=2))
    everywhere.say("s1", "assistant", "There.", ago=4 * MINUTE, feedback="down")
    assert (await everywhere.pull()).alarms == ()
    trace = (await everywhere.traces("s1"))[row]
    assert [event["type"] for event in trace["events"]] == [
        "user_message",
        "tool_call",
        "tool_result",
        "assistant_message",
    ]
    assert (trace.get("success"), trace.get("outcome_end")) == (False, "feedback")
    assert everywhere.owner.digest() == before


async def test_each_message_finds_its_own_run_of_an_endless_session(chat: Beside) -> None:
    first = chat.add("s1", call("search"), ago=60 * MINUTE)
    second = chat.add("s1", call("book"), ago=30 * MINUTE)
    chat.say("s1", "user", "one", ago=61 * MINUTE)
    chat.say("s1", "assistant", "two", ago=59 * MINUTE)
    chat.say("s1", "user", "three", ago=31 * MINUTE)
    chat.say("s1", "assistant", "four", ago=29 * MINUTE)
    chat.say("s1", "user", "a month ago", ago=30 * DAY)
    await chat.pull()
    traces = await chat.traces("s1")
    assert said(traces[first]) == [("user_message", "one"), ("assistant_message", "two")]
    assert said(traces[second]) == [("user_message", "three"), ("assistant_message", "four")]


async def test_a_message_and_a_thumb_that_come_later_are_merged_and_go_again(chat: Beside) -> None:
    row = chat.add("s1", call("search"), ago=10 * MINUTE)
    await chat.pull()
    chat.say("s1", "user", "hello", ago=9 * MINUTE)
    await chat.pull()
    assert said((await chat.traces("s1"))[row]) == [("user_message", "hello")]
    chat.folded()
    chat.owner.run("update public.messages set feedback = 'up'")
    await chat.pull()
    assert (await chat.traces("s1"))[row].get("success") is True
    assert chat.queued()
    chat.owner.run("delete from public.messages")
    await chat.pull()
    trace = (await chat.traces("s1"))[row]
    assert (said(trace), trace.get("success"), trace["extra"].get("messages")) == ([], None, None)


async def test_a_row_that_grows_keeps_its_messages_once(chat: Beside) -> None:
    row = chat.add("s1", call("search"), ago=10 * MINUTE)
    chat.say("s1", "user", "hello", ago=9 * MINUTE)
    await chat.pull()
    chat.owner.run(f'update {TABLE} set payload = \'{{"events": [{{"type": "tool_use", "tool": "book"}}]}}\'')
    await chat.pull()
    assert said((await chat.traces("s1"))[row]) == [("user_message", "hello")]


async def test_a_run_with_messages_and_an_outcome_of_its_own_keeps_them(chat: Beside) -> None:
    row = chat.add("s1", {"type": "user", "content": "mine"}, call("search"), success=True)
    chat.say("s1", "user", "theirs")
    chat.say("s1", "assistant", "an answer", feedback="down")
    await chat.pull()
    trace = (await chat.traces("s1"))[row]
    assert said(trace) == [("assistant_message", "an answer")]
    assert trace.get("success") is True


async def test_a_late_thumb_on_an_old_message_is_seen_by_its_updated_at(chat: Beside) -> None:
    row = chat.add("s1", call("search"), ago=20 * DAY)
    chat.say("s1", "assistant", "old", ago=20 * DAY - MINUTE)
    await chat.pull()
    chat.clock.advance(MINUTE)
    chat.owner.run("update public.messages set feedback = '👎', updated_at = %s", chat.clock.now())
    await chat.pull()
    assert (await chat.traces("s1"))[row].get("success") is False


async def test_a_second_pull_changes_nothing(chat: Beside) -> None:
    chat.add("s1", call("search"), ago=10 * MINUTE)
    chat.say("s1", "user", "hello", ago=9 * MINUTE, feedback="up")
    await chat.pull()
    chat.folded()
    chat.clock.advance(DAY)
    assert (await chat.pull()).rows == 0
    assert chat.queued() == set()


async def test_what_the_agent_declares_is_read_from_its_settings(chat: Beside) -> None:
    chat.tables = {**chat.tables, "agent_config": {"table": "agent_config"}}
    tools = [{"name": "search"}, {"type": "function", "function": {"name": "book"}}]
    prompt = "You answer questions about books. " * 20
    rows = [
        {"key": "tools", "value": tools},
        {"key": "escalation_tools", "value": ["call_a_person"]},
        {"key": "prompts", "value": {"system": prompt, "version": "3"}},
        {"key": "model", "value": {"name": "haiku"}},
    ]
    chat.owner.insert("agent_config", rows)
    for _ in range(2):
        assert (await chat.pull()).alarms == ()
    declared = await chat.ratchet.agents.get("wild")
    assert declared.tools == tuple(tools)
    assert declared.escalation_tools == ("call_a_person",)
    assert list(declared.prompts) == ["system"]
    held = await chat.ratchet.registry_of("wild").current("system", "prod")
    assert (held.version, held.text) == (1, prompt)


async def test_ratchet_toml_stands_above_the_agents_settings(chat: Beside) -> None:
    chat.tables = {
        **chat.tables,
        "agent_config": {"table": "agent_config"},
        "agents": {"wild": {"escalation_tools": ["mine"]}},
    }
    chat.owner.insert(
        "agent_config", [{"key": "escalation_tools", "value": ["theirs"]}, {"key": "tools", "value": {"x": 1}}]
    )
    await chat.pull()
    assert (await chat.ratchet.agents.get("wild")).escalation_tools != ("theirs",)


async def test_defaults_of_ratchet_toml_do_not_win_over_the_agents_settings(chat: Beside) -> None:
    chat.tables = {
        **chat.tables,
        "agent_config": {"table": "agent_config"},
        "agents": {"wild": {"expires_hours": 24}},
    }
    theirs = [{"key": "escalation_tools", "value": ["theirs"]}, {"key": "environment", "value": '"staging"'}]
    chat.owner.insert("agent_config", theirs)
    await chat.pull()
    declared = await chat.ratchet.prompts.declared("wild")
    assert (declared.escalation_tools, declared.environment) == (("theirs",), "staging")


async def test_what_is_taken_out_of_ratchet_toml_is_the_default_again(chat: Beside) -> None:
    chat.tables = {"agents": {"wild": {"escalation_tools": ["mine"]}}}
    assert (await chat.ratchet.prompts.declared("wild")).escalation_tools == ("mine",)
    chat.tables = {"agents": {"wild": {}}}
    assert (await chat.ratchet.prompts.declared("wild")).escalation_tools == ("transfer_to_human*",)
