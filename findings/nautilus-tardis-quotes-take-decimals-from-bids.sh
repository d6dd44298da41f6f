#!/usr/bin/env bash
# A Tardis loader without precisions gives the ask of every quote as many decimals as its bids have.
# Expected: the precisions that the file has, on both sides, as those of trades are found in the file.
# Seen:     bids of 42500 with 1 unit make an ask of 42500.2 with 1.25 units one of 42500 with 1; no warning.
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

T = 1_704_067_200_000_000  # 2024-01-01 in us

path = pathlib.Path("quotes.csv")
rows = [f"binance-futures,BTCUSDT,{T + n},{T + n + 10},1.25,42500.{2 + n},42500,1" for n in range(3)]
path.write_text(
    "\n".join(["exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount", *rows]) + "\n"
)
quotes = TardisCSVDataLoader().load_quotes(path)
for quote in quotes:
    print(quote)
assert [(str(quote.ask_price), str(quote.ask_size)) for quote in quotes] == [("42500", "1")] * 3
(first,) = TardisCSVDataLoader(price_precision=1, size_precision=2).load_quotes(path)[:1]
assert (str(first.ask_price), str(first.ask_size)) == ("42500.2", "1.25")
PYTHON
