"""Long lists into the database: streamed into a temporary table, and from there, when all is sound, into their place.

Nothing is kept in memory but one batch, and no row that a call needs is held for longer than one slice takes: a key
press on a number of the list waits a few milliseconds, not for the whole of it.
"""

import contextlib
from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from typing import Any

import asyncpg

from ccari.errors import StoreError
from ccari.ports.lists import FAULTS_LISTED, LineFault, Progress, Report
from ccari.store.database import APART_IDLE_SECONDS, Database

Record = tuple[Any, ...]

#: Rows of the list that are merged by one statement.
SLICE_ROWS = 5000
_DIGEST_BITS = 256


def unseen(_done: int, _of: int) -> None:
    pass


class Staging:
    """The temporary table ``incoming`` on a connection of its own, and the report of what goes through it."""

    def __init__(
        self, connection: asyncpg.Connection, columns: Sequence[str], report: Report, *, keep_going: bool
    ) -> None:
        self.connection = connection
        self.report = report
        self._columns = columns
        self._keep_going = keep_going

    @property
    def sound(self) -> bool:
        """Whether what was taken may go to its place."""
        return self._keep_going or not self.report.invalid

    async def take(self, batches: AsyncIterable[Sequence[Record | LineFault]]) -> None:
        """Read to the end, so that every fault is counted, and keep what is sound as long as it may go in."""
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
        """Run ``statement`` for each slice of ``incoming``, and add up what it gives: how many rows are new.

        Its $1 and $2 are the first and the last digest of the slice, its $3 and on the ``arguments``. It takes its rows
        in the order of (digest, …), as everybody does who writes many: so no two wait for one another. Each slice is a
        transaction of its own, unless the connection is in one.
        """
        async for first, last in self.slices(progress):
            self.report.accepted += await self.connection.fetchval(statement, first, last, *arguments)

    async def slices(
        self, progress: Progress = unseen, *, rows: int | None = None
    ) -> AsyncIterator[tuple[bytes, bytes]]:
        """The first and the last digest of each slice of ``incoming``. ``progress``: slices done, of how many.

        ``rows``: about so many in each, where a slice holds what others wait for; else :data:`SLICE_ROWS`.
        """
        await self.connection.execute("CREATE INDEX ON incoming (digest); ANALYZE incoming")
        slices = -(-self.report.lines // (rows or SLICE_ROWS))
        for done in range(slices):
            # keyed digests are spread evenly, so that a part of their range is as large a part of the rows
            yield _bound(done, slices), _bound(done + 1, slices, less=1)
            progress(done + 1, slices)
        self.report.taken = True


@contextlib.asynccontextmanager
async def staging(
    database: Database, columns: Mapping[str, str], *, controller: str = "", keep_going: bool = False
) -> AsyncIterator[Staging]:
    """``columns``: of the temporary table, name to type; ``digest bytea`` is one of them. ``controller``: whose list it is, unless
    it is a register's.

    Raises
    ------
    StoreError
        If the database refuses or fails. What was merged before is in, and comes as known the next time.
    """
    async with database.apart() as connection:
        declared = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        # the tables grow from slice to slice: a plan that was made for an empty one reads all of a full one
        await connection.execute(
            f"SET plan_cache_mode = force_custom_plan; CREATE TEMPORARY TABLE incoming ({declared})"
        )
        try:
            yield Staging(connection, tuple(columns), Report(controller), keep_going=keep_going)
        except (asyncpg.ConnectionDoesNotExistError, asyncpg.InterfaceError, asyncpg.InternalClientError):
            if not connection.is_closed():
                raise
            # asyncpg does not pass on what the server said as it went
            raise StoreError(
                "the database has ended the connection: it went away, or this process was stopped in the middle for "
                f"{APART_IDLE_SECONDS:.0f} s or longer; load the list again"
            ) from None


def _bound(part: int, parts: int, *, less: int = 0) -> bytes:
    """Where the given part of all digests begins."""
    return ((part << _DIGEST_BITS) // parts - less).to_bytes(_DIGEST_BITS // 8, "big")
