"""feeds.yaml: what is accepted, and for each kind of mistake the line, the key and the words."""

import json
import subprocess
import sys
from datetime import date
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from hedgegrid_assets.config.feeds import Feed, FeedsFile, read_feeds
from hedgegrid_assets.config.fields import InstrumentOverride, Schedule
from hedgegrid_assets.config.origin import instrument_id, table_notes
from hedgegrid_assets.config.paths import data_path, feeds_path
from hedgegrid_assets.config.settings import configuration, configuration_for, read_config, setting_notes
from hedgegrid_assets.errors import FeedsFileError, UsageError
from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.sources import SOURCES
from hedgegrid_assets.store import Places
from hedgegrid_assets.tables import DEFAULT, TABLES, TOKENS

SHIPPED = Path(__file__).parents[2] / "feeds.yaml"

CAPTURES = """\
version: 1
feeds:
  captures:
    source: websocket
    venue: BINANCE
    symbols: [BTCUSDT, ETHUSDT]
    tables: [trade_tick, mark_price_update]
    start: 2021-07-01
    landing: ["websocket/**/*.jsonl*"]
"""
"""A feed that is right; each mistake below is one change to it."""

SIM = """\
  sim:
    source: synthetic
    venue: SIM
    symbols: [BTCUSDT]
    start: 2024-01-01
    end: 2024-01-04
    settings: {seed: 7, trades_per_day: 20000, days: 3}
"""


def changed(old: str, new: str) -> str:
    """The right feed with one line changed."""
    assert CAPTURES.count(old) == 1
    return CAPTURES.replace(old, new)


def read(folder: Path, text: str) -> FeedsFile:
    (folder / "feeds.yaml").write_text(text, encoding="utf-8")
    return read_feeds(folder / "feeds.yaml")


def only_feed(folder: Path, text: str) -> Feed:
    file = read(folder, text)
    assert file.problems == ()
    (feed,) = file.feeds.values()
    return feed


# ---------------------------------------------------------------- what is right


def test_the_shipped_feeds_validate() -> None:
    file = read_feeds(SHIPPED)
    assert file.problems == ()
    assert {"sim", "captures"} <= file.feeds.keys()
    assert file.feeds["sim"].days(date(2030, 1, 1)) == [date(2024, 1, 1), date(2024, 1, 2), date(2024, 1, 3)]


def test_a_feed_with_every_key_is_read_as_written(tmp_path: Path) -> None:
    feed = only_feed(
        tmp_path,
        CAPTURES
        + """\
    market: coinm
    end: 2021-08-01
    instruments:
      BTCUSDT: {price_precision: 1, size_precision: 3, mark_precision: 8, maker_fee: 0.0002, taker_fee: "-0.00010",
                price_increment: 0.1, size_increment: 1e-3, base: BTC, quote: USDT, settlement: USDT, multiplier: 100, id: BTC-LINEAR}
    gaps: {trade_tick: 1.5m, mark_price_update: off}
    max_rejected: 0.01
    schedule: {at: 06:30, look_back_days: 5}
    settings: {trade_kind: aggTrade}
    owners: [team:data, someone@example.org]
""",
    )
    assert feed == Feed.model_construct(
        name="captures",
        source="websocket",
        venue="BINANCE",
        market="coinm",
        symbols=("BTCUSDT", "ETHUSDT"),
        tables=("trade_tick", "mark_price_update"),
        start=date(2021, 7, 1),
        end=date(2021, 8, 1),
        settings={"trade_kind": "aggTrade"},
        landing=("websocket/**/*.jsonl*",),
        instruments={
            "BTCUSDT": InstrumentOverride(
                price_precision=1,
                size_precision=3,
                mark_precision=8,
                maker_fee="0.0002",
                taker_fee="-0.00010",
                price_increment="0.1",
                size_increment="0.001",
                base="BTC",
                quote="USDT",
                settlement="USDT",
                multiplier="100",
                id="BTC-LINEAR",
            )
        },
        gaps={"trade_tick": 90.0, "mark_price_update": 0.0},
        max_rejected=0.01,
        schedule=Schedule(at="06:30", look_back_days=5),
        owners=("team:data", "someone@example.org"),
    )


def test_what_is_not_said_has_its_default(tmp_path: Path) -> None:
    feed = only_feed(tmp_path, changed("    tables: [trade_tick, mark_price_update]\n", ""))
    assert feed.tables == DEFAULT, "of all that the source gives the usual tables, in their order"
    assert (feed.market, feed.end, feed.max_rejected, feed.schedule) == (None, None, 0.001, None)
    assert (feed.instruments, feed.gaps, feed.settings, feed.owners) == ({}, {}, {}, ())


def test_bars_are_tables_besides_those_that_are_named_or_usual(tmp_path: Path) -> None:
    hours = "    bars: [1-HOUR, 10-SECOND]\n"
    assert only_feed(tmp_path, CAPTURES + hours).tables == (
        "trade_tick", "mark_price_update", "bar_1_hour", "bar_10_second"
    )  # fmt: skip
    usual = changed("    tables: [trade_tick, mark_price_update]\n", hours)
    assert only_feed(tmp_path, usual).tables == (*DEFAULT, "bar_1_hour", "bar_10_second")
    named = changed("[trade_tick, mark_price_update]", "[bar_1_hour]") + hours
    assert only_feed(tmp_path, named).tables == ("bar_1_hour", "bar_10_second")


@pytest.mark.parametrize(
    ("more", "channel"),
    [
        ("    bars: [1-HOUR]\n", "aggTrade"),
        ("    bars: [1-HOUR]\n    settings: {trade_kind: trade}\n", "trade"),
        ("    bars: [1-HOUR]\n    settings: {trade_kind: trade, bar_kind: kline}\n", "kline"),
        ("    tables: [bar_1_hour]\n", "kline"),
    ],
)
def test_the_bars_of_a_feed_of_captures_are_made_of_its_trades_unless_it_says_otherwise(
    more: str, channel: str, tmp_path: Path
) -> None:
    text = changed("    tables: [trade_tick, mark_price_update]\n", more)
    context = FeedContext(only_feed(tmp_path, text), Places(tmp_path, tmp_path / "catalog"))
    assert context.channel(TABLES["bar_1_hour"]).name == channel


def test_anchors_byte_order_mark_and_carriage_returns_are_read_as_yaml_says(tmp_path: Path) -> None:
    text = "\ufeff" + CAPTURES.replace("symbols: ", "symbols: &coins ").replace("\n", "\r\n")
    text += "    instruments: {BTCUSDT: &same {price_precision: 1}, ETHUSDT: *same}\r\n"
    feed = only_feed(tmp_path, text)
    assert feed.symbols == ("BTCUSDT", "ETHUSDT")
    assert feed.instruments["ETHUSDT"].price_precision == 1


def test_a_symbol_may_be_other_than_ascii_or_a_quoted_number(tmp_path: Path) -> None:
    feed = only_feed(tmp_path, changed("[BTCUSDT, ETHUSDT]", '["币安人生USDT", "1000", BTCUSDT_240329]'))
    assert feed.instrument_ids() == ("币安人生USDT-PERP.BINANCE", "1000.BINANCE", "BTCUSDT_240329.BINANCE")


def test_a_feed_is_frozen_and_the_command_line_may_make_one_under_its_reserved_name() -> None:
    feed = Feed.model_validate(
        {
            "name": "cli_websocket",
            "source": "websocket",
            "venue": "BINANCE",
            "symbols": ["BTCUSDT"],
            "start": date(2024, 1, 1),
            "settings": {"files": {"trades": {"file_path": "trades.jsonl"}}},
        }
    )
    with pytest.raises(ValidationError):
        feed.venue = "OKX"  # pyrefly: ignore[read-only]


def test_an_override_gives_the_instrument_its_id(tmp_path: Path) -> None:
    feed = only_feed(tmp_path, CAPTURES + "    instruments: {BTCUSDT: {id: BTC-LINEAR}}\n")
    assert feed.instrument_ids() == ("BTC-LINEAR.BINANCE", "ETHUSDT-PERP.BINANCE")
    assert [feed.symbol_of(made) for made in feed.instrument_ids()] == ["BTCUSDT", "ETHUSDT"]
    with pytest.raises(UsageError, match="expected one of BTCUSDT, ETHUSDT, found 'SOLUSDT'"):
        feed.instrument_id("SOLUSDT")
    with pytest.raises(UsageError, match=r"found 'BTCUSDT-PERP\.BINANCE'"):
        feed.symbol_of("BTCUSDT-PERP.BINANCE")


def test_ids_that_differ_in_a_slash_alone_are_refused_as_nautilus_takes_them_for_one(tmp_path: Path) -> None:
    text = CAPTURES + "    instruments: {BTCUSDT: {id: BTC/USDT}, ETHUSDT: {id: btcusdt}}\n"
    (problem,) = read(tmp_path, text).problems
    assert (problem.line, problem.key) == (6, "feeds.captures.symbols[1]")
    assert problem.message.endswith("found BTC/USDT.BINANCE and btcusdt.BINANCE")


def test_days_run_from_start_to_the_earlier_of_both_ends(tmp_path: Path) -> None:
    feed = only_feed(tmp_path, CAPTURES + "    end: 2021-07-03\n")
    assert feed.days(date(2021, 7, 2)) == [date(2021, 7, 1)]
    assert feed.days(date(2022, 1, 1)) == [date(2021, 7, 1), date(2021, 7, 2)]
    assert feed.days(date(2021, 7, 1)) == feed.days(date(2020, 1, 1)) == []


IDS = [
    ("BTCUSDT", "usdm", "BTCUSDT-PERP"),
    ("1000SHIBUSDT", "usdm", "1000SHIBUSDT-PERP"),
    ("BTCUSDT_240329", "usdm", "BTCUSDT_240329"),
    ("BTCUSD_PERP", "coinm", "BTCUSD-PERP"),
    ("BTCUSD_240329", "coinm", "BTCUSD_240329"),
    ("BTCUSDT", "spot", "BTCUSDT"),
    ("BTC3", "spot", "BTC3"),
]


@pytest.mark.parametrize(("symbol", "market", "expected"), IDS)
def test_an_id_has_the_shape_of_its_market(symbol: str, market: Any, expected: str) -> None:
    assert instrument_id(symbol, market, "BINANCE") == f"{expected}.BINANCE"


def test_ids_are_those_of_nautilus_binance_adapter() -> None:
    from nautilus_trader.adapters.binance.common.enums import BinanceAccountType
    from nautilus_trader.adapters.binance.common.symbol import BinanceSymbol

    accounts = {
        "usdm": BinanceAccountType.USDT_FUTURES,
        "coinm": BinanceAccountType.COIN_FUTURES,
        "spot": BinanceAccountType.SPOT,
    }
    for symbol, market, expected in IDS:
        assert BinanceSymbol(symbol).parse_as_nautilus(accounts[market]) == expected


# ---------------------------------------------------------------- one mistake, one row

MISTAKES: dict[str, tuple[str, list[tuple[int, str, str]]]] = {
    "a misspelt key": (
        changed("venue: BINANCE", "venu: BINANCE"),
        [
            (3, "venue", "expected a value, found no such key"),
            (5, "venu", "unknown key (expected one of: source, venue,"),
            (5, "venu", "did you mean venue?)"),
        ],
    ),
    "landing that matches our own copies": (
        changed('["websocket/**/*.jsonl*"]', '["websocket/**/*.jsonl*", "**/*.jsonl*"]'),
        [(9, "landing[1]", "which matches our own copies (as captures/aggTrade/BTCUSDT/2024-01-01.jsonl.zst)")],
    ),
    "landing in a feed's own folder": (
        changed('"websocket/**/*.jsonl*"', '"captures/*/*/*"'),
        [(9, "landing[0]", "begin it with a folder of yours")],
    ),
    "landing in the folders of a command line": (
        changed('"websocket/**/*.jsonl*"', '"cli_*/**/*.zst"'),
        [(9, "landing[0]", "which matches our own copies")],
    ),
    "a key twice": (CAPTURES + "    venue: OKX\n", [(10, "venue", "duplicate key (first on line 5)")]),
    "a key twice inside a key": (
        CAPTURES + "    gaps:\n      trade_tick: 60s\n      trade_tick: 5m\n",
        [(12, "gaps.trade_tick", "duplicate key (first on line 11)")],
    ),
    "a name key": (CAPTURES + "    name: other\n", [(10, "name", "unknown key")]),
    "a merge key": (CAPTURES + "    <<: {end: 2022-01-01}\n", [(10, "<<", "unknown key")]),
    "a key of YAML's own kind": (CAPTURES + "    [end]: 2022-01-01\n", [(10, "", "expected text as a key")]),
    "a tag": (changed("BINANCE", "!env VENUE"), [(5, "venue", "found the tag !env")]),
    "an alias of itself": (
        changed("[BTCUSDT, ETHUSDT]", "&a [*a]"),
        [(6, "symbols[0]", "alias of what it is inside of")],
    ),
    "no mapping": (CAPTURES[: CAPTURES.index("    source")], [(3, "", "expected a mapping of keys, found nothing")]),
    # names
    "a hyphen": (changed("captures:", "my-captures:"), [(3, "", "without a hyphen (Dagster makes op and group names")]),
    "an upper-case name": (changed("captures:", "Captures:"), [(3, "", "expected 1 to 40 lower-case letters")]),
    "a name of 41 letters": (changed("captures:", "c" * 41 + ":"), [(3, "", "expected 1 to 40")]),
    "the landing folder's name": (
        changed("captures:", "csv:"),
        [(3, "", "other than bybit-websocket, csv, okx-websocket, websocket, cli and cli_*")],
    ),
    "the command line's name": (changed("captures:", "cli_csv:"), [(3, "", "which are taken, found 'cli_csv'")]),
    # source, venue, market
    "an unknown source": (
        changed("websocket\n", "websockets\n"),
        [(4, "source", "unknown source 'websockets' (expected one of: "), (4, "source", "did you mean websocket?")],
    ),
    "a source that is a list": (
        changed("source: websocket", "source: [websocket]"),
        [(4, "source", "expected text, found a list")],
    ),
    "a real venue under SIM": (
        changed("BINANCE", "SIM"),
        [(5, "venue", "expected the venue of the data, found 'SIM', which only synthetic data has")],
    ),
    "a lower-case venue": (changed("BINANCE", "binance"), [(5, "venue", "upper-case letters")]),
    "an unknown market": (
        CAPTURES + "    market: futures\n",
        [(10, "market", "expected 'usdm', 'coinm' or 'spot', found 'futures'")],
    ),
    # symbols
    "no symbol": (changed("[BTCUSDT, ETHUSDT]", "[]"), [(6, "symbols", "at least 1 of them, found an empty list")]),
    "symbols without brackets": (
        changed("[BTCUSDT, ETHUSDT]", "BTCUSDT"),
        [(6, "symbols", "expected a list, found 'BTCUSDT'")],
    ),
    "a number as a symbol": (
        changed("[BTCUSDT, ETHUSDT]", "\n      - BTCUSDT\n      - 1000"),
        [(8, "symbols[1]", "expected text, found 1000: quote it")],
    ),
    "one number as the only symbol": (
        changed("[BTCUSDT, ETHUSDT]", "[1000]"),
        [(6, "symbols[0]", "found 1000: quote it")],
    ),
    "a truth value as a symbol": (changed("ETHUSDT", "TRUE"), [(6, "symbols[1]", "found true: quote it")]),
    "a symbol twice": (changed("ETHUSDT", "BTCUSDT"), [(6, "symbols[1]", "expected each once, found 'BTCUSDT' again")]),
    **{
        f"a symbol with {name}": (
            changed("ETHUSDT", json.dumps(symbol)),
            [(6, "symbols[1]", "expected a name without")],
        )
        for name, symbol in {
            "nothing in it": "",
            "a slash": "BTC/USDT",
            "a backslash": "BTC\\USDT",
            "NUL": "BTC\0USDT",
            "two dots": "BTC..USDT",
            "a dot in front": ".BTC",
            "a comma": "BTC,USDT",
            "a bar": "BTC|USDT",
            "a space": "BTC USDT",
            "a wide space": "BTC\u3000USDT",
            "a newline": "BTC\nUSDT",
        }.items()
    },
    "two symbols that Nautilus takes for one": (
        changed("[BTCUSDT, ETHUSDT]", "[BTC-USDT, BTC_USDT]"),
        [(6, "symbols[1]", "found BTC-USDT-PERP.BINANCE and BTC_USDT-PERP.BINANCE")],
    ),
    "two symbols that differ by case": (changed("ETHUSDT", "btcusdt"), [(6, "symbols[1]", "more than case")]),
    "two symbols of one id": (
        CAPTURES + "    instruments: {ETHUSDT: {id: BTCUSDT-PERP}}\n",
        [(6, "symbols[1]", "found BTCUSDT-PERP.BINANCE and BTCUSDT-PERP.BINANCE")],
    ),
    # tables
    "a misspelt table": (
        changed("mark_price_update", "mark_prices_update"),
        [(7, "tables[1]", "unknown table 'mark_prices_update' (expected one of: trade_tick,")],
    ),
    "the guide's word for a table": (
        changed("trade_tick", "trades"),
        [(7, "tables[0]", "did you mean trade_tick?"), (7, "tables[0]", "unknown table 'trades'")],
    ),
    "no table": (changed("[trade_tick, mark_price_update]", "[]"), [(7, "tables", "at least 1 of them")]),
    "a table twice": (changed("mark_price_update", "trade_tick"), [(7, "tables[1]", "expected each once")]),
    # dates
    "a date that is none": (changed("2021-07-01", "2021-02-30"), [(8, "start", "YYYY-MM-DD from 1970 to 2261, found")]),
    "a date as others write it": (changed("2021-07-01", "01/07/2021"), [(8, "start", "found '01/07/2021'")]),
    "a date as a number": (changed("2021-07-01", "20210701"), [(8, "start", "found 20210701")]),
    "a time as a date": (changed("2021-07-01", "2021-07-01T00:00:00"), [(8, "start", "expected a date")]),
    "a date before time began": (changed("2021-07-01", "0021-07-01"), [(8, "start", "from 1970")]),
    "an end that is the start": (
        CAPTURES + "    end: 2021-07-01\n",
        [(10, "end", "expected a date after start 2021-07-01 (end is exclusive), found 2021-07-01")],
    ),
    # landing
    "files from nowhere": (
        changed('    landing: ["websocket/**/*.jsonl*"]\n', ""),
        [(3, "landing", "expected landing or settings.files, found neither")],
    ),
    "an empty landing": (changed('["websocket/**/*.jsonl*"]', "[]"), [(9, "landing", "found neither")]),
    "files from two places": (
        CAPTURES + "    settings: {files: {trades: {file_path: a.jsonl}}}\n",
        [(9, "landing", "expected landing or settings.files, found both")],
    ),
    "a pattern that leaves the landing zone": (
        changed("websocket/**", "../**"),
        [(9, "landing[0]", "expected a pattern under <data>/raw")],
    ),
    "an absolute pattern": (changed("websocket/**", "/websocket/**"), [(9, "landing[0]", "found '/websocket/**")]),
    # instruments
    "an instrument that is no symbol": (
        CAPTURES + "    instruments:\n      BTCUSD: {price_precision: 1}\n",
        [
            (
                11,
                "instruments.BTCUSD",
                "unknown symbol of this feed (expected one of: BTCUSDT, ETHUSDT; did you mean BTC",
            )
        ],
    ),
    "an unknown key of an instrument": (
        CAPTURES + "    instruments: {BTCUSDT: {price_digits: 1}}\n",
        [(10, "instruments.BTCUSDT.price_digits", "unknown key (expected one of: price_precision, ")],
    ),
    "a precision of 17": (
        CAPTURES + "    instruments:\n      BTCUSDT:\n        price_precision: 17\n",
        [(12, "instruments.BTCUSDT.price_precision", "expected at most 16, found 17")],
    ),
    "a precision as text": (
        CAPTURES + '    instruments: {BTCUSDT: {size_precision: "3"}}\n',
        [(10, "instruments.BTCUSDT.size_precision", "expected a whole number, found '3'")],
    ),
    "a fee in per cent": (
        CAPTURES + "    instruments: {BTCUSDT: {maker_fee: 2}}\n",
        [(10, "instruments.BTCUSDT.maker_fee", "expected a share between -1 and 1")],
    ),
    "a fee that would fill the memory": (
        CAPTURES + '    instruments: {BTCUSDT: {maker_fee: "1e999999999"}}\n',
        [(10, "instruments.BTCUSDT.maker_fee", "expected a number of at most 16 decimals")],
    ),
    "a tick size of nothing": (
        CAPTURES + "    instruments: {BTCUSDT: {price_increment: 0}}\n",
        [(10, "instruments.BTCUSDT.price_increment", "expected a number above 0")],
    ),
    "a tick size finer than the price": (
        CAPTURES + "    instruments: {BTCUSDT: {price_precision: 1, price_increment: 0.05}}\n",
        [(10, "instruments.BTCUSDT.price_increment", "expected at most 1 decimals")],
    ),
    # the rest
    "a gap without a unit": (
        CAPTURES + "    gaps: {trade_tick: 60}\n",
        [(10, "gaps.trade_tick", "with its unit, as 60s, 5m or 1h, or off, found 60")],
    ),
    "a gap of nothing": (CAPTURES + "    gaps: {trade_tick: 0s}\n", [(10, "gaps.trade_tick", "found '0s'")]),
    "a gap of a table that the feed has not": (
        CAPTURES + "    gaps:\n      funding_rate_update: 5s\n",
        [
            (
                11,
                "gaps.funding_rate_update",
                "unknown table of this feed (expected one of: trade_tick, mark_price_update",
            )
        ],
    ),
    "a share in per cent": (
        CAPTURES + "    max_rejected: 5\n",
        [(10, "max_rejected", "expected at most 1.0, found 5")],
    ),
    "a share as text": (CAPTURES + '    max_rejected: "1%"\n', [(10, "max_rejected", "expected a number, found '1%'")]),
    "a time of day that is none": (
        CAPTURES + "    schedule: {at: '24:00'}\n",
        [(10, "schedule.at", "expected a time HH:MM, UTC, found '24:00'")],
    ),
    "a schedule without a time": (
        CAPTURES + "    schedule: {look_back: 3}\n",
        [(10, "schedule.at", "found no such key"), (10, "schedule.look_back", "did you mean look_back_days?")],
    ),
    "an owner whom Dagster would refuse": (
        CAPTURES + "    owners: [me]\n",
        [(10, "owners[0]", "team:name, found 'me'")],
    ),
    # settings
    "an unknown setting": (
        CAPTURES + "    settings: {seed: 7}\n",
        [(10, "settings.seed", "unknown key (expected one of: files, base_path, trade_kind")],
    ),
    "a setting of another kind": (
        CAPTURES + "    settings: {trade_kind: trades}\n",
        [(10, "settings.trade_kind", "expected 'aggTrade' or 'trade', found 'trades'")],
    ),
    "settings that are a list": (
        CAPTURES + "    settings: [7]\n",
        [(10, "settings", "expected a mapping, found a list")],
    ),
    "a key of an API": (
        CAPTURES + "    settings:\n      api_key: TD.secret\n",
        [(11, "settings.api_key", "put it in the environment, and its name here: api_key_env: TARDIS_API_KEY")],
    ),
    "a key of an API in the wrong place": (CAPTURES + "    api_key: [TD.secret]\n", [(10, "api_key", "never kept")]),
    "a table of files with a wrong word": (
        CAPTURES.replace('    landing: ["websocket/**/*.jsonl*"]\n', "")
        + "    settings:\n      files:\n        trade: {file_path: a.jsonl}\n        mark: {path: b.jsonl}\n",
        [
            (
                11,
                "settings.files.trade",
                f"unknown key (expected one of: {', '.join(TOKENS)}; did you mean trades",
            ),
            (12, "settings.files.mark.file_path", "expected a value, found no such key"),
            (12, "settings.files.mark.path", "unknown key (expected one of: file_path"),
        ],
    ),
    "bars of a length that there is none of": (
        CAPTURES + "    bars: [1-MINUTE, 60-MINUTE, 5]\n",
        [
            (10, "bars[1]", "unknown period of bars '60-MINUTE' (expected one of: 1-MINUTE, 1-SECOND,"),
            (10, "bars[2]", "unknown period of bars '5'"),
        ],
    ),
    "bars twice": (
        CAPTURES + "    bars: [1-HOUR, 1-HOUR]\n",
        [(10, "bars[1]", "expected each once, found '1-HOUR' again")],
    ),
    "no files": (
        CAPTURES.replace('    landing: ["websocket/**/*.jsonl*"]\n', "") + "    settings: {files: {}}\n",
        [(9, "settings.files", f"expected at least one of {', '.join(TOKENS)}, found none")],
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_with_its_line_and_key(mistake: str, tmp_path: Path) -> None:
    text, expected = MISTAKES[mistake]
    file = read(tmp_path, text)
    assert file.feeds == {}
    name = file.problems[0].feed
    key = {at: f"feeds.{name}.{at}".rstrip(".") for _, at, _ in expected}
    found = [(problem.line, problem.key, problem.message) for problem in file.problems]
    assert {at[:2] for at in found} == {(line, key[at]) for line, at, _ in expected}, found
    for line, at, words in expected:
        assert any(words in message for *where, message in found if where == [line, key[at]]), found
    assert "secret" not in "".join(map(str, file.problems)), "keys are never shown"


SIM_MISTAKES: dict[str, tuple[str, str, int, str, str]] = {
    "a real venue": (
        "SIM\n",
        "BINANCE\n",
        5,
        "venue",
        "expected SIM, since synthetic data never carries a real venue's",
    ),
    "landing": (
        "    end:",
        '    landing: ["*"]\n    end:',
        8,
        "landing",
        "expected no landing: source synthetic makes",
    ),
    "no trades": ("20000", "0", 9, "settings.trades_per_day", "expected at least 1, found 0"),
    "a seed as text": ("seed: 7", "seed: '7'", 9, "settings.seed", "expected a whole number, found '7'"),
    "a seed as a fraction": ("seed: 7", "seed: 7.0", 9, "settings.seed", "expected a whole number, found 7.0"),
    "a seed as a truth": ("seed: 7", "seed: true", 9, "settings.seed", "expected a whole number, found true"),
    "no days": ("days: 3", "days: ~", 9, "settings.days", "expected a whole number, found nothing"),
}


@pytest.mark.parametrize("mistake", SIM_MISTAKES)
def test_a_mistake_in_a_synthetic_feed_is_told(mistake: str, tmp_path: Path) -> None:
    old, new, line, key, words = SIM_MISTAKES[mistake]
    assert SIM.count(old) == 1
    (problem,) = read(tmp_path, "version: 1\nfeeds:\n" + SIM.replace(old, new)).problems
    assert (problem.feed, problem.line, problem.key) == ("sim", line, f"feeds.sim.{key}")
    assert words in problem.message


@pytest.mark.parametrize("source", [source.name for source in SOURCES.values() if source.has_landing_zone])
def test_no_feed_keeps_raw_days_where_the_command_line_looks_for_files_of_a_source(tmp_path: Path, source: str) -> None:
    """``replay-to-parquet`` would land them again."""
    told = [problem.message for problem in read(tmp_path, changed("captures:", f"{source}:")).problems]
    assert any(each.endswith(f"which are taken, found '{source}'") for each in told)


@pytest.mark.parametrize("name", TABLES)
def test_each_table_may_be_asked_for_by_its_name_whatever_its_token(name: str) -> None:
    assert table_notes((name,)) == []


def test_a_problem_reads_as_file_line_key_and_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read(tmp_path, CAPTURES.replace("BINANCE", "SIM"))
    monkeypatch.chdir(tmp_path)
    (problem,) = read_feeds(Path("feeds.yaml")).problems
    assert str(problem).startswith("feeds.yaml:5: feeds.captures.venue: expected the venue of the data, found 'SIM'")


def test_all_mistakes_of_a_feed_are_told_together_in_line_order(tmp_path: Path) -> None:
    text = CAPTURES.replace("BINANCE", "SIM").replace("trade_tick", "trades").replace("2021-07-01", "soon")
    text += "    gaps: {trade_tick: 5}\n    settings: {trade_kind: x}\n    max_rejected: 2\n"
    lines = [problem.line for problem in read(tmp_path, text).problems]
    assert lines == [5, 7, 8, 10, 11, 12]


# ---------------------------------------------------------------- several feeds


def test_a_broken_feed_does_not_take_the_others_down(tmp_path: Path) -> None:
    file = read(tmp_path, CAPTURES.replace("BINANCE", "SIM") + SIM)
    assert [problem.feed for problem in file.problems] == ["captures"]
    assert list(file.feeds) == ["sim"]


def test_a_feed_name_twice_is_a_problem_of_that_name_only(tmp_path: Path) -> None:
    file = read(tmp_path, CAPTURES + SIM + SIM)
    (problem,) = file.problems
    assert (problem.feed, problem.line, problem.key) == ("sim", 17, "feeds.sim")
    assert problem.message == "duplicate key (first on line 10)"
    assert list(file.feeds) == ["captures"]


def test_an_unknown_key_beside_feeds_is_told_and_the_feeds_are_read(tmp_path: Path) -> None:
    file = read(tmp_path, CAPTURES + "defaults: {venue: OKX}\nversion: 1\n")
    assert [(problem.feed, problem.line, problem.key) for problem in file.problems] == [
        (None, 10, "defaults"),
        (None, 11, "version"),
    ]
    assert list(file.feeds) == ["captures"]


def second(symbols: str, tables: str) -> str:
    return (
        CAPTURES.removeprefix("version: 1\nfeeds:\n")
        .replace("captures", "again")
        .replace("[BTCUSDT, ETHUSDT]", symbols)
        .replace("[trade_tick, mark_price_update]", tables)
    )


def test_two_feeds_may_not_own_the_same_table_of_an_instrument(tmp_path: Path) -> None:
    file = read(tmp_path, CAPTURES + second("[SOLUSDT, ETHUSDT]", "[trade_tick, funding_rate_update]"))
    (problem,) = file.problems
    assert (problem.feed, problem.line, problem.key) == ("again", 13, "feeds.again.symbols[1]")
    words = "expected one feed for each table of ETHUSDT-PERP.BINANCE, found captures and again for trade_tick"
    assert problem.message == words
    assert list(file.feeds) == ["captures"], "the earlier one stays"


def test_two_feeds_may_own_different_tables_of_an_instrument(tmp_path: Path) -> None:
    file = read(tmp_path, CAPTURES + second("[BTCUSDT]", "[funding_rate_update]"))
    assert file.problems == ()
    assert list(file.feeds) == ["captures", "again"]


def test_two_feeds_may_not_have_ids_that_nautilus_takes_for_one(tmp_path: Path) -> None:
    file = read(tmp_path, CAPTURES + second("[BTCUSDT_PERP]", "[funding_rate_update]"))
    assert file.problems == (), "the very same id"
    file = read(tmp_path, CAPTURES + second("[btcusdt]", "[funding_rate_update]"))
    (problem,) = file.problems
    assert (problem.feed, problem.line) == ("again", 13)
    assert "found BTCUSDT-PERP.BINANCE and btcusdt-PERP.BINANCE (feeds captures and again)" in problem.message


# ---------------------------------------------------------------- the whole file

UNUSABLE = {
    "empty": (b"", "expected the keys version and feeds, found nothing"),
    "a list": (b"- a\n", "expected the keys version and feeds, found a list"),
    "no version": (b"feeds: {}\n", "line 1: version: expected 1, found nothing"),
    "another version": (b"# ours\nversion: 2\nfeeds: {}\n", "line 2: version: expected 1, found 2"),
    "a version as text": (b"version: '1'\nfeeds: {}\n", "line 1: version: expected 1, found '1'"),
    "no feeds": (b"version: 1\n", "line 1: feeds: expected a mapping of feed name to feed, found nothing"),
    "empty feeds": (b"version: 1\nfeeds:\n", "line 2: feeds: expected a mapping of feed name to feed, found nothing"),
    "an open bracket": (b"version: 1\nfeeds: [\n", "line 3: expected YAML, "),
    "a tabulator": (b"version: 1\nfeeds:\n\tsim: 1\n", "line 3: expected YAML, found character '\\t'"),
    "two documents": (b"version: 1\n---\nfeeds: {}\n", "line 2: expected YAML, but found another document"),
    "an alias of nothing": (b"version: 1\nfeeds: *no\n", "line 2: expected YAML, found undefined alias"),
    "a control character": (b"version: 1\n# \x01\n", "line 2: expected text, found the control character"),
    "other than UTF-8": (b"version: 1\n# caf\xe9\n", "line 2: expected UTF-8, found the byte 0xe9"),
    "too deep": (b"[" * 5000, "nested too deep"),
}


@pytest.mark.parametrize("what", UNUSABLE)
def test_a_file_that_cannot_be_used_at_all_is_refused(what: str, tmp_path: Path) -> None:
    content, words = UNUSABLE[what]
    path = tmp_path / "feeds.yaml"
    path.write_bytes(content)
    with pytest.raises(FeedsFileError) as caught:
        read_feeds(path)
    assert str(path) in caught.value.message
    assert words in caught.value.message


def test_a_missing_file_is_named_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FeedsFileError) as caught:
        read_feeds(Path("feeds.yaml"))
    assert f"expected a file, found none at {tmp_path / 'feeds.yaml'}" in caught.value.message
    with pytest.raises(FeedsFileError, match="expected a readable file"):
        read_feeds(tmp_path)


def test_no_feeds_at_all_is_fine(tmp_path: Path) -> None:
    assert read(tmp_path, "version: 1\nfeeds: {}\n") == FeedsFile(tmp_path / "feeds.yaml", {}, ())


def test_the_environment_says_where_things_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEDGEGRID_FEEDS", "/etc/feeds.yaml")
    monkeypatch.setenv("HEDGEGRID_DATA", "/srv/data")
    assert (feeds_path(), data_path()) == (Path("/etc/feeds.yaml"), Path("/srv/data"))
    monkeypatch.setenv("HEDGEGRID_FEEDS", "")
    monkeypatch.delenv("HEDGEGRID_DATA")
    assert (feeds_path(), data_path()) == (Path("feeds.yaml"), Path("data"))


# ---------------------------------------------------------------- --config

GUIDE_WEBSOCKET = {
    "files": {
        "trades": {"file_path": "btcusdt_aggTrade.jsonl"},
        "mark": {"file_path": "btcusdt_markPrice.jsonl.gz"},
        "funding": {"file_path": "btcusdt_markPrice.jsonl.gz"},
    },
    "base_path": "./data/websocket_captures",
}


@pytest.mark.parametrize("indent", [None, 2, "\t"], ids=["one line", "spaces", "tabulators"])
def test_the_guides_json_is_read_as_it_is(indent: int | str | None, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(GUIDE_WEBSOCKET, indent=indent), encoding="utf-8")
    assert read_config(path, "websocket") == GUIDE_WEBSOCKET


def test_the_guides_keys_are_taken_for_every_source(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    wanted = {"api_key": "your_key", "exchange": "binance-futures", "cache_dir": "./tardis_cache"}
    path.write_text(json.dumps(wanted), encoding="utf-8")
    for source in SOURCES:
        assert read_config(path, source) == wanted


def test_a_configuration_may_be_yaml(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("seed: 11\ndays: 2\n", encoding="utf-8")
    assert read_config(path, "synthetic") == {"seed": 11, "days": 2}


def test_characters_that_json_escapes_in_pairs_are_joined(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"base_path": "\\ud83d\\ude00\\/x"}', encoding="utf-8")
    assert read_config(path, "websocket") == {"base_path": "\U0001f600/x"}


CONFIG_MISTAKES = {
    "an unknown key": (
        '{\n  "base_paths": "x"\n}',
        "config.json:2: base_paths: unknown key (expected one that the hint names; did you mean base_path?)",
    ),
    "an unknown key in a key": (
        '{"files": {"mark": {"file_path": "a", "path": "b"}}}',
        "files.mark.path: unknown key (expected one of: file_path",
    ),
    "a key twice": (
        '{\n "exchange": "a",\n "exchange": "b"}',
        "config.json:3: exchange: duplicate key (first on line 2)",
    ),
    "another source's key": ('{"seed": 7}', "config.json:1: seed: unknown key"),
    "a number for a text": ('{"exchange": 7}', "config.json:1: exchange: expected text, found 7"),
    "a file without a path": ('{"files":\n {"trades": {}}}', "config.json:2: files.trades.file_path: expected a value"),
    "a file that is a text": ('{"files": {"mark": "a"}}', "files.mark: expected a mapping, found 'a'"),
    "a key that is none": ('{"api_key": 12345}', "api_key: expected text, found something else"),
    "the key for its name": ('{"api_key_env": "TD.12345"}', "expected the name of an environment variable"),
    "broken": ('{\n"a": ', "line 2: expected JSON, Expecting value (column 6)"),
    "empty": ("", "expected a mapping of keys, found nothing"),
    "a list": ("[1]", "expected a mapping of keys, found a list"),
    "bars of no length": ('{"bars": ["1m"]}', "bars[0]: unknown period of bars '1m' (expected one of: 1-MINUTE,"),
}


@pytest.mark.parametrize("source", ["websocket", "csv", "tardis"])
def test_the_keys_of_a_configuration_are_named_once_and_are_those_of_its_source(source: str, tmp_path: Path) -> None:
    """A file may serve several sources: keys of others are taken, not proposed."""
    path = tmp_path / "config.json"
    path.write_text('{"base_paths": "x", "seed": 7}', encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        read_config(path, source)
    told = f"{caught.value}"
    others = {"csv": "datasets_endpoint", "tardis": "side_is", "websocket": "cache_dir"}
    assert told.count("trade_kind") == told.count("venue") == 1
    assert others[source] not in told
    path.write_text(f'{{"{others[source]}": "{"taker" if source == "tardis" else "https://x.y"}"}}', encoding="utf-8")
    assert read_config(path, source)


@pytest.mark.parametrize("mistake", CONFIG_MISTAKES)
def test_a_mistake_in_a_configuration_is_told(mistake: str, tmp_path: Path) -> None:
    text, words = CONFIG_MISTAKES[mistake]
    path = tmp_path / "config.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        read_config(path, "websocket")
    assert words in caught.value.message
    assert str(path) in caught.value.message
    assert "12345" not in str(caught.value), "keys are never shown"


def test_all_mistakes_of_a_configuration_are_told_together(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("trade_kind: x\nsymbol: y\n", encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        read_config(path, "websocket")
    problems = caught.value.details["problems"]
    assert isinstance(problems, list)
    assert [problem.split(": ")[0] for problem in problems] == [f"{path}:1", f"{path}:2"]


def test_a_missing_configuration_is_named_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=str(tmp_path / "my_config.json")):
        read_config(Path("my_config.json"), "websocket")


def test_a_configuration_for_an_unknown_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"(?s)unknown source .*found 'websockets'.*did you mean websocket\?"):
        read_config(tmp_path / "config.json", "websockets")


# ---------------------------------------------------------------- the rows elsewhere


@pytest.mark.parametrize("source", SOURCES)
def test_each_setting_of_a_source_has_a_type_and_says_what_it_means(source: str) -> None:
    fields = SOURCES[source].settings.model_fields
    assert fields
    assert all(field.annotation is not None and field.description for field in fields.values())


@pytest.mark.parametrize("source", SOURCES)
def test_a_setting_may_be_left_out_but_not_be_nothing(source: str) -> None:
    assert SOURCES[source].settings.model_validate({})
    for name in SOURCES[source].settings.model_fields:
        with pytest.raises(ValidationError, match=name):
            SOURCES[source].settings.model_validate({name: None})


@pytest.mark.parametrize("source", SOURCES)
def test_a_configuration_takes_each_setting_of_its_source(source: str) -> None:
    mine, taken = SOURCES[source].settings.model_fields, configuration(source).model_fields
    assert list(mine) == list(taken)[: len(mine)]


@pytest.mark.parametrize("source", SOURCES)
def test_keys_of_other_sources_are_looked_at_where_there_are_any(source: str) -> None:
    """One model knows the source's own keys alone; what it says of them is what the whole one says."""
    whole, own = configuration(source), configuration_for(source, ())
    assert configuration_for(source, own.model_fields) is own
    foreign = whole.model_fields.keys() - own.model_fields.keys()
    assert all(configuration_for(source, [name]) is whole for name in [*foreign, "no_such_key"])
    wrong_values: tuple[object, ...] = (None, -1, "", [0])
    for name, wrong in product(own.model_fields, wrong_values):
        assert setting_notes(own, {name: wrong}) == setting_notes(whole, {name: wrong})


def test_a_source_is_found_by_its_name_alone() -> None:
    assert [source.name for source in SOURCES.values()] == list(SOURCES)
    assert "bybit" not in SOURCES
    assert SOURCES.get("formats") is None


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("paths", ("pydantic", "polars", "pyarrow", "pandas", "dagster", "nautilus_trader", "ruamel.yaml")),
        ("feeds", ("pandas", "dagster", "nautilus_trader", "ruamel.yaml")),
    ],
)
def test_the_import_is_light(module: str, heavy: tuple[str, ...]) -> None:
    code = f"import sys, hedgegrid_assets.config.{module}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
