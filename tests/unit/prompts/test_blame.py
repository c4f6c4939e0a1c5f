"""Where sentences come from: what a version brought, what it left, moved, took away and gave back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from optimizer.prompts.blame import Blame, Origin, Source, blame, likeness
from optimizer.prompts.edits import compose
from optimizer.prompts.sentences import sentences
from optimizer.records.edits import Edit

BASE = "# Front desk\n\nBe kind. Never guess.\n\n- Call find_guest first.\n- Call book_room once.\n\nSay goodbye.\n"


def edit(find: str, replace: str) -> Edit:
    return Edit(prompt="core", find=find, replace=replace)


def told(found: Blame) -> dict[str, Origin]:
    return {one.text.strip(): one.origin for one in found.sentences}


def after(*versions: Source | str | list[Edit]) -> Blame:
    """The blame of the last of these, numbered from 1: a text, the edits of the one before, or a version as it is."""
    line: list[Source] = []
    for number, one in enumerate(versions, 1):
        if isinstance(one, str):
            one = Source(number, one)
        elif isinstance(one, list):
            one = Source(number, compose(line[-1].text, one), tuple(one))
        line.append(one)
    found = blame(line)
    assert found.text == line[-1].text
    return found


def test_an_edit_names_its_version_and_all_else_keeps_its_own() -> None:
    found = told(after(BASE, [edit("Call book_room once.", "Call book_room once. Retry it on a timeout.")]))
    assert found.pop("Retry it on a timeout.") == Origin(2, (0,))
    assert set(found.values()) == {Origin(1)}
    assert "- Call book_room once." in found


def test_each_edit_of_a_version_is_named_for_what_it_brought() -> None:
    edits = [edit("Say goodbye.", "Say goodbye, by name."), edit("guess.", "guess. Ask."), edit("Never", "Do not")]
    found = told(after(BASE, edits))
    assert found["Say goodbye, by name."] == Origin(2, (0,))
    assert found["Ask."] == Origin(2, (1,))
    assert found["Do not guess."] == Origin(2, (1, 2))  # two edits meet in one sentence


def test_of_two_equal_sentences_the_new_one_is_the_one_that_the_edit_brought() -> None:
    above = after(BASE, [edit("# Front desk\n\n", "# Front desk\n\nBe kind. ")])
    assert [one.origin for one in above.sentences if one.text.strip() == "Be kind."] == [Origin(2, (0,)), Origin(1)]
    below = after(BASE, [edit("Never guess.", "Be kind. Never guess.")])
    assert [one.origin for one in below.sentences if one.text.strip() == "Be kind."] == [Origin(1), Origin(2, (0,))]


def test_what_somebody_else_wrote_is_found_by_comparing() -> None:
    by_hand = BASE.replace("Never guess.", "Never, ever guess.").replace("Say goodbye.\n", "Say goodbye.\nSmile.\n")
    found = told(after(BASE, by_hand, [edit("Smile.", "Smile twice.")]))
    assert found.pop("Never, ever guess.") == Origin(2)
    assert found.pop("Smile twice.") == Origin(3, (0,))
    assert set(found.values()) == {Origin(1)}


def test_a_sentence_that_moves_keeps_its_origin_and_a_copy_is_new() -> None:
    moved = BASE.replace("- Call find_guest first.\n", "") + "- Call find_guest first.\n"
    found = after(BASE, moved)
    assert set(told(found).values()) == {Origin(1)}
    assert not found.gone
    copied = after(BASE, f"{BASE}Be kind.\n")
    assert [one.origin for one in copied.sentences if one.text.strip() == "Be kind."] == [Origin(1), Origin(2)]


def test_what_is_taken_away_leaves_a_mark_where_it_stood() -> None:
    found = after(BASE, [edit("- Call book_room once.\n", "")], [edit("Be kind. ", "Be kind. Smile. ")])
    (mark,) = found.gone
    assert (mark.text.strip(), mark.origin) == ("- Call book_room once.", Origin(2, (0,)))
    assert found.sentences[mark.before].text.strip() == "Say goodbye."
    # What is replaced leaves none: the sentence in its place says it all.
    assert not after(BASE, [edit("Call book_room once.", "Call it twice.")]).gone


def test_what_one_edit_takes_away_is_told_beside_what_another_brings() -> None:
    brings = edit("- Call find_guest first.\n", "- Call find_guest first.\n- Ask for the name.\n")
    takes = edit("- Call book_room once.\n", "")
    for edits in ([brings, takes], [takes, edit("Say goodbye.\n", "Wave.\nSay goodbye.\n")]):
        found = after(BASE, edits)
        (mark,) = found.gone
        assert (mark.text.strip(), mark.origin.edits) == ("- Call book_room once.", (edits.index(takes),))
        assert found.text.index(found.sentences[mark.before].text) == BASE.index("Say goodbye.") + (
            len("- Ask for the name.\n") - len("- Call book_room once.\n") if brings in edits else -len(takes.find)
        )


def test_a_version_that_takes_an_item_back_gives_the_old_sentence_its_old_origin() -> None:
    first = [edit("Never guess.", "Always guess."), edit("- Call book_room once.\n", "")]
    changed = compose(BASE, first)
    back = compose(BASE, first[:1])
    found = after(
        BASE, [*first], [edit("Say goodbye.", "Wave.")], Source(4, back.replace("Say goodbye.", "Wave."), (), True)
    )
    assert told(found)["- Call book_room once."] == Origin(1)
    assert told(found)["Always guess."] == Origin(2, (0,))
    assert told(found)["Wave."] == Origin(3, (0,))
    assert not found.gone
    # By hand it is somebody's own sentence.
    by_hand = after(BASE, [*first], back)
    assert by_hand.text != changed
    assert told(by_hand)["- Call book_room once."] == Origin(3)


def test_edits_that_did_not_make_this_text_are_not_believed() -> None:
    source = Source(2, BASE.replace("once", "twice"), (edit("Never guess.", "Always guess."),))
    assert told(after(BASE, source))["- Call book_room twice."] == Origin(2)
    source = Source(2, BASE.replace("once", "twice"), (edit("not there", "x"),))
    assert told(after(BASE, source))["- Call book_room twice."] == Origin(2)


def test_nothing_has_no_origin_and_an_empty_text_can_grow() -> None:
    assert blame([]) == Blame(())
    assert told(after("", "Be kind.")) == {"Be kind.": Origin(2)}
    assert after("Be kind.", "").gone[0].text == "Be kind."


def test_likeness_counts_the_sentences_that_both_have() -> None:
    assert likeness("Be kind. Go.", "Go. Stop.") == len("Go.")
    assert likeness("", BASE) == 0


@st.composite
def lines_of_versions(draw: st.DrawFn) -> list[Source]:
    """Versions of unique sentences: edits of disjoint stretches of the one before, all known or compared."""
    fresh = iter(range(1000))

    def new() -> str:
        return f"S{next(fresh)}x{draw(st.sampled_from(['. ', '.' + chr(10), '.' + chr(10) * 2]))}"

    line = [Source(1, "".join(new() for _ in range(draw(st.integers(1, 8)))))]
    for number in range(2, draw(st.integers(2, 6)) + 1):
        text = line[-1].text
        spans = sentences(text)
        chosen = draw(st.sets(st.sampled_from(range(len(spans))), max_size=3)) if text.strip() else set[int]()
        edits = [
            edit(text[spans[at].start : spans[at].end], draw(_replacement)(text[spans[at].start : spans[at].end], new))
            for at in sorted(chosen)
        ]
        known = tuple(edits) if draw(st.booleans()) else ()
        line.append(Source(number, compose(text, edits), known))
    return line


_replacement = st.sampled_from(
    [
        lambda was, new: "",
        lambda was, new: new(),
        lambda was, new: f"{new()}{was}",
        lambda was, new: f"{was.rstrip()} {new()}",
        lambda was, new: new() + new(),
    ]
)


@given(lines_of_versions())
def test_every_sentence_names_the_version_that_first_had_it(line: list[Source]) -> None:
    """Sentences are unique here, so the truth is plain: the first version that holds one brought it."""
    found = blame(line)
    assert found.text == line[-1].text
    for one in found.sentences:
        core = one.text.strip()
        if not core:
            continue
        holders = [source for source in line if core in _cores(source.text)]
        assert one.origin.version == holders[0].version
        if holders[0].edits:
            (number,) = one.origin.edits
            assert core in holders[0].edits[number].replace
        else:
            assert one.origin.edits == ()
    for mark in found.gone:
        assert mark.text.strip() not in line[-1].text
        assert 0 <= mark.before <= len(found.sentences)


@given(st.lists(st.text(alphabet="AB. \n", max_size=30), min_size=1, max_size=5), st.booleans())
def test_whatever_the_texts_are_nothing_is_lost_or_invented(texts: list[str], restores: bool) -> None:
    line = [Source(number, text, (), restores) for number, text in enumerate(texts, 1)]
    found = blame(line)
    assert found.text == texts[-1]
    for one in found.sentences:
        assert one.text.strip() in texts[one.origin.version - 1]
    for mark in found.gone:
        assert mark.origin.version > 1
        assert all(core in texts[mark.origin.version - 2] for core in _cores(mark.text))


def _cores(text: str) -> list[str]:
    return [text[span.start : span.end].strip() for span in sentences(text)]
