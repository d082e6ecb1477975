"""Line charts of consecutive measurements, as an SVG without any library: panels one below the other."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from math import floor, log10

COLOURS = ("#c2410c", "#1d4ed8", "#15803d", "#9aa5b1", "#f59e0b", "#7c3aed")
_LEFT, _WIDTH, _HEIGHT, _TOP, _BELOW, _RIGHT = 70, 640, 130, 44, 26, 190
_WHOLE_WIDTH, _PANEL = _LEFT + _WIDTH + _RIGHT, _TOP + _HEIGHT + _BELOW
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    """``lines`` by name; ``dashed``: drawn over them, of two points each."""

    title: str
    lines: Mapping[str, Points]
    dashed: Mapping[str, Points] = field(default_factory=dict)
    #: Where the scale begins; by default at the least value.
    least: float | None = None


def svg(panels: Sequence[Panel], across: str) -> str:
    """``across``: the label of the horizontal axis of all panels."""
    most = max(x for panel in panels for x, _ in _all(panel))
    height = _PANEL * len(panels) + 20
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WHOLE_WIDTH}" height="{height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{_WHOLE_WIDTH}" height="{height}" fill="white"/>',
        *(part for index, panel in enumerate(panels) for part in _panel(panel, index * _PANEL + _TOP, most)),
        f'<text x="{_LEFT + _WIDTH / 2}" y="{height - 8}" text-anchor="middle">{escape(across)}</text>',
        "</svg>",
        "",
    ])  # fmt: skip


def _panel(panel: Panel, top: float, most_x: float) -> Iterator[str]:
    ys = [y for _, y in _all(panel)]
    step = tick((max(ys) - min(ys) if panel.least is None else max(ys) - panel.least) / 4)
    bottom = floor((min(ys) if panel.least is None else panel.least) / step) * step
    ticks = [bottom + step * index for index in range(floor((max(ys) - bottom) / step) + 2)]

    def place(x: float, y: float) -> str:
        right = _LEFT + x / (most_x or 1) * _WIDTH
        return f"{right:.1f},{top + _HEIGHT - (y - bottom) / (ticks[-1] - bottom) * _HEIGHT:.1f}"

    yield f'<text x="10" y="{top - 14}" font-size="14" font-weight="bold">{escape(panel.title)}</text>'
    for each in ticks:
        _, _, y = place(0, each).partition(",")
        yield f'<line x1="{_LEFT}" x2="{_LEFT + _WIDTH}" y1="{y}" y2="{y}" stroke="#e5e7eb"/>'
        yield f'<text x="{_LEFT - 6}" y="{float(y) + 4:.1f}" text-anchor="end">{each:g}</text>'
    across = tick(most_x / 8)
    for index in range(floor(most_x / across) + 1):
        x, _, _ = place(index * across, bottom).partition(",")
        yield f'<text x="{x}" y="{top + _HEIGHT + 16}" text-anchor="middle">{index * across:g}</text>'
    for index, (name, points) in enumerate((*panel.lines.items(), *panel.dashed.items())):
        colour = COLOURS[index % len(COLOURS)]
        dash = ' stroke-dasharray="6 4"' if name in panel.dashed else ""
        path = " ".join(place(*point) for point in points)
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"{dash}/>'
        yield f'<rect x="{_LEFT + _WIDTH + 12}" y="{top + 18 * index}" width="12" height="12" fill="{colour}"/>'
        yield f'<text x="{_LEFT + _WIDTH + 30}" y="{top + 18 * index + 10}">{escape(name)}</text>'


def _all(panel: Panel) -> Iterator[tuple[float, float]]:
    for points in (*panel.lines.values(), *panel.dashed.values()):
        yield from points


def tick(least: float) -> float:
    """The next of 1, 2, 5, 10, … that is not smaller; 1 if there are no values."""
    if least <= 0:
        return 1.0
    ten = 10.0 ** floor(log10(least))
    return next(each * ten for each in (1, 2, 5, 10) if each * ten >= least * (1 - 1e-9))
