"""A picture's address works for who was given it, for a while."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest
from fastapi import FastAPI

from bot.web.media import LIFE, PICTURES_MAX, Gallery, media_router
from optimizer.clock import ManualClock

PNG = b"\x89PNG\r\n\x1a\n picture"


class Wall:
    def __init__(self, client: httpx.AsyncClient) -> None:
        self.clock = ManualClock(datetime(2026, 2, 26, tzinfo=UTC))
        self.gallery = Gallery("http://bot/", self.clock)
        self.client = client

    async def get(self, url: str) -> httpx.Response:
        return await self.client.get(url)


@pytest.fixture
async def wall() -> AsyncIterator[Wall]:
    app = FastAPI()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bot") as client:
        made = Wall(client)
        app.include_router(media_router(made.gallery))
        yield made


async def test_it_is_fetched_under_its_address(wall: Wall) -> None:
    url = wall.gallery.hang(PNG)
    answer = await wall.get(url)
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, PNG, "image/png")
    assert (await wall.client.head(url)).status_code == 200


async def test_the_address_ends(wall: Wall) -> None:
    url = wall.gallery.hang(PNG)
    wall.clock.advance(LIFE * 0.9)
    assert (await wall.get(url)).status_code == 200
    wall.clock.advance(LIFE * 0.2)
    assert (await wall.get(url)).status_code == 404


async def test_nobody_makes_an_address(wall: Wall) -> None:
    url = wall.gallery.hang(PNG)
    other = Gallery("http://bot", wall.clock).hang(PNG)
    base, _, query = url.partition("?")
    ends = query.partition("&")[0].removeprefix("ends=")
    forged = [
        other,
        base,
        f"{base}?{query[:-1]}",
        f"{base}?ends={int(ends) + 60}&signature={query.partition('signature=')[2]}",
        f"{base}?ends=never&signature=ü",
        url.replace(base.rpartition("/")[2], f"{'0' * 64}.png"),
    ]
    assert {(await wall.get(one)).status_code for one in forged} == {404}


async def test_so_many_are_kept(wall: Wall) -> None:
    first = wall.gallery.hang(b"first")
    later = [wall.gallery.hang(b"%d" % n) for n in range(PICTURES_MAX)]
    assert (await wall.get(first)).status_code == 404
    assert (await wall.get(later[-1])).status_code == 200
