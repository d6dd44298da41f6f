"""Rows of a CSV file: which symbol and day each line belongs to, and the exact values in it."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from hedgegrid_assets.model import Channel, Decimals, Decoded, Dialect, OtherHeader, ReadAgain, Scan
from hedgegrid_assets.sources.csv.beginning import comments_in, split
from hedgegrid_assets.sources.csv.dialects import is_header
from hedgegrid_assets.sources.csv.names import CLOCK, LOCAL, TIMESTAMP
from hedgegrid_assets.sources.csv.sides import FLAGS, MAKER_FLAGS, SIDES
from hedgegrid_assets.sources.csv.spellings import Asked, spellings_of, venue_in
from hedgegrid_assets.sources.csv.time_columns import joined
from hedgegrid_assets.sources.csv.times import lacking_digits, ns_of
from hedgegrid_assets.sources.formats import csv_cells as cells
from hedgegrid_assets.sources.formats.decimals import decimals_of, exact_decimal, most_decimals, usual
from hedgegrid_assets.sources.formats.lines import FAULTS_SCHEMA, PLACED_SCHEMA, RAW_SHOWN, REJECTS_SCHEMA
from hedgegrid_assets.store import Block
from hedgegrid_assets.tables import A_NUMBER
from hedgegrid_assets.tables.funding_rate_update import RATE_DECIMALS
from hedgegrid_assets.tables.trade_tick import AGGRESSOR_SIDES

_VALUE_SHOWN: Final = 200
_LETTER: Final = r"^[^0-9]*[A-Za-z]"
_HEADERS_TRIED: Final = 1_000
_DECIMALS: Final = ("price", "size", "mark_price", "index_price", "funding_rate")
TICKER: Final = "ticker"
"""What lines are counted as that belong to several channels."""


# ---------------------------------------------------------------- placing lines


@dataclass(frozen=True, slots=True)
class _Placed:
    """Lines of a block: ``line, ts_event, ts_init, symbol, reason`` and the cells asked for.

    Header lines, comments and blank lines are gone; ``reason`` is set where a line belongs to no symbol and day.
    """

    frame: pl.DataFrame
    header: int
    comments: int
    blank: int
    inside: Mapping[int, int]


def _placed(block: Block, dialect: Dialect, view: Mapping[str, Any], wanted: Sequence[int]) -> _Placed:
    columns: Mapping[str, int] = view["columns"]
    times = {name: columns[name] for name in (TIMESTAMP, LOCAL) if name in columns}
    symbol_column = dialect["symbol_column"]
    clock = [columns[CLOCK]] if CLOCK in columns else []
    venue = [] if dialect.get("venue_column") is None else [dialect["venue_column"]]
    places = [*wanted, *times.values(), *clock, *([] if symbol_column is None else [symbol_column]), *venue]
    comments = comments_in(block, dialect["header_lines"]) if dialect.get("comments") else []
    read = cells.read(cells.without_lines(block, comments), len(dialect["names"]), dialect["delimiter"], places)
    frame, header = _without_header(read.frame, block, dialect, places)
    frame = frame.filter(~pl.col("line").is_in(comments)) if comments else frame
    frame = _with_places(frame, dialect, view)
    frame = _with_reasons(frame, block, dialect, read, times.values())
    frame, blank = _without_blank(frame, block, read)
    return _Placed(frame, header, len(comments), blank, read.inside)


def _without_header(
    frame: pl.DataFrame, block: Block, dialect: Dialect, places: Sequence[int]
) -> tuple[pl.DataFrame, int]:
    """Without the lines before the rows, and without repetitions of the header (files that were laid end to end)."""
    names = dialect["names"]
    repeated = pl.all_horizontal(pl.col(cells.name(place)) == names[place] for place in set(places))
    kept = frame.filter((pl.col("line") >= dialect["header_lines"]) & ~repeated)
    again = frame.filter((pl.col("line") >= dialect["header_lines"]) & repeated)
    if not len(again):
        return kept, len(frame) - len(kept)
    texts = cells.texts_of(block, again["line"])
    others = again.filter(pl.Series([split(text, dialect["delimiter"]) != names for text in texts], dtype=pl.Boolean))
    if len(others):
        kept = pl.concat([kept, others]).sort("line")
    return kept, len(frame) - len(kept)


def _with_places(frame: pl.DataFrame, dialect: Dialect, view: Mapping[str, Any]) -> pl.DataFrame:
    columns, specs = view["columns"], view["times"]
    texts = frame[cells.name(columns[TIMESTAMP])]
    if CLOCK in columns:
        texts = joined(texts, frame[cells.name(columns[CLOCK])])
    event = ns_of(texts, specs[TIMESTAMP])
    if "later_ns" in view:  # candles: from the opening to the last moment
        event = event + view["later_ns"]
    init = ns_of(frame[cells.name(columns[LOCAL])], specs[LOCAL]) if LOCAL in columns else event
    if dialect["symbol_column"] is None:
        symbol = texts = pl.Series([dialect["symbol"]], dtype=pl.String).new_from_index(0, len(frame))
    else:
        texts = frame[cells.name(dialect["symbol_column"])]
        symbol = _symbols(texts, dialect)
    if dialect.get("venue_column") is not None:
        symbol = _of_venue(symbol, texts, frame[cells.name(dialect["venue_column"])], dialect["venue"])
    return frame.with_columns(event.alias("ts_event"), init.alias("ts_init"), symbol.alias("symbol"))


def _symbols(texts: pl.Series, dialect: Dialect) -> pl.Series:
    """The symbol asked for where it is spelled as the dialect says, else the text itself."""
    spelled = {spelling: symbol for symbol, spelling in dialect.get("spellings", {}).items()}
    found = {text: spelled.get(text.casefold(), text) for text in texts.unique()}
    if all(text == symbol for text, symbol in found.items()):
        return texts
    return texts.replace_strict(found, return_dtype=pl.String)


def _of_venue(symbols: pl.Series, texts: pl.Series, venues: pl.Series, mine: str | None) -> pl.Series:
    """The symbols; where the venue is another one than that asked for, it and the text: ``BYBIT:BTC-USDT``.

    As long as no row is of the venue asked for, those that say none are taken.
    """
    others = {text: f"{text or '?'}:" for text in venues.unique() if text.casefold() != (mine or "")}
    if not others:
        return symbols
    prefix = venues.replace_strict(others, default="", return_dtype=pl.String)
    return pl.select(pl.when(prefix == "").then(symbols).otherwise(prefix + texts).alias("symbol")).to_series()


def _look_for_better_spellings(frame: pl.DataFrame, dialect: Dialect) -> None:
    """Raises ReadAgain where a later line has a spelling that fits what is asked for better than those before it."""
    asked = Asked(tuple(dialect["symbols"]), dialect["asked"]["venue"], dialect["asked"]["market"])
    if dialect["venue_column"] is not None:
        venues = frame[cells.name(dialect["venue_column"])].unique(maintain_order=True).to_list()
        better = venue_in(filter(None, venues), asked, dialect["venue"])
        if better != dialect["venue"]:
            raise ReadAgain({"venue": better, "spellings": {}})
    if dialect["symbol_column"] is not None:
        name = pl.col(cells.name(dialect["symbol_column"]))
        if dialect["venue_column"] is not None:
            mine = dialect["venue"] or ""
            name = name.filter(pl.col(cells.name(dialect["venue_column"])).str.to_lowercase() == mine)
        texts = frame.select(name.unique(maintain_order=True)).to_series().to_list()
        held = dialect["spellings"]
        better_ones = spellings_of(texts, asked, held)
        if better_ones != held:
            raise ReadAgain({"venue": dialect["venue"], "spellings": better_ones})


def _with_reasons(
    frame: pl.DataFrame, block: Block, dialect: Dialect, read: cells.Cells, times: Iterable[int]
) -> pl.DataFrame:
    lost = pl.col("ts_event").is_null() | pl.col("ts_init").is_null()
    rounded = pl.lit(value=False)
    if frame["ts_event"].null_count() or frame["ts_init"].null_count():
        rounded = pl.any_horizontal(lacking_digits(frame[cells.name(place)]) for place in times)
    reason = (
        pl.when(lost & rounded)
        .then(pl.lit("time_rounded"))
        .when(lost)
        .then(pl.lit("unknown_time"))
        .when(pl.col("symbol") == "")
        .then(pl.lit("missing_field"))
    )
    frame = frame.with_columns(reason=reason)
    if read.broken:
        told = pl.DataFrame(
            {"line": list(read.broken), "told": list(read.broken.values())},
            schema={"line": pl.UInt32, "told": pl.String},
        )
        frame = frame.join(told, on="line", how="left", maintain_order="left")
        frame = frame.with_columns(reason=pl.coalesce("told", "reason")).drop("told")
    if block.cut and len(frame) and _is_cut_off(block, dialect):
        is_last = pl.col("line") == block.first_line + block.data.count(b"\n")
        is_cut = is_last & pl.col("reason").ne_missing("zero_bytes")
        frame = frame.with_columns(reason=pl.when(is_cut).then(pl.lit("truncated_tail")).otherwise("reason"))
    return frame


def _is_cut_off(block: Block, dialect: Dialect) -> bool:
    """A last line without line end has lost its end if the stream ended too early, or cells are missing."""
    last = block.data.rpartition(b"\n")[2]
    return block.truncated or last.count(str(dialect["delimiter"]).encode()) < len(dialect["names"]) - 1


def _without_blank(frame: pl.DataFrame, block: Block, read: cells.Cells) -> tuple[pl.DataFrame, int]:
    """Empty lines are counted and passed over."""
    lost = frame.filter(pl.col("reason") == "unknown_time")["line"]
    if not len(lost):
        return frame, 0
    texts = cells.texts_of(block, lost)
    blank = [line for line, text in zip(lost, texts, strict=True) if not text.strip() and line not in read.broken]
    if not blank:
        return frame, 0
    return frame.filter(~pl.col("line").is_in(blank)), len(blank)


# ---------------------------------------------------------------- scan


def scan(block: Block, dialect: Dialect) -> Scan:
    """Say of every line of a block what it is; see ``Scan``."""
    views: Mapping[str, Mapping[str, Any]] = dialect["views"]
    found: list[pl.DataFrame] = []
    decimals: dict[tuple[str, str, str], Decimals] = {}
    header = comments = blank = 0
    inside: Mapping[int, int] = {}
    lost: pl.DataFrame | None = None
    for channel, view in views.items():
        numbers = {name: place for name, place in view["columns"].items() if name in _DECIMALS}
        placed = _placed(block, dialect, view, list(numbers.values()))
        header, comments, blank, inside = placed.header, placed.comments, placed.blank, placed.inside
        good = placed.frame.filter(pl.col("reason").is_null())
        _look_for_better_spellings(good, dialect)
        decimals |= _decimals(good, channel, numbers)
        rows = good.select("line", pl.lit(channel).alias("channel"), "symbol", "ts_init")
        found.append(rows if not inside else _with_inside(rows, inside))
        bad = placed.frame.filter(pl.col("reason").is_not_null()).select("line", "reason")
        lost = bad if lost is None else lost.join(bad, on="line", how="semi")
    assert lost is not None
    if inside:
        lost = _with_inside(lost, inside)
        known = {*lost["line"], *(line for part in found for line in part["line"])}
        header += sum(1 for line in inside if line not in known)
    placed_lines = pl.concat(found) if len(found) > 1 else found[0]
    count = placed_lines["line"].n_unique() if len(found) > 1 else len(placed_lines)
    if len(lost):
        unplaced = _unplaced(lost, block)
        _look_for_another_header(unplaced, dialect)
        lines = pl.concat([_placed_rows(placed_lines), unplaced]).sort("line", maintain_order=True)
    else:
        lines = _placed_rows(placed_lines)
        lines = lines.sort("line", maintain_order=True) if len(found) > 1 else lines
    stream = next(iter(views)) if len(views) == 1 else TICKER
    return Scan(
        lines=lines,
        by_stream=Counter({name: n for name, n in ((stream, count), ("header", header), ("comment", comments)) if n}),
        connection=0,
        blank=blank,
        unreadable=len(lost),
        decimals=decimals,
    )


def _placed_rows(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(
        "line", "channel", "symbol", "ts_init", reason=pl.lit(None, pl.String), raw=pl.lit(None, pl.String)
    ).cast(PLACED_SCHEMA)


def _with_inside(rows: pl.DataFrame, inside: Mapping[int, int]) -> pl.DataFrame:
    """Lines inside a quoted cell share the fate of the first line of their record."""
    more = pl.DataFrame(
        {"inside": list(inside), "line": list(inside.values())}, schema={"inside": pl.UInt32, "line": pl.UInt32}
    )
    joined = more.join(rows, on="line").with_columns(line="inside").select(rows.columns)
    return pl.concat([rows, joined]).sort("line")


def _unplaced(lost: pl.DataFrame, block: Block) -> pl.DataFrame:
    texts = [text[:RAW_SHOWN] for text in cells.texts_of(block, lost["line"])]
    nothing = [pl.lit(None, PLACED_SCHEMA[name]).alias(name) for name in ("channel", "symbol", "ts_init")]
    return lost.select("line", *nothing, "reason", raw=pl.Series(texts, dtype=pl.String)).cast(PLACED_SCHEMA)


def _look_for_another_header(unplaced: pl.DataFrame, dialect: Dialect) -> None:
    """Raises OtherHeader where files of several layouts were laid end to end: what follows would be misread."""
    columns = {place for view in dialect["views"].values() for place in view["columns"].values()}
    names = [name.casefold() for name in dialect["names"]]
    named = unplaced.filter(pl.col("raw").str.contains(_LETTER)).unique("raw", maintain_order=True).head(_HEADERS_TRIED)
    for line, text in named.select("line", "raw").iter_rows():
        row = split(text, dialect["delimiter"])
        if not is_header(row):
            continue
        if any(place >= len(row) or row[place].casefold() != names[place] for place in columns):
            raise OtherHeader(line, row)


def _decimals(rows: pl.DataFrame, channel: str, numbers: Mapping[str, int]) -> dict[tuple[str, str, str], Decimals]:
    """(channel, symbol, field) -> decimals of its numbers, where there are any."""
    found: dict[tuple[str, str, str], Decimals] = {}
    if not len(rows):
        return found
    one = rows["symbol"].n_unique() == 1
    groups = [(rows["symbol"][0], rows)] if one else [(key[0], part) for key, part in rows.group_by("symbol")]
    for symbol, part in groups:
        for name, place in numbers.items():
            values = _plain_numbers(part.select("line", text=cells.name(place)))
            if len(values):
                found[channel, str(symbol), name] = most_decimals(values["text"], values["line"])
    return found


def _plain_numbers(values: pl.DataFrame) -> pl.DataFrame:
    """``line`` and ``text`` of all cells that hold a number, in plain digits."""
    plain = pl.col("text").str.contains(usual(16))
    if values.select(plain.all()).item():
        return values
    odd = values.filter(~plain & (pl.col("text") != "")).unique("text", keep="first", maintain_order=True)
    exact = odd.with_columns(text=pl.Series([exact_decimal(text) for text in odd["text"]], dtype=pl.String))
    return pl.concat([values.filter(plain), exact.drop_nulls("text")])


# ---------------------------------------------------------------- decode


def decode(block: Block, channel: Channel, dialect: Dialect) -> Decoded:
    """Decode the rows of one channel; lines that ``scan`` could not place are passed over."""
    view = dialect["views"].get(channel.name)
    if view is None:
        return Decoded(pl.DataFrame(schema=_schema(channel)), pl.DataFrame(schema=REJECTS_SCHEMA))
    columns: Mapping[str, int] = view["columns"]
    placed = _placed(block, dialect, view, list(columns.values()))
    rows = placed.frame.filter(pl.col("reason").is_null())
    work = _Work(rows, columns, view)
    work.refuse("wrong_type", "row", rows[cells.EXTRA], rows[cells.EXTRA] != "")
    _READERS[channel.name](work)
    frame = pl.DataFrame(
        {"raw_row": rows["line"], "ts_event": rows["ts_event"], "ts_init": rows["ts_init"]} | work.values
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

    def __init__(self, rows: pl.DataFrame, columns: Mapping[str, int], view: Mapping[str, Any]) -> None:
        self.rows, self.columns, self.view = rows, columns, view
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
    if work.view["signed"]:
        size = work.values["size"]
        below, above = ("BUYER", "SELLER") if work.view.get("maker") else ("SELLER", "BUYER")
        side = pl.select(pl.when(size < 0).then(pl.lit(below)).otherwise(pl.lit(above)).alias("side"))["side"]
        work.values["side"] = side.cast(AGGRESSOR_SIDES)
        work.values["size"] = pl.select(pl.when(size < 0).then(-size).otherwise(size).alias("size"))["size"].cast(
            pl.Decimal(38, 16)
        )
    elif "aggressor_side" in work.columns:
        _read_side(work, "aggressor_side", work.view.get("sides", SIDES))
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
        times = ns_of(texts, work.view["times"]["next_funding_time"])
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
        return pl.Series([bool(work.view.get("settled"))]).new_from_index(0, len(work.rows))
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


_READERS: Final[Mapping[str, Callable[[_Work], None]]] = {
    "trade": _read_trades,
    "aggTrade": _read_trades,
    "mark": _read_price("mark_price"),
    "index": _read_price("index_price"),
    "funding": _read_funding,
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
}


def _schema(channel: Channel) -> dict[str, pl.DataType]:
    head: dict[str, pl.DataType] = {"raw_row": pl.UInt32(), "ts_event": pl.Int64(), "ts_init": pl.Int64()}
    return head | {field.name: _TYPES[field.name] for field in channel.fields if field.name in _TYPES}
