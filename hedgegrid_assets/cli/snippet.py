"""The guide's check of a catalog, as users paste it; ``demo`` shows it and runs the very same text."""

from typing import Final

SNIPPET: Final = """\
import pandas as pd
from nautilus_trader.persistence.catalog import ParquetDataCatalog

catalog = ParquetDataCatalog("{catalog}")
instruments = catalog.instruments()
print(f"Instruments: {{len(instruments)}}")
for inst in instruments:
    print(f"  {{inst.id}}")

trades = catalog.trade_ticks(
    instrument_ids=["{instrument}"],
    start=pd.Timestamp("{start}", tz="UTC"),
    end=pd.Timestamp("{end}", tz="UTC") - pd.Timedelta(1, "ns"),  # Nautilus' end is inclusive
)
print(f"Trade ticks: {{len(trades):,}}")
mark_df = pd.read_parquet("{catalog}/{instrument}/mark_price.parquet")
print(f"Mark prices: {{len(mark_df):,}}")
funding_df = pd.read_parquet("{catalog}/{instrument}/funding_rate.parquet")
print(f"Funding rates: {{len(funding_df):,}}")

times = pd.to_datetime(pd.Series([t.ts_event for t in trades]), unit="ns")
print(f"Large gaps: {{(times.diff() > pd.Timedelta(minutes=1)).sum()}}")
ids = [str(t.trade_id) for t in trades]
assert len(ids) == len(set(ids)), "Duplicate trade IDs found"
assert all(float(t.price) > 0 for t in trades), "Invalid prices found"
"""
