"""What is known of a call, and the time-outs of its stages."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ccari.policy import notices
from ccari.policy.call.commands import Command
from ccari.policy.call.vocabulary import HOMES, Direction, Outcome, Party
from ccari.policy.campaign import Campaign
from ccari.policy.rights import Right

#: Asterisk creates a channel within milliseconds; seconds mean that it is in trouble.
CREATE_SECONDS = 5.0
#: Time-out for Asterisk to answer a caller's channel.
ANSWER_SECONDS = 5.0
#: AMD decides within five seconds (its total_analysis_time); a machine's greeting is waited for up to twenty more.
MACHINE_SECONDS = 30.0
#: How long a callee may keep the call on hold during the notice, the question about the recording, or the
#: last words. The agent waits meanwhile, as while it rings.
HOLD_SECONDS = 45.0
#: A callee's hang-up breaks the playback first, and is reported within milliseconds.
UNHEARD_SECONDS = 0.5
#: Time-out for the key that agrees to the recording, once everything is said; reaching for it takes two or three seconds.
AGREEMENT_SECONDS = 5.0
#: From the request to RecordingStarted; usually 20 ms.
RECORDER_SECONDS = 5.0
#: Between the keys of an agent's code. A star pressed by itself is forgotten.
CODE_SECONDS = 3.0
#: Time-out for the reports of hang-ups and of the recorder's end.
CLOSE_SECONDS = 10.0


class Stage(StrEnum):
    """What a call is waiting for, roughly in the order of an outbound call; no call goes through all of them."""

    #: The gate's answer.
    GATE = "gate"
    #: The agent, who is rung first.
    AGENT = "agent"
    #: The callee's channel.
    CREATE = "create"
    #: The dial token: spending it asks the gate again.
    TOKEN = "token"  # noqa: S105 - a dial token, no secret
    #: The callee's answer.
    RING = "ring"
    #: Asterisk's answer to a caller.
    ANSWER = "answer"
    #: Whether a person or a machine has answered.
    MACHINE = "machine"
    #: The end of the notice, which is being played.
    NOTICE = "notice"
    #: The hang-up that may have broken the notice off.
    UNHEARD = "unheard"
    #: The commit that the notice was heard.
    HEARD = "heard"
    #: The key that agrees to the recording (``opt_in``).
    AGREEMENT = "agreement"
    #: An agent for the callee, who hears ringing; after a transfer, the colleague.
    CONNECT = "connect"
    #: The commit of the recording's tag.
    TAG = "tag"
    #: The recorder's start.
    RECORDER = "recorder"
    #: The end of a recorder that must not run: the two are kept apart until then.
    DISCARD = "discard"
    #: The end of a prompt; then the two are bridged.
    QUIET = "quiet"
    #: The bridge.
    BRIDGE = "bridge"
    #: The end of the talk.
    TALK = "talk"
    #: The end of prompts and recorder; then the agent is released and a colleague is called.
    HANDOVER = "handover"
    #: A whisper that tells the colleague, who has answered, that the call is recorded.
    BRIEFING = "briefing"
    #: The end of the last words, to the callee or to the agent of a blocked call.
    FAREWELL = "farewell"
    #: Reports that everything released is gone.
    CLOSE = "close"
    #: Nothing: the call is over.
    CLOSED = "closed"


class Leg(StrEnum):
    """One party's channel: none yet; asked for; ringing; here; told to go; gone for good."""

    AWAY = "away"
    CALLED = "called"
    RINGING = "ringing"
    HERE = "here"
    LEAVING = "leaving"
    GONE = "gone"

    @property
    def is_awaited(self) -> bool:
        return self in {Leg.CALLED, Leg.RINGING}

    @property
    def is_held(self) -> bool:
        """True if there is, or may be, a channel to hang up or give back."""
        return self.is_awaited or self is Leg.HERE

    @property
    def is_there(self) -> bool:
        """True until the channel is reported gone."""
        return self.is_held or self is Leg.LEAVING


class RecorderState(StrEnum):
    """The newest recorder as the call knows it. ``calls.snoop`` has what Asterisk reported of its channels and files."""

    #: None has been started yet.
    IDLE = "idle"
    #: Another one, during the talk: its tag is being written.
    TAGGING = "tagging"
    STARTING = "starting"
    #: It failed to start, or has not reported its start; if it starts after all, it is stopped.
    LOST = "lost"
    RUNNING = "running"
    #: It was told to stop, and has not yet reported its end.
    STOPPING = "stopping"
    DONE = "done"


#: Stages in which prompts wait for a callee who has put the call on hold.
_PATIENT = frozenset({Stage.NOTICE, Stage.TALK, Stage.FAREWELL})

#: Which legs exist when the call is requested.
_LEGS = {
    Direction.OUTBOUND: (Leg.HERE, Leg.AWAY),
    Direction.AGENT_FIRST: (Leg.AWAY, Leg.AWAY),
    Direction.CALLEE_FIRST: (Leg.AWAY, Leg.AWAY),
    Direction.INBOUND: (Leg.AWAY, Leg.HERE),
}


@dataclass(frozen=True)
class Call:
    """Everything known of a call. It is never changed: each step makes another with :func:`replace`."""

    stage: Stage = Stage.GATE
    direction: Direction = Direction.OUTBOUND
    #: None until the gate has allowed the call.
    campaign: Campaign | None = None
    #: The language that the callee has chosen by key; empty: the campaign's.
    language: str = ""
    #: The number has heard this information from this controller before.
    informed: bool = False
    #: There is a number to register rights for.
    known: bool = True

    agent: Leg = Leg.HERE
    callee: Leg = Leg.AWAY
    #: The callee's phone has rung.
    rang: bool = False
    #: No person is known to have answered: it rings, or a machine has answered, or may have. A key pressed
    #: then is nobody's will, and is ignored.
    nobody: bool = False

    #: Prompts to the callee, by id: the one playing, and those waiting.
    playing: str | None = None
    upcoming: tuple[str, ...] = ()
    #: The same for the agent.
    whisper: str | None = None
    whispers: tuple[str, ...] = ()
    #: Prompts of the notice that provably ran whole.
    heard: frozenset[str] = frozenset()
    #: The prompt now playing proves nothing: since it began, the callee has changed the language or put the call on hold.
    discounted: bool = False
    #: The callee has put the call on hold.
    on_hold: bool = False
    #: The call was on hold when the talk was left; whether the callee is back is unknown since it was taken up.
    maybe_on_hold: bool = False

    #: Rights exercised, in order; which of them are not yet known to be durable; and which the agent entered.
    exercised: tuple[Right, ...] = ()
    registering: frozenset[Right] = frozenset()
    by_agent: frozenset[Right] = frozenset()

    #: The callee has agreed to be recorded, by key.
    agreed: bool = False
    #: The callee has refused to be recorded, which stands whatever else they press.
    refused: bool = False
    #: The agent has paused the recording.
    paused: bool = False
    #: The recorder has failed.
    unrecordable: bool = False
    #: Some of the talk is in the newest file.
    recorded: bool = False
    recorder: RecorderState = RecorderState.IDLE

    #: What the agent has typed of a feature code.
    typed: str = ""
    #: The extension that the agent transfers the callee to.
    colleague: str = ""
    #: The agent is a colleague, whom the callee was transferred to.
    handed_over: bool = False
    #: That colleague has heard that the call is recorded.
    briefed: bool = False
    #: The prompt that the callee must hear again before being recorded with the colleague.
    due: str | None = None
    #: Prompts said to nobody: Asterisk did not answer the request to play one in the talk, or the callee had put the
    #: call on hold in a stage whose prompts do not wait for them.
    unsaid: tuple[str, ...] = ()

    outcome: Outcome | None = None
    reason: str = ""
    #: The dialplan does not know the newest ``reason`` yet.
    untold: bool = False

    @property
    def declared(self) -> Campaign:
        """The campaign of a call that the gate has allowed."""
        if self.campaign is None:
            raise AssertionError("the gate has not allowed this call")
        return self.campaign

    @property
    def notice(self) -> tuple[str, ...]:
        """The prompts that must be heard before the two may talk."""
        return notices.sequence(self.declared, informed=self.informed, inbound=self.is_inbound)

    @property
    def whole_notice(self) -> tuple[str, ...]:
        """The whole notice, with the prompts that an informed number need not hear."""
        return notices.sequence(self.declared, informed=False, inbound=self.is_inbound)

    @property
    def is_inbound(self) -> bool:
        return self.direction is Direction.INBOUND

    @property
    def home(self) -> Party | None:
        """The party whose channel the dialplan gets back; None if it handed over none, or has it back."""
        home = HOMES.get(self.direction)
        return None if self.handed_over and home is Party.AGENT else home

    @property
    def has_talked(self) -> bool:
        """True if the callee and an agent have been connected."""
        return self.handed_over or self.stage in {Stage.TALK, Stage.HANDOVER}

    @property
    def is_put_off(self) -> bool:
        """True while prompts wait for a callee who has put the call on hold."""
        return self.on_hold and self.stage in _PATIENT

    @property
    def is_quiet(self) -> bool:
        """True if nothing is being played to either party.

        While Asterisk plays to a channel, it does not put it into a bridge, take it out of one, or set its
        variables. Such a request waits for the end of the prompt, and all others on the WebSocket wait
        behind it.
        """
        return self.playing is None and self.whisper is None

    @property
    def is_silent(self) -> bool:
        """True if no prompt to the callee is playing or waiting."""
        return self.playing is None and not self.upcoming


if TYPE_CHECKING:
    from dataclasses import replace as replace  # noqa: PLC0414 - given on
else:

    def replace(call: Call, /, **changes: Any) -> Call:
        """Like :func:`dataclasses.replace`, in a tenth of the time: a call is copied some thirty times."""
        fields = call.__dict__ | changes
        if len(fields) != len(call.__dict__):
            raise TypeError(f"a call has no {', '.join(changes.keys() - call.__dict__.keys())}")
        copy = object.__new__(type(call))
        object.__setattr__(copy, "__dict__", fields)
        return copy


#: What follows from an event: the new state of the call, and the commands.
Step = tuple[Call, list[Command]]


def begun(direction: Direction) -> Call:
    """The state of a call that was just requested."""
    agent, callee = _LEGS[direction]
    return Call(direction=direction, agent=agent, callee=callee)


def then(first: list[Command], step: Step) -> Step:
    """``step``, with the commands ``first`` before its own."""
    call, rest = step
    return call, [*first, *rest]


def leg(call: Call, party: Party) -> Leg:
    """The state of one party's channel."""
    return call.agent if party is Party.AGENT else call.callee


def with_leg(call: Call, party: Party, state: Leg) -> Call:
    """The call, with another state of one party's channel."""
    return replace(call, agent=state) if party is Party.AGENT else replace(call, callee=state)
