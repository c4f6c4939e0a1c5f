"""Ways back, told before they are gone: what leaves, the difference that it makes, or why it is not to be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from uuid import UUID

from bot.cards.card import Block, Card, Heading, Line, Note
from bot.cards.diff import diff_lines
from bot.cards.words import items, safe, sentence, subject
from optimizer.deploy.ways_back import Leg, NoWay, WayBack
from optimizer.prompts.diff import word_diff
from optimizer.records.deployment import Deployment

_DIFF_BLOCKS_MAX = 24
_CONTEXT_WORDS = 4
_REASON_CHARACTERS_MAX = 400
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
    blocks: list[Block] = [Line(sentence(way_back_words(way, deployments, numbers), _REASON_CHARACTERS_MAX))]
    for leg in way.legs:
        if len(way.legs) > 1:
            blocks.append(Heading(f"{safe(leg.prompt)}:"))
        blocks += difference(leg.current.text, leg.text)
    if note:
        blocks.append(Note(note))
    return Card(subject(agent, environment), tuple(blocks), choices)


def way_back_words(way: WayBack, deployments: Iterable[Deployment], numbers: Mapping[UUID, int]) -> str:
    """`core goes from v4 back to v1; v2, v3 and v4 are over, and items 1 and 3 leave.`"""
    known = {one.id: one for one in deployments}
    parts = [_goes(leg, known) for leg in way.legs]
    found = sorted(numbers[id_] for id_ in way.undone if id_ in numbers)
    older = len(way.undone) - len(found)
    named = [*([items(found)] if found else []), *([f"{older} of an older list"] if older else [])]
    leaves = f" {' and '.join(named)} {'leave' if len(way.undone) > 1 else 'leaves'}." if named else ""
    return f"{'; '.join(parts)}.{leaves}"


def no_way_card(
    agent: str, environment: str, no_way: NoWay, instead: str = "", choices: tuple[str, ...] = ("status", "history")
) -> Card:
    """Why not, with the difference that it would make, and what works instead."""
    blocks: list[Block] = [Line(sentence(no_way.reason, _REASON_CHARACTERS_MAX), "bad")]
    if no_way.now != no_way.then:
        blocks.append(Heading(f"What it would do to {safe(no_way.prompt)}:"))
        blocks += difference(no_way.now, no_way.then)
    if instead:
        blocks.append(Note(instead))
    return Card(subject(agent, environment), tuple(blocks), choices)


def difference(now: str, then: str) -> Iterator[Block]:
    """From the text that runs to the one that would, by its first lines."""
    found = list(diff_lines(word_diff(now, then, context_words=_CONTEXT_WORDS)))
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
