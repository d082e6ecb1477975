"""An agent hands the callee over to a colleague, who is told of the recording before they are recorded."""

from ccari.policy import notices
from ccari.policy.call import commands as do
from ccari.policy.call.commands import Command
from ccari.policy.call.recording import (
    bridge,
    is_recordable,
    must_end,
    record_or_bridge,
    stop_recorder,
    unrecorded,
)
from ccari.policy.call.state import Call, Leg, RecorderState, Stage, Step, replace, then
from ccari.policy.call.telling import (
    answers,
    cut_short,
    speak,
    whisper,
    whispered,
    without_agreement,
    without_word_of_recording,
)
from ccari.policy.call.vocabulary import Party, Timer
from ccari.policy.recording import OnTransfer

#: States in which a hand-over may begin: a recorder about to run cannot be stopped yet; a lost one is not waited for.
_STOPPABLE = frozenset(
    {
        RecorderState.IDLE,
        RecorderState.LOST,
        RecorderState.RUNNING,
        RecorderState.STOPPING,
        RecorderState.DONE,
    }
)


def asked(call: Call, to: str | None) -> Step:
    """The agent's phone asks for a transfer. It is allowed only during the talk, and only to where the campaign allows it."""
    if call.agent is not Leg.HERE or call.stage is Stage.HANDOVER:
        # Asterisk gives the answer to one REFER of a channel to all of them: the answer to the first serves here too
        return call, []
    reason = _why_not(call, to)
    if to is None or reason:
        note = do.Note("transfer_refused", {"stage": call.stage.value, "reason": reason})
        refused: list[Command] = [note, do.RefuseTransfer()]
        in_talk = call.stage is Stage.TALK
        return whisper(call, notices.AGENT_TRANSFER_FAILED, *refused) if in_talk else (call, refused)
    call = replace(call, stage=Stage.HANDOVER, colleague=to, whispers=())
    first: list[Command] = [do.Note("transfer_asked"), *cut_short(call)]
    return then(
        first, stop_recorder(call, keep=True) if call.recorder is RecorderState.RUNNING else hand_over(call)
    )


def _why_not(call: Call, to: str | None) -> str:
    """Why the callee may not be transferred there; empty if they may."""
    if call.stage is not Stage.TALK or call.recorder not in _STOPPABLE:
        return "not_now"
    if call.declared.transfer is None:
        return "no_transfers"
    if to is None:
        return "attended"
    return "" if call.declared.transfer_string(to) is not None else "no_extension"


def hand_over(call: Call) -> Step:
    """Release the agent and call the colleague, once nothing is recorded, or played to either party.

    The colleague's part of the recording is a separate file.
    """
    if must_end(call) or call.recorder is RecorderState.STOPPING or not call.is_quiet:
        return call, []
    call = replace(
        call, stage=Stage.CONNECT, agent=Leg.CALLED, handed_over=True, briefed=False, recorded=False, typed="",
        untold=False,
    )  # fmt: skip
    repeats = is_recordable(call) and call.declared.recording.on_transfer is OnTransfer.REPEAT
    again = notices.repeated(call.declared) if repeats else ()
    if not is_recordable(call):
        call = without_agreement(call)
    call = replace(
        call, upcoming=(*answers(call), notices.TRANSFER_WAIT, *again), due=next(iter(again), None)
    )
    timer = do.SetTimer(Timer.CONNECT, float(call.declared.connect_seconds))
    return speak(call, do.Note("call_handed_over"), do.HandOver(call.colleague), timer, do.Ring(Party.CALLEE))


def brief(call: Call) -> Step:
    """Tell the colleague, who has answered, that the call is recorded. Meanwhile the callee hears their remaining prompts."""
    call = replace(call, stage=Stage.BRIEFING)
    missed = call.due is not None and call.due not in {call.playing, *call.upcoming}
    if missed or not is_recordable(call):
        return call, [do.ShowCard()]
    return _tell_of_recording(call, do.ShowCard())


def _tell_of_recording(call: Call, *first: Command) -> Step:
    call, commands = whisper(call, notices.AGENT_CALL_RECORDED, *first)
    # a pause outlasts the agent who made it: the colleague may resume the recording
    return then(commands, whisper(call, notices.AGENT_RECORDING_PAUSED)) if call.paused else (call, commands)


def whisper_over(call: Call, prompt: str, *, whole: bool) -> Step:
    """A whisper to the agent has ended. A colleague who did not hear it whole has not been told of the recording."""
    if prompt != call.whisper:
        return call, []
    briefs = prompt == notices.AGENT_CALL_RECORDED and call.stage in {Stage.BRIEFING, Stage.TALK}
    if whole or not briefs or not is_recordable(call):
        return whispered(replace(call, briefed=call.briefed or (briefs and whole)), prompt)
    call, commands = whispered(without_word_of_recording(call), prompt)
    return then(commands, unrecorded(call))


def bring_together(call: Call) -> Step:
    """Record, if that is allowed by now, and bridge: callee and colleague have heard everything."""
    if not is_recordable(call):
        return record_or_bridge(call)
    if call.due is not None:
        # the callee did not hear it whole, since no prompt is left
        call, commands = unrecorded(call)
        return then(commands, bridge(call)) if call.stage is Stage.BRIEFING else (call, commands)
    return record_or_bridge(call) if call.briefed else _tell_of_recording(call)
