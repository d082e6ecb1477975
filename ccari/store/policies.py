"""The applied policies: each an immutable revision."""

from dataclasses import dataclass
from hashlib import sha256

from ccari.errors import StoreError
from ccari.policy.declaration import Policy, PolicyError, read
from ccari.store.database import Database
from ccari.store.queries import SQL


@dataclass(frozen=True, slots=True)
class Revision:
    """One applied policy; it never changes."""

    number: int
    policy: Policy
    document: str


class Policies:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def newest(self) -> Revision | None:
        """The policy in force.

        Raises
        ------
        StoreError
            If this ccari refuses what an older one accepted.
        """
        found = await self._database.rows(SQL["newest_policy"])
        if not found:
            return None
        number, document = found[0]["revision"], found[0]["document"]
        try:
            return Revision(number, read(document), document)
        except PolicyError as error:
            raise StoreError(
                f"policy revision {number} is not sound for this ccari ({str(error).splitlines()[0]}): "
                "ccari policy apply FILE"
            ) from None

    async def apply(self, document: str, applied_by: str) -> int:
        """Store a validated policy as the newest revision and give its number; the same text again is no new one."""
        found = await self._database.rows(SQL["newest_policy"])
        if found and found[0]["document"] == document:
            return int(found[0]["revision"])
        async with self._database.connection() as connection:
            number = await connection.fetchval(
                SQL["add_policy"], applied_by, sha256(document.encode()).digest(), document
            )
        return int(number)
