"""Who is at the other end: the first question, before anything is taken over."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import orjson
import pytest

from ccari.calls import identity
from ccari.calls.identity import Identity, identify, refuse_strangers
from ccari.calls.transport import Credentials
from ccari.errors import AsteriskError, RivalError, UnsuitableError
from tests.lab.ports import free_port
from tests.unit.calls.ari_server import INFO, AriServer
from tests.unit.certificates import certificate

HERE = "127.0.0.1"
SECONDS = 30.0


async def ask(url: str) -> Identity:
    async with aiohttp.ClientSession() as session, asyncio.timeout(SECONDS):
        return await identify(session, Credentials(url, "ccari", "password", "ccari"))


async def ask_trusting(url: str, file: Path) -> Identity:
    """As :func:`ask`, on a machine that trusts the certificate in ``file``."""
    trusting = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=file))
    async with aiohttp.ClientSession(connector=trusting) as session, asyncio.timeout(SECONDS):
        return await identify(session, Credentials(url, "ccari", "password", "ccari"))


@contextlib.asynccontextmanager
async def hanging_up(file: Path | None = None) -> AsyncIterator[str]:
    """Accepts every connection, with the certificate in ``file`` if there is one, and closes it without a word, as
    Asterisk does at its ``sessionlimit``; gives the url.
    """

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
        writer.close()

    tls = None
    if file is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(file)
    listening = await asyncio.start_server(hang_up, HERE, 0, ssl=tls)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        yield f"{'http' if file is None else 'https'}://{HERE}:{port}"


@pytest.mark.parametrize("version", ["22.10.1", "22.10.1+dfsg+~cs6.17.60671434-1", "22.11.0-rc1", "23.0.0"])
async def test_a_fit_asterisk_is_refused(server: AriServer, version: str) -> None:
    server.info_body = orjson.dumps({**INFO, "system": {**INFO["system"], "version": version}})
    assert (await ask(server.url)).version == version


@pytest.mark.parametrize("version", ["20.5.0", "22.10.0", "certified-20.7-cert3"])
async def test_an_old_asterisk_is_driven(server: AriServer, version: str) -> None:
    server.info_body = orjson.dumps({**INFO, "system": {**INFO["system"], "version": version}})
    with pytest.raises(UnsuitableError, match=rf"{version} is too old: ccari needs 22\.10\.1 or newer"):
        await ask(server.url)


@pytest.mark.parametrize(
    "body",
    [b"<html>It works!</html>", b"", b"[]", b"{}", b'{"system": {}, "status": {}}', b"\xff", b"null", orjson.dumps(INFO) + b" " * 2**20],
    ids=lambda body: body[:40].decode(errors="replace"),
)  # fmt: skip
async def test_another_program_at_the_port_ends_in_a_traceback(server: AriServer, body: bytes) -> None:
    server.info_body = body
    with pytest.raises(AsteriskError, match=r"is no ARI: .*check \[asterisk\] url"):
        await ask(server.url)


async def test_what_speaks_no_http_ends_in_a_traceback() -> None:
    async def say_hello(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail ESMTP\r\n")
        writer.close()

    listening = await asyncio.start_server(say_hello, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        with pytest.raises(AsteriskError, match=r"is no ARI|cannot be reached"):
            await ask(f"http://127.0.0.1:{port}")


async def test_a_port_where_nobody_listens_ends_in_a_traceback() -> None:
    port = free_port(socket.SOCK_STREAM, "127.0.0.1")
    with pytest.raises(AsteriskError, match="cannot be reached"):
        await ask(f"http://127.0.0.1:{port}")


async def test_an_asterisk_at_its_session_limit_is_told_to_be_started() -> None:
    async with hanging_up() as url:
        with pytest.raises(
            AsteriskError, match="closed the connection without an answer: check sessionlimit"
        ):
            await ask(url)


@pytest.mark.parametrize(
    ("address", "days", "words"),
    [(HERE, -1, "certificate has expired"), ("10.0.0.1", 10, "IP address mismatch")],
)
async def test_a_certificate_is_refused_and_nobody_is_told_why(
    tmp_path: Path, address: str, days: int, words: str
) -> None:
    file = certificate(tmp_path, address, days)
    async with hanging_up(file) as url:
        with pytest.raises(AsteriskError, match=f"by TLS: its certificate is refused: {words}"):
            await ask_trusting(url, file)


async def test_a_certificate_of_an_unknown_authority_is_refused_and_nobody_is_told_why(
    tmp_path: Path,
) -> None:
    async with hanging_up(certificate(tmp_path, HERE, 10)) as url:
        with pytest.raises(AsteriskError, match="its certificate is refused: self-signed certificate"):
            await ask(url)


async def test_a_mute_server_holds_the_service(server: AriServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "CONNECT_SECONDS", 0.2)
    server.mute_info = True
    with pytest.raises(AsteriskError, match="did not answer within"):
        await ask(server.url)


async def test_an_asterisk_that_is_still_loading_res_ari_ends_the_service(server: AriServer) -> None:
    """For some 80 ms of its start, Asterisk answers 404 and then 503; neither is fatal."""
    for server.info_status in (404, 503):
        with pytest.raises(AsteriskError) as away:
            await ask(server.url)
        assert type(away.value) is AsteriskError


async def come(server: AriServer, *ours: str) -> None:
    """A service comes with a database of one of these names."""
    async with aiohttp.ClientSession() as session, asyncio.timeout(SECONDS):
        await refuse_strangers(session, Credentials(server.url, "ccari", "password", "ccari"), ours)


@pytest.mark.parametrize("ours", ["7/5", ""], ids=["another database", "a server that does not say which"])
async def test_a_service_takes_over_what_one_with_another_database_drives(
    server: AriServer, ours: str
) -> None:
    server.variable, server.app_statuses = "calls 7/16384", [200] * 100
    with pytest.raises(RivalError, match="with another database drives this Asterisk as calls"):
        await come(server, ours)
    assert {str(each.rel_url) for each in server.handshakes} == {"/ari/applications/calls"}


async def test_a_service_that_has_just_been_killed_keeps_the_next_one_out(server: AriServer) -> None:
    server.variable, server.app_statuses = "ccari 7/16384", [200, 200, 404]
    await come(server, "7/5")
    assert not server.app_statuses


@pytest.mark.parametrize("word", ["", "none", "ccari ", "../asterisk/info 7/16384", "ccari 7/5", "ccari 7/4"])
async def test_a_service_is_kept_from_its_own_asterisk_or_by_no_word_of_a_service(
    server: AriServer, word: str
) -> None:
    server.variable, server.app_statuses = word, [200] * 100
    await come(server, "7/5", "7/4")
    assert not server.handshakes


async def test_an_asterisk_that_does_not_know_its_applications_yet_is_called_another_services(
    server: AriServer,
) -> None:
    server.variable, server.app_statuses = "ccari 7/16384", [503]
    with pytest.raises(AsteriskError, match="still starting") as refused:
        await come(server, "7/5")
    assert not isinstance(refused.value, RivalError)
