"""Frames that wait on disk come back as they were, whatever is in them, and take no more room than what they hold."""

from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from hedgegrid_assets.store.spool import Spool

EVERY_KIND = pl.DataFrame(
    {
        "time": [1_704_067_200_000_000_000, None, -1],
        "line": pl.Series([1, 2, 3], dtype=pl.UInt32),
        "code": pl.Series([1, None, 3], dtype=pl.UInt8),
        "short": ["", None, "é" * 6],
        "long": ["x" * 13, None, "abc"],
        "price": pl.Series([Decimal("-0.0000000000000001"), None, Decimal(10**20)], dtype=pl.Decimal(38, 16)),
        "side": pl.Series(["BUYER", None, "SELLER"], dtype=pl.Enum(["NO_AGGRESSOR", "BUYER", "SELLER"])),
        "last": [True, None, False],
        "none": pl.Series([None] * 3, dtype=pl.String),
        "levels": [["1.5", "a text of some length"], None, []],
    }
)


@pytest.mark.parametrize("names", [["long"], ["short", "none"], ["time", "line", "code", "last"], EVERY_KIND.columns])
def test_frames_come_back_as_they_were(tmp_path: Path, names: list[str]) -> None:
    frames = [EVERY_KIND[names], EVERY_KIND[names].head(0), pl.concat([EVERY_KIND[names]] * 2, rechunk=False)]
    spool = Spool(tmp_path)
    for frame in frames:
        spool.append(frame)
    for _ in range(2):
        for frame, found in zip(frames, spool, strict=True):
            assert found.schema == frame.schema
            assert found.equals(frame)
    spool.append(frames[0].head(1))  # also once it was read
    assert spool[3].equals(frames[0].head(1))
    spool.close()


@pytest.mark.parametrize("length", [8, 36])
def test_a_few_rows_do_not_take_the_texts_of_all_along(tmp_path: Path, length: int) -> None:
    texts = pl.DataFrame({"id": [f"{number:036}" for number in range(10_000)]}).select(pl.col("id").str.head(length))
    spool = Spool(tmp_path)
    spool.append(texts.slice(5_000, 10))
    assert spool.bytes < 2_000
    assert spool[0].equals(texts.slice(5_000, 10))
    spool.close()
