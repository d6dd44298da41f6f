#!/usr/bin/env bash
# DataBackendSession with a query that has WHERE and no ORDER BY yields a sorted file out of order.
# Expected: the order of the file, as without WHERE.
# Seen:     all 60,000 rows, out of order; with ORDER BY they are sorted. It needs two processors or more.
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
import os
import sys
from pathlib import Path

from nautilus_trader.core.nautilus_pyo3 import DataBackendSession, NautilusDataType
from nautilus_trader.model.data import TradeTick, capsule_to_list
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.identifiers import InstrumentId, TradeId
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.persistence.catalog import ParquetDataCatalog

DAY = 1_704_067_200_000_000_000  # 2024-01-01 in ns
ROWS = 60_000
TIMES = 10


def trade(number: int) -> TradeTick:
    """A trade at number ns after midnight."""
    return TradeTick(
        InstrumentId.from_str("AAA.X"), Price.from_str("1.5"), Quantity.from_str("1"), AggressorSide.BUYER,
        TradeId(str(number)), DAY + number, DAY + number,
    )


def in_order(query: str) -> bool:
    """Whether the rows of this query come sorted by ts_init; each of them comes once."""
    session = DataBackendSession()
    session.add_file(NautilusDataType.TradeTick, "data", str(file), query)
    times = [row.ts_init for chunk in session.to_query_result() for row in capsule_to_list(chunk)]
    assert sorted(times) == [DAY + number for number in range(ROWS)]
    return times == sorted(times)


if (os.cpu_count() or 1) < 2:
    sys.exit("one processor reads one row group after the other: nothing to see here")
ParquetDataCatalog("catalog").write_data([trade(number) for number in range(ROWS)])
(file,) = Path("catalog").rglob("*.parquet")
plain = "SELECT * FROM data"
seen = {
    query: sum(in_order(query) for _ in range(TIMES))
    for query in (plain, f"{plain} WHERE ts_init >= {DAY}", f"{plain} WHERE ts_init >= {DAY} ORDER BY ts_init")
}
for query, good in seen.items():
    print(f"in order {good} times of {TIMES}: {query}")
whole, filtered, ordered = seen.values()
assert whole == ordered == TIMES
assert filtered < TIMES
PYTHON
