"""What is known of a call, and the times that it waits for things."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ccari.policy import notices
from ccari.policy.call.commands import Command
from ccari.policy.call.vocabulary import HOMES, Direction, Outcome, Party
from ccari.policy.campaign import Campaign
from ccari.policy.rights import Right

#: Asterisk makes a channel within milliseconds; seconds mean that it is in trouble.
CREATE_SECONDS = 5.0
#: For somebody who calls to be answered, which is Asterisk's own doing.
ANSWER_SECONDS = 5.0
#: AMD decides within five (its total_analysis_time); a machine's greeting is waited for up to twenty more.
MACHINE_SECONDS = 30.0
#: For a callee who has put the call on hold to come back to the notice, to the question whether they agree to the recording, or to
#: the last words: the agent waits meanwhile, as while it rings.
HOLD_SECONDS = 45.0
#: A callee who hangs up breaks the playback first; their hang-up is reported within milliseconds.
UNHEARD_SECONDS = 0.5
#: For the key that agrees to the recording, once all has been said; reaching for it takes two or three.
AGREEMENT_SECONDS = 5.0
#: From the request to RecordingStarted, usually 20 ms.
RECORDER_SECONDS = 5.0
#: Between the keys of an agent's code; a star that was pressed by itself is forgotten.
CODE_SECONDS = 3.0
#: For hang-ups and the recorder's end to be reported.
CLOSE_SECONDS = 10.0


class Stage(StrEnum):
    """What a call is waiting for, roughly in the order of an outbound call; no call goes through all of them."""

    #: The gate's answer.
    GATE = "gate"
    #: The agent, who is rung first.
    AGENT = "agent"
    #: The callee's channel.
    CREATE = "create"
    #: The dial token: the gate is asked once more as it is spent.
    TOKEN = "token"  # noqa: S105 - a dial token, no secret
    #: The callee's answer.
    RING = "ring"
    #: Asterisk to answer somebody who calls in.
    ANSWER = "answer"
    #: Whether a person or a machine has answered.
    MACHINE = "machine"
    #: The end of the notice, which is being played.
    NOTICE = "notice"
    #: The hang-up that may have cut the notice off.
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
    #: The end of what is being played; then the two are bridged.
    QUIET = "quiet"
    #: The bridge.
    BRIDGE = "bridge"
    #: The end of the talk.
    TALK = "talk"
    #: Silence, and the recorder's end; then the agent goes and a colleague is called.
    HANDOVER = "handover"
    #: The colleague, who has answered, to be told that the call is recorded.
    BRIEFING = "briefing"
    #: The end of the last words, to the callee or to the agent of a blocked call.
    FAREWELL = "farewell"
    #: Everything that was let go to be reported gone.
    CLOSE = "close"
    #: Nothing: the call is over.
    CLOSED = "closed"


class Leg(StrEnum):
    """One party's channel: none yet; asked for; ringing; here; told to go; gone, and not coming back."""

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
        """True if there is, or may be, something that has to be hung up or given back."""
        return self.is_awaited or self is Leg.HERE

    @property
    def is_there(self) -> bool:
        """True until it is reported gone."""
        return self.is_held or self is Leg.LEAVING


class Recorder(StrEnum):
    """The newest recorder as the call knows it. What Asterisk has reported of its channels and files is in ``calls.snoop``."""

    #: None has been started yet.
    IDLE = "idle"
    #: A further one, in the middle of the talk: its tag is being written.
    TAGGING = "tagging"
    STARTING = "starting"
    #: It failed to start, or has not said that it did; should it run after all, it is stopped.
    LOST = "lost"
    RUNNING = "running"
    #: It was told to stop, and has not said that it has.
    STOPPING = "stopping"
    DONE = "done"


#: When words wait for a callee who has put the call on hold.
_PATIENT = frozenset({Stage.NOTICE, Stage.TALK, Stage.FAREWELL})

#: Who is there when the call is asked for.
_LEGS = {
    Direction.OUTBOUND: (Leg.HERE, Leg.AWAY),
    Direction.AGENT_FIRST: (Leg.AWAY, Leg.AWAY),
    Direction.CALLEE_FIRST: (Leg.AWAY, Leg.AWAY),
    Direction.INBOUND: (Leg.AWAY, Leg.HERE),
}


@dataclass(frozen=True)
class Call:
    """All that is known of a call."""

    stage: Stage = Stage.GATE
    direction: Direction = Direction.OUTBOUND
    #: None until the gate has allowed the call.
    campaign: Campaign | None = None
    #: The language that the callee has chosen by key; empty: the campaign's.
    language: str = ""
    #: The number has heard this information from this controller before.
    informed: bool = False
    #: There is a number, so that rights can be registered for it.
    known: bool = True

    agent: Leg = Leg.HERE
    callee: Leg = Leg.AWAY
    #: The callee's phone has rung.
    rang: bool = False
    #: Nobody is known to have said hello: it rings, or a machine has answered, or may have. What is pressed then is nobody's will.
    nobody: bool = False

    #: Prompts to the callee, by id: the one that is playing, and those that wait.
    playing: str | None = None
    upcoming: tuple[str, ...] = ()
    #: The same to the agent.
    whisper: str | None = None
    whispers: tuple[str, ...] = ()
    #: Prompts of the notice that are proven to have been played whole.
    heard: frozenset[str] = frozenset()
    #: What is playing proves nothing: the callee has chosen another language, or put the call on hold, since it began.
    discounted: bool = False
    #: The callee has put the call on hold.
    on_hold: bool = False
    #: They had done so when the talk was left, and nobody who has taken it up knows whether they are back.
    maybe_on_hold: bool = False

    #: Rights exercised, in order; of these, which are not yet known to be durable, and which the agent entered.
    exercised: tuple[Right, ...] = ()
    registering: frozenset[Right] = frozenset()
    by_agent: frozenset[Right] = frozenset()

    #: The callee has agreed to be recorded, by key.
    agreed: bool = False
    #: The callee has refused to be recorded, which stands whatever else is pressed.
    refused: bool = False
    #: The agent has paused the recording.
    paused: bool = False
    #: The recorder has failed.
    unrecordable: bool = False
    #: Some of the talk is in the newest file.
    recorded: bool = False
    recorder: Recorder = Recorder.IDLE

    #: The agent's feature code as far as it is typed.
    typed: str = ""
    #: The extension to which the agent transfers the callee.
    colleague: str = ""
    #: The agent is a colleague, to whom the callee was transferred.
    handed_over: bool = False
    #: That colleague has heard that the call is recorded.
    briefed: bool = False
    #: The prompt that the callee must hear again before they are recorded with the colleague.
    due: str | None = None
    #: Prompts that Asterisk was asked to play to the callee in the talk, and has not answered about.
    unsaid: tuple[str, ...] = ()

    outcome: Outcome | None = None
    reason: str = ""
    #: The dialplan has not been told of the newest ``reason`` yet.
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
        """All of it, also what a number that knows it is spared."""
        return notices.sequence(self.declared, informed=False, inbound=self.is_inbound)

    @property
    def is_inbound(self) -> bool:
        return self.direction is Direction.INBOUND

    @property
    def home(self) -> Party | None:
        """Whose channel the dialplan gets back; None where it has handed over none, or has it back already."""
        home = HOMES.get(self.direction)
        return None if self.handed_over and home is Party.AGENT else home

    @property
    def has_talked(self) -> bool:
        """True if the callee and an agent have been brought together."""
        return self.handed_over or self.stage in {Stage.TALK, Stage.HANDOVER}

    @property
    def is_put_off(self) -> bool:
        """True while what there is to say waits for a callee who has put the call on hold."""
        return self.on_hold and self.stage in _PATIENT

    @property
    def is_quiet(self) -> bool:
        """True if nothing is being played, to either.

        Asterisk puts no channel into a bridge, takes none out, and sets no variable of one, while it plays to it; nor
        does it answer any other request until then.
        """
        return self.playing is None and self.whisper is None

    @property
    def is_silent(self) -> bool:
        """True if nothing is being said to the callee, or waits to be."""
        return self.playing is None and not self.upcoming


if TYPE_CHECKING:
    from dataclasses import replace as replace  # noqa: PLC0414 - given on
else:

    def replace(call: Call, /, **changes: Any) -> Call:
        """As :func:`dataclasses.replace`, in a tenth of the time: a call is copied some thirty times."""
        fields = call.__dict__ | changes
        if len(fields) != len(call.__dict__):
            raise TypeError(f"a call has no {', '.join(changes.keys() - call.__dict__.keys())}")
        copy = object.__new__(type(call))
        object.__setattr__(copy, "__dict__", fields)
        return copy


#: What follows from an event: the call as it is from now on, and what is to be done.
Step = tuple[Call, list[Command]]


def begun(direction: Direction) -> Call:
    """A call as it is when it is asked for."""
    agent, callee = _LEGS[direction]
    return Call(direction=direction, agent=agent, callee=callee)


def then(first: list[Command], step: Step) -> Step:
    """``step``, with the commands ``first`` before its own."""
    call, rest = step
    return call, [*first, *rest]


def leg(call: Call, party: Party) -> Leg:
    return call.agent if party is Party.AGENT else call.callee


def with_leg(call: Call, party: Party, state: Leg) -> Call:
    return replace(call, agent=state) if party is Party.AGENT else replace(call, callee=state)
