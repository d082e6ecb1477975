"""A stereo recording is two of Asterisk's recordings: what becomes of one if the other does not do as it is told."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ccari.calls import snoop
from ccari.calls.events import Ids
from ccari.calls.recorder import Recorder
from ccari.errors import AsteriskError
from ccari.gating.journal import Journal
from ccari.policy.call import Direction
from ccari.ports.recordings import AGENTS_SIDE, Channels
from tests.unit.calls.talking import Talking
from tests.unit.calls.test_settling import Rows, Shelf
from tests.unit.recordings.made import TAG


@dataclass
class Asterisk:
    """Does what it is asked for, and reports it, except for what it ``fails`` at: a request and a side. "enter" and
    "tell" are done, but not reported.
    """

    fails: tuple[str, str] = ("", "")
    asked: list[tuple[str, str]] = field(default_factory=list)
    recorder: Recorder | None = None

    def _hear(self, request: str, side: str) -> None:
        self.asked.append((request, side))
        if self.fails == (request, side):
            raise AsteriskError("Asterisk gave no answer")

    def _tell(self, event: dict[str, Any]) -> None:
        assert self.recorder is not None
        self.recorder.take_note(event)

    async def snoop(self, _channel: str, name: str, spy: str) -> None:
        self._hear("snoop", spy)
        if self.fails != ("enter", spy):
            self._tell({"type": "StasisStart", "channel": {"id": name}})

    async def record(self, _channel: str, name: str) -> None:
        side = "out" if name.endswith(AGENTS_SIDE) else "in"
        self._hear("record", side)
        what = "RecordingFailed" if self.fails == ("begin", side) else "RecordingStarted"
        if self.fails != ("tell", side):
            self._tell({"type": what, "recording": {"name": name}})

    async def stop_recording(self, name: str, *, keep: bool) -> bool:
        self._hear("stop" if keep else "cancel", "out" if name.endswith(AGENTS_SIDE) else "in")
        return True

    async def recorded(self, name: str) -> bool:
        self._hear("recorded", "out" if name.endswith(AGENTS_SIDE) else "in")
        return False

    async def hang_up(self, name: str) -> None:
        self._hear("hang_up", name.rpartition("-")[2])


async def tagged(asterisk: Asterisk) -> Recorder:
    desk = SimpleNamespace(ari=asterisk, recordings=Rows(), channels=Channels.STEREO, archive=Shelf(1000))
    made = Recorder(
        Ids(TAG.call_id, Direction.OUTBOUND, "phone"), cast("Any", desk), Journal(TAG.call_id, "anna")
    )
    asterisk.recorder = made
    await made.tag(replace(Talking(Direction.OUTBOUND).actions._terms, heard_version="v1"))
    return made


async def test_the_callee_is_recorded_before_the_agent() -> None:
    """The call is told that it is recorded by the callee's side: by then the agent's first word is in the file."""
    asterisk = Asterisk()
    await (await tagged(asterisk)).start()
    assert asterisk.asked == [("snoop", "out"), ("snoop", "in"), ("record", "out"), ("record", "in")]


@pytest.mark.parametrize("fails", [("enter", "out"), ("enter", "in"), ("tell", "out")])
async def test_a_call_ends_because_its_recorder_does_not_come(
    monkeypatch: pytest.MonkeyPatch, fails: tuple[str, str]
) -> None:
    """Or it is recorded after all, later."""
    monkeypatch.setattr(snoop, "SNOOP_SECONDS", 0.05)
    asterisk = Asterisk(fails)
    recorder = await tagged(asterisk)
    with pytest.raises(AsteriskError):
        await recorder.start()
    assert asterisk.asked[-2:] == [("hang_up", "out"), ("hang_up", "in")]
    await recorder.settle()
    assert cast("Rows", recorder._desk.recordings).said[-1] == "discarded"
    # one that was asked for may still begin
    assert (("recorded", "out") in asterisk.asked) == (fails[0] == "tell")


async def test_invariant_2_what_was_recorded_by_a_recorder_that_was_given_up_is_kept() -> None:
    """The reply was lost, and it began after all: the call went on as one that is not recorded."""
    recorder = await tagged(Asterisk(("record", "in")))
    with pytest.raises(AsteriskError):
        await recorder.start()
    begun = datetime.now(UTC)
    await recorder.started(begun)
    await recorder.ended(begun + timedelta(seconds=10))
    await recorder.settle()
    assert cast("Rows", recorder._desk.recordings).said[-1] == "discarded"


@pytest.mark.parametrize(
    "fails", [("snoop", "out"), ("snoop", "in"), ("record", "out"), ("begin", "out"), ("record", "in")]
)
async def test_a_side_is_left_that_records_on_its_own(fails: tuple[str, str]) -> None:
    asterisk = Asterisk(fails)
    recorder = await tagged(asterisk)
    with pytest.raises(AsteriskError):
        await recorder.start()
    assert asterisk.asked[-2:] == [("hang_up", "out"), ("hang_up", "in")]


@pytest.mark.parametrize("side", ["out", "in"])
@pytest.mark.parametrize("keep", [True, False], ids=["stop", "cancel"])
async def test_a_side_goes_on_when_the_other_cannot_be_stopped(side: str, *, keep: bool) -> None:
    asterisk = Asterisk(("stop" if keep else "cancel", side))
    recorder = await tagged(asterisk)
    with pytest.raises(AsteriskError):
        await recorder.stop(keep=keep, binding=True)
    request = "stop" if keep else "cancel"
    assert asterisk.asked == [(request, "out"), (request, "in")]


async def test_the_end_of_the_agents_side_passes_for_the_end_of_the_recording() -> None:
    recorder = await tagged(Asterisk())
    name = f"{recorder.name}{AGENTS_SIDE}"
    assert recorder.take_note({"type": "RecordingFinished", "recording": {"name": name}})
    assert not recorder.take_note({"type": "RecordingFinished", "recording": {"name": recorder.name}})


async def test_a_call_that_is_late_to_hear_of_its_recorder_moves_one_side_away_from_the_other() -> None:
    """As while a right is pressed and the database hangs: the lead is the time that Asterisk took between the two."""
    recorder = await tagged(Asterisk())
    await recorder.start()
    began = datetime.now(UTC)
    await recorder.started(began + timedelta(seconds=5))
    assert recorder._newest._begun
    assert recorder._newest._tag.started_at <= began
    assert recorder._newest._lead_ms < 5000


@pytest.mark.parametrize("stopped", [True, False], ids=["we stopped it", "it ended by itself"])
async def test_invariant_2_the_agent_is_recorded_on_when_the_callees_side_has_ended(*, stopped: bool) -> None:
    """It ends by itself, because the disk is full, say; the agent is told that nothing is recorded any more."""
    asterisk = Asterisk()
    recorder = await tagged(asterisk)
    await recorder.start()
    await recorder.started(datetime.now(UTC))
    if stopped:
        await recorder.stop(keep=True, binding=True)
    recorder.take_note({"type": "RecordingFinished", "recording": {"name": recorder.name}})
    await recorder.ended(datetime.now(UTC))
    assert (("hang_up", "out") in asterisk.asked) is not stopped


async def test_asterisk_is_asked_for_what_it_has_told() -> None:
    """When a callee hangs up, Asterisk reports that both files are complete and both snoop channels gone: each question
    would be a request.
    """
    asterisk = Asterisk()
    recorder = await tagged(asterisk)
    await recorder.start()
    await recorder.started(datetime.now(UTC))
    for side in recorder._newest.sides:
        recorder.take_note({"type": "RecordingFinished", "recording": {"name": side.name}})
        recorder.take_note({"type": "StasisEnd", "channel": {"id": side._channel}})
    del asterisk.asked[:]
    assert not await recorder.stop(keep=True, binding=True)
    await recorder.detach()
    await recorder.settle()
    assert asterisk.asked == []


@pytest.mark.parametrize("side", ["out", "in"])
async def test_a_side_whose_recorder_failed_passes_for_one_that_is_whole(side: str) -> None:
    asterisk = Asterisk()
    recorder = await tagged(asterisk)
    await recorder.start()
    await recorder.started(datetime.now(UTC))
    for each in recorder._newest.sides:
        told = "RecordingFailed" if each._spy == side else "RecordingFinished"
        recorder.take_note({"type": told, "recording": {"name": each.name}})
    del asterisk.asked[:]
    await recorder.settle()
    assert asterisk.asked == [("recorded", side)]
