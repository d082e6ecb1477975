"""Exact steps of a call: the relay holds a message, and what a test does meanwhile happens at that step, whatever the
timing.
"""

import asyncio
import signal
from collections.abc import Callable

from tests.integration.relay import Message, Relay
from tests.integration.service import Service

REACHED_SECONDS = 60.0


class Moment:
    """Holds the first ``wanted`` message, a request of ours or one from Asterisk, until told to go on."""

    def __init__(self, between: Relay, wanted: Callable[[Message], bool]) -> None:
        self._wanted = wanted
        self._reached = asyncio.Event()
        self._over = asyncio.Event()
        self._lost = False
        between.on_request = between.on_reply = self._hold

    async def reached(self) -> None:
        async with asyncio.timeout(REACHED_SECONDS):
            await self._reached.wait()

    def go_on(self) -> None:
        self._over.set()

    async def kill(self, service: Service) -> None:
        """Kill the service at this step; the held message is lost with it."""
        await self.reached()
        await service.stop(signal.SIGKILL)
        self._lost = True
        self._over.set()

    async def _hold(self, message: Message) -> list[Message]:
        if self._reached.is_set() or not self._wanted(message):
            return [message]
        self._reached.set()
        await self._over.wait()
        return [] if self._lost else [message]


def request(ending: str) -> Callable[[Message], bool]:
    """A request of ccari for a resource with this ending."""
    return lambda message: message["type"] == "RESTRequest" and message["uri"].endswith(ending)


def reply(ending: str) -> Callable[[Message], bool]:
    """Asterisk's reply to the first request for a resource with this ending."""
    asked = request(ending)
    ids: list[str] = []

    def wanted(message: Message) -> bool:
        if not ids and asked(message):
            ids.append(message["request_id"])
        return message["type"] == "RESTResponse" and message["request_id"] in ids

    return wanted


def event(kind: str) -> Callable[[Message], bool]:
    return lambda message: message["type"] == kind
