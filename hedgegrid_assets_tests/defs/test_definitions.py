"""The door for Dagster: which feeds come in, and what ``dagster`` on the command line makes of them."""

import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import dagster as dg
import pytest

from hedgegrid_assets.defs import load
from hedgegrid_assets.defs.partitions import dates_of, partitions_of
from hedgegrid_assets.errors import FeedsFileError
from hedgegrid_assets_tests.dagster_feeds import (
    BTC_DAY,
    CAPTURES,
    SIM,
    SIM_DAY,
    catalog_files,
    drop,
    feed_context_of,
    write_feeds,
)
from hedgegrid_assets_tests.scenario import VARIANTS

REPOSITORY: Final = Path(__file__).parents[2]
DAGSTER: Final = Path(sys.executable).parent / "dagster"


def keys(definitions: dg.Definitions) -> set[str]:
    return {key.to_user_string() for key in definitions.resolve_asset_graph().get_all_asset_keys()}


def test_the_shipped_feeds_become_assets_jobs_and_a_sensor(tmp_path: Path) -> None:
    definitions = load(REPOSITORY / "feeds.yaml", tmp_path)
    dg.Definitions.validate_loadable(definitions)
    repository = definitions.get_repository_def()
    assert {"sim/raw/aggTrade", "sim/normalized/trade_tick", "sim/catalog/funding_rate_update"} <= keys(definitions)
    assert {"captures/landing", "captures/instruments", "sim/instruments"} <= keys(definitions)
    assert {"sim_days", "captures_days", "captures_import"} <= set(repository.job_names)
    assert [sensor.name for sensor in repository.sensor_defs] == ["captures_landing"]
    assert repository.get_sensor_def("captures_landing").default_status is dg.DefaultSensorStatus.RUNNING


def test_partition_keys_are_date_and_instrument(tmp_path: Path) -> None:
    definitions = load(REPOSITORY / "feeds.yaml", tmp_path)
    partitions = definitions.resolve_job_def("sim_days").partitions_def
    assert partitions
    assert list(partitions.get_partition_keys()) == [f"2024-01-0{day}|BTCUSDT-PERP.SIM" for day in (1, 2, 3)]


def test_partitions_of_a_feed_that_lands_include_today(tmp_path: Path) -> None:
    today = datetime.now(UTC).date()
    for feed_context, last in (
        (feed_context_of(tmp_path), today),
        (feed_context_of(tmp_path, SIM.replace("    end: 2024-01-04\n", "")), today - timedelta(days=1)),
    ):
        partitions = partitions_of(feed_context)
        dates = [str(day) for day in dates_of(feed_context, today)]
        assert dates[-1] == str(last)
        assert dates == sorted({key.split("|")[0] for key in partitions.get_partition_keys()})


def test_all_layers_of_a_day_run_in_one_process(tmp_path: Path) -> None:
    definitions = load(REPOSITORY / "feeds.yaml", tmp_path)
    for name in ("sim_days", "captures_import", "__ASSET_JOB"):
        job = definitions.get_repository_def().get_job(name)
        assert job.executor_def.name == "in_process"


def test_a_missing_feeds_file_gives_nothing_but_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert not keys(load(tmp_path / "feeds.yaml", tmp_path))
    assert f"expected {tmp_path}/feeds.yaml, found no such file" in caplog.text


def test_a_bad_feed_is_named_and_the_others_are_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    feeds = write_feeds(tmp_path, CAPTURES.replace("venue:", "venu:"), SIM)
    with caplog.at_level(logging.WARNING):
        found = keys(load(feeds, tmp_path))
    assert {key.split("/")[0] for key in found} == {"sim"}
    assert "feed captures is left out" in caplog.text
    assert "feeds.captures.venu" in caplog.text


def test_a_file_that_is_no_yaml_is_an_error_that_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "feeds.yaml").write_text("version: 1\nfeeds: [\n")
    with pytest.raises(FeedsFileError, match=r"feeds\.yaml is not usable: line 3"):
        load(tmp_path / "feeds.yaml", tmp_path)


# ---------------------------------------------------------------- dagster on the command line


def dagster(root: Path, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """The command, in a folder that has a feeds.yaml."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HEDGEGRID_", "DAGSTER_"))}
    return subprocess.run(
        [str(DAGSTER), *arguments], cwd=root, env=environment, capture_output=True, text=True, check=False
    )


def materialize(root: Path, select: str, partition: str) -> subprocess.CompletedProcess[str]:
    """``dagster asset materialize``, as README and CI have it."""
    module = ["-m", "hedgegrid_assets.definitions"]
    return dagster(root, ["asset", "materialize", *module, "--select", select, "--partition", partition])


@pytest.mark.slow
def test_materialize_of_a_whole_feed_exits_0(tmp_path: Path) -> None:
    feed_context = feed_context_of(tmp_path, SIM)
    done = materialize(tmp_path, 'key:"sim/*"', SIM_DAY)
    assert done.returncode == 0, done.stderr
    assert len(catalog_files(feed_context, "trade_tick")) == 1
    assert "PreviewWarning" not in done.stderr


@pytest.mark.slow
def test_materialize_exits_1_when_an_error_rule_fails_and_the_other_tables_land(tmp_path: Path) -> None:
    feed_context = feed_context_of(tmp_path)
    drop(feed_context, VARIANTS["same id, other content"].data)
    done = materialize(tmp_path, 'key:"captures/*"', BTC_DAY)
    assert done.returncode == 1
    assert "trade_tick is blocked" in done.stderr
    assert not catalog_files(feed_context, "trade_tick")
    assert catalog_files(feed_context, "mark_price_update")
    assert catalog_files(feed_context, "funding_rate_update")


@pytest.mark.slow
def test_the_workspace_loads_from_another_working_directory(tmp_path: Path) -> None:
    write_feeds(tmp_path, SIM)
    done = dagster(tmp_path, ["definitions", "validate", "-w", str(REPOSITORY / "workspace.yaml")])
    assert done.returncode == 0, done.stderr
    assert "All code locations passed validation" in done.stdout


@pytest.mark.slow
def test_dg_checks_lists_and_launches_quietly_and_exits_1_on_a_bad_day(tmp_path: Path) -> None:
    feed_context = feed_context_of(tmp_path)
    drop(feed_context, VARIANTS["same id, other content"].data)
    quiet = '{"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}'
    environment = os.environ | {
        "HEDGEGRID_FEEDS": str(tmp_path / "feeds.yaml"),
        "HEDGEGRID_DATA": str(feed_context.places.data),
    }

    def dg_does(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(DAGSTER.with_name("dg")), *arguments]
        return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)

    assert "All definitions loaded successfully" in dg_does("check", "defs").stdout
    assert "captures/catalog/trade_tick" in dg_does("list", "defs", "--json").stdout
    done = dg_does("launch", "--assets", 'key:"captures/*"', "--partition", BTC_DAY, "--config-json", quiet)
    assert done.returncode == 1
    assert " - DEBUG - " not in done.stderr
    assert catalog_files(feed_context, "mark_price_update")
