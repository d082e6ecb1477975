"""Medians over many runs, and how they are shown: a table, and the figures themselves for charts."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from tests.bench.calls.traffic import Measured

#: The groups that count as the way's own cost; world is the load.
GROUPS = ("asterisk", "controller", "encoders", "postgresql")


@dataclass(frozen=True)
class Figures:
    """Medians over the runs of a way at a rate; ``notice``, ``agent`` and ``log``: p50 and p99, None if unknown."""

    way: str
    rate: float
    runs: int
    calls: int
    good: int
    kept: int
    cpu: Mapping[str, float]
    notice: tuple[float, float] | None
    agent: tuple[float, float] | None
    log: tuple[float, float] | None

    @property
    def whole(self) -> float:
        return sum(self.cpu[group] for group in GROUPS)


def figures(way: str, rate: float, runs: Sequence[Measured]) -> Figures:
    return Figures(
        way,
        rate,
        len(runs),
        sum(each.calls for each in runs),
        sum(each.good for each in runs),
        sum(each.kept for each in runs),
        {group: median(each.cpu[group] for each in runs) for group in runs[0].cpu},
        _medians(each.notice for each in runs),
        _medians(each.agent for each in runs),
        _medians(each.log for each in runs),
    )


def table(found: Iterable[Figures]) -> str:
    head = (
        *("way", "calls/s", "runs", "calls", "whole", "recorded", *GROUPS, "sum"),
        *("answer to notice", "notice to agent", "heard to bridge"),
    )
    rows = [
        (
            each.way,
            f"{each.rate:g}",
            str(each.runs),
            str(each.calls),
            str(each.good),
            str(each.kept),
            *(f"{each.cpu[group]:.1f}" for group in GROUPS),
            f"{each.whole:.1f}",
            *(_pair(pair) for pair in (each.notice, each.agent, each.log)),
        )
        for each in found
    ]
    return as_table(head, rows)


def as_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """In Markdown."""
    whole = [head, ["---"] * len(head), *rows]
    widths = [max(len(row[column]) for row in whole) for column in range(len(head))]
    lines = (" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in whole)
    return "\n".join(f"| {line} |" for line in lines)


def quantile(values: Sequence[float], part: float) -> float:
    """The least value that this share of them does not exceed."""
    return sorted(values)[max(0, math.ceil(part * len(values)) - 1)]


def _medians(runs: Iterable[Sequence[float]]) -> tuple[float, float] | None:
    known = [each for each in runs if each]
    if not known:
        return None
    return median(quantile(each, 0.5) for each in known), median(quantile(each, 0.99) for each in known)


def _pair(pair: tuple[float, float] | None) -> str:
    return "" if pair is None else f"{pair[0]:.1f} / {pair[1]:.1f}"
