"""Where the rows of a CSV file belong: symbol, day and time of each line, and what the lines are that have none."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import polars as pl
from msgspec import Struct, field

from hedgegrid_assets.batch import Block, Decimals, OtherHeader, Placed, ReadAgain
from hedgegrid_assets.sources.csv.beginning import comments_in, split
from hedgegrid_assets.sources.csv.dialect import CsvDialect, CsvView, Seen
from hedgegrid_assets.sources.csv.header import is_header
from hedgegrid_assets.sources.csv.names import CLOCK, LOCAL, NUMBERS, TIMESTAMP
from hedgegrid_assets.sources.csv.spellings import spellings_of, venue_in
from hedgegrid_assets.sources.csv.time_columns import joined
from hedgegrid_assets.sources.csv.times import lacking_digits, ns_of
from hedgegrid_assets.sources.csv.words import replaced, words_in
from hedgegrid_assets.sources.formats import csv_cells as cells
from hedgegrid_assets.sources.formats.decimals import DecimalsOf, exact_decimal, most_decimals, usual
from hedgegrid_assets.sources.formats.digits import Short, short_decimals
from hedgegrid_assets.sources.formats.lines import PLACED_SCHEMA, RAW_SHOWN

_LETTER: Final = r"^[^0-9]*[A-Za-z]"
_HEADERS_TRIED: Final = 1_000
DECIMALS: Final = 16
"""Of a number that an instrument is told by."""
TICKER: Final = "ticker"
"""What lines are counted as that belong to several channels."""


class Records(Struct, frozen=True):
    """The rows of a block as text: without header lines and comments, of which there were so many."""

    block: Block
    frame: pl.DataFrame
    broken: Mapping[int, str]
    inside: Mapping[int, int]
    header: int
    comments: int


class Rows(Struct, frozen=True):
    """Rows as one channel reads them: ``line, ts_event, ts_init, symbol, reason`` and cells.

    Blank lines are gone; ``reason`` is set where a line belongs to no symbol and day.
    """

    frame: pl.DataFrame
    blank: int
    numbers: dict[int, Short | None] = field(default_factory=dict)

    @property
    def good(self) -> pl.DataFrame:
        """Those that have a place."""
        return _good(self.frame)

    def short(self, place: int) -> Short | None:
        """The numbers of a column of the good ones, where each of them is short and plain; asked for twice, read once."""
        if place not in self.numbers:
            found = short_decimals(self.good[cells.name(place)], DECIMALS)
            self.numbers[place] = found if found is not None and found.plain.all() else None
        return self.numbers[place]


def places_of(dialect: CsvDialect, view: CsvView) -> set[int]:
    """Positions of the cells that tell where a row belongs."""
    said = [view.columns.get(name) for name in (TIMESTAMP, LOCAL, CLOCK)]
    return {place for place in (*said, dialect.symbol_column, dialect.venue_column) if place is not None}


def numbers_of(view: CsvView) -> dict[str, int]:
    """Our columns of numbers whose decimals an instrument is told by, and their positions."""
    return {name: place for name, place in view.columns.items() if name in NUMBERS}


def without_comments(block: Block, dialect: CsvDialect) -> tuple[Block, list[int]]:
    """A block whose comments are empty lines, and their numbers."""
    comments = comments_in(block, dialect.header_lines) if dialect.comments else []
    return cells.without_lines(block, comments), comments


def records_of(block: Block, dialect: CsvDialect, read: cells.Cells, comments: Sequence[int]) -> Records:
    """The rows among the records that were read of a block."""
    frame, header = _without_header(read.frame, block, dialect)
    frame = frame.filter(~pl.col("line").is_in(comments)) if comments else frame
    return Records(block, frame, read.broken, read.inside, header, len(comments))


def rows_of(records: Records, dialect: CsvDialect, view: CsvView) -> Rows:
    """Rows as one channel reads them."""
    frame = _with_places(records.frame, dialect, view)
    times = [view.columns[name] for name in (TIMESTAMP, LOCAL) if name in view.columns]
    return _without_blank(_with_reasons(frame, records, dialect, times), records)


def placed(records: Records, dialect: CsvDialect, rows: Mapping[str, Rows]) -> Placed:
    """Say of every line of a block what it is; ``rows``: those of each channel of the dialect."""
    views = dialect.views
    found: list[pl.DataFrame] = []
    decimals: DecimalsOf = {}
    inside, header, blank = records.inside, records.header, 0
    lost: pl.DataFrame | None = None
    for channel, view in views.items():
        good, blank = rows[channel].good, rows[channel].blank
        _look_for_better_spellings(good, dialect)
        decimals |= _decimals(rows[channel], channel, numbers_of(view))
        lines = good.select("line", pl.lit(channel).alias("channel"), "symbol", "ts_init")
        found.append(lines if not inside else _with_inside(lines, inside))
        bad = rows[channel].frame.filter(pl.col("reason").is_not_null()).select("line", "reason")
        lost = bad if lost is None else lost.join(bad, on="line", how="semi")
    assert lost is not None
    if inside:
        lost = _with_inside(lost, inside)
        known = {*lost["line"], *(line for part in found for line in part["line"])}
        header += sum(1 for line in inside if line not in known)
    placed_lines = pl.concat(found) if len(found) > 1 else found[0]
    count = placed_lines["line"].n_unique() if len(found) > 1 else len(placed_lines)
    if len(lost):
        unplaced = _unplaced(lost, records.block)
        _look_for_another_header(unplaced, dialect)
        lines = pl.concat([_placed_rows(placed_lines), unplaced]).sort("line", maintain_order=True)
    else:
        lines = _placed_rows(placed_lines)
        lines = lines.sort("line", maintain_order=True) if len(found) > 1 else lines
    stream = next(iter(views)) if len(views) == 1 else TICKER
    counts = {stream: count, "header": header, "comment": records.comments}
    return Placed(
        lines=lines,
        by_stream=Counter({name: count for name, count in counts.items() if count}),
        connection=0,
        blank=blank,
        unreadable=len(lost),
        decimals=decimals,
    )


# ---------------------------------------------------------------- rows


def _without_header(frame: pl.DataFrame, block: Block, dialect: CsvDialect) -> tuple[pl.DataFrame, int]:
    """Without the lines before the rows, and without repetitions of the header (files that were laid end to end)."""
    names = dialect.names
    times = {view.columns[TIMESTAMP] for view in dialect.views.values()}
    repeated = pl.all_horizontal(pl.col(cells.name(place)) == names[place] for place in times)
    lines = dialect.header_lines
    rows = frame.filter(pl.col("line") >= lines) if block.first_line < lines else frame
    again = rows.filter(repeated)
    if not len(again):
        return rows, len(frame) - len(rows)
    texts = cells.texts_of(block, again["line"])
    headers = again["line"].filter(pl.Series([tuple(split(text, dialect.delimiter)) == names for text in texts]))
    kept = rows.filter(~pl.col("line").is_in(headers.implode()))
    return kept, len(frame) - len(kept)


def _with_places(frame: pl.DataFrame, dialect: CsvDialect, view: CsvView) -> pl.DataFrame:
    columns, specs = view.columns, view.times
    texts = frame[cells.name(columns[TIMESTAMP])]
    if CLOCK in columns:
        texts = joined(texts, frame[cells.name(columns[CLOCK])])
    event = ns_of(texts, specs[TIMESTAMP])
    if view.later_ns:  # candles: from the opening to the last moment
        event = event + view.later_ns
    init = ns_of(frame[cells.name(columns[LOCAL])], specs[LOCAL]) if LOCAL in columns else event
    if dialect.symbol_column is None:
        symbol = texts = pl.Series([dialect.symbol], dtype=pl.String).new_from_index(0, len(frame))
    else:
        texts = frame[cells.name(dialect.symbol_column)]
        symbol = _symbols(texts, dialect)
    if dialect.venue_column is not None:
        symbol = _of_venue(symbol, texts, frame[cells.name(dialect.venue_column)], dialect.venue)
    return frame.with_columns(event.alias("ts_event"), init.alias("ts_init"), symbol.alias("symbol"))


def _symbols(texts: pl.Series, dialect: CsvDialect) -> pl.Series:
    """The symbol asked for where it is spelled as the dialect says, else the text itself."""
    spelled = {spelling: symbol for symbol, spelling in dialect.spellings.items()}
    found = {text: spelled.get(text.casefold(), text) for text in words_in(texts)}
    if all(text == symbol for text, symbol in found.items()):
        return texts
    return replaced(texts, found, pl.String())


def _of_venue(symbols: pl.Series, texts: pl.Series, venues: pl.Series, mine: str | None) -> pl.Series:
    """The symbols; where the venue is another one than that asked for, it and the text: ``BYBIT:BTC-USDT``.

    As long as no row is of the venue asked for, those that say none are taken.
    """
    others = {text: f"{text or '?'}:" for text in words_in(venues) if text.casefold() != (mine or "")}
    if not others:
        return symbols
    prefix = venues.replace_strict(others, default="", return_dtype=pl.String)
    return pl.select(pl.when(prefix == "").then(symbols).otherwise(prefix + texts).alias("symbol")).to_series()


def _look_for_better_spellings(frame: pl.DataFrame, dialect: CsvDialect) -> None:
    """Raises ReadAgain where a later line has a spelling that fits what is asked for better than those before it."""
    asked = dialect.wanted
    whose = None if dialect.venue_column is None else frame[cells.name(dialect.venue_column)]
    venues: list[str] = [] if whose is None else words_in(whose)
    better = dialect.venue if whose is None else venue_in(filter(None, venues), asked, dialect.venue)
    if better != dialect.venue:
        raise ReadAgain(Seen(better))
    if dialect.symbol_column is not None:
        texts = frame[cells.name(dialect.symbol_column)]
        mine = {venue: venue.lower() == (dialect.venue or "") for venue in venues}
        if whose is not None and not all(mine.values()):
            texts = texts.filter(replaced(whose, mine, pl.Boolean()))
        held = dialect.spellings
        better_ones = spellings_of(words_in(texts), asked, held)
        if better_ones != held:
            raise ReadAgain(Seen(dialect.venue, better_ones))


def _good(frame: pl.DataFrame) -> pl.DataFrame:
    return frame if frame["reason"].null_count() == len(frame) else frame.filter(pl.col("reason").is_null())


def _with_reasons(frame: pl.DataFrame, records: Records, dialect: CsvDialect, times: Iterable[int]) -> pl.DataFrame:
    block, broken = records.block, records.broken
    if not broken and not block.cut and _all_placed(frame):
        return frame.with_columns(reason=pl.lit(None, pl.String))
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
    if broken:
        told = pl.DataFrame(
            {"line": list(broken), "told": list(broken.values())},
            schema={"line": pl.UInt32, "told": pl.String},
        )
        frame = frame.join(told, on="line", how="left", maintain_order="left")
        frame = frame.with_columns(reason=pl.coalesce("told", "reason")).drop("told")
    if block.cut and len(frame) and _is_cut_off(block, dialect):
        is_last = pl.col("line") == block.first_line + block.data.count(b"\n")
        is_cut = is_last & pl.col("reason").ne_missing("zero_bytes")
        frame = frame.with_columns(reason=pl.when(is_cut).then(pl.lit("truncated_tail")).otherwise("reason"))
    return frame


def _all_placed(frame: pl.DataFrame) -> bool:
    nulls = frame["ts_event"].null_count() + frame["ts_init"].null_count()
    return not nulls and bool(frame["symbol"].str.len_bytes().min())


def _is_cut_off(block: Block, dialect: CsvDialect) -> bool:
    """A last line without line end has lost its end if the stream ended too early, or cells are missing."""
    last = block.data.rpartition(b"\n")[2]
    return block.truncated or last.count(dialect.delimiter.encode()) < len(dialect.names) - 1


def _without_blank(frame: pl.DataFrame, records: Records) -> Rows:
    """Empty lines are counted and passed over."""
    if frame["reason"].null_count() == len(frame):
        return Rows(frame, 0)
    lost = frame.filter(pl.col("reason") == "unknown_time")["line"]
    texts = cells.texts_of(records.block, lost) if len(lost) else []
    blank = [line for line, text in zip(lost, texts, strict=True) if not text.strip() and line not in records.broken]
    return Rows(frame.filter(~pl.col("line").is_in(blank)) if blank else frame, len(blank))


# ---------------------------------------------------------------- lines


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


def _look_for_another_header(unplaced: pl.DataFrame, dialect: CsvDialect) -> None:
    """Raises OtherHeader where files of several layouts were laid end to end: what follows would be misread."""
    columns = {place for view in dialect.views.values() for place in view.columns.values()}
    names = [name.casefold() for name in dialect.names]
    named = unplaced.filter(pl.col("raw").str.contains(_LETTER)).unique("raw", maintain_order=True).head(_HEADERS_TRIED)
    for line, text in named.select("line", "raw").iter_rows():
        row = split(text, dialect.delimiter)
        if not is_header(row):
            continue
        if any(place >= len(row) or row[place].casefold() != names[place] for place in columns):
            raise OtherHeader(line, row, dialect.names)


def _decimals(rows: Rows, channel: str, numbers: Mapping[str, int]) -> dict[tuple[str, str, str], Decimals]:
    """(channel, symbol, field) -> decimals of its numbers, where there are any."""
    found: dict[tuple[str, str, str], Decimals] = {}
    good = rows.good
    if not len(good):
        return found
    one = len(words_in(good["symbol"])) == 1
    groups = [(good["symbol"][0], good)] if one else [(key[0], part) for key, part in good.group_by("symbol")]
    for symbol, part in groups:
        for name, place in numbers.items():
            short = rows.short(place) if one else None
            if short is not None and short.seen is not None:
                found[channel, str(symbol), name] = short.seen
                continue
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
