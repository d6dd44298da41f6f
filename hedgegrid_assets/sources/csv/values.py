"""The exact values of a CSV file's rows: texts become typed columns, or rejects and faults."""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import polars as pl

from hedgegrid_assets.batch import Block, Decoded
from hedgegrid_assets.model import Channel, Field
from hedgegrid_assets.sources.csv.dialect import CsvView
from hedgegrid_assets.sources.csv.names import NUMBERS
from hedgegrid_assets.sources.csv.placing import DECIMALS, Rows
from hedgegrid_assets.sources.csv.sides import FLAGS, MAKER_FLAGS, SIDES
from hedgegrid_assets.sources.csv.times import lacking_digits, ns_of
from hedgegrid_assets.sources.csv.words import replaced, words_in
from hedgegrid_assets.sources.formats import csv_cells as cells
from hedgegrid_assets.sources.formats.decimals import decimals_of
from hedgegrid_assets.sources.formats.lines import FAULTS_SCHEMA, RAW_SHOWN, REJECTS_SCHEMA, numbered
from hedgegrid_assets.tables import A_NUMBER
from hedgegrid_assets.tables.trade_tick import AGGRESSOR_SIDES

_VALUE_SHOWN: Final = 200
_LONGEST_EMPTY: Final = len("null")
"""Bytes of the longest spelling of an empty cell."""
_PLACE: Final = frozenset({"symbol", "ts_event", "ts_init"})
_DTYPES: Final[Mapping[str, pl.DataType]] = {"integer": pl.Int64(), "text": pl.String(), "flag": pl.Boolean()}


def no_values(channel: Channel) -> Decoded:
    """What a file gives to a channel that it has no columns for."""
    return Decoded(pl.DataFrame(schema=_schema(channel)), pl.DataFrame(schema=REJECTS_SCHEMA))


def values_of(placed: Rows, block: Block, channel: Channel, view: CsvView) -> Decoded:
    """The rows of one channel, typed: those of a block that have a place (see ``placing``).

    Numbers have as many decimals as any has in the block, where all are short and spelled as usual.
    """
    work = _Work(placed, view)
    rows = work.rows
    work.refuse("wrong_type", "row", rows[cells.EXTRA], rows[cells.EXTRA] != "")
    for field in _fields(channel):
        _read(work, field)
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

    def __init__(self, placed: Rows, view: CsvView) -> None:
        self.rows, self.columns, self.view = placed.good, view.columns, view
        self.short = placed.short
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

    def decimal(self, field: Field) -> None:
        """Exact decimals; an empty cell is a reject, or no value.

        A number that the column cannot hold is counted, and left empty, where no row needs it.
        """
        name = field.key
        if name not in self.columns:
            self.values[field.name] = _nulls(len(self.rows), pl.Decimal(38, field.decimals))
            return
        short = self.short(self.columns[name]) if field.decimals >= DECIMALS else None
        if short is not None:
            self.values[field.name] = short.values
            return
        texts = self.text(name) if field.required else _emptied(self.text(name))
        values = decimals_of(texts, field.decimals)
        empty = texts == ""
        if field.required:
            self.refuse(field.missing, name, texts, empty)
        bad = values.is_null() & ~empty
        if name not in NUMBERS:
            unheld = bad & texts.str.contains(A_NUMBER)
            self.leave_empty("bad_decimal", name, texts, unheld)
            bad &= ~unheld
        self.refuse("bad_decimal", name, texts, bad)
        self.values[field.name] = values

    def integer(self, field: Field) -> None:
        """Whole numbers of 63 bits; an empty cell is no value."""
        name = field.key
        if name not in self.columns:
            self.values[field.name] = _nulls(len(self.rows), pl.Int64())
            return
        texts = _emptied(self.text(name))
        values = texts.cast(pl.Int64, strict=False)
        wrong = values.is_null() & (texts != "")
        if wrong.any():
            large = texts.str.contains(r"^[+-]?[0-9]{19,}$")
            self.leave_empty("id_too_large", name, texts, wrong & large)
            self.refuse("wrong_type", name, texts, wrong & ~large)
        self.values[field.name] = values

    def words(self, field: Field) -> None:
        """A text; an empty cell is none."""
        if field.key not in self.columns:
            self.values[field.name] = _nulls(len(self.rows), pl.String())
            return
        texts = _emptied(self.text(field.key))
        filled = texts if _shortest(texts) else pl.select(pl.when(texts != "").then(texts).alias("text"))["text"]
        self.values[field.name] = filled

    def flag(self, field: Field) -> None:
        """True or false; an empty cell is neither."""
        if field.key not in self.columns:
            self.values[field.name] = _nulls(len(self.rows), pl.Boolean())
            return
        texts = _emptied(self.text(field.key))
        flags = replaced(texts, {text: FLAGS.get(text.lower()) for text in words_in(texts)}, pl.Boolean())
        self.refuse("wrong_type", field.key, texts, flags.is_null() & (texts != ""))
        self.values[field.name] = flags


def _emptied(texts: pl.Series) -> pl.Series:
    """Every spelling of an empty cell as an empty text."""
    if _shortest(texts) > _LONGEST_EMPTY:
        return texts
    known = texts.filter(texts.str.contains(r"^(?i:nan|null|none|na|n/a|\\n)$")).unique().to_list()
    return texts.replace(dict.fromkeys(known, "")) if known else texts


def _shortest(texts: pl.Series) -> int:
    return int(str(texts.str.len_bytes().min() or 0))


def _nulls(count: int, dtype: pl.DataType) -> pl.Series:
    return pl.Series([None], dtype=dtype).new_from_index(0, count)


# ---------------------------------------------------------------- fields that are not read as all of their kind are


def _read_side(work: _Work, field: Field) -> None:
    """The sign of the size, a column of sides, or of who was the maker."""
    if work.view.signed:
        size = work.values["size"]
        below, above = ("BUYER", "SELLER") if work.view.maker else ("SELLER", "BUYER")
        side = pl.select(pl.when(size < 0).then(pl.lit(below)).otherwise(pl.lit(above)).alias("side"))["side"]
        work.values["size"] = pl.select(pl.when(size < 0).then(-size).otherwise(size).alias("size"))["size"].cast(
            pl.Decimal(38, 16)
        )
        work.values[field.name] = side.cast(AGGRESSOR_SIDES)
    elif field.key in work.columns:
        _read_words(work, field, field.key, SIDES if work.view.sides is None else work.view.sides)
    elif "is_buyer_maker" in work.columns:
        _read_words(work, field, "is_buyer_maker", MAKER_FLAGS)
    else:
        nobody = pl.Series(["NO_AGGRESSOR"], dtype=AGGRESSOR_SIDES)
        work.values[field.name] = nobody.new_from_index(0, len(work.rows))


def _read_words(work: _Work, field: Field, name: str, sides: Mapping[str, str]) -> None:
    texts = work.text(name)
    side = replaced(texts, {text: sides.get(text.lower()) for text in words_in(texts)}, AGGRESSOR_SIDES)
    work.refuse(field.missing, name, texts, side.is_null())
    work.values[field.name] = side


def _read_time(work: _Work, field: Field) -> None:
    """A time that may be open."""
    if field.key not in work.columns:
        work.values[field.name] = _nulls(len(work.rows), pl.Int64())
        return
    texts = _emptied(work.text(field.key))
    times = ns_of(texts, work.view.times[field.key])
    lost = times.is_null() & ~texts.is_in(["", "0", "0.0"])
    if lost.any():
        work.refuse("time_rounded", field.key, texts, lost & lacking_digits(texts))
        work.refuse("unknown_time", field.key, texts, lost)
    work.values[field.name] = times


def _read_settled(work: _Work, field: Field) -> None:
    """Rows that are settlements, not estimates."""
    if field.key in work.columns:
        work.flag(field)
        work.values[field.name] = work.values[field.name].fill_null(value=False)
    else:
        work.values[field.name] = pl.Series([bool(work.view.settled)]).new_from_index(0, len(work.rows))


def _read_minutes(work: _Work, field: Field) -> None:
    """Length of the funding interval in minutes."""
    name, factor = ("interval_minutes", 1) if "interval_minutes" in work.columns else ("interval_hours", 60)
    if name not in work.columns:
        work.values[field.name] = _nulls(len(work.rows), pl.UInt16())
        return
    texts = _emptied(work.text(name))
    minutes = decimals_of(texts) * factor
    whole = minutes.cast(pl.Int64, strict=False)
    good = whole.is_between(1, 65_535) & (whole.cast(pl.Decimal(38, 16)) == minutes)
    work.refuse("wrong_type", name, texts, ~good.fill_null(value=False) & (texts != ""))
    work.values[field.name] = pl.select(pl.when(good).then(whole).alias("m"))["m"].cast(pl.UInt16)


class _OfItsOwn(NamedTuple):
    """How a field is read that is not read as its kind is, and what it becomes."""

    read: Callable[[_Work, Field], None]
    dtype: pl.DataType


_OF_ITS_OWN: Final[Mapping[str, _OfItsOwn]] = {
    "side": _OfItsOwn(_read_side, AGGRESSOR_SIDES),
    "next_funding_time": _OfItsOwn(_read_time, pl.Int64()),
    "interval_minutes": _OfItsOwn(_read_minutes, pl.UInt16()),
    "settled": _OfItsOwn(_read_settled, pl.Boolean()),
}
_BY_KIND: Final[Mapping[str, Callable[[_Work, Field], None]]] = {
    "decimal": _Work.decimal,
    "integer": _Work.integer,
    "text": _Work.words,
    "flag": _Work.flag,
}


def _fields(channel: Channel) -> list[Field]:
    """What is read of a row beside its place."""
    return [field for field in channel.fields if field.name not in _PLACE]


def _read(work: _Work, field: Field) -> None:
    own = _OF_ITS_OWN.get(field.name)
    reads = _BY_KIND[field.kind] if own is None else own.read
    reads(work, field)


def _dtype(field: Field) -> pl.DataType:
    if field.name in _OF_ITS_OWN:
        return _OF_ITS_OWN[field.name].dtype
    return pl.Decimal(38, field.decimals) if field.kind == "decimal" else _DTYPES[field.kind]


def _schema(channel: Channel) -> dict[str, pl.DataType]:
    head: dict[str, pl.DataType] = {
        "raw_row": pl.UInt32(),
        "part": pl.UInt32(),
        "ts_event": pl.Int64(),
        "ts_init": pl.Int64(),
    }
    return head | {field.name: _dtype(field) for field in _fields(channel)}
