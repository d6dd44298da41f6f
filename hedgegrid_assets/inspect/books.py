"""What the book of a day was like from bucket to bucket: best prices, spread, and what its best levels hold."""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from hedgegrid_assets.model import Table
from hedgegrid_assets.stages.frames import read_blocks
from hedgegrid_assets.store import AnyFile
from hedgegrid_assets.tables.rules.book import TOP, Agreement
from hedgegrid_assets.tables.rules.levels import NO_ASK, NO_BID, Levels, Played

type Floats = npt.NDArray[np.float64]

_COLUMNS: Final = ("ts_init", "action", "side", "price", "size", "flags")


class Curves(NamedTuple):
    """A panel of a chart: NaN where a bucket has nothing."""

    word: str
    low: Floats
    high: Floats
    line: Floats


def book_curves(path: AnyFile, table: Table, start: int, width: int, buckets: int) -> list[Curves]:
    """Lowest bid, highest ask and last middle; spread; size of the 25 best levels of both sides at the end of a bucket.

    Where a snapshot came behind another, also how much of each the book before it had.
    """
    whole = pl.concat(_events(path, table, start, width)).filter(pl.col("bucket").is_between(0, buckets - 1))
    spread = pl.col("ask") - pl.col("bid")
    found = whole.group_by("bucket", maintain_order=True).agg(
        low=pl.col("bid").min(),
        high=pl.col("ask").max(),
        line=((pl.col("bid") + pl.col("ask")) / 2).last(),
        narrowest=spread.min(),
        widest=spread.max(),
        median=spread.median(),
        thinnest=pl.col("depth").min(),
        deepest=pl.col("depth").max(),
        depth=pl.col("depth").drop_nulls().last(),
        worst=pl.col("agreeing").min(),
        best=pl.col("agreeing").max(),
        agreeing=pl.col("agreeing").drop_nulls().last(),
    )
    at = found["bucket"].to_numpy()

    def full(name: str) -> Floats:
        curve: Floats = np.full(buckets, np.nan)
        curve[at] = found[name].cast(pl.Float64).to_numpy()
        return curve

    curves = [
        Curves("best bid and ask", full("low"), full("high"), full("line")),
        Curves("spread", full("narrowest"), full("widest"), full("median")),
        Curves(f"size of the {TOP} best levels of both sides", full("thinnest"), full("deepest"), full("depth")),
        Curves(
            f"of the {TOP} best levels a side of a new snapshot, % that the book had",
            full("worst"),
            full("best"),
            full("agreeing"),
        ),
    ]
    return curves if found["agreeing"].drop_nulls().len() else curves[:-1]


def _events(path: AnyFile, table: Table, start: int, width: int) -> Iterator[pl.DataFrame]:
    """``bucket, bid, ask`` after each event of a book with both sides, and ``depth`` after the last of a bucket.

    ``agreeing``: where the event is a snapshot behind another one.
    """
    levels, agreement = Levels.none(), Agreement()
    for block in read_blocks(path, table, _COLUMNS):
        played = Played(levels, block)
        levels = played.left()
        units = [10.0 ** -_scale(block, name) for name in ("price", "size")]
        both = (played.bids != NO_BID) & (played.asks != NO_ASK)
        ends = played.ends[both]
        buckets = (block["ts_init"].to_numpy()[ends] - start) // width
        depth = np.full(len(ends), np.nan)
        for last in np.flatnonzero(np.diff(buckets, append=-1)):
            best = played.before(int(ends[last]) + 1).best(TOP)
            depth[last] = sum(size for _, _, size in best) * units[1]
        agreeing = np.full(len(ends), np.nan)
        for end, share in agreement.of(played):
            agreeing[ends == end] = 100 * share
        bids, asks = played.bids[both] * units[0], played.asks[both] * units[0]
        found = pl.DataFrame({"bucket": buckets, "bid": bids, "ask": asks, "depth": depth, "agreeing": agreeing})
        yield found.with_columns(pl.col("depth", "agreeing").fill_nan(None))


def _scale(block: pl.DataFrame, name: str) -> int:
    kind = block.schema[name]
    return kind.scale if isinstance(kind, pl.Decimal) else 0
