"""What a run has earned, from its fills and payments alone: exact, over time, and held against the engine's balances.

Net = price profit - fees + funding. The price profit of a linear contract is the cash that its fills have moved plus
what is still held at the last price; of an inverse one the same with 1 / price, in its base currency.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from hedgegrid_assets.backtest import files as reading
from hedgegrid_assets.backtest.job import Contract, Payment

_DIGITS: Final = 50
_ZERO: Final = Decimal(0)
_VALUES: Final[Mapping[str, Sequence[str]]] = {
    reading.MARKS: ("mark_price",),
    reading.TRADES: ("price",),
    **dict.fromkeys(reading.BARS, ("close",)),
    reading.QUOTES: ("bid_price", "ask_price"),
    reading.DEPTHS: ("bid_price_0", "ask_price_0"),
}
"""Table -> the columns in the middle of which its value lies, in rows that have them all."""
VALUED: Final = tuple(_VALUES)
"""Tables that a position can be valued by; the best first."""


@dataclass(frozen=True, slots=True)
class Fill:
    """One fill: the quantity is signed, the commission is paid."""

    ts: int
    instrument_id: str
    position_id: str
    order_id: str
    quantity: Decimal
    price: Decimal
    commission: Decimal
    currency: str
    liquidity: str


@dataclass(slots=True)
class Sample:
    """An account at one moment; prices and positions are of one instrument, the first that is traded."""

    ts: int
    equity: Decimal
    balance: Decimal | None
    price: Decimal | None
    long: Decimal
    short: Decimal


@dataclass(frozen=True, slots=True)
class Account:
    """One currency's account over a run. ``balances``: it agrees with the engine's; None: that cannot be told."""

    currency: str
    precision: int
    start: Decimal
    net: Decimal
    price_pnl: Decimal
    fees: Decimal
    funding: Decimal
    samples: Sequence[Sample]
    max_drawdown: Decimal
    max_drawdown_share: Decimal
    below_zero_ns: int | None
    balances: bool | None
    difference: Decimal

    @property
    def end(self) -> Decimal:
        """Equity at the end."""
        return self.start + self.net

    @property
    def share(self) -> Decimal:
        """The return."""
        return self.net / self.start if self.start else _ZERO


@dataclass(frozen=True, slots=True)
class Prices:
    """The price of an instrument at the sampled times, and at the end."""

    at: Sequence[Decimal | None]
    table: str


@dataclass(slots=True)
class _Book:
    """What an instrument has moved so far, and holds."""

    contract: Contract
    cash: Decimal = _ZERO
    held: Decimal = _ZERO
    turnover: Decimal = _ZERO
    legs: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))

    def take(self, fill: Fill) -> None:
        value = self._value(fill.quantity, fill.price)
        self.cash -= value
        self.turnover += abs(value)
        self.held += fill.quantity
        self.legs[fill.position_id] += fill.quantity
        if not self.legs[fill.position_id]:
            del self.legs[fill.position_id]

    def profit(self, price: Decimal | None) -> Decimal:
        """Price profit so far, with what is held at a price."""
        return self.cash + (self._value(self.held, price) if self.held and price else _ZERO)

    def _value(self, quantity: Decimal, price: Decimal) -> Decimal:
        if self.contract.is_inverse:
            return -quantity * self.contract.multiplier / price
        return quantity * self.contract.multiplier * price


def read_fills(file: Path) -> list[Fill]:
    """The fills of a run, in their order."""
    return [
        Fill(
            ts=ns,
            instrument_id=row["instrument_id"],
            position_id=row["position_id"],
            order_id=row["client_order_id"],
            quantity=Decimal(row["quantity"]) * (1 if row["side"] == "BUY" else -1),
            price=Decimal(row["price"]),
            commission=Decimal(row["commission"]),
            currency=row["currency"],
            liquidity=row["liquidity"],
        )
        for ns, row in _with_ns(pl.read_parquet(file), "ts_event")
    ]


def _with_ns(frame: pl.DataFrame, column: str) -> Iterator[tuple[int, dict[str, Any]]]:
    times = frame[column].dt.epoch("ns").to_list()
    return zip(times, frame.iter_rows(named=True), strict=True)


def sample_times(start_ns: int, end_ns: int, every_s: int) -> list[int]:
    """From start to end, both included; what is done after the end counts at it."""
    step = every_s * 10**9
    return [*range(start_ns, end_ns, step), end_ns]


def prices_at(table: str, files: Sequence[Path], times: Sequence[int]) -> Prices:
    """The last price that has arrived by each time."""
    wanted = np.array(times, dtype=np.int64)
    found: list[Decimal | None] = [None] * len(times)
    last: Decimal | None = None
    done = 0
    for file in files:
        frame = _with_values(table, file)
        if frame.is_empty():
            continue
        arrived = frame["ts_init"].to_numpy()
        until = int(np.searchsorted(wanted, arrived[-1], "left"))
        reached = max(until, done)
        places = np.searchsorted(arrived, wanted[done:reached], "right") - 1
        values = _middles(frame[np.maximum(places, 0)])
        for number, (place, value) in enumerate(zip(places, values, strict=True), done):
            found[number] = value if place >= 0 else last
        done, last = reached, _middles(frame[-1:])[0]
    found[done:] = [last] * (len(times) - done)
    return Prices(found, table)


def _with_values(table: str, file: Path) -> pl.DataFrame:
    """Arrivals and values of a file, where it has all of them: an empty side of a book is a price of zero."""
    columns = _VALUES[table]
    blocks = [block.select("ts_init", *columns) for block in reading.blocks(table, file)]
    frame = pl.concat(blocks) if blocks else pl.DataFrame(schema=["ts_init", *columns])
    return frame if len(columns) == 1 else frame.filter(pl.all_horizontal(pl.col(*columns) > 0))


def _middles(frame: pl.DataFrame) -> list[Decimal]:
    with localcontext() as context:
        context.prec = _DIGITS
        return [sum(values, _ZERO) / len(values) for values in frame.drop("ts_init").iter_rows()]


def accounts(
    fills: Sequence[Fill],
    payments: Sequence[Payment],
    contracts: Sequence[Contract],
    starting: Mapping[str, Decimal],
    times: Sequence[int],
    prices: Mapping[str, Prices],
    engine: "EngineAccount",
) -> list[Account]:
    """The account of each currency that a run has or moves, as it goes."""
    with localcontext() as context:
        context.prec = _DIGITS
        return [
            _account(currency, fills, payments, contracts, starting, times, prices, engine)
            for currency in dict.fromkeys([*(each.currency for each in contracts), *starting])
        ]


@dataclass(frozen=True, slots=True)
class EngineAccount:
    """The engine's own numbers: balance rows by currency, open positions with their average price, the last balances.

    ``is_comparable``: nothing else moves its balances (a cash account holds what it buys, a frozen one nothing).
    """

    rows: Mapping[str, Sequence[tuple[int, Decimal]]]
    open: Sequence[tuple[str, Decimal, Decimal]]
    last: Mapping[str, Decimal]
    is_comparable: bool


def read_engine_account(folder: Path, last: Mapping[str, Decimal], *, is_comparable: bool) -> EngineAccount:
    """From the tables that the engine has left."""
    rows: dict[str, list[tuple[int, Decimal]]] = defaultdict(list)
    for ns, row in _with_ns(pl.read_parquet(folder / "account.parquet"), "ts_event"):
        rows[row["currency"]].append((ns, Decimal(row["total"])))
    held = [
        (row["instrument_id"], Decimal(row["quantity"]) * (1 if row["side"] == "LONG" else -1), row["average_open"])
        for row in pl.read_parquet(folder / "positions.parquet").iter_rows(named=True)
        if row["ts_closed"] is None and row["side"] != "FLAT"
    ]
    return EngineAccount(rows, [(name, size, Decimal(str(price))) for name, size, price in held], last, is_comparable)


def _account(
    currency: str,
    fills: Sequence[Fill],
    payments: Sequence[Payment],
    contracts: Sequence[Contract],
    starting: Mapping[str, Decimal],
    times: Sequence[int],
    prices: Mapping[str, Prices],
    engine: EngineAccount,
) -> Account:
    books = {each.instrument_id: _Book(each) for each in contracts if each.currency == currency}
    precision = next((each.precision for each in contracts if each.currency == currency), 8)
    moves = sorted(
        [(fill.ts, fill) for fill in fills if fill.instrument_id in books or fill.currency == currency]
        + [(payment.booked_ns, payment) for payment in payments if payment.currency == currency],
        key=lambda move: move[0],
    )
    start = starting.get(currency, _ZERO)
    fees = funding = _ZERO
    samples: list[Sample] = []
    done = 0
    balance_times = [ts for ts, _ in engine.rows.get(currency, ())]
    for number, time in enumerate(times):
        is_last = number == len(times) - 1
        while done < len(moves) and (is_last or moves[done][0] <= time):
            _, move = moves[done]
            if isinstance(move, Payment):
                funding += move.amount
            else:
                if move.instrument_id in books:
                    books[move.instrument_id].take(move)
                fees += move.commission if move.currency == currency else _ZERO
            done += 1
        profit = sum((book.profit(prices[name].at[number]) for name, book in books.items()), _ZERO)
        place = len(balance_times) - 1 if is_last else bisect_right(balance_times, time) - 1
        balance = engine.rows[currency][place][1] if place >= 0 else None
        samples.append(_sample(time, start + profit - fees + funding, balance, books, prices, number))
    profit = sum((book.profit(prices[name].at[-1]) for name, book in books.items()), _ZERO)
    unit = Decimal(1).scaleb(-precision)
    net = (profit - fees + funding).quantize(unit, ROUND_HALF_EVEN)
    lowest, share = _drawdown(samples)
    difference = _difference(currency, start + net, books, prices, engine)
    allowed = unit * (2 * len(moves) + 10) + sum((book.turnover for book in books.values()), _ZERO) * Decimal("1e-13")
    return Account(
        currency=currency,
        precision=precision,
        start=start,
        net=net,
        price_pnl=net + fees - funding,
        fees=fees,
        funding=funding,
        samples=samples,
        max_drawdown=lowest.quantize(unit, ROUND_HALF_EVEN),
        max_drawdown_share=share,
        below_zero_ns=_below_zero(samples, engine.rows.get(currency, ())),
        balances=abs(difference) <= allowed if engine.is_comparable and currency in engine.last else None,
        difference=difference.quantize(unit, ROUND_HALF_EVEN),
    )


def _below_zero(samples: Sequence[Sample], balances: Sequence[tuple[int, Decimal]]) -> int | None:
    """The first moment of a balance below zero, or of a sample with such equity: Nautilus trades on in silence."""
    moments = [ts for ts, balance in balances if balance < 0] + [each.ts for each in samples if each.equity < 0]
    return min(moments, default=None)


def _sample(
    time: int,
    equity: Decimal,
    balance: Decimal | None,
    books: Mapping[str, _Book],
    prices: Mapping[str, Prices],
    number: int,
) -> Sample:
    if not books:
        return Sample(time, equity, balance, None, _ZERO, _ZERO)
    name, book = next(iter(books.items()))
    held = book.legs.values()
    long = sum((leg for leg in held if leg > 0), _ZERO)
    short = sum((leg for leg in held if leg < 0), _ZERO)
    return Sample(time, equity, balance, prices[name].at[number], long, short)


def _drawdown(samples: Sequence[Sample]) -> tuple[Decimal, Decimal]:
    """The largest fall from a peak: in money, and as a share of that peak."""
    peak, lowest, share = samples[0].equity, _ZERO, _ZERO
    for each in samples:
        peak = max(peak, each.equity)
        lowest = min(lowest, each.equity - peak)
        share = min(share, (each.equity - peak) / peak) if peak > 0 else share
    return lowest, share


def _difference(
    currency: str, equity: Decimal, books: Mapping[str, _Book], prices: Mapping[str, Prices], engine: EngineAccount
) -> Decimal:
    """The engine's balance with its open positions at the last price, against ours."""
    theirs = engine.last.get(currency, _ZERO)
    for name, size, average in engine.open:
        last = prices[name].at[-1] if name in books else None
        if last:
            book = _Book(books[name].contract)
            book.take(Fill(0, name, "", "", size, average, _ZERO, currency, ""))
            theirs += book.profit(last)
    return theirs - equity
