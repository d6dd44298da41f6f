"""Flags on the last row of each key are right, however many keys there are and however little memory."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hedgegrid_assets.model import LastRow
from hedgegrid_assets.stages.normalize import buckets
from hedgegrid_assets.stages.normalize.last_rows import LastRows

FLAG = LastRow("key", lambda end: pl.col("at") < end)


@pytest.mark.parametrize("at_once", [4, 1 << 18])
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(blocks=st.lists(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 9)), max_size=20), max_size=5))
def test_the_last_row_of_each_key_among_those_that_count_is_flagged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int, blocks: list[list[tuple[int, int]]]
) -> None:
    monkeypatch.setattr(buckets, "AT_ONCE", at_once)
    rows = LastRows(tmp_path, {"last": FLAG}, 7)
    for block in blocks:
        frame = pl.DataFrame(block, {"key": pl.Int64, "at": pl.Int64}, orient="row")
        rows.add(frame.with_columns(last=pl.col("at") == 9))
    flat = [row for block in blocks for row in block]
    last = {key: number for number, (key, at) in enumerate(flat) if at < 7}
    flags = [flag for frame in rows.complete() for flag in frame["last"]]
    assert flags == [at == 9 or last.get(key) == number for number, (key, at) in enumerate(flat)]
    rows.close()
