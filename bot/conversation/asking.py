"""The bot's English when it asks back, and the help. Every reply that is offered here works as it stands."""

from __future__ import annotations

from collections.abc import Sequence

from bot.conversation.commands import PendingItem, Question
from bot.conversation.vocabulary import Role

_CHOICES_MAX = 4
_WORD_CHARACTERS_MAX = 24
_EXAMPLES_MAX = 6

GUARD_TEXTS = {
    Role.NO: "There is a no in it, so nothing is done.",
    Role.DONT: "There is a no in it, so nothing is done.",
    Role.NEGATION: "There is a no in it, so nothing is done.",
    Role.NOTHING: "There is a no in it, so nothing is done.",
    Role.ASKING: "That reads as a question, so nothing is done.",
    Role.CONDITION: "That reads as a condition; I act only on a plain order.",
    Role.HEDGE: "That does not sound decided, so nothing is done.",
    Role.TIME: "I act at once or not at all; nothing is planned for another time.",
    Role.PREPOSITION: "I act at once or not at all; nothing is planned for another time.",
    Role.UNIT: "I act at once or not at all; nothing is planned for another time.",
    Role.DURATION: "I act at once or not at all; nothing is planned for another time.",
    Role.OR: 'An "or" leaves two readings, so nothing is done.',
    Role.RELAY: "Someone else's words are not an order; please give it in your own.",
    Role.FREEZE: 'To stop all deployments, send "freeze" or "freeze: why"; to allow them again, "unfreeze".',
    Role.QUOTE: "Quoted words are not an order; please send it without the quote.",
}
TOO_LONG = "That is too long for me; please send the order alone."
EMPTY = "There is no order in that."
EARLY_END = "The message seems to end too early."
TOO_MANY = "That is more than two orders; please send them one by one."
CONTRADICTION = "These orders contradict each other, so nothing is done."
TWO_READINGS = "That can be read in two ways, so nothing is done."
ONE_AT_A_TIME = "Please send these as two messages."
WHICH = "Which item do you mean?"
WHICH_BY_NUMBER = "I cannot count that off in this list; please use the number."
BARE_YES = "A yes alone deploys nothing."
BARE_NO = 'A no alone changes nothing; "skip" lets this session go.'
BARE_CHEER = "Thank you; that alone deploys nothing."
SNOOZE_HOW_LONG = "Please give a time from a minute to 30 days."
NOTHING_PENDING = "Nothing is pending."
NOTHING_REMOVED = "Nothing was removed."
BARE_THUMB = "A thumb alone deploys nothing; please say which item it is for."
NOTHING_LEFT = "Nothing is left to deploy."


def ask(text: str, pending: Sequence[PendingItem], numbers: Sequence[int] = (), *, denied: bool = False) -> Question:
    """A question whose choices fit this session and the numbers that were named."""
    return Question(text, choices_for(pending, numbers, denied=denied))


def choices_for(
    pending: Sequence[PendingItem], numbers: Sequence[int] = (), *, denied: bool = False
) -> tuple[str, ...]:
    """At most four replies that work now; none of them deploys where the person said no."""
    if not pending:
        return ("run optimization", "status", "help")
    waiting = [item for item in pending if not item.removed]
    named = [item for item in waiting if item.n in numbers]
    deployable = [item.n for item in waiting if item.deployable]
    named_deployable = [item.n for item in named if item.deployable]
    choices: list[str] = []
    if denied and named:
        choices.append(f"remove {join_numbers([item.n for item in named])}")
    if not denied and deployable:
        choices += [f"deploy {join_numbers(named_deployable or deployable[:1])}", "deploy all"]
    shown = [item.n for item in named] or deployable or [item.n for item in pending]
    choices += [f"show {shown[0]}", "skip"]
    return tuple(choices[:_CHOICES_MAX])


def show_word(word: str) -> str:
    """Foreign text, made fit for one short sentence."""
    clean = "".join(char for char in word if char.isprintable() and char != '"')
    return clean if len(clean) <= _WORD_CHARACTERS_MAX else clean[: _WORD_CHARACTERS_MAX - 1] + "\u2026"


def join_numbers(numbers: Sequence[int]) -> str:
    """ "3", "3 and 4", "3, 4 and 5"."""
    words = [str(number) for number in numbers]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def unknown_word(word: str) -> str:
    shown = show_word(word)
    return f'I do not know "{shown}".' if shown else "There is a sign in it that I cannot read."


def misplaced_word(word: str) -> str:
    shown = show_word(word)
    return f'I do not understand "{shown}" there.' if shown else "I do not understand that line break."


def did_you_mean(word: str, reply: str) -> str:
    return f'{unknown_word(word)[:-1]}. Did you mean "{reply}"?'


def no_such_item(numbers: Sequence[int]) -> str:
    shown = numbers[:_EXAMPLES_MAX]
    tail = " and more" if len(numbers) > len(shown) else ""
    return f"There is no item {join_numbers(shown)}{tail} here, so nothing is done."


def was_removed(numbers: Sequence[int]) -> str:
    verb = "was" if len(numbers) == 1 else "were"
    return f"{join_numbers(numbers)} {verb} removed, so nothing is done."


def for_you_to_do(numbers: Sequence[int]) -> str:
    if len(numbers) == 1:
        return f"{numbers[0]} is for you to do; it cannot be deployed."
    return f"{join_numbers(numbers)} are for you to do; they cannot be deployed."


def already(numbers: Sequence[int], state: str) -> str:
    return f"{join_numbers(numbers)} {'was' if len(numbers) == 1 else 'were'} {state}."


def item_or_version(number: int, prompt: str | None) -> Question:
    """A number after "roll back" that may be either."""
    if prompt is None:
        return Question(f"Item {number}, or version {number}?", (f"roll back {number}", f"roll back to v{number}"))
    return Question(
        f"Version {number} of {prompt}, or item {number}?", (f"roll back {prompt} to v{number}", f"roll back {number}")
    )


def what_about(numbers: Sequence[int]) -> str:
    return f"What should happen with {join_numbers(numbers[:_EXAMPLES_MAX])}?"


def help_text(pending: Sequence[PendingItem], ways_back: Sequence[str] = ()) -> str:
    """The replies that work, with this session's numbers; no line is wider than a phone.

    `ways_back`: those out of what is live.
    """
    lines = _help_on_items(pending) if pending else []
    lines += ["status \u00b7 history", "rollback \u00b7 undo \u00b7 stop", *ways_back, "freeze: why \u00b7 unfreeze"]
    lines.append("run optimization \u00b7 help")
    return "You can reply:\n" + "\n".join(lines)


def _help_on_items(pending: Sequence[PendingItem]) -> list[str]:
    waiting = [item.n for item in pending if not item.removed]
    deployable = [item.n for item in pending if item.deployable]
    todo = [item.n for item in pending if not item.removed and item.type != "prompt_change"]
    removed = [item.n for item in pending if item.removed]
    any_number = (deployable or waiting or removed)[0]
    lines: list[str] = []
    if deployable:
        lines.append(f"deploy all \u00b7 deploy {deployable[0]}")
    if len(deployable) > 1:
        lines.append(f"deploy all but {deployable[-1]}")
        lines.append(f"remove {deployable[0]}, deploy")
    lines.append(f"show {any_number} \u00b7 show all \u00b7 more")
    lines.append(f"tell me more about {any_number}")
    if waiting:
        lines.append(f"remove {waiting[0]} \u00b7 never {waiting[0]}")
    if todo:
        lines.append(f"done {todo[0]}")
    if removed:
        lines.append(f"restore {removed[0]}")
    return [*lines, "skip \u00b7 snooze 2h"]
