"""What a published version says of itself in the registry: its commit message, its metadata, and reading that again.

Whoever looks at the registry sees it: nothing that was said in a chat or a trace stands in it, and no number of a
phone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast
from uuid import UUID

from pydantic import ValidationError

from optimizer.records.deployment import Approval, Deployment, Provenance, ProvenItem
from optimizer.records.facts import Fact
from optimizer.text.excerpt import one_line

COMMIT_CHARACTERS_MAX = 72  # PromptLayer's limit
METADATA_CHARACTERS_MAX = 4_000  # as JSON: a registry that keeps a version's words in one column holds 5,000
_TITLE_CHARACTERS_MAX = 120
_LABEL_CHARACTERS_MAX = 80
_PERSON_CHARACTERS_MAX = 24
_FACTS_MAX = 6  # of one item
_PEOPLE_MAX = 10
_FOREIGN_LABELS = frozenset({"signature"})  # words out of traces
_ITSELF = "ratchet"
_LONG_NUMBER = re.compile(r"\d{5,}")


def commit_message(deployment: Deployment) -> str:
    """`Ratchet: retry write_article; 2 more (dana)`, in at most 72 characters."""
    people = [_person(one.person, one.actor) for one in deployment.provenance.approvals]
    by = people or [_person(deployment.actor, deployment.actor)]
    if deployment.kind == "to_version":
        return _message(f"back to version {deployment.target_version}", "", by)
    undone = deployment.kind == "without"
    ids = deployment.undone if undone else deployment.items
    titles = {item.id: item.title for item in deployment.provenance.items}
    named = [titles[id_] for id_ in ids if id_ in titles]
    if not named:
        return _message(f"{'without ' if undone else ''}{len(ids)} item{'' if len(ids) == 1 else 's'}", "", by)
    more = f"; {len(ids) - 1} more" if len(ids) > 1 else ""
    return _message(f"without {named[0]}" if undone else named[0], more, by)


def metadata(deployment: Deployment, *, base_version: int, audit_head: str) -> dict[str, Any]:
    """Which session, items, approvers and facts, at most `METADATA_CHARACTERS_MAX` as JSON.

    Of more than fits, facts and then items are left out from the end; `items_left_out` counts those.
    """
    proven = {item.id: item for item in deployment.provenance.items}
    ids = dict.fromkeys((*deployment.items, *deployment.undone))
    items: list[dict[str, Any]] = [_item(proven[id_]) if id_ in proven else {"id": str(id_)} for id_ in ids]
    session_id = deployment.session_id or deployment.provenance.session_id
    said: dict[str, Any] = {
        "deployment_id": str(deployment.id),
        "kind": deployment.kind,
        "sha256": deployment.sha256,
        "base_version": base_version,
        "audit_head": audit_head,
        "session_id": str(session_id) if session_id else None,
        "approvals": [_approval(one) for one in deployment.provenance.approvals[:_PEOPLE_MAX]],
        "items": items,
    }
    if deployment.kind == "to_version":
        said["target_version"] = deployment.target_version
    if deployment.undone:
        said["undone"] = [str(id_) for id_ in deployment.undone]
    while len(json.dumps(said)) > METADATA_CHARACTERS_MAX and items:
        told = next((item for item in reversed(items) if item.get("facts")), None)
        if told is not None:
            told["facts"].pop()
        else:
            items.pop()
            said["items_left_out"] = said.get("items_left_out", 0) + 1
    return said


def going_back(deployment: Deployment, rollback: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Commit message and metadata of the text before, published again because the newest version is what runs."""
    actor = str(rollback.get("actor") or _ITSELF)
    by = _person(actor, actor)
    said = {
        "rolls_back": str(deployment.id),
        "sha256": deployment.base_sha256,
        "to_version": deployment.base_version,
        "by": {"person": by, "channel": actor.rpartition(":")[0]},
    }
    return _message(f"back to the text of version {deployment.base_version}", "", [by]), said


def provenance_in(said: Mapping[str, Any]) -> Provenance | None:
    """What the metadata of a version tells, for where the database does not; None where it is not ours to read.

    Without edits and without words: the registry has neither.
    """
    listed: Any = said.get("items")
    approvals: Any = said.get("approvals")
    try:
        return Provenance.model_validate(
            {
                "session_id": said.get("session_id"),
                "items": [{"key": "", **item, "edits": []} for item in _dicts(listed) if "title" in item],
                "approvals": [{**one, "actor": f"{one.get('channel', '')}:", "words": ""} for one in _dicts(approvals)],
            }
        )
    except ValidationError:
        return None


def deployment_in(said: Mapping[str, Any]) -> UUID | None:
    """The deployment that published a version, by its metadata."""
    try:
        return UUID(str(said.get("deployment_id")))
    except ValueError:
        return None


def _dicts(found: Any) -> list[dict[str, Any]]:
    listed = cast("list[Any]", found) if isinstance(found, list) else []
    return [cast("dict[str, Any]", one) for one in listed if isinstance(one, dict)]


def _message(what: str, more: str, people: Sequence[str]) -> str:
    by = people[0] if len(people) == 1 else f"{people[0]} + {len(people) - 1}"
    tail = f"{more} ({by})"
    opening = "Ratchet: "
    return f"{opening}{one_line(what, COMMIT_CHARACTERS_MAX - len(opening) - len(tail))}{tail}"


def _person(person: str, actor: str) -> str:
    """The name; of someone who has none, what follows the channel, without the middle of a long number."""
    named = person if person != actor else actor.partition(":")[2] or actor
    return one_line(_LONG_NUMBER.sub(lambda found: f"..{found[0][-2:]}", named), _PERSON_CHARACTERS_MAX)


def _approval(one: Approval) -> dict[str, Any]:
    channel = one_line(one.actor.partition(":")[0], _PERSON_CHARACTERS_MAX)
    return {"person": _person(one.person, one.actor), "channel": channel, "at": one.at.isoformat()}


def _item(item: ProvenItem) -> dict[str, Any]:
    told = [fact for fact in item.facts if _FOREIGN_LABELS.isdisjoint(fact.labels)]
    confirmed = {"confirmed": list(item.confirmed)} if item.confirmed else {}
    return {
        "id": str(item.id),
        "n": item.n,
        "title": one_line(item.title, _TITLE_CHARACTERS_MAX),
        "goal": item.goal,
        "facts": [_fact(fact) for fact in told[:_FACTS_MAX]],
        **confirmed,
    }


def _fact(fact: Fact) -> dict[str, Any]:
    labels = {name: one_line(value, _LABEL_CHARACTERS_MAX) for name, value in fact.labels.items()}
    said: dict[str, Any] = {"id": fact.id, "name": fact.name, "labels": labels, "value": fact.value, "n": fact.n}
    return said if fact.baseline is None else {**said, "baseline": fact.baseline}
