"""What a run leaves: ``result.json``, tables, the configuration as applied, and the page for people."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from hedgegrid_assets.backtest.accounts import VALUED, Account
from hedgegrid_assets.backtest.config import FeeShares, Setup
from hedgegrid_assets.backtest.coverage import UNJUDGED, Coverage, whole_rows
from hedgegrid_assets.backtest.files import DELTAS, DEPTHS, FUNDING, MARKS, QUOTES, TRADES
from hedgegrid_assets.backtest.job import Settlement
from hedgegrid_assets.backtest.report import write_page
from hedgegrid_assets.backtest.stress import Variant
from hedgegrid_assets.store import stored
from hedgegrid_assets.timestamps import iso

if TYPE_CHECKING:
    from hedgegrid_assets.backtest.run import Played

_PAID: Final = pa.schema(
    {
        "ts": pa.timestamp("ns", "UTC"),
        "ts_booked": pa.timestamp("ns", "UTC"),
        **dict.fromkeys(
            ("instrument_id", "position_id", "quantity", "rate", "mark", "amount", "currency", "missed"), pa.string()
        ),
    }
)
_EQUITY: Final = pa.schema(
    {
        "ts": pa.timestamp("ns", "UTC"),
        **dict.fromkeys(("currency", "equity", "balance", "price", "long", "short"), pa.string()),
    }
)


_AT_CLOSE: Final = "bar's close"
_VALUED_AT: Final = {
    TRADES: "trade",
    QUOTES: "middle of bid and ask",
    DEPTHS: "middle of the best bid and ask",
}
"""Table -> what of it a position is valued at."""


@dataclass(frozen=True, slots=True)
class Result:
    """All that is known of a run."""

    run_id: str
    setup: Setup
    coverage: Coverage
    settlements: Sequence[Settlement]
    played: "Played"
    inputs: Sequence[Mapping[str, Any]]
    stress: Sequence[Mapping[str, Any]]
    times: Sequence[int]

    def to_dict(self) -> dict[str, Any]:
        """``result.json``. Amounts are decimal text, times ISO."""
        outcome, main = self.played.outcome, self.main
        accounts = {each.currency: _account(each) for each in self.played.accounts}
        problems = list(self._problems())
        return {
            "run_id": self.run_id,
            "name": self.setup.name,
            "ok": not problems,
            "problems": problems,
            "start": iso(self.coverage.start_ns),
            "end": iso(self.coverage.end_ns),
            "versions": {**outcome.versions, "hedgegrid-assets": version("hedgegrid-assets")},
            "files": [str(file) for file in self.setup.files],
            "config_sha256": self.config_digest(),
            "sources": dict(outcome.sources),
            "catalog": str(stored(self.setup.catalog)),
            "inputs": list(self.inputs),
            "coverage": [each.to_dict() for each in self.coverage.streams],
            "delivered": self._delivered(),
            "orders": None,
            "fills": len(self.played.fills),
            "currency": main.currency,
            "pnl": _text(main.net),
            "fees": _text(main.fees),
            "return": f"{main.share:.8f}",
            "max_drawdown": _text(main.max_drawdown),
            "net": {currency: each["net"] for currency, each in accounts.items()},
            "accounts": accounts,
            "funding": self._funding(),
            "assumptions": list(self.assumptions()),
            "answers": [str(each) for each in self.setup.answers],
            "stress": list(self.stress),
            "raised": outcome.raised,
            "seconds": round(outcome.seconds, 3),
            "cpu_seconds": round(outcome.cpu_seconds, 3),
            "peak_bytes": outcome.peak_bytes,
            "result_hash": self.digest(),
        }

    @property
    def main(self) -> Account:
        """The account of what is traded first."""
        traded = next((fill.currency for fill in self.played.fills), None)
        return next((each for each in self.played.accounts if each.currency == traded), self.played.accounts[0])

    def digest(self) -> str:
        """Of fills and payments: equal in each process and on each machine."""
        digest = hashlib.sha256()
        for fill in sorted(self.played.fills, key=lambda each: (each.ts, each.order_id)):
            told = (fill.ts, fill.instrument_id, fill.order_id, fill.position_id, fill.liquidity, fill.currency)
            digest.update(f"{told} {fill.quantity:f} {fill.price:f} {fill.commission:f}\n".encode())
        for payment in sorted(self.played.outcome.payments, key=lambda each: (each.at_ns, each.position_id)):
            told = (payment.at_ns, payment.instrument_id, payment.position_id, payment.currency)
            digest.update(
                f"{told} {payment.quantity:f} {payment.rate:f} {payment.mark:f} {payment.amount:f}\n".encode()
            )
        return digest.hexdigest()

    def config(self) -> dict[str, Any]:
        """The configuration as it was applied."""
        run = self.setup.run
        return run.model_dump(mode="json", exclude_unset=True) | {
            "start": iso(self.coverage.start_ns),
            "end": iso(self.coverage.end_ns),
        }

    def config_digest(self) -> str:
        """Of the configuration, without where the catalog lies."""
        config = self.config()
        data = [{**row, "catalog_path": ""} for row in config["data"]]
        return hashlib.sha256(json.dumps(config | {"data": data}, sort_keys=True).encode()).hexdigest()

    def _delivered(self) -> dict[str, int]:
        delivered: dict[str, int] = defaultdict(int)
        for name, count in self.played.outcome.delivered.items():
            delivered[name.partition(" ")[0]] += count
        return dict(delivered)

    def _problems(self) -> Iterator[str]:
        outcome = self.played.outcome
        if outcome.raised:
            yield f"it ended before its time: {outcome.raised.strip().splitlines()[-1]}"
        yield from () if outcome.raised else self._undelivered()
        for name in dict.fromkeys(fill.instrument_id for fill in self.played.fills):
            if not any(self.coverage.stream(table, name) for table in VALUED):
                yield f"{name}: its positions have no value: the run has no marks, trades, bars, quotes or ten levels of it"
        for each in self.played.accounts:
            if each.balances is False:
                yield (
                    f"the engine's {each.currency} account and the fills do not agree: the difference is {_text(each.difference)}"
                )

    def _undelivered(self) -> Iterator[str]:
        """Rows that the engine was not given though they are of the run's days, such as those in another day's file."""
        if self.setup.run.hedgegrid.data_latency_ms:
            return
        for stream in self.coverage.streams:
            given = self.played.outcome.delivered.get(f"{stream.table} {stream.instrument_id}", 0)
            wanted = whole_rows(self.coverage, stream) if stream.table != FUNDING else None
            if wanted not in (None, given):
                what = "events" if stream.table == DELTAS else "rows"
                yield f"{stream.instrument_id} {stream.table}: expected all {wanted:,} {what} of its files to be of the run, found {given:,}"

    def _funding(self) -> dict[str, Any]:
        payments = self.played.outcome.payments
        return {
            "paid": _by_currency((each.currency, -each.amount) for each in payments if each.amount < 0),
            "received": _by_currency((each.currency, each.amount) for each in payments if each.amount > 0),
            "settlements": len(self.settlements),
            "payments": len(payments),
            "missed": list(self.missed()),
        }

    def missed(self) -> Iterator[dict[str, Any]]:
        """Settlements that were not paid, and why."""
        for each, why in missed_settlements(self):
            yield {"instrument_id": each.instrument_id, "at": iso(each.at_ns), "rate": _text(each.rate), "why": why}
        for stream in self.coverage.streams:
            if stream.table == FUNDING and self.setup.run.hedgegrid.funding.pay:
                for day in stream.left_out:
                    why = f"no funding rates: the day is {day.status}"
                    yield {"instrument_id": stream.instrument_id, "at": str(day.date), "rate": None, "why": why}

    def assumptions(self) -> Iterator[str]:
        """What a reader must know before believing a number, the weightiest first."""
        yield from self._fill_assumptions()
        yield from self._money_assumptions()
        yield from self._data_assumptions()

    def _fill_assumptions(self) -> Iterator[str]:
        for venue in self.setup.run.venues:
            queue = (
                "waits for the volume that trades at its price first (queue_position)"
                if venue.queue_position
                else "is filled as soon as a trade touches its price"
            )
            once = (
                "no trade fills twice" if venue.liquidity_consumption else "one trade can fill several orders in full"
            )
            yield f"{venue.name}: a resting order {queue}; {once} (liquidity_consumption {_on(venue.liquidity_consumption)})."
            yield f"{venue.name}: {_latency(venue)}."
            if any(self.setup.finer(venue.name)):
                yield f"{venue.name}: {_by_bars(venue)}."
        delay = self.setup.run.hedgegrid.data_latency_ms
        if delay:
            yield (
                f"Arrivals that were not recorded are {delay} ms after the exchange's time. The engine shows the market and the strategy "
                f"the same moment, so orders are late by {delay} ms more."
            )

    def _money_assumptions(self) -> Iterator[str]:
        fees = self.setup.run.hedgegrid.fees
        for each in self.played.outcome.contracts:
            whose = (
                "as the configuration says"
                if isinstance(fees, FeeShares)
                else "none, as the configuration says"
                if fees == "none"
                else f"of the definition ({each.origin})"
            )
            rates = f"maker {_text(each.maker_fee * 10_000)} bps, taker {_text(each.taker_fee * 10_000)} bps"
            yield f"{each.instrument_id}: fees {whose}: {rates}."
            if not each.margin_init:
                yield (
                    f"{each.instrument_id}: its definition ({each.origin}) has no margins, so no order is refused for want of money."
                )
            if each.origin == "inferred":
                yield f"{each.instrument_id}: tick and lot are inferred from the data; import the venue's own with `hedgegrid instruments import`."
        if not self.setup.run.hedgegrid.funding.pay:
            yield "Funding is not paid (hedgegrid: funding: pay: false)."
        yield "Nobody is liquidated: equity or a balance below zero is told, and the run goes on."
        step = (self.times[1] - self.times[0]) / 1e9
        yield f"Equity and drawdown are taken every {step:g} s: a fall that is over within that time is not in them."

    def _data_assumptions(self) -> Iterator[str]:
        for each in self.coverage.streams:
            told = (
                "arrivals are recorded"
                if each.arrival == "recorded"
                else "arrivals are assumed to be the exchange's own times: no delay on the way"
            )
            out = each.left_out
            missing = f"; of {len(each.days)} days {len(out)} {'are' if len(out) > 1 else 'is'} left out" if out else ""
            gaps = sum(day.number_of_gaps for day in each.days)
            seconds = sum(end - start for day in each.days for start, end in day.gaps) / 1e9
            silent = f"; {gaps} gap{'s' if gaps > 1 else ''} inside days, {seconds:,.0f} s in all" if gaps else ""
            poor = sorted({day.status for day in each.days if day.status in ("partial", "degraded")})
            short = "".join(f"; {_days(sum(day.status == status for day in each.days))} {status}" for status in poor)
            unjudged = "; not judged by this catalog" if any(day.status == UNJUDGED for day in each.days) else ""
            yield f"{each.instrument_id} {each.table}: {told}{missing}{short}{silent}{unjudged}."
        tables = {each.table for each in self.coverage.streams}
        if self.setup.run.hedgegrid.funding.pay and FUNDING not in tables:
            yield "The run has no funding rates, so no funding is paid."
        valued = next((table for table in VALUED if table in tables), MARKS)
        if valued != MARKS:
            yield f"The run has no mark prices: positions are valued at the last {_VALUED_AT.get(valued, _AT_CLOSE)}."


def missed_settlements(result: Result) -> Iterator[tuple[Settlement, str]]:
    """Settlements that were not paid, and why."""
    why = {(each.instrument_id, each.at_ns): each.why for each in result.played.outcome.missed}
    for each in result.settlements:
        if told := why.get((each.instrument_id, each.at_ns)):
            yield each, told


def stress_row(variant: Variant, played: "Played", base: "Played | None") -> dict[str, Any]:
    """One line of the table of assumptions; ``base``: the run itself, None where this is it."""
    nets = {each.currency: each.net for each in played.accounts}
    before = {each.currency: each.net for each in base.accounts} if base else {}
    turned = [currency for currency, net in nets.items() if net * before.get(currency, Decimal(0)) < 0]
    row: dict[str, Any] = {"name": variant.name, "what": variant.what}
    if variant.not_run:
        return row | {"not_run": variant.not_run}
    return row | {
        "net": {currency: _text(net) for currency, net in nets.items()},
        "fees": {each.currency: _text(each.fees) for each in played.accounts},
        "funding": {each.currency: _text(each.funding) for each in played.accounts},
        "fills": len(played.fills),
        "sign_changed": turned,
        "unchanged": _unchanged(played, base) if base else "",
        "raised": played.outcome.raised.strip().splitlines()[-1] if played.outcome.raised else "",
    }


def _unchanged(played: "Played", base: "Played") -> str:
    """Why an assumption changes nothing, as far as the fills can tell; empty where it does change something."""
    if played is base:
        return "the run is configured so already"
    if played.fills != base.fills or played.accounts != base.accounts:
        return ""
    if not played.fills:
        return "nothing was filled, with it or without"
    if all(fill.liquidity == "TAKER" for fill in played.fills):
        return "no resting order was filled, with it or without"
    return "on these data each order is filled as without it"


def write(folder: Path, result: Result, document: dict[str, Any]) -> None:
    """The files of a run, beside those that the engine has left; puts into the document what its orders tell."""
    statuses = pl.read_parquet(folder / "orders.parquet", columns=["status"])["status"]
    document["orders"] = len(statuses)
    if denied := int((statuses == "DENIED").sum()):
        told = f"{denied:,} of {len(statuses):,} orders were denied before they reached a venue: run.log has why."
        document["assumptions"].insert(0, told)
    pq.write_table(pa.Table.from_pylist(list(_payments(result)), schema=_PAID), folder / "funding.parquet")
    pq.write_table(pa.Table.from_pylist(list(_samples(result)), schema=_EQUITY), folder / "equity.parquet")
    _write_config(folder / "config.yaml", result.config())
    (folder / "result.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    write_page(folder, result, document)


def _payments(result: Result) -> Iterator[dict[str, Any]]:
    for each in result.played.outcome.payments:
        yield {
            "ts": each.at_ns,
            "ts_booked": each.booked_ns,
            "instrument_id": each.instrument_id,
            "position_id": each.position_id,
            "quantity": _text(each.quantity),
            "rate": _text(each.rate),
            "mark": _text(each.mark),
            "amount": _text(each.amount),
            "currency": each.currency,
            "missed": None,
        }
    for each, why in missed_settlements(result):
        yield {"ts": each.at_ns, "instrument_id": each.instrument_id, "rate": _text(each.rate), "missed": why}


def _samples(result: Result) -> Iterator[dict[str, Any]]:
    for account in result.played.accounts:
        unit = Decimal(1).scaleb(-account.precision)
        for each in account.samples:
            yield {
                "ts": each.ts,
                "currency": account.currency,
                "equity": _text(each.equity.quantize(unit)),
                "balance": None if each.balance is None else _text(each.balance),
                "price": None if each.price is None else _text(each.price),
                "long": _text(each.long),
                "short": _text(each.short),
            }


def _write_config(path: Path, config: Mapping[str, Any]) -> None:
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[attr-defined]
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(dict(config), file)


def _account(account: Account) -> dict[str, Any]:
    return {
        "start": _text(account.start),
        "end": _text(account.end),
        "net": _text(account.net),
        "price_pnl": _text(account.price_pnl),
        "fees": _text(account.fees),
        "funding": _text(account.funding),
        "return": f"{account.share:.8f}",
        "max_drawdown": _text(account.max_drawdown),
        "max_drawdown_share": f"{account.max_drawdown_share:.8f}",
        "below_zero": iso(account.below_zero_ns) if account.below_zero_ns else None,
        "agrees_with_engine": account.balances,
    }


def _by_bars(venue: Any) -> str:
    """Whether bars fill orders, and when."""
    if not venue.bar_execution:
        return "bars fill no order (bar_execution off)"
    return "each bar is played at its close, as a trade at its open, high, low and close (bar_execution on)"


def _latency(venue: Any) -> str:
    model = venue.latency_model
    if model is None:
        return "orders arrive at once (no latency model)"
    base = model.config.get("base_latency_nanos", 1_000_000_000)
    told = ", ".join(
        f"{what} {(base + model.config.get(f'{what}_latency_nanos', 0)) / 1e6:g} ms"
        for what in ("insert", "update", "cancel")
    )
    return f"orders take their time: {told}" if "LatencyModel" in model.latency_model_path else model.latency_model_path


def _days(count: int) -> str:
    return "1 day is" if count == 1 else f"{count} days are"


def _on(value: bool) -> str:
    return "on" if value else "off"


def _by_currency(pairs: Iterator[tuple[str, Decimal]]) -> dict[str, str]:
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for currency, amount in pairs:
        sums[currency] += amount
    return {currency: _text(amount) for currency, amount in sums.items()}


def _text(value: Decimal) -> str:
    """Without an exponent, and without zeros that say nothing."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
