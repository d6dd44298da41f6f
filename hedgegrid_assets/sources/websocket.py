"""Captured WebSocket messages of Binance, one or several a line, dropped into the landing zone."""

import re
from typing import Final, Literal

from hedgegrid_assets.fields import unsaid
from hedgegrid_assets.model import LOOKED_AT
from hedgegrid_assets.sources.formats import binance
from hedgegrid_assets.sources.formats.captures import captures
from hedgegrid_assets.sources.formats.settings import BarKind, LandingSettings, TradeKind
from hedgegrid_assets.venues.markets import Says


class WebsocketSettings(LandingSettings):
    """Of the source ``websocket``: which messages a table is made from, where the files have several that give it."""

    trade_kind: TradeKind = unsaid("of trades; aggTrade where the files have it")
    bar_kind: BarKind = unsaid("of bars; candles where the files have them, else trades")
    index_kind: Literal["markPrice", "indexPrice"] = unsaid(
        "of index prices; the mark price messages where these have any"
    )


_SPOT: Final = re.compile(rb'"e"\s*:\s*"(?:trade|aggTrade)"[^\n{}]*"M"\s*:\s*(?:true|false)')
"""Trades of Binance spot have a field M; those of futures have none."""


def says(data: bytes) -> Says | None:
    """The market of the messages, and whose the snapshots of books are, where the first of them say it."""
    start = data[:LOOKED_AT]
    spot, book_of = _SPOT.search(start), binance.only_book(start)
    if spot is None:
        return Says(book_of=book_of) if book_of else None
    return Says("trades of Binance spot", market="spot", book_of=book_of)


SOURCE: Final = captures(
    name="websocket",
    doc="captured WebSocket messages (JSONL, plain, gzip or zstd)",
    channels=binance.channels("binance"),
    open_known=binance.open_messages,
    says=says,
    settings=WebsocketSettings,
)
