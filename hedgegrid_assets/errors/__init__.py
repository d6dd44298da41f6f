"""Every error that a user can meet; each builds its own sentence from the culprits.

HedgegridError
├── UsageError           exit 2: a flag, a date, a configuration file
│   ├── UnknownName, Mistakes
│   ├── BacktestFileError, BacktestRefused
│   ├── FeedsFileError
│   │   └── FeedsFileMissing
│   ├── ConversionRefused
│   ├── NoSuchStore
│   └── NeedsDisk        what cannot be done to a catalog that is not on a disk
├── DataError            exit 1: what the data says
│   ├── NoDataFetched
│   │   ├── NoCatalogThere   what is to be looked at
│   │   ├── OtherKind
│   │   └── NotPublished
│   │       └── DayNotOver
│   ├── NoSuchCatalog, InstrumentNotHeld, CoverageRefused, EngineDied  what a backtest needs
│   ├── NoGapThere
│   ├── PrecisionTooFine
│   ├── LooksLikeFloats
│   ├── Refused          a write that the catalog forbids
│   │   ├── SeriesMixed
│   │   ├── OtherForm    a catalog is for the other generation of NautilusTrader
│   │   ├── ForeignFile, ForeignDefinition
│   │   └── RowsWouldBeLost
│   ├── InstrumentUnknown
│   │   └── PrecisionUnknown
│   ├── FileContradicts
│   ├── DayBlocked
│   ├── VerdictRefused
│   ├── FileRefused      a file that nothing can be made of
│   │   ├── RawDamaged, RawDayDamaged, LinesUnnumbered, ReceivedDamaged, ChecksumDiffers
│   │   ├── SeveralInOne, OtherFormat, FileUnreadable, FileChanges
│   │   ├── LinesUnplaced, EncodingUnknown, NotOneMessageALine, BooksMixed
│   │   └── MissingColumns, MessagesFound, DecimalComma, CandlesRefused, DaysOnly, HeaderChanges, SidesUnknown,
│   │       TimestampParsingFailed
│   ├── TooManyOddLines
│   ├── CatalogDiffers
│   └── BackupRefused    an archive that is not whole, or not ours
├── Unforeseen           exit 1: what nobody has thought of, with what was worked on
└── EnvironmentFault     exit 1: disk, permissions, network, installed versions
    ├── AlertsWait
    ├── ImportFails, HistoryHidden, HelperDied
    ├── NautilusUnfit, NoNautilusForm
    ├── EngineOfOther, EngineNotThere, EngineLacks  the Python that a backtest needs
    ├── OtherInstalled, ReaderMissing, FormsMixed  a catalog that the NautilusTrader at hand cannot read, or not whole
    ├── DocumentDamaged  a file of our own that is not what it must be
    ├── StoreConflict    another has written what was to be written
    ├── StoreUnreachable a bucket that is not there, or not for us
    └── RemoteFault      a provider's answer, or none
        ├── ArchiveFileDamaged, ArchiveFileForeign, ArchiveFileUnproven
        ├── KeyRequired, ProviderUnreachable
        ├── RateLimited
        └── WebPageReceived
"""

from hedgegrid_assets.errors.backtest import (
    BacktestFileError,
    BacktestRefused,
    CoverageRefused,
    EngineDied,
    InstrumentNotHeld,
    NoSuchCatalog,
)
from hedgegrid_assets.errors.base import (
    DataError,
    DayNotOver,
    EnvironmentFault,
    FeedsFileError,
    FeedsFileMissing,
    HedgegridError,
    HelperDied,
    NoCatalogThere,
    NoDataFetched,
    NotPublished,
    OtherKind,
    Unforeseen,
    UsageError,
    listed,
    several,
    together,
)
from hedgegrid_assets.errors.catalog import (
    NAUTILUS_WANTED,
    BackupRefused,
    CatalogDiffers,
    ConversionRefused,
    DayBlocked,
    DocumentDamaged,
    EngineLacks,
    EngineNotThere,
    EngineOfOther,
    ForeignDefinition,
    ForeignFile,
    FormsMixed,
    NautilusUnfit,
    NeedsDisk,
    NoGapThere,
    NoNautilusForm,
    NoSuchStore,
    OtherForm,
    OtherInstalled,
    ReaderMissing,
    Refused,
    RowsWouldBeLost,
    SeriesMixed,
    StoreConflict,
    StoreUnreachable,
    VerdictRefused,
)
from hedgegrid_assets.errors.csv_files import (
    CandlesRefused,
    DaysOnly,
    DecimalComma,
    HeaderChanges,
    MessagesFound,
    MissingColumns,
    SidesUnknown,
    TimestampParsingFailed,
)
from hedgegrid_assets.errors.files import (
    BooksMixed,
    ChecksumDiffers,
    EncodingUnknown,
    FileChanges,
    FileRefused,
    FileUnreadable,
    HistoryHidden,
    ImportFails,
    LinesUnnumbered,
    LinesUnplaced,
    NotOneMessageALine,
    OtherFormat,
    RawDamaged,
    RawDayDamaged,
    ReceivedDamaged,
    SeveralInOne,
    TooManyOddLines,
)
from hedgegrid_assets.errors.instruments import (
    FileContradicts,
    InstrumentUnknown,
    LooksLikeFloats,
    PrecisionTooFine,
    PrecisionUnknown,
)
from hedgegrid_assets.errors.remote import (
    AlertsWait,
    ArchiveFileDamaged,
    ArchiveFileForeign,
    ArchiveFileUnproven,
    KeyRequired,
    ProviderUnreachable,
    RateLimited,
    RemoteFault,
    WebPageReceived,
)
from hedgegrid_assets.errors.usage import Mistakes, UnknownName, refuse_mistakes

__all__ = [
    "NAUTILUS_WANTED",
    "AlertsWait",
    "ArchiveFileDamaged",
    "ArchiveFileForeign",
    "ArchiveFileUnproven",
    "BacktestFileError",
    "BacktestRefused",
    "BackupRefused",
    "BooksMixed",
    "CandlesRefused",
    "CatalogDiffers",
    "ChecksumDiffers",
    "ConversionRefused",
    "CoverageRefused",
    "DataError",
    "DayBlocked",
    "DayNotOver",
    "DaysOnly",
    "DecimalComma",
    "DocumentDamaged",
    "EncodingUnknown",
    "EngineDied",
    "EngineLacks",
    "EngineNotThere",
    "EngineOfOther",
    "EnvironmentFault",
    "FeedsFileError",
    "FeedsFileMissing",
    "FileChanges",
    "FileContradicts",
    "FileRefused",
    "FileUnreadable",
    "ForeignDefinition",
    "ForeignFile",
    "FormsMixed",
    "HeaderChanges",
    "HedgegridError",
    "HelperDied",
    "HistoryHidden",
    "ImportFails",
    "InstrumentNotHeld",
    "InstrumentUnknown",
    "KeyRequired",
    "LinesUnnumbered",
    "LinesUnplaced",
    "LooksLikeFloats",
    "MessagesFound",
    "MissingColumns",
    "Mistakes",
    "NautilusUnfit",
    "NeedsDisk",
    "NoCatalogThere",
    "NoDataFetched",
    "NoGapThere",
    "NoNautilusForm",
    "NoSuchCatalog",
    "NoSuchStore",
    "NotOneMessageALine",
    "NotPublished",
    "OtherForm",
    "OtherFormat",
    "OtherInstalled",
    "OtherKind",
    "PrecisionTooFine",
    "PrecisionUnknown",
    "ProviderUnreachable",
    "RateLimited",
    "RawDamaged",
    "RawDayDamaged",
    "ReaderMissing",
    "ReceivedDamaged",
    "Refused",
    "RemoteFault",
    "RowsWouldBeLost",
    "SeriesMixed",
    "SeveralInOne",
    "SidesUnknown",
    "StoreConflict",
    "StoreUnreachable",
    "TimestampParsingFailed",
    "TooManyOddLines",
    "Unforeseen",
    "UnknownName",
    "UsageError",
    "VerdictRefused",
    "WebPageReceived",
    "listed",
    "refuse_mistakes",
    "several",
    "together",
]
