"""The public archives, a row each: where their files lie, how a miss looks, what proves them, which day they mean.

Facts of a row are those that were published by people who mirror the archives, or by the exchange; ``checked`` says
when a person has compared the row with the real server. A row without it is marked untested wherever it is offered.
"""

from collections.abc import Mapping
from datetime import date
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from hedgegrid_assets.model import Channel
from hedgegrid_assets.sources.archive.channels import candles, funding, klines, open_interest, quotes, trades
from hedgegrid_assets.sources.archive.layouts import Columns, Layout
from hedgegrid_assets.tables.bar import OHLCV, PUBLISHED

type Period = Literal["daily", "monthly"]


class Files(Struct, frozen=True):
    """One kind of file of an archive.

    Attributes:
        channel: What its rows are.
        columns: Those that are read, with the dated layouts.
        paths: Period -> path of a file; ``{symbol}``, ``{pair}`` (the symbol without its contract), ``{day}``, ``{month}``,
            ``{ymd}`` and ``{ym}`` (without hyphens) stand in it.
        folders: Period -> the folder in which symbols (or pairs) are folders; for the listing.
        by_pair: Files are of a pair, not of a contract.
        ended: First day that the exchange does not publish any more; None: it goes on.
        known_on: A day that has such files, where nobody here knows how long they went on; None: any.
        into_next: The last row of a day is the first moment of the next one, whose day it is.
    """

    channel: Channel
    columns: Columns
    paths: Mapping[Period, str]
    folders: Mapping[Period, str]
    by_pair: bool = False
    ended: date | None = None
    known_on: date | None = None
    into_next: bool = False

    def path(self, period: Period, symbol: str, day: date) -> str:
        """Path of the file that holds a day."""
        return self.paths[period].format(
            symbol=symbol,
            pair=pair_of(symbol),
            day=day,
            month=f"{day:%Y-%m}",
            ymd=f"{day:%Y%m%d}",
            ym=f"{day:%Y%m}",
        )


class Archive(Struct, frozen=True):
    """One archive.

    Attributes:
        exchange: As Tardis names it.
        name: For people.
        root: Scheme and host.
        files: Kinds of files; of those that give one table, the usual one first.
        listing: ``s3`` with its root in ``listing_root``, ``html``, or none.
        checksum: Ending of the file beside each file that holds its sha256; empty: there is none.
        missing: Statuses of the answer for a file that is not there.
        day_begins: Hour, UTC, of the day before at which a file's day begins; 0: the file is a day of UTC.
        published: When a day can be had.
        checked: When a person last compared this row with the real server.
    """

    exchange: str
    name: str
    root: str
    files: tuple[Files, ...]
    listing: Literal["s3", "html", ""] = ""
    listing_root: str = ""
    checksum: str = ""
    missing: frozenset[int] = frozenset({404})
    day_begins: int = 0
    published: str = "the next day, sometimes days later"
    checked: date | None = None

    def kind(self, channel: str) -> Files:
        """The kind of file of a channel."""
        return next(files for files in self.files if files.channel.name == channel)


def pair_of(symbol: str) -> str:
    """``BTCUSD`` of ``BTCUSD_PERP`` and of ``BTCUSD_240329``."""
    return symbol.split("_")[0]


# ---------------------------------------------------------------- Binance

_VISION: Final = "https://data.binance.vision"
_VISION_LIST: Final = "https://s3-ap-northeast-1.amazonaws.com/data.binance.vision"
_HEADER_SINCE: Final = date(2022, 8, 11)
_BINANCE: Final = "binance-archive"
_MS: Final = "ms"
_SPOT_TIME: Final = "ms; us since 2025-01-01"
_MAKER: Final = ("is_buyer_maker", "isBuyerMaker", "buyer_is_maker", "m")

_AGG_NAMES: Final = (
    "agg_trade_id",
    "price",
    "quantity",
    "first_trade_id",
    "last_trade_id",
    "transact_time",
    "is_buyer_maker",
)
_AGG_READ: Final[Mapping[str, tuple[str, ...]]] = {
    "id": ("agg_trade_id", "aggregate_trade_id", "a"),
    "price": ("price", "p"),
    "size": ("quantity", "qty", "q"),
    "first_trade_id": ("first_trade_id", "f"),
    "last_trade_id": ("last_trade_id", "l"),
    "time": ("transact_time", "timestamp", "time", "T"),
    "side": _MAKER,
}
_TRADE_NAMES: Final = ("id", "price", "qty", "quote_qty", "time", "is_buyer_maker")
_TRADE_READ: Final[Mapping[str, tuple[str, ...]]] = {
    "id": ("id", "trade_id"),
    "price": ("price",),
    "size": ("qty", "quantity"),
    "time": ("time", "timestamp"),
    "side": _MAKER,
}
_CANDLE_NAMES: Final = (
    *("open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume", "count"),
    *("taker_buy_volume", "taker_buy_quote_volume", "ignore"),
)
_CANDLES: Final = Columns(
    (Layout(_CANDLE_NAMES, header=False), Layout(_CANDLE_NAMES, header=True, since=_HEADER_SINCE)),
    {"time": ("close_time",), "close": ("close",)},
)
_KLINES: Final = Columns(_CANDLES.layouts, {"time": ("close_time",), **{name: (name,) for name in OHLCV}})
_SPOT_KLINES: Final = Columns((Layout(_CANDLE_NAMES, header=False),), _KLINES.read)
_PERIODS: Final = tuple(period for period in PUBLISHED if period.short in {"1m", "5m", "15m", "1h", "4h", "1d"})
"""Of bars that are taken as they are published; others are made of trades."""
_FUNDING: Final = Columns(
    (Layout(("calc_time", "funding_interval_hours", "last_funding_rate"), header=True),),
    {
        "time": ("calc_time",),
        "interval_hours": ("funding_interval_hours",),
        "funding_rate": ("last_funding_rate", "funding_rate"),
    },
)


_METRICS_NAMES: Final = (
    *("create_time", "symbol", "sum_open_interest", "sum_open_interest_value", "count_toptrader_long_short_ratio"),
    *("sum_toptrader_long_short_ratio", "count_long_short_ratio", "sum_taker_long_short_vol_ratio"),
)
_METRICS_READ: Final = {"time": ("create_time",), "symbol": ("symbol",), "open_interest": ("sum_open_interest",)}
_BY_START: Final = Layout(_METRICS_NAMES, header=True, label_seconds=300)
_METRICS: Final[Mapping[str, tuple[Layout, ...]]] = {
    "futures/um": (Layout(_METRICS_NAMES, header=True), replace(_BY_START, since=date(2026, 6, 25))),
    "futures/cm": (_BY_START,),
}
"""Market -> layouts: since that day rows of USD-M are labelled by the start of their five minutes, as those of COIN-M ever were."""


_QUOTES: Final = Columns(
    (
        Layout(
            (
                *("update_id", "best_bid_price", "best_bid_qty", "best_ask_price", "best_ask_qty"),
                *("transaction_time", "event_time"),
            ),
            header=True,
        ),
    ),
    {
        "time": ("transaction_time",),
        "bid_price": ("best_bid_price",),
        "bid_size": ("best_bid_qty",),
        "ask_price": ("best_ask_price",),
        "ask_size": ("best_ask_qty",),
    },
)
_QUOTES_ENDED: Final[Mapping[str, date]] = {"futures/um": date(2024, 3, 31)}
_QUOTES_KNOWN_ON: Final = date(2024, 3, 1)


def _dated(names: tuple[str, ...]) -> tuple[Layout, ...]:
    return (Layout(names, header=False), Layout(names, header=True, since=_HEADER_SINCE))


def _vision(
    market: str,
    kind: str,
    channel: Channel,
    columns: Columns,
    *,
    of: str = "{symbol}",
    interval: str = "",
    daily: bool = True,
    monthly: bool = True,
) -> Files:
    """``data/<market>/<period>/<type>/<symbol>[/<interval>]/<symbol>-<type or interval>-<date>.zip``."""
    dates: dict[Period, str] = {"daily": "{day}", "monthly": "{month}"}
    periods: tuple[Period, ...] = (*(("daily",) if daily else ()), *(("monthly",) if monthly else ()))
    folder = f"{of}/{interval}" if interval else of
    return Files(
        channel,
        columns,
        {
            period: f"/data/{market}/{period}/{kind}/{folder}/{of}-{interval or kind}-{dates[period]}.zip"
            for period in periods
        },
        {period: f"data/{market}/{period}/{kind}/" for period in periods},
        by_pair=of == "{pair}",
    )


def _bars(market: str, columns: Columns) -> tuple[Files, ...]:
    return tuple(
        _vision(market, "klines", klines(_BINANCE, period), columns, interval=period.short) for period in _PERIODS
    )


def _binance_futures(exchange: str, name: str, market: str, quote_quantity: str, index_of: str) -> Archive:
    aggregates = Columns(_dated(_AGG_NAMES), _AGG_READ)
    single = Columns(
        _dated(tuple(quote_quantity if name == "quote_qty" else name for name in _TRADE_NAMES)), _TRADE_READ
    )
    mark = candles(_BINANCE, "markPriceKlines", "mark_price_update", "mark_price")
    index = candles(_BINANCE, "indexPriceKlines", "index_price_update", "index_price")
    return Archive(
        exchange=exchange,
        name=name,
        root=_VISION,
        files=(
            _vision(market, "aggTrades", trades(_BINANCE, "aggTrade", contiguous=True, time=_MS), aggregates),
            _vision(market, "trades", trades(_BINANCE, "trade", contiguous=False, time=_MS), single),
            _vision(market, "markPriceKlines", mark, _CANDLES, interval="1m"),
            _vision(market, "indexPriceKlines", index, _CANDLES, of=index_of, interval="1m"),
            _vision(market, "fundingRate", funding(_BINANCE, with_interval=True), _FUNDING, daily=False),
            replace(
                _vision(market, "bookTicker", quotes(_BINANCE), _QUOTES, monthly=False),
                ended=_QUOTES_ENDED.get(market),
                known_on=_QUOTES_KNOWN_ON,
            ),
            *_bars(market, _KLINES),
            replace(
                _vision(
                    market,
                    "metrics",
                    open_interest(_BINANCE),
                    Columns(_METRICS[market], _METRICS_READ),
                    monthly=False,
                ),
                into_next=True,
            ),
        ),
        listing="s3",
        listing_root=_VISION_LIST,
        checksum=".CHECKSUM",
    )


_BINANCE_SPOT: Final = Archive(
    exchange="binance",
    name="Binance spot",
    root=_VISION,
    files=(
        _vision(
            "spot",
            "aggTrades",
            trades(_BINANCE, "aggTrade", contiguous=True, time=_SPOT_TIME),
            Columns((Layout((*_AGG_NAMES, "is_best_match"), header=False),), _AGG_READ),
        ),
        _vision(
            "spot",
            "trades",
            trades(_BINANCE, "trade", contiguous=True, time=_SPOT_TIME),
            Columns((Layout((*_TRADE_NAMES, "is_best_match"), header=False),), _TRADE_READ),
        ),
        *_bars("spot", _SPOT_KLINES),
    ),
    listing="s3",
    listing_root=_VISION_LIST,
    checksum=".CHECKSUM",
)

# ---------------------------------------------------------------- Bybit

_BYBIT_TRADES: Final = Columns(
    (
        Layout(
            (
                *("timestamp", "symbol", "side", "size", "price", "tickDirection", "trdMatchID", "grossValue"),
                *("homeNotional", "foreignNotional"),
            ),
            header=True,
            more=("RPI",),
        ),
    ),
    {
        "time": ("timestamp",),
        "symbol": ("symbol",),
        "side": ("side",),
        "size": ("size",),
        "price": ("price",),
        "id": ("trdMatchID",),
    },
)
_BYBIT: Final = Archive(
    exchange="bybit",
    name="Bybit perpetuals and futures",
    root="https://public.bybit.com",
    files=(
        Files(
            trades("bybit-archive", "trade", contiguous=False, time="s, with up to four decimals", any_order=True),
            _BYBIT_TRADES,
            {"daily": "/trading/{symbol}/{symbol}{day}.csv.gz"},
            {"daily": "trading/"},
        ),
    ),
    listing="html",
    listing_root="https://public.bybit.com",
)
_BYBIT_SPOT: Final = Archive(
    exchange="bybit-spot",
    name="Bybit spot",
    root="https://public.bybit.com",
    files=(
        Files(
            trades(
                "bybit-archive", "trade", contiguous=False, time=_MS, ids="number of the row in the file of its day"
            ),
            Columns(
                (Layout(("id", "timestamp", "price", "volume", "side"), header=True, more=("rpi",)),),
                {"id": ("id",), "time": ("timestamp",), "price": ("price",), "size": ("volume",), "side": ("side",)},
            ),
            {"daily": "/spot/{symbol}/{symbol}_{day}.csv.gz"},
            {"daily": "spot/"},
        ),
    ),
    listing="html",
    listing_root="https://public.bybit.com",
)

# ---------------------------------------------------------------- OKX

_OKX_ROOT: Final = "https://static.okx.com"
_OKX_TRADES: Final = Files(
    trades("okx-archive", "trade", contiguous=True, time=_MS),
    Columns(
        (
            Layout(
                ("instrument_name", "trade_id", "side", "price", "size", "created_time"), header=True, more=("source",)
            ),
        ),
        {
            "symbol": ("instrument_name", "instId"),
            "id": ("trade_id",),
            "side": ("side",),
            "price": ("price",),
            "size": ("size",),
            "time": ("created_time",),
        },
    ),
    {"daily": "/cdn/okex/traderecords/trades/daily/{ymd}/{symbol}-trades-{day}.zip"},
    {},
)
_OKX_FUNDING: Final = Files(
    funding("okx-archive", with_interval=False),
    Columns(
        (Layout(("instrument_name", "funding_rate", "funding_time"), header=True),),
        {"symbol": ("instrument_name",), "funding_rate": ("funding_rate",), "time": ("funding_time",)},
    ),
    {"daily": "/cdn/okex/traderecords/swaprates/daily/{ymd}/allswap-fundingrates-{day}.zip"},
    {},
)

# ---------------------------------------------------------------- all of them

ARCHIVES: Final[Mapping[str, Archive]] = {
    archive.exchange: archive
    for archive in (
        _binance_futures("binance-futures", "Binance USD-M", "futures/um", "quote_qty", "{symbol}"),
        _binance_futures("binance-delivery", "Binance COIN-M", "futures/cm", "base_qty", "{pair}"),
        _BINANCE_SPOT,
        _BYBIT,
        _BYBIT_SPOT,
        Archive("okex-swap", "OKX swaps", _OKX_ROOT, (_OKX_TRADES, _OKX_FUNDING), day_begins=16),
        Archive("okex", "OKX spot", _OKX_ROOT, (_OKX_TRADES,), day_begins=16),
    )
}
"""Exchange, as Tardis names it -> its archive."""

UNTESTED: Final = frozenset({"bybit-spot", "okex-swap", "okex"})
"""Written after what others describe; no row of them was compared with a file, real or as described to the last detail."""
