"""Rows of the guide about captured messages."""

import gzip
import json
from pathlib import Path

import pandas as pd
import pytest
from nautilus_trader.model.data import MarkPriceUpdate
from nautilus_trader.model.enums import AggressorSide

from hedgegrid_assets.cli import run
from hedgegrid_assets_tests.guide.home import ID, MESSAGE, catalog, from_messages, places, trades

MIDNIGHT_MS = 1_704_067_200_000


def mark(second: int) -> str:
    at = MIDNIGHT_MS + second * 1_000
    return (
        f'{{"stream":"btcusdt@markPrice@1s","data":{{"e":"markPriceUpdate","E":{at},"s":"BTCUSDT","p":"42500.12345678",'
        f'"i":"42500.5","P":"42500.5","r":"0.00010000","T":{MIDNIGHT_MS + 28_800_000}}}}}\n'
    )


def bare() -> str:
    return json.dumps(json.loads(MESSAGE)["data"]) + "\n"


def test_row_002_every_message_is_a_trade(tmp_path: Path) -> None:
    assert from_messages(tmp_path, "".join(MESSAGE.replace('"a":123', f'"a":{n}') for n in range(100))) == 0
    assert len(trades(tmp_path)) == 100


def test_row_003_mark_prices_come_each_second(tmp_path: Path) -> None:
    assert from_messages(tmp_path, "".join(map(mark, range(60))), "--data-types", "mark") == 0
    times = pd.Series([each.ts_event for each in catalog(tmp_path).query(MarkPriceUpdate, identifiers=[ID])])
    assert times.diff().median() == 10**9


def test_row_007_messages_are_a_source(tmp_path: Path) -> None:
    assert from_messages(tmp_path, MESSAGE) == 0


def test_row_030_dates_that_cannot_be_end_with_2(tmp_path: Path) -> None:
    for days in (["--start", "2024-13-01"], ["--start", "2024-01-02", "--end", "2024-01-01"]):
        assert from_messages(tmp_path, MESSAGE, *days) == 2


def test_row_032_a_list_of_types_with_blanks_and_an_unknown_one(tmp_path: Path) -> None:
    assert from_messages(tmp_path, mark(1) + bare(), "--data-types", "trades, mark ,funding") == 0
    assert from_messages(tmp_path, MESSAGE, "--data-types", "trades,candles") == 2


def test_row_056_the_shipped_config_has_three_parts(tmp_path: Path) -> None:
    assert run(["init", str(tmp_path)]) == 0
    config = json.loads((tmp_path / "examples/data_configs/websocket_source_config.json").read_text())
    assert set(config["files"]) == {"trades", "mark", "funding"}


def test_row_057_wrapped_and_bare_messages_alike(tmp_path: Path) -> None:
    assert from_messages(tmp_path, MESSAGE + bare().replace("123", "124", 1)) == 0
    assert len(trades(tmp_path)) == 2


def test_row_058_the_maker_says_the_side_and_without_it_there_is_no_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [MESSAGE.replace('"a":123', f'"a":{number}') for number in range(1_500)]
    lines[1] = lines[1].replace("true", "false")
    lines[2] = lines[2].replace(',"m":true', "")
    assert from_messages(tmp_path, "".join(lines), "--json") == 0
    assert json.loads(capsys.readouterr().out)["days"][0]["rejects_by_reason"] == {"missing_side": 1}
    assert [each.aggressor_side for each in trades(tmp_path)[:2]] == [AggressorSide.SELLER, AggressorSide.BUYER]


def test_row_059_t_is_the_exchanges_time(tmp_path: Path) -> None:
    assert from_messages(tmp_path, MESSAGE.replace('"E":1640995200000', '"E":1640995200500')) == 0
    assert trades(tmp_path)[0].ts_event == 1_640_995_200_000_000_000


def test_row_060_id_price_and_size_are_the_text_of_the_message(tmp_path: Path) -> None:
    assert from_messages(tmp_path, MESSAGE) == 0
    (only,) = trades(tmp_path)
    assert (str(only.trade_id), float(only.price), str(only.size)) == ("123", 47000.0, "0.001")


def test_row_061_a_row_is_traced_to_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert from_messages(tmp_path, MESSAGE) == 0
    capsys.readouterr()
    words = ["trace", ID, "trades", "123"]
    assert run([*words, "--catalog", str(tmp_path / "catalog"), "--data", str(tmp_path / "data")]) == 0
    assert "messages.jsonl" in capsys.readouterr().out


def test_row_062_a_bad_line_is_listed_with_its_number_and_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = "".join(MESSAGE.replace('"a":123', f'"a":{number}') for number in range(1_500))
    assert from_messages(tmp_path, good + MESSAGE.replace("47000.00", "dear")) == 0
    capsys.readouterr()
    assert run(["rejects", "list", str(tmp_path / "catalog"), "--data", str(tmp_path / "data"), "--json"]) == 0
    told = capsys.readouterr().out
    assert "1501" in told
    assert "bad_decimal" in told


def test_row_063_files_may_be_packed(tmp_path: Path) -> None:
    """That memory stays bounded is measured by the benchmarks."""
    file = tmp_path / "messages.jsonl.gz"
    file.write_bytes(gzip.compress(MESSAGE.encode()))
    words = ["--source", "websocket", "--symbol", "BTCUSDT", "--input", str(file)]
    assert run(["replay-to-parquet", *words, *places(tmp_path)]) == 0


def test_row_028_an_unknown_source_is_told_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["replay-to-parquet", "--source", "webocket", "--symbol", "BTCUSDT"]) == 2
    told = capsys.readouterr().err
    assert all(name in told for name in ("tardis", "csv", "websocket"))
