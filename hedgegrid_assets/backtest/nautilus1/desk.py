"""Who pays the funding of a venue: Nautilus 1.x reads no funding rate."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from nautilus_trader.backtest.config import SimulationModuleConfig
from nautilus_trader.backtest.modules import SimulationModule
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.model.currencies import Currency
from nautilus_trader.model.enums import PositionAdjustmentType
from nautilus_trader.model.events import OrderFilled, PositionAdjusted
from nautilus_trader.model.objects import Money

from hedgegrid_assets.backtest.job import Contract, Missed, Payment, Settlement
from hedgegrid_assets.backtest.settlements import amount

_NEVER: Final = 2**63 - 1


class FundingDesk(SimulationModule):
    """Pays the settlements of a venue, and keeps its fills.

    1.x reads no funding rate. The amount comes from the fills before a settlement alone, so when it is booked changes
    nothing but the moment that the balance moves.
    """

    def __init__(self, settlements: Sequence[Settlement], contracts: Mapping[str, Contract]) -> None:
        super().__init__(SimulationModuleConfig())
        self.fills: list[OrderFilled] = []
        self.payments: list[Payment] = []
        self._contracts = contracts
        self._waiting = sorted(settlements, key=lambda each: (each.due_ns, each.at_ns, each.instrument_id))
        self._next = 0
        self._due = self._waiting[0].due_ns if settlements else _NEVER
        self._legs: dict[str, dict[str, list[tuple[int, Decimal]]]] = defaultdict(lambda: defaultdict(list))

    @property
    def missed(self) -> list[Missed]:
        """Settlements that could not be paid, and those that no event came after."""
        late = {(each.instrument_id, each.at_ns) for each in self._waiting[self._next :]}
        ended = "the run ended before it could be booked"
        told = [(each, each.missed or ended * ((each.instrument_id, each.at_ns) in late)) for each in self._waiting]
        return [Missed(each.instrument_id, each.at_ns, why) for each, why in told if why]

    def register_venue(self, exchange: Any) -> None:
        """Listen for fills."""
        super().register_venue(exchange)
        self._venue = exchange.id
        self.msgbus.subscribe(topic="events.fills.*", handler=self._on_fill)

    def _on_fill(self, fill: OrderFilled) -> None:
        if fill.instrument_id.venue != self._venue:
            return
        self.fills.append(fill)
        quantity = fill.last_qty.as_decimal()
        signed = quantity if fill.is_buy else -quantity
        self._legs[str(fill.instrument_id)][str(fill.position_id)].append((fill.ts_event, signed))

    def process(self, ts_now: int) -> None:
        """Called after each event: settle what is due."""
        while ts_now >= self._due:
            self._settle(self._waiting[self._next], ts_now)
            self._next += 1
            self._due = self._waiting[self._next].due_ns if self._next < len(self._waiting) else _NEVER

    def _settle(self, settlement: Settlement, ts_now: int) -> None:
        if settlement.mark is None:
            return
        legs = self._legs[settlement.instrument_id]
        for position_id, changes in legs.items():
            quantity = sum((change for at, change in changes if at < settlement.at_ns), Decimal(0))
            after = [(at, change) for at, change in changes if at >= settlement.at_ns]
            changes[:] = [(settlement.at_ns - 1, quantity), *after]
            if quantity:
                self._pay(settlement, position_id, quantity, ts_now)

    def _pay(self, settlement: Settlement, position_id: str, quantity: Decimal, ts_now: int) -> None:
        contract = self._contracts[settlement.instrument_id]
        assert settlement.mark is not None
        paid = amount(quantity, settlement.rate, settlement.mark, contract)
        self.payments.append(
            Payment(
                settlement.instrument_id,
                position_id,
                settlement.at_ns,
                ts_now,
                quantity,
                settlement.rate,
                settlement.mark,
                paid,
                contract.currency,
            )
        )
        money = Money(paid, Currency.from_str(contract.currency))
        self.exchange.adjust_account(money)
        self._tell_position(position_id, money, settlement, ts_now)

    def _tell_position(self, position_id: str, money: Money, settlement: Settlement, ts_now: int) -> None:
        """So that its realized profit holds the funding; one that was opened anew since then is another one."""
        position = next((each for each in self.cache.positions() if str(each.id) == position_id), None)
        if position is None or position.ts_opened >= settlement.at_ns:
            return
        position.apply_adjustment(
            PositionAdjusted(
                position.trader_id,
                position.strategy_id,
                position.instrument_id,
                position.id,
                position.account_id,
                PositionAdjustmentType.FUNDING,
                None,
                money,
                f"funding {settlement.rate.normalize():f}",
                UUID4(),
                settlement.at_ns,
                ts_now,
            )
        )

    def log_diagnostics(self, logger: Any) -> None:
        """Nothing to say."""

    def reset(self) -> None:
        """One run each."""
