"""Pictures under addresses that nobody can guess and that end: WhatsApp fetches what it is to show."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from datetime import timedelta

from fastapi import APIRouter, Response

from optimizer.clock import Clock

PATH = "/media"
LIFE = timedelta(minutes=30)
PICTURES_MAX = 64


class Gallery:
    """The last `PICTURES_MAX` pictures, in memory: a message is sent by the process that serves its picture.

    The key lives as long as the process, and so do the addresses.
    """

    def __init__(self, public_url: str, clock: Clock) -> None:
        self._base = f"{public_url.rstrip('/')}{PATH}"
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._pictures: OrderedDict[str, bytes] = OrderedDict()

    def hang(self, picture: bytes) -> str:
        """The address under which the PNG can be fetched for `LIFE`."""
        name = hashlib.sha256(picture).hexdigest()
        self._pictures[name] = picture
        self._pictures.move_to_end(name)
        while len(self._pictures) > PICTURES_MAX:
            self._pictures.popitem(last=False)
        ends = int((self._clock.now() + LIFE).timestamp())
        return f"{self._base}/{name}.png?ends={ends}&signature={self._signature(name, str(ends))}"

    def fetch(self, name: str, ends: str, signature: str) -> bytes | None:
        """None for an address that we did not give, or that ended."""
        if not hmac.compare_digest(self._signature(name, ends).encode(), signature.encode()):
            return None
        if int(ends) < self._clock.now().timestamp():
            return None
        return self._pictures.get(name)

    def _signature(self, name: str, ends: str) -> str:
        return hmac.new(self._key, f"{name}:{ends}".encode(), hashlib.sha256).hexdigest()


def media_router(gallery: Gallery) -> APIRouter:
    router = APIRouter()

    @router.get(f"{PATH}/{{name}}.png")
    @router.head(f"{PATH}/{{name}}.png")
    async def picture(name: str, ends: str = "", signature: str = "") -> Response:  # pyright: ignore[reportUnusedFunction]
        found = gallery.fetch(name, ends, signature)
        if found is None:
            return Response(status_code=404)
        return Response(found, media_type="image/png", headers={"Cache-Control": "private, max-age=600"})

    return router
