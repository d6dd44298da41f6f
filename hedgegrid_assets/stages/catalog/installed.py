"""The NautilusTrader beside us, known without its import (2 s): which form does it read?"""

import re
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from hedgegrid_assets.errors import NautilusUnfit

_DECLARED: Final = Path("core", "rust", "model.pxd")
"""Says, in every wheel of 1.x, for how many bits it was built."""
_FIRST: Final = (1, 231)
_LAST: Final = 2


@cache
def installed_version() -> str | None:
    """None: there is none."""
    try:
        return version("nautilus_trader")
    except PackageNotFoundError:
        return None


@cache
def installed_generation() -> int | None:
    """Whose form the installed NautilusTrader reads; None: none is installed. Raises NautilusUnfit if it reads none of ours."""
    found = installed_version()
    if found is None:
        return None
    numbers = re.match(r"(\d+)\.(\d+)", found)
    if numbers is None or not _FIRST <= (int(numbers[1]), int(numbers[2])) < (_LAST + 1, 0):
        raise NautilusUnfit(found, "which was never tried on it")
    generation = int(numbers[1])
    if generation == 1 and _is_64_bit():
        raise NautilusUnfit(f"{found} of 64 bits", "which cannot read its values")
    return generation


def refuse_unfit_nautilus() -> None:
    """Raises NautilusUnfit if the installed NautilusTrader reads no form that we write; without one all is fine."""
    installed_generation()


def _is_64_bit() -> bool:
    spec = find_spec("nautilus_trader")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        declared = Path(folder) / _DECLARED
        if declared.is_file():
            return b"DEF HIGH_PRECISION = False" in declared.read_bytes()
    return False
