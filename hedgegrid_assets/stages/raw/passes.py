"""One pass over one landing file: its lines, given to the raw days that they belong to."""

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa
from msgspec import Struct

from hedgegrid_assets.batch import REST, Batch, Block, OtherHeader, Placed, ReadAgain, Reader
from hedgegrid_assets.dialect import Dialect, stored
from hedgegrid_assets.errors import (
    BooksMixed,
    FileChanges,
    FileRefused,
    HeaderChanges,
    MissingColumns,
    NotOneMessageALine,
    RawDamaged,
)
from hedgegrid_assets.model import LOOKED_AT, Source
from hedgegrid_assets.stages.raw.accounting import HEADER, FileCounts, unplaced_of
from hedgegrid_assets.stages.raw.alien import packed_otherwise, refuse_other_formats, refuse_remains
from hedgegrid_assets.stages.raw.changes import begins_with, state_of
from hedgegrid_assets.stages.raw.checksums import checksum_file, verify_checksum
from hedgegrid_assets.stages.raw.days import Progress, RawKey, Tally
from hedgegrid_assets.stages.raw.index import Index, LandingFile, landing_signature
from hedgegrid_assets.stages.raw.kept import Kept
from hedgegrid_assets.stages.raw.manifest import FileOrigin, Unplaced
from hedgegrid_assets.stages.raw.parts import Part
from hedgegrid_assets.stages.raw.shared import OF_RAW_DAY, own_lines
from hedgegrid_assets.store import (
    BackgroundWriter,
    BlockReader,
    Places,
    StorePath,
    bytes_of,
    content_crc,
    line_array,
    make_folder,
    ordered_map,
    plain,
    remove_tree,
)
from hedgegrid_assets.timestamps import NS_PER_DAY, day_of

_PARTS_AT_WORK: Final = 64
_UNREADABLE_CAP: Final = 200_000
_EXAMPLES: Final = 3
_READINGS: Final = 3
"""Of a file that changes while it is read."""


class Wanted(Struct, frozen=True):
    """Channels and symbols whose lines are taken."""

    channels: frozenset[str]
    symbols: frozenset[str]

    def covered_by(self, index: Index) -> bool:
        """An earlier import has taken all of them."""
        return self.channels <= set(index.channels) and self.symbols <= set(index.symbols)

    def has(self, key: RawKey) -> bool:
        """Lines of this raw day are taken."""
        return key.channel in self.channels and key.symbol in self.symbols

    def with_index(self, index: Index | None) -> "Wanted":
        """Together with what an earlier import has taken."""
        if index is None:
            return self
        return Wanted(self.channels | set(index.channels), self.symbols | set(index.symbols))


class LandingPass:
    """One pass over one landing file."""

    def __init__(
        self, places: Places, landing: LandingFile, wanted: Wanted, work: Path, *, keeping: bool = False
    ) -> None:
        """``keeping``: the rows of a file that becomes raw days as it is are wanted in this run."""
        self.landing = landing
        self.wanted = wanted
        self.name = shown_name(places, landing.path)
        self.signature = landing_signature(landing)
        self.earlier: frozenset[RawKey] = frozenset()
        self.verified = False
        self._told: Unplaced | None = None
        self.before: dict[StorePath, Index] | None = None
        self.former: frozenset[RawKey] = frozenset()
        self.replaces = False
        self.grew = False
        self._keeping = keeping
        self._kept: dict[str, Kept] = {}
        self._work = work
        self._held: object = None
        self._called: dict[str, Mapping[str, Sequence[str]]] = {}
        self._reset()

    def _reset(self) -> None:
        self.drop_kept()
        remove_tree(self._work)
        make_folder(self._work)
        self.reader = BlockReader(self.landing.path)
        self.reader.encoding = self.landing.settings.get("encoding")
        self.tally = Tally()
        self.parts: dict[RawKey, Part] = {}
        self.counts: Counter[RawKey] = Counter()
        self.spans: dict[RawKey, tuple[int, int]] = {}
        self.unknown_symbols: Counter[str] = Counter()
        self.disconnects: set[int] = set()
        self.unplaced: list[pl.DataFrame] = []
        self.reasons: Counter[str] = Counter()
        self.placed = self._content_bytes = self._content_crc = 0
        self.examples: list[tuple[int, str]] = []
        self.several = False
        self.dialect = Dialect()
        self.copied = True

    def run(self, source: Source, *, alone: bool, progress: Progress | None) -> None:
        """Read the file; with ``alone``, without copying as long as it holds one symbol-day only.

        One that is written anew meanwhile is read again. Raises FileChanges if that does not end.
        """
        for _ in range(_READINGS):
            before, signed = state_of(self.landing.path), landing_signature(self.landing)
            if signed != self.signature:  # another content than the one that was looked up
                self.signature, self.earlier = signed, frozenset()
            self._run(source, alone=alone, progress=progress)
            after = state_of(self.landing.path)
            if after == before or begins_with(self.landing.path, self.reader.bytes, self.reader.sha256):
                self.grew = after.bytes > before.bytes
                return
        raise FileChanges(self.landing.path)

    def copy(self, source: Source, progress: Progress | None) -> None:
        """Read the file once more, now with copies of its days. Raises FileChanges if it is another one by now."""
        sha256, self.copied = self.reader.sha256, True
        self.run(source, alone=False, progress=progress)
        if self.reader.sha256 != sha256:
            raise FileChanges(self.landing.path)

    def _run(self, source: Source, *, alone: bool, progress: Progress | None) -> None:
        self._reset()
        self._called = {
            channel.name: _by_name(channel.symbol_of, self.wanted.symbols)
            for channel in source.channels
            if channel.symbol_of is not None
        }
        self.copied = not alone or self.reader.encoding is not None  # raw days are UTF-8
        finished = self._read_whole(source, progress)
        if not finished or (not self.copied and self.reader.truncated):
            self._reset()
            self._read_whole(source, progress)
        self.verified = verify_checksum(self.landing.path, self.reader.sha256)
        self._told = unplaced_of(self.unplaced, self.reasons, source, self.dialect)
        if not self.line_counts.add_up:
            raise FileRefused(
                f"the lines of {self.landing.path} do not add up: {plain(self.line_counts)}",
                hint="this is a fault of ours: please report it, with the file; nothing was published from it",
                details={"path": str(self.landing.path)},
            )

    @property
    def line_counts(self) -> FileCounts:
        """Where every line of the file went."""
        streams, tally = self.tally.by_stream, self.tally
        header = streams.get(HEADER, 0)
        other = streams.total() - header - self.placed + tally.connection + tally.blank
        return FileCounts(self.reader.lines, self.placed, header, other, tally.unreadable)

    @property
    def content(self) -> str:
        """Tells the same content by another name, or packed in another way: its length and CRC-32."""
        return f"{self._content_bytes}-{self._content_crc:08x}"

    def _read_whole(self, source: Source, progress: Progress | None) -> bool:
        """Read the file, again from its beginning where a later line says how the ones before it are to be read."""
        while True:
            try:
                return self._read(source, progress)
            except ReadAgain as again:
                self._held, copied = again.held, self.copied
                self._reset()
                self.copied = copied

    def _read(self, source: Source, progress: Progress | None) -> bool:
        """False if ``copied`` is off and the file turned out to hold more than one symbol-day."""
        self.reader.quoted = source.quoted
        writer = BackgroundWriter(self._write)
        try:
            for block, batch in ordered_map(self._read_block, self._with_reader(source)):
                assert batch.placed is not None
                self._content_bytes += len(block.data)
                self._content_crc = content_crc(block.data, self._content_crc)
                self._note(batch.placed)
                if not self.copied and self._holds_more_than_one_day():
                    if block.first_line:
                        return False
                    self.copied = True  # nothing was passed over
                    self.drop_kept()
                self._keep(source, batch)
                if self.copied:
                    writer.put((block, batch.placed))
                if progress:
                    progress(self.name, block.lines)
        finally:
            writer.close()
        for part in self.parts.values():
            part.close()
        return True

    def _holds_more_than_one_day(self) -> bool:
        return len({(key.symbol, key.day) for key in self.counts} | set(self.unknown_symbols)) > 1

    def _with_reader(self, source: Source) -> Iterator[tuple[Block, Reader]]:
        """Blocks with what reads them: rows as well, as long as they may be kept."""
        reader: Reader | None = None
        placing: Reader | None = None
        blocks = iter(self.reader)
        first = _start_of(blocks) if source.says is not None else list(islice(blocks, 1))
        for block in chain(first, blocks):
            if reader is None:
                refuse_other_formats(self.landing.path, self.reader, block.data)
                reader = self._begin(source, block, b"".join(each.data for each in first))
                self.dialect = reader.dialect
            if self.copied and self._keeping and placing is None and block.first_line:
                placing = source.open(self.dialect)
            yield block, placing or reader

    def _begin(self, source: Source, block: Block, start: bytes) -> Reader:
        rows = [name for name in self.wanted.channels if self._may_give(name) and self._keeping and not self.copied]
        if source.begin is not None:
            held = {} if self._held is None else {"held": self._held}
            try:
                return source.begin(block, {**self.landing.settings, "path": str(self.landing.path), **held}, rows)
            except MissingColumns:
                refuse_remains(self.landing.path, self.reader)
                raise
        says = source.says(start) if source.says is not None else None
        return source.open(Dialect(says=says), rows)

    def _read_block(self, given: tuple[Block, Reader]) -> tuple[Block, Batch]:
        block, reader = given
        try:
            return block, reader.read(block)
        except OtherHeader as other:
            raise HeaderChanges(self.landing.path, other.line + 1, other.expected, other.names) from None

    def _keep(self, source: Source, batch: Batch) -> None:
        for name in batch.decoded if not self.copied else ():
            if name not in self._kept:
                channel = next(channel for channel in source.channels if channel.name == name)
                self._kept[name] = Kept(self._work, channel)
        for kept in self._kept.values():
            kept.add(batch)

    def kept_of(self, key: RawKey) -> Kept | None:
        """What was read of a raw day that is the file itself; the caller closes it."""
        return self._kept.pop(key.channel, None) if not self.copied and key in self.counts else None

    def drop_kept(self) -> None:
        """Forget what was read and not taken."""
        for kept in self._kept.values():
            kept.close()
        self._kept.clear()

    def _note(self, placed: Placed) -> None:
        if placed.unusable:
            raise NotOneMessageALine(self.landing.path, placed.unusable)
        if placed.contradicts:
            raise BooksMixed(self.landing.path, placed.contradicts)
        self.several |= placed.several
        self.examples += placed.examples[: _EXAMPLES - len(self.examples)]
        self.disconnects.update(self._before_connections(placed))
        self.tally.add(placed)
        if placed.lines["reason"].null_count() < len(placed.lines):
            lost = placed.lines.filter(pl.col("reason").is_not_null())
            self.reasons.update(dict(lost["reason"].value_counts().iter_rows()))
            if sum(map(len, self.unplaced)) < _UNREADABLE_CAP:
                self.unplaced.append(lost)
            if self.tally.unreadable > _UNREADABLE_CAP and self.tally.unreadable > sum(self.tally.by_stream.values()):
                raise RawDamaged(self.landing.path, f"more than {_UNREADABLE_CAP:,} lines, most of it, cannot be read")
        lines = self._with_day(placed)
        taken: Counter[str] = Counter()
        for channel, symbol, day, count, first, last in _by_raw_day(lines).iter_rows():
            if not self._may_give(channel):
                continue
            if symbol not in self.wanted.symbols:
                self.unknown_symbols[symbol] += count
                continue
            taken[channel] += count
            key = RawKey(channel, symbol, day_of(day * NS_PER_DAY))
            self.counts[key] += count
            self.spans[key] = (self.spans.get(key, (first, last))[0], last)
        shared = placed.several or bool(self._called) or len(taken) > 1
        self.placed += self._lines_of(lines, taken) if shared else taken.total()

    def _lines_of(self, lines: pl.DataFrame, channels: Collection[str]) -> int:
        """Lines that are taken: one may belong to several channels and symbols."""
        ours = pl.col("channel").is_in(list(channels)) & pl.col("symbol").is_in(list(self.wanted.symbols))
        return lines.filter(ours)["line"].n_unique()

    def _with_day(self, placed: Placed) -> pl.DataFrame:
        """The lines placed, each once for every raw day that it gives a message to: ``line, channel, symbol, ts_init, day``."""
        rows = placed.lines.filter(pl.col("reason").is_null()).select(
            "line", "channel", "symbol", "ts_init", day=pl.col("ts_init").floordiv(NS_PER_DAY)
        )
        rows = self._as_called(rows)
        return rows.unique(OF_RAW_DAY, maintain_order=True) if placed.several else rows

    def _as_called(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Each once for every symbol that messages call so, where a channel has other names for them."""
        for channel, names in self._called.items():
            of_channel = pl.col("channel") == channel
            if rows.select(of_channel.any()).item():
                called = pl.col("symbol").replace_strict(names, default=None, return_dtype=pl.List(pl.String))
                mine = (
                    rows.filter(of_channel)
                    .with_columns(symbol=called.fill_null(pl.concat_list("symbol")))
                    .explode("symbol")
                )
                rows = pl.concat([rows.filter(~of_channel), mine]).sort("line", maintain_order=True)
        return rows

    def _before_connections(self, placed: Placed) -> Iterator[int]:
        """When the last message came before each line that tells of a connection."""
        timed = placed.lines.filter(pl.col("ts_init").is_not_null())
        for connection in placed.connections_at:
            earlier = int(timed["line"].search_sorted(connection))
            last = timed["ts_init"][earlier - 1] if earlier else self.tally.last_local
            if last is not None:
                yield last

    def _may_give(self, channel: str) -> bool:
        return channel in self.wanted.channels and (self.landing.channels is None or channel in self.landing.channels)

    def _write(self, item: tuple[Block, Placed]) -> None:
        block, placed = item
        rows = self._with_day(placed)
        rows = rows.filter(pl.col("symbol").is_in(list(self.wanted.symbols)))
        if not len(rows):
            return
        lines, own = line_array(block.data), own_lines(placed, self._as_called, self.wanted.symbols)
        if own is not None:
            rows = rows.join(own, on=OF_RAW_DAY, how="left", maintain_order="left")
        for (channel, symbol, day), group in rows.group_by("channel", "symbol", "day", maintain_order=True):
            if not self._may_give(str(channel)):
                continue
            key = RawKey(str(channel), str(symbol), day_of(int(str(day)) * NS_PER_DAY))
            numbers = group["line"]
            taken = lines if len(numbers) == len(lines) else lines.take((numbers - block.first_line).to_arrow())
            if own is not None and group["text"].null_count() < len(group):
                verbatim = pl.Series("verbatim", taken, dtype=pl.Binary)
                cut = group.select(pl.coalesce(pl.col("text").cast(pl.Binary), verbatim)).to_series()
                taken = cut.to_arrow().cast(pa.large_binary())
            data = bytes_of(taken)
            if block.cut and not data.endswith(b"\n"):
                data += b"\n"
            self._part(key).add(data, numbers)

    def _part(self, key: RawKey) -> Part:
        """The part of a raw day; those used least of late are paused, as a file may hold thousands of days."""
        part = self.parts.pop(key, None)
        if part is None:
            part = Part(self._work, hashlib.sha256(repr(key).encode()).hexdigest()[:16], self.name)
        self.parts[key] = part
        for idle in islice(reversed(self.parts.values()), _PARTS_AT_WORK, _PARTS_AT_WORK + 1):
            idle.pause()
        return part

    def origin(self, key: RawKey) -> FileOrigin:
        """The origin entry of a manifest. Where lines hold several messages, the dialect says which of them are of the day."""
        part = self.parts.get(key)
        names = self._names_of(key)
        dialect = self.dialect.cut() if part else self.dialect
        return FileOrigin(
            path=self.name,
            bytes=self.reader.bytes,
            sha256=self.reader.sha256,
            lines=self.reader.lines,
            by_stream=dict(sorted(self.tally.by_stream.items())),
            connection=self.tally.connection,
            blank=self.tally.blank,
            unreadable=self.tally.unreadable,
            unplaced=self._told,
            content=self.content,
            decoded_to_end=not self.reader.truncated,
            decimals=self.tally.decimals_of(key, names),
            first_local_ns=self.spans[key][0],
            last_local_ns=self.spans[key][1],
            disconnects_ns=sorted(self.disconnects),
            dialect=stored(dialect.of_day(names, key.day) if self.several else dialect),
            settings=dict(self.landing.settings),
            stored_lines=part.count if part else self.counts[key],
            stored_bytes=part.size if part else 0,
        )

    def _names_of(self, key: RawKey) -> list[str]:
        """What messages call the symbol of a raw day: a stream of pairs may have some that name the contract."""
        called = self._called.get(key.channel, {})
        name = next((name for name, symbols in called.items() if key.symbol in symbols), key.symbol)
        both = name != key.symbol and (key.channel, key.symbol) in self.tally.decimals
        return [name, key.symbol] if both else [name]

    def index(self) -> Index:
        """What is noted of this file, so that the same content is not read again."""
        notes = [*filter(None, [packed_otherwise(self.landing.path, self.reader)]), *self.dialect.notes]
        if self.reader.truncated:
            notes.append("the compressed stream ends too early; the lines up to there are used")
        if self.grew:
            notes.append("it grew while it was read: the lines up to there are used, the next run takes the rest")
        rest = self.tally.by_stream[REST]
        examples = [f"line {line + 1}: {_printable(text)}" for line, text in self.examples]
        if rest:
            were = "line was" if rest == 1 else "lines were"
            such_as = f", such as {', '.join(examples)}" if examples else ""
            notes.append(f"{rest:,} {were} not understood{such_as}")
        beside = checksum_file(self.landing.path)
        if beside is not None and not self.verified:
            notes.append(f"{beside.name} holds no sha256 of it: not checked")
        return Index(
            index=Index.newest,
            file=self.name,
            signature=self.signature,
            sha256=self.reader.sha256,
            counts=self.line_counts,
            by_stream=dict(sorted(self.tally.by_stream.items())),
            other={"blank": self.tally.blank, "connection": self.tally.connection},
            unplaced=self._told or Unplaced(),
            notes=notes,
            examples=examples,
            days=sorted({*self.counts, *self.earlier}),
            channels=sorted(self.wanted.channels),
            symbols=sorted(self.wanted.symbols),
            unknown_symbols=dict(sorted(self.unknown_symbols.items())),
            former=sorted(self.former),
        )

    def is_content_of(self, origin: FileOrigin) -> bool:
        """An origin of a raw day had this very content, under this name or another."""
        same_file = origin.sha256 == self.reader.sha256
        return same_file or (origin.content == self.content and origin.lines == self.reader.lines)


def _by_raw_day(lines: pl.DataFrame) -> pl.DataFrame:
    """How many lines each raw day has, and the times of its first and last; of one day alone, as most blocks are, without a hash."""
    keys = ("channel", "symbol", "day")
    told = (pl.len(), pl.col("ts_init").first().alias("first"), pl.col("ts_init").last().alias("last"))
    if len(lines) and all(not lines[key].null_count() and (lines[key] == lines[key][0]).all() for key in keys):
        return lines.select(*(pl.col(key).first() for key in keys), *told)
    return lines.group_by(keys, maintain_order=True).agg(told)


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def _by_name(symbol_of: Callable[[str], str], symbols: Collection[str]) -> dict[str, list[str]]:
    """What messages call a symbol -> all symbols that they call so."""
    found: dict[str, list[str]] = {}
    for symbol in sorted(symbols):
        found.setdefault(symbol_of(symbol), []).append(symbol)
    return found


def shown_name(places: Places, path: Path) -> str:
    """A landing file's name in manifests and rejects: below the data root where it lies there."""
    resolved, root = path.resolve(), places.home.resolve()
    return str(resolved.relative_to(root)) if resolved.is_relative_to(root) else str(resolved)


def _start_of(blocks: Iterator[Block]) -> list[Block]:
    """The first blocks, up to what is looked at of a file's start: what it says does not depend on where it is cut."""
    found: list[Block] = []
    size = 0
    while size < LOOKED_AT and (block := next(blocks, None)) is not None:
        found.append(block)
        size += len(block.data)
    return found
