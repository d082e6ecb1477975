"""Loading a long list: it is streamed into a temporary table and, if it has no fault, merged from there slice by slice.

Only one batch is held in memory, and no row that a call needs is locked for longer than one slice takes: a key press on a number
of the list waits a few milliseconds, not for the whole list.
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
        """Whether what was taken may be merged."""
        return self._keep_going or not self.report.invalid

    async def take(self, batches: AsyncIterable[Sequence[Record | LineFault]]) -> None:
        """Read the list to its end, so that every fault is counted; keep the lines without one as long as they may be merged."""
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
        """Run ``statement`` for each slice of ``incoming``. It gives how many rows are new, which are added up in the report.

        Its $1 and $2 are the first and the last digest of the slice, $3 and on the ``arguments``. It has to lock its rows in the
        order of (digest, …), as every statement that writes many rows does, so that no two deadlock. Each slice is a transaction
        of its own, unless the connection is in one.
        """
        async for first, last in self.slices(progress):
            self.report.accepted += await self.connection.fetchval(statement, first, last, *arguments)

    async def slices(
        self, progress: Progress = unseen, *, rows: int | None = None
    ) -> AsyncIterator[tuple[bytes, bytes]]:
        """The first and the last digest of each slice of ``incoming``. ``progress`` is given how many slices are done, of how many.

        ``rows``: about how many in each; fewer than :data:`SLICE_ROWS` where a slice holds locks that others wait for.
        """
        await self.connection.execute("CREATE INDEX ON incoming (digest); ANALYZE incoming")
        slices = -(-self.report.lines // (rows or SLICE_ROWS))
        for done in range(slices):
            # keyed digests are spread evenly: equal parts of their range have about as many rows each
            yield _bound(done, slices), _bound(done + 1, slices, less=1)
            progress(done + 1, slices)
        self.report.taken = True


@contextlib.asynccontextmanager
async def staging(
    database: Database, columns: Mapping[str, str], *, controller: str = "", keep_going: bool = False
) -> AsyncIterator[Staging]:
    """Make the temporary table ``incoming``, with ``columns`` by name and type, of which ``digest bytea`` is one.

    ``controller``: whose list it is; "" for a register's.

    Raises
    ------
    InputError
        If the controller was deleted.
    StoreError
        If the database refuses or fails. What was merged before stays, and counts as known when the list is loaded again.
    """
    async with database.outside_pool() as connection:
        # before the list is read: each slice is refused as well
        await refuse_gone(connection, controller)
        declared = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        # the planner's statistics would keep samples of what people wrote, and outlive the table
        unsampled = ", ".join(
            f"ALTER {name} SET STATISTICS {0 if kind == 'text' else -1}" for name, kind in columns.items()
        )
        # the tables grow from slice to slice: a plan that was made for an empty table would read all of a full one
        await connection.execute(
            "SET plan_cache_mode = force_custom_plan; "
            f"CREATE TEMPORARY TABLE incoming ({declared}); ALTER TABLE incoming {unsampled}"
        )
        try:
            yield Staging(connection, tuple(columns), Report(controller), keep_going=keep_going)
        except (asyncpg.ConnectionDoesNotExistError, asyncpg.InterfaceError, asyncpg.InternalClientError):
            if not connection.is_closed():
                raise
            # asyncpg does not pass on why the server ended the connection
            raise StoreError(
                "the database closed the connection: it stopped, or this process was suspended for "
                f"{OUTSIDE_IDLE_SECONDS:.0f} s or longer; load the list again"
            ) from None


def _bound(part: int, parts: int, *, less: int = 0) -> bytes:
    """The digest at which the given part of all digests begins, or ``less`` before it."""
    return ((part << _DIGEST_BITS) // parts - less).to_bytes(_DIGEST_BITS // 8, "big")
