"""The other side of a catalog: how long Nautilus' own reader takes for our files, and for files that nautilus wrote."""

import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

from benchmarks import DAY, INSTRUMENT
from benchmarks.measure import run

if TYPE_CHECKING:
    from nautilus_trader.persistence.catalog import ParquetDataCatalog

    type Question = Callable[[ParquetDataCatalog], int]

_SMALL_DAYS: Final = 365
_SIM: Final = INSTRUMENT.replace("BINANCE", "SIM")


@dataclass(frozen=True, slots=True)
class Query:
    """Median time in ms of one query, on our files and on nautilus' own."""

    title: str
    rows: int
    ours: float
    nautilus: float

    @property
    def ratio(self) -> float:
        """Ours in nautilus' times."""
        return self.ours / self.nautilus


def queries(trades: Path, work: Path, rounds: int = 5) -> list[Query]:
    """Ask two catalogs of the same rows the same: a day of 2M trades, and a year of small days."""
    from nautilus_trader.model.data import TradeTick
    from nautilus_trader.persistence.catalog import ParquetDataCatalog

    for side in ("ours_trades", "nautilus_fastest"):
        run(side, trades, work / side)
    run("ours_days", Path(f"{_SMALL_DAYS}-2"), work / "ours_days")
    shutil.rmtree(work / "nautilus_days", ignore_errors=True)
    big = {who: ParquetDataCatalog(str(work / side / "catalog")) for who, side in _BIG.items()}
    year = {who: ParquetDataCatalog(str(work / side / "catalog")) for who, side in _YEAR.items()}
    for number in range(_SMALL_DAYS):
        day = DAY + timedelta(days=number)
        rows = year["ours"].query(TradeTick, identifiers=[_SIM], start=f"{day}", end=f"{day}T23:59:59.999999999")
        year["nautilus"].write_data(rows)

    middle = DAY + timedelta(days=_SMALL_DAYS // 2)

    def rows(instrument: str, start: str | None = None, end: str | None = None) -> "Question":
        return lambda catalog: len(catalog.query(TradeTick, identifiers=[instrument], start=start, end=end))

    def both_ends(catalog: "ParquetDataCatalog") -> int:
        ends = catalog.query_first_timestamp(TradeTick, _SIM), catalog.query_last_timestamp(TradeTick, _SIM)
        return len(set(ends) - {None})

    return [
        _asked(title, catalogs, question, rounds)
        for title, catalogs, question in (
            ("a full day of 2M trades", big, rows(INSTRUMENT, f"{DAY}", f"{DAY}T23:59:59.999999999")),
            ("one minute of that day", big, rows(INSTRUMENT, f"{DAY}T12:00", f"{DAY}T12:01")),
            ("one small day of 365", year, rows(_SIM, f"{middle}", f"{middle}T23:59:59.999999999")),
            ("all of 365 small days", year, rows(_SIM)),
            ("first and last timestamp of 365 days", year, both_ends),
        )
    ]


_BIG: Final = {"ours": "ours_trades", "nautilus": "nautilus_fastest"}
_YEAR: Final = {"ours": "ours_days", "nautilus": "nautilus_days"}


def _asked(title: str, catalogs: "Mapping[str, ParquetDataCatalog]", question: "Question", rounds: int) -> Query:
    times: dict[str, list[float]] = {who: [] for who in catalogs}
    rows: dict[str, int] = {}
    for number in range(rounds + 1):
        for who, catalog in catalogs.items():
            started = time.perf_counter()
            rows[who] = question(catalog)
            if number:  # the first one warms up
                times[who].append((time.perf_counter() - started) * 1e3)
    if len(set(rows.values())) > 1:
        raise RuntimeError(f"{title}: the answers differ: {rows}")
    sys.stderr.write(f"  {title}: {rows['ours']:,} rows\n")
    return Query(title, rows["ours"], median(times["ours"]), median(times["nautilus"]))
