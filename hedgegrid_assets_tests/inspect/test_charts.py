"""The chart of a day: its numbers, its picture, its size, and what drawing it costs."""

import base64
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from hedgegrid_assets.inspect.charts import BUCKETS, chart_markdown, day_series, draw
from hedgegrid_assets.model import Cause, Gap, InstrumentDay
from hedgegrid_assets.stages.frames import FrameWriter, Precisions, arrow_schema, frame_schema
from hedgegrid_assets.store import Places
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets.timestamps import day_start

DAY = InstrumentDay("BTCUSDT-PERP.SIM", date(2024, 1, 1))
START = day_start(DAY.date)
TRADES = TABLES["trade_tick"]
MOST_BYTES = 20_000


def stored(tmp_path: Path, times: np.ndarray, *, group: int = 65_536) -> Places:
    """A frame of trades at these times, prices 100.00, 100.01, ..., each 20 ms after its exchange time."""
    places = Places(tmp_path / "data", tmp_path / "catalog")
    path = places.frame(DAY.instrument_id, TRADES.folder, DAY.date).local()
    path.parent.mkdir(parents=True)
    count, precisions = len(times), Precisions(2, 3, 8)
    schema = frame_schema(TRADES, precisions)
    columns = {
        "ts_event": pl.Series(times - 20_000_000),
        "ts_init": pl.Series(times),
        "price": pl.int_range(10_000, 10_000 + count, eager=True).cast(schema["price"]) / 100,
        "size": pl.repeat(1, count, eager=True),
        "aggressor_side": pl.repeat("BUYER", count, eager=True),
        "trade_id": pl.int_range(count, eager=True).cast(pl.String),
        "first_trade_id": pl.repeat(None, count, dtype=pl.Int64, eager=True),
        "last_trade_id": pl.repeat(None, count, dtype=pl.Int64, eager=True),
        "raw_row": pl.int_range(count, eager=True),
    }
    frame = pl.DataFrame(columns).cast(schema)
    writer = FrameWriter(path, DAY.instrument_id, TRADES, arrow_schema(TRADES, precisions, {}))
    for start in range(0, count, group):
        writer.write(frame[start : start + group])
    writer.close()
    return places


def frame_of(places: Places) -> Path:
    return places.frame(DAY.instrument_id, TRADES.folder, DAY.date).local()


def every(seconds: float, count: int, begin: float = 0) -> np.ndarray:
    return START + ((begin + np.arange(count) * seconds) * 1e9).astype(np.int64)


def test_a_whole_day_is_cut_into_five_minutes(tmp_path: Path) -> None:
    series = day_series(frame_of(stored(tmp_path, every(60, 1_440))), TRADES, DAY)
    assert series is not None
    assert (series.minutes, len(series.rows), series.end - series.start) == (5, BUCKETS, 86_400 * 10**9)
    assert series.rows.tolist() == [5] * BUCKETS
    assert (series.low[0], series.high[0], series.last[0]) == (100.0, 100.04, 100.04)
    assert series.latency_mean.tolist() == pytest.approx([20.0] * BUCKETS)


@pytest.mark.slow
def test_the_cut_into_row_groups_changes_nothing(tmp_path: Path) -> None:
    times = every(17, 5_000)
    whole = day_series(frame_of(stored(tmp_path / "a", times)), TRADES, DAY)
    pieces = day_series(frame_of(stored(tmp_path / "b", times, group=7)), TRADES, DAY)
    assert whole is not None
    assert pieces is not None
    for name in ("low", "high", "last", "rows", "latency_mean"):
        np.testing.assert_allclose(getattr(whole, name), getattr(pieces, name))


def test_a_short_recording_is_shown_by_itself(tmp_path: Path) -> None:
    series = day_series(frame_of(stored(tmp_path, every(1, 200, begin=3_630))), TRADES, DAY)
    assert series is not None
    assert ((series.start - START) / 6e10, (series.end - START) / 6e10) == (60, 64)
    assert series.told_span == "  (4 of 1,440 minutes shown)"


def test_a_frame_without_rows_of_its_day_has_no_chart(tmp_path: Path) -> None:
    assert day_series(frame_of(stored(tmp_path / "a", every(1, 0))), TRADES, DAY) is None
    other = stored(tmp_path / "b", every(60, 1_000) + 3 * 86_400 * 10**9)
    assert day_series(frame_of(other), TRADES, DAY) is None


@pytest.mark.parametrize("count", [1, 2, 20_000])
def test_the_picture_is_a_small_webp(tmp_path: Path, count: int) -> None:
    series = day_series(frame_of(stored(tmp_path, every(86_000 / count, count))), TRADES, DAY)
    assert series is not None
    picture = draw(series, "one day", [])
    assert (picture[:4], picture[8:12]) == (b"RIFF", b"WEBP")
    assert len(picture) <= MOST_BYTES


def test_the_noisiest_day_stays_below_the_limit(tmp_path: Path) -> None:
    series = day_series(frame_of(stored(tmp_path, every(4, 21_000))), TRADES, DAY)
    assert series is not None
    random = np.random.default_rng(1)
    series.low[:], series.high[:], series.last[:] = (random.normal(100, 20, BUCKETS) + shift for shift in (-9, 9, 0))
    series.latency_low[:], series.latency_high[:] = random.normal(0, 9, BUCKETS), random.normal(50, 9, BUCKETS)
    gaps = [Gap(START + n * 10**12, START + n * 10**12 + 10**11, 0, Cause.UNKNOWN, 100.0) for n in range(80)]
    assert len(draw(series, "noise", gaps)) <= MOST_BYTES


def test_gaps_are_shaded_losses_otherwise_than_silences(tmp_path: Path) -> None:
    from io import BytesIO

    from PIL import Image

    series = day_series(frame_of(stored(tmp_path, every(60, 1_440))), TRADES, DAY)
    assert series is not None

    def colour(*causes: str) -> tuple[int, ...]:
        gaps = [
            Gap(START + 12 * 3_600 * 10**9, START + 14 * 3_600 * 10**9, 0, Cause(cause), 7_200.0) for cause in causes
        ]
        pixels = Image.open(BytesIO(draw(series, "", gaps))).convert("RGB")
        found = pixels.getpixel((int(76 + (pixels.width - 92) * 13 / 24), 60))
        assert isinstance(found, tuple)
        return found

    nothing, loss, quiet = colour(), colour("unknown"), colour("quiet")
    assert len({nothing, loss, quiet}) == 3
    assert loss[0] - loss[2] > 50


def test_the_markdown_holds_the_picture_itself(tmp_path: Path) -> None:
    places = stored(tmp_path, every(60, 1_440))
    told = chart_markdown(places, DAY, TRADES, "complete", [])
    assert told is not None
    assert told.startswith("![trade_tick of BTCUSDT-PERP.SIM 2024-01-01")
    assert base64.b64decode(told.partition("base64,")[2][:-1]).startswith(b"RIFF")
    assert chart_markdown(Places(tmp_path, tmp_path / "none"), DAY, TRADES, "complete", []) is None


def test_importing_the_module_imports_neither_pillow_nor_pandas() -> None:
    code = (
        "import sys, hedgegrid_assets.inspect.charts; sys.exit(bool({'PIL', 'pandas', 'dagster'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_two_million_trades_are_drawn_within_the_budget(tmp_path: Path) -> None:
    places = stored(tmp_path, every(0.0432, 2_000_000))
    chart_markdown(places, DAY, TRADES, "complete", [])  # Pillow and the threads of Polars are there now
    started = time.process_time()
    chart_markdown(places, DAY, TRADES, "complete", [])
    assert time.process_time() - started < 1.5  # 0.15 s is usual; machines that are busy take several times as long
