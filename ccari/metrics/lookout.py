"""Reads states (such as open requests) from database and disk at intervals, so that a scrape neither waits for them nor causes load."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

import structlog

from ccari.errors import StoreError, UnsoundPolicyError
from ccari.metrics import catalogue
from ccari.metrics.catalogue import Family
from ccari.metrics.meter import Metrics
from ccari.metrics.registry import Values
from ccari.office.dossiers import clock
from ccari.ports.figures import COUNT_SECONDS, Figures, Pressing, Tallies
from ccari.ports.metering import Work
from ccari.ports.policies import PolicyBook
from ccari.ports.pressed import Standing

_log = structlog.get_logger()

#: How often to read states that need attention: often enough for a scrape every fifteen seconds.
LOOK_SECONDS = 15.0


class Lookout:
    """``waiting`` returns the state of the local journal, or raises StoreError.

    A state that cannot be read has no series until it can be: an old figure would look current.
    """

    def __init__(
        self, metrics: Metrics, figures: Figures, book: PolicyBook, waiting: Callable[[], Awaitable[Standing]]
    ) -> None:
        self._metrics = metrics
        self._figures = figures
        self._book = book
        self._waiting = waiting
        #: Whether the database has, when it was last asked. Something unforeseen does not say that it is away.
        self._has_answered = False
        self._pressing: Pressing | None = None
        self._tallies: Tallies | None = None
        self._standing: Standing | None = None
        self._counted_at: float | None = None
        #: why there are no counts; empty if there are
        self._uncounted = ""
        for family, read in self._reads().items():
            metrics.read(family, read)

    async def run(self) -> None:
        """Runs until cancelled."""
        while True:
            try:
                await self.look()
            except Exception:  # noqa: BLE001 - logged
                self._pressing = self._tallies = self._counted_at = None
                self._metrics.failed(Work.FIGURES)
                _log.exception("figures_failed")
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Read, once, every state that is due."""
        self._standing = None
        with contextlib.suppress(StoreError):
            self._standing = await self._waiting()
        counted = False
        try:
            # another node may have applied a revision, which otherwise only a call would notice; if this version cannot read it, the
            # database has still answered
            with contextlib.suppress(UnsoundPolicyError):
                await self._book.reload()
            self._pressing = await self._figures.pressing(clock(self._book.policy))
            self._has_answered = True
            counted = await self._count()
        except StoreError:
            # not logged here: see the event database_away
            self._pressing = self._tallies = self._counted_at = None
            self._has_answered = False
        if not counted or self._standing is None:
            self._metrics.failed(Work.FIGURES)
        else:
            self._metrics.done(Work.FIGURES)

    async def _count(self) -> bool:
        """Count the rows of large tables, if that is due; False if it failed. It uses its own connection, which may fail while those of
        calls work.
        """
        now = self._metrics.clock()
        if self._counted_at is not None and now - self._counted_at < COUNT_SECONDS:
            return True
        try:
            self._tallies, self._counted_at, self._uncounted = await self._figures.tallies(), now, ""
        except StoreError as error:
            self._tallies = self._counted_at = None
            if str(error) != self._uncounted:
                self._uncounted = str(error)
                _log.warning("figures_not_counted", reason=self._uncounted)
            return False
        return True

    def _reads(self) -> Mapping[Family, Callable[[], Values]]:
        def pressing(values: Callable[[Pressing], Values]) -> Callable[[], Values]:
            return lambda: {} if self._pressing is None else values(self._pressing)

        def tallies(values: Callable[[Tallies], Values]) -> Callable[[], Values]:
            return lambda: {} if self._tallies is None else values(self._tallies)

        def journal(values: Callable[[Standing], Values]) -> Callable[[], Values]:
            return lambda: {} if self._standing is None else values(self._standing)

        return {
            catalogue.DATABASE_UP: lambda: {(): float(self._has_answered)},
            catalogue.REQUESTS_OPEN: pressing(lambda found: _all(catalogue.REQUESTS_OPEN, found.requests)),
            catalogue.UNFINISHED: pressing(lambda found: _all(catalogue.UNFINISHED, found.unfinished)),
            catalogue.RECORDINGS_LATE: pressing(lambda found: {(): found.late}),
            catalogue.REGISTER_AGE: pressing(lambda found: {
                (name,): _age(as_of) for name, as_of in found.registers.items()
            }),
            catalogue.REGISTER_MOST: self._most_ages,
            catalogue.SUPPRESSIONS: tallies(lambda found: _all(catalogue.SUPPRESSIONS, found.suppressions)),
            catalogue.RECORDINGS: tallies(lambda found: _all(catalogue.RECORDINGS, found.recordings)),
            catalogue.REQUESTS: tallies(lambda found: {(right, channel): count for right, channel, count in found.requests}),
            catalogue.FORWARDS: tallies(lambda found: _all(catalogue.FORWARDS, found.forwards)),
            catalogue.WEBHOOKS: tallies(lambda found: {(name, state): count for name, state, count in found.webhooks}),
            catalogue.FORWARDS_AGE: tallies(lambda found: {
                (): _age(found.forwards_since) if found.forwards_since else 0.0
            }),
            catalogue.WEBHOOKS_AGE: tallies(lambda found: {
                (name,): _age(since) for name, since in found.webhooks_since.items()
            }),
            catalogue.JOURNAL_RIGHTS: journal(lambda found: {
                ("waiting",): found.waiting, ("aside",): found.aside, ("torn",): found.torn,
            }),
            catalogue.JOURNAL_AGE: journal(lambda found: {
                (): _age(found.since) if found.since else 0.0
            }),
            catalogue.JOURNAL_BYTES: journal(lambda found: {(): found.bytes}),
            catalogue.JOURNAL_FULL: journal(lambda found: {(): float(found.full)}),
            catalogue.REVISION: lambda: {(): self._book.revision or 0},
        }  # fmt: skip

    def _most_ages(self) -> Values:
        """For each register, the strictest age limit of any campaign, in seconds."""
        registers = self._book.policy.registers_in_use if self._book.policy else ()
        return {(each.id,): each.max_age_days * 86400.0 for each in registers}


def _age(since: datetime) -> float:
    return (datetime.now(UTC) - since).total_seconds()


def _all(family: Family, counts: Mapping[str, int]) -> Values:
    """A count for each value of the label, 0 if there is none: an alert cannot compare a missing series."""
    (label,) = family.labels
    return {(value,): counts.get(value, 0) for value in label.values}
