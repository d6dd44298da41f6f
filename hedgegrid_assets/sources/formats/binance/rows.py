"""Messages of one channel as typed rows, and what cannot be read of them as rejects and faults."""

from collections.abc import Collection
from typing import Any, Final

import polars as pl
from msgspec.structs import replace

from hedgegrid_assets.batch import Block, Decoded
from hedgegrid_assets.model import Channel, Field
from hedgegrid_assets.sources.formats.binance import folded
from hedgegrid_assets.sources.formats.binance.by_shape import Shaped, by_shape
from hedgegrid_assets.sources.formats.binance.depth import has_levels
from hedgegrid_assets.sources.formats.binance.exact import AT_ONCE, Refusal, read_fields
from hedgegrid_assets.sources.formats.binance.levels import typed_levels, with_hollow, without_levels
from hedgegrid_assets.sources.formats.binance.text import (
    Lines,
    extracted,
    is_nameless,
    lines_of,
    placed_lines,
    unfolded,
)
from hedgegrid_assets.sources.formats.lines import FAULTS_SCHEMA, RAW_SHOWN, REJECTS_SCHEMA, shown
from hedgegrid_assets.sources.formats.twice import count_of, has_twice
from hedgegrid_assets.tables import apart


def decoded_block(
    block: Block,
    channel: Channel,
    known: tuple[Channel, ...],
    certain: Shaped | None,
    names: Collection[str] = (),
    whole: folded.Unfolded | None = None,
    *,
    plain: bool = False,
) -> Decoded:
    """The rows of a channel.

    ``certain``: the lines that are read by shape; ``names``: whose messages are wanted (none: all); ``whole``: the lines
    that were made plain for all channels, if they were; ``plain``: all lines are.
    """
    rows, rejects, odd = None, pl.DataFrame(schema=REJECTS_SCHEMA), 0
    faults: pl.DataFrame | None = None
    others: Decoded | None = None
    sure = None if certain is None else certain.rows
    if sure is None or len(sure) < block.lines:
        lines = lines_of(block)
        if sure is not None:
            lines = replace(lines, frame=lines.frame.filter(~pl.col("line").is_in(sure["line"].implode())))
        at_hand = whole is not None and not (whole.odd or names or has_levels(channel))
        other_form = whole if at_hand else None if plain else unfolded(lines, [channel], names)
        if other_form is not None:
            others = decode_unfolded(other_form, lines, channel, known)
            lines = replace(lines, frame=lines.frame.filter(~pl.col("line").is_in(other_form.taken.implode())))
        rows, rejects, odd, faults = _decode_by_expressions(lines, channel, known)
    names = [field.name for field in channel.fields]
    read = [part for part in (sure, rows) if part is not None]
    found = [part for part in read if len(part)] or read[:1]
    typed = [
        part.with_columns(_typed(field, part.schema[field.name]) for field in channel.fields).select(*_ROW, *names)
        for part in found
    ]
    rows = typed[0] if len(typed) == 1 else pl.concat(typed, how="vertical_relaxed").sort("line")
    refused = _refused(rows, channel, block)
    if len(refused):
        rows = rows.filter(~pl.col("line").is_in(refused["raw_row"].implode()))
        rejects = pl.concat([rejects, refused]).sort("raw_row")
        faults = None if faults is None else faults.join(refused, on="raw_row", how="anti")
    without_rows, hollow = 0, None
    if has_levels(channel):
        empty = without_levels(rows)
        rows, refused = typed_levels(rows, None if certain is None else certain.levels)
        rejects = pl.concat([rejects, refused]).sort("raw_row") if len(refused) else rejects
        updates = empty.filter(~pl.col("is_snapshot").fill_null(value=False))
        without_rows, hollow = len(empty) - len(updates), "price" if len(updates) else None
        rows = with_hollow(rows, updates) if len(updates) else rows
    decoded = Decoded(rows.rename({"line": "raw_row"}), rejects, odd, faults, without_rows, hollow)
    return decoded if others is None else _together(decoded, others)


def decode_unfolded(other_form: folded.Unfolded, lines: Lines, channel: Channel, known: tuple[Channel, ...]) -> Decoded:
    """Decode lines that were made plain. A reject of a line with one message shows the line, else the message."""
    block, numbers = other_form.block, other_form.numbers
    made = _without_shared_faults(
        decoded_block(block, channel, known, by_shape(block, channel), plain=True), block, numbers
    )
    rejects, faults = made.rejects, made.faults
    if len(rejects):
        rejects = rejects.with_columns(raw_row=numbers.gather(rejects["raw_row"]))
        rejects = folded.as_in_file(rejects, "raw_row", numbers, lines.frame)
    if faults is not None:
        faults = faults.with_columns(raw_row=numbers.gather(faults["raw_row"]))
    rows = made.rows.with_columns(raw_row=numbers.gather(made.rows["raw_row"]))
    return replace(made, rows=rows, rejects=rejects, odd=made.odd + other_form.odd, faults=faults)


def _without_shared_faults(made: Decoded, block: Block, numbers: pl.Series) -> Decoded:
    """Where a line has several messages, one with a fault is a reject: a fault is known by its line only."""
    if made.faults is None or not len(made.faults):
        return made
    shared = made.faults.filter(numbers.is_duplicated().gather(made.faults["raw_row"]))
    first = shared.unique("raw_row", keep="first", maintain_order=True)
    refused = (
        first.join(made.rows.select("raw_row", "ts_init"), on="raw_row")
        .join(lines_of(block).frame.select(raw_row="line", raw=shown(pl.col("text"))), on="raw_row")
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
        pl.concat([one.rows, other.rows.select(one.rows.columns)], how="vertical_relaxed").sort(
            "raw_row", maintain_order=True
        ),
        pl.concat([one.rejects, other.rejects]).sort("raw_row", maintain_order=True),
        one.odd + other.odd,
        pl.concat([each.faults for each in (one, other) if each.faults is not None])
        if one.faults is not None or other.faults is not None
        else None,
        one.without_rows + other.without_rows,
        one.hollow or other.hollow,
    )


def _decode_by_expressions(
    lines: Lines, channel: Channel, known: tuple[Channel, ...]
) -> tuple[pl.DataFrame, pl.DataFrame, int, pl.DataFrame | None]:
    """Rows with fields as text, rejects, how many lines only the exact reader could read, and faults."""
    placed = placed_lines(lines, known, _OF_THE_DAY).filter(
        (pl.col("channel") == channel.name) & pl.col("reason").is_null()
    )
    texts = placed.select("line", "ts_init", "local", "gate", "text", *(extracted(field) for field in channel.fields))
    fast = _is_certain(channel)
    rows = texts.filter(fast).select("line", "ts_init", *(field.name for field in channel.fields))
    odd = texts.filter(~fast)
    exact, rejects, faults = _decode_exactly(odd, channel)
    rows = pl.concat([rows, exact]).sort("line") if len(exact) else rows
    typed = [pl.col(field.name).cast(pl.Int64) for field in channel.fields if field.kind == "integer"]
    typed += [pl.col(field.name) == "true" for field in channel.fields if field.kind == "flag"]
    rows = rows.with_columns(typed).with_columns(ts_event=channel.ts_event)
    if channel.nameless:
        bare = placed.filter(is_nameless(pl.col("text")))["line"]
        arrival = pl.when(pl.col("line").is_in(bare.implode())).then("ts_init")
        rows = rows.with_columns(ts_event=pl.coalesce("ts_event", arrival))
    return rows, rejects, len(odd), faults


_OF_THE_DAY: Final = "?"
"""Symbol of snapshots that do not say it: where they belong is decided where lines are placed."""
_ROW: Final = ("line", "ts_init", "ts_event")


def _is_certain(channel: Channel) -> pl.Expr:
    """Lines whose every field the regular expressions have read beyond doubt."""
    sure = [pl.col("gate"), ~_is_doubled(channel)]
    for field in channel.fields:
        value = pl.col(field.name)
        if field.required:
            sure.append(
                value.is_not_null() & (value != "") if field.kind in {"decimal", "text"} else value.is_not_null()
            )
        else:
            sure.append(value.is_not_null() | ~pl.col("text").str.contains(rf'"{field.key}"\s*:'))
    return pl.all_horizontal(sure)


def _is_doubled(channel: Channel) -> pl.Expr:
    """A key that is read stands twice in a message, whose fields are all there that are read; or in the object inside it."""
    text, keys = pl.col("text"), {"e", *(field.key for field in channel.fields)}
    if channel.inside:
        return has_twice(text, keys)
    named = ~is_nameless(text) if channel.nameless else pl.lit(value=True)
    there = pl.sum_horizontal(named, *(pl.col(field.name).is_not_null() for field in channel.fields))
    return count_of(text, keys) != there


def _typed(field: Field, kind: pl.DataType) -> pl.Expr:
    value = pl.col(field.name)
    if field.kind != "decimal" or isinstance(kind, pl.Decimal):
        return value
    return pl.when(value != "").then(value).cast(pl.Decimal(38, field.decimals))


def _refused(rows: pl.DataFrame, channel: Channel, block: Block) -> pl.DataFrame:
    """Rows that read well but are no data: no exchange time, marked by the venue itself as no market trade, or with a word
    that a field never has.
    """
    reason = pl.when(pl.col("ts_event").is_null()).then(pl.lit("unknown_time"))
    for name, is_excluded in channel.excludes.items():
        reason = reason.when(is_excluded).then(pl.lit(name))
    field, value = pl.lit(None, pl.String), pl.lit(None, pl.String)
    for worded in (each for each in channel.fields if each.words):
        is_other = ~pl.col(worded.name).is_in(worded.words)
        reason = reason.when(is_other).then(pl.lit("wrong_type"))
        is_why = is_other & (pl.col("reason") == "wrong_type")
        field = pl.when(is_why).then(pl.lit(worded.key)).otherwise(field)
        value = pl.when(is_why).then(worded.name).otherwise(value)
    found = rows.with_columns(reason=reason).filter(pl.col("reason").is_not_null())
    if not len(found):
        return pl.DataFrame(schema=REJECTS_SCHEMA)
    return found.join(lines_of(block).frame, on="line", maintain_order="left").select(
        raw_row="line",
        reason="reason",
        field=field,
        value=value,
        raw=shown(pl.col("text")),
        ts_init="ts_init",
    )


def _decode_exactly(odd: pl.DataFrame, channel: Channel) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame | None]:
    """Line by line, with Python's JSON and decimals: texts as the fast reader gives them, or one reject a line; faults."""
    parts = [_decode_some(part, channel) for part in odd.iter_slices(AT_ONCE)] or [_decode_some(odd, channel)]
    faults = [found for _, _, found in parts if found is not None]
    rows, rejects = pl.concat([part[0] for part in parts]), pl.concat([part[1] for part in parts])
    return rows, rejects, pl.concat(faults) if faults else None


def _decode_some(odd: pl.DataFrame, channel: Channel) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame | None]:
    faulty: list[tuple[Any, ...]] = []
    single = apart(channel) if len(odd) else frozenset()
    schema = {"line": pl.UInt32, "ts_init": pl.Int64} | {field.name: pl.String for field in channel.fields}
    good: list[dict[str, Any]] = []
    bad: list[dict[str, Any]] = []
    for row in odd.iter_rows(named=True):
        wrong: dict[str, Refusal] = {}
        values = read_fields(row["text"], channel, single, wrong)
        if isinstance(values, Refusal):
            raw = row["text"].rstrip("\r\n")[:RAW_SHOWN]
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
            if values.get("is_snapshot") and values["event_time"] is None:  # at spot it says no time
                values["event_time"] = str(row["ts_init"] // 1_000_000)
            good.append({"line": row["line"], "ts_init": row["ts_init"], **values})
            faulty += [(row["line"], name, why.reason, why.field, why.value) for name, why in wrong.items()]
    return (
        pl.DataFrame(good, schema=schema, orient="row"),
        pl.DataFrame(bad, schema=REJECTS_SCHEMA, orient="row"),
        pl.DataFrame(faulty, schema=FAULTS_SCHEMA, orient="row") if faulty else None,
    )
