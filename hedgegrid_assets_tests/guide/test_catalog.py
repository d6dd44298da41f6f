"""Rows of the guide about the catalog that stands at the end: three days of the archives' stand-in."""

import json
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem
from nautilus_trader.model.data import FundingRateUpdate, MarkPriceUpdate, TradeTick
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from hedgegrid_assets.cli import run
from hedgegrid_assets.sources.client import limits
from hedgegrid_assets_tests.archive_cases import QUICK, convert, fresh_standin, month_of
from hedgegrid_assets_tests.guide.home import ID, catalog, table, trades
from hedgegrid_assets_tests.standins.archive import rows_in

FIRST, END = (pd.Timestamp(day, tz="UTC") for day in ("2024-01-01", "2024-01-04"))
QUALITY = """
from nautilus_trader.persistence.catalog import ParquetDataCatalog
import pandas as pd

# Load catalog
catalog = ParquetDataCatalog("./data/catalog")

# Check instruments
instruments = catalog.instruments()
print(f"Instruments: {len(instruments)}")
for inst in instruments:
    print(f"  {inst.id}")

# Check trade ticks
trades = catalog.trade_ticks(
    instrument_ids=["BTCUSDT-PERP.BINANCE"],
    start=pd.Timestamp("2024-01-01", tz="UTC"),
    end=pd.Timestamp("2024-01-04", tz="UTC")
)
print(f"Trade ticks: {len(trades):,}")

# Check custom data
mark_df = pd.read_parquet("./data/catalog/BTCUSDT-PERP.BINANCE/mark_price.parquet")
print(f"Mark prices: {len(mark_df):,}")

funding_df = pd.read_parquet("./data/catalog/BTCUSDT-PERP.BINANCE/funding_rate.parquet")
print(f"Funding rates: {len(funding_df):,}")
"""
INTEGRITY = """
# Check for gaps in trade data
trades_df = pd.DataFrame([{
    'timestamp': t.ts_event,
    'price': float(t.price),
    'size': float(t.size)
} for t in trades])

trades_df['timestamp'] = pd.to_datetime(trades_df['timestamp'], unit='ns')
trades_df = trades_df.set_index('timestamp')

# Check for large time gaps (>1 minute)
gaps = trades_df.index.to_series().diff()
large_gaps = gaps[gaps > pd.Timedelta(minutes=1)]
print(f"Large gaps: {len(large_gaps)}")
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("guide")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "in_force", QUICK)
        assert convert(folder, fresh_standin(), "--quiet", start="2024-01-01", end="2024-01-04") == 0
    (folder / "data/catalog").symlink_to(folder / "catalog")  # where the guide has it
    return folder


def _go(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Into the folder; Nautilus keeps what a relative path meant to whoever asked first."""
    monkeypatch.chdir(home)
    for kind in (DirFileSystem, LocalFileSystem):
        kind.clear_instance_cache()


def test_row_001_nautilus_opens_the_catalog(home: Path) -> None:
    assert [str(each.id) for each in catalog(home).instruments()] == [ID]
    assert len(trades(home)) == 1_800


def test_row_004_funding_rates_are_those_of_the_source(home: Path) -> None:
    found = catalog(home).query(FundingRateUpdate, identifiers=[ID])
    body = fresh_standin().library.body(month_of("fundingRate"))
    assert body is not None
    rates = [row.split(",")[2].rstrip("0") for row in rows_in(body)[1:10]]
    assert [str(each.rate) for each in found] == rates


def test_row_012_three_days_and_no_more(home: Path) -> None:
    times = [each.ts_init for each in trades(home)]
    assert FIRST.value <= min(times) < max(times) < END.value
    assert len(list((home / "catalog" / ID / "trade_tick.parquet").iterdir())) == 3


def test_row_013_trades_are_one_table_for_pandas(home: Path) -> None:
    assert len(table(home, "trade_tick")) == len(trades(home))


def test_row_014_mark_prices_are_one_table(home: Path) -> None:
    assert {"ts_event", "mark_price"} <= set(table(home, "mark_price").columns)


def test_row_015_funding_rates_are_one_table(home: Path) -> None:
    assert {"ts_event", "funding_rate", "next_funding_time"} <= set(table(home, "funding_rate").columns)


def test_row_016_instruments_are_one_file(home: Path) -> None:
    assert ID in pq.read_table(home / "catalog/instruments.parquet").column("id").to_pylist()


def test_row_075_the_printed_entries_are_there(home: Path) -> None:
    printed = ("trade_tick.parquet", "mark_price.parquet", "funding_rate.parquet")
    assert all((home / "catalog" / ID / name).is_dir() for name in printed)
    assert (home / "catalog/instruments.parquet").is_file()


def test_row_076_the_snippet_on_quality_runs_as_printed(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _go(home, monkeypatch)
    exec(QUALITY, {})
    told = capsys.readouterr().out
    assert f"Instruments: 1\n  {ID}\nTrade ticks: 1,800\nMark prices: 4,320\nFunding rates: 9\n" in told


def test_row_077_a_query_to_the_end_gives_no_row_of_the_next_day(home: Path) -> None:
    found = catalog(home).trade_ticks(instrument_ids=[ID], start=FIRST, end=END)
    assert len(found) == 1_800
    assert found[-1].ts_init < END.value


def test_row_078_mark_prices_are_read_by_pandas(home: Path) -> None:
    assert len(table(home, "mark_price")) == len(catalog(home).query(MarkPriceUpdate, identifiers=[ID])) == 4_320


def test_row_079_funding_rates_are_read_by_pandas(home: Path) -> None:
    assert len(table(home, "funding_rate")) == 9


def test_row_080_the_snippet_on_integrity_builds_its_frame(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _go(home, monkeypatch)
    names: dict[str, object] = {}
    exec(QUALITY + INTEGRITY, names)
    frame = names["trades_df"]
    assert isinstance(frame, pd.DataFrame)
    assert len(frame) == 1_800


def test_row_081_snippet_and_product_see_the_same_silences(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _go(home, monkeypatch)
    names: dict[str, object] = {}
    exec(QUALITY + INTEGRITY, names)
    large = names["large_gaps"]
    assert isinstance(large, pd.Series)
    assert len(large) > 0
    capsys.readouterr()
    assert run(["validate", str(home / "catalog"), "--table", "trades"]) == 0
    assert f"steps of more than a minute between trades: {len(large)}" in capsys.readouterr().out


def test_row_082_validate_says_what_the_snippets_do(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", str(home / "catalog"), "--json"]) == 0
    told = json.dumps(json.loads(capsys.readouterr().out))
    assert told.count('"complete"') >= 12


def test_row_101_a_later_run_adds_days_and_touches_none(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "in_force", QUICK)
    files = {path: path.read_bytes() for path in (home / "catalog/data/trade_tick" / ID).iterdir()}
    before = len(trades(home))
    assert (
        convert(home, fresh_standin(), "--quiet", "--data-types", "trades", start="2024-01-03", end="2024-01-05") == 0
    )
    assert {path: path.read_bytes() for path in files} == files
    found = [str(each.trade_id) for each in trades(home)]
    assert len(found) == len(set(found)) == before + 600
    for path in set((home / "catalog/data/trade_tick" / ID).iterdir()) - set(files):
        path.unlink()
    (home / "catalog" / ID / "trade_tick.parquet/2024-01-04.parquet").unlink()
    (home / "catalog" / ID / "trade_tick.verdict/2024-01-04.json").unlink()


def test_row_102_no_id_twice(home: Path) -> None:
    ids = pd.Series([str(each.trade_id) for each in trades(home)])
    assert not ids.duplicated().any()


def test_row_103_in_order_of_arrival(home: Path) -> None:
    assert pd.Series([each.ts_init for each in trades(home)]).is_monotonic_increasing


def test_row_104_prices_above_zero(home: Path) -> None:
    assert all(float(each.price) > 0 for each in trades(home))


def test_row_113_compression_is_chosen_and_can_be_set(home: Path) -> None:
    (file, *_) = (home / "catalog/data/trade_tick" / ID).iterdir()
    assert pq.read_metadata(file).row_group(0).column(0).compression == "ZSTD"


def test_row_114_one_native_file_a_day(home: Path) -> None:
    names = sorted(path.name[:10] for path in (home / "catalog/data/trade_tick" / ID).iterdir())
    assert names == ["2024-01-01", "2024-01-02", "2024-01-03"]


def test_row_112_csv_gz_gives_the_same_rows(home: Path, tmp_path: Path) -> None:
    """What is read besides: extra columns are ignored."""
    frame = table(home, "trade_tick").head(50)
    text = frame[["ts_event", "price", "size", "aggressor_side", "trade_id"]].assign(extra="x")
    text["ts_event"] = text["ts_event"].astype("int64")
    text = text.rename(columns={"ts_event": "timestamp", "aggressor_side": "side", "trade_id": "id"})
    text["side"] = text["side"].astype(str).map({"BUYER": "buy", "SELLER": "sell"})
    ticks: list[list[TradeTick]] = []
    for name in ("plain.csv", "packed.csv.gz"):
        folder = tmp_path / name
        folder.mkdir()
        text.to_csv(folder / name, index=False)
        words = ["--source", "csv", "--symbol", "BTCUSDT", "--market", "usdm", "--input", str(folder / name), "--quiet"]
        assert (
            run(["replay-to-parquet", *words, "--data", str(folder / "data"), "--output", str(folder / "catalog")]) == 0
        )
        ticks.append(list(ParquetDataCatalog(str(folder / "catalog")).trade_ticks()))
    assert len(ticks[0]) == 50
    assert [str(each) for each in ticks[0]] == [str(each) for each in ticks[1]]
