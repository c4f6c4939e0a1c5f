"""The common ground of all records."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """Immutable. `Verdict(...)` is strict about unknown fields: a misspelt one is an error, not a silence."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def model_validate(
        cls, obj: Any, *, extra: Literal["allow", "ignore", "forbid"] | None = "ignore", **options: Any
    ) -> Self:
        """The record of a stored row. What a later release wrote beside the known fields is left out, at any depth:
        the release before runs on the rows of the one after. Raises pydantic's `ValidationError` for the rest.
        """
        return super().model_validate(obj, extra=extra, **options)


def canonical_json(value: Any) -> str:
    """One text for one value: sorted keys, no spaces, no NaN. Hashes are made over this."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sha256_of(text: str) -> str:
    """Lower-case hex SHA-256 of the UTF-8 bytes."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
