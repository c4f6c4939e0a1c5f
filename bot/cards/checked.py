"""What the checks and the rehearsal say of a change, before and after the yes."""

from __future__ import annotations

from collections.abc import Iterator

from bot.cards.card import Block, Line, Note
from bot.cards.words import DETAIL_CHARACTERS_MAX, safe, sentence
from optimizer.records.deployment import Plan
from optimizer.records.session import Item
from optimizer.text.numbers import count


def may_go_live(item: Item, plan: Plan) -> bool:
    """Whether a yes, or a second one, could deploy it; what only changed since it was shown is shown again."""
    return all(left.may_confirm or left.stale for left in plan.left_out if left.item == item.id)


def checked_blocks(item: Item, plan: Plan) -> Iterator[Block]:
    """For the item by itself: why it cannot go live, or needs a second yes; who else gets it; what was rehearsed."""
    for left in plan.left_out:
        if left.item != item.id or left.stale:
            continue
        if left.may_confirm:
            yield Line(f"Warning: {sentence(left.reason, DETAIL_CHARACTERS_MAX)}", "bad")
            yield Note(f'It never goes live with others: "deploy {item.n}" asks you once more.')
        else:
            yield Line(f"It cannot go live: {sentence(left.reason, DETAIL_CHARACTERS_MAX)}", "bad")
    yield from (Note(sentence(one)) for one in plan.also)
    yield from rehearsed_notes(plan)


def rehearsed_notes(plan: Plan) -> Iterator[Block]:
    """With how many recent requests the new texts were rendered; of several prompts, each by its name."""
    told = [(one.prompt, one.rehearsal) for one in plan.deployments if one.rehearsal is not None]
    for prompt, rehearsal in told:
        what = f"{safe(prompt)} rehearsed" if len(told) > 1 else "Rehearsed"
        if rehearsal.requests:
            yield Note(f"{what} with {count(rehearsal.requests, 'recent request')}.")
        elif rehearsal.variables and rehearsal.characters_max:
            yield Note(f"{what} with its placeholders: no recent request in the traces says what filled them.")
