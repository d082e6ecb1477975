"""The controllers' own lists of numbers that may not be called."""

from datetime import datetime
from typing import Any

from ccari.policy.suppression import Reason
from ccari.ports import Digests
from ccari.store.database import Database
from ccari.store.queries import SQL


class Suppressions:
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

    async def of(self, controller: str, digests: Digests) -> list[dict[str, Any]]:
        """The bars of one number, the oldest first."""
        return await self._database.rows(SQL["check_suppression"], controller, list(digests.all))

    async def list(self, controller: str | None, limit: int) -> list[dict[str, Any]]:
        return await self._database.rows(SQL["list_suppressions"], controller, limit)
