"""`ratchet parse`: one prediction per line, by the deterministic grammar alone.

Reads `{"text", "pending"}` JSON lines; writes `{"action", "items", "then", "deploys"}` lines in that order.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import IO, cast, get_args

from bot.conversation.commands import Action, Command, ItemType, PendingItem, Question, Understood
from bot.conversation.grammar import parse
from optimizer.errors import InputError

_LINE_BYTES_MAX = 1_000_000
_PENDING_MAX = 999
# The output has one vocabulary for every reader; what it has no word for counts as its nearest one.
_WRITTEN_AS = {
    Action.STOP: Action.SKIP,
    Action.FREEZE: Action.SKIP,
    Action.UNFREEZE: Action.NONE,
    Action.DONE: Action.FEEDBACK,
    Action.MUTE: Action.FEEDBACK,
    Action.MORE: Action.STATUS,
}


def run(source: IO[bytes], output: IO[str], errors: IO[str]) -> int:
    """Predict every line of `source`; the exit code is 1 at the first line that cannot be used."""
    try:
        for line in predict_lines(source):
            output.write(line + "\n")
    except InputError as error:
        errors.write(f"ratchet: {error}\n")
        return error.exit_code
    return 0


def predict_lines(lines: Iterable[bytes]) -> Iterator[str]:
    """One JSON text per line. Raises InputError, with the line's number, on one that cannot be used."""
    for number, line in enumerate(lines, 1):
        text, pending = _read_line(line, number)
        yield json.dumps(prediction(parse(text, pending)))


def prediction(answer: Understood | Question) -> dict[str, object]:
    if isinstance(answer, Question):
        return {"action": "ambiguous", "items": [], "then": None, "deploys": []}
    groups: list[list[Command]] = []
    for command in answer.commands:
        if groups and groups[-1][0].action is command.action:
            groups[-1].append(command)
        else:
            groups.append([command])
    first = groups[0]
    items: object = sorted({number for command in first for number in command.items})
    if any(command.all_items for command in first):
        items = "all"
    then = _written(groups[1][0].action) if len(groups) > 1 else None
    deploys = list(answer.deploys)
    return {"action": _written(first[0].action), "items": items, "then": then, "deploys": deploys}


def _written(action: Action) -> str:
    return _WRITTEN_AS.get(action, action).value


def _read_line(line: bytes, number: int) -> tuple[str, list[PendingItem]]:
    if len(line) > _LINE_BYTES_MAX:
        raise _bad(number, f"is longer than {_LINE_BYTES_MAX:,} bytes")
    try:
        row: object = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise _bad(number, "is not JSON") from error
    if not isinstance(row, dict):
        raise _bad(number, "is not a JSON object")
    fields = cast(dict[str, object], row)
    text, pending = fields.get("text"), fields.get("pending")
    if not isinstance(text, str):
        raise _bad(number, 'has no string "text"')
    if not isinstance(pending, list):
        raise _bad(number, 'has no list "pending"')
    items = [_read_item(item, number) for item in cast(list[object], pending)]
    if len({item.n for item in items}) < len(items):
        raise _bad(number, 'has the same "n" twice in "pending"')
    return text, items


def _read_item(item: object, number: int) -> PendingItem:
    fields = cast(dict[str, object], item) if isinstance(item, dict) else {}
    n, kind, removed = fields.get("n"), fields.get("type"), fields.get("removed", False)
    if not isinstance(n, int) or isinstance(n, bool) or not 1 <= n <= _PENDING_MAX:
        raise _bad(number, f'has an item whose "n" is {n!r:.40}, not a number from 1 to {_PENDING_MAX}')
    if kind not in get_args(ItemType):
        raise _bad(number, f'has an item whose "type" is {kind!r:.40}, none of {", ".join(get_args(ItemType))}')
    if not isinstance(removed, bool):
        raise _bad(number, f'has an item whose "removed" is {removed!r:.40}, not true or false')
    return PendingItem(n, cast(ItemType, kind), removed)


def _bad(number: int, what: str) -> InputError:
    return InputError(f'Line {number} {what}; give {{"text": "...", "pending": [...]}} on each line.')
