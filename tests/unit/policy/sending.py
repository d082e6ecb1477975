"""What the world can send to a call: all that is possible, and what a world that behaves well would send next."""

from collections.abc import Iterator

from ccari.policy import notices
from ccari.policy.campaign import Campaign
from ccari.policy.gate import Block
from ccari.policy.messages import (
    AgentAnswered,
    AgentCreated,
    AgentKeyPressed,
    AnswerCallee,
    Bridge,
    Bridged,
    CallAgent,
    CalleeAnswered,
    CalleeCreated,
    CalleeRang,
    CalleeRedirected,
    CheckGate,
    Command,
    CommitHeard,
    CreateCallee,
    DetectMachine,
    Dial,
    DialAgent,
    Direction,
    Event,
    Failed,
    GateAllowed,
    GateBlocked,
    Gone,
    HandOver,
    HeardCommitted,
    HumanFound,
    KeyPressed,
    MachineFound,
    Party,
    Play,
    Played,
    RecorderStarted,
    RecorderStopped,
    RecordingTagged,
    RegisterRight,
    RightRegistered,
    SpendToken,
    StartRecorder,
    TagRecording,
    TimeRanOut,
    TokenRefused,
    TokenSpent,
    TransferAsked,
    Withdrawn,
)
from tests.unit.policy.world import World

#: Whom the agent hands the callee over to.
COLLEAGUE = "1002"


def possible(world: World, campaign: Campaign, strange: str = "") -> Iterator[Event]:
    """Everything that may come now. ``strange``: keys that do nothing in the campaign."""
    for command in world.owed:
        yield from _answers(world, command, campaign)
        yield Failed(command)
    for command in world.asked:
        yield Failed(command)
    for party, prompt, _ in world.sounding:
        yield Played(prompt, whole=True, party=party)
        yield Played(prompt, whole=False, party=party)
        yield Failed(Play(party, prompt))
    for stage in world.timers:
        yield TimeRanOut(stage)
    for party in Party:
        if world.side(party).there != "none":
            yield Gone(party)
    yield Withdrawn("shutdown")
    yield from _of_the_callee(world, (*campaign.keys, *strange))
    yield from _of_the_agent(world, campaign)
    if DetectMachine() in world.asked:
        yield from (HumanFound(), MachineFound())
    if StartRecorder() in world.asked:
        yield from (RecorderStarted(), RecorderStopped())


def _of_the_callee(world: World, keys: tuple[str, ...]) -> Iterator[Event]:
    if CreateCallee() in world.asked:
        yield CalleeCreated()
    if AnswerCallee() in world.asked:
        yield CalleeAnswered()
    if Dial() in world.asked:
        yield from (CalleeRang(), CalleeAnswered(), CalleeRedirected())
        if not world.callee.answered:
            yield from (Gone(Party.CALLEE, cause) for cause in (17, 19, 21))
    if AnswerCallee() in world.asked or Dial() in world.asked:
        # early media carries keys before the answer, and one that was queued comes after the end
        yield from (KeyPressed(key) for key in keys)


def _of_the_agent(world: World, campaign: Campaign) -> Iterator[Event]:
    if CallAgent() in world.asked or HandOver(COLLEAGUE) in world.asked:
        yield AgentCreated()
    if DialAgent() in world.asked:
        yield AgentAnswered()
    if campaign.transfer is not None and world.agent.answered:
        # one hand-over is as good as ten
        yield from map(TransferAsked, (None, "no body") if world.handed_over else (None, COLLEAGUE))
    if world.talking:
        yield from (AgentKeyPressed(key) for key in sorted({*"".join(campaign.agent_keys)}))


def helpful(world: World, campaign: Campaign) -> Iterator[Event]:
    """What a world that behaves well sends next, the best first: answers, then hang-ups, a timer when all else is said."""
    for command in sorted(world.owed, key=repr):
        yield _answers(world, command, campaign)[0]
    for party, prompt, _ in sorted(world.sounding):
        yield Played(prompt, whole=True, party=party)
    if world.recorder == "asked":
        yield RecorderStarted()
    if world.recorder in {"stopping", "overdue"}:
        yield RecorderStopped()
    for party in Party:
        if world.side(party).let_go:
            yield Gone(party)
    yield from _arrivals(world)
    for party in (Party.CALLEE, Party.AGENT):
        if world.side(party).there == "made":
            yield Gone(party)
    for stage in sorted(world.timers):
        yield TimeRanOut(stage)


def _arrivals(world: World) -> Iterator[Event]:
    """The legs that were asked for are made, and answered."""
    if world.agent.there == "made":
        if not world.agent.created:
            yield AgentCreated()
        if world.agent.dialled and not world.agent.answered:
            yield AgentAnswered()
    if world.callee.there == "made":
        if not world.callee.created:
            yield CalleeCreated()
        if (Dial() in world.asked or AnswerCallee() in world.asked) and not world.callee.answered:
            yield CalleeAnswered()
        if world.machine == "detecting":
            yield HumanFound()


def _answers(world: World, command: Command, campaign: Campaign) -> tuple[Event, ...]:
    match command:
        case CheckGate():
            return _verdicts(world, campaign)
        case SpendToken():
            return TokenSpent(), TokenRefused(Block.SUPPRESSED_ERASURE)
        case CommitHeard():
            return (HeardCommitted(),)
        case TagRecording():
            return (RecordingTagged(),)
        case Bridge():
            return (Bridged(),)
        case RegisterRight(right):
            return (RightRegistered(right, right.value),)
        case _:
            raise AssertionError(command)


def _verdicts(world: World, campaign: Campaign) -> tuple[Event, ...]:
    inbound = world.direction is Direction.INBOUND
    verdicts: list[Event] = [GateAllowed(campaign)]
    spared, whole = (
        notices.sequence(campaign, informed=informed, inbound=inbound) for informed in (True, False)
    )
    if spared != whole:
        verdicts.append(GateAllowed(campaign, informed=True))
    if inbound:
        verdicts.append(GateAllowed(campaign, known=False))
    return *verdicts, GateBlocked(Block.SUPPRESSED_ERASURE), GateBlocked(Block.STORE_UNAVAILABLE)
