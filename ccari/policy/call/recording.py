"""From the heard notice to the talk, and the recorder of the talk: when it is tagged, started, stopped, paused and started again."""

from datetime import datetime

from ccari.policy import notices
from ccari.policy.call import commands as do
from ccari.policy.call.commands import Command
from ccari.policy.call.ending import close_if_over, end, set_reason
from ccari.policy.call.state import RECORDER_SECONDS, Call, Leg, RecorderState, Stage, Step, replace, then
from ccari.policy.call.telling import (
    announces_recording,
    farewell,
    say_what_is_due,
    speak,
    whisper,
    without_word_of_recording,
)
from ccari.policy.call.vocabulary import Direction, Outcome, Party, Timer
from ccari.policy.recording import OnTransfer, RecordingMode

#: Why a recordable call is not recorded; dropped if it is recorded later.
NOT_AGREED = "recording_not_agreed"
#: Stages in which the end of a stopping recorder is timed: otherwise it might go on unnoticed.
_STOPPING_IS_TIMED = frozenset(
    {
        Stage.DISCARD,
        Stage.BRIDGE,
        Stage.TALK,
        Stage.HANDOVER,
        Stage.CONNECT,
        Stage.BRIEFING,
        Stage.FAREWELL,
    }
)


def connect(call: Call) -> Step:
    """The callee has heard everything due: go on to the agent, or call one who is not here yet."""
    if must_end(call):
        return call, []
    match call.agent:
        case Leg.HERE:
            return record_or_bridge(call)
        case Leg.LEAVING | Leg.GONE:
            return no_agent(call)
        case leg:
            call = replace(call, stage=Stage.CONNECT, agent=Leg.CALLED if leg is Leg.AWAY else leg)
            asking: list[Command] = [do.CallAgent()] if leg is Leg.AWAY else []
            timer = do.SetTimer(Timer.CONNECT, float(call.declared.connect_seconds))
            return call, [*asking, timer, do.Ring(Party.CALLEE)]


def must_end(call: Call) -> bool:
    """True if the callee has refused a recording without which the campaign holds no call. The refusal is
    answered, and then the last words are said.
    """
    return call.refused and call.declared.recording.must


def no_agent(call: Call) -> Step:
    """No agent came in time. A caller is given back to the dialplan, after the answers to their rights; a
    callee hears an apology.

    After a transfer a caller hears one too: the dialplan knows only of their first talk.
    """
    if call.handed_over:
        return farewell(call, Outcome.BRIDGED, "transfer_failed", notices.TRANSFER_FAILED)
    if call.is_inbound:
        return say_what_is_due(call, Outcome.FAILED, "no_agent")
    return then([do.Note("call_abandoned")], farewell(call, Outcome.FAILED, "abandoned", notices.ABANDONED))


def record_or_bridge(call: Call) -> Step:
    """Callee and agent are on the line: begin with the recording's tag if the call is recorded, and else connect the two."""
    if wants_recorder(call):
        return replace(call, stage=Stage.TAG), [do.TagRecording()]
    return bridge(call)


def wants_recorder(call: Call) -> bool:
    """True if a recorder should run now."""
    return is_recordable(call) and not call.paused and not announces_recording(call)


def is_recordable(call: Call) -> bool:
    """True if the call may and can be recorded, as it stands."""
    mode = call.declared.recording.mode
    if mode is RecordingMode.OFF or call.refused or call.unrecordable:
        return False
    if call.handed_over and call.declared.recording.on_transfer is OnTransfer.STOP:
        return False
    return call.agreed or mode is not RecordingMode.OPT_IN


def bridge(call: Call) -> Step:
    """Connect the two, as soon as nothing is being played to either."""
    if call.recorder is RecorderState.STOPPING:
        # the recorder was lost, and started while a colleague was called
        return replace(call, stage=Stage.DISCARD), []
    if must_end(call) or not call.is_quiet:
        return replace(call, stage=Stage.QUIET), []
    return replace(call, stage=Stage.BRIDGE), [*_ready_agent(call), do.Bridge()]


def _ready_agent(call: Call) -> list[Command]:
    """Prepare the agent. One who was called has already answered, and may be hearing ringing."""
    if call.handed_over:
        return []
    if call.direction is Direction.OUTBOUND:
        return [do.AnswerAgent()]
    return [do.StopRinging(Party.AGENT)] if call.rang and call.direction is Direction.AGENT_FIRST else []


def bridged(call: Call) -> Step:
    """The two are connected: the talk begins."""
    recorded = "yes" if call.recorder is RecorderState.RUNNING else "no"
    call = replace(call, stage=Stage.TALK, recorded=call.recorder is RecorderState.RUNNING)
    call, commands = set_reason(call, call.reason, do.Note("call_bridged", {"recorded": recorded}))
    return speak(call, *commands)


def record_on(call: Call) -> Step:
    """During the talk, start a recorder if one is wanted and none runs: after a pause, or for a colleague. The
    colleague is told first.
    """
    if call.recorder not in {RecorderState.IDLE, RecorderState.DONE} or not wants_recorder(call):
        return call, []
    if call.handed_over and not call.briefed:
        telling = notices.AGENT_CALL_RECORDED in {call.whisper, *call.whispers}
        return (call, []) if telling else whisper(call, notices.AGENT_CALL_RECORDED)
    return replace(call, recorder=RecorderState.TAGGING), [do.TagRecording()]


def tagged(call: Call) -> Step:
    """The recording's tag is committed: start the recorder, unless the recording was refused or paused meanwhile."""
    if call.stage is Stage.TALK and call.recorder is RecorderState.TAGGING:
        if not wants_recorder(call):
            return replace(call, recorder=RecorderState.IDLE), []
        return _start(call)
    if call.stage is not Stage.TAG:
        return call, []
    return bridge(call) if call.refused else _start(replace(call, stage=Stage.RECORDER))


def _start(call: Call) -> Step:
    timer = do.SetTimer(Timer.RECORDER, RECORDER_SECONDS)
    return replace(call, recorder=RecorderState.STARTING), [timer, do.StartRecorder()]


def recorder_started(call: Call) -> Step:
    """Asterisk reports that the recorder runs. If it is no longer wanted, it is stopped, and what it has recorded is discarded."""
    note = do.Note("recording_started")
    if call.stage is Stage.RECORDER and not call.refused:
        return then([note], bridge(running(call)))
    if call.stage is Stage.TALK and call.recorder is RecorderState.STARTING and wants_recorder(call):
        was, call = call.reason, replace(running(call), recorded=True)
        call, commands = set_reason(call, call.reason, note) if call.reason != was else (call, [note])
        return whisper(call, notices.AGENT_RECORDING_STARTED, *commands)
    # Asterisk ignores a stop before RecordingStarted, so send it now; nothing was said yet
    return stop_recorder(call, keep=False)


def running(call: Call) -> Call:
    """Note that the recorder runs. If the callee had not agreed in time, they have by now: that reason no longer holds."""
    return replace(
        call, recorder=RecorderState.RUNNING, reason="" if call.reason == NOT_AGREED else call.reason
    )


def stop_recorder(call: Call, *, keep: bool, at: datetime | None = None) -> Step:
    """Stop the recorder. ``at``: when the key was pressed that stops it; nothing recorded since then is kept."""
    if call.stage in {Stage.RECORDER, Stage.QUIET}:
        # delay the bridge: not one syllable of the talk may get into that file
        call = replace(call, stage=Stage.DISCARD)
    timed = [do.SetTimer(Timer.STOP, RECORDER_SECONDS)] if call.stage in _STOPPING_IS_TIMED else []
    call = without_word_of_recording(replace(call, recorder=RecorderState.STOPPING))
    return call, [*timed, do.StopRecorder(keep=keep, at=at)]


def recorder_stopped(call: Call) -> Step:
    """Asterisk reports that the recorder has ended, because we have stopped it or by itself."""
    was, call = call.recorder, replace(call, recorder=RecorderState.DONE)
    if call.stage is Stage.CLOSE:
        return close_if_over(call)
    if call.stage is Stage.DISCARD:
        return bridge(call)
    if was in {RecorderState.STARTING, RecorderState.RUNNING}:
        # we did not stop it: a full disk, or two seconds without a frame
        return unrecorded(call)
    if call.stage is Stage.TALK and call.paused and not call.refused:
        return whisper(call, notices.AGENT_RECORDING_PAUSED)
    return call, []


def recorder_overdue(call: Call) -> Step:
    """A recorder that was told to stop has not reported its end in time."""
    if call.recorder is not RecorderState.STOPPING or call.stage not in _STOPPING_IS_TIMED:
        return call, []
    if call.stage is Stage.DISCARD and not call.has_talked:
        return end(call, Outcome.FAILED, "discard_timeout")
    return recorder_unstoppable(call)


def recorder_unstoppable(call: Call) -> Step:
    """The recorder does not stop, and nobody may talk while it runs: end the call, which ends the recorder."""
    if call.stage is Stage.CLOSE:
        return recorder_stopped(call)
    call = replace(call, recorder=RecorderState.DONE)
    if call.outcome is not None:
        return end(call, call.outcome, call.reason)
    return end(call, Outcome.BRIDGED if call.has_talked else Outcome.FAILED, "recorder_not_stopped")


def unrecorded(call: Call) -> Step:
    """The call cannot be recorded, or no longer. The campaign says whether it ends or goes on without a recording."""
    note = do.Note("recording_impossible", {"stage": call.stage.value})
    call = replace(call, unrecordable=True)
    if call.stage is Stage.CLOSE:
        return then([note], close_if_over(call))
    if call.stage not in {Stage.BRIEFING, Stage.TAG, Stage.RECORDER, Stage.QUIET, Stage.BRIDGE, Stage.TALK}:
        return call, [note]
    if call.declared.recording.must:
        outcome = Outcome.BRIDGED if call.has_talked else Outcome.FAILED
        return then([note], farewell(call, outcome, "recording_failed"))
    call, commands = set_reason(call, "recording_failed", note)
    if call.stage is Stage.TALK:
        return whisper(call, notices.AGENT_RECORDING_STOPPED, *commands)
    return then(commands, bridge(call)) if call.stage in {Stage.TAG, Stage.RECORDER} else (call, commands)
