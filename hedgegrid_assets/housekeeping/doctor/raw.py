"""Raw days of which manifest and file do not go together."""

from collections.abc import Iterator

from hedgegrid_assets.errors import HedgegridError
from hedgegrid_assets.housekeeping.doctor.documents import DAMAGED
from hedgegrid_assets.housekeeping.doctor.finding import Finding, in_the_way
from hedgegrid_assets.stages.raw import Manifest, read_manifest
from hedgegrid_assets.store import Places, StorePath, list_days, names_in

_GONE = "manifest without its raw file"
_OTHER = "raw file that has changed"
_ALONE = "raw file without a manifest"
_AGAIN = "the next run imports or fetches the day again, once it is out of the way"


def raw_days(places: Places) -> Iterator[Finding]:
    """Manifests that are damaged or whose file is gone or of another size, and files that no manifest names.

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
            if manifest is not None and not manifest.in_place:
                named.add(manifest.file)
                yield from _held(places, path, manifest)
        for name in names_in(folder):
            if name not in named and (folder / name).exists() and name[:10] in _days(folder, name):
                why = f"a run may have been killed before it was named; {_AGAIN}"
                yield in_the_way(_ALONE, folder / name, why, places.data)


def _days(folder: StorePath, name: str) -> set[str]:
    """The name begins with a day."""
    return {str(day) for day in list_days(folder, name[10:])}


def _held(places: Places, path: StorePath, manifest: Manifest) -> Iterator[Finding]:
    file, lines = path.parent / manifest.file, path.with_name(f"{manifest.date}.lines.parquet")
    if not file.exists():
        yield in_the_way(_GONE, path, f"{file} is gone; {_AGAIN}", places.data, lines)
    elif file.size != manifest.bytes:
        why = f"{file} has {file.size:,} bytes instead of {manifest.bytes:,}; {_AGAIN}"
        yield in_the_way(_OTHER, path, why, places.data, lines, file)
