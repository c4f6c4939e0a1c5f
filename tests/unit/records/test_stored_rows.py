"""Records read from stored rows, which an earlier or a later release may have written."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from optimizer.records.base import Record
from optimizer.records.deployment import Deployment
from optimizer.records.report import RunReport
from optimizer.records.session import Session
from optimizer.records.verdict import Verdict
from optimizer.records.window import Window
from tests.unit.cards import samples

HEADER = samples.header(verdicts=(samples.verdict(),))
SESSION = samples.session(header=HEADER, watching=samples.watching(2))
REPORT = RunReport(
    agent="blog-writer",
    window=Window(since=SESSION.since, until=SESSION.until),
    status="quiet",
    header=HEADER,
    facts=SESSION.facts,
    items=(),
    watching=SESSION.watching,
    dropped=(),
)


def of_the_next_release(value: Any) -> Any:
    """The row of a record, with a field in it and in each record inside it that nobody knows today."""
    if isinstance(value, Record):
        known = {name: of_the_next_release(getattr(value, name)) for name in type(value).model_fields}
        return {**known, "a_field_of_tomorrow": [1]}
    return [of_the_next_release(one) for one in value] if isinstance(value, tuple) else value


@pytest.mark.parametrize("record", [samples.deployment(verdict=samples.verdict()), SESSION, REPORT, samples.verdict()])
def test_what_the_next_release_wrote_is_read(record: Deployment | Session | RunReport | Verdict) -> None:
    row = of_the_next_release(record)
    assert row["a_field_of_tomorrow"]
    assert type(record).model_validate(row) == record


def test_a_misspelt_field_in_our_own_code_is_an_error() -> None:
    values = samples.verdict().model_dump()
    with pytest.raises(ValidationError, match="outcom\n"):
        Verdict(**{**values, "outcom": "better"})


def test_a_row_without_a_field_that_was_always_there_is_an_error() -> None:
    values = samples.verdict().model_dump()
    del values["outcome"]
    with pytest.raises(ValidationError, match="outcome\n"):
        Verdict.model_validate(values)
