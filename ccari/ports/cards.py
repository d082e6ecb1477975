"""The agent card: what the agent is to know of a call, when the callee answers."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

from ccari.policy.bases import LegalBasis
from ccari.policy.rights import Right


@dataclass(frozen=True, slots=True)
class Asked:
    """A right that the number has exercised before, as it stands now."""

    right: Right
    reference: str
    state: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Past:
    """What is on record of a number with one controller. ``source``: where it was last obtained from, if that is known."""

    source: str | None = None
    heard_at: datetime | None = None
    asked: Sequence[Asked] = ()


@dataclass(frozen=True, slots=True)
class AgentCard:
    """One call, as its agent is told of it. The number is masked; ``source`` is None where nobody has said it.

    ``controller`` is its id in the policy, by which it is known who may see the card; ``controller_name`` is what people
    call it. ``heard_at``: when this number last heard the controller's information. ``asked`` is None, as ``heard_at`` is
    then, where the records could not be asked: an empty list says that the number has exercised nothing. ``scripts``: what
    to answer, by question (``source``, ``why``). ``codes``: the agent's feature codes and what each does. ``ends``: what a right
    ends at once that the agent enters, ``recording`` or ``call``; what is not there ends neither.
    """

    call_id: UUID
    agent: str
    direction: str
    number_masked: str
    controller: str
    controller_name: str
    campaign: str
    purpose: str
    legal_basis: LegalBasis
    source: str | None
    language: str
    recording_mode: str
    heard_at: datetime | None
    asked: Sequence[Asked] | None
    scripts: Mapping[str, str]
    codes: Mapping[str, str]
    ends: Mapping[Right, Literal["recording", "call"]]


class Watch(Protocol):
    async def next(self) -> AgentCard:
        """The next card, waiting for it."""
        ...


class CardRack(Protocol):
    """Where cards are handed to those who watch for them."""

    def is_watched(self, agent: str) -> bool:
        """True if a card of this agent's would be handed to somebody now."""
        ...

    def hand_out(self, card: AgentCard) -> None:
        """At once; whoever is too slow loses the oldest card, and nobody waits for anybody."""
        ...

    def watch(self, agent: str) -> AbstractContextManager[Watch]:
        """The agent's cards from now on, while the context lasts."""
        ...
