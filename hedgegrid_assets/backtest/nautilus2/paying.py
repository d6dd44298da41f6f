"""The funding that 2.x has paid: of each payment what it was made of, as the engine was told it."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from operator import attrgetter
from typing import Any

from nautilus_trader.model import PositionAdjustmentType

from hedgegrid_assets.backtest.files import FUNDING, MARKS
from hedgegrid_assets.backtest.job import Contract, Missed, Payment, Settlement, Stream
from hedgegrid_assets.backtest.merging import Chunks

_ARRIVAL = attrgetter("ts_init")


class Told:
    """What had arrived by each settlement: its last rate and the last mark price. Of all else nothing is kept."""

    def __init__(self, settlements: Sequence[Settlement]) -> None:
        self._due: dict[str, list[int]] = {}
        for each in settlements:
            self._due.setdefault(each.instrument_id, []).append(each.at_ns)
        self.rates: dict[tuple[str, int], Decimal] = {}
        self.marks: dict[tuple[str, int], Decimal] = {}

    def listening(self, stream: Stream, chunks: Chunks) -> Chunks:
        """The same chunks."""
        hear = {FUNDING: self._hear_rates, MARKS: self._hear_marks}.get(stream.table)
        for chunk in chunks:
            if hear is not None:
                hear(stream.instrument_id, chunk)
            yield chunk

    def _hear_rates(self, instrument_id: str, chunk: Sequence[Any]) -> None:
        for each in chunk:
            at_ns = each.next_funding_ns
            if at_ns is not None and each.ts_init <= at_ns:
                self.rates[instrument_id, at_ns] = each.rate

    def _hear_marks(self, instrument_id: str, chunk: Sequence[Any]) -> None:
        for at_ns in self._due.get(instrument_id, ()):
            if at_ns >= chunk[0].ts_init:
                self.marks[instrument_id, at_ns] = chunk[
                    bisect_right(chunk, at_ns, key=_ARRIVAL) - 1
                ].value.as_decimal()


def payments_of(positions: Iterable[Any], told: Told, contracts: Mapping[str, Contract]) -> list[Payment]:
    """What 2.x has paid, by time and position."""
    paid = [
        (each.ts_event, str(position.id), position, each) for position in positions for each in adjustments_of(position)
    ]
    return [_payment(position, each, told, contracts) for _, _, position, each in sorted(paid, key=lambda row: row[:2])]


def adjustments_of(position: Any) -> list[Any]:
    """Of a position, those that are funding."""
    return [each for each in position.adjustments() if each.adjustment_type == PositionAdjustmentType.FUNDING]


def _payment(position: Any, paid: Any, told: Told, contracts: Mapping[str, Contract]) -> Payment:
    instrument_id = str(position.instrument_id)
    at = instrument_id, paid.ts_event
    return Payment(
        instrument_id,
        str(position.id),
        paid.ts_event,
        paid.ts_init,
        _held(position, paid.ts_event),
        told.rates.get(at, Decimal(0)),
        told.marks.get(at, Decimal(0)),
        paid.pnl_change.as_decimal(),
        contracts[instrument_id].currency,
    )


def _held(position: Any, at_ns: int) -> Decimal:
    fills = (fill for fill in position.events() if fill.ts_event < at_ns)
    return sum((fill.last_qty.as_decimal() * (1 if fill.is_buy else -1) for fill in fills), Decimal(0))


def missed_of(
    settlements: Iterable[Settlement], payments: Iterable[Payment], positions: Sequence[Any], told: Told, start_ns: int
) -> Iterator[Missed]:
    """Settlements at which something was held, or could have been, and nothing was paid."""
    paid = {(each.instrument_id, each.at_ns) for each in payments}
    for each in settlements:
        at = each.instrument_id, each.at_ns
        if at not in paid and (why := _why(each, positions, told, start_ns)):
            yield Missed(*at, why)


def _why(settlement: Settlement, positions: Sequence[Any], told: Told, start_ns: int) -> str:
    at = settlement.instrument_id, settlement.at_ns
    if settlement.at_ns == start_ns:
        return settlement.missed
    if at not in told.rates:
        return "no rate for it had arrived by then"
    if at not in told.marks:
        return "no mark price had arrived by then"
    held = [
        each
        for each in positions
        if str(each.instrument_id) == settlement.instrument_id and _held(each, settlement.at_ns)
    ]
    return "NautilusTrader paid nothing for what was held" if held else ""
