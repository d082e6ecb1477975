"""A call's rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from ccari.policy.call.events import RightOnRecord
from ccari.policy.chain import Entry
from ccari.policy.gate import Block, Facts, Question
from ccari.policy.pacing import Lately
from ccari.ports.cards import Past
from ccari.ports.keying import Digests
from ccari.ports.requests import Exercise


@dataclass(frozen=True, slots=True)
class OpenedCall:
    """What is known of a call when it asks at the gate; ``token`` is spent once, to dial.

    ``listed_as``: register and digest, under each secret of the registers that the campaign must heed. ``keyed`` is None
    for somebody who calls and does not show their number.
    """

    id: UUID
    token: UUID
    asterisk: str
    agent: str
    number_masked: str
    revision: int
    controller: str
    campaign: str
    legal_basis: str
    keyed: Digests | None
    listed_as: tuple[tuple[str, bytes], ...] = ()
    direction: str = "outbound"

    @property
    def digests(self) -> Digests:
        """Those of a number that is known, as every number is that is to be called."""
        if self.keyed is None:
            raise AssertionError("the number of this call is not known")
        return self.keyed


@dataclass(frozen=True, slots=True)
class RefusedCall:
    """A call that no policy covers: what the dialplan asked for, as far as it can be kept."""

    id: UUID
    token: UUID
    asterisk: str
    agent: str
    campaign: str
    direction: str = "outbound"


@dataclass(frozen=True, slots=True)
class LeftTalk:
    """A talk that nobody runs any more, with what was kept of it (:mod:`ccari.policy.call.resuming`).

    ``recordings``: how many of it are on record, whatever became of each. ``registered``: the rights that were exercised in it,
    the first before the others.
    """

    id: UUID
    direction: str
    agent: str
    campaign: str
    revision: int
    notice_version: str
    kept: Mapping[str, Any]
    recordings: int
    registered: tuple[RightOnRecord, ...] = ()


class CallStore(Protocol):
    """A call's rows. Each method raises StoreError if it could not be made durable.

    A journal given along is written in the same transaction.
    """

    async def open(self, call: OpenedCall, question: Question) -> tuple[Facts, int | None]:
        """Write the call's row; give the gate's facts and the newest policy revision, in one round trip."""
        ...

    async def open_refused(self, call: RefusedCall) -> None: ...

    async def spend_token(
        self,
        call: OpenedCall,
        question: Question,
        judge: Callable[[Facts], Block | None],
        journal: Sequence[Entry],
    ) -> Block | None:
        """Have the facts judged once more and spend the token, in one transaction. None means: dial now; else why not."""
        ...

    async def commit_heard(
        self, call_id: UUID, notice_version: str, information_version: str | None, journal: Sequence[Entry]
    ) -> None:
        """What the callee has heard; ``information_version`` if the information layer was a part of it."""
        ...

    async def lately(self, call: OpenedCall, of_calls: int) -> Lately:
        """What became of the campaign's last calls that rang the callee first, without this one."""
        ...

    async def let_through(self, call: OpenedCall, of_calls: int, may: Callable[[Lately], bool]) -> bool:
        """Have :meth:`lately` judged once more, and let this call through, in one transaction: of many that ask at once, one."""
        ...

    async def past_of(self, call: OpenedCall) -> Past:
        """What the number has heard from the controller, and asked of it, before this call."""
        ...

    async def register_right(
        self, call: OpenedCall, exercise: Exercise, journal: Sequence[Entry], *, opens: bool = False
    ) -> str | None:
        """The request and its immediate effect; the same press twice is one request. Gives its reference.

        None: it is durable on this node, takes effect here, and is registered when the database is back. ``opens``: the call
        has no row yet.
        """
        ...

    async def keep_talk(
        self, call_id: UUID, kept: Mapping[str, Any] | None, journal: Sequence[Entry]
    ) -> None:
        """What the talk is to be taken up with if we die; None: it is not to be taken up as it is now."""
        ...

    async def left_talks(self, asterisk: str) -> list[LeftTalk]:
        """The talks of calls that are open on this Asterisk."""
        ...

    async def write(self, call_id: UUID, journal: Sequence[Entry]) -> None:
        """Nothing but the journal."""
        ...

    async def close(self, call_id: UUID, outcome: str, reason: str, journal: Sequence[Entry]) -> None: ...

    async def close_abandoned(
        self, asterisk: str, at: datetime, but: Sequence[UUID] = (), *, older_than: float = 0.0
    ) -> int:
        """End the calls that are open on this Asterisk and that nobody runs: all ``but`` some, opened so many seconds ago or
        longer; gives how many. Any Asterisk's, once no call lasts so long.
        """
        ...
