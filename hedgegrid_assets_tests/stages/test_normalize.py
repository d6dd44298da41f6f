"""A raw day becomes frames and rejects: every row accounted for, exact, in order, and the same bytes every time."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from hedgegrid_assets.errors import PrecisionTooFine, RawDamaged, TooManyOddLines, UsageError
from hedgegrid_assets.model import Channel, InstrumentDay, Source, Status, Thresholds
from hedgegrid_assets.stages import normalize
from hedgegrid_assets.stages.digest import ContentDigest
from hedgegrid_assets.stages.frames import Precisions, frame_metadata
from hedgegrid_assets.stages.normalize.sink import DayFrame
from hedgegrid_assets.stages.readers import read_frame
from hedgegrid_assets.store import local_file, plain, sha256_of
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets_tests.scenario import (
    BAD_ID,
    BAD_MS,
    BTC,
    BTC_IDS,
    CLEAN,
    DAY_MS,
    ETH,
    GOOD_VALUES,
    MIDNIGHT_MS,
    NEXT_DAY,
    VARIANTS,
    Message,
    agg_trade,
    inserted,
    line,
    mark_price,
    raw_trade,
    received,
)
from hedgegrid_assets_tests.yard import PRECISIONS, Yard, lines_of, origins_of, with_blocks_of

WIDE = Precisions(price=16, size=16, mark=16)


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path)


def landed(yard: Yard, data: bytes, suffix: str = ".jsonl", channels: Iterable[str] | None = None) -> Yard:
    yard.drop(f"capture{suffix}", data)
    yard.bring_in(channels=channels)
    return yard


# ---------------------------------------------------------------- accounting


@pytest.mark.parametrize("name", VARIANTS)
def test_every_row_of_every_variant_is_stored_rejected_or_counted(yard: Yard, name: str) -> None:
    variant = VARIANTS[name]
    done = landed(yard, variant.data, variant.suffix, ["aggTrade"]).normalize()["trade_tick"]
    rows = done.verdict.rows
    assert rows.rows_in == yard.raw().manifest.lines
    assert rows.rows_in == sum(plain(rows).values()) - rows.rows_in
    assert rows.rows_out == variant.trades == len(yard.frame())
    assert rows.exact_duplicates == variant.duplicates
    assert done.verdict.rejects_by_reason == dict(variant.rejects)
    assert (done.status is Status.BLOCKED) == variant.blocked


@pytest.mark.parametrize(
    "name", ["clean", "shuffled", "CRLF", "data before stream", "bare messages without receive time"]
)
def test_every_row_of_the_other_streams_is_accounted_for_too(yard: Yard, name: str) -> None:
    landed(yard, VARIANTS[name].data)
    for channel, symbol in (("trade", BTC), ("markPrice", BTC), ("markPrice", ETH), ("aggTrade", ETH)):
        for done in yard.normalize(channel, symbol).values():
            rows = done.verdict.rows
            assert rows.rows_in == rows.rows_out == yard.raw(channel, symbol).manifest.lines
            assert done.verdict.rejects_by_reason == {}


@pytest.mark.parametrize("name", [name for name, variant in VARIANTS.items() if variant.rejects])
def test_a_reject_is_kept_with_its_file_line_reason_and_text(yard: Yard, name: str) -> None:
    variant = VARIANTS[name]
    landed(yard, variant.data, channels=["aggTrade"]).normalize()
    rejects = yard.rejects()
    assert Counter(rejects["reason"]) == Counter(variant.rejects)
    for row in rejects.iter_rows(named=True):
        assert (row["file"], row["stage"]) == ("raw/websocket/capture.jsonl", "normalize")
        assert origins_of(yard.raw())[row["raw_row"]] == (row["file"], row["line"])
        original = variant.data.splitlines()[row["line"] - 1]
        assert row["raw"] == original.decode(errors="backslashreplace")[:4096]
        assert row["ts_init"] in (datetime(2024, 1, 1, 12, 18, 5, 20_000, UTC), datetime(2024, 1, 1, 12, 18, 5, 0, UTC))


def test_every_reason_of_the_closed_list_can_be_met() -> None:
    met = Counter[str]()
    for variant in VARIANTS.values():
        met.update({**variant.rejects, **variant.unplaced})
    assert set(met) | {"excluded_kind_na", "excluded_kind_adl", "excluded_kind_insurance_fund"} == {
        *("broken_json", "not_utf8", "missing_field", "wrong_type", "id_too_large", "unknown_time", "bad_decimal"),
        "doubled_key",
        *("zero_price", "zero_size", "negative", "missing_side", "bad_trade_id", "truncated_tail"),
        *("excluded_kind_na", "excluded_kind_adl", "excluded_kind_insurance_fund"),
    }


def test_rejects_of_a_file_read_in_place_point_at_its_own_lines(yard: Yard) -> None:
    yard.drop("capture.jsonl", b"\n\n" + line(agg_trade(1, BAD_MS)) + line(agg_trade(2, BAD_MS, p="0")))
    yard.bring_in(in_place=True)
    yard.normalize()
    assert yard.rejects().select("file", "line", "raw_row").rows() == [("raw/websocket/capture.jsonl", 4, 3)]


def test_the_culprit_of_a_reject_is_told(yard: Yard) -> None:
    landed(
        yard, line(agg_trade(1, BAD_MS, p="1,5")) + line(agg_trade(2, BAD_MS, q="-0.5")) + line(agg_trade(3, BAD_MS))
    )
    yard.normalize()
    assert yard.rejects().select("reason", "field", "value").rows() == [
        ("bad_decimal", "p", "1,5"),
        ("negative", None, "-0.5000000000000000"),
    ]


def test_rejects_of_an_earlier_run_vanish_with_their_cause(yard: Yard) -> None:
    landed(yard, VARIANTS["price is zero"].data).normalize()
    assert len(yard.rejects())
    landed(yard, CLEAN).normalize()
    assert not len(yard.rejects())


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("NA", "excluded_kind_na"), ("ADL", "excluded_kind_adl"), ("INSURANCE_FUND", "excluded_kind_insurance_fund")],
)
def test_what_the_venue_marks_as_no_trade_is_rejected_but_not_held_against_the_day(
    yard: Yard, kind: str, reason: str
) -> None:
    data = b"".join(
        line(raw_trade(n, BAD_MS + n, **({"X": kind, "p": "0", "q": "0"} if n % 2 else {}))) for n in range(40)
    )
    done = landed(yard, data).normalize("trade")["trade_tick"]
    assert done.verdict.rejects_by_reason == {reason: 20}
    assert done.status is Status.PARTIAL
    assert not [gap for gap in done.verdict.gaps if gap.ids_missing]


@pytest.mark.parametrize(
    ("changes", "table"),
    [
        ({"r": "", "T": 0}, "funding_rate_update"),
        ({"r": "0.00000000", "T": 0}, "funding_rate_update"),
        ({"i": None}, "index_price_update"),
        ({"i": ""}, "index_price_update"),
    ],
)
def test_a_message_without_a_value_for_a_table_does_not_apply_to_it(yard: Yard, changes: Message, table: str) -> None:
    data = line(mark_price(BAD_MS, **changes)) + line(mark_price(BAD_MS + 1_000))
    done = landed(yard, data).normalize("markPrice")
    assert plain(done[table].verdict.rows) == {
        "in": 2,
        "out": 1,
        "rejected": 0,
        "exact_duplicates": 0,
        "other_symbols": 0,
        "not_applicable": 1,
    }
    assert done["mark_price_update"].verdict.rows.rows_out == 2


def test_a_zero_index_price_is_no_reason_to_lose_the_mark_price(yard: Yard) -> None:
    done = landed(yard, line(mark_price(BAD_MS, i="0.00000000")) + line(mark_price(BAD_MS + 1_000))).normalize(
        "markPrice"
    )
    assert done["mark_price_update"].verdict.rows.rows_out == 2
    assert done["index_price_update"].verdict.rejects_by_reason == {"zero_price": 1}


# ---------------------------------------------------------------- values


def test_trades_come_out_exactly_as_they_came_in(yard: Yard) -> None:
    landed(yard, CLEAN).normalize()
    frame = yard.frame()
    assert frame["trade_id"].to_list() == [str(number) for number in BTC_IDS]
    assert frame["first_trade_id"].to_list() == [number * 2 for number in BTC_IDS]
    assert frame["aggressor_side"].to_list() == ["SELLER" if number % 2 == 0 else "BUYER" for number in BTC_IDS]
    assert frame["price"].to_list()[:3] == [Decimal("42000.00"), Decimal("42014.10"), Decimal("42005.20")]
    assert frame["size"].to_list()[:3] == [Decimal("0.001"), Decimal("0.002"), Decimal("0.003")]
    assert ((frame["ts_init"] - frame["ts_event"]) == 20_000_000).all()


@pytest.mark.parametrize(
    "changes", [pytest.param(changes, id=name) for name, changes in GOOD_VALUES.items() if "63 bits" not in name]
)
def test_unusual_spellings_end_as_the_same_row(yard: Yard, changes: Message) -> None:
    landed(yard, line(agg_trade(BAD_ID, BAD_MS, **({"p": "42000.1"} | changes)), received(BAD_MS))).normalize()
    row = yard.frame().row(0, named=True)
    assert (row["price"], row["size"], row["trade_id"], row["ts_event"]) == (
        Decimal("42000.10"),
        Decimal("0.012"),
        "1020",
        BAD_MS * 1_000_000,
    )


def test_mark_index_and_funding_come_out_exactly_as_they_came_in(yard: Yard) -> None:
    landed(yard, CLEAN).normalize("markPrice")
    assert yard.frame("mark_price_update")["mark_price"].to_list()[:2] == [
        Decimal("42001.00000000"),
        Decimal("42001.00000001"),
    ]
    assert set(yard.frame("index_price_update")["index_price"]) == {Decimal("42000.50000000")}
    funding = yard.frame("funding_rate_update")
    assert funding["funding_rate"].unique(maintain_order=True).to_list() == [Decimal("0.0001"), Decimal("-0.00000001")]
    assert funding["next_funding_time"].unique().to_list() == [(MIDNIGHT_MS + DAY_MS) * 1_000_000]
    assert funding["interval_minutes"].null_count() == len(funding) == 120


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    prices=st.lists(st.decimals("0.0000000000000001", "9999999999999", places=16), min_size=1, max_size=20),
    sizes=st.decimals("0.0000000000000001", "34028236692092", places=16),
)
def test_sixteen_decimals_survive_unrounded(
    tmp_path_factory: pytest.TempPathFactory, prices: list[Decimal], sizes: Decimal
) -> None:
    yard = Yard(tmp_path_factory.mktemp("exact"))
    landed(
        yard, b"".join(line(agg_trade(n, BAD_MS + n, p=f"{price:f}", q=f"{sizes:f}")) for n, price in enumerate(prices))
    )
    yard.normalize(precisions=WIDE)
    assert yard.frame()["price"].to_list() == prices
    assert set(yard.frame()["size"]) == {sizes}


# ---------------------------------------------------------------- funding


def funding(yard: Yard, *entries: tuple[int, int]) -> list[bool]:
    """(seconds of the day, next funding time in seconds of the day) -> is_settlement."""
    data = b"".join(line(mark_price(MIDNIGHT_MS + at * 1_000, T=MIDNIGHT_MS + due * 1_000)) for at, due in entries)
    landed(yard, data).normalize("markPrice")
    return yard.frame("funding_rate_update")["is_settlement"].to_list()


def test_the_last_rate_before_each_funding_time_is_the_settled_one(yard: Yard) -> None:
    eight, sixteen, midnight = 8 * 3600, 16 * 3600, 24 * 3600
    entries = [
        (1, eight),
        (eight - 1, eight),
        (eight, sixteen),
        (sixteen - 2, sixteen),
        (sixteen + 1, midnight),
        (midnight - 1, midnight),
    ]
    assert funding(yard, *entries) == [False, True, False, True, False, True]


def test_the_settled_rate_is_found_across_blocks_and_in_rows_that_have_to_be_sorted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_blocks_of(300, monkeypatch)
    entries = [(n, 40) for n in range(100)]
    assert funding(Yard(tmp_path / "sorted"), *entries) == [n == 39 for n in range(100)]
    flags = funding(Yard(tmp_path / "unsorted"), *entries, (38, 41), (200, 900))
    assert [n for n, flag in enumerate(flags) if flag] == [39, 40, 101]


def test_a_funding_time_of_another_day_settles_nothing_today(yard: Yard) -> None:
    assert funding(yard, (1, 25 * 3600), (2, 25 * 3600)) == [False, False]


def test_a_rate_that_arrives_after_its_funding_time_is_not_the_settled_one(yard: Yard) -> None:
    assert funding(yard, (10, 12), (11, 12), (13, 12)) == [False, True, False]


# ---------------------------------------------------------------- order and repetition


def shuffled_seconds(*at: tuple[int, int]) -> bytes:
    """(id, second of arrival) in the order of the file."""
    return b"".join(line(agg_trade(number, MIDNIGHT_MS + second * 1_000)) for number, second in at)


def test_unsorted_rows_are_sorted_by_arrival_and_ties_keep_the_order_of_the_file(yard: Yard) -> None:
    done = landed(yard, shuffled_seconds((5, 9), (3, 2), (1, 1), (4, 2), (2, 2), (6, 9))).normalize()["trade_tick"]
    assert yard.frame()["trade_id"].to_list() == ["1", "3", "4", "2", "5", "6"]
    cleaned = next(rule for rule in done.verdict.rules if rule.name == "nothing_cleaned")
    assert not cleaned.passed
    assert cleaned.numbers["out_of_order"] == 4


def test_rows_of_one_time_in_any_order_are_no_sequence_gap(yard: Yard) -> None:
    done = landed(yard, shuffled_seconds((4, 1), (2, 1), (1, 1), (3, 1), (5, 2))).normalize()["trade_tick"]
    assert done.verdict.gaps == []
    assert (done.verdict.first_id, done.verdict.last_id) == ("1", "5")


def test_a_sorted_day_says_that_nothing_was_cleaned(yard: Yard) -> None:
    done = landed(yard, CLEAN).normalize()["trade_tick"]
    assert all(rule.passed for rule in done.verdict.rules)
    assert done.status is Status.COMPLETE


def test_exact_repetitions_are_dropped_and_the_earliest_arrival_stays(yard: Yard) -> None:
    landed(yard, VARIANTS["exact duplicates"].data).normalize()
    assert ((yard.frame()["ts_init"] - yard.frame()["ts_event"]) == 20_000_000).all()


def test_repeated_mark_prices_are_dropped_by_their_content(yard: Yard) -> None:
    data = line(mark_price(BAD_MS), received(BAD_MS)) + line(mark_price(BAD_MS), received(BAD_MS) + 5)
    data += line(mark_price(BAD_MS, p="42001.2"), received(BAD_MS) + 9)
    done = landed(yard, data).normalize("markPrice")
    assert plain(done["mark_price_update"].verdict.rows) == {
        "in": 3,
        "out": 2,
        "rejected": 0,
        "exact_duplicates": 1,
        "other_symbols": 0,
        "not_applicable": 0,
    }
    assert done["index_price_update"].verdict.rows.rows_out == 1


PRICES = ("42001.1", "42001.2", "42001.2", "42001.3", "42001.1")


def marks(*offsets: int) -> bytes:
    """Mark prices in order of arrival, with exchange times so many ms apart from one."""
    pairs = enumerate(zip(offsets, PRICES, strict=False))
    return b"".join(line(mark_price(BAD_MS + ms, p=price), received(BAD_MS) + at) for at, (ms, price) in pairs)


@pytest.mark.parametrize("size", [8 << 20, 400, 250])
@pytest.mark.parametrize("offsets", [(0, 0, 0, 0, 5), (9, 3, 3, 7, 11), (90_000, 20_000, 20_000, 5, 95_000)])
def test_rows_of_one_exchange_time_are_repetitions_only_if_they_are_alike(
    yard: Yard, size: int, offsets: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks of one or two lines: a repetition may be in the block behind, also where exchange times step back."""
    with_blocks_of(size, monkeypatch)
    done = landed(yard, marks(*offsets)).normalize("markPrice")["mark_price_update"]
    assert (done.verdict.rows.rows_out, done.verdict.rows.exact_duplicates) == (4, 1)
    assert [str(price)[:7] for price in yard.frame("mark_price_update")["mark_price"]] == [*PRICES[:2], *PRICES[3:]]


def test_a_day_whose_exchange_times_step_back_a_little_is_not_held_in_memory(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("held")

    with_blocks_of(250, monkeypatch)
    monkeypatch.setattr(DayFrame, "take_back", never)
    done = landed(yard, marks(59_000, 0, 3, 4, 60_000)).normalize("markPrice")
    assert done["index_price_update"].verdict.rows.rows_out == 5


def test_one_id_for_two_trades_blocks_the_day_and_both_stay_in_the_frame(yard: Yard) -> None:
    done = landed(yard, VARIANTS["same id, other content"].data).normalize()["trade_tick"]
    rule = next(rule for rule in done.verdict.rules if rule.name == "trade_ids_unique")
    assert (rule.passed, rule.rows_failed) == (False, 2)
    assert str(rule.numbers["conflicts"]).startswith(f"{BAD_ID} in raw rows ")
    assert yard.frame()["trade_id"].to_list().count(str(BAD_ID)) == 2


def test_trades_of_one_time_price_and_side_are_no_repetition(yard: Yard) -> None:
    done = landed(yard, line(agg_trade(1, BAD_MS, m=True)) + line(agg_trade(2, BAD_MS, m=True))).normalize()[
        "trade_tick"
    ]
    assert done.verdict.rows.rows_out == 2


# ---------------------------------------------------------------- precision


@pytest.mark.parametrize(
    ("changes", "column", "needed"), [({"p": "42000.123"}, "price", 3), ({"q": "0.00001"}, "size", 5)]
)
def test_a_value_finer_than_the_definition_stops_the_day_and_says_what_to_do(
    yard: Yard, changes: dict[str, str], column: str, needed: int
) -> None:
    landed(yard, CLEAN).normalize()
    yard.publish()
    before = yard.files("catalog", "BTCUSDT-PERP.BINANCE", "trade_tick.parquet") | yard.files("catalog", "data")
    done = landed(yard, inserted(line(agg_trade(1040, BAD_MS, **changes), received(BAD_MS) + 1))).normalize()[
        "trade_tick"
    ]
    assert isinstance(done.error, PrecisionTooFine)
    assert done.error.details["needed"] == {column: needed}
    assert f"widen BTCUSDT-PERP.BINANCE --{column}-precision {needed}" in str(done.error)
    assert done.frame is None
    assert [rule.name for rule in done.verdict.rules if rule.severity == "ERROR" and not rule.passed] == [
        "precision_fits"
    ]
    assert yard.files("catalog", "BTCUSDT-PERP.BINANCE", "trade_tick.parquet") | yard.files("catalog", "data") == before


def test_a_mark_price_that_is_too_fine_does_not_stop_index_and_funding(yard: Yard) -> None:
    done = landed(yard, line(mark_price(BAD_MS, p="1.123456789"))).normalize("markPrice")
    assert isinstance(done["mark_price_update"].error, PrecisionTooFine)
    assert done["index_price_update"].error is None
    assert done["funding_rate_update"].error is None


def test_trailing_zeros_are_not_too_fine(yard: Yard) -> None:
    assert landed(yard, line(agg_trade(1, BAD_MS, p="42000.1000000"))).normalize()["trade_tick"].error is None


# ---------------------------------------------------------------- the same bytes


def stored(yard: Yard) -> dict[str, bytes]:
    yard.normalize("aggTrade")
    yard.normalize("markPrice")
    return yard.files("catalog")


@pytest.mark.parametrize("name", ["clean", "shuffled", "exact duplicates", "price is zero", "a nested object"])
def test_the_same_input_gives_the_same_bytes_whatever_the_blocks_are(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    for size in (8 << 20, 9_000, 2_500):
        with_blocks_of(size, monkeypatch)
        made.append(stored(landed(Yard(tmp_path / str(size)), VARIANTS[name].data)))
    assert made[0] == made[1] == made[2]


def test_rows_that_prove_unsorted_only_in_a_late_block_are_counted_once(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_blocks_of(1_000, monkeypatch)
    data = shuffled_seconds(*((n, n) for n in range(100)), (100, 50), (101, 101))
    done = landed(yard, data).normalize()["trade_tick"]
    assert done.verdict.rows.rows_out == 102
    assert done.status is Status.PARTIAL
    assert yard.frame()["ts_init"].is_sorted()


def test_the_frame_is_the_one_that_its_verdict_names(yard: Yard) -> None:
    done = landed(yard, CLEAN).normalize()["trade_tick"]
    digest = ContentDigest("BTCUSDT-PERP.BINANCE")
    digest.add(yard.frame())
    assert done.verdict.content_digest == digest.hexdigest()
    assert done.verdict.frame_sha256 == sha256_of(yard.frame_path())
    assert done.verdict.raw_sha256 == [yard.raw().sha256]
    assert frame_metadata(yard.frame_path()) == {
        "hedgegrid.schema": "2",
        "hedgegrid.series": "binance/aggTrade",
        "hedgegrid.raw_sha256": yard.raw().sha256,
        "hedgegrid.code_version": done.verdict.code_version,
    }


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    cuts=st.lists(st.integers(0, 120), max_size=6).map(sorted),
    nulls=st.sets(st.integers(0, 119), max_size=20),
    filled_from=st.integers(0, 120),
)
def test_the_content_digest_does_not_depend_on_how_the_rows_are_cut(
    cuts: list[int], nulls: set[int], filled_from: int
) -> None:
    def digest_of(*parts: pl.DataFrame) -> str:
        digest = ContentDigest("X.Y")
        for part in parts:
            digest.add(part)
        return digest.hexdigest()

    numbers = pl.int_range(120, eager=True)
    whole = pl.DataFrame(
        {
            "ts_init": numbers,
            "id": numbers.cast(pl.String),
            "price": numbers.cast(pl.Decimal(38, 4)),
            "first": pl.Series([None if n in nulls else n for n in range(120)], dtype=pl.Int64),
            "late": pl.Series([None if n < filled_from else n for n in range(120)], dtype=pl.Int64),
            "never": pl.Series([None] * 120, dtype=pl.Int64),
        }
    )
    edges = [0, *cuts, 120]
    parts = [whole.slice(a, b - a) for a, b in pairwise(edges) if b > a]
    assert digest_of(*parts) == digest_of(whole) == _digest_by_hand(whole)
    assert digest_of(whole.with_columns(first=pl.col("first").shift(1))) != digest_of(whole)


def _digest_by_hand(frame: pl.DataFrame) -> str:
    """Of a frame of texts and integers: sha256 of a column's bytes, of the lengths of its texts, and of the numbers of null rows."""

    def of(column: pl.Series) -> str:
        kind = str(column.dtype).replace("Decimal(precision=38, scale=4)", "decimal4")
        width = 16 if kind == "decimal4" else 8
        each = [
            value if isinstance(value, str) else int((value or 0) * (10**4 if width == 16 else 1)) for value in column
        ]
        texts = [value for value in each if isinstance(value, str)]
        values = b"".join(v.encode() if isinstance(v, str) else v.to_bytes(width, "little", signed=True) for v in each)
        lengths = b"".join(len(text).to_bytes(4, "little") for text in texts)
        nulls = b"".join(row.to_bytes(8, "little") for row, value in enumerate(column) if value is None)
        return "|".join([column.name, kind, *(hashlib.sha256(part).hexdigest() for part in (values, lengths, nulls))])

    told = [of(column) for column in sorted(frame.get_columns(), key=lambda column: column.name)]
    return hashlib.sha256("\n".join([f"X.Y|{len(frame)}", *told]).encode()).hexdigest()


def test_a_column_that_came_later_counts_in_a_digest_once_it_says_anything() -> None:
    whole = pl.DataFrame({"ts_init": [1, 2, 3, 4, 5], "number": pl.Series([None, None, None, 7, 8], dtype=pl.Int64)})

    def digest_of(*parts: pl.DataFrame) -> str:
        digest = ContentDigest("X.Y", {"number"})
        for part in parts:
            digest.add(part)
        return digest.hexdigest()

    assert digest_of(whole.head(3), whole.slice(3, 1), whole.tail(1)) == digest_of(whole) == _digest_by_hand(whole)
    silent = whole.with_columns(number=pl.lit(None, pl.Int64))
    assert digest_of(silent.head(2), silent.slice(2)) == digest_of(whole.drop("number")) != digest_of(whole)


def test_a_column_that_came_later_is_begun_with_all_rows_before_it_said_anything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hedgegrid_assets.stages.digest._AT_ONCE", 7)
    whole = pl.DataFrame({"ts_init": range(30), "number": pl.Series([*[None] * 20, *range(10)], dtype=pl.Int64)})
    digest = ContentDigest("X.Y", {"number"})
    for first in range(0, 30, 5):
        digest.add(whole.slice(first, 5))
    assert digest.hexdigest() == _digest_by_hand(whole)


def changes_of(frame: pl.DataFrame) -> dict[str, Callable[[], pl.DataFrame]]:
    swapped = pl.concat([frame.slice(1, 1), frame.slice(0, 1), frame.slice(2)])
    return {
        "a price": lambda: frame.with_columns(price=pl.col("price") + Decimal("0.01")),
        "a side": lambda: frame.with_columns(aggressor_side=pl.lit("BUYER", frame.schema["aggressor_side"])),
        "an id": lambda: frame.with_columns(trade_id=pl.col("trade_id") + "0"),
        "a border between ids": lambda: frame.with_columns(
            trade_id=pl.Series(["10001", "001", *frame["trade_id"][2:]])
        ),
        "a null": lambda: frame.with_columns(first_trade_id=pl.lit(None, pl.Int64)),
        "the order": lambda: swapped,
        "a row less": lambda: frame.head(39),
        "the scale": lambda: frame.with_columns(pl.col("price").cast(pl.Decimal(38, 3))),
    }


@pytest.mark.parametrize("name", changes_of(pl.DataFrame({"aggressor_side": [], "trade_id": []})))
def test_the_content_digest_tells_every_change(yard: Yard, name: str) -> None:
    landed(yard, CLEAN).normalize()
    first, second = ContentDigest("X.Y"), ContentDigest("X.Y")
    first.add(yard.frame())
    second.add(changes_of(yard.frame())[name]())
    assert first.hexdigest() != second.hexdigest()


# ---------------------------------------------------------------- what cannot be trusted


def test_a_raw_file_that_is_not_the_one_of_its_manifest_is_refused(yard: Yard) -> None:
    landed(yard, CLEAN)
    path = local_file(yard.raw().path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(RawDamaged):
        yard.normalize()
    assert yard.files("catalog") == {}


def test_a_file_that_is_odd_all_over_is_refused(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(normalize, "ODD_LINES_CAP", 50)
    landed(yard, b"".join(line(agg_trade(n, BAD_MS + n, x={"y": n})) for n in range(60)))
    with pytest.raises(TooManyOddLines, match="more than 50 lines"):
        yard.normalize()
    assert yard.files("catalog") == {}


def test_nothing_half_written_stays_behind(yard: Yard) -> None:
    landed(yard, CLEAN)
    stored(yard)
    assert not list(yard.places.catalog_temp.iterdir())


# ---------------------------------------------------------------- frames as users read them


def test_a_stored_frame_has_the_types_that_it_promises(yard: Yard) -> None:
    landed(yard, CLEAN)
    stored(yard)
    text = pa.dictionary(pa.int32(), pa.string())
    time = pa.timestamp("ns", "UTC")
    wanted = {
        "trade_tick": {
            "instrument_id": text,
            "ts_event": time,
            "ts_init": time,
            "price": pa.decimal128(18, 2),
            "size": pa.decimal128(18, 3),
            "aggressor_side": text,
            "trade_id": pa.string(),
            "first_trade_id": pa.int64(),
            "last_trade_id": pa.int64(),
            "raw_row": pa.uint32(),
        },
        "mark_price_update": {
            "instrument_id": text,
            "ts_event": time,
            "ts_init": time,
            "mark_price": pa.decimal128(18, 8),
            "raw_row": pa.uint32(),
        },
        "index_price_update": {
            "instrument_id": text,
            "ts_event": time,
            "ts_init": time,
            "index_price": pa.decimal128(18, 8),
            "raw_row": pa.uint32(),
        },
        "funding_rate_update": {
            "instrument_id": text,
            "ts_event": time,
            "ts_init": time,
            "funding_rate": pa.decimal128(38, 28),
            "predicted_funding_rate": pa.decimal128(38, 28),
            "next_funding_time": time,
            "interval_minutes": pa.uint16(),
            "is_settlement": pa.bool_(),
            "raw_row": pa.uint32(),
        },
    }
    assert wanted.keys() == {name for name, table in TABLES.items() if table.default}
    for name in wanted:
        schema = pq.read_schema(yard.frame_path(name))
        assert dict(zip(schema.names, schema.types, strict=True)) == wanted[name]


def test_pandas_reads_the_folder_of_daily_files_as_one_table(yard: Yard) -> None:
    landed(yard, VARIANTS["over midnight"].data).normalize()
    yard.normalize(day=NEXT_DAY)
    frame = pd.read_parquet(yard.frame_path().parent)
    assert len(frame) == 41
    assert set(frame["instrument_id"]) == {"BTCUSDT-PERP.BINANCE"}
    assert frame["ts_init"].dt.tz is not None


@pytest.mark.parametrize("table", ["trade_tick", "trades"])
def test_read_frame_gives_floats_or_exact_decimals_of_the_days_asked_for(yard: Yard, table: str) -> None:
    landed(yard, VARIANTS["over midnight"].data).normalize()
    yard.normalize(day=NEXT_DAY, precisions=Precisions(4, 3, 8))
    catalog = yard.places.catalog
    frame = read_frame("BTCUSDT-PERP.BINANCE", table, catalog=catalog)
    assert (len(frame), frame["price"].dtype) == (41, "float64")
    exact = read_frame("BTCUSDT-PERP.BINANCE", table, "2024-01-01", "2024-01-02", catalog=catalog, decimals="exact")
    assert (len(exact), exact["price"][1]) == (40, Decimal("42014.10"))
    assert exact["ts_event"][0] == pd.Timestamp("2024-01-01T00:00:05Z")


def test_read_frame_refuses_what_it_does_not_know(yard: Yard) -> None:
    with pytest.raises(UsageError, match="unknown table"):
        read_frame("X.Y", "candles", catalog=yard.places.catalog)
    with pytest.raises(UsageError, match="start is not a date"):
        read_frame("X.Y", "trades", "1.1.2024", catalog=yard.places.catalog)


def test_a_frame_is_current_until_its_raw_day_or_its_recipe_changes(yard: Yard) -> None:
    landed(yard, CLEAN).normalize()
    recipe = normalize.Recipe(yard_source(), yard_channel(), PRECISIONS, {})
    table, day = TABLES["trade_tick"], InstrumentDay("BTCUSDT-PERP.BINANCE", yard.raw().key.day)
    assert normalize.is_current(yard.places, day, table, yard.raw(), recipe)
    newer = replace(yard_source(), code_version=yard_source().code_version + 1)
    others = {
        "other precisions of its instrument": replace(recipe, precisions=WIDE),
        "other thresholds": replace(recipe, thresholds={"trade_tick": Thresholds(gap_seconds=5.0)}),
        f"made by {recipe.code_version(table)}, now {replace(recipe, source=newer).code_version(table)}": replace(
            recipe, source=newer
        ),
        "made from binance/aggTrade, now binance/trade": replace(
            recipe, channel=replace(yard_channel(), series="binance/trade")
        ),
    }
    for why, other in others.items():
        assert normalize.stale_because(yard.places, day, table, yard.raw(), other) == why
    landed(yard, CLEAN + line(agg_trade(1040, BAD_MS), received(MIDNIGHT_MS + DAY_MS - 1_000)))
    assert normalize.stale_because(yard.places, day, table, yard.raw(), recipe) == "other raw data"
    yard.places.verdict(day.instrument_id, table.folder, day.date).unlink()
    assert normalize.stale_because(yard.places, day, table, yard.raw(), recipe) == normalize.NOT_MADE


def yard_source() -> Source:
    from hedgegrid_assets.sources.websocket import SOURCE

    return SOURCE


def yard_channel() -> Channel:
    return yard_source().channels[0]


def test_lines_of_the_landing_file_are_found_from_the_frame(yard: Yard) -> None:
    landed(yard, CLEAN).normalize()
    lines = lines_of(yard.places.landing / "websocket" / "capture.jsonl")
    for row in yard.frame().iter_rows(named=True):
        _, number = origins_of(yard.raw())[row["raw_row"]]
        assert f'"a":{row["trade_id"]},'.encode() in lines[number - 1]
