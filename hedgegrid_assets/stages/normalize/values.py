"""Decoded rows become rows of a table: its columns at the instrument's scale; what it cannot hold is rejected."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

import polars as pl

from hedgegrid_assets.batch import Decoded
from hedgegrid_assets.instruments import FAR_FINER, FLOAT_DIGITS
from hedgegrid_assets.model import Table
from hedgegrid_assets.sources.formats import synthetic_ids
from hedgegrid_assets.stages.frames import frame_schema
from hedgegrid_assets.stages.normalize.lines import LineCounter
from hedgegrid_assets.stages.normalize.recipe import Recipe
from hedgegrid_assets.stages.normalize.rejects import Rejects
from hedgegrid_assets.tables import A_NUMBER, needs

_TRADE_ID_LENGTH: Final = 1_000
_BASE: Final = "made_from"
PART: Final = "part"
"""Column: which of the rows of its line a row is, where a channel gives several."""


class TableRows:
    """Makes rows of one table from decoded blocks, in file order, and counts what it leaves out.

    ``too_fine``: column with values of more decimals than the definition -> most decimals among them.
    """

    def __init__(self, table: Table, recipe: Recipe, rejects: Rejects) -> None:
        self._table, self._recipe, self._rejects = table, recipe, rejects
        self._mapping = recipe.channel.tables[table.name]
        self._stored = dict(frame_schema(table, recipe.precisions))
        self._scaled = {
            column.name: column for column in table.columns if isinstance(column.dtype, pl.Decimal) and column.precision
        }
        self.rows_in = self.not_applicable = 0
        self.lines = LineCounter()
        self.left_empty: Counter[str] = Counter()
        self.too_fine: dict[str, int] = {}
        self.rows_too_fine = 0

    def of(self, decoded: Decoded) -> pl.DataFrame | None:
        """The columns of a stored frame, ``PART``, and ``MADE`` if the table has ids; None from the first value on that is too fine."""
        rows = decoded.rows
        self.rows_in += len(rows) + len(decoded.rejects)
        self.lines.add(decoded)
        self._rejects.add(decoded.rejects)
        faults = self._faults_of(decoded)
        if faults is not None:
            rows = self._without_faulty(rows, faults)
        if self._mapping.applies is not None:
            applicable = rows.filter(self._mapping.applies)
            self.not_applicable += len(rows) - len(applicable)
            rows = applicable
        if faults is not None:
            self._count_empty(rows, faults)
        columns = [expression.alias(name) for name, expression in self._mapping.columns.items()]
        columns += [
            pl.lit(value=False).alias(name) for name in self._table.whole_day if name not in self._mapping.columns
        ]
        columns += [
            pl.lit(None, column.dtype).alias(column.name)
            for column in self._table.columns
            if column.later and column.name not in self._mapping.columns
        ]
        base = self._mapping.made_ids
        made = [] if base is None else [base.alias(_BASE)]
        more = [PART] if PART in rows.columns else []
        known = self._mapping.known_from
        arrival = pl.col("ts_init") if known is None else pl.max_horizontal("ts_init", known).alias("ts_init")
        frame = self._without_impossible(rows.select("raw_row", "ts_event", arrival, *more, *columns, *made))
        if self._table.id_column:
            own = frame[_BASE] if made else None
            frame = synthetic_ids.filled(frame.drop(_BASE, strict=False), self._table.id_column, own)
            more.append(synthetic_ids.MADE)
        if self._finer(frame):
            frame = self._without_floats(frame)
            self._note_finer(frame)
        if self.too_fine:
            return None
        return frame.select(*(pl.col(name).cast(dtype) for name, dtype in self._stored.items()), *more)

    # -- values that cannot be read

    def _faults_of(self, decoded: Decoded) -> pl.DataFrame | None:
        """The faults in fields that this table uses, in the order of the fields; None if there are none.

        ``empty``: the column that stays empty, where the value is a number that it cannot hold, and it may be empty.
        """
        if decoded.faults is None or not len(decoded.faults):
            return None
        required, optional = needs(self._table, self._mapping)
        too_large = pl.col("reason") == "id_too_large"
        is_number = (pl.col("reason") == "bad_decimal") & pl.col("value").str.contains(A_NUMBER)
        column = pl.col("name").replace_strict(optional, default=None, return_dtype=pl.String)
        found = decoded.faults.filter(pl.col("name").is_in([*required, *optional]))
        return found.with_columns(empty=pl.when(too_large | is_number).then(column)) if len(found) else None

    def _without_faulty(self, rows: pl.DataFrame, faults: pl.DataFrame) -> pl.DataFrame:
        """Reject the rows that this table cannot do without a faulty value of."""
        bad = faults.filter(pl.col("empty").is_null()).unique("raw_row", keep="first", maintain_order=True)
        applies = self._mapping.applies
        if applies is not None:  # what does not concern the table is not held against it
            others = rows.filter(applies)["raw_row"]
            deciding = pl.col("name").is_in(applies.meta.root_names())
            bad = bad.filter(deciding | pl.col("raw_row").is_in(others.implode()))
        rejects = bad.join(rows.select("raw_row", "ts_init"), on="raw_row").sort("raw_row")
        rejects = rejects.with_columns(raw=pl.lit(None, pl.String))
        self._rejects.add(rejects.select("raw_row", "reason", "field", "value", "raw", "ts_init"))
        return rows.filter(~pl.col("raw_row").is_in(rejects["raw_row"].implode()))

    def _count_empty(self, rows: pl.DataFrame, faults: pl.DataFrame) -> None:
        """Count the values that a column cannot hold, in rows that the table has all the same."""
        left = faults.filter(pl.col("empty").is_not_null()).join(rows.select("raw_row"), on="raw_row", how="semi")
        self.left_empty.update(dict(left["empty"].value_counts().iter_rows()))

    # -- values that the table cannot hold

    def _without_impossible(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Reject zero, negative and unrepresentable values, and ids that Nautilus cannot hold."""
        tests = list(self._impossible(frame))
        if not tests or not frame.select(pl.any_horizontal(is_bad for _, is_bad, _ in tests).any()).item():
            return frame
        reason = value = pl.lit(None, pl.String)
        for name, is_bad, culprit in reversed(tests):
            reason = pl.when(is_bad).then(pl.lit(name)).otherwise(reason)
            value = pl.when(is_bad).then(culprit.cast(pl.String)).otherwise(value)
        marked = frame.with_columns(reason=reason, value=value)
        bad = marked.filter(pl.col("reason").is_not_null())
        self._rejects.add(
            bad.select(
                "raw_row",
                "reason",
                pl.lit(None, pl.String).alias("field"),
                "value",
                pl.lit(None, pl.String).alias("raw"),
                "ts_init",
            )
        )
        return marked.filter(pl.col("reason").is_null()).drop("reason", "value")

    def _impossible(self, frame: pl.DataFrame) -> Iterator[tuple[str, pl.Expr, pl.Expr]]:
        """(reason, rows it holds for, the culprit) of all that may be wrong with the frame."""
        for column in self._table.columns:
            value = pl.col(column.name)
            told = value.cast(column.dtype) if isinstance(column.dtype, pl.Decimal) else value
            if column.positive:
                yield f"zero_{_short(column.name)}", value == 0, told
            if column.positive or column.unsigned:
                yield "negative", value < 0, told
            if column.maximum is not None:
                yield "bad_decimal", value > column.maximum, told
            if column.name == self._table.id_column and frame[column.name].cast(pl.Int64, strict=False).null_count():
                yield "bad_trade_id", ~value.str.contains(rf"^[\x21-\x7e]{{1,{_TRADE_ID_LENGTH}}}$"), value

    # -- precision

    def _finer(self, frame: pl.DataFrame) -> dict[str, pl.Expr]:
        """Columns that have values of more decimals than the definition -> which rows have one."""
        tests = {
            name: pl.col(name) != pl.col(name).cast(pl.Decimal(38, scale)).cast(kind)
            for name, column in self._scaled.items()
            if isinstance(kind := frame.schema[name], pl.Decimal)
            and kind.scale > (scale := self._recipe.precisions.of(column))
        }
        found = frame.select(test.any() for test in tests.values()).row(0, named=True) if tests else {}
        return {name: test for name, test in tests.items() if found[name]}

    def _without_floats(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Reject prices and sizes that are far finer than the definition and as long as binary floats are."""
        for name in self._finer(frame):
            column = self._scaled[name]
            if column.precision == "mark":  # no tick is made of them
                continue
            digits = pl.col(name).cast(pl.String).str.strip_chars_end("0")
            decimals = digits.str.len_bytes() - digits.str.find(".", literal=True) - 1
            length = digits.str.strip_chars_start("-0.").str.replace(".", "", literal=True).str.len_bytes()
            least = self._recipe.precisions.of(column) + FAR_FINER
            is_bad = ((decimals >= least) & (length >= FLOAT_DIGITS)).fill_null(value=False)
            bad = frame.filter(is_bad)
            self._rejects.add(
                bad.select(
                    "raw_row",
                    pl.lit("too_fine").alias("reason"),
                    pl.lit(name).alias("field"),
                    digits.alias("value"),
                    pl.lit(None, pl.String).alias("raw"),
                    "ts_init",
                )
            )
            frame = frame.filter(~is_bad)
        return frame

    def _note_finer(self, frame: pl.DataFrame) -> None:
        """Count the rows with values of more decimals than the definition: no frame is made of this day."""
        finer = self._finer(frame)
        if finer:
            self.rows_too_fine += frame.select(pl.any_horizontal(*finer.values()).sum()).item()
        for name in finer:
            needed = (
                frame[name].cast(pl.String).str.strip_chars_end("0").str.extract(r"\.(\d*)$", 1).str.len_bytes().max()
            )
            self.too_fine[name] = max(self.too_fine.get(name, 0), int(str(needed)))


def _short(column: str) -> str:
    """``zero_price`` for every kind of price."""
    return "price" if column.endswith("price") else column
