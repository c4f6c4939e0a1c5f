from __future__ import annotations

import pytest

from optimizer.diagnose.rules import diagnose
from optimizer.prompts.edits import compose, problems
from optimizer.records.findings import Finding, Goal
from optimizer.records.snapshot import PromptText
from tests.unit.diagnose.builders import Traffic, prompt, snapshot

GHOST = """## Ghost
Publish with push_to_ghost once the article is final. The slug is the title in lower case with hyphens.
Set the excerpt to the first two sentences, and never leave the feature image empty: take the one from the
research, and give it an alternative text of at most 120 characters. Tags come from the list that the user
has confirmed; a new tag needs a question first."""

TONE = """## Tone
Write for readers who know the field: short sentences, no filler, no exclamation marks, numbers with their
source. Where the research is silent say so instead of guessing, and keep quotations to one per section, with
the name of the person and the year. Headlines promise what the text keeps, and nothing more than that."""

PLAYBOOKS = """## Interview
Open with the person, not with the company. Ask for one number that surprised them, and put it into the first
third of the article. Close with what they would do differently today, in their own words, without a summary.

## Comparison
Name the criteria before the candidates. Give each candidate the same space and the same order of criteria.
End with the reader's situation in which each of them is the right choice, and do not crown a winner."""

MASTER = f"""You write articles for the company's blog.

{GHOST}

{TONE}

## Playbooks
{{{{PLAYBOOKS}}}}

{PLAYBOOKS}

{GHOST}

## Links
Call inject_links before publishing.

{TONE}
"""


def turns(sessions: int = 240, steps: int = 2400) -> Traffic:
    return Traffic(sessions).add("steps", sessions, steps)


def findings_of(*prompts: PromptText, traffic: Traffic | None = None) -> dict[str, Finding]:
    found = diagnose(snapshot(traffic or turns(), prompts=prompts)).findings
    return {finding.title.partition(" (")[0]: finding for finding in found}


BLOG = (prompt("master_system_core", MASTER, PLAYBOOKS="playbooks"), prompt("playbooks", PLAYBOOKS))


def test_each_text_that_stands_twice_is_one_saving() -> None:
    findings = findings_of(*BLOG)
    assert set(findings) == {
        "Playbooks text stands twice in master_system_core",
        "Ghost block stands twice in master_system_core",
        "Tone block stands twice in master_system_core",
    }
    assert {finding.goal for finding in findings.values()} == {Goal.cost}
    assert len({finding.key for finding in findings.values()}) == 3


def test_any_of_the_edits_apply_together_and_leave_one_of_each() -> None:
    findings = list(findings_of(*BLOG).values())
    edits = [edit for finding in findings for edit in finding.edits]
    assert len(edits) == 3
    assert problems(MASTER, edits) == ()
    result = compose(MASTER, edits)
    assert result.count(GHOST) == 1
    assert result.count(TONE) == 1
    assert PLAYBOOKS not in result
    assert "{{PLAYBOOKS}}" in result
    assert "Call inject_links before publishing." in result
    for finding in findings:
        assert len(compose(MASTER, finding.edits)) < len(MASTER) - 200


def test_the_saving_is_told_per_turn_and_per_day() -> None:
    traffic = turns().add("cost_usd", 240, 10.56).add("tokens_in", 240, 12_000_000)
    found = findings_of(*BLOG, traffic=traffic)["Ghost block stands twice in master_system_core"]
    wasted = -(-len(GHOST) // 4)
    assert found.title == f"Ghost block stands twice in master_system_core (~{wasted} tokens/turn)"
    assert found.severity == wasted
    assert found.impact == pytest.approx(wasted * 2400)
    assert f"~{wasted} tokens per turn. With 2.4k turns a day" in found.detail
    assert "$" in found.detail
    assert found.cites[0].name == "prompt.duplicated_tokens"
    assert found.cites[0].value == wasted


def test_turns_are_those_of_the_prompt_where_sessions_name_theirs() -> None:
    traffic = turns().add("steps", 100, 700, prompt_version="master_system_core@v7")
    traffic.add("steps", 20, 100, prompt_version="master_system_core@v8")
    traffic.add("steps", 240, 1600, prompt_version="another@v1")
    found = findings_of(*BLOG, traffic=traffic)["Ghost block stands twice in master_system_core"]
    assert found.impact == pytest.approx(found.severity * 800)


def test_the_turns_of_an_included_prompt_are_those_of_the_prompts_that_include_it() -> None:
    twice = f"{GHOST}\n\n{TONE}\n\n{GHOST}\n"
    traffic = turns().add("steps", 100, 700, prompt_version="master@v7")
    traffic.add("steps", 140, 1700, prompt_version="another@v1")
    prompts = (prompt("master", "You write.\n{{GUIDE}}\n", GUIDE="guide"), prompt("guide", twice))
    found = findings_of(*prompts, traffic=traffic)["Ghost block stands twice in guide"]
    assert found.impact == pytest.approx(found.severity * 700)


def test_three_copies_are_one_finding_with_two_removals() -> None:
    text = f"Start.\n\n{GHOST}\n\n## A\nText.\n\n{GHOST}\n\n## B\nText.\n\n{GHOST}\n\n## C\nText.\n"
    found = findings_of(prompt("core", text))["Ghost block stands 3 times in core"]
    assert compose(text, found.edits).count(GHOST) == 1
    assert found.severity == 2 * -(-len(GHOST) // 4)


def test_a_text_that_is_both_is_one_finding() -> None:
    master = f"You write.\n\n{PLAYBOOKS}\n\n## Rules\n{{{{PLAYBOOKS}}}}\n\n{PLAYBOOKS}\n\n## End\nBye.\n"
    core = prompt("core", master, PLAYBOOKS="playbooks")
    findings = findings_of(core, prompt("playbooks", PLAYBOOKS))
    assert set(findings) == {"Playbooks text stands twice in core"}
    assert PLAYBOOKS not in compose(master, findings["Playbooks text stands twice in core"].edits)


def test_copies_that_stand_next_to_each_other_go_by_edits_of_their_own() -> None:
    text = f"{GHOST}\n\n{TONE}\n\n## Work\nText.\n\n{TONE}\n\n{GHOST}\n"
    findings = findings_of(prompt("core", text))
    assert len(findings) == 2
    edits = [edit for finding in findings.values() for edit in finding.edits]
    assert problems(text, edits) == ()
    assert compose(text, edits).count(GHOST) == compose(text, edits).count(TONE) == 1


def test_a_longer_and_a_shorter_copy_of_one_text_are_one_finding() -> None:
    both = f"{GHOST}\n{TONE.partition(chr(10))[2][:90]}"
    text = f"{both}\n\n## A\nText.\n\n{GHOST}\n\n## B\nText.\n\n{both}\n\n## C\nText.\n"
    found = diagnose(snapshot(turns(), prompts=[prompt("core", text)])).findings
    assert len({finding.key for finding in found}) == len(found) == 1
    assert compose(text, found[0].edits).count(GHOST) == 1


def test_short_texts_may_stand_twice() -> None:
    line = "Always answer in the language of the user."
    assert findings_of(prompt("core", f"{line}\n\n## A\nText.\n\n{line}\n")) == {}


def test_the_key_stays_when_the_text_around_it_changes() -> None:
    one = findings_of(prompt("core", f"{GHOST}\n\nBetween.\n\n{GHOST}\n"))
    other = findings_of(prompt("core", f"New first line.\n\n{GHOST}\n\nOther words.\n\n{GHOST}\n\nEnd.\n"))
    assert [f.key for f in one.values()] == [f.key for f in other.values()]


def test_prompts_that_include_each_other_are_read_all_the_same() -> None:
    a = prompt("a", f"{GHOST}\n{{{{B}}}}\n\n{TONE}\n", B="b")
    b = prompt("b", f"{GHOST}\n{{{{A}}}}\n", A="a")
    found = diagnose(snapshot(turns(), prompts=[a, b])).findings
    assert {finding.key for finding in found} == {"prompt_included_twice:a:b", "prompt_included_twice:b:a"}


def test_an_include_that_is_not_registered_is_passed_over() -> None:
    assert findings_of(prompt("core", "Text.\n{{GONE}}\n", GONE="gone")) == {}


def test_a_removal_that_would_take_the_only_placeholder_is_left_to_a_person() -> None:
    shared = f"{GHOST}\nThe reader is {{{{AUDIENCE}}}}."
    core = prompt("core", f"Start.\n\n{shared}\n\n{{{{GUIDE}}}}\n", GUIDE="guide")
    found = diagnose(snapshot(turns(), prompts=[core, prompt("guide", shared)])).findings
    assert [finding.rule for finding in found] == ["prompt_included_twice"]
    for finding in found:
        assert not finding.edits or "{{AUDIENCE}}" in compose(core.text, finding.edits)


def test_a_sentence_or_two_that_two_sections_share_is_nothing_to_pay_attention_to():
    shared = TONE.partition("\n")[2][:240]
    text = f"## Modify a booking\n{shared}\n\nThen ask.\n\n## Cancel a booking\n{shared}\n\nThen cancel.\n"
    assert findings_of(prompt("core", text)) == {}
