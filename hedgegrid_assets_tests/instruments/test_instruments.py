"""Instruments: found, widened, kept, and written as Nautilus itself would write them."""

import json
import re
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nautilus_trader.model.identifiers import InstrumentId, Symbol
from nautilus_trader.model.instruments import CryptoFuture, CryptoPerpetual, CurrencyPair
from nautilus_trader.model.instruments import Instrument as NautilusInstrument
from nautilus_trader.model.objects import Currency, Money, Price, Quantity
from nautilus_trader.persistence.catalog import ParquetDataCatalog
from nautilus_trader.persistence.funcs import class_to_filename
from nautilus_trader.serialization.arrow.implementations.instruments import SCHEMAS, deserialize, serialize

import hedgegrid_assets
from hedgegrid_assets.errors import DataError, InstrumentUnknown, UsageError
from hedgegrid_assets.instruments import (
    Instrument,
    Kind,
    check_names,
    define,
    definitions_from,
    definitions_table,
    read_definitions,
    widen,
)
from hedgegrid_assets.stages.catalog.definitions import (
    CURRENCY_DECIMALS,
    INSTRUMENT_FOLDERS,
    NAUTILUS_FILE,
    NAUTILUS_SCHEMAS,
    nautilus_folder,
    nautilus_row,
    write_definition,
)

MARCH_29_0800 = 1_711_699_200_000_000_000

PERPETUAL = Instrument(
    id="BTCUSDT-PERP.BINANCE",
    raw_symbol="BTCUSDT",
    kind="crypto_perpetual",
    base="BTC",
    quote="USDT",
    settlement="USDT",
    is_inverse=False,
    price_precision=2,
    size_precision=3,
    mark_precision=8,
    price_increment="0.10",
    size_increment="0.001",
    lot_size="0.001",
    max_quantity="1000",
    min_quantity="0.001",
    max_notional="1000000.5",
    min_notional="5",
    max_price="1000000",
    min_price="556.72",
    margin_init="0.05",
    margin_maint="0.025",
    maker_fee="-0.00000005",
    taker_fee="0.0004",
    origin="feeds.yaml",
    fees_known=True,
)
UNICODE = msgspec.structs.replace(
    PERPETUAL,
    id="币安人生USDT-PERP.BINANCE",
    raw_symbol="币安人生USDT",
    base="币安人生",
    min_notional=None,
    max_price=None,
)
UNKNOWN_CURRENCY = define("AKROUSDT-PERP.BINANCE", "AKROUSDT", "usdm", None, {"price": 5, "size": 0, "mark": 8})
INVERSE = define("BTCUSD-PERP.BINANCE", "BTCUSD_PERP", "coinm", None, {"price": 1, "size": 0})
FUTURE = define("BTCUSDT_240329.BINANCE", "BTCUSDT_240329", "usdm", {"price_precision": 1, "size_precision": 3}, {})
STARTED_FUTURE = msgspec.structs.replace(FUTURE, activation_ns=1_600_000_000_000_000_000, max_notional="7.123456789")
SPOT = msgspec.structs.replace(
    define("BTC/XRP.SIM", "BTCXRP", "spot", None, {"price": 6, "size": 8}), min_notional="5", max_notional="0.0000015"
)
SPOT_IN_FIAT = msgspec.structs.replace(
    define("BTCTRY.BINANCE", "BTCTRY", "spot", None, {"price": 0, "size": 5}), min_notional="10.005", lot_size=None
)
NAMED = {
    "perpetual": PERPETUAL,
    "unicode": UNICODE,
    "unknown_currency": UNKNOWN_CURRENCY,
    "inverse": INVERSE,
    "future": FUTURE,
    "started_future": STARTED_FUTURE,
    "spot": SPOT,
    "spot_in_fiat": SPOT_IN_FIAT,
}
CLASSES = {"crypto_perpetual": CryptoPerpetual, "crypto_future": CryptoFuture, "currency_pair": CurrencyPair}

each_definition = pytest.mark.parametrize("instrument", NAMED.values(), ids=NAMED)


def made_by_nautilus(instrument: Instrument) -> NautilusInstrument:
    """The same definition through Nautilus' own constructors."""
    quote = Currency.from_str(instrument.quote)

    def quantity(text: str | None) -> Quantity | None:
        return None if text is None else Quantity.from_str(text)

    def price(text: str | None) -> Price | None:
        return None if text is None else Price.from_str(text)

    def money(text: str | None) -> Money | None:
        return None if text is None else Money.from_str(f"{text} {instrument.quote}")

    info: dict[str, Any] = {} if instrument.fees_known else {"fees": "unknown"}
    info |= {"mark_precision": instrument.mark_precision, "origin": instrument.origin}
    common = {
        "instrument_id": InstrumentId.from_str(instrument.id),
        "raw_symbol": Symbol(instrument.raw_symbol),
        "quote_currency": quote,
        "price_precision": instrument.price_precision,
        "size_precision": instrument.size_precision,
        "price_increment": price(instrument.price_increment),
        "size_increment": quantity(instrument.size_increment),
        "multiplier": quantity(instrument.multiplier),
        "lot_size": quantity(instrument.lot_size),
        "max_quantity": quantity(instrument.max_quantity),
        "min_quantity": quantity(instrument.min_quantity),
        "max_notional": money(instrument.max_notional),
        "min_notional": money(instrument.min_notional),
        "max_price": price(instrument.max_price),
        "min_price": price(instrument.min_price),
        "margin_init": Decimal(instrument.margin_init),
        "margin_maint": Decimal(instrument.margin_maint),
        "maker_fee": Decimal(instrument.maker_fee),
        "taker_fee": Decimal(instrument.taker_fee),
        "ts_event": 0,
        "ts_init": 0,
        "info": info,
    }
    base = Currency.from_str(instrument.base)
    if instrument.kind == "currency_pair":
        return CurrencyPair(base_currency=base, **common)
    settled = {"settlement_currency": Currency.from_str(instrument.settlement), "is_inverse": instrument.is_inverse}
    if instrument.kind == "crypto_perpetual":
        return CryptoPerpetual(base_currency=base, **settled, **common)
    times = {"activation_ns": instrument.activation_ns or 0, "expiration_ns": instrument.expiration_ns}
    return CryptoFuture(underlying=base, **settled, **times, **common)


def parquet_files(catalog: Path) -> list[str]:
    return sorted(str(path.relative_to(catalog)) for path in catalog.rglob("*.parquet"))


def stamps(catalog: Path) -> dict[str, tuple[int, int]]:
    return {
        name: ((catalog / name).stat().st_ino, (catalog / name).stat().st_mtime_ns) for name in parquet_files(catalog)
    }


# ---------------------------------------------------------------- Nautilus' rows


@each_definition
def test_the_row_is_the_one_nautilus_itself_writes(instrument: Instrument, tmp_path: Path) -> None:
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    ParquetDataCatalog(str(theirs)).write_data([made_by_nautilus(instrument)])
    write_definition(ours, instrument)

    place = f"data/{nautilus_folder(instrument)}/{NAUTILUS_FILE}"
    assert parquet_files(theirs) == [place]
    assert parquet_files(ours) == [place, "instruments.parquet"]
    expected, found = pq.ParquetFile(theirs / place).read(), pq.ParquetFile(ours / place).read()
    assert found.schema.equals(expected.schema, check_metadata=True)
    assert found.to_pylist() == expected.to_pylist()
    assert nautilus_row(instrument).schema.equals(expected.schema, check_metadata=True)
    assert nautilus_row(instrument).to_pylist() == expected.to_pylist()


@each_definition
def test_nautilus_reads_a_definition_back(instrument: Instrument, tmp_path: Path) -> None:
    write_definition(tmp_path, instrument)
    catalog = ParquetDataCatalog(str(tmp_path))
    (found,) = catalog.instruments()
    assert type(found) is CLASSES[instrument.kind]
    assert str(found.id) == instrument.id
    assert (found.price_precision, found.size_precision) == (instrument.price_precision, instrument.size_precision)
    assert (str(found.price_increment), str(found.size_increment)) == (
        instrument.price_increment,
        instrument.size_increment,
    )
    assert (found.ts_event, found.ts_init) == (0, 0)
    assert found.info["mark_precision"] == instrument.mark_precision
    assert found.to_dict(found) == made_by_nautilus(instrument).to_dict(made_by_nautilus(instrument))


def test_nautilus_finds_definitions_of_time_zero_by_id_by_class_and_up_to_any_end(tmp_path: Path) -> None:
    for instrument in (PERPETUAL, UNICODE, FUTURE, SPOT):
        write_definition(tmp_path, instrument)
    catalog = ParquetDataCatalog(str(tmp_path))
    assert len(catalog.instruments()) == 4
    for instrument in (PERPETUAL, UNICODE, FUTURE, SPOT):
        assert [str(found.id) for found in catalog.instruments(instrument_ids=[instrument.id])] == [instrument.id]
        assert [str(found.id) for found in catalog.instruments(instrument_ids=[instrument.id], end="2024-01-01")] == [
            instrument.id
        ]
    assert [str(found.id) for found in catalog.instruments(instrument_type=CryptoFuture)] == [FUTURE.id]
    assert catalog.instruments(instrument_ids=["ETHUSDT-PERP.BINANCE"]) == []
    assert catalog.get_intervals(CryptoPerpetual, PERPETUAL.id) == [(0, 0)]


@pytest.mark.parametrize(("kind", "cls"), CLASSES.items())
def test_the_frozen_schemas_are_nautilus_own(kind: Any, cls: type) -> None:
    expected = SCHEMAS[cls].with_metadata({"class": cls.__name__})
    assert NAUTILUS_SCHEMAS[kind].equals(expected, check_metadata=True)
    assert class_to_filename(cls) == kind


def test_the_folders_of_definitions_are_those_of_nautilus() -> None:
    assert set(INSTRUMENT_FOLDERS) == {class_to_filename(cls) for cls in SCHEMAS}


def test_money_has_the_decimals_that_nautilus_gives_its_currency() -> None:
    from nautilus_trader.model import currencies

    known = {value.code: value.precision for value in vars(currencies).values() if isinstance(value, Currency)}
    assert {code: decimals for code, decimals in known.items() if decimals != 8} == CURRENCY_DECIMALS
    assert Currency.from_str("SURELYNEW").precision == 8


def test_a_zero_fee_that_nobody_gave_is_marked_as_unknown() -> None:
    assert nautilus_row(UNKNOWN_CURRENCY)["info"].to_pylist() == [
        b'{"fees":"unknown","mark_precision":8,"origin":"inferred"}'
    ]
    assert nautilus_row(PERPETUAL)["info"].to_pylist() == [b'{"mark_precision":8,"origin":"feeds.yaml"}']


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"price_precision": 17, "price_increment": "0." + "0" * 16 + "1"}, "price_precision"),
        ({"mark_precision": -1}, "mark_precision"),
        ({"price_increment": "0.1"}, "price_increment expected 2 decimals"),
        ({"price_increment": "0.00"}, "price_increment expected more than 0"),
        ({"size_increment": "1e-3"}, "size_increment expected plain decimal text"),
        ({"multiplier": "0"}, "multiplier"),
        ({"lot_size": "-1"}, "lot_size"),
        ({"max_quantity": "34028236692093.1"}, "max_quantity"),
        ({"max_price": "17014118346047"}, "max_price"),
        ({"max_price": "1000000000000.0000000000000001"}, "max_price expected at most 28 digits"),
        ({"max_notional": "0.000000001"}, "max_notional"),
        ({"margin_init": "-0.1"}, "margin_init"),
        ({"min_price": "-0"}, "min_price"),
        ({"taker_fee": ""}, "taker_fee"),
        ({"id": "BTCUSDT"}, "id"),
        ({"id": "BTCUSDT.币安"}, "id"),
        ({"id": "/./"}, "id"),
        ({"base": " "}, "base"),
        ({"raw_symbol": "A\0B"}, "raw_symbol"),
        ({"kind": "crypto_future"}, "expiration_ns"),
        ({"kind": "crypto_future", "expiration_ns": -1}, "expiration_ns"),
    ],
)
def test_a_definition_that_nautilus_could_not_read_is_refused_by_name(
    change: dict[str, Any], named: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=named):
        write_definition(tmp_path, msgspec.structs.replace(PERPETUAL, **change))
    assert parquet_files(tmp_path) == []


def test_every_value_that_is_in_the_way_is_named_at_once() -> None:
    with pytest.raises(DataError) as caught:
        nautilus_row(msgspec.structs.replace(PERPETUAL, multiplier="0", max_price="no", base=""))
    problems = caught.value.details["problems"]
    assert isinstance(problems, list)
    assert [problem.split()[0] for problem in problems] == ["base", "multiplier", "max_price"]


def texts(*, least: int = 1, signed: bool = False) -> st.SearchStrategy[str]:
    sign = st.sampled_from(["", "-"]) if signed else st.just("")
    whole = st.one_of(st.integers(least, 9), st.integers(least, 17_014_118_346_045)).map(str)
    fraction = st.one_of(st.just(""), st.text("0123456789", min_size=1, max_size=16).map(lambda digits: "." + digits))
    return st.tuples(sign, whole, fraction).map("".join)


def increments(precision: int) -> st.SearchStrategy[str]:
    return st.integers(1, 999).map(lambda number: f"{Decimal(number).scaleb(-precision):.{precision}f}")


@st.composite
def definitions(draw: st.DrawFn) -> Instrument:
    """Mostly sound definitions, now and then one that has to be refused."""
    letters = st.characters(exclude_categories=["C", "Z"])
    names = st.one_of(
        st.sampled_from(["BTC", "USD", "XRP", "JPY", "AKRO", "币安人生", "4"]), st.text(letters, min_size=1, max_size=5)
    )
    price_precision, size_precision = draw(st.integers(0, 16)), draw(st.integers(0, 16))
    amounts = st.one_of(st.none(), texts())
    kind: Kind = draw(st.sampled_from(["crypto_perpetual", "crypto_future", "currency_pair"]))
    times = st.integers(0, 2**63 - 1)
    return Instrument(
        id=f"{draw(names)}{draw(names)}.{draw(st.sampled_from(['BINANCE', 'SIM', 'A B']))}",
        raw_symbol=draw(names),
        kind=kind,
        base=draw(names),
        quote=draw(names),
        settlement=draw(names),
        is_inverse=draw(st.booleans()),
        price_precision=price_precision,
        size_precision=size_precision,
        mark_precision=draw(st.integers(0, 16)),
        price_increment=draw(increments(price_precision)),
        size_increment=draw(increments(size_precision)),
        multiplier=draw(texts()),
        lot_size=draw(amounts),
        max_quantity=draw(amounts),
        min_quantity=draw(st.one_of(st.none(), texts(least=0))),
        max_notional=draw(amounts),
        min_notional=draw(st.one_of(st.none(), texts(least=0))),
        max_price=draw(amounts),
        min_price=draw(st.one_of(st.none(), texts(signed=True))),
        margin_init=draw(texts(least=0)),
        margin_maint=draw(texts(least=0)),
        maker_fee=draw(texts(signed=True, least=0)),
        taker_fee=draw(texts(signed=True, least=0)),
        activation_ns=draw(st.one_of(st.none(), times)),
        expiration_ns=draw(times) if kind == "crypto_future" else None,
        origin=draw(st.sampled_from(["feeds.yaml", "imported", "inferred"])),
        fees_known=draw(st.booleans()),
    )


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(definitions())
def test_what_we_do_not_refuse_is_what_nautilus_writes_and_reads(instrument: Instrument) -> None:
    try:
        ours = nautilus_row(instrument)
    except DataError:
        return
    theirs = pa.Table.from_batches([serialize(made_by_nautilus(instrument))])
    assert ours.schema.equals(theirs.schema, check_metadata=True)
    assert ours.to_pylist() == theirs.to_pylist()
    (read,) = deserialize(ours.to_batches()[0])
    assert str(read.price_increment) == instrument.price_increment


# ---------------------------------------------------------------- replacing and sharing


def test_a_later_definition_replaces_the_earlier_one_in_every_folder(tmp_path: Path) -> None:
    catalog = ParquetDataCatalog(str(tmp_path))
    foreign = msgspec.structs.replace(PERPETUAL, kind="crypto_future", activation_ns=1, expiration_ns=2)
    catalog.write_data([made_by_nautilus(foreign)])
    older = made_by_nautilus(PERPETUAL).to_dict(made_by_nautilus(PERPETUAL)) | {"ts_init": 1_700_000_000_000_000_000}
    catalog.write_data([CryptoPerpetual.from_dict(older)])
    trades = tmp_path / "data" / "trade_tick" / PERPETUAL.id / "day.parquet"
    trades.parent.mkdir(parents=True)
    trades.touch()
    assert len(catalog.instruments()) == 2

    write_definition(tmp_path, PERPETUAL)
    wider = widen(PERPETUAL, price_precision=3)
    assert write_definition(tmp_path, wider)

    (found,) = catalog.instruments()
    assert found.price_precision == 3
    assert read_definitions(tmp_path) == {wider.id: wider}
    assert trades.exists()
    assert not (tmp_path / "data" / "crypto_future" / PERPETUAL.id).exists()
    assert not list((tmp_path / ".hedgegrid" / "tmp").iterdir())


def test_the_same_definition_again_touches_nothing(tmp_path: Path) -> None:
    assert write_definition(tmp_path, PERPETUAL)
    assert write_definition(tmp_path, FUTURE)
    before = stamps(tmp_path)
    assert not write_definition(tmp_path, PERPETUAL)
    assert not write_definition(tmp_path, FUTURE)
    assert stamps(tmp_path) == before


def test_the_same_definitions_give_the_same_bytes_in_any_order(tmp_path: Path) -> None:
    definitions = [PERPETUAL, FUTURE, SPOT]
    for name, order in (("one", definitions), ("other", definitions[::-1])):
        for instrument in order:
            write_definition(tmp_path / name, instrument)
    names = parquet_files(tmp_path / "one")
    assert names == parquet_files(tmp_path / "other")
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes() for name in names)


def test_a_damaged_or_missing_half_is_written_again(tmp_path: Path) -> None:
    write_definition(tmp_path, PERPETUAL)
    file = tmp_path / "data" / nautilus_folder(PERPETUAL) / NAUTILUS_FILE
    whole = file.read_bytes()
    file.write_bytes(b"junk")
    assert write_definition(tmp_path, PERPETUAL)
    assert file.read_bytes() == whole
    (tmp_path / "instruments.parquet").unlink()
    assert write_definition(tmp_path, PERPETUAL)
    assert read_definitions(tmp_path) == {PERPETUAL.id: PERPETUAL}


def test_an_id_that_nautilus_confuses_with_another_is_not_written(tmp_path: Path) -> None:
    write_definition(tmp_path, msgspec.structs.replace(SPOT, id="BTC-USDT.OKX"))
    before = stamps(tmp_path)
    with pytest.raises(DataError, match=r"BTC-USDT\.OKX and BTC_USDT\.OKX"):
        write_definition(tmp_path, msgspec.structs.replace(SPOT, id="BTC_USDT.OKX"))
    assert stamps(tmp_path) == before


WRITER = """
import sys, time
from pathlib import Path
from hedgegrid_assets.stages.catalog.definitions import write_definition
from hedgegrid_assets.instruments import define
catalog, symbol = Path(sys.argv[1]), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
for precision in range(1, 13):
    decimals = {"price": precision, "size": 3}
    assert write_definition(catalog, define(f"{symbol}-PERP.BINANCE", symbol, "usdm", None, decimals))
"""


@pytest.mark.slow
def test_three_processes_writing_three_instruments_at_once_lose_nothing(tmp_path: Path) -> None:
    symbols = ["BTCUSDT", "ETHUSDT", "币安人生USDT"]
    writers = [
        subprocess.Popen(
            [sys.executable, "-X", "utf8", "-c", WRITER, str(tmp_path), symbol],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for symbol in symbols
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
    started = time.monotonic()
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"go\n")
        writer.stdin.flush()
    for writer in writers:
        _, errors = writer.communicate(timeout=60)
        assert writer.returncode == 0, errors.decode()
    assert time.monotonic() - started < 60

    ids = sorted(f"{symbol}-PERP.BINANCE" for symbol in symbols)
    found = ParquetDataCatalog(str(tmp_path)).instruments()
    assert sorted(str(instrument.id) for instrument in found) == ids
    assert {instrument.price_precision for instrument in found} == {12}
    assert list(read_definitions(tmp_path)) == ids
    assert {instrument.price_precision for instrument in read_definitions(tmp_path).values()} == {12}
    assert len(parquet_files(tmp_path)) == 4
    assert not list((tmp_path / ".hedgegrid" / "tmp").iterdir())


# ---------------------------------------------------------------- instruments.parquet


@pytest.mark.slow
@given(st.lists(definitions(), max_size=4))
@settings(max_examples=50, deadline=None)
def test_definitions_come_back_from_the_plain_table_as_they_were(instruments: list[Instrument]) -> None:
    assert definitions_from(definitions_table(instruments)) == sorted(instruments, key=lambda instrument: instrument.id)


def test_the_plain_table_holds_only_text_integers_and_flags() -> None:
    table = definitions_table(NAMED.values())
    assert table.column_names == [*Instrument.__struct_fields__]
    assert set(table.schema.types) == {pa.string(), pa.int64(), pa.bool_()}
    assert table["id"].to_pylist() == sorted(instrument.id for instrument in NAMED.values())


def test_a_catalog_without_definitions_has_none(tmp_path: Path) -> None:
    assert read_definitions(tmp_path / "nowhere") == {}


def test_a_table_of_something_else_is_no_definitions(tmp_path: Path) -> None:
    path = tmp_path / "instruments.parquet"
    path.write_bytes(b"junk")
    with pytest.raises(DataError, match=r"instruments\.parquet is no table of instrument definitions"):
        read_definitions(tmp_path)
    pq.write_table(
        definitions_table([PERPETUAL]).drop_columns(["quote", "kind"]).append_column("x", pa.array([1])), path
    )
    with pytest.raises(DataError, match="column kind missing, column quote missing, column x unknown"):
        write_definition(tmp_path, PERPETUAL)
    assert parquet_files(tmp_path) == ["instruments.parquet"]


# ---------------------------------------------------------------- define


def test_what_the_feed_says_beats_what_the_data_shows() -> None:
    override = {
        "price_precision": 2,
        "size_precision": 3,
        "mark_precision": 6,
        "maker_fee": 0.0002,
        "taker_fee": "0.0004",
    }
    found = define("BTCUSDT-PERP.BINANCE", "BTCUSDT", "usdm", override, {"price": 1, "size": 1, "mark": 8})
    assert found == define("BTCUSDT-PERP.BINANCE", "BTCUSDT", "usdm", SimpleNamespace(**override), {})
    assert (found.price_precision, found.size_precision, found.mark_precision) == (2, 3, 6)
    assert (found.price_increment, found.size_increment, found.lot_size) == ("0.01", "0.001", "0.001")
    assert (found.maker_fee, found.taker_fee, found.fees_known) == ("0.0002", "0.0004", True)
    assert found.origin == "feeds.yaml"


def test_what_the_feed_leaves_open_comes_from_the_data_and_is_called_inferred() -> None:
    found = define("SUSHIUSDT-PERP.BINANCE", "SUSHIUSDT", "usdm", {"price_precision": None}, {"price": 4, "size": 0})
    assert (found.price_precision, found.size_precision, found.mark_precision) == (4, 0, 8)
    assert (found.price_increment, found.size_increment) == ("0.0001", "1")
    assert (found.origin, found.fees_known, found.maker_fee) == ("inferred", False, "0")
    assert define("X.SIM", "XUSDT", "usdm", None, {"price": 4, "size": 0, "mark": 2}).mark_precision == 2


def test_an_increment_alone_says_the_precision() -> None:
    found = define(
        "BTCUSDT-PERP.BINANCE", "BTCUSDT", "usdm", {"price_increment": "0.50", "size_increment": 1e-3}, {"price": 7}
    )
    assert (found.price_precision, found.price_increment) == (2, "0.50")
    assert (found.size_precision, found.size_increment) == (3, "0.001")
    assert found.origin == "feeds.yaml"
    exponent = define("X.SIM", "XUSDT", "usdm", {"price_increment": "1.0E-3", "size_increment": 10}, {})
    assert (exponent.price_increment, exponent.size_increment) == ("0.001", "10")
    padded = define("X.SIM", "XUSDT", "usdm", {"price_increment": "0.5", "price_precision": 2}, {"size": 0})
    assert padded.price_increment == "0.50"


def test_a_precision_that_nobody_says_is_named() -> None:
    with pytest.raises(InstrumentUnknown, match="price and size precision neither given nor seen"):
        define("BTCUSDT-PERP.BINANCE", "BTCUSDT", "usdm", None, {"mark": 8})
    with pytest.raises(InstrumentUnknown, match=": size precision neither given nor seen"):
        define("BTCUSDT-PERP.BINANCE", "BTCUSDT", "usdm", {"price_precision": 2}, {})


def test_the_way_out_of_an_unseen_precision_is_one_that_works() -> None:
    with pytest.raises(InstrumentUnknown) as told:
        define("BTCUSDT-PERP.BINANCE", "BTCUSDT", "usdm", None, {"mark": 8})
    assert "--market" not in told.value.hint
    example = told.value.hint.partition("same keys): ")[2]
    said = json.loads(re.sub('"<decimals[^"]*"', "2", example))["instruments"]["BTCUSDT"]
    assert define("BTCUSDT-PERP.BINANCE", "BTCUSDT", "usdm", said, {"mark": 8}).price_precision == 2


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ({"price_increment": "0.01", "price_precision": 1}, "price_increment"),
        ({"price_increment": "0"}, "price_increment"),
        ({"size_increment": "a lot"}, "size_increment"),
        ({"maker_fee": "NaN"}, "maker_fee"),
        ({"price_precision": 17}, "price_precision"),
    ],
)
def test_an_override_that_cannot_be_used_is_refused_by_key(override: dict[str, Any], named: str) -> None:
    with pytest.raises(UsageError, match=f"^{named} of X.SIM cannot be used"):
        define("X.SIM", "XUSDT", "usdm", override, {"price": 2, "size": 2})


def test_data_finer_than_nautilus_holds_is_refused() -> None:
    with pytest.raises(DataError, match="expected at most 16 decimals, found 17"):
        define("X.SIM", "XUSDT", "usdm", None, {"price": 17, "size": 2})


def test_each_market_gives_its_class_and_settlement() -> None:
    assert (FUTURE.kind, FUTURE.expiration_ns, FUTURE.is_inverse) == ("crypto_future", MARCH_29_0800, False)
    assert (SPOT.kind, SPOT.settlement, SPOT.expiration_ns) == ("currency_pair", "XRP", None)
    assert (INVERSE.kind, INVERSE.settlement, INVERSE.is_inverse, INVERSE.multiplier) == (
        "crypto_perpetual",
        "BTC",
        True,
        "100",
    )
    assert define("ETHUSD-PERP.BINANCE", "ETHUSD_PERP", "coinm", None, {"price": 2, "size": 0}).multiplier == "10"
    assert define("ETHUSD.BYBIT", "ETHUSD", "coinm", None, {"price": 2, "size": 0}).multiplier == "1"


def test_given_currencies_need_no_known_symbol() -> None:
    found = define("A.SIM", "WHATEVER", "usdm", {"base": "A", "quote": "B"}, {"price": 1, "size": 1})
    assert (found.base, found.quote, found.settlement) == ("A", "B", "B")
    settled = define("A.SIM", "AUSDT", "usdm", {"settlement": "C"}, {"price": 1, "size": 1})
    assert (settled.base, settled.quote, settled.settlement) == ("A", "USDT", "C")


# ---------------------------------------------------------------- symbols and names


@pytest.mark.parametrize(
    "clashing",
    [
        ("BTC-USDT.OKX", "BTC_USDT.OKX"),
        ("BTC USDT.OKX", "BTC:USDT.OKX"),
        ("BTC^USDT.OKX", "BTC.USDT.OKX"),
        ("btcusdt.OKX", "BTCUSDT.OKX"),
        ("BTC/USDT.OKX", "BTCUSDT.OKX"),
    ],
)
def test_ids_that_nautilus_takes_for_one_are_refused_with_both_names(clashing: tuple[str, str]) -> None:
    with pytest.raises(DataError) as caught:
        check_names(["ETHUSDT.OKX", *clashing])
    assert all(instrument_id in caught.value.message for instrument_id in clashing)
    assert "ETHUSDT" not in caught.value.message


def test_different_ids_and_the_same_id_twice_are_fine() -> None:
    check_names(["BTCUSDT-PERP.BINANCE", "BTCUSDT.BINANCE", "BTC-USDT.BINANCE", "BTCUSDT.BINANCE"])


# ---------------------------------------------------------------- widening


def test_a_wider_price_gets_the_finer_tick_and_leaves_the_rest() -> None:
    assert widen(PERPETUAL, price_precision=4) == msgspec.structs.replace(
        PERPETUAL, price_precision=4, price_increment="0.0001"
    )
    assert widen(PERPETUAL, mark_precision=10) == msgspec.structs.replace(PERPETUAL, mark_precision=10)


def test_a_wider_size_takes_the_lot_along_where_the_lot_was_the_step() -> None:
    wider = widen(PERPETUAL, size_precision=16)
    assert (wider.size_precision, wider.size_increment, wider.lot_size) == (
        16,
        "0.0000000000000001",
        "0.0000000000000001",
    )
    assert widen(msgspec.structs.replace(PERPETUAL, lot_size="1"), size_precision=4).lot_size == "1"


def test_widening_to_what_is_there_changes_nothing() -> None:
    assert widen(PERPETUAL, price_precision=2, size_precision=3, mark_precision=8) == PERPETUAL


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"price_precision": 1}, "--price-precision expected 2 to 16, found 1"),
        ({"size_precision": 17, "mark_precision": 7}, "--size-precision expected 3 to 16, found 17; --mark-precision"),
        ({}, "expected a precision, found none"),
    ],
)
def test_a_precision_never_shrinks(asked: dict[str, int], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        widen(PERPETUAL, **asked)


def test_parquet_in_bytes_is_read_without_threads() -> None:
    """A thread of Arrow that lets go of Python's bytes while the process ends would abort it, after its work is done."""
    for path in Path(hedgegrid_assets.__file__).parent.rglob("*.py"):
        text = path.read_text()
        if "BufferReader" in text:
            reads = re.findall(r"\.read\((?!\))[^)]*\)|\b\w+\.read\(\)", text)
            assert all("use_threads=False" in read for read in reads), path
            assert reads, path
