"""How things stand: what waits, what is under way, what is live and what it did so far."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bot.cards.card import Block, Card, Line, Note
from bot.cards.deployments import deployment_line, numbers_of, standing_line
from bot.cards.policies import gate_blocks
from bot.cards.session import session_choices, to_deploy, to_do
from bot.cards.undelivered import undelivered_lines
from bot.cards.watched import standing_watched
from bot.cards.words import Reader, length, numbers, subject
from optimizer.approve.policy import Gate
from optimizer.measure.compare import newest_of_each_prompt
from optimizer.records.deployment import Deployment
from optimizer.records.messages import Delivery
from optimizer.records.session import Session
from optimizer.records.states import LIVE, UNDER_WAY, SessionState
from optimizer.records.watched import Sighting

_LIVE_SHOWN_MAX = 5
_WATCHED_SHOWN_MAX = 6


def status_card(
    agent: str,
    environment: str,
    session: Session | None,
    deployments: Sequence[Deployment],
    reader: Reader,
    sightings: Sequence[Sighting] = (),
    gate: Gate | None = None,
    troubled: Sequence[Delivery] = (),
) -> Card:
    """`session`: the newest one, whatever its state; `deployments`: the newest first; `sightings`: of them.

    `gate`: what the policies say. `troubled`: messages that were not delivered, newest first.
    """
    pending = session is not None and session.state is SessionState.pending and reader.now < session.expires_at
    blocks: list[Block] = list(_session_blocks(session, reader)) if session and pending else []
    if not blocks:
        blocks.append(Line("Nothing waits for a decision."))
    blocks += gate_blocks(gate) if gate else ()
    shown = numbers_of(session)
    under_way = [one for one in deployments if one.state in UNDER_WAY or (one.state in LIVE and not one.stands)]
    live = newest_of_each_prompt(deployments)
    blocks += [deployment_line(one, reader, shown) for one in under_way[:_LIVE_SHOWN_MAX]]
    blocks += [standing_line(one, reader) for one in live[:_LIVE_SHOWN_MAX]]
    blocks += list(standing_watched(deployments, sightings, reader))[:_WATCHED_SHOWN_MAX]
    if not live and not under_way:
        blocks.append(Note("Nothing that I deployed is live."))
    blocks += undelivered_lines(troubled, reader)
    choices = session_choices(session.items) if session and pending else ("run optimization", "history")
    return Card(
        f"{subject(agent, environment)}: status",
        tuple(blocks),
        (*choices[:3], "rollback") if live else choices,
    )


def _session_blocks(session: Session, reader: Reader) -> Iterator[Block]:
    deployable, by_hand = to_deploy(session.items), to_do(session.items)
    since = f"since {reader.date(session.created_at)}"
    left = length(session.expires_at - reader.now)
    if deployable:
        yield Line(f"Waiting for a decision {since}: {numbers(deployable)}; {left} left.")
    if by_hand:
        yield Line(f"For you to do: {numbers(by_hand)}.")
    if session.snoozed_until is not None and session.snoozed_until > reader.now:
        yield Note(f"Snoozed until {reader.clock(session.snoozed_until)}.")
