"""Text that stands twice in a prompt, or in a prompt and in one that it includes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from optimizer.diagnose.evidence import Evidence, shown
from optimizer.diagnose.rule import RuleOutcome, Thresholds
from optimizer.prompts.anchors import edit_for_span, edit_to_remove
from optimizer.prompts.duplicates import Included, Repeat, included_blocks, repeated_blocks
from optimizer.prompts.edits import problems
from optimizer.prompts.spans import Span
from optimizer.prompts.tokens import estimate_tokens
from optimizer.records.base import sha256_of
from optimizer.records.edits import Edit
from optimizer.records.findings import Finding, Goal
from optimizer.records.snapshot import PromptText, Snapshot
from optimizer.text.excerpt import one_line
from optimizer.text.numbers import about, tokens

BLOCK_NAME_CHARACTERS_MAX = 32
# From this part of an included prompt on, the whole of it is said to stand twice.
WHOLE_PART = 0.6


@dataclass(frozen=True)
class _Copies:
    """All that stands more than once in one prompt, each copy once, and the edits that take it out."""

    prompt: PromptText
    included: Mapping[str, Sequence[Included]]  # by the name of the included prompt
    repeats: Mapping[str, tuple[Repeat, Sequence[Span]]]  # by fingerprint, with copies that no include explains
    edits: Mapping[Span, Edit]  # by copy, each clear of all others

    def removals(self, copies: Sequence[Span]) -> tuple[Edit, ...]:
        """The edits for these copies; none where they would break the prompt, so that a person looks."""
        edits = [self.edits[copy] for copy in copies]
        return () if problems(self.prompt.text, edits) else tuple(edits)


def prompt_duplicates(snapshot: Snapshot, thresholds: Thresholds) -> RuleOutcome:
    """A block of text stands twice or more in one prompt. Text that an include brings is the next rule's."""
    evidence = Evidence(snapshot, snapshot.main)
    return RuleOutcome(
        tuple(
            _duplicate_finding(evidence, copies, fingerprint)
            for copies in _all_copies(snapshot, thresholds)
            for fingerprint in copies.repeats
        )
    )


def prompt_includes(snapshot: Snapshot, thresholds: Thresholds) -> RuleOutcome:
    """The text of an included prompt also stands, word for word, in the prompt that includes it."""
    evidence = Evidence(snapshot, snapshot.main)
    return RuleOutcome(
        tuple(
            _included_finding(evidence, copies, snapshot.prompts[name], blocks)
            for copies in _all_copies(snapshot, thresholds)
            for name, blocks in copies.included.items()
        )
    )


def _all_copies(snapshot: Snapshot, thresholds: Thresholds) -> Iterator[_Copies]:
    characters_min = int(thresholds["characters_min"])
    for _, prompt in sorted(snapshot.prompts.items()):
        texts = {name: snapshot.prompts[name].text for name in _reach(snapshot.prompts, prompt.name)}
        included: dict[str, list[Included]] = {}
        # Given by name instead of by placeholder, the blocks come back by name.
        for block in included_blocks(prompt.text, texts, min_characters=characters_min):
            included.setdefault(block.placeholder, []).append(block)
        taken = [block.span for blocks in included.values() for block in blocks]
        repeats: dict[str, tuple[Repeat, list[Span]]] = {}
        for repeat in repeated_blocks(prompt.text, min_characters=characters_min):
            if copies := [copy for copy in repeat.further if not any(map(copy.overlaps, taken))]:
                # A longer and a shorter copy of one text are one saving.
                repeats.setdefault(_fingerprint(prompt.text, repeat.first), (repeat, []))[1].extend(copies)
        spans = sorted([*taken, *(copy for _, copies in repeats.values() for copy in copies)])
        yield _Copies(prompt, included, repeats, _plan(prompt, spans))


def _duplicate_finding(evidence: Evidence, copies: _Copies, fingerprint: str) -> Finding:
    prompt, (repeat, spans) = copies.prompt, copies.repeats[fingerprint]
    name = one_line(repeat.title, BLOCK_NAME_CHARACTERS_MAX)
    subject = name if name.lower().endswith("block") else f"{name} block"
    times = _times(1 + len(spans))
    return _prompt_finding(
        evidence,
        copies,
        spans,
        rule="prompt_duplicate",
        key=f"prompt_duplicate:{prompt.name}:{fingerprint}",
        subject=f"{subject} stands {times} in {shown(prompt.name)}",
        why=f"The text under {name!r} stands {times}, word for word. One place is enough.",
        name=name,
    )


def _included_finding(evidence: Evidence, copies: _Copies, included: PromptText, blocks: Sequence[Included]) -> Finding:
    prompt = copies.prompt
    whole = sum(block.characters for block in blocks) >= WHOLE_PART * len(included.text)
    name = one_line(included.name if whole else blocks[0].title, BLOCK_NAME_CHARACTERS_MAX)
    return _prompt_finding(
        evidence,
        copies,
        [block.span for block in blocks],
        rule="prompt_included_twice",
        key=f"prompt_included_twice:{prompt.name}:{included.name}",
        subject=f"{name[:1].upper()}{name[1:]} text stands twice in {shown(prompt.name)}",
        why=(
            f"{shown(prompt.name)} includes {shown(included.name)} by its placeholder, and also holds the "
            "same text word for word. The edit takes the copy out and keeps the placeholder."
        ),
        name=name,
    )


def _prompt_finding(
    evidence: Evidence,
    copies: _Copies,
    spans: Sequence[Span],
    *,
    rule: str,
    key: str,
    subject: str,
    why: str,
    name: str,
) -> Finding:
    prompt = copies.prompt
    ratio = evidence.snapshot.characters_per_token
    wasted = sum(estimate_tokens(prompt.text[copy.start : copy.end], ratio) for copy in spans)
    turns = _turns_a_day(evidence, prompt.name)
    costs = f" With {about(turns)} turns a day that is {evidence.cost_a_day(wasted * turns)}." if turns >= 1 else ""
    labels = {"prompt": prompt.name, "text": name}
    return Finding(
        key=key,
        rule=rule,
        goal=Goal.cost,
        title=f"{subject} (~{about(wasted)} tokens/turn)",
        detail=f"{why} It is sent with every turn: {tokens(wasted)} per turn.{costs}",
        severity=wasted,
        impact=wasted * turns,
        cites=(evidence.cite("prompt.duplicated_tokens", wasted, None, labels=labels),),
        edits=copies.removals(spans),
    )


def _reach(prompts: Mapping[str, PromptText], start: str) -> list[str]:
    """The prompts that this one includes, directly or through others, without itself."""
    reached: list[str] = []
    waiting = list(prompts[start].includes.values())
    while waiting:
        name = waiting.pop(0)
        if name in prompts and name != start and name not in reached:
            reached.append(name)
            waiting += prompts[name].includes.values()
    return reached


def _plan(prompt: PromptText, spans: Sequence[Span]) -> dict[Span, Edit]:
    """One edit for each span, in order: with the gap that it leaves, unless its neighbour needs that."""
    edits: dict[Span, Edit] = {}
    previous: Span | None = None
    for span in spans:
        others = [other for other in spans if other != span]
        edits[span] = edit_to_remove(prompt.name, prompt.text, span.start, span.end, clear_of=others)
        if previous is not None and problems(prompt.text, [edits[previous], edits[span]]):
            bare = edit_for_span(
                prompt.name,
                prompt.text,
                previous.start,
                previous.end,
                "",
                clear_of=[other for other in spans if other != previous],
            )
            if not problems(prompt.text, [bare, edits[span]]):
                edits[previous] = bare
        previous = span
    return edits


def _turns_a_day(evidence: Evidence, prompt: str) -> float:
    """LLM responses a day under this prompt, or under those that include it, by the steps of the sessions."""
    by_version = evidence.now.by("steps", "prompt_version")
    prompts = evidence.snapshot.prompts
    including = [name for name in prompts if prompt in _reach(prompts, name)]
    for names in ([prompt], including):
        steps = [m.total for version, m in by_version.items() if version.rpartition("@")[0] in names]
        if steps:
            return evidence.per_day(sum(steps))
    return evidence.per_day(evidence.now.get("steps").total)


def _fingerprint(text: str, span: Span) -> str:
    """What the block is known by from day to day: its longest line; its edges move with the text around."""
    lines = (line.strip() for line in text[span.start : span.end].splitlines())
    return sha256_of(max(lines, key=len))[:12]


def _times(times: int) -> str:
    return "twice" if times == 2 else f"{times} times"
