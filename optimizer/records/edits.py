"""One anchored change of one prompt."""

from __future__ import annotations

from optimizer.records.base import Record


class Edit(Record):
    """Replaces `find`, which stands exactly once in the base text, by `replace`.

    An insertion repeats its anchor in `replace`; a removal leaves out what goes.
    """

    prompt: str  # the prompt's name in the registry
    find: str
    replace: str
