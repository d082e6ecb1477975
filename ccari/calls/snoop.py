"""The snoop channels that record a callee's channel: one, or one for each side in stereo."""

import asyncio
import contextlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ccari.calls.ari import Ari, Spy
from ccari.calls.events import Ids
from ccari.errors import AsteriskError
from ccari.ports.recordings import RecordingTag

#: How long a snoop channel may take to enter our application, and Asterisk to report that it records.
SNOOP_SECONDS = 3.0


class Snoop:
    """One file of a recording and its snoop channel: what Asterisk was asked, and what it has reported."""

    def __init__(self, ids: Ids, segment: int, name: str, spy: Spy) -> None:
        self.name = name
        #: Asterisk was asked to record.
        self.asked = False
        #: When Asterisk reported the start and the end; the call itself may take these events later.
        self.began_at: datetime | None = None
        self.ended_at: datetime | None = None
        #: It ended without a failure. For a file that could not be written, Asterisk reports nothing more.
        self.finished = False
        self._callee = ids.callee
        self._channel = ids.snoop(segment, spy)
        self._spy = spy
        #: ``_entered``: the channel is in our application. ``_left``: it has left it, so it has hung up.
        self._entered = asyncio.Event()
        self._left = False
        #: For the agent's side: resolves to whether it has begun; False if Asterisk cannot record it.
        self._started: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    @property
    def over(self) -> bool:
        """True once Asterisk has reported the end."""
        return self.ended_at is not None

    def take_note(self, event: Mapping[str, Any], arrived: datetime | None = None) -> bool:
        """Take note of an ARI event; True if nobody else needs it. Events of the callee's side go on to the
        call, as its recorder's. ``arrived``: None means now.
        """
        match event:
            case {"type": "StasisStart", "channel": {"id": self._channel}}:
                self._entered.set()
                return True
            case {"type": "StasisEnd", "channel": {"id": self._channel}}:
                # nothing sends it back to the dialplan, so it has hung up
                self._left = True
                return True
            case {"type": kind, "recording": {"name": self.name}}:
                self.finished = kind == "RecordingFinished"
                if kind == "RecordingStarted":
                    self.began_at = arrived or datetime.now(UTC)
                else:
                    self.ended_at = arrived or datetime.now(UTC)
                if self._spy == "out" and not self._started.done():
                    self._started.set_result(not self.over)
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

    async def begun(self) -> None:
        """Wait until Asterisk reports that it records. Raises AsteriskError if it cannot."""
        async with asyncio.timeout(SNOOP_SECONDS):
            if not await self._started:
                raise AsteriskError("Asterisk cannot record the agent's side")

    async def stop(self, ari: Ari, *, keep: bool) -> bool:
        """Stop recording; False if there was nothing to stop."""
        return not self.over and await ari.stop_recording(self.name, keep=keep)

    async def recorded(self, ari: Ari) -> bool:
        """As :meth:`Ari.recorded`, which is asked only if the end was not reported."""
        return self.finished or await ari.recorded(self.name)

    async def detach(self, ari: Ari) -> None:
        if not self._left:
            with contextlib.suppress(AsteriskError):
                await ari.hang_up(self._channel)


def snoops(ids: Ids, segment: int, tag: RecordingTag) -> list[Snoop]:
    """The snoop channels of a segment, in the order in which they start: the callee's is the last."""
    spies: tuple[Spy, ...] = ("out", "in") if len(tag.raw_names) > 1 else ("both",)
    return [Snoop(ids, segment, name, spy) for name, spy in zip(tag.raw_names, spies, strict=True)]
