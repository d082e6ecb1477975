"""An agent's call as seen by world."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime

from tests.lab.errors import LabError

ANSWER_SECONDS = 45.0
END_SECONDS = 60.0


@dataclass
class AgentCall:
    """A call that an agent's phone placed; world fills it in as events arrive."""

    id: str
    number: str
    placed_at: datetime
    #: World's own name for the phone's channel.
    channel: str = ""
    rang_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    #: The Q.850 cause with which the pbx ended or refused it.
    cause: int | None = None
    #: Why nothing more will be known about it, if world itself went away.
    lost: str | None = None
    _answered: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    _ended: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    async def answered(self, *, within: float = ANSWER_SECONDS) -> datetime:
        """Wait until the pbx answers the agent; returns when it did."""
        await self._wait(self._answered, "answered", within)
        if self.answered_at is None:
            raise LabError(
                f"the agent's call {self.id} was never answered: {self.lost or f'cause {self.cause}'}"
            )
        return self.answered_at

    async def ended(self, *, within: float = END_SECONDS) -> int:
        """Wait until the call ends; returns its Q.850 cause."""
        await self._wait(self._ended, "over", within)
        if self.cause is None:
            raise LabError(f"the end of the agent's call {self.id} is not known: {self.lost}")
        return self.cause

    def ring(self, at: datetime) -> None:
        """The pbx reports that it rings."""
        self.rang_at = self.rang_at or at

    def answer(self, at: datetime) -> None:
        """The pbx answered."""
        self.answered_at = self.answered_at or at
        self._answered.set()

    def end(self, at: datetime, cause: int) -> None:
        """The call has ended."""
        self.ended_at, self.cause = at, cause
        self._answered.set()
        self._ended.set()

    def lose(self, why: str) -> None:
        """Nothing more will be heard about it."""
        self.lost = why
        self._answered.set()
        self._ended.set()

    async def _wait(self, event: asyncio.Event, what: str, within: float) -> None:
        try:
            async with asyncio.timeout(within):
                await event.wait()
        except TimeoutError:
            raise LabError(f"the agent's call {self.id} was not {what} within {within} s") from None
