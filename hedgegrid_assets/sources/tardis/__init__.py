"""Tardis.dev: real exchange history, as CSV files per day (``api: datasets``) or as the exchange's own messages (``api: replay``)."""

from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping
from datetime import date
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from hedgegrid_assets.batch import Batch, Block, Placed, Reader
from hedgegrid_assets.dialect import Dialect, Stored
from hedgegrid_assets.errors import EnvironmentFault, UsageError
from hedgegrid_assets.model import Channel, Download, FetchPlan, Remote, Source, WatchesCut
from hedgegrid_assets.sources.formats import binance
from hedgegrid_assets.sources.tardis import datasets, files, slices
from hedgegrid_assets.sources.tardis.channels import channels
from hedgegrid_assets.sources.tardis.connection import Connection, is_free
from hedgegrid_assets.sources.tardis.datasets import TardisDialect
from hedgegrid_assets.sources.tardis.files import DatasetDay
from hedgegrid_assets.sources.tardis.names import DEFAULT_EXCHANGE, exchange_of
from hedgegrid_assets.sources.tardis.settings import TardisSettings
from hedgegrid_assets.sources.tardis.slices import MINUTES, SliceDay
from hedgegrid_assets.venues import Listing
from hedgegrid_assets.venues.exchanges import is_spot, listing_of, venues_of

_REPLAYED: Final = ("binance-futures",)
"""Exchanges whose own messages can be read."""

_SLOTS: Final = ".slots"
_OPEN: Final = ("bitmex",)
"""Exchanges whose definitions need no key."""
_OF_SPOT: Final = ("trades", "quotes", "incremental_book_L2", "book_snapshot_25", "book_snapshot_5")

type Tick = Callable[[], None] | None


# ---------------------------------------------------------------- channels


@cache
def _csv(exchange: str) -> dict[str, Channel]:
    return {channel.name: channel for channel in channels(exchange)}


@cache
def _messages(exchange: str) -> tuple[Channel, ...]:
    """``trade`` first: the series that the data sets hold, too."""
    streams = {channel.name: channel for channel in binance.channels(exchange)}
    return tuple(streams[name] for name in ("trade", "aggTrade", "markPrice", "bookTicker", "forceOrder", "depth"))


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
    return channel.name not in _csv(DEFAULT_EXCHANGE)


# ---------------------------------------------------------------- lines


def _open(dialect: Dialect | Stored, rows: Collection[str] = (), *, placing: bool = True) -> Reader:
    of_file = TardisDialect.of(dialect)
    if of_file.data_type is not None:  # the file of a day without data has not even a header
        channel = _csv(DEFAULT_EXCHANGE)[of_file.data_type]
        return datasets.DatasetReader(channel, of_file, channel.name in rows, placing)
    messages = binance.open_messages(dialect, rows, placing=placing, known=_messages(DEFAULT_EXCHANGE))
    return _ReplayReader(messages)


class _ReplayReader(Struct, frozen=True):
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
        return found | {"api": "replay", "channel": channel.name, "slices": MINUTES}
    return found | {"api": "datasets", "data_type": channel.event}


def _root(settings: Mapping[str, Any], channel: Channel) -> str:
    return Connection.of(settings).root(messages=_is_message(channel))


def _cache(settings: Mapping[str, Any], channel: Channel, folder: Path) -> Path:
    """``cache_dir`` as it is, else a folder an exchange; of another server than Tardis, a folder in it."""
    given = settings.get("cache_dir")
    of_exchange = Path(str(given)) if given else folder / exchange_of(settings)
    return Connection.of(settings).cache_in(of_exchange, messages=_is_message(channel))


def _download(
    settings: Mapping[str, Any],
    symbol: str,
    channel: Channel,
    day: date,
    cache_folder: Path,
    work: Path,
    tick: Tick = None,
    watch: WatchesCut | None = None,
) -> Download:
    del watch  # no file is of more than a day
    _need_packages()
    cache, slots = _cache(settings, channel, cache_folder), cache_folder / _SLOTS
    if _is_message(channel):
        minutes = SliceDay(exchange_of(settings), channel.name, symbol, day, cache, slots)
        return _replayed(minutes, settings, work, tick)
    dataset = DatasetDay(exchange_of(settings), channel.event, symbol, day, cache, slots)
    return _as_file(dataset, settings, channel, work, tick)


def _replayed(wanted: SliceDay, settings: Mapping[str, Any], work: Path, tick: Tick) -> Download:
    """All minutes of a day, joined in order."""
    connection = Connection.of(settings)
    paths = [wanted.path(minute) for minute in range(MINUTES)]
    bodies = slices.usable(wanted, paths, tick)
    fetched = MINUTES - len(bodies)
    if fetched:
        from hedgegrid_assets.sources.client.loop import call
        from hedgegrid_assets.sources.tardis.fetching import fetch_slices

        call(lambda: fetch_slices(wanted, paths, bodies, connection, work), tick)
    if not any(body.lines for body in bodies.values()):
        from hedgegrid_assets.sources.client.loop import call
        from hedgegrid_assets.sources.tardis.fetching import refuse_empty

        call(lambda: refuse_empty(wanted, connection), tick)
    path, sha256, size = slices.joined(paths, bodies, work)
    origin = {"url": f"{connection.endpoint}{wanted.query()}", "slices": MINUTES, "fetched": fetched}
    return Download(path, ".jsonl.gz", origin | {"bytes": size, "sha256": sha256})


def _as_file(wanted: DatasetDay, settings: Mapping[str, Any], channel: Channel, work: Path, tick: Tick) -> Download:
    """A file as it was received."""
    connection = Connection.of(settings)
    was_cached = wanted.path().is_file()
    header = files.usable(wanted)
    if header is None:
        from hedgegrid_assets.sources.client.loop import call
        from hedgegrid_assets.sources.tardis.fetching import fetch_dataset

        header = call(lambda: fetch_dataset(wanted, connection, work), tick)
    path, size = files.as_raw(wanted, work)
    dialect = datasets.dialect_of(header, channel, wanted.symbol) if header else TardisDialect()
    origin = {"url": f"{connection.datasets_endpoint}{wanted.query()}", "bytes": size}
    return Download(path, ".csv.gz", origin, dialect, partial(files.discard, wanted) if was_cached else None)


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
    exchange, cache = exchange_of(settings), _cache(settings, channel, cache_folder)
    if _is_message(channel):
        cached = len(SliceDay(exchange, channel.name, symbol, day, cache, cache_folder / _SLOTS).cached())
        return FetchPlan(MINUTES - cached, cached, is_free(day))
    cached = int(DatasetDay(exchange, channel.event, symbol, day, cache, cache_folder / _SLOTS).path().is_file())
    return FetchPlan(1 - cached, cached, is_free(day))


# ---------------------------------------------------------------- around them


def _venues(settings: Mapping[str, Any]) -> tuple[str, ...]:
    _api(settings)
    return venues_of(exchange_of(settings))


def _listing(settings: Mapping[str, Any], symbol: str) -> Listing:
    return listing_of(exchange_of(settings), symbol)


def _definition(settings: Mapping[str, Any], symbol: str) -> Mapping[str, Any] | None:
    connection, exchange = Connection.of(settings), exchange_of(settings)
    if not connection.key and exchange not in _OPEN:
        return None
    from hedgegrid_assets.sources.client.loop import call
    from hedgegrid_assets.sources.tardis.definitions import definition_of, instrument

    found = call(lambda: instrument(exchange, symbol, connection))
    return definition_of(found) if found else None


def _account(settings: Mapping[str, Any]) -> list[str]:
    from hedgegrid_assets.sources.client.loop import call
    from hedgegrid_assets.sources.tardis.account import key_info

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


def _published_until(settings: Mapping[str, Any], tick: Tick) -> date | None:
    if _api(settings) != "datasets":
        return None
    from hedgegrid_assets.sources.client.loop import call
    from hedgegrid_assets.sources.tardis.availability import details, exported_until

    connection, exchange = Connection.of(settings), exchange_of(settings)
    return exported_until(call(lambda: details(exchange, connection), tick))


def _reachable(settings: Mapping[str, Any]) -> bool:
    from hedgegrid_assets.sources.client.loop import call
    from hedgegrid_assets.sources.tardis.account import reachable

    return call(lambda: reachable(Connection.of(settings)))


SOURCE: Final = Source(
    name="tardis",
    doc="exchange history from Tardis.dev (CSV data sets, or replayed messages)",
    extension="jsonl",
    channels=(*channels(DEFAULT_EXCHANGE), *_messages(DEFAULT_EXCHANGE)),
    has_landing_zone=False,
    open=_open,
    code_version=1,
    settings=TardisSettings,
    remote=Remote(
        environment={"endpoint": "TARDIS_ENDPOINT", "datasets_endpoint": "TARDIS_DATASETS_ENDPOINT"},
        channels=_channels,
        venues=_venues,
        listing=_listing,
        request=_request,
        root=_root,
        download=_download,
        plan=_plan,
        definition=_definition,
        account=_account,
        reachable=_reachable,
        published_until=_published_until,
    ),
)
