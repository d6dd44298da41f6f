"""Nautilus' own rows for instruments, by Arrow alone: schemas frozen here, files that replace each other."""

import json
import re
from collections.abc import Iterator, Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from hedgegrid_assets.errors import DataError, DocumentDamaged, ForeignDefinition
from hedgegrid_assets.instruments import (
    MAX_PRECISION,
    Instrument,
    Kind,
    check_names,
    definitions_file,
    definitions_table,
    read_definitions,
)
from hedgegrid_assets.model import GENERATION
from hedgegrid_assets.stages.catalog.files import named_folder
from hedgegrid_assets.stages.catalog.generations import INSTRUMENT_FOLDERS, generation_of
from hedgegrid_assets.stages.catalog.installed import refuse_unfit_nautilus
from hedgegrid_assets.store import (
    Entry,
    Places,
    StorePath,
    exclusive_lock,
    folder_of,
    retried,
    temporary_file,
    to_arrow,
    writing,
)

NAUTILUS_FILE: Final = "1970-01-01T00-00-00-000000000Z_1970-01-01T00-00-00-000000000Z.parquet"
"""The one file of an instrument: a definition holds from ts 0, and its name is the first that Nautilus lists."""

_ID: Final = pa.dictionary(pa.int64(), pa.string())
_NAME: Final = pa.dictionary(pa.int16(), pa.string())
_HEAD: Final = {"id": _ID, "raw_symbol": pa.string()}
_SETTLEMENT: Final = {"quote_currency": _NAME, "settlement_currency": _NAME, "is_inverse": pa.bool_()}
_TAIL: Final = {
    "price_precision": pa.uint8(),
    "size_precision": pa.uint8(),
    "price_increment": _NAME,
    "size_increment": _NAME,
    "multiplier": _NAME,
    "lot_size": _NAME,
    "max_quantity": _NAME,
    "min_quantity": _NAME,
    "max_notional": _NAME,
    "min_notional": _NAME,
    "max_price": _NAME,
    "min_price": _NAME,
    "margin_init": pa.string(),
    "margin_maint": pa.string(),
    "maker_fee": pa.string(),
    "taker_fee": pa.string(),
    "info": pa.binary(),
    "ts_event": pa.uint64(),
    "ts_init": pa.uint64(),
}

NAUTILUS_SCHEMAS: Final[Mapping[Kind, pa.Schema]] = {
    "crypto_perpetual": pa.schema(
        {**_HEAD, "base_currency": _NAME, **_SETTLEMENT, **_TAIL}, metadata={"class": "CryptoPerpetual"}
    ),
    "crypto_future": pa.schema(
        {
            **_HEAD,
            "underlying": _NAME,
            **_SETTLEMENT,
            "activation_ns": pa.uint64(),
            "expiration_ns": pa.uint64(),
            **_TAIL,
        },
        metadata={"class": "CryptoFuture"},
    ),
    "currency_pair": pa.schema(
        {**_HEAD, "base_currency": _NAME, "quote_currency": _NAME, **_TAIL}, metadata={"class": "CurrencyPair"}
    ),
}
"""Nautilus 1.231's schema of each class that we write."""

_FEES: Final = frozenset({"maker_fee", "taker_fee"})
_MAY_LACK: Final = frozenset(
    {
        *("lot_size", "max_quantity", "min_quantity", "max_notional", "min_notional", "max_price", "min_price"),
        *("tick_scheme", "info"),
    }
)
_TIMESTAMP: Final = pa.timestamp("ns", tz="UTC")
_JSON: Final = pa.json_(pa.string())
_LATER: Final = {_ID: pa.string(), _NAME: pa.string(), pa.uint64(): _TIMESTAMP, pa.binary(): _JSON}
"""Types of 1.x -> those of 2.x; the others are the same."""


def nautilus_schema(instrument: Instrument, generation: int) -> pa.Schema:
    """The schema of a definition, with what its footer says.

    2.x holds no fees: a venue's fee model knows them. ``instruments.parquet`` keeps them.
    """
    first = NAUTILUS_SCHEMAS[instrument.kind]
    if generation == GENERATION:
        return first
    kinds: dict[str, pa.DataType] = {}
    for field in first:
        if field.name == "info":
            kinds["tick_scheme"] = pa.string()
        if field.name not in _FEES:
            kinds[field.name] = _LATER.get(field.type, field.type)
    says = {"instrument_id": instrument.id, "type_name": first.metadata[b"class"].decode()}
    return pa.schema([pa.field(name, kind, nullable=name in _MAY_LACK) for name, kind in kinds.items()], metadata=says)


CURRENCY_DECIMALS: Final[Mapping[str, int]] = {
    **dict.fromkeys(("JPY", "KRW"), 0),
    **dict.fromkeys(("AUD", "BRL", "CAD", "CHF", "CNH", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF", "ILS"), 2),
    **dict.fromkeys(("INR", "MXN", "NOK", "NZD", "PLN", "RUB", "SAR", "SEK", "SGD", "THB", "TRY", "USD", "ZAR"), 2),
    **dict.fromkeys(("XAG", "XAU"), 2),
    **dict.fromkeys(("ADA", "XRP", "XTZ", "USDC.e", "pUSD"), 6),
}
"""Decimals of an amount of money, as Nautilus writes it; every other currency, known to it or not, has eight."""

_REMEDY: Final = "run the conversion of its data again, which writes it anew"
_DECIMAL_TEXT: Final = re.compile(r"(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?")
_MOST: Final[Mapping[str, Decimal]] = {
    "price": Decimal(17_014_118_346_046),
    "quantity": Decimal(34_028_236_692_093),
    "money": Decimal(17_014_118_346_046),
}
_MOST_DIGITS: Final = 28  # Nautilus parses with Python's default decimal context, which rounds beyond
_LATEST_NS: Final = 2**63 - 1


def nautilus_folder(instrument: Instrument) -> str:
    """Nautilus' folder of an instrument under ``data/``: its class, and its id without slashes."""
    return f"{instrument.kind}/{folder_of(instrument.id)}"


def nautilus_row(instrument: Instrument, generation: int = GENERATION) -> pa.Table:
    """The definition as Nautilus would write it: one row, its schema, its metadata; both times are 0.

    What Nautilus has no column for is in ``info``: ``mark_precision``, ``origin`` and ``"fees": "unknown"``. An
    amount of money has its currency's decimals there; the plain table keeps the text as it was given.

    Raises:
        DataError: Nautilus could not read the definition back; names every value that is in the way.
    """
    problems = list(_problems(instrument))
    if problems:
        raise DataError(
            f"the definition of {instrument.id!r} cannot be written: {'; '.join(problems)}",
            hint="correct it under `instruments:` of the feed in feeds.yaml, or in the imported document",
            details={"instrument_id": instrument.id, "problems": problems},
        )
    values: dict[str, Any] = {
        "id": instrument.id,
        "raw_symbol": instrument.raw_symbol,
        "base_currency": instrument.base,
        "underlying": instrument.base,
        "quote_currency": instrument.quote,
        "settlement_currency": instrument.settlement,
        "is_inverse": instrument.is_inverse,
        "activation_ns": instrument.activation_ns or 0,
        "expiration_ns": instrument.expiration_ns,
        "price_precision": instrument.price_precision,
        "size_precision": instrument.size_precision,
        "price_increment": instrument.price_increment,
        "size_increment": instrument.size_increment,
        "multiplier": instrument.multiplier,
        "lot_size": instrument.lot_size,
        "max_quantity": instrument.max_quantity,
        "min_quantity": instrument.min_quantity,
        "max_notional": _money(instrument.max_notional, instrument.quote),
        "min_notional": _money(instrument.min_notional, instrument.quote),
        "max_price": instrument.max_price,
        "min_price": instrument.min_price,
        "margin_init": _rate(instrument.margin_init),
        "margin_maint": _rate(instrument.margin_maint),
        "maker_fee": _rate(instrument.maker_fee),
        "taker_fee": _rate(instrument.taker_fee),
        "tick_scheme": None,
        "info": _info(instrument),
        "ts_event": 0,
        "ts_init": 0,
    }
    schema = nautilus_schema(instrument, generation)
    return pa.table([_one(values[field.name], field.type) for field in schema], schema=schema)


def _one(value: Any, kind: pa.DataType) -> pa.Array:
    """A column of one value. By Polars: pyarrow imports pandas (0.6 s) to look at a Python value."""
    if pa.types.is_dictionary(kind):
        texts = pl.Series([] if value is None else [value], dtype=pl.String)
        valid = pa.py_buffer(bytes([value is not None]))
        code = pa.Array.from_buffers(kind.index_type, 1, [valid, pa.py_buffer(bytes(kind.index_type.bit_width // 8))])
        return pa.DictionaryArray.from_arrays(code, to_arrow(texts, pa.string()))
    if kind == _JSON:
        return pa.ExtensionArray.from_storage(kind, to_arrow(pl.Series([value.decode()]), pa.string()))
    if kind == _TIMESTAMP:
        return pl.Series([value], dtype=pl.Int64).to_arrow().view(kind)
    return to_arrow(pl.Series([value], dtype=_POLARS[kind]), kind)


_POLARS: Final = {
    pa.string(): pl.String,
    pa.binary(): pl.Binary,
    pa.bool_(): pl.Boolean,
    pa.uint8(): pl.UInt8,
    pa.uint64(): pl.UInt64,
}


def write_definition(catalog: Path | StorePath, instrument: Instrument) -> bool:
    """Make this the catalog's definition of its instrument; False, with nothing touched, if it is that already.

    It replaces every earlier one, also of another class and also one that nautilus wrote: Nautilus would read both
    and keep the oldest. ``instruments.parquet`` is written last, so that after a crash the next call with the
    definition it holds makes both agree again. Safe against other processes of this machine.

    Raises:
        DataError: Nautilus could not read it back, or could not tell its id from another of the catalog.
        EnvironmentFault: The catalog cannot be written, or the installed NautilusTrader cannot read it.
    """
    refuse_unfit_nautilus()
    nautilus_row(instrument)  # what cannot be written is refused before anything is made
    places = Places.of_catalog(catalog)
    with exclusive_lock(places.catalog_lock):
        return put_definition(places, instrument)


def refuse_foreign_definition(catalog: Path | StorePath, instrument_id: str) -> None:
    """Raises ForeignDefinition where a file that we did not write defines the instrument."""
    places = Places.of_catalog(catalog)
    folders = _folders(places, instrument_id)
    found = [
        path
        for folder in folders
        for path in folder.files(".parquet")
        if not _is_ours(pa.BufferReader(path.read_bytes()))
    ]
    if found:
        raise ForeignDefinition(instrument_id, found, places.catalog)


def check_definition(places: Places, instrument: Instrument) -> None:
    """Raises DocumentDamaged where Nautilus' file of a definition of ours is gone, or says something else."""
    path = _file_of(places, instrument)
    why = None
    if path.exists():
        try:
            why = _what_else(path.read_bytes(), instrument, generation_of(places))
        except (pa.ArrowException, OSError) as error:
            why = str(error).strip().splitlines()[0]
    elif not any(any(folder.files(".parquet")) for folder in _folders(places, instrument.id)):
        why = "no file"
    if why is not None:
        raise DocumentDamaged(path, f"Nautilus' definition of {instrument.id} as in instruments.parquet", why, _REMEDY)


@lru_cache(maxsize=64)
def _what_else(content: bytes, instrument: Instrument, generation: int) -> str | None:
    """What a file of ours says instead of a definition; None where it says it. Asked for each day, of the same bytes."""
    held = pq.ParquetFile(pa.BufferReader(content)).read(use_threads=False)  # see ``instruments.table``
    same = held.equals(nautilus_row(instrument, generation))
    return None if same or not _is_ours(pa.BufferReader(content)) else "another one"


def mend_definition(catalog: Path | StorePath, instrument: Instrument) -> bool:
    """Write Nautilus' file of a definition that the catalog holds again, if it is gone or damaged."""
    try:
        check_definition(Places.of_catalog(catalog), instrument)
    except DocumentDamaged:
        return write_definition(catalog, instrument)
    return False


def put_definition(places: Places, instrument: Instrument) -> bool:
    """``write_definition`` for one who holds the catalog's lock."""
    return retried(lambda: _put_definition(places, instrument))


def _put_definition(places: Places, instrument: Instrument) -> bool:
    row = nautilus_row(instrument, generation_of(places))
    final = _file_of(places, instrument)
    held = definitions_file(places.catalog).found()
    known = read_definitions(places.catalog)
    check_names([*known, instrument.id])
    changed = _publish(final, row, places.catalog_temp, final.found())
    changed |= _remove_others(places, instrument.id, final)
    if known.get(instrument.id) != instrument:
        merged = definitions_table({**known, instrument.id: instrument}.values())
        changed |= _publish(definitions_file(places.catalog), merged, places.catalog_temp, held, checksums=True)
    return changed


# ---------------------------------------------------------------- files


def _publish(final: StorePath, table: pa.Table, tmp_dir: Path, held: Entry | None, *, checksums: bool = False) -> bool:
    """Write the table over what is ``held``, maybe with ``checksums`` of its pages, unless that has exactly its bytes."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", write_page_checksum=checksums)
    content = sink.getvalue().to_pybytes()
    if held is not None and final.read_bytes() == content:
        return False
    with writing(final), temporary_file(final.name, tmp_dir) as temporary:
        temporary.write_bytes(content)
        final.publish_over(temporary, held)
    return True


def _is_ours(path: pa.BufferReader) -> bool:
    """Every definition of ours says in its info where it comes from."""
    try:
        infos = pq.ParquetFile(path).read(columns=["info"], use_threads=False).column("info").to_pylist()
        return all({"mark_precision", "origin"} <= set(json.loads(info)) for info in infos)
    except (pa.ArrowException, KeyError, TypeError, ValueError):
        return False


def _folders(places: Places, instrument_id: str) -> list[StorePath]:
    """Nautilus' folders that may hold a definition of the instrument, of those that are there."""
    there = {folder.name for folder in (places.catalog / "data").folders()}
    name = named_folder(instrument_id, generation_of(places))
    return [places.nautilus_folder(kind, name) for kind in INSTRUMENT_FOLDERS if kind in there]


def _file_of(places: Places, instrument: Instrument) -> StorePath:
    name = named_folder(instrument.id, generation_of(places))
    return places.nautilus_folder(instrument.kind, name) / NAUTILUS_FILE


def _remove_others(places: Places, instrument_id: str, final: StorePath) -> bool:
    """Remove every other definition of the instrument, and the folders that become empty."""
    others = [path for folder in _folders(places, instrument_id) for path in folder.files(".parquet") if path != final]
    for path in others:
        path.unlink()
    for folder in {path.parent for path in others} - {final.parent}:
        folder.rmdir()
    return bool(others)


# ---------------------------------------------------------------- values as Nautilus spells them


def _info(instrument: Instrument) -> bytes:
    info: dict[str, object] = {"mark_precision": instrument.mark_precision, "origin": instrument.origin}
    if not instrument.fees_known:
        info["fees"] = "unknown"
    return json.dumps(info, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _money(amount: str | None, currency: str) -> str | None:
    return None if amount is None else f"{_rounded(amount, currency):f} {currency}"


def _rounded(amount: str, currency: str) -> Decimal:
    return Decimal(amount).quantize(Decimal(1).scaleb(-CURRENCY_DECIMALS.get(currency, 8)), ROUND_HALF_EVEN)


def _rate(text: str) -> str:
    return str(Decimal(text) or Decimal(0))


# ---------------------------------------------------------------- what Nautilus could not read


def _problems(instrument: Instrument) -> Iterator[str]:
    yield from _name_problems(instrument)
    for name in ("price_precision", "size_precision", "mark_precision"):
        value = getattr(instrument, name)
        if not 0 <= value <= MAX_PRECISION:
            yield f"{name} expected 0 to {MAX_PRECISION}, found {value}"
    yield from _increment_problems("price", instrument.price_increment, instrument.price_precision)
    yield from _increment_problems("quantity", instrument.size_increment, instrument.size_precision)
    yield from _amount_problems("quantity", "multiplier", instrument.multiplier, positive=True)
    yield from _amount_problems("quantity", "lot_size", instrument.lot_size, positive=True)
    yield from _amount_problems("quantity", "max_quantity", instrument.max_quantity, positive=True)
    yield from _amount_problems("quantity", "min_quantity", instrument.min_quantity)
    yield from _amount_problems(
        "money", "max_notional", instrument.max_notional, positive=True, currency=instrument.quote
    )
    yield from _amount_problems("money", "min_notional", instrument.min_notional, currency=instrument.quote)
    yield from _amount_problems("price", "max_price", instrument.max_price, positive=True)
    yield from _amount_problems("price", "min_price", instrument.min_price, signed=True)
    for name in ("margin_init", "margin_maint"):
        yield from _amount_problems("price", name, getattr(instrument, name))
    for name in ("maker_fee", "taker_fee"):
        yield from _amount_problems("price", name, getattr(instrument, name), signed=True)
    if instrument.kind == "crypto_future" and instrument.expiration_ns is None:
        yield "expiration_ns expected for a future, found none"
    for name in ("activation_ns", "expiration_ns"):
        if not 0 <= (getattr(instrument, name) or 0) <= _LATEST_NS:
            yield f"{name} expected 0 to {_LATEST_NS}, found {getattr(instrument, name)}"


def _name_problems(instrument: Instrument) -> Iterator[str]:
    symbol, _, venue = instrument.id.rpartition(".")
    if not symbol.strip() or not venue.strip() or not venue.isascii() or not folder_of(instrument.id).strip("."):
        yield "id expected SYMBOL.VENUE with an ASCII venue"
    for name in ("id", "raw_symbol", "base", "quote", "settlement"):
        value = getattr(instrument, name)
        if not value.strip() or not value.isprintable():
            yield f"{name} expected printable text, found {value!r}"


def _increment_problems(measure: str, increment: str, precision: int) -> Iterator[str]:
    name = "price_increment" if measure == "price" else "size_increment"
    problems = list(_amount_problems(measure, name, increment, positive=True))
    yield from problems
    if not problems and len(increment.partition(".")[2]) != precision:
        yield f"{name} expected {precision} decimals, found {increment}"


def _amount_problems(
    measure: str, name: str, text: str | None, *, positive: bool = False, signed: bool = False, currency: str = ""
) -> Iterator[str]:
    if text is None:
        return
    match = _DECIMAL_TEXT.fullmatch(text)
    if match is None or len(match[3] or "") > MAX_PRECISION:
        yield f"{name} expected plain decimal text of at most {MAX_PRECISION} decimals, found {text!r}"
        return
    if len(match[2]) + len(match[3] or "") > _MOST_DIGITS:
        yield f"{name} expected at most {_MOST_DIGITS} digits, found {text}"
        return
    number = Decimal(text)
    if match[1] and (not signed or not number):
        yield f"{name} expected no minus sign, found {text}"
    if abs(number) > _MOST[measure]:
        yield f"{name} expected at most {_MOST[measure]}, found {text}"
    elif positive and not (_rounded(text, currency) if currency else number):
        yield f"{name} expected more than 0, found {text}"
