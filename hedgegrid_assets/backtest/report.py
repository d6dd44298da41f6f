"""One self-contained page of a run: what it earned, under which assumptions, and where; nothing is loaded from anywhere.

Numbers are shown as text from the exact ones; only what is drawn goes through floats.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from hedgegrid_assets.backtest.accounts import Account, Fill
from hedgegrid_assets.inspect.visible import visible

if TYPE_CHECKING:
    from hedgegrid_assets.backtest.result import Result

PAGE: Final = "report.html"
TEMPLATE: Final = Path(__file__).with_name("report_template.html")
_MOST_GAPS: Final = 2_000
_MOST_MARKS: Final = 4_000
_MOST_ROWS: Final = 500
_LOG_CHARACTERS: Final = 20_000
_MS: Final = 1_000_000


def write_page(folder: Path, result: "Result", document: Mapping[str, Any]) -> None:
    """Write ``report.html`` into a run's folder."""
    text = TEMPLATE.read_text(encoding="utf-8").replace("__DATA__", _embedded(_content(folder, result, document)), 1)
    (folder / PAGE).write_text(text, encoding="utf-8")


def turned(document: Mapping[str, Any]) -> list[str]:
    """Each assumption under which a gain becomes a loss, or a loss a gain, in words."""
    rows = [row for row in document["stress"] if "net" in row]
    lines = []
    for row in rows:
        for currency in row["sign_changed"]:
            was, now = Decimal(rows[0]["net"][currency]), Decimal(row["net"][currency])
            lines.append(
                f"With {row['name'] if row['name'] != 'later' else row['what']}, the {_gain(was)} of {abs(was):,.2f} {currency} "
                f"is a {_gain(now)} of {abs(now):,.2f} {currency}."
            )
    return lines


def _gain(amount: Decimal) -> str:
    return "gain" if amount > 0 else "loss"


def _content(folder: Path, result: "Result", document: Mapping[str, Any]) -> dict[str, Any]:
    log = (folder / "run.log").read_text(encoding="utf-8", errors="replace")
    traded = next((fill.instrument_id for fill in result.played.fills), result.setup.instruments()[0])
    return {
        "document": {name: value for name, value in document.items() if name != "inputs"},
        "inputs": [[each["file"], each["sha256"], each["rows"]] for each in document["inputs"]],
        "turned": turned(document),
        "instrument": traded,
        "description": result.setup.run.hedgegrid.description,
        "drawn": _drawn(result.main),
        "marks": _marks(result.played.fills, traded),
        "gaps": sorted(_gaps(result), key=lambda each: each[0] - each[1])[:_MOST_GAPS],
        "payments": list(_payments(result)),
        "fills": [_fill(each) for each in result.played.fills[:_MOST_ROWS]],
        "positions": _positions(folder),
        "config": (folder / "config.yaml").read_text(encoding="utf-8"),
        "log": [log[-_LOG_CHARACTERS:], max(len(log) - _LOG_CHARACTERS, 0)],
    }


def _drawn(account: Account) -> dict[str, Any]:
    """Columns of samples, times in ms."""
    samples = account.samples
    return {
        "time": [each.ts // _MS for each in samples],
        "equity": [_number(each.equity, account.precision) for each in samples],
        "balance": [None if each.balance is None else _number(each.balance, account.precision) for each in samples],
        "price": [None if each.price is None else float(each.price) for each in samples],
        "long": [float(each.long) for each in samples],
        "short": [float(each.short) for each in samples],
    }


def _number(value: Decimal, digits: int) -> float:
    return round(float(value), digits)


def _marks(fills: Sequence[Fill], instrument_id: str) -> dict[str, Any]:
    """Fills to draw: all of them, or evenly some."""
    mine = [fill for fill in fills if fill.instrument_id == instrument_id]
    step = -(-len(mine) // _MOST_MARKS) or 1
    return {
        "of": len(mine),
        "shown": [
            [fill.ts // _MS, float(fill.price), float(fill.quantity), int(fill.liquidity == "MAKER")]
            for fill in mine[::step]
        ],
    }


def _gaps(result: "Result") -> Iterator[list[Any]]:
    """[from, to, stream, what] of days that are left out, and of gaps inside days."""
    day_ms = 86_400_000
    for stream in result.coverage.streams:
        for day in stream.days:
            start = day.date.toordinal() - 719_163
            if not day.is_good:
                yield [start * day_ms, (start + 1) * day_ms, stream.table, day.status]
            for gap_start, gap_end in day.gaps:
                yield [gap_start // _MS, gap_end // _MS, stream.table, "gap"]


def _payments(result: "Result") -> Iterator[list[Any]]:
    """One row a settlement that moved money: [ms, rate, mark, quantity, amount, currency, instrument, legs]."""
    rows: dict[tuple[int, str], list[Any]] = {}
    for each in result.played.outcome.payments:
        row = rows.setdefault(
            (each.at_ns, each.instrument_id),
            [each.at_ns // _MS, each.rate, each.mark, Decimal(0), Decimal(0), each.currency, each.instrument_id, 0],
        )
        row[3] += each.quantity
        row[4] += each.amount
        row[7] += 1
    for row in rows.values():
        yield [row[0], *(_plain(value) for value in row[1:5]), *row[5:]]


def _fill(fill: Fill) -> list[Any]:
    amounts = (fill.quantity, fill.price, fill.commission)
    return [
        fill.ts // _MS,
        fill.instrument_id,
        *(_plain(each) for each in amounts),
        fill.currency,
        fill.liquidity.lower(),
    ]


def _positions(folder: Path) -> dict[str, Any]:
    frame = pl.read_parquet(folder / "positions.parquet").sort("ts_opened", "position_id")
    shown = frame.with_columns(pl.col("ts_opened", "ts_closed").dt.epoch("ms")).head(_MOST_ROWS)
    names = ("ts_opened", "ts_closed", "entry", "peak_quantity", "average_open", "average_close")
    return {"of": len(frame), "shown": shown.select(*names, "realized_pnl", "funding", "currency").rows()}


def _plain(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _embedded(content: Mapping[str, Any]) -> str:
    """JSON that may stand inside a script element; what is shown has no control characters but line ends."""
    text = json.dumps(_visible(content), separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _visible(value: Any) -> Any:
    match value:
        case str():
            return visible(value, keep="\n")
        case dict():
            return {visible(str(key)): _visible(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_visible(inner) for inner in value]
    return value
