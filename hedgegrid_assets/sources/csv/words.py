"""Columns of text of which there are a few: symbols, venues, sides."""

from collections.abc import Mapping
from typing import Final

import polars as pl

_LOOKED_AT: Final = 1_000
_FEW: Final = 4
"""Each is compared with all texts, which takes less than a hash of them."""


def words_in(texts: pl.Series) -> list[str]:
    """The different texts of a column, in the order of the rows."""
    words: list[str] = texts.head(_LOOKED_AT).unique(maintain_order=True).to_list()
    if len(words) <= _FEW and sum(int((texts == word).sum()) for word in words) == len(texts):
        return words
    return texts.unique(maintain_order=True).to_list()


def replaced[V](texts: pl.Series, by_word: Mapping[str, V], dtype: pl.DataType) -> pl.Series:
    """What each text stands for, by all words that there are."""
    if len(by_word) > _FEW:
        return texts.replace_strict(by_word, return_dtype=dtype)
    found = pl.lit(None, dtype)
    for word, meaning in by_word.items():
        found = pl.when(pl.col("text") == word).then(pl.lit(meaning, dtype)).otherwise(found)
    return pl.DataFrame({"text": texts}).with_columns(text=found)["text"]
