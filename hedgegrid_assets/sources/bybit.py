"""Captured WebSocket messages of Bybit (version 5 of its API), dropped into the landing zone."""

import re
from functools import partial
from typing import Final

import polars as pl

from hedgegrid_assets.model import LOOKED_AT, Channel, Field, Identity, TableMapping
from hedgegrid_assets.sources.formats import enveloped
from hedgegrid_assets.sources.formats.captures import captures
from hedgegrid_assets.sources.formats.enveloped import BOOK, NUMBER, levels, member, message, snapshot, update
from hedgegrid_assets.sources.formats.settings import LandingSettings
from hedgegrid_assets.tables.bar import made_of_trades
from hedgegrid_assets.tables.rules.sides import order_side
from hedgegrid_assets.tables.trade_tick import side
from hedgegrid_assets.timestamps import nanoseconds
from hedgegrid_assets.venues.markets import Says

_TRADE: Final = re.compile(rb'[^\n]*"topic"\s*:\s*"publicTrade\.[^\n]*')
_DIRECTION: Final = re.compile(rb'"L"\s*:\s*"')
_TOPIC: Final = r'"([^"\\.]+(?:\.[0-9]+)?\.[^"\\.]+)"'
_BOOKS: Final = r"^orderbook\.(?:[2-9]|[0-9]{2,})$"
"""Books of more than one level: of one alone, each message is a whole one."""


class BybitSettings(LandingSettings):
    """Of the source ``bybit-websocket``."""


def plain(found: pl.DataFrame) -> pl.DataFrame:
    """See ``enveloped.Plain``: topic and time stand around the objects, those of the engine as well."""
    topic = member("topic", _TOPIC)
    found = found.with_columns(
        event=topic.str.extract(r"^(.+)\.[^.]+$", 1),
        ts=member("ts", NUMBER),
        type=member("type", r'"([a-z]+)"'),
    )
    found = found.with_columns(
        message=message(pl.col("event"), pl.concat_str(pl.lit('"E":'), pl.col("ts"))),
        book=pl.when(pl.col("event").str.contains(_BOOKS)).then(
            pl.concat_str(topic.str.extract(r"([^.]+)$", 1), pl.lit(" "), "event")
        ),
    )
    return enveloped.with_books(found, _book)


def _book(found: pl.DataFrame) -> pl.DataFrame:
    """Messages of a book; one that is neither a snapshot nor changes lacks what a reader needs."""
    number = member("u", NUMBER, "body")
    values = {
        "E": pl.col("ts"),
        "T": member("cts", NUMBER),
        "s": member("s", r'"([^"\\]+)"', "body"),
        "u": number,
        "pu": (number.cast(pl.Int64) - 1).clip(0).cast(pl.String),
        "b": levels("b"),
        "a": levels("a"),
    }
    kind = pl.col("type")
    book = pl.when(kind == "snapshot").then(snapshot(**values)).when(kind == "delta").then(update(**values))
    return found.with_columns(message=pl.coalesce(book, message(pl.lit(BOOK))))


def says(data: bytes) -> Says:
    """Trades of contracts say in which direction the price went; those of spot do not."""
    trades = _TRADE.findall(data[:LOOKED_AT])
    spot = trades and not any(map(_DIRECTION.search, trades))
    return Says("messages of Bybit", venues=("BYBIT",), market="spot" if spot else None)


_TRADES: Final = Channel(
    name="publicTrade",
    event="publicTrade",
    series="bybit/publicTrade",
    fields=(
        Field("symbol", "s", "text", "exchange symbol"),
        Field("price", "p", "decimal", "quote units"),
        Field("size", "v", "decimal", "base units (USD at inverse contracts)"),
        Field("trade_time", "T", "integer", "matched, ms", missing="unknown_time"),
        Field("side", "S", "text", "of the taker", missing="missing_side", words=("Buy", "Sell")),
        Field("id", "i", "text", "trade id", missing="bad_trade_id"),
    ),
    ts_event=nanoseconds(pl.col("trade_time"), ("ms",)),
    contiguous_ids=False,
    tables={
        "trade_tick": TableMapping(
            columns={
                "price": pl.col("price"),
                "size": pl.col("size"),
                "aggressor_side": pl.when(pl.col("side") == "Buy").then(side("BUYER")).otherwise(side("SELLER")),
                "trade_id": pl.col("id"),
                "first_trade_id": pl.lit(None, pl.Int64),
                "last_trade_id": pl.lit(None, pl.Int64),
            },
            lineage=(
                _LINEAGE := {
                    "ts_event": ("T",),
                    "price": ("p",),
                    "size": ("v",),
                    "aggressor_side": ("S",),
                    "trade_id": ("i",),
                }
            ),
        ),
        **made_of_trades("trade_tick", _LINEAGE),
    },
)
# A message of tickers has what has changed: a rate comes without the time when it is paid, so that no settlement could be told.
_TICKERS: Final = Channel(
    name="tickers",
    event="tickers",
    series="bybit/tickers",
    fields=(
        Field("symbol", "symbol", "text", "exchange symbol"),
        Field("event_time", "E", "integer", "ts of the envelope: sent, ms", missing="unknown_time"),
        Field("mark_price", "markPrice", "decimal", "quote units; only where it has changed", required=False),
        Field("index_price", "indexPrice", "decimal", "quote units; only where it has changed", required=False),
        Field("open_interest", "openInterest", "decimal", "base units; only where it has changed", required=False),
    ),
    ts_event=nanoseconds(pl.col("event_time"), ("ms",)),
    contiguous_ids=False,
    identity=Identity.CONTENT,
    tables={
        "mark_price_update": TableMapping(
            columns={"mark_price": pl.col("mark_price")},
            lineage={"ts_event": ("ts",), "mark_price": ("markPrice",)},
            applies=pl.col("mark_price").is_not_null(),
        ),
        "index_price_update": TableMapping(
            columns={"index_price": pl.col("index_price")},
            lineage={"ts_event": ("ts",), "index_price": ("indexPrice",)},
            applies=pl.col("index_price").is_not_null(),
        ),
        "open_interest": TableMapping(
            columns={"open_interest": pl.col("open_interest")},
            lineage={"ts_event": ("ts",), "open_interest": ("openInterest",)},
            applies=pl.col("open_interest").is_not_null(),
        ),
    },
)
_LIQUIDATIONS: Final = Channel(
    name="allLiquidation",
    event="allLiquidation",
    series="bybit/allLiquidation",
    fields=(
        Field("symbol", "s", "text", "exchange symbol"),
        Field("time", "T", "integer", "updated, ms", missing="unknown_time"),
        Field(
            "side",
            "S",
            "text",
            "of the position: Buy, a long was liquidated",
            missing="missing_side",
            words=("Buy", "Sell"),
        ),
        Field("size", "v", "decimal", "executed, base units"),
        Field("price", "p", "decimal", "bankruptcy price, quote units"),
    ),
    ts_event=nanoseconds(pl.col("time"), ("ms",)),
    contiguous_ids=False,
    identity=Identity.CONTENT,
    tables={
        "liquidation": TableMapping(
            columns={
                "side": pl.when(pl.col("side") == "Buy").then(order_side("SELL")).otherwise(order_side("BUY")),
                "price": pl.col("price"),
                "size": pl.col("size"),
                "average_price": pl.lit(None, pl.Decimal(38, 16)),
            },
            lineage={"ts_event": ("T",), "side": ("S",), "price": ("p",), "size": ("v",)},
        )
    },
)
_BOOK: Final = enveloped.book(
    "orderbook",
    "bybit/orderbook",
    {
        "ts_event": ("cts", "ts"),
        **dict.fromkeys(("action", "side", "price", "size"), ("b", "a")),
        "sequence": ("u",),
        "previous": ("u",),
    },
)
_CHANNELS: Final = (_TRADES, _TICKERS, _LIQUIDATIONS, _BOOK)

SOURCE: Final = captures(
    name="bybit-websocket",
    doc="captured WebSocket messages of Bybit (JSONL, plain, gzip or zstd)",
    channels=_CHANNELS,
    open_known=partial(enveloped.open_enveloped, plain=plain),
    says=says,
    settings=BybitSettings,
    venue="BYBIT",
)
