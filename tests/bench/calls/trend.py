"""Whether something grows: a straight line through consecutive measurements, and the least and the most that it rose."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, linear_regression

#: The shares of the measured time at its beginning and its end that are compared.
ENDS_PART = 1 / 6
LEAST_POINTS = 12


@dataclass(frozen=True)
class Trend:
    """``slope``, ``least`` and ``most``: units of y for each of x."""

    slope: float
    intercept: float
    least: float
    most: float

    def at(self, x: float) -> float:
        return self.intercept + self.slope * x


def trend(xs: Sequence[float], ys: Sequence[float]) -> Trend:
    """The line is a least-squares fit. Memory grows in steps and is retained, so the residuals say little about the
    error of the slope: the bounds are observed values. ``most`` goes from the lowest of the first sixth to the highest
    of the last, ``least`` from the highest to the lowest, between their middles. Steady growth by s has bounds of 0.8
    and 1.2 s.

    Raises ValueError if there are too few.
    """
    count = len(xs)
    if count < LEAST_POINTS:
        raise ValueError(f"a trend needs {LEAST_POINTS} measurements, and here are {count}")
    slope, intercept = linear_regression(xs, ys)
    part = max(2, round(count * ENDS_PART))
    first, last = ys[:part], ys[-part:]
    between = fmean(xs[-part:]) - fmean(xs[:part])
    return Trend(slope, intercept, (min(last) - max(first)) / between, (max(last) - min(first)) / between)
