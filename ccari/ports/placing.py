"""Placing a call from outside a dialplan."""

from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from ccari.policy.gate import Block


@dataclass(frozen=True, slots=True)
class CallToPlace:
    """A call to place. ``agent`` is rung first, then ``number``. Without an agent the callee is rung first, then the campaign's
    destination.
    """

    number: str = field(repr=False)
    campaign: str
    agent: str | None


@dataclass(frozen=True, slots=True)
class Placed:
    """The result of an order. ``block``: why there is no call; None: the call is under way."""

    call_id: UUID
    block: Block | None


class Placing(Protocol):
    async def place(self, order: CallToPlace) -> Placed:
        """Ask the gate, and begin the call if it allows it.

        Raises
        ------
        AsteriskError
            If Asterisk is not connected, or there is no room for one more call.
        """
        ...
