"""The controllers' own lists of numbers that may not be called."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Sequence
from datetime import datetime
from typing import Any

from ccari.policy.suppression import Reason
from ccari.ports.keying import Digests, Key, Keyed
from ccari.ports.lists import Bar, LineFault, Progress, Report
from ccari.store.bulk import Record, staging, unseen
from ccari.store.database import Database
from ccari.store.queries import SQL

_INCOMING = {
    "digest": "bytea", "key_version": "smallint", "campaign": "text", "reason": "text", "origin": "text",
    "proof": "text", "entered_at": "timestamptz", "expires_at": "timestamptz",
}  # fmt: skip


class Suppressions:
    """:class:`ccari.ports.SuppressionStore` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self, controller: str, digests: Digests, reason: Reason, origin: str, proof: str, *,
        campaign: str | None = None, expires_at: datetime | None = None,
    ) -> bool:  # fmt: skip
        """Bar a number; False if it was barred for this reason already."""
        async with self._database.connection() as connection:
            added = await connection.fetchval(
                SQL["add_suppression"], controller, digests.newest, digests.key_version, campaign or "", reason,
                origin, proof, None, expires_at,
            )  # fmt: skip
        return bool(added)

    async def load(
        self, controller: str, key: Key, bars: AsyncIterable[Sequence[Bar | LineFault]], *, keep_going: bool,
        progress: Progress = unseen,
    ) -> Report:  # fmt: skip
        """Enter a long list, under ``key`` where it has numbers. With a fault in it nothing is, unless ``keep_going``.

        Raises
        ------
        StoreError
            If the database fails; bars that were entered by then stay, and the list can be loaded again.
        """
        async with staging(self._database, _INCOMING, keep_going=keep_going) as staged:
            await staged.take(_records(bars, key))
            if staged.sound:
                await staged.merge(SQL["merge_suppressions"], controller, progress=progress)
            return staged.report

    async def remove(
        self, controller: str, digests: Digests, removed_by: str, why: str, *,
        reason: Reason | None = None, campaign: str | None = None,
    ) -> list[dict[str, Any]]:  # fmt: skip
        """Lift the bars of a number, or those for one reason or on one campaign; what is lifted stays on record."""
        async with self._database.transaction() as connection:
            rows = await connection.fetch(
                SQL["remove_suppressions"], controller, list(digests.all), reason, campaign, removed_by, why
            )
        return [dict(row) for row in rows]

    async def of(self, controller: str, digests: Digests) -> list[dict[str, Any]]:
        """The bars of one number, the oldest first."""
        return await self._database.rows(SQL["check_suppression"], controller, list(digests.all))

    async def page(
        self, controllers: Sequence[str] | None, limit: int, after: tuple[datetime, int] | None, *,
        campaign: str | None = None, reason: Reason | None = None,
    ) -> list[dict[str, Any]]:  # fmt: skip
        """The newest first, of all controllers if they are None; from the one on that was entered then, of that id.
        Only those on a ``campaign``, or for a ``reason``, if they are given.
        """
        return await self._database.rows(
            SQL["page_of_suppressions"], controllers, limit, *(after or (None, None)), campaign, reason
        )

    def newest(self, controller: str | None, limit: int | None) -> AsyncIterator[list[dict[str, Any]]]:
        """The newest first, of all controllers if it is None; all of them if ``limit`` is."""
        return self._database.stream(SQL["list_suppressions"], controller, limit)

    def export(self, controller: str) -> AsyncGenerator[list[dict[str, Any]], None]:
        """What :meth:`load` needs to enter the same bars elsewhere, in the order of their digests."""
        return self._database.stream(SQL["export_suppressions"], controller)


async def _records(
    bars: AsyncIterable[Sequence[Bar | LineFault]], key: Key
) -> AsyncIterator[list[Record | LineFault]]:
    def made(batch: Sequence[Bar | LineFault]) -> list[Record | LineFault]:
        return [bar if isinstance(bar, LineFault) else _record(bar, key) for bar in batch]

    async for batch in bars:
        yield await asyncio.to_thread(made, batch)


def _record(bar: Bar, key: Key) -> Record:
    keyed = bar.key if isinstance(bar.key, Keyed) else Keyed(key.digest(bar.key), key.version)
    return (
        keyed.digest, keyed.version, bar.campaign or "", bar.reason, bar.origin, bar.proof, bar.since, bar.until,
    )  # fmt: skip
