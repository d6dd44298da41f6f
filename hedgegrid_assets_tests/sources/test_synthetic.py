"""Synthetic days look like a venue's, join their neighbours, and are the same bytes everywhere."""

import hashlib
import itertools
import json
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any

import pytest

from hedgegrid_assets.errors import UsageError
from hedgegrid_assets.sources.synthetic import CHANNELS, generate, precisions
from hedgegrid_assets.timestamps import day_end, day_start

DAY = date(2024, 1, 1)
NEXT = date(2024, 1, 2)
FUNDING_MS = 8 * 3_600_000

type Line = tuple[int, dict[str, Any]]


def raw(channel: str = "aggTrade", day: date = DAY, *, symbol: str = "BTCUSDT", **settings: int) -> bytes:
    return b"".join(generate(symbol, channel, day, **settings))


@cache
def lines(channel: str, day: date, trades_per_day: int = 20_000, symbol: str = "BTCUSDT") -> tuple[Line, ...]:
    """Every line as (local time, data), parsed by the standard library."""
    pairs = (
        line.split(" ", 1)
        for line in raw(channel, day, symbol=symbol, trades_per_day=trades_per_day).decode().splitlines()
    )
    return tuple((int(local), json.loads(message)["data"]) for local, message in pairs)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


@pytest.mark.parametrize("channel", CHANNELS)
def test_the_same_request_gives_the_same_bytes(channel: str) -> None:
    assert raw(channel, trades_per_day=3_000) == raw(channel, trades_per_day=3_000)


def test_the_bytes_are_those_of_every_other_machine() -> None:
    assert digest(raw("aggTrade", trades_per_day=3_000)) == "18fc5a68c4b22364"
    assert digest(raw("markPrice")) == "f20d3961dd44ebb0"


def test_another_seed_symbol_day_or_size_gives_another_day() -> None:
    days = [
        raw(trades_per_day=500),
        raw(trades_per_day=500, seed=8),
        raw(trades_per_day=500, symbol="ETHUSDT"),
        raw(trades_per_day=500, day=NEXT),
        raw(trades_per_day=501),
    ]
    assert len(set(map(digest, days))) == len(days)


@pytest.mark.parametrize("channel", CHANNELS)
def test_block_rows_only_cuts_the_same_bytes(channel: str) -> None:
    blocks = list(generate("BTCUSDT", channel, DAY, trades_per_day=90_000, block_rows=7_001))
    assert b"".join(blocks) == raw(channel, trades_per_day=90_000)
    assert {block.count(b"\n") for block in blocks[:-1]} == {7_001}
    assert all(block.endswith(b"\n") for block in blocks)


@pytest.mark.parametrize("trades_per_day", [1, 2, 10, 5_000])
def test_a_day_has_exactly_the_trades_asked_for(trades_per_day: int) -> None:
    day = lines("aggTrade", DAY, trades_per_day)
    assert len(day) == trades_per_day
    assert day[-1][1]["l"] - day[0][1]["f"] + 1 == trades_per_day * 3 // 2
    assert_times_are_in_order(day)


def test_a_trade_is_written_as_the_venue_writes_it() -> None:
    first = raw(trades_per_day=10).decode().splitlines()[0]
    local, message = first.split(" ", 1)
    assert len(local) == 19
    assert " " not in message
    wrapper = json.loads(message)
    assert list(wrapper) == ["stream", "data"]
    assert wrapper["stream"] == "btcusdt@aggTrade"
    data = wrapper["data"]
    assert list(data) == ["e", "E", "s", "a", "p", "q", "f", "l", "T", "m"]
    assert (data["e"], data["s"], type(data["m"])) == ("aggTrade", "BTCUSDT", bool)


def test_a_mark_message_is_written_as_the_venue_writes_it() -> None:
    message = next(generate("BTCUSDT", "markPrice", DAY, block_rows=1)).decode().split(" ", 1)[1]
    wrapper = json.loads(message)
    assert wrapper["stream"] == "btcusdt@markPrice@1s"
    assert list(wrapper["data"]) == ["e", "E", "s", "p", "i", "P", "r", "T"]
    assert all(len(wrapper["data"][key].split(".")[1]) == 8 for key in ("p", "i", "P", "r"))


@pytest.mark.parametrize("trades_per_day", [7, 5_000])
def test_ids_and_members_go_on_over_midnight(trades_per_day: int) -> None:
    both = [data for day in (DAY, NEXT) for _, data in lines("aggTrade", day, trades_per_day)]
    assert all(after["a"] == before["a"] + 1 for before, after in itertools.pairwise(both))
    assert all(after["f"] == before["l"] + 1 for before, after in itertools.pairwise(both))
    assert all(data["l"] >= data["f"] for data in both)


def test_an_aggregate_has_no_more_members_than_lots() -> None:
    assert all(data["l"] - data["f"] + 1 <= Decimal(data["q"]) * 1_000 for _, data in lines("aggTrade", DAY))


def assert_times_are_in_order(day: tuple[Line, ...]) -> None:
    local = [at for at, _ in day]
    assert local == sorted(local)
    assert day_start(DAY) < local[0]
    assert local[-1] < day_end(DAY)
    for key in ("E", "T"):
        times = [data[key] for _, data in day]
        assert times == sorted(times)
    assert day_start(DAY) <= day[0][1]["E"] * 1_000_000
    assert all(5_000_000 <= at - data["T"] * 1_000_000 < 400_000_000 for at, data in day if data["e"] == "aggTrade")
    assert all(at > data["E"] * 1_000_000 for at, data in day)


@pytest.mark.parametrize("channel", CHANNELS)
def test_times_are_in_order_and_inside_the_day(channel: str) -> None:
    assert_times_are_in_order(lines(channel, DAY))


@pytest.mark.parametrize(("trades_per_day", "longest_seconds"), [(5_000, 50), (20_000, 20)])
def test_a_usual_day_has_no_silence_and_reaches_both_ends(trades_per_day: int, longest_seconds: int) -> None:
    times = [at for at, _ in lines("aggTrade", DAY, trades_per_day)]
    assert max(after - before for before, after in itertools.pairwise(times)) < longest_seconds * 10**9
    assert times[0] - day_start(DAY) < 10 * 10**9
    assert day_end(DAY) - times[-1] < 10 * 10**9


def test_several_trades_share_a_millisecond_and_one_side() -> None:
    day = [data for _, data in lines("aggTrade", DAY)]
    together = [(before, after) for before, after in itertools.pairwise(day) if before["T"] == after["T"]]
    assert len(together) > len(day) // 20
    assert sum(before["m"] == after["m"] for before, after in together) > 0.9 * len(together)


def test_trading_comes_in_bursts_and_both_sides_take_part() -> None:
    day = [data for _, data in lines("aggTrade", DAY)]
    by_minute = [0] * 1_440
    for data in day:
        by_minute[data["T"] // 60_000 % 1_440] += 1
    mean = sum(by_minute) / 1_440
    assert sum((count - mean) ** 2 for count in by_minute) / 1_440 > mean
    assert 0.4 < sum(data["m"] for data in day) / len(day) < 0.6


@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT", "XRPUSDT", "DOGEUSDT", "LINKUSDT", "币安人生USDT"])
def test_prices_and_sizes_lie_on_the_tick_and_lot_of_the_symbol(symbol: str) -> None:
    price_decimals, size_decimals, _ = precisions(symbol)
    for _, data in lines("aggTrade", DAY, 1_000, symbol):
        assert data["s"] == symbol
        assert Decimal(data["p"]) % Decimal(10) ** -price_decimals == 0 < Decimal(data["p"])
        assert Decimal(data["q"]) % Decimal(10) ** -size_decimals == 0 < Decimal(data["q"])


def test_bitcoin_is_written_with_two_decimals_on_a_tick_of_a_tenth() -> None:
    assert precisions("BTCUSDT") == (1, 3, 8)
    prices = [data["p"] for _, data in lines("aggTrade", DAY)]
    assert all(price[-3] == "." and price[-1] == "0" for price in prices)
    assert abs(Decimal(prices[0]) / 42_500 - 1) < Decimal("0.002")
    assert Decimal("0.01") < max(map(Decimal, prices)) / min(map(Decimal, prices)) - 1 < Decimal("0.15")


@pytest.mark.parametrize(("channel", "field"), [("aggTrade", "p"), ("markPrice", "p"), ("markPrice", "i")])
def test_prices_go_on_over_midnight(channel: str, field: str) -> None:
    before, after = lines(channel, DAY)[-1][1], lines(channel, NEXT)[0][1]
    assert abs(Decimal(after[field]) / Decimal(before[field]) - 1) < Decimal("0.002")


def test_a_mark_message_comes_every_second_and_names_the_next_funding() -> None:
    day = [data for _, data in lines("markPrice", DAY)]
    assert [data["E"] // 1_000 for data in day] == list(range(day_start(DAY) // 10**9, day_end(DAY) // 10**9))
    assert all(data["E"] % 1_000 < 10 for data in day)
    assert all(data["T"] % FUNDING_MS == 0 and 0 < data["T"] - data["E"] <= FUNDING_MS for data in day)


def test_the_funding_rate_moves_smoothly_within_its_limits_also_over_midnight() -> None:
    rates = [Decimal(data["r"]) for day in (DAY, NEXT) for _, data in lines("markPrice", day)]
    assert max(map(abs, rates)) <= Decimal("0.0003")
    assert len(set(rates)) > 1_000
    assert max(abs(after - before) for before, after in itertools.pairwise(rates)) < Decimal("0.000001")


def test_negative_rates_are_written_with_their_sign() -> None:
    assert any(data["r"].startswith("-0.000") for _, data in lines("markPrice", date(2024, 1, 3)))


def test_the_mark_is_near_the_index_and_near_the_last_trade() -> None:
    last: dict[int, float] = {data["T"] // 1_000: float(data["p"]) for _, data in lines("aggTrade", DAY)}
    compared = 0
    for _, data in lines("markPrice", DAY):
        mark = float(data["p"])
        assert abs(float(data["i"]) / mark - 1) < 0.001
        if data["E"] // 1_000 in last:
            compared += 1
            assert abs(last[data["E"] // 1_000] / mark - 1) < 0.004
    assert compared > 5_000


def test_what_cannot_be_made_is_refused_before_the_first_block() -> None:
    with pytest.raises(UsageError, match="no channel 'trade': expected aggTrade or markPrice"):
        generate("BTCUSDT", "trade", DAY)
    with pytest.raises(UsageError, match="no such day"):
        generate("BTCUSDT", "aggTrade", date(1999, 1, 1))
    with pytest.raises(UsageError, match="trades_per_day is too small: expected 1 or more, found 0"):
        generate("BTCUSDT", "aggTrade", DAY, trades_per_day=0)
