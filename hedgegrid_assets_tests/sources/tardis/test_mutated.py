"""What is read fast of a line that was changed is what the exact way reads of it, and nothing is taken that that one refuses."""

from collections import Counter

import pytest

from hedgegrid_assets_tests.mutated import HEADERS, blocks, held


@pytest.mark.parametrize("name", HEADERS)
def test_changed_lines_are_read_as_the_exact_way_reads_them(name: str) -> None:
    counts: Counter[str] = Counter()
    for data in blocks(name, 7, 800):
        counts += held(name, data)
    assert counts["lines"] >= 800
    assert counts["refused"] > 50
    assert counts["taken"] > 500
