"""Names that become paths: what may lead out of our folders is refused at every door, and at the last one by Places."""

import asyncio
import contextlib
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedgegrid_assets import read_frame, run_pipeline, validate_catalog
from hedgegrid_assets.cli import run
from hedgegrid_assets.errors import UsageError
from hedgegrid_assets.store import Places, local_file

ROW = "timestamp,price,amount,side,id\n2024-01-01T00:00:00Z,42000.1,0.5,buy,1\n"
LONG = "A" * 200
LEADING_OUT = (
    "../..",
    "X/../../..",
    "/etc/x",
    "..",
    ".hidden",
    "A B",
    "A\\B",
    "A\x1b[31mB",
    "A\nB",
    LONG,
    "A/B/C",
    "/",
    "A/",
)
DAY = date(2024, 1, 1)


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory well below a folder of its own, so that everything outside can be listed."""
    work = tmp_path / "deep/down/work"
    landing = work / "data/raw/csv"
    landing.mkdir(parents=True)
    (landing / "BTCUSDT-trades-2024-01-01.csv").write_text(ROW)
    monkeypatch.chdir(work)
    monkeypatch.delenv("HEDGEGRID_DATA", raising=False)
    return work


def everything(work: Path) -> set[Path]:
    return set(work.parents[2].rglob("*"))


def csv(*flags: str) -> list[str]:
    return ["replay-to-parquet", "--source", "csv", *flags]


@pytest.mark.parametrize("name", LEADING_OUT)
@pytest.mark.parametrize(
    ("flag", "more"), [("--symbol", ""), ("--exchange", ""), ("--instrument", ".BINANCE"), ("--instrument", "/../Y")]
)
def test_a_name_that_may_lead_out_is_a_usage_error_before_anything_is_written(
    name: str, flag: str, more: str, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = everything(work)
    symbol = () if flag == "--symbol" else ("--symbol", "BTCUSDT")
    assert run(csv(*symbol, flag, name + more)) == 2
    error = capsys.readouterr().err
    assert flag in error
    assert "expected" in error
    assert "found" in error
    assert "Traceback" not in error
    assert everything(work) == before


@pytest.mark.parametrize("name", ["../..", "/etc", "A B", ".."])
@pytest.mark.parametrize(
    "command",
    [
        ("validate", "--instrument"),
        ("gaps", "--instrument"),
        ("rejects", "list", "--instrument"),
        ("rejects", "summary", "--instrument"),
        ("report", "--instrument"),
    ],
)
def test_commands_that_look_take_no_such_name_either(name: str, command: tuple[str, ...], work: Path) -> None:
    before = everything(work)
    assert run([*command, name]) == 2
    assert run(["trace", name, "trades", "1"]) == 2
    assert run(["instruments", "show", name]) == 2
    assert run(["instruments", "widen", name, "--price-precision", "9"]) == 2
    assert everything(work) == before


@pytest.mark.parametrize(
    "asked",
    [
        {"symbol": "../.."},
        {"exchange": "X/../../.."},
        {"source_config": {"venue": "../.."}},
        {"source_config": {"market": "../.."}},
        {"source_config": {"unknown": 1}},
        {"source_type": "tardis", "source_config": {"exchange": "../../.."}},
    ],
)
def test_the_python_api_has_the_same_doors(asked: dict[str, Any], work: Path) -> None:
    before = everything(work)
    wanted: dict[str, Any] = {
        "source_type": "csv",
        "symbol": "BTCUSDT",
        "start_date": "2024-01-01",
        "end_date": "2024-01-02",
    } | asked
    with pytest.raises(UsageError, match="expected"):
        asyncio.run(run_pipeline(**wanted))
    with pytest.raises(UsageError, match="expected"):
        read_frame("../..", "trades")
    with pytest.raises(UsageError, match="expected"):
        validate_catalog("data/catalog", instrument="../..")
    assert everything(work) == before


@pytest.mark.parametrize("key", ["venue: ../..", "exchange: ../../..", "market: ../.."])
def test_a_configuration_file_has_the_same_doors(key: str, work: Path) -> None:
    (work / "config.yaml").write_text(key)
    before = everything(work)
    dates = ("--start", "2024-01-01", "--end", "2024-01-02")
    for source in ("csv", "tardis"):
        asked = ["replay-to-parquet", "--source", source, "--symbol", "BTCUSDT", "--config", "config.yaml", *dates]
        assert run(asked) == 2
    assert everything(work) == before


def test_definitions_are_imported_for_a_venue_and_nothing_else(work: Path) -> None:
    (work / "info.json").write_text('{"symbols": []}')
    before = everything(work)
    assert run(["instruments", "import", "info.json", "--venue", "../.."]) == 2
    assert everything(work) == before


def test_usual_names_go_through(work: Path) -> None:
    assert run(csv("--symbol", "BTCUSDT", "--instrument", "1000SHIB-USDT.BYBIT_SPOT", "--output", "one")) == 0
    assert (work / "one/1000SHIB-USDT.BYBIT_SPOT/trade_tick.parquet/2024-01-01.parquet").is_file()
    assert run(csv("--symbol", "BTCUSDT", "--instrument", "币安人生USDT-PERP.BINANCE", "--output", "two")) == 0


@given(st.text(st.sampled_from("./\\\0\n\x1b A-"), max_size=12), st.sampled_from(range(3)))
def test_no_path_of_places_lies_outside_its_root(name: str, place: int) -> None:
    places = Places(Path("/data"), Path("/catalog"))
    names = ["feed", "channel", "symbol"]
    names[place] = name
    for make in (
        lambda: places.raw_manifest(names[0], names[1], names[2], DAY),
        lambda: places.imports(name),
        lambda: places.raw_temp(name),
        lambda: places.line_rejects(name, "x.csv"),
        lambda: places.frame(name, "trade_tick", DAY),
        lambda: places.verdict(name, "trade_tick", DAY),
        lambda: places.rejects(name, "trade_tick", DAY),
        lambda: places.day_lock(name, DAY),
        lambda: places.nautilus_folder("trade_tick", name),
    ):
        path = None
        with contextlib.suppress(UsageError):
            path = make()
        if path is None:
            continue
        assert ".." not in path.parts
        assert str(path).isprintable()
        assert local_file(path).is_relative_to("/data") or local_file(path).is_relative_to("/catalog")
        assert len(local_file(path).parts) > 2
