"""`registry = "promptlayer"`: what the commands need, and say."""

from __future__ import annotations

import pytest

from tests.journey.cli.program import Ratchet, line, lines
from tests.simulators.promptlayer import Fault, PromptLayer

TEXT = "Be kind to whoever asks, and say where you know it from. " * 5
TOML = "registry = 'promptlayer'\nprompts.main = {}"


@pytest.fixture
def here(at, dsn: str, promptlayer_api: PromptLayer) -> Ratchet:
    """The command line with a key and an address."""
    ratchet = at(dsn, PROMPTLAYER_API_KEY=promptlayer_api.key, PROMPTLAYER_BASE_URL=promptlayer_api.url)
    ratchet.approve("x", TOML)
    ratchet.write("main.md", TEXT)
    ratchet.write("day.jsonl", lines(line("a")))
    return ratchet


def test_without_a_key_nothing_that_needs_the_prompts_is_done(ratchet: Ratchet) -> None:
    ratchet.approve("x", TOML)
    ratchet.write("main.md", TEXT)
    for words in ("import --agent x --prompt main=main.md", "optimize --agent x"):
        said = ratchet(*words.split())
        assert (said.code, said.out) == (2, "")
        assert "'promptlayer' in ratchet.toml, and PROMPTLAYER_API_KEY is not set; set it to a key" in said.sentence
    said = ratchet("doctor")
    assert said.code == 2
    assert "PROMPTLAYER_API_KEY is not set" in said.sentence


def test_prompts_come_and_go_over_the_api(here: Ratchet, promptlayer_api: PromptLayer) -> None:
    said = here("import", "day.jsonl", "--agent", "x", "--prompt", "main=main.md")
    assert said.code == 0, said
    held = promptlayer_api.workspace.prompts["main"]
    assert held.versions[0].template["messages"][0]["content"] == [{"type": "text", "text": TEXT}]
    assert held.labels["prod"].version == 1
    assert here("import", "--agent", "x", "--prompt", "main=main.md").code == 0
    assert len(held.versions) == 1
    assert here("optimize", "--agent", "x").code == 0
    told = here("doctor")
    assert (told.code, told.err) == (0, "")
    assert "PROMPTLAYER_API_KEY: set (hidden)\n" in told.out
    assert "PromptLayer, prompt main of x: version 1\n" in told.out
    assert here("doctor", "--verify-audit").code == 0


def test_a_key_that_is_refused_is_named_and_never_shown(here: Ratchet, promptlayer_api: PromptLayer) -> None:
    promptlayer_api.fail("labels", Fault.unauthorized, Fault.unauthorized)
    said = here("import", "--agent", "x", "--prompt", "main=main.md")
    assert said.code == 1
    assert "PromptLayer refused the key (401 Invalid API key)" in said.sentence
    assert "PROMPTLAYER_API_KEY" in said.sentence
    told = here("doctor")
    assert told.code == 1
    assert told.sentence.startswith("PromptLayer, prompt main of x: PromptLayer refused the key")
    assert promptlayer_api.key not in said.err + told.err + told.out


def test_a_key_that_no_agent_uses_is_said_to_be_unused(at, dsn: str) -> None:
    assert (
        'PROMPTLAYER_API_KEY: set (hidden); not used, no agent in ratchet.toml has registry = "promptlayer"'
        in at(dsn, PROMPTLAYER_API_KEY="pl_1")("doctor").out
    )
