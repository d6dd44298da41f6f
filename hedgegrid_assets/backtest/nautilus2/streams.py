"""The tables of a catalog as events, some thousand at a time, in the order of their files."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from nautilus_trader.model import FundingRateUpdate, IndexPriceUpdate, InstrumentId, MarkPriceUpdate, NautilusDataType
from nautilus_trader.persistence import (
    BarDataWrangler,
    OrderBookDeltaDataWrangler,
    OrderBookDepthDataWrangler,
    ParquetDataCatalog,
    QuoteTickDataWrangler,
    TradeTickDataWrangler,
)

from hedgegrid_assets.backtest import files
from hedgegrid_assets.backtest.job import Stream
from hedgegrid_assets.backtest.merging import Chunks
from hedgegrid_assets.backtest.nautilus2.books import whole_events
from hedgegrid_assets.backtest.settlements import THINNED, known_in_time
from hedgegrid_assets.tables import TABLES

_CHUNK: Final = 10_000

_DECODERS: Final[Mapping[str, Callable[[str, int, int], Any]]] = {
    files.TRADES: TradeTickDataWrangler,
    files.QUOTES: QuoteTickDataWrangler,
    files.DEPTHS: OrderBookDepthDataWrangler,
    files.DELTAS: OrderBookDeltaDataWrangler,
    **dict.fromkeys(files.BARS, BarDataWrangler),
}
"""They take the rows of a file as they are stored, in their order."""
_QUERIED: Final[Mapping[str, tuple[Any, Any]]] = {
    files.MARKS: (NautilusDataType.MarkPriceUpdate, MarkPriceUpdate),
    files.INDEX: (NautilusDataType.IndexPriceUpdate, IndexPriceUpdate),
}
"""These have no such decoder: Nautilus' catalog reads a file of them at once."""


def chunks(stream: Stream, start_ns: int, end_ns: int, catalog: str) -> Chunks:
    """The events of a stream in ``[start_ns, end_ns)``, in file order; never an empty list.

    Raises RuntimeError for files whose rows do not follow each other.
    """
    if stream.table == files.DELTAS:
        yield from whole_events(_decoded(stream, 0, end_ns), stream.instrument_id, start_ns, end_ns)
    elif stream.table in _DECODERS:
        yield from _decoded(stream, start_ns, end_ns)
    elif stream.table == files.FUNDING:
        yield from _cut(_funding(stream), start_ns, end_ns)
    else:
        yield from _cut(_queried(stream, catalog), start_ns, end_ns)


def _decoded(stream: Stream, start_ns: int, end_ns: int) -> Chunks:
    last = 0
    for file in stream.files:
        with pq.ParquetFile(file, pre_buffer=False) as source:
            decoder = _decoder(stream, source.schema_arrow)
            for batch in source.iter_batches(_CHUNK, use_threads=False):
                arrivals = _arrivals(batch, stream)
                last = _checked(arrivals, last, stream, file)
                first, after = (arrivals.search_sorted(each) for each in (start_ns, end_ns))
                if first < after:
                    later = _later(batch, arrivals) if stream.shift_ns else batch
                    yield decoder.process_record_batch_bytes(_as_bytes(later.slice(first, after - first)))


def _decoder(stream: Stream, schema: pa.Schema) -> Any:
    told = {key: int(schema.metadata[key]) for key in (b"price_precision", b"size_precision")}
    named = TABLES[stream.table].form(2).name_of(stream.instrument_id)
    return _DECODERS[stream.table](named, *told.values())


def _arrivals(batch: pa.RecordBatch, stream: Stream) -> pl.Series:
    return pl.Series(batch.column("ts_init").cast(pa.int64())) + stream.shift_ns


def _checked(arrivals: pl.Series, last: int, stream: Stream, file: str) -> int:
    """The last arrival, of rows that come in their order and not before ``last``."""
    if arrivals.is_empty():
        return last
    if arrivals[0] < last or not arrivals.is_sorted():
        raise RuntimeError(f"{stream.name}: rows are not in the order of their arrival in {Path(file).name}")
    return int(arrivals[-1])


def _later(batch: pa.RecordBatch, arrivals: pl.Series) -> pa.RecordBatch:
    place = batch.schema.get_field_index("ts_init")
    field = batch.schema.field(place)
    return batch.set_column(place, field, arrivals.to_arrow().view(field.type))


def _as_bytes(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def _queried(stream: Stream, catalog: str) -> Iterator[list[Any]]:
    """File by file: without ``optimize_file_loading`` off, Nautilus reads the whole folder whatever files are named."""
    kind, cls = _QUERIED[stream.table]
    reader = ParquetDataCatalog(catalog)
    last = 0
    for file in stream.files:
        found = reader.query(kind, [stream.instrument_id], files=[file], optimize_file_loading=False)
        if stream.shift_ns:
            found = [
                cls(each.instrument_id, each.value, each.ts_event, each.ts_init + stream.shift_ns) for each in found
            ]
        last = _checked(pl.Series([each.ts_init for each in found], dtype=pl.Int64), last, stream, file)
        yield found


def _funding(stream: Stream) -> Iterator[list[Any]]:
    """Rates as a strategy is to have them, and those by which Nautilus pays: the last that has arrived by each settlement."""
    instrument_id = InstrumentId.from_str(stream.instrument_id)
    last = 0
    for file in stream.files:
        every = files.read(files.FUNDING, Path(file)).with_row_index("__row")
        rows = pl.concat([THINNED[stream.thinning](every), known_in_time(every)]).unique("__row").sort("__row")
        last = _checked(rows["ts_init"], last, stream, file)
        yield [
            FundingRateUpdate(
                instrument_id,
                row["funding_rate"].normalize(),
                row["ts_event"],
                row["ts_init"] + stream.shift_ns,
                row["interval_minutes"],
                row["next_funding_time"],
            )
            for row in rows.iter_rows(named=True)
        ]


def _cut(parts: Iterator[list[Any]], start_ns: int, end_ns: int) -> Chunks:
    for part in parts:
        if inside := [each for each in part if start_ns <= each.ts_init < end_ns]:
            for first in range(0, len(inside), _CHUNK):
                yield inside[first : first + _CHUNK]
