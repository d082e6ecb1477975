"""The queue of what controllers are to be told: nothing lost, nothing twice at once, each to its own."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from ccari.forward.courier import LONGEST_PAUSE
from ccari.policy.rights import Level, NumberFrom, RequestState, Right
from ccari.ports.forwarding import Forward, ForwardWay
from ccari.ports.requests import Clock, Exercise, Handling, Intake
from ccari.store.database import Database
from ccari.store.opened import Store
from ccari.store.queries import SQL
from tests.unit.store import made

LEASE = timedelta(seconds=60)
WITHIN_SECONDS = 30.0
HANDLING = Handling("cli:anna", Clock(made.NOW, {"acme": "PL"}), "because")


async def added(store: Store, controller: str = "acme", right: Right = Right.ACCESS, **changes: Any) -> str:
    exercise = Exercise(
        right=right, number=made.NUMBER.e164, received_at=datetime(2026, 11, 24, 12, tzinfo=UTC),
        due=date(2026, 12, 28), local_year=2026, intake=Intake.LETTER, number_from=NumberFrom.GIVEN, level=Level.L2,
        who="cli:anna",
    )  # fmt: skip
    return await store.requests.add(controller, replace(exercise, **changes), made.digests(controller))


async def claimed(store: Store, controller: str = "acme") -> Forward:
    forward = await store.forwards.claim(controller, LEASE)
    assert forward is not None
    return forward


async def queue(database: Database, columns: str = "state") -> list[Any]:
    rows = await database.rows(f"SELECT {columns} FROM forwards ORDER BY reference, seq")  # noqa: S608 - a constant
    return [next(iter(row.values())) if len(row) == 1 else tuple(row.values()) for row in rows]


async def later(database: Database, *, by: timedelta) -> None:
    """Let time pass for the queue."""
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE forwards SET next_try_at = next_try_at - $1::interval, first_try_at = first_try_at - $1",
            by,
        )


async def test_a_change_of_a_request_is_not_queued_or_queued_twice(store: Store, database: Database) -> None:
    call = made.call()
    await store.calls.open(call, made.question(call))
    reference = await store.calls.register_right(call, made.exercise(Right.ACCESS), ())
    await store.requests.verify(reference, Level.L2, HANDLING)
    await store.requests.step(reference, RequestState.IN_PROGRESS, HANDLING)
    await store.requests.step(reference, RequestState.EXTENDED, HANDLING)
    await store.requests.step(reference, RequestState.FULFILLED, HANDLING)
    assert await queue(database, "reference, seq, state") == [(reference, n, "waiting") for n in range(1, 6)]


async def test_a_change_is_told_as_the_request_stands_later(store: Store) -> None:
    """Each change as it was when it was made; also whose request it is, even if it is closed before its controller is
    told.
    """
    reference = await added(store)
    await store.requests.step(reference, RequestState.IN_PROGRESS, HANDLING)
    first = await claimed(store)
    assert (first.reference, first.seq, first.state, first.number) == (
        reference,
        1,
        "received",
        made.NUMBER.e164,
    )
    assert (first.right, first.article, first.level, first.due) == ("access", "15", 2, date(2026, 12, 28))
    await store.forwards.delivered(first, [ForwardWay.WEBHOOK])
    await store.requests.step(reference, RequestState.EXTENDED, HANDLING)
    await store.requests.step(reference, RequestState.REFUSED, HANDLING)
    second = await claimed(store)
    assert (second.seq, second.state, second.due, second.number) == (
        2,
        "in_progress",
        date(2026, 12, 28),
        made.NUMBER.e164,
    )
    assert made.NUMBER.e164 not in repr(first)
    await store.forwards.delivered(second, [ForwardWay.WEBHOOK])
    await store.forwards.delivered(await claimed(store), [ForwardWay.WEBHOOK])
    closing = await claimed(store)
    assert (closing.state, closing.number) == ("refused", None)
    await store.forwards.delivered(closing, [ForwardWay.WEBHOOK])
    assert not await store.database.rows("SELECT FROM forwards WHERE number IS NOT NULL")


async def test_a_later_change_overtakes_an_earlier_one(store: Store) -> None:
    reference = await added(store)
    await store.requests.step(reference, RequestState.IN_PROGRESS, HANDLING)
    first = await claimed(store)
    assert await store.forwards.claim("acme", LEASE) is None
    await store.forwards.failed(first, (), "away", timedelta(hours=1), timedelta(days=3))
    assert await store.forwards.claim("acme", LEASE) is None
    other = await added(store)
    assert (await claimed(store)).reference == other


async def test_services_on_one_database_send_the_same_change(store: Store) -> None:
    for _ in range(20):
        await added(store)
    seen: Counter[str] = Counter()

    async def worker() -> None:
        while (forward := await store.forwards.claim("acme", LEASE)) is not None:
            seen[forward.reference] += 1

    await asyncio.gather(*(worker() for _ in range(8)))
    assert sorted(seen.values()) == [1] * 20


async def test_a_change_is_lost_with_the_service_that_had_it(store: Store, database: Database) -> None:
    await added(store)
    first = await claimed(store)
    assert (await store.forwards.due_and_revision())[0] is False
    await later(database, by=LEASE)
    assert (await store.forwards.due_and_revision())[0] is True
    second = await claimed(store)
    assert (second.reference, second.seq, second.tries) == (first.reference, first.seq, 2)
    # the first one comes back from the dead: what it says belongs to an earlier try
    assert await store.forwards.failed(first, (), "late", LEASE, timedelta(0)) is False
    assert await queue(database, "state, fault") == [("waiting", "")]
    await store.forwards.delivered(second, [ForwardWay.FOLDER])
    assert await queue(database) == ["delivered"]


async def test_what_a_fast_clock_has_queued_waits_until_that_time_has_come(
    store: Store, database: Database
) -> None:
    reference = await added(store)
    await later(database, by=timedelta(days=-3))
    due, _ = await store.forwards.due_and_revision()
    assert due
    assert (await claimed(store)).reference == reference
    # a pause after a failure is kept
    due, _ = await store.forwards.due_and_revision()
    assert not due
    assert await store.forwards.claim("acme", LEASE) is None


async def test_what_a_fast_clock_has_tried_waits_until_that_time_has_come(
    store: Store, database: Database
) -> None:
    """As at a boot: the clock is not set yet, nor is the network up. A year later, it would also be given up a year late."""
    await added(store)
    assert not await store.forwards.failed(await claimed(store), (), "away", LONGEST_PAUSE, timedelta(days=3))
    due, _ = await store.forwards.due_and_revision()
    assert not due
    await later(database, by=timedelta(days=-365))
    due, _ = await store.forwards.due_and_revision()
    assert due
    assert (await claimed(store)).tries == 2
    assert await queue(database, "first_try_at <= clock_timestamp()") == [True]


async def test_a_controllers_request_is_given_to_another(store: Store) -> None:
    await added(store, "acme")
    await added(store, "other")
    assert (await claimed(store, "other")).controller == "other"
    assert await store.forwards.claim("other", LEASE) is None
    assert (await claimed(store, "acme")).controller == "acme"


async def test_a_way_that_was_gone_is_gone_again(store: Store, database: Database) -> None:
    await added(store)
    assert not await store.forwards.failed(
        await claimed(store), [ForwardWay.WEBHOOK], "folder: full", timedelta(seconds=30), timedelta(days=3)
    )
    await later(database, by=timedelta(seconds=30))
    again = await claimed(store)
    assert (again.done, again.tries) == (frozenset({ForwardWay.WEBHOOK}), 2)
    await store.forwards.delivered(again, [ForwardWay.FOLDER])
    assert await queue(database, "webhook_at < folder_at") == [True]


@pytest.mark.parametrize(("after", "given_up"), [(timedelta(days=3, hours=-1), False), (timedelta(days=3), True)])  # fmt: skip
async def test_a_change_is_given_up_too_early_or_never(
    store: Store, database: Database, after: timedelta, *, given_up: bool
) -> None:
    """Counted from the first try: that we ourselves were away is not the receiver's fault."""
    reference = await added(store)
    await later(database, by=timedelta(days=9))
    first = await claimed(store)
    assert not await store.forwards.failed(first, (), "away", timedelta(0), timedelta(days=3))
    await later(database, by=after)
    assert (
        await store.forwards.failed(await claimed(store), (), "away", timedelta(0), timedelta(days=3))
        is given_up
    )
    (listed,) = await store.forwards.list(["acme"], 10)
    assert (listed["state"], listed["fault"]) == ("given_up" if given_up else "waiting", "away")
    assert await store.forwards.retry(reference) == ([1] if given_up else [])
    if given_up:
        # three more days, from the next try on
        assert not await store.forwards.failed(
            await claimed(store), (), "away", timedelta(0), timedelta(days=3)
        )


async def given_up(store: Store) -> None:
    assert await store.forwards.failed(await claimed(store), (), "away", timedelta(0), timedelta(0))


async def test_a_request_that_was_closed_keeps_its_number_in_what_was_given_up(
    store: Store, database: Database
) -> None:
    """Its number is kept for whoever is to be told, and no longer than delivery is tried or the request is open; at its
    closure the tries begin once more.
    """
    reference = await added(store)
    await given_up(store)
    assert await queue(database, "state, number") == [("given_up", made.NUMBER.e164)]
    assert await store.forwards.retry(reference) == [1]
    assert (await claimed(store)).number == made.NUMBER.e164
    await later(database, by=LEASE)
    await given_up(store)
    await store.requests.step(reference, RequestState.IN_PROGRESS, HANDLING)
    await store.requests.step(reference, RequestState.FULFILLED, HANDLING)
    waiting = [("waiting", made.NUMBER.e164), ("waiting", made.NUMBER.e164), ("waiting", None)]
    assert await queue(database, "state, number") == waiting
    # all are given up when the request is closed
    for _ in waiting:
        await given_up(store)
    assert await queue(database, "state, number") == [("given_up", None)] * 3


async def test_a_controller_that_was_not_reached_learns_of_a_closed_request_without_whose_it_is(
    store: Store, database: Database
) -> None:
    """Article 28(3)(e). Each in its order, for as long as if it were tried for the first time."""
    reference = await added(store)
    await given_up(store)
    await store.requests.step(reference, RequestState.IN_PROGRESS, HANDLING)
    second = await claimed(store)
    await store.forwards.delivered(second, [ForwardWay.WEBHOOK])
    await later(database, by=timedelta(days=30))
    await store.requests.step(reference, RequestState.FULFILLED, HANDLING)
    first = await claimed(store)
    assert (first.seq, first.number, first.tries) == (1, made.NUMBER.e164, 1)
    assert not await store.forwards.failed(first, (), "away", timedelta(0), timedelta(days=3))
    first = await claimed(store)
    await store.forwards.delivered(first, [ForwardWay.WEBHOOK])
    closing = await claimed(store)
    assert (first.seq, closing.seq, closing.number) == (1, 3, None)
    # a change that has gone stays gone, and no number is left
    await store.forwards.delivered(closing, [ForwardWay.WEBHOOK])
    assert await queue(database, "state, number") == [("delivered", None)] * 3


async def test_a_controller_is_told_at_the_closure_of_whom_nobody_knows_any_more(
    store: Store, database: Database
) -> None:
    """An erasure has taken the number from what was given up."""
    reference = await added(store)
    await given_up(store)
    await database.rows("UPDATE forwards SET number = NULL RETURNING 1")
    await store.requests.step(reference, RequestState.FULFILLED, HANDLING)
    assert await queue(database, "seq, state") == [(1, "given_up"), (2, "waiting")]


async def test_who_retries_what_lost_its_number_is_not_told_so(store: Store) -> None:
    reference = await added(store)
    await store.requests.step(reference, RequestState.FULFILLED, HANDLING)
    assert await store.forwards.without_number(reference) == []
    await given_up(store)
    await given_up(store)
    # the closure itself never has it
    assert await store.forwards.without_number(reference) == [1]
    assert await store.forwards.retry(reference) == [1, 2]
    assert await store.forwards.without_number(reference) == []


async def test_what_is_given_up_while_its_request_is_closed_keeps_the_number(
    store: Store, database: Database
) -> None:
    """The closure is not yet visible to others: whoever gives up has to wait for it."""
    reference = await added(store)
    first = await claimed(store)
    async with database.transaction() as connection:
        await connection.execute(SQL["lock_request"], reference)
        await connection.execute(
            SQL["change_request"], reference, RequestState.REFUSED, 2, first.due, False, True
        )
        failed = asyncio.create_task(store.forwards.failed(first, (), "away", timedelta(0), timedelta(0)))
        async with asyncio.timeout(WITHIN_SECONDS):
            while not failed.done() and not await database.rows("SELECT FROM pg_locks WHERE NOT granted"):
                pass
    assert await failed
    assert await queue(database, "state, number") == [("given_up", None)]


async def test_a_controller_that_is_back_after_an_outage_is_told_hours_later_whatever_is_done(
    store: Store,
) -> None:
    reference = await added(store)
    assert not await store.forwards.failed(
        await claimed(store), (), "away", timedelta(hours=6), timedelta(days=3)
    )
    assert await store.forwards.claim("acme", LEASE) is None
    assert await store.forwards.retry(reference) == [1]
    assert (await claimed(store)).tries == 1


async def test_what_thousands_of_messages_wait_for_is_asked_for_request_by_request(
    store: Store, database: Database
) -> None:
    """After an outage of days; of another controller nothing is sent, nor anything that is being sent."""
    given_up, waiting, sending, fresh = [await added(store) for _ in range(4)]
    other = await added(store, "other")
    for controller, patience, pause in (
        ("acme", timedelta(0), timedelta(hours=6)), ("acme", timedelta(days=3), timedelta(hours=6)), ("other", timedelta(0), timedelta(hours=6)),
    ):  # fmt: skip
        await store.forwards.failed(await claimed(store, controller), (), "away", pause, patience)
    assert (await claimed(store)).reference == sending
    assert await store.forwards.retry_all("acme") == 2
    assert [(await claimed(store)).reference for _ in range(3)] == [fresh, given_up, waiting]
    assert await store.forwards.claim("acme", LEASE) is None
    assert await queue(database, "reference, state, tries") == [
        (given_up, "waiting", 1), (waiting, "waiting", 1), (sending, "waiting", 1), (fresh, "waiting", 1), (other, "given_up", 1),
    ]  # fmt: skip


async def test_a_controller_is_sent_all_its_closed_requests_without_saying_whose_they_are(
    store: Store, database: Database
) -> None:
    closed, open_ = await added(store), await added(store)
    await store.requests.step(closed, RequestState.FULFILLED, HANDLING)
    await database.rows(
        "UPDATE forwards SET state = 'given_up', settled_at = now(), number = CASE WHEN reference = $1 THEN NULL ELSE number END RETURNING 1",
        closed,
    )
    assert await store.forwards.retry_all("acme") == 2
    assert await queue(database, "reference, seq, state") == [
        (closed, 1, "given_up"), (closed, 2, "waiting"), (open_, 1, "waiting"),
    ]  # fmt: skip


async def test_what_a_controller_missed_is_due_at_one_moment_and_sorted_for_each_message(
    store: Store, database: Database
) -> None:
    """After days, that is thousands of messages thousands of times."""
    references = [await added(store) for _ in range(3)]
    await added(store, "other")
    for reference, pause in zip(references, ("6 hours", "1 hour", "3 hours"), strict=True):
        await database.rows(
            f"UPDATE forwards SET tries = 9, next_try_at = now() + interval '{pause}' WHERE reference = $1 RETURNING 1",  # noqa: S608 - a constant
            reference,
        )
    last, first, second = references
    await store.forwards.hasten("acme", timedelta(hours=6))
    assert [(await claimed(store)).reference for _ in range(3)] == [first, second, last]
    assert await store.forwards.claim("acme", LEASE) is None


async def test_to_retry_sends_what_another_service_is_sending(store: Store) -> None:
    reference = await added(store)
    await claimed(store)
    assert await store.forwards.retry(reference) == []
    assert await store.forwards.claim("acme", LEASE) is None


async def test_a_controller_that_is_not_forwarded_to_looks_as_if_it_failed(
    store: Store, database: Database
) -> None:
    reference = await added(store)
    assert await store.forwards.list([], 10) == []
    assert [each["state"] for each in await store.forwards.of(reference, [])] == ["not_needed"]
    await store.forwards.address([])
    assert await store.forwards.due_and_revision() == (False, 1)
    assert await queue(database) == ["not_needed"]
    assert await store.forwards.list(["acme"], 10) == []


async def test_who_asks_to_be_told_later_is_told_of_nothing_or_of_all_the_past(
    store: Store, database: Database
) -> None:
    """What is open is passed on, and what is closed is history; another controller stays as it was."""
    closed, open_, other = await added(store), await added(store), await added(store, "other")
    await store.requests.step(closed, RequestState.FULFILLED, HANDLING)
    await store.forwards.address([])
    await store.forwards.address(["acme"])
    assert await queue(database, "reference, state") == [
        (closed, "not_needed"), (closed, "not_needed"), (open_, "waiting"), (other, "not_needed"),
    ]  # fmt: skip
    assert (await claimed(store)).reference == open_


async def test_a_try_of_before_counts_when_a_controller_asks_to_be_told_again(
    store: Store, database: Database
) -> None:
    await added(store)
    assert not await store.forwards.failed(await claimed(store), (), "away", timedelta(0), timedelta(days=3))
    await later(database, by=timedelta(days=9))
    await store.forwards.address([])
    await store.forwards.address(["acme"])
    assert not await store.forwards.failed(await claimed(store), (), "away", timedelta(0), timedelta(days=3))


async def test_what_is_stuck_is_listed_below_what_went(store: Store) -> None:
    references = [await added(store) for _ in range(3)]
    given_up, delivered = await claimed(store), await claimed(store)
    assert await store.forwards.failed(given_up, (), "away", timedelta(0), timedelta(0))
    await store.forwards.delivered(delivered, [ForwardWay.WEBHOOK])
    listed = [(row["reference"], row["state"]) for row in await store.forwards.list(["acme"], 10)]
    assert listed == [
        (references[0], "given_up"), (references[2], "waiting"), (references[1], "delivered"),
    ]  # fmt: skip
