"""The last runs of a Dagster instance, read from its own database: importing Dagster takes two seconds, this a millisecond.

What is read here of Dagster's is private to it (``history/runs.db``, its table ``runs``); a test holds it to the
installed version. An instance whose runs are elsewhere (Postgres, another folder) is named, and not asked.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from hedgegrid_assets.config.paths import dagster_home

_RUNS: Final = "history/runs.db"
_SHOWN: Final = 5
_ELSEWHERE: Final = ("storage:", "run_storage:")
_LAST: Final = (
    "SELECT run_id, pipeline_name, status, partition, start_time, end_time FROM runs {where} ORDER BY id DESC LIMIT ?"
)
_RANGES: Final = "SELECT run_id, key, value FROM run_tags WHERE run_id IN ({runs}) AND key IN (?, ?)"
_RANGE_TAGS: Final = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
_COUNTS: Final = "SELECT status, COUNT(*) FROM runs {where} GROUP BY status"


class Run(Struct, frozen=True):
    """One run; ``partition``: or those of a block, as ``first ... last``; ``started``: UTC, to the second, None before it has begun; ``seconds``: None before its end."""

    id: str
    job: str
    status: str
    partition: str | None
    started: datetime | None
    seconds: float | None

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "run_id": self.id,
            "job": self.job,
            "status": self.status,
            "partition": self.partition,
            "started": None if self.started is None else self.started.isoformat(),
            "seconds": self.seconds,
        }


class Runs(Struct, frozen=True):
    """What an instance tells of its runs: how many of each status, and the last ones. ``unknown``: why it tells nothing."""

    home: Path
    counts: Mapping[str, int]
    last: Sequence[Run]
    unknown: str = ""

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        last = [run.to_dict() for run in self.last]
        return {"home": str(self.home), "counts": dict(self.counts), "last": last, "unknown": self.unknown or None}


def last_runs(feed: str | None = None) -> Runs | None:
    """The last runs of the instance of this place (of a feed's jobs); None where there is no instance."""
    home = dagster_home().absolute()
    if not home.is_dir():
        return None
    if _is_elsewhere(home / "dagster.yaml"):
        return Runs(home, {}, (), "its dagster.yaml keeps runs in another place: see the UI")
    if not (home / _RUNS).is_file():
        return Runs(home, {}, ())
    try:
        return _read(home, feed)
    except sqlite3.Error as error:
        return Runs(home, {}, (), f"{home / _RUNS} could not be read ({error}): see the UI")


def _is_elsewhere(settings: Path) -> bool:
    lines = settings.read_text(encoding="utf-8").splitlines() if settings.is_file() else []
    return any(line.startswith(_ELSEWHERE) for line in lines)


def _read(home: Path, feed: str | None) -> Runs:
    """Read-only: a run may be going on."""
    where, asked = ("WHERE pipeline_name LIKE ? ESCAPE '\\'", (_like(feed),)) if feed else ("", ())
    with closing(sqlite3.connect(f"{(home / _RUNS).as_uri()}?mode=ro", uri=True, timeout=2.0)) as database:
        counts = dict(database.execute(_COUNTS.format(where=where), asked))
        rows = list(database.execute(_LAST.format(where=where), (*asked, _SHOWN)))
        ranges = _ranges(database, [row[0] for row in rows])
    return Runs(home, counts, [_run(row, ranges.get(row[0])) for row in rows])


def _ranges(database: sqlite3.Connection, runs: Sequence[str]) -> dict[str, str]:
    """Run -> the partitions of a block, from first to last."""
    found: dict[str, dict[str, str]] = {}
    marks = ", ".join("?" * len(runs))
    for run_id, key, value in database.execute(_RANGES.format(runs=marks), (*runs, *_RANGE_TAGS)):
        found.setdefault(run_id, {})[key] = value
    ends = {run_id: [tags[key] for key in _RANGE_TAGS if key in tags] for run_id, tags in found.items()}
    return {run_id: " ... ".join(dict.fromkeys(each)) for run_id, each in ends.items()}


def _like(feed: str) -> str:
    """The jobs of a feed: ``<feed>_days``, ``<feed>_import``, and the runs of its assets alone."""
    return feed.replace("_", "\\_") + "\\_%"


type _Row = tuple[str, str, str, str | None, float | None, float | None]
"""As ``_LAST`` gives them; times in seconds since 1970."""


def _run(row: _Row, block: str | None) -> Run:
    run_id, job, status, partition, start, end = row
    seconds = round(end - start, 1) if start and end else None
    started = datetime.fromtimestamp(int(start), UTC) if start else None
    return Run(run_id, job, status, partition or block, started, seconds)
