"""Values of archive files: short, plain decimals are read by a quick look, which gives what the closer one gives."""

import polars as pl
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import structs
from polars.testing import assert_frame_equal

from hedgegrid_assets.batch import Batch, Block
from hedgegrid_assets.sources.archive import SOURCE
from hedgegrid_assets.sources.archive.archives import ARCHIVES
from hedgegrid_assets.sources.archive.layouts import ArchiveDialect, dialect_of

ARCHIVE = ARCHIVES["binance-futures"]
FILES = ARCHIVE.kind("aggTrade")
HEADER = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker"
TIME = 1_704_153_600_000
ODD = "1,2.5,3,4,5,never,true"
"""A line without a time: in a block with one, each number is looked at closely."""
NUMBERS = st.one_of(
    st.from_regex(r"-?[0-9]{1,7}(\.[0-9]{1,4})?", fullmatch=True),
    st.sampled_from(["0.10", "100", "007.5", "12345678.123", "1.0000000", "-0.0", "42000.12345678901"]),
    st.sampled_from(["", "1.", ".5", "+1", "1e3", "x", "1" * 30, "0." + "1" * 17]),
)


def read(lines: list[str]) -> Batch:
    dialect: ArchiveDialect = dialect_of(HEADER, FILES.columns, FILES.channel, "BTCUSDT", "a file")
    reader = SOURCE.open(structs.replace(dialect, header_lines=0, exchange=ARCHIVE.exchange), [FILES.channel.name])
    return reader.read(Block("".join(f"{line}\n" for line in lines).encode(), 0))


@settings(max_examples=80, deadline=None)
@example([("1.50", "2"), ("10", "0.125")])
@example([("1.5", "2"), ("", "3"), ("4", "x")])
@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=12))
def test_a_quick_look_gives_what_a_close_one_gives(numbers: list[tuple[str, str]]) -> None:
    lines = [f"{i},{price},{size},4,5,{TIME + i},true" for i, (price, size) in enumerate(numbers)]
    quick, close = read(lines), read([*lines, ODD])
    assert quick.placed is not None
    assert close.placed is not None
    assert (quick.placed.unreadable, close.placed.unreadable) == (0, 1)
    assert quick.placed.decimals == close.placed.decimals
    of_quick, of_close = quick.decoded[FILES.channel.name], close.decoded[FILES.channel.name]
    assert_frame_equal(of_quick.rejects, of_close.rejects)
    assert_frame_equal(of_quick.rows.cast(of_close.rows.schema), of_close.rows)


def test_numbers_take_no_more_digits_than_they_are_written_with() -> None:
    rows = read([f"1,42000.5,0.125,4,5,{TIME},true"]).decoded[FILES.channel.name].rows
    assert [rows.schema[name] for name in ("price", "size")] == [pl.Decimal(38, 1), pl.Decimal(38, 3)]
