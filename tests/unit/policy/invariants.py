"""What may be true of no step of any call: each with the words that a failing test shows."""

from collections.abc import Iterator

from ccari.policy import notices
from ccari.policy.call import Call, Stage
from ccari.policy.campaign import Campaign, RecordingMode
from ccari.policy.messages import (
    AnswerAgent,
    Bridge,
    CloseCall,
    Command,
    CommitHeard,
    Dial,
    Event,
    GiveBack,
    HangUp,
    KeyPressed,
    Outcome,
    Party,
    Play,
    RegisterRight,
    StartRecorder,
    TagRecording,
    TimeRanOut,
)
from ccari.policy.rights import EFFECTS, Right
from ccari.policy.suppression import bars
from tests.unit.policy.world import World, right_of

_ENDING = frozenset({Stage.CLOSE, Stage.CLOSED})
_AGREED = Play(Party.CALLEE, notices.RECORDING_AGREED)
_CONFIRMED = {
    **{words: action.right for action, words in notices.CONFIRMATIONS.items()},
    notices.RECORDING_STOPPED: Right.REFUSE_RECORDING,
}


def ignored(campaign: Campaign, world: World, event: Event, commands: list[Command]) -> Iterator[str]:
    """What must follow from an event, and does not."""
    if isinstance(event, KeyPressed) and (right := right_of(campaign, event.key)):
        wanted = 0 if right in world.sent else 1
        if sum(isinstance(each, RegisterRight) and each.right is right for each in commands) != wanted:
            yield "a pressed right is not registered exactly once"


def forbidden(campaign: Campaign, world: World, command: Command) -> Iterator[str]:  # noqa: C901, PLR0912, PLR0915 - one arm a command
    """What may not be asked for while the world is as it is."""
    match command:
        case Dial():
            if not world.token_spent:
                yield "a dial without a spent token"
            if Dial() in world.asked:
                yield "a second dial"
        case Bridge():
            if not world.heard_committed:
                yield "a bridge before the notice was proven heard"
            if world.bridging:
                yield "a second bridge"
            if world.agent_gone or world.callee != "made":
                yield "a bridge to somebody who has gone"
            if world.refused and world.recorder in {"running", "stopping", "overdue", "stuck"}:
                yield "a bridge while a refused recorder may run"
            if campaign.recording.must and world.recorder != "running":
                yield "a bridge without the recorder that the call must have"
            if _AGREED in world.sounding:
                yield "a bridge while an agreement is confirmed"
            if _is_over(campaign, world):
                yield "a bridge after the call was barred or refused"
        case TagRecording():
            if campaign.recording.mode is RecordingMode.OFF:
                yield "a recording in a campaign that has none"
            if campaign.recording.mode is RecordingMode.OPT_IN and not world.agreed:
                yield "a tag before the recording was agreed to"
            if world.refused:
                yield "a tag after a refusal"
        case StartRecorder():
            if not world.heard_committed:
                yield "a recorder before the notice was proven heard"
            if not world.tagged:
                yield "a recorder before its tag"
            if campaign.recording.mode is RecordingMode.OPT_IN and not world.agreed:
                yield "a recorder before the recording was agreed to"
            if _AGREED in world.sounding:
                yield "an agreement confirmed into the recording"
            if world.bridging:
                yield "a recorder started in the middle of the talk"
            if world.refused:
                yield "a recorder started after a refusal"
            if world.recorder != "none":
                yield "a second recorder"
        case CommitHeard(prompts):
            if not world.heard.issuperset({*prompts, *notices.sequence(campaign, informed=world.informed)}):
                yield "a notice proven that was not heard whole"
        case Play(party, prompt):
            if world.sounding:
                yield "two prompts at once"
            if party is Party.AGENT and (world.agent_gone or world.returned is not None):
                yield "words to an agent who has gone"
            if party is Party.CALLEE and world.callee != "made":
                yield "words to a callee who has gone"
            if prompt in _CONFIRMED and _CONFIRMED[prompt] not in world.durable:
                yield "a right confirmed before it was durable"
            if command == _AGREED and (
                not world.agreed
                or world.refused
                or world.bridging
                or world.recorder != "none"
                or _is_over(campaign, world)
            ):
                yield "a recording announced that will not be"
        case AnswerAgent() if world.agent_gone or world.returned is not None:
            yield "words to an agent who has gone"
        case HangUp() if world.callee != "made":
            yield "a hang-up of nobody"
        case GiveBack():
            if world.returned is not None:
                yield "an agent returned twice"
            if world.agent_gone:
                yield "an agent returned who has gone"
        case CloseCall(outcome):
            if world.returned not in {None, outcome}:
                yield "an end that is not the one the dialplan was told"
            if world.blocked and outcome not in {Outcome.BLOCKED, Outcome.UNAVAILABLE}:
                yield "a blocked call that ends as another"


def _is_over(campaign: Campaign, world: World) -> bool:
    """Somebody exercised a right after which there is nothing more to talk about."""
    if world.refused and campaign.recording.must:
        return True
    return any(
        (
            (bar := EFFECTS[right].suppress)
            and bars(bar, basis=campaign.legal_basis, marketing=campaign.marketing)
        )
        for right in world.durable
    )


def out_of_place(
    campaign: Campaign, before: Call, event: Event, after: Call, world: World, commands: list[Command]
) -> Iterator[str]:
    """What may not be the case once a step is done."""
    closes = [isinstance(each, CloseCall) for each in commands]
    if any(closes) is not (after.stage is Stage.CLOSED) or any(closes[:-1]):
        yield "an end that is not the last thing, once"
    if before.stage in _ENDING and after.stage not in _ENDING:
        yield "a call that comes back to life"
    if world.callee == "made" and not world.hung_up and (after.stage in _ENDING or world.blocked):
        yield "a callee left on the line"
    if world.refused and world.recorder == "running":
        yield "a recorder that runs on after a refusal"
    if world.refused and world.recorder in {"overdue", "stuck"} and after.stage not in _ENDING:
        yield "a call that goes on while a refused recorder cannot be stopped"
    if event == TimeRanOut(Stage.TALK) and world.recorder != "overdue" and after.stage is not before.stage:
        yield "a talk that ends because its recorder stopped in time"
    unanswered = any(isinstance(each, RegisterRight) for each in world.owed)
    unrecorded = world.refused or world.recorder == "over"
    if campaign.recording.must and after.stage is Stage.TALK and unrecorded and not unanswered:
        yield "a talk that goes on without the recorder that it must have"
    if any(closes) and unanswered and event != TimeRanOut(Stage.CLOSE.value):
        yield "an end before it is known what became of a right"
    if len(set(after.upcoming)) < len(after.upcoming):
        yield "a prompt that waits twice"
