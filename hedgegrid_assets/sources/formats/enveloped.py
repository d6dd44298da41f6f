"""Messages that a venue sends in envelopes: a topic around an object, or around several.

Each object becomes a plain line as the readers of plain messages know them: the receive time of its line, its fields to
the letter, the name of its stream as ``e``, and what the envelope alone says. The readers of plain lines then do the
rest; the number of the line in the file is kept beside each. A line in another spelling (blanks, other escapes) is taken
apart by Python and spelled anew, a number that is no whole one as a text; what is no envelope stays as it is.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, Protocol

import polars as pl
import pyarrow as pa
from msgspec import Struct
from msgspec.structs import replace

from hedgegrid_assets.batch import Batch, Block, Decoded, Placed
from hedgegrid_assets.dialect import Dialect, Stored
from hedgegrid_assets.model import Channel, Field, Identity, TableMapping
from hedgegrid_assets.sources.formats.binance import folded
from hedgegrid_assets.sources.formats.binance.by_shape import all_by_shape
from hedgegrid_assets.sources.formats.binance.depth import SNAPSHOT
from hedgegrid_assets.sources.formats.binance.dialect import MessageDialect
from hedgegrid_assets.sources.formats.binance.exact import TIME_AT_START
from hedgegrid_assets.sources.formats.binance.grammar import SCALAR, STRING, TIME
from hedgegrid_assets.sources.formats.binance.placing import placed_block
from hedgegrid_assets.sources.formats.binance.reader import of_day
from hedgegrid_assets.sources.formats.binance.rows import decode_unfolded
from hedgegrid_assets.sources.formats.binance.text import Lines, lines_of
from hedgegrid_assets.sources.formats.lines import numbered
from hedgegrid_assets.sources.formats.twice import Members, any_twice, has_twice, members
from hedgegrid_assets.store import bytes_of, line_array
from hedgegrid_assets.tables.order_book_deltas import columns_of
from hedgegrid_assets.tables.rules.events import IN_STREAM
from hedgegrid_assets.timestamps import nanoseconds

NUMBER: Final = "([0-9]{1,18})(?:[,}]|$)"
"""A whole number that is a member's value, and all of it."""
BOOK: Final = "depthUpdate"
"""What changes of a book are called once they are plain."""
_OBJECT: Final = r"\{[^{}\\]*\}"
_MEMBER: Final = rf"{STRING}:(?:{SCALAR}|\{{[^{{}}\\]*\}})"
_ENVELOPE: Final = (
    rf'^({TIME})?\{{((?:{_MEMBER},)*)"data":(\[(?:{_OBJECT}(?:,{_OBJECT})*)?\]|{_OBJECT})((?:,{_MEMBER})*)\}}[ \t\r]*$'
)
_PARTS: Final = ("time", "before", "data", "behind")
_PAIR: Final = r'\["[^"]*","[^"]*"'
_SEVERAL_DEPTHS: Final = (
    "it holds several streams of one book, each of which counts its messages for itself ({}): land each in a file, and "
    "one of them alone"
)
_READ_AROUND: Final = ("topic", "type", "ts", "cts", "channel", "instId", "action")
_READ_IN_BOOKS: Final = ("s", "u", "b", "a", "ts", "seqId", "prevSeqId", "bids", "asks")
"""Keys that the plain message of a book has under other names, or once."""
_FIRST_MEMBER: Final = r'^\{("[^"]*":(?:"[^"]*"|[0-9]+),)'
_LEVELS: Final = r"(\[(?:\[[^\[\]]*\](?:,\[[^\[\]]*\])*)?\])"


class Plain(Protocol):
    """Spells the objects of envelopes as plain messages."""

    def __call__(self, found: pl.DataFrame, /) -> pl.DataFrame:
        """Of rows an object (``line``, ``time``, ``around``: the other members, ``body``): with two columns more.

        ``message``; null: unknown. ``book``: where it is of a book, its symbol and the name of its stream.
        """
        ...


def member(name: str, value: str, column: str = "around") -> pl.Expr:
    """A member of the envelope, or of its object, that is spelled as usual; else null."""
    return pl.col(column).str.extract(rf'"{name}":{value}', 1)


def levels(name: str) -> pl.Expr:
    """The levels of one side, each as price and size alone."""
    return member(name, _LEVELS, "body").str.replace_all(rf'({_PAIR})(?:,"[^"]*")+\]', "$1]")


def message(event: pl.Expr, *members: pl.Expr) -> pl.Expr:
    """The object with more members in front of its own: the name of its stream, and others (null: none)."""
    more = [pl.concat_str(pl.lit(","), each).fill_null("") for each in members]
    inside = pl.col("body").str.slice(1)
    comma = pl.when(inside == "}").then(pl.lit("")).otherwise(pl.lit(","))
    return pl.concat_str(pl.lit('{"e":"'), event, pl.lit('"'), *more, comma, inside)


def update(**values: pl.Expr) -> pl.Expr:
    """Changes of a book as a plain message: ``E`` (and ``T``, null: none), ``s``, ``u``, ``pu``, ``b``, ``a``."""
    time = pl.concat_str(pl.lit(',"T":'), values["T"]).fill_null("") if "T" in values else pl.lit("")
    texts = ('{"e":"depthUpdate","E":', "E", time, ',"s":"', "s", '","U":', "u", ',"u":', "u", ',"pu":', "pu")
    texts += (',"b":', "b", ',"a":', "a", "}")
    return pl.concat_str(each if isinstance(each, pl.Expr) else values.get(each, pl.lit(each)) for each in texts)


def snapshot(**values: pl.Expr) -> pl.Expr:
    """A whole book as a plain message; as ``update``."""
    time = pl.concat_str(pl.lit(',"T":'), values["T"]).fill_null("") if "T" in values else pl.lit("")
    texts = ('{"lastUpdateId":', "u", ',"E":', "E", time, ',"symbol":"', "s", '","bids":', "b", ',"asks":', "a", "}")
    return pl.concat_str(each if isinstance(each, pl.Expr) else values.get(each, pl.lit(each)) for each in texts)


def with_books(found: pl.DataFrame, books: Plain) -> pl.DataFrame:
    """Messages of which those with a ``book`` are spelled by ``books``."""
    is_book = pl.col("book").is_not_null()
    if found.select(~is_book.any()).item():
        return found
    others, spelled = found.filter(~is_book), books(found.filter(is_book))
    return pl.concat([others, spelled]).sort("line", maintain_order=True) if len(others) else spelled


def book(name: str, series: str, lineage: dict[str, tuple[str, ...]]) -> Channel:
    """Changes of a book, and the snapshots in their stream, as ``update`` and ``snapshot`` spell them."""
    return Channel(
        name=name,
        event=BOOK,
        series=series,
        fields=(
            Field("symbol", "s", "text", "exchange symbol"),
            Field("event_time", "E", "integer", "sent, ms"),
            Field("trade_time", "T", "integer", "by the matching engine, ms", required=False),
            Field("last_id", "u", "integer", "number of the message"),
            Field("previous_id", "pu", "integer", "number of the message before", required=False),
            Field("first_id", "U", "integer", "number of the message", required=False),
            Field("bids", "b", "levels", "price and size of levels; size 0: it is gone"),
            Field("asks", "a", "levels", "price and size of levels; size 0: it is gone"),
            Field("is_snapshot", "snapshot", "flag", "the whole book", required=False),
        ),
        ts_event=nanoseconds(pl.coalesce("trade_time", "event_time"), ("ms",)),
        contiguous_ids=False,
        identity=Identity.CONTENT,
        tables={
            "order_book_deltas": TableMapping(
                columns=columns_of(
                    pl.col("side"), pl.col("price"), pl.col("size"), pl.col("is_snapshot").fill_null(value=False)
                )
                | {"sequence": pl.col("last_id"), "previous": pl.col("previous_id")},
                lineage=lineage,
                shape=IN_STREAM,
            )
        },
    )


class _Opened(Struct, frozen=True):
    """A block made plain: its lines, the number in the file of the line that each is from, and how many Python spelled."""

    block: Block
    numbers: pl.Series
    odd: int
    books: frozenset[str]


class EnvelopeReader(Struct, frozen=True):
    """Reads messages in envelopes, of the channels ``known``; ``plain`` spells them."""

    known: tuple[Channel, ...]
    plain: Plain
    dialect: MessageDialect
    wanted: frozenset[str]
    placing: bool

    def read(self, block: Block) -> Batch:
        """See ``Reader``."""
        lines = lines_of(block)
        opened = _opened(block, lines, self.plain, self.known)
        placed = self._placed(opened, lines) if self.placing else None
        there = None if placed is None else set(placed.lines["channel"].unique())
        rows = {
            channel.name: self._rows(opened, lines, channel)
            for channel in self.known
            if channel.name in self.wanted and (there is None or channel.name in there)
        }
        return Batch(block.lines, placed, rows)

    def _placed(self, opened: _Opened, lines: Lines) -> Placed:
        numbers = opened.numbers
        placed, _ = placed_block(opened.block, self.known, all_by_shape(opened.block, self.known), numbers=numbers)
        where = placed.lines.with_columns(line=numbers.gather(placed.lines["line"]))
        if placed.unreadable:
            where = folded.as_in_file(where, "line", numbers, lines.frame)
        decimals = {
            key: seen if seen.line is None else seen._replace(line=int(numbers[seen.line]))
            for key, seen in placed.decimals.items()
        }
        return replace(
            placed,
            by_stream=self._named(placed.by_stream),
            contradicts=self._several_depths(opened.books),
            lines=where.sort("line", maintain_order=True),
            decimals=decimals,
            several=bool(numbers.is_duplicated().any()),
            connections_at=tuple(int(numbers[at]) for at in placed.connections_at),
            examples=tuple((int(numbers[at]), text) for at, text in placed.examples),
        )

    def _named(self, by_stream: Mapping[str, int]) -> Mapping[str, int]:
        """Lines by what the venue calls them: all of a book are of its stream."""
        book = next((channel.name for channel in self.known if channel.event == BOOK), BOOK)
        of_book = by_stream.get(BOOK, 0) + by_stream.get(SNAPSHOT, 0)
        others = {name: count for name, count in by_stream.items() if name not in {BOOK, SNAPSHOT}}
        return others | ({book: of_book} if of_book else {})

    def _several_depths(self, books: frozenset[str]) -> str:
        """Books of several depths count their messages each for itself: mixed, they would be one that never was."""
        symbols = [name.partition(" ")[0] for name in sorted(books)]
        several = len(set(symbols)) < len(symbols) and any(channel.event == BOOK for channel in self.known)
        return _SEVERAL_DEPTHS.format(", ".join(sorted(books))) if several else ""

    def _rows(self, opened: _Opened, lines: Lines, channel: Channel) -> Decoded:
        whole = folded.Unfolded(opened.block, opened.numbers, opened.numbers, several=True, odd=opened.odd)
        decoded = decode_unfolded(whole, lines, channel, self.known)
        names, day = self.dialect.names, self.dialect.date
        if names and day is not None:
            decoded = of_day(decoded, names, day)
        return replace(decoded, rows=numbered(decoded.rows))


def open_enveloped(
    dialect: Dialect | Stored,
    rows: Collection[str] = (),
    *,
    placing: bool = True,
    known: tuple[Channel, ...],
    plain: Plain,
) -> EnvelopeReader:
    """A reader of messages in envelopes; see ``Opens``."""
    return EnvelopeReader(known, plain, MessageDialect.of(dialect), frozenset(rows), placing)


# ---------------------------------------------------------------- one object a line


def _opened(block: Block, lines: Lines, plain: Plain, known: Iterable[Channel]) -> _Opened:
    """The block with a plain line an object; lines that are no envelope as they are, to the byte."""
    usual = _messages(lines.frame.with_columns(twice=pl.lit(value=False)), plain)
    rest = lines.frame.filter(~pl.col("line").is_in(usual["line"].implode()))
    keys = {*_READ_AROUND, *_READ_IN_BOOKS, "data", *(field.key for channel in known for field in channel.fields)}
    anew = _spelled_anew(rest, keys)
    odd = _messages(anew, plain)
    found = pl.concat([usual, odd]).sort("line", maintain_order=True)
    others = pl.DataFrame({"text": pl.Series(line_array(block.data), dtype=pl.Binary)}).with_row_index(
        "line", offset=block.first_line
    )
    others = others.filter(~pl.col("line").is_in(found["line"].implode()))
    made = pl.concat_str("message", pl.lit("\n")).cast(pl.Binary).alias("text")
    both = pl.concat([others, found.select("line", made)]).sort("line", maintain_order=True)
    data = bytes_of(pa.array(both["text"].to_arrow()).cast(pa.large_binary()))
    cut = block.cut and not data.endswith(b"\n")
    books = frozenset(str(name) for name in found["book"].unique() if name is not None)
    numbers = both["line"].cast(pl.UInt32)
    return _Opened(Block(data, 0, cut, block.truncated), numbers, odd["line"].n_unique(), books)


def _messages(lines: pl.DataFrame, plain: Plain) -> pl.DataFrame:
    """``line, message`` of the envelopes that are spelled as usual; none of a line that is not wholly understood.

    Where a key that is read stands ``twice``, in the envelope or in a book, the first member of the message does, of which
    its reader makes no rows.
    """
    text = pl.col("text").str.strip_chars_end("\r\n")
    parts = text.str.extract_groups(_ENVELOPE).struct.rename_fields(list(_PARTS)).alias("parts")
    found = (
        lines.filter(pl.col("text").str.contains('"data"', literal=True)).select("line", "twice", parts).unnest("parts")
    )
    found = found.filter(pl.col("data").is_not_null()).with_columns(
        around=pl.concat_str("before", "behind"), time=pl.col("time").fill_null("")
    )
    around = pl.col("around")
    found = found.with_columns(
        pl.col("twice") | has_twice(around, _READ_AROUND, nested=True) | around.str.contains('"data":', literal=True)
    )
    bodies = found.with_columns(body=pl.col("data").str.extract_all(_OBJECT)).drop("data", "before", "behind")
    spelled = plain(bodies.explode("body").filter(pl.col("body").is_not_null()))
    lost = spelled.filter(pl.col("message").is_null())["line"]
    spelled = spelled.filter(~pl.col("line").is_in(lost.implode()))
    in_book = pl.when(pl.col("book").is_not_null()).then(pl.col("body"))
    twice = pl.col("twice") | has_twice(in_book, _READ_IN_BOOKS).fill_null(value=False)
    message = pl.col("message")
    spelled = spelled.with_columns(pl.when(twice).then(message.str.replace(_FIRST_MEMBER, "{$1$1")).otherwise(message))
    return spelled.select("line", pl.concat_str("time", "message").alias("message"), "book")


def _spelled_anew(lines: pl.DataFrame, keys: Collection[str]) -> pl.DataFrame:
    """Lines that Python can read, as the venue would have spelled them, and whether one of the ``keys`` stands twice."""
    texts = lines.filter(pl.col("text").str.contains('"data"', literal=True))
    each = ((line, *_as_usual(text.strip(), keys)) for line, text in texts.select("line", "text").iter_rows())
    spelled = [(line, text, twice) for line, text, twice in each if text]
    schema: dict[str, Any] = {"line": lines.schema["line"], "text": pl.String, "twice": pl.Boolean}
    return pl.DataFrame(spelled, schema=schema, orient="row")


def _as_usual(text: str, keys: Collection[str]) -> tuple[str, bool]:
    """A line without blanks and needless escapes, and whether an object has a key twice; empty: none that Python can read."""
    stamp = TIME_AT_START.match(text)
    start = stamp.end() if stamp else 0
    try:
        value = json.loads(text[start:], parse_float=str, object_pairs_hook=members)
    except (ValueError, RecursionError):
        return "", False
    usual = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return (text[:start] + usual, any_twice(value, keys)) if isinstance(value, Members) else ("", False)
