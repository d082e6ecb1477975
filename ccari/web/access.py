"""Recognising the bearer of a token, and limiting how often a peer may show a wrong one."""

import asyncio
import ipaddress
import re
from collections import OrderedDict
from collections.abc import Callable
from http import HTTPStatus
from time import monotonic
from typing import Protocol

import structlog
from aiohttp import hdrs, web

from ccari.ports.access import Bearer, Bearers, fingerprint
from ccari.web.problems import Refusal
from ccari.web.turns import Turns

#: How many wrong tokens a peer may show within how many seconds. After that, only its good tokens are looked up.
MOST_FAILURES = 20
FAILURE_SECONDS = 60.0
#: The maximum age of the list of good tokens.
GOOD_SECONDS = 5.0
#: How long ago a token may have been looked up, for a request that looks it up again itself.
LATELY_SECONDS = 5.0
#: How many peers' failures are counted, and how many good tokens remembered. The oldest are forgotten.
_PEERS, _RECOGNISED = 10_000, 1_000
#: The prefix length of an IPv6 network.
_IPV6_NETWORK = 64
#: Concurrent look-ups of tokens: a thousand streams may recheck their tokens at the same moment.
_LOOKUPS = 2

_TOKEN = re.compile(r"ccari_[A-Za-z0-9_-]{43}")
_log = structlog.get_logger()


class Keeper(Protocol):
    async def still(self, request: web.Request, bearer: Bearer) -> bool:
        """Whether the request is still let in, as the same bearer. Raises Refusal (503), and StoreError."""
        ...


class Doorkeeper:
    """Looks up the bearer of a token, and counts each peer's wrong tokens.

    A token of 256 bits cannot be guessed. The limit saves the database a look-up per guess, and tells operators who is guessing. A peer
    may be a proxy, or a NAT shared by a floor of agents, one of whom has a revoked token. So a good token is always let through, even one
    that was never shown before. To know which tokens are good without looking up each one, the list of all good tokens is read for such a
    peer, at most once in :data:`GOOD_SECONDS`.
    """

    def __init__(self, bearers: Bearers, clock: Callable[[], float] = monotonic) -> None:
        self._bearers = bearers
        self._clock = clock
        self._turns = Turns(_LOOKUPS)
        self._failures: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._recognised: OrderedDict[bytes, tuple[Bearer, float]] = OrderedDict()
        self._good: frozenset[bytes] = frozenset()
        self._good_at = -GOOD_SECONDS
        self._asking = asyncio.Lock()

    async def admit(self, request: web.Request, *, lately: bool = False) -> Bearer:
        """The bearer of the request's token. Raises Refusal (401, 429, 503), and StoreError.

        ``lately``: a bearer looked up some seconds ago will do, because the request looks the token up again before it answers anything
        about a number. If the token was revoked meanwhile, the request may first be refused for another fault.
        """
        header = request.headers.get(hdrs.AUTHORIZATION, "")
        if not header:
            raise _unauthorized("a token is needed: Authorization: Bearer TOKEN", "")
        scheme, _, token = header.partition(" ")
        token = token.strip() if scheme.lower() == "bearer" else ""
        recognised = self._recognised.get(fingerprint(token)) if lately else None
        if recognised is not None and self._clock() - recognised[1] < LATELY_SECONDS:
            return recognised[0]
        return await self.recognise(token, request.remote)

    async def recognise(self, token: str, remote: str | None) -> Bearer:
        """The bearer of a token shown from that address. Raises like :meth:`admit`."""
        peer = network_of(remote)
        sha256 = fingerprint(token)
        if sha256 not in self._recognised and (wait := self._wait(peer)) and not await self._is_good(sha256):
            raise Refusal(
                HTTPStatus.TOO_MANY_REQUESTS, "too many wrong tokens came from your address",
                headers={"retry-after": str(wait)},
            )  # fmt: skip
        bearer = await self.bearer_of(sha256) if _TOKEN.fullmatch(token) is not None else None
        if bearer is None:
            self._recognised.pop(sha256, None)
            self._failed(peer)
            raise no_token()
        self._remember(sha256, bearer)
        return bearer

    def disown(self, request: web.Request) -> None:
        """Count the request's token as wrong: it was good some seconds ago, and is not any more."""
        self._recognised.pop(token_fingerprint(request), None)
        self._failed(network_of(request.remote))

    async def still(self, request: web.Request, bearer: Bearer) -> bool:
        """Whether the token of a long request is still good, and has the same bearer. Raises like :meth:`admit`."""
        return await self.bearer_of(token_fingerprint(request)) == bearer

    async def bearer_of(self, sha256: bytes) -> Bearer | None:
        """The bearer of the token with that fingerprint; None if there is none, or it was revoked. Raises Refusal (503), and
        StoreError.
        """
        async with self._turns:
            return await self._bearers.bearer(sha256)

    async def _is_good(self, sha256: bytes) -> bool:
        """Whether a token is good, by a list at most :data:`GOOD_SECONDS` old."""
        async with self._asking:
            if self._clock() - self._good_at >= GOOD_SECONDS:
                self._good, self._good_at = await self._bearers.valid_fingerprints(), self._clock()
        return sha256 in self._good

    def _wait(self, peer: str) -> int:
        """Seconds until the peer may try again; 0: now."""
        began, count = self._failures.get(peer, (0.0, 0))
        left = began + FAILURE_SECONDS - self._clock()
        return max(int(left) + 1, 1) if count >= MOST_FAILURES and left > 0 else 0

    def _failed(self, peer: str) -> None:
        now = self._clock()
        began, count = self._failures.pop(peer, (now, 0))
        if now - began >= FAILURE_SECONDS:
            began, count = now, 0
        self._failures[peer] = (began, count + 1)
        if count + 1 == MOST_FAILURES:
            _log.warning("tokens_refused", peer=peer, failures=MOST_FAILURES)
        while len(self._failures) > _PEERS:
            self._failures.popitem(last=False)

    def _remember(self, sha256: bytes, bearer: Bearer) -> None:
        self._recognised[sha256] = bearer, self._clock()
        self._recognised.move_to_end(sha256)
        while len(self._recognised) > _RECOGNISED:
            self._recognised.popitem(last=False)


def token_fingerprint(request: web.Request) -> bytes:
    """The fingerprint of the token that the request shows, good or not; that of no text if it shows none."""
    return fingerprint(request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")[2].strip())


def no_token() -> Refusal:
    return _unauthorized("there is no such token, or it is no longer valid", ', error="invalid_token"')


def _unauthorized(detail: str, why: str) -> Refusal:
    return Refusal(
        HTTPStatus.UNAUTHORIZED, detail, headers={"www-authenticate": f'Bearer realm="ccari"{why}'}
    )


def network_of(remote: str | None) -> str:
    """The peer that requests without a good token are counted for: an IPv4 address, or an IPv6 network, since the holder of one address in it has them all."""
    try:
        address = ipaddress.ip_address(remote or "")
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, _IPV6_NETWORK), strict=False))
