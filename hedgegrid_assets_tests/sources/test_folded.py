"""Messages in other forms than one a line: stamps, recorders' wrappers and arrays; and index prices by pair."""

import asyncio
import gzip
import json
from collections.abc import Sequence
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nautilus_trader.model.data import MarkPriceUpdate
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from hedgegrid_assets import RunSummary, run_pipeline
from hedgegrid_assets.batch import Decoded, Placed
from hedgegrid_assets.dialect import Stored
from hedgegrid_assets.errors import NoDataFetched, NotOneMessageALine, SeriesMixed
from hedgegrid_assets.inspect.trace import trace
from hedgegrid_assets.model import InstrumentDay
from hedgegrid_assets.sources.websocket import SOURCE
from hedgegrid_assets.stages.frames import read_blocks
from hedgegrid_assets.stages.verdict import read_verdict
from hedgegrid_assets.store import Block, Places
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets_tests import one_day
from hedgegrid_assets_tests.scenario import agg_trade, mark_price
from hedgegrid_assets_tests.yard import DAY, narrowed

MS = 1_704_067_200_000
NS = MS * 1_000_000
_CHANNELS = {channel.name: channel for channel in SOURCE.channels}
BEFORE_BOOKS = narrowed("aggTrade", "trade", "markPrice", "indexPrice", "bookTicker")
"""Without the streams whose messages are no flat objects."""
AGG_TRADE, MARK_PRICE, INDEX_PRICE = (_CHANNELS[name] for name in ("aggTrade", "markPrice", "indexPrice"))
TRADE = json.dumps(agg_trade(1000, MS), separators=(",", ":"))
IN_STREAM = f'{{"stream":"btcusdt@aggTrade","data":{TRADE}}}'
ESCAPED = json.dumps(TRADE)

STAMPED = {
    "seconds": (f"1704067200 {TRADE}", NS),
    "seconds with a fraction": (f"1704067200.5 {IN_STREAM}", NS + 500_000_000),
    "milliseconds": (f"1704067200007 {IN_STREAM}", NS + 7_000_000),
    "milliseconds with a fraction": (f"1704067200007.25,{TRADE}", NS + 7_250_000),
    "microseconds": (f"1704067200007001 {IN_STREAM}", NS + 7_001_000),
    "nanoseconds and a tab": (f"1704067200007001002\t{TRADE}", NS + 7_001_002),
    "nanoseconds and a comma": (f"1704067200007001002,{TRADE}", NS + 7_001_002),
    "nanoseconds and a colon": (f"1704067200007001002: {TRADE}", NS + 7_001_002),
    "nanoseconds and a semicolon": (f"1704067200007001002;{TRADE}", NS + 7_001_002),
    "nanoseconds and a bar": (f"1704067200007001002 | {TRADE}", NS + 7_001_002),
    "nanoseconds and a word": (f"1704067200007001002 binance {TRADE}", NS + 7_001_002),
    "ISO without a fraction": (f"2024-01-01T00:00:00Z {TRADE}", NS),
    "ISO with three digits": (f"2024-01-01 00:00:00.007 {TRADE}", NS + 7_000_000),
    "ISO with nine digits": (f"2024-01-01T00:00:00.007001002Z {TRADE}", NS + 7_001_002),
    "ISO with an offset": (f"2024-01-01T05:30:00.007001+05:30 {TRADE}", NS + 7_001_000),
    "ISO west of Greenwich": (f"2023-12-31 19:00:00.007-05 {TRADE}", NS + 7_000_000),
    "a log": (f"2024-01-01 00:00:00,123 INFO recorder: {IN_STREAM}", NS + 123_000_000),
    "a log with brackets": (f"[2024-01-01 00:00:00.123] [INFO] {IN_STREAM}", NS + 123_000_000),
    "a pair": (f"[1704067200007,{TRADE}]", NS + 7_000_000),
    "a tuple of Python": (f"(1704067200.007, {TRADE})", NS + 7_000_000),
    "an object around text": (f'{{"ts":1704067200007001,"msg":{ESCAPED}}}', NS + 7_001_000),
    "an object around a message": (f'{{"ts":1704067200.007,"msg":{TRADE}}}', NS + 7_000_000),
    "an object with an ISO time": (f'{{"local_timestamp":"2024-01-01T00:00:00.007Z","message":{IN_STREAM}}}', NS + 7_000_000),
    "an object with more in it": (f'{{"id":5,"conn":"a","recv_ts":1704067200007,"m":{TRADE},"z":null}}', NS + 7_000_000),
    "a time beside the stream": (f'{IN_STREAM[:-1]},"ts":1704067200007}}', NS + 7_000_000),
    "a time in the message": (f'{TRADE[:-1]},"local_timestamp":1704067200007001}}', NS + 7_001_000),
    "an object without a time": (f'{{"topic":"x","payload":{TRADE}}}', NS),
    "an array of pairs": (f"[[1704067200007,{TRADE}]]", NS + 7_000_000),
    "an object in an object": (f'{{"ts":1704067200007,"a":{{"b":{TRADE},"c":[]}}}}', NS + 7_000_000),
}  # fmt: skip
"""Form -> (line, when it was received)."""


def scanned(*lines: str) -> Placed:
    return one_day.placed(BEFORE_BOOKS, Block("".join(f"{line}\n" for line in lines).encode(), 0))


def decoded(*lines: str, channel: Any = AGG_TRADE, dialect: Stored | None = None) -> Decoded:
    return one_day.decoded(SOURCE, Block("".join(f"{line}\n" for line in lines).encode(), 0), channel, dialect)


def marks(ms: int, *symbols: str) -> str:
    return json.dumps([mark_price(ms, symbol=symbol) for symbol in symbols], separators=(",", ":"))


def in_stream(data: str, stream: str = "!markPrice@arr@1s") -> str:
    return f'{{"stream":"{stream}","data":{data}}}'


def converted(
    folder: Path, lines: Sequence[str] | bytes, symbols: str, name: str = "a.jsonl", **settings: Any
) -> RunSummary:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEDGEGRID_DATA", str(folder / "data"))
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name
        path.write_bytes(lines if isinstance(lines, bytes) else "".join(f"{line}\n" for line in lines).encode())
        types, into = settings.pop("data_types", None), settings.pop("into", "catalog")
        config = settings | {
            "files": {token: {"file_path": str(path)} for token in types or ("trades", "mark", "index", "funding")}
        }
        return asyncio.run(
            run_pipeline("websocket", symbols, output_path=folder / into, data_types=types, source_config=config)
        )


def stored(folder: Path, instrument_id: str, table: str) -> pl.DataFrame:
    places = Places(folder / "data", folder / "catalog")
    return pl.concat(list(read_blocks(places.frame(instrument_id, TABLES[table].folder, DAY), TABLES[table])))


# ---------------------------------------------------------------- forms of a line


@pytest.mark.parametrize(("text", "ns"), [pytest.param(*case, id=name) for name, case in STAMPED.items()])
def test_a_message_is_read_in_any_usual_form_with_the_time_it_was_received(text: str, ns: int) -> None:
    scan = scanned(text)
    assert scan.lines.select("line", "symbol", "ts_init", "reason").rows() == [(0, "BTCUSDT", ns, None)]
    assert (scan.by_stream, scan.unreadable, scan.several) == ({"aggTrade": 1}, 0, False)
    rows = decoded(text).rows
    row = rows.row(0, named=True)
    assert (row["raw_row"], row["id"], row["ts_init"], row["ts_event"]) == (0, 1000, ns, NS)
    assert rows.drop("raw_row", "ts_init").equals(by_itself().drop("raw_row", "ts_init"))


@cache
def by_itself() -> pl.DataFrame:
    """The message by itself."""
    return decoded(TRADE).rows


@pytest.mark.parametrize("stamp", ["9999999999999999999", "2024-13-01 00:00:00", "99999999999999"])
def test_a_stamp_that_is_no_time_is_never_replaced_by_another(stamp: str) -> None:
    assert scanned(f"{stamp},{TRADE}").lines["reason"].to_list() == ["unknown_time"]


def test_a_broken_line_behind_any_stamp_is_a_broken_line() -> None:
    scan = scanned(f"1704067200007 {TRADE[:40]}")
    assert scan.lines["reason"].to_list() == ["broken_json"]
    assert scan.unreadable == 1


def test_other_streams_behind_stamps_and_in_wrappers_are_counted_by_name() -> None:
    depth = '{"e":"depthUpdate","b":[["1","2"]]}'
    scan = scanned(
        f"1704067200007001 {depth}",
        f'{{"ts":1,"msg":{json.dumps(depth)}}}',
        f'{{"ts":1,"msg":{depth}}}',
        '[{"e":"24hrMiniTicker","s":"X"}]',
        in_stream('[{"e":"24hrTicker","s":"X"}]', "!ticker@arr"),
    )
    assert scan.by_stream == {"depthUpdate": 3, "24hrMiniTicker": 1, "24hrTicker": 1}
    assert (scan.unreadable, scan.examples) == (0, ())


def test_a_message_with_another_message_inside_stays_one_message() -> None:
    odd = TRADE.replace('"a":1000', '"a":{"p":"1","e":"trade"}')
    assert scanned(odd).lines.select("channel", "reason").rows() == [("aggTrade", None)]
    assert decoded(odd).rejects["reason"].to_list() == ["wrong_type"]


def test_an_odd_message_is_no_wrapper_whose_id_is_a_time() -> None:
    odd = TRADE.replace('{"e":"aggTrade",', '{"t":1704067200,"e":"aggTrade","x":"\\u0041",')
    assert scanned(odd).lines["ts_init"].to_list() == [NS]
    assert scanned(odd.replace('"x":"\\u0041",', '"x":{"y":1},')).lines["ts_init"].to_list() == [NS]


_BESIDE = st.text(st.sampled_from("},{:[] a1"), max_size=6)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(_BESIDE, _BESIDE | st.none() | st.integers(0, 9)), max_size=3),
    st.lists(st.tuples(_BESIDE, _BESIDE | st.none() | st.integers(0, 9)), max_size=3),
    _BESIDE,
    st.sampled_from([TRADE, IN_STREAM, ESCAPED, json.dumps(IN_STREAM), f"[{TRADE}]"]),
    st.sampled_from(["", " ", "\t"]),
)
def test_whatever_stands_beside_a_message_in_a_wrapper_the_message_is_the_same(
    before: list[tuple[str, Any]], behind: list[tuple[str, Any]], key: str, message: str, blank: str
) -> None:
    first, last = (
        [f"{json.dumps(name)}{blank}:{json.dumps(value)}" for name, value in each] for each in (before, behind)
    )
    members = [*first, f'"recv_ts":{blank}1704067200007', f"{json.dumps(key)}:{message}", *last]
    usual = f'{{"ts":1704067200007,"msg":{TRADE}}}'
    line = f"{{{blank}{f'{blank},{blank}'.join(members)}{blank}}}"
    rows = decoded(usual, line, usual).rows
    assert rows["raw_row"].to_list() == [0, 1, 2]
    assert rows["ts_init"].to_list() == [NS + 7_000_000] * 3
    assert [rows[n].drop("raw_row", "ts_init").equals(by_itself().drop("raw_row", "ts_init")) for n in range(3)] == [
        True
    ] * 3


@pytest.mark.parametrize("channel", [AGG_TRADE, MARK_PRICE], ids=lambda channel: channel.name)
def test_rows_read_as_lines_are_placed_are_those_read_alone(channel: Any) -> None:
    mark, bad = json.dumps(mark_price(MS, i="x")), json.dumps(agg_trade(1, MS, p="x"))
    lines = [text for text, _ in STAMPED.values()]
    lines += [f"[{TRADE},{mark}]", f"[{mark},{mark}]", f'{{"ts":1704067200500,"msg":{bad}}}', TRADE, mark, TRADE[:50]]
    flat = [line for line in lines if "[[" not in line and '"a":{' not in line]
    for several in (lines, flat, *([line] for line in lines)):
        block = Block("".join(f"{line}\n" for line in several).encode(), 0)
        together = SOURCE.open({}, [channel.name]).read(block).decoded.get(channel.name)
        alone = decoded(*several, channel=channel)
        if together is None:
            assert not len(alone.rows)
            continue
        assert together.rows.equals(alone.rows)
        assert together.rejects.equals(alone.rejects)
        assert together.odd == alone.odd
        nothing = pl.DataFrame()
        assert (nothing if together.faults is None else together.faults).equals(
            nothing if alone.faults is None else alone.faults
        )


def test_a_reject_shows_the_line_as_it_stands_in_the_file() -> None:
    bad = "1704067200007," + json.dumps(agg_trade(1, MS, p="x"))
    rejects = decoded(TRADE, bad).rejects
    assert rejects.select("raw_row", "reason", "raw").rows() == [(1, "bad_decimal", bad)]


# ---------------------------------------------------------------- arrays


@pytest.mark.parametrize(
    "form",
    [
        "{}",
        '{{"stream":"!markPrice@arr@1s","data":{}}}',
        '{{"stream":"!markPrice@arr","data":{}}}',
        '1704067200500000000 {{"stream":"!markPrice@arr","data":{}}}',
        '{{"ts":1704067200500,"msg":{}}}',
        "[1704067200500,{}]",
    ],
)
def test_an_array_is_its_messages_all_of_one_line(form: str) -> None:
    first, second = (form.format(marks(MS + n, "BTCUSDT", "ETHUSDT")) for n in (0, 1000))
    scan = scanned(first, second)
    assert scan.lines.select("line", "symbol").rows() == [
        (0, "BTCUSDT"),
        (0, "ETHUSDT"),
        (1, "BTCUSDT"),
        (1, "ETHUSDT"),
    ]
    assert (scan.by_stream, scan.several) == ({"markPriceUpdate": 2}, True)
    received = "1704067200500" in form
    rows = decoded(first, second, channel=MARK_PRICE, dialect={"symbol": "ETHUSDT", "date": "2024-01-01"}).rows
    times = [NS + 500_000_000] * 2 if received else [NS, NS + 10**9]
    assert rows.select("raw_row", "symbol", "ts_init").rows() == [(n, "ETHUSDT", times[n]) for n in (0, 1)]


def test_an_array_counts_once_whatever_is_in_it() -> None:
    mixed = f'[{TRADE},{{"e":"depthUpdate","b":[["1","2"]]}},{json.dumps(mark_price(MS))}]'
    scan = scanned(mixed, "", TRADE)
    assert sum(scan.by_stream.values()) + scan.blank + scan.connection + scan.unreadable == 3
    assert scan.lines["channel"].to_list() == ["aggTrade", "markPrice", "aggTrade"]
    assert decoded(mixed, "", TRADE).rows["raw_row"].to_list() == [0, 2]


@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT"])
@pytest.mark.parametrize(
    "torn",
    [
        marks(MS, "BTCUSDT", "ETHUSDT")[:-5],
        in_stream(marks(MS, "BTCUSDT", "ETHUSDT"))[:-5],
        marks(MS, "BTCUSDT", "ETHUSDT")[1:-1].replace("},{", "}{"),
    ],
    ids=["an array", "in a stream", "glued"],
)
def test_a_torn_line_of_several_symbols_is_lost_for_none_without_a_word(tmp_path: Path, torn: str, symbol: str) -> None:
    lines = [marks(MS + 1000 * second, "BTCUSDT", "ETHUSDT") for second in (1, 2)]
    summary = converted(tmp_path, [lines[0], torn, lines[1]], symbol, data_types=["mark"])
    assert summary.counts["unplaced"] == 1
    assert summary.days[0].rows["out"] == 2
    (rejects,) = (tmp_path / "data/rejects").rglob("*.parquet")
    assert pl.read_parquet(rejects).select("line", "reason").rows() == [(2, "broken_json")]


def test_messages_of_one_line_keep_their_order(tmp_path: Path) -> None:
    trades = [agg_trade(n, MS) for n in (3, 1, 2, 5, 4)]
    summary = converted(
        tmp_path, [json.dumps(trades), json.dumps([agg_trade(6, MS + 1)])], "BTCUSDT", data_types=["trades"]
    )
    assert summary.ok
    frame = stored(tmp_path, "BTCUSDT-PERP.BINANCE", "trade_tick")
    assert frame["trade_id"].to_list() == ["3", "1", "2", "5", "4", "6"]
    assert frame["raw_row"].to_list() == [0, 0, 0, 0, 0, 1]


def test_each_symbol_of_an_array_gets_its_own_marks_and_all_is_accounted_for(tmp_path: Path) -> None:
    lines = [in_stream(marks(MS + 1000 * n, "BTCUSDT", "ETHUSDT", "XRPUSDT")) for n in range(4)]
    lines[2:2] = [IN_STREAM, marks(MS + 1500, "XRPUSDT")]
    summary = converted(tmp_path, lines, "BTCUSDT,ETHUSDT")
    assert summary.ok
    assert summary.by_stream == {"aggTrade": 1, "markPriceUpdate": 5}
    counts = {(day.instrument_id[:3], day.table): day.rows for day in summary.days}
    assert all(rows["in"] == rows["out"] == 4 for (_, table), rows in counts.items() if table != "trade_tick")
    assert {symbol for symbol, _ in counts} == {"BTC", "ETH"}
    updates = ParquetDataCatalog(str(tmp_path / "catalog")).query(MarkPriceUpdate, identifiers=["ETHUSDT-PERP.BINANCE"])
    assert [update.ts_init for update in updates] == [NS + n * 10**9 for n in range(4)]
    manifest = json.loads(next((tmp_path / "data").rglob("markPrice/BTCUSDT/*.json")).read_bytes())
    assert (manifest["lines"], manifest["origin"][0]["dialect"]) == (4, {"symbol": "BTCUSDT", "date": "2024-01-01"})
    path = trace(
        Places(tmp_path / "data", tmp_path / "catalog"),
        "ETHUSDT-PERP.BINANCE",
        TABLES["mark_price_update"],
        str(NS + 2 * 10**9),
    )
    assert path.whole
    assert path.steps["landing"]["line"] == 5


def test_a_stream_of_pairs_that_names_the_contract_too_gives_all_its_rows_each_time(tmp_path: Path) -> None:
    def index(number: int, name: str) -> dict[str, Any]:
        return {
            "e": "indexPriceUpdate",
            "E": MS + 1_000 * number,
            "i": name,
            "p": f"42000.1{'2345' * (name != 'BTCUSD')}",
        }

    lines = [json.dumps([index(0, "BTCUSD_PERP"), index(1, "BTCUSD")]), json.dumps(index(2, "BTCUSD_PERP"))]
    lines.append(json.dumps([index(3, "BTCUSD"), index(4, "ETHUSD")]))
    for folder in ("once", "again"):  # first with the rows at hand, then by the manifest alone
        summary = converted(tmp_path, lines, "BTCUSD_PERP", data_types=["index"], market="coinm", into=folder)
        assert summary.ok
        assert [day.rows["out"] for day in summary.days] == [4]
    manifest = json.loads(next((tmp_path / "data").rglob("indexPrice/BTCUSD_PERP/*.json")).read_bytes())
    dialect = {"symbol": "BTCUSD", "also": ["BTCUSD_PERP"], "date": "2024-01-01"}
    assert manifest["origin"][0]["dialect"] == dialect
    assert manifest["origin"][0]["decimals"]["index_price"] == [5, 5]


@pytest.mark.parametrize("form", ["[99999999999, {}]", "[99999999999, [{}, {}]]", "99999999999 {}"])
def test_a_line_without_a_place_is_shown_as_it_stands(form: str) -> None:
    line = form.replace("{}", TRADE)
    [*shown] = scanned(line).lines.select("reason", "raw").unique().rows()
    assert shown == [("unknown_time", TRADE if form.count("{}") > 1 else line)]


def test_an_array_over_midnight_gives_each_day_its_own_messages(tmp_path: Path) -> None:
    last = MS + 86_400_000 - 1
    both = json.dumps([mark_price(last), mark_price(last + 1)])
    summary = converted(tmp_path, [both], "BTCUSDT", data_types=["mark"])
    assert [(str(day.date), day.rows["out"]) for day in summary.days] == [("2024-01-01", 1), ("2024-01-02", 1)]


def test_a_bad_message_of_another_symbol_is_not_held_against_this_one(tmp_path: Path) -> None:
    array = json.dumps([mark_price(MS), mark_price(MS, symbol="ETHUSDT", p="x")])
    summary = converted(tmp_path, [array], "BTCUSDT,ETHUSDT", data_types=["mark"])
    rejected = {day.instrument_id: day.rejects_by_reason for day in summary.days}
    assert rejected == {"BTCUSDT-PERP.BINANCE": {}, "ETHUSDT-PERP.BINANCE": {"bad_decimal": 1}}


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(["t", "m", "x"]), min_size=1, max_size=4), min_size=1, max_size=8), st.booleans()
)
def test_however_messages_are_laid_into_arrays_the_same_rows_come_out(groups: list[list[str]], spaced: bool) -> None:
    number = 0
    made: list[list[dict[str, Any]]] = []
    for group in groups:
        made.append([])
        for kind in group:
            number += 1
            other = {"e": "depthUpdate", "s": "BTCUSDT", "b": [["1", "2"]]}
            made[-1].append({"t": agg_trade(number, MS + number), "m": mark_price(MS + number)}.get(kind, other))
    separators = (", ", ": ") if spaced else (",", ":")
    plain = [json.dumps(message, separators=separators) for group in made for message in group]
    arrays = [json.dumps(group, separators=separators) for group in made]
    for channel in (AGG_TRADE, MARK_PRICE):
        one, other = decoded(*plain, channel=channel), decoded(*arrays, channel=channel)
        assert other.rows.drop("raw_row", "part").equals(one.rows.drop("raw_row", "part"))
        assert not len(other.rejects)
    assert sum(scanned(*arrays).by_stream.values()) == len(arrays)


# ---------------------------------------------------------------- what is not understood


def test_what_is_not_understood_is_shown_by_example_and_nothing_is_said_to_be_absent(tmp_path: Path) -> None:
    lines = [IN_STREAM, '{"hello":"\\u001bworld"}', '{"result":null,"id":1}', "{}", '{"k":[1]}']
    summary = converted(tmp_path, lines, "BTCUSDT")
    notes = "\n".join(summary.notes)
    assert 'a.jsonl: 4 lines were not understood, such as line 2: {"hello":"' in notes
    assert "line 3: " in notes
    assert "line 5" not in notes
    assert "\x1b" not in notes
    assert "no mark, index, funding in what could be read of these files: 4 lines were not understood" in notes
    assert "in these files\n" not in notes + "\n"


def test_a_file_of_nothing_but_unknown_lines_shows_them(tmp_path: Path) -> None:
    with pytest.raises(NoDataFetched, match=r'such lines as line 1: \{"hello":1\}'):
        converted(tmp_path, ['{"hello":1}'], "BTCUSDT")


@pytest.mark.parametrize("name", ["a.json", "a.json.gz"])
@pytest.mark.parametrize(
    "text",
    [
        json.dumps([agg_trade(1, MS), agg_trade(2, MS)], indent=1),
        json.dumps(agg_trade(1, MS), indent=1),
        "[" + json.dumps(agg_trade(1, MS)) + ",\n" + json.dumps(agg_trade(2, MS)) + "]\n",
    ],
)
def test_json_over_many_lines_is_refused_with_the_way_out(text: str, name: str, tmp_path: Path) -> None:
    data = gzip.compress(text.encode()) if name.endswith("gz") else text.encode()
    with pytest.raises(NotOneMessageALine) as raised:
        converted(tmp_path, data, "BTCUSDT", name)
    assert str(tmp_path / name) in raised.value.message
    assert "jq -c" in raised.value.hint


# ---------------------------------------------------------------- index prices by pair


def index_price(ms: int, pair: str = "BTCUSD", price: str = "42000.12345678") -> str:
    return json.dumps({"e": "indexPriceUpdate", "E": ms, "i": pair, "p": price})


def coin_mark(ms: int, symbol: str, **changes: Any) -> str:
    """A message of 2020: without the index."""
    message = mark_price(ms, symbol=symbol, p="42001.00000000", **changes)
    return json.dumps({key: value for key, value in message.items() if key != "i" or "i" in changes})


def test_the_index_of_a_pair_is_that_of_all_its_contracts(tmp_path: Path) -> None:
    lines = [index_price(MS + 1000 * n) for n in range(3)] + [index_price(MS, "ETHUSD", "2000.5")]
    lines += [coin_mark(MS, "BTCUSD_PERP"), coin_mark(MS, "BTCUSD_240329", r="", T=0)]
    summary = converted(tmp_path, lines, "BTCUSD_PERP,BTCUSD_240329", market="coinm")
    assert summary.ok
    assert any("index prices are made from indexPrice" in note for note in summary.notes)
    places = Places(tmp_path / "data", tmp_path / "catalog")
    for instrument_id in ("BTCUSD-PERP.BINANCE", "BTCUSD_240329.BINANCE"):
        frame = stored(tmp_path, instrument_id, "index_price_update")
        assert frame["index_price"].to_list() == [Decimal("42000.12345678")] * 3
        assert frame["ts_event"].to_list() == [NS + n * 10**9 for n in range(3)]
        verdict = read_verdict(places, TABLES["index_price_update"], InstrumentDay(instrument_id, DAY))
        assert verdict is not None
        assert verdict.series == "binance/indexPrice"


def test_index_prices_of_mark_messages_go_first_and_the_kinds_never_mix(tmp_path: Path) -> None:
    both = [index_price(MS), coin_mark(MS, "BTCUSD_PERP", i="41999.50000000")]
    summary = converted(tmp_path, both, "BTCUSD_PERP", market="coinm", data_types=["index"])
    assert stored(tmp_path, "BTCUSD-PERP.BINANCE", "index_price_update")["index_price"].to_list() == [
        Decimal("41999.5")
    ]
    assert any("indexPrice is there too and left out" in note for note in summary.notes)
    other = converted(tmp_path, both, "BTCUSD_PERP", market="coinm", data_types=["index"], index_kind="indexPrice")
    assert not other.ok
    assert "binance/markPrice" in str(other.days[0].error)
    assert "binance/indexPrice" in str(other.days[0].error)
    assert SeriesMixed.code == "series"


def test_a_usd_margined_capture_is_not_asked_for_index_prices_by_pair(tmp_path: Path) -> None:
    summary = converted(tmp_path, [json.dumps(mark_price(MS))], "BTCUSDT")
    assert summary.ok
    assert not any("indexPrice" in note for note in summary.notes)


def test_an_index_price_message_is_placed_by_its_pair() -> None:
    scan = scanned(index_price(MS), index_price(MS, "ETHUSD").replace('"i"', '"i\\u0020"'))
    assert scan.lines.select("channel", "symbol", "reason").rows() == [
        ("indexPrice", "BTCUSD", None),
        (None, None, "missing_field"),
    ]
    assert decoded(index_price(MS), channel=INDEX_PRICE).rows["index_price"].to_list() == [Decimal("42000.12345678")]


def test_a_fault_in_one_of_several_messages_of_a_line_is_that_message_alone() -> None:
    good, bad = json.dumps(mark_price(MS)), json.dumps(mark_price(MS + 1000, i="x"))
    single = decoded(bad, channel=MARK_PRICE)
    assert single.faults is not None
    assert (len(single.rows), len(single.rejects), len(single.faults)) == (1, 0, 1)
    several = decoded(good, f"[{good},{bad}]", f"[{bad}]", channel=MARK_PRICE)
    assert several.rows["raw_row"].to_list() == [0, 1, 2]
    assert several.rejects.select("raw_row", "reason", "field", "value", "raw").rows() == [
        (1, "bad_decimal", "i", "x", bad)
    ]
    assert several.faults is not None
    assert several.faults["raw_row"].to_list() == [2]


def test_a_line_is_counted_by_what_of_it_has_a_place() -> None:
    lost = json.dumps(agg_trade(1, MS, s=5))
    scan = scanned(f"[{lost},{TRADE}]", f"[{lost}]")
    assert (scan.by_stream, scan.unreadable) == ({"aggTrade": 1}, 1)
    assert scan.lines["reason"].to_list() == ["missing_field", None, "missing_field"]
