"""Looks up the hosts that aiohttp connects to, each in a thread of its own.

The event loop looks up only two names at a time, for the whole service (uvloop; libuv's threadpool.c). If two
hosts, such as controllers' webhooks, hang in their look-ups, no other name is found: a database reached by
name cannot be connected to, and calls are blocked. So only the database's own name is left to the loop.
"""

import asyncio
import socket
from concurrent.futures import Future

from aiohttp.abc import AbstractResolver, ResolveResult

from ccari.own_threads import alone

_NUMERIC = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV

_Asked = tuple[str, int, int]


class Names(AbstractResolver):
    """A resolver for aiohttp. A host is looked up once at a time: further requests meanwhile wait for the same answer."""

    def __init__(self) -> None:
        self._under_way: dict[_Asked, Future[list[ResolveResult]]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a host. Raises OSError if there are none."""
        asked: _Asked = host, port, family
        looking = self._under_way.get(asked)
        if looking is None:
            looking = self._under_way[asked] = alone("ccari-names", _look_up, *asked)
            looking.add_done_callback(lambda _: self._under_way.pop(asked, None))
        return await asyncio.wrap_future(looking)

    async def close(self) -> None:
        """Nothing to do: nothing waits for a look-up that hangs."""


def _look_up(host: str, port: int, family: int) -> list[ResolveResult]:
    """Blocks."""
    found = []
    for of_family, _, proto, _, address in socket.getaddrinfo(
        host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
    ):
        numeric, _ = socket.getnameinfo(address, _NUMERIC)
        found.append(
            ResolveResult(
                hostname=host, host=numeric, port=port, family=of_family, proto=proto, flags=socket.AI_NUMERICHOST
            )
        )  # fmt: skip
    return found
