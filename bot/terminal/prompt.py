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
_PROMPT = "> "
_SEPARATOR = " | "
_KEYS = "Tab completes, Ctrl-D leaves"
_STYLE = Style.from_dict({"hint": "ansibrightblack", "prompt": "bold"})


class PromptKeyboard:
    def __init__(self) -> None:
        self._session: PromptSession[str] = PromptSession(history=InMemoryHistory(), style=_STYLE)

    async def read(self, choices: Sequence[str]) -> str | None:
        words = list(dict.fromkeys((*choices, *ALWAYS)))
        try:
            with patch_stdout(raw=True):  # what others do meanwhile is printed above the prompt
                return await self._session.prompt_async(
                    [("class:prompt", _PROMPT)],
                    completer=WordCompleter(words, sentence=True, ignore_case=True),
                    complete_while_typing=False,
                    complete_style=CompleteStyle.READLINE_LIKE,
                    reserve_space_for_menu=0,
                    placeholder=self._hint(choices),
                )
        except EOFError:
            return None

    def _hint(self, choices: Sequence[str]) -> FormattedText:
        """As many of the replies as there is room for behind the prompt; it goes with the first key."""
        room = self._session.app.output.get_size().columns - len(_PROMPT) - 1
        shown = list(choices or ALWAYS[:3])
        while len(shown) > 1 and len(_SEPARATOR.join(shown)) > room:
            shown.pop()
        line = _SEPARATOR.join(shown)
        keys = f"   ({_KEYS})" if len(line) + len(_KEYS) + 5 <= room else ""
        return FormattedText([("class:hint", f"{line[:room]}{keys}")])
