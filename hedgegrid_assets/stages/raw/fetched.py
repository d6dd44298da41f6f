"""Raw days that a source makes or fetches."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from hedgegrid_assets.batch import Block
from hedgegrid_assets.dialect import stored
from hedgegrid_assets.errors import RawDamaged, ReceivedDamaged
from hedgegrid_assets.model import Channel, Download, Source
from hedgegrid_assets.stages.raw.accounting import unplaced_of
from hedgegrid_assets.stages.raw.days import RawDay, RawKey, Tally, keep_unplaced, manifest_of, raw_day, write_manifest
from hedgegrid_assets.stages.raw.looking import Ahead, Seen, look_through
from hedgegrid_assets.stages.raw.manifest import FileOrigin, Manifest
from hedgegrid_assets.store import (
    LineFile,
    Places,
    atomic_write,
    exclusive_lock,
    publish_file,
    working_folder,
    writing,
)

_ENDPOINTS: Final = ("endpoint", "datasets_endpoint")
"""Settings that name another server than the usual one."""


def request_of(source: Source, key: RawKey, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What identifies a day that a source makes or fetches: an equal request would give equal data."""
    if source.remote is None:
        return dict(settings)
    return source.remote.request(settings, key.symbol, _remote_channel(source, key, settings), key.day)


def fetched_elsewhere(source: Source, key: RawKey, settings: Mapping[str, Any], manifest: Manifest) -> str:
    """Where a raw day was fetched, if the settings name another server; empty: where they say, or it was made.

    What does not say where it was fetched counts as from where it usually is.
    """
    if source.remote is None:
        return ""
    channel = _remote_channel(source, key, settings)
    asked = source.remote.root(settings, channel)
    usual = {name: value for name, value in settings.items() if name not in _ENDPOINTS}
    for one in (one for origin in manifest.origin for one in origin.files or [origin]):
        url = f"{source.remote.root(usual, channel)}/" if one.url is None else one.url
        if not url.startswith(f"{asked}/"):
            return "{0.scheme}://{0.netloc}".format(urlsplit(url))
    return ""


def is_as_asked(source: Source, key: RawKey, settings: Mapping[str, Any], manifest: Manifest) -> bool:
    """Making or fetching a raw day now would give what is held."""
    same = manifest.request == request_of(source, key, settings)
    return same and not fetched_elsewhere(source, key, settings, manifest)


def fetch_day(
    places: Places,
    feed: str,
    source: Source,
    key: RawKey,
    settings: Mapping[str, Any],
    tick: Callable[[], None] | None = None,
    *,
    keep: bool = False,
    ahead: Ahead | None = None,
) -> RawDay | None:
    """Get one day from a source that makes or fetches days itself; what is there already is kept.

    None if the source has no such day. Same settings, same bytes. ``tick`` is called often while a day is fetched, and
    may raise to stop it; nothing is published then. With ``keep`` the day has its rows at hand, as far as they were read
    on the way; the caller closes it. ``ahead``: for days that may be cut out of one file.
    """
    with writing(places.data):
        if source.remote is not None:
            return _download_day(places, feed, source, key, settings, tick or (lambda: None), keep=keep, ahead=ahead)
        return _make_day(places, feed, source, key, settings)


def _make_day(places: Places, feed: str, source: Source, key: RawKey, settings: Mapping[str, Any]) -> RawDay | None:
    """A day that the source makes itself."""
    assert source.fetch is not None
    channel = next(channel for channel in source.channels if channel.name == key.channel)
    held = raw_day(places, feed, key)
    if held is not None and is_as_asked(source, key, settings, held.manifest):
        return held
    blocks = source.fetch(settings, key.symbol, channel, key.day)
    if blocks is None:
        return None
    tally, reader = Tally(), source.open({})
    final = places.raw_folder(feed, key.channel, key.symbol) / f"{key.day}.{source.extension}.zst"
    first_line = 0
    with atomic_write(final, places.raw_temp(feed)) as temporary:
        file = LineFile(temporary)
        for data in blocks:
            lines = data.count(b"\n")
            placed = reader.read(Block(data, first_line)).placed
            assert placed is not None
            tally.add(placed)
            file.append(data, lines)
            first_line += lines
        sha256 = file.close()
    origin = FileOrigin(
        sha256=sha256,
        bytes=file.bytes,
        lines=file.lines,
        stored_lines=file.lines,
        decimals=tally.decimals_of(key),
    )
    manifest = manifest_of(
        feed, source, key, final.name, file.bytes, sha256, file.lines, tally, [origin], request=settings
    )
    write_manifest(places, feed, key, manifest)
    return raw_day(places, feed, key)


def _remote_channel(source: Source, key: RawKey, settings: Mapping[str, Any]) -> Channel:
    assert source.remote is not None
    return next(channel for channel in source.remote.channels(settings) if channel.name == key.channel)


def _download_day(
    places: Places,
    feed: str,
    source: Source,
    key: RawKey,
    settings: Mapping[str, Any],
    tick: Callable[[], None],
    *,
    keep: bool,
    ahead: Ahead | None,
) -> RawDay | None:
    """A day as its provider sent it: the bytes are kept, the manifest says where they are from."""
    assert source.remote is not None
    remote, request = source.remote, request_of(source, key, settings)
    channel = _remote_channel(source, key, settings)
    lock = exclusive_lock(places.fetch_lock(feed, key.channel, key.symbol, key.day))
    with lock, working_folder(places.raw_temp(feed)) as work, ExitStack() as stack:
        try:
            held = raw_day(places, feed, key)
        except RawDamaged:  # it can be had again
            held = None
        if held is not None and is_as_asked(source, key, settings, held.manifest):
            return held
        instead_of = fetched_elsewhere(source, key, settings, held.manifest) if held is not None else ""
        watch = stack.enter_context(closing(ahead.watch(channel, key.symbol, work))) if ahead is not None else None
        look = partial(look_through, source=source, channel=channel, tick=tick, keep=work if keep else None)
        download, seen = _received(
            lambda: remote.download(settings, key.symbol, channel, key.day, places.cache, work, tick, watch),
            lambda received: _seen_ahead(ahead, key, received) or look(received),
        )
        stack.callback(seen.close)
        tally = seen.tally
        final = places.raw_folder(feed, key.channel, key.symbol) / f"{key.day}{download.suffix}"
        try:
            publish_file(download.path, final)
        finally:
            download.path.unlink(missing_ok=True)
        told = unplaced_of(seen.unplaced, seen.reasons, source, download.dialect)
        received: dict[str, Any] = {"sha256": seen.sha256, **download.origin}
        origin = FileOrigin(
            **received,
            lines=seen.lines,
            stored_lines=seen.lines,
            by_stream=dict(sorted(tally.by_stream.items())),
            connection=tally.connection,
            blank=tally.blank,
            unreadable=tally.unreadable,
            unplaced=told,
            decimals=tally.decimals_of(key),
            disconnects_ns=sorted(seen.disconnects),
            dialect=stored(download.dialect),
        )
        keep_unplaced(places, feed, f"{key.channel}/{key.symbol}/{final.name}", seen.unplaced)
        manifest = manifest_of(
            feed,
            source,
            key,
            final.name,
            seen.bytes,
            seen.sha256,
            seen.lines,
            tally,
            [origin],
            request=request,
        )
        write_manifest(places, feed, key, manifest)
        day = raw_day(places, feed, key)
        if day is None or seen.kept is None:
            return day and replace(day, fetched=True, instead_of=instead_of)
        stack.pop_all()
        return replace(day, kept=seen.kept, fetched=True, instead_of=instead_of)


def _seen_ahead(ahead: Ahead | None, key: RawKey, download: Download) -> Seen | None:
    return ahead.pop(key, str(download.origin.get("sha256", ""))) if ahead is not None else None


def _received(fetch: Callable[[], Download], look_through: Callable[[Download], Seen]) -> tuple[Download, Seen]:
    """A download that could be read to its end; what a cache gave and is damaged is had again."""
    download = fetch()
    try:
        return download, look_through(download)
    except BaseException as error:
        download.path.unlink(missing_ok=True)
        if not isinstance(error, RawDamaged):
            raise
        if download.discard is None:
            raise ReceivedDamaged(str(download.origin["url"]), error.why) from None
    download.discard()
    return _received(fetch, look_through)
