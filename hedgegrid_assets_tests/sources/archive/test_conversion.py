"""The public archives, from one command to a catalog: what each row gives, and that it is what was published."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from hedgegrid_assets.cli import run
from hedgegrid_assets.config.feeds import read_feeds
from hedgegrid_assets.sources.archive.archives import UNTESTED
from hedgegrid_assets.sources.client import limits
from hedgegrid_assets_tests.archive_cases import (
    DAY,
    QUICK,
    aggregates,
    candles,
    convert,
    frame,
    fresh_standin,
    manifest,
    month_of,
    verdict,
)
from hedgegrid_assets_tests.standins.archive import Standin, rows_in, trades_of

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Standin:
    monkeypatch.setattr(limits, "in_force", QUICK)
    return fresh_standin()


def published(server: Standin, path: str) -> list[str]:
    body = server.library.body(path)
    assert body is not None
    return rows_in(body)


# ---------------------------------------------------------------- Binance USD-M


def test_one_command_fills_a_catalog_with_what_the_archive_has(server: Standin, tmp_path: Path) -> None:
    assert convert(tmp_path, server) == 0
    statuses = {
        name: verdict(tmp_path, name)["status"] for name in ("trade_tick", "mark_price", "index_price", "funding_rate")
    }
    assert set(statuses.values()) == {"complete"}
    assert {name: verdict(tmp_path, name)["series"] for name in statuses} == {
        "trade_tick": "binance-archive/aggTrade",
        "mark_price": "binance-archive/markPriceKlines-1m",
        "index_price": "binance-archive/indexPriceKlines-1m",
        "funding_rate": "binance-archive/fundingRate",
    }
    log = len(server.log)
    assert convert(tmp_path, server) == 0
    assert len(server.log) == log, "what is there is not asked for again"


def test_aggregates_are_those_of_the_file_to_the_last_digit(server: Standin, tmp_path: Path) -> None:
    assert convert(tmp_path, server, "--data-types", "trades") == 0
    rows = [row.split(",") for row in published(server, aggregates())[1:]]
    found = frame(tmp_path, "trade_tick").select(
        pl.col("trade_id").cast(pl.String),
        pl.col("price").cast(pl.Decimal(38, 9)),
        pl.col("size").cast(pl.Decimal(38, 9)),
        "first_trade_id",
        "last_trade_id",
        (pl.col("ts_event").cast(pl.Int64) // 10**6),
        pl.col("aggressor_side").cast(pl.String),
    )
    expected = [
        (a, Decimal(p), Decimal(q), int(f), int(last), int(t), "SELLER" if m == "true" else "BUYER")
        for a, p, q, f, last, t, m in rows
    ]
    assert found.rows() == expected
    assert (frame(tmp_path, "trade_tick")["ts_init"] == frame(tmp_path, "trade_tick")["ts_event"]).all()


def test_the_raw_day_is_the_published_file_and_says_what_proved_it(server: Standin, tmp_path: Path) -> None:
    assert convert(tmp_path, server, "--data-types", "trades") == 0
    (raw,) = tmp_path.glob(f"data/raw/*/aggTrade/BTCUSDT/{DAY}.csv.zip")
    assert raw.read_bytes() == server.library.body(aggregates())
    (origin,) = manifest(tmp_path, "aggTrade")["origin"]
    checksum = server.library.checksum(aggregates())
    assert checksum is not None
    assert origin["checksum"] == origin["sha256"] == checksum.split()[0].decode()
    assert origin["url"] == server.endpoint + aggregates()
    assert origin["etag"]
    assert origin["last_modified"].endswith("GMT")
    assert [entry.target for entry in server.log] == [aggregates(), f"{aggregates()}.CHECKSUM"]


def test_trade_kind_trade_takes_single_trades(server: Standin, tmp_path: Path) -> None:
    assert convert(tmp_path, server, "--data-types", "trades", trade_kind="trade") == 0
    found = frame(tmp_path, "trade_tick")
    assert len(found) == 2 * 600
    assert verdict(tmp_path, "trade_tick")["series"] == "binance-archive/trade"
    assert found["first_trade_id"].is_null().all()


@pytest.mark.parametrize("kind", ["mark", "index"])
def test_a_candle_is_its_close_at_its_close_time(kind: str, server: Standin, tmp_path: Path) -> None:
    assert convert(tmp_path, server, "--data-types", kind) == 0
    rows = [row.split(",") for row in published(server, candles(f"{kind}PriceKlines"))[1:]]
    found = frame(tmp_path, f"{kind}_price").select(
        pl.col("ts_event").cast(pl.Int64) // 10**6, pl.col(f"{kind}_price").cast(pl.Decimal(38, 8))
    )
    assert found.rows() == [(int(row[6]), Decimal(row[4])) for row in rows]
    assert len(found) == 1_440


def test_funding_is_settled_with_the_interval_of_the_file_and_its_jitter(server: Standin, tmp_path: Path) -> None:
    assert convert(tmp_path, server, "--data-types", "funding", start="2024-01-20", end="2024-01-22") == 0
    eight, four = (frame(tmp_path, "funding_rate", day=date(2024, 1, day)) for day in (20, 21))
    assert eight["interval_minutes"].to_list() == [480] * 3
    assert four["interval_minutes"].to_list() == [240] * 6
    assert pl.concat([eight, four])["is_settlement"].all()
    assert pl.concat([eight, four])["next_funding_time"].is_null().all()
    rows = [row.split(",") for row in published(server, month_of("fundingRate"))[1:]]
    start = int(datetime(2024, 1, 20, tzinfo=UTC).timestamp() * 1_000)
    of_day = [row for row in rows if start <= int(row[0]) < start + 86_400_000]
    times = (eight["ts_event"].cast(pl.Int64) // 10**6).to_list()
    assert times == [int(row[0]) for row in of_day]
    assert any(time % 3_600_000 for time in times), "some milliseconds after the hour"
    assert [Decimal(row[2]) for row in of_day] == eight["funding_rate"].to_list()
    assert [verdict(tmp_path, "funding_rate", day=date(2024, 1, d))["status"] for d in (20, 21)] == ["complete"] * 2
    assert len(server.requests("fundingRate-2024-01.zip")) == 2, "a month is fetched once, with its checksum"


@pytest.mark.parametrize("day", [date(2022, 8, 10), date(2022, 8, 11)])
def test_files_without_and_with_a_header_are_read_alike(day: date, server: Standin, tmp_path: Path) -> None:
    end = date.fromordinal(day.toordinal() + 1)
    assert convert(tmp_path, server, "--data-types", "trades,mark", start=str(day), end=str(end)) == 0
    assert len(frame(tmp_path, "trade_tick", day=day)) == 600
    assert len(frame(tmp_path, "mark_price", day=day)) == 1_440
    (origin,) = manifest(tmp_path, "aggTrade", day=day)["origin"]
    assert origin["dialect"]["header_lines"] == (1 if day.day == 11 else 0)


def test_quotes_are_had_until_their_files_ended(
    server: Standin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert convert(tmp_path, server, "--data-types", "quotes") == 0
    found = frame(tmp_path, "quote_tick")
    rows = [row.split(",") for row in published(server, aggregates().replace("aggTrades", "bookTicker"))[1:]]
    names = ("bid_price", "bid_size", "ask_price", "ask_size")
    expected = [tuple(map(Decimal, row[1:5])) for row in rows]
    assert found.select(pl.col(name).cast(pl.Decimal(38, 9)) for name in names).rows() == expected
    assert verdict(tmp_path, "quote_tick")["series"] == "binance-archive/bookTicker"
    log = len(server.log)
    assert convert(tmp_path, server, "--data-types", "quotes", start="2024-05-01", end="2024-05-02") == 1
    assert "bookTicker is not published any more since 2024-03-31" in capsys.readouterr().err
    assert len(server.log) == log


def test_files_that_ended_without_anybody_having_said_so_are_told_by_the_listing(
    server: Standin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"exchange": "binance-delivery", "symbol": "BTCUSD_PERP", "start": "2024-05-01", "end": "2024-05-02"}
    assert convert(tmp_path, server, "--data-types", "quotes", **settings) == 1
    err = capsys.readouterr().err
    assert "whose last one of BTCUSD_PERP is 2024-03-30: such files are not published any more" in err
    assert "not published yet" not in err


# ---------------------------------------------------------------- months


@pytest.mark.slow
def test_a_month_gives_the_same_catalog_as_its_days_and_is_fetched_once(server: Standin, tmp_path: Path) -> None:
    files: dict[str, dict[str, bytes]] = {}
    for period in ("daily", "monthly"):
        folder = tmp_path / period
        folder.mkdir()
        assert convert(folder, server, "--data-types", "trades,mark", end="2024-01-05", period=period) == 0
        root = folder / "catalog/data"
        files[period] = {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*.parquet"))}
    assert files["daily"] == files["monthly"]
    assert sum("trade_tick" in name for name in files["daily"]) == 3
    assert len(server.requests("monthly/aggTrades")) == 2


def test_days_of_a_month_that_is_at_hand_are_taken_from_it(server: Standin, tmp_path: Path) -> None:
    assert convert(tmp_path, server, "--data-types", "trades", period="monthly") == 0
    log = len(server.log)
    assert convert(tmp_path, server, "--data-types", "trades", start="2024-01-09", end="2024-01-11") == 0
    assert len(server.log) == log


def test_a_day_that_a_monthly_file_lacks_is_had_from_its_own(server: Standin, tmp_path: Path) -> None:
    start = int(datetime(2024, 1, 2, tzinfo=UTC).timestamp() * 1_000)
    server.change(
        month_of("aggTrades"),
        lambda rows: [row for row in rows if not start <= int(row.split(",")[5]) < start + 86_400_000],
    )
    assert convert(tmp_path, server, "--data-types", "trades", period="monthly", end="2024-01-04") == 0
    assert len(frame(tmp_path, "trade_tick")) == 600
    assert manifest(tmp_path, "aggTrade")["file"] == f"{DAY}.csv.zip"
    assert manifest(tmp_path, "aggTrade", day=date(2024, 1, 3))["file"] == "2024-01-03.csv.zst"


# ---------------------------------------------------------------- the other rows


def test_coin_m_has_contracts_and_an_index_by_pair(server: Standin, tmp_path: Path) -> None:
    assert convert(tmp_path, server, symbol="BTCUSD_PERP", exchange="binance-delivery") == 0
    found = frame(tmp_path, "trade_tick", "BTCUSD_PERP.BINANCE_DELIVERY")
    assert (found["size"].cast(pl.Int64).cast(pl.Decimal(38, 0)) == found["size"].cast(pl.Decimal(38, 0))).all()
    assert server.requests("/indexPriceKlines/BTCUSD/1m/BTCUSD-1m-2024-01-02.zip")
    definitions = pl.read_parquet(tmp_path / "catalog/instruments.parquet")
    assert definitions["multiplier"].to_list() == ["100"]


@pytest.mark.parametrize(("day", "unit"), [(date(2024, 12, 31), 10**6), (date(2025, 1, 1), 10**3)])
def test_spot_is_in_milliseconds_then_in_microseconds(day: date, unit: int, server: Standin, tmp_path: Path) -> None:
    end = str(date.fromordinal(day.toordinal() + 1))
    assert convert(tmp_path, server, start=str(day), end=end, exchange="binance") == 0
    found = frame(tmp_path, "trade_tick", "BTCUSDT.BINANCE", day)
    rows = [row.split(",") for row in published(server, aggregates(day, market="/data/spot"))]
    assert found["ts_event"].cast(pl.Int64).to_list() == [int(row[5]) * unit for row in rows]
    assert verdict(tmp_path, "trade_tick", "BTCUSDT.BINANCE", day)["status"] == "complete"


@pytest.mark.parametrize("day", [date(2024, 1, 2), date(2025, 3, 1)])
def test_bybit_is_read_newest_first_or_with_more_columns(day: date, server: Standin, tmp_path: Path) -> None:
    end = str(date.fromordinal(day.toordinal() + 1))
    assert convert(tmp_path, server, start=str(day), end=end, exchange="bybit") == 0
    found = frame(tmp_path, "trade_tick", "BTCUSDT-LINEAR.BYBIT", day)
    rows = [row.split(",") for row in published(server, f"/trading/BTCUSDT/BTCUSDT{day}.csv.gz")[1:]]
    assert len(rows[0]) == (11 if day.year == 2025 else 10)
    expected = {(row[6], int(Decimal(row[0]) * 10**9), Decimal(row[4]), Decimal(row[3])) for row in rows}
    assert (
        set(found.select(pl.col("trade_id").cast(pl.String), pl.col("ts_event").cast(pl.Int64), "price", "size").rows())
        == expected
    )
    assert found["ts_init"].is_sorted()
    if day.year == 2024:
        rules = verdict(tmp_path, "trade_tick", "BTCUSDT-LINEAR.BYBIT", day)["rules"]
        (cleaned,) = [rule for rule in rules if rule["name"] == "nothing_cleaned"]
        assert (cleaned["passed"], cleaned["numbers"]["any_order"]) == (True, True)
        assert cleaned["numbers"]["out_of_order"] > 0


def test_okx_files_of_utc_plus_eight_become_days_of_utc(server: Standin, tmp_path: Path) -> None:
    assert convert(tmp_path, server, symbol="BTC-USDT-SWAP", exchange="okex-swap") == 0
    found = frame(tmp_path, "trade_tick", "BTC-USDT-SWAP.OKEX")
    day = [trade.number for trade in trades_of("BTC-USDT-SWAP", DAY, 600, 7)]
    assert found["trade_id"].cast(pl.String).to_list() == [str(number) for number in day]
    assert len(server.requests("/trades/daily/")) == 2
    rates = frame(tmp_path, "funding_rate", "BTC-USDT-SWAP.OKEX")
    assert [time.hour for time in rates["ts_event"]] == [0, 8, 16]


# ---------------------------------------------------------------- around it


def test_a_feed_may_name_an_archive(server: Standin, tmp_path: Path) -> None:
    path = tmp_path / "feeds.yaml"
    path.write_text(
        f"""version: 1
feeds:
  free:
    source: archive
    venue: BINANCE
    symbols: [BTCUSDT]
    start: 2024-01-01
    end: 2024-01-03
    schedule: {{at: "09:00", look_back_days: 3}}
    settings: {{exchange: binance-futures, trade_kind: aggTrade, endpoint: "{server.endpoint}"}}
"""
    )
    feeds = read_feeds(path)
    assert not feeds.problems
    assert feeds.feeds["free"].instrument_id("BTCUSDT") == "BTCUSDT-PERP.BINANCE"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"exchange": "deribit"}, "no archive of this exchange"),
        ({"exchange": "bybit", "trade_kind": "aggTrade"}, "no such files"),
        ({"period": "yearly"}, "period"),
        ({"accept_checksum": ["abc"]}, "accept_checksum"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    settings: dict[str, Any], words: str, server: Standin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert convert(tmp_path, server, **settings) == 2
    assert words in capsys.readouterr().err


def test_a_dry_run_says_what_would_be_fetched(
    server: Standin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert convert(tmp_path, server, "--dry-run", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["requests"] == 8
    assert server.log == []


def test_help_and_feeds_check_say_what_nobody_has_tested(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["replay-to-parquet", "--help"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "untested" in told
    for exchange in UNTESTED:
        assert exchange in told
    path = tmp_path / "feeds.yaml"
    path.write_text(
        """version: 1
feeds:
  perpetuals: {source: archive, venue: BYBIT, symbols: [BTCUSDT, BTCUSD], start: 2024-01-01, settings: {exchange: bybit}}
  swaps: {source: archive, venue: OKEX, symbols: [BTC-USDT-SWAP], start: 2024-01-01, settings: {exchange: okex-swap}}
  usdm: {source: archive, venue: BINANCE, symbols: [BTCUSDT], start: 2024-01-01}
"""
    )
    assert run(["feeds", "check", "--feeds", str(path)]) == 0
    lines = {line.split(":")[0]: line for line in capsys.readouterr().out.splitlines()}
    assert lines["perpetuals"].endswith("untested against the real server: BTCUSD")
    assert lines["swaps"].endswith("untested against the real server: BTC-USDT-SWAP")
    assert "untested" not in lines["usdm"]


def test_the_shipped_example_and_the_commented_feed_are_right(tmp_path: Path) -> None:
    assert not read_feeds(REPOSITORY / "examples/feeds/archive.yaml").problems
    text = (REPOSITORY / "feeds.yaml").read_text()
    start = text.index("  # binance_usdm:")
    bare = "".join(f"{line.replace('  # ', '  ', 1)}\n" for line in text[start:].splitlines())
    (tmp_path / "feeds.yaml").write_text(f"version: 1\nfeeds:\n{bare}")
    found = read_feeds(tmp_path / "feeds.yaml")
    assert not found.problems
    assert list(found.feeds) == ["binance_usdm"]
