"""Server-sent events: the agent card, when a callee answers."""

import asyncio
import contextlib
from collections import Counter
from http import HTTPStatus

from aiohttp import web

from ccari.errors import StoreError
from ccari.ports.access import Role
from ccari.ports.cards import AgentCard, Watch
from ccari.web.front import Ask
from ccari.web.models.agents import AgentCardEvent, AgentPath
from ccari.web.problems import Refusal

#: A comment so often, so that whoever is between keeps the connection, and a token that was revoked ends it.
HEARTBEAT_SECONDS = 15.0
#: Who does not read for so long is gone.
WRITE_SECONDS = 10.0
#: How soon a browser comes again, in milliseconds.
_RETRY_MS = 3000
#: At a time: of all agents together, and of one agent to one token.
MOST_STREAMS, MOST_STREAMS_EACH = 500, 5


class Streams:
    """Counts the streams, and ends them all when the service stops."""

    def __init__(self, heartbeat: float = HEARTBEAT_SECONDS) -> None:
        self._heartbeat = heartbeat
        self._closing = asyncio.Event()
        self._open: Counter[tuple[str, str]] = Counter()

    async def close(self, _: web.Application) -> None:
        self._closing.set()

    async def agent_events(self, ask: Ask) -> web.StreamResponse:
        """The cards of the agent's calls from now on, and a comment every 15 seconds. An agent opens only its own."""
        path: AgentPath = ask.path
        if ask.bearer.role is Role.AGENT and ask.bearer.agent != path.id:
            raise Refusal(HTTPStatus.FORBIDDEN, "an agent's token opens only its own events")
        mine = (ask.bearer.name, path.id)
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
            # watched first: a card that comes while the answer is on its way is not lost
            with ask.front.cards.watch(path.id) as watch:
                return await self._stream(ask, watch)
        finally:
            self._open[mine] -= 1
            self._open += Counter()

    async def _stream(self, ask: Ask, watch: Watch) -> web.StreamResponse:
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
        try:
            await response.prepare(ask.request)
            await _write(response, f"retry: {_RETRY_MS}\n: watching\n\n")
            while True:
                await asyncio.wait(
                    (closing, coming), timeout=self._heartbeat, return_when=asyncio.FIRST_COMPLETED
                )
                if closing.done() or not await _still_good(ask):
                    break
                if not coming.done():
                    await _write(response, ": still here\n\n")
                    continue
                card, coming = coming.result(), asyncio.create_task(watch.next())
                if ask.bearer.sees(card.controller):
                    await _write(response, _event(card))
            async with asyncio.timeout(WRITE_SECONDS):
                await response.write_eof()
        except (ConnectionError, TimeoutError):
            # whoever watched is gone
            response.force_close()
        finally:
            for task in (closing, coming):
                task.cancel()
            await asyncio.wait((closing, coming))
        return response


async def _write(response: web.StreamResponse, text: str) -> None:
    async with asyncio.timeout(WRITE_SECONDS):
        await response.write(text.encode())


def _event(card: AgentCard) -> str:
    return f"event: agent_card\ndata: {AgentCardEvent(card).model_dump_json()}\n\n"


async def _still_good(ask: Ask) -> bool:
    with contextlib.suppress(StoreError, Refusal):
        return await ask.doorkeeper.still(ask.request, ask.bearer)
    return False
