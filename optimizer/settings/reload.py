"""The address that makes an agent read its prompts again."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from optimizer.settings.tables import Section


def _address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise PydanticCustomError("address", 'it should be an address, as in "https://agent.example/reload"')
    if parts.username or parts.password:
        raise PydanticCustomError("address", "it holds a name or a password; leave them out, each call is signed")
    return text


class ReloadSettings(Section):
    url: Annotated[str, Field(max_length=2000), AfterValidator(_address)]
