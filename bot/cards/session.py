"""The session's message: what was measured, the numbered items, and the replies that work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from bot.cards.card import Block, Card, Gap, Heading, ItemLine, Line, Note
from bot.cards.policies import gate_blocks, votes_mark
from bot.cards.verdict import verdict_line
from bot.cards.words import REASON_CHARACTERS_MAX, Reader, length, numbers, safe, sentence, subject
from optimizer.approve.policy import Gate
from optimizer.records.deployment import Deployment
from optimizer.records.findings import Goal, ItemType, Watching
from optimizer.records.report import RunReport
from optimizer.records.session import Header, Item, Session
from optimizer.records.states import LIVE, UNDER_WAY, DeploymentState, ItemState, SessionState
from optimizer.text.numbers import count, usd

TITLE_CHARACTERS_MAX = 120
WATCHING_MAX = 4
ALARMS_MAX = 5
UNTOLD_MAX = 3

_GOALS = {
    Goal.accuracy: ("Accuracy", "issue"),
    Goal.capability: ("Capabilities", "issue"),
    Goal.cost: ("Cost", "saving"),
}
_MARKS = {
    ItemState.removed: "removed",
    ItemState.approved: "going live",
    ItemState.deployed: "live",
    ItemState.failed: "not live",
    ItemState.stale: "the prompt changed",
    ItemState.muted: "muted",
    ItemState.done: "done",
    ItemState.wont_fix: "will not be done",
    ItemState.intended: "intended",
}
_NO_ANSWERS = ("status", "history", "run optimization")


def session_card(
    session: Session, reader: Reader, deployments: Sequence[Deployment] = (), gate: Gate | None = None
) -> Card:
    """The whole message; `deployments` tell as which version an item went live, `gate` what the policies say."""
    blocks: list[Block] = list(_opening(session.header, session.watching))
    for goal, (name, noun) in _GOALS.items():
        items = [item for item in session.items if item.goal is goal]
        if items:
            blocks.append(Heading(f"{name} ({count(len(items), noun)}):"))
            blocks += [item_line(item, session, reader, deployments, gate) for item in items]
    over = _over(session)
    summary = over[0] if over else _summary(session.items)
    blocks += [Gap(), Line(summary)] if summary else []
    if to_deploy(session.items) and not over:
        blocks += [*(gate_blocks(gate) if gate else ()), *untold_notes(session.header.untold)]
    return Card(
        header=_header(session.agent, session.environment, session.until, reader),
        blocks=tuple(blocks),
        choices=over[1] if over else session_choices(session.items),
    )


def quiet_card(report: RunReport, environment: str, reader: Reader) -> Card:
    """A run without items. It is "all quiet" only where there was traffic and nothing alarms."""
    opening = tuple(_opening(report.header, report.watching))
    if report.header.alarms or report.header.sessions == 0:
        ending = Line("No new items, and that may be for lack of traces.", "bad")
    else:
        ending = Line("All quiet: nothing new to change.", "good")
    header = _header(report.agent, environment, report.window.until, reader)
    return Card(header, (*opening, ending), _NO_ANSWERS[:2])


def nothing_pending_card(agent: str, environment: str) -> Card:
    return Card(subject(agent, environment), (Line("Nothing waits for a decision."),), _NO_ANSWERS[::-1])


def item_line(
    item: Item,
    session: Session,
    reader: Reader,
    deployments: Sequence[Deployment] = (),
    gate: Gate | None = None,
) -> ItemLine:
    """`[3] Ghost block stands twice (live as v2)`."""
    closed = item.state is not ItemState.open
    votes = votes_mark(gate.tallies.get(item.id), reader) if gate else ""
    open_mark = ", ".join(filter(None, (_waiting(item, session, reader), votes)))
    mark = _mark(item, deployments) if closed else open_mark
    prompts = tuple(safe(prompt) for prompt in item.prompts) if item.deployable else ()
    return ItemLine(item.n, safe(item.title, TITLE_CHARACTERS_MAX), mark, closed, prompts)


def session_choices(items: Sequence[Item], states: Mapping[UUID, ItemState] | None = None) -> tuple[str, ...]:
    """At most four replies that work for these items; `states` where an item is not in its own any more."""
    states = states or {}
    waiting = [item for item in items if states.get(item.id, item.state) is ItemState.open]
    deployable = [item for item in waiting if item.type is ItemType.prompt_change]
    if not waiting:
        return _NO_ANSWERS[:2]
    if not deployable:
        return (f"show {waiting[0].n}", f"done {waiting[0].n}", "skip")
    # Taking out what another item requires would leave nothing to deploy.
    required = {id_ for item in deployable for id_ in item.requires}
    first = next((item for item in deployable if item.id not in required), deployable[0])
    if len(deployable) == 1:
        return (f"deploy {first.n}", f"show {first.n}", "skip")
    return ("deploy all", f"remove {first.n}, deploy", f"show {first.n}", "skip")


def untold_notes(untold: Sequence[str]) -> list[Block]:
    """Whose effect could not be told apart, before anything is deployed."""
    return [Note(f"Before you deploy: {sentence(one)}") for one in untold[:UNTOLD_MAX]]


def to_do(items: Sequence[Item]) -> list[int]:
    """The open items that a person does."""
    return [item.n for item in items if item.state is ItemState.open and item.type is not ItemType.prompt_change]


def to_deploy(items: Sequence[Item]) -> list[int]:
    return [item.n for item in items if item.deployable]


def _header(agent: str, environment: str, until: datetime, reader: Reader) -> str:
    return f"{subject(agent, environment)} self-analysis, {reader.date(until)}"


def _opening(header: Header, watching: Sequence[Watching]) -> Iterator[Block]:
    cost = f", avg cost {usd(header.cost_usd_mean)}" if header.cost_usd_mean is not None else ""
    when = safe(header.span) if header.exact else f"Last {safe(header.span)}"
    yield Line(f"{when}: {count(header.sessions, 'session')}{cost}")
    for alarm in header.alarms[:ALARMS_MAX]:
        yield Line(f"Alarm: {sentence(alarm)}", "bad")
    for verdict in header.verdicts:
        yield verdict_line(verdict)
    if watching:
        told = "; ".join(safe(one.text, REASON_CHARACTERS_MAX) for one in watching[:WATCHING_MAX])
        more = "; and more" if len(watching) > WATCHING_MAX else ""  # how many is not known: the lines are capped
        yield Note(f"Watching: {told}{more}")
    yield Gap()


def _over(session: Session) -> tuple[str, tuple[str, ...]] | None:
    """Why nothing of this list can be answered any more, and the replies that work instead."""
    if session.state is SessionState.superseded:
        return "A newer list took the place of this one.", ("show all", "status")
    if session.state is SessionState.expired:
        return "This list expired without a decision.", ("run optimization", "status")
    return None


def _summary(items: Sequence[Item]) -> str:
    """`Deployable (prompt changes): 3, 4. For you to do: 1, 2, 5.`"""
    parts = (("Deployable (prompt changes)", to_deploy(items)), ("For you to do", to_do(items)))
    return " ".join(f"{name}: {numbers(found, ', ')}." for name, found in parts if found)


def _waiting(item: Item, session: Session, reader: Reader) -> str:
    """How long an item of an earlier session has waited; nothing for a new one."""
    waited = reader.now - item.first_seen_at
    carried = item.first_seen_at < session.created_at
    return f"waiting {length(waited)}" if carried and waited >= timedelta(days=1) else ""


def _mark(item: Item, deployments: Sequence[Deployment]) -> str:
    own = [one for one in deployments if item.id in one.items]
    out = any(item.id in one.undone and one.stands for one in deployments)
    if out or any(one.state is DeploymentState.rolled_back for one in own):
        return "taken back"
    if own and all(one.state in LIVE for one in own):
        versions = list(dict.fromkeys(f"v{one.new_version}" for one in own))
        return f"live as {' and '.join(versions)}"
    if any(one.state in UNDER_WAY for one in own):
        return "going live"
    return _MARKS[item.state]
