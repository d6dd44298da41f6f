"""``{"p":"1","p":"2"}``: nobody can tell which value is meant, so that such a message is refused by every way of reading."""

import json
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, Final

import polars as pl
import pytest

from hedgegrid_assets.batch import Block, Decoded
from hedgegrid_assets.cli import run
from hedgegrid_assets.model import Channel
from hedgegrid_assets.sources import SOURCES
from hedgegrid_assets_tests import one_day
from hedgegrid_assets_tests.scenario import BAD_MS, agg_trade, mark_price

KLINE: Final = {
    "t": BAD_MS,
    "T": BAD_MS + 59_999,
    "s": "BTCUSDT",
    "i": "1m",
    "f": 1,
    "L": 9,
    "o": "1.1",
    "c": "1.3",
} | {
    "h": "1.5",
    "l": "1.0",
    "v": "1.250",
    "n": 9,
    "x": True,
    "q": "2.4",
}
DEPTH: Final = {"e": "depthUpdate", "E": BAD_MS, "T": BAD_MS, "s": "BTCUSDT", "U": 1, "u": 2, "pu": 0}
BYBIT_TRADE: Final = {"T": BAD_MS, "s": "BTCUSDT", "S": "Buy", "v": "0.001", "p": "1.50", "i": "20f4", "BT": False}
BYBIT_BOOK: Final = {"s": "BTCUSDT", "b": [["1.1", "1"]], "a": [["1.2", "1"]], "u": 5, "seq": 6}
OKX_TRADE: Final = {"instId": "BTC-USDT-SWAP", "tradeId": "1", "px": "1.5", "sz": "1", "side": "buy", "ts": str(BAD_MS)}
OKX_BOOK: Final = {"asks": [["1.2", "1", "0", "1"]], "bids": [["1.1", "1", "0", "1"]], "ts": str(BAD_MS)} | {
    "prevSeqId": 4,
    "seqId": 5,
}
OKX_ARG: Final = {"channel": "trades", "instId": "BTC-USDT-SWAP"}

type Around = Callable[[str], str]
MESSAGES: Final[dict[str, tuple[str, str, dict[str, Any], Collection[str], Around]]] = {
    "a trade": ("websocket", "aggTrade", agg_trade(7, BAD_MS), "eEsapqTm", str),
    "a mark price": ("websocket", "markPrice", mark_price(BAD_MS), "eEspirT", str),
    "a candle": ("websocket", "kline", KLINE, "Tsiohlcvx", lambda body: f'{{"e":"kline","E":{BAD_MS},"s":"BTCUSDT","k":{body}}}'),
    "around a candle": ("websocket", "kline", {"e": "kline", "E": BAD_MS, "s": "BTCUSDT", "k": KLINE}, "esk", str),
    "an update of a book": ("websocket", "depth", DEPTH | {"b": [["1.1", "1"]], "a": [["1.2", "1"]]}, "eEsUuba", str),
    "a trade of Bybit": ("bybit-websocket", "publicTrade", BYBIT_TRADE, "TsSvpi", lambda body: f'{{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":{BAD_MS},"data":[{body}]}}'),
    "a book of Bybit": ("bybit-websocket", "orderbook", BYBIT_BOOK, "sbau", lambda body: f'{{"topic":"orderbook.50.BTCUSDT","type":"snapshot","ts":{BAD_MS},"data":{body},"cts":{BAD_MS}}}'),
    "around a book of Bybit": ("bybit-websocket", "orderbook", {"topic": "orderbook.50.BTCUSDT", "type": "snapshot", "ts": BAD_MS, "data": BYBIT_BOOK, "cts": BAD_MS}, ["topic", "type", "ts", "cts"], str),
    "a trade of OKX": ("okx-websocket", "trades", OKX_TRADE, OKX_TRADE.keys(), lambda body: f'{{"arg":{json.dumps(OKX_ARG)},"data":[{body}]}}'.replace(" ", "")),
    "a book of OKX": ("okx-websocket", "books", OKX_BOOK, OKX_BOOK.keys(), lambda body: f'{{"arg":{{"channel":"books","instId":"BTC-USDT-SWAP"}},"action":"snapshot","data":[{body}]}}'),
    "around a trade of OKX": ("okx-websocket", "trades", OKX_ARG, OKX_ARG.keys(), lambda body: f'{{"arg":{body},"data":[{json.dumps(OKX_TRADE)}]}}'.replace(" ", "")),
}  # fmt: skip
"""What it is -> (source, channel, an object, keys of it that are read, the message around the object)."""
FORMS: Final[dict[str, Around]] = {
    "alone": str,
    "with a time in front": lambda text: f"{BAD_MS + 5}000000 {text}",
    "with blanks": lambda text: text.replace('":', '" : '),
    "in a recorder's wrapper": lambda text: f'{{"ts":{BAD_MS + 5},"msg":{text}}}',
    "as a text": lambda text: json.dumps({"ts": BAD_MS + 5, "msg": text}),
    "in an array": lambda text: f"[{text}]",
}


def spelled(members: dict[str, Any], key: str, *, at_end: bool) -> str:
    """The object with a key twice: with another value at its end, or behind itself."""
    pairs = [f"{json.dumps(name)}:{json.dumps(value, separators=(',', ':'))}" for name, value in members.items()]
    again = f"{json.dumps(key)}:{json.dumps(members[key], separators=(',', ':')).replace('1', '2')}"
    pairs.insert(len(pairs) if at_end else list(members).index(key) + 1, again)
    return f"{{{','.join(pairs)}}}"


def read(source: str, channel: str, *lines: str) -> Decoded:
    found = SOURCES[source]
    block = Block("".join(f"{line}\n" for line in lines).encode(), 0)
    known: Channel = next(each for each in found.channels if each.name == channel)
    return one_day.decoded(found, block, known, None)


def cases() -> Iterator[Any]:
    for name, (source, _, _, _, _) in MESSAGES.items():
        for form in FORMS if source == "websocket" else ("alone", "with a time in front", "with blanks"):
            yield pytest.param(name, form, id=f"{name}, {form}")


@pytest.mark.parametrize(("name", "form"), list(cases()))
def test_a_message_that_has_a_key_twice_is_refused_alone_and_among_sound_ones(name: str, form: str) -> None:
    source, channel, members, keys, around = MESSAGES[name]
    sound = FORMS[form](around(json.dumps(members, separators=(",", ":"))))
    usual = len(read(source, channel, sound).rows)
    assert usual
    for key in keys:
        for at_end in (True, False):
            line = FORMS[form](around(spelled(members, key, at_end=at_end)))
            for lines, rows in (((line,), 0), ((sound, sound, line, sound), 3)):
                found = read(source, channel, *lines)
                told = found.rejects["reason"].to_list()
                assert (told, len(found.rows)) == (["doubled_key"], rows * usual), line


def test_a_key_that_nobody_reads_may_stand_twice() -> None:
    for source, channel, members, _, around in MESSAGES.values():
        line = around(spelled(members | {"zz": 1}, "zz", at_end=False))
        found = read(source, channel, line)
        assert (len(found.rejects), len(found.rows) > 0) == (0, True), line


@pytest.mark.parametrize("key", ["symbol", "lastUpdateId", "bids", "asks"])
def test_a_snapshot_that_has_a_key_twice_is_refused(key: str) -> None:
    body = {"symbol": "BTCUSDT", "lastUpdateId": 1, "E": BAD_MS, "bids": [["1.1", "1"]], "asks": [["1.2", "1"]]}
    assert len(read("websocket", "depth", json.dumps(body)).rows) == 2
    found = read("websocket", "depth", spelled(body, key, at_end=True))
    assert (found.rejects["reason"].to_list(), len(found.rows)) == (["doubled_key"], 0)


@pytest.mark.parametrize(
    "line",
    [
        '{"ts":1704111485005,"ts":1704111485009,"msg":MESSAGE}',
        '{"ts" : 1704111485005, "ts" : 1704111485009, "msg" : MESSAGE, "more": {}}',
        'MESSAGE_BUT_END,"recv_ts":1704111485005,"recv_ts":1704111485009}',
    ],
)
def test_a_receive_time_that_stands_twice_is_none_and_no_other_is_taken(line: str) -> None:
    trade = json.dumps(agg_trade(7, BAD_MS), separators=(",", ":"))
    text = line.replace("MESSAGE_BUT_END", trade[:-1]).replace("MESSAGE", trade)
    placed = one_day.placed(SOURCES["websocket"], Block(f"{text}\n".encode(), 0))
    assert placed.lines["reason"].to_list() == ["unknown_time"]


def test_the_command_counts_them_by_their_reason_and_shows_the_line(
    workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del workdir
    lines = [json.dumps(agg_trade(number, BAD_MS + number), separators=(",", ":")) for number in range(200)]
    lines[50] = lines[50].replace('"p":', '"p":"1.5","p":')
    Path("a.jsonl").write_text("\n".join(lines))
    words = ["--source", "websocket", "--symbol", "BTCUSDT", "--input", "a.jsonl", "--data-types", "trades"]
    assert run(["replay-to-parquet", *words]) == 0
    assert "rejected: doubled_key 1" in capsys.readouterr().out
    assert run(["rejects", "list", "data/catalog", "--json"]) == 0
    (reject,) = json.loads(capsys.readouterr().out)["rejects"]
    assert (reject["line"], reject["reason"], reject["field"]) == (51, "doubled_key", "p")
    assert (
        pl.read_parquet(next(Path("data/catalog").glob("*/trade_tick.parquet/*")))["trade_id"].is_in(["50"]).sum() == 0
    )
