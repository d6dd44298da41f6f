"""Whose rows a CSV file holds: its columns of symbols and venues, or what its name says."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import polars as pl
from msgspec import Struct

from hedgegrid_assets.errors import MissingColumns, listed
from hedgegrid_assets.sources.csv import spellings
from hedgegrid_assets.sources.csv.columns import place_of
from hedgegrid_assets.sources.csv.dialect import Seen
from hedgegrid_assets.sources.csv.first_rows import FirstRows
from hedgegrid_assets.sources.csv.header import Head
from hedgegrid_assets.sources.csv.names import MAYBE_VENUE_NAMES, SYMBOL, VENUE_NAMES, alike, found_by
from hedgegrid_assets.sources.formats import csv_cells as cells

_OTHER_SYMBOL: Final = re.compile(
    r"(?<![A-Z0-9])[A-Z0-9]{2,}(?:USDT|USDC|BUSD|FDUSD|USD|BTC|ETH|EUR)(?:_PERP|_[0-9]{6})?(?![A-Z0-9])"
)


class Venues(Struct, frozen=True):
    """The column with the venue of each row, and the spelling of the one asked for (None: it is none of them)."""

    place: int | None = None
    spelling: str | None = None

    @property
    def places(self) -> list[int]:
        """Its position, if there is such a column."""
        return [] if self.place is None else [self.place]


def venue_of(first: FirstRows, symbol_column: int | None, asked: spellings.Asked, seen: Seen) -> Venues:
    """The column that holds the venue; several venues in one file are told."""
    for name in (*VENUE_NAMES, *MAYBE_VENUE_NAMES):
        for place in alike(name, first.head.names):
            texts = _in_order(first.column(place)["text"])
            named = [text for text in texts if re.search("[A-Za-z]", text)]
            may_be_one = not texts or bool(named) if name in VENUE_NAMES else spellings.are_venues(named)
            if place == symbol_column or not may_be_one:
                continue
            spelling = spellings.venue_in(named, asked, seen.venue)
            others = [text for text in named if text.casefold() != spelling]
            if spelling is None and named:
                first.head.notes.append(
                    f"{first.head.names[place]} holds {listed(named, 10)}, and none of them is {asked.venue}"
                    f"{f' {asked.market}' if asked.market else ''}: say --exchange {spellings.shown_venue(named[0])} "
                    "(feeds.yaml: venue) if that is what you want"
                )
            elif others:
                first.head.notes.append(
                    f"rows of {listed(others, 10)} are left out by the column {first.head.names[place]}"
                )
            return Venues(place, spelling)
    return Venues()


def of_venue(rows: pl.DataFrame, venues: Venues) -> pl.DataFrame:
    """The rows of the venue asked for."""
    if venues.place is None:
        return rows
    return rows.filter(pl.col(cells.name(venues.place)).str.to_lowercase() == (venues.spelling or ""))


def spelled_in(
    first: FirstRows,
    symbol_column: int | None,
    venues: Venues,
    asked: spellings.Asked,
    seen: Seen,
) -> dict[str, str]:
    """Symbol -> the spelling of it that counts, without case."""
    if symbol_column is None:
        return {}
    rows = of_venue(first.rows([symbol_column, *venues.places], None), venues)
    return spellings.spellings_of(_in_order(rows[cells.name(symbol_column)]), asked, seen.spellings)


def _in_order(texts: pl.Series) -> list[str]:
    return texts.unique(maintain_order=True).to_list()


def symbol_of(
    first: FirstRows,
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
            return place_of(first.head, mapping[SYMBOL]), None
    found = found_by(SYMBOL, first.head.names)
    if found:
        values = _in_order(first.column(found[0])["text"])
        if not mapped or spellings.spellings_of(values, asked):
            if mapped:
                first.head.notes.append(
                    f"rows of other symbols are left out by the column {first.head.names[found[0]]}"
                )
            return found[0], None
    return None, _symbol_of_file(first.head, symbols, path, named=bool(said.get("named")))


def _symbol_of_file(head: Head, symbols: Sequence[str], path: Path, *, named: bool) -> str | None:
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
