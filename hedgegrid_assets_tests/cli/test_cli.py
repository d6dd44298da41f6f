"""The command line from outside: real files in, a real catalog out, exit codes and words as promised."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from hedgegrid_assets.cli import run
from hedgegrid_assets.tables import TOKENS

REPOSITORY = Path(__file__).parents[2]
MIDNIGHT_MS = 1_704_067_200_000


def trade(number: int, price: str = "42000.10", size: str = "0.001", second: int | None = None) -> str:
    """One aggTrade of BTCUSDT, a second after the one before."""
    ms = MIDNIGHT_MS + (number if second is None else second) * 1_000
    return (
        f'{{"stream":"btcusdt@aggTrade","data":{{"e":"aggTrade","E":{ms},"s":"BTCUSDT","a":{number},"p":"{price}",'
        f'"q":"{size}","f":{number},"l":{number},"T":{ms},"m":true}}}}\n'
    )


@pytest.fixture
def home(workdir: Path) -> Path:
    """A working directory with a capture of 100 trades."""
    landing = workdir / "data/raw/websocket"
    landing.mkdir(parents=True)
    (landing / "trades.jsonl").write_text("".join(trade(number) for number in range(1, 101)))
    return workdir


def replay(*more: str) -> list[str]:
    """The guide's command for the capture."""
    return ["replay-to-parquet", "--source", "websocket", "--symbol", "BTCUSDT", *more]


def test_a_capture_in_the_landing_zone_becomes_a_catalog_that_nautilus_reads(home: Path) -> None:
    assert run(replay()) == 0
    trades = ParquetDataCatalog(str(home / "data/catalog")).trade_ticks(instrument_ids=["BTCUSDT-PERP.BINANCE"])
    assert [str(tick.trade_id) for tick in trades] == [str(number) for number in range(1, 101)]
    assert {str(tick.price) for tick in trades} == {"42000.1"}


@pytest.mark.usefixtures("home")
def test_json_output_is_one_document_and_notes_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(replay("--json")) == 0
    out, err = capsys.readouterr()
    summary = json.loads(out)
    assert (summary["ok"], summary["rows"], summary["lines"]) == (True, 100, 100)
    assert "trades are made from aggTrade" in err


def test_a_second_run_skips_unchanged_days_and_changes_no_byte(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(replay())
    before = {path: path.read_bytes() for path in (home / "data/catalog").rglob("*") if path.is_file()}
    capsys.readouterr()
    assert run(replay("--json")) == 0
    assert [day["skipped"] for day in json.loads(capsys.readouterr().out)["days"]] == [True]
    assert {path: path.read_bytes() for path in (home / "data/catalog").rglob("*") if path.is_file()} == before


def test_a_day_that_is_made_again_says_why(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(replay()) == 0
    assert "made again" not in capsys.readouterr().err
    with (home / "data/raw/websocket/trades.jsonl").open("a") as capture:
        capture.write(trade(101))
    assert run(replay("--json")) == 0
    out, err = capsys.readouterr()
    assert [day["because"] for day in json.loads(out)["days"]] == ["other raw data"]
    assert "note: BTCUSDT-PERP.BINANCE trade_tick 2024-01-01 made again; it was there (other raw data)" in err
    assert run(replay("--json")) == 0
    out, err = capsys.readouterr()
    assert [day["because"] for day in json.loads(out)["days"]] == [None]
    assert "made again" not in err


def test_force_makes_the_same_bytes_again(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(replay())
    before = {path: path.read_bytes() for path in (home / "data/catalog").rglob("*") if path.is_file()}
    capsys.readouterr()
    assert run(replay("--json", "--force")) == 0
    assert [day["skipped"] for day in json.loads(capsys.readouterr().out)["days"]] == [False]
    assert {path: path.read_bytes() for path in (home / "data/catalog").rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["replay-to-parquet", "--source", "webocket", "--symbol", "BTCUSDT"], "expected one of websocket"),
        (replay("--start", "2024-13-01"), "--start is not a date: expected YYYY-MM-DD, found '2024-13-01'"),
        (replay("--start", "2024-1-1x"), "--start is not a date"),
        (replay("--start", "2024-01-02", "--end", "2024-01-02"), "end is exclusive"),
        (
            replay("--data-types", "trades,candles"),
            f"expected some of {', '.join(TOKENS)}, found candles",
        ),
        (replay("--compression", "rar"), "expected one of zstd, snappy, none"),
        (replay("--config", "missing.json"), "missing.json"),
        (replay("--input", "missing.jsonl"), "missing.jsonl"),
        (replay("--jobs", "0"), "expected 1 or more"),
        (["instruments", "show", "X.Y"], "unknown instrument"),
        (["validate", "--table", "candles"], "unknown table"),
        (["feeds", "check", "--feeds", "missing.yaml"], "missing.yaml"),
    ],
)
def test_usage_errors_exit_with_2_before_any_work(
    home: Path, capsys: pytest.CaptureFixture[str], arguments: Sequence[str], words: str
) -> None:
    assert run(arguments) == 2
    assert words in capsys.readouterr().err
    assert not list((home / "data").rglob("*.parquet"))


@pytest.mark.usefixtures("home")
def test_a_missing_option_exits_with_2() -> None:
    assert run(["replay-to-parquet", "--source", "websocket"]) == 2


@pytest.mark.usefixtures("home")
def test_no_data_exits_with_1_and_says_what_the_files_hold(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["replay-to-parquet", "--source", "websocket", "--symbol", "ETHUSDT", "--json"]) == 1
    out, err = capsys.readouterr()
    assert "No data fetched" in err
    assert "BTCUSDT" in err
    assert json.loads(out)["error"]["code"] == "no_data"


@pytest.mark.usefixtures("home")
def test_a_range_that_the_files_lack_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(replay("--start", "2025-01-01", "--end", "2025-01-02")) == 1
    assert "found BTCUSDT 2024-01-01 .. 2024-01-01" in capsys.readouterr().err


def test_an_unwritable_output_exits_with_1_before_the_import(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "blocked").write_text("a file, no folder")
    assert run(replay("--output", "blocked/catalog")) == 1
    assert "blocked/catalog" in capsys.readouterr().err
    assert not (home / "data/raw/cli_websocket").exists()


@pytest.mark.usefixtures("home")
def test_a_lower_case_symbol_is_read_in_upper_case_with_a_note(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["replay-to-parquet", "--source", "websocket", "--symbol", "btcusdt"]) == 0
    assert "btcusdt is read as BTCUSDT" in capsys.readouterr().err


def test_symbols_are_taken_several_times_and_with_commas(home: Path) -> None:
    for symbol in ("ETHUSDT", "SOLUSDT"):
        text = (home / "data/raw/websocket/trades.jsonl").read_text()
        text = text.replace("BTCUSDT", symbol).replace("btcusdt", symbol.lower())
        (home / f"data/raw/websocket/{symbol}.jsonl").write_text(text)
    assert run(replay("--symbol", "ETHUSDT,SOLUSDT")) == 0
    made = {path.name for path in (home / "data/catalog/data/trade_tick").iterdir()}
    assert made == {"BTCUSDT-PERP.BINANCE", "ETHUSDT-PERP.BINANCE", "SOLUSDT-PERP.BINANCE"}


def test_good_days_land_though_another_day_of_the_call_is_too_fine(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(replay())
    (home / "data/raw/websocket/finer.jsonl").write_text(
        "".join(trade(1_000 + number, "42000.12", second=86_400 + number) for number in range(50))
        + "".join(trade(2_000 + number, second=2 * 86_400 + number) for number in range(50))
    )
    assert run(replay()) == 1
    err = capsys.readouterr().err
    assert "hedgegrid instruments widen BTCUSDT-PERP.BINANCE --price-precision 2" in err
    folder = home / "data/catalog/data/trade_tick/BTCUSDT-PERP.BINANCE"
    assert sorted(path.name[:10] for path in folder.iterdir()) == ["2024-01-01", "2024-01-03"]
    assert run(replay()) == 1
    assert "--price-precision 2" in capsys.readouterr().err


def test_widening_lets_the_finer_day_in_and_changes_no_value(home: Path) -> None:
    run(replay())
    (home / "data/raw/websocket/finer.jsonl").write_text(
        "".join(trade(1_000 + number, "42000.12", second=86_400 + number) for number in range(50))
    )
    run(replay())
    assert run(["instruments", "widen", "BTCUSDT-PERP.BINANCE", "--price-precision", "2"]) == 0
    assert run(replay()) == 0
    assert run(["validate", "--deep"]) == 0
    trades = ParquetDataCatalog(str(home / "data/catalog")).trade_ticks(instrument_ids=["BTCUSDT-PERP.BINANCE"])
    assert {str(tick.price) for tick in trades} == {"42000.10", "42000.12"}


def test_validate_finds_a_tampered_frame_and_a_tampered_file(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(replay())
    assert run(["validate"]) == 0
    frame = home / "data/catalog/BTCUSDT-PERP.BINANCE/trade_tick.parquet/2024-01-01.parquet"
    original = frame.read_bytes()
    pl.read_parquet(frame).with_columns(price=(-pl.col("price")).cast(pl.Decimal(38, 1))).write_parquet(frame)
    capsys.readouterr()
    assert run(["validate", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["days"][0]["frame_matches_verdict"] is False
    assert report["days"][0]["catalog_matches_frame"] is False
    assert [
        rule["name"] for rule in report["days"][0]["rules"] if not rule["passed"] and rule["severity"] == "ERROR"
    ] == ["prices_positive"]
    frame.write_bytes(original)
    assert run(["validate"]) == 0


def test_validate_looks_at_catalogs_of_others(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(replay())
    trades = ParquetDataCatalog(str(home / "data/catalog")).trade_ticks(instrument_ids=["BTCUSDT-PERP.BINANCE"])
    ParquetDataCatalog(str(home / "theirs")).write_data(trades)
    capsys.readouterr()
    assert run(["validate", "theirs", "--json", "--deep"]) == 0
    day = json.loads(capsys.readouterr().out)["days"][0]
    assert (day["rows"], day["frame_matches_verdict"], day["status"]) == (100, None, "partial")


@pytest.mark.usefixtures("home")
def test_validate_of_nothing_exits_with_1() -> None:
    assert run(["validate", "nowhere"]) == 1


@pytest.mark.slow
def test_the_sample_is_three_days_of_the_venue_sim(home: Path) -> None:
    assert run(["generate-sample-data", "--offline", "--quiet"]) == 0
    catalog = ParquetDataCatalog(str(home / "data/catalog"))
    assert [str(instrument.id) for instrument in catalog.instruments()] == ["BTCUSDT-PERP.SIM"]
    folder = home / "data/catalog/data/mark_price_update/BTCUSDT-PERP.SIM"
    assert sorted(path.name[:10] for path in folder.iterdir()) == ["2024-01-01", "2024-01-02", "2024-01-03"]
    assert run(["validate", "--quiet"]) == 0


def test_the_guides_websocket_command_works_as_printed_from_the_repository_root(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(REPOSITORY)
    command = (
        "replay-to-parquet --source websocket --symbol BTCUSDT --start 2024-01-01 --end 2024-01-07 "
        f"--output {home}/catalog --data {home}/data --config examples/data_configs/websocket_source_config.json"
    )
    assert run(command.split()) == 0
    assert (home / "catalog/BTCUSDT-PERP.SIM-WEBSOCKET/mark_price.parquet/2024-01-01.parquet").exists()


def test_feeds_check_warns_of_a_feed_with_more_partitions_than_dagster_advises_and_says_how_to_split_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(symbols: int) -> str:
        names = ", ".join(f"S{number}USDT" for number in range(symbols))
        span = "start: 2022-01-01, end: 2023-01-01"
        path = tmp_path / "feeds.yaml"
        path.write_text(f"version: 1\nfeeds:\n  big: {{source: synthetic, venue: SIM, symbols: [{names}], {span}}}\n")
        assert run(["feeds", "check", "--feeds", str(path)]) == 0
        return capsys.readouterr().err

    assert not told(273)
    found = " ".join(told(600).split())
    assert "big: 365 days x 600 symbols are 219,000 partitions an asset" in found
    assert "split it into 3 feeds of up to 273 symbols" in found


def test_feeds_check_accepts_the_shipped_file_and_exits_with_2_on_a_problem(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["feeds", "check", "--feeds", str(REPOSITORY / "feeds.yaml")]) == 0
    (home / "feeds.yaml").write_text("version: 1\nfeeds:\n  sim:\n    sourcee: synthetic\n")
    assert run(["feeds", "check"]) == 2
    assert "feeds.yaml:4" in capsys.readouterr().err


def test_every_command_has_help_that_names_its_purpose(capsys: pytest.CaptureFixture[str]) -> None:
    import typer

    from hedgegrid_assets.cli import app

    command = typer.main.get_command(app)
    assert isinstance(command, typer.core.TyperGroup)
    for name in command.commands:
        assert run([name, "--help"]) == 0
        assert len(capsys.readouterr().out) > 200, name


def test_the_list_of_commands_tells_each_purpose_as_a_whole_sentence_in_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run(["--help"]) == 0
    told = capsys.readouterr().out
    assert max(map(len, told.splitlines())) <= 80
    assert "..." not in told.replace("[ARGS]...", "")
    assert "Follow one row back: catalog, normalized frame, raw file," in " ".join(told.split())


def test_help_cuts_no_list_of_names_in_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from hedgegrid_assets.tables import TOKENS

    monkeypatch.setenv("COLUMNS", "80")
    assert run(["replay-to-parquet", "--help"]) == 0
    told = capsys.readouterr().out
    assert max(map(len, told.splitlines())) <= 80
    assert f"Some of {', '.join(TOKENS)};" in " ".join(told.split())


def python(code: str, home: Path) -> str:
    """Run code in a fresh interpreter; its stdout."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=home, capture_output=True, text=True, check=True, env=os.environ
    )
    return done.stdout.strip()


HEAVY = '[name for name in ("pandas", "nautilus_trader", "dagster", "tardis_client") if name in sys.modules]'


def test_the_convert_path_imports_neither_dagster_nor_nautilus_nor_pandas(home: Path) -> None:
    code = f"import sys\nfrom hedgegrid_assets.cli import run\nrun({replay('-q')!r})\nprint({HEAVY})"
    assert python(code, home) == "[]"


def test_help_imports_none_of_the_heavy_packages(home: Path) -> None:
    heavy = HEAVY.replace('("pandas"', '("polars", "pyarrow", "pydantic", "numpy", "pandas"')
    assert python(f"import sys\nimport hedgegrid_assets.cli\nprint({heavy})", home) == "[]"


@pytest.mark.slow
def test_the_demo_builds_three_days_through_dagster_runs_the_guides_check_and_a_backtest(home: Path) -> None:
    """In a process of its own, as Nautilus keeps relative paths of an earlier working directory."""
    (home / "feeds.yaml").write_text((REPOSITORY / "feeds.yaml").read_text())
    environment = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}

    def hedgegrid(*arguments: str) -> str:
        command = [sys.executable, "-m", "hedgegrid_assets", *arguments]
        return subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=True).stdout

    out = hedgegrid("demo")
    assert "Trade ticks: 60,000" in out
    assert "Mark prices: 259,200" in out
    assert "12 days looked at: ok" in out
    assert "report: artifacts/demo/report.html" in out
    result = json.loads((home / "artifacts" / "demo" / "result.json").read_text())
    assert result["ok"]
    assert result["delivered"] == {
        "trade_tick": 60_000,
        "mark_price_update": 259_200,
        "funding_rate_update": result["delivered"]["funding_rate_update"],
    }
    assert result["funding"]["settlements"] == 8
    assert result["funding"]["payments"] > 0
    assert result["funding"]["missed"] == []
    assert json.loads(hedgegrid("backfill", "sim", "--json"))["fresh"] == 3


def test_an_unknown_feed_is_a_usage_error_that_names_the_known_ones(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "feeds.yaml").write_text((REPOSITORY / "feeds.yaml").read_text())
    assert run(["backfill", "nope"]) == 2
    assert "expected one of sim, captures" in capsys.readouterr().err


def test_a_backfill_tells_the_way_out_of_a_failed_day_on_a_line_of_its_own(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "feeds.yaml").write_text(
        "version: 1\nfeeds:\n  f: {source: csv, venue: BINANCE, symbols: [BTCUSDT], market: usdm, start: 2024-01-01,\n"
        '      end: 2024-01-02, tables: [trade_tick], landing: ["csv/*.csv"]}\n'
    )
    landing = home / "data/raw/csv"
    landing.mkdir(parents=True)
    rows = "".join(f"{1_704_067_200_000 + number},BTCUSDT,nan,1,buy,{number}\n" for number in range(20))
    (landing / "a.csv").write_text("timestamp,symbol,price,amount,side,id\n" + rows)
    assert run(["backfill", "f"]) == 1
    told = capsys.readouterr().err.splitlines()
    assert any(line.startswith("hint: no row of the data") for line in told)
    assert not any("\\nhint" in line for line in told)


def test_on_windows_the_first_command_says_in_one_sentence_where_it_runs() -> None:
    code = "import sys; sys.platform = 'win32'; from hedgegrid_assets.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: hedgegrid runs on Linux and macOS")
    assert len(done.stderr.splitlines()) == 1
