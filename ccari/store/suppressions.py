"""The controllers' own lists of numbers that must not be called."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from ccari.policy.suppression import LIFTED_BY_NAME, Reason
from ccari.ports.accesses import Looked, whose_number
from ccari.ports.keying import Digests, Key, Keyed
from ccari.ports.lists import Bar, LineFault, Progress, Report
from ccari.store import accesses
from ccari.store.bulk import Record, Staging, staging, unseen
from ccari.store.database import Connection, Database
from ccari.store.entering import entering, let_in
from ccari.store.policies import DeclaredCampaigns
from ccari.store.queries import SQL
from ccari.store.withdrawals import SLICE_ROWS, settling, withdraw

_INCOMING = {
    "digest": "bytea", "key_version": "smallint", "campaign": "text", "reason": "text", "origin": "text",
    "proof": "text", "entered_at": "timestamptz", "expires_at": "timestamptz", "older": "bytea[]", "digests": "bytea[]",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class NewBar:
    """A bar to be entered with :func:`enter`, on each of ``campaigns``: '' means all calls of the controller.

    ``origin``: who or what entered it; ``proof``: what shows why. ``since``: when it was asked for; None: now. ``expires_at``: None if it
    stays until somebody removes it.
    """

    reason: Reason
    origin: str
    proof: str
    campaigns: Sequence[str] = ("",)
    call_id: UUID | None = None
    expires_at: datetime | None = None
    since: datetime | None = None


class Suppressions:
    """:class:`ccari.ports.suppressions.SuppressionStore`, and :class:`ccari.ports.lists.BarLists`, on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._campaigns = DeclaredCampaigns()

    async def add(
        self, controller: str, digests: Digests, reason: Reason, origin: str, proof: str, *,
        campaign: str | None = None, expires_at: datetime | None = None,
    ) -> bool:  # fmt: skip
        """A withdrawal ends the consents that it covers. Every bar goes into the record of accesses, and so into the next seal: a
        database from before the bar lacks that seal, which shows that it is an older one.
        """
        async with self._database.transaction() as connection:
            await let_in(connection, controller)
            if reason is Reason.WITHDRAW_CONSENT:
                purposes = None
                if campaign is not None:
                    asked = await self._campaigns.asked(connection, controller)
                    purposes = {purpose for each, purpose in asked if each == campaign}
                await withdraw(connection, controller, digests, purposes, at=None)
            bar = NewBar(reason, origin, proof, [campaign or ""], expires_at=expires_at)
            added = await enter(connection, controller, digests, bar)
            until = "never" if expires_at is None else expires_at.isoformat()
            barred = {
                **whose_number(controller, digests),
                "reason": reason,
                "campaign": campaign or "",
                "until": until,
            }
            noted = await accesses.add(connection, Looked.NUMBER_BARRED, {**barred, "who": origin, "why": ""})
        accesses.log(Looked.NUMBER_BARRED, origin, noted)
        return added

    async def load(
        self, controller: str, key: Key, bars: AsyncIterable[Sequence[Bar | LineFault]], *, older: Sequence[Key] = (),
        keep_going: bool, progress: Progress = unseen,
    ) -> Report:  # fmt: skip
        """A withdrawal also entered under ``older`` secrets, as by :func:`enter`, counts once, and ends the consents that it covers. If
        the database fails, bars already entered stay, and the list can be loaded again.
        """
        async with staging(self._database, _INCOMING, controller=controller, keep_going=keep_going) as staged:
            await staged.take(_records(bars, key, older))
            if staged.sound and await staged.connection.fetchval(SQL["withdrawals_are_listed"]):
                await self._merge_withdrawals(staged, controller, progress)
            elif staged.sound:
                staged.report.accepted += await _merge(staged, controller, progress)
            if not older or not staged.sound:
                return staged.report
            if await staged.connection.fetchval(SQL["older_places_of_listed"], controller):
                await _merge(staged, controller, unseen)
            return staged.report

    async def _merge_withdrawals(self, staged: Staging, controller: str, progress: Progress) -> None:
        """Merging a slice and ending the consents that it withdraws is one transaction."""
        connection = staged.connection
        # before holding locks that others wait for
        await self._campaigns.asked(connection, controller)
        async for first, last in staged.slices(progress, rows=SLICE_ROWS):
            async with settling(connection, controller, first, last, self._campaigns):
                staged.report.accepted += await connection.fetchval(
                    SQL["merge_suppressions"], first, last, controller
                )

    async def remove(
        self, controller: str, digests: Digests, removed_by: str, why: str, *,
        reason: Reason | None = None, campaign: str | None = None,
    ) -> list[dict[str, Any]]:  # fmt: skip
        """The record keeps what is lifted, and the next seal covers it."""
        async with self._database.transaction() as connection:
            rows = await connection.fetch(
                SQL["remove_suppressions"],
                controller,
                list(digests.all),
                reason,
                campaign,
                removed_by,
                why,
                sorted(LIFTED_BY_NAME),
            )
            if not rows:
                return []
            ids = " ".join(str(row["id"]) for row in rows)
            lifted = {**whose_number(controller, digests), "bars": str(len(rows)), "lifted": ids}
            # the reason is stored with the lifted bars, where an erasure reaches it
            noted = await accesses.add(
                connection, Looked.BARS_LIFTED, {**lifted, "who": removed_by, "why": ""}
            )
        accesses.log(Looked.BARS_LIFTED, removed_by, noted)
        return [{name: value for name, value in row.items() if name != "id"} for row in rows]

    async def of(self, controller: str, digests: Digests) -> list[dict[str, Any]]:
        return await self._database.rows(SQL["check_suppression"], controller, list(digests.all))

    async def lifted(self, controller: str, digests: Digests) -> list[dict[str, Any]]:
        return await self._database.rows(SQL["lifted_suppressions"], controller, list(digests.all))

    async def page(
        self, controllers: Sequence[str] | None, limit: int, after: int | None, *,
        campaign: str | None = None, reason: Reason | None = None,
    ) -> list[dict[str, Any]]:  # fmt: skip
        # finding rare bars among millions takes long
        return await self._database.rows(
            SQL["page_of_suppressions"], controllers, limit, after, campaign, reason, outside_pool=True
        )

    def newest(self, controller: str | None, limit: int | None) -> AsyncGenerator[list[dict[str, Any]], None]:
        """The newest first. ``controller`` None: of all controllers; ``limit`` None: without a limit."""
        return self._database.stream(SQL["list_suppressions"], controller, limit)

    def export(self, controller: str) -> AsyncGenerator[list[dict[str, Any]], None]:
        """Bars come in the order of their digests."""
        return self._database.stream(SQL["export_suppressions"], controller)


async def enter(connection: Connection, controller: str, digests: Digests, bar: NewBar) -> bool:
    """Bar a number in ``connection``'s transaction. False if bars for this reason already covered all of the bar's campaigns.

    A withdrawal of consent is also entered under each older secret under which there is a recording on consent, so that it reaches the
    recording.
    """
    places = [(digests.newest, digests.key_version)]
    if bar.reason is Reason.WITHDRAW_CONSENT and len(digests.all) > 1:
        older = [each for each in digests.all if each != digests.newest]
        rows = await connection.fetch(SQL["older_places_of_withdrawal"], controller, older)
        places += [(bytes(row["digest"]), row["key_version"]) for row in rows]
    added = False
    # in the order in which lists are merged, so that the two cannot deadlock
    for digest, version in sorted(places):
        for campaign in sorted(bar.campaigns):
            is_new = await connection.fetchval(
                SQL["add_suppression"], controller, digest, version, campaign, bar.reason, bar.origin, bar.proof,
                bar.call_id, bar.expires_at, bar.since,
            )  # fmt: skip
            added |= is_new and digest == digests.newest
    return added


async def _merge(staged: Staging, controller: str, progress: Progress) -> int:
    """Returns how many bars are new. Raises InputError if the controller was deleted meanwhile."""
    new = 0
    async for first, last in staged.slices(progress):
        async with entering(staged.connection, controller):
            new += await staged.connection.fetchval(SQL["merge_suppressions"], first, last, controller)
    return new


async def _records(
    bars: AsyncIterable[Sequence[Bar | LineFault]], key: Key, older: Sequence[Key]
) -> AsyncIterator[list[Record | LineFault]]:
    def records_of(batch: Sequence[Bar | LineFault]) -> list[Record | LineFault]:
        return [bar if isinstance(bar, LineFault) else _record(bar, key, older) for bar in batch]

    async for batch in bars:
        yield await asyncio.to_thread(records_of, batch)


def _record(bar: Bar, key: Key, older: Sequence[Key]) -> Record:
    keyed = bar.key if isinstance(bar.key, Keyed) else Keyed(key.digest(bar.key), key.version)
    older_digests: list[bytes] = []
    withdraws = bar.reason is Reason.WITHDRAW_CONSENT
    if withdraws and not isinstance(bar.key, Keyed):
        older_digests = [each.digest(bar.key) for each in older]
    return (
        keyed.digest, keyed.version, bar.campaign or "", bar.reason, bar.origin, bar.proof, bar.since, bar.until,
        older_digests or None, [keyed.digest, *older_digests] if withdraws else None,
    )  # fmt: skip
