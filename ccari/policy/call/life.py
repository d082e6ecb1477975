"""Which event leads where: the table of a call's life, whose steps are in the modules beside it.

Pure: no clock, no network, no randomness. The caller carries out the commands in order and feeds the results
back. These invariants are enforced here: no bridge before :class:`HeardCommitted` (3); no recorder before
that, before the key in ``opt_in``, and before :class:`RecordingTagged` (2, 4); no confirmation of a right
before :class:`RightRegistered` (5); no dial before :class:`TokenSpent` (1).
"""

from ccari.policy.call import commands as do
from ccari.policy.call import events as on
from ccari.policy.call import reaching, recording, resuming, transfer
from ccari.policy.call.codes import agent_key_pressed, code_forgotten, right_voiced
from ccari.policy.call.commands import Command
from ccari.policy.call.ending import close, close_if_over, end
from ccari.policy.call.events import Event
from ccari.policy.call.keys import key_pressed, right_failed, right_registered
from ccari.policy.call.state import (
    AGREEMENT_SECONDS,
    HOLD_SECONDS,
    Call,
    Leg,
    RecorderState,
    Stage,
    Step,
    begun,
    leg,
    replace,
    then,
    with_leg,
)
from ccari.policy.call.telling import farewell, hold_began, hold_ended, played, unanswered
from ccari.policy.call.vocabulary import ON_HOLD, Direction, Outcome, Party, Timer
from ccari.policy.gate import Block
from ccari.policy.recording import RecordingMode

#: States in which the recorder's end can be reported.
_RECORDING = frozenset(
    {RecorderState.STARTING, RecorderState.LOST, RecorderState.RUNNING, RecorderState.STOPPING}
)
#: Stages that go on once nothing is left to say.
_SPEAKING = frozenset({Stage.NOTICE, Stage.AGREEMENT, Stage.CONNECT, Stage.BRIEFING, Stage.FAREWELL})
#: Before the callee has answered: the hang-up cause tells why.
_REACHING = frozenset({Stage.CREATE, Stage.TOKEN, Stage.RING})
#: Stages in which the callee waits for an agent, and is left alone if the agent goes.
_WAITING = frozenset(
    {Stage.CONNECT, Stage.BRIEFING, Stage.TAG, Stage.RECORDER, Stage.DISCARD, Stage.QUIET, Stage.BRIDGE}
)


def decide(call: Call, event: Event) -> Step:
    """What follows from ``event``: the call's new state, and what is to be done. An event that no longer matters changes nothing."""
    if call.stage is Stage.CLOSED:
        return call, []
    after, commands = _react(call, event)
    if call.stage is Stage.CONNECT and after.stage is not Stage.CONNECT and after.callee is not Leg.GONE:
        commands = [do.StopRinging(Party.CALLEE), *commands]
    if _has_said_all(call, after) or _has_fallen_quiet(call, after):
        return then(commands, _go_on(after))
    if after.stage is Stage.TALK:
        return then(commands, recording.record_on(after))
    return after, commands


def _has_said_all(before: Call, after: Call) -> bool:
    """True at the step that leaves nothing more to say, in a stage that goes on then."""
    if after.stage not in _SPEAKING or not after.is_silent or after.whisper is not None:
        return False
    spoke = not before.is_silent or before.whisper is not None
    # a callee who begins to wait already hears ringing
    return spoke or (before.stage is not after.stage and after.stage is not Stage.CONNECT)


def _has_fallen_quiet(before: Call, after: Call) -> bool:
    """True at the step with which the last prompt ends, in a stage that connects or parts the two once nothing is playing."""
    waits = after.stage in {Stage.QUIET, Stage.HANDOVER} and before.stage is after.stage
    return waits and after.is_quiet and not before.is_quiet


def _go_on(call: Call) -> Step:
    match call.stage:
        case Stage.QUIET:
            return recording.bridge(call)
        case Stage.HANDOVER:
            return transfer.hand_over(call)
        case Stage.NOTICE:
            return _notice_over(call)
        case Stage.AGREEMENT:
            return _await_agreement(call)
        case Stage.CONNECT:
            # the prompts have ended the ringing
            return call, [do.Ring(Party.CALLEE)]
        case Stage.BRIEFING:
            return transfer.bring_together(call)
        case _:
            return end(call, call.outcome or Outcome.FAILED, call.reason)


def _react(call: Call, event: Event) -> Step:  # noqa: C901, PLR0912 - one arm an event
    match event:
        case on.CallRequested(direction):
            return begun(direction), [do.CheckGate()]
        case on.TalkResumed() if call.stage is Stage.GATE:
            return resuming.resumed(event)
        case on.GateAllowed() if call.stage is Stage.GATE:
            return reaching.allowed(call, event)
        case on.GateBlocked(block) if call.stage is Stage.GATE:
            return reaching.block(call, block)
        case on.AgentCreated():
            return reaching.agent_created(call)
        case on.AgentAnswered():
            return reaching.agent_answered(call)
        case on.CalleeCreated() if call.stage is Stage.CREATE:
            return reaching.spend_token(replace(call, callee=Leg.HERE))
        case on.TokenSpent() if call.stage is Stage.TOKEN:
            return reaching.dial(call)
        case on.TokenRefused(block) if call.stage is Stage.TOKEN:
            return reaching.block(call, block)
        case on.CalleeRang() if call.stage is Stage.RING and not call.rang:
            return reaching.rang(call)
        case on.CalleeRedirected() if call.stage is Stage.RING:
            return end(call, Outcome.FAILED, "redirected")
        case on.CalleeAnswered(on_hold) if call.stage in {Stage.RING, Stage.ANSWER}:
            return reaching.answered(replace(call, on_hold=call.on_hold or on_hold))
        case on.HoldBegan():
            return _wait_on(*hold_began(call))
        case on.HoldEnded():
            return _wait_on(*hold_ended(call))
        case on.HumanFound() if call.stage is Stage.MACHINE:
            return reaching.begin_notice(call)
        case on.MachineFound() if call.stage is Stage.MACHINE:
            return reaching.machine_found(call)
        case on.Played(prompt, whole, Party.CALLEE):
            return played(call, prompt, whole=whole)
        case on.Played(prompt, whole):
            return transfer.whisper_over(call, prompt, whole=whole)
        case on.KeyPressed(key, at):
            return key_pressed(call, key, at)
        case on.AgentKeyPressed(key, at):
            return agent_key_pressed(call, key, at)
        case on.RightVoiced(right, at):
            return right_voiced(call, right, at)
        case on.LedAway() if call.stage is Stage.TALK:
            return _led_away(call, event)
        case on.TransferAsked(to):
            return transfer.asked(call, to)
        case on.RightRegistered() | on.RightSpooled():
            return right_registered(call, event)
        case on.HeardCommitted() if call.stage is Stage.HEARD:
            return _heard(call)
        case on.RecordingTagged():
            return recording.tagged(call)
        case on.RecorderStarted() if call.recorder in {RecorderState.STARTING, RecorderState.LOST}:
            return recording.recorder_started(call)
        case on.RecorderStopped() if call.stage is Stage.HANDOVER:
            return transfer.hand_over(replace(call, recorder=RecorderState.DONE))
        case on.RecorderStopped() if call.recorder in _RECORDING:
            return recording.recorder_stopped(call)
        case on.Bridged() if call.stage is Stage.BRIDGE:
            return recording.bridged(call)
        case on.Gone():
            return _gone(call, event)
        case on.TimeRanOut(timer):
            return _time_ran_out(call, timer)
        case on.LetGo("asterisk_lost") if call.stage is Stage.TALK and not call.registering:
            # the two talk on, and the next connection takes the talk up
            return replace(call, stage=Stage.CLOSED), [do.Note("talk_left"), do.LeaveTalk()]
        case on.LetGo(why):
            if call.outcome is not None:
                return end(call, call.outcome, call.reason)
            return end(call, Outcome.BRIDGED if call.has_talked else Outcome.UNAVAILABLE, why)
        case on.Failed(command, refused):
            return then(_undialled(call, command, refused=refused), _failed(call, command, refused=refused))
        case _:
            return call, []


def _notice_over(call: Call) -> Step:
    if not call.heard.issuperset(call.notice):
        return end(call, Outcome.NOTICE_FAILED, "not_heard")
    return replace(call, stage=Stage.HEARD), [do.CommitHeard(call.notice)]


def _heard(call: Call) -> Step:
    if call.declared.recording.mode is RecordingMode.OPT_IN:
        return replace(call, stage=Stage.AGREEMENT), []
    return recording.connect(call)


def _await_agreement(call: Call) -> Step:
    """Everything is said, including the confirmation of an agreement, which is not part of a recording."""
    if call.refused or call.agreed:
        return recording.connect(call)
    return _wait_on(call, [])


def _wait_on(call: Call, commands: list[Command]) -> Step:
    """Wait for the key that agrees. A callee on hold is on another line and cannot press it: their time
    begins when they are back.
    """
    if call.stage is not Stage.AGREEMENT or not call.is_silent:
        return call, commands
    key = do.SetTimer(Timer.AGREEMENT, AGREEMENT_SECONDS)
    return call, [*commands, do.SetTimer(Timer.HOLD, HOLD_SECONDS) if call.on_hold else key]


def _not_agreed(call: Call) -> Step:
    if call.playing is not None:
        # the callee is listening; the wait starts again afterwards
        return call, []
    if call.refused:
        return recording.connect(call)
    note = do.Note("recording_not_agreed")
    if call.declared.recording.must:
        return then([note], farewell(call, Outcome.RECORDING_REFUSED, recording.NOT_AGREED))
    return then([note], recording.connect(replace(call, reason=call.reason or recording.NOT_AGREED)))


def _gone(call: Call, event: on.Gone) -> Step:
    party = event.party
    was = leg(call, party)
    call = with_leg(call, party, Leg.GONE)
    if party is Party.AGENT:
        call = replace(call, whisper=None, whispers=())
    if call.stage is Stage.CLOSE:
        return close_if_over(call)
    if call.outcome is not None:
        # the last words were being said: to the callee, or to the agent of a blocked call
        listener = Party.AGENT if call.outcome in {Outcome.BLOCKED, Outcome.UNAVAILABLE} else Party.CALLEE
        return end(call, call.outcome, call.reason) if party is listener else (call, [])
    if party is Party.AGENT and call.stage is Stage.HANDOVER:
        # phones hang up after asking for a transfer
        return call, []
    if call.stage is Stage.TALK or (call.has_talked and party is Party.CALLEE):
        return end(call, Outcome.BRIDGED, call.reason)
    if party is Party.AGENT:
        return _agent_gone(call, was)
    if call.stage in _REACHING:
        return reaching.unanswered(call, event)
    return end(call, Outcome.CALLEE_HANGUP, call.reason)


def _agent_gone(call: Call, was: Leg) -> Step:
    """The agent has hung up. A callee who waits for one is not given another; one who still hears prompts hears them to the end."""
    if call.handed_over:
        return recording.no_agent(call)
    if call.direction is Direction.OUTBOUND or (was is Leg.HERE and call.direction is Direction.AGENT_FIRST):
        return end(call, Outcome.AGENT_HANGUP, call.reason)
    if call.stage is Stage.AGENT:
        return end(call, Outcome.FAILED, "no_agent")
    return recording.no_agent(call) if call.stage in _WAITING else (call, [])


def _led_away(call: Call, event: on.LedAway) -> Step:
    """A third party took one of the two out of the talk: release both. What was recorded since is discarded, since it may be
    another conversation.
    """
    commands: list[Command] = [do.Note("leg_led_away", {"party": event.party.value})]
    if call.recorder is RecorderState.RUNNING:
        call, stop = recording.stop_recorder(call, keep=call.recorded, at=event.at)
        commands += stop
    return then(commands, end(call, Outcome.BRIDGED, call.reason))


def _time_ran_out(call: Call, timer: Timer) -> Step:
    match timer, call.stage:
        case (Timer.CREATE, Stage.CREATE) | (Timer.ANSWER, Stage.ANSWER) | (Timer.MACHINE, Stage.MACHINE):
            return end(call, Outcome.FAILED, f"{timer}_timeout")
        case Timer.RING, Stage.RING:
            return end(call, Outcome.NO_ANSWER, "")
        case Timer.AGENT, Stage.AGENT:
            return end(call, Outcome.FAILED, "no_agent")
        case Timer.CONNECT, Stage.CONNECT:
            return recording.no_agent(call)
        case Timer.HOLD, Stage.NOTICE | Stage.FAREWELL if call.on_hold:
            return _not_back(call)
        case Timer.UNHEARD, Stage.UNHEARD:
            return end(call, Outcome.NOTICE_FAILED, "not_played")
        case Timer.AGREEMENT | Timer.HOLD, Stage.AGREEMENT if call.on_hold is (timer is Timer.HOLD):
            return _not_agreed(call)
        case Timer.RECORDER, Stage.RECORDER | Stage.TALK if call.recorder is RecorderState.STARTING:
            return recording.unrecorded(replace(call, recorder=RecorderState.LOST))
        case Timer.STOP, _:
            return recording.recorder_overdue(call)
        case Timer.CODE, _:
            return code_forgotten(call)
        case Timer.CLOSE, Stage.CLOSE:
            return close(call)
        case _:
            return call, []


def _not_back(call: Call) -> Step:
    """The callee has not come back from hold. If last words were waiting, the call keeps its outcome."""
    if call.outcome is not None:
        return end(call, call.outcome, call.reason)
    return end(call, Outcome.NOTICE_FAILED, ON_HOLD)


def _undialled(call: Call, command: Command, *, refused: bool) -> list[Command]:
    """The journal already says that somebody was dialled. If Asterisk refused or did not answer, note that too."""
    match command:
        case do.Dial():
            party = Party.CALLEE
        case do.HandOver() | do.DialAgent() if call.handed_over:
            party = Party.AGENT
        case _:
            return []
    reason = "refused" if refused else "unanswered"
    return [do.Note("dial_failed", {"party": party.value, "reason": reason})]


def _failed(call: Call, command: Command, *, refused: bool) -> Step:  # noqa: C901, PLR0912 - one arm a command
    match command:
        case do.CheckGate() if call.stage is Stage.GATE:
            return reaching.block(call, Block.STORE_UNAVAILABLE)
        case do.SpendToken() if call.stage is Stage.TOKEN:
            return reaching.block(call, Block.STORE_UNAVAILABLE)
        case do.CommitHeard() if call.stage is Stage.HEARD and refused:
            return end(call, Outcome.NOTICE_FAILED, "not_played")
        case do.CommitHeard() if call.stage is Stage.HEARD:
            return end(call, Outcome.UNAVAILABLE, Block.STORE_UNAVAILABLE.value)
        case do.CallAgent() | do.HandOver() | do.DialAgent():
            return reaching.agent_not_called(call)
        case do.DetectMachine() if call.stage is Stage.MACHINE:
            return reaching.begin_notice(call)
        case do.TagRecording() if call.stage is Stage.TAG or call.recorder is RecorderState.TAGGING:
            return recording.unrecorded(_no_longer_tagging(call))
        case do.StartRecorder() if call.recorder is RecorderState.STARTING:
            return recording.unrecorded(replace(call, recorder=RecorderState.LOST))
        case do.StopRecorder() if call.recorder is RecorderState.STOPPING:
            return recording.recorder_unstoppable(call)
        case do.Play(Party.CALLEE, prompt):
            return played(call, prompt, whole=False) if refused else unanswered(call, prompt)
        case do.Play(_, prompt):
            return transfer.whisper_over(call, prompt, whole=False)
        case do.RegisterRight(right):
            return right_failed(call, right)
        case do.HangUp(party):
            # the connection is lost; what is left in Asterisk is swept after reconnecting
            return _gone(call, on.Gone(party))
        case do.CreateCallee() | do.Dial() | do.AnswerCallee() | do.Bridge() | do.AnswerAgent() if (
            call.stage is not Stage.FAREWELL
        ):
            # the callee's channel may exist all the same, so hang it up too
            outcome = Outcome.BRIDGED if call.has_talked else Outcome.FAILED
            return end(call, outcome, f"{call.stage}_failed")
        case _:
            return call, []


def _no_longer_tagging(call: Call) -> Call:
    return replace(call, recorder=RecorderState.IDLE) if call.recorder is RecorderState.TAGGING else call
