"""Invented market data for the venue SIM only, in the words of Binance USD-M: any day of any symbol, made alone, always the same bytes.

A day hangs on functions of the absolute time, never on its neighbours: price levels at midnight, basis and funding rate
are value noise over hashed nodes, activity looks back into yesterday's shots, and ids count a fixed number a day.
Inside a day the price is a Brownian bridge between two levels; trades and mark messages read the same path. Only exactly
rounded operations are used (add, multiply, divide, square root, raw PCG64 draws), no exp, log or sin, whose last bit
depends on the machine.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from functools import partial
from typing import Annotated, Any, Final

from pydantic import Field

from hedgegrid_assets.errors import UsageError
from hedgegrid_assets.fields import Count, Settings
from hedgegrid_assets.model import Channel, Source
from hedgegrid_assets.sources.formats import binance
from hedgegrid_assets.sources.synthetic.fair import Fair
from hedgegrid_assets.sources.synthetic.lines import mark_lines, rebatched, trade_lines
from hedgegrid_assets.sources.synthetic.markets import precisions
from hedgegrid_assets.sources.synthetic.marks import marks
from hedgegrid_assets.sources.synthetic.trades import trades

CHANNELS: Final = ("aggTrade", "markPrice")
"""What can be made, in the exchange's own words."""

_FIRST_DAY: Final = date(2001, 9, 10)
_LAST_DAY: Final = date(2262, 4, 10)
"""Between them a time in nanoseconds has 19 digits and fits into 63 bits."""


def generate(
    symbol: str, channel: str, day: date, *, seed: int = 7, trades_per_day: int = 20_000, block_rows: int = 100_000
) -> Iterator[bytes]:
    """The lines of one symbol, channel and UTC day in arrival order, as blocks of complete lines.

    A line is ``<local time in ns> <message>``. The bytes depend on symbol, day, seed and (trades only)
    ``trades_per_day``; ``block_rows`` only cuts them. No silence is longer than 20 s from 20,000 trades a day on, 50 s
    from 5,000. Mark messages come once a second. Raises UsageError for what cannot be made, before the first block.

    Args:
        symbol: As the exchange writes it, ``BTCUSDT``.
        channel: One of ``CHANNELS``.
        day: UTC day of all local times.
        seed: Another seed, another market.
        trades_per_day: Exact number of aggregate trades, 1 or more; they stand for half as many again single trades.
        block_rows: Lines in a block, but for the last.
    """
    if channel not in CHANNELS:
        raise UsageError(
            f"synthetic data has no channel {channel!r}: expected {' or '.join(CHANNELS)}, found {channel!r}"
        )
    if not _FIRST_DAY <= day <= _LAST_DAY:
        raise UsageError(f"synthetic data has no such day: expected {_FIRST_DAY} to {_LAST_DAY}, found {day}")
    for name, number in (("trades_per_day", trades_per_day), ("block_rows", block_rows)):
        if number < 1:
            raise UsageError(f"{name} is too small: expected 1 or more, found {number}")
    fair = Fair(symbol, day, seed)
    if channel == "aggTrade":
        return (trade_lines(rows, symbol) for rows in rebatched(trades(fair, trades_per_day), block_rows))
    return (mark_lines(rows, symbol) for rows in rebatched(iter([marks(fair)]), block_rows))


class SyntheticSettings(Settings):
    """Of the source ``synthetic``."""

    seed: Annotated[int, Field(strict=True, description="equal seeds make equal days")] = 7
    trades_per_day: Annotated[Count, Field(description="of each symbol")] = 20_000
    days: Annotated[Count, Field(description="taken, and of no effect: start and end say which days are made")] = 1


def _fetch(settings: Mapping[str, Any], symbol: str, channel: Channel, day: date) -> Iterator[bytes]:
    wanted = SyntheticSettings.of(settings)
    return generate(symbol, channel.name, day, seed=wanted.seed, trades_per_day=wanted.trades_per_day)


_MESSAGES: Final = tuple(channel for channel in binance.channels("synthetic") if channel.name in CHANNELS)
SOURCE: Final = Source(
    name="synthetic",
    doc="made-up trades, mark prices and funding rates, in Binance's message format, for the venue SIM",
    extension="jsonl",
    channels=_MESSAGES,
    has_landing_zone=False,
    open=partial(binance.open_messages, known=_MESSAGES),
    code_version=1,
    joins=True,
    fetch=_fetch,
    settings=SyntheticSettings,
    precisions=precisions,
)

__all__ = ["CHANNELS", "SOURCE", "SyntheticSettings", "generate", "precisions"]
