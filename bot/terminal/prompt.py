"""The prompt line: names the replies that work, completes them, remembers what was typed (prompt_toolkit)."""

from __future__ import annotations

from collections.abc import Sequence

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.patch_stdout import patch_stdout
from prompt_toolkit.shortcuts import CompleteStyle
from prompt_toolkit.styles import Style

ALWAYS = ("help", "status", "history", "show all", "more", "rollback", "undo", "run optimization", "skip")
_SEPARATOR = " | "
_KEYS = "Tab completes, Ctrl-D leaves"
_STYLE = Style.from_dict({"bottom-toolbar": "noreverse", "hint": "ansibrightblack", "prompt": "bold"})


class PromptKeyboard:
    def __init__(self) -> None:
        self._session: PromptSession[str] = PromptSession(history=InMemoryHistory(), style=_STYLE)

    async def read(self, choices: Sequence[str]) -> str | None:
        words = list(dict.fromkeys((*choices, *ALWAYS)))
        try:
            with patch_stdout(raw=True):  # what others do meanwhile is printed above the prompt
                return await self._session.prompt_async(
                    [("class:prompt", "> ")],
                    completer=WordCompleter(words, sentence=True, ignore_case=True),
                    complete_while_typing=False,
                    complete_style=CompleteStyle.READLINE_LIKE,
                    reserve_space_for_menu=0,
                    bottom_toolbar=lambda: self._toolbar(choices),
                )
        except EOFError:
            return None

    def _toolbar(self, choices: Sequence[str]) -> FormattedText:
        """As many of the replies as there is room for in one row."""
        columns = self._session.app.output.get_size().columns
        shown = list(choices or ALWAYS[:3])
        while len(shown) > 1 and len(_line(shown)) > columns - 1:
            shown.pop()
        line = _line(shown)
        keys = f"   {_KEYS}" if len(line) + len(_KEYS) + 3 < columns else ""
        return FormattedText([("class:hint", f"{line}{keys}")])


def _line(choices: Sequence[str]) -> str:
    return f"Reply: {_SEPARATOR.join(choices)}"
