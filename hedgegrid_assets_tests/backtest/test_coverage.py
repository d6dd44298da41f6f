"""What a catalog must hold before anything is run."""

import shutil
from datetime import date
from pathlib import Path

import msgspec
import pytest

from hedgegrid_assets.backtest.coverage import cover, data_span
from hedgegrid_assets.errors import CoverageRefused, InstrumentNotHeld, NoDataFetched, NoSuchCatalog
from hedgegrid_assets.model import InstrumentDay, Status
from hedgegrid_assets.stages.verdict import read_verdict, store_verdict
from hedgegrid_assets.store import Places
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets_tests.backtest.market import DAY, HOUR, ID, MIDNIGHT, SECOND, Market, every_second

TRADES = ("trade_tick", ID)
MARKS = ("mark_price_update", ID)


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trades of the first, second and fourth of January, marks of the first."""
    trades = [
        (MIDNIGHT + day * DAY + second * SECOND, "43000.5", "1.5", "buy") for day in (0, 1, 3) for second in (0, 5, 900)
    ]
    marks = every_second(MIDNIGHT, MIDNIGHT + 5 * SECOND, "43000")
    return Market(trades=trades, marks=marks).build(tmp_path_factory.mktemp("days"))


def test_the_range_is_what_the_catalog_holds_and_missing_days_are_listed(days: Path) -> None:
    with pytest.raises(CoverageRefused, match=f"{ID} trade_tick 2024-01-03 is missing") as refused:
        cover(days, [TRADES], None, None, allow_gaps=False)
    assert refused.value.exit_code == 1
    assert "--allow-gaps" in refused.value.hint
    found = cover(days, [TRADES], None, None, allow_gaps=True)
    assert (found.start_ns, found.end_ns) == (MIDNIGHT, MIDNIGHT + 4 * DAY)
    (stream,) = found.streams
    assert [day.status for day in stream.days] == ["partial", "partial", "missing", "partial"]
    assert len(stream.files) == 3
    assert [str(day.date) for day in stream.left_out] == ["2024-01-03"]


def test_every_missing_day_of_every_table_is_in_one_message(days: Path) -> None:
    with pytest.raises(CoverageRefused) as refused:
        cover(days, [TRADES, MARKS], MIDNIGHT, MIDNIGHT + 2 * DAY, allow_gaps=False)
    assert refused.value.details["days"] == [f"{ID} mark_price_update 2024-01-02 is missing"]
    with pytest.raises(CoverageRefused) as refused:
        cover(days, [TRADES, MARKS], MIDNIGHT, MIDNIGHT + 4 * DAY, allow_gaps=False)
    assert refused.value.details["days"] == [
        f"{ID} trade_tick 2024-01-03 is missing",
        f"{ID} mark_price_update 2024-01-02 .. 2024-01-04 (3 days) are missing",
    ]


def test_a_day_whose_verdict_is_not_good_is_left_out(days: Path, tmp_path: Path) -> None:
    catalog = _copy(days, tmp_path)
    _judge_anew(catalog, status=Status.BLOCKED)
    with pytest.raises(CoverageRefused, match="2024-01-01 is blocked"):
        cover(catalog, [TRADES], MIDNIGHT, MIDNIGHT + 2 * DAY, allow_gaps=False)
    found = cover(catalog, [TRADES], MIDNIGHT, MIDNIGHT + 2 * DAY, allow_gaps=True)
    assert [file.name[:10] for file in found.streams[0].files] == ["2024-01-02"]


def test_a_file_that_is_not_of_the_frame_that_was_judged_is_not_run(days: Path, tmp_path: Path) -> None:
    catalog = _copy(days, tmp_path)
    _judge_anew(catalog, content_digest="0" * 64)
    with pytest.raises(CoverageRefused, match="2024-01-01 is stale"):
        cover(catalog, [TRADES], MIDNIGHT, MIDNIGHT + DAY, allow_gaps=False)


def test_days_of_another_writer_are_taken_and_called_not_judged(days: Path, tmp_path: Path) -> None:
    catalog = _copy(days, tmp_path)
    for verdict in (catalog / ID / "trade_tick.verdict").glob("*.json"):
        verdict.unlink()
    found = cover(catalog, [TRADES], MIDNIGHT, MIDNIGHT + DAY, allow_gaps=False)
    assert [(day.status, day.rows) for day in found.streams[0].days] == [("not judged", 3)]


def test_gaps_inside_days_and_assumed_arrivals_are_known(days: Path, tmp_path: Path) -> None:
    recorded = cover(days, [MARKS], MIDNIGHT, MIDNIGHT + DAY, allow_gaps=False)
    assert recorded.streams[0].arrival == "recorded"
    marks = [(at, at, "43000") for at in range(MIDNIGHT, MIDNIGHT + HOUR, 60 * SECOND)]
    assumed = Market(marks=marks).build(tmp_path)
    assert cover(assumed, [MARKS], None, None, allow_gaps=False).streams[0].arrival == "assumed"


def test_no_catalog_no_instrument_and_no_day_are_told(days: Path, tmp_path: Path) -> None:
    with pytest.raises(NoSuchCatalog, match="expected a folder with data/ in it"):
        cover(tmp_path / "absent", [TRADES], None, None, allow_gaps=True)
    with pytest.raises(InstrumentNotHeld, match=f"no definition of ETHUSDT-PERP.BINANCE: expected one, found {ID}"):
        cover(days, [("trade_tick", "ETHUSDT-PERP.BINANCE")], None, None, allow_gaps=True)
    with pytest.raises(NoDataFetched, match="no funding_rate_update of it"):
        cover(days, [("funding_rate_update", ID)], MIDNIGHT, MIDNIGHT + DAY, allow_gaps=True)
    with pytest.raises(NoDataFetched, match=r"2024-01-01 \.\. 2024-01-04"):
        cover(days, [TRADES], MIDNIGHT + 100 * DAY, MIDNIGHT + 101 * DAY, allow_gaps=True)


def test_the_span_of_a_run_is_that_of_its_rows(days: Path) -> None:
    """A capture of minutes is drawn and valued over its minutes, not over its day."""
    found = cover(days, [TRADES, MARKS], MIDNIGHT, MIDNIGHT + DAY, allow_gaps=False)
    assert data_span(found) == (MIDNIGHT, MIDNIGHT + 900 * SECOND)
    later = cover(days, [TRADES], MIDNIGHT + SECOND, MIDNIGHT + DAY + 4 * SECOND, allow_gaps=False)
    assert data_span(later) == (MIDNIGHT + SECOND, MIDNIGHT + DAY + 4 * SECOND)
    nothing = cover(days, [TRADES], MIDNIGHT + HOUR, MIDNIGHT + 2 * HOUR, allow_gaps=False)
    assert data_span(nothing) == (MIDNIGHT + HOUR, MIDNIGHT + 2 * HOUR)


def _judge_anew(catalog: Path, **changed: object) -> None:
    """Store another verdict of the first day."""
    places, table, day = Places(catalog, catalog), TABLES["trade_tick"], InstrumentDay(ID, date(2024, 1, 1))
    verdict = read_verdict(places, table, day)
    assert verdict is not None
    store_verdict(places, table, day, msgspec.structs.replace(verdict, **changed))


def _copy(catalog: Path, folder: Path) -> Path:
    return Path(shutil.copytree(catalog, folder / "catalog"))
