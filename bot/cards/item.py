"""One item: `show 3` with the difference that it makes, and `tell me more about item 2`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from bot.cards.card import Block, Card, Gap, Line, Note
from bot.cards.checked import checked_blocks, may_go_live
from bot.cards.diff import item_diff
from bot.cards.facts import facts_blocks
from bot.cards.policies import standing_blocks
from bot.cards.session import TITLE_CHARACTERS_MAX, item_line
from bot.cards.words import (
    DETAIL_CHARACTERS_MAX,
    Reader,
    are,
    items,
    length,
    numbers,
    safe,
    sentence,
    subject,
)
from optimizer.approve.policy import Gate
from optimizer.prompts.edits import problems
from optimizer.records.deployment import Deployment, Plan
from optimizer.records.facts import Fact
from optimizer.records.findings import ItemType
from optimizer.records.session import Item, Session
from optimizer.records.states import ItemState

_HOW = {
    ItemType.config_change: "it is set in the agent's configuration, not in a prompt",
    ItemType.code_change: "I have no edit of a prompt for it",
}
_GOAL = {"accuracy": "fewer mistakes", "capability": "use what it can do", "cost": "spend less"}


def show_card(
    session: Session,
    item: Item,
    reader: Reader,
    texts: Mapping[str, str],
    deployments: Sequence[Deployment] = (),
    plan: Plan | None = None,
    gate: Gate | None = None,
) -> Card:
    """What the item would change and what it rests on.

    `texts`: the prompts as they are now; `plan`: of it alone; `gate`: what the policies say.
    """
    fits = plan is None or may_go_live(item, plan)
    blocks: list[Block] = [
        item_line(item, session, reader, deployments, gate),
        Line(f"Goal: {_GOAL[item.goal]}. {_standing(item, fits=fits)}"),
        *(standing_blocks(item, gate, reader) if gate is not None and fits else ()),
        *_ties(session, item, texts),
        *(checked_blocks(item, plan) if plan is not None else ()),
    ]
    if item.edits:
        blocks += [Gap(), *item_diff(item, texts)]
    facts = list(facts_blocks(_facts(session, item)))
    blocks += [Gap(), *facts] if facts else []
    return Card(_header(session, item), tuple(blocks), _choices(item, f"tell me more about {item.n}", fits=fits))


def explain_card(session: Session, item: Item, reader: Reader) -> Card:
    """Why it was proposed, what was measured, and how to go about it."""
    blocks: list[Block] = [Line(safe(item.title, TITLE_CHARACTERS_MAX)), Gap()]
    blocks.append(Line(sentence(item.detail, DETAIL_CHARACTERS_MAX)))
    waited = reader.now - item.first_seen_at
    if item.first_seen_at < session.created_at:
        blocks.append(Note(f"First seen {length(waited)} ago."))
    facts = list(facts_blocks(_facts(session, item)))
    blocks += [Gap(), *facts] if facts else []
    blocks += [Gap(), Line(_how(item))]
    return Card(_header(session, item), tuple(blocks), _choices(item, f"show {item.n}"))


def _header(session: Session, item: Item) -> str:
    return f"{subject(session.agent, session.environment)}: item {item.n}"


def _facts(session: Session, item: Item) -> list[Fact]:
    found = (session.fact(id_) for id_ in item.facts)
    return [fact for fact in found if fact is not None]


def _standing(item: Item, *, fits: bool) -> str:
    """Whether and how it can go live."""
    if item.type is not ItemType.prompt_change:
        return f"For you to do: {_HOW[item.type]}."
    prompts = ", ".join(safe(prompt) for prompt in item.prompts)
    if item.state is ItemState.open:
        return f"Deployable: it changes {prompts}." if fits else f"It changes {prompts}."
    return f"It changes {prompts}, and is not open any more."


def _ties(session: Session, item: Item, texts: Mapping[str, str]) -> Iterator[Block]:
    """The other items that it needs, that need it, and that it cannot go live with."""
    by_id = {other.id: other.n for other in session.items}
    needs = sorted(by_id[id_] for id_ in item.requires if id_ in by_id)
    needed = sorted(other.n for other in session.items if item.id in other.requires)
    if needs:
        yield Note(f"It needs {items(needs)} as well.")
    if needed:
        yield Note(f"{numbers(needed)} {'needs' if len(needed) == 1 else 'need'} this one.")
    overlapping = [
        other.n
        for other in session.items
        if other.id != item.id and other.state is ItemState.open and _overlap(item, other, texts)
    ]
    if overlapping:
        yield Note(f"It changes the same words as {items(overlapping)}: deploy one of them, then run again.")


def _overlap(item: Item, other: Item, texts: Mapping[str, str]) -> bool:
    for prompt in set(item.prompts) & set(other.prompts) & set(texts):
        edits = [edit for edit in (*item.edits, *other.edits) if edit.prompt == prompt]
        if any(problem.kind == "overlap" for problem in problems(texts[prompt], edits)):
            return True
    return False


def _how(item: Item) -> str:
    if item.state is not ItemState.open:
        return f"{are([item.n])} not open any more; nothing is to be done."
    if item.type is ItemType.prompt_change:
        return f'To see the change, reply "show {item.n}"; nothing goes live before you say so.'
    return (
        f"How: {_HOW[item.type]}. Change it where the agent lives, then reply "
        f'"done {item.n}": the next runs check whether it helped.'
    )


def _choices(item: Item, other: str, *, fits: bool = True) -> tuple[str, ...]:
    if item.state is ItemState.removed:
        return (f"restore {item.n}", other)
    if item.state is not ItemState.open:
        return ("status", "history")
    if item.type is ItemType.prompt_change and fits:
        return (f"deploy {item.n}", f"remove {item.n}", other)
    if item.type is ItemType.prompt_change:
        return (f"remove {item.n}", other)
    return (f"done {item.n}", f"remove {item.n}", other)
