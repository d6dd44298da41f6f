"""The assets of a feed; each one calls a stage and says what came of it."""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

import dagster as dg

from hedgegrid_assets.defs import checks, metadata
from hedgegrid_assets.defs.partitions import day_of, partitions_of
from hedgegrid_assets.errors import (
    CatalogDiffers,
    DataError,
    DayBlocked,
    HedgegridError,
    InstrumentUnknown,
    NoDataFetched,
    RateLimited,
    RawDamaged,
    Refused,
    RemoteFault,
    together,
)
from hedgegrid_assets.instruments import Instrument
from hedgegrid_assets.model import Channel, InstrumentDay, Status, Table
from hedgegrid_assets.pipeline.days import normalize_tables
from hedgegrid_assets.pipeline.definitions import instrument_of
from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.pipeline.landing import import_landing, landing_files
from hedgegrid_assets.stages import catalog, integrity
from hedgegrid_assets.stages import raw as raw_stage
from hedgegrid_assets.stages.frames import Precisions
from hedgegrid_assets.stages.raw import RawDay, RawKey

_FORMAT_KINDS: Final[Mapping[str, str]] = {"jsonl": "json"}
FORCE_TAG: Final = "hedgegrid/force"
"""``yes`` on a run: a day may be replaced by one of another origin that lacks rows of it."""
RETRY_AFTER_SECONDS: Final = (15, 60)
"""For faults of a provider alone; a check is never asked twice."""
_NO_VERSION: Final = dg.DataVersion("INITIAL")
"""Dagster's word for "has none": an import makes no raw day stale; each day has a version of its own."""


def raw_key(feed_context: FeedContext, channel: str) -> dg.AssetKey:
    """Raw days of a channel."""
    return dg.AssetKey([feed_context.feed.name, "raw", channel])


def normalized_key(feed_context: FeedContext, table: Table) -> dg.AssetKey:
    """Frames of a table."""
    return dg.AssetKey([feed_context.feed.name, "normalized", table.name])


def catalog_key(feed_context: FeedContext, table: Table) -> dg.AssetKey:
    """Nautilus files of a table."""
    return dg.AssetKey([feed_context.feed.name, "catalog", table.name])


def landing_key(feed_context: FeedContext) -> dg.AssetKey:
    """The landing zone of a feed."""
    return dg.AssetKey([feed_context.feed.name, "landing"])


def instruments_key(feed_context: FeedContext) -> dg.AssetKey:
    """The instrument definitions of a feed."""
    return dg.AssetKey([feed_context.feed.name, "instruments"])


def daily_keys(feed_context: FeedContext, channels: Collection[str] | None = None) -> list[dg.AssetKey]:
    """Everything that is made once a day and instrument, from raw to catalog; of some channels, or of all.

    A run for the channels that have data leaves no checks behind that the UI would count as skipped.
    """
    wanted = {
        name: tables for name, (_, tables) in feed_context.by_channel().items() if channels is None or name in channels
    }
    tables = [table for tables in wanted.values() for table in tables]
    return [
        *(raw_key(feed_context, channel) for channel in wanted),
        *(normalized_key(feed_context, table) for table in tables),
        *(catalog_key(feed_context, table) for table in tables),
    ]


def assets_of(feed_context: FeedContext) -> list[dg.AssetsDefinition]:
    """All assets of a feed."""
    partitions = partitions_of(feed_context)
    return [
        *([_landing(feed_context)] if feed_context.source.lands else []),
        _instruments(feed_context),
        _raw(feed_context, partitions),
        *(_normalized(feed_context, table, partitions) for table in feed_context.tables),
        *(_catalog(feed_context, table, partitions) for table in feed_context.tables),
    ]


def failure(error: HedgegridError) -> dg.Failure:
    """An expected error as Dagster shows it: what, where, and the way out. Running again would not help."""
    found: dict[str, Any] = {"code": error.code}
    if isinstance(error, Refused):
        found["status"] = str(Status.REFUSED)
    if error.hint:
        found["hint"] = error.hint
    if error.details:
        found["details"] = dg.MetadataValue.json({name: _plain(value) for name, value in error.details.items()})
    return dg.Failure(description=str(error), metadata=found, allow_retries=False)


def _plain(value: object) -> object:
    return (
        list(value)
        if isinstance(value, (list, tuple, set))
        else value
        if isinstance(value, (int, float, dict))
        else str(value)
    )


def _common(feed_context: FeedContext) -> dict[str, Any]:
    return {"group_name": feed_context.feed.name, "owners": list(feed_context.feed.owners)}


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
        kinds={_format(feed_context), "file"},
        **_common(feed_context),
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
        **_common(feed_context),
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


# ---------------------------------------------------------------- raw


def _raw(feed_context: FeedContext, partitions: dg.MultiPartitionsDefinition) -> dg.AssetsDefinition:
    intact = {channel: checks.raw_intact(raw_key(feed_context, channel)) for channel in feed_context.by_channel()}
    remote = feed_context.source.remote is not None

    @dg.multi_asset(
        name=f"{feed_context.feed.name}__raw",
        specs=[
            _raw_spec(feed_context, channel, tables, partitions)
            for channel, tables in feed_context.by_channel().values()
        ],
        check_specs=[check.spec(partitions) for check in intact.values()],
        partitions_def=partitions,
        can_subset=True,
        pool=f"{feed_context.source.name}_api" if remote else None,
    )
    def raw(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        day = day_of(context.partition_key)
        channels = [
            channel
            for channel in feed_context.by_channel()
            if raw_key(feed_context, channel) in context.selected_asset_keys
        ]
        if feed_context.source.lands:
            _import_landing(context, feed_context)
        damaged = []
        missing = []
        for channel in channels:
            started = time.monotonic()
            key = RawKey(channel, feed_context.feed.symbol_of(day.instrument_id), day.date)
            try:
                found = feed_context.raw(key)
                if found is None:
                    missing.append(channel)
                    continue
                raw_stage.verify(found)
                yield _raw_result(context, intact[channel], found, time.monotonic() - started)
            except RawDamaged as error:
                damaged.append(error)
                yield _damaged_result(context, intact[channel], error)
            except HedgegridError as error:
                raise _later(context, error) or failure(error) from None
        if missing == channels:
            raise failure(_no_data(feed_context, day, missing))
        if missing:
            context.log.warning(f"{day}: no {', '.join(missing)} data; its tables are skipped")
        if damaged and not _runs_any(context, [normalized_key(feed_context, table) for table in feed_context.tables]):
            raise failure(together(damaged))

    return raw


def _raw_spec(
    feed_context: FeedContext, channel: Channel, tables: Sequence[Table], partitions: dg.MultiPartitionsDefinition
) -> dg.AssetSpec:
    origin = "split out of the landing files" if feed_context.source.lands else f"from {feed_context.source.doc}"
    return dg.AssetSpec(
        raw_key(feed_context, channel.name),
        deps=[landing_key(feed_context)] if feed_context.source.lands else [],
        description=(
            f"Messages of the stream `{channel.name}` exactly as received, {origin}: one file for each day and symbol, "
            f"with a manifest beside it that says where it came from. It becomes {', '.join(table.name for table in tables)}. "
            "A day without such messages is skipped."
        ),
        metadata={"dagster/column_schema": metadata.raw_columns(channel), "folder": _folder(feed_context, channel)},
        skippable=True,
        kinds={_format(feed_context), "file"},
        partitions_def=partitions,
        **_common(feed_context),
    )


def _folder(feed_context: FeedContext, channel: Channel) -> str:
    return str(feed_context.places.raw_folder(feed_context.feed.name, channel.name, "<symbol>"))


def _format(feed_context: FeedContext) -> str:
    return _FORMAT_KINDS.get(feed_context.source.extension, feed_context.source.extension)


def _import_landing(context: dg.AssetExecutionContext, feed_context: FeedContext) -> None:
    """Whatever is new in the landing zone, so that Materialize and backfill need no sensor."""
    try:
        report = import_landing(feed_context, pass_over_damaged=True)
    except HedgegridError as error:
        if "missing" not in error.details:
            raise failure(error) from None
        context.log.warning(error.message)  # a file that the settings name is gone: what it gave is still there
        return
    for note in (*report.notes, *(error.message for error in report.refused)):
        context.log.warning(note)
    if report.read:
        context.log.info(f"imported {len(report.read)} landing files, {report.lines:,} lines")


def _raw_result(
    context: dg.AssetExecutionContext, check: checks.Check, raw: RawDay, seconds: float
) -> dg.MaterializeResult[Any]:
    lines = raw.manifest["lines"]
    return dg.MaterializeResult(
        asset_key=check.asset_key,
        metadata=metadata.of_raw(raw, seconds),
        data_version=dg.DataVersion(raw.sha256),
        check_results=_if_selected(context, check, check.result(passed=True, rows=lines, more={"sha256": raw.sha256})),
    )


def _damaged_result(
    context: dg.AssetExecutionContext, check: checks.Check, error: RawDamaged
) -> dg.MaterializeResult[Any]:
    """Handed on all the same: normalizing refuses it, and the run is red for this channel alone."""
    return dg.MaterializeResult(
        asset_key=check.asset_key,
        metadata={"damaged": error.message},
        data_version=dg.DataVersion("damaged"),
        check_results=_if_selected(context, check, check.result(passed=False, rows=0, found=str(error))),
    )


def _if_selected(
    context: dg.AssetExecutionContext, check: checks.Check, result: dg.AssetCheckResult
) -> list[dg.AssetCheckResult]:
    return [result] if check.key in context.selected_asset_check_keys else []


def _later(context: dg.AssetExecutionContext, error: HedgegridError) -> dg.RetryRequested | None:
    """Ask again a little later, a few times, if the provider may then answer; what is fetched already is kept."""
    soon = isinstance(error, RemoteFault) and error.transient and not isinstance(error, RateLimited)
    if not soon or context.retry_number >= len(RETRY_AFTER_SECONDS):
        return None
    return dg.RetryRequested(len(RETRY_AFTER_SECONDS), RETRY_AFTER_SECONDS[context.retry_number])


def _runs_any(context: dg.AssetExecutionContext, keys: Sequence[dg.AssetKey]) -> bool:
    return any(key in context.job_def.asset_layer.selected_asset_keys for key in keys)


def _no_data(feed_context: FeedContext, day: InstrumentDay, channels: Sequence[str]) -> NoDataFetched:
    """Nothing of this day at all, and where the data are instead."""
    symbol = feed_context.feed.symbol_of(day.instrument_id)
    days = sorted(
        {
            held
            for channel in channels
            for held in raw_stage.raw_days(feed_context.places, feed_context.feed.name, channel, symbol)
        }
    )
    found = f"{symbol} {days[0]} .. {days[-1]} ({len(days)} days)" if days else f"nothing of {symbol}"
    wanted = {name for each in feed_context.source.channels if each.name in channels for name in each.tables}
    others = [
        each.name for each in feed_context.source.channels if each.name not in channels and wanted & each.tables.keys()
    ]
    if feed_context.source.lands and others:
        found += f" in {', '.join(channels)} (files with {others[0]} need `settings: {{trade_kind: {others[0]}}}`)"
    looked_in = str(feed_context.places.landing) if feed_context.source.lands else feed_context.source.doc
    return NoDataFetched(f"{day} {', '.join(channels)}", looked_in, found)


# ---------------------------------------------------------------- normalized


def _normalized(
    feed_context: FeedContext, table: Table, partitions: dg.MultiPartitionsDefinition
) -> dg.AssetsDefinition:
    key, channel = normalized_key(feed_context, table), feed_context.channel(table)
    source = raw_key(feed_context, channel.name)
    table_checks = checks.checks_of(key, table)
    lineage = metadata.frame_lineage(source, channel, table)

    @dg.asset(
        key=key,
        deps=[source],
        partitions_def=partitions,
        check_specs=[check.spec(partitions) for check in table_checks],
        description=(
            f"{table.doc}: one Parquet frame for each day and instrument, sorted by arrival, prices and sizes as exact decimals, "
            "with the rows that had to be rejected and a verdict of all rules beside it. Read it with `hedgegrid_assets.read_frame`."
        ),
        metadata={"dagster/column_schema": metadata.frame_columns(table), "dagster/column_lineage": lineage},
        kinds={"polars", "parquet"},
        code_version=_code_version(feed_context, table),
        **_common(feed_context),
    )
    def normalized(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        started = time.monotonic()
        day = day_of(context.partition_key)
        symbol = feed_context.feed.symbol_of(day.instrument_id)
        try:
            raw = raw_stage.raw_day(feed_context.places, feed_context.feed.name, RawKey(channel.name, symbol, day.date))
            if raw is None:
                raise _no_data(feed_context, day, [channel.name])
            (done,) = normalize_tables(feed_context, day, raw, [table], force=context.run.tags.get(FORCE_TAG) == "yes")
        except HedgegridError as error:
            raise failure(error) from None
        if isinstance(done.error, Refused):
            raise failure(done.error)
        if done.note:
            context.log.warning(done.note)
        verdict = done.verdict
        results = [
            check.judged(verdict, _first_bad(feed_context, day, table, verdict, check)) for check in table_checks
        ]
        if done.error is not None or done.frame is None:
            yield from results
            raise failure(done.error or DataError(f"{day} {table.name}: no frame was stored"))
        precisions = Precisions(**verdict["precision"])
        yield dg.MaterializeResult(
            metadata={
                **metadata.of_frame(verdict, done.frame, time.monotonic() - started),
                **metadata.chart(feed_context, day, table, verdict),
                "dagster/column_schema": metadata.frame_columns(table, precisions),
                "dagster/column_lineage": lineage,
            },
            data_version=dg.DataVersion(verdict["content_digest"]),
            check_results=results,
        )
        failed = integrity.failed_errors(verdict)
        if failed:
            raise failure(DayBlocked(str(day), table.name, failed, integrity.blamed_files(verdict)))

    return normalized


def _code_version(feed_context: FeedContext, table: Table) -> str:
    return f"{table.name}:{table.code_version}+{feed_context.source.name}:{feed_context.source.code_version}"


def _first_bad(
    feed_context: FeedContext, day: InstrumentDay, table: Table, verdict: Mapping[str, Any], check: checks.Check
) -> str | None:
    mine = {rule.name for rule in check.rules}
    failed = [
        answer["name"] for answer in verdict["rules"] if answer["name"] in mine and integrity.passed_of(answer) is False
    ]
    return metadata.first_bad(feed_context, day, table, verdict, failed) if failed and verdict["frame_sha256"] else None


# ---------------------------------------------------------------- catalog


def _catalog(feed_context: FeedContext, table: Table, partitions: dg.MultiPartitionsDefinition) -> dg.AssetsDefinition:
    key, source = catalog_key(feed_context, table), normalized_key(feed_context, table)
    check = checks.reads_back_equal(key)
    described = {
        "dagster/column_schema": metadata.nautilus_columns(table),
        "dagster/column_lineage": metadata.nautilus_lineage(source, table),
    }

    @dg.asset(
        key=key,
        deps=[source],
        partitions_def=partitions,
        check_specs=[check.spec(partitions)],
        description=(
            f"`{table.form().cls}` in the NautilusTrader catalog: one Parquet file for each day and instrument, as Nautilus itself would write it. "
            "A day gets in only with a verdict that has no failed ERROR rule and belongs to the frame at hand; "
            "else the catalog keeps the file that it had."
        ),
        metadata=described,
        kinds={"parquet", "nautilus"},
        code_version=_code_version(feed_context, table),
        **_common(feed_context),
    )
    def into_catalog(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        started = time.monotonic()
        day = day_of(context.partition_key)
        try:
            instrument = instrument_of(feed_context, feed_context.feed.symbol_of(day.instrument_id))
            precisions = Precisions(instrument.price_precision, instrument.size_precision, instrument.mark_precision)
            written = catalog.write_day(feed_context.places, day, table, precisions)
        except CatalogDiffers as error:
            yield check.result(passed=False, rows=0, found=str(error))
            raise failure(error) from None
        except HedgegridError as error:
            raise failure(error) from None
        verdict = integrity.read_verdict(feed_context.places, table, day) or {}
        yield dg.MaterializeResult(
            metadata={
                **metadata.of_catalog(verdict, written.path, written.rows, time.monotonic() - started),
                **described,
            },
            data_version=dg.DataVersion(verdict["content_digest"]),
            check_results=[check.result(passed=True, rows=written.rows)],
        )

    return into_catalog
