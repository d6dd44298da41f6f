"""Rows of the guide about CSV files."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
from nautilus_trader.model.enums import AggressorSide

from hedgegrid_assets.cli import run
from hedgegrid_assets_tests.guide.home import CSV, catalog, from_csv, places, trades

MIDNIGHT_NS = 1_704_067_200_000_000_000
ROWS = ["2024-01-01 00:00:00,42500.50,0.025,BUY,1001", "2024-01-01 00:00:01,42501.00,0.100,SELL,1002"]


def with_header(*names: str) -> str:
    return "\n".join([",".join(names), *ROWS]) + "\n"


def test_row_006_csv_is_a_source(tmp_path: Path) -> None:
    assert from_csv(tmp_path, CSV) == 0


def test_row_038_the_shipped_config_works_with_all_its_parts(tmp_path: Path) -> None:
    assert run(["init", str(tmp_path)]) == 0
    config = json.loads((tmp_path / "examples/data_configs/csv_source_config.json").read_text())
    assert {"trades", "mark", "funding"} <= set(config["files"])


def test_row_039_the_example_gives_two_rows(tmp_path: Path) -> None:
    assert from_csv(tmp_path, CSV) == 0
    assert len(trades(tmp_path)) == 2


def test_row_040_a_naive_time_is_utc(tmp_path: Path) -> None:
    assert from_csv(tmp_path, CSV) == 0
    assert trades(tmp_path)[0].ts_event == MIDNIGHT_NS


def test_row_041_rows_of_other_symbols_are_counted_and_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert from_csv(tmp_path, CSV + "2024-01-01 00:00:02,ETHUSDT,2300,1,BUY,1003\n", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["counts"]["placed"], told["counts"]["other"]) == (2, 1)


@pytest.mark.parametrize(("buy", "sell"), [("BUY", "SELL"), ("buy", "sell"), ("Buy", "Sell")])
def test_row_042_sides_in_any_case(buy: str, sell: str, tmp_path: Path) -> None:
    assert from_csv(tmp_path, CSV.replace("BUY", buy).replace("SELL", sell)) == 0
    assert [each.aggressor_side for each in trades(tmp_path)] == [AggressorSide.BUYER, AggressorSide.SELLER]


def test_row_043_ids_stay_text(tmp_path: Path) -> None:
    assert from_csv(tmp_path, CSV.replace(",1001", ",0001001")) == 0
    assert [str(each.trade_id) for each in trades(tmp_path)] == ["0001001", "1002"]


def test_row_044_prices_and_sizes_are_exact(tmp_path: Path) -> None:
    assert from_csv(tmp_path, CSV) == 0
    first = trades(tmp_path)[0]
    assert (first.price.as_decimal(), first.size.as_decimal()) == (Decimal("42500.5"), Decimal("0.025"))


@pytest.mark.parametrize("name", ["time", "datetime", "date", "timestamp"])
def test_row_045_names_of_the_time(name: str, tmp_path: Path) -> None:
    assert from_csv(tmp_path, with_header(name, "price", "size", "side", "id")) == 0
    assert len(trades(tmp_path)) == 2


@pytest.mark.parametrize("name", ["price", "close", "last"])
def test_row_046_names_of_the_price(name: str, tmp_path: Path) -> None:
    assert from_csv(tmp_path, with_header("time", name, "size", "side", "id")) == 0
    assert len(trades(tmp_path)) == 2


@pytest.mark.parametrize("name", ["size", "volume", "quantity", "amount", "qty"])
def test_row_047_names_of_the_size(name: str, tmp_path: Path) -> None:
    assert from_csv(tmp_path, with_header("time", "price", name, "side", "id")) == 0
    assert len(trades(tmp_path)) == 2


@pytest.mark.parametrize("name", ["side", "aggressor_side", "taker_side"])
def test_row_048_names_of_the_side(name: str, tmp_path: Path) -> None:
    assert from_csv(tmp_path, with_header("time", "price", "size", name, "id")) == 0
    assert len(trades(tmp_path)) == 2


@pytest.mark.parametrize("name", ["trade_id", "id", "tid"])
def test_row_049_names_of_the_id(name: str, tmp_path: Path) -> None:
    assert from_csv(tmp_path, with_header("time", "price", "size", "side", name)) == 0
    assert len(trades(tmp_path)) == 2


def test_row_050_names_are_found_in_any_case(tmp_path: Path) -> None:
    assert from_csv(tmp_path, with_header("TIMESTAMP", "Price", "SIZE", "Side", "ID")) == 0
    assert len(trades(tmp_path)) == 2


def test_row_051_a_mapping_goes_before_what_is_found(tmp_path: Path) -> None:
    mine = ("my_time_column", "my_price_column", "my_size_column", "my_side_column", "my_id_column")
    columns = dict(zip(("timestamp", "price", "size", "aggressor_side", "trade_id"), mine, strict=True))
    assert from_csv(tmp_path, with_header(*mine), columns=columns) == 0
    assert len(trades(tmp_path)) == 2


def test_row_052_a_file_that_is_not_there_is_named_in_full(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert from_csv(tmp_path, CSV, file_path=str(tmp_path / "absent.csv")) != 0
    assert str(tmp_path / "absent.csv") in capsys.readouterr().err


def test_row_053_a_column_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert from_csv(tmp_path, CSV, columns={"price": "my_price_column"}) != 0
    assert "my_price_column" in capsys.readouterr().err


def test_row_093_missing_columns_are_told_with_those_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert from_csv(tmp_path, with_header("time", "worth", "size", "side", "id")) != 0
    told = capsys.readouterr().err
    assert "Missing required columns" in told
    assert "worth" in told


def test_row_094_the_hint_followed_to_the_letter_is_the_way_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files/t.csv").write_text(with_header("when", "worth", "size", "side", "id"))
    config = tmp_path / "mine.json"
    given = {"base_path": str(tmp_path / "files"), "files": {"trades": {"file_path": "t.csv"}}}
    config.write_text(json.dumps(given))
    words = ["--source", "csv", "--symbol", "BTCUSDT", "--market", "usdm", "--config", str(config), *places(tmp_path)]
    assert run(["replay-to-parquet", *words]) != 0
    told = capsys.readouterr().err
    hint = told[told.index('{"files"') : told.rindex("}") + 1].replace("\n", "")
    for column, mine in (("timestamp", "when"), ("price", "worth")):
        hint = hint.replace(f"<your column for {column}>", mine)
    config.write_text(hint)
    assert run(["replay-to-parquet", *words]) == 0
    assert len(trades(tmp_path)) == 2


def test_row_095_a_time_that_cannot_be_read_is_told_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert from_csv(tmp_path, CSV.replace("2024-01-01 ", "01.Janvier.2024 ")) != 0
    told = capsys.readouterr().err
    assert "Timestamp parsing failed" in told
    assert "01.Janvier.2024" in told


def test_row_096_a_format_of_times_may_be_said(tmp_path: Path) -> None:
    text = CSV.replace("2024-01-01 00:00:00", "2024-01-01 00:00:00.250").replace("00:00:01,", "00:00:01.500,")
    assert from_csv(tmp_path, text, timestamp_format="%Y-%m-%d %H:%M:%S.%f") == 0
    assert trades(tmp_path)[0].ts_event == MIDNIGHT_NS + 250_000_000


@pytest.mark.parametrize("first", ["2024-01-01T00:00:00Z", "01/01/2024 00:00:00"])
def test_row_097_iso_and_american_dates(first: str, tmp_path: Path) -> None:
    second = first.replace("00:00:00", "00:00:01")
    text = CSV.replace("2024-01-01 00:00:00", first).replace("2024-01-01 00:00:01", second)
    said = {"timestamp_format": "%m/%d/%Y %H:%M:%S"} if "/" in first else {}
    assert from_csv(tmp_path, text, **said) == 0
    assert trades(tmp_path)[0].ts_event == MIDNIGHT_NS


@pytest.mark.parametrize("digits", [10, 13, 16, 19])
def test_row_098_numbers_are_seconds_to_nanoseconds(digits: int, tmp_path: Path) -> None:
    first, second = ("17040672" + end + "0" * (digits - 10) for end in ("00", "01"))
    text = CSV.replace("2024-01-01 00:00:00", first).replace("2024-01-01 00:00:01", second)
    assert from_csv(tmp_path, text) == 0
    assert [each.ts_event for each in trades(tmp_path)] == [MIDNIGHT_NS, MIDNIGHT_NS + 10**9]


def test_row_031_the_catalog_is_made_with_its_folders(tmp_path: Path) -> None:
    assert from_csv(tmp_path, CSV, "--output", str(tmp_path / "a/new/place")) == 0
    assert (tmp_path / "a/new/place/data/trade_tick").is_dir()
    assert from_csv(tmp_path, CSV) == 0
    assert len(catalog(tmp_path).instruments()) == 1
