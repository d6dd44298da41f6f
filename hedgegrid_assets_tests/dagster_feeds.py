"""Feeds in a folder of their own, and their Dagster jobs: what the Dagster tests are made of.

The feed ``captures`` takes the scenario's day; its instruments are said in full, so that any part of the day will do.
"""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import dagster as dg

from hedgegrid_assets.config.feeds import read_feeds
from hedgegrid_assets.defs import definitions_of, feed_contexts_of
from hedgegrid_assets.defs.failures import faults_in
from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets_tests.scenario import BTC, DAY, DAY_MS, MIDNIGHT_MS, agg_trade, line, mark_price, received

BTC_DAY: Final = f"{DAY}|BTCUSDT-PERP.BINANCE"
ETH_DAY: Final = f"{DAY}|ETHUSDT-PERP.BINANCE"
SIM_DAY: Final = f"{DAY}|BTCUSDT-PERP.SIM"
TABLES: Final = ("trade_tick", "mark_price_update", "index_price_update", "funding_rate_update")

CAPTURES: Final = """
  captures:
    source: websocket
    venue: BINANCE
    symbols: [BTCUSDT, ETHUSDT]
    start: 2024-01-01
    landing: ["websocket/**/*.jsonl*"]
    owners: ["team:market-data"]
    instruments:
      BTCUSDT: {price_precision: 2, size_precision: 3, mark_precision: 8}
      ETHUSDT: {price_precision: 2, size_precision: 3, mark_precision: 8}
"""
SIM: Final = """
  sim:
    source: synthetic
    venue: SIM
    symbols: [BTCUSDT]
    start: 2024-01-01
    end: 2024-01-04
    tables: [trade_tick]
    settings: {trades_per_day: 5000}
"""
_QUIET: Final = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def write_feeds(root: Path, *feeds: str) -> Path:
    """A feeds.yaml of these feeds."""
    path = root / "feeds.yaml"
    path.write_text("version: 1\nfeeds:\n" + "".join(feeds), encoding="utf-8")
    return path


def feed_context_of(root: Path, feed: str = CAPTURES) -> FeedContext:
    """The one feed of a new feeds.yaml, with its data below ``root``."""
    found = read_feeds(write_feeds(root, feed))
    assert not found.problems
    (feed_context,) = feed_contexts_of(found.feeds.values(), found.roots.absolute(root / "data"))
    return feed_context


def drop(feed_context: FeedContext, data: bytes, name: str = "day.jsonl") -> Path:
    """Put a file into the landing zone."""
    path = feed_context.places.landing / "websocket" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def day_of(number: int, *, symbol: str = BTC, trades: Iterable[int] = range(3), marks: bool = True) -> bytes:
    """A few messages of the day ``number`` days after the first."""
    start = MIDNIGHT_MS + number * DAY_MS + 1_000
    lines = [
        line(agg_trade(1_000 + step, start + step * 1_000, symbol=symbol), received(start + step * 1_000))
        for step in trades
    ]
    if marks:
        lines.append(line(mark_price(start + 9_000, symbol=symbol, T=start + DAY_MS), received(start + 9_000)))
    return b"".join(lines)


def partition(number: int, instrument: str = "BTCUSDT-PERP.BINANCE") -> str:
    """The partition key of the day ``number`` days after the first."""
    return f"{date.fromordinal(DAY.toordinal()) + timedelta(days=number)}|{instrument}"


def run(
    feed_context: FeedContext, instance: dg.DagsterInstance, key: str = BTC_DAY, only: Sequence[str] | None = None
) -> dg.ExecuteInProcessResult:
    """The job of an instrument-day, or some assets of it, as ``captures/raw/aggTrade``."""
    job = definitions_of([feed_context]).resolve_job_def(f"{feed_context.feed.name}_days")
    selection = [key_of(name) for name in only] if only else None
    return job.execute_in_process(
        partition_key=key, instance=instance, asset_selection=selection, raise_on_error=False, run_config=_QUIET
    )


def run_import(feed_context: FeedContext, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    """The job that imports the landing zone."""
    job = definitions_of([feed_context]).resolve_job_def(f"{feed_context.feed.name}_import")
    return job.execute_in_process(instance=instance, raise_on_error=False, run_config=_QUIET)


def made(result: dg.ExecuteInProcessResult) -> set[str]:
    """The assets that a run has materialized."""
    events = result.get_asset_materialization_events()
    return {event.asset_key.to_user_string() for event in events if event.asset_key}


def made_of_days(result: dg.ExecuteInProcessResult) -> set[str]:
    """Those that are made once a day: an import tells of the landing zone as well."""
    return {name for name in made(result) if name.count("/") > 1}


def of_layer(feed_context: FeedContext, *layers: str) -> set[str]:
    """All assets of some layers of the scenario's feed."""
    names = {"raw": ("aggTrade", "markPrice"), "normalized": TABLES, "catalog": TABLES}
    return {f"{feed_context.feed.name}/{layer}/{name}" for layer in layers for name in names[layer]}


def evaluations(result: dg.ExecuteInProcessResult) -> dict[tuple[str, str], dg.AssetCheckEvaluation]:
    """(asset, check) -> what the run said of it."""
    found = result.get_asset_check_evaluations()
    return {(check.asset_key.to_user_string(), check.check_name): check for check in found}


def failures(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    """Asset that could not be made (else the step that failed) -> what is said to the user."""
    found: dict[str, str] = {}
    for event in result.all_events:
        if event.is_step_failure:
            said = event.step_failure_data.user_failure_data
            faults = faults_in(said.metadata) if said else []
            found |= {fault["asset"]: fault["said"] for fault in faults}
            if not faults:
                found[str(event.step_key)] = (
                    str(said.description) if said else event.step_failure_data.error_display_string
                )
    return found


def metadata(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    """The metadata of one asset that a run has materialized."""
    (event,) = [each for each in result.get_asset_materialization_events() if each.asset_key == key_of(asset)]
    return {
        name: value.records if isinstance(value, dg.TableMetadataValue) else value.value
        for name, value in event.materialization.metadata.items()
    }


def key_of(asset: str) -> dg.AssetKey:
    """The key of ``captures/raw/aggTrade``."""
    return dg.AssetKey(asset.split("/"))


def catalog_files(feed_context: FeedContext, table: str) -> dict[str, bytes]:
    """Instrument/file -> bytes of the Nautilus files of a table."""
    root = feed_context.places.catalog.local() / "data" / table
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*.parquet")}
