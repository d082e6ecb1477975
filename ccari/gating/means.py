"""What the gate is asked about, and what it needs for an answer."""

from typing import Protocol

from ccari.policy.call import Direction
from ccari.ports.calls import CallStore
from ccari.ports.keying import Secrets
from ccari.ports.policies import PolicyBook
from ccari.ports.sounds import Prompts


class Asked(Protocol):
    """A call as it was asked for, unchecked. ``number`` is None if the arguments did not even include one.

    ``direction``: who begins; ``agent``: a name for the records; ``rings_agent``: True if ccari is to ring one, and then
    ``destination`` is the agent, or the queue; None leaves it to the campaign.
    """

    @property
    def number(self) -> str | None: ...

    @property
    def campaign(self) -> str: ...

    @property
    def agent(self) -> str: ...

    @property
    def direction(self) -> Direction: ...

    @property
    def destination(self) -> str | None: ...

    @property
    def rings_agent(self) -> bool: ...


class Means(Protocol):
    """What the gate needs for an answer. ``asterisk``: the name that calls are filed under, so that open ones can be found again."""

    @property
    def asterisk(self) -> str: ...

    @property
    def store(self) -> CallStore: ...

    @property
    def secrets(self) -> Secrets: ...

    @property
    def book(self) -> PolicyBook: ...

    @property
    def prompts(self) -> Prompts: ...
