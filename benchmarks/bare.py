"""A Tardis trades file straight into a Nautilus file: the product's reader, decoder and format, nothing else."""

from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from benchmarks import INSTRUMENT, SYMBOL
from hedgegrid_assets.sources.tardis import datasets
from hedgegrid_assets.sources.tardis.channels import channels
from hedgegrid_assets.stages.catalog import nautilus
from hedgegrid_assets.stages.frames import Precisions
from hedgegrid_assets.store import BackgroundWriter, BlockReader
from hedgegrid_assets.tables.trade_tick import TRADE_TICK


def convert(source: Path, target: Path) -> None:
    """Decode block by block, write in a thread of its own."""
    channel = channels("binance-futures")[0]
    schema = nautilus.schema(TRADE_TICK, INSTRUMENT, Precisions(1, 3, 8))
    columns = [expression.alias(name) for name, expression in channel.tables["trade_tick"].columns.items()]
    target.parent.mkdir(parents=True)
    with pq.ParquetWriter(target, schema, use_dictionary=False, compression="zstd", compression_level=1) as file:

        def write(rows: pl.DataFrame) -> None:
            file.write_table(nautilus.to_nautilus(TRADE_TICK, rows, schema, INSTRUMENT), row_group_size=len(rows))

        writer = BackgroundWriter(write)
        reader = None
        for block in BlockReader(source):
            if reader is None:
                dialect = datasets.dialect_of(block.data.partition(b"\n")[0], channel, SYMBOL)
                reader = datasets.DatasetReader(channel, dialect, rows=True, placing=False)
            rows = reader.read(block).decoded[channel.name].rows
            writer.put(rows.select("ts_event", "ts_init", *columns))
        writer.close()
