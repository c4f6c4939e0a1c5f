"""Ways back that are deployments of their own: to a version, or without some items. Pure plans.

What a text holds is told by its lineage: the deployment that made it, the one that made its base, and so on, each
known by the hash of its text. So it is the same whether a label moved back or the old text was published again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from optimizer.errors import InputError
from optimizer.prompts.anchors import edit_for_span
from optimizer.prompts.checks import check_prompt
from optimizer.prompts.edits import compose, locate
from optimizer.prompts.spans import Span
from optimizer.records.base import canonical_json, sha256_of
from optimizer.records.deployment import Deployment, DeploymentKind, PromptRef, PromptVersion
from optimizer.records.edits import Edit
from optimizer.records.session import Item


@dataclass(frozen=True)
class Leg:
    """What one prompt becomes on the way back."""

    kind: DeploymentKind
    prompt: str
    ref: PromptRef
    current: PromptVersion
    text: str
    undone: tuple[UUID, ...]  # the items that leave
    passes: tuple[UUID, ...]  # the deployments that are over with it
    target_version: int | None = None
    beside: bool = False  # what stands beside the text (tools, model) goes back with it

    @property
    def sha256(self) -> str:
        return sha256_of(self.text)


@dataclass(frozen=True)
class WayBack:
    """All of it is done, or none."""

    legs: tuple[Leg, ...]

    @property
    def undone(self) -> tuple[UUID, ...]:
        return tuple(dict.fromkeys(item for leg in self.legs for item in leg.undone))

    @property
    def is_more_than_the_last(self) -> bool:
        """Whether more leaves than one deployment of one prompt: that is not done before it is told."""
        versions = [leg for leg in self.legs if leg.kind == "to_version"]
        return len(self.legs) > 1 or any(leg.beside or len(leg.passes) != 1 for leg in versions)

    @property
    def fingerprint(self) -> str:
        """Of all that it does: a yes is to this, and to nothing else."""
        legs = [
            (leg.prompt, leg.current.sha256, leg.sha256, *map(str, (*leg.undone, *leg.passes))) for leg in self.legs
        ]
        return sha256_of(canonical_json(legs))


@dataclass(frozen=True)
class NoWay:
    """Why a way back is not to be gone; where a diff says more, the text that runs and the one that would.

    `instead`: the items that could leave together.
    """

    reason: str
    prompt: str = ""
    now: str = ""
    then: str = ""
    instead: frozenset[UUID] = frozenset()


def standing_on(prompt: str, deployments: Iterable[Deployment]) -> list[Deployment]:
    """What stands of one prompt, the newest first by when it went live."""
    found = [one for one in deployments if one.prompt == prompt and one.stands]
    return sorted(found, key=lambda one: (one.live_at or one.planned_at, one.order), reverse=True)


def live_items(deployments: Iterable[Deployment], prompt: str | None = None) -> frozenset[UUID]:
    """The items that are in the texts of what stands: what changes brought, less what was taken back since."""
    standing = [one for one in deployments if one.stands and prompt in (None, one.prompt)]
    gone = {item for one in standing for item in one.undone}
    return frozenset(item for one in standing for item in one.items if item not in gone)


def lineage(sha256: str, prompt: str, deployments: Sequence[Deployment]) -> tuple[Deployment, ...]:
    """What made the text of this hash, the last one first. Of two that made the same text, the one that stands."""
    makers = [one for one in deployments if one.prompt == prompt and one.kind != "to_version" and one.live_at]
    makers.sort(key=lambda one: (one.stands, one.live_at, one.order), reverse=True)
    found: list[Deployment] = []
    while maker := next((one for one in makers if one.sha256 == sha256 and one not in found), None):
        found.append(maker)
        sha256 = maker.base_sha256
    return tuple(found)


def to_version(
    target: PromptVersion, current: PromptVersion, ref: PromptRef, deployments: Sequence[Deployment]
) -> Leg | NoWay:
    """Back to a version by its number. `deployments`: those of the agent, the newest first."""
    prompt, name = target.prompt, f"{target.prompt!r}"
    if ref.follow == "pinned":
        return NoWay(f"The agent is pinned to a version of {name}; a person has to change it there")
    if target.sha256 == current.sha256:
        return NoWay(f"v{target.version} of {name} has the very text that runs now (v{current.version})")
    if target.version > current.version:
        return NoWay(
            f"v{target.version} of {name} is newer than v{current.version}, which runs; a rollback only goes back"
        )
    standing = standing_on(prompt, deployments)
    if standing and standing[0].sha256 != current.sha256:
        return _moved_on(standing[0], current, target)
    if _never_ran(target, deployments):
        return NoWay(f"v{target.version} of {name} was published and never went live")
    made = lineage(target.sha256, prompt, deployments)
    held = {item for one in made for item in one.items} - {item for one in made for item in one.undone}
    live = live_items(deployments, prompt)
    if held - live:
        return NoWay(f"v{target.version} of {name} holds what was taken back since; a rollback brings nothing back")
    for problem in check_prompt(target.text, target.text, required_placeholders=ref.required):
        if problem.code == "placeholder_missing":
            return NoWay(f"v{target.version} of {name} is not complete: {problem.sentence}")
    return Leg(
        kind="to_version",
        prompt=prompt,
        ref=ref,
        current=current,
        text=target.text,
        undone=tuple(sorted(live - held)),
        passes=tuple(one.id for one in standing if one not in made),
        target_version=target.version,
        beside=ref.follow == "label" and target.frame_sha256 != current.frame_sha256,
    )


def _moved_on(top: Deployment, current: PromptVersion, target: PromptVersion) -> NoWay:
    return NoWay(
        f"{top.prompt!r} runs v{current.version} by now, which someone else put there, not v{top.new_version}; going "
        "back would lose what they wrote",
        top.prompt,
        current.text,
        target.text,
    )


def _never_ran(target: PromptVersion, deployments: Sequence[Deployment]) -> bool:
    """Whether one of our deployments published it, and it is not the version with which that went live."""
    own = next((one for one in deployments if str(one.id) == target.metadata.get("deployment_id")), None)
    return own is not None and (own.live_at is None or own.new_version != target.version)


def needed_by(leaving: frozenset[UUID], items: Iterable[Item], live: frozenset[UUID]) -> tuple[Item, ...]:
    """The live items that need one that leaves, or one of these, and would stay; by their numbers."""
    found: dict[UUID, Item] = {}
    staying = {one.id: one for one in items if one.id in live - leaving}
    while more := {
        id_: one for id_, one in staying.items() if id_ not in found and (leaving | found.keys()) & set(one.requires)
    }:
        found |= more
    return tuple(sorted(found.values(), key=lambda one: one.n))


def without(
    prompt: str,
    leaving: frozenset[UUID],
    current: PromptVersion,
    ref: PromptRef,
    deployments: Sequence[Deployment],
    items: Mapping[UUID, Item],
    bases: Mapping[UUID, str],
) -> Leg | NoWay:
    """The text that runs now, with the edits of these items reversed.

    `items`: all that the deployments hold which brought those that leave. `bases`: the base texts of these
    deployments, by their ids.
    """
    if ref.follow == "pinned":
        return NoWay(f"The agent is pinned to a version of {prompt!r}; a person has to change it there")
    standing = standing_on(prompt, deployments)
    live = live_items(deployments, prompt)
    text, before = current.text, current.text
    for one in standing:
        if not leaving & set(one.items):
            continue
        try:
            text = reverse(text, bases[one.id], one.text, *_edits(one, leaving, items))
        except InputError as error:
            return NoWay(f"The text of today is not what this was deployed to ({error})")
        before = bases[one.id]
    if text == current.text:
        return NoWay(f"That leaves {prompt!r} as it is")
    # What was there before, or is there now, was agreed to already: a problem is what neither of the two has.
    known = {problem.code for problem in check_prompt(before, text, required_placeholders=ref.required)}
    for problem in check_prompt(current.text, text, required_placeholders=ref.required):
        if problem.code in known:
            return NoWay(f"Without it, {prompt!r} fails a check: {problem.sentence}")
    return Leg(
        kind="without",
        prompt=prompt,
        ref=ref,
        current=current,
        text=text,
        undone=tuple(sorted(leaving & live)),
        passes=tuple(one.id for one in standing if one.items and not (set(one.items) & live) - leaving),
    )


def reverse(now: str, base: str, deployed: str, edits: Sequence[Edit], leaving: Sequence[Edit]) -> str:
    """`now` without the edits that leave, where all `edits` were composed on `base` and gave `deployed`.

    Each of them is found by what stands there since: its place in `deployed` is known, and has to be found in `now`
    exactly once. Raises `InputError` where it is not, or where the edits did not give that text.
    """
    if compose(base, edits) != deployed:
        raise InputError("its edits do not give the text that was published; look at the versions in the registry.")
    places = list(_places(base, edits))
    gone = [(start, end, edit) for start, end, edit in places if edit in leaving]
    if now == deployed:
        pieces: list[str] = []
        after = 0
        for start, end, edit in gone:
            pieces += (deployed[after:start], edit.find)
            after = end
        return "".join([*pieces, deployed[after:]])
    spans = [Span(start, end) for start, end, _ in gone]
    return compose(
        now,
        [
            edit_for_span(edit.prompt, deployed, *span, edit.find, clear_of=[one for one in spans if one is not span])
            for span, (_, _, edit) in zip(spans, gone, strict=True)
        ],
    )


def _places(base: str, edits: Sequence[Edit]) -> Iterator[tuple[int, int, Edit]]:
    """Where the edits stand once all are applied, in their order in the text."""
    moved = 0
    for span, edit in sorted(((locate(base, edit), edit) for edit in edits), key=lambda pair: pair[0]):
        start = span.start + moved
        yield start, start + len(edit.replace), edit
        moved += len(edit.replace) - len(edit.find)


def _edits(one: Deployment, leaving: frozenset[UUID], items: Mapping[UUID, Item]) -> tuple[list[Edit], list[Edit]]:
    """All edits of a deployment, and those that leave."""
    held = [items[id_] for id_ in one.items]
    edits = {item.id: [edit for edit in item.edits if edit.prompt == one.prompt] for item in held}
    return (
        [edit for item in held for edit in edits[item.id]],
        [edit for item in held if item.id in leaving for edit in edits[item.id]],
    )
