"""The data sets that tables are made of: their columns, and what becomes of them."""

from typing import Final

import polars as pl

from hedgegrid_assets.model import Channel, Field, Identity, TableMapping
from hedgegrid_assets.tables import order_book_depths as depths
from hedgegrid_assets.tables.bar import made_of_trades
from hedgegrid_assets.tables.funding_rate_update import RATE_DECIMALS
from hedgegrid_assets.tables.order_book_deltas import columns_of
from hedgegrid_assets.tables.quote_tick import QUOTED
from hedgegrid_assets.tables.rules.events import BY_ARRIVAL
from hedgegrid_assets.tables.rules.sides import order_side
from hedgegrid_assets.tables.trade_tick import side
from hedgegrid_assets.timestamps import nanoseconds

_TIMES: Final = (
    Field("timestamp", "timestamp", "integer", "exchange time, us", missing="unknown_time"),
    Field("local_timestamp", "local_timestamp", "integer", "received by Tardis, us", missing="unknown_time"),
)


def channels(exchange: str) -> tuple[Channel, ...]:
    """The data types that tables are made of."""
    return (
        Channel(
            name="trades",
            event="trades",
            series=f"{exchange}/trade",
            fields=(
                *_TIMES,
                Field("symbol", "symbol", "text", "exchange symbol"),
                Field("id", "id", "text", "the venue's id; may be empty", required=False),
                Field("side", "side", "text", "of the taker: buy, sell or unknown", required=False),
                Field("price", "price", "decimal", "quote units"),
                Field("size", "amount", "decimal", "base units, or contracts"),
            ),
            ts_event=nanoseconds(pl.col("timestamp")),
            contiguous_ids=False,  # the venue's rows that are no market trades are left out, with their ids
            tables={
                "trade_tick": TableMapping(
                    columns={
                        "price": pl.col("price"),
                        "size": pl.col("size"),
                        "aggressor_side": pl.when(pl.col("side") == "buy")
                        .then(side("BUYER"))
                        .when(pl.col("side") == "sell")
                        .then(side("SELLER"))
                        .otherwise(side("NO_AGGRESSOR")),
                        "trade_id": pl.col("id"),
                        "first_trade_id": pl.lit(None, pl.Int64),
                        "last_trade_id": pl.lit(None, pl.Int64),
                    },
                    lineage={
                        "ts_event": ("timestamp",),
                        "ts_init": ("local_timestamp",),
                        "price": ("price",),
                        "size": ("amount",),
                        "aggressor_side": ("side",),
                        "trade_id": ("id",),
                    },
                    made_ids=pl.col("made_id"),
                ),
                **made_of_trades(
                    "trade_tick", {"ts_init": ("local_timestamp",), "price": ("price",), "size": ("amount",)}
                ),
            },
        ),
        Channel(
            name="derivative_ticker",
            event="derivative_ticker",
            series=f"{exchange}/derivative_ticker",
            fields=(
                *_TIMES,
                Field("symbol", "symbol", "text", "exchange symbol"),
                Field("funding_timestamp", "funding_timestamp", "integer", "next funding, us", required=False),
                Field(
                    "funding_rate",
                    "funding_rate",
                    "decimal",
                    "estimate, fraction per interval",
                    required=False,
                    decimals=RATE_DECIMALS,
                ),
                Field(
                    "predicted_funding_rate",
                    "predicted_funding_rate",
                    "decimal",
                    "for the interval after",
                    required=False,
                    decimals=RATE_DECIMALS,
                ),
                Field("index_price", "index_price", "decimal", "quote units", required=False),
                Field("mark_price", "mark_price", "decimal", "quote units", required=False),
            ),
            ts_event=nanoseconds(pl.col("timestamp")),
            contiguous_ids=False,
            gap_seconds=60.0,  # a row only where a value changed
            identity=Identity.CONTENT,
            tables={
                "mark_price_update": TableMapping(
                    columns={"mark_price": pl.col("mark_price")},
                    lineage={"ts_event": ("timestamp",), "mark_price": ("mark_price",)},
                    applies=pl.col("mark_price").is_not_null(),
                ),
                "index_price_update": TableMapping(
                    columns={"index_price": pl.col("index_price")},
                    lineage={"ts_event": ("timestamp",), "index_price": ("index_price",)},
                    applies=pl.col("index_price").is_not_null(),
                ),
                "funding_rate_update": TableMapping(
                    columns={
                        "funding_rate": pl.col("funding_rate"),
                        "predicted_funding_rate": pl.col("predicted_funding_rate"),
                        "next_funding_time": nanoseconds(pl.col("funding_timestamp")),
                        "interval_minutes": pl.lit(None, pl.UInt16),
                    },
                    lineage={
                        "ts_event": ("timestamp",),
                        "funding_rate": ("funding_rate",),
                        "predicted_funding_rate": ("predicted_funding_rate",),
                        "next_funding_time": ("funding_timestamp",),
                        "is_settlement": ("funding_timestamp",),
                    },
                    applies=pl.col("funding_rate").is_not_null(),
                    identity=Identity.MOMENT,
                ),
            },
        ),
        Channel(
            name="quotes",
            event="quotes",
            series=f"{exchange}/quotes",
            fields=(
                *_TIMES,
                Field("symbol", "symbol", "text", "exchange symbol"),
                Field("ask_size", "ask_amount", "decimal", "base units, or contracts; empty: no asks", required=False),
                Field("ask_price", "ask_price", "decimal", "quote units; empty: no asks", required=False),
                Field("bid_price", "bid_price", "decimal", "quote units; empty: no bids", required=False),
                Field("bid_size", "bid_amount", "decimal", "base units, or contracts; empty: no bids", required=False),
            ),
            ts_event=nanoseconds(pl.col("timestamp")),
            contiguous_ids=False,
            identity=Identity.EVERY_ROW,
            tables={
                "quote_tick": TableMapping(
                    columns={name: pl.col(name) for name in QUOTED},
                    lineage={
                        "ts_event": ("timestamp",),
                        "ts_init": ("local_timestamp",),
                        "bid_price": ("bid_price",),
                        "ask_price": ("ask_price",),
                        "bid_size": ("bid_amount",),
                        "ask_size": ("ask_amount",),
                    },
                    applies=pl.all_horizontal(pl.col(*QUOTED).is_not_null()),
                )
            },
        ),
        _liquidations(exchange),
        _open_interest(exchange),
        _book_changes(exchange),
        _book_pictures(exchange, 25),
        _book_pictures(exchange, 5),
    )


def _liquidations(exchange: str) -> Channel:
    side = pl.col("side")
    return Channel(
        name="liquidations",
        event="liquidations",
        series=f"{exchange}/liquidations",
        fields=(
            *_TIMES,
            Field("symbol", "symbol", "text", "exchange symbol"),
            Field(
                "side",
                "side",
                "text",
                "of the forced order: buy, a short was liquidated",
                missing="missing_side",
                words=("buy", "sell", "unknown"),
            ),
            Field("price", "price", "decimal", "quote units"),
            Field("size", "amount", "decimal", "base units, or contracts"),
        ),
        ts_event=nanoseconds(pl.col("timestamp")),
        contiguous_ids=False,
        identity=Identity.EVERY_ROW,
        tables={
            "liquidation": TableMapping(
                columns={
                    "side": pl.when(side == "buy")
                    .then(order_side("BUY"))
                    .when(side == "sell")
                    .then(order_side("SELL"))
                    .otherwise(order_side("NO_ORDER_SIDE")),
                    "price": pl.col("price"),
                    "size": pl.col("size"),
                    "average_price": pl.lit(None, pl.Decimal(38, 16)),
                },
                lineage={
                    "ts_event": ("timestamp",),
                    "ts_init": ("local_timestamp",),
                    "side": ("side",),
                    "price": ("price",),
                    "size": ("amount",),
                },
            )
        },
    )


def _book_changes(exchange: str) -> Channel:
    """Changes of the book; what arrived together was one message."""
    columns = columns_of(
        pl.when(pl.col("side") == "bid").then(order_side("BUY")).otherwise(order_side("SELL")),
        pl.col("price"),
        pl.col("size"),
        pl.col("is_snapshot") == "true",
    )
    return Channel(
        name="incremental_book_L2",
        event="incremental_book_L2",
        series=f"{exchange}/incremental_book_L2",
        fields=(
            *_TIMES,
            Field("symbol", "symbol", "text", "exchange symbol"),
            Field("is_snapshot", "is_snapshot", "text", "true: of the whole book", words=("true", "false")),
            Field("side", "side", "text", "bid or ask", missing="missing_side", words=("bid", "ask")),
            Field("price", "price", "decimal", "of the level, quote units"),
            Field("size", "amount", "decimal", "base units, or contracts; 0: the level is gone"),
        ),
        ts_event=nanoseconds(pl.col("timestamp")),
        contiguous_ids=False,
        identity=Identity.EVERY_ROW,
        tables={
            "order_book_deltas": TableMapping(
                columns=columns | {"sequence": pl.lit(0, pl.Int64), "previous": pl.lit(None, pl.Int64)},
                lineage={
                    "ts_event": ("timestamp",),
                    "ts_init": ("local_timestamp",),
                    "action": ("is_snapshot", "amount"),
                    "side": ("side",),
                    "price": ("price",),
                    "size": ("amount",),
                    "flags": ("is_snapshot", "local_timestamp"),
                },
                shape=BY_ARRIVAL,
            )
        },
    )


def _book_pictures(exchange: str, levels: int) -> Channel:
    """The best levels of the book, of which the best ten are read; an empty cell: there is no such level."""
    name = f"book_snapshot_{levels}"
    there = range(min(levels, depths.LEVELS))
    keys = {
        f"{side}_{what}_{level}": f"{side}s[{level}].{key}"
        for side in depths.SIDES
        for what, key in (("price", "price"), ("size", "amount"))
        for level in there
    }
    nothing = pl.lit(0, pl.Decimal(38, 16))

    def column(side: str, what: str, level: int) -> pl.Expr:
        field = f"{side}_{what}_{level}"
        return pl.col(field).fill_null(nothing) if field in keys else nothing

    def count(side: str, level: int) -> pl.Expr:
        return column(side, "price", level).gt(0).cast(pl.UInt32) if level in there else pl.lit(0, pl.UInt32)

    every = [(side, level) for side in depths.SIDES for level in range(depths.LEVELS)]
    values = {
        f"{side}_{what}_{level}": column(side, what, level) for what in ("price", "size") for side, level in every
    }
    return Channel(
        name=name,
        event=name,
        series=f"{exchange}/{name}",
        fields=(
            *_TIMES,
            Field("symbol", "symbol", "text", "exchange symbol"),
            *(
                Field(field, key, "decimal", "quote units, base units or contracts", required=False)
                for field, key in keys.items()
            ),
        ),
        ts_event=nanoseconds(pl.col("timestamp")),
        contiguous_ids=False,
        identity=Identity.EVERY_ROW,
        tables={
            "order_book_depths": TableMapping(
                columns=values
                | {f"{side}_count_{level}": count(side, level) for side, level in every}
                | {"flags": pl.lit(depths.SNAPSHOT_AND_LAST, pl.UInt8), "sequence": pl.lit(0, pl.Int64)},
                lineage={
                    "ts_event": ("timestamp",),
                    "ts_init": ("local_timestamp",),
                    **{field: (key,) for field, key in keys.items()},
                },
            )
        },
    )


def _open_interest(exchange: str) -> Channel:
    """Of the tickers: polled, and so told under the time of the mark price before it; only its arrival is its own."""
    return Channel(
        name="open_interest",
        event="derivative_ticker",
        series=f"{exchange}/open_interest",
        fields=(
            _TIMES[1],
            Field("symbol", "symbol", "text", "exchange symbol"),
            Field("open_interest", "open_interest", "decimal", "base units, or contracts", required=False),
        ),
        ts_event=nanoseconds(pl.col("local_timestamp")),
        contiguous_ids=False,
        identity=Identity.EVERY_ROW,
        tables={
            "open_interest": TableMapping(
                columns={"open_interest": pl.col("open_interest")},
                lineage={
                    "ts_event": ("local_timestamp",),
                    "ts_init": ("local_timestamp",),
                    "open_interest": ("open_interest",),
                },
                applies=pl.col("open_interest").is_not_null(),
            )
        },
    )
