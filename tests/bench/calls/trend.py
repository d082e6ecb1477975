"""Whether something grows: a straight line through what was measured one after the other, and what the rise was at least and at
most.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, linear_regression

#: Of a measured time, what is looked at of its beginning and of its end.
ENDS_PART = 1 / 6
LEAST_POINTS = 12


@dataclass(frozen=True)
class Trend:
    """``slope``, ``least`` and ``most`` are in units of y for each of x."""

    slope: float
    intercept: float
    least: float
    most: float

    def at(self, x: float) -> float:
        return self.intercept + self.slope * x


def trend(xs: Sequence[float], ys: Sequence[float]) -> Trend:
    """Least squares for the line. Memory goes up by steps and is held on to, so that what is left beside the line says little of
    how wrong its slope may be: the bounds are what was seen. ``most`` is from the lowest of the first sixth to the highest of the
    last, ``least`` from the highest to the lowest, between their middles. What grows evenly by s has bounds of 0.8 and 1.2 s.

    Raises ValueError if there are too few to tell.
    """
    count = len(xs)
    if count < LEAST_POINTS:
        raise ValueError(f"a trend needs {LEAST_POINTS} measurements, and here are {count}")
    slope, intercept = linear_regression(xs, ys)
    part = max(2, round(count * ENDS_PART))
    first, last = ys[:part], ys[-part:]
    between = fmean(xs[-part:]) - fmean(xs[:part])
    return Trend(slope, intercept, (min(last) - max(first)) / between, (max(last) - min(first)) / between)
