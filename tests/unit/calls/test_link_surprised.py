"""An error that nobody has foreseen ends one connection to Asterisk, and neither the service nor what goes on in Asterisk."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from ccari.calls.admission import Admission
from ccari.calls.desk import Desk
from ccari.calls.identity import Identity
from ccari.calls.link import Link, _Connection
from ccari.calls.recovery import Stock
from ccari.calls.switchboard import Switchboard
from ccari.calls.transport import Credentials
from ccari.tasks import started
from tests.lab.waiting import until
from tests.unit.calls.ari_server import AriServer
from tests.unit.calls.test_link_away import SECONDS, Held, Serving


@contextlib.asynccontextmanager
async def running(link: Link) -> AsyncIterator[asyncio.Task[None]]:
    """The link runs while the context lasts."""
    task = asyncio.create_task(link.run())
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def failures(logged: list[Any]) -> list[Any]:
    return [each for each in logged if each["event"] == "asterisk_link_failed"]


@pytest.fixture
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ccari.calls.link.FIRST_RETRY_SECONDS", 0.001)
    monkeypatch.setattr("ccari.calls.link.LONGEST_RETRY_SECONDS", 0.001)


@pytest.mark.usefixtures("_at_once")
async def test_an_answer_of_asterisk_that_makes_no_sense_ends_the_service(server: AriServer) -> None:
    """With its FastAGI, its API, and the talks that go on."""

    async def odd(request: dict[str, Any]) -> None:
        await server.send({"type": "RESTResponse", "request_id": request["request_id"]})

    server.answer = odd
    credentials = Credentials(server.url, "ccari", "secret", "ccari")
    link = Link(credentials, Held(), Switchboard(Admission(1000)), lambda *_: cast("Desk", None))
    with capture_logs() as logged:
        async with running(link) as task:
            await until(lambda: len(failures(logged)) > 3 or task.done(), within=SECONDS)
            assert not task.done()
    told = failures(logged)
    assert {(each["error"], each["log_level"]) for each in told} == {("KeyError", "error")}
    assert told[0]["place"].startswith("transport.py:")
    # one traceback, however often it comes
    assert [bool(each.get("exc_info")) for each in told[:4]] == [True, False, False, False]


async def test_a_reader_that_fails_leaves_its_calls_without_a_connection_or_does_not_say_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fails() -> None:
        await serving.reading.wait()
        raise KeyError("opcode")

    async def found(*_: Any) -> Stock:
        return Stock([], {})

    serving = Serving(monkeypatch, found)
    async with (
        started(fails(), serving.link.connected.wait()) as (reader, connected),
        asyncio.timeout(SECONDS),
    ):
        connection = _Connection(cast("Any", serving.transport), serving.ears, reader, serving.lock_lost)
        served = asyncio.create_task(
            serving.link._serve(connection, Identity("22.10.1", "an-asterisk", "run"))
        )
        await connected
        assert serving.board._desk is not None
        serving.reading.set()
        with pytest.raises(KeyError, match="opcode"):
            await served
    assert serving.board._desk is None
