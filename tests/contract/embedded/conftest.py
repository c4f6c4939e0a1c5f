from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from optimizer.db.embedded import open_embedded
from tests.contract.embedded.processes import Workers, end_all_in

# What only root can do or try: other users, closed folders, mounts.
collect_ignore = [] if os.geteuid() == 0 else ["test_as_root.py"]


@pytest.fixture(scope="session")
def stopped_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose database is there, and whose server has stopped. Not to be opened: see `home`."""
    folder = tmp_path_factory.mktemp("embedded") / "home"
    open_embedded(folder).close()
    end_all_in(folder)
    return folder


@pytest.fixture
def home(stopped_home: Path, new_home: Path) -> Path:
    """A home of the test's own with a database: a copy, which is quicker than initdb."""
    subprocess.run(["cp", "-a", str(stopped_home), str(new_home)], check=True)
    return new_home


@pytest.fixture
def new_home(tmp_path: Path) -> Iterator[Path]:
    """The path of a home that does not exist yet."""
    folder = tmp_path / "home"
    yield folder
    end_all_in(folder)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can enter, which `tmp_path` is not."""
    folder = Path(tempfile.mkdtemp(prefix="ratchet-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def workers() -> Iterator[Workers]:
    started = Workers()
    yield started
    started.end()
