"""What is to be done about a call, in the imperative.

Every command is answered by the events (:mod:`ccari.policy.call.events`) named in its docstring, or by
:class:`Failed` carrying the command.
"""

from dataclasses import dataclass, field
from datetime import datetime

from ccari.policy.call.vocabulary import Outcome, Party, Timer
from ccari.policy.rights import Right


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
    """Stop; keep the file or throw it away. Answer: :class:`RecorderStopped`.

    ``binding``: nothing that is said from now on may be kept, though Asterisk miss the stop (invariant 6); or from ``at`` on,
    when the key was pressed that wants it.
    """

    keep: bool
    binding: bool = True
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Bridge:
    """Let the two hear each other. Answer: :class:`Bridged`."""


@dataclass(frozen=True, slots=True)
class Part:
    """Take the callee away from the agent, who stays in the bridge."""


@dataclass(frozen=True, slots=True)
class RegisterRight:
    """Make the right durable, with its effect, in one transaction. Answer: RightRegistered or RightSpooled.

    ``at``: when the key was pressed; None: now.
    """

    right: Right
    key: str
    by: Party = Party.CALLEE
    at: datetime | None = None


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
    """Report :class:`TimeRanOut` of ``timer`` after ``seconds``, in place of what it was set to before."""

    timer: Timer
    seconds: float


@dataclass(frozen=True, slots=True)
class Note:
    """Write an event of the call: one log line, and one entry of its append-only journal."""

    event: str
    fields: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LeaveTalk:
    """Leave a talk that goes on to whoever takes it up: nothing of it is stopped, and what is known of it is kept."""


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
    | Bridge | Part | RegisterRight | HangUp | TellDialplan | GiveBack | SetTimer | Note | LeaveTalk | SettleRecording
    | CloseCall
)  # fmt: skip
