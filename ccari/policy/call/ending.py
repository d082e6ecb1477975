"""Ends a call: stops, hangs up or gives back everything it holds, and closes it when all of that is gone."""

from ccari.policy.call import commands as do
from ccari.policy.call.commands import Command
from ccari.policy.call.state import (
    CLOSE_SECONDS,
    Call,
    Leg,
    RecorderState,
    Stage,
    Step,
    leg,
    replace,
    then,
    with_leg,
)
from ccari.policy.call.vocabulary import Outcome, Party, Timer

_RECORDING = frozenset({RecorderState.STARTING, RecorderState.RUNNING, RecorderState.STOPPING})


def end(call: Call, outcome: Outcome, reason: str) -> Step:
    """Release everything; the call closes when all of it is reported gone."""
    if call.stage is Stage.CLOSE:
        return call, []
    call = replace(
        call, stage=Stage.CLOSE, outcome=outcome, reason=reason, playing=None, upcoming=(), unsaid=(),
        whisper=None, whispers=(),
    )  # fmt: skip
    commands: list[Command] = [do.SetTimer(Timer.CLOSE, CLOSE_SECONDS)]
    if call.recorder is RecorderState.RUNNING:
        # if the two were never connected, there is nothing to keep
        commands.append(do.StopRecorder(keep=call.recorded, binding=False))
        call = replace(call, recorder=RecorderState.STOPPING)
    for party in (Party.CALLEE, Party.AGENT):
        if leg(call, party).is_held:
            commands.append(do.GiveBack(outcome, reason) if party is call.home else do.HangUp(party))
            call = with_leg(call, party, Leg.LEAVING)
    return then(commands, close_if_over(call))


def hang_up(call: Call, party: Party) -> Step:
    """Release one party while the call goes on; no party is released twice."""
    if not leg(call, party).is_held:
        return call, []
    return with_leg(call, party, Leg.LEAVING), [do.HangUp(party)]


def close_if_over(call: Call) -> Step:
    """Close the call if its channels and its recorder are gone, and each right exercised is durable or has failed."""
    if call.agent.is_there or call.callee.is_there or call.recorder in _RECORDING or call.registering:
        return call, []
    return close(call)


def close(call: Call) -> Step:
    """The call is over: store or discard its recording, and write its end."""
    outcome = call.outcome or Outcome.FAILED
    note = do.Note("call_ended", {"outcome": outcome.value, "reason": call.reason})
    return replace(call, stage=Stage.CLOSED), [do.SettleRecording(), note, do.CloseCall(outcome, call.reason)]


def tell_dialplan(call: Call, outcome: Outcome, reason: str) -> list[Command]:
    """Put the outcome into the channel that the dialplan gets back, if there is one."""
    return [do.TellDialplan(outcome, reason)] if call.home else []


def set_reason(call: Call, reason: str, *first: Command) -> Step:
    """Store the reason of the call. During the talk tell the dialplan too, as soon as nothing plays to its channel."""
    call = replace(call, reason=reason, untold=call.stage is Stage.TALK and call.home is not None)
    return then([*first], tell_reason(call))


def tell_reason(call: Call) -> Step:
    """Tell the dialplan the reason, unless it knows it, or a prompt is playing to its channel."""
    playing = call.whisper if call.home is Party.AGENT else call.playing
    if call.stage is not Stage.TALK or not call.untold or playing is not None:
        return call, []
    return replace(call, untold=False), tell_dialplan(call, Outcome.BRIDGED, call.reason)
