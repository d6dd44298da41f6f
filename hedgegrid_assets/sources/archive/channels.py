"""What archives give: one channel a kind of file, with the fields that are read from it."""

from typing import Final

import polars as pl

from hedgegrid_assets.model import Channel, Field, Identity, TableMapping
from hedgegrid_assets.tables.bar import OHLCV, Period, made_of_trades
from hedgegrid_assets.tables.funding_rate_update import RATE_DECIMALS
from hedgegrid_assets.tables.quote_tick import QUOTED

CANDLE_GAP_SECONDS: Final = 180.0
"""Candles of one minute: three of them."""
METRICS_GAP_SECONDS: Final = 660.0
"""Two rows of five minutes, and some."""
FUNDING_GAP_SECONDS: Final = 8 * 3_600 + 60.0
"""Three settlements a day; where the rows say how often, as long as that."""

_SYMBOL: Final = Field("symbol", "symbol", "text", "exchange symbol, in files of all symbols", required=False)
_TIME_LINEAGE: Final = {"ts_event": ("time",), "ts_init": ("time",)}


def _time(doc: str) -> Field:
    return Field("ts_event", "time", "text", doc, missing="unknown_time")


def trades(
    archive: str, name: str, *, contiguous: bool, time: str, ids: str = "the venue's id", any_order: bool = False
) -> Channel:
    """Trades (``trade``) or aggregates of them (``aggTrade``).

    ``time``, ``ids``: what the file says of its times and ids; ``any_order``: its rows may stand newest first, or in none.
    """
    members = name == "aggTrade"
    return Channel(
        name=name,
        event=name,
        series=f"{archive}/{name}",
        fields=(
            _time(time),
            _SYMBOL,
            Field("price", "price", "decimal", "quote units"),
            Field("size", "size", "decimal", "base units, or contracts"),
            Field("side", "side", "text", "the taker's side, or is_buyer_maker inverted", missing="missing_side"),
            Field("id", "id", "text", "id of the aggregate" if members else ids),
            *(
                (
                    Field("first_trade_id", "first_trade_id", "integer", "first trade of the aggregate"),
                    Field("last_trade_id", "last_trade_id", "integer", "last trade of the aggregate"),
                )
                if members
                else ()
            ),
        ),
        ts_event=pl.col("ts_event"),
        contiguous_ids=contiguous,
        any_order=any_order,
        tables={
            "trade_tick": TableMapping(
                columns={
                    "price": pl.col("price"),
                    "size": pl.col("size"),
                    "aggressor_side": pl.col("side"),
                    "trade_id": pl.col("id"),
                    "first_trade_id": pl.col("first_trade_id") if members else pl.lit(None, pl.Int64),
                    "last_trade_id": pl.col("last_trade_id") if members else pl.lit(None, pl.Int64),
                },
                lineage=_TIME_LINEAGE
                | {"price": ("price",), "size": ("size",), "aggressor_side": ("side",), "trade_id": ("id",)}
                | ({"first_trade_id": ("first_trade_id",), "last_trade_id": ("last_trade_id",)} if members else {}),
            ),
            **made_of_trades("trade_tick", _TIME_LINEAGE | {"price": ("price",), "size": ("size",)}),
        },
    )


def klines(archive: str, period: Period) -> Channel:
    """Candles of last prices, each as a bar that is known at its close."""
    doc = dict.fromkeys(OHLCV, "quote units") | {"volume": "base units, or contracts"}
    return Channel(
        name=f"klines-{period.short}",
        event=f"klines-{period.short}",
        series=f"{archive}/klines-{period.short}",
        fields=(
            _time("close_time of the candle, ms (us in newer files of spot)"),
            *(Field(name, name, "decimal", doc[name]) for name in OHLCV),
        ),
        ts_event=pl.col("ts_event"),
        contiguous_ids=False,
        gap_seconds=period.gap_seconds,
        identity=Identity.CONTENT,
        tables={
            period.table: TableMapping(
                columns={name: pl.col(name) for name in OHLCV},
                lineage=_TIME_LINEAGE | {name: (name,) for name in OHLCV},
            )
        },
    )


def open_interest(archive: str) -> Channel:
    """What is open, each five minutes; a blank is none of its rows."""
    return Channel(
        name="metrics",
        event="metrics",
        series=f"{archive}/metrics-5m",
        fields=(
            _time("create_time, UTC: the end of five minutes, or their start, as the file's date says"),
            _SYMBOL,
            Field("open_interest", "open_interest", "decimal", "base units, or contracts", required=False),
        ),
        ts_event=pl.col("ts_event"),
        contiguous_ids=False,
        gap_seconds=METRICS_GAP_SECONDS,
        identity=Identity.CONTENT,
        tables={
            "open_interest": TableMapping(
                columns={"open_interest": pl.col("open_interest")},
                lineage=_TIME_LINEAGE | {"open_interest": ("open_interest",)},
                applies=pl.col("open_interest").is_not_null(),
            )
        },
    )


def candles(archive: str, kind: str, table: str, column: str) -> Channel:
    """Candles of one minute as prices: each one's close, when it is known at the earliest."""
    return Channel(
        name=kind,
        event=kind,
        series=f"{archive}/{kind}-1m",
        fields=(
            _time("close_time of the candle, ms (us in newer files of spot)"),
            Field(column, "close", "decimal", "close of the candle, quote units"),
        ),
        ts_event=pl.col("ts_event"),
        contiguous_ids=False,
        gap_seconds=CANDLE_GAP_SECONDS,
        identity=Identity.CONTENT,
        tables={table: TableMapping(columns={column: pl.col(column)}, lineage=_TIME_LINEAGE | {column: ("close",)})},
    )


def quotes(archive: str) -> Channel:
    """Each change of the best bid and ask."""
    doc = {"price": "quote units", "size": "base units, or contracts"}
    return Channel(
        name="bookTicker",
        event="bookTicker",
        series=f"{archive}/bookTicker",
        fields=(
            _time("of the transaction, ms"),
            *(Field(name, name, "decimal", doc[name.partition("_")[2]]) for name in QUOTED),
        ),
        ts_event=pl.col("ts_event"),
        contiguous_ids=False,
        identity=Identity.EVERY_ROW,
        tables={
            "quote_tick": TableMapping(
                columns={name: pl.col(name) for name in QUOTED},
                lineage=_TIME_LINEAGE | {name: (name,) for name in QUOTED},
            )
        },
    )


def funding(archive: str, *, with_interval: bool) -> Channel:
    """Rates that were paid; ``with_interval``: the file says their interval."""
    interval = (Field("interval_hours", "interval_hours", "decimal", "hours between settlements"),)
    return Channel(
        name="fundingRate",
        event="fundingRate",
        series=f"{archive}/fundingRate",
        fields=(
            _time("of the settlement, ms; some ms after the hour"),
            _SYMBOL,
            Field("funding_rate", "funding_rate", "decimal", "fraction per interval", decimals=RATE_DECIMALS),
            *(interval if with_interval else ()),
        ),
        ts_event=pl.col("ts_event"),
        contiguous_ids=False,
        gap_seconds=FUNDING_GAP_SECONDS,
        identity=Identity.CONTENT,
        tables={
            "funding_rate_update": TableMapping(
                columns={
                    "funding_rate": pl.col("funding_rate"),
                    "predicted_funding_rate": pl.lit(None, pl.Decimal(38, RATE_DECIMALS)),
                    "next_funding_time": pl.lit(None, pl.Int64),
                    "interval_minutes": (pl.col("interval_hours") * 60).cast(pl.Int64).cast(pl.UInt16, strict=False)
                    if with_interval
                    else pl.lit(None, pl.UInt16),
                    "is_settlement": pl.lit(value=True),
                },
                lineage=_TIME_LINEAGE
                | {"funding_rate": ("funding_rate",)}
                | ({"interval_minutes": ("interval_hours",)} if with_interval else {}),
            )
        },
    )
