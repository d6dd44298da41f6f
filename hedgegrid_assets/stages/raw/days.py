"""A raw day on disk: which one it is, its lines, and the manifest that tells where they are from."""

import contextlib
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
import polars as pl
import pyarrow as pa

from hedgegrid_assets.batch import Batch, Block, Decimals, Placed
from hedgegrid_assets.dialect import Stored
from hedgegrid_assets.errors import DocumentDamaged, RawDamaged, RawDayDamaged
from hedgegrid_assets.model import Channel, Source
from hedgegrid_assets.stages.raw.manifest import FileOrigin, Manifest, read_manifest
from hedgegrid_assets.store import (
    AnyFile,
    BlockReader,
    Places,
    StorePath,
    atomic_write,
    bytes_in,
    ordered_map,
    sha256_of,
    write_document,
)

type Progress = Callable[[str, int], None]
"""Told what is worked on, and how many lines are done since the last call."""

_REPLACED: Final = 50
"""Earlier contents of a raw day that its manifest remembers."""
LINES_REMEDY: Final = "remove the manifest beside it (.json) and run again: the landing files are imported again"
"""The way out for the sidecar of a raw day."""
LINES_SCHEMA: Final = pa.schema([("file", pa.dictionary(pa.int32(), pa.string())), ("line", pa.uint64())])
REJECT_SCHEMA: Final = pl.Schema(
    {
        "file": pl.String,
        "line": pl.UInt64,
        "raw_row": pl.UInt32,
        "stage": pl.String,
        "reason": pl.String,
        "field": pl.String,
        "value": pl.String,
        "raw": pl.String,
        "ts_init": pl.Datetime("ns", "UTC"),
    }
)


_ONLY_ASKED: Final = ("symbols", "tokens", "named", "reader")
"""Settings of a landing file that change nothing in how its lines are read."""


class RawKey(msgspec.Struct, frozen=True, order=True, array_like=True):
    """One raw day: channel x exchange symbol x UTC date."""

    channel: str
    symbol: str
    day: date


class AtHand(Protocol):
    """The batches of a raw day, as reading it gives them."""

    @property
    def whole(self) -> bool:
        """All of them are there; else its file is read."""

    def __iter__(self) -> Iterator[Batch]: ...

    def close(self) -> None:
        """Forget them."""


@dataclass(frozen=True, slots=True)
class RawDay:
    """A raw day on disk: its file, its manifest, and the origin of its lines (None: the file's own lines).

    ``kept``: what was read of it when it was imported or fetched a moment ago, or will be with its neighbours.
    ``fetched``: it was, just now; ``instead_of``: the server that the day held before came from, where that is another.
    """

    key: RawKey
    path: AnyFile
    manifest: Manifest
    lines: StorePath | None
    kept: AtHand | None = field(default=None, compare=False, repr=False)
    fetched: bool = field(default=False, compare=False, repr=False)
    instead_of: str = field(default="", compare=False, repr=False)

    def batches(self, source: Source, channel: Channel) -> Iterator[Batch]:
        """What its lines give to a channel, block by block: what is at hand, else the file is read.

        Raises RawDayDamaged if the file is not the one of its manifest.
        """
        if self.kept is not None and self.kept.whole:
            yield from self.kept
            return
        try:
            yield from self._read(source, channel)
        except RawDamaged as error:
            raise RawDayDamaged(self.path, error.why, in_place=self.manifest.in_place) from None

    def _read(self, source: Source, channel: Channel) -> Iterator[Batch]:
        reader = BlockReader(self.path, quoted=source.quoted)
        readers = [source.open(dialect, [channel.name], placing=False) for dialect in self.dialects]

        def read(given: tuple[Block, int]) -> Batch:
            return readers[given[1]].read(given[0])

        yield from ordered_map(read, self._by_dialect(reader))
        if reader.truncated or reader.sha256 != self.sha256:
            raise RawDamaged(self.path, _other_bytes(self.sha256, reader.sha256))

    def with_rows_of(self, at_hand: "RawDay") -> "RawDay":
        """The same day with what was read of it in this run, unless another process has put other bytes there since."""
        return replace(self, kept=at_hand.kept) if at_hand.sha256 == self.sha256 else self

    def close(self) -> None:
        """Forget what was read of it."""
        if self.kept is not None:
            self.kept.close()

    @property
    def sha256(self) -> str:
        """sha256 of the file's bytes."""
        return self.manifest.sha256

    @property
    def read_as(self) -> str | None:
        """Digest of what was said of how to read its files; None: nothing was said."""
        said = [
            {key: value for key, value in origin.settings.items() if key not in _ONLY_ASKED}
            for origin in self.manifest.origin
        ]
        text = json.dumps(said, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16] if any(said) else None

    def decimals(self, name: str) -> Decimals | None:
        """Decimals of a field in this day; None if it has no value in it."""
        found: Decimals | None = None
        for origin in self.manifest.origin:
            seen = origin.decimals.get(name)
            if seen is not None:
                more = Decimals(*seen) if len(seen) > 2 else Decimals(seen[0], seen[1], seen[1])
                found = found.with_more(more) if found else more
        return found

    def example(self, name: str) -> str:
        """A long number of a field and where it stands, for people; empty if there is none."""
        for origin in self.manifest.origin:
            seen = origin.decimals.get(name, ())
            if len(seen) > 2:
                found = Decimals(*seen)
                line = "" if found.line is None else f", line {found.line + 1}"
                return f"{found.example} ({origin.path or self.path}{line})"
        return ""

    @property
    def dialects(self) -> list[Stored]:
        """The dialect of each landing file; of all, if they have one."""
        dialects: list[Stored] = [origin.dialect for origin in self.manifest.origin]
        return dialects[:1] if all(dialect == dialects[0] for dialect in dialects) else dialects

    def _by_dialect(self, blocks: Iterable[Block]) -> Iterator[tuple[Block, int]]:
        """Blocks with the number of the dialect of their lines; cut where a landing file of another dialect begins."""
        starts = [0, *self.origin_starts()][: len(self.dialects)]
        number = 0
        for block in blocks:
            rest = block
            while number + 1 < len(starts) and rest.first_line + rest.data.count(b"\n") > starts[number + 1]:
                head, rest = _cut(rest, starts[number + 1] - rest.first_line)
                if head.data:
                    yield head, number
                number += 1
            yield rest, number

    def origin_starts(self) -> list[int]:
        """The first raw row of each landing file but the first."""
        starts: list[int] = []
        row = 0
        for origin in self.manifest.origin[:-1]:
            row += origin.stored_lines or 0
            starts.append(row)
        return starts


def _cut(block: Block, lines: int) -> tuple[Block, Block]:
    """The first lines of a block, and the rest."""
    end = 0
    for _ in range(lines):
        end = block.data.index(b"\n", end) + 1
    return Block(block.data[:end], block.first_line), replace(
        block, data=block.data[end:], first_line=block.first_line + lines
    )


def raw_day(places: Places, feed: str, key: RawKey) -> RawDay | None:
    """The raw day as its manifest tells, or None where there is none. Raises RawDayDamaged if its file is gone or has another size."""
    day = noted_day(places, feed, key)
    if day is not None:
        check_size(day.path, day.manifest)
    return day


def noted_day(places: Places, feed: str, key: RawKey) -> RawDay | None:
    """The raw day as its manifest tells, whether its file is still there or not; None where there is no manifest."""
    manifest = read_manifest(places.raw_manifest(feed, key.channel, key.symbol, key.day))
    if manifest is None:
        return None
    in_place = manifest.in_place
    path: AnyFile = (
        Path(manifest.file) if in_place else places.raw_folder(feed, key.channel, key.symbol) / manifest.file
    )
    return RawDay(key, path, manifest, None if in_place else places.raw_lines(feed, key.channel, key.symbol, key.day))


def raw_days(places: Places, feed: str, channel: str, symbol: str) -> list[date]:
    """The days that a feed has raw files for."""
    return places.raw_days(feed, channel, symbol)


def verify(path: AnyFile, manifest: Manifest) -> None:
    """A raw file is the one of its manifest, byte for byte; all of it is read. Raises RawDayDamaged."""
    check_size(path, manifest)
    if (found := sha256_of(path)) != manifest.sha256:
        raise RawDayDamaged(path, _other_bytes(manifest.sha256, found), in_place=manifest.in_place)


def check_size(path: AnyFile, manifest: Manifest) -> None:
    """A raw file is there, as large as its manifest says. Raises RawDayDamaged."""
    if not path.exists():
        raise RawDayDamaged(path, "the file that the manifest names is gone", in_place=manifest.in_place)
    size, expected = bytes_in(path), manifest.bytes
    if size != expected:
        why = f"expected {expected:,} bytes as in its manifest, found {size:,}"
        raise RawDayDamaged(path, why, in_place=manifest.in_place)


def _other_bytes(expected: str, found: str) -> str:
    return f"expected sha256 {expected} as in its manifest, found {found}"


class Tally:
    """Adds up what is said of the lines of a file, block by block."""

    def __init__(self) -> None:
        self.by_stream: Counter[str] = Counter()
        self.connection = self.blank = self.unreadable = 0
        self.decimals: defaultdict[tuple[str, str], dict[str, Decimals]] = defaultdict(dict)
        """(channel, symbol) -> field -> decimals of its numbers."""
        self.first_local: int | None = None
        self.last_local: int | None = None

    def add(self, placed: Placed) -> None:
        """Count a block."""
        self.by_stream.update(placed.by_stream)
        self.connection += placed.connection
        self.blank += placed.blank
        self.unreadable += placed.unreadable
        for (channel, symbol, name), more in placed.decimals.items():
            _add(self.decimals[channel, symbol], {name: more})
        times = placed.lines["ts_init"].drop_nulls()
        if len(times):
            self.see(times[0], times[-1])

    def see(self, first: int, last: int) -> None:
        """Lines from one time (ns) to another."""
        self.first_local = first if self.first_local is None else self.first_local
        self.last_local = last

    def decimals_of(self, key: RawKey, names: Collection[str] = ()) -> dict[str, list[Any]]:
        """Field -> decimals of a raw day, as in ``Decimals``; what is only known of long numbers is left out where there is none.

        ``names``: what the messages call its symbol.
        """
        found: dict[str, Decimals] = {}
        for name in sorted(names or (key.symbol,)):
            _add(found, self.decimals.get((key.channel, name), {}))
        return {name: list(seen) if seen.long else list(seen[:2]) for name, seen in sorted(found.items())}


def _add(found: dict[str, Decimals], more: Mapping[str, Decimals]) -> None:
    for name, seen in more.items():
        found[name] = found[name].with_more(seen) if name in found else seen


def manifest_of(
    feed: str,
    source: Source,
    key: RawKey,
    file: str,
    size: int,
    sha256: str,
    lines: int,
    tally: Tally,
    origin: list[FileOrigin],
    *,
    request: Mapping[str, Any] | None = None,
    in_place: bool = False,
) -> Manifest:
    """The manifest of a raw day: where its lines are from, and what they are."""
    return Manifest(
        manifest=Manifest.newest,
        feed=feed,
        source=source.name,
        channel=key.channel,
        symbol=key.symbol,
        date=key.day,
        stored="in_place" if in_place else "copy",
        file=file,
        bytes=size,
        sha256=sha256,
        lines=lines,
        decoded_to_end=True,
        first_local_ns=tally.first_local,
        last_local_ns=tally.last_local,
        origin=origin,
        request=None if request is None else dict(request),
        disconnects_ns=sorted({ns for entry in origin for ns in entry.disconnects_ns}),
        fetched_at=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        versions={"hedgegrid_assets": version("hedgegrid-assets"), "polars": pl.__version__},
    )


def write_manifest(places: Places, feed: str, key: RawKey, manifest: Manifest) -> None:
    """Publish a manifest; ``replaces`` names the contents that the raw day had before, oldest first."""
    path = places.raw_manifest(feed, key.channel, key.symbol, key.day)
    held: Manifest | None = None
    with contextlib.suppress(DocumentDamaged):  # it is replaced by this one
        held = read_manifest(path)
    before = [sha for sha in (*held.replaces, held.sha256) if sha != manifest.sha256] if held else []
    replaces = list(dict.fromkeys(before))[-_REPLACED:]
    write_document(path, places.raw_temp(feed), msgspec.structs.replace(manifest, replaces=replaces))


def is_corrected(places: Places, raw: RawDay, judged: Sequence[str]) -> bool:
    """What was judged is an earlier content of this raw day, or another feed's of the same landing file or request.

    ``judged``: sha256 of raw days. Another data root knows nothing of them: what it has is of another origin.
    """
    wanted, names = set(judged), _origins(raw.manifest)
    if raw.manifest.had(wanted):
        return True
    for feed, channel in places.raw_channels():
        other = read_manifest(places.raw_manifest(feed, channel, raw.key.symbol, raw.key.day))
        if other and other.had(wanted) and names & _origins(other):
            return True
    return False


def _origins(manifest: Manifest) -> set[str]:
    """Landing files, addresses, or the source that made it."""
    return {origin.path or origin.url or manifest.source for origin in manifest.origin}


def keep_unplaced(places: Places, feed: str, name: str, unplaced: Sequence[pl.DataFrame]) -> None:
    """The lines of a file that belong to no table or day, as rejects of that file."""
    final = places.line_rejects(feed, name)
    _forget_old_name(places.line_rejects_before(feed, name), name)
    rows = [
        lost.select(
            file=pl.lit(name),
            line=pl.col("line").cast(pl.UInt64) + 1,
            raw_row=pl.lit(None, pl.UInt32),
            stage=pl.lit("raw"),
            reason="reason",
            field=pl.lit(None, pl.String),
            value=pl.lit(None, pl.String),
            raw="raw",
            ts_init=pl.lit(None, pl.Datetime("ns", "UTC")),
        )
        for lost in unplaced
    ]
    if not rows:
        final.unlink(missing_ok=True)
        return
    with atomic_write(final, places.raw_temp(feed)) as temporary:
        pl.concat(rows).cast(REJECT_SCHEMA).write_parquet(temporary, compression="zstd")


def _forget_old_name(old: StorePath, name: str) -> None:
    """Remove the rejects that earlier versions kept of this file, under a name that other files may have as well."""
    if old.exists() and pl.read_parquet(old.local(), columns=["file"])["file"].unique().to_list() == [name]:
        old.unlink()
