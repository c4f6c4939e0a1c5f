"""`registry = "mlflow"`: what the commands need, and say."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from tests.journey.cli.program import Ratchet, line, lines
from tests.plugins.mlflow import mlflow_client

TEXT = "Be kind to whoever asks, and say where you know it from. " * 5
TOML = "registry = 'mlflow'\nprompts.main = {}"


@pytest.fixture
def here(at, dsn: str, request: pytest.FixtureRequest) -> Ratchet:
    """The command line with an address, which is that of a real server where there is one."""
    needs_server = request.node.get_closest_marker("mlflow")
    url = request.getfixturevalue("mlflow_server") if needs_server else "http://ann:hunter2@127.0.0.1:9"
    ratchet = at(dsn, MLFLOW_TRACKING_URI=url)
    ratchet.approve("x", TOML)
    ratchet.write("main.md", TEXT)
    ratchet.write("day.jsonl", lines(line("a")))
    return ratchet


@pytest.mark.skipif(find_spec("mlflow") is not None, reason="MLflow is installed here")
def test_without_the_client_nothing_that_needs_the_prompts_is_done(here: Ratchet) -> None:
    for words in ("import --agent x --prompt main=main.md", "optimize --agent x"):
        said = here(*words.split())
        assert (said.code, said.out) == (2, "")
        assert "needs MLflow's client" in said.sentence
        assert "run `pip install 'mlflow-skinny>=3." in said.sentence
    told = here("doctor")
    assert told.code == 2
    assert told.sentence.startswith("MLflow, prompt main of x: The registry 'mlflow' in ratchet.toml needs")
    assert "MLFLOW_TRACKING_URI: set (hidden)\n" in told.out
    assert "hunter2" not in told.out + told.err


@pytest.mark.mlflow
def test_prompts_come_and_go_over_http_and_mlflow_says_nothing_of_its_own(here: Ratchet, mlflow_server: str) -> None:
    said = here("import", "day.jsonl", "--agent", "x", "--prompt", "main=main.md")
    assert (said.code, said.err) == (0, "")
    assert mlflow_client(mlflow_server).get_prompt_version("main", "prod").template == TEXT
    assert here("import", "--agent", "x", "--prompt", "main=main.md").code == 0
    assert len(mlflow_client(mlflow_server).search_prompt_versions("main")) == 1
    assert here("optimize", "--agent", "x").code == 0
    told = here("doctor")
    assert (told.code, told.err) == (0, "")
    assert "MLflow, prompt main of x: version 1\n" in told.out
    assert mlflow_server not in told.out
    assert here("doctor", "--verify-audit").code == 0
