"""Which Python runs a backtest: that of this process, or the one that a variable names, for the other Nautilus."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import hedgegrid_assets
from hedgegrid_assets.errors import EngineNotThere, EngineOfOther
from hedgegrid_assets.model import GENERATION
from hedgegrid_assets.stages.catalog import held_generation
from hedgegrid_assets.stages.catalog.installed import installed_generation, installed_version
from hedgegrid_assets.store import Places

_RUN: Final = "from hedgegrid_assets.backtest.worker import main; main()"
_OURS_AND_NO_OTHER: Final = """
import sys
from importlib.util import module_from_spec, spec_from_file_location
spec = spec_from_file_location("hedgegrid_assets", {file!r}, submodule_search_locations=[{folder!r}])
sys.modules[spec.name] = module_from_spec(spec)
spec.loader.exec_module(sys.modules[spec.name])
"""
"""The package of this process, and nothing else that lies beside it, such as the Nautilus of this process."""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python, and the generation of NautilusTrader that it is to have. ``variable``: that named it; empty: ours."""

    path: Path
    generation: int
    variable: str = ""

    def command(self, argument: str) -> list[str]:
        """What runs the job of a folder."""
        program = _RUN
        if self.variable:
            file = Path(hedgegrid_assets.__file__).absolute()
            program = _OURS_AND_NO_OTHER.format(file=str(file), folder=str(file.parent)) + _RUN
        return [str(self.path), "-P", "-c", program, argument]


def interpreter_for(catalog: Path) -> Interpreter:
    """The Python whose Nautilus reads a catalog.

    Raises EngineOfOther where there is none, EngineNotThere where the one that is named is not there, FormsMixed,
    NautilusUnfit.
    """
    places = Places.of_catalog(catalog)
    held = held_generation(places) or GENERATION
    if installed_generation() == held:
        return Interpreter(Path(sys.executable), held)
    variable = f"NAUTILUS{held}_PYTHON"
    named = os.environ.get(variable)
    if not named:
        raise EngineOfOther(places.catalog, held, installed_version(), variable)
    if not os.access(named, os.X_OK) or Path(named).is_dir():
        raise EngineNotThere(variable, named)
    return Interpreter(Path(named), held, variable)
