"""What a feed takes from its landing zone."""

import json
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from hedgegrid_assets.errors import UsageError
from hedgegrid_assets.model import Channel, Table
from hedgegrid_assets.pipeline.feed_context import KINDS, FeedContext
from hedgegrid_assets.stages import raw as raw_stage
from hedgegrid_assets.stages.raw import (
    ImportReport,
    Indexes,
    Landed,
    LandingFile,
    OwnFiles,
    Progress,
    RawKey,
    claims_data,
    scan_landing,
    shown_name,
)
from hedgegrid_assets.tables import TABLES, TOKENS
from hedgegrid_assets.wording import counted

_NAMED: Final = 3


def landing_files(context: FeedContext) -> list[LandingFile]:
    """The landing files of the feed: by its patterns, or those that its settings name."""
    return _landed(context).files


def waiting_files(context: FeedContext, known: Indexes | None = None) -> list[LandingFile]:
    """Landing files that ``import_landing`` would read; ``known``: all index files of the feed, where they were read already."""
    channels = [channel for channel, _ in context.by_channel().values()]
    return raw_stage.waiting_files(
        context.places, context.feed.name, landing_files(context), channels, context.feed.symbols, known
    )


def import_landing(
    context: FeedContext,
    *,
    channels: Sequence[Channel] | None = None,
    in_place: bool = False,
    pass_over_damaged: bool = False,
    progress: Progress | None = None,
    keep: bool = False,
    again: bool = False,
) -> ImportReport:
    """Import what is new in the landing zone; see ``raw.import_landing``.

    Files of which too many lines have no place are named in the report, and their days will be blocked.
    A note tells of each day that a corrected file holds no more, as long as the catalog does.
    """
    wanted = channels or [channel for channel, _ in context.by_channel().values()]
    landed = _landed(context)
    report = raw_stage.import_landing(
        context.places,
        context.feed.name,
        context.source,
        landed.files,
        wanted,
        context.feed.symbols,
        in_place=in_place,
        pass_over_damaged=pass_over_damaged,
        progress=progress,
        keep=keep,
        again=again,
    )
    report.notes += [
        f"{shown_name(context.places, path)} is passed over: by its name it is no data" for path in landed.passed_over
    ]
    for file in report.files:
        error = file.error(context.feed.max_rejected, _shows_rejects(context))
        if error is None:
            continue
        if file.gives_days or claims_data(file.name, context.source.extension):
            report.blocked.append(error)
        else:
            report.notes.append(f"{file.name} is passed over: {error.message}")
    report.notes += _left_over(context, report)
    report.notes += _other_kinds(context, report, [channel.name for channel in wanted])
    return report


def _shows_rejects(context: FeedContext) -> str:
    catalog, data = shlex.quote(str(context.places.catalog)), shlex.quote(str(context.places.data))
    return f"hedgegrid rejects list {catalog} --data {data}"


class Held(Struct, frozen=True):
    """Lines of a kind that a table could be made from, where it is made from another of which there are none."""

    setting: str
    taken: str
    kind: str
    lines: int


def held_instead(context: FeedContext, by_stream: Mapping[str, int], channels: Collection[str]) -> Held | None:
    """What lines, by what they call themselves, hold instead of the ``channels`` that were looked for."""
    for table in context.tables:
        setting, taken = KINDS.get(table.name), context.channel(table).name
        for channel in context.channels if setting and not by_stream.get(taken) else ():
            lines = by_stream.get(channel.name, 0)
            if lines and table.name in channel.tables and channel.name not in channels:
                return Held(str(setting), taken, channel.name, lines)
    return None


def _other_kinds(context: FeedContext, report: ImportReport, channels: Collection[str]) -> Iterator[str]:
    """Files read now of which a table would be made if another kind were taken; those that give no day are named."""
    all_held = held_instead(context, report.by_stream, channels) if report.read else None
    told = False
    for name in sorted({shown_name(context.places, path) for path in report.read} & report.idle.keys()):
        held = held_instead(context, report.idle[name], channels)
        if held is not None:
            told = True
            yield (
                f"{name} holds nothing of {held.taken}, but {held.lines:,} of {held.kind}, which are left out: "
                f"{held.setting}: {held.kind} takes them"
            )
    if all_held is not None and not told:
        yield (
            f"the landing files hold nothing of {all_held.taken}, but {counted(all_held.lines, 'line')} of {all_held.kind}, which "
            f"are left out: {all_held.setting}: {all_held.kind} takes them"
        )


def _left_over(context: FeedContext, report: ImportReport) -> Iterator[str]:
    """Days that were made of lines which no landing file holds any more."""
    for name, key in sorted(report.former):
        if context.places.raw_manifest(context.feed.name, key.channel, key.symbol, key.day).exists():
            continue
        instrument_id = context.feed.instrument_id(key.symbol)
        channel = next((channel for channel in context.channels if channel.name == key.channel), None)
        for table in context.tables:
            verdict = context.places.verdict(instrument_id, table.folder, key.day)
            if channel is not None and table.name in channel.tables and verdict.exists():
                yield (
                    f"{name} holds no {table.token} of {instrument_id} {key.day} any more, the catalog keeps the day "
                    f"as it was; to remove it: {_reset_command(context, key, [table])}"
                )


class Unnamed(Struct, frozen=True):
    """A raw day that holds lines of landing files (``others``) beside those that a person has named: raw days add up.

    ``tables``: names of those that are made of it. ``reset``: the command that takes it out, so that it can be made of the named ones alone.
    """

    instrument_id: str
    day: date
    tables: tuple[str, ...]
    others: tuple[str, ...]
    reset: str

    def __str__(self) -> str:
        return f"made of {_some(self.others)} too, not named now"


def unnamed(context: FeedContext, keys: Iterable[RawKey]) -> list[Unnamed]:
    """The days of ``keys`` that hold lines of files that are not named now; none where no file is named."""
    if not context.names_files:
        return []
    named = {shown_name(context.places, landing.path) for landing in landing_files(context)}
    found: list[Unnamed] = []
    for key in sorted(keys):
        raw = context.noted(key)
        others = tuple(str(origin.path) for origin in raw.manifest.origin if origin.path not in named) if raw else ()
        if others:
            tables = context.by_channel()[key.channel][1] if key.channel in context.by_channel() else ()
            reset = _reset_command(context, key, tables)
            found.append(
                Unnamed(
                    context.feed.instrument_id(key.symbol),
                    key.day,
                    tuple(table.name for table in tables),
                    others,
                    reset,
                )
            )
    return found


def unnamed_notes(context: FeedContext, found: Sequence[Unnamed]) -> Iterator[str]:
    """What a person should know of them, once for the same files."""
    by_files: dict[tuple[str, ...], list[Unnamed]] = {}
    for each in found:
        by_files.setdefault(each.others, []).append(each)
    for first, *more in by_files.values():
        beside = len({each.day for each in more} - {first.day})
        days = f"{first.day}{f' and {counted(beside, "other day")}' if beside else ''}"
        yield (
            f"{first.instrument_id} {days}: {first}; what {context.places.data} holds of a day adds up. To make the day of "
            f"the named files alone: {first.reset}, and run again; or name another --data"
        )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else "")


def _reset_command(context: FeedContext, key: RawKey, tables: Sequence[Table]) -> str:
    """Takes a day out, with its raw day."""
    return (
        f"hedgegrid reset-day {shlex.quote(context.feed.instrument_id(key.symbol))} {key.day} "
        f"{f'--table {tables[0].token} ' if len(tables) == 1 else ''}"
        f"--catalog {shlex.quote(str(context.places.catalog))} --data {shlex.quote(str(context.places.data))} --yes"
    )


def _landed(context: FeedContext) -> Landed:
    """The files to import, and those that the patterns match but are no data."""
    own = OwnFiles(context.places, context.feed.name)
    if not context.names_files:
        found = scan_landing(context.places.landing, context.feed.landing, own.has)
        files = [replace(landing, settings=_said(context, named=False)) for landing in found.files]
        return Landed(files, found.passed_over)
    named = _named(context)
    ours = [str(landing.path) for landing in named if own.has(landing.path)]
    if ours:
        raise UsageError(
            f"these files were made by us, and are no landing files: {', '.join(ours)}",
            hint="name the file that they were made from, outside the folders of feeds, the cache and the catalog",
        )
    return Landed(named, [])


def _named(context: FeedContext) -> list[LandingFile]:

    inputs, files = context.feed.settings.get("inputs"), context.feed.settings.get("files") or {}
    if inputs:
        return [
            LandingFile(path, settings=_said(context, named=True)) for path in _existing(context, map(Path, inputs))
        ]

    base = Path(context.feed.settings.get("base_path", "."))
    given: dict[Path, set[str]] = {}
    entries: dict[Path, dict[str, Any]] = {}
    for token, entry in files.items():
        if TOKENS[token] in context.tables:
            path = base / entry["file_path"]
            channels = {channel.name for channel in context.source.channels if TOKENS[token].name in channel.tables}
            given.setdefault(path, set()).update(channels)
            entries.setdefault(path, {})[token] = {key: entry[key] for key in entry if key != "file_path"}
    return [
        LandingFile(path, frozenset(given[path]), _said(context, named=True, files=entries[path]))
        for path in _existing(context, given)
    ]


def _said(context: FeedContext, *, named: bool, files: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What is said of how to read a landing file, for sources whose files have a dialect.

    ``reader``: a newer one may take a file for something else, and so looks at it again.
    """
    if context.source.begin is None:
        return {}
    given: dict[str, Any] = {"named": named, "files": files}
    given |= {key: context.feed.settings.get(key) for key in ("timestamp_format", "sides", "side_is")}
    said = {entry["encoding"] for entry in (files or {}).values() if "encoding" in entry}
    if len(said) > 1:
        raise UsageError(
            f"one file has one encoding: expected the same for each data type, found {', '.join(sorted(said))}"
        )
    given["encoding"] = next(iter(said), context.feed.settings.get("encoding"))
    given |= {"venue": context.feed.venue, "market": context.feed.market}
    given["reader"] = context.source.code_version
    asked = {"symbols": list(context.feed.symbols), "tokens": _tokens(context)}
    return {key: value for key, value in given.items() if value} | asked


def _tokens(context: FeedContext) -> list[str]:
    """The data types to look for: for a table that is made of another's rows, that one's."""
    sent = (context.channel(table).tables[table.name].made_of or table.name for table in context.tables)
    return list(dict.fromkeys(TABLES[name].token for name in sent))


def _existing(context: FeedContext, paths: Iterable[Path]) -> list[Path]:
    """Sorted. Raises UsageError that names, in full, all that are not there, and where such a file is."""
    found = sorted(paths)
    folders = [str(path) for path in found if path.is_dir()]
    if folders:
        raise UsageError(
            f"a folder is no file: {', '.join(folders)}",
            hint="--input and file_path name one file; several files: --input once for each, or a feed with landing: in feeds.yaml",
            details={"folders": folders},
        )
    missing = [path for path in found if not path.is_file()]
    if missing:
        raise UsageError(
            f"file not found: {', '.join(str(path.resolve()) for path in missing)}",
            hint=_where(context, missing),
            details={"missing": [str(path.resolve()) for path in missing]},
        )
    return found


def _where(context: FeedContext, missing: Sequence[Path]) -> str:
    """Where files of these names are, among the places that are usual."""
    by_input = "inputs" in context.feed.settings
    usual = (context.places.landing / context.feed.source, Path())
    elsewhere = [folder / path.name for path in missing for folder in usual if (folder / path.name).is_file()]
    if elsewhere:
        paths = [str(path.resolve()) for path in elsewhere]
        named = f"--input {shlex.quote(paths[0])}" if by_input else f'"file_path": {json.dumps(paths[0])}'
        return f"such a file is there: {', '.join(paths)}; name it in full: {named}"
    if any("s3:/" in str(path) for path in missing):
        return "files are read from this machine: copy them to it"
    if by_input:
        return "--input names one file, from the working directory; several times for several"
    return "file_path counts from base_path, and that from the folder of the file that it stands in"
