"""The assets of a feed: what is there once (landing zone, instruments), its instrument-days, and its backtests."""

import time
from collections.abc import Iterator
from hashlib import sha256
from typing import Any, Final

import dagster as dg

from hedgegrid_assets.defs import metadata
from hedgegrid_assets.defs.backtests import backtests_of
from hedgegrid_assets.defs.days import days_of
from hedgegrid_assets.defs.failures import failure
from hedgegrid_assets.defs.keys import instruments_key, landing_key
from hedgegrid_assets.defs.reporting import NO_VERSION
from hedgegrid_assets.defs.specs import common, format_kind
from hedgegrid_assets.errors import HedgegridError, InstrumentUnknown, together
from hedgegrid_assets.instruments import Instrument
from hedgegrid_assets.pipeline.definitions import instrument_of
from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.pipeline.landing import import_landing, landing_files

_NO_VERSION: Final = dg.DataVersion(NO_VERSION)
"""Dagster's word for "has none": an import makes no raw day stale; each day has a version of its own."""


def assets_of(feed_context: FeedContext) -> list[dg.AssetsDefinition]:
    """All assets of a feed."""
    return [
        *([_landing(feed_context)] if feed_context.source.lands else []),
        _instruments(feed_context),
        days_of(feed_context),
        *backtests_of(feed_context),
    ]


# ---------------------------------------------------------------- what is there once


def _landing(feed_context: FeedContext) -> dg.AssetsDefinition:
    feed = feed_context.feed
    where = ", ".join(f"`{pattern}`" for pattern in feed.landing) or "the files that its settings name"

    @dg.asset(
        key=landing_key(feed_context),
        description=(
            f"The files that you drop for **{feed.name}**: {where}, under `{feed_context.places.landing}`. "
            "Materializing imports those that are new or changed, once: each is split into daily raw files. They are never altered or deleted."
        ),
        kinds={format_kind(feed_context), "file"},
        **common(feed_context),
    )
    def landing(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        started = time.monotonic()
        try:
            files = landing_files(feed_context)
            report = import_landing(feed_context, pass_over_damaged=True)
        except HedgegridError as error:
            raise failure(error) from None
        for note in report.notes:
            context.log.warning(note)
        found = metadata.of_landing(feed_context, files, report, time.monotonic() - started)
        yield dg.MaterializeResult(metadata=found, data_version=_NO_VERSION)
        if report.refused:
            raise failure(together(report.refused))

    return landing


def _instruments(feed_context: FeedContext) -> dg.AssetsDefinition:
    feed = feed_context.feed
    said = ["`instruments:` of the feed in feeds.yaml"]
    said.append("the decimals seen in all raw days" if feed_context.source.precisions is None else "the source itself")

    @dg.asset(
        key=instruments_key(feed_context),
        deps=[landing_key(feed_context)] if feed_context.source.lands else [],
        description=(
            f"The Nautilus instrument definitions of **{feed.name}**: precisions, currencies, fees. They come from {', else '.join(said)}, "
            "and are pinned: a day never changes them. Days define what they need themselves, so this asset is for looking."
        ),
        kinds={"parquet", "nautilus"},
        **common(feed_context),
    )
    def instruments(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        found: dict[str, Instrument] = {}
        unknown: dict[str, str] = {}
        failed: list[HedgegridError] = []
        for symbol in feed.symbols:
            try:
                found[symbol] = instrument_of(feed_context, symbol)
            except InstrumentUnknown as error:
                unknown[symbol] = error.message.partition(": ")[2]
            except HedgegridError as error:
                failed.append(error)
        if unknown:
            context.log.info(f"no definition yet: {', '.join(unknown)}")
        yield dg.MaterializeResult(
            metadata=metadata.of_instruments(found, unknown),
            data_version=dg.DataVersion(sha256(repr(found).encode()).hexdigest()),
        )
        if failed:
            raise failure(together(failed))

    return instruments
