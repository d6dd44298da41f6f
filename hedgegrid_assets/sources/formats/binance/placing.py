"""Which channel, symbol and time each line of messages belongs to, and what all other lines are."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import polars as pl
from msgspec.structs import replace

from hedgegrid_assets.batch import REST, Block, Placed
from hedgegrid_assets.model import Channel
from hedgegrid_assets.sources.formats.binance import folded
from hedgegrid_assets.sources.formats.binance.by_shape import Shaped, all_by_shape
from hedgegrid_assets.sources.formats.binance.depth import has_levels, other_books
from hedgegrid_assets.sources.formats.binance.exact import read_message
from hedgegrid_assets.sources.formats.binance.finely import decimals_of_lines, decimals_of_rows
from hedgegrid_assets.sources.formats.binance.grammar import GATE
from hedgegrid_assets.sources.formats.binance.text import Lines, first_of, lines_of, placed_lines, unfolded
from hedgegrid_assets.sources.formats.decimals import merged
from hedgegrid_assets.sources.formats.lines import PLACED_SCHEMA, RAW_SHOWN, shown

_EXAMPLES: Final = 3
_EXAMPLE_SHOWN: Final = 120
_CONNECTION: Final = re.compile(r"^\s*(?:wss?://|https?://|<-|->)|<->")
_SEVERAL_BOOKS: Final = (
    "its first updates of a book are all of {}, and so are snapshots that name no symbol; later ones are of {}"
)
_MANY_LINES: Final = "it holds one JSON value over many lines: expected one message, or one array of messages, a line"


def placed_block(
    block: Block,
    known: tuple[Channel, ...],
    shaped: Sequence[Shaped],
    numbers: pl.Series | None = None,
    book_of: str = "",
) -> tuple[Placed, folded.Unfolded | None]:
    """Where the lines of a block belong, and those of them that were made plain for it.

    ``shaped``: what is read by shape. ``numbers``: for each line of a block of lines made plain, the number of its line in
    the file. ``book_of``: the symbol of snapshots that do not say theirs.
    """
    found = [_placed_rows(each.rows, each.channel) for each in shaped]
    decimals = merged(decimals_of_rows(each.rows, each.channel, each.levels) for each in shaped)
    if sum(len(rows) for rows in found) == block.lines:
        counted = _counted(numbers, pl.Series([], dtype=pl.UInt32))
        by_stream = Counter({each.channel.event: _count(each.rows["line"], counted) for each in shaped})
        placed = _in_order(found or [pl.DataFrame(schema=PLACED_SCHEMA)])
        mixed = _several_books(pl.DataFrame(schema={"text": pl.String}), shaped, book_of)
        return Placed(placed, +by_stream, 0, 0, 0, decimals, contradicts=mixed), None
    lines = lines_of(block)
    read = pl.concat([rows["line"] for rows in found]) if found else pl.Series([], dtype=pl.UInt32)
    rest = replace(lines, frame=lines.frame.filter(~pl.col("line").is_in(read.implode())))
    other_form = None if numbers is not None else unfolded(rest, known)
    if other_form is not None:
        rest = replace(rest, frame=rest.frame.filter(~pl.col("line").is_in(other_form.taken.implode())))
    placed = placed_lines(rest, known, book_of)
    ours = placed.filter(pl.col("channel").is_not_null() & pl.col("reason").is_null())
    lost = placed.filter(pl.col("reason").is_not_null())
    others = rest.frame.join(placed.filter(pl.col("event").is_not_null()), on="line", how="anti")
    named = placed.filter(pl.col("event").is_not_null() & pl.col("reason").is_null())
    by_stream, blank, connections, unreadable, examples = _count_others(others, rest)
    unplaced = pl.concat([_without_place(lost), pl.DataFrame(unreadable, schema=PLACED_SCHEMA, orient="row")])
    counted = _counted(numbers, unplaced["line"])
    if counted is not None:
        others, named = (frame.filter(counted.gather(frame["line"])) for frame in (others, named))
        by_stream = _count_others(others, rest)[0]
    by_stream.update(dict(named["event"].value_counts().iter_rows()))
    by_stream.update({each.channel.event: _count(each.rows["line"], counted) for each in shaped})
    slow = ours.select(
        "line", "channel", "symbol", "ts_init", reason=pl.lit(None, pl.String), raw=pl.lit(None, pl.String)
    )
    scan = Placed(
        lines=pl.concat([*found, slow.cast(PLACED_SCHEMA), unplaced]).sort("line"),
        by_stream=+by_stream,
        connection=len(connections),
        blank=blank,
        unreadable=_count(unplaced["line"], counted),
        decimals=merged([decimals, decimals_of_lines(ours, known)]),
        connections_at=tuple(connections),
        examples=tuple(examples),
        unusable=_MANY_LINES if folded.over_many_lines(block) else "",
        contradicts=_several_books(rest.frame, shaped, book_of),
    )
    return scan if other_form is None else _with_other_form(scan, other_form, known, lines.frame), other_form


def _several_books(lines: pl.DataFrame, shaped: Sequence[Shaped], book_of: str) -> str:
    """What is wrong where snapshots without a symbol are taken for those of one book, and updates are of others."""
    read = [each.rows for each in shaped if has_levels(each.channel)]
    others = other_books(lines, read, book_of) if book_of else []
    return _SEVERAL_BOOKS.format(book_of, ", ".join(others)) if others else ""


def _counted(numbers: pl.Series | None, unplaced: pl.Series) -> pl.Series | None:
    """Which of the messages a line of the file is counted by: the first that has a place, else the first."""
    if numbers is None:
        return None
    messages = pl.DataFrame({"number": numbers}).with_row_index("line")
    messages = messages.with_columns(lost=pl.col("line").is_in(unplaced.implode())).sort("lost", maintain_order=True)
    first = messages.filter(pl.col("number").is_first_distinct())["line"]
    return messages.select(pl.int_range(pl.len(), dtype=pl.UInt32).is_in(first.implode())).to_series()


def _count(lines: pl.Series, counted: pl.Series | None) -> int:
    return len(lines) if counted is None else int(counted.gather(lines).sum())


def _with_other_form(
    scan: Placed, other_form: folded.Unfolded, known: tuple[Channel, ...], texts: pl.DataFrame
) -> Placed:
    """What is said of the plain lines, and of those that were made plain."""
    numbers = other_form.numbers
    made, _ = placed_block(other_form.block, known, all_by_shape(other_form.block, known), numbers=numbers)
    lines = made.lines.with_columns(line=numbers.gather(made.lines["line"]))
    if made.unreadable:
        lines = folded.as_in_file(lines, "line", numbers, texts)
    decimals = {
        key: seen if seen.line is None else seen._replace(line=int(numbers[seen.line]))
        for key, seen in made.decimals.items()
    }
    return replace(
        scan,
        lines=pl.concat([scan.lines, lines]).sort("line", maintain_order=True),
        by_stream=Counter(scan.by_stream) + Counter(made.by_stream),
        connection=scan.connection + made.connection,
        unreadable=scan.unreadable + made.unreadable,
        decimals=merged([dict(scan.decimals), decimals]),
        several=other_form.several,
        shared=folded.shared(made.lines, other_form, texts),
    )


def _placed_rows(rows: pl.DataFrame, channel: Channel) -> pl.DataFrame:
    nothing = pl.lit(None, pl.String)
    return rows.select(
        "line", pl.lit(channel.name).alias("channel"), "symbol", "ts_init", reason=nothing, raw=nothing
    ).cast(PLACED_SCHEMA)


def _without_place(lost: pl.DataFrame) -> pl.DataFrame:
    nothing = [
        pl.lit(None, dtype).alias(name)
        for name, dtype in PLACED_SCHEMA.items()
        if name in {"channel", "symbol", "ts_init"}
    ]
    return lost.select("line", *nothing, "reason", raw=shown(pl.col("text"))).select(PLACED_SCHEMA.names())


def _count_others(
    others: pl.DataFrame, lines: Lines
) -> tuple[Counter[str], int, list[int], list[tuple[Any, ...]], list[tuple[int, str]]]:
    """Other streams, blank lines, numbers of connection lines, rows for unreadable ones, and examples of what nobody knows."""
    text = pl.col("text")
    bare = others.with_columns(trimmed=text.str.strip_chars())
    is_blank = (pl.col("trimmed") == "") & ~pl.col("line").is_in(list(lines.not_utf8))
    message = folded.is_value(pl.col("trimmed"))
    event = pl.coalesce(
        first_of("e", '"([^"]+)"'),
        text.str.extract(r'"stream"\s*:\s*"[^"@]*@([^"@]+)', 1),
        text.str.extract(r'\\"e\\"\s*:\s*\\"([^"\\]+)', 1),
        text.str.extract(r'\\"stream\\"\s*:\s*\\"[^"@\\]*@([^"@\\]+)', 1),
    )
    bare = bare.with_columns(blank=is_blank, event=pl.when(message).then(event))
    bare = bare.with_columns(event=pl.coalesce("event", pl.when(text.str.contains(GATE)).then(pl.lit(REST))))
    known = bare.filter(~pl.col("blank") & pl.col("event").is_not_null())
    by_stream = Counter(dict(known["event"].value_counts().iter_rows()))
    rest = known.filter(pl.col("event") == REST).head(_EXAMPLES)
    examples = [(int(line), str(text)) for line, text in rest.select("line", "text").iter_rows()]
    connections: list[int] = []
    unreadable: list[tuple[Any, ...]] = []
    for row in bare.filter(~pl.col("blank") & pl.col("event").is_null()).select("line", "text").iter_rows(named=True):
        what = "not_utf8" if row["line"] in lines.not_utf8 else _describe(row["text"])
        if what == "connection":
            connections.append(row["line"])
        elif what in {"broken_json", "not_utf8"}:
            reason = "truncated_tail" if row["line"] == lines.last and what == "broken_json" else what
            raw = lines.not_utf8.get(row["line"], row["text"].rstrip("\r\n")[:RAW_SHOWN])
            unreadable.append((row["line"], None, None, None, reason, raw))
        else:
            by_stream[what] += 1
            if what == REST:
                examples.append((row["line"], row["text"]))
    shown = [(line, text.strip()[:_EXAMPLE_SHOWN]) for line, text in sorted(examples)[:_EXAMPLES]]
    return by_stream, int(bare["blank"].sum()), connections, unreadable, shown


def _describe(text: str) -> str:
    """``connection``, ``broken_json``, or the name of the stream (``rest`` for answers without one)."""
    message = read_message(text)
    if isinstance(message, dict):
        return str(message.get("e", REST))
    if _CONNECTION.search(text):
        start = text.find("{")
        return "connection" if start < 0 or isinstance(read_message(text[start:]), str) else "rest"
    return message


def _in_order(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Rows of all frames by line; sorted only where it must be."""
    filled = [frame for frame in frames if len(frame)]
    return filled[0] if len(filled) == 1 else pl.concat(filled or frames[:1]).sort("line")
