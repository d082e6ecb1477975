"""The bearer tokens of the HTTP API, stored only as hashes."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import asyncpg

from ccari.ports.access import Bearer, Role
from ccari.store.database import Database
from ccari.store.queries import SQL

#: The most good tokens that are read, more than anybody makes. Requests with a good token beyond these wait like requests without one.
MOST_GOOD = 10_000


def bearer_of(row: Mapping[str, Any] | asyncpg.Record) -> Bearer:
    controllers = None if row["controllers"] is None else frozenset(row["controllers"])
    return Bearer(row["name"], Role(row["role"]), row["agent"], controllers)


class Tokens:
    """:class:`ccari.ports.access.Bearers` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, bearer: Bearer, sha256: bytes, by: str, expires_at: datetime | None) -> bool:
        """Add a token. False if the name was ever used, even by a revoked token."""
        controllers = sorted(bearer.controllers) if bearer.controllers is not None else None
        return bool(
            await self._database.rows(
                SQL["add_token"], bearer.name, bearer.role, bearer.agent, controllers, sha256, by, expires_at
            )
        )

    async def bearer(self, sha256: bytes) -> Bearer | None:
        rows = await self._database.rows(SQL["token_bearer"], sha256)
        return bearer_of(rows[0]) if rows else None

    async def valid_fingerprints(self) -> frozenset[bytes]:
        """Only the newest :data:`MOST_GOOD` tokens, if there are more."""
        return frozenset(row["sha256"] for row in await self._database.rows(SQL["good_tokens"], MOST_GOOD))

    async def revoke(self, name: str, by: str) -> bool:
        """Revoke a token. False if no token has that name, or it is revoked already."""
        return bool(await self._database.rows(SQL["revoke_token"], name, by))

    async def list(self) -> list[dict[str, Any]]:
        """Every token ever made, the oldest first, and whether it is still ``good``."""
        return await self._database.rows(SQL["list_tokens"])
