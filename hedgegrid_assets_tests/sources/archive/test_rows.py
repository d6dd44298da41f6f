"""Each row of the table of archives, held against a server: the stand-in here, the real one with ``-m network``."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from hedgegrid_assets.sources.archive.archives import ARCHIVES, UNTESTED
from hedgegrid_assets.sources.archive.checking import SYMBOLS, check, usual_day
from hedgegrid_assets.sources.client import limits
from hedgegrid_assets.venues.exchanges import listing_of
from hedgegrid_assets_tests.archive_cases import QUICK, fresh_standin


@pytest.mark.parametrize("exchange", ARCHIVES)
def test_a_row_is_as_its_server_answers(exchange: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "in_force", QUICK)
    server = fresh_standin()
    found = list(check([exchange], date(2024, 1, 2), server.endpoint, tmp_path))
    assert [one for one in found if one.why] == []
    assert len(found) == 2 * len(ARCHIVES[exchange].files)


def test_a_row_that_is_wrong_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "in_force", QUICK)
    server = fresh_standin()
    server.library.gone.add("/trading/BTCUSDT/BTCUSDT2024-01-02.csv.gz")
    found = {one.files: one.why for one in check(["bybit"], date(2024, 1, 2), server.endpoint, tmp_path)}
    assert found == {"trade": "the file is not there", "trade (a miss)": ""}


@pytest.mark.network
@pytest.mark.parametrize("exchange", ARCHIVES)
def test_a_row_is_as_the_real_server_answers(exchange: str, tmp_path: Path) -> None:
    day = usual_day(datetime.now(UTC).date())
    assert [one for one in check([exchange], day, "", tmp_path) if one.why] == []


@pytest.mark.parametrize("exchange", ARCHIVES)
def test_a_row_is_complete(exchange: str) -> None:
    archive = ARCHIVES[exchange]
    assert archive.root.startswith("https://")
    assert bool(archive.listing) == bool(archive.listing_root)
    assert listing_of(exchange, SYMBOLS[exchange]).symbol
    assert len({files.channel.name for files in archive.files}) == len(archive.files)
    for files in archive.files:
        assert files.paths
        assert set(files.folders) <= set(files.paths)
        assert {field.key for field in files.channel.fields if field.required} <= files.columns.read.keys()
        dates = [layout.since for layout in files.columns.layouts]
        assert dates[0] is None
        assert dates[1:] == sorted(day for day in dates[1:] if day is not None)
        for layout in files.columns.layouts:
            assert {names[0] for names in files.columns.read.values()} <= {*layout.names, *layout.more}


def test_rows_that_are_untested_are_rows() -> None:
    assert set(ARCHIVES) > UNTESTED
