"""Captures of Bybit and OKX: messages in envelopes, as the venues' own pages show them, by every way into a catalog."""

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import polars as pl
import pytest
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from hedgegrid_assets.batch import Block
from hedgegrid_assets.cli import run
from hedgegrid_assets.dialect import Dialect
from hedgegrid_assets.inspect.validation import validate_catalog
from hedgegrid_assets.model import InstrumentDay
from hedgegrid_assets.sources import SOURCES
from hedgegrid_assets.stages.frames import read_blocks
from hedgegrid_assets.stages.verdict import read_verdict
from hedgegrid_assets.store import Places, plain
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets_tests.scenario import DAY, MIDNIGHT_MS

pytestmark = pytest.mark.usefixtures("workdir")

PLACES: Final = Places(Path("data"), Path("data/catalog"))
LINEAR: Final = "BTCUSDT-LINEAR.BYBIT"
SWAP: Final = "BTC-USDT-SWAP.OKX"


def received(at_ms: int, message: Any) -> str:
    """A line of a capture, 2 ms after the venue sent it."""
    text = message if isinstance(message, str) else json.dumps(message, separators=(",", ":"))
    return f"{(at_ms + 2) * 1_000_000} {text}"


def bybit(topic: str, at_ms: int, data: Any, kind: str = "snapshot", **more: Any) -> str:
    return received(at_ms, {"topic": topic, "type": kind, "ts": at_ms, "data": data} | more)


def bybit_trade(number: int, at_ms: int, side: str = "Buy", **changed: Any) -> dict[str, Any]:
    trade = {"T": at_ms, "s": "BTCUSDT", "S": side, "v": "0.001", "p": "16578.50", "L": "PlusTick"}
    return trade | {"i": f"20f43950-d8dd-5b31-9112-a178eb60{number:04}", "BT": False, "seq": 1783284617} | changed


def okx(channel: str, at_ms: int, *data: dict[str, Any], symbol: str = "BTC-USDT-SWAP", **more: Any) -> str:
    rows = [{"instId": symbol} | row | {"ts": str(at_ms)} for row in data]
    return received(at_ms, {"arg": {"channel": channel, "instId": symbol}} | more | {"data": rows})


def okx_book(action: str, at_ms: int, sequence: int, before: int, bids: list[Any], asks: list[Any]) -> str:
    levels = {"asks": asks, "bids": bids, "ts": str(at_ms), "checksum": -855196043}
    message = {"arg": {"channel": "books", "instId": "BTC-USDT-SWAP"}, "action": action}
    return received(at_ms, message | {"data": [levels | {"prevSeqId": before, "seqId": sequence}]})


def convert(source: str, symbol: str, types: str, *lines: str, more: tuple[str, ...] = ()) -> int:
    Path("c.jsonl").write_text("".join(f"{line}\n" for line in lines))
    command = ["replay-to-parquet", "--source", source, "--symbol", symbol, "--input", "c.jsonl", "-q"]
    return run([*command, "--data-types", types, *more])


def frame(instrument: str, table: str) -> pl.DataFrame:
    return pl.concat(read_blocks(PLACES.frame(instrument, TABLES[table].folder, DAY), TABLES[table]))


def verdict(instrument: str, table: str) -> Any:
    found = read_verdict(PLACES, TABLES[table], InstrumentDay(instrument, DAY))
    assert found is not None
    return plain(found)


def answer(instrument: str, table: str, rule: str) -> tuple[bool | None, dict[str, Any]]:
    found = next(each for each in verdict(instrument, table)["rules"] if each["name"] == rule)
    return found["passed"], found["numbers"]


def texts(instrument: str, table: str, *columns: str) -> list[tuple[Any, ...]]:
    found = frame(instrument, table).select(columns)
    return [tuple(str(cell) if isinstance(cell, Decimal) else cell for cell in row) for row in found.rows()]


BOOKS: Final = [
    bybit("orderbook.50.BTCUSDT", MIDNIGHT_MS + 10, {"s": "BTCUSDT", "b": [["16493.50", "0.006"], ["16493.00", "0.100"]],
          "a": [["16611.00", "0.029"], ["16612.00", "0.213"]], "u": 18521288, "seq": 7961638724}, cts=MIDNIGHT_MS + 8),
    bybit("orderbook.50.BTCUSDT", MIDNIGHT_MS + 30, {"s": "BTCUSDT", "b": [], "a": [["16611.00", "0"], ["16613", "1.5"]],
          "u": 18521289, "seq": 7961638725}, "delta", cts=MIDNIGHT_MS + 28),
    bybit("orderbook.50.BTCUSDT", MIDNIGHT_MS + 50, {"s": "BTCUSDT", "b": [["16494.00", "2"]], "a": [],
          "u": 18521290, "seq": 7961638729}, "delta", cts=MIDNIGHT_MS + 48),
]  # fmt: skip
ACK: Final = '{"success":true,"ret_msg":"subscribe","conn_id":"d9avrj8i70nu0j2a80n0-9cfc4","op":"subscribe"}'


# ---------------------------------------------------------------- Bybit


def test_trades_of_bybit_are_a_row_each_though_a_message_has_several() -> None:
    first = bybit(
        "publicTrade.BTCUSDT",
        MIDNIGHT_MS + 5,
        [bybit_trade(1, MIDNIGHT_MS + 3), bybit_trade(2, MIDNIGHT_MS + 3, "Sell", v="0.5e-2")],
    )
    again = bybit(
        "publicTrade.BTCUSDT",
        MIDNIGHT_MS + 900,
        [bybit_trade(2, MIDNIGHT_MS + 3, "Sell", v="0.5e-2"), bybit_trade(3, MIDNIGHT_MS + 800)],
    )
    assert convert("bybit-websocket", "BTCUSDT", "trades,bars", ACK, first, "", again) == 0
    assert texts(LINEAR, "trade_tick", "ts_event", "ts_init", "price", "size", "aggressor_side") == [
        ((MIDNIGHT_MS + 3) * 10**6, (MIDNIGHT_MS + 7) * 10**6, "16578.5", "0.001", "BUYER"),
        ((MIDNIGHT_MS + 3) * 10**6, (MIDNIGHT_MS + 7) * 10**6, "16578.5", "0.005", "SELLER"),
        ((MIDNIGHT_MS + 800) * 10**6, (MIDNIGHT_MS + 902) * 10**6, "16578.5", "0.001", "BUYER"),
    ]
    assert verdict(LINEAR, "trade_tick")["rows"]["exact_duplicates"] == 1
    assert answer(LINEAR, "trade_tick", "rows_conserved")[0]
    (bar,) = ParquetDataCatalog(str(Path("data/catalog").resolve())).bars()
    assert (str(bar.bar_type), bar.volume.as_decimal()) == (f"{LINEAR}-1-MINUTE-LAST-EXTERNAL", Decimal("0.007"))
    assert validate_catalog("data/catalog", deep=True).ok


def test_tickers_of_bybit_tell_what_has_changed_and_nothing_else() -> None:
    whole = {"symbol": "BTCUSDT", "lastPrice": "17216.00", "markPrice": "17217.33", "indexPrice": "17227.36", "openInterest": "68744.761",
             "nextFundingTime": str(MIDNIGHT_MS + 8 * 3_600_000), "fundingRate": "-0.000212", "bid1Price": "17215.50"}  # fmt: skip
    lines = [
        bybit("tickers.BTCUSDT", MIDNIGHT_MS, whole, cs=24987956059),
        bybit("tickers.BTCUSDT", MIDNIGHT_MS + 100, {"symbol": "BTCUSDT", "bid1Price": "17215.00"}, "delta"),
        bybit("tickers.BTCUSDT", MIDNIGHT_MS + 200, {"symbol": "BTCUSDT", "markPrice": "17217.40"}, "delta"),
        bybit(
            "tickers.BTCUSDT",
            MIDNIGHT_MS + 300,
            {"symbol": "BTCUSDT", "openInterest": "68744.8", "fundingRate": "-0.0002"},
            "delta",
        ),
    ]
    assert convert("bybit-websocket", "BTCUSDT", "mark,index,open_interest", *lines) == 0
    assert texts(LINEAR, "mark_price_update", "mark_price") == [("17217.33",), ("17217.40",)]
    assert texts(LINEAR, "index_price_update", "index_price") == [("17227.36",)]
    assert [Decimal(value) for (value,) in texts(LINEAR, "open_interest", "open_interest")] == [
        Decimal("68744.761"),
        Decimal("68744.8"),
    ]
    assert verdict(LINEAR, "mark_price_update")["rows"]["not_applicable"] == 2
    given = {table for channel in SOURCES["bybit-websocket"].channels for table in channel.tables}
    assert "funding_rate_update" not in given, "a rate that has changed comes without the time when it is paid"


def test_a_book_of_bybit_is_cleared_once_a_snapshot_and_told_message_by_message() -> None:
    assert convert("bybit-websocket", "BTCUSDT", "deltas", *BOOKS) == 0
    assert texts(LINEAR, "order_book_deltas", "action", "side", "price", "size", "flags", "sequence") == [
        ("CLEAR", "NO_ORDER_SIDE", "0.0", "0.000", 32, 18521288),
        ("ADD", "BUY", "16493.5", "0.006", 32, 18521288),
        ("ADD", "BUY", "16493.0", "0.100", 32, 18521288),
        ("ADD", "SELL", "16611.0", "0.029", 32, 18521288),
        ("ADD", "SELL", "16612.0", "0.213", 160, 18521288),
        ("DELETE", "SELL", "16611.0", "0.000", 0, 18521289),
        ("UPDATE", "SELL", "16613.0", "1.500", 128, 18521289),
        ("UPDATE", "BUY", "16494.0", "2.000", 128, 18521290),
    ]
    assert frame(LINEAR, "order_book_deltas")["ts_event"][0] == (MIDNIGHT_MS + 8) * 10**6
    assert answer(LINEAR, "order_book_deltas", "sequence_continuous")[0]
    assert validate_catalog("data/catalog", deep=True).ok


def test_a_lost_message_of_a_book_and_a_restart_of_its_numbers_are_told_apart() -> None:
    assert convert("bybit-websocket", "BTCUSDT", "deltas", BOOKS[0], BOOKS[2]) == 0
    assert answer(LINEAR, "order_book_deltas", "sequence_continuous")[0] is False
    restart = BOOKS[0].replace("18521288", "1").replace(str(MIDNIGHT_MS + 12), str(MIDNIGHT_MS + 60))
    assert convert("bybit-websocket", "BTCUSDT", "deltas", *BOOKS, restart, more=("--output", "other")) == 0
    found = read_verdict(Places(Path("data"), Path("other")), TABLES["order_book_deltas"], InstrumentDay(LINEAR, DAY))
    assert found is not None
    assert found.rows.rows_out == 13, "no update of before the restart is told again behind its snapshot"
    assert found.numbers_of("sequence_continuous").get("breaks", 0) == 0


def test_a_book_is_carried_over_midnight_without_a_snapshot_of_the_next_day() -> None:
    day = 86_400_000
    later = BOOKS[2].replace(str(MIDNIGHT_MS + 50), str(MIDNIGHT_MS + day + 50))
    later = later.replace(str(MIDNIGHT_MS + 52), str(MIDNIGHT_MS + day + 52))
    assert convert("bybit-websocket", "BTCUSDT", "deltas", *BOOKS[:2], later) == 0
    next_day = InstrumentDay(LINEAR, DAY.replace(day=2))
    (rows,) = read_blocks(PLACES.frame(LINEAR, "order_book_delta", next_day.date), TABLES["order_book_deltas"])
    assert rows["action"].to_list() == ["CLEAR", *["ADD"] * 4, "UPDATE"]
    assert rows["ts_init"][0] == (MIDNIGHT_MS + day) * 10**6
    found = read_verdict(PLACES, TABLES["order_book_deltas"], next_day)
    assert found is not None
    assert not {"sequence_continuous", "starts_with_snapshot"} & {rule.name for rule in found.failed}


def test_two_depths_of_one_book_in_a_file_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        convert("bybit-websocket", "BTCUSDT", "deltas", *BOOKS, BOOKS[1].replace("orderbook.50", "orderbook.200")) == 1
    )
    assert "orderbook.200" in capsys.readouterr().err
    assert not Path("data/catalog/data").exists()


def test_liquidations_of_bybit_name_the_position_and_become_the_forced_order() -> None:
    longs = {"T": MIDNIGHT_MS + 5, "s": "BTCUSDT", "S": "Buy", "v": "0.020", "p": "16500.10"}
    assert (
        convert(
            "bybit-websocket",
            "BTCUSDT",
            "liquidations",
            bybit("allLiquidation.BTCUSDT", MIDNIGHT_MS + 6, [longs, longs | {"S": "Sell", "v": "1"}]),
        )
        == 0
    )
    assert [row[0] for row in texts(LINEAR, "liquidation", "side")] == ["SELL", "BUY"]


def test_a_capture_of_bybit_is_of_its_own_venue_and_spot_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    spot = bybit_trade(1, MIDNIGHT_MS + 3, i="2290000001202469355")
    del spot["L"]
    line = bybit("publicTrade.BTCUSDT", MIDNIGHT_MS + 5, [spot])
    assert convert("bybit-websocket", "BTCUSDT", "trades", line) == 0
    assert frame("BTCUSDT-SPOT.BYBIT", "trade_tick").height == 1
    assert (
        convert("bybit-websocket", "BTCUSDT", "trades", line, more=("--exchange", "BINANCE", "--output", "other")) == 1
    )
    assert "--exchange BYBIT" in capsys.readouterr().err


# ---------------------------------------------------------------- OKX


def test_every_stream_of_okx_gives_its_table() -> None:
    rate = {
        "fundingRate": "0.0001875391284828",
        "fundingTime": str(MIDNIGHT_MS + 28_800_000),
        "nextFundingRate": "",
        "instType": "SWAP",
    }
    lines = [
        '{"event":"subscribe","arg":{"channel":"trades","instId":"BTC-USDT-SWAP"},"connId":"accb8e21"}',
        okx("trades", MIDNIGHT_MS, {"tradeId": "130639474", "px": "42219.9", "sz": "12", "side": "buy", "count": "3", "seqId": 1234}),
        okx("trades", MIDNIGHT_MS + 1, {"tradeId": "130639477", "px": "42220", "sz": "0.5", "side": "sell", "count": "1"}),
        okx("tickers", MIDNIGHT_MS + 2, {"last": "42220", "askPx": "42220.1", "askSz": "7", "bidPx": "42220", "bidSz": "3.5", "instType": "SWAP"}),
        okx("mark-price", MIDNIGHT_MS + 3, {"instType": "SWAP", "markPx": "42310.6"}),
        okx("index-tickers", MIDNIGHT_MS + 4, {"idxPx": "42311.2", "open24h": "42000"}, symbol="BTC-USDT"),
        okx("funding-rate", MIDNIGHT_MS + 5, rate),
        okx("open-interest", MIDNIGHT_MS + 6, {"instType": "SWAP", "oi": "2125419", "oiCcy": "21254.19"}),
    ]  # fmt: skip
    assert convert("okx-websocket", "BTC-USDT-SWAP", "trades,mark,index,funding,quotes,open_interest", *lines) == 0
    assert texts(SWAP, "trade_tick", "price", "size", "aggressor_side", "trade_id") == [
        ("42219.9", "12.0", "BUYER", "130639474"), ("42220.0", "0.5", "SELLER", "130639477")
    ]  # fmt: skip
    assert texts(SWAP, "quote_tick", "bid_price", "ask_price", "bid_size", "ask_size") == [
        ("42220.0", "42220.1", "3.5", "7.0")
    ]
    assert [Decimal(texts(SWAP, table, column)[0][0]) for table, column in (
        ("mark_price_update", "mark_price"), ("index_price_update", "index_price"), ("open_interest", "open_interest")
    )] == [Decimal("42310.6"), Decimal("42311.2"), Decimal(2125419)]  # fmt: skip
    ((told, predicted, due),) = texts(
        SWAP, "funding_rate_update", "funding_rate", "predicted_funding_rate", "next_funding_time"
    )
    assert (Decimal(told), predicted, due) == (Decimal("0.0001875391284828"), None, (MIDNIGHT_MS + 28_800_000) * 10**6)
    assert validate_catalog("data/catalog", deep=True).ok


def test_a_book_of_okx_goes_on_by_the_number_before_it() -> None:
    lines = [
        okx_book("snapshot", MIDNIGHT_MS, 123456, -1, [["8476.97", "256", "0", "12"]], [["8476.98", "415", "0", "13"]]),
        okx_book(
            "update", MIDNIGHT_MS + 10, 123470, 123456, [["8476.97", "0", "0", "0"]], [["8477.00", "7", "0", "2"]]
        ),
        okx_book("update", MIDNIGHT_MS + 20, 123470, 123470, [], []),
        okx_book("update", MIDNIGHT_MS + 30, 123480, 123470, [["8476.50", "1", "0", "1"]], []),
    ]
    assert convert("okx-websocket", "BTC-USDT-SWAP", "deltas", *lines) == 0
    assert [row[2:] for row in texts(SWAP, "order_book_deltas", "action", "side", "price", "size", "sequence")] == [
        ("0.00", "0", 123456), ("8476.97", "256", 123456), ("8476.98", "415", 123456), ("8476.97", "0", 123470),
        ("8477.00", "7", 123470), ("8476.50", "1", 123480),
    ]  # fmt: skip
    assert answer(SWAP, "order_book_deltas", "sequence_continuous")[0]
    lines[1] = lines[1].replace('"prevSeqId":123456', '"prevSeqId":123460')
    assert convert("okx-websocket", "BTC-USDT-SWAP", "deltas", *lines) == 0
    assert answer(SWAP, "order_book_deltas", "sequence_continuous")[0] is False


# ---------------------------------------------------------------- lines


BAD: Final = {
    "a price that is none": (bybit_trade(9, MIDNIGHT_MS, p="16578,5"), "bad_decimal"),
    "a price that is a number": (bybit_trade(9, MIDNIGHT_MS, p=16578), "wrong_type"),
    "no price": ({k: v for k, v in bybit_trade(9, MIDNIGHT_MS).items() if k != "p"}, "missing_field"),
    "no side": ({k: v for k, v in bybit_trade(9, MIDNIGHT_MS).items() if k != "S"}, "missing_side"),
    "a size of zero": (bybit_trade(9, MIDNIGHT_MS, v="0"), "zero_size"),
    "a time that is none": (bybit_trade(9, 12), "unknown_time"),
    "a side that is none": (bybit_trade(10, MIDNIGHT_MS, "Hold"), "wrong_type"),
}


def test_a_row_that_cannot_be_taken_is_rejected_by_its_reason_and_the_others_of_its_message_stay() -> None:
    bad = [row for row, _ in BAD.values()]
    rows = [bybit_trade(1, MIDNIGHT_MS), *bad, bybit_trade(2, MIDNIGHT_MS)]
    assert convert("bybit-websocket", "BTCUSDT", "trades", bybit("publicTrade.BTCUSDT", MIDNIGHT_MS + 5, rows)) == 0
    assert verdict(LINEAR, "trade_tick")["rejects_by_reason"] == dict(Counter(reason for _, reason in BAD.values()))
    assert frame(LINEAR, "trade_tick")["trade_id"].to_list() == [bybit_trade(n, 0)["i"] for n in (1, 2)]


def test_a_trade_of_okx_of_neither_side_is_rejected() -> None:
    trade = {"px": "1.5", "sz": "2", "ts": str(MIDNIGHT_MS), "instId": "BTC-USDT-SWAP"}
    lines = [
        okx("trades", MIDNIGHT_MS + number, trade | {"tradeId": str(number), "side": side})
        for number, side in enumerate(("buy", "Sell", "sell", "hold"))
    ]
    convert("okx-websocket", "BTC-USDT-SWAP", "trades", *lines)
    assert verdict("BTC-USDT-SWAP.OKX", "trade_tick")["rejects_by_reason"] == {"wrong_type": 2}
    assert frame("BTC-USDT-SWAP.OKX", "trade_tick")["aggressor_side"].to_list() == ["BUYER", "SELLER"]


def test_a_book_whose_time_or_number_is_too_long_is_rejected_and_never_cut() -> None:
    late = str(MIDNIGHT_MS + 30)
    nanoseconds = BOOKS[1].replace(f'"ts":{late}', f'"ts":{late}000000')
    numbered = BOOKS[2].replace("18521290", "1852129018521290185")
    assert convert("bybit-websocket", "BTCUSDT", "deltas", BOOKS[0], nanoseconds, numbered) == 0
    assert sum(verdict(LINEAR, "order_book_deltas")["rejects_by_reason"].values()) == 2
    assert frame(LINEAR, "order_book_deltas")["sequence"].unique().to_list() == [18521288]


def test_another_order_of_members_blanks_and_escapes_change_nothing() -> None:
    trades = [bybit_trade(1, MIDNIGHT_MS), bybit_trade(2, MIDNIGHT_MS)]
    usual = {"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": MIDNIGHT_MS, "data": trades}
    turned = dict(reversed(usual.items()))
    spelled = [
        received(MIDNIGHT_MS, usual),
        received(MIDNIGHT_MS, turned),
        received(MIDNIGHT_MS, json.dumps(usual)),
        received(MIDNIGHT_MS, json.dumps(usual).replace("BTCUSDT", "BTC\\u0055SDT")),
    ]
    reader = SOURCES["bybit-websocket"].open(Dialect(), ["publicTrade"])
    found = [reader.read(Block(f"{text}\n".encode(), 0)).decoded["publicTrade"].rows for text in spelled]
    assert [rows.height for rows in found] == [2] * len(spelled)
    assert all(rows.equals(found[0]) for rows in found)


def test_every_line_is_accounted_for_whatever_it_is() -> None:
    lines = [
        ACK,
        '{"op":"ping"}',
        "",
        bybit("publicTrade.BTCUSDT", MIDNIGHT_MS, [bybit_trade(1, MIDNIGHT_MS), bybit_trade(2, MIDNIGHT_MS)]),
        bybit("publicTrade.BTCUSDT", MIDNIGHT_MS, []),
        bybit("kline.5.BTCUSDT", MIDNIGHT_MS, [{"start": 1672324800000, "interval": "5"}]),
        BOOKS[0],
        BOOKS[1][:80],
        "wss://stream.bybit.com/v5/public/linear",
    ]
    data = "".join(f"{line}\n" for line in lines).encode()
    placed = SOURCES["bybit-websocket"].open(Dialect()).read(Block(data, 0)).placed
    assert placed is not None
    counted = sum(placed.by_stream.values()) + placed.connection + placed.blank + placed.unreadable
    assert counted == len(lines)
    assert dict(placed.by_stream) == {"publicTrade": 1, "orderbook": 1, "kline.5": 1, "rest": 3}
    assert (placed.connection, placed.blank, placed.unreadable, placed.several) == (1, 1, 1, True)
