"""What lies in a landing zone: data, documents, checksums, archives, our own copies; names of every kind."""

import gzip
import hashlib
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from hedgegrid_assets.errors import UsageError
from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.pipeline.landing import import_landing, landing_files
from hedgegrid_assets.stages import raw
from hedgegrid_assets.stages.raw import claims_data, scan_landing
from hedgegrid_assets.store import Places
from hedgegrid_assets_tests.dagster_feeds import day_of, drop, feed_context_of
from hedgegrid_assets_tests.landing_cases import HEADER, Home, messages, rows


@pytest.fixture
def home(workdir: Path, capsys: pytest.CaptureFixture[str]) -> Home:
    return Home(workdir, capsys)


# ---------------------------------------------------------------- rejects of each file


def rejected(home: Home) -> list[tuple[str, int]]:
    found = home.run("rejects", "list", "data/catalog", "--data", "data", "--json").out["rejects"]
    return sorted((row["file"], row["line"]) for row in found)


BROKEN = "nonsense,BTCUSDT,1,1,buy,991\n"


@pytest.mark.slow
def test_files_whose_names_differ_in_one_mark_keep_their_own_rejects(home: Home) -> None:
    names = ["x/b.csv", "x_b.csv", "x b.csv", "x/b_csv.csv"]
    for number, name in enumerate(names):
        home.land(name, HEADER + rows(20, first=1 + number * 100) + BROKEN)
    assert home.convert().code == 0
    assert rejected(home) == sorted((f"raw/csv/{name}", 22) for name in names)
    home.land("x_b.csv", HEADER + rows(20, first=101))
    assert home.convert().code == 0
    assert rejected(home) == sorted((f"raw/csv/{name}", 22) for name in names if name != "x_b.csv")


LONG = {
    "letters": "a" * 251 + ".csv",
    "characters of three bytes": "币" * 83 + ".csv",
    "blanks": "é b" * 60 + ".csv",
    "a folder too": "币" * 80 + "/" + "b" * 251 + ".csv",
}


@pytest.mark.parametrize("name", LONG.values(), ids=LONG)
@pytest.mark.parametrize("days", [1, 2])
def test_the_longest_names_that_a_disk_takes_are_read_and_rejected_like_any(home: Home, name: str, days: int) -> None:
    data = "".join(rows(20, first=1 + 100 * day, day=day) for day in range(days))
    home.land(name, HEADER + data + BROKEN)
    done = home.convert()
    assert (done.code, len(done.rows)) == (0, days)
    assert rejected(home) == [(f"raw/csv/{name}", 20 * days + 2)]


def test_rejects_of_an_earlier_version_are_read_and_go_with_the_next_import(home: Home) -> None:
    home.land("a.csv", HEADER + rows(20) + BROKEN)
    home.convert()
    (kept,) = (home.root / "data/rejects/cli_csv/_raw").iterdir()
    old = kept.rename(kept.with_name("raw_csv_a.csv.parquet"))
    assert rejected(home) == [("raw/csv/a.csv", 22)]
    home.land("a.csv", HEADER + rows(21))
    assert home.convert().code == 0
    assert not old.exists()
    assert rejected(home) == []


def test_rejects_of_an_earlier_version_stay_if_they_are_of_another_file(home: Home) -> None:
    other = home.root / "data/rejects/cli_csv/_raw/raw_csv_x_b.csv.parquet"
    other.parent.mkdir(parents=True)
    pl.DataFrame({"file": ["raw/csv/x/b.csv"]}).write_parquet(other)
    home.land("x_b.csv", HEADER + rows(20))
    home.convert()
    assert other.exists()


# ---------------------------------------------------------------- what is ours never lands


def everything(feed_context: FeedContext) -> FeedContext:
    """A feed whose patterns match all there is, as no feeds.yaml may have them."""
    return FeedContext(feed_context.feed.model_copy(update={"landing": ("**/*",)}), feed_context.places)


def test_our_own_files_are_never_landing_files_whatever_the_patterns_say(tmp_path: Path) -> None:
    feed_context = everything(feed_context_of(tmp_path))
    dropped = drop(feed_context, day_of(0, trades=range(20)))
    for _ in range(3):
        report = import_landing(feed_context)
        assert [landing.path for landing in landing_files(feed_context)] == [dropped]
        assert report.lines == 21
    other = FeedContext(
        feed_context.feed.model_copy(update={"name": "others", "landing": ("**/*",)}), feed_context.places
    )
    assert [landing.path for landing in landing_files(other)] == [dropped]


@pytest.mark.parametrize("what", ["file", "folder", "feed"])
def test_nor_are_they_by_a_link(tmp_path: Path, what: str) -> None:
    feed_context = everything(feed_context_of(tmp_path))
    dropped = drop(feed_context, day_of(0, trades=range(20)))
    import_landing(feed_context)
    folder = feed_context.places.raw_folder("captures", "aggTrade", "BTCUSDT").local()
    to = {"file": folder / "2024-01-01.jsonl.zst", "folder": folder, "feed": folder.parent.parent}[what]
    (dropped.parent / "link.jsonl.zst").symlink_to(to.resolve(), target_is_directory=to.is_dir())
    deep = FeedContext(
        feed_context.feed.model_copy(update={"landing": ("*/*", "*/*/*", "*/*/*/*", "*/*/*/*/*")}), feed_context.places
    )
    assert [landing.path for landing in landing_files(deep)] == [dropped]


def test_nor_what_lies_in_the_cache_the_rejects_and_the_catalog(tmp_path: Path) -> None:
    feed_context = everything(feed_context_of(tmp_path))
    dropped = drop(feed_context, day_of(0))
    for folder in (
        feed_context.places.home / "cache/x",
        feed_context.places.home / "rejects/x",
        feed_context.places.catalog.local() / "data",
    ):
        folder.mkdir(parents=True)
        (folder / "a.jsonl").write_bytes(day_of(1))
        (dropped.parent / f"to_{folder.parent.name}").symlink_to(folder.resolve(), target_is_directory=True)
    deep = FeedContext(feed_context.feed.model_copy(update={"landing": ("*/*", "*/*/*")}), feed_context.places)
    assert [landing.path for landing in landing_files(deep)] == [dropped]


def test_a_folder_of_the_users_own_that_is_named_like_a_channel_lands(tmp_path: Path) -> None:
    root = tmp_path / "data" / "raw"
    for name in ("websocket/aggTrade/BTCUSDT/2024-01-01.jsonl", "binance/trade/BTCUSDT/a.jsonl"):
        (root / name).parent.mkdir(parents=True)
        (root / name).write_bytes(day_of(0))
    own = raw.OwnFiles(Places(tmp_path / "data", tmp_path / "catalog"), "captures")
    assert len(scan_landing(root, ["**/*"], own.has).files) == 2


def test_a_copy_of_ours_that_is_named_is_refused(home: Home) -> None:
    home.land("a.csv", HEADER + rows(20) + rows(5, first=100, symbol="ETHUSDT"))
    home.convert()
    ours = "data/raw/cli_csv/trade/BTCUSDT/2024-01-01.csv.zst"
    assert (home.root / ours).exists()
    done = home.convert("--input", ours)
    assert done.code == 2
    assert "were made by us, and are no landing files" in done.err


def test_a_configured_file_of_ours_is_refused_as_well(tmp_path: Path) -> None:
    feed_context = feed_context_of(tmp_path)
    drop(feed_context, day_of(0, trades=range(20)))
    import_landing(feed_context)
    ours = feed_context.places.raw_folder("captures", "aggTrade", "BTCUSDT") / "2024-01-01.jsonl.zst"
    settings = {"files": {"trades": {"file_path": str(ours)}}}
    named = FeedContext(feed_context.feed.model_copy(update={"landing": (), "settings": settings}), feed_context.places)
    with pytest.raises(UsageError, match="made by us"):
        landing_files(named)


# ---------------------------------------------------------------- what is no data


@pytest.mark.parametrize(
    ("name", "csv", "jsonl"),
    [
        ("a.csv", True, False),
        ("a.csv.gz", True, False),
        ("A.CSV.ZIP", True, False),
        ("a.zip", True, True),
        ("BTCUSDT-trades-2024-01-01.zip", True, True),
        ("a.txt", True, True),
        ("a.tar.gz", True, True),
        ("a.parquet", True, True),
        ("a.jsonl", False, True),
        ("a.jsonl.zst", False, True),
        ("a.json", False, True),
        ("2024.01.01", False, False),
        ("capture", False, False),
    ],
)
def test_a_name_says_whether_a_file_claims_to_be_data(name: str, csv: bool, jsonl: bool) -> None:
    assert (claims_data(name, "csv"), claims_data(name, "jsonl")) == (csv, jsonl)


@pytest.mark.parametrize(
    "name", ["README.md", "readme.txt", "notes.md", "LICENSE", "get.sh", "a.pdf", "x.CHECKSUM", "a.md5"]
)
def test_a_document_is_passed_over_and_named(home: Home, name: str) -> None:
    home.land("a.csv", HEADER + rows(20))
    home.land(name, "my notes, for me")
    for _ in range(2):
        done = home.convert()
        assert (done.code, done.rows) == (0, {"BTCUSDT 2024-01-01": 20})
        assert f"raw/csv/{name} is passed over" in done.err


@pytest.mark.parametrize("name", ["._a.csv", ".DS_Store", "a.csv.crdownload", "a.csv.part", ".git/a.csv"])
def test_hidden_and_half_written_files_are_not_even_named(home: Home, name: str) -> None:
    home.land("a.csv", HEADER + rows(20))
    home.land(name, "\0\5\26\7")
    done = home.convert()
    assert (done.code, "passed over" in done.err) == (0, False)


KLINES = "open_time,open,high,low,close,volume\n1704067200000,1,2,0.5,1.5,10\n"
USELESS: dict[str, tuple[str, bytes]] = {
    "klines": ("BTCUSDT-1m.csv", KLINES.encode()),
    "a broken archive": ("b.zip", b"PK\x03\x04 and then nothing"),
    "junk behind a name": ("b.csv.gz", b"this is no gzip"),
    "an archive of another kind": ("b.csv.xz", lzma.compress(HEADER.encode())),
    "packed twice": ("b.csv.gz", gzip.compress(gzip.compress(HEADER.encode()))),
    "Parquet": ("b.parquet", b"PAR1" + bytes(40) + b"PAR1"),
    "another language": ("b.csv", bytes(range(256)) * 64),
}


@pytest.mark.parametrize("what", USELESS)
def test_what_claims_to_be_data_and_is_not_fails_the_run_but_stops_no_other_file(home: Home, what: str) -> None:
    name, data = USELESS[what]
    home.land("a.csv", HEADER + rows(20))
    home.land("z.csv", HEADER + rows(20, first=200, day=1))
    home.land(name, data)
    for _ in range(2):
        done = home.convert()
        assert done.code == 1
        assert done.rows == {"BTCUSDT 2024-01-01": 20, "BTCUSDT 2024-01-02": 20}
        assert len(done.out["errors"]) == 1
        assert name in done.err


@pytest.mark.parametrize("what", USELESS)
def test_a_file_that_is_named_stops_the_run(home: Home, what: str) -> None:
    name, data = USELESS[what]
    good, bad = home.land("a.csv", HEADER + rows(20)), home.land(name, data)
    done = home.convert("--input", str(good), "--input", str(bad))
    assert (done.code, "days" in done.out) == (1, False)


def test_of_nothing_but_useless_files_the_error_names_them_all(home: Home) -> None:
    home.land("a.csv", KLINES)
    home.land("b.csv", KLINES)
    done = home.convert()
    assert done.code == 1
    assert "a.csv" in done.err
    assert "b.csv" in done.err


def test_a_file_that_claims_nothing_is_tried_and_passed_over(home: Home) -> None:
    home.land("a.csv", HEADER + rows(20))
    home.land("b", HEADER + rows(20, first=100))
    home.land("c.jsonl", messages(3))
    home.land("/websocket/a.jsonl", messages(20))
    home.land("/websocket/k.csv", KLINES)
    done = home.convert()
    assert (done.code, done.rows) == (0, {"BTCUSDT 2024-01-01": 40})
    assert "raw/csv/c.jsonl is passed over" in done.err
    done = home.convert("--output", "data/other", source="websocket")
    assert (done.code, done.rows) == (0, {"BTCUSDT 2024-01-01": 20})
    assert "raw/websocket/k.csv is passed over" in done.err


# ---------------------------------------------------------------- checksums


def with_checksum(home: Home, write: Callable[[str, str], str], name: str = "t.zip", ending: str = ".CHECKSUM") -> Path:
    path = home.land(name, b"")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("t.csv", HEADER + rows(20))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    home.land(name + ending, write(sha256, name))
    return path


FORMS: dict[str, Callable[[str, str], str]] = {
    "as Binance": lambda sha256, name: f"{sha256}  {name}",
    "Windows line ends": lambda sha256, name: f"{sha256}  {name}\r\n",
    "binary mode": lambda sha256, name: f"{sha256} *{name}\n",
    "bare": lambda sha256, _: f"{sha256}\n",
    "upper case and a mark in front": lambda sha256, name: f"\ufeff{sha256.upper()}  {name}\n",
    "with a folder": lambda sha256, name: f"{sha256}  ./data/{name}\n",
    "BSD": lambda sha256, name: f"SHA256 ({name}) = {sha256}\n",
    "among others": lambda sha256, name: f"{'0' * 64}  x.zip\n{sha256}  {name}\n{'1' * 64}  y.zip\n",
}


@pytest.mark.parametrize("form", FORMS)
def test_a_file_is_verified_by_the_checksum_beside_it(home: Home, form: str) -> None:
    with_checksum(home, FORMS[form])
    done = home.convert()
    assert (done.code, done.rows) == (0, {"BTCUSDT 2024-01-01": 20})
    assert "verified by the checksums beside them: raw/csv/t.zip" in done.err
    assert "passed over" not in done.err


@pytest.mark.parametrize("form", FORMS)
def test_a_file_that_is_not_that_of_its_checksum_is_refused_as_damaged(home: Home, form: str) -> None:
    path = with_checksum(home, lambda sha256, name: FORMS[form](hashlib.sha256(sha256.encode()).hexdigest(), name))
    home.land("z.csv", HEADER + rows(20, first=200, day=1))
    done = home.convert()
    assert (done.code, done.rows, done.codes) == (1, {"BTCUSDT 2024-01-02": 20}, ["checksum"])
    assert "t.zip is damaged: expected sha256" in done.err
    named = home.convert("--input", str(path))
    assert (named.code, named.out["error"]["code"]) == (1, "checksum")


def test_a_checksum_that_comes_later_is_held_against_the_file_all_the_same(home: Home) -> None:
    home.land("a.csv", HEADER + rows(20))
    assert home.convert().code == 0
    home.land("a.csv.sha256", f"{'0' * 64}  a.csv\n")
    assert home.convert().code == 1


def test_a_checksum_of_another_kind_is_told_and_not_used(home: Home) -> None:
    with_checksum(home, lambda _, name: f"{'5' * 32}  {name}\n")
    for _ in range(2):
        done = home.convert()
        assert done.code == 0
        assert "t.zip.CHECKSUM holds no sha256 of it: not checked" in done.err


# ---------------------------------------------------------------- archives


def archive(home: Home, *names: str) -> Path:
    path = home.land("t.zip", b"")
    with zipfile.ZipFile(path, "w") as made:
        for number, name in enumerate(names):
            made.writestr(name, HEADER + rows(20, first=1 + number * 100) if name.endswith(".csv") else "")
        for name in names:
            folder, _, file = name.rpartition("/")
            made.writestr(f"__MACOSX/{folder}/._{file}", b"\0\5\26\7")
        made.writestr(".DS_Store", b"\0\0\0\1Bud1")
    return path


@pytest.mark.parametrize("names", [("t.csv",), ("folder/", "folder/t.csv"), ("a/b/c/", "a/b/c/t.csv")])
def test_an_archive_made_on_a_mac_is_read(home: Home, names: tuple[str, ...]) -> None:
    archive(home, *names)
    done = home.convert()
    assert (done.code, done.rows) == (0, {"BTCUSDT 2024-01-01": 20})


def test_an_archive_of_several_files_is_refused_with_their_names(home: Home) -> None:
    archive(home, "a.csv", "b.csv")
    done = home.convert()
    assert (done.code, done.out["error"]["code"]) == (1, "archive")
    assert "t.zip holds 2 files (a.csv, b.csv): expected one" in done.err
    assert "unpack it" in done.err


def test_a_tar_archive_is_refused_though_most_of_its_lines_look_right(home: Home) -> None:
    """Of the dumps without a header it would lose the first line only."""
    data = "".join(f"{n},42500.5,0.1,4250.05,{1704067200000 + n},true\n" for n in range(200)).encode()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as made:
        member = tarfile.TarInfo("BTCUSDT-trades-2024-01-01.csv")
        member.size = len(data)
        made.addfile(member, io.BytesIO(data))
    home.land("BTCUSDT-trades-2024-01-01.tar.gz", packed.getvalue())
    done = home.convert()
    assert (done.code, done.out["error"]["code"]) == (1, "format")
    assert "is a tar archive" in done.err
