"""Landing files that change while they are read: a day is of one content, or of none."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hedgegrid_assets.errors import FileChanges
from hedgegrid_assets.stages.raw import ImportReport
from hedgegrid_assets_tests.scenario import DAY_MS, MIDNIGHT_MS, agg_trade, line, received
from hedgegrid_assets_tests.yard import Yard, lines_of, with_blocks_of

type Change = Callable[[Path, int], None]

BLOCK = 5_000
"""Bytes: 20 blocks a file."""
EACH = 8
"""Blocks from one change to the next."""


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path)


def content(price: str, trades: int = 400) -> bytes:
    """Some trades of a day, all at one price."""
    times = (MIDNIGHT_MS + 1_000 + number * (DAY_MS // 1_000) for number in range(trades))
    return b"".join(line(agg_trade(1_000 + n, ms, p=price), received(ms)) for n, ms in enumerate(times))


OLD, NEW = content("42000.10"), content("42999.90")
assert len(OLD) == len(NEW)


def replaced(path: Path, _: int) -> None:
    path.with_suffix(".part").write_bytes(NEW)
    path.with_suffix(".part").replace(path)


def written_over(path: Path, _: int) -> None:
    with path.open("r+b") as file:
        file.write(NEW)


def cut_and_written(path: Path, _: int) -> None:
    path.write_bytes(NEW[: len(NEW) // 2])
    path.write_bytes(NEW)


def written_over_at_the_same_time(path: Path, _: int) -> None:
    """Its size and time of change tell nothing."""
    status = path.stat()
    written_over(path, 0)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def read_while(yard: Yard, path: Path, change: Change, *, times: int = 1, in_place: bool = False) -> ImportReport:
    """Import a file that is changed as soon as its first lines are read."""
    seen = 0

    def progress(_: str, __: int) -> None:
        nonlocal seen
        seen += 1
        if seen % EACH == 1 and seen // EACH < times:
            change(path, seen)

    return yard.bring_in(progress=progress, in_place=in_place)


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("change", [replaced, written_over, cut_and_written, written_over_at_the_same_time])
def test_a_file_that_is_written_anew_while_it_is_read_gives_a_day_of_the_new_content(
    yard: Yard, change: Change, in_place: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_blocks_of(BLOCK, monkeypatch)
    path = yard.drop("day.jsonl", OLD)
    read_while(yard, path, change, in_place=in_place)
    assert b"".join(lines_of(yard.raw().path)) == NEW
    assert yard.bring_in(in_place=in_place).known == [path]


def test_a_file_that_is_written_anew_again_and_again_is_refused_and_nothing_of_it_published(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_blocks_of(BLOCK, monkeypatch)
    path = yard.drop("day.jsonl", OLD)

    def other(path: Path, seen: int) -> None:
        path.write_bytes(content(f"4{seen:04}.10"))

    with pytest.raises(FileChanges, match=r"day\.jsonl was written anew while it was read"):
        read_while(yard, path, other, times=1_000)
    assert not list(yard.places.raw_folders())
    assert yard.bring_in().read == [path]


def test_a_file_that_grows_while_it_is_read_gives_what_was_there_and_the_rest_with_the_next_run(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_blocks_of(BLOCK, monkeypatch)
    more = content("43000.00", 500)[len(OLD) :]
    path = yard.drop("day.jsonl", OLD)

    def appended(path: Path, _: int) -> None:
        with path.open("ab") as file:
            file.write(more)

    report = read_while(yard, path, appended)
    taken = b"".join(lines_of(yard.raw().path))
    assert (OLD + more).startswith(taken)
    assert len(taken) >= len(OLD)
    assert any("it grew while it was read" in note for note in report.notes)
    assert yard.bring_in().read == [path]
    assert b"".join(lines_of(yard.raw().path)) == OLD + more
