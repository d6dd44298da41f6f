"""The reader by shape and the reader by regular expressions must agree on every line; one test turns the first one off."""

from collections.abc import Sequence
from unittest.mock import patch

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from hedgegrid_assets.batch import Decoded, Placed
from hedgegrid_assets.sources.formats import json_lines as shaped
from hedgegrid_assets.sources.formats.binance.by_shape import by_shape
from hedgegrid_assets.sources.websocket import SOURCE
from hedgegrid_assets.store import Block
from hedgegrid_assets_tests import one_day

NUMBERS = (
    "0",
    "1",
    "17",
    "-5",
    "007",
    "+3",
    "1e3",
    "1.5",
    "123456789012345678",
    "1234567890123456789",
    "9223372036854775808",
    "",
    " 4",
    "true",
    "null",
)
TEXTS = (
    "42000.10",
    "0.001",
    "0",
    "",
    "-1",
    "1e-7",
    ".5",
    "5.",
    "1,5",
    "00012",
    "1.12345678901234567",
    "BTCUSDT",
    "币USDT",
    "a\\\\b",
    "a\\u0041",
    "x\ty",
    "NaN",
)
EVENTS = ("aggTrade", "aggTrade", "aggTrade", "trade", "bookTicker")


@st.composite
def alike_lines(draw: st.DrawFn) -> list[str]:
    """Lines of one shape, most of them good, some with a value or a character that does not belong there."""
    space, comma = draw(st.sampled_from(["", " "])), draw(st.sampled_from([",", ", "]))
    order = draw(st.permutations(["e", "E", "s", "a", "p", "q", "f", "l", "T", "m", "nq"]))
    wrapped, head = draw(st.booleans()), draw(st.sampled_from(["", "ns", "iso"]))
    ending = draw(st.sampled_from(["\n", "\r\n"]))

    def line(number: int) -> str:
        values = {
            "e": '"aggTrade"', "E": str(1_704_067_200_000 + number), "s": '"BTCUSDT"', "a": str(1_000 + number),
            "p": f'"42000.{number % 100:02}"', "q": '"0.001"', "f": str(number), "l": str(number),
            "T": str(1_704_067_200_000 + number), "m": "true" if number % 3 else "false", "nq": '"0.001"',
        }  # fmt: skip
        if draw(st.integers(0, 5)) == 0:
            key = draw(st.sampled_from(order))
            odd = draw(st.sampled_from(NUMBERS)) if draw(st.booleans()) else f'"{draw(st.sampled_from(TEXTS))}"'
            values[key] = f'"{draw(st.sampled_from(EVENTS))}"' if key == "e" else odd
        body = "{" + comma.join(f'"{key}":{space}{values[key]}' for key in order) + "}"
        text = f'{{"stream":"btcusdt@aggTrade","data":{body}}}' if wrapped else body
        ns = 1_704_067_200_000_000_000 + number * 1_000_003
        stamp = {"": "", "ns": f"{ns} ", "iso": f"2024-01-01T00:00:{number % 60:02}.0000{number % 1000:03}Z "}[head]
        text = stamp + text
        if draw(st.integers(0, 9)) == 0:
            at = draw(st.integers(0, len(text)))
            text = text[:at] + draw(st.sampled_from(['"', ",", "}", "{", "\\", " ", "x", "9"])) + text[at:]
        if draw(st.integers(0, 9)) == 0:
            text += draw(st.sampled_from([",", ",,", ",,,", ", ,x", f",,{text}", ',,"s":true']))
        return text + ending

    return [line(number) for number in range(draw(st.integers(1, 36)))]


def read(lines: Sequence[str]) -> tuple[Placed, list[Decoded]]:
    """Places, and the rows of all channels in one pass; then of each alone that the lines may be of."""
    block = Block("".join(lines).encode(), 0)
    batch = SOURCE.open({}, [channel.name for channel in SOURCE.channels]).read(block)
    assert batch.placed is not None
    alone = [one_day.decoded(SOURCE, block, channel) for channel in SOURCE.channels if channel.event in EVENTS]
    assert alone
    return batch.placed, [*(batch.decoded[name] for name in sorted(batch.decoded)), *alone]


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(alike_lines())
def test_lines_read_by_shape_are_read_as_the_regular_expressions_read_them(lines: list[str]) -> None:
    scan, decoded = read(lines)
    with patch.object(shaped, "shape_of", return_value=None):
        other_scan, others = read(lines)
    assert_frame_equal(scan.lines, other_scan.lines)
    assert scan.by_stream == other_scan.by_stream
    assert (scan.blank, scan.connection, scan.unreadable) == (
        other_scan.blank,
        other_scan.connection,
        other_scan.unreadable,
    )
    assert scan.decimals == other_scan.decimals
    for one, other in zip(decoded, others, strict=True):
        assert_frame_equal(one.rows.select(other.rows.columns).cast(other.rows.schema), other.rows)
        assert_frame_equal(one.rejects, other.rejects)


def test_a_block_of_alike_lines_fits_its_shape_throughout() -> None:
    lines = [
        f'{1_704_067_200_000_000_000 + n} {{"e":"aggTrade","E":1704067200000,"s":"BTCUSDT","a":{n},"p":"1.5","q":"2",'
        f'"f":1,"l":1,"T":1704067200000,"m":true}}\n'
        for n in range(100)
    ]
    block = Block("".join(lines).encode(), 0)
    shape = shaped.shape_of(lines[0])
    assert shape is not None
    parts = shaped.read(block.data, 100, shape)
    assert parts is not None
    proofs = [parts.fits("e", "aggTrade"), parts.ends(), parts.received("local")[1], *parts.unread(["e"])]
    assert parts.parts.with_columns(local=parts.received("local")[0]).select(pl.all_horizontal(proofs).all()).item()
    assert one_day.decoded(SOURCE, block, SOURCE.channels[0]).rows["id"].to_list() == list(range(100))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "aggTrade",
            '{"e":"aggTrade","E":17040672000%02d,"s":"BTCUSDT","a":%d,"p":"1.5","q":"2","f":1,"l":1,"T":9,"m":true}',
        ),
        ("markPrice", '{"e":"markPriceUpdate","E":17040672000%02d,"s":"X_24","p":"1.5","i":"%d","r":"","T":0}'),
    ],
)
def test_usual_lines_of_mixed_streams_never_reach_the_slower_readers(name: str, message: str) -> None:
    """Ids may grow by a digit in the middle, and a time may be 0."""
    lines = [message % (n, n) + '\n{"e":"depthUpdate","b":[["1","2"]]}\n' for n in range(5, 20)]
    data = "".join(line.replace('"T":9', '"T":1704067200000') for line in lines).encode()
    channel = next(channel for channel in SOURCE.channels if channel.name == name)
    assert len(one_day.decoded(SOURCE, Block(data, 0), channel).rows) == 15
    found = by_shape(Block(data, 0), channel)
    assert found is not None
    assert found.rows["line"].to_list() == list(range(0, 30, 2))


TRADE = '{"e":"trade","E":17040672000%02d,"T":1704067200000,"s":"BTCUSDT","t":%d,"p":"100.50","q":"1.250","X":"MARKET","m":false}'
BOOK = (
    '{"e":"bookTicker","u":%d,"s":"BTCUSDT","b":"1.5","B":"%d","a":"1.6","A":"2","T":1704067200000,"E":1704067200000}'
)


@pytest.mark.parametrize(("name", "message"), [("trade", TRADE), ("bookTicker", BOOK)])
@pytest.mark.parametrize("tail", [",", ",,", ",,,", ',,"s":true', ",,{}", ",,,x", ",{}", ",,\xff"])
@pytest.mark.parametrize("end", ["", "\r\n", '\n\n\n{"e":1,"a":2}\n'])
def test_nothing_may_stand_behind_a_message(name: str, message: str, tail: str, end: str) -> None:
    lines = [message % (n, n) for n in range(10, 28)]
    lines[9] += tail
    lines[17] += tail
    channel = next(channel for channel in SOURCE.channels if channel.event == name)
    block = Block(("\n".join(lines) + end).encode("latin-1"), 0)
    found = one_day.decoded(SOURCE, block, channel)
    assert found.rows["raw_row"].to_list() == [*range(9), *range(10, 17)]
    scan = one_day.placed(SOURCE, block)
    refused = pl.concat(
        [scan.lines.select(pl.col("line").alias("raw_row"), "reason"), found.rejects.select("raw_row", "reason")]
    )
    refused = refused.filter(pl.col("reason").is_not_null() & pl.col("raw_row").is_in([9, 17])).sort("raw_row")
    why = "not_utf8" if "\xff" in tail else "broken_json"
    assert refused.rows() == [(9, why), (17, why)]


@pytest.mark.parametrize("line", ['{"e":"x","b":[["1","2"]]}', '{"e":"x","e":"y"}', "no json", '{"a\\"":1}', ""])
def test_lines_that_are_nested_repeat_a_key_or_escape_have_no_shape(line: str) -> None:
    assert shaped.shape_of(line) is None


def test_a_shape_splits_a_line_into_places() -> None:
    shape = shaped.shape_of('1704067200000000000 {"stream":"s@t","data":{"e":"t","p":"1.5","m":true}}\n')
    assert shape is not None
    assert shape.time == 19
    assert shape.places == {"stream": 0, "e": 1, "p": 2, "m": 3}
    lines = shaped.read(b'1704067200000000000 {"stream":"s@t","data":{"e":"t","p":"1.5","m":true}}\n', 1, shape)
    assert lines is not None
    values = lines.received("local")[0], lines.quoted("p", "p")[0].alias("p"), lines.flag("m")[0].alias("m")
    assert lines.parts.select(values).row(0) == (1_704_067_200_000_000_000, "1.5", True)
