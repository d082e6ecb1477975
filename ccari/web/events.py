"""Server-sent events: agent cards when callees answer, and calls in progress as they change."""

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
from ccari.ports.cards import AgentCard, CardRack
from ccari.ports.live import FellBehindError, LiveCall, LiveCalls
from ccari.web.front import Ask, Ports
from ccari.web.models.agents import AgentCardEvent, AgentPath
from ccari.web.models.live import LiveCallEvent, LiveQuery
from ccari.web.problems import Refusal

#: How often a heartbeat is sent. It keeps proxies from closing the connection, and a revoked token is noticed then.
HEARTBEAT_SECONDS = 15.0
#: A client that does not read for this long has gone.
WRITE_SECONDS = 10.0
_STILL_HERE = ": still here\n\n"
#: How soon a browser reconnects, in milliseconds.
_RETRY_MS = 3000
#: Concurrent streams: in all, per token, and per token and agent.
MOST_STREAMS, MOST_STREAMS_OF_ONE, MOST_STREAMS_EACH = 500, 450, 5
#: The shortest time between look-ups of the token of a stream of calls: calls change stage some hundred times a second.
RECHECK_SECONDS = 1.0

_T = TypeVar("_T")
_Change_co = TypeVar("_Change_co", covariant=True)


class CardPorts(Ports, Protocol):
    @property
    def cards(self) -> CardRack: ...


class LivePorts(Ports, Protocol):
    @property
    def live(self) -> LiveCalls: ...


class Watching(Protocol[_Change_co]):
    async def next(self) -> _Change_co: ...


class Streams:
    """Limits the number of streams, and ends them all when the service stops."""

    def __init__(self, heartbeat: float = HEARTBEAT_SECONDS) -> None:
        self._heartbeat = heartbeat
        self._closing = asyncio.Event()
        self._open: Counter[tuple[str, str]] = Counter()

    async def close(self, _: web.Application) -> None:
        self._closing.set()

    async def call_events(self, ask: Ask[LivePorts]) -> web.StreamResponse:
        """The calls in progress: first each as it is now, then every change. `stage` is `closed` once a call is over.

        A client that reads too slowly is cut off. When it reconnects it gets all calls in progress again.
        """
        query: LiveQuery = ask.query
        controllers = await ask.narrowed(query.controller)

        def event_of(call: LiveCall) -> str | None:
            if controllers is not None and call.controller not in controllers:
                return None
            if query.campaign is not None and call.campaign != query.campaign:
                return None
            return _event("call", LiveCallEvent(call))

        with self.place(ask, ""), ask.front.live.watch() as watch:
            return await self.stream(ask, watch, event_of, every=RECHECK_SECONDS)

    async def agent_events(self, ask: Ask[CardPorts]) -> web.StreamResponse:
        """The cards of the agent's calls from now on, and a comment every 15 seconds. An agent's token opens only its own
        events.
        """
        path: AgentPath = ask.path
        if ask.bearer.role is Role.AGENT and ask.bearer.agent != path.id:
            raise Refusal(HTTPStatus.FORBIDDEN, "an agent's token can read only its own events")

        def event_of(card: AgentCard) -> str | None:
            return _event("agent_card", AgentCardEvent(card)) if ask.bearer.sees(card.controller) else None

        # watch first, so that a card that comes while the response is being prepared is not lost
        with self.place(ask, path.id), ask.front.cards.watch(path.id) as watch:
            return await self.stream(ask, watch, event_of)

    @contextlib.contextmanager
    def place(self, ask: Ask[Ports], which: str) -> Iterator[None]:
        """Hold a slot for one stream while the context lasts. Raises Refusal (503) if there are too many. ``which``: what is watched, to
        limit a token's streams on it.
        """
        key = (ask.bearer.name, which)
        of_one = sum(count for (name, _), count in self._open.items() if name == ask.bearer.name)
        if (
            self._closing.is_set()
            or self._open.total() >= MOST_STREAMS
            or of_one >= MOST_STREAMS_OF_ONE
            or self._open[key] >= MOST_STREAMS_EACH
        ):
            raise Refusal(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "too many clients are watching already",
                headers={"retry-after": "15"},
            )
        self._open[key] += 1
        try:
            yield
        finally:
            self._open[key] -= 1
            # adding an empty Counter removes the keys that are down to zero
            self._open += Counter()

    async def stream(
        self, ask: Ask[Ports], watch: Watching[_T], event_of: Callable[[_T], str | None], *, every: float = 0.0,
        beat: Callable[[], str] = lambda: _STILL_HERE,
    ) -> web.StreamResponse:  # fmt: skip
        """Send an event for each change, until the client goes, the token is revoked, or the service stops.

        ``event_of``: the event for a change; None if the bearer may not see it. ``every``: for how many seconds a look-up of the token is
        valid for later events. ``beat``: gives what is sent at a heartbeat.
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
        now = asyncio.get_running_loop().time
        checked, beat_due = now(), now() + self._heartbeat
        try:
            await response.prepare(ask.request)
            await _write(response, f"retry: {_RETRY_MS}\n: watching\n\n")
            while True:
                await asyncio.wait(
                    (closing, coming), timeout=beat_due - now(), return_when=asyncio.FIRST_COMPLETED
                )
                if closing.done():
                    break
                # a change that the bearer may not see is no sign of life to them
                is_quiet = now() >= beat_due
                if is_quiet or now() - checked >= every:
                    if not await _still_good(ask):
                        break
                    checked = now()
                text = beat() if is_quiet else None
                if coming.done():
                    text, coming = event_of(coming.result()) or text, asyncio.create_task(watch.next())
                if text is not None:
                    await _write(response, text)
                    beat_due = now() + self._heartbeat
            async with asyncio.timeout(WRITE_SECONDS):
                await response.write_eof()
        except (ConnectionError, TimeoutError, FellBehindError):
            # the client has gone, or must start again
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


async def _still_good(ask: Ask[Ports]) -> bool:
    with contextlib.suppress(StoreError, Refusal):
        return await ask.doorkeeper.still(ask.request, ask.bearer)
    return False
