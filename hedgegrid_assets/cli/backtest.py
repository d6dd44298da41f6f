"""Commands of backtests: ``run-backtest`` and ``backtest-pin``."""

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from hedgegrid_assets.cli.output import (
    STYLES,
    Json,
    Quiet,
    Verbose,
    cell,
    console,
    print_fitted,
    print_json,
    say,
    set_logging,
)
from hedgegrid_assets.errors import UsageError
from hedgegrid_assets.wording import counted

if TYPE_CHECKING:
    from hedgegrid_assets.backtest.run import Ran

PAGE: Final = "report.html"
_SHOWN_MISSED: Final = 8


def run_backtest(
    backtest_config: Annotated[
        Path,
        typer.Option("--backtest-config", "-b", help="The backtest: Nautilus' names, or a file of naut_hedgegrid."),
    ],
    strategy_config: Annotated[
        Path | None, typer.Option("--strategy-config", "-s", help="Its strategy, in place of those that it names.")
    ] = None,
    run_id: Annotated[
        str | None, typer.Option("--run-id", "-r", help="Name of the run's folder; its name and the time.")
    ] = None,
    output_dir: Annotated[Path, typer.Option("--output-dir", "-o", help="Folder of all runs.")] = Path("artifacts"),
    start: Annotated[
        str | None, typer.Option("--start", help="First day, YYYY-MM-DD, UTC, or a time; what the catalog holds.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--end", help="First day that is not wanted any more (exclusive), or a time.")
    ] = None,
    catalog: Annotated[
        Path | None, typer.Option("--catalog", help="Root of the catalog, in place of the file's.")
    ] = None,
    allow_gaps: Annotated[
        bool, typer.Option("--allow-gaps", help="Run without the days that are missing or not good.")
    ] = False,
    stress: Annotated[
        bool, typer.Option("--stress", help="Repeat it with other fills, doubled fees, and later data and orders.")
    ] = False,
    pin: Annotated[
        Path | None, typer.Option("--pin", help="A pin file: say what has changed since it was made.")
    ] = None,
    as_json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Run a NautilusTrader backtest on a catalog, with its funding paid, and leave a report.

    Example: hedgegrid run-backtest --backtest-config configs/backtest/btcusdt_mark_trades_funding.yaml
    --strategy-config configs/strategies/hedge_grid_v1.yaml
    """
    from hedgegrid_assets.backtest.config import instant
    from hedgegrid_assets.backtest.run import run_backtest as run
    from hedgegrid_assets.backtest.setup import read_setup

    set_logging(verbose=verbose, quiet=quiet)
    setup = read_setup(
        backtest_config,
        strategy_config,
        catalog=catalog,
        start_ns=instant(start, "--start") if start else None,
        end_ns=instant(end, "--end") if end else None,
        allow_gaps=allow_gaps,
    )
    if not quiet:
        for answer in setup.answers:
            say(f"note: {answer}")
    ran = run(setup, output_dir, run_id, stress=stress, pin=pin, say=None if quiet or as_json else say)
    if as_json:
        print_json({"folder": str(ran.folder), **ran.result})
    elif not quiet:
        show_run(ran)
    for problem in ran.result["problems"]:
        say(f"error: {problem}")
    if ran.result["raised"]:
        say(ran.result["raised"].strip())
        say(f"hint: what was done until then is in {ran.folder}, marked as not complete")
    return 0 if ran.ok else 1


def backtest_pin(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder, or its id under --output-dir.")],
    output: Annotated[
        Path | None, typer.Option("--output", help="The pin file; <backtest file>.pin.json beside the backtest's file.")
    ] = None,
    output_dir: Annotated[Path, typer.Option("--output-dir", "-o", help="Folder of all runs.")] = Path("artifacts"),
    as_json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Freeze what a run read and what came of it, so that run-backtest --pin says which days have changed since."""
    from hedgegrid_assets.backtest import pin

    set_logging(verbose=verbose, quiet=quiet)
    folder = next((each for each in (run, output_dir / run) if (each / "result.json").is_file()), None)
    if folder is None:
        raise UsageError(f"no run at {run}: expected a folder with result.json in it, here or under {output_dir}")
    written = pin.write(folder, output)
    content = json.loads(written.read_bytes())
    if as_json:
        print_json({"pin": str(written), "inputs": len(content["inputs"]), "result_hash": content["result_hash"]})
    elif not quiet:
        console().print(
            f"{written}: {counted(len(content['inputs']), 'file')} and the result {content['result_hash'][:12]} are pinned",
            markup=False,
        )
    return 0


# ---------------------------------------------------------------- a run for people


def show_run(ran: "Ran") -> None:
    """What the run read, what it earned, what it rests on, and where the report is."""
    result, out = ran.result, console()
    _show_streams(result)
    if result["stress"]:
        _show_stress(result)
    _show_money(result)
    _show_missed(result)
    if pin := result.get("pin"):
        out.print(f"\nsince the pin {pin['file']} (run {pin['run_id']}):", markup=False, style="bold")
        for line in pin["told"]:
            out.print(f"  {line}", markup=False)
    out.print(
        f"{result['orders']:,} orders, {result['fills']:,} fills, result {result['result_hash'][:12]}, "
        f"{sum(result['delivered'].values()):,} events in {result['seconds']:.1f} s",
        markup=False,
    )
    out.print(f"report: {ran.folder / PAGE}", markup=False, style="bold")


def _show_streams(result: Mapping[str, Any]) -> None:
    from rich.table import Table

    table = Table(title=cell(f"{result['name']}: {result['start'][:19]} .. {result['end'][:19]}"), title_justify="left")
    for name in ("instrument", "table", "days", "status", "arrival"):
        table.add_column(name)
    for name in ("events", "gaps"):
        table.add_column(name, justify="right")
    for stream in result["coverage"]:
        days = stream["days"]
        statuses: dict[str, int] = {}
        for day in days:
            statuses[day["status"]] = statuses.get(day["status"], 0) + 1
        table.add_row(
            cell(stream["instrument_id"]),
            stream["table"],
            f"{len(days)}: {days[0]['date']} .. {days[-1]['date']}" if len(days) > 1 else days[0]["date"],
            ", ".join(_styled(status, f"{count} {status}") for status, count in statuses.items()),
            stream["arrival"],
            f"{result['delivered'].get(stream['table'], 0):,}",
            f"{sum(day['gaps'] for day in days):,}",
        )
    console().print(table)


def _styled(status: str, text: str) -> str:
    return f"[{STYLES[status]}]{text}[/]" if status in STYLES else text


def _show_stress(result: Mapping[str, Any]) -> None:
    from rich.table import Table

    out = console()
    table = Table(title="under other assumptions", title_justify="left")
    table.add_column("assumption")
    for name in ("net", "fees", "funding", "fills"):
        table.add_column(name, justify="right")
    for row in result["stress"]:
        numbers = ("not run", "", "", "") if "not_run" in row else _stress_numbers(row)
        table.add_row(row["name"], *numbers)
    out.print(table)
    for row in result["stress"][1:]:
        print_fitted(out, f"{row['name']}: {_stress_meaning(row)}")
    from hedgegrid_assets.backtest.report import turned

    for line in turned(result):
        print_fitted(out, line, style="bold red")


def _stress_numbers(row: Mapping[str, Any]) -> tuple[str, ...]:
    sums = (
        "\n".join(amount(value, currency) for currency, value in row[key].items()) for key in ("net", "fees", "funding")
    )
    return *sums, f"{row['fills']:,}"


def _stress_meaning(row: Mapping[str, Any]) -> str:
    """What is assumed, and what there is to know of its numbers."""
    if "not_run" in row:
        return f"{row['what']}; not run: {row['not_run']}"
    ended = f" (ended before its time: {row['raised']})" if row["raised"] else ""
    return row["what"] + (f"; changes nothing: {row['unchanged']}" if row["unchanged"] else "") + ended


def _show_money(result: Mapping[str, Any]) -> None:
    from rich.table import Table

    table = Table(title="net = price profit - fees + funding", title_justify="left")
    for name in ("currency", "start", "price profit", "fees", "funding", "net", "return", "max drawdown", "end"):
        table.add_column(name, justify="left" if name == "currency" else "right")
    for currency, each in result["accounts"].items():
        table.add_row(
            currency,
            *(amount(each[key]) for key in ("start", "price_pnl")),
            amount(str(-Decimal(each["fees"]))),
            *(amount(each[key]) for key in ("funding", "net")),
            f"{Decimal(each['return']) * 100:+.2f} %",
            f"{amount(each['max_drawdown'])} ({Decimal(each['max_drawdown_share']) * 100:.2f} %)",
            amount(each["end"]),
        )
    console().print(table)
    for currency, each in result["accounts"].items():
        if each["below_zero"]:
            console().print(f"{currency}: below zero from {each['below_zero'][:19]} on", style="bold red", markup=False)


def amount(text: str, currency: str = "") -> str:
    """An amount of money for people: two decimals, or as many as tell it from nothing."""
    number = Decimal(text)
    decimals = 2 if abs(number) >= 1 or not number else 8
    return f"{number:,.{decimals}f}{f' {currency}' if currency else ''}"


def _show_missed(result: Mapping[str, Any]) -> None:
    funding = result["funding"]
    out = console()
    out.print(
        f"funding: {funding['settlements']} settlements, {funding['payments']} payments, "
        f"paid {_sums(funding['paid'])}, received {_sums(funding['received'])}",
        markup=False,
    )
    missed = funding["missed"]
    for each in missed[:_SHOWN_MISSED]:
        out.print(f"  not paid: {each['instrument_id']} {each['at'][:19]}: {each['why']}", markup=False, style="yellow")
    if len(missed) > _SHOWN_MISSED:
        out.print(f"  and {len(missed) - _SHOWN_MISSED:,} more, in result.json", markup=False, style="yellow")


def _sums(amounts: Mapping[str, str]) -> str:
    return ", ".join(amount(value, currency) for currency, value in amounts.items()) or "nothing"
