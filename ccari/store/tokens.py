"""The bearer tokens of the HTTP API, by their hash."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import asyncpg

from ccari.ports.access import Bearer, Role
from ccari.store.database import Database
from ccari.store.queries import SQL

#: More are hardly made; who is not among them waits as others do.
MOST_GOOD = 10_000


def bearer_of(row: Mapping[str, Any] | asyncpg.Record) -> Bearer:
    controllers = None if row["controllers"] is None else frozenset(row["controllers"])
    return Bearer(row["name"], Role(row["role"]), row["agent"], controllers)


class Tokens:
    """:class:`ccari.ports.Bearers` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, bearer: Bearer, sha256: bytes, by: str, expires_at: datetime | None) -> bool:
        """False if the name was used before, though its token may be revoked."""
        controllers = sorted(bearer.controllers) if bearer.controllers is not None else None
        return bool(
            await self._database.rows(
                SQL["add_token"], bearer.name, bearer.role, bearer.agent, controllers, sha256, by, expires_at
            )
        )

    async def bearer(self, sha256: bytes) -> Bearer | None:
        """Who bears the token of that hash; None: nobody, or no longer."""
        found = await self._database.rows(SQL["token_bearer"], sha256)
        return bearer_of(found[0]) if found else None

    async def good(self) -> frozenset[bytes]:
        """The hashes of the tokens that are good; of very many, those that were made last."""
        return frozenset(row["sha256"] for row in await self._database.rows(SQL["good_tokens"], MOST_GOOD))

    async def revoke(self, name: str, by: str) -> bool:
        """False if there is no such token, or it is revoked already."""
        return bool(await self._database.rows(SQL["revoke_token"], name, by))

    async def list(self) -> list[dict[str, Any]]:
        """Every token there ever was, the oldest first, and whether it is ``good``."""
        return await self._database.rows(SQL["list_tokens"])
