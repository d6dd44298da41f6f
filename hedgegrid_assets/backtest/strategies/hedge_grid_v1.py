"""A hedge grid: a ladder of buys below the price and one of sells above it.

An example to start from, no advice. On each bar the ladders are completed: long rung k rests ``k`` steps below the
centre, short rung k as many above it, with ``base_qty * qty_scale ** (k - 1)``. What a rung has bought or sold gets a
take profit and, if wanted, a stop, both reduce-only. When the price has gone too far from the centre, the ladders are
laid around it anew. While holding costs more funding than allowed, the paying side shrinks towards the settlement.

Each rung that is filled is a position of its own: Nautilus 1.x makes all reduce-only orders of a position as large as
the whole of it. All time is the engine's clock; the same data give the same orders.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from hedgegrid_assets.backtest.strategies.both import (
    Bar,
    BarType,
    ClientOrderId,
    FundingRateUpdate,
    InstrumentId,
    Order,
    OrderFilled,
    OrderSide,
    Position,
    PositionClosed,
    PositionId,
    PositionSide,
    Strategy,
    StrategyConfig,
    TriggerType,
    take_back,
)

LONG: Final = "LONG"
SHORT: Final = "SHORT"
_BPS: Final = Decimal(10_000)
_BOUNDS: Final = {
    "grid_step_bps": (5, 1000),
    "grid_levels_long": (0, 100),
    "grid_levels_short": (0, 100),
    "qty_scale": (Decimal("0.01"), 3),
    "tp_steps": (Decimal("0.1"), 100),
    "sl_steps": (0, 1000),
    "recenter_trigger_bps": (1, 10_000),
    "funding_window_minutes": (60, 1440),
}


class HedgeGridV1Config(StrategyConfig, frozen=True, kw_only=True):
    """Parameters of a hedge grid.

    Attributes:
        instrument_id: What is traded; its venue must be HEDGING.
        bar: Nautilus' bar specification that paces it.
        grid_step_bps: Distance of two rungs, in basis points of the centre: 5 to 1000.
        grid_levels_long: Rungs below the centre: 0 to 100. ``grid_levels_short`` above it.
        base_qty: Quantity of the first rung, in the instrument's size units.
        qty_scale: Factor from rung to rung, above 0, at most 3.
        tp_steps: Steps from a fill to its take profit.
        sl_steps: Steps from a fill to its stop; 0: none.
        recenter_trigger_bps: Distance of the price from the centre at which the ladders are laid anew.
        max_inventory_quote: Largest value of one side, held and resting, in quote currency.
        maker_only: Rungs are post-only.
        funding_window_minutes: How long before a settlement the funding guard looks: 60 to 1440.
        funding_max_cost_bps: Funding in basis points from which on the paying side shrinks; None: no guard.
        max_position_size: Largest quantity of one side; None: the inventory limit alone.
    """

    instrument_id: InstrumentId
    bar: str = "1-MINUTE-LAST-INTERNAL"
    grid_step_bps: Decimal
    grid_levels_long: int
    grid_levels_short: int
    base_qty: Decimal
    qty_scale: Decimal = Decimal(1)
    tp_steps: Decimal = Decimal(1)
    sl_steps: Decimal = Decimal(0)
    recenter_trigger_bps: Decimal
    max_inventory_quote: Decimal
    maker_only: bool = True
    funding_window_minutes: int = 480
    funding_max_cost_bps: Decimal | None = None
    max_position_size: Decimal | None = None
    oms_type: str | None = "HEDGING"

    def __post_init__(self) -> None:
        """Raises ValueError for what is out of bounds."""
        for name, (low, high) in _BOUNDS.items():
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name}: expected {low} to {high}, found {getattr(self, name)}")
        for name in ("base_qty", "max_inventory_quote"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}: expected more than 0, found {getattr(self, name)}")
        if not self.grid_levels_long + self.grid_levels_short:
            raise ValueError("grid_levels_long, grid_levels_short: expected at least one rung, found none")


@dataclass(frozen=True, slots=True)
class Rung:
    """One place in a ladder: its side, its number from the centre, and which centre that was."""

    side: str
    number: int
    centre: int


@dataclass(slots=True)
class Held:
    """What a rung has at the market: its entry, and the exits of what the entry has filled."""

    entry: ClientOrderId
    position: PositionId
    exits: list[ClientOrderId] = field(default_factory=list)


class HedgeGridV1(Strategy):
    """See the module."""

    def __init__(self, config: HedgeGridV1Config) -> None:
        super().__init__(config)
        self._centre: Decimal | None = None
        self._centres = 0
        self._made = 0
        self._rungs: dict[Rung, Held] = {}
        self._funding: FundingRateUpdate | None = None

    # -- events

    def on_start(self) -> None:
        """Subscribe; nothing is ordered before the first bar."""
        self.instrument = self.cache.instrument(self.config.instrument_id)
        if self.instrument is None:
            raise ValueError(f"instrument_id: expected one of the run's instruments, found {self.config.instrument_id}")
        self.subscribe_bars(BarType.from_str(f"{self.config.instrument_id}-{self.config.bar}"))
        if self.config.funding_max_cost_bps is not None:
            self.subscribe_funding_rates(self.config.instrument_id)

    def on_stop(self) -> None:
        """Take all orders back; positions stay, valued at the end."""
        self.cancel_all_orders(self.config.instrument_id)

    def on_funding_rate(self, funding_rate: FundingRateUpdate) -> None:
        """Remember the latest rate."""
        self._funding = funding_rate

    def on_bar(self, bar: Bar) -> None:
        """Recentre if the price has gone too far, look after what is held, and complete both ladders."""
        price = bar.close.as_decimal()
        if self._centre is None or abs(price / self._centre - 1) * _BPS > self.config.recenter_trigger_bps:
            self._recentre(price)
        for rung, held in list(self._rungs.items()):
            self._tend(rung, held)
        self._complete(price)

    def on_order_filled(self, event: OrderFilled) -> None:
        """The first fill of an entry gets its exits; the engine keeps them as large as the position."""
        for rung, held in self._rungs.items():
            if held.entry == event.client_order_id and not held.exits:
                self._leave(rung, held, event.last_px.as_decimal(), event.last_qty.as_decimal())

    def on_position_closed(self, event: PositionClosed) -> None:
        """What is left of the entry goes; the venue itself takes back exits that have nothing left to reduce."""
        for held in self._rungs.values():
            if held.position == event.position_id:
                self._take_back(held.entry)

    # -- ladders

    def _recentre(self, price: Decimal) -> None:
        self._check_inventory(price)
        self._centre, self._centres = price, self._centres + 1
        for held in self._rungs.values():
            self._take_back(held.entry)

    def _complete(self, price: Decimal) -> None:
        for side, levels in ((LONG, self.config.grid_levels_long), (SHORT, self.config.grid_levels_short)):
            share = self._funding_share(side)
            room = self._room(side, price)
            for number in range(1, levels + 1):
                rung = Rung(side, number, self._centres)
                at = self._price_of(rung)
                quantity = self._rounded(self._quantity_of(number) * share)
                if rung in self._rungs or not quantity or (at < price) != (side == LONG) or quantity * at > room:
                    continue
                self._enter(rung, at, quantity)
                room -= quantity * at

    def _price_of(self, rung: Rung) -> Decimal:
        assert self._centre is not None
        distance = self._step() * rung.number
        return self._centre - distance if rung.side == LONG else self._centre + distance

    def _step(self) -> Decimal:
        assert self._centre is not None
        return self._centre * self.config.grid_step_bps / _BPS

    def _quantity_of(self, number: int) -> Decimal:
        return self.config.base_qty * self.config.qty_scale ** (number - 1)

    def _rounded(self, quantity: Decimal) -> Decimal:
        """Down to the instrument's size; 0 if it is less than an order may have."""
        step = self.instrument.size_increment.as_decimal()
        least = self.instrument.min_quantity
        size = quantity // step * step
        return size if least is None or size >= least.as_decimal() else Decimal(0)

    def _room(self, side: str, price: Decimal) -> Decimal:
        """Value that the side may still take on, its resting rungs counted."""
        taken = Decimal(0)
        for rung, held in self._rungs.items():
            if rung.side == side:
                entry, position = self.cache.order(held.entry), self._position(held)
                taken += entry.leaves_qty.as_decimal() if entry is not None and not entry.is_closed else 0
                taken += position.quantity.as_decimal() if position is not None else 0
        limit = self.config.max_inventory_quote / price
        if self.config.max_position_size is not None:
            limit = min(limit, self.config.max_position_size)
        return (limit - taken) * price

    def _funding_share(self, side: str) -> Decimal:
        """1, or less where the side pays more funding than allowed: down to 0 at the settlement."""
        limit, update = self.config.funding_max_cost_bps, self._funding
        if limit is None or update is None or update.next_funding_ns is None:
            return Decimal(1)
        left = update.next_funding_ns - self.clock.timestamp_ns()
        window = self.config.funding_window_minutes * 60_000_000_000
        pays = update.rate > 0 if side == LONG else update.rate < 0
        if not pays or abs(update.rate) * _BPS <= limit or not 0 <= left < window:
            return Decimal(1)
        return Decimal(left) / window

    def _check_inventory(self, price: Decimal) -> None:
        """Raises ValueError if a whole ladder is more than the inventory allows."""
        for side, levels in ((LONG, self.config.grid_levels_long), (SHORT, self.config.grid_levels_short)):
            value = sum((self._quantity_of(n) for n in range(1, levels + 1)), Decimal(0)) * price
            if value > self.config.max_inventory_quote:
                raise ValueError(
                    f"max_inventory_quote: expected at least the {side.lower()} ladder's value {value:.2f}, "
                    f"found {self.config.max_inventory_quote}"
                )

    # -- orders

    def _enter(self, rung: Rung, at: Decimal, quantity: Decimal) -> None:
        self._made += 1
        position_id = PositionId(f"{self.config.instrument_id}-{rung.side}-{self._made}")
        order = self.order_factory.limit(
            self.config.instrument_id,
            OrderSide.BUY if rung.side == LONG else OrderSide.SELL,
            self.instrument.make_qty(quantity),
            self.instrument.make_price(at),
            post_only=self.config.maker_only,
            tags=[f"{rung.side} {rung.number}"],
        )
        self._rungs[rung] = Held(order.client_order_id, position_id)
        self.submit_order(order, position_id=position_id)

    def _leave(self, rung: Rung, held: Held, price: Decimal, quantity: Decimal) -> None:
        away = self._step() * (1 if rung.side == LONG else -1)
        side = OrderSide.SELL if rung.side == LONG else OrderSide.BUY
        size = self.instrument.make_qty(quantity)
        profit = self.order_factory.limit(
            self.config.instrument_id,
            side,
            size,
            self.instrument.make_price(price + away * self.config.tp_steps),
            reduce_only=True,
            tags=[f"{rung.side} {rung.number} profit"],
        )
        orders: list[Order] = [profit]
        if self.config.sl_steps:
            stop = self.order_factory.stop_market(
                self.config.instrument_id,
                side,
                size,
                self.instrument.make_price(price - away * self.config.sl_steps),
                trigger_type=TriggerType.LAST_PRICE,
                reduce_only=True,
                tags=[f"{rung.side} {rung.number} stop"],
            )
            orders.append(stop)
        held.exits = [order.client_order_id for order in orders]
        for order in orders:
            self.submit_order(order, position_id=held.position)

    def _tend(self, rung: Rung, held: Held) -> None:
        """Forget a rung that is done; what is held without a way out (a stop behind the market is refused) gets one."""
        position = self._position(held)
        if not self._is_closed(held.entry):
            return
        if position is None:
            del self._rungs[rung]
        elif all(map(self._is_closed, held.exits)):
            order = self.order_factory.market(
                self.config.instrument_id,
                OrderSide.SELL if position.side == PositionSide.LONG else OrderSide.BUY,
                position.quantity,
                reduce_only=True,
                tags=[f"{rung.side} {rung.number} out"],
            )
            held.exits.append(order.client_order_id)
            self.submit_order(order, position_id=held.position)

    def _position(self, held: Held) -> Position | None:
        position = self.cache.position(held.position)
        return None if position is None or position.is_closed else position

    def _is_closed(self, order_id: ClientOrderId) -> bool:
        order = self.cache.order(order_id)
        return order is None or order.is_closed

    def _take_back(self, order_id: ClientOrderId) -> None:
        order = self.cache.order(order_id)
        if order is not None and not order.is_closed and not order.is_pending_cancel:
            take_back(self, order)
