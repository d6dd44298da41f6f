"""What is compared with what, and the budgets of DESIGN.md, section 8: one row a comparison."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.captured import CAPTURE

NAUTILUS_2: Final = Path(os.environ.get("NAUTILUS2_PYTHON") or ".nautilus2/bin/python").absolute()
"""A Python with NautilusTrader 2.x: ``make nautilus2``."""


@dataclass(frozen=True, slots=True)
class Case:
    """Sides that run in turn on one input.

    Attributes:
        title: For people.
        kind: Of the input, see ``inputs``.
        sides: Ours first.
        at_least: Peer -> how many times its time must be ours.
        at_most: Peer -> how many times its time ours may be.
        memory: Most MB (10^6 bytes) that ours may take; ``{rows: MB}``.
        disk: Most that our tables may take, as a share of the last peer's.
        memory_share: Peer -> how many times its memory ours may be.
        of_peer: Peer -> kind of its own input.
        full_only: Not among the quick ones, unless it is named.
        by_cpu: Ratios are of processor time; else of the clock.
        needs: Left out where this is not.
        table: Folder whose files must be equal in the catalogs of all sides, but for the columns of ``but``; empty: none.
        rows: (fast, full).
        rounds: (fast, full).
    """

    title: str
    kind: str
    sides: tuple[str, ...]
    at_least: Mapping[str, float] = field(default_factory=dict)
    at_most: Mapping[str, float] = field(default_factory=dict)
    memory: Mapping[int, float] = field(default_factory=dict)
    disk: float | None = None
    memory_share: Mapping[str, float] = field(default_factory=dict)
    of_peer: Mapping[str, str] = field(default_factory=dict)
    full_only: bool = False
    by_cpu: bool = False
    needs: Path = Path()
    table: str = "trade_tick"
    but: tuple[str, ...] = ()
    rows: tuple[int, int] = (2_000_000, 20_000_000)
    rounds: tuple[int, int] = (3, 3)


CASES: Final = (
    Case(
        "Tardis trades to catalog, everything on",
        "trades",
        ("ours_trades", "nautilus_fastest", "nautilus_documented"),
        at_least={"nautilus_fastest": 3.5, "nautilus_documented": 5.0},
        memory={2_000_000: 500, 20_000_000: 800},
        disk=0.6,
        rounds=(3, 2),
    ),
    Case("bare csv.gz to catalog", "trades", ("ours_bare", "gunzip"), at_most={"gunzip": 2.0}),
    Case(
        "captured messages to catalog, everything on",
        "aggTrade",
        ("ours_messages", "message_loop"),
        at_least={"message_loop": 8.0},
        memory={2_000_000: 500, 20_000_000: 800},
        rounds=(2, 1),
    ),
    Case(
        "incremental_book_L2 to catalog, everything on",
        "incremental_book_L2",
        ("ours_deltas", "nautilus_deltas"),
        at_least={"nautilus_deltas": 4.0},
        memory={2_000_000: 600, 20_000_000: 600},
        disk=0.5,
        table="order_book_deltas",
        but=("flags",),  # the loader does not say which levels are of a snapshot
        rounds=(2, 1),
    ),
    Case(
        "quotes to catalog, everything on",
        "quotes",
        ("ours_quotes", "nautilus_quotes"),
        at_least={"nautilus_quotes": 3.0},
        memory={2_000_000: 500, 20_000_000: 800},
        table="quote_tick",
        rounds=(2, 1),
    ),
    Case(
        "a captured book to catalog, everything on",
        "depth",
        ("ours_depth", "depth_loop"),
        at_least={"depth_loop": 6.5},
        memory={2_000_000: 600, 4_300_000: 600},
        needs=CAPTURE,
        table="order_book_deltas",
        but=("flags",),  # CLEAR of Python has none
        rows=(2_000_000, 4_300_000),
        rounds=(2, 1),
    ),
    Case(
        "any CSV to catalog, everything on, against Tardis CSV of the same rows",
        "trades",
        ("ours_csv", "ours_trades"),
        at_most={"ours_trades": 1.1},
        memory={2_000_000: 450, 20_000_000: 450},
        by_cpu=True,
        rounds=(3, 2),
    ),
    Case(
        "any CSV in a spelling of its own, against Tardis CSV of the same rows",
        "trades-spelled",
        ("ours_csv", "ours_trades"),
        at_most={"ours_trades": 1.3},
        memory={2_000_000: 450, 20_000_000: 450},
        of_peer={"ours_trades": "trades"},
        by_cpu=True,
        rounds=(3, 2),
    ),
    Case(
        "rows whose ids do not rise",
        "trades-uuids",
        ("ours_csv",),
        memory={1_000_000: 450, 10_000_000: 450},
        full_only=True,
        rows=(1_000_000, 10_000_000),
        rounds=(1, 1),
    ),
    Case(
        "rows in no order",
        "trades-shuffled",
        ("ours_csv",),
        memory={1_000_000: 450, 10_000_000: 450},
        full_only=True,
        rows=(1_000_000, 10_000_000),
        rounds=(1, 1),
    ),
    Case(
        "derivative_ticker to mark, index and funding",
        "derivative_ticker",
        ("ours_tickers",),
        memory={2_000_000: 500, 20_000_000: 800},
    ),
    Case(
        "derivative_ticker to funding",
        "derivative_ticker",
        ("ours_funding", "nautilus_funding"),
        at_least={"nautilus_funding": 3.0},
        table="",
        rows=(50_000, 200_000),
        rounds=(2, 2),
    ),
    Case(
        "stored frames of a day to a catalog for NautilusTrader 2.x",
        "catalog",
        ("ours_for_2", "ours_for_1", "nautilus_2_migration"),
        at_least={"nautilus_2_migration": 1.6},
        at_most={"ours_for_1": 1.1},
        of_peer={"ours_for_1": "catalog-for-2"},
        needs=NAUTILUS_2,
        table="",
        by_cpu=True,
    ),
    Case(
        "stored frames of 365 small days to a catalog for NautilusTrader 2.x",
        "year",
        ("ours_for_2", "ours_for_1", "nautilus_2_migration"),
        at_most={"ours_for_1": 1.1},
        of_peer={"ours_for_1": "year-for-2"},
        full_only=True,
        needs=NAUTILUS_2,
        table="",
        by_cpu=True,
        rows=(1_000, 1_000),
        rounds=(1, 2),
    ),
    Case(
        "a backtest that does nothing, on trades, marks and funding",
        "catalog",
        ("ours_backtest", "nautilus_node"),
        at_least={"nautilus_node": 0.9},
        memory_share={"nautilus_node": 0.65},
        by_cpu=True,
        rows=(2_000_000, 2_000_000),
        rounds=(1, 3),
    ),
    Case(
        "the same over a week of such days",
        "week",
        ("ours_backtest_week", "ours_backtest"),
        memory_share={"ours_backtest": 1.1},
        by_cpu=True,
        rows=(200_000, 2_000_000),
        rounds=(1, 1),
    ),
    Case(
        "a published month of aggregates, against a day of as many rows",
        "agg-month",
        ("ours_archive_month", "ours_archive_day"),
        at_most={"ours_archive_day": 1.15},
        memory={2_000_000: 600, 20_000_000: 600},
        by_cpu=True,
        of_peer={"ours_archive_day": "agg-day"},
        full_only=True,
        rounds=(1, 2),
    ),
    Case(
        "a published day of aggregates, against a script of today",
        "agg-day",
        ("ours_archive_day", "script_of_today", "script_at_its_best"),
        at_least={"script_of_today": 10.0},
        full_only=True,
        rows=(2_000_000, 2_000_000),
        rounds=(1, 2),
    ),
)
