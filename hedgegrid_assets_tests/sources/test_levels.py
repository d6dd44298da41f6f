"""Levels of a book are typed as they are told, whether they are read where they stand or one by one."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hedgegrid_assets.sources.formats.binance.channels import channels
from hedgegrid_assets.sources.formats.binance.levels import (
    decimals_in,
    short_levels,
    typed_levels,
    with_hollow,
    without_levels,
)
from hedgegrid_assets.sources.formats.decimals import most_decimals

type Level = tuple[str, str]

DEPTH: Final = next(channel for channel in channels("binance") if channel.name == "depth")
_NUMBERS: Final = st.decimals(min_value=0, max_value=9_999_999, places=3).map(str)
_LONG: Final = st.sampled_from(["0.1234567890123", "12345678901234.5", "7"])
_MESSAGES: Final = st.lists(
    st.tuples(*[st.lists(st.tuples(numbers := st.one_of(_NUMBERS, _LONG), numbers), max_size=4)] * 2),
    min_size=1,
    max_size=6,
)


def spelled(levels: Sequence[Level]) -> str:
    return f"[{','.join(f'["{price}","{size}"]' for price, size in levels)}]"


def told(messages: Sequence[tuple[Sequence[Level], Sequence[Level]]]) -> pl.DataFrame:
    rows = [
        {"line": 10 * number, "symbol": "A", "ts_init": number, "bids": spelled(bids), "asks": spelled(asks)}
        for number, (bids, asks) in enumerate(messages)
    ]
    return pl.DataFrame(rows).with_columns(pl.col("line").cast(pl.UInt32))


@settings(deadline=None)
@given(_MESSAGES)
def test_each_level_is_typed_bids_before_asks(messages: list[tuple[list[Level], list[Level]]]) -> None:
    rows, rejects = typed_levels(told(messages))
    assert rows.select("line", "side", "price", "size").rows() == [
        (10 * number, side, Decimal(price), Decimal(size))
        for number, (bids, asks) in enumerate(messages)
        for side, levels in (("BUY", bids), ("SELL", asks))
        for price, size in levels
    ]
    assert not len(rejects)
    empty = without_levels(told(messages))
    assert len(empty) == sum(not bids and not asks for bids, asks in messages)
    both = with_hollow(rows, empty)
    assert both.filter(pl.col("price").is_not_null()).equals(rows)
    assert both["line"].is_sorted()


@settings(deadline=None)
@given(_MESSAGES)
def test_it_is_told_how_finely_levels_are_written(messages: list[tuple[list[Level], list[Level]]]) -> None:
    levels = [level for bids, asks in messages for level in (*bids, *asks)]
    found = decimals_in(told(messages), DEPTH)
    for at, name in enumerate(("price", "size")) if levels else ():
        seen, expected = found["depth", "A", name], most_decimals(pl.Series([level[at] for level in levels]))
        assert seen[:4] == expected[:4]
    assert bool(found) == bool(levels)


def test_levels_that_are_known_are_not_read_again_and_others_stand_between_them() -> None:
    every = told([([("1.5", "2")], []), ([("0.12345678901234", "3")], [("4", "0")]), ([], [("9", "1.25")])])
    known = short_levels(every.filter(pl.col("line") != 10))
    assert known is not None
    assert short_levels(every) is None
    rows, _ = typed_levels(every, known)
    alone, _ = typed_levels(every)
    assert rows.select("line", "price", "size").rows() == alone.select("line", "price", "size").rows()


def test_levels_of_lines_that_were_refused_are_left_out() -> None:
    every = told([([("1.5", "2")], []), ([], [("9", "1.25")])])
    rows, _ = typed_levels(every.tail(1), short_levels(every))
    assert rows["price"].to_list() == [Decimal(9)]


@pytest.mark.parametrize(
    "text",
    [
        *('[["1","2"],["3"]]', '[["1","2","3","4"]]', '[["1" ,"2"]]', '[["1","2"]["3","4"]]', '[["1","x"]]', "[]"),
        *('[["1";"2"]]', '[["1","2"];["3","4"]]', '[("1","2")]', '(["1","2"])', '[["1","2"],["3","4"]', "[ ]", "()"),
        *(
            '[["1","2"]]]',
            '[,["1","2"]]',
            '[["1","2"],]',
            '["1","2"]',
            '[["1","2"],,["3","4"]]',
        ),
    ],
)
def test_other_spellings_are_not_read_where_they_stand(text: str) -> None:
    assert short_levels(told([([], [])]).with_columns(bids=pl.lit(text))) is None
    one = told([([("5", "6")], []), ([], [])]).with_columns(
        asks=pl.when(pl.col("line") > 0).then(pl.lit(text)).otherwise("asks")
    )
    assert text == "[]" or short_levels(one) is None
