"""The files that belong to the project, without what tools and runs leave beside them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
OURS_THOUGH_HIDDEN = {".ci", ".github", ".gitignore"}
MADE_BY_TOOLS = {"__pycache__", "build", "dist", "node_modules"}


def belongs(name: str) -> bool:
    if name.startswith("."):
        return name in OURS_THOUGH_HIDDEN
    return name not in MADE_BY_TOOLS and not name.endswith(".egg-info")


def project_files(*suffixes: str, under: str = ".") -> Iterator[Path]:
    """Every file of the project under a folder, sorted; with suffixes (`".py"`), only those."""
    for folder, folders, names in os.walk(ROOT / under):
        folders[:] = sorted(name for name in folders if belongs(name))
        for name in sorted(filter(belongs, names)):
            path = Path(folder, name)
            if not suffixes or path.suffix in suffixes:
                yield path


def modules() -> list[Path]:
    """The product's own Python, without tests."""
    return [path for under in ("optimizer", "bot", "scripts") for path in project_files(".py", under=under)]


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()
