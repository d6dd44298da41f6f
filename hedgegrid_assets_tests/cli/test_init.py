"""``hedgegrid init``: the guide's folders, files that work as printed, and nothing that is there is touched."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hedgegrid_assets import read_frame
from hedgegrid_assets.cli import run
from hedgegrid_assets.config.feeds import read_feeds
from hedgegrid_assets.config.settings import read_config
from hedgegrid_assets_tests.csv_cases import FIXTURES, MIDNIGHT, frame, trades_at, trades_of

REPOSITORY = Path(__file__).parents[2]


def test_init_lays_out_the_guides_folders_and_files_that_are_valid(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    assert run(["init", str(home)]) == 0
    for folder in ("data/raw/csv", "data/raw/websocket", "data/catalog", "data/cache/binance-futures", "configs"):
        assert (home / folder).is_dir()
    assert not read_feeds(home / "feeds.yaml").problems
    for name in ("csv", "websocket"):
        config = home / f"examples/data_configs/{name}_source_config.json"
        assert set(read_config(config, name)["files"]) >= {"trades", "mark", "funding"}
    for file in ("workspace.yaml", "dagster.yaml", "examples/feeds/csv.yaml"):
        assert (home / file).read_bytes() == (REPOSITORY / file).read_bytes()


def test_init_never_overwrites(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "feeds.yaml").write_text("mine")
    assert run(["init", str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["kept"] == ["feeds.yaml"]
    assert (tmp_path / "feeds.yaml").read_text() == "mine"
    assert run(["init", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["made"] == []


def test_init_where_nothing_can_be_written_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert run(["init", str(tmp_path / "file")]) == 1
    assert "error: cannot lay out" in capsys.readouterr().err


@pytest.mark.parametrize("laid_out", [True, False])
def test_the_shipped_configurations_work_from_any_folder(
    laid_out: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home" if laid_out else REPOSITORY
    if laid_out:
        assert run(["init", str(home), "-q"]) == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("HEDGEGRID_DATA", str(tmp_path / "data"))
    config = str(home / "examples/data_configs/csv_source_config.json")
    words = ["replay-to-parquet", "--source", "csv", "--symbol", "BTCUSDT", "--data-types", "funding", "-q"]
    assert run([*words, "--config", config, "--output", str(tmp_path / "catalog")]) == 0


@pytest.mark.slow
@pytest.mark.parametrize(("source", "rows"), [("csv", 326), ("websocket", None)])
def test_the_shipped_configurations_work_as_printed(tmp_path: Path, source: str, rows: int | None) -> None:
    run(["init", str(tmp_path), "-q"])
    command = [
        *(sys.executable, "-m", "hedgegrid_assets", "replay-to-parquet", "--source", source, "--symbol", "BTCUSDT"),
        *("--start", "2024-01-01", "--end", "2024-01-07", "--output", "./data/catalog"),
        *("--config", f"examples/data_configs/{source}_source_config.json", "--json"),
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HEDGEGRID_", "TARDIS_"))}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["ok"]
    assert {day["instrument_id"] for day in told["days"]} == {f"BTCUSDT-PERP.SIM-{source.upper()}"}
    assert rows is None or told["rows"] == rows


@pytest.mark.slow
def test_the_sample_and_the_shipped_examples_share_one_catalog_in_any_order(
    workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the README and the guide run them one after another, into ./data/catalog."""
    run(["init", str(workdir), "-q"])
    sample = ["generate-sample-data", "--offline", "--days", "1", "-q"]
    commands = [
        sample,
        *(
            [*("replay-to-parquet", "--source", source, "--symbol", "BTCUSDT", "-q"), "--config", config]
            for source in ("csv", "websocket")
            for config in [f"examples/data_configs/{source}_source_config.json"]
        ),
    ]
    for command in (*commands, *reversed(commands)):
        assert run(command) == 0, command
    assert run(["validate", "-q"]) == 0
    capsys.readouterr()
    beside = [*commands[1], "--exchange", "SIM"]
    assert run(beside) == 1
    told = capsys.readouterr().err
    assert "holds the series synthetic/aggTrade" in told
    option = told.partition("--instrument ")[2].split()[0]
    assert option == "BTCUSDT-PERP-CSV.SIM"
    assert run([*beside, "--instrument", option]) == 0


def test_the_guides_two_csv_examples_give_the_same_two_ticks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mapping = {
        "timestamp": "my_time_column",
        "price": "my_price_column",
        "size": "my_size_column",
        "aggressor_side": "my_side_column",
        "trade_id": "my_id_column",
    }
    configs = {
        "auto": {"files": {"trades": {"file_path": "guide.csv"}}},
        "mapped": {"files": {"trades": {"file_path": "guide_mapped.csv", "columns": mapping}}},
    }
    for name, config in configs.items():
        for file in ("guide.csv", "guide_mapped.csv"):
            (tmp_path / file).write_bytes((FIXTURES / file).read_bytes())
        (tmp_path / f"{name}.json").write_text(json.dumps(config))
        arguments = ["--source", "csv", "--symbol", "BTCUSDT", "--start", "2024-01-01", "--end", "2024-01-07"]
        assert (
            run(
                [
                    "replay-to-parquet",
                    *arguments,
                    "--output",
                    name,
                    "--config",
                    f"{name}.json",
                    "--data",
                    f"data_{name}",
                    "-q",
                ]
            )
            == 0
        )
        assert trades_of(frame(tmp_path, catalog=name)) == list(trades_at(MIDNIGHT, "1001", "1002"))


@pytest.mark.parametrize(
    ("text", "config", "words"),
    [
        ("a,b,c\n1,2,3\n", {}, "Missing required columns"),
        ("time,price,size\nnoon,2,3\n", {}, "Timestamp parsing failed"),
        ("time,price,size\n1704067200,2,3\n", {"symbol": "X"}, "unknown key"),
    ],
)
def test_the_guides_errors_reach_stderr_with_their_exit_code(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    text: str,
    config: dict[str, object],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text(text)
    (tmp_path / "c.yaml").write_text(json.dumps({"files": {"trades": {"file_path": "t.csv"}}, **config}))
    code = run(["replay-to-parquet", "--source", "csv", "--symbol", "BTCUSDT", "--config", "c.yaml"])
    error = capsys.readouterr().err
    assert words in error
    assert "hint:" in error
    assert code == (2 if config else 1)


def test_a_missing_file_is_named_in_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.json").write_text(json.dumps({"base_path": "deep", "files": {"trades": {"file_path": "t.csv"}}}))
    assert run(["replay-to-parquet", "--source", "csv", "--symbol", "BTCUSDT", "--config", "c.json"]) == 2
    assert str(tmp_path / "deep" / "t.csv") in capsys.readouterr().err


def test_a_missing_file_that_lies_in_the_landing_zone_is_named_and_its_hint_followed_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    there = tmp_path / "data/raw/csv/t.csv"
    there.parent.mkdir(parents=True)
    there.write_text("time,price,amount,side,id\n2024-01-01 00:00:01,42000.1,0.5,buy,1\n")
    config = {"files": {"trades": {"file_path": "t.csv"}}}
    (tmp_path / "c.json").write_text(json.dumps(config))
    words = ["replay-to-parquet", "--source", "csv", "--symbol", "BTCUSDT", "--market", "usdm"]
    assert run([*words, "--config", "c.json"]) == 2
    told = capsys.readouterr().err
    assert f"such a file is there: {there}; name it in full: " in told
    _, _, said = told.rstrip("\n").partition("name it in full: ")
    (tmp_path / "c.json").write_text(json.dumps({"files": {"trades": json.loads(f"{{{said}}}")}}))
    assert run([*words, "--config", "c.json"]) == 0
    assert run([*words, "--input", "t.csv"]) == 2
    assert f"name it in full: --input {there}\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("source", "option", "names"),
    [
        *((source, "--input", "websocket, csv") for source in ("tardis", "archive", "synthetic")),
        *((source, "--accept-checksum", "archive\n") for source in ("csv", "tardis")),
    ],
)
def test_an_option_that_says_nothing_to_a_source_is_refused_with_those_that_it_is_for(
    source: str, option: str, names: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["replay-to-parquet", "--source", source, "--symbol", "BTCUSDT", "--data", str(tmp_path)]
    assert run([*words, "--start", "2024-01-01", "--end", "2024-01-02", option, "0" * 64]) == 2
    assert f"{option} says nothing to the source {source}: expected one of {names}" in capsys.readouterr().err


def test_base_path_counts_from_the_file_that_says_it_before_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder, price in (("files", "1.5"), ("mine/files", "2.5")):
        (tmp_path / folder).mkdir(parents=True)
        row = f"2024-01-01 00:00:01,{price},0.5,buy,1"
        (tmp_path / folder / "t.csv").write_text(f"time,price,amount,side,id\n{row}\n")
    config = {"base_path": "files", "files": {"trades": {"file_path": "t.csv"}}}
    (tmp_path / "mine/c.json").write_text(json.dumps(config))
    words = ["replay-to-parquet", "--source", "csv", "--symbol", "BTCUSDT", "--market", "usdm"]
    assert run([*words, "--config", "mine/c.json"]) == 0
    assert read_frame("BTCUSDT-PERP.BINANCE", "trades")["price"].tolist() == [2.5]
