"""The guide's Tardis commands from outside, against the stand-in: data, cache, words, exit codes, and no key anywhere."""

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from urllib.request import urlopen

import polars as pl
import pytest
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from hedgegrid_assets import run_pipeline
from hedgegrid_assets.cli import run
from hedgegrid_assets.config.feeds import read_feeds
from hedgegrid_assets.errors import KeyRequired, UsageError
from hedgegrid_assets.pipeline.request import request
from hedgegrid_assets_tests.standins.tardis import KEY, Fault, Standin, capture_lines, iso_stamp
from hedgegrid_assets_tests.tardis_cases import FREE, cache_of, leftovers, named_standin

REPOSITORY = Path(__file__).parents[3]
CAPTURE = REPOSITORY.parent / "shared/data/captures/binance-usdm_ethusdt_2024-08-08.jsonl.gz"
SECRET = "TDx-0123456789-never-to-be-seen"


@pytest.fixture
def server(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> Standin:
    """The stand-in as the environment names it, and an empty working directory."""
    assert workdir == Path.cwd()
    return named_standin(monkeypatch)


def replay(*more: str, symbol: str = "BTCUSDT", start: str = "2024-01-01", end: str = "2024-01-02") -> list[str]:
    return ["replay-to-parquet", "--source", "tardis", "--symbol", symbol, "--start", start, "--end", end, *more]


def trades(*more: str, **options: str) -> list[str]:
    return replay("--data-types", "trades", *more, **options)


def config(folder: Path, **settings: object) -> str:
    path = folder / "t.json"
    path.write_text(json.dumps(settings))
    return str(path)


# ---------------------------------------------------------------- the guide


def test_the_guides_command_makes_a_catalog_and_the_second_run_asks_for_nothing(
    server: Standin, tmp_path: Path
) -> None:
    command = replay("--output", "./data/catalog", "--data-types", "trades,mark,funding")
    assert run(command) == 0
    catalog = ParquetDataCatalog(str(tmp_path / "data/catalog"))
    assert len(catalog.trade_ticks(instrument_ids=["BTCUSDT-PERP.BINANCE"])) == 2_000
    assert len(pl.read_parquet("data/catalog/BTCUSDT-PERP.BINANCE/mark_price.parquet/*.parquet")) == 86_400
    assert {"funding_rate", "next_funding_time"} <= set(
        pl.read_parquet("data/catalog/BTCUSDT-PERP.BINANCE/funding_rate.parquet/*.parquet").columns
    )
    assert len(server.requests("/datasets/")) == 2
    assert server.log[0].headers["Authorization"] == f"Bearer {KEY}"
    server.clear()
    assert run(command) == 0
    assert server.log == []
    assert sorted(path.name for path in (cache_of(tmp_path, server) / "datasets").iterdir()) == [
        "binance-futures_derivative_ticker_2024-01-01_BTCUSDT.csv.gz",
        "binance-futures_trades_2024-01-01_BTCUSDT.csv.gz",
    ]


def test_seven_days_by_one_call_are_fetched_together(server: Standin, capsys: pytest.CaptureFixture[str]) -> None:
    server.delay_seconds = 0.05
    assert run(trades("--jobs", "7", "--json", end="2024-01-08")) == 0
    summary = json.loads(capsys.readouterr().out)
    assert [day["date"] for day in summary["days"]] == [f"2024-01-0{n}" for n in range(1, 8)]
    assert summary["rows"] == 14_000
    assert len(server.requests("/trades/")) == 7
    assert not server.requests("/derivative_ticker/")
    assert 3 <= server.most_at_once("/trades/") <= 7


def test_without_jobs_a_few_days_are_fetched_together(server: Standin) -> None:
    server.delay_seconds = 0.05
    assert run(trades("-q", end="2024-01-08")) == 0
    assert 2 <= server.most_at_once("/trades/") <= 4


def test_three_symbols_in_a_loop_go_into_one_catalog(server: Standin, tmp_path: Path) -> None:
    for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT"):
        assert run(trades("-q", symbol=symbol)) == 0
    catalog = ParquetDataCatalog(str(tmp_path / "data/catalog"))
    assert sorted(str(instrument.id) for instrument in catalog.instruments()) == [
        "BTCUSDT-PERP.BINANCE",
        "ETHUSDT-PERP.BINANCE",
        "SOLUSDT-PERP.BINANCE",
    ]
    assert len(server.requests("/trades/")) == 3


@pytest.mark.usefixtures("server")
def test_a_lower_case_symbol_is_accepted_with_a_note(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(trades(symbol="btcusdt")) == 0
    assert "btcusdt is read as BTCUSDT" in capsys.readouterr().err


@pytest.mark.usefixtures("server")
def test_run_pipeline_gives_what_the_command_gives() -> None:
    async def both() -> int:
        summary = await run_pipeline(
            source_type="tardis",
            symbol="BTCUSDT",
            start_date="2024-01-01",
            end_date="2024-01-02",
            output_path="./data/catalog",
            data_types=["trades"],
            source_config={"exchange": "binance-futures", "cache_dir": "./cache"},
            exchange="BINANCE",
        )
        return summary.rows

    assert asyncio.run(both()) == 2_000
    assert list(Path("cache").glob("*/datasets/*.csv.gz"))
    assert {path.name for path in Path("data/cache").iterdir()} == {".slots"}  # of all who ask, wherever files are kept


# ---------------------------------------------------------------- keys


def test_no_key_is_told_in_the_guides_words_and_the_free_day_lands(
    server: Standin, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TARDIS_API_KEY")
    assert run(trades(end="2024-01-03")) == 1
    told = capsys.readouterr().err
    assert told.count("Tardis API key required") == 1
    assert 'export TARDIS_API_KEY=..., or put {"api_key": "..."}' in told
    assert len(server.requests("/trades/")) == 1
    assert len(list(Path("data/catalog/BTCUSDT-PERP.BINANCE/trade_tick.parquet").iterdir())) == 1


@pytest.mark.parametrize("as_config", [True, False])
@pytest.mark.usefixtures("server")
def test_a_key_in_the_environment_or_the_configuration_clears_the_error(
    as_config: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TARDIS_API_KEY")
    with pytest.raises(KeyRequired):
        asyncio.run(run_pipeline("tardis", "BTCUSDT", "2024-01-02", "2024-01-03", data_types=["trades"]))
    if not as_config:
        monkeypatch.setenv("TARDIS_API_KEY", KEY)
    given = ["--config", config(tmp_path, api_key=KEY)] if as_config else []
    assert run(trades("-q", *given, start="2024-01-02", end="2024-01-03")) == 0


def test_the_key_of_the_configuration_wins(server: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.keys = {SECRET: None}
    monkeypatch.setenv("TARDIS_API_KEY", "another")
    assert run(trades("-q", "--config", config(tmp_path, api_key=SECRET), start="2024-01-02", end="2024-01-03")) == 0
    assert server.requests("/trades/")[0].headers["Authorization"] == f"Bearer {SECRET}"


@pytest.mark.parametrize("kind", ["datasets", "replay"])
def test_the_key_is_in_nothing_that_is_written_logged_or_shown(
    kind: str,
    server: Standin,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    server.keys = {SECRET: None}
    server.inject(
        Fault(
            "status",
            path="2024/01/02",
            status=403,
            body=f'{{"code": 1, "message": "no right for {SECRET}"}}',
            times=None,
        ),
        Fault("status", minute=0, status=500, body=f"<p>{SECRET}</p>"),
        Fault("status", minute=2, status=403, body=f"<p>{SECRET}</p>", times=None),
        Fault("html", path="2024/01/01"),
    )
    asked = request("tardis", "BTCUSDT", "2024-01-01", "2024-01-03", source_config={"api_key": SECRET})
    assert SECRET not in repr(asked)
    (tmp_path / "elsewhere").mkdir()
    path = config(tmp_path / "elsewhere", api=kind, api_key=SECRET)
    run(trades("-v", "--config", path, end="2024-01-03"))
    run(trades("--json", "--config", path, end="2024-01-03"))
    run(trades("--dry-run", "--config", path, end="2024-01-03"))
    Path(path).unlink()
    out, err = capfd.readouterr()
    assert "no right for ***" in err or kind == "replay"
    shown = f"{out}{err}{caplog.text}{[record.__dict__ for record in caplog.records]}"
    assert SECRET not in shown
    assert [path for path in tmp_path.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()] == []


def test_a_key_in_feeds_yaml_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "feeds.yaml"
    text = (REPOSITORY / "examples/feeds/tardis.yaml").read_text()
    path.write_text(text)
    assert read_feeds(path).problems == ()
    path.write_text(text + f"      api_key: {SECRET}\n")
    (problem,) = read_feeds(path).problems
    assert SECRET not in str(problem)
    assert "api_key_env" in str(problem)


# ---------------------------------------------------------------- exchanges, venues, words


@pytest.mark.parametrize(
    ("exchange", "symbol", "instrument_id", "inverse"),
    [
        ("bybit", "BTCUSDT", "BTCUSDT-LINEAR.BYBIT", False),
        ("bybit", "BTCUSD", "BTCUSD-INVERSE.BYBIT", True),
        ("okex-swap", "BTC-USDT-SWAP", "BTC-USDT-SWAP.OKEX", False),
        ("deribit", "BTC-PERPETUAL", "BTC-PERPETUAL.DERIBIT", True),
        ("binance-delivery", "BTCUSD_PERP", "BTCUSD_PERP.BINANCE_DELIVERY", True),
    ],
)
def test_an_exchange_gives_its_venue_and_symbology(
    exchange: str, symbol: str, instrument_id: str, inverse: bool, server: Standin, tmp_path: Path
) -> None:
    assert run(trades("-q", "--config", config(tmp_path, exchange=exchange), symbol=symbol)) == 0
    assert server.log[0].target == f"/datasets/v1/{exchange}/trades/2024/01/01/{symbol}.csv.gz"
    (instrument,) = ParquetDataCatalog(str(tmp_path / "data/catalog")).instruments()
    assert (str(instrument.id), instrument.is_inverse) == (instrument_id, inverse)


def test_an_exchange_and_a_venue_that_do_not_belong_together_are_both_named(server: Standin, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected BYBIT for the data of bybit, found BINANCE"):
        request(
            "tardis", "BTCUSDT", "2024-01-01", "2024-01-02", exchange="BINANCE", source_config={"exchange": "bybit"}
        )
    path = tmp_path / "feeds.yaml"
    path.write_text((REPOSITORY / "examples/feeds/tardis.yaml").read_text().replace("binance-futures", "bybit"))
    (problem,) = read_feeds(path).problems
    assert "expected venue BYBIT" in problem.message
    assert run(trades("--exchange", "KRAKEN")) == 2
    assert server.log == []


def test_spot_has_trades_only_and_other_data_types_are_refused(server: Standin, tmp_path: Path) -> None:
    given = ["--config", config(tmp_path, exchange="binance")]
    assert run(replay("-q", *given)) == 0
    assert len(server.requests("/datasets/")) == 1
    assert run(replay("--data-types", "mark", *given)) == 2


def test_an_empty_range_is_told_in_the_guides_words(server: Standin, capsys: pytest.CaptureFixture[str]) -> None:
    server.library.empty |= {("ETHUSDT", FREE)}
    assert run(trades(symbol="ETHUSDT")) == 1
    assert "No data fetched (ETHUSDT 2024-01-01" in capsys.readouterr().err


@pytest.mark.usefixtures("server")
def test_a_range_before_the_exchange_existed_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(trades(start="2018-01-01", end="2018-01-02")) == 1
    assert "available since 2019-11-17" in capsys.readouterr().err


def test_a_rate_limit_is_told_with_its_end(server: Standin, capsys: pytest.CaptureFixture[str]) -> None:
    server.inject(Fault("status", path="/trades/", status=429, retry_after="7200", times=None))
    assert run(trades()) == 1
    told = capsys.readouterr().err
    assert "rate limit reached (429): it asks to wait 7,200 s, until 20" in told


@pytest.mark.slow
@pytest.mark.usefixtures("server")
def test_messages_and_data_sets_of_other_kinds_are_not_mixed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(replay("-q", "--data-types", "mark")) == 0
    assert run(replay("--data-types", "mark", "--config", config(tmp_path, api="replay"))) == 1
    told = capsys.readouterr().err
    assert (
        "holds the series binance-futures/derivative_ticker: expected the same, found binance-futures/markPrice" in told
    )


def test_json_is_alone_on_stdout_also_when_transfers_are_repeated(
    server: Standin, capfd: pytest.CaptureFixture[str]
) -> None:
    server.inject(Fault("html", path="/trades/"))
    assert run(trades("--json")) == 0
    assert json.loads(capfd.readouterr().out)["ok"]


def test_the_environment_goes_before_feeds_yaml_and_a_configuration_before_both(
    server: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hedgegrid_assets.pipeline.feed_context import FeedContext
    from hedgegrid_assets.store import Places

    path = tmp_path / "feeds.yaml"
    path.write_text((REPOSITORY / "examples/feeds/tardis.yaml").read_text() + "      endpoint: http://from.the.file\n")
    (feed,) = read_feeds(path).feeds.values()
    assert FeedContext(feed, Places(tmp_path, tmp_path)).settings["endpoint"] == server.endpoint
    monkeypatch.delenv("TARDIS_ENDPOINT")
    assert FeedContext(feed, Places(tmp_path, tmp_path)).settings["endpoint"] == "http://from.the.file"
    monkeypatch.setenv("TARDIS_DATASETS_ENDPOINT", "http://127.0.0.1:1")
    assert (
        run(
            trades(
                "-q", "--config", config(tmp_path, endpoint=server.endpoint, datasets_endpoint=server.datasets_endpoint)
            )
        )
        == 0
    )


# ---------------------------------------------------------------- dry run, sample data


def test_a_dry_run_tells_what_would_be_fetched_and_fetches_nothing(
    server: Standin, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(trades("-q")) == 0
    capsys.readouterr()
    server.clear()
    assert run(trades("--dry-run", "--json", end="2024-01-04")) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["requests"] == 2
    assert [(day["date"], day["stored"], day["requests"], day["free"]) for day in told["days"]] == [
        ("2024-01-01", True, 0, True),
        ("2024-01-02", False, 1, False),
        ("2024-01-03", False, 1, False),
    ]
    assert told["account"] == ["key: pro plan for binance-futures, 2019-03-30 .. 2027-01-01"]
    assert [entry.target for entry in server.log] == ["/v1/api-key-info"]
    assert run(trades("--dry-run", end="2024-01-04")) == 0
    assert "binance-futures" in capsys.readouterr().out


@pytest.mark.usefixtures("server")
def test_a_dry_run_of_a_replay_counts_slices(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(trades("--dry-run", "--json", "--config", config(tmp_path, api="replay"))) == 0
    assert json.loads(capsys.readouterr().out)["requests"] == 1_440


@pytest.mark.slow
@pytest.mark.usefixtures("server")
def test_sample_data_with_a_key_is_three_real_days(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["generate-sample-data"]) == 0
    assert "real days from Tardis, with the key" in capsys.readouterr().err
    days = sorted(path.stem for path in Path("data/catalog/BTCUSDT-PERP.BINANCE/mark_price.parquet").iterdir())
    assert days == ["2024-01-01", "2024-01-02", "2024-01-03"]


@pytest.mark.usefixtures("server")
def test_sample_data_without_a_key_is_the_free_day(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TARDIS_API_KEY")
    assert run(["generate-sample-data"]) == 0
    assert "the 1 of 3 days that Tardis gives without a key" in capsys.readouterr().err
    assert len(list(Path("data/catalog/BTCUSDT-PERP.BINANCE/trade_tick.parquet").iterdir())) == 1


@pytest.mark.slow
def test_sample_data_without_key_and_network_is_synthetic(
    server: Standin, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TARDIS_API_KEY")
    monkeypatch.setenv("TARDIS_ENDPOINT", "http://127.0.0.1:1")
    assert run(["generate-sample-data", "--days", "1"]) == 0
    assert "synthetic sample of the venue SIM" in capsys.readouterr().err
    assert Path("data/catalog/BTCUSDT-PERP.SIM").is_dir()
    assert server.log == []


# ---------------------------------------------------------------- a real capture


@pytest.mark.slow
@pytest.mark.skipif(not CAPTURE.exists(), reason="the real captures are not here")
@pytest.mark.parametrize(
    ("word", "folder", "rows"), [("trades", "trade_tick", 14_076), ("quotes", "quote_tick", 53_992)]
)
def test_a_real_capture_replayed_equals_the_capture_read_directly(
    server: Standin, tmp_path: Path, word: str, folder: str, rows: int
) -> None:
    back = (date(2024, 8, 8) - date(2024, 8, 1)).days
    if ("binance-futures", "ETHUSDT", date(2024, 8, 1)) not in server.library._recorded_days:
        server.library.add_capture("binance-futures", CAPTURE, -back)
    given = ["--config", config(tmp_path, api="replay", trade_kind="trade")]
    wanted = ["--data-types", word, "-q"]
    assert run(replay(*wanted, *given, symbol="ETHUSDT", start="2024-08-01", end="2024-08-02")) == 0
    replayed = pl.read_parquet(f"data/catalog/ETHUSDT-PERP.BINANCE/{folder}.parquet/2024-08-01.parquet")

    direct = ["replay-to-parquet", "--source", "websocket", "--symbol", "ETHUSDT", *wanted]
    assert run([*direct, "--input", str(CAPTURE), "--output", "direct"]) == 0
    read = pl.read_parquet(f"direct/ETHUSDT-PERP.BINANCE/{folder}.parquet/2024-08-08.parquet")
    moved = pl.duration(days=back)
    expected = read.with_columns(
        ts_event=pl.col("ts_event") - moved,
        ts_init=(pl.col("ts_init") - moved).dt.truncate("100ns"),  # the stamp in front of a line has seven decimals
    )
    assert len(replayed) == rows
    assert replayed.drop("raw_row").equals(expected.drop("raw_row"))

    lines = b"".join(b"%b %b\n" % (iso_stamp(local), text) for _, _, local, text in capture_lines(CAPTURE, -back))
    Path("redated.jsonl").write_bytes(lines)
    assert run([*direct, "--input", "redated.jsonl", "--output", "redated"]) == 0
    again = pl.read_parquet(f"redated/ETHUSDT-PERP.BINANCE/{folder}.parquet/2024-08-01.parquet")
    assert again.drop("raw_row").equals(replayed.drop("raw_row"))


# ---------------------------------------------------------------- processes


def _environment(server: Standin) -> dict[str, str]:
    return os.environ | {"TARDIS_ENDPOINT": server.endpoint, "TARDIS_DATASETS_ENDPOINT": server.datasets_endpoint}


@pytest.mark.slow
def test_ctrl_c_leaves_no_half_file_and_the_next_run_goes_on(server: Standin, tmp_path: Path) -> None:
    server.delay_seconds = 0.05
    command = [sys.executable, "-m", "hedgegrid_assets", *trades("--config", config(tmp_path, api="replay"))]
    process = subprocess.Popen(command, cwd=tmp_path, env=_environment(server), stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while len(server.log) < 60 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "interrupted" in err
    assert "Traceback" not in err
    assert leftovers(tmp_path) == []
    assert not list((tmp_path / "data/raw").rglob("*.jsonl.gz"))
    done = len([entry for entry in server.log if entry.status == 200])
    assert 30 < len(server.log) < 1_440
    server.clear()
    server.delay_seconds = 0.0
    assert run(trades("-q", "--config", config(tmp_path, api="replay"))) == 0
    assert len(server.requests("/data-feeds/")) <= 1_440 - done + 60


def test_the_other_sources_work_without_the_packages_of_tardis(server: Standin, tmp_path: Path) -> None:
    code = """
import sys
for name in ("tardis_client", "tardis_dev", "aiohttp", "stamina"):
    sys.modules[name] = None
from hedgegrid_assets.cli import run
line = '{"e":"aggTrade","E":1704067200001,"s":"BTCUSDT","a":1,"p":"1.5","q":"2","f":1,"l":1,"T":1704067200000,"m":true}'
open("capture.jsonl", "w").write(line + chr(10))
others = run(["replay-to-parquet", "--source", "websocket", "--symbol", "BTCUSDT", "--input", "capture.jsonl", "-q"])
tardis = run(["replay-to-parquet", "--source", "tardis", "--symbol", "BTCUSDT", "--start", "2024-01-01", "--end", "2024-01-02"])
sys.exit(10 * others + tardis)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=_environment(server),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "needs packages that are not installed: aiohttp, stamina, tardis_client, tardis_dev" in done.stderr


def test_importing_the_source_imports_no_client() -> None:
    code = "import sys, hedgegrid_assets.sources; print({'tardis_client', 'tardis_dev', 'aiohttp', 'stamina'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.slow
def test_the_stand_in_can_be_started_by_hand() -> None:
    command = [
        sys.executable,
        "-m",
        "hedgegrid_assets_tests.standins.tardis",
        "--port",
        "0",
        "--fault",
        "status:status=429,path=/exchanges",
    ]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(4)]
        endpoint = lines[1].strip().removeprefix("export TARDIS_ENDPOINT=")
        assert lines[3].startswith("export TARDIS_API_KEY=")
        with pytest.raises(OSError, match="429"):
            urlopen(f"{endpoint}/exchanges/binance-futures")
        with urlopen(f"{endpoint}/exchanges/binance-futures") as answer:
            assert json.load(answer)["id"] == "binance-futures"
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        process.stdout.close()
