"""What no step of any call may do; each breach is given in the words that a failing test shows."""

from collections.abc import Iterator, Sequence

from ccari.policy import confirmations, notices
from ccari.policy.call import Call, Command, Direction, Event, Outcome, Party, Stage, Timer
from ccari.policy.call import commands as do
from ccari.policy.call import events as on
from ccari.policy.campaign import Campaign
from ccari.policy.recording import OnTransfer, RecordingMode
from ccari.policy.rights import EFFECTS, Right
from ccari.policy.suppression import bars
from tests.unit.policy.world import NOBODY, Side, World, code_entered, right_of, stops

_ENDING = frozenset({Stage.CLOSE, Stage.CLOSED})
#: Stages whose words wait while the callee has the call on hold.
_PATIENT = frozenset({Stage.NOTICE, Stage.TALK, Stage.FAREWELL})
_MAY_RUN = frozenset({"running", "stopping", "overdue", "stuck"})
_CONFIRMED: dict[str, set[Right]] = {
    **{words: {action.right} for action, words in confirmations.CONFIRMATIONS.items() if action.right},
    confirmations.RECORDING_STOPPED: {Right.REFUSE_RECORDING, Right.WITHDRAW_CONSENT},
}


def ignored(campaign: Campaign, world: World, event: Event, commands: Sequence[Command]) -> Iterator[str]:
    """What an event must lead to, and did not. ``world`` is as it was before the event."""
    match event:
        case on.KeyPressed(key) if (right := right_of(campaign, key)) is not None:
            nobodys = not world.known or world.machine in NOBODY
            if _registered(commands, right) != (0 if nobodys or right in world.sent else 1):
                yield "a pressed right is not registered exactly once"
        case on.AgentKeyPressed(key):
            _, action = code_entered(world, campaign, key)
            right = action.right if action else None
            if right is not None and _registered(commands, right) != _to_be_registered(world, right):
                yield "a right that the agent entered is not registered exactly once"
        case on.RightVoiced(right) if _registered(commands, right) != _to_be_registered(world, right):
            yield "a right that the agent's screen has passed on is not registered exactly once"
        case on.TimeRanOut(Timer.CONNECT) | on.Gone(Party.AGENT) if Party.CALLEE in world.ringing:
            first = world.direction is Direction.CALLEE_FIRST and not world.handed_over
            if first and do.Note("call_abandoned") not in commands:
                yield "a callee whom no agent came for is not counted"


def _to_be_registered(world: World, right: Right) -> int:
    return 0 if not world.known or right in world.sent else 1


def _registered(commands: Sequence[Command], right: Right) -> int:
    return sum(isinstance(each, do.RegisterRight) and each.right is right for each in commands)


def forbidden(campaign: Campaign, world: World, command: Command) -> Iterator[str]:
    """Commands that may not be given while the world is in this state."""
    yield from _about_legs(campaign, world, command)
    yield from _about_recorders(campaign, world, command)
    yield from _about_words(campaign, world, command)


def _about_legs(campaign: Campaign, world: World, command: Command) -> Iterator[str]:  # noqa: C901, PLR0912, PLR0915 - one arm a command
    match command:
        case do.CreateCallee() | do.Dial() if world.direction is Direction.INBOUND:
            yield "somebody who calls is dialled"
        case do.Dial():
            if not world.token_spent:
                yield "a dial without a spent token"
            if world.callee.dialled:
                yield "a second dial"
        case do.CreateCallee() if world.callee.there != "none":
            yield "a second callee"
        case do.CallAgent() if world.agent.there != "none":
            yield "a second agent"
        case do.DialAgent():
            if not world.agent.created:
                yield "an agent rung who is not made"
            if world.agent.dialled:
                yield "an agent rung twice"
            if world.agent.let_go or world.agent.there == "gone":
                yield "an agent rung who was let go"
        case do.AnswerCallee() if world.direction is not Direction.INBOUND:
            yield "an answer to nobody who calls"
        case do.AnswerAgent():
            if world.home is not Party.AGENT:
                yield "an answer to an agent who was called"
            if _is_away(world, Party.AGENT):
                yield "words to an agent who has gone"
        case do.HandOver():
            yield from _about_hand_overs(campaign, world)
        case do.RefuseTransfer() if world.agent.let_go:
            yield "a refusal to somebody who was let go"
        case do.Bridge():
            yield from _about_bridges(campaign, world)
        case do.Part() if not world.bridging or world.parted or _is_away(world, Party.CALLEE):
            yield "two parted who are not together"
        case do.Ring(party) if _is_away(world, party):
            yield "ringing for nobody"
        case do.StopRinging(party) if party not in world.ringing or world.side(party).there != "made":
            yield "an end of ringing that nobody hears"
        case do.TellDialplan() if world.home and world.sounds(world.home) and not _is_away(world, world.home):
            yield "the dialplan told while its channel is played to"
        case do.HangUp(party):
            if party is world.home:
                yield "the dialplan's channel is hung up"
            yield from _about_partings(world, party)
        case do.GiveBack():
            if world.home is None:
                yield "a channel given back that nobody handed over"
            elif Party.CALLEE in world.ringing and world.home is Party.CALLEE:
                yield "a channel given back that is ringing"
            else:
                yield from _about_partings(world, world.home)
        case do.Note("call_abandoned") if world.abandoned or world.direction is not Direction.CALLEE_FIRST:
            yield "an abandoned call counted twice, or where none can be"
        case do.CloseCall(outcome):
            if world.given_back not in {None, outcome}:
                yield "an end that is not the one the dialplan was told"
            if world.handed_over and outcome is Outcome.FAILED:
                yield "a talk that ends as a call that came to nothing"
            if world.blocked and outcome not in {Outcome.BLOCKED, Outcome.UNAVAILABLE}:
                yield "a blocked call that ends as another"


def _about_partings(world: World, party: Party) -> Iterator[str]:
    if world.side(party).let_go:
        yield f"a party let go twice: {party}"
    elif world.side(party).there != "made":
        yield f"a party let go who is not there: {party}"


def _about_bridges(campaign: Campaign, world: World) -> Iterator[str]:
    if not world.heard_committed:
        yield "a bridge before the notice was proven heard"
    if world.bridging:
        yield "a second bridge"
    if any(_is_away(world, party) or not world.side(party).answered for party in Party):
        yield "a bridge to somebody who is not here"
    if world.refused and world.recorder in _MAY_RUN:
        yield "a bridge while a refused recorder may run"
    if (
        world.handed_over
        and world.recorder in _MAY_RUN
        and not (world.recorder == "running" and world.briefed)
    ):
        yield "a colleague heard by a recorder that they were not told of"
    if campaign.recording.must and world.recorder != "running" and not world.paused:
        yield "a bridge without the recorder that the call must have"
    if any(map(world.sounds, Party)):
        yield "a bridge while something is played"
    if campaign.recording.must and world.sounds(Party.CALLEE, notices.RECORDING_AGREED):
        yield "a bridge while an agreement is confirmed"
    if world.ringing:
        yield "a bridge with somebody who hears ringing"
    if world.machine in {"detecting", "machine"}:
        yield "a bridge with a machine"
    if _is_over(campaign, world):
        yield "a bridge after the call was barred or refused"


def _about_hand_overs(campaign: Campaign, world: World) -> Iterator[str]:
    if campaign.transfer is None:
        yield "a call handed over in a campaign that has no transfers"
    if not world.heard_committed or not world.bridging:
        yield "a call handed over before the two were brought together"
    # a doubtful recorder, during which the two have already talked, is stopped as soon as it begins
    if world.recorder in _MAY_RUN | {"asked"}:
        yield "a call handed over while the recorder may run"
    if _is_away(world, Party.CALLEE):
        yield "somebody handed over who is not here"
    if any(world.sounds(party) and not _is_away(world, party) for party in Party):
        yield "a call handed over while something is played"
    if world.agent.let_go and world.agent.there == "made":
        yield "an agent who was let go hands over"
    if _is_over(campaign, world):
        yield "a call handed over after it was barred or refused"


def _about_recorders(campaign: Campaign, world: World, command: Command) -> Iterator[str]:
    match command:
        case do.TagRecording() | do.StartRecorder():
            if campaign.recording.mode is RecordingMode.OFF:
                yield "a recording in a campaign that has none"
            if campaign.recording.mode is RecordingMode.OPT_IN and not world.agreed:
                yield "a recording before it was agreed to"
            if world.sounds(Party.CALLEE, notices.RECORDING_AGREED):
                yield "an agreement confirmed into the recording"
            if world.recorder not in {"none", "over"}:
                yield "a second recorder"
            if world.refused:
                yield "a recording after a refusal"
            if world.paused:
                yield "a recording while it is paused"
    if isinstance(command, do.StartRecorder):
        if world.handed_over:
            yield from _about_colleagues(campaign, world)
        if not world.heard_committed:
            yield "a recorder before the notice was proven heard"
        if not world.tagged:
            yield "a recorder before its own tag"


def _about_colleagues(campaign: Campaign, world: World) -> Iterator[str]:
    if not world.briefed:
        yield "a colleague recorded who was not told"
    if _ends_with_transfer(campaign, world):
        yield "a recording that was to stop at the transfer"
    repeats = campaign.recording.on_transfer is OnTransfer.REPEAT and notices.repeated(campaign)
    if repeats and not world.reheard:
        yield "a recording after a repeated notice that was not heard whole"


def _ends_with_transfer(campaign: Campaign, world: World) -> bool:
    return world.handed_over and campaign.recording.on_transfer is OnTransfer.STOP


def _about_words(campaign: Campaign, world: World, command: Command) -> Iterator[str]:  # noqa: PLR0912 - one arm a command
    match command:
        case do.CommitHeard(prompts):
            needed = {*prompts, *world.notice(campaign)}
            if not {(prompt, world.language) for prompt in needed} <= world.heard:
                yield "a notice proven that was not heard whole, in one language"
            if world.machine in {"detecting", "machine"}:
                yield "a notice that a machine has heard"
            if world.heard_committed:
                yield "a notice proven twice"
        case do.ShowCard() if world.machine in {"detecting", "machine"}:
            yield "a card for a machine"
        case do.StopPlaying() if not world.sounds(Party.CALLEE):
            yield "silence is stopped"
        case do.RegisterRight():
            if not world.known:
                yield "a right registered for nobody"
            if world.machine in NOBODY:
                yield "a right registered for a machine"
        case do.Play(party, prompt):
            if world.sounds(party):
                yield "two prompts at once"
            if _is_away(world, party):
                yield f"words to a party who has gone: {party}"
            if party is Party.CALLEE:
                yield from _about_words_to_the_callee(campaign, world, prompt)
            else:
                yield from _about_whispers(world, prompt)


def _about_words_to_the_callee(campaign: Campaign, world: World, prompt: str) -> Iterator[str]:
    if not world.callee.answered:
        yield "words to a callee who has not answered"
    if world.machine == "detecting" or (world.machine == "machine" and prompt != notices.MACHINE_MESSAGE):
        yield "words that a machine is not to hear"
    confirmed = _CONFIRMED.get(prompt) or _referred(prompt)
    durable = confirmed & world.durable or (Right.REFUSE_RECORDING in confirmed and not world.known)
    if confirmed and not durable:
        yield "a right confirmed before it was durable"
    if prompt == confirmations.RECORDING_STOPPED and world.recorder == "running":
        yield "a recording told to be over that runs"
    if prompt == notices.RECORDING_AGREED and (
        not world.agreed
        or world.refused
        or world.recorder not in {"none", "over"}
        or _ends_with_transfer(campaign, world)
        or _is_over(campaign, world)
    ):
        yield "a recording announced that will not be"
    if prompt == notices.ABANDONED and not world.abandoned:
        yield "an apology for a call that is not counted as abandoned"


def _about_whispers(world: World, prompt: str) -> Iterator[str]:
    if not world.agent.answered:
        yield "words to an agent who has not answered"
    if prompt == notices.AGENT_RIGHT_REGISTERED and not world.entered & world.durable:
        yield "a right confirmed to the agent before it was durable"
    if prompt == notices.AGENT_RECORDING_STARTED and world.recorder != "running":
        yield "a recording confirmed that does not run"
    if prompt == notices.AGENT_RECORDING_PAUSED and (world.recorder in _MAY_RUN or not world.paused):
        yield "a pause confirmed while the recorder may run"
    if prompt == notices.AGENT_RECORDING_STOPPED and world.recorder == "running":
        yield "an end of the recording confirmed that runs"


def _referred(prompt: str) -> set[Right]:
    """The explorer gives each request the right's own name as its reference."""
    return {Right(prompt.partition(":")[2])} if confirmations.is_reference(prompt) else set()


def _is_away(world: World, party: Party) -> bool:
    side = world.side(party)
    return side.there != "made" or side.let_go


def _is_over(campaign: Campaign, world: World) -> bool:
    """The callee exercised a right that ends the talk."""
    if world.refused and campaign.recording.must:
        return True
    return campaign.ends_after_right and any(
        _bars(campaign, right) for right in world.durable - world.entered
    )


def _bars(campaign: Campaign, right: Right) -> bool:
    if right is Right.WITHDRAW_CONSENT and campaign.needs_consent:
        return True
    bar = EFFECTS[right].suppress
    return bar is not None and bars(bar, basis=campaign.legal_basis, marketing=campaign.marketing)


def out_of_place(
    campaign: Campaign, before: Stage, event: Event, after: Stage, world: World, commands: Sequence[Command]
) -> Iterator[str]:
    """What may not be true after a step from one stage to another, or the same."""
    closes = [isinstance(each, do.CloseCall) for each in commands]
    if any(closes) is not (after is Stage.CLOSED) or any(closes[:-1]):
        yield "an end that is not the last thing, once"
    if before in _ENDING and after not in _ENDING:
        yield "a call that comes back to life"
    unwanted = after in _ENDING or (world.blocked and after is not Stage.CLOSED)
    if _is_left(world.callee) and unwanted:
        yield "a callee left on the line"
    if _is_left(world.agent) and after in _ENDING:
        yield "an agent left on the line"
    if after is Stage.FAREWELL and world.bridging and not world.parted:
        yield "last words to a callee who hears the agent"
    if world.on_hold and after in _PATIENT and any(_is_said_to_the_callee(each) for each in commands):
        yield "words to a callee who has put the call on hold"
    if isinstance(event, on.TransferAsked) and not _is_away(world, Party.AGENT):
        answered = any(isinstance(each, do.RefuseTransfer | do.HandOver) for each in commands)
        if not answered and after is not Stage.HANDOVER:
            yield "a transfer that is neither made nor refused"
        if before is Stage.HANDOVER and do.RefuseTransfer() in commands:
            yield "a transfer refused that is under way"
    yield from _about_talks(campaign, before, event, after, world)
    unanswered = any(isinstance(each, do.RegisterRight) for each in world.owed)
    if any(closes) and unanswered and event != on.TimeRanOut(Timer.CLOSE):
        yield "an end before it is known what became of a right"


def contradictory(call: Call) -> Iterator[str]:
    """What may not be true of a call, whatever the world around it is like."""
    if len(set(call.upcoming)) < len(call.upcoming) or len(set(call.whispers)) < len(call.whispers):
        yield "a prompt that waits twice"


def _is_said_to_the_callee(command: Command) -> bool:
    return isinstance(command, do.Play) and command.party is Party.CALLEE


def _is_left(side: Side) -> bool:
    return side.there == "made" and not side.let_go


def _about_talks(
    campaign: Campaign, before: Stage, event: Event, after: Stage, world: World
) -> Iterator[str]:
    if (world.refused or (world.paused and after is Stage.TALK)) and world.recorder == "running":
        yield "a recorder that runs on after a refusal, or a pause"
    if world.refused and world.recorder in {"overdue", "stuck"} and after not in _ENDING:
        yield "a call that goes on while a refused recorder cannot be stopped"
    if event == on.TimeRanOut(Timer.STOP) and world.recorder != "overdue" and after is not before:
        yield "a talk that ends because its recorder stopped in time"
    unanswered = any(isinstance(each, do.RegisterRight) for each in world.owed)
    tagging = world.tagged or do.TagRecording() in world.owed
    unrecorded = world.refused or (world.recorder in {"none", "over"} and not world.paused and not tagging)
    if campaign.recording.must and after is Stage.TALK and unrecorded and not unanswered:
        yield "a talk that goes on without the recorder that it must have"
    if after is Stage.TALK and _is_over(campaign, world) and not unanswered:
        yield "a talk that goes on after it was barred"
    if (
        isinstance(event, on.RightRegistered | on.RightSpooled)
        and after is Stage.FAREWELL
        and before is not after
    ):
        stopped = stops(campaign, event.right) and campaign.recording.must
        if not stopped and (not campaign.ends_after_right or not _bars(campaign, event.right)):
            yield "a call that ends after a right although it is to go on"
