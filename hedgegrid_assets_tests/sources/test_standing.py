"""Lines that are read where their values stand give the rows that the reader by shape gives, or none."""

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from hedgegrid_assets.sources.formats import json_lines as shaped
from hedgegrid_assets.sources.formats.binance.by_shape import _rows_of, _standing
from hedgegrid_assets.sources.websocket import SOURCE

CHANNELS = {channel.name: channel for channel in SOURCE.channels}
TRADE = (
    '{{"stream":"btcusdt@aggTrade","data":{{"e":"aggTrade","E":{time},"s":"BTCUSDT","a":{id},"p":"{price}",'
    '"q":"{size}","f":{id},"l":{id},"T":{time},"m":{maker}}}}}'
)
MARK = '{{"e":"markPriceUpdate","E":{time},"s":"BTCUSDT","p":"{price}","P":"{price}","i":"{price}","r":"{size}","T":{time}}}'
NAMELESS = '{{"stream":"btcusdt@bookTicker","data":{{"u":{id},"s":"BTCUSDT","b":"{price}","B":"{size}","a":"{price}","A":"{size}"}}}}'
SHAPES = (("aggTrade", TRADE), ("markPrice", MARK), ("bookTicker", NAMELESS))
PRICES = st.sampled_from(["42500.00", "42500.1", "9", "1.12345678", "42500.12345678", "123456.12345678", "-1.5", "0"])
BYTES = st.sampled_from(list(b'0123456789.-+eE",:{}[] tfn\\\r\n\xff'))


@st.composite
def lines(draw: st.DrawFn) -> tuple[str, bytes]:
    """A channel and lines of it, a byte of which may be another, one too many, or missing."""
    name, shape = draw(st.sampled_from(SHAPES))
    stamp = "{} " if name == "bookTicker" or draw(st.booleans()) else ""
    digits = draw(st.integers(1, 18))
    made = [
        stamp.format(1_704_067_200_026_104_534 + number)
        + shape.format(
            time=1_704_067_200_015 + number,
            id=10 ** (digits - 1) + number % 5 if digits > 1 else number,
            price=draw(PRICES),
            size=draw(PRICES),
            maker=draw(st.sampled_from(["true", "false"])),
        )
        for number in range(draw(st.integers(1, 8)))
    ]
    data = bytearray("\n".join([*made, ""]).encode())
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2]))):
        at = draw(st.integers(0, len(data) - 1))
        data[at : at + draw(st.integers(0, 1))] = bytes(draw(st.lists(BYTES, max_size=1)))
    return name, bytes(data)


@settings(max_examples=400, deadline=None)
@given(lines())
def test_what_is_read_where_it_stands_is_what_the_reader_by_shape_is_sure_of(made: tuple[str, bytes]) -> None:
    name, data = made
    shape = shaped.shape_of(data.partition(b"\n")[0].decode(errors="replace"))
    required = {field.key for field in CHANNELS[name].fields if field.required}
    if shape is None or not required <= shape.places.keys():
        return
    if "e" not in shape.places and shape.parts[0].value != f"btcusdt@{name}":
        return
    count = data.count(b"\n") + (not data.endswith(b"\n"))
    found = _standing(data, count, shape, CHANNELS[name])
    if found is not None:
        split = shaped.read(data, count, shape)
        assert split is not None
        rows = _rows_of(split, CHANNELS[name])
        assert rows["sure"].all()
        numbers = [field for field in CHANNELS[name].fields if field.kind == "decimal"]
        exact = rows.drop("sure").cast({field.name: pl.Decimal(38, field.decimals) for field in numbers})
        assert_frame_equal(found.cast({field.name: exact.schema[field.name] for field in numbers}), exact)


def _read(data: bytes, name: str = "aggTrade") -> pl.DataFrame | None:
    shape = shaped.shape_of(data.partition(b"\n")[0].decode())
    assert shape is not None
    return _standing(data, data.count(b"\n"), shape, CHANNELS[name])


def test_usual_trades_are_all_read_where_they_stand() -> None:
    values = {"time": 1_704_067_200_015, "maker": "true"}
    made = [
        f"17040672000261045{number:02d} " + TRADE.format(**values, id=394 + number, price=f"4{number}.5", size=number)
        for number in range(10, 99)
    ]
    rows = _read("\n".join([*made, ""]).encode())
    assert rows is not None
    assert rows["ts_init"].to_list() == [1_704_067_200_026_104_500 + number for number in range(10, 99)]
    assert rows["id"].to_list() == [394 + number for number in range(10, 99)]
    assert [str(price) for price in rows["price"]] == [f"4{number}.5" for number in range(10, 99)]


def test_one_line_with_another_digit_more_is_enough_to_read_none() -> None:
    usual = TRADE.format(time=1_704_067_200_015, id=999, price="42500.1", size="1", maker="true")
    for other in (usual.replace("999", "1000"), usual.replace("999", "099"), usual.replace("BTC", "ETH"), f"{usual} "):
        assert _read(f"{usual}\n{usual}\n".encode()) is not None
        assert _read(f"{usual}\n{other}\n".encode()) is None
