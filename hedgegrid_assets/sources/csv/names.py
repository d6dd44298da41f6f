"""What columns are called: ours, then every name that exchanges, vendors and tools give them."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from hedgegrid_assets.tables.quote_tick import QUOTED

TIMESTAMP: Final = "timestamp"
LOCAL: Final = "local_timestamp"
SYMBOL: Final = "symbol"
CLOCK: Final = "time_of_day"
"""The time of day, where the time column holds days only."""

_TWOFOLD: Final = re.compile(r"([^/(\[]+)([/(\[].*)", re.DOTALL)
_OF_QUOTE: Final = re.compile(r"(?i)quote|usd|eur|turnover|notional|value")
_SQUEEZED: Final = re.compile(r"[\s_\-]+")

ALIASES: Final[Mapping[str, tuple[str, ...]]] = {
    TIMESTAMP: (
        *("time", "datetime", "date", "timestamp"),
        *(
            "transact_time",
            "transaction_time",
            "created_time",
            "trade_time",
            "trade_time_ms",
            "exchange_timestamp",
            "event_time",
            "ts_event",
        ),
        *("ts", "unix", "unix_time", "unix_timestamp", "mts", "T", "calc_time", "funding_time", "open_time", "E"),
        *("funding_rate_timestamp", "settle_time", "settlement_time", "timepoint"),
        *("timestamp_ms", "timestamp_us", "timestamp_ns", "time_ms", "create_time", "executed_at", "date_time"),
    ),
    LOCAL: (
        "local_timestamp",
        "local_time",
        "local_ts",
        "received_at",
        "receive_timestamp",
        "receipt_timestamp",
        "ts_init",
    ),
    SYMBOL: (
        *(
            "symbol",
            "instrument_name",
            "instrument",
            "instrument_id",
            "inst_id",
            "pair",
            "market",
            "ticker",
            "contract",
        ),
        *("currency_pair", "product_id", "s"),
    ),
    "price": ("price", "close", "last", "px", "trade_price", "last_price", "rate", "p"),
    "size": (
        *("size", "volume", "quantity", "amount", "qty"),
        *("vol", "base_volume", "trade_size", "last_size", "base_qty", "q", "v"),
    ),
    "aggressor_side": ("side", "aggressor_side", "taker_side", "direction", "aggressor", "trade_side", "taker"),
    "is_buyer_maker": ("is_buyer_maker", "buyer_is_maker", "buyer_maker", "m"),
    "trade_id": ("trade_id", "id", "tid", "agg_trade_id", "aggregate_trade_id", "trd_match_id", "exec_id", "t", "a"),
    "first_trade_id": ("first_trade_id", "first_id", "f"),
    "last_trade_id": ("last_trade_id", "last_id", "l"),
    "mark_price": ("mark_price", "mark"),
    "index_price": ("index_price", "index"),
    "funding_rate": ("realized_rate", "funding_rate", "last_funding_rate", "r"),
    "predicted_funding_rate": ("predicted_funding_rate", "next_funding_rate", "indicative_funding_rate"),
    "next_funding_time": ("next_funding_time", "next_funding_timestamp", "funding_timestamp"),
    "interval_hours": ("funding_interval_hours", "interval_hours"),
    "interval_minutes": ("interval_minutes", "funding_interval_minutes"),
    "is_settlement": ("is_settlement", "is_settled", "settled"),
    "bid_price": ("bid_price", "best_bid_price", "best_bid", "bid", "bid_px", "bid_px_00", "b"),
    "ask_price": ("ask_price", "best_ask_price", "best_ask", "ask", "ask_px", "ask_px_00", "a"),
    "bid_size": (
        *("bid_size", "bid_amount", "bid_qty", "bid_quantity", "best_bid_qty", "best_bid_size", "best_bid_amount"),
        *("bid_volume", "bid_sz", "bid_sz_00", "B"),
    ),
    "ask_size": (
        *("ask_size", "ask_amount", "ask_qty", "ask_quantity", "best_ask_qty", "best_ask_size", "best_ask_amount"),
        *("ask_volume", "ask_sz", "ask_sz_00", "A"),
    ),
}
"""Our name -> the names looked for, the guide's first. One-letter names count only as they are written."""

VENUE_NAMES: Final = ("exchange", "venue", "exchange_name", "exchange_id", "exchange_code")
"""Columns that hold the venue of a row."""
MAYBE_VENUE_NAMES: Final = ("feed", "source", "market")
"""Columns that hold it where all of their values are venues."""


class DataType(NamedTuple):
    """The columns of a data type.

    Attributes:
        needs: Numbers that it cannot be made without.
        may_have: Others, besides the times and the symbol.
        alone: Names that mean its one number only where the file is said to hold nothing else.
    """

    needs: tuple[str, ...]
    may_have: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()


DATA_TYPES: Final[Mapping[str, DataType]] = {
    "trades": DataType(
        ("price", "size"), ("aggressor_side", "is_buyer_maker", "trade_id", "first_trade_id", "last_trade_id")
    ),
    "mark": DataType(("mark_price",), alone=("price", "close", "p", "value")),
    "index": DataType(("index_price",), alone=("price", "close", "i", "p", "value")),
    "funding": DataType(
        ("funding_rate",),
        ("predicted_funding_rate", "next_funding_time", "interval_hours", "interval_minutes", "is_settlement"),
        alone=("rate", "value"),
    ),
    "quotes": DataType(QUOTED),
}
REQUIRED: Final = {token: (TIMESTAMP, *kind.needs) for token, kind in DATA_TYPES.items()}
"""Data type -> the columns that it cannot be made without."""
OPTIONAL: Final = {token: (LOCAL, SYMBOL, *kind.may_have) for token, kind in DATA_TYPES.items()}
VALUES: Final = {token: kind.needs[0] for token, kind in DATA_TYPES.items() if kind.alone}
"""Data type -> the column of its value."""
NUMBERS: Final = tuple(dict.fromkeys(name for kind in DATA_TYPES.values() for name in kind.needs))
"""All columns that some data type cannot be made without, but the time."""
_CANDLE: Final = re.compile(r"(?:px|price)?(o|h|l|c|open|high|low|close)(?:px|price)?")
_CANDLE_PARTS: Final[Mapping[str, str]] = {"o": "open", "h": "high", "l": "low", "c": "close"}


def squeezed(text: str) -> str:
    """A name without what people write differently: case, blanks, underscores and hyphens."""
    return _SQUEEZED.sub("", text).lower()


def found_by(column: str, names: Sequence[str], token: str | None = None) -> list[int]:
    """Positions of the columns that may be ours, in the order of the names looked for."""
    value = VALUES.get(token or "") == column
    aliases = (*ALIASES[column], *(DATA_TYPES[str(token)].alone if value else ()))
    exact, alike = _places(tuple(names))
    places = (
        place
        for alias in aliases
        for place in (exact.get(alias, ()) if len(alias) == 1 else alike.get(squeezed(alias), ()))
    )
    return list(dict.fromkeys(places))


def alike(name: str, names: Sequence[str]) -> list[int]:
    """Positions of the columns that are called so."""
    return list(_places(tuple(names))[1].get(squeezed(name), ()))


@lru_cache(maxsize=8)
def _places(names: tuple[str, ...]) -> tuple[Mapping[str, list[int]], Mapping[str, list[int]]]:
    """Where each name stands: as it is written, and squeezed; whole names before those that go on behind a slash."""
    exact: dict[str, list[int]] = {}
    alike: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        exact.setdefault(name, []).append(place)
        alike.setdefault(squeezed(name), []).append(place)
    for place, name in enumerate(map(front, names)):
        if name != names[place]:
            exact.setdefault(name, []).append(place)
            alike.setdefault(squeezed(name), []).append(place)
    return exact, alike


def front(name: str) -> str:
    """A name without what follows a slash or a bracket (``size/数量``, ``price (USD)``), unless that is another thing:
    ``volume(quote)`` is no size.
    """
    match = _TWOFOLD.fullmatch(name)
    return name if match is None or _OF_QUOTE.search(match[2]) else match[1].strip()


def canonical(key: str, token: str) -> str | None:
    """Our column that a key of ``columns`` means; None: no such column of this data type."""
    key = key.strip()
    if key == "price" and token in ("mark", "index"):
        return VALUES[token]
    if key == "side" and token == "trades":
        return "aggressor_side"
    return key if key in (*REQUIRED[token], *OPTIONAL[token]) else None


def candles(names: Sequence[str]) -> bool:
    """The file holds candles: no trade is in it."""
    return {candle_part(name) for name in names} >= set(_CANDLE_PARTS.values())


def candle_part(name: str) -> str | None:
    """Which of a candle's four prices a column is: open, high, low or close."""
    found = _CANDLE.fullmatch(squeezed(name))
    return None if found is None else _CANDLE_PARTS[found[1][0]]


# ---------------------------------------------------------------- files without a header line

_INTEGER: Final = r"[0-9]+"
_NUMBER: Final = r"[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_TIME: Final = r"1[0-9]{12}|1[0-9]{15}"
_FLAG: Final = r"(?i:true|false)|0|1"
_SECONDS: Final = r"1[0-9]{9}(?:\.[0-9]+)?"
_MICROSECONDS: Final = r"1[0-9]{9}\.[0-9]{6}"
_SIDE: Final = r"(?i:buy|sell)"

HEADERLESS: Final[tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]] = (
    (
        "Binance aggTrades",
        (_INTEGER, _NUMBER, _NUMBER, _INTEGER, _INTEGER, _TIME, _FLAG),
        ("agg_trade_id", "price", "quantity", "first_trade_id", "last_trade_id", "transact_time", "is_buyer_maker"),
    ),
    (
        "Binance spot aggTrades",
        (_INTEGER, _NUMBER, _NUMBER, _INTEGER, _INTEGER, _TIME, _FLAG, _FLAG),
        (
            *("agg_trade_id", "price", "quantity", "first_trade_id", "last_trade_id", "transact_time"),
            *("is_buyer_maker", "is_best_match"),
        ),
    ),
    (
        "Binance trades",
        (_INTEGER, _NUMBER, _NUMBER, _NUMBER, _TIME, _FLAG),
        ("id", "price", "qty", "quote_qty", "time", "is_buyer_maker"),
    ),
    (
        "Binance spot trades",
        (_INTEGER, _NUMBER, _NUMBER, _NUMBER, _TIME, _FLAG, _FLAG),
        ("id", "price", "qty", "quote_qty", "time", "is_buyer_maker", "is_best_match"),
    ),
    (
        "Binance candles",
        (_TIME, *[_NUMBER] * 5, _TIME, *[_NUMBER] * 5),
        (
            *("open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume", "count"),
            *("taker_buy_volume", "taker_buy_quote_volume", "ignore"),
        ),
    ),
    (
        "Binance funding rates",
        (_TIME, r"[0-9]{1,2}", rf"-?{_NUMBER}"),
        ("calc_time", "funding_interval_hours", "last_funding_rate"),
    ),
    (
        "OKX trades",
        (_INTEGER, _SIDE, _NUMBER, _NUMBER, _TIME),
        ("trade_id", "side", "size", "price", "created_time"),
    ),
    (
        "Gate spot trades",
        (_MICROSECONDS, _INTEGER, _NUMBER, _NUMBER, r"[12]"),
        ("timestamp", "id", "price", "amount", "side"),
    ),
    (
        "Gate futures trades",
        (_MICROSECONDS, _INTEGER, _NUMBER, rf"-?{_NUMBER}"),
        ("timestamp", "id", "price", "size (signed)"),
    ),
    ("Kraken and bitcoincharts trades", (_SECONDS, _NUMBER, _NUMBER), ("time", "price", "volume")),
)
"""Dumps that come without a header line: what they are, the shape of every cell, the names of the columns."""


def headerless(row: Sequence[str]) -> tuple[str, tuple[str, ...]] | None:
    """What a first line of values is, and the names of its columns."""
    for what, shapes, names in HEADERLESS:
        if len(row) == len(shapes) and all(re.fullmatch(shape, cell) for shape, cell in zip(shapes, row, strict=True)):
            return what, names
    return None
