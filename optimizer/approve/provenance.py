"""What a version is made of: who approved which items, in which words, on which evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from optimizer.records.deployment import Approval, Deployment, PlannedDeployment, Provenance, ProvenItem
from optimizer.records.session import Item, Session

Confirmed = Mapping[UUID, frozenset[str]]  # item -> the checks that a second yes lets it through


def provenance_of(
    session: Session, deployment: PlannedDeployment | Deployment, approvals: Sequence[Approval], confirmed: Confirmed
) -> Provenance:
    """Of one prompt's deployment, as it is decided. `approvals` without those that stand as votes on its items."""
    items = [item for item in session.items if item.id in deployment.items]
    votes = [
        Approval(person=vote.person, actor=vote.actor, words=vote.words, at=vote.voted_at)
        for item in items
        for vote in item.votes
        if vote.content_sha256 == item.content_sha256 and vote.base_sha256 == item.base_sha256
    ]
    by_person = {one.person: one for one in (*votes, *approvals)}
    planned = isinstance(deployment, PlannedDeployment)
    return Provenance(
        session_id=session.id,
        items=tuple(_proven(session, item, deployment.prompt, confirmed) for item in items),
        approvals=tuple(by_person.values()),
        rehearsal=deployment.rehearsal if planned else deployment.provenance.rehearsal,
    )


def _proven(session: Session, item: Item, prompt: str, confirmed: Confirmed) -> ProvenItem:
    facts = (session.fact(id_) for id_ in item.facts)
    return ProvenItem(
        id=item.id,
        n=item.n,
        title=item.title,
        goal=item.goal,
        key=item.key,
        facts=tuple(fact for fact in facts if fact is not None),
        edits=tuple(edit for edit in item.edits if edit.prompt == prompt),
        confirmed=tuple(sorted(confirmed.get(item.id, ()))),
    )
