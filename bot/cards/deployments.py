"""Deployments told prompt by prompt: live, under way, failed, halted, taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from bot.cards.card import Block, Card, Line, Note
from bot.cards.verdict import verdict_words
from bot.cards.ways_back import items_out
from bot.cards.words import Reader, items, length, safe, sentence, subject
from optimizer.records.deployment import Deployment
from optimizer.records.session import Session
from optimizer.records.states import LIVE, UNDER_WAY, DeploymentState

_SHOWN_MAX = 8
TAKE_BACK = 'Take it back with "rollback".'


def deployed_card(
    agent: str,
    environment: str,
    deployments: Sequence[Deployment],
    reader: Reader,
    session: Session | None = None,
) -> Card:
    """What became of one batch. `session` gives its items their numbers."""
    shown = numbers_of(session)
    blocks: list[Block] = [deployment_line(one, reader, shown) for one in deployments[:_SHOWN_MAX]]
    live = any(one.stands and one.kind == "change" for one in deployments)
    if live:
        blocks.append(Note(TAKE_BACK))
    choices = ("rollback", "status") if live else ("status", "history")
    if any(one.state in UNDER_WAY for one in deployments):
        choices = ("status", "stop")
    return Card(subject(agent, environment), tuple(blocks), choices)


def deployment_line(one: Deployment, reader: Reader, shown: Mapping[UUID, int] | None = None) -> Line:
    """`Live: master_system_core v2 (was v1), item 3.`"""
    if one.kind != "change" or one.was_passed:
        return _way_back_line(one, shown or {})
    prompt = safe(one.prompt)
    which = _which(one, shown or {})
    if one.state in LIVE and not one.stands:
        return Line(f"Being taken back: {prompt} v{one.new_version}{which}.")
    if one.state in LIVE:
        return Line(f"Live: {prompt} v{one.new_version} (was v{one.base_version}){which}.", "good")
    reason = sentence(one.reason or "no reason was recorded")
    match one.state:
        case DeploymentState.failed:
            stays = "" if one.overtaken else f"; v{one.base_version} stays"
            return Line(f"Not live: {prompt}{which}{stays}. {_capital(reason)}", "bad")
        case DeploymentState.halted:
            return Line(f"Halted before it went live: {prompt}{which}; v{one.base_version} stays.", "bad")
        case DeploymentState.rolled_back:
            back = f"v{one.base_version} again" if one.follow == "label" else f"the text of v{one.base_version} again"
            return Line(f"Taken back: {prompt} runs {back}; v{one.new_version} was live{_for(one)}{which}.")
        case _ if one.rollback is not None:
            return Line(f"Being halted: {prompt}{which}; if it is live already, it is taken back.", "bad")
        case _:
            return Line(f"Under way: {prompt}, a new version after v{one.base_version}{which}.")


def _way_back_line(one: Deployment, shown: Mapping[UUID, int]) -> Line:
    """What took something back, or is over because something else did."""
    prompt, base, new = safe(one.prompt), f"v{one.base_version}", f"v{one.new_version}"
    reason = sentence(one.reason or "no reason was recorded")
    which = items_out(one.undone, shown) or "what was taken back"
    match one.state:
        case DeploymentState.live | DeploymentState.seen if not one.stands:
            return Line(f"Being taken back: {prompt} {new}, so that {base} runs again.")
        case DeploymentState.live | DeploymentState.seen if one.kind == "without":
            return Line(f"Taken back: {prompt} {new} is live without {which} (was {base}).", "good")
        case DeploymentState.live | DeploymentState.seen:
            gone = f", {which} taken out" if one.undone else ""
            return Line(f"Taken back: {prompt} runs {target_words(one)} again (was {base}){gone}.", "good")
        case DeploymentState.failed:
            return Line(f"Not taken back: {prompt} {base} stays. {_capital(reason)}", "bad")
        case DeploymentState.halted:
            return Line(f"Halted before anything was taken back: {prompt} {base} stays.", "bad")
        case DeploymentState.rolled_back if one.was_passed:
            return Line(f"Over: {prompt} {new} was live{_for(one)}; {reason}")
        case DeploymentState.rolled_back:
            return Line(f"Brought back: {prompt} runs {base} again; {new} was live{_for(one)}.")
        case _ if one.kind == "without":
            return Line(f"Under way: {prompt}, a new version after {base} without {which}.")
        case _:
            return Line(f"Under way: {prompt} back to v{one.target_version}, from {base}.")


def target_words(one: Deployment) -> str:
    """`v1`; where the old text was published again, `the text of v1`, and as which version."""
    if one.new_version == one.target_version:
        return f"v{one.target_version}"
    return f"the text of v{one.target_version} (as v{one.new_version})"


def taken_back_words(one: Deployment) -> str:
    """What a rollback came to, in a line of its own; empty while it is not done."""
    prompt = safe(one.prompt)
    if one.state is DeploymentState.rolled_back:
        return f"{prompt} is back on version {one.base_version} (was {one.new_version})."
    if one.kind == "change" or not one.stands:
        return ""
    if one.kind == "without":
        return f"{prompt} runs version {one.new_version} without it (was {one.base_version})."
    if one.new_version == one.target_version:
        return f"{prompt} is back on version {one.target_version} (was {one.base_version})."
    return (
        f"{prompt} is back on the text of version {one.target_version}, as {one.new_version} (was {one.base_version})."
    )


def standing_line(one: Deployment, reader: Reader) -> Line:
    """A live deployment for the status: since when, whether it was seen, and what it did so far."""
    live = f" for {length(reader.now - one.live_at)}" if one.live_at else ""
    seen = "seen in traffic" if one.seen_at else "not seen in traffic yet"
    how = {"change": "", "without": ", without what was taken back", "to_version": ", gone back to"}[one.kind]
    opening = f"{safe(one.prompt)} v{one.new_version}{how}: live{live}, {seen}"
    return Line(f"{opening}{verdict_words(one.verdict)}" if one.verdict else f"{opening}.")


def numbers_of(session: Session | None) -> dict[UUID, int]:
    return {item.id: item.n for item in session.items} if session else {}


def _which(one: Deployment, shown: Mapping[UUID, int]) -> str:
    found = sorted(shown[item] for item in one.items if item in shown)
    return f", {items(found)}" if found else ""


def _for(one: Deployment) -> str:
    if one.live_at is None or one.ended_at is None:
        return ""
    return f" for {length(one.ended_at - one.live_at)}"


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"
