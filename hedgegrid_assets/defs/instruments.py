"""The instrument definitions of a feed as an asset."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import dagster as dg

from hedgegrid_assets.defs import metadata
from hedgegrid_assets.defs.failures import failure
from hedgegrid_assets.defs.keys import instruments_key, landing_key
from hedgegrid_assets.defs.reporting import versioned
from hedgegrid_assets.defs.specs import common
from hedgegrid_assets.errors import HedgegridError, InstrumentUnknown, together
from hedgegrid_assets.instruments import Instrument
from hedgegrid_assets.pipeline.definitions import instrument_of
from hedgegrid_assets.pipeline.feed_context import FeedContext


@dataclass(frozen=True, slots=True)
class _Definitions:
    known: dict[str, Instrument] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)
    failed: list[HedgegridError] = field(default_factory=list)

    @property
    def version(self) -> str:
        return sha256(repr(self.known).encode()).hexdigest()


def instruments_materialized(feed_context: FeedContext) -> dg.AssetMaterialization:
    """The definitions as they are now."""
    found = _definitions(feed_context)
    return dg.AssetMaterialization(
        instruments_key(feed_context),
        metadata=metadata.of_instruments(found.known, found.unknown),
        tags=versioned(found.version),
    )


def instruments_asset(feed_context: FeedContext) -> dg.AssetsDefinition:
    """All definitions of a feed."""
    feed = feed_context.feed
    said = ["`instruments:` of the feed in feeds.yaml"]
    said.append("the decimals seen in all raw days" if feed_context.source.precisions is None else "the source itself")

    @dg.asset(
        key=instruments_key(feed_context),
        deps=[landing_key(feed_context)] if feed_context.source.has_landing_zone else [],
        description=(
            f"The Nautilus instrument definitions of **{feed.name}**: precisions, currencies, fees. They come from {', else '.join(said)}, "
            "and are pinned: a day never changes them. Days define what they need themselves, so this asset is for looking."
        ),
        kinds={"parquet", "nautilus"},
        **common(feed_context),
    )
    def instruments(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        found = _definitions(feed_context)
        if found.unknown:
            context.log.info(f"no definition yet: {', '.join(found.unknown)}")
        yield dg.MaterializeResult(
            metadata=metadata.of_instruments(found.known, found.unknown), data_version=dg.DataVersion(found.version)
        )
        if found.failed:
            raise failure(together(found.failed))

    return instruments


def _definitions(feed_context: FeedContext) -> _Definitions:
    found = _Definitions()
    for symbol in feed_context.feed.symbols:
        try:
            found.known[symbol] = instrument_of(feed_context, symbol)
        except InstrumentUnknown as error:
            found.unknown[symbol] = error.message.partition(": ")[2]
        except HedgegridError as error:
            found.failed.append(error)
    return found
