"""Strategies for tests, for both generations: orders by the clock, a listener, and one that raises."""

import json
from decimal import Decimal
from pathlib import Path

from hedgegrid_assets.backtest.strategies.both import (
    GENERATION,
    Bar,
    BarType,
    FundingRateUpdate,
    IndexPriceUpdate,
    InstrumentId,
    MarkPriceUpdate,
    OrderSide,
    PositionId,
    Strategy,
    StrategyConfig,
    TimeEvent,
    TradeTick,
)


def subscribe_trades(strategy: Strategy, instrument_id: InstrumentId) -> None:
    """Under the name that the generation has for it."""
    (strategy.subscribe_trade_ticks if GENERATION == 1 else strategy.subscribe_trades)(instrument_id)


class ScriptedConfig(StrategyConfig, frozen=True, kw_only=True):
    """``plan``: (time in ns, BUY or SELL, quantity, leg or None)."""

    instrument_id: InstrumentId
    plan: list[tuple[int, str, str, str | None]]


class Scripted(Strategy):
    """Sends market orders when they are due."""

    def on_start(self) -> None:
        """Set the clock."""
        for number, (at, *_) in enumerate(self.config.plan):
            self.clock.set_time_alert_ns(f"order-{number}", at, self._due)

    def _due(self, event: TimeEvent) -> None:
        _, side, quantity, leg = self.config.plan[int(event.name.partition("-")[2])]
        instrument = self.cache.instrument(self.config.instrument_id)
        order = self.order_factory.market(
            self.config.instrument_id, getattr(OrderSide, side), instrument.make_qty(Decimal(quantity))
        )
        self.submit_order(order, position_id=PositionId(leg) if leg else None)


type _Heard = TradeTick | MarkPriceUpdate | IndexPriceUpdate | FundingRateUpdate


class ListenerConfig(StrategyConfig, frozen=True, kw_only=True):
    """``file``: where what was heard is written."""

    instrument_id: InstrumentId
    file: str


class Listener(Strategy):
    """Writes down what it is given: kind, ts_event, ts_init, and its clock."""

    def on_start(self) -> None:
        """Listen to all four kinds."""
        self._heard: list[list[object]] = []
        subscribe_trades(self, self.config.instrument_id)
        self.subscribe_mark_prices(self.config.instrument_id)
        self.subscribe_index_prices(self.config.instrument_id)
        self.subscribe_funding_rates(self.config.instrument_id)

    def _hear(self, kind: str, data: _Heard, more: str) -> None:
        self._heard.append([kind, data.ts_event, data.ts_init, self.clock.timestamp_ns(), more])

    def on_trade_tick(self, tick: TradeTick) -> None:
        """A trade."""
        self._hear("trade", tick, str(tick.trade_id))

    on_trade = on_trade_tick

    def on_mark_price(self, mark_price: MarkPriceUpdate) -> None:
        """A mark."""
        self._hear("mark", mark_price, str(mark_price.value))

    def on_index_price(self, index_price: IndexPriceUpdate) -> None:
        """An index price."""
        self._hear("index", index_price, str(index_price.value))

    def on_funding_rate(self, funding_rate: FundingRateUpdate) -> None:
        """A rate."""
        self._hear("funding", funding_rate, str(funding_rate.rate))

    def on_stop(self) -> None:
        """Write."""
        Path(self.config.file).write_text(json.dumps(self._heard))


class FaultyConfig(StrategyConfig, frozen=True, kw_only=True):
    """Nothing to say but the instrument."""

    instrument_id: InstrumentId


class Faulty(Strategy):
    """Raises at its tenth trade."""

    def on_start(self) -> None:
        """Listen."""
        self._left = 10
        subscribe_trades(self, self.config.instrument_id)

    def on_trade_tick(self, tick: TradeTick) -> None:
        """Count down."""
        self._left -= 1
        if not self._left:
            raise ZeroDivisionError(f"at the trade {tick.trade_id}")

    on_trade = on_trade_tick


class RestingConfig(StrategyConfig, frozen=True, kw_only=True):
    """``price`` and ``side`` of the order, and when it is sent (ns)."""

    instrument_id: InstrumentId
    at: int
    side: str
    price: str
    quantity: str


class Resting(Strategy):
    """Leaves one limit order in the book."""

    def on_start(self) -> None:
        """Set the clock."""
        self.clock.set_time_alert_ns("order", self.config.at, self._due)

    def _due(self, event: TimeEvent) -> None:
        del event
        instrument = self.cache.instrument(self.config.instrument_id)
        order = self.order_factory.limit(
            self.config.instrument_id,
            getattr(OrderSide, self.config.side),
            instrument.make_qty(Decimal(self.config.quantity)),
            instrument.make_price(Decimal(self.config.price)),
        )
        self.submit_order(order)


class OnBarsConfig(StrategyConfig, frozen=True, kw_only=True):
    """``bar_types``: what is listened to; ``file``: where what was heard is written."""

    instrument_id: InstrumentId
    bar_types: list[str]
    file: str


class OnBars(Strategy):
    """Buys one at each bar of the first kind, and writes down all that it is given."""

    def on_start(self) -> None:
        """Listen."""
        self._heard: list[list[object]] = []
        for name in self.config.bar_types:
            self.subscribe_bars(BarType.from_str(name))

    def on_bar(self, bar: Bar) -> None:
        """A bar."""
        self._heard.append([str(bar.bar_type), bar.ts_init, self.clock.timestamp_ns(), str(bar.close), str(bar.volume)])
        if str(bar.bar_type) == self.config.bar_types[0]:
            instrument = self.cache.instrument(self.config.instrument_id)
            quantity = instrument.make_qty(Decimal(1))
            self.submit_order(self.order_factory.market(self.config.instrument_id, OrderSide.BUY, quantity))

    def on_stop(self) -> None:
        """Write."""
        Path(self.config.file).write_text(json.dumps(self._heard))
