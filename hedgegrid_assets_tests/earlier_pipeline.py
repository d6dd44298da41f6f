"""Trees as the earlier pipeline (naut_hedgegrid) made them: Nautilus' own writer for trades, pandas files for marks and funding.

What it did wrongly is done here as well: prices through floats with eight decimals, one hard-coded definition, no arrival times,
an unstable sort, one side file for each run in the place of the one before, one funding rate a second.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pandas as pd
from nautilus_trader.model.currencies import USDT
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.identifiers import InstrumentId, Symbol, TradeId
from nautilus_trader.model.instruments import CryptoPerpetual
from nautilus_trader.model.objects import Currency, Money, Price, Quantity
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from hedgegrid_assets.timestamps import day_start

ID = "BTCUSDT-PERP.BINANCE"


@dataclass(frozen=True)
class Trade:
    """As the exchange sent it: text for numbers; ``ms``: when it was, ``arrived``: when it came, in ns."""

    number: int
    price: str
    size: str
    ms: int
    buyer_is_maker: bool
    arrived: int

    @property
    def message(self) -> str:
        """A line of a capture."""
        maker = "true" if self.buyer_is_maker else "false"
        return (
            f'{self.arrived} {{"stream":"btcusdt@aggTrade","data":{{"e":"aggTrade","E":{self.ms},"s":"BTCUSDT",'
            f'"a":{self.number},"p":"{self.price}","q":"{self.size}","f":{2 * self.number},"l":{2 * self.number + 1},'
            f'"T":{self.ms},"m":{maker}}}}}\n'
        )


@dataclass(frozen=True)
class Mark:
    """A message of the mark price stream."""

    price: str
    rate: str
    ms: int
    next_ms: int

    @property
    def message(self) -> str:
        """A line of a capture, 40 ms later."""
        return (
            f'{self.ms * 1_000_000 + 40_000_000} {{"stream":"btcusdt@markPrice@1s","data":{{"e":"markPriceUpdate",'
            f'"E":{self.ms},"s":"BTCUSDT","p":"{self.price}","i":"{self.price}","P":"{self.price}","r":"{self.rate}",'
            f'"T":{self.next_ms}}}}}\n'
        )


def market(first: date, days: int, seconds: int = 400) -> tuple[list[Trade], list[Mark]]:
    """A trade and a mark price each second of the first minutes of each day, and one trade that arrives after midnight."""
    trades: list[Trade] = []
    marks: list[Mark] = []
    for day in (first + timedelta(days=number) for number in range(days)):
        start = day_start(day) // 1_000_000
        for second in range(seconds):
            ms = start + second * 1_000
            number = len(trades)
            price = f"{42_000 + number % 97}.{number % 10}"
            trades.append(
                Trade(number + 1, price, f"0.{1 + number % 899:03d}", ms, number % 3 == 0, ms * 1_000_000 + 50_000_000)
            )
            marks.append(Mark(f"{price}{number * 7919 % 10_000_000:07d}", "0.00010000", ms, start + 8 * 3_600_000))
        late = start + 86_399_990
        trades.append(Trade(len(trades) + 1, "42000.5", "0.001", late, False, late * 1_000_000 + 50_000_000))
    return trades, marks


def run_earlier(root: Path, trades: Sequence[Trade], marks: Sequence[Mark], first: date, end: date) -> None:
    """One run of the earlier pipeline over some days: by exchange time, of what had arrived by the end."""
    root.mkdir(parents=True, exist_ok=True)
    low, high = day_start(first) // 1_000_000, day_start(end) // 1_000_000
    catalog = ParquetDataCatalog(str(root))
    catalog.write_data([_definition()])
    mine = [trade for trade in trades if low <= trade.ms < high and trade.arrived < high * 1_000_000]
    frame = pd.DataFrame(
        {
            "timestamp": pd.to_datetime([trade.ms for trade in mine], unit="ms", utc=True),
            "price": [float(trade.price) for trade in mine],
            "size": [float(trade.size) for trade in mine],
            "side": ["SELL" if trade.buyer_is_maker else "BUY" for trade in mine],
            "trade_id": [str(trade.number) for trade in mine],
        }
    ).sort_values("timestamp")
    catalog.write_data([_tick(row) for row in frame.itertuples(index=False)])
    seen = [mark for mark in marks if low <= mark.ms < high]
    times = pd.to_datetime([mark.ms for mark in seen], unit="ms", utc=True)
    folder = root / ID
    folder.mkdir(exist_ok=True)
    pd.DataFrame({"timestamp": times, "mark_price": [float(mark.price) for mark in seen]}).to_parquet(
        folder / "mark_price.parquet", index=False
    )
    pd.DataFrame(
        {
            "timestamp": times,
            "funding_rate": [float(mark.rate) for mark in seen],
            "next_funding_time": pd.to_datetime([mark.next_ms for mark in seen], unit="ms", utc=True),
        }
    ).to_parquet(folder / "funding_rate.parquet", index=False)


def capture(path: Path, trades: Sequence[Trade], marks: Sequence[Mark]) -> None:
    """What the same market looks like as it was recorded."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [(trade.arrived, trade.message) for trade in trades]
    lines += [(mark.ms * 1_000_000 + 40_000_000, mark.message) for mark in marks]
    path.write_text("".join(text for _, text in sorted(lines)))


def _definition() -> CryptoPerpetual:
    """The one that it made for every symbol."""
    return CryptoPerpetual(
        instrument_id=InstrumentId.from_str(ID),
        raw_symbol=Symbol("BTCUSDT"),
        base_currency=Currency.from_str("BTC"),
        quote_currency=USDT,
        settlement_currency=USDT,
        is_inverse=False,
        price_precision=2,
        size_precision=3,
        price_increment=Price.from_str("0.01"),
        size_increment=Quantity.from_str("0.001"),
        max_notional=Money(1_000_000, USDT),
        margin_init=Decimal("0.01"),
        margin_maint=Decimal("0.005"),
        maker_fee=Decimal("0.0002"),
        taker_fee=Decimal("0.0004"),
        ts_event=0,
        ts_init=0,
    )


def _tick(row: object) -> TradeTick:
    moment = row.timestamp  # type: ignore[attr-defined]
    ns = int(moment.value)
    return TradeTick(
        instrument_id=InstrumentId.from_str(ID),
        price=Price.from_str(f"{row.price:.8f}"),  # type: ignore[attr-defined]
        size=Quantity.from_str(f"{row.size:.8f}"),  # type: ignore[attr-defined]
        aggressor_side=AggressorSide.BUYER if row.side == "BUY" else AggressorSide.SELLER,  # type: ignore[attr-defined]
        trade_id=TradeId(row.trade_id),  # type: ignore[attr-defined]
        ts_event=ns,
        ts_init=ns,
    )
