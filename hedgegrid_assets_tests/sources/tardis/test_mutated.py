"""What is read fast of a line that was changed is what the exact way reads of it, and nothing is taken that that one refuses."""

import random
from collections import Counter

import pytest

from hedgegrid_assets_tests.mutated import HEADERS, blocks, held, whole_line


@pytest.mark.parametrize("name", HEADERS)
def test_changed_lines_are_read_as_the_exact_way_reads_them(name: str) -> None:
    counts: Counter[str] = Counter()
    for data in blocks(name, 7, 800):
        counts += held(name, data)
    assert counts["lines"] >= 800
    assert counts["refused"] > 50
    assert counts["taken"] > 500


@pytest.mark.parametrize("other", ["0.0001", "+0.0001"])
@pytest.mark.parametrize("rate", ["1234567890", "12345678901", "-12345678901", "12345678901.5"])
def test_a_rate_too_large_to_be_held_is_told_also_among_plain_ones(rate: str, other: str) -> None:
    lines = [whole_line("derivative_ticker", random.Random(7), number) for number in range(3)]
    for cells, predicted in zip(lines, ["0.0001", rate, other], strict=True):
        cells[6] = predicted
    held("derivative_ticker", b"".join(",".join(cells).encode() + b"\n" for cells in lines))
