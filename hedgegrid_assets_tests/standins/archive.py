"""A local server that answers as the exchanges' public archives do, from made days, with faults on request.

By hand: ``python -m hedgegrid_assets_tests.standins.archive``, then give the address it prints as ``endpoint``.
In tests: ``with Standin() as server: ...``; ``server.log`` holds every request, ``server.inject(Fault(...))`` breaks
some, ``server.change(path, ...)`` publishes another content. All archives are at one address: their paths differ.
"""

import argparse
import asyncio
import gzip
import hashlib
import io
import json
import re
import sys
import threading
import time
import urllib.parse
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Final, override
from xml.sax.saxutils import escape

from aiohttp import web

from hedgegrid_assets.sources.synthetic import generate
from hedgegrid_assets_tests.standins.server import Fault, Server

SINCE: Final = date(2019, 12, 31)
ENDED: Final = date(2024, 3, 31)
"""First day without bookTicker."""
HEADER_SINCE: Final = date(2022, 8, 11)
LABELS_SINCE: Final = date(2026, 6, 25)
"""First day of metrics of USD-M whose rows are labelled by the start of their five minutes."""
MICROSECONDS_SINCE: Final = date(2025, 1, 1)
_INTERVALS: Final = {"1m": 1, "5m": 5, "15m": 15, "1h": 60, "4h": 240, "1d": 1_440}
_PAGE: Final = 1_000
_DAY_MS: Final = 86_400_000

type Rows = list[str]
type Change = Callable[[Rows], Rows]

_AGG_HEADER: Final = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker"
_CANDLE_HEADER: Final = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)
_METRICS_HEADER: Final = (
    "create_time,symbol,sum_open_interest,sum_open_interest_value,count_toptrader_long_short_ratio,"
    "sum_toptrader_long_short_ratio,count_long_short_ratio,sum_taker_long_short_vol_ratio"
)
_BYBIT_HEADER: Final = (
    "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,foreignNotional"
)


# ---------------------------------------------------------------- made markets


@dataclass(frozen=True, slots=True)
class Trade:
    """A made trade: ids as those of aggregates, of which each holds one to three trades."""

    number: int
    first: int
    last: int
    price: str
    size: str
    ms: int
    buyer_is_maker: bool


@cache
def trades_of(symbol: str, day: date, count: int, seed: int) -> tuple[Trade, ...]:
    """The aggregates of a day."""
    text = b"".join(
        generate(symbol.replace("_PERP", "T").replace("-", ""), "aggTrade", day, seed=seed, trades_per_day=count)
    )
    made: list[Trade] = []
    base = (day - date(1970, 1, 1)).days * count
    for number, line in enumerate(text.splitlines()):
        data = json.loads(line[20:])
        data = data.get("data", data)
        first = (base + number) * 2
        made.append(Trade(base + number, first, first + 1, data["p"], data["q"], int(data["T"]), bool(data["m"])))
    return tuple(made)


@cache
def marks_of(symbol: str, day: date, seed: int) -> tuple[tuple[int, str, str], ...]:
    """(open time in ms, mark, index) of the day's minutes."""
    start = (day - date(1970, 1, 1)).days * _DAY_MS
    level = 42_000 + sum(symbol.encode()) % 97 + seed
    return tuple(
        (
            start + minute * 60_000,
            f"{level + (minute * 7919) % 101}.{(minute * 104_729) % 10**8:08d}",
            f"{level + (minute * 7919) % 97}.{(minute * 15_485) % 10**8:08d}",
        )
        for minute in range(1_440)
    )


# ---------------------------------------------------------------- files


@dataclass(frozen=True, slots=True)
class Market:
    """One of Binance's markets, with its symbols."""

    path: str
    symbols: tuple[str, ...]
    quantity: str
    header: bool


MARKETS: Final = (
    Market("futures/um", ("BTCUSDT", "ETHUSDT", "1000SHIBUSDT", "BTCUSDT_240329"), "quote_qty", header=True),
    Market("futures/cm", ("BTCUSD_PERP", "ETHUSD_PERP", "BTCUSD_240329"), "base_qty", header=True),
    Market("spot", ("BTCUSDT", "ETHUSDT"), "", header=False),
)
BYBIT: Final = ("BTCUSDT", "BTCUSD", "ETHUSDT")
BYBIT_SPOT: Final = ("BTCUSDT",)
OKX: Final = ("BTC-USDT-SWAP", "BTC-USD-SWAP", "BTC-USDT")


def _metrics_of(market: Market, symbol: str, day: date) -> Rows:
    """Open interest at the ends of five minutes; the last one is midnight. See ``LABELS_SINCE``."""
    by_start = market.path == "futures/cm" or day >= LABELS_SINCE
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    labels = [start + timedelta(minutes=5 * (step - int(by_start))) for step in range(1, 289)]
    return [
        f"{label:%Y-%m-%d %H:%M:%S},{symbol},{80_000 + (day.toordinal() * 288 + number) * 7919 % 997}.{number % 1000:03d},1.5,1,1,1,1"
        for number, label in enumerate(labels)
    ]


class Library:
    """Files by path, made when they are asked for; some are changed, gone, or replaced."""

    def __init__(self, trades_per_day: int, seed: int, until: date) -> None:
        self.trades_per_day = trades_per_day
        self.seed = seed
        self.until = until
        self.changes: dict[str, Change] = {}
        self.bodies: dict[str, bytes] = {}
        self.gone: set[str] = set()
        self.checksums: dict[str, bytes] = {}
        self.versions: dict[str, int] = {}
        self._made: dict[str, bytes | None] = {}
        self._lock = threading.Lock()

    def body(self, path: str) -> bytes | None:
        """A file; None: there is none."""
        if path in self.gone:
            return None
        if path in self.bodies:
            return self.bodies[path]
        with self._lock:
            if path not in self._made:
                self._made[path] = self._make(path)
            return self._made[path]

    def change(self, path: str, change: Change) -> None:
        """Publish a file with other rows (without its header), from now on."""
        self.changes[path] = change
        self._made.pop(path, None)
        self.versions[path] = self.versions.get(path, 0) + 1

    def restore(self) -> None:
        """As it was at first."""
        for changed in (self.changes, self.bodies, self.checksums, self.versions, self._made):
            changed.clear()
        self.gone.clear()

    def checksum(self, path: str) -> bytes | None:
        """What stands in the checksum file of a file."""
        if path in self.checksums:
            return self.checksums[path]
        body = self.body(path)
        return None if body is None else f"{hashlib.sha256(body).hexdigest()}  {path.rpartition('/')[2]}\n".encode()

    def days(self) -> list[date]:
        """The days of a symbol that are published."""
        return [SINCE + timedelta(days=n) for n in range((self.until - SINCE).days)]

    def months(self) -> list[date]:
        """The months that are over."""
        return sorted({day.replace(day=1) for day in self.days() if day.replace(day=1) < self.until.replace(day=1)})

    # -- rows

    def _make(self, path: str) -> bytes | None:
        for make in (self._vision, self._bybit, self._okx):
            found = make(path)
            if found is not None:
                name, header, rows = found
                change = self.changes.get(path)
                rows = change(rows) if change else rows
                text = "".join(f"{row}\n" for row in ([header] if header else []) + rows).encode()
                return gzip.compress(text, 1, mtime=0) if path.endswith(".gz") else zipped(name, text)
        return None

    def _vision(self, path: str) -> tuple[str, str, Rows] | None:
        match = re.fullmatch(
            r"/data/(spot|futures/um|futures/cm)/(daily|monthly)/(\w+)/([^/]+)/(?:(?:1m|\d+[mhd])/)?([^/]+?)-(\d+[mhd]|[A-Za-z]+)-([\d-]+)\.zip",
            path,
        )
        if match is None:
            return None
        at, period, kind, symbol, again, word, text = match.groups()
        market = next(one for one in MARKETS if one.path == at)
        known = {*market.symbols, *(name.split("_")[0] for name in market.symbols)}
        if (
            symbol != again
            or symbol not in known
            or word not in ({"1m"} if kind.endswith("Klines") else _INTERVALS if kind == "klines" else {kind})
        ):
            return None
        days = self._days_of(period, text)
        if not days:
            return None
        if kind == "klines":
            header, rows = self._candles(market, symbol, days, _INTERVALS[word])
        else:
            header, rows = self._of_kind(market, kind, symbol, days, monthly=period == "monthly")
        return (f"{symbol}-{word}-{text}.csv", header, rows) if rows else None

    def _days_of(self, period: str, text: str) -> list[date]:
        if period == "daily":
            day = date.fromisoformat(text)
            return [day] if SINCE <= day < self.until else []
        month = date.fromisoformat(f"{text}-01")
        if month not in self.months():
            return []
        return [day for day in self.days() if day.replace(day=1) == month]

    def _of_kind(self, market: Market, kind: str, symbol: str, days: list[date], *, monthly: bool) -> tuple[str, Rows]:
        with_header = market.header and days[0] >= HEADER_SINCE
        if kind == "aggTrades":
            rows = [self._aggregate(market, trade, day) for day in days for trade in self._trades(symbol, day)]
            return _AGG_HEADER if with_header else "", rows
        if kind == "trades":
            rows = [
                row for day in days for trade in self._trades(symbol, day) for row in self._single(market, trade, day)
            ]
            return f"id,price,qty,{market.quantity},time,is_buyer_maker" if with_header else "", rows
        if kind in {"markPriceKlines", "indexPriceKlines"} and market.path != "spot":
            which = 1 if kind.startswith("mark") else 2
            candles = [row for day in days for row in marks_of(symbol, day, self.seed)]
            rows = [
                f"{at},{row[which]},{row[which]},{row[which]},{row[which]},0,{at + 59_999},0,60,0,0,0"
                for row in candles
                for at in (row[0],)
            ]
            return _CANDLE_HEADER if with_header else "", rows
        if kind == "metrics" and market.path != "spot" and not monthly:
            return _METRICS_HEADER, _metrics_of(market, symbol, days[0])
        if kind == "bookTicker" and market.path != "spot" and not monthly and days[0] < ENDED:
            rows = [
                f"{trade.number},{trade.price},{trade.size},{trade.price}5,{trade.size},{trade.ms},{trade.ms + 3}"
                for trade in self._trades(symbol, days[0])
            ]
            header = "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,event_time"
            return header, rows
        if kind == "fundingRate" and monthly and market.path != "spot":
            rows: Rows = []
            for day in days:
                start = (day - date(1970, 1, 1)).days * _DAY_MS
                step = 8 if day.day <= 20 else 4  # the interval changes over a symbol's life
                rows += [
                    f"{start + hour * 3_600_000 + (hour * 7 + day.day) % 9},{step},{'-' if hour == 8 else ''}0.0001{day.day:02d}{hour:02d}"
                    for hour in range(0, 24, step)
                ]
            return "calc_time,funding_interval_hours,last_funding_rate", rows
        return "", []

    def _candles(self, market: Market, symbol: str, days: list[date], minutes: int) -> tuple[str, Rows]:
        """Candles of the trades; a minute without any has the last price, and no volume."""
        rows: Rows = []
        last = ""
        for day in days:
            start, step = (day - date(1970, 1, 1)).days * _DAY_MS, minutes * 60_000
            trades: dict[int, list[Trade]] = {}
            for trade in self._trades(symbol, day):
                trades.setdefault((trade.ms - start) // step, []).append(trade)
            last = last or self._trades(symbol, day)[0].price
            for number in range(_DAY_MS // step):
                prices = [trade.price for trade in trades.get(number, ())] or [last]
                volume = sum((Decimal(trade.size) for trade in trades.get(number, ())), Decimal(0))
                high, low, last = max(prices, key=Decimal), min(prices, key=Decimal), prices[-1]
                opens = self._time(market, start + number * step, day)
                closes = self._time(market, start + (number + 1) * step, day) - 1
                rows.append(f"{opens},{prices[0]},{high},{low},{last},{volume},{closes},0,{len(prices)},0,0,0")
        return _CANDLE_HEADER if market.header and days[0] >= HEADER_SINCE else "", rows

    def _trades(self, symbol: str, day: date) -> tuple[Trade, ...]:
        return trades_of(symbol, day, self.trades_per_day, self.seed)

    def _time(self, market: Market, ms: int, day: date) -> int:
        return ms * 1_000 + ms % 997 if market.path == "spot" and day >= MICROSECONDS_SINCE else ms

    def _aggregate(self, market: Market, trade: Trade, day: date) -> str:
        size = _contracts(trade.size) if market.path == "futures/cm" else trade.size
        flag = str(trade.buyer_is_maker)
        row = f"{trade.number},{trade.price},{size},{trade.first},{trade.last},{self._time(market, trade.ms, day)},"
        return row + (f"{flag},True" if market.path == "spot" else flag.lower())

    def _single(self, market: Market, trade: Trade, day: date) -> Rows:
        size = _contracts(trade.size) if market.path == "futures/cm" else trade.size
        flag = str(trade.buyer_is_maker)
        end = f"{flag},True" if market.path == "spot" else flag.lower()
        at = self._time(market, trade.ms, day)
        return [f"{number},{trade.price},{size},0.1,{at},{end}" for number in (trade.first, trade.last)]

    def _bybit(self, path: str) -> tuple[str, str, Rows] | None:
        match = re.fullmatch(r"/trading/(\w+)/(\w+?)(\d{4}-\d{2}-\d{2})\.csv\.gz", path)
        if match is not None and match[1] == match[2] and match[1] in BYBIT:
            day = date.fromisoformat(match[3])
            return None if not SINCE <= day < self.until else ("", *self._bybit_rows(match[1], day))
        match = re.fullmatch(r"/spot/(\w+)/(\w+?)_(\d{4}-\d{2}-\d{2})\.csv\.gz", path)
        if match is not None and match[1] == match[2] and match[1] in BYBIT_SPOT:
            day = date.fromisoformat(match[3])
            rows = [
                f"{number},{trade.ms},{trade.price},{trade.size},{'sell' if trade.buyer_is_maker else 'buy'}"
                for number, trade in enumerate(self._trades(match[1], day), 1)
            ]
            return ("", "id,timestamp,price,volume,side", rows) if SINCE <= day < self.until else None
        return None

    def _bybit_rows(self, symbol: str, day: date) -> tuple[str, Rows]:
        inverse = symbol.endswith("USD")
        newer = day >= date(2025, 1, 1)
        rows: Rows = []
        for trade in self._trades(symbol, day):
            size = _contracts(trade.size) if inverse else trade.size
            home = trade.size
            seconds = f"{trade.ms // 1000}.{trade.ms % 1000:03d}{trade.number % 10}".rstrip("0").rstrip(".")
            identity = hashlib.md5(f"{symbol}{trade.number}".encode(), usedforsecurity=False).hexdigest()
            uuid = "-".join((identity[:8], identity[8:12], identity[12:16], identity[16:20], identity[20:]))
            side = "Sell" if trade.buyer_is_maker else "Buy"
            rows.append(
                f"{seconds},{symbol},{side},{size},{trade.price},ZeroMinusTick,{uuid},3.6672468639337374e+06,{home},1.5"
                + (",0" if newer else "")
            )
        return _BYBIT_HEADER + (",RPI" if newer else ""), rows if newer else rows[::-1]

    def _okx(self, path: str) -> tuple[str, str, Rows] | None:
        """Files of OKX are days of UTC+8."""
        root = "/cdn/okex/traderecords"
        match = re.fullmatch(rf"{root}/trades/daily/(\d{{8}})/(.+)-trades-(\d{{4}}-\d{{2}}-\d{{2}})\.zip", path)
        if match is not None and match[2] in OKX and match[1] == match[3].replace("-", ""):
            day = date.fromisoformat(match[3])
            if not SINCE < day <= self.until:
                return None
            start = (day - date(1970, 1, 1)).days * _DAY_MS - 8 * 3_600_000
            both = [*self._trades(match[2], day - timedelta(days=1)), *self._trades(match[2], day)]
            rows = [
                f"{match[2]},{trade.number},{'sell' if trade.buyer_is_maker else 'buy'},{trade.price},{_contracts(trade.size)},{trade.ms}"
                for trade in both
                if start <= trade.ms < start + _DAY_MS
            ]
            return f"{match[2]}-trades-{day}.csv", "instrument_name,trade_id,side,price,size,created_time", rows
        match = re.fullmatch(
            rf"{root}/swaprates/daily/(\d{{8}})/allswap-fundingrates-(\d{{4}}-\d{{2}}-\d{{2}})\.zip", path
        )
        if match is not None:
            day = date.fromisoformat(match[2])
            if not SINCE < day <= self.until:
                return None
            start = (day - date(1970, 1, 1)).days * _DAY_MS - 8 * 3_600_000
            rows = [
                f"{symbol},0.0001{hour:02d},{start + hour * 3_600_000}"
                for hour in (0, 8, 16)
                for symbol in OKX
                if symbol.endswith("SWAP")
            ]
            return f"allswap-fundingrates-{day}.csv", "instrument_name,funding_rate,funding_time", rows
        return None


def _contracts(size: str) -> str:
    """A whole number made from an amount."""
    return str(max(1, int(float(size) * 10)))


def zipped(name: str, text: bytes) -> bytes:
    """A zip file with one file, the same bytes each time."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr(zipfile.ZipInfo(name, (2024, 1, 2, 3, 4, 6)), text, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def rows_in(body: bytes) -> Rows:
    """The lines in a published file."""
    if body.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            return archive.read(archive.namelist()[0]).decode().splitlines()
    return gzip.decompress(body).decode().splitlines()


# ---------------------------------------------------------------- the server


class Standin(Server):
    """The server, in a thread of its own."""

    def __init__(self, *, port: int = 0, trades_per_day: int = 1_500, seed: int = 7, until: date | None = None) -> None:
        super().__init__(port)
        self.library = Library(trades_per_day, seed, until or datetime.now(UTC).date())

    @property
    def endpoint(self) -> str:
        """What replaces scheme and host of every address."""
        return self.root

    @override
    def clear(self) -> None:
        """Forget faults, changes and log."""
        super().clear()
        self.library.restore()
        self.delay_seconds = 0.0

    def change(self, path: str, change: Change) -> None:
        """Publish a file with other rows."""
        self.library.change(path, change)

    # -- answers

    @override
    async def _respond(self, request: web.Request) -> web.StreamResponse:
        target = str(request.rel_url)
        fault = next((fault for fault in self._faults if fault.strikes(target, None)), None)
        if self.delay_seconds:
            await asyncio.sleep(self.delay_seconds)
        if fault is not None and fault.kind == "status":
            headers: dict[str, str] = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
            return web.Response(status=fault.status, text=fault.body or _error("Injected"), headers=headers)
        if request.path == "/data.binance.vision":
            return await asyncio.to_thread(self._s3, request)
        if request.path.endswith("/"):
            return await asyncio.to_thread(self._html, request.path)
        return await self._file(request, fault)

    async def _file(self, request: web.Request, fault: Fault | None) -> web.StreamResponse:
        path = request.path
        of = path.removesuffix(".CHECKSUM")
        body = await asyncio.to_thread(self.library.checksum if of != path else self.library.body, of)
        if body is None:
            return web.Response(status=404, text=_error("NoSuchKey"), content_type="application/xml")
        headers = {"ETag": f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"', "Accept-Ranges": "bytes"}
        headers["Last-Modified"] = f"Tue, 02 Jan 2024 03:04:{self.library.versions.get(of, 0):02d} GMT"
        match fault.kind if fault is not None else "":
            case "truncated":
                body = body[: max(len(body) * 2 // 3, 5)]
            case "html":
                body = b"<html><body>Sign in to the network</body></html>"
            case "zero":
                body = b""
            case "garbage":
                body += b"<!-- proxy -->"
            case "reset" | "stall":
                assert fault is not None
                return await _broken(request, body, headers, fault)
        asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
        if asked and request.headers.get("If-Range", headers["ETag"]) == headers["ETag"]:
            start = int(asked[1])
            if start >= len(body):
                return web.Response(status=416)
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            return web.Response(status=206, body=body[start:], headers=headers)
        return web.Response(body=body, headers=headers)

    def _s3(self, request: web.Request) -> web.Response:
        prefix, marker = request.query.get("prefix", ""), request.query.get("marker", "")
        folders, files = self._below(prefix)
        keys = sorted([*folders, *files])
        keys = [key for key in keys if key > marker]
        page, more = keys[:_PAGE], len(keys) > _PAGE
        parts = [f"<Name>data.binance.vision</Name><Prefix>{escape(prefix)}</Prefix><Marker>{escape(marker)}</Marker>"]
        parts.append(
            f"<MaxKeys>{_PAGE}</MaxKeys><Delimiter>/</Delimiter><IsTruncated>{str(more).lower()}</IsTruncated>"
        )
        if more:
            parts.append(f"<NextMarker>{escape(page[-1])}</NextMarker>")
        for key in page:
            if key.endswith("/"):
                parts.append(f"<CommonPrefixes><Prefix>{escape(key)}</Prefix></CommonPrefixes>")
            else:
                version = self.library.versions.get(f"/{key}".removesuffix(".CHECKSUM"), 0)
                tag = hashlib.md5(f"{key}{version}".encode(), usedforsecurity=False).hexdigest()
                parts.append(
                    f"<Contents><Key>{escape(key)}</Key><LastModified>2024-01-02T03:04:{version:02d}.000Z</LastModified>"
                    f"<ETag>&quot;{tag}&quot;</ETag><Size>1</Size><StorageClass>STANDARD</StorageClass></Contents>"
                )
        text = f'<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{"".join(parts)}</ListBucketResult>'
        return web.Response(text=text, content_type="application/xml")

    def _below(self, prefix: str) -> tuple[list[str], list[str]]:
        match = re.fullmatch(
            r"data/(spot|futures/um|futures/cm)/(daily|monthly)/(\w+)/(?:([^/]+)/(?:(\d+[mhd])/)?)?", prefix
        )
        if match is None:
            return [], []
        at, period, kind, symbol, interval = match.groups()
        market = next(one for one in MARKETS if one.path == at)
        pairs = kind == "indexPriceKlines" and at == "futures/cm"
        names = sorted({name.split("_")[0] if pairs else name for name in market.symbols})
        if symbol is None:
            return [f"{prefix}{name}/" for name in names], []
        if symbol not in names:
            return [], []
        intervals = _INTERVALS if kind == "klines" else {"1m"} if kind.endswith("Klines") else set()
        if intervals and interval not in intervals:
            return [f"{prefix}{name}/" for name in intervals], []
        word = interval or kind
        dates = (
            [f"{day}" for day in self.library.days()]
            if period == "daily"
            else [f"{month:%Y-%m}" for month in self.library.months()]
        )
        if kind == "bookTicker":
            dates = [text for text in dates if text < str(ENDED)]
        files = [f"{prefix}{symbol}-{word}-{text}.zip" for text in dates]
        files = [name for name in files if f"/{name}" not in self.library.gone]
        return [], [each for name in files for each in (name, f"{name}.CHECKSUM")]

    def _html(self, path: str) -> web.Response:
        root, *rest = path.strip("/").split("/")
        symbols = {"trading": BYBIT, "spot": BYBIT_SPOT}.get(root, ())
        if not rest:
            names = [f"{name}/" for name in symbols]
        elif rest[0] in symbols:
            mark = "" if root == "trading" else "_"
            names = [f"{rest[0]}{mark}{day}.csv.gz" for day in self.library.days()]
        else:
            return web.Response(status=404, text=_error("NoSuchKey"))
        links = "".join(f'<li><a href="{urllib.parse.quote(name)}">{name}</a></li>' for name in ["../", *names])
        return web.Response(text=f"<!DOCTYPE html><html><body><ul>{links}</ul></body></html>", content_type="text/html")


async def _broken(request: web.Request, body: bytes, headers: Mapping[str, str], fault: Fault) -> web.StreamResponse:
    """A body that stops half way, or ends with the connection."""
    response = web.StreamResponse(headers=headers)
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if fault.kind == "stall":
        await asyncio.sleep(fault.seconds)
    elif request.transport is not None:
        await asyncio.sleep(0.05)
        request.transport.abort()
    return response


def _error(code: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>The specified key does not exist.</Message></Error>'


_TO_DO: Final = """serving made days from {since} on; to read them:
echo '{{"endpoint": "{endpoint}"}}' > archive.json
hedgegrid replay-to-parquet --source archive --symbol BTCUSDT --start 2024-01-01 --end 2024-01-02 \\
  --config archive.json --data data/standin --output data/standin/catalog
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description="A local server that answers as the exchanges' public archives do.")
    parser.add_argument("--port", type=int, default=8378)
    parser.add_argument("--trades-per-day", type=int, default=20_000)
    given = parser.parse_args(arguments)
    with Standin(port=given.port, trades_per_day=given.trades_per_day) as server:
        sys.stdout.write(_TO_DO.format(since=SINCE, endpoint=server.endpoint))
        sys.stdout.flush()
        try:
            while True:
                time.sleep(0.2)
        except KeyboardInterrupt:
            return 0


if __name__ == "__main__":
    sys.exit(main())
