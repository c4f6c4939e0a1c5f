"""A version as MLflow holds it: what of it is ours, and what a new one is made of."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from optimizer.errors import RegistryError
from optimizer.prompts.templates import frame_of, text_of, with_text
from optimizer.records.base import canonical_json, sha256_of
from optimizer.records.deployment import PromptVersion

COMMIT_CHARACTERS_MAX = 5000
_OURS = "ratchet"  # the tag of ours, as JSON
_PUBLISHED = "published"  # in it, what a publish says of itself, beside what the caller says
_MLFLOWS = ("mlflow.", "_mlflow")  # tags that MLflow writes, such as the runs that loaded the version

Message = dict[str, Any]


class Held(BaseModel):
    """One version, with what every later one takes over from it."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    version: int
    template: str | list[Message]  # of a chat: its messages
    tags: dict[str, str] = Field(default_factory=dict[str, str])
    response_format: dict[str, Any] | None = None
    settings: dict[str, Any] | None = Field(None, validation_alias="model_config")
    creation_timestamp: int = 0  # milliseconds

    @cached_property
    def text(self) -> str:
        return self.template if isinstance(self.template, str) else text_of(_blocks(self.template))

    @cached_property
    def sha256(self) -> str:
        return sha256_of(self.text)

    @cached_property
    def published(self) -> Mapping[str, Any]:
        """What our publish wrote down; empty for a version that is not ours.

        Anybody may copy a tag: one that speaks of another text is no word of ours about this one.
        """
        said: Any = self._ours.get(_PUBLISHED)
        said = cast("dict[str, Any]", said) if isinstance(said, dict) else {}
        return said if said.get("sha256") == self.sha256 else {}

    @cached_property
    def _ours(self) -> dict[str, Any]:
        try:
            found: Any = json.loads(self.tags.get(_OURS, "{}"))
        except ValueError:
            return {}
        return cast("dict[str, Any]", found) if isinstance(found, dict) else {}

    @property
    def owners_tags(self) -> dict[str, str]:
        return {key: value for key, value in self.tags.items() if key != _OURS and not key.startswith(_MLFLOWS)}

    @property
    def frame(self) -> list[Any]:
        """All that stands beside the text: equal for two versions that differ in text alone."""
        bare = "" if isinstance(self.template, str) else _messages(self.template, frame_of(_blocks(self.template)))
        return [bare, self.response_format or None, self.settings or None, self.owners_tags]

    def as_record(self, prompt: str) -> PromptVersion:
        return PromptVersion(
            prompt=prompt,
            version=self.version,
            text=self.text,
            sha256=self.sha256,
            frame_sha256=sha256_of(canonical_json(self.frame)),
            metadata={key: value for key, value in self._ours.items() if key != _PUBLISHED} if self.published else {},
            created_at=datetime.fromtimestamp(self.creation_timestamp / 1000, UTC) if self.creation_timestamp else None,
        )


@dataclass(frozen=True)
class NewVersion:
    """The arguments of `create_prompt_version`."""

    template: str | list[Message]
    description: str
    tags: dict[str, str]
    response_format: dict[str, Any] | None
    model_config: dict[str, Any] | None


def held_of(found: object, name: str) -> Held:
    """Raises `RegistryError` for a version that cannot be read: MLflow's client answers with None for some of them."""
    try:
        held = Held.model_validate(found)
        _ = held.sha256
    except (ValidationError, UnicodeEncodeError) as error:
        raise RegistryError(
            f"MLflow holds {name!r} in a form that cannot be read as a prompt; look at it there."
        ) from error
    return held


def new_version(
    text: str,
    base: Held | None,
    *,
    commit_message: str,
    metadata: Mapping[str, Any],
    deployment_id: str,
    after_version: int,
) -> NewVersion:
    """The base with this text. Raises `TemplateError` where the text does not fit it."""
    published = {"deployment_id": deployment_id, "sha256": sha256_of(text), "after_version": after_version}
    ours = json.dumps({**metadata, _PUBLISHED: published})
    chat = base.template if base and not isinstance(base.template, str) else None
    return NewVersion(
        template=text if chat is None else _messages(chat, with_text(_blocks(chat), text)),
        description=_cut(commit_message),
        tags={**(base.owners_tags if base else {}), _OURS: ours},
        response_format=base.response_format if base else None,
        model_config=base.settings if base else None,
    )


def _blocks(messages: list[Message]) -> Message:
    """A chat as `templates` knows it, where every content is a list of blocks."""
    changed = copy.deepcopy(messages)
    for message in changed:
        if isinstance(message.get("content"), str):
            message["content"] = [{"type": "text", "text": message["content"]}]
    return {"type": "chat", "messages": changed}


def _messages(before: list[Message], template: Message) -> list[Message]:
    """The messages of a template that `_blocks` made of those before, each content in the form that it had."""
    messages: list[Message] = template["messages"]
    for was, message in zip(before, messages, strict=True):
        if isinstance(was.get("content"), str):
            message["content"] = message["content"][0]["text"]
    return messages


def _cut(message: str) -> str:
    return message if len(message) <= COMMIT_CHARACTERS_MAX else f"{message[: COMMIT_CHARACTERS_MAX - 1]}…"
