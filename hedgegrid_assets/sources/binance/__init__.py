"""The messages of Binance, one JSON value a line: a format that captures, the synthetic source and replays share.

A plain line is an optional receive time (``<ns> ``, ``<seconds.fraction>: `` or the 28-character ISO stamp and a blank)
and either a bare message or the combined-stream wrapper ``{"stream":..,"data":{..}}``. Two readers agree on every such
line: a fast one, regular expressions over whole blocks behind a gate that admits only flat JSON without escapes, and an
exact one in Python for the few lines that the gate refuses. Lines that hold messages in another form (arrays, other
stamps, the wrappers of recorders) are made plain before: see ``folded``.
"""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any, Final

import polars as pl
import pyarrow as pa

from hedgegrid_assets.instruments import FLOAT_DIGITS
from hedgegrid_assets.model import REST, Channel, Decimals, Decoded, Dialect, Field, Scan, TableMapping
from hedgegrid_assets.sources.binance import folded
from hedgegrid_assets.sources.binance.grammar import GATE, TIME
from hedgegrid_assets.sources.formats import json_lines as shaped
from hedgegrid_assets.store import Block, bytes_of, line_array
from hedgegrid_assets.tables import apart
from hedgegrid_assets.tables.funding_rate_update import RATE_DECIMALS
from hedgegrid_assets.tables.trade_tick import side
from hedgegrid_assets.timestamps import NS_PER_DAY, RANGES, day_start

REJECTS_SCHEMA: Final = pl.Schema(
    {
        "raw_row": pl.UInt32,
        "reason": pl.String,
        "field": pl.String,
        "value": pl.String,
        "raw": pl.String,
        "ts_init": pl.Int64,
    }
)
SCAN_SCHEMA: Final = pl.Schema(
    {
        "line": pl.UInt32,
        "channel": pl.String,
        "symbol": pl.String,
        "ts_init": pl.Int64,
        "reason": pl.String,
        "raw": pl.String,
    }
)
FAULTS_SCHEMA: Final = pl.Schema(
    {"raw_row": pl.UInt32, "name": pl.String, "reason": pl.String, "field": pl.String, "value": pl.String}
)
_RAW_SHOWN: Final = 4096
_GLANCE: Final = 1 << 16
_LINES_TRIED: Final = 8
_BOM: Final = "\ufeff".encode()
_LARGEST: Final = 2**63 - 1
_DIGITS_TRIED: Final = 40
_SYMBOL: Final = r'"([^"\\]+)"'
_EXAMPLES: Final = 3
_EXAMPLE_SHOWN: Final = 120

_DECIMAL_TEXT: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,9})?")
_TIME_AT_START: Final = re.compile(TIME)
_CONNECTION: Final = re.compile(r"^\s*(?:wss?://|https?://|<-|->)|<->")
_EXTRACT: Final = {
    "text": r'"([^"]*)"',
    "integer": r"(-?[0-9]{1,18})\s*[,}]",
    "flag": r"(true|false)",
}


# ---------------------------------------------------------------- channels


def _nanoseconds(key: str) -> pl.Expr:
    """Exchange time in ns; milliseconds or microseconds (venues are moving to them). Null if it is neither."""
    value = pl.col(key)
    is_micros, is_millis = value.is_between(*RANGES["us"]), value.is_between(*RANGES["ms"])
    return pl.when(is_micros).then(value * 1_000).when(is_millis).then(value * 1_000_000)


_TRADE_FIELDS: Final = (
    Field("symbol", "s", "text", "exchange symbol"),
    Field("price", "p", "decimal", "quote units"),
    Field("size", "q", "decimal", "base units"),
    Field("trade_time", "T", "integer", "matched, ms", required=False),
    Field("event_time", "E", "integer", "sent, ms", required=False),
    Field("buyer_is_maker", "m", "flag", "true: the taker sold", missing="missing_side"),
)
_TRADE_COLUMNS: Final[dict[str, pl.Expr]] = {
    "price": pl.col("price"),
    "size": pl.col("size"),
    "aggressor_side": pl.when("buyer_is_maker").then(side("SELLER")).otherwise(side("BUYER")),
    "trade_id": pl.col("id").cast(pl.String),
}
_TRADE_LINEAGE: Final = {
    "ts_event": ("T", "E"),
    "price": ("p",),
    "size": ("q",),
    "aggressor_side": ("m",),
    "trade_id": ("a",),
}
_TRADE_TIME: Final = (
    pl.when(pl.col("trade_time").is_not_null()).then(_nanoseconds("trade_time")).otherwise(_nanoseconds("event_time"))
)


def channels(venue: str) -> tuple[Channel, ...]:
    """The streams that tables are made of; ``venue`` begins the name of each series."""
    return (
        Channel(
            name="aggTrade",
            event="aggTrade",
            series=f"{venue}/aggTrade",
            fields=(
                *_TRADE_FIELDS,
                Field("id", "a", "integer", "aggregate trade id, contiguous", missing="bad_trade_id"),
                Field("first_id", "f", "integer", "first trade of the aggregate", required=False),
                Field("last_id", "l", "integer", "last trade of the aggregate", required=False),
            ),
            ts_event=_TRADE_TIME,
            tables={
                "trade_tick": TableMapping(
                    columns=_TRADE_COLUMNS | {"first_trade_id": pl.col("first_id"), "last_trade_id": pl.col("last_id")},
                    lineage=_TRADE_LINEAGE | {"first_trade_id": ("f",), "last_trade_id": ("l",)},
                )
            },
        ),
        Channel(
            name="trade",
            event="trade",
            series=f"{venue}/trade",
            fields=(
                *_TRADE_FIELDS,
                Field(
                    "id",
                    "t",
                    "integer",
                    "trade id, contiguous but for ids of rows with another X",
                    missing="bad_trade_id",
                ),
                Field("kind", "X", "text", "MARKET, NA, INSURANCE_FUND or ADL; absent before mid 2020", required=False),
            ),
            ts_event=_TRADE_TIME,
            excludes={
                "excluded_kind_na": pl.col("kind") == "NA",
                "excluded_kind_adl": pl.col("kind") == "ADL",
                "excluded_kind_insurance_fund": pl.col("kind") == "INSURANCE_FUND",
            },
            tables={
                "trade_tick": TableMapping(
                    columns=_TRADE_COLUMNS
                    | {"first_trade_id": pl.lit(None, pl.Int64), "last_trade_id": pl.lit(None, pl.Int64)},
                    lineage=_TRADE_LINEAGE | {"trade_id": ("t",)},
                )
            },
        ),
        Channel(
            name="markPrice",
            event="markPriceUpdate",
            series=f"{venue}/markPrice",
            fields=(
                Field("symbol", "s", "text", "exchange symbol"),
                Field("event_time", "E", "integer", "sent, ms", missing="unknown_time"),
                Field("mark_price", "p", "decimal", "quote units"),
                Field("index_price", "i", "decimal", "quote units; absent before August 2020", required=False),
                Field(
                    "funding_rate",
                    "r",
                    "decimal",
                    "estimate, fraction; empty for dated contracts",
                    required=False,
                    decimals=RATE_DECIMALS,
                ),
                Field("next_funding_time", "T", "integer", "ms; 0 for dated contracts", required=False),
            ),
            ts_event=_nanoseconds("event_time"),
            tables={
                "mark_price_update": TableMapping(
                    columns={"mark_price": pl.col("mark_price")}, lineage={"ts_event": ("E",), "mark_price": ("p",)}
                ),
                "index_price_update": TableMapping(
                    columns={"index_price": pl.col("index_price")},
                    lineage={"ts_event": ("E",), "index_price": ("i",)},
                    applies=pl.col("index_price").is_not_null(),
                ),
                "funding_rate_update": TableMapping(
                    columns={
                        "funding_rate": pl.col("funding_rate"),
                        "predicted_funding_rate": pl.lit(None, pl.Decimal(38, RATE_DECIMALS)),
                        "next_funding_time": _nanoseconds("next_funding_time"),
                        "interval_minutes": pl.lit(None, pl.UInt16),
                    },
                    lineage={
                        "ts_event": ("E",),
                        "funding_rate": ("r",),
                        "next_funding_time": ("T",),
                        "is_settlement": ("T",),
                    },
                    applies=pl.col("funding_rate").is_not_null()
                    & (pl.col("next_funding_time").is_null() | (pl.col("next_funding_time") != 0)),
                ),
            },
        ),
        Channel(
            name="indexPrice",
            event="indexPriceUpdate",
            series=f"{venue}/indexPrice",
            fields=(
                Field("symbol", "i", "text", "pair: BTCUSD for all contracts on it"),
                Field("event_time", "E", "integer", "sent, ms", missing="unknown_time"),
                Field("index_price", "p", "decimal", "quote units"),
            ),
            ts_event=_nanoseconds("event_time"),
            tables={
                "index_price_update": TableMapping(
                    columns={"index_price": pl.col("index_price")}, lineage={"ts_event": ("E",), "index_price": ("p",)}
                )
            },
            symbol_of=pair_of,
        ),
    )


def pair_of(symbol: str) -> str:
    """The pair that a contract is on: ``BTCUSD`` for ``BTCUSD_PERP`` and ``BTCUSD_240329``."""
    return symbol.partition("_")[0]


def _symbol_key(channel: Channel) -> str:
    return next(field.key for field in channel.fields if field.name == "symbol")


# ---------------------------------------------------------------- lines


@dataclass(frozen=True, slots=True)
class _Lines:
    """A block as text: ``line`` (0-based) and ``text``; the lines that are not UTF-8 are empty there and kept apart."""

    frame: pl.DataFrame
    not_utf8: Mapping[int, str]
    last: int | None
    """Number of a last line without newline."""


def _lines(block: Block) -> _Lines:
    array = line_array(block.data)
    not_utf8: dict[int, str] = {}
    try:
        text = array.cast(pa.large_string())
    except pa.ArrowInvalid:
        values = array.to_pylist()
        for number, value in enumerate(values):
            try:
                value.decode()
            except UnicodeDecodeError:
                not_utf8[block.first_line + number] = value.decode(errors="backslashreplace")
                values[number] = b""
        text = pa.array(values, pa.large_binary()).cast(pa.large_string())
    lines = pl.DataFrame({"text": pl.Series(text, dtype=pl.String)}).with_row_index("line", offset=block.first_line)
    if _BOM in block.data:  # at the start; and in the middle of a raw day, as it may be made of several files
        lines = lines.with_columns(pl.col("text").str.strip_prefix("\ufeff"))
    return _Lines(lines, not_utf8, block.first_line + len(lines) - 1 if block.cut and len(lines) else None)


def _first(key: str, value: str) -> pl.Expr:
    """What the group in ``value`` catches of a key's first occurrence, else null: a later one never counts."""
    return pl.col("text").str.extract(rf'"{key}"\s*:\s*(?:{value}|)', 1)


def _extracted(field: Field) -> pl.Expr:
    caught = rf'"({number_of(field.decimals)}|)"' if field.kind == "decimal" else _EXTRACT[field.kind]
    return _first(field.key, caught).alias(field.name)


def _local_ns(frame: pl.DataFrame) -> pl.DataFrame:
    """Add ``local``: the receive time in front of the line in ns, null where there is none that can be read.

    Exact: no float. What is finer than a nanosecond is cut off.
    """
    text = pl.col("text")
    if frame.select(text.str.starts_with("{").all()).item():
        return frame.with_columns(local=pl.lit(None, pl.Int64))
    frame = frame.with_columns(local=text.str.extract(r"^\s*([0-9]{19}) ", 1).cast(pl.Int64, strict=False))
    if frame["local"].null_count() == 0:
        return frame
    seconds = text.str.extract(r"^\s*([0-9]{9,10})(?:\.[0-9]+)?: ", 1).cast(pl.Int64, strict=False)
    fraction = text.str.extract(r"^\s*[0-9]{9,10}\.([0-9]{1,9})[0-9]*: ", 1).str.pad_end(9, "0").cast(pl.Int64)
    stamp = text.str.extract(r"^\s*([0-9]{4}-[0-9T:-]{14})\.[0-9]{7}Z ", 1)
    stamp_ns = stamp.str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit="ns", strict=False).cast(pl.Int64)
    hundreds = text.str.extract(r"^\s*[0-9T:-]{19}\.([0-9]{7})Z ", 1).cast(pl.Int64)
    return frame.with_columns(
        local=pl.coalesce("local", seconds * 1_000_000_000 + fraction.fill_null(0), stamp_ns + hundreds * 100)
    )


def _placed(lines: _Lines, known: Iterable[Channel]) -> pl.DataFrame:
    """The lines that may hold one of our messages: ``line, text, gate, event, channel, symbol, ts_init, local, reason``.

    ``reason`` is set where the line cannot be given to a channel, symbol and day; ``channel`` is null where it turned
    out to be another message, and ``event`` as well where it is no message at all.
    """
    by_event = {channel.event: channel for channel in known}
    frame = lines.frame.filter(pl.col("text").str.contains_any([f'"{event}"' for event in by_event]))
    frame = _local_ns(frame).with_columns(gate=pl.col("text").str.contains(GATE), event=_first("e", '"([^"]*)"'))
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
    if not len(odd):
        return frame
    messages = [read_message(text) for text in odd["text"]]
    times = _exact_times(messages, by_event.values())
    rows = zip(odd.iter_rows(named=True), messages, times, strict=True)
    exact = pl.DataFrame(
        [_place_exactly(row, message, time, by_event, lines) for row, message, time in rows],
        schema=frame.schema,
        orient="row",
    )
    return pl.concat([frame.filter(~pl.col("line").is_in(odd["line"].implode())), exact]).sort("line")


def _symbol(known: Iterable[Channel]) -> pl.Expr:
    """What each line's own channel calls its symbol."""
    usual = _first("s", _SYMBOL)
    for channel in known:
        if _symbol_key(channel) != "s":
            usual = (
                pl.when(pl.col("event") == channel.event).then(_first(_symbol_key(channel), _SYMBOL)).otherwise(usual)
            )
    return usual


def _exchange_time(frame: pl.DataFrame, known: Iterable[Channel]) -> pl.Expr:
    """Exchange time by the rule of each line's own channel."""
    event = pl.col("event")
    rules = pl.lit(None, pl.Int64)
    for channel in known:
        keys = {field.name: field for field in channel.fields if field.name in channel.ts_event.meta.root_names()}
        times = frame.select(_extracted(field).cast(pl.Int64) for field in keys.values())
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
        ours = {n: m for n, m in enumerate(messages) if isinstance(m, dict) and m.get("e") == channel.event}
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
    lines: _Lines,
) -> dict[str, Any]:
    """Place one odd line by its exact reading; a broken line keeps the place that its readable parts tell."""
    if isinstance(message, str):
        if row["channel"] is None:
            return row | {"gate": False, "event": None}
        cut = row["line"] == lines.last
        placeable = not cut and row["symbol"] and row["ts_init"] is not None
        return row | {"gate": False, "reason": None if placeable else "truncated_tail" if cut else message}
    channel = by_event.get(str(message.get("e")))
    if channel is None:
        return row | {"gate": False, "channel": None, "event": str(message.get("e", "rest"))}
    symbol = message.get(_symbol_key(channel))
    symbol = symbol if isinstance(symbol, str) and symbol else None
    has_local = _TIME_AT_START.match(row["text"].strip()) is not None
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


# ---------------------------------------------------------------- lines of one shape


def _by_shape(block: Block, channel: Channel) -> pl.DataFrame | None:
    """The lines of a channel that are read beyond doubt by the shape of one of them: ``line, ts_init, ts_event`` and fields.

    Decimals are texts. None if no line tells a shape.
    """
    data, numbers = _of_event(block, channel.event)
    required = {field.key for field in channel.fields if field.required} | {"e"}
    start = data[:_GLANCE].decode(errors="replace")
    shapes = (
        shaped.shape_of(line) for line in start.split("\n")[:_LINES_TRIED] if re.fullmatch(GATE.strip("^$"), line)
    )
    shape = next((found for found in shapes if found and required <= found.places.keys() and _is_plain(found)), None)
    if shape is None:
        return None
    lines = shaped.read(data, block.lines if numbers is None else len(numbers), shape)
    return None if lines is None else _rows_of(lines, block.first_line, numbers, channel)


def _is_plain(shape: shaped.Shape) -> bool:
    """Its receive time, if any, stands in front."""
    return bool(shape.time) or shape.places.keys().isdisjoint(folded.RECEIVED)


def _of_event(block: Block, event: str) -> tuple[bytes, pl.Series | None]:
    """The lines that may be a channel's, and their numbers in the block; None: all of them."""
    start = block.data[:_GLANCE]
    if block.lines and start.count(f'"{event}"'.encode()) >= max(start.count(b"\n"), 1):
        return block.data, None
    lines = line_array(block.data)
    ours = pl.Series(lines, dtype=pl.Binary).bin.contains(f'"e":"{event}"'.encode())
    numbers = ours.arg_true()
    return bytes_of(lines.take(numbers.to_arrow())) if len(numbers) else b"", numbers


def _rows_of(lines: shaped.Lines, first_line: int, numbers: pl.Series | None, channel: Channel) -> pl.DataFrame:
    local, timed = lines.received("local")
    values: dict[str, pl.Expr] = {"local": local}
    proofs = [timed, lines.ends(), lines.fits("e", channel.event)]
    for field in channel.fields:
        if field.key not in lines:
            values[field.name] = pl.lit(None, _TYPES[field.kind])
            continue
        values[field.name], proof = _by_kind(lines, field)
        proofs.append(proof)
    proofs += lines.unread([*(field.key for field in channel.fields), "e"])
    line = pl.int_range(pl.len(), dtype=pl.UInt32) if numbers is None else pl.lit(numbers.cast(pl.UInt32))
    rows = (
        lines.parts.with_columns(**values)
        .with_columns(ts_event=channel.ts_event)
        .with_columns(ts_init=pl.col("local") if lines.shape.time else pl.col("ts_event"))
        .select(
            (line + first_line).alias("line"),
            "ts_init",
            "ts_event",
            *(field.name for field in channel.fields),
            sure=pl.all_horizontal(*proofs, pl.col("ts_init").is_not_null()).fill_null(value=False),
        )
    )
    return rows.drop("sure") if rows["sure"].all() else rows.filter("sure").drop("sure")


_TYPES: Final = {"text": pl.String, "decimal": pl.String, "integer": pl.Int64, "flag": pl.Boolean}


def _by_kind(lines: shaped.Lines, field: Field) -> shaped.Read:
    match field.kind:
        case "decimal":
            number = number_of(field.decimals)
            return lines.decimal(field.key, number if field.required else f"(?:{number}|)")
        case "integer":
            return lines.integer(field.key, field.name)
        case "flag":
            return lines.flag(field.key)
        case "text":
            value, proof = lines.text(field.key, field.name)
            return value, proof & (pl.col(field.name) != "") if field.required else proof


# ---------------------------------------------------------------- scan


def scan(block: Block, dialect: Dialect, known: tuple[Channel, ...]) -> Scan:
    """Say of every line of a block what it is; see ``Scan``."""
    del dialect  # every line speaks for itself
    return _scan(block, known, _all_by_shape(block, known))


def read(
    block: Block, dialect: Dialect, wanted: Collection[str], known: tuple[Channel, ...]
) -> tuple[Scan, dict[str, Decoded]]:
    """``scan``, and ``decode`` of those channels wanted that the block has lines of."""
    del dialect
    by_channel = _all_by_shape(block, known)
    by_shape = {channel.name: rows for channel, rows in by_channel}
    found = _scan(block, known, by_channel)
    names = set(found.lines["channel"].unique()).intersection(wanted)
    there = [channel for channel in known if channel.name in names]
    return found, {channel.name: _decode(block, channel, known, by_shape.get(channel.name)) for channel in there}


def _scan(
    block: Block,
    known: tuple[Channel, ...],
    by_channel: Sequence[tuple[Channel, pl.DataFrame]],
    numbers: pl.Series | None = None,
) -> Scan:
    """``numbers``: for each line of a block of lines made plain, the number of its line in the file."""
    found = [_placed_rows(rows, channel) for channel, rows in by_channel]
    decimals = _merged(_decimals_of(rows, channel) for channel, rows in by_channel)
    if sum(len(rows) for rows in found) == block.lines:
        counted = _counted(numbers, pl.Series([], dtype=pl.UInt32))
        by_stream = Counter({channel.event: _count(rows["line"], counted) for channel, rows in by_channel})
        return Scan(_in_order(found or [pl.DataFrame(schema=SCAN_SCHEMA)]), +by_stream, 0, 0, 0, decimals)
    lines = _lines(block)
    read = pl.concat([rows["line"] for rows in found]) if found else pl.Series([], dtype=pl.UInt32)
    rest = replace(lines, frame=lines.frame.filter(~pl.col("line").is_in(read.implode())))
    other_form = None if numbers is not None else _unfolded(rest, known, None)
    if other_form is not None:
        rest = replace(rest, frame=rest.frame.filter(~pl.col("line").is_in(other_form.taken.implode())))
    placed = _placed(rest, known)
    ours = placed.filter(pl.col("channel").is_not_null() & pl.col("reason").is_null())
    lost = placed.filter(pl.col("reason").is_not_null())
    others = rest.frame.join(placed.filter(pl.col("event").is_not_null()), on="line", how="anti")
    named = placed.filter(pl.col("event").is_not_null() & pl.col("reason").is_null())
    by_stream, blank, connections, unreadable, examples = _count_others(others, rest)
    unplaced = pl.concat([_without_place(lost), pl.DataFrame(unreadable, schema=SCAN_SCHEMA, orient="row")])
    counted = _counted(numbers, unplaced["line"])
    if counted is not None:
        others, named = (frame.filter(counted.gather(frame["line"])) for frame in (others, named))
        by_stream = _count_others(others, rest)[0]
    by_stream.update(dict(named["event"].value_counts().iter_rows()))
    by_stream.update({channel.event: _count(rows["line"], counted) for channel, rows in by_channel})
    slow = ours.select(
        "line", "channel", "symbol", "ts_init", reason=pl.lit(None, pl.String), raw=pl.lit(None, pl.String)
    )
    scan = Scan(
        lines=pl.concat([*found, slow.cast(SCAN_SCHEMA), unplaced]).sort("line"),
        by_stream=+by_stream,
        connection=len(connections),
        blank=blank,
        unreadable=_count(unplaced["line"], counted),
        decimals=_merged([decimals, _decimals(ours, known)]),
        connections_at=tuple(connections),
        examples=tuple(examples),
        unusable=_MANY_LINES if folded.over_many_lines(block) else "",
    )
    return scan if other_form is None else _with_other_form(scan, other_form, known)


def _counted(numbers: pl.Series | None, unplaced: pl.Series) -> pl.Series | None:
    """Which of the messages a line of the file is counted by: the first that has a place, else the first."""
    if numbers is None:
        return None
    messages = pl.DataFrame({"number": numbers}).with_row_index("line")
    messages = messages.with_columns(lost=pl.col("line").is_in(unplaced.implode())).sort("lost", maintain_order=True)
    first = messages.filter(pl.col("number").is_first_distinct())["line"]
    return messages.select(pl.int_range(pl.len(), dtype=pl.UInt32).is_in(first.implode())).to_series()


_MANY_LINES: Final = "it holds one JSON value over many lines: expected one message, or one array of messages, a line"


def _count(lines: pl.Series, counted: pl.Series | None) -> int:
    return len(lines) if counted is None else int(counted.gather(lines).sum())


def _unfolded(lines: _Lines, known: Iterable[Channel], symbol: str | None) -> folded.Unfolded | None:
    return folded.unfold(lines.frame, [channel.event for channel in known], symbol, lines.last)


def _with_other_form(scan: Scan, other_form: folded.Unfolded, known: tuple[Channel, ...]) -> Scan:
    """What is said of the plain lines, and of those that were made plain."""
    numbers = other_form.numbers
    made = _scan(other_form.block, known, _all_by_shape(other_form.block, known), numbers=numbers)
    lines = made.lines.with_columns(line=numbers.gather(made.lines["line"]))
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
        decimals=_merged([dict(scan.decimals), decimals]),
        several=other_form.several,
    )


def _all_by_shape(block: Block, known: Iterable[Channel]) -> list[tuple[Channel, pl.DataFrame]]:
    """What can be read by shape, channel by channel, until no line is left."""
    start = block.data[:_GLANCE]
    found: list[tuple[Channel, pl.DataFrame]] = []
    left = block.lines
    for channel in sorted(known, key=lambda channel: -start.count(f'"{channel.event}"'.encode())):
        rows = _by_shape(block, channel) if left else None
        if rows is not None and len(rows):
            found.append((channel, rows))
            left -= len(rows)
    return found


def _placed_rows(rows: pl.DataFrame, channel: Channel) -> pl.DataFrame:
    nothing = pl.lit(None, pl.String)
    return rows.select(
        "line", pl.lit(channel.name).alias("channel"), "symbol", "ts_init", reason=nothing, raw=nothing
    ).cast(SCAN_SCHEMA)


type _Decimals = dict[tuple[str, str, str], Decimals]
"""(channel, symbol, field) -> decimals of its numbers."""


def _decimals_of(rows: pl.DataFrame, channel: Channel) -> _Decimals:
    names = [field.name for field in channel.fields if field.kind == "decimal"]
    if (rows["symbol"] == rows["symbol"][0]).all():
        return _decimals_in([rows], names, channel)
    text = [pl.col(name) for name in names]
    if not rows.select(pl.any_horizontal((each.str.len_bytes() > FLOAT_DIGITS).any() for each in text)).item():
        return _decimals_by_symbol(rows, names, channel)
    return _decimals_in(rows.select("symbol", "line", *names).partition_by("symbol"), names, channel)


def _decimals_in(parts: Iterable[pl.DataFrame], names: Sequence[str], channel: Channel) -> _Decimals:
    values = ((part["symbol"][0], name, part.select("line", text=name)) for part in parts for name in names)
    filled = (
        (symbol, name, found.filter(pl.col("text") != "") if found["text"].null_count() else found)
        for symbol, name, found in values
    )
    return {
        (channel.name, symbol, name): most_decimals(found["text"], found["line"])
        for symbol, name, found in filled
        if found["text"].str.len_bytes().max()
    }


def _decimals_by_symbol(rows: pl.DataFrame, names: Sequence[str], channel: Channel) -> _Decimals:
    """For many symbols at once, none of whose numbers is long."""
    behind = [pl.col(name).str.len_bytes() - pl.col(name).str.find(".", literal=True) - 1 for name in names]
    bare = [pl.col(name).str.strip_chars_end("0") for name in names]
    needed = [each.str.len_bytes() - each.str.find(".", literal=True) - 1 for each in bare]
    found = rows.group_by("symbol").agg(
        *((pl.col(name).str.len_bytes().max() > 0).alias(f"any {name}") for name in names),
        *(each.max().fill_null(0).alias(f"written {name}") for name, each in zip(names, behind, strict=True)),
        *(each.max().fill_null(0).alias(f"needed {name}") for name, each in zip(names, needed, strict=True)),
    )
    return {
        (channel.name, row["symbol"], name): Decimals(
            row[f"written {name}"], row[f"needed {name}"], row[f"needed {name}"]
        )
        for row in found.iter_rows(named=True)
        for name in names
        if row[f"any {name}"]
    }


def most_decimals(texts: pl.Series, lines: pl.Series | None = None) -> Decimals:
    """Decimals of plain numbers; ``lines``: where each of them stands."""
    point = texts.str.find(".", literal=True)
    length = texts.str.len_bytes()
    written = int(str((length - point - 1).max() or 0))
    if not (texts.str.ends_with("0") & point.is_not_null()).any():
        needed = written
    else:
        needed = int(str((texts.str.strip_chars_end("0").str.len_bytes() - point - 1).max() or 0))
    if int(str(length.max() or 0)) <= FLOAT_DIGITS:
        return Decimals(written, needed, needed)
    return _with_long(Decimals(written, needed), texts, lines)


def _with_long(all_of_them: Decimals, texts: pl.Series, lines: pl.Series | None) -> Decimals:
    text = pl.col("text")
    digits = pl.when(text.str.contains(".", literal=True)).then(text.str.strip_chars_end("0")).otherwise(text)
    numbers = pl.DataFrame({"text": texts, "line": lines if lines is not None else None}).select(
        "line",
        "text",
        fine=(digits.str.len_bytes() - digits.str.find(".", literal=True) - 1).fill_null(0),
        long=digits.str.strip_chars_start("-0.").str.replace(".", "", literal=True).str.len_bytes() >= FLOAT_DIGITS,
    )
    found = numbers.filter(pl.col("long") & (pl.col("fine") > 0))
    short = int(str(numbers.filter(~(pl.col("long") & (pl.col("fine") > 0)))["fine"].max() or 0))
    if not len(found):
        return all_of_them._replace(short=short)
    finest = found.row(int(str(found["fine"].arg_max())), named=True)
    return all_of_them._replace(short=short, long=len(found), example=finest["text"], line=finest["line"])


def _merged(found: Iterable[_Decimals]) -> _Decimals:
    most: _Decimals = {}
    for decimals in found:
        for key, more in decimals.items():
            most[key] = most[key].with_more(more) if key in most else more
    return most


def _without_place(lost: pl.DataFrame) -> pl.DataFrame:
    nothing = [
        pl.lit(None, dtype).alias(name)
        for name, dtype in SCAN_SCHEMA.items()
        if name in {"channel", "symbol", "ts_init"}
    ]
    return lost.select("line", *nothing, "reason", raw=_shown(pl.col("text"))).select(SCAN_SCHEMA.names())


def _shown(text: pl.Expr) -> pl.Expr:
    return text.str.strip_chars_end("\r\n").str.head(_RAW_SHOWN)


def _count_others(
    others: pl.DataFrame, lines: _Lines
) -> tuple[Counter[str], int, list[int], list[tuple[Any, ...]], list[tuple[int, str]]]:
    """Other streams, blank lines, numbers of connection lines, rows for unreadable ones, and examples of what nobody knows."""
    text = pl.col("text")
    bare = others.with_columns(trimmed=text.str.strip_chars())
    is_blank = (pl.col("trimmed") == "") & ~pl.col("line").is_in(list(lines.not_utf8))
    message = folded.is_value(pl.col("trimmed"))
    event = pl.coalesce(
        _first("e", '"([^"]+)"'),
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
            raw = lines.not_utf8.get(row["line"], row["text"]).rstrip("\r\n")[:_RAW_SHOWN]
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


def _decimals(ours: pl.DataFrame, known: tuple[Channel, ...]) -> _Decimals:
    """Most decimals of rows that were read by regular expressions."""
    found: _Decimals = {}
    for channel in known:
        rows = ours.filter(pl.col("channel") == channel.name)
        for field in channel.fields:
            if field.kind == "decimal" and len(rows):
                for (symbol,), part in _numbers(rows, field).group_by("symbol"):
                    found[channel.name, str(symbol), field.name] = most_decimals(part["value"], part["line"])
    return found


def _numbers(rows: pl.DataFrame, field: Field) -> pl.DataFrame:
    """``symbol``, ``line`` and ``value``, in plain digits, of all rows that have a decimal in this field."""
    found = rows.select("symbol", "line", "gate", "text", value=_first(field.key, f'"({number_of(field.decimals)})"'))
    rest = found.filter(~pl.col("gate") | pl.col("value").is_null())
    odd = rest.filter(~pl.col("gate") | _first(field.key, '"([^"]*[^-0-9"][^"]*)"').is_not_null())
    exact = odd.select(
        "symbol", "line", value=pl.Series([_plain_digits(text, field) for text in odd["text"]], dtype=pl.String)
    )
    plain = found.filter("gate").select("symbol", "line", "value")
    return pl.concat([plain, exact]).filter(pl.col("value").is_not_null())


def _plain_digits(text: str, field: Field) -> str | None:
    """A field that only the exact reader can find."""
    message = read_message(text)
    value = message.get(field.key) if isinstance(message, dict) else None
    if not isinstance(value, str):
        return None
    return value if re.fullmatch(number_of(field.decimals), value) else exact_decimal(value, field.decimals)


# ---------------------------------------------------------------- decode


def decode(block: Block, channel: Channel, dialect: Dialect, known: tuple[Channel, ...]) -> Decoded:
    """Decode the messages of one channel; lines of others, and lines that ``scan`` could not place, are passed over.

    Where lines hold several messages, ``symbol`` and ``date`` of the dialect say which of them belong to the raw day.
    """
    if "symbol" not in dialect:
        return _decode(block, channel, known, _by_shape(block, channel))
    decoded = _decode(block, channel, known, _by_shape(block, channel), dialect["symbol"])
    start = day_start(date.fromisoformat(dialect["date"]))
    of_day = pl.col("ts_init").is_between(start, start + NS_PER_DAY, closed="left")
    rows = decoded.rows.filter(of_day & (pl.col("symbol") == dialect["symbol"]))
    faults = None if decoded.faults is None else decoded.faults.join(rows.select("raw_row"), on="raw_row", how="semi")
    return replace(decoded, rows=rows, rejects=decoded.rejects.filter(of_day), faults=faults)


def _decode(
    block: Block,
    channel: Channel,
    known: tuple[Channel, ...],
    certain: pl.DataFrame | None,
    symbol: str | None = None,
    *,
    plain: bool = False,
) -> Decoded:
    """``certain``: the lines that are read by shape; ``symbol``: whose messages are wanted; ``plain``: all lines are."""
    rows, rejects, odd = None, pl.DataFrame(schema=REJECTS_SCHEMA), 0
    faults: pl.DataFrame | None = None
    others: Decoded | None = None
    if certain is None or len(certain) < block.lines:
        lines = _lines(block)
        if certain is not None:
            lines = replace(lines, frame=lines.frame.filter(~pl.col("line").is_in(certain["line"].implode())))
        other_form = None if plain else _unfolded(lines, [channel], symbol)
        if other_form is not None:
            others = _decode_other_form(other_form, lines, channel, known)
            lines = replace(lines, frame=lines.frame.filter(~pl.col("line").is_in(other_form.taken.implode())))
        rows, rejects, odd, faults = _decode_by_expressions(lines, channel, known)
    names = [field.name for field in channel.fields]
    found = [part for part in (certain, rows) if part is not None]
    typed = [part.with_columns(_typed(field) for field in channel.fields).select(*_ROW, *names) for part in found]
    rows = typed[0] if len(typed) == 1 else pl.concat(typed).sort("line")
    refused = _refused(rows, channel, block)
    if len(refused):
        rows = rows.filter(~pl.col("line").is_in(refused["raw_row"].implode()))
        rejects = pl.concat([rejects, refused]).sort("raw_row")
        faults = None if faults is None else faults.join(refused, on="raw_row", how="anti")
    decoded = Decoded(rows.rename({"line": "raw_row"}), rejects, odd, faults)
    return decoded if others is None else _together(decoded, others)


def _decode_other_form(
    other_form: folded.Unfolded, lines: _Lines, channel: Channel, known: tuple[Channel, ...]
) -> Decoded:
    """Decode lines that were made plain. A reject of a line with one message shows the line, else the message."""
    block, numbers = other_form.block, other_form.numbers
    made = _without_shared_faults(_decode(block, channel, known, _by_shape(block, channel), plain=True), block, numbers)
    rejects, faults = made.rejects, made.faults
    if len(rejects):
        whole = lines.frame.filter(~pl.col("line").is_in(numbers.filter(numbers.is_duplicated()).implode()))
        rejects = (
            rejects.with_columns(raw_row=numbers.gather(rejects["raw_row"]))
            .join(
                whole.select(raw_row="line", whole=_shown(pl.col("text"))),
                on="raw_row",
                how="left",
                maintain_order="left",
            )
            .with_columns(raw=pl.coalesce("whole", "raw"))
            .select(REJECTS_SCHEMA.names())
        )
    if faults is not None:
        faults = faults.with_columns(raw_row=numbers.gather(faults["raw_row"]))
    rows = made.rows.with_columns(raw_row=numbers.gather(made.rows["raw_row"]))
    return Decoded(rows, rejects, made.odd + other_form.odd, faults)


def _without_shared_faults(made: Decoded, block: Block, numbers: pl.Series) -> Decoded:
    """Where a line has several messages, one with a fault is a reject: a fault is known by its line only."""
    if made.faults is None or not len(made.faults):
        return made
    shared = made.faults.filter(numbers.is_duplicated().gather(made.faults["raw_row"]))
    first = shared.unique("raw_row", keep="first", maintain_order=True)
    refused = (
        first.join(made.rows.select("raw_row", "ts_init"), on="raw_row")
        .join(_lines(block).frame.select(raw_row="line", raw=_shown(pl.col("text"))), on="raw_row")
        .select(REJECTS_SCHEMA.names())
    )
    return replace(
        made,
        rows=made.rows.join(refused, on="raw_row", how="anti", maintain_order="left"),
        rejects=pl.concat([made.rejects, refused]).sort("raw_row"),
        faults=made.faults.join(shared, on="raw_row", how="anti"),
    )


def _together(one: Decoded, other: Decoded) -> Decoded:
    """Messages of one line stay in their order."""
    return Decoded(
        pl.concat([one.rows, other.rows.select(one.rows.columns)]).sort("raw_row", maintain_order=True),
        pl.concat([one.rejects, other.rejects]).sort("raw_row", maintain_order=True),
        one.odd + other.odd,
        pl.concat([each.faults for each in (one, other) if each.faults is not None])
        if one.faults is not None or other.faults is not None
        else None,
    )


def _decode_by_expressions(
    lines: _Lines, channel: Channel, known: tuple[Channel, ...]
) -> tuple[pl.DataFrame, pl.DataFrame, int, pl.DataFrame | None]:
    """Rows with fields as text, rejects, how many lines only the exact reader could read, and faults."""
    placed = _placed(lines, known).filter((pl.col("channel") == channel.name) & pl.col("reason").is_null())
    texts = placed.select("line", "ts_init", "local", "gate", "text", *(_extracted(field) for field in channel.fields))
    fast = _is_certain(channel)
    rows = texts.filter(fast).select("line", "ts_init", *(field.name for field in channel.fields))
    odd = texts.filter(~fast)
    exact, rejects, faults = _decode_exactly(odd, channel)
    rows = pl.concat([rows, exact]).sort("line") if len(exact) else rows
    typed = [pl.col(field.name).cast(pl.Int64) for field in channel.fields if field.kind == "integer"]
    typed += [pl.col(field.name) == "true" for field in channel.fields if field.kind == "flag"]
    return rows.with_columns(typed).with_columns(ts_event=channel.ts_event), rejects, len(odd), faults


_ROW: Final = ("line", "ts_init", "ts_event")


def _is_certain(channel: Channel) -> pl.Expr:
    """Lines whose every field the regular expressions have read beyond doubt."""
    sure = [pl.col("gate")]
    for field in channel.fields:
        value = pl.col(field.name)
        if field.required:
            sure.append(
                value.is_not_null() & (value != "") if field.kind in {"decimal", "text"} else value.is_not_null()
            )
        else:
            sure.append(value.is_not_null() | ~pl.col("text").str.contains(rf'"{field.key}"\s*:'))
    return pl.all_horizontal(sure)


def _typed(field: Field) -> pl.Expr:
    value = pl.col(field.name)
    return pl.when(value != "").then(value).cast(pl.Decimal(38, field.decimals)) if field.kind == "decimal" else value


def _refused(rows: pl.DataFrame, channel: Channel, block: Block) -> pl.DataFrame:
    """Rows that read well but are no data: no exchange time, or marked by the venue itself as no market trade."""
    reason = pl.when(pl.col("ts_event").is_null()).then(pl.lit("unknown_time"))
    for name, is_excluded in channel.excludes.items():
        reason = reason.when(is_excluded).then(pl.lit(name))
    found = rows.with_columns(reason=reason).filter(pl.col("reason").is_not_null())
    if not len(found):
        return pl.DataFrame(schema=REJECTS_SCHEMA)
    return found.join(_lines(block).frame, on="line", maintain_order="left").select(
        raw_row="line",
        reason="reason",
        field=pl.lit(None, pl.String),
        value=pl.lit(None, pl.String),
        raw=_shown(pl.col("text")),
        ts_init="ts_init",
    )


def _decode_exactly(odd: pl.DataFrame, channel: Channel) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame | None]:
    """Line by line, with Python's JSON and decimals: texts as the fast reader gives them, or one reject a line; faults."""
    faulty: list[tuple[Any, ...]] = []
    single = apart(channel) if len(odd) else frozenset()
    schema = {"line": pl.UInt32, "ts_init": pl.Int64} | {field.name: pl.String for field in channel.fields}
    good: list[dict[str, Any]] = []
    bad: list[dict[str, Any]] = []
    for row in odd.iter_rows(named=True):
        wrong: dict[str, _Refusal] = {}
        values = _read_fields(row["text"], channel, single, wrong)
        if isinstance(values, _Refusal):
            raw = row["text"].rstrip("\r\n")[:_RAW_SHOWN]
            bad.append(
                {
                    "raw_row": row["line"],
                    "reason": values.reason,
                    "field": values.field,
                    "value": values.value,
                    "raw": raw,
                    "ts_init": row["ts_init"],
                }
            )
        else:
            good.append({"line": row["line"], "ts_init": row["ts_init"], **values})
            faulty += [(row["line"], name, why.reason, why.field, why.value) for name, why in wrong.items()]
    return (
        pl.DataFrame(good, schema=schema, orient="row"),
        pl.DataFrame(bad, schema=REJECTS_SCHEMA, orient="row"),
        pl.DataFrame(faulty, schema=FAULTS_SCHEMA, orient="row") if faulty else None,
    )


@dataclass(frozen=True, slots=True)
class _Refusal:
    reason: str
    field: str | None = None
    value: str | None = None


class _Number(str):
    """A JSON number with a fraction or exponent, as written: the messages have their decimals in strings."""

    __slots__ = ()


def read_message(text: str) -> dict[str, Any] | str:
    """The message of a line, wrapper and receive time taken off; or why not: ``broken_json``."""
    body = text.strip()
    prefix = _TIME_AT_START.match(body)
    try:
        value = json.loads(body[prefix.end() if prefix else 0 :], parse_float=_Number, object_pairs_hook=_first_wins)
    except (ValueError, RecursionError):
        return "broken_json"
    if "\\u" in body and not _is_text(value):
        return "not_utf8"
    if not isinstance(value, dict):
        return {} if isinstance(value, list) else "broken_json"
    data = value.get("data")
    if isinstance(data, dict):
        stream = str(value.get("stream", ""))
        return data if "e" in data or "@" not in stream else data | {"e": stream.split("@")[1]}
    return value


def _is_text(value: object) -> bool:
    """False with half of a surrogate pair in it, which JSON can spell and no text can hold."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _first_wins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """As the fast reader: of two equal keys the first one counts."""
    return dict(reversed(pairs))


def _read_fields(
    text: str, channel: Channel, single: Collection[str], wrong: dict[str, _Refusal]
) -> dict[str, str | None] | _Refusal:
    """Texts of the fields; what is wrong with one of the fields ``single`` goes into ``wrong``, and is no refusal."""
    message = read_message(text)
    if isinstance(message, str):
        return _Refusal(message)
    values: dict[str, str | None] = {}
    for field in channel.fields:
        value = message.get(field.key)
        absent = _Refusal(field.missing, field.key) if field.required else None
        read = absent if value is None else _read_value(value, field)
        if isinstance(read, _Refusal):
            if field.name not in single or (len(channel.tables) == 1 and read.reason != "id_too_large"):
                return read
            wrong[field.name], read = read, None
        values[field.name] = read
    return values


def _read_value(value: Any, field: Field) -> str | _Refusal | None:
    shown = str(value)[:200]
    match field.kind:
        case "flag" if isinstance(value, bool):
            return "true" if value else "false"
        case "text" if isinstance(value, str) and not isinstance(value, _Number):
            return value
        case "integer" if isinstance(value, int) and not isinstance(value, bool):
            return str(value) if -_LARGEST <= value <= _LARGEST else _Refusal("id_too_large", field.key, shown)
        case "decimal" if isinstance(value, str) and not isinstance(value, _Number):
            if value == "" and not field.required:
                return None
            return exact_decimal(value, field.decimals) or _Refusal("bad_decimal", field.key, shown)
        case _:
            return _Refusal("wrong_type", field.key, shown)


def number_of(decimals: int) -> str:
    """Pattern of plain numbers that a decimal of 38 digits, so many of them behind the point, holds exactly."""
    return rf"-?[0-9]{{1,{38 - decimals}}}(?:\.[0-9]{{1,{decimals}}})?"


def exact_decimal(text: str, decimals: int = 16) -> str | None:
    """Plain digits of any decimal text that 38 digits, so many of them behind the point, hold exactly; else None."""
    if not _DECIMAL_TEXT.fullmatch(text.strip()):
        return None
    value = Decimal(text.strip())
    if abs(value.adjusted()) > _DIGITS_TRIED:
        return None
    plain = f"{value:f}"
    if "." in plain:
        plain = plain.rstrip("0").rstrip(".")
    return plain if re.fullmatch(number_of(decimals), plain) else None
