"""A version as PromptLayer holds it: what of it is ours, and what a new one is made of."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from optimizer.errors import RegistryError
from optimizer.prompts.templates import format_of, frame_of, new_template, text_of, with_text
from optimizer.records.base import canonical_json, sha256_of
from optimizer.records.deployment import PromptVersion

COMMIT_CHARACTERS_MAX = 72
_OURS = "ratchet"  # the key of ours in a version's metadata; all others are the owner's
_PUBLISHED = "published"  # in it, what a publish says of itself, beside what the caller says


class Held(BaseModel):
    """One version, with what every later one takes over from it."""

    model_config = ConfigDict(frozen=True)

    id: int  # of the prompt
    prompt_name: str
    version: int
    prompt_template: dict[str, Any]
    metadata: dict[str, Any] | None = None
    tags: list[Any] | None = None
    created_at: datetime | None = None

    @cached_property
    def text(self) -> str:
        return text_of(self.prompt_template)

    @cached_property
    def sha256(self) -> str:
        return sha256_of(self.text)

    @property
    def published(self) -> Mapping[str, Any]:
        """What our publish wrote down; empty for a version that is not ours.

        The web page copies the metadata of the version that somebody edits: what speaks of another text is no word
        of ours about this one.
        """
        said: Any = self._ours.get(_PUBLISHED)
        said = cast("dict[str, Any]", said) if isinstance(said, dict) else {}
        return said if said.get("sha256") == self.sha256 else {}

    @property
    def _ours(self) -> dict[str, Any]:
        found: Any = (self.metadata or {}).get(_OURS)
        return cast("dict[str, Any]", found) if isinstance(found, dict) else {}

    def as_record(self, prompt: str) -> PromptVersion:
        said = {key: value for key, value in self._ours.items() if key != _PUBLISHED} if self.published else {}
        rest = {key: value for key, value in (self.metadata or {}).items() if key != _OURS}
        at = self.created_at
        return PromptVersion(
            prompt=prompt,
            version=self.version,
            text=self.text,
            sha256=self.sha256,
            frame_sha256=sha256_of(canonical_json([frame_of(self.prompt_template), rest])),
            metadata=said,
            created_at=at and (at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)),
            template_format=format_of(self.prompt_template),
        )


class LabelHeld(BaseModel):
    release_label: str
    release_label_id: int
    prompt_version_number: int


class LabelsHeld(BaseModel):
    release_labels: list[LabelHeld] = Field(default_factory=list[LabelHeld])


def held_of(answer: Any, name: str, version: int | None) -> Held:
    """Raises `RegistryError` for an answer that is not about what was asked for."""
    try:
        held = Held.model_validate(answer)
        _ = held.sha256
    except (ValidationError, UnicodeEncodeError) as error:
        raise RegistryError(
            f"PromptLayer holds {name!r} in a form that cannot be read; look at it there, and at PROMPTLAYER_BASE_URL."
        ) from error
    if held.prompt_name != name:
        raise RegistryError(
            f"PromptLayer takes {name!r} for the number of {held.prompt_name!r}; give the prompt a name with letters."
        )
    if version is not None and held.version != version:
        raise RegistryError(f"PromptLayer answered with version {held.version} of {name!r}, not {version}; try again.")
    return held


def labels_of(answer: Any, name: str) -> dict[str, LabelHeld]:
    try:
        return {one.release_label: one for one in LabelsHeld.model_validate(answer).release_labels}
    except ValidationError as error:
        raise RegistryError(
            f"PromptLayer told the labels of {name!r} in a form that cannot be read; look at them there."
        ) from error


def publish_body(
    name: str,
    text: str,
    base: Held | None,
    *,
    commit_message: str,
    metadata: Mapping[str, Any],
    deployment_id: str,
    after_version: int,
) -> dict[str, Any]:
    """A version without a label: the base with this text. Raises `TemplateError` where the text does not fit it."""
    published = {
        "deployment_id": deployment_id,
        "sha256": sha256_of(text),
        "after_version": after_version,
        "commit_message": commit_message,  # whole
    }
    # A base that is our own version has our key: it is written anew.
    held = {key: value for key, value in (base.metadata or {}).items() if key != _OURS} if base else {}
    version = {
        "prompt_template": with_text(base.prompt_template, text) if base else new_template(text),
        "commit_message": _cut(commit_message),
        "metadata": {**held, _OURS: {**metadata, _PUBLISHED: published}},
    }
    prompt: dict[str, Any] = {"prompt_name": name}
    if base is not None and base.tags is not None:
        prompt["tags"] = base.tags
    return {"prompt_template": prompt, "prompt_version": version}


def _cut(message: str) -> str:
    return message if len(message) <= COMMIT_CHARACTERS_MAX else f"{message[: COMMIT_CHARACTERS_MAX - 1]}…"
