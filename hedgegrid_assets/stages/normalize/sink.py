"""A frame on its way to disk: written, digested and judged as it grows, and given back if its rows must be sorted anew."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import polars as pl
from msgspec.structs import replace

from hedgegrid_assets.model import DayContext, Effect, InstrumentDay, Table
from hedgegrid_assets.stages.digest import ContentDigest
from hedgegrid_assets.stages.frames import (
    FrameWriter,
    Regrouped,
    arrow_schema,
    frame_schema,
    later,
    read_blocks,
)
from hedgegrid_assets.stages.integrity import DayRules
from hedgegrid_assets.stages.normalize.last_rows import LastRows
from hedgegrid_assets.stages.normalize.recipe import Recipe
from hedgegrid_assets.stages.normalize.reshaped import ReadsAgain, Reshaped
from hedgegrid_assets.stages.raw import RawDay
from hedgegrid_assets.stages.verdict import handed_on
from hedgegrid_assets.store import BackgroundWriter, Places, StorePath, publish_file, temporary_file
from hedgegrid_assets.timestamps import day_end, day_start

_AHEAD: Final = 2
"""Blocks that wait for a thread."""


class FrameSink(Protocol):
    """Takes the rows of a frame while they are stored, in stored order."""

    def add(self, group: pl.DataFrame, /) -> None:
        """Take rows, in memory form (see ``frames``)."""

    def flush(self) -> None:
        """Write what is held of the rows: the last one was among them, unless the frame is begun anew."""

    def restart(self) -> None:
        """Forget all rows: the frame is begun anew."""

    def finish(self, content_digest: str, version: str, /) -> None:
        """The frame is complete and published; this is its digest, and the version of its object."""


class DayFrame:
    """The frame of one (table, day), filled in stored order; ``rows`` are in it so far, ``reshaped``: see ``DayContext``."""

    def __init__(
        self,
        places: Places,
        day: InstrumentDay,
        raw: RawDay,
        table: Table,
        recipe: Recipe,
        other: FrameSink | None,
        again: ReadsAgain,
    ) -> None:
        """``again``: the rows that ``add`` has been given, and those that follow."""
        self._places, self._day, self._raw, self._table, self._recipe = places, day, raw, table, recipe
        self._other, self._again = other, again
        self._names = frame_schema(recipe.base_of(table), recipe.precisions).names()
        self._waiting = self._whole_day()
        self._made_of = self._rules_made_of()
        self._file: FrameFile | None = None
        self.rows = 0
        self.reshaped: Mapping[str, int] = {}

    def _whole_day(self) -> "LastRows | Reshaped | None":
        """Where rows wait until all of them are there in order; None: they need not."""
        folder, shape = self._places.catalog_temp, self._recipe.channel.tables[self._table.name].shape
        if shape is not None:
            made = shape()
            before = handed_on(self._places, self._table, self._day, self._recipe.channel.series)
            if before is not None:
                made.resume(before.states, day_start(self._day.date))
            has_ids = self._recipe.base_of(self._table).id_column is not None  # which may have got numbers
            return Reshaped(folder, made, None if has_ids else partial(_columns_of, self._again, self._names))
        return LastRows(folder, self._table.whole_day, day_end(self._day.date)) if self._table.whole_day else None

    def _rules_made_of(self) -> DayRules | None:
        """What looks for holes in the rows of another table that these are made of."""
        base = self._recipe.base_of(self._table)
        if base is self._table:
            return None
        holes = tuple(rule for rule in base.rules if rule.effect is not Effect.NONE)
        return DayRules(replace(base, rules=holes), self._day.date, self._recipe.thresholds_of(base))

    def made_of(self, known: DayContext) -> dict[str, tuple[bool | None, Mapping[str, Any]]]:
        """Answers of rules for the rows that these are made of, once all are in."""
        if self._made_of is None:
            return {}
        return {result.name: (result.passed, result.numbers) for result in self._made_of.judge(known)[1]}

    def add(self, frame: pl.DataFrame) -> None:
        """Take rows; columns beyond those of a stored frame are left out."""
        rows = frame[self._names]
        if self._made_of is not None:
            self._made_of.add(rows)
        for ready in [rows] if self._waiting is None else self._waiting.add(rows):
            self._put(ready)

    def _put(self, rows: pl.DataFrame) -> None:
        self.rows += len(rows)
        self._opened().add(rows)

    def stored(self, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Some columns of all rows, once all are in."""
        if self._waiting is not None:
            return (frame.select(columns) for frame in self._waiting)
        return iter(()) if self._file is None else self._file.stored(columns)

    def take_back(self) -> Iterator[pl.DataFrame]:
        """Give back all rows, one block after the other, and begin anew."""
        file, self._file, self.rows = self._file, None, 0
        stored = iter(()) if file is None else file.take_back()
        waiting = self._waiting
        self._made_of = self._rules_made_of()
        if isinstance(waiting, Reshaped):
            self._waiting = self._whole_day()
            return waiting.take_back(stored)
        return stored if waiting is None else waiting.take_back()

    def complete(self) -> Path:
        """Write what is left; the file, not published yet."""
        if self._waiting is not None:
            for frame in self._waiting.complete():
                self._put(frame)
            self.reshaped = self._waiting.told()
        return self._opened().complete()

    def hand_on(self, states: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the counters of the day hand on to the next, once the frame is complete."""
        return states if self._waiting is None else self._waiting.hand_on(states)

    def publish(self) -> tuple[StorePath, str, str, DayRules]:
        """Finish the file: its path, sha256, content digest, and the rules that saw every row."""
        return self._opened().publish()

    def close(self) -> None:
        """Leave nothing half-written behind."""
        if self._waiting is not None:
            self._waiting.close()
        if self._file is not None:
            self._file.close()

    def _opened(self) -> "FrameFile":
        if self._file is None:
            self._file = FrameFile(self._places, self._day, self._raw, self._table, self._recipe, self._other)
        return self._file


def _columns_of(again: ReadsAgain, names: Sequence[str]) -> Iterator[pl.DataFrame]:
    return (frame[names] for frame in again())


class FrameFile:
    """Writes, digests and judges one frame, each in a thread of its own as soon as there is a whole group of rows."""

    def __init__(
        self,
        places: Places,
        day: InstrumentDay,
        raw: RawDay,
        table: Table,
        recipe: Recipe,
        other: FrameSink | None,
    ) -> None:
        self._table, self._other = table, other
        self._final = places.frame(day.instrument_id, table.folder, day.date)
        self._stack = ExitStack()
        self._temporary = self._stack.enter_context(temporary_file(self._final.name, places.catalog_temp))
        metadata = {
            "hedgegrid.series": recipe.channel.series,
            "hedgegrid.raw_sha256": raw.sha256,
            "hedgegrid.code_version": recipe.code_version(table),
        }
        schema = arrow_schema(table, recipe.precisions, metadata)
        self._writer = FrameWriter(self._temporary, day.instrument_id, table, schema, recipe.compression)
        self._digest = ContentDigest(day.instrument_id, later(table))
        before = handed_on(places, table, day, recipe.channel.series)
        self._rules = DayRules(table, day.date, recipe.thresholds_of(table), before)
        self._groups = Regrouped()
        self._takers: list[Callable[[pl.DataFrame], None]] = [self._writer.write, self._digest.add, self._rules.add]
        self._threads: list[BackgroundWriter[pl.DataFrame]] = []
        self._ended = False

    def add(self, frame: pl.DataFrame) -> None:
        """Take rows in stored order."""
        for group in self._groups.add(frame):
            self._threads = self._threads or [*self._begun()]
            self._hand_on(group)

    def _begun(self) -> Iterator[BackgroundWriter[pl.DataFrame]]:
        """A thread for each; who writes several blocks at a time must not make the others wait meanwhile."""
        yield from map(BackgroundWriter, self._takers)
        if self._other is not None:
            at_once = max(form.blocks for form in self._table.nautilus.values())
            yield BackgroundWriter(self._other.add, max(at_once, _AHEAD), self._other.flush)

    def _hand_on(self, group: pl.DataFrame) -> None:
        """To each in its thread; to one after the other, where a day has no whole group."""
        for thread in self._threads:
            thread.put(group)
        if self._threads:
            return
        for take in self._takers:
            take(group)
        if self._other is not None:
            self._other.add(group)

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            for group in self._groups.rest():
                self._hand_on(group)
            while self._threads:
                self._threads.pop().close()
            self._writer.close()

    def stored(self, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Stop, and give some columns of all rows."""
        self._end()
        return read_blocks(self._temporary, self._table, columns)

    def take_back(self) -> Iterator[pl.DataFrame]:
        """Stop, and give back all rows taken so far; then the file is gone."""
        self._end()
        if self._other is not None:
            self._other.restart()
        try:
            yield from read_blocks(self._temporary, self._table)
        finally:
            self._stack.close()

    def complete(self) -> Path:
        """Write what is left; the file, not published yet."""
        self._end()
        return self._temporary

    def publish(self) -> tuple[StorePath, str, str, DayRules]:
        """Finish the file: its path, sha256, content digest, and the rules that saw every row."""
        self._end()
        sha256 = self._writer.sha256()
        publish_file(self._temporary, self._final)
        self._stack.close()
        content_digest = self._digest.hexdigest()
        if self._other is not None:
            self._other.finish(content_digest, self._final.entry().version)
        return self._final, sha256, content_digest, self._rules

    def close(self) -> None:
        """Drop what is not published."""
        while self._threads:
            with contextlib.suppress(Exception):
                self._threads.pop().close()
        self._writer.give_up()
        self._stack.close()
