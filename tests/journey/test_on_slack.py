"""The session in Slack: presented, looked at, decided by click and by words, live, told on every copy, taken back."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from optimizer.db.port import Database
from tests.journey.slack_team import CHANNEL, DANA, EVE, SAM, Team, open_team
from tests.simulators.slack_events import envelope_of, event_of


@pytest.fixture
async def team(database: Database) -> AsyncIterator[Team]:
    async with open_team(database) as opened:
        yield opened


def removable(team: Team) -> str:
    return next(value for value in team.values(team.direct) if value.startswith("remove"))


async def test_from_the_morning_to_the_way_back(team: Team) -> None:
    listed = await team.morning()
    assert "Deploy all (" in listed.as_seen()
    assert "Deploy all (" in team.list_in(CHANNEL).as_seen()
    assert "[3]" in await team.hears("show 3", thread=listed.ts)
    remove = removable(team)
    assert "Removed" in await team.clicks(listed, remove)
    assert remove.replace("remove", "restore") in team.values(CHANNEL)
    assert "Live:" in await team.hears("deploy")
    for channel in (team.direct, CHANNEL):
        shown = team.list_in(channel).as_seen()
        assert "live as v2" in shown
        assert not [value for value in team.values(channel) if value.startswith(("deploy", "remove", "restore"))]
    assert any(one.stands for one in await team.world.deployments())
    await team.world.day(seed=2)
    await team.world.run()
    await team.work()
    assert "v2 (deployed)" in team.slack.workspace.read(team.direct)
    assert "Taken back" in await team.hears("rollback")
    assert not any(one.stands for one in await team.world.deployments())


async def test_who_comes_second_is_told_who_decided(team: Team) -> None:
    await team.morning()
    listed = team.list_in(CHANNEL)
    late = [one for one in listed.buttons if one["value"] == "deploy all"]
    await team.hears("deploy all")
    listed.blocks.append({"type": "actions", "elements": late})  # pressed before the change came to that screen
    for user, who in ((DANA, "You"), (SAM, "Dana (slack)")):
        assert f"{who} approved 1, 3 and 4" in await team.clicks(listed, "deploy all", user)
    assert len({one.batch_id for one in await team.world.deployments()}) == 1


async def test_talk_between_people_gets_silence(team: Team) -> None:
    await team.morning()
    listed = team.list_in(CHANNEL)
    for text in ("did you see the game yesterday?", "looks good to me", "yes", "later", "should we deploy all?"):
        assert not await team.hears(text, channel=CHANNEL, thread=listed.ts)
    assert not await team.hears("deploy all", channel=CHANNEL)
    assert not await team.hears("show 3", channel=CHANNEL, thread=listed.ts, user=EVE)
    assert not await team.world.deployments()


async def test_an_order_below_the_list_needs_no_name(team: Team) -> None:
    await team.morning()
    listed = team.list_in(CHANNEL)
    assert "[3]" in await team.hears("show 3", channel=CHANNEL, thread=listed.ts)
    assert "Live:" in await team.hears("deploy all", channel=CHANNEL, thread=listed.ts)


async def test_whom_nobody_listed_is_answered_in_private(team: Team) -> None:
    await team.morning()
    listed = team.list_in(CHANNEL)
    assert not await team.clicks(listed, "deploy all", EVE)
    assert team.slack.workspace.channels[team.slack.workspace.direct(EVE)]
    assert not await team.world.deployments()


async def test_the_same_event_again_is_the_same(team: Team) -> None:
    await team.morning()
    await team.hears("<@UBOT> status", channel=CHANNEL)
    said = [one.as_seen() for one in team.slack.workspace.channels[CHANNEL] if ": status" in one.as_seen()]
    assert len(said) == 1
    message = next(one for one in team.slack.workspace.channels[CHANNEL] if one.user == DANA)
    await team.sender.post_event(event_of(message), retry=2)
    await team.work()
    assert len([one for one in team.slack.workspace.channels[CHANNEL] if ": status" in one.as_seen()]) == 1


async def test_a_command_from_anywhere_is_answered_in_direct_messages(team: Team) -> None:
    await team.morning()
    await team.sender.commands(DANA, "status", "C0NOTOURS")
    await team.work()
    assert ": status" in team.slack.workspace.read(team.direct)


async def test_the_home_tab_shows_what_waits_and_what_became_of_the_rest(team: Team) -> None:
    listed = await team.morning()
    await team.clicks(listed, removable(team))
    await team.hears("deploy")
    for user in (DANA, EVE):
        await team.sender.opens_home(user)
    await team.work()
    home = await team.home_of(DANA)
    assert "Cost per session: $" in home
    assert "removed" in home
    assert "core v2: live" in home
    assert "I do not know you here" in await team.home_of(EVE)


async def test_a_thumb_says_nothing_unless_it_is_wanted(team: Team) -> None:
    listed = await team.morning()
    before = len(team.slack.workspace.channels[team.direct])
    await team.sender.reacts(DANA, listed, "+1")
    await team.work()
    assert len(team.slack.workspace.channels[team.direct]) == before


async def test_a_thumb_that_is_wanted_is_asked_about_and_deploys_nothing(database: Database) -> None:
    async with open_team(database, reactions=True) as team:
        listed = await team.morning()
        await team.sender.reacts(DANA, listed, "+1::skin-tone-3")
        await team.work()
        assert "A thumb alone deploys nothing" in team.slack.workspace.read(team.direct)
        assert not await team.world.deployments()


async def test_on_a_laptop_without_a_public_address(database: Database) -> None:
    async with open_team(database, by_socket=True) as team:
        listed = await team.morning()
        assert team.link is not None
        said = team.slack.workspace.said(team.direct, DANA, "deploy all", listed.ts)
        for _ in range(2):
            await team.link.deliver("events_api", envelope_of(event_of(said)))
        await team.work()
        assert "Live:" in team.slack.workspace.read(team.direct)
        assert len({one.batch_id for one in await team.world.deployments()}) == 1
