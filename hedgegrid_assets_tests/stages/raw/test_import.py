"""Landing files become daily raw files: nothing is lost, nothing altered, and a second time changes nothing."""

import contextlib
import os
import resource
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest

from hedgegrid_assets.errors import EnvironmentFault, LinesUnnumbered, RawDamaged
from hedgegrid_assets.stages import raw
from hedgegrid_assets.stages.raw import FileOrigin, RawKey
from hedgegrid_assets.store import BlockReader, plain
from hedgegrid_assets_tests import scenario
from hedgegrid_assets_tests.scenario import (
    BAD_MS,
    BTC,
    BTC_IDS,
    CLEAN,
    DAMAGED,
    DAY,
    DAY_MS,
    ETH,
    MIDNIGHT_MS,
    NEXT_DAY,
    TRUNCATED,
    VARIANTS,
    agg_trade,
    line,
    mark_price,
    received,
)
from hedgegrid_assets_tests.yard import FEED, USUAL_SOURCE, Yard, lines_of, origins_of, with_blocks_of


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path)


def verified(day: raw.RawDay) -> None:
    """It has the bytes of its manifest, and decodes to its end."""
    raw.verify(day.path, day.manifest)
    reader = BlockReader(day.path)
    assert list(reader)
    assert not reader.truncated


def accounted(origin: FileOrigin) -> int:
    counted = (origin.connection, origin.blank, origin.unreadable)
    return sum((origin.by_stream or {}).values()) + sum(number or 0 for number in counted)


# ---------------------------------------------------------------- lines conserved


@pytest.mark.parametrize("name", VARIANTS)
def test_every_line_of_every_variant_is_accounted_for_and_kept_as_it_is(yard: Yard, name: str) -> None:
    variant = VARIANTS[name]
    landed = yard.drop(f"capture{variant.suffix}", variant.data)
    report = yard.bring_in(source=USUAL_SOURCE)
    lines = lines_of(landed)
    origin = yard.raw().manifest.origin[0]
    assert origin.lines == report.lines == len(lines)
    assert accounted(origin) == len(lines)
    assert report.unplaced == Counter(variant.unplaced)
    for key in report.days:
        day = yard.raw(key.channel, key.symbol, key.day)
        kept = [lines[number - 1].rstrip(b"\n") + b"\n" for _, number in origins_of(day)]
        assert lines_of(day.path) == kept
        assert day.manifest.lines == len(kept)
        verified(day)
    stored = yard.raw().manifest.lines
    assert stored == variant.trades + sum(variant.rejects.values()) + variant.duplicates
    assert yard.places.line_rejects(FEED, f"raw/websocket/{landed.name}").exists() == bool(variant.unplaced)


@pytest.mark.parametrize("name", [name for name, variant in VARIANTS.items() if variant.unplaced])
def test_lines_without_a_place_are_kept_with_file_line_and_text(yard: Yard, name: str) -> None:
    variant = VARIANTS[name]
    landed = yard.drop(f"capture{variant.suffix}", variant.data)
    yard.bring_in()
    rejects = yard.places.line_rejects(FEED, f"raw/websocket/{landed.name}")
    found = pl.read_parquet(rejects.local())
    assert Counter(found["reason"]) == Counter(variant.unplaced)
    assert set(found["stage"]) == {"raw"}
    assert set(found["file"]) == {f"raw/websocket/{landed.name}"}
    for number, text in zip(found["line"], found["raw"], strict=True):
        original = lines_of(landed)[number - 1].rstrip(b"\r\n")
        assert original.decode(errors="backslashreplace")[:4096] == text


def test_blocks_of_any_size_make_the_same_raw_days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    for number, size in enumerate((8 << 20, 3_000, 700)):
        with_blocks_of(size, monkeypatch)
        yard = Yard(tmp_path / str(number))
        yard.drop("capture.jsonl.gz", VARIANTS["gzip of several members"].data)
        yard.bring_in()
        made.append(yard.files("data", "raw", FEED))
    assert made[0] == made[1] == made[2]


def test_a_day_is_named_after_arrival_also_where_the_exchange_time_is_of_the_next(yard: Yard) -> None:
    yard.drop("capture.jsonl", VARIANTS["exchange time of the next day"].data)
    assert {key.day for key in yard.bring_in().days} == {DAY}


def test_a_file_over_midnight_is_split_at_midnight(yard: Yard) -> None:
    yard.drop("capture.jsonl", VARIANTS["over midnight"].data)
    yard.bring_in()
    assert yard.raw().manifest.lines == 40
    assert yard.raw(day=NEXT_DAY).manifest.lines == 1
    assert raw.raw_days(yard.places, FEED, "aggTrade", BTC) == [DAY, NEXT_DAY]


# ---------------------------------------------------------------- streams that end early, or are no streams


@pytest.mark.parametrize("name", TRUNCATED)
def test_a_stream_that_ends_too_early_gives_the_lines_up_to_there_and_says_so(yard: Yard, name: str) -> None:
    data, suffix = TRUNCATED[name]
    landed = yard.drop(f"capture{suffix}", data)
    report = yard.bring_in(in_place=True)
    origin = yard.raw().manifest.origin[0]
    assert not origin.decoded_to_end
    assert "ends too early" in report.notes[0]
    assert accounted(origin) == origin.lines == len(lines_of(landed))
    assert set(report.unplaced) <= {"truncated_tail"}
    assert CLEAN.startswith(b"".join(lines_of(landed)))
    verified(yard.raw())


@pytest.mark.parametrize("name", DAMAGED)
def test_of_a_damaged_file_nothing_is_used(yard: Yard, name: str) -> None:
    data, suffix = DAMAGED[name]
    yard.drop(f"capture{suffix}", data)
    with pytest.raises(RawDamaged, match="capture"):
        yard.bring_in()
    assert yard.files("data", "raw", FEED) == {}


def test_a_damaged_file_keeps_no_other_out_where_that_is_wished(yard: Yard) -> None:
    yard.drop("a.jsonl.gz", DAMAGED["gzip with junk behind it"][0])
    yard.drop("b.jsonl", CLEAN)
    report = yard.bring_in(pass_over_damaged=True)
    assert [error.details["path"] for error in report.damaged] == [
        str(yard.places.landing / "websocket" / "a.jsonl.gz")
    ]
    assert yard.raw().manifest.lines == 40
    assert [file.path.name for file in yard.landed() if file.path not in report.known + report.read] == ["a.jsonl.gz"]


@pytest.mark.parametrize("data", [b"", b"\n\n", b"hello\n", scenario.line({"e": "kline", "s": BTC})])
def test_a_file_with_none_of_our_messages_gives_no_day(yard: Yard, data: bytes) -> None:
    yard.drop("capture.jsonl", data)
    assert yard.bring_in().days == set()


def test_half_written_hidden_and_empty_files_never_land(yard: Yard) -> None:
    for name in ("a.jsonl.tmp", "b.jsonl.part", ".c.jsonl"):
        yard.drop(name, CLEAN)
    yard.drop("d.jsonl", b"")
    assert yard.landed() == []


# ---------------------------------------------------------------- again, and more


def test_importing_again_reads_nothing_and_changes_no_byte(yard: Yard) -> None:
    yard.drop("capture.jsonl", CLEAN)
    first = yard.bring_in()
    before = yard.files("data")
    again = yard.bring_in()
    assert (len(again.read), len(again.known)) == (0, 1)
    assert again.days == first.days
    assert yard.files("data") == before


def test_a_file_that_was_only_touched_gives_the_same_bytes_again(yard: Yard) -> None:
    landed = yard.drop("capture.jsonl", CLEAN)
    yard.bring_in()
    before = yard.files("data")
    os.utime(landed, ns=(1, 1))
    assert len(yard.bring_in().read) == 1
    assert yard.files("data") == before
    assert len(raw.imported_days(yard.places, FEED)) == 1


def test_a_file_that_was_touched_and_is_asked_for_fewer_symbols_keeps_the_days_of_all(yard: Yard) -> None:
    landed = yard.drop("capture.jsonl", CLEAN + line(agg_trade(1, BAD_MS, symbol=ETH), received(BAD_MS)))
    yard.bring_in([BTC, ETH])
    before = yard.files("data")
    assert any(ETH in name for name in before)
    os.utime(landed, ns=(1, 1))
    assert {key.symbol for key in yard.bring_in([BTC]).days} == {BTC, ETH}
    assert yard.files("data") == before


def test_lines_that_a_raw_day_alone_still_holds_are_not_dropped_where_their_numbers_are_gone(yard: Yard) -> None:
    first, second = (yard.drop(f"{name}.jsonl", trades(number)) for name, number in (("a", 1001), ("b", 1002)))
    yard.bring_in()
    day = yard.raw()
    before = lines_of(day.path)
    assert len(before) == 2
    assert day.lines is not None
    day.lines.unlink()
    content = first.read_bytes()
    first.unlink()
    os.utime(second, ns=(1, 1))
    with pytest.raises(LinesUnnumbered, match=r"raw/websocket/a\.jsonl, whose lines it holds, is gone"):
        yard.bring_in()
    assert lines_of(day.path) == before
    first.write_bytes(content)
    yard.bring_in()
    assert lines_of(yard.raw().path) == before
    assert [file for file, _ in origins_of(yard.raw())] == ["raw/websocket/a.jsonl", "raw/websocket/b.jsonl"]


def trades(*numbers: int, price: str = "42000.10", symbol: str = BTC, day: int = 0) -> bytes:
    """Lines of aggregate trades, one a second."""
    start = MIDNIGHT_MS + day * DAY_MS
    messages = ((number, start + (number - 1000) * 1_000) for number in numbers)
    return b"".join(line(agg_trade(number, ms, p=price, symbol=symbol), received(ms)) for number, ms in messages)


def ids_in(yard: Yard, day: date = DAY) -> list[int]:
    return [int(text.split(b'"a":')[1].split(b",")[0]) for text in lines_of(yard.raw(day=day).path)]


def test_files_of_one_day_are_joined_in_the_order_of_their_names(yard: Yard) -> None:
    yard.drop("b.jsonl", trades(1003, 1004))
    yard.bring_in()
    yard.drop("a.jsonl", trades(1001, 1002))
    yard.drop("c.jsonl", trades(1005))
    yard.bring_in()
    assert ids_in(yard) == [1001, 1002, 1003, 1004, 1005]
    assert origins_of(yard.raw())[2:] == [
        ("raw/websocket/b.jsonl", 1),
        ("raw/websocket/b.jsonl", 2),
        ("raw/websocket/c.jsonl", 1),
    ]
    assert yard.raw().origin_starts() == [2, 4]
    verified(yard.raw())


@pytest.mark.parametrize("in_place", [False, True])
def test_a_changed_file_replaces_its_own_lines_and_no_others(yard: Yard, in_place: bool) -> None:
    for name, numbers in {"a": (1001, 1002), "b": (1003,), "c": (1004,)}.items():
        yard.drop(f"{name}.jsonl", trades(*numbers))
        yard.bring_in(in_place=in_place)
    yard.drop("b.jsonl", trades(1010, 1011, 1012))
    yard.bring_in(in_place=in_place)
    assert ids_in(yard) == [1001, 1002, 1010, 1011, 1012, 1004]
    assert [number for _, number in origins_of(yard.raw())] == [1, 2, 1, 2, 3, 1]


def test_a_file_that_grows_gives_its_new_lines_too(yard: Yard) -> None:
    yard.drop("a.jsonl", trades(1001, 1002)[:-40])
    assert yard.bring_in(in_place=True).unplaced == {"truncated_tail": 1}
    yard.drop("a.jsonl", trades(1001, 1002, 1003))
    assert not yard.bring_in(in_place=True).unplaced
    assert ids_in(yard) == [1001, 1002, 1003]
    assert not yard.places.line_rejects(FEED, "raw/websocket/a.jsonl").exists()


def test_a_day_that_a_changed_file_does_not_hold_any_more_is_gone(yard: Yard) -> None:
    yard.drop("a.jsonl", trades(1001) + trades(1002, day=1))
    yard.bring_in()
    yard.drop("a.jsonl", trades(1002, day=1))
    yard.bring_in()
    assert raw.raw_day(yard.places, FEED, RawKey("aggTrade", BTC, DAY)) is None
    assert ids_in(yard, NEXT_DAY) == [1002]
    assert not [name for name in yard.files("data", "raw", FEED) if str(DAY) in name]


def test_one_more_symbol_reads_the_file_again_for_it(yard: Yard) -> None:
    yard.drop("capture.jsonl", CLEAN)
    first = yard.bring_in([BTC])
    assert first.unknown_symbols == {ETH: 140}
    before = yard.files("data", "raw", FEED, "aggTrade", BTC)
    both = yard.bring_in([BTC, ETH])
    assert len(both.read) == 1
    assert yard.raw(symbol=ETH).manifest.lines == 20
    assert yard.files("data", "raw", FEED, "aggTrade", BTC) == before
    assert len(yard.bring_in([BTC]).known) == 1


def test_one_more_channel_reads_the_file_again_for_it(yard: Yard) -> None:
    yard.drop("capture.jsonl", CLEAN)
    yard.bring_in(channels=["aggTrade"])
    assert len(yard.bring_in(channels=["aggTrade", "markPrice"]).read) == 1
    assert yard.raw("markPrice").manifest.lines == 120
    assert raw.raw_day(yard.places, FEED, RawKey("trade", BTC, DAY)) is None


def test_raw_days_that_were_deleted_are_made_again(yard: Yard) -> None:
    yard.drop("capture.jsonl", CLEAN)
    yard.bring_in()
    before = yard.files("data")
    for path in yard.places.raw_folder(FEED, "aggTrade", BTC).files():
        path.unlink()
    assert len(raw.waiting_files(yard.places, FEED, yard.landed(), [], [])) == 1
    yard.bring_in()
    assert yard.files("data") == before


# ---------------------------------------------------------------- in place


def test_a_file_of_one_symbol_and_day_is_not_copied(yard: Yard) -> None:
    landed = yard.drop("capture.jsonl", trades(*range(1000, 1100)) + line(mark_price(BAD_MS), received(BAD_MS)))
    yard.bring_in(in_place=True)
    for channel in ("aggTrade", "markPrice"):
        assert yard.raw(channel).path == landed
        assert yard.raw(channel).manifest.stored == "in_place"
        verified(yard.raw(channel))
    assert not list(yard.places.home.rglob("*.zst"))
    assert yard.raw("markPrice").manifest.first_local_ns == received(BAD_MS)


@pytest.mark.parametrize("other", [trades(1, symbol=ETH), trades(1001, day=1), trades(7, symbol="XRPUSDT")])
def test_a_file_of_more_than_that_is_copied(yard: Yard, other: bytes) -> None:
    yard.drop("capture.jsonl", trades(1000) + other)
    yard.bring_in(in_place=True)
    assert yard.raw().manifest.stored == "copy"


def test_a_file_read_in_place_that_has_changed_or_gone_is_not_trusted(yard: Yard) -> None:
    landed = yard.drop("capture.jsonl", trades(1000))
    yard.bring_in(in_place=True)
    landed.write_bytes(trades(1000, 1001))
    with pytest.raises(RawDamaged, match="bytes as in its manifest"):
        yard.raw()
    landed.unlink()
    with pytest.raises(RawDamaged, match="gone"):
        yard.raw()


def test_a_second_file_of_the_day_joins_one_that_was_read_in_place(yard: Yard) -> None:
    yard.drop("b.jsonl", b"\n" + trades(1002))
    yard.bring_in(in_place=True)
    yard.drop("a.jsonl", trades(1001))
    yard.bring_in(in_place=True)
    assert yard.raw().manifest.stored == "copy"
    assert ids_in(yard) == [1001, 1002]
    assert origins_of(yard.raw()) == [("raw/websocket/a.jsonl", 1), ("raw/websocket/b.jsonl", 2)]


@pytest.mark.parametrize(
    "name", ["clean", "exact duplicates", "shuffled", "BOM", "gzip", "price is zero", "invalid UTF-8"]
)
def test_in_place_and_copied_give_equal_frames(tmp_path: Path, name: str) -> None:
    variant = VARIANTS[name if name in VARIANTS else "a BOM"]
    data = b"".join(lines_of(_file(tmp_path, variant.data)))
    only_btc = b"".join(text for text in data.splitlines(keepends=True) if b"ETHUSDT" not in text)
    digests = []
    for in_place in (True, False):
        yard = Yard(tmp_path / str(in_place))
        yard.drop("capture.jsonl", only_btc)
        yard.bring_in(in_place=in_place)
        assert yard.raw().manifest.stored == ("in_place" if in_place else "copy")
        digests.append(
            {
                channel: {n: done.verdict.content_digest for n, done in yard.normalize(channel).items()}
                for channel in ("aggTrade", "trade", "markPrice")
            }
        )
    assert digests[0] == digests[1]


def _file(folder: Path, data: bytes) -> Path:
    path = folder / "any"
    path.write_bytes(data)
    return path


# ---------------------------------------------------------------- manifest


def test_a_manifest_says_where_its_lines_came_from(yard: Yard) -> None:
    landed = yard.drop("capture.jsonl", CLEAN)
    yard.bring_in()
    manifest: dict[str, Any] = plain(yard.raw().manifest)
    assert manifest["feed"] == FEED
    assert (manifest["channel"], manifest["symbol"], manifest["date"]) == ("aggTrade", BTC, "2024-01-01")
    assert manifest["first_local_ns"] == received(MIDNIGHT_MS + 5_000)
    origin = manifest["origin"][0]
    assert (origin["path"], origin["bytes"]) == ("raw/websocket/capture.jsonl", landed.stat().st_size)
    assert origin["by_stream"] == {
        "aggTrade": 60,
        "bookTicker": 1,
        "depthSnapshot": 1,
        "depthUpdate": 1,
        "forceOrder": 1,
        "kline": 1,
        "markPriceUpdate": 240,
        "rest": 1,
        "trade": 30,
    }
    assert (origin["connection"], origin["blank"], origin["unreadable"]) == (1, 1, 0)
    assert origin["decimals"] == {"price": [2, 1], "size": [3, 3]}
    assert landed.read_bytes() == CLEAN


def test_a_connection_line_marks_when_the_last_message_before_it_came(yard: Yard) -> None:
    wss = b"wss://fstream.binance.com <-> 1704067200.1\n"
    yard.drop(
        "capture.jsonl", wss + trades(1000, 1001) + wss + b"<- subscribed\n" + trades(1100) + trades(1101, symbol=ETH)
    )
    yard.bring_in()
    assert yard.raw().manifest.disconnects_ns == [received(MIDNIGHT_MS + 1_000)]


# ---------------------------------------------------------------- many days, little memory


@pytest.fixture
def few_open_files() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(list(Path("/proc/self/fd").iterdir())) + 60, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.slow
@pytest.mark.usefixtures("few_open_files")
def test_many_symbols_and_days_in_one_file_need_few_open_files(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    with_blocks_of(20_000, monkeypatch)
    symbols = [f"S{number}USDT" for number in range(10)]
    data = b"".join(trades(1000, 1001, symbol=symbol, day=day) for day in range(16) for symbol in symbols)
    late = b"".join(trades(1002, symbol=symbol) for symbol in symbols)
    yard.drop("capture.jsonl", data + late)
    report = yard.bring_in(symbols)
    assert len(report.days) == 160
    assert {yard.raw(symbol=symbol).manifest.lines for symbol in symbols} == {3}
    last = yard.raw(symbol=symbols[-1], day=DAY + timedelta(days=15))
    assert [number for _, number in origins_of(last)] == [319, 320]
    verified(yard.raw(symbol=symbols[0]))


_MEASURED = """
import resource, sys
from pathlib import Path
from hedgegrid_assets_tests.yard import Yard
for name in sys.argv[1:]:
    yard = Yard(Path(name))
    yard.bring_in()
    yard.normalize()
    print(yard.verdict()["rows"]["out"], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    one = trades(1000).replace(b'"a":1000', b'"a":%d')
    yards = {rows: Yard(tmp_path / str(rows)) for rows in (100_000, 400_000)}
    for rows, yard in yards.items():
        yard.drop("capture.jsonl", b"".join(one % number for number in range(rows)) + trades(1, symbol=ETH))
    command = [sys.executable, "-c", _MEASURED, *(str(yard.root) for yard in yards.values())]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (few, before), (many, after) = (map(int, text.split()) for text in done.stdout.splitlines())
    assert (few, many) == (100_000, 400_000)
    assert after < before + 100


# ---------------------------------------------------------------- killed in the middle


class Killed(BaseException):
    """Stands for kill -9: nothing catches it on its way."""


def kill_at(publication: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Die when the n-th file is about to appear under its final name."""
    seen = 0
    replace = Path.replace

    def dying(self: Path, target: Path) -> Path:
        nonlocal seen
        seen += 1
        if seen == publication:
            raise Killed
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", dying)


@pytest.mark.parametrize("publication", range(1, 9))
def test_after_a_kill_at_any_moment_the_next_import_makes_all_good(
    tmp_path: Path, publication: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepared(name: str) -> Yard:
        yard = Yard(tmp_path / name)
        yard.drop("a.jsonl", trades(1001, 1002) + trades(1, symbol=ETH))
        yard.drop("z.jsonl", trades(1008, 1009))
        yard.bring_in()
        yard.drop("a.jsonl", trades(1001, 1002, 1003, 1004) + trades(1, 2, symbol=ETH))
        return yard

    wanted = prepared("undisturbed")
    wanted.bring_in()
    yard = prepared("killed")
    with monkeypatch.context() as patch:
        kill_at(publication, patch)
        with contextlib.suppress(Killed):
            yard.bring_in()
    yard.bring_in()
    assert yard.files("data", "raw", FEED) == wanted.files("data", "raw", FEED)
    verified(yard.raw())


_SLOWLY = """
import os, sys
from pathlib import Path
from hedgegrid_assets_tests.yard import Yard
replace = Path.replace
def slowly(self, target):
    print("publishing", flush=True)
    sys.stdin.readline()
    return replace(self, target)
Path.replace = slowly
Yard(Path(sys.argv[1])).bring_in()
"""


@pytest.mark.slow
def test_a_real_kill_leaves_no_half_file_under_a_final_name(yard: Yard) -> None:
    yard.drop("capture.jsonl", CLEAN)
    process = subprocess.Popen(
        [sys.executable, "-c", _SLOWLY, str(yard.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin
    assert process.stdout
    for _ in range(3):
        process.stdout.readline()
        process.stdin.write("\n")
        process.stdin.flush()
    process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    for path in yard.places.raw_folder(FEED, "aggTrade", BTC).glob("*.parquet"):
        pq.read_table(path)
    assert list(yard.places.raw_temp(FEED).rglob("*.part"))
    report = yard.bring_in()
    assert len(report.read) == 1
    assert yard.raw().manifest.lines == len(BTC_IDS)
    assert not list(yard.places.raw_temp(FEED).rglob("*.part"))


def test_a_landing_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="nothing-here"):
        list(BlockReader(tmp_path / "nothing-here"))
