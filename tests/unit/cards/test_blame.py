"""A prompt sentence by sentence, as a person reads it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from bot.cards.blame import blame_card
from bot.cards.layout import as_text, rows
from bot.cards.words import Reader
from optimizer.records.blame import Blamed, BlamedGone, BlamedSentence, Brought
from optimizer.records.deployment import Approval, Provenance, ProvenItem
from optimizer.records.facts import Fact
from optimizer.records.states import DeploymentState
from tests.builders import NOON

DANA = "console:dana"
READER = Reader(NOON, DANA, people={"slack:U1": "Rui"})
RETRY, LINKS = uuid4(), uuid4()
BASE = Brought(version=1, by="base", published_at=NOON - timedelta(days=9))
BY_HAND = Brought(version=3, by="hand", published_at=NOON - timedelta(days=2))


def item(id_: UUID, n: int, title: str, **values: Any) -> ProvenItem:
    return ProvenItem(id=id_, n=n, title=title, goal="accuracy", key="k", edits=(), **{"facts": (), **values})


RATE = Fact(id="F1", name="tool.error_rate", labels={"tool": "write_article"}, value=0.31, n=29)
OURS = Brought(
    version=2,
    by="ratchet",
    published_at=NOON - timedelta(days=3),
    deployment_id=UUID("8d1e77aa-0000-4000-8000-000000000000"),
    state=DeploymentState.seen,
    live_at=NOON - timedelta(days=3),
    provenance=Provenance(
        session_id=UUID("3f2a91c0-0000-4000-8000-000000000000"),
        items=(
            item(RETRY, 3, "Retry write_article", facts=(RATE,)),
            item(LINKS, 4, "Call inject_links", confirmed=("address",)),
        ),
        approvals=(
            Approval(person="dana", actor=DANA, words="deploy 3 and 4", at=NOON),
            Approval(person="rui", actor="slack:U1", words="", at=NOON),
        ),
    ),
)


def blamed(
    *sentences: tuple[str, int] | tuple[str, int, UUID],
    gone: tuple[BlamedGone, ...] = (),
    versions: tuple[Brought, ...] = (BY_HAND, OURS, BASE),
    **values: Any,
) -> Blamed:
    fields: dict[str, Any] = {
        "agent": "blog-writer",
        "prompt": "core",
        "version": 3,
        "text_of": 3,
        "labels": ("prod",),
        "is_running": True,
        "oldest": 1,
        "has_older": False,
        "sentences": tuple(
            BlamedSentence(text=text, version=version, items=tuple(own)) for text, version, *own in sentences
        ),
        "gone": gone,
        "versions": versions,
    }
    return Blamed(**{**fields, **values})


def card(one: Blamed, width: int = 80) -> str:
    return as_text(blame_card(one, "prod", READER), width)


def test_the_text_stands_behind_the_versions_and_below_it_who_brought_them() -> None:
    told = card(
        blamed(
            ("# Desk\n\n", 1),
            ("Be kind. ", 1),
            ("Never guess.\n", 3),
            ("- Call write_article.\n", 1),
            ("- Retry it once.\n", 2, RETRY),
            ("- Add links.\n\n", 2, LINKS),
            ("Say goodbye.", 1),
        )
    )
    assert told.splitlines() == [
        "blog-writer (prod): core v3, which runs (label prod)",
        "7 sentences: 4 stood there before Ratchet, 2 came with it, 1 came by hand since.",
        "",
        "v1     | # Desk",
        "       |",
        "v1     | Be kind.",
        "v3     : Never guess.",
        "v1     | - Call write_article.",
        "v2 [3] | - Retry it once.",
        "v2 [4] | - Add links.",
        "       |",
        "v1     | Say goodbye.",
        "",
        "Where it comes from",
        "v3: by hand, published 2026-02-28 12:00 UTC.",
        "",
        "v2: by Ratchet, live since 2026-02-27 12:00 UTC, approved by you (console,",
        '"deploy 3 and 4") and rui (slack).',
        "[3] Retry write_article",
        "- 31% of 29 write_article calls failed",
        "[4] Call inject_links (by a second yes: address)",
        "Session 3f2a91c0, deployment 8d1e77aa.",
        "",
        "v1: base, not by Ratchet, published 2026-02-21 12:00 UTC.",
    ]


def test_what_was_taken_out_is_told_where_it_stood() -> None:
    gone = (
        BlamedGone(before=1, text="Be quick.", version=2, items=(RETRY, LINKS)),
        BlamedGone(before=2, text="## Play\nOne.\nTwo.\n", version=2),
    )
    told = card(blamed(("Be kind. ", 1), ("Never guess.\n", 1), gone=gone)).splitlines()
    assert told[1:3] == ["2 sentences: 2 stood there before Ratchet. Ratchet took something out in 2", "places."]
    assert told[4:9] == [
        "v1       | Be kind.",
        'v2 [3,4] | (taken out here: "Be quick.")',
        "v1       : Never guess.",
        'v2       | (taken out here: 3 sentences, 17 characters, from "## Play" to',
        '         : "Two.")',
    ]


def test_long_lines_are_wrapped_beside_their_version() -> None:
    told = card(blamed(("  - " + "word " * 30 + "\n", 1)), width=40).splitlines()
    block = [line for line in told if line[3:4] in "|:" and line[:2] in ("v1", "  ")]
    assert len(block) == 5
    assert block[0].startswith("v1 |   - word")
    assert all(line.startswith("   :   word") for line in block[1:])
    assert max(map(len, block)) <= 40


def test_messages_of_a_template_have_their_own_headings() -> None:
    told = card(
        blamed(
            ("=== message 1 (system), block 1 ===\n", 1),
            ("Be kind.\n", 1),
            ("=== message 2 (user), block 1 ===\n", 1),
            ("== Write. ==\n", 1),
        )
    ).splitlines()
    assert told[3:8] == [
        "message 1 (system), block 1",
        "v1 | Be kind.",
        "",
        "message 2 (user), block 1",
        "v1 | == Write. ==",
    ]
    # Where a text only looks like a template's, it is shown as it is.
    plain = card(blamed(("Be kind.\n", 1), ("=== message 2 (user), block 1 ===\n", 1)))
    assert "| === message 2 (user), block 1 ===" in plain


def test_what_never_ran_and_what_was_taken_back_say_so() -> None:
    failed = OURS.model_copy(update={"state": DeploymentState.failed, "live_at": None})
    assert "v2: by Ratchet, never live (failed), approved by you" in card(blamed(versions=(failed,), is_running=False))
    back = OURS.model_copy(update={"state": DeploymentState.rolled_back, "ended_at": NOON - timedelta(hours=1)})
    told = " ".join(card(blamed(versions=(back,))).split())
    assert "live from 2026-02-27 12:00 UTC, taken back 11:00 UTC, approved by you" in told
    without = OURS.model_copy(update={"kind": "without"})
    told = " ".join(card(blamed(versions=(without,))).split())
    assert "decided by you" in told
    assert "It took back: [3] Retry write_article [4] Call inject_links" in told
    assert "calls failed" not in told
    foreign = OURS.model_copy(update={"state": None, "live_at": None})
    assert "as its registry tells (this database does not know the deployment)" in " ".join(
        card(blamed(versions=(foreign,))).split()
    )


def test_where_the_walk_ended_the_oldest_version_may_not_be_the_first() -> None:
    assert "v1 or before: base, not by Ratchet" in card(blamed(("Be kind.", 1), has_older=True))
    assert "It has the text of v1." in card(blamed(("Be kind.", 1), text_of=1))
    assert "0 sentences: it is empty." in card(blamed())
    # Of an agent that is pinned nobody knows what it gets.
    assert card(blamed(is_running=None, labels=())).startswith("blog-writer (prod): core v3\n")


@given(
    st.lists(
        st.tuples(st.text(alphabet="ab \n\r\t\u202e\u200b\x1b[31m|{}", min_size=1, max_size=60), st.integers(1, 3)),
        max_size=6,
    ),
    st.integers(24, 90),
)
def test_whatever_a_prompt_holds_the_column_stands_and_nothing_acts_on_the_terminal(
    pieces: list[tuple[str, int]], width: int
) -> None:
    one = blame_card(blamed(*pieces), "prod", READER)
    told = as_text(one, width)
    assert not any(hidden in told for hidden in ("\u202e", "\u200b", "\x1b", "\r", "\t"))
    texts = [row for row in rows(one, width) if len(row) > 1 and row[1].text.strip() in ("|", ":")]
    assert all(sum(len(span.text) for span in row) <= width for row in texts)
