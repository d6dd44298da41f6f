"""Arrays with messages of many symbols: each raw day has its own of them, and gives the rows that the whole lines give."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hedgegrid_assets.batch import Block, Decoded
from hedgegrid_assets.stages.raw import RawKey, is_own_line
from hedgegrid_assets_tests import one_day
from hedgegrid_assets_tests.scenario import agg_trade, mark_price
from hedgegrid_assets_tests.yard import CHANNELS, SOURCE, Yard, lines_of, origins_of

MS = 1_704_067_200_000
SYMBOLS = ("BTCUSDT", "ETHUSDT", "XRPUSDT")
LAST_MS = MS + 86_400_000 - 1
STAMP = "1704067200500"

CUT = {
    "an array": "[{}]",
    "an array in a stream": '{{"stream":"!markPrice@arr@1s","data":[{}]}}',
    "behind a stamp": STAMP + ' {{"stream":"!markPrice@arr","data":[{}]}}',
    "in a wrapper": '{{"ts":' + STAMP + ',"msg":[{}],"conn":"a"}}',
    "a pair": "[" + STAMP + ",[{}]]",
    "with a carriage return": "[{}]\r",
}
"""Forms whose lines are cut: ``{}`` stands for the messages."""


def _text(message: dict[str, Any]) -> str:
    return json.dumps(message, separators=(",", ":"))


def _imported(folder: Path, lines: list[str]) -> Yard:
    yard = Yard(folder)
    yard.drop("capture.jsonl", "".join(f"{line}\n" for line in lines).encode())
    yard.bring_in(SYMBOLS)
    return yard


@pytest.mark.parametrize("form", CUT.values(), ids=CUT)
def test_a_raw_day_has_its_own_messages_of_an_array_and_what_stands_around_them(tmp_path: Path, form: str) -> None:
    messages = [_text(mark_price(MS, symbol=symbol)) for symbol in SYMBOLS]
    alone = _text(mark_price(MS + 1000, symbol="ETHUSDT"))
    yard = _imported(tmp_path, [form.format(", ".join(messages)), form.format(alone), alone])
    for symbol, own in zip(SYMBOLS, messages, strict=True):
        kept = [line.decode() for line in lines_of(yard.raw("markPrice", symbol).path)]
        others = [f"{form.format(alone)}\n", f"{alone}\n"] if symbol == "ETHUSDT" else []
        assert kept == [f"{form.format(own)}\n", *others]


@pytest.mark.parametrize(
    "line",
    [
        f"[[{STAMP},{{}}],[1704067200700,{{}}],[1704067200900,{{}}]]",
        '{{"ts":1704067200500,"msg":"[{},{},{}]"}}',
        "[{},[{}],{}]",
    ],
    ids=["each with its own stamp", "as text in a wrapper", "arrays in an array"],
)
def test_a_line_that_is_no_flat_array_stays_whole(tmp_path: Path, line: str) -> None:
    messages = [_text(mark_price(MS, symbol=symbol)) for symbol in SYMBOLS]
    if "msg" in line:
        messages = [message.replace('"', '\\"') for message in messages]
    text = line.format(*messages)
    yard = _imported(tmp_path, [text])
    for symbol in SYMBOLS:
        assert lines_of(yard.raw("markPrice", symbol).path) == [f"{text}\n".encode()]


def test_symbols_days_and_channels_that_share_a_line_each_get_their_own_of_it(tmp_path: Path) -> None:
    trades = [_text(agg_trade(number, LAST_MS)) for number in (3, 1)]
    marks = [_text(mark_price(LAST_MS + n, symbol=symbol)) for symbol in ("BTCUSDT", "ETHUSDT") for n in (0, 1)]
    yard = _imported(tmp_path, [f"[{trades[0]},{','.join(marks)},{trades[1]}]"])
    kept = {
        (*path.relative_to(tmp_path).parts[-3:-1], path.name[:10]): lines_of(path)
        for path in sorted(tmp_path.rglob("*.jsonl.zst"))
    }
    assert kept == {
        ("aggTrade", "BTCUSDT", "2024-01-01"): [f"[{trades[0]},{trades[1]}]\n".encode()],
        ("markPrice", "BTCUSDT", "2024-01-01"): [f"[{marks[0]}]\n".encode()],
        ("markPrice", "BTCUSDT", "2024-01-02"): [f"[{marks[1]}]\n".encode()],
        ("markPrice", "ETHUSDT", "2024-01-01"): [f"[{marks[2]}]\n".encode()],
        ("markPrice", "ETHUSDT", "2024-01-02"): [f"[{marks[3]}]\n".encode()],
    }
    assert yard.raw("markPrice", "ETHUSDT").manifest.lines == 1


def test_the_raw_days_of_many_symbols_take_about_what_their_file_takes(tmp_path: Path) -> None:
    symbols = [f"C{number:03d}USDT" for number in range(100)]
    lines = [
        f"[{','.join(_text(mark_price(MS + 1000 * second, symbol=symbol)) for symbol in symbols)}]"
        for second in range(20)
    ]
    yard = Yard(tmp_path)
    yard.drop("capture.jsonl", "".join(f"{line}\n" for line in lines).encode())
    yard.bring_in(symbols)
    bytes_ = sum(sum(map(len, lines_of(yard.raw("markPrice", symbol).path))) for symbol in symbols)
    assert bytes_ < 1.1 * sum(map(len, lines))


_MESSAGE = st.tuples(st.sampled_from(SYMBOLS), st.sampled_from("tm"), st.booleans())
_FORMS = st.sampled_from([*CUT.values(), "pairs", "plain"])


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(_FORMS, st.lists(_MESSAGE, min_size=1, max_size=5)), min_size=1, max_size=6))
def test_raw_days_give_the_rows_that_the_whole_lines_give(
    groups: list[tuple[str, list[tuple[str, str, bool]]]],
) -> None:
    number, lines = 0, list[str]()
    for form, group in groups:
        texts = []
        for symbol, kind, bad in group:
            number += 1
            made = agg_trade if kind == "t" else mark_price
            given_ = (number, MS + number) if kind == "t" else (MS + number,)
            texts.append(_text(made(*given_, symbol=symbol, **({"p": "x"} if bad else {}))))
        if form == "plain":
            lines += texts
        elif form == "pairs":
            lines.append(f"[{','.join(f'[{STAMP},{text}]' for text in texts)}]")
        else:
            lines.append(form.format(",".join(texts)))
    whole = Block("".join(f"{line}\n" for line in lines).encode(), 0)
    with TemporaryDirectory() as folder:
        yard = Yard(Path(folder))
        yard.drop("capture.jsonl", whole.data)
        for key in yard.bring_in(SYMBOLS).days:
            _same(yard, key, whole)


def _same(yard: Yard, key: RawKey, whole: Block) -> None:
    """Rows, rejects and faults of a raw day, and of the file that it was cut from."""
    day = yard.raw(key.channel, key.symbol, key.day)
    dialect = {"symbol": key.symbol, "date": str(key.day)}
    kept = Block(b"".join(lines_of(day.path)), 0)
    of_day = one_day.decoded(SOURCE, kept, CHANNELS[key.channel], dialect)
    of_file = one_day.decoded(SOURCE, whole, CHANNELS[key.channel], dialect)
    numbers = pl.Series([line - 1 for _, line in origins_of(day)], dtype=pl.UInt32)
    assert _good(of_day, numbers).equals(_good(of_file, None))
    assert _bad(of_day, numbers) == [
        told for told in _bad(of_file, None) if told[0] in numbers
    ]  # plain lines of others


def _in_file(rows: pl.DataFrame, numbers: pl.Series | None) -> pl.DataFrame:
    return rows if numbers is None else rows.with_columns(raw_row=numbers.gather(rows["raw_row"]))


def _good(decoded: Decoded, numbers: pl.Series | None) -> pl.DataFrame:
    """Rows of which all can be read."""
    faults = decoded.rows.clear() if decoded.faults is None else decoded.faults
    return _in_file(decoded.rows.join(faults, on="raw_row", how="anti", maintain_order="left"), numbers)


def _bad(decoded: Decoded, numbers: pl.Series | None) -> list[tuple[Any, ...]]:
    """What cannot be read: of one of several messages that is the message, of one alone its fields."""
    told = [
        each.select("raw_row", "reason", "field", "value")
        for each in (decoded.rejects, decoded.faults)
        if each is not None
    ]
    return sorted(_in_file(pl.concat(told), numbers).rows())


def test_a_line_that_is_no_part_of_another_is_told_from_one_that_is() -> None:
    one, two, three = (_text(mark_price(MS, symbol=symbol)) for symbol in SYMBOLS)
    whole = f"[{one}, {two}, {three}]"
    for own in ((one,), (two,), (three,), (one, three), (two, three)):
        assert is_own_line(f"[{','.join(own)}]", whole)
    changed = two.replace("ETHUSDT", "ETHUSDC")
    for other in (f"[{changed}]", f"[{three},{one}]", f"[{one},{changed}]", whole, f"5 [{two}]"):
        assert not is_own_line(other, whole)
