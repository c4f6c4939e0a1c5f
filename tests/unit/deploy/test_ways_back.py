"""What ways back come to: texts without some edits, and which deployments and items leave with a version."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.deploy.ways_back import Leg, NoWay, WayBack, lineage, live_items, needed_by, reverse, to_version, without
from optimizer.errors import InputError
from optimizer.prompts.edits import compose
from optimizer.records.base import sha256_of
from optimizer.records.deployment import Deployment, DeploymentKind, Follow, PromptRef, PromptVersion
from optimizer.records.edits import Edit
from optimizer.records.states import DeploymentState
from tests.builders import AGENT, NOON, SYSTEM, held, make_item, rule_line

LABEL = PromptRef()


@st.composite
def bases_and_edits(draw: st.DrawFn) -> tuple[str, list[Edit]]:
    """A text whose lines all differ, and edits of some of its lines that do not overlap: replaced, added to, gone."""
    count = draw(st.integers(2, 12))
    words = st.text("ab \u00e9.{}", max_size=12)
    lines = [f"{number:02}: {draw(words)}\n" for number in range(count)]
    chosen = draw(st.lists(st.integers(0, count - 1), unique=True, min_size=1))
    edits: list[Edit] = []
    for number in chosen:
        find = lines[number]
        replace = draw(
            st.one_of(st.just(""), st.text("abc \n", max_size=20), st.text("xy\n", max_size=9).map(find.__add__))
        )
        if compose("".join(lines), [Edit(prompt="p", find=find, replace=replace)]) != "".join(lines):
            edits.append(Edit(prompt="p", find=find, replace=replace))
    return "".join(lines), edits


@given(bases_and_edits(), st.data())
def test_without_an_item_is_the_text_composed_without_its_edits(
    drawn: tuple[str, list[Edit]], data: st.DataObject
) -> None:
    base, edits = drawn
    leaving = [edit for edit in edits if data.draw(st.booleans())]
    assert reverse(compose(base, edits), base, compose(base, edits), edits, leaving) == compose(
        base, [edit for edit in edits if edit not in leaving]
    )


@given(bases_and_edits(), st.data())
def test_what_was_changed_elsewhere_since_stays(drawn: tuple[str, list[Edit]], data: st.DataObject) -> None:
    base, edits = drawn
    leaving = [edit for edit in edits if data.draw(st.booleans())]
    deployed = compose(base, edits)
    without_them = compose(base, [edit for edit in edits if edit not in leaving])
    theirs = f"Theirs.\n{deployed}Theirs, too.\n"
    try:
        got = reverse(theirs, base, deployed, edits, leaving)
    except InputError:
        return  # what stands there cannot be told from what they wrote: refused, never guessed
    assert got == f"Theirs.\n{without_them}Theirs, too.\n"


def test_what_was_changed_itself_since_is_refused() -> None:
    edits = [rule_line(1), rule_line(2)]
    deployed = compose(SYSTEM, edits)
    with pytest.raises(InputError, match="is not in"):
        reverse(deployed.replace("Rule 1: (always)", "Rule 1: (mostly)"), SYSTEM, deployed, edits, edits[:1])
    with pytest.raises(InputError, match="stands 2 times"):
        reverse(f"{deployed}Rule 1: (always)\n", SYSTEM, deployed, edits, edits[:1])


class Line:
    """Deployments of one prompt, one on the other, as they are stored."""

    def __init__(self) -> None:
        self.deployments: list[Deployment] = []
        self.text, self.version = SYSTEM, 1

    def put(
        self,
        text: str,
        items: Sequence[UUID] = (),
        kind: DeploymentKind = "change",
        undone: Sequence[UUID] = (),
        version: int | None = None,
    ) -> Deployment:
        number = len(self.deployments) + 1
        new = version or number + 1
        deployment = Deployment(
            id=uuid4(), agent=AGENT, session_id=None, batch_id=uuid4(), ordinal=0, prompt="system", label="prod",
            follow="label", state=DeploymentState.live, revision=1, items=tuple(items), actor="console:dana",
            base_version=self.version, base_sha256=sha256_of(self.text), text=text, sha256=sha256_of(text),
            new_version=new, reason=None, planned_at=NOON, live_at=NOON + timedelta(hours=number), seen_at=None,
            ended_at=None, verdict=None, rollback=None, worker=None, lease_until=None, steps=(), kind=kind,
            undone=tuple(undone),
        )  # fmt: skip
        self.deployments.insert(0, deployment)
        self.text, self.version = text, new
        return deployment

    def end(self, deployment: Deployment) -> None:
        place = self.deployments.index(deployment)
        self.deployments[place] = deployment.model_copy(update={"state": DeploymentState.rolled_back})

    def leg(self, version: int, text: str, **metadata: str) -> Leg | NoWay:
        target = PromptVersion(
            prompt="system", version=version, text=text, sha256=sha256_of(text), metadata=dict(metadata)
        )
        return to_version(target, held(text=self.text, version=self.version), LABEL, self.deployments)


def three() -> tuple[Line, list[UUID], list[str]]:
    """v2 with an item, v3 with another, v4 with a third."""
    line, items = Line(), [uuid4() for _ in range(3)]
    texts = [SYSTEM]
    for number, item in enumerate(items):
        texts.append(compose(texts[-1], [rule_line(number)]))
        line.put(texts[-1], [item])
    return line, items, texts


def test_all_that_came_after_a_version_leaves_with_it() -> None:
    line, items, texts = three()
    leg = line.leg(2, texts[1])
    assert isinstance(leg, Leg)
    assert set(leg.undone) == {items[1], items[2]}
    assert leg.passes == (line.deployments[0].id, line.deployments[1].id)
    assert (leg.text, leg.target_version) == (texts[1], 2)


def test_the_first_version_leaves_nothing() -> None:
    line, items, texts = three()
    leg = line.leg(1, texts[0])
    assert isinstance(leg, Leg)
    assert set(leg.undone) == set(items)
    assert len(leg.passes) == 3


def test_an_item_that_was_taken_back_does_not_return_with_a_version() -> None:
    line, items, texts = three()
    line.put(
        compose(texts[3], [Edit(prompt="system", find="Rule 0: (always)", replace="Rule 0:")]), (), "without", items[:1]
    )
    answer = line.leg(4, texts[3])
    assert isinstance(answer, NoWay)
    assert "holds what was taken back since" in answer.reason
    leg = line.leg(1, texts[0])
    assert isinstance(leg, Leg)
    assert set(leg.undone) == {items[1], items[2]}
    assert len(leg.passes) == 4


def test_after_going_back_the_versions_that_were_left_are_not_ways_back() -> None:
    line, _, texts = three()
    for one in line.deployments[:2]:
        line.end(one)
    line.put(texts[1], (), "to_version", version=2)
    line.put(compose(texts[1], [rule_line(7)]), [uuid4()], version=5)
    answer = line.leg(3, texts[2])
    assert isinstance(answer, NoWay)
    assert "holds what was taken back since" in answer.reason
    leg = line.leg(2, texts[1])
    assert isinstance(leg, Leg)
    assert leg.passes == (line.deployments[0].id, line.deployments[1].id)


@pytest.mark.parametrize(
    ("version", "text", "metadata", "reason"),
    [
        (4, None, {}, "the very text that runs now"),
        (9, "new", {}, "is newer than v4, which runs"),
        (3, "left by a lost answer", {"deployment_id": "own"}, "was published and never went live"),
    ],
)
def test_what_is_no_way_back_is_named(version: int, text: str | None, metadata: dict[str, str], reason: str) -> None:
    line, _, texts = three()
    own = {key: str(line.deployments[0].id) for key in metadata}
    answer = line.leg(version, texts[3] if text is None else text, **own)
    assert isinstance(answer, NoWay)
    assert reason in answer.reason


def test_over_what_someone_else_wrote_nobody_goes_back() -> None:
    line, _, texts = three()
    line.text, line.version = f"{line.text}By hand.\n", 5
    answer = line.leg(2, texts[1])
    assert isinstance(answer, NoWay)
    assert "which someone else put there" in answer.reason
    assert (answer.now, answer.then) == (line.text, texts[1])


def test_the_text_of_an_item_is_found_under_what_came_later() -> None:
    items = [make_item(n) for n in (1, 2)]
    line = Line()
    one = line.put(compose(SYSTEM, items[0].edits), [items[0].id])
    line.put(compose(line.text, items[1].edits), [items[1].id])
    leg = without(
        "system", frozenset({items[0].id}), held(text=line.text, version=3), LABEL, line.deployments,
        {item.id: item for item in items}, {one.id: SYSTEM},
    )  # fmt: skip
    assert isinstance(leg, Leg)
    assert leg.text == compose(SYSTEM, items[1].edits)
    # Nothing of the first deployment is left.
    assert leg.passes == (one.id,)
    assert leg.undone == (items[0].id,)


def test_what_others_need_is_named() -> None:
    first = make_item(1)
    second = make_item(2, requires=[first.id])
    live = frozenset({first.id, second.id})
    assert needed_by(frozenset({first.id}), [first, second], live) == (second,)
    assert needed_by(live, [first, second], live) == ()
    third = make_item(3, requires=[second.id])
    assert needed_by(frozenset({first.id}), [third, first, second], live | {third.id}) == (second, third)
    assert needed_by(frozenset({first.id}), [first, second], frozenset({first.id})) == ()


def test_the_lineage_of_a_text_is_the_same_whatever_number_holds_it() -> None:
    line, items, texts = three()
    assert [one.new_version for one in lineage(sha256_of(texts[3]), "system", line.deployments)] == [4, 3, 2]
    assert lineage(sha256_of(SYSTEM), "system", line.deployments) == ()
    assert live_items(line.deployments) == frozenset(items)


@pytest.mark.parametrize(("follow", "beside"), [("label", True), ("latest", False)])
def test_what_stands_beside_the_text_goes_back_with_a_label_alone(follow: Follow, beside: bool) -> None:
    line, _, texts = three()
    current = held(text=line.text, version=4).model_copy(update={"frame_sha256": "tools of today"})
    target = held(text=texts[2], version=3).model_copy(update={"frame_sha256": "tools of then"})
    leg = to_version(target, current, PromptRef(follow=follow), line.deployments)
    assert isinstance(leg, Leg)
    assert leg.beside is beside
    # One deployment leaves, and still it is told first where more than its text goes.
    assert WayBack((leg,)).is_more_than_the_last is beside
