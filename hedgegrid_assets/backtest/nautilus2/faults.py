"""What a strategy raises while it runs: 2.x writes it into its log and goes on, and says that the run ended well."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Final

_TOOL: Final = 4
"""One that Python gives to no kind of tool."""


@contextmanager
def faults_below(caller: FrameType) -> Iterator[list[BaseException]]:
    """What is raised, in the block, out of functions that ``caller`` calls, also through the engine's own code.

    Handlers, clock callbacks and whatever else an engine calls have the frame that has called the engine below them: an
    exception that leaves them is the engine's from there on.
    """
    found: list[BaseException] = []

    def note(code: CodeType, _offset: int, error: BaseException) -> None:
        # a special method may raise what its caller waits for
        if sys._getframe(1).f_back is caller and not code.co_name.startswith("__"):
            found.append(error)

    watch = sys.monitoring
    watch.use_tool_id(_TOOL, "hedgegrid")
    watch.register_callback(_TOOL, watch.events.PY_UNWIND, note)
    watch.set_events(_TOOL, watch.events.PY_UNWIND)
    try:
        yield found
    finally:
        watch.set_events(_TOOL, watch.events.NO_EVENTS)
        watch.register_callback(_TOOL, watch.events.PY_UNWIND, None)
        watch.free_tool_id(_TOOL)
