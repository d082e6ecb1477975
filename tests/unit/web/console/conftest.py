"""A browser at the console of :mod:`tests.unit.web.conftest`."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.unit.web.api import Api
from tests.unit.web.console.browsing import Visitor, browser


@pytest_asyncio.fixture
async def visitor(api: Api) -> AsyncIterator[Visitor]:
    async with browser() as session:
        yield Visitor(api.url, session)
