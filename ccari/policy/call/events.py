"""What happens to a call, in the past tense; many events answer commands (:mod:`ccari.policy.call.commands`)."""

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
    """A right registered in a talk. ``by_agent``: the agent entered it for the callee; ``noted``: the call's
    journal already has it; ``reference`` and ``due``: as in :class:`RightRegistered`.
    """

    right: Right
    reference: str
    due: date | None = None
    by_agent: bool = False
    noted: bool = False


@dataclass(frozen=True, slots=True)
class TalkResumed:
    """A talk went on without a service. ``kept``: what :func:`ccari.policy.call.resuming.to_keep` gave; ``recording``: its
    recorder still runs; ``registered``: all its rights on record, including those that ``kept`` does not know.
    """

    direction: Direction
    campaign: Campaign
    kept: Mapping[str, Any]
    recording: bool
    registered: tuple[RightOnRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class GateAllowed:
    """The gate allows the call.

    ``informed``: the number has heard this information from this controller before. ``known``: there is a number.
    """

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
    """A person has answered, or Asterisk cannot tell."""


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
    """The callee has answered, or Asterisk has answered a caller for us.

    ``on_hold``: the caller had put the call on hold before the dialplan handed it over, and is not back.
    """

    on_hold: bool = False


@dataclass(frozen=True, slots=True)
class HoldBegan:
    """The callee has put the call on hold, and hears nothing that is played to them."""


@dataclass(frozen=True, slots=True)
class HoldEnded:
    """The callee is back from hold."""


@dataclass(frozen=True, slots=True)
class CalleeRedirected:
    """The far end answered with a 302, which is not followed: the gate has not seen that number."""


@dataclass(frozen=True, slots=True)
class Gone:
    """A party's channel is gone. ``cause`` is the Q.850 cause of its hang-up, 0 if unknown. ``unwanted``: whoever was called
    let it be known that they do not want such calls.
    """

    party: Party
    cause: int = 0
    unwanted: bool = False


@dataclass(frozen=True, slots=True)
class Played:
    """A playback has ended. ``whole``: only if it provably ran from start to end."""

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
    """The callee pressed a key. ``at``: when it went down, although Asterisk reports it on release; None: now."""

    key: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AgentKeyPressed:
    """The agent pressed a key that may belong to a code. ``at``: as in :class:`KeyPressed`."""

    key: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RightVoiced:
    """The agent entered a right of the callee at their screen, rather than by a code. ``at``: as in :class:`KeyPressed`."""

    right: Right
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TransferAsked:
    """The agent's phone wants the callee transferred ``to`` an extension; None if it names another call instead."""

    to: str | None


@dataclass(frozen=True, slots=True)
class LedAway:
    """A third party took one of the two out of the talk, ``at`` that moment, and may have connected them with
    a person who does not know of the recording.
    """

    party: Party
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RightRegistered:
    """A right is durable in the database.

    ``reference``: of the request, as quoted; ``due``: the last day for its answer, if it gets one.
    """

    right: Right
    reference: str
    due: date | None = None


@dataclass(frozen=True, slots=True)
class RightSpooled:
    """The right is durable on this node only: it has no reference until it is registered. ``due``: as in
    :class:`RightRegistered`.
    """

    right: Right
    due: date | None = None


@dataclass(frozen=True, slots=True)
class TimeRanOut:
    timer: Timer


@dataclass(frozen=True, slots=True)
class LetGo:
    """The service must let go of the call: it is stopping, or lost Asterisk."""

    why: Literal["shutdown", "asterisk_lost", "overload"]


@dataclass(frozen=True, slots=True)
class Failed:
    """A command failed. ``refused``: it was certainly not carried out, since Asterisk refused it, say; otherwise it may have been."""

    command: Command
    refused: bool = False


Event = (
    CallRequested | TalkResumed | GateAllowed | GateBlocked | AgentCreated | AgentAnswered | CalleeCreated | TokenSpent | TokenRefused
    | CalleeRang | CalleeAnswered | HoldBegan | HoldEnded | CalleeRedirected | HumanFound | MachineFound | Gone | Played | HeardCommitted
    | RecordingTagged | RecorderStarted | RecorderStopped | Bridged | KeyPressed | AgentKeyPressed | RightVoiced | TransferAsked | LedAway | RightRegistered
    | RightSpooled | TimeRanOut | LetGo | Failed
)  # fmt: skip
