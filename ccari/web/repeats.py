"""``Idempotency-Key``: a request that comes again with the same key gets the same answer, and is not carried out again."""

import asyncio
import contextlib
import hashlib
import hmac
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from http import HTTPStatus
from uuid import UUID, uuid4

import structlog
from aiohttp import web

from ccari.errors import StoreError
from ccari.ports.repeats import Answered, RepeatStore, Unanswered
from ccari.tasks import beside
from ccari.web.problems import Refusal
from ccari.web.uploads import digest_of_list

HEADER = "Idempotency-Key"
#: How often the database is told that a request is still in progress. A claim expires after four times as long.
HOLD_SECONDS = 30.0
_KEY = re.compile(r"[\x21-\x7e]{1,200}")

_log = structlog.get_logger()


class Repeat:
    """One request with a key. ``lists``: the request, if its body is a list, which is read only while the request is handled.

    The key is stored as a hash, and the body as a hash keyed with it, so that neither reveals a number.
    """

    def __init__(
        self,
        store: RepeatStore,
        key: str,
        bearer: str,
        path: str,
        body: bytes,
        lists: web.Request | None = None,
    ) -> None:
        self._store = store
        self._claim = uuid4()
        self._secret = key.encode()
        self._lists = lists
        self._key = hashlib.sha256(f"{bearer}\x00{path}\x00{key}".encode()).digest()
        self._asked = self._keyed(body)

    async def once(self, work: Callable[[], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
        """The earlier answer, or the answer of ``work``, which is stored. A failed request may be tried again."""
        match await self._store.claim(self._key, self._asked, self._claim):
            case Answered() as before:
                if before.listed != await self._listed():
                    raise _another()
                return _again(before)
            case Unanswered.OTHER:
                raise _another()
            case Unanswered.UNDER_WAY:
                raise Refusal(
                    HTTPStatus.CONFLICT, "an earlier request with this key is still being processed",
                    headers={"retry-after": "1"},
                )  # fmt: skip
            case Unanswered.FIRST:
                return await self._first(work)

    async def _first(self, work: Callable[[], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
        try:
            async with beside(self._hold):
                response = await work()
        except Refusal as refusal:
            if refusal.problem.reason is None or refusal.status != HTTPStatus.CONFLICT:
                await self._drop()
                raise
            # the gate has blocked a call: that is an answer to store, as for an allowed call
            response = refusal.response()
        except BaseException:
            await self._drop()
            raise
        body = response.body if isinstance(response, web.Response) else None
        answered = Answered(
            response.status, response.headers.get("location"), response.content_type, body if isinstance(body, bytes) else b""
        )  # fmt: skip
        try:
            await self._store.settle(self._key, self._claim, replace(answered, listed=await self._listed()))
        except StoreError as error:
            _log.warning("repeat_not_kept", reason=str(error))
        return response

    async def _drop(self) -> None:
        try:
            await self._store.drop(self._key, self._claim)
        except StoreError as error:
            _log.warning("repeat_not_kept", reason=str(error))

    async def _hold(self) -> None:
        while True:
            await asyncio.sleep(HOLD_SECONDS)
            with contextlib.suppress(StoreError):
                await self._store.hold(self._key, self._claim)

    async def _listed(self) -> bytes | None:
        """The hash of the list, after reading the rest of it."""
        return self._keyed(await digest_of_list(self._lists)) if self._lists else None

    def _keyed(self, body: bytes) -> bytes:
        return hmac.new(self._secret, body, hashlib.sha256).digest()


def key_of(request: web.Request) -> str | None:
    """The request's key, if it has one. Raises Refusal (422) if it is not valid."""
    if HEADER not in request.headers:
        return None
    key = request.headers[HEADER].strip().strip('"')
    if not _KEY.fullmatch(key):
        raise Refusal(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"{HEADER} must be at most 200 printable characters, such as a UUID",
        )
    return key


def id_of(request: web.Request, bearer: str) -> UUID | None:
    """The id of what a request enters, the same for each repetition with its key; None without a key.

    If the database's reply was lost, nobody knows whether the request was carried out, and its key is free again: this id finds what was
    entered.
    """
    key = key_of(request)
    if key is None:
        return None
    return UUID(bytes=hmac.digest(key.encode(), f"{bearer}\x00{request.path}".encode(), "sha256")[:16])


def _another() -> Refusal:
    return Refusal(
        HTTPStatus.UNPROCESSABLE_ENTITY, f"this {HEADER} was used before with another body: use a new one"
    )


def _again(answered: Answered) -> web.Response:
    headers = {"location": answered.location} if answered.location else {}
    return web.Response(
        status=answered.status, body=answered.body, content_type=answered.kind, headers=headers
    )
