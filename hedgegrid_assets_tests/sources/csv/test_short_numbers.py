"""Short numbers of CSV files are read eight bytes at a time: as the exact reader reads them, which any longer one calls in."""

from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from hedgegrid_assets.batch import Batch, Block
from hedgegrid_assets.sources.csv.reader import begin
from hedgegrid_assets.sources.csv.words import replaced, words_in
from hedgegrid_assets.sources.formats.decimals import most_decimals, usual

AT = 1_704_067_200_000
LONGER = "12345678901234567.125"
"""Than any number that is read by words of eight bytes."""
SPELLED = st.one_of(
    st.decimals(0, 10**6, allow_nan=False, places=3).map(str),
    st.from_regex(r"-?[0-9]{1,8}(\.[0-9]{1,4})?", fullmatch=True),
    st.text("0123456789.-+e, ", max_size=12).filter(lambda text: "," not in text),
)


def read(prices: list[str], sides: list[str] | None = None) -> Batch:
    words = sides or ["buy"] * len(prices)
    rows = (f"{AT + n},{price},1.5,{n},{word}\n" for n, (price, word) in enumerate(zip(prices, words, strict=True)))
    block = Block(("timestamp,price,amount,id,side\n" + "".join(rows)).encode(), 0)
    said: dict[str, Any] = {"path": "BTCUSDT.csv", "symbols": ("BTCUSDT",), "tokens": ("trades",)}
    return begin(block, said, {"trade"}).read(block)


def prices_in(batch: Batch) -> list[tuple[int, str]]:
    """The rows and their prices, however many digits they are kept with."""
    exact = batch.decoded["trade"].rows.select("raw_row", pl.col("price").cast(pl.Decimal(38, 16)).cast(pl.String))
    return [row for row in exact.iter_rows() if row[1] != f"{LONGER}{'0' * 13}"]


@settings(deadline=None, max_examples=60)
@given(st.lists(SPELLED, min_size=1, max_size=12))
def test_a_number_is_the_same_whatever_stands_in_other_rows(texts: list[str]) -> None:
    """Whether all are short decides how they are read, and nothing else: also what is refused, and why."""
    texts = ["100.5", *texts]  # what the file is told by
    short, exact = read(texts), read([*texts, LONGER])
    assert prices_in(short) == prices_in(exact)
    told = [
        each.decoded["trade"].rejects.select("raw_row", "reason", "field", "value").rows() for each in (short, exact)
    ]
    assert told[0] == told[1]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.from_regex(r"-?[0-9]{1,6}(\.[0-9]{1,4})?", fullmatch=True), min_size=1, max_size=9))
def test_how_finely_numbers_are_written_is_told_of_short_ones_as_of_all(texts: list[str]) -> None:
    placed = read(texts).placed
    assert placed is not None
    assert all(pl.Series(texts).str.contains(usual(16)))
    assert placed.decimals["trade", "BTCUSDT", "price"] == most_decimals(pl.Series(texts))


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a", "B", "", "c", "d", "e"]), max_size=9), st.integers(0, 2_000))
def test_words_are_found_and_replaced_however_many_there_are(words: list[str], more: int) -> None:
    texts = pl.Series([*["a"] * more, *words], dtype=pl.String)
    assert words_in(texts) == texts.unique(maintain_order=True).to_list()
    known = {word: word.upper() if word else None for word in words_in(texts)}
    assert replaced(texts, known, pl.String()).to_list() == [known[text] for text in texts]


def test_sides_are_read_in_any_case_and_refused_where_they_are_none() -> None:
    batch = read(["1.5"] * 6, ["buy", "SELL", "Buy", "sell", "sideways", "BUY"])
    assert batch.decoded["trade"].rows["side"].to_list() == ["BUYER", "SELLER", "BUYER", "SELLER", "BUYER"]
    assert batch.decoded["trade"].rejects.select("raw_row", "reason", "value").rows() == [
        (5, "missing_side", "sideways")
    ]
