"""Tardis' CSV datasets ``trades``, ``derivative_ticker`` and ``quotes``: plain cells, read as text, exact.

Rules as in Nautilus' own loader, which reads doubles: here a value keeps the digits of its text. Cells are not quoted;
times are microseconds (nanoseconds where a file has them), a missing value is an empty cell.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl
from msgspec import Struct

from hedgegrid_assets.batch import Batch, Block, Decimals, Decoded, Placed
from hedgegrid_assets.dialect import Dialect
from hedgegrid_assets.errors import DataError
from hedgegrid_assets.model import Channel, Field
from hedgegrid_assets.sources.formats import tails
from hedgegrid_assets.sources.formats.decimals import most_decimals, plain_digits, usual
from hedgegrid_assets.sources.formats.digits import Short, short_decimals
from hedgegrid_assets.sources.formats.lines import (
    BOM,
    FAULTS_SCHEMA,
    PLACED_SCHEMA,
    REJECTS_SCHEMA,
    numbered,
    without_invalid,
)
from hedgegrid_assets.sources.tardis.made_ids import with_made_ids
from hedgegrid_assets.sources.tardis.names import file_symbol
from hedgegrid_assets.tables import apart
from hedgegrid_assets.timestamps import nanoseconds

_INTEGER: Final = r"^[0-9]{1,18}$|^[0-8][0-9]{18}$"
_DIGITS: Final = 18
_CELLS_TRIED: Final = 100
_EXTRA: Final = "\0extra"


class TardisDialect(Dialect, frozen=True, kw_only=True, omit_defaults=True):
    """Of a data set: what it is, and its columns. Messages, and the file of a day without data, have none of it."""

    data_type: str | None = None
    symbol: str = ""
    columns: tuple[str, ...] = ()


def dialect_of(header: bytes, channel: Channel, symbol: str) -> TardisDialect:
    """What must be known of a file to read its lines. Raises DataError if columns are missing."""
    names = header.removeprefix(BOM).decode(errors="backslashreplace").strip().split(",")
    missing = sorted({field.key for field in channel.fields} - set(names))
    if missing:
        raise DataError(
            f"Missing required columns ({channel.name} {symbol}): expected {', '.join(missing)}, found {', '.join(names)[:500]}",
            hint="this is not the data set that was asked for, or its format has changed",
            details={"missing": missing},
        )
    return TardisDialect(data_type=channel.name, symbol=symbol, columns=tuple(names))


# ---------------------------------------------------------------- cells


def _cells(block: Block, dialect: TardisDialect, wanted: Sequence[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows of a block as text, and rejects for lines that are not UTF-8.

    ``line``, the columns wanted in the order of the file, and ``_EXTRA``, the first cell too many that is not empty.
    """
    data, rejects = block.data, pl.DataFrame(schema=REJECTS_SCHEMA)
    if block.first_line == 0:
        data = data.removeprefix(BOM)
    try:
        frame = _read(data, dialect, wanted)
    except pl.exceptions.ComputeError:
        data, rejects = _without_other_bytes(block, data)
        frame = _read(data, dialect, wanted)
    frame = frame.with_columns(line=pl.col("line") + block.first_line)
    if block.first_line == 0:
        frame = frame.slice(1)
    if len(rejects):
        frame = frame.filter(~pl.col("line").is_in(rejects["raw_row"].implode()))
    return frame, rejects


def _read(data: bytes, dialect: TardisDialect, wanted: Sequence[str]) -> pl.DataFrame:
    names = [*dialect.columns, _EXTRA]
    last = dialect.columns[-1]
    places = [place for place, name in enumerate(names) if name in wanted or name in {last, _EXTRA}]
    asked = ["line", *(names[place] for place in places if names[place] != last or last in wanted)]
    if not data:
        return pl.DataFrame(schema=dict.fromkeys(asked, pl.String()) | {"line": pl.UInt32()})
    frame = pl.read_csv(
        data,
        has_header=False,
        schema=dict.fromkeys(names, pl.String()),
        columns=places,
        missing_columns="insert",
        extra_columns="ignore",  # beyond the first cell too many, in the first line
        truncate_ragged_lines=True,
        empty_string_is_null=False,
        row_index_name="line",
        quote_char=None,
    )
    if not tails.are_none(data, len(frame), len(dialect.columns), ",", frame[last]):
        frame = tails.told(frame, _EXTRA, tails.first_cells(data, len(dialect.columns), ","))
    return frame.select(asked)


def _without_other_bytes(block: Block, data: bytes) -> tuple[bytes, pl.DataFrame]:
    """The same lines, those that are not UTF-8 emptied and rejected."""
    data, told = without_invalid(data)
    rejects = [(block.first_line + number, "not_utf8", None, None, shown, None) for number, shown in told.items()]
    return data, pl.DataFrame(rejects, schema=REJECTS_SCHEMA, orient="row")


def _of_symbol(cells: pl.DataFrame, symbol: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows of a symbol, or of none; rejects for those of others, which grouped files have."""
    if not symbol or "symbol" not in cells.columns or (cells["symbol"] == symbol).all():
        return cells, pl.DataFrame(schema=REJECTS_SCHEMA)
    others = [name for name in cells["symbol"].unique() if name and file_symbol(name) != file_symbol(symbol)]
    foreign = cells.filter(pl.col("symbol").is_in(others))
    rejects = foreign.select(
        raw_row=pl.col("line"),
        reason=pl.lit("other_symbol"),
        field=pl.lit("symbol"),
        value=pl.col("symbol"),
        raw=pl.lit(None, pl.String),
        ts_init=nanoseconds(pl.col("local_timestamp").cast(pl.Int64, strict=False)),
    )
    return cells.filter(~pl.col("symbol").is_in(others)), rejects.cast(REJECTS_SCHEMA)


def _is_blank() -> pl.Expr:
    return pl.all_horizontal(pl.exclude("line") == "")


def _plain(cells: pl.DataFrame, name: str, decimals: int) -> tuple[pl.DataFrame, list[str]]:
    """Decimals with an exponent, a sign or many digits as plain digits; those that cannot be held exactly."""
    exact = plain_digits(cells[name], decimals)
    plain = {text: found for text, found in exact.items() if found is not None}
    if plain:
        cells = cells.with_columns(pl.col(name).replace(plain))
    return cells, [text for text, found in exact.items() if found is None]


# ---------------------------------------------------------------- one pass


class DatasetReader(Struct, frozen=True):
    """Reads a data set; ``rows``: they are wanted, too."""

    channel: Channel
    dialect: TardisDialect
    rows: bool
    placing: bool

    def read(self, block: Block) -> Batch:
        """See ``Reader``; every line that gives no row is a reject, but blank ones."""
        wanted = [field.key for field in self.channel.fields if self.rows or field.kind == "decimal"]
        cells, other = _cells(block, self.dialect, ["symbol", "local_timestamp", *wanted])
        ours, foreign = _of_symbol(cells, self.dialect.symbol)
        short = {field.key: short_decimals(ours[field.key], field.decimals) for field in _numbers(self.channel)}
        seen = {
            key: _most_decimals(ours[key], ours["line"]) if numbers is None else numbers.seen
            for key, numbers in short.items()
        }
        rejects = pl.concat([other, foreign]) if len(foreign) else other
        decoded = _decode(block, self.channel, ours, rejects, short, seen) if self.rows else None
        sure = None if decoded is None or decoded.odd or len(decoded.rejects) else decoded.rows
        placed = _place(block, self.dialect, self.channel, cells, other, seen, sure) if self.placing else None
        return Batch(block.lines, placed, {} if decoded is None else {self.channel.name: decoded})


def _place(
    block: Block,
    dialect: TardisDialect,
    channel: Channel,
    cells: pl.DataFrame,
    other: pl.DataFrame,
    seen: Mapping[str, Decimals | None],
    sure: pl.DataFrame | None,
) -> Placed:
    """``sure``: what all lines but blank ones gave, where all cells are spelled as usual, so that ``seen`` is true of them."""
    times = _time(cells["local_timestamp"]) if sure is None or len(sure) < len(cells) else sure["ts_init"]
    blank = 0
    if times.null_count():  # a blank line, maybe: only all of its cells tell
        cells, other = _cells(block, dialect, dialect.columns)
        rows = cells.filter(~_is_blank())
        blank = len(cells) - len(rows)
        cells, times = rows, _time(rows["local_timestamp"].str.strip_chars())
    placed = cells.select(
        "line",
        pl.lit(channel.name).alias("channel"),
        pl.lit(dialect.symbol).alias("symbol"),
        times.alias("ts_init"),
        pl.lit(None, pl.String).alias("reason"),
        pl.lit(None, pl.String).alias("raw"),
    )
    counts = {channel.event: len(cells) + len(other)} | ({"header": 1} if block.first_line == 0 else {})
    most = {
        field.name: _readable_decimals(cells, field) if sure is None else seen[field.key] for field in _numbers(channel)
    }
    decimals = {(channel.name, dialect.symbol, name): each for name, each in most.items() if each is not None}
    return Placed(placed.cast(PLACED_SCHEMA), counts, 0, blank, 0, decimals)


def _time(texts: pl.Series) -> pl.Series:
    numbers = texts.cast(pl.Int64, strict=False).alias("t")
    return numbers.to_frame().select(nanoseconds(pl.col("t")))["t"]


def _numbers(channel: Channel) -> list[Field]:
    return [field for field in channel.fields if field.kind == "decimal"]


def _most_decimals(texts: pl.Series, lines: pl.Series) -> Decimals | None:
    """Decimals of a column in the usual spelling; None where no cell is filled."""
    return most_decimals(texts, lines) if texts.str.len_bytes().max() else None


def _readable_decimals(cells: pl.DataFrame, field: Field) -> Decimals | None:
    """Decimals of the numbers of a column; None where no cell is filled."""
    name = field.key
    if not ((cells[name] == "") | cells[name].str.contains(usual(field.decimals))).all():
        plain, odd = _plain(cells, name, field.decimals)
        cells = plain.filter(~pl.col(name).is_in(odd))
    return _most_decimals(cells[name], cells["line"])


def _decode(
    block: Block,
    channel: Channel,
    cells: pl.DataFrame,
    rejects: pl.DataFrame,
    short: Mapping[str, Short | None],
    seen: Mapping[str, Decimals | None],
) -> Decoded:
    """Numbers have as many decimals as any has in the block, where all are spelled as usual."""
    odd = len(rejects)
    rows, rest = _certain(cells, channel, short, seen)
    faults = None
    if len(rest):
        slow, refused, faults, count = _decode_slowly(rest, block, channel)
        odd += count
        rows = pl.concat([rows.cast(slow.schema), slow]).sort("raw_row") if len(slow) else rows
        rejects = pl.concat([rejects, refused]).sort("raw_row")
    if channel.name == "trades":
        rows = with_made_ids(rows)
    return Decoded(numbered(rows), rejects, odd, faults)


def _certain(
    cells: pl.DataFrame,
    channel: Channel,
    short: Mapping[str, Short | None],
    seen: Mapping[str, Decimals | None],
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows whose every cell is spelled in the usual way, typed, and the other cells."""
    fields = [_usual(field, cells, short.get(field.key), seen.get(field.key)) for field in channel.fields]
    typed = (
        cells.select(
            pl.col("line").cast(pl.UInt32).alias("raw_row"),
            *(value.alias(field.name) for field, (value, _) in zip(channel.fields, fields, strict=True)),
            sure=pl.all_horizontal(pl.col(_EXTRA) == "", *(is_usual for _, is_usual in fields)),
        )
        .with_columns(ts_init=nanoseconds(pl.col("local_timestamp")), ts_event=channel.ts_event)
        .with_columns(pl.col("sure") & pl.col("ts_init").is_not_null() & pl.col("ts_event").is_not_null())
    )
    if typed["sure"].all():
        return typed.drop("sure"), cells.clear()
    return typed.filter("sure").drop("sure"), cells.filter(~typed["sure"])


def _usual(field: Field, cells: pl.DataFrame, short: Short | None, seen: Decimals | None) -> tuple[pl.Expr, pl.Expr]:
    """(typed value, whether the text is spelled as all but a few are); ``seen``: decimals of the texts that are."""
    text = pl.col(field.key)
    match field.kind:
        case "decimal" if short is not None:
            value, is_usual = pl.lit(short.values), pl.lit(short.plain)
        case "decimal":
            scale = min(seen.written, field.decimals) if seen else 0
            value = text.cast(pl.Decimal(38, scale), strict=False)
            is_usual = text.str.contains(usual(field.decimals))
        case "integer":  # as long as the first one, so that its size alone proves that all of it are digits
            length = len(next(filter(None, cells[field.key].head(_CELLS_TRIED)), ""))
            value = pl.lit(cells[field.key].cast(pl.Int64, strict=False))  # once for both
            is_usual = (text.str.len_bytes() == length) & (value >= 10 ** (length - 1)).fill_null(value=False)
            if not 0 < length <= _DIGITS:
                is_usual = pl.lit(value=False)
        case _ if field.words:
            return text, pl.any_horizontal(text == word for word in field.words)
        case _:
            return text, text != "" if field.required else pl.lit(value=True)
    return value, is_usual if field.required else is_usual | (text == "")


def _decode_slowly(
    cells: pl.DataFrame, block: Block, channel: Channel
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame, int]:
    """Rows, rejects, faults of single tables, and how many of the rows are spelled in an odd way."""
    cells = cells.filter(~_is_blank())
    odd = 0
    reason = field_of = value_of = pl.lit(None, pl.String)
    single = apart(channel)
    faults: list[pl.DataFrame] = []
    for field in reversed(channel.fields):
        value = pl.col(field.key)
        for wrong, why in _tests(cells, field):
            if field.name in single:
                said = [pl.lit(text).alias(name) for name, text in (("name", field.name), ("reason", why))]
                told = cells.filter(wrong).select(
                    pl.col("line").cast(pl.UInt32).alias("raw_row"),
                    *said,
                    pl.lit(field.key).alias("field"),
                    value=value,
                )
                faults.append(told.select(FAULTS_SCHEMA.names()))
                continue
            reason = pl.when(wrong).then(pl.lit(why)).otherwise(reason)
            field_of = pl.when(wrong).then(pl.lit(field.key)).otherwise(field_of)
            value_of = pl.when(wrong).then(value).otherwise(value_of)
        if field.kind == "decimal":
            before = cells[field.key]
            cells, _ = _plain(cells, field.key, field.decimals)
            odd += int((before != cells[field.key]).sum())
    reason = pl.when(pl.col(_EXTRA) != "").then(pl.lit("wrong_type")).otherwise(reason)
    marked = cells.select(
        pl.col("line").cast(pl.UInt32).alias("raw_row"),
        *(_typed(field) for field in channel.fields),
        reason=reason,
        field=field_of,
        value=value_of,
    ).with_columns(ts_init=nanoseconds(pl.col("local_timestamp")), ts_event=channel.ts_event)
    marked = marked.with_columns(
        reason=pl.when(pl.col("reason").is_null() & pl.any_horizontal(pl.col("ts_init", "ts_event").is_null()))
        .then(pl.lit("unknown_time"))
        .otherwise("reason")
    )
    if block.cut and len(marked):
        last = block.first_line + block.data.count(b"\n")
        tail = (pl.col("raw_row") == last) & pl.col("reason").is_not_null()
        marked = marked.with_columns(reason=pl.when(tail).then(pl.lit("truncated_tail")).otherwise("reason"))
    bad = marked.filter(pl.col("reason").is_not_null())
    rejects = bad.with_columns(raw=pl.lit(None, pl.String)).select(REJECTS_SCHEMA.names()).cast(REJECTS_SCHEMA)
    told = pl.concat([pl.DataFrame(schema=FAULTS_SCHEMA), *reversed(faults)])
    told = told.filter(~pl.col("raw_row").is_in(bad["raw_row"].implode()))
    good = marked.filter(pl.col("reason").is_null()).drop("reason", "field", "value")
    return good, rejects, told, odd + len(bad) + told["raw_row"].n_unique()


def _tests(cells: pl.DataFrame, field: Field) -> list[tuple[pl.Expr, str]]:
    """(rows that are wrong, reason), the one that counts last."""
    value = pl.col(field.key)
    tests: list[tuple[pl.Expr, str]] = []
    if field.kind == "integer":
        tests.append(((value != "") & ~value.str.contains(_INTEGER), "wrong_type"))
    if field.words:
        tests.append((~value.is_in(field.words), "wrong_type"))
    if field.kind == "decimal":
        _, bad = _plain(cells, field.key, field.decimals)
        if bad:
            tests.append((value.is_in(bad), "bad_decimal"))
    if field.required:
        tests.append((value == "", field.missing))
    return tests


def _typed(field: Field) -> pl.Expr:
    value = pl.col(field.key)
    match field.kind:
        case "decimal":
            is_usual = value.str.contains(usual(field.decimals))
            typed = pl.when(is_usual).then(value).cast(pl.Decimal(38, field.decimals), strict=False)
        case "integer":
            typed = pl.when(value.str.contains(_INTEGER)).then(value).cast(pl.Int64, strict=False)
        case _:
            typed = value
    return typed.alias(field.name)
