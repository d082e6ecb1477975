"""The board of calls in progress, for those who watch it."""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from uuid import UUID

from ccari.gating.terms import Terms
from ccari.policy.call import Call, Stage
from ccari.policy.call.state import RecorderState, replace
from ccari.ports.live import FellBehindError, LiveBoard, LiveCall, LiveWatch, OnBoard, Taped

#: Ended calls whose end a watcher has not read yet.
MOST_OVER = 1000


class Board:
    """:class:`ccari.ports.live.LiveCalls` and ``LiveBoard`` in this process."""

    def __init__(self) -> None:
        self._calls: dict[UUID, OnBoard] = {}
        self._watching: set[_Watch] = set()

    def put(self, call: OnBoard) -> None:
        if call.is_over:
            self._calls.pop(call.call_id, None)
        else:
            self._calls[call.call_id] = call
        for watch in self._watching:
            watch.put(call)

    def now(self) -> Sequence[LiveCall]:
        return [each.snapshot() for each in self._calls.values()]

    @contextlib.contextmanager
    def watch(self) -> Iterator[LiveWatch]:
        watching = _Watch(self._calls)
        self._watching.add(watching)
        try:
            yield watching
        finally:
            self._watching.discard(watching)


class _Watch:
    """One watcher. Only the newest state of each changed call waits, so the queue is bounded."""

    def __init__(self, calls: dict[UUID, OnBoard]) -> None:
        self._calls = calls
        self._waiting = dict(calls)
        self._changed = asyncio.Event()
        #: Too many calls have ended unread.
        self._behind = False
        if self._waiting:
            self._changed.set()

    def put(self, call: OnBoard) -> None:
        self._waiting[call.call_id] = call
        if len(self._waiting) > len(self._calls) + MOST_OVER:
            self._waiting.clear()
            self._behind = True
        self._changed.set()

    async def next(self) -> LiveCall:
        await self._changed.wait()
        if self._behind:
            raise FellBehindError("too many calls have changed since the last was read")
        call = self._waiting.pop(next(iter(self._waiting)))
        if not self._waiting:
            self._changed.clear()
        return call.snapshot()


class Place:
    """One call's place on the board. The call counts as begun when this is made."""

    def __init__(self, board: LiveBoard, call_id: UUID) -> None:
        self.call_id = call_id
        self._board = board
        self._begun_at = self._since = datetime.now(UTC)
        self._shown: tuple[Call, Terms] | None = None
        self._visible: tuple[object, ...] = ()

    @property
    def is_over(self) -> bool:
        return self._shown is not None and self._shown[0].stage is Stage.CLOSED

    def show(self, call: Call, terms: Terms) -> None:
        """Put the call's current state on the board, if anything the board shows has changed."""
        visible = (call.stage, _taped(call), call.exercised, call.outcome, call.reason, terms.opened)
        if visible != self._visible:
            if self._shown is None or self._shown[0].stage is not call.stage:
                self._since = datetime.now(UTC)
            self._shown, self._visible = (call, terms), visible
            self._board.put(self)

    def snapshot(self) -> LiveCall:
        if self._shown is None:
            raise AssertionError("it is not on the board")
        (call, terms), opened = self._shown, self._shown[1].opened
        return LiveCall(
            call_id=self.call_id, controller=opened.controller, campaign=opened.campaign, direction=call.direction,
            agent=opened.agent, number_masked=opened.number_masked, legal_basis=terms.campaign.legal_basis,
            recording_mode=terms.campaign.recording.mode.value, begun_at=self._begun_at, stage=call.stage,
            since=self._since, recording=_taped(call), rights=call.exercised,
            outcome=call.outcome.value if call.outcome else None, reason=call.reason,
        )  # fmt: skip

    def leave(self) -> None:
        """Take the call off the board, even if it did not end in order."""
        if self._shown is not None and not self.is_over:
            call, terms = self._shown
            self.show(replace(call, stage=Stage.CLOSED), terms)


def _taped(call: Call) -> Taped:
    if call.recorder in {RecorderState.RUNNING, RecorderState.STOPPING}:
        return Taped.ON
    return Taped.PAUSED if call.paused else Taped.OFF
