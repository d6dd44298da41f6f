"""One table of one day, from decoded rows to stored files and a verdict."""

from collections.abc import Iterator
from functools import partial

import polars as pl

from hedgegrid_assets.batch import Decoded
from hedgegrid_assets.errors import PrecisionTooFine, RowsWouldBeLost
from hedgegrid_assets.model import DayContext, Identity, InstrumentDay, RowCounts, Table
from hedgegrid_assets.stages.earlier import Earlier
from hedgegrid_assets.stages.integrity import DayRules
from hedgegrid_assets.stages.normalize.beside import compared
from hedgegrid_assets.stages.normalize.order import InOrder
from hedgegrid_assets.stages.normalize.recipe import Normalized, Recipe, to_blame
from hedgegrid_assets.stages.normalize.rejects import Rejects
from hedgegrid_assets.stages.normalize.sink import DayFrame, FrameSink
from hedgegrid_assets.stages.normalize.values import TableRows
from hedgegrid_assets.stages.raw import RawDay
from hedgegrid_assets.stages.verdict import Verdict, make_verdict, store_verdict
from hedgegrid_assets.store import Places


class TableWriter:
    """One table of one day on its way from decoded rows to stored files."""

    def __init__(
        self,
        places: Places,
        day: InstrumentDay,
        raw: RawDay,
        table: Table,
        recipe: Recipe,
        other: FrameSink | None,
    ) -> None:
        self.table = table
        self._places, self._day, self._raw, self._recipe = places, day, raw, recipe
        base = recipe.base_of(table)
        self._rejects = Rejects(raw, _key_of_ids(recipe) if base.id_column else None)
        self._rows = TableRows(base, recipe, self._rejects)
        self._frame = DayFrame(places, day, raw, table, recipe, other, partial(_again, raw, table, recipe))
        self._order = InOrder(places.catalog_temp, raw, base, recipe, self._frame)

    def add(self, decoded: Decoded) -> None:
        """Take one decoded block."""
        frame = self._rows.of(decoded)
        if frame is not None:
            self._order.add(frame)

    def finish(self, earlier: Earlier | None) -> Normalized:
        """Publish frame, rejects and verdict, unless rows of an ``earlier`` frame of another origin would be lost."""
        if self._rows.too_fine:
            return self._refuse()
        self._order.finish()
        new = self._frame.complete()
        known = self._known(self._frame.rows)
        known.made_of = self._frame.made_of(known)
        if not self._recipe.is_made(self.table):
            known.beside = compared(self._places, self._day, self.table, new)
        note = None
        if earlier is not None:
            try:
                note = earlier.compared(new, self._frame.rows)
            except RowsWouldBeLost as error:
                return Normalized(self._day, self.table, earlier.verdict, None, error)
        frame, sha256, digest, rules = self._frame.publish()
        self._rejects.store(self._places, self._day, self.table)
        verdict = self._verdict(rules, known, sha256, digest)
        return Normalized(self._day, self.table, verdict, frame, note=note)

    def _known(self, rows_out: int) -> DayContext:
        return DayContext(
            counts=RowCounts(
                rows_in=self._rows.rows_in,
                rows_out=rows_out,
                rejected=len(self._rejects.all()),
                exact_duplicates=self._order.duplicates,
                not_applicable=self._rows.not_applicable,
            ),
            lines=self._rows.lines.counts(),
            rejects_by_reason=self._rejects.by_reason(),
            out_of_order=self._order.out_of_order,
            any_order=self._order.newest_first or self._recipe.channel.any_order,
            conflicting_ids=self._order.conflicting_ids,
            conflicts=self._order.conflicts,
            too_fine=self._rows.rows_too_fine,
            excluded_ids=self._rejects.excluded_ids(),
            disconnects=self._raw.manifest.disconnects_ns,
            capture_edges=self._raw.origin_starts(),
            contiguous_ids=self._recipe.channel.contiguous_ids,
            unique_ids=self._recipe.identity_of(self.table) is Identity.ID,
            unplaced_files=to_blame(self._raw, self._recipe.thresholds_of(self.table)),
            left_empty=self._rows.left_empty,
            reshaped=self._frame.reshaped,
        )

    def _verdict(self, rules: DayRules, known: DayContext, sha256: str | None, digest: str | None) -> Verdict:
        seen, results = rules.judge(known)
        verdict = make_verdict(
            self._day,
            self.table,
            seen,
            results,
            series=self._recipe.channel.series,
            frame_sha256=sha256,
            content_digest=digest,
            raw_sha256=[self._raw.sha256],
            code_version=self._recipe.code_version(self.table),
            precisions=self._recipe.precisions,
            thresholds=self._recipe.thresholds_of(self.table),
            read_as=self._raw.read_as,
            identity=self._recipe.told_identity(self.table),
            state=self._frame.hand_on(rules.hand_on()),
            began_with=rules.began_with,
        )
        store_verdict(self._places, self.table, self._day, verdict)
        return verdict

    def _refuse(self) -> Normalized:
        """No frame can hold these values at the definition's scale: a blocked verdict, and what to do."""
        rules = DayRules(self.table, self._day.date, self._recipe.thresholds_of(self.table))
        verdict = self._verdict(rules, self._known(rows_out=0), None, None)
        defined: dict[str, int] = {}
        needed: dict[str, int] = {}
        for column in self._recipe.base_of(self.table).columns:
            if (decimals := self._rows.too_fine.get(column.name)) is not None:
                kind = str(column.precision)
                defined[kind] = self._recipe.precisions.of(column)
                needed[kind] = max(decimals, needed.get(kind, 0))
        error = PrecisionTooFine(self._day.instrument_id, defined, needed, str(self._raw.path))
        return Normalized(self._day, self.table, verdict, None, error)

    def close(self) -> None:
        """Leave nothing half-written behind."""
        self._order.close()
        self._frame.close()


def _again(raw: RawDay, table: Table, recipe: Recipe) -> Iterator[pl.DataFrame]:
    """The rows of all blocks that have some, read once more; nothing is counted.

    Not of a ``TableWriter``, which would then hold itself: what it has counted would stay until garbage is looked for.
    """
    rows = TableRows(recipe.base_of(table), recipe, Rejects(raw, None))
    for batch in raw.batches(recipe.source, recipe.channel):
        decoded = batch.decoded.get(recipe.channel.name)
        frame = None if decoded is None else rows.of(decoded)
        if frame is not None and len(frame):
            yield frame


def _key_of_ids(recipe: Recipe) -> str | None:
    return next((field.key for field in recipe.channel.fields if field.name == "id"), None)
