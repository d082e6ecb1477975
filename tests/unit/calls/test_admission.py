"""No call is begun at the expense of those under way."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest_asyncio

from ccari.calls.admission import BEHIND_SECONDS, MOST_AT_GATE, Admission
from tests.lab.waiting import until

WITHIN = 20.0


def test_a_dialplan_that_loops_is_let_in_without_end() -> None:
    admission = Admission(3)
    assert [admission.refusal(calls, 0) for calls in (0, 2, 3, 4)] == [None, None, "overload", "overload"]


def test_calls_queue_up_before_a_gate_that_does_not_answer() -> None:
    admission = Admission(1000)
    assert admission.refusal(MOST_AT_GATE - 1, MOST_AT_GATE - 1) is None
    assert admission.refusal(MOST_AT_GATE, MOST_AT_GATE) == "overload"


@pytest_asyncio.fixture
async def admission() -> AsyncIterator[Admission]:
    """An admission that watches the loop."""
    made = Admission(1000)
    watching = asyncio.create_task(made.watch())
    yield made
    watching.cancel()
    await asyncio.wait([watching])


async def _busy() -> None:
    """A machine that has too much to do: each turn of the loop takes too long."""
    while True:
        time.sleep(2 * BEHIND_SECONDS)  # noqa: ASYNC251
        await asyncio.sleep(0)


async def test_a_service_that_began_slowly_or_stood_still_once_turns_callers_away(
    admission: Admission,
) -> None:
    """The service checks all its sounds and keys before it takes a call, which may delay its first look."""
    asyncio.get_running_loop().call_soon(time.sleep, 4 * BEHIND_SECONDS)
    await until(lambda: max(admission._late) > BEHIND_SECONDS, within=WITHIN)
    assert admission.refusal(0, 0) is None


async def test_nobody_knows_that_what_is_read_had_to_wait_for_a_service_that_stood_still(
    admission: Admission,
) -> None:
    """Neither at once, before the next look, nor after it."""
    told: list[float] = []

    def stand_still() -> None:
        time.sleep(4 * BEHIND_SECONDS)
        told.append(admission.stood_still_seconds)

    # the first look is due by then
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(stand_still)
    await until(lambda: max(admission._late) > 2 * BEHIND_SECONDS, within=WITHIN)
    assert min(*told, admission.stood_still_seconds) > 2 * BEHIND_SECONDS


async def test_a_loop_that_cannot_keep_up_takes_more_calls_or_none_ever_after(admission: Admission) -> None:
    await until(lambda: admission.refusal(0, 0) is None, within=WITHIN)
    busy = asyncio.create_task(_busy())
    await until(lambda: admission.refusal(0, 0) == "overload", within=WITHIN)
    busy.cancel()
    await until(lambda: admission.refusal(0, 0) is None, within=WITHIN)
