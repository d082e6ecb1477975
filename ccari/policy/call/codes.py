"""The agent's feature codes during the talk, and the whispers that answer them."""

from datetime import datetime

from ccari.policy import notices
from ccari.policy.call import commands as do
from ccari.policy.call.keys import SCREEN, agent_answer, exercise
from ccari.policy.call.recording import is_recordable, stop_recorder
from ccari.policy.call.state import CODE_SECONDS, Call, RecorderState, Stage, Step, replace, then
from ccari.policy.call.telling import whisper, without_word_of_recording
from ccari.policy.call.vocabulary import Party, Timer
from ccari.policy.keypad import AgentAction
from ccari.policy.rights import Right

#: Stages that may follow a talk, besides a hand-over.
_AFTER = frozenset({Stage.FAREWELL, Stage.CLOSE})


def agent_key_pressed(call: Call, key: str, at: datetime | None) -> Step:
    """Add a key to the code that the agent is typing. Keys that begin no code are left alone: something else
    may listen to them.
    """
    if call.stage is not Stage.TALK or call.campaign is None:
        return call, []
    codes = call.campaign.agent_keys
    typed = call.typed + key
    if typed in codes:
        return _obey(replace(call, typed=""), typed, codes[typed], at)
    if any(code.startswith(typed) for code in codes):
        return replace(call, typed=typed), [do.SetTimer(Timer.CODE, CODE_SECONDS)]
    unknown = bool(call.typed)
    anew = key if any(code.startswith(key) for code in codes) else ""
    call = replace(call, typed=anew)
    if anew:
        return call, [do.SetTimer(Timer.CODE, CODE_SECONDS)]
    return whisper(call, notices.AGENT_CODE_UNKNOWN) if unknown else (call, [])


def right_voiced(call: Call, right: Right, at: datetime | None) -> Step:
    """The agent has entered a right at their screen. It has the effect of a code, even if the campaign has no codes.

    The screen passes it on during the talk. If the talk has ended before it arrives here, it is still registered.
    """
    if call.campaign is None or not (call.has_talked or call.stage in _AFTER):
        return call, []
    note = do.Note("agent_code_entered", {"code": SCREEN, "action": right.value})
    return _register(call, SCREEN, right, note, at)


def code_forgotten(call: Call) -> Step:
    """The agent has typed no further key of a code for too long: begin anew."""
    return (replace(call, typed=""), []) if call.typed else (call, [])


def _obey(call: Call, code: str, action: AgentAction, at: datetime | None) -> Step:
    note = do.Note("agent_code_entered", {"code": code, "action": action.value})
    right = action.right
    if right is not None:
        return _register(call, code, right, note, at)
    return then([note], _pause(call, at) if action is AgentAction.PAUSE_RECORDING else _resume(call))


def _register(call: Call, code: str, right: Right, note: do.Note, at: datetime | None) -> Step:
    if right in call.registering:
        return call, [note]
    if right in call.exercised:
        # no whisper to a phone that is ringing or gone
        in_talk = call.stage is Stage.TALK
        return whisper(call, agent_answer(call, right), note) if in_talk else (call, [note])
    return exercise(call, right, code, Party.AGENT, at, note)


def _pause(call: Call, at: datetime | None) -> Step:
    call = without_word_of_recording(replace(call, paused=True))
    if call.recorder is RecorderState.RUNNING:
        return stop_recorder(call, keep=True, at=at)
    if call.recorder in {RecorderState.STARTING, RecorderState.STOPPING}:
        # the recorder's end will tell the agent, who must not say a card number before
        return call, []
    paused = is_recordable(call)
    return whisper(call, notices.AGENT_RECORDING_PAUSED if paused else notices.AGENT_RECORDING_STOPPED)


def _resume(call: Call) -> Step:
    """Record again, in a new file; the agent is told when that starts. A refused recording stays refused."""
    call = without_word_of_recording(replace(call, paused=False))
    if not is_recordable(call):
        return whisper(call, notices.AGENT_RECORDING_STOPPED)
    if call.recorder is RecorderState.RUNNING:
        return whisper(call, notices.AGENT_RECORDING_STARTED)
    return call, []
