"""The applied policies: each an immutable revision."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import asyncpg

from ccari.errors import StoreError, UnsoundPolicyError
from ccari.policy.campaign import Campaign
from ccari.policy.declaration import Policy, PolicyError, consents_asked, read
from ccari.store.database import Connection, Database
from ccari.store.queries import SQL
from ccari.store.together import Together


@dataclass(frozen=True, slots=True)
class Applied:
    """Who made a policy file the newest revision, and when. ``sha256``: hex, of the file as it was."""

    number: int
    applied_at: datetime
    applied_by: str
    sha256: str
    document: str

    def policy(self) -> Policy:
        """What the document declares.

        Raises
        ------
        UnsoundPolicyError
            If this ccari refuses what an older one accepted.
        """
        try:
            return read(self.document)
        except PolicyError as error:
            raise UnsoundPolicyError(self.number, str(error.faults[0])) from None


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
        """The policy in force. Raises StoreError as :meth:`Applied.policy` does."""
        found = await self.applied()
        return Revision(found.number, found.policy(), found.document) if found else None

    async def applied(self, number: int | None = None) -> Applied | None:
        """One revision, or the newest, as it was applied; None if there is none."""
        found = await self._database.rows(SQL["policy_revision"], number)
        return _applied(found[0]) if found else None

    async def since(self, ago: timedelta) -> list[Policy]:
        """Each policy that was in force at some time since then, by the database's clock, the newest first; none if there was
        none then. Raises StoreError as :meth:`newest`.
        """
        found = [_applied(row) for row in await self._database.rows(SQL["policies_since"], ago)]
        # long files would keep the running calls waiting
        return await asyncio.to_thread(lambda: [each.policy() for each in found])

    async def number(self) -> int | None:
        """Of the newest revision, without its document, which may be long; None if there is none."""
        (newest,) = await self._database.rows(SQL["newest_revision"])
        return None if newest["revision"] is None else int(newest["revision"])

    async def revisions(self) -> list[dict[str, Any]]:
        """Every revision without its document, the newest first."""
        rows = await self._database.rows(SQL["policy_revisions"])
        return [row | {"sha256": bytes(row["sha256"]).hex()} for row in rows]

    async def left_behind(self, policy: Policy) -> list[dict[str, Any]]:
        """What ``policy`` would leave to nobody: the ``bars`` on campaigns that it does not declare, and the open
        ``requests`` of controllers that it does not.
        """
        declared = [f"{each.controller} {each.id}" for each in policy.campaigns]
        # of all bars
        async with self._database.apart() as connection:
            rows = await connection.fetch(
                SQL["left_behind"], [each.id for each in policy.controllers], declared
            )
        return [dict(row) for row in rows]

    async def apply(self, document: str, applied_by: str) -> int:
        """Store a validated policy as the newest revision and give its number; the same text again is no new one."""
        async with self._database.transaction() as connection:
            await connection.execute(SQL["lock_policies"])
            known = await connection.fetchrow(SQL["policy_revision"], None)
            if known is not None and known["document"] == document:
                return int(known["revision"])
            number = await connection.fetchval(
                SQL["add_policy"], applied_by, sha256(document.encode()).digest(), document
            )
        return int(number)

    async def has_consents(self, campaign: Campaign) -> bool:
        """Whether any number has a consent in force that calls of the campaign could rest on."""
        found = await self._database.rows(
            SQL["any_consent"], campaign.controller, campaign.asks_consent_to, campaign.consent_channel
        )
        return bool(found)


def _applied(row: Mapping[str, Any]) -> Applied:
    return Applied(
        row["revision"], row["applied_at"], row["applied_by"], bytes(row["sha256"]).hex(), row["document"]
    )


class Asked:
    """What campaigns have asked consent to in any policy that was applied. None ever changes, so each is read once."""

    def __init__(self) -> None:
        self._read = 0
        self._asked: frozenset[tuple[str, str, str]] = frozenset()

    async def by(self, connection: Connection, controller: str) -> set[tuple[str, str]]:
        """Each campaign that the controller has had, with a purpose: some have had several. Raises StoreError."""
        if rows := await connection.fetch(SQL["policies_after"], self._read):
            # long files would keep the running calls waiting
            found = await asyncio.to_thread(_asked, rows)
            # as it is by now: another may have read some meanwhile
            self._asked |= found
            self._read = max(self._read, rows[-1]["revision"])
        return {(campaign, purpose) for whose, campaign, purpose in self._asked if whose == controller}


def _asked(rows: Sequence[asyncpg.Record]) -> set[tuple[str, str, str]]:
    asked: set[tuple[str, str, str]] = set()
    for row in rows:
        try:
            asked |= consents_asked(row["document"])
        except ValueError as error:
            raise StoreError(f"policy revision {row['revision']} cannot be read: {error}") from None
    return asked


class Book:
    """:class:`ccari.ports.PolicyBook`: the newest revision, read when asked to."""

    def __init__(self, policies: Policies) -> None:
        self._policies = policies
        self._newest: Revision | None = None
        self._reloads = Together(self._reload)

    @property
    def revision(self) -> int | None:
        return self._newest.number if self._newest else None

    @property
    def policy(self) -> Policy | None:
        return self._newest.policy if self._newest else None

    async def at(self, revision: int) -> Policy | None:
        """An older revision, under which calls in progress were begun. Raises StoreError as :meth:`Applied.policy` does."""
        if revision == self.revision:
            return self.policy
        found = await self._policies.applied(revision)
        return found.policy() if found else None

    async def reload(self) -> None:
        """Only a revision that is new is read through: none ever changes."""
        await self._reloads.ask(None)

    async def _reload(self, askers: Sequence[None]) -> Sequence[None]:
        if self._newest is None or await self._policies.number() != self._newest.number:
            await self._read()
        return askers

    async def _read(self) -> None:
        found = await self._policies.applied()
        if found is None:
            self._newest = None
        elif found.number != self.revision:
            self._newest = Revision(found.number, found.policy(), found.document)
