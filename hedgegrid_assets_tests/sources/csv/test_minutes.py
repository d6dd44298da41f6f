"""Times that are spelled alike: what is read of the seconds alone is what the pattern of their format reads."""

from datetime import UTC, datetime, timedelta
from typing import Final

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from hedgegrid_assets.sources.csv.minutes import in_minutes
from hedgegrid_assets.sources.csv.times import FORMATS, ISO, TimeSpec, _by_pattern, compiled, ns_of

START: Final = datetime(2024, 2, 28, 23, 58, 30, tzinfo=UTC)
SPELLINGS: Final = (
    ("%Y-%m-%dT%H:%M:%S.", "Z"),
    ("%Y-%m-%d %H:%M:%S,", ""),
    ("%Y-%m-%dT%H:%M:%S.", "+05:30"),
    ("%Y-%m-%d %H:%M:%S", "+0000 UTC"),
    ("%m/%d/%Y %I:%M:%S.", " PM"),
    ("%Y%m%d %H%M%S", ""),
    ("%Y-%m-%dD%H:%M:%S.", ""),
    ("%d.%m.%Y %H:%M:%S.", "-08"),
    ("%b %d %Y %H:%M:%S", ""),
)
TOOLS: Final = ("%b %d %Y %H:%M:%S", "%S:%M:%H %d-%m-%Y", "%Y-%m-%d %H:%M:%S.%f%z")

bytes_changed = st.lists(st.tuples(st.integers(0, 40), st.sampled_from("0123456789:.,-+ TZé/")), max_size=2)


@st.composite
def columns(draw: st.DrawFn) -> pl.Series:
    """Times that rise, some of them spelled in another way or broken."""
    shape, behind = draw(st.sampled_from(SPELLINGS))
    digits = draw(st.integers(1, 9)) if shape[-1] in ".," else 0
    moment = START
    texts: list[str] = []
    for step in draw(st.lists(st.integers(0, 20_000_000), min_size=1, max_size=40)):
        moment += timedelta(microseconds=step)
        fraction = f"{moment.microsecond:06d}789"[:digits]
        texts.append(moment.strftime(shape) + fraction + behind)
    for row in draw(st.lists(st.integers(0, len(texts) - 1), max_size=6, unique=True)):
        text = list(texts[row])
        for place, byte in draw(bytes_changed):
            text[place % len(text)] = byte
        texts[row] = draw(st.sampled_from(["".join(text), texts[row][:-1], texts[row].replace(".", ""), ""]))
    return pl.Series(texts)


@given(columns(), st.sampled_from([*FORMATS, *TOOLS]))
def test_times_that_are_read_by_their_seconds_are_those_of_the_pattern(texts: pl.Series, fmt: str) -> None:
    exact = _by_pattern(texts, fmt)
    found = in_minutes(texts, *compiled(fmt), lambda some: _by_pattern(some, fmt))
    if found is not None:
        ns, left = found
        taken = pl.Series(sorted(set(range(len(texts))) - set(left)), dtype=pl.Int64)
        assert ns.gather(taken).to_list() == exact.gather(taken).to_list()


def test_all_but_the_first_of_each_minute_are_read_by_their_seconds() -> None:
    texts = [(START + timedelta(milliseconds=37 * row)).strftime("%Y-%m-%dT%H:%M:%S.%fZ") for row in range(5_000)]
    asked: list[int] = []

    def reads(some: pl.Series) -> pl.Series:
        asked.append(len(some))
        return _by_pattern(some, ISO)

    found = in_minutes(pl.Series(texts), *compiled(ISO), reads)
    assert found is not None
    assert len(found[1]) == 0
    assert found[0].to_list() == _by_pattern(pl.Series(texts), ISO).to_list()
    assert asked == [4]


def test_times_of_several_lengths_beside_what_is_none_are_read_as_by_the_pattern() -> None:
    """As Go and Java write them: without the zeros at the end."""
    moments = [START + timedelta(milliseconds=50 * row) for row in range(3_000)]
    texts = [moment.strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0").rstrip(".") + "Z" for moment in moments]
    texts[1_000:1_004] = ["", "2024-02-30T00:00:00Z", "2024-02-28T23:59:61.5Z", "1704067200"]
    assert ns_of(pl.Series(texts), TimeSpec(format=ISO)).to_list() == _by_pattern(pl.Series(texts), ISO).to_list()


def test_a_format_with_digits_of_its_own_is_left_to_its_pattern() -> None:
    texts = pl.Series([f"{second % 60:02d}9 2024-01-01" for second in range(2_000)])
    fmt = "%S9 %Y-%m-%d"
    assert ns_of(texts, TimeSpec(format=fmt)).to_list() == _by_pattern(texts, fmt).to_list()
