"""``hedgegrid backup`` and ``restore``: every byte comes back, proved, or nothing changes."""

import io
import json
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import zstandard

from hedgegrid_assets.cli import run
from hedgegrid_assets.pipeline.landing import waiting_files
from hedgegrid_assets.stages.outages import Outage, acknowledge
from hedgegrid_assets.store import exchange
from hedgegrid_assets_tests.kept import FIRST, ID, Home, new_home

HEDGEGRID = Path(sys.executable).with_name("hedgegrid")
SECOND = FIRST + timedelta(days=1)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Path]:
    made = new_home(tmp_path_factory.mktemp("place") / "home", (0, 1))
    copy = tmp_path_factory.mktemp("copy") / "home"
    shutil.copytree(made.root, copy)
    return made, copy


@pytest.fixture
def home(pristine: tuple[Home, Path]) -> Home:
    made, copy = pristine
    made.put_back(copy)
    return made


@pytest.fixture
def archive(home: Home, tmp_path: Path) -> Path:
    path = tmp_path / "backup.tar"
    assert home.run("backup", str(path), "--raw", "-q") == 0
    return path


def catalog_of(root: Path) -> dict[str, bytes]:
    """Every file of a catalog but locks and working files."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and (".hedgegrid" not in path.parts or path.name in {"series.json", "outages.json"})
    }


def test_what_is_known_of_outages_comes_back(home: Home, tmp_path: Path) -> None:
    acknowledge(home.places, [Outage(ID, "", 1, 2, "maintenance")])
    assert home.run("backup", str(tmp_path / "backup.tar"), "-q") == 0
    assert home.run("restore", str(tmp_path / "backup.tar"), "--to", str(tmp_path / "elsewhere"), "-q") == 0
    (found,) = (tmp_path / "elsewhere").rglob("outages.json")
    assert found.read_bytes() == home.places.outages.read_bytes()


def infos(archive: Path) -> list[tarfile.TarInfo]:
    with tarfile.open(archive) as tar:
        return tar.getmembers()


@pytest.mark.parametrize("name", ["b.tar", "b.tar.zst"])
def test_a_catalog_comes_back_byte_by_byte_in_a_new_place(
    name: str, home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert home.run("backup", str(tmp_path / name), "--json") == 0
    told = json.loads(capsys.readouterr().out)
    before = catalog_of(home.root / "data/catalog")
    assert (told["files"], told["bytes"]) == (len(before), sum(map(len, before.values())))
    shutil.rmtree(home.root / "data/catalog")
    assert home.run("restore", str(tmp_path / name), "--to", str(tmp_path / "new"), "-q") == 0
    assert catalog_of(tmp_path / "new/catalog") == before
    assert run(["validate", str(tmp_path / "new/catalog"), "-q", "--data", str(tmp_path / "new")]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {name, "new"}


def test_it_takes_the_place_of_what_stood_there_which_is_kept(home: Home, archive: Path) -> None:
    before = home.files()
    home.verdict().write_text("{}")
    home.land(SECOND, "other")
    broken = home.files()
    assert home.run("restore", str(archive), "-q") == 0
    after = {name: data for name, data in home.files().items() if ".replaced" not in name}
    assert after == before
    assert waiting_files(home.context) == [], "times of files come back to the nanosecond, so that they are known"
    kept = {name.replace(".replaced", ""): data for name, data in home.files().items() if ".replaced" in name}
    assert kept == {name: data for name, data in broken.items() if name.startswith("data/")}
    assert home.run("restore", str(archive), "-q") == 0
    assert {path.name for path in (home.root / "data").iterdir()} >= {"catalog.replaced", "catalog.replaced-2"}
    assert home.run("doctor", "-q") == 0


def test_the_same_catalog_gives_the_same_archive_but_for_its_time(home: Home, tmp_path: Path) -> None:
    for name in ("a.tar", "b.tar"):
        assert home.run("backup", str(tmp_path / name), "-q") == 0
    members = [
        [(info.name, info.size, info.mtime) for info in infos(tmp_path / name) if "backup" not in info.name]
        for name in ("a.tar", "b.tar")
    ]
    assert members[0] == members[1]


def test_a_stranger_unpacks_and_proves_it_without_us(archive: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    subprocess.run(["tar", "xf", str(archive), "-C", str(there)], check=True)
    subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=there, check=True)
    assert (there / "data/raw/websocket/2024-01-01.jsonl").is_file()


def test_what_is_set_aside_or_in_the_making_stays_out(home: Home, tmp_path: Path) -> None:
    (home.root / "data/catalog" / "set-aside").mkdir()
    (home.root / "data/catalog" / "set-aside/old.parquet").touch()
    (home.places.catalog_temp).mkdir(exist_ok=True)
    (home.places.catalog_temp / "half.part").touch()
    assert home.run("backup", str(tmp_path / "b.tar"), "-q") == 0
    names = [info.name for info in infos(tmp_path / "b.tar")]
    assert not [name for name in names if "aside" in name or "half" in name or "lock" in name]
    assert "catalog/.hedgegrid/series.json" in names


# ---------------------------------------------------------------- refused


def repacked(archive: Path, change: Callable[[list[tuple[tarfile.TarInfo, bytes]]], None]) -> None:
    """The same archive with some members changed."""
    with tarfile.open(archive) as tar:
        members = [(info, (file.read() if (file := tar.extractfile(info)) else b"")) for info in tar]
    change(members)
    with tarfile.open(archive, "w") as tar:
        for info, data in members:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info, b"" if kind != tarfile.REGTYPE else b"x"


def cut(archive: Path) -> None:
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])


def emptied(archive: Path) -> None:
    archive.write_bytes(b"")


def cut_in_a_file(archive: Path) -> None:
    """In the middle of the largest file, and of the compressed archive."""
    with tarfile.open(archive) as tar:
        largest = max(tar.getmembers(), key=lambda info: info.size)
    archive.write_bytes(archive.read_bytes()[: largest.offset_data + largest.size // 2])


def cut_compressed(archive: Path) -> None:
    data = zstandard.ZstdCompressor(write_checksum=True).compress(archive.read_bytes())
    archive.write_bytes(data[: len(data) * 2 // 3])


def without_its_end(archive: Path) -> None:
    repacked(archive, lambda members: members.pop() and None)


def other_bytes(archive: Path) -> None:
    def change(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        members[3] = members[3][0], members[3][1][:-1] + b"?"

    repacked(archive, change)


def one_less(archive: Path) -> None:
    repacked(archive, lambda members: members.pop(len(members) - 3) and None)


def other_sums(archive: Path) -> None:
    def change(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        members[-2] = members[-2][0], members[-2][1].replace(b"a", b"b")

    repacked(archive, change)


def foreign_bytes(archive: Path) -> None:
    archive.write_bytes(b"no archive at all" * 1000)


def damaged_compression(archive: Path) -> None:
    data = bytearray(zstandard.ZstdCompressor(write_checksum=True).compress(archive.read_bytes()))
    data[len(data) // 2] ^= 0xFF
    archive.write_bytes(data)


@dataclass(frozen=True)
class Unsafe:
    """An archive with one member more, at its beginning."""

    more: tuple[tarfile.TarInfo, bytes]

    def __call__(self, archive: Path) -> None:
        repacked(archive, lambda members: members.insert(0, self.more))


REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    "cut": (cut, "cut"),
    "cut in a file": (cut_in_a_file, "it ends in the middle: it is damaged, or cut"),
    "empty": (emptied, "it is empty (0 bytes)"),
    "cut while compressed": (cut_compressed, "cut"),
    "without its end": (without_its_end, "no hedgegrid-backup.json"),
    "other bytes": (other_bytes, "are not what was written, such as catalog/"),
    "one file less": (one_less, "it holds 18 files instead of 19"),
    "other sums": (other_sums, "SHA256SUMS is not the one"),
    "no archive": (foreign_bytes, "damaged, or cut"),
    "damaged compression": (damaged_compression, "damaged, or cut"),
    "a name that climbs": (Unsafe(member("catalog/../../out")), "lead out of the place"),
    "an absolute name": (Unsafe(member("/catalog/out")), "lead out of the place"),
    "a backslash": (Unsafe(member("catalog\\..\\out")), "lead out of the place"),
    "a dot": (Unsafe(member("catalog/./x")), "lead out of the place"),
    "a control character": (Unsafe(member("catalog/a\nb")), "lead out of the place"),
    "a link": (Unsafe(member("catalog/x", tarfile.SYMTYPE, "/etc/hostname")), "no plain file"),
    "a hard link": (Unsafe(member("catalog/x", tarfile.LNKTYPE, "catalog/y")), "no plain file"),
    "a device": (Unsafe(member("catalog/x", tarfile.CHRTYPE)), "no plain file"),
    "a stranger": (Unsafe(member("home/x")), "not a part of a backup"),
    "a prefix only": (Unsafe(member("catalogue/x")), "not a part of a backup"),
    "a name twice": (Unsafe(member("catalog/instruments.parquet")), "twice"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_archive_that_is_not_whole_or_not_safe_changes_nothing(
    name: str, home: Home, archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage, why = REFUSED[name]
    damage(archive)
    before, around = home.files(), {path for path in tmp_path.rglob("*") if "home" not in path.parts}
    flags: list[str]
    for flags in ([], ["--check"], ["--to", str(tmp_path / "new")]):
        assert home.run("restore", str(archive), *flags) == 1
        error = " ".join(capsys.readouterr().err.split())
        assert str(archive) in error.replace(" ", "")
        assert why in error
        assert home.files() == before
        assert {path for path in tmp_path.rglob("*") if "home" not in path.parts} == around


def test_places_and_names_that_cannot_be_are_usage_errors(
    home: Home, archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, told in (
        (("backup", str(tmp_path / "b.zip")), "ends in .tar"),
        (("backup", str(archive)), "there already"),
        (("backup", str(home.root / "data/catalog" / "b.tar")), "lies in what is backed up"),
        (("restore", str(tmp_path / "none.tar")), "no such archive"),
        (("restore", str(archive), "--to", str(home.root)), "a new place"),
    ):
        assert home.run(*words) == 2
        assert told in " ".join(capsys.readouterr().err.split())
    assert run(["backup", str(tmp_path / "c.tar"), "--data", str(tmp_path)]) == 1


def test_an_archive_is_proved_without_unpacking_it(
    home: Home, archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = home.files()
    assert home.run("restore", str(archive), "--check", "--json") == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (told["checked_only"], told["restored"]) == (True, [])
    assert home.files() == before


@pytest.mark.parametrize("next_run", ["restore", "doctor"])
def test_what_stood_there_is_kept_if_a_restore_is_killed_before_that_has_a_name(
    next_run: str, home: Home, archive: Path
) -> None:
    data = home.root / "data"
    home.land(SECOND, "mine")
    assert home.run("restore", str(archive), "-q") == 0
    (data / "raw.replaced").rename(data / ".raw.restoring")
    (data / ".raw.restoring.lock").write_text("1:2")  # the folder that was unpacked: not this one any more
    home.run(*(["restore", str(archive)] if next_run == "restore" else ["doctor", "--fix"]), "-q")
    assert (data / f"raw.replaced/websocket/{SECOND}.jsonl").read_text() == "mine"
    assert not list(data.glob(".raw.restoring*"))


def test_folders_change_places(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    exchange(tmp_path / "one", tmp_path / "two")
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["two"]


# ---------------------------------------------------------------- kills


@pytest.mark.slow
def test_a_restore_or_backup_that_is_killed_leaves_the_old_catalog_and_the_next_one_nothing_of_it(
    tmp_path: Path,
) -> None:
    home = new_home(tmp_path / "home", range(10))
    for number in range(20):  # so that reading takes a while
        home.land(FIRST, "").with_name(f"big-{number}.bin").write_bytes(bytes(8 << 20))
    archive = tmp_path / "b.tar"
    assert home.run("backup", str(archive), "--raw", "-q") == 0
    before = home.files()
    in_the_making = {
        "restore": home.root / "data" / ".raw.restoring",
        "backup": home.places.catalog_temp,
    }
    killed = 0
    for command in ("restore", "backup"):
        file = archive if command == "restore" else tmp_path / "second.tar"
        words = [command, str(file), "--data", str(home.root / "data"), "-q"] + ["--raw"] * (command == "backup")
        for wait in (0.0, 0.01, 0.03):
            process = subprocess.Popen([HEDGEGRID, *words])
            while process.poll() is None and not any(in_the_making[command].glob("*")):
                time.sleep(0.0005)
            time.sleep(wait)
            process.send_signal(signal.SIGKILL)
            killed += process.wait() == -signal.SIGKILL
            seen = {name: data for name, data in home.files().items() if name in before}
            assert seen == before
    assert killed >= 4
    shutil.rmtree(home.root / "data/catalog" / ID)
    assert run(["restore", str(archive), "--data", str(home.root / "data"), "-q"]) == 0
    assert run(["doctor", "--fix", "--data", str(home.root / "data"), "-q"]) == 0
    shutil.rmtree(home.root / "data" / "catalog.replaced")
    shutil.rmtree(home.root / "data" / "raw.replaced")
    assert home.files() == before
