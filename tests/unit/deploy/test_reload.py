"""One call of the reload hook: what is sent, how it is signed, and that no answer holds it up."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from optimizer.deploy.reload import SIGNATURE_HEADER, TIMESTAMP_HEADER, post, reload_body, signature
from optimizer.records.states import DeploymentState
from tests.simulators.reload_hook import Hook, reload_hook
from tests.unit.cards.samples import deployment

AT = datetime(2026, 2, 27, 14, 5, tzinfo=UTC)
SECRET = "whsec-of-the-agent"
BODY = b'{"agent":"front-desk"}'


@pytest.fixture
def hook() -> Iterator[Hook]:
    with reload_hook() as opened:
        yield opened


async def test_a_call_that_is_taken_is_signed_over_its_time_and_its_raw_body(hook: Hook) -> None:
    assert await post(f"{hook.url}/reload?of=desk", SECRET, BODY, "d-1:deployed", AT) is None
    (sent,) = hook.sent
    assert (sent.path, sent.body) == ("/reload?of=desk", BODY)
    assert sent.headers["Content-Type"] == "application/json"
    assert sent.headers["Idempotency-Key"] == "d-1:deployed"
    assert sent.headers[TIMESTAMP_HEADER] == "1772201100"
    told = hmac.new(SECRET.encode(), b"1772201100." + BODY, hashlib.sha256).hexdigest()
    assert sent.headers[SIGNATURE_HEADER] == f"sha256={told}"
    assert SECRET not in str(sent.headers)


def test_the_signature_is_the_one_that_stands_in_the_documents() -> None:
    told = signature("secret", "1772201100", b"{}")
    assert told == "sha256=fbc03f314d8b22df86afa5aa10de5021f84e33d997ab5e443145f5cdaa1b65b7"


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (500, "it answered 500"),
        (404, "it answered 404"),
        (302, "it answered 302, and redirects are not followed"),
        (307, "it answered 307, and redirects are not followed"),
    ],
)
async def test_what_is_not_taken_says_why_and_no_redirect_is_followed(hook: Hook, status: int, reason: str) -> None:
    hook.answers.append(status)
    assert await post(hook.url, SECRET, BODY, "d-1:deployed", AT) == reason
    assert len(hook.sent) == 1


async def test_an_answer_is_not_read(hook: Hook) -> None:
    hook.body_bytes = 10_000_000_000
    async with asyncio.timeout(20):
        assert await post(hook.url, SECRET, BODY, "d-1:deployed", AT) is None


async def test_an_agent_that_does_not_answer_is_not_waited_for(hook: Hook) -> None:
    hook.slow_seconds = 60
    async with asyncio.timeout(20):
        told = await post(hook.url, SECRET, BODY, "d-1:deployed", AT, timeout_seconds=0.3)
    assert told == "it did not answer within 0.3 s"


async def test_an_address_that_nobody_listens_at(hook: Hook) -> None:
    assert await post("http://127.0.0.1:9", SECRET, BODY, "d-1:deployed", AT) == (
        "it could not be reached (ConnectError)"
    )


def test_the_body_names_the_version_and_the_text_that_the_agent_gets() -> None:
    one = deployment(state=DeploymentState.live, new_version=3)
    told = json.loads(reload_body(one, "deployed", 3))
    assert told == {
        "agent": one.agent,
        "prompt": one.prompt,
        "label": one.label,
        "version": 3,
        "sha256": one.sha256,
        "event": "deployed",
        "deployment_id": str(one.id),
    }
    back = json.loads(reload_body(one, "rolled_back", 1))
    assert (back["event"], back["version"], back["sha256"]) == ("rolled_back", 1, one.base_sha256)
    latest = json.loads(reload_body(one.model_copy(update={"follow": "latest"}), "deployed", 3))
    assert latest["label"] is None
