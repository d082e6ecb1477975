"""What happens to a call (events, in the past tense) and what is to be done about it (commands, in the imperative).

Every command is answered by the events named in its docstring, or by :class:`Failed` carrying the command.
"""

from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Literal

from ccari.policy.campaign import Campaign
from ccari.policy.gate import Block
from ccari.policy.rights import Right


class Party(StrEnum):
    """``CALLEE`` is the person whose data it is: whoever was called, and in an inbound call whoever calls."""

    AGENT = "agent"
    CALLEE = "callee"


class Direction(StrEnum):
    """Who begins: the agent's phone over the dialplan; an API that rings the agent, or the callee, first; or somebody calls."""

    OUTBOUND = "outbound"
    AGENT_FIRST = "agent_first"
    CALLEE_FIRST = "callee_first"
    INBOUND = "inbound"


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
class CallAgent:
    """Make the channel of the agent, or of the campaign's destination. Answer: :class:`AgentCreated`."""


@dataclass(frozen=True, slots=True)
class DialAgent:
    """Ring it. Answers: AgentAnswered, Gone."""


@dataclass(frozen=True, slots=True)
class DetectMachine:
    """Have Asterisk listen whether a machine has answered. Answer: HumanFound or MachineFound."""


@dataclass(frozen=True, slots=True)
class Ring:
    """Let a party hear ringing, until :class:`StopRinging`."""

    party: Party


@dataclass(frozen=True, slots=True)
class StopRinging:
    party: Party


@dataclass(frozen=True, slots=True)
class AnswerAgent:
    """Answer the agent's channel."""


@dataclass(frozen=True, slots=True)
class AnswerCallee:
    """Answer somebody who calls. Answer: :class:`CalleeAnswered`."""


@dataclass(frozen=True, slots=True)
class UseLanguage:
    """From now on, say, prove and register everything in this language."""

    language: str


@dataclass(frozen=True, slots=True)
class RefuseTransfer:
    """Let the agent's phone know that the call is not transferred."""


@dataclass(frozen=True, slots=True)
class HandOver:
    """Let the agent go, and make the channel of the colleague whom they named: the agent from now on. Answer: AgentCreated."""

    to: str


@dataclass(frozen=True, slots=True)
class ShowCard:
    """Send the agent what they are to know of this call."""


@dataclass(frozen=True, slots=True)
class Play:
    """Play one prompt whole. Answer: :class:`Played`."""

    party: Party
    prompt: str


@dataclass(frozen=True, slots=True)
class StopPlaying:
    """Stop what is played to the callee. Answer: :class:`Played` with ``whole`` false."""


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
    by: Party = Party.CALLEE


@dataclass(frozen=True, slots=True)
class HangUp:
    """Hang up a channel that we have made. Answer: :class:`Gone`."""

    party: Party


@dataclass(frozen=True, slots=True)
class TellDialplan:
    """Set the outcome on the dialplan's channel while it is still here: whoever hangs up takes the channel along."""

    outcome: Outcome
    reason: str


@dataclass(frozen=True, slots=True)
class GiveBack:
    """Give the dialplan its channel back, with the outcome set. Answer: :class:`Gone`."""

    outcome: Outcome
    reason: str


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Report :class:`TimeRanOut` for ``stage`` after ``seconds``, in place of an earlier one of that name."""

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
    CheckGate | CallAgent | DialAgent | CreateCallee | SpendToken | Dial | DetectMachine | Ring | StopRinging | AnswerAgent
    | AnswerCallee | RefuseTransfer | HandOver | UseLanguage | ShowCard | Play | StopPlaying | CommitHeard | TagRecording | StartRecorder | StopRecorder
    | Bridge | RegisterRight | HangUp | TellDialplan | GiveBack | SetTimer | Note | SettleRecording | CloseCall
)  # fmt: skip


# Events


@dataclass(frozen=True, slots=True)
class CallRequested:
    direction: Direction = Direction.OUTBOUND


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
    """A key of the callee, at its end (that is when Asterisk reports it)."""

    key: str


@dataclass(frozen=True, slots=True)
class AgentKeyPressed:
    """A key of the agent, one of those that make up a code."""

    key: str


@dataclass(frozen=True, slots=True)
class TransferAsked:
    """The agent's phone wants the callee transferred ``to`` an extension; None where it names another call instead."""

    to: str | None


@dataclass(frozen=True, slots=True)
class RightRegistered:
    """``reference``: of the request, as it is quoted; ``due``: the last day for its answer, if there is to be one."""

    right: Right
    reference: str
    due: date | None = None


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
    CallRequested | GateAllowed | GateBlocked | AgentCreated | AgentAnswered | CalleeCreated | TokenSpent | TokenRefused
    | CalleeRang | CalleeAnswered | CalleeRedirected | HumanFound | MachineFound | Gone | Played | HeardCommitted
    | RecordingTagged | RecorderStarted | RecorderStopped | Bridged | KeyPressed | AgentKeyPressed | TransferAsked | RightRegistered
    | TimeRanOut | Withdrawn | Failed
)  # fmt: skip
