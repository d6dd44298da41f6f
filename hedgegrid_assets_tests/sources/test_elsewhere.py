"""What one server gave is never taken for what another would give."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from hedgegrid_assets.cli import run
from hedgegrid_assets.sources import SOURCES
from hedgegrid_assets.sources.client import limits
from hedgegrid_assets.stages.raw import RawKey, fetched_elsewhere, is_as_asked, read_manifest
from hedgegrid_assets_tests import tardis_cases
from hedgegrid_assets_tests.archive_cases import DAY, QUICK, UM, cached, convert, frame, fresh_standin, manifest
from hedgegrid_assets_tests.standins.archive import Standin
from hedgegrid_assets_tests.standins.tardis import KEY
from hedgegrid_assets_tests.standins.tardis import Standin as Tardis

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Standin:
    monkeypatch.setattr(limits, "in_force", replace(QUICK, attempts=1))
    return fresh_standin()


@pytest.fixture(scope="module")
def other() -> Iterator[Standin]:
    with Standin(trades_per_day=200) as other:
        yield other


@pytest.mark.parametrize("output", ["catalog", "another"])
def test_days_of_another_archive_are_fetched_anew_and_told(
    output: str, server: Standin, other: Standin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    into = ("--data-types", "trades", "--output", str(tmp_path / output))
    assert convert(tmp_path, server, "--data-types", "trades") == 0
    assert f"from {server.endpoint}" not in capsys.readouterr().err
    assert convert(tmp_path, other, *into) == 0
    told = "".join(capsys.readouterr().err.split())
    assert f"1rawdayofBTCUSDT,{DAY}..{DAY},camefrom{server.endpoint},notfromtheserverthatisaskednow" in told
    assert manifest(tmp_path, "aggTrade")["origin"][0]["url"].startswith(f"{other.endpoint}/")
    assert len(frame(tmp_path if output == "catalog" else _renamed(tmp_path, output), "trade_tick")) == 200
    server.clear()
    other.clear()
    assert convert(tmp_path, other, *into) == 0
    assert other.log == []


def _renamed(folder: Path, output: str) -> Path:
    """A folder in which that catalog is called as usual."""
    (folder / "alone").mkdir()
    (folder / "alone/catalog").symlink_to(folder / output)
    return folder / "alone"


def test_days_of_another_archive_are_not_taken_where_nobody_answers(
    server: Standin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert convert(tmp_path, server, "--data-types", "trades", "-q") == 0
    kept = cached(tmp_path)
    more = ("--data-types", "trades", "--output", str(tmp_path / "real"))
    assert convert(tmp_path, server, *more, endpoint=NOWHERE) == 1
    assert f"came from {server.endpoint.removesuffix('/v1')}" in " ".join(capsys.readouterr().err.split())
    assert not list((tmp_path / "real").rglob("*.parquet"))
    assert cached(tmp_path) == kept
    server.clear()
    assert convert(tmp_path, server, "--data-types", "trades", "-q") == 0
    assert server.log == [], "they are still there for the server that gave them"


def test_cached_files_of_another_archive_are_had_anew(server: Standin, other: Standin, tmp_path: Path) -> None:
    assert convert(tmp_path, server, "--data-types", "trades", "-q") == 0
    for path in tmp_path.glob("data/raw/*/aggTrade/BTCUSDT/*"):
        path.unlink()
    assert convert(tmp_path, other, "--data-types", "trades", "-q", "--output", str(tmp_path / "b")) == 0
    assert manifest(tmp_path, "aggTrade")["origin"][0]["url"].startswith(f"{other.endpoint}{UM}/")


def test_a_manifest_that_does_not_say_where_counts_as_from_the_exchange_itself(server: Standin, tmp_path: Path) -> None:
    assert convert(tmp_path, server, "--data-types", "trades", "-q") == 0
    (path,) = tmp_path.glob(f"data/raw/*/aggTrade/BTCUSDT/{DAY}.json")
    held = read_manifest(path)
    assert held is not None
    key, source = RawKey("aggTrade", "BTCUSDT", DAY), SOURCES["archive"]
    said = {"endpoint": server.endpoint}
    assert is_as_asked(source, key, said, held)
    assert fetched_elsewhere(source, key, {}, held) == server.endpoint
    silent = replace(held, origin=[replace(held.origin[0], url=None, files=[])])
    assert is_as_asked(source, key, {}, silent)
    assert fetched_elsewhere(source, key, said, silent) == "https://data.binance.vision"


@pytest.mark.parametrize("keep", [(), ("--config", "tardis.json")], ids=["data/cache", "cache_dir"])
def test_data_sets_of_another_server_than_tardis_are_fetched_anew_and_told(
    keep: tuple[str, ...], workdir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (workdir / "tardis.json").write_text(json.dumps({"cache_dir": "kept"}))
    server = tardis_cases.named_standin(monkeypatch)
    days = ("--symbol", "BTCUSDT", "--start", "2024-01-01", "--end", "2024-01-02", "--data-types", "trades", *keep)
    words = ["replay-to-parquet", "--source", "tardis", *days]
    assert run([*words, "--output", "a"]) == 0
    monkeypatch.setattr(limits, "in_force", replace(QUICK, attempts=1))
    monkeypatch.setenv("TARDIS_ENDPOINT", NOWHERE)
    monkeypatch.setenv("TARDIS_DATASETS_ENDPOINT", NOWHERE)
    capsys.readouterr()
    assert run([*words, "--output", "b"]) == 1, "neither the raw day nor the cached file is taken"
    assert f"came from {server.endpoint.removesuffix('/v1')}" in " ".join(capsys.readouterr().err.split())
    with Tardis(trades_per_day=300) as other:
        other.keys = {KEY: None}
        monkeypatch.setenv("TARDIS_ENDPOINT", other.endpoint)
        monkeypatch.setenv("TARDIS_DATASETS_ENDPOINT", other.datasets_endpoint)
        assert run([*words, "--output", "c", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 300
