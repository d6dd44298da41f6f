"""``python -m benchmarks``: run the comparisons, print them as a table, keep them as JSON."""

import argparse
import json
import os
import platform
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from benchmarks import buckets, history, parts, plot
from benchmarks.cases import CASES, Case
from benchmarks.inputs import made
from benchmarks.measure import Measured, Sample, compare, run, run_at_hand
from benchmarks.queries import Query, queries
from benchmarks.same import same_rows

_HERE: Final = Path(__file__).resolve().parent
_BENCH: Final = _HERE.parent / ".bench"
_RESULTS: Final = _HERE / "results"
_README: Final = _HERE / "README.md"
_PACKAGES: Final = ("hedgegrid-assets", "polars", "pyarrow", "numpy", "isal", "nautilus_trader")
_SCALE_ROWS: Final = (500_000, 2_000_000, 10_000_000, 20_000_000)
_MANY_DAYS: Final = ((1, 1), (30, 1), (30, 2), (365, 1), (365, 2))
_START: Final = "<!-- results -->"
_END: Final = "<!-- end of results -->"


def main(arguments: Sequence[str]) -> int:
    """Run what is asked for; 1 if a budget is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--full",
        action="store_true",
        help="20M rows, scale curves, many days, queries, a year through Dagster, a bucket, workers",
    )
    parser.add_argument("--only", default="", help="cases whose title has this text")
    parser.add_argument("--rounds", type=int, help="instead of each case's own number")
    parser.add_argument("--rows", type=int, help="instead of each case's own number")
    parser.add_argument("--readme", action="store_true", help="put the tables and the plot into benchmarks/README.md")
    parser.add_argument("--against", metavar="COMMIT", help="run an older build, set up beside, in turn with this one")
    parser.add_argument("--days", action="store_true", help="only the many small days")
    asked = parser.parse_args(arguments)
    which = int(asked.full)
    wanted = [case for case in CASES if asked.only in case.title and (asked.full or asked.only or not case.full_only)]
    for case in [case for case in wanted if not case.needs.exists()]:
        sys.stderr.write(f"left out, as {case.needs} is not here: {case.title}\n")
        wanted.remove(case)
    cases: list[Case] = [] if asked.days else [_with_older(case, asked.against) for case in wanted]
    if not cases and not asked.days:
        parser.error(
            f"no case has {asked.only!r} in its title: expected a part of {', '.join(case.title for case in CASES)}"
        )
    found = {
        case.title: _compared(case, asked.rows or case.rows[which], asked.rounds or case.rounds[which])
        for case in cases
    }
    result: dict[str, Any] = {
        "date": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "machine": _machine(),
        "versions": {name: version(name) for name in _PACKAGES},
        "cases": {title: [asdict(side) for side in sides] for title, sides in found.items()},
    }
    lines = [*_table(cases, found)] if cases else []
    if asked.days or (asked.full and not asked.only):
        days = _many_days(asked.against)
        result["days"] = [asdict(point) for point in days]
        lines += ["", *_days_table(days)]
    if not asked.only and not asked.days:
        small = _small()
        result["small"] = {name: asdict(sample) for name, sample in small.items()}
        lines += ["", *_small_table(small), "", *history.table(full=asked.full), "", *parts.table()]
    if asked.full and not asked.only:
        scale = _scale()
        asked_of = queries(made("trades", 2_000_000, _BENCH / "inputs"), _BENCH / "queries")
        result |= {
            "scale": {side: [asdict(point) for point in points] for side, points in scale.items()},
            "queries": [asdict(query) for query in asked_of],
        }
        lines += ["", *_scale_table(scale), "", *_query_table(asked_of), "", *buckets.table()]
        if asked.readme:
            (_HERE / "scale.svg").write_text(plot.scale(scale))
    print("\n".join(lines))
    _RESULTS.mkdir(exist_ok=True)
    (_RESULTS / f"{datetime.now(UTC):%Y-%m-%dT%H%M%S}.json").write_text(json.dumps(result, indent=1) + "\n")
    if asked.readme:
        _into_readme(result, lines)
    return 1 if any("**missed**" in line for line in lines) else 0


def _machine() -> str:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}, Python {platform.python_version()}"


def _compared(case: Case, rows: int, rounds: int) -> list[Measured]:
    sys.stderr.write(f"{case.title}, {rows:,} rows\n")
    source = made(case.kind, rows, _BENCH / "inputs")
    own = {side: made(kind, rows, _BENCH / "inputs") for side, kind in case.of_peer.items()}
    sides = compare(case, rows, rounds, source, _BENCH / "work", made(case.kind, 1_000, _BENCH / "inputs"), own)
    ours, *peers = (_BENCH / "work" / side / "catalog" for side in case.sides if side not in own)
    for peer in peers:
        if case.table and peer.exists() and not same_rows(ours, peer, case.table, case.but):
            raise RuntimeError(f"{case.title}: {peer} does not hold what ours does")
    shutil.rmtree(_BENCH / "work")
    return sides


# ---------------------------------------------------------------- more measurements


def _small() -> dict[str, Sample]:
    """Start-up, and what is left to do where nothing has changed."""
    work = _BENCH / "work"
    tiny = made("trades", 1_000, _BENCH / "inputs")
    for side, source in (("ours_help", Path()), ("ours_days", Path("1-1"))):
        run(side, source, work / "warm-up")
    days = run_at_hand("ours_days", Path("365-1"), work / "days")
    found = {
        "hedgegrid --help": run("ours_help", Path(), work / "help"),
        "replay-to-parquet, a tiny file": run("ours_trades", tiny, work / "tiny"),
        "replay-to-parquet, 365 days at hand, 1,000 trades each": days,
        "the same again, nothing to do": run("ours_days", Path("365-1"), work / "days", again=True),
    }
    shutil.rmtree(work)
    return found


_SMALL_BUDGETS: Final = {
    "hedgegrid --help": 0.4,
    "replay-to-parquet, a tiny file": 3.0,
    "the same again, nothing to do": 3.0,
}


def _scale() -> dict[str, list[Measured]]:
    found: dict[str, list[Measured]] = {}
    for side, kind in (("ours_trades", "trades"), ("ours_messages", "aggTrade")):
        for rows in _SCALE_ROWS:
            source = made(kind, rows, _BENCH / "inputs")
            case = Case(side, kind, (side,))
            sys.stderr.write(f"scale: {side}, {rows:,} rows\n")
            found.setdefault(side, []).extend(compare(case, rows, 2, source, _BENCH / "work"))
    return found


def _many_days(against: str | None) -> list[Measured]:
    """Raw days are at hand: their generator is not what is measured."""
    found: list[Measured] = []
    for days, jobs in _MANY_DAYS:
        for side in _sides("ours_days", against):
            sys.stderr.write(f"days: {days}, --jobs {jobs}, {side}\n")
            sample = run_at_hand(side, Path(f"{days}-{jobs}"), _BENCH / "work")
            found.append(Measured(f"{side}-{jobs}", days, [sample]))
    shutil.rmtree(_BENCH / "work")
    return found


def _sides(ours: str, against: str | None) -> tuple[str, ...]:
    return (ours,) if against is None else (ours, f"{ours}@{against}")


def _with_older(case: Case, against: str | None) -> Case:
    """The case with our side as it was at a commit."""
    return replace(case, sides=(*_sides(case.sides[0], against), *case.sides[1:]))


# ---------------------------------------------------------------- tables


def _table(cases: Sequence[Case], found: dict[str, list[Measured]]) -> Iterator[str]:
    yield "| | rows | s (median) | min..max | rows/s | CPU s | peak MB | tables MB | ratio | budget |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|---:|---|"
    for case in cases:
        ours, *peers = found[case.title]
        last = peers[-1] if peers else None
        yield _row(f"**{case.title}**", ours, "", _own_budget(case, ours, last))
        for peer in peers:
            ratio = peer.cpu / ours.cpu if case.by_cpu else peer.seconds / ours.seconds
            told = f"{ratio:.2f}× CPU" if case.by_cpu else f"{ratio:.1f}×"
            yield _row(f"&nbsp;&nbsp;{peer.side}", peer, told, ", ".join(_budgets(case, ours, peer, ratio)))


def _row(title: str, side: Measured, ratio: str, budget: str) -> str:
    low, high = side.span
    disk = f"{side.disk:,.1f}" if side.disk else ""
    return (
        f"| {title} | {side.rows:,} | {side.seconds:.2f} | {low:.2f}..{high:.2f} | {side.rows / side.seconds:,.0f} "
        f"| {side.cpu:.2f} | {side.memory:,.0f} | {disk} | {ratio} | {budget} |"
    )


def _own_budget(case: Case, ours: Measured, peer: Measured | None) -> str:
    told = []
    if ours.rows in case.memory:
        told.append(_verdict(ours.memory <= case.memory[ours.rows], f"≤ {case.memory[ours.rows]:.0f} MB"))
    if case.disk and peer is not None and peer.disk:
        told.append(
            _verdict(ours.disk <= case.disk * peer.disk, f"tables ≤ {case.disk}× ({ours.disk / peer.disk:.2f})")
        )
    return ", ".join(told)


def _budgets(case: Case, ours: Measured, peer: Measured, ratio: float) -> Iterator[str]:
    name = peer.side
    if name in case.at_least:
        yield _verdict(ratio >= case.at_least[name], f"≥ {case.at_least[name]:g}×")
    if name in case.at_most:
        yield _verdict(1 / ratio <= case.at_most[name], f"ours ≤ {case.at_most[name]:g}× ({1 / ratio:.1f}×)")
    if name in case.memory_share:
        share = ours.memory / peer.memory
        yield _verdict(share <= case.memory_share[name], f"memory ≤ {case.memory_share[name]:g}× ({share:.2f}×)")


def _verdict(kept: bool, text: str) -> str:
    return f"{text} {'kept' if kept else '**missed**'}"


def _small_table(small: dict[str, Sample]) -> Iterator[str]:
    yield "| one run each | s | peak MB | budget |"
    yield "|---|---:|---:|---|"
    for name, sample in small.items():
        budget = _SMALL_BUDGETS.get(name)
        told = _verdict(sample.seconds <= budget, f"≤ {budget:g} s") if budget else ""
        yield f"| {name} | {sample.seconds:.2f} | {sample.memory:,.0f} | {told} |"


def _scale_table(scale: dict[str, list[Measured]]) -> Iterator[str]:
    yield "| one day of | rows | s | s per million | peak MB |"
    yield "|---|---:|---:|---:|---:|"
    for side, points in scale.items():
        for point in points:
            per_million = point.seconds / point.rows * 1e6
            yield f"| {side} | {point.rows:,} | {point.seconds:.2f} | {per_million:.2f} | {point.memory:,.0f} |"


def _days_table(days: Sequence[Measured]) -> Iterator[str]:
    yield "| small days (1,000 trades), raw days at hand | side and --jobs | s | ms a day | CPU ms a day | peak MB |"
    yield "|---:|---|---:|---:|---:|---:|"
    for point in days:
        a_day = [f"{seconds / point.rows * 1e3:,.0f}" for seconds in (point.seconds, point.cpu)]
        yield f"| {point.rows} | {point.side} | {point.seconds:.2f} | {' | '.join(a_day)} | {point.memory:,.0f} |"


def _query_table(found: Sequence[Query]) -> Iterator[str]:
    yield "| query by Nautilus' reader | rows | our files, ms | nautilus' own, ms | ratio |"
    yield "|---|---:|---:|---:|---:|"
    for query in found:
        yield f"| {query.title} | {query.rows:,} | {query.ours:,.1f} | {query.nautilus:,.1f} | {query.ratio:.2f} |"


def _into_readme(result: dict[str, Any], lines: Sequence[str]) -> None:
    before, _, rest = _README.read_text().partition(_START)
    _, _, after = rest.partition(_END)
    versions = ", ".join(f"{name} {number}" for name, number in result["versions"].items())
    text = "\n".join(["", f"{result['date'][:10]}. {result['machine']}. {versions}.", "", *lines, ""])
    _README.write_text(f"{before}{_START}{text}{_END}{after}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
