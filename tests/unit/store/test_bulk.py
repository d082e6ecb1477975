"""Long lists on their way into the database: all or nothing where it must be, and never in the way of a call."""

from collections.abc import AsyncIterator, Sequence

import pytest

from ccari.errors import ListError, StoreError
from ccari.policy.suppression import Reason
from ccari.ports.lists import FAULTS_LISTED, Bar, LineFault
from ccari.store import bulk, consents, contacts, suppressions
from ccari.store.bulk import staging
from ccari.store.database import Database
from ccari.store.opened import Store
from ccari.store.queries import SQL
from tests.unit.store.made import NOW, bar, call, exercise, key, numbers, question

DIGEST = {"digest": "bytea"}
ENDS = [bytes(32), b"\xff" * 32, b"\x7f" + b"\xff" * 31, b"\x80" + bytes(31)]


async def batches(*given: Sequence[Bar | LineFault]) -> AsyncIterator[Sequence[Bar | LineFault]]:
    for batch in given:
        yield batch


async def barred(store: Store) -> int:
    rows = await store.database.rows("SELECT count(*) AS bars FROM suppressions")
    return int(rows[0]["bars"])


async def test_a_bad_line_lets_the_others_in_or_hides_another(store: Store) -> None:
    bad = [LineFault(line, "number", "it is empty") for line in (2, 4)]
    lists: list[list[Bar | LineFault]] = [[bar(0), bad[0], bar(1)], [bad[1], bar(2)]]
    report = await store.suppressions.load("acme", key(), batches(*lists), keep_going=False)
    assert (report.lines, report.accepted, report.duplicate, report.invalid) == (5, 0, 0, 2)
    assert (report.taken, report.faults) == (False, bad)
    assert await barred(store) == 0
    report = await store.suppressions.load("acme", key(), batches(*lists), keep_going=True)
    assert (report.lines, report.accepted, report.duplicate, report.invalid) == (5, 3, 0, 2)
    assert (report.taken, report.faults) == (True, bad)
    assert await barred(store) == 3


async def test_a_number_that_comes_twice_is_an_error_or_a_second_bar(store: Store) -> None:
    await store.suppressions.load("acme", key(), batches([bar(0)]), keep_going=False)
    report = await store.suppressions.load(
        "acme", key(), batches([bar(0), bar(1)], [bar(1), bar(1, reason=Reason.ERASURE)]), keep_going=False
    )
    assert (report.lines, report.accepted, report.duplicate) == (4, 2, 2)
    assert await barred(store) == 3


async def test_a_file_of_faults_fills_the_memory_with_them(store: Store) -> None:
    faults = [LineFault(line, None, "x") for line in range(250)]
    report = await store.suppressions.load("acme", key(), batches(faults, faults), keep_going=True)
    assert (report.invalid, len(report.faults), report.faults[-1].line) == (500, FAULTS_LISTED, 99)


async def test_an_empty_list_is_an_error(store: Store) -> None:
    report = await store.suppressions.load("acme", key(), batches(), keep_going=False)
    assert (report.taken, report.lines, report.accepted, report.duplicate) == (True, 0, 0, 0)


async def test_a_row_at_the_edge_of_a_slice_is_lost_or_taken_twice(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "SLICE_ROWS", 3)
    given = [*ENDS, *(key().digest(number) for number in numbers(40))]
    slices: list[tuple[int, int]] = []

    async def records() -> AsyncIterator[list[tuple[bytes]]]:
        yield [(digest,) for digest in given]

    async with staging(database, DIGEST) as staged:
        await staged.take(records())
        await staged.merge(
            "SELECT count(*) FROM incoming WHERE digest BETWEEN $1 AND $2",
            progress=lambda done, of: slices.append((done, of)),
        )
    assert staged.report.accepted == len(given)
    assert slices == [(done, 15) for done in range(1, 16)]


async def test_a_list_that_breaks_off_leaves_its_first_lines(store: Store, database: Database) -> None:
    async def broken() -> AsyncIterator[list[Bar]]:
        yield [bar(0)]
        raise ListError("the disk is gone")

    with pytest.raises(ListError, match="the disk is gone"):
        await store.suppressions.load("acme", key(), broken(), keep_going=True)
    assert await barred(store) == 0
    assert (
        await database.rows(
            "SELECT FROM pg_stat_activity WHERE query LIKE 'COPY incoming%' AND state = 'active'"
        )
        == []
    )


async def test_a_key_press_on_a_number_of_the_list_waits_for_all_of_it(
    store: Store, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two slices nothing is held: otherwise a press would wait here for ever."""
    monkeypatch.setattr(bulk, "SLICE_ROWS", 5)
    given = numbers(40)

    async def records() -> AsyncIterator[list[tuple[object, ...]]]:
        yield [(key().digest(each), 1, "", "objection", "list", "", NOW, None) for each in given]

    columns = {
        "digest": "bytea", "key_version": "smallint", "campaign": "text", "reason": "text", "origin": "text",
        "proof": "text", "entered_at": "timestamptz", "expires_at": "timestamptz",
    }  # fmt: skip
    async with staging(database, columns) as staged:
        await staged.take(records())
        async for first, last in staged.slices():
            await staged.connection.fetchval(SQL["merge_suppressions"], first, last, "acme")
            for number in given:
                digest = key().digest(number)
                if first <= digest <= last:
                    pressed = call(number=number)
                    await store.calls.open(pressed, question(pressed))
                    await store.calls.register_right(pressed, exercise(), [])
    assert await barred(store) == 2 * len(given)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("rekey_consents", ()),
        ("settle_consents", (["offers"], ["marketing"])),
        ("merge_consents", ("x",)),
        ("rekey_contacts", ()),
        ("merge_contacts", (["erasure"], "x")),
    ],
)
async def test_a_first_list_is_held_number_by_number_against_all_that_is_known(
    database: Database, name: str, arguments: tuple[object, ...]
) -> None:
    """The statistics know nothing of the controller, so the planner takes all of its rows for a handful."""
    columns = (contacts._INCOMING if "contacts" in name else consents._INCOMING) | {"line": "bigint"}

    async def records() -> AsyncIterator[list[tuple[object, ...]]]:
        of = [key().digest(number) for number in numbers(3000)]
        blank = [None] * (len(columns) - 3)
        yield [(digest, 1, [digest], *blank) for digest in of]

    async with staging(database, columns) as staged:
        await staged.take(records())
        async for first, last in staged.slices():
            plan = await staged.connection.fetch(f"EXPLAIN {SQL[name]}", first, last, "acme", *arguments)
            told = "\n".join(line[0] for line in plan)
            assert "Index Cond: ((controller = 'acme'::text) AND (digest =" in told, told
            # before PostgreSQL 17 the planner would compare with each of the controller's rows
            assert "digest = ANY" not in told, told


async def test_withdrawals_under_older_secrets_are_compared_with_each_call(database: Database) -> None:
    """As above."""

    async def records() -> AsyncIterator[list[tuple[object, ...]]]:
        of = [key().digest(number) for number in numbers(3000)]
        yield [(each, 1, "", "withdraw_consent", "list", "", NOW, None, [each], [each]) for each in of]

    async with staging(database, suppressions._INCOMING) as staged:
        await staged.take(records())
        plan = await staged.connection.fetch(f"EXPLAIN {SQL['older_places_of_listed']}", "acme")
        told = "\n".join(line[0] for line in plan)
        assert "Index Cond: ((controller = 'acme'::text) AND (digest =" in told, told
        assert "digest = ANY" not in told, told


async def test_an_import_that_is_cut_off_cannot_be_done_again(
    store: Store, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "SLICE_ROWS", 5)
    bars = [bar(index) for index in range(40)]

    def cut_off(done: int, _of: int) -> None:
        if done == 3:
            raise ConnectionResetError

    with pytest.raises(StoreError, match="cannot be reached"):
        await store.suppressions.load("acme", key(), batches(bars), keep_going=False, progress=cut_off)
    entered = await barred(store)
    assert 0 < entered < len(bars)
    report = await store.suppressions.load("acme", key(), batches(bars), keep_going=False)
    assert (report.accepted, report.duplicate) == (len(bars) - entered, entered)
