"""The snoop channels through which a callee's channel is recorded: one, or one for each side of a stereo recording."""

import asyncio
import contextlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ccari.calls.client import Ari, Spy
from ccari.calls.events import Ids
from ccari.errors import AsteriskError
from ccari.ports.recordings import RecordingTag

#: For a snoop channel to enter our application, and for Asterisk to say that it records.
SNOOP_SECONDS = 3.0


class Snoop:
    """One file of a recording, and the snoop channel that it is made through.

    ``entered``: the channel is in our application; ``started``, of the agent's: it records since then, or cannot. ``over``: it
    records no more; ``finished``: and Asterisk has not said that it failed, which it does not of a file that it could not write.
    ``began_at`` and ``ended_at``: when Asterisk said so, whenever the call comes to hear of it.
    """

    def __init__(self, ids: Ids, segment: int, name: str, spy: Spy) -> None:
        self.name = name
        self.asked = False
        self.over = self.finished = False
        self.began_at: datetime | None = None
        self.ended_at: datetime | None = None
        self._left = False
        self._callee = ids.callee
        self._channel = ids.snoop(segment, spy)
        self._spy = spy
        self._entered = asyncio.Event()
        self._started: asyncio.Future[datetime | None] = asyncio.get_running_loop().create_future()

    def heard(self, event: Mapping[str, Any]) -> bool:
        """True if the event says nothing to anybody else: the call hears of the callee's side as of its recorder."""
        match event:
            case {"type": "StasisStart", "channel": {"id": self._channel}}:
                self._entered.set()
                return True
            case {"type": "StasisEnd", "channel": {"id": self._channel}}:
                # nothing leads it back into the dialplan: it has hung up
                self._left = True
                return True
            case {"type": kind, "recording": {"name": self.name}}:
                self.over = kind != "RecordingStarted"
                self.finished = kind == "RecordingFinished"
                if self.over:
                    self.ended_at = datetime.now(UTC)
                else:
                    self.began_at = datetime.now(UTC)
                if self._spy == "out" and not self._started.done():
                    self._started.set_result(None if self.over else self.began_at)
                return self._spy == "out"
            case _:
                return False

    async def attach(self, ari: Ari) -> None:
        await ari.snoop(self._callee, self._channel, self._spy)
        async with asyncio.timeout(SNOOP_SECONDS):
            await self._entered.wait()

    async def begin(self, ari: Ari) -> None:
        self.asked = True
        await ari.record(self._channel, self.name)

    async def begun(self) -> datetime:
        """When Asterisk said that it records; raise AsteriskError if it said that it cannot."""
        async with asyncio.timeout(SNOOP_SECONDS):
            started = await asyncio.shield(self._started)
        if started is None:
            raise AsteriskError("Asterisk cannot record the agent's side")
        return started

    async def stop(self, ari: Ari, *, keep: bool) -> bool:
        """True if there was something to stop."""
        return not self.over and await ari.stop_recording(self.name, keep=keep)

    async def recorded(self, ari: Ari) -> bool:
        """As :meth:`Ari.recorded`, which is asked only where nothing has told the end."""
        return self.finished or await ari.recorded(self.name)

    async def detach(self, ari: Ari) -> None:
        if not self._left:
            with contextlib.suppress(AsteriskError):
                await ari.hang_up(self._channel)


def snoops(ids: Ids, segment: int, tag: RecordingTag) -> list[Snoop]:
    """In the order in which they are begun: the callee's is the last."""
    spies: tuple[Spy, ...] = ("out", "in") if len(tag.raw_names) > 1 else ("both",)
    return [Snoop(ids, segment, name, spy) for name, spy in zip(tag.raw_names, spies, strict=True)]
