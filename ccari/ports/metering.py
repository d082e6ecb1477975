"""Metrics: events are reported to a meter where they happen.

No metric names a person or a call (invariant 8): every label is from a closed list, or a campaign of the policy.
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
    """When the gate is asked: about an outbound call, about an inbound call, and immediately before dialling."""

    ASK = "ask"
    ADMIT = "admit"
    DIAL = "dial"


class Registered(StrEnum):
    """What became of a right exercised in a call. ``KEPT``: it is stored on this node until the database is back."""

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
    """Work repeated in the background."""

    HOUSEKEEPING = "housekeeping"
    EXPIRY = "expiry"
    SEALING = "sealing"
    TIME_STAMPS = "time_stamps"
    FORWARDING = "forwarding"
    WEBHOOKS = "webhooks"
    REPLAYING = "replaying"
    SPOOL = "spool"
    FIGURES = "figures"


class CallMeter(Protocol):
    """Measures one call. Each method returns at once, and raises nothing."""

    def belongs_to(self, campaign: str) -> None:
        """The call belongs to this campaign, which the policy declares."""
        ...

    def noted(self, event: str, fields: Mapping[str, str]) -> None:
        """An entry was added to the call's journal."""
        ...

    def gate(self, step: Step) -> AbstractContextManager[None]:
        """Times a question to the gate: the context lasts as long as the question."""
        ...

    def notice_began(self) -> None:
        """Asterisk has begun to play the notice to the callee. Not reported for calls that looked for a machine first."""
        ...

    def right(self, right: Right, intake: Intake, what: Registered) -> None: ...

    def filed(self, what: Filed) -> None: ...


class Meter(Protocol):
    """Each method returns at once, and raises nothing."""

    def call(self, way: Way, direction: str) -> CallMeter:
        """A call begins, or is taken up."""
        ...

    def turned_away(self, reason: str) -> None:
        """A call was turned away: ``overload`` or ``shutdown``."""
        ...

    def late(self, seconds: float) -> None:
        """How late the event loop was, measured once."""
        ...

    def done(self, work: Work) -> None: ...

    def failed(self, work: Work) -> None: ...

    def filed(self, what: Filed) -> None: ...

    def deleted(self, why: str, recordings: int) -> None:
        """``why``: from :class:`ccari.policy.retention.Why`."""
        ...

    def not_deleted(self, recordings: int) -> None: ...

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """An HTTP request was answered. ``route``: the template of its path; "" if it has none."""
        ...


class Exposition(Protocol):
    """Gives out all metrics."""

    async def exposed(self) -> bytes:
        """The metrics in Prometheus's text format."""
        ...


class _UnmeteredCall:
    def belongs_to(self, campaign: str) -> None:
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


#: Measures nothing: for commands and tests.
UNMETERED_CALL: CallMeter = _UnmeteredCall()
UNMETERED: Meter = _Unmetered()
