"""Strategies for tests, for both generations: orders by the clock, a listener, and one that raises."""

import json
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING or GENERATION == 1:
    from nautilus_trader.model.enums import BookType
else:
    from nautilus_trader.model import BookType


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
    """``where``: in which of its methods it raises."""

    instrument_id: InstrumentId
    where: str = "trade"


class Faulty(Strategy):
    """Raises at its tenth trade, or when its clock calls it, or in the end."""

    def on_start(self) -> None:
        """Listen."""
        self._left = 10
        subscribe_trades(self, self.config.instrument_id)
        self.clock.set_time_alert_ns("alert", self.clock.timestamp_ns() + 60 * 10**9, self._due)

    def on_trade_tick(self, tick: TradeTick) -> None:
        """Count down."""
        self._left -= 1
        if not self._left:
            self._raise("trade", str(tick.trade_id))

    on_trade = on_trade_tick

    def _due(self, event: TimeEvent) -> None:
        self._raise("alert", event.name)

    def on_stop(self) -> None:
        """The end."""
        self._raise("stop", "last")

    def _raise(self, where: str, what: str) -> None:
        if where == self.config.where:
            raise ZeroDivisionError(f"at the {where} {what}")


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


class WatcherConfig(StrategyConfig, frozen=True, kw_only=True):
    """``streams``: which of deltas, depth, quotes and bars are listened to; ``file``: where what was heard is written."""

    instrument_id: InstrumentId
    streams: list[str]
    bar_type: str
    file: str


class Watcher(Strategy):
    """Writes down quotes, bars and books, field by field, and its clock."""

    def on_start(self) -> None:
        """Listen, under the names that the generation has for it."""
        self._heard: list[list[object]] = []
        named, book, first = self.config.instrument_id, {"book_type": BookType.L2_MBP, "managed": True}, GENERATION == 1
        listening = {
            "deltas": partial(self.subscribe_order_book_deltas if first else self.subscribe_book_deltas, named, **book),
            "depth": partial(self.subscribe_order_book_depth if first else self.subscribe_book_depth, named, **book),
            "quotes": partial(self.subscribe_quote_ticks if first else self.subscribe_quotes, named),
            "bars": partial(self.subscribe_bars, BarType.from_str(self.config.bar_type)),
        }
        for stream in self.config.streams:
            listening[stream]()

    def _hear(self, kind: str, data: Any, *more: object) -> None:
        self._heard.append([kind, data.ts_event, data.ts_init, self.clock.timestamp_ns(), *more])

    def on_order_book_deltas(self, deltas: Any) -> None:
        """A whole event of the book."""
        rows = [
            [row.action.name, *_order(row.order), row.flags, row.sequence, row.ts_event, row.ts_init]
            for row in deltas.deltas
        ]
        self._hear("deltas", deltas, rows)

    on_book_deltas = on_order_book_deltas

    def on_order_book_depth(self, depth: Any) -> None:
        """The best levels of the book, as far as there are any."""
        sides = [[_order(order) for order in side if order.size > 0] for side in (depth.bids, depth.asks)]
        counts = [[int(count) for count in side if count] for side in (depth.bid_counts, depth.ask_counts)]
        self._hear("depth", depth, *sides, *counts, depth.flags, depth.sequence)

    on_book_depth = on_order_book_depth

    def on_quote_tick(self, quote: Any) -> None:
        """Best bid and ask."""
        self._hear("quote", quote, *map(str, (quote.bid_price, quote.ask_price, quote.bid_size, quote.ask_size)))

    on_quote = on_quote_tick

    def on_bar(self, bar: Bar) -> None:
        """A bar."""
        self._hear("bar", bar, str(bar.bar_type), *map(str, (bar.open, bar.high, bar.low, bar.close, bar.volume)))

    def on_stop(self) -> None:
        """Write."""
        Path(self.config.file).write_text(json.dumps(self._heard))


def _order(order: Any) -> list[str]:
    side = "NO_ORDER_SIDE" if order.side is None else order.side.name  # of a CLEAR 2.x says none
    return [side, str(order.price), str(order.size)]
