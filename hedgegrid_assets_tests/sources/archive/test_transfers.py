"""Files of an archive that do not come as they should: nothing that is not proved is kept, and one line says why."""

import json
import shutil
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from hedgegrid_assets.sources.client import limits, transfers
from hedgegrid_assets.sources.client.pauses import left, pause
from hedgegrid_assets.sources.client.provider import Provider
from hedgegrid_assets_tests.archive_cases import (
    DAY,
    IMPATIENT,
    QUICK,
    UM,
    aggregates,
    cached,
    convert,
    frame,
    fresh_standin,
    manifest,
    month_of,
    verdict,
)
from hedgegrid_assets_tests.standins.archive import Standin, zipped
from hedgegrid_assets_tests.standins.tardis import Fault

PATH = aggregates()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Standin:
    monkeypatch.setattr(limits, "in_force", QUICK)
    return fresh_standin()


def trades(folder: Path, server: Standin, *more: str, **settings: Any) -> int:
    return convert(folder, server, "--data-types", "trades", "-q", *more, **settings)


def asked(server: Standin) -> int:
    """How often the file itself was asked for."""
    return sum(entry.target == PATH for entry in server.log)


RECOVERABLE = {
    "500": Fault("status", path=PATH, status=500),
    "503 HTML": Fault("status", path=PATH, status=503, body="<html><b>Service</b> Unavailable</html>"),
    "429": Fault("status", path=PATH, status=429, retry_after="0"),
    "reset in the body": Fault("reset", path=PATH),
    "truncated": Fault("truncated", path=PATH),
    "HTML with 200": Fault("html", path=PATH),
    "zero bytes": Fault("zero", path=PATH),
    "HTML for the checksum": Fault("html", path=f"{PATH}.CHECKSUM"),
}


@pytest.mark.parametrize("name", RECOVERABLE)
def test_a_transfer_that_fails_once_is_made_again(name: str, server: Standin, tmp_path: Path) -> None:
    fault = RECOVERABLE[name]
    server.inject(
        Fault(fault.kind, path=fault.path, status=fault.status, retry_after=fault.retry_after, body=fault.body)
    )
    assert trades(tmp_path, server) == 0
    assert len(frame(tmp_path, "trade_tick")) == 600


def test_a_pause_that_a_server_asks_for_holds_for_all_processes_that_share_a_cache(
    server: Standin, tmp_path: Path
) -> None:
    server.inject(Fault("status", path=PATH, status=429, retry_after="1"))
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    assert trades(tmp_path / "first", server) == 0
    (noted,) = tmp_path.rglob("*.not-before")
    assert time.time() - noted.stat().st_mtime < 60
    shared = tmp_path / "second" / noted.parent.relative_to(tmp_path / "first")
    pause(shared, noted.stem, 2)  # as another process would
    started = time.monotonic()
    assert trades(tmp_path / "second", server) == 0
    assert time.monotonic() - started >= 1.9


def test_a_pause_longer_than_any_that_a_server_may_ask_for_is_none(tmp_path: Path) -> None:
    pause(tmp_path, "x", limits.in_force.longest_retry_after + 60)
    assert left(tmp_path, "x") == 0
    pause(tmp_path, "x", 30)
    pause(tmp_path, "x", 1)
    assert left(tmp_path, "x") > 20


@pytest.mark.parametrize("kind", ["truncated", "html", "zero", "status"])
def test_a_transfer_that_never_works_leaves_nothing_and_is_told_in_one_line(
    kind: str, server: Standin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.inject(Fault(kind, path=PATH, times=None))
    assert trades(tmp_path, server) == 1
    err = capsys.readouterr().err
    assert "BTCUSDT-aggTrades-2024-01-02.zip" in err
    assert err.count("error:") == 1
    assert cached(tmp_path) == []
    assert asked(server) == QUICK.attempts
    server.clear()
    assert trades(tmp_path, server) == 0


def test_a_download_goes_on_where_it_was_cut_off(server: Standin, tmp_path: Path) -> None:
    server.inject(Fault("reset", path=PATH))
    assert trades(tmp_path, server) == 0
    first, second, *_ = server.requests("aggTrades")
    assert "Range" not in first.headers
    assert second.headers["Range"].startswith("bytes=")
    assert second.status == 206


def test_a_file_that_was_replaced_meanwhile_is_not_stuck_together(
    server: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "in_force", IMPATIENT)
    server.inject(Fault("reset", path=PATH, times=None))
    assert trades(tmp_path, server) == 1
    server.clear()
    server.change(PATH, lambda rows: rows[:-1])
    assert trades(tmp_path, server) == 0
    assert len(frame(tmp_path, "trade_tick")) == 599


def test_a_checksum_that_differs_is_refused_with_both_sums_and_a_way_to_accept(
    server: Standin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body = server.library.checksum(PATH)
    assert body is not None
    found = body.split()[0].decode()
    server.library.checksums[PATH] = b"0" * 64 + b"  BTCUSDT-aggTrades-2024-01-02.zip\n"
    assert trades(tmp_path, server) == 1
    err = capsys.readouterr().err
    assert found in err
    assert "0" * 64 in err
    assert f"--accept-checksum {found}" in err
    assert cached(tmp_path) == []
    assert trades(tmp_path, server, "--accept-checksum", found) == 0
    (origin,) = manifest(tmp_path, "aggTrade")["origin"]
    assert (origin["accepted"], origin["checksum"]) == (found, "0" * 64)


def test_a_file_without_its_checksum_is_not_trusted(
    server: Standin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.inject(Fault("status", path=f"{PATH}.CHECKSUM", status=404, times=None))
    assert trades(tmp_path, server) == 1
    assert "expected BTCUSDT-aggTrades-2024-01-02.zip.CHECKSUM beside it" in capsys.readouterr().err
    assert cached(tmp_path) == []


FOREIGN: dict[str, tuple[Callable[[], bytes], str]] = {
    "another member": (
        lambda: zipped("ETHUSDT-aggTrades-2024-01-02.csv", b"1,2,3\n"),
        "the zip is foreign: expected one file BTCUSDT-aggTrades-2024-01-02.csv in it, found ETHUSDT-aggTrades-2024-01-02.csv",
    ),
    "no zip": (lambda: b"just text", "the body is no zip: it begins with b'just text'"),
    "a zip that is cut": (
        lambda: zipped("BTCUSDT-aggTrades-2024-01-02.csv", b"1,2\n")[:-20],
        "the zip is broken",
    ),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_zip_that_is_published_as_something_else_is_asked_for_once_and_its_hint_leads_out(
    name: str, server: Standin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body, why = FOREIGN[name]
    server.library.bodies[PATH] = body()
    assert trades(tmp_path, server) == 1
    err = capsys.readouterr().err
    assert f"{PATH}: {why}" in err
    assert '{"period": "monthly"}' in err
    assert "network" not in err
    assert asked(server) == 1
    assert cached(tmp_path) == []
    assert trades(tmp_path, server, period="monthly") == 0


def test_of_a_foreign_month_the_hint_leads_to_the_files_of_its_days(
    server: Standin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.library.bodies[month_of("aggTrades")] = b"just text"
    assert trades(tmp_path, server, period="monthly") == 1
    assert '{"period": "daily"}' in capsys.readouterr().err
    assert trades(tmp_path, server, period="daily") == 0


def test_a_file_that_comes_damaged_is_asked_for_soon_again_and_the_way_is_doubted(
    server: Standin, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "in_force", replace(QUICK, attempts=6, longest_wait=60))
    server.inject(Fault("truncated", path=PATH, times=None))
    assert trades(tmp_path, server) == 1
    err = capsys.readouterr().err
    assert "the zip is broken: File is not a zip file, each time that it was asked for" in err
    assert asked(server) == 3


def test_a_web_page_in_the_place_of_a_file_is_told_as_such_with_what_it_says(
    server: Standin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.inject(Fault("html", path=PATH, times=None))
    assert trades(tmp_path, server) == 1
    err = capsys.readouterr().err
    assert "BTCUSDT-aggTrades-2024-01-02.zip: a web page came in its place, which says: Sign in to the network" in err
    assert f"the address: {server.endpoint}{PATH}\n" in err


def test_a_transfer_that_is_always_cut_off_before_it_gets_on_is_soon_given_up(
    server: Standin, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "in_force", replace(QUICK, attempts=6))
    monkeypatch.setattr(transfers, "_is_strong", str.isdigit)
    server.inject(Fault("reset", path=PATH, times=None))
    assert trades(tmp_path, server) == 1
    assert "3 attempts failed, the last one with: the transfer was cut off after" in capsys.readouterr().err
    assert asked(server) == 3


def test_a_checksum_that_differs_for_a_moment_is_asked_for_again(server: Standin, tmp_path: Path) -> None:
    zeros = b"0" * 64 + b"  BTCUSDT-aggTrades-2024-01-02.zip\n"
    server.inject(Fault("status", path=f"{PATH}.CHECKSUM", status=200, body=zeros.decode()))
    assert trades(tmp_path, server) == 0
    assert asked(server) == 2


def test_a_checksum_of_another_file_is_told_and_may_be_accepted(
    server: Standin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body = server.library.checksum(PATH)
    assert body is not None
    found = body.split()[0].decode()
    server.library.checksums[PATH] = b"0" * 64 + b"  BTCUSDT-aggTrades-2024-01-08.zip\n"
    assert trades(tmp_path, server) == 1
    err = capsys.readouterr().err
    assert "but it is that of BTCUSDT-aggTrades-2024-01-08.zip" in err
    assert len(server.log) == 2
    assert trades(tmp_path, server, "--accept-checksum", found) == 0


# ---------------------------------------------------------------- what is not there


def test_an_unknown_symbol_is_told_with_near_ones(
    server: Standin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert convert(tmp_path, server, "--data-types", "trades", symbol="BTCUSDC") == 1
    assert "no symbol BTCUSDC in this part of the archive (such as BTCUSDT" in capsys.readouterr().err


def test_a_day_that_is_not_published_yet_is_told_with_when_days_are(
    server: Standin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    server.library.gone.add(aggregates(yesterday))
    start, end = str(yesterday), str(yesterday + timedelta(days=1))
    assert convert(tmp_path, server, "--data-types", "trades", start=start, end=end) == 1
    err = capsys.readouterr().err
    assert "not published yet" in err
    assert "the next day, sometimes days later" in err


def test_the_running_month_of_funding_is_said_to_come_after_its_end(
    server: Standin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    month = datetime.now(UTC).date().replace(day=1)
    if month == datetime.now(UTC).date():
        pytest.skip("no day of this month is over")
    end = str(month + timedelta(days=1))
    assert convert(tmp_path, server, "--data-types", "funding", start=str(month), end=end) == 1
    assert "a month is published after its end" in capsys.readouterr().err


def test_today_is_refused_without_a_request(
    server: Standin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    today = datetime.now(UTC).date()
    assert convert(tmp_path, server, start=str(today), end=str(today + timedelta(days=1))) == 1
    assert "not over" in capsys.readouterr().err
    assert server.log == []


def test_a_day_that_is_missing_in_between_stops_no_other(
    server: Standin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.library.gone.add(PATH)
    assert convert(tmp_path, server, "--data-types", "trades", start="2024-01-01", end="2024-01-04") == 1
    assert "2024-01-02" in capsys.readouterr().err
    assert [len(frame(tmp_path, "trade_tick", day=DAY + timedelta(days=n))) for n in (-1, 1)] == [600, 600]


def test_a_cached_file_that_was_damaged_is_had_again(server: Standin, tmp_path: Path) -> None:
    assert trades(tmp_path, server) == 0
    (path,) = (tmp_path / f"data/cache/archive{UM}").rglob("*.zip")
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 0xFF
    path.unlink()
    path.write_bytes(bytes(body))
    for raw in tmp_path.glob("data/raw/*/aggTrade/BTCUSDT/*"):
        raw.unlink()
    server.log.clear()
    assert trades(tmp_path, server, "--force") == 0
    assert len(server.requests("aggTrades")) == 2


@pytest.mark.parametrize("period", ["daily", "monthly"])
def test_a_damaged_file_that_its_checksum_proves_is_had_once_a_run(
    period: str, server: Standin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = aggregates() if period == "daily" else month_of("aggTrades")
    whole = server.library.body(path)
    assert whole is not None
    server.library.bodies[path] = flipped(whole)
    for _ in range(2):
        server.log.clear()
        assert trades(tmp_path, server, period=period) == 1
        assert f"{path} cannot be trusted: its zip stream is broken" in capsys.readouterr().err
        assert len(server.requests(path)) == 2, "with its checksum"
    server.library.bodies[path] = whole
    assert trades(tmp_path, server, period=period) == 0
    assert len(frame(tmp_path, "trade_tick")) == 600


@pytest.mark.parametrize("damage", ["a flipped bit", "another file of as many bytes"])
def test_a_cached_month_that_was_damaged_is_had_again(damage: str, server: Standin, tmp_path: Path) -> None:
    assert trades(tmp_path, server, period="monthly") == 0
    (path,) = (tmp_path / f"data/cache/archive{UM}").rglob("*.zip")
    body = path.read_bytes()
    path.write_bytes(flipped(body) if damage == "a flipped bit" else body[:10] + bytes([body[10] ^ 1]) + body[11:])
    shutil.rmtree(path.with_name(f"{path.name}.BTCUSDT.days"))
    for raw in tmp_path.glob("data/raw/*/aggTrade/BTCUSDT/*"):
        raw.unlink()
    server.log.clear()
    assert trades(tmp_path, server, "--force", period="monthly") == 0
    assert len(server.requests("aggTrades")) == 2
    assert path.read_bytes() == body
    assert verdict(tmp_path, "trade_tick")["rows"]["in"] == 600


def flipped(body: bytes) -> bytes:
    """With one bit of its compressed lines changed."""
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 0x10]) + body[middle + 1 :]


# ---------------------------------------------------------------- what is waited for is told


NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has been asked in this process yet."""
    for name, kind in (("_told", dict), ("_unreachable", dict), ("_answered", set)):
        monkeypatch.setattr(transfers, name, kind())


def retries_told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        each.getMessage() for each in caplog.records if each.name == transfers.__name__ and each.levelname == "WARNING"
    ]


@pytest.mark.usefixtures("unasked")
def test_the_first_retry_says_what_is_waited_for_how_long_and_how_to_stop(
    server: Standin, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.inject(Fault("status", path=PATH, status=503, times=2))
    assert trades(tmp_path, server) == 0
    (told,) = retries_told(caplog)
    assert told.startswith("BTCUSDT-aggTrades-2024-01-02.zip: 503")
    assert "trying again 2 times, for 0 s or more (Ctrl-C stops; what is fetched already is kept)" in told


@pytest.mark.usefixtures("unasked")
def test_without_a_network_days_are_soon_given_up_and_told_once(
    server: Standin, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "in_force", replace(QUICK, first_wait=0.5, longest_wait=0.5, first_answer=1.0))
    attempts: dict[Any, int] = {}
    once = transfers._once

    async def counted(transfer: Callable[[], Awaitable[Any]], provider: Provider) -> Any:
        attempts[transfer] = attempts.get(transfer, 0) + 1
        return await once(transfer, provider)

    monkeypatch.setattr(transfers, "_once", counted)
    assert trades(tmp_path, server, end="2024-01-22", endpoint=NOWHERE) == 1
    assert min(list(attempts.values())[:4]) > 1, "until it is clear that nobody is there"
    assert list(attempts.values())[8:] == [1] * 12
    assert len(retries_told(caplog)) == 1
    assert trades(tmp_path, server) == 0, "it is asked again as soon as there is somebody"
    assert transfers._unreachable == {}


def test_a_symbol_that_is_not_there_is_told_once_a_channel_with_all_its_days(
    server: Standin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = {"symbol": "BTCUSDT,BTCUSDC", "start": "2024-01-01", "end": "2024-01-04"}
    assert convert(tmp_path, server, "--data-types", "trades", **asked) == 1
    (told,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert "(Binance USD-M aggTrade BTCUSDC 2024-01-01..03): looked in" in told
    assert "no symbol BTCUSDC in this part of the archive (such as BTCUSDT" in told


def test_a_day_that_is_not_over_is_missing_and_told_once_with_when_it_can_be_had(
    server: Standin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not once for each of its tables; the days before it land."""
    today = datetime.now(UTC).date()
    days = {"start": str(today - timedelta(days=1)), "end": str(today + timedelta(days=2))}
    assert convert(tmp_path, server, "--data-types", "trades,mark,index", "--json", **days) == 1
    out, err = capsys.readouterr()
    statuses = {(day["date"], day["status"]) for day in json.loads(out)["days"] if day["date"] != days["start"]}
    assert statuses == {(str(today + timedelta(days=more)), "missing") for more in (0, 1)}
    told = [line for line in err.splitlines() if line.startswith("error: ")]
    assert [str(today) in line for line in told] == [True, False]
    assert f"it can be had some hours after its end, {today + timedelta(days=1)} 00:00 UTC" in told[0]
    assert err.count("hint: ") == 1
