"""How the lines of a file are read is kept in its manifest, typed, and read again by what wrote it, or by a later version."""

from datetime import date

import pytest
from msgspec import structs

from hedgegrid_assets.batch import Block
from hedgegrid_assets.dialect import Dialect, View, stored
from hedgegrid_assets.errors import DataError
from hedgegrid_assets.sources import SOURCES
from hedgegrid_assets.sources.archive.layouts import ArchiveDialect
from hedgegrid_assets.sources.csv.dialect import CsvDialect
from hedgegrid_assets.sources.formats.binance.dialect import MessageDialect
from hedgegrid_assets.sources.tardis.datasets import TardisDialect
from hedgegrid_assets.venues.markets import Says

TRADES = b"timestamp,symbol,price,size,side\n1704067200000,BTCUSDT,1.5,2,buy\n1704067201000,BTCUSDT,1.6,1,sell\n"


def of_csv() -> CsvDialect:
    begin = SOURCES["csv"].begin
    assert begin is not None
    return CsvDialect.of(begin(Block(TRADES, 0), {"path": "a.csv", "symbols": ["BTCUSDT"]}).dialect)


def test_a_csv_dialect_is_kept_with_the_keys_that_it_has_ever_had() -> None:
    assert stored(of_csv()) == {
        "header_lines": 1,
        "comments": True,
        "delimiter": ",",
        "names": ("timestamp", "symbol", "price", "size", "side"),
        "views": {
            "trade": {
                "columns": {"timestamp": 0, "price": 2, "size": 3, "aggressor_side": 4},
                "times": {"timestamp": {"unit": "any"}},
                "signed": False,
            }
        },
        "symbol_column": 1,
        "symbol": None,
        "symbols": ("BTCUSDT",),
        "spellings": {"BTCUSDT": "btcusdt"},
        "asked": {"venue": "BINANCE", "market": None},
        "venue_column": None,
        "venue": None,
        "notes": (),
    }


def test_what_says_nothing_is_kept_as_nothing() -> None:
    assert stored(Dialect()) == stored(MessageDialect()) == stored(TardisDialect()) == {}
    assert stored(MessageDialect().cut()) == {}


def test_lines_that_are_taken_out_of_a_file_stand_below_no_header() -> None:
    assert of_csv().cut().header_lines == 0
    assert stored(MessageDialect(says=Says(market="spot")).cut()) == {"says": {"market": "spot"}, "header_lines": 0}


def test_messages_of_several_days_say_which_of_them_are_meant() -> None:
    assert stored(MessageDialect().of_day(["BTCUSDT"], date(2024, 1, 1))) == {"symbol": "BTCUSDT", "date": "2024-01-01"}


@pytest.mark.parametrize(
    "dialect",
    [
        of_csv(),
        MessageDialect(symbol="BTCUSDT", date=date(2024, 1, 1)),
        TardisDialect(data_type="trades", symbol="BTCUSDT", columns=("exchange", "symbol")),
        ArchiveDialect(
            header_lines=1,
            names=("id", "price"),
            columns={"id": 0},
            symbol="BTCUSDT",
            channel="trade",
            file="BTCUSDT-trades-2024-01-01.zip",
            exchange="binance-futures",
            views={"trade": View(gap_seconds=60.0)},
        ),
    ],
    ids=lambda dialect: type(dialect).__name__,
)
def test_what_is_kept_is_read_as_what_it_was(dialect: Dialect) -> None:
    assert type(dialect).of(stored(dialect)) == dialect
    common = Dialect.of(stored(dialect))
    assert (common.says, common.notes, common.header_lines) == (dialect.says, dialect.notes, dialect.header_lines)


def test_a_csv_dialect_of_before_is_read() -> None:
    now = stored(of_csv())
    before = {key: value for key, value in now.items() if key not in CsvDialect.before}
    assert CsvDialect.of(before) == structs.replace(of_csv(), comments=False, symbols=(), spellings={})


def test_a_damaged_dialect_is_one_clear_error() -> None:
    with pytest.raises(
        DataError, match=r"how the lines of its raw day are read \(dialect\): Expected `int`.*header_lines"
    ):
        CsvDialect.of(stored(of_csv()) | {"header_lines": "one"})
