"""Times of CSV rows: each number by its own size, text with every way to write an offset, and what is none."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedgegrid_assets.errors import TimestampParsingFailed, UsageError
from hedgegrid_assets.sources.csv.times import TimeSpec, lacking_digits, ns_of, spec_of
from hedgegrid_assets.sources.formats import binance
from hedgegrid_assets.sources.tardis.channels import channels
from hedgegrid_assets.timestamps import FACTORS, nanoseconds
from hedgegrid_assets_tests.csv_cases import MIDNIGHT, SECOND, convert, frame, line_rejects, trades_of, write

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
FIRST: Final = (datetime(2009, 1, 1, tzinfo=UTC) - EPOCH) // timedelta(seconds=1) * SECOND
LAST: Final = (datetime(2101, 1, 1, tzinfo=UTC) - EPOCH) // timedelta(seconds=1) * SECOND - 1

instants = st.integers(FIRST, LAST)
units = st.sampled_from(list(FACTORS))


def spelled(ns: int, unit: str, digits: int) -> str:
    """An instant in a unit, with some digits behind the point."""
    whole, part = divmod(ns, FACTORS[unit])
    places = len(str(FACTORS[unit])) - 1
    fraction = f"{part:0{places}d}" if places else ""
    shown = fraction.ljust(digits, "0")[:digits]
    return f"{whole}.{shown}" if shown else str(whole)


@given(st.lists(st.tuples(instants, units, st.integers(0, 12)), min_size=1, max_size=30))
def test_every_instant_of_this_century_is_read_in_every_unit_whatever_stands_beside_it(
    made: list[tuple[int, str, int]],
) -> None:
    texts = pl.Series([spelled(*each) for each in made])
    kept = [
        ns // FACTORS[unit] * FACTORS[unit]
        + ns
        % FACTORS[unit]
        // 10 ** max(len(str(FACTORS[unit])) - 1 - digits, 0)
        * 10 ** max(len(str(FACTORS[unit])) - 1 - digits, 0)
        for ns, unit, digits in made
    ]
    assert ns_of(texts, TimeSpec("any")).to_list() == kept


@given(instants, units, units)
def test_a_unit_that_is_said_reads_its_own_numbers_and_no_others(ns: int, unit: str, said: str) -> None:
    read = ns_of(pl.Series([str(ns // FACTORS[unit])]), TimeSpec(said))[0]
    assert read == (ns // FACTORS[unit] * FACTORS[unit] if unit == said else None)


def test_the_last_nanosecond_of_64_bits_is_a_time_with_a_fraction_as_without() -> None:
    last = 2**63 - 1
    texts = [str(last), f"{last}.9", f"{last + 1}.0", f"{last // 1_000}.9", f"{last // 1_000 - 1}.9"]
    assert ns_of(pl.Series(texts), TimeSpec("any")).to_list() == [last, last, None, None, last // 1_000 * 1_000 - 100]


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_number_has_one_unit_at_most(value: int) -> None:
    fits = [unit for unit in FACTORS if ns_of(pl.Series([str(value)]), TimeSpec(unit))[0] is not None]
    assert len(fits) <= 1
    assert ns_of(pl.Series([str(value)]), TimeSpec("any")).null_count() == (not fits)
    assert pl.DataFrame({"v": [value]}).select(nanoseconds(pl.col("v"))).to_series().null_count() == (not fits)


@pytest.mark.parametrize(
    "text", ["-1704067200", "0", "5", "20240101", "202401010000", "20240101000000", "9223372036.9", "1e999", "0x10"]
)
def test_what_is_a_time_in_no_unit_is_none(text: str) -> None:
    assert ns_of(pl.Series([text]), TimeSpec("any"))[0] is None


def test_units_may_change_within_a_file_and_nothing_is_lost(tmp_path: Path) -> None:
    rows = [f"{(MIDNIGHT + n * SECOND) // FACTORS[unit]},{n + 1},1" for n, unit in enumerate(["ms"] * 5 + ["us"] * 5)]
    rows += [f"{MIDNIGHT // SECOND + 10}.5,11,1", f"{MIDNIGHT + 11 * SECOND},12,1"]
    done = convert(tmp_path, write(tmp_path, "t.csv", "\n".join(["time,price,size", *rows]) + "\n"))
    assert done.ok
    assert [(at - MIDNIGHT) / SECOND for at, *_ in trades_of(frame(tmp_path))] == [*range(10), 10.5, 11]
    assert line_rejects(tmp_path) == []


def test_arrival_and_next_funding_have_units_of_their_own(tmp_path: Path) -> None:
    text = (
        "timestamp,local_timestamp,mark_price,funding_rate,next_funding_time\n"
        "1704067200000,1704067200000100,1.5,0.0001,1704096000\n"
        "1704067201,1704067201000000200,1.5,0.0002,1704096000000\n"
    )
    convert(tmp_path, write(tmp_path, "t.csv", text), tokens="funding")
    rows = frame(tmp_path, "funding_rate_update")
    assert rows["ts_event"].to_list() == [MIDNIGHT, MIDNIGHT + SECOND]
    assert rows["ts_init"].to_list() == [MIDNIGHT + 100_000, MIDNIGHT + SECOND + 200]
    assert rows["next_funding_time"].to_list() == [MIDNIGHT + 28_800 * SECOND] * 2


def test_a_unit_that_the_configuration_says_makes_others_rejects(tmp_path: Path) -> None:
    write(tmp_path, "t.csv", "time,price,size\n1704067200000,1.5,2\n1704067201,1.5,3\n1704067202000,1.5,4\n")
    entry = {"file_path": "t.csv", "timestamp_format": "ms"}
    convert(tmp_path, config={"base_path": str(tmp_path), "files": {"trades": entry}})
    assert [at for at, *_ in trades_of(frame(tmp_path))] == [MIDNIGHT, MIDNIGHT + 2 * SECOND]
    assert line_rejects(tmp_path) == [(3, "unknown_time")]


def test_a_unit_that_is_none_is_a_usage_error(tmp_path: Path) -> None:
    write(tmp_path, "t.csv", "time,price,size\n1704067200000,1.5,2\n")
    with pytest.raises(UsageError, match="or a unit"):
        convert(
            tmp_path,
            config={
                "base_path": str(tmp_path),
                "files": {"trades": {"file_path": "t.csv", "timestamp_format": "minutes"}},
            },
        )


# ---------------------------------------------------------------- digits that are gone


def test_a_time_that_a_spreadsheet_has_rounded_is_a_reject_of_its_own_reason(tmp_path: Path) -> None:
    rows = "".join(f"{MIDNIGHT // 10**6 + n},{n + 1},2\n" for n in range(20))
    convert(tmp_path, write(tmp_path, "t.csv", f"time,price,size\n{rows}1.70407E+12,1.5,3\n1.704e12,1.5,3\n"))
    assert len(frame(tmp_path)) == 20
    assert line_rejects(tmp_path) == [(22, "time_rounded"), (23, "time_rounded")]


def test_a_file_of_rounded_times_is_refused_with_the_way_out(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", "time,price,size\n" + "1.70407E+12,1.5,2\n" * 3)
    with pytest.raises(TimestampParsingFailed, match=r"all the digits.*1\.70407E\+12") as caught:
        convert(tmp_path, path)
    assert "export it anew with this column as text" in caught.value.hint


def test_exponents_that_leave_only_zeros_out_are_times(tmp_path: Path) -> None:
    """As Java writes doubles: the shortest text that gives the number back."""
    text = "time,price,size\n1.7040672E9,1.5,2\n1.704067201E9,1.5,2\n1.7040672025E9,1.5,2\n"
    convert(tmp_path, write(tmp_path, "t.csv", text))
    assert [(at - MIDNIGHT) / SECOND for at, *_ in trades_of(frame(tmp_path))] == [0, 1, 2.5]


def test_only_a_number_that_could_be_a_time_lacks_digits() -> None:
    texts = pl.Series(["1.70407E+12", "1.7040672E9", "1.704067200E9", "1.5E3", "1704067200", "", "1e999", "E"])
    assert lacking_digits(texts).to_list() == [True, True, False, False, False, False, False, False]


# ---------------------------------------------------------------- text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *((f"2024-01-01 02:00:00{zone}", 0) for zone in ("+02", "+0200", "+02:00", "+02:00:00", " +0200 CEST")),
        ("2024-01-01 02:00:00.5+02", SECOND // 2),
        *((f"2024-01-01 00:00:00{zone}", 0) for zone in ("+00", "-00", "+00:00:00", "Z", "z", " UTC", " GMT", "utc")),
        *((f"2024-01-01 00:00:00 +0000 UTC{clock}", 0) for clock in ("", " m=+0.000012")),
        ("2024-01-01t00:00:00z", 0),
        ("2024-01-01T00:00Z[UTC]", 0),
        ("2024-01-01T05:30:00+05:30[Asia/Kolkata]", 0),
        ("2023-12-31T19:00:00-05", 0),
        ("2024-01-01 00:19:32.13+00:19:32", 130_000_000),
        ("2024-01-01 00:00:00,123", 123_000_000),
        ("01/01/2024 02:00:00 +02", 0),
        ("2024/01/01 00:00:00 UTC", 0),
        ("20240101T000000+0000", 0),
        ("20240101T000000", 0),
    ],
)
def test_every_way_to_write_an_offset_is_the_same_moment(tmp_path: Path, text: str, expected: int) -> None:
    convert(tmp_path, write(tmp_path, "t.csv", f'time;price;size;side\n"{text}";1.5;2;buy\n'))
    assert frame(tmp_path)["ts_event"].to_list() == [MIDNIGHT + expected]


@pytest.mark.parametrize(
    ("fmt", "text"),
    [
        ("%Y-%m-%d %H:%M:%S%.f%z", "2024-01-01 02:00:00+02"),
        ("%Y-%m-%d %H:%M:%S%.f%z", "2024-01-01 02:00:00.0+02"),
        ("%Y-%m-%d %H:%M:%S %z %Z", "2024-01-01 02:00:00 +0200 CEST"),
        ("%Y-%m-%dT%H:%M:%S%z", "2024-01-01t00:00:00z"),
        ("%Y-%m-%d %H:%M:%S%z", "2024-01-01 00:00:00+00:00:00"),
        ("%d.%m.%Y %H:%M:%S,%f", "01.01.2024 00:00:00,0"),
    ],
)
def test_offsets_are_read_by_an_explicit_format_too(tmp_path: Path, fmt: str, text: str) -> None:
    write(tmp_path, "t.csv", f'time;price;size;side\n"{text}";1.5;2;buy\n')
    config = {"base_path": str(tmp_path), "timestamp_format": fmt, "files": {"trades": {"file_path": "t.csv"}}}
    convert(tmp_path, config=config)
    assert frame(tmp_path)["ts_event"].to_list() == [MIDNIGHT]


@pytest.mark.parametrize(
    "text",
    [
        *("2024-01-01 24:00:00", "2024-01-01 23:59:60", "2024-01-01 00:00:00+99", "2024-01-01 00:00:00+24:00"),
        *("2024-01-01 00:00:00+02:60", "2024-01-01-05", "2024-01-01 00:00:00 CEST", "2024-01-01 01:00:00 PM"),
    ],
)
def test_what_no_clock_shows_is_none(text: str) -> None:
    assert ns_of(pl.Series([text]), TimeSpec(format="iso"))[0] is None


def test_the_format_that_a_refusal_offers_works_when_followed(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", "time,price,size\n31-01-2024 10:00:00,1.5,2\n")
    with pytest.raises(TimestampParsingFailed) as caught:
        convert(tmp_path, path)
    said = json.loads("{" + caught.value.hint[caught.value.hint.index('"timestamp_format"') :] + "}")
    assert convert(
        tmp_path, config={"base_path": str(tmp_path), **said, "files": {"trades": {"file_path": "t.csv"}}}
    ).ok


def test_a_first_block_without_a_row_tells_no_spec_and_all_is_read() -> None:
    spec, bad = spec_of(pl.Series([], dtype=pl.String), None)
    assert bad is None
    assert spec is not None
    assert ns_of(pl.Series(["2024-01-01T00:00:00Z", "1704067200", "noon", ""]), spec).to_list() == [
        MIDNIGHT,
        MIDNIGHT,
        None,
        None,
    ]


# ---------------------------------------------------------------- other readers


@pytest.mark.parametrize("value", [1, 20, 1704067200, 999_999_999])
def test_a_message_whose_time_is_no_milliseconds_is_in_no_day_of_1970(value: int) -> None:
    channel = binance.channels("binance")[0]
    assert {"trade_time", "event_time"} >= set(channel.ts_event.meta.root_names())
    row = pl.DataFrame(
        {"trade_time": [value], "event_time": [None]}, schema={"trade_time": pl.Int64, "event_time": pl.Int64}
    )
    assert row.select(channel.ts_event).to_series().to_list() == [None]


@pytest.mark.parametrize(
    ("value", "ns"), [(5, None), (20240101, None), (1704067200000000, MIDNIGHT), (MIDNIGHT, MIDNIGHT)]
)
def test_a_tiny_number_of_tardis_is_no_time(value: int, ns: int | None) -> None:
    channel = channels("bybit")[0]
    assert pl.DataFrame({"timestamp": [value]}).select(channel.ts_event).to_series().to_list() == [ns]
