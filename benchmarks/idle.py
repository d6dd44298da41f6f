"""A strategy that does nothing: what is left is the engine and its data."""

from nautilus_trader.config import StrategyConfig
from nautilus_trader.trading.strategy import Strategy


class IdleConfig(StrategyConfig, frozen=True):
    """Nothing to say."""


class Idle(Strategy):
    """Hears nothing, orders nothing."""
