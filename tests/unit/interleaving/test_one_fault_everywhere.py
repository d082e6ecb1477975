"""One thing goes wrong at each request, write and ``await`` of each kind of call, in turn; and what a seed draws goes wrong, in an order
that it draws too. Whatever it is, no invariant breaks, the call ends, and nothing of it is left in Asterisk or in the service.

A failure says how to play the run again. ``CCARI_INTERLEAVINGS=all`` has each kind of fault at each place, and
``CCARI_INTERLEAVINGS=20000`` as many seeds.
"""

import gc
import os
from collections.abc import Iterable, Iterator

import pytest

from tests.unit.interleaving.plan import AT, At, Fault, Place
from tests.unit.interleaving.run import play, told
from tests.unit.interleaving.stories import STORIES

_ASKED = os.environ.get("CCARI_INTERLEAVINGS", "")
#: How many kinds of fault each place has, one after the other; and how many seeds there are.
KINDS = 9 if _ASKED == "all" else 1
SEEDS = int(_ASKED) if _ASKED.isdecimal() else 360


def assert_sound(runs: Iterable[tuple[str, tuple[At, ...], int | None]]) -> None:
    """That nothing is wrong with any of the runs, also not with what is found out when their garbage is collected."""
    late: list[tuple[str, list[str]]] = []
    for name, chosen, seed in runs:
        run = play(name, *chosen, seed=seed)
        assert not run.wrong, told(name, run, *chosen, seed=seed)
        late.append((f"{name} {' '.join(map(str, chosen))} {seed}", run.wrong))
    gc.collect()
    assert [each for each in late if each[1]] == []


def each_place(name: str) -> Iterator[tuple[str, tuple[At, ...], None]]:
    yield name, (), None
    base = play(name)
    # another kind first in each call, so that all calls together have every kind everywhere
    turn = list(STORIES).index(name)
    for place, count in base.plan.counts.items():
        kinds = AT[place]
        for nth in range(1, count + 1):
            for kind in range(min(KINDS, len(kinds))):
                fault = kinds[(KINDS * nth + turn + kind) % len(kinds)]
                yield name, (At(place, nth, fault),), None


@pytest.mark.parametrize("name", STORIES)
def test_one_fault_breaks_an_invariant_or_leaves_something_behind(name: str) -> None:
    assert_sound(each_place(name))


@pytest.mark.parametrize(
    ("name", "faults"),
    [
        ("taken up", "done_late@request:22"),
        ("refused in the talk", "cut@wait:32 unanswered@request:30"),
        ("refused in the talk", "done_late@request:22 agent_gone@wait:32"),
        ("refused in the talk", "done_late@request:27 pressed@wait:55"),
        ("refused after the agent has gone", "unanswered@request:21"),
        ("refused by nobody after the agent has gone", "done_late@request:23"),
    ],
)
def test_what_was_wrong_once_is_wrong_again(name: str, faults: str) -> None:
    assert_sound([(name, tuple(map(At.read, faults.split())), None)])


def test_a_recorder_that_ends_as_it_is_stopped_is_taken_for_one_that_does_not_stop() -> None:
    name = "recorder ends as it is paused"
    assert any("refused recordings/stop 409" in line for line in play(name).trace), "it ends at another time"
    assert_sound([(name, (), None)])


def test_invariant_6_a_service_that_dies_in_the_talk_takes_along_what_a_caller_without_a_number_has_refused() -> (
    None
):
    """No request says so, and a busy Asterisk had recorded on for a moment."""
    name = "refused by nobody in a talk that outlives its service"
    assert_sound((name, (), seed) for seed in range(20))


def test_invariant_6_what_a_caller_without_a_number_has_refused_is_not_on_record_though_the_database_is_back() -> (
    None
):
    """It did not take it at once, and nobody tried again before the service died in the talk."""
    name = "refused by nobody in a talk that outlives its service"
    runs = []
    for seed in range(12):
        writes = [line for line in play(name, seed=seed).trace if " write " in line]
        refused = [nth for nth, line in enumerate(writes, 1) if "write keep_until" in line]
        runs += [(name, (At(Place.WRITE, nth, Fault.NOT_WRITTEN),), seed) for nth in refused[:1]]
    assert runs
    assert_sound(runs)


@pytest.mark.parametrize("fault", [Fault.CANCELLED, Fault.KILLED])
def test_a_right_is_lost_or_doubled_when_its_call_is_cut_off(fault: Fault) -> None:
    """At each of its waits: the one that loses it may be between any two others."""
    name = "refused in the talk"
    waits = play(name).plan.counts[Place.WAIT]
    assert_sound((name, (At(Place.WAIT, nth, fault),), None) for nth in range(1, waits + 1))


@pytest.mark.parametrize("part", range(4))
def test_faults_at_other_times_break_an_invariant_or_leave_something_behind(part: int) -> None:
    names = list(STORIES)
    assert_sound((names[seed % len(names)], (), seed) for seed in range(part, SEEDS, 4))


def test_a_run_differs_when_it_is_played_again() -> None:
    """Then nobody could find out what went wrong in it."""
    first, again = (
        [line.split()[:3] for line in play("transferred", seed=11).trace if " event " in line]
        for _ in range(2)
    )
    assert first == again


@pytest.mark.parametrize("place", Place)
def test_a_place_is_never_come_to(place: Place) -> None:
    assert play("recorded").plan.counts[place] > 10
