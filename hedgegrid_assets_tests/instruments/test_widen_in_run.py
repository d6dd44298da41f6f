"""A first file that pins a coarse precision says so, and each way out that it names leads out."""

import json
import re
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest

from hedgegrid_assets import read_frame
from hedgegrid_assets.cli import run
from hedgegrid_assets.instruments import Instrument, read_definitions
from hedgegrid_assets.model import InstrumentDay
from hedgegrid_assets.stages.verdict import read_verdict
from hedgegrid_assets.store import Places
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets_tests.csv_cases import write
from hedgegrid_assets_tests.instruments.test_instrument_import import imported

ID: Final = "BTCUSDT-PERP.BINANCE"
HEADER: Final = "time,symbol,price,amount,side,id\n"
COARSE: Final = HEADER + "2024-01-01 00:00:00,BTCUSDT,47000,1,BUY,1\n"
FINER: Final = HEADER + "2024-01-02 00:00:00,BTCUSDT,47000.12,0.125,BUY,2\n"


def from_csv(folder: Path, text: str, *more: str) -> int:
    path = write(folder, "more.csv", text)
    words = ["--source", "csv", "--symbol", "BTCUSDT", "--market", "usdm", "--data-types", "trades"]
    places = ["--data", str(folder / "data"), "--output", str(folder / "catalog")]
    return run(["replay-to-parquet", *words, "--input", str(path), *places, *more])


def pinned(folder: Path) -> Instrument:
    return read_definitions(folder / "catalog")[ID]


def prices(folder: Path) -> list[Decimal]:
    frame: Any = read_frame(ID, "trades", catalog=folder / "catalog", decimals="exact")
    return list(frame["price"])


def test_a_first_file_says_what_its_precisions_rest_on_and_a_second_run_does_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert from_csv(tmp_path, COARSE) == 0
    err = " ".join(capsys.readouterr().err.split())
    assert "price 0, size 0" in err
    assert "these decimals are inferred from 1 line" in err
    assert from_csv(tmp_path, COARSE) == 0
    assert "these decimals" not in capsys.readouterr().err


def test_the_import_that_the_note_names_takes_the_venues_own_rule(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert from_csv(tmp_path, COARSE) == 0
    told = " ".join(capsys.readouterr().err.split())
    found = re.search(r"`hedgegrid (instruments import FILE)` \(--catalog, where", told)
    assert found
    assert imported(tmp_path, tick="1", step="1") == 0  # writes the document that FILE stands for
    (document,) = [path for path in tmp_path.glob("*.json") if "symbols" in json.loads(path.read_bytes())]
    assert (
        run(
            [str(document) if word == "FILE" else word for word in found[1].split()]
            + ["--catalog", str(tmp_path / "catalog")]
        )
        == 0
    )
    assert pinned(tmp_path).origin == "imported"


def test_a_finer_day_is_refused_and_the_same_command_with_widen_takes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert from_csv(tmp_path, COARSE) == 0
    assert from_csv(tmp_path, FINER) == 1
    assert "`replay-to-parquet --widen` does both" in " ".join(capsys.readouterr().err.split())
    assert from_csv(tmp_path, FINER, "--widen") == 0
    err = capsys.readouterr().err
    assert "1 frame written anew, no digit changed" in err
    definition = pinned(tmp_path)
    assert (definition.price_precision, definition.size_precision) == (2, 3)
    assert prices(tmp_path) == [Decimal(47_000), Decimal("47000.12")]
    assert run(["validate", str(tmp_path / "catalog"), "-q"]) == 0


def test_the_command_of_the_hint_followed_to_the_letter_widens(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert from_csv(tmp_path, COARSE) == 0
    assert from_csv(tmp_path, FINER.replace("0.125", "1")) == 1
    found = re.search(r"run: hedgegrid (instruments widen \S+ --price-precision 2)", capsys.readouterr().err)
    assert found
    assert run([*found[1].split(), "--catalog", str(tmp_path / "catalog")]) == 0
    assert from_csv(tmp_path, FINER.replace("0.125", "1")) == 0
    assert prices(tmp_path) == [Decimal(47_000), Decimal("47000.12")]


def test_the_hint_names_all_precisions_of_all_days_in_one_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each widening writes every day of the instrument anew: one is enough."""
    assert from_csv(tmp_path, COARSE) == 0
    third = "2024-01-03 00:00:00,BTCUSDT,47000.1,0.1250,BUY,3\n2024-01-03 00:00:01,BTCUSDT,47000.1234,1,BUY,4\n"
    days = FINER + "2024-01-02 00:00:01,BTCUSDT,47000.5,1,BUY,9\n" + third
    assert from_csv(tmp_path, days) == 1
    err = capsys.readouterr().err
    assert "price and size are finer than the instrument" in err
    assert "expected at most price 0, size 0 decimals, found price 2, size 3" in err
    (hint,) = re.findall(r"run: hedgegrid (instruments widen \S+(?: --\w+-precision \d+)+)", err)
    assert hint == f"instruments widen {ID} --price-precision 4 --size-precision 3"
    day = InstrumentDay(ID, date(2024, 1, 2))
    verdict = read_verdict(Places.of_catalog(tmp_path / "catalog"), TABLES["trade_tick"], day)
    assert verdict is not None
    assert [rule.numbers for rule in verdict.rules if rule.name == "precision_fits"] == [{"too_fine": 2}], "rows"
    assert run([*hint.split(), "--catalog", str(tmp_path / "catalog")]) == 0
    assert from_csv(tmp_path, days) == 0


def test_a_precision_that_the_settings_say_is_not_widened(tmp_path: Path) -> None:
    config = tmp_path / "said.json"
    config.write_text(json.dumps({"instruments": {"BTCUSDT": {"price_precision": 0, "size_precision": 3}}}))
    assert from_csv(tmp_path, COARSE, "--config", str(config)) == 0
    assert from_csv(tmp_path, FINER, "--config", str(config), "--widen") == 1
    assert pinned(tmp_path).price_precision == 0


def test_the_venues_own_rule_is_not_widened(tmp_path: Path) -> None:
    assert imported(tmp_path, tick="1", step="1") == 0
    assert from_csv(tmp_path, FINER, "--widen") == 1
    assert (pinned(tmp_path).origin, pinned(tmp_path).price_precision) == ("imported", 0)


def test_the_way_out_of_a_precision_that_is_said_too_coarse_leads_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "said.json"
    config.write_text(json.dumps({"instruments": {"BTCUSDT": {"price_precision": 0, "size_precision": 3}}}))
    assert from_csv(tmp_path, COARSE, "--config", str(config)) == 0
    command = ["instruments", "widen", ID, "--price-precision", "2", "--catalog", str(tmp_path / "catalog")]
    assert run(command) == 0
    assert from_csv(tmp_path, FINER, "--config", str(config)) == 1
    assert "write price_precision: 2 where it is said" in " ".join(capsys.readouterr().err.split())
    config.write_text(config.read_text().replace('"price_precision": 0', '"price_precision": 2'))
    assert from_csv(tmp_path, FINER, "--config", str(config)) == 0


@pytest.mark.parametrize("text", ['{"venue": "BINANCE",}', "{'venue': 'BINANCE'}", '{"venue": "BINANCE"'])
def test_json_that_is_broken_is_told_as_such_and_not_read_as_yaml(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "broken.json"
    config.write_text(text)
    assert from_csv(tmp_path, COARSE, "--config", str(config)) == 2
    assert "line 1: expected JSON, " in " ".join(capsys.readouterr().err.split())
