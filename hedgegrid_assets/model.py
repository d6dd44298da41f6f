"""The nouns: tables and their rules, sources and their channels, instruments and days. Frozen, no behaviour."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, NamedTuple, Protocol

import msgspec
import numpy as np
import polars as pl

from hedgegrid_assets.batch import Begins, Dialect, Opens
from hedgegrid_assets.errors import NoNautilusForm
from hedgegrid_assets.venues import Listing

if TYPE_CHECKING:
    from hedgegrid_assets.fields import Settings


class Severity(StrEnum):
    """What a failed rule does: ERROR keeps the day out of the catalog, WARN only tells."""

    ERROR = "ERROR"
    WARN = "WARN"


class Status(StrEnum):
    """Where an instrument-day stands; order = from best to worst."""

    COMPLETE = "complete"
    EMPTY = "empty"
    DEGRADED = "degraded"
    PARTIAL = "partial"
    MISSING = "missing"
    BLOCKED = "blocked"
    REFUSED = "refused"
    """Of a run only, never of a verdict: the catalog forbids the write."""


type Contiguous = Literal["declared", "found", "no"]
"""Each id is the one before plus one: the source says so, the day's rows show it, or neither."""

type Precision = Literal["price", "size", "mark"]
"""Which of an instrument's precisions a decimal column has."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a normalized frame.

    Attributes:
        name: Nautilus' word for it.
        dtype: Polars type in the stored frame; a decimal whose scale is an instrument precision names ``precision``.
        doc: Meaning, unit and usual range.
        precision: The instrument precision that gives the decimal its scale.
        positive: Zero and negative values are rejected, with ``zero_<name>`` and ``negative``.
        unsigned: Negative values are rejected.
        nullable: A source may leave it out.
        maximum: Largest value that Nautilus' 16-byte raw value holds; larger ones are rejected.
        is_time: A time in ns: stored as a timestamp, shown as one.
        rises: Its numbers rise (or nearly so) from row to row: stored as differences.
    """

    name: str
    dtype: pl.DataType
    doc: str
    precision: Precision | None = None
    positive: bool = False
    unsigned: bool = False
    nullable: bool = False
    maximum: int | None = None
    is_time: bool = False
    rises: bool = False


class Cause(StrEnum):
    """Why there is a gap."""

    DISCONNECT = "disconnect"
    CAPTURE_EDGE = "capture_edge"
    EXCLUDED_ROWS = "excluded_rows"
    """The venue used the ids up for what is no market trade."""
    QUIET = "quiet"
    """The ids go on: nothing happened."""
    OVERLAP = "overlap"
    """Between days: ids are in both."""
    UNKNOWN = "unknown"

    @property
    def is_loss(self) -> bool:
        """Data are missing."""
        return self not in {Cause.QUIET, Cause.EXCLUDED_ROWS}


class Gap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A hole in a day: times in ns, ``ids_missing`` where ids are counted, ``seconds`` its length."""

    start: int
    end: int
    ids_missing: int
    cause: Cause
    seconds: float = -1.0

    def __post_init__(self) -> None:
        """Its length, where it is not read from a verdict."""
        if self.seconds < 0:
            msgspec.structs.force_setattr(self, "seconds", round((self.end - self.start) / 1e9, 3))


class RowCounts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"rows_in": "in", "rows_out": "out"}):
    """Where every row of a (table, day) went: ``rows_in`` is the sum of the others."""

    rows_in: int = 0
    rows_out: int = 0
    rejected: int = 0
    exact_duplicates: int = 0
    other_symbols: int = 0
    not_applicable: int = 0


@dataclass(frozen=True, slots=True)
class LineCounts:
    """Where every line of a (table, day) went, where lines give several rows or none.

    ``rejected``: lines of which no row is left when it is read, but for those that the venue marks as no market trade.
    """

    with_rows: int = 0
    rejected: int = 0
    excluded: int = 0
    without_rows: int = 0

    @property
    def lines_in(self) -> int:
        """All lines."""
        return self.with_rows + self.rejected + self.excluded + self.without_rows

    def to_dict(self) -> dict[str, int]:
        """The shape stored in a verdict."""
        return {
            "in": self.lines_in,
            "with_rows": self.with_rows,
            "rejected": self.rejected + self.excluded,
            "without_rows": self.without_rows,
        }


@dataclass(frozen=True, slots=True)
class Spread:
    """Distribution of a signed time in milliseconds (bins of 1 ms, clipped at -60 s and +600 s).

    ``largest_jump_ms`` is the largest change from one row to the next.
    """

    count: int = 0
    minimum_ms: float = 0.0
    median_ms: float = 0.0
    p99_ms: float = 0.0
    maximum_ms: float = 0.0
    negative_share: float = 0.0
    largest_jump_ms: float = 0.0


class Thresholds(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"gap_seconds": "gap_s"}):
    """What a day is held to: longest usual silence (s; None: the table's own; 0: off), share of rejected rows, and the
    instrument's price increment (None: none that is coarser than the last decimal).
    """

    gap_seconds: float | None = None
    max_rejected: float = 0.001
    price_increment: str | None = None


@dataclass(slots=True)
class DayContext:
    """What is known of a day besides its rows: what normalizing saw, and what its source and raw day say.

    Attributes:
        counts: Where every row went; None where only a Nautilus file is at hand.
        lines: Where every line went; None where each gives one row.
        rejects_by_reason: Reason -> rows.
        out_of_order: Rows that had to be sorted.
        conflicting_ids: Rows whose id stands for another one as well.
        too_fine: Values that are finer than the instrument's definition: nothing is stored.
        excluded_ids: Ids of rows that the venue itself marks as no market trade.
        disconnects: When the recorder lost its connection, in ns.
        capture_edges: Raw rows that a landing file begins with.
        contiguous_ids: The source says that each id is the one before plus one.
        unique_ids: An id names one row.
        unplaced_files: Files of the day of which too many lines have no place, each with ``file, lines, unplaced``.
        left_empty: Column -> values that it could not hold.
    """

    counts: RowCounts | None = None
    lines: LineCounts | None = None
    rejects_by_reason: Mapping[str, int] = field(default_factory=dict)
    out_of_order: int = 0
    conflicting_ids: int | None = None
    too_fine: int = 0
    excluded_ids: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    disconnects: Sequence[int] = ()
    capture_edges: Sequence[int] = ()
    contiguous_ids: bool = True
    unique_ids: bool = True
    unplaced_files: Sequence[Mapping[str, Any]] = ()
    left_empty: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Held:
    """A table's day, and what it is held to."""

    table: "Table"
    day: date
    thresholds: Thresholds


class Rows(NamedTuple):
    """Rows of a day in memory form, in stored order: ``new``, and ``joined`` to the ``carried`` (0 or 1) one before them."""

    new: pl.DataFrame
    joined: pl.DataFrame
    carried: int


class Counter[R](Protocol):
    """Counts something of the rows of one day of a table as they pass; rules are judged by what it finds.

    ``needs``: counters that its result is made with.
    """

    needs: ClassVar[tuple["type[Counter[Any]]", ...]] = ()

    def __init__(self, held: Held) -> None: ...

    def add(self, rows: Rows) -> None:
        """Take the next rows; there is at least one."""

    def result(self, day: "Counted") -> R:
        """What it found."""
        ...

    def resume(self, state: Any) -> None:
        """Begin with what the counter of the day before has handed on."""

    def hand_on(self) -> Any:
        """What the counter of the next day begins with; None: nothing."""
        return None


class Counted(Protocol):
    """A day all of whose rows have passed."""

    @property
    def held(self) -> Held:
        """The day."""
        ...

    @property
    def known(self) -> DayContext:
        """What is known besides its rows."""
        ...

    def of[R](self, counter: type[Counter[R]]) -> R:
        """What a counter found; only of those that a rule or another counter names."""
        ...


@dataclass(frozen=True, slots=True)
class Judgement:
    """A rule's answer for one day; ``numbers`` are what it reports, failed or not.

    ``passed`` is None where the rule is off: switched off, or there is nothing that it could be held to.
    """

    passed: bool | None
    rows_failed: int = 0
    numbers: Mapping[str, Any] = field(default_factory=dict)


class Judges(Protocol):
    """Gives the answer of a rule."""

    def __call__(self, day: Counted, /) -> Judgement:
        """The answer for a day."""
        ...


class TellsOff(Protocol):
    """Knows answers of a rule that was off."""

    def __call__(self, numbers: Mapping[str, Any], /) -> bool:
        """Was it off, by its numbers?"""
        ...


class Effect(StrEnum):
    """What a failed rule makes of a day that is in the catalog."""

    NONE = "none"
    DEGRADES = "degrades"
    PARTIAL = "partial"


class Shows(StrEnum):
    """What is shown of a day where a rule fails."""

    ROWS = "rows"
    REPEATED_IDS = "repeated ids"
    REJECTS = "rejects"
    GAPS = "gaps"


@dataclass(frozen=True, slots=True)
class Rule:
    """One integrity rule, declared once; checks, verdicts, validate and documentation read it from here.

    Attributes:
        name: As functions are named; unique within a table.
        severity: ERROR keeps the day out of the catalog.
        check: The asset check that it is reported under.
        description: What holds when it passes, in plain words.
        fails: For rules over rows: true for each row that breaks it. Rows are in stored order, ``shift(1)`` is the
            previous row, also across blocks; ``day_start``, ``day_end`` and ``price_tick`` (the increment in units of
            the last decimal; null if there is none to hold to) are columns as well.
        judge: The answer for the day; None: it passes where no row fails.
        counters: What ``judge`` asks for.
        effect: What its failure makes of a day that it does not keep out.
        shows: What of the day is shown where it fails.
        looks_for: Kind of gap that it finds: nobody looked for them where it is off.
        seen_while_normalizing: Rows alone do not tell: who looks at them again takes the stored answer.
        by_increment: It holds prices to the instrument's increment.
        hint: What may be done where it fails.
        was_off: Tells by its numbers whether a rule that a verdict of before calls passed was off.
    """

    name: str
    severity: Severity
    check: str
    description: str
    fails: pl.Expr | None = None
    judge: Judges | None = None
    counters: tuple[type[Counter[Any]], ...] = ()
    effect: Effect = Effect.NONE
    shows: Shows = Shows.ROWS
    looks_for: str = ""
    seen_while_normalizing: bool = False
    by_increment: bool = False
    hint: str = ""
    was_off: TellsOff | None = None


@dataclass(frozen=True, slots=True)
class RuleResult:
    """A rule with its answer, as stored in a verdict. ``passed`` is None where the rule is off."""

    rule: Rule
    passed: bool | None
    rows_failed: int
    numbers: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Of the rule."""
        return self.rule.name

    @property
    def severity(self) -> Severity:
        """Of the rule."""
        return self.rule.severity

    @property
    def failed(self) -> bool:
        """It was held to, and does not hold: neither passed nor off."""
        return self.passed is False

    @property
    def off(self) -> bool:
        """It was held to nothing, so it says nothing."""
        return self.passed is None


@dataclass(frozen=True, slots=True)
class LastRow:
    """A flag that is set on the last row of a day for each value of the column ``key``, among the rows that count.

    ``among``: which rows count, from the day's exclusive end in ns.
    """

    key: str
    among: Callable[[int], pl.Expr]


class Encoding(StrEnum):
    """How the values of a frame's column stand in a Nautilus file; ``catalog/nautilus.py`` writes and reads each."""

    RAW16 = "raw16"
    """A decimal as the little-endian integer value x 10^16, 16 bytes."""
    CODE = "code"
    """An enum by its number, one byte."""
    ID = "id"
    """A text, or a hash of one that is longer than Nautilus can hold."""
    JSON_DECIMAL = "json_decimal"
    """A decimal as the bytes of a JSON text."""
    UINT16 = "uint16"
    NS = "ns"
    """A time in ns since 1970."""


class Period(StrEnum):
    """How much time a Nautilus file holds."""

    DAY = "day"
    HOUR = "hour"


class NautilusColumn(NamedTuple):
    """A column of a Nautilus file: its name there, the frame's column that it is made from, and how."""

    name: str
    made_from: str
    encoding: Encoding
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class Kept:
    """Which rows of a frame a Nautilus file holds, where it does not hold all.

    Attributes:
        rows: True for each row that it holds; ``shift(1)`` is the previous row of the day, also across blocks.
        deciding: Columns that this needs and the file does not hold.
        why: What is said of a row that it does not hold.
    """

    rows: pl.Expr
    deciding: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class NautilusForm:
    """A table as one generation of NautilusTrader stores it.

    Attributes:
        cls: Class in ``nautilus_trader.model.data``.
        folder: In ``data/`` of a catalog.
        columns: Those before ``ts_event`` and ``ts_init``, in the order of the file.
        precisions: Key in the footer -> the instrument's precision that it names.
        kept: Rows that the file holds; None: all.
        readable: Nautilus' own reader can read what its own writer writes.
        period: Of one file.
    """

    cls: str
    folder: str
    columns: tuple[NautilusColumn, ...]
    precisions: Mapping[str, Precision]
    kept: Kept | None = None
    readable: bool = True
    period: Period = Period.DAY


GENERATION: Final = 1
"""Of NautilusTrader: the one whose form is written."""


@dataclass(frozen=True, slots=True)
class Table:
    """What we promise: one Nautilus data type.

    Attributes:
        name: The asset and the module; Nautilus' folder of generation 1.
        token: The guide's word in ``--data-types``.
        folder: Name of the frame's folder, without suffix.
        nautilus: Generation of NautilusTrader -> the form that it stores the table in.
        doc: One sentence.
        columns: Those between ``ts_init`` and ``raw_row``.
        id_column: Column that identifies a message, if the venue gives ids.
        gap_seconds: Longest usual silence; None: five times the cadence found (1 s or 3 s).
        rules: In the order they are reported.
        code_version: Raised by hand when the meaning of a column changes.
        whole_day: Flags that are known only when all rows of the day have been seen, unless the source sets them.
        members: Columns with the first and last id of what a row is an aggregate of.
        default: Made where nobody names the tables that are wanted.
        ceiling: Column whose highest values a picture shows above the first column's; empty: the first column itself.
        charted: A picture of each day is worth its place in Dagster.
        kind_setting: The setting that chooses between the channels of a source that give it.
        is_trades: Its rows are trades, whose large gaps are counted as the guide does.
    """

    name: str
    token: str
    folder: str
    nautilus: Mapping[int, NautilusForm]
    doc: str
    columns: tuple[Column, ...]
    rules: tuple[Rule, ...]
    code_version: int
    id_column: str | None = None
    gap_seconds: float | None = None
    whole_day: Mapping[str, LastRow] = field(default_factory=dict)
    members: tuple[str, str] | None = None
    default: bool = False
    ceiling: str = ""
    charted: bool = False
    is_trades: bool = False
    kind_setting: str = ""

    def form(self, generation: int = GENERATION) -> NautilusForm:
        """How a generation of NautilusTrader stores it. Raises NoNautilusForm where none is declared."""
        form = self.nautilus.get(generation)
        if form is None:
            raise NoNautilusForm(self.name, generation, sorted(self.nautilus))
        return form


class Identity(StrEnum):
    """What tells whether two rows of a channel are one row that was sent, written or imported twice.

    ID: the venue's id names one row; rows that are equal in all but their arrival are one, and an id with two contents
    is an error. CONTENT: rows that are equal in all but their arrival are one. Where ids are shared by several rows,
    rows may be equal and yet be several: all that stand in one message are kept, and the n-th of them is the same row
    as the n-th in another message. MOMENT: as CONTENT, but what arrives later is an observation of its own. EVERY_ROW:
    each row is.
    """

    ID = "id"
    CONTENT = "content"
    MOMENT = "content and arrival"
    EVERY_ROW = "every row"


class Order(StrEnum):
    """In which order the rows of a channel come, and are stored, whether they came so or not.

    ARRIVAL: by ``ts_init``; rows of one moment by their line in the raw day and their place on it.
    """

    ARRIVAL = "arrival"


type FieldKind = Literal["text", "integer", "decimal", "flag"]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a source's message or row: ``key`` is its name there, ``name`` ours; ``doc`` its unit and meaning.

    ``decimal`` is text that holds a number, ``integer`` fits into 63 bits, ``flag`` is true or false; ``missing`` is
    the reject reason where a required one is absent. ``decimals``: most digits behind the point that are kept.
    """

    name: str
    key: str
    kind: FieldKind
    doc: str
    required: bool = True
    missing: str = "missing_field"
    decimals: int = 16


@dataclass(frozen=True, slots=True)
class TableMapping:
    """How a channel's fields become a table.

    Attributes:
        columns: Table column -> expression over the channel's fields (times in integer ns).
        applies: Rows that the table has a value for; the others are counted as ``not_applicable``.
        lineage: Table column -> keys of the raw fields.
        identity: When two rows of the table are one; None: as in the channel's other tables.
        made_ids: Ids for the rows that have none, equal where rows are alike; None: a hash of the row's content.
    """

    columns: Mapping[str, pl.Expr]
    lineage: Mapping[str, tuple[str, ...]]
    applies: pl.Expr | None = None
    identity: Identity | None = None
    made_ids: pl.Expr | None = None


@dataclass(frozen=True, slots=True)
class Channel:
    """One stream of a source, and the tables it gives.

    Attributes:
        name: The exchange's (or Tardis') own name of the stream; folder of the raw files.
        event: What the message calls itself.
        series: What a Nautilus folder made from it holds; two series never share a folder.
        fields: All that is read from a message.
        ts_event: Exchange time in ns from the fields; null rejects the row as ``unknown_time``.
        contiguous_ids: Each id is the one before plus one, so that a hole is a loss; False: a day's rows may show it.
        excludes: Reason -> rows that the venue itself marks as no market trade.
        tables: Table name -> mapping.
        gap_seconds: Longest usual silence of this stream; None: the table's own.
        order: In which order its rows come.
        identity: When two of its rows are one: by ID only where the tables have ids.
        symbol_of: (symbol) -> what the messages of this stream call it, where one message is for several symbols.
    """

    name: str
    event: str
    series: str
    fields: tuple[Field, ...]
    ts_event: pl.Expr
    tables: Mapping[str, TableMapping]
    contiguous_ids: bool = True
    excludes: Mapping[str, pl.Expr] = field(default_factory=dict)
    gap_seconds: float | None = None
    order: Order = Order.ARRIVAL
    identity: Identity = Identity.ID
    symbol_of: Callable[[str], str] | None = None


@dataclass(frozen=True, slots=True)
class Download:
    """A raw day as it was received: a whole file, to be moved into its place.

    ``suffix`` with its dot; ``origin`` as in the manifest: ``url`` (no secrets), ``bytes``, ``sha256``, ...
    ``discard`` for a file from a cache, which may have been damaged there: forget it, so that it is fetched again.
    """

    path: Path
    suffix: str
    origin: Mapping[str, Any]
    dialect: Dialect = field(default_factory=dict)
    discard: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class FetchPlan:
    """What fetching a day would take; ``requests`` 0: all of it is in the cache."""

    requests: int
    cached: int
    free: bool


class RequestOf(Protocol):
    """Says what is asked for to get a day from a provider."""

    def __call__(self, settings: Mapping[str, Any], symbol: str, channel: Channel, day: date, /) -> dict[str, Any]:
        """What identifies the day; equal requests are the same data."""
        ...


class FetchesDay(Protocol):
    """Gets a day from a provider."""

    def __call__(
        self,
        settings: Mapping[str, Any],
        symbol: str,
        channel: Channel,
        day: date,
        cache_folder: Path,
        work: Path,
        tick: Callable[[], None] | None,
        /,
    ) -> Download:
        """The day as it was received. ``tick`` is called several times a second and may raise to stop everything."""
        ...


class PlansDay(Protocol):
    """Says what fetching a day would take."""

    def __call__(
        self, settings: Mapping[str, Any], symbol: str, channel: Channel, day: date, cache_folder: Path, /
    ) -> FetchPlan:
        """The requests that are left to make; none is made."""
        ...


class MakesDay(Protocol):
    """Makes a raw day up."""

    def __call__(
        self, settings: Mapping[str, Any], symbol: str, channel: Channel, day: date, /
    ) -> Iterator[bytes] | None:
        """Its bytes in blocks of whole lines; None: there is no such day."""
        ...


class Publishes(Protocol):
    """How a provider's published files are looked at again."""

    def versions(
        self, settings: Mapping[str, Any], urls: Sequence[str], cache_folder: Path, tick: Callable[[], None] | None
    ) -> Mapping[str, Mapping[str, str] | None]:
        """Address -> ``etag``, ``last_modified`` and ``bytes`` now, empty where that is not said; None: it is gone.

        Raises RemoteFault.
        """

    def forget(self, settings: Mapping[str, Any], url: str, cache_folder: Path) -> None:
        """Remove a file from the cache, so that it is fetched anew."""


@dataclass(frozen=True, slots=True)
class Remote:
    """How a source fetches its days from a provider.

    Attributes:
        environment: Setting -> environment variable that goes before feeds.yaml.
        channels: (settings) -> the channels that these settings give, with their series.
        venues: (settings) -> Nautilus venues that the data can have, the usual one first. Raises UsageError for
            settings that contradict each other.
        listing: (settings, symbol) -> Listing.
        request: What identifies a day.
        download: Fetches a day.
        plan: Says what that would take.
        definition: (settings, symbol) -> what the provider says of an instrument, as in ``instruments:``, or None.
        account: (settings) -> lines for people on what the key allows.
        reachable: (settings) -> whether the provider answers, soon.
        published: Says of published files what they are now, and forgets those that were replaced; None: files of this
            provider are never looked at again.
        untested: (settings, symbol) -> nobody has compared what is known of the provider with its own server yet.
    """

    environment: Mapping[str, str]
    channels: Callable[[Mapping[str, Any]], tuple[Channel, ...]]
    venues: Callable[[Mapping[str, Any]], tuple[str, ...]]
    listing: Callable[[Mapping[str, Any], str], Listing]
    request: RequestOf
    download: FetchesDay
    plan: PlansDay
    definition: Callable[[Mapping[str, Any], str], Mapping[str, Any] | None]
    account: Callable[[Mapping[str, Any]], list[str]]
    reachable: Callable[[Mapping[str, Any]], bool]
    published: Publishes | None = None
    untested: Callable[[Mapping[str, Any], str], bool] = lambda settings, symbol: False  # noqa: ARG005


@dataclass(frozen=True, slots=True)
class Source:
    """What we receive: one provider or file format.

    Attributes:
        name: As in feeds.yaml and ``--source``.
        doc: One sentence.
        extension: Of the daily raw files, without compression.
        channels: In order of preference for a table.
        lands: Users drop files into the landing zone (else the source makes or fetches days itself).
        open: A reader of lines of a dialect.
        code_version: Raised by hand when a mapping changes.
        quoted: A line end may stand inside quotes, where no block is cut.
        begin: A reader of a file, from its first block and what is said of it, for formats that say in a header how
            they are to be read. None: every line speaks for itself, in the dialect ``{}``.
        culprit: (a line's text, its dialect, the reason why it has no place) -> (field, value) to show; None: not known.
        says: (first block) -> what its lines say of venue and market (see ``markets``), where there is no header.
        settings: What it takes in feeds.yaml and ``--config``.
        precisions: symbol -> decimals of price, size and mark, for a source that knows them.
        fetch: Makes a raw day, for sources that do.
        remote: For sources that fetch days from a provider.
        narrowed: (names of channels) -> the same source, for which the lines of all others are of no stream that it
            knows; None: it reads them all the same.
    """

    name: str
    doc: str
    extension: str
    channels: tuple[Channel, ...]
    lands: bool
    open: Opens
    code_version: int
    settings: "type[Settings]"
    fetch: MakesDay | None = None
    precisions: Callable[[str], tuple[int, int, int]] | None = None
    begin: Begins | None = None
    says: Callable[[bytes], Mapping[str, Any]] | None = None
    culprit: Callable[[str, Dialect, str], tuple[str | None, str | None]] | None = None
    quoted: bool = False
    remote: Remote | None = None
    narrowed: Callable[[frozenset[str]], "Source"] | None = None


@dataclass(frozen=True, slots=True, order=True)
class InstrumentDay:
    """The unit of everything: one InstrumentId x one UTC date, by ``ts_init``."""

    instrument_id: str
    date: date

    def __str__(self) -> str:
        return f"{self.instrument_id} {self.date}"
