"""Quotes by every way in, and by every way out: equal to Nautilus' own objects, value by value."""

import csv
import gzip
import json
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import pytest
from nautilus_trader.adapters.tardis.loaders import TardisCSVDataLoader
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from hedgegrid_assets import read_frame
from hedgegrid_assets.cli import run
from hedgegrid_assets.inspect.charts import day_series
from hedgegrid_assets.inspect.validation import validate_catalog
from hedgegrid_assets.model import InstrumentDay
from hedgegrid_assets.stages.verdict import read_verdict
from hedgegrid_assets.store import Places, plain
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets_tests.scenario import DAY, MIDNIGHT_MS, agg_trade, line, received
from hedgegrid_assets_tests.standins.tardis import KEY
from hedgegrid_assets_tests.tardis_cases import fresh_standin

pytestmark = pytest.mark.usefixtures("workdir")

ID: Final = "BTCUSDT-PERP.BINANCE"
QUOTES: Final = TABLES["quote_tick"]
CAPTURE: Final = Path(__file__).parents[3] / "shared/data/captures/binance-usdm_ethusdt_2024-08-08.jsonl.gz"
SPOT: Final = CAPTURE.with_name("binance-spot_ethusdt_2024-08-08.jsonl.gz")
TARDIS: Final = Path(__file__).parents[3] / "shared/data/tardis/huobi-dm-swap_quotes_BTC-USD.csv"

type Values = tuple[Decimal, Decimal, Decimal, Decimal, int, int]


def book_ticker(ms: int, bid: str, bid_size: str, ask: str, ask_size: str, **changed: Any) -> dict[str, Any]:
    message = {"e": "bookTicker", "u": ms, "s": "BTCUSDT", "b": bid, "B": bid_size, "a": ask, "A": ask_size}
    return message | {"T": ms, "E": ms + 1} | changed


def captured(path: str, *messages: dict[str, Any], trades: int = 0) -> None:
    lines = [line(message, received(message.get("T", MIDNIGHT_MS))) for message in messages]
    lines += [
        line(agg_trade(1_000 + n, MIDNIGHT_MS + n, p="42000.15"), received(MIDNIGHT_MS + n)) for n in range(trades)
    ]
    Path(path).write_bytes(b"".join(lines))


CLEAN: Final = [
    book_ticker(MIDNIGHT_MS + 500 * n, f"{42_000 + n}.1{n % 10}", f"{n}.125", f"{42_000 + n}.2{n % 7}", f"{n % 3}.5")
    for n in range(200)
]


def replay(source: str, path: str, *more: str, types: str = "quotes") -> int:
    wanted = ["--data-types", types] if types else []
    return run(["replay-to-parquet", "--source", source, "--symbol", "BTCUSDT", "--input", path, *wanted, *more, "-q"])


def objects(instrument_id: str = ID) -> list[QuoteTick]:
    return ParquetDataCatalog(str(Path("data/catalog").resolve())).quote_ticks(instrument_ids=[instrument_id])


def values_of(quotes: Sequence[QuoteTick]) -> list[Values]:
    return [
        (
            quote.bid_price.as_decimal(),
            quote.ask_price.as_decimal(),
            quote.bid_size.as_decimal(),
            quote.ask_size.as_decimal(),
            quote.ts_event,
            quote.ts_init,
        )
        for quote in quotes
    ]


def verdict_of(day: date = DAY, instrument_id: str = ID) -> Any:
    found = read_verdict(Places(Path("data"), Path("data/catalog")), QUOTES, InstrumentDay(instrument_id, day))
    assert found is not None
    return plain(found)


def rule(name: str) -> Any:
    return next(answer for answer in verdict_of()["rules"] if answer["name"] == name)


# ---------------------------------------------------------------- captures


def test_nautilus_reads_every_captured_quote_to_the_last_digit() -> None:
    captured("quotes.jsonl", *CLEAN)
    assert replay("websocket", "quotes.jsonl") == 0
    sent = [
        (*(Decimal(message[key]) for key in "baBA"), message["T"] * 1_000_000, received(message["T"]))
        for message in CLEAN
    ]
    assert values_of(objects()) == sent
    assert {(quote.bid_price.precision, quote.ask_size.precision) for quote in objects()} == {(2, 3)}


def test_quotes_are_made_only_where_they_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    captured("both.jsonl", *CLEAN, {"e": "bookTicker", "s": "BTCUSDT", "b": "broken"}, trades=40)
    assert replay("websocket", "both.jsonl", "--json", types="") == 0
    told = json.loads(capsys.readouterr().out)
    assert {day["table"] for day in told["days"]} == {"trade_tick"}
    assert told["counts"]["placed"] == 40
    assert not Path("data/raw/cli_websocket/bookTicker").exists()
    assert replay("websocket", "both.jsonl", types="trades,quotes") == 0
    assert len(objects()) == 200
    assert len(ParquetDataCatalog(str(Path("data/catalog").resolve())).trade_ticks(instrument_ids=[ID])) == 40


def test_equal_quotes_of_one_moment_are_each_an_observation() -> None:
    there_and_back = [book_ticker(MIDNIGHT_MS, bid, "1", "11", "1", u=n) for n, bid in enumerate(("9", "10", "9"))]
    Path("q.jsonl").write_bytes(
        b"".join(
            f"{MIDNIGHT_MS * 1_000_000 + n} ".encode() + json.dumps(m).encode() + b"\n"
            for n, m in enumerate(there_and_back)
        )
    )
    assert replay("websocket", "q.jsonl") == 0
    assert [quote.bid_price.as_decimal() for quote in objects()] == [9, 10, 9]


def test_a_crossed_quote_is_kept_and_told_and_degrades_the_day() -> None:
    captured("q.jsonl", *CLEAN[:20], book_ticker(MIDNIGHT_MS + 86_395_000, "42001.00", "1", "42000.00", "1"))
    assert replay("websocket", "q.jsonl", "--config", config(gaps={"quotes": 0})) == 0
    assert len(objects()) == 21
    assert (rule("bid_not_above_ask")["passed"], rule("bid_not_above_ask")["rows_failed"]) == (False, 1)
    assert rule("bid_not_above_ask")["numbers"] == {"first_bad_raw_rows": [20]}
    assert verdict_of()["status"] == "degraded"


def test_a_locked_quote_and_an_empty_side_are_no_faults() -> None:
    captured("q.jsonl", *CLEAN[:20], book_ticker(MIDNIGHT_MS + 11_000, "42100.00", "0.000", "42100.00", "1.000"))
    assert replay("websocket", "q.jsonl") == 0
    assert rule("bid_not_above_ask")["passed"]
    assert rule("sizes_not_negative")["passed"]
    assert objects()[-1].bid_size.as_decimal() == 0


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"b": "0.00"}, "zero_price"),
        ({"a": "-1.00"}, "negative"),
        ({"B": "-0.001"}, "negative"),
        ({"A": "99999999999999"}, "bad_decimal"),
        ({"A": "one"}, "bad_decimal"),
    ],
)
def test_what_can_be_no_quote_is_rejected_with_its_reason(changed: dict[str, Any], reason: str) -> None:
    captured("q.jsonl", *CLEAN, book_ticker(MIDNIGHT_MS + 1_000_000, "1", "1", "2", "1", **changed))
    assert replay("websocket", "q.jsonl") == 0
    assert verdict_of()["rejects_by_reason"] == {reason: 1}
    assert len(objects()) == 200


@pytest.mark.skipif(not CAPTURE.exists(), reason="needs ../shared/data")
def test_a_real_capture_keeps_all_of_its_quotes() -> None:
    command = ["replay-to-parquet", "--source", "websocket", "--symbol", "ETHUSDT", "--data-types", "quotes"]
    assert run([*command, "--input", str(CAPTURE), "-q"]) == 0
    assert Path(CAPTURE).exists()
    with gzip.open(CAPTURE, "rt") as lines:
        sent = [text for text in lines if '"e":"bookTicker"' in text]
    found = values_of(objects("ETHUSDT-PERP.BINANCE"))
    assert len(found) == len(sent) == 53_992
    for text, value in list(zip(sent, found, strict=True))[::97]:
        local, _, message = text.partition(" ")
        data = json.loads(message)["data"]
        assert value == (*(Decimal(data[key]) for key in "baBA"), data["T"] * 1_000_000, int(local))
    assert validate_catalog("data/catalog", deep=True).ok


def spot(number: int, *, odd: bool = False) -> bytes:
    """A message of spot: it says neither what it is nor when it was sent."""
    data = {"u": number, "s": "BTCUSDT", "b": f"42000.{number:02d}", "B": "3.5", "a": "42100.01", "A": "0.25"}
    separators = (", ", ": ") if odd else (",", ":")
    text = json.dumps({"stream": "btcusdt@bookTicker", "data": data}, separators=separators)
    return f"{received(MIDNIGHT_MS + number)} {text}\n".encode()


def test_quotes_of_spot_are_known_by_their_stream_and_timed_by_their_arrival() -> None:
    Path("q.jsonl").write_bytes(b"".join(spot(number, odd=number == 7) for number in range(1, 40)))
    assert replay("websocket", "q.jsonl", "--market", "spot") == 0
    found = objects("BTCUSDT.BINANCE")
    assert len(found) == 39
    assert all(quote.ts_event == quote.ts_init for quote in found)
    assert [str(quote.bid_price) for quote in found[:7]] == [f"42000.0{number}" for number in range(1, 8)]


def test_a_quote_of_futures_without_a_time_is_still_rejected() -> None:
    captured("q.jsonl", *CLEAN)
    bare = {key: value for key, value in book_ticker(MIDNIGHT_MS, "1", "1", "2", "1").items() if key not in "TE"}
    Path("q.jsonl").write_bytes(Path("q.jsonl").read_bytes() + line(bare, received(MIDNIGHT_MS + 200_000)))
    assert replay("websocket", "q.jsonl") == 0
    assert verdict_of()["rejects_by_reason"] == {"unknown_time": 1}


@pytest.mark.slow
@pytest.mark.skipif(not SPOT.exists(), reason="needs ../shared/data")
def test_a_real_capture_of_spot_keeps_all_of_its_quotes() -> None:
    command = ["replay-to-parquet", "--source", "websocket", "--symbol", "ETHUSDT", "--market", "spot"]
    assert run([*command, "--data-types", "quotes", "--input", str(SPOT), "-q"]) == 0
    assert len(objects("ETHUSDT.BINANCE")) == 24_077


# ---------------------------------------------------------------- every door


def config(**settings: Any) -> str:
    Path("c.json").write_text(json.dumps(settings))
    return "c.json"


def test_every_command_that_shows_a_catalog_knows_quotes(capsys: pytest.CaptureFixture[str]) -> None:
    captured(
        "quotes.jsonl", *CLEAN[:100], *(book_ticker(MIDNIGHT_MS + 400_000 + n, "5", "1", "6", "1") for n in range(9))
    )
    assert replay("websocket", "quotes.jsonl") == 0
    assert run(["validate", "data/catalog", "--deep", "--table", "quotes"]) == 0
    capsys.readouterr()
    assert run(["gaps", "data/catalog", "--table", "quotes", "--json"]) == 0
    assert "350.5" in capsys.readouterr().out
    assert run(["trace", ID, "quotes", str(received(CLEAN[7]["T"])), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["whole"]
    assert told["steps"]["catalog"]["values"]["bid_price"] == "42007.17"
    assert run(["report", "data/catalog"]) == 0
    frame = read_frame(ID, "quotes", catalog="data/catalog", decimals="exact")
    assert list(frame.columns[3:7]) == ["bid_price", "ask_price", "bid_size", "ask_size"]
    assert frame["bid_price"][7] == Decimal("42007.17")


def test_a_picture_of_quotes_reaches_from_the_lowest_bid_to_the_highest_ask() -> None:
    captured("quotes.jsonl", *CLEAN[:2])
    assert replay("websocket", "quotes.jsonl") == 0
    series = day_series(Path(f"data/catalog/{ID}/quote_tick.parquet/{DAY}.parquet"), QUOTES, InstrumentDay(ID, DAY))
    assert series is not None
    assert (series.value, np.nanmin(series.low), np.nanmax(series.high)) == ("bid_price", 42_000.1, 42_001.21)


# ---------------------------------------------------------------- Tardis


def loaded(path: Path, instrument_id: str, price: int, size: int) -> list[QuoteTick]:
    loader = TardisCSVDataLoader(
        price_precision=price, size_precision=size, instrument_id=InstrumentId.from_str(instrument_id)
    )
    return loader.load_quotes(path)


def test_quotes_of_tardis_are_those_of_nautilus_own_loader_but_for_sides_that_are_empty(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server = fresh_standin()
    monkeypatch.setenv("TARDIS_ENDPOINT", server.endpoint)
    monkeypatch.setenv("TARDIS_DATASETS_ENDPOINT", server.datasets_endpoint)
    monkeypatch.setenv("TARDIS_API_KEY", KEY)
    days = ["--start", "2024-01-01", "--end", "2024-01-02"]
    command = ["replay-to-parquet", "--source", "tardis", "--symbol", "BTCUSDT", *days, "--data-types", "quotes", "-q"]
    assert run(command) == 0
    (raw,) = (tmp_path / "data/raw/cli_tardis/quotes/BTCUSDT").glob("*.csv.gz")
    found = objects()
    theirs = loaded(raw, ID, found[0].bid_price.precision, found[0].bid_size.precision)
    two_sided = [quote for quote in theirs if quote.bid_price.as_decimal() > 0]
    assert len(theirs) > len(two_sided) > 0
    assert values_of(found) == values_of(two_sided)
    assert verdict_of(date(2024, 1, 1))["rows"]["not_applicable"] == len(theirs) - len(two_sided)


# ---------------------------------------------------------------- CSV


def written(path: str, header: Sequence[str], rows: Iterator[Sequence[object]]) -> None:
    with Path(path).open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


@pytest.mark.parametrize(
    "header",
    [
        ("timestamp", "bid_price", "bid_size", "ask_price", "ask_size"),
        ("time", "bid", "bid_qty", "ask", "ask_qty"),
        ("transaction_time", "best_bid_price", "best_bid_qty", "best_ask_price", "best_ask_qty", "event_time"),
        ("ts_event", "bid_px_00", "bid_sz_00", "ask_px_00", "ask_sz_00"),
        ("T", "b", "B", "a", "A"),
    ],
)
def test_a_file_with_bid_and_ask_columns_gives_quotes_if_asked(header: Sequence[str]) -> None:
    rows = ((m["T"], m["b"], m["B"], m["a"], m["A"], m["E"])[: len(header)] for m in CLEAN)
    written("q.csv", header, rows)
    assert replay("csv", "q.csv") == 0
    sent = [(*(Decimal(message[key]) for key in "baBA"), *[message["T"] * 1_000_000] * 2) for message in CLEAN]
    assert values_of(objects()) == sent


def test_a_row_of_a_file_without_one_side_is_counted_and_is_no_quote() -> None:
    rows = [(m["T"], m["b"], m["B"], m["a"], m["A"]) for m in CLEAN]
    rows[5] = (rows[5][0], "", "", *rows[5][3:])
    written("q.csv", ("timestamp", "bid", "bid_size", "ask", "ask_size"), iter(rows))
    assert replay("csv", "q.csv") == 0
    assert len(objects()) == 199
    assert verdict_of()["rows"]["not_applicable"] == 1


def test_trades_of_a_file_that_has_quotes_too_come_alone_unless_both_are_asked_for() -> None:
    rows = [(m["T"], "42000.55", "0.255", m["b"], m["B"], m["a"], m["A"]) for m in CLEAN]
    written("q.csv", ("timestamp", "price", "size", "bid", "bid_size", "ask", "ask_size"), iter(rows))
    assert replay("csv", "q.csv", types="") == 0
    assert not Path("data/catalog/data/quote_tick").exists()
    assert replay("csv", "q.csv", types="trades,quotes") == 0
    assert len(objects()) == 200
    assert len(ParquetDataCatalog(str(Path("data/catalog").resolve())).trade_ticks(instrument_ids=[ID])) == 200


@pytest.mark.skipif(not TARDIS.exists(), reason="needs ../shared/data")
def test_a_real_file_of_quotes_is_read_as_nautilus_reads_it(tmp_path: Path) -> None:
    symbol = ["--symbol", "BTC-USD", "--exchange", "HUOBI_DELIVERY", "--market", "coinm"]
    command = ["replay-to-parquet", "--source", "csv", *symbol, "--input", str(TARDIS), "--data-types", "quotes", "-q"]
    settings = {"BTC-USD": {"id": "BTC-USD", "base": "BTC", "quote": "USD", "multiplier": "100"}}
    assert run([*command, "--config", config(instruments=settings)]) == 0
    (folder,) = (tmp_path / "data/catalog/data/quote_tick").iterdir()
    found = objects(folder.name)
    theirs = loaded(TARDIS, folder.name, found[0].bid_price.precision, found[0].bid_size.precision)
    assert values_of(found) == values_of(theirs)


def test_a_feed_may_name_quotes(tmp_path: Path) -> None:
    feeds = "version: 1\nfeeds:\n  live:\n    source: websocket\n    venue: BINANCE\n    landing: ['*.jsonl']\n    symbols: [BTCUSDT]\n    start: 2024-01-01\n    tables: [quote_tick]\n"
    (tmp_path / "feeds.yaml").write_text(feeds)
    assert run(["feeds", "check"]) == 0


def test_frames_of_quotes_hold_decimals_of_the_instrument() -> None:
    captured("quotes.jsonl", *CLEAN)
    assert replay("websocket", "quotes.jsonl") == 0
    (path,) = Path(f"data/catalog/{ID}/quote_tick.parquet").glob("*.parquet")
    schema = pl.read_parquet_schema(path)
    assert (schema["bid_price"], schema["ask_size"]) == (pl.Decimal(18, 2), pl.Decimal(18, 3))
