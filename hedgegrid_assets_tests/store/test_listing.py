"""Days are listed, and the roots named, in one place each."""

import re
from datetime import date
from pathlib import Path

import hedgegrid_assets
from hedgegrid_assets.store import Places, list_days, stored

PACKAGE = Path(hedgegrid_assets.__file__).parent
DOORS = {
    "cli/backup.py",
    "cli/doctor.py",
    "cli/look.py",
    "cli/operate.py",
    "config/roots.py",
    "inspect/validation/__init__.py",
    "pipeline/request.py",
}
"""Where both roots are said."""


def modules_with(pattern: str) -> set[str]:
    """Modules outside the store whose text has it."""
    found = (path for path in PACKAGE.rglob("*.py") if re.search(pattern, path.read_text(encoding="utf-8")))
    names = {path.relative_to(PACKAGE).as_posix() for path in found}
    return {name for name in names if not name.startswith("store/")}


def test_days_are_those_that_files_are_named_after(tmp_path: Path) -> None:
    for name in (
        "2024-01-02.json",
        "2024-01-01.json",
        "2024-13-01.json",
        "abcd-ef-gh.json",
        "2024-01-03.parquet",
        "x.json",
    ):
        (tmp_path / name).touch()
    assert list_days(stored(tmp_path), ".json") == [date(2024, 1, 1), date(2024, 1, 2)]
    assert list_days(stored(tmp_path), ".parquet") == [date(2024, 1, 3)]
    assert list_days(stored(tmp_path / "none"), ".json") == []


def test_each_kind_of_day_is_listed_where_it_is_written(tmp_path: Path) -> None:
    places = Places(tmp_path / "data", tmp_path / "catalog")
    day = date(2024, 1, 1)
    kinds = {
        places.raw_manifest("f", "trade", "BTC/USDT", day): lambda: places.raw_days("f", "trade", "BTC/USDT"),
        places.frame("BTC/USDT.X", "trade_tick", day): lambda: places.frame_days("BTC/USDT.X", "trade_tick"),
        places.verdict("BTC/USDT.X", "trade_tick", day): lambda: places.judged_days("BTC/USDT.X", "trade_tick"),
        places.rejects("BTC/USDT.X", "trade_tick", day): lambda: places.reject_days("BTC/USDT.X", "trade_tick"),
    }
    for path, listed in kinds.items():
        assert listed() == []
        path.local().parent.mkdir(parents=True)
        path.local().touch()
        assert listed() == [day]


def test_no_module_lists_days_by_itself() -> None:
    assert modules_with(r"\?\?\?\?-\?\?-\?\?") == set()


def test_roots_are_named_at_the_doors_and_a_catalog_alone_in_one_way() -> None:
    assert modules_with(r"(?<!class )\bPlaces\(") == DOORS
