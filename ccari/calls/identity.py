"""Which Asterisk there is, and which database the service that drives it works with: asked before its application is taken over."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson

from ccari.calls.transport import CONNECT_SECONDS, Credentials, explained
from ccari.errors import AsteriskError, RivalError, UnsuitableError
from ccari.peers import whole

#: Before this version, a read-only ARI user could write over the WebSocket (GHSA-wcvv-g26m-wx5c).
OLDEST_ASTERISK = (22, 10, 1)
#: Asterisk's global variable that has the application and the database of the service that drives it. It is lost with a restart.
DRIVEN_BY = "CCARI_DRIVEN_BY"
#: What to do about a service with another database.
APART = (
    "give this one an Asterisk of its own and keep it from being started again; if there is no other, let the calls end, or give them up by "
    f"asterisk -rx 'dialplan set global {DRIVEN_BY} none'"
)
#: How long another service's application may remain: Asterisk may take a moment to see that a killed service is gone.
PATIENCE_SECONDS = 3.0
_WORD = re.compile(r"([A-Za-z0-9_-]{1,40}) (\S+)")
_ASK_AGAIN_SECONDS = 0.2
#: The most that is read of one of Asterisk's answers, which have some hundred bytes.
_MOST_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Identity:
    """Identifies one Asterisk. ``name`` survives a restart; ``run`` changes with each restart."""

    version: str
    name: str
    run: str


async def identify(session: aiohttp.ClientSession, credentials: Credentials) -> Identity:
    """Ask which Asterisk this is, before taking over its application.

    Raises
    ------
    AsteriskError
        If it cannot be asked, or is older than :data:`OLDEST_ASTERISK`.
    """
    async with _asked(session, credentials, "asterisk/info") as reply:
        info = await _read(reply, credentials)
    try:
        version, entity = str(info["system"]["version"]), str(info["system"]["entity_id"])
        started = str(info["status"]["startup_time"])
    except (KeyError, TypeError):
        raise _no_ari(credentials) from None
    found = tuple(int(part) for part in re.findall(r"\d+", version)[:3])
    if found < OLDEST_ASTERISK:
        needed = ".".join(map(str, OLDEST_ASTERISK))
        raise UnsuitableError(f"Asterisk {version} is too old: ccari needs {needed} or newer for ARI")
    # the entity is a MAC address, which several Asterisks on one machine share
    return Identity(version, f"{entity}@{urlsplit(credentials.url).netloc}", f"{entity}/{started}")


@dataclass(frozen=True, slots=True)
class Driver:
    """A service that drives an Asterisk, or did, by its own word. ``app``: its application; ``database``: the name of its database."""

    app: str
    database: str

    @property
    def as_stranger(self) -> str:
        """What is wrong, in words, if its database is not ours."""
        return f"a service with another database drives this Asterisk as {self.app}, or has left calls in it"


async def driver(session: aiohttp.ClientSession, credentials: Credentials) -> Driver | None:
    """Who drives this Asterisk. None: nobody has left word since Asterisk started. Raises AsteriskError if it cannot be asked.

    A service that is no ccari, or whose PostgreSQL does not say which database it is, leaves no word.
    """
    async with _asked(session, credentials, "asterisk/variable", variable=DRIVEN_BY) as reply:
        word = _WORD.fullmatch(str((await _read(reply, credentials)).get("value")))
    return None if word is None else Driver(word[1], word[2])


async def is_active(session: aiohttp.ClientSession, credentials: Credentials, app: str) -> bool:
    """Whether Asterisk knows the application: somebody is connected for its events, or it has channels. Raises AsteriskError if it cannot
    be asked.
    """
    async with _asked(session, credentials, f"applications/{app}") as reply:
        if reply.status == HTTPStatus.NOT_FOUND:
            return False
        reply.raise_for_status()
    return True


async def refuse_strangers(
    session: aiohttp.ClientSession, credentials: Credentials, ours: Collection[str]
) -> None:
    """Make sure that no service with another database than ``ours`` drives this Asterisk.

    The lock that keeps two services apart is in their database. A service with another one would take the application over, and end all
    conversations as it takes stock. A service that has left no word is not noticed.

    Raises
    ------
    RivalError
        If such a service is connected, or Asterisk still has calls of one.
    AsteriskError
        If Asterisk cannot be asked.
    """
    loop = asyncio.get_running_loop()
    patient_until = loop.time() + PATIENCE_SECONDS
    while True:
        who = await driver(session, credentials)
        if who is None or who.database in ours or not await is_active(session, credentials, who.app):
            return
        if loop.time() > patient_until:
            raise RivalError(f"{who.as_stranger}, and they would end: {APART}")
        await asyncio.sleep(_ASK_AGAIN_SECONDS)


@contextlib.asynccontextmanager
async def _asked(
    session: aiohttp.ClientSession, credentials: Credentials, what: str, **parameters: str
) -> AsyncIterator[aiohttp.ClientResponse]:
    url = f"{credentials.url.rstrip('/')}/ari/{what}"
    # close the connection after the answer: Asterisk counts idle ones against its session limit
    headers = {**credentials.headers, "Connection": "close"}
    with explained(credentials):
        async with (
            asyncio.timeout(CONNECT_SECONDS),
            session.get(url, headers=headers, params=parameters) as reply,
        ):
            yield reply


async def _read(reply: aiohttp.ClientResponse, credentials: Credentials) -> dict[str, Any]:
    reply.raise_for_status()
    try:
        answer = orjson.loads(await whole(reply, _MOST_BYTES) or b"")
    except ValueError:
        raise _no_ari(credentials) from None
    if not isinstance(answer, dict):
        raise _no_ari(credentials)
    return answer


def _no_ari(credentials: Credentials) -> AsteriskError:
    return AsteriskError(f"{credentials.url} is no ARI: its answer makes no sense: check [asterisk] url")
