"""Every webhook's twins: what is not exactly what the vendor sent is refused, and leaves nothing behind.

A suite for any webhook: tell how a genuine delivery is made (`Webhook`), then call `check`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass

import httpx
import psycopg

from bot.web.limits import BODY_BYTES_MAX

Sign = Callable[[bytes], Mapping[str, str]]


@dataclass(frozen=True)
class Webhook:
    """`sign` gives the headers that prove a body at this moment; `stale`, where the vendor's proof grows old, those
    of a while ago. `truncated` and `forged` are the statuses of a refusal."""

    path: str
    body: bytes
    sign: Sign
    proof: str  # the header that proves it
    forged: int
    truncated: int
    kind: str = "application/json"
    stale: Sign | None = None
    covers_body: bool = True  # the proof is of these bytes; else it is a secret that the vendor sends along

    def headers(self, body: bytes, sign: Sign | None = None) -> dict[str, str]:
        return {"Content-Type": self.kind, **(sign or self.sign)(body)}


async def check(webhook: Webhook, client: httpx.AsyncClient, dsn: str) -> None:
    """The twins are refused and nothing is written; then the genuine one is kept, once, however often it comes."""
    for name, status, headers, body in _twins(webhook):
        answer = await client.post(webhook.path, content=body, headers=headers)
        assert (name, answer.status_code) == (name, status), answer.text
        assert (name, kept(dsn)) == (name, 0)
    chunked = await client.post(webhook.path, content=_endless(), headers=webhook.headers(b""))
    assert chunked.status_code == 413
    assert kept(dsn) == 0
    for _ in range(3):  # replayed
        answer = await client.post(webhook.path, content=webhook.body, headers=webhook.headers(webhook.body))
        assert answer.is_success, answer.text
        assert kept(dsn) == 1


def kept(dsn: str) -> int:
    """How many rows the webhooks and the work on them wrote."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(
            "select (select count(*) from ratchet.inbound) + (select count(*) from ratchet.deliveries)"
            " + (select count(*) from ratchet.decisions)"
        ).fetchone()
    return row[0] if row else 0


def _twins(webhook: Webhook) -> Sequence[tuple[str, int, Mapping[str, str], bytes]]:
    body = webhook.body
    proven = webhook.headers(body)
    proof = proven[webhook.proof]
    without = {name: value for name, value in proven.items() if name != webhook.proof}
    huge = body + b" " * BODY_BYTES_MAX
    twins = [
        ("without a proof", webhook.forged, without, body),
        ("with an empty proof", webhook.forged, {**without, webhook.proof: ""}, body),
        ("with another's proof", webhook.forged, {**without, webhook.proof: _changed(proof)}, body),
        ("with half a proof", webhook.forged, {**without, webhook.proof: proof[: len(proof) // 2]}, body),
        ("oversized", 413, webhook.headers(huge), huge),
        ("cut and proven", webhook.truncated, webhook.headers(body[: len(body) // 2]), body[: len(body) // 2]),
    ]
    if webhook.covers_body:
        twins += [
            ("forged", webhook.forged, proven, body.replace(b"a", b"b", 1)),
            ("truncated", webhook.forged, proven, body[:-1]),
            ("empty", webhook.forged, proven, b""),
        ]
    if webhook.stale is not None:
        twins.append(("stale", webhook.forged, webhook.headers(body, webhook.stale), body))
    return twins


def _changed(proof: str) -> str:
    """Another one of the same form."""
    middle = len(proof) // 2
    return f"{proof[:middle]}{'a' if proof[middle] != 'a' else 'b'}{proof[middle + 1 :]}"


async def _endless() -> AsyncIterator[bytes]:
    """A body that does not say how long it is."""
    for _ in range(BODY_BYTES_MAX // 65_536 + 2):
        yield b" " * 65_536
