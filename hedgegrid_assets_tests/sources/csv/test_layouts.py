"""Public dumps as exchanges write them: two languages in a header, no header, other encodings, columns by position."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from hedgegrid_assets.errors import (
    EncodingUnknown,
    FileContradicts,
    MissingColumns,
    RawDamaged,
    SidesUnknown,
    UsageError,
)
from hedgegrid_assets.sources.csv.encodings import guess
from hedgegrid_assets.sources.csv.names import found_by, front
from hedgegrid_assets_tests.csv_cases import MIDNIGHT, SECOND, convert, frame, line_rejects, trades_of, write

CHINESE = "trade_id/撮合id,side/交易方向,size/数量,price/价格,created_time/成交时间\n"
ROWS = "719977054,buy,0.00527188,84760.0,1704067200000\n719977057,sell,0.0277,84760.1,1704067201000\n"
TRADES = [
    (MIDNIGHT, "84760", "0.00527188", "BUYER", "719977054"),
    (MIDNIGHT + SECOND, "84760.1", "0.0277", "SELLER", "719977057"),
]
OKX = {"symbol": "BTC-USDT", "exchange": "OKX"}
HEADER = "time,symbol,price,amount,side,id,note\n"
NOTED = "2024-01-01 00:00:00,BTCUSDT,42500.50,0.025,BUY,1001,zwölf\n2024-01-01 00:00:01,BTCUSDT,42501.00,0.1,SELL,1002,élan\n"


def of(tmp_path: Path, instrument: str = "BTC-USDT.OKX") -> list[Any]:
    return trades_of(frame(tmp_path, instrument=instrument))


def config(tmp_path: Path, name: str = "t.csv", **more: Any) -> dict[str, Any]:
    return {"base_path": str(tmp_path), "files": {"trades": {"file_path": name, **more}}}


# ---------------------------------------------------------------- OKX


@pytest.mark.parametrize("encoding", ["utf-8", "gbk"])
@pytest.mark.parametrize("container", ["csv", "zip"])
def test_a_header_in_two_languages_is_read_by_its_english_half(tmp_path: Path, encoding: str, container: str) -> None:
    data = (CHINESE + ROWS).encode(encoding)
    path = tmp_path / f"BTC-USDT-trades-2024-01-01.{container}"
    if container == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("BTC-USDT-trades-2024-01-01.csv", data)
    else:
        path.write_bytes(data)
    done = convert(tmp_path, path, **OKX)
    assert of(tmp_path) == TRADES
    assert done.by_stream == {"trade": 2, "header": 1}
    assert any("read as gbk" in note for note in done.notes) == (encoding == "gbk")


def test_a_mapping_to_the_chinese_names_reads_them_too(tmp_path: Path) -> None:
    write(tmp_path, "t.csv", (CHINESE + ROWS).encode("gbk"))
    names = CHINESE.strip().split(",")
    columns = dict(zip(("trade_id", "aggressor_side", "size", "price", "timestamp"), names, strict=True))
    assert convert(tmp_path, config=config(tmp_path, columns=columns), **OKX).ok
    assert of(tmp_path) == TRADES


def test_a_dump_of_okx_without_a_header_is_known(tmp_path: Path) -> None:
    done = convert(tmp_path, write(tmp_path, "BTC-USDT-2021-12-31.csv", ROWS), **OKX)
    assert of(tmp_path) == TRADES
    assert any("no header line: read as OKX trades" in note for note in done.notes)


@pytest.mark.parametrize("text", [ROWS, CHINESE + ROWS])
def test_a_dump_of_okx_is_no_perpetual_of_binance(tmp_path: Path, text: str) -> None:
    with pytest.raises(FileContradicts, match="trades of OKX"):
        convert(tmp_path, write(tmp_path, "t.csv", text))


# ---------------------------------------------------------------- Gate


def test_signed_sizes_of_gate_futures_are_the_takers_side(tmp_path: Path) -> None:
    text = "1704067200.000001,11,42500.5,3\n1704067201.5,12,42501,2\n".replace("201.5,", "201.500000,")
    settings = {"instruments": {"BTC_USDT": {"multiplier": "0.0001"}}}
    path = write(tmp_path, "BTC_USDT-202401.csv", text)
    convert(tmp_path, config={"inputs": [str(path)], **settings}, symbol="BTC_USDT", exchange="GATE_IO")
    assert of(tmp_path, "BTC_USDT-PERP.GATE_IO") == [
        (MIDNIGHT + 1_000, "42500.5", "3", "BUYER", "11"),
        (MIDNIGHT + 1_500_000_000, "42501", "2", "BUYER", "12"),
    ]


def test_the_codes_of_gate_spot_are_for_the_user_to_say(tmp_path: Path) -> None:
    text = "1704067200.000001,11,42500.5,0.3,1\n1704067201.000000,12,42501,0.2,2\n"
    path = write(tmp_path, "BTC_USDT-202401.csv", text)
    with pytest.raises(SidesUnknown) as caught:
        convert(tmp_path, path, symbol="BTC_USDT", exchange="GATE_IO", market="spot")
    example = json.loads(caught.value.hint[caught.value.hint.index("{") :])
    example["files"]["trades"]["sides"] = {"1": "sell", "2": "buy"}
    given = {"base_path": str(tmp_path), **example}
    assert convert(tmp_path, config=given, symbol="BTC_USDT", exchange="GATE_IO", market="spot").ok
    assert [row[3] for row in of(tmp_path, "BTC_USDT.GATE_IO")] == ["SELLER", "BUYER"]


# ---------------------------------------------------------------- positions


def test_columns_by_position_need_no_header(tmp_path: Path) -> None:
    write(tmp_path, "t.csv", "x;42500.5;0.1;1704067200000;s\ny;42501;0.2;1704067201000;b\n")
    columns = {"timestamp": 3, "price": 1, "size": 2, "aggressor_side": 4}
    done = convert(tmp_path, config=config(tmp_path, columns=columns))
    assert of(tmp_path, "BTCUSDT-PERP.BINANCE") == [
        (MIDNIGHT, "42500.5", "0.1", "SELLER", None),
        (MIDNIGHT + SECOND, "42501", "0.2", "BUYER", None),
    ]
    assert done.by_stream == {"trade": 2}


def test_columns_by_position_pass_over_a_header_that_is_there(tmp_path: Path) -> None:
    write(tmp_path, "t.csv", "wann,kurs,menge\n1704067200,1.5,2\n")
    done = convert(tmp_path, config=config(tmp_path, columns={"timestamp": 0, "price": 1, "size": 2}))
    assert done.by_stream == {"trade": 1, "header": 1}


def test_names_and_positions_may_be_mixed_and_hold_the_symbol(tmp_path: Path) -> None:
    write(tmp_path, "t.csv", "wann,was,kurs,menge\n1704067200,BTCUSDT,1.5,2\n1704067200,ETHUSDT,1.6,2\n")
    columns = {"timestamp": "wann", "symbol": 1, "price": 2, "size": "menge"}
    convert(tmp_path, config=config(tmp_path, columns=columns))
    assert [row[1] for row in of(tmp_path, "BTCUSDT-PERP.BINANCE")] == ["1.5"]


def test_a_position_that_is_not_there_is_named(tmp_path: Path) -> None:
    write(tmp_path, "t.csv", "1704067200,1.5,2\n")
    with pytest.raises(MissingColumns, match="no column at 7: there are 3"):
        convert(tmp_path, config=config(tmp_path, columns={"timestamp": 0, "price": 1, "size": 7}))
    for wrong in (-1, True, 1.0):
        with pytest.raises(UsageError):
            convert(tmp_path, config=config(tmp_path, columns={"timestamp": 0, "price": 1, "size": wrong}))


def test_a_file_without_a_header_that_nobody_knows_is_offered_positions(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", "x,1.5,2,1704067200,y\n")
    with pytest.raises(MissingColumns, match="no header line") as caught:
        convert(tmp_path, path)
    example = json.loads(caught.value.hint[caught.value.hint.index("{") :])
    assert all("position" in said for said in example["files"]["trades"]["columns"].values())
    example["files"]["trades"]["columns"] = {"timestamp": 3, "price": 1, "size": 2}
    assert convert(tmp_path, config={"base_path": str(tmp_path), **example}).ok


# ---------------------------------------------------------------- encodings


@pytest.mark.parametrize(
    "encoding", ["cp1252", "latin-1", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8", "cp437"]
)
@pytest.mark.parametrize("where", ["file", "top"])
def test_any_codec_of_python_reads_the_same_rows(tmp_path: Path, encoding: str, where: str) -> None:
    write(tmp_path, "t.csv", (HEADER + NOTED).encode(encoding))
    given = config(tmp_path, encoding=encoding) if where == "file" else config(tmp_path) | {"encoding": encoding}
    done = convert(tmp_path, config=given)
    assert [row[4] for row in of(tmp_path, "BTCUSDT-PERP.BINANCE")] == ["1001", "1002"]
    assert done.lines == 3


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_the_right_encoding_is_offered_and_works(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path, "t.csv", (HEADER + NOTED).encode(encoding))
    with pytest.raises(EncodingUnknown) as caught:
        convert(tmp_path, path)
    offered = json.loads("{" + caught.value.hint[caught.value.hint.index('"encoding"') :] + "}")
    assert convert(tmp_path, config=config(tmp_path) | offered).ok


def test_rows_in_chinese_are_offered_their_encoding(tmp_path: Path) -> None:
    text = CHINESE.replace("\n", ",注\n") + ROWS.replace("\n", ",买入\n")
    path = write(tmp_path, "t.csv", text.encode("gbk"))
    with pytest.raises(EncodingUnknown, match="gbk"):
        convert(tmp_path, path, **OKX)
    convert(tmp_path, config={"inputs": [str(path)], "encoding": "gbk"}, **OKX)
    assert of(tmp_path) == TRADES


def test_lines_keep_their_numbers_and_bytes_of_no_encoding_are_rejects(tmp_path: Path) -> None:
    data = CHINESE.encode("gbk") + ROWS.encode() + b"719977058,buy\xff\xff,1,1,1704067202000\n" + b"x\n"
    path = write(tmp_path, "t.csv", data)
    convert(tmp_path, config={"inputs": [str(path)], "encoding": "gbk"}, **OKX)
    assert of(tmp_path) == TRADES
    assert line_rejects(tmp_path) == [(4, "not_utf8"), (5, "unknown_time")]


@pytest.mark.parametrize("encoding", ["klingon", "hex", "zip", "rot13", ""])
def test_what_is_no_text_encoding_is_no_configuration(tmp_path: Path, encoding: str) -> None:
    write(tmp_path, "t.csv", ROWS)
    with pytest.raises(UsageError, match="encoding"):
        convert(tmp_path, config=config(tmp_path, encoding=encoding))


def test_the_same_bytes_in_another_encoding_are_read_again(tmp_path: Path) -> None:
    write(tmp_path, "t.csv", (HEADER + NOTED).encode("utf-16-le"))
    with pytest.raises((RawDamaged, EncodingUnknown, MissingColumns)):
        convert(tmp_path, config=config(tmp_path, encoding="cp1252"))
    assert convert(tmp_path, config=config(tmp_path, encoding="utf-16-le")).ok


def test_blocks_may_end_inside_a_letter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hedgegrid_assets.store import blocks

    rows = "".join(f"{1704067200 + n},{100 + n},1,buy,买入{n}\n" for n in range(100))
    path = write(tmp_path, "t.csv", f"time,price,size,side,备注\n{rows}".encode("gb18030"))
    monkeypatch.setattr(blocks, "_READ_BYTES", 7)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 48)
    convert(tmp_path, config={"inputs": [str(path)], "encoding": "gb18030"})
    assert len(frame(tmp_path)) == 100


@pytest.mark.parametrize(
    ("data", "codec"),
    [
        (CHINESE.encode("gbk"), "gbk"),
        ("zwölf,élan\n".encode("cp1252"), "cp1252"),
        (HEADER.encode("utf-16"), "utf-16"),
        (HEADER.encode("utf-16-be"), "utf-16-be"),
        (HEADER.encode("utf-32"), "utf-32"),
        (bytes(range(256)), None),
    ],
)
def test_the_encoding_of_bytes(data: bytes, codec: str | None) -> None:
    assert guess(data) == codec


# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("column", "names", "place"),
    [
        ("size", ("volume(quote)", "size(base)"), 1),
        ("size", ("Volume (USDT)", "x"), None),
        ("size", ("amount/数量", "size"), 1),
        ("price", ("price/价格", "y"), 0),
        ("timestamp", ("created_time/成交时间",), 0),
        ("timestamp", ("time[ms]",), 0),
        ("price", ("BTC/USDT", "x"), None),
    ],
)
def test_a_name_counts_without_what_goes_on_behind_it(column: str, names: tuple[str, ...], place: int | None) -> None:
    found = found_by(column, names)
    assert (found[0] if found else None) == place


def test_the_front_of_a_name() -> None:
    assert [front(name) for name in ("size/数量", "price", "/x", "amount (base)")] == ["size", "price", "/x", "amount"]


@pytest.mark.parametrize(
    ("header", "row", "exchange", "symbol"),
    [
        ("trade_id,trade_time,price,size,side", "a1,1704067200000,1.5,2,buy", "KUCOIN", "BTC-USDT"),
        ("trade_id,timestamp,price,side,volume(quote),size(base)", "a1,1704067200000,1.5,buy,3,2", "BITGET", "BTCUSDT"),
        ("time,trade_id,price,size,taker_side", "2024-01-01T00:00:00Z,a1,1.5,2,buy", "COINBASE", "BTC-USD"),
        ("id,price,qty,base_qty,time,is_buyer_maker", "a1,1.5,2,3,1704067200000,false", "BINANCE", "BTCUSD_PERP"),
        ("id,timestamp,price,volume,side,rpi", "a1,1704067200000,1.5,2,Buy,0", "BYBIT", "BTCUSDT"),
    ],
)
def test_dumps_of_other_exchanges(tmp_path: Path, header: str, row: str, exchange: str, symbol: str) -> None:
    done = convert(tmp_path, write(tmp_path, "t.csv", f"{header}\n{row}\n"), exchange=exchange, symbol=symbol)
    assert of(tmp_path, done.days[0].instrument_id) == [(MIDNIGHT, "1.5", "2", "BUYER", "a1")]
