"""What approving some items would do: composed and validated, item by item and as a whole. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from optimizer.deploy.examine import Examiner
from optimizer.deploy.grounds import Grounds
from optimizer.prompts.checks import CheckProblem
from optimizer.prompts.edits import compose, problems
from optimizer.records.base import sha256_of
from optimizer.records.deployment import LeftOut, Plan, PlannedDeployment, PromptRef, PromptVersion
from optimizer.records.edits import Edit
from optimizer.records.session import Item
from optimizer.records.traced import Traced
from optimizer.settings.policies import PolicySettings
from optimizer.text.excerpt import one_line
from optimizer.text.numbers import count

NAME_CHARACTERS_MAX = 40
SENTENCES_MAX = 4  # of what a person is asked to confirm: one for each check that a policy may let pass
TOLD_SHARE_MIN = 0.9  # of the recent sessions: as many name a known version where all is well


def make_plan(
    items: Sequence[Item],
    current: Mapping[str, PromptVersion],
    refs: Mapping[str, PromptRef],
    *,
    already_live: frozenset[UUID] = frozenset(),
    traced: Mapping[str, Traced] | None = None,
    policy: PolicySettings | None = None,
    grounds: Grounds | None = None,
    confirmed: Mapping[UUID, frozenset[str]] | None = None,
) -> Plan:
    """Composes the items' edits on the current texts.

    `items` are those that a person wants live, in the order of their numbers; an earlier one wins where two
    overlap. What cannot go live is left out with its reason, and so is what requires it. `traced`: what recent traces
    say about the prompts, so that the plan says what could not be told apart. `grounds`: what the checks rest on beside
    the texts; `confirmed`: the checks that a second yes lets an item pass, where the policy allows that.
    """
    policy, grounds = policy or PolicySettings(), grounds or Grounds()
    planning = _Planning(current, refs, Examiner(current, refs, policy, grounds), policy, confirmed or {})
    wanted = sorted(items, key=lambda item: item.n)
    left = {item.id: out for item in wanted if (out := planning.alone(item)) is not None}
    while True:
        _leave_orphans(wanted, left, already_live)
        kept, refused = planning.together([item for item in wanted if item.id not in left])
        if not refused:
            break
        left.update(refused)
    ordered = sorted(left.values(), key=lambda one: one.n)
    deployments = planning.deployments(kept)
    touched = [traced[one.prompt] for one in deployments if traced and one.prompt in traced]
    prompts = dict.fromkeys(prompt for item in wanted for prompt in item.prompts)
    return Plan(
        deployments=deployments,
        left_out=tuple(ordered),
        untold=untold(wanted[0].agent, touched) if wanted else (),
        also=tuple(sentence for prompt in prompts for sentence in grounds.also.get(prompt, ())),
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


def _out(
    item: Item,
    reason: str,
    *,
    stale: bool = False,
    code: str | None = None,
    codes: tuple[str, ...] = (),
    may_confirm: bool = False,
) -> LeftOut:
    return LeftOut(item=item.id, n=item.n, reason=reason, stale=stale, code=code, codes=codes, may_confirm=may_confirm)


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


@dataclass(frozen=True)
class _Planning:
    """One plan in the making."""

    current: Mapping[str, PromptVersion]
    refs: Mapping[str, PromptRef]
    examiner: Examiner
    policy: PolicySettings
    confirmed: Mapping[UUID, frozenset[str]]

    def alone(self, item: Item) -> LeftOut | None:
        """Why this item cannot go live, whatever becomes of the others."""
        if not item.edits:
            return _out(item, "it has no change to a prompt")
        for prompt in item.prompts:
            if prompt not in self.current or prompt not in self.refs:
                return _out(item, f"the prompt {prompt!r} is not in the registry")
            if self.refs[prompt].follow == "pinned":
                return _out(item, f"the agent is pinned to a version of {prompt!r}; a person has to change it there")
            base = self.current[prompt]
            if item.base_sha256.get(prompt) != base.sha256:
                return _out(item, f"{prompt!r} changed since this was shown", stale=True)
            own = _edits([item], prompt)
            for problem in problems(base.text, own):
                return _out(item, problem.sentence, code=problem.kind)
            if compose(base.text, own) == base.text:
                return _out(item, f"its change leaves {prompt!r} as it is")
        return self._failed(item, [one for prompt in item.prompts for one in self._examined([item], prompt)])

    def together(self, items: Sequence[Item]) -> tuple[list[Item], dict[UUID, LeftOut]]:
        """Adds one item after the other where the whole stays right; an earlier one wins."""
        kept: list[Item] = []
        refused: dict[UUID, LeftOut] = {}
        for item in items:
            out = self._beside(item, kept)
            if out is None:
                kept.append(item)
            else:
                refused[item.id] = out
        return kept, refused

    def _beside(self, item: Item, kept: Sequence[Item]) -> LeftOut | None:
        """Why this item cannot go live beside those that were kept before it."""
        found: list[CheckProblem] = []
        for prompt in item.prompts:
            base = self.current[prompt].text
            others = [other for other in kept if prompt in other.prompts]
            if not others:
                continue  # it was examined alone
            own = _edits([item], prompt)
            for other in others:
                if any(problem.kind == "overlap" for problem in problems(base, [*_edits([other], prompt), *own])):
                    return _out(
                        item,
                        f"its change overlaps with that of item {other.n}; deploy one of them, then run again",
                    )
            if compose(base, [*_edits(kept, prompt), *own]) == base:
                return _out(item, f"beside the items before it, it leaves {prompt!r} as it is")
            # What those before it were let pass with is not the fault of this one.
            before = [*self._examined(others, prompt), *self._examined([item], prompt)]
            found += [one for one in self._examined([*others, item], prompt) if one not in before]
        return self._failed(item, found, "beside the items before it, it fails a check: ")

    def _examined(self, items: Sequence[Item], prompt: str) -> tuple[CheckProblem, ...]:
        edits = _edits(items, prompt)
        return self.examiner.examine(prompt, compose(self.current[prompt].text, edits), edits).problems

    def _failed(self, item: Item, found: Sequence[CheckProblem], opening: str = "") -> LeftOut | None:
        """What no yes lets pass comes first; of the rest, all that this item needs a second yes for."""
        final = next((one for one in found if one.code not in self.policy.confirmable), None)
        if final is not None:
            return _out(item, f"{opening}{final.sentence}", code=final.code)
        let_pass = self.confirmed.get(item.id, frozenset())
        open_ = [one for one in found if one.code not in let_pass]
        if not open_:
            return None
        codes = tuple(dict.fromkeys(one.code for one in open_))
        first_of_each = {one.code: one.sentence for one in reversed(open_)}
        told = list(dict.fromkeys([*(first_of_each[code] for code in codes), *(one.sentence for one in open_)]))
        shown, more = told[:SENTENCES_MAX], len(told) - SENTENCES_MAX
        shown += [f"And {more} more like these."] if more > 0 else []
        return _out(item, opening + " ".join(shown), code=codes[0], codes=codes, may_confirm=True)

    def deployments(self, kept: Sequence[Item]) -> tuple[PlannedDeployment, ...]:
        """One per prompt; the prompt that gains text goes first, so that no text is missing in between."""
        planned: list[tuple[int, PlannedDeployment]] = []
        for prompt in sorted({prompt for item in kept for prompt in item.prompts}):
            base, ref = self.current[prompt], self.refs[prompt]
            edits = _edits(kept, prompt)
            text = compose(base.text, edits)
            deployment = PlannedDeployment(
                prompt=prompt,
                label=ref.label,
                follow=ref.follow,
                items=tuple(item.id for item in kept if prompt in item.prompts),
                base_version=base.version,
                base_sha256=base.sha256,
                text=text,
                sha256=sha256_of(text),
                rehearsal=self.examiner.examine(prompt, text, edits).rehearsal,
            )
            planned.append((len(base.text) - len(text), deployment))
        return tuple(deployment for _, deployment in sorted(planned, key=lambda pair: (pair[0], pair[1].prompt)))
