"""``python -m hedgegrid_assets``: the same as ``hedgegrid``."""

import gc
import os
import sys
from typing import Final

_ALLOCATIONS: Final = 300_000
"""Between two looks for garbage in cycles: more than imports leave, at which a look takes 30 ms and finds nothing."""
_POLARS_MEMORY: Final = "narenas:1,dirty_decay_ms:5000"
"""Of its allocator: one pool for all threads, whose freed pages stay for some seconds: the kernel clears each page that comes back."""
_ARROW_MEMORY: Final = "system"
"""Arrow's own pool would keep its freed pages apart from all others: 60 MB more at the peak."""


_NO_WINDOWS: Final = (
    "hedgegrid runs on Linux and macOS: its locks between processes are those of POSIX; on Windows, run it in WSL"
)


def main() -> None:
    """Run the command line and exit with its code."""
    if sys.platform == "win32":
        sys.exit(f"error: {_NO_WINDOWS}")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's linear algebra is not used, and its threads spin
    os.environ.setdefault("_RJEM_MALLOC_CONF", _POLARS_MEMORY)
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", _ARROW_MEMORY)
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # to look for one, it reads of each installed package
    gc.set_threshold(_ALLOCATIONS)
    from hedgegrid_assets.cli import run

    code = run(sys.argv[1:])
    gc.freeze()  # what is left goes with the process: nothing to look through
    sys.exit(code)


if __name__ == "__main__":
    main()
