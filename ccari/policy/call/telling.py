"""What is said, one prompt after the other: to the callee, and in whispers to the agent."""

from ccari.policy import confirmations, notices
from ccari.policy.call import commands as do
from ccari.policy.call.commands import Command
from ccari.policy.call.ending import end, hang_up, tell_dialplan, tell_reason
from ccari.policy.call.state import HOLD_SECONDS, UNHEARD_SECONDS, Call, Leg, Stage, Step, replace
from ccari.policy.call.vocabulary import Outcome, Party, Timer

#: Answers to the callee's keys, which must not be left out.
_ANSWERS = frozenset(
    {
        *confirmations.CONFIRMATIONS.values(),
        confirmations.RECORDING_STOPPED,
        notices.RECORDING_AGREED,
        notices.RIGHT_FAILED,
        notices.NUMBER_WITHHELD,
        notices.SOURCE_ASKED,
    }
)
#: Answers not repeated after the talk was taken up: the one would be said into the recording that it
#: announces, the other can be asked for again.
_PASSING = frozenset({notices.RECORDING_AGREED, notices.SOURCE_ASKED})

#: Whispers to the agent about the recording.
_OF_RECORDING = frozenset(
    {notices.AGENT_RECORDING_STARTED, notices.AGENT_RECORDING_STOPPED, notices.AGENT_RECORDING_PAUSED}
)
#: Stages in which no person is known to have answered: nobody is there to listen, or perhaps a machine is.
_BEFORE_HELLO = frozenset(
    {Stage.GATE, Stage.AGENT, Stage.CREATE, Stage.TOKEN, Stage.RING, Stage.ANSWER, Stage.MACHINE}
)
#: Stages that connect or part the two as soon as nothing is playing: the next prompt waits until then.
_HELD = frozenset({Stage.QUIET, Stage.BRIDGE, Stage.HANDOVER})
#: Stages in which the two hear each other, or are about to.
_TOGETHER = frozenset({Stage.BRIDGE, Stage.TALK, Stage.HANDOVER})


def speak(call: Call, *first: Command) -> Step:
    """Play the next prompt waiting for the callee, if they can hear it now. ``life`` decides what follows the last one."""
    if (
        call.playing is not None
        or not call.upcoming
        or call.stage in _BEFORE_HELLO | _HELD
        or call.is_put_off
    ):
        return call, list(first)
    prompt, *rest = call.upcoming
    return replace(call, playing=prompt, upcoming=tuple(rest)), [*first, do.Play(Party.CALLEE, prompt)]


def played(call: Call, prompt: str, *, whole: bool) -> Step:
    """A prompt to the callee has ended. Only a prompt that ran whole, to a callee who was not on hold, counts as heard."""
    if prompt != call.playing:
        return call, []
    counts = whole and not (call.discounted or call.on_hold or call.maybe_on_hold)
    cut = call.discounted or prompt in call.heard
    missed = call.discounted or call.on_hold
    call = replace(call, playing=None, discounted=False)
    if call.stage is Stage.NOTICE and prompt in call.notice:
        if not counts and not cut:
            # the file is at fault, or the callee is hanging up: the next half second tells
            broken = do.Note("notice_broken", {"prompt": prompt})
            return replace(call, stage=Stage.UNHEARD), [broken, do.SetTimer(Timer.UNHEARD, UNHEARD_SECONDS)]
        if counts:
            call = replace(call, heard=call.heard | {prompt})
    if counts and prompt == call.due:
        call = replace(call, due=None)
    if missed and call.stage is not Stage.NOTICE and _is_owed(prompt) and prompt not in call.upcoming:
        call = _say_again(call, prompt)
    elif whole and prompt in call.unsaid:
        call = replace(call, unsaid=tuple(each for each in call.unsaid if each != prompt))
    call, commands = tell_reason(call)
    return speak(call, *commands)


def _say_again(call: Call, prompt: str) -> Call:
    """Say an answer again that a callee on hold has missed: once they are back, in stages that do not wait for them."""
    if call.on_hold and not call.is_put_off:
        return replace(call, unsaid=tuple(dict.fromkeys((*call.unsaid, prompt))))
    return replace(call, upcoming=(prompt, *call.upcoming))


def hold_began(call: Call) -> Step:
    """The callee has put the call on hold, and hears nothing. So what is playing proves nothing, and is said again once they are back."""
    if call.on_hold:
        return call, []
    call = replace(call, on_hold=True, maybe_on_hold=False, discounted=call.playing is not None)
    if not call.is_put_off:
        return call, []
    call = replace(call, upcoming=tuple(dict.fromkeys(_missed(call))))
    return call, [*put_off(call), *([] if call.playing is None else [do.StopPlaying()])]


def _missed(call: Call) -> tuple[str, ...]:
    """What must be said once the callee is back, beginning with the prompt that was cut off. In a notice: the answers, and
    the prompts that were not heard yet.
    """
    begun = () if call.playing is None else (call.playing,)
    if call.stage is not Stage.NOTICE:
        return *begun, *call.upcoming
    said = (each for each in begun if _is_answer(each))
    return *said, *answers(call), *(each for each in call.notice if each not in call.heard)


def hold_ended(call: Call) -> Step:
    """The callee is back, and has missed the beginning of what is playing, and the answers said meanwhile."""
    if not (call.on_hold or call.maybe_on_hold):
        return call, []
    begun = () if call.playing is None else (call.playing,)
    missed = (each for each in (*call.unsaid, *begun) if _is_owed(each))
    due = dict.fromkeys((*missed, *(each for each in call.upcoming if _is_answer(each))))
    rest = (each for each in call.upcoming if not _is_answer(each))
    waiting = (*sorted(due, key=confirmations.tells_until_when), *rest)
    back = replace(call, on_hold=False, maybe_on_hold=False, discounted=call.playing is not None)
    return speak(replace(back, upcoming=waiting, unsaid=()))


def put_off(call: Call) -> list[Command]:
    """Limit how long a notice, or the last words, wait for a callee on hold. A talk waits without a limit."""
    if not call.is_put_off or call.stage is Stage.TALK:
        return []
    note = [do.Note("notice_put_off")] if call.stage is Stage.NOTICE else []
    return [*note, do.SetTimer(Timer.HOLD, HOLD_SECONDS)]


def barge_in(call: Call) -> list[Command]:
    """Let a key cut short a prompt that was heard before, if the campaign allows it; never an answer, nor a
    notice that is due.
    """
    if call.playing in {None, call.due} or call.playing not in notices.skippable(call.declared):
        return []
    once_more = call.stage is not Stage.NOTICE or call.playing in call.heard
    return [do.StopPlaying()] if once_more else []


def cut_short(call: Call) -> list[Command]:
    """Stop the prompt that is playing, if it need not be heard. Answers to keys must be."""
    return [] if call.playing is None or _is_answer(call.playing) else [do.StopPlaying()]


def say_next(call: Call, prompt: str) -> Call:
    """Say ``prompt`` next. It is queued only once, however often the key is pressed."""
    return replace(call, upcoming=tuple(dict.fromkeys((*_begun(call), prompt, *call.upcoming))))


def answer(call: Call, *words: str) -> Call:
    """Say ``words`` next, in answer to a key."""
    rest = (each for each in call.upcoming if not _is_answer(each))
    return replace(call, upcoming=(*answers(call, *words), *rest))


def answers(call: Call, *words: str) -> tuple[str, ...]:
    """``words`` and the answers that wait: an answer is never left out, whatever else is said."""
    due = dict.fromkeys((*_begun(call), *words, *(each for each in call.upcoming if _is_answer(each))))
    # the date by which requests are answered is said once, after all of them
    return tuple(sorted(due, key=confirmations.tells_until_when))


def _begun(call: Call) -> tuple[str, ...]:
    """The reference that belongs to the confirmation now playing. It must come next: after other words it would seem to belong
    to those.
    """
    return tuple(each for each in call.upcoming[:1] if confirmations.is_reference(each))


def _is_answer(prompt: str) -> bool:
    return prompt in _ANSWERS or confirmations.is_reference(prompt) or confirmations.tells_until_when(prompt)


def owed(call: Call) -> tuple[str, ...]:
    """The answers to rights that the callee has not heard to the end, for the run that takes the talk up."""
    due = (*call.unsaid, *(() if call.playing is None else (call.playing,)), *call.upcoming)
    return tuple(dict.fromkeys(each for each in due if _is_owed(each)))


def _is_owed(prompt: str) -> bool:
    return _is_answer(prompt) and prompt not in _PASSING


def unanswered(call: Call, prompt: str) -> Step:
    """Asterisk has not answered a request to play. If the connection is lost, the run that takes the talk up says it."""
    if call.stage is Stage.TALK and prompt == call.playing and prompt not in call.unsaid:
        call = replace(call, unsaid=(*call.unsaid, prompt))
    return played(call, prompt, whole=False)


def without_agreement(call: Call) -> Call:
    """Drop the announcement that the call will be recorded."""
    return replace(call, upcoming=tuple(each for each in call.upcoming if each != notices.RECORDING_AGREED))


def announces_recording(call: Call) -> bool:
    """True while the announcement that the recording begins is playing or waiting: it must not be recorded itself."""
    return notices.RECORDING_AGREED in {call.playing, *call.upcoming}


def farewell(call: Call, outcome: Outcome, reason: str, *words: str) -> Step:
    """Say the last words to the callee, then end. What is playing is cut short, unless it belongs to the last words.

    A callee talking with an agent is parted from them first: otherwise they would hear the agent again before the hang-up.
    An agent who has not answered yet is no longer needed. A call that is already ending keeps its outcome.
    """
    if call.stage is Stage.FAREWELL and call.outcome is not None:
        outcome, reason = call.outcome, call.reason
    if call.stage in _BEFORE_HELLO:
        return end(call, outcome, reason)
    cut = call.playing is not None and call.stage is not Stage.FAREWELL
    last = (*answers(without_agreement(call), *words), notices.GOODBYE)
    call = without_word_of_recording(call)
    return _say_last(call, outcome, reason, last, *([do.StopPlaying()] if cut else []))


def say_what_is_due(call: Call, outcome: Outcome, reason: str) -> Step:
    """End the call without last words, but after the answers to rights that the callee has not heard to the end."""
    due = owed(call)
    if not due:
        return end(call, outcome, reason)
    return _say_last(call, outcome, reason, tuple(each for each in due if each != call.playing))


def _say_last(call: Call, outcome: Outcome, reason: str, words: tuple[str, ...], *stopping: Command) -> Step:
    # after the stop: Asterisk takes no channel out of a bridge while it plays to it
    parting = [*stopping, do.Part()] if call.stage in _TOGETHER else list(stopping)
    call, commands = hang_up(call, Party.AGENT) if call.agent.is_awaited else (call, [])
    call = replace(call, stage=Stage.FAREWELL, outcome=outcome, reason=reason, upcoming=words)
    call, saying = speak(call, *commands, *parting, *put_off(call))
    # an agent who hears nothing more may hang up before the last word
    free = call.home is Party.AGENT and call.agent is Leg.HERE and call.whisper is None
    return call, [*saying, *(tell_dialplan(call, outcome, reason) if free else [])]


def whisper(call: Call, prompt: str, *first: Command) -> Step:
    """Say something to the agent only. A whisper is queued only once, and only the newest about the recording counts."""
    if prompt in _OF_RECORDING:
        call = without_word_of_recording(call)
    waiting = tuple(dict.fromkeys((*call.whispers, prompt)))
    return _whisper_on(replace(call, whispers=waiting), *first)


def without_word_of_recording(call: Call) -> Call:
    """Drop waiting whispers about the recording, which are out of date."""
    return replace(call, whispers=tuple(each for each in call.whispers if each not in _OF_RECORDING))


def whispered(call: Call, prompt: str) -> Step:
    """A whisper to the agent has ended: play the next one."""
    if prompt != call.whisper:
        return call, []
    call, commands = tell_reason(replace(call, whisper=None))
    return _whisper_on(call, *commands)


def _whisper_on(call: Call, *first: Command) -> Step:
    if call.whisper is not None or not call.whispers:
        return call, list(first)
    prompt, *rest = call.whispers
    return replace(call, whisper=prompt, whispers=tuple(rest)), [*first, do.Play(Party.AGENT, prompt)]
