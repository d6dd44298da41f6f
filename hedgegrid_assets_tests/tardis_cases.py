"""What the tests of the Tardis source share: short limits, one stand-in for all, a warm cache to start from."""

import gzip
import os
import threading
from collections.abc import Iterable, Sequence
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec.structs import replace

from hedgegrid_assets.config.feeds import Feed
from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.sources.client import limits
from hedgegrid_assets.sources.tardis.connection import Connection
from hedgegrid_assets.sources.tardis.slices import MINUTES, SliceDay
from hedgegrid_assets.stages.raw import RawDay, RawKey
from hedgegrid_assets.store import Places
from hedgegrid_assets_tests.archive_cases import QUICK as QUICK
from hedgegrid_assets_tests.standins.tardis import KEY, Standin

FREE: Final = date(2024, 1, 1)
PAID: Final = date(2024, 1, 2)
IMPATIENT: Final = replace(QUICK, silence=0.6, slice_total=1.2, file_total=2.0)
"""Where a server is silent or slow on purpose: on a machine that is busy others are so, too."""
TRADES: Final = RawKey("trade", "BTCUSDT", PAID)
NOTHING: Final = gzip.compress(b"", mtime=0)
FILTERS: Final = [{"channel": "trade", "symbols": ["btcusdt"]}]


@cache
def shared_standin() -> Standin:
    """One server for all tests: it makes each day once."""
    return Standin(trades_per_day=2_000).__enter__()


def fresh_standin() -> Standin:
    """The shared server without faults and log, as it was at first."""
    server = shared_standin()
    server.clear()
    server.delay_seconds, server.zstd, server.instruments_open, server.wrong_key_on_free_days = 0.0, False, False, True
    server.library.empty.clear()
    server.library.forget()
    server.library.exported_until = None
    server.library.disconnects.clear()
    server.keys = {KEY: None}
    return server


def named_standin(patch: pytest.MonkeyPatch) -> Standin:
    """The same, as a user's environment names it, with its key."""
    patch.setattr(limits, "in_force", QUICK)
    server = fresh_standin()
    patch.setenv("TARDIS_ENDPOINT", server.endpoint)
    patch.setenv("TARDIS_DATASETS_ENDPOINT", server.datasets_endpoint)
    patch.setenv("TARDIS_API_KEY", KEY)
    return server


def settings(server: Standin, **more: Any) -> dict[str, Any]:
    """Settings that point to the stand-in, with its key."""
    return {"endpoint": server.endpoint, "datasets_endpoint": server.datasets_endpoint, "api_key": KEY} | more


def feed_context(folder: Path, server: Standin, *, symbols: Sequence[str] = ("BTCUSDT",), **more: Any) -> FeedContext:
    """A feed in its places, as the command line makes it."""
    feed = Feed.model_construct(
        name="cli_tardis",
        source="tardis",
        venue="BINANCE",
        market="usdm",
        symbols=tuple(symbols),
        tables=("trade_tick", "mark_price_update", "index_price_update", "funding_rate_update"),
        start=date(2024, 1, 1),
        end=None,
        settings=settings(server, **more),
        landing=(),
        instruments={},
        gaps={},
        max_rejected=0.001,
        schedule=None,
        owners=(),
    )
    return FeedContext(feed, Places(folder / "data", folder / "data/catalog"))


def cache_of(folder: Path, server: Standin, *, messages: bool = False) -> Path:
    """Where bodies of the stand-in are kept in a data folder: apart from what Tardis gave."""
    kept = folder / "data/cache/binance-futures"
    return Connection.of(settings(server)).cache_in(kept, messages=messages)


def warm(folder: Path, source: Path, *minutes: int) -> None:
    """Give a data folder the cached slices of another (linked, not copied), but for some minutes."""
    slices = cache_of(source, shared_standin(), messages=True)
    for path in slices.rglob("*.json.gz"):
        hour, minute = int(path.parent.name), int(path.name.partition(".")[0])
        if hour * 60 + minute not in minutes:
            target = cache_of(folder, shared_standin(), messages=True) / path.relative_to(slices)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, target)


def quiet(folder: Path, key: RawKey, minutes: Iterable[int]) -> None:
    """Give a data folder the cached slices of a day on which nothing happened but in some minutes, which it lacks."""
    kept = cache_of(folder, shared_standin(), messages=True)
    wanted = SliceDay("binance-futures", key.channel, key.symbol, key.day, kept, folder)
    for minute in set(range(MINUTES)) - set(minutes):
        path = wanted.path(minute)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(NOTHING)


def text_of(raw: RawDay | None) -> bytes:
    """The lines of a raw day."""
    assert raw is not None
    return gzip.decompress(raw.path.read_bytes())


def recorded(server: Standin, day: date = PAID) -> bytes:
    """The lines of a day as the stand-in has them."""
    return b"".join(server.library.minutes("binance-futures", FILTERS, day))


def leftovers(folder: Path) -> list[Path]:
    """Files of transfers that did not end well."""
    ends = (".part", ".slice", ".file", ".unconfirmed")
    return [path for path in folder.rglob("*") if path.is_file() and path.name.endswith(ends)]


def at_work() -> list[str]:
    """Threads of a loop that still runs: there is none when nobody fetches."""
    return [thread.name for thread in threading.enumerate() if "portal" in thread.name]


def impatient(**changes: Any) -> limits.Limits:
    """The short limits of the tests, with some changed."""
    return replace(QUICK, **changes)
