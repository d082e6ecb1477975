"""A talk that goes on without whoever ran it: what is to be known of it, and how it is taken up again.

The two talk on in Asterisk when the service dies or loses its connection, and a recording that was lawful goes on. What
was kept may be older than what happened: where the two disagree, nobody is recorded.
"""

from collections.abc import Mapping
from typing import Any

from ccari.policy.call import commands as do
from ccari.policy.call import events as on
from ccari.policy.call.recording import running, unrecorded, wants_recorder
from ccari.policy.call.state import Call, Leg, Recorder, Stage, Step, replace, then
from ccari.policy.call.telling import farewell
from ccari.policy.call.vocabulary import Outcome
from ccari.policy.rights import Right

#: Of what is kept; another ccari's is not taken up.
VERSION = 2
_FLAGS = (
    "informed", "known", "agreed", "refused", "paused", "unrecordable", "recorded", "handed_over", "briefed",
)  # fmt: skip
_WORDS = ("language", "reason", "due")
#: One is there or about to be, by what was kept.
_RECORDERS = frozenset({Recorder.TAGGING, Recorder.STARTING, Recorder.RUNNING})


def kept(call: Call) -> Mapping[str, Any] | None:
    """What is to be kept of a talk, as JSON; None if the call is none, and cannot be taken up.

    A right that is not yet durable is not among those exercised: its key may be pressed again.
    """
    if call.stage is not Stage.TALK:
        return None
    lasting = [each.value for each in call.exercised if each not in call.registering]
    by_agent = sorted(each.value for each in call.by_agent - call.registering)
    told: dict[str, Any] = {name: getattr(call, name) for name in (*_FLAGS, *_WORDS)}
    return told | {
        "version": VERSION, "untold": call.untold, "heard": sorted(call.heard), "exercised": lasting, "by_agent": by_agent,
        "recorder": call.recorder.value,
    }  # fmt: skip


def is_recording(told: Mapping[str, Any]) -> bool:
    """True if a recorder that runs is to run on, by what was kept."""
    return told["recorder"] in _RECORDERS and not told["refused"] and not told["paused"]


def is_stricter(told: Mapping[str, Any] | None, before: Mapping[str, Any] | None) -> bool:
    """True if somebody has paused or refused the recording since ``before`` was kept."""
    return told is not None and any(
        told[each] and not (before and before[each]) for each in ("paused", "refused")
    )


def outdated(told: Mapping[str, Any]) -> Mapping[str, Any]:
    """What was kept of a talk, when a further recorder is on record than it knows of: what became of that, nobody can say."""
    return {**told, "recorder": Recorder.LOST.value}


def resumed(event: on.TalkResumed) -> Step:
    """The talk as it was kept.

    A recorder that has ended meanwhile was ended by nobody who is known, perhaps because somebody paused it: there is no
    other. Only where none was ever begun, one may be.

    What the dialplan does not know it is told after the next prompt: one of before may still sound in its channel, and then
    Asterisk answers nobody who asks for anything.
    """
    told = event.told
    call = Call(
        stage=Stage.TALK, direction=event.direction, campaign=event.campaign, agent=Leg.HERE, callee=Leg.HERE,
        heard=frozenset(told["heard"]), exercised=tuple(map(Right, told["exercised"])),
        by_agent=frozenset(map(Right, told["by_agent"])), untold=told.get("untold", True),
        **{name: told[name] for name in (*_FLAGS, *_WORDS)},
    )  # fmt: skip
    note = do.Note("talk_resumed", {"recorded": "yes" if event.recording else "no"})
    if call.refused and call.declared.recording.must:
        return then([note], farewell(call, Outcome.RECORDING_REFUSED, "recording_refused"))
    if event.recording:
        # one that was starting as the talk was left has begun since
        was, call = call.reason, replace(running(call), recorded=True)
        return replace(call, untold=call.untold or call.reason != was), [note]
    if wants_recorder(call) and told["recorder"] != Recorder.IDLE:
        return then([note], _untold(unrecorded(replace(call, recorder=Recorder.DONE))))
    return call, [note]


def _untold(step: Step) -> Step:
    call, commands = step
    rest: list[do.Command] = [each for each in commands if not isinstance(each, do.TellDialplan)]
    return replace(call, untold=call.untold or len(rest) < len(commands)), rest
