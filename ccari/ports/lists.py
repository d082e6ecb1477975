"""Long lists of numbers: their lines, the results, and where they are entered."""

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

#: How many faulty lines a report names; it counts all of them.
FAULTS_LISTED = 100

#: Called with how many parts of a list are entered, and of how many.
Progress = Callable[[int, int], None]
Judge = Callable[[Facts], Block | None]


@dataclass(frozen=True, slots=True)
class LineFault:
    """Why a line of a file (from 1) cannot be used. ``why`` never quotes the line, which may contain a number."""

    line: int
    column: str | None
    why: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar to enter, for a number, or for a digest from an export. ``campaign`` and ``until``: as
    ``campaign`` and ``expires_at`` of :class:`ccari.policy.suppression.Suppression`.
    """

    key: Number | Keyed
    reason: Reason
    campaign: str | None
    proof: str
    origin: str
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Listed:
    """A number in the copy of a register; ``since`` and ``until``: if the register has them."""

    number: Number
    since: datetime | None
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Sourced:
    """A number, its source, and until when that source may be used (None: without limit)."""

    number: Number
    source: str
    obtained_on: date
    legal_basis: LegalBasis
    proof: str
    valid_until: datetime | None


@dataclass(frozen=True, slots=True)
class Agreed:
    """A consent on file: see :class:`ccari.policy.consent.Consent`."""

    number: Number
    purpose: str
    channel: Channel
    given_at: datetime
    withdrawn_at: datetime | None
    valid_until: datetime | None
    proof: str


def by_reason(counted: Mapping[Block, int]) -> dict[str, int]:
    """How many for each reason, most frequent first."""
    return {block.value: number for block, number in Counter(counted).most_common()}


@dataclass(frozen=True, slots=True)
class Doubts:
    """``numbers``: how many numbers of a list may have been read as somebody else's, as they may be foreign ones that lack their plus.
    ``first_line``: where the first is.
    """

    numbers: int = 0
    first_line: int | None = None

    def as_dict(self) -> dict[str, int | None]:
        return {"doubtful": self.numbers, "first_doubtful": self.first_line}


@dataclass(slots=True)
class Report:
    """The result of a list. ``controller``: whose it is; "" for a register. ``taken``: False if faults kept
    the whole list out. ``dropped``: how many numbers the new copy of a register no longer has; None for any other
    list, and if that cannot be told.
    """

    controller: str = ""
    lines: int = 0
    accepted: int = 0
    invalid: int = 0
    faults: list[LineFault] = field(default_factory=list)
    taken: bool = False
    doubts: Doubts = Doubts()
    dropped: int | None = None

    @property
    def duplicate(self) -> int:
        """How many lines repeated an earlier line, or what was already stored."""
        return self.lines - self.invalid - self.accepted if self.taken else 0

    def as_dict(self, barred: Mapping[str, int] | None = None) -> dict[str, Any]:
        """The report, as the command line and the HTTP API give it. ``barred``: lines left out because of a
        bar, by the gate's reason; None if bars do not apply to this kind of list.
        """
        return {
            "taken": self.taken, "lines": self.lines + sum((barred or {}).values()), "accepted": self.accepted,
            "duplicate": self.duplicate, "invalid": self.invalid, **self.doubts.as_dict(), **({} if barred is None else {"barred": barred}),
            **({} if self.dropped is None else {"dropped": self.dropped}),
            "faults": self.faults,
        }  # fmt: skip

    def access_target(self, into: str, barred: Mapping[str, int] | None = None) -> dict[str, str]:
        """The fields for the record of accesses, because a report tells whether numbers are known or barred.
        ``barred``: as in :meth:`as_dict`.
        """
        whose = {"controller": self.controller} if self.controller else {}
        return {**whose, "in": into, "lines": str(self.as_dict(barred)["lines"])}


@dataclass(slots=True)
class Scrubbed:
    """The result of a list of contacts or consents. ``barred``: lines left out, which the report does not count."""

    report: Report
    barred: Counter[Block] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class BarsGiven:
    """The values for lines of a list of bars that leave them out. ``until``: a day, by the controller's clock."""

    controller: str | None
    campaign: str | None
    reason: Reason
    proof: str
    until: str | None


@dataclass(frozen=True, slots=True)
class ContactsGiven:
    """As :class:`BarsGiven`, for contacts. ``campaign``: leave out numbers barred for it; None: those barred
    from every call.
    """

    controller: str | None
    campaign: str | None
    source: str | None
    obtained: str | None
    basis: LegalBasis | None
    proof: str
    valid_until: str | None


class Source(Protocol):
    """A source of a list's bytes. ``readline`` blocks, and may raise OSError."""

    def readline(self, limit: int, /) -> bytes: ...


class Sieving(Protocol):
    async def sift(self, numbers: Sequence[Sought]) -> list[Block | None]:
        """For each number: why it may not be called or kept; None if it may. One query for all of them."""
        ...


@dataclass(slots=True)
class RemainingLines:
    """What is left of a list after scrubbing, and why the rest is not. ``unchecked``: other columns that seem to hold numbers too."""

    lines: int = 0
    kept: int = 0
    invalid: int = 0
    left_out: Counter[Block] = field(default_factory=Counter)
    faults: list[LineFault] = field(default_factory=list)
    doubts: Doubts = Doubts()
    unchecked: list[str] = field(default_factory=list)

    async def sift(self, batch: Sequence[tuple[bytes, Sought] | LineFault], sieve: Sieving) -> bytes:
        """The rows that may stay, joined. The others are counted."""
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

    def as_dict(self) -> dict[str, object]:
        return {
            "lines": self.lines, "kept": self.kept, "invalid": self.invalid, **self.doubts.as_dict(),
            "left_out": by_reason(self.left_out), "unchecked": self.unchecked, "faults": self.faults,
        }  # fmt: skip


class BarLists(Protocol):
    """Long lists of bars. Each method raises StoreError."""

    async def load(
        self, controller: str, key: Key, bars: AsyncIterable[Sequence[Bar | LineFault]], *, older: Sequence[Key],
        keep_going: bool, progress: Progress,
    ) -> Report:  # fmt: skip
        """Enter bars. Numbers are entered under ``key``. A withdrawal is also entered under those ``older``
        keys that a recording on consent is stored under, so that it reaches that recording. If the list has a
        fault, nothing is entered, unless ``keep_going``.
        """
        ...

    def export(self, controller: str) -> AsyncGenerator[list[dict[str, Any]], None]:
        """The controller's bars, with everything that :meth:`load` needs to enter them elsewhere."""
        ...


class ContactLists(Protocol):
    """Long lists of contacts. Each method raises StoreError."""

    def sieve(self, question: Question, judge: Judge) -> AbstractAsyncContextManager[Sieving]:
        """Sift numbers on a connection of its own, so that no call waits for a long list."""
        ...

    async def load(
        self, question: Question, judge: Judge, contacts: AsyncIterable[Sequence[tuple[Sourced, Sought] | LineFault]], *,
        origin: str, keep_going: bool, progress: Progress,
    ) -> Scrubbed:  # fmt: skip
        """Enter contacts, except those that ``judge`` bars. If the list has a fault, nothing is entered,
        unless ``keep_going``.
        """
        ...


class ConsentLists(Protocol):
    async def load(
        self, controller: str, purposes: Mapping[str, str],
        consents: AsyncIterable[Sequence[tuple[Agreed, Digests] | LineFault]], *,
        origin: str, keep_going: bool, progress: Progress,
    ) -> Scrubbed:  # fmt: skip
        """Enter consents, except those of erased numbers. If the list has a fault, nothing is entered, unless
        ``keep_going``. A list never undoes a withdrawal.
        """
        ...


class ListWork(Protocol):
    """Importing, scrubbing and exporting long lists, under one policy. Each method raises InputError for what the policy
    does not declare, ListError for what is not a list, ConfigError without a secret, and StoreError.
    """

    async def bar(self, source: Source, given: BarsGiven, who: str, *, keep_going: bool) -> Report:
        """Bar the numbers of a list, or the digests of an export."""
        ...

    async def contact(self, source: Source, given: ContactsGiven, who: str, *, keep_going: bool) -> Scrubbed:
        """Enter numbers with their sources, except those that may not be used."""
        ...

    async def consent(
        self, source: Source, controller: str | None, who: str, *, keep_going: bool
    ) -> tuple[Scrubbed, list[str]]:
        """Enter consents, except those of erased numbers. Also gives the purposes in the list that no
        campaign asks consent to.
        """
        ...

    async def scrub(self, source: Source, campaign: str, write: Callable[[bytes], object]) -> RemainingLines:
        """Give ``write`` the header, and the rows whose number the campaign may call, unchanged."""
        ...

    def bars_csv(self, controller: str | None) -> AsyncGenerator[bytes, None]:
        """A controller's bars as CSV, some lines at a time, the header first."""
        ...

    def register(
        self, rows: AsyncGenerator[Mapping[str, Any], None], form: str
    ) -> AsyncGenerator[bytes, None]:
        """Requests as ``csv`` or ``json``, with masked numbers, some at a time. JSON has their history too."""
        ...


class ContactStore(Protocol):
    """Looking at contacts. Each method raises StoreError."""

    async def of(self, controller: str, digests: Digests) -> list[dict[str, Any]]:
        """The sources of one number, oldest first."""
        ...

    async def page(
        self, controllers: Sequence[str] | None, source: str | None, limit: int, after: int | None
    ) -> list[dict[str, Any]]:
        """Contacts, newest first. ``controllers``: None for all. ``after``: the id of the last contact of the page before."""
        ...


class ConsentStore(Protocol):
    """Looking at consents, and withdrawing them. Each method raises StoreError."""

    async def of(self, controller: str, digests: Digests) -> list[dict[str, Any]]:
        """The consents of one number, oldest first. Each has its ``state`` now, and its ``uses``: the calls
        on it, and when.
        """
        ...

    async def page(
        self, controllers: Sequence[str] | None, purpose: str | None, channel: str | None, limit: int, after: int | None
    ) -> list[dict[str, Any]]:  # fmt: skip
        """The newest consents first, older than the id ``after``, each with its ``state`` now. ``controllers``: None for all."""
        ...

    async def withdraw(
        self, controller: str, digests: Digests, at: datetime, *,
        purpose: str | None, purposes: Mapping[str, str], origin: str, proof: str, at_once: bool = False,
    ) -> int:  # fmt: skip
        """Withdraw a number's consents to ``purpose`` (None: all) and bar the calls that rested on them.
        Gives how many were withdrawn.

        ``purposes``: what each of the controller's campaigns asks consent to. ``at_once``: it came in at this
        moment, so it ends whatever is on record, however slow the clock is that ``at`` is by. Raises
        ConsentError if there is no such consent.
        """
        ...
