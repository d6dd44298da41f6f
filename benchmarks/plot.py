"""Scale curves as one small SVG: time and peak memory over rows, both axes from zero."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Final

from benchmarks.measure import Measured

_WIDTH: Final = 420
_HEIGHT: Final = 240
_LEFT: Final = 56
_TOP: Final = 34
_BOTTOM: Final = 34
_COLOURS: Final = ("#2563a8", "#c2571a")
_STYLE: Final = (
    "<style>text{font:12px system-ui,sans-serif;fill:#555}.t{font-weight:600;fill:#333}"
    "line{stroke:#ccc}polyline{fill:none;stroke-width:2}"
    "@media(prefers-color-scheme:dark){text{fill:#aaa}.t{fill:#ddd}line{stroke:#555}}</style>"
)


def scale(curves: Mapping[str, Sequence[Measured]]) -> str:
    """Two panels side by side: seconds, and peak memory in MB."""
    panels = [
        "".join(_panel("time, s", {side: [(p.rows, p.seconds) for p in points] for side, points in curves.items()}, 0)),
        "".join(
            _panel(
                "peak memory, MB",
                {side: [(p.rows, p.memory) for p in points] for side, points in curves.items()},
                _WIDTH,
            )
        ),
    ]
    size = f'width="{2 * _WIDTH}" height="{_HEIGHT}" viewBox="0 0 {2 * _WIDTH} {_HEIGHT}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{_STYLE}{"".join(panels)}</svg>\n'


def _panel(title: str, curves: Mapping[str, Sequence[tuple[float, float]]], left: int) -> Iterator[str]:
    most_x = max(x for points in curves.values() for x, _ in points)
    top = _round_up(max(y for points in curves.values() for _, y in points))
    x0, x1, y0, y1 = left + _LEFT, left + _WIDTH - 16, _HEIGHT - _BOTTOM, _TOP

    def at(x: float, y: float) -> str:
        return f"{x0 + (x1 - x0) * x / most_x:.1f},{y0 + (y1 - y0) * y / top:.1f}"

    yield f'<text class="t" x="{x0}" y="16">{escape(title)}</text>'
    for step in range(5):
        y = y0 + (y1 - y0) * step / 4
        yield f'<line x1="{x0}" x2="{x1}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text x="{x0 - 6}" y="{y + 4:.1f}" text-anchor="end">{top * step / 4:g}</text>'
    for share in (0, 0.5, 1):
        x = x0 + (x1 - x0) * share
        yield f'<text x="{x:.1f}" y="{y0 + 18}" text-anchor="middle">{most_x * share / 1e6:g}M</text>'
    for number, (side, points) in enumerate(curves.items()):
        colour = _COLOURS[number]
        yield f'<polyline stroke="{colour}" points="{" ".join(at(x, y) for x, y in points)}"/>'
        for x, y in points:
            cx, cy = at(x, y).split(",")
            yield f'<circle cx="{cx}" cy="{cy}" r="3" fill="{colour}"/>'
        yield f'<circle cx="{x0 + 150 + 100 * number}" cy="12" r="4" fill="{colour}"/>'
        yield f'<text x="{x0 + 160 + 100 * number}" y="16">{escape(side.removeprefix("ours_"))}</text>'


def _round_up(value: float) -> float:
    """The next number that four steps divide well."""
    unit = 4.0
    while True:
        for factor in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 7.5):
            if unit * factor >= value:
                return unit * factor
        unit *= 10
