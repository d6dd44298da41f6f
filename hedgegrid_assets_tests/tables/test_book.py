"""The book that a day's rows make, by columns: what a loop over the rows makes of them, however they are cut."""

from datetime import date
from typing import Any, Final

import numpy as np
import polars as pl
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict

from hedgegrid_assets.model import Held, Rows, Thresholds
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets.tables.rules.book import Book, BookFound, BookState, packed, unpacked

DELTAS: Final = TABLES["order_book_deltas"]
LAST: Final = 128
TOP: Final = 25

type Row = tuple[str, str, int, int, bool]
"""(action, side, price, size, the last one of its event)."""

_SETS: Final = st.tuples(
    st.sampled_from(["ADD", "UPDATE"]),
    st.sampled_from(["BUY", "SELL"]),
    st.integers(1, 12),
    st.integers(1, 3),
    st.booleans(),
)
_DELETES: Final = st.tuples(
    st.just("DELETE"), st.sampled_from(["BUY", "SELL"]), st.integers(1, 12), st.just(0), st.booleans()
)
_CLEARS: Final = st.just(("CLEAR", "NO_ORDER_SIDE", 0, 0, False))
MANY: Final = st.lists(st.one_of(_SETS, _SETS, _SETS, _DELETES, _CLEARS), max_size=60)
FAR_APART: Final[list[Row]] = [
    ("ADD", "BUY", 1, 1, True),
    ("ADD", "SELL", 2**61, 1, True),
    ("ADD", "BUY", 2**61, 2, True),
    ("DELETE", "BUY", 2**61, 0, True),
]


def frame(rows: list[Row]) -> pl.DataFrame:
    names = ("action", "side", "price", "size")
    made = pl.DataFrame([row[:4] for row in rows], schema=dict.fromkeys(names), orient="row", strict=False)
    kinds = {column.name: column.dtype for column in DELTAS.columns}
    return made.select(
        pl.col("action").cast(kinds["action"]),
        pl.col("side").cast(kinds["side"]),
        *(pl.col(name).cast(pl.Int64).cast(pl.Decimal(38, 0)) for name in ("price", "size")),
        flags=pl.Series([LAST * row[4] for row in rows], dtype=pl.UInt8),
        sequence=pl.Series(range(1, len(rows) + 1), dtype=pl.Int64),
        previous=pl.Series(range(len(rows)), dtype=pl.Int64),
        raw_row=pl.Series(range(len(rows)), dtype=pl.UInt32),
    )


def found(rows: list[Row], cut: int, before: BookState | None = None) -> tuple[dict[str, Any], BookState | None]:
    book = Book(Held(DELTAS, date(2024, 1, 1), Thresholds()))
    if before is not None:
        book.resume(before)
    whole = frame(rows)
    for start in range(0, len(rows), cut):
        book.add(Rows(whole.slice(start, cut)))
    return asdict(book.result(None)), book.hand_on()  # type: ignore[arg-type]


class Loop:
    """The same, row by row."""

    def __init__(self) -> None:
        self.sides: dict[str, dict[int, int]] = {"BUY": {}, "SELL": {}}
        self.told = BookFound(numbered=True)
        self.cleared = False
        self.before: set[tuple[str, int, int]] | None = None

    def top(self) -> set[tuple[str, int, int]]:
        bids = sorted(self.sides["BUY"].items(), reverse=True)[:TOP]
        return {("BUY", *each) for each in bids} | {
            ("SELL", *each) for each in sorted(self.sides["SELL"].items())[:TOP]
        }

    def take(self, number: int, row: Row) -> None:
        action, side, price, size, ends = row
        if action == "CLEAR":
            self.before = self.top() if self.cleared else self.before
            self.cleared = True
            for levels in self.sides.values():
                levels.clear()
        elif action != "DELETE":
            self.sides[side][price] = size
        elif self.sides[side].pop(price, None) is None:
            self.told.unknown_deletes += 1
        if ends:
            self.look(number)
        self.told.open_event = not ends

    def look(self, number: int) -> None:
        told, bids, asks = self.told, self.sides["BUY"], self.sides["SELL"]
        told.events += 1
        if bids and asks and max(bids) == min(asks):
            told.locked += 1
        if bids and asks and max(bids) > min(asks):
            told.crossed += 1
            told.first_crossed = (*told.first_crossed, number)[:10]
        if bids and asks:
            spread = min(asks) - max(bids)
            told.narrowest = spread if told.narrowest is None else min(spread, told.narrowest)
            told.widest = spread if told.widest is None else max(spread, told.widest)
        now = self.top()
        if self.before is not None and now:
            told.snapshots += 1
            share = len(now & self.before) / len(now)
            told.agreeing = share if told.agreeing is None else min(share, told.agreeing)
        self.before = None

    def result(self) -> dict[str, Any]:
        self.told.levels = sum(map(len, self.sides.values()))
        return asdict(self.told)


@settings(deadline=None)
@given(rows=MANY, cut=st.integers(1, 61))
@example(rows=FAR_APART, cut=61)
@example(rows=FAR_APART, cut=1)
def test_columns_find_what_a_loop_finds_wherever_blocks_are_cut(rows: list[Row], cut: int) -> None:
    if not rows:
        return
    loop = Loop()
    for number, row in enumerate(rows):
        loop.take(number, row)
    assert found(rows, cut)[0] == loop.result()


@given(rows=MANY, midnight=st.integers(1, 59), cut=st.integers(1, 61))
def test_a_book_goes_on_over_midnight_as_if_there_were_none(rows: list[Row], midnight: int, cut: int) -> None:
    if len(rows) <= midnight:
        return
    whole, last = found(rows, cut)
    first, state = found(rows[:midnight], cut)
    second, end = found(rows[midnight:], cut, state)
    assert {name: first[name] + second[name] for name in ("events", "crossed", "locked", "unknown_deletes")} == {
        name: whole[name] for name in ("events", "crossed", "locked", "unknown_deletes")
    }
    assert (end.bids, end.asks) == (last.bids, last.asks)  # type: ignore[union-attr]


def test_snapshots_one_behind_the_other_are_each_compared_with_the_one_before() -> None:
    snapshot: list[Row] = [
        ("CLEAR", "NO_ORDER_SIDE", 0, 0, False),
        ("ADD", "BUY", 1, 1, False),
        ("ADD", "SELL", 3, 1, True),
    ]
    told, _ = found(snapshot * 500, 512)
    assert (told["snapshots"], told["agreeing"]) == (499, 1.0)


def test_a_book_in_other_units_is_not_gone_on_with() -> None:
    _, state = found([("ADD", "BUY", 10, 1, True)], 1)
    assert state is not None
    finer = BookState(state.sequence, 1, 0, state.bids, state.asks)
    assert found([("ADD", "SELL", 5, 1, True)], 1, state)[0]["crossed"] == 1
    assert found([("ADD", "SELL", 5, 1, True)], 1, finer)[0]["crossed"] == 0


def test_a_book_is_packed_to_the_last_level() -> None:
    prices = np.arange(5_000, dtype=np.int64) ** 2 + 7
    sizes = np.arange(5_000, dtype=np.int64) % 977 + 1
    assert [column.tolist() for column in unpacked(packed(prices, sizes))] == [prices.tolist(), sizes.tolist()]
    assert [len(column) for column in unpacked(packed(prices[:0], sizes[:0]))] == [0, 0]
    assert len(packed(prices, sizes)) < 60_000
