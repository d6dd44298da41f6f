"""Code blocks of README, docs and examples: where they are, which are run, and by whom."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hedgegrid_assets.cli import run

ROOT: Final = Path(__file__).parents[1]
PAGES: Final = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CONTEXT.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
    ROOT / "benchmarks/README.md",
    ROOT / "findings/README.md",
]
RUN_BY: Final[Mapping[str, str]] = {
    "README.md": "guide/test_machine.py",
    "docs/nautilus-2.md": "guide/test_nautilus2.py",
    "docs/operations.md": "test_pages.py",
    "docs/reading.md": "test_reading_page.py",
    "docs/recording.md": "test_recording_page.py",
    "docs/scale.md": "test_pages.py",
    "examples/guide/README.md": "guide/test_folder.py",
}
"""Page -> the test that runs all of its blocks but those marked ``no-run``, by ``runnable``."""
LANGUAGES: Final = {"bash", "python", "yaml"}
PICTURE: Final = "text"
"""What is shown, and is no code."""

_FENCE: Final = re.compile(r"^```([^\s`]*)(?: ([^\n]*))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_NO_RUN: Final = re.compile(r"no-run: (\S.+)")


@dataclass(frozen=True, slots=True)
class Block:
    """One of them. ``no_run``: why it is not run, as said behind its language; ``info``: all that is said there."""

    page: str
    line: int
    language: str
    info: str
    text: str

    @property
    def no_run(self) -> str:
        """Empty: it is run."""
        found = _NO_RUN.fullmatch(self.info)
        return found[1] if found else ""


def blocks(page: Path) -> list[Block]:
    """All of a page, in order."""
    text = page.read_text()
    name = str(page.relative_to(ROOT))
    return [
        Block(name, text.count("\n", 0, found.start()) + 1, found[1], found[2] or "", found[3])
        for found in _FENCE.finditer(text)
    ]


def runnable(page: str, *languages: str) -> list[Block]:
    """The blocks of a page that are to be run, of some languages or of all."""
    code = [block for block in blocks(ROOT / page) if block.language != PICTURE and not block.no_run]
    return [block for block in code if not languages or block.language in languages]


def commands(block: Block) -> Iterator[list[str]]:
    """The commands of a block of bash, in words, without comments."""
    for line in block.text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words:
            yield words


def shell(block: Block, more: Sequence[tuple[str, Sequence[str]]] = ()) -> None:
    """Run each command of ours in this process, in the working directory; each must end well.

    ``more``: words to add to commands that hold a word, such as the address of a stand-in.
    """
    for words in commands(block):
        if words == ["source", ".venv/bin/activate"]:  # the tests run in one
            continue
        assert words[0] == "hedgegrid", f"{block.page}:{block.line}: mark it no-run with a reason: {words}"
        added = [word for asked, words_more in more if asked in words for word in words_more]
        assert run([*words[1:], *added]) == 0, f"{block.page}:{block.line}: {words}"
