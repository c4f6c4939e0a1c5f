"""All that a changed prompt is examined for before it may be published: checks, policy, traces, rehearsal. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from rapidfuzz.distance import Indel

from optimizer.deploy.grounds import Changed, Grounds
from optimizer.deploy.rehearse import Stage
from optimizer.prompts.checks import CheckProblem, check_prompt
from optimizer.prompts.protected import protection_problems
from optimizer.prompts.spans import shorten
from optimizer.prompts.taint import added_runs
from optimizer.records.deployment import PromptRef, PromptVersion, Rehearsal
from optimizer.records.edits import Edit
from optimizer.settings.policies import PolicySettings
from optimizer.text.excerpt import one_line

_NAMED_MAX = 5
_NAME_CHARACTERS_MAX = 60


class Examined(NamedTuple):
    problems: tuple[CheckProblem, ...]
    rehearsal: Rehearsal | None  # None: not rehearsed, because of the problems


class Examiner:
    """Examines new texts of an agent's prompts. What the current texts have of a fault is not told again."""

    def __init__(
        self,
        current: Mapping[str, PromptVersion],
        refs: Mapping[str, PromptRef],
        policy: PolicySettings,
        grounds: Grounds,
    ) -> None:
        self._current = current
        self._refs = refs
        self._policy = policy
        self._grounds = grounds
        self._stages: dict[str, Stage] = {}
        self._examined: dict[tuple[str, str, tuple[Edit, ...]], Examined] = {}

    def examine(self, prompt: str, new: str, edits: Sequence[Edit]) -> Examined:
        """The new text of one prompt; `edits` are those that make it of the current one."""
        key = (prompt, new, tuple(edits))
        if key not in self._examined:
            self._examined[key] = self._examine(prompt, new, edits)
        return self._examined[key]

    def _examine(self, prompt: str, new: str, edits: Sequence[Edit]) -> Examined:
        problems = (
            *self._checked(prompt, new),
            *self._protected(prompt, new, edits),
            *self._tainted(new),
            *self._changed(prompt, new),
        )
        if any(problem.code == "too_large" for problem in problems):
            return Examined(problems, None)
        rehearsal, failure = self._stage(prompt).rehearse(new)
        failed = (CheckProblem("rehearsal", failure),) if failure else ()
        return Examined((*problems, *failed), rehearsal)

    def _checked(self, prompt: str, new: str) -> tuple[CheckProblem, ...]:
        base = self._current[prompt]
        required = self._refs[prompt].required
        return check_prompt(base.text, new, required_placeholders=required, template_format=base.template_format)

    def _protected(self, prompt: str, new: str, edits: Sequence[Edit]) -> Iterator[CheckProblem]:
        matched = self._grounds.matched.get(prompt, ())
        for sentence in protection_problems(self._current[prompt].text, new, edits, matched):
            yield CheckProblem("protected", sentence)

    def _tainted(self, new: str) -> Iterator[CheckProblem]:
        if not self._grounds.said:
            return
        found = sorted(added_runs(new, self._known_texts) & self._grounds.said.keys())
        for run in found[:_NAMED_MAX]:
            said = self._grounds.said[run]
            where = f"in {said.what} of session {one_line(said.session_id, _NAME_CHARACTERS_MAX)!r}"
            yield CheckProblem(
                "tainted", f"The words {shorten(' '.join(run))!r} stand {where}, word for word; they may be planted."
            )

    @cached_property
    def _known_texts(self) -> tuple[str, ...]:
        return tuple(held.text for held in self._current.values())

    def _changed(self, prompt: str, new: str) -> Iterator[CheckProblem]:
        share_max = self._policy.changed_share_max
        if share_max is None:
            return
        base = self._current[prompt].text
        before = self._grounds.changed.get(prompt, Changed(0, len(base)))
        share = (before.characters + Indel.distance(base, new)) / max(1, before.of_characters)
        if share > share_max:
            so_far = ", with what this session deployed before" if before.characters else ""
            sentence = (
                f"It changes {share:.0%} of {one_line(prompt, _NAME_CHARACTERS_MAX)!r}{so_far}, and the policy lets "
                f"one session change {share_max:.0%}."
            )
            yield CheckProblem("changed_too_much", sentence)

    def _stage(self, prompt: str) -> Stage:
        if prompt not in self._stages:
            base, includes = self._current[prompt], self._refs[prompt].includes
            parts = {name: self._current[other].text for name, other in includes.items() if other in self._current}
            requests = self._grounds.requests.get(prompt, ())
            self._stages[prompt] = Stage(base.text, base.template_format, parts, requests)
        return self._stages[prompt]
