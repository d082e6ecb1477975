"""The agent card: what an agent's screen shows of a call when the callee answers."""

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
    """A right that the number has exercised before, and the state of its request now."""

    right: Right
    reference: str
    state: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Past:
    """What is on record about a number with one controller. ``source``: where it was last obtained from, if known."""

    source: str | None = None
    heard_at: datetime | None = None
    asked: Sequence[Asked] = ()


@dataclass(frozen=True, slots=True)
class AgentCard:
    """One call, as it is shown to its agent. The number is masked. ``source``: None if it is not known.

    ``controller``: its id in the policy, which decides who may see the card; ``controller_name``: what people call it.
    ``heard_at``: when the number last heard the controller's information layer. ``asked``: rights that it has exercised; None,
    as ``heard_at`` is then, if the database could not be asked. ``scripts``: what to answer, by question (``source``, ``why``).
    ``codes``: the agent's feature codes, and what each does. ``ends``: what ends at once if the agent enters that right,
    ``recording`` or ``call``; a right that is not listed ends neither.
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
        """Wait for the next card."""
        ...


class CardRack(Protocol):
    """Hands cards to the screens that watch for them."""

    def is_watched(self, agent: str) -> bool:
        """True if somebody is watching for this agent's cards."""
        ...

    def hand_out(self, card: AgentCard) -> None:
        """Hand a card to all watchers, at once and without waiting. A watcher who reads too slowly loses the oldest card."""
        ...

    def watch(self, agent: str) -> AbstractContextManager[Watch]:
        """Watch for the agent's cards while the context lasts."""
        ...
