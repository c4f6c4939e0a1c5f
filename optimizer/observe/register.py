"""Prompts as the developer gives them: into the local registry, under the label that the agent loads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid5

from optimizer.clock import Clock, iso
from optimizer.errors import InputError, PromptNotFound
from optimizer.prompts.placeholders import has_placeholder, placeholders
from optimizer.records.base import sha256_of
from optimizer.records.deployment import PromptRef
from optimizer.registries.port import Registry
from optimizer.stores.agents import AgentStore
from optimizer.stores.audit import AuditStore, audit_body

PROMPT_BYTES_MAX = 1024 * 1024
_BY_CONTENT = UUID("5b0f6d3e-2c0a-4b1e-9d5e-6a1f2c3d4e5f")  # of ours: one publish for one content


@dataclass(frozen=True)
class Registered:
    """One prompt after the import: its version now, and whether that is new.

    `left` is the version that the file holds, where a later one is live: then nothing was changed.
    """

    name: str
    version: int
    is_new: bool
    left: int | None = None


def read_prompt(name: str, path: Path) -> str:
    """The text of a prompt file, byte for byte. Raises `InputError` when it cannot be a prompt."""
    where = f"The prompt {name!r} ({str(path)!r})"
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"{where} cannot be read ({error.strerror}); give it as --prompt {name}=FILE.") from error
    if len(raw) > PROMPT_BYTES_MAX:
        raise InputError(f"{where} is larger than 1 MB; give the text of the prompt alone.")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{where} is not UTF-8 (byte {error.start}); save it as UTF-8.") from error
    if "\0" in text:
        raise InputError(f"{where} holds a NUL character, which no registry can store; remove it.")
    if not text.strip():
        raise InputError(f"{where} is empty; give the text that the agent runs with.")
    return text


async def register_prompts(
    texts: Mapping[str, str],
    agent: str,
    configured: Mapping[str, PromptRef],
    registry: Registry,
    agents: AgentStore,
    audit: AuditStore,
    clock: Clock,
) -> tuple[Registered, ...]:
    """Publishes what is new and moves the labels. Given again, nothing changes, also after a later version went live.

    Includes are those of `configured` (ratchet.toml), else each `{{NAME}}` that is the name of another prompt.
    Raises `InputError` when a text lacks a placeholder that it must have, or includes a prompt that nobody knows;
    nothing is written then.
    """
    known = await agents.find(agent)
    names = {*texts, *(known.prompts if known else ())}
    refs = {name: configured.get(name) or _ref(name, text, names) for name, text in texts.items()}
    for name, text in texts.items():
        _require_included(name, refs[name], names)
        _require_placeholders(name, text, refs[name])
    done: list[Registered] = []
    for name, text in texts.items():
        done.append(await _publish(name, text, refs[name].label, agent, registry, audit, clock))
    await agents.register(agent, at=clock.now(), prompts={**(known.prompts if known else {}), **refs})
    return tuple(done)


def _ref(name: str, text: str, names: set[str]) -> PromptRef:
    by_folded = {other.casefold(): other for other in names if other != name}
    found = {holder: by_folded.get(_bare(holder).casefold()) for holder in placeholders(text)}
    return PromptRef(includes={_bare(holder): other for holder, other in found.items() if other is not None})


def _bare(placeholder: str) -> str:
    return placeholder.strip("{} ")


def _require_included(name: str, ref: PromptRef, names: set[str]) -> None:
    for holder, other in ref.includes.items():
        if other not in names:
            raise InputError(
                f"The prompt {name!r} includes {other!r} as {holder}, says ratchet.toml, but there is no such prompt; "
                f"correct ratchet.toml, or give that one too with --prompt {other}=FILE."
            )


def _require_placeholders(name: str, text: str, ref: PromptRef) -> None:
    for needed in (*ref.includes, *ref.required):
        if not has_placeholder(text, needed):
            written = needed if "{" in needed else f"{{{{{needed}}}}}"
            raise InputError(
                f"The prompt {name!r} has no {written}, which ratchet.toml says it has; add it, or correct "
                "ratchet.toml."
            )


async def _publish(
    name: str, text: str, label: str, agent: str, registry: Registry, audit: AuditStore, clock: Clock
) -> Registered:
    sha256 = sha256_of(text)
    try:
        held = await registry.current(name, label)
    except PromptNotFound:
        held = None
    if held is not None and held.sha256 == sha256:
        return Registered(name, held.version, is_new=False)
    if held is not None:
        # A file that is imported every day must not undo what was deployed since.
        known = await registry.history(name)
        own = max((one.version for one in known if one.sha256 == sha256), default=None)
        if own is not None and any(one.version > own and "deployment_id" in one.metadata for one in known):
            return Registered(name, held.version, is_new=False, left=own)
    version = await registry.publish(
        name,
        text,
        commit_message="Imported",
        metadata={"sha256": sha256},
        deployment_id=uuid5(_BY_CONTENT, f"{agent}\x1f{name}\x1f{sha256}"),
        base_version=held.version if held else None,
    )
    await registry.move_label(name, label, version.version, expected=held.version if held else None)
    at = clock.now()
    body = audit_body("prompt_imported", at=iso(at), prompt=name, version=version.version, label=label, sha256=sha256)
    await audit.write(agent, body, at)
    return Registered(name, version.version, is_new=True)
