"""A browser at the console of :mod:`tests.unit.web.conftest`."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.unit.store.conftest import database, dsn, empty, reachable, server, store
from tests.unit.web.api import Api
from tests.unit.web.conftest import api, front
from tests.unit.web.console.browsing import Visitor, browser

__all__ = ["api", "database", "dsn", "empty", "front", "reachable", "server", "store"]


@pytest_asyncio.fixture
async def visitor(api: Api) -> AsyncIterator[Visitor]:
    async with browser() as session:
        yield Visitor(api.url, session)
