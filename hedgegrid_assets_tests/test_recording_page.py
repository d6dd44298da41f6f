"""What ``docs/recording.md`` says of others' recorders: its commands run on a file in the layout of each."""

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

from hedgegrid_assets import read_frame
from hedgegrid_assets.cli import run
from hedgegrid_assets.config.feeds import read_feeds
from hedgegrid_assets_tests import pages
from hedgegrid_assets_tests.pages import runnable

PAGE = Path(__file__).parent.parent / "docs/recording.md"
ID = "BTCUSDT-PERP.BINANCE"
MIDNIGHT_MS = 1_704_067_200_000
COUNT = 50


def message(stream: str, **fields: Any) -> str:
    """A message of the combined stream, without blanks as the exchange sends it."""
    data = {"stream": f"btcusdt@{stream}", "data": {"s": "BTCUSDT", **fields}}
    return json.dumps(data, separators=(",", ":"))


def trade(at: int, number: int) -> str:
    return message(
        "trade", e="trade", E=at + 3, T=at, t=1000 + number, p="42000.10", q="0.015", X="MARKET", m=bool(number % 2)
    )


def aggregate(at: int, number: int) -> str:
    ids = {"a": 1000 + number, "f": 5000 + number, "l": 5000 + number}
    return message("aggTrade", e="aggTrade", E=at + 3, T=at, p="42000.10", q="0.015", m=bool(number % 2), **ids)


def mark(at: int) -> str:
    rate = {"r": "0.00010000", "T": MIDNIGHT_MS + 28_800_000}
    return message("markPrice@1s", e="markPriceUpdate", E=at, p="42010.1", i="42009.0", P="42011.0", **rate)


def times() -> list[int]:
    """A message a second from midnight."""
    return [MIDNIGHT_MS + number * 1_000 for number in range(COUNT)]


def commands() -> list[list[str]]:
    """The commands of the page that are run, in order."""
    return [words[1:] for block in runnable("docs/recording.md") for words in pages.commands(block)]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_file_of_the_collector_of_hftbacktest_is_read_with_its_receive_times() -> None:
    landing = Path("data/raw/websocket")
    landing.mkdir(parents=True)
    lines = [f"{at * 1_000_000 + 4_123_456} {trade(at, number)}\n" for number, at in enumerate(times())]
    with gzip.open(landing / "btcusdt_20240101.gz", "wt") as file:
        file.writelines(lines)
    assert run(commands()[0]) == 0
    frame = read_frame(ID, "trades")
    assert frame["trade_id"].astype(int).tolist() == list(range(1000, 1000 + COUNT))
    assert (frame["ts_init"] - frame["ts_event"]).astype("int64").unique().tolist() == [4_123_456]


def test_a_file_of_cryptofeeds_raw_capture_is_read_and_its_own_lines_are_accounted_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("captures").mkdir()
    lines = ["configuration: {'aggTrade': ['BTCUSDT'], 'markPrice': ['BTCUSDT']}"]
    lines.append(f"wss://127.0.0.1/stream?streams=btcusdt@aggTrade <-> {MIDNIGHT_MS / 1000 - 0.5}")
    for number, at in enumerate(times()):
        lines += [f"{(at + 4) / 1000}: {aggregate(at, number)}", f"{(at + 5) / 1000}: {mark(at)}"]
    Path("captures/BINANCE_FUTURES.ws.0.0").write_text("\n".join(lines) + "\n")
    assert run(commands()[1]) == 0
    told = capsys.readouterr()
    assert f"lines {2 * COUNT + 2} = placed {2 * COUNT} + header 0 + other 1 + unplaced 1" in told.out
    assert "broken_json" in told.err
    assert [len(read_frame(ID, name)) for name in ("trades", "mark", "index", "funding")] == [COUNT] * 4


def test_the_two_commands_are_all_that_the_page_runs() -> None:
    assert [words[0] for words in commands()] == ["replay-to-parquet"] * 2


def test_the_landing_pattern_of_the_page_is_one_that_a_feed_takes(folder: Path) -> None:
    (pattern,) = re.findall(r"`(landing: [^`]+)`", PAGE.read_text())
    path = folder / "feeds.yaml"
    keys = "source: websocket, venue: BINANCE, symbols: [BTCUSDT], start: 2024-01-01, tables: [trade_tick]"
    keys += ", instruments: {BTCUSDT: {price_precision: 2, size_precision: 3, mark_precision: 8}}"
    path.write_text(f"version: 1\nfeeds:\n  captures: {{{keys}, {pattern}}}\n")
    assert not read_feeds(path).problems
    assert list(read_feeds(path).feeds) == ["captures"]
