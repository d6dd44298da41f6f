"""Order books as whole events: rows one by one would be matched against books that never were."""

from typing import Final

from nautilus_trader.model.book import OrderBook
from nautilus_trader.model.data import BookOrder, OrderBookDelta, OrderBookDeltas
from nautilus_trader.model.enums import BookAction, BookType, OrderSide
from nautilus_trader.model.identifiers import InstrumentId

from hedgegrid_assets.backtest.merging import Chunks

_LAST: Final = 128
_SNAPSHOT: Final = 32


def whole_events(rows: Chunks, instrument_id: str, start_ns: int, end_ns: int) -> Chunks:
    """The events of a book in ``[start_ns, end_ns)``, whole, however rows are cut; never an empty list.

    Those before come as one snapshot at the start: a book without them would lack all levels that have not changed since.
    """
    book = OrderBook(InstrumentId.from_str(instrument_id), BookType.L2_MBP)
    held: list[OrderBookDelta] = []
    begun = False
    for chunk in rows:
        held += chunk
        ends = next((number for number in range(len(held), 0, -1) if held[number - 1].flags & _LAST), 0)
        events, held = OrderBookDeltas.batch(held[:ends]) if ends else [], held[ends:]
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


def _picture(book: OrderBook, at: int) -> list[OrderBookDeltas]:
    """A book as a snapshot; nothing where it was never told."""
    if not book.update_count:
        return []
    sides = ((OrderSide.BUY, book.bids()), (OrderSide.SELL, book.asks()))
    orders = [
        BookOrder(side, order.price, order.size, 0)
        for side, levels in sides
        for level in levels
        for order in level.orders()
    ]
    rows = [OrderBookDelta(book.instrument_id, BookAction.CLEAR, None, _SNAPSHOT, 0, at, at)]
    rows += [
        OrderBookDelta(book.instrument_id, BookAction.ADD, order, _SNAPSHOT, book.sequence, at, at) for order in orders
    ]
    last = rows.pop()
    flags = _SNAPSHOT | _LAST
    order = None if last.action == BookAction.CLEAR else last.order
    rows.append(OrderBookDelta(book.instrument_id, last.action, order, flags, last.sequence, at, at))
    return [OrderBookDeltas(book.instrument_id, rows)]
