"""Bars by every way in: the venue's candles once they are closed, and bars made of trades, cut by arrival."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import polars as pl
import pytest
from nautilus_trader.model.data import Bar
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from hedgegrid_assets.cli import run
from hedgegrid_assets.inspect.charts import day_series
from hedgegrid_assets.inspect.days import DayFilter, judged_days
from hedgegrid_assets.inspect.gaps import gap_report
from hedgegrid_assets.inspect.validation import validate_catalog
from hedgegrid_assets.model import InstrumentDay
from hedgegrid_assets.stages.frames import read_blocks
from hedgegrid_assets.stages.verdict import read_verdict
from hedgegrid_assets.store import Places, plain
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets.tables.bar import BARS, PERIODS, made_of_trades
from hedgegrid_assets.timestamps import NS_PER_SECOND
from hedgegrid_assets_tests.scenario import DAY, MIDNIGHT_MS, agg_trade, line

pytestmark = pytest.mark.usefixtures("workdir")

ID: Final = "BTCUSDT-PERP.BINANCE"
MINUTE: Final = 60_000
PLACES: Final = Places(Path("data"), Path("data/catalog"))
CAPTURE: Final = Path(__file__).parents[3] / "shared/data/captures/binance-usdm_sushi-akro-keep-ctk_2021-07-22.txt.gz"

type Values = tuple[int, str, str, str, str, str, int]


def kline(minute: int, *, closed: bool = True, interval: str = "1m", late_ms: int = 7, **changed: Any) -> bytes:
    opens = MIDNIGHT_MS + minute * MINUTE
    candle = {"t": opens, "T": opens + MINUTE - 1, "s": "BTCUSDT", "i": interval, "f": 1, "L": 9}
    candle |= {"o": "42000.10", "c": "42000.30", "h": "42000.50", "l": "41999.90", "v": "1.250", "n": 9, "x": closed}
    message = {"e": "kline", "E": opens + MINUTE + 3, "s": "BTCUSDT", "k": candle | {"q": "52500.4"} | changed}
    return line(message, (opens + MINUTE + late_ms) * 1_000_000)


def trade(number: int, at_ns: int, price: str, size: str = "0.500") -> bytes:
    return line(agg_trade(number, at_ns // 1_000_000 - 40, p=price, q=size), at_ns)


def captured(*lines: bytes) -> None:
    Path("c.jsonl").write_bytes(b"".join(lines))


def replay(types: str, *more: str, symbol: str = "BTCUSDT", path: str = "c.jsonl") -> int:
    command = ["replay-to-parquet", "--source", "websocket", "--symbol", symbol, "--input", path]
    return run([*command, "--data-types", types, *more, "-q"])


def bars(kind: str = "1-MINUTE") -> list[Bar]:
    catalog = ParquetDataCatalog(str(Path("data/catalog").resolve()))
    return catalog.bars(bar_types=[f"{ID}-{kind}-LAST-EXTERNAL"])


def values(bar: Bar) -> tuple[Decimal, ...]:
    return tuple(each.as_decimal() for each in (bar.open, bar.high, bar.low, bar.close, bar.volume))


def verdict(table: str = "bar_1_minute") -> Any:
    found = read_verdict(PLACES, TABLES[table], InstrumentDay(ID, DAY))
    assert found is not None
    return plain(found)


# ---------------------------------------------------------------- candles


def test_a_candle_becomes_a_bar_once_it_is_closed_and_of_its_own_period() -> None:
    growing = [kline(0, closed=False, v=f"0.{number}") for number in range(1, 9)]
    captured(*growing, kline(0), kline(1, closed=False), kline(1, o="42000.30"), kline(4, interval="5m"))
    assert replay("bars,bars_5m") == 0
    first, second = bars()
    assert values(first) == tuple(map(Decimal, ("42000.10", "42000.50", "41999.90", "42000.30", "1.25")))
    assert first.ts_event == (MIDNIGHT_MS + MINUTE - 1) * 1_000_000
    assert first.ts_init == (MIDNIGHT_MS + MINUTE + 7) * 1_000_000
    assert second.open.as_decimal() == Decimal("42000.30")
    assert len(bars("5-MINUTE")) == 1
    assert verdict()["rows"] == {
        "exact_duplicates": 0, "in": 12, "not_applicable": 10, "other_symbols": 0, "out": 2, "rejected": 0
    }  # fmt: skip


def test_a_bar_is_never_known_before_its_close_though_the_clock_that_received_it_is_behind() -> None:
    captured(kline(0, late_ms=-1_200))
    assert replay("bars") == 0
    (bar,) = bars()
    assert bar.ts_init == bar.ts_event == (MIDNIGHT_MS + MINUTE - 1) * 1_000_000


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"h": "42000.20"}, "ohlc_in_order"),
        ({"l": "42000.31"}, "ohlc_in_order"),
        ({"T": MIDNIGHT_MS}, "known_at_its_close"),
    ],
)
def test_a_day_with_a_candle_that_can_be_none_is_kept_out(changed: dict[str, Any], rule: str) -> None:
    captured(kline(0), kline(1, **changed))
    assert replay("bars") == 1
    failed = {answer["name"] for answer in verdict()["rules"] if answer["passed"] is False}
    assert rule in failed
    assert verdict()["status"] == "blocked"
    assert not Path("data/catalog/data/bar").exists()


def test_two_candles_of_one_minute_that_differ_keep_the_day_out() -> None:
    captured(kline(0), kline(0, v="1.300"))
    assert replay("bars") == 1
    assert "one_bar_a_period" in {answer["name"] for answer in verdict()["rules"] if answer["passed"] is False}


def test_a_candle_sent_twice_is_one_bar() -> None:
    captured(kline(0), kline(0), kline(1))
    assert replay("bars") == 0
    assert (len(bars()), verdict()["rows"]["exact_duplicates"]) == (2, 1)


def test_missing_candles_are_a_gap() -> None:
    captured(kline(0), kline(1), kline(9), kline(10))
    assert replay("bars") == 0
    (gap,) = verdict()["gaps"]
    assert (gap["seconds"], verdict()["status"]) == (480.0, "partial")


def candles(short: str, minutes: int, *, days: int = 1, late_ms: int = 0, without: int | None = None) -> None:
    """Whole days of candles of one length, but one of them."""
    length = minutes * MINUTE
    numbers = (number for number in range(days * 1440 // minutes) if number != without)
    captured(
        *(
            kline(
                number * minutes,
                interval=short,
                late_ms=length - MINUTE + late_ms,
                T=MIDNIGHT_MS + (number + 1) * length - 1,
            )
            for number in numbers
        )
    )


@pytest.mark.parametrize(("short", "minutes", "table"), [("1m", 1, "bar_1_minute"), ("8h", 480, "bar_8_hour")])
@pytest.mark.parametrize(("where", "status"), [(None, "complete"), (0, "partial"), (1, "degraded"), (-1, "partial")])
def test_each_candle_that_lacks_is_told_also_the_first_and_the_last_of_a_day(
    short: str, minutes: int, table: str, where: int | None, status: str
) -> None:
    without = where if where is None or where >= 0 else 1440 // minutes - 1
    candles(short, minutes, late_ms=-1, without=without)
    assert replay(next(bar.token for bar in BARS if bar.name == table)) == 0
    judged = verdict(table)
    assert judged["status"] == status
    report = gap_report([*judged_days(PLACES, DayFilter())])
    assert [(hole.kind, round(hole.seconds)) for hole in report.holes] == {
        None: [],
        0: [("edge", 60 * minutes)],
        1: [("gap", 120 * minutes)],
        -1: [("edge", 60 * minutes)],
    }[where]


def test_the_last_candle_of_a_captured_day_arrives_on_the_next_one_and_lacks_on_none() -> None:
    candles("1h", 60, days=2, late_ms=40)
    assert replay("bars_1h") == 0
    assert [(day.verdict.rows.rows_out, day.status) for day in judged_days(PLACES, DayFilter())] == [
        (23, "complete"),
        (24, "complete"),
        (1, "partial"),
    ]


def test_edges_of_bars_begin_and_end_where_their_periods_do() -> None:
    captured(*(trade(number, minute_ns(180 + number), "1.00") for number in range(60)))
    assert replay("bars_30m") == 0
    told = answer("day_covered", "bar_30_minute")[1]
    assert (told["start_missing_s"], told["end_missing_s"]) == (10_800.0, 72_000.0)
    first, last = gap_report([*judged_days(PLACES, DayFilter())]).holes
    assert (first.end, last.start) == (minute_ns(180) - 1, minute_ns(240) - 1)


@pytest.mark.parametrize(("types", "table", "minutes"), [("bars", "bar_1_minute", 1), ("bars_1h", "bar_1_hour", 60)])
def test_a_picture_of_bars_shows_closes_and_no_more_of_them_a_minute_than_there_are(
    types: str, table: str, minutes: int
) -> None:
    captured(*(trade(number, minute_ns(number * minutes), f"{100 + number}.00") for number in range(4)))
    assert replay(types) == 0
    series = day_series(PLACES.frame(ID, table, DAY), TABLES[table], InstrumentDay(ID, DAY))
    assert series is not None
    assert series.value == "close"
    assert series.rates.max() == pytest.approx(1 / minutes)


def test_a_candle_in_an_odd_spelling_is_read_all_the_same() -> None:
    odd = kline(1).replace(b'"e":"kline",', b"").replace(b"}}", b'},"e":"kline"}')
    assert odd != kline(1)
    captured(kline(0), odd, kline(2, v="1.5e0"))
    assert replay("bars") == 0
    assert [bar.volume.as_decimal() for bar in bars()] == [Decimal("1.25"), Decimal("1.25"), Decimal("1.5")]


@pytest.mark.skipif(not CAPTURE.exists(), reason="needs ../shared/data")
def test_a_real_capture_gives_the_candles_that_closed_in_it() -> None:
    assert replay("bars", symbol="SUSHIUSDT,CTKUSDT,AKROUSDT,KEEPUSDT", path=str(CAPTURE)) == 0
    found = ParquetDataCatalog(str(Path("data/catalog").resolve())).bars()
    assert {str(bar.bar_type).partition("-")[0]: str(bar.volume) for bar in found}.items() >= {
        ("SUSHIUSDT", "3005"),
        ("CTKUSDT", "11074"),
    }
    assert validate_catalog("data/catalog", deep=True).ok


# ---------------------------------------------------------------- made of trades


def minute_ns(minute: int) -> int:
    return (MIDNIGHT_MS + minute * MINUTE) * 1_000_000


TRADES: Final = [
    trade(1, minute_ns(0) + 41_000_000, "42000.10"),
    trade(2, minute_ns(0) + 90_000_000, "42000.70"),
    trade(3, minute_ns(1) - 1, "41999.00", "0.250"),
    trade(4, minute_ns(1), "41990.00"),
    trade(5, minute_ns(5) + 41_000_000, "42100.00", "0.125"),
]


def test_bars_of_trades_are_cut_by_arrival_and_stamped_at_their_last_nanosecond() -> None:
    captured(*TRADES)
    assert replay("bars,bars_5m") == 0
    assert [(bar.ts_init, *map(str, (bar.open, bar.high, bar.low, bar.close, bar.volume))) for bar in bars()] == [
        (minute_ns(1) - 1, "42000.1", "42000.7", "41999.0", "41999.0", "1.250"),
        (minute_ns(2) - 1, "41990.0", "41990.0", "41990.0", "41990.0", "0.500"),
        (minute_ns(6) - 1, "42100.0", "42100.0", "42100.0", "42100.0", "0.125"),
    ]
    assert [str(bar.volume) for bar in bars("5-MINUTE")] == ["1.750", "0.125"]


def test_every_trade_is_accounted_for_in_the_bars_made_of_it() -> None:
    captured(*TRADES, trade(6, minute_ns(5) + 50_000_000, "0.00"), TRADES[-1])
    assert replay("trades,bars") == 0
    rows = verdict()["rows"]
    assert (rows["in"], rows["out"], rows["rejected"], rows["exact_duplicates"]) == (7, 3, 1, 1)
    conserved = next(answer for answer in verdict()["rules"] if answer["name"] == "rows_conserved")
    assert (conserved["passed"], conserved["numbers"]["reshaped"]) == (True, {"merged": -2})
    assert sum(bar.volume.as_decimal() for bar in bars()) == Decimal("1.875")


def test_trades_that_came_out_of_order_make_the_same_bars() -> None:
    captured(*TRADES)
    assert replay("bars") == 0
    expected = [(bar.ts_init, *values(bar)) for bar in bars()]
    captured(*reversed(TRADES), TRADES[2])
    assert replay("bars", "--output", "other") == 0
    found = ParquetDataCatalog(str(Path("other").resolve())).bars()
    assert [(bar.ts_init, *values(bar)) for bar in found] == expected


def test_candles_go_before_trades_and_one_series_holds_one_kind(capsys: pytest.CaptureFixture[str]) -> None:
    captured(*TRADES, kline(0), kline(1))
    command = ["replay-to-parquet", "--source", "websocket", "--symbol", "BTCUSDT", "--input", "c.jsonl"]
    assert run([*command, "--data-types", "bars"]) == 0
    assert "bars are made from kline" in capsys.readouterr().err
    assert verdict()["series"] == "binance/kline"
    Path("t.json").write_text(json.dumps({"bar_kind": "aggTrade"}))
    assert run([*command, "--data-types", "bars", "--config", "t.json"]) == 1
    assert "binance/kline" in capsys.readouterr().err


def test_a_configuration_names_bars_by_their_length_and_some_are_made_of_trades_alone() -> None:
    captured(*TRADES, kline(0), kline(1))
    Path("t.json").write_text(json.dumps({"bars": ["10-SECOND"]}))
    assert replay("trades", "--config", "t.json") == 0
    assert (len(bars("10-SECOND")), bars()) == (4, [])
    assert verdict("bar_10_second")["series"] == "binance/aggTrade"
    assert verdict("trade_tick")["rows"]["out"] == 5


# ---------------------------------------------------------------- beside the trades


def answer(name: str, table: str = "bar_1_minute") -> tuple[bool | None, dict[str, Any]]:
    found = next(answer for answer in verdict(table)["rules"] if answer["name"] == name)
    return found["passed"], found["numbers"]


def test_bars_at_the_ends_of_a_record_that_begins_and_ends_within_a_day_are_told_by_name() -> None:
    hour = 60 * 60_000_000_000
    within = [trade(n, minute_ns(754) + 40 * NS_PER_SECOND + n * hour // 60, "42000.10") for n in range(1, 150)]
    captured(*within)
    assert replay("bars,bars_1h,bars_1d") == 0
    for table, ends in (
        ("bar_1_minute", ["2024-01-01T12:35:59.999999999Z", "2024-01-01T15:03:59.999999999Z"]),
        ("bar_1_hour", ["2024-01-01T12:59:59.999999999Z", "2024-01-01T15:59:59.999999999Z"]),
        ("bar_1_day", ["2024-01-01T23:59:59.999999999Z"]),
    ):
        passed, told = answer("bars_whole", table)
        assert (passed, told["cut"], verdict(table)["status"]) == (False, ends, "partial")
    assert answer("volume_as_traded") == (None, {})


def test_bars_of_trades_that_reach_over_the_day_are_whole_and_missing_ids_are_told() -> None:
    whole = [trade(n, minute_ns(0) + n * 30 * NS_PER_SECOND, "42000.10") for n in range(1, 2_880)]
    captured(*whole)
    assert replay("bars_1d") == 0
    assert (verdict("bar_1_day")["status"], answer("bars_whole", "bar_1_day")[1]["cut"]) == ("complete", [])
    captured(*whole[:900], *whole[903:])
    assert replay("bars_1d", "--output", "other") == 0
    found = read_verdict(Places(Path("data"), Path("other")), TABLES["bar_1_day"], InstrumentDay(ID, DAY))
    assert found is not None
    assert (found.status, found.numbers_of("bars_of_all_trades")) == ("degraded", {"ids_missing": 3, "holes": 1})


def with_trades(*volumes: str) -> list[bytes]:
    """Candles of the first minutes, and two trades of 0.5 in each of six."""
    trades = [
        trade(1 + 2 * minute + place, minute_ns(minute) + (10 + 30 * place) * NS_PER_SECOND, "42000.10")
        for minute in range(6)
        for place in range(2)
    ]
    return [*trades, *(kline(minute, v=volume) for minute, volume in enumerate(volumes))]


def test_the_volume_of_candles_is_held_against_the_trades_of_the_same_day() -> None:
    captured(*with_trades("9.000", "1.000", "1.001", "1.000", "0.250", "9.000"))
    assert replay("trades,bars") == 0
    passed, told = answer("volume_as_traded")
    assert (passed, told["compared"], told["differ"]) == (False, 4, 2), "the first and the last may reach over the day"
    assert (told["first"], told["volume"], told["traded"]) == ("2024-01-01T00:02:59.999000000Z", "1.001", "1.000")
    assert told["compared_with"] == verdict("trade_tick")["content_digest"]
    assert run(["report", "data/catalog", "--output", "r.html", "-q"]) == 0
    assert "volume_as_traded" in Path("r.html").read_text()
    assert validate_catalog("data/catalog").ok


def test_candles_that_fit_the_trades_pass_and_are_compared_again_once_the_trades_are_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    fits = with_trades(*["1.000"] * 6)
    captured(*fits)
    assert replay("bars") == 0
    assert answer("volume_as_traded")[0] is None
    assert replay("trades,bars") == 0
    assert (answer("volume_as_traded")[0], answer("volume_as_traded")[1]["compared"]) == (True, 4)
    before = Path(PLACES.verdict(ID, "bar_1_minute", DAY)).stat().st_mtime_ns
    assert replay("trades,bars") == 0
    assert Path(PLACES.verdict(ID, "bar_1_minute", DAY)).stat().st_mtime_ns == before
    captured(*fits[:4], *fits[5:])
    capsys.readouterr()
    assert replay("trades,bars", "--force") == 0
    assert answer("volume_as_traded")[1]["differ"] == 1


def test_a_trace_of_a_bar_ends_at_the_trade_that_closed_it(capsys: pytest.CaptureFixture[str]) -> None:
    captured(*TRADES)
    assert replay("bars") == 0
    capsys.readouterr()
    assert run(["trace", ID, "bars", "2024-01-01T00:00:59.999999999Z", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert json.loads(told["steps"]["raw"]["text"].partition(" ")[2])["data"]["a"] == 3
    assert told["steps"]["raw"]["columns"]["volume"] == ["q"]


def test_every_command_that_shows_a_catalog_knows_bars() -> None:
    captured(*TRADES)
    assert replay("bars") == 0
    assert run(["validate", "data/catalog", "--deep", "--table", "bars"]) == 0
    assert run(["gaps", "data/catalog", "--table", "bars", "-q"]) == 0
    assert run(["report", "data/catalog", "--output", "r.html", "-q"]) == 0
    assert Path("r.html").stat().st_size > 10_000


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 100])
def test_blocks_of_any_size_make_the_same_bars(rows: int) -> None:
    times = [minute_ns(0) + number * 7 * NS_PER_SECOND for number in range(60)]
    prices = [Decimal(42_000) + number * number % 11 for number in range(60)]
    frame = pl.DataFrame({"ts_init": times, "price": prices, "size": [Decimal("0.5")] * 60}).with_columns(
        pl.col("price", "size").cast(pl.Decimal(38, 2)), raw_row=pl.int_range(pl.len(), dtype=pl.UInt32)
    )
    mapping = made_of_trades("t", {"price": (), "size": ()})[PERIODS[0].table]
    assert mapping.shape is not None
    shape = mapping.shape()
    parts = [*(shape.add(part) for part in frame.iter_slices(rows)), shape.rest()]
    made = pl.concat(part for part in parts if part is not None)
    expected = frame.group_by(minute=pl.col("ts_init") // (60 * NS_PER_SECOND), maintain_order=True).agg(
        open=pl.col("price").first(),
        high=pl.col("price").max(),
        low=pl.col("price").min(),
        close=pl.col("price").last(),
        volume=pl.col("size").sum(),
        raw_row=pl.col("raw_row").last(),
    )
    assert made.drop("ts_event", "ts_init").rows() == expected.drop("minute").rows()


def test_a_day_without_trades_has_no_bars() -> None:
    for bar in BARS:
        mapping = made_of_trades("t", {"price": (), "size": ()})[bar.name]
        assert mapping.shape is not None
        assert mapping.shape().rest() is None


def test_frames_of_bars_are_read_by_their_token() -> None:
    captured(*TRADES)
    assert replay("bars_1h") == 0
    (block,) = read_blocks(PLACES.frame(ID, "bar_1_hour", DAY), TABLES["bar_1_hour"])
    assert block["raw_row"].to_list() == [4]
