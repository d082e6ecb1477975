"""An agent hands the callee over to a colleague, who hears that the call is recorded before they are in it."""

from dataclasses import replace

from ccari.policy import notices
from ccari.policy.call import commands as do
from ccari.policy.call.commands import Command
from ccari.policy.call.recording import is_recordable, must_end, record_or_bridge, stop_recorder, unrecorded
from ccari.policy.call.state import Call, Leg, Recorder, Stage, Step, then
from ccari.policy.call.telling import answers, speak, whisper, whispered
from ccari.policy.call.vocabulary import Party
from ccari.policy.campaign import OnTransfer

#: A recorder that is about to run cannot be stopped yet.
_STOPPABLE = frozenset({Recorder.IDLE, Recorder.RUNNING, Recorder.STOPPING, Recorder.DONE})


def asked(call: Call, to: str | None) -> Step:
    """The callee is the agent's to hand over in the talk, and to whom the campaign lets calls go."""
    if call.agent is not Leg.HERE:
        return call, []
    refused: list[Command] = [do.Note("transfer_refused", {"stage": call.stage.value}), do.RefuseTransfer()]
    if call.stage is not Stage.TALK:
        return call, refused
    if to is None or call.declared.transfer_string(to) is None or call.recorder not in _STOPPABLE:
        return whisper(call, notices.AGENT_TRANSFER_FAILED, *refused)
    call, note = replace(call, stage=Stage.HANDOVER, colleague=to), do.Note("transfer_asked")
    if call.recorder is Recorder.RUNNING:
        call, stop = stop_recorder(call, keep=True)
        return call, [note, *stop]
    if call.recorder is Recorder.STOPPING:
        return call, [note]
    return then([note], hand_over(call))


def hand_over(call: Call) -> Step:
    """Nothing is recorded now. The colleague's part of the recording is a file of its own."""
    if must_end(call):
        return call, []
    call = replace(
        call, stage=Stage.CONNECT, agent=Leg.CALLED, handed_over=True, briefed=False, recorded=False, paused=False,
        typed="", whisper=None, whispers=(),
    )  # fmt: skip
    repeats = is_recordable(call) and call.declared.recording.on_transfer is OnTransfer.REPEAT
    again = notices.repeated(call.declared) if repeats else ()
    call = replace(call, upcoming=(*answers(call), notices.TRANSFER_WAIT, *again))
    timer = do.SetTimer(Stage.CONNECT, float(call.declared.connect_seconds))
    return speak(call, do.Note("call_handed_over"), do.HandOver(call.colleague), timer, do.Ring(Party.CALLEE))


def brief(call: Call) -> Step:
    """The colleague has answered: they, too, are told before they are recorded, while the callee hears the rest."""
    call = replace(call, stage=Stage.BRIEFING)
    if is_recordable(call):
        return whisper(call, notices.AGENT_CALL_RECORDED, do.ShowCard())
    return call, [do.ShowCard()]


def told(call: Call, prompt: str, *, whole: bool) -> Step:
    """A whisper is over. What the colleague did not hear to its end was not told."""
    call, commands = whispered(call, prompt)
    if prompt != notices.AGENT_CALL_RECORDED or call.stage is not Stage.BRIEFING:
        return call, commands
    return (replace(call, briefed=True), commands) if whole else then(commands, unrecorded(call))


def bring_together(call: Call) -> Step:
    """Both have heard all there was to say; the callee may have agreed to the recording meanwhile."""
    if is_recordable(call) and not call.briefed:
        return whisper(call, notices.AGENT_CALL_RECORDED)
    return record_or_bridge(call)
