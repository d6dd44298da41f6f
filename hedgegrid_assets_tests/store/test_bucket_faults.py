"""What servers and networks do to a conversion into a bucket: one line with what to do, and nothing half-written."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import polars as pl
import pytest

from hedgegrid_assets import validate_catalog
from hedgegrid_assets.cli import run as command
from hedgegrid_assets.store import stored
from hedgegrid_assets_tests.standins import s3
from hedgegrid_assets_tests.standins.between import Between, Fault, between

pytestmark = pytest.mark.slow

s3_server = s3.s3_server
DAYS: Final = 3
ROWS: Final = "".join(
    f"{1_704_067_200_000 + number * 3_600_000},42000.{number % 10},0.00{1 + number % 9},buy,{100 + number}\n"
    for number in range(24 * DAYS)
)


@pytest.fixture
def server(s3_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Between]:
    """Faults and a count in front of a real server."""
    with between(s3_server) as found:
        s3.use_server(found.address, monkeypatch, tmp_path)
        yield found


@pytest.fixture
def catalog(server: Between) -> str:
    root = f"s3://{s3.new_bucket()}/catalog"
    server.asked.clear()
    return root


def arguments(tmp_path: Path, catalog: str) -> list[str]:
    file = tmp_path / "trades.csv"
    file.write_text(f"timestamp,price,size,side,trade_id\n{ROWS}")
    convert = ["replay-to-parquet", "--source", "csv", "--symbol", "BTCUSDT", "--input", str(file), "--quiet"]
    return [*convert, "--data-types", "trades", "--data", str(tmp_path / "data"), "--output", catalog]


def content(catalog: str | Path) -> dict[str, bytes]:
    """Every Parquet file and its bytes, and the names of all others."""
    root = stored(catalog)
    root.store.level(root.key)
    return {
        path.below(root): path.read_bytes() if path.name.endswith(".parquet") else b""
        for path in root.tree()
        if not path.name.endswith("lock")
    }


def expected(tmp_path: Path) -> dict[str, bytes]:
    """What a disk gets of the same file."""
    assert command(arguments(tmp_path, str(tmp_path / "disk"))) == 0
    return content(tmp_path / "disk")


def one_line(said: str) -> str:
    """What is told of an error: a line, and one that says what to do."""
    error, hint, *more = said.strip().splitlines()
    assert error.startswith("error: cannot work with s3://")
    assert hint.startswith("hint: ")
    assert more == []
    return said


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=500),
        Fault(status=503, code="SlowDown"),
        Fault(slow=1.5),
        Fault(cut=100),
        Fault(unheard=True),
    ],
    ids=["500", "503", "slow", "cut in an upload", "answer lost"],
)
def test_what_passes_is_waited_for(fault: Fault, catalog: str, server: Between, tmp_path: Path) -> None:
    server.once(fault, "PUT", ".parquet", times=2)
    assert command(arguments(tmp_path, catalog)) == 0
    assert content(catalog) == expected(tmp_path)


def test_what_does_not_pass_leaves_nothing_half_written_and_the_next_run_goes_on(
    catalog: str, server: Between, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.once(Fault(cut=100), "PUT", "/data/trade_tick/", times=1000)
    assert command(arguments(tmp_path, catalog)) == 1
    said = capsys.readouterr().err
    assert "cannot work with s3://" in said
    assert "Traceback" not in said
    assert not [name for name in content(catalog) if name.startswith("data/trade_tick/")]
    server.fault = lambda _method, _path: None
    assert command(arguments(tmp_path, catalog)) == 0
    assert content(catalog) == expected(tmp_path)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Fault(status=404, code="NoSuchBucket"), "there is no such bucket"),
        (Fault(status=403, code="AccessDenied"), "these keys may not do this"),
        (Fault(status=403, code="RequestTimeTooSkewed"), "this machine's clock is not the server's"),
        (Fault(status=400, code="AuthorizationHeaderMalformed"), "the bucket is in another region"),
        (Fault(status=301, code="PermanentRedirect"), "the bucket is in another region"),
        (Fault(status=400, code="ExpiredToken"), "these keys have run out"),
    ],
    ids=lambda value: value.code if isinstance(value, Fault) else "",
)
def test_what_a_server_refuses_is_told_before_any_work(
    fault: Fault, told: str, catalog: str, server: Between, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.once(fault, "PUT", times=1000)
    assert command(arguments(tmp_path, catalog)) == 1
    assert told in one_line(capsys.readouterr().err)
    assert content(catalog) == {}
    assert not (tmp_path / "data").exists()


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("AWS_SECRET_ACCESS_KEY", "wrong", "the secret is not the one of this key"),
        ("AWS_ACCESS_KEY_ID", "nobody", "the server does not know this key"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9", "hint: check AWS_ENDPOINT_URL"),
    ],
)
def test_wrong_keys_and_addresses_are_told(
    name: str,
    value: str,
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(name, value)
    assert command(arguments(tmp_path, f"s3://t{uuid4().hex}/catalog")) == 1
    assert told in one_line(capsys.readouterr().err)
    assert not (tmp_path / "data").exists()


def test_keys_that_may_only_read_look_at_a_catalog_and_write_none(
    catalog: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command(arguments(tmp_path, catalog)) == 0
    before = content(catalog)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.READER[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.READER[1])
    program = [sys.executable, "-m", "hedgegrid_assets"]
    assert subprocess.run([*program, "validate", catalog, "--quiet"], check=False).returncode == 0
    told = subprocess.run([*program, *arguments(tmp_path, catalog)], capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert "these keys may not do this (AccessDenied)" in one_line(told.stderr)
    assert content(catalog) == before


@pytest.mark.parametrize("passed", [1, 2], ids=["If-None-Match", "If-Match"])
def test_a_server_that_does_not_look_at_conditions_is_refused(
    passed: int, catalog: str, server: Between, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    puts = iter(range(100))
    answered = Fault(status=200)  # and nothing done, but the client cannot know that
    server.fault = lambda method, _path: answered if method == "PUT" and next(puts) == passed else None
    assert command(arguments(tmp_path, catalog)) == 1
    assert "its server knows no conditional writes" in one_line(capsys.readouterr().err)
    assert content(catalog) == {}


def test_a_file_of_anothers_catalog_is_refused_and_left(
    catalog: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    foreign = tmp_path / "foreign.parquet"
    pl.DataFrame({"a": [1, 2]}).write_parquet(foreign)
    name = "2024-01-01T00-00-00-000000000Z_2024-01-09T00-00-00-000000000Z.parquet"
    (stored(catalog) / "data" / "trade_tick" / "BTCUSDT-PERP.BINANCE" / name).publish(foreign)
    assert command(arguments(tmp_path, catalog)) == 1
    assert name in capsys.readouterr().err
    assert [path for path in content(catalog) if path.startswith("data/trade_tick")] == [
        f"data/trade_tick/BTCUSDT-PERP.BINANCE/{name}"
    ]


def test_two_machines_that_make_the_same_days_leave_them_once(catalog: str, tmp_path: Path) -> None:
    scratch = [{**os.environ, "HEDGEGRID_SCRATCH": str(tmp_path / name)} for name in ("one", "two")]
    convert = [sys.executable, "-m", "hedgegrid_assets", *arguments(tmp_path, catalog)]
    convert[-3] = str(tmp_path / "data")
    processes = [
        subprocess.Popen([*convert[:-4], "--data", str(tmp_path / f"data{number}"), *convert[-2:]], env=each)
        for number, each in enumerate(scratch)
    ]
    assert [process.wait(100) for process in processes] == [0, 0]
    assert content(catalog) == expected(tmp_path)
    assert validate_catalog(catalog).ok


def test_a_second_run_asks_for_folders_alone_and_sends_nothing(catalog: str, server: Between, tmp_path: Path) -> None:
    assert command(arguments(tmp_path, catalog)) == 0
    stored(catalog).store._folders.forget()  # type: ignore[attr-defined]  # as another process
    server.asked.clear()
    assert command(arguments(tmp_path, catalog)) == 0
    assert len(server.asked) <= 15
    assert [path for method, path in server.asked if method == "PUT" and not path.endswith("/.hedgegrid/lock")] == []


def test_a_machine_that_knows_nothing_asks_for_packs_in_the_place_of_days(
    catalog: str, server: Between, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert = arguments(tmp_path, catalog)
    file = Path(convert[convert.index("--input") + 1])
    days = "".join(f"{1_704_070_800_000 + day * 86_400_123},42000,1,buy,{day}\n" for day in range(12))
    file.write_text(f"timestamp,price,size,side,trade_id\n{days}")
    assert command(convert) == 0
    monkeypatch.setenv("HEDGEGRID_SCRATCH", str(tmp_path / "another"))
    server.asked.clear()
    done = subprocess.run([sys.executable, "-m", "hedgegrid_assets", *convert], check=False)
    assert done.returncode == 0
    assert len(server.asked) <= 35, "16 as ever, 3 before each of 3 packs, and the definitions"
    assert [path for method, path in server.asked if method == "PUT" and ".parquet" in path] == []


def test_bytes_that_are_there_are_not_sent_again(catalog: str, server: Between, tmp_path: Path) -> None:
    assert command(arguments(tmp_path, catalog)) == 0
    server.asked.clear()
    assert command([*arguments(tmp_path, catalog), "--force"]) == 0
    assert [path for method, path in server.asked if method == "PUT" and ".parquet" in path] == []


# ---------------------------------------------------------------- a second server


@pytest.fixture
def moto(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = pytest.importorskip("moto.server", reason="no moto: make servers")
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    s3.use_server(f"http://{host}:{port}", monkeypatch, tmp_path)
    try:
        yield f"http://{host}:{port}"
    finally:
        running.stop()


def test_another_server_gives_the_same_objects(moto: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    boto3: Any = pytest.importorskip("boto3")

    name = f"t{uuid4().hex}"
    assert command(arguments(tmp_path, f"s3://{name}/catalog")) == 1
    assert "there is no such bucket" in one_line(capsys.readouterr().err)
    name = f"t{uuid4().hex}"
    boto3.client("s3", endpoint_url=moto).create_bucket(Bucket=name)
    assert command(arguments(tmp_path, f"s3://{name}/catalog")) == 0
    assert content(f"s3://{name}/catalog") == expected(tmp_path)
