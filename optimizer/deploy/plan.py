"""What approving some items would do: composed and validated, item by item and as a whole. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from optimizer.prompts.checks import check_prompt
from optimizer.prompts.edits import compose, problems
from optimizer.records.base import sha256_of
from optimizer.records.deployment import LeftOut, Plan, PlannedDeployment, PromptRef, PromptVersion
from optimizer.records.edits import Edit
from optimizer.records.session import Item
from optimizer.records.traced import Traced
from optimizer.text.excerpt import one_line
from optimizer.text.numbers import count

NAME_CHARACTERS_MAX = 40
TOLD_SHARE_MIN = 0.9  # of the recent sessions: as many name a known version where all is well


def make_plan(
    items: Sequence[Item],
    current: Mapping[str, PromptVersion],
    refs: Mapping[str, PromptRef],
    *,
    already_live: frozenset[UUID] = frozenset(),
    traced: Mapping[str, Traced] | None = None,
) -> Plan:
    """Composes the items' edits on the current texts.

    `items` are those that a person wants live, in the order of their numbers; an earlier one wins where two
    overlap. What cannot go live is left out with its reason, and so is what requires it. `traced`: what recent traces
    say about the prompts, so that the plan says what could not be told apart.
    """
    wanted = sorted(items, key=lambda item: item.n)
    left = {item.id: out for item in wanted if (out := _alone(item, current, refs)) is not None}
    while True:
        _leave_orphans(wanted, left, already_live)
        kept, refused = _together([item for item in wanted if item.id not in left], current, refs)
        if not refused:
            break
        left.update(refused)
    ordered = sorted(left.values(), key=lambda one: one.n)
    deployments = _deployments(kept, current, refs)
    touched = [traced[one.prompt] for one in deployments if traced and one.prompt in traced]
    return Plan(
        deployments=deployments, left_out=tuple(ordered), untold=untold(wanted[0].agent, touched) if wanted else ()
    )


def untold(agent: str, traced: Sequence[Traced]) -> tuple[str, ...]:
    """A sentence for each prompt whose deployment could not be told apart in such traces, or in part of them only."""
    return tuple(sentence for one in traced if (sentence := _untold(agent, one)) is not None)


def _untold(agent: str, traced: Traced) -> str | None:
    if not traced.sessions or traced.known >= TOLD_SHARE_MIN * traced.sessions:
        return None
    traces, prompt = f"{one_line(agent, NAME_CHARACTERS_MAX)}'s traces", one_line(traced.prompt, NAME_CHARACTERS_MAX)
    share = f"{traced.known:,} of {count(traced.sessions, 'session')} in {traced.days} days"
    if traced.known:
        return f"only part of {traces} name a known version of {prompt} ({share}): a comparison leaves the others out"
    what = (
        f"name no version of {prompt} that the registry knows"
        if traced.named
        else f"do not say which version of {prompt} they run under"
    )
    return f"{traces} {what} ({share}): the effect cannot be told apart, only compared by time"


def _edits(items: Sequence[Item], prompt: str) -> list[Edit]:
    return [edit for item in items for edit in item.edits if edit.prompt == prompt]


def _out(item: Item, reason: str, *, stale: bool = False) -> LeftOut:
    return LeftOut(item=item.id, n=item.n, reason=reason, stale=stale)


def _alone(item: Item, current: Mapping[str, PromptVersion], refs: Mapping[str, PromptRef]) -> LeftOut | None:
    """Why this item cannot go live, whatever becomes of the others."""
    if not item.edits:
        return _out(item, "it has no change to a prompt")
    for prompt in item.prompts:
        if prompt not in current or prompt not in refs:
            return _out(item, f"the prompt {prompt!r} is not in the registry")
        if refs[prompt].follow == "pinned":
            return _out(item, f"the agent is pinned to a version of {prompt!r}; a person has to change it there")
        base = current[prompt]
        if item.base_sha256.get(prompt) != base.sha256:
            return _out(item, f"{prompt!r} changed since this was shown", stale=True)
        own = _edits([item], prompt)
        for problem in problems(base.text, own):
            return _out(item, problem.sentence)
        new = compose(base.text, own)
        if new == base.text:
            return _out(item, f"its change leaves {prompt!r} as it is")
        for check in check_prompt(base.text, new, required_placeholders=refs[prompt].required):
            return _out(item, check.sentence)
    return None


def _leave_orphans(wanted: Sequence[Item], left: dict[UUID, LeftOut], already_live: frozenset[UUID]) -> None:
    """Leaves out what requires an item that is not there, until nothing changes."""
    while True:
        there = {item.id for item in wanted if item.id not in left} | already_live
        orphans = [
            (item, missing[0])
            for item in wanted
            if item.id not in left and (missing := [one for one in item.requires if one not in there])
        ]
        if not orphans:
            return
        for item, missing in orphans:
            known = f"item {left[missing].n}, which is left out" if missing in left else None
            left[item.id] = _out(item, f"it needs {known or 'another item that was not chosen'}")


def _together(
    items: Sequence[Item], current: Mapping[str, PromptVersion], refs: Mapping[str, PromptRef]
) -> tuple[list[Item], dict[UUID, LeftOut]]:
    """Adds one item after the other where the whole stays right; an earlier one wins."""
    kept: list[Item] = []
    refused: dict[UUID, LeftOut] = {}
    for item in items:
        reason = _beside(item, kept, current, refs)
        if reason is None:
            kept.append(item)
        else:
            refused[item.id] = _out(item, reason)
    return kept, refused


def _beside(
    item: Item, kept: Sequence[Item], current: Mapping[str, PromptVersion], refs: Mapping[str, PromptRef]
) -> str | None:
    """Why this item cannot go live beside those that were kept before it."""
    for prompt in item.prompts:
        base = current[prompt].text
        own = _edits([item], prompt)
        for other in kept:
            theirs = _edits([other], prompt)
            if any(problem.kind == "overlap" for problem in problems(base, [*theirs, *own])):
                return f"its change overlaps with that of item {other.n}; deploy one of them, then run again"
        new = compose(base, [*_edits(kept, prompt), *own])
        if new == base:
            return f"beside the items before it, it leaves {prompt!r} as it is"
        for check in check_prompt(base, new, required_placeholders=refs[prompt].required):
            return f"beside the items before it, it fails a check: {check.sentence}"
    return None


def _deployments(
    kept: Sequence[Item], current: Mapping[str, PromptVersion], refs: Mapping[str, PromptRef]
) -> tuple[PlannedDeployment, ...]:
    """One per prompt; the prompt that gains text goes first, so that no text is missing in between."""
    planned: list[tuple[int, PlannedDeployment]] = []
    for prompt in sorted({prompt for item in kept for prompt in item.prompts}):
        base = current[prompt]
        text = compose(base.text, _edits(kept, prompt))
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
