"""CSV files of any exchange, vendor or tool, dropped into the landing zone or named in a configuration.

What a file's columns mean is told once, from its first block (``telling``), and kept in the manifest. Values are read
as text and stay exact. Names that are known: ``names``; times: ``times``; quotes and line ends: ``cells``.
"""

from typing import Final

from hedgegrid_assets.model import Source
from hedgegrid_assets.sources.csv.channels import CHANNELS
from hedgegrid_assets.sources.csv.culprit import culprit
from hedgegrid_assets.sources.csv.reader import begin, open_rows
from hedgegrid_assets.sources.csv.settings import CsvSettings

SOURCE: Final = Source(
    name="csv",
    doc="CSV files (plain, gzip, zstd, bzip2, zip): columns by their usual names, or by a mapping",
    extension="csv",
    channels=CHANNELS,
    has_landing_zone=True,
    open=open_rows,
    begin=begin,
    culprit=culprit,
    quoted=True,
    code_version=2,
    settings=CsvSettings,
)
