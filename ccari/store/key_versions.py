"""What hangs on each version of a secret."""

from typing import Any

from ccari.store.database import Database
from ccari.store.queries import SQL


class KeyVersions:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def counts(self) -> list[dict[str, Any]]:
        """Of each controller's, or register's, version: how many suppressions, contacts, consents, open requests, calls,
        heard notices and listings are kept under it. Millions are counted, so it takes seconds.
        """
        return [
            dict(row) async for rows in self._database.stream(SQL["count_by_key_version"]) for row in rows
        ]
