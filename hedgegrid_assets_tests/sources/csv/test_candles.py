"""Candles as mark and index prices: never stamped before they could be known, never mixed with ticks."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hedgegrid_assets.errors import CandlesRefused, MissingColumns, SeriesMixed
from hedgegrid_assets.sources.csv.candles import interval_of, whose
from hedgegrid_assets_tests.csv_cases import MIDNIGHT, convert, frame, write

HEADER = "open_time,open,high,low,close,volume,close_time,quote_volume,count,ignore\n"
MINUTE = 60_000


def klines(
    count: int = 3, *, length: int = MINUTE, unit: int = 1, volume: str = "0", start: int = 1704067200000
) -> str:
    """Candles as Binance writes them, from midnight on; ``length`` in ms, ``unit`` 1000 for microseconds."""
    opened = [(start + n * length) * unit for n in range(count)]
    return HEADER + "".join(
        f"{at},100.5,101,100,100.{n}25,{volume},{at + length * unit - 1},0,60,0\n" for n, at in enumerate(opened)
    )


def offset(tmp_path: Path, table: str = "mark_price_update") -> list[int]:
    """Times of a frame in ns since midnight."""
    rows = frame(tmp_path, table)
    assert rows["ts_init"].to_list() == rows["ts_event"].to_list()
    return [time - MIDNIGHT for time in rows["ts_event"]]


def series(tmp_path: Path, table: str = "mark_price_update") -> str:
    held = json.loads((tmp_path / "catalog/.hedgegrid/series.json").read_text())["held"]
    return str(held["BTCUSDT-PERP.BINANCE"][table])


def config(tmp_path: Path, token: str = "mark", name: str = "k.csv", **more: Any) -> dict[str, Any]:
    return {"base_path": str(tmp_path), "files": {token: {"file_path": name, **more}}}


@pytest.mark.parametrize(("unit", "last"), [(1, 59_999_000_000), (1000, 59_999_999_000)])
@pytest.mark.parametrize("token", ["mark", "index"])
def test_a_close_is_stamped_at_the_close_time_of_its_candle(tmp_path: Path, token: str, unit: int, last: int) -> None:
    write(tmp_path, "k.csv", klines(unit=unit))
    assert convert(tmp_path, tokens=token, config=config(tmp_path, token)).ok
    table = f"{token}_price_update"
    assert offset(tmp_path, table) == [last + n * MINUTE * 10**6 for n in range(3)]
    assert [str(price) for price in frame(tmp_path, table)[f"{token}_price"]] == ["100.025", "100.125", "100.225"]
    assert series(tmp_path, table) == f"csv/{token}PriceKlines-1m"


def test_a_mapping_to_the_open_time_does_not_move_a_close_to_the_front(tmp_path: Path) -> None:
    write(tmp_path, "k.csv", klines())
    columns = {"timestamp": "open_time", "mark_price": "close"}
    assert convert(tmp_path, tokens="mark", config=config(tmp_path, columns=columns)).ok
    assert offset(tmp_path)[0] == 59_999_000_000


@pytest.mark.parametrize("header", ["ts,o,h,l,c,confirm", "startTime,openPrice,highPrice,lowPrice,closePrice,x"])
def test_candles_under_other_names_do_not_move_to_the_front_either(tmp_path: Path, header: str) -> None:
    write(tmp_path, "k.csv", f"{header}\n1704067260000,1,2,1,1.5,1\n1704067200000,1,2,1,1.4,1\n")
    names = header.split(",")
    columns = {"timestamp": names[0], "mark_price": names[4]}
    assert convert(tmp_path, tokens="mark", config=config(tmp_path, columns=columns)).ok
    assert offset(tmp_path) == [59_999_000_000, 119_999_000_000]


def test_an_open_is_known_when_its_candle_opens_and_is_another_series(tmp_path: Path) -> None:
    write(tmp_path, "k.csv", klines())
    columns = {"timestamp": "close_time", "mark_price": "open"}
    assert convert(tmp_path, tokens="mark", config=config(tmp_path, columns=columns)).ok
    assert offset(tmp_path)[0] == 0
    assert series(tmp_path) == "csv/markPriceKlines-1m.open"


@pytest.mark.parametrize(
    ("header", "row", "name", "last"),
    [
        ("ts,o,open,high,low,close,confirm", "{ms},0,1,2,1,1.5,1", "csv/markPriceKlines-5m", 299_999_000_000),
        ("time,open,high,low,close", "{s},1,2,1,1.5", "csv/markPriceKlines-5m", 299_999_000_000),
        ("time,open,high,low,close", "{iso},1,2,1,1.5", "csv/markPriceKlines-5m", 299_999_000_000),
        ("startTime,timestamp,open,high,low,close", "x,{us},1,2,1,1.5", "csv/markPriceKlines-5m", 299_999_999_000),
    ],
)
def test_without_a_close_time_the_end_is_the_opening_and_the_length(
    tmp_path: Path, header: str, row: str, name: str, last: int
) -> None:
    at = [1704067200 + 300 * n for n in range(4)]
    given = [
        row.format(s=s, ms=s * 1000, us=s * 10**6, iso=f"2024-01-01T00:{s % 3600 // 60:02}:00Z") for s in reversed(at)
    ]
    write(tmp_path, "k.csv", "\n".join([header, *given]) + "\n")
    done = convert(tmp_path, tokens="mark", config=config(tmp_path))
    assert offset(tmp_path) == [last + n * 300 * 10**9 for n in range(4)]
    assert series(tmp_path) == name
    assert any("after" in note for note in done.notes)


def test_one_candle_alone_needs_its_length_from_the_files_name(tmp_path: Path) -> None:
    text = "open_time,open,high,low,close\n1704067200000,1,2,1,1.5\n"
    write(tmp_path, "k.csv", text)
    with pytest.raises(CandlesRefused, match="one candle alone"):
        convert(tmp_path, tokens="mark", config=config(tmp_path))
    write(tmp_path, "BTCUSDT-1h-2024-01-01.csv", text)
    assert convert(tmp_path, tokens="mark", config=config(tmp_path, name="BTCUSDT-1h-2024-01-01.csv")).ok
    assert offset(tmp_path) == [3_599_999_000_000]


def test_missing_minutes_do_not_make_a_candle_longer(tmp_path: Path) -> None:
    at = (0, 1, 2, 7, 9)
    text = "open_time,open,high,low,close\n" + "".join(f"{1704067200000 + n * MINUTE},1,2,1,1.5\n" for n in at)
    write(tmp_path, "k.csv", text)
    assert convert(tmp_path, tokens="mark", config=config(tmp_path)).ok
    assert offset(tmp_path) == [59_999_000_000 + n * 60 * 10**9 for n in at]


@pytest.mark.parametrize(
    ("opened", "why"),
    [((0, 60_000, 150_000), "regular times"), ((0, 1_500), "regular times")],
)
def test_candles_at_no_regular_times_are_refused(tmp_path: Path, opened: tuple[int, ...], why: str) -> None:
    text = "open_time,open,high,low,close\n" + "".join(f"{1704067200000 + n},1,2,1,1.5\n" for n in opened)
    write(tmp_path, "k.csv", text)
    with pytest.raises(CandlesRefused, match=why):
        convert(tmp_path, tokens="mark", config=config(tmp_path))


def test_candles_of_two_lengths_are_refused(tmp_path: Path) -> None:
    text = klines(2) + klines(2, length=5 * MINUTE).removeprefix(HEADER)
    write(tmp_path, "k.csv", text)
    with pytest.raises(CandlesRefused, match="one length, found 1m, 5m"):
        convert(tmp_path, tokens="mark", config=config(tmp_path))


@pytest.mark.parametrize(("days", "name"), [((31, 29), "1mo"), ((7, 7), "1w"), ((1, 1), "1d")])
def test_the_series_is_named_after_the_length(tmp_path: Path, days: tuple[int, ...], name: str) -> None:
    text, at = HEADER, 1704067200000
    for length in days:
        text += f"{at},1,2,1,1.5,0,{at + length * 86_400_000 - 1},0,1,0\n"
        at += length * 86_400_000
    write(tmp_path, "k.csv", text)
    assert convert(tmp_path, tokens="mark", config=config(tmp_path)).ok
    assert series(tmp_path) == f"csv/markPriceKlines-{name}"


# ---------------------------------------------------------------- whose prices they are


def test_the_folders_of_an_archive_say_whose_prices_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "futures/um/daily/markPriceKlines/BTCUSDT/1m"
    folder.mkdir(parents=True)
    path = write(folder, "BTCUSDT-1m-2024-01-01.csv", klines())
    assert convert(tmp_path, path, tokens=None).ok
    assert offset(tmp_path)[0] == 59_999_000_000


@pytest.mark.parametrize("token", ["mark", "index"])
def test_candles_of_nobody_are_refused_with_a_mapping_that_reads_them(tmp_path: Path, token: str) -> None:
    path = write(tmp_path, "BTCUSDT-1m-2024-01-01.csv", klines())
    with pytest.raises(CandlesRefused) as caught:
        convert(tmp_path, path, tokens=token)
    assert "trades" not in str(caught.value)
    example = json.loads(caught.value.hint[caught.value.hint.index("{") : caught.value.hint.rindex("}") + 1])
    assert convert(tmp_path, tokens=token, config={"base_path": str(tmp_path), **example}).ok
    assert offset(tmp_path, f"{token}_price_update")[0] == 59_999_000_000


@pytest.mark.parametrize("kind", ["indexPriceKlines", "premiumIndexKlines", "klines"])
def test_candles_of_something_else_never_become_mark_prices(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / kind / "BTCUSDT"
    folder.mkdir(parents=True)
    path = write(folder, "BTCUSDT-1m-2024-01-01.csv", klines())
    with pytest.raises(CandlesRefused, match="its name says"):
        convert(tmp_path, path, tokens="mark")
    mapping: dict[str, Any] = {"columns": {"timestamp": "close_time", "mark_price": "close"}}
    nothing: dict[str, Any] = {}
    for columns in (nothing, mapping):
        with pytest.raises(CandlesRefused, match="its name says"):
            convert(tmp_path, tokens="mark", config=config(folder, name=path.name, **columns))


def test_candles_with_a_volume_are_those_of_trades(tmp_path: Path) -> None:
    write(tmp_path, "k.csv", klines(volume="1.5"))
    with pytest.raises(CandlesRefused, match="candles of trades"):
        convert(tmp_path, tokens="mark", config=config(tmp_path))


def test_candles_give_no_trades_whatever_a_mapping_says(tmp_path: Path) -> None:
    write(tmp_path, "k.csv", klines(volume="1.5"))
    columns = {"timestamp": "open_time", "price": "close", "size": "volume"}
    for settings in (config(tmp_path, "trades", columns=columns), None):
        with pytest.raises(MissingColumns, match="no trade is in them") as caught:
            convert(tmp_path, tmp_path / "k.csv", config=settings)
        assert "columns" not in str(caught.value.hint), "no mapping makes trades of them"
        assert "--input" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("data/futures/um/daily/markPriceKlines/BTCUSDT/1m/BTCUSDT-1m-2024-01-01.zip", "mark"),
        ("data/futures/cm/monthly/indexPriceKlines/BTCUSD/1m/BTCUSD-1m-2024-01.zip", "index"),
        ("premiumIndexKlines/BTCUSDT-1m-2024-01-01.csv", "premium"),
        ("klines/BTCUSDT-1m-2024-01-01.csv", "trades"),
        ("bybit-mark-price-kline-BTCUSDT.csv", "mark"),
        ("klines/BTCUSDT_mark_price_candles.csv", "mark"),
        ("premium-index-price-kline.csv", "premium"),
        ("BTCUSDT-1m-2024-01-01.csv", None),
        ("marketing/BTCUSDT-1m.csv", None),
    ],
)
def test_names_of_files_and_folders(path: str, kind: str | None) -> None:
    assert whose(Path(path)) == kind


def test_an_end_before_its_opening_is_no_end() -> None:
    import polars as pl

    assert isinstance(interval_of(pl.Series([60, 120]), pl.Series([0, 60]), Path("k.csv")), str)


# ---------------------------------------------------------------- one series a folder


def test_candles_and_ticks_never_share_a_folder(tmp_path: Path) -> None:
    write(tmp_path, "ticks.csv", "time,mark_price\n1704153600,100.5\n")
    convert(tmp_path, tmp_path / "ticks.csv", tokens="mark")
    write(tmp_path, "k.csv", klines())
    done = convert(tmp_path, tokens="mark", config=config(tmp_path))
    assert not done.ok
    assert "holds the series csv/mark: expected the same, found csv/markPriceKlines-1m" in str(done.days[0].error)


def test_candles_and_ticks_of_one_day_are_refused_whichever_came_first(tmp_path: Path) -> None:
    write(tmp_path, "k.csv", klines())
    convert(tmp_path, tokens="mark", config=config(tmp_path))
    ticks = write(tmp_path, "ticks.csv", "time,mark_price\n1704067200,100.5\n")
    done = convert(tmp_path, ticks, tokens="mark", catalog="other")
    assert not done.ok
    assert SeriesMixed.code == "series"
    assert "csv/markPriceKlines-1m" in str(done.days[0].error)


def test_three_minutes_without_a_candle_are_a_gap(tmp_path: Path) -> None:
    at = [n for n in range(1440) if not 600 <= n < 605]
    rows = (f"{1704067200000 + n * MINUTE},1,2,1,1.5,0,{1704067259999 + n * MINUTE},0,1,0\n" for n in at)
    write(tmp_path, "k.csv", HEADER + "".join(rows))
    done = convert(tmp_path, tokens="mark", config=config(tmp_path))
    assert [(day.status, day.gaps) for day in done.days] == [("degraded", 1)]


def test_a_whole_day_of_candles_is_complete_and_one_in_fifty_that_lacks_is_told(tmp_path: Path) -> None:
    for folder, missing, status in (("whole", (), "complete"), ("holed", range(0, 1440, 50), "degraded")):
        root = tmp_path / folder
        root.mkdir()
        lines = klines(1440).splitlines(keepends=True)
        write(root, "k.csv", "".join(each for n, each in enumerate(lines) if n == 0 or n - 1 not in missing))
        done = convert(root, tokens="mark", config=config(root))
        assert [(day.status, day.gaps) for day in done.days] == [(status, 0)]


def test_bars_alone_are_made_of_the_trades_of_a_file(tmp_path: Path) -> None:
    rows = "".join(f"{1704067200000 + 20_000 * n},10{n}.5,1,buy\n" for n in range(6))
    trades = write(tmp_path, "trades.csv", "time,price,size,side\n" + rows)
    done = convert(tmp_path, trades, tokens="bars")
    assert [(day.table, day.rows["out"]) for day in done.days] == [("bar_1_minute", 2)]
    assert frame(tmp_path, "bar_1_minute")["high"].to_list() == [Decimal("102.5"), Decimal("105.5")]
