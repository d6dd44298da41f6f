"""What the rules count of a day's rows as they pass: each counter once a table, whichever rules ask for it."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from math import ceil
from typing import Final, override

import numpy as np
import polars as pl
from msgspec import Struct, field

from hedgegrid_assets.model import Counted, Counter, Held, Rows, Rule, Spread
from hedgegrid_assets.timestamps import day_end, day_start

_FIRST_BAD: Final = 10
_LOW_MS: Final = -60_000
LONGEST_MS: Final = 600_000
"""Longer times are measured as this."""
_FEW_TIMES: Final = 1 << 13


# ---------------------------------------------------------------- rows


class Span(Struct, frozen=True):
    """How many rows there are, and the ``ts_init`` of the first and the last of them in ns."""

    rows: int = 0
    first: int | None = None
    last: int | None = None


class Extent(Counter[Span]):
    """Counts the rows."""

    def __init__(self, held: Held) -> None:
        del held
        self._span = Span()

    @override
    def add(self, rows: Rows) -> None:
        times = rows.new["ts_init"]
        first = times[0] if self._span.first is None else self._span.first
        self._span = Span(self._span.rows + len(times), first, times[-1])

    @override
    def result(self, day: Counted) -> Span:
        return self._span


_AS_WRITTEN: Final = pl.QueryOptFlags.none()
"""What could be made better of a handful of expressions costs more than they do."""


class Failing(Struct, frozen=True):
    """Name of a rule -> rows that broke it, and the raw rows of the first of them."""

    counts: Mapping[str, int]
    first_raw_rows: Mapping[str, list[int]] = field(default_factory=dict)


class FailingRows(Counter[Failing]):
    """Counts the rows that break each rule over rows, all in one expression."""

    def __init__(self, held: Held) -> None:
        self._rules = [(rule, rule.fails) for rule in held.table.rules if rule.fails is not None]
        self._day = held.day
        self._increment = held.thresholds.price_increment
        self._prices = [column.name for column in held.table.columns if column.precision == "price"]
        self._failing: dict[str, int] = {rule.name: 0 for rule, _ in self._rules}
        self._first_bad: dict[str, list[int]] = {}

    @override
    def add(self, rows: Rows) -> None:
        self._add(rows.joined, rows.carried)  # no rule sees further back

    def _add(self, frame: pl.DataFrame, passed_over: int) -> None:
        """Count the rows behind the first ones."""
        tick = self._tick_in(frame)
        bounds = [pl.lit(day_start(self._day)).alias("day_start"), pl.lit(day_end(self._day)).alias("day_end")]
        bounds += [] if tick is None else [pl.lit(tick, pl.Int128).alias("price_tick")]
        rules = [(rule, fails) for rule, fails in self._rules if tick is not None or not rule.by_increment]
        flags = (
            frame.lazy()
            .with_columns(bounds)
            .select(fails.fill_null(value=False).alias(rule.name) for rule, fails in rules)
            .collect(engine="in-memory", optimizations=_AS_WRITTEN)
            .slice(passed_over)  # not in the expressions: Polars 2.1 panics on a slice of when/then of shifted columns
        )
        for failed in flags.get_columns() if rules else ():
            count = int(failed.sum())
            if not count:
                continue
            self._failing[failed.name] += count
            bad = self._first_bad.setdefault(failed.name, [])
            found = frame["raw_row"].slice(passed_over).filter(failed).head(_FIRST_BAD - len(bad))
            bad.extend(found.to_list())

    def _tick_in(self, frame: pl.DataFrame) -> int | None:
        """The price increment in units of the last decimal of the frame's prices."""
        kind = frame.schema.get(self._prices[0]) if self._prices else None
        if self._increment is None or not isinstance(kind, pl.Decimal):
            return None
        units = Decimal(self._increment).scaleb(kind.scale)
        return int(units) if units == int(units) and units > 1 else None

    @override
    def result(self, day: Counted) -> Failing:
        return Failing(self._failing, self._first_bad)


def rows_failing(day: Counted, rule: Rule) -> int:
    """Rows that break a rule."""
    return day.of(FailingRows).counts[rule.name]


# ---------------------------------------------------------------- times


class Latency(Counter[Spread]):
    """How long after its exchange time each row arrived, of those that did."""

    def __init__(self, held: Held) -> None:
        self._made_up = held.table.made_up
        self._spread = _Histogram()

    @override
    def add(self, rows: Rows) -> None:
        delays = rows.new["ts_init"] - rows.new["ts_event"]
        if self._made_up is not None:
            made_up = rows.new.select(self._made_up).to_series()
            delays = delays.filter(~made_up) if made_up.any() else delays
        self._spread.add(delays.to_numpy())

    @override
    def result(self, day: Counted) -> Spread:
        return self._spread.spread()


class Steps(Counter[Spread]):
    """Times between rows, of tables whose cadence is not known."""

    def __init__(self, held: Held) -> None:
        self._wanted = held.table.gap_seconds is None
        self._spread = _Histogram()

    @override
    def add(self, rows: Rows) -> None:
        if self._wanted:
            self._spread.add(rows.steps("ts_init"))

    @override
    def result(self, day: Counted) -> Spread:
        return self._spread.spread()


class _Histogram:
    """Milliseconds in bins of 1 ms between -60 s and +600 s; of fixed size. Few are kept as they are: there are 660,001 bins."""

    def __init__(self) -> None:
        self._few: list[np.ndarray] = []
        self._counts: np.ndarray | None = None
        self.count = 0
        self.minimum: int | None = None
        self.maximum: int | None = None
        self.negative = 0
        self.jump = 0
        self._last: int | None = None

    def add(self, ns: np.ndarray) -> None:
        if not len(ns):
            return
        self._add_bins(np.clip(ns // 1_000_000, _LOW_MS, LONGEST_MS) - _LOW_MS)
        self.count += len(ns)
        self.minimum = min(int(ns.min()), self.minimum if self.minimum is not None else int(ns.min()))
        self.maximum = max(int(ns.max()), self.maximum if self.maximum is not None else int(ns.max()))
        self.negative += int((ns < 0).sum())
        steps = np.diff(ns, prepend=ns[:1] if self._last is None else self._last)
        self.jump = max(self.jump, int(np.abs(steps).max()))
        self._last = int(ns[-1])

    def _add_bins(self, bins: np.ndarray) -> None:
        if self._counts is None and self.count + len(bins) <= _FEW_TIMES:
            self._few.append(bins)
            return
        if self._counts is None:
            self._counts = np.zeros(LONGEST_MS - _LOW_MS + 1, np.int64)
            bins = np.concatenate([*self._few, bins])
            self._few.clear()
        low = int(bins.min())
        found = np.bincount(bins - low)
        self._counts[low : low + len(found)] += found

    def _bins_at(self, shares: Sequence[float]) -> list[int]:
        """The first bin of each share with so many of the times in it and those before it."""
        if self._counts is not None:
            return [
                int(rank) for rank in np.searchsorted(np.cumsum(self._counts), [self.count * part for part in shares])
            ]
        bins = np.sort(np.concatenate(self._few))
        return [int(bins[max(ceil(self.count * part), 1) - 1]) for part in shares]

    def spread(self) -> Spread:
        if not self.count or self.minimum is None or self.maximum is None:
            return Spread()
        median, p99 = self._bins_at((0.5, 0.99))
        return Spread(
            count=self.count,
            minimum_ms=round(self.minimum / 1e6, 3),
            median_ms=float(median + _LOW_MS),
            p99_ms=float(p99 + _LOW_MS),
            maximum_ms=round(self.maximum / 1e6, 3),
            negative_share=self.negative / self.count,
            largest_jump_ms=round(self.jump / 1e6, 3),
        )


# ---------------------------------------------------------------- trades


class SideCounts(Struct, frozen=True):
    """Trades by the side of their taker; the others have none."""

    buyers: int = 0
    sellers: int = 0


class Sides(Counter[SideCounts]):
    """Counts the takers' sides."""

    def __init__(self, held: Held) -> None:
        del held
        self._found = SideCounts()

    @override
    def add(self, rows: Rows) -> None:
        sides = rows.new["aggressor_side"]
        buyers, sellers = int((sides == "BUYER").sum()), int((sides == "SELLER").sum())
        self._found = SideCounts(self._found.buyers + buyers, self._found.sellers + sellers)

    @override
    def result(self, day: Counted) -> SideCounts:
        return self._found


class MemberCounts(Struct, frozen=True):
    """Rows whose first member does not follow the last member of the row before, and the ids between them."""

    breaks: int = 0
    missing: int = 0


class Members(Counter[MemberCounts]):
    """Does the first member of each aggregate follow the last one of the row before?"""

    def __init__(self, held: Held) -> None:
        self._columns = held.table.members
        self._found = MemberCounts()
        self._last: int | None = None

    @override
    def add(self, rows: Rows) -> None:
        if self._columns is None:
            return
        first, last = (rows.new[name] for name in self._columns)
        if first.null_count() == len(first):
            return
        steps = first - last.shift(1, fill_value=self._last) - 1
        breaks, missing = int((steps != 0).sum()), int(steps.clip(lower_bound=0).sum())
        self._found = MemberCounts(self._found.breaks + breaks, self._found.missing + missing)
        self._last = last[-1]

    @override
    def result(self, day: Counted) -> MemberCounts:
        return self._found
