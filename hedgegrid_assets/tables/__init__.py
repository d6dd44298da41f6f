"""What we promise: one module a Nautilus data type, collected here."""

from collections.abc import Mapping
from typing import Final

from hedgegrid_assets.model import Table
from hedgegrid_assets.tables.funding_rate_update import FUNDING_RATE_UPDATE
from hedgegrid_assets.tables.index_price_update import INDEX_PRICE_UPDATE
from hedgegrid_assets.tables.mark_price_update import MARK_PRICE_UPDATE
from hedgegrid_assets.tables.trade_tick import TRADE_TICK

TABLES: Final[Mapping[str, Table]] = {
    table.name: table for table in (TRADE_TICK, MARK_PRICE_UPDATE, INDEX_PRICE_UPDATE, FUNDING_RATE_UPDATE)
}
TOKENS: Final[Mapping[str, Table]] = {table.token: table for table in TABLES.values()}
