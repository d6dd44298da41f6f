"""Lines of messages as text: where each stands, by which stream, symbol and time it is placed; by expressions over whole blocks."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import polars as pl
import pyarrow as pa
from msgspec import Struct

from hedgegrid_assets.model import Channel, Field
from hedgegrid_assets.sources.formats.binance import folded
from hedgegrid_assets.sources.formats.binance.channels import symbol_key
from hedgegrid_assets.sources.formats.binance.depth import SNAPSHOT, as_update, has_levels, is_snapshot
from hedgegrid_assets.sources.formats.binance.exact import AT_ONCE, TIME_AT_START, flat, read_message
from hedgegrid_assets.sources.formats.binance.grammar import GATE, gate
from hedgegrid_assets.sources.formats.binance.stamps import local_ns
from hedgegrid_assets.sources.formats.decimals import number_of
from hedgegrid_assets.sources.formats.lines import BOM, without_invalid
from hedgegrid_assets.store import Block, line_array

SYMBOL: Final = r'"([^"\\]+)"'
_SYMBOLS: Final = re.compile(rf'"s"\s*:\s*{SYMBOL}')
_EXTRACT: Final = {
    "text": r'"([^"]*)"',
    "integer": r"(-?[0-9]{1,18})\s*[,}]",
    "flag": r"(true|false)",
    "levels": r"(\[[^{}]*\])",
}


class Lines(Struct, frozen=True):
    """A block as text: ``line`` (0-based) and ``text``; the lines that are not UTF-8 are empty there and kept apart."""

    frame: pl.DataFrame
    not_utf8: Mapping[int, str]
    last: int | None
    """Number of a last line without newline."""


def lines_of(block: Block) -> Lines:
    """The lines of a block, without the byte order marks of files."""
    data, not_utf8 = block.data, dict[int, str]()
    try:
        text = line_array(data).cast(pa.large_string())
    except pa.ArrowInvalid:
        data, not_utf8 = without_invalid(data)
        text = line_array(data).cast(pa.large_string())
    lines = pl.DataFrame({"text": pl.Series(text, dtype=pl.String)}).with_row_index("line", offset=block.first_line)
    if BOM in data:  # at the start; and in the middle of a raw day, as it may be made of several files
        lines = lines.with_columns(pl.col("text").str.strip_prefix("\ufeff"))
    return Lines(
        lines,
        {block.first_line + number: shown for number, shown in not_utf8.items()},
        block.first_line + len(lines) - 1 if block.cut and len(lines) else None,
    )


def first_of(key: str, value: str) -> pl.Expr:
    """What the group in ``value`` catches of a key's first occurrence, else null: a later one never counts."""
    return pl.col("text").str.extract(rf'"{key}"\s*:\s*(?:{value}|)', 1)


def extracted(field: Field) -> pl.Expr:
    """A field of a flat message as text; null where it is absent, or spelled in an odd way."""
    caught = rf'"({number_of(field.decimals)}|)"' if field.kind == "decimal" else _EXTRACT[field.kind]
    return first_of(field.key, caught).alias(field.name)


def placed_lines(lines: Lines, known: Iterable[Channel], only: str = "") -> pl.DataFrame:
    """The lines that may hold one of our messages: ``line, text, gate, event, channel, symbol, ts_init, local, reason``.

    ``reason`` is set where the line cannot be given to a channel, symbol and day; ``channel`` is null where it turned
    out to be another message, and ``event`` as well where it is no message at all. ``only``: the symbol of snapshots that
    do not say it; without one they are of no stream that is known.
    """
    by_event = {channel.event: channel for channel in known}
    nameless = [channel.event for channel in by_event.values() if channel.nameless]
    words = [*(f'"{event}"' for event in by_event), *(f'@{event}"' for event in nameless)]
    frame = lines.frame.filter(pl.col("text").str.contains_any(words))
    frame = local_ns(frame).with_columns(gate=_is_sure(by_event.values()), event=_event(nameless))
    frame = frame.with_columns(symbol=_symbol(by_event.values()))
    exchange = _exchange_time(frame, by_event.values()) if frame["local"].null_count() else pl.lit(None, pl.Int64)
    frame = frame.with_columns(
        ts_init=pl.coalesce("local", exchange),
        channel=pl.col("event").replace_strict(
            {event: channel.name for event, channel in by_event.items()}, default=None
        ),
        reason=pl.lit(None, pl.String),
    )
    untimed = pl.col("local").is_null() & ~pl.col("text").str.starts_with("{")
    odd = frame.filter(~pl.col("gate") | untimed | pl.any_horizontal(pl.col("symbol", "ts_init", "event").is_null()))
    frame = frame if not len(odd) else _with_exact(frame, odd, by_event, lines)
    deep = [channel for channel in by_event.values() if has_levels(channel)]
    return (
        pl.concat([frame, *(_snapshots(lines, channel, frame.schema, only) for channel in deep)]).sort("line")
        if deep
        else frame
    )


def _with_exact(frame: pl.DataFrame, odd: pl.DataFrame, by_event: Mapping[str, Channel], lines: Lines) -> pl.DataFrame:
    exact = [_placed_exactly(part, by_event, lines) for part in odd.iter_slices(AT_ONCE)]
    return pl.concat([frame.filter(~pl.col("line").is_in(odd["line"].implode())), *exact]).sort("line")


def _event(nameless: Sequence[str]) -> pl.Expr:
    """What messages call themselves; of those that may not, what their stream is called."""
    own = first_of("e", '"([^"]*)"')
    if not nameless:
        return own
    stream = pl.col("text").str.extract(r'"stream"\s*:\s*"[^"@]*@([^"]+)"', 1)
    return pl.coalesce(own, pl.when(is_nameless(pl.col("text")) & stream.is_in(nameless)).then(stream))


def is_nameless(text: pl.Expr) -> pl.Expr:
    """A message that does not say what it is."""
    return ~text.str.contains(r'"e"\s*:')


def _is_sure(known: Iterable[Channel]) -> pl.Expr:
    """The first occurrence of each key is the field of this name."""
    text = pl.col("text")
    gates = [GATE, *(gate(channel.event, channel.inside) for channel in known if channel.inside)]
    return pl.any_horizontal(text.str.contains(each) for each in gates) if len(gates) > 1 else text.str.contains(GATE)


def _snapshots(lines: Lines, channel: Channel, schema: pl.Schema, only: str) -> pl.DataFrame:
    """Lines with snapshots."""
    found = local_ns(lines.frame.filter(is_snapshot(pl.col("text"))))
    placed: list[dict[str, Any]] = []
    for row in found.iter_rows(named=True):
        message = read_message(row["text"])
        if not isinstance(message, dict) or "lastUpdateId" not in message:
            continue
        update = as_update(message, str(message.get("s", only)))
        times = [time for key in ("T", "E") if (time := _integer_or_none(update.get(key))) is not None]
        arrived = row["local"] if row["local"] is not None else times[0] * 1_000_000 if times else None
        if isinstance(update["s"], str) and update["s"] and arrived is not None:
            names = {"gate": False, "event": SNAPSHOT, "channel": channel.name, "reason": None}
            placed.append(row | names | {"symbol": update["s"], "ts_init": arrived})
    return pl.DataFrame(placed, schema=schema, orient="row")


def _placed_exactly(odd: pl.DataFrame, by_event: Mapping[str, Channel], lines: Lines) -> pl.DataFrame:
    messages = [read_message(text) for text in odd["text"]]
    times = _exact_times(messages, by_event.values())
    rows = zip(odd.iter_rows(named=True), messages, times, strict=True)
    placed = [_place_exactly(row, message, time, by_event, lines) for row, message, time in rows]
    return pl.DataFrame(placed, schema=odd.schema, orient="row")


def _symbol(known: Iterable[Channel]) -> pl.Expr:
    """What each line's own channel calls its symbol."""
    usual = first_of("s", SYMBOL)
    for channel in known:
        if symbol_key(channel) != "s":
            usual = (
                pl.when(pl.col("event") == channel.event).then(first_of(symbol_key(channel), SYMBOL)).otherwise(usual)
            )
    return usual


def _exchange_time(frame: pl.DataFrame, known: Iterable[Channel]) -> pl.Expr:
    """Exchange time by the rule of each line's own channel."""
    event = pl.col("event")
    rules = pl.lit(None, pl.Int64)
    for channel in known:
        keys = {field.name: field for field in channel.fields if field.name in channel.ts_event.meta.root_names()}
        times = frame.select(extracted(field).cast(pl.Int64) for field in keys.values())
        rules = (
            pl.when(event == channel.event)
            .then(pl.lit(times.select(channel.ts_event.alias("t"))["t"]))
            .otherwise(rules)
        )
    return rules


def _exact_times(messages: Sequence[dict[str, Any] | str], known: Iterable[Channel]) -> list[int | None]:
    """Exchange time of each message, None where it is not ours or has none."""
    found: list[int | None] = [None] * len(messages)
    for channel in known:
        ours = {
            n: flat(m, channel) for n, m in enumerate(messages) if isinstance(m, dict) and m.get("e") == channel.event
        }
        names = channel.ts_event.meta.root_names()
        keys = {field.name: field.key for field in channel.fields if field.name in names}
        times = {name: [_integer_or_none(message.get(key)) for message in ours.values()] for name, key in keys.items()}
        frame = pl.DataFrame(times, schema=dict.fromkeys(times, pl.Int64)).select(time=channel.ts_event)
        for number, time in zip(ours, frame["time"], strict=True):
            found[number] = time
    return found


def _place_exactly(
    row: dict[str, Any],
    message: dict[str, Any] | str,
    exchange: int | None,
    by_event: Mapping[str, Channel],
    lines: Lines,
) -> dict[str, Any]:
    """Place one odd line by its exact reading; a broken line keeps the place that its readable parts tell.

    Not where it names several symbols: what is lost may be of each of them.
    """
    if isinstance(message, str):
        if row["channel"] is None:
            return row | {"gate": False, "event": None}
        cut = row["line"] == lines.last
        several = len(set(_SYMBOLS.findall(row["text"]))) > 1
        placeable = not cut and not several and row["symbol"] and row["ts_init"] is not None
        return row | {"gate": False, "reason": None if placeable else "truncated_tail" if cut else message}
    channel = by_event.get(str(message.get("e")))
    if channel is None:
        return row | {"gate": False, "channel": None, "event": str(message.get("e", "rest"))}
    symbol = flat(message, channel).get(symbol_key(channel))
    symbol = symbol if isinstance(symbol, str) and symbol else None
    has_local = TIME_AT_START.match(row["text"].strip()) is not None
    ts_init = row["local"] if has_local else exchange
    reason = "missing_field" if symbol is None else "unknown_time" if ts_init is None else None
    return row | {
        "gate": False,
        "event": channel.event,
        "channel": channel.name,
        "symbol": symbol,
        "ts_init": ts_init,
        "reason": reason,
    }


def _integer_or_none(value: object) -> int | None:
    """A whole number of as many digits as the fast reader takes for one."""
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18 else None


def unfolded(lines: Lines, known: Iterable[Channel], names: Collection[str] = ()) -> folded.Unfolded | None:
    """The lines that hold messages of these channels in another form, made plain; see ``folded.unfold``."""
    return folded.unfold(lines.frame, [channel.event for channel in known], names, lines.last)
