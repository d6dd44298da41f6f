"""Columns of the archives' files, dated where they have changed, and what a file itself shows of them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from msgspec import Struct

from hedgegrid_assets.dialect import Dialect
from hedgegrid_assets.errors import DataError
from hedgegrid_assets.model import Channel

_SQUEEZED: Final = re.compile(r"[\s_\-]+")
_BOM: Final = "\ufeff"


class Layout(Struct, frozen=True):
    """How a kind of file is written from a day on.

    Attributes:
        names: All columns, in their order.
        header: The file begins with their names. A file that does otherwise is read as it shows itself.
        since: First day of the files that are written so; None: the oldest.
        more: Columns that a file may have besides, at its end.
        label_seconds: Times are starts of periods that long, and rows are known at their ends.
    """

    names: tuple[str, ...]
    header: bool
    since: date | None = None
    more: tuple[str, ...] = ()
    label_seconds: int = 0


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a kind of file that are read.

    Attributes:
        layouts: Oldest first.
        read: Key of a channel's field -> its column, and other names that files have had for it.
    """

    layouts: tuple[Layout, ...]
    read: Mapping[str, tuple[str, ...]]
    spellings: Mapping[str, str] = field(init=False)
    """Squeezed name of a column -> key."""

    def __post_init__(self) -> None:
        """Prepare what is asked for each file."""
        known = {squeezed(name): key for key, names in self.read.items() for name in names}
        object.__setattr__(self, "spellings", known)

    def at(self, day: date) -> Layout:
        """How files of a day are written."""
        return next(layout for layout in reversed(self.layouts) if layout.since is None or layout.since <= day)


def squeezed(name: str) -> str:
    """A name without case and marks; what stands behind a slash is the same in another language."""
    return _SQUEEZED.sub("", name.split("/")[0]).lower()


class ArchiveDialect(Dialect, frozen=True, kw_only=True, omit_defaults=True):
    """Of a published file.

    Attributes:
        names: Of its columns, in order.
        columns: Key of a channel's field -> position.
        channel: What it is read as; ``symbol``: whose rows.
        file: What it is, for messages.
        exchange: Whose archive has it; empty as long as its file is not made a raw day.
        label_seconds: See ``Layout``.
    """

    header_lines: int
    names: tuple[str, ...]
    columns: dict[str, int]
    symbol: str
    channel: str
    file: str = ""
    exchange: str = ""
    label_seconds: int = 0


def dialect_of(first_line: str, columns: Columns, channel: Channel, symbol: str, what: str) -> ArchiveDialect:
    """What must be known of a file to read its lines, from its first one. Raises DataError for columns that it lacks."""
    cells = [cell.strip(' "') for cell in first_line.removeprefix(_BOM).strip("\r\n").split(",")]
    header = any(re.search(r"[A-Za-z]", cell) for cell in cells) and not _is_row(cells)
    names = [*cells] if header else _positional(len(cells), columns)
    places = _places(names, columns)
    wanted = {one.key for one in channel.fields if one.required}
    missing = sorted(columns.read[key][0] for key in wanted - places.keys())
    if missing:
        shown = ", ".join(cells)[:300]
        raise DataError(
            f"Missing required columns ({what}): expected {', '.join(missing)}, found {shown}",
            hint="this is not the file that was asked for, or its format has changed: report it, with its first line",
            details={"missing": missing, "found": cells[:50]},
        )
    return ArchiveDialect(
        header_lines=int(header),
        names=tuple(names),
        columns={key: places[key] for key in sorted(places)},
        symbol=symbol,
        channel=channel.name,
        file=what,
    )


def _is_row(cells: Sequence[str]) -> bool:
    """The first cell, or the second (where a name stands before), is a number."""
    return any(re.fullmatch(r"[0-9][0-9.]*", cell) for cell in cells[:2])


def _positional(count: int, columns: Columns) -> Sequence[str]:
    """Names of a file without header, by the number of its columns."""
    for layout in reversed(columns.layouts):
        names = (*layout.names, *layout.more)
        if len(layout.names) <= count <= len(names):
            return names[:count]
    return [f"column {place}" for place in range(count)]


def _places(names: Sequence[str], columns: Columns) -> dict[str, int]:
    """Key -> position of its column; of several, the first."""
    found: dict[str, int] = {}
    for place, name in enumerate(names):
        key = columns.spellings.get(squeezed(name))
        if key is not None:
            found.setdefault(key, place)
    return found


def notes_of(dialect: ArchiveDialect, layout: Layout, what: str) -> str:
    """Where a file shows itself otherwise than its day lets expect; empty: it does not."""
    if bool(dialect.header_lines) != layout.header:
        return f"{what}: expected {'a' if layout.header else 'no'} header line, found {'one' if dialect.header_lines else 'none'}"
    return ""
