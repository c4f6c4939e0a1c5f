"""What goes live is the base with the kept edits, and nothing else: any subset of items, in both registries."""

from __future__ import annotations

import copy
from typing import Any
from uuid import uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optimizer.db.postgres import PostgresDatabase
from optimizer.prompts.edits import compose
from optimizer.prompts.templates import text_of, with_text
from optimizer.records.deployment import Deployment
from optimizer.records.session import Item
from optimizer.records.states import DeploymentState
from tests.builders import SYSTEM, TEXTS, Office, approve, make_item, rule_line
from tests.contract.registry.on_promptlayer import registry_on
from tests.simulators.promptlayer import PromptLayer

# Every example is an agent of its own in the test's database.
examples = settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])

TOPIC = "Write about {{ topic }}."
_HALF = SYSTEM.index("Rule 6:")
# Several messages and blocks, snippets, tools, variables: all that an edit must not touch.
TEMPLATE: dict[str, Any] = {
    "type": "chat",
    "messages": [
        {
            "role": "system",
            "content": [
                {"type": "text", "text": SYSTEM[:_HALF]},
                {"type": "image_url", "image_url": {"url": "{{ photo }}"}},
                {"type": "text", "text": f"@@@house_style@@@\r\n{SYSTEM[_HALF:]}"},
            ],
            "input_variables": ["photo", "house_style"],
            "template_format": "jinja2",
        },
        {"role": "placeholder", "name": "history"},
        {
            "role": "user",
            "content": [{"type": "text", "text": TOPIC}],
            "input_variables": ["topic"],
            "template_format": "jinja2",
        },
    ],
    "tools": [{"type": "function", "function": {"name": "write_article", "parameters": {"type": "object"}}}],
    "tool_choice": "auto",
    "input_variables": ["photo", "house_style", "topic"],
}


@st.composite
def proposals(draw: st.DrawFn) -> list[tuple[list[tuple[str, int, str]], bool]]:
    """Items as lists of (prompt, line, what stands there then), and whether each is kept; no two touch one line."""
    places = [(prompt, line) for prompt in TEXTS for line in range(12)]
    chosen = draw(st.lists(st.sampled_from(places), unique=True, min_size=1, max_size=6))
    replaced = st.sampled_from(["Always:", "Never\nand never:", "Ask first. Then:", "Rule é \u2013 \U0001f370:", "!"])
    items: list[tuple[list[tuple[str, int, str]], bool]] = []
    while chosen:
        size = draw(st.integers(1, 2))
        own, chosen = chosen[:size], chosen[size:]
        items.append(([(prompt, line, draw(replaced)) for prompt, line in own], draw(st.booleans())))
    return items


def items_of(drawn: list[tuple[list[tuple[str, int, str]], bool]], texts: dict[str, str]) -> list[tuple[Item, bool]]:
    return [
        (make_item(n, [rule_line(line, prompt, replace) for prompt, line, replace in edits], texts=texts), kept)
        for n, (edits, kept) in enumerate(drawn, 1)
    ]


async def carried_out(office: Office, items: list[tuple[Item, bool]]) -> tuple[Deployment, ...]:
    """Proposed together; those that are kept are approved and deployed."""
    session = await office.pending([item for item, _ in items])
    kept = [item for item, is_kept in items if is_kept]
    if not kept:
        return ()
    decided = await office.decide(session, approve(*kept))
    assert decided.batch_id is not None, decided
    await office.worker().work()
    batch = await office.deployments.batch(decided.batch_id)
    assert {one.state for one in batch} == {DeploymentState.live}
    return batch


def expected(texts: dict[str, str], items: list[tuple[Item, bool]]) -> dict[str, str]:
    return {
        prompt: compose(text, [edit for item, kept in items if kept for edit in item.edits if edit.prompt == prompt])
        for prompt, text in texts.items()
    }


@examples
@given(drawn=proposals())
async def test_a_local_version_is_the_base_with_the_kept_edits(database: PostgresDatabase, drawn: Any) -> None:
    office = await Office(database, agent=uuid4().hex).open()
    items = items_of(drawn, TEXTS)
    batch = await carried_out(office, items)
    assert {prompt: (await office.current(prompt)).text for prompt in TEXTS} == expected(TEXTS, items)
    history = await database.call("prompts_history", agent=office.agent, prompt=None, limit=100)
    ours = [row for row in history if "deployment_id" in row["metadata"]]
    assert len(ours) == len(batch) == len({edit.prompt for item, kept in items if kept for edit in item.edits})
    for row in ours:
        told = [item["n"] for item in row["metadata"]["items"]]
        assert told == [item.n for item, kept in items if kept and row["prompt"] in item.prompts]
        assert row["commit_message"].startswith(f"Ratchet: Trouble {told[0]}")
        assert len(row["commit_message"]) <= 72


@examples
@given(drawn=proposals())
async def test_a_template_keeps_all_but_the_text_of_the_kept_edits(
    database: PostgresDatabase, promptlayer_api: PromptLayer, drawn: Any
) -> None:
    workspace, prefix = promptlayer_api.workspace, f"{uuid4().hex}/"
    templates = {"system": TEMPLATE, "playbooks": with_text(TEMPLATE, text_of(TEMPLATE).replace("Rule ", "Play "))}
    for name, template in templates.items():
        workspace.publish(f"{prefix}{name}", copy.deepcopy(template), metadata={"team": "web"}, labels=("prod",))
    texts = {name: text_of(template) for name, template in templates.items()}
    office = Office(database, agent=uuid4().hex)
    office.registry = registry_on(promptlayer_api, prefix=prefix)
    items = items_of(drawn, texts)
    await carried_out(office, items)

    for name, text in expected(texts, items).items():
        stored = workspace.prompts[f"{prefix}{name}"]
        live = stored.version(stored.labels["prod"].version)
        assert live is not None
        assert text_of(live.template) == text
        # Put back, all is as it was: order, roles, images, tools, formats, variables, and the metadata of others.
        assert with_text(live.template, texts[name]) == templates[name]
        assert live.metadata is not None
        assert live.metadata["team"] == "web"
        assert len(stored.versions) == 1 + (text != texts[name])


def test_the_template_of_this_test_holds_what_an_edit_must_not_touch() -> None:
    text = text_of(TEMPLATE)
    assert (text.count("==="), TOPIC in text, "@@@house_style@@@\r\n" in text) == (6, True, True)
    assert all(text.count(f"Rule {line}:") == 1 for line in range(12))
