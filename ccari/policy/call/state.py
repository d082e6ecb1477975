"""What is known of a call, and the times that it waits for things."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ccari.policy import notices
from ccari.policy.call.commands import Command
from ccari.policy.call.vocabulary import Direction, Outcome, Party
from ccari.policy.campaign import Campaign
from ccari.policy.rights import Right

#: Asterisk makes a channel within milliseconds; seconds mean that it is in trouble.
CREATE_SECONDS = 5.0
#: As long as an agent can be asked to listen to ringing.
RING_SECONDS = 45.0
#: For somebody who calls to be answered, which is Asterisk's own doing.
ANSWER_SECONDS = 5.0
#: AMD decides within five (its total_analysis_time); a machine's greeting is waited for up to twenty more.
MACHINE_SECONDS = 30.0
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
    GATE = "gate"
    AGENT = "agent"
    CREATE = "create"
    TOKEN = "token"  # noqa: S105 - a dial token, no secret
    RING = "ring"
    ANSWER = "answer"
    MACHINE = "machine"
    NOTICE = "notice"
    UNHEARD = "unheard"
    HEARD = "heard"
    AGREEMENT = "agreement"
    CONNECT = "connect"
    TAG = "tag"
    RECORDER = "recorder"
    DISCARD = "discard"
    #: Both are ready, and what is being played is heard out.
    QUIET = "quiet"
    BRIDGE = "bridge"
    TALK = "talk"
    HANDOVER = "handover"
    BRIEFING = "briefing"
    FAREWELL = "farewell"
    CLOSE = "close"
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
    IDLE = "idle"
    #: A further one, in the middle of the talk: its tag is being written.
    TAGGING = "tagging"
    STARTING = "starting"
    #: It failed to start, or has not said that it did; should it run after all, it is stopped.
    LOST = "lost"
    RUNNING = "running"
    STOPPING = "stopping"
    DONE = "done"


#: Who is there when the call is asked for.
_LEGS = {
    Direction.OUTBOUND: (Leg.HERE, Leg.AWAY),
    Direction.AGENT_FIRST: (Leg.AWAY, Leg.AWAY),
    Direction.CALLEE_FIRST: (Leg.AWAY, Leg.AWAY),
    Direction.INBOUND: (Leg.AWAY, Leg.HERE),
}
#: Whose channel the dialplan has handed over, and gets back.
_HOMES = {Direction.OUTBOUND: Party.AGENT, Direction.INBOUND: Party.CALLEE}


@dataclass(frozen=True)
class Call:
    """All that is known of a call.

    ``known``: the number is known, so that rights can be registered for it. ``machine``: one has answered, or may have.
    ``playing`` and ``upcoming``: prompts to the callee, by id; ``whisper`` and ``whispers`` those to the agent. ``heard``:
    notice prompts proven to have been played whole; ``discounted``: what plays now proves nothing, it is in a language
    that was left. ``exercised``: rights pressed, in order; ``registering``: those of them that are not yet known to be
    durable; ``by_agent``: those that the agent entered. ``agreed``: to be recorded, by key; ``refused``: to be recorded,
    which stands whatever else is pressed; ``paused``: by the agent; ``unrecordable``: the recorder has failed;
    ``recorded``: some of the talk is in the newest file. ``typed``: the agent's code so far. ``colleague``: whom the agent
    hands the callee over to; ``handed_over``: the agent is not the one whom the call began with; ``briefed``: such an
    agent has heard that the call is recorded; ``due``: what the callee has to hear again before they are recorded with
    them. ``untold``: the dialplan does not know the newest reason yet.
    """

    stage: Stage = Stage.GATE
    direction: Direction = Direction.OUTBOUND
    campaign: Campaign | None = None
    language: str = ""
    informed: bool = False
    known: bool = True
    agent: Leg = Leg.HERE
    callee: Leg = Leg.AWAY
    rang: bool = False
    machine: bool = False
    playing: str | None = None
    upcoming: tuple[str, ...] = ()
    whisper: str | None = None
    whispers: tuple[str, ...] = ()
    heard: frozenset[str] = frozenset()
    discounted: bool = False
    exercised: tuple[Right, ...] = ()
    registering: frozenset[Right] = frozenset()
    by_agent: frozenset[Right] = frozenset()
    agreed: bool = False
    refused: bool = False
    paused: bool = False
    unrecordable: bool = False
    recorded: bool = False
    recorder: Recorder = Recorder.IDLE
    typed: str = ""
    colleague: str = ""
    handed_over: bool = False
    briefed: bool = False
    due: str | None = None
    untold: bool = False
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
        home = _HOMES.get(self.direction)
        return None if self.handed_over and home is Party.AGENT else home

    @property
    def has_talked(self) -> bool:
        """True if the callee and an agent have been brought together."""
        return self.handed_over or self.stage in {Stage.TALK, Stage.HANDOVER}

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
        told = call.__dict__ | changes
        if len(told) != len(call.__dict__):
            raise TypeError(f"a call has no {', '.join(changes.keys() - call.__dict__.keys())}")
        copy = object.__new__(type(call))
        object.__setattr__(copy, "__dict__", told)
        return copy


Step = tuple[Call, list[Command]]


def begun(direction: Direction) -> Call:
    agent, callee = _LEGS[direction]
    return Call(direction=direction, agent=agent, callee=callee)


def then(first: list[Command], step: Step) -> Step:
    call, rest = step
    return call, [*first, *rest]


def leg(call: Call, party: Party) -> Leg:
    return call.agent if party is Party.AGENT else call.callee


def with_leg(call: Call, party: Party, state: Leg) -> Call:
    return replace(call, agent=state) if party is Party.AGENT else replace(call, callee=state)
