"""A call that is asked for from outside a dialplan."""

from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from ccari.policy.gate import Block


@dataclass(frozen=True, slots=True)
class Order:
    """``agent`` is rung first, and then ``number``; without one the callee is, and then the campaign's destination."""

    number: str = field(repr=False)
    campaign: str
    agent: str | None


@dataclass(frozen=True, slots=True)
class Placed:
    """What became of an order: ``block`` says why it is no call; None: the call is under way."""

    call_id: UUID
    block: Block | None


class Placing(Protocol):
    async def place(self, order: Order) -> Placed:
        """Ask the gate, and begin the call if it allows it.

        Raises
        ------
        AsteriskError
            If there is no Asterisk to place it, or no room for one more call.
        """
        ...
