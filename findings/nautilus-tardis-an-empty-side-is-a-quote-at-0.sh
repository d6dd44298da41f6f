#!/usr/bin/env bash
# A quote whose bid is empty (no bids at that moment) is loaded as a bid of 0.0 with size 0.
# Expected: the row left out, an error, or a value that is not a price.
# Seen:     QuoteTick with bid 0.0: its mid price is half of the ask.
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
from nautilus_trader.model.enums import PriceType

T = 1_704_067_200_000_000  # 2024-01-01 in us
path = pathlib.Path("quotes.csv")
path.write_text(
    "exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount\n"
    f"deribit,BTC-PERPETUAL,{T},{T + 10},1.0,101.0,,\n"
)
(quote,) = TardisCSVDataLoader(price_precision=1, size_precision=1).load_quotes(path)
middle = quote.extract_price(PriceType.MID)
print(quote, "mid", middle)
assert (quote.bid_price, quote.bid_size) == (0, 0)
assert float(middle) == 50.5
PYTHON
