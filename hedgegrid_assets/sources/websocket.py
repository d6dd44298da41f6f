"""Captured WebSocket messages of Binance USD-M, one a line, dropped into the landing zone."""

from functools import partial
from typing import Final

from hedgegrid_assets.model import Source
from hedgegrid_assets.sources import binance

_CHANNELS: Final = binance.channels("binance")

SOURCE: Final = Source(
    name="websocket",
    doc="captured WebSocket messages (JSONL, plain, gzip or zstd)",
    extension="jsonl",
    channels=_CHANNELS,
    lands=True,
    scan=partial(binance.scan, known=_CHANNELS),
    decode=partial(binance.decode, known=_CHANNELS),
    read=partial(binance.read, known=_CHANNELS),
    code_version=1,
    settings=("files", "base_path", "trade_kind"),
)
