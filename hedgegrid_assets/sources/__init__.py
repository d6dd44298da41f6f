"""What we receive: one module a provider, collected here."""

from collections.abc import Mapping
from typing import Final

from hedgegrid_assets.model import Source
from hedgegrid_assets.sources import archive, bybit, csv, okx, synthetic, tardis, websocket

SOURCES: Final[Mapping[str, Source]] = {
    module.SOURCE.name: module.SOURCE for module in (websocket, csv, synthetic, tardis, archive, bybit, okx)
}
