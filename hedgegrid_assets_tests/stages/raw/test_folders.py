"""Folders of raw days: one for each symbol, whatever is in it, and those that versions before made are used on."""

import shutil
from datetime import date
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedgegrid_assets.cli import run
from hedgegrid_assets.stages.raw import OwnFiles, imports, raw_days, read_manifest, scan_landing
from hedgegrid_assets.store import Places, raw_folder_name

SYMBOLS: Final = ("BTC/USDT", "BTC/USDT:USDT")
IDS: Final = {"BTC/USDT": "BTCUSDT.BINANCE", "BTC/USDT:USDT": "BTCUSDT-PERP.BINANCE"}
DAY: Final = date(2024, 1, 1)
FEED: Final = "cli_csv"


def drop(root: Path) -> None:
    """Trades of both symbols in one file, so that they are copied to raw days; one has no size."""
    rows = [f"{1_704_067_200_000 + n * 1_000},{SYMBOLS[n % 2]},42000.{n},0.1,buy,{n}" for n in range(40)]
    rows.append(f"1704067300000,{SYMBOLS[0]},42000.1,0.0,buy,77")
    file = root / "data/raw/csv/both.csv"
    file.parent.mkdir(parents=True)
    file.write_text("timestamp,symbol,price,size,side,id\n" + "\n".join(rows) + "\n")


def convert(root: Path, *more: str) -> int:
    where = [
        "--input",
        str(root / "data/raw/csv/both.csv"),
        "--data",
        str(root / "data"),
        "--output",
        str(root / "catalog"),
    ]
    asked = ["--source", "csv", "--symbol", ",".join(SYMBOLS), "--data-types", "trades"]
    return run(["replay-to-parquet", *asked, *where, *more])


def places(root: Path) -> Places:
    return Places(root / "data", root / "catalog")


def looks(root: Path) -> list[list[str]]:
    """Commands that follow rows back to their raw days."""
    catalog, data = ["--catalog", str(root / "catalog")], ["--data", str(root / "data")]
    traces = [["trace", IDS[symbol], "trades", str(2 + n), *catalog, *data] for n, symbol in enumerate(SYMBOLS)]
    return [*traces, ["validate", str(root / "catalog"), *data]]


def nested(root: Path) -> None:
    """As versions before kept them."""
    channel = root / "data/raw" / FEED / "trade"
    for symbol in SYMBOLS:
        (channel / symbol).parent.mkdir(exist_ok=True)
        (channel / raw_folder_name(symbol)).rename(channel / symbol)


@given(st.text(st.sampled_from("AB/%25F:-"), min_size=1), st.text(st.sampled_from("AB/%25F:-"), min_size=1))
def test_two_symbols_never_share_a_folder_and_each_is_one_part_that_gives_it_back(one: str, two: str) -> None:
    assert "/" not in raw_folder_name(one)
    assert unquote(raw_folder_name(one)) == one
    assert (raw_folder_name(one) == raw_folder_name(two)) == (one == two)


def test_each_symbol_has_one_folder_in_which_its_days_are_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drop(tmp_path)
    assert convert(tmp_path) == 0
    channel = tmp_path / "data/raw" / FEED / "trade"
    assert sorted(path.name for path in channel.iterdir()) == ["BTC%2FUSDT", "BTC%2FUSDT:USDT"]
    for symbol in SYMBOLS:
        assert raw_days(places(tmp_path), FEED, "trade", symbol) == [DAY]
        manifest = read_manifest(channel / raw_folder_name(symbol) / f"{DAY}.json")
        assert manifest is not None
        assert manifest.symbol == symbol
    (imported,) = imports(places(tmp_path), FEED)
    assert {key.symbol for key in imported.days} == set(SYMBOLS)
    for command in looks(tmp_path):
        assert run(command) == 0, (command, capsys.readouterr())
    capsys.readouterr()
    assert run(["rejects", "list", str(tmp_path / "catalog"), "--data", str(tmp_path / "data")]) == 0
    assert "zero_size" in capsys.readouterr().out


def test_folders_of_before_are_used_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drop(tmp_path)
    assert convert(tmp_path) == 0
    nested(tmp_path)
    before = {path: path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()}
    assert [raw_days(places(tmp_path), FEED, "trade", symbol) for symbol in SYMBOLS] == [[DAY], [DAY]]
    for command in looks(tmp_path):
        assert run(command) == 0, (command, capsys.readouterr())
    capsys.readouterr()
    assert convert(tmp_path) == 0
    assert "unchanged" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()} == before
    assert convert(tmp_path, "--force") == 0
    channel = tmp_path / "data/raw" / FEED / "trade"
    assert [path.name for path in channel.iterdir()] == ["BTC"]
    for command in looks(tmp_path):
        assert run(command) == 0, (command, capsys.readouterr())


def test_none_of_them_is_a_landing_file(tmp_path: Path) -> None:
    drop(tmp_path)
    assert convert(tmp_path) == 0
    own = OwnFiles(places(tmp_path), "other")
    for change in (lambda: None, lambda: nested(tmp_path)):
        change()
        found = scan_landing(tmp_path / "data/raw", ["**/*.csv*", "**/*.parquet", "**/*.json"], own.has)
        assert [landing.path.name for landing in found.files] == ["both.csv"]


def test_two_folders_of_one_symbol_are_refused_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drop(tmp_path)
    assert convert(tmp_path) == 0
    channel = tmp_path / "data/raw" / FEED / "trade"
    shutil.copytree(channel / "BTC%2FUSDT", channel / "BTC/USDT")
    capsys.readouterr()
    assert convert(tmp_path, "--force") == 1
    told = "".join("".join(capsys.readouterr()).split())
    assert "twofoldersholdrawdaysofBTC/USDT" in told
    shutil.rmtree(channel / "BTC")
    assert convert(tmp_path, "--force") == 0
