"""The HTML report: one file that needs no other, right about every day, and bounded in size."""

import json
import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from hedgegrid_assets.cli import run
from hedgegrid_assets.cli.output import STYLES
from hedgegrid_assets.errors import NoDataFetched
from hedgegrid_assets.inspect.charts import day_series
from hedgegrid_assets.inspect.report import packed_chart, write_report
from hedgegrid_assets.inspect.status import LOOKS
from hedgegrid_assets.model import Status
from hedgegrid_assets.store import Places
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets_tests.scenario import BTC, CLEAN, DAY, SYMBOLS, spoiled
from hedgegrid_assets_tests.yard import Yard, instrument_day, of_before

MOST_BYTES = 15_000_000


def content_of(page: Path) -> dict[str, Any]:
    found = re.search(
        r'<script type="application/json" id="data">(.*?)</script>', page.read_text(encoding="utf-8"), re.DOTALL
    )
    assert found
    content: dict[str, Any] = json.loads(found[1])
    return content


def reported(yard: Yard, **options: Any) -> dict[str, Any]:
    page = yard.root / "report.html"
    write_report(yard.places, page, **options)
    return content_of(page)


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    yard = Yard(tmp_path)
    yard.drop("day.jsonl", spoiled(p="0", q="</script><script>alert(1)</script>"))
    yard.bring_in(SYMBOLS)
    yard.normalize()
    yard.normalize("markPrice")
    return yard


def test_statuses_have_one_look_everywhere() -> None:
    assert list(LOOKS) == [str(status) for status in Status] == list(STYLES)
    assert len({look.letter for look in LOOKS.values()}) == len(LOOKS)


def test_the_page_needs_nothing_from_outside(yard: Yard) -> None:
    page = yard.root / "report.html"
    write_report(yard.places, page)
    text = page.read_text(encoding="utf-8")
    outside = set(re.findall(r"https?://[^\s\"'`)]+", text)) - {"http://www.w3.org/2000/svg"}
    assert not outside
    assert not re.search(r"<(?:link|img|iframe)\b|\bsrc=|@import|url\((?!#)", text)
    assert "default-src 'none'" in text


def test_text_of_the_data_cannot_end_the_script(yard: Yard) -> None:
    text_of_rejects = json.dumps(reported(yard)["details"])
    assert "</script><script>alert(1)" in text_of_rejects
    assert (yard.root / "report.html").read_text(encoding="utf-8").count("</script>") == 2


def test_a_day_is_told_with_rules_gaps_rejects_and_origin(yard: Yard) -> None:
    content = reported(yard)
    lines = {
        (content["instruments"][line[0]], content["tables"][line[1]]["name"]): line[3] for line in content["lines"]
    }
    assert lines["BTCUSDT-PERP.BINANCE", "trade_tick"] == "D"
    detail = content["details"]["0/0/0"]
    assert detail["rejects"]["by_reason"] == {"bad_decimal": 1}
    assert detail["rejects"]["samples"][0][1] == "raw/websocket/day.jsonl"
    assert [content["rules"][rule[0]][0] for rule in detail["rules"] if not rule[1]] == [
        "no_time_gaps",
        "no_sequence_gaps",
        "nothing_cleaned",
    ]
    assert detail["gaps_total"] == 38
    assert detail["made_from"]["raw"]["origin"][0]["path"] == "raw/websocket/day.jsonl"
    assert detail["made_from"]["raw"]["same"]
    assert content["notes"]["0/0/0"][4] == 1


def test_a_day_between_without_a_verdict_is_missing(yard: Yard) -> None:
    verdict = yard.places.verdict("BTCUSDT-PERP.BINANCE", "trade_tick", DAY)
    other = of_before(json.loads(verdict.read_bytes())) | {"date": "2024-01-03", "first_id": "1050", "last_id": "1060"}
    verdict.with_name("2024-01-03.json").local().write_text(json.dumps(other))
    content = reported(yard)
    assert [line[3] for line in content["lines"] if line[1] == 0] == ["DMD"]
    assert content["joins"] == [[0, "trade_tick", "2024-01-01", "2024-01-03", 10]]


def test_the_chart_is_packed_to_a_byte_a_value(yard: Yard) -> None:
    series = day_series(yard.frame_path(), TABLES["trade_tick"], instrument_day())
    assert series is not None
    packed = packed_chart(series)
    assert len(packed["bytes"]) == 4 * 7 * packed["n"] // 3
    assert packed["value"] == [float(series.low[series.rows > 0].min()), float(series.high[series.rows > 0].max())]


def test_what_has_no_room_is_counted(yard: Yard) -> None:
    content = reported(yard, detail_bytes=1)
    assert (len(content["details"]), content["left_out"]) == (1, 3)


def test_the_same_catalog_gives_the_same_page_but_for_the_time(yard: Yard) -> None:
    first, second = reported(yard), reported(yard)
    assert first | {"made": ""} == second | {"made": ""}


def test_nothing_to_report_is_an_error(tmp_path: Path) -> None:
    places = Places(tmp_path, tmp_path / "catalog")
    with pytest.raises(NoDataFetched, match="no such folder, or an empty one: "):
        write_report(places, tmp_path / "report.html")
    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog" / "a.txt").write_text("no verdict")
    with pytest.raises(NoDataFetched, match="no verdicts"):
        write_report(places, tmp_path / "report.html")


def test_the_command_writes_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    yard = Yard(tmp_path)
    yard.drop("day.jsonl", CLEAN)
    yard.bring_in([BTC], ["aggTrade"])
    yard.normalize()
    page = tmp_path / "deep" / "report.html"
    options = ["--output", str(page), "--data", str(yard.places.data)]
    assert run(["report", str(yard.places.catalog), *options, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["days"], told["bytes"]) == (1, page.stat().st_size)
    assert list(page.parent.iterdir()) == [page]


def many_verdicts(yard: Yard, instruments: int, days: int, tables: int) -> Places:
    """A catalog of verdicts alone, every one of them degraded, with forty gaps each."""
    places = Places(yard.root / "data", yard.root / "many")
    model = of_before(yard.verdict())
    for number in range(instruments):
        for table in list(TABLES.values())[:tables]:
            folder = places.verdict(f"SYM{number:02}USDT-PERP.SIM", table.folder, DAY).parent
            folder.local().mkdir(parents=True)
            for offset in range(days):
                day = DAY - timedelta(days=offset)
                changed = model | {
                    "instrument_id": f"SYM{number:02}USDT-PERP.SIM",
                    "table": table.name,
                    "date": str(day),
                }
                (folder / f"{day}.json").local().write_text(json.dumps(changed))
    return places


@pytest.mark.slow
def test_a_large_catalog_stays_bounded(yard: Yard) -> None:
    """A twentieth of three years of twenty instruments, with a twentieth of the room for details."""
    places = many_verdicts(yard, instruments=20, days=55, tables=4)
    page = yard.root / "many.html"
    done = write_report(places, page, detail_bytes=450_000)
    assert done.days == 4_400
    assert done.bytes < MOST_BYTES / 20
    assert done.left_out > 4_000


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_three_years_of_twenty_instruments_fit(yard: Yard) -> None:
    places = many_verdicts(yard, instruments=20, days=3 * 366, tables=4)
    page = yard.root / "many.html"
    done = write_report(places, page)
    assert done.days == 87_840
    assert done.bytes < MOST_BYTES
    content = content_of(page)
    assert date.fromisoformat(content["start"]) == DAY - timedelta(days=3 * 366 - 1)
    newest = [key for key in content["details"] if int(key.split("/")[2]) == content["days"] - 1]
    assert len(newest) == 80
