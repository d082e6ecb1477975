"""Which Asterisk there is, asked before its application is taken over."""

import asyncio
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp
import orjson

from ccari.calls.transport import CONNECT_SECONDS, Credentials, explained
from ccari.errors import AsteriskError, UnsuitableError
from ccari.peers import whole

#: Before this version, a read-only ARI user could write over the WebSocket (GHSA-wcvv-g26m-wx5c).
OLDEST_ASTERISK = (22, 10, 1)
#: The most that is read of Asterisk's answer about itself, which has some hundred bytes.
_MOST_INFO_BYTES = 64 * 1024


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
    url = f"{credentials.url.rstrip('/')}/ari/asterisk/info"
    with explained(credentials):
        # close the connection after the answer: Asterisk counts idle ones against its session limit
        headers = {**credentials.headers, "Connection": "close"}
        async with (
            asyncio.timeout(CONNECT_SECONDS),
            session.get(url, headers=headers, raise_for_status=True) as reply,
        ):
            answer = await whole(reply, _MOST_INFO_BYTES)
    try:
        info = orjson.loads(answer or b"")
        version, entity = str(info["system"]["version"]), str(info["system"]["entity_id"])
        started = str(info["status"]["startup_time"])
    except (ValueError, KeyError, TypeError):
        raise AsteriskError(
            f"{credentials.url} is no ARI: its answer makes no sense: check [asterisk] url"
        ) from None
    found = tuple(int(part) for part in re.findall(r"\d+", version)[:3])
    if found < OLDEST_ASTERISK:
        needed = ".".join(map(str, OLDEST_ASTERISK))
        raise UnsuitableError(f"Asterisk {version} is too old: ccari needs {needed} or newer for ARI")
    # the entity is a MAC address, which several Asterisks on one machine share
    return Identity(version, f"{entity}@{urlsplit(credentials.url).netloc}", f"{entity}/{started}")
