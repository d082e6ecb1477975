"""The controllers' contacts: which numbers they may have called, and where each of them comes from (Art 14(2)(f))."""

import contextlib
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from ccari.policy.gate import Block, Facts, Question
from ccari.policy.suppression import Reason, bars_all
from ccari.ports.keying import Digests, Sought
from ccari.ports.lists import Judge, LineFault, Progress, Scrubbed, Sourced
from ccari.store.bulk import Record, Staging, staging, unseen
from ccari.store.database import Connection, Database
from ccari.store.facts import facts_of_many
from ccari.store.queries import SQL

_INCOMING = {
    "digest": "bytea", "key_version": "smallint", "digests": "bytea[]", "source": "text", "obtained_on": "date",
    "legal_basis": "text", "proof": "text", "valid_until": "timestamptz", "line": "bigint",
}  # fmt: skip
_BARRED_FROM_ALL = [reason for reason in Reason if bars_all(reason)]


@dataclass(frozen=True, slots=True)
class Sieve:
    """What the law says of many numbers: ``judge`` is asked with what the database knows of each (``question``)."""

    _connection: asyncpg.Connection | Connection
    question: Question
    judge: Judge

    async def sift(self, numbers: Sequence[Sought]) -> list[Block | None]:
        """Why each may not be called, or be kept; one query for all of them."""
        said: list[Block | None] = []
        last: Facts | None = None
        for facts in await facts_of_many(self._connection, self.question, numbers):
            # what is known of two in a row is one thing where it is the same, and so is the law
            said.append(said[-1] if facts is last else self.judge(facts))
            last = facts
        return said


class Contacts:
    def __init__(self, database: Database) -> None:
        self._database = database

    @contextlib.asynccontextmanager
    async def sieve(self, question: Question, judge: Judge) -> AsyncIterator[Sieve]:
        """A sieve on a connection of its own, so that no call waits for a long list."""
        async with self._database.apart() as connection:
            yield Sieve(connection, question, judge)

    async def load(
        self, question: Question, judge: Judge,
        contacts: AsyncIterable[Sequence[tuple[Sourced, Sought] | LineFault]], *,
        origin: str, keep_going: bool, progress: Progress = unseen,
    ) -> Scrubbed:  # fmt: skip
        """Enter a long list of the contacts of ``question.controller``, each number as its keyed digest.

        What ``judge`` bars stays out. With a fault in the list nothing is entered, unless ``keep_going``. A number that is
        known from the same source is told anew, unless what is known is newer.

        Raises
        ------
        StoreError
            If the database fails; contacts that were entered by then stay, and the list can be loaded again.
        """
        async with staging(
            self._database, _INCOMING, controller=question.controller, keep_going=keep_going
        ) as staged:
            scrubbed = Scrubbed(staged.report)
            sieve = Sieve(staged.connection, question, judge)
            await staged.take(_welcome(contacts, sieve, scrubbed.barred))
            if staged.sound:
                await _merge(staged, question.controller, origin, progress)
            return scrubbed

    async def page(
        self, controllers: Sequence[str] | None, source: str | None, limit: int, after: int | None
    ) -> list[dict[str, Any]]:
        """Those that were entered last before the others, of all controllers if they are None; after the one of that id."""
        async with self._database.apart() as connection:
            # a source that is rare may be looked for among millions
            rows = await connection.fetch(SQL["page_of_contacts"], controllers, source, limit, after)
        return [dict(row) for row in rows]

    async def sources(self) -> dict[str, list[str]]:
        """Every source that contacts came from, by controller. It looks through all of them."""
        async with self._database.apart() as connection:
            rows = await connection.fetch(SQL["sources_of_contacts"])
        return {row["controller"]: row["sources"] for row in rows}

    async def of(self, controller: str, digests: Digests) -> list[dict[str, Any]]:
        """The sources of one number, the oldest first."""
        return await self._database.rows(SQL["contacts_of"], controller, list(digests.all))


async def _welcome(
    contacts: AsyncIterable[Sequence[tuple[Sourced, Sought] | LineFault]],
    sieve: Sieve,
    barred: Counter[Block],
) -> AsyncIterator[list[Record | LineFault]]:
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
        async with staged.connection.transaction():
            await staged.connection.execute(SQL["rekey_contacts"], first, last, controller)
            staged.report.accepted += await staged.connection.fetchval(
                SQL["merge_contacts"], first, last, controller, _BARRED_FROM_ALL, origin
            )
            await staged.connection.execute(SQL["told_again"], first, last, controller)
