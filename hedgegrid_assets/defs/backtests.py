"""Backtests at the end of the lineage: an asset each, downstream of the catalog tables that it reads."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import dagster as dg

from hedgegrid_assets.backtest.config import Setup, instant
from hedgegrid_assets.backtest.files import STREAMED
from hedgegrid_assets.backtest.picture import equity_markdown
from hedgegrid_assets.backtest.pin import pin_of
from hedgegrid_assets.backtest.run import Ran, run_backtest
from hedgegrid_assets.backtest.setup import read_setup
from hedgegrid_assets.config.feeds import Feed
from hedgegrid_assets.config.fields import Backtest
from hedgegrid_assets.config.paths import feeds_path
from hedgegrid_assets.defs.failures import failure
from hedgegrid_assets.defs.keys import backtest_key, catalog_key
from hedgegrid_assets.defs.specs import common
from hedgegrid_assets.errors import HedgegridError
from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.tables import TABLES

PINNED: Final = "result_as_pinned"
_log: Final = logging.getLogger(__name__)
_MOST_SHOWN: Final = 40


class Days(dg.Config):
    """What of the catalog is run, where that is not what the backtest's file says."""

    start: str = ""
    end: str = ""


def backtests_of(feed_context: FeedContext, folder: Path | None = None) -> list[dg.AssetsDefinition]:
    """The backtests that a feed declares. ``folder``: of its feeds.yaml, from which their files count; None: of the usual one."""
    feed, root = feed_context.feed, (folder or feeds_path().parent).absolute()
    declared = feed.backtests if isinstance(feed, Feed) else {}
    return [_backtest(feed_context, name, each, root) for name, each in declared.items()]


def _backtest(feed_context: FeedContext, name: str, declared: Backtest, root: Path) -> dg.AssetsDefinition:
    key = backtest_key(feed_context, name)

    @dg.asset(
        key=key,
        deps=[catalog_key(feed_context, TABLES[table]) for table in _tables(feed_context, declared, root)],
        description=(
            f"The backtest `{declared.config}` on the catalog of **{feed_context.feed.name}**, with its funding paid. It runs over all "
            "days that the catalog holds, or as its file or the run's configuration say; its report lies in the folder named."
        ),
        check_specs=[dg.AssetCheckSpec(PINNED, asset=key, description="Inputs and result are those of the pin.")],
        kinds={"nautilus", "parquet"},
        **common(feed_context),
    )
    def backtest(context: dg.AssetExecutionContext, config: Days) -> Iterator[dg.MaterializeResult[Any]]:
        try:
            setup = _setup(feed_context, declared, root, config)
            pin = root / declared.pin if declared.pin else pin_of(setup.files[0])
            ran = run_backtest(
                setup,
                feed_context.places.home.parent / "artifacts",
                f"{feed_context.feed.name}-{name}",
                pin=pin if declared.pin or pin.exists() else None,
                overwrite=True,
                say=context.log.info,
            )
        except HedgegridError as error:
            raise failure(error) from None
        yield dg.MaterializeResult(
            metadata=_metadata(ran),
            data_version=dg.DataVersion(ran.result["result_hash"]),
            check_results=[_as_pinned(ran)],
        )
        if not ran.ok:
            raise dg.Failure("; ".join(ran.result["problems"]), {"raised": ran.result["raised"]}, allow_retries=False)

    return backtest


def _setup(feed_context: FeedContext, declared: Backtest, root: Path, days: Days) -> Setup:
    return read_setup(
        root / declared.config,
        root / declared.strategy if declared.strategy else None,
        catalog=Path(feed_context.places.catalog.address),
        start_ns=instant(days.start, "start") if days.start else None,
        end_ns=instant(days.end, "end") if days.end else None,
        allow_gaps=declared.allow_gaps,
    )


def _tables(feed_context: FeedContext, declared: Backtest, root: Path) -> list[str]:
    """Tables of the feed that it reads; all that it could, where its file cannot be used: running it then says why."""
    made = [table.name for table in feed_context.tables]
    try:
        read = {table for table, _ in _setup(feed_context, declared, root, Days()).streams()}
    except HedgegridError as error:
        _log.warning("a backtest of feed %s cannot be run: %s", feed_context.feed.name, error.message)
        read = set(STREAMED)
    return [table for table in made if table in read]


def _as_pinned(ran: Ran) -> dg.AssetCheckResult:
    pin = ran.result.get("pin")
    if pin is None:
        told = "nothing to hold it to: freeze a run with `hedgegrid backtest-pin`"
        return dg.AssetCheckResult(passed=True, check_name=PINNED, metadata={"pin": told})
    passed = not pin["changed"] and not pin["result_changed"]
    shown = "\n".join(f"- {line}" for line in pin["told"][:_MOST_SHOWN])
    return dg.AssetCheckResult(
        passed=passed,
        check_name=PINNED,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"pin": pin["file"], "since then": dg.MetadataValue.md(shown), "days_changed": len(pin["changed"])},
    )


def _metadata(ran: Ran) -> dict[str, Any]:
    result = ran.result
    account = result["accounts"][result["currency"]]
    return {
        "net": f"{account['net']} {result['currency']}",
        "price_pnl": float(account["price_pnl"]),
        "fees": float(account["fees"]),
        "funding": float(account["funding"]),
        "return": float(account["return"]),
        "max_drawdown": float(account["max_drawdown_share"]),
        "fills": result["fills"],
        "settlements": result["funding"]["settlements"],
        "settlements_missed": len(result["funding"]["missed"]),
        "equity": dg.MetadataValue.md(equity_markdown(ran.folder, result["currency"])),
        "report": dg.MetadataValue.path(str((ran.folder / "report.html").absolute())),
        "dagster/uri": (ran.folder / "report.html").absolute().as_uri(),
        "result_hash": result["result_hash"],
        "days": f"{result['start'][:10]} .. {result['end'][:19]}",
        "assumptions": dg.MetadataValue.md("\n".join(f"- {line}" for line in result["assumptions"])),
    }
