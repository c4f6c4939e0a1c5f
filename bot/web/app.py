"""The application that `ratchet serve` runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse

from bot.service import Service
from bot.web.health import Health
from bot.web.limits import BodyLimit
from optimizer.errors import RatchetError

STOP_SECONDS = 20.0  # for what is under way; what is left then is taken up at the next start
_log = logging.getLogger(__name__)


def make_app(
    service: Service, routers: Iterable[APIRouter] = (), *, broke: Callable[[], None] | None = None
) -> FastAPI:
    """The webhooks of `routers`, and the loops of the service for as long as the application lives.

    `broke` is called when the loops end before they are told to: nothing that arrives would be answered any more.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        stop = asyncio.Event()
        loops = asyncio.create_task(service.run(stop))

        def ended(task: asyncio.Task[None]) -> None:
            if not stop.is_set() and not task.cancelled():
                _log.critical("the loops of the service broke, so it stops", exc_info=task.exception())
                if broke is not None:
                    broke()

        loops.add_done_callback(ended)
        try:
            yield
        finally:
            stop.set()
            await asyncio.wait({loops}, timeout=STOP_SECONDS)
            loops.cancel()

    app = FastAPI(title="Ratchet", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(BodyLimit)
    app.add_exception_handler(RatchetError, _not_kept)
    health = Health(service)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:  # pyright: ignore[reportUnusedFunction]
        return {"status": "alive"}

    @app.get("/readyz")
    async def readyz() -> JSONResponse:  # pyright: ignore[reportUnusedFunction]
        report = await health.report()
        return JSONResponse(report, 200 if report["status"] == "ready" else 503)

    for router in routers:
        app.include_router(router)
    return app


async def _not_kept(request: Request, error: Exception) -> JSONResponse:
    """Whoever delivered it sends it again; what is wrong is for the operator."""
    _log.error("%s %s was not done: %s", request.method, request.url.path, error)
    problem = {"title": "That cannot be done just now; send it again.", "status": 503}
    return JSONResponse(problem, 503, {"Retry-After": "5"}, media_type="application/problem+json")
