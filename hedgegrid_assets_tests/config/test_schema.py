"""The schema that editors use and the page of all keys say what the models say that check a file."""

import json
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator

from hedgegrid_assets.cli import run
from hedgegrid_assets.config.feeds import Feed, read_feeds
from hedgegrid_assets.config.schema import feeds_schema, shared_keys
from hedgegrid_assets.config.settings import INPUTS, configuration
from hedgegrid_assets.config.yaml_lines import plain_file
from hedgegrid_assets.sources import SOURCES

ROOT: Final = Path(__file__).parents[2]
SCHEMA: Final = feeds_schema()
SOUND: Final[dict[str, Any]] = {
    "source": "csv",
    "venue": "BINANCE",
    "symbols": ["BTCUSDT"],
    "start": "2024-01-01",
    "landing": ["csv/*.csv"],
    "gaps": {"trade_tick": "5m", "mark_price_update": "off"},
    "instruments": {"BTCUSDT": {"price_increment": "0.1", "maker_fee": -0.0001}},
    "outages": [{"start": "2024-01-01T10:00:00Z", "end": "2024-01-01T11:00:00Z", "reason": "maintenance"}],
    "settings": {"sides": {"B": "buy"}, "encoding": "gbk"},
}
BROKEN: Final[tuple[dict[str, Any], ...]] = (
    {"sources": "csv"},
    {"source": "cvs"},
    {"venue": "binance"},
    {"symbols": []},
    {"symbols": "BTCUSDT"},
    {"tables": ["no_such_table"]},
    {"settings": {"exchange": "binance"}},
    {"settings": {"ids": "none"}},
    {"settings": {"sides": {"B": "long"}}},
    {"gaps": {"trade_tick": "5 minutes"}},
    {"gaps": {"funding_rate": "5m"}},
    {"schedule": {"at": "25:00"}},
    {"schedule": {"at": "09:00", "days": 3}},
    {"max_rejected": 1.5},
    {"nautilus": 3},
    {"owners": ["nobody"]},
    {"instruments": {"BTCUSDT": {"price_precision": 17}}},
    {"instruments": {"BTCUSDT": {"price_increment": "1e-3"}}},
    {"backtests": {"Grid": {"config": "x"}}},
    {"name": "other"},
)


def refused(feeds: object) -> list[str]:
    return [error.message for error in Draft202012Validator(SCHEMA).iter_errors({"version": 1, "feeds": feeds})]


def documents() -> list[Path]:
    return [ROOT / "feeds.yaml", *sorted((ROOT / "examples/feeds").glob("*.yaml"))]


def test_the_schema_is_one_and_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert run(["feeds", "schema"]) == 0
    assert json.loads(capsys.readouterr().out) == SCHEMA


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_shipped_feeds_fit_the_schema(path: Path) -> None:
    tree, _ = plain_file(path)
    assert list(Draft202012Validator(SCHEMA).iter_errors(tree)) == []


def test_a_feed_with_all_kinds_of_values_is_sound_for_both(tmp_path: Path) -> None:
    assert refused({"mine": SOUND}) == []
    assert problems(tmp_path, SOUND) == ()


@pytest.mark.parametrize("broken", BROKEN, ids=str)
def test_what_the_check_refuses_in_one_key_an_editor_refuses(tmp_path: Path, broken: dict[str, Any]) -> None:
    assert refused({"mine": SOUND | broken})
    assert problems(tmp_path, SOUND | broken)


def problems(folder: Path, feed: object) -> object:
    (folder / "feeds.yaml").write_text(json.dumps({"version": 1, "feeds": {"mine": feed}}))
    return read_feeds(folder / "feeds.yaml").problems


def made() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "scripts/configuration.py"))


def test_the_page_of_all_keys_is_what_the_models_give() -> None:
    assert (ROOT / "docs/configuration.md").read_text() == made()["page"](), "run `make docs`"


def test_every_key_that_the_models_take_is_on_the_page_with_its_meaning() -> None:
    keys = list(made()["keys"]())
    of_part: dict[str, set[str]] = {}
    for part, name, _ in keys:
        of_part.setdefault(part, set()).add(name)
    assert of_part["Feed"] == set(Feed.model_fields) - {"name"}
    for source in SOURCES:
        assert of_part["Settings"] | of_part["Shared"] >= set(configuration(source).model_fields) - {INPUTS}
    lacking = [(part, name) for part, name, key in keys if not key.get("description") and "$ref" not in key]
    assert lacking == []


def examples() -> Iterator[tuple[str, str, Any, dict[str, Any]]]:
    values = made()["EXAMPLES"]
    return ((part, name, values[part][name], schema) for part, name, schema in made()["keys"]())


def test_every_example_of_the_page_may_stand_there() -> None:
    parts = {"$defs": SCHEMA["$defs"] | {"GapsByTable": {"type": "object"}}}
    wrong = [
        (part, name)
        for part, name, value, schema in examples()
        if not Draft202012Validator(schema | parts).is_valid(value)
    ]
    assert wrong == []
    assert configuration("csv").model_validate(made()["EXAMPLES"]["Shared"])
    assert set(shared_keys()["properties"]) == set(made()["EXAMPLES"]["Shared"])
