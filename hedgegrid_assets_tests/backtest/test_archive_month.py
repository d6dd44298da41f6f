"""A month of free history, from the published files to the funding that a backtest pays on it."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

import polars as pl
import pytest

from hedgegrid_assets.backtest.run import Ran, run_backtest
from hedgegrid_assets.sources.client import limits
from hedgegrid_assets_tests.archive_cases import QUICK, UM, candles, convert, fresh_standin, month_of, shared_standin
from hedgegrid_assets_tests.backtest.market import DAY, HOUR, MIDNIGHT, SECOND, scripted, settings_of, setup_of
from hedgegrid_assets_tests.standins.archive import Standin, rows_in

pytestmark = pytest.mark.slow
CUT = date(2024, 1, 12)
"""Its candles are silent from 07:50 to 08:10."""
LOST = date(2024, 1, 25)
"""The archive has no marks of it, in no file."""
PLAN = [
    (MIDNIGHT + HOUR, "BUY", "0.5", "LONG"),
    (MIDNIGHT + 2 * DAY + 3 * HOUR, "SELL", "0.3", "SHORT"),
    (MIDNIGHT + 9 * DAY + 16 * HOUR, "BUY", "1.25", "LONG"),  # exactly at a settlement: not of it
    (MIDNIGHT + 20 * DAY + 12 * HOUR, "SELL", "1", "LONG"),  # exactly at one that there is since that day only
    (MIDNIGHT + 27 * DAY, "BUY", "0.3", "SHORT"),
]


MARKS = f"{UM}/monthly/markPriceKlines/BTCUSDT/1m/BTCUSDT-1m-2024-01.zip"


def with_holes(rows: list[str]) -> list[str]:
    """Without the minutes around one settlement, and without a day."""
    eight, lost = (datetime(2024, 1, day, hour, tzinfo=UTC).timestamp() * 1_000 for day, hour in ((12, 8), (25, 0)))
    opened = [int(row.split(",")[0]) for row in rows]
    kept = [not (eight - 180_000 <= at < eight + 600_000 or lost <= at < lost + 86_400_000) for at in opened]
    return [row for row, keep in zip(rows, kept, strict=True) if keep]


@pytest.fixture(scope="module")
def server() -> Standin:
    standin = fresh_standin()
    standin.change(MARKS, with_holes)
    standin.library.gone.add(candles(day=LOST))
    return standin


@pytest.fixture(scope="module")
def month(server: Standin, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("month")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "in_force", QUICK)
        words = ("--data-types", "trades,mark,funding", "--quiet")
        assert convert(folder, server, *words, start="2024-01-01", end="2024-02-01") == 1  # a day is lost
    values = settings_of(folder / "catalog", scripted(PLAN), hedgegrid={"allow_gaps": True})
    return run_backtest(setup_of(folder, values), folder / "artifacts")


def test_every_settlement_of_the_month_is_paid_or_listed_with_its_reason(month: Ran) -> None:
    assert month.ok, month.result["problems"]
    funding = pl.read_parquet(month.folder / "funding.parquet")
    ours = set(funding["ts"].dt.epoch("ns"))
    published = {at for at, _ in _rates()}
    assert len(published) == 20 * 3 + 11 * 6
    assert ours == published
    reasons = {each["at"][:16]: each["why"] for each in month.result["funding"]["missed"]}
    assert reasons.pop("2024-01-01T00:00") == "the run begins with it: nothing was held before"
    assert reasons.pop("2024-01-12T08:00") == "its last mark price is 180.0 s old, more than 120 s"
    assert reasons == {
        f"2024-01-{LOST + timedelta(days=hour // 24):%d}T{hour % 24:02d}:00": "no mark price of the ten minutes before it"
        for hour in (4, 8, 12, 16, 20, 24)
    }


def test_what_was_paid_is_what_a_hand_computes_from_the_published_files(month: Ran) -> None:
    marks = _marks()
    times = [at for at, _ in marks]
    total, payments = Decimal(0), 0
    for at, rate in _rates():
        place = bisect_right(times, at) - 1
        if place < 0 or at - times[place] > 120 * SECOND:
            continue
        for leg in ("LONG", "SHORT"):
            signs = {"BUY": 1, "SELL": -1}
            held = sum((signs[side] * Decimal(q) for when, side, q, of in PLAN if of == leg and when < at), Decimal(0))
            paid = (-held * marks[place][1] * rate).quantize(Decimal("1e-8"), ROUND_HALF_EVEN)
            total += paid
            payments += bool(held)
    account = month.result["accounts"]["USDT"]
    assert (month.result["funding"]["payments"], Decimal(account["funding"])) == (payments, total)
    assert abs(total) > 1
    assert account["agrees_with_engine"] is True


def _rates() -> Sequence[tuple[int, Decimal]]:
    """(settlement in ns, rate) as the archive's monthly file has them, some milliseconds of jitter taken off."""
    rows = [row.split(",") for row in _published(month_of("fundingRate"))]
    assert any(int(row[0]) % 60_000 for row in rows)
    return [((int(row[0]) + 500) // 1_000 * SECOND, Decimal(row[2])) for row in rows]


def _marks() -> Sequence[tuple[int, Decimal]]:
    """(close time in ns, close)."""
    rows = [row.split(",") for row in _published(MARKS)]
    return [(int(row[6]) * 1_000_000, Decimal(row[4])) for row in rows]


def _published(path: str) -> list[str]:
    body = shared_standin().library.body(path)
    assert body is not None
    return rows_in(body)[1:]
