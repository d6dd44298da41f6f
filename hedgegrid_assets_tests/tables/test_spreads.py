"""Few times are kept as they are, many in bins: both tell the same."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hedgegrid_assets.model import Spread
from hedgegrid_assets.tables.rules import counters

times = st.lists(st.lists(st.integers(-70 * 10**9, 700 * 10**9), max_size=30), max_size=4)


def spread_of(blocks: list[list[int]], few: int) -> Spread:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counters, "_FEW_TIMES", few)
        histogram = counters._Histogram()
        for block in blocks:
            histogram.add(np.array(block, np.int64))
        return histogram.spread()


@settings(max_examples=60, deadline=None)
@given(blocks=times, few=st.integers(0, 60))
def test_a_spread_does_not_depend_on_where_times_are_kept(blocks: list[list[int]], few: int) -> None:
    assert spread_of(blocks, few) == spread_of(blocks, 1 << 20)
