"""The worst possible world around a call: what it can send, and its own memory of what it sent and was asked.

The store answers exactly once, but at any time. Asterisk's reports come early, late, twice or never, and any request
may fail long after it seemed to have worked. Nothing here is read from the call's own state.
"""

from typing import NamedTuple

from ccari.policy import notices
from ccari.policy.call import Command, Direction, Event, Outcome, Party, Timer
from ccari.policy.call import commands as do
from ccari.policy.call import events as on
from ccari.policy.campaign import Campaign
from ccari.policy.keypad import AgentAction, KeyAction
from ccari.policy.recording import RecordingMode
from ccari.policy.rights import EFFECTS, Right

#: Values of ``World.machine`` in which a pressed key is nobody's will.
NOBODY = frozenset({"ringing", "detecting", "machine"})
#: Answered exactly once, by the event or by Failed.
_OWED = (do.CheckGate, do.SpendToken, do.CommitHeard, do.TagRecording, do.Bridge, do.RegisterRight)
#: May fail at any later time.
_ASKED = (
    do.CreateCallee,
    do.Dial,
    do.CallAgent,
    do.HandOver,
    do.DialAgent,
    do.AnswerCallee,
    do.AnswerAgent,
    do.DetectMachine,
    do.StartRecorder,
    do.StopRecorder,
    do.HangUp,
)


class Side(NamedTuple):
    """One party's channel. ``there``: none, made, gone. ``let_go``: it was hung up or given back."""

    there: str = "none"
    created: bool = False
    dialled: bool = False
    answered: bool = False
    let_go: bool = False


class Sounding(NamedTuple):
    """``missed``: part of it was played while the callee had the call on hold."""

    party: Party
    prompt: str
    language: str
    missed: bool = False


class World(NamedTuple):
    """``owed``: commands that have no answer yet; ``asked``: commands that may still fail."""

    direction: Direction = Direction.OUTBOUND
    owed: frozenset[Command] = frozenset()
    asked: frozenset[Command] = frozenset()
    timers: frozenset[Timer] = frozenset()
    agent: Side = Side()
    callee: Side = Side()
    ringing: frozenset[Party] = frozenset()
    #: none, ringing, detecting, human, machine
    machine: str = "none"
    language: str = ""
    sounding: frozenset[Sounding] = frozenset()
    #: The callee has put the call on hold.
    on_hold: bool = False
    #: The prompts that were heard whole, with their languages.
    heard: frozenset[tuple[str, str]] = frozenset()
    #: The number has heard the information layer before.
    informed: bool = False
    #: The callee's number is known.
    known: bool = True
    token_spent: bool = False
    heard_committed: bool = False
    #: The tag of the next recorder is durable.
    tagged: bool = False
    #: none, asked, doubtful (asked for, but failed or late), running, stopping, overdue (its end was not reported in
    #: time), stuck (it would not stop), over
    recorder: str = "none"
    bridging: bool = False
    #: The two were bridged, and no longer hear each other.
    parted: bool = False
    #: The agent's codes are heard.
    talking: bool = False
    typed: str = ""
    paused: bool = False
    blocked: bool = False
    abandoned: bool = False
    agreed: bool = False
    refused: bool = False
    #: Rights whose registration was asked for; those of them that are durable; and those that the agent entered.
    sent: frozenset[Right] = frozenset()
    durable: frozenset[Right] = frozenset()
    entered: frozenset[Right] = frozenset()
    given_back: Outcome | None = None
    #: The agent is a colleague of the first one, and has heard in full that the call is recorded; so has the callee,
    #: again.
    handed_over: bool = False
    briefed: bool = False
    reheard: bool = False

    @property
    def home(self) -> Party | None:
        """The party whose channel has yet to be given back to the dialplan."""
        homes = {Direction.INBOUND: Party.CALLEE}
        if not self.handed_over:
            homes[Direction.OUTBOUND] = Party.AGENT
        return homes.get(self.direction)

    @property
    def has_talked(self) -> bool:
        """The two were bridged, or may have been: the agent may have passed a right on, which arrives late."""
        reached = do.Dial() in self.asked or do.AnswerCallee() in self.asked
        together = self.bridging and reached and do.Bridge() not in self.owed
        return self.handed_over or (together and self.machine not in NOBODY)

    def notice(self, campaign: Campaign) -> tuple[str, ...]:
        """The prompts that must be heard before the two may talk."""
        inbound = self.direction is Direction.INBOUND
        return notices.sequence(campaign, informed=self.informed, inbound=inbound)

    def side(self, party: Party) -> Side:
        return self.agent if party is Party.AGENT else self.callee

    def sounds(self, party: Party, prompt: str | None = None) -> bool:
        return any(each.party is party and prompt in {None, each.prompt} for each in self.sounding)


def beginning(direction: Direction) -> World:
    """Whoever begins a call over the dialplan is there; no channel of ours is."""
    match direction:
        case Direction.OUTBOUND:
            there = Side("made", created=True, dialled=True, answered=True)
            return World(direction, agent=there)
        case Direction.INBOUND:
            return World(direction, callee=Side("made", created=True, dialled=True))
        case _:
            return World(direction)


def right_of(campaign: Campaign, key: str) -> Right | None:
    action = campaign.keys.get(key)
    return action.right if action else None


def code_entered(world: World, campaign: Campaign, key: str) -> tuple[str, AgentAction | None]:
    """What the agent has typed including this key, and the action of the code that it completes."""
    codes = campaign.agent_keys
    typed = world.typed + key
    if typed in codes:
        return typed, codes[typed]
    return next((each for each in (typed, key) if any(code.startswith(each) for code in codes)), ""), None


def send(world: World, event: Event, campaign: Campaign) -> World:  # noqa: C901, PLR0912 - one arm an event
    """The world after it has sent ``event``."""
    match event:
        case on.GateAllowed(_, informed, known):
            return _answered(world, do.CheckGate)._replace(
                informed=informed, known=known, language=campaign.language
            )
        case on.GateBlocked():
            return _answered(world, do.CheckGate)
        case on.TokenSpent():
            return _answered(world, do.SpendToken)._replace(token_spent=True)
        case on.TokenRefused():
            return _answered(world, do.SpendToken)
        case on.HeardCommitted():
            return _answered(world, do.CommitHeard)._replace(heard_committed=True)
        case on.RecordingTagged():
            return _answered(world, do.TagRecording)._replace(tagged=True)
        case on.Bridged():
            return _answered(world, do.Bridge)
        case on.RightRegistered(right) | on.RightSpooled(right):
            owed = frozenset(
                each
                for each in world.owed
                if not (isinstance(each, do.RegisterRight) and each.right is right)
            )
            return world._replace(owed=owed, durable=world.durable | {right})
        case on.CalleeCreated() if not world.callee.created:
            return world._replace(callee=world.callee._replace(created=True))
        case on.CalleeAnswered(on_hold) if not world.callee.answered:
            # a callee who answers while being hung up is told nothing more
            there = world.machine if world.callee.let_go else "none"
            answered = world.callee._replace(answered=True)
            return world._replace(callee=answered, machine=there, on_hold=world.on_hold or on_hold)
        case on.AgentCreated() if not world.agent.created:
            return world._replace(agent=world.agent._replace(created=True))
        case on.AgentAnswered() if not world.agent.answered:
            return world._replace(agent=world.agent._replace(answered=True))
        case on.HoldBegan() if not world.on_hold:
            return _missed(world)._replace(on_hold=True)
        case on.HoldEnded() if world.on_hold:
            return _missed(world)._replace(on_hold=False)
        case on.HumanFound() if world.machine == "detecting":
            return world._replace(machine="human")
        case on.MachineFound() if world.machine == "detecting":
            return world._replace(machine="machine")
        case on.Gone(party):
            return _gone(world, party)
        case on.Played(notices.AGENT_CALL_RECORDED, whole, Party.AGENT):
            told = world.sounds(Party.AGENT, notices.AGENT_CALL_RECORDED)
            world = _ended(world, Party.AGENT, notices.AGENT_CALL_RECORDED, whole=whole)
            return world._replace(briefed=True) if told and whole else world
        case on.Played(prompt, whole, party):
            again = prompt in notices.repeated(campaign) and any(
                not each.missed
                for each in world.sounding
                if (each.party, each.prompt) == (Party.CALLEE, prompt) and party is Party.CALLEE
            )
            world = _ended(world, party, prompt, whole=whole)
            return world._replace(reheard=True) if again and whole and world.handed_over else world
        case on.RecorderStarted() if world.recorder in {"asked", "doubtful"}:
            return world._replace(recorder="running")
        case on.RecorderStopped() if world.recorder not in {"none", "over"}:
            return world._replace(recorder="over")
        case on.TimeRanOut(Timer.RECORDER) if world.recorder == "asked":
            return world._replace(recorder="doubtful")
        case on.TimeRanOut(Timer.STOP) if world.recorder == "stopping":
            return world._replace(recorder="overdue")
        case on.TimeRanOut(Timer.CODE) if world.typed:
            return world._replace(typed="")
        case on.KeyPressed(key):
            return _pressed(world, campaign, key)
        case on.AgentKeyPressed(key):
            return _typed(world, campaign, key)
        case on.RightVoiced(right):
            return _entered(world, campaign, right)
        case on.Failed(command):
            return _failed(world, command)
        case _:
            return world


def _missed(world: World) -> World:
    """The callee misses part of what is being played."""
    missed = (each._replace(missed=each.party is Party.CALLEE) for each in world.sounding)
    return world._replace(sounding=frozenset(missed))


def _pressed(world: World, campaign: Campaign, key: str) -> World:
    if world.machine in NOBODY:
        return world
    if campaign.keys.get(key) is KeyAction.CONSENT_RECORDING:
        in_time = (
            world.callee.answered and not world.refused and not world.agreed and _is_asked(world, campaign)
        )
        return world._replace(agreed=True) if in_time else world
    right = right_of(campaign, key)
    if right is not None and stops(campaign, right) and not world.refused:
        return world._replace(refused=True)
    return world


def stops(campaign: Campaign, right: Right) -> bool:
    agreed_to = campaign.recording.mode is RecordingMode.OPT_IN
    taken_back = right in {Right.WITHDRAW_CONSENT, Right.REFUSE_RECORDING}
    return (agreed_to and taken_back) or campaign.recording.legal_basis in EFFECTS[right].stops


def _is_asked(world: World, campaign: Campaign) -> bool:
    """The callee hears, or has heard, what there is to agree to, in the language of the call."""
    if world.heard_committed or any(isinstance(each, do.CommitHeard) for each in world.owed):
        return True
    asked = notices.recording(campaign) or ""
    return (asked, world.language) in world.heard or Sounding(
        Party.CALLEE, asked, world.language
    ) in world.sounding


def _typed(world: World, campaign: Campaign, key: str) -> World:
    typed, action = code_entered(world, campaign, key)
    if action is None:
        return world._replace(typed=typed)
    world = world._replace(typed="")
    right = action.right
    if right is None:
        return world._replace(paused=action is AgentAction.PAUSE_RECORDING)
    return _entered(world, campaign, right)


def _entered(world: World, campaign: Campaign, right: Right) -> World:
    """The agent enters it."""
    if stops(campaign, right):
        world = world._replace(refused=True)
    return world._replace(entered=world.entered | {right})


def _gone(world: World, party: Party) -> World:
    side = world.side(party)
    if side.there != "made":
        return world
    gone = side._replace(there="gone")
    # playbacks to somebody who has gone may still be reported
    return world._replace(agent=gone) if party is Party.AGENT else world._replace(callee=gone)


def _failed(world: World, command: Command) -> World:
    if command in world.owed:
        world = world._replace(owed=world.owed - {command})
    match command:
        case do.HangUp(party):
            return _gone(world, party)
        case do.StartRecorder() if world.recorder == "asked":
            return world._replace(recorder="doubtful")
        case do.StopRecorder() if world.recorder == "stopping":
            return world._replace(recorder="stuck")
        case do.DetectMachine() if world.machine == "detecting":
            return world._replace(machine="human")
        case do.RegisterRight(right):
            return world._replace(sent=world.sent - {right})
        case do.Play(party, prompt):
            return _ended(world, party, prompt, whole=False)
        case _:
            return world


def _answered(world: World, kind: type[Command]) -> World:
    return world._replace(owed=frozenset(each for each in world.owed if not isinstance(each, kind)))


def _ended(world: World, party: Party, prompt: str, *, whole: bool) -> World:
    ended = frozenset(each for each in world.sounding if each.party is party and each.prompt == prompt)
    heard = {
        (each.prompt, each.language) for each in ended if whole and party is Party.CALLEE and not each.missed
    }
    return world._replace(sounding=world.sounding - ended, heard=world.heard | heard)


def ask(world: World, command: Command) -> World:  # noqa: C901, PLR0912 - one arm a command
    """The world after the call has asked for ``command``."""
    match command:
        case do.Note("call_blocked"):
            return world._replace(blocked=True)
        case do.Note("call_abandoned"):
            return world._replace(abandoned=True)
        case do.Play(party, prompt):
            missed = world.on_hold and party is Party.CALLEE
            sounding = Sounding(party, prompt, world.language, missed)
            return world._replace(sounding=world.sounding | {sounding})
        case do.UseLanguage(language):
            told = world.heard_committed or any(isinstance(each, do.CommitHeard) for each in world.owed)
            # nothing said in another language can be agreed to
            return world._replace(language=language, heard=frozenset(), agreed=world.agreed and told)
        case do.SetTimer(timer, _):
            return world._replace(timers=world.timers | {timer})
        # the agent's own phone hears ringing until it is answered
        case do.Ring(party) if party is not world.home:
            return world._replace(ringing=world.ringing | {party})
        case do.Ring(Party.CALLEE):
            return world._replace(ringing=world.ringing | {Party.CALLEE})
        case do.StopRinging(party):
            return world._replace(ringing=world.ringing - {party})
        case do.GiveBack(outcome, _):
            world = _let_go(world, world.home)
            return world._replace(given_back=outcome)
        case do.RegisterRight(right):
            world = world._replace(sent=world.sent | {right})
        case do.CreateCallee():
            world = world._replace(callee=world.callee._replace(there="made"))
        case do.Dial():
            world = world._replace(callee=world.callee._replace(dialled=True), machine="ringing")
        case do.CallAgent():
            world = world._replace(agent=world.agent._replace(there="made"))
        case do.HandOver():
            world = _handed_over(world)
        case do.DialAgent():
            world = world._replace(agent=world.agent._replace(dialled=True))
        case do.DetectMachine():
            world = world._replace(machine="detecting")
        case do.HangUp(party):
            world = _let_go(world, party)
        case do.TagRecording():
            world = world._replace(recorder="none" if world.recorder == "over" else world.recorder)
        case do.StartRecorder():
            world = world._replace(recorder="asked", tagged=False)
        case do.StopRecorder() if world.recorder == "running":
            world = world._replace(recorder="stopping")
        case do.Bridge():
            world = world._replace(bridging=True)
        case do.Part():
            return world._replace(parted=True)
    if isinstance(command, _OWED):
        return world._replace(owed=world.owed | {command})
    if isinstance(command, _ASKED):
        return world._replace(asked=world.asked | {command})
    return world


def _handed_over(world: World) -> World:
    """Another channel becomes the agent's; nothing more is heard from the previous one."""
    stale = {do.CallAgent(), do.DialAgent(), do.AnswerAgent(), do.HangUp(Party.AGENT)}
    return world._replace(
        agent=Side("made"), handed_over=True, briefed=False, reheard=False, bridging=False, typed="",
        asked=world.asked - stale, sounding=frozenset(each for each in world.sounding if each.party is Party.CALLEE),
    )  # fmt: skip


def _let_go(world: World, party: Party | None) -> World:
    if party is Party.AGENT:
        return world._replace(agent=world.agent._replace(let_go=True))
    return world._replace(callee=world.callee._replace(let_go=True))
