"""What we promise: one module a Nautilus data type, collected here."""

from collections.abc import Mapping
from typing import Final

from hedgegrid_assets.model import Channel, Rule, Table, TableMapping
from hedgegrid_assets.tables.bar import BARS
from hedgegrid_assets.tables.funding_rate_update import FUNDING_RATE_UPDATE
from hedgegrid_assets.tables.index_price_update import INDEX_PRICE_UPDATE
from hedgegrid_assets.tables.liquidation import LIQUIDATION
from hedgegrid_assets.tables.mark_price_update import MARK_PRICE_UPDATE
from hedgegrid_assets.tables.open_interest import OPEN_INTEREST
from hedgegrid_assets.tables.order_book_deltas import ORDER_BOOK_DELTAS
from hedgegrid_assets.tables.order_book_depths import ORDER_BOOK_DEPTHS
from hedgegrid_assets.tables.quote_tick import QUOTE_TICK
from hedgegrid_assets.tables.trade_tick import TRADE_TICK

TABLES: Final[Mapping[str, Table]] = {
    table.name: table
    for table in (
        *(TRADE_TICK, MARK_PRICE_UPDATE, INDEX_PRICE_UPDATE, FUNDING_RATE_UPDATE, QUOTE_TICK, *BARS),
        *(LIQUIDATION, OPEN_INTEREST, ORDER_BOOK_DELTAS, ORDER_BOOK_DEPTHS),
    )
}
TOKENS: Final[Mapping[str, Table]] = {table.token: table for table in TABLES.values()}
WORDS: Final[Mapping[str, str]] = {table.name: token for token, table in TOKENS.items()}
"""Nautilus' name of a table -> its short word."""
RULES: Final[Mapping[str, Rule]] = {rule.name: rule for table in TABLES.values() for rule in table.rules}
DEFAULT: Final = tuple(table.name for table in TABLES.values() if table.default)
"""What is made where nobody names tables."""

A_NUMBER: Final = r"^\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\s*$"
"""Text of a number: one that is too fine or too large for a column is one as well."""


def needs(table: Table, mapping: TableMapping) -> tuple[frozenset[str], dict[str, str]]:
    """Fields of a channel that a table cannot do without, and those that it can: field -> the column that stays empty."""
    nullable = {column.name for column in table.columns if column.nullable}
    required: set[str] = set()
    optional: dict[str, str] = {}
    for name, expression in mapping.columns.items():
        roots = expression.meta.root_names()
        if name in nullable:
            optional |= dict.fromkeys(roots, name)
        else:
            required.update(roots)
    return frozenset(required), {field: name for field, name in optional.items() if field not in required}


def read_by(channel: Channel) -> list[str]:
    """The tables that are made of a channel's fields; the others are made of these."""
    return [name for name, mapping in channel.tables.items() if not mapping.made_of]


def apart(channel: Channel) -> frozenset[str]:
    """Fields of a channel that not all of its tables need: what is wrong with one concerns the others not."""
    found = [needs(TABLES[name], channel.tables[name]) for name in read_by(channel)]
    used = frozenset[str]().union(*(required | optional.keys() for required, optional in found))
    by_all = frozenset.intersection(*(required for required, _ in found))
    return used - by_all - set(channel.ts_event.meta.root_names())
