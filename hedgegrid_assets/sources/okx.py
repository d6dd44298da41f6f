"""Captured WebSocket messages of OKX (version 5 of its API), dropped into the landing zone."""

from functools import partial
from typing import Final

import polars as pl

from hedgegrid_assets.model import Channel, Field, Identity, TableMapping
from hedgegrid_assets.sources.formats import enveloped
from hedgegrid_assets.sources.formats.captures import captures
from hedgegrid_assets.sources.formats.enveloped import BOOK, NUMBER, levels, member, message, snapshot, update
from hedgegrid_assets.sources.formats.settings import LandingSettings
from hedgegrid_assets.tables.bar import made_of_trades
from hedgegrid_assets.tables.funding_rate_update import RATE_DECIMALS
from hedgegrid_assets.tables.quote_tick import QUOTED
from hedgegrid_assets.tables.trade_tick import side
from hedgegrid_assets.timestamps import nanoseconds
from hedgegrid_assets.venues.markets import Says

_VENUES: Final = ("OKX", "OKEX")
_BOOKS: Final = ("books", "books-l2-tbt", "books50-l2-tbt")
"""Streams of changes; the others of their kind are a picture each time."""


class OkxSettings(LandingSettings):
    """Of the source ``okx-websocket``."""


def plain(found: pl.DataFrame) -> pl.DataFrame:
    """See ``enveloped.Plain``: times are texts, and only the envelope says whose a book is."""
    found = found.with_columns(
        event=member("channel", r'"([^"\\]+)"'),
        action=member("action", r'"([a-z]+)"'),
        body=pl.col("body").str.replace_all(r'"(ts|fundingTime)":"([0-9]{1,18})"', '"${1}":${2}'),
    )
    symbol = member("instId", r'"([^"\\]+)"')
    found = found.with_columns(
        message=message(pl.col("event")),
        book=pl.when(pl.col("event").is_in(_BOOKS)).then(pl.concat_str(symbol, pl.lit(" "), "event")),
    )
    return enveloped.with_books(found, _book)


def _book(found: pl.DataFrame) -> pl.DataFrame:
    """Messages of a book; one that is neither a snapshot nor changes lacks what a reader needs."""
    values = {
        "E": member("ts", NUMBER, "body"),
        "s": member("instId", r'"([^"\\]+)"'),
        "u": member("seqId", NUMBER, "body"),
        "pu": member("prevSeqId", NUMBER, "body"),
        "b": levels("bids"),
        "a": levels("asks"),
    }
    kind = pl.col("action")
    book = pl.when(kind == "snapshot").then(snapshot(**values)).when(kind == "update").then(update(**values))
    return found.with_columns(message=pl.coalesce(book, message(pl.lit(BOOK))))


def says(data: bytes) -> Says:
    """Whose messages they are; what a symbol is traded as, its form says."""
    del data
    return Says("messages of OKX", venues=_VENUES)


def index_of(symbol: str) -> str:
    """The index that a contract is on: ``BTC-USDT`` for ``BTC-USDT-SWAP``."""
    return "-".join(symbol.split("-")[:2])


_SYMBOL: Final = Field("symbol", "instId", "text", "exchange symbol")
_TIME: Final = Field("time", "ts", "integer", "by the venue, ms", missing="unknown_time")
_TS_EVENT: Final = nanoseconds(pl.col("time"), ("ms",))
_LINEAGE: Final[dict[str, tuple[str, ...]]] = {
    "ts_event": ("ts",),
    "price": ("px",),
    "size": ("sz",),
    "aggressor_side": ("side",),
    "trade_id": ("tradeId",),
}
_TRADES: Final = Channel(
    name="trades",
    event="trades",
    series="okx/trades",
    fields=(
        _SYMBOL,
        _TIME,
        Field("price", "px", "decimal", "quote units"),
        Field("size", "sz", "decimal", "base units, or contracts"),
        Field("side", "side", "text", "of the taker", missing="missing_side", words=("buy", "sell")),
        Field("id", "tradeId", "text", "of the last trade of the aggregate", missing="bad_trade_id"),
    ),
    ts_event=_TS_EVENT,
    contiguous_ids=False,
    tables={
        "trade_tick": TableMapping(
            columns={
                "price": pl.col("price"),
                "size": pl.col("size"),
                "aggressor_side": pl.when(pl.col("side") == "buy").then(side("BUYER")).otherwise(side("SELLER")),
                "trade_id": pl.col("id"),
                "first_trade_id": pl.lit(None, pl.Int64),
                "last_trade_id": pl.lit(None, pl.Int64),
            },
            lineage=_LINEAGE,
        ),
        **made_of_trades("trade_tick", _LINEAGE),
    },
)
_TICKERS: Final = Channel(
    name="tickers",
    event="tickers",
    series="okx/tickers",
    fields=(
        _SYMBOL,
        _TIME,
        Field("bid_price", "bidPx", "decimal", "quote units"),
        Field("bid_size", "bidSz", "decimal", "base units, or contracts"),
        Field("ask_price", "askPx", "decimal", "quote units"),
        Field("ask_size", "askSz", "decimal", "base units, or contracts"),
    ),
    ts_event=_TS_EVENT,
    contiguous_ids=False,
    identity=Identity.CONTENT,
    tables={
        "quote_tick": TableMapping(
            columns={name: pl.col(name) for name in QUOTED},
            lineage={
                "ts_event": ("ts",),
                "bid_price": ("bidPx",),
                "ask_price": ("askPx",),
                "bid_size": ("bidSz",),
                "ask_size": ("askSz",),
            },
        )
    },
)


def _of_one_value(name: str, field: Field, table: str) -> Channel:
    """A stream of one value, which a table is made of."""
    return Channel(
        name=name,
        event=name,
        series=f"okx/{name}",
        fields=(_SYMBOL, _TIME, field),
        ts_event=_TS_EVENT,
        contiguous_ids=False,
        identity=Identity.CONTENT,
        tables={
            table: TableMapping(
                columns={field.name: pl.col(field.name)}, lineage={"ts_event": ("ts",), field.name: (field.key,)}
            )
        },
        symbol_of=index_of if name == "index-tickers" else None,
    )


_FUNDING: Final = Channel(
    name="funding-rate",
    event="funding-rate",
    series="okx/funding-rate",
    fields=(
        _SYMBOL,
        _TIME,
        Field("funding_rate", "fundingRate", "decimal", "estimate, fraction", decimals=RATE_DECIMALS),
        Field("funding_time", "fundingTime", "integer", "when it is paid, ms", required=False),
        Field("predicted", "nextFundingRate", "decimal", "of the time after", required=False, decimals=RATE_DECIMALS),
    ),
    ts_event=_TS_EVENT,
    contiguous_ids=False,
    identity=Identity.CONTENT,
    tables={
        "funding_rate_update": TableMapping(
            columns={
                "funding_rate": pl.col("funding_rate"),
                "predicted_funding_rate": pl.col("predicted"),
                "next_funding_time": nanoseconds(pl.col("funding_time"), ("ms",)),
                "interval_minutes": pl.lit(None, pl.UInt16),
            },
            lineage={
                "ts_event": ("ts",),
                "funding_rate": ("fundingRate",),
                "predicted_funding_rate": ("nextFundingRate",),
                "next_funding_time": ("fundingTime",),
                "is_settlement": ("fundingTime",),
            },
        )
    },
)
_BOOK: Final = enveloped.book(
    "books",
    "okx/books",
    {
        "ts_event": ("ts",),
        **dict.fromkeys(("action", "side", "price", "size"), ("bids", "asks")),
        "sequence": ("seqId",),
        "previous": ("prevSeqId",),
    },
)
_CHANNELS: Final = (
    _TRADES,
    _TICKERS,
    _of_one_value("mark-price", Field("mark_price", "markPx", "decimal", "quote units"), "mark_price_update"),
    _of_one_value("index-tickers", Field("index_price", "idxPx", "decimal", "quote units"), "index_price_update"),
    _FUNDING,
    _of_one_value("open-interest", Field("open_interest", "oi", "decimal", "contracts"), "open_interest"),
    _BOOK,
)

SOURCE: Final = captures(
    name="okx-websocket",
    doc="captured WebSocket messages of OKX (JSONL, plain, gzip or zstd)",
    channels=_CHANNELS,
    open_known=partial(enveloped.open_enveloped, plain=plain),
    says=says,
    settings=OkxSettings,
    venue="OKX",
)
