"""Corrected files, other data roots, days taken out, instruments widened: nothing goes without a word, nothing is left half done."""

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from datetime import date
from itertools import count
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Final, Self

import pyarrow.parquet as pq
import pytest
from nautilus_trader.persistence.catalog import ParquetDataCatalog
from nautilus_trader.test_kit.providers import TestInstrumentProvider

from hedgegrid_assets import read_frame
from hedgegrid_assets.cli import run
from hedgegrid_assets.inspect.validation import validate_catalog
from hedgegrid_assets.instruments import read_definitions
from hedgegrid_assets.stages import catalog
from hedgegrid_assets.stages.raw import imports
from hedgegrid_assets.store import Places
from hedgegrid_assets.timestamps import day_start, nautilus_file_name

ID: Final = "BTCUSDT-PERP.BINANCE"
FIRST, SECOND = date(2024, 1, 1), date(2024, 1, 2)
HOUR_MS: Final = 3_600_000


def write(path: Path, hours: Iterable[int], price: str = "42500.5", symbol: str = "") -> Path:
    """A trade at each of the hours since 2024-01-01."""
    path.parent.mkdir(parents=True, exist_ok=True)
    start = day_start(FIRST) // 10**6
    rows = [f"{start + hour * HOUR_MS},{price},0.1,buy,{hour}{symbol and ','}{symbol}" for hour in hours]
    path.write_text("\n".join(["time,price,size,side,id" + (",symbol" if symbol else ""), *rows, ""]))
    return path


def places(root: Path, data: str = "data") -> Places:
    return Places(root / data, root / "catalog")


def convert(root: Path, *more: str, data: str = "data") -> int:
    command = ["replay-to-parquet", "--source", "csv", "--symbol", "BTCUSDT", "--data-types", "trades"]
    return run([*command, "--output", str(root / "catalog"), "--data", str(root / data), *more])


def ids(root: Path, instrument: str = ID) -> list[int]:
    found = ParquetDataCatalog(str(root / "catalog")).trade_ticks(instrument_ids=[instrument])
    return sorted(int(str(each.trade_id)) for each in found)


# ---------------------------------------------------------------- corrected files


def test_a_day_that_a_corrected_file_holds_no_more_is_told_on_every_run_with_the_command_that_removes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "data/raw/csv/x.csv", range(0, 48, 4))
    assert convert(tmp_path) == 0
    write(file, range(0, 24, 4))
    for _ in range(2):
        capsys.readouterr()
        assert convert(tmp_path) == 0
        told = capsys.readouterr().err
        assert f"raw/csv/x.csv holds no trades of {ID} 2024-01-02 any more" in told
    assert ids(tmp_path) == list(range(0, 48, 4))
    command = re.search(r"to remove it: hedgegrid (.*)", told)
    assert command
    assert run(shlex.split(command[1])) == 0
    assert ids(tmp_path) == list(range(0, 24, 4))
    assert validate_catalog(tmp_path / "catalog").ok
    capsys.readouterr()
    assert convert(tmp_path) == 0
    assert "any more" not in capsys.readouterr().err
    write(file, range(0, 48, 4))
    assert convert(tmp_path) == 0
    assert ids(tmp_path) == list(range(0, 48, 4))


def test_a_day_that_another_file_still_gives_is_made_anew_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "data/raw/csv/x.csv", range(12))
    write(tmp_path / "data/raw/csv/y.csv", range(12, 24))
    assert convert(tmp_path) == 0
    write(file, range(24, 30))
    capsys.readouterr()
    assert convert(tmp_path) == 0
    told = capsys.readouterr().err
    assert "any more" not in told
    assert f"{ID} 2024-01-01 trade_tick: made anew from a corrected file: 12 rows, 24 before" in told
    assert ids(tmp_path) == list(range(12, 30))


@pytest.mark.parametrize("where", ["data/raw/csv/x.csv", "elsewhere/x.csv"])
def test_a_corrected_file_of_the_same_origin_may_shrink(
    tmp_path: Path, where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / where, range(0, 24, 2))
    named = ["--input", str(file)] if "raw" not in where else []
    assert convert(tmp_path, *named) == 0
    write(file, range(0, 24, 4))
    capsys.readouterr()
    assert convert(tmp_path, *named) == 0
    assert "made anew from a corrected file: 6 rows, 12 before" in capsys.readouterr().err
    assert ids(tmp_path) == list(range(0, 24, 4))


def test_force_reads_a_file_again_whose_size_and_time_are_the_same(tmp_path: Path) -> None:
    file = write(tmp_path / "data/raw/csv/x.csv", range(0, 48, 4))
    status = file.stat()
    assert convert(tmp_path) == 0
    write(file, range(0, 48, 4), price="42500.7")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert file.stat().st_size == status.st_size
    assert convert(tmp_path, "--force") == 0
    assert set(read_frame(ID, "trades", catalog=tmp_path / "catalog")["price"]) == {42500.7}


def test_force_sees_that_a_file_of_the_same_size_and_time_holds_a_day_no_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "data/raw/csv/x.csv", range(0, 48, 4))
    status = file.stat()
    assert convert(tmp_path) == 0
    file.write_text(re.sub("^1704[12]", "17040", file.read_text(), flags=re.MULTILINE))  # all on days before
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    capsys.readouterr()
    convert(tmp_path, "--force")
    assert "holds no trades of BTCUSDT-PERP.BINANCE 2024-01-02 any more" in capsys.readouterr().err


def test_imports_stay_in_their_order_when_the_clock_is_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sensor goes on after the last import that it has seen."""
    write(tmp_path / "data/raw/csv/b.csv", range(12))
    assert convert(tmp_path) == 0
    (first,) = imports(places(tmp_path), "cli_csv")
    write(tmp_path / "data/raw/csv/a.csv", range(12, 24))
    with monkeypatch.context() as patch:
        patch.setattr(time, "time_ns", lambda: 0)
        assert convert(tmp_path) == 0
    assert [each.name.partition("@")[0] for each in imports(places(tmp_path), "cli_csv")] == [
        "raw/csv/b.csv",
        "raw/csv/a.csv",
    ]
    assert imports(places(tmp_path), "cli_csv")[1].at > first.at


# ---------------------------------------------------------------- another origin


def test_a_second_data_root_does_not_replace_a_day_by_a_smaller_one_unless_forced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "data/raw/csv/x.csv", range(0, 48, 2))
    assert convert(tmp_path) == 0
    before = {path: path.read_bytes() for path in (tmp_path / "catalog" / ID).rglob("*") if path.is_file()}
    write(tmp_path / "other/raw/csv/x.csv", [*range(0, 24, 4), *range(24, 48, 2)])
    capsys.readouterr()
    assert convert(tmp_path, "--json", data="other") == 1
    shown = capsys.readouterr()
    days = {day["date"]: day["status"] for day in json.loads(shown.out)["days"]}
    assert days == {"2024-01-01": "refused", "2024-01-02": "partial"}
    assert "which lack 6 of them" in shown.err
    assert "--force" in shown.err
    assert ids(tmp_path) == list(range(0, 48, 2))
    assert all(path.read_bytes() == content for path, content in before.items() if "2024-01-01" in path.name)
    assert validate_catalog(tmp_path / "catalog").ok
    assert convert(tmp_path, "--force", data="other") == 0
    assert "2024-01-01 trade_tick: replaced by force: 6 of 12 rows are not in" in capsys.readouterr().err
    assert ids(tmp_path) == [*range(0, 24, 4), *range(24, 48, 2)]


def test_a_second_data_root_with_as_many_but_other_rows_is_refused_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "data/raw/csv/x.csv", range(0, 12))
    assert convert(tmp_path) == 0
    write(tmp_path / "other/raw/csv/x.csv", range(6, 24))
    assert convert(tmp_path, data="other") == 1
    assert "which lack 6 of them" in capsys.readouterr().err
    assert ids(tmp_path) == list(range(0, 12))


def test_a_second_data_root_that_has_all_rows_replaces_the_day_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "data/raw/csv/x.csv", range(0, 24, 4))
    assert convert(tmp_path) == 0
    write(tmp_path / "other/raw/csv/y.csv", range(0, 24, 2))
    capsys.readouterr()
    assert convert(tmp_path, data="other") == 0
    assert "replaced by data of another origin, raw/csv/y.csv: all 6 rows are in them" in " ".join(
        capsys.readouterr().err.split()
    ) or "other/raw/csv/y.csv" in "".join(capsys.readouterr().err.split())
    assert ids(tmp_path) == list(range(0, 24, 2))


# ---------------------------------------------------------------- a day taken out


def test_a_definition_of_another_writer_is_not_replaced_by_an_inferred_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = TestInstrumentProvider.btcusdt_perp_binance()
    catalog = ParquetDataCatalog(str(tmp_path / "catalog"))
    catalog.write_data([theirs])
    write(tmp_path / "data/raw/csv/x.csv", range(12))
    assert convert(tmp_path) == 1
    told = capsys.readouterr().err
    assert f"{ID} is refused: expected no definition of another writer" in told
    assert [each.to_dict(each) for each in catalog.instruments()] == [theirs.to_dict(theirs)]
    assert ids(tmp_path) == []
    moving = re.search(r"run again: (.*)", told)
    assert moving
    subprocess.run(moving[1], shell=True, check=True)
    for _ in range(2):
        assert convert(tmp_path) == 0
        assert ids(tmp_path) == list(range(12))


def reset(root: Path, *more: str, day: date = FIRST) -> int:
    return run(["reset-day", ID, str(day), "--catalog", str(root / "catalog"), "--data", str(root / "data"), *more])


def test_reset_day_says_what_goes_and_removes_nothing_without_yes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "data/raw/csv/x.csv", range(0, 48, 4))
    assert convert(tmp_path) == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert reset(tmp_path) == 0
    told = capsys.readouterr()
    for what in (
        "Nautilus file of trade_tick",
        "frame of trade_tick",
        "verdict of trade_tick",
        "manifest of the raw day",
    ):
        assert f"would remove: {what}: " in told.out
    assert "add --yes" in told.err
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert reset(tmp_path, "--yes") == 0
    assert ids(tmp_path) == list(range(24, 48, 4))
    left = {path.name for path in tmp_path.rglob("*2024-01-01*")}
    assert left <= {f"{ID}@2024-01-01.lock"}
    assert validate_catalog(tmp_path / "catalog").ok
    assert convert(tmp_path) == 0
    assert ids(tmp_path) == list(range(0, 48, 4))


def test_reset_day_keeps_landing_files_and_what_is_not_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "data/raw/csv/x.csv", range(0, 24, 4))
    assert convert(tmp_path) == 0
    theirs = tmp_path / "catalog/data/trade_tick" / ID / nautilus_file_name(FIRST)
    pq.write_table(pq.read_table(theirs), theirs)
    content = theirs.read_bytes()
    capsys.readouterr()
    assert reset(tmp_path, "--yes") == 0
    told = capsys.readouterr().out
    assert f"stays (not ours): {theirs}" in told
    assert f"stays (a landing file): {file}" in told
    assert theirs.read_bytes() == content
    assert file.exists()


def test_a_day_that_is_not_there_is_named_with_what_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "data/raw/csv/x.csv", range(0, 24, 4))
    assert convert(tmp_path) == 0
    assert reset(tmp_path, "--yes", day=SECOND) == 1
    assert f"nothing of that day; the catalog holds {ID}" in capsys.readouterr().err


def test_when_the_last_day_is_out_another_series_may_come_in(tmp_path: Path) -> None:
    write(tmp_path / "data/raw/csv/x.csv", range(0, 24, 4))
    assert convert(tmp_path) == 0
    held = json.loads(places(tmp_path).series.read_bytes())["held"]
    assert ID in held
    assert reset(tmp_path, "--yes") == 0
    assert ID not in json.loads(places(tmp_path).series.read_bytes())["held"]


# ---------------------------------------------------------------- killed at every step

_DYING: Final = """
import json, os, pathlib, sys
import hedgegrid_assets.housekeeping.reset_day, hedgegrid_assets.housekeeping.widening
from hedgegrid_assets.cli import run
def counted(name):
    real = getattr(pathlib.Path, name)
    def step(self, *given, **options):
        global left
        left -= 1
        if left < 0:
            os._exit(77)
        return real(self, *given, **options)
    setattr(pathlib.Path, name, step)
for line in sys.stdin:
    left, *command = json.loads(line)
    process = os.fork()
    if not process:
        os.dup2(2, 1)
        for name in ("replace", "unlink"):
            counted(name)
        code = run(command)
        sys.stdout.flush()
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
"""


class Dying:
    """Runs commands in children of one process, which has imported all that they need; used in a ``with`` block."""

    def __enter__(self) -> Self:
        self._told = TemporaryFile()
        self._parent = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", _DYING],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._told,
            text=True,
            bufsize=1,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._parent.communicate()
        self._told.close()

    def killed_at(self, step: int, command: list[str]) -> bool:
        """Run a command that is gone at its n-th rename or removal; False if it came to its end before."""
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.write(json.dumps([step, *command, "-q"]) + "\n")
        code = self._parent.stdout.readline().strip()
        assert code in {"0", "77"}, self._said()
        return code == "77"

    def _said(self) -> str:
        self._told.seek(0)  # where the children write, too
        return self._told.read().decode()


def two_days(root: Path) -> None:
    write(root / "data/raw/csv/x.csv", range(0, 48, 4))
    assert convert(root) == 0


def prices(root: Path) -> list[tuple[int, str]]:
    found = ParquetDataCatalog(str(root / "catalog")).trade_ticks(instrument_ids=[ID])
    return [(each.ts_init, str(each.price)) for each in found]


def steps_killed(root: Path, command: Callable[[Path], list[str]], check: Callable[[Path], Any]) -> int:
    """Kill a command at every one of its steps, each in a catalog of its own; how many there were."""
    with Dying() as dying:
        for step in count():
            here = root / str(step)
            two_days(here)
            if not dying.killed_at(step, command(here)):
                return step
            check(here)
    raise AssertionError


@pytest.mark.parametrize("way", ["../mine.txt", "{root}/mine.txt"])
def test_what_a_catalog_of_strangers_notes_outside_of_it_is_not_touched(
    way: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    two_days(tmp_path)
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    noted: dict[str, Any] = {"what": "x", "definition": None, "renames": [], "removals": [way.format(root=tmp_path)]}
    places(tmp_path).moves.local().write_text(json.dumps(noted | {"unclaimed": [], "folder": None}))
    assert run(["instruments", "widen", ID, "--price-precision", "3", "--catalog", str(tmp_path / "catalog")]) == 1
    assert "expected paths in the catalog or the data root" in capsys.readouterr().err.replace("\n", " ")
    assert mine.read_text() == "mine"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_widening_killed_at_any_step_is_as_it_was_or_named_and_finished_by_the_next_run(tmp_path: Path) -> None:
    half: list[str] = []

    def command(root: Path) -> list[str]:
        return ["instruments", "widen", ID, "--price-precision", "3", "--catalog", str(root / "catalog")]

    def check(root: Path) -> None:
        report = validate_catalog(root / "catalog")
        if report.unfinished is not None:
            assert not report.ok
            assert f"widening {ID}; finish it with: hedgegrid instruments widen" in report.unfinished
            half.append(report.unfinished)
            finishing = shlex.split(report.unfinished.partition("finish it with: hedgegrid ")[2])
            assert run([*finishing, "-q"] if len(half) % 2 else ["replay-to-parquet", *_AGAIN, *_roots(root)]) == 0
        else:
            named = ["Nautilus' definition of" in each["error"] for each in report.documents]
            assert report.ok or named == [True]
            assert {price for _, price in prices(root)} in ({"42500.5"}, {"42500.500"})
            assert run([*command(root), "-q"]) == 0
        assert {price for _, price in prices(root)} == {"42500.500"}
        assert len(prices(root)) == 12
        assert read_definitions(root / "catalog")[ID].price_precision == 3
        assert validate_catalog(root / "catalog", deep=True).ok
        assert not (root / "catalog/.hedgegrid/staging").exists()
        assert convert(root, "-q") == 0

    assert steps_killed(tmp_path, command, check) > 10
    assert len(half) > 5, "the burst has a step for each file"


_AGAIN: Final = ("--source", "csv", "--symbol", "BTCUSDT", "--data-types", "trades", "-q")


def _roots(root: Path) -> list[str]:
    return ["--output", str(root / "catalog"), "--data", str(root / "data")]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_day_half_taken_out_is_named_and_the_next_run_takes_out_the_rest(tmp_path: Path) -> None:
    half: list[str] = []

    def command(root: Path) -> list[str]:
        return [
            "reset-day",
            ID,
            "2024-01-01",
            "--yes",
            *("--catalog", str(root / "catalog")),
            "--data",
            str(root / "data"),
        ]

    def check(root: Path) -> None:
        report = validate_catalog(root / "catalog")
        if report.unfinished is None:
            assert report.ok
            assert ids(root) == list(range(0, 48, 4))
            return
        assert not report.ok
        half.append(report.unfinished)
        assert run([*command(root), "-q"]) == 1, "the rest is done first, and then there is nothing of the day"
        assert ids(root) == list(range(24, 48, 4))
        assert validate_catalog(root / "catalog").ok

    assert steps_killed(tmp_path, command, check) > 4
    assert len(half) > 3


def test_an_interrupted_widening_leaves_all_as_it_was(tmp_path: Path) -> None:
    two_days(tmp_path)
    before = {path: path.read_bytes() for path in (tmp_path / "catalog" / "data").rglob("*") if path.is_file()}
    frame = tmp_path / "catalog" / ID / "trade_tick.parquet" / "2024-01-02.parquet"
    frame.write_bytes(frame.read_bytes()[:-1])
    command = ["instruments", "widen", ID, "--price-precision", "3", "--catalog", str(tmp_path / "catalog"), "-q"]
    assert run(command) == 1
    assert before == {path: path.read_bytes() for path in (tmp_path / "catalog" / "data").rglob("*") if path.is_file()}
    assert not places(tmp_path).staging.catalog.exists()


def test_widening_reaches_the_last_good_file_of_a_day_that_is_blocked_by_now(tmp_path: Path) -> None:
    two_days(tmp_path)
    file = tmp_path / "data/raw/csv/x.csv"
    file.write_text(file.read_text() + f"{day_start(FIRST) // 10**6 + 1},42501.5,0.1,buy,0\n")
    assert convert(tmp_path) == 1
    command = ["instruments", "widen", ID, "--price-precision", "3", "--catalog", str(tmp_path / "catalog"), "-q"]
    assert run(command) == 0
    assert {price for _, price in prices(tmp_path)} == {"42500.500"}
    assert len(prices(tmp_path)) == 12


# ---------------------------------------------------------------- pairs with a slash

PAIR: Final = "BTC/USDT.KRAKEN"


def pair(root: Path) -> list[str]:
    write(root / "pair.csv", range(0, 48, 4), symbol="BTC/USDT")
    command = ["replay-to-parquet", "--source", "csv", "--symbol", "BTC/USDT", "--data-types", "trades"]
    return [*command, "--instrument", PAIR, "--input", str(root / "pair.csv"), *_roots(root)]


def test_a_pair_with_a_slash_lies_in_one_folder_as_nautilus_calls_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(pair(tmp_path)) == 0
    root = tmp_path / "catalog"
    assert sorted(path.name for path in root.iterdir() if not path.name.startswith(".")) == [
        *("BTCUSDT.KRAKEN", "data", "instruments.parquet")
    ]
    assert sorted(path.name for path in (root / "BTCUSDT.KRAKEN").iterdir()) == [
        *("trade_tick.parquet", "trade_tick.verdict")
    ]
    assert ids(tmp_path, PAIR) == list(range(0, 48, 4))
    assert len(read_frame(PAIR, "trades", catalog=root)) == 12
    report = validate_catalog(root, deep=True)
    assert report.ok
    assert {(day.instrument_id, day.frame_matches_verdict) for day in report.days} == {(PAIR, True)}
    (root / "instruments.parquet").rename(tmp_path / "definitions")
    assert {day.instrument_id for day in validate_catalog(root).days} == {PAIR}, "verdicts hold the id as well"
    (tmp_path / "definitions").rename(root / "instruments.parquet")
    capsys.readouterr()
    for command in (
        ["validate", str(root), "--instrument", PAIR],
        ["gaps", str(root), "--instrument", PAIR],
        ["report", str(root), "--output", str(tmp_path / "report.html")],
        ["instruments", "show", PAIR, "--catalog", str(root)],
        ["trace", PAIR, "trades", "4", "--catalog", str(root), "--data", str(tmp_path / "data")],
        ["instruments", "widen", PAIR, "--price-precision", "2", "--catalog", str(root)],
        ["reset-day", PAIR, "2024-01-01", "--yes", "--catalog", str(root), "--data", str(tmp_path / "data")],
    ):
        assert run(command) == 0, (command, capsys.readouterr())
    assert PAIR in (tmp_path / "report.html").read_text()
    assert ids(tmp_path, PAIR) == list(range(24, 48, 4))


def test_running_a_pair_again_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(pair(tmp_path)) == 0
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "catalog").rglob("*.parquet")}
    assert run(pair(tmp_path)) == 0
    assert "unchanged" in capsys.readouterr().out
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "catalog").rglob("*.parquet")}


def test_the_folder_of_an_id_without_a_slash_is_its_own_name(tmp_path: Path) -> None:
    two_days(tmp_path)
    assert (tmp_path / "catalog" / ID / "trade_tick.parquet").is_dir()
    assert catalog.unfinished(places(tmp_path)) is None
