"""What the world can send to a call: all that is possible, and what a well-behaved world would send next."""

from collections.abc import Iterator

from ccari.policy import notices
from ccari.policy.call import Command, Direction, Event, Party
from ccari.policy.call import commands as do
from ccari.policy.call import events as on
from ccari.policy.campaign import Campaign
from ccari.policy.gate import Block
from tests.unit.policy.world import World

#: The colleague to whom the agent transfers the callee.
COLLEAGUE = "1002"


def possible(world: World, campaign: Campaign, strange: str = "", *, holds: bool = False) -> Iterator[Event]:
    """Every event that may come now. ``strange``: keys that do nothing in the campaign; ``holds``: the callee puts the
    call on hold, and takes it back.
    """
    for command in world.owed:
        yield from _answers(world, command, campaign)
        yield on.Failed(command)
        if isinstance(command, do.CommitHeard):
            # the sounds of the notice were replaced
            yield on.Failed(command, refused=True)
    for command in world.asked:
        yield on.Failed(command)
    for party, prompt, *_ in world.sounding:
        yield on.Played(prompt, whole=True, party=party)
        yield on.Played(prompt, whole=False, party=party)
        yield on.Failed(do.Play(party, prompt))
    for timer in world.timers:
        yield on.TimeRanOut(timer)
    for party in Party:
        if world.side(party).there != "none":
            yield on.Gone(party)
    yield on.LetGo("shutdown")
    yield from _of_the_callee(world, (*campaign.keys, *strange), holds=holds)
    if holds and world.callee.answered:
        yield from (on.HoldBegan(), on.HoldEnded())
    yield from _of_the_agent(world, campaign)
    if do.DetectMachine() in world.asked:
        yield from (on.HumanFound(), on.MachineFound())
    if do.StartRecorder() in world.asked:
        yield from (on.RecorderStarted(), on.RecorderStopped())


def _of_the_callee(world: World, keys: tuple[str, ...], *, holds: bool) -> Iterator[Event]:
    if do.CreateCallee() in world.asked:
        yield on.CalleeCreated()
    if do.AnswerCallee() in world.asked:
        yield on.CalleeAnswered()
        if holds:
            yield on.CalleeAnswered(on_hold=True)
    if do.Dial() in world.asked:
        yield from (on.CalleeRang(), on.CalleeAnswered(), on.CalleeRedirected())
        if not world.callee.answered:
            yield from (on.Gone(Party.CALLEE, cause) for cause in (17, 19, 21))
            yield on.Gone(Party.CALLEE, 127, unwanted=True)
    if do.AnswerCallee() in world.asked or do.Dial() in world.asked:
        # early media carries keys before the answer, and a queued key may arrive after the end
        yield from (on.KeyPressed(key) for key in keys)


def _of_the_agent(world: World, campaign: Campaign) -> Iterator[Event]:
    if do.CallAgent() in world.asked or do.HandOver(COLLEAGUE) in world.asked:
        yield on.AgentCreated()
    if do.DialAgent() in world.asked:
        yield on.AgentAnswered()
    if campaign.transfer is not None and world.agent.answered:
        # one transfer is as good as ten
        yield from map(on.TransferAsked, (None, "no body") if world.handed_over else (None, COLLEAGUE))
    if world.talking:
        yield from map(on.LedAway, Party)
        yield from (on.AgentKeyPressed(key) for key in sorted({*"".join(campaign.agent_keys)}))
    if world.has_talked:
        # rights that have a code are enough: the screen differs only in when it may be used
        rights = (action.right for action in campaign.agent_keys.values())
        yield from (on.RightVoiced(right) for right in rights if right is not None)


def helpful(world: World, campaign: Campaign) -> Iterator[Event]:
    """What a well-behaved world sends next, the best first: answers, then hang-ups, and a timer if nothing else is
    left.
    """
    for command in sorted(world.owed, key=repr):
        yield _answers(world, command, campaign)[0]
    if world.on_hold:
        yield on.HoldEnded()
    for party, prompt, *_ in sorted(world.sounding):
        yield on.Played(prompt, whole=True, party=party)
    if world.recorder == "asked":
        yield on.RecorderStarted()
    if world.recorder in {"stopping", "overdue"}:
        yield on.RecorderStopped()
    for party in Party:
        if world.side(party).let_go:
            yield on.Gone(party)
    yield from _arrivals(world)
    for party in (Party.CALLEE, Party.AGENT):
        if world.side(party).there == "made":
            yield on.Gone(party)
    for timer in sorted(world.timers):
        yield on.TimeRanOut(timer)


def _arrivals(world: World) -> Iterator[Event]:
    """The legs that were asked for are made and answered."""
    if world.agent.there == "made":
        if not world.agent.created:
            yield on.AgentCreated()
        if world.agent.dialled and not world.agent.answered:
            yield on.AgentAnswered()
    if world.callee.there == "made":
        if not world.callee.created:
            yield on.CalleeCreated()
        if (do.Dial() in world.asked or do.AnswerCallee() in world.asked) and not world.callee.answered:
            yield on.CalleeAnswered()
        if world.machine == "detecting":
            yield on.HumanFound()


def _answers(world: World, command: Command, campaign: Campaign) -> tuple[Event, ...]:
    match command:
        case do.CheckGate():
            return _verdicts(world, campaign)
        case do.SpendToken():
            return on.TokenSpent(), on.TokenRefused(Block.SUPPRESSED_ERASURE)
        case do.CommitHeard():
            return (on.HeardCommitted(),)
        case do.TagRecording():
            return (on.RecordingTagged(),)
        case do.Bridge():
            return (on.Bridged(),)
        case do.RegisterRight(right):
            return on.RightRegistered(right, right.value), on.RightSpooled(right)
        case _:
            raise AssertionError(command)


def _verdicts(world: World, campaign: Campaign) -> tuple[Event, ...]:
    inbound = world.direction is Direction.INBOUND
    verdicts: list[Event] = [on.GateAllowed(campaign)]
    spared, whole = (
        notices.sequence(campaign, informed=informed, inbound=inbound) for informed in (True, False)
    )
    if spared != whole:
        verdicts.append(on.GateAllowed(campaign, informed=True))
    if inbound:
        verdicts.append(on.GateAllowed(campaign, known=False))
    return *verdicts, on.GateBlocked(Block.SUPPRESSED_ERASURE), on.GateBlocked(Block.STORE_UNAVAILABLE)
