"""The messages of Binance, one JSON value a line: a format that captures, the synthetic source and replays share.

A plain line is an optional receive time (``<ns> ``, ``<seconds.fraction>: `` or the 28-character ISO stamp and a blank)
and either a bare message or the combined-stream wrapper ``{"stream":..,"data":{..}}``. Two readers agree on every such
line: a fast one, regular expressions over whole blocks behind a gate that admits only flat JSON without escapes, and an
exact one in Python for the few lines that the gate refuses. Lines that hold messages in another form (arrays, other
stamps, the wrappers of recorders) are made plain before: see ``folded``.
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import date

import polars as pl

from hedgegrid_assets.model import Channel, Decoded, Dialect, Scan
from hedgegrid_assets.sources.formats.binance.by_shape import all_by_shape, by_shape
from hedgegrid_assets.sources.formats.binance.channels import channels, pair_of
from hedgegrid_assets.sources.formats.binance.placing import placed_block
from hedgegrid_assets.sources.formats.binance.rows import decoded_block
from hedgegrid_assets.store import Block
from hedgegrid_assets.timestamps import NS_PER_DAY, day_start

__all__ = ["channels", "decode", "pair_of", "read", "scan"]


def scan(block: Block, dialect: Dialect, known: tuple[Channel, ...]) -> Scan:
    """Say of every line of a block what it is; see ``Scan``."""
    del dialect  # every line speaks for itself
    return placed_block(block, known, all_by_shape(block, known))


def read(
    block: Block, dialect: Dialect, wanted: Collection[str], known: tuple[Channel, ...]
) -> tuple[Scan, dict[str, Decoded]]:
    """``scan``, and ``decode`` of those channels wanted that the block has lines of."""
    del dialect
    by_channel = all_by_shape(block, known)
    by_shape = {channel.name: rows for channel, rows in by_channel}
    found = placed_block(block, known, by_channel)
    names = set(found.lines["channel"].unique()).intersection(wanted)
    there = [channel for channel in known if channel.name in names]
    return found, {channel.name: decoded_block(block, channel, known, by_shape.get(channel.name)) for channel in there}


def decode(block: Block, channel: Channel, dialect: Dialect, known: tuple[Channel, ...]) -> Decoded:
    """Decode the messages of one channel; lines of others, and lines that ``scan`` could not place, are passed over.

    Where lines hold several messages, ``symbol`` and ``date`` of the dialect say which of them belong to the raw day.
    """
    if "symbol" not in dialect:
        return decoded_block(block, channel, known, by_shape(block, channel))
    decoded = decoded_block(block, channel, known, by_shape(block, channel), dialect["symbol"])
    start = day_start(date.fromisoformat(dialect["date"]))
    of_day = pl.col("ts_init").is_between(start, start + NS_PER_DAY, closed="left")
    rows = decoded.rows.filter(of_day & (pl.col("symbol") == dialect["symbol"]))
    faults = None if decoded.faults is None else decoded.faults.join(rows.select("raw_row"), on="raw_row", how="semi")
    return replace(decoded, rows=rows, rejects=decoded.rejects.filter(of_day), faults=faults)
