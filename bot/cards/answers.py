"""What came of an order, told item by item, and the questions that the bot asks back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from bot.cards.card import Block, Card, Line, Note
from bot.cards.checked import rehearsed_notes
from bot.cards.policies import noted_lines, own_yes_line, unfit_line
from bot.cards.session import UNTOLD_MAX, session_choices
from bot.cards.words import Reader, are, numbers, safe, sentence, subject
from optimizer.approve.door import Decided
from optimizer.records.findings import ItemType
from optimizer.records.session import Item
from optimizer.records.states import ItemState, SessionState

QUESTION_CHARACTERS_MAX = 600  # a policy's sentence ends with who lifts it: that is not to be cut


def decided_card(result: Decided, reader: Reader, *, snoozed_until: datetime | None = None) -> Card:
    """What was decided, and what is left to decide. A refusal has a card of its own."""
    session, ruling = result.session, result.ruling
    reached = {move.item: move.target for move in ruling.moves}
    blocks: list[Block] = []
    if ruling.session_state is SessionState.skipped:
        blocks.append(Line("Skipped: nothing more is deployed. What stays true comes back in 7 days,"
                           " or sooner when it gets 1.5 times worse."))  # fmt: skip
    else:
        blocks += _moved(result, reached)
        blocks += _noted(result, reader)
    if snoozed_until is not None:
        blocks.append(Line(f"Snoozed until {reader.clock(snoozed_until)}; nothing was decided."))
    pending = (ruling.session_state or session.state) is SessionState.pending
    left = [item for item in session.items if reached.get(item.id, item.state) is ItemState.open]
    blocks += _left(left, "open" if ruling.noted else "deployable", pending=pending)
    header = subject(session.agent, session.environment)
    if result.batch_id is not None:
        return Card(header, tuple(blocks), ("status", "stop"))
    choices = session_choices(session.items, reached) if pending else ("status", "history")
    return Card(header, tuple(blocks), choices)


def question_card(agent: str, environment: str, text: str, choices: tuple[str, ...]) -> Card:
    """The bot asks back; `text` may be several lines."""
    lines = [Line(safe(line, QUESTION_CHARACTERS_MAX)) for line in text.splitlines() if line.strip()]
    return Card(subject(agent, environment), tuple(lines), choices)


def _moved(result: Decided, reached: dict[UUID, ItemState]) -> Iterator[Block]:
    session, plan = result.session, result.plan

    def those(state: ItemState) -> list[int]:
        return sorted(item.n for item in session.items if reached.get(item.id) is state)

    if approved := those(ItemState.approved):
        planned = plan.deployments if plan else ()
        prompts = ", ".join(f"{safe(one.prompt)} (now v{one.base_version})" for one in planned)
        yield Line(f"Approved: {numbers(approved)}. Publishing a new version of {prompts}.", "good")
        yield from (Note(sentence(one)) for one in (plan.untold if plan else ())[:UNTOLD_MAX])
        yield from rehearsed_notes(plan) if plan else ()
    reasons = {left.item: left.reason for left in (plan.left_out if plan else ())}
    for item in session.items:
        if reached.get(item.id) is ItemState.failed:
            why = reasons.get(item.id, "it changes nothing in the text of today")
            yield Line(f"{item.n} is left out: {sentence(why)}", "bad")
    if removed := those(ItemState.removed):
        yield Line(f"Removed: {numbers(removed)}.")
    if restored := those(ItemState.open):
        yield Line(f"Back on the list: {numbers(restored)}.")
    if muted := those(ItemState.muted):
        yield Line(f"Muted: {numbers(muted)}. Not proposed again unless it gets 1.5 times worse.")
    if done := those(ItemState.done):
        yield Line(f"Done: {numbers(done)}. The next runs check whether it helped.")


def _noted(result: Decided, reader: Reader) -> Iterator[Block]:
    """The yes that others have to join, and what stays open although it was given."""
    noted = result.ruling.noted
    yield from noted_lines([item for item in result.session.items if item.id in noted], result.tallies, reader)
    moved = {move.item for move in result.ruling.moves}
    for left in result.plan.left_out if result.plan else ():
        if left.may_confirm:
            yield own_yes_line(left)
        elif left.item not in moved:
            yield unfit_line(left)


def _left(left: list[Item], still: str, *, pending: bool) -> Iterator[Block]:
    """What waits for a decision, and what is for a person to do."""
    deployable = [item.n for item in left if item.type is ItemType.prompt_change]
    by_hand = [item.n for item in left if item.type is not ItemType.prompt_change]
    if deployable and pending:
        yield Line(f"Still {still}: {numbers(deployable)}.")
    if by_hand:
        yield Note(f'{are(by_hand)} for you to do; "done {by_hand[0]}" tells me when.')
