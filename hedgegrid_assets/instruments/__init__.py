"""Instrument definitions: what one is, how it is found, widened and kept in ``instruments.parquet``."""

from hedgegrid_assets.instruments.define import (
    UNKNOWN_CONTRACT,
    amended,
    define,
    says_something,
    settled,
    unknown_form,
    widen,
)
from hedgegrid_assets.instruments.definition import (
    DEFAULT_MARK_PRECISION,
    MAX_PRECISION,
    DefinedBy,
    Instrument,
    Kind,
    market_of,
)
from hedgegrid_assets.instruments.infer import FAR_FINER, FEW, FLOAT_DIGITS, far_finer, tick_decimals
from hedgegrid_assets.instruments.table import (
    check_names,
    definitions_file,
    definitions_from,
    definitions_table,
    read_definitions,
)

__all__ = [
    "DEFAULT_MARK_PRECISION",
    "FAR_FINER",
    "FEW",
    "FLOAT_DIGITS",
    "MAX_PRECISION",
    "UNKNOWN_CONTRACT",
    "DefinedBy",
    "Instrument",
    "Kind",
    "amended",
    "check_names",
    "define",
    "definitions_file",
    "definitions_from",
    "definitions_table",
    "far_finer",
    "market_of",
    "read_definitions",
    "says_something",
    "settled",
    "tick_decimals",
    "unknown_form",
    "widen",
]
