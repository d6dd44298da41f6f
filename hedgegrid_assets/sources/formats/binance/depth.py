"""Messages with levels of a book: updates of the stream ``depth``, and the snapshots that are fetched beside it.

Updates are read by expressions where they are spelled as the venue spells them; any other, and snapshots, of which there
are few, by Python. Levels are texts until they are typed (``levels``): ``[["price","size"],...]``, to the letter.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl

from hedgegrid_assets.batch import Block
from hedgegrid_assets.model import Channel
from hedgegrid_assets.sources.formats.binance.grammar import TIME
from hedgegrid_assets.sources.formats.binance.stamps import local_ns
from hedgegrid_assets.store import line_array

SNAPSHOT: Final = "depthSnapshot"
"""What a snapshot is called, in the name of its stream; fetched as it is, it has no name."""
_IS_SNAPSHOT: Final = r'"lastUpdateId"\s*:\s*[0-9]'
_NUMBER: Final = "([0-9]{1,18})"
_WORD: Final = r'"([^"\\]+)"'
_HEAD: Final = (
    rf'^({TIME})?(\{{"stream":"[^"\\]*","data":)?\{{"e":"depthUpdate","E":{_NUMBER}(?:,"T":{_NUMBER})?,"s":{_WORD}'
    rf'(?:,"ps":"[^"\\]*")?,"U":{_NUMBER},"u":{_NUMBER}(?:,"pu":{_NUMBER})?,"b":$'
)
_BIDS: Final = '"b":'
_ASKS: Final = ',"a":'
_UPDATED: Final = re.compile(rb'"depthUpdate"[^\n\[]*?"s"\s*:\s*"([^"\\]+)"')
_SNAPSHOT_ID: Final = re.compile(_IS_SNAPSHOT.encode())


def has_levels(channel: Channel) -> bool:
    """Its messages hold levels of a book."""
    return any(field.kind == "levels" for field in channel.fields)


# ---------------------------------------------------------------- updates


def usual_updates(block: Block, channel: Channel) -> pl.DataFrame | None:
    """The updates that are spelled as usual around their levels: ``line, ts_init, ts_event`` and the fields; None if there is none.

    Of ``bids`` and ``asks`` nothing is proved yet but where they stand.
    """
    lines = pl.DataFrame({"text": pl.Series(line_array(block.data), dtype=pl.Binary)}).with_row_index(
        "line", offset=block.first_line
    )
    ours = lines.filter(pl.col("text").bin.contains(b'"e":"depthUpdate"'))
    try:
        ours = ours.with_columns(pl.col("text").cast(pl.String))
    except pl.exceptions.ComputeError:
        return None
    if not len(ours):
        return None
    parts = _parts_of(ours).with_columns(
        pl.col("head").str.extract_groups(_HEAD).struct.rename_fields(list(_HEAD_NAMES)).alias("parts")
    )
    parts = parts.unnest("parts")
    closing = pl.when(pl.col("stream").is_null()).then(pl.lit(1)).otherwise(pl.lit(2))
    found = parts.filter((pl.col("last_id").is_not_null() & (pl.col("closed") == closing)).fill_null(value=False))
    numbers = [pl.col(name).cast(pl.Int64) for name in ("event_time", "trade_time", *_IDS)]
    found = found.with_columns(numbers).with_columns(ts_event=channel.ts_event, local=_local(found))
    found = found.with_columns(
        ts_init=pl.coalesce("local", pl.when(pl.col("time").is_null()).then("ts_event")),
        is_snapshot=pl.lit(value=False),
    )
    found = found.filter(pl.col("ts_init").is_not_null() & pl.col("ts_event").is_not_null())
    return found.select(
        pl.col("line").cast(pl.UInt32), "ts_init", "ts_event", *(field.name for field in channel.fields)
    )


def _parts_of(lines: pl.DataFrame) -> pl.DataFrame:
    """``line``, and what stands before, in and behind the levels: ``head, bids, asks``, and how many objects are ``closed``."""
    text, octets = pl.col("text"), pl.col("text").cast(pl.Binary)
    line_end = text.str.ends_with("\n").cast(pl.Int64) + text.str.ends_with("\r\n").cast(pl.Int64)
    places = lines.with_columns(
        end=text.str.len_bytes().cast(pl.Int64) - line_end,
        bids=text.str.find(_BIDS, literal=True).cast(pl.Int64) + len(_BIDS),
        behind=text.str.find(_ASKS, literal=True).cast(pl.Int64),
    ).with_columns(asks=pl.col("behind") + len(_ASKS))
    last = octets.bin.slice((pl.col("end") - 2).clip(0), 2)
    places = places.with_columns(closed=pl.when(last == b"}}").then(2).when(last.bin.ends_with(b"}")).then(1))
    lengths = {"head": pl.col("bids"), "bids": pl.col("behind") - pl.col("bids")}
    lengths["asks"] = pl.col("end") - pl.col("closed") - pl.col("asks")
    starts = {"head": pl.lit(0), "bids": pl.col("bids"), "asks": pl.col("asks")}
    parts = (
        octets.bin.slice(starts[name], length.clip(0)).cast(pl.String).alias(name) for name, length in lengths.items()
    )
    return places.select("line", "closed", *parts)


_IDS: Final = ("first_id", "last_id", "previous_id")
_HEAD_NAMES: Final = ("time", "stream", "event_time", "trade_time", "symbol", *_IDS)


def _local(found: pl.DataFrame) -> pl.Series:
    return local_ns(found.select(text=pl.col("time").fill_null("{")))["local"]


# ---------------------------------------------------------------- snapshots


def is_snapshot(text: pl.Expr) -> pl.Expr:
    """A line with a snapshot."""
    return text.str.contains(_IS_SNAPSHOT)


def as_update(message: Mapping[str, Any], symbol: str) -> dict[str, Any]:
    """A snapshot in the words of an update; ``symbol``: where it does not say it itself."""
    times = {key: message[key] for key in ("E", "T") if key in message}
    return {
        "e": SNAPSHOT,
        "s": message.get("symbol", symbol),
        "u": message.get("lastUpdateId"),
        "b": message.get("bids"),
        "a": message.get("asks"),
        "snapshot": True,
    } | times


def only_book(data: bytes) -> str:
    """The symbol of all updates of messages with snapshots; empty: no snapshot, no update, or updates of several."""
    symbols = set(_UPDATED.findall(data)) if _SNAPSHOT_ID.search(data) else set()
    return symbols.pop().decode() if len(symbols) == 1 else ""


def other_books(lines: pl.DataFrame, read: Sequence[pl.DataFrame], only: str) -> list[str]:
    """The symbols of updates of a block, those read already and those of other lines, but for one."""
    texts = lines.filter(pl.col("text").str.contains('"depthUpdate"', literal=True))["text"]
    symbols = {found[1].decode() for text in texts if (found := _UPDATED.search(text.encode()))}
    for rows in read:
        symbols |= set(rows["symbol"].unique())
    return sorted(symbols - {only})
