"""Clauses and pending items to orders: which pairs have one reading, what deploys, and what has to be asked.

The policy of the replies is here. Whatever is not plainly one order, or one of the few pairs that have one
reading, comes back as a question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bot.conversation import asking
from bot.conversation.clauses import Clause
from bot.conversation.commands import Action, Command, PendingItem, Question, Understood
from bot.conversation.pick import CHANGES_ITEMS, SHOWS, TAKES_OUT, Ledger, Picked, pick
from bot.conversation.targets import BARE, Scope, Target
from bot.conversation.vocabulary import Role

_LOOKS = SHOWS | {Action.STATUS, Action.HISTORY, Action.HELP, Action.MORE}
_PAIRS_WITH_DEPLOY = CHANGES_ITEMS | SHOWS
_PAIRS = CHANGES_ITEMS | _LOOKS | {Action.FEEDBACK}
# These words are about the pending items, and mean nothing without any.
_NEEDS_PENDING = _PAIRS_WITH_DEPLOY | {
    Action.DEPLOY, Action.SKIP, Action.FEEDBACK, Action.EDIT, Action.MORE,
}  # fmt: skip


def resolve(
    clauses: Sequence[Clause], pending: Sequence[PendingItem], text: str, *, asked: bool, denied: bool
) -> Understood | Question:
    """The orders in `clauses` (at least one) over `pending`; `text` is what they were read from."""
    merged = _merge([_reread(clause) for clause in clauses])
    ledger = Ledger(tuple(pending), tuple(pending), denied)
    named = named_numbers(merged)
    if len(merged) > 2:
        return ledger.ask(asking.TOO_MANY, named)
    unclear = next((clause for clause in merged if clause.unclear is not None), None)
    if unclear is not None:
        return asking.item_or_version(unclear.unclear or 0, unclear.prompt)
    if asked and any(clause.action not in _LOOKS for clause in merged):
        return ledger.ask(asking.GUARD_TEXTS[Role.ASKING], named)
    if not pending and any(clause.action in _NEEDS_PENDING for clause in merged):
        return Understood((Command(Action.STATUS, words=text),), notices=(asking.NOTHING_PENDING,))
    if problem := _clash(merged):
        return ledger.ask(problem, named)
    return _carry_out(merged, ledger, text)


def named_numbers(clauses: Sequence[Clause]) -> tuple[int, ...]:
    return tuple(sorted({number for clause in clauses for number in clause.target.numbers}))


def _carry_out(clauses: Sequence[Clause], ledger: Ledger, text: str) -> Understood | Question:
    """Each clause over the list as the one before left it."""
    commands: list[Command] = []
    deploys: tuple[int, ...] = ()
    notices: list[str] = []
    for clause in clauses:
        picked = pick(clause, ledger, commands[-1] if commands else None)
        if isinstance(picked, Question):
            return picked
        if clause.action is Action.DEPLOY:
            if commands and not picked.numbers:
                return ledger.ask(asking.CONTRADICTION)
            outcome = _deploy(clause, picked, ledger, notices)
            if isinstance(outcome, Question):
                return outcome
            deploys = outcome
        elif clause.action in CHANGES_ITEMS:
            if clause.action in TAKES_OUT and set(picked.numbers) & set(deploys):
                return ledger.ask(asking.CONTRADICTION, picked.numbers)
            ledger = _mark(clause.action, picked.numbers, ledger, notices)
        words = text[clause.start : clause.end]
        back = (clause.prompt, clause.version, clause.only)
        why = text[slice(*clause.reason)] if clause.reason else ""
        commands.append(Command(clause.action, picked.numbers, picked.everything, clause.duration, words, *back, why))
    return Understood(tuple(commands), deploys, tuple(notices))


def _reread(clause: Clause) -> Clause:
    """ "skip 3" removes 3, "don't deploy" skips, "don't deploy 3" removes it."""
    scope = clause.target.scope
    if clause.action is Action.SKIP and scope not in (Scope.BARE, Scope.WHOLE, Scope.ALL, Scope.PRONOUN):
        return replace(clause, action=Action.REMOVE)
    if clause.action is Action.SKIP and scope is Scope.ALL and clause.target.excluded:
        return replace(clause, action=Action.REMOVE)
    nothing = scope is Scope.NOTHING or (clause.denied and scope is Scope.BARE)
    if clause.action is Action.DEPLOY and nothing:
        return replace(clause, action=Action.SKIP, target=BARE, denied=False)
    if clause.denied and scope is Scope.LIST:
        return replace(clause, action=Action.REMOVE, denied=False)
    return clause


def _merge(clauses: Sequence[Clause]) -> list[Clause]:
    """ "remove 3, remove 4" is "remove 3 and 4"; thumbs stay apart, they may point up and down."""
    merged: list[Clause] = []
    for clause in clauses:
        last = merged[-1] if merged else None
        if last and clause.action is not Action.FEEDBACK and _same_order(last, clause):
            numbers = tuple(sorted({*last.target.numbers, *clause.target.numbers}))
            positions = last.target.positions + clause.target.positions
            target = replace(last.target, numbers=numbers, positions=positions)
            merged[-1] = replace(last, target=target, end=clause.end)
        else:
            merged.append(clause)
    return merged


def _same_order(one: Clause, other: Clause) -> bool:
    return one.action is other.action and one.target.scope is other.target.scope is Scope.LIST


def _clash(clauses: Sequence[Clause]) -> str | None:
    """Why these clauses cannot stand as they are, before any number is looked up."""
    if any(clause.denied for clause in clauses):
        return asking.TWO_READINGS
    if len(clauses) < 2:
        return None
    first, second = clauses
    if Scope.PRONOUN in (first.target.scope, second.target.scope):
        return asking.WHICH
    if Action.DEPLOY in (first.action, second.action):
        return _clash_with_deploy(first, second)
    if first.action is second.action:
        return None if first.action is Action.FEEDBACK else asking.TWO_READINGS
    if first.action is Action.STOP:
        return None  # "stop, roll back": both point away from a deploy
    if first.action not in _PAIRS or second.action not in _PAIRS:
        return asking.ONE_AT_A_TIME
    if {first.action, second.action} <= CHANGES_ITEMS and not _disjoint(first.target, second.target):
        return asking.CONTRADICTION
    return None


def _clash_with_deploy(first: Clause, second: Clause) -> str | None:
    if first.action is second.action:
        return asking.CONTRADICTION
    deploy, other = (first, second) if first.action is Action.DEPLOY else (second, first)
    if other.action not in _PAIRS_WITH_DEPLOY:
        return asking.ONE_AT_A_TIME
    scope = deploy.target.scope
    if other.action in SHOWS:
        if deploy is second:  # "show 3 and deploy": all, or what was shown?
            clear = _disjoint(deploy.target, other.target)
        else:
            clear = scope not in (Scope.BARE, Scope.WHOLE) and other.target.scope is Scope.LIST
        return None if clear else asking.TWO_READINGS
    if deploy is first:  # "deploy all, remove 3": the removal came too late to be sure
        rest = scope is Scope.LIST and other.target.scope is Scope.REST
        clear = other.action in TAKES_OUT and (rest or _disjoint(deploy.target, other.target))
        return None if clear else asking.CONTRADICTION
    if other.action is Action.RESTORE and scope in (Scope.WHOLE, Scope.REST):
        return asking.TWO_READINGS
    return None


def _disjoint(one: Target, other: Target) -> bool:
    """Both name numbers, and none of them twice."""
    listed = one.scope is other.scope is Scope.LIST
    return listed and not (one.positions or other.positions or set(one.numbers) & set(other.numbers))


def _deploy(clause: Clause, picked: Picked, ledger: Ledger, notices: list[str]) -> tuple[int, ...] | Question:
    removed = [item.n for item in ledger.items if item.removed and item.n in picked.numbers]
    if removed:
        return _ask_about_removed(removed, picked, ledger)
    deploys = tuple(item.n for item in ledger.items if item.deployable and item.n in picked.numbers)
    kept = tuple(number for number in picked.numbers if number not in deploys)
    if kept and (clause.target.scope in (Scope.LIST, Scope.PRONOUN) or not deploys):
        notices.append(asking.for_you_to_do(kept))
    elif not deploys:
        notices.append(asking.NOTHING_LEFT)
    return tuple(sorted(deploys))


def _ask_about_removed(removed: Sequence[int], picked: Picked, ledger: Ledger) -> Question:
    if any(item.n in removed and not item.removed for item in ledger.shown):
        return ledger.ask(asking.CONTRADICTION, picked.numbers)  # "remove 3, deploy 3"
    question = ledger.ask(asking.was_removed(removed), picked.numbers)
    if ledger.denied:
        return question
    again = f"restore {asking.join_numbers(removed)}, deploy {asking.join_numbers(picked.numbers)}"
    return replace(question, choices=(again, *question.choices[:3]))


def _mark(action: Action, numbers: tuple[int, ...], ledger: Ledger, notices: list[str]) -> Ledger:
    """The list after a command, for the command that follows in the same reply."""
    removes = action in TAKES_OUT
    same = [item.n for item in ledger.items if item.n in numbers and item.removed is removes]
    if same and action in (Action.REMOVE, Action.RESTORE):
        notices.append(asking.already(same, "removed already" if removes else "not removed"))
    items = (replace(item, removed=removes) if item.n in numbers else item for item in ledger.items)
    return replace(ledger, items=tuple(items))
