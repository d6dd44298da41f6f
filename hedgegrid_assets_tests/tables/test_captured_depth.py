"""Order books from captured streams: updates chained by their numbers around snapshots that were fetched beside them."""

import gzip
import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from nautilus_trader.model.book import OrderBook
from nautilus_trader.model.data import OrderBookDelta
from nautilus_trader.model.enums import BookType
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from hedgegrid_assets.cli import run
from hedgegrid_assets.inspect.validation import validate_catalog
from hedgegrid_assets.model import LOOKED_AT, InstrumentDay
from hedgegrid_assets.stages.verdict import read_verdict
from hedgegrid_assets.store import Places, plain
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets_tests.scenario import DAY, MIDNIGHT_MS

pytestmark = pytest.mark.usefixtures("workdir")

ID: Final = "BTCUSDT-PERP.BINANCE"
CAPTURES: Final = Path(__file__).parents[3] / "shared/data/captures"
CAPTURE: Final = CAPTURES / "binance-usdm_ethusdt_2024-08-08.jsonl.gz"
needs_captures = pytest.mark.skipif(not CAPTURE.exists(), reason="needs ../shared/data")

type Levels = Sequence[tuple[str, str]]


def stamped(second: float, message: dict[str, Any]) -> str:
    at = int((MIDNIGHT_MS + second * 1_000) * 1_000_000)
    return f"{at} {json.dumps(message, separators=(',', ':'))}\n"


def update(
    number: int, bids: Levels = (), asks: Levels = (), *, at: float | None = None, spot: bool = False, **changed: Any
) -> str:
    """The message of this number: changes ``10 n + 1`` to ``10 n + 10``."""
    ms = MIDNIGHT_MS + number * 1_000
    times = {"E": ms} if spot else {"E": ms, "T": ms - 1}
    ids = {"U": 10 * number + 1, "u": 10 * number + 10}
    if not spot:
        ids["pu"] = 10 * number
    message = {"e": "depthUpdate", **times, "s": "BTCUSDT", **ids, "b": [*map(list, bids)], "a": [*map(list, asks)]}
    return stamped(number + 0.02 if at is None else at, {"stream": "btcusdt@depth@100ms", "data": message | changed})


def snapshot(last: int, at: float, bids: Levels, asks: Levels, *, wrapped: bool = True) -> str:
    body = {"lastUpdateId": last, "bids": [*map(list, bids)], "asks": [*map(list, asks)]}
    return stamped(at, {"stream": "btcusdt@depthSnapshot", "generated": True, "data": body} if wrapped else body)


def replay(*lines: str, more: Sequence[str] = ()) -> int:
    Path("d.jsonl").write_text("".join(lines))
    command = ["replay-to-parquet", "--source", "websocket", "--symbol", "BTCUSDT", "--input", "d.jsonl"]
    return run([*command, "--data-types", "deltas", "-q", *more])


def deltas(instrument_id: str = ID, catalog: str = "data/catalog") -> list[OrderBookDelta]:
    return list(ParquetDataCatalog(str(Path(catalog).resolve())).order_book_deltas(instrument_ids=[instrument_id]))


def told(catalog: str = "data/catalog") -> list[str]:
    """Action, price, size, sequence and flags of each row, shortly."""
    return [
        f"{each.action.name} {each.order.price.as_decimal().normalize():f} {each.order.size.as_decimal().normalize():f} "
        f"{each.sequence} {each.flags}"
        for each in deltas(catalog=catalog)
    ]


def verdict(instrument_id: str = ID, day: Any = DAY) -> Any:
    places = Places(Path("data"), Path("data/catalog"))
    found = read_verdict(places, TABLES["order_book_deltas"], InstrumentDay(instrument_id, day))
    assert found is not None
    return plain(found)


def rule(name: str) -> Any:
    return next(answer for answer in verdict()["rules"] if answer["name"] == name)


BIDS: Final = (("99", "1"), ("98", "2"))
ASKS: Final = (("101", "1"), ("102", "2"))

# ---------------------------------------------------------------- snapshots and updates


def test_updates_that_a_snapshot_does_not_hold_yet_are_told_once_more_behind_it() -> None:
    lines = [update(1, [("97", "1")]), update(2, [("96", "1")]), update(3, [("95", "1")]), update(4, [("94", "1")])]
    assert replay(*lines, snapshot(30, 4.5, BIDS, ASKS), update(5, [("99", "0")], [("101", "5")])) == 0
    assert told() == [
        *("CLEAR 0 0 30 32", "ADD 99 1 30 32", "ADD 98 2 30 32", "ADD 101 1 30 32", "ADD 102 2 30 160"),
        *("UPDATE 96 1 30 128", "UPDATE 95 1 40 128", "UPDATE 94 1 50 128"),
        *("DELETE 99 0 60 0", "UPDATE 101 5 60 128"),
    ]
    again = [each for each in deltas() if each.sequence in {30, 40, 50}]
    assert {each.ts_init for each in again} == {int((MIDNIGHT_MS + 4_500) * 1_000_000)}
    assert rule("rows_conserved")["numbers"]["reshaped"] == {"before_snapshot": -4, "clears": 1, "told_again": 3}
    assert rule("sequence_continuous")["passed"]
    assert validate_catalog("data/catalog", deep=True).ok


def test_updates_that_a_snapshot_holds_already_are_left_out() -> None:
    lines = [
        snapshot(42, 0.5, BIDS, ASKS),
        update(1, [("97", "1")]),
        update(2, [("97", "2")]),
        update(3, [("97", "3")]),
    ]
    assert replay(*lines, update(4, [("97", "4")])) == 0
    assert told()[5:] == ["UPDATE 97 4 50 128"]
    assert rule("rows_conserved")["numbers"]["reshaped"] == {"clears": 1, "older_than_snapshot": -3}


@pytest.mark.parametrize("spot", [False, True])
def test_a_message_that_is_missing_is_a_break_at_futures_and_at_spot(spot: bool) -> None:
    lines = [snapshot(10, 0.5, BIDS, ASKS), *(update(number, [("97", "1")], spot=spot) for number in (1, 2, 4, 5))]
    assert replay(*lines) == 0
    assert (rule("sequence_continuous")["passed"], rule("sequence_continuous")["rows_failed"]) == (False, 1)
    assert replay(*lines, snapshot(60, 5.5, BIDS, ASKS), update(6, [("96", "1")], spot=spot), more=["--force"]) == 0
    assert rule("sequence_continuous")["numbers"]["breaks"] == 1


def test_ids_that_jump_between_messages_of_futures_are_no_break() -> None:
    lines = [update(1, [("97", "1")], U=13), update(2, [("97", "2")], U=29)]
    assert replay(snapshot(10, 0.5, BIDS, ASKS), *lines) == 0
    assert rule("sequence_continuous")["passed"]


def test_a_snapshot_older_than_the_stream_is_told_as_a_break() -> None:
    assert replay(update(5, [("97", "1")]), snapshot(12, 5.5, BIDS, ASKS), update(6, [("97", "2")])) == 0
    assert rule("sequence_continuous")["numbers"]["breaks"] == 1


@pytest.mark.parametrize(("late", "kept"), [(1, 4 << 30), (4, 4 << 30), (4, 0)])
def test_messages_that_stand_in_the_file_too_late_make_the_same_book(
    late: int, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [update(number, [(str(90 + number), "1")]) for number in range(1, 9)]
    lines.insert(3, snapshot(30, 3.5, BIDS, ASKS))
    assert replay(*lines, more=("--output", "in-order")) == 0
    monkeypatch.setattr("hedgegrid_assets.store.blocks.BLOCK_BYTES", 256)  # the book is made when the late one comes
    monkeypatch.setattr("hedgegrid_assets.stages.raw.kept.KEPT_BYTES", kept)  # of 0, the file is read once more
    assert replay(*lines[:late], *lines[late + 1 :], lines[late]) == 0
    assert told() == told("in-order")
    assert rule("nothing_cleaned")["numbers"]["out_of_order"] == 1
    assert rule("rows_conserved")["numbers"]["reshaped"] == {"before_snapshot": -3, "clears": 1, "told_again": 2}


def test_a_message_that_came_twice_after_a_reconnect_is_one() -> None:
    lines = [snapshot(10, 0.5, BIDS, ASKS), *(update(number, [("97", f"{number}")]) for number in (1, 2, 3))]
    assert replay(*lines, update(2, [("97", "2")], at=3.5), update(3, [("97", "3")], at=3.6)) == 0
    assert told()[5:] == ["UPDATE 97 1 20 128", "UPDATE 97 2 30 128", "UPDATE 97 3 40 128"]
    assert verdict()["rows"]["exact_duplicates"] == 2


def test_a_capture_without_any_snapshot_is_kept_and_said_so() -> None:
    assert replay(*(update(number, [("97", "1")]) for number in range(1, 86_400, 50))) == 0
    assert len(deltas()) == 1_728
    assert not rule("starts_with_snapshot")["passed"]
    assert verdict()["status"] == "degraded"


def test_a_snapshot_as_it_was_fetched_is_of_the_only_symbol_around_it() -> None:
    bare = snapshot(10, 0.5, BIDS, ASKS, wrapped=False)
    assert replay(bare, update(1, [("97", "1")])) == 0
    assert told()[0] == "CLEAR 0 0 10 32"
    other = update(1, [("7", "1")], s="ETHUSDT")
    assert replay(bare, update(1, [("97", "1")]), other, more=["--output", "two", "--force"]) == 0
    assert told("two") == ["UPDATE 97 1 20 128"]


def test_snapshots_of_nobody_in_a_file_that_turns_out_to_be_of_two_books_are_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    bare = snapshot(10, 0.5, BIDS, ASKS, wrapped=False)
    much = [update(1, [("97", "1")] * 1_000)] * 400
    assert sum(map(len, much)) > LOOKED_AT
    assert replay(bare, *much, update(1, [("7", "1")], s="ETHUSDT")) == 1
    assert "are all of BTCUSDT, and so are snapshots that name no symbol; later ones are of ETHUSDT" in " ".join(
        capsys.readouterr().err.split()
    )


@pytest.mark.parametrize("spot", [False, True])
@pytest.mark.parametrize("block", [1 << 20, 200])
def test_messages_without_levels_give_no_row_and_their_numbers_are_in_the_chain(
    block: int, spot: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hedgegrid_assets.store.blocks.BLOCK_BYTES", block)
    empty = [update(number, spot=spot) for number in (1, 3, 4, 5, 7)]
    filled = [update(number, [("97", "1"), ("96", "2")], spot=spot) for number in (2, 6)]
    lines = [snapshot(10, 0.5, BIDS, ASKS), empty[0], filled[0], *empty[1:4], filled[1], empty[4]]
    assert replay(*lines) == 0
    conserved = rule("rows_conserved")["numbers"]
    assert conserved["lines"] == {"in": 8, "rejected": 0, "with_rows": 3, "without_rows": 5}
    assert conserved["reshaped"] == {"clears": 1, "without_levels": -5}
    assert rule("sequence_continuous")["passed"]


@pytest.mark.parametrize("lost", [[2], [3], [4], [5], [3, 4], [2, 3, 4, 5]], ids=lambda lost: "-".join(map(str, lost)))
def test_a_message_that_is_missing_among_those_without_levels_is_a_break(lost: list[int]) -> None:
    messages = {number: update(number) for number in (2, 3, 4, 5)} | {6: update(6, [("96", "1"), ("95", "1")])}
    lines = [text for number, text in messages.items() if number not in lost]
    assert replay(snapshot(10, 0.5, BIDS, ASKS), update(1, [("97", "1")]), *lines) == 0
    assert rule("sequence_continuous")["numbers"]["breaks"] == 1


def test_an_empty_message_that_came_twice_is_one() -> None:
    assert replay(snapshot(10, 0.5, BIDS, ASKS), update(1), update(1, at=1.5), update(2, [("97", "1")])) == 0
    assert rule("nothing_cleaned")["numbers"]["exact_duplicates"] == 1
    assert rule("rows_conserved")["passed"]
    assert rule("sequence_continuous")["passed"]


def test_an_update_in_an_odd_spelling_is_read_all_the_same() -> None:
    odd = update(1, [("97", "1")]).replace(",", ", ").replace('"97"', '"9.7e1"')
    assert replay(snapshot(10, 0.5, BIDS, ASKS), odd, update(2, [("97", "0.000")])) == 0
    assert told()[5:] == ["UPDATE 97 1 20 128", "DELETE 97 0 30 128"]


@pytest.mark.parametrize(
    ("level", "reason"),
    [(["x", "1"], "bad_decimal"), (["97", "-1"], "negative"), (["0", "1"], "zero_price"), (["97"], "wrong_type")],
)
def test_a_level_that_can_be_none_is_rejected_with_its_reason(level: list[str], reason: str) -> None:
    assert replay(snapshot(10, 0.5, BIDS, ASKS), update(1, [level]), update(2, [("97", "1")])) == 0  # type: ignore[list-item]
    assert verdict()["rejects_by_reason"] == {reason: 1}


def test_books_are_made_only_where_they_are_asked_for() -> None:
    Path("d.jsonl").write_text(snapshot(10, 0.5, BIDS, ASKS) + update(1, [("97", "1")]))
    command = ["replay-to-parquet", "--source", "websocket", "--symbol", "BTCUSDT", "--input", "d.jsonl", "-q"]
    assert run(command) == 1
    assert not Path("data/raw/cli_websocket/depth").exists()


# ---------------------------------------------------------------- over midnight

SECONDS_A_DAY: Final = 86_400


def of_two_days() -> list[str]:
    """Updates of the last and the first seconds of two days; the only snapshot is of the first."""
    last = SECONDS_A_DAY - 3
    changes: list[tuple[int, Levels, Levels]] = [
        (last, [("97", "1")], []), (last + 1, [("99", "0"), ("97.5", "2")], []), (last + 2, [], [("101", "7")]),
        (last + 3, [("96", "5")], []), (last + 4, [("97.5", "0")], [("101", "0")]),
    ]  # fmt: skip
    return [snapshot(10 * last, last - 0.5, BIDS, ASKS), *(update(n, bids, asks) for n, bids, asks in changes)]


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_day_starts_with_the_book_of_the_day_before_as_a_snapshot_of_its_first_moment(jobs: str) -> None:
    assert replay(*of_two_days(), more=["--jobs", jobs]) == 0
    midnight = (MIDNIGHT_MS + SECONDS_A_DAY * 1_000) * 1_000_000
    second = [each for each in deltas() if each.ts_init >= midnight]
    last = 10 * SECONDS_A_DAY
    assert [
        f"{each.action.name} {each.order.price.as_decimal().normalize():f} {each.order.size.as_decimal().normalize():f} {each.flags}"
        for each in second
    ] == [
        *("CLEAR 0 0 32", "ADD 98 2 32", "ADD 97.5 2 32", "ADD 97 1 32", "ADD 101 7 32", "ADD 102 2 160"),
        *("UPDATE 96 5 128", "DELETE 97.5 0 0", "DELETE 101 0 128"),
    ]
    assert {(each.ts_init, each.ts_event) for each in second[:6]} == {(midnight, midnight)}
    assert {each.sequence for each in second[:6]} == {last}
    after = verdict(day=DAY + timedelta(days=1))
    rules = {answer["name"]: answer for answer in after["rules"]}
    assert rules["rows_conserved"]["numbers"]["reshaped"] == {"carried": 5, "clears": 1}
    assert rules["starts_with_snapshot"]["passed"]
    assert rules["starts_with_snapshot"]["numbers"] == {
        "carried": 5, "carried_from": str(DAY), "carried_sequence": last, "clears": 1
    }  # fmt: skip
    assert rules["sequence_continuous"]["passed"]
    assert after["began_with"] == verdict()["content_digest"]
    assert validate_catalog("data/catalog", deep=True).ok


@pytest.mark.parametrize("further", [False, True])
def test_the_book_that_is_carried_over_midnight_is_told_as_no_message_and_no_snapshot_of_the_venue(
    further: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    at = SECONDS_A_DAY + 2
    book: tuple[Levels, Levels] = [("98", "2"), ("97", "1"), ("96", "5")], [("102", "2")]
    assert replay(*of_two_days(), *([snapshot(10 * at + 5, at, *book)] if further else [])) == 0
    said = "0 breaks in their numbers, 0 times crossed, 0 times locked"
    drift = ", largest drift 0.0% at 1 further snapshot" if further else ""
    assert run(["validate", "data/catalog"]) == 0
    assert f"{6 + further} messages, {said}{drift}, spread" in " ".join(capsys.readouterr().out.split())
    assert run(["report", "data/catalog", "--output", "page.html"]) == 0
    assert f'"{2 + further} messages, {said}{drift}"' in Path("page.html").read_text()
    assert run(["reset-day", ID, str(DAY), "--yes", "-q"]) == 0
    run(["validate", "data/catalog"])
    assert f"{2 + further} messages, {said}{drift}, spread" in " ".join(capsys.readouterr().out.split())


def test_a_day_is_made_anew_when_the_book_that_it_goes_on_from_has_changed() -> None:
    lines = of_two_days()
    assert replay(*lines) == 0
    Path("d.jsonl").unlink()
    corrected = [lines[0], lines[1].replace('["97","1"]', '["97","3"]'), *lines[2:]]
    assert lines[1] != corrected[1]
    assert replay(*corrected) == 0
    midnight = (MIDNIGHT_MS + SECONDS_A_DAY * 1_000) * 1_000_000
    carried = {float(each.order.price): float(each.order.size) for each in deltas() if each.ts_init == midnight}
    assert carried[97.0] == 3.0
    assert verdict(day=DAY + timedelta(days=1))["began_with"] == verdict()["content_digest"]
    before = verdict(day=DAY + timedelta(days=1))
    assert run(["reset-day", ID, str(DAY), "--yes", "-q"]) == 0
    assert verdict(day=DAY + timedelta(days=1)) == before


def test_a_day_that_was_not_made_again_with_the_one_that_it_goes_on_from_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = of_two_days()
    first = [line for line in lines if int(line.partition(" ")[0]) < (MIDNIGHT_MS + SECONDS_A_DAY * 1_000) * 1_000_000]
    assert replay(*lines) == 0
    assert replay(first[0], first[1].replace('["97","1"]', '["97","3"]'), *first[2:], more=["--json"]) == 0
    after = DAY + timedelta(days=1)
    assert f"{ID} {after} order_book_deltas goes on from {DAY} as it was before" in capsys.readouterr().out
    assert run(["validate", "data/catalog"]) == 0
    assert f"{ID} order_book_deltas {after}: WARN it goes on from the day before" in " ".join(
        capsys.readouterr().out.split()
    )
    assert run(["doctor"]) == 1
    assert "goes on from another day before" in capsys.readouterr().out
    assert replay(*lines) == 0
    assert run(["doctor"]) == 0


def test_the_carried_book_does_not_count_as_arrived_at_once_where_clocks_differ() -> None:
    last, off = SECONDS_A_DAY - 3, 1.26
    lines = [snapshot(10 * last, last - 2, BIDS, ASKS)]
    lines += [update(n, [("96", str(n % 7 + 1))], at=n - off) for n in range(last, last + 12)]
    assert replay(*lines) == 0
    after = {answer["name"]: answer for answer in verdict(day=DAY + timedelta(days=1))["rules"]}
    assert after["rows_conserved"]["numbers"]["reshaped"]["carried"] > 0
    assert after["latency_plausible"]["passed"]
    assert after["latency_plausible"]["numbers"]["max_ms"] < 0


def test_a_message_that_is_missing_at_midnight_is_a_break_of_the_second_day() -> None:
    lines = of_two_days()
    assert replay(*lines[:4], *lines[5:]) == 0
    after = {answer["name"]: answer for answer in verdict(day=DAY + timedelta(days=1))["rules"]}
    assert after["sequence_continuous"]["numbers"]["breaks"] == 1


@pytest.mark.parametrize("spot", [False, True])
@pytest.mark.parametrize("lost", [(), (1,), (2,), (3,)], ids=str)
def test_messages_without_levels_around_midnight_are_in_the_chain_and_one_that_is_lost_breaks_it(
    lost: tuple[int, ...], spot: bool
) -> None:
    first = SECONDS_A_DAY - 3
    levels: dict[int, Levels] = {0: [("97", "1")], 4: [("96", "5")]}
    lines = [update(first + n, levels.get(n, ()), spot=spot) for n in range(5) if n not in lost]
    assert replay(snapshot(10 * first, first - 0.5, BIDS, ASKS), *lines) == 0
    after = verdict("BTCUSDT-PERP.BINANCE", DAY + timedelta(days=1))
    rules = {answer["name"]: answer for answer in after["rules"]}
    assert rules["sequence_continuous"]["numbers"]["breaks"] == len(lost)
    if not lost:
        assert rules["starts_with_snapshot"]["numbers"]["carried_sequence"] == 10 * SECONDS_A_DAY
    assert validate_catalog("data/catalog", deep=True).ok


def test_a_message_without_levels_behind_a_snapshot_that_ends_a_day_is_in_the_chain() -> None:
    last = SECONDS_A_DAY - 1
    lines = [snapshot(10 * last - 10, last - 1.5, BIDS, ASKS), update(last - 1, [("97", "1")])]
    lines += [snapshot(10 * last + 5, last, BIDS, ASKS), update(last), update(last + 1, [("96", "5")])]
    assert replay(*lines) == 0
    rules = {answer["name"]: answer for answer in verdict(day=DAY + timedelta(days=1))["rules"]}
    assert rules["sequence_continuous"]["numbers"]["breaks"] == 0
    assert rules["starts_with_snapshot"]["numbers"]["carried_sequence"] == 10 * last + 10


def test_a_snapshot_of_the_first_moment_goes_before_the_book_that_is_carried() -> None:
    at = SECONDS_A_DAY
    real = snapshot(10 * at, at, [("1", "1")], [("2", "2")])
    assert replay(*of_two_days()[:4], real, *of_two_days()[4:]) == 0
    midnight = (MIDNIGHT_MS + SECONDS_A_DAY * 1_000) * 1_000_000
    second = [each for each in deltas() if each.ts_init >= midnight]
    assert [str(each.order.price) for each in second[1:3]] == ["1.0", "2.0"]


# ---------------------------------------------------------------- real captures


# ---------------------------------------------------------------- quotes of the same day


def quote(number: int, bid: str, ask: str, *, at: float) -> str:
    """Best prices as of an update."""
    ms = MIDNIGHT_MS + int(at * 1_000)
    message = {"e": "bookTicker", "u": number, "s": "BTCUSDT", "b": bid, "B": "1", "a": ask, "A": "1", "T": ms, "E": ms}
    return stamped(at + 0.01, {"stream": "btcusdt@bookTicker", "data": message})


BOOK: Final = [
    snapshot(10, 0.5, [("99", "1")], [("101", "1")]),
    update(1, [("100", "1")]),
    update(2, asks=[("101", "0"), ("102", "1")]),
    update(3, [("100", "0")]),
]


def with_quotes(*quotes: str) -> Any:
    """Numbers of the rule, of a capture that has these, too."""
    assert replay(*BOOK, *quotes, more=["--data-types", "quotes,deltas", "--force"]) == 0
    return rule("top_as_quoted")


def test_the_top_of_the_book_is_held_against_the_last_quote_until_each_message() -> None:
    right = [quote(10, "99", "101", at=0.4), quote(15, "100", "101", at=1), quote(28, "100", "102", at=2)]
    answer = with_quotes(*right)
    assert (answer["passed"], answer["numbers"]["compared"], answer["numbers"]["differ"]) == (True, 2, 0)
    assert with_quotes(*right, quote(40, "99", "102", at=3))["numbers"]["compared"] == 4


def test_a_book_that_is_not_what_was_quoted_is_degraded_and_the_first_difference_is_told() -> None:
    wrong = [quote(10, "99", "101", at=0.4), quote(15, "100", "101.5", at=1), quote(28, "100", "102", at=2)]
    answer = with_quotes(*wrong, quote(40, "99", "102", at=3))
    assert (answer["passed"], answer["rows_failed"]) == (False, 1)
    assert (answer["numbers"]["book"], answer["numbers"]["quoted"]) == ("100.0 / 101.0", "100.0 / 101.5")
    assert answer["numbers"]["first"].startswith("2024-01-01T00:00:01")
    assert verdict()["status"] in {"degraded", "partial"}


def test_a_book_is_held_against_quotes_that_come_later_and_is_not_where_they_have_no_numbers() -> None:
    assert replay(*BOOK) == 0
    assert rule("top_as_quoted")["passed"] is None
    unnumbered = quote(10, "99", "101", at=0.4).replace('"u":10,', "")
    assert with_quotes(unnumbered)["passed"] is None
    before = verdict()
    assert replay(*BOOK, unnumbered) == 0
    assert verdict() == before


def test_a_quote_of_an_older_update_than_the_one_before_is_told() -> None:
    with_quotes(quote(12, "99", "101", at=0.4), quote(11, "99", "100.5", at=0.6))
    path = Path(f"data/catalog/{ID}/quote_tick.verdict/{DAY}.json")
    answers = {answer["name"]: answer for answer in json.loads(path.read_text())["rules"]}
    assert (answers["updates_in_order"]["passed"], answers["updates_in_order"]["rows_failed"]) == (False, 1)


# ---------------------------------------------------------------- real captures


@needs_captures
@pytest.mark.slow
def test_a_real_capture_has_no_break_and_is_never_crossed_after_an_event() -> None:
    command = ["replay-to-parquet", "--source", "websocket", "--symbol", "ETHUSDT", "--data-types", "deltas", "-q"]
    assert run([*command, "--input", str(CAPTURE)]) == 0
    instrument = "ETHUSDT-PERP.BINANCE"
    found = deltas(instrument)
    states = [each for each in found if not each.flags & 32]
    assert len(states) == 428_411
    answers = {answer["name"]: answer for answer in verdict(instrument, "2024-08-08")["rules"]}
    assert answers["sequence_continuous"]["numbers"]["breaks"] == 0
    assert answers["book_not_crossed"]["numbers"]["crossed"] == 0
    assert answers["starts_with_snapshot"]["passed"]
    book = OrderBook(InstrumentId.from_str(instrument), BookType.L2_MBP)
    for each in found:
        book.apply_delta(each)
    bids, asks = replayed_by_hand()
    assert [(f"{level.price}", level.size()) for level in book.bids()[:50]] == top(bids, 50, reverse=True)
    assert [(f"{level.price}", level.size()) for level in book.asks()[:50]] == top(asks, 50, reverse=False)


def replayed_by_hand() -> tuple[dict[str, str], dict[str, str]]:
    """The book at the end of the capture, by a loop over its messages."""
    with gzip.open(CAPTURE, "rt") as lines:
        messages = [
            json.loads(line.partition(" ")[2]) for line in lines if "lastUpdateId" in line or "depthUpdate" in line
        ]
    body = next(message for message in messages if "lastUpdateId" in message)
    bids, asks = dict(body["bids"]), dict(body["asks"])
    for message in (each["data"] for each in messages if "data" in each):
        if message["u"] >= body["lastUpdateId"]:
            bids.update(message["b"])
            asks.update(message["a"])
    return ({price: size for price, size in side.items() if float(size)} for side in (bids, asks))  # type: ignore[return-value]


def top(side: dict[str, str], count: int, *, reverse: bool) -> list[tuple[str, float]]:
    return [(price, float(side[price])) for price in sorted(side, key=float, reverse=reverse)[:count]]


@needs_captures
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "symbol", "market"),
    [("binance-spot_ethusdt", "ETHUSDT", "spot"), ("binance-coinm_ethusd-perp", "ETHUSD_PERP", "coinm")],
)
def test_captures_of_other_markets_have_no_break_either(name: str, symbol: str, market: str) -> None:
    files = [str(CAPTURES / f"{name}_2024-08-0{day}.jsonl.gz") for day in (8, 9)]
    command = ["replay-to-parquet", "--source", "websocket", "--symbol", symbol, "--market", market, "-q"]
    for file in files:
        command += ["--input", file]
    assert run([*command, "--data-types", "quotes,deltas"]) == 0
    for path in Path("data/catalog").glob("*/order_book_delta.verdict/*.json"):
        told = json.loads(path.read_text())
        answers = {answer["name"]: answer for answer in told.get("held", told)["rules"]}
        assert answers["sequence_continuous"]["numbers"]["breaks"] == 0
        assert answers["book_not_crossed"]["numbers"]["crossed"] == 0
        assert answers["starts_with_snapshot"]["passed"]
        tops = answers["top_as_quoted"]["numbers"]
        assert tops["differ"] == 0
        assert tops["compared"] > 3_000
