"""Replayed days: whatever goes wrong with a slice, a wrong day is never published, and a right one is what was recorded."""

import gzip
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from hedgegrid_assets.errors import (
    EnvironmentFault,
    HedgegridError,
    KeyRequired,
    NoDataFetched,
    RateLimited,
    RemoteFault,
)
from hedgegrid_assets.model import InstrumentDay
from hedgegrid_assets.pipeline.days import normalize_tables
from hedgegrid_assets.sources.client import limits
from hedgegrid_assets.sources.client.answers import Broken
from hedgegrid_assets.sources.tardis.bodies import check_slice
from hedgegrid_assets.stages.raw import RawKey
from hedgegrid_assets.stages.verdict import Verdict, read_verdict
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets_tests.standins.tardis import Fault, Standin
from hedgegrid_assets_tests.tardis_cases import (
    FILTERS,
    FREE,
    IMPATIENT,
    PAID,
    QUICK,
    TRADES,
    at_work,
    cache_of,
    feed_context,
    fresh_standin,
    impatient,
    leftovers,
    quiet,
    recorded,
    text_of,
    warm,
)

MINUTE = 7 * 60 + 13


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Standin:
    monkeypatch.setattr(limits, "in_force", QUICK)
    monkeypatch.delenv("TARDIS_API_KEY", raising=False)
    return fresh_standin()


def busy(server: Standin, at_least: int = 2, then: int = 1) -> int:
    """A minute of several lines, followed by minutes that are not empty."""
    slices = server.library.minutes("binance-futures", FILTERS, PAID)
    return next(
        minute
        for minute, text in enumerate(slices)
        if minute >= 60
        and text.count(b"\n") >= at_least
        and b"NA" not in text
        and all(slices[minute + 1 : minute + 1 + then])
    )


@pytest.fixture(scope="module")
def cached(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder whose cache holds the whole paid day."""
    folder = tmp_path_factory.mktemp("warm")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "in_force", QUICK)
        server = fresh_standin()
        feed_context(folder, server, api="replay").raw(TRADES)
        assert len(server.requests("/data-feeds/")) == 1_440
        yield folder


def replayed(folder: Path, server: Standin, **more: Any) -> bytes:
    return text_of(feed_context(folder, server, api="replay", **more).raw(TRADES))


# ---------------------------------------------------------------- the good way


@pytest.mark.slow
def test_a_day_is_the_joined_slices_as_plain_gzip(cached: Path, server: Standin) -> None:
    raw = feed_context(cached, server, api="replay").held(TRADES)
    assert raw is not None
    assert raw.path.name == "2024-01-02.jsonl.gz"
    assert text_of(raw) == recorded(server)
    assert raw.manifest.request == {
        "exchange": "binance-futures",
        "api": "replay",
        "channel": "trade",
        "symbol": "BTCUSDT",
        "date": "2024-01-02",
        "slices": 1_440,
    }
    assert raw.sha256 == hashlib.sha256(raw.path.read_bytes()).hexdigest()


def test_the_cache_is_laid_out_as_the_vendors_clients_do(cached: Path, server: Standin) -> None:
    digest = hashlib.sha256(b'[{"channel":"trade","symbols":["btcusdt"]}]').hexdigest()
    assert digest.startswith("bf145c1f")
    slices = cache_of(cached, server, messages=True) / "feeds/binance-futures" / digest / "2024/01/02"
    assert len(list(slices.rglob("??/??.json.gz"))) == 1_440


async def _replay_offline(cache: Path) -> list[bytes]:
    from tardis_client import Channel, TardisClient

    client = TardisClient(endpoint="http://127.0.0.1:1", cache_dir=str(cache))
    lines = client.replay(
        "binance-futures", "2024-01-02", "2024-01-03", [Channel("trade", ["btcusdt"])], decode_response=False
    )
    return [b"%b %b" % (line.local_timestamp, line.message) async for line in lines if line is not None]


def test_tardis_client_itself_replays_the_cache_without_a_server(cached: Path, server: Standin) -> None:
    import asyncio

    assert b"".join(asyncio.run(_replay_offline(cache_of(cached, server, messages=True)))) == recorded(server)


def test_a_warm_cache_makes_no_request_and_needs_no_key(cached: Path, server: Standin, tmp_path: Path) -> None:
    warm(tmp_path, cached)
    assert replayed(tmp_path, server, api_key="") == recorded(server)
    assert server.log == []


@pytest.mark.slow
def test_slices_are_asked_for_together_within_the_limit(
    server: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "in_force", impatient(slices_at_once=12))
    server.delay_seconds = 0.002
    replayed(tmp_path, server)
    assert 6 <= server.most_at_once("/data-feeds/") <= 12


def test_requests_are_those_of_tardis_client(server: Standin, cached: Path, tmp_path: Path) -> None:
    warm(tmp_path, cached, MINUTE)
    replayed(tmp_path, server)
    (asked,) = server.log
    filters = "%5B%7B%22channel%22%3A%22trade%22%2C%22symbols%22%3A%5B%22btcusdt%22%5D%7D%5D"
    assert asked.target == f"/v1/data-feeds/binance-futures?from=2024-01-02T00:00:00&filters={filters}&offset={MINUTE}"
    assert asked.headers["Authorization"] == "Bearer standin-key"
    assert asked.headers["Accept-Encoding"] == "gzip"


# ---------------------------------------------------------------- transfers that fail


RECOVERABLE = {
    "truncated (the first slice)": Fault("truncated"),
    "500 once": Fault("status", status=500),
    "503 HTML twice": Fault("status", status=503, body="<html><b>Service</b> Unavailable</html>", times=2),
    "429 without Retry-After": Fault("status", status=429),
    "429 in 1 s": Fault("status", status=429, retry_after="1"),
    "400 about ISO 8601": Fault("status", status=400, body='{"code": 1, "message": "not ISO 8601 format"}'),
    "reset in the body": Fault("reset"),
    "stall": Fault("stall"),
    "slow beyond the limit": Fault("slow", seconds=0.4),
    "truncated": Fault("truncated"),
    "garbage behind the end": Fault("garbage"),
    "HTML with 200": Fault("html"),
    "zero bytes": Fault("zero"),
    "zstd of two frames": Fault("zstd"),
    "no X-Slice-Size": Fault("no_slice_size"),
    "small X-Slice-Size": Fault("small_slice_size"),
}


def test_transfers_that_fail_are_made_again_and_the_day_is_right(
    cached: Path, server: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "in_force", impatient(silence=1.5, slice_total=3.0))
    minutes = {name: 60 * number for number, name in enumerate(RECOVERABLE)}
    faults = {name: replace(fault, minute=minutes[name]) for name, fault in RECOVERABLE.items()}
    warm(tmp_path, cached, *minutes.values())
    server.inject(*faults.values())
    started = time.monotonic()
    assert replayed(tmp_path, server) == recorded(server)
    assert leftovers(tmp_path) == []
    assert 1.0 <= time.monotonic() - started < 30.0, "the second that the server asked for"
    expected = {name: 1 if "Slice-Size" in name else 1 + (fault.times or 0) for name, fault in faults.items()}
    assert {name: len(_of_minute(server, minute)) for name, minute in minutes.items()} == expected


def _of_minute(server: Standin, minute: int) -> list[str]:
    return [entry.target for entry in server.log if entry.target.endswith(f"&offset={minute}")]


UNUSABLE = ["truncated", "garbage", "html", "zero", "zstd", "reset", "stall", "status"]


@pytest.mark.parametrize("kind", UNUSABLE)
def test_a_transfer_that_never_works_ends_in_bounded_time_and_publishes_nothing(
    kind: str, cached: Path, server: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warm(tmp_path, cached, MINUTE)
    server.inject(Fault(kind, minute=MINUTE, times=None))
    if kind == "stall":
        monkeypatch.setattr(limits, "in_force", IMPATIENT)
    feed = feed_context(tmp_path, server, api="replay")
    with pytest.raises(RemoteFault) as caught:
        feed.raw(TRADES)
    assert caught.value.transient
    assert "2024-01-02T07:13" in caught.value.message
    assert len(server.log) == QUICK.attempts
    assert feed.held(TRADES) is None
    assert leftovers(tmp_path) == []
    assert not list(tmp_path.rglob("07/13.json.gz")), "an unusable slice must not be in the cache"
    server.clear()
    monkeypatch.setattr(limits, "in_force", QUICK)
    assert text_of(feed.raw(TRADES)) == recorded(server)
    assert len(server.log) == 1


@pytest.mark.parametrize(
    ("status", "words"), [(400, "check exchange"), (401, "TARDIS_API_KEY"), (403, "no right"), (404, "check")]
)
def test_a_final_answer_is_told_at_once_with_its_minute(
    status: int, words: str, cached: Path, server: Standin, tmp_path: Path
) -> None:
    warm(tmp_path, cached, MINUTE)
    server.inject(Fault("status", minute=MINUTE, status=status, times=None))
    with pytest.raises(RemoteFault) as caught:
        replayed(tmp_path, server)
    assert not caught.value.transient
    assert "2024-01-02T07:13" in caught.value.message
    assert f"{status}: injected" in caught.value.message
    assert words in caught.value.hint
    assert len(server.requests("/data-feeds/")) == 1
    assert not list(tmp_path.rglob("07/13.json.gz"))


def test_a_final_answer_to_the_first_slice_costs_one_request(server: Standin, tmp_path: Path) -> None:
    server.inject(Fault("status", status=401, times=None))
    with pytest.raises(RemoteFault):
        replayed(tmp_path, server)
    assert len(server.log) == 1


def test_a_final_answer_in_the_middle_stops_the_other_transfers(server: Standin, tmp_path: Path) -> None:
    server.inject(Fault("status", minute=300, status=401, times=None))
    with pytest.raises(RemoteFault, match="2024-01-02T05:00"):
        replayed(tmp_path, server)
    asked = len(server.log)
    assert asked < 450
    assert not at_work()
    time.sleep(0.3)
    assert len(server.log) == asked
    assert leftovers(tmp_path) == []


def test_a_quota_that_lasts_an_hour_is_told_at_once_with_its_end(cached: Path, server: Standin, tmp_path: Path) -> None:
    warm(tmp_path, cached, MINUTE)
    server.inject(Fault("status", minute=MINUTE, status=429, retry_after="3600", times=None))
    with pytest.raises(RateLimited, match=r"429.*3,600 s, until 20\d\d-") as caught:
        replayed(tmp_path, server)
    assert caught.value.transient
    assert len(server.log) == 1


def test_a_server_that_is_gone_is_told_with_what_to_check(server: Standin, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="3 attempts failed") as caught:
        feed_context(tmp_path, server, api="replay", endpoint="http://127.0.0.1:1").raw(TRADES)
    assert "network" in caught.value.hint


def test_a_body_of_another_minute_is_foreign(cached: Path, server: Standin, tmp_path: Path) -> None:
    minute = busy(server)
    warm(tmp_path, cached, minute)
    other = server.library.minutes("binance-futures", FILTERS, PAID)[minute - 1]
    assert other
    server.inject(Fault("lines", minute=minute, change=lambda _: other))
    assert replayed(tmp_path, server) == recorded(server)
    assert len(server.log) == 2


def test_a_second_gzip_member_is_part_of_the_slice_and_its_repetitions_are_dropped(
    cached: Path, server: Standin, tmp_path: Path
) -> None:
    minute = busy(server)
    warm(tmp_path, cached, minute)
    server.inject(Fault("second_member", minute=minute))
    assert made(tmp_path, server).rows.exact_duplicates > 0


# ---------------------------------------------------------------- the cache


POISONS: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda data: data[: len(data) - 9],
    "html": lambda _: b"<html>proxy</html>",
    "zero bytes": lambda _: b"",
    "junk behind the end": lambda data: data + b"junk",
    "zstd under the name of gzip": lambda _: b"\x28\xb5\x2f\xfd" + bytes(20),
}


def test_poisoned_slices_in_the_clients_cache_are_discarded_and_fetched_again(
    cached: Path, server: Standin, tmp_path: Path
) -> None:
    warm(tmp_path, cached)
    for hour, poison in enumerate(POISONS.values()):
        (path,) = tmp_path.rglob(f"{hour:02d}/00.json.gz")
        poisoned = poison(path.read_bytes())
        path.unlink()  # it is linked
        path.write_bytes(poisoned)
    assert replayed(tmp_path, server) == recorded(server)
    assert len(server.log) == len(POISONS)
    server.clear()
    shutil.rmtree(tmp_path / "data/raw")
    assert replayed(tmp_path, server) == recorded(server)
    assert server.log == [], "the cache is sound again"


# ---------------------------------------------------------------- keys and days


def test_a_paid_day_without_a_key_is_refused_without_a_request(server: Standin, tmp_path: Path) -> None:
    with pytest.raises(KeyRequired, match="Tardis API key required") as caught:
        replayed(tmp_path, server, api_key="")
    assert "export TARDIS_API_KEY" in caught.value.hint
    assert server.log == []


def test_a_wrong_key_is_named_by_its_variable_and_not_shown(server: Standin, tmp_path: Path) -> None:
    with pytest.raises(RemoteFault) as caught:
        replayed(tmp_path, server, api_key="wrong-secret-key")
    told = f"{caught.value} {caught.value.to_dict()}"
    assert "TARDIS_API_KEY" in told
    assert "401" in told
    assert "wrong-secret" not in told


def test_a_day_that_is_not_over_is_refused_without_a_request(server: Standin, tmp_path: Path) -> None:
    from datetime import UTC, datetime

    today = datetime.now(UTC).date()
    with pytest.raises(NoDataFetched, match="not over"):
        feed_context(tmp_path, server, api="replay").raw(RawKey("trade", "BTCUSDT", today))
    assert server.log == []


@pytest.mark.slow
def test_an_error_of_the_caller_stops_all_transfers_and_leaves_nothing(server: Standin, tmp_path: Path) -> None:
    server.delay_seconds = 0.01

    def tick() -> None:
        if len(server.log) > 20:
            raise KeyboardInterrupt

    feed = feed_context(tmp_path, server, api="replay")
    with pytest.raises(KeyboardInterrupt):
        feed.raw(TRADES, tick)
    asked = len(server.log)
    assert 10 < asked < 1_440
    assert not at_work()
    assert leftovers(tmp_path) == []
    assert feed.held(TRADES) is None
    time.sleep(0.3)
    assert len(server.log) == asked
    server.clear()
    feed.raw(TRADES)
    assert len(server.log) <= 1_440 - (asked - 80), "what was fetched stays fetched"


# ---------------------------------------------------------------- lines


def made(folder: Path, server: Standin) -> Verdict:
    """The verdict on the trades of the paid day."""
    feed = feed_context(folder, server, api="replay")
    raw = feed.raw(TRADES)
    assert raw is not None
    table = TABLES["trade_tick"]
    day = InstrumentDay("BTCUSDT-PERP.BINANCE", PAID)
    (done,) = normalize_tables(feed, day, raw, [table])
    assert done.error is None
    verdict = read_verdict(feed.places, table, day)
    assert verdict is not None
    return verdict


def lines_of(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[bytes], bytes]:
    return lambda data: b"".join(change(data.splitlines(keepends=True)))


def first(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Change the first line only."""
    return lines_of(lambda lines: [change(lines[0]), *lines[1:]])


BROKEN_LINES: dict[str, tuple[Callable[[bytes], bytes], int]] = {
    # name: (what is done to the slice, good rows that this costs)
    "cut last line": (lambda data: data[:-20], 1),
    "no final newline": (lambda data: data[:-1], 0),
    "cut JSON": (first(lambda line: line[:90] + b"\n"), 1),
    "24-character stamp": (first(lambda line: line[:23] + b"Z" + line[28:]), 0),  # of milliseconds: read as well
    "CRLF": (lambda data: data.replace(b"\n", b"\r\n"), 0),
    "BOM": (lambda data: b"\xef\xbb\xbf" + data, 0),
    "NUL byte": (first(lambda line: line.replace(b'"p":"', b'"p":"\0')), 1),
    "invalid UTF-8": (first(lambda line: line.replace(b'"s":"', b'"s":"\xff')), 1),
    "duplicated lines": (lambda data: data + data, 0),
    "shuffled lines": (lines_of(lambda lines: lines[::-1]), 0),
    "missing price": (first(lambda line: line.replace(b'"p":', b'"px":')), 1),
    "missing side": (first(lambda line: line.replace(b',"m":', b',"x":')), 1),
    "number for a decimal": (first(lambda line: line.replace(b'"q":"', b'"q":').replace(b'","X"', b',"X"')), 1),
    "exponent": (first(lambda line: line.replace(b'"q":"0.', b'"q":"0e0.')), 1),
    "id beyond 2^63": (first(lambda line: line.replace(b'"t":', b'"t":99999999999')), 1),
    "X=NA": (first(lambda line: line.replace(b"MARKET", b"NA")), 1),
    "X=ADL": (first(lambda line: line.replace(b"MARKET", b"ADL")), 1),
    "X=INSURANCE_FUND": (first(lambda line: line.replace(b"MARKET", b"INSURANCE_FUND")), 1),
    "unknown X": (first(lambda line: line.replace(b"MARKET", b"SOMETHING")), 0),
    "missing X": (first(lambda line: line.replace(b'"X":"MARKET",', b"")), 0),
    "zero price": (first(lambda line: line.replace(b'"p":"', b'"p":"0","z":"')), 1),
    "unknown field": (first(lambda line: line.replace(b'"X":', b'"st":1,"X":')), 0),
}


def test_broken_lines_are_counted_and_cost_no_other(cached: Path, server: Standin, tmp_path: Path) -> None:
    slices = server.library.minutes("binance-futures", FILTERS, PAID)
    busy = [minute for minute, text in enumerate(slices) if text.count(b"\n") >= 3 and b'"X":"NA"' not in text]
    minutes = dict(zip(BROKEN_LINES, busy, strict=False))
    assert len(minutes) == len(BROKEN_LINES)
    warm(tmp_path, cached, *minutes.values())
    server.inject(*(Fault("lines", minute=minutes[name], change=change) for name, (change, _) in BROKEN_LINES.items()))
    rows = made(tmp_path, server).rows
    assert rows.rows_in == rows.rows_out + rows.rejected + rows.exact_duplicates

    frame = pl.read_parquet(tmp_path / "data/catalog/BTCUSDT-PERP.BINANCE/trade_tick.parquet/2024-01-02.parquet")
    minute_of = (pl.col("ts_init").dt.hour().cast(pl.Int64) * 60 + pl.col("ts_init").dt.minute()).alias("minute")
    counts = dict(frame.group_by(minute_of).len().iter_rows())
    lost = {name: slices[minute].count(b"\n") - counts[minute] for name, minute in minutes.items()}
    assert lost == {name: expected for name, (_, expected) in BROKEN_LINES.items()}
    assert len(frame) == 2_000 - sum(lost.values())

    raw = feed_context(tmp_path, server, api="replay").held(TRADES)
    assert raw is not None
    (origin,) = raw.manifest.origin
    assert origin.by_stream is not None
    assert origin.blank is not None
    assert origin.unreadable is not None
    assert sum(origin.by_stream.values()) + origin.blank + origin.unreadable == origin.lines
    kept = pl.read_parquet(list((tmp_path / "data/rejects/cli_tardis/_raw").iterdir()))
    assert len(kept) == origin.unreadable > 0
    assert len(server.requests("/data-feeds/")) == len(BROKEN_LINES)


def test_lines_that_overlap_the_next_minute_are_there_once(cached: Path, server: Standin, tmp_path: Path) -> None:
    minute = busy(server)
    warm(tmp_path, cached, minute)
    following = server.library.minutes("binance-futures", FILTERS, PAID)[minute + 1].splitlines(keepends=True)[:1]
    assert following
    server.inject(Fault("lines", minute=minute, change=lambda data: data + following[0]))
    rows = made(tmp_path, server).rows
    assert (rows.rows_out, rows.exact_duplicates) == (2_000, 1)


def test_disconnects_survive_to_the_gap_report(cached: Path, server: Standin, tmp_path: Path) -> None:
    minute = busy(server)
    hole = range(minute, minute + 5)
    warm(tmp_path, cached, *hole)
    server.inject(*(Fault("lines", minute=each, change=lambda _: b"\n\n") for each in hole))
    verdict = made(tmp_path, server)
    gaps = [gap for gap in verdict.gaps if gap.ids_missing]
    assert [gap.cause for gap in gaps] == ["disconnect"]
    assert gaps[0].ids_missing == 2_000 - verdict.rows.rows_out
    raw = feed_context(tmp_path, server, api="replay").held(TRADES)
    assert raw is not None
    assert len(raw.manifest.disconnects_ns) == 1
    assert raw.manifest.origin[0].blank == 10


def test_blank_lines_at_the_ends_of_a_day_are_marks_as_well(cached: Path, server: Standin, tmp_path: Path) -> None:
    warm(tmp_path, cached, 0, 1_439)
    server.inject(
        Fault("lines", minute=0, change=lambda data: b"\n" + data),
        Fault("lines", minute=1_439, change=lambda data: data + b"\n"),
    )
    feed = feed_context(tmp_path, server, api="replay")
    raw = feed.raw(TRADES)
    assert raw is not None
    assert raw.manifest.disconnects_ns == [raw.manifest.first_local_ns, raw.manifest.last_local_ns]


# ---------------------------------------------------------------- marks, dated and other symbols


MARKS = [
    # what is in a markPrice message, and how many rows of mark, index and funding it gives
    ({"p": "42000.10000000", "i": "42001.1", "r": "0.00010000", "T": 1704182400000}, (1, 1, 1)),
    ({"p": "42000.20000000", "i": "42001.1", "r": "", "T": 0}, (1, 1, 0)),
    ({"p": "42000.30000000", "i": "42001.1", "r": "0.00000000", "T": 0}, (1, 1, 0)),
    ({"p": "42000.40000000", "r": "0.00010000", "T": 1704182400000}, (1, 0, 1)),
    ({"p": "42000.50000000", "ap": "1", "i": "42001.1", "P": "0", "r": "-0.00012345", "T": 1704211200000}, (1, 1, 1)),
]


@pytest.mark.parametrize("symbol", [pytest.param("BTCUSDT_240329", marks=pytest.mark.slow), "币安人生USDT"])
def test_mark_messages_of_any_symbol_give_the_tables_that_they_hold(
    symbol: str, server: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = PAID.replace(month=2)
    start = int((day - FREE.replace(year=1970)).days) * 86_400
    for number, (fields, _) in enumerate(MARKS):
        at = start + 3 * number + 60
        data = {"e": "markPriceUpdate", "E": at * 1_000, "s": symbol} | fields
        message = json.dumps({"stream": f"{symbol.lower()}@markPrice@1s", "data": data}, ensure_ascii=False)
        server.library.add("binance-futures", "markPrice", symbol, at * 10**9 + 5_000_000, message.encode())
    key = RawKey("markPrice", symbol, day)
    quiet(tmp_path, key, range(10))
    feed = feed_context(tmp_path, server, symbols=(symbol,), api="replay")
    raw = feed.raw(key)
    assert raw is not None
    assert len(server.requests("/data-feeds/")) == 10
    assert raw.manifest.lines == len(MARKS)
    tables = [TABLES[name] for name in ("mark_price_update", "index_price_update", "funding_rate_update")]
    done = normalize_tables(feed, InstrumentDay(feed.feed.instrument_id(symbol), day), raw, tables)
    assert [each.verdict.rows.rows_out for each in done] == [sum(counts[n] for _, counts in MARKS) for n in range(3)]
    monkeypatch.undo()


@pytest.mark.slow
def test_books_are_replayed_with_their_snapshots_and_forced_orders_by_themselves(
    server: Standin, tmp_path: Path
) -> None:
    start = (PAID - FREE.replace(year=1970)).days * 86_400
    book = {"lastUpdateId": 20, "E": start * 1_000, "bids": [["42000.10", "1.5"]], "asks": [["42000.20", "2"]]}
    update = {"e": "depthUpdate", "T": start * 1_000, "s": "BTCUSDT"}
    messages: list[tuple[str, dict[str, Any]]] = [
        ("depth", update | {"U": 12, "u": 18, "pu": 11, "b": [["41999", "1"]], "a": []}),
        ("depth", update | {"U": 19, "u": 22, "pu": 18, "b": [["42000.10", "0"]], "a": []}),
        ("depthSnapshot", book),
        ("depth", update | {"U": 25, "u": 26, "pu": 22, "b": [], "a": [["42000.30", "4"]]}),
    ]
    order = {"s": "BTCUSDT", "S": "SELL", "o": "LIMIT", "q": "0.5", "p": "41990.10", "ap": "41995.5", "X": "FILLED"}
    forced = {"e": "forceOrder", "E": start * 1_000, "o": order | {"l": "0.5", "z": "0.5", "T": start * 1_000}}
    for number, (channel, data) in enumerate([*messages, ("forceOrder", forced)]):
        at = start + 60 + number
        data = {"E": at * 1_000} | data
        wrapped = {"stream": f"btcusdt@{channel}"} | ({"generated": True} if channel == "depthSnapshot" else {})
        text = json.dumps(wrapped | {"data": data}, separators=(",", ":"))
        server.library.add("binance-futures", channel, "BTCUSDT", at * 10**9 + 5_000_000, text.encode())
    for channel in ("depth", "forceOrder"):
        quiet(tmp_path, RawKey(channel, "BTCUSDT", PAID), range(10))
    feed = feed_context(tmp_path, server, api="replay")
    raw = feed.raw(RawKey("depth", "BTCUSDT", PAID))
    assert raw is not None
    assert raw.manifest.lines == len(messages)
    day = InstrumentDay(feed.feed.instrument_id("BTCUSDT"), PAID)
    (done,) = normalize_tables(feed, day, raw, [TABLES["order_book_deltas"]])
    assert done.frame is not None
    rows = (
        pl.read_parquet(Path(done.frame)).select("action", "side", pl.col("price").cast(pl.String), "sequence").rows()
    )
    assert [(action, side, float(price), sequence) for action, side, price, sequence in rows] == [
        ("CLEAR", "NO_ORDER_SIDE", 0.0, 20),
        ("ADD", "BUY", 42000.1, 20),
        ("ADD", "SELL", 42000.2, 20),
        ("DELETE", "BUY", 42000.1, 22),
        ("UPDATE", "SELL", 42000.3, 26),
    ]
    orders = feed.raw(RawKey("forceOrder", "BTCUSDT", PAID))
    assert orders is not None
    (told,) = normalize_tables(feed, day, orders, [TABLES["liquidation"]])
    assert told.verdict.rows.rows_out == 1


def test_an_unknown_symbol_is_told_with_those_that_are_near(server: Standin, tmp_path: Path) -> None:
    with pytest.raises(HedgegridError, match=r"no symbol BTCUSD .*BTCUSDT"):
        feed_context(tmp_path, server, symbols=("BTCUSD",), api="replay").raw(RawKey("trade", "BTCUSD", PAID))


def test_slices_are_checked_by_their_stamps_even_where_gzip_is_sound(tmp_path: Path) -> None:
    from datetime import datetime

    path = tmp_path / "slice"
    path.write_bytes(gzip.compress(b"2024-01-03T00:00:00.0000000Z {}\n"))
    with pytest.raises(Broken, match="belongs elsewhere"):
        check_slice(path, datetime(2024, 1, 2, 23, 59))  # noqa: DTZ001 - as tardis-client wants them
