"""Rows of the guide about a machine: no key, no network, little memory, disks, archives, and what is left to do next."""

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path
from typing import Any, Final

import pytest

from hedgegrid_assets import read_frame, validate_catalog
from hedgegrid_assets.cli import run
from hedgegrid_assets.stages.raw import RawKey
from hedgegrid_assets_tests.archive_cases import fresh_standin as fresh_archive
from hedgegrid_assets_tests.guide.home import CSV, MESSAGE, from_csv, places
from hedgegrid_assets_tests.pages import runnable, shell
from hedgegrid_assets_tests.standins.tardis import Standin
from hedgegrid_assets_tests.tardis_cases import FREE, fresh_standin, named_standin, quiet

REPOSITORY: Final = Path(__file__).parents[2]
SIM: Final = "BTCUSDT-PERP.SIM"
_COMMAND: Final = (sys.executable, "-m", "hedgegrid_assets")


@pytest.fixture
def server(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> Standin:
    """The stand-in for Tardis, with its key in the environment."""
    assert not list(workdir.iterdir())
    return named_standin(monkeypatch)


def sample(days: int, *more: str) -> int:
    """Made-up days of a few thousand trades."""
    Path("sim.json").write_text(json.dumps({"seed": 7, "trades_per_day": 3_000}))
    words = ["--source", "synthetic", "--symbol", "BTCUSDT", "--start", "2024-01-01", "--end", f"2024-01-{days + 1:02}"]
    return run(["replay-to-parquet", *words, "--config", "sim.json", "--quiet", *more])


def told(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    """What a command says with ``--json``."""
    capsys.readouterr()
    assert run([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def converted(folder: Path) -> list[str]:
    """The command for the guide's CSV file, as words."""
    (folder / "trades.csv").write_text(CSV)
    words = ["replay-to-parquet", "--source", "csv", "--symbol", "BTCUSDT", "--market", "usdm", "--input", "trades.csv"]
    return [*_COMMAND, *words, *places(folder)]


def test_row_008_one_install_has_all_that_the_sources_need() -> None:
    always = [text for text in requires("hedgegrid-assets") or () if ";" not in text]
    names = {re.split(r"[^A-Za-z0-9_.-]", text)[0].lower().replace("_", "-") for text in always}
    assert {"dagster", "nautilus-trader", "polars", "pyarrow", "tardis-client"} <= names


def test_row_009_without_a_key_no_module_of_tardis_is_loaded(workdir: Path) -> None:
    (workdir / "trades.csv").write_text(CSV)
    code = (
        "import sys, hedgegrid_assets\nfrom hedgegrid_assets.cli import run\n"
        f"assert run({converted(workdir)[3:]!r}) == 0\n"
        "print(sorted(name for name in sys.modules if name.startswith('tardis')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_row_023_the_same_messages_by_replay_and_by_file_are_the_same_rows(server: Standin, workdir: Path) -> None:
    settings = {"api": "replay", "endpoint": server.endpoint, "datasets_endpoint": server.datasets_endpoint}
    Path("tardis.json").write_text(json.dumps(settings))
    quiet(workdir, RawKey("trade", "BTCUSDT", FREE), range(180))
    asked = ["--symbol", "BTCUSDT", "--start", "2024-01-01", "--end", "2024-01-02", "--data-types", "trades", "-q"]
    assert run(["replay-to-parquet", "--source", "tardis", *asked, "--config", "tardis.json", *places(workdir)]) == 0
    (raw,) = [path for path in (workdir / "data/raw").rglob("2024-01-01*") if path.name.endswith((".gz", ".zst"))]
    lines = gzip.decompress(raw.read_bytes()) if raw.suffix == ".gz" else _unzstd(raw)
    (workdir / "messages.jsonl").write_bytes(lines)
    mine = ["--output", str(workdir / "other"), "--data", str(workdir / "otherdata")]
    Path("ws.json").write_text(json.dumps({"trade_kind": "trade"} if b'"e":"trade"' in lines[:4000] else {}))
    command = ["replay-to-parquet", "--source", "websocket", *asked, "--input", "messages.jsonl", "--config", "ws.json"]
    assert run([*command, *mine]) == 0
    (first, second) = (
        read_frame("BTCUSDT-PERP.BINANCE", "trades", catalog=catalog, decimals="exact").drop(columns="raw_row")
        for catalog in (workdir / "catalog", workdir / "other")
    )
    assert len(first) == len(second) > 100
    assert first.drop(columns="ts_init").equals(second.drop(columns="ts_init"))


def _unzstd(path: Path) -> bytes:
    import zstandard

    with path.open("rb") as file:
        return zstandard.ZstdDecompressor().stream_reader(file).read()


def dropped(source: str, name: str, text: str, start: str, end: str) -> int:
    """The printed command on a file that was dropped where ``init`` says; the rows that came of it."""
    assert run(["init", "."]) == 0
    (Path("data/raw") / source / name).write_text(text)
    words = ["--source", source, "--symbol", "BTCUSDT", "--start", start, "--end", end, "--market", "usdm"]
    assert run(["replay-to-parquet", *words, "--output", "mine"]) == 0
    return len(read_frame("BTCUSDT-PERP.BINANCE", "trades", catalog="mine"))


@pytest.mark.usefixtures("workdir")
def test_row_037_the_csv_command_as_printed() -> None:
    assert dropped("csv", "btcusdt_trades.csv", CSV, "2024-01-01", "2024-01-07") == 2


@pytest.mark.usefixtures("workdir")
def test_row_055_the_messages_command_as_printed() -> None:
    assert dropped("websocket", "messages.jsonl", MESSAGE, "2022-01-01", "2022-01-02") == 1


@pytest.mark.slow
def test_row_054_csv_needs_no_network(workdir: Path) -> None:
    apart = ["unshare", "-n"]
    if shutil.which("unshare") is None or subprocess.run([*apart, "true"], capture_output=True, check=False).returncode:
        pytest.skip("a process cannot be without a network here")
    subprocess.run([*apart, *converted(workdir)], capture_output=True, check=True)
    assert len(read_frame("BTCUSDT-PERP.BINANCE", "trades", catalog="catalog")) == 2


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_row_083_each_partition_has_its_checks(workdir: Path) -> None:
    text = "import hedgegrid_assets.definitions as d\nimport dagster as dg\n"
    text += "specs = [s for c in d.defs.asset_checks or () for s in c.check_specs]\n"
    text += "specs += [s for a in d.defs.assets or () for s in getattr(a, 'check_specs', ())]\n"
    text += "print(len(specs), sum(s.partitions_def is not None for s in specs))"
    (workdir / "feeds.yaml").write_text(
        "version: 1\nfeeds: {sim: {source: synthetic, venue: SIM, symbols: [BTCUSDT], start: 2024-01-01}}\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", text]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    checks, of_days = map(int, done.stdout.split()[-2:])
    assert checks == of_days > 10


def test_row_092_status_shows_the_plan_that_the_api_tells(server: Standin, capsys: pytest.CaptureFixture[str]) -> None:
    del server
    Path("feeds.yaml").write_text(
        "version: 1\nfeeds: {usdm: {source: tardis, venue: BINANCE, symbols: [BTCUSDT], start: 2024-01-01}}\n"
    )
    run(["status"])
    shown = capsys.readouterr().out
    assert "plan at" in shown
    run(["status", "--offline"])
    assert "plan at" not in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_row_099_thirty_days_take_no_more_memory_than_one(workdir: Path) -> None:
    def peak(days: int) -> float:
        files = [word for day in range(days) for word in ("--input", str(_trades_of(workdir, day)))]
        words = ["--source", "csv", "--symbol", "BTCUSDT", "--market", "usdm", *files, *places(workdir / str(days))]
        command = [*_COMMAND, "replay-to-parquet", *words, "--json", "--quiet"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return float(json.loads(done.stdout)["peak_rss_mb"])

    assert peak(30) <= 1.2 * peak(1)


def _trades_of(folder: Path, day: int, rows: int = 20_000) -> Path:
    """A file of a day's trades."""
    first = 1_704_067_200_000 + day * 86_400_000
    lines = (
        f"{first + row * 4_000},{42_000 + row % 997},0.{row % 900 + 100},{'buy' if row % 7 < 3 else 'sell'},{day * rows + row}\n"
        for row in range(rows)
    )
    path = folder / f"{day}.csv"
    path.write_text("timestamp,price,size,side,id\n" + "".join(lines))
    return path


def test_row_105_an_archive_gives_an_equal_catalog(workdir: Path) -> None:
    assert from_csv(workdir, CSV) == 0
    held = read_frame("BTCUSDT-PERP.BINANCE", "trades", catalog="catalog", decimals="exact")
    where = ["--catalog", "catalog", "--data", "data"]
    assert run(["backup", "all.tar", *where]) == 0
    subprocess.run(["tar", "-cf", "plain.tar", "catalog"], check=True)
    for archive in ("all.tar", "plain.tar"):
        shutil.rmtree("catalog")
        if archive == "all.tar":
            assert run(["restore", archive, *where]) == 0
        else:
            subprocess.run(["tar", "-xf", archive], check=True)
        assert validate_catalog("catalog", deep=True).ok
        assert read_frame("BTCUSDT-PERP.BINANCE", "trades", catalog="catalog", decimals="exact").equals(held)


def test_row_107_status_knows_what_du_does(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sample(2) == 0
    du = subprocess.run(["du", "-sB1", "--apparent-size", "data/catalog"], capture_output=True, text=True, check=True)
    folders = sum(
        path.stat().st_size
        for path in [workdir / "data/catalog", *(workdir / "data/catalog").rglob("*")]
        if path.is_dir()
    )
    said = told(capsys, "status", "--catalog", "data/catalog")
    of_files = int(du.stdout.split()[0]) - folders
    assert any(abs(size - of_files) <= of_files / 100 for size in _numbers(said)), (said, of_files)


def _numbers(value: Any) -> list[float]:
    """Every number of a document."""
    if isinstance(value, dict):
        return [number for inner in value.values() for number in _numbers(inner)]
    if isinstance(value, list):
        return [number for inner in value for number in _numbers(inner)]
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else []


def test_row_108_a_run_tells_its_memory_and_time(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (workdir / "trades.csv").write_text(CSV)
    assert run(converted(workdir)[3:]) == 0
    assert re.search(
        r"[0-9.]+ s of processors, [0-9.,]+ MB of memory at most", capsys.readouterr().out.replace("\n", " ")
    )
    said = told(capsys, *converted(workdir)[3:], "--force")
    assert said["cpu_seconds"] > 0
    assert 20 < said["peak_rss_mb"] < 4_000


@pytest.mark.slow
def test_row_109_four_gigabytes_of_addresses_are_enough(workdir: Path) -> None:
    Path("sim.json").write_text(json.dumps({"seed": 7, "trades_per_day": 50_000}))
    asked = ["--symbol", "BTCUSDT", "--start", "2024-01-01", "--end", "2024-01-02", "--config", "sim.json"]
    words = [*_COMMAND, "replay-to-parquet", "--source", "synthetic", *asked, *places(workdir)]
    limited = ["bash", "-c", 'ulimit -v 4000000; exec "$@"', "limited", *words]
    done = subprocess.run(limited, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "100"})
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("workdir")
def test_row_115_old_days_are_pruned_after_they_were_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert sample(3) == 0
    days = Path("data/catalog", SIM, "trade_tick.parquet")
    assert run(["prune", "--before", "2024-01-03", "--dry-run"]) == 0
    assert "would go; nothing was removed" in capsys.readouterr().out.replace("\n", " ")
    assert len(list(days.iterdir())) == 3
    assert run(["prune", "--before", "2024-01-03"]) == 0
    told = capsys.readouterr()
    assert "2 days, " in told.out
    assert re.search(r"raw days are among these files: any other catalog made with --data \S+ rests on them", told.err)
    assert [path.stem for path in days.iterdir()] == ["2024-01-03"]
    assert validate_catalog("data/catalog").ok


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_row_011_020_116_a_sample_is_made_and_readme_runs_on_it_word_for_word(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = fresh_standin()
    monkeypatch.setenv("TARDIS_ENDPOINT", server.endpoint)
    monkeypatch.setenv("TARDIS_DATASETS_ENDPOINT", server.datasets_endpoint)
    (workdir / "archive.json").write_text(json.dumps({"endpoint": fresh_archive().endpoint}))
    assert run(["init", "."]) == 0
    assert run(["generate-sample-data", "--offline", "--quiet"]) == 0  # as make demo does, by way of Dagster
    for block in runnable("README.md", "bash"):
        shell(block, [("archive", ["--config", "archive.json"])])
    assert Path("report.html").stat().st_size > 10_000
    (result,) = Path("artifacts").glob("*/result.json")
    delivered = json.loads(result.read_bytes())["delivered"]
    assert len(delivered) == 3
    assert min(delivered.values()) > 0
    # in a process of its own: Nautilus goes on reading a relative path where the process was when it first did
    program = "\n".join(block.text for block in runnable("README.md", "python"))
    program += "\nprint(len(trades), len(marks))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["20000", "86400"]
    assert sample(4) == 0
    assert run(["validate", "data/catalog"]) == 0


def test_row_011_the_sample_comes_from_tardis_where_there_is_a_key(server: Standin) -> None:
    assert run(["generate-sample-data", "--days", "1", "--quiet"]) == 0
    assert server.log


def test_row_117_links_inside_the_documents_lead_somewhere() -> None:
    broken: list[str] = []
    for page in (*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").glob("*.md")):
        for link in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
            inside = not link.startswith(("https://", "http://"))
            if (inside and not (page.parent / link).exists()) or link.startswith("http://"):
                broken.append(f"{page.name}: {link}")
    assert broken == []
    assert list((REPOSITORY / ".github/ISSUE_TEMPLATE").glob("*.y*ml"))
