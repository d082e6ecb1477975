"""What is attacked here without an Asterisk: the servers on loopback, over a database of the test's own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from ccari.store.opened import Store
from ccari.web.front import Front
from tests.unit.agi.conftest import desk
from tests.unit.store.server import patience
from tests.unit.web.api import Api, front_over, serving

__all__ = ["desk", "patience"]


@pytest_asyncio.fixture
async def front(store: Store, tmp_path: Path) -> Front:
    return await front_over(store, tmp_path)


@pytest_asyncio.fixture
async def api(store: Store, front: Front) -> AsyncIterator[Api]:
    async with serving(store, front) as running:
        yield running
