"""Stage 2: a raw day becomes stored frames, rejects and verdicts; every line is accounted for.

Threads overlap: one decompresses, two decode, and for each table one writes, one digests and one judges. Sorted input is never
held in memory; input that proves unsorted, or repeats ids, is held for its day, sorted by (``ts_init``, arrival) and said so.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from hedgegrid_assets.errors import DataError, PrecisionTooFine, RawDamaged, RowsWouldBeLost, TooManyOddLines
from hedgegrid_assets.instruments import FAR_FINER, FLOAT_DIGITS
from hedgegrid_assets.model import Channel, Decoded, Dialect, Identity, InstrumentDay, RowCounts, Source, Status, Table
from hedgegrid_assets.sources.formats import synthetic_ids as made_ids
from hedgegrid_assets.stages import integrity
from hedgegrid_assets.stages.earlier import Earlier
from hedgegrid_assets.stages.frames import (
    ContentDigest,
    FrameWriter,
    Precisions,
    Regrouped,
    arrow_schema,
    frame_metadata,
    frame_schema,
    read_blocks,
)
from hedgegrid_assets.stages.integrity import Circumstances, DayRules, Thresholds
from hedgegrid_assets.stages.raw import LINES_REMEDY, REJECT_SCHEMA, Carried, RawDay, files_to_blame
from hedgegrid_assets.store import (
    BackgroundWriter,
    Block,
    BlockReader,
    Places,
    Spool,
    atomic_write,
    exclusive_lock,
    ordered_map,
    publish_file,
    reading,
    sha256_of,
    temporary_file,
    writing,
)
from hedgegrid_assets.tables import A_NUMBER, needs
from hedgegrid_assets.tables.rules import FILES_TOLD
from hedgegrid_assets.timestamps import day_end

ODD_LINES_CAP: Final = 200_000
_TRADE_ID_LENGTH: Final = 1_000
_BASE: Final = "made_from"
_COPY: Final = "copy"
_MESSAGE: Final = "message"


@dataclass(frozen=True, slots=True)
class Normalized:
    """What became of one (instrument-day, table). ``error`` is set where no frame could be stored."""

    day: InstrumentDay
    table: Table
    verdict: Mapping[str, Any]
    frame: Path | None
    error: DataError | None = None
    note: str | None = None
    """What a person should know of what the frame has replaced."""

    @property
    def status(self) -> Status:
        """The day's status for this table."""
        return Status(self.verdict["status"])


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that decides what a frame is made of; equal recipes on equal raw bytes give equal frames."""

    source: Source
    channel: Channel
    precisions: Precisions
    thresholds: Mapping[str, Thresholds]
    compression: str = "zstd"

    def code_version(self, table: Table) -> str:
        """Versions of the table's and the source's rules."""
        return f"{table.name}:{table.code_version}+{self.source.name}:{self.source.code_version}"

    def identity_of(self, table: Table) -> Identity:
        """When two rows of a table are one: without ids, it is their content that tells."""
        by_content = self.channel.identity is Identity.ID and table.id_column is None
        return Identity.CONTENT if by_content else self.channel.identity

    def thresholds_of(self, table: Table) -> Thresholds:
        """The feed's thresholds for a table."""
        return self.thresholds.get(table.name, Thresholds())


def is_current(places: Places, day: InstrumentDay, table: Table, raw: RawDay, recipe: Recipe) -> bool:
    """The stored frame and verdict were made from these raw bytes by this recipe; a refused day has none.

    A verdict that lacks a rule of its table, or has one more, was judged by an older table: the day is judged anew.
    """
    verdict = integrity.read_verdict(places, table, day)
    return (
        verdict is not None
        and verdict["raw_sha256"] == [raw.sha256]
        and verdict["code_version"] == recipe.code_version(table)
        and recipe.precisions.same_for(table, verdict["precision"])
        and verdict["thresholds"] == recipe.thresholds_of(table).to_dict()
        and verdict["series"] == recipe.channel.series
        and verdict.get("read_as") == raw.read_as
        and {rule["name"] for rule in verdict["rules"]} == {rule.name for rule in table.rules}
        and integrity.identity_of(verdict, table) == recipe.identity_of(table)
        and verdict["frame_sha256"] is not None
        and _is_made_from(places.frame(day.instrument_id, table.folder, day.date), raw)
        and integrity.blamed_files(verdict) == _to_blame(raw, recipe.thresholds_of(table))[:FILES_TOLD]
    )


def _is_made_from(frame: Path, raw: RawDay) -> bool:
    """A frame is there, and its own footer says the same: an older one may have been put back."""
    try:
        return frame_metadata(frame).get("hedgegrid.raw_sha256") == raw.sha256
    except (pa.ArrowException, OSError):
        return False


def _to_blame(raw: RawDay, thresholds: Thresholds) -> list[dict[str, Any]]:
    return files_to_blame(raw.manifest, thresholds.max_rejected)


class Follower(Protocol):
    """Takes the rows of a frame while they are stored, in stored order."""

    def add(self, group: pl.DataFrame, /) -> None:
        """Take rows, in memory form (see ``frames``)."""

    def restart(self) -> None:
        """Forget all rows: the frame is begun anew."""

    def finish(self, content_digest: str, /) -> None:
        """The frame is complete, and this is its digest."""


def normalize_day(
    places: Places,
    day: InstrumentDay,
    raw: RawDay,
    tables: Sequence[Table],
    recipe: Recipe,
    progress: Callable[[str, int], None] | None = None,
    followers: Mapping[str, Follower] | None = None,
    carried: Carried | None = None,
    *,
    force: bool = False,
) -> list[Normalized]:
    """Decode one raw day once, and store frame, rejects and verdict of each table.

    ``followers``: table -> who follows it; ``carried``: what importing the day has decoded already.

    Files appear whole or not at all; an earlier frame stays until its successor is complete. Raises RawDamaged and
    TooManyOddLines (nothing stored); what concerns one table only is in its ``Normalized.error``.
    """
    locked = exclusive_lock(places.day_lock(day.instrument_id, day.date))
    with writing(places.catalog), locked, ExitStack() as stack:
        following = followers or {}
        days = [_TableDay(places, day, raw, table, recipe, following.get(table.name)) for table in tables]
        earlier = {table.name: Earlier.of(places, day, table, raw, force=force) for table in tables}
        for table_day in days:
            stack.callback(table_day.close)
        odd = 0
        if carried is not None and carried.sha256 != raw.sha256:  # another process has imported since
            carried = None
        for lines, decoded in carried or _decoded(raw, recipe):
            odd += decoded.odd
            if odd > ODD_LINES_CAP:
                raise TooManyOddLines(raw.path, ODD_LINES_CAP)
            for table_day in days:
                table_day.add(decoded)
            if progress:
                progress(f"{day}", lines)
        return [table_day.finish(earlier.get(table_day.table.name)) for table_day in days]


def _decoded(raw: RawDay, recipe: Recipe) -> Iterator[tuple[int, Decoded]]:
    """(lines, decoded) of each block of a raw day. Raises RawDamaged if the file is not the one of its manifest."""
    reader = BlockReader(raw.path, quoted=recipe.source.quoted)

    def decode(given: tuple[Block, Dialect]) -> tuple[int, Decoded]:
        block, dialect = given
        return block.lines, recipe.source.decode(block, recipe.channel, dialect)

    yield from ordered_map(decode, raw.by_dialect(reader))
    if reader.truncated or reader.sha256 != raw.sha256:
        raise RawDamaged(raw.path, f"expected sha256 {raw.sha256}, found {reader.sha256}")


class _TableDay:
    """One table of one day on its way from decoded rows to stored files."""

    def __init__(
        self,
        places: Places,
        day: InstrumentDay,
        raw: RawDay,
        table: Table,
        recipe: Recipe,
        follower: Follower | None,
    ) -> None:
        self._places, self._day, self._raw, self._table, self._recipe = places, day, raw, table, recipe
        self._follower = follower
        self.table = table
        self._mapping = recipe.channel.tables[table.name]
        self._schema = frame_schema(table, recipe.precisions)
        self._stored = dict(self._schema)
        self._rows_in = self._not_applicable = self._rows_out = self._duplicates = 0
        self._rejects: list[pl.DataFrame] = []
        self._excluded: list[np.ndarray] = []
        self._left_empty: Counter[str] = Counter()
        self._scaled = {
            column.name: column for column in table.columns if isinstance(column.dtype, pl.Decimal) and column.precision
        }
        self._too_fine: dict[str, tuple[int, int]] = {}
        self._sink: _Sink | None = None
        self._held: list[pl.DataFrame] | None = None
        self._waiting = _Waiting(places, table, day_end(day.date)) if table.whole_day else None
        self._identity = recipe.identity_of(table)
        self._ordinals = made_ids.Ordinals(table.id_column) if table.id_column else None
        self._made = made_ids.Flags()
        self._latest = -(2**63)
        self._last_key: tuple[int, int] | None = None
        self._newest: int | None = None
        self._recent: pl.DataFrame | None = None
        self._out_of_order = 0

    # -- rows in

    def add(self, decoded: Decoded) -> None:
        """Take one decoded block."""
        rows = decoded.rows
        self._rows_in += len(rows) + len(decoded.rejects)
        self._keep_rejects(decoded.rejects)
        faults = self._faults_of(decoded)
        if faults is not None:
            rows = self._without_faulty(rows, faults)
        if self._mapping.applies is not None:
            applicable = rows.filter(self._mapping.applies)
            self._not_applicable += len(rows) - len(applicable)
            rows = applicable
        if faults is not None:
            self._count_empty(rows, faults)
        columns = [expression.alias(name) for name, expression in self._mapping.columns.items()]
        columns += [
            pl.lit(value=False).alias(name) for name in self._table.whole_day if name not in self._mapping.columns
        ]
        base = self._mapping.made_ids
        made = [] if base is None else [base.alias(_BASE)]
        frame = self._without_impossible(rows.select("raw_row", "ts_event", "ts_init", *columns, *made))
        more: list[str] = []
        if self._table.id_column:
            own = frame[_BASE] if made else None
            frame, more = made_ids.filled(frame.drop(_BASE, strict=False), self._table.id_column, own), [made_ids.MADE]
        frame = self._without_floats(frame)
        if self._check_precision(frame):
            self._order(frame.select(*(pl.col(name).cast(dtype) for name, dtype in self._stored.items()), *more))

    def _keep_rejects(self, rejects: pl.DataFrame) -> None:
        if not len(rejects):
            return
        self._rejects.append(rejects)
        if self._table.id_column:
            key = next(field.key for field in self._recipe.channel.fields if field.name == "id")
            numbers = rejects.filter(pl.col("reason").str.starts_with("excluded_"))["raw"].str.extract(
                rf'"{key}"\s*:\s*(\d+)', 1
            )
            self._excluded.append(numbers.cast(pl.Int64, strict=False).drop_nulls().to_numpy())

    def _faults_of(self, decoded: Decoded) -> pl.DataFrame | None:
        """The faults in fields that this table uses, in the order of the fields; None if there are none.

        ``empty``: the column that stays empty, where the value is a number that it cannot hold, and it may be empty.
        """
        if decoded.faults is None or not len(decoded.faults):
            return None
        required, optional = needs(self._table, self._mapping)
        too_large = pl.col("reason") == "id_too_large"
        is_number = (pl.col("reason") == "bad_decimal") & pl.col("value").str.contains(A_NUMBER)
        column = pl.col("name").replace_strict(optional, default=None, return_dtype=pl.String)
        found = decoded.faults.filter(pl.col("name").is_in([*required, *optional]))
        return found.with_columns(empty=pl.when(too_large | is_number).then(column)) if len(found) else None

    def _without_faulty(self, rows: pl.DataFrame, faults: pl.DataFrame) -> pl.DataFrame:
        """Reject the rows that this table cannot do without a faulty value of."""
        bad = faults.filter(pl.col("empty").is_null()).unique("raw_row", keep="first", maintain_order=True)
        applies = self._mapping.applies
        if applies is not None:  # what does not concern the table is not held against it
            others = rows.filter(applies)["raw_row"]
            deciding = pl.col("name").is_in(applies.meta.root_names())
            bad = bad.filter(deciding | pl.col("raw_row").is_in(others.implode()))
        rejects = bad.join(rows.select("raw_row", "ts_init"), on="raw_row").sort("raw_row")
        rejects = rejects.with_columns(raw=pl.lit(None, pl.String))
        self._keep_rejects(rejects.select("raw_row", "reason", "field", "value", "raw", "ts_init"))
        return rows.filter(~pl.col("raw_row").is_in(rejects["raw_row"].implode()))

    def _count_empty(self, rows: pl.DataFrame, faults: pl.DataFrame) -> None:
        """Count the values that a column cannot hold, in rows that the table has all the same."""
        left = faults.filter(pl.col("empty").is_not_null()).join(rows.select("raw_row"), on="raw_row", how="semi")
        self._left_empty.update(dict(left["empty"].value_counts().iter_rows()))

    def _without_impossible(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Reject zero, negative and unrepresentable values, and ids that Nautilus cannot hold."""
        tests = list(self._impossible(frame))
        if not tests or not frame.select(pl.any_horizontal(is_bad for _, is_bad, _ in tests).any()).item():
            return frame
        reason = value = pl.lit(None, pl.String)
        for name, is_bad, culprit in reversed(tests):
            reason = pl.when(is_bad).then(pl.lit(name)).otherwise(reason)
            value = pl.when(is_bad).then(culprit.cast(pl.String)).otherwise(value)
        marked = frame.with_columns(reason=reason, value=value)
        bad = marked.filter(pl.col("reason").is_not_null())
        self._rejects.append(
            bad.select(
                "raw_row",
                "reason",
                pl.lit(None, pl.String).alias("field"),
                "value",
                pl.lit(None, pl.String).alias("raw"),
                "ts_init",
            )
        )
        return marked.filter(pl.col("reason").is_null()).drop("reason", "value")

    def _impossible(self, frame: pl.DataFrame) -> Iterator[tuple[str, pl.Expr, pl.Expr]]:
        """(reason, rows it holds for, the culprit) of all that may be wrong with the frame."""
        for column in self._table.columns:
            value = pl.col(column.name)
            if column.positive:
                yield f"zero_{_short(column.name)}", value == 0, value
                yield "negative", value < 0, value
            if column.maximum is not None:
                yield "bad_decimal", value > column.maximum, value
            if column.name == self._table.id_column and frame[column.name].cast(pl.Int64, strict=False).null_count():
                yield "bad_trade_id", ~value.str.contains(rf"^[\x21-\x7e]{{1,{_TRADE_ID_LENGTH}}}$"), value

    def _finer(self, frame: pl.DataFrame) -> dict[str, int]:
        """Columns that have values of more decimals than the definition -> how many."""
        if not self._scaled:
            return {}
        counts = frame.select((pl.col(name) != self._cut(name)).sum() for name in self._scaled).row(0, named=True)
        return {name: count for name, count in counts.items() if count}

    def _cut(self, name: str) -> pl.Expr:
        scale = self._recipe.precisions.of(self._scaled[name])
        return pl.col(name).cast(pl.Decimal(38, scale)).cast(pl.Decimal(38, 16))

    def _without_floats(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Reject prices and sizes that are far finer than the definition and as long as binary floats are."""
        for name in self._finer(frame):
            column = self._scaled[name]
            if column.precision == "mark":  # no tick is made of them
                continue
            digits = pl.col(name).cast(pl.String).str.strip_chars_end("0")
            decimals = digits.str.len_bytes() - digits.str.find(".", literal=True) - 1
            length = digits.str.strip_chars_start("-0.").str.replace(".", "", literal=True).str.len_bytes()
            least = self._recipe.precisions.of(column) + FAR_FINER
            is_bad = ((decimals >= least) & (length >= FLOAT_DIGITS)).fill_null(value=False)
            bad = frame.filter(is_bad)
            self._rejects.append(
                bad.select(
                    "raw_row",
                    pl.lit("too_fine").alias("reason"),
                    pl.lit(name).alias("field"),
                    digits.alias("value"),
                    pl.lit(None, pl.String).alias("raw"),
                    "ts_init",
                )
            )
            frame = frame.filter(~is_bad)
        return frame

    def _check_precision(self, frame: pl.DataFrame) -> bool:
        """False, for this block and all to come, once a value has more decimals than the definition."""
        for name, count in self._finer(frame).items():
            needed = (
                frame[name].cast(pl.String).str.strip_chars_end("0").str.extract(r"\.(\d*)$", 1).str.len_bytes().max()
            )
            known = self._too_fine.get(name, (0, 0))
            self._too_fine[name] = (known[0] + count, max(known[1], int(str(needed))))
        return not self._too_fine

    # -- order

    def _order(self, frame: pl.DataFrame) -> None:
        """Pass sorted rows on at once; hold the day from the first row that is out of order or may be a repetition."""
        if not len(frame):
            return
        latest = frame.select(
            pl.col("ts_init").cum_max().shift(1, fill_value=self._latest).clip(lower_bound=self._latest)
        )["ts_init"]
        late = int((frame["ts_init"] < latest).sum())
        self._out_of_order += late
        self._latest = max(self._latest, int(str(frame["ts_init"].max())))
        if self._held is None and (late or not self._differ(frame)):
            self._held = self._take_back()
        if self._held is not None:
            self._held.append(frame)
        else:
            self._pass_on(self._numbered(frame))

    def _numbered(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The frame with numbers behind ids that were made, and a note of which they are."""
        if self._ordinals is None:
            return frame
        self._made.add(frame["raw_row"], frame[made_ids.MADE])
        return self._ordinals.numbered(frame)

    def _differ(self, frame: pl.DataFrame) -> bool:
        """Proof that no row is there twice: ids rise; without ids, exchange times step back a minute at most, and rows of one differ."""
        if self._identity is Identity.EVERY_ROW:
            return True
        if self._ordinals is None:
            return self._moments_differ(frame)
        if frame[made_ids.MADE].any():
            if self._raw.origin_starts() or not self._ordinals.at_once(frame):
                return False
            frame = frame.filter(~pl.col(made_ids.MADE))  # ids made for one file are unique by their ordinals
        return not len(frame) or self._ids_rise(frame)

    def _ids_rise(self, frame: pl.DataFrame) -> bool:
        """Ids rise; those that rows share stand together in one message."""
        ids, times = frame[self._table.id_column or ""].cast(pl.Int64, strict=False), frame["ts_init"]
        if ids.null_count():
            return False
        before, self._last_key = self._last_key, (int(ids[-1]), int(times[-1]))
        steps = ids.diff().drop_nulls()
        if bool((steps > 0).all()) and (before is None or ids[0] > before[0]):
            return True
        if self._identity is Identity.ID or self._raw.origin_starts():
            return False
        moved = (times.diff().drop_nulls() != 0) & (steps == 0)
        first = before is None or ids[0] > before[0] or (ids[0], times[0]) == before
        return first and bool((steps >= 0).all()) and not moved.any()

    def _moments_differ(self, frame: pl.DataFrame) -> bool:
        """Rows that are one have one exchange time: so only those of the last minute of it need be remembered."""
        rows = frame.select("ts_event", *self._content())
        times = rows["ts_event"]
        least, most = int(str(times.min())), int(str(times.max()))
        if self._newest is not None and least < self._newest - made_ids.REMEMBERED_NS:
            return False
        rise = (self._newest is None or times[0] > self._newest) and bool((times.diff().drop_nulls() > 0).all())
        together = rows if self._recent is None else pl.concat([self._recent, rows])
        self._newest = most if self._newest is None else max(most, self._newest)
        self._recent = together.filter(pl.col("ts_event") >= self._newest - made_ids.REMEMBERED_NS)
        return rise or not together.filter(pl.col("ts_event").is_duplicated()).is_duplicated().any()

    def _content(self) -> list[str]:
        """The columns that two rows have in common if they are one."""
        arrival = {"raw_row"} if self._mapping.repeats else {"ts_init", "raw_row"}
        return [name for name in self._stored if name not in arrival and name != "ts_event"]

    def _take_back(self) -> list[pl.DataFrame]:
        if self._waiting is not None:
            return self._waiting.take_back()
        if self._sink is None:
            return []
        sink, self._sink = self._sink, None
        self._rows_out = 0
        if self._ordinals is None:
            return sink.take_back()
        return [rows.with_columns(self._made.of(rows["raw_row"]).alias(made_ids.MADE)) for rows in sink.take_back()]

    def _pass_on(self, frame: pl.DataFrame) -> None:
        if self._waiting is not None:
            self._waiting.add(frame)
        else:
            self._store(frame)

    def _store(self, frame: pl.DataFrame) -> None:
        if self._sink is None:
            self._sink = _Sink(self._places, self._day, self._table, self._recipe, self._raw, self._follower)
        self._rows_out += len(frame)
        self._sink.put(frame.drop(made_ids.MADE, strict=False))

    def _release(self, held: list[pl.DataFrame]) -> int:
        """Sort, drop exact repetitions, pass on; ids that stand for two trades."""
        if not held:
            return 0
        day = pl.concat(held)
        held.clear()
        identity = [] if self._identity is Identity.EVERY_ROW else ["ts_event", *self._content()]
        if self._identity is Identity.CONTENT and self._table.id_column:
            day = self._with_copies(day, identity)
            identity.append(_COPY)
        newest_first = bool((day["ts_init"].diff() <= 0).all())  # then the later of two lines of one moment came first
        # several messages of one line stay in their order
        day = day.sort("ts_init", "raw_row", descending=[False, newest_first], maintain_order=True)
        if self._table.id_column:
            day = made_ids.Ordinals(self._table.id_column).numbered(day, self._raw.origin_starts())
        unique = day.unique(subset=identity, keep="first", maintain_order=True) if identity else day
        self._duplicates = len(day) - len(unique)
        ids = unique[self._table.id_column] if self._table.id_column and self._identity is Identity.ID else None
        for start in range(0, len(unique), 1 << 20):
            self._pass_on(unique.slice(start, 1 << 20).drop(_COPY, strict=False))
        return 0 if ids is None else int(ids.is_duplicated().sum())

    def _with_copies(self, day: pl.DataFrame, content: list[str]) -> pl.DataFrame:
        """With ``_COPY``: which one of the equal rows of its message a row is.

        A message is what one landing file holds of one arrival, line after line.
        """
        day = day.sort("raw_row", maintain_order=True)
        origin = np.searchsorted(np.asarray(self._raw.origin_starts(), np.int64), day["raw_row"].to_numpy(), "right")
        message = pl.struct("ts_init", pl.lit(pl.Series("origin", origin))).rle_id()
        copies = pl.int_range(pl.len(), dtype=pl.UInt32).over(*content, _MESSAGE) * (~pl.col(made_ids.MADE)).cast(
            pl.UInt32
        )
        return day.with_columns(message.alias(_MESSAGE)).with_columns(copies.alias(_COPY)).drop(_MESSAGE)

    # -- files out

    def finish(self, earlier: Earlier | None) -> Normalized:
        """Publish frame, rejects and verdict, unless rows of an ``earlier`` frame of another origin would be lost."""
        conflicts = self._release(self._held) if self._held is not None and not self._too_fine else 0
        if self._waiting is not None and not self._too_fine:
            for frame in self._waiting.complete():
                self._store(frame.select(self._schema.names()))
        rejects = self._all_rejects()
        known = Circumstances(
            counts=RowCounts(
                rows_in=self._rows_in,
                rows_out=0 if self._too_fine else self._rows_out,
                rejected=len(rejects),
                exact_duplicates=self._duplicates,
                not_applicable=self._not_applicable,
            ),
            rejects_by_reason=Counter(dict(rejects["reason"].value_counts().iter_rows())),
            out_of_order=self._out_of_order,
            conflicting_ids=conflicts,
            too_fine=sum(count for count, _ in self._too_fine.values()),
            excluded_ids=np.sort(np.concatenate([*self._excluded, np.empty(0, np.int64)])),
            disconnects=self._raw.manifest["disconnects_ns"],
            capture_edges=self._raw.origin_starts(),
            contiguous_ids=self._recipe.channel.contiguous_ids,
            unique_ids=self._identity is Identity.ID,
            unplaced_files=_to_blame(self._raw, self._recipe.thresholds_of(self._table)),
            left_empty=self._left_empty,
        )
        if self._too_fine:
            return self._refuse(known)
        if self._sink is None:
            self._sink = _Sink(self._places, self._day, self._table, self._recipe, self._raw, self._follower)
        new = self._sink.complete()
        note = None
        if earlier is not None:
            try:
                note = earlier.compared(new, self._rows_out)
            except RowsWouldBeLost as error:
                return Normalized(self._day, self._table, earlier.verdict, None, error)
        frame, sha256, digest, rules = self._sink.publish()
        self._store_rejects(rejects)
        verdict = self._verdict(rules, known, sha256, digest)
        return Normalized(self._day, self._table, verdict, frame, note=note)

    def _verdict(self, rules: DayRules, known: Circumstances, sha256: str | None, digest: str | None) -> dict[str, Any]:
        facts, results = rules.judge(known)
        verdict = integrity.make_verdict(
            self._day,
            self._table,
            facts,
            results,
            series=self._recipe.channel.series,
            frame_sha256=sha256,
            content_digest=digest,
            raw_sha256=[self._raw.sha256],
            code_version=self._recipe.code_version(self._table),
            precisions=self._recipe.precisions.to_dict(),
            thresholds=self._recipe.thresholds_of(self._table),
            identity=self._identity,
        )
        if self._raw.read_as is not None:
            verdict["read_as"] = self._raw.read_as
        integrity.store_verdict(self._places, self._table, self._day, verdict)
        return verdict

    def _refuse(self, known: Circumstances) -> Normalized:
        """No frame can hold these values at the definition's scale: a blocked verdict, and what to do."""
        rules = DayRules(self._table, self._day.date, self._recipe.thresholds_of(self._table))
        verdict = self._verdict(rules, known, None, None)
        name, (_, needed) = next(iter(self._too_fine.items()))
        column = next(column for column in self._table.columns if column.name == name)
        error = PrecisionTooFine(
            self._day.instrument_id,
            str(column.precision),
            self._recipe.precisions.of(column),
            needed,
            str(self._raw.path),
        )
        return Normalized(self._day, self._table, verdict, None, error)

    def _all_rejects(self) -> pl.DataFrame:
        """Rejects in the order of the raw file, with landing file and line."""
        if not self._rejects:
            return pl.DataFrame(schema=REJECT_SCHEMA)
        rejects = pl.concat(self._rejects).sort("raw_row")
        rows = rejects["raw_row"].to_list()
        if self._raw.lines is not None and self._raw.lines.exists():
            with reading(self._raw.lines, "the lines of a raw day", LINES_REMEDY):
                origins = pq.ParquetFile(self._raw.lines).read().take(rejects["raw_row"].to_arrow())
            files, lines = origins.column("file").to_pylist(), origins.column("line").to_pylist()
        else:
            name = self._raw.manifest["origin"][0].get("path", str(self._raw.path))
            files, lines = [name] * len(rows), [row + 1 for row in rows]
        return rejects.with_columns(
            file=pl.Series(files, dtype=pl.String),
            line=pl.Series(lines, dtype=pl.UInt64),
            stage=pl.lit("normalize"),
            ts_init=pl.col("ts_init").cast(pl.Datetime("ns")).dt.replace_time_zone("UTC"),
        ).select(REJECT_SCHEMA.names())

    def _store_rejects(self, rejects: pl.DataFrame) -> None:
        final = self._places.rejects(self._day.instrument_id, self._table.folder, self._day.date)
        if not len(rejects):
            final.unlink(missing_ok=True)
            return
        missing = rejects.filter(pl.col("raw").is_null())["raw_row"]
        if len(missing):
            rejects = rejects.with_columns(
                raw=pl.coalesce("raw", pl.col("raw_row").replace_strict(_raw_text(self._raw, missing), default=None))
            )
        with atomic_write(final, self._places.catalog_temp) as temporary:
            rejects.write_parquet(temporary, compression="zstd")

    def close(self) -> None:
        """Leave nothing half-written behind."""
        if self._waiting is not None:
            self._waiting.close()
        if self._sink is not None:
            self._sink.close()


def _short(column: str) -> str:
    """``zero_price`` for every kind of price."""
    return "price" if column.endswith("price") else column


def _raw_text(raw: RawDay, rows: pl.Series) -> dict[int, str]:
    """The text of some raw rows, at most 4 kB each: read again, as rejects of this kind are rare."""
    wanted = set(rows.to_list())
    found: dict[int, str] = {}
    for block in BlockReader(raw.path):
        count = block.lines
        here = [row for row in wanted if block.first_line <= row < block.first_line + count + 1]
        if here:
            lines = block.data.split(b"\n")
            found |= {
                row: lines[row - block.first_line].decode(errors="backslashreplace").rstrip("\r")[:4096]
                for row in here
                if row - block.first_line < len(lines)
            }
    return found


class _Waiting:
    """Rows of a day in stored order, on disk until the flags that need all of them are known."""

    def __init__(self, places: Places, table: Table, end: int) -> None:
        self._folder, self._flags, self._end = places.catalog_temp, table.whole_day, end
        self._begin()

    def _begin(self) -> None:
        self._spool = Spool(self._folder)
        self._rows = 0
        self._last: dict[str, dict[Any, int]] = {name: {} for name in self._flags}

    def add(self, frame: pl.DataFrame) -> None:
        """Take rows."""
        numbered = frame.with_row_index("number", offset=self._rows)
        for name, flag in self._flags.items():
            found = numbered.filter(flag.among(self._end)).group_by(flag.key).agg(pl.col("number").last())
            self._last[name] |= dict(found.iter_rows())
        self._rows += len(frame)
        self._spool.append(frame)

    def complete(self) -> Iterator[pl.DataFrame]:
        """All rows, with their flags."""
        number, first = pl.int_range(pl.len(), dtype=pl.UInt32), 0
        for frame in self._spool:
            yield frame.with_columns(
                (pl.col(name) | (number + first).is_in(list(last.values()))).alias(name)
                for name, last in self._last.items()
            )
            first += len(frame)

    def take_back(self) -> list[pl.DataFrame]:
        """Give back all rows, and begin anew."""
        rows = list(self._spool)
        self.close()
        self._begin()
        return rows

    def close(self) -> None:
        """Remove the file."""
        self._spool.close()


class _Sink:
    """Writes, digests and judges one frame, each in a thread of its own."""

    def __init__(
        self,
        places: Places,
        day: InstrumentDay,
        table: Table,
        recipe: Recipe,
        raw: RawDay,
        follower: Follower | None,
    ) -> None:
        self._table, self._follower = table, follower
        self._final = places.frame(day.instrument_id, table.folder, day.date)
        self._stack = ExitStack()
        self._temporary = self._stack.enter_context(temporary_file(self._final.name, places.catalog_temp))
        metadata = {
            "hedgegrid.series": recipe.channel.series,
            "hedgegrid.raw_sha256": raw.sha256,
            "hedgegrid.code_version": recipe.code_version(table),
        }
        schema = arrow_schema(table, recipe.precisions, metadata)
        self._writer = FrameWriter(self._temporary, day.instrument_id, table, schema, recipe.compression)
        self._digest = ContentDigest(day.instrument_id)
        self._rules = DayRules(table, day.date, recipe.thresholds_of(table))
        self._groups = Regrouped()
        self._threads = [
            BackgroundWriter(self._writer.write),
            BackgroundWriter(self._digest.add),
            BackgroundWriter(self._rules.add),
        ]
        if follower is not None:
            self._threads.append(BackgroundWriter(follower.add))

    def put(self, frame: pl.DataFrame) -> None:
        """Take rows in stored order."""
        for group in self._groups.add(frame):
            self._hand_on(group)

    def _hand_on(self, group: pl.DataFrame) -> None:
        for thread in self._threads:
            thread.put(group)

    def _end(self) -> None:
        if self._threads:
            for group in self._groups.rest():
                self._hand_on(group)
            while self._threads:
                self._threads.pop().close()
            self._writer.close()

    def take_back(self) -> list[pl.DataFrame]:
        """Stop, and give back all rows taken so far."""
        self._end()
        if self._follower is not None:
            self._follower.restart()
        rows = list(read_blocks(self._temporary, self._table))
        self._stack.close()
        return rows

    def complete(self) -> Path:
        """Write what is left; the file, not published yet."""
        self._end()
        return self._temporary

    def publish(self) -> tuple[Path, str, str, DayRules]:
        """Finish the file: its path, sha256, content digest, and the rules that saw every row."""
        self._end()
        sha256 = sha256_of(self._temporary)
        publish_file(self._temporary, self._final)
        self._stack.close()
        content_digest = self._digest.hexdigest()
        if self._follower is not None:
            self._follower.finish(content_digest)
        return self._final, sha256, content_digest, self._rules

    def close(self) -> None:
        """Drop what is not published."""
        while self._threads:
            with contextlib.suppress(Exception):
                self._threads.pop().close()
        self._writer.give_up()
        self._stack.close()
