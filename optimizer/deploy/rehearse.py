"""The new text of a prompt, rendered beside the base with the inputs of recent real requests. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from optimizer.deploy.grounds import Request
from optimizer.prompts.checks import SIZE_CHARACTERS_MAX
from optimizer.prompts.includes import IncludeError, compose_includes
from optimizer.prompts.placeholders import placeholders
from optimizer.prompts.render import Rendered, RenderError, render
from optimizer.prompts.spans import shorten
from optimizer.prompts.tokens import estimate_tokens
from optimizer.prompts.variables import variables_of
from optimizer.records.deployment import Rehearsal
from optimizer.text.excerpt import one_line

_SESSION_CHARACTERS_MAX = 60
_RENDERED_CHARACTERS_MAX = 10 * SIZE_CHARACTERS_MAX  # of which no rendering is finished


class _Tried(NamedTuple):
    """A request that the base can be rendered with, and what came of it."""

    name: str  # in words
    real: bool  # False: filled with the placeholders
    inputs: Mapping[str, Any]
    base: Rendered


class Stage:
    """Rehearses new texts of one prompt. `parts`: the texts of its includes, by placeholder."""

    def __init__(self, base: str, template_format: str, parts: Mapping[str, str], requests: Sequence[Request]) -> None:
        self._base = base
        self._format = template_format
        self._parts = parts
        self._requests = requests

    def rehearse(self, new: str) -> tuple[Rehearsal, str | None]:
        """What was rendered, and in a sentence why the new text must not go live; None where it may.

        It fails with what the base does not: it cannot be rendered, leaves a variable unfilled, or is larger than
        a prompt may be. Requests that the base itself cannot be rendered with say nothing.
        """
        longest, real = "", 0
        for tried in self._tried:
            try:
                rendered = self._rendered(new, tried.inputs)
            except (RenderError, IncludeError) as error:
                return self._result(
                    real, longest
                ), f"Rendered with {tried.name} it breaks: {_part(error)}; mend the edit."
            longest, real = max(longest, rendered.text, key=len), real + tried.real
            unfilled = sorted(rendered.unfilled - tried.base.unfilled)
            if unfilled:
                name = one_line(unfilled[0], _SESSION_CHARACTERS_MAX)
                sentence = f"Rendered with {tried.name} it leaves {name!r} unfilled; mend the edit."
                return self._result(real, longest), sentence
            if len(rendered.text) > max(SIZE_CHARACTERS_MAX, len(tried.base.text)):
                size = f"{len(rendered.text):,} characters (about {estimate_tokens(rendered.text):,} tokens)"
                limit = f"more than the {SIZE_CHARACTERS_MAX:,} allowed"
                return self._result(real, longest), f"Rendered with {tried.name} it has {size}, {limit}; shorten it."
        return self._result(real, longest), None

    @cached_property
    def _tried(self) -> tuple[_Tried, ...]:
        tried = [self._try(_named(one), True, one.inputs) for one in self._requests]
        found = tuple(one for one in tried if one is not None)
        if found:
            return found
        stand_in = self._try("its placeholders", False, {name: f"<{name}>" for name in self._variables})
        return (stand_in,) if stand_in is not None else ()

    def _try(self, name: str, real: bool, inputs: Mapping[str, Any]) -> _Tried | None:
        try:
            return _Tried(name, real, inputs, self._rendered(self._base, inputs))
        except (RenderError, IncludeError):
            return None

    def _rendered(self, text: str, inputs: Mapping[str, Any]) -> Rendered:
        composed = compose_includes(text, self._parts)
        return render(composed, self._format, inputs, characters_max=_RENDERED_CHARACTERS_MAX)

    @cached_property
    def _variables(self) -> frozenset[str]:
        """What the base asks for, once its includes stand in it."""
        try:
            composed = compose_includes(self._base, self._parts)
        except IncludeError:
            composed = self._base
        if self._format:
            return frozenset(variables_of(composed, self._format))
        return frozenset(name.strip("{} ") for name in placeholders(composed))

    def _result(self, real: int, longest: str) -> Rehearsal:
        return Rehearsal(
            requests=real,
            variables=len(self._variables),
            characters_max=len(longest),
            tokens_max=estimate_tokens(longest),
        )


def _named(request: Request) -> str:
    return f"the inputs of session {one_line(request.session_id, _SESSION_CHARACTERS_MAX)!r}"


def _part(error: Exception) -> str:
    return shorten(str(error).rstrip("."), 160)
