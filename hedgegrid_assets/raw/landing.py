"""The landing zone: files that users drop, imported once for each content."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from hedgegrid_assets.errors import FileRefused
from hedgegrid_assets.model import Channel, Source
from hedgegrid_assets.raw.carried import Carrier
from hedgegrid_assets.raw.days import Progress
from hedgegrid_assets.raw.index import ImportReport, LandingFile, index_days, read_index
from hedgegrid_assets.raw.passes import LandingPass, Wanted
from hedgegrid_assets.raw.publishing import publish
from hedgegrid_assets.storage import Places, exclusive_lock, remove_tree, writing

_NEVER_LAND: Final = (".tmp", ".part")


def landing_files(root: Path, patterns: Sequence[str]) -> list[LandingFile]:
    """Files below ``root`` that the patterns match; half-written and hidden ones never do."""
    found = {path for pattern in patterns for path in root.glob(pattern) if path.is_file() and _may_land(path)}
    return [LandingFile(path) for path in sorted(found)]


def _may_land(path: Path) -> bool:
    return not path.name.startswith(".") and not path.name.endswith(_NEVER_LAND) and path.stat().st_size > 0


def import_landing(
    places: Places,
    feed: str,
    source: Source,
    files: Sequence[LandingFile],
    channels: Sequence[Channel],
    symbols: Sequence[str],
    *,
    in_place: bool = False,
    pass_over_damaged: bool = False,
    progress: Progress | None = None,
    carrier: Carrier | None = None,
) -> ImportReport:
    """Split landing files into daily raw files: one pass a file, once for each content of it.

    With ``in_place`` a file that holds one symbol-day, and is alone in it, is not copied: its manifest points at it;
    what is decoded of such a file on the way is left with the ``carrier``.
    Landing files are never altered. Lines that belong to no table or day are kept as rejects of the landing file.
    A file that cannot be read raises FileRefused and nothing is published; with ``pass_over_damaged`` it is named in
    the report, and the others land.
    """
    work = places.raw_temp(feed) / "import"
    with writing(places.data), exclusive_lock(places.imports(feed) / "lock"), ExitStack() as stack:
        report = ImportReport()
        wanted = Wanted(frozenset(channel.name for channel in channels), frozenset(symbols))
        remove_tree(places.raw_temp(feed))  # what a run that was killed has left
        stack.callback(remove_tree, work)
        parts: list[LandingPass] = []
        for number, landing in enumerate(files):
            index = read_index(places, feed, landing)
            if index is not None and _is_known(places, feed, index, wanted):
                report.known.append(landing.path)
                report.days |= index_days(index)
                report.unknown_symbols.update(index["unknown_symbols"])
                continue
            both = wanted.with_index(index)
            importing = LandingPass(places, landing, both, work / str(number))
            importing.carries = carrier is not None and source.read is not None
            stack.callback(importing.drop_carried)
            importing.earlier = frozenset(index_days(index)) if index else frozenset()
            try:
                importing.run(source, alone=in_place, progress=progress)
            except FileRefused as error:
                if not pass_over_damaged:
                    raise
                report.damaged.append(error)
                continue
            parts.append(importing)
        publish(places, feed, source, parts, files, in_place=in_place, progress=progress)
        for part in parts:
            part.tell(report)
            if carrier is not None:
                part.hand_over(carrier)
        return report


def waiting_files(
    places: Places, feed: str, files: Sequence[LandingFile], channels: Sequence[Channel], symbols: Sequence[str]
) -> list[LandingFile]:
    """The landing files that an import would read: new ones, changed ones, and those read for fewer channels or symbols."""
    wanted = Wanted(frozenset(channel.name for channel in channels), frozenset(symbols))
    indexes = ((landing, read_index(places, feed, landing)) for landing in files)
    return [landing for landing, index in indexes if index is None or not _is_known(places, feed, index, wanted)]


def _is_known(places: Places, feed: str, index: Mapping[str, Any], wanted: "Wanted") -> bool:
    """The file was read for all that is wanted, and its raw days are still there."""
    days = (places.raw_manifest(feed, key.channel, key.symbol, key.day) for key in index_days(index))
    return wanted.covered_by(index) and all(manifest.exists() for manifest in days)
