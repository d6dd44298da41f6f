"""The tables that a run leaves of what has happened: their columns, for whichever engine."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

ORDERS: Final = pa.schema(
    {
        **dict.fromkeys(("client_order_id", "strategy_id", "instrument_id", "type", "side"), pa.string()),
        **dict.fromkeys(("quantity", "filled_quantity", "price", "trigger_price", "average_price"), pa.string()),
        **dict.fromkeys(("status", "time_in_force", "position_id"), pa.string()),
        **dict.fromkeys(("is_post_only", "is_reduce_only"), pa.bool_()),
        "tags": pa.string(),
        **dict.fromkeys(("ts_init", "ts_last"), pa.timestamp("ns", "UTC")),
    }
)
FILLS: Final = pa.schema(
    {
        **dict.fromkeys(("ts_event", "ts_init"), pa.timestamp("ns", "UTC")),
        **dict.fromkeys(("strategy_id", "instrument_id", "position_id", "client_order_id", "trade_id"), pa.string()),
        **dict.fromkeys(("side", "quantity", "price", "commission", "currency", "liquidity"), pa.string()),
    }
)
POSITIONS: Final = pa.schema(
    {
        **dict.fromkeys(("position_id", "strategy_id", "instrument_id", "entry", "side"), pa.string()),
        **dict.fromkeys(("quantity", "peak_quantity"), pa.string()),
        **dict.fromkeys(("average_open", "average_close"), pa.float64()),
        **dict.fromkeys(("realized_pnl", "commissions", "funding", "currency"), pa.string()),
        **dict.fromkeys(("ts_opened", "ts_closed"), pa.timestamp("ns", "UTC")),
    }
)
ACCOUNT: Final = pa.schema(
    {
        "ts_event": pa.timestamp("ns", "UTC"),
        **dict.fromkeys(("account_id", "currency", "total", "locked", "free"), pa.string()),
    }
)


def write_table(folder: Path, name: str, schema: pa.Schema, rows: Iterable[Mapping[str, Any]]) -> None:
    """One of the tables that a run leaves."""
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), folder / f"{name}.parquet", compression="zstd")
