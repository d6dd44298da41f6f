"""Sides in codes and sides of the maker: said, known of the venue, or refused; never one side alone."""

import json
from pathlib import Path
from typing import Any

import pytest

from hedgegrid_assets.errors import SidesUnknown, UsageError
from hedgegrid_assets_tests.csv_cases import convert, frame, rejects, write

HEADER = "time,price,size,side,id\n"


def trades(*sides: str) -> str:
    return HEADER + "".join(f"{1704067200 + n},1.5,2,{side},{n}\n" for n, side in enumerate(sides))


def config(tmp_path: Path, **more: Any) -> dict[str, Any]:
    return {"base_path": str(tmp_path), "files": {"trades": {"file_path": "t.csv", **more}}}


def sides(tmp_path: Path, instrument: str = "BTCUSDT-PERP.BINANCE") -> list[str]:
    return [str(side) for side in frame(tmp_path, instrument=instrument)["aggressor_side"]]


@pytest.mark.parametrize(
    ("codes", "named"),
    [
        (("1", "2"), ["1", "2"]),
        (("2", "1"), ["1", "2"]),
        (("0", "1"), ["0", "1"]),
        (("A", "B"), ["a", "b"]),
        (("1", "1"), ["1"]),
        (("x", "y"), ["x", "y"]),
        (("up", "up"), ["up"]),
        (("buy", "liquidated"), ["buy", "liquidated"]),
        (("buy", "sell", *("taker_buy",) * 5), ["buy", "sell", "taker_buy"]),
        (("1", "2") * 5_000, ["1", "2"]),
    ],
)
def test_codes_that_nobody_knows_are_refused_at_any_size(
    tmp_path: Path, codes: tuple[str, ...], named: list[str]
) -> None:
    path = write(tmp_path, "t.csv", trades(*codes))
    with pytest.raises(SidesUnknown, match=r"column side\).*expected buy and sell") as caught:
        convert(tmp_path, path)
    assert caught.value.details["values"] == named
    example = json.loads(caught.value.hint[caught.value.hint.index("{") :])
    example["files"]["trades"]["sides"] = dict(zip(named, ("buy", "sell", "buy"), strict=False))
    assert convert(tmp_path, config={"base_path": str(tmp_path), **example}).ok
    assert set(sides(tmp_path)) <= {"BUYER", "SELLER"}


def test_a_broken_cell_among_both_sides_stays_a_reject(tmp_path: Path) -> None:
    convert(tmp_path, write(tmp_path, "t.csv", trades("buy", "sell", "hold", "")))
    assert sides(tmp_path) == ["BUYER", "SELLER"]
    assert rejects(tmp_path) == [(4, "missing_side"), (5, "missing_side")]


@pytest.mark.parametrize("where", ["file", "top"])
def test_what_the_user_says_of_the_codes_holds(tmp_path: Path, where: str) -> None:
    write(tmp_path, "t.csv", trades("1", "2", "3"))
    said = {"sides": {"1": "sell", "2": "buy", "3": "none"}}
    given = config(tmp_path, **said) if where == "file" else config(tmp_path) | said
    assert convert(tmp_path, config=given).ok
    assert sides(tmp_path) == ["SELLER", "BUYER", "NO_AGGRESSOR"]


def test_a_code_that_the_user_left_out_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "t.csv", trades("1", "2", "1", "2"))
    with pytest.raises(SidesUnknown):
        convert(tmp_path, config=config(tmp_path, sides={"1": "buy"}))


@pytest.mark.parametrize(("side_is", "found"), [("taker", ["BUYER", "SELLER"]), ("maker", ["SELLER", "BUYER"])])
@pytest.mark.parametrize("said", [None, {"x": "buy", "y": "sell"}])
def test_a_makers_side_is_turned(tmp_path: Path, side_is: str, found: list[str], said: dict[str, str] | None) -> None:
    write(tmp_path, "t.csv", trades("x", "y") if said else trades("buy", "sell"))
    more: dict[str, Any] = {"side_is": side_is} | ({"sides": said} if said else {})
    convert(tmp_path, config=config(tmp_path, **more))
    assert sides(tmp_path) == found


@pytest.mark.parametrize(
    ("codes", "side_is", "found", "told"),
    [
        (("1", "-1"), "taker", ["BUYER", "SELLER"], "side: 1 is taken as buy and -1 as sell"),
        (("-1.0", "+1"), "maker", ["BUYER", "SELLER"], "side: -1.0 is taken as buy and +1 as sell"),
        (("-1", "-1"), "taker", ["SELLER", "SELLER"], "side: -1 is taken as sell"),
    ],
)
def test_numbers_that_are_taken_as_sides_are_told(
    tmp_path: Path, codes: tuple[str, ...], side_is: str, found: list[str], told: str
) -> None:
    write(tmp_path, "t.csv", trades(*codes))
    done = convert(tmp_path, config=config(tmp_path, side_is=side_is))
    assert sides(tmp_path) == found
    assert [note for note in done.notes if "taken as" in note and "side" in note] == [
        f'{tmp_path}/t.csv: {told} ("sides" in the file of --config says it otherwise)'
    ]
    given = config(tmp_path, sides={"1": "buy", "-1": "sell", "+1": "buy", "-1.0": "sell"})
    assert not any("taken as" in note and "side" in note for note in convert(tmp_path, config=given).notes)


def test_the_sign_of_a_makers_size_is_turned_as_well(tmp_path: Path) -> None:
    write(tmp_path, "t.csv", "time,price,size\n1704067200,1.5,2\n1704067201,1.5,-2\n")
    convert(tmp_path, config=config(tmp_path, side_is="maker"))
    assert sides(tmp_path) == ["SELLER", "BUYER"]


@pytest.mark.parametrize("key", [{"sides": {"1": "buy"}}, {"side_is": "maker"}])
@pytest.mark.parametrize("header", ["time,price,size,is_buyer_maker", "time,price,size,note"])
def test_what_is_said_of_sides_that_are_not_there_is_a_usage_error(
    tmp_path: Path, header: str, key: dict[str, Any]
) -> None:
    write(tmp_path, "t.csv", f"{header}\n1704067200,1.5,2,true\n")
    with pytest.raises(UsageError, match=f"{next(iter(key))} cannot be used"):
        convert(tmp_path, config=config(tmp_path, **key))


def test_a_flag_of_no_known_word_is_refused_too(tmp_path: Path) -> None:
    text = "time,price,size,is_buyer_maker\n1704067200,1.5,2,oui\n1704067201,1.5,2,non\n"
    with pytest.raises(SidesUnknown, match="is_buyer_maker"):
        convert(tmp_path, write(tmp_path, "t.csv", text))


def test_what_is_no_side_is_no_configuration(tmp_path: Path) -> None:
    write(tmp_path, "t.csv", trades("1", "2"))
    wrongs: list[dict[str, Any]] = [{"sides": {"1": "long"}}, {"sides": dict[str, str]()}, {"side_is": "both"}]
    for wrong in wrongs:
        with pytest.raises(UsageError, match="side"):
            convert(tmp_path, config=config(tmp_path, **wrong))


def test_the_side_of_coinbases_trades_is_the_makers(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", trades("buy", "sell"))
    done = convert(tmp_path, path, symbol="BTC-USD", exchange="COINBASE")
    assert sides(tmp_path, "BTC-USD.COINBASE") == ["SELLER", "BUYER"]
    assert any("maker's side at COINBASE" in note for note in done.notes)


@pytest.mark.parametrize("column", ["taker_side", "aggressor_side"])
def test_a_column_of_the_takers_side_is_not_turned(tmp_path: Path, column: str) -> None:
    path = write(tmp_path, "t.csv", trades("buy", "sell").replace("side", column))
    convert(tmp_path, path, symbol="BTC-USD", exchange="COINBASE")
    assert sides(tmp_path, "BTC-USD.COINBASE") == ["BUYER", "SELLER"]


def test_tools_that_turn_the_side_themselves_are_believed(tmp_path: Path) -> None:
    text = "timestamp,local_timestamp,id,side,price,amount\n1704067200000000,1704067200000001,1,buy,1.5,2\n"
    convert(tmp_path, write(tmp_path, "t.csv", text), symbol="BTC-USD", exchange="COINBASE")
    assert sides(tmp_path, "BTC-USD.COINBASE") == ["BUYER"]


def test_what_is_said_afterwards_is_done_on_the_next_run_without_force(tmp_path: Path) -> None:
    write(tmp_path, "t.csv", trades("buy", "sell"))
    nothing: dict[str, str] = {}
    for more, found in (
        (nothing, ["SELLER", "BUYER"]),
        ({"side_is": "taker"}, ["BUYER", "SELLER"]),
        ({"side_is": "maker"}, ["SELLER", "BUYER"]),
    ):
        convert(tmp_path, config=config(tmp_path, **more), symbol="BTC-USD", exchange="COINBASE")
        assert sides(tmp_path, "BTC-USD.COINBASE") == found
    again = convert(tmp_path, config=config(tmp_path, side_is="maker"), symbol="BTC-USD", exchange="COINBASE")
    assert all(day.skipped for day in again.days)
