"""Copies of registers: whole or not at all, never older than the one before, and heeded by those who must heed them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ccari.errors import ListError, StoreError
from ccari.policy import gate
from ccari.policy.declaration import read
from ccari.policy.gate import Block
from ccari.ports.keying import Sought
from ccari.ports.lists import LineFault, Listed, Report
from ccari.store import bulk
from ccari.store.database import Database
from ccari.store.opened import Store
from ccari.store.registers import Copy
from tests.unit.store.made import POLICY, digests, key, numbers

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
#: One campaign heeds the register, and one does not.
HEEDED = read(
    POLICY.replace('dial = "', 'registers = ["robinson"]\ndial = "')
    + """
[[campaigns]]
id = "service"
controller = "acme"
purpose = "obsługa umowy"
legal_basis = "contract"
data_source = "umowa zawarta z ACME"
dial = "PJSIP/{number}@trunk"
[campaigns.recording]
mode = "notice"
[[registers]]
id = "robinson"
name = "Lista Robinsonów"
max_age_days = 31
"""
)


def listed(*places: int, since: datetime | None = None, until: datetime | None = None) -> list[Listed]:
    return [Listed(numbers(place + 1)[-1], since, until) for place in places]


async def load(
    store: Store, given: list[Any], *, as_of: datetime = NOW, register: str = "robinson", update: bool = False,
    shrunk: bool = False, dated: bool = True, keep_going: bool = False, progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> Report:  # fmt: skip
    async def batches() -> AsyncIterator[list[Any]]:
        yield given

    copy = Copy(register, as_of, "anna", update=update, shrunk=shrunk, dated=dated)
    return await store.registers.load(
        copy, key(register), batches(), lambda: bytes(32), keep_going=keep_going, progress=progress
    )


def listed_as(place: int, register: str = "robinson") -> tuple[tuple[str, bytes], ...]:
    return ((register, key(register).digest(numbers(place + 1)[-1])),)


async def found(store: Store, count: int = 6) -> dict[int, datetime]:
    """Which of the numbers are listed, and since when."""
    return {
        place: row["listed_at"]
        for place in range(count)
        for row in await store.registers.of(listed_as(place))
    }


async def asked(store: Store, place: int, campaign: str = "renewals") -> Block | None:
    """What the gate says of a number now, on the facts of the database."""
    declared = HEEDED.campaign(campaign)
    assert declared is not None
    registers = HEEDED.registers_of(declared)
    number = numbers(place + 1)[-1]
    known = listed_as(place) if registers else ()
    facts, _ = await store.calls.facts(gate.question(declared, NOW), Sought(digests(number=number), known))
    return gate.verdict(declared, registers, "PL", number, facts, NOW)


async def test_a_number_that_left_the_register_stays_barred_or_one_that_stayed_is_listed_anew(
    store: Store,
) -> None:
    report = await load(store, listed(0, 1, 2, 2), as_of=NOW - 3 * DAY)
    assert (report.accepted, report.duplicate) == (3, 1)
    report = await load(store, listed(1, 2, 3), as_of=NOW - 2 * DAY)
    assert (report.accepted, report.duplicate) == (1, 2)
    assert await found(store) == {1: NOW - 3 * DAY, 2: NOW - 3 * DAY, 3: NOW - 2 * DAY}
    await load(store, listed(0, 1, 2, 3), as_of=NOW - DAY)
    assert (await found(store))[0] == NOW - DAY
    (age,) = await store.registers.ages()
    assert (age["register"], age["entries"], age["as_of"], age["loaded_by"]) == (
        "robinson",
        4,
        NOW - DAY,
        "anna",
    )


async def test_what_the_register_itself_says_of_its_times_is_lost(store: Store, database: Database) -> None:
    await load(
        store, listed(0, since=NOW - 9 * DAY) + listed(1, until=NOW - DAY) + listed(2, until=NOW + DAY)
    )
    assert await found(store) == {0: NOW - 9 * DAY, 2: NOW}
    await load(store, listed(0, since=NOW - 5 * DAY) + listed(1, 2), as_of=NOW + DAY)
    assert await found(store) == {0: NOW - 5 * DAY, 1: NOW + DAY, 2: NOW}
    assert await database.rows("SELECT FROM register_entries WHERE expires_at IS NOT NULL") == []


async def test_an_update_drops_the_numbers_that_it_does_not_name(store: Store) -> None:
    with pytest.raises(
        ListError, match="'robinson' has never been loaded: load the whole register before an update"
    ):
        await load(store, listed(0), update=True)
    await load(store, listed(0, 1), as_of=NOW - 2 * DAY)
    report = await load(store, listed(1, 2), as_of=NOW - DAY, update=True)
    assert (report.accepted, report.duplicate) == (1, 1)
    assert set(await found(store)) == {0, 1, 2}
    assert [(row["entries"], row["as_of"]) for row in await store.registers.ages()] == [(3, NOW - DAY)]


@pytest.mark.parametrize(
    ("given", "as_of", "words"),
    [
        (
            listed(0, 1, 2, 3),
            NOW - DAY,
            "the loaded copy of 'robinson' is dated .*, and this one is older: if it is not give --as-of",
        ),
        (
            [],
            NOW + DAY,
            "the file has 0 numbers, but the copy of 'robinson' had 4: get the file again, or add --shrunk",
        ),
        (listed(4), NOW + DAY, "the file has 1 number, but the copy of 'robinson' had 4"),
    ],
)
async def test_a_copy_that_broke_off_or_is_of_last_year_replaces_a_good_one(
    store: Store, given: list[Listed], as_of: datetime, words: str
) -> None:
    await load(store, listed(0, 1, 2, 3))
    before = await store.registers.ages()
    with pytest.raises(ListError, match=words):
        await load(store, given, as_of=as_of)
    assert set(await found(store)) == {0, 1, 2, 3}
    assert await store.registers.ages() == before
    if given and as_of > NOW:
        await load(store, given, as_of=as_of, shrunk=True)
        assert set(await found(store)) == {4}


async def test_the_file_of_another_register_or_country_takes_the_place_of_the_right_one(store: Store) -> None:
    """It has as many numbers, and whoever is in the right one could be called."""
    await load(store, listed(0, 1, 2, 3))
    other = listed(3, 4, 5, 6)
    words = "the file lacks 3 of the 4 numbers that the copy of 'robinson' had: is it this register's, .* or add --shrunk"
    with pytest.raises(ListError, match=words):
        await load(store, other, as_of=NOW + DAY)
    assert set(await found(store, 7)) == {0, 1, 2, 3}
    report = await load(store, other, as_of=NOW + DAY, shrunk=True)
    assert (set(await found(store, 7)), report.dropped) == ({3, 4, 5, 6}, 3)


async def test_a_copy_sets_numbers_free_that_nobody_is_told_of(store: Store) -> None:
    """One whose time in the register is over was free before."""
    await load(store, listed(0, 1, 3) + listed(2, until=NOW - DAY))
    report = await load(store, listed(1, 3, 4), as_of=NOW + DAY)
    assert report.as_dict()["dropped"] == 1
    report = await load(store, listed(5), as_of=NOW + 2 * DAY, update=True)
    assert "dropped" not in report.as_dict()


async def test_a_copy_that_a_fast_clock_has_dated_keeps_every_later_one_out(store: Store) -> None:
    """Its campaigns would call nobody until that date, or until somebody corrected it in the database."""
    await load(store, listed(0), as_of=NOW - 2 * DAY)
    await load(store, listed(0, 1), as_of=NOW + 300 * DAY)
    assert await asked(store, 2) is Block.REGISTER_STALE
    with pytest.raises(
        ListError, match=f"is dated {NOW - 2 * DAY:%Y-%m-%d %H:%M} UTC, and this one is older"
    ):
        await load(store, listed(2), as_of=NOW - 3 * DAY)
    with pytest.raises(ListError, match="had 2: get the file again"):
        await load(store, [])
    assert await asked(store, 2) is Block.REGISTER_STALE
    await load(store, listed(0, 2))
    assert [row["as_of"] for row in await store.registers.ages()] == [NOW]
    assert (await asked(store, 1), await asked(store, 2)) == (None, Block.SUPPRESSED_REGISTER)


async def test_an_empty_file_makes_a_register_seem_loaded(store: Store) -> None:
    with pytest.raises(ListError, match="the copy of 'robinson' cannot be empty"):
        await load(store, [])
    assert await store.registers.ages() == []
    assert await asked(store, 0) is Block.REGISTER_STALE


async def test_a_bad_line_makes_a_copy_of_the_others(store: Store) -> None:
    given = [*listed(0), LineFault(2, "number", "it is empty"), *listed(1)]
    report = await load(store, given)
    assert (report.taken, report.accepted, report.invalid) == (False, 0, 1)
    assert await store.registers.ages() == []
    report = await load(store, given, keep_going=True)
    assert (report.taken, report.accepted, report.invalid) == (True, 2, 1)


async def test_a_bad_line_takes_who_stands_in_it_out_of_the_register(store: Store) -> None:
    await load(store, listed(0, 1, 2), as_of=NOW - DAY)
    await load(store, [*listed(0, 3), LineFault(2, "number", "it is empty")], keep_going=True)
    assert set(await found(store)) == {0, 1, 2, 3}
    await load(store, listed(0, 2, 3))
    assert set(await found(store)) == {0, 2, 3}


@pytest.mark.parametrize("given", [[], [LineFault(1, "number", "it is empty")]])
async def test_a_file_of_nothing_makes_a_copy_younger(store: Store, given: list[Any]) -> None:
    await load(store, listed(0), as_of=NOW - DAY)
    with pytest.raises(ListError, match=r"the file contains no numbers, .*: give --as-of"):
        await load(store, given, update=True, dated=False, keep_going=True)
    assert [row["as_of"] for row in await store.registers.ages()] == [NOW - DAY]
    await load(store, given, update=True, keep_going=True)
    assert [row["as_of"] for row in await store.registers.ages()] == [NOW]
    await load(store, listed(1), as_of=NOW + DAY, update=True, dated=False)
    assert set(await found(store)) == {0, 1}


async def test_an_import_that_is_cut_off_leaves_half_a_copy(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "SLICE_ROWS", 1)
    await load(store, listed(0, 1), as_of=NOW - DAY)

    def cut_off(done: int, of: int) -> None:
        if done == of:
            raise ConnectionResetError

    with pytest.raises(StoreError):
        await load(store, listed(2, 3, 4), progress=cut_off)
    assert set(await found(store)) == {0, 1}
    assert [row["as_of"] for row in await store.registers.ages()] == [NOW - DAY]


async def test_two_copies_at_once_become_a_mixture(store: Store) -> None:
    await load(store, listed(0), as_of=NOW - DAY)
    await asyncio.gather(*(load(store, listed(place, place + 1), shrunk=True) for place in (0, 2, 4)))
    places = sorted(await found(store))
    assert places in ([0, 1], [2, 3], [4, 5])
    assert [row["entries"] for row in await store.registers.ages()] == [2]


async def test_the_gate_goes_by_a_copy_that_is_too_old_or_not_there(store: Store) -> None:
    assert await asked(store, 0) is Block.REGISTER_STALE
    await load(store, listed(0), as_of=NOW - 32 * DAY)
    assert await asked(store, 0) is Block.SUPPRESSED_REGISTER
    assert await asked(store, 1) is Block.REGISTER_STALE
    await load(store, listed(0), as_of=NOW - 31 * DAY)
    assert await asked(store, 1) is None


async def test_a_listing_bars_a_campaign_that_need_not_heed_it_or_is_taken_for_another_register(
    store: Store,
) -> None:
    await load(store, listed(0))
    await load(store, listed(1), register="other")
    assert await asked(store, 0) is Block.SUPPRESSED_REGISTER
    assert await asked(store, 0, "service") is None
    assert await asked(store, 1) is None
    assert await store.registers.of(listed_as(1)) == []
    assert [row["register"] for row in await store.registers.of(listed_as(1, "other"))] == ["other"]
