"""The controllers' contacts: which numbers they may call, and the source of each (Art 14(2)(f))."""

import contextlib
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from ccari.policy.gate import Block, Facts, Question
from ccari.policy.suppression import Reason, bars_all
from ccari.ports.keying import Digests, Sought
from ccari.ports.lists import Judge, LineFault, Progress, Scrubbed, Sourced
from ccari.store.bulk import Record, Staging, staging, unseen
from ccari.store.database import Connection, Database
from ccari.store.entering import entering, refuse_gone
from ccari.store.facts import facts_of_many
from ccari.store.queries import SQL

_INCOMING = {
    "digest": "bytea", "key_version": "smallint", "digests": "bytea[]", "source": "text", "obtained_on": "date",
    "legal_basis": "text", "proof": "text", "valid_until": "timestamptz", "line": "bigint",
}  # fmt: skip
_BARRED_FROM_ALL = [reason for reason in Reason if bars_all(reason)]


@dataclass(frozen=True, slots=True)
class Sieve:
    """Judges many numbers: reads the facts of each for ``question``, and has ``judge`` apply the law to them. Raises InputError if the
    controller was deleted.
    """

    _connection: Connection
    question: Question
    judge: Judge

    async def sift(self, numbers: Sequence[Sought]) -> list[Block | None]:
        verdicts: list[Block | None] = []
        last: Facts | None = None
        for facts in await facts_of_many(self._connection, self.question, numbers):
            # neighbours with equal facts share one object, and so one verdict
            verdicts.append(verdicts[-1] if facts is last else self.judge(facts))
            last = facts
        # a deletion may have removed its bars while the facts were read
        await refuse_gone(self._connection, self.question.controller)
        return verdicts


class Contacts:
    """:class:`ccari.ports.lists.ContactLists` and ``ContactStore`` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextlib.asynccontextmanager
    async def sieve(self, question: Question, judge: Judge) -> AsyncIterator[Sieve]:
        async with self._database.outside_pool() as connection:
            yield Sieve(connection, question, judge)

    async def load(
        self, question: Question, judge: Judge,
        contacts: AsyncIterable[Sequence[tuple[Sourced, Sought] | LineFault]], *,
        origin: str, keep_going: bool, progress: Progress = unseen,
    ) -> Scrubbed:  # fmt: skip
        """A contact already known from the same source is updated, unless it is newer than the list's. If the database fails, contacts
        already entered stay, and the list can be loaded again.
        """
        async with staging(
            self._database, _INCOMING, controller=question.controller, keep_going=keep_going
        ) as staged:
            scrubbed = Scrubbed(staged.report)
            sieve = Sieve(staged.connection, question, judge)
            await staged.take(_without_barred(contacts, sieve, scrubbed.barred))
            if staged.sound:
                await _merge(staged, question.controller, origin, progress)
            return scrubbed

    async def page(
        self, controllers: Sequence[str] | None, source: str | None, limit: int, after: int | None
    ) -> list[dict[str, Any]]:
        # finding a rare source may mean reading millions of rows
        return await self._database.rows(
            SQL["page_of_contacts"], controllers, source, limit, after, outside_pool=True
        )

    async def sources(self) -> dict[str, list[str]]:
        """Every source of contacts, by controller. Reads all contacts."""
        rows = await self._database.rows(SQL["sources_of_contacts"], outside_pool=True)
        return {row["controller"]: row["sources"] for row in rows}

    async def of(self, controller: str, digests: Digests) -> list[dict[str, Any]]:
        return await self._database.rows(SQL["contacts_of"], controller, list(digests.all))


async def _without_barred(
    contacts: AsyncIterable[Sequence[tuple[Sourced, Sought] | LineFault]],
    sieve: Sieve,
    barred: Counter[Block],
) -> AsyncIterator[list[Record | LineFault]]:
    """The list without barred numbers, which are counted by reason in ``barred``."""
    line = 0
    async for batch in contacts:
        blocks = iter(await sieve.sift([each[1] for each in batch if not isinstance(each, LineFault)]))
        kept: list[Record | LineFault] = []
        for each in batch:
            line += 1
            if isinstance(each, LineFault):
                kept.append(each)
            elif (block := next(blocks)) is not None:
                barred[block] += 1
            else:
                kept.append(_record(*each, line))
        yield kept


def _record(contact: Sourced, number: Sought, line: int) -> Record:
    digests = number.digests
    return (
        digests.newest, digests.key_version, list(digests.all), contact.source, contact.obtained_on,
        contact.legal_basis, contact.proof, contact.valid_until, line,
    )  # fmt: skip


async def _merge(staged: Staging, controller: str, origin: str, progress: Progress) -> None:
    async for first, last in staged.slices(progress):
        async with entering(staged.connection, controller):
            await staged.connection.execute(SQL["lock_contacts"], controller)
            await staged.connection.execute(SQL["rekey_contacts"], first, last, controller)
            staged.report.accepted += await staged.connection.fetchval(
                SQL["merge_contacts"], first, last, controller, _BARRED_FROM_ALL, origin
            )
            await staged.connection.execute(SQL["told_again"], first, last, controller)
