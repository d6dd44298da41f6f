"""The size of modules, and what a package of them shows."""

from pathlib import Path
from typing import Final

import hedgegrid_assets
from hedgegrid_assets import errors
from hedgegrid_assets.errors import HedgegridError

ROOT: Final = Path(hedgegrid_assets.__file__).parent
MOST_LINES: Final = 500


def test_no_module_is_longer_than_five_hundred_lines() -> None:
    lines = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in ROOT.rglob("*.py")
    }
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


def test_each_error_stands_in_the_tree_of_errors() -> None:
    known = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, HedgegridError)]
    tree = errors.__doc__ or ""
    assert [error.__name__ for error in known if error.__name__ not in tree] == []
