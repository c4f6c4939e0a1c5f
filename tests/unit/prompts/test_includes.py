from __future__ import annotations

import hashlib

import pytest

from optimizer.prompts.includes import IncludeError, compose_includes, content_sha256


def test_an_include_takes_the_place_of_its_placeholder_and_others_stay() -> None:
    text = "Top\n{{PLAYBOOKS}}\n{{ PLAYBOOKS }} {{name}}"
    assert compose_includes(text, {"PLAYBOOKS": "play \\1 {x}"}) == "Top\nplay \\1 {x}\nplay \\1 {x} {{name}}"
    assert compose_includes(text, {}) == text


def test_includes_are_followed_into_each_other() -> None:
    assert compose_includes("{{A}}", {"A": "a {{B}}", "B": "b"}) == "a b"


def test_an_include_without_its_placeholder_is_an_error() -> None:
    with pytest.raises(IncludeError, match=r"no placeholder \{\{PLAYBOOKS\}\}"):
        compose_includes("nothing here", {"PLAYBOOKS": "text"})


@pytest.mark.parametrize("includes", [{"A": "x {{A}}"}, {"A": "{{B}}", "B": "{{A}}"}])
def test_includes_that_go_round_in_a_circle_are_an_error(includes: dict[str, str]) -> None:
    with pytest.raises(IncludeError, match="'A' contains itself"):
        compose_includes("{{A}}", includes)


def test_includes_that_multiply_end_at_a_limit() -> None:
    includes = {f"L{level}": f"{{{{L{level + 1}}}}}" * 10 for level in range(9)} | {"L9": "x" * 10}
    with pytest.raises(IncludeError, match="more than 2,000,000 characters"):
        compose_includes("{{L0}}", includes)


def test_the_hash_is_over_the_bytes_of_the_text_as_it_is() -> None:
    assert content_sha256("é\r\n") == hashlib.sha256(b"\xc3\xa9\r\n").hexdigest()
    assert content_sha256("a") != content_sha256("a\n")
    assert len(content_sha256("\ud800")) == 64
