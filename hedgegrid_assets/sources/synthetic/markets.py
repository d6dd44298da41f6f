"""How each symbol trades."""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from hedgegrid_assets.sources.synthetic.arrays import stable_hash

MARK_DECIMALS: Final = 8


class Market(Struct, frozen=True):
    """How a symbol trades: price level, decimals of its tick, decimals as written, decimals of a lot."""

    level: float
    tick_decimals: int
    price_decimals: int
    size_decimals: int

    @property
    def typical_lots(self) -> int:
        """Lots worth about 40 quote units, the scale of sizes."""
        return max(1, round(40 * 10**self.size_decimals / self.level))


MARKETS: Final[Mapping[str, Market]] = {
    "BTCUSDT": Market(42_500.0, tick_decimals=1, price_decimals=2, size_decimals=3),
    "ETHUSDT": Market(2_300.0, tick_decimals=2, price_decimals=2, size_decimals=3),
    "BNBUSDT": Market(310.0, tick_decimals=2, price_decimals=3, size_decimals=2),
    "SOLUSDT": Market(101.0, tick_decimals=3, price_decimals=4, size_decimals=0),
    "XRPUSDT": Market(0.62, tick_decimals=4, price_decimals=4, size_decimals=1),
    "DOGEUSDT": Market(0.09, tick_decimals=6, price_decimals=6, size_decimals=0),
}
"""Any other symbol gets a level between 0.1 and 999.9 from its hash, a tick of four to five digits below the level."""


def precisions(symbol: str) -> tuple[int, int, int]:
    """Decimals of a symbol's tick, of its lot, and of its mark and index prices.

    Trade prices may be written with further zeros, as the exchange does: BTCUSDT ``42500.10`` on a tick of 0.1.
    """
    market = market_of(symbol)
    return market.tick_decimals, market.size_decimals, MARK_DECIMALS


def market_of(symbol: str) -> Market:
    """As a symbol trades; the same for ever."""
    if symbol in MARKETS:
        return MARKETS[symbol]
    number = stable_hash("market", symbol)
    exponent = number % 4 - 1
    level = (1_000 + number // 4 % 9_000) * 10 ** (exponent + 1) / 10_000
    return Market(level, 4 - exponent, 4 - exponent, max(exponent, 0))
