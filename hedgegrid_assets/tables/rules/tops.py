"""The top of a book against the quotes of its day, by the numbers of the venue's updates."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import polars as pl

from hedgegrid_assets.model import Counted, Effect, Judgement, Rule, Severity
from hedgegrid_assets.tables.rules.levels import NO_ASK, NO_BID, Integers, Levels, Played, decimals
from hedgegrid_assets.timestamps import iso

NUMBERED: Final = "updates_in_order"
"""The rule of quotes that is off where they have no numbers."""
_QUOTES: Final = "quote_tick"
_KEPT: Final = 1 << 16
"""Quotes of before that are kept: a snapshot may be somewhat older than the updates around it."""
_PRICES: Final = ("bid_price", "ask_price")


def _top_as_quoted(day: Counted) -> Judgement:
    """Off where there are no numbered quotes beside."""
    told = day.known.beside.get(_QUOTES, {})
    differ = told.get("differ", 0)
    return Judgement(not differ if told.get("compared") else None, differ, told)


TOP_AS_QUOTED: Final = Rule(
    "top_as_quoted",
    Severity.WARN,
    "quality",
    "best bid and ask after each message are those of the last quote until its number, where the day has numbered quotes",
    judge=_top_as_quoted,
    effect=Effect.DEGRADES,
    seen_while_normalizing=True,
)


def beside_quotes(book: Iterator[pl.DataFrame], quotes: Iterator[pl.DataFrame]) -> dict[str, Any]:
    """Events of a book whose best prices are not those of the last quote until their number.

    Events before the first quote and behind the last one are left out, and those of a book that has one side only.
    """
    beside, levels = _Numbered(quotes), Levels.none()
    compared = differ = 0
    first: dict[str, Any] = {}
    for block in book:
        played = Played(levels, block)
        levels = played.left()
        found = beside.of(_tops(played, block))
        wrong = found.filter(pl.any_horizontal(pl.col(name) != pl.col(f"{name}_right") for name in _PRICES))
        compared, differ = compared + len(found), differ + len(wrong)
        if len(wrong) and not first:
            first = _told(wrong.sort("row").row(0, named=True))
    return {"compared": compared, "differ": differ, **first} if compared else {"compared": 0}


def _tops(played: Played, block: pl.DataFrame) -> pl.DataFrame:
    """``update_id``, best prices and time after each event of a book with both sides."""
    both = (played.bids != NO_BID) & (played.asks != NO_ASK)
    rows = pl.Series(played.ends[both].astype(np.uint32))
    prices = dict(zip(_PRICES, (played.bids[both], played.asks[both]), strict=True))
    found = block.select("ts_init", update_id="sequence")[rows].with_columns(row=rows, **_decimals_of(prices, block))
    return found.filter(pl.col("update_id") > 0)


def _decimals_of(units: dict[str, Integers], block: pl.DataFrame) -> dict[str, pl.Series]:
    """Units of the last decimal of a block's prices as decimals again."""
    kind = block.schema["price"]
    return {name: decimals(number, kind.scale if isinstance(kind, pl.Decimal) else 0) for name, number in units.items()}


def _told(event: dict[str, Any]) -> dict[str, str]:
    names = {"book": _PRICES, "quoted": tuple(f"{name}_right" for name in _PRICES)}
    return {"first": iso(event["ts_init"])} | {
        what: " / ".join(f"{event[name]:f}" for name in columns) for what, columns in names.items()
    }


class _Numbered:
    """Quotes by rising numbers, some blocks of them at a time."""

    def __init__(self, quotes: Iterator[pl.DataFrame]) -> None:
        self._coming = (block.select("update_id", *_PRICES).drop_nulls("update_id") for block in quotes)
        self._held: pl.DataFrame | None = None

    def of(self, events: pl.DataFrame) -> pl.DataFrame:
        """The events that stand between quotes, each with the last one until its number as ``*_right``."""
        if not len(events):
            return events.with_columns(pl.col(name).alias(f"{name}_right") for name in _PRICES)
        latest = int(str(events["update_id"].max()))
        held: list[pl.DataFrame] = [] if self._held is None else [self._held]
        while (not held or int(str(held[-1]["update_id"].max() or 0)) < latest) and (
            block := next(self._coming, None)
        ) is not None:
            held.append(block)
        quotes = pl.concat(held).sort("update_id", maintain_order=True) if held else None
        self._held = quotes if quotes is None else _needed(quotes, latest)
        if quotes is None or not len(quotes):
            return events.clear().with_columns(pl.col(name).alias(f"{name}_right") for name in _PRICES)
        last = int(str(quotes["update_id"].max()))
        inside = events.filter(pl.col("update_id") <= last).sort("update_id")
        return inside.join_asof(quotes, on="update_id").drop_nulls("bid_price_right")


def _needed(quotes: pl.DataFrame, latest: int) -> pl.DataFrame:
    behind = pl.col("update_id") > latest
    return pl.concat([quotes.filter(~behind).tail(_KEPT), quotes.filter(behind)])
