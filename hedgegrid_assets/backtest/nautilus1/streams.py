"""The tables of a catalog as events, some thousand at a time."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow.parquet as pq
from nautilus_trader.core.nautilus_pyo3 import DataBackendSession, NautilusDataType, drop_cvec_pycapsule
from nautilus_trader.model.data import FundingRateUpdate, IndexPriceUpdate, MarkPriceUpdate, capsule_to_list
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.objects import Price

from hedgegrid_assets.backtest import files
from hedgegrid_assets.backtest.job import Stream
from hedgegrid_assets.backtest.merging import Chunks
from hedgegrid_assets.backtest.nautilus1.books import whole_events
from hedgegrid_assets.backtest.settlements import THINNED
from hedgegrid_assets.backtest.usable import venue_of

_CHUNK: Final = 10_000


_BY_RUST: Final[Mapping[str, NautilusDataType]] = {
    files.TRADES: NautilusDataType.TradeTick,
    files.MARKS: NautilusDataType.MarkPriceUpdate,
    files.INDEX: NautilusDataType.MarkPriceUpdate,  # the same columns: 1.x has no reader of index prices
    files.QUOTES: NautilusDataType.QuoteTick,
    files.DEPTHS: NautilusDataType.OrderBookDepth10,
    files.DELTAS: NautilusDataType.OrderBookDelta,
    **dict.fromkeys(files.BARS, NautilusDataType.Bar),
}


def chunks(stream: Stream, start_ns: int, end_ns: int, folder: Path) -> Chunks:
    """The events of a stream in ``[start_ns, end_ns)``, in file order, some thousand at a time; never an empty list.

    Raises RuntimeError for files whose rows do not follow each other.
    """
    if stream.table == files.DELTAS:
        yield from whole_events(_rows(stream, folder), stream.instrument_id, start_ns, end_ns)
        return
    last = 0
    for number, file in enumerate(stream.files):
        last = _checked(Path(file), stream, last)
        if stream.table == files.FUNDING:
            yield from filter(None, [list(_funding(Path(file), stream, start_ns, end_ns))])
            continue
        path = Path(file) if not stream.shift_ns else _shifted(Path(file), stream, folder, number)
        for chunk in _by_rust(_BY_RUST[stream.table], path):
            if inside := _within(chunk, start_ns, end_ns):
                yield [*map(_as_index, inside)] if stream.table == files.INDEX else inside
        if stream.shift_ns:
            path.unlink()


def _rows(stream: Stream, folder: Path) -> Chunks:
    """All rows of a stream, file by file."""
    last = 0
    for number, file in enumerate(stream.files):
        last = _checked(Path(file), stream, last)
        path = Path(file) if not stream.shift_ns else _shifted(Path(file), stream, folder, number)
        yield from _by_rust(_BY_RUST[stream.table], path)
        if stream.shift_ns:
            path.unlink()


def _checked(file: Path, stream: Stream, last: int) -> int:
    """The last arrival of a file, all of whose rows come in their order and not before ``last``."""
    with pq.ParquetFile(file, pre_buffer=False) as source:
        for batch in source.iter_batches(_CHUNK * 10, columns=["ts_init"], use_threads=False):
            arrivals = batch.column(0).to_numpy()
            if len(arrivals) and (arrivals[0] < last or (arrivals[1:] < arrivals[:-1]).any()):
                raise RuntimeError(f"{stream.name}: rows are not in the order of their arrival in {file.name}")
            last = int(arrivals[-1]) if len(arrivals) else last
    return last


def _by_rust(kind: NautilusDataType, path: Path) -> Chunks:
    """A file's rows in its own order: a WHERE in the query would hand them out in another one."""
    session = DataBackendSession(chunk_size=_CHUNK)
    session.add_file(kind, "data", path.absolute().as_uri(), "SELECT * FROM data ORDER BY ts_init")
    for capsule in session.to_query_result():
        chunk = capsule_to_list(capsule)
        drop_cvec_pycapsule(capsule)  # its memory is given back by nobody else
        yield chunk


def _within(chunk: list[Any], start_ns: int, end_ns: int) -> list[Any]:
    if not chunk or (chunk[0].ts_init >= start_ns and chunk[-1].ts_init < end_ns):
        return chunk
    return [each for each in chunk if start_ns <= each.ts_init < end_ns]


def _as_index(mark: MarkPriceUpdate) -> IndexPriceUpdate:
    value = Price.from_raw(mark.value.raw, mark.value.precision)
    return IndexPriceUpdate(mark.instrument_id, value, mark.ts_event, mark.ts_init)


def _shifted(file: Path, stream: Stream, folder: Path, number: int) -> Path:
    """A copy of a file whose arrivals are later, row group by row group."""
    target = folder / f"{stream.table}-{venue_of(stream.instrument_id)}-{number}.later.parquet"
    with pq.ParquetFile(file) as source, pq.ParquetWriter(target, source.schema_arrow) as writer:
        for group in range(source.num_row_groups):
            table = source.read_row_group(group)
            place = table.schema.get_field_index("ts_init")
            later = (pl.Series(table.column(place)) + stream.shift_ns).cast(pl.UInt64).to_arrow()
            writer.write_table(table.set_column(place, table.schema.field(place), later))
    return target


def _funding(file: Path, stream: Stream, start_ns: int, end_ns: int) -> Iterator[FundingRateUpdate]:
    frame = files.read(files.FUNDING, file)
    frame = THINNED[stream.thinning](frame)
    instrument_id = InstrumentId.from_str(stream.instrument_id)
    for row in frame.iter_rows(named=True):
        ts_init = row["ts_init"] + stream.shift_ns
        if start_ns <= ts_init < end_ns:
            yield FundingRateUpdate(
                instrument_id,
                row["funding_rate"].normalize(),
                row["ts_event"],
                ts_init,
                row["interval_minutes"],
                row["next_funding_time"],
            )
