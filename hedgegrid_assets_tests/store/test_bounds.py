"""A few bytes that hold gigabytes stay in bounded memory, and a process that leaves a file half read ends at once."""

import bz2
import json
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import zstandard
from isal import isal_zlib

from hedgegrid_assets.errors import RawDamaged
from hedgegrid_assets.sources.tardis import bodies
from hedgegrid_assets.store import BlockReader

MEGABYTE = 1 << 20
EXPANDED = 256 * MEGABYTE
MOST_MB = 200.0


def with_gzip(chunk: bytes, path: Path) -> None:
    _write(path, chunk, isal_zlib.compressobj(1, wbits=31))


def with_zstd(chunk: bytes, path: Path) -> None:
    _write(path, chunk, zstandard.ZstdCompressor(level=19).compressobj())


def with_zstd_of_a_large_window(chunk: bytes, path: Path) -> None:
    parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=27)
    _write(path, chunk, zstandard.ZstdCompressor(compression_params=parameters).compressobj())


def with_bzip2(chunk: bytes, path: Path) -> None:
    path.write_bytes(bz2.compress(chunk * 8) * (EXPANDED // MEGABYTE // 8))


def with_zip(chunk: bytes, path: Path) -> None:
    _zip(chunk, path, zipfile.ZIP_DEFLATED, 128)


def with_zip_of_bzip2(chunk: bytes, path: Path) -> None:
    _zip(chunk, path, zipfile.ZIP_BZIP2, 128)


def with_zip_of_lzma(chunk: bytes, path: Path) -> None:
    _zip(chunk, path, zipfile.ZIP_LZMA, 128)


def _write(path: Path, chunk: bytes, stream: Any) -> None:
    with path.open("wb") as file:
        for _ in range(EXPANDED // MEGABYTE):
            file.write(stream.compress(chunk))
        file.write(stream.flush())


def _zip(chunk: bytes, path: Path, kind: int, chunks: int) -> None:
    with zipfile.ZipFile(path, "w", kind) as archive, archive.open("a.csv", "w") as member:
        for _ in range(chunks):
            member.write(chunk)


CODECS = (with_gzip, with_zstd, with_zstd_of_a_large_window, with_bzip2, with_zip, with_zip_of_bzip2, with_zip_of_lzma)

READ = """
import json, resource, sys
from pathlib import Path
import isal.isal_zlib, zipfile, zstandard
from hedgegrid_assets.errors import RawDamaged
from hedgegrid_assets.store import BlockReader
from hedgegrid_assets.sources.client.answers import Broken
from hedgegrid_assets.sources.tardis import bodies
from datetime import datetime
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
before, size, lines, why = peak(), 0, 0, ""
try:
    {work}
except (RawDamaged, Broken) as error:
    why = str(error)
print(json.dumps([peak() - before, size, lines, why]))
"""
BLOCKS = """for block in BlockReader(Path(sys.argv[1])):
        size, lines = size + len(block.data), lines + block.lines"""
SLICE = "lines = bodies.check_slice(Path(sys.argv[1]), datetime(2024, 1, 1)).lines"
DATASET = "bodies.check_file(Path(sys.argv[1]), 'binance-futures', 'trades', 'BTCUSDT')"


def reading(path: Path, work: str = BLOCKS) -> tuple[float, int, int, str]:
    """A file read in a process of its own: the memory it took on top, in MB, bytes and lines, and why it was refused."""
    code = READ.format(work=work)
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    memory, size, lines, why = json.loads(done.stdout)
    return memory, size, lines, why


@pytest.mark.slow
@pytest.mark.parametrize("codec", CODECS)
def test_a_line_without_end_is_refused_in_bounded_memory(codec: Callable[[bytes, Path], None], tmp_path: Path) -> None:
    codec(bytes(MEGABYTE), tmp_path / "zeros")
    memory, _, lines, why = reading(tmp_path / "zeros")
    assert "a line of more than 16 MiB" in why
    assert lines == 0
    assert memory < MOST_MB


@pytest.mark.slow
@pytest.mark.parametrize("codec", [with_gzip, with_zstd, with_zstd_of_a_large_window, with_bzip2, with_zip])
def test_rows_that_compress_very_well_are_all_read_in_bounded_memory(
    codec: Callable[[bytes, Path], None], tmp_path: Path
) -> None:
    codec(b"0123456\n" * (MEGABYTE // 8), tmp_path / "rows")
    memory, size, lines, why = reading(tmp_path / "rows")
    assert why == ""
    assert lines * 8 == size
    assert size in {EXPANDED, 128 * MEGABYTE}
    assert memory < MOST_MB


@pytest.mark.slow
@pytest.mark.parametrize("line", [b"\n", b"1\n"])
def test_very_short_lines_come_in_blocks_of_a_bounded_number(line: bytes, tmp_path: Path) -> None:
    with_zstd(line * (MEGABYTE // len(line)), tmp_path / "short")
    memory, size, lines, _ = reading(tmp_path / "short")
    assert (size, lines * len(line)) == (EXPANDED, EXPANDED)
    assert memory < MOST_MB


COMMAND = """
import resource, sys
import hedgegrid_assets.pipeline.run
from hedgegrid_assets.cli import run
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
before = peak()
said = ["--source", "websocket", "--symbol", "BTCUSDT", "--quiet", "--input", sys.argv[1]]
code = run(["replay-to-parquet", *said, "--data", sys.argv[2], "--output", sys.argv[3]])
print("\\n", code, peak() - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize("line", [b"\n", b'{"a":1}\n', b'{"e":"aggTrade"}\n'])
@pytest.mark.parametrize("codec", [with_zstd, with_bzip2])
def test_the_command_takes_bounded_memory_for_lines_of_a_few_bytes(
    codec: Callable[[bytes, Path], None], line: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "EXPANDED", 32 * MEGABYTE)
    codec(line * (MEGABYTE // len(line)), tmp_path / "short.jsonl")
    given = [str(tmp_path / name) for name in ("short.jsonl", "data", "catalog")]
    done = subprocess.run([sys.executable, "-c", COMMAND, *given], capture_output=True, text=True, check=True)
    code, memory = done.stdout.split()[-2:]
    assert code == "1"
    assert float(memory) < MOST_MB


@pytest.mark.slow
@pytest.mark.parametrize("work", [SLICE, DATASET])
def test_what_a_provider_sends_is_checked_to_its_end_in_bounded_memory(work: str, tmp_path: Path) -> None:
    with_gzip(bytes(MEGABYTE), tmp_path / "zeros")
    memory, _, _, why = reading(tmp_path / "zeros", work)
    assert "foreign" in why or "no trades of Tardis" in why
    assert memory < MOST_MB
    with_gzip(b'2024-01-01T00:00:12.1Z {"a":1}\n' * (MEGABYTE // 32), tmp_path / "rows")
    memory, _, lines, why = reading(tmp_path / "rows", SLICE)
    assert (lines, why) == (EXPANDED // MEGABYTE * (MEGABYTE // 32), "")
    assert memory < MOST_MB


def test_blocks_of_short_lines_are_whole_and_numbered(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"".join(b"%d\n" % (number % 10) for number in range(3_000_000)))
    blocks = list(BlockReader(path))
    assert max(block.lines for block in blocks) <= 1 << 17
    assert b"".join(block.data for block in blocks) == path.read_bytes()
    assert [block.first_line for block in blocks[1:]] == [block.first_line + block.lines for block in blocks[:-1]]


def test_lines_of_many_levels_come_in_blocks_of_a_bounded_number(tmp_path: Path) -> None:
    path = tmp_path / "book"
    line = b'{"b":[' + b",".join([b'["1.5","2"]'] * 1_000) + b"]}\n"
    path.write_bytes(line * 1_000)
    blocks = list(BlockReader(path))
    assert max(block.data.count(b'["') for block in blocks) <= 1 << 18
    assert b"".join(block.data for block in blocks) == line * 1_000
    assert [block.first_line for block in blocks][1:] == [block.first_line + block.lines for block in blocks][:-1]


def test_blank_lines_of_a_slice_are_counted_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "slice"
    path.write_bytes(isal_zlib.compress(b"\n\n2024-01-01T00:00:01.0Z {}\n\n\n\n2024-01-01T00:00:02.0Z {}", wbits=31))
    body = bodies.check_slice(path, datetime(2024, 1, 1, tzinfo=UTC))
    assert (body.lines, body.blank, body.whole) == (2, 5, False)


def members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Streams of two members with padding or junk between them, cut or not."""
    two = b"".join(b"%d\n" % number for number in range(50_000))
    for name, packed in (
        ("gzip", isal_zlib.compress(two, wbits=31)),
        ("zstd", zstandard.compress(two)),
        ("bzip2", bz2.compress(two)),
    ):
        path.write_bytes(packed + packed)
        yield f"{name} twice", two + two
        path.write_bytes(packed + b"\0" * 5_000 + packed + b"\0")
        yield f"{name} with padding", two + two


def test_members_laid_end_to_end_are_read_to_the_last_byte(tmp_path: Path) -> None:
    for name, expected in members(tmp_path / "file"):
        reader = BlockReader(tmp_path / "file")
        assert b"".join(block.data for block in reader) == expected, name
        assert not reader.truncated, name


def test_a_stream_cut_at_any_place_gives_what_it_holds(tmp_path: Path) -> None:
    lines = b"".join(b"%d,%d\n" % (number, number * number) for number in range(20_000))
    for packed in (isal_zlib.compress(lines, wbits=31), zstandard.compress(lines), bz2.compress(lines)):
        for cut in range(20, len(packed), len(packed) // 20):
            (tmp_path / "cut").write_bytes(packed[:cut])
            reader = BlockReader(tmp_path / "cut")
            assert lines.startswith(b"".join(block.data for block in reader))
            assert reader.truncated


@pytest.mark.parametrize("broken", ["checksum", "encrypted"])
def test_a_zip_of_bzip2_is_checked_as_every_other(broken: str, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a.csv", "1,2\n" * 1_000)
    assert b"".join(block.data for block in BlockReader(path)) == b"1,2\n" * 1_000
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\x01\x02")
    data[entry + (16 if broken == "checksum" else 8)] ^= 1
    path.write_bytes(data)
    with pytest.raises(RawDamaged, match="checksum" if broken == "checksum" else "encrypted"):
        list(BlockReader(path))


LEAVE = """
import itertools, sys, time
from pathlib import Path
from hedgegrid_assets.store import BackgroundWriter, BlockReader, prefetch, ordered_map
path = Path(sys.argv[1])
held = {held}
next(held) if hasattr(held, "__next__") else held.put(1)
{end}
"""
HELD = {
    "blocks": "iter(BlockReader(path, 65536))",
    "ahead": "prefetch(itertools.count())",
    "side by side": "ordered_map(lambda block: block.lines, BlockReader(path, 65536))",
    "behind": "BackgroundWriter(lambda item: time.sleep(600))",
    "a source that stands still": "prefetch(time.sleep(600 * number) or number for number in itertools.count())",
}
ENDS = {
    "the end": ("", 0),
    "sys.exit": ("sys.exit(3)", 3),
    "an exception": ("raise KeyError('x')", 1),
    "a generator left in a frame": (
        "def leave(held):\n    next(held, None)\n    raise KeyError\nleave(iter([held]))",
        1,
    ),
}


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "large.csv"
    path.write_bytes(b"1704067200000,42000.1,0.001,buy\n" * 500_000)
    return path


@pytest.mark.parametrize("held", HELD)
@pytest.mark.parametrize("end", ENDS)
def test_a_process_that_leaves_a_file_half_read_ends_at_once(held: str, end: str, large: Path) -> None:
    code = LEAVE.format(held=HELD[held], end=ENDS[end][0])
    ending = f"import atexit, time\natexit.register(lambda: print(time.monotonic(), flush=True))\n{code}"
    done = subprocess.run([sys.executable, "-c", ending, str(large)], capture_output=True, text=True, timeout=60)
    assert done.returncode == ENDS[end][1], done.stderr
    assert time.monotonic() - float(done.stdout) < 10  # a thread of its may have 600 s to go
