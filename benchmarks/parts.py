"""Where the time of a conversion goes: each part of the hot path alone, one after the other, on the same rows.

``python -m benchmarks.parts``: processor time for a day of 2M Tardis trades. In a real run the parts overlap, and cost a
third more, as they share caches and memory.
"""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import polars as pl

from benchmarks import DAY, INSTRUMENT, SYMBOL
from benchmarks.inputs import made
from benchmarks.measure import run
from hedgegrid_assets.model import InstrumentDay, Thresholds
from hedgegrid_assets.sources.tardis import datasets
from hedgegrid_assets.sources.tardis.channels import channels
from hedgegrid_assets.stages import catalog, digest, frames, integrity
from hedgegrid_assets.stages.raw.kept import Kept
from hedgegrid_assets.store import BlockReader, Places
from hedgegrid_assets.tables import TABLES

_BENCH: Final = Path(__file__).resolve().parent.parent / ".bench"
_TABLE: Final = TABLES["trade_tick"]
_CHANNEL: Final = channels("binance-futures")[0]
_PRECISIONS: Final = frames.Precisions(1, 3, 8)
_ROUNDS: Final = 3


class _Clock:
    """Least processor time of some rounds, part by part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def take[T](self, part: str, work: Callable[[], T]) -> T:
        result = self._timed(part, work)
        for _ in range(_ROUNDS - 1):
            self._timed(part, work)
        return result

    def _timed[T](self, part: str, work: Callable[[], T]) -> T:
        started = time.process_time()
        result = work()
        self.seconds[part] = min(time.process_time() - started, self.seconds.get(part, 1e9))
        return result


def _measured(rows: int) -> dict[str, float]:
    """Part -> processor time in s. Uses the catalog that one whole run leaves."""
    source = made("trades", rows, _BENCH / "inputs")
    run("ours_trades", source, _BENCH / "parts")
    places, day = Places(_BENCH / "parts", _BENCH / "parts" / "catalog"), InstrumentDay(INSTRUMENT, DAY)
    clock = _Clock()
    blocks = clock.take("decompress, cut into lines", lambda: list(BlockReader(source)))
    dialect = datasets.dialect_of(blocks[0].data.partition(b"\n")[0], _CHANNEL, SYMBOL)
    reader = datasets.DatasetReader(_CHANNEL, dialect, rows=True, placing=True)
    read = clock.take("split, prove and type cells; place lines", lambda: [reader.read(block) for block in blocks])

    def keep() -> None:
        kept = Kept(_BENCH, _CHANNEL)
        for batch in read:
            kept.add(batch)
        for _ in kept:  # one after the other, as they are passed on
            pass
        kept.close()

    clock.take("wait on disk between importing and normalizing", keep)
    decoded = [batch.decoded[_CHANNEL.name].rows for batch in read]
    groups = clock.take("map to the table's columns, cast, regroup", lambda: list(_groups(decoded)))
    schema = frames.arrow_schema(_TABLE, _PRECISIONS, {})

    def store() -> None:
        writer = frames.FrameWriter(_BENCH / "parts" / "frame.parquet", INSTRUMENT, TABLES["trade_tick"], schema)
        for group in groups:
            writer.write(group)
        writer.close()

    clock.take("write the frame", store)
    clock.take("rules", lambda: _given(integrity.DayRules(_TABLE, DAY, Thresholds()), groups))
    clock.take("digests", lambda: _given(digest.ContentDigest(INSTRUMENT), groups))

    def draft() -> None:
        made_of = catalog.Draft(places, day, _TABLE, _PRECISIONS)
        _given(made_of, groups)
        made_of.close()

    clock.take("write the Nautilus file", draft)
    clock.take("read it back and compare", lambda: catalog.matches_frame(places, day, _TABLE))
    return clock.seconds


def _groups(decoded: list[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    columns = [expression.alias(name) for name, expression in _CHANNEL.tables[_TABLE.name].columns.items()]
    stored = [pl.col(name).cast(kind) for name, kind in frames.frame_schema(_TABLE, _PRECISIONS).items()]
    regrouped = frames.Regrouped()
    for rows in decoded:
        yield from regrouped.add(rows.select("raw_row", "ts_event", "ts_init", *columns).select(stored))
    yield from regrouped.rest()


def _given(taker: "integrity.DayRules | digest.ContentDigest | catalog.Draft", groups: list[pl.DataFrame]) -> None:
    for group in groups:
        taker.add(group)


def table(rows: int = 2_000_000) -> list[str]:
    """The parts as lines of a Markdown table."""
    seconds = _measured(rows)
    whole = sum(seconds.values())
    lines = ["| part of a conversion, alone | CPU s | share |", "|---|---:|---:|"]
    lines += [f"| {part} | {spent:.2f} | {spent / whole:.0%} |" for part, spent in seconds.items()]
    checks = seconds["rules"] + seconds["digests"]
    return [
        *lines,
        f"| **together** | **{whole:.2f}** | rules and digests: {checks / (whole - checks):.0%} of the rest |",
    ]


if __name__ == "__main__":
    sys.stdout.write("\n".join([*table(), ""]))
