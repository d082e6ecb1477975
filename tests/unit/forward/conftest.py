"""A controller that receives forwarded requests, and the store's database to forward from."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.unit.forward.receiver import Receiver, receiving


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as running:
        yield running
