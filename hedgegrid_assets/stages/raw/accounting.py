"""Where every line of a landing file went, and what that means for its days."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import polars as pl
from msgspec import Struct

from hedgegrid_assets.dialect import Dialect
from hedgegrid_assets.errors import LinesUnplaced
from hedgegrid_assets.model import Source
from hedgegrid_assets.stages.raw.manifest import Manifest, Unplaced
from hedgegrid_assets.store import plain
from hedgegrid_assets.tables.rules import REJECTS_THAT_COUNT

SMALL_FILE: Final = 100
SMALL_FILE_SHARE: Final = 0.1
HEADER: Final = "header"
"""What a source counts header lines as, among its streams."""
_VALUE_SHOWN: Final = 200


class FileCounts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the lines of a file went: ``lines`` is the sum of the others.

    Attributes:
        lines: All of them.
        placed: Those that a raw day has taken.
        header: Header lines.
        other: Streams and symbols that are not used, connection lines, blank ones.
        unplaced: Those that get no symbol, channel or time.
    """

    lines: int = 0
    placed: int = 0
    header: int = 0
    other: int = 0
    unplaced: int = 0

    def __add__(self, more: "FileCounts") -> "FileCounts":
        return FileCounts(*(a + b for a, b in zip(self._values, more._values, strict=True)))

    @property
    def _values(self) -> tuple[int, ...]:
        return self.lines, self.placed, self.header, self.other, self.unplaced

    @property
    def add_up(self) -> bool:
        """No line is lost, none is counted twice."""
        return self.lines == self.placed + self.header + self.other + self.unplaced and min(self._values) >= 0


def is_too_much(lines: int, unplaced: int, max_rejected: float) -> bool:
    """So many lines of a file get no place that none of its days can be trusted."""
    if lines < SMALL_FILE:
        return unplaced > lines * SMALL_FILE_SHARE
    return unplaced >= REJECTS_THAT_COUNT and unplaced > lines * max_rejected


class FileLines(Struct, frozen=True):
    """The lines of one landing file.

    Attributes:
        name: As in manifests and rejects.
        counts: Where they went.
        reasons: Those without a place, by reason.
        first: The first of these: ``line`` (from 1), ``reason``, ``field`` and ``value`` where they are known.
        gives_days: A raw day has some of them.
    """

    name: str
    counts: FileCounts
    reasons: Mapping[str, int]
    first: Mapping[str, Any]
    gives_days: bool = True

    def error(self, max_rejected: float, look: str = "hedgegrid rejects list") -> LinesUnplaced | None:
        """Why the days of the file are blocked, and the command that shows its lines; None if they are not."""
        if not is_too_much(self.counts.lines, self.counts.unplaced, max_rejected):
            return None
        return LinesUnplaced(
            Path(self.name),
            self.counts.lines,
            self.reasons,
            self.first,
            max_rejected,
            blocks=self.gives_days,
            look=look,
        )

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {"file": self.name, **plain(self.counts), "reasons": dict(self.reasons)}


def unplaced_of(
    unplaced: Sequence[pl.DataFrame], reasons: Counter[str], source: Source, dialect: Dialect
) -> Unplaced | None:
    """What a manifest says of the lines without a place; None: there are none."""
    if not unplaced:
        return None
    line, reason, raw = unplaced[0].select("line", "reason", "raw").row(0)
    field, value = source.culprit(str(raw), dialect, str(reason)) if source.culprit else (None, None)
    first = {"line": int(line) + 1, "reason": reason, "field": field, "value": (value or str(raw))[:_VALUE_SHOWN]}
    return Unplaced(dict(sorted(reasons.items())), first)


def files_to_blame(manifest: Manifest, max_rejected: float) -> list[dict[str, Any]]:
    """The files of a raw day of which too many lines have no place, as a verdict keeps them."""
    return [
        {"file": origin.path or manifest.file, "lines": origin.lines, "unplaced": origin.unreadable}
        | (origin.unplaced.first if origin.unplaced else {})
        for origin in manifest.origin
        if is_too_much(origin.lines, origin.unreadable or 0, max_rejected)
    ]
