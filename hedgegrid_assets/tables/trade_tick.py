"""Trades: one row a trade or aggregate trade of the venue."""

from typing import Final

import polars as pl

from hedgegrid_assets.model import Column, Encoding, NautilusColumn, NautilusForm, Table
from hedgegrid_assets.tables import rules

AGGRESSOR_SIDES: Final = pl.Enum(["NO_AGGRESSOR", "BUYER", "SELLER"])
"""In the order of Nautilus' codes 0, 1, 2."""


def side(name: str) -> pl.Expr:
    """An aggressor side as a literal; casting texts to sides costs ten times as much."""
    return pl.lit(name, dtype=AGGRESSOR_SIDES)


TRADE_TICK: Final = Table(
    name="trade_tick",
    token="trades",
    folder="trade_tick",
    nautilus={
        1: NautilusForm(
            cls="TradeTick",
            folder="trade_tick",
            columns=(
                NautilusColumn("price", "price", Encoding.RAW16),
                NautilusColumn("size", "size", Encoding.RAW16),
                NautilusColumn("aggressor_side", "aggressor_side", Encoding.CODE),
                NautilusColumn("trade_id", "trade_id", Encoding.ID),
            ),
            precisions={"price_precision": "price", "size_precision": "size"},
        ),
        2: NautilusForm(
            cls="TradeTick",
            folder="trades",
            columns=(
                NautilusColumn("price", "price", Encoding.DECIMAL),
                NautilusColumn("size", "size", Encoding.DECIMAL),
                NautilusColumn(
                    "aggressor_side", "aggressor_side", Encoding.WORD, words=("NO_AGGRESSOR", "BUY", "SELL")
                ),
                NautilusColumn("trade_id", "trade_id", Encoding.ID),
            ),
            precisions={"price_precision": "price", "size_precision": "size"},
            class_in="type_name",
            times=Encoding.TIMESTAMP,
        ),
    },
    doc="Trades with their ids, in order of arrival",
    columns=(
        Column(
            "price",
            pl.Decimal(38, 16),
            "price in quote units, above zero",
            precision="price",
            positive=True,
            rises=True,
            maximum=17_014_118_346_046,
        ),
        Column(
            "size",
            pl.Decimal(38, 16),
            "base units (contracts on coinm), above zero",
            precision="size",
            positive=True,
            maximum=34_028_236_692_093,
        ),
        Column("aggressor_side", AGGRESSOR_SIDES, "side of the taker: BUYER, SELLER or NO_AGGRESSOR"),
        Column(
            "trade_id",
            pl.String(),
            "the venue's id as text; the catalog holds a hash of one of more than 36 characters",
        ),
        Column("first_trade_id", pl.Int64(), "first trade of an aggregate (Binance f)", nullable=True, rises=True),
        Column("last_trade_id", pl.Int64(), "last trade of an aggregate (Binance l)", nullable=True, rises=True),
    ),
    id_column="trade_id",
    members=("first_trade_id", "last_trade_id"),
    gap_seconds=60.0,
    rules=(
        rules.TRADE_IDS_UNIQUE,
        rules.positive("prices_positive", "price"),
        rules.positive("sizes_positive", "size"),
        *rules.STORED,
        rules.NO_TIME_GAPS,
        rules.NO_SEQUENCE_GAPS,
        rules.DAY_COVERED,
        rules.AGGRESSOR_SIDES_MIXED,
        rules.on_tick("price"),
        *rules.OBSERVED,
    ),
    code_version=1,
    default=True,
    charted=True,
    is_trades=True,
    kind_setting="trade_kind",
)
