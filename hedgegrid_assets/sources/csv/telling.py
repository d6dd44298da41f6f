"""The dialect of a CSV file, told once from its first block: delimiter, header, columns, times, symbol."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import polars as pl
from msgspec.structs import replace

from hedgegrid_assets.batch import Block
from hedgegrid_assets.errors import DaysOnly, DecimalComma, TimestampParsingFailed, UsageError, listed
from hedgegrid_assets.sources.csv import fingerprints, spellings
from hedgegrid_assets.sources.csv.candle_columns import Series, of_candles
from hedgegrid_assets.sources.csv.columns import USUAL, named, views_of
from hedgegrid_assets.sources.csv.dialect import AskedVenue, CsvDialect, CsvView, Seen
from hedgegrid_assets.sources.csv.first_rows import FirstRows
from hedgegrid_assets.sources.csv.header import head_of
from hedgegrid_assets.sources.csv.names import CLOCK, LOCAL, REQUIRED, SYMBOL, TIMESTAMP, candles, found_by, squeezed
from hedgegrid_assets.sources.csv.settlements import settled
from hedgegrid_assets.sources.csv.sides import MAKER_FLAGS, check_said, check_values, note_of_signs, told_sides
from hedgegrid_assets.sources.csv.symbols import of_venue, spelled_in, symbol_of, venue_of
from hedgegrid_assets.sources.csv.time_columns import Holds, TimeColumn, choose, format_of, holds
from hedgegrid_assets.sources.csv.times import TimeSpec, format_for, format_problem, lacking_digits, shown, spec_of
from hedgegrid_assets.sources.formats import csv_cells as cells
from hedgegrid_assets.venues import is_makers
from hedgegrid_assets.venues.markets import Contract, Says

TIMES: Final = (TIMESTAMP, LOCAL, "next_funding_time")
_NEGATIVE: Final = r"^-[0-9.]*[1-9]"
_OF_SIDES: Final = ("sides", "side_is")
_TAKERS_OWN: Final = frozenset({"localtimestamp", "takerormaker", "cost", "exchange"})
"""Columns of tools that have turned a maker's side already (Tardis, ccxt)."""
_MARKED_NUMBER: Final = r"^[+-]?[0-9][0-9.,' \x{a0}\x{202f}]*(?:[eE][+-]?[0-9]+)?$"
_MARKS: Final = r",|\..*\."
"""What no number with a decimal point holds: a comma, or a second point."""
_OPEN_ZERO: Final = ("0", "0.0", "")


def told_by(block: Block, said: Mapping[str, Any]) -> tuple[CsvDialect, cells.Table]:
    """How the lines of a file are read; and the cells of its first block, which were read for that.

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
    tokens = tuple(said.get("tokens") or USUAL)
    head = head_of(block, path, [entry.get("columns") or {} for entry in mappings.values()], tokens)
    first = FirstRows.of(block, head)
    written = head.names
    first = _with_index_of_times(first)
    head = first.head
    views = dict(views_of(head, mappings, path, tokens))
    _refuse_commas(first, views, path)
    asked = spellings.Asked(tuple(said.get("symbols", ())), said.get("venue", "BINANCE"), said.get("market"))
    symbol_column, symbol = symbol_of(first, said, mappings, path, asked)
    seen: Seen = said.get("held") or Seen()
    venues = venue_of(first, symbol_column, asked, seen)
    spelled = spelled_in(first, symbol_column, venues, asked, seen)
    made = dict(_view(first, token, columns, said, path) for token, columns in views.items())
    if "funding" in made:
        view, said_so = made["funding"], mappings.get("funding", {}).get("settled")
        places = [view.columns[TIMESTAMP], *([] if symbol_column is None else [symbol_column])]
        rows = of_venue(first.rows([*places, *venues.places], view.columns.get(CLOCK)), venues)
        is_settled, notes = settled(view, head.names, rows, symbol_column, said_so)
        made["funding"] = msgspec.structs.replace(view, settled=is_settled)
        head.notes.extend(notes)
    dialect = CsvDialect(
        header_lines=head.lines,
        comments=head.comments,
        delimiter=head.delimiter,
        names=tuple(written),
        views=made,
        symbol_column=symbol_column,
        symbol=symbol,
        symbols=tuple(sorted(asked.symbols)),
        spellings=spelled,
        asked=AskedVenue(asked.venue, asked.market),
        venue_column=venues.place,
        venue=venues.spelling,
        notes=tuple(dict.fromkeys(head.notes)),
        says=_says(first, symbol_column, symbol, asked, spelled),
    )
    return dialect, first.table


def _view(
    first: FirstRows, token: str, columns: Mapping[str, int], said: Mapping[str, Any], path: Path
) -> tuple[str, CsvView]:
    """How a data type is read, and the name of its channel."""
    entry: Mapping[str, Any] = (said.get("files") or {}).get(token, {})
    fmt = entry.get("timestamp_format") or said.get("timestamp_format")
    places = {name: place for name, place in columns.items() if name != SYMBOL}
    explicit, as_candles = bool(entry.get("columns")), Series()
    if not candles(first.head.names):
        places = _of_whole_times(first, token, places, fmt, path, explicit=explicit)
    else:
        places, as_candles = of_candles(first, token, places, fmt, path, explicit=explicit)
    view = CsvView(
        columns=places,
        times=_times(first, places, fmt, path),
        signed=token == "trades" and _signed(first, places),
        series=as_candles.name,
        gap_seconds=as_candles.gap_seconds,
        later_ns=as_candles.later_ns,
    )
    if token != "trades":
        return token, view
    mine = {**said, **{key: value for key, value in entry.items() if key in _OF_SIDES}}
    view = _with_sides(view, first, mine, path)
    return "aggTrade" if {"first_trade_id", "last_trade_id"} <= set(places) else "trade", view


def _says(
    first: FirstRows,
    symbol_column: int | None,
    symbol: str | None,
    asked: spellings.Asked,
    spelled: Mapping[str, str],
) -> Says | None:
    """What columns and first rows say of venue, market and contracts; None: nothing."""
    contracts: dict[str, Contract] = {}
    places = fingerprints.notional_columns(first.head.names)
    if places:
        wanted = places if symbol_column is None else [*places, symbol_column]
        rows = first.read(wanted)
        frame = rows.frame.filter(pl.col("line") >= first.head.lines)
        for name in asked.symbols if symbol_column is not None else [symbol]:
            mine = frame if symbol_column is None else frame.filter(pl.col(cells.name(symbol_column)) == name)
            found = fingerprints.contract_of(*(mine[cells.name(place)] for place in places))
            if name is not None and found:
                contracts[name] = found
    said = {name: spellings.market_said(text.upper()) for name, text in spelled.items()}
    markets = {name: market for name, market in said.items() if market} if asked.market is None else {}
    says = msgspec.structs.replace(fingerprints.says_of(first.head.names), contracts=contracts, markets=markets)
    return None if says == Says() else says


def _with_index_of_times(first: FirstRows) -> FirstRows:
    """The first column is that of the time where it has no name and texts of whole times, as an index is written.

    Numbers can be ids or rows that are counted: they stay what they are.
    """
    if first.head.names[0] or found_by(TIMESTAMP, first.head.names):
        return first
    texts = first.column(0)["text"]
    if texts.str.contains(r"^[0-9.,eE+-]*$").any() or holds(texts) > Holds.MINUTES:
        return first
    first.head.notes.append("timestamp is read from the first column, which has no name")
    return first.under(replace(first.head, names=(TIMESTAMP, *first.head.names[1:])))


def _refuse_commas(first: FirstRows, views: Mapping[str, Mapping[str, int]], path: Path) -> None:
    """Raises DecimalComma where most numbers of a column that is needed have a comma, or marks between thousands."""
    if first.head.delimiter == "," and b'"' not in first.block.data:
        return  # no cell holds a comma
    for token, columns in views.items():
        for column in REQUIRED[token]:
            if column == TIMESTAMP:
                continue
            sample = first.column(columns[column])
            text = pl.col("text")
            marked = sample.filter(text.str.contains(_MARKED_NUMBER) & text.str.contains(_MARKS))
            if len(marked) * 2 > len(sample):
                bad = marked.row(0, named=True)
                raise DecimalComma(path, bad["line"] + 1, first.head.names[columns[column]], bad["text"])


def _times(first: FirstRows, columns: Mapping[str, int], fmt: str | None, path: Path) -> dict[str, TimeSpec]:
    """Time column -> its unit or format. Raises TimestampParsingFailed with the first value that cannot be read."""
    if fmt and (problem := format_problem(fmt)):
        raise UsageError(f"timestamp_format cannot be used ({path.name}): {problem}, found {fmt!r}")
    specs: dict[str, TimeSpec] = {}
    for column in TIMES:
        if column not in columns:
            continue
        sample = first.column(columns[column])
        if column == TIMESTAMP and CLOCK in columns:
            rows = first.rows([columns[column]], columns[CLOCK])
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
            name, rounded = first.head.names[columns[column]], bool(lacking_digits(sample["text"])[bad or 0])
            raise TimestampParsingFailed(path, line, name, text, fmt, format_for(text), rounded=rounded)
        specs[column] = spec
        if (spec.format or "").startswith(("%m/%d", "%d/%m")) and not fmt:
            first.head.notes.append(f"times are read as {shown(spec)}: give timestamp_format if that is wrong")
    return specs


def _of_whole_times(
    first: FirstRows, token: str, columns: dict[str, int], fmt: str | None, path: Path, *, explicit: bool
) -> dict[str, int]:
    """The columns, with that of the time told by its values. Raises DaysOnly for trades without a time of day."""
    candidates = [columns[TIMESTAMP]]
    if not explicit:
        used = {place for name, place in columns.items() if name != TIMESTAMP}
        candidates = [place for place in found_by(TIMESTAMP, first.head.names) if place not in used]

    def texts(place: int) -> pl.Series:
        return first.column(place)["text"]

    if explicit and CLOCK in columns:
        return columns
    if fmt and format_problem(fmt):
        return columns
    chosen = TimeColumn(candidates[0]) if explicit else choose(texts, candidates, first.head.names, fmt)
    if token == "trades" and chosen.clock is None and not fmt and holds(texts(chosen.place)) is Holds.DAYS:
        day = first.column(chosen.place).row(0, named=True)
        places = named(first.head, {name: columns[name] for name in REQUIRED[token]} | {TIMESTAMP: chosen.place})
        raise DaysOnly(path, day["line"] + 1, day["text"], places, format_of(texts(chosen.place)))
    name = first.head.names[chosen.place]
    if chosen.clock is not None:
        first.head.notes.append(f"timestamp is read from {name} and {first.head.names[chosen.clock]} together")
        return columns | {TIMESTAMP: chosen.place, CLOCK: chosen.clock}
    others = [first.head.names[place] for place in candidates if place != chosen.place]
    if others:
        first.head.notes.append(f"timestamp is read from {name}, not from {listed(others)}")
    return columns | {TIMESTAMP: chosen.place}


def _signed(first: FirstRows, columns: Mapping[str, int]) -> bool:
    """No side column, and sizes with a sign: negative is a sale."""
    if "aggressor_side" in columns or "is_buyer_maker" in columns:
        return False
    size = columns["size"]
    signed = (
        first.head.names[columns[TIMESTAMP]].lower() == "mts"
        or "signed" in first.head.names[size].lower()
        or bool(first.column(size)["text"].str.contains(_NEGATIVE).any())
    )
    first.head.notes.append(
        f"the side is the sign of {first.head.names[size]}" if signed else "no side column: trades have NO_AGGRESSOR"
    )
    return signed


def _with_sides(view: CsvView, first: FirstRows, said: Mapping[str, Any], path: Path) -> CsvView:
    """With how the sides are read, where it is not the usual way: ``sides``, or ``maker`` for signs.

    Raises SidesUnknown where they cannot be told, UsageError for what cannot be said of this file.
    """
    columns = view.columns
    check_said(columns, said, path, signed=view.signed)
    if view.signed:
        return msgspec.structs.replace(view, maker=said.get("side_is") == "maker")
    if "aggressor_side" not in columns:
        if "is_buyer_maker" in columns:
            place = columns["is_buyer_maker"]
            check_values(first.column(place)["text"], MAKER_FLAGS, first.head.names[place], path, given=False)
        return view
    place = columns["aggressor_side"]
    name, own = first.head.names[place], said.get("side_is")
    by_venue = own is None and is_makers(said.get("venue", ""), name)
    turned = {squeezed(other) for other in first.head.names} & _TAKERS_OWN
    maker = own == "maker" or (by_venue and not turned)
    given = said.get("sides")
    sides = told_sides(given, maker=maker)
    texts = first.column(place)["text"]
    check_values(texts, sides, name, path, given=bool(given))
    note = None if given else note_of_signs(texts, sides, name)
    if note is not None:
        first.head.notes.append(note)
    if by_venue and maker:
        first.head.notes.append(
            f"{name} is the maker's side at {said['venue']}: the taker's is the other one "
            '("side_is": "taker" in the file of --config if it is turned already)'
        )
    return msgspec.structs.replace(view, sides=sides) if given or maker else view
