"""Every promise of the guide is a row with a number, and a test with that number in its name."""

import re
from pathlib import Path
from typing import Final

_NAME: Final = re.compile(r"^def test_row((?:_\d{3})+)_", re.MULTILINE)


def test_every_row_has_its_test() -> None:
    texts = [path.read_text() for path in sorted(Path(__file__).parent.glob("test_*.py"))]
    held = {int(number) for text in texts for named in _NAME.findall(text) for number in named.split("_")[1:]}
    assert held == set(range(1, 118))
