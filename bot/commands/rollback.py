"""`ratchet rollback`: what went live taken back, through the same door as in chat."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from uuid import UUID

from bot.cards.card import Block, Card, Heading, Line
from bot.cards.deployments import numbers_of, taken_back_words
from bot.cards.layout import as_text
from bot.cards.ways_back import difference, no_way_card, way_back_card
from bot.cards.words import safe, subject
from bot.conversation.goingback import CHANGED
from bot.conversation.takeback import batch_of, standing
from bot.identity import console_actor
from optimizer.approve.door import Said
from optimizer.deploy.ways_back import NoWay
from optimizer.errors import NotFoundError, RatchetError, UsageError
from optimizer.records.deployment import Deployment
from optimizer.records.session import Session
from optimizer.records.states import LIVE, UNDER_WAY, DeploymentState
from optimizer.settings import load_settings
from optimizer.wiring import Ratchet, open_ratchet

_WORD = "yes"


def run(options: argparse.Namespace) -> int:
    return asyncio.run(_rollback(options))


async def _rollback(options: argparse.Namespace) -> int:
    async with open_ratchet(load_settings()) as ratchet:
        await ratchet.agents.get(options.agent)
        await ratchet.decisions.work(options.agent)  # what a crash left behind may be what is to be taken back
        if options.to is not None or options.item:
            batch_id = await _go(ratchet, options)
        else:
            batch_id = await _take_back(ratchet, options)
        if batch_id is None:
            return 0
        await ratchet.decisions.work(options.agent)
        await ratchet.watching.watch(options.agent)
        return _told(await ratchet.deployments.batch(batch_id))


async def _take_back(ratchet: Ratchet, options: argparse.Namespace) -> UUID | None:
    """The last deployment, or the last of one prompt, with all that went live with it."""
    agent = options.agent
    live = await standing(ratchet, agent)
    newest = next((one for one in live if options.prompt in (None, one.prompt)), None)
    if newest is None:
        raise NotFoundError(f"Nothing of {agent!r} is live that could be taken back; see `ratchet chat`, then history.")
    batch = batch_of(live, newest)
    said = _said(options)
    returns = any(one.kind != "change" for one in batch)
    refused = await ratchet.decisions.refuses_return(agent, batch, said.actor)
    if refused is not None:
        raise RatchetError(refused)
    in_the_way = await ratchet.ways_back.in_the_way(agent, batch)
    if in_the_way is not None:
        raise RatchetError(_why_not(options.agent, in_the_way))
    if options.dry_run or returns:
        print(as_text(await _card(ratchet, agent, batch)))
    if options.dry_run or (returns and not _sure(options)):
        return None
    if not await ratchet.decisions.take_back(agent, batch, said):
        raise RatchetError(CHANGED)
    return newest.batch_id


async def _go(ratchet: Ratchet, options: argparse.Namespace) -> UUID | None:
    """To a version, or without some items: what it does is printed before it is done."""
    agent, session = options.agent, await _last_session(ratchet, options.agent)
    if not options.dry_run and not await ratchet.decisions.allows_taking_back(agent, _said(options)):
        raise UsageError(
            f"{console_actor()!r} may not take back deployments of {agent!r}; ask {ratchet.people_of(agent).to_ask}."
        )
    if options.to is not None:
        way = await ratchet.ways_back.to_version(agent, await _prompt(ratchet, options), options.to)
    else:
        way = await ratchet.ways_back.without(agent, _items(options, session))
    if isinstance(way, NoWay):
        raise RatchetError(_why_not(agent, way, session))
    environment = (await ratchet.agents.get(agent)).environment
    live = await standing(ratchet, agent)
    print(as_text(way_back_card(agent, environment, way, live, numbers_of(session), note="", choices=())))
    if options.dry_run or (options.to is not None and way.is_more_than_the_last and not _sure(options)):
        return None
    batch_id = await ratchet.ways_back.go(agent, way, _said(options))
    if batch_id is None:
        raise RatchetError(CHANGED)
    return batch_id


def _sure(options: argparse.Namespace) -> bool:
    """Whether it was said with --yes, or is typed now. Raises `UsageError` for anything else."""
    if options.yes:
        return True
    print(f'Type "{_WORD}" to go on: ', end="", flush=True)
    if sys.stdin.readline().strip() != _WORD:
        raise UsageError(f'Nothing was done: that was not "{_WORD}". Run it again, or with --yes.')
    return True


async def _last_session(ratchet: Ratchet, agent: str) -> Session | None:
    """The session of the newest deployment that stands: its numbers are those that people saw."""
    live = await standing(ratchet, agent)
    session_id = next((one.session_id for one in live if one.items and one.session_id is not None), None)
    return await ratchet.sessions.read(session_id) if session_id is not None else None


def _items(options: argparse.Namespace, session: Session | None) -> frozenset[UUID]:
    found = [session.numbered(n) if session else None for n in options.item]
    missing = [str(n) for n, item in zip(options.item, found, strict=True) if item is None]
    if missing:
        raise NotFoundError(
            f"No item {' or '.join(missing)} is in what was deployed last; see `ratchet chat`, then history."
        )
    return frozenset(item.id for item in found if item is not None)


async def _prompt(ratchet: Ratchet, options: argparse.Namespace) -> str:
    if options.prompt is not None:
        return str(options.prompt)
    names = sorted(ratchet.prompts.refs(await ratchet.prompts.declared(options.agent)))
    if len(names) != 1:
        raise UsageError(f"{options.agent!r} has {len(names)} prompts; name one with --prompt: {', '.join(names)}.")
    return names[0]


def _said(options: argparse.Namespace) -> Said:
    words = " ".join(
        [
            "ratchet rollback",
            *([f"--prompt {options.prompt}"] if options.prompt else []),
            *([f"--to {options.to}"] if options.to is not None else []),
            *(f"--item {n}" for n in options.item),
        ]
    )
    return Said(console_actor(), "console", "command line", words, "rollback")


def _why_not(agent: str, no_way: NoWay, session: Session | None = None) -> str:
    """The reason; with the difference above it where there is one."""
    if no_way.now != no_way.then:
        print(as_text(no_way_card(agent, "", no_way, choices=())))
    together = [str(n) for n in sorted(numbers_of(session).get(id_, 0) for id_ in no_way.instead)]
    instead = f"; take them together: {' '.join(f'--item {n}' for n in together)}" if together else ""
    return f"{safe(no_way.reason, 400).removesuffix('.')}{instead}."


async def _card(ratchet: Ratchet, agent: str, batch: Sequence[Deployment]) -> Card:
    """What taking back these deployments changes."""
    blocks: list[Block] = []
    for one in batch:
        base = await ratchet.registry_of(agent).version(one.prompt, one.base_version)
        blocks.append(Line(f"{safe(one.prompt)} goes from v{one.new_version} back to v{one.base_version}."))
        blocks.append(Heading(f"{safe(one.prompt)}:"))
        blocks += difference(one.text, base.text)
    environment = (await ratchet.agents.get(agent)).environment
    return Card(subject(agent, environment), tuple(blocks))


def _told(batch: Sequence[Deployment]) -> int:
    """Raises `RatchetError` with the reason unless what was asked for is done."""
    for one in batch:
        words = taken_back_words(one)
        if words:
            print(words)
    left = [one for one in batch if not _is_done(one)]
    if not left:
        return 0
    failed = [one.rollback["failed"] for one in left if one.rollback is not None and "failed" in one.rollback]
    failed += [one.reason for one in left if one.state is DeploymentState.failed and one.reason]
    why = failed[0] if failed else "another process carries it out; see `ratchet chat`, then status."
    raise RatchetError(f"{safe(', '.join(one.prompt for one in left))} was not taken back: {safe(why, 500)}")


def _is_done(one: Deployment) -> bool:
    if one.kind != "change" and one.rollback is None:
        return one.state in LIVE
    return one.state not in LIVE | UNDER_WAY
