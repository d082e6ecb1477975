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
    """Create the callee's channel, without dialling. Answer: :class:`CalleeCreated`."""


@dataclass(frozen=True, slots=True)
class SpendToken:
    """Check the bars again and spend the dial token, in one transaction. Answer: TokenSpent or TokenRefused."""


@dataclass(frozen=True, slots=True)
class Dial:
    """Send the INVITE. Answers: CalleeRang, CalleeAnswered, Gone."""


@dataclass(frozen=True, slots=True)
class CallAgent:
    """Create the channel of the agent, or of the campaign's destination. Answer: :class:`AgentCreated`."""


@dataclass(frozen=True, slots=True)
class DialAgent:
    """Ring the agent. Answers: AgentAnswered, Gone."""


@dataclass(frozen=True, slots=True)
class DetectMachine:
    """Have Asterisk detect whether a machine has answered. Answer: HumanFound or MachineFound."""


@dataclass(frozen=True, slots=True)
class Ring:
    """Let a party hear ringing, until :class:`StopRinging`."""

    party: Party


@dataclass(frozen=True, slots=True)
class StopRinging:
    """End the ringing that :class:`Ring` began."""

    party: Party


@dataclass(frozen=True, slots=True)
class AnswerAgent:
    """Answer the agent's channel."""


@dataclass(frozen=True, slots=True)
class AnswerCallee:
    """Answer a caller. Answer: :class:`CalleeAnswered`."""


@dataclass(frozen=True, slots=True)
class UseLanguage:
    """From now on say, prove and register everything in this language."""

    language: str


@dataclass(frozen=True, slots=True)
class RefuseTransfer:
    """Tell the agent's phone that the call is not transferred."""


@dataclass(frozen=True, slots=True)
class HandOver:
    """Release the agent, and create the channel of the colleague they named, who is the agent from now on.
    Answer: AgentCreated.
    """

    to: str


@dataclass(frozen=True, slots=True)
class ShowCard:
    """Show the agent the card of this call."""


@dataclass(frozen=True, slots=True)
class Play:
    """Play one prompt whole. Answer: :class:`Played`."""

    party: Party
    prompt: str


@dataclass(frozen=True, slots=True)
class StopPlaying:
    """Stop the prompt to the callee. Answer: :class:`Played` with ``whole`` false."""


@dataclass(frozen=True, slots=True)
class CommitHeard:
    """Store that these prompts were heard, durably. Answer: :class:`HeardCommitted`."""

    prompts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TagRecording:
    """Commit the recording's tag. Answer: :class:`RecordingTagged`."""


@dataclass(frozen=True, slots=True)
class StartRecorder:
    """Start recording both directions of the callee's channel. Answer: :class:`RecorderStarted`."""


@dataclass(frozen=True, slots=True)
class StopRecorder:
    """Stop the recorder, and keep or discard the file. Answer: :class:`RecorderStopped`.

    ``binding``: nothing said from now on may be kept, even if Asterisk misses the stop (invariant 6). With
    ``at``, nothing said since then, when the key was pressed that requires it.
    """

    keep: bool
    binding: bool = True
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class CutRecording:
    """Keep nothing that was said since ``at`` (None: now) of a recorder that was told to stop before, for another reason: a busy Asterisk may
    have gone on recording, and a key may have been held while it stopped (invariant 6).
    """

    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Bridge:
    """Let the two hear each other. Answer: :class:`Bridged`."""


@dataclass(frozen=True, slots=True)
class Part:
    """Take the callee out of the bridge; the agent stays in it."""


@dataclass(frozen=True, slots=True)
class RegisterRight:
    """Store the right durably, with its effect, in one transaction. Answer: RightRegistered or RightSpooled.

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
    """Set the outcome on the dialplan's channel while it is still here: a party who hangs up takes the channel along."""

    outcome: Outcome
    reason: str


@dataclass(frozen=True, slots=True)
class GiveBack:
    """Give the dialplan its channel back, with the outcome set. Answer: :class:`Gone`."""

    outcome: Outcome
    reason: str


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Report :class:`TimeRanOut` of ``timer`` after ``seconds``. Replaces its earlier setting."""

    timer: Timer
    seconds: float


@dataclass(frozen=True, slots=True)
class Note:
    """Write an event of the call: one log line, and one entry of its append-only journal."""

    event: str
    fields: dict[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class LeaveTalk:
    """Leave a talk that goes on without this connection: stop nothing, and store what is known of it for the run that takes it up."""


@dataclass(frozen=True, slots=True)
class SettleRecording:
    """Store what was recorded, or make sure that nothing is left of it."""


@dataclass(frozen=True, slots=True)
class CloseCall:
    """Store the end of the call durably, and release everything it held."""

    outcome: Outcome
    reason: str


#: What is to be done outside of the call: in Asterisk, in the database, or on the agent's screen.
Action = (
    CheckGate | CallAgent | DialAgent | CreateCallee | SpendToken | Dial | DetectMachine | Ring | StopRinging | AnswerAgent
    | AnswerCallee | RefuseTransfer | HandOver | UseLanguage | ShowCard | Play | StopPlaying | CommitHeard | TagRecording | StartRecorder | StopRecorder
    | CutRecording | Bridge | Part | RegisterRight | HangUp | TellDialplan | GiveBack | LeaveTalk | SettleRecording | CloseCall
)  # fmt: skip
Command = Action | SetTimer | Note
