"""Tardis.dev: real exchange history, as CSV files per day (``api: datasets``) or as the exchange's own messages (``api: replay``)."""

from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from hedgegrid_assets.batch import Batch, Block, Dialect, Placed, Reader
from hedgegrid_assets.errors import EnvironmentFault, UsageError
from hedgegrid_assets.model import Channel, Download, FetchPlan, Remote, Source
from hedgegrid_assets.sources.formats import binance
from hedgegrid_assets.sources.tardis import datasets
from hedgegrid_assets.sources.tardis.names import DEFAULT_EXCHANGE, exchange_of
from hedgegrid_assets.sources.tardis.settings import TardisSettings
from hedgegrid_assets.venues import Listing
from hedgegrid_assets.venues.exchanges import is_spot, listing_of, venues_of

_REPLAYED: Final = ("binance-futures",)
"""Exchanges whose own messages can be read."""

_MINUTES: Final = 1_440
_EVENTS: Final = ("trades", "derivative_ticker", "quotes")
_OF_SPOT: Final = ("trades", "quotes")


# ---------------------------------------------------------------- channels


@cache
def _csv(exchange: str) -> dict[str, Channel]:
    return {channel.name: channel for channel in datasets.channels(exchange)}


@cache
def _messages(exchange: str) -> tuple[Channel, ...]:
    """``trade`` first: the series that the data sets hold, too."""
    streams = {channel.name: channel for channel in binance.channels(exchange)}
    return tuple(streams[name] for name in ("trade", "aggTrade", "markPrice", "bookTicker"))


def _api(settings: Mapping[str, Any]) -> str:
    """datasets, unless said otherwise or asked for what only messages hold. Raises UsageError."""
    kind = settings.get("trade_kind", "trade")
    chosen = str(settings.get("api", "replay" if kind == "aggTrade" else "datasets"))
    exchange = exchange_of(settings)
    if chosen == "datasets" and kind == "aggTrade":
        raise UsageError(
            "trade_kind aggTrade is in no data set (trade_kind, api): expected api: replay, found api: datasets"
        )
    if chosen == "replay" and exchange not in _REPLAYED:
        raise UsageError(
            f"messages of {exchange} cannot be read (api, exchange): expected {', '.join(_REPLAYED)} with api: replay, found {exchange}",
            hint="api: datasets has all exchanges",
        )
    return chosen


def _channels(settings: Mapping[str, Any]) -> tuple[Channel, ...]:
    exchange = exchange_of(settings)
    if _api(settings) == "replay":
        return _messages(exchange)
    return tuple(channel for channel in _csv(exchange).values() if channel.name in _OF_SPOT or not is_spot(exchange))


def _is_message(channel: Channel) -> bool:
    return channel.name not in _EVENTS


# ---------------------------------------------------------------- lines


def _open(dialect: Dialect, rows: Collection[str] = (), *, placing: bool = True) -> Reader:
    if "data_type" in dialect:  # the file of a day without data has not even a header
        channel = _csv(DEFAULT_EXCHANGE)[dialect["data_type"]]
        return datasets.DatasetReader(channel, dialect, channel.name in rows, placing)
    messages = binance.open_messages(dialect, rows, placing=placing, known=_messages(DEFAULT_EXCHANGE))
    return _ReplayReader(messages)


@dataclass(frozen=True, slots=True)
class _ReplayReader:
    messages: binance.MessageReader

    @property
    def dialect(self) -> Dialect:
        """That of the messages."""
        return self.messages.dialect

    def read(self, block: Block) -> Batch:
        """See ``Reader``."""
        batch = self.messages.read(block)
        return batch if batch.placed is None else replace(batch, placed=_with_disconnects(batch.placed, block))


def _with_disconnects(found: Placed, block: Block) -> Placed:
    """A blank line is a lost connection, some time after the message before it."""
    placed = found.lines.filter(found.lines["ts_init"].is_not_null())
    if not found.blank or not len(placed):
        return found
    lines, times = placed["line"].to_list(), placed["ts_init"].to_list()
    texts = enumerate(block.data.removesuffix(b"\n").split(b"\n"), start=block.first_line)
    before = {bisect_left(lines, number) - 1 for number, text in texts if not text.strip()}
    return replace(found, disconnects_ns=tuple(sorted({times[max(position, 0)] for position in before})))


# ---------------------------------------------------------------- days


def _request(settings: Mapping[str, Any], symbol: str, channel: Channel, day: date) -> dict[str, Any]:
    found: dict[str, Any] = {"exchange": exchange_of(settings), "symbol": symbol, "date": str(day)}
    if _is_message(channel):
        return found | {"api": "replay", "channel": channel.name, "slices": _MINUTES}
    return found | {"api": "datasets", "data_type": channel.name}


def _cache(settings: Mapping[str, Any], folder: Path) -> Path:
    """``cache_dir`` as it is, else a folder an exchange."""
    given = settings.get("cache_dir")
    return Path(str(given)) if given else folder / exchange_of(settings)


def _download(
    settings: Mapping[str, Any],
    symbol: str,
    channel: Channel,
    day: date,
    cache_folder: Path,
    work: Path,
    tick: Callable[[], None] | None = None,
) -> Download:
    _need_packages()
    from hedgegrid_assets.sources.client.loop import call
    from hedgegrid_assets.sources.tardis import files, slices
    from hedgegrid_assets.sources.tardis.connection import Connection

    connection, cache = Connection.of(settings), _cache(settings, cache_folder)
    if _is_message(channel):
        minutes = slices.SliceDay(exchange_of(settings), channel.name, symbol, day, cache)
        path, origin = call(lambda: slices.fetch_slices(minutes, connection, work), tick)
        return Download(path, ".jsonl.gz", origin)
    dataset = files.DatasetDay(exchange_of(settings), channel.name, symbol, day, cache)
    was_cached = dataset.path().is_file()
    file, header, origin = call(lambda: files.fetch_dataset(dataset, connection, work), tick)
    dialect = datasets.dialect_of(header, channel, symbol) if header else {}
    discard = partial(files.discard, dataset) if was_cached else None
    return Download(file, ".csv.gz", origin, dialect, discard)


def _need_packages() -> None:
    """Raises EnvironmentFault: only this source needs them."""
    missing = [name for name in ("aiohttp", "stamina", "tardis_client", "tardis_dev") if find_spec(name) is None]
    if missing:
        raise EnvironmentFault(
            f"source tardis needs packages that are not installed: {', '.join(missing)}",
            hint="uv sync, or: pip install tardis-client tardis-dev stamina",
        )


def _plan(settings: Mapping[str, Any], symbol: str, channel: Channel, day: date, cache_folder: Path) -> FetchPlan:
    _need_packages()
    from hedgegrid_assets.sources.tardis import files, slices
    from hedgegrid_assets.sources.tardis.connection import is_free

    exchange, cache = exchange_of(settings), _cache(settings, cache_folder)
    if _is_message(channel):
        cached = len(slices.SliceDay(exchange, channel.name, symbol, day, cache).cached())
        return FetchPlan(_MINUTES - cached, cached, is_free(day))
    cached = int(files.DatasetDay(exchange, channel.name, symbol, day, cache).path().is_file())
    return FetchPlan(1 - cached, cached, is_free(day))


# ---------------------------------------------------------------- around them


def _venues(settings: Mapping[str, Any]) -> tuple[str, ...]:
    _api(settings)
    return venues_of(exchange_of(settings))


def _listing(settings: Mapping[str, Any], symbol: str) -> Listing:
    return listing_of(exchange_of(settings), symbol)


def _definition(settings: Mapping[str, Any], symbol: str) -> Mapping[str, Any] | None:
    from hedgegrid_assets.sources.client.loop import call
    from hedgegrid_assets.sources.tardis.connection import Connection
    from hedgegrid_assets.sources.tardis.definitions import definition_of, instrument

    connection = Connection.of(settings)
    found = call(lambda: instrument(exchange_of(settings), symbol, connection))
    return definition_of(found) if found else None


def _account(settings: Mapping[str, Any]) -> list[str]:
    from hedgegrid_assets.sources.client.loop import call
    from hedgegrid_assets.sources.tardis.account import key_info
    from hedgegrid_assets.sources.tardis.connection import Connection

    connection, exchange = Connection.of(settings), exchange_of(settings)
    if not connection.key:
        return ["no key: only the first day of each month can be fetched"]
    lines = [
        f"key: {entry.get('dataPlan', '?')} plan for {entry.get('exchange')}, {str(entry.get('from'))[:10]} .. {str(entry.get('to'))[:10]}"
        + (f", {len(entry['symbols'])} symbols" if entry.get("symbols") else "")
        for entry in call(lambda: key_info(connection))
        if entry.get("exchange") == exchange
    ]
    return lines or [f"key: nothing for {exchange}"]


def _reachable(settings: Mapping[str, Any]) -> bool:
    from hedgegrid_assets.sources.client.loop import call
    from hedgegrid_assets.sources.tardis.account import reachable
    from hedgegrid_assets.sources.tardis.connection import Connection

    return call(lambda: reachable(Connection.of(settings)))


SOURCE: Final = Source(
    name="tardis",
    doc="exchange history from Tardis.dev (CSV data sets, or replayed messages)",
    extension="jsonl",
    channels=(*datasets.channels(DEFAULT_EXCHANGE), *_messages(DEFAULT_EXCHANGE)),
    lands=False,
    open=_open,
    code_version=1,
    settings=TardisSettings,
    remote=Remote(
        environment={"endpoint": "TARDIS_ENDPOINT", "datasets_endpoint": "TARDIS_DATASETS_ENDPOINT"},
        channels=_channels,
        venues=_venues,
        listing=_listing,
        request=_request,
        download=_download,
        plan=_plan,
        definition=_definition,
        account=_account,
        reachable=_reachable,
    ),
)
