"""An agent's call as world's side sees it."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime

from tests.lab.errors import LabError

ANSWER_SECONDS = 45.0
END_SECONDS = 60.0


@dataclass
class AgentCall:
    """A call an agent's phone placed; world fills it in as events come."""

    id: str
    number: str
    placed_at: datetime
    #: World's own name of the phone's channel.
    channel: str = ""
    rang_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    #: The Q.850 cause the pbx ended or refused it with.
    cause: int | None = None
    #: Why nothing more will be known of it, when world itself went away.
    lost: str | None = None
    _answered: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    _ended: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    async def answered(self, *, within: float = ANSWER_SECONDS) -> datetime:
        """When the pbx answered the agent."""
        await self._wait(self._answered, "answered", within)
        if self.answered_at is None:
            raise LabError(
                f"the agent's call {self.id} was never answered: {self.lost or f'cause {self.cause}'}"
            )
        return self.answered_at

    async def ended(self, *, within: float = END_SECONDS) -> int:
        """Wait for the end of the call; its Q.850 cause."""
        await self._wait(self._ended, "over", within)
        if self.cause is None:
            raise LabError(f"the end of the agent's call {self.id} is not known: {self.lost}")
        return self.cause

    def ring(self, at: datetime) -> None:
        """The pbx says it rings."""
        self.rang_at = self.rang_at or at

    def answer(self, at: datetime) -> None:
        """The pbx answered."""
        self.answered_at = self.answered_at or at
        self._answered.set()

    def end(self, at: datetime, cause: int) -> None:
        """The call is over."""
        self.ended_at, self.cause = at, cause
        self._answered.set()
        self._ended.set()

    def lose(self, why: str) -> None:
        """Nothing more will be heard of it."""
        self.lost = why
        self._answered.set()
        self._ended.set()

    async def _wait(self, event: asyncio.Event, what: str, within: float) -> None:
        try:
            async with asyncio.timeout(within):
                await event.wait()
        except TimeoutError:
            raise LabError(f"the agent's call {self.id} was not {what} within {within} s") from None
