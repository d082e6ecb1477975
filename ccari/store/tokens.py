"""The bearer tokens of the HTTP API, stored only as hashes."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import asyncpg

from ccari.ports.access import Bearer, Role
from ccari.ports.accesses import Looked
from ccari.store import accesses
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
        """Add a token. False if the name was ever used, even by a revoked token. The record of accesses has what it may do, and the next
        seal covers it.
        """
        controllers = sorted(bearer.controllers) if bearer.controllers is not None else None
        async with self._database.transaction() as connection:
            if not await connection.fetchval(
                SQL["add_token"], bearer.name, bearer.role, bearer.agent, controllers, sha256, by, expires_at
            ):
                return False
            made = {
                # all of them: a controller could be called all
                "token": bearer.name, "role": bearer.role, "agent": bearer.agent or "", "controllers": " ".join(controllers or ["*"]),
                "expires": expires_at.isoformat(timespec="seconds") if expires_at else "never",
            }  # fmt: skip
            noted = await accesses.add(connection, Looked.TOKEN_CREATED, {**made, "who": by, "why": ""})
        accesses.log(Looked.TOKEN_CREATED, by, noted)
        return True

    async def bearer(self, sha256: bytes) -> Bearer | None:
        rows = await self._database.rows(SQL["token_bearer"], sha256)
        return bearer_of(rows[0]) if rows else None

    async def valid_fingerprints(self) -> frozenset[bytes]:
        """Only the newest :data:`MOST_GOOD` tokens, if there are more."""
        return frozenset(row["sha256"] for row in await self._database.rows(SQL["good_tokens"], MOST_GOOD))

    async def revoke(self, name: str, by: str) -> bool:
        """Revoke a token. False if no token has that name, or it is revoked already. A database from before this lacks the next seal, which
        shows that the token is good there again.
        """
        async with self._database.transaction() as connection:
            if not await connection.fetchval(SQL["revoke_token"], name, by):
                return False
            noted = await accesses.add(
                connection, Looked.TOKEN_REVOKED, {"token": name, "who": by, "why": ""}
            )
        accesses.log(Looked.TOKEN_REVOKED, by, noted)
        return True

    async def list(self) -> list[dict[str, Any]]:
        """Every token ever made, the oldest first, and whether it is still ``good``."""
        return await self._database.rows(SQL["list_tokens"])
