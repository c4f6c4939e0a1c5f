"""What a PromptLayer workspace holds, and what its API answers; tests look at it directly."""

from __future__ import annotations

import copy
import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

COMMIT_MESSAGE_MAX = 72
NAME_MAX = 512
_SNIPPET = re.compile(r"@@@([^@\n]+)@@@")


class Answer(NamedTuple):
    status: int
    body: Any = None


@dataclass
class Version:
    id: int
    number: int
    template: dict[str, Any]
    metadata: dict[str, Any] | None
    commit_message: str | None
    created_at: str


@dataclass
class Label:
    id: int
    version: int


@dataclass
class Prompt:
    id: int
    name: str
    tags: list[str] = field(default_factory=list[str])
    versions: list[Version] = field(default_factory=list[Version])
    labels: dict[str, Label] = field(default_factory=dict[str, Label])
    protected: set[str] = field(default_factory=set[str])  # labels that an approval in the web page moves
    moves: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])  # where labels went, oldest first

    def version(self, number: int) -> Version | None:
        return next((one for one in self.versions if one.number == number), None)


def not_found(what: str) -> Answer:
    return Answer(404, {"success": False, "message": f"{what} not found"})


def invalid(*where: str, message: str) -> Answer:
    return Answer(422, {"detail": [{"loc": ["body", *where], "msg": message, "type": "value_error"}]})


@dataclass
class Workspace:
    """Everything that is stored. Its methods are also what a person does in the web page."""

    prompts: dict[str, Prompt] = field(default_factory=dict[str, Prompt])
    logged: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    keeps_metadata: bool = True  # of what is documented, `model`, it keeps all
    stores: Callable[[dict[str, Any]], dict[str, Any]] = copy.deepcopy  # what becomes of a template that is sent
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(100))

    def publish(
        self,
        name: str,
        template: dict[str, Any],
        *,
        metadata: dict[str, Any] | None = None,
        commit_message: str | None = None,
        tags: list[str] | None = None,
        labels: tuple[str, ...] = (),
    ) -> Version:
        prompt = self.prompts.setdefault(name, Prompt(next(self._ids), name))
        prompt.tags = prompt.tags if tags is None else tags
        number = prompt.versions[-1].number + 1 if prompt.versions else 1
        written_at = datetime.now(UTC).isoformat()
        version = Version(
            next(self._ids), number, copy.deepcopy(template), copy.deepcopy(metadata), commit_message, written_at
        )
        prompt.versions.append(version)
        for label in labels:
            self.put_label(name, label, number)
        return version

    def put_label(self, name: str, label: str, version: int) -> Label:
        prompt = self.prompts[name]
        if label not in prompt.labels or prompt.labels[label].version != version:
            prompt.moves.append((label, version))
        held = prompt.labels.setdefault(label, Label(next(self._ids), version))
        held.version = version
        return held

    def find(self, name_or_id: str) -> Prompt | None:
        found = self.prompts.get(name_or_id)
        return found or next((one for one in self.prompts.values() if str(one.id) == name_or_id), None)

    # ---- what the routes answer

    def get(self, name: str, version: str | None, label: str | None, resolve_snippets: bool = False) -> Answer:
        prompt = self.find(name)
        if prompt is None:
            return not_found("Prompt template")
        if version is not None and label is not None:
            return invalid("version", message="give version or label")
        if version is not None and not version.isdecimal():
            return invalid("version", message="value is not a valid integer")
        if label is not None:
            if label not in prompt.labels:
                return not_found("Release label")
            version = str(prompt.labels[label].version)
        held = prompt.versions[-1] if version is None else prompt.version(int(version))
        if held is None:
            return not_found("Version")
        template = self._resolved(held.template) if resolve_snippets else held.template
        return Answer(
            200,
            {
                "success": True,
                "id": prompt.id,
                "prompt_name": prompt.name,
                "version": held.number,
                "workspace_id": 1,
                "prompt_template": template,
                "metadata": held.metadata,
                "commit_message": held.commit_message,
                "tags": prompt.tags,
                "created_at": held.created_at,
                "snippets": [],
                "llm_kwargs": None,
                "provider_base_url": None,
                "warning": None,
            },
        )

    def _resolved(self, value: Any) -> Any:
        """The template with the newest text of each snippet in it, all the way down."""
        if isinstance(value, dict):
            return {key: self._resolved(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self._resolved(one) for one in value]
        return _SNIPPET.sub(lambda match: self._snippet(match[1], match[0]), value) if isinstance(value, str) else value

    def _snippet(self, name: str, written: str) -> str:
        held = self.prompts.get(name)
        return held.versions[-1].template["content"][0]["text"] if held else written

    def list(self, page: int, per_page: int, label: str | None) -> Answer:
        found = [one for one in self.prompts.values() if label is None or label in one.labels]
        items = [
            {
                "id": one.id,
                "prompt_name": one.name,
                "tags": one.tags,
                "folder_id": None,
                "prompt_template": one.versions[-1].template,
                "version": one.versions[-1].number,
                "commit_message": one.versions[-1].commit_message,
                "metadata": one.versions[-1].metadata,
            }
            for one in found[(page - 1) * per_page : page * per_page]
        ]
        pages = -(-len(found) // per_page)
        has = {"has_prev": page > 1, "has_next": page < pages, "page": page, "pages": pages}
        return Answer(200, {"items": items, "per_page": per_page, "total": len(found), **has})

    def post(self, body: dict[str, Any]) -> Answer:
        base, version = body.get("prompt_template") or {}, body.get("prompt_version") or {}
        name, message = base.get("prompt_name"), version.get("commit_message")
        if not isinstance(name, str) or not 1 <= len(name) <= NAME_MAX:
            return invalid("prompt_template", "prompt_name", message=f"1 to {NAME_MAX} characters")
        if message is not None and len(message) > COMMIT_MESSAGE_MAX:
            return invalid("prompt_version", "commit_message", message=f"at most {COMMIT_MESSAGE_MAX} characters")
        if (version.get("prompt_template") or {}).get("type") not in ("chat", "completion"):
            return invalid("prompt_version", "prompt_template", "type", message="chat or completion")
        metadata = version.get("metadata") or {}
        if not self.keeps_metadata:
            metadata = {key: value for key, value in metadata.items() if key == "model"}
        held = self.publish(
            name,
            self.stores(version["prompt_template"]),
            metadata=metadata,
            commit_message=message,
            tags=base.get("tags"),
            labels=tuple(body.get("release_labels") or ()),
        )
        return self._published(name, held)

    def patch(self, name: str, body: dict[str, Any]) -> Answer:
        version, label = body.get("version"), body.get("label")
        based_on = self.get(name, None if version is None else str(version), label)
        if based_on.status != 200:
            return based_on
        template = copy.deepcopy(based_on.body["prompt_template"])
        for key in ("tools", "functions", "content", "response_format"):
            if key in body:
                template[key] = body[key]
        messages = body.get("messages", {})
        if isinstance(messages, list):
            template["messages"] = messages
        else:
            for index, message in messages.items():
                template["messages"][int(index)] = message
        metadata = copy.deepcopy(based_on.body["metadata"] or {})
        model = metadata.setdefault("model", {})
        model["parameters"] = {**model.get("parameters", {}), **body.get("model_parameters", {})}
        prompt_name = based_on.body["prompt_name"]
        labels = tuple(body.get("release_labels") or ())
        held = self.publish(
            prompt_name, template, metadata=metadata, commit_message=body.get("commit_message"), labels=labels
        )
        return self._published(prompt_name, held)

    def _published(self, name: str, held: Version) -> Answer:
        prompt = self.prompts[name]
        return Answer(
            201,
            {
                "id": prompt.id,
                "prompt_name": name,
                "prompt_version_id": held.id,
                "version_number": held.number,
                "tags": prompt.tags,
                "release_labels": [label for label, one in prompt.labels.items() if one.version == held.number],
                "prompt_template": held.template,
                "metadata": held.metadata,
                "commit_message": held.commit_message,
                "external_ids": [],
            },
        )

    def labels(self, name: str) -> Answer:
        prompt = self.find(name)
        if prompt is None:
            return not_found("Prompt template")
        return Answer(200, {"release_labels": [_label(prompt, label) for label in prompt.labels]})

    def create_label(self, prompt_id: str, body: dict[str, Any]) -> Answer:
        prompt = next((one for one in self.prompts.values() if str(one.id) == prompt_id), None)
        name, version = body.get("name"), body.get("prompt_version_number")
        if prompt is None or not isinstance(name, str) or name in prompt.labels:
            return invalid("name", message="no such prompt, or a label that is there already")
        if not isinstance(version, int) or prompt.version(version) is None:
            return invalid("prompt_version_number", message="no such version")
        self.put_label(prompt.name, name, version)
        return Answer(201, _moved(prompt, name))

    def move_label(self, label_id: str, body: dict[str, Any], *, moves: bool) -> Answer:
        """A protected label answers as one that moved, and waits for somebody's approval in the web page."""
        prompt, name = self._by_label(label_id)
        version = body.get("prompt_version_number")
        if prompt is None or not isinstance(version, int) or prompt.version(version) is None:
            return invalid("prompt_version_number", message="no such label or version")
        if moves and name not in prompt.protected:
            self.put_label(prompt.name, name, version)
        return Answer(200, _moved(prompt, name))

    def delete_label(self, label_id: str) -> Answer:
        prompt, name = self._by_label(label_id)
        if prompt is None:
            return invalid("label_id", message="no such label")
        del prompt.labels[name]
        return Answer(204)

    def _by_label(self, label_id: str) -> tuple[Prompt | None, str]:
        every = ((prompt, name, held) for prompt in self.prompts.values() for name, held in prompt.labels.items())
        return next(((prompt, name) for prompt, name, held in every if str(held.id) == label_id), (None, ""))


def _label(prompt: Prompt, name: str) -> dict[str, Any]:
    held = prompt.labels[name]
    version = prompt.version(held.version)
    return {
        "prompt_version_id": version.id if version else None,
        "prompt_version_number": held.version,
        "release_label": name,
        "release_label_id": held.id,
    }


def _moved(prompt: Prompt, name: str) -> dict[str, Any]:
    held = prompt.labels[name]
    version = prompt.version(held.version)
    at = datetime.now(UTC).isoformat()
    known = {"prompt_id": prompt.id, "prompt_version_id": version.id if version else None}
    return {"id": held.id, "name": name, "created_at": at, **known}
