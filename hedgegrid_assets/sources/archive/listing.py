"""What an archive says that it has: by its listing, where there is one."""

import re
import urllib.parse
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Final

import aiohttp
import anyio
from msgspec import Struct

from hedgegrid_assets.errors import RemoteFault
from hedgegrid_assets.sources.archive.archives import Archive, Files, Period, pair_of
from hedgegrid_assets.sources.client import limits
from hedgegrid_assets.sources.client.answers import refuse_web_page
from hedgegrid_assets.sources.client.loop import call
from hedgegrid_assets.sources.client.provider import Provider
from hedgegrid_assets.sources.client.transfers import body_of, reliably, session
from hedgegrid_assets.wording import nearest

_HREF: Final = re.compile(r'href="([^"?#]+)"', re.IGNORECASE)
_DAY: Final = re.compile(r"(\d{4}-\d{2}(?:-\d{2})?)(?=\.(?:zip|csv\.gz)$)")
_MOST_PAGES: Final = 200
_ENDED_AFTER: Final = timedelta(days=100)
"""Without a new file: then none is late, there are no more."""


class Entry(Struct, frozen=True):
    """A file in a listing: ``path`` with its slash; ``etag`` and ``modified`` where the listing says them."""

    path: str
    etag: str = ""
    modified: str = ""
    size: int = 0


class Listed(Struct, frozen=True):
    """A folder: its files, and the names of the folders in it."""

    files: tuple[Entry, ...]
    folders: tuple[str, ...]


def why_missing(
    archive: Archive,
    endpoint: str,
    files: Files,
    period: Period,
    symbol: str,
    day: date,
    tick: Callable[[], None] | None,
) -> tuple[str, bool]:
    """Why a file of a day is not there, from the listing where there is one, and whether it is only not there yet."""
    wanted = f"{day:%Y-%m}" if period == "monthly" else f"{day}"
    what = f"{'the month' if period == 'monthly' else 'the day'} {wanted}"
    try:
        if archive.listing and files.folders:
            return _by_listing(archive, endpoint, files, period, symbol, what, wanted, tick)
    except RemoteFault as error:
        return f"{what} is not in the archive, whose listing cannot be had ({error.message})", False
    today = datetime.now(UTC).date()
    late = (today - day).days <= 3
    return f"{what} is not in the archive" + (f": a day is published {archive.published}" if late else ""), late


def _by_listing(
    archive: Archive,
    endpoint: str,
    files: Files,
    period: Period,
    symbol: str,
    what: str,
    wanted: str,
    tick: Callable[[], None] | None,
) -> tuple[str, bool]:
    folder = files.folders[period]
    of = pair_of(symbol) if files.by_pair else symbol
    path = files.path(period, symbol, date.min)
    here = path[: path.rindex("/") + 1].lstrip("/")
    found = call(lambda: _list(archive, endpoint, here), tick)
    dates = sorted({match[1] for entry in found.files if (match := _DAY.search(entry.path))})
    if not dates:
        names = call(lambda: _list(archive, endpoint, folder), tick).folders
        near = nearest(of, names, 3) or list(names[:5])
        return f"no symbol {of} in this part of the archive (such as {', '.join(near) or 'none at all'})", False
    if wanted > dates[-1] and dates[-1] < f"{datetime.now(UTC).date() - _ENDED_AFTER}"[: len(wanted)]:
        return (
            f"{what} is not in the archive, whose last one of {of} is {dates[-1]}: such files are not published any more",
            False,
        )
    if wanted > dates[-1]:
        usual = (
            "a month is published after its end" if period == "monthly" else f"a day is published {archive.published}"
        )
        return f"{what} is not published yet: the last one is {dates[-1]}; {usual}", True
    if wanted < dates[0]:
        return f"{what} lies before the first one of {of}, which is {dates[0]}", False
    return f"{what} is missing in the archive, which has {dates[0]} .. {dates[-1]} of {of}", False


def reachable(archive: Archive, endpoint: str) -> bool:
    """Whether anyone answers, soon."""

    async def ask() -> bool:
        try:
            with anyio.fail_after(limits.in_force.probe):
                async with (
                    aiohttp.ClientSession(trust_env=True) as opened,
                    opened.head(endpoint or archive.root) as answer,
                ):
                    return answer.status < 500
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    return call(ask)


async def _list(archive: Archive, endpoint: str, folder: str) -> Listed:
    """A folder of the archive. Raises RemoteFault."""
    provider = Provider(archive.name)
    root = _moved(archive.listing_root, endpoint)
    async with session(provider, limits.in_force.slice_total) as opened:

        async def page(url: str) -> str:
            async def transfer() -> str:
                body = await body_of(opened, url, provider)
                if archive.listing != "html":
                    refuse_web_page(body, url)
                return body.decode(errors="replace")

            return await reliably(transfer, f"the listing of {archive.name}", provider)

        if archive.listing == "html":
            return _html(await page(f"{root}/{folder}"), folder)
        files: list[Entry] = []
        folders: list[str] = []
        marker = ""
        for _ in range(_MOST_PAGES):
            after = f"&marker={urllib.parse.quote(marker, safe='')}" if marker else ""
            text = await page(f"{root}?delimiter=/&prefix={urllib.parse.quote(folder, safe='/')}{after}")
            found, marker = _s3(text, folder)
            files += found.files
            folders += found.folders
            if not marker:
                break
    return Listed(tuple(files), tuple(folders))


def listed(archive: Archive, endpoint: str, folder: str, tick: Callable[[], None] | None = None) -> Listed:
    """A folder of the archive. Raises RemoteFault."""
    return call(lambda: _list(archive, endpoint, folder), tick)


def _moved(root: str, endpoint: str) -> str:
    """An address at another scheme and host."""
    return f"{endpoint}{urllib.parse.urlsplit(root).path}" if endpoint else root


def _html(text: str, folder: str) -> Listed:
    names = [urllib.parse.unquote(match) for match in _HREF.findall(text)]
    own = [name.removeprefix(f"/{folder}") for name in names]
    folders = tuple(name.rstrip("/") for name in own if name.endswith("/") and not name.startswith((".", "/")))
    return Listed(tuple(Entry(f"/{folder}{name}") for name in own if _DAY.search(name)), folders)


def _s3(text: str, folder: str) -> tuple[Listed, str]:
    """A page of ``ListBucketResult``, and the marker of the next one. Raises RemoteFault."""
    try:
        tree = ET.fromstring(text)
    except ET.ParseError as error:
        raise RemoteFault(
            "the listing",
            f"it is no XML: {error}",
            hint="check the network (and a proxy, if there is one)",
            transient=True,
        ) from None
    files = [
        Entry(
            f"/{_text(one, 'Key')}",
            _text(one, "ETag").strip('"'),
            _text(one, "LastModified"),
            int(_text(one, "Size") or 0),
        )
        for one in _all(tree, "Contents")
    ]
    folders = [_text(one, "Prefix").removeprefix(folder).rstrip("/") for one in _all(tree, "CommonPrefixes")]
    more = _text(tree, "IsTruncated") == "true"
    last = max([entry.path[1:] for entry in files] + [f"{folder}{name}/" for name in folders], default="")
    return Listed(tuple(files), tuple(folders)), (_text(tree, "NextMarker") or last) if more else ""


def _all(tree: ET.Element, name: str) -> Iterable[ET.Element]:
    return (one for one in tree if one.tag.rpartition("}")[2] == name)


def _text(tree: ET.Element, name: str) -> str:
    return next((one.text or "" for one in _all(tree, name)), "")
