"""The exchanges' public archives: free history as files a day or a month, each proved before it is read."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from hedgegrid_assets.batch import Reader
from hedgegrid_assets.dialect import Dialect, Stored
from hedgegrid_assets.errors import UsageError
from hedgegrid_assets.model import Channel, Download, FetchPlan, Remote, Source, WatchesCut
from hedgegrid_assets.sources.archive.archives import ARCHIVES, UNTESTED, Archive
from hedgegrid_assets.sources.archive.files import Place, cache_of
from hedgegrid_assets.sources.archive.layouts import ArchiveDialect
from hedgegrid_assets.sources.archive.rows import ArchiveReader
from hedgegrid_assets.sources.archive.settings import ArchiveSettings
from hedgegrid_assets.venues import Listing
from hedgegrid_assets.venues.exchanges import listing_of, venues_of

_DEFAULT: Final = "binance-futures"


def archive_of(settings: Mapping[str, Any]) -> Archive:
    """The archive of an exchange. Raises UsageError for one that has none, or not what is asked for."""
    exchange = str(settings.get("exchange", _DEFAULT))
    archive = ARCHIVES.get(exchange)
    if archive is None:
        raise UsageError(
            f"no archive of this exchange is known (exchange): expected one of {', '.join(ARCHIVES)}, found {exchange!r}",
            hint="the venue of the instrument ids, such as BINANCE, is the key venue or the flag --exchange",
        )
    kind = settings.get("trade_kind")
    kinds = [files.channel.name for files in archive.files if "trade_tick" in files.channel.tables]
    if kind is not None and kind not in kinds:
        raise UsageError(
            f"{archive.name} has no such files (trade_kind): expected {' or '.join(kinds)}, found {kind}",
            hint="leave out trade_kind",
        )
    return archive


# ---------------------------------------------------------------- lines


@cache
def _channel(exchange: str, name: str) -> Channel:
    return ARCHIVES[exchange].kind(name).channel


def _open(dialect: Dialect | Stored, rows: Collection[str] = (), *, placing: bool = True) -> Reader:
    of_file = ArchiveDialect.of(dialect)
    channel = _channel(of_file.exchange, of_file.channel)
    return ArchiveReader(channel, of_file, channel.name in rows, placing)


# ---------------------------------------------------------------- days


def _request(settings: Mapping[str, Any], symbol: str, channel: Channel, day: date) -> dict[str, Any]:
    return {
        "exchange": archive_of(settings).exchange,
        "symbol": symbol,
        "date": str(day),
        "files": channel.name,
    }


def _root(settings: Mapping[str, Any], channel: Channel) -> str:
    del channel
    return str(settings.get("endpoint", "")).rstrip("/") or archive_of(settings).root


def _download(
    settings: Mapping[str, Any],
    symbol: str,
    channel: Channel,
    day: date,
    cache_folder: Path,
    work: Path,
    tick: Callable[[], None] | None = None,
    watch: WatchesCut | None = None,
) -> Download:
    from hedgegrid_assets.sources.archive.days import ArchiveDay, download

    return download(
        ArchiveDay.of(archive_of(settings), settings, symbol, channel, day, cache_folder), work, tick, watch
    )


def _plan(settings: Mapping[str, Any], symbol: str, channel: Channel, day: date, cache_folder: Path) -> FetchPlan:
    from hedgegrid_assets.sources.archive.days import ArchiveDay, plan

    requests, cached = plan(ArchiveDay.of(archive_of(settings), settings, symbol, channel, day, cache_folder))
    return FetchPlan(requests, cached, free=True)


# ---------------------------------------------------------------- around them


def _channels(settings: Mapping[str, Any]) -> tuple[Channel, ...]:
    return tuple(files.channel for files in archive_of(settings).files)


def _venues(settings: Mapping[str, Any]) -> tuple[str, ...]:
    return venues_of(archive_of(settings).exchange)


def _listing(settings: Mapping[str, Any], symbol: str) -> Listing:
    return listing_of(archive_of(settings).exchange, symbol)


def _definition(settings: Mapping[str, Any], symbol: str) -> Mapping[str, Any] | None:
    """Archives hold none."""
    del settings, symbol
    return None


def _account(settings: Mapping[str, Any]) -> list[str]:
    archive = archive_of(settings)
    return [f"{archive.name}: free, no key is needed"]


def _reachable(settings: Mapping[str, Any]) -> bool:
    from hedgegrid_assets.sources.archive.listing import reachable

    return reachable(archive_of(settings), str(settings.get("endpoint", "")))


def _untested(settings: Mapping[str, Any], symbol: str) -> bool:
    """The rows that are in ``UNTESTED``, and inverse contracts of Bybit."""
    exchange = archive_of(settings).exchange
    return exchange in UNTESTED or (exchange == "bybit" and listing_of(exchange, symbol).market == "coinm")


class _Published:
    """See ``Publishes``."""

    def versions(
        self, settings: Mapping[str, Any], urls: Sequence[str], cache_folder: Path, tick: Callable[[], None] | None
    ) -> Mapping[str, Mapping[str, str] | None]:
        """What the archive has at these addresses now."""
        from hedgegrid_assets.sources.archive.fetching import versions
        from hedgegrid_assets.sources.client.loop import call

        places = {url: _place(settings, url, cache_folder) for url in urls}
        return call(lambda: versions(places), tick)

    def forget(self, settings: Mapping[str, Any], url: str, cache_folder: Path) -> None:
        """Let a file be fetched anew."""
        _place(settings, url, cache_folder).forget("it was replaced")


def _place(settings: Mapping[str, Any], url: str, cache_folder: Path) -> Place:
    """A file, at the address that the settings say now."""
    endpoint = str(settings.get("endpoint", "")).rstrip("/")
    return Place(archive_of(settings), endpoint, urlsplit(url).path, cache_of(settings, cache_folder))


SOURCE: Final = Source(
    name="archive",
    doc="free history from the exchanges' public archives, no key needed: "
    + ", ".join(f"{name} (untested)" if name in UNTESTED else name for name in ARCHIVES)
    + ", inverse contracts of bybit (untested)",
    extension="csv",
    channels=tuple(files.channel for files in ARCHIVES[_DEFAULT].files),
    has_landing_zone=False,
    open=_open,
    code_version=1,
    settings=ArchiveSettings,
    remote=Remote(
        environment={},
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
        untested=_untested,
        published=_Published(),
    ),
)
