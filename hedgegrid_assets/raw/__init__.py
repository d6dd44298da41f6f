"""Stage 1: bytes as received become immutable daily raw files, each with a manifest and its line numbers."""

from hedgegrid_assets.raw.carried import Carried, Carrier
from hedgegrid_assets.raw.days import LINES_SCHEMA, REJECT_SCHEMA, Progress, RawDay, RawKey, raw_day, raw_days, verify
from hedgegrid_assets.raw.fetched import fetch_day, request_of
from hedgegrid_assets.raw.index import (
    Imported,
    ImportReport,
    LandingFile,
    imported_days,
    imports,
    landing_signature,
    signature,
)
from hedgegrid_assets.raw.landing import import_landing, landing_files, waiting_files

__all__ = [
    "LINES_SCHEMA",
    "REJECT_SCHEMA",
    "Carried",
    "Carrier",
    "ImportReport",
    "Imported",
    "LandingFile",
    "Progress",
    "RawDay",
    "RawKey",
    "fetch_day",
    "import_landing",
    "imported_days",
    "imports",
    "landing_files",
    "landing_signature",
    "raw_day",
    "raw_days",
    "request_of",
    "signature",
    "verify",
    "waiting_files",
]
