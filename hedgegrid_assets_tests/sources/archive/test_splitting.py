"""Files of several days, cut into days: each line once, as it is, wherever its block ends."""

import hashlib
import random
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from msgspec import structs

from hedgegrid_assets.batch import Batch
from hedgegrid_assets.model import Download
from hedgegrid_assets.sources.archive import SOURCE, splitting
from hedgegrid_assets.sources.archive import days as days_of_archive
from hedgegrid_assets.sources.archive.archives import ARCHIVES
from hedgegrid_assets.sources.archive.days import ArchiveDay, download
from hedgegrid_assets.sources.archive.files import Place, Proof
from hedgegrid_assets.sources.archive.rows import times_of
from hedgegrid_assets.sources.formats import csv_cells as cells
from hedgegrid_assets.stages.raw import Ahead, RawKey
from hedgegrid_assets.stages.raw.looking import Seen, Watch, look_through
from hedgegrid_assets.store import Block, BlockReader, LineFile
from hedgegrid_assets.timestamps import day_start
from hedgegrid_assets_tests.standins.archive import zipped
from hedgegrid_assets_tests.yard import with_blocks_of

DAY = date(2024, 1, 2)
DAYS = [DAY, date(2024, 1, 3), date(2024, 1, 4)]
ARCHIVE = ARCHIVES["binance-futures"]
CHANNEL = ARCHIVE.kind("aggTrade").channel
HEADER = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker"
ODD = {
    40: "",
    41: "1,2",
    90: "1,2.5,3,4,5,never,true",
    91: '1,2.5,3,4,5,"1704153600000",true',
    150: "1,2.5,3,4,5, 1704153600000 ,true",
    151: "1,2.5,3,4,5,1704153600,true",  # s
    220: "1,2.5,3,4,5,1704153600000000,true",  # us
    221: "ä,2.5,3,4,5,1704153600000,true",
    222: "1,2.5,3\0,4,5,1704153600000,true",
    300: "1,2.5,3,4,5,1704153600000,true,more",
    301: "1,2.5,3,4,5,-1704153600000,true",
    302: "1,2.5,3,4,5,99999999999999999999,true",
}


def lines(first: date, count: int = 400) -> list[str]:
    start, step = day_start(first) // 1_000_000, 3 * 86_400_000 // count
    rows = [f"{number},{number}.5,0.001,1,2,{start + number * step},true" for number in range(count)]
    return [ODD.get(number, row) for number, row in enumerate(rows)]


def split(
    folder: Path, text: bytes, watch: Watch | None = None, tick: Callable[[], None] | None = None
) -> tuple[Path, splitting.DaysOfFile]:
    """The month, cut in ``folder``."""
    files = ARCHIVE.kind("aggTrade")
    place = Place(ARCHIVE, "", files.path("monthly", "BTCUSDT", DAY), folder)
    place.file.parent.mkdir(parents=True, exist_ok=True)
    body = zipped("BTCUSDT-aggTrades-2024-01.csv", text)
    place.file.write_bytes(body)
    proof = Proof(place.url, len(body), hashlib.sha256(body).hexdigest())
    return splitting.split(place, proof, files.columns, files.channel, "BTCUSDT", DAY, tick, watch)


def cut(folder: Path, text: bytes) -> dict[str, bytes]:
    """Day -> its lines."""
    days, index = split(folder, text)
    found = {day: b"".join(block.data for block in BlockReader(days / f"{day}.csv.zst")) for day in index.days}
    assert {day: len(data.splitlines()) for day, data in found.items()} == {
        day: one.lines for day, one in index.days.items()
    }
    return found


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("block_bytes", [1, 100, 1_000, 10_000])
def test_the_size_of_blocks_changes_nothing(
    header: bool, block_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "\n".join([*([HEADER] if header else []), *lines(DAY)]).encode()
    whole = cut(tmp_path / "whole", text)
    monkeypatch.setattr(splitting, "_BLOCK_BYTES", block_bytes)
    assert cut(tmp_path / "blocks", text) == whole
    assert sum(len(data.splitlines()) for data in whole.values()) == 400


CELLS = (
    "1704153600000",
    " 1704153600000 ",
    "1704153600",
    "1704153600000000",
    "-1704153600000",
    "+1704153600000",
    "01704153600000",
    "1704153600000.0",
    "17041536000000000000",
    "never",
    "1e12",
    "0x5",
    "",
)


@pytest.mark.parametrize("cell", CELLS)
def test_numbers_are_those_of_the_closer_look_or_none(cell: str) -> None:
    block = Block(f"1,{cell},3\n4,1704153600001,6,7\n".encode(), 0)
    found = cells.whole_numbers(block, 3, ",", 1)
    closer = times_of(cells.read(block, 3, ",", [1]).frame["c1"])
    assert found is None or times_of(found).to_list() == closer.to_list()


# ---------------------------------------------------------------- looked through while they are cut


@pytest.fixture
def ahead() -> Iterator[Ahead]:
    made = Ahead(SOURCE, [RawKey(CHANNEL.name, "BTCUSDT", day) for day in DAYS[:2]])
    yield made
    made.close()


def rising(count: int = 400) -> list[str]:
    return [row for row in lines(DAY, count) if row not in ODD.values()]


def interleaved() -> list[str]:
    return [row for pair in zip(rising()[:180], rising()[180:360], strict=True) for row in pair]


def shuffled(among: list[str]) -> list[str]:
    return random.Random(7).sample(among, len(among))


def of_one_day(among: list[str]) -> list[str]:
    return [row for row in among if day_start(DAYS[1]) // 10**6 > int(row.split(",")[5])]


def told(seen: Seen) -> tuple[object, ...]:
    """All that looking through a day gives."""
    assert seen.kept is not None
    batches: list[Batch] = list(seen.kept)
    rows = pl.concat([batch.decoded[CHANNEL.name].rows for batch in batches])
    tally = vars(seen.tally)
    return seen.sha256, seen.bytes, seen.lines, tally, seen.reasons, sum(batch.lines for batch in batches), rows.rows()


@pytest.mark.parametrize("block_bytes", [300, 5_000, 4 << 20])
@pytest.mark.parametrize(
    ("rows", "is_seen"),
    [
        (rising(), True),
        (shuffled(of_one_day(rising())) + [row for row in rising() if row not in of_one_day(rising())], True),
        (rising()[:1], True),
        (lines(DAY), False),
        (shuffled(rising()), False),
        (interleaved(), False),
        (rising()[200:] + rising()[:200], False),
        ([*rising()[:200], rising()[5], *rising()[200:]], False),
        ([*rising()[:30], ODD[90], *rising()[30:]], False),
        ([*rising(), ""], False),
        ([], True),
    ],
    ids=[
        *("rising", "shuffled inside a day", "one row", "odd lines", "shuffled", "interleaved", "a part behind"),
        *("one late row", "one without a time", "a blank line", "none"),
    ],
)
def test_days_that_are_seen_on_the_way_are_those_of_a_look_at_each_line(
    rows: list[str], is_seen: bool, block_bytes: int, ahead: Ahead, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_blocks_of(block_bytes, monkeypatch)
    text = "".join(f"{row}\n" for row in [HEADER, *rows]).encode()
    watch = ahead.watch(CHANNEL, "BTCUSDT", tmp_path)
    days, index = split(tmp_path / "watched", text, watch)
    others, expected = split(tmp_path / "looked at", text)
    assert index == expected
    names = [f"{day}.csv.zst" for day in index.days]
    assert [(days / name).read_bytes() for name in names] == [(others / name).read_bytes() for name in names]
    assert {path.name for path in days.iterdir()} == {"days.json", *names}
    assert index.dialect is not None
    dialect = structs.replace(index.dialect, exchange=ARCHIVE.exchange)
    for day in DAYS[:2]:
        file = index.days.get(str(day))
        seen = ahead.pop(RawKey(CHANNEL.name, "BTCUSDT", day), file.sha256 if file else "")
        assert (seen is not None) == (is_seen and file is not None)
        if seen is not None:
            download = Download(days / f"{day}.csv.zst", ".csv.zst", {"sha256": seen.sha256}, dialect)
            again = look_through(download, SOURCE, CHANNEL, lambda: None, tmp_path)
            assert told(seen) == told(again)
            seen.close()
            again.close()
    assert ahead.pop(RawKey(CHANNEL.name, "BTCUSDT", DAYS[2]), "") is None, "nobody wants its rows"


@pytest.mark.parametrize("block_bytes", [300, 4 << 20])
@pytest.mark.parametrize(
    ("rows", "late"), [(rising(), 0), (interleaved(), 179), (rising()[200:] + rising()[:200], 200)]
)
def test_rows_behind_those_of_a_later_day_are_told(
    rows: list[str],
    late: int,
    block_bytes: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(splitting, "_BLOCK_BYTES", block_bytes)
    split(tmp_path, "\n".join(rows).encode())
    told = f"BTCUSDT-aggTrades-2024-01.zip: {late} rows stand behind rows of a later day: each is taken into its own"
    assert [each.getMessage() for each in caplog.records] == [told] * bool(late)


def test_a_day_that_was_cut_by_another_since_is_not_taken_for_the_one_that_was_seen(
    ahead: Ahead, tmp_path: Path
) -> None:
    split(tmp_path, "\n".join(rising()).encode(), ahead.watch(CHANNEL, "BTCUSDT", tmp_path))
    assert ahead.pop(RawKey(CHANNEL.name, "BTCUSDT", DAY), "0" * 64) is None


def test_who_stops_a_cut_lets_others_go_on(ahead: Ahead, tmp_path: Path) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    text = "\n".join(rising()).encode()
    with pytest.raises(KeyboardInterrupt) as stopped:
        split(tmp_path, text, ahead.watch(CHANNEL, "BTCUSDT", tmp_path), stop)
    assert stopped.tb is not None, "it is held on to, as who tells of it does"
    watch = ahead.watch(CHANNEL, "BTCUSDT", tmp_path)
    assert len(split(tmp_path, text, watch)[1].days) == 3
    assert [path.name for path in (tmp_path / ".tmp").iterdir()] == []


def at_hand(folder: Path) -> ArchiveDay:
    """A day of the month in ``folder``, which counts as proved."""
    place = Place(ARCHIVE, "", ARCHIVE.kind("aggTrade").path("monthly", "BTCUSDT", DAY), folder)
    body = place.file.read_bytes()
    Proof(place.url, len(body), hashlib.sha256(body).hexdigest()).write(place.proof)
    return ArchiveDay.of(ARCHIVE, {"cache_dir": str(folder)}, "BTCUSDT", CHANNEL, DAY, folder)


def test_lines_that_were_compressed_otherwise_are_used_as_they_are(tmp_path: Path) -> None:
    days, index = split(tmp_path, "\n".join(rising()).encode())
    part = days / f"{DAY}.csv.zst"
    held = LineFile(part.with_suffix(".other"))
    for block in BlockReader(part):
        held.append(block.data, block.lines)
    older = splitting.DayFile(held.close(), held.bytes, held.lines)
    assert older.lines == index.days[f"{DAY}"].lines
    assert older.sha256 != index.days[f"{DAY}"].sha256
    part.with_suffix(".other").replace(part)
    with_older = structs.replace(index, days=index.days | {f"{DAY}": older})
    (days / "days.json").write_bytes(msgspec.json.encode(with_older))
    received = download(at_hand(tmp_path), tmp_path / "work", None)
    assert (received.origin["sha256"], received.origin["bytes"]) == (older.sha256, older.bytes)
    assert hashlib.sha256(received.path.read_bytes()).hexdigest() == older.sha256


@pytest.mark.parametrize("damage", ["a flipped bit", "gone"])
def test_lines_that_are_damaged_in_the_cache_are_cut_out_again(damage: str, tmp_path: Path) -> None:
    days, _ = split(tmp_path, "\n".join(rising()).encode())
    wanted, part = at_hand(tmp_path), days / f"{DAY}.csv.zst"
    whole = part.read_bytes()
    if damage == "gone":
        part.unlink()
    else:
        part.write_bytes(whole[:50] + bytes([whole[50] ^ 1]) + whole[51:])
    received = download(wanted, tmp_path / "work", None)
    assert received.path.read_bytes() == part.read_bytes() == whole
    assert received.origin["sha256"] == hashlib.sha256(whole).hexdigest()


def test_a_part_that_was_cut_in_this_run_is_not_read_once_more(
    ahead: Ahead, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its sum was taken while it was written; who has not seen it, in another run, takes it again."""
    split(tmp_path, "\n".join(rising()).encode(), ahead.watch(CHANNEL, "BTCUSDT", tmp_path))
    read: list[Path] = []
    identity_of = days_of_archive._identity

    def identity(path: Path) -> dict[str, Any]:
        read.append(path)
        return identity_of(path)

    monkeypatch.setattr(days_of_archive, "_identity", identity)
    received = download(at_hand(tmp_path), tmp_path / "work", None, ahead.watch(CHANNEL, "BTCUSDT", tmp_path))
    assert read == []
    assert identity_of(received.path)["sha256"] == received.origin["sha256"]
    download(at_hand(tmp_path), tmp_path / "work", None, Ahead(SOURCE, []).watch(CHANNEL, "BTCUSDT", tmp_path))
    assert len(read) == 1
