"""The first journey: one proposal from trace to verdict."""

from __future__ import annotations

from optimizer.records.states import DeploymentState
from optimizer.records.verdict import Outcome
from tests.journey.hotel import HOUSE_RULES
from tests.journey.world import AGENT, World


async def test_one_proposal_from_trace_to_verdict(world: World) -> None:
    # A day of traffic comes in, and the run reads it.
    await world.day()
    report = await world.run()
    assert report.status == "pending"
    spoken_of = {item["title"].split(" ")[0] for item in report.items}
    assert spoken_of == {"book_room", "find_guest", "House_rules", "Payment"}

    # Dana opens the chat: the message names agent and environment, and what can be deployed.
    dana = world.chat()
    message = await dana.open()
    n = await world.number("House_rules")
    assert message.startswith("front-desk (prod) self-analysis, 2026-02-27 Last 24h: 120 sessions, avg cost $")
    assert f"[{n}] House_rules text stands twice in core (~" in message
    assert f"For you to do: {await world.number('book_room')}." in message

    # She looks at one item: the difference word by word, and what it rests on. Nothing has happened yet.
    shown = await dana.say(f"show {n}")
    assert "[-- Breakfast is served from seven to ten" in shown
    assert "Measured: - ~" in shown
    assert await world.live() == {"house_rules": 1, "core": 1}

    # She deploys that one alone; the others stay open.
    before = await world.text()
    deployed = await dana.say(f"deploy {n}")
    assert f"Approved: {n}. Publishing a new version of core (now v1)." in deployed
    assert f'Live: core v2 (was v1), item {n}. Take it back with "rollback".' in deployed
    after = await world.text()
    assert before.count(HOUSE_RULES) == 1
    assert HOUSE_RULES not in after
    assert "{{HOUSE_RULES}}" in after
    assert await world.live() == {"house_rules": 1, "core": 2}
    assert [m for m, state in (await world.states()).items() if state != "open"] == [n]
    assert (await world.item(n)).state.value == "deployed"
    assert "core v2: live for 1 min, not seen in traffic yet" in await dana.say("status")

    # Next day: the agent runs under the new version, and the message opens with what that did.
    dana = await world.morning()
    assert "core v2 (deployed), better: cost per session -" in dana.told
    assert "; 120 sessions after, 120 before." in " ".join(dana.told.split())
    (deployment,) = await world.ratchet.deployments.newest(AGENT)
    assert deployment.state is DeploymentState.seen
    assert deployment.verdict is not None
    (cost,) = (one for one in deployment.verdict.comparisons if one.metric == "cost_usd")
    assert cost.change is not None
    assert cost.high is not None
    # The prompt is a good fifth shorter, and costs are its tokens.
    assert -0.3 < cost.change < -0.1
    assert cost.high < 0

    # What was answered is not proposed again; what was left open is there still, with the same number of days.
    titles = [item.title for item in (await world.session()).items]
    assert not any("House_rules" in title for title in titles)
    assert "Payment block stands twice in core (~" in dana.told
    assert "(waiting 1 day)" in dana.told
    assert await world.chain_holds()


async def test_the_whole_list_is_deployed_and_the_day_after_is_quiet(world: World) -> None:
    dana = await world.morning(time_outs=0.0)
    assert "Live: core v2 (was v1), items 1, 2 and 3." in await dana.say("deploy all")

    dana = await world.morning(time_outs=0.0)
    message = " ".join(dana.told.split())
    assert "core v2 (deployed), better: cost per session -" in message
    (deployment,) = await world.ratchet.deployments.newest(AGENT)
    assert deployment.verdict is not None
    (errors,) = (one for one in deployment.verdict.comparisons if one.metric == "errors")
    assert errors.outcome is Outcome.better
    assert f"sessions with errors {errors.before:.0%} -> " in message
    assert "All quiet: nothing new to change." in message
    assert "[1]" not in message
    assert await world.chain_holds()
