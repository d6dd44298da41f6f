"""What a settlement is, which rate and which price it has, and what a position pays."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedgegrid_assets.backtest.job import Contract, Settlement
from hedgegrid_assets.backtest.settlements import amount, known_in_time, settlements
from hedgegrid_assets_tests.backtest.market import DAY, HOUR, ID, MIDNIGHT, SECOND, Market, every_second

EIGHT = MIDNIGHT + 8 * HOUR
MS = 1_000_000
LINEAR = Contract(
    ID, "USDT", 8, Decimal(1), False, "USDT", Decimal(0), Decimal(0), Decimal(0), fees_known=True, origin="imported"
)
INVERSE = replace(LINEAR, currency="BTC", multiplier=Decimal(100), is_inverse=True, quote="USD")


def found(folder: Path, market: Market, **options: int) -> list[Settlement]:
    catalog = market.build(folder)
    files = {
        name: sorted((catalog / "data" / name / ID).glob("*.parquet"))
        for name in ("funding_rate_update", "mark_price_update")
    }
    return settlements(
        ID, files["funding_rate_update"], files["mark_price_update"], MIDNIGHT, MIDNIGHT + 2 * DAY, **options
    )


def rates(*rows: tuple[int, str, int | None]) -> list[tuple[int, int, str, int | None]]:
    return [(event, event + 20 * MS, rate, due) for event, rate, due in rows]


@pytest.mark.parametrize(
    ("quantity", "rate", "mark", "contract", "expected"),
    [
        ("1", "0.0001", "43000", LINEAR, "-4.3"),  # a long pays a positive rate
        ("-1", "0.0001", "43000", LINEAR, "4.3"),
        ("1", "-0.0001", "43000", LINEAR, "4.3"),
        ("0.05", "0.00024137", "42844.58651875", LINEAR, "-0.51706989"),  # 0.517069887... to the 8th decimal
        ("0.5", "0.00000001", "0.5", LINEAR, "0"),  # 0.0000000025 is less than half a unit
        ("1", "0.00000001", "0.5", LINEAR, "0"),  # exactly half: to the even one
        ("3", "0.00000001", "0.5", LINEAR, "-0.00000002"),  # 1.5 units: to the even one
        ("10", "0.0003", "40000", INVERSE, "-0.0000075"),  # 10 contracts of 100 USD are 0.025 BTC
        ("-10", "0.0003", "40000", INVERSE, "0.0000075"),
    ],
)
def test_a_payment_is_what_a_hand_computes(
    quantity: str, rate: str, mark: str, contract: Contract, expected: str
) -> None:
    assert amount(Decimal(quantity), Decimal(rate), Decimal(mark), contract) == Decimal(expected)


@given(
    st.decimals("-1000", "1000", places=3),
    st.decimals("-0.01", "0.01", places=8),
    st.decimals("0.01", "99999", places=8),
)
def test_what_one_side_pays_the_other_gets(quantity: Decimal, rate: Decimal, mark: Decimal) -> None:
    for contract in (LINEAR, INVERSE):
        assert amount(quantity, rate, mark, contract) == -amount(-quantity, rate, mark, contract)


def test_the_last_rate_before_the_settlement_counts_and_none_after_it(tmp_path: Path) -> None:
    market = Market(
        marks=every_second(EIGHT - 5 * SECOND, EIGHT + 5 * SECOND, "43000"),
        funding=rates(
            (EIGHT - HOUR, "0.0001", EIGHT),
            (EIGHT - SECOND, "0.0002", EIGHT),
            (EIGHT + SECOND, "0.0009", EIGHT),  # the venue still writes the old time
            (EIGHT + 2 * SECOND, "0.0003", EIGHT + 8 * HOUR),
        ),
    )
    first, _ = found(tmp_path, market)
    assert (first.at_ns, first.rate, first.rate_ns) == (EIGHT, Decimal("0.0002"), EIGHT - SECOND)


def test_settled_history_pays_at_its_own_time_to_the_second_and_goes_before_an_estimate(tmp_path: Path) -> None:
    market = Market(
        marks=every_second(EIGHT - 5 * SECOND, EIGHT + 5 * SECOND, "43000"),
        funding=rates((EIGHT - HOUR, "0.0001", EIGHT), (EIGHT + 7 * MS, "0.00012345", None)),
    )
    (only,) = found(tmp_path, market)
    assert (only.at_ns, only.rate) == (EIGHT, Decimal("0.00012345"))
    assert only.due_ns >= EIGHT


def test_jitter_of_the_settlement_itself_makes_no_second_payment(tmp_path: Path) -> None:
    market = Market(
        marks=every_second(EIGHT - 5 * SECOND, EIGHT + 5 * SECOND, "43000"),
        funding=rates((EIGHT - HOUR, "0.0001", EIGHT + 3 * MS), (EIGHT - SECOND, "0.0002", EIGHT)),
    )
    assert [each.at_ns for each in found(tmp_path, market)] == [EIGHT]


def test_intervals_may_change_from_eight_hours_to_four_and_to_one(tmp_path: Path) -> None:
    due = [MIDNIGHT + hours * HOUR for hours in (8, 12, 13, 14)]
    market = Market(
        marks=[row for at in due for row in every_second(at - 2 * SECOND, at + 2 * SECOND, "43000")],
        funding=rates(*((at - 600 * SECOND, "0.0001", at) for at in due)),
    )
    assert [each.at_ns for each in found(tmp_path, market)] == due


def test_the_mark_of_the_instant_counts_though_it_is_still_under_way(tmp_path: Path) -> None:
    marks = [(EIGHT - SECOND, EIGHT - SECOND + 50 * MS, "43000"), (EIGHT, EIGHT + 50 * MS, "43100")]
    market = Market(marks=marks, funding=rates((EIGHT - HOUR, "0.0001", EIGHT)))
    (only,) = found(tmp_path, market)
    assert (only.mark, only.mark_ns, only.due_ns) == (Decimal(43100), EIGHT, EIGHT + 50 * MS)


def test_a_mark_that_takes_longer_than_five_seconds_is_not_waited_for(tmp_path: Path) -> None:
    marks = [(EIGHT - SECOND, EIGHT - SECOND + 50 * MS, "43000"), (EIGHT, EIGHT + 6 * SECOND, "43100")]
    market = Market(marks=marks, funding=rates((EIGHT - HOUR, "0.0001", EIGHT)))
    (only,) = found(tmp_path, market)
    assert (only.mark, only.due_ns) == (Decimal(43000), EIGHT + 5 * SECOND)


def test_a_mark_after_the_settlement_never_values_it(tmp_path: Path) -> None:
    marks = [(EIGHT - 30 * SECOND, EIGHT - 29 * SECOND, "43000"), (EIGHT + MS, EIGHT + 2 * MS, "50000")]
    market = Market(marks=marks, funding=rates((EIGHT - HOUR, "0.0001", EIGHT)))
    (only,) = found(tmp_path, market)
    assert (only.mark, only.mark_ns) == (Decimal(43000), EIGHT - 30 * SECOND)


def test_an_old_mark_does_not_pay_and_is_told(tmp_path: Path) -> None:
    marks = every_second(EIGHT - 70 * SECOND, EIGHT - 61 * SECOND, "43000")
    market = Market(marks=marks, funding=rates((EIGHT - HOUR, "0.0001", EIGHT)))
    (only,) = found(tmp_path, market)
    assert only.mark is None
    assert "62.0 s old, more than 60 s" in only.missed
    (tolerant,) = found(tmp_path, market, max_mark_age_s=62)
    assert tolerant.mark == Decimal(43000)


def test_marks_of_candles_may_be_two_minutes_old(tmp_path: Path) -> None:
    marks = [(EIGHT - 100 * SECOND - n * 60 * SECOND,) * 2 + ("43000",) for n in reversed(range(8))]
    market = Market(marks=marks, funding=rates((EIGHT - HOUR, "0.0001", EIGHT)))
    (only,) = found(tmp_path, market)
    assert only.mark == Decimal(43000)


def test_without_any_mark_it_is_told_that_nothing_is_paid(tmp_path: Path) -> None:
    market = Market(
        marks=every_second(EIGHT + 2 * HOUR, EIGHT + 2 * HOUR + 3 * SECOND, "43000"),
        funding=rates((EIGHT - HOUR, "0.0001", EIGHT)),
    )
    (only,) = found(tmp_path, market)
    assert only.missed == "no mark price of the ten minutes before it"


def test_marks_and_rates_of_the_day_before_count_at_midnight(tmp_path: Path) -> None:
    night = MIDNIGHT + DAY
    market = Market(
        marks=every_second(night - 3 * SECOND, night + 3 * SECOND, "43000"),
        funding=rates((night - HOUR, "0.0001", night), (night + SECOND, "0.0002", night + 8 * HOUR)),
    )
    first, _ = found(tmp_path, market)
    assert (first.at_ns, first.mark_ns) == (night, night)


def test_what_2_pays_by_is_the_last_rate_that_has_arrived_by_each_settlement() -> None:
    """Also where it is not the last of the file, which a strategy is given, and what has arrived too late."""
    rows = {
        "ts_event": [EIGHT - 60 * SECOND, EIGHT - SECOND, EIGHT - MS, EIGHT + SECOND],
        "ts_init": [EIGHT - 59 * SECOND, EIGHT, EIGHT + MS, EIGHT + 2 * SECOND],
        "next_funding_time": [EIGHT, EIGHT, EIGHT, EIGHT + 8 * HOUR],
        "funding_rate": [Decimal(number) / 10_000 for number in range(1, 5)],
    }
    found = known_in_time(pl.DataFrame(rows))
    assert sorted(found["funding_rate"]) == [Decimal("0.0002"), Decimal("0.0004")]
