"""What no reader sees, and what only looks like it."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from optimizer.prompts.hidden import hidden_characters, visible, without_hidden

# Signs of Arabic, Syriac and Kaithi that stand before a number: Unicode calls them format characters, fonts show them.
SHOWN = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
JOINERS = {0x200C, 0x200D}


def test_all_of_unicodes_controls_and_format_characters_are_hidden() -> None:
    missed = [
        hex(code)
        for code in range(sys.maxunicode + 1)
        if unicodedata.category(chr(code)) in ("Cc", "Cf", "Cs", "Co")
        and code not in SHOWN | JOINERS | {0x9, 0xA, 0xD}
        and not hidden_characters(f"\u0645{chr(code)}\u0645")
    ]
    assert missed == []


def test_no_letter_digit_or_sign_is_hidden() -> None:
    taken = [
        hex(code)
        for code in range(sys.maxunicode + 1)
        if unicodedata.category(chr(code))[0] in "LNPS" and hidden_characters(f"\u0645{chr(code)}\u0645")
    ]
    # Fillers of Hangul and the blank of Braille: letters and signs without a shape.
    assert taken == ["0x115f", "0x1160", "0x2800", "0x3164", "0xffa0"]


@pytest.mark.parametrize(
    "text",
    [
        "a\U000e0069\U000e0067\U000e006eb",  # "ign" in tags
        "a\ufe00\ufe01b",
        "a\ufe0fb",
        "\u2764\ufe0f\ufe0f\ufe0e",  # more than one emoji needs
        "\u0645\u200c\u200d\u200c\u0645",  # bits between two letters
        "\u2066ab\u2069",
        "\u202eab\u202c",
        "a\u00adb",
        "a\ufff9b\ufffac\ufffb",
        "a\ue000b",
        "a\U0010fffdb",
        "a\u180fb",
    ],
)
def test_smuggled_text_is_seen_and_taken_out(text: str) -> None:
    assert hidden_characters(text)
    assert not hidden_characters(without_hidden(text))
    assert "\\" in visible(text)


@pytest.mark.parametrize(
    "text", ["\u2764\ufe0f", "1\ufe0f\u20e3", "\U0001f468\u200d\U0001f469", "\u0645\u06cc\u200c\u062e", "\u065f \u06dd"]
)
def test_emoji_keycaps_and_languages_stay(text: str) -> None:
    assert not hidden_characters(text)
