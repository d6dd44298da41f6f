"""The exact values of a CSV file's rows: texts become typed columns, or rejects and faults."""

from collections.abc import Callable, Mapping
from typing import Final

import polars as pl

from hedgegrid_assets.batch import Block, Decoded
from hedgegrid_assets.model import Channel
from hedgegrid_assets.sources.csv.dialect import CsvView
from hedgegrid_assets.sources.csv.sides import FLAGS, MAKER_FLAGS, SIDES
from hedgegrid_assets.sources.csv.times import lacking_digits, ns_of
from hedgegrid_assets.sources.formats import csv_cells as cells
from hedgegrid_assets.sources.formats.decimals import decimals_of
from hedgegrid_assets.sources.formats.lines import FAULTS_SCHEMA, RAW_SHOWN, REJECTS_SCHEMA, numbered
from hedgegrid_assets.tables import A_NUMBER
from hedgegrid_assets.tables.funding_rate_update import RATE_DECIMALS
from hedgegrid_assets.tables.quote_tick import QUOTED
from hedgegrid_assets.tables.trade_tick import AGGRESSOR_SIDES

_VALUE_SHOWN: Final = 200


def no_values(channel: Channel) -> Decoded:
    """What a file gives to a channel that it has no columns for."""
    return Decoded(pl.DataFrame(schema=_schema(channel)), pl.DataFrame(schema=REJECTS_SCHEMA))


def values_of(rows: pl.DataFrame, block: Block, channel: Channel, view: CsvView) -> Decoded:
    """The rows of one channel, typed: those of a block that have a place (see ``placing``)."""
    work = _Work(rows, view)
    work.refuse("wrong_type", "row", rows[cells.EXTRA], rows[cells.EXTRA] != "")
    _READERS[channel.name](work)
    frame = numbered(
        pl.DataFrame({"raw_row": rows["line"], "ts_event": rows["ts_event"], "ts_init": rows["ts_init"]} | work.values)
    )
    if work.reason is None:
        return Decoded(frame, pl.DataFrame(schema=REJECTS_SCHEMA), faults=work.faults())
    told = frame.with_columns(work.told())
    bad = told.filter(pl.col("reason").is_not_null())
    rejects = bad.select(
        "raw_row",
        "reason",
        "field",
        pl.col("value").str.head(_VALUE_SHOWN),
        pl.Series("raw", [text[:RAW_SHOWN] for text in cells.texts_of(block, bad["raw_row"])], dtype=pl.String),
        "ts_init",
    )
    good = told.filter(pl.col("reason").is_null()).drop("reason", "field", "value")
    return Decoded(good, rejects.cast(REJECTS_SCHEMA), faults=work.faults(bad["raw_row"]))


class _Work:
    """The texts of a block on their way to typed columns; remembers the first thing wrong with each row."""

    def __init__(self, rows: pl.DataFrame, view: CsvView) -> None:
        self.rows, self.columns, self.view = rows, view.columns, view
        self.values: dict[str, pl.Series] = {}
        self.reason: pl.Series | None = None
        self._field = self._value = pl.Series([], dtype=pl.String)
        self._faults: list[pl.DataFrame] = []

    def text(self, name: str) -> pl.Series:
        """The texts of one of our columns."""
        return self.rows[cells.name(self.columns[name])]

    def refuse(self, reason: str, name: str, texts: pl.Series, is_bad: pl.Series) -> None:
        """Reject rows, unless they are rejected already."""
        if not is_bad.any():
            return
        if self.reason is None:
            nothing = pl.Series([None], dtype=pl.String).new_from_index(0, len(self.rows))
            self.reason, self._field, self._value = nothing, nothing, nothing
        fresh = is_bad & self.reason.is_null()
        marked = pl.select(
            pl.when(fresh).then(pl.lit(reason)).otherwise(self.reason).alias("reason"),
            pl.when(fresh).then(pl.lit(name)).otherwise(self._field).alias("field"),
            pl.when(fresh).then(texts).otherwise(self._value).alias("value"),
        )
        self.reason, self._field, self._value = marked.get_columns()

    def leave_empty(self, reason: str, name: str, texts: pl.Series, is_bad: pl.Series) -> None:
        """Values of a column that may be empty, and that it cannot hold."""
        if is_bad.any():
            about = [pl.lit(name).alias("name"), pl.lit(reason).alias("reason"), pl.lit(name).alias("field")]
            found = pl.DataFrame({"raw_row": self.rows["line"], "value": texts}).filter(is_bad)
            self._faults.append(found.with_columns(about).select(FAULTS_SCHEMA.names()))

    def faults(self, but: pl.Series | None = None) -> pl.DataFrame | None:
        """What is left empty, ``but`` in some rows."""
        if not self._faults:
            return None
        found = pl.concat(self._faults).cast(FAULTS_SCHEMA)
        return found if but is None else found.filter(~pl.col("raw_row").is_in(but.implode()))

    def told(self) -> list[pl.Series]:
        """What is wrong with each row: ``reason, field, value``."""
        assert self.reason is not None
        return [self.reason.alias("reason"), self._field.alias("field"), self._value.alias("value")]

    # -- values

    def decimal(self, name: str, *, required: bool, optional: bool = False, decimals: int = 16) -> None:
        """Exact decimals; an empty cell is a reject, or no value.

        ``optional``: so is a number that the column cannot hold, which is counted.
        """
        texts = self.text(name)
        if not required:
            texts = _emptied(texts)
        values = decimals_of(texts, decimals)
        empty = texts == ""
        if required:
            self.refuse("missing_field", name, texts, empty)
        bad = values.is_null() & ~empty
        if optional:
            unheld = bad & texts.str.contains(A_NUMBER)
            self.leave_empty("bad_decimal", name, texts, unheld)
            bad &= ~unheld
        self.refuse("bad_decimal", name, texts, bad)
        self.values[name] = values

    def integer(self, name: str) -> None:
        """Whole numbers of 63 bits; an empty cell is no value."""
        texts = _emptied(self.text(name)) if name in self.columns else None
        if texts is None:
            self.values[name] = _nulls(len(self.rows), pl.Int64())
            return
        values = texts.cast(pl.Int64, strict=False)
        wrong = values.is_null() & (texts != "")
        if wrong.any():
            large = texts.str.contains(r"^[+-]?[0-9]{19,}$")
            self.leave_empty("id_too_large", name, texts, wrong & large)
            self.refuse("wrong_type", name, texts, wrong & ~large)
        self.values[name] = values


def _emptied(texts: pl.Series) -> pl.Series:
    """Every spelling of an empty cell as an empty text."""
    known = texts.filter(texts.str.contains(r"^(?i:nan|null|none|na|n/a|\\n)$")).unique().to_list()
    return texts.replace(dict.fromkeys(known, "")) if known else texts


def _nulls(count: int, dtype: pl.DataType) -> pl.Series:
    return pl.Series([None], dtype=dtype).new_from_index(0, count)


def _read_trades(work: _Work) -> None:
    work.decimal("price", required=True)
    work.decimal("size", required=True)
    if work.view.signed:
        size = work.values["size"]
        below, above = ("BUYER", "SELLER") if work.view.maker else ("SELLER", "BUYER")
        side = pl.select(pl.when(size < 0).then(pl.lit(below)).otherwise(pl.lit(above)).alias("side"))["side"]
        work.values["side"] = side.cast(AGGRESSOR_SIDES)
        work.values["size"] = pl.select(pl.when(size < 0).then(-size).otherwise(size).alias("size"))["size"].cast(
            pl.Decimal(38, 16)
        )
    elif "aggressor_side" in work.columns:
        _read_side(work, "aggressor_side", SIDES if work.view.sides is None else work.view.sides)
    elif "is_buyer_maker" in work.columns:
        _read_side(work, "is_buyer_maker", MAKER_FLAGS)
    else:
        work.values["side"] = pl.Series(["NO_AGGRESSOR"], dtype=AGGRESSOR_SIDES).new_from_index(0, len(work.rows))
    if "trade_id" in work.columns:
        ids = _emptied(work.text("trade_id"))
        work.values["id"] = pl.select(pl.when(ids != "").then(ids).alias("id"))["id"]
    else:
        work.values["id"] = _nulls(len(work.rows), pl.String())
    work.integer("first_trade_id")
    work.integer("last_trade_id")


def _read_side(work: _Work, name: str, sides: Mapping[str, str]) -> None:
    texts = work.text(name)
    known = {text: sides.get(text.lower()) for text in texts.unique()}
    side = texts.replace_strict(known, return_dtype=AGGRESSOR_SIDES) if len(texts) else texts.cast(AGGRESSOR_SIDES)
    work.refuse("missing_side", name, texts, side.is_null())
    work.values["side"] = side


def _read_price(name: str) -> Callable[[_Work], None]:
    def read(work: _Work) -> None:
        work.decimal(name, required=False)

    return read


def _read_funding(work: _Work) -> None:
    work.decimal("funding_rate", required=False, decimals=RATE_DECIMALS)
    if "predicted_funding_rate" in work.columns:
        work.decimal("predicted_funding_rate", required=False, optional=True, decimals=RATE_DECIMALS)
    else:
        work.values["predicted_funding_rate"] = _nulls(len(work.rows), pl.Decimal(38, RATE_DECIMALS))
    if "next_funding_time" in work.columns:
        texts = _emptied(work.text("next_funding_time"))
        times = ns_of(texts, work.view.times["next_funding_time"])
        lost = times.is_null() & ~texts.is_in(["", "0", "0.0"])
        if lost.any():
            work.refuse("time_rounded", "next_funding_time", texts, lost & lacking_digits(texts))
            work.refuse("unknown_time", "next_funding_time", texts, lost)
        work.values["next_funding_time"] = times
    else:
        work.values["next_funding_time"] = _nulls(len(work.rows), pl.Int64())
    work.values["interval_minutes"] = _minutes(work)
    work.values["settled"] = _settled(work)


def _settled(work: _Work) -> pl.Series:
    """Rows that are settlements, not estimates."""
    if "is_settlement" not in work.columns:
        return pl.Series([bool(work.view.settled)]).new_from_index(0, len(work.rows))
    texts = _emptied(work.text("is_settlement"))
    known = {text: FLAGS.get(text.lower()) for text in texts.unique()}
    flags = texts.replace_strict(known, return_dtype=pl.Boolean) if len(texts) else texts.cast(pl.Boolean)
    work.refuse("wrong_type", "is_settlement", texts, flags.is_null() & (texts != ""))
    return flags.fill_null(value=False)


def _minutes(work: _Work) -> pl.Series:
    """Length of the funding interval in minutes."""
    name, factor = ("interval_minutes", 1) if "interval_minutes" in work.columns else ("interval_hours", 60)
    if name not in work.columns:
        return _nulls(len(work.rows), pl.UInt16())
    texts = _emptied(work.text(name))
    minutes = decimals_of(texts) * factor
    whole = minutes.cast(pl.Int64, strict=False)
    good = whole.is_between(1, 65_535) & (whole.cast(pl.Decimal(38, 16)) == minutes)
    work.refuse("wrong_type", name, texts, ~good.fill_null(value=False) & (texts != ""))
    return pl.select(pl.when(good).then(whole).alias("m"))["m"].cast(pl.UInt16)


def _read_quotes(work: _Work) -> None:
    for name in QUOTED:
        work.decimal(name, required=False)


_READERS: Final[Mapping[str, Callable[[_Work], None]]] = {
    "trade": _read_trades,
    "aggTrade": _read_trades,
    "mark": _read_price("mark_price"),
    "index": _read_price("index_price"),
    "funding": _read_funding,
    "quotes": _read_quotes,
}
_TYPES: Final[Mapping[str, pl.DataType]] = {
    "price": pl.Decimal(38, 16),
    "size": pl.Decimal(38, 16),
    "side": AGGRESSOR_SIDES,
    "id": pl.String(),
    "first_trade_id": pl.Int64(),
    "last_trade_id": pl.Int64(),
    "mark_price": pl.Decimal(38, 16),
    "index_price": pl.Decimal(38, 16),
    "funding_rate": pl.Decimal(38, RATE_DECIMALS),
    "predicted_funding_rate": pl.Decimal(38, RATE_DECIMALS),
    "next_funding_time": pl.Int64(),
    "interval_minutes": pl.UInt16(),
    "settled": pl.Boolean(),
    **dict.fromkeys(QUOTED, pl.Decimal(38, 16)),
}


def _schema(channel: Channel) -> dict[str, pl.DataType]:
    head: dict[str, pl.DataType] = {
        "raw_row": pl.UInt32(),
        "part": pl.UInt32(),
        "ts_event": pl.Int64(),
        "ts_init": pl.Int64(),
    }
    return head | {field.name: _TYPES[field.name] for field in channel.fields if field.name in _TYPES}
