"""Random CSV files against a slow exact reader of Python's ``csv`` and ``decimal``: line by line, cell by cell."""

import csv
import io
import os
import re
from datetime import UTC, datetime
from decimal import ROUND_FLOOR, Decimal, localcontext
from typing import Any, Final

import polars as pl
import pytest
from hypothesis import HealthCheck, assume, given, reject, settings
from hypothesis import strategies as st

from hedgegrid_assets.batch import OtherHeader
from hedgegrid_assets.errors import SidesUnknown
from hedgegrid_assets.sources.csv import SOURCE
from hedgegrid_assets.sources.csv.dialect import CsvDialect
from hedgegrid_assets.sources.csv.times import TimeSpec, ns_of
from hedgegrid_assets.sources.formats import csv_cells as cells
from hedgegrid_assets.sources.formats.decimals import exact_decimal
from hedgegrid_assets.store import Block

EXAMPLES: Final = int(os.environ.get("CSV_EXAMPLES", "250"))
"""Thousands with CSV_EXAMPLES=5000, at 100 to 200 a second."""
MIDNIGHT_MS: Final = 1_704_067_200_000
NAMES: Final = ("time", "note", "symbol", "price", "amount", "side", "id")
NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,9})?")
SIDES: Final = {
    **dict.fromkeys(("buy", "b", "bid", "long", "buyer", "1", "+1", "1.0"), "BUYER"),
    **dict.fromkeys(("sell", "s", "ask", "short", "seller", "-1", "-1.0"), "SELLER"),
    **dict.fromkeys(("unknown", "no_aggressor", "none"), "NO_AGGRESSOR"),
}

type Outcome = tuple[Any, ...]


# ---------------------------------------------------------------- the slow reader


def slow(text: str, delimiter: str) -> dict[int, Outcome]:
    """Line -> what becomes of it."""
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    found: dict[int, Outcome] = {}
    number = 0
    while number < len(lines):
        row, length = slow_record(lines, number, delimiter)
        found[number] = ("unplaced", "wrong_type") if row is None else outcome(row, lines[number])
        for inside in range(number + 1, number + length):
            found[inside] = ("inside",)
        number += length
    return found


def slow_record(lines: list[str], number: int, delimiter: str) -> tuple[list[str] | None, int]:
    if '"' not in lines[number]:
        return lines[number].split(delimiter), 1
    for length in range(1, min(16, len(lines) - number) + 1):
        rows = slow_rows("\n".join(lines[number : number + length]).rstrip("\r\n"), delimiter)
        if len(rows) == 1 and (length == 1 or len(rows[0]) == len(NAMES)):
            return rows[0], length
    return None, 1


def slow_rows(text: str, delimiter: str) -> list[list[str]]:
    try:
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error:
        return []


def outcome(row: list[str], line: str) -> Outcome:
    row = [cell.strip(" \t\r") for cell in row]
    extra = any(row[len(NAMES) :])
    row = [*row, *[""] * len(NAMES)][: len(NAMES)]
    time, _, symbol, price, size, side, trade_id = row
    if (time, symbol, price, size) == ("time", "symbol", "price", "amount"):
        return ("header",)
    ns = slow_time(time)
    if isinstance(ns, str):
        return ("blank",) if not line.strip() else ("unplaced", ns)
    if not symbol:
        return ("unplaced", "missing_field")
    if extra:
        return ("reject", "wrong_type")
    for text in (price, size):
        if not text:
            return ("reject", "missing_field")
        if slow_decimal(text) is None:
            return ("reject", "bad_decimal")
    if side.lower() not in SIDES:
        return ("reject", "missing_side")
    nothing = re.fullmatch(r"(?i:nan|null|none|na|n/a|\\n)?", trade_id)
    return (
        "row",
        ns,
        symbol,
        slow_decimal(price),
        slow_decimal(size),
        SIDES[side.lower()],
        None if nothing else trade_id,
    )


def slow_decimal(text: str) -> Decimal | None:
    if not NUMBER.fullmatch(text.strip()):
        return None
    value = Decimal(text.strip())
    with localcontext() as context:
        context.prec = 60
        if not value:
            return Decimal(0)
        if value.adjusted() > 21 or value.adjusted() < -16:
            return None
        short = value.normalize() if len(value.as_tuple().digits) <= 60 else Decimal(str(value).rstrip("0"))
        exponent = short.as_tuple().exponent
        return short if isinstance(exponent, int) and exponent >= -16 else None


def slow_time(text: str) -> int | str:
    """Nanoseconds, or why it is no time; all units have the same first moment and the same last one."""
    text = text.strip()
    if not re.fullmatch(r"[+-]?(?:[0-9]+[.,]?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?", text) or len(text) > 60:
        return "unknown_time"
    if "," in text and not re.fullmatch(r"[0-9]{1,18},[0-9]+", text):
        return "unknown_time"
    with localcontext() as context:
        context.prec = 200
        value = Decimal(text.replace(",", "."))
        for factor in (10**9, 10**6, 10**3, 1):
            if 10**18 <= value * factor < 2**63 and value >= 10**18 // factor:
                exponent = value.as_tuple().exponent
                if "e" in text.lower() and isinstance(exponent, int) and exponent > 0:
                    return "time_rounded"
                return int((value * factor).to_integral_value(ROUND_FLOOR))
    return "unknown_time"


# ---------------------------------------------------------------- the fast one


def fast(text: str, delimiter: str) -> dict[int, Outcome]:
    block = Block(text.encode(), 0, cut=False)
    channel = SOURCE.channels[0]
    assert SOURCE.begin is not None
    try:
        reader = SOURCE.begin(block, {"symbols": ["BTCUSDT"], "path": "random.csv"}, [channel.name])
    except SidesUnknown:  # nobody can tell the sides of so few rows
        assume(condition=False)
        raise
    dialect = CsvDialect.of(reader.dialect)
    assert dialect.delimiter == delimiter
    assume(dialect.views["trade"].times["timestamp"] == TimeSpec("any"))  # not by chance one of shortest exponents
    batch = reader.read(block)
    scan, decoded = batch.placed, batch.decoded[channel.name]
    assert scan is not None
    found: dict[int, Outcome] = {}
    for line, _, symbol, _, reason, _ in scan.lines.iter_rows():
        found[line] = ("placed", symbol) if reason is None else ("unplaced", reason)
    for row in decoded.rejects.iter_rows(named=True):
        found[row["raw_row"]] = ("reject", row["reason"])
    for row in decoded.rows.iter_rows(named=True):
        symbol = found[row["raw_row"]][1]
        assert row["ts_event"] == row["ts_init"]
        found[row["raw_row"]] = ("row", row["ts_event"], symbol, row["price"], row["size"], row["side"], row["id"])
    lines = text.count("\n") + (not text.endswith("\n"))
    assert lines == sum(scan.by_stream.values()) + scan.connection + scan.blank + scan.unreadable
    return found


def differences(text: str, delimiter: str) -> list[tuple[int, Outcome | None, Outcome]]:
    read = fast(text, delimiter)
    wrong = []
    for line, expected in slow(text, delimiter).items():
        got = read.get(line)
        if expected[0] in {"blank", "header"}:
            same = got is None
        elif expected[0] == "inside":
            same = got is None or got[0] in {"placed", "unplaced"}
        else:
            same = got == expected
        if not same:
            wrong.append((line, got, expected))
    return wrong


# ---------------------------------------------------------------- random files

digits = st.text("0123456789", min_size=1, max_size=30)
plain = st.tuples(digits, st.text("0123456789", max_size=30)).map(
    lambda parts: ".".join(parts) if parts[1] else parts[0]
)
everyday = st.decimals(min_value=0, max_value=10**6, places=2).map(str)
odd_numbers = st.one_of(
    plain,
    st.tuples(st.sampled_from(["", "+", "-"]), plain, st.sampled_from("eE"), st.integers(-40, 40).map(str)).map(
        "".join
    ),
    st.tuples(st.integers(0, 10**9).map(str), st.just(".5"), st.text("0", max_size=25)).map("".join),
    st.sampled_from(
        [
            "",
            ".5",
            "5.",
            "1,5",
            "1 000",
            "nan",
            "NaN",
            "inf",
            "-",
            "--1",
            "1e",
            "1_000",
            "0x10",
            "٣",
            "1.2.3",
            "1e999999999",
            "0e0",
            "-0",
        ]
    ),
)
numbers = st.one_of(everyday, everyday, odd_numbers)
times = st.one_of(
    st.integers(MIDNIGHT_MS, MIDNIGHT_MS + 86_399_999).map(str),
    st.integers(MIDNIGHT_MS, MIDNIGHT_MS + 86_399_999).map(str),
    st.tuples(st.integers(MIDNIGHT_MS, MIDNIGHT_MS + 10**7).map(str), st.just("."), digits).map("".join),
    st.sampled_from(
        [
            "",
            "1704067200",
            "1704067200000000",
            "1.7040672e12",
            "+1704067200000",
            "2024-01-01",
            "time",
            "-1",
            "17040672000001704067200000",
        ]
    ),
    odd_numbers,
)
symbols = st.sampled_from(["BTCUSDT", "BTCUSDT", "ETHUSDT", "币安人生USDT", ""])
sides = st.sampled_from(["buy", "SELL", "Buy", "b", "-1", "1", "unknown", "hold", ""])
ids = st.one_of(
    st.integers(0, 2**70).map(str),
    st.text(st.characters(exclude_characters='\n\r"', exclude_categories=["Cs", "Cc"]), max_size=12),
    st.sampled_from(["", "nan", "0001"]),
)
notes = st.text(st.sampled_from("ab ,;|\t\"\n'é"), max_size=12)
rows = st.tuples(times, notes, symbols, numbers, numbers, sides, ids)
styles = st.sampled_from(["needed", "all", "stray", "padded"])


@st.composite
def lines_of(draw: st.DrawFn, delimiter: str, end: str) -> str:
    kind = draw(st.integers(0, 19))
    if kind == 0:
        return draw(st.text(st.sampled_from('ab1.,;|\t "'), max_size=30)) + end
    if kind == 1:
        return draw(st.sampled_from(["", "  ", delimiter.join(NAMES), delimiter * 6])) + end
    row = list(draw(rows))
    style = draw(styles)
    if kind == 2:
        row = row[: draw(st.integers(1, 6))]
    if kind == 3:
        row += draw(st.lists(st.sampled_from(["", "more", "1"]), min_size=1, max_size=3))
    if style == "stray":
        return delimiter.join(cell.replace("\n", "") for cell in row) + end
    if style == "padded":
        row = [cell if {"\n", '"', delimiter} & set(cell) else f" {cell} " for cell in row]
    made = io.StringIO()
    csv.writer(
        made, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL if style == "all" else csv.QUOTE_MINIMAL
    ).writerow(row)
    return made.getvalue()


@st.composite
def files(draw: st.DrawFn) -> tuple[str, str]:
    delimiter = draw(st.sampled_from(",;\t|"))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    sound = [[str(MIDNIGHT_MS + n), "", "BTCUSDT", "1.5", "2", "buy", str(n)] for n in range(40)]
    head = [delimiter.join(row) + end for row in [list(NAMES), *sound]]
    return "".join(
        [*head, *draw(st.lists(lines_of(delimiter, end), min_size=draw(st.sampled_from([0, 16])), max_size=40))]
    ), delimiter


@pytest.mark.slow
@settings(max_examples=max(EXAMPLES // 3, 1), deadline=None, suppress_health_check=list(HealthCheck))
@given(files())
def test_the_fast_reader_and_a_slow_exact_one_agree_on_every_line(made: tuple[str, str]) -> None:
    try:
        found = differences(*made)
    except OtherHeader:  # a line that begins as a header and goes on as another one ends the file
        reject()
    assert found == []


# ---------------------------------------------------------------- times, by their own

moments = st.datetimes(datetime(1971, 1, 1), datetime(2261, 1, 1))  # noqa: DTZ001 - strftime and strptime know no zone here


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.datetimes(
        min_value=__import__("datetime").datetime(1971, 1, 1), max_value=__import__("datetime").datetime(2261, 1, 1)
    ),
    st.sampled_from(["%Y-%m-%d %H:%M:%S.%f", "%m/%d/%Y %I:%M:%S.%f %p", "%d %B %Y %H:%M:%S.%f", "%y%m%d %H%M%S.%f"]),
)
def test_times_are_what_strptime_makes_of_them(moment: datetime, fmt: str) -> None:
    text = moment.strftime(fmt)
    expected = datetime.strptime(text, fmt).replace(tzinfo=UTC)
    whole = int((expected.replace(microsecond=0)).timestamp()) * 10**9 + expected.microsecond * 1000
    assert ns_of(pl.Series([text]), TimeSpec(format=fmt))[0] == (whole if whole > 0 and expected.year < 2262 else None)


def test_times_that_no_calendar_has_are_none() -> None:
    bad = [
        "2024-02-30",
        "2023-02-29",
        "2024-13-01",
        "2024-01-01 24:00:00",
        "2024-01-01 23:60:00",
        "2024-01-01 23:59:60",
        "1969-12-31",
    ]
    assert ns_of(pl.Series(bad), TimeSpec(format="iso")).null_count() == len(bad)
    assert ns_of(pl.Series(["2024-02-29", "2000-02-29"]), TimeSpec(format="iso")).null_count() == 0


def test_a_cell_is_found_in_its_place_whatever_else_is_in_the_line() -> None:
    block = Block(b'a,"b,c",d\n1,2,3\n', 0)
    assert cells.read(block, 3, ",", [1]).frame[cells.name(1)].to_list() == ["b,c", "2"]


@pytest.mark.parametrize("text", ["0e-22", "0.0000000000000000000e-22", "+.0e9", f"0.{'0' * 60}e-40", "0e999999999"])
def test_nothing_is_nothing_in_however_many_noughts_it_is_written(text: str) -> None:
    assert exact_decimal(text) == "0"
