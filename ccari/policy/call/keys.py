"""The callee's keys: they exercise rights, agree to the recording or refuse it, and choose what is played."""

from datetime import date, datetime

from ccari.policy import confirmations, notices
from ccari.policy.call import commands as do
from ccari.policy.call import events as on
from ccari.policy.call.commands import Command
from ccari.policy.call.ending import close_if_over, set_reason
from ccari.policy.call.events import Event
from ccari.policy.call.recording import is_recordable, stop_recorder
from ccari.policy.call.state import Call, RecorderState, Stage, Step, replace, then
from ccari.policy.call.telling import (
    answer,
    answers,
    barge_in,
    farewell,
    say_next,
    speak,
    whisper,
    without_agreement,
)
from ccari.policy.call.vocabulary import Outcome, Party
from ccari.policy.gate import bars_the_like
from ccari.policy.keypad import KeyAction, noted
from ccari.policy.recording import stops_recording
from ccari.policy.retention import WITHDRAWING
from ccari.policy.rights import Right

#: Stands for a code if the right was entered at the agent's screen.
SCREEN = "screen"
#: From the callee's answer to the last words: stages in which a key may steer the prompts.
_CONVERSING = frozenset(
    {
        Stage.NOTICE,
        Stage.HEARD,
        Stage.AGREEMENT,
        Stage.CONNECT,
        Stage.TAG,
        Stage.RECORDER,
        Stage.DISCARD,
        Stage.QUIET,
        Stage.BRIDGE,
        Stage.TALK,
        Stage.HANDOVER,
        Stage.BRIEFING,
    }
)
#: Stages in which the recording can be agreed to, besides the notice that asks.
_AGREEABLE = frozenset(
    {
        Stage.HEARD,
        Stage.AGREEMENT,
        Stage.CONNECT,
        Stage.QUIET,
        Stage.BRIDGE,
        Stage.TALK,
        Stage.HANDOVER,
        Stage.BRIEFING,
    }
)
#: A recorder that was told to stop, or whose end was not reported in time.
_STOPPED = frozenset({RecorderState.STOPPING, RecorderState.DONE})
#: Stages in which somebody who presses a key without a function is waiting for an effect.
_LISTENING = frozenset({Stage.NOTICE, Stage.HEARD, Stage.AGREEMENT})


def key_pressed(call: Call, key: str, at: datetime | None) -> Step:
    """The callee has pressed a key. A key that exercises a right does so in every stage, even while the call is ending."""
    if call.campaign is None:
        return call, []
    action = call.campaign.keys.get(key)
    does = action.value if action else "none"
    note = do.Note("key_pressed", {"key": noted(key, action), "action": does, "stage": call.stage.value})
    if call.nobody:
        # a machine, or tones in early media
        return call, [note]
    if action is None:
        unknown = call.stage in _LISTENING and bool(call.campaign.keys)
        return speak(say_next(call, notices.KEY_UNKNOWN), note) if unknown else (call, [note])
    right = action.right
    if right is None:
        return _steer(call, action, key, note)
    if right in call.exercised:
        # the agent entered it before: from now on the confirmation goes to the callee
        return replace(call, by_agent=call.by_agent - {right}), [note]
    # in every stage, even during the last words and the hang-up: a right that was pressed is never lost
    return exercise(call, right, key, Party.CALLEE, at, note)


def exercise(call: Call, right: Right, key: str, by: Party, at: datetime | None, *first: Command) -> Step:
    """Have the right registered as of ``at``. If it stops the recording, that happens at once, whatever
    becomes of the request.
    """
    commands = list(first)
    call = replace(call, exercised=(*call.exercised, right))
    if _stops(call, right):
        call = without_agreement(replace(call, refused=True))
        if call.recorder in _STOPPED or (call.recorded and call.recorder is not RecorderState.RUNNING):
            commands.append(do.CutRecording(at))
        if call.recorder is RecorderState.RUNNING:
            call, stop = stop_recorder(call, keep=call.recorded, at=at)
            commands += stop
    if not call.known:
        return then(commands, _unregistrable(call, right, by))
    if by is Party.AGENT:
        call = replace(call, by_agent=call.by_agent | {right})
    call = replace(call, registering=call.registering | {right})
    return call, [*commands, do.RegisterRight(right, key, by, at)]


def pressed(call: Call, event: Event) -> list[Command]:
    """What is needed for the right that an event exercises, although ``decide`` has failed on that event. Nothing else is done about it."""
    if call.campaign is None or call.nobody:
        return []
    match event:
        case on.KeyPressed(key, at) if (action := call.campaign.keys.get(key)) and action.right is not None:
            register = do.RegisterRight(action.right, key, Party.CALLEE, at)
        case on.RightVoiced(right, at):
            register = do.RegisterRight(right, SCREEN, Party.AGENT, at)
        case _:
            return []
    cut = [do.CutRecording(register.at)] if _stops(call, register.right) else []
    return [*cut, register] if call.known else [*cut]


def _stops(call: Call, right: Right) -> bool:
    recording = call.declared.recording
    return stops_recording(right, recording.legal_basis, recording.mode)


def _unregistrable(call: Call, right: Right, by: Party) -> Step:
    """Without a number nobody can be answered, so no right is registered; but a refusal of recording takes effect."""
    note = do.Note("right_unregistrable", {"right": right.value})
    if call.stage is Stage.CLOSE:
        return call, [note]
    stopped = _stops(call, right)
    refusal = stopped and right in WITHDRAWING
    said = confirmations.confirmation(Right.REFUSE_RECORDING, recorded=call.recorded) if refusal else ()
    if right is not Right.REFUSE_RECORDING:
        said = (*said, notices.NUMBER_WITHHELD)
    if stopped and call.declared.recording.must:
        return then([note], farewell(call, Outcome.RECORDING_REFUSED, "recording_refused", *said))
    commands: list[Command] = [note]
    if refusal:
        call, commands = set_reason(call, call.reason or "recording_refused", note)
    if by is Party.AGENT and call.stage is Stage.TALK:
        return whisper(call, agent_answer(call, right), *commands)
    return speak(answer(call, *said), *commands)


def agent_answer(call: Call, right: Right) -> str:
    """What the agent hears about a right they entered, once it is registered or cannot be."""
    if call.known:
        return notices.AGENT_RIGHT_REGISTERED
    stopped = right is Right.REFUSE_RECORDING
    return notices.AGENT_RECORDING_STOPPED if stopped else notices.AGENT_RIGHT_FAILED


def _steer(call: Call, action: KeyAction, key: str, note: do.Note) -> Step:
    if call.stage not in _CONVERSING:
        return call, [note]
    match action:
        case KeyAction.CONSENT_RECORDING:
            agreed = replace(call, agreed=True)
            # an agreement is accepted, and confirmed, only if a recording would follow
            if call.agreed or not _is_asked(call) or not is_recordable(agreed):
                return call, [note]
            agreed = answer(agreed, notices.RECORDING_AGREED)
            return speak(agreed, note, do.Note("recording_agreed", {"key": key}))
        case KeyAction.DATA_SOURCE:
            return speak(say_next(call, notices.SOURCE_ASKED), note, *barge_in(call))
        case KeyAction.LANGUAGE:
            return _change_language(call, note)
        case _:
            whole = replace(call, upcoming=(*answers(call), *call.whole_notice))
            return speak(whole, note, *barge_in(call))


def _is_asked(call: Call) -> bool:
    """True once the callee has begun to hear what they may agree to: consent is informed (Art 4(11))."""
    if call.stage is not Stage.NOTICE:
        return call.stage in _AGREEABLE
    asked = notices.recording(call.declared)
    return asked in call.heard or (asked == call.playing and not call.discounted)


def _change_language(call: Call, note: do.Note) -> Step:
    """Switch to the next of the campaign's languages. A notice not yet heard starts again in it."""
    chosen = call.declared.next_language(call.language or call.declared.language)
    call = replace(call, language=chosen)
    if call.stage is not Stage.NOTICE:
        return call, [note, do.UseLanguage(chosen)]
    # nor can the callee have agreed to what was not yet said in this language
    call = replace(without_agreement(call), agreed=False)
    cut = call.playing is not None and call.playing in call.whole_notice
    call = replace(call, heard=frozenset[str](), discounted=cut, upcoming=(*answers(call), *call.notice))
    return speak(call, note, *([do.StopPlaying()] if cut else []), do.UseLanguage(chosen))


def right_registered(call: Call, event: on.RightRegistered | on.RightSpooled) -> Step:
    """Confirm the right, which is durable. If it is only spooled on this node, it has no reference to read out yet."""
    right = event.right
    reference = event.reference if isinstance(event, on.RightRegistered) else ""
    note = (
        do.Note("right_registered", {"right": right.value, "reference": reference})
        if reference
        else do.Note("right_spooled", {"right": right.value})
    )
    call = replace(call, registering=call.registering - {right})
    return then([note], confirm(call, right, reference, event.due))


def confirm(call: Call, right: Right, reference: str, due: date | None) -> Step:
    """Confirm to the person who exercised it that a right is durable, and do what follows from it for the call."""
    if call.stage is Stage.CLOSE:
        return close_if_over(call)
    campaign, stopped = call.declared, _stops(call, right)
    words = confirmations.confirmation(
        right, recorded=stopped and call.recorded, reference=reference, due=due
    )
    must_end = stopped and campaign.recording.must
    reason = "recording_refused" if right is Right.REFUSE_RECORDING else right.value
    if right in call.by_agent and call.stage is Stage.TALK and not must_end:
        # the two are talking about it, so only the agent is told
        call, commands = set_reason(call, call.reason or reason)
        return whisper(call, agent_answer(call, right), *commands)
    if campaign.ends_after_right and bars_the_like(campaign, right):
        return farewell(call, Outcome.RIGHT_EXERCISED, right.value, *words)
    if must_end:
        return farewell(call, Outcome.RECORDING_REFUSED, reason, *words)
    call, commands = set_reason(call, call.reason or reason)
    return speak(answer(call, *words), *commands)


def right_failed(call: Call, right: Right) -> Step:
    """Say that the right is not durable, instead of confirming it (invariant 5). Its key may be pressed again."""
    note = do.Note("right_failed", {"right": right.value})
    entered = right in call.by_agent
    call = replace(
        call, exercised=tuple(each for each in call.exercised if each is not right),
        registering=call.registering - {right}, by_agent=call.by_agent - {right},
    )  # fmt: skip
    if call.stage is Stage.CLOSE:
        return then([note], close_if_over(call))
    if _stops(call, right) and call.declared.recording.must:
        # the recording is refused anyway, and the call may not go on without it
        return then(
            [note], farewell(call, Outcome.RECORDING_REFUSED, "recording_refused", notices.RIGHT_FAILED)
        )
    if entered and call.stage is Stage.TALK:
        return whisper(call, notices.AGENT_RIGHT_FAILED, note)
    return speak(answer(call, notices.RIGHT_FAILED), note)
