#!/usr/bin/env bash
# ccxt puts trades of one millisecond into the order of their ids as texts: 10 comes before 9.
# Expected: parse_trades keeps the order of an answer that is in order, or sorts ids that are numbers by number.
# Seen:     whenever the ids of a busy millisecond pass a power of ten its trades are turned round, and the last of them is not the
#           last price: build_ohlcvc of these trades gives another close.
# With:     ccxt==4.5.90, on CPython 3.12 and newer. Exit 0 while that is so, 1 once it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for python in "${PYTHON:-}" python3.13 python3.12 python3 "$HOME"/.pyenv/versions/3.1[23]*/bin/python; do
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null && break
done
"$python" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check ccxt==4.5.90
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import ccxt


def aggregate(number: int, price: str) -> dict[str, object]:
    """A trade of Binance's GET /fapi/v1/aggTrades."""
    return {"a": number, "p": price, "q": "0.001", "f": number, "l": number, "T": 1704067200000, "m": False}


exchange = ccxt.binanceusdm()
answer = [aggregate(9, "100.0"), aggregate(10, "101.0"), aggregate(11, "102.0")]
trades = exchange.parse_trades(answer, exchange.safe_market("BTCUSDT"))
(candle,) = exchange.build_ohlcvc(trades, "1m")
print("ids", [trade["id"] for trade in trades], "open", candle[1], "close", candle[4])
assert [trade["id"] for trade in trades] == ["10", "11", "9"]
assert (candle[1], candle[4]) == (101.0, 100.0)
PYTHON
