"""Against an S3 server on loopback, and with Celery workers: ``python -m benchmarks.buckets [bucket|idle|query|workers ...]``.

The server, its workers and what is measured share this machine. Needs ``make servers``, PostgreSQL and Redis; what is not
here is left out.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks import DAY
from hedgegrid_assets import catalog_config
from hedgegrid_assets.store import stored
from hedgegrid_assets_tests.standins import s3
from hedgegrid_assets_tests.standins.between import between
from hedgegrid_assets_tests.trial_scale import Asked, Told, trial

if TYPE_CHECKING:
    from nautilus_trader.persistence.catalog import ParquetDataCatalog

_HERE: Final = Path(__file__).resolve().parent.parent
_BENCH: Final = _HERE / ".bench"
_ID: Final = "BTCUSDT-PERP.BINANCE"
_DAYS, _TRADES = 30, 100_000
_YEAR: Final = 365
_ROUNDS: Final = 3
_HEAD: Final = "timestamp,price,size,side,trade_id\n"
_NS_A_DAY: Final = 86_400_000_000_000


@dataclass(frozen=True, slots=True)
class Took:
    """One process, in s, and the requests that it sent, if they were counted."""

    seconds: float
    cpu: float
    requests: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: what, how it went on a disk and in the bucket, and the budget."""

    what: str
    disk: str
    bucket: str
    ratio: str
    budget: str


class Bench:
    """A server, a folder for everything, and the commands that work on them."""

    def __init__(self, folder: Path, server: str) -> None:
        self.folder, self.server = folder, server

    def file(self, days: int, trades: int) -> Path:
        """A CSV file of days with so many trades."""
        path = self.folder / f"{days}-{trades}.csv"
        if not path.exists():
            step = _NS_A_DAY // trades
            with path.open("w") as out:
                out.write(_HEAD)
                for number in range(days * trades):
                    at = (1_704_067_200_000_000_000 + number * step) // 1_000_000
                    out.write(f"{at},{42_000 + number % 977 / 10:.1f},0.00{1 + number % 9},buy,{number}\n")
        return path

    def convert(self, file: Path, catalog: str, server: str, scratch: str = "scratch") -> Took:
        """Make, or look at, a catalog of a file's days, in a process of its own."""
        command = [
            *(sys.executable, "-m", "hedgegrid_assets", "replay-to-parquet", "--quiet", "--source", "csv"),
            *("--symbol", "BTCUSDT", "--data-types", "trades", "--input", str(file)),
            *("--data", str(self.folder / f"data-{file.stem}"), "--output", catalog),
        ]
        own = {"AWS_ENDPOINT_URL": server, "HEDGEGRID_SCRATCH": str(self.folder / scratch)}
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=_HERE, env=os.environ | own)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
        return Took(time.perf_counter() - started, usage.ru_utime + usage.ru_stime)

    def counted(self, file: Path, catalog: str, scratch: str) -> int:
        """Requests of a run that finds everything done; in a scratch of its own, where nothing is known of this address, the first."""
        with between(self.server) as found:
            if scratch == "scratch":
                self.convert(file, catalog, found.address, scratch)
                found.asked.clear()
            self.convert(file, catalog, found.address, scratch)
            return len(found.asked)


# ---------------------------------------------------------------- what is measured


def _to_bucket(bench: Bench) -> Iterator[Row]:
    """The same days to a disk and to a bucket, in turn; raw days are at hand."""
    file = bench.file(_DAYS, _TRADES)
    disk = bench.folder / "catalog"
    bench.convert(file, str(disk), bench.server)
    local: list[Took] = []
    sent: list[Took] = []
    for _ in range(_ROUNDS):
        shutil.rmtree(disk)
        local.append(bench.convert(file, str(disk), bench.server))
        bucket = f"s3://{s3.new_bucket()}/catalog"
        sent.append(bench.convert(file, bucket, bench.server))
    if (differ := _differing(bucket, disk)) is not None:
        raise RuntimeError(f"{bucket} is not as {disk}: {differ}")
    (bench.folder / "bucket").write_text(bucket)
    what = f"{_DAYS} days of {_TRADES:,} trades"
    yield _row(what, min(each.seconds for each in local), min(each.seconds for each in sent), "s", 1.3)
    yield _row(f"{what}, CPU", min(each.cpu for each in local), min(each.cpu for each in sent), "s")


def _differing(bucket: str, disk: Path) -> str | None:
    """A Parquet file that is not the same in both."""
    held = {path.below(stored(bucket)): path for path in stored(bucket).tree() if path.name.endswith(".parquet")}
    wanted = {str(path.relative_to(disk)): path for path in disk.rglob("*.parquet") if path.is_file()}
    unlike = held.keys() ^ wanted.keys() or {
        name for name, path in wanted.items() if path.read_bytes() != held[name].read_bytes()
    }
    return min(unlike, default=None)


def _idle(bench: Bench) -> Iterator[Row]:
    """A year that is there already: on the machine that made it, and on one that knows nothing."""
    file = bench.file(_YEAR, 24)
    disk, bucket = str(bench.folder / "year"), f"s3://{s3.new_bucket()}/year"
    for catalog in (disk, bucket):
        bench.convert(file, catalog, bench.server)
    local = min(bench.convert(file, disk, bench.server).seconds for _ in range(_ROUNDS))
    scratches = {"": ["scratch"] * _ROUNDS, " from an empty scratch": [f"empty-{n}" for n in range(_ROUNDS)]}
    for told, scratch in scratches.items():
        seconds = min(bench.convert(file, bucket, bench.server, each).seconds for each in scratch)
        requests = bench.counted(file, bucket, "counted" if told else "scratch")
        yield Row(
            f"nothing to do over {_YEAR} days{told}",
            f"{local:.2f} s",
            f"{seconds:.2f} s, {requests} requests",
            f"{seconds / local:.2f}",
            f"≤ 400 requests {_kept(requests <= 400)}, ≤ 3 s {_kept(seconds <= 3)}",
        )


def _query(bench: Bench) -> Iterator[Row]:
    """A day by Nautilus' own reader, which opens every file of the folder: of the days that ``_to_bucket`` has made, and a long one."""
    from nautilus_trader.persistence.catalog import ParquetDataCatalog

    small = (bench.folder / "catalog", (bench.folder / "bucket").read_text(), _TRADES, DAY + timedelta(days=_DAYS // 2))
    large = (bench.folder / "long", f"s3://{s3.new_bucket()}/long", 10 * _TRADES, DAY)
    for place in large[:2]:
        bench.convert(bench.file(1, large[2]), str(place), bench.server)
    for disk, bucket, trades, day in (small, large):
        catalogs = [ParquetDataCatalog(**catalog_config(place)) for place in (disk, bucket)]
        on_disk, in_bucket = zip(*(_asked(catalogs, day, trades) for _ in range(4 * _ROUNDS)), strict=True)
        yield _row(f"a day of {trades:,} trades by Nautilus' reader", min(on_disk[1:]), min(in_bucket[1:]), "ms", 1.5)


def _asked(catalogs: "Sequence[ParquetDataCatalog]", day: date, trades: int) -> Iterator[float]:
    """Milliseconds that each took for a day. Raises RuntimeError if it gives another number of trades."""
    for catalog in catalogs:
        started = time.perf_counter()
        found = catalog.trade_ticks([_ID], start=f"{day}", end=f"{day}T23:59:59.999999999")
        if len(found) != trades:
            raise RuntimeError(f"{catalog.path}: {len(found)} trades of {day}, not {trades}")
        yield 1e3 * (time.perf_counter() - started)


def _row(what: str, disk: float, bucket: float, unit: str, budget: float | None = None) -> Row:
    ratio = bucket / disk
    told = "" if budget is None else f"≤ {budget}× {_kept(ratio <= budget)}"
    return Row(what, f"{disk:.2f} {unit}", f"{bucket:.2f} {unit}", f"{ratio:.2f}", told)


def _kept(kept: bool) -> str:
    return "kept" if kept else "**missed**"


_CASES: Final[Mapping[str, Callable[[Bench], Iterator[Row]]]] = {"bucket": _to_bucket, "idle": _idle, "query": _query}
"""``query`` reads what ``bucket`` has made."""


def _workers(days: int) -> Iterator[str]:
    """The same days by one, two and three workers, nobody killed."""
    yield "| workers | wall s | CPU s of all workers | CPU a day | to one worker | budget |"
    yield "|---:|---:|---:|---:|---:|---|"
    one: Told | None = None
    for workers in (1, 2, 3):
        with tempfile.TemporaryDirectory(prefix="workers-", dir=_BENCH) as folder:
            told = trial(Asked(symbols=1, days=days, block=10, workers=workers, kills=0, patience=7200), Path(folder))
        if not told.ok:
            raise RuntimeError(f"{workers} workers: {told}")
        one = one or told
        more = told.cpu / one.cpu - 1
        budget = "" if told is one else f"≤ 15 % {_kept(more <= 0.15)}"
        sys.stderr.write(f"  {workers} workers: {told.work:.0f} s, {told.cpu:.0f} CPU s\n")
        yield f"| {workers} | {told.work:.0f} | {told.cpu:.0f} | {told.cpu / days:.2f} | {more:+.0%} | {budget} |"


# ---------------------------------------------------------------- all of them


@contextmanager
def _bench(program: str) -> Iterator[Bench]:
    _BENCH.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bucket-", dir=_BENCH) as name:
        folder = Path(name)
        (folder / "weed").mkdir()
        with s3.running(program, folder / "weed") as server:
            os.environ |= {
                "AWS_ACCESS_KEY_ID": s3.KEYS[0],
                "AWS_SECRET_ACCESS_KEY": s3.KEYS[1],
                "AWS_ENDPOINT_URL": server,
                "AWS_REGION": "us-east-1",
                "AWS_ALLOW_HTTP": "true",
                "HEDGEGRID_SCRATCH": str(folder / "scratch"),
            }
            yield Bench(folder, server)


def table(wanted: Sequence[str] = (), days: int = 60) -> Iterator[str]:
    """The measurements as tables; all of them, if none is named."""
    program = s3.weed()
    if program is None:
        sys.stderr.write("left out, as there is no S3 server (make servers): buckets and workers\n")
        return
    named = [name for name in _CASES if not wanted or name in wanted]
    if named:
        yield "| a bucket on loopback | disk | bucket | ratio | budget |"
        yield "|---|---:|---:|---:|---|"
        with _bench(program) as bench:
            for name in named:
                for row in _CASES[name](bench):
                    sys.stderr.write(f"  {row.what}: {row.disk}, {row.bucket}\n")
                    yield f"| {row.what} | {row.disk} | {row.bucket} | {row.ratio} | {row.budget} |"
    if not wanted or "workers" in wanted:
        yield ""
        yield from _workers(days)


if __name__ == "__main__":
    print("\n".join(table(sys.argv[1:])))
