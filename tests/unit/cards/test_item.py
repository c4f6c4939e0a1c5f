"""`show 3` and `tell me more about item 2`."""

from __future__ import annotations

from datetime import timedelta

from bot.cards.item import explain_card, show_card
from bot.cards.layout import as_text, page
from optimizer.records.base import sha256_of
from optimizer.records.edits import Edit
from optimizer.records.states import ItemState
from tests.unit.cards.samples import CORE, NOW, READER, TEXTS, item, session, uuid

SHOW_3 = """\
blog-writer (prod): item 3
[3] Playbooks text stands twice in master_system_core (~650 tokens/turn)
Goal: spend less. Deployable: it changes master_system_core.

master_system_core:
... 31 words ...
a draft.
- Never publish by yourself.

Be [-kind.-] {+kind and brief.+}

Measured:
- ~650 tokens stand twice in master_system_core

Reply: "deploy 3" | "remove 3" | "tell me more about 3\""""

EXPLAIN_1 = """\
blog-writer (prod): item 1
write_article times out and is not tried again (9 sessions)

The reason of item 1 in plain words.

Measured:
- 12% of 212 write_article calls failed; before: 0.4%
- write_article not tried again after an error in 9 of 201
  sessions
Sessions to look at: s-17, s-44

How: I have no edit of a prompt for it. Change it where the
agent lives, then reply "done 1": the next runs check whether it
helped.

Reply: "done 1" | "remove 1" | "show 1\""""


def test_showing_an_item_gives_its_difference_and_its_facts():
    assert as_text(show_card(session(), item(3), READER, TEXTS)) == SHOW_3


def test_showing_a_code_change_says_who_does_it():
    text = as_text(show_card(session(), item(1), READER, TEXTS))
    assert "For you to do: I have no edit of a prompt" in text
    assert "Sessions to look at: s-17, s-44" in text


def test_explaining_an_item():
    assert as_text(explain_card(session(), item(1), READER)) == EXPLAIN_1


def test_a_whole_removed_block_is_shown_line_by_line():
    text = as_text(show_card(session(), item(4), READER, TEXTS))
    assert "\n[-## Once more-]\n[-## Ghost-]\n[-- Push each post as a draft.-]\n" in text


def test_an_item_of_two_prompts_names_each_before_its_difference():
    edits = (
        Edit(prompt="playbooks", find="old rule", replace="new rule"),
        Edit(prompt="master_system_core", find="Be kind.", replace="Be kind and brief."),
    )
    bases = {"playbooks": sha256_of("An old rule."), "master_system_core": sha256_of(CORE)}
    both = item(3, edits=edits, base_sha256=bases)
    text = as_text(show_card(session(), both, READER, TEXTS | {"playbooks": "An old rule."}))
    assert text.index("\nmaster_system_core:\n") < text.index("{+kind and brief.+}") < text.index("\nplaybooks:\n")
    assert "An [-old-] {+new+} rule." in text


def test_a_prompt_that_changed_since_is_said_and_the_edits_stand_alone():
    text = as_text(show_card(session(), item(3), READER, {"master_system_core": CORE + "More."}))
    assert "The prompt was changed since: these edits were made for the text\nbefore." in text
    assert "Be [-kind.-] {+kind and brief.+}" in text


def test_a_registry_that_cannot_be_asked_still_shows_the_edits():
    assert "Be [-kind.-] {+kind and brief.+}" in as_text(show_card(session(), item(3), READER, {}))


def test_what_belongs_together_and_what_excludes_each_other():
    rival = Edit(prompt="master_system_core", find="Be kind.", replace="Be swift.")
    told = session(items=(item(3, requires=(uuid(4),)), item(4), item(5, edits=(rival,), type="prompt_change")))
    text = as_text(show_card(told, told.items[0], READER, TEXTS))
    assert "It needs item 4 as well." in text
    assert "It changes the same words as item 5: deploy one of them" in text
    assert "3 needs this one." in as_text(show_card(told, told.items[1], READER, TEXTS))


def test_a_removed_item_offers_to_be_put_back():
    removed = item(3, state=ItemState.removed)
    assert show_card(session(), removed, READER, TEXTS).choices[0] == "restore 3"
    assert "(removed)" in " ".join(as_text(show_card(session(), removed, READER, TEXTS)).split())


def test_an_item_that_waits_says_since_when():
    waiting = item(3, first_seen_at=NOW - timedelta(days=2, hours=5))
    assert "First seen 2 days ago." in as_text(explain_card(session(), waiting, READER))


def test_a_long_difference_is_read_in_pages():
    base = "\n".join(f"- Rule {number} says something about posts." for number in range(60))
    edit = Edit(prompt="p", find=base, replace=base.replace("posts", "articles"))
    long = item(3, edits=(edit,), base_sha256={"p": sha256_of(base)})
    card = show_card(session(), long, READER, {"p": base})
    assert page(card).choices == ("more",)
    assert all(len(as_text(page(card, number)).splitlines()) <= 30 for number in (1, 2, 3))
    assert as_text(card).count("{+articles.+}") == 60


def test_one_endless_line_breaks_over_pages():
    edit = Edit(prompt="p", find="x", replace=" ".join(f"word{number}" for number in range(2000)))
    card = show_card(session(), item(3, edits=(edit,), base_sha256={}), READER, {})
    number, read = 1, ""
    while True:
        one = page(card, number)
        assert len(as_text(one).splitlines()) <= 30
        read += as_text(one)
        if one.choices != ("more",):
            break
        number += 1
    assert all(f"word{number}" in read for number in (0, 777, 1999))


def test_a_change_of_blanks_alone_is_visible():
    edit = Edit(prompt="p", find="a\nb", replace="a\n\nb")
    text = as_text(show_card(session(), item(3, edits=(edit,), base_sha256={}), READER, {}))
    assert "\u23ce" in text or "{+" in text


def test_a_change_in_one_of_several_messages_names_it_and_no_line_that_is_no_text():
    system = "You are the front desk. Be kind to each guest, and read the dates back before you book a room."
    base = f"=== message 1 (system), block 1 ===\n{system}\n=== message 2 (user), block 1 ===\nHello, I am {{name}}."
    edit = Edit(prompt="master_system_core", find="Hello, I", replace="Good day, I")
    one = item(3, edits=(edit,), base_sha256={"master_system_core": sha256_of(base)})
    text = as_text(show_card(session(), one, READER, {"master_system_core": base}))
    assert "\nmaster_system_core:\nmessage 2 (user):\n[-Hello,-] {+Good day,+} I am {name}.\n" in text
    assert "===" not in text
    assert "message 1" not in text
