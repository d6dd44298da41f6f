"""Days that are read together must give what each gives by itself, and a catalog the same bytes."""

import shutil
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from hedgegrid_assets.batch import Batch
from hedgegrid_assets.stages.raw import RawDay, RawKey, Together, raw_day, together
from hedgegrid_assets_tests.scenario import BTC, DAY, DAY_MS, MIDNIGHT_MS, agg_trade, line, received
from hedgegrid_assets_tests.stages.raw.test_kept import converted
from hedgegrid_assets_tests.yard import CHANNELS, FEED, SOURCE, Yard

CHANNEL = CHANNELS["aggTrade"]
ODDITIES: dict[str, dict[str, Any]] = {
    "usual": {},
    "price is zero": {"p": "0.00"},
    "price is no number": {"p": "1e"},
    "an exponent": {"p": "4.2e4"},
    "a long price": {"p": "42000.1234567890123456"},
    "no quantity": {"q": None},
    "another key": {"x": "y"},
    "an escape": {"x": "\\u00e9"},
    "an array": {"x": [1, 2]},
    "a longer id": {"a": 10**12},
    "not a market trade": {"X": "RPI", "nq": "0.001"},
}


def message(day: int, number: int, oddity: str, *, wrapped: bool, timed: bool) -> bytes:
    ms = MIDNIGHT_MS + day * DAY_MS + 1_000 + number * 60_000
    found = agg_trade(1_000 + day * 100 + number, ms, **ODDITIES[oddity])
    return line(found, received(ms) if timed else None, wrapped=wrapped)


messages = st.tuples(st.sampled_from(sorted(ODDITIES)), st.booleans(), st.booleans())
usual = st.just(("usual", True, True))
days_of_lines = st.lists(
    st.one_of(st.lists(usual, min_size=1, max_size=4), st.lists(messages, min_size=1, max_size=4)),
    min_size=2,
    max_size=5,
)


def told(batches: list[Batch]) -> tuple[int, pl.DataFrame, pl.DataFrame, list[pl.DataFrame], int]:
    """Lines, rows, rejects, faults, and lines without rows."""
    found = [each.decoded[CHANNEL.name] for each in batches]
    faults = [each.faults for each in found if each.faults is not None and len(each.faults)]
    return (
        sum(each.lines for each in batches),
        pl.concat(each.rows for each in found),
        pl.concat(each.rejects for each in found),
        faults,
        sum(each.without_rows for each in found),
    )


@settings(max_examples=12, deadline=None)
@given(given_days=days_of_lines, room=st.sampled_from([together.TOGETHER, 5]))
def test_days_read_together_give_what_each_gives_alone(
    given_days: list[list[tuple[str, bool, bool]]], room: int
) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(together, "TOGETHER", room)
        yard = Yard(Path(folder))
        lines = [
            message(day, number, oddity, wrapped=wrapped, timed=timed)
            for day, each in enumerate(given_days)
            for number, (oddity, wrapped, timed) in enumerate(each)
        ]
        yard.drop("capture.jsonl", b"".join(lines))
        yard.bring_in(channels=["aggTrade"])
        keys = [RawKey("aggTrade", BTC, DAY + timedelta(days=day)) for day in range(len(given_days))]
        found = [each for key in keys if (each := raw_day(yard.places, FEED, key)) is not None]
        all_of_them = Together(lambda key: raw_day(yard.places, FEED, key), keys, SOURCE, CHANNEL)
        for each in found:
            alone, joined = (told(list(day.batches(SOURCE, CHANNEL))) for day in (each, all_of_them.with_rows(each)))
            assert (alone[0], alone[4]) == (joined[0], joined[4])
            for one, other in ((alone[1], joined[1]), (alone[2], joined[2])):
                assert_frame_equal(_with_all_decimals(one), _with_all_decimals(other))
            assert [frame.to_dicts() for frame in alone[3]] == [frame.to_dicts() for frame in joined[3]]


def _with_all_decimals(frame: pl.DataFrame) -> pl.DataFrame:
    """A block's numbers have as many decimals as its finest: the same values in another scale."""
    return frame.with_columns(pl.selectors.decimal().cast(pl.Decimal(38, 16)))


def capture(days: int, odd: int | None = None) -> bytes:
    return b"".join(
        message(day, number, "price is no number" if day == odd and number == 3 else "usual", wrapped=True, timed=True)
        for day in range(days)
        for number in range(20)
    )


def test_a_catalog_of_days_read_together_is_the_same_to_the_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them has a reject, and is read by itself."""
    yard = Yard(tmp_path)
    yard.drop("capture.jsonl", capture(6, odd=2))
    converted(yard)
    shutil.rmtree(tmp_path / "catalog")
    joined, seen = converted(yard), read_together(monkeypatch)
    shutil.rmtree(tmp_path / "catalog")
    assert converted(yard) == joined
    assert [key.day for key in seen] == [DAY + timedelta(days=day) for day in (0, 1, 3, 4, 5)]
    shutil.rmtree(tmp_path / "catalog")
    monkeypatch.setattr(together, "SMALL", 0)
    assert converted(yard) == joined


def read_together(monkeypatch: pytest.MonkeyPatch) -> list[RawKey]:
    """The days that get their rows so from now on."""
    seen: list[RawKey] = []
    batch_of = Together.batch_of

    def noted(self: Together, raw: RawDay) -> Batch | None:
        batch = batch_of(self, raw)
        if batch is not None and raw.key not in seen:
            seen.append(raw.key)
        return batch

    monkeypatch.setattr(Together, "batch_of", noted)
    return seen


def test_a_day_whose_file_was_changed_spoils_no_other(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    yard.drop("capture.jsonl", capture(4))
    yard.bring_in(channels=["aggTrade"])
    days = [yard.raw(day=DAY + timedelta(days=number)) for number in range(4)]
    changed = days[1].path.read_bytes()
    yard.places.raw_folder(FEED, "aggTrade", BTC).joinpath(days[1].manifest.file).local().write_bytes(changed[:-1])
    keys = [day.key for day in days]
    found = Together(lambda key: next(day for day in days if day.key == key), keys, SOURCE, CHANNEL)
    assert [day.key.day for day in days if found.batch_of(day)] == dates(0, 2, 3)


def dates(*numbers: int) -> list[date]:
    return [DAY + timedelta(days=number) for number in numbers]
