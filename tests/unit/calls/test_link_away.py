"""What the link says of whom it cannot reach."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from ccari.calls.admission import Admission
from ccari.calls.client import Ari, Identity
from ccari.calls.desk import Desk
from ccari.calls.link import Link
from ccari.calls.switchboard import Switchboard
from ccari.calls.transport import Credentials
from ccari.errors import StoreError
from tests.unit.calls.ari_server import AriServer


class Away:
    """A fence whose database is away."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    @contextlib.asynccontextmanager
    async def hold(self, name: str) -> AsyncIterator[asyncio.Event]:
        self.asked.set()
        raise StoreError(f"the database is away from {name}")
        yield


def no_desk(ari: Ari, identity: Identity) -> Desk:
    raise AssertionError("no call can be made without the fence")


async def test_a_database_that_is_away_is_reported_as_an_asterisk(server: AriServer) -> None:
    fence = Away()
    credentials = Credentials(server.url, "ccari", "secret", "ccari")
    with capture_logs() as logged:
        link = asyncio.create_task(Link(credentials, fence, Switchboard(Admission(1000)), no_desk).run())
        await fence.asked.wait()
        fence.asked.clear()
        # it tries again, so the first fault has been told
        await fence.asked.wait()
        link.cancel()
        with pytest.raises(asyncio.CancelledError):
            await link
    assert {each["event"] for each in logged} == {"database_away"}
