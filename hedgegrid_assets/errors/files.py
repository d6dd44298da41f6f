"""Files that nothing can be made of, whatever their format."""

import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import Final

from hedgegrid_assets.errors.base import DataError, EnvironmentFault


class FileRefused(DataError):
    """A file that nothing can be made of; ``details["path"]`` names it. Other files are not stopped by it."""

    code = "file"


class RawDamaged(FileRefused):
    """A raw file does not decode to its end, or is not the file of its manifest."""

    code = "raw_damaged"

    def __init__(self, path: PathLike[str], why: str) -> None:
        super().__init__(
            f"{path} cannot be trusted: {why}",
            hint="import or fetch the file again; nothing was published from it",
            details={"path": str(path)},
        )
        self.why = why


class RawDayDamaged(RawDamaged):
    """The file of a raw day is not the one of its manifest any more. ``in_place``: it is the landing file itself."""

    def __init__(self, path: PathLike[str], why: str, *, in_place: bool) -> None:
        super().__init__(path, why)
        way = (
            "it is the landing file itself: put back what was imported, or, if it was changed on purpose, run again with "
            "--force, which imports it as it is now"
            if in_place
            else "hedgegrid doctor --deep --fix moves it out of the way, and the next run imports or fetches it again"
        )
        self.hint = f"{way}; what was published before stands"


class LinesUnnumbered(RawDamaged):
    """A raw day cannot be made again without losing lines: only it holds those of a file, and not where they stood."""

    def __init__(self, path: PathLike[str], name: str, day: str) -> None:
        super().__init__(
            path, f"its line numbers are gone or of another file, and {name}, whose lines it holds, is gone"
        )
        self.hint = (
            f"put {name} back and run again; if it is gone for good, `hedgegrid reset-day` of {day} gives its lines up; "
            "nothing was changed"
        )


class ReceivedDamaged(RawDamaged):
    """What a provider sends does not decode to its end, though it came whole."""

    def __init__(self, url: str, why: str) -> None:
        FileRefused.__init__(
            self,
            f"{url} cannot be trusted: {why}",
            hint="it is on their side: run again later; of a month, the files of its days may be whole (period: daily)",
            details={"path": url},
        )
        self.why = why


class ChecksumDiffers(FileRefused):
    """A file is not the one that the checksum file beside it was made of."""

    code = "checksum"

    def __init__(self, path: Path, checksum_file: str, expected: str, found: str) -> None:
        super().__init__(
            f"{path} is damaged: expected sha256 {expected} as in {checksum_file}, found {found}",
            hint=f"download it again, with {checksum_file}; nothing was published from it",
            details={"path": str(path), "expected": expected, "found": found},
        )


class SeveralInOne(FileRefused):
    """An archive that holds not one file, but several or none."""

    code = "archive"

    def __init__(self, path: PathLike[str], names: Sequence[str]) -> None:
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        super().__init__(
            f"{path} holds {len(names)} files{f' ({shown})' if shown else ''}: expected one",
            hint="unpack it, and land the files in it" if names else "there is nothing in it: remove it",
            details={"path": str(path), "members": list(names)},
        )


class OtherFormat(FileRefused):
    """A file that is no text of lines, but something that is known by its first bytes."""

    code = "format"

    def __init__(self, path: Path, kind: str, way_out: str = "unpack or convert it") -> None:
        super().__init__(
            f"{path} is {kind}: expected lines of text, plain or in gzip, zstd, bzip2 or zip",
            hint=f"{way_out}; nothing was published from it",
            details={"path": str(path), "kind": kind},
        )


class FileUnreadable(FileRefused):
    """A file that the system does not let us read."""

    code = "unreadable"

    def __init__(self, path: str, why: str) -> None:
        super().__init__(
            f"cannot read {path}: {why}",
            hint="mend its name or permissions, or remove it; nothing was published from it",
            details={"path": path},
        )


class FileChanges(FileRefused):
    """A file that somebody writes anew while it is read: half of it would be old, half new."""

    code = "changes"

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} was written anew while it was read: expected a file that nobody changes but at its end, found another content",
            hint="run again when it is whole; who writes it may use another name first (.part, .tmp) and rename it then; "
            "nothing was published from it",
            details={"path": str(path)},
        )


class LinesUnplaced(FileRefused):
    """So many lines of a file get no symbol, channel or time that none of its days can be trusted; ``look``: what shows them."""

    code = "lines_unplaced"

    def __init__(
        self,
        path: Path,
        lines: int,
        reasons: Mapping[str, int],
        first: Mapping[str, object],
        allowed: float,
        *,
        blocks: bool,
        look: str = "hedgegrid rejects list",
    ) -> None:
        unplaced = sum(reasons.values())
        at = f"line {first.get('line')}" + (f", column {first['field']}" if first.get("field") else "")
        told = ", ".join(f"{reason} {count:,}" for reason, count in reasons.items())
        times = first.get("reason") == "unknown_time"
        super().__init__(
            (
                f"Timestamp parsing failed ({path}, {at}): expected a time, found {first.get('value')!r}; "
                if times
                else f"{path} cannot be trusted: {at} has no place ({first.get('reason')}), found {first.get('value')!r}; "
            )
            + f"{unplaced:,} of {lines:,} lines have no place ({told})"
            + (": all days of the file are blocked" if blocks else ", and no other line is of use"),
            hint=f"see them with `{look}`, and correct the file; a share of such lines up to "
            f"max_rejected ({allowed:g}; 10 % in a file of less than 100 lines) is let through",
            details={
                "path": str(path),
                "lines": lines,
                "unplaced": unplaced,
                "reasons": dict(reasons),
                "first": dict(first),
            },
        )


class BooksMixed(FileRefused):
    """A capture of several books, of which messages do not say whose they are."""

    code = "books"

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"books cannot be told apart ({path}): {why}",
            hint="give a file for each symbol, and one stream of its book alone; or write of each snapshot whose it is: "
            '{"stream":"<symbol>@depthSnapshot","data":{"lastUpdateId":...}}, or "symbol":"<SYMBOL>" inside it',
            details={"path": str(path)},
        )


class EncodingUnknown(FileRefused):
    """A text file of another encoding than UTF-8; ``codec`` reads its beginning."""

    code = "encoding"

    def __init__(self, path: Path, codec: str) -> None:
        super().__init__(
            f"it is no text in UTF-8 ({path}): expected UTF-8, or the encoding said, found bytes as of {codec}",
            hint=f'say so in the file given with --config, at the top or beside file_path: "encoding": "{codec}"',
            details={"path": str(path), "encoding": codec},
        )


class NotOneMessageALine(FileRefused):
    """A file of messages whose lines are parts of messages."""

    code = "lines"

    def __init__(self, path: Path, why: str) -> None:
        read = f"{_READ_BY.get(path.suffix, 'cat')} {shlex.quote(str(path))}"
        super().__init__(
            f"{path} is not made of lines: {why}",
            hint="write each message on a line of its own, and give that file instead (jq 1.7 or newer, older ones round "
            f"long numbers): {read} | jq -c 'if type == \"array\" then .[] else . end' > "
            + shlex.quote(f"{path.name.partition('.')[0]}.lines.jsonl"),
            details={"path": str(path)},
        )


_READ_BY: Final = {".gz": "zcat", ".zst": "zstdcat", ".bz2": "bzcat"}


class TooManyOddLines(DataError):
    """More lines than the exact slow reader takes were refused by the fast one."""

    code = "odd_lines"

    def __init__(self, path: PathLike[str], cap: int) -> None:
        super().__init__(
            f"{path} is not what its source says: more than {cap:,} lines need the exact slow reader",
            hint="check that the file is in the format of its source; look at its first lines",
            details={"path": str(path), "cap": cap},
        )


class ImportFails(EnvironmentFault):
    """Files wait in a landing zone, and each run that was to import them has failed. ``then``: when the next one is due."""

    code = "import_fails"

    def __init__(self, landing: str, count: int, why: str, then: float) -> None:
        at = datetime.fromtimestamp(then, UTC)
        runs = "1 run that failed" if count == 1 else f"{count} runs that failed"
        super().__init__(
            f"files wait to be imported ({landing}): expected an import, found {runs}, the last: {why}; "
            f"tried again at {at:%H:%M:%S} UTC",
            hint="see the failed run; nothing is forgotten, the files are tried for as long as they wait",
            details={"landing": landing, "runs": count, "why": why},
        )


class HistoryHidden(EnvironmentFault):
    """A Dagster instance would begin a second history, and no longer show the one that it has."""

    code = "history_hidden"

    def __init__(self, setting: str, history: str) -> None:
        super().__init__(
            f"{setting} would hide what Dagster has shown so far: expected a DAGSTER_HOME without history, found {history}",
            hint="take event_log_storage out of dagster.yaml, where all stays as it is and `hedgegrid backfill` is as fast; "
            "or set DAGSTER_HOME to a new folder",
            details={"history": history},
        )
