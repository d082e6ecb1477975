"""Consents, with the proof and withdrawal of each, and every call that was made on it (Art 7(1) and 7(3))."""

from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ccari.errors import ConsentError
from ccari.policy import consent
from ccari.policy.consent import Consent
from ccari.policy.gate import Block
from ccari.policy.suppression import Reason
from ccari.ports.accesses import Looked, whose_number
from ccari.ports.keying import Digests
from ccari.ports.lists import Agreed, LineFault, Progress, Scrubbed
from ccari.store import accesses
from ccari.store.bulk import Record, staging, unseen
from ccari.store.database import Database
from ccari.store.entering import let_in
from ccari.store.policies import DeclaredCampaigns
from ccari.store.queries import SQL
from ccari.store.suppressions import NewBar, enter
from ccari.store.withdrawals import SLICE_ROWS, settling, withdraw

_INCOMING = {
    "digest": "bytea", "key_version": "smallint", "digests": "bytea[]", "purpose": "text", "channel": "text",
    "given_at": "timestamptz", "withdrawn_at": "timestamptz", "valid_until": "timestamptz", "proof": "text",
    "line": "bigint",
}  # fmt: skip


class Consents:
    """:class:`ccari.ports.lists.ConsentLists` and ``ConsentStore`` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._campaigns = DeclaredCampaigns()

    async def load(
        self, controller: str, purposes: Mapping[str, str],
        consents: AsyncIterable[Sequence[tuple[Agreed, Digests] | LineFault]], *,
        origin: str, keep_going: bool, progress: Progress = unseen,
    ) -> Scrubbed:  # fmt: skip
        """No list undoes a withdrawal: a consent given before a withdrawal is withdrawn too, even if the list does not say so. Nor does a
        list undo an erasure: a consent given before one, and no longer stored, stays out. If the database fails, consents already entered
        stay, and the list can be loaded again.

        ``purposes``: what each of the controller's campaigns asks consent to now; older revisions have what they asked before.
        """
        async with staging(self._database, _INCOMING, controller=controller, keep_going=keep_going) as staged:
            await staged.take(_records(consents))
            if not staged.sound:
                return Scrubbed(staged.report)
            connection, erased = staged.connection, 0
            # read older policies now, before a slice holds locks
            await self._campaigns.asked(connection, controller)
            async for first, last in staged.slices(progress, rows=SLICE_ROWS):
                async with settling(connection, controller, first, last, self._campaigns, purposes.items()):
                    await connection.execute(SQL["rekey_consents"], first, last, controller)
                    (merged,) = await connection.fetch(SQL["merge_consents"], first, last, controller, origin)
                    staged.report.accepted += merged["entered"]
                    erased += merged["erased"]
            # the report does not count consents that were left out, as with a list of contacts
            staged.report.lines -= erased
            return Scrubbed(staged.report, +Counter({Block.SUPPRESSED_ERASURE: erased}))

    async def withdraw(
        self, controller: str, digests: Digests, at: datetime, *,
        purpose: str | None, purposes: Mapping[str, str], origin: str, proof: str, at_once: bool = False,
    ) -> int:  # fmt: skip
        """One transaction, which the next seal covers. Raises ConsentError if there is nothing to withdraw: no campaign asks, or ever
        asked, for the purpose, and the number has no consent to it.
        """
        # a bar on '' is on all of the controller's calls
        campaigns = [""] if purpose is None else _asking_for(purpose, purposes.items())
        if not campaigns:
            # bar campaigns that asked for it and are gone: a list may still bring the consent, and a later policy ask for it again
            async with self._database.connection() as connection:
                asked = await self._campaigns.asked(connection, controller)
            gone = ((campaign, asks) for campaign, asks in asked if campaign not in purposes)
            campaigns = _asking_for(purpose, gone)
        async with self._database.transaction() as connection:
            await let_in(connection, controller)
            if not campaigns:
                rows = await connection.fetch(SQL["consent_purposes"], controller, list(digests.all))
                if purpose not in {row["purpose"] for row in rows}:
                    raise ConsentError(_nothing_to_withdraw(controller, purposes))
            wanted = None if purpose is None else [purpose]
            if at_once:
                at = await connection.fetchval(SQL["now_at_the_earliest"], at)
            withdrawn = await withdraw(connection, controller, digests, wanted, at)
            await enter(
                connection, controller, digests, NewBar(Reason.WITHDRAW_CONSENT, origin, proof, campaigns)
            )
            ended = {**whose_number(controller, digests), "consents": str(withdrawn)}
            noted = await accesses.add(
                connection, Looked.CONSENTS_WITHDRAWN, {**ended, "who": origin, "why": ""}
            )
        accesses.log(Looked.CONSENTS_WITHDRAWN, origin, noted)
        return withdrawn

    async def page(
        self, controllers: Sequence[str] | None, purpose: str | None, channel: str | None, limit: int, after: int | None
    ) -> list[dict[str, Any]]:  # fmt: skip
        rows = await self._database.rows(
            SQL["page_of_consents"], controllers, purpose, channel, limit, after, outside_pool=True
        )
        return _with_states(map(dict, rows))

    async def of(self, controller: str, digests: Digests) -> list[dict[str, Any]]:
        async with self._database.connection() as connection:
            consents = await connection.fetch(SQL["consents_of"], controller, list(digests.all))
            uses = await connection.fetch(SQL["uses_of_consents"], [each["id"] for each in consents])
        return _with_states(
            {
                **each,
                "uses": [
                    {"call": use["call_id"], "at": use["used_at"]}
                    for use in uses
                    if use["consent_id"] == each["id"]
                ],
            }
            for each in consents
        )


def _with_states(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    now = datetime.now(UTC)
    return [
        {
            **row,
            "state": consent.state(Consent(row["given_at"], row["withdrawn_at"], row["valid_until"]), now),
        }
        for row in rows
    ]


def _asking_for(purpose: str | None, campaigns: Iterable[tuple[str, str]]) -> list[str]:
    return sorted(campaign for campaign, asks in campaigns if asks == purpose)


def _nothing_to_withdraw(controller: str, purposes: Mapping[str, str]) -> str:
    known = ", ".join(sorted(set(purposes.values()))) or "none"
    return (
        f"the number has no consent to that purpose, and no campaign of {controller!r} asks for one: the "
        f"purposes asked for are {known}; to withdraw every consent leave out --purpose"
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


def _record(agreed: Agreed, digests: Digests, line: int) -> Record:
    return (
        digests.newest, digests.key_version, list(digests.all), agreed.purpose, agreed.channel, agreed.given_at,
        agreed.withdrawn_at, agreed.valid_until, agreed.proof, line,
    )  # fmt: skip
