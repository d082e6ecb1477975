"""Who is at the other end: the first question, before anything is taken over."""

import asyncio
import socket

import aiohttp
import orjson
import pytest

from ccari.calls import client
from ccari.calls.client import Identity, identify
from ccari.calls.transport import Credentials
from ccari.errors import AsteriskError, UnsuitableError
from tests.lab.ports import free_port
from tests.unit.calls.ari_server import INFO, AriServer


async def ask(url: str) -> Identity:
    async with aiohttp.ClientSession() as session, asyncio.timeout(5):
        return await identify(session, Credentials(url, "ccari", "password", "ccari"))


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
async def test_another_programme_at_the_port_ends_in_a_traceback(server: AriServer, body: bytes) -> None:
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


async def test_a_mute_server_holds_the_service(server: AriServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "CONNECT_SECONDS", 0.2)
    server.mute_info = True
    with pytest.raises(AsteriskError, match="did not answer within"):
        await ask(server.url)


async def test_an_asterisk_that_is_still_loading_res_ari_ends_the_service(server: AriServer) -> None:
    """For some 80 ms of its start Asterisk answers 404, then 503: both pass."""
    for server.info_status in (404, 503):
        with pytest.raises(AsteriskError) as away:
            await ask(server.url)
        assert type(away.value) is AsteriskError
