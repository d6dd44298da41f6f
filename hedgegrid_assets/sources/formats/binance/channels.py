"""The streams of Binance that tables are made of: their fields, and what each means."""

from typing import Final

import polars as pl

from hedgegrid_assets.model import Channel, Field, Identity, TableMapping
from hedgegrid_assets.tables.bar import OHLCV, PUBLISHED, made_of_trades
from hedgegrid_assets.tables.funding_rate_update import RATE_DECIMALS
from hedgegrid_assets.tables.order_book_deltas import columns_of
from hedgegrid_assets.tables.quote_tick import QUOTED
from hedgegrid_assets.tables.rules.events import BY_LINE
from hedgegrid_assets.tables.rules.sides import ORDER_SIDES
from hedgegrid_assets.tables.trade_tick import side
from hedgegrid_assets.timestamps import nanoseconds


def _nanoseconds(key: str) -> pl.Expr:
    """Exchange time in ns; milliseconds or microseconds (venues are moving to them). Null if it is neither."""
    return nanoseconds(pl.col(key), ("ms", "us"))


_TRADE_FIELDS: Final = (
    Field("symbol", "s", "text", "exchange symbol"),
    Field("price", "p", "decimal", "quote units"),
    Field("size", "q", "decimal", "base units"),
    Field("trade_time", "T", "integer", "matched, ms", required=False),
    Field("event_time", "E", "integer", "sent, ms", required=False),
    Field("buyer_is_maker", "m", "flag", "true: the taker sold", missing="missing_side"),
)
_TRADE_COLUMNS: Final[dict[str, pl.Expr]] = {
    "price": pl.col("price"),
    "size": pl.col("size"),
    "aggressor_side": pl.when("buyer_is_maker").then(side("SELLER")).otherwise(side("BUYER")),
    "trade_id": pl.col("id").cast(pl.String),
}
_TRADE_LINEAGE: Final = {
    "ts_event": ("T", "E"),
    "price": ("p",),
    "size": ("q",),
    "aggressor_side": ("m",),
    "trade_id": ("a",),
}
_TRADE_TIME: Final = (
    pl.when(pl.col("trade_time").is_not_null()).then(_nanoseconds("trade_time")).otherwise(_nanoseconds("event_time"))
)


def channels(venue: str) -> tuple[Channel, ...]:
    """The streams that tables are made of; ``venue`` begins the name of each series."""
    return (
        Channel(
            name="aggTrade",
            event="aggTrade",
            series=f"{venue}/aggTrade",
            fields=(
                *_TRADE_FIELDS,
                Field("id", "a", "integer", "aggregate trade id, contiguous", missing="bad_trade_id"),
                Field("first_id", "f", "integer", "first trade of the aggregate", required=False),
                Field("last_id", "l", "integer", "last trade of the aggregate", required=False),
            ),
            ts_event=_TRADE_TIME,
            tables={
                "trade_tick": TableMapping(
                    columns=_TRADE_COLUMNS | {"first_trade_id": pl.col("first_id"), "last_trade_id": pl.col("last_id")},
                    lineage=_TRADE_LINEAGE | {"first_trade_id": ("f",), "last_trade_id": ("l",)},
                ),
                **made_of_trades("trade_tick", _TRADE_LINEAGE),
            },
        ),
        Channel(
            name="trade",
            event="trade",
            series=f"{venue}/trade",
            fields=(
                *_TRADE_FIELDS,
                Field(
                    "id",
                    "t",
                    "integer",
                    "trade id, contiguous but for ids of rows with another X",
                    missing="bad_trade_id",
                ),
                Field("kind", "X", "text", "MARKET, NA, INSURANCE_FUND or ADL; absent before mid 2020", required=False),
            ),
            ts_event=_TRADE_TIME,
            excludes={
                "excluded_kind_na": pl.col("kind") == "NA",
                "excluded_kind_adl": pl.col("kind") == "ADL",
                "excluded_kind_insurance_fund": pl.col("kind") == "INSURANCE_FUND",
            },
            tables={
                "trade_tick": TableMapping(
                    columns=_TRADE_COLUMNS
                    | {"first_trade_id": pl.lit(None, pl.Int64), "last_trade_id": pl.lit(None, pl.Int64)},
                    lineage=_TRADE_LINEAGE | {"trade_id": ("t",)},
                ),
                **made_of_trades("trade_tick", _TRADE_LINEAGE),
            },
        ),
        Channel(
            name="markPrice",
            event="markPriceUpdate",
            series=f"{venue}/markPrice",
            fields=(
                Field("symbol", "s", "text", "exchange symbol"),
                Field("event_time", "E", "integer", "sent, ms", missing="unknown_time"),
                Field("mark_price", "p", "decimal", "quote units"),
                Field("index_price", "i", "decimal", "quote units; absent before August 2020", required=False),
                Field(
                    "funding_rate",
                    "r",
                    "decimal",
                    "estimate, fraction; empty for dated contracts",
                    required=False,
                    decimals=RATE_DECIMALS,
                ),
                Field("next_funding_time", "T", "integer", "ms; 0 for dated contracts", required=False),
            ),
            ts_event=_nanoseconds("event_time"),
            identity=Identity.CONTENT,
            tables={
                "mark_price_update": TableMapping(
                    columns={"mark_price": pl.col("mark_price")}, lineage={"ts_event": ("E",), "mark_price": ("p",)}
                ),
                "index_price_update": TableMapping(
                    columns={"index_price": pl.col("index_price")},
                    lineage={"ts_event": ("E",), "index_price": ("i",)},
                    applies=pl.col("index_price").is_not_null(),
                ),
                "funding_rate_update": TableMapping(
                    columns={
                        "funding_rate": pl.col("funding_rate"),
                        "predicted_funding_rate": pl.lit(None, pl.Decimal(38, RATE_DECIMALS)),
                        "next_funding_time": _nanoseconds("next_funding_time"),
                        "interval_minutes": pl.lit(None, pl.UInt16),
                    },
                    lineage={
                        "ts_event": ("E",),
                        "funding_rate": ("r",),
                        "next_funding_time": ("T",),
                        "is_settlement": ("T",),
                    },
                    applies=pl.col("funding_rate").is_not_null()
                    & (pl.col("next_funding_time").is_null() | (pl.col("next_funding_time") != 0)),
                ),
            },
        ),
        Channel(
            name="indexPrice",
            event="indexPriceUpdate",
            series=f"{venue}/indexPrice",
            fields=(
                Field("symbol", "i", "text", "pair: BTCUSD for all contracts on it"),
                Field("event_time", "E", "integer", "sent, ms", missing="unknown_time"),
                Field("index_price", "p", "decimal", "quote units"),
            ),
            ts_event=_nanoseconds("event_time"),
            tables={
                "index_price_update": TableMapping(
                    columns={"index_price": pl.col("index_price")}, lineage={"ts_event": ("E",), "index_price": ("p",)}
                )
            },
            identity=Identity.CONTENT,
            symbol_of=pair_of,
        ),
        Channel(
            name="bookTicker",
            event="bookTicker",
            series=f"{venue}/bookTicker",
            fields=(
                Field("symbol", "s", "text", "exchange symbol"),
                Field("update_id", "u", "integer", "of the book as it is told", required=False),
                Field("bid_price", "b", "decimal", "quote units"),
                Field("bid_size", "B", "decimal", "base units"),
                Field("ask_price", "a", "decimal", "quote units"),
                Field("ask_size", "A", "decimal", "base units"),
                Field("trade_time", "T", "integer", "by the matching engine, ms", required=False),
                Field("event_time", "E", "integer", "sent, ms", required=False),
            ),
            ts_event=_TRADE_TIME,
            nameless=True,
            tables={
                "quote_tick": TableMapping(
                    columns={name: pl.col(name) for name in (*QUOTED, "update_id")},
                    lineage={
                        "ts_event": ("T", "E"),
                        "update_id": ("u",),
                        "bid_price": ("b",),
                        "ask_price": ("a",),
                        "bid_size": ("B",),
                        "ask_size": ("A",),
                    },
                    identity=Identity.MOMENT,
                )
            },
        ),
        _klines(venue),
        _forced_orders(venue),
        _depth(venue),
    )


_CANDLES_LATE_SECONDS: Final = 60.0
"""Those of a second may come in bursts."""


def _klines(venue: str) -> Channel:
    """Candles as they grow; a bar is made of the last message of each, which says that it is closed."""
    doc = dict.fromkeys(OHLCV, "quote units") | {"volume": "base units (contracts on coinm)"}
    return Channel(
        name="kline",
        event="kline",
        series=f"{venue}/kline",
        inside="k",
        fields=(
            Field("symbol", "s", "text", "exchange symbol"),
            Field("close_time", "T", "integer", "last ms of the candle", missing="unknown_time"),
            Field("interval", "i", "text", "length: 1m, 1h, ..."),
            *(Field(name, name[0], "decimal", doc[name]) for name in OHLCV),
            Field("closed", "x", "flag", "true: the candle is complete"),
        ),
        ts_event=_nanoseconds("close_time"),
        contiguous_ids=False,
        identity=Identity.CONTENT,
        tables={
            period.table: TableMapping(
                columns={name: pl.col(name) for name in OHLCV},
                lineage={"ts_event": ("T",), **{name: (name[0],) for name in OHLCV}},
                applies=pl.col("closed") & (pl.col("interval") == period.short),
                known_from=pl.col("ts_event"),
                gap_seconds=max(period.gap_seconds, _CANDLES_LATE_SECONDS),
            )
            for period in PUBLISHED
        },
    )


def _depth(venue: str) -> Channel:
    """Changes of the book, and the snapshots that are fetched beside them: a message a line, a row a level."""
    return Channel(
        name="depth",
        event="depthUpdate",
        series=f"{venue}/depth",
        fields=(
            Field("symbol", "s", "text", "exchange symbol"),
            Field("event_time", "E", "integer", "sent, ms", required=False),
            Field("trade_time", "T", "integer", "by the matching engine, ms", required=False),
            Field("first_id", "U", "integer", "first change in the message", required=False),
            Field("last_id", "u", "integer", "last change in the message; lastUpdateId of a snapshot"),
            Field("previous_id", "pu", "integer", "u of the message before; none at spot", required=False),
            Field("bids", "b", "levels", "price and size of levels; size 0: it is gone"),
            Field("asks", "a", "levels", "price and size of levels; size 0: it is gone"),
            Field("is_snapshot", "snapshot", "flag", "the whole book, as far as the venue tells it", required=False),
        ),
        ts_event=_TRADE_TIME,
        contiguous_ids=False,
        identity=Identity.CONTENT,
        tables={
            "order_book_deltas": TableMapping(
                columns=columns_of(
                    pl.col("side"), pl.col("price"), pl.col("size"), pl.col("is_snapshot").fill_null(value=False)
                )
                | {"sequence": pl.col("last_id"), "previous": pl.coalesce("previous_id", pl.col("first_id") - 1)},
                lineage={
                    "ts_event": ("T", "E"),
                    "action": ("b", "a"),
                    "side": ("b", "a"),
                    "price": ("b", "a"),
                    "size": ("b", "a"),
                    "sequence": ("u",),
                    "previous": ("pu", "U"),
                },
                shape=BY_LINE,
            )
        },
    )


def _forced_orders(venue: str) -> Channel:
    """Liquidations; the venue sends the latest of each second."""
    return Channel(
        name="forceOrder",
        event="forceOrder",
        series=f"{venue}/forceOrder",
        inside="o",
        fields=(
            Field("symbol", "s", "text", "exchange symbol"),
            Field(
                "side",
                "S",
                "text",
                "of the order: SELL, a long was liquidated",
                missing="missing_side",
                words=("BUY", "SELL"),
            ),
            Field("price", "p", "decimal", "limit of the order, quote units"),
            Field("average_price", "ap", "decimal", "of the fills", required=False),
            Field("size", "z", "decimal", "filled so far, base units (contracts on coinm)"),
            Field("status", "X", "text", "FILLED, or what came before"),
            Field("trade_time", "T", "integer", "of the order, ms", required=False),
            Field("event_time", "E", "integer", "sent, ms", required=False),
        ),
        ts_event=_TRADE_TIME,
        contiguous_ids=False,
        identity=Identity.CONTENT,
        tables={
            "liquidation": TableMapping(
                columns={
                    "side": pl.col("side").cast(ORDER_SIDES),
                    "price": pl.col("price"),
                    "size": pl.col("size"),
                    "average_price": pl.col("average_price"),
                },
                lineage={
                    "ts_event": ("T", "E"),
                    "side": ("S",),
                    "price": ("p",),
                    "size": ("z",),
                    "average_price": ("ap",),
                },
                applies=pl.col("status") == "FILLED",
            )
        },
    )


def pair_of(symbol: str) -> str:
    """The pair that a contract is on: ``BTCUSD`` for ``BTCUSD_PERP`` and ``BTCUSD_240329``."""
    return symbol.partition("_")[0]


def symbol_key(channel: Channel) -> str:
    """What messages of this stream call the field with their symbol."""
    return next(field.key for field in channel.fields if field.name == "symbol")
