"""The engine of NautilusTrader 2.x, which pays funding itself: streams out of the catalog, and what happened as tables."""

from hedgegrid_assets.backtest.nautilus2.engine import Backtest

__all__ = ["Backtest"]
