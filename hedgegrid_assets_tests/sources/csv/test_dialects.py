"""Every dialect of the reference gives its known rows; the guide's rows 37 to 54, 93 to 98, 100, 112 and 113."""

import bz2
import gzip
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import zstandard

from hedgegrid_assets.errors import (
    FileRefused,
    MissingColumns,
    NoDataFetched,
    RawDamaged,
    SeveralInOne,
    TimestampParsingFailed,
    UsageError,
)
from hedgegrid_assets.sources.formats import csv_cells as cells
from hedgegrid_assets.store import Block
from hedgegrid_assets_tests.csv_cases import (
    CASES,
    FIXTURES,
    MIDNIGHT,
    SECOND,
    Case,
    convert,
    frame,
    line_rejects,
    rejects,
    trades_at,
    trades_of,
    write,
)
from hedgegrid_assets_tests.yard import with_blocks_of

GUIDE = list(trades_at(MIDNIGHT, "1001", "1002"))
HEADER = "time,symbol,price,amount,side,id\n"
ROWS = "2024-01-01 00:00:00,BTCUSDT,42500.50,0.025,BUY,1001\n2024-01-01 00:00:01,BTCUSDT,42501.00,0.100,SELL,1002\n"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)
def test_a_dialect_gives_its_known_rows(tmp_path: Path, case: Case) -> None:
    config = None
    if case.config is not None:
        config = {"files": {"trades": {"file_path": case.file} | dict(case.config)}, "base_path": str(FIXTURES)}
    done = convert(tmp_path, FIXTURES / case.file, symbol=case.symbol, config=config, exchange=case.exchange)
    assert done.ok
    instrument = done.days[0].instrument_id
    rows = frame(tmp_path, instrument=instrument)
    assert trades_of(rows) == list(case.trades)
    assert rows["ts_init"].to_list() == list(case.received or [trade[0] for trade in case.trades])
    assert (
        json.loads((tmp_path / "catalog/.hedgegrid/series.json").read_text())["held"][instrument]["trade_tick"]
        == case.series
    )
    for note in case.notes:
        assert any(note in said for said in done.notes), done.notes


def test_a_derivative_ticker_gives_marks_indexes_and_funding_in_one_reading(tmp_path: Path) -> None:
    done = convert(tmp_path, FIXTURES / "tardis_derivative_ticker.csv", tokens="mark,index,funding")
    assert done.ok
    assert [str(value) for value in frame(tmp_path, "mark_price_update")["mark_price"]] == [
        "42500.12345678",
        "42500.20000000",
    ]
    assert [str(value) for value in frame(tmp_path, "index_price_update")["index_price"]] == ["42499.99000000"]
    funding = frame(tmp_path, "funding_rate_update")
    assert [f"{value:.8f}" for value in funding["funding_rate"]] == ["0.00007996", "0.00007997"]
    assert funding["next_funding_time"].to_list() == [MIDNIGHT + 8 * 3600 * SECOND] * 2
    assert done.lines == 3
    assert {day.table: day.rows["not_applicable"] for day in done.days} == {
        "mark_price_update": 0,
        "index_price_update": 1,
        "funding_rate_update": 0,
    }


@pytest.mark.parametrize(
    ("file", "symbol", "instrument", "rates", "minutes"),
    [
        ("binance_funding.csv", "BTCUSDT", "BTCUSDT-PERP.BINANCE", ["0.00037409", "-0.00010000"], [480, 480]),
        ("okx_funding.csv", "BTC-USDT-SWAP", "BTC-USDT-SWAP.OKX", ["0.00010000", "-0.00005000"], [None, None]),
    ],
)
def test_funding_rates_of_exchange_dumps(
    tmp_path: Path, file: str, symbol: str, instrument: str, rates: list[str], minutes: list[int | None]
) -> None:
    done = convert(
        tmp_path,
        FIXTURES / file,
        symbol=symbol,
        tokens="funding",
        instrument=instrument,
        config={"files": {"funding": {"file_path": str(FIXTURES / file)}}},
    )
    assert done.ok
    rows = frame(tmp_path, "funding_rate_update", instrument)
    assert [f"{value:.8f}" for value in rows["funding_rate"]] == rates
    assert rows["interval_minutes"].to_list() == minutes


def test_candles_are_no_trades(tmp_path: Path) -> None:
    with pytest.raises(MissingColumns, match="these are candles"):
        convert(tmp_path, FIXTURES / "candles_cryptodatadownload.csv")


# ---------------------------------------------------------------- rows 44 to 50: aliases


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        *(("time", alias) for alias in ("time", "datetime", "date", "timestamp", "TIMESTAMP", "Transact_Time")),
        *(("price", alias) for alias in ("price", "close", "last", "PRICE")),
        *(("amount", alias) for alias in ("size", "volume", "quantity", "amount", "qty")),
        *(("side", alias) for alias in ("side", "aggressor_side", "taker_side")),
        *(("id", alias) for alias in ("trade_id", "id", "tid", "tradeId", "trdMatchID")),
    ],
)
def test_columns_are_found_by_their_usual_names(tmp_path: Path, ours: str, theirs: str) -> None:
    header = ",".join(theirs if name == ours else name for name in HEADER.strip().split(","))
    convert(tmp_path, write(tmp_path, "t.csv", f"{header}\n{ROWS}"))
    assert trades_of(frame(tmp_path)) == GUIDE


def test_of_two_candidates_the_one_listed_first_is_taken_and_told(tmp_path: Path) -> None:
    text = "close,price,time,volume,size\n1,42500.5,1704067200,9,0.025\n"
    done = convert(tmp_path, write(tmp_path, "t.csv", text))
    assert trades_of(frame(tmp_path)) == [(MIDNIGHT, "42500.5", "0.025", "NO_AGGRESSOR", None)]
    assert any("price is read from price, not from close" in note for note in done.notes)
    assert any("size is read from size, not from volume" in note for note in done.notes)


@pytest.mark.parametrize(
    ("spelled", "side"),
    [
        *((text, "BUYER") for text in ("buy", "BUY", "Buy", "b", "B", "bid", "long", "1")),
        *((text, "SELLER") for text in ("sell", "SELL", "s", "ask", "short", "-1")),
        ("unknown", "NO_AGGRESSOR"),
    ],
)
def test_sides_in_every_spelling(tmp_path: Path, spelled: str, side: str) -> None:
    other = "-1" if spelled == "1" else "buy"  # a 1 alone could be of the codes 1 and 2
    rows = f"1704067200,1.5,2,{spelled}\n1704067201,1.5,2,{other}\n"
    convert(tmp_path, write(tmp_path, "t.csv", f"time,price,size,side\n{rows}"))
    assert frame(tmp_path)["aggressor_side"].to_list()[0] == side


# ---------------------------------------------------------------- rows 40, 96 to 98: times


@pytest.mark.parametrize(
    "text",
    [
        "1704067200",
        "1704067200.000000",
        "1704067200000",
        "1704067200000000",
        "1704067200000000000",
        "1.7040672000E9",
        "2024-01-01 00:00:00",
        "2024-01-01T00:00:00",
        "2024-01-01T00:00:00.000Z",
        "2024-01-01 01:00:00+01:00",
        "2023-12-31T19:00:00-0500",
        "01/01/2024 00:00:00",
        "01/01/2024 12:00:00 AM",
        "2024-01-01D00:00:00.000000000",
    ],
)
def test_times_of_every_kind_are_the_same_moment(tmp_path: Path, text: str) -> None:
    convert(tmp_path, write(tmp_path, "t.csv", f"time,price,size,side\n{text},1.5,2,buy\n"))
    assert frame(tmp_path)["ts_event"].to_list() == [MIDNIGHT]


@pytest.mark.parametrize(
    ("fmt", "text"),
    [
        ("%Y-%m-%d %H:%M:%S.%f", "2024-01-01 00:00:00.000"),
        ("%d.%m.%Y %H:%M", "01.01.2024 00:00"),
        ("%b %d, %Y %I:%M %p", '"Jan 01, 2024 12:00 AM"'),
        ("%Y%m%d%H%M%S%z", "20240101010000+0100"),
    ],
)
@pytest.mark.parametrize("inner", [True, False])
def test_a_timestamp_format_at_the_top_or_at_the_file_and_the_inner_one_wins(
    tmp_path: Path, fmt: str, text: str, inner: bool
) -> None:
    write(tmp_path, "t.csv", f"time,price,size,side\n{text},1.5,2,buy\n")
    entry = {"file_path": "t.csv"} | ({"timestamp_format": fmt} if inner else {})
    config = {"base_path": str(tmp_path), "timestamp_format": "%d/%m/%y" if inner else fmt, "files": {"trades": entry}}
    convert(tmp_path, config=config)
    assert frame(tmp_path)["ts_event"].to_list() == [MIDNIGHT]


def test_times_of_no_known_format_name_the_first_bad_value_and_the_format_to_give(tmp_path: Path) -> None:
    text = "time,price,size\n1 Jan 2024 at noon,1.5,2\n"
    with pytest.raises(
        TimestampParsingFailed, match=r"Timestamp parsing failed .*t\.csv, line 2, column time.*at noon"
    ):
        convert(tmp_path, write(tmp_path, "t.csv", text))
    text = "time,price,size\n31.01.2024 10:00,1.5,2\n"
    with pytest.raises(TimestampParsingFailed) as caught:
        convert(tmp_path, write(tmp_path, "u.csv", text))
    assert '"timestamp_format": "%d.%m.%Y %H:%M"' in caught.value.hint


def test_a_format_that_cannot_be_is_a_usage_error(tmp_path: Path) -> None:
    write(tmp_path, "t.csv", HEADER + ROWS)
    with pytest.raises(UsageError, match="timestamp_format cannot be used"):
        convert(
            tmp_path,
            config={"base_path": str(tmp_path), "timestamp_format": "%Q", "files": {"trades": {"file_path": "t.csv"}}},
        )


# ---------------------------------------------------------------- rows 51 to 53, 93, 94: mappings


def test_missing_columns_are_named_with_those_found_and_the_mapping_to_write(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", "when,how_much,kurs\n1704067200,2,1.5\n")
    with pytest.raises(MissingColumns) as caught:
        convert(tmp_path, path)
    assert "Missing required columns" in caught.value.message
    assert "'when', 'how_much', 'kurs'" in caught.value.message
    example = json.loads(caught.value.hint[caught.value.hint.index("{") :])
    mapping = example["files"]["trades"]["columns"]
    assert set(mapping) == {"timestamp", "price", "size"}
    mapping |= {"timestamp": "when", "price": "kurs", "size": "how_much"}
    assert convert(tmp_path, config={"base_path": str(tmp_path), **example}).ok
    assert trades_of(frame(tmp_path)) == [(MIDNIGHT, "1.5", "2", "NO_AGGRESSOR", None)]


def test_a_mapping_to_a_column_that_is_not_there_names_it(tmp_path: Path) -> None:
    write(tmp_path, "t.csv", HEADER + ROWS)
    columns = {"timestamp": "time", "price": "prise", "size": "amount"}
    with pytest.raises(MissingColumns, match="no column named 'prise'"):
        convert(
            tmp_path,
            config={"base_path": str(tmp_path), "files": {"trades": {"file_path": "t.csv", "columns": columns}}},
        )


def test_a_mapping_is_complete_and_other_symbols_stay_out(tmp_path: Path) -> None:
    write(tmp_path, "t.csv", HEADER + ROWS + "2024-01-01 00:00:02,ETHUSDT,2281.1,1,BUY,9\n")
    columns = {"timestamp": "time", "price": "price", "size": "amount"}
    done = convert(
        tmp_path, config={"base_path": str(tmp_path), "files": {"trades": {"file_path": "t.csv", "columns": columns}}}
    )
    assert trades_of(frame(tmp_path)) == [(row[0], row[1], row[2], "NO_AGGRESSOR", None) for row in GUIDE]
    assert any("other symbol" in note for note in done.notes)


def test_a_changed_mapping_reads_an_unchanged_file_again(tmp_path: Path) -> None:
    write(tmp_path, "t.csv", "time,price,other_price,size\n1704067200,1.5,1.7,2\n")

    def run_with(price: str) -> list[str]:
        columns = {"timestamp": "time", "price": price, "size": "size"}
        entry = {"file_path": "t.csv", "columns": columns}
        convert(tmp_path, config={"base_path": str(tmp_path), "files": {"trades": entry}}, force=True)
        return [row[1] for row in trades_of(frame(tmp_path))]

    assert run_with("price") == ["1.5"]
    assert run_with("other_price") == ["1.7"]


# ---------------------------------------------------------------- containers, encodings, quotes


def _zip(data: bytes, path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("t.csv", data)


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "csv.zst", "csv.bz2", "zip"])
def test_every_container_gives_the_same_frame(tmp_path: Path, suffix: str) -> None:
    data = (HEADER + ROWS).encode()
    path = tmp_path / f"t.{suffix}"
    match suffix:
        case "csv.gz":
            path.write_bytes(gzip.compress(data))
        case "csv.zst":
            path.write_bytes(zstandard.compress(data))
        case "csv.bz2":
            path.write_bytes(bz2.compress(data))
        case "zip":
            _zip(data, path)
        case _:
            path.write_bytes(data)
    assert convert(tmp_path, path).ok
    assert trades_of(frame(tmp_path)) == GUIDE


def test_a_zip_file_with_two_files_in_it_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("a.csv", HEADER + ROWS)
        archive.writestr("b.csv", HEADER + ROWS)
    with pytest.raises(SeveralInOne, match=r"holds 2 files \(a.csv, b.csv\): expected one"):
        convert(tmp_path, tmp_path / "t.zip")


@pytest.mark.parametrize("cut", [30, 200])
@pytest.mark.parametrize("suffix", ["csv.bz2", "zip"])
def test_a_container_that_is_cut_short_is_told(tmp_path: Path, suffix: str, cut: int) -> None:
    data = (HEADER + "".join(f"{1704067200 + n},BTCUSDT,42500.{n},0.0{n},BUY,{n}\n" for n in range(1, 4000))).encode()
    path = tmp_path / f"t.{suffix}"
    if suffix == "zip":
        _zip(data, path)
    else:
        path.write_bytes(bz2.compress(data, 1))
    path.write_bytes(path.read_bytes()[:-cut])
    try:
        done = convert(tmp_path, path)
    except (RawDamaged, NoDataFetched):
        return
    assert any("ends too early" in note for note in done.notes)


def test_garbage_that_is_named_csv_gz_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileRefused, match="is no gzip, though its name says so"):
        convert(tmp_path, write(tmp_path, "t.csv.gz", bytes(range(256)) * 4096))
    with pytest.raises(RawDamaged, match="no text"):
        convert(tmp_path, write(tmp_path, "t.csv", bytes(range(256)) * 4096))


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("quoted", [False, True])
def test_line_ends_marks_delimiters_and_quotes(
    tmp_path: Path, end: str, bom: str, delimiter: str, quoted: bool
) -> None:
    rows = [[f'"{cell}"' if quoted else cell for cell in line.split(",")] for line in (HEADER + ROWS).splitlines()]
    text = bom + (end or "\n").join(delimiter.join(row) for row in rows) + end
    convert(tmp_path, write(tmp_path, "t.csv", text))
    assert trades_of(frame(tmp_path)) == GUIDE


def test_a_quoted_cell_may_hold_delimiters_quotes_and_line_ends(tmp_path: Path) -> None:
    text = (
        "time,note,price,size,id\n"
        '1704067200,"a, ""b""\nand more, of it\n",1.5,2,7\n'
        '1704067201,plain 5" pipe,1.6,2,8\n'
        '1704067202,"never closed,1.7,2,9\n'
        '1704067203,"x"y,1.7,2,10\n'
        '1704067204,"fine",1.8,2,11\n'
    )
    done = convert(tmp_path, write(tmp_path, "t.csv", text))
    assert [(row[0] - MIDNIGHT) // SECOND for row in trades_of(frame(tmp_path))] == [0, 1, 4]
    assert line_rejects(tmp_path) == [(6, "wrong_type"), (7, "wrong_type")]
    assert done.lines == 8


def test_what_is_wrong_with_a_cell_is_a_reject_with_its_line(tmp_path: Path) -> None:
    text = HEADER + ROWS + (
        "2024-01-01 00:00:02,BTCUSDT,,0.1,BUY,3\n"
        "2024-01-01 00:00:03,BTCUSDT,1.2.3,0.1,BUY,4\n"
        '2024-01-01 00:00:04,BTCUSDT,"1,5",0.1,BUY,5\n'
        "2024-01-01 00:00:05,BTCUSDT,1.5,0.1,hold,6\n"
        "2024-01-01 00:00:06,BTCUSDT,1.5,0,BUY,7\n"
        "2024-01-01 00:00:07,BTCUSDT,-1.5,1,BUY,8\n"
        "2024-01-01 00:00:08,BTCUSDT,1.5,1,BUY,9,left over\n"
        "2024-01-01 00:00:09,BTCUSDT,1.5\n"
    )  # fmt: skip
    done = convert(tmp_path, write(tmp_path, "t.csv", text))
    assert done.ok
    assert trades_of(frame(tmp_path)) == GUIDE
    assert rejects(tmp_path) == [
        (4, "missing_field"),
        (5, "bad_decimal"),
        (6, "bad_decimal"),
        (7, "missing_side"),
        (8, "zero_size"),
        (9, "negative"),
        (10, "wrong_type"),
        (11, "missing_field"),
    ]


def test_blank_lines_repeated_headers_and_bad_bytes_are_accounted_for(tmp_path: Path) -> None:
    text = (HEADER + "\n" + ROWS + "  \n" + HEADER).encode() + b"2024-01-01 00:00:02,BTCUSDT,1,1,BUY,\xff\xfe\n"
    done = convert(tmp_path, write(tmp_path, "t.csv", text))
    assert trades_of(frame(tmp_path)) == GUIDE
    assert done.by_stream == {"trade": 2, "header": 2}
    assert line_rejects(tmp_path) == [(7, "not_utf8")]
    assert done.lines == 7


def test_newest_first_is_turned_round_to_the_last_detail(tmp_path: Path) -> None:
    rows = [f"{1704067200 + n // 3},{100 + n},1,buy,id-{n:03}" for n in range(30)]
    done = convert(tmp_path, write(tmp_path, "t.csv", "\n".join(["time,price,size,side,id", *reversed(rows)]) + "\n"))
    assert frame(tmp_path)["trade_id"].to_list() == [f"id-{n:03}" for n in range(30)]
    assert "nothing_cleaned" not in done.days[0].warned, "the order of some archives is no fault"


def test_shuffled_rows_are_sorted_and_repeated_ones_dropped(tmp_path: Path) -> None:
    order = [5, 1, 4, 2, 0, 3, 3, 5]
    text = "time,price,size,side,id\n" + "".join(f"{1704067200 + n},{100 + n},1,buy,{n}\n" for n in order)
    done = convert(tmp_path, write(tmp_path, "t.csv", text))
    assert frame(tmp_path)["trade_id"].to_list() == ["0", "1", "2", "3", "4", "5"]
    assert done.days[0].rows["exact_duplicates"] == 2
    assert "nothing_cleaned" in done.days[0].warned


# ---------------------------------------------------------------- C16: made ids


def test_trades_without_ids_get_the_same_ones_on_every_run_and_twins_are_numbered(tmp_path: Path) -> None:
    text = "time,price,size,side\n" + "1704067200,1.5,2,buy\n" * 3 + "1704067200,1.5,3,buy\n1704067201,1.5,2,buy\n"
    convert(tmp_path, write(tmp_path, "t.csv", text))
    ids = frame(tmp_path)["trade_id"].to_list()
    assert len(set(ids)) == 5
    assert ids[1:3] == [f"{ids[0]}-2", f"{ids[0]}-3"]
    shuffled = "time,price,size,side\n1704067201,1.5,2,buy\n1704067200,1.5,3,buy\n" + "1704067200,1.5,2,buy\n" * 3
    other = tmp_path / "other"
    other.mkdir()
    convert(other, write(other, "t.csv", shuffled))
    assert sorted(frame(other)["trade_id"].to_list()) == sorted(ids)


def test_a_file_that_lands_twice_doubles_nothing_though_it_has_no_ids(tmp_path: Path) -> None:
    text = "time,price,size,side\n" + "1704067200,1.5,2,buy\n" * 2 + "1704067201,1.5,2,buy\n"
    done = convert(tmp_path, write(tmp_path, "a.csv", text), write(tmp_path, "b.csv", text))
    assert len(frame(tmp_path)) == 3
    assert done.days[0].rows["exact_duplicates"] == 3


# ---------------------------------------------------------------- many symbols, many days, many runs


def test_a_file_of_many_days_and_symbols_is_read_once_and_split(tmp_path: Path) -> None:
    rows = [f"{1704067200 + n * 40_000},{('BTCUSDT', 'ETHUSDT')[n % 2]},{100 + n},1,buy,{n}" for n in range(12)]
    path = write(tmp_path, "t.csv", "\n".join(["time,symbol,price,size,side,id", *rows]) + "\n")
    done = convert(tmp_path, path, symbol="BTCUSDT,ETHUSDT")
    assert done.lines == 13
    assert done.rows == 12
    assert len({(day.instrument_id, day.date) for day in done.days}) == len(done.days)
    again = convert(tmp_path, path, symbol="BTCUSDT,ETHUSDT")
    assert all(day.skipped for day in again.days)
    assert again.lines == 13  # of all files, read now or before


def test_a_file_without_a_symbol_is_that_of_the_symbol_in_its_name(tmp_path: Path) -> None:
    landing = tmp_path / "data" / "raw" / "csv"
    landing.mkdir(parents=True)
    for symbol, price in (("BTCUSDT", "42500.5"), ("ETHUSDT", "2281.1")):
        write(landing, f"{symbol}-trades-2024-01-01.csv", f"1,{price},1,{price},1704067200000,true\n")
    done = convert(tmp_path, config={"trade_kind": "trade"}, symbol="BTCUSDT")
    assert [row[1] for row in trades_of(frame(tmp_path))] == ["42500.5"]
    assert any("other symbol" in note and "ETHUSDT" in note for note in done.notes)


def test_nothing_for_the_symbol_says_what_the_file_holds(tmp_path: Path) -> None:
    with pytest.raises(NoDataFetched, match=r"No data fetched.*other symbols: BTCUSDT"):
        convert(tmp_path, write(tmp_path, "t.csv", HEADER + ROWS), symbol="SOLUSDT")
    with pytest.raises(NoDataFetched, match=r"BTCUSDT 2024-01-01 \.\. 2024-01-01"):
        _between(tmp_path, tmp_path / "t.csv", "2024-02-01", "2024-02-02")


def _between(tmp_path: Path, path: Path, start: str, end: str) -> Any:
    from hedgegrid_assets.pipeline.request import request
    from hedgegrid_assets.pipeline.run import run

    return run(
        request(
            "csv",
            "BTCUSDT",
            start,
            end,
            output_path=tmp_path / "c",
            data=tmp_path / "d",
            source_config={"inputs": [str(path)]},
        )
    )


def test_a_value_finer_than_the_instrument_names_the_command_that_widens_it(tmp_path: Path) -> None:
    convert(tmp_path, write(tmp_path, "a.csv", HEADER + ROWS))
    done = convert(tmp_path, write(tmp_path, "b.csv", HEADER + "2024-01-02 00:00:00,BTCUSDT,42500.123,0.1,BUY,9\n"))
    assert not done.ok
    assert "hedgegrid instruments widen BTCUSDT-PERP.BINANCE --price-precision 3" in str(done.days[0].error)


@pytest.mark.parametrize(("compression", "codec"), [("zstd", "ZSTD"), ("snappy", "SNAPPY"), ("none", "UNCOMPRESSED")])
def test_compression_is_as_asked(tmp_path: Path, compression: str, codec: str) -> None:
    import pyarrow.parquet as pq

    convert(tmp_path, FIXTURES / "guide.csv", compression=compression)
    files = sorted((tmp_path / "catalog/data/trade_tick").rglob("*.parquet"))
    assert {pq.ParquetFile(file).metadata.row_group(0).column(0).compression for file in files} == {codec}


def test_jobs_and_force_give_the_same_bytes(tmp_path: Path) -> None:
    rows = "".join(f"{1704067200 + n * 40_000},{100 + n},1,buy,{n}\n" for n in range(12))
    path = write(tmp_path, "t.csv", f"time,price,size,side,id\n{rows}")
    convert(tmp_path, path, jobs=4)
    before = _bytes_below(tmp_path / "catalog")
    done = convert(tmp_path, path, force=True)
    assert not any(day.skipped for day in done.days)
    assert before == _bytes_below(tmp_path / "catalog")


def _bytes_below(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*.parquet") if path.is_file()}


def test_gaps_of_trades_are_watched_and_those_of_prices_off_unless_the_feed_sets_them(tmp_path: Path) -> None:
    done = convert(tmp_path, write(tmp_path, "t.csv", "time,price,size,id\n1704067200,1,1,1\n1704150000,1,1,2\n"))
    assert (done.days[0].gaps, "no_time_gaps" in done.days[0].off) == (1, False)
    marks = write(tmp_path, "m.csv", "time,mark_price\n1704067200,1\n1704150000,1\n")
    done = convert(tmp_path, marks, tokens="mark")
    assert (done.days[0].gaps, "no_time_gaps" in done.days[0].off) == (0, True)


def test_the_frame_is_the_same_whatever_the_blocks_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = "".join(f'{1704067200 + n},"note\n{n}",{100 + n},1,buy\n' for n in range(200))
    path = write(tmp_path, "t.csv", f"time,note,price,size,side\n{rows}")
    whole = tmp_path / "whole"
    whole.mkdir()
    convert(whole, path)
    with_blocks_of(100, monkeypatch)
    convert(tmp_path, path)
    assert frame(tmp_path).equals(frame(whole))
    assert isinstance(frame(whole), pl.DataFrame)


def test_a_block_may_begin_with_a_line_of_far_too_many_cells() -> None:
    found = cells.read(Block(b"1,2,3,4,5,6\n7,8\n", 9), 2, ",", [0, 1])
    assert found.frame.rows() == [(9, "1", "2", "3"), (10, "7", "8", "")]


@pytest.mark.parametrize(
    ("tail", "extra"),
    [("", ""), (",", ""), (",,,", ""), (", ,", ""), (",9", "9"), (",,9", "9"), (", ,,9,8", "9"), (",,1,2\r", "1")],
)
@pytest.mark.parametrize("other", ["7,8", "", "7,", '"7",8', '"7,6",8', '7,"8', '"7,,,,6",8'])
@pytest.mark.parametrize("last", ["", "5,6\n"])
def test_what_stands_behind_an_empty_cell_too_many_is_told(tail: str, extra: str, other: str, last: str) -> None:
    """Also where other lines of the block have as many cells too few."""
    found = cells.read(Block(f"{other}\n1,2{tail}\n\n\n{last}".encode(), 9), 2, ",", [0])
    assert found.frame.filter(line=10).rows() == [(10, "1", extra)]
    assert found.frame.filter(pl.col("line") != 10)["extra"].unique().to_list() == [""]


@pytest.mark.parametrize(
    ("tail", "extra"),
    [
        (',,"9"', "9"),
        (',"",""', ""),
        (',"",",,"', ",,"),
        (',,"9"",8"', '9",8'),
        (',"",9', "9"),
        (',," ",9', "9"),
        (',,"","",9', "9"),
    ],
)
@pytest.mark.parametrize("quoted", ['"1"', '"1,1"', '"a ""b"" c"'])
def test_quoted_cells_behind_an_empty_cell_too_many_are_told(quoted: str, tail: str, extra: str) -> None:
    found = cells.read(Block(f"{quoted},2{tail}\n{quoted},4\n".encode(), 0), 2, ",", [1])
    assert found.frame.rows() == [(0, "2", extra), (1, "4", "")]


@pytest.mark.parametrize(("tail", "taken"), [(",,2024-01-01 10:00:11,7,1", False), (",,,", True), (",,9", False)])
def test_a_row_that_another_one_was_joined_to_is_refused(tail: str, taken: bool, tmp_path: Path) -> None:
    rows = [f"2024-01-01 10:00:{n},100.25,1.5,buy,{n}" for n in range(10, 20)]
    rows[5] += tail
    done = convert(tmp_path, write(tmp_path, "t.csv", "\n".join(["time,price,amount,side,id", *rows, ""])))
    assert (frame(tmp_path).height, done.ok) == (9 + taken, True)


def test_a_spot_dump_is_a_spot_pair_where_the_configuration_says_so(tmp_path: Path) -> None:
    from hedgegrid_assets.instruments import read_definitions

    entry = {"file_path": str(FIXTURES / "binance_spot_trades.csv")}
    assert convert(tmp_path, config={"market": "spot", "files": {"trades": entry}}).ok
    assert read_definitions(tmp_path / "catalog")["BTCUSDT.BINANCE"].kind == "currency_pair"


def test_marks_once_a_minute_are_no_worse_for_it(tmp_path: Path) -> None:
    text = "time,mark_price\n" + "".join(f"{1704067200 + 60 * n},{100 + n}\n" for n in range(1440))
    done = convert(tmp_path, write(tmp_path, "t.csv", text), tokens="mark")
    assert [day.status for day in done.days] == ["complete"]


def test_a_banner_with_commas_before_the_header_is_passed_over(tmp_path: Path) -> None:
    convert(tmp_path, write(tmp_path, "t.csv", "Exported by somebody, on a Monday, for you\n\n" + HEADER + ROWS))
    assert trades_of(frame(tmp_path)) == GUIDE


def test_a_time_column_that_is_empty_at_first_is_read_as_the_other_one(tmp_path: Path) -> None:
    rows = "".join(f"{1704067200000 + n},1.5,0.0001,{'' if n < 5 else 1704096000000}\n" for n in range(9))
    path = write(tmp_path, "t.csv", f"timestamp,mark_price,funding_rate,next_funding_time\n{rows}")
    convert(tmp_path, path, tokens="funding")
    assert frame(tmp_path, "funding_rate_update")["next_funding_time"].null_count() == 5


def test_a_file_that_turns_to_garbage_after_its_header_ends_clearly(tmp_path: Path) -> None:
    with pytest.raises(RawDamaged, match="lines, most of it, cannot be read"):
        convert(tmp_path, write(tmp_path, "t.csv", HEADER + ROWS * 90_000 + "%&/()=\n" * 300_000))


@pytest.mark.parametrize(
    ("name", "pack", "told"),
    [
        ("t.csv.zip", bytes, "no zip, though its name says so: it is read as the plain text that it is"),
        ("t.gz", bytes, "no gzip, though its name says so: it is read as the plain text that it is"),
        ("t.csv.zst", gzip.compress, "no zstd, though its name says so: it is read as the gzip that it is"),
        ("t.csv.gz", gzip.compress, ""),
        ("t.csv", gzip.compress, ""),
    ],
)
def test_a_file_that_is_not_packed_as_its_name_says_is_read_as_what_it_is_and_told(
    name: str, pack: Callable[[bytes], bytes], told: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(pack(b"timestamp,price,size,side,id\n1704067200,1.5,2,buy,1\n1704067201,1.5,2,sell,2\n"))
    done = convert(tmp_path, path)
    assert len(frame(tmp_path)) == 2
    assert [note for note in done.notes if "though its name" in note] == ([f"{path}: {told}"] if told else [])
