"""What ops watch, told where it happens, and read from those who know it.

Nothing that is told names a person or a call (invariant 8): what tells apart is a closed list, or a campaign of the policy.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from typing import Protocol

from ccari.policy.rights import Right
from ccari.ports.requests import Intake


class Way(StrEnum):
    """How a call came to ccari."""

    STASIS = "stasis"
    FASTAGI_GATE = "fastagi_gate"
    FASTAGI_MENU = "fastagi_menu"


class Step(StrEnum):
    """When the gate is asked: for the verdict on a call out, for the terms of one that came in, and right before dialling."""

    ASK = "ask"
    ADMIT = "admit"
    DIAL = "dial"


class Registered(StrEnum):
    """What became of a right that was exercised in a call. ``KEPT``: on this node, until the database is back."""

    REGISTERED = "registered"
    KEPT = "kept"
    FAILED = "failed"


class Filed(StrEnum):
    """What became of a recording."""

    STORED = "stored"
    DELAYED = "delayed"
    LOST = "lost"
    DISCARDED = "discarded"


class Work(StrEnum):
    """What is done again and again in the background."""

    HOUSEKEEPING = "housekeeping"
    EXPIRY = "expiry"
    SEALING = "sealing"
    FORWARDING = "forwarding"
    WEBHOOKS = "webhooks"
    REPLAYING = "replaying"
    SPOOL = "spool"
    FIGURES = "figures"


class CallMeter(Protocol):
    """One call. Each method returns at once, and raises nothing."""

    def of(self, campaign: str) -> None:
        """The policy declares this campaign, and the call is one of its."""
        ...

    def noted(self, event: str, fields: Mapping[str, str]) -> None:
        """The call's journal has noted something."""
        ...

    def gate(self, step: Step) -> AbstractContextManager[None]:
        """The gate is asked while the context lasts."""
        ...

    def notice_began(self) -> None:
        """Asterisk plays the first word to whoever has answered; of a call in which nothing else had to be found out first."""
        ...

    def right(self, right: Right, intake: Intake, what: Registered) -> None: ...

    def filed(self, what: Filed) -> None: ...


class Meter(Protocol):
    """Each method returns at once, and raises nothing."""

    def call(self, way: Way, direction: str) -> CallMeter:
        """A call that begins, or is taken up."""
        ...

    def turned_away(self, reason: str) -> None:
        """A call was not begun: ``overload`` or ``shutdown``."""
        ...

    def late(self, seconds: float) -> None:
        """What the event loop was late by, at one look."""
        ...

    def done(self, work: Work) -> None: ...

    def failed(self, work: Work) -> None: ...

    def filed(self, what: Filed) -> None: ...

    def deleted(self, why: str, recordings: int) -> None:
        """``why``: of :class:`ccari.policy.retention.Why`."""
        ...

    def not_deleted(self, recordings: int) -> None: ...

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """A request over HTTP; ``route`` is the template of its path, empty if there is none such."""
        ...


class Exposition(Protocol):
    """All that was counted, for who asks."""

    async def exposed(self) -> bytes:
        """In Prometheus's text format."""
        ...


class _UnmeteredCall:
    def of(self, campaign: str) -> None:
        pass

    def noted(self, event: str, fields: Mapping[str, str]) -> None:
        pass

    def gate(self, step: Step) -> AbstractContextManager[None]:  # noqa: ARG002 - nobody watches
        return nullcontext()

    def notice_began(self) -> None:
        pass

    def right(self, right: Right, intake: Intake, what: Registered) -> None:
        pass

    def filed(self, what: Filed) -> None:
        pass


class _Unmetered:
    def call(self, way: Way, direction: str) -> CallMeter:  # noqa: ARG002
        return UNMETERED_CALL

    def turned_away(self, reason: str) -> None:
        pass

    def late(self, seconds: float) -> None:
        pass

    def done(self, work: Work) -> None:
        pass

    def failed(self, work: Work) -> None:
        pass

    def filed(self, what: Filed) -> None:
        pass

    def deleted(self, why: str, recordings: int) -> None:
        pass

    def not_deleted(self, recordings: int) -> None:
        pass

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        pass


#: For who is not watched: a command, a test.
UNMETERED_CALL: CallMeter = _UnmeteredCall()
UNMETERED: Meter = _Unmetered()
