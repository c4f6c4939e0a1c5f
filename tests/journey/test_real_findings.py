"""`ratchet import` and `ratchet optimize --json` on real runs: true numbers, and findings that name the right tools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bot.cli import main
from tests.journey.shared import SHARED_TRACES
from tests.journey.test_truth import runs, truth

pytestmark = pytest.mark.shared_data("traces")

AIRLINE = "taubench_gpt4o_airline"
NAMED = {
    AIRLINE: {"book_reservation", "update_reservation_flights"},
    "tau2/qwen25-7b-airline": {"book_reservation"},
    "agentrx_tau_retail": {"find_user_id_by_email"},
    "tau2/gptoss120b-airline": {"transfer_to_human_agents"},
    "tau2/ftgpt41-telecom": {"get_details_by_id"},
}


@pytest.fixture
def folder(tmp_path: Path, dsn: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DATABASE_URL", dsn)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def optimized(run: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    lines = runs()[run]
    (folder / "run.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    agent = run.replace("/", "-")
    prompt, tools = (SHARED_TRACES / lines[0][name] for name in ("prompt_file", "tools_file"))
    words = ["--agent", agent, "--prompt", f"policy={prompt}", "--tools", str(tools)]
    assert main(["import", "run.jsonl", *words]) == 0
    capsys.readouterr()
    times = ["--since", "2024-01-01", "--until", "2026-12-01"]
    assert main(["optimize", "--agent", agent, "--json", *times]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("run", NAMED)
def test_the_findings_name_the_tools_that_are_in_trouble(
    run: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session = optimized(run, folder, capsys)
    titles = [item["title"] for item in session["items"]]
    for tool in NAMED[run]:
        assert any(title.startswith(tool) for title in titles), f"{tool} is not among {titles}"
    ids = {fact["id"] for fact in session["facts"]}
    assert all(set(item["facts"]) <= ids and item["facts"] for item in session["items"])


def test_the_numbers_in_the_json_are_those_of_the_truth(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session, dev = optimized(AIRLINE, folder, capsys), truth()[AIRLINE]["dev"]
    facts = {(fact["name"], tuple(fact["labels"].items())): fact["value"] for fact in session["facts"]}
    assert facts["sessions", ()] == dev["sessions"]
    assert round(facts["success_rate", ()], 4) == dev["success_rate"]
    assert facts["escalations", ()] == dev["escalations"]["sessions"]
    for tool, counted in dev["tools"].items():
        assert facts["tool.calls", (("tool", tool),)] == counted["calls"]
        assert facts["tool.errors", (("tool", tool),)] == counted["errors"]
    # The prompt that the traces name by its hash is the version that was imported.
    assert facts["sessions", (("prompt_version", "policy@1"),)] == dev["sessions"]
