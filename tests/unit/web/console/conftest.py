"""A browser at the console of :mod:`tests.unit.web.conftest`."""

from collections.abc import AsyncIterator

import pytest_asyncio

from ccari.ports.access import Role
from tests.unit.web.api import Api
from tests.unit.web.console.browsing import Visitor, browser, signed_in


@pytest_asyncio.fixture
async def visitor(api: Api) -> AsyncIterator[Visitor]:
    async with browser() as session:
        yield Visitor(api.url, session)


@pytest_asyncio.fixture
async def officer(api: Api, visitor: Visitor) -> Visitor:
    """The same browser, in which a data protection officer for all controllers has signed in."""
    return await signed_in(api, visitor, Role.DPO)
