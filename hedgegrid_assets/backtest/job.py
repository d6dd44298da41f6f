"""What an engine is asked to run, and what it answers: plain values, which know no version of Nautilus.

``Engine`` is the whole interface: ``nautilus1`` is the one of 1.x, ``nautilus2`` of 2.x, and another version is one more module
like them. The job goes to the engine's process as JSON; what happened comes back as Parquet files and an ``Outcome``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from pydantic import TypeAdapter

type Thinning = Literal["all", "minutes", "settlements"]
"""Of a stream, every row, or the last of each minute, or the last before each settlement; each at its own time."""


@dataclass(frozen=True, slots=True)
class Stream:
    """One table of one instrument, as files in time order. ``shift_ns`` delays its arrivals."""

    table: str
    instrument_id: str
    files: Sequence[str]
    shift_ns: int = 0
    thinning: Thinning = "all"

    @property
    def name(self) -> str:
        """As ``trade_tick BTCUSDT-PERP.SIM``."""
        return f"{self.table} {self.instrument_id}"


@dataclass(frozen=True, slots=True)
class Settlement:
    """One funding time of an instrument: what a position of before it pays or gets, and from when on that can be told.

    Attributes:
        instrument_id: Whose funding.
        at_ns: The settlement; fills before it count.
        rate: Share of the position's value that longs pay; negative: that shorts pay.
        rate_ns: Exchange time of the rate.
        mark: The price that the position is valued at; None: not paid.
        mark_ns: Exchange time of the mark price.
        due_ns: Arrival from which on all of it is known.
        missed: Why it cannot be paid.
    """

    instrument_id: str
    at_ns: int
    rate: Decimal
    rate_ns: int
    mark: Decimal | None
    mark_ns: int | None
    due_ns: int
    missed: str = ""


@dataclass(frozen=True, slots=True)
class Fees:
    """Shares of an order's value, as 0.0002 for 2 basis points."""

    maker: Decimal
    taker: Decimal


@dataclass(frozen=True, slots=True)
class Job:
    """One run, by the ``generation`` of Nautilus that reads the catalog. ``venues`` and ``engine`` are in Nautilus' own names; times in ns, the end exclusive.

    ``instruments``: id -> fees in place of the definition's. ``needs_fees``: without any that are known there is no
    run. All of them are multiplied by ``fee_factor``. ``paths``: where a strategy's module is looked for as well.
    """

    generation: int
    catalog: str
    instruments: Mapping[str, Fees | None]
    needs_fees: bool
    fee_factor: int
    venues: Sequence[Mapping[str, Any]]
    engine: Mapping[str, Any]
    streams: Sequence[Stream]
    settlements: Sequence[Settlement]
    pays_funding: bool
    start_ns: int
    end_ns: int
    folder: str
    paths: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Payment:
    """Funding of one leg of a position: positive is received. ``quantity`` is signed, ``booked_ns`` the run's clock."""

    instrument_id: str
    position_id: str
    at_ns: int
    booked_ns: int
    quantity: Decimal
    rate: Decimal
    mark: Decimal
    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class Contract:
    """What of an instrument decides its profit: ``precision`` is that of its money, ``origin`` who defined it."""

    instrument_id: str
    currency: str
    precision: int
    multiplier: Decimal
    is_inverse: bool
    quote: str
    margin_init: Decimal
    maker_fee: Decimal
    taker_fee: Decimal
    fees_known: bool
    origin: str


@dataclass(frozen=True, slots=True)
class Missed:
    """A settlement that was not paid, and why."""

    instrument_id: str
    at_ns: int
    why: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job.

    Attributes:
        delivered: Stream name -> events that the engine has taken.
        payments: Funding booked.
        missed: Settlements that were not paid.
        contracts: Of the instruments.
        balances: Currency -> total at the end, as the engine has it.
        versions: Of the engine.
        sources: Python file of each strategy -> sha256.
        raised: Traceback of a strategy, or why the engine stopped; empty: it ran to its end.
        warnings: What the engine has to say.
        seconds: Of the run, without imports.
        peak_bytes: Largest resident memory of the process.
    """

    delivered: Mapping[str, int]
    payments: Sequence[Payment]
    missed: Sequence[Missed]
    contracts: Sequence[Contract]
    balances: Mapping[str, Decimal]
    versions: Mapping[str, str]
    sources: Mapping[str, str]
    raised: str = ""
    warnings: Sequence[str] = ()
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Refusal:
    """The engine would not start: ``usage`` tells a configuration from an installation, ``of_strategy`` whose it is."""

    message: str
    hint: str = ""
    usage: bool = True
    of_strategy: bool = False


class Backtest(Protocol):
    """A version of Nautilus with all that a job names; it is built of the job, before any data is read, or raises NotUsable."""

    def run(self) -> str:
        """Run to the end; the traceback of what was raised on the way, or nothing."""

    def write(self, folder: Path) -> None:
        """Leave ``FILES`` there."""

    def outcome(self, raised: str, seconds: float, cpu_seconds: float) -> Outcome:
        """All that is told but the tables."""


FILES: Final = ("orders", "fills", "positions", "account")
"""Parquet files that an engine leaves in the folder of its job."""

_JOB: Final = TypeAdapter(Job)
_ANSWER: Final = TypeAdapter[Outcome | Refusal](Outcome | Refusal)


def write_job(job: Job, path: Path) -> None:
    """Store a job for the engine's process."""
    path.write_bytes(_JOB.dump_json(job))


def read_job(path: Path) -> Job:
    """The job as it was stored."""
    return _JOB.validate_json(path.read_bytes())


def write_answer(answer: Outcome | Refusal, path: Path) -> None:
    """Store what came of a job."""
    path.write_bytes(_ANSWER.dump_json(answer))


def read_answer(path: Path) -> Outcome | Refusal:
    """What came of a job."""
    return _ANSWER.validate_json(path.read_bytes())
