"""The world around a call, as bad as it may be: what it can send, and its own memory of what it sent and was asked.

What a store answers comes exactly once, but whenever it likes. What Asterisk reports comes early, late, twice or never,
and any request may fail long after it seemed to have worked. Nothing here is read off the call's own state.
"""

from collections.abc import Iterator
from typing import NamedTuple

from ccari.policy import notices
from ccari.policy.campaign import Campaign
from ccari.policy.gate import Block
from ccari.policy.keypad import KeyAction
from ccari.policy.messages import (
    AnswerAgent,
    Bridge,
    Bridged,
    CalleeAnswered,
    CalleeCreated,
    CalleeRang,
    CalleeRedirected,
    CheckGate,
    Command,
    CommitHeard,
    CreateCallee,
    Dial,
    Event,
    Failed,
    GateAllowed,
    GateBlocked,
    GiveBack,
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
    RightRegistered,
    SetTimer,
    SpendToken,
    StartRecorder,
    StopRecorder,
    TagRecording,
    TimeRanOut,
    TokenRefused,
    TokenSpent,
    Withdrawn,
)
from ccari.policy.rights import EFFECTS, Right

#: Answered exactly once, by the event or by Failed.
_OWED = (CheckGate, SpendToken, CommitHeard, TagRecording, Bridge, RegisterRight)
#: May fail at any later time.
_ASKED = (CreateCallee, Dial, AnswerAgent, StartRecorder, StopRecorder, HangUp)


class World(NamedTuple):
    """``owed`` are the commands that have no answer yet; ``asked`` those that may still fail."""

    owed: frozenset[Command] = frozenset()
    asked: frozenset[Command] = frozenset()
    timers: frozenset[str] = frozenset()
    sounding: frozenset[Play] = frozenset()
    heard: frozenset[str] = frozenset()
    #: none, made, gone
    callee: str = "none"
    created: bool = False
    answered: bool = False
    #: The number has heard the information layer before.
    informed: bool = False
    hung_up: bool = False
    agent_gone: bool = False
    token_spent: bool = False
    heard_committed: bool = False
    tagged: bool = False
    #: none, asked, doubtful (asked for, but failed or late), running, stopping, overdue (and no word of
    #: its end), stuck (it would not stop), over
    recorder: str = "none"
    bridging: bool = False
    blocked: bool = False
    agreed: bool = False
    refused: bool = False
    #: Rights whose registration was asked for, and of those the durable ones.
    sent: frozenset[Right] = frozenset()
    durable: frozenset[Right] = frozenset()
    returned: Outcome | None = None


def right_of(campaign: Campaign, key: str) -> Right | None:
    action = campaign.keys.get(key)
    return action.right if action else None


def possible(world: World, campaign: Campaign) -> Iterator[Event]:
    """Everything that may come now."""
    for command in world.owed:
        yield from _answers(command, campaign)
        yield Failed(command)
    for command in world.asked:
        yield Failed(command)
    for play in world.sounding:
        yield from (Played(play.prompt, whole=True), Played(play.prompt, whole=False), Failed(play))
    for stage in world.timers:
        yield TimeRanOut(stage)
    yield Gone(Party.AGENT)
    yield Withdrawn("shutdown")
    if world.callee != "none":
        yield from (CalleeCreated(), Gone(Party.CALLEE))
    if Dial() in world.asked:
        yield from (CalleeRang(), CalleeAnswered(), CalleeRedirected())
        # early media carries keys before the answer, and one that was queued comes after the end
        yield from (KeyPressed(key) for key in (*campaign.keys, "0"))
        if not world.answered:
            yield from (Gone(Party.CALLEE, cause) for cause in (17, 19, 21))
    if StartRecorder() in world.asked:
        yield from (RecorderStarted(), RecorderStopped())


def helpful(world: World, campaign: Campaign) -> Iterator[Event]:
    """What a world that behaves well sends next, the best first: answers, then hang-ups, a timer when all else is said."""
    for command in sorted(world.owed, key=repr):
        yield _answers(command, campaign)[0]
    for play in world.sounding:
        yield Played(play.prompt, whole=True)
    if world.recorder == "asked":
        yield RecorderStarted()
    if world.recorder in {"stopping", "overdue"}:
        yield RecorderStopped()
    if world.returned is not None and not world.agent_gone:
        yield Gone(Party.AGENT)
    if world.callee == "made":
        if world.hung_up:
            yield Gone(Party.CALLEE)
        if not world.created:
            yield CalleeCreated()
        if Dial() in world.asked and not world.answered:
            yield CalleeAnswered()
        yield Gone(Party.CALLEE)
    if not world.agent_gone:
        yield Gone(Party.AGENT)
    for stage in sorted(world.timers):
        yield TimeRanOut(stage)


def _answers(command: Command, campaign: Campaign) -> tuple[Event, ...]:
    match command:
        case CheckGate():
            barred, away = GateBlocked(Block.SUPPRESSED_ERASURE), GateBlocked(Block.STORE_UNAVAILABLE)
            fresh, known = GateAllowed(campaign), GateAllowed(campaign, informed=True)
            if notices.sequence(campaign, informed=True) == notices.sequence(campaign, informed=False):
                return fresh, barred, away
            return fresh, known, barred, away
        case SpendToken():
            return TokenSpent(), TokenRefused(Block.SUPPRESSED_ERASURE)
        case CommitHeard():
            return (HeardCommitted(),)
        case TagRecording():
            return (RecordingTagged(),)
        case Bridge():
            return (Bridged(),)
        case RegisterRight(right, _):
            return (RightRegistered(right, "R-1"),)
        case _:
            raise AssertionError(command)


def send(world: World, event: Event, campaign: Campaign) -> World:  # noqa: C901, PLR0912 - one arm an event
    """The world after it has sent ``event``."""
    match event:
        case GateAllowed(_, informed):
            return _answered(world, CheckGate)._replace(informed=informed)
        case GateBlocked():
            return _answered(world, CheckGate)
        case TokenSpent():
            return _answered(world, SpendToken)._replace(token_spent=True)
        case TokenRefused():
            return _answered(world, SpendToken)
        case HeardCommitted():
            return _answered(world, CommitHeard)._replace(heard_committed=True)
        case RecordingTagged():
            return _answered(world, TagRecording)._replace(tagged=True)
        case Bridged():
            return _answered(world, Bridge)
        case RightRegistered(right, _):
            owed = frozenset(
                each for each in world.owed if not (isinstance(each, RegisterRight) and each.right is right)
            )
            return world._replace(owed=owed, durable=world.durable | {right})
        case CalleeCreated() if not world.created:
            return world._replace(created=True)
        case CalleeAnswered() if not world.answered:
            return world._replace(answered=True)
        case Gone(Party.CALLEE) if world.callee != "gone":
            return world._replace(callee="gone")
        case Gone(Party.AGENT) if not world.agent_gone:
            return world._replace(agent_gone=True)
        case Played(prompt, whole):
            return _ended(world, prompt, whole=whole)
        case RecorderStarted() if world.recorder in {"asked", "doubtful"}:
            return world._replace(recorder="running")
        case RecorderStopped() if world.recorder != "over":
            return world._replace(recorder="over")
        case TimeRanOut("recorder") if world.recorder == "asked":
            return world._replace(recorder="doubtful")
        case TimeRanOut("talk") if world.recorder == "stopping":
            return world._replace(recorder="overdue")
        case KeyPressed(key) if campaign.keys.get(key) is KeyAction.CONSENT_RECORDING:
            pressed_in_time = world.answered and not world.refused
            return world._replace(agreed=True) if pressed_in_time and not world.agreed else world
        case KeyPressed(key) if (pressed := right_of(campaign, key)) and EFFECTS[pressed].stops_recording:
            return world if world.refused else world._replace(refused=True)
        case Failed(command):
            return _failed(world, command)
        case _:
            return world


def _failed(world: World, command: Command) -> World:
    if command in world.owed:
        world = world._replace(owed=world.owed - {command})
    match command:
        case HangUp() if world.callee != "gone":
            return world._replace(callee="gone")
        case StartRecorder() if world.recorder == "asked":
            return world._replace(recorder="doubtful")
        case StopRecorder() if world.recorder == "stopping":
            return world._replace(recorder="stuck")
        case RegisterRight(right, _):
            return world._replace(sent=world.sent - {right})
        case Play(_, prompt):
            return _ended(world, prompt, whole=False)
        case _:
            return world


def _answered(world: World, kind: type[Command]) -> World:
    return world._replace(owed=frozenset(each for each in world.owed if not isinstance(each, kind)))


def _ended(world: World, prompt: str, *, whole: bool) -> World:
    sounding = frozenset(each for each in world.sounding if each.prompt != prompt)
    return world._replace(sounding=sounding, heard=world.heard | {prompt} if whole else world.heard)


def ask(world: World, command: Command) -> World:
    """The world after the call has asked for ``command``."""
    match command:
        case Note("call_blocked"):
            return world._replace(blocked=True)
        case Play():
            return world._replace(sounding=world.sounding | {command})
        case SetTimer(stage, _):
            return world._replace(timers=world.timers | {stage})
        case GiveBack(outcome, _):
            return world._replace(returned=outcome)
        case RegisterRight(right, _):
            return world._replace(owed=world.owed | {command}, sent=world.sent | {right})
        case CreateCallee():
            world = world._replace(callee="made")
        case HangUp():
            world = world._replace(hung_up=True)
        case StartRecorder():
            world = world._replace(recorder="asked")
        case StopRecorder() if world.recorder == "running":
            world = world._replace(recorder="stopping")
        case Bridge():
            world = world._replace(bridging=True)
    if isinstance(command, _OWED):
        return world._replace(owed=world.owed | {command})
    if isinstance(command, _ASKED):
        return world._replace(asked=world.asked | {command})
    return world
