"""Liquidations: orders by which a venue closes positions, as far as it tells them."""

from typing import Final

import polars as pl

from hedgegrid_assets.model import Column, Encoding, NautilusColumn, NautilusForm, Table
from hedgegrid_assets.tables import rules
from hedgegrid_assets.tables.rules.sides import ORDER_SIDES

LIQUIDATION: Final = Table(
    name="liquidation",
    token="liquidations",
    folder="liquidation",
    nautilus={
        1: NautilusForm(
            cls="Liquidation",
            folder="custom_liquidation",
            columns=(
                NautilusColumn("side", "side", Encoding.TEXT),
                NautilusColumn("price", "price", Encoding.TEXT),
                NautilusColumn("size", "size", Encoding.TEXT),
                NautilusColumn("average_price", "average_price", Encoding.TEXT, nullable=True),
            ),
            precisions={},
            times=Encoding.SIGNED_NS,
            own="hedgegrid_assets.stages.catalog.classes",
        ),
        2: NautilusForm(
            cls="Liquidation",
            folder="custom/Liquidation",
            columns=(
                NautilusColumn("side", "side", Encoding.TEXT),
                NautilusColumn("price", "price", Encoding.TEXT),
                NautilusColumn("size", "size", Encoding.TEXT),
                NautilusColumn("average_price", "average_price", Encoding.TEXT, nullable=True),
            ),
            precisions={},
            class_in="type_name",
            times=Encoding.TIMESTAMP,
            own="hedgegrid_assets.stages.catalog.classes2",
            behind={"data_type": '{"type_name":"Liquidation","metadata":null,"identifier":"{id}"}'},
        ),
    },
    doc="Forced orders; Binance tells the latest of a second at most, so that sums are a lower bound",
    columns=(
        Column("side", ORDER_SIDES, "of the forced order: SELL where a long was liquidated, BUY where a short was"),
        Column(
            "price",
            pl.Decimal(38, 16),
            "of the order (its limit, the bankruptcy price, at Binance), quote units, above zero",
            precision="price",
            positive=True,
        ),
        Column(
            "size",
            pl.Decimal(38, 16),
            "filled: base units (contracts on coinm), above zero",
            precision="size",
            positive=True,
        ),
        Column("average_price", pl.Decimal(38, 16), "of the fills, where the venue says it", nullable=True),
    ),
    gap_seconds=0.0,
    rules=(
        rules.positive("prices_positive", "price"),
        rules.positive("sizes_positive", "size"),
        *rules.STORED,
        *rules.OBSERVED,
    ),
    code_version=1,
    drawn="price",
)
