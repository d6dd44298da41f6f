"""What a backtest does not find, or its engine does not take."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from hedgegrid_assets.errors.base import DataError, UsageError, listed, several


class BacktestFileError(UsageError):
    """A file of a backtest or of its strategy cannot be used: each problem names line and key."""

    code = "backtest_file"

    def __init__(
        self,
        path: Path,
        problems: Sequence[str],
        hint: str = "correct the lines named; configs/backtest/ and configs/strategies/ of `hedgegrid init` are whole examples",
    ) -> None:
        super().__init__(
            f"{path} is not usable: {several(problems)}",
            hint=hint,
            details={"path": str(path), "problems": list(problems)},
        )


class NoSuchCatalog(DataError):
    """There is no catalog where one is looked for; ``catalog``: its absolute path."""

    code = "no_catalog"

    def __init__(self, catalog: str) -> None:
        super().__init__(
            f"no catalog (data: catalog_path, or --catalog): expected a folder with data/ in it, found none at {catalog}",
            hint="make one with `hedgegrid demo`, `hedgegrid generate-sample-data` or `hedgegrid replay-to-parquet`, or name another "
            "with --catalog",
            details={"catalog": catalog},
        )


class InstrumentNotHeld(DataError):
    """A catalog has no definition of an instrument."""

    code = "instrument"

    def __init__(self, instrument_id: str, catalog: PathLike[str], there: Sequence[str]) -> None:
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
