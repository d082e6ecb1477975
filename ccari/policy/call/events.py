"""What happens to a call, in the past tense: much of it answers commands (:mod:`ccari.policy.call.commands`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from ccari.policy.call.commands import Command
from ccari.policy.call.vocabulary import Direction, Party, Timer
from ccari.policy.campaign import Campaign
from ccari.policy.gate import Block
from ccari.policy.rights import Right


@dataclass(frozen=True, slots=True)
class CallRequested:
    direction: Direction = Direction.OUTBOUND


@dataclass(frozen=True, slots=True)
class RightOnRecord:
    """A right that was registered in a talk. ``by_agent``: they entered it for the callee; ``noted``: the call's journal tells of
    it already; ``reference`` and ``due`` as in :class:`RightRegistered`.
    """

    right: Right
    reference: str
    due: date | None = None
    by_agent: bool = False
    noted: bool = False


@dataclass(frozen=True, slots=True)
class TalkResumed:
    """A talk went on while nobody ran the call. ``kept`` is what :func:`ccari.policy.call.resuming.to_keep` gave; ``recording``: its
    recorder still runs; ``registered``: all rights on record of it, also those that ``kept`` does not know.
    """

    direction: Direction
    campaign: Campaign
    kept: Mapping[str, Any]
    recording: bool
    registered: tuple[RightOnRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class GateAllowed:
    """``informed``: the number has heard this information from this controller before. ``known``: there is a number."""

    campaign: Campaign
    informed: bool = False
    known: bool = True


@dataclass(frozen=True, slots=True)
class GateBlocked:
    block: Block


@dataclass(frozen=True, slots=True)
class AgentCreated:
    pass


@dataclass(frozen=True, slots=True)
class AgentAnswered:
    pass


@dataclass(frozen=True, slots=True)
class HumanFound:
    """Somebody has answered, or nobody can tell."""


@dataclass(frozen=True, slots=True)
class MachineFound:
    """An answering machine has answered."""


@dataclass(frozen=True, slots=True)
class CalleeCreated:
    pass


@dataclass(frozen=True, slots=True)
class TokenSpent:
    pass


@dataclass(frozen=True, slots=True)
class TokenRefused:
    block: Block


@dataclass(frozen=True, slots=True)
class CalleeRang:
    pass


@dataclass(frozen=True, slots=True)
class CalleeAnswered:
    """``on_hold``: somebody who calls had put the call on hold before it was handed over, and is not back."""

    on_hold: bool = False


@dataclass(frozen=True, slots=True)
class HoldBegan:
    """The callee has put the call on hold: they hear nothing of what is played to them."""


@dataclass(frozen=True, slots=True)
class HoldEnded:
    """The callee has taken the call back."""


@dataclass(frozen=True, slots=True)
class CalleeRedirected:
    """The far end answered with a 302; Asterisk does not follow it (the gate did not see that number)."""


@dataclass(frozen=True, slots=True)
class Gone:
    """A party's channel is gone. ``cause`` is the Q.850 cause of its hang-up, 0 if unknown."""

    party: Party
    cause: int = 0


@dataclass(frozen=True, slots=True)
class Played:
    """A playback ended; ``whole`` only if it is proven that it was played from its start to its end."""

    prompt: str
    whole: bool
    party: Party = Party.CALLEE


@dataclass(frozen=True, slots=True)
class HeardCommitted:
    pass


@dataclass(frozen=True, slots=True)
class RecordingTagged:
    pass


@dataclass(frozen=True, slots=True)
class RecorderStarted:
    pass


@dataclass(frozen=True, slots=True)
class RecorderStopped:
    pass


@dataclass(frozen=True, slots=True)
class Bridged:
    pass


@dataclass(frozen=True, slots=True)
class KeyPressed:
    """A key of the callee. ``at``: when it went down, though Asterisk reports it as it is let go; None: now."""

    key: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AgentKeyPressed:
    """A key of the agent, one of those that make up a code. ``at`` as above."""

    key: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RightVoiced:
    """The agent has entered a right of the callee's at their screen, rather than by a code. ``at`` as above."""

    right: Right
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TransferAsked:
    """The agent's phone wants the callee transferred ``to`` an extension; None where it names another call instead."""

    to: str | None


@dataclass(frozen=True, slots=True)
class LedAway:
    """Somebody else took a party out of the talk ``at`` some moment, and may have connected them with somebody who knows of no
    recording.
    """

    party: Party
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RightRegistered:
    """``reference``: of the request, as it is quoted; ``due``: the last day for its answer, if there is to be one."""

    right: Right
    reference: str
    due: date | None = None


@dataclass(frozen=True, slots=True)
class RightSpooled:
    """The right is durable on this node only: it has no reference until it is registered. ``due`` as above."""

    right: Right
    due: date | None = None


@dataclass(frozen=True, slots=True)
class TimeRanOut:
    timer: Timer


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The service must let go of the call: it is stopping, or lost Asterisk."""

    why: Literal["shutdown", "asterisk_lost", "overload"]


@dataclass(frozen=True, slots=True)
class Failed:
    """A command could not be carried out. ``refused``: Asterisk said so; otherwise nobody knows whether it was carried out."""

    command: Command
    refused: bool = False


Event = (
    CallRequested | TalkResumed | GateAllowed | GateBlocked | AgentCreated | AgentAnswered | CalleeCreated | TokenSpent | TokenRefused
    | CalleeRang | CalleeAnswered | HoldBegan | HoldEnded | CalleeRedirected | HumanFound | MachineFound | Gone | Played | HeardCommitted
    | RecordingTagged | RecorderStarted | RecorderStopped | Bridged | KeyPressed | AgentKeyPressed | RightVoiced | TransferAsked | LedAway | RightRegistered
    | RightSpooled | TimeRanOut | Withdrawn | Failed
)  # fmt: skip
