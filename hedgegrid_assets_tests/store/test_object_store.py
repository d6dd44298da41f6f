"""A whole way through a store that is no disk: converted, validated, shown, traced, and made again; equal to the disk's."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from uuid import uuid4

import polars as pl
import pytest

from hedgegrid_assets import validate_catalog
from hedgegrid_assets.cli import run as command
from hedgegrid_assets.errors import NeedsDisk
from hedgegrid_assets.housekeeping.reset_day import reset
from hedgegrid_assets.housekeeping.widening import widen_instrument
from hedgegrid_assets.inspect import rejects
from hedgegrid_assets.inspect.days import DayFilter, judged_days
from hedgegrid_assets.inspect.gaps import gap_report
from hedgegrid_assets.inspect.report import write_report
from hedgegrid_assets.inspect.trace import trace
from hedgegrid_assets.instruments import read_definitions
from hedgegrid_assets.model import InstrumentDay
from hedgegrid_assets.pipeline.request import request
from hedgegrid_assets.pipeline.run import run
from hedgegrid_assets.pipeline.summary import RunSummary
from hedgegrid_assets.stages import catalog as catalog_stage
from hedgegrid_assets.stages.readers import read_frame
from hedgegrid_assets.store import Places, StorePath, stored
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets_tests.buckets import Bucket
from hedgegrid_assets_tests.standins import s3

ID = "BTCUSDT-PERP.BINANCE"
DAY = date(2024, 1, 2)
TRADES = TABLES["trade_tick"]
ROWS = "".join(
    f"{1_704_067_200_000 + number * 3_600_000},42000.{number % 10},0.00{1 + number % 9},{'buy' if number % 2 else 'sell'},{100 + number}\n"
    for number in range(48)
)
CSV = f"timestamp,price,size,side,trade_id\n{ROWS}not a time,1,1,buy,999\n"
"""Trades of two days, one an hour, and a line that belongs to none."""


@dataclass(frozen=True)
class Side:
    """A catalog and its raw data, wherever they are."""

    places: Places

    def converted(self, file: Path, **more: Any) -> RunSummary:
        return run(
            request(
                "csv",
                "BTCUSDT",
                None,
                None,
                output_path=self.places.catalog,
                data=self.places.data,
                source_config={"inputs": [str(file)]},
                data_types="trades",
                **more,
            )
        )

    def content(self) -> dict[str, Any]:
        """Every object, by its name: its bytes; of documents what they say, without clocks and where things lie."""
        both = {"catalog": self.places.catalog, "data": self.places.data}
        objects = {f"{kind}/{path.below(root)}": path for kind, root in both.items() for path in root.tree()}
        return {
            _named(name): _timeless(path.read_bytes()) if name.endswith(".json") else path.read_bytes()
            for name, path in objects.items()
            if not _is_local(name)
        }


def _is_local(name: str) -> bool:
    """Locks, and what is in the making: a bucket holds none; and its packs, which a disk has not."""
    return "/packs/" in name or name.endswith("lock") or "/.tmp/" in name or "/locks/" in name or "/tmp/" in name


def _named(name: str) -> str:
    """Indexes are named after the place and time of a landing file."""
    folder, _, last = name.rpartition("/")
    return f"{folder}/index" if folder.endswith(".imports") else f"{folder}/{last}"


def _timeless(data: bytes) -> Mapping[str, Any]:
    said: dict[str, Any] = json.loads(data)
    return {name: value for name, value in said.items() if name not in {"checksum", "fetched_at", "at", "signature"}}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "trades.csv"
    path.write_text(CSV)
    return path


@pytest.fixture
def disk(tmp_path: Path) -> Side:
    return Side(Places(tmp_path / "disk/data", tmp_path / "disk/catalog"))


@pytest.fixture
def bucket(tmp_path: Path) -> Side:
    data, catalog = Bucket(tmp_path / "a"), Bucket(tmp_path / "b")  # two of them: nothing may mix them up
    return Side(Places(data.at("prefix/data"), catalog.at("prefix/catalog")))


s3_server = s3.s3_server


@pytest.fixture
def server(s3_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a bucket of its own on a real server."""
    s3.use_server(s3_server, monkeypatch, tmp_path)
    return f"s3://{s3.new_bucket()}/prefix"


def shown(side: Side, text: object) -> str:
    """What is said of a side, without where it is."""
    roots = (side.places.data, side.places.catalog)
    found = json.dumps(text, default=str)
    for root in roots:
        found = found.replace(root.address, "ROOT").replace(str(root), "ROOT")
    return found


def test_a_conversion_leaves_the_same_objects_as_on_disk(disk: Side, bucket: Side, file: Path) -> None:
    first, second = disk.converted(file), bucket.converted(file)
    assert [(day.date, day.status, day.rows, day.bytes) for day in first.days] == [
        (day.date, day.status, day.rows, day.bytes) for day in second.days
    ]
    assert first.ok
    assert second.ok
    there = bucket.content()
    assert there == disk.content()
    assert {name.split("/")[1] for name in there} >= {"data", ID, ".hedgegrid", "instruments.parquet", "raw", "rejects"}


def test_a_file_of_one_day_stays_where_it_is_and_is_read_from_there(disk: Side, bucket: Side, file: Path) -> None:
    file.write_text("".join(CSV.splitlines(keepends=True)[:25]))
    for side in (disk, bucket):
        assert side.converted(file).ok
    assert bucket.content() == disk.content()
    assert not [name for name in bucket.content() if name.endswith(".zst")]


def test_all_that_looks_at_a_catalog_says_the_same_of_both(disk: Side, bucket: Side, file: Path) -> None:
    told = []
    for side in (disk, bucket):
        side.converted(file)
        places = side.places
        days = list(judged_days(places, DayFilter()))
        report = validate_catalog(places.catalog, data=places.data)
        assert report.ok
        found = trace(places, ID, TRADES, "130")
        assert found.whole
        lost, count = rejects.read_rejects(places, DayFilter())
        assert count == 1
        frame = read_frame(ID, "trades", catalog=places.catalog, decimals="exact")
        told.append(
            (
                shown(side, report.to_dict()),
                shown(side, found.to_dict()["steps"]["catalog"]),
                shown(side, found.to_dict()["steps"]["raw"]),
                shown(side, gap_report(days).to_dict()),
                lost.rows(),
                frame.to_csv(),
                read_definitions(places.catalog),
            )
        )
    assert told[0] == told[1]


def test_a_report_is_written_of_it(bucket: Side, file: Path, tmp_path: Path) -> None:
    bucket.converted(file)
    written = write_report(bucket.places, tmp_path / "report.html")
    assert written.days == 2
    assert "mem://bucket/prefix/catalog" in (tmp_path / "report.html").read_text()


def test_what_is_there_is_not_made_again_and_nothing_is_sent(bucket: Side, file: Path) -> None:
    bucket.converted(file)
    stores = [root.store for root in (bucket.places.data, bucket.places.catalog)]
    for store in stores:
        assert isinstance(store, Bucket)
        store.asked.clear()
    again = bucket.converted(file)
    assert all(day.skipped for day in again.days)
    assert [store.asked["put"] for store in stores if isinstance(store, Bucket)] == [0, 0]


def test_a_corrected_file_takes_the_place_of_what_there_was(disk: Side, bucket: Side, file: Path) -> None:
    for side in (disk, bucket):
        file.write_text(CSV)
        side.converted(file)
        file.write_text(CSV.replace("42000.3", "42000.7"))
        assert side.converted(file).ok
    assert bucket.content() == disk.content()
    held = read_frame(ID, "trades", catalog=bucket.places.catalog)
    assert 42000.3 not in set(held["price"])


def test_a_day_is_taken_out_and_made_anew(disk: Side, bucket: Side, file: Path) -> None:
    for side in (disk, bucket):
        side.converted(file)
        before = side.content()
        reset(side.places, InstrumentDay(ID, DAY), [TRADES], remove=True)
        assert not side.places.frame(ID, "trade_tick", DAY).exists()
        assert catalog_stage.unfinished(side.places) is None
        assert side.converted(file).ok
        assert {name for name in side.content() if "index" not in name} == {
            name for name in before if "index" not in name
        }
    assert bucket.content() == disk.content()


def test_a_file_that_another_has_put_there_is_seen(bucket: Side, file: Path, tmp_path: Path) -> None:
    bucket.converted(file)
    foreign = tmp_path / "foreign.parquet"
    pl.DataFrame({"a": [1]}).write_parquet(foreign)
    folder = bucket.places.nautilus_folder("trade_tick", ID)
    (folder / "other.parquet").publish(foreign)
    report = validate_catalog(bucket.places.catalog)
    assert [each["path"] for each in report.files] == [str(folder / "other.parquet")]


def test_precisions_are_widened_on_a_disk_alone(bucket: Side, file: Path) -> None:
    bucket.converted(file)
    before = bucket.content()
    with pytest.raises(NeedsDisk, match="giving an instrument finer precisions needs a disk"):
        widen_instrument(bucket.places.catalog, ID, price=4)
    assert bucket.content() == before


def test_the_same_catalog_lies_on_disk_once_it_is_copied(bucket: Side, file: Path, tmp_path: Path) -> None:
    bucket.converted(file)
    root = bucket.places.catalog
    for path in root.tree():
        copy = tmp_path / "copy" / path.below(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        path.store.get(path.key, copy)
    assert validate_catalog(tmp_path / "copy", deep=True).ok
    assert isinstance(stored(tmp_path / "copy"), StorePath)


@pytest.mark.parametrize("address", ["gs://bucket/catalog", "https://host/catalog", "s3://", "s3:"])
def test_what_is_no_disk_and_no_bucket_is_refused_and_no_folder_is_called_after_it(
    address: str, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    convert = ["replay-to-parquet", "--source", "csv", "--symbol", "BTCUSDT", "--input", str(file), "--quiet"]
    named = f"found {address if '//' in address else 's3://'}"
    for arguments in ([*convert, "--output", address], [*convert, "--data", address], ["validate", address]):
        assert command(arguments) == 2
        assert f"expected a folder of this machine, or s3://bucket/prefix, {named}\n" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} <= {file.name, "data"}


def test_a_file_in_a_bucket_is_none_of_this_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    convert = ["replay-to-parquet", "--source", "csv", "--symbol", "BTCUSDT", "--input", "s3://bucket/trades.csv"]
    assert command([*convert, "--output", str(tmp_path / "catalog")]) == 2
    assert "files are read from this machine: copy them to it" in capsys.readouterr().err


# ---------------------------------------------------------------- a real server


@pytest.mark.slow
def test_both_roots_may_lie_on_a_real_server(server: str, disk: Side, file: Path) -> None:
    there = Side(Places(f"{server}/data", f"{server}/catalog"))
    for side in (disk, there):
        file.write_text(CSV)
        assert side.converted(file).ok
        file.write_text(CSV.replace("42000.3", "42000.7"))
        assert side.converted(file).ok
        reset(side.places, InstrumentDay(ID, DAY), [TRADES], remove=True)
        assert side.converted(file).ok
        assert all(day.skipped for day in side.converted(file).days)
    assert there.content() == disk.content()


@pytest.mark.slow
def test_the_commands_take_an_address_where_they_take_a_folder(
    server: str, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    catalog = f"{server}/catalog"
    convert = ["replay-to-parquet", "--source", "csv", "--symbol", "BTCUSDT", "--input", str(file), "--quiet"]
    data = ["--data", f"{server}/data"]
    assert command([*convert, "--data-types", "trades", "--output", catalog, *data]) == 0
    held = [path.below(stored(f"{server}/data")) for path in stored(f"{server}/data").tree()]
    assert {name.split("/")[0] for name in held} == {"raw", "rejects"}
    assert len([name for name in held if name.endswith(".csv.zst")]) == 2
    assert not (tmp_path / "data").exists()
    capsys.readouterr()
    assert command(["validate", catalog, "--json", *data]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["ok"], said["catalog"], len(said["days"])) == (True, catalog, 2)
    assert command(["trace", ID, "trades", "130", "--catalog", catalog, "--json", *data]) == 0
    assert json.loads(capsys.readouterr().out)["whole"]
    assert command(["rejects", "summary", catalog, "--json"]) == 0
    assert command(["diff", catalog, catalog]) == 0
    assert command(["doctor", "--catalog", catalog, *data]) == 0
    capsys.readouterr()
    assert command(["validate", f"{server}/nothing"]) == 1
    assert f"no such folder, or an empty one: {server}/nothing" in capsys.readouterr().err
    assert command(["backup", "all.tar", "--catalog", catalog]) == 2
    assert f"a backup needs a disk: expected a folder of this machine, found {catalog}" in capsys.readouterr().err
    assert not (tmp_path / "all.tar").exists()
    assert not (tmp_path / "s3:").exists(), "no folder is called after it"


@pytest.mark.slow
def test_what_a_server_refuses_is_told_in_one_line_before_any_work(
    server: str, file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    convert = [
        "replay-to-parquet",
        "--source",
        "csv",
        "--symbol",
        "BTCUSDT",
        "--input",
        str(file),
        "--data",
        str(tmp_path / "d"),
    ]
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    assert command([*convert, "--output", f"{server}/catalog"]) == 1
    told = capsys.readouterr().err
    assert "error: cannot work with s3://" in told
    assert "hint: check AWS_ACCESS_KEY_ID" in told
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert command([*convert, "--output", f"s3://t{uuid4().hex}/catalog"]) == 1
    assert "hint: check AWS_ENDPOINT_URL" in capsys.readouterr().err
    assert not (tmp_path / "d").exists()
