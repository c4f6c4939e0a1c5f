"""Every function on the prompts of real agents."""

from __future__ import annotations

from pathlib import Path

import pytest

from optimizer.prompts.anchors import edit_to_remove
from optimizer.prompts.checks import check_prompt
from optimizer.prompts.diff import render_plain, word_diff
from optimizer.prompts.duplicates import included_blocks, repeated_blocks
from optimizer.prompts.edits import compose, locate, occurrences, problems
from optimizer.prompts.includes import compose_includes
from optimizer.prompts.placeholders import placeholders, template_syntax_problems
from optimizer.prompts.sections import best_section, insert_rule
from optimizer.prompts.tokens import estimate_tokens

pytestmark = pytest.mark.shared_data("traces/prompts")

FOLDER = Path(__file__).parents[4] / "shared" / "traces" / "prompts"
PROMPTS = sorted(FOLDER.glob("*.md"))
RULE = "When the tool answers with an error, read it, correct the arguments and call it once more."


@pytest.fixture(params=PROMPTS, ids=lambda path: path.stem)
def prompt(request: pytest.FixtureRequest) -> str:
    return request.param.read_text(encoding="utf-8")


def named(start: str) -> str:
    return next(path for path in PROMPTS if path.name.startswith(start)).read_text(encoding="utf-8")


def test_there_are_prompts() -> None:
    assert PROMPTS


@pytest.mark.parametrize(
    ("start", "tool", "title"),
    [
        ("taubench-airline", "book_reservation", "Book flight"),
        ("taubench-airline", "update_reservation_flights", "Modify flight"),
        ("taubench-retail", "find_user_id_by_email", "Retail agent policy"),
        ("taubench-retail", "cancel_pending_order", "Cancel pending order"),
        ("tau2-airline", "cancel_reservation", "Cancel flight"),
        ("tau2-telecom", "get_customer_by_phone", "Customer Lookup"),
        ("tau2-telecom", "transfer_to_human_agents", "Telecom Agent Policy"),
        ("tau2-telecom-solo", "nothing_like_it", "Telecom Agent Policy"),
    ],
)
def test_a_rule_finds_its_section(start: str, tool: str, title: str) -> None:
    assert best_section(named(start), [tool]).title == title


def test_rules_are_anchored_once_compose_and_pass_the_checks(prompt: str) -> None:
    edits = []
    for tool in (
        "book_reservation",
        "find_user_id_by_email",
        "get_details_by_id",
        "transfer_to_human_agents",
        "x",
    ):
        taken = [locate(prompt, edit) for edit in edits]
        edits.append(insert_rule("core", prompt, f"{tool}: {RULE}", [tool], clear_of=taken))
        assert occurrences(prompt, edits[-1].find) == 1
    assert problems(prompt, edits) == ()
    new = compose(prompt, edits)
    assert new.count(RULE) == 5
    assert check_prompt(prompt, new) == ()
    assert placeholders(new) == placeholders(prompt)
    shown = render_plain(word_diff(prompt, new))
    assert shown.count(RULE) == 5
    assert "[-" not in shown


def test_a_real_prompt_has_sound_syntax_and_some_tokens(prompt: str) -> None:
    assert template_syntax_problems(prompt) == ()
    assert estimate_tokens(prompt) > 1000
    assert check_prompt(prompt, prompt) == ()


def test_a_real_prompt_pasted_into_another_is_found_and_removed(prompt: str) -> None:
    core = "Core rules come first.\n\n{{PLAYBOOKS}}\n"
    pasted = f"{core}\n{prompt}\n\nThe end.\n"
    found = included_blocks(pasted, {"PLAYBOOKS": prompt})
    assert sum(block.characters for block in found) >= 0.95 * len(prompt.strip())
    edits = [edit_to_remove("core", pasted, *block.span) for block in found]
    left = compose(pasted, edits)
    assert compose_includes(left, {"PLAYBOOKS": prompt}).count(prompt.strip()) == 1
    assert len(left) < len(core) + 100


def test_a_real_prompt_that_stands_twice_is_found_and_removed(prompt: str) -> None:
    twice = f"{prompt.strip()}\n\nBetween.\n\n{prompt.strip()}\n"
    repeats = repeated_blocks(twice)
    assert sum(repeat.characters for repeat in repeats) >= 0.9 * len(prompt.strip())
    copies = [span for repeat in repeats for span in repeat.further]
    edits = [edit_to_remove("core", twice, *span, clear_of=copies) for span in copies]
    assert problems(twice, edits) == ()
    assert repeated_blocks(compose(twice, edits)) == ()
