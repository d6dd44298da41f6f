"""Bars: open, high, low, close and volume of a period; one table a period, as one folder of Nautilus holds one kind of them."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

import polars as pl

from hedgegrid_assets.model import (
    Column,
    Counted,
    Effect,
    Encoding,
    Judgement,
    NautilusColumn,
    NautilusForm,
    Rule,
    Severity,
    Table,
    TableMapping,
)
from hedgegrid_assets.tables import rules
from hedgegrid_assets.tables.rules.counters import Extent
from hedgegrid_assets.timestamps import NS_PER_SECOND, iso

PRICES: Final = ("open", "high", "low", "close")
OHLCV: Final = (*PRICES, "volume")
_TRADES: Final = "trade_tick"
_LARGEST_VOLUME: Final = 34_028_236_692_093
_SLACK_NS: Final = NS_PER_SECOND
"""A bar is stamped so shortly before the next one begins: venues write ..59.999 s."""


class Period(NamedTuple):
    """How long a bar is: as Binance writes it, and in the words of Nautilus' bar types."""

    short: str
    step: int
    unit: str

    @property
    def ns(self) -> int:
        """In ns."""
        seconds = {"SECOND": 1, "MINUTE": 60, "HOUR": 3_600, "DAY": 86_400}[self.unit]
        return self.step * seconds * NS_PER_SECOND

    @property
    def gap_seconds(self) -> float:
        """Longest usual silence of a venue's candles, which come each period, also where nothing was traded."""
        return 1.5 * self.ns / NS_PER_SECOND

    @property
    def spec(self) -> str:
        """As in a bar type: ``5-MINUTE``."""
        return f"{self.step}-{self.unit}"

    @property
    def table(self) -> str:
        """Name of its table."""
        return f"bar_{self.step}_{self.unit.lower()}"


_UNITS: Final = {"s": "SECOND", "m": "MINUTE", "h": "HOUR", "d": "DAY"}


def _periods(*shorts: str) -> tuple[Period, ...]:
    return tuple(Period(short, int(short[:-1]), _UNITS[short[-1]]) for short in shorts)


PUBLISHED: Final = _periods("1m", "1s", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d")
"""Those that venues have candles of; the usual one first."""
PERIODS: Final = (*PUBLISHED, *_periods("5s", "10s", "15s", "30s", "2m", "10m", "20m", "3h"))
"""All that there are bars of; the others are made of trades alone."""


def _rules(period: Period) -> tuple[Rule, ...]:
    high, low = pl.col("high"), pl.col("low")
    number = pl.col("ts_event") // period.ns
    return (
        rules.positive("prices_positive", *PRICES),
        Rule(
            "ohlc_in_order",
            Severity.ERROR,
            "positive_prices",
            "no open, low or close is above its high, and no open, high or close below its low",
            fails=pl.any_horizontal(high < low, *(~pl.col(name).is_between(low, high) for name in ("open", "close"))),
        ),
        Rule(
            "volume_possible",
            Severity.ERROR,
            "positive_prices",
            "every volume is zero or above, and not above what Nautilus holds",
            fails=~pl.col("volume").is_between(0, _LARGEST_VOLUME).fill_null(value=False),
        ),
        Rule(
            "one_bar_a_period",
            Severity.ERROR,
            "rows_accounted_for",
            "no two bars are of one period",
            fails=number <= number.shift(1),
        ),
        Rule(
            "known_at_its_close",
            Severity.ERROR,
            "rows_accounted_for",
            "every bar is stamped with the end of its period, and none arrives before it",
            fails=(pl.col("ts_init") < pl.col("ts_event")) | (pl.col("ts_event") % period.ns < period.ns - _SLACK_NS),
        ),
    )


def _bars_whole(day: Counted) -> Judgement:
    """The first bar may lack what was traded before the record began, and the last what was traded after its end."""
    passed, told = day.known.made_of.get(rules.DAY_COVERED.name, (None, {}))
    span = day.of(Extent)
    edges = (("start_missing_s", span.first), ("end_missing_s", span.last))
    cut = [iso(at) for edge, at in edges if at is not None and told and told[edge] > told["allowed_s"]]
    return Judgement(passed, 0, {**told, "cut": list(dict.fromkeys(cut))} if told else {})


def _of_all_trades(day: Counted) -> Judgement:
    passed, told = day.known.made_of.get(rules.NO_SEQUENCE_GAPS.name, (None, {}))
    return Judgement(passed, 0, {name: told[name] for name in ("ids_missing", "holes") if name in told})


def _volume_as_traded(day: Counted) -> Judgement:
    """Off where there are no trades beside, or no bar of a time that these cover for sure."""
    told = day.known.beside.get(_TRADES, {})
    differ = told.get("differ", 0)
    return Judgement(not differ if told.get("compared") else None, differ, told)


_AGAINST_TRADES: Final = (
    Rule(
        "bars_whole",
        Severity.WARN,
        "gap_report",
        "no bar is made of trades whose record begins or ends within its period",
        judge=_bars_whole,
        counters=(Extent,),
        effect=Effect.PARTIAL,
        seen_while_normalizing=True,
    ),
    Rule(
        "bars_of_all_trades",
        Severity.WARN,
        "gap_report",
        "the ids of the trades that bars are made of go on without holes",
        judge=_of_all_trades,
        effect=Effect.DEGRADES,
        seen_while_normalizing=True,
    ),
    Rule(
        "volume_as_traded",
        Severity.WARN,
        "quality",
        "the volume of each candle is that of the trades of its time, where the day has both",
        judge=_volume_as_traded,
        seen_while_normalizing=True,
    ),
)


def _beside_trades(period_ns: int, bars: Iterator[pl.DataFrame], trades: Iterator[pl.DataFrame]) -> dict[str, Any]:
    """Volumes of candles that differ from what was traded in their time, by the venue's clock.

    Of the first and the last period with a trade not all trades may be of this day, since days are cut by arrival.
    """
    number = (pl.col("ts_event") // period_ns).alias("number")
    sums = [block.group_by(number).agg(traded=pl.col("size").sum()) for block in trades]
    if not sums:
        return {"compared": 0}
    traded = pl.concat(sums).group_by("number").agg(pl.col("traded").sum())
    inside = (pl.col("number") > traded["number"].min()) & (pl.col("number") < traded["number"].max())
    mine = [block.select(number, "volume", "ts_event").filter(inside) for block in bars]
    both = pl.concat(mine).join(traded, on="number", how="left").with_columns(pl.col("traded").fill_null(0))
    differ = both.filter(pl.col("volume") != pl.col("traded"))
    told = {"compared": len(both), "differ": len(differ)}
    first = differ.row(0, named=True) if len(differ) else {}
    return told | (
        {"first": iso(first["ts_event"]), "volume": str(first["volume"]), "traded": str(first["traded"])}
        if first
        else {}
    )


def _table(period: Period) -> Table:
    kind = f"{{id}}-{period.spec}-LAST-EXTERNAL"
    price = partial(Column, dtype=pl.Decimal(38, 16), precision="price", positive=True, maximum=17_014_118_346_046)
    return Table(
        name=period.table,
        token="bars" if period is PERIODS[0] else f"bars_{period.short}",
        folder=period.table,
        nautilus={
            1: NautilusForm(
                cls="Bar",
                folder="bar",
                columns=tuple(NautilusColumn(name, name, Encoding.RAW16) for name in OHLCV),
                precisions={"price_precision": "price", "size_precision": "size"},
                named=kind,
                named_in="bar_type",
            ),
            2: NautilusForm(
                cls="Bar",
                folder="bars",
                columns=tuple(NautilusColumn(name, name, Encoding.DECIMAL) for name in OHLCV),
                precisions={"price_precision": "price", "size_precision": "size"},
                named=kind,
                named_in="bar_type",
                class_in="type_name",
                times=Encoding.TIMESTAMP,
            ),
        },
        doc=f"Bars of {period.spec} on last prices, each known at its close and not before",
        columns=(
            *(price(name, doc=f"{name} of the period, quote units, above zero") for name in PRICES),
            Column(
                "volume",
                pl.Decimal(38, 16),
                "traded in the period: base units (contracts on coinm), not below zero",
                precision="size",
                unsigned=True,
                maximum=_LARGEST_VOLUME,
            ),
        ),
        gap_seconds=max(3 * period.ns / NS_PER_SECOND, 60.0),
        tells_of_ns=period.ns,
        rules=(
            *_rules(period),
            *rules.STORED,
            rules.NO_TIME_GAPS,
            rules.DAY_COVERED,
            *_AGAINST_TRADES,
            rules.on_tick(*PRICES),
            *rules.OBSERVED,
        ),
        code_version=1,
        kind_setting="bar_kind",
        drawn="close",
        reshapes={"merged": "that are one bar with another"},
        beside={_TRADES: partial(_beside_trades, period.ns)},
    )


BARS: Final = tuple(map(_table, PERIODS))
"""A table for each period."""
TABLE_OF: Final[Mapping[str, str]] = {period.spec: period.table for period in PERIODS}
"""Period in the words of Nautilus, as ``1-MINUTE`` -> its table."""


# ---------------------------------------------------------------- made of trades


class _Bars:
    """Bars of trades, cut by arrival: a bar holds what had arrived by its end, and is stamped with its last nanosecond.

    A period without trades has none: no price is made up.
    """

    decided: Final = True

    def __init__(self, period_ns: int) -> None:
        self._period = period_ns
        self._open: pl.DataFrame | None = None
        self._more = 0

    def resume(self, states: Mapping[str, Any], start_ns: int) -> None:
        """No bar reaches over midnight."""

    def see(self, rows: pl.DataFrame) -> None:
        """They are not looked at before."""

    def told(self) -> Mapping[str, int]:
        """How many rows became part of others."""
        return {"merged": self._more} if self._more else {}

    def hand_on(self, states: Mapping[str, Any]) -> Mapping[str, Any]:
        """All that there is, counters have seen."""
        return states

    def add(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Trades in order of arrival; the bars that are complete now."""
        price = pl.col("price")
        bars = rows.group_by(pl.col("ts_init") // self._period, maintain_order=True).agg(
            open=price.first(),
            high=price.max(),
            low=price.min(),
            close=price.last(),
            volume=pl.col("size").sum(),
            raw_row=pl.col("raw_row").last(),
        )
        if self._open is not None:
            bars = _joined(pl.concat([self._open, bars]))
        self._open = bars.tail(1)
        self._more += len(bars) - 1 - len(rows)
        return self._stamped(bars.head(-1))

    def rest(self) -> pl.DataFrame | None:
        """The last bar."""
        if self._open is None:
            return None
        self._more += 1
        return self._stamped(self._open)

    def _stamped(self, bars: pl.DataFrame) -> pl.DataFrame:
        end = (pl.col("ts_init") + 1) * self._period - 1
        return bars.select(end.alias("ts_event"), end.alias("ts_init"), *OHLCV, "raw_row")


def _joined(bars: pl.DataFrame) -> pl.DataFrame:
    """Parts of a bar become one."""
    column = pl.col
    return bars.group_by("ts_init", maintain_order=True).agg(
        column("open").first(),
        column("high").max(),
        column("low").min(),
        column("close").last(),
        column("volume").sum(),
        column("raw_row").last(),
    )


def made_of_trades(trades: str, lineage: Mapping[str, tuple[str, ...]]) -> dict[str, TableMapping]:
    """Bars of every period, of the rows of a table of trades; ``lineage``: the raw fields of ``price``, ``size`` and ``ts_init``."""
    time = lineage.get("ts_init", lineage.get("ts_event", ()))
    from_trades = {"ts_event": time, **dict.fromkeys(PRICES, lineage["price"]), "volume": lineage["size"]}
    return {
        period.table: TableMapping(columns={}, lineage=from_trades, made_of=trades, shape=partial(_Bars, period.ns))
        for period in PERIODS
    }
