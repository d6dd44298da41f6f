"""A feed whose data and catalog are in a bucket: made by Dagster, judged, read by NautilusTrader, played; equal to a disk's."""

import hashlib
import json
from pathlib import Path
from typing import Any, Final

import dagster as dg
import pytest

from hedgegrid_assets import catalog_config, read_frame, validate_catalog
from hedgegrid_assets.backtest.run import run_backtest
from hedgegrid_assets.backtest.setup import read_setup
from hedgegrid_assets.cli import run as command
from hedgegrid_assets.config.feeds import read_feeds
from hedgegrid_assets.defs.backfill import Outcome, backfill
from hedgegrid_assets.errors import FeedsFileError
from hedgegrid_assets.store import StorePath, stored
from hedgegrid_assets_tests.standins import s3

ROOT: Final = Path(__file__).parents[2]
ID: Final = "BTCUSDT-PERP.SIM"
FEED: Final = """\
feeds:
  sim:
    source: synthetic
    venue: SIM
    symbols: [BTCUSDT]
    start: 2024-01-01
    end: 2024-01-03
    settings: {trades_per_day: 500}
"""

s3_server = s3.s3_server


@pytest.fixture
def bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    s3.use_server(s3_server, monkeypatch, tmp_path)
    return f"s3://{s3.new_bucket()}"


def feeds_of(folder: Path, *lines: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "feeds.yaml"
    path.write_text("\n".join(["version: 1", *lines, FEED]))
    return path


def made(feeds: Path) -> list[Outcome]:
    with dg.DagsterInstance.ephemeral() as instance:
        done = backfill("sim", instance=instance, feeds=feeds, data=feeds.parent / "data")
    assert done.ok
    return [day.outcome for day in done.days]


def content(root: StorePath) -> dict[str, bytes]:
    """What does not tell when or where it was made."""
    return {path.below(root): path.read_bytes() for path in root.tree() if path.name.endswith((".parquet", ".zst"))}


def played(catalog: str, folder: Path) -> str:
    configs = ROOT / "configs"
    run = configs / "backtest" / "btcusdt_mark_trades_funding.yaml"
    setup = read_setup(run, configs / "strategies" / "hedge_grid_v1.yaml", catalog=Path(catalog), allow_gaps=True)
    return str(run_backtest(setup, folder / "artifacts", "run").result["result_hash"])


def by_nautilus(catalog: str) -> str:
    """What a strategy of NautilusTrader's own node is given, digested."""
    from nautilus_trader.persistence.catalog import ParquetDataCatalog

    found = ParquetDataCatalog(**catalog_config(catalog))
    trades = found.trade_ticks(instrument_ids=[ID])
    marks = found.query(_class_of("MarkPriceUpdate"), identifiers=[ID])
    assert found.instruments(instrument_ids=[ID])
    told = json.dumps([type(each).to_dict(each) for each in [*trades, *marks]], default=str)
    return hashlib.sha256(told.encode()).hexdigest()


def by_node(catalog: str) -> tuple[int, str]:
    """Events that NautilusTrader's BacktestNode takes from it, and what it says of the account at the end."""
    from nautilus_trader.backtest.config import BacktestEngineConfig, BacktestRunConfig, BacktestVenueConfig
    from nautilus_trader.backtest.node import BacktestDataConfig, BacktestNode
    from nautilus_trader.config import LoggingConfig
    from nautilus_trader.model.data import TradeTick

    data = BacktestDataConfig(data_cls=TradeTick, instrument_id=ID, **catalog_config(catalog, "catalog_"))
    venue = BacktestVenueConfig(
        name="SIM", oms_type="HEDGING", account_type="MARGIN", starting_balances=["1000 USDT"], base_currency="USDT"
    )
    engine = BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True))
    node = BacktestNode([BacktestRunConfig(engine=engine, venues=[venue], data=[data], raise_exception=True)])
    (result,) = node.run()
    return result.iterations, str(result.stats_pnls)


def _class_of(name: str) -> Any:
    import nautilus_trader.model.data as data

    return getattr(data, name)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of s3fs, Nautilus and Dagster
def test_a_feed_in_a_bucket_gives_what_it_gives_on_a_disk(
    bucket: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = feeds_of(tmp_path / "disk")
    there = feeds_of(tmp_path / "bucket", f"data: {bucket}/data", f"catalog: {bucket}/catalog")
    assert made(here) == made(there) == [Outcome.DONE] * 2
    disk, catalog = str(here.parent / "data" / "catalog"), f"{bucket}/catalog"
    assert content(stored(catalog)) == content(stored(disk))
    raw = content(stored(f"{bucket}/data"))
    assert raw == {
        name: data for name, data in content(stored(here.parent / "data")).items() if not name.startswith("catalog/")
    }
    assert made(there) == [Outcome.FRESH] * 2
    assert not (there.parent / "data" / "catalog").exists()

    assert validate_catalog(catalog, deep=True).ok
    assert read_frame(ID, "trades", catalog=catalog).equals(read_frame(ID, "trades", catalog=disk))
    assert command(["status", "--feeds", str(there), "--data", str(there.parent / "data"), "--offline", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["catalog"] == catalog

    assert by_nautilus(catalog) == by_nautilus(disk)
    assert by_node(catalog) == by_node(disk)
    assert played(catalog, there.parent) == played(disk, here.parent)
    assert command(["instruments", "widen", ID, "--price-precision", "9", "--catalog", catalog]) == 2
    assert "needs a disk" in capsys.readouterr().err


def test_a_bucket_alone_is_named_as_a_place_of_data(tmp_path: Path) -> None:
    with pytest.raises(
        FeedsFileError, match=r"catalog: expected an address, as s3://bucket/prefix .* found '/srv/data'"
    ):
        read_feeds(feeds_of(tmp_path, "catalog: /srv/data"))


def test_a_catalog_lies_beside_its_data_unless_it_is_said(tmp_path: Path) -> None:
    beside = read_feeds(feeds_of(tmp_path, "data: s3://b/data")).roots.absolute(tmp_path)
    assert (str(beside.data), str(beside.catalog), beside.home) == ("s3://b/data", "s3://b/data/catalog", tmp_path)
    alone = read_feeds(feeds_of(tmp_path, "catalog: s3://b/c")).roots.absolute(tmp_path)
    assert (str(alone.data), str(alone.catalog), alone.home) == (str(tmp_path), "s3://b/c", tmp_path)


def test_nautilus_gets_a_folder_by_its_path_and_a_bucket_by_options_for_both_of_its_readers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("s3fs", reason="no s3fs: make servers")
    assert catalog_config(tmp_path) == {"path": str(tmp_path)}
    s3.use_server("http://127.0.0.1:1", monkeypatch, tmp_path)
    found = catalog_config("s3://b/c", "catalog_")
    assert found["catalog_path"] == "b/c"
    assert found["catalog_fs_storage_options"]["client_kwargs"]["endpoint_url"] == "http://127.0.0.1:1"
    assert found["catalog_fs_rust_storage_options"]["allow_http"] == "true"
