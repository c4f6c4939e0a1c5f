"""What is said where a registry that cannot compare and set finds that somebody else was faster."""

from __future__ import annotations

from typing import Literal

from optimizer.errors import RegistryConflict


def require_nothing_between(prompt: str, before: int, ours: int, pointer: Literal["label", "alias"]) -> None:
    """Raises `RegistryConflict` where somebody else published between the look at the newest version and ours."""
    between = range(before + 1, ours)
    if between:
        named = f"version {between[0]}" if len(between) == 1 else f"versions {between[0]} to {between[-1]}"
        raise RegistryConflict(
            f"Someone else published {named} of {prompt!r} while version {ours} was published; nothing of "
            f"either is lost, no {pointer} was moved: look at both, then run the optimization again."
        )


def stands_elsewhere(
    prompt: str, label: str, at: int | None, expected: int | None, pointer: Literal["label", "alias"] = "label"
) -> RegistryConflict:
    stands = f"version {at}" if at else "no version"
    where = expected or "no version"
    return RegistryConflict(
        f"The {pointer} {label!r} of {prompt!r} stands at {stands}, not at {where}: someone else moved it; look again."
    )
