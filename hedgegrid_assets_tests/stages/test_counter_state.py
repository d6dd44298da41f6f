"""What a counter knows at midnight is kept with the verdict, and the next day's counter begins with it."""

import dataclasses
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, override

import msgspec
import pytest
from msgspec.structs import replace

from hedgegrid_assets.model import Counted, Counter, Held, InstrumentDay, Judgement, Rows, Rule, Severity, Status, Table
from hedgegrid_assets.sources import tardis
from hedgegrid_assets.sources.tardis import datasets
from hedgegrid_assets.stages.normalize import Recipe, normalize_day
from hedgegrid_assets.stages.raw import RawKey
from hedgegrid_assets.stages.verdict import Verdict, read_verdict, store_verdict
from hedgegrid_assets.store import Places
from hedgegrid_assets.store.documents import encode
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets.timestamps import day_start
from hedgegrid_assets_tests import one_day
from hedgegrid_assets_tests.one_day import ID, PRECISIONS

TRADES: Final = TABLES["trade_tick"]
FIRST: Final = one_day.DAY
SECOND: Final = FIRST + timedelta(days=1)
SOURCE: Final = tardis.SOURCE
CHANNEL: Final = next(channel for channel in SOURCE.channels if channel.name == "trades")
HEAD: Final = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount"


class Last(msgspec.Struct, frozen=True):
    price: Decimal


class Rises(Counter[int]):
    """Trades above the one before, which may be the last of the day before."""

    state = Last

    def __init__(self, held: Held) -> None:
        del held
        self._found = 0
        self._last: Decimal | None = None

    @override
    def add(self, rows: Rows) -> None:
        for price in rows.new["price"]:
            self._found += self._last is not None and price > self._last
            self._last = price

    @override
    def result(self, day: Counted) -> int:
        return self._found

    @override
    def resume(self, state: Any) -> None:
        self._last = state.price

    @override
    def hand_on(self) -> Any:
        return None if self._last is None else Last(self._last)


def _judge(day: Counted) -> Judgement:
    return Judgement(True, 0, {"rises": day.of(Rises)})


RULE: Final = Rule("of_its_own", Severity.WARN, "quality", "", judge=_judge, counters=(Rises,))
RISING: Final = replace(TRADES, rules=(*TRADES.rules, RULE))


def made(folder: Path, day: date, price: str, table: Table = RISING) -> Verdict:
    """A day of one trade, in the one catalog of a test."""
    at = day_start(day) // 1_000 + 5
    line = f"binance-futures,BTCUSDT,{at},{at + 5_000},{day.toordinal()},buy,{price},0.003"
    dialect = datasets.dialect_of(HEAD.encode(), CHANNEL, "BTCUSDT")
    raw = one_day.raw_day(folder / str(day), CHANNEL, [f"{HEAD}\n{line}\n".encode()], dialect)
    raw = dataclasses.replace(raw, key=RawKey(CHANNEL.name, "BTCUSDT", day))
    [done] = normalize_day(
        places(folder), InstrumentDay(ID, day), raw, [table], Recipe(SOURCE, CHANNEL, PRECISIONS, {})
    )
    assert done.verdict is not None
    return done.verdict


def places(folder: Path) -> Places:
    return Places(folder / "data", folder / "catalog")


def rises(verdict: Verdict) -> int:
    return int(verdict.numbers_of(RULE.name)["rises"])


def test_a_day_begins_with_what_the_day_before_has_handed_on(tmp_path: Path) -> None:
    first, second = made(tmp_path, FIRST, "1.0"), made(tmp_path, SECOND, "2.0")
    assert first.state == {"Rises": {"price": "1.00"}}
    assert (rises(first), first.began_with) == (0, None)
    assert (rises(second), second.began_with) == (1, first.content_digest)
    stored = read_verdict(places(tmp_path), RISING, InstrumentDay(ID, SECOND))
    assert stored is not None
    assert (stored.state, stored.began_with) == ({"Rises": {"price": "2.00"}}, first.content_digest)


def test_a_day_without_one_before_it_begins_with_nothing(tmp_path: Path) -> None:
    alone = made(tmp_path, SECOND, "2.0")
    assert (rises(alone), alone.began_with) == (0, None)


@pytest.mark.parametrize(
    "told",
    [
        pytest.param({"status": Status.BLOCKED}, id="blocked"),
        pytest.param({"series": "another/series"}, id="another series"),
        pytest.param({"state": {"Rises": {"price": "none"}}}, id="no state of this counter"),
        pytest.param({"state": {"Others": {"price": "1.00"}}}, id="of another counter"),
    ],
)
def test_a_day_that_is_not_good_hands_nothing_on(tmp_path: Path, told: dict[str, Any]) -> None:
    first = made(tmp_path, FIRST, "1.0")
    store_verdict(places(tmp_path), RISING, InstrumentDay(ID, FIRST), msgspec.structs.replace(first, **told))
    second = made(tmp_path, SECOND, "2.0")
    assert (rises(second), second.began_with) == (0, None)


def test_a_damaged_verdict_hands_nothing_on(tmp_path: Path) -> None:
    made(tmp_path, FIRST, "1.0")
    places(tmp_path).verdict(ID, RISING.folder, FIRST).local().write_bytes(b"{")
    assert made(tmp_path, SECOND, "2.0").began_with is None


def test_a_verdict_of_counters_that_hand_nothing_on_says_nothing_of_it(tmp_path: Path) -> None:
    made(tmp_path, FIRST, "1.0", TRADES)
    text = encode(made(tmp_path, SECOND, "2.0", TRADES))
    assert b'"state"' not in text
    assert b'"began_with"' not in text
