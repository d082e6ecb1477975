"""What the database keeps of a call: its row, its journal, and what is needed to take a talk up after a crash."""

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

#: How the names begin that calls over FastAGI are filed under, in place of an Asterisk's (where ``@`` is not allowed).
OVER_FASTAGI = "agi@"


@dataclass(frozen=True, slots=True)
class OpenedCall:
    """What is known of a call when it asks the gate. ``token``: the dial token, which can be spent once.

    ``listed_as``: register and digest of the number, under each secret of the registers that the campaign
    must heed. ``keyed``: None for a caller who withholds their number.
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
    def asserted(self) -> dict[str, str]:
        """The terms and parties in the call's row, for its journal: the journal is sealed, the row is not."""
        keyed = self.keyed
        return {
            "controller": self.controller, "campaign": self.campaign, "legal_basis": self.legal_basis, "revision": str(self.revision),
            "direction": self.direction, "agent": self.agent, "number": self.number_masked,
            **({"digest": keyed.newest.hex(), "key_version": str(keyed.key_version)} if keyed else {}),
        }  # fmt: skip

    @property
    def digests(self) -> Digests:
        """The number's digests. A number that is to be called always has them."""
        if self.keyed is None:
            raise AssertionError("the number of this call is not known")
        return self.keyed


@dataclass(frozen=True, slots=True)
class RefusedCall:
    """A call that the gate was not asked about: what the dialplan asked for, as far as it may be stored.

    ``revision``, ``controller``, ``legal_basis``: of its campaign; None if the policy does not declare it.
    """

    id: UUID
    token: UUID
    asterisk: str
    agent: str
    campaign: str
    #: The row may be written much later, if the database is away.
    asked_at: datetime
    direction: str = "outbound"
    revision: int | None = None
    controller: str | None = None
    legal_basis: str | None = None


@dataclass(frozen=True, slots=True)
class LeftTalk:
    """A talk that no service runs any more. ``kept``: what is needed to take it up (:mod:`ccari.policy.call.resuming`).

    ``recordings``: how many recordings it has on record, in any state. ``registered``: the rights exercised
    in it, earliest first.
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
    """Each method raises StoreError if the change could not be made durable. A ``journal`` is written in the same transaction."""

    async def open(self, call: OpenedCall, question: Question) -> tuple[Facts, int | None]:
        """Write the call's row. Gives the gate's facts and the newest policy revision, in one round trip."""
        ...

    async def open_refused(self, call: RefusedCall) -> None: ...

    async def spend_token(
        self,
        call: OpenedCall,
        question: Question,
        judge: Callable[[Facts], Block | None],
        journal: Sequence[Entry],
    ) -> Block | None:
        """Have ``judge`` decide on the facts once more, and spend the token, in one transaction. None: dial
        now; else why not.
        """
        ...

    async def commit_heard(
        self, call_id: UUID, notice_version: str, information_version: str | None, journal: Sequence[Entry]
    ) -> None:
        """Record that the callee has heard the notice. ``information_version``: None if it had no information
        layer, or the callee was informed before or withholds their number.
        """
        ...

    async def lately(self, call: OpenedCall, of_calls: int) -> Lately:
        """The outcomes of the campaign's last ``of_calls`` callee-first calls, without this one."""
        ...

    async def let_through(self, call: OpenedCall, of_calls: int, may: Callable[[Lately], bool]) -> bool:
        """Have ``may`` decide on :meth:`lately` once more, and let this call through, in one transaction: of
        many calls that ask at once, only one gets through.
        """
        ...

    async def past_of(self, call: OpenedCall) -> Past:
        """What the number has heard from the controller, and asked of it, before this call."""
        ...

    async def register_right(
        self, call: OpenedCall, exercise: Exercise, journal: Sequence[Entry], *, opens: bool = False
    ) -> str | None:
        """Register a request, with its immediate effect, and give its reference. The same press registered
        twice is one request.

        None: the database is away; the right is durable on this node, takes effect here, and is registered
        when the database is back. Raises ConfigError if the right would have to wait and the journal's key is
        missing. ``opens``: write the call's row, if it has none.
        """
        ...

    async def keep_talk(
        self, call_id: UUID, kept: Mapping[str, Any] | None, journal: Sequence[Entry]
    ) -> None:
        """Store what is needed to take the talk up after a crash; None: it must not be taken up."""
        ...

    async def left_talks(self, asterisk: str) -> list[LeftTalk]:
        """The talks of calls that are open on this Asterisk."""
        ...

    async def write(self, call_id: UUID, journal: Sequence[Entry]) -> None:
        """Write the journal's entries, and nothing else."""
        ...

    async def close(self, call_id: UUID, outcome: str, reason: str, journal: Sequence[Entry]) -> None: ...

    async def clock(self) -> datetime:
        """The present moment, by the clock that dates the opening of calls."""
        ...

    async def close_abandoned(
        self,
        asterisk: str,
        at: datetime,
        but: Sequence[UUID] = (),
        *,
        older_than: float = 0.0,
        opened_before: datetime | None = None,
    ) -> int:
        """End calls that are open on this Asterisk but no longer run. Gives how many.

        A call over FastAGI whose token is spent ends as handed back: its dialplan may have got its ALLOW, and
        have dialled.

        ``but``: calls that go on. ``older_than``: only calls opened at least so many seconds ago;
        ``opened_before``: only those opened before that moment of :meth:`clock`. Calls of other Asterisks are
        ended too, once they are older than any call can be.
        """
        ...
