"""Stage 1: bytes as received become immutable daily raw files, each with a manifest and its line numbers."""

from hedgegrid_assets.stages.raw.accounting import HEADER, FileCounts, FileLines, files_to_blame, is_too_much
from hedgegrid_assets.stages.raw.days import (
    LINES_REMEDY,
    LINES_SCHEMA,
    REJECT_SCHEMA,
    Progress,
    RawDay,
    RawKey,
    check_size,
    is_corrected,
    noted_day,
    raw_day,
    raw_days,
    verify,
)
from hedgegrid_assets.stages.raw.fetched import fetch_day, fetched_elsewhere, is_as_asked, request_of
from hedgegrid_assets.stages.raw.index import (
    Imported,
    ImportReport,
    Indexes,
    LandingFile,
    imported_days,
    imports,
    landing_signature,
    signature,
)
from hedgegrid_assets.stages.raw.landing import Landed, import_landing, landing_files, scan_landing, waiting_files
from hedgegrid_assets.stages.raw.looking import Ahead
from hedgegrid_assets.stages.raw.manifest import FileOrigin, Manifest, Received, read_manifest
from hedgegrid_assets.stages.raw.names import claims_data
from hedgegrid_assets.stages.raw.own import OwnFiles
from hedgegrid_assets.stages.raw.passes import shown_name
from hedgegrid_assets.stages.raw.pruned import Pruned, forget_pruned, note_pruned, read_pruned
from hedgegrid_assets.stages.raw.publishing import lines_are_of
from hedgegrid_assets.stages.raw.shared import is_own_line
from hedgegrid_assets.stages.raw.together import SMALL, Together

__all__ = [
    "HEADER",
    "LINES_REMEDY",
    "LINES_SCHEMA",
    "REJECT_SCHEMA",
    "SMALL",
    "Ahead",
    "FileCounts",
    "FileLines",
    "FileOrigin",
    "ImportReport",
    "Imported",
    "Indexes",
    "Landed",
    "LandingFile",
    "Manifest",
    "OwnFiles",
    "Progress",
    "Pruned",
    "RawDay",
    "RawKey",
    "Received",
    "Together",
    "check_size",
    "claims_data",
    "fetch_day",
    "fetched_elsewhere",
    "files_to_blame",
    "forget_pruned",
    "import_landing",
    "imported_days",
    "imports",
    "is_as_asked",
    "is_corrected",
    "is_own_line",
    "is_too_much",
    "landing_files",
    "landing_signature",
    "lines_are_of",
    "note_pruned",
    "noted_day",
    "raw_day",
    "raw_days",
    "read_manifest",
    "read_pruned",
    "request_of",
    "scan_landing",
    "shown_name",
    "signature",
    "verify",
    "waiting_files",
]
