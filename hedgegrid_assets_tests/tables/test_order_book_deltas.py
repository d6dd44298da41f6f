"""Order books from Tardis: events by arrival, cleared once a snapshot; where Nautilus' own loader is right, equal to it."""

import gzip
import json
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from random import Random
from typing import Any, Final

import polars as pl
import pytest
from nautilus_trader.adapters.tardis.loaders import TardisCSVDataLoader
from nautilus_trader.model.data import OrderBookDelta
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from hedgegrid_assets.cli import run
from hedgegrid_assets.inspect.charts import day_series
from hedgegrid_assets.inspect.report import packed_chart
from hedgegrid_assets.inspect.validation import validate_catalog
from hedgegrid_assets.model import InstrumentDay
from hedgegrid_assets.stages.verdict import read_verdict
from hedgegrid_assets.store import Places, plain
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets_tests.nautilus2 import WITH_NAUTILUS_2, asked
from hedgegrid_assets_tests.scenario import MIDNIGHT_MS

pytestmark = pytest.mark.usefixtures("workdir")

ID: Final = "BTCUSDT-PERP.BINANCE"
HEAD: Final = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount"
CACHED: Final = Path("cache/datasets/binance-futures_incremental_book_L2_2024-01-01_BTCUSDT.csv.gz")
DERIBIT: Final = Path(__file__).parents[3] / "shared/data/tardis/deribit_incremental_book_L2_BTC-PERPETUAL.csv"

type Values = tuple[str, str, str, str, int, int, int]
type Row = tuple[int, int, str, str, str, str]
"""(exchange time and arrival in ms of the day, is_snapshot, side, price, amount)."""


def text_of(rows: Iterable[Row]) -> str:
    lines = [
        f"binance-futures,BTCUSDT,{MIDNIGHT_MS + at}000,{MIDNIGHT_MS + arrived}000,{','.join(cells)}"
        for at, arrived, *cells in rows
    ]
    return "".join(f"{line}\n" for line in [HEAD, *lines])


def fetched(rows: Iterable[Row], *more: str, quiet: bool = True) -> int:
    """What a data set of Tardis that is in the cache becomes."""
    CACHED.parent.mkdir(parents=True, exist_ok=True)
    CACHED.write_bytes(gzip.compress(text_of(rows).encode(), mtime=0))
    defined = {"BTCUSDT": {"price_precision": 1, "size_precision": 3, "mark_precision": 8}}
    Path("t.json").write_text(json.dumps({"cache_dir": "cache", "instruments": defined}))
    days = ["--start", "2024-01-01", "--end", "2024-01-02", "--config", "t.json", "--data-types", "deltas"]
    more = (*more, "-q") if quiet else more
    return run(["replay-to-parquet", "--source", "tardis", "--symbol", "BTCUSDT", *days, *more])


def again(text: str) -> int:
    """The same with another text in the cache."""
    CACHED.write_bytes(gzip.compress(text.encode(), mtime=0))
    days = ["--start", "2024-01-01", "--end", "2024-01-02", "--config", "t.json", "--data-types", "deltas", "-q"]
    return run(["replay-to-parquet", "--source", "tardis", "--symbol", "BTCUSDT", *days, "--force"])


def loaded(rows: Iterable[Row]) -> list[OrderBookDelta]:
    """As Nautilus' own loader reads the file."""
    path = Path("theirs.csv")
    path.write_text(text_of(rows))
    loader = TardisCSVDataLoader(price_precision=1, size_precision=3, instrument_id=InstrumentId.from_str(ID))
    return list(loader.load_deltas(path))


def ours() -> list[OrderBookDelta]:
    return list(ParquetDataCatalog(str(Path("data/catalog").resolve())).order_book_deltas(instrument_ids=[ID]))


def values(deltas: Sequence[OrderBookDelta], *, snapshot_flag: bool = False) -> list[Values]:
    """Action, side, price, size, flags and times; the flag of snapshots, which the loader never sets on levels, if asked."""
    return [
        (
            delta.action.name,
            delta.order.side.name,
            f"{delta.order.price.as_decimal().normalize():f}",
            f"{delta.order.size.as_decimal().normalize():f}",
            delta.flags if snapshot_flag or delta.action.name == "CLEAR" else delta.flags & ~32,
            delta.ts_event,
            delta.ts_init,
        )
        for delta in deltas
    ]


def told(deltas: Sequence[OrderBookDelta]) -> list[str]:
    """Action, price, size and flags, shortly."""
    return [f"{each[0]} {each[2]} {each[3]} {each[4]}" for each in values(deltas, snapshot_flag=True)]


def verdict() -> Any:
    places = Places(Path("data"), Path("data/catalog"))
    found = read_verdict(places, TABLES["order_book_deltas"], InstrumentDay(ID, date(2024, 1, 1)))
    assert found is not None
    return plain(found)


def rule(name: str) -> Any:
    return next(answer for answer in verdict()["rules"] if answer["name"] == name)


def snapshot(at: int, arrived: int, bid: str = "9", ask: str = "11") -> list[Row]:
    return [(at, arrived, "true", "bid", bid, "1"), (at, arrived, "true", "ask", ask, "2")]


def update(at: int, arrived: int, *levels: tuple[str, str, str]) -> list[Row]:
    return [(at, arrived, "false", *level) for level in levels]


def walk(rows: int, *, seed: int = 7) -> list[Row]:
    """A market that walks, with a snapshot at its start and some later ones."""
    rng, made, at, mid = Random(seed), snapshot(0, 1), 10, 420_000
    while len(made) < rows:
        at, mid = at + rng.randint(1, 40), mid + rng.choice((-1, 0, 0, 1))
        if rng.random() < 0.01:
            made += snapshot(at, at + 3, f"{(mid - 1) / 10}", f"{(mid + 1) / 10}")
            continue
        for _ in range(rng.randint(1, 20)):
            side, away = rng.choice((("bid", -1), ("ask", 1))), rng.randint(1, 99)
            amount = rng.choice(("0", "0.0", f"{rng.randint(1, 9_999) / 1_000}"))
            made.append((at, at + 3, "false", side[0], f"{(mid + side[1] * away) / 10}", amount))
    return made


# ---------------------------------------------------------------- where both are right


def test_a_file_becomes_what_nautilus_own_loader_makes_of_it_but_for_the_flag_of_snapshots() -> None:
    rows = walk(4_000)
    assert fetched(rows) == 0
    assert values(ours()) == values(loaded(rows))
    assert all(delta.flags & 32 for delta in ours() if delta.action.name in {"ADD", "CLEAR"})
    assert validate_catalog("data/catalog", deep=True).ok


@pytest.mark.skipif(not DERIBIT.exists(), reason="needs ../shared/data")
def test_the_head_of_a_real_file_is_read_as_nautilus_reads_it() -> None:
    text = DERIBIT.read_text().splitlines()[1:]
    stamp = MIDNIGHT_MS * 1_000 - 1_585_699_200_000_000
    rows: list[Row] = []
    for line in text:
        _, _, at, arrived, *cells = line.split(",")
        times = [(int(time) + stamp) // 1_000 - MIDNIGHT_MS for time in (at, arrived)]
        rows.append((times[0], times[1], cells[0], cells[1], cells[2], cells[3]))
    assert fetched(rows) == 0
    assert len(ours()) == len(rows) + 1 == 16
    assert values(ours()) == values(loaded(rows))


def test_a_delta_takes_six_bytes_at_most(tmp_path: Path) -> None:
    assert fetched(walk(60_000)) == 0
    (file,) = (tmp_path / "data/catalog/data/order_book_deltas").rglob("*.parquet")
    assert file.stat().st_size / len(ours()) < 6


# ---------------------------------------------------------------- where the loader is not


def test_messages_of_one_exchange_time_are_events_of_their_own() -> None:
    rows = [*snapshot(0, 1), *update(5, 6, ("bid", "9", "3")), *update(5, 8, ("bid", "8", "4"))]
    assert fetched(rows) == 0
    assert told(ours())[3:] == ["UPDATE 9 3 128", "UPDATE 8 4 128"]
    assert [each.flags for each in loaded(rows)][3:] == [0, 128]


def test_a_message_of_two_exchange_times_is_one_event() -> None:
    rows = [*snapshot(0, 1), *update(5, 8, ("bid", "9", "3")), *update(6, 8, ("bid", "8", "4"))]
    assert fetched(rows) == 0
    assert told(ours())[3:] == ["UPDATE 9 3 0", "UPDATE 8 4 128"]
    assert [each.flags for each in loaded(rows)][3:] == [128, 128]


def test_a_snapshot_of_two_exchange_times_is_cleared_for_once() -> None:
    rows = [(0, 5, "true", "bid", "9", "1"), (1, 5, "true", "ask", "11", "2")]
    assert fetched(rows) == 0
    assert told(ours()) == ["CLEAR 0 0 32", "ADD 9 1 32", "ADD 11 2 160"]
    assert [each.action.name for each in loaded(rows)].count("CLEAR") == 2


def test_two_snapshots_of_one_exchange_time_are_each_cleared_for() -> None:
    rows = [*snapshot(0, 1), *snapshot(0, 7, "8", "12")]
    assert fetched(rows) == 0
    assert [text.split()[0] for text in told(ours())] == ["CLEAR", "ADD", "ADD"] * 2
    assert [each.action.name for each in loaded(rows)].count("CLEAR") == 1


def test_every_event_ends_also_where_the_loader_forgets_it_as_it_streams() -> None:
    rows = [*snapshot(0, 1), *update(5, 6, ("bid", "9", "3"), ("bid", "8", "4"))]
    assert fetched(rows) == 0
    assert [each.flags for each in ours()] == [32, 32, 160, 0, 128]
    assert [each.flags for each in loaded(rows)] == [32, 0, 128, 0, 128]
    loader = TardisCSVDataLoader(price_precision=1, size_precision=3, instrument_id=InstrumentId.from_str(ID))
    for size, theirs in ((3, [32, 0, 0, 0, 128]), (5, [32, 0, 128, 0, 0])):
        chunks = loader.stream_deltas(Path("theirs.csv"), chunk_size=size)
        assert [each.flags for chunk in chunks for each in chunk] == theirs


@WITH_NAUTILUS_2
def test_nautilus_2_reads_what_we_read_but_for_the_flag_of_snapshots(tmp_path: Path) -> None:
    rows = [
        *update(0, 1, ("bid", "9.5", "1")),  # before any snapshot
        *snapshot(2, 3),
        *update(5, 6, ("bid", "9", "3")),
        *update(5, 8, ("bid", "8", "0"), ("ask", "11", "0.4")),  # of one exchange time
        *((6, 9, "true", "bid", "9", "1"), (7, 9, "true", "ask", "11", "2")),  # a snapshot of two
        *snapshot(7, 10),
        *update(12, 14, ("bid", "7", "1")),
        *snapshot(12, 16),
        *((row[0] + 50, row[1] + 50, *row[2:]) for row in walk(4_000, seed=11)),
    ]
    assert fetched(rows) == 0
    Path("theirs.csv").write_text(text_of(rows))
    case = {"file": str(Path("theirs.csv").resolve()), "instrument_id": ID}
    theirs = asked("tardis_deltas", case, tmp_path / "answer.json")
    assert [list(each) for each in values(ours())] == theirs
    assert {each.flags & 32 for each in ours() if each.action.name == "ADD"} == {32}


def test_updates_before_the_first_snapshot_are_counted_and_left_out() -> None:
    early = update(1, 2, ("bid", "9.5", "1"), ("bid", "9.4", "1"))
    rows = [*early, *update(3, 4, ("ask", "9.2", "1")), *snapshot(5, 6), *update(7, 8, ("bid", "9", "0"))]
    assert fetched(rows) == 0
    assert told(ours()) == ["CLEAR 0 0 32", "ADD 9 1 32", "ADD 11 2 160", "DELETE 9 0 128"]
    assert rule("rows_conserved")["numbers"]["reshaped"] == {"before_snapshot": -3, "clears": 1}
    assert rule("starts_with_snapshot")["numbers"]["before_snapshot"] == -3
    assert loaded(rows)[0].action.name == "UPDATE"


def test_an_update_of_the_exchange_time_of_the_snapshot_behind_it_ends_its_event() -> None:
    rows = [*snapshot(0, 1), *update(5, 6, ("bid", "9", "3")), *snapshot(5, 9)]
    assert fetched(rows) == 0
    assert told(ours())[3:5] == ["UPDATE 9 3 128", "CLEAR 0 0 32"]
    assert loaded(rows)[3].flags == 0


def test_the_last_event_ends_wherever_a_file_is_cut_into_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = walk(3_000, seed=3)
    assert fetched(rows) == 0
    expected = values(ours(), snapshot_flag=True)
    assert expected[-1][4] & 128
    monkeypatch.setattr("hedgegrid_assets.store.blocks.BLOCK_BYTES", 2_000)
    assert fetched(rows, "--output", "small", "--force") == 0
    found = ParquetDataCatalog(str(Path("small").resolve())).order_book_deltas(instrument_ids=[ID])
    assert values(list(found), snapshot_flag=True) == expected


# ---------------------------------------------------------------- what a book may be


def test_a_day_without_a_snapshot_is_kept_and_said_so() -> None:
    rows = [row for at in range(0, 86_400_000, 50_000) for row in update(at, at + 1, ("bid", "9", "3"))]
    assert fetched(rows) == 0
    assert len(ours()) == len(rows)
    assert (rule("starts_with_snapshot")["passed"], verdict()["status"]) == (False, "degraded")


def test_a_crossed_book_is_told_with_its_rows_and_degrades_the_day() -> None:
    rows = [*snapshot(0, 1), *update(5, 6, ("bid", "11.5", "1")), *update(9, 10, ("bid", "11.5", "0"))]
    rows += [row for at in range(20, 86_400_000, 50_000) for row in update(at, at + 1, ("bid", "9", "3"))]
    assert fetched(rows) == 0
    numbers = rule("book_not_crossed")["numbers"]
    assert (numbers["crossed"], numbers["locked"], numbers["first_bad_raw_rows"]) == (1, 0, [3])
    assert verdict()["status"] == "degraded"


def test_a_book_that_is_crossed_inside_a_message_only_is_fine() -> None:
    rows = [*snapshot(0, 1), *update(5, 6, ("bid", "11.5", "1"), ("ask", "11", "0"), ("ask", "12", "1"))]
    assert fetched(rows) == 0
    assert rule("book_not_crossed")["numbers"] == {
        "crossed": 0, "events": 2, "levels": 3, "locked": 0, "unknown_deletes": 0
    }  # fmt: skip


def test_a_snapshot_that_contradicts_the_book_is_told() -> None:
    assert fetched([*snapshot(0, 1), *snapshot(5, 6), *snapshot(8, 9, "8.5", "12.5")]) == 0
    assert rule("snapshots_agree")["numbers"] == {"least_agreeing": 0.0, "snapshots": 2, "threshold": 0.9}
    assert fetched([*snapshot(0, 1), *snapshot(5, 6)], "--force") == 0
    assert rule("snapshots_agree")["passed"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ((5, 6, "TRUE", "bid", "9", "1"), "wrong_type"),
        ((5, 6, "false", "buy", "9", "1"), "wrong_type"),
        ((5, 6, "false", "bid", "", "1"), "missing_field"),
        ((5, 6, "false", "bid", "9", "-1"), "negative"),
        ((5, 6, "false", "bid", "x", "1"), "bad_decimal"),
    ],
)
def test_a_row_that_can_be_no_level_is_rejected_with_its_reason(row: Row, reason: str) -> None:
    assert fetched([*snapshot(0, 1), row, *update(7, 8, ("bid", "9", "2"))]) == 0
    assert verdict()["rejects_by_reason"] == {reason: 1}
    assert len(ours()) == 4


def test_a_snapshot_that_is_crossed_in_itself_is_told() -> None:
    assert fetched([*snapshot(0, 1, "12", "11"), *update(5, 6, ("bid", "12", "0"))]) == 0
    assert rule("book_not_crossed")["numbers"]["crossed"] == 1


def test_levels_finer_than_the_instrument_keep_the_day_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert fetched([*snapshot(0, 1), *update(5, 6, ("bid", "9.05", "1"))]) == 1
    assert "widen" in capsys.readouterr().err
    assert not list(Path("data/catalog/data").rglob("order_book_deltas/*/*.parquet"))


def test_a_stamp_in_nanoseconds_is_the_moment_that_it_names() -> None:
    rows = [*snapshot(0, 1), *update(5, 6, ("bid", "9", "3"))]
    us, ns = (f"{MIDNIGHT_MS + 5}000,{MIDNIGHT_MS + 6}000{more}," for more in ("", "000"))
    assert fetched(rows) == 0
    expected = values(ours())
    text = text_of(rows).replace(us, ns.replace("000,", "000000,", 1))
    assert text != text_of(rows)
    assert again(text) == 0
    assert values(ours()) == expected


def test_a_venue_that_sends_snapshots_only_is_cleared_for_with_each() -> None:
    rows = [row for at in range(0, 3_000, 100) for row in snapshot(at, at + 1)]
    assert fetched(rows) == 0
    assert [text.split()[0] for text in told(ours())] == ["CLEAR", "ADD", "ADD"] * 30
    assert rule("snapshots_agree")["numbers"]["snapshots"] == 29
    assert rule("rows_conserved")["numbers"]["reshaped"] == {"clears": 30}


def test_rows_of_another_symbol_in_the_file_are_not_taken_for_the_one_that_was_asked_for() -> None:
    rows = [*snapshot(0, 1), *update(5, 6, ("bid", "9", "3"))]
    assert fetched(rows) == 0
    expected = values(ours())
    rows.insert(2, (3, 4, "false", "bid", "1", "1"))
    text = text_of(rows).replace(f"BTCUSDT,{MIDNIGHT_MS + 3}000", f"ETHUSDT,{MIDNIGHT_MS + 3}000")
    assert again(text) == 0
    assert values(ours()) == expected
    assert verdict()["rejects_by_reason"] == {"other_symbol": 1}


def test_rows_that_came_out_of_order_are_sorted_before_events_are_made_of_them() -> None:
    rows = [*snapshot(0, 1), *update(9, 10, ("bid", "9", "3")), *update(5, 6, ("bid", "8", "4"))]
    assert fetched(rows) == 0
    assert told(ours())[3:] == ["UPDATE 8 4 128", "UPDATE 9 3 128"]
    assert rule("nothing_cleaned")["numbers"]["out_of_order"] == 1


def test_rows_that_come_late_when_much_is_made_already_are_sorted_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    early = [row for at in range(40) for row in update(at, at, ("bid", f"{1 + at / 10}", "1"))]
    rows = [*early, *((row[0] + 50, row[1] + 50, *row[2:]) for row in walk(3_000, seed=5))]
    whole = [number for number in range(1, len(rows)) if rows[number][1] != rows[number - 1][1]]
    first, last = (next(number for number in whole if number > least) for least in (2_000, 2_500))
    late = [*rows[:first], *rows[last:], *rows[first:last]]
    assert fetched(rows) == 0
    expected = values(ours(), snapshot_flag=True)
    monkeypatch.setattr("hedgegrid_assets.store.blocks.BLOCK_BYTES", 4_000)
    monkeypatch.setattr("hedgegrid_assets.stages.frames.ROW_GROUP", 512)
    assert fetched(late, "--output", "late", "--force") == 0
    found = ParquetDataCatalog(str(Path("late").resolve())).order_book_deltas(instrument_ids=[ID])
    assert values(list(found), snapshot_flag=True) == expected
    numbers = json.loads(next(Path("late").rglob("order_book_delta.verdict/*.json")).read_text())
    answers = {answer["name"]: answer["numbers"] for answer in numbers.get("held", numbers)["rules"]}
    assert answers["rows_conserved"]["reshaped"]["before_snapshot"] == -40
    assert answers["nothing_cleaned"]["out_of_order"] > 0


def test_every_command_that_shows_a_catalog_knows_books(capsys: pytest.CaptureFixture[str]) -> None:
    assert fetched(walk(300)) == 0
    assert run(["validate", "data/catalog", "--deep", "--table", "deltas"]) == 0
    assert run(["report", "data/catalog", "--output", "r.html", "-q"]) == 0
    capsys.readouterr()
    assert run(["trace", ID, "deltas", "2024-01-01T00:00:00.001Z", "--json"]) == 0
    steps = json.loads(capsys.readouterr().out)["steps"]
    assert steps["raw"]["columns"]["price"] == ["price"]


def test_what_is_good_of_a_book_is_told_as_well_and_the_same_on_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    changed = update(1_000, 1_100, ("bid", "9", "0"), ("bid", "9.5", "2"))
    assert fetched([*snapshot(0, 100), *changed, *snapshot(2_000, 2_100)]) == 0
    assert run(["validate", "data/catalog"]) == 0
    said = "3 messages, without numbers, 0 times crossed, 0 times locked"
    drift = ", largest drift 50.0% at 1 further snapshot"
    assert f"{said}{drift}, spread 1.5 to 2.0" in " ".join(capsys.readouterr().out.split())
    assert run(["report", "data/catalog", "--output", "page.html"]) == 0
    assert f"{said}{drift}" in Path("page.html").read_text()


def test_a_picture_of_a_book_shows_its_best_prices_its_spread_and_its_depth() -> None:
    rows = [*snapshot(0, 1), *update(30_000, 30_001, ("bid", "9.5", "4")), *update(61_000, 61_001, ("bid", "9.5", "0"))]
    assert fetched([*rows, *update(119_000, 119_001, ("ask", "11", "5"))]) == 0
    day = InstrumentDay(ID, date(2024, 1, 1))
    path = Path(f"data/catalog/{ID}/order_book_delta.parquet/2024-01-01.parquet")
    series = day_series(path, TABLES["order_book_deltas"], day, buckets=2)
    assert series is not None
    assert (series.low.tolist(), series.high.tolist(), series.last.tolist()) == ([9, 9], [11, 11], [10.25, 10])
    spread, depth = series.more
    assert (spread.low.tolist(), spread.high.tolist()) == ([1.5, 2], [2, 2])
    assert depth.line.tolist() == [7, 6]
    assert packed_chart(series)["more"][0] == ["spread", [1.5, 2.0], 1.5, 1.875, 2.0]


def test_a_picture_of_a_book_shows_how_much_of_a_new_snapshot_it_had() -> None:
    later = snapshot(90_000, 90_001, bid="8.5")
    assert fetched([*snapshot(0, 1), *later, *update(119_000, 119_001, ("ask", "11", "5"))]) == 0
    day = InstrumentDay(ID, date(2024, 1, 1))
    path = Path(f"data/catalog/{ID}/order_book_delta.parquet/2024-01-01.parquet")
    series = day_series(path, TABLES["order_book_deltas"], day, buckets=2)
    assert series is not None
    *_, agreeing = series.more
    assert agreeing.word.endswith("% that the book had")
    assert agreeing.line.tolist()[1] == 100 * float(rule("snapshots_agree")["numbers"]["least_agreeing"])


def test_it_is_told_why_other_rows_of_a_book_are_stored_than_came(capsys: pytest.CaptureFixture[str]) -> None:
    assert fetched([*update(0, 1, ("bid", "9", "4"), ("bid", "8", "1")), *snapshot(10, 11)], quiet=False) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert (
        "rows of order_book_deltas: +1 that clear the book for a snapshot, -2 before the first snapshot: left out"
        in told
    )
    assert run(["report", "data/catalog", "--output", "r.html", "-q"]) == 0
    assert '[-2,"before the first snapshot: left out"]' in Path("r.html").read_text()


def test_a_frame_says_which_level_each_row_is() -> None:
    assert fetched(walk(300)) == 0
    (path,) = Path(f"data/catalog/{ID}/order_book_delta.parquet").glob("*.parquet")
    frame = pl.read_parquet(path)
    assert set(frame["action"].unique()) == {"CLEAR", "ADD", "UPDATE", "DELETE"}
    assert isinstance(frame.schema["price"], pl.Decimal)
