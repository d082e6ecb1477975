"""A right that the callee tells the agent of, entered at the agent's screen."""

from typing import Protocol
from uuid import UUID

from ccari.policy.rights import Right


class Voicing(Protocol):
    def voice(self, call_id: UUID, right: Right) -> bool:
        """Have a talk that this service runs register the right, as the agent's code for it would, with what it does at once;
        False if it runs no such talk. The agent hears what became of it, or the callee where the talk is over by then, and the
        live call tells.
        """
        ...
