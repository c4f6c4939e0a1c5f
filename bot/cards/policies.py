"""What the policies say on a card: why nothing can be deployed now, and how the approvals stand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from uuid import UUID

from bot.cards.card import Block, Line, Note
from bot.cards.words import DETAIL_CHARACTERS_MAX, Reader, numbers, safe, sentence
from optimizer.approve.people import either
from optimizer.approve.policy import Block as Blocked
from optimizer.approve.policy import Gate, Tally
from optimizer.records.deployment import LeftOut
from optimizer.records.session import Item

SENTENCE_CHARACTERS_MAX = 500
_PEOPLE_SHOWN_MAX = 6


def blocked_words(block: Blocked) -> str:
    return sentence(block.sentence, SENTENCE_CHARACTERS_MAX)


def gate_blocks(gate: Gate) -> Iterator[Block]:
    """Below a list: what stands against every deployment, and how many people each needs."""
    if gate.block is not None:
        yield Line(blocked_words(gate.block), "bad")
    needed = max((tally.needed for tally in gate.tallies.values()), default=1)
    if needed > 1:
        yield Note(f"Each deployment needs the yes of {needed} people.")


def votes_mark(tally: Tally | None, reader: Reader) -> str:
    """`1 of 2: dana`; nothing as long as nobody said yes."""
    if tally is None or not tally.people or tally.needed == 1:
        return ""
    people = ", ".join(reader.person(one) for one in tally.people[:_PEOPLE_SHOWN_MAX])
    return f"{len(tally.people)} of {tally.needed}: {people}"


def standing_blocks(item: Item, gate: Gate, reader: Reader) -> Iterator[Block]:
    """On the card of one item: who said yes, who else has to, and what stands against it now."""
    tally = gate.tallies.get(item.id)
    if tally is None:
        return
    if tally.needed > 1 and not tally.people:
        yield Note(f"It needs the yes of {tally.needed} people.")
    elif tally.needed > 1:

        def name(person: str) -> str:
            return "you" if person == gate.person else reader.person(person)

        names = [name(one) for one in tally.people[:_PEOPLE_SHOWN_MAX]]
        whose = "Your yes" if names == ["you"] else f"The yes of {' and '.join(names)}"
        yield Note(f"{whose} is {len(tally.people)} of {tally.needed}; {_missing(tally, name)}.")
    if gate.block is not None:
        yield Line(blocked_words(gate.block), "bad")


def noted_lines(items: Sequence[Item], tallies: Mapping[UUID, Tally], reader: Reader) -> Iterator[Line]:
    """`Noted: your yes to 3 is 1 of 2; one more person has to approve: rui or sam.`"""
    alike: dict[Tally, list[int]] = {}
    for item in items:
        alike.setdefault(tallies[item.id], []).append(item.n)
    for tally, found in alike.items():
        each = " for each" if len(found) > 1 else ""
        given = f"Noted: your yes to {numbers(found)} is {len(tally.people)} of {tally.needed}{each}"
        yield Line(f"{given}; {_missing(tally, reader.person)}.", "good")


def _missing(tally: Tally, name: Callable[[str], str]) -> str:
    missing = tally.needed - len(tally.people)
    others = [name(one) for one in tally.others[:_PEOPLE_SHOWN_MAX]]
    if missing < 1:
        return "it waits for an item that it needs; deploy both together"
    if len(others) < missing:
        return "there are not enough approvers for it; ratchet.toml has to name more"
    if missing == 1:
        return f"one more person has to approve: {either(others)}"
    return f"{missing} more people have to approve, of {', '.join(others)}"


def second_yes(left: LeftOut) -> tuple[Line, Line]:
    """The question about one item that a check stops, and a second yes lets through: with all that it lets through."""
    stands = sentence(left.reason, DETAIL_CHARACTERS_MAX)
    return Line(f"Item {left.n}: {stands}", "bad"), Line("Deploy it all the same?")


def own_yes_line(left: LeftOut) -> Line:
    return Line(f'{left.n} needs a yes of its own: {sentence(left.reason)} Reply "deploy {left.n}".', "bad")


def unfit_line(left: LeftOut) -> Line:
    return Line(f"{left.n} cannot go live as it is: {sentence(left.reason)}", "bad")


def frozen_notice(who: str, reason: object) -> Line:
    why = f": {safe(str(reason), SENTENCE_CHARACTERS_MAX)}" if reason else ""
    return Line(f"{who} froze all deployments{why}.", "bad")
