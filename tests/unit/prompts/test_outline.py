from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from optimizer.prompts.outline import Hold, heading_above, holds, read_lines


def test_lines_are_told_apart() -> None:
    text = "# A #\n**Bold:**\nIN CAPITALS:\n<tag id='1'>\n</tag>\ntext <b>\n\n```py\n# code\n```\n#hash\n"
    assert [line.kind for line in read_lines(text)] == [
        *(
            "heading",
            "heading",
            "heading",
            "open",
            "close",
            "text",
            "blank",
            "fence",
            "code",
            "fence",
            "text",
            "blank",
        )
    ]
    assert [line.name for line in read_lines(text)][:5] == ["A", "Bold", "IN CAPITALS", "tag", "tag"]


def test_a_heading_holds_its_section_and_a_tag_what_it_encloses() -> None:
    lines = read_lines("<p>\n# A\na\n## B\nb\n# C\nc\n</p>\nend\n<br>\n# D\n</other>\nd")
    assert holds(lines) == {
        0: Hold(0, 7),
        7: Hold(0, 7),
        1: Hold(1, 4),
        3: Hold(3, 4),
        5: Hold(5, 6),
        10: Hold(10, 12),
    }


def test_the_heading_above_skips_tags_that_are_closed() -> None:
    lines = read_lines("# A\n<t>\n# Inner\nx\n</t>\ny")
    assert [heading_above(lines, number) for number in (0, 3, 5)] == ["A", "Inner", "A"]
    assert heading_above(read_lines("x"), 0) == ""


@given(st.lists(st.sampled_from(["a ", "# h", "<t>", "</t>", "```", "", "\r", "\x0b", "\u2028"]), max_size=40))
def test_lines_are_the_text(parts: list[str]) -> None:
    text = "\n".join(parts)
    lines = read_lines(text)
    assert len(lines) == text.count("\n") + 1
    for line, part in zip(lines, text.split("\n"), strict=True):
        assert text[line.start : line.end] == part.removesuffix("\r")
        assert part.startswith(line.text)
