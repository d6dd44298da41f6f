"""A local server that answers as Tardis.dev does, from synthetic days or re-dated captures, with faults on request.

By hand: ``python -m hedgegrid_assets_tests.standins.tardis``, then set the two environment variables that it prints.
In tests: ``with Standin() as server: ...``; ``server.log`` holds every request, ``server.inject(Fault(...))`` breaks some.
"""

import argparse
import asyncio
import gzip
import hashlib
import json
import os
import re
import sys
import threading
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, override

import polars as pl
import zstandard
from aiohttp import web

from hedgegrid_assets.sources.synthetic import generate
from hedgegrid_assets_tests.standins.server import Fault, Server

KEY: Final = "standin-key"
MINUTES: Final = 1_440
_EMPTY_GZIP: Final = gzip.compress(b"", mtime=0)
_LAG: Final = timedelta(minutes=4)
_KINDS: Final = ("trades", "derivative_ticker", "quotes")
_OTHER_KINDS: Final = (
    "incremental_book_L2",
    "book_snapshot_5",
    "book_snapshot_25",
    "book_ticker",
    "liquidations",
)
_TRADES_HEADER: Final = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n"
_QUOTES_HEADER: Final = "exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount\n"
_TICKER_HEADER: Final = (
    "exchange,symbol,timestamp,local_timestamp,funding_timestamp,funding_rate,predicted_funding_rate,open_interest,last_price,"
    "index_price,mark_price\n"
)
_EVERY_NA: Final = 500
_OPEN_INTEREST_SECONDS: Final = 30

type Lines = list[tuple[int, bytes]]
"""(receive time in ns, message), in recorded order; a blank message is a disconnect."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """What the server knows of one exchange: symbol -> (type, base, quote, price step, size step)."""

    name: str
    since: date
    symbols: Mapping[str, tuple[str, str, str, float, float]]
    channels: tuple[str, ...] = ()

    def has_ticker(self, symbol: str) -> bool:
        """Spot has no mark prices."""
        return self.symbols[symbol][0] != "spot"


EXCHANGES: Final[Mapping[str, Exchange]] = {
    exchange.name: exchange
    for exchange in (
        Exchange(
            "binance-futures",
            date(2019, 11, 17),
            {
                "BTCUSDT": ("perpetual", "BTC", "USDT", 0.1, 0.001),
                "ETHUSDT": ("perpetual", "ETH", "USDT", 0.01, 0.001),
                "SOLUSDT": ("perpetual", "SOL", "USDT", 0.001, 1),
                "BTCUSDT_240329": ("future", "BTC", "USDT", 0.1, 0.001),
                "币安人生USDT": ("perpetual", "币安人生", "USDT", 0.1, 0.1),
            },
            (
                "trade",
                "aggTrade",
                "ticker",
                "depth",
                "markPrice",
                "depthSnapshot",
                "bookTicker",
                "forceOrder",
                "openInterest",
            ),
        ),
        Exchange(
            "binance", date(2019, 3, 30), {"BTCUSDT": ("spot", "BTC", "USDT", 0.01, 0.00001)}, ("trade", "aggTrade")
        ),
        Exchange("binance-delivery", date(2020, 6, 16), {"BTCUSD_PERP": ("perpetual", "BTC", "USD", 0.1, 1)}),
        Exchange(
            "bybit",
            date(2019, 11, 7),
            {"BTCUSDT": ("perpetual", "BTC", "USDT", 0.1, 0.001), "BTCUSD": ("perpetual", "BTC", "USD", 0.5, 1)},
        ),
        Exchange("okex-swap", date(2019, 3, 30), {"BTC-USDT-SWAP": ("perpetual", "BTC", "USDT", 0.1, 1)}),
        Exchange("deribit", date(2019, 3, 30), {"BTC-PERPETUAL": ("perpetual", "BTC", "USD", 0.5, 10)}),
        Exchange("bitmex", date(2019, 3, 30), {"XBTUSD": ("perpetual", "BTC", "USD", 0.5, 100)}),
    )
}


# ---------------------------------------------------------------- faults and the log


# ---------------------------------------------------------------- messages


def synthetic_lines(symbol: str, channel: str, day: date, trades_per_day: int, seed: int) -> Lines:
    """A day of one Binance USD-M stream, made up."""
    if channel in {"trade", "aggTrade"}:
        text = b"".join(generate(symbol, "aggTrade", day, seed=seed, trades_per_day=trades_per_day))
        return _as_trades(text, day, trades_per_day) if channel == "trade" else _split(text)
    if channel in {"markPrice", "openInterest"}:
        marks = _split(b"".join(generate(symbol, "markPrice", day, seed=seed)))
        return marks if channel == "markPrice" else _open_interest(marks, symbol)
    return []


def _split(text: bytes) -> Lines:
    return [(int(line[:19]), line[20:]) for line in text.splitlines()]


def _as_trades(text: bytes, day: date, trades_per_day: int) -> Lines:
    """Each aggregate as one trade of the @trade stream, and now and then a row that is no market trade (X=NA)."""
    first = (day - date(1970, 1, 1)).days * (trades_per_day + trades_per_day // _EVERY_NA)
    body = pl.Series(text.decode().splitlines()).to_frame("line")
    found = body.select(
        local=pl.col("line").str.slice(0, 19).cast(pl.Int64),
        **{
            key: pl.col("line").str.extract(pattern, 1)
            for key, pattern in {
                "stream": r'"stream":"([^@]*)@',
                "E": r'"E":(\d+)',
                "s": r'"s":"([^"]*)"',
                "p": r'"p":"([^"]*)"',
                "q": r'"q":"([^"]*)"',
                "T": r'"T":(\d+)',
                "m": r'"m":(\w+)',
            }.items()
        },
    ).with_columns(t=first + pl.int_range(pl.len()) + pl.int_range(pl.len()) // _EVERY_NA)
    texts = found.select(
        pl.concat_str(
            pl.lit('{"stream":"'), "stream", pl.lit('@trade","data":{"e":"trade","E":'), "E", pl.lit(',"T":'), "T",
            pl.lit(',"s":"'), "s", pl.lit('","t":'), "t", pl.lit(',"p":"'), "p", pl.lit('","q":"'), "q",
            pl.lit('","X":"MARKET","m":'), "m", pl.lit("}}"),
        )
    ).to_series()  # fmt: skip
    lines: Lines = []
    for number, (local, trade_id, stamp, text_of) in enumerate(
        zip(found["local"], found["t"], found["E"], texts, strict=True), start=1
    ):
        lines.append((local, text_of.encode()))
        if number % _EVERY_NA == 0:
            stream, symbol = found["stream"][0], found["s"][0]
            none = f'{{"stream":"{stream}@trade","data":{{"e":"trade","E":{stamp},"T":{stamp},"s":"{symbol}","t":{trade_id + 1},"p":"0","q":"0","X":"NA","m":false}}}}'
            lines.append((local, none.encode()))
    return lines


def _open_interest(marks: Lines, symbol: str) -> Lines:
    """What Tardis' own poll makes, every half minute."""
    made: Lines = []
    for number, (local, _) in enumerate(marks[7::_OPEN_INTEREST_SECONDS]):
        amount = f"{80_000 + number * 37 % 1_000}.{number % 1_000:03d}"
        data = {"symbol": symbol, "openInterest": amount, "time": local // 1_000_000}
        message = {"stream": f"{symbol.lower()}@openInterest", "generated": True, "data": data}
        made.append((local + 400_000_000, json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()))
    return made


def capture_lines(path: Path, shift_days: int) -> Iterator[tuple[str, str, int, bytes]]:
    """(channel, symbol, local ns, message) of a capture of ``<ns> <json>`` lines, all times moved by whole days."""
    milliseconds = shift_days * 86_400_000

    def moved(found: re.Match[bytes]) -> bytes:
        return found[1] + str(int(found[2]) + milliseconds).encode()

    for line in gzip.decompress(path.read_bytes()).splitlines():
        local, _, message = line.partition(b" ")
        message = re.sub(rb'("[ET]":)(\d{13})', moved, message)
        stream = re.search(rb'"stream":"([^"@]+)@([^"@]+)', message)
        if stream is None:
            symbol, channel = path.name.split("_")[1], "depthSnapshot"
            message = b'{"stream":"%b@depthSnapshot","generated":true,"data":%b}' % (symbol.encode(), message)
        else:
            symbol, channel = stream[1].decode(), stream[2].decode()
        yield channel, symbol.upper(), int(local) + milliseconds * 1_000_000, message


def iso_stamp(ns: int) -> bytes:
    """28 characters, 100 ns."""
    return f"{datetime.fromtimestamp(ns // 1_000_000_000, UTC):%Y-%m-%dT%H:%M:%S}.{ns % 1_000_000_000 // 100:07d}Z".encode()


# ---------------------------------------------------------------- datasets: the vendor's mapping, written once more


def js_number(text: str) -> str:
    """A decimal as JavaScript prints it: a double, shortest, no trailing zeros, exponents below 1e-6."""
    value = float(text)
    if value == int(value) and abs(value) < 1e21:
        return str(int(value))
    shown = repr(value)
    if "e" in shown and abs(value) >= 1e-6:
        return f"{Decimal(shown):f}"
    return re.sub(r"e-0(\d)", r"e-\1", shown)


def trades_csv(exchange: str, symbol: str, lines: Lines) -> str:
    """Rows of ``trades`` from messages of the trade stream."""
    rows = [_TRADES_HEADER]
    for local, message in lines:
        if not message:
            continue
        data = json.loads(message)["data"]
        if data.get("X") in {"INSURANCE_FUND", "ADL", "NA"}:
            continue
        side = "sell" if data["m"] else "buy"
        rows.append(
            f"{exchange},{symbol},{data['T'] * 1000},{local // 1000},{data['t']},{side},{js_number(data['p'])},{js_number(data['q'])}\n"
        )
    return "".join(rows) if len(rows) > 1 else ""


def quotes_csv(exchange: str, symbol: str, lines: Lines) -> str:
    """Rows of ``quotes``: around each message of the trade stream; every hundredth has no bids."""
    rows = [_QUOTES_HEADER]
    for number, (local, message) in enumerate(line for line in lines if line[1]):
        data = json.loads(message)["data"]
        if data.get("X") in {"INSURANCE_FUND", "ADL", "NA"}:
            continue
        price, size = Decimal(data["p"]), js_number(data["q"])
        bid = "," if number % 100 == 99 else f"{js_number(str(price - Decimal('0.1')))},{size}"
        times = f"{data['T'] * 1000},{local // 1000}"
        rows.append(f"{exchange},{symbol},{times},{size},{js_number(str(price + Decimal('0.1')))},{bid}\n")
    return "".join(rows) if len(rows) > 1 else ""


def ticker_csv(exchange: str, symbol: str, lines: Lines) -> str:
    """Rows of ``derivative_ticker`` from markPrice and openInterest messages: one where a value changed."""
    rows = [_TICKER_HEADER]
    known: dict[str, str] = {}
    seen_us = 0
    for local, message in lines:
        if not message:
            known.clear()
            seen_us = 0
            continue
        data = json.loads(message)["data"]
        if "openInterest" in data:
            found = {"open_interest": js_number(data["openInterest"])}
        else:
            found = {"mark_price": js_number(data["p"])}
            if data.get("i"):
                found["index_price"] = js_number(data["i"])
            if data.get("r", "") != "" and data["T"] != 0:
                found |= {"funding_rate": js_number(data["r"]), "funding_timestamp": str(data["T"] * 1000)}
            seen_us = max(seen_us, data["E"] * 1000)
        if known | found != known:
            known |= found
            cells = [known.get(name, "") for name in _TICKER_HEADER.strip().split(",")[4:]]
            rows.append(f"{exchange},{symbol},{seen_us or local // 1000},{local // 1000},{','.join(cells)}\n")
    return "".join(rows) if len(rows) > 1 else ""


# ---------------------------------------------------------------- the library of days


class Library:
    """Days by exchange, symbol and channel: recorded ones, else synthetic ones."""

    def __init__(self, trades_per_day: int, seed: int) -> None:
        self.trades_per_day = trades_per_day
        self.seed = seed
        self.empty: set[tuple[str, date]] = set()
        self.exported_until: date | None = None
        self.disconnects: dict[tuple[str, date], list[int]] = {}
        self._recorded: dict[tuple[str, str, str, date], Lines] = {}
        self._recorded_days: set[tuple[str, str, date]] = set()
        self._made: dict[tuple[str, str, str, date], Lines] = {}
        self._minutes: dict[tuple[str, str, date], list[bytes]] = {}

    def add_capture(self, exchange: str, path: Path, shift_days: int) -> None:
        """Let a capture stand for its days, moved by ``shift_days``."""
        for channel, symbol, local, message in capture_lines(path, shift_days):
            self.add(exchange, channel, symbol, local, message)

    def add(self, exchange: str, channel: str, symbol: str, local: int, message: bytes) -> None:
        """Let a message be part of its day; a day with any recorded message is recorded, not synthetic."""
        day = datetime.fromtimestamp(local // 1_000_000_000, UTC).date()
        self._recorded.setdefault((exchange, symbol, channel, day), []).append((local, message))
        self._recorded_days.add((exchange, symbol, day))

    def forget(self) -> None:
        """Let no day be a recorded one any more."""
        self._recorded.clear()
        self._recorded_days.clear()

    def lines(self, exchange: str, symbol: str, channel: str, day: date) -> Lines:
        """One stream of a day, with its disconnects."""
        known = EXCHANGES[exchange]
        if (symbol, day) in self.empty:
            return []
        if (exchange, symbol, day) in self._recorded_days:
            return self._recorded.get((exchange, symbol, channel, day), [])
        if symbol not in known.symbols or not known.since <= day < datetime.now(UTC).date():
            return []
        key = (exchange, symbol, channel, day)
        if key not in self._made:
            if len(self._made) > 32:
                self._made.clear()
            self._made[key] = synthetic_lines(symbol, channel, day, self.trades_per_day, self.seed)
        return self._made[key]

    def minutes(self, exchange: str, filters: Sequence[Mapping[str, Any]], day: date) -> list[bytes]:
        """The 1,440 slices of a day under some filters."""
        key = (exchange, json.dumps(filters), day)
        if key not in self._minutes:
            if len(self._minutes) > 16:
                self._minutes.clear()
            self._minutes[key] = self._cut(exchange, filters, day)
        return self._minutes[key]

    def _cut(self, exchange: str, filters: Sequence[Mapping[str, Any]], day: date) -> list[bytes]:
        known = EXCHANGES[exchange]
        streams: list[Lines] = []
        for wanted in filters or [{"channel": channel, "symbols": None} for channel in known.channels]:
            symbols = (
                wanted["symbols"] if wanted.get("symbols") is not None else [name.lower() for name in known.symbols]
            )
            for symbol in symbols:
                if symbol == symbol.lower():  # as the exchange writes them in stream names: others match nothing
                    streams.append(self.lines(exchange, symbol.upper(), wanted["channel"], day))
        merged = sorted((line for stream in streams for line in stream), key=lambda line: line[0])
        start = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000_000
        slices = [bytearray() for _ in range(MINUTES)]
        for minute in self.disconnects.get((exchange, day), []):
            slices[minute] += b"\n"
        for local, message in merged:
            slices[(local - start) // 60_000_000_000] += b"%b %b\n" % (iso_stamp(local), message)
        return [bytes(part) for part in slices]

    def dataset(self, exchange: str, kind: str, symbol: str, day: date) -> str:
        """The CSV text of a day, empty where there is nothing."""
        names = {name.replace("/", "-").replace(":", "-").upper(): name for name in EXCHANGES[exchange].symbols}
        real = names.get(symbol, symbol)
        if kind == "trades":
            return trades_csv(exchange, real, self.lines(exchange, real, "trade", day))
        if kind == "quotes":
            return quotes_csv(exchange, real, self.lines(exchange, real, "trade", day))
        if kind == "derivative_ticker" and real in EXCHANGES[exchange].symbols and EXCHANGES[exchange].has_ticker(real):
            marks = [
                line for channel in ("markPrice", "openInterest") for line in self.lines(exchange, real, channel, day)
            ]
            return ticker_csv(exchange, real, sorted(marks, key=lambda line: line[0]))
        return ""


# ---------------------------------------------------------------- the server


class Refusal(Exception):
    """An error answer as Tardis words it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Standin(Server):
    """The server, in a thread of its own, on 127.0.0.1.

    Attributes:
        library: Where its days come from.
        keys: Key -> (first day, first day not allowed any more), or None for all days.
        wrong_key_on_free_days: Whether an unknown key is served on a free day, as no key is.
        instruments_open: Whether the keys' plan has the instruments API.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        keys: Mapping[str, tuple[date, date] | None] | None = None,
        trades_per_day: int = 2_000,
        seed: int = 7,
    ) -> None:
        super().__init__(port)
        self.library = Library(trades_per_day, seed)
        self.keys: Mapping[str, tuple[date, date] | None] = {KEY: None} if keys is None else keys
        self.wrong_key_on_free_days = True
        self.instruments_open = False
        self.zstd = False
        self._datasets: dict[tuple[str, bool], bytes] = {}
        self._lock = threading.Lock()

    @property
    def endpoint(self) -> str:
        """Root of the API."""
        return f"{self.root}/v1"

    @property
    def datasets_endpoint(self) -> str:
        """Root of the datasets."""
        return f"{self.root}/datasets/v1"

    def most_at_once(self, part: str = "") -> int:
        """Largest number of requests in flight together."""
        ends = [(entry.at, 1) for entry in self.requests(part)] + [
            (entry.ended, -1) for entry in self.requests(part) if entry.ended
        ]
        most = now = 0
        for _, step in sorted(ends, key=lambda end: (end[0], end[1])):
            now += step
            most = max(most, now)
        return most

    # -- answers

    @override
    async def _respond(self, request: web.Request) -> web.StreamResponse:
        minute = _minute(request)
        fault = next((fault for fault in self._faults if fault.strikes(str(request.rel_url), minute)), None)
        if self.delay_seconds:
            await asyncio.sleep(self.delay_seconds)
        if fault is not None and fault.kind == "status":
            return _error(fault.status, fault.body, fault.retry_after)
        try:
            body, headers = await asyncio.to_thread(self._body, request, fault)
        except Refusal as refusal:
            return _error(refusal.status, json.dumps({"code": refusal.status, "message": str(refusal)}, indent=2))
        return await self._send(request, body, headers, fault)

    def _body(self, request: web.Request, fault: Fault | None) -> tuple[bytes, dict[str, str]]:
        with self._lock:  # days are made once
            path = request.path
            if path.startswith("/datasets/v1/"):
                return self._dataset(request, path.removeprefix("/datasets/v1/").split("/"), fault)
            if path.startswith("/v1/data-feeds/"):
                return self._slice(request, path.removeprefix("/v1/data-feeds/"), fault)
            return self._metadata(request, path)

    def _slice(self, request: web.Request, name: str, fault: Fault | None) -> tuple[bytes, dict[str, str]]:
        if name not in EXCHANGES:
            raise Refusal(404, f"There is no such exchange: '{name}'.")
        start, size = _moment(request), _positive(request, "sliceSize", 1)
        filters = _filters(request, EXCHANGES[name])
        accepted = request.headers.get("Accept-Encoding", "")
        if "gzip" not in accepted and "zstd" not in accepted:
            raise Refusal(400, "Please provide 'Accept-Encoding' header with gzip or zstd.")
        text = b""
        for number in range(size):
            moment = start + timedelta(minutes=number)
            self._allow(request, moment.date(), "data feeds")
            if moment > datetime.now(UTC) - _LAG:
                raise Refusal(400, f"Data for '{moment.isoformat()}' is not available yet.")
            text += self.library.minutes(name, filters, moment.date())[moment.hour * 60 + moment.minute]
        if fault is not None and fault.kind == "lines":
            text = fault.change(text)
        headers = {
            "X-Slice-Size": str(size),
            "X-Suggested-Slice-Size": "1",
            "X-Name": name,
            "Content-Type": "text/plain",
        }
        if fault is not None and fault.kind == "no_slice_size":
            del headers["X-Slice-Size"]
        if fault is not None and fault.kind == "small_slice_size":
            headers["X-Slice-Size"] = "0"
        if (self.zstd and "zstd" in accepted) or (fault is not None and fault.kind == "zstd"):
            half = len(text) // 2
            return zstandard.compress(text[:half]) + zstandard.compress(text[half:]), headers | {
                "Content-Encoding": "zstd"
            }
        return _gzip(text), headers | {"Content-Encoding": "gzip"}

    def _dataset(self, request: web.Request, parts: list[str], fault: Fault | None) -> tuple[bytes, dict[str, str]]:
        if request.method == "HEAD" or "Range" in request.headers:
            raise Refusal(403, "Forbidden")
        if len(parts) != 6 or parts[0] not in EXCHANGES or not parts[5].endswith(".csv.gz"):
            raise Refusal(404, "There is no such dataset.")
        exchange, kind, year, month, day, name = parts
        if kind not in (*_KINDS, *_OTHER_KINDS):
            raise Refusal(404, f"There is no such data type: '{kind}'.")
        try:
            asked = date(int(year), int(month), int(day))
        except ValueError:
            raise Refusal(400, "Invalid date. Please provide ISO 8601 format date.") from None
        self._allow(request, asked, "datasets")
        symbol = name.removesuffix(".csv.gz")
        key = (request.path, (symbol, asked) in self.library.empty)
        if key not in self._datasets:
            text = self.library.dataset(exchange, kind, symbol, asked)
            self._datasets[key] = _gzip(text.encode())
        body = self._datasets[key]
        if fault is not None and fault.kind in {"lines", "rows"}:
            body = _gzip(fault.change(gzip.decompress(body)))
        return body, {"Content-Type": "application/gzip", "x-md5": hashlib.md5(body).hexdigest()}

    def _metadata(self, request: web.Request, path: str) -> tuple[bytes, dict[str, str]]:
        parts = path.removeprefix("/v1/").split("/")
        match parts:
            case ["exchanges"]:
                value: Any = [{"id": name, "name": name, "enabled": True} for name in EXCHANGES]
            case ["exchanges", name] if name in EXCHANGES:
                value = _details(EXCHANGES[name], self.library.exported_until)
            case ["api-key-info"]:
                self._key(request)
                value = [_key_info(name) for name in EXCHANGES]
            case ["instruments", name, *rest] if name in EXCHANGES and len(rest) < 2:
                if name != "bitmex":
                    self._key(request)
                    if not self.instruments_open:
                        raise Refusal(
                            401, "Instruments metadata API is available for pro and business subscriptions only."
                        )
                found = [_instrument(EXCHANGES[name], symbol) for symbol in EXCHANGES[name].symbols]
                value = next((entry for entry in found if entry["id"] == rest[0]), None) if rest else found
                if value is None:
                    raise Refusal(404, f"There is no such symbol: '{rest[0]}'.")
            case _:
                raise Refusal(404, "Not found.")
        text = json.dumps(value).encode()
        zipped = "gzip" in request.headers.get("Accept-Encoding", "")
        headers = {"Content-Type": "application/json"} | ({"Content-Encoding": "gzip"} if zipped else {})
        return _gzip(text) if zipped else text, headers

    def _allow(self, request: web.Request, day: date, what: str) -> None:
        """The key's days, or the first day of a month."""
        key = request.headers.get("Authorization", "").removeprefix("Bearer").strip()
        limits = self.keys.get(key)
        if key in self.keys and (limits is None or limits[0] <= day < limits[1]):
            return
        known_or_none = not key or key in self.keys or self.wrong_key_on_free_days
        if day.day == 1 and known_or_none:
            return
        raise Refusal(
            401,
            "For unauthorized requests, only historical CSV market datasets for the first day of each month are available "
            f"(dataset for '{day}' has been requested)."
            if what == "datasets"
            else f"Invalid API key, or no access to the data of '{day}'.",
        )

    def _key(self, request: web.Request) -> None:
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.keys:
            raise Refusal(401, "Invalid API key.")

    async def _send(
        self, request: web.Request, body: bytes, headers: dict[str, str], fault: Fault | None
    ) -> web.StreamResponse:
        match fault.kind if fault is not None else "":
            case "truncated":
                body = body[: max(len(body) * 2 // 3, 5)]
            case "garbage":
                body += b"<!-- proxy -->"
            case "html":
                body, headers = b"<html><body>Sign in to the network</body></html>", {"Content-Type": "text/html"}
            case "zero":
                body = b""
            case "second_member":
                body += _gzip(gzip.decompress(body))
            case "reset" | "slow" | "stall":
                assert fault is not None
                return await _broken(request, body, headers, fault)
        return web.Response(body=body, headers=headers)


async def _broken(request: web.Request, body: bytes, headers: dict[str, str], fault: Fault) -> web.StreamResponse:
    """A body that comes slowly, stops, or ends with the connection."""
    response = web.StreamResponse(headers=headers)
    response.content_length = len(body)
    await response.prepare(request)
    half = len(body) // 2
    await response.write(body[:half])
    if fault.kind == "reset":
        if request.transport is not None:
            request.transport.abort()
        return response
    if fault.kind == "stall":
        await asyncio.sleep(fault.seconds)
        return response
    for start in range(half, len(body), 1):
        await asyncio.sleep(fault.seconds)
        await response.write(body[start : start + 1])
    return response


def _gzip(data: bytes) -> bytes:
    if not data:
        return _EMPTY_GZIP
    packer = zlib.compressobj(1, wbits=31)
    return packer.compress(data) + packer.flush()


def _error(status: int, body: str | None, retry_after: str | None = None) -> web.Response:
    text = json.dumps({"code": status, "message": "injected"}, indent=2) if body is None else body
    kind = "application/json" if text.startswith("{") else "text/html"
    return web.Response(
        status=status,
        text=text,
        content_type=kind,
        headers={"Retry-After": retry_after} if retry_after is not None else {},
    )


def _moment(request: web.Request) -> datetime:
    """The start of the slice: ``from`` plus ``offset`` minutes."""
    text = request.query.get("from", "")
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?)?", text):
        raise Refusal(400, f"Invalid 'from' param provided: '{text}'. Please provide ISO 8601 format date.")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Refusal(400, f"Invalid 'from' param provided: '{text}'. Please provide ISO 8601 format date.") from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment.replace(second=0, microsecond=0) + timedelta(minutes=_positive(request, "offset", 0, least=0))


def _minute(request: web.Request) -> int | None:
    """Minute of the day of the slice asked for, None for other requests."""
    if "/data-feeds/" not in request.path:
        return None
    try:
        moment = _moment(request)
    except Refusal:
        return None
    return moment.hour * 60 + moment.minute


def _positive(request: web.Request, name: str, default: int, least: int = 1) -> int:
    text = request.query.get(name, str(default))
    if not text.isascii() or not text.isdigit() or int(text) < least:
        raise Refusal(400, f"Invalid '{name}' param provided: '{text}'.")
    return int(text)


def _filters(request: web.Request, exchange: Exchange) -> list[dict[str, Any]]:
    text = request.query.get("filters")
    if text is None:
        return []
    filters: Any = None
    try:
        filters = json.loads(text)
        well = isinstance(filters, list) and all(
            isinstance(one["channel"], str)
            and (one.get("symbols") is None or all(isinstance(s, str) for s in one["symbols"]))
            for one in filters
        )
    except (ValueError, KeyError, TypeError):
        well = False
    if not well:
        raise Refusal(400, "Invalid 'filters' param provided. Please provide a JSON array of channel and symbols.")
    for one in filters:
        if one["channel"] not in exchange.channels:
            raise Refusal(
                400, f"Invalid 'filters[].channel' param: '{one['channel']}'. Allowed: {', '.join(exchange.channels)}."
            )
    return filters


def _details(exchange: Exchange, exported: date | None = None) -> dict[str, Any]:
    since = f"{exchange.since}T00:00:00.000Z"
    until = f"{exported or datetime.now(UTC).date()}T00:00:00.000Z"
    symbols = [{"id": name, "type": entry[0], "availableSince": since} for name, entry in exchange.symbols.items()]
    kinds = {
        name: ["trades", "quotes", *(["derivative_ticker"] if exchange.has_ticker(name) else [])]
        for name in exchange.symbols
    }
    return {
        "id": exchange.name,
        "name": exchange.name,
        "enabled": True,
        "availableSince": since,
        "availableChannels": list(exchange.channels),
        "availableSymbols": symbols,
        "incidentReports": [],
        "datasets": {
            "formats": ["csv"],
            "exportedFrom": since,
            "exportedUntil": until,
            "symbols": [entry | {"dataTypes": kinds[entry["id"]]} for entry in symbols],
        },
    }


def _key_info(exchange: str) -> dict[str, Any]:
    return {
        "exchange": exchange,
        "accessType": "time-based",
        "from": "2019-03-30T00:00:00.000Z",
        "to": "2027-01-01T00:00:00.000Z",
        "symbols": [],
        "dataPlan": "pro",
    }


def _instrument(exchange: Exchange, symbol: str) -> dict[str, Any]:
    kind, base, quote, tick, step = exchange.symbols[symbol]
    inverse = quote == "USD"
    return {
        "id": symbol,
        "exchange": exchange.name,
        "baseCurrency": base,
        "quoteCurrency": quote,
        "type": kind,
        "active": True,
        "availableSince": f"{exchange.since}T00:00:00.000Z",
        "priceIncrement": tick,
        "amountIncrement": step,
        "minTradeAmount": step,
        "makerFee": 0.0002,
        "takerFee": 0.0004,
        **({} if kind == "spot" else {"inverse": inverse, "contractMultiplier": 1, "quanto": False}),
        **({"settlementCurrency": base if inverse else quote} if kind != "spot" else {}),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="tardis_standin", description="A local server that answers as Tardis.dev does."
    )
    parser.add_argument("--port", type=int, default=8377)
    parser.add_argument("--key", default=KEY, help="the API key that is accepted (default: %(default)s)")
    parser.add_argument("--trades-per-day", type=int, default=20_000)
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        help="KIND[:name=value,...], as status:status=429,retry_after=1,minute=3",
    )
    parser.add_argument(
        "--capture", action="append", default=[], help="PATH:DAYS, a capture of binance-futures moved by whole days"
    )
    given = parser.parse_args(arguments)
    with Standin(port=given.port, keys={given.key: None}, trades_per_day=given.trades_per_day) as server:
        server.inject(*map(_fault_of, given.fault))
        for capture in given.capture:
            path, _, days = capture.rpartition(":")
            server.library.add_capture("binance-futures", Path(path), int(days))
        sys.stdout.write(
            f"serving synthetic days of {', '.join(EXCHANGES)}\n"
            f"export TARDIS_ENDPOINT={server.endpoint}\nexport TARDIS_DATASETS_ENDPOINT={server.datasets_endpoint}\n"
            f"export TARDIS_API_KEY={given.key}\n"
        )
        sys.stdout.flush()
        shown = 0
        try:
            while True:
                time.sleep(0.2)
                for entry in server.log[shown:]:
                    sys.stdout.write(f"{entry.status} {entry.method} {entry.target}\n")
                    shown += 1
                sys.stdout.flush()
        except (KeyboardInterrupt, BrokenPipeError):
            return 0


def _fault_of(text: str) -> Fault:
    kind, _, rest = text.partition(":")
    values: dict[str, Any] = {}
    for part in filter(None, rest.split(",")):
        name, _, value = part.partition("=")
        values[name] = (
            float(value)
            if name == "seconds"
            else int(value)
            if name in {"minute", "times", "after", "status"}
            else value
        )
    return Fault(kind, **values)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main())
