"""What commands share: options, tables, progress, errors."""

import json
import logging
import os
import re
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, TextIO, override

import typer
from typer.core import TyperCommand, TyperGroup

from hedgegrid_assets.errors import HedgegridError, Mistakes
from hedgegrid_assets.inspect.status import LOOKS
from hedgegrid_assets.inspect.visible import visible
from hedgegrid_assets.wording import counted, megabytes

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from hedgegrid_assets.pipeline.summary import DaySummary

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout, for machines.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show what is done in detail (log level DEBUG).")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notes; errors only.")]
Data = Annotated[
    Path | None,
    typer.Option("--data", help="Root of raw files and caches. Environment: HEDGEGRID_DATA; default ./data."),
]
All = Annotated[bool, typer.Option("--all", help="Each day on a line of its own, instead of ranges of days alike.")]
TableName = Annotated[str | None, typer.Option("--table", help="Only this table: {tables}, or Nautilus' name.")]
"""``{tables}`` in a help text: see ``CommandWithTables``."""
Feeds = Annotated[
    Path | None, typer.Option("--feeds", help="The feeds file. Environment: HEDGEGRID_FEEDS; default ./feeds.yaml.")
]

STYLES: Final[Mapping[str, str]] = {word: look.terminal for word, look in LOOKS.items()}

PLAIN: Final = None
"""How typer sets help and mistakes: as text. By rich, half of a fast start is what draws the boxes, which cut a long word."""

_ANY_WIDTH: Final = 10_000
_COMMAND: Final = re.compile("`[^`]*`")
_KEPT_SPACE: Final = "\x00"
"""Stands for a space that no line may break at."""
_REDRAWN: Final = 0.1
"""Seconds between two pictures of a progress."""


class CommandWithTables(TyperCommand):
    """Fills the data types and sources that there are into help texts when these are shown: knowing them takes a fast start its time."""

    @override
    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        from hedgegrid_assets.sources import SOURCES
        from hedgegrid_assets.tables import DEFAULT, TABLES, TOKENS

        found = {
            "sources": "; ".join(f"{source.name}: {source.doc}" for source in SOURCES.values()),
            "tables": ", ".join(TOKENS),
            "types": ", ".join(TOKENS),
            "usual": ",".join(TABLES[name].token for name in DEFAULT),
        }
        for parameter in self.params:
            told = getattr(parameter, "help", None)
            if told and "{" in told:
                parameter.__dict__["help"] = told.format_map(found)
        super().format_help(ctx, formatter)


class Group(TyperGroup):
    """Tells each command's purpose as a whole sentence."""

    @override
    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands."""
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, command.get_short_help_str(_ANY_WIDTH)) for name, command in self.commands.items()]
            )


class GroupOfOne(Group):
    """A group that is a command of its own as well: without the name of another one, ``usual`` is run."""

    usual: ClassVar[str] = "list"

    @override
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take the arguments; the usual command takes those that name none."""
        help_asked = args[:1] and args[0] in ctx.help_option_names
        if not help_asked and (not args or args[0] not in self.commands):
            args = [self.usual, *args]
        return super().parse_args(ctx, args)


class GroupOfSummary(GroupOfOne):
    """Such a group of which a summary is usual."""

    usual = "summary"


def console(*, stderr: bool = False, soft_wrap: bool = True) -> "Console":
    """A rich console; colours only on a terminal, and never with NO_COLOR; tables are not squeezed into a file.

    Control characters in what is printed are escaped, wherever they come from.

    Args:
        stderr: Else stdout.
        soft_wrap: Leave long lines to the terminal; a display that is drawn again has to know how many there are.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    class Plain(Console):
        @override
        def render_str(self, text: str, **options: Any) -> Text:
            return super().render_str(visible(text, keep="\n"), **options)

        @override
        def print(self, *objects: Any, **options: Any) -> None:
            for given in objects or ("",):
                wide = isinstance(given, Table) and _width_of(self, given) > self.width
                super().print(_in_blocks(given, self.width) if wide else given, **options)

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else said_width() or 160
    return Plain(stderr=stderr, highlight=False, soft_wrap=soft_wrap, width=width)


def print_fitted(out: "Console", text: str, *, later: str = "    ", style: str = "") -> None:
    """A line; on a terminal it is broken between words, so that no name, day or number is cut.

    In a pipe it stays one line, for those who search it, unless COLUMNS says how wide the pipe is.
    """
    shown = visible(text)
    lines = [shown]
    if out.is_terminal or said_width():
        lines = textwrap.wrap(shown, out.width, subsequent_indent=later, break_long_words=False, break_on_hyphens=False)
    for line in lines:
        out.print(line, style=style or None, markup=False)


def said_width() -> int | None:
    """Characters a line, where ``COLUMNS`` says so: for pipes and files, which have no width of their own."""
    said = os.environ.get("COLUMNS", "")
    return int(said) if said.isascii() and said.isdigit() and int(said) > 0 else None


def _in_blocks(table: "Table", width: int) -> "Text":
    """A table that is too wide: a block a row, its cells with their names, so that nothing is ever cut."""
    from rich.text import Text

    names = [str(column.header) for column in table.columns]
    told = Text.assemble((f"{table.title}\n", "italic")) if table.title else Text()
    for row in zip(*(column.cells for column in table.columns), strict=True):
        line = Text()
        for name, value in zip(names, map(_text_of, row), strict=True):
            if not value.plain.strip():
                continue
            part = value if not line else Text.assemble((f"{name} ", "dim"), value)
            if line and line.cell_len + 2 + part.cell_len > width:
                told.append_text(line).append("\n")
                line = Text("    ")
            told_here = Text("  ") if line.plain.strip() else Text()
            line.append_text(told_here).append_text(part)
        told.append_text(line).append("\n")
    told.rstrip()
    return told


def _width_of(out: "Console", table: "Table") -> int:
    return out.measure(table, options=out.options.update(max_width=_ANY_WIDTH)).maximum


def _text_of(value: Any) -> "Text":
    from rich.text import Text

    return Text.from_markup(value) if isinstance(value, str) else value


def cell(text: object) -> str:
    """Data in a table: on one line, and never taken for markup."""
    from rich.markup import escape

    return escape(visible(str(text)))


class _PlainFormatter(logging.Formatter):
    @override
    def format(self, record: logging.LogRecord) -> str:
        return visible(super().format(record), keep="\n")


class _Shown:
    """What is on the screen now."""

    live: ClassVar["Console | None"] = None
    """The console of a progress that is drawn again and again: what else is written goes through it, else it is wiped."""


class _LogLines(logging.StreamHandler[TextIO]):
    """Log lines on stderr, above a progress that is shown there."""

    @override
    def emit(self, record: logging.LogRecord) -> None:
        live = _Shown.live
        if live is None:
            super().emit(record)
            return
        try:
            _print_above(live, self.format(record))
        except Exception:  # noqa: BLE001 - as all handlers do: a line that cannot be written ends no run
            self.handleError(record)


def set_logging(*, verbose: bool, quiet: bool) -> None:
    """Log to stderr, unless the user has configured logging already."""
    level = logging.DEBUG if verbose else logging.CRITICAL if quiet else logging.WARNING
    handler = _LogLines()
    handler.setFormatter(_PlainFormatter("%(asctime)s - %(name)s - %(levelname)s - %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])


def print_json(value: object) -> None:
    """One JSON document to stdout."""
    sys.stdout.write(json.dumps(value, indent=1, default=str, ensure_ascii=False) + "\n")


def show_error(error: HedgegridError, *, as_json: bool) -> None:
    """``error: ...`` and ``hint: ...`` to stderr, of several mistakes each; with ``--json`` the error object to stdout as well."""
    if as_json:
        print_json(error.to_dict())
    for each in error.errors if isinstance(error, Mistakes) else (error,):
        _show_one(each)


def _show_one(error: HedgegridError) -> None:
    out = console(stderr=True)
    out.print("[bold red]error:[/] ", end="")
    out.print(visible(error.message), markup=False)
    if error.hint:
        out.print("[bold]hint:[/] ", end="")
        out.print(visible(error.hint), markup=False)


def say(text: str) -> None:
    """A note for people, to stderr; above a progress that is shown there."""
    if _Shown.live is not None:
        _print_above(_Shown.live, visible(text))
        return
    console(stderr=True).print(visible(text), markup=False)


def _print_above(live: "Console", shown: str) -> None:
    """Lines above what is drawn, broken between words; a command in backticks stays on one line, so that it can be copied."""
    from rich.text import Text

    for line in shown.split("\n"):
        kept = _COMMAND.sub(lambda found: found[0].replace(" ", _KEPT_SPACE), line)
        for part in textwrap.wrap(kept, live.width, break_long_words=False, break_on_hyphens=False) or [""]:
            text = Text(part.replace(_KEPT_SPACE, " "), no_wrap=True, overflow="ignore")
            live.print(text, crop=False)


class Progress:
    """Shows how far a run is: raw days done of those asked, rates, time left, and what each worker is at.

    Args:
        update: Takes the lines to show, again and again; None: nobody looks.
        line: Takes a line for each day that is fetched or made, and now and then how far long fetching is.
    """

    def __init__(self, update: Callable[[str], None] | None = None, line: Callable[[str], None] | None = None) -> None:
        self._update, self._line = update, line
        self._lock = threading.Lock()
        self._at: dict[int, str] = {}
        self._lines = self._done = self._of = 0
        self._what, self._fetching = "", False
        self._started = self._begun = time.monotonic()
        self._shown = 0.0

    def __call__(self, what: str, lines: int) -> None:
        """Take ``lines`` more lines of ``what``."""
        if self._update is None:
            if self._fetching:
                self._tell_now_and_then()
            return
        with self._lock:
            self._lines += lines
            self._at[threading.get_ident()] = what
            self._show()

    def begin(self, what: str, of: int) -> None:
        """So many days come now."""
        with self._lock:
            self._what, self._done, self._of, self._begun = what, 0, of, time.monotonic()
            self._fetching = self._line is not None and what == "fetched"
            self._shown = self._begun
            self._at.clear()

    def fetched(self, told: str) -> None:
        """One of them is there; ``told``: a line on it, if there is something to tell."""
        with self._lock:
            self._done += 1
            if self._line and told:
                self._line(f"[{self._done:,}/{self._of:,}] {told}")
            if self._update:
                self._show()

    def finished(self, days: "Sequence[DaySummary]") -> None:
        """One of them is done."""
        with self._lock:
            self._done += 1
            if self._line and days and not all(day.skipped for day in days):
                self._line(f"[{self._done:,}/{self._of:,}] {told_day(days)}")
            if self._update:
                self._show()

    def _tell_now_and_then(self) -> None:
        """How far all is, and each transfer that takes long."""
        now = time.monotonic()
        received = _client()
        if not _received() or self._line is None or now - self._shown < received.APART_SECONDS:
            return
        with self._lock:
            if now - self._shown < received.APART_SECONDS:
                return
            self._shown = now
            for line in (self._head(now), *received.RECEIVED.long_ones(now)):
                self._line(line)

    def _show(self) -> None:
        now = time.monotonic()
        if self._update is None or now - self._shown < _REDRAWN:
            return
        self._shown = now
        alive = {thread.ident for thread in threading.enumerate()}
        self._at = {worker: what for worker, what in self._at.items() if worker in alive}
        self._update("\n  ".join((self._head(now), *self._at.values())))

    def _head(self, now: float) -> str:
        took = max(now - self._started, 1e-3)
        received = _received()
        parts = [f"{self._done:,} of {counted(self._of, 'raw day')} {self._what}"] if self._of else []
        parts += [f"{megabytes(received)}  {megabytes(int(received / took))}/s"] if received else []
        parts += [f"{counted(self._lines, 'line')}  {self._lines / took:,.0f}/s"] if self._lines else []
        if 0 < self._done < self._of:
            left = (now - self._begun) / self._done * (self._of - self._done)
            parts.append(f"about {int(left) // 60}:{int(left) % 60:02} left")
        return "  ".join(parts)


def told_day(days: "Sequence[DaySummary]") -> str:
    """What was made of a raw day, on one line: its tables by status."""
    by_status: dict[str, list[str]] = {}
    for day in days:
        by_status.setdefault(day.status, []).append(day.table)
    told = "; ".join(f"{', '.join(tables)} {status}" for status, tables in by_status.items())
    rows = sum(day.rows.get("out", 0) for day in days)
    return f"{days[0].date} {days[0].instrument_id}: {told}, {counted(rows, 'row')}"


def _received() -> int:
    """Bytes that were received."""
    module = _client()
    return module.RECEIVED.bytes if module else 0


def _client() -> Any:
    """What counts what is received; None where nothing is fetched at all."""
    return sys.modules.get("hedgegrid_assets.sources.client.received")


@contextmanager
def progress(*, quiet: bool) -> Iterator[Progress]:
    """Shown on stderr while the block runs: on a terminal a line for all and one for each worker, in a pipe a line a day."""
    if quiet:
        yield Progress()
        return
    if not sys.stderr.isatty():
        yield Progress(line=_to_stderr)
        return
    from rich.text import Text

    live = console(stderr=True, soft_wrap=False)
    with live.status("starting") as status:
        _Shown.live = live
        try:
            yield Progress(lambda text: status.update(Text(visible(text, keep="\n"))))
        finally:
            _Shown.live = None


def _to_stderr(text: str) -> None:
    sys.stderr.write(f"{visible(text)}\n")
