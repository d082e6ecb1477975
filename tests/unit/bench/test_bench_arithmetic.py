"""What the benchmarks conclude from their measurements."""

from itertools import accumulate
from math import inf

import numpy as np
import pytest

from ccari.metrics.meter import Metrics
from tests.bench.calls import chart, late
from tests.bench.calls.chart import Panel
from tests.bench.calls.late import Buckets
from tests.bench.calls.media import Packets, in_time
from tests.bench.calls.trend import LEAST_POINTS, trend

SAMPLES = 160

BOUNDS = (0.001, 0.01, 0.02, inf)


def buckets(*counts: float) -> Buckets:
    return Buckets(dict(zip(BOUNDS, accumulate(counts), strict=True)))


async def test_what_the_loop_was_late_by_before_is_counted_again() -> None:
    metrics = Metrics()
    metrics.late(0.7)
    before = late.read((await metrics.exposed()).decode())
    for _ in range(98):
        metrics.late(0.0015)
    metrics.late(0.018)
    metrics.late(0.018)
    between = late.read((await metrics.exposed()).decode()) - before
    assert between.all == 100
    assert between.within(0.5) == (0.001, 0.002)
    assert between.within(0.99) == (0.015, 0.02)


def test_a_quantile_is_read_from_the_bucket_beside_its_own() -> None:
    lag = buckets(50, 48, 1, 1)
    assert lag.within(0.5) == (0.0, 0.001)
    assert lag.within(0.51) == (0.001, 0.01)
    assert lag.within(0.98) == (0.001, 0.01)
    assert lag.within(0.99) == (0.01, 0.02)
    assert lag.within(1.0) == (0.02, inf)


def test_a_loop_that_nobody_looked_at_was_not_late() -> None:
    assert buckets(0, 0, 0, 0).within(0.99) is None


def test_a_service_without_the_metric_is_taken_for_one_that_is_never_late() -> None:
    with pytest.raises(LookupError):
        late.read("ccari_calls_under_way 3\n")


def test_a_line_has_another_slope_than_its_points() -> None:
    line = trend(range(24), [5.0 + 0.25 * x for x in range(24)])
    assert (line.slope, line.intercept) == pytest.approx((0.25, 5.0))
    assert line.at(100) == pytest.approx(30.0)
    # of four at each end, twenty apart
    assert (line.least, line.most) == pytest.approx((0.25 * 17 / 20, 0.25 * 23 / 20))


def test_too_few_points_pass_for_a_trend() -> None:
    with pytest.raises(ValueError, match="trend needs"):
        trend(range(LEAST_POINTS - 1), range(LEAST_POINTS - 1))


def test_a_step_passes_for_one_that_cannot_be_told() -> None:
    """Allocated memory grows by a megabyte now and then: by the error of a straight line, it could be anything."""
    line = trend(range(0, 2400, 10), [88.0 if x < 1500 else 89.0 for x in range(0, 2400, 10)])
    assert (line.least, line.most) == pytest.approx((1 / 2000, 1 / 2000))


def test_what_comes_and_goes_passes_for_growth() -> None:
    line = trend(range(120), [88.0 + x % 2 for x in range(120)])
    assert (line.least, line.most) == pytest.approx((-0.01, 0.01))


def stream(arrivals: list[tuple[float, int]], port: int = 4000) -> Packets:
    """Packets by their second and number, which also gives their timestamp."""
    numbers = np.array([number for _, number in arrivals])
    return Packets(
        np.array([at for at, _ in arrivals]),
        np.full(len(arrivals), port + 5000),
        np.full(len(arrivals), port),
        # it overflows within the stream
        (numbers * SAMPLES + (1 << 32) - 1600) % (1 << 32),
    )


def heard(packets: Packets) -> dict[int, float]:
    return in_time(packets, packets.target, 10.0)


def even(count: int) -> list[tuple[float, int]]:
    return [(100 + number * 0.02, number) for number in range(count)]


def test_a_stream_that_runs_evenly_lacks_something() -> None:
    assert heard(stream(even(500))) == {4000: 1.0}


def test_a_packet_that_was_lost_is_not_missed() -> None:
    arrivals = [each for each in even(500) if each[1] % 10]
    assert heard(stream(arrivals)) == {4000: pytest.approx(0.9)}


@pytest.mark.parametrize(("behind", "share"), [(0.05, 1.0), (0.07, 0.98), (0.09, 0.96)])
def test_a_packet_that_comes_after_it_was_to_be_played_counts(behind: float, share: float) -> None:
    """Once a second the source pauses for this long, and then sends everything that has gathered."""
    arrivals = [
        (max(at, 100.8 + number // 50 + behind) if number % 50 >= 40 else at, number)
        for at, number in even(500)
    ]
    assert heard(stream(arrivals)) == {4000: pytest.approx(share)}


def test_a_phone_that_ran_dry_once_lacks_all_that_comes_later() -> None:
    """The source pauses for a tenth of a second, and then stays a tenth of a second late."""
    arrivals = [(at + (0.1 if number >= 250 else 0.0), number) for at, number in even(495)]
    assert heard(stream(arrivals)) == {4000: pytest.approx(0.99)}


def test_a_burst_that_catches_up_makes_good_what_was_silent() -> None:
    arrivals = [(max(at, 105.3) if number >= 250 else at, number) for at, number in even(500)]
    # nothing came for 0.3 s, of which a phone had 0.06 s buffered
    assert heard(stream(arrivals)) == {4000: pytest.approx(1 - 12 / 500)}


def test_a_source_that_stood_still_and_began_anew_is_late_ever_after() -> None:
    before, after = even(250), [(at + 1.0, number) for at, number in even(450)[250:]]
    packets = stream([*before, *after])
    # the media's clock went on meanwhile
    packets.stamp[250:] += 50 * SAMPLES
    assert heard(packets) == {4000: pytest.approx(0.9)}


def test_streams_are_told_apart_by_the_port_they_go_to() -> None:
    one, other = stream(even(500), 4000), stream(even(250), 4002)
    both = Packets(
        np.concatenate((one.at, other.at)),
        np.concatenate((one.source, other.source)),
        np.concatenate((one.target, other.target)),
        np.concatenate((one.stamp, other.stamp)),
    )
    assert heard(both) == {4000: 1.0, 4002: pytest.approx(0.5)}
    assert in_time(both, both.source, 10.0) == {9000: 1.0, 9002: pytest.approx(0.5)}


@pytest.mark.parametrize(
    ("least", "tick"), [(0.0, 1.0), (0.9, 1.0), (1.0, 1.0), (3.1, 5.0), (25.0, 50.0), (0.06, 0.1)]
)
def test_a_scale_has_odd_numbers(least: float, tick: float) -> None:
    assert chart.tick(least) == pytest.approx(tick)


def test_a_picture_of_what_never_changes_cannot_be_drawn() -> None:
    drawn = chart.svg([Panel("files", {"open": [(0.0, 20.0), (1.0, 20.0)]})], "minutes")
    assert "nan" not in drawn
    assert drawn.count("<polyline") == 1
