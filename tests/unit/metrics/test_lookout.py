"""The state of the database and the local journal, as a scrape reports it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from ccari.errors import StoreError
from ccari.gating.journal import entry
from ccari.metrics.lookout import Lookout
from ccari.metrics.meter import Metrics
from ccari.policy.campaign import MOST_MINUTES
from ccari.policy.deadlines import local_day
from ccari.policy.rights import RequestState, Right
from ccari.policy.suppression import Reason
from ccari.ports.figures import COUNT_SECONDS, Pressing, Tallies
from ccari.ports.pressed import Standing
from ccari.ports.requests import Clock, Handling
from ccari.ports.webhooks import Endpoint, Told
from ccari.store.database import Database
from ccari.store.figures import CountedFigures
from ccari.store.migrating import open_database
from ccari.store.opened import Store
from ccari.store.policies import Book
from ccari.store.queries import SQL
from ccari.tasks import started
from tests.unit.metrics.scraped import scraped
from tests.unit.store import made
from tests.unit.store.forging import apply_unread, forge

STANDING = Standing(2, made.NOW, aside=1, torn=0, bytes=4096)
REGISTER = '[[registers]]\nid = "robinson"\nname = "Lista Robinsonów"\n'


class Clocked:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def age(since: datetime) -> float:
    return (datetime.now(UTC) - since).total_seconds()


def waits(standing: Standing) -> Callable[[], Awaitable[Standing]]:
    async def look() -> Standing:
        return standing

    return look


async def book(store: Store, document: str = made.POLICY) -> Book:
    await store.policies.apply(document, "test")
    found = Book(store.policies)
    await found.reload()
    return found


async def looked(
    store: Store, document: str = made.POLICY, standing: Standing = STANDING
) -> dict[str, float]:
    metrics = Metrics()
    # earlier counts were made long ago
    await store.database.rows("DELETE FROM counted_figures")
    await Lookout(
        metrics, CountedFigures(store.database), await book(store, document), waits(standing)
    ).look()
    return scraped(metrics)


async def due(store: Store, day: date, right: Right = Right.ACCESS) -> str:
    exercise = replace(made.exercise(right), due=day)
    return await store.requests.add("acme", exercise, made.digests())


async def test_a_request_that_is_overdue_or_nearly_so_is_told_as_another(store: Store) -> None:
    today = local_day(datetime.now(UTC), "PL")
    for days, right in (
        (-1, Right.ACCESS),
        (0, Right.ERASURE),
        (7, Right.PORTABILITY),
        (8, Right.RECTIFICATION),
    ):
        await due(store, today + timedelta(days=days), right)
    closed = await due(store, today - timedelta(days=9), Right.RESTRICTION)
    handling = Handling("cli:anna", Clock(datetime.now(UTC), {"acme": "PL"}), "sent twice")
    await store.requests.step(closed, RequestState.WITHDRAWN, handling)
    found = await looked(store)
    told = {each: found[f'ccari_requests_open{{due="{each}"}}'] for each in ("overdue", "soon", "later")}
    # midnight may have come since
    passed = local_day(datetime.now(UTC), "PL") != today
    assert told == {"overdue": 1, "soon": 2, "later": 1} or (
        passed and told == {"overdue": 2, "soon": 2, "later": 0}
    )
    assert found['ccari_requests{right="access",channel="key"}'] == 1
    # what it bars at once
    assert found['ccari_suppressions{reason="erasure"}'] == 1


async def test_a_recording_that_waits_unencrypted_goes_unseen(store: Store) -> None:
    call = made.call()
    await store.calls.open(call, made.question(call))
    await store.calls.commit_heard(call.id, "v1", None, ())
    tags = [made.tag(call) for _ in range(3)]
    for each in tags:
        await store.recordings.tag(each, ())
        await store.recordings.started(each.recording_id, made.NOW)
    for each in tags[1:]:
        await store.recordings.finished(each, None, ())
    async with store.database.connection() as connection:
        await connection.execute(
            "UPDATE recordings SET stopped_at = now() - interval '2 hours' WHERE id = $1",
            tags[2].recording_id,
        )
    found = await looked(store)
    told = {
        each: found[f'ccari_recordings_unfinished{{state="{each}"}}']
        for each in ("tagged", "recording", "finished")
    }
    assert told == {"tagged": 0, "recording": 1, "finished": 2}
    assert found["ccari_recordings_late"] == 1
    assert found['ccari_recordings{state="finished"}'] == 2
    assert found['ccari_recordings{state="stored"}'] == 0


UNDER_WAY = ("tagged", "recording")


@pytest.mark.parametrize("state", UNDER_WAY)
async def test_a_recording_whose_end_nobody_will_see_is_in_the_log_and_not_in_the_metric(
    store: Store, state: str
) -> None:
    call = made.call()
    await store.calls.open(call, made.question(call))
    await store.calls.commit_heard(call.id, "v1", None, ())
    tags = [made.tag(call) for _ in range(2)]
    for each in tags:
        await store.recordings.tag(each, ())
        if state == "recording":
            await store.recordings.started(each.recording_id, made.NOW)
    await store.database.rows("UPDATE recordings SET tagged_at = now() RETURNING 1")
    assert (await store.recordings.late(), (await looked(store))["ccari_recordings_late"]) == (0, 0)
    await store.database.rows(
        "UPDATE recordings SET tagged_at = now() - interval '12 hours' WHERE id = $1 RETURNING 1", tags[1].recording_id
    )  # fmt: skip
    assert (await store.recordings.late(), (await looked(store))["ccari_recordings_late"]) == (1, 1)


async def test_the_recording_of_the_longest_call_there_may_be_raises_an_alarm(store: Store) -> None:
    call = made.call()
    await store.calls.open(call, made.question(call))
    await store.calls.commit_heard(call.id, "v1", None, ())
    await store.recordings.tag(made.tag(call), ())
    since = timedelta(minutes=MOST_MINUTES + 5)
    await store.database.rows("UPDATE recordings SET tagged_at = now() - $1::interval RETURNING 1", since)
    assert (await store.recordings.late(), (await looked(store))["ccari_recordings_late"]) == (0, 0)
    # nor does another Asterisk's service end the call
    await store.database.rows("UPDATE calls SET opened_at = now() - $1::interval RETURNING 1", since)
    assert await store.calls.close_abandoned("another", datetime.now(UTC)) == 0


async def test_the_recording_of_a_caller_who_was_handed_over_raises_an_alarm_before_the_call_must_have_ended(
    store: Store,
) -> None:
    """Each colleague's leg may live as long as the first agent's did, and a caller's has no limit: what was recorded before the hand-over
    waits for the end of the call.
    """
    call, now = replace(made.call(), direction="inbound"), datetime.now(UTC)
    await store.calls.open(call, made.question(call))
    await store.calls.commit_heard(call.id, "v1", None, ())
    await store.recordings.tag(made.tag(call), ())
    long = timedelta(minutes=MOST_MINUTES) * 3
    await store.database.rows("UPDATE recordings SET tagged_at = $1 RETURNING 1", now - long)
    await store.database.rows("UPDATE calls SET opened_at = $1 RETURNING 1", now - long)
    for hours in (20, 9):
        await store.calls.write(call.id, [entry("call_handed_over", {}, now - timedelta(hours=hours))])
    assert (await store.recordings.late(), (await looked(store))["ccari_recordings_late"]) == (0, 0)
    assert await store.calls.close_abandoned("another", now) == 0
    # but one whose last colleague can no longer be there has ended, and nobody has noticed
    await forge(store.database, "UPDATE call_events SET at = at - interval '1 day'")
    assert (await store.recordings.late(), (await looked(store))["ccari_recordings_late"]) == (1, 1)
    assert await store.calls.close_abandoned("another", now) == 1


async def test_a_bar_that_has_ended_is_counted_on(store: Store) -> None:
    numbers = made.numbers(2)
    for number, until in zip(numbers, (None, made.LONG_AGO), strict=True):
        await store.suppressions.add(
            "acme", made.digests(number=number), Reason.DO_NOT_CALL, "cli", "", expires_at=until
        )
    assert (await looked(store))['ccari_suppressions{reason="do_not_call"}'] == 1


async def test_a_register_that_grows_old_goes_unseen(store: Store) -> None:
    as_of = datetime.now(UTC) - timedelta(days=20)
    async with store.database.connection() as connection:
        await connection.execute(
            "INSERT INTO register_loads (register, as_of, loaded_by, entries, sha256) VALUES ('robinson', $1, 'cli', 0, $2)",
            as_of, bytes(32),
        )  # fmt: skip
    heeded = made.POLICY.replace("data_source =", 'registers = ["robinson"]\ndata_source =')
    found = await looked(store, document=REGISTER + heeded)
    assert 20 * 86400 <= found['ccari_register_age_seconds{register="robinson"}'] <= age(as_of)
    assert found['ccari_register_most_age_seconds{register="robinson"}'] == 31 * 86400
    # the first is that of the empty store
    assert found["ccari_policy_revision"] == 2


async def test_rights_that_wait_on_this_node_go_unseen(store: Store) -> None:
    before = age(made.NOW)
    found = await looked(store)
    assert found['ccari_local_journal_rights{state="waiting"}'] == 2
    assert found['ccari_local_journal_rights{state="aside"}'] == 1
    assert before <= found["ccari_local_journal_oldest_seconds"] <= age(made.NOW)
    assert found["ccari_local_journal_bytes"] == 4096
    assert found["ccari_local_journal_full"] == 0


class Failing:
    """A database that may be away."""

    def __init__(self) -> None:
        self.away = False
        #: PostgreSQL has no connection left except those of the pool
        self.full = False
        self.counted = 0
        #: set when something unforeseen has happened, instead of an answer
        self.broken: asyncio.Event | None = None

    async def pressing(self, clock: Clock) -> Pressing:
        if self.away:
            raise StoreError("the database did not answer in time")
        if self.broken is not None:
            self.broken.set()
            raise ZeroDivisionError
        return Pressing({"overdue": 3}, {}, 0, {})

    async def tallies(self) -> Tallies:
        if self.full:
            raise StoreError("sorry, too many clients already")
        self.counted += 1
        return Tallies({}, {}, [], {}, [])


async def test_figures_of_before_the_database_went_pass_for_new_ones(store: Store) -> None:
    metrics, figures = Metrics(), Failing()
    lookout = Lookout(metrics, figures, await book(store), waits(Standing()))
    await lookout.look()
    before = scraped(metrics)
    assert (before["ccari_database_up"], before['ccari_requests_open{due="overdue"}']) == (1, 3)
    figures.away = True
    await lookout.look()
    after = scraped(metrics)
    assert after["ccari_database_up"] == 0
    assert not any(
        each.startswith(("ccari_requests", "ccari_recordings_late", "ccari_suppressions")) for each in after
    )
    assert after['ccari_work_failures_total{work="figures"}'] == 1
    # what the disk knows needs no database
    assert after['ccari_local_journal_rights{state="waiting"}'] == 0


async def test_a_count_that_fails_by_itself_passes_for_a_database_that_is_away(store: Store) -> None:
    """Somebody would be woken while calls go on, and overdue work would no longer be reported."""
    metrics, figures = Metrics(), Failing()
    lookout = Lookout(metrics, figures, await book(store), waits(Standing()))
    figures.full = True
    with capture_logs() as logged:
        await lookout.look()
        await lookout.look()
    full = scraped(metrics)
    assert (full["ccari_database_up"], full['ccari_requests_open{due="overdue"}']) == (1, 3)
    assert not any(each.startswith("ccari_suppressions") for each in full)
    assert full['ccari_work_failures_total{work="figures"}'] == 2
    assert [(each["event"], each["reason"]) for each in logged] == [
        ("figures_not_counted", "sorry, too many clients already")
    ]
    figures.full = False
    await lookout.look()
    counted = scraped(metrics)
    assert counted['ccari_suppressions{reason="do_not_call"}'] == 0
    assert counted['ccari_work_last_success_timestamp_seconds{work="figures"}'] > 0
    # an old count would pass for a new one, as counts do from before the database was lost
    lookout._counted_at, figures.full = None, True
    with capture_logs() as logged:
        await lookout.look()
    assert not any(each.startswith("ccari_suppressions") for each in scraped(metrics))
    assert [each["event"] for each in logged] == ["figures_not_counted"]


async def test_figures_of_before_something_unforeseen_pass_for_new_ones(store: Store) -> None:
    """A request that has become overdue would not be told of for as long as the fault lasts."""
    metrics, figures = Metrics(), Failing()
    lookout = Lookout(metrics, figures, await book(store), waits(Standing()))
    await lookout.look()
    assert scraped(metrics)['ccari_requests_open{due="overdue"}'] == 3
    figures.broken = asyncio.Event()
    async with started(lookout.run()):
        await figures.broken.wait()
        after = scraped(metrics)
    assert not any(
        each.startswith(("ccari_requests", "ccari_suppressions", "ccari_forwards")) for each in after
    )


@pytest.mark.parametrize("of_the_journal", [False, True])
async def test_something_unforeseen_passes_for_a_database_that_is_away_or_a_journal_that_cannot_be_read(
    store: Store, *, of_the_journal: bool
) -> None:
    """Both would call somebody out of bed, to look in the wrong place."""
    metrics, figures, broken = Metrics(), Failing(), asyncio.Event()

    async def waiting() -> Standing:
        if of_the_journal and figures.broken is not None:
            broken.set()
            raise ZeroDivisionError
        return Standing(waiting=1)

    lookout = Lookout(metrics, figures, await book(store), waiting)
    await lookout.look()
    figures.broken = broken
    async with started(lookout.run()):
        await broken.wait()
        after = scraped(metrics)
    assert after["ccari_database_up"] == 1
    assert after.get('ccari_local_journal_rights{state="waiting"}') == (None if of_the_journal else 1)


async def test_a_policy_that_another_node_applied_is_told_of_as_none(store: Store) -> None:
    """No call has come since, and nobody has asked over HTTP: an alert would say that every call is blocked."""
    metrics, unread = Metrics(), Book(store.policies)
    lookout = Lookout(metrics, Failing(), unread, waits(Standing()))
    await lookout.look()
    before = scraped(metrics)["ccari_policy_revision"]
    await store.policies.apply(made.POLICY + "# changed\n", "test")
    await lookout.look()
    assert scraped(metrics)["ccari_policy_revision"] == before + 1 > 1


async def test_a_policy_that_only_a_newer_ccari_reads_passes_for_a_database_that_is_away(
    store: Store,
) -> None:
    """Somebody would be woken to bring PostgreSQL back, and overdue work would no longer be reported."""
    metrics = Metrics()
    lookout = Lookout(metrics, Failing(), await book(store), waits(Standing()))
    await apply_unread(store, made.POLICY + "of_tomorrow = true\n")
    await lookout.look()
    found = scraped(metrics)
    assert (found["ccari_database_up"], found['ccari_requests_open{due="overdue"}']) == (1, 3)


async def test_every_row_is_counted_at_every_look(store: Store) -> None:
    clock, figures = Clocked(), Failing()
    lookout = Lookout(Metrics(clock), figures, await book(store), waits(Standing()))
    for _ in range(3):
        await lookout.look()
        clock.now += COUNT_SECONDS / 2
    assert figures.counted == 2


async def test_a_webhook_that_is_not_told_goes_unseen(store: Store) -> None:
    at = datetime.now(UTC) - timedelta(hours=2)
    async with store.database.connection() as connection:
        for subject, state in (("one", "waiting"), ("two", "given_up"), ("three", "delivered")):
            await connection.execute(
                "INSERT INTO webhook_deliveries (endpoint, event, subject, state, settled_at, at)"
                " VALUES ('crm', 'call.ended', $1, $2, CASE WHEN $2 <> 'waiting' THEN now() END, $3)",
                subject, state, at,
            )  # fmt: skip
    found = await looked(store)
    told = {each: value for each, value in found.items() if each.startswith("ccari_webhook_messages")}
    assert told == {
        'ccari_webhook_messages{webhook="crm",state="waiting"}': 1,
        'ccari_webhook_messages{webhook="crm",state="given_up"}': 1,
    }
    assert 7200 <= found['ccari_webhook_oldest_seconds{webhook="crm"}'] <= age(at)


async def test_a_request_that_waits_to_be_forwarded_goes_unseen_until_it_is_given_up(store: Store) -> None:
    assert (await looked(store))["ccari_forwards_oldest_seconds"] == 0
    await store.requests.add("acme", made.exercise(Right.ACCESS), made.digests())
    async with store.database.connection() as connection:
        queued_at = await connection.fetchval(
            "UPDATE forwards SET queued_at = now() - interval '2 hours' RETURNING queued_at"
        )
    before = age(queued_at)
    assert before <= (await looked(store))["ccari_forwards_oldest_seconds"] <= age(queued_at)


async def test_what_takes_long_to_count_is_counted_all_the_time_or_never_again(
    database: Database, store: Store
) -> None:
    """With fifty million bars, each count reads a file of 7 GB, which the gate then lacks in the cache."""
    counted = CountedFigures(database)

    async def after(minutes: int, *, last_took: float) -> Mapping[str, int]:
        await database.rows(
            "UPDATE counted_figures SET at = at - $1::interval, held = held || jsonb_build_object('stock', held->'stock' || "
            "jsonb_build_object('seconds', $2::float, 'at', clock_timestamp() - $1::interval))",
            timedelta(minutes=minutes), last_took,
        )  # fmt: skip
        tallies = await counted.tallies()
        assert sum(count for *_, count in tallies.requests) == requests
        return tallies.suppressions

    requests = 1
    await store.requests.add("acme", made.exercise(), made.digests())
    assert (await counted.tallies()).suppressions == {"erasure": 1}
    await store.suppressions.add("acme", made.digests(), Reason.DO_NOT_CALL, "cli:anna", "")
    await store.requests.add("acme", made.exercise(), made.digests())
    requests = 2
    assert await after(49, last_took=30) == {"erasure": 1}
    assert await after(51, last_took=30) == {"erasure": 1, "do_not_call": 1}
    await database.rows("UPDATE counted_figures SET at = at - interval '5 minutes', held = held - 'stock'")
    assert (await counted.tallies()).suppressions == {"erasure": 1, "do_not_call": 1}


async def test_what_a_fast_clock_has_counted_is_shown_until_that_time_has_come(
    database: Database, store: Store
) -> None:
    """Meanwhile no alert would see what is given up, or waits."""
    counted = CountedFigures(database)
    assert (await counted.tallies()).suppressions == {}
    await store.suppressions.add("acme", made.digests(), Reason.DO_NOT_CALL, "cli:anna", "")
    await store.requests.add("acme", made.exercise(), made.digests())
    await database.rows(
        "UPDATE counted_figures SET at = at + interval '1 year', held = held || jsonb_build_object('stock', held->'stock' || "
        "jsonb_build_object('at', clock_timestamp() + interval '1 year')) RETURNING 1"
    )
    tallies = await counted.tallies()
    assert sum(count for *_, count in tallies.requests) == 1
    assert tallies.suppressions == {"erasure": 1, "do_not_call": 1}


async def test_each_node_counts_all_there_is_by_itself_or_shows_what_was_long_ago(
    dsn: str, database: Database, store: Store
) -> None:
    """Each would read every row, of fifty million bars: with a hundred nodes that do so, PostgreSQL would do nothing
    else.
    """
    await store.webhooks.know([Endpoint("crm", (Told.RIGHT_REGISTERED,))])
    exercised = made.call()
    await store.calls.open(exercised, made.question(exercised))
    await store.calls.register_right(exercised, made.exercise(), [])
    async with open_database(dsn) as other:
        counted, elsewhere = CountedFigures(database), CountedFigures(other)
        first = await counted.tallies()
        assert (first.suppressions, first.requests) == ({"erasure": 1}, [("erasure", "key", 1)])
        assert first.webhooks == [("crm", "waiting", 1)]
        await store.suppressions.add("acme", made.digests(), Reason.DO_NOT_CALL, "cli:anna", "")
        assert await elsewhere.tallies() == first
        await database.rows(
            "UPDATE counted_figures SET at = at - interval '5 minutes', held = held - 'stock'"
        )
        async with database.outside_pool() as counting:
            await counting.execute(SQL["turn_to_count"])
            assert await elsewhere.tallies() == first
        assert (await elsewhere.tallies()).suppressions == {"erasure": 1, "do_not_call": 1}
        assert (await counted.tallies()).suppressions == {"erasure": 1, "do_not_call": 1}
