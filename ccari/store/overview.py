"""Calls, rights and due requests, counted by the database for the overview."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from ccari.ports.overview import Counted, Due, Overview
from ccari.ports.requests import SOON_DAYS, Clock
from ccari.store.database import Database
from ccari.store.queries import SQL


class Overviews:
    """:class:`ccari.ports.overview.OverviewStore` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def since(
        self, since: datetime, controllers: Sequence[str] | None, *, by_hour: bool, zone: str, clock: Clock
    ) -> Overview:
        # outside the pool: counting a month of calls reads millions of rows
        async with self._database.snapshot(outside_pool=True) as connection:
            counted = await connection.fetch(
                SQL["count_calls"], since, controllers, "hour" if by_hour else "day", zone
            )
            rights = await connection.fetch(SQL["count_rights"], since, controllers)
            due = await connection.fetchrow(SQL["count_due"], *clock.days, controllers, SOON_DAYS)
        return Overview(
            [Counted(**dict(row)) for row in counted],
            Counter({row["right"]: row["count"] for row in rights}),
            Due(**dict(due)) if due is not None else Due(),
        )
