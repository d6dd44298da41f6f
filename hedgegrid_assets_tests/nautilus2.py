"""NautilusTrader 2.x in an environment of its own: ``NAUTILUS2_PYTHON`` names its Python."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

VERSION: Final = "2.0.0rc7"
"""What the forms of 2.x were compared with; ``.ci/run`` installs it."""
PYTHON: Final = os.environ.get("NAUTILUS2_PYTHON", "")
WITH_NAUTILUS_2: Final = pytest.mark.skipif(
    not PYTHON, reason="NAUTILUS2_PYTHON names no Python with nautilus_trader 2.x"
)
_SCRIPTS: Final = Path(__file__).parent / "fixtures" / "nautilus2"


def asked(script: str, case: dict[str, Any], out: Path) -> Any:
    """What a script of ``fixtures/nautilus2`` answers."""
    done = subprocess.run(
        [PYTHON, _SCRIPTS / f"{script}.txt"],
        input=json.dumps(case | {"out": str(out)}),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(out.read_text())
