"""Which column of a CSV file is which of ours: as a mapping says, or by the usual names."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from hedgegrid_assets.errors import CandlesRefused, MissingColumns, UsageError, listed
from hedgegrid_assets.sources.csv import candles as candle_prices
from hedgegrid_assets.sources.csv.header import Head
from hedgegrid_assets.sources.csv.names import (
    CLOCK,
    OPTIONAL,
    REQUIRED,
    TIMESTAMP,
    candle_part,
    candles,
    canonical,
    found_by,
)
from hedgegrid_assets.tables import DEFAULT, TABLES
from hedgegrid_assets.tables import TOKENS as BY_TOKEN

TOKENS: Final = tuple(REQUIRED)
USUAL: Final = tuple(TABLES[name].token for name in DEFAULT)
"""Data types that are looked for where nobody names any."""
NO_TRADES: Final = "these are candles (open, high, low, close): no trade is in them"
WITHOUT_CANDLES: Final = "move this file elsewhere, or name the files of trades, one by one, with --input"
_WHOSE: Final[Mapping[str, str]] = {
    "mark": "mark prices",
    "index": "index prices",
    "premium": "the premium index, which is no price",
    "trades": "trades",
}


def views_of(
    head: Head, mappings: Mapping[str, Mapping[str, Any]], path: Path, asked: Sequence[str]
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
    given = [token for token in TOKENS if (token in USUAL or token in asked) and _can_give(head.names, token)]
    if not given:
        if candles(head.names) and asked[0] in candle_prices.SERIES:
            raise CandlesRefused(path, asked[0], columns_to_map(head), what_is_named(whose))
        _refuse_unasked(head, path, asked[0])
        yield asked[0], _found(head, asked[0], path, said=False)
        return
    if given[0] == "trades":  # other prices of trades are usually copies; what is asked for by name is not
        given = ["trades", *(token for token in given if token not in USUAL)]
    for token in given:
        yield token, _found(head, token, path, said=False)


def _refuse_unasked(head: Head, path: Path, asked: str) -> None:
    """Raises MissingColumns where the columns are those of a data type that is only made if it is asked for."""
    other = next((token for token in TOKENS if token not in USUAL and _can_give(head.names, token)), None)
    if other is not None:
        missing = [column for column in REQUIRED[asked] if not found_by(column, head.names)]
        hint = f"if {other} are wanted, say --data-types {other} (feeds.yaml: tables: [{BY_TOKEN[other].name}])"
        raise MissingColumns(path, asked, missing, head.names, {}, f"these are the columns of {other}", hint)


def _can_give(names: Sequence[str], token: str) -> bool:
    return not (token == "trades" and candles(names)) and all(found_by(column, names) for column in REQUIRED[token])


def _mapped(head: Head, token: str, mapping: Mapping[str, str | int], path: Path) -> dict[str, int]:
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
        place = place_of(head, actual)
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
            named(head, places),
            why,
        )
    return places


def place_of(head: Head, actual: str | int) -> int | None:
    """Position of the column that a mapping names, or counts from 0."""
    if isinstance(actual, int):
        return actual if actual < len(head.names) else None
    if actual in head.names:
        return head.names.index(actual)
    lowered = [name.lower() for name in head.names]
    return lowered.index(actual.strip().lower()) if actual.strip().lower() in lowered else None


def _found(head: Head, token: str, path: Path, *, said: bool) -> dict[str, int]:
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
        why, hint = (NO_TRADES, WITHOUT_CANDLES) if is_candles else ("", "")
        raise MissingColumns(path, token, missing or ["price"], head.names, named(head, places), why, hint)
    return places


def named(head: Head, places: Mapping[str, int]) -> dict[str, str | int]:
    """Our column -> as a mapping says it: its name, else its position."""
    return {column: head.names[place] or place for column, place in places.items()}


def columns_to_map(head: Head) -> dict[str, str]:
    """The mapping by which candles are read, for a hint."""
    closing = candle_prices.close_time_of(head.names)
    times = [closing] if closing is not None else found_by(TIMESTAMP, head.names)
    close = next(name for name in head.names if candle_part(name) == "close")
    return {TIMESTAMP: head.names[times[0]] if times else "<your column for timestamp>", "value": close}


def what_is_named(whose: str | None) -> str:
    """What the name of a file of candles says of them, for an error."""
    return (
        "neither its name nor its columns say whose prices they are"
        if whose is None
        else f"its name says that they are candles of {_WHOSE[whose]}"
    )
