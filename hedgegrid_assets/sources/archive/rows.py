"""Rows of archive files: which day each line belongs to, and the exact values in it.

A dialect (``layouts``) says where the columns stand; cells are plain text, times are numbers of any unit, each by its
own size.
"""

import logging
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import polars as pl
from msgspec import Struct

from hedgegrid_assets.batch import Batch, Block, Decoded, Placed
from hedgegrid_assets.model import Channel, Field
from hedgegrid_assets.sources.archive.layouts import ArchiveDialect
from hedgegrid_assets.sources.formats import csv_cells as cells
from hedgegrid_assets.sources.formats.decimals import decimals_of, exact_decimal, most_decimals, usual
from hedgegrid_assets.sources.formats.digits import Short, short_decimals
from hedgegrid_assets.sources.formats.lines import FAULTS_SCHEMA, PLACED_SCHEMA, RAW_SHOWN, REJECTS_SCHEMA, numbered
from hedgegrid_assets.tables.trade_tick import AGGRESSOR_SIDES
from hedgegrid_assets.timestamps import NS_PER_SECOND, RANGES, nanoseconds

_log: Final = logging.getLogger(__name__)

SIDES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("buy", "Buy", "BUY"), "BUYER"),
    **dict.fromkeys(("sell", "Sell", "SELL"), "SELLER"),
    **dict.fromkeys(("true", "True", "TRUE", "1"), "SELLER"),
    **dict.fromkeys(("false", "False", "FALSE", "0"), "BUYER"),
}
"""What stands in a column of sides, or of is_buyer_maker -> the taker's side."""
_SECONDS: Final = r"^[0-9]{1,11}\.[0-9]{1,9}$"
_WRITTEN: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$"
_VALUE_SHOWN: Final = 200


class ArchiveReader(Struct, frozen=True):
    """Reads files of one layout; ``rows``: they are wanted, ``placing``: it is wanted where the lines belong."""

    channel: Channel
    dialect: ArchiveDialect
    rows: bool
    placing: bool

    def read(self, block: Block) -> Batch:
        """See ``Reader``."""
        keys = [
            field.key
            for field in self.channel.fields
            if (self.rows or field.kind == "decimal") and field.key in self.dialect.columns
        ]
        found = _placed(block, self.dialect, keys)
        short = _short(found, self.dialect, self.channel)
        placed = _places(found, block, self.dialect, self.channel, short) if self.placing else None
        rows = {self.channel.name: _decode(found, block, self.dialect, self.channel, short)} if self.rows else {}
        return Batch(block.lines, placed, rows)


def times_of(texts: pl.Series) -> pl.Series:
    """Nanoseconds since 1970 (Int64) of whole numbers of any unit, each by its own size, or of seconds with a fraction, or
    of ``2024-01-02 00:05:00``.
    """
    whole = texts.cast(pl.Int64, strict=False)
    ns = whole.to_frame("t").select(nanoseconds(pl.col("t")))["t"]
    if not whole.null_count():
        return ns
    with_fraction = texts.str.contains(_SECONDS)
    seconds = pl.select(pl.when(with_fraction).then(texts).alias("t"))["t"].cast(pl.Decimal(38, 9))
    exact = seconds.to_frame("t").select(t=(pl.col("t") * NS_PER_SECOND).cast(pl.Int64, strict=False))
    written = pl.select(pl.when(texts.str.contains(_WRITTEN)).then(texts).alias("t"))["t"]
    calendar = written.str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="ns", strict=False).cast(pl.Int64)
    return exact.with_columns(whole=ns, calendar=calendar).select(pl.coalesce("whole", "t", "calendar").alias("t"))["t"]


# ---------------------------------------------------------------- placing


def _placed(block: Block, dialect: ArchiveDialect, keys: list[str]) -> pl.DataFrame:
    """``line, ts, symbol, reason`` of every line but headers, and the cells of these keys; blank lines have ``blank``."""
    columns, names = dialect.columns, dialect.names
    wanted = [columns[key] for key in (*keys, "time", "symbol") if key in columns]
    found = cells.read(block, len(names), ",", wanted)
    time = cells.name(columns["time"])
    frame = found.frame
    if dialect.header_lines:  # some are in another encoding; and what was laid end to end has several
        is_header = (pl.col("line") < dialect.header_lines) | (pl.col(time) == names[columns["time"]])
        frame = frame.filter(~is_header)
        found.broken = {line: why for line, why in found.broken.items() if line >= dialect.header_lines}
    symbol = pl.col(cells.name(columns["symbol"])) if "symbol" in columns else pl.lit(dialect.symbol)
    frame = frame.with_columns(
        (times_of(frame[time]) + dialect.label_seconds * NS_PER_SECOND).alias("ts"), symbol.alias("symbol")
    )
    _tell_units(frame[time], dialect.file)
    lost = frame["ts"].is_null()
    if not lost.any() and not found.broken:
        return frame.with_columns(reason=pl.lit(None, pl.String), blank=pl.lit(value=False))
    broken = pl.DataFrame(
        {"line": list(found.broken), "told": list(found.broken.values())},
        schema={"line": pl.UInt32, "told": pl.String},
    )
    frame = frame.join(broken, on="line", how="left", maintain_order="left")
    texts = cells.texts_of(block, frame.filter(lost)["line"])
    blank = pl.Series("line", [not text.strip() for text in texts], dtype=pl.Boolean)
    blank_lines = frame.filter(lost)["line"].filter(blank)
    frame = frame.with_columns(
        reason=pl.coalesce("told", pl.when(pl.col("ts").is_null()).then(pl.lit("unknown_time"))),
        blank=pl.col("line").is_in(blank_lines.implode()) & pl.col("told").is_null(),
    ).drop("told")
    if block.cut and len(frame):
        is_last = pl.col("line") == block.first_line + block.data.count(b"\n")
        is_cut = is_last & (pl.col("reason").is_not_null() | pl.lit(block.truncated))
        frame = frame.with_columns(reason=pl.when(is_cut).then(pl.lit("truncated_tail")).otherwise("reason"))
    return frame


def _tell_units(texts: pl.Series, file: str) -> None:
    """Whole numbers of one unit have as many digits, for centuries."""
    lengths = texts.str.len_bytes()
    if lengths.min() != lengths.max() and not texts.str.contains(".", literal=True).any():
        units = {
            unit
            for unit, (first, last) in RANGES.items()
            if texts.cast(pl.Int64, strict=False).is_between(first, last).any()
        }
        if len(units) > 1:
            _tell(file, ", ".join(sorted(units)))


@cache
def _tell(file: str, units: str) -> None:
    """Once a file."""
    _log.warning("%s has times of several units (%s): each is read by its own size", file, units)


def _places(
    placed: pl.DataFrame, block: Block, dialect: ArchiveDialect, channel: Channel, short: Mapping[str, Short]
) -> Placed:
    blank = int(placed["blank"].sum())
    rows = placed.filter(~pl.col("blank")) if blank else placed
    is_good = rows["reason"].is_null()
    bad = cells.texts_of(block, rows.filter(~is_good)["line"])
    lines = rows.select(
        "line",
        channel=pl.lit(channel.name),
        symbol=pl.col("symbol"),
        ts_init=pl.col("ts"),
        reason=pl.col("reason"),
        raw=pl.lit(None, pl.String),
    )
    if bad:
        lines = _with_lost(lines, [text[:RAW_SHOWN] for text in bad])
    good = rows.filter(is_good)
    header = int(dialect.header_lines) if block.first_line == 0 else 0
    counts = {channel.event: len(good)} | ({"header": header} if header else {})
    return Placed(lines.cast(PLACED_SCHEMA), counts, 0, blank, len(bad), _decimals(good, dialect, channel, short))


def _with_lost(lines: pl.DataFrame, texts: list[str]) -> pl.DataFrame:
    """Lines with no place have none of channel, symbol and time, but their text."""
    lost = pl.col("reason").is_not_null()
    raw = pl.Series("raw", [None], dtype=pl.String).new_from_index(0, len(lines))
    raw = raw.scatter(lines["reason"].is_not_null().arg_true(), texts)
    nothing = [pl.when(~lost).then(name).alias(name) for name in ("channel", "symbol", "ts_init")]
    return lines.with_columns(*nothing, raw)


def _decimals(
    rows: pl.DataFrame, dialect: ArchiveDialect, channel: Channel, short: Mapping[str, Short]
) -> dict[tuple[str, str, str], Any]:
    found: dict[tuple[str, str, str], Any] = {}
    if not len(rows):
        return found
    mine = rows.filter(pl.col("symbol") == dialect.symbol)
    for field in channel.fields:
        if field.kind != "decimal" or field.key not in dialect.columns or not len(mine):
            continue
        if field.key in short:
            found[channel.name, dialect.symbol, field.name] = short[field.key].seen
            continue
        texts = mine.select("line", text=cells.name(dialect.columns[field.key]))
        plain = texts["text"].str.contains(usual(field.decimals))
        if not plain.all():
            odd = texts.filter(~plain)
            exact = [exact_decimal(text, field.decimals) for text in odd["text"]]
            odd = odd.with_columns(text=pl.Series(exact, dtype=pl.String)).drop_nulls("text")
            texts = pl.concat([texts.filter(plain), odd])
        if len(texts):
            found[channel.name, dialect.symbol, field.name] = most_decimals(texts["text"], texts["line"])
    return found


def _short(placed: pl.DataFrame, dialect: ArchiveDialect, channel: Channel) -> dict[str, Short]:
    """Columns (by key) of which each text is a short, plain decimal; none where a line has no place, or another symbol."""
    if "symbol" in dialect.columns or placed["reason"].null_count() < len(placed):
        return {}
    found = {
        field.key: short_decimals(placed[cells.name(dialect.columns[field.key])], field.decimals)
        for field in channel.fields
        if field.kind == "decimal" and field.key in dialect.columns
    }
    return {key: short for key, short in found.items() if short is not None and short.plain.all()}


# ---------------------------------------------------------------- decoding


def _decode(
    placed: pl.DataFrame, block: Block, dialect: ArchiveDialect, channel: Channel, short: Mapping[str, Short]
) -> Decoded:
    rows = placed.filter(pl.col("reason").is_null())
    wrong = _Wrong(rows)
    if "symbol" in dialect.columns:
        wrong.mark(rows["symbol"] != dialect.symbol, "wrong_type", "symbol", rows["symbol"])
    wrong.mark(rows[cells.EXTRA] != "", "wrong_type", "row", rows[cells.EXTRA])
    values = {
        field.name: _value(field, rows, dialect.columns, wrong, short)
        for field in channel.fields
        if field.name not in {"ts_event", "symbol"}
    }
    frame = pl.DataFrame({"raw_row": rows["line"], "ts_event": rows["ts"], "ts_init": rows["ts"]} | values)
    nothing = pl.DataFrame(schema=FAULTS_SCHEMA)
    if wrong.reason is None:
        return Decoded(numbered(frame), pl.DataFrame(schema=REJECTS_SCHEMA), faults=nothing)
    told = frame.with_columns(wrong.reason, wrong.field, wrong.value.str.head(_VALUE_SHOWN))
    bad = told.filter(pl.col("reason").is_not_null())
    raw = [text[:RAW_SHOWN] for text in cells.texts_of(block, bad["raw_row"])]
    rejects = bad.with_columns(raw=pl.Series(raw, dtype=pl.String)).select(REJECTS_SCHEMA.names())
    good = told.filter(pl.col("reason").is_null()).drop("reason", "field", "value")
    return Decoded(numbered(good), rejects.cast(REJECTS_SCHEMA), faults=nothing)


class _Wrong:
    """The first thing that is wrong with each row of a block."""

    def __init__(self, rows: pl.DataFrame) -> None:
        self._rows = len(rows)
        self.reason: pl.Series | None = None
        self.field = self.value = pl.Series([], dtype=pl.String)

    def mark(self, is_wrong: pl.Series, reason: str, name: str, texts: pl.Series) -> None:
        """Rows that are wrong, unless they are already."""
        if not is_wrong.any():
            return
        if self.reason is None:
            nothing = pl.Series([None], dtype=pl.String).new_from_index(0, self._rows)
            self.reason, self.field, self.value = (nothing.alias(one) for one in ("reason", "field", "value"))
        fresh = is_wrong & self.reason.is_null()
        self.reason, self.field, self.value = pl.select(
            pl.when(fresh).then(pl.lit(reason)).otherwise(self.reason).alias("reason"),
            pl.when(fresh).then(pl.lit(name)).otherwise(self.field).alias("field"),
            pl.when(fresh).then(texts).otherwise(self.value).alias("value"),
        ).get_columns()


def _value(
    field: Field, rows: pl.DataFrame, columns: Mapping[str, int], wrong: _Wrong, short: Mapping[str, Short]
) -> pl.Series:
    """A column of values, null where ``wrong`` is told of them; decimals have as many digits as the finest of a block."""
    if field.key in short:
        return short[field.key].values.alias(field.name)
    texts = rows[cells.name(columns[field.key])].alias(field.name)
    if field.required:
        wrong.mark(texts == "", field.missing, field.key, texts)
    match field.kind:
        case "decimal":
            values = decimals_of(texts, field.decimals)
            wrong.mark(values.is_null() & (texts != ""), "bad_decimal", field.key, texts)
        case "integer":
            values = texts.cast(pl.Int64, strict=False)
            is_bad = values.is_null() & (texts != "")
            if is_bad.any():
                large = texts.str.contains(r"^[0-9]{19,}$")
                wrong.mark(is_bad & large, "id_too_large", field.key, texts)
                wrong.mark(is_bad & ~large, "wrong_type", field.key, texts)
        case _ if field.name == "side":
            values = texts.replace_strict(SIDES, default=None, return_dtype=AGGRESSOR_SIDES)
            wrong.mark(values.is_null(), field.missing, field.key, texts)
        case _:
            values = texts
    return values
