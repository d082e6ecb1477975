"""Fixtures that any test may import: one lab for the whole session."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.lab.laboratory import Lab, laboratory


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def lab() -> AsyncIterator[Lab]:
    """A running lab; its tests need ``pytest.mark.asyncio(loop_scope="session")``."""
    async with laboratory() as running:
        yield running
