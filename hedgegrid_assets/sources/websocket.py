"""Captured WebSocket messages of Binance, one or several a line, dropped into the landing zone."""

import re
from functools import cache, partial
from typing import Final, Literal

from hedgegrid_assets.fields import unsaid
from hedgegrid_assets.model import LOOKED_AT, Source
from hedgegrid_assets.sources.formats import binance
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


_CHANNELS: Final = binance.channels("binance")


@cache
def narrowed(names: frozenset[str]) -> Source:
    """The source without the streams that are not named: their lines are of no stream that it knows."""
    known = tuple(channel for channel in _CHANNELS if channel.name in names)
    return Source(
        name="websocket",
        doc="captured WebSocket messages (JSONL, plain, gzip or zstd)",
        extension="jsonl",
        channels=known,
        has_landing_zone=True,
        open=partial(binance.open_messages, known=known),
        says=says,
        code_version=1,
        joins=True,
        settings=WebsocketSettings,
        narrowed=narrowed,
    )


SOURCE: Final = narrowed(frozenset(channel.name for channel in _CHANNELS))
