"""Twilio's webhooks, verified against the configured public address: behind a proxy, ours is another."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request, Response
from twilio.request_validator import RequestValidator

from bot.channels.twilio.api import words_of
from bot.channels.twilio.inbound import Status, of_message, of_status
from optimizer.clock import Clock
from optimizer.records.messages import Inbound

PATH = "/twilio/whatsapp"
STATUS_PATH = "/twilio/status"
_FIELDS_MAX = 200
# Words in the answer would be sent to the person.
_NOTHING = '<?xml version="1.0" encoding="UTF-8"?><Response/>'

Keep = Callable[[Inbound], Awaitable[None]]
Told = Callable[[Status, str | None], Awaitable[None]]


def twilio_router(token: str, public_url: str, keep: Keep, told: Told, clock: Clock) -> APIRouter:
    router = APIRouter()
    validator = RequestValidator(token)
    base = public_url.rstrip("/")

    async def form_of(request: Request) -> dict[str, str] | None:
        """The fields, all of which are signed; None for what does not prove that it comes from Twilio."""
        body = await request.body()
        try:
            pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=_FIELDS_MAX)
        except (UnicodeDecodeError, ValueError):
            return None
        query = f"?{request.url.query}" if request.url.query else ""
        fields: dict[str, str | list[str]] = {}
        for name, value in pairs:
            known = fields.get(name)
            fields[name] = value if known is None else [*(known if isinstance(known, list) else [known]), value]
        signature = request.headers.get("X-Twilio-Signature", "")
        if not signature or not validator.validate(f"{base}{request.url.path}{query}", fields, signature):
            return None
        return dict(pairs)

    @router.post(PATH)
    async def message(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        form = await form_of(request)
        if form is None:
            return Response(status_code=403)
        arrived = of_message(form, clock.now())
        if arrived is not None:
            await keep(arrived)
        return Response(_NOTHING, media_type="text/xml")

    @router.post(STATUS_PATH)
    async def status(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        form = await form_of(request)
        if form is None:
            return Response(status_code=403)
        said = of_status(form)
        if said is not None:
            await told(said, words_of(said.code) if said.code else None)
        return Response(status_code=204)

    return router
