"""Items from findings: type, edits, numbers, and the id that an undecided item keeps. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from optimizer.errors import InputError
from optimizer.prompts.checks import check_prompt
from optimizer.prompts.edits import compose, locate, problems
from optimizer.prompts.protected import frozen_sections, protection_problems
from optimizer.prompts.sections import best_section, insert_rule
from optimizer.prompts.spans import Span
from optimizer.propose.suppress import answered_already, got_worse
from optimizer.records.edits import Edit
from optimizer.records.facts import Fact
from optimizer.records.findings import CitedFact, Finding, ItemType, content_sha256
from optimizer.records.session import Answered, Dropped
from optimizer.records.snapshot import PromptText
from optimizer.records.states import ItemState

ITEMS_MAX = 40  # in one session: more than a person reads


@dataclass(frozen=True)
class Proposal:
    """What a run proposes: rows for the store, the facts with those that were cited, and what was dropped."""

    items: tuple[dict[str, Any], ...]
    facts: tuple[Fact, ...]
    dropped: tuple[Dropped, ...]


def propose(
    findings: Sequence[Finding],
    facts: Sequence[Fact],
    prompts: Mapping[str, PromptText],
    pinned: frozenset[str],
    answered: Mapping[str, Answered],
    new_id: Callable[[], UUID],
    at: datetime,
) -> Proposal:
    """Numbers the findings that are to be shown. An undecided item with the same content keeps its id."""
    book = _FactBook(facts)
    taken: dict[str, list[Edit]] = {}
    items: list[dict[str, Any]] = []
    dropped: list[Dropped] = []
    for finding in findings:
        before = answered.get(finding.key)
        reason = answered_already(finding, before, at)
        if reason is None and any(item["key"] == finding.key for item in items):
            reason = "another finding of this run is about the same"
        if reason is None and len(items) == ITEMS_MAX:
            reason = f"a session holds at most {ITEMS_MAX} items"
        if reason is not None:
            dropped.append(Dropped(key=finding.key, reason=reason))
            continue
        edits, note = _edits_of(finding, prompts, pinned, taken)
        type_ = ItemType.prompt_change if edits else finding.by_hand
        sha256 = content_sha256(type_, edits)
        for edit in edits:
            taken.setdefault(edit.prompt, []).append(edit)
        remarks = [remark for remark in (got_worse(finding, before), note) if remark]
        items.append(
            {
                "id": str(_id_of(before, sha256, new_id)),
                "n": len(items) + 1,
                "key": finding.key,
                "rule": finding.rule,
                "goal": finding.goal.value,
                "type": type_.value,
                "title": finding.title,
                "detail": "\n".join([finding.detail, *remarks]),
                "facts": [book.id_of(cited) for cited in finding.cites],
                "edits": [edit.model_dump() for edit in edits],
                "base_sha256": {edit.prompt: prompts[edit.prompt].sha256 for edit in edits},
                "requires": [],
                "content_sha256": sha256,
                "severity": finding.severity,
            }
        )
    return Proposal(tuple(items), tuple(book.facts), tuple(dropped))


def _id_of(before: Answered | None, sha256: str, new_id: Callable[[], UUID]) -> UUID:
    """Undecided and the same content: the same item, carried over."""
    if before is not None and before.state is ItemState.open and before.content_sha256 == sha256:
        return before.id
    return new_id()


def _edits_of(
    finding: Finding,
    prompts: Mapping[str, PromptText],
    pinned: frozenset[str],
    taken: Mapping[str, Sequence[Edit]],
) -> tuple[tuple[Edit, ...], str | None]:
    """The edits that answer a finding, and a remark. No edits: a person has to change something else."""
    edits = finding.edits
    if not edits and finding.advice is not None:
        rule = _rule_edit(finding, finding.advice, prompts, taken)
        edits = (rule,) if rule else ()
    if any(edit.prompt in pinned for edit in edits):
        return (), "The agent is pinned to a version of this prompt: a person has to change it there."
    for prompt in sorted({edit.prompt for edit in edits}):
        if prompt not in prompts:
            return (), f"A change of {prompt!r} was not possible: the registry does not hold that prompt."
        own = [edit for edit in edits if edit.prompt == prompt]
        base = prompts[prompt].text
        sentence = _against(base, own)
        if sentence is not None:
            return (), f"A change of {prompt!r} was not possible: {sentence}"
        overlap = problems(base, [*taken.get(prompt, ()), *own])
        if any(problem.kind == "overlap" for problem in overlap):
            return (
                edits,
                "Its change overlaps with that of an earlier item: only one of the two can be deployed.",
            )
    return edits, None


def _against(base: str, edits: Sequence[Edit]) -> str | None:
    """Why these edits could not go live, as far as the text itself says."""
    found = problems(base, edits)
    if found:
        return found[0].sentence
    new = compose(base, edits)
    checks = check_prompt(base, new)
    return checks[0].sentence if checks else next(protection_problems(base, new, edits), None)


def _rule_edit(
    finding: Finding, advice: str, prompts: Mapping[str, PromptText], taken: Mapping[str, Sequence[Edit]]
) -> Edit | None:
    """The advice as a line in the section where it belongs, clear of what other items change and what is frozen."""
    if not prompts:
        return None
    keywords = [finding.tool] if finding.tool else []
    name = _home(prompts, keywords)
    text = prompts[name].text
    clear_of: list[Span] = [locate(text, edit) for edit in taken.get(name, ())]
    clear_of += (section.span for section in frozen_sections(text))
    try:
        return insert_rule(name, text, advice, keywords, clear_of=clear_of)
    except InputError:
        return None


def _home(prompts: Mapping[str, PromptText], keywords: Sequence[str]) -> str:
    """The prompt for a rule: one that names the tool, else one that includes others, else the longest."""

    def weight(prompt: PromptText) -> tuple[bool, bool, int]:
        section = best_section(prompt.text, keywords)
        body = prompt.text[section.start : section.end].lower()
        named = any(keyword.lower() in body for keyword in keywords)
        return named, bool(prompt.includes), len(prompt.text)

    return max(sorted(prompts), key=lambda name: weight(prompts[name]))


class _FactBook:
    """Gives cited facts their ids: the snapshot's own where it lists the same, else the next number."""

    def __init__(self, facts: Sequence[Fact]) -> None:
        self.facts = list(facts)
        self._ids = {(fact.name, tuple(sorted(fact.labels.items()))): fact.id for fact in facts}

    def id_of(self, cited: CitedFact) -> str:
        place = (cited.name, tuple(sorted(cited.labels.items())))
        if place not in self._ids:
            self._ids[place] = f"F{len(self.facts) + 1}"
            self.facts.append(
                Fact(
                    id=self._ids[place],
                    name=cited.name,
                    labels=cited.labels,
                    value=cited.value,
                    n=cited.n,
                    baseline=cited.baseline,
                    samples=cited.samples,
                )
            )
        return self._ids[place]
