"""Open interest: what is open of a contract, as often as it was asked for; the catalog holds changes."""

from typing import Final

import polars as pl

from hedgegrid_assets.model import Column, Encoding, NautilusColumn, NautilusForm, RowFilter, Table
from hedgegrid_assets.tables import rules

_COLUMN: Final = "open_interest"
_CHANGED: Final = pl.col(_COLUMN).ne_missing(pl.col(_COLUMN).shift(1))

_KEPT: Final = RowFilter(_CHANGED, (), "the catalog holds changes only: same as before")

OPEN_INTEREST: Final = Table(
    name="open_interest",
    token="open_interest",
    folder="open_interest",
    nautilus={
        1: NautilusForm(
            cls="OpenInterest",
            folder="custom_open_interest",
            columns=(NautilusColumn(_COLUMN, _COLUMN, Encoding.TEXT),),
            precisions={},
            kept=_KEPT,
            times=Encoding.SIGNED_NS,
            own="hedgegrid_assets.stages.catalog.classes",
        ),
        2: NautilusForm(
            cls="OpenInterest",
            folder="custom/OpenInterest",
            columns=(NautilusColumn(_COLUMN, _COLUMN, Encoding.TEXT),),
            precisions={},
            kept=_KEPT,
            class_in="type_name",
            times=Encoding.TIMESTAMP,
            own="hedgegrid_assets.stages.catalog.classes2",
            behind={"data_type": '{"type_name":"OpenInterest","metadata":null,"identifier":"{id}"}'},
        ),
    },
    doc="Open interest, every observation; the catalog holds the first of the day and each change",
    columns=(
        Column(
            _COLUMN,
            pl.Decimal(38, 16),
            "open positions of one side: base units, or contracts where the venue counts these; not below zero",
            unsigned=True,
        ),
    ),
    rules=(
        rules.not_negative("open_interest_not_negative", _COLUMN),
        *rules.STORED,
        rules.NO_TIME_GAPS,
        rules.DAY_COVERED,
        *rules.OBSERVED,
    ),
    gap_seconds=60.0,
    code_version=1,
)
