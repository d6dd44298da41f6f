"""What all errors are, and how several problems are told in one."""

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import ClassVar, Final, override

_LONG: Final = 200


def listed(texts: Sequence[str], most: int = 40) -> str:
    """The first of some texts, each cut where it is very long, and how many more there are."""
    shown = ", ".join(text if len(text) <= _LONG else f"{text[:_LONG]}..." for text in texts[:most])
    return shown if len(texts) <= most else f"{shown} and {len(texts) - most:,} more"


def several(problems: Sequence[str], most: int = 20) -> str:
    """The first of some problems in one sentence, and how many more there are."""
    more = f"; and {len(problems) - most:,} more" if len(problems) > most else ""
    return "; ".join(problems[:most]) + more


class HedgegridError(Exception):
    """Base of all expected errors.

    ``message`` says what, where, expected and found; ``hint`` says the way out; ``details`` is for machines.
    """

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "", details: dict[str, object] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details or {}

    def to_dict(self) -> dict[str, object]:
        """The shape that ``--json`` prints."""
        return {"error": {"code": self.code, "message": self.message, "hint": self.hint, "details": self.details}}

    @override
    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message


class UsageError(HedgegridError):
    """A flag, date, configuration file or name that cannot be used; raised before any work."""

    code = "usage"
    exit_code = 2


class FeedsFileError(UsageError):
    """feeds.yaml cannot be used: each problem names file, line and key."""

    code = "feeds"

    def __init__(self, path: Path, problems: Sequence[str], *, hint: str = "") -> None:
        super().__init__(
            f"{path} is not usable: {several(problems)}",
            hint=hint or "correct the lines named, then run: hedgegrid feeds check",
            details={"problems": list(problems)},
        )


class FeedsFileMissing(FeedsFileError):
    """There is no feeds.yaml where it is looked for."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            path,
            [f"expected a file, found none at {path.absolute()}"],
            hint="hedgegrid init lays one out in the working directory; yours elsewhere: --feeds FILE, or HEDGEGRID_FEEDS",
        )


class DataError(HedgegridError):
    """The data is not what it must be."""

    code = "data"


def together(errors: Sequence[HedgegridError]) -> HedgegridError:
    """One error that tells of all."""
    if len(errors) == 1:
        return errors[0]
    told = "; ".join(error.message for error in errors)
    return DataError(f"{len(errors)} faults: {told}", hint=errors[0].hint)


class NoDataFetched(DataError):
    """Nothing was found for what was asked."""

    code = "no_data"

    usual_hint = "check the symbol (upper case, as the exchange writes it), the dates (end is exclusive) and the files"

    def __init__(self, wanted: str, looked_in: str, found: str, *, hint: str = "") -> None:
        super().__init__(
            f"No data fetched ({wanted}): looked in {looked_in}, found {found}",
            hint=hint or self.usual_hint,
            details={"wanted": wanted, "looked_in": looked_in, "found": found},
        )


class NoCatalogThere(NoDataFetched):
    """What is to be looked at is no catalog.

    Args:
        catalog: What was named.
        found: What is in it; None: nothing at all.
    """

    code = "no_catalog"
    usual_hint = "name the folder of a catalog: `hedgegrid replay-to-parquet` makes data/catalog below where it is run, or --output"

    def __init__(self, catalog: str, found: str | None) -> None:
        super().__init__("a catalog", catalog, found or "nothing")
        self.message = (
            f"no such folder, or an empty one: {catalog}"
            if found is None
            else f"no catalog in {catalog}: found {found}"
        )
        self.args = (self.message,)


class OtherKind(NoDataFetched):
    """The files hold another kind of what a table is made from than the one that is taken.

    Args:
        wanted: What was asked for.
        looked_in: Where.
        taken: The kind that is taken; nothing of it is there.
        held: The kind that is there.
        lines: How many lines of that.
        setting: The setting that chooses between the two.
        where: What it is said in.
    """

    code = "other_kind"

    def __init__(
        self, wanted: str, looked_in: str, taken: str, held: str, lines: int, setting: str, where: str
    ) -> None:
        super().__init__(
            wanted,
            looked_in,
            f"nothing of {taken}, but {lines:,} {'line' if lines == 1 else 'lines'} of {held}",
            hint=f"to make it of {held}, say {setting}: {held} in {where}, and run again",
        )


class NotPublished(NoDataFetched):
    """A provider has not published it yet: it is asked for again later."""

    code = "not_published"
    usual_hint = (
        "ask for it again: a day is published some hours after its end (UTC), a month in the first days of the next one; "
        "until then end the range before it (--end is exclusive)"
    )


class DayNotOver(NotPublished):
    """A day that has no end yet: the same of all that it holds, so that it is told once."""

    def __init__(self, symbol: str, provider: str, day: date) -> None:
        super().__init__(
            f"{symbol} {day}",
            provider,
            f"the day is not over: it can be had some hours after its end, {day + timedelta(days=1)} 00:00 UTC",
        )


class EnvironmentFault(HedgegridError):
    """Disk, permissions, network or installed versions."""

    code = "environment"


class HelperDied(EnvironmentFault):
    """A process that made some of the days has ended before its time."""

    code = "helper"

    def __init__(self, code: int) -> None:
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        super().__init__(
            f"a process that made days of this run {how}; the days that it had finished are good",
            hint="run again, if memory is short without --jobs: days that are there are not made again",
            details={"code": code},
        )


class Unforeseen(HedgegridError):
    """An error that nobody has thought of. ``doing``: what was worked on; the traceback is for ``-v``."""

    code = "internal"

    def __init__(self, error: BaseException, doing: str = "") -> None:
        told = " ".join(str(error).split())[:_LONG]
        super().__init__(
            f"unforeseen {type(error).__name__}{f' ({doing})' if doing else ''}: {told or 'no more is known'}",
            hint="run it again with -v, which shows where it came from, and report that; what is published is whole",
            details={"type": type(error).__name__, "doing": doing},
        )
