"""Twilio's webhooks, verified against the configured public address: behind a proxy, ours is another."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request, Response
from starlette.datastructures import ImmutableMultiDict
from twilio.request_validator import RequestValidator

from bot.channels.twilio.inbound import Status, of_message, of_status
from optimizer.clock import Clock
from optimizer.records.messages import Inbound

PATH = "/twilio/whatsapp"
STATUS_PATH = "/twilio/status"
_FIELDS_MAX = 200
# Words in the answer would be sent to the person.
_NOTHING = '<?xml version="1.0" encoding="UTF-8"?><Response/>'

Keep = Callable[[Inbound], Awaitable[None]]
Told = Callable[[Status], Awaitable[None]]


class Signed:
    """What proves that a request comes from Twilio: every field of it, and our address as Twilio knows it."""

    def __init__(self, token: str, public_url: str) -> None:
        self._validator = RequestValidator(token)
        self._base = public_url.rstrip("/")

    async def form(self, request: Request) -> dict[str, str] | None:
        """The fields; None for a request that proves nothing. No fields that we do not know make it fail."""
        body = await request.body()
        try:
            pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=_FIELDS_MAX, errors="strict")
        except ValueError:
            return None
        signature = request.headers.get("X-Twilio-Signature", "")
        query = f"?{request.url.query}" if request.url.query else ""
        fields = ImmutableMultiDict(pairs)
        if not signature or not self._validator.validate(f"{self._base}{request.url.path}{query}", fields, signature):
            return None
        return dict(pairs)


def twilio_router(signed: Signed, keep: Keep, told: Told, clock: Clock) -> APIRouter:
    """Messages are kept before they are acknowledged; statuses are written down."""
    router = APIRouter()

    @router.post(PATH)
    async def message(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        form = await signed.form(request)
        if form is None:
            return Response(status_code=403)
        arrived = of_message(form, clock.now())
        if arrived is not None:
            await keep(arrived)
        return Response(_NOTHING, media_type="text/xml")

    @router.post(STATUS_PATH)
    async def status(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        form = await signed.form(request)
        if form is None:
            return Response(status_code=403)
        said = of_status(form)
        if said is not None:
            await told(said)
        return Response(status_code=204)

    return router
