"""Someone changes the prompt between the proposal and the yes."""

from __future__ import annotations

from optimizer.approve.people import People
from tests.journey.hotel import CORE, HOUSE_RULES
from tests.journey.world import DANA, World

RUI = "console:rui"


async def test_it_is_shown_again_on_the_new_text_and_needs_a_new_yes(world: World) -> None:
    dana = await world.morning()
    n = await world.number("House_rules")
    await world.edit_prompts({"core": CORE.replace("# Front desk", "# Front desk of the Heron")})
    answer = await dana.say(f"deploy {n}")
    assert "The prompt changed since you saw this, so nothing was done." in answer
    assert "[-- Breakfast is served" in answer
    assert f'Reply "deploy {n}" if you still want it.' in answer
    assert await world.live() == {"house_rules": 1, "core": 2}

    assert "Live: core v3 (was v2)" in await dana.say(f"deploy {n}")
    text = await world.text()
    assert text.startswith("# Front desk of the Heron")
    assert HOUSE_RULES not in text


async def test_it_is_not_deployed_where_it_does_not_fit_any_more(world: World) -> None:
    dana = await world.morning()
    n, other = await world.number("House_rules"), await world.number("Payment")
    await world.edit_prompts({"core": CORE.replace(HOUSE_RULES, "")})
    answer = await dana.say(f"deploy {n} and {other}")
    assert f"Item {n} is not possible any more:" in answer
    assert f'Reply "deploy {other}" if you still want it.' in answer
    assert (await world.item(n)).state.value == "stale"
    assert f"{n} is not possible any more: the prompt changed." in await dana.say(f"deploy {n}")
    assert f"Live: core v3 (was v2), item {other}." in await dana.say(f"deploy {other}")


async def test_nothing_fits_any_more(world: World) -> None:
    dana = await world.morning()
    n = await world.number("House_rules")
    await world.edit_prompts({"core": CORE.replace(HOUSE_RULES, "")})
    answer = await dana.say(f"deploy {n}")
    assert f"Item {n} is not possible any more:" in answer
    assert await world.live() == {"house_rules": 1, "core": 2}


async def test_the_same_text_under_another_number_is_not_stale(world: World) -> None:
    dana = await world.morning()
    await world.edit_prompts({"core": CORE + "\n- One more line.\n"})
    await world.edit_prompts({"core": CORE})
    n = await world.number("House_rules")
    before = await world.live()
    assert f"(was v{before['core']})" in await dana.say(f"deploy {n}")


async def test_what_one_person_saw_on_the_new_text_is_no_yes_of_another(world: World) -> None:
    world.people = People(frozenset({DANA, RUI}), frozenset({DANA, RUI}))
    dana, rui = await world.morning(DANA), world.chat(RUI)
    await rui.open()
    n = await world.number("House_rules")
    await world.edit_prompts({"core": CORE.replace("# Front desk", "# Front desk of the Heron")})
    await dana.say(f"deploy {n}")  # shown again, to Dana alone
    answer = await rui.say(f"deploy {n}")
    assert "The content is not what you were shown, so nothing was done" in answer
    assert await world.published() == 2
    await rui.say("show all")
    assert "Live: core v3" in await rui.say(f"deploy {n}")


async def test_a_prompt_that_changes_after_the_yes_is_not_overwritten(world: World) -> None:
    await world.morning()
    await world.approve(await world.number("House_rules"))
    await world.edit_prompts({"core": CORE + "\n- One more line.\n"})
    await world.ratchet.decisions.work()
    assert (await world.text()).endswith("- One more line.\n")
    (deployment,) = await world.deployments()
    assert deployment.state.value == "failed"
    dana = world.chat()
    await dana.open()
    assert "did not go live" in await dana.say("history")
