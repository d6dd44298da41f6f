"""The channels of CSV files: one a data type, the same whoever wrote the file."""

from typing import Final

import polars as pl

from hedgegrid_assets.model import Channel, Field, Identity, TableMapping
from hedgegrid_assets.tables.bar import made_of_trades
from hedgegrid_assets.tables.funding_rate_update import RATE_DECIMALS
from hedgegrid_assets.tables.quote_tick import QUOTED

_TIMES: Final = (
    Field("symbol", "symbol", "text", "exchange symbol; without such a column, that of the file", required=False),
    Field(
        "ts_event", "timestamp", "text", "exchange time: s, ms, us or ns since 1970, or text", missing="unknown_time"
    ),
    Field("ts_init", "local_timestamp", "text", "arrival; the exchange time where there is none", required=False),
)
_TIME_LINEAGE: Final = {"ts_event": ("timestamp",)}
_GAPS_OFF: Final = 0.0
"""Nobody knows how often a price or a rate is due, unless the feed says so; trades are watched as all trades are."""


def _trades(name: str, doc: str) -> Channel:
    return Channel(
        name=name,
        event=name,
        series=f"csv/{name}",
        fields=(
            *_TIMES,
            Field("price", "price", "decimal", "quote units"),
            Field("size", "size", "decimal", "base units (contracts where the venue counts them)"),
            Field(
                "side",
                "aggressor_side",
                "text",
                "the taker's side, is_buyer_maker inverted, or the sign",
                required=False,
                missing="missing_side",
            ),
            Field("id", "trade_id", "text", doc, required=False),
            Field("first_trade_id", "first_trade_id", "integer", "first trade of an aggregate", required=False),
            Field("last_trade_id", "last_trade_id", "integer", "last trade of an aggregate", required=False),
        ),
        ts_event=pl.col("ts_event"),
        contiguous_ids=False,
        tables={
            "trade_tick": TableMapping(
                columns={
                    "price": pl.col("price"),
                    "size": pl.col("size"),
                    "aggressor_side": pl.col("side"),
                    "trade_id": pl.col("id"),
                    "first_trade_id": pl.col("first_trade_id"),
                    "last_trade_id": pl.col("last_trade_id"),
                },
                lineage=_TIME_LINEAGE
                | {
                    "price": ("price",),
                    "size": ("size",),
                    "aggressor_side": ("aggressor_side",),
                    "trade_id": ("trade_id",),
                    "first_trade_id": ("first_trade_id",),
                    "last_trade_id": ("last_trade_id",),
                },
            ),
            **made_of_trades("trade_tick", _TIME_LINEAGE | {"price": ("price",), "size": ("size",)}),
        },
    )


def _prices(name: str, table: str, column: str) -> Channel:
    return Channel(
        name=name,
        event=name,
        series=f"csv/{name}",
        fields=(*_TIMES, Field(column, column, "decimal", "quote units; empty: no value in this row", required=False)),
        ts_event=pl.col("ts_event"),
        contiguous_ids=False,
        gap_seconds=_GAPS_OFF,
        identity=Identity.CONTENT,
        tables={
            table: TableMapping(
                columns={column: pl.col(column)},
                lineage=_TIME_LINEAGE | {column: (column,)},
                applies=pl.col(column).is_not_null(),
            )
        },
    )


def _rate(name: str, doc: str) -> Field:
    return Field(name, name, "decimal", doc, required=False, decimals=RATE_DECIMALS)


_FUNDING: Final = Channel(
    name="funding",
    event="funding",
    series="csv/funding",
    fields=(
        *_TIMES,
        _rate("funding_rate", "fraction per interval"),
        _rate("predicted_funding_rate", "the same, next interval"),
        Field("next_funding_time", "next_funding_time", "text", "as the times", required=False),
        Field("interval_minutes", "interval_minutes", "integer", "or interval_hours", required=False),
        Field(
            "settled", "is_settlement", "flag", "a rate that was paid; else what the file says of all", required=False
        ),
    ),
    ts_event=pl.col("ts_event"),
    contiguous_ids=False,
    gap_seconds=_GAPS_OFF,
    identity=Identity.CONTENT,
    tables={
        "funding_rate_update": TableMapping(
            columns={
                "funding_rate": pl.col("funding_rate"),
                "predicted_funding_rate": pl.col("predicted_funding_rate"),
                "next_funding_time": pl.col("next_funding_time"),
                "interval_minutes": pl.col("interval_minutes"),
                "is_settlement": pl.col("settled"),
            },
            lineage=_TIME_LINEAGE
            | {
                "funding_rate": ("funding_rate",),
                "predicted_funding_rate": ("predicted_funding_rate",),
                "next_funding_time": ("next_funding_time",),
                "interval_minutes": ("interval_minutes",),
                "is_settlement": ("is_settlement", "next_funding_time"),
            },
            applies=pl.col("funding_rate").is_not_null(),
        )
    },
)

_QUOTES: Final = Channel(
    name="quotes",
    event="quotes",
    series="csv/quotes",
    fields=(
        *_TIMES,
        *(Field(name, name, "decimal", "empty: this side of the book is empty", required=False) for name in QUOTED),
    ),
    ts_event=pl.col("ts_event"),
    contiguous_ids=False,
    identity=Identity.EVERY_ROW,
    tables={
        "quote_tick": TableMapping(
            columns={name: pl.col(name) for name in QUOTED},
            lineage=_TIME_LINEAGE | {name: (name,) for name in QUOTED},
            applies=pl.all_horizontal(pl.col(*QUOTED).is_not_null()),
        )
    },
)

CHANNELS: Final = (
    _trades("trade", "the venue's id as text; made from the row where there is none"),
    _trades("aggTrade", "id of the aggregate, as text"),
    _prices("mark", "mark_price_update", "mark_price"),
    _prices("index", "index_price_update", "index_price"),
    _FUNDING,
    _QUOTES,
)
