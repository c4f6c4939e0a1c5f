"""`ratchet blame`, as it is typed."""

from __future__ import annotations

import json

from tests.journey.cli.program import Ratchet

TEXT = "# Desk\n\nBe kind to whoever asks. Say where you know it from.\n\n- " + "Answer in one sentence. " * 10 + "\n"


def test_a_prompt_is_shown_sentence_by_sentence(ratchet: Ratchet) -> None:
    ratchet.approve("x")
    for text in (TEXT, TEXT.replace("Be kind", "Be very kind")):
        ratchet.write("main.md", text)
        assert ratchet("import", "--agent", "x", "--prompt", "main=main.md").code == 0
    said = ratchet("blame", "main", "--agent", "x")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("x (prod): main v2, which runs (label prod)\n13 sentences: 13 stood ")
    assert "v2 | Be very kind to whoever asks.\nv1 : Say where you know it from.\n" in said.out
    assert "v2: base, not by Ratchet, published " in said.out
    assert max(map(len, said.out.splitlines())) <= 80

    before = ratchet("blame", "main", "--agent", "x", "--version", "1")
    assert "main v1, which does not run\n" in before.out
    assert "Be very kind" not in before.out

    told = json.loads(ratchet("blame", "main", "--agent", "x", "--json").out)
    assert "".join(one["text"] for one in told["sentences"]) == TEXT.replace("Be kind", "Be very kind")
    assert {one["version"] for one in told["sentences"]} == {1, 2} == {one["version"] for one in told["versions"]}


def test_what_does_not_exist_is_one_sentence(ratchet: Ratchet) -> None:
    ratchet.approve("x")
    ratchet.write("main.md", TEXT)
    ratchet("import", "--agent", "x", "--prompt", "main=main.md")
    said = ratchet("blame", "mian", "--agent", "x")
    assert (said.code, said.out) == (1, "")
    assert said.sentence == "ratchet: 'x' has no prompt 'mian'; name one of those that it has: 'main'."
    said = ratchet("blame", "main", "--agent", "x", "--version", "7")
    assert (said.code, said.sentence) == (
        1,
        "ratchet: The local registry has no version 7 of 'main'; name one that it has.",
    )
    assert ratchet("blame", "main", "--agent", "nobody").code == 1
    assert ratchet("blame", "--agent", "x").code == 2
    assert ratchet("blame", "main", "--agent", "x", "--version", "0").code == 2
