"""Index prices: the price of the underlying over several spot venues, about one a second."""

from typing import Final

import polars as pl

from hedgegrid_assets.model import Column, Encoding, NautilusColumn, NautilusForm, Table
from hedgegrid_assets.tables import rules

INDEX_PRICE_UPDATE: Final = Table(
    name="index_price_update",
    token="index",
    folder="index_price",
    nautilus={
        1: NautilusForm(
            cls="IndexPriceUpdate",
            folder="index_price_update",
            columns=(NautilusColumn("value", "index_price", Encoding.RAW16),),
            precisions={"price_precision": "mark"},
            readable=False,  # 1.2xx writes them, and cannot read them
        ),
        2: NautilusForm(
            cls="IndexPriceUpdate",
            folder="index_prices",
            columns=(NautilusColumn("value", "index_price", Encoding.DECIMAL, nullable=True),),
            precisions={"price_precision": "mark"},
            class_in="type_name",
            times=Encoding.TIMESTAMP,
        ),
    },
    doc="Index prices, every update that the venue sent",
    columns=(
        Column(
            "index_price",
            pl.Decimal(38, 16),
            "quote units, above zero",
            precision="mark",
            rises=True,
            positive=True,
            maximum=17_014_118_346_046,
        ),
    ),
    rules=(
        rules.positive("prices_positive", "index_price"),
        *rules.STORED,
        rules.NO_TIME_GAPS,
        rules.DAY_COVERED,
        rules.CADENCE_AS_EXPECTED,
        *rules.OBSERVED,
    ),
    code_version=1,
    default=True,
    kind_setting="index_kind",
)
