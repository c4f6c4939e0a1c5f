"""Who decided what, and what became of it, out of the audit chain's rows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bot.cards.card import Block, Card, Line, Note
from bot.cards.watched import moved
from bot.cards.ways_back import event_words, order_words
from bot.cards.words import Reader, numbers, safe, sentence, subject
from optimizer.records.states import DeploymentState, ItemState, SessionState

ENTRIES_MAX = 12
_WORDS_CHARACTERS_MAX = 60
_PLACES_MAX = 3

_VERBS = {
    ItemState.deployed: "deployed",
    ItemState.approved: "approved",
    ItemState.failed: "approved, left out by the checks:",
    ItemState.removed: "removed",
    ItemState.open: "put back",
    ItemState.muted: "muted",
    ItemState.done: "reported as done",
}


@dataclass(frozen=True, slots=True)
class Past:
    """One entry: `told` is what happened, in words that follow a person's name, or stand alone."""

    at: datetime
    actor: str
    channel: str
    told: str
    session_id: str | None = None


def history_card(agent: str, environment: str, rows: Sequence[Mapping[str, Any]], reader: Reader) -> Card:
    """The newest decisions and deployments, newest first. `rows`: `{seq, at, body}` of the audit chain."""
    entries = past(rows)
    blocks: list[Block] = [Line(_entry(one, reader)) for one in entries[:ENTRIES_MAX]]
    if len(entries) > ENTRIES_MAX:
        blocks.append(Note("Older ones are left out here; the audit keeps all of them."))
    if not blocks:
        blocks.append(Line("Nothing was decided yet."))
    return Card(f"{subject(agent, environment)}: history", tuple(blocks), ("status",))


def past(rows: Sequence[Mapping[str, Any]]) -> tuple[Past, ...]:
    """The rows that changed something, newest first; refusals and runs are for the audit alone."""
    return tuple(one for row in rows if (one := _past(row, json.loads(row["body"]))) is not None)


def decided_by(rows: Sequence[Mapping[str, Any]], session_id: str) -> Past | None:
    """The newest decision about a session: what the second person is told."""
    return next((one for one in past(rows) if one.session_id == session_id and one.actor), None)


def by_whom(one: Past, reader: Reader) -> str:
    """`dana (console)`, `you`, and nothing for what Ratchet did by itself."""
    if not one.actor:
        return ""
    who = reader.person(one.actor)
    return who if who == "you" or not one.channel else f"{who} ({safe(one.channel)})"


def decision(body: Mapping[str, Any]) -> str:
    """What a decision did. One that moved no item and did not skip the session put it off."""
    if body.get("session_state") == SessionState.skipped:
        return "skipped the session"
    moved = item_changes([(int(item["n"]), ItemState(item["to"])) for item in body.get("items", ())])
    return ", ".join(filter(None, (moved, _votes(body.get("votes", ()))))) or "snoozed it"


def _votes(votes: Sequence[Mapping[str, Any]]) -> str:
    """`said yes to 3 (1 of 2)`. How many people: the audit names them, a notice counts them."""
    told = [(one["n"], one["people"] if isinstance(one["people"], int) else len(one["people"])) for one in votes]
    each = ", ".join(f"{n} ({people} of {vote['needed']})" for (n, people), vote in zip(told, votes, strict=True))
    return f"said yes to {each}" if each else ""


def item_changes(moves: Sequence[tuple[int, ItemState]]) -> str:
    """`approved 3, removed 4`, by the last state of each number."""
    last = dict(moves)
    told: list[str] = []
    for state, verb in _VERBS.items():
        found = sorted(n for n, reached in last.items() if reached is state)
        if found:
            told.append(f"{verb} {numbers(found)}")
    return ", ".join(told)


def _entry(one: Past, reader: Reader) -> str:
    who = by_whom(one, reader)
    return f"{reader.ago(one.at)}: {f'{who} ' if who else ''}{one.told}"


def _past(row: Mapping[str, Any], body: Mapping[str, Any]) -> Past | None:
    told = "; ".join(_told(body))
    if not told:
        return None
    at = row["at"] if isinstance(row["at"], datetime) else datetime.fromisoformat(row["at"])
    session_id = body.get("session_id")
    return Past(at, str(body.get("actor") or ""), str(body.get("channel") or ""), told, session_id)


def _told(body: Mapping[str, Any]) -> Iterator[str]:
    match body["kind"]:
        case "decision":
            yield f'{decision(body)} ("{safe(str(body.get("words", "")), _WORDS_CHARACTERS_MAX)}")'
        case "rollback":
            ways = [order_words(one) for one in body.get("deployments", ()) if one.get("kind", "change") != "change"]
            yield f"asked to take back {', '.join(ways) if ways else _places(body.get('deployments', ()))}"
        case "freeze":
            reason = safe(str(body.get("reason") or ""), _WORDS_CHARACTERS_MAX)
            yield f"froze all deployments{f': {reason}' if reason else ''}"
        case "unfreeze":
            yield "lifted the freeze"
        case "halt":
            yield "halted what was not live yet"
        case "expired":
            yield "the items expired without a decision"
        case "deployment":
            yield from _deployment(body)
        case "label_moved":
            yield f"somebody {moved(body)}, where v{body.get('new_version')} was live"
        case "prompt_imported":
            yield f"{safe(str(body.get('prompt', '')))} v{body.get('version')} came with an import"
        case _:
            return


def _deployment(body: Mapping[str, Any]) -> Iterator[str]:
    prompt, new = safe(str(body.get("prompt", ""))), body.get("new_version")
    reason = sentence(str(body.get("reason") or "no reason was recorded"))
    if body.get("step") == "roll_back" and body.get("phase") == "failed":
        yield f"{prompt} could not be taken back from v{new}: {reason}"
        return
    if way := event_words(str(body.get("to")), body):
        yield f"{way.removesuffix('.')}"
        return
    match body.get("to"):
        case DeploymentState.live.value:
            yield f"{prompt} v{new} went live (was v{body.get('base_version')})"
        case DeploymentState.rolled_back.value:
            yield f"{prompt} went back from v{new} to v{body.get('base_version')}"
        case DeploymentState.failed.value:
            yield f"{prompt} did not go live: {reason}"
        case _:
            return


def _places(named: Sequence[Mapping[str, Any]]) -> str:
    shown = [f"{safe(str(one['prompt']))} v{one['version']}" for one in named[:_PLACES_MAX]]
    more = f" and {len(named) - _PLACES_MAX} more" if len(named) > _PLACES_MAX else ""
    return f"{', '.join(shown)}{more}" if shown else "a deployment"
