"""Raw days of which manifest and file do not go together."""

from collections.abc import Callable, Iterator

from hedgegrid_assets.errors import HedgegridError, RawDayDamaged
from hedgegrid_assets.housekeeping.doctor.documents import DAMAGED
from hedgegrid_assets.housekeeping.doctor.finding import Finding, in_the_way
from hedgegrid_assets.inspect.provenance import RawFound
from hedgegrid_assets.stages import raw as raw_stage
from hedgegrid_assets.stages.raw import read_manifest
from hedgegrid_assets.store import Places, StorePath, list_days, names_in

_GONE = "manifest without its raw file"
_OTHER = "raw file that has changed"
_ALONE = "raw file without a manifest"
_LINES = "raw day without its line numbers"
_AGAIN = "the next run imports or fetches the day again, once it is out of the way"


def raw_days(places: Places, reading: Callable[[str], None] | None = None) -> Iterator[Finding]:
    """Manifests that are damaged or whose file is gone or of another size, and files that no manifest names.

    ``reading``: told of each file that is read to its end, and held against its manifest, as its line numbers are; None:
    none is.
    A landing file that a manifest points at may be moved away: that is told when it is asked for.
    """
    for folder in places.raw_folders():
        named = {f"{day}.lines.parquet" for day in list_days(folder, ".json")}
        for day in list_days(folder, ".json"):
            path = folder / f"{day}.json"
            named.add(path.name)
            try:
                manifest = read_manifest(path)
            except HedgegridError as error:
                yield in_the_way(DAMAGED, path, f"{error.message}; {_AGAIN}", places.data)
                named |= {name for name in names_in(folder) if name.startswith(f"{day}.")}
                continue
            if manifest is not None:
                named.add(manifest.file)
                yield from _held(places, RawFound(path, manifest, same_bytes=True), reading)
        for name in names_in(folder):
            if name not in named and (folder / name).exists() and name[:10] in _days(folder, name):
                why = f"a run may have been killed before it was named; {_AGAIN}"
                yield in_the_way(_ALONE, folder / name, why, places.data)


def _days(folder: StorePath, name: str) -> set[str]:
    """The name begins with a day."""
    return {str(day) for day in list_days(folder, name[10:])}


def _held(places: Places, raw: RawFound, reading: Callable[[str], None] | None) -> Iterator[Finding]:
    if raw.in_place and not raw.has_its_size:  # told when it is asked for, or imported again
        return
    kind = _OTHER if raw.path.exists() else _GONE
    try:
        if reading is None:
            raw_stage.check_size(raw.path, raw.manifest)
        else:
            reading(f"reading {raw.path}")
            raw_stage.verify(raw.path, raw.manifest)
    except RawDayDamaged as error:
        if raw.in_place:
            yield Finding(kind, str(raw.path), error.message, error.hint)
            return
        yield _moved(places, raw, kind, error.message)
        return
    if reading is not None and (fault := raw.lines_fault):
        names = {origin.path for origin in raw.manifest.origin if origin.path}
        gone = sorted(name for name in names if not (places.home / name).exists())
        if gone:
            way = f"put {', '.join(gone)} back, which the day is made of, then --fix; the raw day keeps its lines"
            yield Finding(_LINES, str(raw.manifest_path), fault, way)
        else:
            yield _moved(places, raw, _LINES, fault)


def _moved(places: Places, raw: RawFound, kind: str, why: str) -> Finding:
    """A raw day that is moved out of the way as a whole."""
    path = raw.manifest_path
    more = (path.with_name(f"{raw.manifest.date}.lines.parquet"), path.parent / raw.manifest.file)
    return in_the_way(kind, path, f"{why}; {_AGAIN}", places.data, *more)
