"""What happens to a call (events, in the past tense) and what is to be done about it (commands, in the imperative).

Every command is answered by the events named in its docstring, or by :class:`Failed` carrying the command.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from ccari.policy.campaign import Campaign
from ccari.policy.gate import Block
from ccari.policy.rights import Right


class Party(StrEnum):
    AGENT = "agent"
    CALLEE = "callee"


class Outcome(StrEnum):
    """How a call ended, as the dialplan finds it in ``CCARI_OUTCOME``."""

    BRIDGED = "bridged"
    BLOCKED = "blocked"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    FAILED = "failed"
    CALLEE_HANGUP = "callee_hangup"
    AGENT_HANGUP = "agent_hangup"
    RIGHT_EXERCISED = "right_exercised"
    RECORDING_REFUSED = "recording_refused"
    NOTICE_FAILED = "notice_failed"
    UNAVAILABLE = "unavailable"


# Commands


@dataclass(frozen=True, slots=True)
class CheckGate:
    """Ask the gate. Answer: :class:`GateAllowed` or :class:`GateBlocked`."""


@dataclass(frozen=True, slots=True)
class CreateCallee:
    """Make the callee's channel, without dialling. Answer: :class:`CalleeCreated`."""


@dataclass(frozen=True, slots=True)
class SpendToken:
    """Check the bars once more and spend the dial token, in one transaction. Answer: TokenSpent or TokenRefused."""


@dataclass(frozen=True, slots=True)
class Dial:
    """Send the INVITE. Answers: CalleeRang, CalleeAnswered, Gone."""


@dataclass(frozen=True, slots=True)
class RingAgent:
    """Let the agent hear ringing."""


@dataclass(frozen=True, slots=True)
class AnswerAgent:
    """Answer the agent's channel."""


@dataclass(frozen=True, slots=True)
class Play:
    """Play one prompt whole. Answer: :class:`Played`."""

    party: Party
    prompt: str


@dataclass(frozen=True, slots=True)
class StopPlaying:
    """Stop the running playback. Answer: :class:`Played` with ``whole`` false."""


@dataclass(frozen=True, slots=True)
class CommitHeard:
    """Make it durable that these prompts were heard. Answer: :class:`HeardCommitted`."""

    prompts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TagRecording:
    """Commit the recording's tag. Answer: :class:`RecordingTagged`."""


@dataclass(frozen=True, slots=True)
class StartRecorder:
    """Start recording both directions of the callee's channel. Answer: :class:`RecorderStarted`."""


@dataclass(frozen=True, slots=True)
class StopRecorder:
    """Stop; keep the file or throw it away. Answer: :class:`RecorderStopped`."""

    keep: bool


@dataclass(frozen=True, slots=True)
class Bridge:
    """Let the two hear each other. Answer: :class:`Bridged`."""


@dataclass(frozen=True, slots=True)
class RegisterRight:
    """Make the right durable, with its effect, in one transaction. Answer: :class:`RightRegistered`."""

    right: Right
    key: str


@dataclass(frozen=True, slots=True)
class HangUp:
    """Hang up the callee. Answer: :class:`Gone`."""


@dataclass(frozen=True, slots=True)
class TellDialplan:
    """Set the outcome on the agent's channel while it is still here: an agent who hangs up takes the channel along."""

    outcome: Outcome
    reason: str


@dataclass(frozen=True, slots=True)
class ReturnAgent:
    """Give the agent's channel back to the dialplan with the outcome set. Answer: :class:`Gone`."""

    outcome: Outcome
    reason: str


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Report :class:`TimeRanOut` for ``stage`` after ``seconds``, in place of any earlier timer."""

    stage: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Note:
    """Write an event of the call: one log line, and one entry of its append-only journal."""

    event: str
    fields: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SettleRecording:
    """Bring what was recorded to its place, or see to it that nothing is left."""


@dataclass(frozen=True, slots=True)
class CloseCall:
    """Make the end of the call durable and let go of everything it held."""

    outcome: Outcome
    reason: str


Command = (
    CheckGate | CreateCallee | SpendToken | Dial | RingAgent | AnswerAgent | Play | StopPlaying | CommitHeard
    | TagRecording | StartRecorder | StopRecorder | Bridge | RegisterRight | HangUp | TellDialplan | ReturnAgent
    | SetTimer | Note | SettleRecording | CloseCall
)  # fmt: skip


# Events


@dataclass(frozen=True, slots=True)
class CallRequested:
    """The agent's channel entered the application to call somebody."""


@dataclass(frozen=True, slots=True)
class GateAllowed:
    """``informed``: the number has heard this information from this controller before."""

    campaign: Campaign
    informed: bool = False


@dataclass(frozen=True, slots=True)
class GateBlocked:
    block: Block


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
    pass


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
    """A key of the callee, at its end (that is when Asterisk reports it)."""

    key: str


@dataclass(frozen=True, slots=True)
class RightRegistered:
    right: Right
    reference: str


@dataclass(frozen=True, slots=True)
class TimeRanOut:
    stage: str


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The service must let go of the call: it is stopping, or lost Asterisk."""

    why: Literal["shutdown", "asterisk_lost", "overload"]


@dataclass(frozen=True, slots=True)
class Failed:
    """A command could not be carried out."""

    command: Command


Event = (
    CallRequested | GateAllowed | GateBlocked | CalleeCreated | TokenSpent | TokenRefused | CalleeRang | CalleeAnswered
    | CalleeRedirected | Gone | Played | HeardCommitted | RecordingTagged | RecorderStarted | RecorderStopped | Bridged
    | KeyPressed | RightRegistered | TimeRanOut | Withdrawn | Failed
)  # fmt: skip
