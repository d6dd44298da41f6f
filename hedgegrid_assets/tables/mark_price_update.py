"""Mark prices: the venue's fair price, about one a second."""

from typing import Final

import polars as pl

from hedgegrid_assets.model import Column, Encoding, NautilusColumn, NautilusForm, Table
from hedgegrid_assets.tables import rules

MARK_PRICE_UPDATE: Final = Table(
    name="mark_price_update",
    token="mark",
    folder="mark_price",
    nautilus={
        1: NautilusForm(
            cls="MarkPriceUpdate",
            folder="mark_price_update",
            columns=(NautilusColumn("value", "mark_price", Encoding.RAW16),),
            precisions={"price_precision": "mark"},
        ),
        2: NautilusForm(
            cls="MarkPriceUpdate",
            folder="mark_prices",
            columns=(NautilusColumn("value", "mark_price", Encoding.DECIMAL, nullable=True),),
            precisions={"price_precision": "mark"},
            class_in="type_name",
            times=Encoding.TIMESTAMP,
        ),
    },
    doc="Mark prices, every update that the venue sent",
    columns=(
        Column(
            "mark_price",
            pl.Decimal(38, 16),
            "quote units, above zero",
            precision="mark",
            rises=True,
            positive=True,
            maximum=17_014_118_346_046,
        ),
    ),
    rules=(
        rules.positive("prices_positive", "mark_price"),
        *rules.STORED,
        rules.NO_TIME_GAPS,
        rules.DAY_COVERED,
        rules.CADENCE_AS_EXPECTED,
        *rules.OBSERVED,
    ),
    code_version=1,
    default=True,
)
