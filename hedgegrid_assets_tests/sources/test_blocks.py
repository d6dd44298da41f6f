"""Where a file is cut into blocks decides nothing: each reader of each source gives the same from blocks of 48 bytes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from hedgegrid_assets.batch import line_ends, lists_of_texts
from hedgegrid_assets.dialect import Dialect
from hedgegrid_assets.model import Channel, Source
from hedgegrid_assets.sources import SOURCES, archive, bybit, csv, okx, synthetic, tardis, websocket
from hedgegrid_assets.sources.archive import layouts
from hedgegrid_assets.sources.archive.archives import ARCHIVES
from hedgegrid_assets.sources.tardis import datasets
from hedgegrid_assets.tables import TABLES, read_by
from hedgegrid_assets.tables.bar import PERIODS
from hedgegrid_assets_tests.one_day import DAY, all_placed, cut, outcomes

MIDNIGHT_MS: Final = 1_704_067_200_000
SMALL: Final = 48
_HEAD: Final = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount"
_TICKER: Final = "exchange,symbol,timestamp,local_timestamp,funding_timestamp,funding_rate,predicted_funding_rate,open_interest,last_price,index_price,mark_price"


@dataclass(frozen=True)
class Reader:
    """A reader and lines for it: the first ones of a file, and some that may follow in any number and order."""

    source: Source
    channel: str
    pool: tuple[str, ...]
    head: str = ""

    @property
    def made_of(self) -> Channel:
        return next(channel for channel in self.source.channels if channel.name == self.channel)

    def dialect(self, data: bytes) -> Dialect:
        if self.source.name == "tardis" and self.head:
            return datasets.dialect_of(data.split(b"\n")[0], self.made_of, "BTCUSDT")
        if self.source is archive.SOURCE:
            columns = ARCHIVES["binance-futures"].kind(self.channel).columns
            found = layouts.dialect_of(data.split(b"\n")[0].decode(), columns, self.made_of, "BTCUSDT", "a file")
            return structs.replace(found, exchange="binance-futures")
        if self.source.begin is None:
            return Dialect()
        said = {
            "path": "BTCUSDT.csv",
            "symbols": ["BTCUSDT"],
            "tokens": [TABLES[n].token for n in read_by(self.made_of)],
        }
        return self.source.begin(cut(data, 1 << 20)[0], said).dialect


def _message(kind: str, number: int, **more: object) -> str:
    at = MIDNIGHT_MS + number
    body: dict[str, object]
    if kind == "bookTicker":
        body = {"e": kind, "u": number, "s": "BTCUSDT", "b": f"425{number}.1", "B": "1.5"}
        return json.dumps(
            body | {"a": more.get("p", f"425{number}.2"), "A": "0", "T": at, "E": at}, separators=(",", ":")
        )
    if kind == "kline":
        ohlcv = {"o": "42500.1", "h": more.pop("p", "42500.3"), "l": "42500", "c": "42500.2", "v": "0.5"}
        inner = {"t": MIDNIGHT_MS, "T": MIDNIGHT_MS + 59_999 + number % 2 * 60_000, "s": "BTCUSDT", "i": "1m", "f": 1}
        body = {"e": kind, "E": at, "s": "BTCUSDT", "k": inner | ohlcv | {"x": number != 2, "q": "1"}}
    elif kind == "depthUpdate":
        levels = [[str(more.pop("p", f"425{number}.1")), "0.5"], ["42400.5", "0"]]
        body = {"e": kind, "E": at, "T": at, "s": "BTCUSDT", "U": number, "u": number, "pu": number - 1}
        body |= {"b": levels, "a": [] if number % 2 else [["42600", "1"]]}
    elif kind == "forceOrder":
        order = {"s": "BTCUSDT", "S": "SELL", "p": more.pop("p", "42500.1"), "ap": "42500.123", "z": "0.5", "T": at}
        body = {"e": kind, "E": at, "o": order | {"X": "NEW" if number == 2 else "FILLED", "o": "LIMIT"}}
    elif kind == "indexPriceUpdate":
        body = {"e": kind, "E": at, "i": "BTCUSD", "p": f"425{number}.1"}
    elif kind == "markPriceUpdate":
        body = {"e": kind, "E": at, "s": "BTCUSDT", "p": f"425{number}.1", "i": "42499.5"}
        body |= {"r": "0.0001", "T": MIDNIGHT_MS + 28_800_000}
    else:
        body = {"e": kind, "E": at, "s": "BTCUSDT", "a" if kind == "aggTrade" else "t": number, "p": "42500.1"}
        body |= {"q": "0.003", **({"f": number, "l": number} if kind == "aggTrade" else {"X": "MARKET"})}
        body |= {"T": at, "m": number % 2 == 0}
    return json.dumps(body | more, separators=(",", ":"))


def _received(number: int, text: str, *, iso: bool = False) -> str:
    stamp = f"2024-01-01T00:00:00.{number:03}0000Z" if iso else str((MIDNIGHT_MS + number) * 1_000_000)
    return f"{stamp} {text}"


def _messages(kind: str, *, iso: bool = False) -> tuple[str, ...]:
    good = [_received(number, _message(kind, number), iso=iso) for number in (1, 2, 3, 5)]
    again = _received(9, _message(kind, 3), iso=iso)
    odd = [_received(7, _message(kind, 7, p="4.25e4"), iso=iso), _received(8, _message(kind, 8, p="x"), iso=iso)]
    return (*good, again, *odd, _received(6, '{"e":"kline","s":"BTCUSDT"}', iso=iso), good[0][:60], "")


def _arrays(kind: str) -> tuple[str, ...]:
    """Some messages a line, behind stamps of several units, in wrappers, and one that is broken."""
    pairs = [f"[{_message(kind, number)},{_message(kind, number + 1)}]" for number in (1, 2, 3, 5)]
    wrapped = [f'{{"ts":{MIDNIGHT_MS + 7},"msg":{json.dumps(pairs[0])}}}', f"[{MIDNIGHT_MS + 8},{pairs[1]}]"]
    stamped = [f"{MIDNIGHT_MS + 4}001 {_message(kind, 4)}", f"2024-01-01 00:00:00.009,{pairs[2]}"]
    return (*pairs, *wrapped, *stamped, f"[{_message(kind, 6, p='x')},{_message(kind, 7)}]", pairs[0][:70])


def _cells(at: int, local: int, number: str = "", side: str = "buy", price: str = "42500.1") -> str:
    return f"binance-futures,BTCUSDT,{MIDNIGHT_MS + at}000,{MIDNIGHT_MS + local}000,{number},{side},{price},0.003"


def _tick(at: int, mark: str, rate: str, predicted: str = "") -> str:
    next_at = f"{MIDNIGHT_MS + 28_800_000}000"
    return f"binance-futures,BTCUSDT,{MIDNIGHT_MS + at}000,{MIDNIGHT_MS + at}500,{next_at},{rate},{predicted},,,42499.5,{mark}"


def _archived(*cells: str) -> tuple[str, ...]:
    """Rows of an archive: usual ones, one that came twice, odd ones, a blank one. ``T``: the time; ``P``: the price."""
    prices = ("42500.1", "42500.2", "42500.1", "4.25e4", "x", "")
    rows = [",".join(cells).replace("T", str(MIDNIGHT_MS + at)).replace("P", price) for at, price in enumerate(prices)]
    return (*rows, rows[0], "")


_CANDLE: Final = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)

_ROWS: Final = tuple(
    f"{MIDNIGHT_MS + at},BTCUSDT,{price},0.003,{side}"
    for at, price, side in ((1, "42500.1", "buy"), (1, "42500.1", "sell"), (2, "4.25e4", "buy"), (3, "x", "buy"))
)


def _enveloped(data: str, topic: str, bad: str) -> tuple[str, ...]:
    """Messages of Bybit: several objects in one, another spelling, and some that are broken."""

    def line(number: int, body: str, kind: str = "delta") -> str:
        at = MIDNIGHT_MS + number
        around = f'"topic":"{topic}","type":"{kind}","ts":{at}'
        return f'{at * 1_000_000} {{{around},"data":{body.replace("#", str(number))}}}'

    good = [line(number, data) for number in (2, 3, 4)]
    odd = [line(5, data).replace(",", ", "), line(6, bad), line(7, data).replace('"data"', '"dat"'), good[0][:60], ""]
    several = [] if "orderbook" in topic else [line(8, f"[{data},{bad},{data}]"), line(9, "[]")]
    return (line(1, data, "snapshot"), *good, *several, *odd)


_BYBIT_TRADE: Final = '{"T":170406720000#,"s":"BTCUSDT","S":"Buy","v":"0.5","p":"4250#.1","i":"a-#","BT":false}'
_BYBIT_BOOK: Final = '{"s":"BTCUSDT","b":[["4250#.1","0.5"],["42400.5","0"]],"a":[["42600","1"]],"u":#,"seq":7#}'
_OKX_BOOK: Final = (
    '{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"%s","data":[{"asks":[["42600","1","0","3"]],'
    '"bids":[["4250#.1","0.5","0","1"]],"ts":"170406720000#","checksum":0,"seqId":#,"prevSeqId":%s}]}'
)

READERS: Final[Mapping[str, Reader]] = {
    "bybit trades": Reader(
        bybit.SOURCE, "publicTrade", _enveloped(_BYBIT_TRADE, "publicTrade.BTCUSDT", _BYBIT_TRADE.replace("0.5", "x"))
    ),
    "bybit books": Reader(
        bybit.SOURCE, "orderbook", _enveloped(_BYBIT_BOOK, "orderbook.50.BTCUSDT", _BYBIT_BOOK.replace("0.5", "x"))
    ),
    "okx books": Reader(
        okx.SOURCE,
        "books",
        tuple(
            (_OKX_BOOK % (("snapshot", "-1") if number == 1 else ("update", str(number - 1)))).replace("#", str(number))
            for number in (1, 2, 3, 4, 6)
        ),
    ),
    "csv without ids": Reader(csv.SOURCE, "trade", (*_ROWS, "", "x,BTCUSDT,1,1,buy"), "time,symbol,price,amount,side"),
    "csv with ids": Reader(
        csv.SOURCE,
        "trade",
        tuple(f"{row},{number}" for row in _ROWS for number in ("7", "", "a-b", "9" * 40)),
        "time,symbol,price,amount,side,id",
    ),
    "csv with quotes": Reader(
        csv.SOURCE,
        "trade",
        (*(f'"{row.split(",")[0]}",{row.split(",", 1)[1]}' for row in _ROWS), *_ROWS),
        "time,symbol,price,amount,side",
    ),
    "csv mark": Reader(
        csv.SOURCE,
        "mark",
        tuple(f"{MIDNIGHT_MS + at},BTCUSDT,{price}" for at in (1, 2) for price in ("42500.1", "42500.2", "", "x")),
        "time,symbol,mark_price",
    ),
    "csv funding": Reader(
        csv.SOURCE,
        "funding",
        tuple(f"{MIDNIGHT_MS + at},BTCUSDT,{rate},8" for at in (1, 2) for rate in ("0.0001", "1e-4", "-0.0002", "x")),
        "time,symbol,funding_rate,funding_interval_hours",
    ),
    "csv quotes": Reader(
        csv.SOURCE,
        "quotes",
        tuple(
            f"{MIDNIGHT_MS + at},BTCUSDT,{bid},1.5,42500.2,0" for at in (1, 2) for bid in ("42500.1", "4e4", "", "x")
        ),
        "time,symbol,bid_price,bid_size,ask_price,ask_size",
    ),
    "websocket bookTicker": Reader(websocket.SOURCE, "bookTicker", _messages("bookTicker")),
    "websocket aggTrade": Reader(websocket.SOURCE, "aggTrade", _messages("aggTrade")),
    "websocket kline": Reader(websocket.SOURCE, "kline", _messages("kline")),
    "websocket depth": Reader(
        websocket.SOURCE,
        "depth",
        (
            *_messages("depthUpdate"),
            _received(4, '{"stream":"btcusdt@depthSnapshot","data":{"lastUpdateId":2,"bids":[["1","2"]],"asks":[]}}'),
            _received(4, '{"lastUpdateId":3,"symbol":"BTCUSDT","bids":[["1","2"],["x","1"]],"asks":[["3","4"]]}'),
        ),
    ),
    "websocket forceOrder": Reader(websocket.SOURCE, "forceOrder", _messages("forceOrder")),
    "websocket trade": Reader(websocket.SOURCE, "trade", _messages("trade")),
    "websocket indexPrice": Reader(websocket.SOURCE, "indexPrice", _messages("indexPriceUpdate")),
    "websocket arrays of trades": Reader(websocket.SOURCE, "aggTrade", _arrays("aggTrade")),
    "websocket arrays of marks": Reader(websocket.SOURCE, "markPrice", _arrays("markPriceUpdate")),
    "websocket markPrice": Reader(websocket.SOURCE, "markPrice", _messages("markPriceUpdate")),
    "tardis trades without ids": Reader(
        tardis.SOURCE,
        "trades",
        (
            *(_cells(at, local, side=side) for at, local in ((1, 2), (1, 3), (2, 3)) for side in ("buy", "sell")),
            *(_cells(1, 2, price="4.25e4"), _cells(1, 2, price="x"), _cells(1, 2, side="unknown"), ""),
        ),
        _HEAD,
    ),
    "tardis trades": Reader(
        tardis.SOURCE,
        "trades",
        tuple(_cells(at, at + 1, number) for at in (1, 2) for number in ("7", "8", "", "1234567890123456", "a" * 40)),
        _HEAD,
    ),
    "tardis derivative_ticker": Reader(
        tardis.SOURCE,
        "derivative_ticker",
        (
            _tick(1, "42500.1", "0.0001"),
            _tick(2, "", "0.0002", "0.0001"),
            _tick(2, "42500.2", ""),
            _tick(3, "x", "1e-4"),
        ),
        _TICKER,
    ),
    "tardis quotes": Reader(
        tardis.SOURCE,
        "quotes",
        tuple(
            f"binance-futures,BTCUSDT,{MIDNIGHT_MS + at}000,{MIDNIGHT_MS + at}500,0.5,42500.2,{bid},1.5"
            for at in (1, 2)
            for bid in ("42500.1", "4e4", "", "x")
        ),
        "exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount",
    ),
    "tardis incremental_book_L2": Reader(
        tardis.SOURCE,
        "incremental_book_L2",
        tuple(
            f"binance-futures,BTCUSDT,{MIDNIGHT_MS + at}000,{MIDNIGHT_MS + at}500,{level}"
            for at in (1, 2, 3)
            for level in (
                "true,bid,42500.1,1",
                "false,ask,42500.2,0",
                "false,ask,4e4,1.5",
                "TRUE,bid,1,1",
                "false,x,1,1",
            )
        ),
        "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount",
    ),
    "tardis book_snapshot_5": Reader(
        tardis.SOURCE,
        "book_snapshot_5",
        tuple(
            f"binance-futures,BTCUSDT,{MIDNIGHT_MS + at}000,{MIDNIGHT_MS + at}500,{ask},1.5,42499.1,2" + "," * 16
            for at in (1, 2)
            for ask in ("42500.1", "4.25e4", "", "x")
        ),
        ",".join(
            ["exchange,symbol,timestamp,local_timestamp"]
            + [f"{side}s[{n}].{what}" for n in range(5) for side in ("ask", "bid") for what in ("price", "amount")]
        ),
    ),
    "tardis liquidations": Reader(
        tardis.SOURCE,
        "liquidations",
        tuple(
            _cells(at, at + 1, side=side, price=price)
            for at in (1, 2)
            for side, price in (("buy", "42500.1"), ("sell", "4e4"), ("", "1"), ("x", "2"), ("buy", "x"))
        ),
        _HEAD,
    ),
    "tardis open_interest": Reader(
        tardis.SOURCE,
        "open_interest",
        tuple(
            _tick(at, "42500.1", "0.0001").replace(",,,42499.5", f",{interest},,42499.5")
            for at in (1, 2)
            for interest in ("81250.125", "", "8e4", "x", "-1")
        ),
        _TICKER,
    ),
    "tardis replay bookTicker": Reader(tardis.SOURCE, "bookTicker", _messages("bookTicker", iso=True)),
    "archive aggTrade": Reader(
        archive.SOURCE,
        "aggTrade",
        _archived("7", "P", "0.003", "1", "2", "T", "true"),
        "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker",
    ),
    "archive trade": Reader(
        archive.SOURCE,
        "trade",
        _archived("7", "P", "0.003", "1", "T", "false"),
        "id,price,qty,quote_qty,time,is_buyer_maker",
    ),
    "archive bookTicker": Reader(
        archive.SOURCE,
        "bookTicker",
        _archived("7", "P", "1.5", "42500.3", "0", "T", "T"),
        "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,event_time",
    ),
    **{
        f"archive {kind}": Reader(archive.SOURCE, kind, _archived(*"T111P1T11111"), _CANDLE)
        for kind in ("markPriceKlines", "indexPriceKlines")
    },
    "archive klines-1m": Reader(
        archive.SOURCE, "klines-1m", _archived("T", "42500.1", "43000", "1", "P", "0.5", "T", *"11111"), _CANDLE
    ),
    "archive metrics": Reader(
        archive.SOURCE,
        "metrics",
        tuple(
            f"2024-01-01 00:{minute:02}:00,BTCUSDT,{interest},1,1,1,1,1"
            for minute in (5, 10)
            for interest in ("81250.125", "8.1e4", "", "x")
        ),
        "create_time,symbol,sum_open_interest,sum_open_interest_value,count_toptrader_long_short_ratio,"
        "sum_toptrader_long_short_ratio,count_long_short_ratio,sum_taker_long_short_vol_ratio",
    ),
    "archive fundingRate": Reader(
        archive.SOURCE,
        "fundingRate",
        _archived("T", "8", "P"),
        "calc_time,funding_interval_hours,last_funding_rate",
    ),
    "tardis replay trade": Reader(tardis.SOURCE, "trade", _messages("trade", iso=True)),
    "tardis replay aggTrade": Reader(tardis.SOURCE, "aggTrade", _messages("aggTrade", iso=True)),
    "tardis replay markPrice": Reader(tardis.SOURCE, "markPrice", _messages("markPriceUpdate", iso=True)),
}


def assert_same(data: bytes, reader: Reader, folder: Path) -> None:
    dialect = reader.dialect(data)
    whole = outcomes(folder, reader.source, reader.made_of, data, dialect=dialect)
    for way in ({"block": SMALL}, {"kept": True}, {"block": SMALL, "kept": True}):
        found = outcomes(folder, reader.source, reader.made_of, data, dialect=dialect, **way)  # type: ignore[arg-type]
        for table, outcome in whole.items():
            assert found[table].verdict == outcome.verdict, (way, table)
            assert found[table].frame.rows() == outcome.frame.rows(), (way, table)
            assert found[table].bytes == outcome.bytes, (way, table)
            assert found[table].rejects.rows() == outcome.rejects.rows(), (way, table)
    expected = all_placed(reader.source, data, dialect, 1 << 20)
    for size, rows in ((SMALL, False), (1 << 20, True), (SMALL, True)):
        assert all_placed(reader.source, data, dialect, size, rows=rows) == expected, (size, rows)


def test_every_channel_of_every_source_has_its_lines_here() -> None:
    like_others = {("csv", "aggTrade"), ("csv", "index"), ("tardis", "book_snapshot_25")}
    like_others |= {("archive", f"klines-{period.short}") for period in PERIODS[1:]}
    like_others |= {(bybit.SOURCE.name, name) for name in ("tickers", "allLiquidation")}
    like_others |= {(okx.SOURCE.name, channel.name) for channel in okx.SOURCE.channels if channel.name != "books"}
    like_others |= {("tardis", name) for name in ("depth", "forceOrder")}  # as the captured ones
    others = [source for source in SOURCES.values() if source is not synthetic.SOURCE]  # see the test of its own
    channels = {(source.name, channel.name) for source in others for channel in source.channels}
    assert channels - like_others == {(reader.source.name, reader.channel) for reader in READERS.values()}


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_blocks_of_48_bytes_give_what_one_block_gives(name: str, data: st.DataObject, tmp_path: Path) -> None:
    reader = READERS[name]
    lines = data.draw(st.lists(st.sampled_from(reader.pool), min_size=1, max_size=25))
    if data.draw(st.booleans()):
        lines.sort(key=reader.pool.index)
    # a file of which most times cannot be read is refused
    first = [reader.head, *[reader.pool[0]] * (1 + sum(line.startswith("x,") for line in lines))] if reader.head else []
    text = "".join(f"{line}\n" for line in first + lines)
    assert_same(text.encode(), reader, tmp_path / uuid4().hex)


@pytest.mark.parametrize("channel", [channel.name for channel in synthetic.SOURCE.channels])
def test_synthetic_days_are_the_same_in_blocks_of_48_bytes(channel: str, tmp_path: Path) -> None:
    reader = Reader(synthetic.SOURCE, channel, ())
    fetch = synthetic.SOURCE.fetch
    assert fetch is not None
    begin = next(iter(fetch({"trades_per_day": 2_000}, "BTCUSDT", reader.made_of, DAY) or ()))
    lines = begin.splitlines(keepends=True)[:30]
    assert len(lines) == 30
    assert_same(b"".join(lines), reader, tmp_path)


@pytest.mark.parametrize("around", [0, 1, 2])
def test_line_ends_and_lists_are_counted_also_where_they_lie_across_what_is_looked_at_at_once(around: int) -> None:
    at_once = 1 << 17
    data = b"x" * (at_once - around) + b'["\n' + b"y" * (2 * at_once) + b'[\n["["\n["'

    assert (line_ends(data), lists_of_texts(data)) == (data.count(b"\n"), data.count(b'["'))
    assert (line_ends(b""), lists_of_texts(b"")) == (0, 0)
