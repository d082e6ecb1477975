"""The figures as a chart: bars of processor time, and lines from median to p99, as an SVG without any library."""

from collections.abc import Callable, Iterator, Sequence
from html import escape

from tests.bench.calls.figures import GROUPS, Figures

COLOURS = {"asterisk": "#9aa5b1", "controller": "#c2410c", "encoders": "#f59e0b", "postgresql": "#1d4ed8"}
_LEFT, _WIDTH, _ROW, _BAR, _GAP = 150, 560, 26, 16, 56
_WHOLE_WIDTH = _LEFT + _WIDTH + 110


def svg(found: Sequence[Figures]) -> str:
    panels: list[tuple[str, Callable[[Figures, float], Iterator[str]], float]] = [
        ("processor, ms a call", _bars, max(each.whole for each in found)),
        (
            "callee's answer to the notice, ms: median and p99",
            _range("notice"),
            max(_p99(each.notice) for each in found),
        ),
        (
            "end of the notice to the agent's voice, ms: median and p99",
            _range("agent"),
            max(_p99(each.agent) for each in found),
        ),
    ]
    height = len(panels) * (_GAP + _ROW * len(found)) + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WHOLE_WIDTH}" height="{height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{_WHOLE_WIDTH}" height="{height}" fill="white"/>',
    ]
    top = 0.0
    for title, draw, most in panels:
        parts += [f'<text x="10" y="{top + 36}" font-size="14" font-weight="bold">{escape(title)}</text>']
        for index, each in enumerate(found):
            y = top + _GAP - 8 + index * _ROW
            parts += [f'<text x="10" y="{y + 12}">{escape(each.way)}, {each.rate:g}/s</text>']
            parts += [
                f'<g transform="translate({_LEFT} {y})">{"".join(draw(each, _WIDTH / (most or 1)))}</g>'
            ]
        top += _GAP + _ROW * len(found)
    parts += [
        f'<rect x="{_LEFT + 110 * at}" y="{top + 12}" width="12" height="12" fill="{COLOURS[group]}"/>'
        f'<text x="{_LEFT + 110 * at + 18}" y="{top + 22}">{group}</text>'
        for at, group in enumerate(GROUPS)
    ]
    return "\n".join([*parts, "</svg>", ""])


def _bars(each: Figures, scale: float) -> Iterator[str]:
    x = 0.0
    for group in GROUPS:
        width = each.cpu[group] * scale
        yield f'<rect x="{x:.1f}" width="{width:.1f}" height="{_BAR}" fill="{COLOURS[group]}"/>'
        x += width
    yield f'<text x="{x + 6:.1f}" y="12">{each.whole:.1f}</text>'


def _range(name: str) -> Callable[[Figures, float], Iterator[str]]:
    def draw(each: Figures, scale: float) -> Iterator[str]:
        pair: tuple[float, float] | None = getattr(each, name)
        if pair is None:
            return
        middle, most = (value * scale for value in pair)
        yield f'<line x1="{middle:.1f}" x2="{most:.1f}" y1="8" y2="8" stroke="#c2410c" stroke-width="3"/>'
        yield f'<circle cx="{middle:.1f}" cy="8" r="5" fill="#c2410c"/>'
        yield f'<text x="{most + 10:.1f}" y="12">{pair[0]:.1f} / {pair[1]:.1f}</text>'

    return draw


def _p99(pair: tuple[float, float] | None) -> float:
    return 0.0 if pair is None else pair[1]
