"""The erasure of one person, step by step: each step is a transaction, and checks again under its own locks what may go."""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import asyncpg

from ccari.counting import counted
from ccari.errors import StoreError
from ccari.policy import erasure as law
from ccari.policy.bases import LegalBasis
from ccari.policy.erasure import ErasureTerms, Ground, Plan, Thing, What, count_kept
from ccari.policy.retention import HOLDING, OF_ITS_CALL, HoldKind
from ccari.policy.rights import Right
from ccari.policy.suppression import Reason
from ccari.ports.holds import Held, Subject
from ccari.ports.subjects import Wanted
from ccari.store import holds, journals, mandates
from ccari.store.database import Connection, Database
from ccari.store.queries import SQL
from ccari.store.suppressions import NewBar, enter
from ccari.store.traces import clear
from ccari.store.withdrawals import withdraw

#: Calls per transaction: each journal gets an entry.
BATCH = 50
_Holds = list[tuple[HoldKind, str]]


class Erasures:
    """:class:`ccari.ports.subjects.Erasures` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def things(self, wanted: Wanted) -> list[Thing]:
        async with self._database.snapshot() as connection:
            held = await _held(connection, wanted)
            recordings = await _recordings(connection, wanted.subject)
            calls = await _calls(
                connection, await connection.fetch(SQL["calls_to_erase"], *_digests_of(wanted.subject)), held
            )
            ids_by_call: defaultdict[str, list[str]] = defaultdict(list)
            for thing, call in recordings:
                ids_by_call[call].append(thing.id)
            of_calls = [replace(each, with_=ids_by_call[each.id]) for each in calls]
            return [
                *(each for each, _ in recordings), *of_calls, *await _contacts(connection, wanted.subject, held),
                *await _consents(connection, wanted.subject, held), *await _others(connection, wanted, held),
            ]  # fmt: skip

    async def under_way(self, wanted: Wanted) -> int | None:
        found = await self._database.value(SQL["erasure_under_way"], wanted.mandate.reference)
        return None if found is None else int(found)

    async def report(self, reference: str) -> dict[str, Any] | None:
        """The report of the last finished erasure for this request."""
        found = await self._database.value(SQL["erasure_report"], reference)
        return None if found is None else dict(json.loads(found))

    async def begin(self, wanted: Wanted, who: str) -> int:
        reference, digests = wanted.mandate.reference, wanted.subject.digests
        async with self._database.transaction() as connection:
            # wait for the current slice of a list, so that the erasure covers its rows; the next slice sees the bar
            for lists in ("share_consents", "share_contacts"):
                await connection.execute(SQL[lists], wanted.subject.controller)
            # before any bar, the lock order of the expiry of requests. Once it has begun, no step refuses the request any more
            await mandates.lock(connection, wanted.mandate)
            # without a bar the next list would bring the number back (CJEU C-129/21)
            bar = NewBar(Reason.ERASURE, "erasure", reference)
            await enter(connection, wanted.subject.controller, digests, bar)
            await connection.execute(SQL["begin_erasure"], reference, wanted.subject.controller, who)
            return int(await connection.fetchval(SQL["erasure_under_way"], reference))

    async def erase_calls(self, wanted: Wanted, erasure: int, terms: ErasureTerms, who: str) -> int:
        after: UUID | None = None
        while True:
            async with self._database.transaction() as connection:
                # no hold can be placed between the check and the erasure
                await connection.execute(SQL["alone_to_delete"])
                held = await _held(connection, wanted)
                rows = await connection.fetch(
                    SQL["lock_calls_to_erase"], *_digests_of(wanted.subject), after, BATCH
                )
                if not rows:
                    return 0
                recordings = await connection.fetch(
                    SQL["recordings_of_calls_to_erase"], [row["id"] for row in rows]
                )
                there = {str(row["call_id"]) for row in recordings if not row["lost"]}
                goes = [
                    each
                    for each in await _calls(connection, rows, held)
                    if terms.ground(each, {}) is None and each.id not in there
                ]
                if goes:
                    await _discard_lost(connection, recordings, {each.id for each in goes}, terms)
                    worded = await _erase_calls(connection, [UUID(each.id) for each in goes], wanted, who)
                    await _add_to_count(
                        connection, erasure, Counter({What.CALL: len(goes), What.WORDS: worded})
                    )
                    return len(goes)
                after = rows[-1]["id"]

    async def erase_rest(self, wanted: Wanted, erasure: int, terms: ErasureTerms) -> None:
        whose = _digests_of(wanted.subject)
        async with self._database.transaction() as connection:
            await connection.execute(SQL["alone_to_delete"])
            # so that no list rekeys a contact between the look-up and its erasure
            await connection.execute(SQL["share_contacts"], wanted.subject.controller)
            held = await _held(connection, wanted)
            calls = await _calls(connection, await connection.fetch(SQL["calls_to_erase"], *whose), held)
            goes = await _rest_that_goes(connection, wanted, held, calls, terms)
            ids = {what: [each.id for each in goes if each.what is what] for what in What}
            consents = [int(each) for each in ids[What.CONSENT]]
            # a consent kept as proof is no longer a basis for calls, whatever becomes of the bar. Withdraw it before deleting any
            # consent: a list being loaded locks them in that order, and another order could deadlock
            begun = await connection.fetchval(SQL["erasure_begun"], erasure)
            await withdraw(connection, wanted.subject.controller, wanted.subject.digests, None, begun)
            worded = await connection.fetchval(
                SQL["erase_contacts"], *whose, ids[What.CONTACT], wanted.pattern
            )
            await connection.execute(SQL["erase_uses"], consents)
            await connection.execute(SQL["erase_consents"], consents)
            if ids[What.HEARD]:
                await connection.execute(SQL["erase_heard"], *whose)
            await _erase_notes(connection, wanted, set(ids[What.NOTES]))
            await connection.execute(SQL["erase_numbers"], ids[What.NUMBER])
            await connection.execute(
                SQL["erase_queued"], ids[What.QUEUED], [each.rpartition(" ")[0] for each in ids[What.QUEUED]]
            )
            if ids[What.ANSWER]:
                await connection.execute(SQL["erase_answers"], *_answers(wanted))
            if ids[What.WORDS]:
                # consents before bars, the lock order of a withdrawal, so that the two do not deadlock
                await connection.execute(SQL["erase_words_of_consents"], *whose, wanted.pattern)
            await connection.execute(SQL["erase_calls_of_bars"], *whose)
            if ids[What.WORDS]:
                await _erase_words_of_bars_and_recordings(connection, wanted, calls)
            found: Counter[What] = Counter({What.WORDS: worded})
            for each in goes:
                found[each.what] += each.count
            await _add_to_count(connection, erasure, found)

    async def clear_traces(self, erasure: int) -> Mapping[str, Any]:
        async with self._database.outside_pool() as connection:
            done = json.loads(await connection.fetchval(SQL["erased_so_far"], erasure))
            return await clear(connection, in_words=What.WORDS.value in done)

    async def end(
        self, wanted: Wanted, erasure: int, left: Plan, traces: Mapping[str, Any], who: str
    ) -> dict[str, Any]:
        mandate = wanted.mandate
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(SQL["lock_erasure"], erasure)
            if row is None:
                raise StoreError(f"the erasure for {mandate.reference} was ended by another process")
            erased = Counter(json.loads(row["done"]))
            erased[What.RECORDING] += await connection.fetchval(
                SQL["recordings_erased"], mandate.reference, row["begun_at"]
            )
            report = _report(wanted, row, +erased, left, traces, who)
            await mandates.note(connection, mandate, who, _summary(+erased, left))
            await connection.execute(SQL["end_erasure"], erasure, json.dumps(report, default=str))
        return report


async def holds_on_number(
    connection: Connection, subject: Subject, *, besides: str | None = None
) -> list[Held]:
    """Everything that holds all data of a number, except the request ``besides``."""
    rows = await connection.fetch(
        SQL["holds_on_number"],
        *_digests_of(subject),
        list(HOLDING),
        list(OF_ITS_CALL),
        holds.ON_RIGHTS,
        holds.ON_BARS,
        besides,
    )
    return [holds.held(row) for row in rows]


async def _held(connection: Connection, wanted: Wanted) -> list[Held]:
    return await holds_on_number(connection, wanted.subject, besides=wanted.mandate.reference)


def _digests_of(subject: Subject) -> tuple[str, list[bytes]]:
    """The controller and the number's digests, as arguments of the statements."""
    return subject.controller, list(subject.digests.all)


def _holds_on(held: Sequence[Held], basis: LegalBasis | None) -> _Holds:
    """The holds on a number that cover data processed on ``basis``."""
    return [
        (each.kind, each.words)
        for each in held
        if each.kind is HoldKind.LEGAL or law.is_held_by(Right(each.reason), basis)
    ]


async def _recordings(connection: Connection, subject: Subject) -> list[tuple[Thing, str]]:
    """The person's recordings, each with its call's id."""
    return await _with_calls(
        connection, await connection.fetch(SQL["recordings_to_erase"], *_digests_of(subject))
    )


async def _with_calls(connection: Connection, rows: Sequence[asyncpg.Record]) -> list[tuple[Thing, str]]:
    held = await holds.explain(connection, [row["id"] for row in rows]) if rows else {}
    found = []
    for row in rows:
        basis = None if row["decided"] else LegalBasis(row["legal_basis"])
        by = [] if row["decided"] else [(each.kind, each.words) for each in held.get(row["id"], [])]
        thing = Thing(What.RECORDING, str(row["id"]), basis, row["delete_at"], row["over"], by)
        found.append((thing, str(row["call_id"])))
    return found


async def _calls(connection: Connection, rows: Sequence[asyncpg.Record], held: Sequence[Held]) -> list[Thing]:
    by_hold: defaultdict[UUID, _Holds] = defaultdict(list)
    for row in await connection.fetch(SQL["holds_on_calls"], [row["id"] for row in rows]):
        words = Held(HoldKind.LEGAL, row["hold"], None, row["reason"]).words
        by_hold[row["call_id"]].append((HoldKind.LEGAL, words))
    found = []
    for row in rows:
        basis = None if row["legal_basis"] is None else LegalBasis(row["legal_basis"])
        on = [*by_hold[row["id"]], *_holds_on(held, basis)]
        found.append(Thing(What.CALL, str(row["id"]), basis, None, row["over"], on))
    return found


async def _rest_that_goes(
    connection: Connection, wanted: Wanted, held: Sequence[Held], calls: Sequence[Thing], terms: ErasureTerms
) -> list[Thing]:
    """Everything other than calls and recordings that no ground keeps. ``calls``: those that were not erased."""
    # a call that was not erased is kept for a reason, and so is the consent that it rests on
    kept_calls = {each.id: terms.ground(each, {}) or Ground.UNDER_WAY for each in calls}
    things = [
        *await _contacts(connection, wanted.subject, held),
        *await _consents(connection, wanted.subject, held),
        *await _others(connection, wanted, held),
    ]
    return [each for each in things if terms.ground(each, kept_calls) is None]


async def _erase_notes(connection: Connection, wanted: Wanted, references: set[str]) -> None:
    """Erase the notes on requests. On the erasure request itself erase only notes that contain the number: the others are its proof."""
    mandate = wanted.mandate.reference
    if mandate in references:
        await connection.execute(SQL["erase_telling_notes"], mandate, wanted.pattern)
    await connection.execute(SQL["erase_notes"], list(references - {mandate}))


async def _erase_words_of_bars_and_recordings(
    connection: Connection, wanted: Wanted, calls: Sequence[Thing]
) -> None:
    for query in ("erase_words_of_bars", "erase_words_of_removed_bars"):
        await connection.execute(SQL[query], *_digests_of(wanted.subject), wanted.pattern)
    of_calls = [UUID(each.id) for each in calls]
    await connection.execute(SQL["erase_words_of_recordings"], of_calls, wanted.pattern)


async def _contacts(connection: Connection, subject: Subject, held: Sequence[Held]) -> list[Thing]:
    rows = await connection.fetch(SQL["contacts_to_erase"], *_digests_of(subject))
    bases = [(row["id"], LegalBasis(row["legal_basis"])) for row in rows]
    return [Thing(What.CONTACT, name, basis, holds=_holds_on(held, basis)) for name, basis in bases]


async def _consents(connection: Connection, subject: Subject, held: Sequence[Held]) -> list[Thing]:
    rows = await connection.fetch(SQL["consents_to_erase"], *_digests_of(subject))
    by = _holds_on(held, LegalBasis.CONSENT)
    return [
        Thing(
            What.CONSENT, str(row["id"]), holds=by, with_=row["calls"] or (), given_at=row["given_at"],
            used_at=row["used_at"],
        )
        for row in rows
    ]  # fmt: skip


async def _others(connection: Connection, wanted: Wanted, held: Sequence[Held]) -> list[Thing]:
    whose, by = _digests_of(wanted.subject), _holds_on(held, None)
    legal = [each for each in by if each[0] is HoldKind.LEGAL]
    things = []
    heard = await connection.fetchval(SQL["heard_to_erase"], *whose)
    if heard:
        things.append(Thing(What.HEARD, "heard notices", holds=by, count=heard))
    reference = wanted.mandate.reference
    for row in await connection.fetch(SQL["requests_to_erase"], *whose, reference, wanted.pattern):
        needed = Ground.ANSWER if row["open"] and not row["own"] else None
        notes = row["telling"] if row["own"] else row["notes"]
        if notes:
            things.append(Thing(What.NOTES, row["reference"], holds=legal, needed=needed, count=notes))
        if row["number"]:
            things.append(Thing(What.NUMBER, row["reference"], holds=legal, needed=needed))
    for row in await connection.fetch(SQL["queued_to_erase"], *whose):
        untold = wanted.forwarded and row["untold"]
        things.append(Thing(What.QUEUED, row["id"], needed=Ground.UNTOLD if untold else None))
    for what, count in (
        (What.ANSWER, await connection.fetchval(SQL["answers_to_erase"], *_answers(wanted))),
        (What.WORDS, await connection.fetchval(SQL["words_to_erase"], *whose, wanted.pattern)),
    ):
        if count:
            things.append(Thing(what, what.value, holds=legal if what is What.WORDS else (), count=count))
    return things


def _answers(wanted: Wanted) -> tuple[str, str]:
    return wanted.masked, wanted.number


async def _discard_lost(
    connection: Connection, recordings: Sequence[asyncpg.Record], calls: Collection[str], terms: ErasureTerms
) -> None:
    """Discard these calls' lost recordings, unless a ground keeps them, so that none is restored if its file turns up."""
    lost = await _with_calls(connection, [row for row in recordings if row["lost"]])
    goes = [UUID(each.id) for each, call in lost if call in calls and terms.ground(each, {}) is None]
    await connection.execute(SQL["discard_lost"], goes)


async def _erase_calls(connection: Connection, ids: Sequence[UUID], wanted: Wanted, who: str) -> int:
    """Returns how many of their recordings had been deleted for a reason whose text contains the number."""
    fields = {"reference": wanted.mandate.reference, "by": who}
    await connection.execute(SQL["erase_fields"], ids, list(law.TELLING), wanted.pattern)
    for each in ids:
        await journals.append(connection, each, "personal_data_erased", fields)
    worded = int(await connection.fetchval(SQL["erase_words_of_recordings"], ids, wanted.pattern))
    await connection.execute(SQL["erase_callers"], ids, wanted.pattern)
    return worded


async def _add_to_count(connection: Connection, erasure: int, found: Counter[What]) -> None:
    row = await connection.fetchrow(SQL["lock_erasure"], erasure)
    if row is None:
        raise StoreError("the erasure was ended by another process")
    done = Counter(json.loads(row["done"]))
    done.update({what.value: count for what, count in found.items()})
    await connection.execute(SQL["count_erased"], erasure, json.dumps(+done))


def _report(
    wanted: Wanted, row: asyncpg.Record, erased: Counter[str], left: Plan, traces: Mapping[str, Any], who: str
) -> dict[str, Any]:
    return {
        "reference": wanted.mandate.reference, "controller": wanted.subject.controller, "begun_at": row["begun_at"],
        "begun_by": row["begun_by"], "ended_by": who, "erased": {str(what): count for what, count in erased.items()}, "kept": count_kept(left),
        "remains": dict(law.REMAINS), "traces": dict(traces),
    }  # fmt: skip


def _summary(erased: Mapping[str, int], left: Plan) -> str:
    def told(what: str, count: int) -> str:
        return counted(count, *What(what).one_and_several)

    gone = ", ".join(told(what, count) for what, count in sorted(erased.items())) or "nothing"
    stays = "; ".join(
        f"{told(each['what'], each['count'])} (Art {each['article']})" for each in count_kept(left)
    )
    return f"erased: {gone}" + (f"; kept: {stays}" if stays else "")
