"""One self-contained HTML page of a catalog: every instrument-day by its verdict, and what is behind those worth a look.

The verdicts are read once, one by one; of each only a few numbers stay in memory. Details (rules, gaps, rejects,
provenance) and charts are for the days with something to show, worst and newest first, and for the newest few, up to a
number of bytes: the page says of the others which command tells more.
"""

import base64
import contextlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
from msgspec import Struct, field

from hedgegrid_assets.errors import DocumentDamaged, HedgegridError
from hedgegrid_assets.inspect.book_told import BookTold
from hedgegrid_assets.inspect.books import Curves
from hedgegrid_assets.inspect.charts import DaySeries, day_series
from hedgegrid_assets.inspect.days import DayFilter, Judged, instruments, judged_days, nothing_found
from hedgegrid_assets.inspect.documents import damaged_raw
from hedgegrid_assets.inspect.gaps import day_holes
from hedgegrid_assets.inspect.provenance import RawFinder, RawFound
from hedgegrid_assets.inspect.rejects import MEANINGS, samples
from hedgegrid_assets.inspect.status import LOOKS
from hedgegrid_assets.inspect.visible import visible
from hedgegrid_assets.model import Cause, InstrumentDay, Table
from hedgegrid_assets.stages.catalog import generation_of
from hedgegrid_assets.stages.outages import read_outages
from hedgegrid_assets.stages.verdict import read_verdict
from hedgegrid_assets.store import Places, atomic_write, plain
from hedgegrid_assets.tables import TABLES

TEMPLATE: Final = Path(__file__).with_name("report_template.html")
NEWEST: Final = 3
"""Days of each (instrument, table) that are told in full whatever they hold."""

_DETAIL_BYTES: Final = 9_000_000
_NOTE_BYTES: Final = 4_000_000
_SHOWN_GAPS: Final = 100
_SHOWN_JOINS: Final = 500
_SHOWN_ORIGINS: Final = 5
_SAMPLES: Final = 2
_SAMPLE_CHARACTERS: Final = 240
_LEVELS: Final = 254
_NOTHING: Final = 255
_URGENT: Final[Mapping[str, int]] = {"blocked": 0, "degraded": 2, "partial": 3}
_WARNED: Final = 4
_QUIET: Final = 5
_ANSWERS: Final[Mapping[bool | None, int]] = {False: 0, True: 1, None: 2}
"""A rule's answer in the page: failed, passed, off."""

type Progress = Callable[[str, int], None]


class Written(Struct, frozen=True):
    """What was written: days in the page, those with details, and those whose details had no room.

    ``damaged``: manifests and indexes of the data root, and frames, that could not be read; the page does without them.
    """

    path: Path
    bytes: int
    days: int
    detailed: int
    left_out: int
    damaged: tuple[HedgegridError, ...] = ()


class _Line(Struct):
    """The days of one (instrument, table): offsets from the first day of the page -> letter and numbers."""

    letters: dict[int, str] = field(default_factory=dict)
    rows: dict[int, int] = field(default_factory=dict)
    off: list[list[int]] = field(default_factory=list)

    def rules_off(self, offset: int, bits: int) -> None:
        """Rules that are off from this day on, as bits: kept where they change."""
        if bits != (self.off[-1][1] if self.off else 0):
            self.off.append([offset, bits])


class _Candidate(Struct, frozen=True, order=True):
    """A day that has something to show; sorts by how urgent it is, newest first."""

    urgency: int
    age: int
    instrument_id: str
    table: str

    def day(self, today: date) -> date:
        return today - timedelta(days=self.age)


def write_report(
    places: Places,
    output: Path,
    *,
    wanted: DayFilter | None = None,
    detail_bytes: int = _DETAIL_BYTES,
    progress: Progress | None = None,
) -> Written:
    """Write the page of a catalog; an older one is replaced at once.

    Args:
        places: Catalog, and the data root that raw files and manifests are looked up in.
        output: The HTML file.
        wanted: Only these days; None: all.
        detail_bytes: Room for details and charts.
        progress: Told what is worked on.

    Raises:
        NoDataFetched: No verdicts.
        DocumentDamaged: A document of the catalog is, other than a frame.
    """
    damaged = tuple(damaged_raw(places))
    page = _Page(places, wanted or DayFilter(), detail_bytes, progress or (lambda _what, _count: None))
    content = page.content()
    text = (
        TEMPLATE.read_text(encoding="utf-8")
        .replace("/*STATUS*/", _fills(), 1)
        .replace("__DATA__", _embedded(content), 1)
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(output, output.parent) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Written(
        output, output.stat().st_size, page.days, len(content["details"]), page.left_out, (*damaged, *page.damaged)
    )


def _embedded(content: Mapping[str, Any]) -> str:
    """JSON that may stand inside a script element."""
    text = json.dumps(_visible(content), separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _visible(value: Any) -> Any:
    """Every text in it as it may be shown."""
    match value:
        case str():
            return visible(value)
        case dict():
            return {visible(str(key)): _visible(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_visible(inner) for inner in value]
    return value


def _fills() -> str:
    """The colours of the statuses as CSS, light and dark."""
    light = " ".join(f".s-{look.letter} {{ background-color: {look.light}; }}" for look in LOOKS.values())

    def dark(root: str) -> str:
        return " ".join(f"{root} .s-{look.letter} {{ background-color: {look.dark}; }}" for look in LOOKS.values())

    by_system = f"@media (prefers-color-scheme: dark) {{ {dark(':root:not([data-theme=light])')} }}"
    return f"{light}\n{by_system}\n{dark(':root[data-theme=dark]')}"


class _Page:
    """Gathers what the page is made of."""

    def __init__(self, places: Places, wanted: DayFilter, detail_bytes: int, progress: Progress) -> None:
        self._places, self._wanted, self._room, self._progress = places, wanted, detail_bytes, progress
        self._finder = RawFinder(places)
        self._rules = {rule.name: number for number, rule in enumerate(_rules())}
        self.days = 0
        self.left_out = 0
        self.damaged: list[DocumentDamaged] = []

    def content(self) -> dict[str, Any]:
        found = self._days_on_disk()
        if not found:
            raise nothing_found(self._places, self._wanted)
        first, last = min(day for _, _, day in found), max(day for _, _, day in found)
        self._first, self._last = first, last
        names = sorted({instrument_id for instrument_id, _, _ in found})
        self._number = {name: number for number, name in enumerate(names)}
        self._outages = read_outages(self._places)
        lines, notes, candidates, joins = self._scan()
        return {
            "catalog": self._places.catalog.address,
            "nautilus": generation_of(self._places),
            "made": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            "version": version("hedgegrid-assets"),
            "start": str(first),
            "days": (last - first).days + 1,
            "instruments": names,
            "tables": [
                {"name": table.name, "token": table.token, "doc": table.doc, "value": table.value}
                for table in TABLES.values()
            ],
            "statuses": [
                {
                    "word": word,
                    "letter": look.letter,
                    "light": look.light,
                    "dark": look.dark,
                    "pattern": look.pattern,
                    "meaning": look.meaning,
                }
                for word, look in LOOKS.items()
            ],
            "rules": [[rule.name, str(rule.severity), rule.description, rule.looks_for] for rule in _rules()],
            "no_loss": [str(cause) for cause in Cause if not cause.is_loss],
            "reasons": MEANINGS,
            "lines": self._packed(lines),
            "notes": notes,
            "joins": joins,
            "details": self._details(candidates),
            "left_out": self.left_out,
        }

    def _days_on_disk(self) -> set[tuple[str, str, date]]:
        """By file names alone."""
        return {
            (instrument_id, table.name, day)
            for instrument_id in instruments(self._places)
            for table in TABLES.values()
            for day in self._places.judged_days(instrument_id, table.folder)
            if self._wanted.has(instrument_id, table.name, day)
        }

    # -- one pass over the verdicts

    def _scan(
        self,
    ) -> tuple[dict[tuple[str, str], _Line], dict[str, list[int | float]], list[_Candidate], list[list[Any]]]:
        lines: dict[tuple[str, str], _Line] = {}
        notes: dict[str, list[int | float]] = {}
        candidates: list[_Candidate] = []
        joins: list[list[Any]] = []
        newest: dict[tuple[str, str], list[_Candidate]] = {}
        room = _NOTE_BYTES
        before: Judged | None = None
        for judged in judged_days(self._places, self._wanted):
            self.days += 1
            self._progress(str(judged.day), 1)
            key = (judged.day.instrument_id, judged.table.name)
            offset = (judged.day.date - self._first).days
            line = lines.setdefault(key, _Line())
            line.letters[offset] = LOOKS[judged.status].letter
            line.rows[offset] = judged.verdict.rows.rows_out
            line.rules_off(offset, self._bits(judged.off))
            note = self._note(judged)
            if note is not None:
                at = self._at(judged.day, judged.table)
                room -= len(at) + len(json.dumps(note))
                if room > 0:
                    notes[at] = note
            urgency = _URGENT.get(judged.status, _WARNED if judged.failed or note else _QUIET)
            candidate = _Candidate(urgency, (self._last - judged.day.date).days, *key)
            if urgency < _QUIET:
                candidates.append(candidate)
            newest[key] = [*newest.get(key, [])[-NEWEST + 1 :], candidate]
            self._join(before, judged, joins)
            before = judged
        first_of_all = [
            _Candidate(1, each.age, each.instrument_id, each.table) for group in newest.values() for each in group
        ]
        kept = {(each.age, each.instrument_id, each.table): each for each in (*candidates, *first_of_all)}
        for each in candidates:  # what is urgent stays so, also among the newest
            kept[each.age, each.instrument_id, each.table] = min(each, kept[each.age, each.instrument_id, each.table])
        return lines, notes, sorted(kept.values()), joins[:_SHOWN_JOINS]

    def _at(self, day: InstrumentDay, table: Table) -> str:
        return f"{self._number[day.instrument_id]}/{list(TABLES).index(table.name)}/{(day.date - self._first).days}"

    def _note(self, judged: Judged) -> list[int | float] | None:
        """[failed rules as bits, gaps, seconds lost, ids missing, rejected, exact duplicates, quiet]; None if there is nothing."""
        verdict = judged.verdict
        bits = self._bits(rule.name for rule in judged.failed)
        lost = [gap for gap in verdict.gaps if gap.cause.is_loss]
        numbers = [
            verdict.number_of_gaps - verdict.quiet,
            round(sum(gap.seconds for gap in lost), 1),
            verdict.ids_missing,
            verdict.rows.rejected,
            verdict.rows.exact_duplicates,
            verdict.quiet,
        ]
        return [bits, *numbers] if bits or any(numbers) else None

    def _bits(self, names: Iterable[str]) -> int:
        return sum(1 << self._rules[name] for name in names if name in self._rules)

    def _join(self, before: Judged | None, judged: Judged, joins: list[list[Any]]) -> None:
        if before is None or (before.day.instrument_id, before.table) != (judged.day.instrument_id, judged.table):
            return
        missing = before.verdict.ids_until(judged.verdict)
        if missing:
            joins.append(
                [
                    self._number[judged.day.instrument_id],
                    judged.table.name,
                    str(before.day.date),
                    str(judged.day.date),
                    missing,
                ]
            )

    def _packed(self, lines: Mapping[tuple[str, str], _Line]) -> list[list[Any]]:
        """[instrument, table, offset of the first day, letters, rows, rules off]; a day inside without a verdict is missing."""
        packed = []
        for (instrument_id, table), line in lines.items():
            start, end = min(line.letters), max(line.letters)
            span = range(start, end + 1)
            letters = "".join(line.letters.get(offset, LOOKS["missing"].letter) for offset in span)
            rows = [line.rows.get(offset, 0) for offset in span]
            packed.append([self._number[instrument_id], list(TABLES).index(table), start, letters, rows, line.off])
        return packed

    # -- details

    def _details(self, candidates: Sequence[_Candidate]) -> dict[str, Any]:
        details: dict[str, Any] = {}
        for candidate in candidates:
            if self._room <= 0:
                self.left_out += 1
                continue
            day, table = InstrumentDay(candidate.instrument_id, candidate.day(self._last)), TABLES[candidate.table]
            verdict = read_verdict(self._places, table, day)
            if verdict is None:
                continue
            self._progress(f"{day} {table.token}", 0)
            detail = self._detail(Judged.of(day, table, verdict, self._outages))
            self._room -= len(json.dumps(detail, ensure_ascii=False))
            details[self._at(day, table)] = detail
        return details

    def _detail(self, judged: Judged) -> dict[str, Any]:
        verdict, day, table = judged.verdict, judged.day, judged.table
        frame = self._places.frame(day.instrument_id, table.folder, day.date)
        series = None
        try:
            series = day_series(frame, table, day) if frame.exists() else None
        except DocumentDamaged as error:  # named beside the page
            self.damaged.append(error)
        holes = sorted(day_holes(judged), key=lambda hole: (not hole.is_loss, -hole.seconds))
        detail: dict[str, Any] = {
            "rows": plain(verdict.rows),
            "reshaped": [[count, table.reshapes[name]] for name, count in verdict.reshaped.items()],
            "book": book.words if table.is_book and (book := BookTold.of(verdict.rules)) else "",
            "ends": [*map(_in_ms, (verdict.first_ts_init, verdict.last_ts_init)), verdict.first_id, verdict.last_id],
            "rules": [
                [self._rules[rule.name], _ANSWERS[rule.answer], rule.rows_failed, rule.numbers]
                for rule in verdict.rules
                if rule.name in self._rules
            ],
            "gaps": [
                [
                    _in_ms(hole.start),
                    _in_ms(hole.end),
                    hole.ids_missing,
                    hole.cause,
                    hole.kind,
                    *([hole.outage.told] if hole.outage else []),
                ]
                for hole in holes[:_SHOWN_GAPS]
            ],
            "gaps_total": len(holes) + verdict.gaps_unlisted,
            "quiet": verdict.quiet,
            "made_from": self._made_from(judged),
        }
        if verdict.rejects_by_reason:
            path = self._places.rejects(day.instrument_id, table.folder, day.date)
            detail["rejects"] = {
                "by_reason": verdict.rejects_by_reason,
                "samples": [
                    [row["reason"], row["file"], row["line"], row["field"], row["value"], row["raw"]]
                    for row in samples(path, _SAMPLES, _SAMPLE_CHARACTERS)
                ],
            }
        if series is not None:
            detail["chart"] = packed_chart(series)
        return detail

    def _made_from(self, judged: Judged) -> dict[str, Any]:
        verdict = judged.verdict
        about = {
            name: getattr(verdict, name)
            for name in ("series", "code_version", "frame_sha256", "content_digest", "raw_sha256")
        }
        raw = None
        with contextlib.suppress(DocumentDamaged):  # named beside the page
            raw = self._finder.find(verdict)
        return about if raw is None else about | {"raw": _raw(raw)}


def _raw(raw: RawFound) -> dict[str, Any]:
    manifest = raw.manifest
    names = ("feed", "source", "channel", "symbol", "bytes", "lines", "fetched_at", "stored", "request")
    wanted = (
        "path",
        "url",
        "sha256",
        "bytes",
        "lines",
        "stored_lines",
        "connection",
        "blank",
        "unreadable",
        "decoded_to_end",
    )
    origins = [{name: origin[name] for name in wanted if name in origin} for origin in raw.origins()[:_SHOWN_ORIGINS]]
    return {
        "file": str(raw.path),
        "same": raw.same_bytes,
        "disconnects": len(manifest.disconnects_ns),
        "origin": origins,
        "origins": len(manifest.origin),
    } | {name: getattr(manifest, name) for name in names}


def _rules() -> list[Any]:
    """Every rule once, in the order of the tables."""
    found: dict[str, Any] = {}
    for table in TABLES.values():
        for rule in table.rules:
            found.setdefault(rule.name, rule)
    return list(found.values())


def _in_ms(ns: int | None) -> int | None:
    """A time cut to whole milliseconds, still in ns: a browser's numbers would round ..59.999999999 s up to the next day."""
    return None if ns is None else ns // 1_000_000 * 1_000_000


def packed_chart(series: DaySeries) -> dict[str, Any]:
    """A chart's numbers as bytes: 0 to 254 between the ends of their panel, 255 where there is nothing."""
    latency = _ends(series.latency_low, series.latency_high)
    value = _ends(series.low, series.high)
    rates = series.rates
    curves = [
        *(_levels(curve, *value) for curve in (series.low, series.high, series.last)),
        _levels(np.where(series.rows > 0, rates, np.nan), 0.0, float(rates.max())),
        *(_levels(curve, *latency) for curve in (series.latency_low, series.latency_mean, series.latency_high)),
    ]
    more = [(each, _ends(each.low, each.high)) for each in series.more]
    for panel, ends in more:
        curves += [_levels(curve, *ends) for curve in (panel.low, panel.high, panel.line)]
    panels = {"more": [[panel.word, list(ends), *_extent(panel)] for panel, ends in more]} if more else {}
    return panels | {
        "value_is": series.value,
        "start": series.start,
        "end": series.end,
        "n": len(series.rows),
        "value": list(value),
        "rate": float(rates.max()),
        "latency": list(latency),
        "bytes": base64.b64encode(b"".join(curves)).decode(),
    }


def _ends(low: Iterable[float], high: Iterable[float]) -> tuple[float, float]:
    bottom, top = float(np.nanmin(np.asarray(low))), float(np.nanmax(np.asarray(high)))
    return (
        (float(f"{bottom:.10g}"), float(f"{top:.10g}"))
        if top > bottom
        else (bottom - _room(bottom), bottom + _room(bottom))
    )


def _extent(panel: Curves) -> list[float]:
    """Lowest, usual and highest: the median of the line between the ends of the band."""
    found = np.nanmin(panel.low), np.nanmedian(panel.line), np.nanmax(panel.high)
    return [float(f"{value:.10g}") for value in found]


def _room(value: float) -> float:
    """Above and below a curve that does not move."""
    return abs(value) * 1e-3 or 1.0


def _levels(curve: Any, bottom: float, top: float) -> bytes:
    share = (np.asarray(curve) - bottom) / ((top - bottom) or 1.0) * _LEVELS
    return bytes(
        np.where(np.isnan(share), _NOTHING, np.clip(np.round(np.nan_to_num(share)), 0, _LEVELS)).astype(np.uint8)
    )
