"""Loads a long list: it is streamed into a temporary table and, if it has no fault, merged slice by slice.

Only one batch is held in memory, and a row that a call needs is locked for one slice at most: a key press on a number of the list waits a
few milliseconds, not for the whole list.
"""

import contextlib
from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from typing import Any

import asyncpg

from ccari.errors import StoreError
from ccari.ports.lists import FAULTS_LISTED, LineFault, Progress, Report
from ccari.store.database import OUTSIDE_IDLE_SECONDS, Database
from ccari.store.entering import refuse_gone

Record = tuple[Any, ...]

#: About how many rows of the list one statement merges.
SLICE_ROWS = 5000
_DIGEST_BITS = 256


def unseen(_done: int, _of: int) -> None:
    pass


class Staging:
    """The temporary table ``incoming`` on a connection of its own, and the report on the list that goes through it."""

    def __init__(
        self, connection: asyncpg.Connection, columns: Sequence[str], report: Report, *, keep_going: bool
    ) -> None:
        self.connection = connection
        self.report = report
        self._columns = columns
        self._keep_going = keep_going

    @property
    def sound(self) -> bool:
        """Whether the rows read may be merged."""
        return self._keep_going or not self.report.invalid

    async def take(self, batches: AsyncIterable[Sequence[Record | LineFault]]) -> None:
        """Read the list to its end, so that every fault is counted. Keep the valid lines for as long as the list may still be merged."""
        report = self.report
        async for batch in batches:
            faults = [each for each in batch if isinstance(each, LineFault)]
            report.lines += len(batch)
            report.invalid += len(faults)
            report.faults += faults[: FAULTS_LISTED - len(report.faults)]
            records = [each for each in batch if not isinstance(each, LineFault)]
            if records and self.sound:
                await self.connection.copy_records_to_table(
                    "incoming", records=records, columns=self._columns
                )

    async def merge(self, statement: str, *arguments: Any, progress: Progress = unseen) -> None:
        """Run ``statement`` for each slice of ``incoming``. It returns how many rows are new; the report adds them up.

        Its $1 and $2 are the first and last digest of the slice, $3 onwards the ``arguments``. It must lock its rows in the order of
        (digest, …), like every statement that writes many rows, so that no two deadlock. Each slice is its own transaction, unless the
        connection is already in one.
        """
        async for first, last in self.slices(progress):
            self.report.accepted += await self.connection.fetchval(statement, first, last, *arguments)

    async def slices(
        self, progress: Progress = unseen, *, rows: int | None = None
    ) -> AsyncIterator[tuple[bytes, bytes]]:
        """The first and last digest of each slice of ``incoming``. ``progress`` is called with the number of slices done, and of all
        slices.

        ``rows``: roughly how many per slice; fewer than :data:`SLICE_ROWS` where a slice holds locks that others wait for.
        """
        await self.connection.execute("CREATE INDEX ON incoming (digest); ANALYZE incoming")
        slices = -(-self.report.lines // (rows or SLICE_ROWS))
        for done in range(slices):
            # keyed digests are evenly distributed: equal parts of their range hold about the same number of rows
            yield _bound(done, slices), _bound(done + 1, slices, less=1)
            progress(done + 1, slices)
        self.report.taken = True


@contextlib.asynccontextmanager
async def staging(
    database: Database, columns: Mapping[str, str], *, controller: str = "", keep_going: bool = False
) -> AsyncIterator[Staging]:
    """Create the temporary table ``incoming``, with ``columns`` by name and type; one must be ``digest bytea``.

    ``controller``: the list's owner; "" for a register's list.

    Raises
    ------
    InputError
        If the controller was deleted.
    StoreError
        If the database refuses or fails. What was merged before stays, and counts as known when the list is loaded again.
    """
    async with database.outside_pool() as connection:
        # fail before reading the list; each slice checks again
        await refuse_gone(connection, controller)
        declared = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        # planner statistics would keep samples of what people wrote, and outlive the table
        unsampled = ", ".join(
            f"ALTER {name} SET STATISTICS {0 if kind == 'text' else -1}" for name, kind in columns.items()
        )
        # the tables grow with each slice: a plan made for an empty table would scan a full one
        await connection.execute(
            "SET plan_cache_mode = force_custom_plan; "
            f"CREATE TEMPORARY TABLE incoming ({declared}); ALTER TABLE incoming {unsampled}"
        )
        try:
            yield Staging(connection, tuple(columns), Report(controller), keep_going=keep_going)
        except (asyncpg.ConnectionDoesNotExistError, asyncpg.InterfaceError, asyncpg.InternalClientError):
            if not connection.is_closed():
                raise
            # asyncpg does not report why the server ended the connection
            raise StoreError(
                "the database closed the connection: it stopped, or this process was suspended for "
                f"{OUTSIDE_IDLE_SECONDS:.0f} s or longer; load the list again"
            ) from None


def _bound(part: int, parts: int, *, less: int = 0) -> bytes:
    """The digest at the given fraction of the range of all digests, or ``less`` below it."""
    return ((part << _DIGEST_BITS) // parts - less).to_bytes(_DIGEST_BITS // 8, "big")
