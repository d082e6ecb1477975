"""The board of the calls in progress, for whoever looks on."""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from ccari.gating.terms import Terms
from ccari.policy.call import Call, Stage
from ccari.policy.call.state import Recorder
from ccari.ports.live import FellBehindError, LiveBoard, LiveCall, LiveWatch, Taped

#: Calls that are over, and whose end somebody has not read yet.
MOST_OVER = 1000


class Board:
    """:class:`ccari.ports.live.LiveCalls` and ``LiveBoard`` in this process."""

    def __init__(self) -> None:
        self._calls: dict[UUID, LiveCall] = {}
        self._watching: set[_Watch] = set()

    def put(self, call: LiveCall) -> None:
        if call.is_over:
            self._calls.pop(call.call_id, None)
        else:
            self._calls[call.call_id] = call
        for watch in self._watching:
            watch.put(call)

    def now(self) -> Sequence[LiveCall]:
        return list(self._calls.values())

    @contextlib.contextmanager
    def watch(self) -> Iterator[LiveWatch]:
        watching = _Watch(self._calls)
        self._watching.add(watching)
        try:
            yield watching
        finally:
            self._watching.discard(watching)


class _Watch:
    """One who watches: of each call that has changed the newest, so that no more waits than there are calls."""

    def __init__(self, calls: dict[UUID, LiveCall]) -> None:
        self._calls = calls
        self._waiting = dict(calls)
        self._some = asyncio.Event()
        self._behind = False
        if self._waiting:
            self._some.set()

    def put(self, call: LiveCall) -> None:
        self._waiting[call.call_id] = call
        if len(self._waiting) > len(self._calls) + MOST_OVER:
            self._waiting.clear()
            self._behind = True
        self._some.set()

    async def next(self) -> LiveCall:
        await self._some.wait()
        if self._behind:
            raise FellBehindError("too many calls have changed since the last was read")
        call = self._waiting.pop(next(iter(self._waiting)))
        if not self._waiting:
            self._some.clear()
        return call


class Place:
    """One call's own place on the board. ``begun_at`` is when it is made."""

    def __init__(self, board: LiveBoard, call_id: UUID) -> None:
        self._board = board
        self._call_id = call_id
        self._begun_at = datetime.now(UTC)
        self._shown: LiveCall | None = None

    def show(self, call: Call, terms: Terms) -> None:
        """Put it there as it is now; a call that is where it was is left as it stands."""
        shown, now = self._shown, datetime.now(UTC)
        moved = shown is None or shown.stage != call.stage
        opened = terms.opened
        told = LiveCall(
            call_id=self._call_id, controller=opened.controller, campaign=opened.campaign, direction=call.direction.value,
            agent=opened.agent, number_masked=opened.number_masked, legal_basis=terms.campaign.legal_basis,
            recording_mode=terms.campaign.recording.mode.value, begun_at=self._begun_at, stage=call.stage.value,
            since=now if moved or shown is None else shown.since, recording=_taped(call), rights=call.exercised,
            outcome=call.outcome.value if call.outcome else None, reason=call.reason,
        )  # fmt: skip
        if told != shown:
            self._shown = told
            self._board.put(told)

    def leave(self) -> None:
        """Take it off, however its life here has ended."""
        if self._shown is not None and not self._shown.is_over:
            self._shown = replace(self._shown, stage=Stage.CLOSED.value, since=datetime.now(UTC))
            self._board.put(self._shown)


def _taped(call: Call) -> Taped:
    if call.recorder in {Recorder.RUNNING, Recorder.STOPPING}:
        return Taped.ON
    return Taped.PAUSED if call.paused else Taped.OFF
