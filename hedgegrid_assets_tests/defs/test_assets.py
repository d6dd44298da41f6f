"""Feeds as Dagster assets: real runs over the scenario's day, read back from events and from disk."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest
from msgspec.structs import replace
from nautilus_trader.persistence.catalog import ParquetDataCatalog
from typer.testing import CliRunner

from hedgegrid_assets.batch import Batch
from hedgegrid_assets.cli import app
from hedgegrid_assets.defs import definitions_of, results
from hedgegrid_assets.defs.assets import assets_of
from hedgegrid_assets.defs.keys import daily_keys
from hedgegrid_assets.defs.results import DayMaker
from hedgegrid_assets.errors import RemoteFault
from hedgegrid_assets.instruments import read_definitions
from hedgegrid_assets.model import InstrumentDay
from hedgegrid_assets.pipeline import feed_context as feed_contexts
from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.pipeline.landing import import_landing
from hedgegrid_assets.sources import SOURCES
from hedgegrid_assets.stages.raw import RawDay, RawKey
from hedgegrid_assets.store import local_file
from hedgegrid_assets_tests.dagster_feeds import (
    BTC_DAY,
    CAPTURES,
    ETH_DAY,
    SIM,
    SIM_DAY,
    TABLES,
    catalog_files,
    day_of,
    drop,
    evaluations,
    failures,
    feed_context_of,
    key_of,
    made,
    made_of_days,
    metadata,
    of_layer,
    partition,
    run,
    run_import,
)
from hedgegrid_assets_tests.scenario import (
    BAD_ID,
    BAD_MS,
    BTC,
    BTC_IDS,
    CLEAN,
    DAMAGED,
    DAY,
    MIDNIGHT_MS,
    VARIANTS,
    agg_trade,
    inserted,
    line,
    received,
)

CONFLICT = VARIANTS["same id, other content"].data


@pytest.fixture
def feed_context(tmp_path: Path) -> FeedContext:
    return feed_context_of(tmp_path)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@dataclass(frozen=True)
class Day:
    """A day that was run once, for several tests to look at."""

    feed_context: FeedContext
    instance: dg.DagsterInstance
    result: dg.ExecuteInProcessResult


def day_run(root: Path, data: bytes) -> Iterator[Day]:
    feed_context = feed_context_of(root)
    drop(feed_context, data)
    with dg.DagsterInstance.ephemeral() as instance:
        yield Day(feed_context, instance, run(feed_context, instance))


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    yield from day_run(tmp_path_factory.mktemp("clean"), CLEAN)


@pytest.fixture(scope="module")
def blocked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    yield from day_run(tmp_path_factory.mktemp("blocked"), CONFLICT)


# ---------------------------------------------------------------- a good day


def test_a_dropped_capture_goes_from_raw_to_catalog_without_a_sensor(clean: Day) -> None:
    feed_context, result = clean.feed_context, clean.result
    assert result.success
    assert made_of_days(result) == of_layer(feed_context, "raw", "normalized", "catalog")
    trades = ParquetDataCatalog(str(feed_context.places.catalog)).trade_ticks(instrument_ids=["BTCUSDT-PERP.BINANCE"])
    assert [int(str(trade.trade_id)) for trade in trades] == list(BTC_IDS)


@pytest.mark.parametrize("feed", ["captures", "sim"])
def test_every_check_of_a_feed_has_a_result_for_the_partition(
    feed: str, clean: Day, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    feed_context, result, key = clean.feed_context, clean.result, BTC_DAY
    if feed == "sim":
        feed_context, key = feed_context_of(tmp_path, SIM), SIM_DAY
        result = run(feed_context, instance, key)
    assert result.success
    specs = {spec.key for asset in assets_of(feed_context) for spec in asset.check_specs}
    found = result.get_asset_check_evaluations()
    assert {check.asset_check_key for check in found} == specs
    assert len(found) == len(specs)
    assert {check.partition for check in found} == {key}


def test_checks_are_named_after_the_documented_rules(clean: Day) -> None:
    found = evaluations(clean.result)
    named = {table: {name for asset, name in found if asset == f"captures/normalized/{table}"} for table in TABLES}
    common = {"sorted_timestamps", "rows_accounted_for", "gap_report", "quality"}
    assert named == {
        "trade_tick": {*common, "positive_prices", "no_duplicate_ids"},
        "mark_price_update": {*common, "positive_prices"},
        "index_price_update": {*common, "positive_prices"},
        "funding_rate_update": common,
    }
    assert {name for asset, name in found if "/raw/" in asset} == {"raw_intact"}
    assert {name for asset, name in found if "/catalog/" in asset} == {"reads_back_equal"}


def test_warnings_alone_fail_no_run(clean: Day) -> None:
    result = clean.result
    failed = {check.severity for check in result.get_asset_check_evaluations() if not check.passed}
    assert result.success
    assert failed == {dg.AssetCheckSeverity.WARN}  # mark prices of two minutes do not cover a day


def test_metadata_say_how_many_rows_from_where_and_how_good(
    feed_context: FeedContext, instance: dg.DagsterInstance
) -> None:
    data = inserted(line(agg_trade(BAD_ID, BAD_MS, q="0"), received(BAD_MS)))
    drop(feed_context, data)
    result = run(feed_context, instance)
    found = metadata(result, "captures/normalized/trade_tick")
    frame = feed_context.places.frame("BTCUSDT-PERP.BINANCE", "trade_tick", DAY)
    assert {
        name: found[name] for name in ("dagster/row_count", "dagster/partition_row_count", "rows_in", "rejected")
    } == {
        "dagster/row_count": len(BTC_IDS),
        "dagster/partition_row_count": len(BTC_IDS),
        "rows_in": len(BTC_IDS) + 1,
        "rejected": 1,
    }
    assert found["rejects_by_reason"] == {"zero_size": 1}
    assert found["dagster/uri"] == frame.local().as_uri()
    assert found["bytes"] == frame.size
    assert found["verdict"] == "complete"
    assert str(found["first_ts"]).startswith("2024-01-01T00:00:05.02")
    assert "| rows_conserved | ERROR | passed | 0 | in " in found["rules"]
    assert "| nothing_cleaned | WARN | failed | " in found["rules"]
    quality = evaluations(result)["captures/normalized/trade_tick", "quality"]
    assert "zero_size" in str(quality.metadata["first_bad"].value)
    assert "| nothing_cleaned | WARN | failed | " in str(quality.metadata["numbers"].value)
    assert "numbers" not in evaluations(result)["captures/normalized/trade_tick", "sorted_timestamps"].metadata


def test_a_column_is_traced_from_the_raw_field_to_nautilus(clean: Day) -> None:
    def made_from(asset: str, column: str) -> list[tuple[str, str]]:
        lineage = metadata(clean.result, asset)["dagster/column_lineage"]
        return [(dep.asset_key.to_user_string(), dep.column_name) for dep in lineage.deps_by_column[column]]

    assert made_from("captures/catalog/mark_price_update", "value") == [
        ("captures/normalized/mark_price_update", "mark_price")
    ]
    assert made_from("captures/normalized/mark_price_update", "mark_price") == [("captures/raw/markPrice", "p")]


def test_of_a_block_the_columns_are_told_once(feed_context: FeedContext) -> None:
    drop(feed_context, day_of(0))
    import_landing(feed_context)
    maker = DayMaker(feed_context, set(daily_keys(feed_context)))
    told = [
        {
            name
            for result in maker.make(InstrumentDay("BTCUSDT-PERP.BINANCE", DAY), columns=last)
            for name in result.metadata
        }
        for last in (False, True)
    ]
    assert told[1] - told[0] == {"dagster/column_schema", "dagster/column_lineage"}


def at_hand(raw: RawDay, *_: object) -> Iterator[Batch]:
    """No file is read."""
    assert raw.kept is not None
    assert raw.kept.whole
    return iter(raw.kept)


def test_small_days_of_a_block_are_read_together_and_give_the_same(
    feed_context: FeedContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        drop(feed_context, day_of(number), f"{number}.jsonl")
    import_landing(feed_context)
    days = [InstrumentDay("BTCUSDT-PERP.BINANCE", DAY + timedelta(days=number)) for number in range(3)]
    alone = DayMaker(feed_context, set(daily_keys(feed_context)))
    expected = [[(each.key, each.version) for each in alone.make(day)] for day in days]
    monkeypatch.setattr(RawDay, "batches", at_hand)
    block = DayMaker(feed_context, set(daily_keys(feed_context)), days)
    assert [[(each.key, each.version) for each in block.make(day)] for day in days] == expected


def test_a_lineage_names_columns_of_its_own_schema_and_of_the_one_upstream(feed_context: FeedContext) -> None:
    specs = {spec.key: spec for asset in assets_of(feed_context) for spec in asset.specs}
    columns = {
        key: {column.name for column in spec.metadata["dagster/column_schema"].columns}
        for key, spec in specs.items()
        if "dagster/column_schema" in spec.metadata
    }
    for key, spec in specs.items():
        lineage = spec.metadata.get("dagster/column_lineage")
        for column, deps in lineage.deps_by_column.items() if lineage else ():
            assert column in columns[key]
            assert all(dep.column_name in columns[dep.asset_key] for dep in deps), (key, column)


def test_every_asset_tells_a_newcomer_what_it_is(feed_context: FeedContext) -> None:
    specs = [spec for asset in assets_of(feed_context) for spec in asset.specs]
    assert len(specs) == 12
    for spec in specs:
        assert spec.description
        assert "=" not in spec.description  # no value of ours as Python shows it
        assert spec.kinds
        assert (spec.group_name, spec.owners) == ("captures", ["team:market-data"])
    of_catalog = {spec.key.path[-1]: str(spec.description) for spec in specs if "catalog" in spec.key.path}
    for table in feed_context.tables:
        assert of_catalog[table.name].startswith(f"Catalog: `{table.form().cls}` for NautilusTrader: one ")
    for asset in assets_of(feed_context):
        assert all(check.description for check in asset.check_specs)


# ---------------------------------------------------------------- bad days


def test_a_blocked_trades_day_stops_neither_mark_nor_funding(blocked: Day) -> None:
    feed_context, result = blocked.feed_context, blocked.result
    assert not result.success
    blocked_too = {"captures/normalized/trade_tick", "captures/catalog/trade_tick"}
    assert made_of_days(result) == of_layer(feed_context, "raw", "normalized", "catalog") - blocked_too
    assert not catalog_files(feed_context, "trade_tick")
    assert all(catalog_files(feed_context, table) for table in TABLES[1:])


def test_a_blocked_day_fails_no_check_that_did_not_run(blocked: Day) -> None:
    check = evaluations(blocked.result)["captures/catalog/trade_tick", "reads_back_equal"]
    assert check.passed
    assert str(check.description).startswith("did not run")


def test_what_was_judged_of_a_blocked_day_can_be_looked_at(blocked: Day) -> None:
    (told,) = blocked.result.get_asset_observation_events()
    assert told.asset_key == key_of("captures/normalized/trade_tick")
    observed = told.asset_observation_data.asset_observation
    assert observed.partition == BTC_DAY
    assert observed.metadata["verdict"].value == "blocked"
    assert "chart" in observed.metadata


def test_the_first_screen_of_a_bad_day_says_where_and_how_to_look_further(blocked: Day) -> None:
    (told,) = blocked.result.get_asset_observation_events()
    found = told.asset_observation_data.asset_observation.metadata
    assert list(found)[:3] == ["verdict", "failed", "chart"]
    first, command = str(found["failed"].value).splitlines()[:2]
    line_of_it = next(
        number
        for number, text in enumerate(CONFLICT.splitlines(), 1)
        if f'"a":{BAD_ID}'.encode() in text.replace(b" ", b"")
    )
    assert first.startswith("**trade_ids_unique** (ERROR, 2 rows); first at ")
    assert f"day.jsonl:{line_of_it}" in first
    assert command.startswith("`hedgegrid ")
    command = command.strip("`").removeprefix("hedgegrid ")
    assert CliRunner().invoke(app, shlex.split(command)).exit_code in {0, 1}  # 1: the row is not in the catalog
    assert f"trace BTCUSDT-PERP.BINANCE trades {BAD_ID} " in command


def test_numbers_of_a_day_are_of_losses_and_zeros_are_left_out(clean: Day) -> None:
    found = metadata(clean.result, "captures/normalized/mark_price_update")
    assert not {name for name, value in found.items() if value == 0}
    assert "rejected" not in found
    trades = metadata(clean.result, "captures/normalized/trade_tick")
    assert trades.get("longest_gap_seconds", 0) <= trades.get("gap_seconds", 0)


def test_a_blocked_day_says_which_rule_failed_and_shows_the_rows(blocked: Day) -> None:
    result = blocked.result
    (said,) = failures(result).values()
    assert "BTCUSDT-PERP.BINANCE 2024-01-01 trade_tick is blocked" in said
    assert "trade_ids_unique" in said
    assert "hint: " in said
    (step,) = [event for event in result.all_events if event.is_step_failure]
    whole = str(step.step_failure_data.user_failure_data)
    assert "**trade_ids_unique** (ERROR, 2 rows); first at raw/websocket/day.jsonl:" in whole
    assert f"hedgegrid trace BTCUSDT-PERP.BINANCE trades {BAD_ID} " in whole
    check = evaluations(result)["captures/normalized/trade_tick", "no_duplicate_ids"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert (check.metadata["rows"].value, check.metadata["failed_rows"].value) == (str(len(BTC_IDS) + 1), "2")
    shown = str(check.metadata["first_bad"].value)
    assert "43000.10" in shown
    assert str(BAD_ID) in shown


def test_the_catalog_asset_alone_refuses_a_blocked_day(blocked: Day) -> None:
    feed_context = blocked.feed_context
    result = run(feed_context, blocked.instance, only=["captures/catalog/trade_tick"])
    assert not result.success
    assert "is blocked: expected every ERROR rule to pass" in failures(result)["captures/catalog/trade_tick"]
    assert not catalog_files(feed_context, "trade_tick")


def test_a_blocked_day_leaves_the_catalog_as_it_was(feed_context: FeedContext, instance: dg.DagsterInstance) -> None:
    drop(feed_context, CLEAN)
    run(feed_context, instance)
    before = catalog_files(feed_context, "trade_tick")
    drop(feed_context, CONFLICT)
    assert not run(feed_context, instance).success
    assert before
    assert catalog_files(feed_context, "trade_tick") == before


def test_a_bad_day_loses_only_itself(feed_context: FeedContext, instance: dg.DagsterInstance) -> None:
    conflict = day_of(1) + line(agg_trade(1_000, BAD_MS, p="1.00"), received(BAD_MS + 86_400_000))
    drop(feed_context, day_of(0) + conflict + day_of(2))
    success = [run(feed_context, instance, partition(number)).success for number in range(3)]
    assert success == [True, False, True]
    days = sorted(name.split("/")[1][:10] for name in catalog_files(feed_context, "trade_tick"))
    assert days == ["2024-01-01", "2024-01-03"]


def test_a_value_finer_than_the_definition_stops_its_table_with_the_way_out(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    coarse = CAPTURES.replace("BTCUSDT: {price_precision: 2", "BTCUSDT: {price_precision: 0")
    feed_context = feed_context_of(tmp_path, coarse)
    drop(feed_context, CLEAN)
    result = run(feed_context, instance)
    assert "hedgegrid instruments widen BTCUSDT-PERP.BINANCE" in failures(result)["captures/normalized/trade_tick"]
    check = evaluations(result)["captures/normalized/trade_tick", "rows_accounted_for"]
    assert not check.passed
    assert made_of_days(result) == of_layer(feed_context, "raw", "normalized", "catalog") - {
        "captures/normalized/trade_tick",
        "captures/catalog/trade_tick",
    }


@pytest.mark.parametrize("feed", ["", "    widen: auto\n"])
def test_a_finer_day_widens_its_instrument_in_the_same_run_where_the_feed_says_so(
    feed: str, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    captures = CAPTURES[: CAPTURES.index("    instruments:")] + feed
    feed_context = feed_context_of(tmp_path, captures)
    coarse = line(agg_trade(1, MIDNIGHT_MS + 1_000, p="42000", q="1"), received(MIDNIGHT_MS + 1_000))
    drop(feed_context, coarse)
    assert run(feed_context, instance, partition(0)).success
    drop(feed_context, day_of(1, marks=False), "finer.jsonl")
    result = run(feed_context, instance, partition(1))
    pinned = read_definitions(feed_context.places.catalog)["BTCUSDT-PERP.BINANCE"]
    if not feed:
        assert "`widen: auto`" in failures(result)["captures/normalized/trade_tick"]
        assert (pinned.price_precision, pinned.size_precision) == (0, 0)
        return
    assert result.success
    assert (pinned.price_precision, pinned.size_precision) == (1, 3)
    days = ParquetDataCatalog(str(feed_context.places.catalog)).trade_ticks()
    assert [(str(each.price), str(each.size)) for each in days] == [("42000.0", "1.000"), *[("42000.1", "0.012")] * 3]


# ---------------------------------------------------------------- raw


def test_a_channel_without_data_is_an_explicit_empty_day_and_green(
    feed_context: FeedContext, instance: dg.DagsterInstance
) -> None:
    drop(feed_context, day_of(0, marks=False))
    result = run(feed_context, instance)
    assert result.success
    assert made_of_days(result) == of_layer(feed_context, "raw", "normalized", "catalog")
    for asset in ("raw/markPrice", "normalized/mark_price_update", "catalog/funding_rate_update"):
        told = metadata(result, f"captures/{asset}")
        assert (told["dagster/partition_row_count"], told["empty"]) == (0, "no such data that day")
    empty = {key: found for key, found in evaluations(result).items() if "mark" in key[0].lower()}
    assert {found.description for found in empty.values()} == {"no such data that day"}
    assert all(found.passed for found in empty.values())
    assert not catalog_files(feed_context, "mark_price_update")


@pytest.mark.slow
def test_an_empty_day_becomes_a_full_one_when_its_data_come(
    feed_context: FeedContext, instance: dg.DagsterInstance
) -> None:
    drop(feed_context, day_of(0, marks=False))
    run(feed_context, instance)
    drop(feed_context, day_of(0))
    assert run(feed_context, instance).success
    assert metadata(run(feed_context, instance), "captures/catalog/mark_price_update")["dagster/row_count"] == 1


@pytest.mark.slow
def test_a_channel_that_has_gone_is_not_called_empty_while_the_catalog_has_its_day(
    feed_context: FeedContext, instance: dg.DagsterInstance
) -> None:
    drop(feed_context, day_of(0))
    run(feed_context, instance)
    drop(feed_context, day_of(0, marks=False))
    result = run(feed_context, instance)
    assert result.success
    assert made_of_days(result) == {
        *of_layer(feed_context, "raw"),
        *(f"captures/{layer}/trade_tick" for layer in ("normalized", "catalog")),
    }
    assert catalog_files(feed_context, "mark_price_update")


def test_a_day_without_any_data_fails_and_says_where_the_data_are(
    feed_context: FeedContext, instance: dg.DagsterInstance
) -> None:
    drop(feed_context, day_of(3))
    result = run(feed_context, instance)
    assert not result.success
    told = [each.materialization for each in result.get_asset_materialization_events()]
    assert {each.partition for each in told} == {None, partition(3)}  # what the import has brought
    said = failures(result)["captures__days"]
    assert said.startswith("No data fetched (BTCUSDT-PERP.BINANCE 2024-01-01 aggTrade, markPrice)")
    assert "files with trade need `settings: {trade_kind: trade}`" in said
    assert "2024-01-04" in said


@pytest.mark.slow
def test_a_damaged_raw_file_stops_its_channel_only(feed_context: FeedContext, instance: dg.DagsterInstance) -> None:
    drop(feed_context, CLEAN)
    run_import(feed_context, instance)
    raw = feed_context.held(RawKey("aggTrade", BTC, DAY))
    assert raw is not None
    local_file(raw.path).write_bytes(raw.path.read_bytes()[:-8] + b"\0" * 8)
    result = run(feed_context, instance)
    assert not result.success
    assert not evaluations(result)["captures/raw/aggTrade", "raw_intact"].passed
    assert "cannot be trusted" in failures(result)["captures/raw/aggTrade"]
    assert made_of_days(result) == of_layer(feed_context, "raw", "normalized", "catalog") - {
        f"captures/{name}" for name in ("raw/aggTrade", "normalized/trade_tick", "catalog/trade_tick")
    }
    assert {table for table in TABLES if catalog_files(feed_context, table)} == set(TABLES[1:])


def test_a_damaged_raw_file_fails_a_run_that_goes_no_further_than_raw(
    feed_context: FeedContext, instance: dg.DagsterInstance
) -> None:
    drop(feed_context, CLEAN)
    run_import(feed_context, instance)
    raw = feed_context.held(RawKey("aggTrade", BTC, DAY))
    assert raw is not None
    local_file(raw.path).write_bytes(raw.path.read_bytes()[:-1])
    result = run(feed_context, instance, only=["captures/raw/aggTrade", "captures/raw/markPrice"])
    assert not result.success
    assert "cannot be trusted" in failures(result)["captures/raw/aggTrade"]


@pytest.mark.parametrize(("transient", "asked"), [(True, 3), (False, 1)])
def test_only_a_fault_of_the_provider_that_may_pass_is_asked_again(
    transient: bool, asked: int, tmp_path: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = []

    def unreachable(*_: object) -> None:
        times.append(1)
        raise RemoteFault("trades of the day", "no answer", hint="look at the network", transient=transient)

    others = {**SOURCES, "synthetic": replace(SOURCES["synthetic"], fetch=unreachable)}
    monkeypatch.setattr(feed_contexts, "SOURCES", others)
    monkeypatch.setattr(results, "RETRY_AFTER_SECONDS", (0, 0))
    result = run(feed_context_of(tmp_path, SIM), instance, SIM_DAY)
    assert len(times) == asked
    assert failures(result)["sim/raw/aggTrade"].startswith("cannot fetch trades of the day: no answer")


# ---------------------------------------------------------------- what is stale


def versions(feed_context: FeedContext, instance: dg.DagsterInstance) -> dict[tuple[str, str], str]:
    """(asset, partition) -> its latest data version."""
    found = {}
    for name in of_layer(feed_context, "raw", "normalized", "catalog"):
        for record in reversed(instance.fetch_materializations(key_of(name), limit=100).records):
            event = record.asset_materialization
            assert event
            found[name, str(event.partition)] = (event.tags or {})["dagster/data_version"]
    return found


@pytest.mark.slow
def test_changed_raw_bytes_change_the_versions_of_exactly_their_partition(
    feed_context: FeedContext, instance: dg.DagsterInstance
) -> None:
    drop(feed_context, CLEAN)
    keys = (BTC_DAY, ETH_DAY)
    assert all(run(feed_context, instance, key).success for key in keys)
    before = versions(feed_context, instance)
    drop(feed_context, inserted(line(agg_trade(1040, BAD_MS + 700), received(BAD_MS + 700))))
    assert all(run(feed_context, instance, key).success for key in keys)
    after = versions(feed_context, instance)
    changed = {key for key in before if before[key] != after[key]}
    trades = ("raw/aggTrade", "normalized/trade_tick", "catalog/trade_tick")
    assert changed == {(f"captures/{name}", BTC_DAY) for name in trades}


def stale(feed_context: FeedContext, instance: dg.DagsterInstance) -> set[tuple[str, str]]:
    """(asset, partition) that the UI would call stale."""
    graph = definitions_of([feed_context]).resolve_asset_graph()
    resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
    return {
        (name, key)
        for name in of_layer(feed_context, "raw", "normalized", "catalog")
        for key in (BTC_DAY, ETH_DAY)
        if resolver.get_status(key_of(name), key) is StaleStatus.STALE
    }


@pytest.mark.slow
def test_an_import_makes_stale_what_is_made_of_the_raw_days_that_it_has_changed(
    feed_context: FeedContext, instance: dg.DagsterInstance
) -> None:
    drop(feed_context, CLEAN)
    assert all(run(feed_context, instance, key).success for key in (BTC_DAY, ETH_DAY))
    assert stale(feed_context, instance) == set()
    drop(feed_context, inserted(line(agg_trade(1040, BAD_MS + 700), received(BAD_MS + 700))))
    run_import(feed_context, instance)
    assert stale(feed_context, instance) == {("captures/normalized/trade_tick", BTC_DAY)}
    assert run(feed_context, instance, BTC_DAY).success
    assert stale(feed_context, instance) == set()


@pytest.mark.slow
def test_the_same_raw_bytes_give_the_same_versions_and_files(
    feed_context: FeedContext, instance: dg.DagsterInstance
) -> None:
    drop(feed_context, CLEAN)
    run(feed_context, instance)
    before, files = versions(feed_context, instance), catalog_files(feed_context, "trade_tick")
    run(feed_context, instance)
    assert (versions(feed_context, instance), catalog_files(feed_context, "trade_tick")) == (before, files)


# ---------------------------------------------------------------- landing and instruments


def test_a_landing_file_is_imported_once(feed_context: FeedContext, instance: dg.DagsterInstance) -> None:
    drop(feed_context, CLEAN)
    first, second = run_import(feed_context, instance), run_import(feed_context, instance)
    told = [metadata(result, "captures/landing") for result in (first, second)]
    assert [(found["files"], found["files_read"]) for found in told] == [(1, 1), (1, 0)]
    assert told[0]["lines"] == CLEAN.count(b"\n")
    assert told[0]["by_stream"]["aggTrade"] == 60
    assert made(first) == {"captures/landing", "captures/instruments", *of_layer(feed_context, "raw")}
    assert made(second) == {"captures/landing", "captures/instruments"}


def test_lines_of_symbols_that_the_feed_does_not_have_are_counted(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    feed_context = feed_context_of(
        tmp_path,
        CAPTURES.replace("[BTCUSDT, ETHUSDT]", "[BTCUSDT]").replace(
            "      ETHUSDT: {price_precision: 2, size_precision: 3, mark_precision: 8}\n", ""
        ),
    )
    drop(feed_context, CLEAN)
    assert metadata(run_import(feed_context, instance), "captures/landing")["unknown_symbols"] == {"ETHUSDT": 140}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_landing_file_is_named_and_the_others_land(
    name: str, feed_context: FeedContext, instance: dg.DagsterInstance
) -> None:
    data, suffix = DAMAGED[name]
    drop(feed_context, data, f"bad{suffix}")
    drop(feed_context, CLEAN, "good.jsonl")
    result = run_import(feed_context, instance)
    assert not result.success
    assert f"bad{suffix} cannot be trusted" in failures(result)["captures__landing"]
    assert run(feed_context, instance).success
    assert catalog_files(feed_context, "trade_tick")


def test_instruments_are_told_as_a_table_with_those_that_are_not_known_yet(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    feed_context = feed_context_of(tmp_path, CAPTURES.split("    instruments:", maxsplit=1)[0])
    drop(feed_context, day_of(0))
    found = metadata(run_import(feed_context, instance), "captures/instruments")
    assert [record.data["id"] for record in found["instruments"]] == ["BTCUSDT-PERP.BINANCE"]
    assert list(found["unknown"]) == ["ETHUSDT"]
