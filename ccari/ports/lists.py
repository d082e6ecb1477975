"""Lines of a list of numbers, read and checked."""

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Protocol

from ccari.policy.bases import LegalBasis
from ccari.policy.consent import Channel
from ccari.policy.gate import Block, Facts, Question
from ccari.policy.numbers import Number
from ccari.policy.suppression import Reason
from ccari.ports.keying import Digests, Key, Keyed, Sought

#: A report names so many lines; it counts all.
FAULTS_LISTED = 100

#: Told how much of a list is entered: so many parts, of how many.
Progress = Callable[[int, int], None]
Judge = Callable[[Facts], Block | None]


@dataclass(frozen=True, slots=True)
class LineFault:
    """Why a line of a file (from 1) cannot be taken. ``why`` never quotes it, for there may be a number in it."""

    line: int
    column: str | None
    why: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar to be entered, of a number or of a digest that an export gave. ``campaign`` and ``until`` as in a policy Entry."""

    key: Number | Keyed
    reason: Reason
    campaign: str | None
    proof: str
    origin: str
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Listed:
    """A number in a copy of a register, ``since`` and ``until`` where the register says so."""

    number: Number
    since: datetime | None
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Sourced:
    """A number with where it comes from and until when (None: always) that may be used."""

    number: Number
    source: str
    obtained_on: date
    legal_basis: LegalBasis
    proof: str
    valid_until: datetime | None


@dataclass(frozen=True, slots=True)
class Agreed:
    """A consent as it is on file: see :class:`ccari.policy.consent.Consent`."""

    number: Number
    purpose: str
    channel: Channel
    given_at: datetime
    withdrawn_at: datetime | None
    valid_until: datetime | None
    proof: str


def by_reason(counted: Mapping[Block, int]) -> dict[str, int]:
    """The most frequent first."""
    return {block.value: number for block, number in Counter(counted).most_common()}


@dataclass(slots=True)
class Report:
    """What became of a list. ``controller``: whose list it is; empty for a register's. ``taken``: False if faults in it kept all
    of it out.
    """

    controller: str = ""
    lines: int = 0
    accepted: int = 0
    invalid: int = 0
    faults: list[LineFault] = field(default_factory=list)
    taken: bool = False

    @property
    def duplicate(self) -> int:
        """Lines that say what an earlier one said, or what was known before."""
        return self.lines - self.invalid - self.accepted if self.taken else 0

    def told(self, barred: Mapping[str, int] | None = None) -> dict[str, Any]:
        """As people and programmes are told of it. ``barred``: lines that a bar has left out beside, by the gate's reason;
        None where nobody is left out.
        """
        return {
            "taken": self.taken, "lines": self.lines + sum((barred or {}).values()), "accepted": self.accepted,
            "duplicate": self.duplicate, "invalid": self.invalid, **({} if barred is None else {"barred": barred}),
            "faults": self.faults,
        }  # fmt: skip

    def noted(self, into: str, barred: Mapping[str, int] | None = None) -> dict[str, str]:
        """What is put on record of it, for it tells of numbers whether they are known or barred; ``barred`` as in :meth:`told`."""
        whose = {"controller": self.controller} if self.controller else {}
        return {**whose, "in": into, "lines": str(self.told(barred)["lines"])}


@dataclass(slots=True)
class Scrubbed:
    """What became of a list of contacts or consents: ``barred`` lines were left out, and are none of the report's."""

    report: Report
    barred: Counter[Block] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class BarsGiven:
    """What goes for the lines of a list of bars that do not say it themselves. ``until``: a day, by the controller's clock."""

    controller: str | None
    campaign: str | None
    reason: Reason
    proof: str
    until: str | None


@dataclass(frozen=True, slots=True)
class ContactsGiven:
    """As :class:`BarsGiven`, of contacts. ``campaign``: whose bars keep a number out; None: those on everything."""

    controller: str | None
    campaign: str | None
    source: str | None
    obtained: str | None
    basis: LegalBasis | None
    proof: str
    valid_until: str | None


class Source(Protocol):
    """Where the bytes of a list come from. ``readline`` blocks, and may raise OSError."""

    def readline(self, limit: int, /) -> bytes: ...


class Sieving(Protocol):
    async def sift(self, numbers: Sequence[Sought]) -> list[Block | None]:
        """Why each may not be called, or be kept; one query for all of them."""
        ...


@dataclass(slots=True)
class Left:
    """What was left of a list that was scrubbed, and why not the rest."""

    lines: int = 0
    kept: int = 0
    invalid: int = 0
    left_out: Counter[Block] = field(default_factory=Counter)
    faults: list[LineFault] = field(default_factory=list)

    async def sift(self, batch: Sequence[tuple[bytes, Sought] | LineFault], sieve: Sieving) -> bytes:
        """The rows that may stay, one after the other."""
        rows = [each for each in batch if not isinstance(each, LineFault)]
        faults = [each for each in batch if isinstance(each, LineFault)]
        blocks = await sieve.sift([sought for _, sought in rows])
        kept = [raw for (raw, _), block in zip(rows, blocks, strict=True) if block is None]
        self.lines += len(batch)
        self.kept += len(kept)
        self.invalid += len(faults)
        self.left_out.update(block for block in blocks if block is not None)
        self.faults += faults[: FAULTS_LISTED - len(self.faults)]
        return b"".join(kept)

    def told(self) -> dict[str, object]:
        return {
            "lines": self.lines, "kept": self.kept, "invalid": self.invalid,
            "left_out": by_reason(self.left_out), "faults": self.faults,
        }  # fmt: skip


class BarLists(Protocol):
    """Long lists of bars. Each method raises StoreError."""

    async def load(
        self, controller: str, key: Key, bars: AsyncIterable[Sequence[Bar | LineFault]], *, older: Sequence[Key],
        keep_going: bool, progress: Progress,
    ) -> Report:  # fmt: skip
        """Enter them, under ``key`` where there are numbers; a withdrawal under the ``older`` ones too, where it has something
        to reach there. With a fault in the list nothing is, unless ``keep_going``.
        """
        ...

    def export(self, controller: str) -> AsyncGenerator[list[dict[str, Any]], None]:
        """What :meth:`load` needs to enter the same bars elsewhere."""
        ...


class ContactLists(Protocol):
    """Long lists of contacts. Each method raises StoreError."""

    def sieve(self, question: Question, judge: Judge) -> AbstractAsyncContextManager[Sieving]:
        """On a connection of its own, so that no call waits for a long list."""
        ...

    async def load(
        self, question: Question, judge: Judge, contacts: AsyncIterable[Sequence[tuple[Sourced, Sought] | LineFault]], *,
        origin: str, keep_going: bool, progress: Progress,
    ) -> Scrubbed:  # fmt: skip
        """Enter them but for those that ``judge`` bars. With a fault in the list nothing is, unless ``keep_going``."""
        ...


class ConsentLists(Protocol):
    async def load(
        self, controller: str, purposes: Mapping[str, str],
        consents: AsyncIterable[Sequence[tuple[Agreed, Digests] | LineFault]], *,
        origin: str, keep_going: bool, progress: Progress,
    ) -> Scrubbed:  # fmt: skip
        """Enter them but for those that were erased. With a fault in the list nothing is, unless ``keep_going``; no list
        undoes a withdrawal.
        """
        ...


class ListWork(Protocol):
    """Long lists as people and programmes bring them, under one policy. Each method raises InputError for what is not so in
    the policy, ListError for what is no list, ConfigError without a secret, and StoreError.
    """

    async def bar(self, source: Source, given: BarsGiven, who: str, *, keep_going: bool) -> Report:
        """Bar the numbers of a list, or the digests of one that an export gave."""
        ...

    async def contact(self, source: Source, given: ContactsGiven, who: str, *, keep_going: bool) -> Scrubbed:
        """Take in numbers with where they come from, but for those that may not be used."""
        ...

    async def consent(
        self, source: Source, controller: str | None, who: str, *, keep_going: bool
    ) -> tuple[Scrubbed, list[str]]:
        """Take in consents, but for those that were erased; gives also purposes in the list that no campaign asks for."""
        ...

    async def scrub(self, source: Source, campaign: str, write: Callable[[bytes], object]) -> Left:
        """Give ``write`` the header, and the rows whose number the campaign may call, unchanged."""
        ...

    def bars_csv(self, controller: str | None) -> AsyncGenerator[bytes, None]:
        """A controller's bars as CSV, some lines at a time, the header first."""
        ...

    def register(
        self, rows: AsyncGenerator[Mapping[str, Any], None], form: str
    ) -> AsyncGenerator[bytes, None]:
        """Requests as ``csv`` or ``json``, with masked numbers, some at a time; JSON has the history too."""
        ...


class ContactStore(Protocol):
    """Contacts as they are looked at. Each method raises StoreError."""

    async def of(self, controller: str, digests: Digests) -> list[dict[str, Any]]:
        """The sources of one number, the oldest first."""
        ...

    async def page(
        self, controllers: Sequence[str] | None, source: str | None, limit: int, after: int | None
    ) -> list[dict[str, Any]]:
        """Those that were entered last before the others, of all controllers if they are None; after the one of that id."""
        ...


class ConsentStore(Protocol):
    """Consents as they are looked at, and taken back. Each method raises StoreError."""

    async def of(self, controller: str, digests: Digests) -> list[dict[str, Any]]:
        """The consents of one number, the oldest first, each with its ``uses``: the call, and when."""
        ...

    async def page(
        self, controllers: Sequence[str] | None, purpose: str | None, channel: str | None, limit: int, after: int | None
    ) -> list[dict[str, Any]]:  # fmt: skip
        """The newest first, of all controllers if they are None; after the one of that id."""
        ...

    async def withdraw(
        self, controller: str, digests: Digests, at: datetime, *,
        purpose: str | None, purposes: Mapping[str, str], origin: str, proof: str,
    ) -> int:  # fmt: skip
        """Withdraw a number's consents to ``purpose`` (None: all) and bar the calls that rested on them; how many there
        were. ``purposes``: what each of the controller's campaigns asks consent to. Raises ConsentError if there is none.
        """
        ...
