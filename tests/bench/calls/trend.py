"""Whether something grows: a straight line through what was measured one after the other, and how wrong it can be."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf, sqrt
from statistics import linear_regression

#: Beside the line. Two points have no residuals, and three hardly say how they hang together.
LEAST_POINTS = 8
#: Standard errors that a slope may be wrong by.
SURE = 3.0


@dataclass(frozen=True)
class Trend:
    """``slope`` in units of y for each of x; ``error``: its standard error."""

    slope: float
    intercept: float
    error: float

    @property
    def least(self) -> float:
        """What the slope is at least."""
        return self.slope - SURE * self.error

    @property
    def most(self) -> float:
        return self.slope + SURE * self.error

    def at(self, x: float) -> float:
        return self.intercept + self.slope * x


def trend(xs: Sequence[float], ys: Sequence[float]) -> Trend:
    """Least squares. Memory that was taken stays, so each measurement resembles the one before it: of n that hang together by r
    from one to the next, n (1 - r) / (1 + r) count for the error (Santer et al., J. Geophys. Res. 105, 2000, p. 7337).

    Raises ValueError if there are too few to tell.
    """
    count = len(xs)
    if count < LEAST_POINTS:
        raise ValueError(f"a trend needs {LEAST_POINTS} measurements, and here are {count}")
    slope, intercept = linear_regression(xs, ys)
    left = [y - intercept - slope * x for x, y in zip(xs, ys, strict=True)]
    squares = sum(each * each for each in left)
    if not squares:
        return Trend(slope, intercept, 0.0)
    together = max(0.0, sum(a * b for a, b in pairwise(left)) / squares)
    counting = count * (1 - together) / (1 + together)
    if counting <= 2:
        return Trend(slope, intercept, inf)
    middle = sum(xs) / count
    spread = sum((x - middle) ** 2 for x in xs)
    return Trend(slope, intercept, sqrt(squares / (counting - 2) / spread))
