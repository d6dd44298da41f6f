"""How the lines of a file are to be read: the dialect of a file, kept in the manifest of each raw day that it gives lines to."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, ClassVar, Self

import msgspec

from hedgegrid_assets.errors import DataError
from hedgegrid_assets.venues.markets import Says

type Stored = Mapping[str, Any]
"""A dialect as a manifest has it: JSON values, which only ``Dialect.of`` looks into."""


class View(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a channel reads the lines of a file: its series and longest usual silence, where they are the file's own."""

    series: str | None = None
    gap_seconds: float | None = None


class Dialect(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the lines of one file are to be read, as far as all sources have it in common; each family has its own.

    A field with a default is not stored where it has that value.

    Attributes:
        header_lines: Passed over at the start of the file; None: the format has none.
        says: What the file itself says of venue and market; None: nothing.
        views: Channel -> how it reads the lines.
        notes: What a person should know of the file.
    """

    before: ClassVar[Stored] = {}
    """What manifests of before leave out."""
    header_lines: int | None = None
    says: Says | None = None
    views: Mapping[str, View] = msgspec.field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, dialect: "Dialect | Stored") -> Self:
        """A dialect as one of this kind. Raises DataError where it is none."""
        if isinstance(dialect, cls):
            return dialect
        try:
            return msgspec.convert({**cls.before, **stored(dialect)}, cls)
        except msgspec.ValidationError as error:
            raise DataError(
                f"a manifest does not say how the lines of its raw day are read (dialect): {error}",
                hint="remove the manifest and run again: the day is imported or fetched anew",
            ) from error

    def cut(self) -> Self:
        """Of lines that were taken out of the file, without its header."""
        return msgspec.structs.replace(self, header_lines=0) if stored(self) else self

    def of_day(self, names: Sequence[str], day: date) -> Self:
        """Of lines that hold messages of several symbols or days, of which these are meant: what they call the symbol."""
        del names, day
        return self


def stored(dialect: Dialect | Stored) -> dict[str, Any]:
    """A dialect as a manifest has it."""
    found: dict[str, Any] = msgspec.to_builtins(dialect)
    return found
