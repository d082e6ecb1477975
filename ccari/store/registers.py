"""Copies of national registers of people who want no advertising calls from anybody."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ccari.counting import counted
from ccari.errors import ListError
from ccari.keyring.secrets import Key
from ccari.ports.lists import LineFault, Listed, Progress, Report
from ccari.store.bulk import Record, Staging, staging, unseen
from ccari.store.database import Database, in_transaction
from ccari.store.queries import SQL, columns

_INCOMING = {
    "digest": "bytea", "key_version": "smallint", "listed_at": "timestamptz", "expires_at": "timestamptz",
}  # fmt: skip
#: A copy with less than this share of the previous copy's numbers counts as a truncated download, or as another list.
_LEAST_LEFT = 0.5


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy to load: the whole register as of ``as_of`` or, if it is an ``update``, the additions since.

    ``shrunk``: a person has confirmed that it is much smaller than the previous one. ``dated``: a person has given its date.
    ``listed_at``: the listing date for numbers whose date the copy omits; None: ``as_of``.
    """

    register: str
    as_of: datetime
    loaded_by: str
    update: bool = False
    shrunk: bool = False
    dated: bool = True
    listed_at: datetime | None = None


class Registers:
    """:class:`ccari.ports.suppressions.RegisterStore` on PostgreSQL, and the loading of copies."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(
        self, copy: Copy, key: Key, listed: AsyncIterable[Sequence[Listed | LineFault]], sha256: Callable[[], bytes], *,
        keep_going: bool = False, progress: Progress = unseen,
    ) -> Report:  # fmt: skip
        """Load a copy, all or nothing: the previous copy counts until the commit, and if the new one is refused.

        ``sha256`` is called when ``listed`` has ended. If lines are invalid, no number is dropped from the register: a missing number may
        be on one of those lines.

        Raises
        ------
        ListError
            If it is older than the copy before, has too few numbers or others, is an update of a register that was never loaded, or is an
            update without a number that nobody has dated.
        StoreError
            If the database fails; nothing has changed then.
        """
        async with staging(self._database, _INCOMING, keep_going=keep_going) as staged:
            await staged.take(_records(listed, key))
            if staged.sound:
                async with in_transaction(staged.connection):
                    await _replace(staged, copy, key, sha256(), progress)
            return staged.report

    async def ages(self) -> list[dict[str, Any]]:
        return await self._database.rows(SQL["register_ages"])

    async def of(self, listed_as: Sequence[tuple[str, bytes]]) -> list[dict[str, Any]]:
        return await self._database.rows(SQL["check_listings"], *columns(listed_as))


async def _replace(staged: Staging, copy: Copy, key: Key, sha256: bytes, progress: Progress) -> None:
    connection = staged.connection
    await connection.execute(SQL["lock_register"], copy.register)
    before = await connection.fetchrow(SQL["newest_load"], copy.register)
    if copy.update and before is None:
        raise ListError(f"{copy.register!r} has never been loaded: load the whole register before an update")
    if copy.update and not copy.dated and staged.report.invalid == staged.report.lines:
        raise ListError(
            f"the file contains no numbers, and would only make {copy.register!r} count as up to date: give "
            "--as-of if there is nothing new"
        )
    if not copy.update and before is not None:
        if before["as_of"] is not None and copy.as_of < before["as_of"]:
            raise ListError(
                f"the loaded copy of {copy.register!r} is dated {before['as_of']:%Y-%m-%d %H:%M} UTC, and this one is "
                "older: if it is not give --as-of"
            )
        if before["misdated"]:
            await connection.execute(SQL["correct_misdated_loads"], copy.register, copy.as_of)
    load = await connection.fetchval(SQL["add_load"], copy.register, copy.as_of, copy.loaded_by, sha256)
    listed_at = copy.listed_at or copy.as_of
    await staged.merge(SQL["merge_register"], copy.register, load, listed_at, progress=progress)
    if not copy.update and not staged.report.invalid:
        dropped = await connection.fetchval(SQL["drop_unlisted"], copy.register, key.version, key.check)
        staged.report.dropped = None if before is None else dropped
    entries = await connection.fetchval(SQL["count_load"], load, copy.register)
    expected = before["entries"] if before is not None else 1
    if not copy.update and not copy.shrunk and entries < _LEAST_LEFT * expected:
        raise ListError(
            f"the file has {counted(entries, 'number')}, but the copy of {copy.register!r} "
            f"{'had ' + str(expected) if before is not None else 'cannot be empty'}: "
            "get the file again, or add --shrunk if it is right"
        )
    dropped = staged.report.dropped or 0
    if not copy.shrunk and dropped > (1 - _LEAST_LEFT) * expected:
        raise ListError(
            f"the file lacks {dropped} of the {expected} numbers that the copy of {copy.register!r} had: is it this register's, "
            "and are its numbers of this country? Get the file again, or add --shrunk if it is right"
        )


async def _records(
    listed: AsyncIterable[Sequence[Listed | LineFault]], key: Key
) -> AsyncIterator[list[Record | LineFault]]:
    def keyed(batch: Sequence[Listed | LineFault]) -> list[Record | LineFault]:
        return [
            each
            if isinstance(each, LineFault)
            else (key.digest(each.number), key.version, each.since, each.until)
            for each in batch
        ]

    async for batch in listed:
        yield await asyncio.to_thread(keyed, batch)
