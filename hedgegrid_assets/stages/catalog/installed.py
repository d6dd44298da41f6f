"""The NautilusTrader beside us, known without its import (2 s): can it read what we write?"""

import re
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from hedgegrid_assets.errors import NautilusUnfit

_DECLARED: Final = Path("core", "rust", "model.pxd")
"""Says, in every wheel, for how many bits it was built."""
_FIRST: Final = (1, 231)


@cache
def refuse_unfit_nautilus() -> None:
    """Raises NautilusUnfit if the installed NautilusTrader cannot read this catalog's form; without one all is fine."""
    try:
        found = version("nautilus_trader")
    except PackageNotFoundError:
        return
    numbers = re.match(r"(\d+)\.(\d+)", found)
    if numbers is None or not _FIRST <= (int(numbers[1]), int(numbers[2])) < (2, 0):
        reads = "which reads it as empty, without an error" if found.startswith("2") else "which was never tried on it"
        raise NautilusUnfit(found, reads)
    if _is_64_bit():
        raise NautilusUnfit(f"{found} of 64 bits", "which cannot read its values")


def _is_64_bit() -> bool:
    spec = find_spec("nautilus_trader")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        declared = Path(folder) / _DECLARED
        if declared.is_file():
            return b"DEF HIGH_PRECISION = False" in declared.read_bytes()
    return False
