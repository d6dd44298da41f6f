"""Rows that wait on disk come back as they were, whatever was left out of them."""

from decimal import Decimal

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from hedgegrid_assets.stages.raw.packed import Packed

UNITS = st.one_of(st.integers(-999, 999), st.integers(-(2**63), 2**63 - 1), st.integers(-(10**37), 10**37))
ROWS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.one_of(st.none(), UNITS),
        st.one_of(st.none(), st.sampled_from(["buy", "sell", "", "é"])),
        st.one_of(st.none(), st.text(max_size=3)),
        st.integers(0, 1),
    ),
    max_size=30,
)


@settings(max_examples=150, deadline=None)
@given(rows=ROWS, first=st.integers(0, 2**31), one_by_one=st.booleans(), cut=st.integers(0, 5))
def test_rows_come_back_as_they_were(
    rows: list[tuple[int, int | None, str | None, str | None, int]], first: int, one_by_one: bool, cut: int
) -> None:
    """Lines that count up or not, decimals that 64 bits hold or not, few words or many, columns of nulls, slices of a block."""
    steps, units, words, texts, parts = zip(*rows, strict=True) if rows else ((),) * 5
    lines = pl.Series([1] * len(steps) if one_by_one else steps, dtype=pl.UInt32).cum_sum() + first
    block = pl.DataFrame(
        {
            "raw_row": lines.cast(pl.UInt32),
            "price": pl.Series([None if n is None else Decimal(n).scaleb(-3) for n in units], dtype=pl.Decimal(38, 3)),
            "side": pl.Series(words, dtype=pl.String),
            "id": pl.Series(texts, dtype=pl.String),
            "part": pl.Series(parts, dtype=pl.UInt32),
            "other": pl.Series(units, dtype=pl.Int128),
        }
    ).slice(cut)
    wanted = ["raw_row", "price", "side", "id"]
    packed, frame = Packed.of(block, wanted)
    assert_frame_equal(packed.unpacked(frame), block.select(*wanted, "part"))


def test_a_block_of_trades_takes_a_third_less() -> None:
    rows = pl.DataFrame(
        {
            "raw_row": pl.Series(range(1_000), dtype=pl.UInt32),
            "price": pl.Series(range(1_000), dtype=pl.Decimal(38, 3)),
            "side": ["buy", "sell"] * 500,
            "made_id": pl.Series([None] * 1_000, dtype=pl.String),
            "part": pl.Series([0] * 1_000, dtype=pl.UInt32),
        }
    )
    _, frame = Packed.of(rows, rows.columns[:-1])
    assert frame.schema == {"price": pl.Int64, "side": pl.UInt8}
