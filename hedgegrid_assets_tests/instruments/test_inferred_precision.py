"""Where inferred decimals come from: prices from trades, marks from marks, in any order, never from no row or from floats."""

import asyncio
import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import permutations
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedgegrid_assets import RunSummary, run_pipeline, validate_catalog
from hedgegrid_assets.errors import LooksLikeFloats
from hedgegrid_assets.instruments import Instrument, read_definitions
from hedgegrid_assets.sources.formats.decimals import most_decimals
from hedgegrid_assets.stages.frames import read_blocks
from hedgegrid_assets.store import Places
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets_tests.scenario import agg_trade, mark_price
from hedgegrid_assets_tests.yard import DAY

MS = 1_704_067_200_000
BTC = "BTCUSDT-PERP.BINANCE"


def converted(
    folder: Path, name: str, lines: Iterable[str], *types: str, source: str = "websocket", **said: Any
) -> RunSummary:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEDGEGRID_DATA", str(folder / "data"))
        path = folder / name
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines))
        config = {"files": {token: {"file_path": str(path)} for token in types}} | said
        return asyncio.run(
            run_pipeline(source, "BTCUSDT", output_path=folder / "catalog", data_types=types, source_config=config)
        )


def defined(folder: Path) -> Instrument:
    return read_definitions(folder / "catalog")[BTC]


def precisions(folder: Path) -> tuple[int, int, int]:
    found = defined(folder)
    return found.price_precision, found.size_precision, found.mark_precision


def prices(folder: Path) -> list[Decimal]:
    places = Places(folder / "data", folder / "catalog")
    frames = list(read_blocks(places.frame(BTC, "trade_tick", DAY), TABLES["trade_tick"]))
    return pl.concat(frames)["price"].to_list()


def trades(*prices: str, day: int = 0, first: int = 1) -> list[str]:
    start = MS + day * 86_400_000
    return [json.dumps(agg_trade(first + n, start + n, p=price, q="0.001")) for n, price in enumerate(prices)]


def marks(price: str, day: int = 0) -> list[str]:
    start = MS + day * 86_400_000
    return [json.dumps(mark_price(start + 1000 * n, p=price, i=price)) for n in range(3)]


def csv_rows(values: Sequence[str], column: str = "price") -> list[str]:
    def row(number: int, value: str) -> str:
        cells = {"price": "282.83", "size": "0.5", column: value}
        return f"{MS + number},{cells['price']},{cells['size']},buy,{number + 1}"

    return ["time,price,size,side,id", *(row(number, value) for number, value in enumerate(values))]


# ---------------------------------------------------------------- who decides


@pytest.mark.parametrize("order", list(permutations(("trades", "mark"))))
def test_prices_are_as_fine_as_trades_and_marks_as_marks_in_any_order_of_imports(
    order: tuple[str, ...], tmp_path: Path
) -> None:
    lines = {"trades": trades("42000.10", "42000.25"), "mark": marks("42000.1234")}
    for number, token in enumerate(order):
        assert converted(tmp_path, f"{number}.jsonl", lines[token], token).ok
    assert precisions(tmp_path) == (2, 3, 4)
    assert (defined(tmp_path).price_increment, defined(tmp_path).size_increment) == ("0.01", "0.001")
    report = validate_catalog(tmp_path / "catalog")
    assert report.ok
    again = converted(tmp_path, "0.jsonl", lines[order[0]], order[0])
    assert [day.skipped for day in again.days] == [True]


def test_what_a_stored_row_has_decided_stays(tmp_path: Path) -> None:
    assert converted(tmp_path, "a.jsonl", trades("42000.10"), "trades").ok
    finer = converted(tmp_path, "b.jsonl", trades("42000.125", day=1, first=10), "trades")
    assert "expected at most 1 decimals, found 3" in str(finer.days[-1].error)
    assert precisions(tmp_path)[0] == 1


def test_a_run_without_a_good_row_pins_nothing_and_the_corrected_file_goes_in(tmp_path: Path) -> None:
    broken = [line[:-1] for line in trades("42000.10", "42000.25", *["42000.5"] * 10)]
    failed = converted(tmp_path, "a.jsonl", broken, "trades")
    assert not failed.ok
    assert read_definitions(tmp_path / "catalog") == {}
    assert not any(note.startswith("instrument ") for note in failed.notes)
    assert converted(tmp_path, "a.jsonl", trades("42000.10", "42000.25"), "trades").ok
    assert precisions(tmp_path) == (2, 3, 8)
    assert prices(tmp_path) == [Decimal("42000.10"), Decimal("42000.25")]


def test_decimals_of_rows_that_were_all_rejected_do_not_bind(tmp_path: Path) -> None:
    sideless = [json.dumps({k: v for k, v in json.loads(line).items() if k != "m"}) for line in trades("1.5", "2.5")]
    assert not converted(tmp_path, "a.jsonl", sideless, "trades").ok
    assert converted(tmp_path, "a.jsonl", trades("42000.125"), "trades").ok
    assert precisions(tmp_path)[0] == 3


def test_a_precision_that_is_said_goes_before_one_that_no_row_has_decided(tmp_path: Path) -> None:
    assert converted(tmp_path, "a.jsonl", marks("42000.12345678"), "mark").ok
    assert converted(
        tmp_path, "b.jsonl", trades("42000.10"), "trades", instruments={"BTCUSDT": {"price_precision": 4}}
    ).ok
    assert precisions(tmp_path)[0] == 4
    with pytest.raises(Exception, match="is pinned with decimals"):
        converted(tmp_path, "b.jsonl", trades("42000.10"), "trades", instruments={"BTCUSDT": {"price_precision": 5}})


# ---------------------------------------------------------------- binary floats


@pytest.mark.parametrize(
    ("column", "value"),
    [("price", "282.83500000000004"), ("price", "282.8349999999999"), ("size", "0.1500000000000002")],
)
def test_a_file_of_floats_is_refused_with_the_value_and_its_line(column: str, value: str, tmp_path: Path) -> None:
    usual = ["282.83", "282.84"] if column == "price" else ["0.1", "0.15"]
    with pytest.raises(LooksLikeFloats) as raised:
        converted(tmp_path, "a.csv", csv_rows([*usual, value, usual[0]], column), "trades", source="csv")
    assert f"the {column}s of BTCUSDT look like binary floats" in raised.value.message
    assert f"1 of 4 with 15 digits or more, such as {value} (" in raised.value.message
    assert "a.csv, line 4)" in raised.value.message
    assert f'{{"instruments": {{"BTCUSDT": {{"{column}_precision": 2}}}}}}' in raised.value.hint
    assert read_definitions(tmp_path / "catalog") == {}
    done = converted(
        tmp_path,
        "a.csv",
        csv_rows([*usual, value, usual[0]], column),
        "trades",
        source="csv",
        instruments={"BTCUSDT": {f"{column}_precision": 2}},
    )
    assert done.ok
    assert done.days[0].rejects_by_reason == {"too_fine": 1}
    assert any(f"such as {value}" in note and "too_fine" in note for note in done.notes)


def test_a_file_of_nothing_but_floats_makes_no_tick_either(tmp_path: Path) -> None:
    values = ["282.83500000000004", "282.8340000000001", "282.83600000000003"]
    with pytest.raises(LooksLikeFloats, match="3 of 3"):
        converted(tmp_path, "a.csv", csv_rows(values), "trades", source="csv")


def test_a_few_floats_among_many_are_rejected_by_name_and_make_no_tick(tmp_path: Path) -> None:
    values = ["282.83", "282.85"] * 200
    values[100] = "282.83500000000004"
    done = converted(tmp_path, "a.csv", csv_rows(values), "trades", source="csv")
    assert done.ok
    assert (done.rows, done.days[0].rejects_by_reason) == (399, {"too_fine": 1})
    assert precisions(tmp_path)[0] == 2
    note = next(note for note in done.notes if "binary float" in note)
    assert "282.83500000000004 (" in note
    assert "a.csv, line 102)" in note
    assert f"hedgegrid instruments widen {BTC} --price-precision 14" in note
    kept = pl.read_parquet(next((tmp_path / "catalog").rglob("trade_tick.rejects/*.parquet")))
    assert kept.select("line", "reason", "field", "value").rows() == [(102, "too_fine", "price", "282.83500000000004")]


def test_a_few_numbers_that_make_the_tick_far_finer_are_told_by_name(tmp_path: Path) -> None:
    values = ["282.83", "282.85"] * 200
    values[100] = "282.834567"
    done = converted(tmp_path, "a.csv", csv_rows(values), "trades", source="csv")
    assert (done.ok, done.rows, precisions(tmp_path)[0]) == (True, 400, 6)
    note = next(note for note in done.notes if "282.834567" in note)
    assert "price: 1 of 400 numbers have more than 2 decimals" in note


def test_fine_numbers_that_are_usual_are_not_told(tmp_path: Path) -> None:
    values = ["0.123456", "0.1234", "0.12"] * 200
    done = converted(tmp_path, "a.csv", csv_rows(values), "trades", source="csv")
    assert not [note for note in done.notes if "more than" in note]


def test_marks_keep_every_digit_whatever_they_look_like(tmp_path: Path) -> None:
    done = converted(tmp_path, "a.jsonl", [*marks("42000.12"), *marks("42000.12345678901", day=1)], "mark")
    assert done.ok
    assert precisions(tmp_path)[2] == 11


@pytest.mark.parametrize(
    "values", [("104523.12345678", "1.5"), ("1234567.12345678", "1234567.1234567"), ("0.00001234",)]
)
def test_long_numbers_that_venues_write_are_no_floats(values: tuple[str, ...], tmp_path: Path) -> None:
    assert converted(tmp_path, "a.csv", csv_rows(values), "trades", source="csv").ok
    assert precisions(tmp_path)[0] == max(len(value.partition(".")[2]) for value in values)


@given(st.lists(st.decimals("0.0001", "99999999", places=9).map(lambda number: f"{number:f}"), min_size=1))
def test_decimals_are_counted_as_an_exact_reader_counts_them(texts: list[str]) -> None:
    seen = most_decimals(pl.Series(texts), pl.Series(range(len(texts))))
    fine = [len(text.rstrip("0").partition(".")[2]) for text in texts]
    long = [
        len(text.rstrip("0").lstrip("0.").replace(".", "")) >= 15 and n > 0 for text, n in zip(texts, fine, strict=True)
    ]
    assert (seen.written, seen.needed, seen.long) == (9, max(fine), sum(long))
    assert seen.short == max((n for n, is_long in zip(fine, long, strict=True) if not is_long), default=0)
    if any(long):
        assert seen.line is not None
        assert texts[seen.line] == seen.example
