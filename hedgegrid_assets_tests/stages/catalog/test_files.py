"""Whose the files in Nautilus' folders are: ours are known by their stamp, another's are never removed, replaced or doubled."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.identifiers import InstrumentId, TradeId
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from hedgegrid_assets.cli import run
from hedgegrid_assets.errors import ForeignFile
from hedgegrid_assets.inspect.validation import validate_catalog
from hedgegrid_assets.stages import catalog
from hedgegrid_assets.stages.catalog import nautilus
from hedgegrid_assets.stages.catalog.files import days_in, interval
from hedgegrid_assets.stages.catalog.series import change_series, read_series
from hedgegrid_assets.stages.frames import Precisions, parquet_options
from hedgegrid_assets.store import Places
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets.timestamps import day_end, day_start, nautilus_file_name
from hedgegrid_assets_tests.scenario import BAD_MS, CLEAN, DAY, DAY_MS, MIDNIGHT_MS, agg_trade, line, received
from hedgegrid_assets_tests.yard import Yard, instrument_day

ID: Final = "BTCUSDT-PERP.BINANCE"
TRADES: Final = TABLES["trade_tick"]
HOUR: Final = 3_600 * 10**9
FIRST: Final = date(2024, 1, 1)


def tick(ns: int, number: int, price: str = "42500.5", size: str = "0.1") -> TradeTick:
    instrument = InstrumentId.from_str(ID)
    return TradeTick(
        instrument,
        Price.from_str(price),
        Quantity.from_str(size),
        AggressorSide.BUYER,
        TradeId(f"mine{number}"),
        ns,
        ns,
    )


def recorded(root: Path, at: int, **options: Any) -> None:
    """Five trades of another's recorder, through Nautilus itself."""
    ParquetDataCatalog(str(root)).write_data([tick(at + number, number) for number in range(5)], **options)


def ids_in(root: Path) -> list[str]:
    return [str(each.trade_id) for each in ParquetDataCatalog(str(root)).trade_ticks(instrument_ids=[ID])]


def csv_of(path: Path, hours: range, step: int = 4) -> Path:
    """A trade each fourth hour from 2024-01-01 on."""
    rows = [f"{(day_start(FIRST) + hour * HOUR) // 10**6},42500.5,0.1,buy,{hour}" for hour in hours[::step]]
    path.write_text("\n".join(["time,price,size,side,id", *rows, ""]))
    return path


def convert(tmp_path: Path, file: Path, *more: str, data: str = "data") -> int:
    return run(
        [
            *(
                "replay-to-parquet",
                "--source",
                "csv",
                "--symbol",
                "BTCUSDT",
                "--data-types",
                "trades",
                "--input",
                str(file),
            ),
            *("--output", str(tmp_path / "catalog"), "--data", str(tmp_path / data), *more),
        ]
    )


def names(tmp_path: Path, table: str = "trade_tick") -> set[str]:
    return {path.name for path in (tmp_path / "catalog" / "data" / table / ID).glob("*.parquet")}


# ---------------------------------------------------------------- another's files


WRITTEN: Final[dict[str, Callable[[Path], None]]] = {
    "a fragment inside the day": lambda root: recorded(root, day_start(FIRST) + 2 * HOUR),
    "a fragment over midnight": lambda root: recorded(root, day_start(FIRST), start=day_start(FIRST) - HOUR),
    "the whole day": lambda root: recorded(
        root, day_start(FIRST) + HOUR, start=day_start(FIRST), end=day_end(FIRST) - 1
    ),
    "several days": lambda root: recorded(
        root, day_start(FIRST), start=day_start(FIRST) - 24 * HOUR, end=day_end(FIRST) + 24 * HOUR
    ),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_what_another_wrote_into_the_day_survives_and_the_day_is_refused_by_name(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    WRITTEN[name](tmp_path / "catalog")
    (theirs,) = names(tmp_path)
    assert convert(tmp_path, csv_of(tmp_path / "x.csv", range(48))) == 1
    shown = capsys.readouterr()
    assert "refused" in shown.out
    assert "blocked" not in shown.out
    assert theirs in shown.err
    assert re.search(rf"{ID} 2024-01-01(\.\.02)? trade_tick is refused", shown.err)
    assert theirs in names(tmp_path)
    assert {"mine0", "mine1", "mine2", "mine3", "mine4"} <= set(ids_in(tmp_path / "catalog"))
    assert not (tmp_path / "catalog" / ID / "trade_tick.parquet" / "2024-01-01.parquet").exists()


def test_good_days_of_the_range_land_beside_a_refused_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorded(tmp_path / "catalog", day_start(FIRST) + 2 * HOUR)
    assert convert(tmp_path, csv_of(tmp_path / "x.csv", range(48)), "--json") == 1
    days = {day["date"]: day for day in json.loads(capsys.readouterr().out)["days"]}
    assert days["2024-01-01"]["status"] == "refused"
    assert days["2024-01-02"]["status"] == "partial"
    assert nautilus_file_name(date(2024, 1, 2)) in names(tmp_path)


def test_the_hint_of_a_refused_day_works_to_the_letter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = csv_of(tmp_path / "x.csv", range(48))
    assert convert(tmp_path, file) == 0
    ParquetDataCatalog(str(tmp_path / "catalog")).consolidate_data(TradeTick, ID)
    assert len(names(tmp_path)) == 1
    before = ids_in(tmp_path / "catalog")
    capsys.readouterr()
    assert convert(tmp_path, file) == 1
    told = capsys.readouterr().err
    assert ids_in(tmp_path / "catalog") == before
    command = told.partition("from their frames): ")[2].strip()
    assert told.count("mkdir -p") == 1, "said once for all days"
    subprocess.run(["bash", "-c", command], check=True, cwd=tmp_path)
    assert convert(tmp_path, file) == 0
    assert names(tmp_path) == {nautilus_file_name(FIRST), nautilus_file_name(date(2024, 1, 2))}
    assert ids_in(tmp_path / "catalog") == before
    assert validate_catalog(tmp_path / "catalog").ok


def test_our_own_file_that_nautilus_has_renamed_gets_its_name_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = csv_of(tmp_path / "x.csv", range(48))
    assert convert(tmp_path, file) == 0
    content = {(tmp_path / "catalog/data/trade_tick" / ID / name).read_bytes() for name in names(tmp_path)}
    ParquetDataCatalog(str(tmp_path / "catalog")).reset_data_file_names(TradeTick, ID)
    assert names(tmp_path).isdisjoint({nautilus_file_name(FIRST)})
    capsys.readouterr()
    assert convert(tmp_path, file) == 1
    for command in [
        text.partition("run again: ")[2] for text in capsys.readouterr().err.splitlines() if "run again: " in text
    ]:
        subprocess.run(["bash", "-c", command], check=True, cwd=tmp_path)
    assert convert(tmp_path, file) == 0
    assert {(tmp_path / "catalog/data/trade_tick" / ID / name).read_bytes() for name in names(tmp_path)} == content


@pytest.mark.parametrize("name", ["x.parquet", ".hidden.parquet", "a_b.parquet", "below/x.parquet"])
def test_a_file_without_a_time_in_its_name_stops_the_write_and_validate(tmp_path: Path, name: str) -> None:
    file = csv_of(tmp_path / "x.csv", range(24))
    assert convert(tmp_path, file) == 0
    folder = tmp_path / "catalog" / "data" / "trade_tick" / ID
    (folder / name).parent.mkdir(exist_ok=True)
    shutil.copy(folder / nautilus_file_name(FIRST), folder / name)
    assert convert(tmp_path, file, "--force") == 1
    (found,) = validate_catalog(tmp_path / "catalog").files
    assert (found["path"], found["trouble"]) == (str(folder / name), "no time in its name")
    assert run(["validate", str(tmp_path / "catalog"), "-q"]) == 1


def test_a_recorder_of_other_days_is_left_alone_and_named_by_validate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded(tmp_path / "catalog", day_end(FIRST) + HOUR)
    assert convert(tmp_path, csv_of(tmp_path / "x.csv", range(24))) == 0
    assert len(ids_in(tmp_path / "catalog")) == 6 + 5
    capsys.readouterr()
    assert run(["validate", str(tmp_path / "catalog")]) == 1
    assert "an unknown file" in capsys.readouterr().out


def test_another_of_other_decimals_is_refused_as_nautilus_could_read_neither(tmp_path: Path) -> None:
    ParquetDataCatalog(str(tmp_path / "catalog")).write_data([tick(day_end(FIRST) + HOUR, 1, price="42500.55")])
    assert convert(tmp_path, csv_of(tmp_path / "x.csv", range(24))) == 1
    assert ids_in(tmp_path / "catalog") == ["mine1"]


def test_a_catalog_of_another_is_ok_as_long_as_no_two_files_overlap(tmp_path: Path) -> None:
    recorded(tmp_path, day_start(FIRST) + HOUR)
    recorded(tmp_path, day_start(FIRST) + 2 * HOUR)
    assert validate_catalog(tmp_path).files == []
    recorded(tmp_path, day_start(FIRST) + HOUR + 2, skip_disjoint_check=True)
    (found,) = validate_catalog(tmp_path).files
    assert found["trouble"] == "overlaps"
    assert not validate_catalog(tmp_path).ok
    assert validate_catalog(tmp_path, start=FIRST, end=date(2024, 1, 2)).files == [found]


def test_a_table_that_another_has_written_into_stops_no_other_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    yard = Yard(tmp_path)
    yard.drop("capture.jsonl", CLEAN)
    recorded(yard.places.catalog.local(), day_start(DAY) + 2 * HOUR)
    command = [
        "replay-to-parquet",
        "--source",
        "websocket",
        "--symbol",
        "BTCUSDT",
        "--output",
        str(yard.places.catalog),
    ]
    assert run([*command, "--data", str(yard.places.data), "--json"]) == 1
    days = json.loads(capsys.readouterr().out)["days"]
    assert {day["table"] for day in days if day["status"] == "refused"} == {"trade_tick"}
    assert all(day["error"] is None for day in days if day["table"] != "trade_tick")


def test_another_series_is_refused_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = csv_of(tmp_path / "x.csv", range(24))
    assert convert(tmp_path, file) == 0
    places = Places(tmp_path, tmp_path / "catalog")
    held = read_series(places)
    change_series(places, lambda _: {name: dict.fromkeys(tables, "binance/aggTrade") for name, tables in held.items()})
    assert convert(tmp_path, csv_of(tmp_path / "x.csv", range(23))) == 1
    shown = capsys.readouterr()
    assert "refused" in shown.out
    assert "holds the series binance/aggTrade" in shown.err


# ---------------------------------------------------------------- the stamp


def ready(yard: Yard, data: bytes = CLEAN) -> Yard:
    yard.drop("capture.jsonl", data)
    yard.bring_in()
    for channel in ("aggTrade", "markPrice"):
        yard.normalize(channel)
    return yard


MORE: Final = CLEAN + line(agg_trade(1040, BAD_MS), received(MIDNIGHT_MS + DAY_MS - 1_000))


@pytest.mark.parametrize("table", [name for name, table in TABLES.items() if table.default])
def test_the_digest_of_the_frame_stands_in_the_footer_where_nautilus_does_not_see_it(
    tmp_path: Path, table: str
) -> None:
    yard = ready(Yard(tmp_path))
    written = yard.publish(table)
    assert catalog.stamped_digest(written.path, DAY) == yard.verdict(table)["content_digest"]
    assert not any(b"hedgegrid" in key for key in pq.read_schema(written.path).metadata)


def test_the_stamp_is_a_key_without_a_value_which_the_rust_reader_passes_over(tmp_path: Path) -> None:
    """With a value, its copies of the metadata of all files would slow down every batch of rows."""
    path = ready(Yard(tmp_path)).publish().path.local()
    (key,) = [key for key in pq.read_metadata(path).metadata if key.startswith(b"hedgegrid")]
    content = path.read_bytes()
    assert content.count(key) == 1
    assert content[content.index(key) + len(key)] == 0, "the structure ends right behind the key"
    assert content[:4] == content[-4:] == b"PAR1"
    assert pl.read_parquet(path).height == len(ParquetDataCatalog(str(tmp_path / "catalog")).trade_ticks([ID])) == 40


def test_an_older_file_that_looks_new_is_not_current(tmp_path: Path) -> None:
    yard = ready(Yard(tmp_path))
    older = yard.publish().path.local()
    kept = shutil.copy(older, tmp_path / "kept.parquet")
    ready(yard, MORE).publish()
    assert catalog.is_current(yard.places, instrument_day(), TRADES)
    shutil.copy(kept, older)
    os.utime(older, (2**32, 2**32))
    assert not catalog.is_current(yard.places, instrument_day(), TRADES)
    assert yard.publish().rows == 41


def test_a_file_that_looks_old_is_current_by_its_content(tmp_path: Path) -> None:
    yard = ready(Yard(tmp_path))
    os.utime(yard.publish().path, (0, 0))
    assert catalog.is_current(yard.places, instrument_day(), TRADES)


def without_stamp(path: Path, **options: Any) -> None:
    """The file as it was written before there was a stamp."""
    table = pq.read_table(path)
    status = path.stat()
    pq.write_table(table, path, **(options or parquet_options(table.schema, "zstd", nautilus.rising(TRADES))))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_raw_values_are_packed_a_level_lower_than_all_else() -> None:
    target = nautilus.schema(TRADES, "BTCUSDT-PERP.BINANCE", Precisions(1, 3, 8))
    levels = parquet_options(target, "zstd", nautilus.rising(TRADES))["compression_level"]
    assert {name for name, level in levels.items() if level == -1} == {"price", "size"}
    assert {name for name, level in levels.items() if level == 1} == {*target.names} - {"price", "size"}


def test_files_of_before_the_stamp_are_taken_as_they_are_until_redone(tmp_path: Path) -> None:
    yard = ready(Yard(tmp_path))
    path = yard.publish().path.local()
    without_stamp(path)
    assert catalog.stamped_digest(path, DAY) is None
    assert catalog.is_current(yard.places, instrument_day(), TRADES)
    ready(yard, MORE)
    assert not catalog.is_current(yard.places, instrument_day(), TRADES)
    yard.publish()
    assert catalog.stamped_digest(path, DAY) is not None


def test_a_whole_day_that_nautilus_wrote_over_ours_is_not_ours_any_more(tmp_path: Path) -> None:
    yard = ready(Yard(tmp_path))
    path = yard.publish().path.local()
    without_stamp(path, compression="snappy")  # as Nautilus writes
    assert not catalog.is_current(yard.places, instrument_day(), TRADES)
    with pytest.raises(ForeignFile, match="no file of another writer"):
        yard.publish()


def test_an_older_frame_that_was_put_back_is_made_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = csv_of(tmp_path / "x.csv", range(24))
    assert convert(tmp_path, file) == 0
    frame = tmp_path / "catalog" / ID / "trade_tick.parquet" / "2024-01-01.parquet"
    kept = shutil.copy(frame, tmp_path / "kept.parquet")
    csv_of(file, range(24), step=2)
    assert convert(tmp_path, file) == 0
    shutil.copy(kept, frame)
    assert convert(tmp_path, file) == 0
    assert "unchanged" not in capsys.readouterr().out
    assert validate_catalog(tmp_path / "catalog").ok


def test_nautilus_reads_appends_and_consolidates_files_of_different_stamps(tmp_path: Path) -> None:
    """And what it writes anew has no stamp of ours, so that nobody takes it for what we wrote."""
    assert convert(tmp_path, csv_of(tmp_path / "x.csv", range(72))) == 0
    root = tmp_path / "catalog"
    reader = ParquetDataCatalog(str(root))
    assert len(reader.trade_ticks(instrument_ids=[ID])) == 18
    assert len(reader.trade_ticks(instrument_ids=[ID], start="2024-01-02", end="2024-01-02T23:59:59")) == 6
    recorded(root, day_start(FIRST) + 73 * HOUR)
    reader.consolidate_data(TradeTick, ID, ensure_contiguous_files=False)
    (only,) = names(tmp_path)
    assert len(ids_in(root)) == 23
    footer = pq.read_metadata(root / "data" / "trade_tick" / ID / only).metadata
    assert not any(key.startswith(b"hedgegrid") for key in footer)


# ---------------------------------------------------------------- names


@given(st.integers(0, 2**62), st.integers(0, 2**55))
def test_times_are_read_from_names_as_nautilus_writes_them(start: int, length: int) -> None:
    from nautilus_trader.persistence.catalog.parquet import _timestamps_to_filename

    assert interval(_timestamps_to_filename(start, start + length)) == (start, start + length)


def test_a_name_tells_the_days_that_it_touches() -> None:
    assert days_in(nautilus_file_name(FIRST)) == [FIRST]
    assert days_in("2024-01-01T23-59-59-999999999Z_2024-01-02T00-00-00-000000000Z.parquet") == [FIRST, date(2024, 1, 2)]
    for name in ("x.parquet", "2024-13-01T00-00-00-000000000Z_2024-13-01T00-00-00-000000000Z.parquet", "_.parquet"):
        assert days_in(name) == []


# ---------------------------------------------------------------- the NautilusTrader beside us


def refused_by(fake: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hedgegrid_assets", *command],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(fake), "NO_COLOR": "1"},
        cwd=fake,
    )


def installed(folder: Path, version: str, bits: int = 128) -> Path:
    """A NautilusTrader of another version before the real one, as importlib.metadata finds it."""
    (folder / f"nautilus_trader-{version}.dist-info").mkdir(parents=True)
    told = f"Metadata-Version: 2.1\nName: nautilus_trader\nVersion: {version}\n"
    (folder / f"nautilus_trader-{version}.dist-info" / "METADATA").write_text(told)
    declared = folder / "nautilus_trader" / "core" / "rust" / "model.pxd"
    declared.parent.mkdir(parents=True)
    (folder / "nautilus_trader" / "__init__.py").write_text("raise AssertionError('it is not imported for this')\n")
    declared.write_text(f"DEF HIGH_PRECISION = {bits == 128}  # or False\n")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("version", "bits", "expected"),
    [
        ("2.0.0rc7", 128, "expected >=1.231,<2"),
        ("1.231.0", 64, "expected one of >=1.231,<2, >=2.0.0rc7,<3"),
        ("3.0.0", 128, "expected one of >=1.231,<2, >=2.0.0rc7,<3"),
    ],
)
def test_a_nautilus_that_cannot_read_the_catalog_is_named_by_what_writes_and_validates(
    tmp_path: Path, version: str, bits: int, expected: str
) -> None:
    file = csv_of(tmp_path / "x.csv", range(24))
    assert convert(tmp_path, file) == 0
    fake = installed(tmp_path / "fake", version, bits)
    output = str(tmp_path / "catalog")
    before = {path: path.read_bytes() for path in (tmp_path / "catalog").rglob("*") if path.is_file()}
    for command in (
        (
            "replay-to-parquet",
            "--source",
            "csv",
            "--symbol",
            "BTCUSDT",
            "--input",
            str(file),
            "--output",
            output,
            "--force",
        ),
        ("generate-sample-data", "--offline", "--output", output),
        ("validate", output),
        ("instruments", "widen", ID, "--price-precision", "3", "--catalog", output),
    ):
        done = refused_by(fake, *command)
        assert done.returncode == 1, (command, done.stdout, done.stderr)
        assert f"{expected}, found {version}" in done.stderr
        assert "pip install 'nautilus_trader>=1.231,<2'" in done.stderr
        assert "ok" not in done.stdout.split()
    assert before == {path: path.read_bytes() for path in (tmp_path / "catalog").rglob("*") if path.is_file()}
