"""The work on a request: who may take which step, what stays of it, and when it is due."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from ccari.errors import RequestError, StoreError
from ccari.policy.numbers import Number
from ccari.policy.recording import RecordingState
from ccari.policy.rights import Level, NumberFrom, RequestState, Right
from ccari.policy.seal import Kind
from ccari.ports.requests import OVERDUE, Clock, Exercise, Handling, Intake, WantedRequests
from ccari.store.database import Database
from ccari.store.opened import Store
from tests.unit.store import made
from tests.unit.store.forging import NO_MOMENTS, forge

IN_TIME = Clock(made.NOW, {"acme": "PL"})
LATE = WantedRequests(due_within=OVERDUE)
RECEIVED = datetime(2026, 11, 24, 12, tzinfo=UTC)


def by(who: str, words: str = "", clock: Clock = IN_TIME) -> Handling:
    return Handling(who, clock, words)


def letter(right: Right = Right.ACCESS, *, level: Level = Level.L0, **changes: Any) -> Exercise:
    exercise = Exercise(
        right=right, number=made.NUMBER.e164, received_at=RECEIVED, due=date(2026, 12, 28), local_year=2026,
        intake=Intake.LETTER, number_from=NumberFrom.GIVEN, level=level, who="cli:anna", note="letter 7",
    )  # fmt: skip
    return replace(exercise, **changes)


async def added(store: Store, right: Right = Right.ACCESS, *, level: Level = Level.L0, **changes: Any) -> str:
    return await store.requests.add("acme", letter(right, level=level, **changes), made.digests())


async def rows(database: Database, statement: str) -> list[dict[str, Any]]:
    return await database.rows(statement)


async def test_a_step_leaves_no_trace_of_who_when_and_why(store: Store) -> None:
    reference = await added(store)
    await store.requests.verify(reference, Level.L2, by("cli:anna", "called back"))
    await store.requests.step(reference, RequestState.IN_PROGRESS, by("cli:bert"))
    await store.requests.step(reference, RequestState.EXTENDED, by("cli:bert", "three archives"))
    await store.requests.step(reference, RequestState.FULFILLED, by("cli:anna", "sent by post"))
    record = await store.requests.show(reference)
    kept = [
        (each["seq"], each["who"], each["state"], each["level"], str(each["due"]), each["reason"])
        for each in record.history
    ]
    assert kept == [
        (1, "cli:anna", "received", 0, "2026-12-28", "letter 7"),
        (2, "cli:anna", "verifying", 2, "2026-12-28", "called back"),
        (3, "cli:bert", "in_progress", 2, "2026-12-28", ""),
        (4, "cli:bert", "extended", 2, "2027-02-24", "three archives"),
        (5, "cli:anna", "fulfilled", 2, "2027-02-24", "sent by post"),
    ]
    times = [each["at"] for each in record.history]
    assert times == sorted(times)
    assert record.request["closed_at"] is not None
    assert record.request["extended_at"] is not None


@pytest.mark.parametrize(
    ("to", "words"),
    [(RequestState.FULFILLED, ""), (RequestState.REFUSED, "unfounded"), (RequestState.WITHDRAWN, "by phone")],
)
async def test_a_closed_request_keeps_the_number_or_loses_the_digest(
    store: Store, to: RequestState, words: str
) -> None:
    reference = await added(store, level=Level.L2)
    assert (await store.requests.show(reference)).request["number"] == made.NUMBER.e164
    await store.requests.step(reference, to, by("cli:anna", words))
    request = (await store.requests.show(reference)).request
    assert (request["number"], request["digest"]) == (None, made.digests().newest)


@pytest.mark.parametrize(
    ("right", "to", "words", "fault"),
    [
        (
            Right.ERASURE,
            RequestState.FULFILLED,
            "done",
            "is received: the person's identity is not sure enough",
        ),
        (Right.ACCESS, RequestState.REFUSED, " ", "give a reason: the person must be told why"),
        (Right.ACCESS, RequestState.EXTENDED, "", "give a reason: the person must be told why"),
        (Right.OBJECTION_MARKETING, RequestState.REFUSED, "no", "this right cannot be refused"),
        (
            Right.ACCESS,
            RequestState.RECEIVED,
            "",
            "this step is not possible in the present state of the request",
        ),
    ],
)
async def test_a_step_that_the_law_forbids_is_taken_or_leaves_something(
    store: Store, database: Database, right: Right, to: RequestState, words: str, fault: str
) -> None:
    reference = await added(store, right)
    before = await everything(database)
    with pytest.raises(RequestError, match=f"^{reference} .*{fault}"):
        await store.requests.step(reference, to, by("cli:anna", words))
    assert await everything(database) == before


async def test_a_request_is_extended_twice(store: Store) -> None:
    """Even if somebody has worked on it since."""
    reference = await added(store)
    await store.requests.step(reference, RequestState.EXTENDED, by("cli:anna", "many"))
    await store.requests.step(reference, RequestState.IN_PROGRESS, by("cli:anna"))
    with pytest.raises(RequestError, match="extended before"):
        await store.requests.step(reference, RequestState.EXTENDED, by("cli:anna", "many"))


@pytest.mark.parametrize(
    ("now", "may"),
    [
        # the first month from 24 November ends on Monday 28 December in Warsaw, an hour before it does in London
        (datetime(2026, 12, 28, 22, 59, 59, tzinfo=UTC), True),
        (datetime(2026, 12, 28, 23, 0, 0, tzinfo=UTC), False),
    ],
)
async def test_a_request_is_extended_when_the_first_month_is_over(
    store: Store, now: datetime, *, may: bool
) -> None:
    reference = await added(store)
    handling = by("cli:anna", "many", replace(IN_TIME, now=now))
    if may:
        assert (await store.requests.step(reference, RequestState.EXTENDED, handling))["due"] == date(
            2027, 2, 24
        )
        return
    with pytest.raises(RequestError, match="the first month is over"):
        await store.requests.step(reference, RequestState.EXTENDED, handling)


async def test_an_extension_is_counted_by_the_calendar_of_nobody(store: Store) -> None:
    reference = await added(store)
    with pytest.raises(RequestError, match="'acme' is no longer in the policy"):
        await store.requests.step(
            reference, RequestState.EXTENDED, by("cli:anna", "many", Clock(made.NOW, {}))
        )
    # what needs no calendar goes on
    await store.requests.step(reference, RequestState.IN_PROGRESS, by("cli:anna", "", Clock(made.NOW, {})))


@pytest.mark.parametrize("how", ["", "  "])
async def test_an_identity_is_verified_nobody_knows_how(store: Store, how: str) -> None:
    reference = await added(store)
    with pytest.raises(RequestError, match="say how the person's identity was verified"):
        await store.requests.verify(reference, Level.L2, by("cli:anna", how))
    assert len((await store.requests.show(reference)).history) == 1


async def test_to_verify_takes_back_what_was_done(store: Store) -> None:
    """Work that is under way stays under way."""
    reference = await added(store)
    await store.requests.step(reference, RequestState.EXTENDED, by("cli:anna", "many"))
    done = await store.requests.verify(reference, Level.L1, by("cli:anna", "called back"))
    assert (done["state"], done["level"], done["due"]) == ("extended", "L1", date(2027, 2, 24))
    await store.requests.step(reference, RequestState.WITHDRAWN, by("cli:anna", "by phone"))
    with pytest.raises(RequestError, match="is withdrawn: the request is closed"):
        await store.requests.verify(reference, Level.L2, by("cli:anna", "called back"))


async def _exported(store: Store, reference: str) -> None:
    await store.subjects.note(await store.subjects.mandate(reference), "cli:anna", "exported: 1 call")


#: What is done on a request, by name.
DONE: dict[str, Callable[[Store, str], Awaitable[object]]] = {
    "verified": lambda store, one: store.requests.verify(one, Level.L2, by("cli:anna", "card")),
    "unverified": lambda store, one: store.requests.verify(one, Level.L0, by("cli:anna", "another's card")),
    "begun": lambda store, one: store.requests.step(one, RequestState.IN_PROGRESS, by("cli:anna")),
    "extended": lambda store, one: store.requests.step(
        one, RequestState.EXTENDED, by("cli:anna", "three archives")
    ),
    "exported": _exported,
}


async def test_data_are_given_out_to_somebody_whose_identity_was_doubted_meanwhile(store: Store) -> None:
    """While the export was made: it is noted first, and sent if that is possible."""
    reference = await added(store)
    await DONE["verified"](store, reference)
    mandate = await store.subjects.mandate(reference)
    await DONE["unverified"](store, reference)
    with pytest.raises(RequestError, match=f"{reference} was changed meanwhile: try again"):
        await store.subjects.note(mandate, "cli:anna", "exported: 1 call")


async def _refused_after(store: Store, before: str, meanwhile: str) -> None:
    """A request is refused by somebody who has seen it after ``before``."""
    reference = await added(store)
    for each in before.split():
        await DONE[each](store, reference)
    seen = len((await store.requests.show(reference)).history)
    for each in meanwhile.split():
        await DONE[each](store, reference)
    await store.requests.step(reference, RequestState.REFUSED, replace(by("cli:eva", "unfounded"), seen=seen))


@pytest.mark.parametrize(
    ("before", "meanwhile"),
    [("", "begun"), ("", "exported"), ("verified", "exported"), ("begun", "exported"), ("extended", "exported"), ("begun", "exported exported")],
)  # fmt: skip
async def test_a_step_has_to_be_sent_twice_as_something_was_done_that_decides_nothing(
    store: Store, before: str, meanwhile: str
) -> None:
    await _refused_after(store, before, meanwhile)


@pytest.mark.parametrize(
    ("before", "meanwhile"),
    [("", "verified"), ("begun", "verified exported"), ("", "extended"), ("verified begun", "exported extended"), ("", "verified unverified")],
)  # fmt: skip
async def test_a_step_is_taken_though_somebody_has_changed_what_it_was_decided_on(
    store: Store, before: str, meanwhile: str
) -> None:
    with pytest.raises(RequestError, match="has been changed since you opened it"):
        await _refused_after(store, before, meanwhile)


async def test_a_request_that_is_not_there_ends_in_a_traceback(store: Store) -> None:
    for attempt in (
        store.requests.show("ACME-2026-000009"),
        store.requests.verify("ACME-2026-000009", Level.L2, by("cli:anna", "called back")),
        store.requests.step("ACME-2026-000009", RequestState.IN_PROGRESS, by("cli:anna")),
    ):
        with pytest.raises(RequestError, match="there is no request 'ACME-2026-000009'"):
            await attempt


async def test_two_people_close_one_request_and_one_of_them_is_not_told(store: Store) -> None:
    for _ in range(10):
        reference = await added(store, level=Level.L2)
        ends = await asyncio.gather(
            store.requests.step(reference, RequestState.FULFILLED, by("cli:anna", "sent")),
            store.requests.step(reference, RequestState.REFUSED, by("cli:bert", "unfounded")),
            return_exceptions=True,
        )
        (done,) = (each for each in ends if isinstance(each, dict))
        (refused,) = (each for each in ends if isinstance(each, RequestError))
        assert str(refused) == f"{reference} is {done['state']}: the request is closed"
        record = await store.requests.show(reference)
        assert [each["state"] for each in record.history] == ["received", done["state"]]


async def test_people_who_work_at_once_overwrite_each_other(store: Store) -> None:
    """Five people note what they found out; every word of it is kept, in some order."""
    reference = await added(store)
    await asyncio.gather(
        *(store.requests.verify(reference, Level.L1, by("cli:anna", f"way {n}")) for n in range(5))
    )
    record = await store.requests.show(reference)
    assert [each["seq"] for each in record.history] == [1, 2, 3, 4, 5, 6]
    assert {each["reason"] for each in record.history[1:]} == {f"way {n}" for n in range(5)}


@pytest.mark.parametrize("change", ["UPDATE request_events SET reason = ''", "DELETE FROM request_events", "TRUNCATE request_events CASCADE"])  # fmt: skip
async def test_the_history_of_a_request_can_be_changed(store: Store, database: Database, change: str) -> None:
    await added(store)
    with pytest.raises(StoreError):
        await rows(database, change)
    assert len(await rows(database, "SELECT * FROM request_events")) == 1


@pytest.mark.parametrize("edit", NO_MOMENTS)
@pytest.mark.parametrize(("column", "kind"), [("at", "timestamptz"), ("due", "date")])
async def test_invariant_9_a_moment_that_python_does_not_hold_breaks_off_who_reads_a_requests_journal_or_passes(
    store: Store, database: Database, column: str, kind: str, edit: str
) -> None:
    reference = await added(store)
    await forge(database, f"UPDATE request_events SET {column} = $1::text::{kind}", edit)  # noqa: S608 - constants
    await forge(
        database, "UPDATE rights_requests SET due = $1::text::date, received_at = $1::text::timestamptz", edit
    )
    assert "entry 1 (" in str((await store.requests.show(reference)).fault)
    assert [each["reference"] async for each in store.requests.export("acme", None)] == [reference]


@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        ("state = 'fulfilled', number = NULL, closed_at = now()", "the state of the request is fulfilled, but received in the journal"),
        ("level = 2", "the level of the request is L2, but L0 in the journal"),
        ("due = '2027-02-24'", "the request is due on 2027-02-24, but on 2026-12-28 in the journal"),
    ],
)  # fmt: skip
async def test_invariant_9_a_request_is_given_another_state_or_more_time_than_its_journal_tells(
    store: Store, database: Database, edit: str, fault: str
) -> None:
    reference = await added(store)
    await added(store)
    await forge(database, f"UPDATE rights_requests SET {edit} WHERE reference = $1", reference)  # noqa: S608 - constants
    assert (await store.requests.show(reference)).fault == fault
    faults = {of: told async for kind, of, told in store.seals.journals() if kind is Kind.REQUEST}
    assert [(of, told) for of, told in faults.items() if told] == [(reference, fault)]


async def everything(database: Database) -> dict[str, list[dict[str, Any]]]:
    tables = ("rights_requests", "request_events", "forwards", "suppressions", "consents", "request_counters", "call_events")  # fmt: skip
    return {table: await rows(database, f"SELECT * FROM {table}") for table in tables}  # noqa: S608 - constants


CONSENT = """
INSERT INTO consents (controller, digest, key_version, purpose, channel, given_at, proof, origin)
VALUES ($1, $2, 1, $3, 'phone', $4, 'form 1', 'test')
"""


@pytest.mark.parametrize(
    "breaks", ["request_events", "forwards", "suppressions", "consents", "rights_requests"]
)
async def test_a_right_pressed_leaves_a_part_of_itself_when_another_part_fails(
    store: Store, database: Database, breaks: str
) -> None:
    call = made.call()
    await store.calls.open(call, made.question(call))
    async with database.connection() as connection:
        await connection.execute(CONSENT, "acme", call.digests.newest, "marketing", made.LONG_AGO)
    before = await everything(database)
    # NOT VALID: rows that exist already may stay, as the consent must
    await rows(database, f"ALTER TABLE {breaks} ADD CONSTRAINT never CHECK (false) NOT VALID")
    exercise = replace(
        made.exercise(Right.WITHDRAW_CONSENT), consent_purpose="marketing", consent_campaigns=("offers",)
    )
    with pytest.raises(StoreError, match="never"):
        await store.calls.register_right(call, exercise, made.journal("key_pressed"))
    with pytest.raises(StoreError, match="never"):
        await store.requests.add("acme", exercise, call.digests)
    assert await everything(database) == before
    await rows(database, f"ALTER TABLE {breaks} DROP CONSTRAINT never")
    reference = await store.calls.register_right(call, exercise, made.journal("key_pressed"))
    after = await everything(database)
    changed = {table for table, found in after.items() if found != before[table]}
    assert (reference, changed) == ("ACME-2026-000001", set(after))


@pytest.mark.parametrize("breaks", ["request_events", "forwards", "rights_requests"])
async def test_a_step_leaves_a_part_of_itself_when_another_part_fails(
    store: Store, database: Database, breaks: str
) -> None:
    reference = await added(store, level=Level.L2)
    before = await everything(database)
    await rows(database, f"ALTER TABLE {breaks} ADD CONSTRAINT never CHECK (false) NOT VALID")
    with pytest.raises(StoreError, match="never"):
        await store.requests.step(reference, RequestState.FULFILLED, by("cli:anna", "sent"))
    with pytest.raises(StoreError, match="never"):
        await store.requests.verify(reference, Level.L2, by("cli:anna", "called back"))
    assert await everything(database) == before


async def test_a_request_by_letter_does_less_at_once_than_one_by_key(
    store: Store, database: Database
) -> None:
    digests = made.digests()
    async with database.connection() as connection:
        for purpose, given_at in (
            ("marketing", made.LONG_AGO),
            ("marketing", made.NOW),
            ("survey", made.LONG_AGO),
        ):
            await connection.execute(CONSENT, "acme", digests.newest, purpose, given_at)
    reference = await added(
        store, Right.WITHDRAW_CONSENT, consent_purpose="marketing", consent_campaigns=("sales", "offers")
    )
    bars = await store.suppressions.of("acme", digests)
    assert sorted(bar["campaign"] for bar in bars) == ["offers", "sales"]
    assert {(bar["reason"], bar["origin"], bar["proof"]) for bar in bars} == {
        ("withdraw_consent", "request:letter", reference)
    }
    withdrawn = await rows(database, "SELECT purpose, given_at FROM consents WHERE withdrawn_at IS NOT NULL")
    assert withdrawn == [{"purpose": "marketing", "given_at": made.LONG_AGO}]
    request = (await store.requests.show(reference)).request
    assert [request[name] for name in ("channel", "number_from", "level", "call_id", "key", "notice_version")] == [
        "letter", "given", 0, None, None, None,
    ]  # fmt: skip


async def test_a_request_is_shown_without_what_it_did(store: Store) -> None:
    call = made.call()
    await store.calls.open(call, made.question(call))
    await store.calls.commit_heard(call.id, "v1", "i1", ())
    tag = made.tag(call)
    await store.recordings.tag(tag, ())
    reference = await store.calls.register_right(call, made.exercise(Right.ERASURE), ())
    await store.recordings.ended(tag, RecordingState.DISCARDED, ())
    record = await store.requests.show(reference)
    assert [(each["reason"], each["proof"]) for each in record.bars] == [("erasure", reference)]
    assert [(each["id"], each["state"]) for each in record.recordings] == [(tag.recording_id, "discarded")]
    assert record.request["number_from"] == "dialled"


async def test_a_bar_that_was_lifted_is_forgotten_with_the_request_that_entered_it(store: Store) -> None:
    reference = await added(store, Right.OBJECTION)
    await store.suppressions.remove("acme", made.digests(), "anna", "mistaken")
    (bar,) = (await store.requests.show(reference)).bars
    assert (bar["removed_by"], bar["why"]) == ("anna", "mistaken")


MIDNIGHT = datetime(2026, 12, 28, 23, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("country", "now", "overdue"),
    [
        ("PL", MIDNIGHT - SECOND, False),
        ("PL", MIDNIGHT, True),
        # an hour behind, where it is still that day; and two hours ahead of Greenwich, where the day ends earlier
        ("IE", MIDNIGHT, False),
        ("IE", MIDNIGHT + timedelta(hours=1), True),
        ("FI", MIDNIGHT - timedelta(hours=1) - SECOND, False),
        ("FI", MIDNIGHT - timedelta(hours=1), True),
    ],
)
async def test_a_request_is_overdue_by_the_clock_of_another_country(
    store: Store, country: str, now: datetime, *, overdue: bool
) -> None:
    await added(store)
    clock = Clock(now, {"acme": country})
    assert bool(await store.requests.list(None, 10, clock=clock, wanted=LATE)) is overdue
    (row,) = await store.requests.list(None, 10, clock=clock)
    assert (row["overdue"], row["days_left"]) == ((True, -1) if overdue else (False, 0))


async def test_controllers_of_two_zones_share_one_midnight(store: Store) -> None:
    await added(store)
    await store.requests.add("eire", letter(), made.digests("eire"))
    await store.requests.add("gone", letter(), made.digests("gone"))
    clock = Clock(MIDNIGHT, {"acme": "PL", "eire": "IE"})
    late = await store.requests.list(None, 10, clock=clock, wanted=LATE)
    # one that is no longer declared goes by UTC
    assert [each["controller"] for each in late] == ["acme"]
    today = await store.requests.list(None, 10, clock=clock, wanted=WantedRequests(due_within=0))
    assert [each["controller"] for each in today] == ["acme", "eire", "gone"]
    assert await store.requests.list("eire", 10, clock=clock, wanted=LATE) == []


async def test_due_soon_leaves_out_a_day_or_takes_a_closed_request(store: Store) -> None:
    for day in (1, 7, 8, 9):
        await added(store, due=date(2026, 12, day))
    closed = await added(store, due=date(2026, 12, 8), level=Level.L2)
    await store.requests.step(closed, RequestState.FULFILLED, by("cli:anna"))
    clock = Clock(datetime(2026, 12, 1, 22, 59, 59, tzinfo=UTC), {"acme": "PL"})

    async def due(at: Clock) -> list[int]:
        rows = await store.requests.list(None, 10, clock=at, wanted=WantedRequests(due_within=7))
        return [each["due"].day for each in rows]

    assert await due(clock) == [1, 7, 8]
    # the next day has begun in Warsaw
    assert await due(replace(clock, now=clock.now + SECOND)) == [1, 7, 8, 9]


def _is(**fields: object) -> Callable[[dict[str, Any]], bool]:
    return lambda row: all(row[name] == value for name, value in fields.items())


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        (WantedRequests(), _is()),
        (WantedRequests(states=(RequestState.FULFILLED,)), _is(state="fulfilled")),
        (WantedRequests(states=(RequestState.FULFILLED, RequestState.RECEIVED)), lambda row: row["state"] != "in_progress"),
        (WantedRequests(right=Right.ACCESS), _is(right="access")),
        (WantedRequests(open=True), lambda row: row["state"] != "fulfilled"),
        (WantedRequests(open=True, right=Right.ERASURE), lambda row: row["right"] == "erasure" and row["state"] != "fulfilled"),
    ],
)  # fmt: skip
async def test_a_list_holds_what_was_not_asked_for(
    store: Store, wanted: WantedRequests, fits: Callable[[dict[str, Any]], bool]
) -> None:
    for right in (Right.ACCESS, Right.ERASURE):
        await added(store, right)
        await store.requests.step(await added(store, right), RequestState.IN_PROGRESS, by("cli:anna"))
        done = await added(store, right, level=Level.L2)
        await store.requests.step(done, RequestState.FULFILLED, by("cli:anna"))
    everyone = await store.requests.list(None, 100)
    assert len(everyone) == 6
    found = await store.requests.list(None, 100, wanted=wanted)
    assert found == [row for row in everyone if fits(row)]
    assert [row["due"] for row in found] == sorted(row["due"] for row in found)


async def test_whoever_gives_all_of_a_reference_is_shown_the_request_of_another_controller(
    store: Store,
) -> None:
    one, other = [await store.requests.add(each, letter(), made.digests(each)) for each in ("b", "a-b")]
    assert other.endswith(one)

    async def found(ending: str) -> set[str]:
        return {
            each["reference"]
            for each in await store.requests.list(None, 100, wanted=WantedRequests(ending=ending))
        }

    assert await found(one) == {one}
    assert await found(other) == {other}
    # as it was heard, without the controller's name
    assert await found(one.removeprefix("B")) == {one, other}


async def test_an_export_leaves_out_a_request_or_its_history(store: Store) -> None:
    first = await added(store, received_at=RECEIVED - timedelta(days=9))
    second = await added(store, Right.ERASURE)
    await store.requests.add("other", letter(number=Number("+48600100002").e164), made.digests("other"))
    await store.requests.verify(second, Level.L2, by("cli:anna", "called back"))
    exported = [row async for row in store.requests.export("acme", None)]
    assert [row["reference"] for row in exported] == [first, second]
    assert "called back" in exported[1]["history"]
    assert [row["reference"] async for row in store.requests.export("acme", RECEIVED)] == [second]
    assert len([row async for row in store.requests.export(None, None)]) == 3


async def test_a_refusal_of_recording_is_done_with_though_something_was_recorded(store: Store) -> None:
    """What was recorded before it may have to be erased; and a letter does not show that a call was not recorded."""
    states = {}
    for recorded in (False, True):
        call = made.call()
        await store.calls.open(call, made.question(call))
        await store.calls.commit_heard(call.id, "v1", "i1", ())
        if recorded:
            await store.recordings.tag(made.tag(call), ())
        reference = await store.calls.register_right(call, made.exercise(Right.REFUSE_RECORDING), ())
        states[recorded] = (await store.requests.show(reference)).request["state"]
    letter = (await store.requests.show(await added(store, Right.REFUSE_RECORDING))).request
    elsewhere = replace(made.exercise(Right.REFUSE_RECORDING), recorded_elsewhere=True)
    call = made.call()
    await store.calls.open(call, made.question(call))
    told = (await store.requests.show(await store.calls.register_right(call, elsewhere, ()))).request
    assert (states, letter["state"], told["state"]) == (
        {False: "fulfilled", True: "received"},
        "received",
        "received",
    )


async def test_a_consent_to_another_purpose_ends_with_the_one_that_is_withdrawn(store: Store) -> None:
    await added(store, Right.WITHDRAW_CONSENT, consent_purpose="marketing", consent_campaigns=("offers",))
    assert [each["campaign"] for each in await store.suppressions.of("acme", made.digests())] == ["offers"]
    await added(store, Right.WITHDRAW_CONSENT)
    assert {each["campaign"] for each in await store.suppressions.of("acme", made.digests())} == {
        "",
        "offers",
    }
