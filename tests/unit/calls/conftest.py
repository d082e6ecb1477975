"""A server that speaks ARI's protocol and can misbehave as no Asterisk can be made to."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.unit.calls.ari_server import AriServer, running


@pytest.fixture(scope="session")
def recorded() -> dict[str, dict[str, Any]]:
    """Events as Asterisk 22.10.1 sent them for calls in the laboratory, by what they report."""
    found: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "events.json").read_text())
    return found


@pytest_asyncio.fixture
async def server() -> AsyncIterator[AriServer]:
    async with running() as made:
        yield made
