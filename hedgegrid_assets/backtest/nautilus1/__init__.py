"""The engine of NautilusTrader 1.x: streams out of the catalog, funding that is paid, and what happened as tables."""

from hedgegrid_assets.backtest.nautilus1.engine import Backtest

__all__ = ["Backtest"]
