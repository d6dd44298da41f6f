"""Funding settlements of a catalog, and what a position pays at one: a function of data and fills alone.

A settlement is at ``next_funding_ns``; for a row without one (settled history) at its own ``ts_event``; both to the
second, as venues write them with some milliseconds of jitter. Its rate is the last one known by then, a settled row
going before an estimate. Its price is the last mark with ``ts_event`` not after it, of those that have arrived when the
first later mark arrives, at most 5 s after it.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import polars as pl

from hedgegrid_assets.backtest import files
from hedgegrid_assets.backtest.job import Contract, Settlement, Thinning
from hedgegrid_assets.timestamps import NS_PER_SECOND

MARKS_AWAITED_NS: Final = 5 * NS_PER_SECOND
USUAL_MARK_AGE_S: Final = 60
CANDLE_MARK_AGE_S: Final = 120
"""Of marks that are one a minute."""
_SETTLED_LATE_NS: Final = 30 * NS_PER_SECOND
"""A settled row is written some moments after its settlement."""
_DIGITS: Final = 60


def amount(quantity: Decimal, rate: Decimal, mark: Decimal, contract: Contract) -> Decimal:
    """What a position of a signed quantity receives at a settlement (negative: pays), rounded half-even to its money."""
    with localcontext() as context:
        context.prec = _DIGITS
        contracts = quantity * contract.multiplier
        value = contracts / mark if contract.is_inverse else contracts * mark
        return (-value * rate).quantize(Decimal(1).scaleb(-contract.precision), ROUND_HALF_EVEN) + Decimal(0)


def settlements(
    instrument_id: str,
    rates: Sequence[Path],
    marks: Sequence[Path],
    start_ns: int,
    end_ns: int,
    max_mark_age_s: int | None = None,
) -> list[Settlement]:
    """The settlements of an instrument in ``[start_ns, end_ns)``, in time order; one at ``start_ns`` is not paid.

    ``rates`` and ``marks`` are Nautilus files in time order. ``max_mark_age_s``: an older mark does not pay; None: 60,
    or 120 where marks come once a minute.
    """
    found = _rates(rates, start_ns, end_ns)
    if found.is_empty():
        return []
    near = _marks(marks, found["at"].to_list())
    return [
        _at_start(instrument_id, row) if row["at"] == start_ns else _settled(instrument_id, row, near, max_mark_age_s)
        for row in found.iter_rows(named=True)
    ]


def _at_start(instrument_id: str, row: Mapping[str, Any]) -> Settlement:
    told = "the run begins with it: nothing was held before"
    return Settlement(instrument_id, row["at"], row["funding_rate"], row["ts_event"], None, None, row["at"], told)


def _last_of_each(frame: pl.DataFrame, group: pl.Expr) -> pl.DataFrame:
    return frame.with_columns(__group=group).unique("__group", keep="last", maintain_order=True).drop("__group")


def _at() -> pl.Expr:
    """The settlement that a row speaks of, to the second."""
    told = pl.coalesce("next_funding_time", "ts_event")
    return (told + NS_PER_SECOND // 2) // NS_PER_SECOND * NS_PER_SECOND


def _rates(rates: Sequence[Path], start_ns: int, end_ns: int) -> pl.DataFrame:
    """One row a settlement: ``at``, the rate, its times."""
    parts = [_best(files.read(files.FUNDING, file)) for file in rates]
    if not parts:
        return pl.DataFrame(schema={"at": pl.Int64})
    return _last_known(pl.concat(parts)).filter((pl.col("at") >= start_ns) & (pl.col("at") < end_ns)).sort("at")


def _best(frame: pl.DataFrame) -> pl.DataFrame:
    settled = pl.col("next_funding_time").is_null()
    known = frame.with_columns(at=_at(), settled=settled).filter(
        pl.when("settled")
        .then(pl.col("ts_event") - pl.col("at") <= _SETTLED_LATE_NS)
        .otherwise(pl.col("ts_event") <= pl.col("at"))
    )
    return _last_known(known.select("at", "settled", "ts_event", "ts_init", "funding_rate"))


def _last_known(frame: pl.DataFrame) -> pl.DataFrame:
    """Stable: of rows of one time the later one in the files holds."""
    return frame.sort("settled", "ts_event", maintain_order=True).unique("at", keep="last", maintain_order=True)


THINNED: Final[Mapping[Thinning, Callable[[pl.DataFrame], pl.DataFrame]]] = {
    "all": lambda frame: frame,
    "minutes": lambda frame: _last_of_each(frame, pl.col("ts_init") // (60 * NS_PER_SECOND)),
    "settlements": lambda frame: _last_of_each(frame, _at()),
}
"""Rows of a funding table that a strategy is given; each keeps its own times."""


def known_in_time(frame: pl.DataFrame) -> pl.DataFrame:
    """Of a funding table the last row of each settlement that has arrived by then."""
    return _last_of_each(frame.filter(pl.col("ts_init") <= _at()), _at())


type _Marks = Mapping[int, Sequence[tuple[int, int, Decimal]]]
"""Settlement -> marks around it as (ts_event, ts_init, price), by exchange time."""


def _marks(marks: Sequence[Path], at: Sequence[int]) -> _Marks:
    """The marks that may value a settlement, and the first one after it; of each file those rows alone are kept."""
    near: dict[int, list[tuple[int, int, Decimal]]] = {each: [] for each in at}
    for file in marks:
        frame = files.read(files.MARKS, file)
        for each in _of_file(frame, at):
            early = frame.filter(pl.col("ts_event").is_between(each - 10 * 60 * NS_PER_SECOND, each)).tail(4000)
            late = frame.filter(pl.col("ts_event").is_between(each, each + 2 * MARKS_AWAITED_NS))
            near[each] += pl.concat([early, late]).unique(maintain_order=True).rows()
    return {each: sorted(rows, key=lambda row: row[0]) for each, rows in near.items()}


def _of_file(frame: pl.DataFrame, at: Sequence[int]) -> Iterator[int]:
    """The settlements that rows of a file can speak for."""
    if frame.is_empty():
        return
    first, last = frame["ts_event"].min(), frame["ts_event"].max()
    assert isinstance(first, int)
    assert isinstance(last, int)
    margin = 10 * 60 * NS_PER_SECOND
    for each in at:
        if first - 2 * MARKS_AWAITED_NS <= each <= last + margin:
            yield each


def _settled(instrument_id: str, row: Mapping[str, object], near: _Marks, max_age_s: int | None) -> Settlement:
    at, rate_ns, known_ns, rate = (row[name] for name in ("at", "ts_event", "ts_init", "funding_rate"))
    assert isinstance(at, int)
    assert isinstance(rate_ns, int)
    assert isinstance(known_ns, int)
    assert isinstance(rate, Decimal)
    marks = near[at]
    waited = min([arrived for event, arrived, _ in marks if event >= at] + [at + MARKS_AWAITED_NS])
    until = min(max(waited, at), at + MARKS_AWAITED_NS)
    known = [each for each in marks if each[0] <= at and each[1] <= until]
    due = max(until, at, min(known_ns, at + _SETTLED_LATE_NS))
    if not known:
        return Settlement(
            instrument_id, at, rate, rate_ns, None, None, due, "no mark price of the ten minutes before it"
        )
    mark_ns, _, price = known[-1]
    allowed = max_age_s if max_age_s is not None else _usual_age(marks, at)
    if at - mark_ns > allowed * NS_PER_SECOND:
        told = f"its last mark price is {(at - mark_ns) / 1e9:.1f} s old, more than {allowed} s"
        return Settlement(instrument_id, at, rate, rate_ns, None, mark_ns, due, told)
    return Settlement(instrument_id, at, rate, rate_ns, price, mark_ns, due)


def _usual_age(marks: Sequence[tuple[int, int, Decimal]], at: int) -> int:
    """Seconds that a mark may be old: more where they come once a minute, as candles do."""
    times = [event for event, _, _ in marks]
    before = times[: bisect_right(times, at)][-8:]
    steps = sorted(later - earlier for earlier, later in pairwise(before))
    minutely = bool(steps) and steps[len(steps) // 2] >= 45 * NS_PER_SECOND
    return CANDLE_MARK_AGE_S if minutely else USUAL_MARK_AGE_S
