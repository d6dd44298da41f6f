"""Two looks at trades: prices between two ticks, and members of aggregates that are not there."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import polars as pl

from hedgegrid_assets.model import DayContext, RowCounts, RuleResult, Thresholds
from hedgegrid_assets.stages.frames import Precisions, frame_schema
from hedgegrid_assets.stages.integrity import DayRules
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets.timestamps import day_start

TRADES = TABLES["trade_tick"]
DAY = date(2024, 1, 1)


def answers(blocks: Sequence[pl.DataFrame], increment: str | None = None) -> dict[str, RuleResult]:
    rules = DayRules(TRADES, DAY, Thresholds(price_increment=increment))
    for block in blocks:
        rules.add(block)
    rows = sum(map(len, blocks))
    return {answer.name: answer for answer in rules.judge(DayContext(RowCounts(rows, rows)))[1]}


def trades(prices: Sequence[str], members: Sequence[tuple[int, int]] | None = None) -> pl.DataFrame:
    count = len(prices)
    times = [day_start(DAY) + n * 10**9 for n in range(count)]
    columns = {
        "ts_event": times,
        "ts_init": times,
        "price": [Decimal(price) for price in prices],
        "size": [Decimal(1)] * count,
        "aggressor_side": ["BUYER"] * count,
        "trade_id": [str(100 + n) for n in range(count)],
        "first_trade_id": [first for first, _ in members] if members else [None] * count,
        "last_trade_id": [last for _, last in members] if members else [None] * count,
        "raw_row": range(count),
    }
    return pl.DataFrame(columns, schema=frame_schema(TRADES, Precisions(2, 3, 8)))


def test_a_price_between_two_ticks_is_told_but_stops_nothing() -> None:
    rule = answers([trades(["10.00", "10.05", "10.07", "10.10"])], "0.05")["prices_on_tick"]
    assert (rule.passed, rule.rows_failed, rule.severity) == (False, 1, "WARN")
    assert rule.numbers == {"tick": "0.05", "off_tick": 1, "first_bad_raw_rows": [2]}


def test_without_an_increment_every_price_is_on_tick() -> None:
    assert answers([trades(["10.01", "10.07"])])["prices_on_tick"].passed


def test_an_increment_finer_than_the_last_decimal_is_no_test() -> None:
    assert answers([trades(["10.01", "10.07"])], "0.001")["prices_on_tick"].passed


def test_missing_members_of_aggregates_are_a_number_also_across_blocks() -> None:
    whole = trades(["1.00"] * 4, [(1, 2), (3, 3), (7, 9), (10, 10)])
    for blocks in ([whole], [whole[:2], whole[2:]], [whole[n : n + 1] for n in range(4)]):
        rule = answers(blocks)["no_sequence_gaps"]
        assert rule.passed
        assert (rule.numbers["member_breaks"], rule.numbers["members_missing"]) == (1, 3)
