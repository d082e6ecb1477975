"""The policies that were applied, as immutable revisions."""

import asyncio
import contextlib
from collections import OrderedDict, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, NamedTuple

import asyncpg

from ccari.errors import RefusedError, StoreError, UnsoundPolicyError
from ccari.policy.campaign import Campaign
from ccari.policy.declaration import Policy, PolicyError, campaigns_declared, countries_declared, read
from ccari.policy.leaving import called_again
from ccari.ports.accesses import Looked
from ccari.store import accesses
from ccari.store.database import Connection, Database
from ccari.store.entering import deletion
from ccari.store.queries import SQL
from ccari.store.together import Together

#: How many older revisions are remembered. Talks that continue after a restart began within hours.
MOST_OLDER = 4


@dataclass(frozen=True, slots=True)
class Applied:
    """An applied revision: who applied it, and when. ``document``: the text of the policy file; ``sha256``: its hash in hex."""

    number: int
    applied_at: datetime
    applied_by: str
    sha256: str
    document: str

    def policy(self) -> Policy:
        """What the document declares. Blocks: a campaign takes a millisecond.

        Raises
        ------
        UnsoundPolicyError
            If this ccari refuses what an older one accepted.
        """
        try:
            return read(self.document)
        except PolicyError as error:
            raise UnsoundPolicyError(self.number, str(error.faults[0])) from None

    async def read(self) -> Policy:
        """Like :meth:`policy`, in a thread: parsing some hundred campaigns would hold up running calls."""
        return await asyncio.to_thread(self.policy)


@dataclass(frozen=True, slots=True)
class Revision:
    """One applied policy, which never changes. ``sha256``: the hash in hex of the document as read; the hash stored beside it proves
    nothing.
    """

    number: int
    applied_at: datetime
    policy: Policy
    document: str
    sha256: str


class Policies:
    """:class:`ccari.ports.policies.PolicyRecords` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def newest(self) -> Revision | None:
        """The policy in force. Raises StoreError as :meth:`Applied.policy` does."""
        newest = await self.applied()
        return await _revision(newest) if newest else None

    async def applied(self, number: int | None = None) -> Applied | None:
        rows = await self._database.rows(SQL["policy_revision"], number)
        return _applied(rows[0]) if rows else None

    async def since(self, ago: timedelta) -> list[Policy]:
        """Every policy in force at any time in the last ``ago``, by the database's clock, the newest first; empty if no policy was in
        force that long ago. Raises StoreError like :meth:`newest`.
        """
        applied = [_applied(row) for row in await self._database.rows(SQL["policies_since"], ago)]
        return [await each.read() for each in applied]

    async def mark(self) -> tuple[int, datetime] | None:
        """Which revision is the newest: its number and when it was applied, read without its document, which may be long. A number
        alone does not say: a database that was restored gives it again.
        """
        rows = await self._database.rows(SQL["newest_revision"])
        return (rows[0]["revision"], rows[0]["applied_at"]) if rows else None

    async def revisions(self) -> list[dict[str, Any]]:
        rows = await self._database.rows(SQL["policy_revisions"])
        return [row | {"sha256": bytes(row["sha256"]).hex()} for row in rows]

    async def left_behind(self, policy: Policy) -> list[dict[str, Any]]:
        """What would be orphaned under ``policy``: the number of ``bars`` on campaigns that it does not declare, and of ``bars`` and open
        ``requests`` of controllers that it does not declare.
        """
        declared = [f"{each.controller} {each.id}" for each in policy.campaigns]
        # it reads all bars
        return await self._database.rows(
            SQL["left_behind"], [each.id for each in policy.controllers], declared, outside_pool=True
        )

    async def apply(self, document: str, applied_by: str) -> int:
        """Store a policy as the newest revision and return its number. The same text as the newest revision makes no new one. The record
        of accesses has its hash, and the next seal covers it.

        Raises
        ------
        PolicyError
            If it is not valid.
        RefusedError
            If it has campaigns of a controller that was deleted (Art 28(3)(g)), a line for each: whoever had objected would be called.
        """
        callers = await asyncio.to_thread(_callers, document)
        async with self._database.transaction() as connection:
            await connection.execute(SQL["lock_policies"])
            newest = await connection.fetchrow(SQL["policy_revision"], None)
            if newest is not None and newest["document"] == document:
                return int(newest["revision"])
            deletions = await connection.fetch(SQL["controller_deletions"], callers)
            if deleted := _called_again(list(map(dict, deletions))):
                raise RefusedError("\n".join(deleted))
            hashed = sha256(document.encode())
            number = await connection.fetchval(SQL["add_policy"], applied_by, hashed.digest(), document)
            applied = {"revision": str(number), "sha256": hashed.hexdigest()}
            noted = await accesses.add(
                connection, Looked.POLICY_APPLIED, {**applied, "who": applied_by, "why": ""}
            )
        accesses.log(Looked.POLICY_APPLIED, applied_by, noted)
        return int(number)

    async def called_again(self, policy: Policy) -> list[str]:
        """One line for each deleted controller that ``policy`` has campaigns of: :meth:`apply` would refuse them."""
        callers = sorted({each.controller for each in policy.campaigns})
        return _called_again(await self._database.rows(SQL["controller_deletions"], callers))

    async def has_consents(self, campaign: Campaign) -> bool:
        """Whether any number has a consent in force that the campaign's calls could rest on."""
        # if there is none, it reads all of the controller's consents
        return bool(
            await self._database.value(
                SQL["any_consent"], campaign.controller, campaign.asks_consent_to, campaign.consent_channel, outside_pool=True
            )
        )  # fmt: skip


async def in_force(connection: Connection) -> Policy | None:
    """The policy in force, read in ``connection``'s transaction. Raises StoreError like :meth:`Applied.policy`."""
    row = await connection.fetchrow(SQL["policy_revision"], None)
    return None if row is None else await _applied(dict(row)).read()


async def countries_of(connection: Connection, controller: str) -> set[str]:
    """The countries whose law has ever applied to the controller's calls, by any revision. Raises StoreError if a revision cannot be
    read.
    """
    rows = list(map(dict, await connection.fetch(SQL["policies_after"], 0, None)))
    return (await asyncio.to_thread(_countries, rows)).get(controller, set())


async def countries(database: Database) -> dict[str, set[str]]:
    """Like :func:`countries_of`, for every controller, skipping revisions that cannot be read."""
    rows = await database.rows(SQL["policies_after"], 0, None, outside_pool=True)
    return await asyncio.to_thread(_countries, rows, StoreError)


def _countries(rows: Sequence[Mapping[str, Any]], *skipped: type[StoreError]) -> dict[str, set[str]]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for row in rows:
        with contextlib.suppress(*skipped), _read_anew(row["revision"]):
            for controller, declared in countries_declared(row["document"]).items():
                found[controller] |= declared
    return found


def _callers(document: str) -> list[str]:
    """The controllers whose campaigns a policy declares. Raises PolicyError if it is not valid."""
    return sorted({each.controller for each in read(document).campaigns})


def _called_again(deletions: Sequence[Mapping[str, Any]]) -> list[str]:
    return [called_again(*deletion(row)) for row in deletions]


def _applied(row: Mapping[str, Any]) -> Applied:
    return Applied(
        row["revision"], row["applied_at"], row["applied_by"], bytes(row["sha256"]).hex(), row["document"]
    )


async def _revision(applied: Applied) -> Revision:
    hashed = sha256(applied.document.encode()).hexdigest()
    return Revision(applied.number, applied.applied_at, await applied.read(), applied.document, hashed)


class DeclaredCampaigns:
    """The campaigns declared by any applied policy. A revision never changes, so each is read once."""

    def __init__(self) -> None:
        #: The newest revision read so far, and when the last of them was applied.
        self._read, self._applied_at = 0, datetime.min.replace(tzinfo=UTC)
        self._found: frozenset[Declared] = frozenset()

    async def asked(self, connection: Connection, controller: str) -> set[tuple[str, str]]:
        """The controller's campaigns, past and present, each paired with a purpose that it asked consent to; a campaign with several
        purposes comes several times. Raises StoreError if a revision cannot be read.
        """
        return {(each.campaign, each.purpose) for each in await self.of(connection, controller)}

    async def of(self, connection: Connection, controller: str) -> list["Declared"]:
        """The controller's campaigns, past and present. Raises StoreError like :meth:`asked`."""
        if rows := await connection.fetch(SQL["policies_after"], self._read, self._applied_at):
            # in a thread: parsing long files would hold up running calls
            found = await asyncio.to_thread(_declared, rows)
            # another task may have read some of them meanwhile
            self._found |= found
            self._read = max(self._read, rows[-1]["revision"])
            self._applied_at = max(self._applied_at, *(row["applied_at"] for row in rows))
        return [each for each in self._found if each.controller == controller]


class Declared(NamedTuple):
    """``purpose``: what a campaign asked consent to; ``preset``: the country whose rules it followed."""

    controller: str
    campaign: str
    purpose: str
    preset: str | None


def _declared(rows: Sequence[asyncpg.Record]) -> set[Declared]:
    found: set[Declared] = set()
    for row in rows:
        with _read_anew(row["revision"]):
            campaigns = campaigns_declared(row["document"])
        found |= {Declared(each.controller, each.id, each.asks_consent_to, each.preset) for each in campaigns}
    return found


@contextlib.contextmanager
def _read_anew(revision: int) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise StoreError(f"policy revision {revision} cannot be read: {error}") from None


class Book:
    """:class:`ccari.ports.policies.PolicyBook` on PostgreSQL: keeps the newest revision, and reads it again on :meth:`reload`."""

    def __init__(self, policies: Policies) -> None:
        self._policies = policies
        self._newest: Revision | None = None
        #: Older revisions, those last asked for.
        self._older: OrderedDict[int, Policy] = OrderedDict()
        self._reloads = Together(self._reload)

    @property
    def revision(self) -> int | None:
        return self._newest.number if self._newest else None

    @property
    def policy(self) -> Policy | None:
        return self._newest.policy if self._newest else None

    @property
    def sha256(self) -> str | None:
        return self._newest.sha256 if self._newest else None

    async def at(self, revision: int) -> Policy | None:
        if revision == self.revision:
            return self.policy
        # each resumed talk asks for its own revision, and most began under the same one
        if revision not in self._older:
            applied = await self._policies.applied(revision)
            if applied is None:
                return None
            self._older[revision] = await applied.read()
            if len(self._older) > MOST_OLDER:
                self._older.popitem(last=False)
        return self._older[revision]

    async def reload(self) -> None:
        """Read the newest revision, unless it is already in memory: a revision never changes."""
        await self._reloads.ask(None)

    async def _reload(self, askers: Sequence[None]) -> Sequence[None]:
        if self._newest is None or await self._policies.mark() != (
            self._newest.number,
            self._newest.applied_at,
        ):
            await self._read()
        return askers

    async def _read(self) -> None:
        newest, before = await self._policies.newest(), self._newest
        if before is not None and (newest is None or newest.number <= before.number):
            # the database was restored: an older number may be another's, too
            self._older.clear()
        self._newest = newest
