"""Cells behind the last column: what is in them is found wherever it stands, and empty ones cost next to nothing."""

import csv
import random
import time
from collections.abc import Callable

import pytest

from hedgegrid_assets.sources.formats import tails

PIECES = ["", "", "", " ", "\t", "x", "0", '""', '"x"', '"a,b"', '" "']


@pytest.mark.parametrize("quote", [None, '"'])
@pytest.mark.parametrize("end", ["\n", ""])
def test_the_first_that_holds_something_is_found_as_if_each_line_were_split(quote: str | None, end: str) -> None:
    chance = random.Random(7)
    for _ in range(300):
        lines = [",".join(chance.choices(PIECES, k=chance.randrange(1, 9))) for _ in range(chance.randrange(1, 9))]
        data = ("\n".join(lines) + end).encode()
        split = [line.split(",") for line in lines] if quote is None else list(csv.reader(lines))
        blanks = tails.BLANKS + ('"' if quote is None else "")
        beyond = {number: cells[3:] for number, cells in enumerate(split) if len(cells) > 4}
        wanted = {number: [cell for cell in cells if cell.strip(blanks)] for number, cells in beyond.items()}
        found = tails.first_cells(data, 3, ",", quote)
        assert found == {number: cells[0] for number, cells in wanted.items() if cells}, data


def test_a_carriage_return_at_the_end_of_a_line_is_nothing() -> None:
    assert tails.first_cells(b"1,2,,,\r\n1,2,,x,\r\n", 2, ",") == {1: "x"}


def test_empty_cells_behind_every_row_cost_little_more_than_counting_them() -> None:
    """As spreadsheets write them: each such line was taken apart by itself, for fifteen times the time."""
    data = b"".join(b"%d,1,2.5,0.1,buy,,\n" % number for number in range(200_000))

    def spent(work: Callable[[], object]) -> float:
        taken = []
        for _ in range(3):
            before = time.process_time()
            work()
            taken.append(time.process_time() - before)
        return min(taken)

    assert tails.first_cells(data, 5, ",") == {}
    assert spent(lambda: tails.first_cells(data, 5, ",")) < 7 * spent(lambda: tails.longer(data, 9, ","))
