"""Our own documents, cut short or with bytes changed: each is named with the way out, and never passes for whole."""

import json
import random
import re
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from hedgegrid_assets import read_frame, scan_frame
from hedgegrid_assets.cli import run
from hedgegrid_assets.errors import DocumentDamaged
from hedgegrid_assets.stages.raw import imports
from hedgegrid_assets.store import Places
from hedgegrid_assets.timestamps import day_start
from hedgegrid_assets_tests.cli.test_cli import replay, trade
from hedgegrid_assets_tests.inspect.test_report import content_of
from hedgegrid_assets_tests.kept import FIRST, ID, new_home

INSTRUMENT = "BTCUSDT-PERP.BINANCE"
DOCUMENTS = {
    "verdict": f"data/catalog/{INSTRUMENT}/trade_tick.verdict/2024-01-01.json",
    "frame": f"data/catalog/{INSTRUMENT}/trade_tick.parquet/2024-01-01.parquet",
    "rejects": f"data/catalog/{INSTRUMENT}/trade_tick.rejects/2024-01-01.parquet",
    "nautilus": "data/catalog/data/trade_tick/*/*.parquet",
    "definitions": "data/catalog/instruments.parquet",
    "series": "data/catalog/.hedgegrid/series.json",
    "manifest": "data/raw/cli_websocket/aggTrade/BTCUSDT/2024-01-01.json",
    "lines": "data/raw/cli_websocket/aggTrade/BTCUSDT/2024-01-01.lines.parquet",
    "index": "data/raw/cli_websocket/.imports/*.json",
}
LOOKS = {
    "validate": ["validate", "data/catalog"],
    "gaps": ["gaps", "data/catalog"],
    "report": ["report", "data/catalog", "--output", "report.html"],
    "trace": ["trace", INSTRUMENT, "trades", "50"],
    "rejects": ["rejects", "list", "data/catalog"],
    "replay": replay("--symbol", "BTCUSDT,ETHUSDT", "--force"),
}
READERS = {
    "verdict": ("validate", "gaps", "report", "trace"),
    "frame": ("validate", "report", "trace"),
    "rejects": ("rejects", "report"),
    "nautilus": ("validate", "trace"),
    "definitions": ("validate", "gaps", "report", "trace", "rejects", "replay"),
    "series": ("validate", "gaps", "report", "trace", "rejects", "replay"),
    "manifest": ("validate", "trace", "report"),
    "lines": ("trace",),
    "index": ("validate", "report", "replay"),
}
"""Who reads a document, and so must name it."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog of a hundred trades of two symbols, one of them rejected."""
    home = tmp_path_factory.mktemp("whole")
    landing = home / "data/raw/websocket"
    landing.mkdir(parents=True)
    lines = [trade(number) for number in range(1, 101)] + [trade(101, size="0.000")]
    lines += [trade(number).replace("BTCUSDT", "ETHUSDT").replace("btcusdt", "ethusdt") for number in range(1, 101)]
    (landing / "trades.jsonl").write_text("".join(lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        assert run(replay("--symbol", "BTCUSDT,ETHUSDT")) == 0
    return home


@pytest.fixture
def home(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, to be damaged."""
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True, copy_function=shutil.copy2)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def document(home: Path, kind: str) -> Path:
    return next(path for path in sorted(home.glob(DOCUMENTS[kind])) if "ETHUSDT" not in str(path))


def cut_short(data: bytes) -> Iterator[bytes]:
    yield from (b"", data[:1], data[: len(data) // 2], data[:-2])


def without_meaning(data: bytes) -> Iterator[bytes]:
    del data
    yield from (b"[]", b"{}", b"null", b"17", b'{"a": 1}', b"\x00" * 100)


def damages(data: bytes) -> Iterator[bytes]:
    yield from cut_short(data)
    yield from without_meaning(data)
    chance = random.Random(7)
    for _ in range(6):
        changed = bytearray(data)
        changed[chance.randrange(len(data))] ^= 0xFF
        yield bytes(changed)


@pytest.mark.slow
@pytest.mark.parametrize("kind", DOCUMENTS)
def test_a_document_that_is_no_document_any_more_is_named_by_all_who_read_it(
    kind: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = document(home, kind)
    data = path.read_bytes()
    for changed in (*cut_short(data), *without_meaning(data)):
        if kind == "series" and changed == b"{}":  # says that nothing is claimed yet
            continue
        for name in READERS[kind]:
            path.write_bytes(changed)
            assert run(LOOKS[name]) == 1, (name, changed[:20])
            told = "".join(capsys.readouterr())
            assert "Traceback" not in told
            assert "unforeseen" not in told, (name, changed[:20], told)
            assert path.name in told, (name, changed[:20], told)


FLIPPED = {
    "verdict": rb'"rejected": (1)',
    "series": rb'"binance/aggTrad(e)"',
    "manifest": rb'"lines": (1)01',
    "index": rb'"lines": (2)01',
    "definitions": rb"BTC(U)SDT-PERP",
}
"""A digit or letter of a value in a document, that is another one after a bit has flipped."""


@pytest.mark.parametrize("kind", FLIPPED)
def test_a_digit_that_has_flipped_is_seen_by_all_who_read_the_document(
    kind: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = document(home, kind)
    data = path.read_bytes()
    found = re.search(FLIPPED[kind], data)
    assert found is not None, data[:4_000]
    at = found.start(1)
    for name in READERS[kind]:
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert run(LOOKS[name]) == 1, name
        told = " ".join("".join(capsys.readouterr()).split())
        assert path.name in told, (name, told)
        assert any(way in told for way in ("remove it", "put back")), (name, told)
    path.write_bytes(data)
    assert run(LOOKS["validate"]) == 0


def test_a_nautilus_file_that_is_gone_is_called_so(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = document(home, "nautilus")
    good = path.read_bytes()
    path.unlink()
    assert run(LOOKS["validate"]) == 1
    assert "there is no Nautilus file of the day: run again" in " ".join(capsys.readouterr().out.split())
    assert run(replay("--symbol", "BTCUSDT,ETHUSDT")) == 0
    assert path.read_bytes() == good
    assert run(LOOKS["validate"]) == 0


def test_a_frame_that_is_gone_is_called_so_and_the_next_run_makes_it_anew(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = document(home, "frame")
    whole = frame.read_bytes()
    frame.unlink()
    assert run(LOOKS["validate"]) == 1
    told = " ".join(capsys.readouterr().out.split())
    assert "ERROR the frame that was judged is gone: run again, it is made anew of its raw day" in told
    assert "not ok: 0 ERROR rules failed, 1 damaged day" in told
    assert run(replay("--symbol", "BTCUSDT,ETHUSDT")) == 0
    assert frame.read_bytes() == whole
    assert run(LOOKS["validate"]) == 0


def test_a_frame_that_lacks_a_column_is_refused_by_all_who_read_rows_and_the_way_out_works(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = document(home, "frame")
    good = path.read_bytes()
    for column in pq.read_schema(path).names:
        pq.write_table(pq.read_table(path).drop_columns([column]), path)
        for read in (read_frame, scan_frame):
            with pytest.raises(DocumentDamaged, match=f"expected a frame of trade_tick, found no column {column}\n"):
                read(INSTRUMENT, "trades")
        for name in READERS["frame"] if column != "instrument_id" else ():
            capsys.readouterr()
            assert run(LOOKS[name]) == 1, (name, column)
            told = " ".join("".join(capsys.readouterr()).split())
            assert f"{path.name} is damaged: expected a frame of trade_tick" in told, (name, column, told)
        assert run(LOOKS["replay"]) == 0, "run again with --force"
        assert path.read_bytes() == good
    assert len(read_frame(INSTRUMENT, "trades")) == 100


def test_a_damaged_manifest_costs_the_page_its_origin_only(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = document(home, "manifest")
    path.write_bytes(b"{")
    assert run(LOOKS["report"]) == 1
    assert path.name in capsys.readouterr().err
    assert "ETHUSDT-PERP.BINANCE" in (home / "report.html").read_text()


@pytest.mark.parametrize("without", [None, "ts_event"])
def test_a_damaged_frame_costs_the_page_its_chart_only(
    without: str | None, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = document(home, "frame")
    if without is None:
        path.write_bytes(b"garbage")
    else:
        pq.write_table(pq.read_table(path).drop_columns([without]), path)
    assert run([*LOOKS["report"], "--json"]) == 1
    out, err = capsys.readouterr()
    assert len(json.loads(out)["damaged"]) == 1
    assert f"{INSTRUMENT}/trade_tick.parquet/{path.name} is damaged" in " ".join(err.split())
    details = content_of(home / "report.html")["details"]
    assert sorted("chart" in detail for detail in details.values()) == [False, True]


def test_a_row_of_another_day_is_traced_past_a_damaged_frame(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = new_home(tmp_path / "place")
    good = place.frame().read_bytes()
    place.frame().write_bytes(b"garbage")
    told = ["trace", ID, "trades", "--catalog", str(place.places.catalog)]
    for asked in ("2024-01-02T00:00:07Z", "108", str(day_start(FIRST + timedelta(days=1)) + 7_000_000_000)):
        assert place.run(*told[:3], asked, *told[3:]) == 0, asked
    for asked in ("2024-01-01T00:00:07Z", "8", "2024-01-01T00:00:07.5Z", "999"):
        capsys.readouterr()
        assert place.run(*told[:3], asked, *told[3:]) == 1, asked
        assert "2024-01-01.parquet is damaged" in " ".join(capsys.readouterr().err.split()), asked
    place.frame().write_bytes(good)
    assert place.run(*told[:3], "8", *told[3:]) == 0


def test_a_definition_that_nautilus_would_read_wrong_is_named_and_made_anew(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = next(home.glob("data/catalog/data/crypto_perpetual/BTCUSDT*/*.parquet"))
    good = path.read_bytes()
    at = good.index(b"BTCUSDT-PERP") + 2
    for changed in (good[:at] + b"E" + good[at + 1 :], good[:-5], None):
        if changed is None:
            path.unlink()
        else:
            path.write_bytes(changed)
        assert run(LOOKS["validate"]) == 1
        told = " ".join("".join(capsys.readouterr()).split())
        assert "Nautilus' definition of BTCUSDT-PERP.BINANCE" in told
        assert "run the conversion of its data again" in told
        assert run(replay("--symbol", "BTCUSDT,ETHUSDT")) == 0
        assert path.read_bytes() == good
        assert run(LOOKS["validate"]) == 0


def test_all_documents_that_are_damaged_are_named_together(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for kind in ("series", "definitions", "manifest", "index"):
        document(home, kind).write_bytes(b"{")
    assert run([*LOOKS["validate"], "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert len(told["documents"]) == 4
    assert all(each["error"] and each["hint"] for each in told["documents"])
    assert not told["ok"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", DOCUMENTS)
def test_no_command_breaks_down_over_a_changed_byte(kind: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = document(home, kind)
    data = path.read_bytes()
    for changed in damages(data):
        for name, command in LOOKS.items():
            path.write_bytes(changed)
            assert run(command) in {0, 1}
            told = "".join(capsys.readouterr())
            assert "Traceback" not in told, (name, told)
            assert "unforeseen" not in told, (name, told)


def with_value(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    value = json.loads(path.read_bytes())
    change(value)
    path.write_text(json.dumps(value))


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "no rows": lambda verdict: verdict.pop("rows"),
    "rows as text": lambda verdict: verdict["rows"].update(out="100"),
    "unknown status": lambda verdict: verdict.update(status="splendid"),
    "half a rule": lambda verdict: verdict["rules"].append({"name": "x"}),
    "half a gap": lambda verdict: verdict.update(gaps=[{"start": 1}]),
    "half a precision": lambda verdict: verdict["precision"].pop("price"),
    "other rows": lambda verdict: verdict["rows"].update(out=99),
    "another end": lambda verdict: verdict.update(last_ts_init=5),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_verdict_with_another_content_never_passes(change: str, home: Path) -> None:
    with_value(document(home, "verdict"), CHANGES[change])
    assert run(LOOKS["validate"]) == 1


@pytest.mark.parametrize("kind", ["verdict", "manifest", "index", "series", "frame", "nautilus", "rejects"])
def test_the_way_out_that_is_told_works_to_the_letter(
    kind: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = document(home, kind)
    good = path.read_bytes()
    path.write_bytes(good[: len(good) // 2])
    assert run(LOOKS[READERS[kind][0]]) == 1
    told = " ".join("".join(capsys.readouterr()).split())
    if "remove it and run again" in told:
        path.unlink()
        assert run(replay("--symbol", "BTCUSDT,ETHUSDT")) == 0
    else:
        assert "run again with --force" in told
        assert run(replay("--symbol", "BTCUSDT,ETHUSDT", "--force")) == 0
    assert run(LOOKS["validate"]) == 0
    assert run(LOOKS["trace"]) == 0
    if kind in {"verdict", "series", "frame", "rejects"}:
        assert path.read_bytes() == good


def test_a_damaged_index_stops_the_list_of_imports_by_its_name(home: Path) -> None:
    path = document(home, "index")
    path.write_text("{")
    with pytest.raises(Exception, match=path.name):
        imports(Places(home / "data", home / "data/catalog"), "cli_websocket")


def test_a_directory_in_the_place_of_a_document_is_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = document(home, "verdict")
    path.unlink()
    path.mkdir()
    assert run(LOOKS["gaps"]) == 1
    assert path.name in capsys.readouterr().err


def test_what_nobody_has_foreseen_is_one_sentence_with_its_own_code(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("over\nlines")

    monkeypatch.setattr("hedgegrid_assets.inspect.gaps.gap_report", broken)
    assert run(["gaps", "data/catalog", "--json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["error"]["code"] == "internal"
    assert "unforeseen ZeroDivisionError: over lines" in err
    assert "Traceback" not in err
    assert run(["gaps", "data/catalog", "-v"]) == 1
    assert "Traceback" in capsys.readouterr().err
    monkeypatch.setattr("hedgegrid_assets.pipeline.days.normalize_day", broken)
    assert run(replay("--force", "--json")) == 1
    day = json.loads(capsys.readouterr().out)["days"][0]
    assert f"unforeseen ZeroDivisionError ({INSTRUMENT} 2024-01-01)" in day["error"]
    assert home.exists()
