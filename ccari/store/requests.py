"""The register of rights requests. Each request is entered in one transaction with its immediate effect; so is each later step."""

import contextlib
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import asyncpg

from ccari.errors import NoRequestError, RequestError
from ccari.policy import chain, deadlines, rights, seal
from ccari.policy.chain import Linked
from ccari.policy.rights import EFFECTS, Level, RequestState, Right
from ccari.policy.seal import Kind, Sealed
from ccari.ports.keying import Digests
from ccari.ports.requests import Clock, Entered, Exercise, Handling, RequestRecord, WantedRequests
from ccari.store import journals
from ccari.store.database import Connection, Database
from ccari.store.queries import SQL, by_controller
from ccari.store.repeats import KEPT
from ccari.store.seals import sealed
from ccari.store.suppressions import NewBar, enter
from ccari.store.withdrawals import withdraw


class Requests:
    """:class:`ccari.ports.requests.RequestRegister` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def show(self, reference: str) -> RequestRecord:
        async with self._database.snapshot() as connection:
            row = await connection.fetchrow(SQL["show_request"], reference)
            if row is None:
                raise NoRequestError(reference)
            request = dict(row)
            journal = await connection.fetch(SQL["request_journal"], reference)
            leaves = await sealed(connection, Kind.REQUEST, reference)
            history = await connection.fetch(SQL["request_history"], reference)
            reason = EFFECTS[Right(request["right"])].suppress
            bars = await connection.fetch(SQL["bars_of_request"], reference, reason)
            recordings = await connection.fetch(SQL["recordings_of_call"], request["call_id"])
        fault = _fault(request, [journals.request_linked(dict(row)) for row in journal], leaves)
        return RequestRecord(
            request, list(map(dict, history)), list(map(dict, bars)), list(map(dict, recordings)), fault
        )

    async def export(
        self, controller: str | None, since: datetime | None
    ) -> AsyncGenerator[dict[str, Any], None]:
        async with contextlib.aclosing(
            self._database.stream(SQL["export_requests"], controller, since)
        ) as batches:
            async for rows in batches:
                for row in rows:
                    yield dict(row)

    async def add(
        self, controller: str, exercise: Exercise, digests: Digests, campaign: str | None = None, *, at_once: bool = False
    ) -> str:  # fmt: skip
        async with self._database.transaction() as connection:
            return await register(
                connection, controller, exercise, digests, campaign=campaign, at_once=at_once
            )

    async def entered_as(self, exercise_id: UUID) -> Entered | None:
        rows = await self._database.rows(SQL["request_entered_as"], exercise_id, KEPT)
        if not rows:
            return None
        row = rows[0]
        told = {
            "right": Right(row["right"]),
            "state": RequestState(row["state"]),
            "level": Level(row["level"]),
        }
        return Entered(**{**row, **told})

    async def verify(self, reference: str, level: Level, handling: Handling) -> dict[str, Any]:
        async with self._locked(reference) as (connection, request):
            state = RequestState(request["state"])
            _refuse_if(reference, state, rights.verification_fault(state, handling.words))
            await _refuse_unseen(connection, reference, handling)
            return await _change(connection, request, rights.after_verification(state), handling, level=level)

    async def step(self, reference: str, to: RequestState, handling: Handling) -> dict[str, Any]:
        """Closing a request erases its number and keeps the digest. A ``StepFault`` says why a step is refused."""
        async with self._locked(reference) as (connection, request):
            country = handling.clock.countries.get(request["controller"])
            if to is RequestState.EXTENDED and country is None:
                raise RequestError(
                    f"{reference}: {request['controller']!r} is no longer in the policy, which sets the calendar for the deadline"
                )
            received, now, state = request["received_at"], handling.clock.now, RequestState(request["state"])
            # a separate statement: an erasure may have begun while this one waited for the row
            erasing = await connection.fetchval(SQL["erasure_under_way"], reference) is not None
            fault = rights.step_fault(
                Right(request["right"]), request["article"], state, to, level=Level(request["level"]), reason=handling.words,
                extended=request["extended"],
                in_first_month=country is not None and deadlines.may_extend(received, country, now), erasing=erasing,
            )  # fmt: skip
            _refuse_if(reference, state, fault)
            await _refuse_unseen(connection, reference, handling)
            if to is RequestState.EXTENDED and country is not None:
                return await _change(
                    connection, request, to, handling, due=deadlines.extended(received, country)
                )
            return await _change(connection, request, to, handling)

    @contextlib.asynccontextmanager
    async def _locked(self, reference: str) -> AsyncIterator[tuple[Connection, asyncpg.Record]]:
        """The request, with its row locked: a concurrent change waits, and is judged by the state that this one leaves."""
        async with self._database.transaction() as connection:
            request = await connection.fetchrow(SQL["lock_request"], reference)
            if request is None:
                raise NoRequestError(reference)
            yield connection, request

    async def list(
        self,
        controller: str | None,
        limit: int,
        *,
        clock: Clock | None = None,
        wanted: WantedRequests | None = None,
    ) -> list[dict[str, Any]]:
        clock, wanted = clock or Clock(datetime.now(UTC), {}), wanted or WantedRequests()
        after = wanted.after
        return await self._database.rows(
            SQL["list_requests"], *clock.days, controller, list(wanted.states) or None, wanted.right, wanted.open, wanted.due_within, limit,
            wanted.controllers, wanted.due_before,
            *((after.closed, after.due, after.reference) if after else (None, None, None)), wanted.ending,
        )  # fmt: skip

    async def of(
        self, known_as: Mapping[str, Digests], limit: int, *, clock: Clock
    ) -> Sequence[dict[str, Any]]:
        return await self._database.rows(
            SQL["requests_asked_under"], *clock.days, *by_controller(known_as), limit
        )


async def register(
    connection: Connection, controller: str, exercise: Exercise, digests: Digests, *,
    campaign: str | None = None, call_id: UUID | None = None, at_once: bool = False,
) -> str:  # fmt: skip
    """Enter a request with its immediate effect, in ``connection``'s transaction. Returns its reference, such as ``ACME-2026-000123``.

    ``at_once``: the person is exercising the right at this moment. A withdrawal then ends whatever is on record, however slow the
    clock is by which it was received.
    """
    withdrawn_at = exercise.received_at
    if exercise.right is Right.WITHDRAW_CONSENT:
        if at_once:
            withdrawn_at = await connection.fetchval(SQL["now_at_the_earliest"], withdrawn_at)
        # before locking the counter's row, which all of the controller's requests wait for
        purposes = None if exercise.consent_purpose is None else [exercise.consent_purpose]
        await withdraw(connection, controller, digests, purposes, withdrawn_at)
    # a request made outside a call may concern any recording
    may_be_recorded = call_id is None or exercise.recorded_elsewhere
    recorded = may_be_recorded or await connection.fetchval(SQL["is_recorded"], call_id)
    state = rights.begins(exercise.right, recorded=recorded)
    count = await connection.fetchval(SQL["next_reference"], controller, exercise.local_year)
    reference = f"{controller.upper()}-{exercise.local_year}-{count:06d}"
    # a request that its effect completes needs no answer, so its number is not kept
    kept = exercise.number if state.is_open else None
    article = rights.article(exercise.right, exercise.recording_basis)
    asserted = {
        "right": exercise.right.value, "article": article, "controller": controller, "channel": exercise.intake.value,
        "received_at": exercise.received_at.astimezone(UTC).isoformat(), "digest": digests.newest.hex(), "key_version": str(digests.key_version),
        **({"campaign": campaign} if campaign is not None else {}),
    }  # fmt: skip
    await connection.execute(
        SQL["add_request"], reference, controller, campaign, call_id, exercise.right,
        article, state, exercise.key, exercise.notice_version, kept, digests.newest, digests.key_version, exercise.received_at,
        exercise.due, exercise.purpose, exercise.language, exercise.intake, exercise.number_from, exercise.level,
        list(digests.all), exercise.id, not state.is_open,
    )  # fmt: skip
    if (bar := _bar_of(exercise, reference, call_id, withdrawn_at)) is not None:
        await enter(connection, controller, digests, bar)
    first = journals.RequestEntry(state, exercise.level, exercise.due, exercise.who, exercise.note, asserted)
    await _note(connection, reference, first, exercise.number)
    return reference


def _bar_of(
    exercise: Exercise, reference: str, call_id: UUID | None, withdrawn_at: datetime
) -> NewBar | None:
    """The bar that the right enters at once; None if it bars no calls. ``withdrawn_at``: when a consent was withdrawn."""
    reason = EFFECTS[exercise.right].suppress
    if reason is None:
        return None
    origin = "call" if call_id else f"request:{exercise.intake}"
    campaigns = rights.barred_campaigns(exercise.right, exercise.consent_purpose, exercise.consent_campaigns)
    # a consent given after the withdrawal stands
    since = withdrawn_at if exercise.right is Right.WITHDRAW_CONSENT else None
    return NewBar(reason, origin, reference, campaigns, call_id=call_id, since=since)


async def _change(
    connection: Connection, request: asyncpg.Record, to: RequestState, handling: Handling, *,
    level: Level | None = None, due: date | None = None,
) -> dict[str, Any]:  # fmt: skip
    reference, due = request["reference"], due or request["due"]
    level = Level(request["level"]) if level is None else level
    await connection.execute(
        SQL["change_request"], reference, to, level, due, to is RequestState.EXTENDED, not to.is_open
    )
    number = request["number"] if to.is_open else None
    entry = journals.RequestEntry(to, level, due, handling.who, handling.words.strip())
    await _note(connection, reference, entry, number)
    return {"reference": reference, "right": request["right"], "state": to, "level": level.name, "due": due}


async def _note(
    connection: Connection, reference: str, entry: journals.RequestEntry, number: str | None
) -> None:
    """Record the change in the request's journal, and queue it for the controller (Art 28(3)(e)). ``number``: whose request it is, if
    that is still kept.
    """
    seq = await journals.append_to_request(connection, reference, entry)
    await connection.execute(SQL["queue_forward"], reference, seq, number)


def _fault(request: dict[str, Any], journal: Sequence[Linked], leaves: Sequence[Sealed]) -> str | None:
    """The first fault of the request's journal, or of its row. Pops the journal's count and last link from the row."""
    begins = chain.start_of_request(request["reference"])
    count, last = request.pop("events"), request.pop("last_link")
    return (
        chain.fault(begins, journal, count=count, last=last or begins)
        or seal.fault(journal, leaves)
        or chain.fault_of_request(journal, request)
    )


def _refuse_if(reference: str, state: RequestState, fault: rights.StepFault | None) -> None:
    if fault is not None:
        raise RequestError(f"{reference} is {state.value.replace('_', ' ')}: {fault}")


async def _refuse_unseen(connection: Connection, reference: str, handling: Handling) -> None:
    """What somebody has decided before a colleague's step may be wrong after it: an identity that was verified since, or a person who was
    told of an extension. To close a request cannot be undone.

    The steps that the history shows are counted, which are other than the request's count if somebody has tampered with it: the person must
    be answered all the same. Counted once the row is locked, so that a concurrent step is seen.
    """
    if handling.seen is None:
        return
    history = await connection.fetch(SQL["request_history"], reference)
    known = 0 < handling.seen <= len(history)
    if not known or any(_decides(*each) for each in itertools.pairwise(history[handling.seen - 1 :])):
        raise RequestError(
            f"{reference} has been changed since you opened it: read its history, and send this again if it is still right"
        )


def _decides(before: asyncpg.Record, after: asyncpg.Record) -> bool:
    """Whether an entry of a history changed what steps are decided on: the identity's level, the last day or the state. That the work has
    begun decides nothing: exporting or erasing the person's data begins it too.
    """
    moved = after["state"] not in {before["state"], RequestState.IN_PROGRESS}
    return moved or (before["level"], before["due"]) != (after["level"], after["due"])
