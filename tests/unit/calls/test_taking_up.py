"""Which recordings run on with a talk that is taken up: none that somebody has refused, paused or restarted."""

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import pytest

from ccari.calls.events import Ids
from ccari.calls.recovery import _runs_on, _sweep
from ccari.calls.talks import Talk
from ccari.policy.call import Direction
from ccari.policy.call.state import RecorderState
from ccari.ports.recordings import Unfinished
from tests.unit.recordings.made import TAG

LATE = datetime(2026, 11, 25, tzinfo=UTC)
TOLD = {"recorder": RecorderState.RUNNING.value, "refused": False, "paused": False}
RUNS = Unfinished(TAG, begun=True, until=None)


def left(**told: bool) -> Talk:
    nothing = cast("Any", None)
    ids = Ids(TAG.call_id, Direction.OUTBOUND, "phone")
    return Talk(nothing, ids, nothing, nothing, {**TOLD, **told}, segments=1)


class Recording:
    """An Asterisk that records everything, or nothing any more."""

    def __init__(self, *, runs: bool = True) -> None:
        self.runs = runs

    async def is_recording(self, _name: str) -> bool:
        return self.runs


async def runs_on(talk: Talk, recording: Unfinished = RUNS, *, runs: bool = True) -> bool:
    desk = SimpleNamespace(ari=Recording(runs=runs))
    return await _runs_on(cast("Any", desk), [talk], recording)


async def test_a_lawful_recording_is_ended_by_whoever_takes_its_talk_up() -> None:
    talk = left()
    assert await runs_on(talk)
    assert (talk.running, talk.kept) == (RUNS, TOLD)


@pytest.mark.parametrize("what", ["refused", "paused"])
async def test_invariant_6_what_was_refused_or_paused_runs_on(what: str) -> None:
    assert not await runs_on(talk := left(**{what: True}))
    assert talk.running is None


async def test_invariant_6_a_refusal_on_record_that_the_talk_was_not_kept_with_is_forgotten() -> None:
    """It may have been written between two of the talk's own writes."""
    assert not await runs_on(talk := left(), replace(RUNS, until=LATE))
    assert talk.kept == {**TOLD, "refused": True}
    # nor does an older recording that was not refused become the one that runs
    assert not await runs_on(talk)


async def test_a_recorder_that_was_to_be_stopped_before_the_newest_runs_on_beside_it() -> None:
    assert await runs_on(talk := left())
    assert not await runs_on(talk, Unfinished(replace(TAG, recording_id=uuid4()), begun=True, until=None))
    assert talk.running == RUNS


async def test_a_recorder_that_has_ended_or_is_anothers_is_taken_for_one_that_runs() -> None:
    assert not await runs_on(left(), runs=False)
    assert not await runs_on(left(), replace(RUNS, tag=replace(TAG, call_id=uuid4())))


class Left:
    """An Asterisk with a caller, a leg and a bridge of a call that no service runs, and channels that another program
    made.
    """

    def __init__(self) -> None:
        self.ended: list[str] = []
        self.call = f"ccari-{uuid4()}"

    async def own_channels(self) -> list[str]:
        return ["ccari-1-1795565725.0", f"{self.call}-agent2"]

    async def bridges(self) -> dict[str, frozenset[str]]:
        return {self.call: frozenset(), "ccari-1-conference": frozenset()}

    async def hang_up(self, channel: str) -> None:
        self.ended.append(f"hang_up {channel}")

    async def destroy_bridge(self, bridge: str) -> None:
        self.ended.append(f"destroy {bridge}")


async def test_a_name_that_begins_like_ccaris_own_is_taken_for_one() -> None:
    asterisk = Left()
    swept = await _sweep(cast("Any", SimpleNamespace(ari=asterisk)), set, [])
    assert swept == ["ccari-1-1795565725.0", f"{asterisk.call}-agent2"]
    assert asterisk.ended == [f"hang_up {asterisk.call}-agent2", f"destroy {asterisk.call}"]


async def test_a_caller_who_enters_while_asterisk_is_asked_is_swept_away_with_what_was_left() -> None:
    """Asterisk reports the caller before it answers, and they are also in the answer."""
    entered: set[str] = set()

    class Entered(Left):
        async def own_channels(self) -> list[str]:
            entered.add("phone-1")
            return [*await super().own_channels(), "phone-1"]

    desk = SimpleNamespace(ari=Entered())
    assert "phone-1" not in await _sweep(cast("Any", desk), lambda: set(entered), [])


async def test_an_agent_who_has_transferred_a_talk_and_called_the_next_number_is_left_in_silence_with_the_talk() -> (
    None
):
    """A dialplan that keeps its agents on the line hands the same channel over for one number after the other."""
    talk = left()
    talk.ids.hand_over()

    class Next(Left):
        async def own_channels(self) -> list[str]:
            return ["phone", talk.ids.agent, talk.ids.callee]

    asterisk = Next()
    assert await _sweep(cast("Any", SimpleNamespace(ari=asterisk)), set, [talk]) == ["phone"]
    assert not any(each.startswith("hang_up") for each in asterisk.ended)


async def test_an_agent_who_still_talks_is_given_back_to_the_dialplan() -> None:
    talk = left()

    class Talking(Left):
        async def own_channels(self) -> list[str]:
            return ["phone", talk.ids.callee]

    assert await _sweep(cast("Any", SimpleNamespace(ari=Talking())), set, [talk]) == []
