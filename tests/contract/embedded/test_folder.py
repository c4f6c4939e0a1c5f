"""Where the server lives: paths, modes, settings, the log."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from optimizer.db.embedded import open_embedded
from optimizer.db.embedded.folder import LOG_BYTES_MAX, open_log, prepare, trim_log
from optimizer.errors import EmbeddedServerError
from tests.contract.embedded.processes import end_all_in

SELECT_ONE = "import psycopg, sys; print(psycopg.connect(sys.argv[1]).execute('select 1').fetchone()[0])"


@pytest.mark.parametrize("name", ["x" * 200, "it's a \\ folder, with = all"], ids=["long", "odd"])
def test_any_path_works_for_us_and_for_a_process_that_is_given_the_dsn(home: Path, name: str) -> None:
    home = home.rename(home.parent / name)
    with open_embedded(home) as server:
        child = [sys.executable, "-c", SELECT_ONE, server.dsn]
        assert subprocess.run(child, capture_output=True, text=True, check=True).stdout == "1\n"
        server.ensure()
    end_all_in(home)


def test_a_path_that_belongs_to_a_working_folder_still_works_after_a_change_of_folder(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home.parent)
    with open_embedded(Path("home")) as server:
        monkeypatch.chdir("/")
        server.ensure()
        with psycopg.connect(server.dsn) as connection:
            assert connection.execute("select 1").fetchone() == (1,)


def test_folders_that_were_there_keep_their_modes_and_new_ones_are_private(new_home: Path) -> None:
    home, parent = new_home, new_home.parent
    home.mkdir()
    parent.chmod(0o711)
    home.chmod(0o755)
    open_embedded(home).close()
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (parent, home, *(home / "postgres").iterdir())}
    assert modes.pop(parent) == 0o711
    assert modes.pop(home) == 0o755
    assert not [path for path, mode in modes.items() if mode & 0o077]


def test_the_server_is_set_up_for_a_laptop_and_loses_nothing(home: Path) -> None:
    wanted = {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "listen_addresses": "",
        "TimeZone": "UTC",
        "max_connections": "100",
        "server_encoding": "UTF8",
    }
    with open_embedded(home) as server, psycopg.connect(server.dsn) as connection:
        for name, value in wanted.items():
            assert connection.execute("select current_setting(%s)", [name]).fetchone() == (value,)
        assert connection.execute("select lower('ÄÖ')").fetchone() == ("äö",)


def test_what_a_failed_statement_held_is_not_in_the_log(home: Path) -> None:
    with open_embedded(home) as server, psycopg.connect(server.dsn) as connection:
        with pytest.raises(psycopg.errors.InvalidTextRepresentation):
            connection.execute("select 'a secret of the user'::int")
        assert "a secret" not in (home / "postgres/server.log").read_text()


def test_the_log_is_bounded_and_keeps_its_end(new_home: Path) -> None:
    log = open_log(prepare(new_home))
    os.write(log, b"old line\n" * (LOG_BYTES_MAX // 9 + 1))
    os.write(log, b"last line\n")
    trim_log(log)
    os.write(log, b"next line\n")
    os.close(log)
    text = (new_home / "postgres/server.log").read_text()
    assert len(text) < LOG_BYTES_MAX / 2
    assert text.endswith("old line\nlast line\nnext line\n")


def test_a_home_that_cannot_be_a_folder_is_one_clear_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EmbeddedServerError, match="set RATCHET_HOME to a folder"):
        open_embedded(tmp_path / "file" / "home")
