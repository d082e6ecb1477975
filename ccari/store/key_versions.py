"""What hangs on each version of a secret, and which secret that was."""

from typing import Any

from ccari.errors import ConfigError
from ccari.policy.numbers import Number
from ccari.store.database import Database
from ccari.store.queries import SQL
from ccari.store.secrets import Holder, Key, SecretStore


class KeyVersions:
    def __init__(self, database: Database) -> None:
        self._database = database
        #: What :meth:`keep_vouching` has last looked at, and found all of.
        self._all_there: frozenset[tuple[str, str, int, str | None]] | None = None

    async def counts(self) -> list[dict[str, Any]]:
        """Of each controller's, or register's, version: how many suppressions, contacts, consents, open requests, calls,
        heard notices and listings are kept under it. Millions are counted, so it takes seconds.
        """
        return [
            dict(row) async for rows in self._database.stream(SQL["count_by_key_version"]) for row in rows
        ]

    async def holds_left_behind(self, controller: str) -> list[int]:
        """The open holds that do not reach what is called once there is a newer version: on numbers, of which only digests are
        kept, and on requests whose number is kept no more.
        """
        return [row["id"] for row in await self._database.rows(SQL["holds_left_behind"], controller)]

    async def vouch(self, secrets: SecretStore, *, learn: bool = True) -> SecretStore:
        """Let ``secrets`` refuse whoever asks for a number where a secret that something hangs on is lost, or another one.

        Under a new one in its place the bars that are kept would bar nobody, and nobody would notice. A version that was
        not known is from now on, if it is to ``learn``; it gives ``secrets`` again.
        """
        rows = await self._database.rows(SQL["key_checks"])
        known: dict[Holder, dict[int, str | None]] = {each: {} for each in secrets.holders()}
        for row in rows:
            known.setdefault(Holder(row["kind"], row["holder"]), {})[row["key_version"]] = row["key_check"]
        for holder, checks in known.items():
            secrets.expect(holder, await self._expected(secrets, holder, checks, learn=learn))
        return secrets

    async def keep_vouching(self, secrets: SecretStore) -> SecretStore:
        """As :meth:`vouch`, for a service that runs while another node makes secrets: one that is not here yet is missed from
        when something hangs on it. Where nothing has changed it is one question, of some rows.
        """
        rows = frozenset(
            (each["kind"], each["holder"], each["key_version"], each["key_check"])
            for each in await self._database.rows(SQL["key_checks"])
        )
        if rows == self._all_there:
            return secrets
        await self.vouch(secrets, learn=False)
        holders = {Holder(kind, name) for kind, name, _, _ in rows}
        there = {each: secrets.found(each).keys() | _retired(secrets, each) for each in holders}
        complete = all(version in there[Holder(kind, name)] for kind, name, version, _ in rows)
        self._all_there = rows if complete else None
        return secrets

    async def note(self, holder: Holder, version: int, check: str) -> None:
        """Keep which secret a version is, before anything is written with it.

        Raises
        ------
        ConfigError
            If something hangs on another secret of that version.
        """
        async with self._database.connection() as connection:
            noted = await connection.fetchval(SQL["note_key"], holder.kind, holder.name, version, check)
        if noted is not None:
            return
        if await self.is_needed(holder, version):
            raise ConfigError(
                f"version {version} of the suppression secret of {holder.name!r} was another one, and something is kept under it: "
                "restore the keys from the backup"
            )
        await self.replace(holder, version, check)

    async def replace(self, holder: Holder, version: int, check: str) -> None:
        """Keep which secret a version is from now on, when all that is kept under it is of that one."""
        async with self._database.connection() as connection:
            await connection.execute(SQL["replace_key"], holder.kind, holder.name, version, check)

    async def keep_only(self, holder: Holder, version: int) -> None:
        """Forget the other versions, when nothing hangs on any: the gate looks for each that is known."""
        async with self._database.connection() as connection:
            await connection.execute(SQL["only_key"], holder.kind, holder.name, version)

    async def is_needed(self, holder: Holder, version: int) -> bool:
        """Whether something hangs on a version. It may have to look through millions of rows."""
        async with self._database.apart() as connection:
            found = await connection.fetchval(SQL["hangs_on_key"], holder.kind, holder.name, version)
        return bool(found)

    async def make(self, secrets: SecretStore, holder: Holder) -> Key:
        """Make a holder's next secret, which is known here before it is there to write with.

        The controller's open requests find what comes under it, too: an access must not lose a recording to its limit, nor an
        erasure leave one, because it was made a day after.

        Raises
        ------
        ConfigError
            As :meth:`ccari.store.secrets.SecretStore.following` and :meth:`note`, or if it cannot be written.
        """
        made = secrets.following(holder)
        await self._extend(holder, made)
        await self.note(holder, made.version, made.check)
        if made.version == 1:
            # begun anew: what there was is lost, and nothing hung on it, or ``following`` had refused
            await self.keep_only(holder, made.version)
        secrets.add(holder, made)
        # once more, for those that came meanwhile
        await self._extend(holder, made)
        return made

    async def extend(self, secrets: SecretStore) -> None:
        """Let open requests find what comes under newer secrets than they were registered with: those that were pressed in calls
        under way at a rotation, that waited on a disk, or that came on a node without the secret.

        Raises
        ------
        ConfigError, StoreError
            If a secret is lost or cannot be read, also where its whole folder is gone, or the database fails. The requests of the
            other controllers are extended by then.
        """
        known = {Holder(row["kind"], row["holder"]) for row in await self._database.rows(SQL["key_checks"])}
        failed: ConfigError | None = None
        for holder in {*secrets.holders(), *known}:
            try:
                if holder.kind == "controller" and not secrets.lacks(holder):
                    for key in secrets.keys(holder.name)[1:]:
                        await self._extend(holder, key)
            except ConfigError as error:
                failed = error
        if failed is not None:
            raise failed

    async def _extend(self, holder: Holder, key: Key) -> None:
        if holder.kind != "controller":
            return
        rows = await self._database.rows(SQL["numbers_of_open_requests"], holder.name, key.version)
        async with self._database.connection() as connection:
            await connection.execute(
                SQL["extend_requests"],
                [row["reference"] for row in rows],
                [key.digest(Number(row["number"])) for row in rows],
            )

    async def _expected(
        self, secrets: SecretStore, holder: Holder, known: dict[int, str | None], *, learn: bool
    ) -> dict[int, str | None]:
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


def _retired(secrets: SecretStore, holder: Holder) -> set[int]:
    """None where the folder cannot be read: whoever asks for that holder's secrets is refused, and nobody else."""
    try:
        return secrets.retired(holder)
    except ConfigError:
        return set()
