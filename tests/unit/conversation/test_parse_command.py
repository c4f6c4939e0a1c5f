"""`ratchet parse`: a line in, a prediction out."""

from __future__ import annotations

import io
import json

import pytest

from bot.parse_command import run

_PENDING = [
    {"n": 1, "type": "code_change"},
    {"n": 3, "type": "prompt_change"},
    {"n": 4, "type": "prompt_change"},
]


def _run(*lines: bytes) -> tuple[int, list[dict[str, object]], str]:
    output, errors = io.StringIO(), io.StringIO()
    code = run(io.BytesIO(b"\n".join(lines)), output, errors)
    return code, [json.loads(line) for line in output.getvalue().splitlines()], errors.getvalue()


def _line(text: str) -> bytes:
    return json.dumps({"text": text, "pending": _PENDING}).encode()


@pytest.mark.parametrize(
    ("text", "prediction"),
    [
        ("deploy all", {"action": "deploy", "items": "all", "then": None, "deploys": [3, 4]}),
        ("remove 3, deploy", {"action": "remove", "items": [3], "then": "deploy", "deploys": [4]}),
        ("3 \U0001f44d, 4 \U0001f44e", {"action": "feedback", "items": [3, 4], "then": None, "deploys": []}),
        ("stop", {"action": "skip", "items": [], "then": None, "deploys": []}),
        ("done 1", {"action": "feedback", "items": [1], "then": None, "deploys": []}),
        ("maybe deploy 3", {"action": "ambiguous", "items": [], "then": None, "deploys": []}),
        ("\x00\ud800", {"action": "ambiguous", "items": [], "then": None, "deploys": []}),
    ],
)
def test_a_reply_becomes_a_prediction(text: str, prediction: dict[str, object]) -> None:
    assert _run(_line(text)) == (0, [prediction], "")


def test_every_line_has_its_prediction_in_order() -> None:
    code, predictions, errors = _run(_line("skip"), _line("deploy 3"), _line("show 4"), b"")
    assert (code, errors) == (0, "")
    assert [prediction["action"] for prediction in predictions] == ["skip", "deploy", "show"]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (b"deploy all", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "is not a JSON object"),
        (b"", "is not JSON"),
        (b'{"pending": []}', 'has no string "text"'),
        (b'{"text": "deploy"}', 'has no list "pending"'),
        (b'{"text": "deploy", "pending": [3]}', '"n" is None'),
        (b'{"text": "deploy", "pending": [{"n": true, "type": "code_change"}]}', '"n" is True'),
        (b'{"text": "deploy", "pending": [{"n": 0, "type": "code_change"}]}', '"n" is 0'),
        (b'{"text": "deploy", "pending": [{"n": 3, "type": "magic"}]}', "\"type\" is 'magic'"),
        (b'{"text": "deploy", "pending": [{"n": 3, "type": ["x"]}]}', "\"type\" is ['x']"),
        (
            b'{"text": "", "pending": [{"n": 3, "type": "code_change", "removed": "no"}]}',
            "\"removed\" is 'no'",
        ),
        (
            b'{"text": "", "pending": [{"n": 3, "type": "code_change"}, {"n": 3, "type": "code_change"}]}',
            'same "n" twice',
        ),
        (b'{"text": "' + b"x" * 1_000_000 + b'", "pending": []}', "is longer than 1,000,000 bytes"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_bad_line_ends_it_with_one_sentence_that_names_the_line(line: bytes, what: str) -> None:
    code, predictions, errors = _run(_line("skip"), line, _line("skip"))
    assert (code, len(predictions)) == (1, 1)
    assert errors.startswith("ratchet: Line 2 ")
    assert what in errors
    assert errors.count("\n") == 1
