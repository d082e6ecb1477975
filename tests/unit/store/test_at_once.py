"""Lists, calls and key presses on the same numbers at the same moment: nothing is lost, and nobody waits for ever."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

import pytest

from ccari.policy.gate import Block
from ccari.policy.numbers import Number
from ccari.policy.rights import Right
from ccari.policy.suppression import Reason
from ccari.ports.lists import Bar, Report
from ccari.store import bulk
from ccari.store.database import Database
from ccari.store.opened import Store
from tests.unit.store.made import bar, call, digests, exercise, judge, key, numbers, question

COUNT = 300
LISTS = 4
#: Fewer than the pool's connections, which the second look holds while it waits for its number.
AT_ONCE = 8
PRESSED = {Right.ERASURE: Reason.ERASURE, Right.OBJECTION: Reason.OBJECTION}
BARRED = {Block.SUPPRESSED_ERASURE, Block.SUPPRESSED_DO_NOT_CALL}


@dataclass
class Centre:
    """``known``: what was committed for each number, and whoever did it knows of."""

    store: Store
    dice: random.Random
    known: set[tuple[Number, Reason]] = field(default_factory=set)
    references: list[str] = field(default_factory=list)

    async def bring_in(self, places: list[int]) -> Report:
        async def batches() -> AsyncIterator[list[Bar]]:
            for begin in range(0, len(places), 50):
                yield [bar(place) for place in places[begin : begin + 50]]

        report = await self.store.suppressions.load("acme", key(), batches(), keep_going=False)
        self.known |= {(numbers(COUNT)[place], Reason.DO_NOT_CALL) for place in places}
        return report

    async def press(self, number: Number, right: Right) -> None:
        pressed = call(number=number)
        await self.store.calls.open(pressed, question(pressed))
        self.references.append(await self.store.calls.register_right(pressed, exercise(right), []))
        self.known.add((number, PRESSED[right]))

    async def lift(self, number: Number) -> None:
        await self.store.suppressions.remove(
            "acme", digests(number=number), "anna", "why", reason=Reason.RESTRICTION
        )

    async def dial(self, number: Number) -> Block | None:
        """From the gate to the dial; whoever was barred before the second look began is not let through."""
        made = call(number=number)
        await self.store.calls.open(made, question(made))
        barred = {(number, Reason.ERASURE), (number, Reason.DO_NOT_CALL)} & self.known
        block = await self.store.calls.spend_token(made, question(made), judge, [])
        assert not barred or block in BARRED
        return block


@pytest.fixture
def centre(store: Store, monkeypatch: pytest.MonkeyPatch) -> Centre:
    monkeypatch.setattr(bulk, "SLICE_ROWS", 40)
    return Centre(store, random.Random(7))


async def all_of(work: Iterable[Callable[[], Awaitable[object]]]) -> None:
    """A few at a time, as the calls of a centre come; the first failure ends it."""
    waiting = iter(list(work))

    async def one_after_another() -> None:
        for each in waiting:
            await each()

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(one_after_another())


async def test_lists_calls_and_key_presses_on_the_same_numbers_lose_a_bar_or_stop_one_another(
    centre: Centre, database: Database
) -> None:
    given = numbers(COUNT)
    presses = [partial(centre.press, number, right) for number in given[::3] for right in PRESSED]
    lifts = [partial(centre.lift, number) for number in given[::5]]
    dials = [partial(centre.dial, number) for number in given]
    calls: list[Callable[[], Awaitable[object]]] = [*presses, *presses, *lifts, *dials]
    centre.dice.shuffle(calls)
    lists = [centre.dice.sample(range(COUNT), COUNT * 2 // 3) for _ in range(LISTS)]
    async with asyncio.timeout(120), asyncio.TaskGroup() as group:
        imports = [group.create_task(centre.bring_in(places)) for places in lists]
        group.create_task(all_of(calls))

    listed = {given[place] for places in lists for place in places}
    assert sum(each.result().accepted for each in imports) == len(listed)
    expected = Counter((digests(number=number).newest, reason) for number, reason in centre.known)
    rows = await database.rows("SELECT digest, reason FROM suppressions")
    assert Counter((row["digest"], Reason(row["reason"])) for row in rows) == expected
    assert len(set(centre.references)) == len(presses) * 2
    for number in given:
        block = await centre.dial(number)
        assert (block is None) == (number not in listed and number not in given[::3])


async def test_a_list_that_comes_between_the_gate_and_the_dial_is_too_late(centre: Centre) -> None:
    """Every call asks at the gate first; then the lists are loaded; then all would dial at once."""
    made = [call(number=number) for number in numbers(COUNT)]
    await all_of(partial(centre.store.calls.open, each, question(each)) for each in made)
    halves = [list(range(0, COUNT, 2)), list(range(0, COUNT, 3))]
    await asyncio.gather(*(centre.bring_in(half) for half in halves))
    blocks: dict[int, Block | None] = {}

    async def spend(place: int) -> None:
        blocks[place] = await centre.store.calls.spend_token(made[place], question(made[place]), judge, [])

    await all_of(partial(spend, place) for place in range(COUNT))
    assert {place for place, block in blocks.items() if block is None} == {
        place for place in range(COUNT) if place % 2 and place % 3
    }
    assert {block for block in blocks.values() if block} == {Block.SUPPRESSED_DO_NOT_CALL}
