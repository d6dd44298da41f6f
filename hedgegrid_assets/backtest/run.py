"""A backtest from its files to its folder: coverage, the engine in a process of its own, accounts, result, report."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from hedgegrid_assets.backtest import coverage as covering
from hedgegrid_assets.backtest import pin as pinning
from hedgegrid_assets.backtest import result as results
from hedgegrid_assets.backtest.accounts import (
    VALUED,
    Account,
    Fill,
    Prices,
    accounts,
    prices_at,
    read_engine_account,
    read_fills,
    sample_times,
)
from hedgegrid_assets.backtest.config import Setup
from hedgegrid_assets.backtest.coverage import Coverage, Covered
from hedgegrid_assets.backtest.engines import Interpreter, interpreter_for
from hedgegrid_assets.backtest.files import FUNDING, MARKS
from hedgegrid_assets.backtest.job import Job, Outcome, Refusal, Settlement, Stream, read_answer, write_job
from hedgegrid_assets.backtest.settlements import settlements
from hedgegrid_assets.backtest.stress import VARIANTS, Variant, as_configured
from hedgegrid_assets.backtest.worker import ANSWER, JOB
from hedgegrid_assets.errors import BacktestRefused, EngineDied, EngineLacks, EnvironmentFault, UsageError
from hedgegrid_assets.store import is_address, make_folder, remove_tree, sha256_of, stored, working_folder, writing

LOG: Final = "run.log"
_RUN_ID: Final = re.compile(r"[A-Za-z0-9][\w.+-]{0,119}")
_SAMPLES: Final = 2_000
_SHORTEST_S: Final = 1
_LONGEST_S: Final = 900
_AT_ONCE: Final = 2
_LAST_WORDS: Final = 600
_LACKS: Final = re.compile(r"ModuleNotFoundError: No module named '(\w+)'\Z")

type Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Ran:
    """A run that has been: its folder and what ``result.json`` says. ``ok``: to its end, and its numbers agree."""

    folder: Path
    result: Mapping[str, Any]

    @property
    def ok(self) -> bool:
        """Nothing raised, and nothing contradicts itself."""
        return bool(self.result["ok"])


@dataclass(frozen=True, slots=True)
class Played:
    """One job, played: what the engine said, and what was earned."""

    outcome: Outcome
    fills: Sequence[Fill]
    accounts: Sequence[Account]


def run_backtest(
    setup: Setup,
    output: Path = Path("artifacts"),
    run_id: str | None = None,
    *,
    stress: bool = False,
    pin: Path | None = None,
    overwrite: bool = False,
    say: Say | None = None,
) -> Ran:
    """Run a backtest and leave ``<output>/<run id>/``.

    Args:
        setup: From ``read_setup``.
        output: Folder of all runs.
        run_id: Name of the run's folder; None: the run's name and the time.
        stress: Repeat it with other fills, fees and latencies.
        pin: A pin file to hold inputs and result against.
        overwrite: Take the place of a run of the same id.
        say: Told what is done.

    Raises:
        UsageError: BacktestRefused (the engine does not take the configuration), a run id that is there.
        DataError: CoverageRefused, NoDataFetched, EngineDied.
    """
    say = say or (lambda _text: None)
    run_id = run_id or f"{setup.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    if not _RUN_ID.fullmatch(run_id):
        raise UsageError(f"--run-id cannot name a folder: expected letters, digits and _.+-, found {run_id!r}")
    final = output / run_id
    if final.exists() and not overwrite:
        raise UsageError(
            f"the run {final} is there already: expected a new --run-id", hint="leave --run-id out, or choose another"
        )
    pinned = pinning.read(pin) if pin else None
    python = interpreter_for(setup.catalog)
    ours = setup.run.hedgegrid
    asked = setup.catalog, setup.streams(), setup.run.start, setup.run.end
    with _copies(setup.catalog) as copies:
        found = covering.cover(*asked, allow_gaps=ours.allow_gaps, copies=copies)
        with working_folder(output / ".tmp") as area:
            folder = area / run_id
            remove_tree(folder)
            made = _Maker(setup, found, python, folder, say).make(run_id, stress=stress, pinned=pinned)
            with writing(final):
                make_folder(output)
                if final.exists():
                    remove_tree(final)
                folder.replace(final)
    _remove_if_empty(output / ".tmp")
    return Ran(final, made)


@contextmanager
def _copies(catalog: Path) -> Iterator[Path]:
    """A folder for what is copied of a catalog in a bucket, gone at the end; of one on a disk nothing is."""
    if not is_address(catalog):
        yield catalog
        return
    with working_folder(stored(catalog).scratch() / ".tmp") as area:
        yield area / uuid4().hex


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


class _Maker:
    """One run in the making, in a folder that nobody looks at yet."""

    def __init__(self, setup: Setup, coverage: Coverage, python: Interpreter, folder: Path, say: Say) -> None:
        self._setup, self._coverage, self._python, self._folder, self._say = setup, coverage, python, folder, say
        self._settlements = self._find_settlements()
        first, last = covering.data_span(coverage)
        every = setup.run.hedgegrid.equity_every_s or _usual_step(first, last)
        self._times = sample_times(first, last, every)
        self._prices: dict[str, Prices] | None = None

    def make(self, run_id: str, *, stress: bool, pinned: "pinning.Pin | None") -> dict[str, Any]:
        """Play, account, write; the result."""
        self._say(f"running {self._days()} of {', '.join(self._setup.instruments())}")
        base = as_configured(self._setup)
        with ThreadPoolExecutor(1) as beside:
            hashing = beside.submit(self._inputs)
            played = self._play(base, self._folder)
            inputs = hashing.result()
        table = self._stress(base, played) if stress and not played.outcome.raised else []
        made = results.Result(
            run_id=run_id,
            setup=self._setup,
            coverage=self._coverage,
            settlements=self._settlements,
            played=played,
            inputs=inputs,
            stress=table,
            times=self._times,
        )
        document = made.to_dict()
        if pinned is not None:
            document["pin"] = pinning.compare(pinned, document)
        results.write(self._folder, made, document)
        return document

    def _days(self) -> str:
        number = len({day.date for stream in self._coverage.streams for day in stream.days})
        return f"{number} day{'s' if number > 1 else ''}"

    def _find_settlements(self) -> list[Settlement]:
        pay = self._setup.run.hedgegrid.funding.pay
        rates = [each for each in self._coverage.streams if each.table == FUNDING]
        return [settlement for stream in rates if pay for settlement in self._settlements_of(stream)]

    def _settlements_of(self, rates: Covered) -> list[Settlement]:
        marks = self._coverage.stream(MARKS, rates.instrument_id)
        return settlements(
            rates.instrument_id,
            rates.files,
            marks.files if marks else [],
            self._coverage.start_ns,
            self._coverage.end_ns,
            self._setup.run.hedgegrid.funding.max_mark_age_s,
        )

    def _inputs(self) -> list[dict[str, Any]]:
        root = self._coverage.root
        return [
            {
                "file": file.relative_to(root).as_posix(),
                "sha256": sha256_of(file),
                "table": stream.table,
                "instrument_id": stream.instrument_id,
                "date": str(day.date) if day else None,
                "rows": day.rows if day else None,
            }
            for stream, day, file in covering.inputs_of(self._coverage)
        ]

    # -- the engine

    def _play(self, variant: Variant, folder: Path) -> Played:
        make_folder(folder)
        write_job(self._job(variant, folder), folder / JOB)
        outcome = _answered(self._setup, self._python, folder)
        fills = read_fills(folder / "fills.parquet")
        return Played(outcome, fills, self._accounts(variant, folder, outcome, fills))

    def _job(self, variant: Variant, folder: Path) -> Job:
        run = self._setup.run
        engine = run.engine.model_dump(mode="json", exclude_unset=True, exclude={"logging", "strategies", "actors"})
        return Job(
            generation=self._python.generation,
            catalog=str(self._coverage.root.absolute()),
            instruments=dict.fromkeys(self._setup.instruments(), variant.fees),
            needs_fees=variant.needs_fees,
            fee_factor=variant.fee_factor,
            venues=[venue.model_dump(mode="json", exclude_unset=True) for venue in variant.venues],
            engine=engine
            | {
                "strategies": [each.model_dump(mode="json") for each in run.engine.strategies],
                "actors": [each.model_dump(mode="json") for each in run.engine.actors],
                "log_level": run.engine.logging.log_level,
            },
            streams=[self._stream(each, variant) for each in self._coverage.streams],
            settlements=self._settlements,
            pays_funding=run.hedgegrid.funding.pay,
            start_ns=self._coverage.start_ns,
            end_ns=self._coverage.end_ns,
            folder=str(folder.absolute()),
            paths=list(
                dict.fromkeys(str(path) for path in (Path.cwd(), *(f.absolute().parent for f in self._setup.files)))
            ),
        )

    def _stream(self, covered: Covered, variant: Variant) -> Stream:
        thinning = self._setup.run.hedgegrid.funding_updates if covered.table == FUNDING else "all"
        delayed = variant.delays_all or covered.arrival == "assumed"
        shift = variant.data_latency_ms * 1_000_000 if delayed else 0
        files = [str(file.absolute()) for file in covered.files]
        return Stream(covered.table, covered.instrument_id, files, shift, thinning)

    def _accounts(self, variant: Variant, folder: Path, outcome: Outcome, fills: Sequence[Fill]) -> list[Account]:
        starting: dict[str, Decimal] = {}
        for venue in variant.venues:
            for currency, total in venue.balances.items():
                starting[currency] = starting.get(currency, Decimal(0)) + total
        comparable = all(
            venue.account_type == "MARGIN" and not venue.frozen_account and not venue.modules
            for venue in variant.venues
        )
        engine = read_engine_account(folder, outcome.balances, is_comparable=comparable)
        return accounts(
            fills, outcome.payments, outcome.contracts, starting, self._times, self._prices_of_all(), engine
        )

    def _prices_of_all(self) -> dict[str, Prices]:
        """Of each instrument its mark prices if the run has them, else the next of ``VALUED`` that it has."""
        if self._prices is None:
            self._prices = {}
            for name in self._setup.instruments():
                found = (self._coverage.stream(table, name) for table in VALUED)
                stream = next(filter(None, found), None)
                known = stream is not None
                self._prices[name] = (
                    prices_at(stream.table, stream.files, self._times)
                    if known
                    else Prices([None] * len(self._times), "")
                )
        return self._prices

    # -- stress

    def _stress(self, base: Variant, played: Played) -> list[dict[str, Any]]:
        variants = [make(self._setup, base) for make in VARIANTS]
        self._say(f"stress: {', '.join(each.name for each in variants)}")
        wanted = [each for each in variants if not each.not_run and not each.same_as(base)]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            ran = dict(zip([each.name for each in wanted], pool.map(self._played_aside, wanted), strict=True))
        return [
            results.stress_row(base, played, None),
            *(results.stress_row(each, ran.get(each.name, played), played) for each in variants),
        ]

    def _played_aside(self, variant: Variant) -> Played:
        folder = self._folder.with_name(f"{self._folder.name}.{variant.slug}")
        try:
            return self._play(variant, folder)
        finally:
            remove_tree(folder)


def _usual_step(first_ns: int, last_ns: int) -> int:
    seconds = (last_ns - first_ns) // 10**9
    return min(max(-(-seconds // _SAMPLES), _SHORTEST_S), _LONGEST_S)


def _answered(setup: Setup, python: Interpreter, folder: Path) -> Outcome:
    """What the engine's process says. Raises BacktestRefused, EnvironmentFault, EngineLacks and EngineDied."""
    log = folder / LOG
    with log.open("wb") as words:
        process = subprocess.Popen(
            python.command(str(folder.absolute())),
            stdout=words,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONHASHSEED": "0", "PYTHONUNBUFFERED": "1"},
        )
        try:
            code = process.wait()
        except BaseException:
            process.kill()
            process.wait()
            raise
    answer_file = folder / ANSWER
    if not answer_file.exists():
        words_of_it = log.read_text(errors="replace")[-_LAST_WORDS:].strip()
        if python.variable and (lacks := _LACKS.search(words_of_it)):
            raise EngineLacks(str(python.path), lacks[1])
        raise EngineDied(code, words_of_it)
    answer = read_answer(answer_file)
    answer_file.unlink()
    (folder / JOB).unlink()
    if isinstance(answer, Refusal):
        if answer.usage:
            raise BacktestRefused(
                setup.files[-1] if len(setup.files) > 1 and answer.of_strategy else setup.files[0],
                answer.message,
                answer.hint,
            )
        raise EnvironmentFault(answer.message, hint=answer.hint)
    return answer
