"""A line may give many rows or none: rows stay in the order of their line, and lines and rows are both accounted for."""

import json
import random
from collections.abc import Collection, Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from hedgegrid_assets.batch import Batch, Block, Decoded
from hedgegrid_assets.dialect import Dialect, Stored
from hedgegrid_assets.model import Channel, Field, Identity, InstrumentDay, Source, Status, TableMapping
from hedgegrid_assets.sources.csv.settings import CsvSettings
from hedgegrid_assets.stages.frames import Precisions, read_blocks
from hedgegrid_assets.stages.normalize import Normalized, Recipe, buckets, held, normalize_day
from hedgegrid_assets.stages.raw import REJECT_SCHEMA, FileOrigin, RawDay, RawKey
from hedgegrid_assets.store import Places, sha256_of
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets_tests.yard import bare_manifest, with_blocks_of

DAY = date(2024, 1, 1)
MIDNIGHT = 1_704_067_200_000_000_000
TABLE = TABLES["mark_price_update"]
CHANNEL = Channel(
    name="prices",
    event="prices",
    series="test/prices",
    fields=(Field("price", "p", "decimal", "quote units"),),
    ts_event=pl.col("ts_event"),
    identity=Identity.CONTENT,
    tables={TABLE.name: TableMapping(columns={"mark_price": pl.col("price")}, lineage={"mark_price": ("p",)})},
)
ROWS = {"raw_row": pl.UInt32, "part": pl.UInt32, "ts_event": pl.Int64, "ts_init": pl.Int64, "price": pl.Decimal(38, 16)}
REJECTS = {name: REJECT_SCHEMA[name] for name in ("raw_row", "reason", "field", "value", "raw")} | {"ts_init": pl.Int64}


class PricesReader:
    """Lines such as ``{"t": 5, "p": ["1.1", "1.2"]}``: as many rows as prices; a line that is none is a reject."""

    dialect = Dialect()

    def read(self, block: Block, /) -> Batch:
        rows: list[tuple[Any, ...]] = []
        rejects: list[tuple[Any, ...]] = []
        without = 0
        for number, line in enumerate(block.data.splitlines(), block.first_line):
            try:
                told: Mapping[str, Any] = json.loads(line)
            except ValueError:
                rejects.append((number, "broken_json", None, None, line.decode(), MIDNIGHT))
                continue
            at = MIDNIGHT + int(told["t"]) * 1_000_000_000
            rows += [(number, part, at, at, Decimal(price)) for part, price in enumerate(told["p"])]
            without += not told["p"]
        decoded = Decoded(
            pl.DataFrame(rows, ROWS, orient="row"), pl.DataFrame(rejects, REJECTS, orient="row"), without_rows=without
        )
        return Batch(block.lines, None, {CHANNEL.name: decoded})


def opened(dialect: Dialect | Stored, rows: Collection[str] = (), *, placing: bool = True) -> PricesReader:
    assert (dialect, list(rows), placing) == ({}, [CHANNEL.name], False)
    return PricesReader()


SOURCE = Source(
    "test", "prices", "jsonl", (CHANNEL,), has_landing_zone=False, open=opened, code_version=1, settings=CsvSettings
)


def normalized(folder: Path, lines: list[bytes]) -> tuple[Normalized, list[tuple[int, str]]]:
    """What becomes of a day of these lines, and its (second, price) in stored order."""
    path = folder / "day.jsonl"
    path.write_bytes(b"\n".join(lines) + b"\n")
    origin = FileOrigin(path="day.jsonl", bytes=0, sha256="", lines=len(lines), stored_lines=len(lines))
    manifest = bare_manifest(sha256_of(path), [origin])
    raw = RawDay(RawKey("prices", "X", DAY), path, manifest, None)
    places = Places(folder / "data", folder / "catalog")
    recipe = Recipe(SOURCE, CHANNEL, Precisions(1, 1, 1), {})
    (done,) = normalize_day(places, InstrumentDay("X.Y", DAY), raw, [TABLE], recipe)
    assert done.frame is not None
    stored = pl.concat(read_blocks(done.frame, TABLE))
    times = ((stored["ts_init"] - MIDNIGHT) // 1_000_000_000).to_list()
    return done, list(zip(times, map(str, stored["mark_price"]), strict=True))


def line_of(second: int, *prices: str) -> bytes:
    return json.dumps({"t": second, "p": prices}).encode()


def conserved(done: Normalized) -> Mapping[str, Any]:
    (rule,) = (rule for rule in done.verdict.rules if rule.name == "rows_conserved")
    assert rule.passed
    numbers: Mapping[str, Any] = rule.numbers
    return numbers


def test_lines_of_many_rows_and_of_none_are_all_accounted_for(tmp_path: Path) -> None:
    lines = [line_of(n, *(f"{n + 1}.{part}" for part in range(n % 4))) for n in range(40)]
    done, stored = normalized(tmp_path, [*lines, b"{", line_of(50, "0.0", "7.7")])
    rows = done.verdict.rows
    assert (rows.rows_in, rows.rows_out, rows.rejected) == (60 + 1 + 2, 60 + 1, 1 + 1)
    assert conserved(done)["lines"] == {"in": 42, "with_rows": 31, "rejected": 1, "without_rows": 10}
    assert stored[:3] == [(1, "2.0"), (2, "3.0"), (2, "3.1")]
    assert stored[-1] == (50, "7.7")


def test_where_each_line_gives_one_row_nothing_is_said_of_lines(tmp_path: Path) -> None:
    done, _ = normalized(tmp_path, [line_of(n, f"{n + 1}.0") for n in range(9)])
    assert "lines" not in conserved(done)


def test_a_line_that_is_lost_counts_as_one_of_the_lines_and_not_of_their_many_rows(tmp_path: Path) -> None:
    good = [line_of(n, *(f"{n + 1}.{part}" for part in range(10))) for n in range(2_000)]
    done, _ = normalized(tmp_path, [*good, *[b"{"] * 10])
    (rule,) = (rule for rule in done.verdict.rules if rule.name == "rejected_share")
    assert rule.numbers["share"] == round(10 / 2_010, 6)
    assert (rule.passed, done.status) == (False, Status.BLOCKED)


@pytest.mark.parametrize("size", [8 << 20, 300])
@pytest.mark.parametrize("at_once", [8, 1 << 18])
def test_the_rows_of_a_line_stay_in_their_order_when_a_day_is_sorted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, at_once: int
) -> None:
    with_blocks_of(size, monkeypatch)
    monkeypatch.setattr(buckets, "AT_ONCE", at_once)
    monkeypatch.setattr(held, "_SMALLEST_BLOCK", 2)
    order = [second for second in range(30) for _ in range(2)]
    random.Random(5).shuffle(order)
    lines = [
        line_of(at, *(f"{number + 1}.{part}" for part in (2, 0, 1)[: number % 4])) for number, at in enumerate(order)
    ]
    _, stored = normalized(tmp_path, lines)
    kept = sorted((at, number) for number, at in enumerate(order))
    assert stored == [(at, f"{number + 1}.{part}") for at, number in kept for part in (2, 0, 1)[: number % 4]]
