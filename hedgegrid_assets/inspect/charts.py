"""One small chart of an instrument-day: the value with gaps shaded, rows a minute, latency; as numbers and as a picture.

The frame is read row group by row group, three columns of it, into some hundred buckets: memory does not grow with the
day. Pillow draws (10 ms to import, when it is used); the HTML page draws the same numbers itself.
"""

import base64
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct
from msgspec.structs import replace

from hedgegrid_assets.inspect.books import Curves, book_curves
from hedgegrid_assets.model import Gap, InstrumentDay, Table
from hedgegrid_assets.stages.frames import FORCED, every_column, refuse_lacking
from hedgegrid_assets.store import AnyFile, Places, local_file, reading
from hedgegrid_assets.timestamps import NS_PER_SECOND, day_end, day_start

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

type Floats = npt.NDArray[np.float64]

BUCKETS: Final = 288
"""Five minutes each over a whole day."""

_NS_PER_MINUTE: Final = 60 * NS_PER_SECOND
_MINUTES: Final = 24 * 60
_WHOLE_DAY_FROM: Final = 6 * 60 * _NS_PER_MINUTE


class DaySeries(Struct, frozen=True):
    """A day in buckets of equal length from ``start`` to ``end`` (ns); NaN where a bucket holds no row.

    The whole UTC day, but for data of less than six hours: then their own span, in whole minutes.

    Attributes:
        value: What ``low`` and ``last`` are of, and ``high`` unless the table has a ceiling: its first column.
        rows: Rows of each bucket.
        row_ns: The time that a row tells of, of a table that has one a period.
        latency_low: Smallest ``ts_init - ts_event`` in ms; ``latency_mean`` and ``latency_high`` likewise.
        more: Of a book, whose value is its best prices.
    """

    table: str
    value: str
    start: int
    end: int
    low: Floats
    high: Floats
    last: Floats
    rows: npt.NDArray[np.int64]
    latency_low: Floats
    latency_mean: Floats
    latency_high: Floats
    row_ns: int = 0
    more: tuple[Curves, ...] = ()

    @property
    def rates(self) -> Floats:
        """Rows a minute: a row that tells of more than its bucket is shared out over all that it tells of."""
        return self.rows / max(self.minutes, self.row_ns / _NS_PER_MINUTE)

    @property
    def minutes(self) -> float:
        """Length of a bucket."""
        return (self.end - self.start) / len(self.rows) / _NS_PER_MINUTE

    @property
    def told_span(self) -> str:
        """That less than the day is shown, if so."""
        minutes = (self.end - self.start) // _NS_PER_MINUTE
        return "" if minutes == _MINUTES else f"  ({minutes} of {_MINUTES:,} minutes shown)"


def day_series(path: AnyFile, table: Table, day: InstrumentDay, buckets: int = BUCKETS) -> DaySeries | None:
    """The numbers of a stored frame's chart; None for a frame without rows in its day."""
    value = table.value
    ceiling = table.ceiling or value
    with reading(path, f"a frame of {table.name}", FORCED), pq.ParquetFile(local_file(path)) as file:
        refuse_lacking(path, table, file.schema_arrow.names, every_column(table))
        if not file.metadata.num_rows:
            return None
        first, last = _ends(file)
        start, end = _span(first, last, day)
        width = -(-(end - start) // buckets)
        parts = [
            _bucketed(
                file.read_row_group(group, columns=["ts_event", "ts_init", *{value, ceiling}]),
                value,
                ceiling,
                start,
                width,
            )
            for group in range(file.num_row_groups)
        ]
    merged = (
        pl.concat(parts)
        .group_by("bucket", maintain_order=True)
        .agg(
            pl.col("low", "latency_low").min(),
            pl.col("high", "latency_high").max(),
            pl.col("last").last(),
            pl.col("rows", "latency_sum").sum(),
        )
        .filter(pl.col("bucket").is_between(0, buckets - 1))
    )
    if not len(merged):  # no row lies in its day
        return None
    at = merged["bucket"].to_numpy()

    def spread(column: pl.Series) -> Floats:
        full: Floats = np.full(buckets, np.nan)
        full[at] = column.to_numpy()
        return full

    rows: npt.NDArray[np.int64] = np.zeros(buckets, np.int64)
    rows[at] = merged["rows"].to_numpy()
    found = DaySeries(
        table=table.name,
        value=value,
        start=start,
        end=end,
        low=spread(merged["low"]),
        high=spread(merged["high"]),
        last=spread(merged["last"]),
        rows=rows,
        latency_low=spread(merged["latency_low"]),
        latency_mean=spread(merged["latency_sum"] / merged["rows"]),
        latency_high=spread(merged["latency_high"]),
        row_ns=table.tells_of_ns,
    )
    return _of_book(found, path, table, width) if table.is_book else found


def _of_book(series: DaySeries, path: AnyFile, table: Table, width: int) -> DaySeries:
    """With what its book was like instead of the prices of its rows, unless it never had both sides."""
    best, *more = book_curves(path, table, series.start, width, len(series.rows))
    if np.isnan(best.line).all():
        return series
    return replace(series, value=best.word, low=best.low, high=best.high, last=best.line, more=tuple(more))


def _ends(file: pq.ParquetFile) -> tuple[int, int]:
    """First and last ``ts_init``; a tampered frame need not be sorted, so all row groups are asked."""
    column = file.schema_arrow.names.index("ts_init")
    ends: list[int] = []
    for group in range(file.num_row_groups):
        known = file.metadata.row_group(group).column(column).statistics
        if known is not None and known.has_min_max:
            ends += [known.min_raw, known.max_raw]
        else:
            times = _polars(file.read_row_group(group, columns=["ts_init"]))["ts_init"].cast(pl.Int64)
            ends += [int(str(times.min())), int(str(times.max()))]
    return min(ends), max(ends)


def _polars(group: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(group)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _span(first: int, last: int, day: InstrumentDay) -> tuple[int, int]:
    start, end = day_start(day.date), day_end(day.date)
    if last - first >= _WHOLE_DAY_FROM:
        return start, end
    first, last = max(first, start), min(last, end - 1)
    return first // _NS_PER_MINUTE * _NS_PER_MINUTE, (last // _NS_PER_MINUTE + 1) * _NS_PER_MINUTE


def _bucketed(group: pa.Table, value: str, ceiling: str, start: int, width: int) -> pl.DataFrame:
    times = _polars(group).select(
        bucket=(pl.col("ts_init").cast(pl.Int64) - start) // width,
        late=(pl.col("ts_init").cast(pl.Int64) - pl.col("ts_event").cast(pl.Int64)) / 1e6,
        value=pl.col(value).cast(pl.Float64),
        ceiling=pl.col(ceiling).cast(pl.Float64),
    )
    if times["bucket"].is_sorted():  # three times faster
        times = times.with_columns(pl.col("bucket").set_sorted())
    return times.group_by("bucket", maintain_order=True).agg(
        low=pl.col("value").min(),
        high=pl.col("ceiling").max(),
        last=pl.col("value").last(),
        rows=pl.len().cast(pl.Int64),
        latency_low=pl.col("late").min(),
        latency_sum=pl.col("late").sum(),
        latency_high=pl.col("late").max(),
    )


# ---------------------------------------------------------------- for Dagster


def chart_markdown(places: Places, day: InstrumentDay, table: Table, status: str, gaps: Sequence[Gap]) -> str | None:
    """The chart of a stored frame as Markdown with the image inside; None for a day without rows."""

    path = places.frame(day.instrument_id, table.folder, day.date)
    series = day_series(path, table, day) if path.exists() else None
    if series is None:
        return None
    image = draw(series, f"{day.instrument_id}  {table.token}  {day.date}  {status}", gaps)
    told = f"{table.name} of {day}: {series.value}, rows a minute, latency"
    return f"![{told}](data:image/webp;base64,{base64.b64encode(image).decode()})"


# ---------------------------------------------------------------- the picture

_WIDTH: Final = 3 * BUCKETS + 92
_LEFT: Final = 76
_HEAD: Final = 44
_FOOT: Final = 22
_BETWEEN: Final = 20
_PANELS: Final = (("value", 170), ("rows a minute", 62), ("latency, ms", 62))
_METHOD: Final = 2
_EFFORT: Final = 25
"""Of WebP's encoder; more takes longer and saves nothing."""
_PAPER: Final = (255, 255, 255)
_INK: Final = (38, 43, 51)
_FAINT: Final = (226, 229, 233)
_LINE: Final = (0, 84, 147)
_BAND: Final = (148, 190, 224)
_LOSS: Final = (255, 216, 168)
_LOSS_EDGE: Final = (196, 98, 0)
_QUIET: Final = (236, 238, 241)


def draw(series: DaySeries, title: str, gaps: Sequence[Gap]) -> bytes:
    """The chart as a WebP without loss, of about 4 kB, as Dagster keeps it for each day: half of a PNG.

    Gaps as in a verdict: losses orange with a mark above, silences grey.
    """

    from PIL import Image, ImageDraw, ImageFont

    height = _HEAD + sum(panel + _BETWEEN for _, panel in _PANELS) + _FOOT - _BETWEEN
    image = Image.new("RGB", (_WIDTH, height), _PAPER)
    pen = ImageDraw.Draw(image)
    pen.fontmode = "1"  # letters of one colour: shades would take a third of the bytes
    sheet = _Sheet(pen, ImageFont.load_default(12), series)
    sheet.text(8, 6, title + series.told_span)
    top = _HEAD
    for number, (name, panel) in enumerate(_PANELS):
        sheet.gaps(gaps, top, panel)
        sheet.panel(series.value if number == 0 else name, top, panel, _curves(series, number))
        top += panel + _BETWEEN
    sheet.clock(top - _BETWEEN + 4)
    out = BytesIO()
    image.save(out, "WEBP", lossless=True, method=_METHOD, quality=_EFFORT)
    return out.getvalue()


def _curves(series: DaySeries, number: int) -> tuple[Floats, Floats, Floats]:
    """(lower edge of the band, upper edge, line) of a panel."""
    if number == 0:
        return series.low, series.high, series.last
    if number == 1:
        rates = np.where(series.rows > 0, series.rates, np.nan)
        return np.where(series.rows > 0, 0.0, np.nan), rates, rates
    return series.latency_low, series.latency_high, series.latency_mean


class _Sheet:
    """What is drawn on: knows where a time lies."""

    def __init__(self, draw: "ImageDraw", font: "FreeTypeFont | ImageFont", series: DaySeries) -> None:
        self._draw, self._font, self._series = draw, font, series
        self._step = (_WIDTH - _LEFT - 16) / len(series.rows)

    def text(self, x: float, y: float, text: str, *, right: bool = False) -> None:
        self._draw.text((x, y), text, fill=_INK, font=self._font, anchor="ra" if right else "la")

    def _x(self, ns: int) -> float:
        inside = min(max(ns, self._series.start), self._series.end) - self._series.start
        return _LEFT + inside / (self._series.end - self._series.start) * self._step * len(self._series.rows)

    def gaps(self, gaps: Sequence[Gap], top: int, panel: int) -> None:
        inside = [gap for gap in gaps if gap.end > self._series.start and gap.start < self._series.end]
        for x, right in _merged(self._span(gap) for gap in inside if not gap.cause.is_loss):
            self._draw.rectangle((x, top, right, top + panel), fill=_QUIET)
        for x, right in (self._span(gap) for gap in inside if gap.cause.is_loss):
            self._draw.rectangle((x, top, right, top + panel), fill=_LOSS)
            middle = (x + right) / 2
            self._draw.polygon([(middle - 4, top - 6), (middle + 4, top - 6), (middle, top)], fill=_LOSS_EDGE)

    def _span(self, gap: Gap) -> tuple[float, float]:
        x = self._x(gap.start)
        return x, max(self._x(gap.end), x + 2)

    def panel(self, name: str, top: int, panel: int, curves: tuple[Floats, Floats, Floats]) -> None:
        low, high, line = curves
        bottom, ceiling = float(np.nanmin(low)), float(np.nanmax(high))
        if bottom == ceiling:
            room = abs(bottom) * 1e-3 or 1.0
            bottom, ceiling = bottom - room, ceiling + room
        decimals = _decimals(bottom, ceiling)
        for share in (0.0, 0.5, 1.0):
            y = top + panel - share * panel
            self._draw.line((_LEFT, y, _WIDTH - 16, y), fill=_FAINT)
            self.text(_LEFT - 6, y - 7, f"{bottom + share * (ceiling - bottom):,.{decimals}f}", right=True)
        self.text(_LEFT + 4, top - 16, name)

        def y_of(value: float) -> float:
            return top + panel - (value - bottom) / (ceiling - bottom) * panel

        before: tuple[float, float] | None = None
        for number in range(len(line)):
            if np.isnan(line[number]):
                before = None
                continue
            x = _LEFT + number * self._step
            upper, lower = y_of(float(high[number])), y_of(float(low[number]))
            self._draw.rectangle((x, upper, x + self._step - 1, max(lower, upper + 1)), fill=_BAND)
            here = (x + self._step / 2, y_of(float(line[number])))
            self._draw.line((*(before or (here[0] - 1, here[1])), *here), fill=_LINE, width=2)
            before = here

    def clock(self, y: float) -> None:
        span = self._series.end - self._series.start
        seconds = ":00" if span % (4 * _NS_PER_MINUTE) == 0 else "always"
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):
            ns = self._series.start + int(span * share)
            told = datetime.fromtimestamp(ns // NS_PER_SECOND, UTC).strftime("%H:%M:%S").removesuffix(seconds)
            told = told.replace("00:00", "24:00", 1) if share == 1.0 and told.startswith("00:00") else told
            x = _LEFT + share * self._step * len(self._series.rows)
            anchor = "la" if share == 0 else "ra" if share == 1 else "ma"
            self._draw.text((x, y), f"{told} UTC" if share == 0 else told, fill=_INK, font=self._font, anchor=anchor)


def _merged(spans: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Spans that touch are one: a quiet market has a thousand of them."""
    found: list[tuple[float, float]] = []
    for x, right in sorted(spans):
        if found and x <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], right)
        else:
            found.append((x, right))
    return found


def _decimals(low: float, high: float) -> int:
    """Decimals that tell three labels apart."""
    return int(min(max(np.ceil(2 - np.log10(max(high - low, 1e-12))), 0), 10))
