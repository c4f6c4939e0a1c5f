"""The call that makes an agent read its prompts again: signed, bounded, and never in the way of a deployment."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from datetime import datetime

import httpx

from optimizer.records.base import canonical_json
from optimizer.records.deployment import Deployment

TIMEOUT_SECONDS = 5.0
WAITS_SECONDS = (5.0, 30.0)  # before the second try, and before the third and last
TIMESTAMP_HEADER = "X-Ratchet-Timestamp"
SIGNATURE_HEADER = "X-Ratchet-Signature"


def reload_body(deployment: Deployment, event: str, version: int | None) -> bytes:
    """What is sent: which prompt changed, and what the agent gets of it now."""
    back = event == "rolled_back"
    return canonical_json(
        {
            "agent": deployment.agent,
            "prompt": deployment.prompt,
            "label": deployment.label if deployment.follow == "label" else None,
            "version": version,
            "sha256": deployment.base_sha256 if back else deployment.sha256,
            "event": event,
            "deployment_id": str(deployment.id),
        }
    ).encode("utf-8")


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """`sha256=` and the hex HMAC-SHA256 of the timestamp, a full stop and the raw body (RFC 2104)."""
    signed = timestamp.encode("ascii") + b"." + body
    return f"sha256={hmac.new(secret.encode('utf-8'), signed, hashlib.sha256).hexdigest()}"


async def post(
    url: str, secret: str, body: bytes, key: str, at: datetime, timeout_seconds: float = TIMEOUT_SECONDS
) -> str | None:
    """Sends it once. None when the agent took it (2xx), else why not. No redirect is followed, no answer read."""
    timestamp = str(int(at.timestamp()))
    headers = {
        "Content-Type": "application/json",
        "Idempotency-Key": key,
        TIMESTAMP_HEADER: timestamp,
        SIGNATURE_HEADER: signature(secret, timestamp, body),
    }
    try:
        async with (
            asyncio.timeout(timeout_seconds),
            httpx.AsyncClient(follow_redirects=False, trust_env=False, timeout=timeout_seconds) as client,
            client.stream("POST", url, content=body, headers=headers) as answer,
        ):
            if answer.is_success:
                return None
            followed = ", and redirects are not followed" if answer.is_redirect else ""
            return f"it answered {answer.status_code}{followed}"
    except (TimeoutError, httpx.TimeoutException):
        return f"it did not answer within {timeout_seconds:g} s"
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"it could not be reached ({type(error).__name__})"
