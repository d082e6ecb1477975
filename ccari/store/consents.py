"""Consents, with the proof of each, its withdrawal, and every call that was made on it (Art 7(1) and 7(3))."""

from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from ccari.errors import ConsentError
from ccari.policy.gate import Block
from ccari.policy.suppression import Reason
from ccari.ports.keying import Digests
from ccari.ports.lists import Agreed, LineFault, Progress, Scrubbed
from ccari.store.bulk import Record, staging, unseen
from ccari.store.database import Database
from ccari.store.policies import Asked
from ccari.store.queries import SQL
from ccari.store.suppressions import enter
from ccari.store.withdrawals import SLICE_ROWS, settling, withdraw

_INCOMING = {
    "digest": "bytea", "key_version": "smallint", "digests": "bytea[]", "purpose": "text", "channel": "text",
    "given_at": "timestamptz", "withdrawn_at": "timestamptz", "valid_until": "timestamptz", "proof": "text",
    "line": "bigint",
}  # fmt: skip


class Consents:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._asked = Asked()

    async def load(
        self, controller: str, purposes: Mapping[str, str],
        consents: AsyncIterable[Sequence[tuple[Agreed, Digests] | LineFault]], *,
        origin: str, keep_going: bool, progress: Progress = unseen,
    ) -> Scrubbed:  # fmt: skip
        """Enter a long list, each number as its keyed digest. With a fault in it nothing is, unless ``keep_going``.

        No list undoes a withdrawal: what was given before one is withdrawn with it, although the list does not say so. Nor
        does it an erasure: what was given before one, and is not known any more, stays out.
        ``purposes``: what each of the controller's campaigns asks consent to now; what they asked before is known here.

        Raises
        ------
        StoreError
            If the database fails; consents that were entered by then stay, and the list can be loaded again.
        """
        async with staging(self._database, _INCOMING, controller=controller, keep_going=keep_going) as staged:
            await staged.take(_records(consents))
            if not staged.sound:
                return Scrubbed(staged.report)
            connection, erased = staged.connection, 0
            # before anybody waits for it
            await self._asked.by(connection, controller)
            async for first, last in staged.slices(progress, rows=SLICE_ROWS):
                async with settling(connection, controller, first, last, self._asked, purposes.items()):
                    await connection.execute(SQL["rekey_consents"], first, last, controller)
                    (merged,) = await connection.fetch(SQL["merge_consents"], first, last, controller, origin)
                    staged.report.accepted += merged["entered"]
                    erased += merged["erased"]
            # as of a list of contacts, what was left out is none of the report's lines
            staged.report.lines -= erased
            return Scrubbed(staged.report, +Counter({Block.SUPPRESSED_ERASURE: erased}))

    async def withdraw(
        self, controller: str, digests: Digests, at: datetime, *,
        purpose: str | None, purposes: Mapping[str, str], origin: str, proof: str,
    ) -> int:  # fmt: skip
        """Withdraw a number's consents to ``purpose`` (None: all of them) and bar the calls that rested on them, in one
        transaction; gives how many consents were in force. ``purposes`` as in :meth:`load`.

        Raises
        ------
        ConsentError
            If no campaign asks for the purpose, none that is gone has, and the number has no consent to it: there is
            nothing to withdraw.
        """
        # '' is all of the controller's calls
        campaigns = [""] if purpose is None else _asking(purposes.items(), purpose)
        if not campaigns:
            # it may be on a list that is yet to come, and asked for again: those that are gone remember it
            async with self._database.connection() as connection:
                asked = await self._asked.by(connection, controller)
            campaigns = _asking(((each, asks) for each, asks in asked if each not in purposes), purpose)
        async with self._database.transaction() as connection:
            if not campaigns:
                rows = await connection.fetch(SQL["consent_purposes"], controller, list(digests.all))
                if purpose not in {row["purpose"] for row in rows}:
                    raise ConsentError(_nothing(controller, purposes))
            wanted = None if purpose is None else [purpose]
            withdrawn = await withdraw(connection, controller, digests, wanted, at)
            await enter(connection, controller, digests, campaigns, Reason.WITHDRAW_CONSENT, origin, proof)
            return withdrawn

    async def page(
        self, controllers: Sequence[str] | None, purpose: str | None, channel: str | None, limit: int, after: int | None
    ) -> list[dict[str, Any]]:  # fmt: skip
        """The newest first, of all controllers if they are None; after the one of that id."""
        async with self._database.apart() as connection:
            rows = await connection.fetch(
                SQL["page_of_consents"], controllers, purpose, channel, limit, after
            )
        return [dict(row) for row in rows]

    async def of(self, controller: str, digests: Digests) -> list[dict[str, Any]]:
        """The consents of one number, the oldest first, each with its ``uses``: the call, and when."""
        async with self._database.connection() as connection:
            consents = await connection.fetch(SQL["consents_of"], controller, list(digests.all))
            uses = await connection.fetch(SQL["uses_of_consents"], [each["id"] for each in consents])
        return [
            {
                **each,
                "uses": [
                    {"call": use["call_id"], "at": use["used_at"]}
                    for use in uses
                    if use["consent_id"] == each["id"]
                ],
            }
            for each in map(dict, consents)
        ]


def _asking(asked: Iterable[tuple[str, str]], purpose: str | None) -> list[str]:
    return sorted(campaign for campaign, asks in asked if asks == purpose)


def _nothing(controller: str, purposes: Mapping[str, str]) -> str:
    known = ", ".join(sorted(set(purposes.values()))) or "none"
    return (
        f"the number has no consent to that purpose, and no campaign of {controller!r} asks for one: those that are asked "
        f"for are {known}; without --purpose every consent is withdrawn"
    )


async def _records(
    consents: AsyncIterable[Sequence[tuple[Agreed, Digests] | LineFault]],
) -> AsyncIterator[list[Record | LineFault]]:
    line = 0
    async for batch in consents:
        records: list[Record | LineFault] = []
        for each in batch:
            line += 1
            records.append(each if isinstance(each, LineFault) else _record(*each, line))
        yield records


def _record(consent: Agreed, digests: Digests, line: int) -> Record:
    return (
        digests.newest, digests.key_version, list(digests.all), consent.purpose, consent.channel, consent.given_at,
        consent.withdrawn_at, consent.valid_until, consent.proof, line,
    )  # fmt: skip
