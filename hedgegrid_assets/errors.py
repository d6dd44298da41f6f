"""Every error that a user can meet; each builds its own sentence from the culprits.

HedgegridError
├── UsageError           exit 2: a flag, a date, a configuration file
│   ├── BacktestFileError, BacktestRefused
│   └── FeedsFileError
├── DataError            exit 1: what the data says
│   ├── NoDataFetched
│   ├── NoSuchCatalog, InstrumentNotHeld, CoverageRefused, EngineDied  what a backtest needs
│   ├── PrecisionTooFine
│   ├── LooksLikeFloats
│   ├── Refused          a write that the catalog forbids
│   │   ├── SeriesMixed
│   │   ├── ForeignFile
│   │   └── RowsWouldBeLost
│   ├── InstrumentUnknown
│   ├── FileContradicts
│   ├── DayBlocked
│   ├── VerdictRefused
│   ├── FileRefused
│   │   ├── RawDamaged
│   │   ├── ChecksumDiffers
│   │   ├── SeveralInOne
│   │   ├── OtherFormat
│   │   ├── FileUnreadable
│   │   ├── LinesUnplaced
│   │   ├── EncodingUnknown
│   │   ├── NotOneMessageALine
│   │   ├── MissingColumns
│   │   ├── DaysOnly
│   │   ├── HeaderChanges
│   │   ├── CandlesRefused
│   │   ├── SidesUnknown
│   │   └── TimestampParsingFailed
│   ├── TooManyOddLines
│   └── CatalogDiffers
├── Unforeseen           exit 1: what nobody has thought of, with what was worked on
└── EnvironmentFault     exit 1: disk, permissions, network, installed versions
    ├── NautilusUnfit
    ├── DocumentDamaged  a file of our own that is not what it must be
    └── RemoteFault      a provider's answer, or none
        ├── KeyRequired
        └── RateLimited
"""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, Final, override

NAUTILUS_WANTED: Final = ">=1.231,<2"
"""The versions of nautilus_trader that read our catalogs, as in pyproject.toml."""
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

    def __init__(self, path: Path, problems: Sequence[str]) -> None:
        super().__init__(
            f"{path} is not usable: {several(problems)}",
            hint="correct the lines named, then run: hedgegrid feeds check",
            details={"problems": list(problems)},
        )


class BacktestFileError(UsageError):
    """A file of a backtest or of its strategy cannot be used: each problem names line and key."""

    code = "backtest_file"

    def __init__(self, path: Path, problems: Sequence[str]) -> None:
        super().__init__(
            f"{path} is not usable: {several(problems)}",
            hint="correct the lines named; configs/backtest/ and configs/strategies/ of `hedgegrid init` are whole examples",
            details={"path": str(path), "problems": list(problems)},
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

    def __init__(self, wanted: str, looked_in: str, found: str) -> None:
        super().__init__(
            f"No data fetched ({wanted}): looked in {looked_in}, found {found}",
            hint="check the symbol (upper case, as the exchange writes it), the dates (end is exclusive) and the files",
            details={"wanted": wanted, "looked_in": looked_in, "found": found},
        )


class PrecisionTooFine(DataError):
    """A value has more decimals than the instrument's definition; nothing was rounded, nothing written."""

    code = "precision"

    def __init__(self, instrument_id: str, column: str, defined: int, needed: int, where: str) -> None:
        super().__init__(
            f"{column} is finer than the instrument ({instrument_id}, {where}): "
            f"expected at most {defined} decimals, found {needed}",
            hint=f"if the value is right, run: hedgegrid instruments widen {instrument_id} --{column}-precision {needed}",
            details={"instrument_id": instrument_id, "column": column, "defined": defined, "needed": needed},
        )


class LooksLikeFloats(DataError):
    """Numbers from which no tick can be told: binary floats written out, such as 282.83500000000004."""

    code = "floats"

    def __init__(self, symbol: str, name: str, example: str, count: int, rows: int, others: int) -> None:
        super().__init__(
            f"the {name}s of {symbol} look like binary floats: expected decimals as the venue writes them, found "
            f"{count:,} of {rows:,} with 15 digits or more, such as {example}; the others have at most {others} decimals",
            hint=f"get the venue's own digits, or round them when the file is written; or say how many decimals count in the "
            f'file given with --config, as {{"instruments": {{"{symbol}": {{"{name}_precision": {others}}}}}}} (rows that are far '
            f"finer are rejected), or under `instruments:` of the feed in feeds.yaml",
            details={"symbol": symbol, "column": name, "example": example, "count": count, "rows": rows},
        )


class Refused(DataError):
    """A write that the catalog forbids, whatever the data are; it keeps what it had."""

    code = "refused"


class SeriesMixed(Refused):
    """Two kinds of series would end in one Nautilus folder."""

    code = "series"

    def __init__(self, instrument_id: str, table: str, held: str, offered: str) -> None:
        super().__init__(
            f"{instrument_id} {table} holds the series {held}: expected the same, found {offered}",
            hint=f"the catalog keeps what it had; {_beside(instrument_id, held, offered)}",
            details={"instrument_id": instrument_id, "table": table, "held": held, "offered": offered},
        )


def _beside(instrument_id: str, held: str, offered: str) -> str:
    """How the other series can be kept as well."""
    symbol, _, venue = instrument_id.rpartition(".")
    if not symbol or " " in instrument_id:
        return "use another --output for the other series"
    origin, _, kind = offered.partition("/")
    word = re.sub(r"[^A-Z0-9]+", "-", (kind if held.startswith(f"{origin}/") else origin).upper()).strip("-")
    return (
        f"use another --output, or give the other series an instrument of its own: --instrument {symbol}-{word}.{venue} "
        f"(in feeds.yaml, below `instruments:` and the symbol: id: {symbol}-{word})"
    )


class ForeignFile(Refused):
    """Files that we did not write hold times of the day in Nautilus' folder: its rows would be there twice, or theirs gone."""

    code = "foreign_file"

    def __init__(self, day: str, table: str, files: Sequence[Path], why: str, hint: str) -> None:
        shown = ", ".join(map(str, files[:5])) + (f" and {len(files) - 5} more" if len(files) > 5 else "")
        super().__init__(
            f"{day} {table} is refused: expected no file of another writer in its place, found {shown} ({why})",
            hint=hint,
            details={"day": day, "table": table, "files": [str(path) for path in files]},
        )


class ForeignDefinition(Refused):
    """A definition that we did not write would be replaced by one that is only inferred."""

    code = "foreign_definition"

    def __init__(self, instrument_id: str, files: Sequence[Path], catalog: Path) -> None:
        aside = catalog / "set-aside"
        moved = shlex.join(map(str, files))
        super().__init__(
            f"{instrument_id} is refused: expected no definition of another writer, found {', '.join(map(str, files))}; "
            f"ours would only be inferred from the data",
            hint=f"the catalog keeps what it had; use another --output, or let the venue's own definition replace it with "
            f"`hedgegrid instruments import`, or move theirs away and run again: mkdir -p {shlex.quote(str(aside))} && mv {moved} "
            f"{shlex.quote(str(aside))}",
            details={"instrument_id": instrument_id, "files": [str(path) for path in files]},
        )


class RowsWouldBeLost(Refused):
    """Data of another origin would take the place of a day that has rows which they lack."""

    code = "rows_lost"

    def __init__(self, day: str, table: str, lost: int, held: int, offered: int, origin: str) -> None:
        super().__init__(
            f"{day} {table} is refused: expected all {held:,} rows of the day that the catalog holds, made from another "
            f"origin, found {offered:,} rows in {origin}, which lack {lost:,} of them",
            hint="the catalog keeps what it had; with --force the day is replaced, or use another --output",
            details={"day": day, "table": table, "lost": lost, "held": held, "offered": offered, "origin": origin},
        )


class NoSuchCatalog(DataError):
    """There is no catalog where a run looks for one."""

    code = "no_catalog"

    def __init__(self, catalog: Path) -> None:
        super().__init__(
            f"no catalog (data: catalog_path, or --catalog): expected a folder with data/ in it, found none at {catalog.absolute()}",
            hint="make one with `hedgegrid demo`, `hedgegrid generate-sample-data` or `hedgegrid replay-to-parquet`, or name another "
            "with --catalog",
            details={"catalog": str(catalog)},
        )


class InstrumentNotHeld(DataError):
    """A catalog has no definition of an instrument."""

    code = "instrument"

    def __init__(self, instrument_id: str, catalog: Path, there: Sequence[str]) -> None:
        super().__init__(
            f"{catalog} has no definition of {instrument_id}: expected one, found {listed(there) or 'none at all'}",
            hint="name an instrument that the catalog holds, or convert its data first: hedgegrid replay-to-parquet --help",
            details={"instrument_id": instrument_id, "catalog": str(catalog), "found": list(there)},
        )


class CoverageRefused(DataError):
    """Days that a run needs are missing or not good; nothing was run."""

    code = "coverage"

    def __init__(self, days: Sequence[str]) -> None:
        super().__init__(
            f"the catalog does not hold all days of the run: {several(days)}",
            hint="fetch or mend them (`hedgegrid backfill`, `hedgegrid validate`), choose another --start and --end, or leave them "
            "out with --allow-gaps: the report then says so",
            details={"days": list(days)},
        )


class BacktestRefused(UsageError):
    """The engine does not take what a run's files say; nothing was read."""

    code = "backtest"

    def __init__(self, file: Path, why: str, hint: str = "") -> None:
        super().__init__(
            f"{file} cannot be run: {why}",
            hint=hint or "correct it there; configs/ of `hedgegrid init` has whole examples",
            details={"path": str(file), "why": why},
        )


class EngineDied(DataError):
    """The engine's process ended without an answer."""

    code = "engine"

    def __init__(self, code: int, log: str) -> None:
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        memory = (
            "; 9 is what the system sends when memory runs out: a shorter range, or fewer tables" if code == -9 else ""
        )
        super().__init__(
            f"the engine's process {how}{memory}; its last words: {log or 'none'}",
            hint="run again with a shorter --start and --end to see where it happens",
            details={"code": code},
        )


class InstrumentUnknown(DataError):
    """No definition of an instrument, and none could be made."""

    code = "instrument"

    def __init__(self, instrument_id: str, why: str, symbol: str = "") -> None:
        said = {"base": "<BTC>", "quote": "<USD>", "multiplier": "<1>"}
        example = json.dumps({"market": "<usdm, coinm or spot>", "instruments": {symbol or "<symbol>": said}})
        super().__init__(
            f"no definition of {instrument_id}: {why}",
            hint="say which market it is with --market usdm, coinm or spot, or name it as Nautilus does with --instrument; "
            f"what nobody can know, in the file given with --config (feeds.yaml takes the same keys): {example}",
            details={"instrument_id": instrument_id},
        )


class PrecisionUnknown(InstrumentUnknown):
    """No usable value was seen that says how many decimals an instrument has."""

    def __init__(self, instrument_id: str, missing: Sequence[str], symbol: str) -> None:
        what = " and ".join(missing)
        super().__init__(instrument_id, f"{what} precision neither given nor seen in the data", symbol)
        said = {f"{name}_precision": f"<decimals of a {name}>" for name in missing}
        self.hint = (
            f"no row of the data holds a usable {what}: correct the file, or say the decimals in the file given with --config "
            f"(feeds.yaml takes the same keys): {json.dumps({'instruments': {symbol or '<symbol>': said}})}"
        )


class FileContradicts(DataError):
    """A file is of another venue, market or contract than what it is taken for; nothing was made of it."""

    code = "contradicts"

    def __init__(self, path: str, instrument_id: str, found: str, expected: str, way_out: str) -> None:
        super().__init__(
            f"{path} is not of {instrument_id}: expected {expected}, found {found}",
            hint=f"say what it is: {way_out}",
            details={"path": path, "instrument_id": instrument_id, "found": found, "expected": expected},
        )


class DayBlocked(DataError):
    """ERROR rules failed; the catalog keeps what it had."""

    code = "blocked"

    def __init__(
        self,
        day: str,
        table: str,
        failed: Sequence[str],
        files: Sequence[Mapping[str, object]] = (),
        ways_out: Sequence[str] = (),
    ) -> None:
        blamed = "".join(
            f"; {'Timestamp parsing failed' if file.get('reason') == 'unknown_time' else 'lines without a place'} "
            f"({file['file']}, line {file.get('line')}): {file['unplaced']:,} of {file['lines']:,} lines, "
            f"the first found {file.get('value')!r}"
            for file in files
        )
        super().__init__(
            f"{day} {table} is blocked: expected every ERROR rule to pass, failed: {', '.join(failed)}{blamed}",
            hint="; ".join(
                (
                    "see the rejects and the verdict of the day; a corrected raw file and a new run turn it green",
                    *ways_out,
                )
            ),
            details={"day": day, "table": table, "failed": list(failed)},
        )


class VerdictRefused(DataError):
    """The stored verdict is missing or belongs to other data."""

    code = "verdict"

    def __init__(self, day: str, table: str, why: str) -> None:
        super().__init__(
            f"{day} {table} has no verdict that allows it into the catalog: {why}",
            hint="normalize the day again; the catalog keeps what it had",
            details={"day": day, "table": table},
        )


class FileRefused(DataError):
    """A file that nothing can be made of; ``details["path"]`` names it. Other files are not stopped by it."""

    code = "file"


class RawDamaged(FileRefused):
    """A raw file does not decode to its end, or is not the file of its manifest."""

    code = "raw_damaged"

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"{path} cannot be trusted: {why}",
            hint="import or fetch the file again; nothing was published from it",
            details={"path": str(path)},
        )


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

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        super().__init__(
            f"{path} holds {len(names)} files{f' ({shown})' if shown else ''}: expected one",
            hint="unpack it, and land the files in it" if names else "there is nothing in it: remove it",
            details={"path": str(path), "members": list(names)},
        )


class OtherFormat(FileRefused):
    """A file that is no text of lines, but something that is known by its first bytes."""

    code = "format"

    def __init__(self, path: Path, kind: str) -> None:
        super().__init__(
            f"{path} is {kind}: expected lines of text, plain or in gzip, zstd, bzip2 or zip",
            hint="unpack or convert it; nothing was published from it",
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


class LinesUnplaced(FileRefused):
    """So many lines of a file get no symbol, channel or time that none of its days can be trusted."""

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
            hint="see them with `hedgegrid rejects list`, and correct the file; a share of such lines up to "
            f"max_rejected ({allowed:g}; 10 % in a file of less than 100 lines) is let through",
            details={
                "path": str(path),
                "lines": lines,
                "unplaced": unplaced,
                "reasons": dict(reasons),
                "first": dict(first),
            },
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


class MissingColumns(FileRefused):
    """The columns that a data type needs are not in a CSV file, by any name that is known."""

    code = "missing_columns"

    def __init__(
        self,
        path: Path,
        token: str,
        missing: Sequence[str],
        found: Sequence[str],
        named: Mapping[str, str | int],
        why: str = "",
        hint: str = "",
    ) -> None:
        unnamed = ", ".join(str(place) for place, name in enumerate(found) if not name)
        by_place = f'; a column without a name by its position, here {unnamed}, as in "{missing[0]}": '
        by_place = f"{by_place}{unnamed.partition(',')[0]}" if unnamed and missing else ""
        what = "<your column for {}>" if found else "<position of {}, from 0, without quotes>"
        mapping = {**named, **{column: what.format(column) for column in missing}}
        example = {"files": {token: {"file_path": path.name, "columns": mapping}}}
        super().__init__(
            f"Missing required columns ({path}): expected {', '.join(missing)} for {token}, "
            f"found {listed(list(map(repr, found))) or 'none'}{f'; {why}' if why else ''}",
            hint=hint
            or f"say which column is which in the file given with --config: {json.dumps(example, ensure_ascii=False)}{by_place}",
            details={"path": str(path), "missing": list(missing), "found": list(found), "mapping": mapping},
        )


class DecimalComma(FileRefused):
    """The numbers of a CSV column have a decimal comma, or marks between thousands: what they are is not guessed."""

    code = "decimal_comma"

    def __init__(self, path: Path, line: int, column: str, value: str) -> None:
        super().__init__(
            f"numbers cannot be read ({path}, line {line}, column {column}): expected digits with a decimal point and no "
            f"marks between thousands, as 42324.15, found {value!r}",
            hint="export the file anew with a decimal point and without separators of thousands (in a spreadsheet: the "
            "number format of this column, and the region's separators)",
            details={"path": str(path), "line": line, "column": column, "value": value},
        )


class CandlesRefused(FileRefused):
    """Candles that give none of the prices asked for, as far as the file says.

    ``columns``: ``timestamp`` and ``value`` of a mapping by which they can be read.
    """

    code = "candles"

    def __init__(self, path: Path, token: str, columns: Mapping[str, str], why: str) -> None:
        mapping = {"timestamp": columns["timestamp"], f"{token}_price": columns["value"]}
        example = {"files": {token: {"file_path": path.name, "columns": mapping}}}
        super().__init__(
            f"candles are no {token} prices ({path}): expected {token} prices, found candles (open, high, low, close), "
            f"and {why}",
            hint=f"if they are candles of {token} prices, say so in the file given with --config: "
            f"{json.dumps(example, ensure_ascii=False)} (under a name that says nothing else)",
            details={"path": str(path), "token": token, "mapping": mapping},
        )


class DaysOnly(FileRefused):
    """The time column of trades holds days: without the time of day, all of them would lie at midnight.

    ``named``: what is read from which column; ``fmt``: the ``timestamp_format`` that takes the days as they are.
    """

    code = "days_only"

    def __init__(self, path: Path, line: int, value: str, named: Mapping[str, str | int], fmt: str) -> None:
        column = named["timestamp"]
        columns = {**named, "timestamp": f"{column}+<your column for the time of day>"}
        example = {"files": {"trades": {"file_path": path.name, "columns": columns}}}
        super().__init__(
            f"Timestamp parsing failed ({path}, line {line}, column {column}): "
            f"expected the time of day of each trade, found days only, such as {value!r}",
            hint="say which column has the time (of day) in the file given with --config: "
            f"{json.dumps(example, ensure_ascii=False)}; where none has it, "
            f'"timestamp_format": {json.dumps(fmt)} takes all trades at midnight',
            details={"path": str(path), "line": line, "column": column, "value": value, "mapping": columns},
        )


class HeaderChanges(FileRefused):
    """In the middle of a CSV file begin rows of other columns: files of several layouts were laid end to end."""

    code = "header_changes"

    def __init__(self, path: Path, line: int, expected: Sequence[str], found: Sequence[str]) -> None:
        super().__init__(
            f"another header in the middle ({path}, line {line}): expected {listed(expected)}, found {listed(found)}",
            hint=f"cut the file before line {line}, and land each part under a name of its own",
            details={"path": str(path), "line": line, "expected": list(expected), "found": list(found)},
        )


class SidesUnknown(FileRefused):
    """A column of sides holds values of which nobody can say whether they are buy or sell."""

    code = "sides"

    def __init__(self, path: Path, column: str, values: Sequence[str]) -> None:
        sides = dict.fromkeys(values, "<buy, sell or none>")
        example = {"files": {"trades": {"file_path": path.name, "sides": sides, "side_is": "taker"}}}
        super().__init__(
            f"sides cannot be told ({path}, column {column}): expected buy and sell or the like, "
            f"found {', '.join(map(repr, values))}",
            hint="say which is which with the key sides in the file given with --config, and with side_is whether it is "
            f"the taker's side or the maker's: {json.dumps(example, ensure_ascii=False)}",
            details={"path": str(path), "column": column, "values": list(values)},
        )


class TimestampParsingFailed(FileRefused):
    """The times of a CSV column are of no format that is known, or not of the one that was given."""

    code = "timestamp"

    def __init__(
        self,
        path: Path,
        line: int,
        column: str,
        value: str,
        given: str | None,
        fits: str | None,
        *,
        rounded: bool = False,
    ) -> None:
        expected = f"times like {given}" if given else "ISO 8601, US format or a number since 1970"
        expected = "all the digits that the unit of a time needs" if rounded else expected
        super().__init__(
            f"Timestamp parsing failed ({path}, line {line}, column {column}): expected {expected}, found {value!r}",
            hint="a spreadsheet has rounded these times: take the file as it was before, or export it anew with this column as text"
            if rounded
            else 'say the format in the file given with --config, at the top or beside file_path: "timestamp_format": '
            + (f'"{fits}"' if fits else '"%Y-%m-%d %H:%M:%S.%f" (letters as in strptime; s, ms, us or ns for numbers)'),
            details={"path": str(path), "line": line, "column": column, "value": value, "timestamp_format": fits},
        )


class TooManyOddLines(DataError):
    """More lines than the exact slow reader takes were refused by the fast one."""

    code = "odd_lines"

    def __init__(self, path: Path, cap: int) -> None:
        super().__init__(
            f"{path} is not what its source says: more than {cap:,} lines need the exact slow reader",
            hint="check that the file is in the format of its source; look at its first lines",
            details={"path": str(path), "cap": cap},
        )


class CatalogDiffers(DataError):
    """What was written does not read back equal to the frame; it was not published."""

    code = "read_back"

    def __init__(self, day: str, table: str, why: str) -> None:
        super().__init__(
            f"{day} {table} does not read back equal to its frame: {why}",
            hint="nothing was published; check disk and memory, then run again",
            details={"day": day, "table": table},
        )


class EnvironmentFault(HedgegridError):
    """Disk, permissions, network or installed versions."""

    code = "environment"


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


class NautilusUnfit(EnvironmentFault):
    """The NautilusTrader beside us cannot read what we write; some of them read it as empty, without an error."""

    code = "nautilus"

    def __init__(self, found: str, why: str) -> None:
        super().__init__(
            f"this catalog's form is NautilusTrader 1.x of 128 bits: expected {NAUTILUS_WANTED}, found {found}, {why}",
            hint=f"run: python -m pip install 'nautilus_trader{NAUTILUS_WANTED}'",
            details={"found": found, "expected": NAUTILUS_WANTED},
        )


class NoNautilusForm(EnvironmentFault):
    """A table that is not declared for a generation of NautilusTrader."""

    code = "nautilus"

    def __init__(self, table: str, generation: int, known: Sequence[int]) -> None:
        super().__init__(
            f"{table} has no form for NautilusTrader {generation}.x: "
            f"expected a generation that it is declared for ({', '.join(map(str, known)) or 'none'}), found {generation}",
            hint="leave this table out, or write the catalog for another generation",
            details={"table": table, "generation": generation, "known": list(known)},
        )


class DocumentDamaged(EnvironmentFault):
    """A file that we made ourselves (a verdict, a manifest, a frame, ...) and that is not what it must be any more."""

    code = "damaged"

    def __init__(self, path: Path, kind: str, why: str, remedy: str) -> None:
        super().__init__(
            f"{path} is damaged: expected {kind}, found {why}",
            hint=remedy,
            details={"path": str(path), "expected": kind, "found": why},
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


class RemoteFault(EnvironmentFault):
    """A provider did not give what was asked for; nothing was published from it.

    ``transient``: it may well work later, and running again is all there is to do.
    """

    code = "remote"

    def __init__(
        self, what: str, why: str, *, hint: str, transient: bool, details: dict[str, object] | None = None
    ) -> None:
        super().__init__(f"cannot fetch {what}: {why}", hint=hint, details={"what": what} | (details or {}))
        self.transient = transient


class ArchiveFileUnproven(RemoteFault):
    """A published file is not the one that the checksum file beside it was made of."""

    code = "checksum"

    def __init__(self, url: str, checksum_file: str, expected: str, found: str) -> None:
        said = (
            f"expected sha256 {expected} as in {checksum_file}" if expected else f"expected {checksum_file} beside it"
        )
        super().__init__(
            url,
            f"{said}, found {found}",
            hint="the archive may mend it later; if you have looked at the file and want it as it is, say "
            f"--accept-checksum {found} (feeds.yaml: accept_checksum under settings)",
            transient=False,
            details={"url": url, "expected": expected, "found": found},
        )


class KeyRequired(RemoteFault):
    """The provider gives this to holders of a key only."""

    code = "key_required"

    def __init__(self, what: str, why: str, variable: str) -> None:
        super().__init__(
            what,
            why,
            hint=f'export {variable}=..., or put {{"api_key": "..."}} into the file of --config; '
            "without a key, the first day of each month is free",
            transient=False,
        )
        self.message = f"Tardis API key required ({what}): {why}"


class RateLimited(RemoteFault):
    """The provider asks to wait for longer than a run should."""

    code = "rate_limited"

    def __init__(self, what: str, seconds: float | None, until: str) -> None:
        asked = (
            f"it asks to wait {seconds:,.0f} s, until {until}"
            if seconds is not None
            else "it does not say for how long"
        )
        super().__init__(
            what,
            f"rate limit reached (429): {asked}",
            hint="run again then: what is fetched already is kept; a larger plan has larger limits",
            transient=True,
            details={"retry_after_s": seconds, "until": until},
        )
