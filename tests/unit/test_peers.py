"""Other people's HTTP servers, which may send what they like."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest

from ccari.forward import webhook
from ccari.forward.webhook import NotTakenError
from ccari.recordings.evidence import stamper

#: What is to be caught goes on for as long as a request may take.
SECONDS, LONGEST_SECONDS = 20.0, 600.0


@contextlib.asynccontextmanager
async def saying(words: bytes) -> AsyncIterator[str]:
    """The address of a server that says so again and again, to anybody, for as long as they listen."""

    async def say(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(words)
                await writer.drain()

    server = await asyncio.start_server(say, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def _told(url: str) -> None:
    async with webhook.open_webhook() as opened:
        await opened.post(url, b"key", "an-id", b"{}")


async def _stamped(url: str) -> None:
    async with stamper.open_session(None, "") as session, session.post(url):
        pass


@pytest.mark.parametrize(("ask", "error"), [(_told, NotTakenError), (_stamped, aiohttp.ClientError)])
@pytest.mark.parametrize("code", [b"100 Continue", b"103 Early Hints"])
async def test_a_server_that_says_without_end_that_its_answer_is_to_come_holds_up_all_calls(
    ask: Callable[[str], Awaitable[None]],
    error: type[Exception],
    code: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All that a server says is read before anything else is done."""
    monkeypatch.setattr(webhook, "TIMEOUT_SECONDS", LONGEST_SECONDS)
    async with saying(b"HTTP/1.1 %b\r\n\r\n" % code * 1000) as url, asyncio.timeout(SECONDS):
        with pytest.raises(error):
            await ask(url)
