"""Rights that the callee tells the agent, who enters them on their screen."""

from typing import Protocol
from uuid import UUID

from ccari.policy.rights import Right


class Voicing(Protocol):
    def voice(self, call_id: UUID, right: Right) -> bool:
        """Register a right, with its immediate effect, in a talk that this service runs, as the agent's
        feature code would. False if this service does not run the talk.

        The agent hears what became of it, or the callee if the talk is over by then. The live call shows it.
        """
        ...
