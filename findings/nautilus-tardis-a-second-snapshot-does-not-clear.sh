#!/usr/bin/env bash
# A second snapshot of the same exchange time, received later, is loaded on top of the first.
# Expected: a CLEAR before the rows of each snapshot, that is of each local_timestamp.
# Seen:     one CLEAR: levels that the second snapshot no longer has stay, here a best bid above the best ask.
# With:     nautilus_trader==1.231.0, on CPython 3.12 and newer. Exit 0 while that is so, 1 once it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for python in "${PYTHON:-}" python3.13 python3.12 python3 "$HOME"/.pyenv/versions/3.1[23]*/bin/python; do
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null && break
done
"$python" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check nautilus_trader==1.231.0
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import pathlib

from nautilus_trader.adapters.tardis.loaders import TardisCSVDataLoader
from nautilus_trader.model.book import OrderBook
from nautilus_trader.model.data import OrderBookDelta
from nautilus_trader.model.enums import BookAction, BookType

HEAD = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount"
T = 1_704_067_200_000_000  # 2024-01-01 in us


def rebuilt(rows: list[str]) -> tuple[OrderBook, list[OrderBookDelta]]:
    """The book after a file of these rows, and the deltas that were loaded from it."""
    path = pathlib.Path("incremental_book_L2.csv")
    path.write_text("\n".join([HEAD, *rows]) + "\n")
    deltas = TardisCSVDataLoader(price_precision=1, size_precision=1).load_deltas(path)
    book = OrderBook(deltas[0].instrument_id, BookType.L2_MBP)
    for delta in deltas:
        book.apply_delta(delta)
    return book, deltas

book, deltas = rebuilt([
    f"binance-futures,BTCUSDT,{T},{T + 10},true,bid,100.0,1.0",
    f"binance-futures,BTCUSDT,{T},{T + 10},true,ask,101.0,1.0",
    f"binance-futures,BTCUSDT,{T},{T + 20},true,bid,99.0,1.0",
    f"binance-futures,BTCUSDT,{T},{T + 20},true,ask,99.5,1.0",
])
clears = sum(delta.action == BookAction.CLEAR for delta in deltas)
print(f"CLEARs {clears}, best bid {book.best_bid_price()}, best ask {book.best_ask_price()}")
assert clears == 1
assert (str(book.best_bid_price()), str(book.best_ask_price())) == ("100.0", "99.5")
PYTHON
