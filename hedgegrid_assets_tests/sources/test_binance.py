"""Binance messages: what each line means, and that the fast reader and an exact one agree on every line."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hedgegrid_assets.batch import Decoded, Placed
from hedgegrid_assets.model import Channel
from hedgegrid_assets.sources.websocket import SOURCE
from hedgegrid_assets.store import Block
from hedgegrid_assets.timestamps import RANGES
from hedgegrid_assets_tests import one_day, scenario
from hedgegrid_assets_tests.scenario import (
    BAD_ID,
    BAD_MS,
    BAD_VALUES,
    BTC,
    DAY_MS,
    GOOD_VALUES,
    MIDNIGHT_MS,
    RECEIVE_TIMES,
    agg_trade,
    dumped,
    line,
    mark_price,
    raw_trade,
    received,
)
from hedgegrid_assets_tests.yard import narrowed

AGG_TRADE, TRADE, MARK_PRICE, INDEX_PRICE, *_ = SOURCE.channels
BEFORE_BOOKS = narrowed("aggTrade", "trade", "markPrice", "indexPrice", "bookTicker")
"""Without the streams whose messages are no flat objects."""


def scanned(data: bytes, *, cut: bool = False) -> Placed:
    return one_day.placed(BEFORE_BOOKS, Block(data, 0, cut=cut))


def decoded(data: bytes, channel: Channel = AGG_TRADE, first_line: int = 0) -> Decoded:
    return one_day.decoded(SOURCE, Block(data, first_line), channel)


def one(data: bytes, channel: Channel = AGG_TRADE) -> dict[str, Any]:
    """The one row of one line."""
    rows = decoded(data, channel).rows
    assert len(rows) == 1
    return rows.row(0, named=True)


def refused(data: bytes, channel: Channel = AGG_TRADE) -> tuple[str, str | None, str | None]:
    """Why the one line is no row: reason, field, value."""
    found = decoded(data, channel)
    assert len(found.rows) == 0
    row = found.rejects.row(0, named=True)
    return row["reason"], row["field"], row["value"]


# ---------------------------------------------------------------- trades


@pytest.mark.parametrize("wrapped", [True, False])
def test_an_agg_trade_gives_its_fields_exactly(wrapped: bool) -> None:
    message = agg_trade(26129, 1_498_793_709_153, p="0.01633102", q="4.70443515", f=27781, l=27785, m=True)
    row = one(line(message, 1_498_793_709_200_000_001, wrapped=wrapped))
    assert row == {
        "raw_row": 0,
        "part": 0,
        "ts_event": 1_498_793_709_153_000_000,
        "ts_init": 1_498_793_709_200_000_001,
        "symbol": "BTCUSDT",
        "price": Decimal("0.01633102"),
        "size": Decimal("4.70443515"),
        "id": 26129,
        "first_id": 27781,
        "last_id": 27785,
        "buyer_is_maker": True,
        "trade_time": 1_498_793_709_153,
        "event_time": 1_498_793_709_156,
    }


def test_a_maker_buyer_means_that_the_seller_was_the_aggressor() -> None:
    lines = line(agg_trade(1, BAD_MS, m=True)) + line(agg_trade(2, BAD_MS, m=False))
    sides = decoded(lines).rows.select(side=AGG_TRADE.tables["trade_tick"].columns["aggressor_side"])["side"]
    assert sides.to_list() == ["SELLER", "BUYER"]


def test_the_trade_time_goes_before_the_time_of_sending() -> None:
    assert one(line(agg_trade(1, BAD_MS, E=BAD_MS + 900)))["ts_event"] == BAD_MS * 1_000_000
    assert one(line(agg_trade(1, BAD_MS, T=None, E=BAD_MS + 900)))["ts_event"] == (BAD_MS + 900) * 1_000_000


def test_times_above_1e15_are_microseconds() -> None:
    assert one(line(agg_trade(1, BAD_MS, T=BAD_MS * 1_000 + 7)))["ts_event"] == BAD_MS * 1_000_000 + 7_000


def test_a_line_without_receive_time_arrives_when_the_exchange_says() -> None:
    assert one(line(agg_trade(1, BAD_MS)))["ts_init"] == BAD_MS * 1_000_000
    assert one(line(mark_price(BAD_MS)), MARK_PRICE)["ts_init"] == BAD_MS * 1_000_000


@pytest.mark.parametrize(("text", "ns"), [pytest.param(text, ns, id=name) for name, text, ns in RECEIVE_TIMES])
def test_a_receive_time_is_read_to_the_nanosecond(text: str, ns: int) -> None:
    data = f"{text}{dumped(agg_trade(BAD_ID, BAD_MS))}\n".encode()
    assert one(data)["ts_init"] == ns
    assert scanned(data).lines["ts_init"].to_list() == [ns]


@pytest.mark.parametrize(
    "text", ["9999999999999999999 ", "2024-13-01T00:00:00.0000000Z ", "2024-01-01T25:00:00.0000000Z "]
)
def test_a_receive_time_that_cannot_be_read_is_never_replaced_by_another(text: str) -> None:
    scan = scanned(f"{text}{dumped(agg_trade(BAD_ID, BAD_MS))}\n".encode())
    assert scan.lines["reason"].to_list() == ["unknown_time"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param(*bad, id=name)
        for name, bad in BAD_VALUES.items()
        if bad[1] not in {"zero_price", "zero_size", "negative"} and "Nautilus" not in name
    ],
)
def test_a_value_that_cannot_be_read_makes_a_reject(changes: scenario.Message, reason: str) -> None:
    assert refused(line(agg_trade(BAD_ID, BAD_MS, **changes), received(BAD_MS)))[0] == reason


@pytest.mark.parametrize("changes", [pytest.param(good, id=name) for name, good in GOOD_VALUES.items()])
def test_an_unusual_spelling_leaves_the_trade_a_good_one(changes: scenario.Message) -> None:
    row = one(line(agg_trade(BAD_ID, BAD_MS, **({"p": "42000.1"} | changes)), received(BAD_MS)))
    assert row["price"] == Decimal("42000.1")
    assert row["size"] == Decimal("0.012")
    assert row["symbol"] == BTC
    assert row["ts_event"] == BAD_MS * 1_000_000


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.1", "0.1"),
        ("42000.50000000", "42000.5"),
        ("9999999999999999999999.9999999999999999", "9999999999999999999999.9999999999999999"),
        ("0.0000000000000001", "0.0000000000000001"),
        ("1e-16", "0.0000000000000001"),
        ("1E3", "1000"),
        (" 5 ", "5"),
        (".5", "0.5"),
        ("5.", "5"),
        ("-1.10", "-1.1"),
        ("00012.50", "12.5"),
        ("0.1" + "0" * 40, "0.1"),
    ],
)
def test_decimal_text_keeps_its_exact_value(text: str, value: str) -> None:
    assert one(line(agg_trade(1, BAD_MS, p=text)))["price"] == Decimal(value)


@pytest.mark.parametrize(
    "text",
    [
        "1e-17",
        "1.00000000000000001",
        "1" * 23,
        "1e22",
        "0x10",
        "NaN",
        "inf",
        "1,5",
        "1_0",
        "--1",
        "٤٢",
        "1 2",
        "e5",
        ".",
        "+",
    ],
)
def test_decimal_text_that_cannot_be_held_exactly_is_rejected_never_rounded(text: str) -> None:
    assert refused(line(agg_trade(1, BAD_MS, p=text))) == ("bad_decimal", "p", text)


def test_a_raw_trade_gives_its_id_and_no_first_and_last() -> None:
    row = one(line(raw_trade(4_308_068_523, BAD_MS)), TRADE)
    assert (row["id"], row["kind"], row["size"]) == (4_308_068_523, "MARKET", Decimal("0.5"))


@pytest.mark.parametrize("kind", ["NA", "ADL", "INSURANCE_FUND"])
def test_what_the_venue_marks_as_no_market_trade_is_excluded_with_its_mark(kind: str) -> None:
    assert refused(line(raw_trade(1, BAD_MS, X=kind, p="0", q="0")), TRADE)[0] == f"excluded_kind_{kind.lower()}"


@pytest.mark.parametrize("kind", ["MARKET", "SOMETHING_NEW", None])
def test_a_trade_of_another_or_no_mark_passes(kind: str | None) -> None:
    assert one(line(raw_trade(1, BAD_MS, X=kind)), TRADE)["id"] == 1


# ---------------------------------------------------------------- mark, index, funding


def test_a_mark_price_update_gives_three_prices_and_the_funding_time() -> None:
    row = one(line(mark_price(BAD_MS, p="1.5", i="1.4", r="-0.00000001"), received(BAD_MS)), MARK_PRICE)
    assert (row["mark_price"], row["index_price"], row["funding_rate"]) == (
        Decimal("1.5"),
        Decimal("1.4"),
        Decimal("-0.00000001"),
    )
    assert row["next_funding_time"] == MIDNIGHT_MS + DAY_MS
    assert row["ts_event"] == BAD_MS * 1_000_000


def applicable(message: scenario.Message) -> set[str]:
    """Tables that a mark price update has a value for."""
    rows = decoded(line(message), MARK_PRICE).rows
    applies = {name: mapping.applies for name, mapping in MARK_PRICE.tables.items()}
    return {name for name, expression in applies.items() if expression is None or len(rows.filter(expression))}


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({}, set()),
        ({"i": None}, {"index_price_update"}),
        ({"i": ""}, {"index_price_update"}),
        ({"r": "", "T": 0}, {"funding_rate_update"}),
        ({"r": "0.00000000", "T": 0}, {"funding_rate_update"}),
        ({"r": None, "T": None}, {"funding_rate_update"}),
        ({"r": "0.00000000"}, set()),
        ({"T": None}, set()),
    ],
)
def test_a_dated_contract_or_an_old_message_has_no_funding_or_no_index(
    changes: scenario.Message, missing: set[str]
) -> None:
    assert applicable(mark_price(BAD_MS, **changes)) == set(MARK_PRICE.tables) - missing


# ---------------------------------------------------------------- lines


def test_every_line_is_counted_once_whatever_it_is() -> None:
    lines = [
        *(line(agg_trade(n, BAD_MS)) for n in range(3)),
        line({"e": "kline", "s": BTC, "b": "1"}),
        line({"e": "forceOrder", "o": {"s": BTC, "p": "1", "q": "2"}}),
        line('{"stream":"btcusdt@kline","data":{"u":1,"s":"BTCUSDT"}}'),
        line('{"result":null,"id":1}'),
        line('{"lastUpdateId":1,"bids":[["1","2"]]}'),
        b'https://fapi.binance.com/x -> 1.5: {"a":[]}\n',
        b"wss://fstream.binance.com <-> 1.5\n",
        b"<- {'method': 'SUBSCRIBE'}\n",
        b"\n",
        b" \r\n",
        b"\xff\xfe\n",
        b"nonsense\n",
        line(agg_trade(9, BAD_MS))[:-30],
    ]
    scan = scanned(b"".join(lines), cut=True)
    assert dict(scan.by_stream) == {"aggTrade": 3, "kline": 2, "forceOrder": 1, "rest": 3}
    assert (scan.connection, scan.blank, scan.unreadable) == (2, 2, 3)
    assert scan.lines.filter(pl.col("reason").is_not_null())["reason"].to_list() == [
        "not_utf8",
        "broken_json",
        "truncated_tail",
    ]
    assert sum(scan.by_stream.values()) + scan.connection + scan.blank + scan.unreadable == len(lines)


def test_an_empty_block_is_no_line() -> None:
    scan = scanned(b"")
    assert (len(scan.lines), scan.blank, scan.unreadable) == (0, 0, 0)
    assert len(decoded(b"").rows) == 0


def test_raw_rows_go_on_from_block_to_block() -> None:
    assert decoded(line(agg_trade(1, BAD_MS)) * 2, first_line=40).rows["raw_row"].to_list() == [40, 41]


def test_a_bom_is_passed_over_also_where_a_second_file_was_joined_on() -> None:
    lines = (
        b"\xef\xbb\xbf" + line(agg_trade(1, BAD_MS)) + b"\xef\xbb\xbf" + line(agg_trade(2, BAD_MS), received(BAD_MS))
    )
    assert decoded(lines).rows["id"].to_list() == [1, 2]


def test_the_text_of_a_reject_is_kept_up_to_4096_characters() -> None:
    long = line(agg_trade(1, BAD_MS, p=5, x="y" * 9_000))
    assert len(decoded(long).rejects["raw"][0]) == 4_096
    assert decoded(long).rejects["raw"][0] == long.decode()[:4_096]


@pytest.mark.parametrize("changes", [{}, {"o": {"p": "0.123456789"}}, {"x": "\n"}])
def test_decimals_are_counted_as_written_and_as_needed_also_on_odd_lines(changes: scenario.Message) -> None:
    scan = scanned(
        line(agg_trade(1, BAD_MS, p="42000.5000", q="1e-7", **changes)) + line(agg_trade(2, BAD_MS, q="0.25"))
    )
    assert scan.decimals["aggTrade", BTC, "price"][:2] == (4, 1)
    assert scan.decimals["aggTrade", BTC, "size"][:2] == (7, 7)


def test_a_symbol_outside_ascii_is_read_plain_and_escaped() -> None:
    message = agg_trade(1, BAD_MS, symbol="币安人生USDT")
    for text in (dumped(message), json.dumps(message), json.dumps({"data": message, "stream": "x"})):
        assert scanned(line(text)).lines["symbol"].to_list() == ["币安人生USDT"]
        assert one(line(text))["symbol"] == "币安人生USDT"


def test_only_odd_lines_go_through_the_slow_reader() -> None:
    usual = [
        dumped(agg_trade(1, BAD_MS)),
        json.dumps(agg_trade(2, BAD_MS, nq="1")),
        '{"data":' + dumped(agg_trade(3, BAD_MS), wrapped=False) + ',"stream":"btcusdt@aggTrade"}',
    ]
    assert decoded(b"".join(map(line, usual))).odd == 0
    assert decoded(line(agg_trade(1, BAD_MS, x={"y": 1}))).odd == 1


# ---------------------------------------------------------------- an exact reader, line by line, to compare with


def _whole(match: re.Match[str]) -> int:
    return int(match[1])


def _seconds(match: re.Match[str]) -> int:
    return int(match[1]) * 10**9 + int((match[2] or "0")[:9].ljust(9, "0"))


def _stamp(match: re.Match[str]) -> int:
    return int(datetime.fromisoformat(f"{match[1]}+00:00").timestamp()) * 10**9 + int(match[2]) * 100


_PREFIXES: Final = (
    (re.compile(r"([0-9]{19}) "), _whole),
    (re.compile(r"([0-9]{9,10})(?:\.([0-9]+))?: "), _seconds),
    (re.compile(r"([0-9]{10})(?:\.([0-9]+))?[: ]+(?=\{)"), _seconds),
    (re.compile(r"([0-9-]{10}T[0-9:]{8})\.([0-9]{7})Z "), _stamp),
)
_DECIMAL: Final = re.compile(r"\s*[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?\s*")
_OWN: Final = {"mark_price", "index_price", "funding_rate", "next_funding_time", "first_id", "last_id"}
"""Fields that not all tables of their channel need."""
_KINDS: Final = {"NA": "excluded_kind_na", "ADL": "excluded_kind_adl", "INSURANCE_FUND": "excluded_kind_insurance_fund"}


@dataclass
class Reference:
    """What a block holds, by json and Decimal, a line at a time; ``broken`` lines may be rejects of a channel or of none."""

    broken: set[int] = field(default_factory=set)
    by_stream: Counter[str] = field(default_factory=Counter)
    unplaced: dict[int, str] = field(default_factory=dict)
    rejects: defaultdict[str, dict[int, str]] = field(default_factory=lambda: defaultdict(dict))
    rows: defaultdict[str, dict[int, dict[str, Any]]] = field(default_factory=lambda: defaultdict(dict))
    faults: defaultdict[str, dict[int, dict[str, str]]] = field(default_factory=lambda: defaultdict(dict))

    def read(self, number: int, text: str) -> None:
        local, body = self._local(text.strip())
        twice: set[str] = set()

        def first(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
            twice.update(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
            return dict(reversed(pairs))

        try:
            value = json.loads(body, object_pairs_hook=first, parse_float=_Float)
        except ValueError:
            self.broken.add(number)
            return
        if not isinstance(value, dict):
            self.broken.add(number)
            return
        message = value.get("data", value)
        channel = next((channel for channel in BEFORE_BOOKS.channels if channel.event == message.get("e")), None)
        self.by_stream[str(message.get("e", "rest"))] += 1
        if channel is None:
            return
        values = {f.name: message.get(f.key) for f in channel.fields}
        whole = {name: v for name, v in values.items() if type(v) is int and abs(v) < 10**18}
        exchange = self._exchange(channel, whole)
        ts_init = local if local is not None else exchange
        if not isinstance(message.get("s"), str) or not message["s"] or ts_init is None:
            self.by_stream[channel.event] -= 1
            self.unplaced[number] = (
                "unknown_time" if isinstance(message.get("s"), str) and message["s"] else "missing_field"
            )
            return
        if twice & {"e", *(f.key for f in channel.fields)}:
            self.rejects[channel.name][number] = "doubled_key"
            return
        for f in channel.fields:
            reason = self._refusal(values[f.name], f.kind, f.required, f.missing, f.decimals)
            if reason and f.name in _OWN and (channel is MARK_PRICE or reason == "id_too_large"):
                self.faults[channel.name].setdefault(number, {})[f.name] = reason
                values[f.name] = None
            elif reason:
                self.faults[channel.name].pop(number, None)
                self.rejects[channel.name][number] = reason
                return
            if f.kind == "decimal":
                values[f.name] = Decimal(values[f.name]) if values[f.name] else None
        ts_event = self._exchange(channel, values)
        reason = "unknown_time" if ts_event is None else _KINDS.get(values.get("kind", ""))
        if reason:
            self.faults[channel.name].pop(number, None)
            self.rejects[channel.name][number] = reason
        else:
            self.rows[channel.name][number] = values | {"ts_event": ts_event, "ts_init": ts_init}

    def _local(self, text: str) -> tuple[int | None, str]:
        for pattern, meaning in _PREFIXES:
            if match := pattern.match(text):
                return meaning(match), text[match.end() :]
        return None, text

    def _exchange(self, channel: Channel, values: Mapping[str, Any]) -> int | None:
        time = values.get("trade_time")
        if time is None or channel is MARK_PRICE:
            time = values.get("event_time")
        units = {"ms": 1_000_000, "us": 1_000}
        fits = (unit for unit in units if time is not None and RANGES[unit][0] <= time <= RANGES[unit][1])
        unit = next(fits, None)
        return None if unit is None or time is None else time * units[unit]

    def _refusal(self, value: Any, kind: str, required: bool, missing: str, decimals: int) -> str | None:
        if value is None:
            return missing if required else None
        wanted: Any = {"text": str, "decimal": str, "integer": int, "flag": bool}[kind]
        if type(value) is not wanted:
            return "wrong_type"
        if kind == "integer" and abs(value) >= 2**63:
            return "id_too_large"
        if kind == "decimal" and (value or required):
            if not _DECIMAL.fullmatch(value):
                return "bad_decimal"
            if (Fraction(value) * 10**decimals).denominator != 1 or abs(Fraction(value)) >= 10 ** (38 - decimals):
                return "bad_decimal"
        return None


class _Float(str):
    """A number with a fraction: never of the right type."""


_CLOSE: Final = st.sampled_from(["", " ", "  ", "\t"])
_TEXTS: Final = st.sampled_from(
    [
        "1",
        "0",
        "0.0",
        "42000.10",
        "-3.5",
        "1e-3",
        "1E5",
        "",
        " 7",
        ".5",
        "nan",
        "1.12345678901234567",
        "1" * 23,
        "0.1000000000000000000",
    ]
)
_INTEGERS: Final = st.sampled_from(
    [0, 1, -1, 17, BAD_MS, BAD_MS * 1000, BAD_MS * 10**6, 2**53 + 1, 2**63 - 1, 2**63, 10**18, 9 * 10**12, 10**13]
)
_ANY: Final = st.one_of(
    _TEXTS.map(json.dumps),
    _INTEGERS.map(json.dumps),
    st.sampled_from(
        [
            "true",
            "false",
            "null",
            "1.5",
            "-0",
            "1e3",
            '"BTCUSDT"',
            '"NA"',
            '"ADL"',
            '"\\u0041"',
            '"a\\"p\\":\\"9"',
            "[]",
            '{"p":"1","e":"trade"}',
        ]
    ),
)
_USUAL: Final = {
    "s": st.sampled_from(['"BTCUSDT"', '"ETHUSDT"', '"币安USDT"']),
    "p": st.decimals("0.0001", 99_999, places=4).map(lambda n: f'"{n}"'),
    "q": st.decimals("0.001", 99_999, places=3).map(lambda n: f'"{n}"'),
    "T": st.integers(BAD_MS, BAD_MS + DAY_MS).map(str),
    "E": st.integers(BAD_MS, BAD_MS + DAY_MS).map(str),
    "m": st.sampled_from(["true", "false"]),
    "X": st.sampled_from(['"MARKET"', '"NA"', '"INSURANCE_FUND"', '""']),
    "r": st.sampled_from(['"0.00010000"', '"-0.00000001"', '""']),
    "i": st.sampled_from(['"42000.5"', '""']),
    **{key: st.integers(0, 2**53).map(str) for key in ("a", "t", "f", "l")},
}
_EVENTS: Final = {
    "aggTrade": "sapqfTEml",
    "trade": "stpqXTEm",
    "markPriceUpdate": "spirTE",
    "kline": "sE",
    "depthUpdate": "E",
}


@st.composite
def messages(draw: st.DrawFn) -> str:
    """One line: usually a sound message with its keys in any order, often with something odd about it."""
    event = draw(st.sampled_from(list(_EVENTS)))
    pairs = [("e", f'"{event}"'), *((key, draw(_USUAL[key])) for key in _EVENTS[event])]
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 1, 2]))):
        place = draw(st.integers(1, len(pairs) - 1))
        match draw(st.sampled_from(["replace", "replace", "drop", "twice", "unknown"])):
            case "replace":
                pairs[place] = (pairs[place][0], draw(_ANY))
            case "drop" if len(pairs) > 2:
                del pairs[place]
            case "twice":
                pairs.append((pairs[place][0], draw(_ANY)))
            case _:
                pairs.append((draw(st.sampled_from(["st", "nq", "é", "data2", "Q"])), draw(_ANY)))
    if draw(st.booleans()):
        pairs = draw(st.permutations(pairs))
    a, b = draw(_CLOSE), draw(_CLOSE)
    text = "{" + b + f"{b},{a}".join(f'"{key}"{a}:{b}{value}' for key, value in pairs) + a + "}"
    wrapping = draw(
        st.sampled_from(
            [
                "{}",
                "{}",
                '{{"stream":"x@y","data":{}}}',
                '{{"stream": "x@y", "generated":true, "data": {}}}',
                '{{"data":{},"stream":"x@y"}}',
            ]
        )
    )
    return draw(_prefixes()) + wrapping.format(text) + draw(st.sampled_from(["\n", "\n", "\r\n", " \n"]))


@st.composite
def lines_alike(draw: st.DrawFn) -> list[str]:
    """Lines of one recorder: the same keys in the same order and spacing, other values; a few are odd."""
    event = draw(st.sampled_from(list(_EVENTS)[:3]))
    keys = draw(st.permutations([*_EVENTS[event], "st", "nq"]))
    values = _USUAL | {"st": st.sampled_from(["1", "0.5", "true"]), "nq": st.sampled_from(['"x"', '"1"'])}
    a, b = draw(st.sampled_from([("", ""), ("", " "), (" ", " ")]))
    wrapping = draw(st.sampled_from(["{}\n", '{{"stream":"x@y","data":{}}}\n', '{{"data": {}, "stream": "x@y"}}\r\n']))
    prefix = draw(st.sampled_from(["", "1704111485020000000 ", "2024-01-01T12:18:05.1234567Z ", "1704111485.5: "]))
    lines: list[str] = []
    for _ in range(draw(st.integers(4, 24))):
        pairs = [("e", f'"{event}"'), *((key, draw(values[key])) for key in keys)]
        if draw(st.sampled_from([True, *[False] * 5])):
            place = draw(st.integers(1, len(keys)))
            pairs[place] = (pairs[place][0], draw(_ANY))
        text = "{" + f"{a},{b}".join(f'"{key}"{a}:{b}{value}' for key, value in pairs) + "}"
        lines.append(prefix + wrapping.format(text))
    if draw(st.booleans()):
        number = draw(st.integers(0, len(lines) - 1))
        whole = lines[number].rstrip("\r\n")
        place = draw(st.sampled_from([n for n, mark in enumerate(whole) if mark in '{}:,"'][-24:]))
        spoiled = [whole[:place], whole[:place] + whole[place + 1 :], whole[: place + 1] + whole[place:]]
        lines[number] = draw(st.sampled_from(spoiled)) + "\n"
    if draw(st.booleans()):
        lines.insert(draw(st.integers(0, len(lines))), draw(messages()))
    return lines


def _prefixes() -> st.SearchStrategy[str]:
    ns = st.integers(10**18, 2**63 - 1).map("{} ".format)
    fraction = st.text("0123456789", max_size=12).map(lambda digits: f"1704111485{'.' if digits else ''}{digits}: ")
    return st.one_of(st.just(""), ns, fraction)


def _compare(lines: list[str]) -> None:
    expected = Reference()
    for number, text in enumerate(lines):
        expected.read(number, text)
    data = "".join(lines).encode()
    scan = scanned(data)
    lost = scan.lines.filter(pl.col("reason").is_not_null())
    unplaced = dict(zip(lost["line"], lost["reason"], strict=True))
    assert scan.unreadable == len(unplaced)
    assert scan.connection + scan.blank == 0
    broken = {number: reason for number, reason in unplaced.items() if number in expected.broken}
    assert {number: reason for number, reason in unplaced.items() if number not in broken} == expected.unplaced
    for channel in BEFORE_BOOKS.channels:
        found = decoded(data, channel)
        rejects = dict(zip(found.rejects["raw_row"], found.rejects["reason"], strict=True))
        here = {number: reason for number, reason in rejects.items() if number in expected.broken}
        broken |= here
        expected.by_stream[channel.event] += len(here)
        expected.rejects[channel.name] |= here
        assert rejects == expected.rejects[channel.name]
        faults: dict[int, dict[str, str]] = {}
        for row in [] if found.faults is None else found.faults.iter_rows(named=True):
            faults.setdefault(row["raw_row"], {})[row["name"]] = row["reason"]
        assert faults == expected.faults[channel.name]
        assert {row.pop("raw_row"): row for row in found.rows.drop("part").to_dicts()} == expected.rows[channel.name]
        placed = scan.lines.filter(pl.col("channel") == channel.name)
        times = dict(zip(placed["line"], placed["ts_init"], strict=True))
        assert {n: row["ts_init"] for n, row in expected.rows[channel.name].items()}.items() <= times.items()
        assert set(times) == {*expected.rows[channel.name], *expected.rejects[channel.name]}
    assert +Counter(dict(scan.by_stream)) == +expected.by_stream
    assert broken == dict.fromkeys(expected.broken, "broken_json")


@pytest.mark.slow
@settings(max_examples=70, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(messages(), min_size=24, max_size=48))
@example([dumped(agg_trade(1, BAD_MS)).replace('"p":', '"p":5,"p":') + "\n"])
@example([dumped(agg_trade(1, BAD_MS)).replace('"e":"aggTrade"', '"e":"kline","e":"aggTrade"') + "\n"])
@example([f"{2**63 - 1} {dumped(agg_trade(1, BAD_MS)).replace('"p":', '"P":"\\u0041","p":')}\n"])
def test_the_fast_reader_and_an_exact_one_agree_on_every_line(lines: list[str]) -> None:
    _compare(lines)


@pytest.mark.slow
@settings(max_examples=75, deadline=None, suppress_health_check=list(HealthCheck))
@given(lines_alike())
@example([dumped(agg_trade(n, BAD_MS)).removesuffix("}}" if n == 2 else "") + "\n" for n in range(3)])
def test_the_readers_agree_also_where_all_lines_look_alike(lines: list[str]) -> None:
    _compare(lines)


@pytest.mark.parametrize("name", scenario.VARIANTS)
def test_blocks_of_any_size_give_the_same_rows(name: str) -> None:
    data = scenario.VARIANTS[name].data
    if scenario.VARIANTS[name].suffix != ".jsonl" or data.startswith(b"\x1f\x8b"):
        return
    whole = decoded(data)
    lines = data.splitlines(keepends=True)
    parts = [decoded(b"".join(lines[start : start + 50]), first_line=start) for start in range(0, len(lines), 50)]
    assert pl.concat([part.rows for part in parts]).equals(whole.rows)
    assert pl.concat([part.rejects for part in parts]).equals(whole.rejects)
