"""MLflow for real: its store in this process, and its server over HTTP, both on SQLite.

It is large and slow to start, so its tests, marked `mlflow`, have a run of their own: `scripts/test --mlflow`. Where it
is not installed they are deselected, and the run says so.
"""

from __future__ import annotations

import importlib
import os
import socket
import sys
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest

from tests.plugins.real_parts import end, start, wait_until


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    absent = [] if find_spec("mlflow") else [item for item in items if item.get_closest_marker("mlflow")]
    if absent:
        config.hook.pytest_deselected(items=absent)
        items[:] = [item for item in items if item not in absent]


@pytest.fixture(scope="session")
def _mlflow_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"


@pytest.fixture
def mlflow_store(_mlflow_file: str) -> str:
    """The address of a SQLite store without prompts, which MLflow's client opens by itself."""
    return _emptied(_mlflow_file)


@pytest.fixture(scope="session")
def _mlflow_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("mlflow")
    log, store = folder / "log", f"sqlite:///{folder}/mlflow.db"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        # What `mlflow server` runs, without the processes around it, which would outlive a run that is killed.
        process = start(
            [sys.executable, "-m", "uvicorn", "--fd", str(listening.fileno()), "mlflow.server.fastapi_app:app"],
            log,
            environment={
                "HOME": str(folder),
                "MLFLOW_DISABLE_TELEMETRY": "true",
                "_MLFLOW_SERVER_ARTIFACT_ROOT": str(folder / "artifacts"),
                "_MLFLOW_SERVER_FILE_STORE": store,
                "_MLFLOW_SERVER_REGISTRY_STORE": store,
            },
            fds=[listening.fileno()],
        )
    wait_until(lambda: _answers(url), process, log)
    yield url
    end(process)


@pytest.fixture
def mlflow_server(_mlflow_process: str) -> str:
    """The address of a server without prompts."""
    return _emptied(_mlflow_process)


def mlflow_client(uri: str) -> Any:
    """MLflow's client as somebody else uses it."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    return importlib.import_module("mlflow").MlflowClient(tracking_uri=uri, registry_uri=uri)


def _emptied(uri: str) -> str:
    client = mlflow_client(uri)
    for prompt in client.search_prompts():
        client.delete_prompt(prompt.name)
    return uri


def _answers(url: str) -> bool:
    """Not by `/health`: the first question to its store takes seconds."""
    try:
        with urllib.request.urlopen(f"{url}/api/2.0/mlflow/registered-models/search", timeout=30) as answer:
            return answer.status == 200
    except OSError:
        return False
