"""Whether what a row says of its archive is so: its smallest file, its checksum, its first line, and a miss."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Final

from msgspec import Struct

from hedgegrid_assets.errors import HedgegridError, ProviderUnreachable
from hedgegrid_assets.sources.archive.archives import ARCHIVES, Archive, Files, Period
from hedgegrid_assets.sources.archive.days import first_line
from hedgegrid_assets.sources.archive.files import Missing, Place, have
from hedgegrid_assets.sources.archive.layouts import dialect_of, notes_of

SYMBOLS: Final = {
    "binance-futures": "BTCUSDT",
    "binance-delivery": "BTCUSD_PERP",
    "binance": "BTCUSDT",
    "bybit": "BTCUSDT",
    "bybit-spot": "BTCUSDT",
    "okex-swap": "BTC-USDT-SWAP",
    "okex": "BTC-USDT",
}
"""Exchange -> a symbol that its archive has."""
_NEVER: Final = date(2009, 1, 3)


class Checked(Struct, frozen=True):
    """One kind of file of one archive; ``why`` is empty where all is as its row says. ``answered``: somebody has."""

    exchange: str
    files: str
    url: str
    why: str = ""
    answered: bool = True


type Tick = Callable[[], None] | None


def check(exchanges: Sequence[str], day: date, endpoint: str, cache: Path, tick: Tick = None) -> Iterator[Checked]:
    """Fetch one file of each kind and one that cannot be there, and hold them against the row, of archives at one host.

    Once nobody answers there, the rest is not asked. ``tick`` is called while it waits, and may stop it.
    """
    nobody = ""
    for exchange in exchanges:
        archive = ARCHIVES[exchange]
        for name, place, look in _looks(archive, day, endpoint, cache, tick):
            why = nobody
            try:
                why = why or look()
            except ProviderUnreachable as error:
                why = nobody = error.why
            yield Checked(exchange, name, place.url, why, answered=not nobody)


def _looks(
    archive: Archive, day: date, endpoint: str, cache: Path, tick: Tick
) -> Iterator[tuple[str, Place, Callable[[], str]]]:
    """What is looked at: its name, its place, and what finds what is wrong with it."""
    for files in archive.files:
        on = day if files.known_on is None else min(day, files.known_on)
        period: Period = "daily" if "daily" in files.paths else "monthly"
        symbol = SYMBOLS[archive.exchange]
        place = Place(archive, endpoint, files.path(period, symbol, on), cache)
        yield files.channel.name, place, partial(_found, archive, files, place, on, tick)
        nowhere = Place(archive, endpoint, files.path(period, symbol, _NEVER), cache)
        yield f"{files.channel.name} (a miss)", nowhere, partial(_missed, nowhere, tick)


def usual_day(today: date) -> date:
    """A day that all archives should have: of the month before the last, so that monthly files are there as well."""
    return (today.replace(day=1) - timedelta(days=32)).replace(day=2)


def _found(archive: Archive, files: Files, place: Place, day: date, tick: Tick) -> str:
    try:
        have(place, (), tick)
        found = dialect_of(first_line(place.file), files.columns, files.channel, SYMBOLS[archive.exchange], place.what)
    except Missing:
        return "the file is not there"
    except ProviderUnreachable:
        raise
    except HedgegridError as error:
        return error.message
    layout = files.columns.at(day)
    known = {*layout.names, *layout.more}
    unknown = [name for name in found.names if name not in known] if found.header_lines else []
    told = [
        notes_of(found, layout, place.what),
        f"columns that the row does not know: {', '.join(unknown)}" if unknown else "",
    ]
    return "; ".join(filter(None, told))


def _missed(place: Place, tick: Tick) -> str:
    try:
        have(place, (), tick)
    except Missing:
        return ""
    except ProviderUnreachable:
        raise
    except HedgegridError as error:
        return f"expected a miss, found: {error.message}"
    return "expected a miss, found a file"
