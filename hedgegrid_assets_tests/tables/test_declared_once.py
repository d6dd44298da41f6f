"""Tables and rules are named where they are declared: elsewhere one reads off them what there is."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import hedgegrid_assets
from hedgegrid_assets.model import Cause
from hedgegrid_assets.tables import RULES, TABLES, TOKENS

ROOT: Final = Path(hedgegrid_assets.__file__).parent
OF_THEIR_OWN: Final = ("tables", "sources", "backtest", "housekeeping/legacy")
"""Tables declare; sources say what gives which of them; a backtest says which of them it can play, and the earlier
pipeline's tree has those that it had.
"""


def modules(*but: str) -> Iterator[Path]:
    """The files of the package, some folders left out."""
    for path in sorted(ROOT.rglob("*")):
        left_out = tuple(f"{folder}/" for folder in but)
        if path.suffix in {".py", ".html"} and not path.relative_to(ROOT).as_posix().startswith(left_out):
            yield path


def named(names: Iterator[str] | list[str], *but: str) -> list[str]:
    """``module: name`` of what stands in quotes in some module, or as a key of an object."""
    quoted = re.compile("|".join(rf"""["']{name}["']|[{{,]\s*{name}:""" for name in names))
    return [
        f"{path.relative_to(ROOT)}: {found}"
        for path in modules(*but)
        for found in quoted.findall(path.read_text(encoding="utf-8"))
    ]


def test_rules_are_named_only_where_they_are_declared() -> None:
    assert named(list(RULES), "tables") == []


def test_tables_are_named_only_by_what_is_about_one_of_them() -> None:
    assert named(list(TABLES), *OF_THEIR_OWN) == []


def test_no_text_lists_the_data_types_by_itself() -> None:
    listed = re.compile(", ?".join(list(TOKENS)[:3]))
    found = [path for path in modules(*OF_THEIR_OWN) if listed.search(path.read_text(encoding="utf-8"))]
    assert [path.name for path in found] == []


def test_only_the_enumeration_knows_which_causes_are_losses() -> None:
    quoted = re.compile(rf"""["']{Cause.EXCLUDED_ROWS}["']""")
    found = [path.relative_to(ROOT) for path in modules() if quoted.search(path.read_text(encoding="utf-8"))]
    assert found == [Path("model/days.py")]
