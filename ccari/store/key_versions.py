"""The secret behind each version, and the rows in the database that depend on it."""

from collections.abc import Sequence
from typing import Any

from ccari.errors import ConfigError
from ccari.keyring.secrets import Holder, Key, SecretStore
from ccari.policy.numbers import Number
from ccari.store.database import Database
from ccari.store.queries import SQL


class KeyVersions:
    def __init__(self, database: Database) -> None:
        self._database = database
        #: The rows that :meth:`keep_vouching` last read, if all secrets in them were present.
        self._all_there: frozenset[tuple[str, str, int, str | None]] | None = None

    async def counts(self) -> list[dict[str, Any]]:
        """For each version of a controller's or register's secret: how many suppressions, lifted suppressions, contacts, consents,
        requests, calls, heard notices and listings are kept under it. Takes seconds: it counts millions of rows.
        """
        return [
            dict(row) async for rows in self._database.stream(SQL["count_by_key_version"]) for row in rows
        ]

    async def holds_left_behind(self, controller: str) -> list[int]:
        """The open holds that would miss calls made under a newer version: those on numbers, which are kept only as digests, and those on
        requests whose number is erased.
        """
        return [row["id"] for row in await self._database.rows(SQL["holds_left_behind"], controller)]

    async def vouch(self, secrets: SecretStore, *, learn: bool = True) -> SecretStore:
        """Make ``secrets`` refuse to compute digests if a secret that rows depend on is lost or replaced. Returns ``secrets``.

        Under a replaced secret the existing bars would match no number, and nobody would notice. ``learn``: also store in the database
        the versions that it does not know yet.
        """
        rows = await self._database.rows(SQL["key_checks"])
        known: dict[Holder, dict[int, str | None]] = {each: {} for each in secrets.holders()}
        for row in rows:
            known.setdefault(Holder(row["kind"], row["holder"]), {})[row["key_version"]] = row["key_check"]
        for holder, checks in known.items():
            secrets.expect(holder, await self._expected(secrets, holder, checks, learn=learn))
        return secrets

    async def keep_vouching(self, secrets: SecretStore) -> SecretStore:
        """Like :meth:`vouch`, for a running service: a secret made by another node counts as lost here once rows depend on it.

        If nothing has changed since the last call, this is one query for a few rows.
        """
        rows = frozenset(
            (each["kind"], each["holder"], each["key_version"], each["key_check"])
            for each in await self._database.rows(SQL["key_checks"])
        )
        if rows == self._all_there:
            return secrets
        await self.vouch(secrets, learn=False)
        missing = _missing(secrets, [(Holder(kind, name), version) for kind, name, version, _ in rows])
        complete = all([await self._left(*each) for each in missing])
        self._all_there = rows if complete else None
        return secrets

    async def missing(self, secrets: SecretStore) -> list[tuple[Holder, int]]:
        """The recorded versions that this node neither has nor has retired. The gate blocks their holder's calls, even if no row depends
        on them yet: another node may be entering some.
        """
        rows = await self._database.rows(SQL["key_checks"])
        return _missing(secrets, [(Holder(row["kind"], row["holder"]), row["key_version"]) for row in rows])

    async def _left(self, holder: Holder, version: int) -> bool:
        """Whether it belongs to a deleted controller: its secrets are destroyed, and nothing is entered under them any more."""
        deleted = holder.kind == "controller" and await self._database.value(SQL["was_deleted"], holder.name)
        return bool(deleted) and not await self.is_needed(holder, version)

    async def note(self, holder: Holder, version: int, check: str) -> None:
        """Record which secret a version is, before any row is written with it.

        Raises
        ------
        ConfigError
            If rows depend on another secret of that version.
        """
        if await self._database.value(SQL["note_key"], holder.kind, holder.name, version, check) is not None:
            return
        await self._refuse_needed(holder, version)
        known = await self._database.rows(SQL["key_checks"])
        before = {(row["kind"], row["holder"], row["key_version"]): row["key_check"] for row in known}
        await self.replace(holder, version, check)
        try:
            # again: to look takes seconds, and the node that has the other secret may have entered something meanwhile. It blocks from now on
            await self._refuse_needed(holder, version)
        except Exception:
            if other := before.get((holder.kind, holder.name, version)):
                await self.replace(holder, version, other)
            raise

    async def _refuse_needed(self, holder: Holder, version: int) -> None:
        """Raise ConfigError if rows depend on a version."""
        if await self.is_needed(holder, version):
            raise ConfigError(
                f"version {version} of the suppression secret of {holder.name!r} is not the one that data in "
                "the database are kept under: restore the keys from the backup"
            )

    async def replace(self, holder: Holder, version: int, check: str) -> None:
        """Record another secret as this version. Only call it if all rows under the version were made with that secret."""
        await self._database.execute(SQL["replace_key"], holder.kind, holder.name, version, check)

    async def keep_only(self, holder: Holder, version: int) -> None:
        """Forget all other versions, once no row depends on them: the gate requires every known version."""
        await self._database.execute(SQL["only_key"], holder.kind, holder.name, version)

    async def is_needed(self, holder: Holder, version: int) -> bool:
        """Whether rows depend on a version. May read millions of rows."""
        return bool(
            await self._database.value(
                SQL["hangs_on_key"], holder.kind, holder.name, version, outside_pool=True
            )
        )

    async def make(self, secrets: SecretStore, holder: Holder) -> Key:
        """Make a holder's next secret. The database records it before its file exists, and so before any row can use it.

        The controller's open requests get the number's digest under the new secret: otherwise a recording made after the rotation could
        be deleted at its retention limit despite an access request, or escape an erasure.

        Raises
        ------
        ConfigError
            As :meth:`ccari.keyring.secrets.SecretStore.next_key` and :meth:`note`, or if it cannot be written.
        """
        key = secrets.next_key(holder)
        # a version that is recorded but on no node would block all of the holder's calls
        secrets.check_room(holder)
        await self._extend(holder, key)
        await self.note(holder, key.version, key.check)
        if key.version == 1:
            # the holder starts anew: older secrets are lost and no row depends on them, or ``next_key`` would have refused
            await self.keep_only(holder, key.version)
        secrets.add(holder, key)
        # again, for requests registered meanwhile
        await self._extend(holder, key)
        return key

    async def extend(self, secrets: SecretStore) -> dict[str, str]:
        """Give open requests the number's digests under secrets newer than the one that they were registered with.

        Returns the controllers whose requests could not be extended, each with the reason: one of its secrets (or its whole folder) is
        lost or cannot be read. Other controllers' requests are extended all the same, since no request reaches another controller's data.

        Such requests were pressed in calls under way at a rotation, waited on a disk, or reached a node without the secret.

        Raises
        ------
        ConfigError, StoreError
            If the folder of all secrets cannot be read, or the database fails.
        """
        known = {Holder(row["kind"], row["holder"]) for row in await self._database.rows(SQL["key_checks"])}
        failed: dict[str, str] = {}
        for holder in {*secrets.holders(), *known}:
            try:
                if holder.kind == "controller" and not secrets.lacks(holder):
                    for key in secrets.keys(holder.name)[1:]:
                        await self._extend(holder, key)
            except ConfigError as error:
                failed[holder.name] = str(error)
        return failed

    async def _extend(self, holder: Holder, key: Key) -> None:
        """Add the digest under ``key`` to the controller's open requests that were registered before it."""
        if holder.kind != "controller":
            return
        rows = await self._database.rows(SQL["numbers_of_open_requests"], holder.name, key.version)
        await self._database.execute(
            SQL["extend_requests"],
            [row["reference"] for row in rows],
            [key.digest(Number(row["number"])) for row in rows],
        )

    async def _expected(
        self, secrets: SecretStore, holder: Holder, known: dict[int, str | None], *, learn: bool
    ) -> dict[int, str | None]:
        """The versions that a holder must have, each with its check value."""
        there, retired = secrets.found(holder), _retired(secrets, holder)
        expected: dict[int, str | None] = {}
        for version in sorted(known.keys() | there.keys()):
            check, found = known.get(version), there.get(version)
            if found is None and version in retired:
                continue
            if found is not None and check in (None, found):
                if check is None and learn:
                    await self.note(holder, version, found)
                expected[version] = found
            elif await self.is_needed(holder, version):
                expected[version] = check
            elif found is not None:
                if learn:
                    await self.replace(holder, version, found)
                expected[version] = found
        return expected


def _missing(secrets: SecretStore, known: Sequence[tuple[Holder, int]]) -> list[tuple[Holder, int]]:
    there = {
        each: secrets.found(each).keys() | _retired(secrets, each) for each in {holder for holder, _ in known}
    }
    return [(holder, version) for holder, version in known if version not in there[holder]]


def _retired(secrets: SecretStore, holder: Holder) -> set[int]:
    """The retired versions; empty if the folder cannot be read, so that only work with this holder's secrets is refused."""
    try:
        return secrets.retired(holder)
    except ConfigError:
        return set()
