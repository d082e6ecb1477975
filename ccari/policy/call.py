"""The life of one outbound call: ``decide(state, event) -> (state, commands)``.

Pure: no clock, no network, no randomness. Whoever runs it carries out the commands in their order and feeds back what
came of them. The invariants that live here: no bridge before :class:`HeardCommitted` (3), no recorder before it, in
``opt_in`` before the key, and before :class:`RecordingTagged` (2, 4), no confirmation of a right before
:class:`RightRegistered` (5), no dial before :class:`TokenSpent` (1).
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from ccari.policy import notices
from ccari.policy.campaign import Campaign, KeyAction, NoticePrompt, RecordingMode
from ccari.policy.gate import Block
from ccari.policy.messages import (
    AnswerAgent,
    Bridge,
    Bridged,
    CalleeAnswered,
    CalleeCreated,
    CalleeRang,
    CalleeRedirected,
    CallRequested,
    CheckGate,
    CloseCall,
    Command,
    CommitHeard,
    CreateCallee,
    Dial,
    Event,
    Failed,
    GateAllowed,
    GateBlocked,
    Gone,
    HangUp,
    HeardCommitted,
    KeyPressed,
    Note,
    Outcome,
    Party,
    Play,
    Played,
    RecorderStarted,
    RecorderStopped,
    RecordingTagged,
    RegisterRight,
    ReturnAgent,
    RightRegistered,
    RingAgent,
    SetTimer,
    SettleRecording,
    SpendToken,
    StartRecorder,
    StopPlaying,
    StopRecorder,
    TagRecording,
    TellDialplan,
    TimeRanOut,
    TokenRefused,
    TokenSpent,
    Withdrawn,
)
from ccari.policy.rights import EFFECTS, Right
from ccari.policy.suppression import bars

#: Asterisk makes a channel within milliseconds; seconds mean that it is in trouble.
CREATE_SECONDS = 5.0
#: As long as an agent can be asked to listen to ringing.
RING_SECONDS = 45.0
#: A callee who hangs up breaks the playback first; their hang-up is reported within milliseconds.
UNHEARD_SECONDS = 0.5
#: For the key that agrees to the recording, once all has been said; reaching for it takes two or three.
AGREEMENT_SECONDS = 5.0
#: From the request to RecordingStarted, usually 20 ms.
RECORDER_SECONDS = 5.0
#: For hang-ups and the recorder's end to be reported.
CLOSE_SECONDS = 10.0

#: Q.850 causes of a leg that was never answered.
_BUSY = 17
_NO_ANSWER = frozenset({18, 19})
_FAILURES = {
    1: "unallocated",
    21: "rejected",
    28: "invalid_number",
    34: "congestion",
    38: "network",
    41: "network",
}


class Stage(StrEnum):
    GATE = "gate"
    CREATE = "create"
    TOKEN = "token"  # noqa: S105 - a dial token, no secret
    RING = "ring"
    NOTICE = "notice"
    UNHEARD = "unheard"
    HEARD = "heard"
    AGREEMENT = "agreement"
    TAG = "tag"
    RECORDER = "recorder"
    DISCARD = "discard"
    BRIDGE = "bridge"
    TALK = "talk"
    FAREWELL = "farewell"
    CLOSE = "close"
    CLOSED = "closed"


class Recorder(StrEnum):
    IDLE = "idle"
    STARTING = "starting"
    #: It failed to start, or has not said that it did; should it run after all, it is stopped.
    LOST = "lost"
    RUNNING = "running"
    STOPPING = "stopping"
    DONE = "done"


#: From the callee's answer to the last words: when a key may steer what is played.
_CONVERSING = frozenset(
    {
        Stage.NOTICE,
        Stage.HEARD,
        Stage.AGREEMENT,
        Stage.TAG,
        Stage.RECORDER,
        Stage.DISCARD,
        Stage.BRIDGE,
        Stage.TALK,
    }
)
#: When the recording can be agreed to.
_AGREEABLE = frozenset({Stage.NOTICE, Stage.HEARD, Stage.AGREEMENT})
#: When a recorder that is told to stop may go on unnoticed.
_STOPPING_IS_TIMED = frozenset({Stage.BRIDGE, Stage.TALK, Stage.FAREWELL})

#: What is said to the callee in answer to a key that decides something.
_ANSWERS = frozenset(
    {
        *notices.CONFIRMATIONS.values(),
        notices.ANSWER_FOLLOWS,
        notices.RECORDING_STOPPED,
        notices.RECORDING_AGREED,
        notices.RIGHT_FAILED,
    }
)


@dataclass(frozen=True, slots=True)
class Call:
    """All that is known of a call.

    ``playing`` and ``upcoming``: prompts, by id. ``heard``: notice prompts proven to have been played whole.
    ``exercised``: rights pressed, in order; ``registering``: those of them that are not yet known to be durable.
    ``agreed``: to be recorded, by key; ``refused``: to be recorded, which stands whatever else is pressed.
    """

    stage: Stage = Stage.GATE
    campaign: Campaign | None = None
    informed: bool = False
    agent_here: bool = True
    callee_here: bool = False
    rang: bool = False
    playing: str | None = None
    upcoming: tuple[str, ...] = ()
    heard: frozenset[str] = frozenset()
    exercised: tuple[Right, ...] = ()
    registering: frozenset[Right] = frozenset()
    agreed: bool = False
    refused: bool = False
    recorder: Recorder = Recorder.IDLE
    outcome: Outcome | None = None
    reason: str = ""

    @property
    def declared(self) -> Campaign:
        if self.campaign is None:
            raise AssertionError("the gate has not allowed this call")
        return self.campaign

    @property
    def notice(self) -> tuple[str, ...]:
        """The prompts that must be heard before the two may talk."""
        return notices.sequence(self.declared, informed=self.informed)


Step = tuple[Call, list[Command]]


def decide(call: Call, event: Event) -> Step:  # noqa: C901, PLR0912 - one arm an event
    """What follows from ``event``; an event that no longer matters changes nothing."""
    if call.stage is Stage.CLOSED:
        return call, []
    match event:
        case CallRequested():
            return call, [CheckGate()]
        case GateAllowed(campaign, informed) if call.stage is Stage.GATE:
            call = replace(call, campaign=campaign, informed=informed, callee_here=True)
            return replace(call, stage=Stage.CREATE), [
                Note("call_gated"),
                TellDialplan(Outcome.AGENT_HANGUP, ""),
                SetTimer(Stage.CREATE, CREATE_SECONDS),
                CreateCallee(),
            ]
        case GateBlocked(block) if call.stage is Stage.GATE:
            return _block(call, block)
        case CalleeCreated() if call.stage is Stage.CREATE:
            return replace(call, stage=Stage.TOKEN), [SpendToken()]
        case TokenSpent() if call.stage is Stage.TOKEN:
            return replace(call, stage=Stage.RING), [
                SetTimer(Stage.RING, RING_SECONDS),
                Dial(),
                Note("callee_dialled"),
            ]
        case TokenRefused(block) if call.stage is Stage.TOKEN:
            return _block(call, block)
        case CalleeRang() if call.stage is Stage.RING and not call.rang:
            return replace(call, rang=True), [RingAgent(), Note("callee_rang")]
        case CalleeRedirected() if call.stage is Stage.RING:
            return _end(call, Outcome.FAILED, "redirected")
        case CalleeAnswered() if call.stage is Stage.RING:
            return _speak(replace(call, stage=Stage.NOTICE, upcoming=call.notice), Note("callee_answered"))
        case Played(prompt, whole):
            return _played(call, prompt, whole=whole)
        case KeyPressed(key):
            return _key_pressed(call, key)
        case RightRegistered(right, reference):
            return _right_registered(call, right, reference)
        case HeardCommitted() if call.stage is Stage.HEARD:
            return _record_or_bridge(call)
        case RecordingTagged() if call.stage is Stage.TAG:
            if call.refused:
                return _bridge(call)
            return replace(call, stage=Stage.RECORDER, recorder=Recorder.STARTING), [
                SetTimer(Stage.RECORDER, RECORDER_SECONDS),
                StartRecorder(),
            ]
        case RecorderStarted() if call.recorder in {Recorder.STARTING, Recorder.LOST}:
            return _recorder_started(call)
        case RecorderStopped():
            return _recorder_stopped(call)
        case Bridged() if call.stage is Stage.BRIDGE:
            recorded = "yes" if call.recorder is Recorder.RUNNING else "no"
            return _explain(
                replace(call, stage=Stage.TALK), call.reason, Note("call_bridged", {"recorded": recorded})
            )
        case Gone(party, cause):
            return _gone(call, party, cause)
        case TimeRanOut(Stage.TALK):
            overdue = call.recorder is Recorder.STOPPING and call.stage in _STOPPING_IS_TIMED
            return _recorder_unstoppable(call) if overdue else (call, [])
        case TimeRanOut(stage) if stage == call.stage:
            return _time_ran_out(call)
        case Withdrawn(why):
            if call.outcome is not None:
                return _end(call, call.outcome, call.reason)
            return _end(call, Outcome.BRIDGED if call.stage is Stage.TALK else Outcome.UNAVAILABLE, why)
        case Failed(command):
            return _failed(call, command)
        case _:
            return call, []


def _block(call: Call, block: Block) -> Step:
    if block.startswith("suppressed"):
        prompt = notices.BLOCKED_SUPPRESSED
    elif block is Block.STORE_UNAVAILABLE:
        prompt = notices.UNAVAILABLE
    else:
        prompt = notices.BLOCKED
    outcome = Outcome.UNAVAILABLE if block is Block.STORE_UNAVAILABLE else Outcome.BLOCKED
    call = replace(call, stage=Stage.FAREWELL, outcome=outcome, reason=block.value, playing=prompt)
    commands: list[Command] = [
        Note("call_blocked", {"reason": block.value}),
        TellDialplan(outcome, block.value),
    ]
    if call.callee_here:
        commands.append(HangUp())
    if not call.agent_here:
        return _then(commands, _end(replace(call, playing=None), outcome, block.value))
    return call, [*commands, AnswerAgent(), Play(Party.AGENT, prompt)]


def _speak(call: Call, *first: Command) -> Step:
    """Play what is upcoming; when there is nothing left, go on to what comes after."""
    commands = list(first)
    if call.playing is not None:
        return call, commands
    if call.upcoming:
        prompt, *rest = call.upcoming
        return replace(call, playing=prompt, upcoming=tuple(rest)), [*commands, Play(Party.CALLEE, prompt)]
    if call.stage is Stage.NOTICE:
        return _then(commands, _notice_over(call))
    if call.stage is Stage.AGREEMENT:
        return _then(commands, _await_agreement(call))
    if call.stage is Stage.FAREWELL and call.outcome is not None:
        return _then(commands, _end(call, call.outcome, call.reason))
    return call, commands


def _played(call: Call, prompt: str, *, whole: bool) -> Step:
    if prompt != call.playing:
        return call, []
    call = replace(call, playing=None)
    if call.stage is Stage.NOTICE and prompt in call.notice:
        if not whole:
            # the file is at fault, or the callee is hanging up: the next moment tells
            broken = Note("notice_broken", {"prompt": prompt})
            return replace(call, stage=Stage.UNHEARD), [broken, SetTimer(Stage.UNHEARD, UNHEARD_SECONDS)]
        call = replace(call, heard=call.heard | {prompt})
    return _speak(call)


def _notice_over(call: Call) -> Step:
    if not call.heard.issuperset(call.notice):
        return _end(call, Outcome.NOTICE_FAILED, "not_heard")
    return replace(call, stage=Stage.HEARD), [CommitHeard(call.notice)]


def _record_or_bridge(call: Call) -> Step:
    mode = call.declared.recording.mode
    if mode is RecordingMode.OPT_IN:
        return _speak(replace(call, stage=Stage.AGREEMENT))
    return _bridge(call) if mode is RecordingMode.OFF or call.refused else _tag(call)


def _await_agreement(call: Call) -> Step:
    """All is said, the confirmation of an agreement too: it is part of no recording."""
    if call.refused:
        return _bridge(call)
    return _tag(call) if call.agreed else (call, [SetTimer(Stage.AGREEMENT, AGREEMENT_SECONDS)])


def _not_agreed(call: Call) -> Step:
    if call.playing is not None:
        # somebody listens; the wait begins again after it
        return call, []
    if call.refused:
        return _bridge(call)
    note = Note("recording_not_agreed")
    if call.declared.recording.must:
        return _then([note], _farewell(call, Outcome.RECORDING_REFUSED, "recording_not_agreed"))
    return _then([note], _bridge(replace(call, reason=call.reason or "recording_not_agreed")))


def _tag(call: Call) -> Step:
    return replace(call, stage=Stage.TAG), [TagRecording()]


def _bridge(call: Call) -> Step:
    if call.refused and call.declared.recording.must:
        # the answer to the right that was pressed is on its way, and with it the last words
        return call, []
    return replace(call, stage=Stage.BRIDGE), [AnswerAgent(), Bridge()]


def _recorder_started(call: Call) -> Step:
    if call.stage is Stage.RECORDER and not call.refused:
        return _then([Note("recording_started")], _bridge(replace(call, recorder=Recorder.RUNNING)))
    # Asterisk ignores a stop that comes before RecordingStarted, so it is sent now; nothing was said yet
    if call.stage is Stage.RECORDER:
        # the bridge waits: not one syllable of the talk may be in that file
        call = replace(call, stage=Stage.DISCARD, recorder=Recorder.STOPPING)
        return call, [SetTimer(Stage.DISCARD, RECORDER_SECONDS), StopRecorder(keep=False)]
    return _stop_recorder(call, keep=False)


def _stop_recorder(call: Call, *, keep: bool) -> Step:
    timed = [SetTimer(Stage.TALK, RECORDER_SECONDS)] if call.stage in _STOPPING_IS_TIMED else []
    return replace(call, recorder=Recorder.STOPPING), [*timed, StopRecorder(keep=keep)]


def _recorder_stopped(call: Call) -> Step:
    was, call = call.recorder, replace(call, recorder=Recorder.DONE)
    if call.stage is Stage.CLOSE:
        return _close_if_over(call)
    if call.stage is Stage.DISCARD:
        return _bridge(call)
    if was in {Recorder.STARTING, Recorder.RUNNING}:
        # nobody stopped it: a full disk, or two seconds without a frame
        return _unrecorded(call)
    return call, []


def _recorder_unstoppable(call: Call) -> Step:
    """What is not to be recorded may not be said before a recorder that will not stop: only the call's end ends it."""
    if call.stage is Stage.CLOSE:
        return _recorder_stopped(call)
    call = replace(call, recorder=Recorder.DONE)
    if call.outcome is not None:
        return _end(call, call.outcome, call.reason)
    return _end(call, Outcome.BRIDGED if call.stage is Stage.TALK else Outcome.FAILED, "recorder_not_stopped")


def _unrecorded(call: Call) -> Step:
    """The call cannot be recorded (any more): the campaign says what becomes of it."""
    note = Note("recording_impossible", {"stage": call.stage.value})
    if call.stage is Stage.CLOSE:
        return _then([note], _close_if_over(call))
    if call.stage not in {Stage.TAG, Stage.RECORDER, Stage.BRIDGE, Stage.TALK}:
        return call, [note]
    if call.declared.recording.must:
        return _then([note], _farewell(call, Outcome.FAILED, "recording_failed"))
    step = _explain(call, "recording_failed", note)
    return _then(step[1], _bridge(step[0])) if call.stage in {Stage.TAG, Stage.RECORDER} else step


def _key_pressed(call: Call, key: str) -> Step:
    if call.campaign is None:
        return call, []
    action = call.campaign.keys.get(key)
    note = Note(
        "key_pressed", {"key": key, "action": action.value if action else "none", "stage": call.stage.value}
    )
    if action is None:
        return call, [note]
    right = action.right
    if right is None:
        return _steer(call, action, key, note)
    if right in call.exercised:
        return call, [note]
    # in every stage, the last words and the hanging up too: a right that was pressed is never lost
    commands: list[Command] = [note]
    call = replace(call, exercised=(*call.exercised, right), registering=call.registering | {right})
    if EFFECTS[right].stops_recording:
        # at once, before the database is asked: whatever becomes of the request, nothing more is recorded
        call = _without_agreement(replace(call, refused=True))
        if call.recorder is Recorder.RUNNING:
            call, stop = _stop_recorder(call, keep=True)
            commands += stop
    return call, [*commands, RegisterRight(right, key)]


def _steer(call: Call, action: KeyAction, key: str, note: Note) -> Step:
    if call.stage not in _CONVERSING:
        return call, [note]
    if action is KeyAction.CONSENT_RECORDING:
        if call.stage not in _AGREEABLE or call.agreed or call.refused:
            return call, [note]
        call = _answer(replace(call, agreed=True), notices.RECORDING_AGREED)
        return _speak(call, note, Note("recording_agreed", {"key": key}))
    if action is KeyAction.DATA_SOURCE:
        return _speak(_next(call, NoticePrompt.SOURCE.value), note)
    # all of it, also what a number that knows it was spared
    whole = notices.sequence(call.declared, informed=False)
    return _speak(replace(call, upcoming=(*_answers(call), *whole)), note)


def _next(call: Call, prompt: str) -> Call:
    """Say ``prompt`` next. It waits once, however often the key is pressed."""
    return replace(call, upcoming=(prompt, *(each for each in call.upcoming if each != prompt)))


def _answer(call: Call, *words: str) -> Call:
    """Say ``words`` next, in answer to a key."""
    rest = (each for each in call.upcoming if each not in _ANSWERS)
    return replace(call, upcoming=(*_answers(call, *words), *rest))


def _without_agreement(call: Call) -> Call:
    """Do not say any more that it will be recorded."""
    return replace(call, upcoming=tuple(each for each in call.upcoming if each != notices.RECORDING_AGREED))


def _answers(call: Call, *words: str) -> tuple[str, ...]:
    """``words``, then the answers that wait to be said: whatever else is said, they are not left out."""
    due = dict.fromkeys((*words, *(each for each in call.upcoming if each in _ANSWERS)))
    # when the requests will be answered is told once, behind all of them
    return tuple(sorted(due, key=lambda each: each == notices.ANSWER_FOLLOWS))


def _right_registered(call: Call, right: Right, reference: str) -> Step:
    effect, campaign = EFFECTS[right], call.declared
    note = Note("right_registered", {"right": right.value, "reference": reference})
    call = replace(call, registering=call.registering - {right})
    if call.stage is Stage.CLOSE:
        return _then([note], _close_if_over(call))
    confirmation = notices.confirmation(right, recorded=_was_recorded(call))
    barred = effect.suppress is not None and bars(
        effect.suppress, basis=campaign.legal_basis, marketing=campaign.marketing
    )
    if barred:
        return _then([note], _farewell(call, Outcome.RIGHT_EXERCISED, right.value, *confirmation))
    reason = "recording_refused" if right is Right.REFUSE_RECORDING else right.value
    if effect.stops_recording and campaign.recording.must:
        return _then([note], _farewell(call, Outcome.RECORDING_REFUSED, reason, *confirmation))
    call, told = _explain(call, call.reason or reason, note)
    return _speak(_answer(call, *confirmation), *told)


def _was_recorded(call: Call) -> bool:
    return call.stage is Stage.TALK and call.recorder in {Recorder.STOPPING, Recorder.DONE}


def _explain(call: Call, reason: str, *first: Command) -> Step:
    """Keep the reason; once the two are talking, the dialplan is told too."""
    call = replace(call, reason=reason)
    told = [TellDialplan(Outcome.BRIDGED, reason)] if call.stage is Stage.TALK else []
    return call, [*first, *told]


def _farewell(call: Call, outcome: Outcome, reason: str, *words: str) -> Step:
    """Say the last words to the callee, then end. What is said now is cut short, unless it is a last word itself."""
    cut = call.playing is not None and call.stage is not Stage.FAREWELL
    last = (*_answers(_without_agreement(call), *words), notices.GOODBYE)
    call = replace(call, stage=Stage.FAREWELL, outcome=outcome, reason=reason, upcoming=last)
    return _speak(call, *([StopPlaying()] if cut else []))


def _gone(call: Call, party: Party, cause: int) -> Step:
    call = replace(call, agent_here=False) if party is Party.AGENT else replace(call, callee_here=False)
    if call.stage is Stage.CLOSE:
        return _close_if_over(call)
    if call.outcome is not None:
        # last words were being said: to the callee, or to the agent of a blocked call
        listener = Party.AGENT if call.outcome in {Outcome.BLOCKED, Outcome.UNAVAILABLE} else Party.CALLEE
        return _end(call, call.outcome, call.reason) if party is listener else (call, [])
    if call.stage is Stage.TALK:
        return _end(call, Outcome.BRIDGED, call.reason)
    if party is Party.AGENT:
        return _end(call, Outcome.AGENT_HANGUP, call.reason)
    if call.stage in {Stage.CREATE, Stage.TOKEN, Stage.RING}:
        if cause == _BUSY:
            return _end(call, Outcome.BUSY, "")
        if cause in _NO_ANSWER:
            return _end(call, Outcome.NO_ANSWER, "")
        return _end(call, Outcome.FAILED, _FAILURES.get(cause, f"cause_{cause}"))
    return _end(call, Outcome.CALLEE_HANGUP, call.reason)


def _time_ran_out(call: Call) -> Step:
    match call.stage:
        case Stage.RING:
            return _end(call, Outcome.NO_ANSWER, "")
        case Stage.UNHEARD:
            return _end(call, Outcome.NOTICE_FAILED, "not_played")
        case Stage.RECORDER:
            return _unrecorded(replace(call, recorder=Recorder.LOST))
        case Stage.AGREEMENT:
            return _not_agreed(call)
        case Stage.CLOSE:
            return _close(call)
        case _:
            return _end(call, Outcome.FAILED, f"{call.stage}_timeout")


def _failed(call: Call, command: Command) -> Step:
    match command:
        case CheckGate() if call.stage is Stage.GATE:
            return _block(call, Block.STORE_UNAVAILABLE)
        case SpendToken() if call.stage is Stage.TOKEN:
            return _block(call, Block.STORE_UNAVAILABLE)
        case CommitHeard() if call.stage is Stage.HEARD:
            return _end(call, Outcome.UNAVAILABLE, Block.STORE_UNAVAILABLE.value)
        case TagRecording() if call.stage is Stage.TAG:
            return _unrecorded(call)
        case StartRecorder() if call.recorder is Recorder.STARTING:
            return _unrecorded(replace(call, recorder=Recorder.LOST))
        case StopRecorder() if call.recorder is Recorder.STOPPING:
            return _recorder_unstoppable(call)
        case Play(_, prompt):
            return _played(call, prompt, whole=False)
        case RegisterRight(right, _):
            return _right_failed(call, right)
        case HangUp():
            # the connection is lost; what is left in Asterisk is swept when it comes back
            return _gone(call, Party.CALLEE, 0)
        case CreateCallee() | Dial() | Bridge() | AnswerAgent() if call.stage is not Stage.FAREWELL:
            # the callee's channel may have been made all the same, so it is hung up too
            return _end(call, Outcome.FAILED, f"{call.stage}_failed")
        case _:
            return call, []


def _right_failed(call: Call, right: Right) -> Step:
    """Not durable, so not confirmed (invariant 5); the key may be pressed again."""
    note = Note("right_failed", {"right": right.value})
    call = replace(call, exercised=tuple(each for each in call.exercised if each is not right))
    call = replace(call, registering=call.registering - {right})
    if call.stage is Stage.CLOSE:
        return _then([note], _close_if_over(call))
    if EFFECTS[right].stops_recording and call.declared.recording.must:
        # refused all the same: it is not recorded
        return _then(
            [note], _farewell(call, Outcome.RECORDING_REFUSED, "recording_refused", notices.RIGHT_FAILED)
        )
    return _speak(_answer(call, notices.RIGHT_FAILED), note)


def _end(call: Call, outcome: Outcome, reason: str) -> Step:
    """Let everything go; the call closes when all of it is reported gone."""
    if call.stage is Stage.CLOSE:
        return call, []
    call = replace(call, stage=Stage.CLOSE, outcome=outcome, reason=reason, playing=None, upcoming=())
    commands: list[Command] = [SetTimer(Stage.CLOSE, CLOSE_SECONDS)]
    if call.recorder is Recorder.RUNNING:
        commands.append(StopRecorder(keep=True))
        call = replace(call, recorder=Recorder.STOPPING)
    if call.callee_here:
        commands.append(HangUp())
    if call.agent_here:
        commands.append(ReturnAgent(outcome, reason))
    return _then(commands, _close_if_over(call))


def _close_if_over(call: Call) -> Step:
    recording = call.recorder in {Recorder.STARTING, Recorder.RUNNING, Recorder.STOPPING}
    if call.agent_here or call.callee_here or recording or call.registering:
        return call, []
    return _close(call)


def _close(call: Call) -> Step:
    outcome = call.outcome or Outcome.FAILED
    note = Note("call_ended", {"outcome": outcome.value, "reason": call.reason})
    return replace(call, stage=Stage.CLOSED), [SettleRecording(), note, CloseCall(outcome, call.reason)]


def _then(first: list[Command], step: Step) -> Step:
    call, rest = step
    return call, [*first, *rest]
