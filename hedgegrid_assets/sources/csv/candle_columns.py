"""The columns of a file of candles: which value, stamped when, and what its series is called."""

from pathlib import Path
from typing import NamedTuple

import polars as pl

from hedgegrid_assets.errors import CandlesRefused, MissingColumns, TimestampParsingFailed
from hedgegrid_assets.sources.csv import candles as candle_prices
from hedgegrid_assets.sources.csv.columns import NO_TRADES, WITHOUT_CANDLES, columns_to_map, what_is_named
from hedgegrid_assets.sources.csv.first_rows import FirstRows
from hedgegrid_assets.sources.csv.names import TIMESTAMP, VALUES, candle_part, found_by, squeezed
from hedgegrid_assets.sources.csv.times import format_for, ns_of, spec_of, unit_of
from hedgegrid_assets.sources.formats import csv_cells as cells


class Series(NamedTuple):
    """What is said of candles: their series, the longest usual silence, and how much later than stamped they are known."""

    name: str | None = None
    gap_seconds: float | None = None
    later_ns: int = 0


def of_candles(
    first: FirstRows, token: str, columns: dict[str, int], fmt: str | None, path: Path, *, explicit: bool
) -> tuple[dict[str, int], Series]:
    """The columns of a file of candles, and what is said of its series.

    Each value gets the last moment of its candle, when it is known at the earliest (the open: the first).
    Raises CandlesRefused where they are candles of something else, or nothing says how long they are.
    """
    value = columns.get(VALUES.get(token, ""))
    if token == "trades":
        raise MissingColumns(path, token, ["price"], first.head.names, {}, NO_TRADES, WITHOUT_CANDLES)
    if token not in candle_prices.SERIES or value is None or (which := candle_part(first.head.names[value])) is None:
        return columns, Series()
    whose = candle_prices.whose(path)
    if whose not in (None, token):
        raise CandlesRefused(path, token, columns_to_map(first.head), what_is_named(whose))
    if not explicit and _has_volume(first):
        raise CandlesRefused(path, token, columns_to_map(first.head), "they have a volume: these are candles of trades")
    closing = candle_prices.close_time_of(first.head.names)
    opening = next((n for n in (columns[TIMESTAMP], *found_by(TIMESTAMP, first.head.names)) if n != closing), None)
    opened, unit = _ns_of(first, opening if opening is not None else closing, fmt, path)
    closed = _ns_of(first, closing, fmt, path)[0] if closing is not None and opening is not None else None
    length = candle_prices.interval_of(opened, closed, path)
    if isinstance(length, str):
        raise CandlesRefused(path, token, columns_to_map(first.head), length)
    series = f"csv/{candle_prices.SERIES[token]}-{candle_prices.name_of(length)}"
    later = 0
    if which == "open":
        series += ".open"
        columns = columns | ({} if opening is None else {TIMESTAMP: opening})
    elif closing is not None:
        columns = columns | {TIMESTAMP: closing}
    else:
        later = candle_prices.until_known(length, unit)
    if which not in ("open", "close"):
        series += f".{which}"
    column = first.head.names[columns[TIMESTAMP]]
    after = f"{later / 10**9:,.9g} s after {column}, the opening of its candle" if later else f"its {column}"
    first.head.notes.append(f"candles of {candle_prices.name_of(length)}: each {which} is stamped {after}")
    return columns, Series(series, float(3 * length), later)


def _ns_of(first: FirstRows, place: int | None, fmt: str | None, path: Path) -> tuple[pl.Series, str | None]:
    """Times of a column in ns, row by row, and its unit."""
    assert place is not None
    read = first.read([place]).frame
    texts = read.filter(pl.col("line") >= first.head.lines)[cells.name(place)]
    spec, bad = spec_of(texts.filter(texts != ""), fmt)
    if spec is None:
        spec, bad = spec_of(texts.filter(texts != ""), None)
    if spec is None:
        text = texts.filter(texts != "")[bad or 0]
        raise TimestampParsingFailed(
            path, first.head.lines + 1 + (bad or 0), first.head.names[place], text, fmt, format_for(text)
        )
    return ns_of(texts, spec), unit_of(texts, spec)


def _has_volume(first: FirstRows) -> bool:
    places = [place for place, name in enumerate(first.head.names) if squeezed(name).startswith("vol")]
    return any(first.column(place)["text"].str.contains("[1-9]").any() for place in places)
