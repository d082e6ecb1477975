"""What is kept beyond its limit, for which reason, and for how long."""

import asyncio
import re
from dataclasses import replace
from uuid import uuid4

import pytest

from ccari.errors import NoRequestError, RecordingError, StoreError, UnknownError
from ccari.policy.bases import LegalBasis
from ccari.policy.numbers import Number
from ccari.policy.retention import HOLDING, HoldKind
from ccari.policy.rights import Level, RequestState, Right
from ccari.policy.sentences import told
from ccari.policy.suppression import Reason
from ccari.ports.holds import Held, HoldOn, Subject
from ccari.store import holds
from ccari.store.database import Database
from ccari.store.opened import Store
from tests.unit.store import made
from tests.unit.store.kept import DAY, NOW, Shelf, holds_on, rotated
from tests.unit.store.server import connected
from tests.unit.store.test_requests import by, letter

LEGAL, REQUEST = {HoldKind.LEGAL}, {HoldKind.REQUEST}
OTHER = Number("+48600100002")
WAITING = """SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""


async def test_a_hold_is_on_less_or_more_than_it_was_placed_on(store: Store, shelf: Shelf) -> None:
    call, anothers = await shelf.call(), await shelf.call(made.call(number=OTHER))
    first, second, third = await shelf.put(call), await shelf.put(call), await shelf.put()
    strangers, elsewhere = await shelf.put(anothers), await shelf.put(await shelf.call(made.call("beta")))
    all_of_them = [first, second, third, strangers, elsewhere]
    reference = await store.calls.register_right(call, made.exercise(Right.OBJECTION_MARKETING), ())
    for on, kept in (
        (HoldOn(recording_id=first), {first}),
        (HoldOn(call_id=call.id), {first, second}),
        (HoldOn(reference=reference), {first, second, third}),
        (HoldOn(subject=Subject("acme", made.digests())), {first, second, third}),
    ):
        placed = await store.holds.place(on, "lawsuit", "cli:anna")
        assert placed["recordings"] == len(kept)
        assert await holds_on(store, all_of_them) == dict.fromkeys(kept, LEGAL)
        await store.holds.release(placed["id"], "settled", "cli:bert")
        assert await holds_on(store, all_of_them) == {}


@pytest.mark.parametrize("right", Right)
async def test_an_open_request_holds_what_it_should_not_or_lets_go_what_it_concerns(
    store: Store, shelf: Shelf, right: Right
) -> None:
    """It holds from its registration to its closure."""
    recordings = {await shelf.put(basis=each): each for each in LegalBasis}
    of_another = await shelf.call(made.call(number=OTHER))
    anothers = [await shelf.put(of_another, basis=each) for each in LegalBasis]
    reference = await store.requests.add("acme", letter(right, level=Level.L2), made.digests())
    wanted = {each: REQUEST for each, basis in recordings.items() if basis in HOLDING.get(right, ())}
    assert await holds_on(store, [*recordings, *anothers]) == wanted
    for state in (RequestState.IN_PROGRESS, RequestState.EXTENDED):
        await store.requests.step(reference, state, by("cli:anna", "many"))
        assert await holds_on(store, [*recordings]) == wanted
    await store.requests.step(reference, RequestState.WITHDRAWN, by("cli:anna", "by phone"))
    assert await holds_on(store, [*recordings]) == {}


async def test_an_open_request_lets_go_what_is_recorded_after_it(store: Store, shelf: Shelf) -> None:
    """Access covers what there is when it is given."""
    await store.requests.add("acme", letter(Right.ACCESS), made.digests())
    later = await shelf.put()
    assert await holds_on(store, [later]) == {later: REQUEST}


async def test_a_request_by_key_holds_only_its_own_calls_recordings(store: Store, shelf: Shelf) -> None:
    """Except a refusal of recording, which is about that call."""
    call = await shelf.call()
    its_own, earlier = await shelf.put(call), await shelf.put()
    await store.calls.register_right(call, made.exercise(Right.REFUSE_RECORDING), ())
    assert await holds_on(store, [its_own, earlier]) == {its_own: REQUEST}
    await store.calls.register_right(call, made.exercise(Right.ACCESS), ())
    assert await holds_on(store, [its_own, earlier]) == {its_own: REQUEST, earlier: REQUEST}


@pytest.mark.parametrize("way", ["key", "letter"])
async def test_a_request_forgets_what_lies_under_an_older_secret(
    store: Store, shelf: Shelf, way: str
) -> None:
    older = await shelf.put()
    now = await shelf.call(rotated(made.call()))
    if way == "key":
        await store.calls.register_right(now, made.exercise(Right.ACCESS), ())
    else:
        await store.requests.add("acme", letter(), now.digests)
    assert await holds_on(store, [older]) == {older: REQUEST}


async def test_a_hold_on_a_number_forgets_what_lies_under_an_older_secret(store: Store, shelf: Shelf) -> None:
    older = await shelf.put()
    await store.holds.place(HoldOn(subject=Subject("acme", rotated(made.call()).digests)), "lawsuit", "anna")
    assert await holds_on(store, [older]) == {older: LEGAL}


async def test_a_restriction_that_was_granted_lets_the_recording_go(store: Store, shelf: Shelf) -> None:
    """Art 18(2): it is stored and nothing else, until somebody lifts the restriction, 18(3)."""
    mine, anothers = await shelf.put(), await shelf.put(await shelf.call(made.call(number=OTHER)))
    for number in (made.NUMBER, OTHER):
        exercise = letter(Right.RESTRICTION, level=Level.L1)
        reference = await store.requests.add("acme", exercise, made.digests(number=number))
        await store.requests.step(reference, RequestState.FULFILLED, by("cli:anna"))
    assert await holds_on(store, [mine, anothers]) == {mine: REQUEST, anothers: REQUEST}
    await store.suppressions.remove("acme", made.digests(), "cli:anna", "told", reason=Reason.RESTRICTION)
    assert await holds_on(store, [mine, anothers]) == {anothers: REQUEST}


async def test_a_restriction_that_was_refused_holds_on(store: Store, shelf: Shelf) -> None:
    recording = await shelf.put()
    reference = await store.requests.add("acme", letter(Right.RESTRICTION, level=Level.L1), made.digests())
    await store.requests.step(reference, RequestState.REFUSED, by("cli:anna", "no ground of Art 18(1)"))
    assert await holds_on(store, [recording]) == {}


async def test_nobody_is_told_what_holds_a_recording(store: Store, shelf: Shelf) -> None:
    recording = await shelf.put()
    reference = await store.requests.add("acme", letter(), made.digests())
    placed = [
        await store.holds.place(on, reason, "cli:anna")
        for on, reason in (
            (HoldOn(recording_id=recording), "lawsuit"),
            (HoldOn(reference=reference), "complaint"),
        )
    ]
    async with store.database.connection() as connection:
        found = await holds.explain(connection, [recording])
    assert found == {recording: [
        Held(HoldKind.LEGAL, placed[0]["id"], None, "lawsuit"),
        Held(HoldKind.LEGAL, placed[1]["id"], reference, "complaint"),
        Held(HoldKind.REQUEST, None, reference, "access"),
    ]}  # fmt: skip
    assert [each.words for each in found[recording]] == [
        f"legal hold {placed[0]['id']} (lawsuit)", f"legal hold {placed[1]['id']} (complaint)",
        f"request {reference} (access)",
    ]  # fmt: skip
    assert await holds_on(store, [recording]) == {recording: LEGAL | REQUEST}


async def test_a_hold_is_placed_on_nothing(store: Store, shelf: Shelf, database: Database) -> None:
    gone = await shelf.put(limit=NOW - DAY)
    await shelf.round()
    (deleted,) = [row["deleted_at"] for row in await database.rows("SELECT deleted_at FROM recordings")]
    nowhere = uuid4()
    for on, error, words in (
        (HoldOn(recording_id=nowhere), UnknownError, f"there is no recording {nowhere}"),
        (HoldOn(call_id=nowhere), UnknownError, f"there is no call {nowhere}"),
        (HoldOn(reference="ACME-2026-000009"), NoRequestError, "there is no request 'ACME-2026-000009'"),
        (
            HoldOn(recording_id=gone),
            RecordingError,
            re.escape(f"recording {gone} was deleted on {told(deleted.astimezone())}:"),
        ),
        (HoldOn(), StoreError, "holds_on_one_thing"),
        (
            HoldOn(recording_id=await shelf.put(), subject=Subject("acme", made.digests())),
            StoreError,
            "one_thing",
        ),
    ):
        with pytest.raises(error, match=words):
            await store.holds.place(on, "lawsuit", "cli:anna")
    assert await database.rows("SELECT FROM holds") == []


async def test_a_hold_is_released_twice_or_without_a_trace(store: Store, shelf: Shelf) -> None:
    recording = await shelf.put()
    placed = await store.holds.place(HoldOn(recording_id=recording), "lawsuit", "cli:anna")
    released = await store.holds.release(placed["id"], "settled", "cli:bert")
    assert (released["released_by"], released["release_reason"]) == ("cli:bert", "settled")
    with pytest.raises(
        UnknownError,
        match=re.escape(f"hold {placed['id']} was released on {told(released['released_at'].astimezone())}:"),
    ):
        await store.holds.release(placed["id"], "again", "cli:eve")
    with pytest.raises(UnknownError, match="hold 99 does not exist"):
        await store.holds.release(99, "again", "cli:eve")
    assert await store.holds.page(10, released=False, controllers=None) == []
    assert await store.holds.page(10, released=True, controllers=None) == [released]
    assert released["reason"] == "lawsuit"


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM holds", "TRUNCATE holds", "UPDATE holds SET reason = 'none'",
        "UPDATE holds SET released_at = NULL, released_by = NULL, release_reason = NULL",
        "UPDATE holds SET released_by = 'cli:eve' WHERE released_at IS NOT NULL",
    ],
)  # fmt: skip
async def test_what_was_held_is_changed_in_place(
    store: Store, shelf: Shelf, database: Database, change: str
) -> None:
    on = HoldOn(recording_id=await shelf.put())
    for release in (True, False):
        placed = await store.holds.place(on, "lawsuit", "cli:anna")
        if release:
            await store.holds.release(placed["id"], "settled", "cli:bert")
    before = await store.holds.page(10, released=True, controllers=None)
    with pytest.raises(StoreError):
        await database.rows(change)
    assert await store.holds.page(10, released=True, controllers=None) == before


async def test_a_hold_is_confirmed_on_what_is_deleted_a_moment_later(
    store: Store, shelf: Shelf, dsn: str
) -> None:
    """Whoever places one waits until it is decided what is deleted."""
    recording = await shelf.put(limit=NOW - DAY)
    async with connected(dsn) as connection:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('deletions', 0))")
            placing = asyncio.create_task(
                store.holds.place(HoldOn(recording_id=recording), "lawsuit", "cli:anna")
            )
            while not await connection.fetchval(WAITING):
                pass
            await connection.execute(
                "INSERT INTO deletions (recording_id, why, decided_by) VALUES ($1, 'retention', 'x')",
                recording,
            )
        with pytest.raises(RecordingError, match="was deleted just now"):
            await placing
    assert (await shelf.round()).count == 1


async def test_a_deletion_is_decided_past_a_hold_that_is_just_being_placed(
    store: Store, shelf: Shelf, dsn: str
) -> None:
    recording = await shelf.put(limit=NOW - DAY)
    async with connected(dsn) as connection, connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock_shared(hashtextextended('deletions', 0))")
        await connection.execute(
            "INSERT INTO holds (recording_id, reason, placed_by) VALUES ($1, 'lawsuit', 'x')", recording
        )
        sweeping = asyncio.create_task(shelf.round())
        while not await connection.fetchval(WAITING) and not sweeping.done():
            pass
    assert (await sweeping).held == 1
    assert await shelf.fate(recording) is None


async def test_a_hold_on_a_number_reaches_another_controllers(store: Store, shelf: Shelf) -> None:
    """Even though the digests were the same: invariant 7."""
    theirs = await shelf.put(await shelf.call(replace(made.call("beta"), keyed=made.digests("acme"))))
    await store.holds.place(HoldOn(subject=Subject("acme", made.digests())), "lawsuit", "anna")
    await store.requests.add("acme", letter(), made.digests())
    assert await holds_on(store, [theirs]) == {}
