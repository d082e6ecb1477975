"""What may not happen to a talk that its service leaves, or that another takes up."""

import json
from collections.abc import Iterator

from ccari.policy import confirmations, notices
from ccari.policy.call import Call, Stage, decide, resuming
from ccari.policy.call import commands as do
from ccari.policy.call import events as on
from ccari.policy.call.state import RecorderState
from ccari.policy.campaign import Campaign

_LASTING = (
    "language", "informed", "known", "agreed", "refused", "paused", "recorded", "handed_over", "briefed", "due",
    "heard", "reason",
)  # fmt: skip


def wrongly_left(call: Call) -> Iterator[str]:
    """No part of the talk is stopped, and no right that is not yet durable is lost."""
    after, commands = decide(call, on.LetGo("asterisk_lost"))
    leaves = [each for each in commands if not isinstance(each, do.Note)] == [do.LeaveTalk()]
    if leaves is not (after.stage is Stage.CLOSED):
        yield "a talk is left and goes on being run"
    if leaves and call.registering:
        yield "a right is left that is not durable"
    if not leaves and not call.registering:
        yield "a talk is ended because its service lost Asterisk"


def _owed(call: Call) -> set[str]:
    """What the callee is being told about rights, or is still to be told."""
    answers = {*confirmations.CONFIRMATIONS.values(), confirmations.RECORDING_STOPPED, notices.RIGHT_FAILED}
    return {
        each
        for each in (call.playing, *call.upcoming)
        if each is not None
        and (each in answers or confirmations.is_reference(each) or confirmations.tells_until_when(each))
    }


def wrongly_taken_up(campaign: Campaign, call: Call) -> Iterator[str]:
    kept = resuming.to_keep(call)
    if kept is None:
        yield "a talk could not be taken up"
        return
    told = json.loads(json.dumps(kept))
    for recording in {resuming.is_recording(told), False}:
        after, commands = decide(Call(), on.TalkResumed(call.direction, campaign, told, recording))
        if any(isinstance(each, do.TagRecording | do.StartRecorder) for each in commands):
            if recording or told["recorder"] != RecorderState.IDLE:
                yield "a second recorder is begun"
            if call.refused or call.paused or call.unrecordable:
                yield "what was refused or paused is recorded again"
        if any(isinstance(each, do.TellDialplan) for each in commands):
            yield "the dialplan is told while somebody may be playing to its channel"
        if call.untold and not after.untold and after.stage is Stage.TALK:
            yield "what the dialplan does not know is forgotten"
        if (after.recorder is RecorderState.RUNNING) is not recording:
            yield "a recorder that does not run is thought to run"
        if set(after.exercised) != set(call.exercised) - call.registering:
            yield "a right is forgotten, or one is thought durable"
        wrong = [
            name
            for name in _LASTING
            if name not in {"reason", "recorded"} and getattr(after, name) != getattr(call, name)
        ]
        wrong += sorted(_owed(call) - {after.playing, *after.upcoming})
        wrong += ["on_hold"] if after.maybe_on_hold is not call.on_hold else []
        if after.recorded is not (recording or call.recorded):
            yield "it is forgotten that some of the talk is in the file, or thought so of nothing"
        if wrong:
            yield f"forgotten: {', '.join(wrong)}"
        must_end = campaign.recording.must and (call.refused or after.unrecordable)
        if after.stage is not (Stage.FAREWELL if must_end else Stage.TALK):
            yield "a talk that may not go on goes on, or one that may is ended"
