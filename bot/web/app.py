"""The application that `ratchet serve` runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager, suppress

from fastapi import APIRouter, FastAPI

from bot.service import Service
from bot.web.limits import BodyLimit

STOP_SECONDS = 20.0  # for what is under way; what is left then is taken up at the next start


def make_app(service: Service, routers: Iterable[APIRouter] = ()) -> FastAPI:
    """The webhooks of `routers`, and the loops of the service for as long as the application lives."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        stop = asyncio.Event()
        loops = asyncio.create_task(service.run(stop))
        try:
            yield
        finally:
            stop.set()
            with suppress(TimeoutError):  # cancelled then: leases end, and the next start goes on
                await asyncio.wait_for(loops, STOP_SECONDS)

    app = FastAPI(title="Ratchet", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(BodyLimit)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:  # pyright: ignore[reportUnusedFunction]
        return {"status": "alive"}

    for router in routers:
        app.include_router(router)
    return app
