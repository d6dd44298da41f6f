"""Zip files are read to their last byte, and anything that is not what its directory says is refused."""

import random
import zipfile
import zlib
from pathlib import Path

import pytest

from hedgegrid_assets.errors import RawDamaged, SeveralInOne
from hedgegrid_assets.store import BlockReader

ROWS = b"".join(b"%d,%d\n" % (number, random.Random(number).getrandbits(40)) for number in range(50_000))
DIRECTORY = b"PK\x01\x02"
LOCAL_BYTES = 30 + len("a.csv")
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


def read(path: Path) -> bytes:
    return b"".join(block.data for block in BlockReader(path))


def write(path: Path, content: bytes, packed: bytes) -> None:
    """A zip whose directory says what ``content`` is, and whose deflated bytes are ``packed``."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("a.csv", packed)
    data = bytearray(path.read_bytes())
    for start in (14, data.rindex(DIRECTORY) + 16):  # checksum, packed size, size
        data[start : start + 4] = zlib.crc32(content).to_bytes(4, "little")
        data[start + 8 : start + 12] = len(content).to_bytes(4, "little")
    for start in (8, data.rindex(DIRECTORY) + 10):
        data[start : start + 2] = zipfile.ZIP_DEFLATED.to_bytes(2, "little")
    path.write_bytes(data)


def deflated(content: bytes, level: int = 6) -> bytes:
    stream = zlib.compressobj(level, zlib.DEFLATED, -15)
    return stream.compress(content) + stream.flush()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("content", [b"", b"1,2\n", ROWS, b"1,2\n" * 1_100_000], ids=["none", "one", "some", "long"])
def test_every_method_gives_every_byte(method: int, content: bytes, tmp_path: Path) -> None:
    with (
        zipfile.ZipFile(tmp_path / "a.zip", "w", method) as archive,
        archive.open("a.csv", "w", force_zip64=True) as out,
    ):
        out.write(content)
    assert read(tmp_path / "a.zip") == content


@pytest.mark.parametrize("level", [0, 1, 9])
def test_deflated_bytes_end_where_the_directory_says(level: int, tmp_path: Path) -> None:
    """Not a bit of it is taken for padding: blocks may end at any bit of a byte."""
    path = tmp_path / "a.zip"
    for rows in (1, 2, 3, 1_000, 50_000):
        content = b"".join(ROWS.splitlines(keepends=True)[:rows])
        packed = deflated(content, level)
        write(path, content, packed)
        assert read(path) == content
        for junk in (b"j", b"\0" * 7, b"junk" * 20_000):
            write(path, content, packed + junk)
            with pytest.raises(RawDamaged, match=r"behind the end of 'a\.csv'"):
                read(path)
        for missing in (1, 2, 9):
            write(path, content, packed[:-missing])
            with pytest.raises(RawDamaged, match="broken"):
                read(path)


@pytest.mark.parametrize("more", [b"", b"1,2\n"])
def test_another_content_than_the_directory_says_is_refused(more: bytes, tmp_path: Path) -> None:
    write(tmp_path / "a.zip", ROWS[:-1] + b"x" + more, deflated(ROWS))
    with pytest.raises(RawDamaged, match="bad checksum"):
        read(tmp_path / "a.zip")


@pytest.mark.parametrize("difference", [-1, 1])
def test_another_size_than_the_directory_says_is_refused(difference: int, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    write(path, ROWS, deflated(ROWS))
    data = bytearray(path.read_bytes())
    at = data.rindex(DIRECTORY) + 24
    data[at : at + 4] = (len(ROWS) + difference).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(RawDamaged, match=f"expected {len(ROWS) + difference} bytes in 'a.csv', found {len(ROWS)}"):
        read(path)


@pytest.mark.parametrize("place", [LOCAL_BYTES, LOCAL_BYTES + 1_000, LOCAL_BYTES + 300_000])
def test_a_flipped_bit_is_found_wherever_it_is(place: int, tmp_path: Path) -> None:
    write(tmp_path / "a.zip", ROWS, deflated(ROWS))
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[place] ^= 4
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(RawDamaged):
        read(tmp_path / "a.zip")


@pytest.mark.parametrize("cut", [1, 30, 1_000, 200_000])
def test_a_zip_that_is_cut_is_refused(cut: int, tmp_path: Path) -> None:
    write(tmp_path / "a.zip", ROWS, deflated(ROWS))
    data = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(data[:-cut])
    with pytest.raises(RawDamaged, match="zip"):
        read(tmp_path / "a.zip")


@pytest.mark.parametrize(
    ("at", "value", "why"), [(8, b"\x01", "encrypted"), (10, b"\x09", "not supported"), (46, b"b", "differ")]
)
def test_what_a_header_says_is_looked_at(at: int, value: bytes, why: str, tmp_path: Path) -> None:
    write(tmp_path / "a.zip", ROWS, deflated(ROWS))
    data = bytearray((tmp_path / "a.zip").read_bytes())
    start = data.rindex(DIRECTORY) + at
    data[start : start + 1] = value
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(RawDamaged, match=why):
        read(tmp_path / "a.zip")


def test_one_file_is_wanted(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", ROWS)
        archive.writestr("b.csv", ROWS)
    with pytest.raises(SeveralInOne, match=r"a\.csv"):
        read(tmp_path / "a.zip")
