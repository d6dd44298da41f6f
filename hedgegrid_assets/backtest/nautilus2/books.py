"""Order books as whole events: rows one by one would be matched against books that never were."""

from typing import Any, Final

from nautilus_trader.model import (
    BookAction,
    BookOrder,
    BookType,
    InstrumentId,
    OrderBook,
    OrderBookDelta,
    OrderBookDeltas,
    OrderSide,
)

from hedgegrid_assets.backtest.merging import Chunks

_LAST: Final = 128
_SNAPSHOT: Final = 32


def whole_events(rows: Chunks, instrument_id: str, start_ns: int, end_ns: int) -> Chunks:
    """The events of a book in ``[start_ns, end_ns)``, whole, however rows are cut; never an empty list.

    Those before come as one snapshot at the start: a book without them would lack all levels that have not changed since.
    """
    named = InstrumentId.from_str(instrument_id)
    book = OrderBook(named, BookType.L2_MBP)
    held: list[Any] = []
    begun = False
    for chunk in rows:
        events, held = _whole(named, held + chunk)
        inside = [event for event in events if start_ns <= event.ts_init < end_ns]
        if not begun:
            for event in events:
                if event.ts_init < start_ns:
                    book.apply_deltas(event)
            if inside:
                begun = True
                inside = [*_picture(book, start_ns), *inside]
        if inside:
            yield inside


def _whole(instrument_id: Any, rows: list[Any]) -> tuple[list[Any], list[Any]]:
    """The events that have ended, and the rows behind the last of these."""
    events: list[Any] = []
    begin = 0
    for number, row in enumerate(rows, 1):
        if row.flags & _LAST:
            events.append(OrderBookDeltas(instrument_id, rows[begin:number]))
            begin = number
    return events, rows[begin:]


def _picture(book: Any, at: int) -> list[Any]:
    """A book as a snapshot; nothing where it was never told."""
    if not book.update_count:
        return []
    sides = ((OrderSide.BUY, book.bids()), (OrderSide.SELL, book.asks()))
    orders = [
        BookOrder(side, level.price, order.size, 0)
        for side, levels in sides
        for level in levels
        for order in level.get_orders()
    ]
    named = book.instrument_id
    if not orders:
        empty = OrderBookDelta.clear(named, book.sequence, at, at)
        return [
            OrderBookDeltas(named, [OrderBookDelta(named, empty.action, empty.order, _SNAPSHOT | _LAST, 0, at, at)])
        ]
    flags = [_SNAPSHOT] * (len(orders) - 1) + [_SNAPSHOT | _LAST]
    clear = OrderBookDelta.clear(named, 0, at, at)
    rows = [OrderBookDelta(named, clear.action, clear.order, _SNAPSHOT, 0, at, at)]
    rows += [
        OrderBookDelta(named, BookAction.ADD, order, flag, book.sequence, at, at)
        for order, flag in zip(orders, flags, strict=True)
    ]
    return [OrderBookDeltas(named, rows)]
