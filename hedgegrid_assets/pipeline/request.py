"""What ``replay-to-parquet`` and ``run_pipeline`` are asked for: checked, and as a feed of its own."""

from collections.abc import Mapping, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, Final

from msgspec import Struct, field
from pydantic import SecretStr

from hedgegrid_assets import venues
from hedgegrid_assets.config.origin import SYNTHETIC_VENUE, Origin, instrument_id
from hedgegrid_assets.config.paths import RESERVED_PREFIX, data_path
from hedgegrid_assets.config.settings import INPUTS, check_settings
from hedgegrid_assets.errors import UnknownName, UsageError, refuse_mistakes
from hedgegrid_assets.names import check_instrument_id, check_symbol, check_venue
from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.sources import SOURCES
from hedgegrid_assets.stages.catalog import check_compression, check_generation
from hedgegrid_assets.store import LocalStore, Places, StorePath, stored
from hedgegrid_assets.tables import DEFAULT, TABLES, TOKENS, WORDS
from hedgegrid_assets.timestamps import parse_day
from hedgegrid_assets.venues import Listing
from hedgegrid_assets.venues.forms import ALL_MARKETS

DEFAULT_VENUE: Final = "BINANCE"


DEFAULT_CATALOG: Final = Path("data/catalog")


class Request(Struct, frozen=True):
    """What ``replay-to-parquet`` and ``run_pipeline`` are asked for; checked when it is made by ``request``."""

    origin: Origin
    start: date | None
    end: date | None
    catalog: Path | StorePath
    data: Path | StorePath
    compression: str = "zstd"
    jobs: int = 1
    force: bool = False
    spelled: Mapping[str, Listing] = field(default_factory=dict)
    """Symbols as tools write them -> what they are at the venue."""


def request(
    source_type: str,
    symbol: str,
    start_date: str | None,
    end_date: str | None,
    *,
    output_path: str | Path | StorePath = DEFAULT_CATALOG,
    data_types: str | Sequence[str] | None = None,
    source_config: Mapping[str, Any] | UsageError | None = None,
    exchange: str | None = None,
    data: Path | StorePath | None = None,
    instrument: str | None = None,
    compression: str = "zstd",
    jobs: int = 1,
    force: bool = False,
    market: str | None = None,
    nautilus: int | None = None,
) -> Request:
    """Check everything that a user can get wrong, before any work. Raises UsageError: Mistakes, if there are several.

    ``source_config``: an error: why the settings cannot be read; it is told with all others.
    """
    said = {} if source_config is None or isinstance(source_config, UsageError) else source_config
    symbols = tuple(dict.fromkeys(part.strip().upper() for part in symbol.split(",") if part.strip()))
    refuse_mistakes(
        lambda: check_source(source_type),
        lambda: _check_symbols(symbols),
        lambda: exchange is None or check_venue(exchange, "--exchange"),
        lambda: instrument is None or _check_instrument(instrument, symbols),
        lambda: _check_settings(source_type, source_config),
        lambda: _check_market(market),
        lambda: _range(start_date, end_date),
        lambda: data_types is None or _tables(data_types),
        lambda: check_compression(compression),
        lambda: check_generation(nautilus),
        lambda: _check_jobs(jobs),
    )
    start, end = _range(start_date, end_date)
    settings = _settings_of({**said, **({"market": market} if market is not None else {})})
    remote = SOURCES[source_type].remote
    channels = remote.channels(settings) if remote else SOURCES[source_type].channels
    given = {table for channel in channels for table in channel.tables}
    tables = _tables(data_types) if data_types is not None else tuple(name for name in DEFAULT if name in given)
    if not given.intersection(tables):
        raise UsageError(
            f"source {source_type} gives none of the data types asked for{' with these settings' if remote else ''} "
            f"(--data-types): expected some of {', '.join(TABLES[name].token for name in TABLES if name in given)}, "
            f"found {', '.join(TABLES[name].token for name in tables)}"
        )
    venue = _venue(source_type, exchange, instrument, settings)
    as_said = source_type != "csv" or instrument is not None
    spelled = {} if as_said else _spelled(symbols, venue, settings)
    origin = Origin.model_validate(
        {
            **_named_and_settled(source_type, venue, settings),
            "source": source_type,
            "venue": venue,
            "market": settings.get("market"),
            "symbols": symbols,
            "bars": settings.get("bars", ()),
            "tables": tables,
            **({"start": start} if start else {}),
            "end": end,
            "instruments": _overrides(settings.get("instruments", {}), symbols[0], instrument, spelled),
            "gaps": settings.get("gaps", {}),
            "nautilus": nautilus,
        }
    )
    root = stored(output_path)
    catalog = (
        root if isinstance(output_path, StorePath) or not isinstance(root.store, LocalStore) else Path(output_path)
    )
    return Request(origin, start, end, catalog, data or data_path(), compression, jobs, force, spelled)


def check_source(name: str) -> None:
    """Raises UnknownName for one that is not known."""
    if name not in SOURCES:
        raise UnknownName("source", "--source", name, SOURCES)


def _check_symbols(symbols: Sequence[str]) -> None:
    if not symbols:
        raise UsageError("no symbol (--symbol): expected one as the exchange writes it, such as BTCUSDT")
    refuse_mistakes(*(partial(check_symbol, name, "--symbol") for name in symbols))


def _check_instrument(instrument: str, symbols: Sequence[str]) -> None:
    check_instrument_id(instrument, "--instrument")
    if len(symbols) > 1:
        raise UsageError(
            f"--instrument names one InstrumentId of one symbol: expected one --symbol, found {', '.join(symbols)}"
        )


def _check_settings(source: str, given: Mapping[str, Any] | UsageError | None) -> None:
    if isinstance(given, UsageError):
        raise given
    if source in SOURCES:
        check_settings(source, given or {})


def _check_market(market: str | None) -> None:
    if market is not None and market not in ALL_MARKETS:
        raise UnknownName("market", "--market", market, ALL_MARKETS)


def _check_jobs(jobs: int) -> None:
    if jobs < 1:
        raise UsageError(f"--jobs: expected 1 or more, found {jobs}")


def _day(text: str | None, where: str) -> date | None:
    return parse_day(text, where) if text else None


def _range(start_date: str | None, end_date: str | None) -> tuple[date | None, date | None]:
    """First day, and the first that is not wanted any more."""
    refuse_mistakes(lambda: _day(start_date, "--start"), lambda: _day(end_date, "--end"))
    start, end = _day(start_date, "--start"), _day(end_date, "--end")
    if start and end and start >= end:
        raise UsageError(
            f"empty range (--start, --end): expected start before end (end is exclusive), found {start} .. {end}"
        )
    return start, end


def _spelled(symbols: Sequence[str], venue: str, settings: Mapping[str, Any]) -> dict[str, Listing]:
    """What symbols in the spelling of ccxt or cryptofeed are at the venue, where nobody says it of them.

    Raises UsageError where such a spelling contradicts the market, or two symbols are one instrument.
    """
    market = settings.get("market")
    found: dict[str, Listing] = {}
    for symbol in symbols:
        said = venues.spelled(venue, symbol)
        if said is None or symbol in settings.get("instruments", {}):
            continue
        if said.is_marked and market is not None and market not in said.markets:
            raise UsageError(
                f"symbol and market contradict each other (--symbol, --market): expected {' or '.join(said.markets)} "
                f"for {symbol}, found {market}",
                hint=f"leave out --market (the key market in the file of --config), or give the symbol of {market}",
            )
        wanted = "spot" if market is None and "/" in symbol and not said.is_marked else market
        own = venues.own_symbols(venue, symbol, wanted)
        if venues.has_makers_side(venue):  # a tool may have turned it
            continue
        if len(own) == 1 and (wanted is not None or said.is_marked):
            found[symbol] = own[0][1]
    ids = {symbol: instrument_id(symbol, market, venue) for symbol in symbols}
    ids |= {symbol: f"{listing.symbol}.{venue}" for symbol, listing in found.items()}
    for symbol in found:
        twins = [other for other in symbols if ids[other] == ids[symbol]]
        if len(twins) > 1:
            raise UsageError(
                f"symbols that are one instrument (--symbol): expected one of {', '.join(twins)}, found all of them, "
                f"which are {ids[symbol]}"
            )
    return found


def _venue(source: str, exchange: str | None, instrument: str | None, settings: Mapping[str, Any]) -> str:
    """``--instrument`` before ``--exchange`` before the configuration's ``venue``; synthetic data is SIM's alone."""
    if source == "synthetic":
        return "SIM"
    said = instrument.rsplit(".", 1)[1] if instrument else exchange or settings.get("venue")
    remote = SOURCES[source].remote
    if remote is None:
        return said or SOURCES[source].venue or DEFAULT_VENUE
    venues = remote.venues(settings)
    if said and said not in venues:
        raise UsageError(
            f"exchange and venue do not belong together: expected {' or '.join(venues)} for the data of "
            f"{settings.get('exchange', 'the default exchange')}, found {said}",
            hint="--exchange names the Nautilus venue; the key exchange in the file of --config names the exchange whose data is fetched",
        )
    return said or venues[0]


def _settings_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """A source's settings; a key is a secret from here on."""
    key = given.get("api_key")
    return dict(given) | ({"api_key": SecretStr(key)} if isinstance(key, str) else {})


def _tables(data_types: str | Sequence[str]) -> tuple[str, ...]:
    words = data_types.split(",") if isinstance(data_types, str) else list(data_types)
    wanted = [word.strip() for word in words if word.strip()]
    unknown = [word for word in wanted if word not in TOKENS]
    if unknown or not wanted:
        raise UnknownName("data type", "--data-types", unknown, TOKENS, other=WORDS)
    return tuple(name for name, table in TABLES.items() if table.token in wanted)


def context_of(asked: Request) -> FeedContext:
    """A request as a feed of its own, in its places."""
    return FeedContext(asked.origin, Places(asked.data, asked.catalog))


def _named_and_settled(source: str, venue: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """Name, settings and landing of a request: its raw days lie apart from those of feeds, and of other venues."""
    remote = SOURCES[source].remote
    of_origin = {"venue", "market", "instruments", "gaps", "bars"} | (set() if remote else {"exchange", "api_key"})
    settings = {key: value for key, value in said.items() if key not in of_origin}
    whose = [settings["exchange"].replace("-", "_")] if remote and "exchange" in settings else []
    if not remote:  # the same symbol of another venue or market is another one
        whose = [venue.lower().replace("-", "_")] if venue not in (SYNTHETIC_VENUE, DEFAULT_VENUE) else []
        whose += [said["market"]] if said.get("market") is not None else []
    return {
        "name": "_".join((f"{RESERVED_PREFIX}{source.replace('-', '_')}", *whose)),
        "settings": settings,
        "landing": () if settings.keys() & {"files", INPUTS} else (f"{source}/**/*",),
    }


def _overrides(
    said: Mapping[str, Mapping[str, Any]], symbol: str, instrument: str | None, spelled: Mapping[str, Listing]
) -> dict[str, Mapping[str, Any]]:
    """What is said of instruments, and their ids where ``--instrument`` or the spelling of a symbol say them."""
    given = dict(said)
    if instrument:
        given[symbol] = {**given.get(symbol, {}), "id": instrument.rsplit(".", 1)[0]}
    return given | {name: {"id": listing.symbol} for name, listing in spelled.items()}
