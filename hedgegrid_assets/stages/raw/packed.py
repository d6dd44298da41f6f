"""Rows in fewer bytes, for the time that they wait on disk: values and types come back as they were."""

from collections.abc import Iterable
from typing import Final, NamedTuple, Self

import numpy as np
import polars as pl
import pyarrow as pa

from hedgegrid_assets.store import from_arrow

_LINE: Final = "raw_row"
_PART: Final = "part"
_TRIED: Final = 100
_MOST_WORDS: Final = 3


class Packed(NamedTuple):
    """What of a block of rows need not wait with it.

    Columns of nulls have no column there, nor has ``part`` where it is 0 throughout; decimals are integers where these
    can hold them.

    Attributes:
        rows: How many.
        kinds: The columns in their order, with their types.
        first_line: The ``raw_row`` of the first row, where each of the others is the next one: it has no column then.
        words: Column -> the few texts that are in it; it has their places instead.
    """

    rows: int
    kinds: dict[str, pl.DataType]
    first_line: int | None
    words: dict[str, pl.Series]

    @classmethod
    def of(cls, rows: pl.DataFrame, columns: Iterable[str]) -> tuple[Self, pl.DataFrame]:
        """Some columns of rows, and ``part``, packed."""
        kinds = {name: rows.schema[name] for name in (*columns, _PART)}
        first_line = _counted_from(rows[_LINE])
        words: dict[str, pl.Series] = {}
        packed: list[pl.Series] = []
        for series in (rows[name] for name in kinds):
            is_told = (series.name == _LINE and first_line is not None) or (series.name == _PART and not series.max())
            if is_told or series.null_count() == len(series):
                continue
            if isinstance(series.dtype, pl.Decimal):
                series = _units_of(series)
            elif series.dtype == pl.String and (found := _few_words(series)) is not None:
                words[series.name], series = found
            packed.append(series.rechunk())
        return cls(len(rows), kinds, first_line, words), pl.DataFrame(packed)

    def unpacked(self, packed: pl.DataFrame) -> pl.DataFrame:
        """The rows."""
        there = set(packed.columns)
        return pl.DataFrame(
            [
                self._left_out(name, kind) if name not in there else self._as_it_was(packed[name], kind)
                for name, kind in self.kinds.items()
            ]
        )

    def _left_out(self, name: str, kind: pl.DataType) -> pl.Series:
        if name == _LINE and self.first_line is not None:
            return pl.int_range(self.first_line, self.first_line + self.rows, dtype=pl.UInt32, eager=True).alias(name)
        return pl.Series(name, [0 if name == _PART else None], dtype=kind).new_from_index(0, self.rows)

    def _as_it_was(self, series: pl.Series, kind: pl.DataType) -> pl.Series:
        if series.name in self.words:
            return self.words[series.name].gather(series).alias(series.name)
        if isinstance(kind, pl.Decimal) and series.dtype != kind:
            return _decimals_of(series, kind)
        return series


def _counted_from(lines: pl.Series) -> int | None:
    """The first of lines that come one after the other; None where they do not."""
    numbers = lines.to_numpy()
    return int(numbers[0]) if len(numbers) and bool((np.diff(numbers) == 1).all()) else None


def _few_words(texts: pl.Series) -> tuple[pl.Series, pl.Series] | None:
    """The texts that the first ones are, and of each text its place among them; None where there are others, or many."""
    words = texts.head(_TRIED).unique(maintain_order=True)
    if len(words) > _MOST_WORDS or words.null_count():
        return None
    places = pl.lit(None, pl.UInt8)
    for place, word in reversed(list(enumerate(words))):
        places = pl.when(pl.col(texts.name) == word).then(pl.lit(place, pl.UInt8)).otherwise(places)
    found = texts.to_frame().select(places.alias(texts.name)).to_series()
    return None if found.null_count() else (words, found)


def _units_of(decimals: pl.Series) -> pl.Series:
    """Decimals as integers, in units of their last digit; as they are where 64 bits do not hold them all."""
    units = decimals.to_physical().cast(pl.Int64, strict=False)
    return decimals if units.null_count() > decimals.null_count() else units


def _decimals_of(units: pl.Series, kind: pl.Decimal) -> pl.Series:
    array = units.rechunk().to_arrow()
    valid, values = array.buffers()
    numbers = np.frombuffer(values, np.int64)[: array.offset + len(array)]
    wide = np.empty((len(numbers), 2), np.int64)
    wide[:, 0], wide[:, 1] = numbers, numbers >> 63
    buffers, size = [valid, pa.py_buffer(wide)], len(array)
    made = pa.Array.from_buffers(pa.decimal128(38, kind.scale), size, buffers, array.null_count, array.offset)
    return from_arrow(units.name, made)
