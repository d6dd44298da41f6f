"""Why a day of the earlier pipeline cannot be trusted: each reason once, with what tells it from the rows themselves."""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Final

import polars as pl
from msgspec import Struct

from hedgegrid_assets.housekeeping.legacy.tree import FUNDING, MARK, TRADES, Tree, precisions_of
from hedgegrid_assets.stages.catalog.files import days_in
from hedgegrid_assets.timestamps import NS_PER_SECOND

_MINUTE: Final = 60 * NS_PER_SECOND
_EIGHT_HOURS: Final = 8 * 3_600 * NS_PER_SECOND
_NUMBER: Final = r"^[0-9]{1,18}$"
_OFTEN: Final = 288
"""Funding rates a day above which they are no settlements: one in five minutes."""
_SOME: Final = 20
"""Rows below which nothing is said of how they are spread."""


class Facts(Struct, frozen=True):
    """What a doubt may ask besides the day's rows."""

    tree: Tree
    instrument_id: str
    table: str
    day: date


class Found(Struct, frozen=True):
    """Whether a doubt holds, and of how many rows; None: that cannot be told."""

    yes: bool
    rows: int | None = None


_NO: Final = Found(yes=False)


class Doubt(Struct, frozen=True):
    """``code``: in the table and in JSON; ``why``: for people, once."""

    code: str
    tables: Sequence[str]
    why: str
    look: Callable[[pl.DataFrame, Facts], Found]


def _of(rows: int) -> Found:
    return Found(rows > 0, rows)


def _floats(rows: pl.DataFrame, facts: Facts) -> Found:
    """Side files hold floats; trades say more decimals than their definition has."""
    if facts.table != TRADES:
        return _of(int(rows["is_float"].sum())) if len(rows) else _NO
    known = facts.tree.definitions.get(facts.instrument_id)
    told = [precisions_of(path) for path in facts.tree.files[facts.instrument_id, TRADES]]
    finer = known is not None and any(price > known[0] or size > known[1] for price, size in told)
    return Found(finer and bool(len(rows)), len(rows))


def _arrival(rows: pl.DataFrame, facts: Facts) -> Found:
    if facts.table != TRADES:
        return _of(int((~rows["has_arrival"]).sum())) if len(rows) else _NO
    same = len(rows) > 0 and bool((rows["ts_event"] == rows["ts_init"]).all())
    return Found(same, len(rows))


def _edge(rows: pl.DataFrame, facts: Facts) -> Found:
    """The first and last day of what one run fetched: who arrived after midnight is gone, or of another day."""
    spans = [days_in(path.name) for path in facts.tree.files[facts.instrument_id, TRADES]]
    at_an_end = any(facts.day in (days[0], days[-1]) for days in spans if days)
    return Found(bool(len(rows)) and at_an_end and _arrival(rows, facts).yes)


def _overwritten(rows: pl.DataFrame, facts: Facts) -> Found:
    return Found(not len(rows) and facts.day in facts.tree.trade_days(facts.instrument_id))


def _numbers(rows: pl.DataFrame) -> pl.Series:
    """Ids that are whole numbers."""
    ids = rows["trade_id"].cast(pl.String)
    return ids.filter(ids.str.contains(_NUMBER)).cast(pl.Int64)


def _order(rows: pl.DataFrame, facts: Facts) -> Found:
    del facts
    if len(rows) < 2 or len(numbers := _numbers(rows)) != len(rows):
        return _NO
    same = rows["ts_event"] == rows["ts_event"].shift(1)
    return _of(int((same & (numbers < numbers.shift(1))).sum()))


def _twice(rows: pl.DataFrame, facts: Facts) -> Found:
    del facts
    return _of(len(rows) - rows["trade_id"].n_unique()) if len(rows) else _NO


def _missing(rows: pl.DataFrame, facts: Facts) -> Found:
    """Ids of Binance run on; what is left out between the first and the last was lost."""
    del facts
    numbers = _numbers(rows) if len(rows) else pl.Series("", [], pl.Int64)
    if len(numbers) != len(rows) or not len(rows):
        return _NO
    lost = int(str(numbers.max())) - int(str(numbers.min())) + 1 - numbers.n_unique()
    return _of(lost)


def _one_side(rows: pl.DataFrame, facts: Facts) -> Found:
    del facts
    return Found(len(rows) >= _SOME and rows["aggressor_side"].n_unique() == 1, len(rows))


def _candles(rows: pl.DataFrame, facts: Facts) -> Found:
    del facts
    return Found(len(rows) >= _SOME and bool((rows["ts_event"] % _MINUTE == 0).all()), len(rows))


def _a_second(rows: pl.DataFrame, facts: Facts) -> Found:
    del facts
    return Found(len(rows) > _OFTEN, len(rows))


def _zeros(rows: pl.DataFrame, facts: Facts) -> Found:
    del facts
    return _of(int((rows["funding_rate"] == 0).sum())) if len(rows) else _NO


def _made_up(rows: pl.DataFrame, facts: Facts) -> Found:
    """The next funding is always eight hours after the row itself."""
    del facts
    if len(rows) < 2 or "next_funding_time" not in rows.columns:
        return _NO
    ahead = rows["next_funding_time"] - rows["ts_event"]
    return Found(bool((ahead == _EIGHT_HOURS).all()), len(rows))


DOUBTS: Final = (
    Doubt(
        "floats",
        (TRADES, MARK, FUNDING),
        "prices went through binary floats: trades say 8 decimals where their definition has fewer (Nautilus refuses to mix "
        "them), marks and rates are floats, whose last digits may be others than the exchange's",
        _floats,
    ),
    Doubt(
        "arrival",
        (TRADES, MARK, FUNDING),
        "when a row arrived was thrown away (ts_init is ts_event, or is not there): a backtest sees it earlier than anyone could",
        _arrival,
    ),
    Doubt(
        "edge",
        (TRADES,),
        "days were cut by exchange time while they are recorded by arrival: at the ends of a range rows are lost that came "
        "after midnight; how many, only the rebuilt day tells",
        _edge,
    ),
    Doubt(
        "overwritten",
        (MARK, FUNDING),
        "each run overwrote the file of the one before: there are trades of the day, and no row here",
        _overwritten,
    ),
    Doubt(
        "order", (TRADES,), "trades of one millisecond are not in the order of their ids: the sort mixed them", _order
    ),
    Doubt(
        "ids_twice", (TRADES,), "trades are stored twice: runs overlapped, and only one run looked for doubles", _twice
    ),
    Doubt("ids_missing", (TRADES,), "ids between the first and the last of the day are missing", _missing),
    Doubt("one_side", (TRADES,), "all trades have one side: a missing side became BUY", _one_side),
    Doubt(
        "candles",
        (MARK,),
        "mark prices are the closes of one-minute candles, stamped at their open: a minute before anyone knew them",
        _candles,
    ),
    Doubt(
        "per_second",
        (FUNDING,),
        "one funding rate a second: they are estimates, and which of them was paid is not marked",
        _a_second,
    ),
    Doubt("zeros", (FUNDING,), "rates of exactly zero: a missing rate became 0.0", _zeros),
    Doubt("made_up_time", (FUNDING,), "the next funding is always eight hours after the row: it was made up", _made_up),
)
