"""What approving some items would do: composed and validated, item by item and as a whole. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from optimizer.prompts.checks import check_prompt
from optimizer.prompts.edits import EditError, compose, problems
from optimizer.records.base import sha256_of
from optimizer.records.deployment import LeftOut, Plan, PlannedDeployment, PromptRef, PromptVersion
from optimizer.records.edits import Edit
from optimizer.records.session import Item


def make_plan(
    items: Sequence[Item],
    current: Mapping[str, PromptVersion],
    refs: Mapping[str, PromptRef],
    *,
    already_live: frozenset[UUID] = frozenset(),
) -> Plan:
    """Composes the items' edits on the current texts.

    `items` are those that a person wants live, in the order of their numbers; an earlier one wins where two
    overlap. What cannot go live is left out with its reason, and so is what requires it.
    """
    kept: list[Item] = []
    left: dict[UUID, LeftOut] = {}
    for item in sorted(items, key=lambda item: item.n):
        problem = _problem(item, kept, current, refs)
        if problem is None:
            kept.append(item)
        else:
            left[item.id] = problem
    kept = _with_what_they_require(kept, left, already_live)
    whole = _whole(kept, current, refs)
    if whole is not None:
        left.update({item.id: LeftOut(item=item.id, n=item.n, reason=whole) for item in kept})
        kept = []
    ordered = sorted(left.values(), key=lambda one: one.n)
    return Plan(deployments=_deployments(kept, current, refs), left_out=tuple(ordered))


def _edits(items: Sequence[Item], prompt: str) -> list[Edit]:
    return [edit for item in items for edit in item.edits if edit.prompt == prompt]


def _problem(
    item: Item, kept: Sequence[Item], current: Mapping[str, PromptVersion], refs: Mapping[str, PromptRef]
) -> LeftOut | None:
    """Why this item cannot go live by itself, or beside those that were kept before it."""

    def out(reason: str, *, stale: bool = False) -> LeftOut:
        return LeftOut(item=item.id, n=item.n, reason=reason, stale=stale)

    if not item.edits:
        return out("it has no change to a prompt")
    for prompt in item.prompts:
        if prompt not in current or prompt not in refs:
            return out(f"the prompt {prompt!r} is not in the registry")
        if refs[prompt].follow == "pinned":
            return out(f"the agent is pinned to a version of {prompt!r}; a person has to change it there")
        base = current[prompt]
        if item.base_sha256.get(prompt) != base.sha256:
            return out(f"{prompt!r} changed since this was shown", stale=True)
        own = _edits([item], prompt)
        for problem in problems(base.text, own):
            return out(problem.sentence)
        new = compose(base.text, own)
        for check in check_prompt(base.text, new, required_placeholders=refs[prompt].required):
            return out(check.sentence)
        overlapping = _overlap(base.text, own, kept, prompt)
        if overlapping is not None:
            return out(f"its change overlaps with that of item {overlapping}; deploy one of them, then run again")
    return None


def _overlap(base: str, own: Sequence[Edit], kept: Sequence[Item], prompt: str) -> int | None:
    for other in kept:
        theirs = _edits([other], prompt)
        if any(problem.kind == "overlap" for problem in problems(base, [*theirs, *own])):
            return other.n
    return None


def _with_what_they_require(
    kept: list[Item], left: dict[UUID, LeftOut], already_live: frozenset[UUID]
) -> list[Item]:
    """Drops items whose requirements are not met, until nothing changes."""
    while True:
        there = {item.id for item in kept} | already_live
        orphans = [item for item in kept if any(required not in there for required in item.requires)]
        if not orphans:
            return kept
        for item in orphans:
            missing = next(required for required in item.requires if required not in there)
            why = f"item {left[missing].n}, which is left out" if missing in left else "another item that was not chosen"
            left[item.id] = LeftOut(item=item.id, n=item.n, reason=f"it needs {why}")
        kept = [item for item in kept if item not in orphans]


def _whole(
    kept: Sequence[Item], current: Mapping[str, PromptVersion], refs: Mapping[str, PromptRef]
) -> str | None:
    """Why the kept items cannot go live together; None when they can."""
    for prompt in sorted({prompt for item in kept for prompt in item.prompts}):
        base = current[prompt].text
        try:
            new = compose(base, _edits(kept, prompt))
        except EditError as error:
            return str(error)
        for check in check_prompt(base, new, required_placeholders=refs[prompt].required):
            return f"together the changes fail a check: {check.sentence}"
    return None


def _deployments(
    kept: Sequence[Item], current: Mapping[str, PromptVersion], refs: Mapping[str, PromptRef]
) -> tuple[PlannedDeployment, ...]:
    """One per prompt; the prompt that gains text goes first, so that no text is missing in between."""
    planned: list[tuple[int, PlannedDeployment]] = []
    for prompt in sorted({prompt for item in kept for prompt in item.prompts}):
        base = current[prompt]
        text = compose(base.text, _edits(kept, prompt))
        if text == base.text:
            continue
        planned.append(
            (
                len(base.text) - len(text),
                PlannedDeployment(
                    prompt=prompt,
                    label=refs[prompt].label,
                    follow=refs[prompt].follow,
                    items=tuple(item.id for item in kept if prompt in item.prompts),
                    base_version=base.version,
                    base_sha256=base.sha256,
                    text=text,
                    sha256=sha256_of(text),
                ),
            )
        )
    return tuple(deployment for _, deployment in sorted(planned, key=lambda pair: (pair[0], pair[1].prompt)))
