"""Reading a backtest's files: our own, or those of the earlier pipeline, which are told by their top key and translated."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from hedgegrid_assets.backtest import documents, earlier
from hedgegrid_assets.backtest.config import Answer, RunConfig, Setup
from hedgegrid_assets.backtest.files import BOOKS
from hedgegrid_assets.config.notes import Note
from hedgegrid_assets.errors import BacktestFileError, UsageError
from hedgegrid_assets.store import stored


def read_setup(
    file: Path,
    strategy_file: Path | None = None,
    *,
    catalog: Path | None = None,
    start_ns: int | None = None,
    end_ns: int | None = None,
    allow_gaps: bool = False,
) -> Setup:
    """Read a backtest's file, and the one of its strategy in place of those that it names; flags go before both.

    Raises BacktestFileError with file, line and key of all that is wrong.
    """
    document = documents.read(file)
    setup = earlier.translated(document) if earlier.is_earlier(document) else _own(document)
    if strategy_file is not None:
        strategies, answers = earlier.read_strategy(strategy_file)
        engine = setup.run.engine.model_copy(update={"strategies": strategies})
        setup = replace(
            setup,
            run=setup.run.model_copy(update={"engine": engine}),
            files=[*setup.files, strategy_file],
            answers=[*setup.answers, *answers],
        )
    if not setup.run.engine.strategies:
        raise UsageError(
            f"no strategy to run: expected one under engine: strategies: of {file}, or --strategy-config, found none"
        )
    setup = _with_flags(setup, catalog, start_ns, end_ns, allow_gaps=allow_gaps)
    _check(setup, document)
    return _with_bars(setup)


def _own(document: documents.Document) -> Setup:
    run = document.checked(RunConfig, document.tree)
    needless = [
        Answer(str(document.path), document.line((key,)), key, "not needed", why)
        for key, why in (
            ("chunk_size", "data always come in chunks"),
            ("raise_exception", "what a strategy raises always ends the run"),
            ("dispose_on_completion", "a run has a process of its own"),
        )
        if key in document.tree
    ]
    return Setup(run, [document.path], needless)


def _with_flags(
    setup: Setup, catalog: Path | None, start_ns: int | None, end_ns: int | None, *, allow_gaps: bool
) -> Setup:
    run = setup.run
    changed: dict[str, Any] = {}
    if catalog is not None:
        changed["data"] = tuple(row.model_copy(update={"catalog_path": str(stored(catalog))}) for row in run.data)
    if start_ns is not None:
        changed["start"] = start_ns
    if end_ns is not None:
        changed["end"] = end_ns
    if allow_gaps:
        changed["hedgegrid"] = run.hedgegrid.model_copy(update={"allow_gaps": True})
    return replace(setup, run=run.model_copy(update=changed))


def _with_bars(setup: Setup) -> Setup:
    """Where nobody says it, no order is filled by a bar whose every price the engine is given as well.

    A bar is played at its close: it would fill once more, at prices of before an order was there.
    """
    venues = tuple(
        venue.model_copy(update={"bar_execution": False})
        if setup.finer(venue.name)[0] and "bar_execution" not in venue.model_fields_set
        else venue
        for venue in setup.run.venues
    )
    return replace(setup, run=setup.run.model_copy(update={"venues": venues}))


def _bar_notes(setup: Setup) -> list[Note]:
    """A venue fills by bars, or does not; one of some instruments of which it has bars alone cannot be left open."""
    problems: list[Note] = []
    for number, venue in enumerate(setup.run.venues):
        besides, alone = setup.finer(venue.name)
        if besides and alone and "bar_execution" not in venue.model_fields_set:
            told = (
                f"expected bar_execution, since of {', '.join(sorted(alone))} there are bars alone, and of "
                f"{', '.join(sorted(besides))} every price besides, found none"
            )
            problems.append((("venues", number), told))
    return problems


def _book_notes(setup: Setup) -> list[Note]:
    """A venue plays on books of several levels, or on none: of all of its instruments, or of none."""
    problems: list[Note] = []
    for number, venue in enumerate(setup.run.venues):
        mine = [(table, each) for table, each in setup.streams() if each.rpartition(".")[2] == venue.name]
        with_books = {each for table, each in mine if table in BOOKS}
        without = sorted({each for _, each in mine} - with_books)
        told = ""
        if with_books and without:
            told = f"expected order books of all instruments of {venue.name} or of none, found none of {', '.join(without)}"
        elif venue.book_type == "L2_MBP" and not with_books:
            told = "expected OrderBookDelta or OrderBookDepth10 among the data of an L2_MBP venue, found none: it would have no market"
        elif venue.book_type == "L1_MBP" and with_books:
            told = (
                "expected L2_MBP, or nothing, with order books among the data, found L1_MBP, which would pass over them"
            )
        if told:
            problems.append((("venues", number, "book_type") if venue.book_type else ("venues", number), told))
    return problems


def _check(setup: Setup, document: documents.Document) -> None:
    """What several keys must agree on."""
    run = setup.run
    problems: list[Note] = []
    names = [venue.name for venue in run.venues]
    for number, row in enumerate(run.data):
        if row.catalog_path != run.data[0].catalog_path:
            problems.append((("data", number, "catalog_path"), "expected one catalog for all data, found another one"))
        for instrument_id in row.instruments:
            venue = instrument_id.rpartition(".")[2]
            if venue not in names:
                told = f"expected an instrument of a venue of this run ({', '.join(names)}), found {instrument_id}"
                problems.append((("data", number), told))
    problems += [*_book_notes(setup), *_bar_notes(setup)]
    if len(set(names)) < len(names):
        problems.append((("venues",), f"expected each venue once, found {', '.join(names)}"))
    if run.start is not None and run.end is not None and run.end <= run.start:
        problems.append((("end",), "expected a time after start (the end is exclusive)"))
    document.refuse(problems)
    known = setup.instruments()
    for strategy in run.engine.strategies:
        wanted = strategy.config.get("instrument_id")
        if wanted is not None and wanted not in known:
            told = (
                f"instrument_id: expected an instrument that the run has data of ({', '.join(known)}), found {wanted}"
            )
            raise BacktestFileError(setup.files[-1], [told])
