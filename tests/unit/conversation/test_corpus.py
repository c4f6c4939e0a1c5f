"""The reply corpus: what people write, and what must come of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bot.conversation.commands import PendingItem
from bot.conversation.grammar import parse
from bot.parse_command import prediction

_LINES = (Path(__file__).parents[2] / "data" / "replies.jsonl").read_text(encoding="utf-8").splitlines()
_CORPUS: list[dict[str, Any]] = [json.loads(line) for line in _LINES]
_ENGLISH = [row for row in _CORPUS if not any(tag.startswith("lang:") for tag in row["tags"])]
_NUMBERS_DO_NOT_COUNT = {
    "ambiguous", "none", "help", "status", "history", "run", "undo", "snooze", "skip",
}  # fmt: skip


def _predict(row: dict[str, Any]) -> dict[str, Any]:
    pending = [PendingItem(item["n"], item["type"], item.get("removed", False)) for item in row["pending"]]
    return prediction(parse(row["text"], pending))


def _outcomes(row: dict[str, Any]) -> list[dict[str, Any]]:
    return [row["expect"], *row.get("also_ok", [])]


def _fits(row: dict[str, Any], outcome: dict[str, Any], got: dict[str, Any]) -> bool:
    if set(outcome["deploys"]) != set(got["deploys"]):
        return False
    if got["deploys"] and _only_deploys(outcome) and _only_deploys(got):
        return True  # "deploy 1, 2, 5" and "remove 3 and 4, deploy" are one wish
    if (outcome["action"], outcome.get("then")) != (got["action"], got["then"]):
        return False
    return got["action"] in _NUMBERS_DO_NOT_COUNT or _numbers(row, outcome) == _numbers(row, got)


def _only_deploys(outcome: dict[str, Any]) -> bool:
    return (outcome["action"], outcome.get("then")) in (("deploy", None), ("remove", "deploy"))


def _numbers(row: dict[str, Any], outcome: dict[str, Any]) -> set[int]:
    items = outcome["items"]
    return {item["n"] for item in row["pending"]} if items == "all" else set(items)


def test_the_corpus_is_whole() -> None:
    assert (len(_CORPUS), len(_ENGLISH)) == (327, 255)


@pytest.mark.parametrize("row", _CORPUS, ids=lambda row: row["text"][:40])
def test_no_reply_deploys_what_its_writer_did_not_want(row: dict[str, Any]) -> None:
    deployed = set(_predict(row)["deploys"])
    assert not deployed or any(deployed <= set(outcome["deploys"]) for outcome in _outcomes(row))


@pytest.mark.parametrize("row", _ENGLISH, ids=lambda row: row["text"][:40])
def test_an_english_reply_is_understood_as_meant_or_asked_about(row: dict[str, Any]) -> None:
    got = _predict(row)
    assert got["action"] == "ambiguous" or any(_fits(row, outcome, got) for outcome in _outcomes(row))


def test_most_english_replies_are_understood() -> None:
    exact = sum(any(_fits(row, want, _predict(row)) for want in _outcomes(row)) for row in _ENGLISH)
    assert exact / len(_ENGLISH) >= 0.87


def test_few_clear_english_replies_are_asked_about() -> None:
    clear = [row for row in _ENGLISH if all(want["action"] != "ambiguous" for want in _outcomes(row))]
    asked = sum(_predict(row)["action"] == "ambiguous" for row in clear)
    assert asked / len(clear) <= 0.21
