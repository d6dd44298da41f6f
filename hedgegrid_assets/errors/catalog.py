"""What a catalog does not take, and days that do not get into it."""

import re
import shlex
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Final

from hedgegrid_assets.errors.base import DataError, EnvironmentFault, UsageError, listed

NAUTILUS_WANTED: Final = {1: ">=1.231,<2", 2: ">=2.0.0rc7,<3"}
"""Generation of a catalog -> the versions of nautilus_trader that read it."""


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

    def __init__(self, day: str, table: str, files: Sequence[PathLike[str]], why: str, hint: str) -> None:
        shown = ", ".join(map(str, files[:5])) + (f" and {len(files) - 5} more" if len(files) > 5 else "")
        super().__init__(
            f"{day} {table} is refused: expected no file of another writer in its place, found {shown} ({why})",
            hint=hint,
            details={"day": day, "table": table, "files": [str(path) for path in files]},
        )


class ForeignDefinition(Refused):
    """A definition that we did not write would be replaced by one that is only inferred."""

    code = "foreign_definition"

    def __init__(self, instrument_id: str, files: Sequence[PathLike[str]], catalog: PathLike[str]) -> None:
        aside = f"{catalog}/set-aside"
        moved = shlex.join(map(str, files))
        super().__init__(
            f"{instrument_id} is refused: expected no definition of another writer, found {', '.join(map(str, files))}; "
            f"ours would only be inferred from the data",
            hint=f"the catalog keeps what it had; use another --output, or let the venue's own definition replace it with "
            f"`hedgegrid instruments import`, or move theirs away and run again: mkdir -p {shlex.quote(aside)} && mv {moved} "
            f"{shlex.quote(aside)}",
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


class NoGapThere(DataError):
    """An outage is said where the data have no gap."""

    code = "no_gap"

    def __init__(self, instrument_id: str, start: str, end: str, gaps: Sequence[str]) -> None:
        super().__init__(
            f"no gap of {instrument_id} lies in {start} .. {end}: expected one, found {listed(gaps, 5) or 'none near it'}",
            hint="`hedgegrid gaps` lists every gap with its start and end; name a time that holds the whole of it",
            details={"gaps": list(gaps[:100])},
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


class NautilusUnfit(EnvironmentFault):
    """The NautilusTrader beside us reads none of the forms that we write."""

    code = "nautilus"

    def __init__(self, found: str, why: str) -> None:
        wanted = ", ".join(NAUTILUS_WANTED.values())
        super().__init__(
            f"catalogs are for NautilusTrader 1.x of 128 bits, or for 2.x: expected one of {wanted}, found {found}, {why}",
            hint=f"run: {_installing(1)}, or for catalogs of 2.x: {_installing(2)}",
            details={"found": found, "expected": list(NAUTILUS_WANTED.values())},
        )


def _installing(generation: int) -> str:
    pre = "--pre " if generation > 1 else ""
    return f"python -m pip install {pre}'nautilus_trader{NAUTILUS_WANTED[generation]}'"


class OtherInstalled(EnvironmentFault):
    """A catalog for one generation of NautilusTrader beside the other, which reads it as empty, without an error."""

    code = "nautilus"

    def __init__(self, catalog: PathLike[str], held: int, found: str) -> None:
        other = 3 - held
        way = f"hedgegrid catalog convert --nautilus {other} --catalog {_named(catalog)} --output {_named(catalog)}-{other}"
        super().__init__(
            f"{catalog} is for NautilusTrader {held}.x: expected {NAUTILUS_WANTED[held]}, found {found}, "
            "which reads it as empty, without an error",
            hint=f"run: {_installing(held)}; or make a catalog for {other}.x of it: {way}; if it is read elsewhere, by "
            f"{held}.x, say --nautilus {held} (in a feed: nautilus: {held})",
            details={"catalog": str(catalog), "held": held, "found": found, "expected": NAUTILUS_WANTED[held]},
        )


class ReaderMissing(EnvironmentFault):
    """NautilusTrader itself is to read a catalog, and the one at hand is not of its generation."""

    code = "nautilus"

    def __init__(self, catalog: PathLike[str], held: int, found: str | None) -> None:
        super().__init__(
            f"{catalog} cannot be read with NautilusTrader itself (--deep): expected {NAUTILUS_WANTED[held]}, "
            f"found {found or 'none'}",
            hint=f"leave out --deep, or where no other version is needed run: {_installing(held)}",
            details={"catalog": str(catalog), "held": held, "found": found, "expected": NAUTILUS_WANTED[held]},
        )


class EngineOfOther(EnvironmentFault):
    """A backtest on a catalog for another generation of NautilusTrader than any that is at hand."""

    code = "nautilus"

    def __init__(self, catalog: PathLike[str], held: int, found: str | None, variable: str) -> None:
        other = 3 - held
        beside = f"{_named(catalog)}-{other}"
        super().__init__(
            f"{catalog} is for NautilusTrader {held}.x: expected {NAUTILUS_WANTED[held]} to run the backtest, found {found or 'none'}, "
            f"and no {variable} that names a Python with it",
            hint=f"let {variable} name the Python of an environment with it, made by: {making_engine(held)}; or make a catalog for "
            f"{other}.x: hedgegrid catalog convert --nautilus {other} --catalog {_named(catalog)} --output {beside}, and run-backtest with "
            f"--catalog {beside}",
            details={"catalog": str(catalog), "held": held, "found": found, "expected": NAUTILUS_WANTED[held]},
        )


class EngineNotThere(EnvironmentFault):
    """The Python that is to run a backtest is none."""

    code = "nautilus"

    def __init__(self, variable: str, named: str) -> None:
        super().__init__(
            f"{variable} names no Python: expected a program that can be run, found {named}",
            hint=f"let it name one such as nautilus/bin/python, made by: {making_engine(int(variable[8]))}",
            details={"variable": variable, "path": named},
        )


class EngineLacks(EnvironmentFault):
    """The Python that is to run a backtest lacks a package."""

    code = "nautilus"

    def __init__(self, python: str, package: str) -> None:
        super().__init__(
            f"{python} cannot run backtests: expected {', '.join(_OF_AN_ENGINE)} beside nautilus_trader, found no {package}",
            hint=f"run: {python} -m pip install {' '.join(_OF_AN_ENGINE)}",
            details={"path": python, "package": package},
        )


_OF_AN_ENGINE: Final = ("msgspec", "numpy", "polars", "pyarrow", "pydantic")


def making_engine(generation: int) -> str:
    """The commands that make an environment which can run backtests for a generation."""
    pre = "--pre " if generation > 1 else ""
    wanted = f"'nautilus_trader{NAUTILUS_WANTED[generation]}' {' '.join(_OF_AN_ENGINE)}"
    return f"python -m venv nautilus{generation} && nautilus{generation}/bin/pip install {pre}{wanted}"


class OtherForm(Refused):
    """A catalog is for another generation of NautilusTrader than it is to be written, or looked at, for."""

    code = "form"

    def __init__(self, catalog: PathLike[str], held: int, said: int) -> None:
        way = (
            f"hedgegrid catalog convert --nautilus {said} --catalog {_named(catalog)} --output {_named(catalog)}-{said}"
        )
        super().__init__(
            f"{catalog} is for NautilusTrader {held}.x: expected the same, found --nautilus {said}",
            hint=f"nothing was changed; leave out --nautilus (in a feed: nautilus), use another --output, or make a catalog "
            f"for {said}.x of it: {way}",
            details={"catalog": str(catalog), "held": held, "said": said},
        )


class ConversionRefused(UsageError):
    """A catalog cannot be made of another in this place, or for this generation."""

    code = "convert"

    def __init__(self, catalog: PathLike[str], why: str, hint: str = "") -> None:
        super().__init__(
            f"{catalog} is not converted: expected another --nautilus than its own, and an --output beside it, found that {why}",
            hint=hint or "name the other generation with --nautilus, and a folder of its own with --output",
            details={"catalog": str(catalog), "why": why},
        )


class FormsMixed(EnvironmentFault):
    """Files for both generations of NautilusTrader in one catalog: neither reads those of the other."""

    code = "form"

    def __init__(self, catalog: PathLike[str], told: Mapping[int, str]) -> None:
        by = ", ".join(f"{generation}.x by {path}" for generation, path in told.items())
        super().__init__(
            f"{catalog} is for two generations of NautilusTrader: expected one, found {by}",
            hint="neither reads the files of the other, and definitions have one place; move those that do not belong there "
            "out of the catalog (our frames stay), then run again: what is missing is made anew from the frames",
            details={"catalog": str(catalog), "found": {str(generation): path for generation, path in told.items()}},
        )


def _named(path: PathLike[str]) -> str:
    return shlex.quote(str(path))


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

    def __init__(self, path: PathLike[str], kind: str, why: str, remedy: str) -> None:
        super().__init__(
            f"{path} is damaged: expected {kind}, found {why}",
            hint=remedy,
            details={"path": str(path), "expected": kind, "found": why},
        )


class StoreConflict(EnvironmentFault):
    """Another writer was there first: what was to be replaced is not what was read, or a name is taken."""

    code = "conflict"

    def __init__(self, path: str, expected: str, found: str) -> None:
        super().__init__(
            f"{path} is being written by another: expected {expected}, found {found}",
            hint="it was left as it is; run again when the other run is done",
            details={"path": path, "expected": expected, "found": found},
        )


class StoreUnreachable(EnvironmentFault):
    """A bucket that cannot be worked with: not there, not allowed, or a server that lacks what is needed."""

    code = "store"

    def __init__(self, path: str, why: str, remedy: str) -> None:
        super().__init__(f"cannot work with {path}: {why}", hint=remedy, details={"path": path, "why": why})


class NoSuchStore(UsageError):
    """An address of what is neither a disk nor a bucket that is known."""

    code = "address"

    def __init__(self, address: str) -> None:
        super().__init__(
            f"no such place: expected a folder of this machine, or s3://bucket/prefix, found {address}",
            hint="other servers that speak S3 are named by AWS_ENDPOINT_URL; copy what lies elsewhere to a disk or such a bucket",
            details={"address": address},
        )


class NeedsDisk(UsageError):
    """Something that only a catalog on a disk of this machine can have done to it."""

    code = "disk"

    def __init__(self, what: str, path: str) -> None:
        super().__init__(
            f"{what} needs a disk: expected a folder of this machine, found {path}",
            hint="copy the catalog to a disk, do it there, and copy it back",
            details={"path": path},
        )


class BackupRefused(DataError):
    """An archive that cannot be restored; what stands stays as it is."""

    code = "backup"

    def __init__(self, archive: PathLike[str], why: str) -> None:
        super().__init__(
            f"{archive} is refused: expected a whole backup of `hedgegrid backup`, found that {why}",
            hint="nothing was changed; take another copy of it, or an earlier backup",
            details={"path": str(archive), "why": why},
        )
