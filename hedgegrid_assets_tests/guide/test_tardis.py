"""Rows of the guide about Tardis, against the local stand-in."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from hedgegrid_assets import run_pipeline
from hedgegrid_assets.cli import run
from hedgegrid_assets_tests.guide.home import ID
from hedgegrid_assets_tests.standins.tardis import KEY, Fault, Standin
from hedgegrid_assets_tests.tardis_cases import named_standin

pytestmark = pytest.mark.slow


@pytest.fixture
def server(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> Standin:
    """An empty working directory, a key in the environment, and the stand-in for Tardis."""
    assert workdir == Path.cwd()
    return named_standin(monkeypatch)


def trades(*more: str, symbol: str = "BTCUSDT", start: str = "2024-01-01", end: str = "2024-01-02") -> int:
    """The guide's command, for trades alone."""
    words = ["--source", "tardis", "--symbol", symbol, "--start", start, "--end", end, "--data-types", "trades"]
    return run(["replay-to-parquet", *words, *more])


def config(**settings: Any) -> str:
    Path("my_config.json").write_text(json.dumps(settings))
    return "my_config.json"


def ids() -> list[str]:
    return sorted(str(each.id) for each in ParquetDataCatalog(str(Path("data/catalog").absolute())).instruments())


def refused(capsys: pytest.CaptureFixture[str], code: int) -> str:
    assert code != 0
    return capsys.readouterr().err


@pytest.mark.usefixtures("server")
def test_row_005_tardis_is_a_source() -> None:
    assert trades() == 0


def test_row_010_the_key_of_the_environment_is_sent_and_never_written(server: Standin) -> None:
    assert trades() == 0
    assert server.log[0].headers["Authorization"] == f"Bearer {KEY}"
    assert not [path for path in Path("data").rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]


def test_row_021_exchanges_have_their_venues(server: Standin) -> None:
    del server
    for exchange, symbol in (("bybit", "BTCUSDT"), ("okex-swap", "BTC-USDT-SWAP"), ("deribit", "BTC-PERPETUAL")):
        assert trades("--config", config(exchange=exchange), symbol=symbol) == 0
    assert trades() == 0
    assert ids() == sorted(["BTCUSDT-LINEAR.BYBIT", "BTC-USDT-SWAP.OKEX", "BTC-PERPETUAL.DERIBIT", ID])


def test_row_022_a_second_run_asks_for_nothing(server: Standin) -> None:
    assert trades() == 0
    server.clear()
    assert trades() == 0
    assert server.log == []


@pytest.mark.usefixtures("server")
def test_row_024_without_a_key_paid_days_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TARDIS_API_KEY")
    assert "Tardis API key required" in refused(capsys, trades(start="2024-01-02", end="2024-01-03"))


def test_row_025_a_limit_that_ends_soon_is_waited_for(server: Standin) -> None:
    server.inject(Fault("status", path="/trades/", status=429, retry_after="1"))
    assert trades() == 0
    assert len(server.requests("/trades/")) == 2


def test_row_026_a_connection_that_drops_is_made_again(server: Standin) -> None:
    server.inject(Fault("reset", path="/trades/"))
    assert trades() == 0
    assert len(server.requests("/trades/")) == 2
    assert not list(Path("data").rglob("*.part*"))


def test_row_027_the_full_command_as_printed(server: Standin) -> None:
    """Of its six days the free one."""
    del server
    words = ["--source", "tardis", "--symbol", "BTCUSDT", "--start", "2024-01-01", "--end", "2024-01-02"]
    assert run(["replay-to-parquet", *words, "--output", "./data/catalog", "--data-types", "trades,mark,funding"]) == 0


def test_row_029_each_symbol_has_its_folders(server: Standin) -> None:
    del server
    for symbol in ("ETHUSDT", "SOLUSDT"):
        assert trades(symbol=symbol) == 0
    assert {path.name for path in Path("data/catalog/data/trade_tick").iterdir()} == {
        "ETHUSDT-PERP.BINANCE",
        "SOLUSDT-PERP.BINANCE",
    }


def test_row_033_the_key_of_the_configuration_wins(server: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    server.keys = {"of-the-config": None}
    monkeypatch.setenv("TARDIS_API_KEY", "of-the-environment")
    assert trades("--config", config(api_key="of-the-config"), start="2024-01-02", end="2024-01-03") == 0


def test_row_034_the_usual_exchange_is_binance_futures(server: Standin) -> None:
    assert trades() == 0
    assert "/binance-futures/" in server.log[0].target


def test_row_035_what_is_fetched_lies_in_cache_dir(server: Standin) -> None:
    del server
    assert trades("--config", config(cache_dir="./tardis_cache")) == 0
    assert list(Path("tardis_cache").rglob("*.csv.gz"))
    assert not list(Path("data/cache").rglob("*.csv.gz"))


def test_row_036_the_printed_configuration_is_one(server: Standin) -> None:
    del server
    assert trades("--config", config(api_key=KEY, exchange="binance-futures", cache_dir="./tardis_cache")) == 0


def test_row_064_without_data_types_all_that_is_usual_is_made(server: Standin) -> None:
    del server
    words = ["--source", "tardis", "--symbol", "ETHUSDT", "--start", "2024-02-01", "--end", "2024-02-02"]
    assert run(["replay-to-parquet", *words, "--output", "./data/catalog"]) == 0
    made = {path.name for path in Path("data/catalog/data").iterdir()}
    assert {"trade_tick", "mark_price_update", "funding_rate_update"} <= made


def test_row_065_all_options_as_printed(server: Standin) -> None:
    del server
    path = config(exchange="binance-futures")
    assert trades("--output", "./data/catalog", "--exchange", "BINANCE", "--config", path, symbol="ETHUSDT") == 0


def test_row_066_exchange_sets_the_venue(server: Standin) -> None:
    del server
    assert trades("--exchange", "BINANCE", symbol="ETHUSDT") == 0
    assert ids() == ["ETHUSDT-PERP.BINANCE"]


def test_row_067_the_configuration_may_be_yaml(server: Standin) -> None:
    del server
    Path("my_config.yaml").write_text("exchange: binance-futures\n")
    assert trades("--config", "my_config.yaml") == 0


def test_row_068_each_instrument_has_its_own_tick(server: Standin) -> None:
    del server
    for symbol in ("BTCUSDT", "ETHUSDT"):
        assert trades(symbol=symbol) == 0
    found = ParquetDataCatalog(str(Path("data/catalog").absolute())).instruments()
    assert {str(each.id): str(each.price_increment) for each in found} == {ID: "0.1", "ETHUSDT-PERP.BINANCE": "0.01"}


def test_row_070_the_coroutine_runs_in_a_loop(server: Standin) -> None:
    del server
    asyncio.run(run_pipeline("tardis", "BTCUSDT", "2024-01-01", "2024-01-02", data_types=["trades"]))
    assert ids() == [ID]


def test_row_072_source_config_is_as_the_guide_prints_it(server: Standin) -> None:
    del server
    given = {"exchange": "binance-futures", "cache_dir": "./cache"}
    asyncio.run(
        run_pipeline(
            source_type="tardis",
            symbol="BTCUSDT",
            start_date="2024-01-01",
            end_date="2024-01-02",
            output_path="./data/catalog",
            data_types=["trades"],
            source_config=given,
        )
    )
    assert list(Path("cache").rglob("*.csv.gz"))


def test_row_073_exchange_is_a_word_of_the_coroutine(server: Standin) -> None:
    del server
    days = ("2024-01-01", "2024-01-02")
    asyncio.run(run_pipeline("tardis", "BTCUSDT", *days, data_types=["trades"], exchange="BINANCE"))
    assert ids() == [ID]


def test_row_074_a_loop_over_three_symbols_fills_one_catalog(server: Standin) -> None:
    del server
    for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT"):
        assert trades(symbol=symbol) == 0
    assert ids() == [f"{symbol}-PERP.BINANCE" for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT")]


@pytest.mark.usefixtures("server")
def test_row_084_the_guides_words_for_a_missing_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TARDIS_API_KEY")
    assert "Tardis API key required" in refused(capsys, trades(start="2024-01-02", end="2024-01-03"))


@pytest.mark.parametrize("by", ["environment", "configuration"])
def test_row_085_a_key_clears_that_error(by: str, server: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    del server
    monkeypatch.delenv("TARDIS_API_KEY")
    if by == "environment":
        monkeypatch.setenv("TARDIS_API_KEY", KEY)
    more = ["--config", config(api_key=KEY)] if by == "configuration" else []
    assert trades(*more, start="2024-01-02", end="2024-01-03") == 0


@pytest.mark.usefixtures("server")
def test_row_086_the_guides_words_for_no_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert "No data fetched" in refused(capsys, trades(symbol="NOSUCHUSDT"))


@pytest.mark.usefixtures("server")
def test_row_087_a_symbol_in_lower_case_is_taken_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert trades(symbol="btcusdt") == 0
    assert "BTCUSDT" in capsys.readouterr().err


@pytest.mark.usefixtures("server")
def test_row_088_days_before_the_data_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert "available since" in refused(capsys, trades(start="2018-01-02", end="2018-01-03"))


def test_row_089_a_limit_that_lasts_is_told_with_its_end(server: Standin, capsys: pytest.CaptureFixture[str]) -> None:
    server.inject(Fault("status", path="/trades/", status=429, retry_after="7200", times=None))
    assert "rate limit reached (429): it asks to wait 7,200 s" in refused(capsys, trades())


@pytest.mark.usefixtures("server")
def test_row_091_the_launch_of_the_exchange_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert "2019" in refused(capsys, trades(start="2018-01-01", end="2018-01-02"))


def test_row_110_only_what_is_asked_for_is_fetched(server: Standin) -> None:
    assert trades() == 0
    assert not server.requests("derivative_ticker")


def test_row_111_days_of_one_call_are_fetched_together(server: Standin) -> None:
    server.delay_seconds = 0.05
    assert trades("--jobs", "4", end="2024-01-05") == 0
    assert server.most_at_once("/trades/") >= 2
