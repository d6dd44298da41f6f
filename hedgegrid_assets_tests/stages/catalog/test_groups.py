"""Row groups that hold several blocks of a frame."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hedgegrid_assets.stages.catalog.groups import Blocks, Grouped

WHOLE = pa.table({"number": range(19)})


@pytest.mark.parametrize(("written", "sizes"), [(1, [4, 4, 4, 4, 3]), (2, [8, 8, 3]), (8, [19])])
def test_blocks_are_found_again_however_many_a_group_holds(written: int, sizes: list[int], tmp_path: Path) -> None:
    grouped = Grouped(written)
    with pq.ParquetWriter(tmp_path / "f.parquet", WHOLE.schema) as writer:
        for start in range(0, 19, 4):
            grouped.add(writer, WHOLE.slice(start, 4))
        grouped.flush(writer)
    with pq.ParquetFile(tmp_path / "f.parquet") as file:
        assert [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)] == sizes
        blocks = Blocks(file, written)
        found = [blocks.next(len(WHOLE.slice(start, 4))) for start in range(0, 19, 4)]
        assert found == [WHOLE.slice(start, 4) for start in range(0, 19, 4)]
        assert blocks.next(4) is None


def test_a_file_of_before_with_a_block_to_a_group_is_read_by_blocks_too(tmp_path: Path) -> None:
    pq.write_table(WHOLE, tmp_path / "f.parquet", row_group_size=4)
    with pq.ParquetFile(tmp_path / "f.parquet") as file:
        blocks = Blocks(file, 8)
        assert [blocks.next(rows) for rows in (4, 15, 1)] == [WHOLE.slice(0, 4), WHOLE.slice(4, 15), None]
