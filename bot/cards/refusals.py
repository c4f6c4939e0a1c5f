"""Every refusal as one kind sentence, with the replies that work next."""

from __future__ import annotations

from bot.cards.card import Card, Line
from bot.cards.history import Past, by_whom
from bot.cards.policies import blocked_words, own_yes_line, unfit_line
from bot.cards.session import session_choices
from bot.cards.words import Reader, items, subject
from optimizer.approve.door import Decided
from optimizer.approve.machine import Refusal

# `{first}`: who decided before; `{when}`: when the items expired; `{which}`: the items whose prompt changed.
_SENTENCES = {
    Refusal.not_allowed: "You are not an approver of this agent, so nothing was done; the settings say who is.",
    Refusal.expired: "These items expired {when}, so nothing was done; a new run brings what is still true.",
    Refusal.superseded: "A newer list replaced this one, so nothing was done; please answer that one.",
    Refusal.decided: "{first}, so nothing more was done.",
    Refusal.skipped: "{first}, so nothing was done; a new run brings what is still true.",
    Refusal.changed: "The content is not what you were shown, so nothing was done; please look at it again.",
    Refusal.stale: "The prompt changed since you saw {which}, so nothing was done; a run reads the new text.",
    Refusal.nothing: "None of that is open any more, so nothing was done.",
    Refusal.confirm: "That needs a second yes, for each item by itself, so nothing was done.",
    Refusal.unfit: "None of that can go live as it is, so nothing was done.",
    # Policies have a sentence of their own, which says who or what lifts them.
    Refusal.requester: "You asked for this run, so nothing was done; another approver has to say yes.",
    Refusal.frozen: "Deployments of this agent are frozen, so nothing was done; an approver can lift that.",
    Refusal.quiet: "These are quiet hours, so nothing was done; send it again when they are over.",
    Refusal.capped: "There were enough deployments for a day, so nothing was done; send it again later.",
    Refusal.busy: "This prompt is being deployed just now, so nothing was done; send it again in a minute.",
    Refusal.unclear: "These orders contradict each other, so nothing was done; please send one of them.",
    Refusal.conflict: "Someone else decided just then, so nothing was done; look, then send it again.",
}
_BY_ITEM = frozenset({Refusal.confirm, Refusal.unfit})
_ALONE_MAX = 3
# What is not here depends on the items.
_CHOICES = {
    Refusal.not_allowed: ("status", "help"),
    Refusal.expired: ("run optimization", "status"),
    Refusal.superseded: ("show all", "status"),
    Refusal.decided: ("status", "history"),
    Refusal.skipped: ("run optimization", "status"),
    Refusal.changed: ("show all", "status"),
    Refusal.stale: ("run optimization", "status"),
    Refusal.requester: ("status", "history"),
    Refusal.frozen: ("unfreeze", "status"),
    Refusal.quiet: ("status", "history"),
    Refusal.capped: ("status", "history"),
    Refusal.busy: ("status", "stop"),
    Refusal.conflict: ("status", "show all"),
}


def refused_card(result: Decided, reader: Reader, by: Past | None = None) -> Card:
    """Why nothing was done. `by`: the decision that came first, which the second person is told."""
    refusal, session = result.refusal, result.session
    assert refusal is not None  # the caller asks about refusals only
    stale = [left.n for left in (result.plan.left_out if result.plan else ()) if left.stale]
    text = _SENTENCES[refusal].format(
        first=_first(by, reader) if by else "This was answered already",
        when=reader.ago(session.expires_at),
        which=items(stale) if stale else "it",
    )
    if result.block is not None:
        text = f"Nothing was done. {blocked_words(result.block)}"
    left = result.plan.left_out if result.plan and refusal in _BY_ITEM else ()
    lines = [own_yes_line(one) if one.may_confirm else unfit_line(one) for one in left]
    alone = tuple(f"deploy {one.n}" for one in left if one.may_confirm)[:_ALONE_MAX]
    choices = (*alone, "status") if alone else _CHOICES.get(refusal) or session_choices(session.items)
    return Card(subject(session.agent, session.environment), (Line(text, "bad"), *lines), choices)


def _first(by: Past, reader: Reader) -> str:
    """`Dana (slack) approved 3 ("deploy 3") 2 min ago`."""
    who = by_whom(by, reader) or "Ratchet"
    return f"{who[:1].upper()}{who[1:]} {by.told} {reader.ago(by.at)}"
