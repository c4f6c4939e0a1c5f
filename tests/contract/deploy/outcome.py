"""What a story on PromptLayer came to, seen from everywhere: the workspace, the record, the notices, the audit."""

from __future__ import annotations

from typing import NamedTuple

from optimizer.prompts.templates import text_of
from optimizer.records.deployment import Deployment, Follow
from tests.builders import SYSTEM, Office
from tests.simulators.promptlayer_workspace import Prompt

ONCE, NOT_AT_ALL = "once", "not at all, told"
NEW = SYSTEM.replace("Rule 1:", "Rule 1: (always)")
_LETTERS = {SYSTEM: "a", NEW: "b"}


class Seen(NamedTuple):
    """`texts`: of the versions, oldest first (a: the base, b: the approved one); `moves`: where the label was put."""

    state: str
    item: str
    told: tuple[str, ...]
    texts: str
    moves: tuple[int, ...]


_FORWARD, _BACK = ("deployment_live",), ("deployment_live", "deployment_rolled_back")
_ENDS: dict[tuple[str, Follow, bool], Seen] = {
    (ONCE, "label", False): Seen("live", "deployed", _FORWARD, "ab", (1, 2)),
    (ONCE, "label", True): Seen("rolled_back", "failed", _BACK, "ab", (1, 2, 1)),
    # Where the newest version runs, labels are nobody's business.
    (ONCE, "latest", False): Seen("live", "deployed", _FORWARD, "ab", (1,)),
    (ONCE, "latest", True): Seen("rolled_back", "failed", _BACK, "aba", (1,)),
    (NOT_AT_ALL, "label", False): Seen("failed", "failed", ("deployment_failed",), "ab", (1,)),
    (NOT_AT_ALL, "label", True): Seen("live", "deployed", ("deployment_live", "rollback_failed"), "ab", (1, 2)),
}


async def outcome(office: Office, deployment: Deployment, stored: Prompt, *, back: bool, repeated: bool) -> str:
    """`ONCE`, `NOT_AT_ALL`, or what there is to see where it is neither.

    `repeated`: what is done only after its sender gave up may leave one more version with the same text.
    """
    seen = await _seen(office, deployment, stored)
    for end in (ONCE, NOT_AT_ALL):
        expected = _ENDS.get((end, office.follow, back))
        if expected is not None and seen in (expected, _with_one_more(expected) if repeated else expected):
            return end
    return f"neither: {seen}"


def _with_one_more(expected: Seen) -> Seen:
    return expected._replace(texts=expected.texts + expected.texts[-1])


async def _seen(office: Office, deployment: Deployment, stored: Prompt) -> Seen:
    session = await office.sessions.newest(office.agent)
    assert session is not None
    heads = {version.metadata["ratchet"].get("audit_head") for version in stored.versions if version.metadata}
    chain = await office.audit.verify(office.agent, frozenset(head for head in heads if head))
    assert chain.problem is None
    assert not await office.deployments.claim(office.agent, "who looks for work", 1), "a worker would go on for ever"
    notices = await office.notices.after(office.agent, 0)
    return Seen(
        deployment.state.value,
        session.items[0].state.value,
        tuple(one.kind for one in notices if one.kind.startswith(("deployment_", "rollback_failed"))),
        "".join(_LETTERS.get(text_of(one.template), "?") for one in stored.versions),
        tuple(version for _, version in stored.moves),
    )
