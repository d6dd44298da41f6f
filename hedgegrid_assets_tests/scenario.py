"""One small day of Binance USD-M messages, as a recorder writes them, and its named broken variants.

The day: 40 aggregate trades of BTCUSDT (ids 1000 to 1039, from 00:00:05 to 23:59:31, so that the day is covered and
its long silences are quiet ones), 20 of ETHUSDT, 30 raw ``trade`` messages of BTCUSDT, two minutes of mark prices of
both symbols before the funding at midnight, and what else is in such files: book tickers, depth updates (nested
arrays), klines and forced orders (nested objects with ``s``, ``p``, ``q`` and ``T`` of their own), connection lines,
REST answers, blanks. Each line begins with its receive time in ns, 20 ms after the exchange time.
"""

import gzip
import json
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

import zstandard

type Message = dict[str, Any]

DAY: Final = date(2024, 1, 1)
NEXT_DAY: Final = date(2024, 1, 2)
MIDNIGHT_MS: Final = 1_704_067_200_000
"""2024-01-01T00:00:00Z."""
DAY_MS: Final = 86_400_000
LATENCY_NS: Final = 20_000_000

BTC: Final = "BTCUSDT"
ETH: Final = "ETHUSDT"
SYMBOLS: Final = (BTC, ETH)
BTC_IDS: Final = tuple(range(1000, 1040))
BAD_ID: Final = 1020
"""The aggregate trade that variants spoil; no other message is its neighbour by less than a second."""
BAD_MS: Final = MIDNIGHT_MS + 5_000 + 20 * 2_214_000


# ---------------------------------------------------------------- messages


def agg_trade(number: int, ms: int, *, symbol: str = BTC, **changes: Any) -> Message:
    """An aggTrade; ``changes`` replace fields, and None takes one out."""
    message: Message = {
        "e": "aggTrade",
        "E": ms + 3,
        "s": symbol,
        "a": number,
        "p": "42000.10",
        "q": "0.012",
        "f": number * 2,
        "l": number * 2 + 1,
        "T": ms,
        "m": number % 2 == 0,
    }
    return changed(message, **changes)


def raw_trade(number: int, ms: int, *, symbol: str = BTC, **changes: Any) -> Message:
    """A trade, as Binance sends but does not document it."""
    message: Message = {
        "e": "trade",
        "E": ms + 2,
        "T": ms,
        "s": symbol,
        "t": number,
        "p": "42000.2",
        "q": "0.5",
        "X": "MARKET",
        "m": number % 2 == 1,
    }
    return changed(message, **changes)


def mark_price(ms: int, *, symbol: str = BTC, **changes: Any) -> Message:
    """A markPriceUpdate of a perpetual."""
    message: Message = {
        "e": "markPriceUpdate",
        "E": ms,
        "s": symbol,
        "p": "42001.12345678",
        "P": "42010.00000000",
        "i": "42000.50000000",
        "r": "0.00010000",
        "T": MIDNIGHT_MS + DAY_MS,
    }
    return changed(message, **changes)


def changed(message: Message, **changes: Any) -> Message:
    """With fields replaced; a value of None takes the field out."""
    return {key: value for key, value in (message | changes).items() if value is not None}


_STREAMS: Final = {"aggTrade": "aggTrade", "trade": "trade", "markPriceUpdate": "markPrice@1s"}


def dumped(message: Message, *, wrapped: bool = True) -> str:
    """The JSON text of a message, as the venue writes it: no blanks."""
    if wrapped:
        event = message.get("e", "")
        stream = f"{str(message.get('s', 'x')).lower()}@{_STREAMS.get(event, event)}"
        message = {"stream": stream, "data": message}
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False)


def line(message: Message | str, local_ns: int | None = None, *, wrapped: bool = True) -> bytes:
    """One line of a recorder, with its receive time in ns if there is one."""
    text = message if isinstance(message, str) else dumped(message, wrapped=wrapped and "e" in message)
    return (text if local_ns is None else f"{local_ns} {text}").encode() + b"\n"


def received(ms: int) -> int:
    """When a message of an exchange time arrives: 20 ms later, in ns."""
    return ms * 1_000_000 + LATENCY_NS


def book_ticker(number: int, ms: int, *, symbol: str = BTC, **changes: Any) -> Message:
    """A bookTicker; ``changes`` replace fields, and None takes one out."""
    message: Message = {
        "e": "bookTicker",
        "u": number,
        "s": symbol,
        "b": "42000.10",
        "B": "0.012",
        "a": "42000.20",
        "A": "1.500",
        "T": ms,
        "E": ms + 1,
    }
    return changed(message, **changes)


# ---------------------------------------------------------------- the day


def clean_messages() -> list[tuple[int, Message | str]]:
    """(receive time in ns, message or line of another kind) in order of arrival."""
    start = MIDNIGHT_MS + 5_000
    found: list[tuple[int, Message | str]] = []
    for step, number in enumerate(BTC_IDS):
        ms = start + step * 2_214_000
        price = f"{42000 + (step * 37) % 23}.{step % 10}0"
        found.append((received(ms), agg_trade(number, ms, p=price, q=f"0.{step + 1:03}")))
    for step in range(20):
        ms = start + 900 + step * 4_500_000
        found.append((received(ms), agg_trade(500 + step, ms, symbol=ETH, p=f"2300.{step:02}", q=f"{step + 1}.5")))
    for step in range(30):
        ms = start + 1_700 + step * 2_900_000
        found.append((received(ms), raw_trade(9000 + step, ms, p=f"42000.{step % 10}")))
    for step in range(120):
        ms = MIDNIGHT_MS + DAY_MS - 120_000 + step * 1_000 + 5
        rate = "0.00010000" if step < 90 else "-0.00000001"
        found.append((received(ms), mark_price(ms, p=f"42001.{step:08}", r=rate)))
        found.append((received(ms) + 1_000, mark_price(ms, symbol=ETH, p=f"2300.{step:08}", i="2299.5")))
    found += [(received(start + 500 + step * 8_000_000), message) for step, message in enumerate(_noise())]
    return sorted(found, key=lambda entry: entry[0])


def _noise() -> list[Message | str]:
    ticker = {"e": "bookTicker", "u": 7, "s": BTC, "b": "1.0", "B": "2", "a": "1.1", "A": "3", "T": 5, "E": 6}
    depth: Message = {
        "e": "depthUpdate",
        "E": 6,
        "T": 5,
        "s": BTC,
        "U": 1,
        "u": 2,
        "pu": 0,
        "b": [["1.0", "2"]],
        "a": [],
    }
    kline = {"e": "kline", "E": 6, "s": BTC, "k": {"t": 1, "s": BTC, "q": "1", "trade": "trade"}}
    forced = {"e": "forceOrder", "E": 6, "o": {"s": BTC, "S": "SELL", "q": "1", "p": "9", "T": 5}}
    return [
        ticker,
        depth,
        kline,
        forced,
        {"result": None, "id": 1},
        {"lastUpdateId": 1, "bids": [["1", "2"]], "asks": []},
    ]


def clean_lines() -> list[bytes]:
    """The day's lines: a connection line first, a blank, then the messages."""
    head = [b"wss://fstream.binance.com/stream?streams=btcusdt@aggTrade <-> 1704067200.1\n", b"\n"]
    return head + [line(message, local) for local, message in clean_messages()]


def btc_line(number: int = BAD_ID) -> int:
    """Index, in ``clean_lines``, of an aggregate trade of BTCUSDT."""
    wanted = f'"s":"BTCUSDT","a":{number},'.encode()
    return next(index for index, text in enumerate(clean_lines()) if wanted in text)


# ---------------------------------------------------------------- variants


@dataclass(frozen=True, slots=True)
class Variant:
    """The day with one thing wrong (or only unusual), and what must become of it.

    Attributes:
        data: The file's bytes.
        suffix: Of the file's name.
        trades: Rows in BTCUSDT's trade_tick on the day, made from aggTrade.
        rejects: Reason -> rejected rows of BTCUSDT's aggTrade on the day.
        unplaced: Reason -> lines that belong to no table or day.
        blocked: The day must not reach the catalog.
    """

    data: bytes
    suffix: str = ".jsonl"
    trades: int = len(BTC_IDS)
    rejects: Mapping[str, int] = field(default_factory=dict)
    unplaced: Mapping[str, int] = field(default_factory=dict)
    duplicates: int = 0
    blocked: bool = False


def replaced(with_line: bytes, number: int = BAD_ID) -> bytes:
    """The day with one aggregate trade's line replaced."""
    lines = clean_lines()
    lines[btc_line(number)] = with_line
    return b"".join(lines)


def inserted(*extra: bytes) -> bytes:
    """The day with lines added behind the trade that variants spoil."""
    lines = clean_lines()
    place = btc_line() + 1
    return b"".join([*lines[:place], *extra, *lines[place:]])


def spoiled(**changes: Any) -> bytes:
    """The day with fields of one aggregate trade replaced."""
    return replaced(line(agg_trade(BAD_ID, BAD_MS, **changes), received(BAD_MS)))


def _lost(data: bytes, reason: str) -> Variant:
    return Variant(data, trades=len(BTC_IDS) - 1, rejects={reason: 1})


BAD_VALUES: Final[Mapping[str, tuple[Message, str]]] = {
    "price is a number": ({"p": 42000.1}, "wrong_type"),
    "price is null": ({"p": None}, "missing_field"),
    "price is a list": ({"p": ["42000.1"]}, "wrong_type"),
    "size is true": ({"q": True}, "wrong_type"),
    "size is missing": ({"q": None}, "missing_field"),
    "id is text": ({"a": "1020"}, "wrong_type"),
    "id is missing": ({"a": None}, "bad_trade_id"),
    "id is 2^63": ({"a": 2**63}, "id_too_large"),
    "id has a fraction": ({"a": 1020.5}, "wrong_type"),
    "maker flag is missing": ({"m": None}, "missing_side"),
    "maker flag is a number": ({"m": 1}, "wrong_type"),
    "first id is text": ({"f": "2040"}, "wrong_type"),
    "time is text": ({"T": "1704067200000"}, "wrong_type"),
    "time is zero": ({"T": 0}, "unknown_time"),
    "time is before 1970": ({"T": -1}, "unknown_time"),
    "time is in nanoseconds": ({"T": BAD_MS * 1_000_000}, "unknown_time"),
    "no exchange time at all": ({"T": None, "E": None}, "unknown_time"),
    "price is zero": ({"p": "0"}, "zero_price"),
    "price is zero with decimals": ({"p": "0.00"}, "zero_price"),
    "size is zero": ({"q": "0.000"}, "zero_size"),
    "price is negative": ({"p": "-1.5"}, "negative"),
    "size is negative": ({"q": "-0.1"}, "negative"),
    "price is no number": ({"p": "nan"}, "bad_decimal"),
    "price is empty": ({"p": ""}, "bad_decimal"),
    "price has a comma": ({"p": "42,000.1"}, "bad_decimal"),
    "price has an underscore": ({"p": "42_000.1"}, "bad_decimal"),
    "price has other digits": ({"p": "٤٢"}, "bad_decimal"),
    "price is finer than 16 decimals": ({"p": "42000.12345678901234567"}, "bad_decimal"),
    "price is beyond Nautilus' largest": ({"p": "17014118346047"}, "bad_decimal"),
    "price is beyond 22 digits": ({"p": "1" + "0" * 22}, "bad_decimal"),
}
"""Fields of one aggregate trade that make it a reject, and the reason."""

GOOD_VALUES: Final[Mapping[str, Message]] = {
    "price in the shortest form": {"p": "42000.1"},
    "price with an exponent": {"p": "4.20001E+4"},
    "price with a plus": {"p": "+42000.1"},
    "price with zeros beyond 16 decimals": {"p": "42000.1" + "0" * 20},
    "id of 63 bits": {"a": 2**63 - 1},
    "time in microseconds": {"T": BAD_MS * 1_000},
    "time is missing, E stands in": {"T": None, "E": BAD_MS},
    "first and last id are missing": {"f": None, "l": None},
    "unknown fields": {"nq": "0.012", "st": "x", "n": None, "v": -1.5e-7, "b": True},
    "a nested object": {"o": {"s": "ETHUSDT", "p": "1", "a": 1}},
    "a nested list": {"x": [1, {"p": "9"}]},
    "escapes in an unknown field": {"x": 'a "quoted" \\ text\n'},
    "the word trade in a value": {"x": "trade"},
}
"""Fields of one aggregate trade that leave it a good one at a price of 42000.1."""


def _at(local: str) -> bytes:
    return replaced(f"{local}{dumped(agg_trade(BAD_ID, BAD_MS))}\n".encode())


def _python_dumps(data: bytes, **options: Any) -> bytes:
    """Every message written again by Python's json module, other lines as they are."""
    lines = []
    for text in data.splitlines(keepends=True):
        local, _, body = text.partition(b" ")
        if local.isdigit():
            text = local + b" " + json.dumps(json.loads(body), **options).encode() + b"\n"
        lines.append(text)
    return b"".join(lines)


def _shuffled(seed: int = 3) -> bytes:
    lines = clean_lines()
    random.Random(seed).shuffle(lines)
    return b"".join(lines)


def _repeated(count: int) -> bytes:
    """Some trades come a second time, as after a reconnect: the same content, received later."""
    lines = clean_lines()
    again = [
        line(agg, local + 7_000_000)
        for local, agg in clean_messages()
        if isinstance(agg, dict) and agg.get("a") in BTC_IDS
    ]
    return b"".join(lines + again[:count])


def _zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


def _halves(data: bytes, compress: Callable[[bytes], bytes]) -> bytes:
    """Two members (or frames), cut in the middle of a line."""
    middle = len(data) // 2
    return compress(data[:middle]) + compress(data[middle:])


CLEAN: Final = b"".join(clean_lines())
QUOTED: Final = b"".join(
    line(book_ticker(n, MIDNIGHT_MS + 1_000 * n, B=f"{n}.125", a=f"42000.{20 + n}"), received(MIDNIGHT_MS + 1_000 * n))
    for n in range(60)
)
"""Quotes of the same day; no part of what is made where nobody asks for them."""
_CLEAN_GZ: Final = gzip.compress(CLEAN, mtime=0)
_BROKEN: Final = line(agg_trade(BAD_ID, BAD_MS), received(BAD_MS))
_LAST: Final = line(agg_trade(1040, BAD_MS), received(MIDNIGHT_MS + DAY_MS - 1_000))


def _variants() -> dict[str, Variant]:
    found = {
        "clean": Variant(CLEAN),
        "no newline at the end": Variant(CLEAN + _LAST.rstrip(b"\n"), trades=41),
        "cut last line": Variant(CLEAN + _LAST[:-30], unplaced={"truncated_tail": 1}),
        "broken JSON, its place readable": _lost(replaced(_BROKEN[:-3] + b"\n"), "broken_json"),
        "broken JSON, its place lost": Variant(replaced(_BROKEN[:60] + b"\n"), trades=39, unplaced={"broken_json": 1}),
        "two messages on a line": _lost(replaced(_BROKEN[:-1] + _BROKEN.partition(b" ")[2]), "broken_json"),
        "missing symbol": Variant(spoiled(s=None), trades=39, unplaced={"missing_field": 1}),
        "symbol is a number": Variant(spoiled(s=5), trades=39, unplaced={"missing_field": 1}),
        "no time of any kind": Variant(
            replaced(line(agg_trade(BAD_ID, BAD_MS, T=None, E=None))), trades=39, unplaced={"unknown_time": 1}
        ),
        "invalid UTF-8": Variant(replaced(_BROKEN.replace(b'"m"', b'"\xff"')), trades=39, unplaced={"not_utf8": 1}),
        "half a surrogate pair": _lost(replaced(_BROKEN.replace(b'"m"', b'"x":"\\ud83d","m"')), "not_utf8"),
        "NUL in a line": _lost(replaced(_BROKEN.replace(b'"m"', b'"x":"\0","m"')), "broken_json"),
        "a line of NULs": Variant(inserted(b"\0" * 100 + b"\n"), unplaced={"broken_json": 1}),
        "no JSON at all": Variant(inserted(b"hello world\n", b"17,42000.1\n"), unplaced={"broken_json": 2}),
        "other digits than ASCII": Variant(
            replaced(_BROKEN.replace(b'"a":1020', '"a":١٠٢٠'.encode())), trades=39, rejects={"broken_json": 1}
        ),
        "a blank that is not JSON's": _lost(replaced(_BROKEN.replace(b'"a":', '"a":\u00a0'.encode())), "broken_json"),
        "a number with a leading zero": _lost(replaced(_BROKEN.replace(b'"a":1020', b'"a":01020')), "broken_json"),
        "a BOM": Variant(b"\xef\xbb\xbf" + b"".join(clean_lines()[2:])),
        "CRLF": Variant(CLEAN.replace(b"\n", b"\r\n")),
        "blank lines": Variant(inserted(b"\n", b"  \t\n", b"\r\n")),
        "connection lines": Variant(inserted(b"<- {'method': 'SUBSCRIBE'}\n", b"-> pong\n", b"wss://x <-> 1\n")),
        "REST lines": Variant(
            inserted(b'https://fapi.binance.com/fapi/v1/time -> 17.5: {"serverTime":1}\n', b'{"id":3,"result":[]}\n')
        ),
        "shuffled": Variant(_shuffled()),
        "exact duplicates": Variant(_repeated(10), duplicates=10),
        "same id, other content": Variant(
            inserted(line(agg_trade(BAD_ID, BAD_MS, p="43000.1"), received(BAD_MS) + 5)), trades=41, blocked=True
        ),
        "local time goes back": Variant(
            inserted(line(agg_trade(1040, BAD_MS), received(BAD_MS) - 3_600_000_000_000)), trades=41
        ),
        "blanks after colons and commas": Variant(_python_dumps(CLEAN)),
        "data before stream": Variant(_python_dumps(CLEAN, sort_keys=True)),
        "bare messages": Variant(b"".join(line(m, t, wrapped=False) for t, m in clean_messages())),
        "bare messages without receive time": Variant(b"".join(line(m, wrapped=False) for _, m in clean_messages())),
        "a key twice": _lost(replaced(_BROKEN.replace(b'"q":', b'"p":"9","q":')), "doubled_key"),
        "a key twice, the first one wrong": _lost(replaced(_BROKEN.replace(b'"p":', b'"p":9,"p":')), "doubled_key"),
        "escaped symbol": Variant(replaced(_BROKEN.replace(b'"BTCUSDT"', b'"\\u0042TCUSDT"'))),
        "receive time in ns beyond 2262": Variant(_at("9999999999999999999 "), trades=39, unplaced={"unknown_time": 1}),
        "receive time of a 13th month": Variant(
            _at("2024-13-01T00:00:00.0000000Z "), trades=39, unplaced={"unknown_time": 1}
        ),
        "receive time of another unit": Variant(_at("1704111485020: ")),
        "receive time of another kind": _lost(_at("Mon Jan  1 12:18:05 2024: "), "broken_json"),
        "exchange time of the next day": Variant(
            CLEAN + line(agg_trade(1040, MIDNIGHT_MS + DAY_MS + 1), received(MIDNIGHT_MS + DAY_MS - 500)), trades=41
        ),
        "over midnight": Variant(CLEAN + line(agg_trade(1040, MIDNIGHT_MS + DAY_MS), received(MIDNIGHT_MS + DAY_MS))),
        "gzip": Variant(_CLEAN_GZ, ".jsonl.gz"),
        "gzip of several members": Variant(_halves(CLEAN, gzip.compress), ".jsonl.gz"),
        "gzip with padding": Variant(_CLEAN_GZ + b"\0" * 512, ".jsonl.gz"),
        "gzip under another name": Variant(_CLEAN_GZ, ".jsonl"),
        "zstd": Variant(_zstd(CLEAN), ".jsonl.zst"),
        "zstd of several frames": Variant(_halves(CLEAN, _zstd), ".jsonl.zst"),
    }
    reasons = Counter(reason for _, reason in BAD_VALUES.values())
    bad = _one_each([changes for changes, _ in BAD_VALUES.values()])
    times = [f"{text}{dumped(agg_trade(2000 + n, BAD_MS))}\n" for n, (_, text, _) in enumerate(RECEIVE_TIMES)]
    return found | {
        "price is zero": _lost(spoiled(p="0"), "zero_price"),
        "all takers sell": Variant(_of_sellers(), trades=40 + 1_000),
        "a nested object": Variant(spoiled(o={"s": "ETHUSDT", "p": "1", "a": 1})),
        "every bad value": Variant(bad, rejects=reasons, blocked=True),
        "every unusual spelling": Variant(_one_each(list(GOOD_VALUES.values())), trades=40 + len(GOOD_VALUES)),
        "every kind of receive time": Variant(inserted(*map(str.encode, times)), trades=40 + len(times)),
    }


def _of_sellers() -> bytes:
    """The day, and a thousand trades more before midnight; in each of them the buyer is the maker."""
    last = MIDNIGHT_MS + DAY_MS - 25_000
    more = (line(agg_trade(1040 + n, last + n * 20), received(last + n * 20)) for n in range(1_000))
    return (CLEAN + b"".join(more)).replace(b'"m":false', b'"m":true')


def _one_each(all_changes: Sequence[Message]) -> bytes:
    """The day with one more aggregate trade for each of some changes."""
    messages = [agg_trade(2000 + number, BAD_MS, **changes) for number, changes in enumerate(all_changes)]
    return inserted(*(line(message, received(BAD_MS) + number) for number, message in enumerate(messages)))


_SECONDS: Final = BAD_MS // 1_000
RECEIVE_TIMES: Final[Sequence[tuple[str, str, int | None]]] = (
    ("of 19 digits", f"{_SECONDS}123456789 ", _SECONDS * 10**9 + 123_456_789),
    ("in whole seconds", f"{_SECONDS}: ", _SECONDS * 10**9),
    *(
        (f"with {n} decimals", f"{_SECONDS}.{'123456789'[:n]}: ", _SECONDS * 10**9 + int("123456789"[:n].ljust(9, "0")))
        for n in range(1, 10)
    ),
    ("with 12 decimals, cut off", f"{_SECONDS}.123456789999: ", _SECONDS * 10**9 + 123_456_789),
    ("as ISO stamp", "2024-01-01T12:18:05.1234567Z ", _SECONDS * 10**9 + 123_456_700),
    ("missing", "", BAD_MS * 1_000_000),
    ("behind blanks", f"  {_SECONDS}.5: ", _SECONDS * 10**9 + 500_000_000),
)
"""(name, text in front of the message, its meaning in ns)."""

VARIANTS: Final[Mapping[str, Variant]] = _variants()

TRUNCATED: Final[Mapping[str, tuple[bytes, str]]] = {
    "gzip": (_CLEAN_GZ[: len(_CLEAN_GZ) * 2 // 3], ".jsonl.gz"),
    "gzip without its last bytes": (_CLEAN_GZ[:-4], ".jsonl.gz"),
    "zstd": (_halves(CLEAN, _zstd)[:-40], ".jsonl.zst"),
}
"""Compressed streams that end too early: the lines up to there are used."""

DAMAGED: Final[Mapping[str, tuple[bytes, str]]] = {
    "gzip with junk behind it": (_CLEAN_GZ + b"junk", ".jsonl.gz"),
    "gzip with a wrong checksum": (_CLEAN_GZ[:-8] + b"\0\0\0\0" + _CLEAN_GZ[-4:], ".jsonl.gz"),
    "zstd with junk behind it": (_zstd(CLEAN) + b"junk", ".jsonl.zst"),
}
"""Compressed streams that are not what they say: nothing of them is used."""
