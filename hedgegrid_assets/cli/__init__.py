"""The door for people: ``hedgegrid``. Data goes to stdout, messages to stderr; heavy imports wait for their command."""

import functools
import sys
import traceback
from collections.abc import Callable, Sequence
from copy import copy
from pathlib import Path
from typing import Annotated, Final

import typer

from hedgegrid_assets.cli import (
    backtest,
    backup,
    catalogs,
    convert,
    dev,
    diff,
    doctor,
    inspect,
    legacy,
    look,
    operate,
    outages,
    prune,
    setup,
    status,
)
from hedgegrid_assets.cli.output import PLAIN, CommandWithTables, Group, GroupOfOne, GroupOfSummary, show_error
from hedgegrid_assets.errors import HedgegridError, Unforeseen
from hedgegrid_assets.inspect.visible import visible

_EPILOG: Final = "Exit codes: 0 done, 1 data or environment, 2 usage, 130 interrupted. Start with: hedgegrid demo"

app: Final = typer.Typer(
    name="hedgegrid",
    cls=Group,
    help="Raw crypto market data in, NautilusTrader catalogs you can trust out.",
    epilog=_EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=PLAIN,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
instruments: Final = typer.Typer(cls=Group, help="Instrument definitions of a catalog.", no_args_is_help=True)
gaps: Final = typer.Typer(
    cls=GroupOfOne,
    help="What is missing: every gap (`gaps`, the same as `gaps list`), and which of them are known.",
    no_args_is_help=False,
)
rejects: Final = typer.Typer(
    cls=GroupOfSummary,
    help="Rows and lines that could not be taken, and why: counts (`rejects`, the same as `rejects summary`), and each line.",
    no_args_is_help=False,
)
catalog: Final = typer.Typer(cls=Group, help="A catalog as a whole.", no_args_is_help=True)
feeds: Final = typer.Typer(cls=Group, help="The feeds of feeds.yaml.", no_args_is_help=True)


def _exits[**P](command: Callable[P, int]) -> Callable[P, None]:
    """Ends the process with the command's code; a user's mistake never ends in a traceback."""

    @functools.wraps(command)
    def ending(*args: P.args, **options: P.kwargs) -> None:
        try:
            code = command(*args, **options)
        except HedgegridError as error:
            show_error(error, as_json=bool(options.get("as_json")))
            code = error.exit_code
        except BrokenPipeError:  # who reads has gone: typer ends quietly
            raise
        except Exception as error:  # noqa: BLE001 - told as what it is, with what was worked on
            if options.get("verbose"):
                sys.stderr.write(visible(traceback.format_exc(), keep="\n"))
            shown = _foreseen(error)
            show_error(shown, as_json=bool(options.get("as_json")))
            code = shown.exit_code
        except KeyboardInterrupt:
            sys.stderr.write("interrupted: what is published is whole, the rest was left undone\n")
            code = 130
        raise typer.Exit(code)

    return ending


def _foreseen(error: Exception) -> HedgegridError:
    """What the disk has refused is told as such; all else is ours."""
    if not isinstance(error, OSError):
        return Unforeseen(error)
    from hedgegrid_assets.store import disk_fault

    return disk_fault(error, Path(error.filename if isinstance(error.filename, str) else "."))


app.command("init")(_exits(setup.init))
app.command("demo")(_exits(operate.demo))
app.command("replay-to-parquet", cls=CommandWithTables)(_exits(convert.replay_to_parquet))
app.command("generate-sample-data")(_exits(convert.generate_sample_data))
app.command("backfill")(_exits(operate.backfill))
app.command("dev")(_exits(dev.dev))
app.command("status")(_exits(status.status))
app.command("doctor")(_exits(doctor.doctor))
app.command("backup")(_exits(backup.backup))
app.command("import-legacy")(_exits(legacy.import_legacy))
app.command("restore")(_exits(backup.restore))
app.command("prune", cls=CommandWithTables)(_exits(prune.prune))
app.command("refresh")(_exits(diff.refresh))
app.command("reset-day", cls=CommandWithTables)(_exits(operate.reset_day))
app.command("run-backtest")(_exits(backtest.run_backtest))
app.command("backtest-pin")(_exits(backtest.backtest_pin))
app.command("validate", cls=CommandWithTables)(_exits(inspect.validate))
app.add_typer(gaps, name="gaps")
gaps.command("list", cls=CommandWithTables)(_exits(look.gaps))
gaps.command("acknowledge", cls=CommandWithTables)(_exits(outages.gaps_acknowledge))
app.command("trace", cls=CommandWithTables)(_exits(look.trace))
app.command("diff", cls=CommandWithTables)(_exits(diff.diff))
app.command("report", cls=CommandWithTables)(_exits(look.report))
app.add_typer(rejects, name="rejects")
rejects.command("list", cls=CommandWithTables)(_exits(look.rejects_list))
rejects.command("show", cls=CommandWithTables)(_exits(look.rejects_show))
rejects.command("summary", cls=CommandWithTables)(_exits(look.rejects_summary))
app.add_typer(instruments, name="instruments")
instruments.command("list")(_exits(inspect.instruments_list))
instruments.command("show")(_exits(inspect.instruments_show))
instruments.command("import")(_exits(setup.instruments_import))
instruments.command("widen")(_exits(operate.instruments_widen))
app.add_typer(catalog, name="catalog")
catalog.command("convert")(_exits(catalogs.catalog_convert))
app.add_typer(feeds, name="feeds")
feeds.command("check")(_exits(inspect.feeds_check))
feeds.command("schema")(_exits(inspect.feeds_schema))


def _tell_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        sys.stdout.write(f"hedgegrid-assets {version('hedgegrid-assets')}\n")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Options before a command."""


def run(arguments: Sequence[str]) -> int:
    """Run one command; its exit code."""
    try:
        _with_only(*arguments[:1])(args=list(arguments), prog_name="hedgegrid")
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def _with_only(name: str = "") -> typer.Typer:
    """The command line as far as one command needs it: typer looks at each parameter of all that there are."""
    commands = [command for command in app.registered_commands if command.name == name]
    groups = [group for group in app.registered_groups if group.name == name]
    if not commands and not groups:
        return app
    narrowed = copy(app)
    narrowed.registered_commands, narrowed.registered_groups = commands, groups
    return narrowed
