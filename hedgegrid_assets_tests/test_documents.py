"""What README and docs name is there: commands, and the files that they link to."""

import re
from pathlib import Path
from typing import Final

import pytest

from hedgegrid_assets.cli import app

ROOT: Final = Path(__file__).parents[1]
PAGES: Final = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "examples/guide/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
_LINK: Final = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
_COMMAND: Final = re.compile(r"(?:`|^|; )hedgegrid ([a-z][a-z-]+)(?: ([a-z][a-z-]+)(?![\w/.-]))?", re.MULTILINE)


def commands() -> set[str]:
    """All of them, those of a group behind its name."""
    groups = {group.name or "": group.typer_instance for group in app.registered_groups if group.typer_instance}
    below = {f"{name} {each.name}" for name, group in groups.items() for each in group.registered_commands}
    return {each.name or "" for each in app.registered_commands} | set(groups) | below


def is_command(name: str, word: str) -> bool:
    known = commands()
    in_group = any(each.startswith(f"{name} ") for each in known)
    return f"{name} {word}" in known if word and in_group else name in known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_command_that_a_page_names_is_one(page: Path) -> None:
    named = set(_COMMAND.findall(page.read_text()))
    assert [words for words in sorted(named) if not is_command(*words)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_file_that_a_page_links_to_is_there(page: Path) -> None:
    linked = _LINK.findall(page.read_text())
    assert [name for name in linked if not (page.parent / name).exists()] == []
