"""Other people's HTTP servers, which may send what they like."""

import asyncio
import contextlib
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path

import aiohttp
import pytest
import uvloop
from aiohttp import web

from ccari.forward import webhook
from ccari.forward.webhook import NotTakenError
from ccari.peers import client
from tests.unit.certificates import certificate

#: The tests are to catch what goes on for as long as a request may take.
SECONDS, LONGEST_SECONDS = 20.0, 600.0
#: A command's, and the service's, which has connections and TLS of its own.
LOOPS = (asyncio.run, uvloop.run)


@contextlib.asynccontextmanager
async def saying(words: bytes) -> AsyncIterator[str]:
    """The address of a server that says this again and again, to anybody, for as long as they listen."""

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
    async with client() as session, session.post(url):
        pass


@pytest.mark.parametrize(("ask", "error"), [(_told, NotTakenError), (_stamped, aiohttp.ClientError)])
@pytest.mark.parametrize("code", [b"100 Continue", b"103 Early Hints"])
@pytest.mark.parametrize("run", LOOPS)
def test_a_server_that_says_without_end_that_its_answer_is_to_come_holds_up_all_calls(
    ask: Callable[[str], Awaitable[None]],
    error: type[Exception],
    code: bytes,
    run: Callable[[Coroutine[None, None, None]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Everything that a server says is read before anything else is done."""
    monkeypatch.setattr(webhook, "TIMEOUT_SECONDS", LONGEST_SECONDS)

    async def asked() -> None:
        async with saying(b"HTTP/1.1 %b\r\n\r\n" % code * 1000) as url, asyncio.timeout(SECONDS):
            with pytest.raises(error):
                await ask(url)

    run(asked())


@contextlib.asynccontextmanager
async def taking(file: Path) -> AsyncIterator[str]:
    """The address of a webhook that accepts everything, with the certificate in that file."""

    async def take(_: web.Request) -> web.Response:
        # a connection that is kept open was checked before
        return web.Response(status=204, headers={"connection": "close"})

    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(file)
    application = web.Application()
    application.router.add_post("/", take)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        yield f"https://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


def _in_its_place(file: Path, trusted: Path) -> None:
    new = trusted.with_name("new")
    new.write_bytes(file.read_bytes())
    new.rename(trusted)


def _over_it(file: Path, trusted: Path) -> None:
    trusted.write_bytes(file.read_bytes())


def _over_what_it_leads_to(file: Path, trusted: Path) -> None:
    """With the time of the earlier file, as ``cp -p`` may leave it."""
    kept = trusted.parent.parent / "kept.crt"
    kept.write_bytes(file.read_bytes())
    os.utime(kept, (0, 0))
    if not trusted.is_symlink():
        trusted.symlink_to(kept)


def _tick(scratch: Path, trusted: Path) -> None:
    """Wait until the clock of files, which some kernels advance every few milliseconds, is past the time of the last
    change.
    """
    last = trusted.stat().st_ctime_ns if trusted.exists() else 0
    scratch.touch()
    while scratch.stat().st_ctime_ns <= last:
        scratch.touch()


@pytest.mark.parametrize("put", [_in_its_place, _over_it, _over_what_it_leads_to])
@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
@pytest.mark.parametrize("run", LOOPS)
def test_a_renewed_authority_is_refused_or_the_old_one_trusted_until_somebody_restarts_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, put: Callable[[Path, Path], None],
    run: Callable[[Coroutine[None, None, None]], None],
) -> None:  # fmt: skip
    """It has the same name, as when a centre renews its own. All in one file; or each in one that OpenSSL finds by the
    name, as ``update-ca-certificates`` also makes them.
    """
    old, renewed, trusted = (tmp_path / each for each in ("old", "renewed", "trusted"))
    for each in (old, renewed, trusted):
        each.mkdir()
    old, renewed = certificate(old, "127.0.0.1", 10), certificate(renewed, "127.0.0.1", 10)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    # the hash of the name in both, as OpenSSL has it
    name = "all.pem" if variable == "SSL_CERT_FILE" else "d6c99762.0"
    monkeypatch.setenv(variable, str(trusted / name if variable == "SSL_CERT_FILE" else trusted))

    async def renew() -> None:
        async with webhook.open_webhook() as opened, taking(old) as before, taking(renewed) as after:
            for trust_now, taken, refused in ((old, before, after), (renewed, after, before)):
                _tick(tmp_path / "tick", trusted / name)
                put(trust_now, trusted / name)
                assert await opened.post(taken, b"key", "an-id", b"{}") == 204
                with pytest.raises(NotTakenError, match="its certificate is refused"):
                    await opened.post(refused, b"key", "an-id", b"{}")

    run(renew())
