"""The final results of the benchmarks with many calls: how many are held at once, and whether something grows."""

import os
from collections.abc import Sequence
from dataclasses import replace
from math import inf

import pytest

from tests.bench.calls.crowd import Found, Lateness, Step, per_call, picture
from tests.bench.calls.endurance import BARRED, Sample, _numbers, judged, steady
from tests.bench.calls.held import Memory, files, memory, memory_alone, threads


def step(wanted: int, *, up: int | None = None, whole: int | None = None, uss: int = 0) -> Step:
    return Step(
        "ccari", wanted, wanted if up is None else up, wanted if whole is None else whole, 1.0, 1.0, 0, {},
        Memory(pss=500 * wanted), Memory(uss=uss), 20, 8, None, None, 0.0, 0.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("of_hundred", "held"), [({}, True), ({"up": 99}, False), ({"whole": 95}, True), ({"whole": 94}, False)]
)
def test_a_step_is_held_of_which_a_call_is_missing_or_cannot_be_understood(
    of_hundred: dict[str, int], *, held: bool
) -> None:
    assert step(100, **of_hundred).held is held


def test_more_calls_are_held_after_fewer_were_not() -> None:
    steps = [step(25), step(50), step(75, whole=0), step(100)]
    assert Found("ccari", steps, 100, 100, None).most == 50
    assert Found("ccari", steps[2:], 100, 100, None).most == 0


def test_memory_for_a_call_is_that_of_the_whole_process() -> None:
    steps = [
        step(25, uss=90_000),
        step(50, uss=90_500),
        step(75, uss=91_000),
        step(100, whole=0, uss=200_000),
    ]
    assert per_call(steps) == pytest.approx((20.0, 500.0))


def test_a_loop_that_is_late_without_bound_leaves_a_run_without_its_picture() -> None:
    late = Lateness((0.0, 0.001), (0.03, 0.05)), Lateness((0.0, 0.001), (1.0, inf))
    steps = [
        replace(step(60 * (index + 1), uss=90_000), late=each, cpu={"asterisk": 1.0, "world": 0.9, "controller": 0.0})
        for index, each in enumerate(late)
    ]  # fmt: skip
    drawn = picture([Found("ccari", steps, 120, 120, None)])
    assert "late by no more than" in drawn
    assert "inf" not in drawn


def samples(grows_by: float) -> Sequence[Sample]:
    """Half an hour of two calls a second; caches fill in the first minutes."""
    return [
        Sample(
            seconds, calls := 2 * seconds,
            # memory that a garbage collector has not freed yet goes up and down
            Memory(own=round(90_000 + min(calls, 1000) * 20 + calls * grows_by + (index * 37 % 11) * 100)),
            Memory(), Memory(), 20, 8, 9_000_000 + calls * 4096,
        )
        for index, seconds in enumerate(range(10, 1801, 10))
    ]  # fmt: skip


def test_caches_that_fill_pass_for_growth() -> None:
    found = judged(samples(0.0))
    assert not found.grows
    assert not found.unsure
    assert found.ccari.least < 0 < found.ccari.most
    assert found.database.slope == pytest.approx(4.0)
    assert steady(samples(0.0))[0].seconds == 600


def test_two_kilobytes_a_call_are_not_seen() -> None:
    assert judged(samples(2.0)).grows


def test_what_is_remembered_of_the_last_calls_passes_for_growth() -> None:
    assert not judged(samples(0.4)).grows


def test_a_run_that_shows_nothing_passes() -> None:
    steady_run = samples(0.0)
    assert not judged(steady_run).unsure
    stepped = [
        replace(each, ccari=Memory(own=each.ccari.own + 2000 * (each.seconds > 900))) for each in steady_run
    ]
    assert judged(stepped).unsure
    assert judged(stepped).verdict.startswith("CANNOT TELL")


def test_of_ten_callees_not_all_kinds_are_called() -> None:
    numbers = list(_numbers(20))
    assert sorted(number[5] for number in numbers[:10]) == list("0000025789")
    assert numbers.count(BARRED) == 2
    assert len({*numbers}) == 19


def test_what_a_process_holds_is_not_read() -> None:
    held = memory_alone(os.getpid())
    assert held.pss >= held.uss > 0
    assert held.own > 0
    assert threads(os.getpid()) >= 1
    assert files(os.getpid()) >= 3
    assert memory(os.getpid()).own >= held.own * 0.5
