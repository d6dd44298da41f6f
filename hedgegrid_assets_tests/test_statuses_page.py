"""The page of statuses and rules says what the rules say, and names every one of them."""

import runpy
from pathlib import Path
from typing import Final

from hedgegrid_assets.model import Status
from hedgegrid_assets.model.days import Cause
from hedgegrid_assets.tables import RULES, TABLES

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs/statuses.md"


def test_the_page_is_what_the_rules_give() -> None:
    made = runpy.run_path(str(ROOT / "scripts/statuses.py"))
    assert PAGE.read_text() == made["page"](), "run `make docs`"


def test_each_status_rule_cause_and_table_is_named() -> None:
    page = PAGE.read_text()
    assert [name for name in (*Status, *Cause, *RULES) if f"| `{name}` |" not in page] == []
    assert [name for name in TABLES if not name.startswith("bar_") and name not in page] == []


def test_each_wording_of_a_rule_is_on_the_page() -> None:
    page = PAGE.read_text()
    wordings = {rule.description for table in TABLES.values() for rule in table.rules}
    assert [words for words in wordings if f"| {words} |" not in page] == []
