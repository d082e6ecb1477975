"""How the doctor asks Asterisk over ARI."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from ccari.calls.transport import CONNECT_SECONDS, Credentials, explained
from ccari.cli.doctor.findings import in_daemon_thread
from ccari.config import Settings


@asynccontextmanager
async def session_with(settings: Settings) -> AsyncIterator[tuple[aiohttp.ClientSession, Credentials]]:
    section = settings.asterisk
    password = await in_daemon_thread(section.secret)
    asked = Credentials(section.url, section.username, password, section.app)
    # one connection at a time, closed after each answer: Asterisk counts them against its session limit
    connector = aiohttp.TCPConnector(limit=1, force_close=True)
    async with aiohttp.ClientSession(connector=connector, headers=asked.headers) as session:
        yield session, asked


@asynccontextmanager
async def asked_of(
    session: aiohttp.ClientSession,
    credentials: Credentials,
    what: str,
    method: str = "GET",
    **parameters: str,
) -> AsyncIterator[aiohttp.ClientResponse]:
    url = f"{credentials.url.rstrip('/')}/ari/{what}"
    limit = aiohttp.ClientTimeout(total=CONNECT_SECONDS)
    with explained(credentials):
        async with session.request(method, url, params=parameters, timeout=limit) as reply:
            yield reply
