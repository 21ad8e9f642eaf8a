"""A world, a shop's web server that keeps the webhooks it gets, and plain HTTP to the simulated API."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from simulated import ACCOUNT, PUBLIC, TOKEN, Api, Shop

from gateway.simulator.world import World


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    shop = Shop()
    app = web.Application()
    app.router.add_post("/{path:.*}", shop.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    shop.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield shop
    await runner.cleanup()


@pytest.fixture
async def world(shop: Shop) -> AsyncIterator[World]:
    async with World(ACCOUNT, TOKEN, PUBLIC, shop.base) as world:
        yield world


@pytest.fixture
async def api(world: World) -> AsyncIterator[Api]:
    headers = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT, TOKEN)}
    async with aiohttp.ClientSession() as http:
        yield Api(http, world.api_url, headers)
