"""The dialect of a CSV file, told once from its first block: delimiter, header, columns, times, symbol."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import polars as pl

from hedgegrid_assets.errors import (
    CandlesRefused,
    DaysOnly,
    DecimalComma,
    EncodingUnknown,
    FileRefused,
    MissingColumns,
    RawDamaged,
    TimestampParsingFailed,
    UsageError,
    listed,
)
from hedgegrid_assets.model import Dialect
from hedgegrid_assets.sources.csv import candles as candle_prices
from hedgegrid_assets.sources.csv import layouts, spellings
from hedgegrid_assets.sources.csv.beginning import (
    COMMENT,
    MOST_COLUMNS,
    Line,
    are_names,
    comments_in,
    delimiters_in,
    first_lines,
    has_comments,
    is_row,
    split,
)
from hedgegrid_assets.sources.csv.encodings import guess
from hedgegrid_assets.sources.csv.names import (
    CLOCK,
    LOCAL,
    MAYBE_VENUE_NAMES,
    OPTIONAL,
    REQUIRED,
    SYMBOL,
    TIMESTAMP,
    VALUES,
    VENUE_NAMES,
    alike,
    candle_part,
    candles,
    canonical,
    found_by,
    headerless,
    squeezed,
)
from hedgegrid_assets.sources.csv.settlements import mark_settled
from hedgegrid_assets.sources.csv.sides import MAKER_FLAGS, check_said, check_values, told_sides
from hedgegrid_assets.sources.csv.time_columns import Holds, TimeColumn, choose, format_of, holds, joined
from hedgegrid_assets.sources.csv.times import (
    TimeSpec,
    format_for,
    format_problem,
    lacking_digits,
    ns_of,
    shown,
    spec_of,
    unit_of,
)
from hedgegrid_assets.sources.formats import csv_cells as cells
from hedgegrid_assets.store import Block
from hedgegrid_assets.venues import is_makers

TOKENS: Final = ("trades", "mark", "index", "funding")
TIMES: Final = (TIMESTAMP, LOCAL, "next_funding_time")
_HEADER_VALUES: Final = ("price", "size", "mark_price", "index_price", "funding_rate")
_NEGATIVE: Final = r"^-[0-9.]*[1-9]"
_OTHER_SYMBOL: Final = re.compile(
    r"(?<![A-Z0-9])[A-Z0-9]{2,}(?:USDT|USDC|BUSD|FDUSD|USD|BTC|ETH|EUR)(?:_PERP|_[0-9]{6})?(?![A-Z0-9])"
)
_OF_SIDES: Final = ("sides", "side_is")
_TAKERS_OWN: Final = frozenset({"localtimestamp", "takerormaker", "cost", "exchange"})
"""Columns of tools that have turned a maker's side already (Tardis, ccxt)."""
_MARKED_NUMBER: Final = r"^[+-]?[0-9][0-9.,' \x{a0}\x{202f}]*(?:[eE][+-]?[0-9]+)?$"
_MARKS: Final = r",|\..*\."
"""What no number with a decimal point holds: a comma, or a second point."""
_OPEN_ZERO: Final = ("0", "0.0", "")
_NO_TRADES: Final = "these are candles (open, high, low, close): no trade is in them"
_WITHOUT_CANDLES: Final = "move this file elsewhere, or name the files of trades, one by one, with --input"
_WHOSE: Final[Mapping[str, str]] = {
    "mark": "mark prices",
    "index": "index prices",
    "premium": "the premium index, which is no price",
    "trades": "trades",
}


@dataclass(frozen=True, slots=True)
class _Head:
    """The first lines: what stands before the rows, and the names of the columns."""

    delimiter: str
    names: tuple[str, ...]
    lines: int
    notes: list[str] = field(default_factory=list)
    comments: bool = False


def dialect(block: Block, said: Mapping[str, Any]) -> Dialect:
    """How the lines of a file are read.

    Args:
        block: Its first block.
        said: ``path``; ``symbols`` of the feed; ``named`` if the user names this very file; ``files``: data type ->
            its entry in the configuration (``columns``, ``timestamp_format``); ``timestamp_format`` for all;
            ``tokens``: the data types asked for; ``sides`` and ``side_is`` for all; ``venue``, where that has a say.

    Raises:
        MissingColumns: None of the data types asked for can be made from the columns.
        CandlesRefused: The file holds candles that give none of them.
        SidesUnknown: Nobody can say what is buy and what is sell.
        DaysOnly: The time column of trades holds days only.
        TimestampParsingFailed: Most times cannot be read.
        EncodingUnknown: The file is text of another encoding than UTF-8.
        RawDamaged: The file is no text.
        UsageError: The mapping or format that the user gave cannot be.
    """
    path = Path(said.get("path", "file.csv"))
    mappings: dict[str, Mapping[str, Any]] = dict(said.get("files") or {})
    tokens = tuple(said.get("tokens") or TOKENS)
    head = _head(block, path, [entry.get("columns") or {} for entry in mappings.values()], tokens)
    block = cells.without_lines(block, comments_in(block, head.lines) if head.comments else ())
    written = head.names
    head = _with_index_of_times(block, head)
    views = dict(_views(head, mappings, path, tokens))
    _refuse_commas(block, head, views, path)
    asked = spellings.Asked(tuple(said.get("symbols", ())), said.get("venue", "BINANCE"), said.get("market"))
    symbol_column, symbol = _symbol(block, head, said, mappings, path, asked)
    venues = _venue(block, head, symbol_column, asked, said.get("held", {}))
    spelled = _spellings(block, head, symbol_column, venues, asked, said.get("held", {}))
    made: dict[str, Any] = {}
    for token, columns in views.items():
        fmt = mappings.get(token, {}).get("timestamp_format") or said.get("timestamp_format")
        columns = {name: place for name, place in columns.items() if name != SYMBOL}
        explicit = bool(mappings.get(token, {}).get("columns"))
        as_candles: dict[str, Any] = {}
        if not candles(head.names):
            columns = _of_whole_times(block, head, token, columns, fmt, path, explicit=explicit)
        else:
            columns, as_candles = _of_candles(block, head, token, columns, fmt, path, explicit=explicit)
        channel = "aggTrade" if token == "trades" and {"first_trade_id", "last_trade_id"} <= set(columns) else token
        made["trade" if channel == "trades" else channel] = {
            "columns": columns,
            "times": _times(block, head, columns, fmt, path),
            "signed": token == "trades" and _signed(block, head, columns),
        } | as_candles
        if token == "trades":
            mine = {**said, **{key: value for key, value in mappings.get(token, {}).items() if key in _OF_SIDES}}
            view = made["trade" if channel == "trades" else channel]
            view.update(_sides(block, head, columns, mine, path, signed=view["signed"]))
    if "funding" in made:
        said_so = mappings.get("funding", {}).get("settled")
        places = [made["funding"]["columns"][TIMESTAMP], *([] if symbol_column is None else [symbol_column])]
        rows = _of_venue(_rows(block, head, [*places, *venues.places], made["funding"]["columns"].get(CLOCK)), venues)
        head.notes.extend(mark_settled(made["funding"], head.names, rows, symbol_column, said_so))
    return {
        "header_lines": head.lines,
        "comments": head.comments,
        "delimiter": head.delimiter,
        "names": list(written),
        "views": made,
        "symbol_column": symbol_column,
        "symbol": symbol,
        "symbols": sorted(said.get("symbols", ())),
        "spellings": spelled,
        "asked": {"venue": asked.venue, "market": asked.market},
        "venue_column": venues.place,
        "venue": venues.spelling,
        "notes": list(dict.fromkeys(head.notes)),
    } | _says(block, head, symbol_column, symbol, asked, spelled)


def _says(
    block: Block,
    head: _Head,
    symbol_column: int | None,
    symbol: str | None,
    asked: spellings.Asked,
    spelled: Mapping[str, str],
) -> dict[str, Any]:
    """What columns and first rows say of venue, market and contracts: ``says``, where they say something."""
    contracts: dict[str, dict[str, Any]] = {}
    places = layouts.notional_columns(head.names)
    if places:
        wanted = places if symbol_column is None else [*places, symbol_column]
        rows = cells.read(block, len(head.names), head.delimiter, wanted)
        frame = rows.frame.filter(pl.col("line") >= head.lines)
        for name in asked.symbols if symbol_column is not None else [symbol]:
            mine = frame if symbol_column is None else frame.filter(pl.col(cells.name(symbol_column)) == name)
            found = layouts.contract_of(*(mine[cells.name(place)] for place in places))
            if name is not None and found:
                contracts[name] = found
    says = layouts.merged(layouts.says_of(head.names), contracts)
    markets = {name: spellings.market_said(text.upper()) for name, text in spelled.items()}
    if asked.market is None and any(markets.values()):
        says["markets"] = {name: market for name, market in markets.items() if market}
    return {"says": says} if says else {}


# ---------------------------------------------------------------- header


def _head(block: Block, path: Path, mappings: Sequence[Mapping[str, str | int]], asked: Sequence[str] = ()) -> _Head:
    """What stands before the rows. No line from the first that has the shape of a row on is part of it."""
    lines = first_lines(block.data)
    zeros = block.data.startswith((b"\xff\xfe", b"\xfe\xff")) or (lines and not any(line.is_text for line in lines))
    if zeros or sum(line.text.count("\ufffd") for line in lines) > 8:
        raise _no_utf8(block, path, " (it holds zero bytes)" if zeros else "")
    comments = has_comments(lines)
    shown = [line for line in lines if not (comments and line.is_comment)]
    filled = [line for line in shown if line.is_text and not line.is_too_wide]
    row = next((line for line in filled if is_row(line)), None)
    if row is not None and row.codec != "utf-8":
        raise _no_utf8(block, path)
    places = [place for mapping in mappings for place in mapping.values()]
    if row is not None and places and all(isinstance(place, int) for place in places):
        return replace(_by_position(filled, row), comments=comments)
    mapped = {place.strip().lower() for place in places if isinstance(place, str)}
    found = _header(filled, partial(_is_known_header, mapped=mapped)) or _commented_header(lines, row)
    if row is not None and (found is None or row.number < found.lines):
        found = _unknown_header(filled, row) or _without_header(row) or found
    found = found or _header(filled, are_names)
    if found is None and any(line.is_too_wide for line in shown):
        raise RawDamaged(path, f"expected at most {MOST_COLUMNS:,} columns, found more")
    if found is None:
        begins = filled[0].text[:200] if filled else ""
        token = asked[0] if asked else "trades"
        raise MissingColumns(path, token, REQUIRED[token], (), {}, f"no header line; it begins with {begins!r}")
    above = [line for line in shown if line.number < found.lines]
    rows = [line.number for line in above if is_row(line, found.names, found.delimiter)]
    if rows and rows[0] < found.lines - 1:
        found.notes.append(f"rows stand above the header in line {found.lines}: they are read by it as well")
    return replace(found, lines=min([found.lines, *rows]), comments=comments)


def _by_position(lines: Sequence[Line], row: Line) -> _Head:
    """Where the mapping counts columns, no header is needed; one that is there has names for notes and errors."""
    delimiter = next(iter(delimiters_in(row.text)), ",")
    count = len(split(row.text, delimiter))
    names = [split(line.text, delimiter) for line in lines if line.number < row.number]
    named = next((tuple(one) for one in names if len(one) == count and are_names(one, cells=2)), None)
    return _Head(delimiter, named or tuple(f"column {place}" for place in range(count)), row.number)


def _no_utf8(block: Block, path: Path, why: str = "") -> FileRefused:
    """The error for a file that is no UTF-8, with the encoding that reads it."""
    codec = guess(block.data)
    return RawDamaged(path, f"it is no text in UTF-8{why}") if codec is None else EncodingUnknown(path, codec)


def _header(lines: Iterable[Line], is_header: Callable[[Sequence[str]], bool]) -> _Head | None:
    for line in lines:
        for delimiter in delimiters_in(line.text):
            row = split(line.text, delimiter)
            if not is_header(row):
                continue
            notes = [f"the header is read as {line.codec}"] if line.codec != "utf-8" else []
            twice = sorted(name for name, count in Counter(row).items() if name and count > 1)
            notes += [f"columns named twice: {listed(twice)}; the first of each counts"] if twice else []
            return _Head(delimiter, tuple(row), line.number + 1, notes)
    return None


def _unknown_header(lines: Sequence[Line], row: Line) -> _Head | None:
    """Names that say nothing, one a cell of the first row: what the row holds must not be guessed."""
    widths = {len(split(row.text, mark)) for mark in delimiters_in(row.text)}
    above = [line for line in lines if line.number < row.number]
    return _header(above, lambda names: len(names) in widths and are_names(names, cells=2))


def _commented_header(lines: Sequence[Line], row: Line | None) -> _Head | None:
    """A header behind the mark of comments: beyond doubt only with names for all that is needed, one a cell of a row."""
    if row is None:
        return None
    behind = [
        Line(line.number, line.text.lstrip(f"{COMMENT} ")) for line in lines if line.is_comment and line is not row
    ]

    widths = {len(split(row.text, mark)) for mark in delimiters_in(row.text)}
    return _header(behind, lambda names: len(names) in widths and are_names(names, cells=2) and _gives_a_table(names))


def _gives_a_table(names: Sequence[str]) -> bool:
    return any(all(found_by(column, names) for column in required) for required in REQUIRED.values())


def _without_header(row: Line) -> _Head | None:
    """A dump that comes without a header, told by its first row."""
    for delimiter in delimiters_in(row.text):
        known = headerless(split(row.text, delimiter))
        if known:
            notes = [f"no header line: read as {known[0]} ({', '.join(known[1])})"]
            return _Head(delimiter, known[1], row.number, notes)
    return None


def is_header(row: Sequence[str]) -> bool:
    """A line in the middle of a file that can be nothing else: names, among them those of a time and of a value."""
    return are_names(row, cells=2) and all(
        any(found_by(column, row) for column in columns) for columns in ((TIMESTAMP,), _HEADER_VALUES)
    )


def _is_known_header(row: Sequence[str], mapped: set[str]) -> bool:
    """Names, not values, and one of them means something: a banner line has none."""
    if not are_names(row, cells=2):
        return False
    known = any(found_by(column, row) for column in (TIMESTAMP, "price", "size", "funding_rate", "mark_price"))
    return known or bool(mapped & {name.lower() for name in row})


# ---------------------------------------------------------------- columns


def _views(
    head: _Head, mappings: Mapping[str, Mapping[str, Any]], path: Path, asked: Sequence[str]
) -> Iterator[tuple[str, dict[str, int]]]:
    """(data type, our column -> position) for what the file gives."""
    if mappings:
        for token, entry in mappings.items():
            if entry.get("columns"):
                yield token, _mapped(head, token, entry["columns"], path)
            else:
                yield token, _found(head, token, path, said=True)
        return
    whose = candle_prices.whose(path) if candles(head.names) else None
    if whose in candle_prices.SERIES and whose in asked:
        yield whose, _found(head, whose, path, said=True)
        return
    given = [token for token in TOKENS if _can_give(head.names, token)]
    if not given:
        if candles(head.names) and asked[0] in candle_prices.SERIES:
            raise CandlesRefused(path, asked[0], _candle_columns(head), _what_is_named(whose))
        yield asked[0], _found(head, asked[0], path, said=False)
        return
    if given[0] == "trades":
        yield "trades", _found(head, "trades", path, said=False)
        return
    for token in given:
        yield token, _found(head, token, path, said=False)


def _can_give(names: Sequence[str], token: str) -> bool:
    return not (token == "trades" and candles(names)) and all(found_by(column, names) for column in REQUIRED[token])


def _mapped(head: _Head, token: str, mapping: Mapping[str, str | int], path: Path) -> dict[str, int]:
    """An explicit mapping is complete: what it does not name is not read."""
    unknown = [key for key in mapping if canonical(key, token) is None]
    if unknown:
        raise UsageError(
            f"unknown column in the mapping of {token} ({path.name}): expected some of "
            f"{', '.join((*REQUIRED[token], *OPTIONAL[token]))}, found {', '.join(unknown)}"
        )
    places: dict[str, int] = {}
    absent: dict[str, str | int] = {}
    for key, actual in mapping.items():
        column = str(canonical(key, token))
        days, plus, clock = str(actual).partition("+")
        if plus and actual not in head.names and {days, clock} <= set(head.names):
            places |= {column: head.names.index(days), CLOCK: head.names.index(clock)}
            continue
        place = _place_of(head, actual)
        if place is None:
            absent[column] = actual
        else:
            places[column] = place
    missing = [column for column in REQUIRED[token] if column not in places]
    if absent or missing:
        why = f"no column named {', '.join(map(repr, absent.values()))}" if absent else ""
        if any(isinstance(place, int) for place in absent.values()):
            why = f"no column at {', '.join(map(str, absent.values()))}: there are {len(head.names)}, counted from 0"
        raise MissingColumns(
            path,
            token,
            [*absent, *(name for name in missing if name not in absent)],
            head.names,
            _named(head, places),
            why,
        )
    return places


def _place_of(head: _Head, actual: str | int) -> int | None:
    """Position of the column that a mapping names, or counts from 0."""
    if isinstance(actual, int):
        return actual if actual < len(head.names) else None
    if actual in head.names:
        return head.names.index(actual)
    lowered = [name.lower() for name in head.names]
    return lowered.index(actual.strip().lower()) if actual.strip().lower() in lowered else None


def _found(head: _Head, token: str, path: Path, *, said: bool) -> dict[str, int]:
    """Our columns by their usual names; of two candidates the one listed first, with a note."""
    places: dict[str, int] = {}
    taken: set[int] = set()
    for column in (*REQUIRED[token], *OPTIONAL[token]):
        found = [place for place in found_by(column, head.names, token if said else None) if place not in taken]
        if not found:
            continue
        places[column] = found[0]
        taken.add(found[0])
        if len(found) > 1 and column != TIMESTAMP:
            others = listed([head.names[place] for place in found[1:]])
            head.notes.append(f"{column} is read from {head.names[found[0]]}, not from {others}")
    if "aggressor_side" in places and "is_buyer_maker" in places:
        head.notes.append(
            f"aggressor_side is read from {head.names[places['aggressor_side']]}, not from {head.names[places['is_buyer_maker']]}"
        )
        del places["is_buyer_maker"]
    missing = [column for column in REQUIRED[token] if column not in places]
    is_candles = token == "trades" and candles(head.names)
    if missing or is_candles:
        why, hint = (_NO_TRADES, _WITHOUT_CANDLES) if is_candles else ("", "")
        raise MissingColumns(path, token, missing or ["price"], head.names, _named(head, places), why, hint)
    return places


# ---------------------------------------------------------------- candles


def _of_candles(
    block: Block, head: _Head, token: str, columns: dict[str, int], fmt: str | None, path: Path, *, explicit: bool
) -> tuple[dict[str, int], dict[str, Any]]:
    """The columns of a file of candles, and what is said of its series.

    Each value gets the last moment of its candle, when it is known at the earliest (the open: the first).
    Raises CandlesRefused where they are candles of something else, or nothing says how long they are.
    """
    value = columns.get(VALUES.get(token, ""))
    if token == "trades":
        raise MissingColumns(path, token, ["price"], head.names, {}, _NO_TRADES, _WITHOUT_CANDLES)
    if token not in candle_prices.SERIES or value is None or (which := candle_part(head.names[value])) is None:
        return columns, {}
    whose = candle_prices.whose(path)
    if whose not in (None, token):
        raise CandlesRefused(path, token, _candle_columns(head), _what_is_named(whose))
    if not explicit and _has_volume(block, head):
        raise CandlesRefused(path, token, _candle_columns(head), "they have a volume: these are candles of trades")
    closing = candle_prices.close_time_of(head.names)
    opening = next((n for n in (columns[TIMESTAMP], *found_by(TIMESTAMP, head.names)) if n != closing), None)
    opened, unit = _ns_of(block, head, opening if opening is not None else closing, fmt, path)
    closed = _ns_of(block, head, closing, fmt, path)[0] if closing is not None and opening is not None else None
    length = candle_prices.interval_of(opened, closed, path)
    if isinstance(length, str):
        raise CandlesRefused(path, token, _candle_columns(head), length)
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
    column = head.names[columns[TIMESTAMP]]
    after = f"{later / 10**9:,.9g} s after {column}, the opening of its candle" if later else f"its {column}"
    head.notes.append(f"candles of {candle_prices.name_of(length)}: each {which} is stamped {after}")
    return columns, {"series": series, "gap_seconds": float(3 * length)} | ({"later_ns": later} if later else {})


def _ns_of(block: Block, head: _Head, place: int | None, fmt: str | None, path: Path) -> tuple[pl.Series, str | None]:
    """Times of a column in ns, row by row, and its unit."""
    assert place is not None
    read = cells.read(block, len(head.names), head.delimiter, [place]).frame
    texts = read.filter(pl.col("line") >= head.lines)[cells.name(place)]
    spec, bad = spec_of(texts.filter(texts != ""), fmt)
    if spec is None:
        spec, bad = spec_of(texts.filter(texts != ""), None)
    if spec is None:
        text = texts.filter(texts != "")[bad or 0]
        raise TimestampParsingFailed(path, head.lines + 1 + (bad or 0), head.names[place], text, fmt, format_for(text))
    return ns_of(texts, spec), unit_of(texts, spec)


def _has_volume(block: Block, head: _Head) -> bool:
    places = [place for place, name in enumerate(head.names) if squeezed(name).startswith("vol")]
    return any(_column(block, head, place)["text"].str.contains("[1-9]").any() for place in places)


def _candle_columns(head: _Head) -> dict[str, str]:
    """The mapping by which candles are read, for a hint."""
    closing = candle_prices.close_time_of(head.names)
    times = [closing] if closing is not None else found_by(TIMESTAMP, head.names)
    close = next(name for name in head.names if candle_part(name) == "close")
    return {TIMESTAMP: head.names[times[0]] if times else "<your column for timestamp>", "value": close}


def _what_is_named(whose: str | None) -> str:
    return (
        "neither its name nor its columns say whose prices they are"
        if whose is None
        else f"its name says that they are candles of {_WHOSE[whose]}"
    )


def _named(head: _Head, places: Mapping[str, int]) -> dict[str, str | int]:
    """Our column -> as a mapping says it: its name, else its position."""
    return {column: head.names[place] or place for column, place in places.items()}


# ---------------------------------------------------------------- values of the first block


def _column(block: Block, head: _Head, place: int) -> pl.DataFrame:
    """``line`` and ``text`` of the cells of one column that are not empty."""
    read = cells.read(block, len(head.names), head.delimiter, [place]).frame
    text = pl.col(cells.name(place))
    return read.filter(
        (pl.col("line") >= head.lines) & (text != "") & (text.str.to_lowercase() != head.names[place].lower())
    ).select("line", text=text)


def _with_index_of_times(block: Block, head: _Head) -> _Head:
    """The first column is that of the time where it has no name and texts of whole times, as an index is written.

    Numbers can be ids or rows that are counted: they stay what they are.
    """
    if head.names[0] or found_by(TIMESTAMP, head.names):
        return head
    texts = _column(block, head, 0)["text"]
    if texts.str.contains(r"^[0-9.,eE+-]*$").any() or holds(texts) > Holds.MINUTES:
        return head
    head.notes.append("timestamp is read from the first column, which has no name")
    return replace(head, names=(TIMESTAMP, *head.names[1:]))


def _refuse_commas(block: Block, head: _Head, views: Mapping[str, Mapping[str, int]], path: Path) -> None:
    """Raises DecimalComma where most numbers of a column that is needed have a comma, or marks between thousands."""
    if head.delimiter == "," and b'"' not in block.data:
        return  # no cell holds a comma
    for token, columns in views.items():
        for column in REQUIRED[token]:
            if column == TIMESTAMP:
                continue
            sample = _column(block, head, columns[column])
            text = pl.col("text")
            marked = sample.filter(text.str.contains(_MARKED_NUMBER) & text.str.contains(_MARKS))
            if len(marked) * 2 > len(sample):
                first = marked.row(0, named=True)
                raise DecimalComma(path, first["line"] + 1, head.names[columns[column]], first["text"])


def _times(block: Block, head: _Head, columns: Mapping[str, int], fmt: str | None, path: Path) -> dict[str, TimeSpec]:
    """Time column -> its unit or format. Raises TimestampParsingFailed with the first value that cannot be read."""
    if fmt and (problem := format_problem(fmt)):
        raise UsageError(f"timestamp_format cannot be used ({path.name}): {problem}, found {fmt!r}")
    specs: dict[str, TimeSpec] = {}
    for column in TIMES:
        if column not in columns:
            continue
        sample = _column(block, head, columns[column])
        if column == TIMESTAMP and CLOCK in columns:
            rows = _rows(block, head, [columns[column]], columns[CLOCK])
            sample = rows.select("line", text=cells.name(columns[column])).filter(pl.col("text") != "")
        if column == "next_funding_time":
            sample = sample.filter(~pl.col("text").is_in(_OPEN_ZERO))
        if not len(sample) and TIMESTAMP in specs:  # nothing in it so far: as the first time column
            specs[column] = specs[TIMESTAMP]
            continue
        spec, bad = spec_of(sample["text"], fmt if column == TIMESTAMP else None)
        if spec is None and fmt and column != TIMESTAMP:
            spec, bad = spec_of(sample["text"], fmt)
        if spec is None:
            text, line = sample["text"][bad or 0], sample["line"][bad or 0] + 1
            name, rounded = head.names[columns[column]], bool(lacking_digits(sample["text"])[bad or 0])
            raise TimestampParsingFailed(path, line, name, text, fmt, format_for(text), rounded=rounded)
        specs[column] = spec
        if spec.get("format", "").startswith(("%m/%d", "%d/%m")) and not fmt:
            head.notes.append(f"times are read as {shown(spec)}: give timestamp_format if that is wrong")
    return specs


def _rows(block: Block, head: _Head, places: Sequence[int], clock: int | None) -> pl.DataFrame:
    """The rows of the first block: ``line`` and the cells; with ``clock``, days in the first with their time of day."""
    wanted = places if clock is None else [*places, clock]
    read = cells.read(block, len(head.names), head.delimiter, wanted).frame.filter(pl.col("line") >= head.lines)
    if clock is None:
        return read
    day = cells.name(places[0])
    return read.with_columns(joined(read[day], read[cells.name(clock)]).alias(day))


def _of_whole_times(
    block: Block, head: _Head, token: str, columns: dict[str, int], fmt: str | None, path: Path, *, explicit: bool
) -> dict[str, int]:
    """The columns, with that of the time told by its values. Raises DaysOnly for trades without a time of day."""
    candidates = [columns[TIMESTAMP]]
    if not explicit:
        used = {place for name, place in columns.items() if name != TIMESTAMP}
        candidates = [place for place in found_by(TIMESTAMP, head.names) if place not in used]

    def texts(place: int) -> pl.Series:
        return _column(block, head, place)["text"]

    if explicit and CLOCK in columns:
        return columns
    if fmt and format_problem(fmt):
        return columns
    chosen = TimeColumn(candidates[0]) if explicit else choose(texts, candidates, head.names, fmt)
    if token == "trades" and chosen.clock is None and not fmt and holds(texts(chosen.place)) is Holds.DAYS:
        first = _column(block, head, chosen.place).row(0, named=True)
        named = _named(head, {name: columns[name] for name in REQUIRED[token]} | {TIMESTAMP: chosen.place})
        raise DaysOnly(path, first["line"] + 1, first["text"], named, format_of(texts(chosen.place)))
    name = head.names[chosen.place]
    if chosen.clock is not None:
        head.notes.append(f"timestamp is read from {name} and {head.names[chosen.clock]} together")
        return columns | {TIMESTAMP: chosen.place, CLOCK: chosen.clock}
    others = [head.names[place] for place in candidates if place != chosen.place]
    if others:
        head.notes.append(f"timestamp is read from {name}, not from {listed(others)}")
    return columns | {TIMESTAMP: chosen.place}


def _signed(block: Block, head: _Head, columns: Mapping[str, int]) -> bool:
    """No side column, and sizes with a sign: negative is a sale."""
    if "aggressor_side" in columns or "is_buyer_maker" in columns:
        return False
    size = columns["size"]
    signed = (
        head.names[columns[TIMESTAMP]].lower() == "mts"
        or "signed" in head.names[size].lower()
        or bool(_column(block, head, size)["text"].str.contains(_NEGATIVE).any())
    )
    head.notes.append(
        f"the side is the sign of {head.names[size]}" if signed else "no side column: trades have NO_AGGRESSOR"
    )
    return signed


def _sides(
    block: Block, head: _Head, columns: Mapping[str, int], said: Mapping[str, Any], path: Path, *, signed: bool
) -> dict[str, Any]:
    """How the sides are read, where it is not the usual way: ``sides``, or ``maker`` for signs.

    Raises SidesUnknown where they cannot be told, UsageError for what cannot be said of this file.
    """
    check_said(columns, said, path, signed=signed)
    if signed:
        return {"maker": True} if said.get("side_is") == "maker" else {}
    if "aggressor_side" not in columns:
        if "is_buyer_maker" in columns:
            place = columns["is_buyer_maker"]
            check_values(_column(block, head, place)["text"], MAKER_FLAGS, head.names[place], path, given=False)
        return {}
    place = columns["aggressor_side"]
    name, own = head.names[place], said.get("side_is")
    by_venue = own is None and is_makers(said.get("venue", ""), name)
    turned = {squeezed(other) for other in head.names} & _TAKERS_OWN
    maker = own == "maker" or (by_venue and not turned)
    given = said.get("sides")
    sides = told_sides(given, maker=maker)
    check_values(_column(block, head, place)["text"], sides, name, path, given=bool(given))
    if by_venue and maker:
        head.notes.append(
            f"{name} is the maker's side at {said['venue']}: the taker's is the other one "
            '("side_is": "taker" in the file of --config if it is turned already)'
        )
    return {"sides": sides} if given or maker else {}


@dataclass(frozen=True, slots=True)
class _Venues:
    """The column with the venue of each row, and the spelling of the one asked for (None: it is none of them)."""

    place: int | None = None
    spelling: str | None = None

    @property
    def places(self) -> list[int]:
        return [] if self.place is None else [self.place]


def _venue(
    block: Block, head: _Head, symbol_column: int | None, asked: spellings.Asked, held: Mapping[str, Any]
) -> _Venues:
    """The column that holds the venue; several venues in one file are told."""
    for name in (*VENUE_NAMES, *MAYBE_VENUE_NAMES):
        for place in alike(name, head.names):
            texts = _in_order(_column(block, head, place)["text"])
            named = [text for text in texts if re.search("[A-Za-z]", text)]
            may_be_one = not texts or bool(named) if name in VENUE_NAMES else spellings.are_venues(named)
            if place == symbol_column or not may_be_one:
                continue
            spelling = spellings.venue_in(named, asked, held.get("venue"))
            others = [text for text in named if text.casefold() != spelling]
            if spelling is None and named:
                head.notes.append(
                    f"{head.names[place]} holds {listed(named, 10)}, and none of them is {asked.venue}"
                    f"{f' {asked.market}' if asked.market else ''}: say --exchange {spellings.shown_venue(named[0])} "
                    "(feeds.yaml: venue) if that is what you want"
                )
            elif others:
                head.notes.append(f"rows of {listed(others, 10)} are left out by the column {head.names[place]}")
            return _Venues(place, spelling)
    return _Venues()


def _of_venue(rows: pl.DataFrame, venues: _Venues) -> pl.DataFrame:
    """The rows of the venue asked for."""
    if venues.place is None:
        return rows
    return rows.filter(pl.col(cells.name(venues.place)).str.to_lowercase() == (venues.spelling or ""))


def _spellings(
    block: Block,
    head: _Head,
    symbol_column: int | None,
    venues: _Venues,
    asked: spellings.Asked,
    held: Mapping[str, Any],
) -> dict[str, str]:
    """Symbol -> the spelling of it that counts, without case."""
    if symbol_column is None:
        return {}
    rows = _of_venue(_rows(block, head, [symbol_column, *venues.places], None), venues)
    before: Mapping[str, str] = held.get("spellings", {})
    return spellings.spellings_of(_in_order(rows[cells.name(symbol_column)]), asked, before)


def _in_order(texts: pl.Series) -> list[str]:
    return texts.unique(maintain_order=True).to_list()


def _symbol(
    block: Block,
    head: _Head,
    said: Mapping[str, Any],
    mappings: Mapping[str, Mapping[str, Any]],
    path: Path,
    asked: spellings.Asked,
) -> tuple[int | None, str | None]:
    """Position of the symbol column, or the symbol that all rows have."""
    symbols: Sequence[str] = tuple(said.get("symbols", ()))
    mapped = [entry["columns"] for entry in mappings.values() if entry.get("columns")]
    for mapping in mapped:
        if SYMBOL in mapping:
            return _place_of(head, mapping[SYMBOL]), None
    found = found_by(SYMBOL, head.names)
    if found:
        values = _in_order(_column(block, head, found[0])["text"])
        if not mapped or spellings.spellings_of(values, asked):
            if mapped:
                head.notes.append(f"rows of other symbols are left out by the column {head.names[found[0]]}")
            return found[0], None
    return None, _symbol_of_file(head, symbols, path, named=bool(said.get("named")))


def _symbol_of_file(head: _Head, symbols: Sequence[str], path: Path, *, named: bool) -> str | None:
    """The symbol that a file without such a column holds: the one in its name, else the only one asked for."""
    where = f"{path.parent.name}/{path.name}".upper()
    inside = [
        symbol for symbol in symbols if re.search(rf"(?<![A-Z0-9]){re.escape(symbol.upper())}(?![A-Z0-9])", where)
    ]
    if inside:
        return max(inside, key=len)
    other = _OTHER_SYMBOL.search(path.name.upper())
    plain = [symbol for symbol in symbols if other and spellings.plain_of(symbol) == other[0]]
    if len(plain) == 1:
        return plain[0]
    if other and not named:
        return other[0]
    if len(symbols) == 1:
        head.notes.append(f"no symbol column: all rows are taken as {symbols[0]}")
        return symbols[0]
    raise MissingColumns(
        path,
        "trades",
        [SYMBOL],
        head.names,
        {},
        f"no symbol column, and none of {', '.join(symbols)} in the file's name",
    )
