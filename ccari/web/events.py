"""Server-sent events: the agent card, when a callee answers; and the calls in progress, as they go on."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Protocol, TypeVar

from aiohttp import web
from pydantic import BaseModel

from ccari.errors import StoreError
from ccari.ports.access import Role
from ccari.ports.cards import AgentCard
from ccari.ports.live import FellBehindError, LiveCall
from ccari.web.front import Ask
from ccari.web.models.agents import AgentCardEvent, AgentPath
from ccari.web.models.live import LiveCallEvent, LiveQuery
from ccari.web.problems import Refusal
from ccari.web.suppressions import narrowed

#: A comment so often, so that whoever is between keeps the connection, and a token that was revoked ends it.
HEARTBEAT_SECONDS = 15.0
#: Who does not read for so long is gone.
WRITE_SECONDS = 10.0
#: How soon a browser comes again, in milliseconds.
_RETRY_MS = 3000
#: At a time: of all agents together, and of one agent to one token.
MOST_STREAMS, MOST_STREAMS_EACH = 500, 5


#: Calls change stage some hundred times a second: their watchers' tokens are asked for no more often than this.
RECHECK_SECONDS = 1.0

_T = TypeVar("_T")
_Told_co = TypeVar("_Told_co", covariant=True)


class Watching(Protocol[_Told_co]):
    async def next(self) -> _Told_co: ...


class Streams:
    """Counts the streams, and ends them all when the service stops."""

    def __init__(self, heartbeat: float = HEARTBEAT_SECONDS) -> None:
        self._heartbeat = heartbeat
        self._closing = asyncio.Event()
        self._open: Counter[tuple[str, str]] = Counter()

    async def close(self, _: web.Application) -> None:
        self._closing.set()

    async def call_events(self, ask: Ask) -> web.StreamResponse:
        """The calls in progress, each as it stands and whenever that changes; `stage` is `closed` once it is over.

        Who reads too slowly to be told of all is cut off, and comes again: what is in progress is told anew.
        """
        query: LiveQuery = ask.query
        whose = await narrowed(ask, query.controller)

        def told(call: LiveCall) -> str | None:
            if whose is not None and call.controller not in whose:
                return None
            if query.campaign is not None and call.campaign != query.campaign:
                return None
            return _event("call", LiveCallEvent(call))

        with self.place(ask, ""), ask.front.live.watch() as watch:
            return await self.stream(ask, watch, told, every=RECHECK_SECONDS)

    async def agent_events(self, ask: Ask) -> web.StreamResponse:
        """The cards of the agent's calls from now on, and a comment every 15 seconds. An agent opens only its own."""
        path: AgentPath = ask.path
        if ask.bearer.role is Role.AGENT and ask.bearer.agent != path.id:
            raise Refusal(HTTPStatus.FORBIDDEN, "an agent's token opens only its own events")

        def told(card: AgentCard) -> str | None:
            return _event("agent_card", AgentCardEvent(card)) if ask.bearer.sees(card.controller) else None

        # watched first: a card that comes while the answer is on its way is not lost
        with self.place(ask, path.id), ask.front.cards.watch(path.id) as watch:
            return await self.stream(ask, watch, told)

    @contextlib.contextmanager
    def place(self, ask: Ask, which: str) -> Iterator[None]:
        """One of the streams that there may be; Refusal (503) if there is none left."""
        mine = (ask.bearer.name, which)
        if (
            self._closing.is_set()
            or self._open.total() >= MOST_STREAMS
            or self._open[mine] >= MOST_STREAMS_EACH
        ):
            raise Refusal(
                HTTPStatus.SERVICE_UNAVAILABLE, "too many are watching already", headers={"retry-after": "15"}
            )
        self._open[mine] += 1
        try:
            yield
        finally:
            self._open[mine] -= 1
            self._open += Counter()

    async def stream(
        self, ask: Ask, watch: Watching[_T], told: Callable[[_T], str | None], *, every: float = 0.0
    ) -> web.StreamResponse:
        """``told``: the event, or None for what is none of the bearer's business. ``every``: so long, in seconds, what is
        known of the token is good enough for the next event.
        """
        response = web.StreamResponse(
            headers={
                "content-type": "text/event-stream; charset=utf-8",
                "cache-control": "no-store",
                "server": "ccari",
                "x-accel-buffering": "no",
            }
        )
        closing = asyncio.create_task(self._closing.wait())
        coming = asyncio.create_task(watch.next())
        loop = asyncio.get_running_loop()
        checked = loop.time()
        try:
            await response.prepare(ask.request)
            await _write(response, f"retry: {_RETRY_MS}\n: watching\n\n")
            while True:
                await asyncio.wait(
                    (closing, coming), timeout=self._heartbeat, return_when=asyncio.FIRST_COMPLETED
                )
                if closing.done():
                    break
                if not coming.done() or loop.time() - checked >= every:
                    if not await _still_good(ask):
                        break
                    checked = loop.time()
                if not coming.done():
                    await _write(response, ": still here\n\n")
                    continue
                text, coming = told(coming.result()), asyncio.create_task(watch.next())
                if text is not None:
                    await _write(response, text)
            async with asyncio.timeout(WRITE_SECONDS):
                await response.write_eof()
        except (ConnectionError, TimeoutError, FellBehindError):
            # whoever watched is gone, or is to begin anew
            response.force_close()
            if ask.request.transport is not None:
                ask.request.transport.abort()
        finally:
            for task in (closing, coming):
                task.cancel()
            await asyncio.wait((closing, coming))
        return response


async def _write(response: web.StreamResponse, text: str) -> None:
    async with asyncio.timeout(WRITE_SECONDS):
        await response.write(text.encode())


def _event(name: str, data: BaseModel) -> str:
    return f"event: {name}\ndata: {data.model_dump_json()}\n\n"


async def _still_good(ask: Ask) -> bool:
    with contextlib.suppress(StoreError, Refusal):
        return await ask.doorkeeper.still(ask.request, ask.bearer)
    return False
