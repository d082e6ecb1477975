"""What the gate is asked, and what it needs for an answer."""

from dataclasses import dataclass, field

from ccari.policy.call import Direction
from ccari.ports.calls import CallStore
from ccari.ports.keying import Secrets
from ccari.ports.policies import PolicyBook
from ccari.ports.sounds import Prompts


@dataclass(frozen=True, slots=True)
class RequestedCall:
    """A call as requested, unchecked. ``direction``: who begins. ``number``: None if the arguments had none.
    ``campaign``: empty if the arguments were bad. ``agent``: a name for the records.
    """

    direction: Direction
    number: str | None = field(repr=False)
    campaign: str = field(repr=False)
    agent: str
    #: The agent, or the queue, to ring; None: the campaign decides.
    destination: str | None = field(default=None, repr=False)

    @property
    def rings_agent(self) -> bool:
        """True if ccari rings an agent. Over FastAGI the dialplan rings whom it likes."""
        return False


@dataclass(frozen=True, slots=True)
class Means:
    """What the gate needs for an answer. ``asterisk``: the name that calls are filed under, so that open ones
    can be found again.
    """

    asterisk: str
    store: CallStore
    secrets: Secrets
    book: PolicyBook
    prompts: Prompts
