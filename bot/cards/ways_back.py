"""Ways back, told before they are gone: what leaves, the difference that it makes, or why it is not to be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from bot.cards.card import Block, Card, Heading, Line, Note
from bot.cards.diff import text_diff
from bot.cards.words import REASON_CHARACTERS_MAX, items, safe, sentence, subject
from optimizer.deploy.ways_back import Leg, NoWay, WayBack
from optimizer.records.deployment import Deployment

_DIFF_BLOCKS_MAX = 24
_WHY_CHARACTERS_MAX = 400
YES = 'Reply "yes" to do it.'


def way_back_card(
    agent: str,
    environment: str,
    way: WayBack,
    deployments: Iterable[Deployment],
    numbers: Mapping[UUID, int],
    *,
    note: str = YES,
    choices: tuple[str, ...] = ("yes", "no"),
) -> Card:
    """What a way back does, with its difference. `deployments`: what stands; `numbers`: of items that were shown."""
    blocks: list[Block] = [Line(sentence(way_back_words(way, deployments, numbers), _WHY_CHARACTERS_MAX))]
    for leg in way.legs:
        if len(way.legs) > 1:
            blocks.append(Heading(f"{safe(leg.prompt)}:"))
        blocks += difference(leg.current.text, leg.text)
        if leg.beside:
            blocks.append(Line("What stands beside the text (tools, model) goes back with it.", "bad"))
    if note:
        blocks.append(Note(note))
    return Card(subject(agent, environment), tuple(blocks), choices)


def way_back_words(way: WayBack, deployments: Iterable[Deployment], numbers: Mapping[UUID, int]) -> str:
    """`core goes from v4 back to v1; v2, v3 and v4 are over, and items 1 and 3 leave.`"""
    known = {one.id: one for one in deployments}
    parts = [_goes(leg, known) for leg in way.legs]
    out = items_out(way.undone, numbers)
    leaves = f" {out[:1].upper()}{out[1:]} {'leave' if len(way.undone) > 1 else 'leaves'}." if out else ""
    return f"{'; '.join(parts)}.{leaves}"


def items_out(undone: Sequence[UUID], numbers: Mapping[UUID, int]) -> str:
    """`item 1`, `items 1 and 2 and 3 more of older lists`; empty for none."""
    found = sorted(numbers[id_] for id_ in undone if id_ in numbers)
    older = len(undone) - len(found)
    if not found:
        return f"{older} {'item' if older == 1 else 'items'} of older lists" if older else ""
    return f"{items(found)}{f' and {older} more of older lists' if older else ''}"


def no_way_card(
    agent: str, environment: str, no_way: NoWay, instead: str = "", choices: tuple[str, ...] = ("status", "history")
) -> Card:
    """Why not, with the difference that it would make, and what works instead."""
    blocks: list[Block] = [Line(sentence(no_way.reason, _WHY_CHARACTERS_MAX), "bad")]
    if no_way.now != no_way.then:
        blocks.append(Heading(f"What it would do to {safe(no_way.prompt)}:"))
        blocks += difference(no_way.now, no_way.then)
    if instead:
        blocks.append(Note(instead))
    return Card(subject(agent, environment), tuple(blocks), choices)


def order_words(named: Mapping[str, Any]) -> str:
    """What someone decided: `item 2 of core v3`, `core from v4 to v1`. `named`: as the audit has it."""
    prompt, version = safe(str(named.get("prompt", ""))), f"v{named.get('version')}"
    if named.get("kind") == "to_version":
        return f"{prompt} from {version} to v{named.get('target_version')}"
    return f"{_items(named)} of {prompt} {version}"


def event_words(what: str, body: Mapping[str, Any]) -> str | None:
    """What became of a way back: `what` is live, failed or rolled_back. None for a deployment of another kind."""
    kind = body.get("kind_of_deployment")
    prompt, new, base = safe(str(body.get("prompt", ""))), f"v{body.get('new_version')}", f"v{body.get('base_version')}"
    if kind not in ("without", "to_version"):
        return None
    match what:
        case "live" if kind == "without":
            return f"{prompt} {new} went live without {_items(body)} (was {base})"
        case "live":
            target = f"v{body.get('target_version')}"
            return f"{prompt} went back to {target if target == new else f'the text of {target} as {new}'} (was {base})"
        case "failed":
            reason = str(body.get("reason") or "no reason was recorded").removesuffix(".")
            return f"{prompt} was not taken back, {base} stays: {safe(reason, REASON_CHARACTERS_MAX)}"
        case "rolled_back":
            return f"{prompt} was brought back to {base}, from {new}"
        case _:
            return None


def _items(body: Mapping[str, Any]) -> str:
    found = sorted(int(n) for n in body.get("items", ()))
    return items(found) if found else "some items"


def difference(now: str, then: str) -> Iterator[Block]:
    """From the text that runs to the one that would, by its first lines."""
    found = list(text_diff(now, then))
    yield from found[:_DIFF_BLOCKS_MAX]
    if len(found) > _DIFF_BLOCKS_MAX:
        yield Note(f"{len(found) - _DIFF_BLOCKS_MAX:,} more lines change.")


def _goes(leg: Leg, known: Mapping[UUID, Deployment]) -> str:
    prompt = safe(leg.prompt)
    if leg.kind == "without":
        return f"{prompt} v{leg.current.version} is published anew without what is taken back"
    over = sorted(
        {
            version
            for id_ in leg.passes
            if id_ in known and (version := known[id_].new_version) is not None and version != leg.target_version
        }
    )
    passed = f", and {versions(over)} {'are' if len(over) > 1 else 'is'} over" if over else ""
    return f"{prompt} goes from v{leg.current.version} back to v{leg.target_version}{passed}"


def versions(found: Sequence[int]) -> str:
    """`v2`, `v2 and v3`, `v2, v3 and v4`."""
    words = [f"v{version}" for version in found]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
