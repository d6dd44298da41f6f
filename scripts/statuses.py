"""Every status and every rule, with what it means and what it does to a day: ``docs/statuses.md``.

``python scripts/statuses.py`` prints it.
"""

import sys
from collections.abc import Iterator, Mapping
from typing import Final

from hedgegrid_assets.inspect.status import LOOKS
from hedgegrid_assets.model import Effect, Rule, Severity, Status
from hedgegrid_assets.model.days import Cause
from hedgegrid_assets.tables import TABLES

_HEAD: Final = """# Statuses and rules

What the words mean that `validate`, `report`, `status` and Dagster say of an instrument-day: one instrument on one day (UTC) of one table.
Made by `make docs` from the rules themselves; a test holds it to them.

## Statuses

From best to worst; a day has the worst that any of its rules gives it.

| status | letter | means |
|---|---|---|
"""
_RULES: Final = """
## Rules

A rule says what holds of a day.
ERROR: a day of which it does not hold is *blocked*, and the catalog keeps what it had.
WARN: the day is published, and told; some of these make it *degraded* or *partial*.
A rule is *off* where there is nothing that it could be held to: it has neither passed nor failed.
`check` is the asset check of Dagster that it is reported under.

| rule | severity | holds when | makes a day | check | tables |
|---|---|---|---|---|---|
"""
_GAPS: Final = """
## Rejects

A line or row that could not be taken is kept, with its reason: `hedgegrid rejects` counts them by table, day and reason, `hedgegrid rejects list` has each with file, line and raw text.

## Gaps

A gap is a silence longer than the table's threshold, or a hole in ids that rise by one; `hedgegrid gaps` lists them with their causes.

| cause | data are missing | means |
|---|---|---|
"""
_CAUSES: Final[Mapping[Cause, str]] = {
    Cause.DISCONNECT: "the recorder says that it lost the connection in between",
    Cause.CAPTURE_EDGE: "one file ends and another begins in between, or the data of the day do",
    Cause.EXCLUDED_ROWS: "the venue used the ids up for what is no market trade",
    Cause.QUIET: "the ids go on: nothing happened",
    Cause.OVERLAP: "between two days: ids are in both",
    Cause.UNKNOWN: "nothing says why",
}
_WAYS_OUT: Final = "\n## What may be done\n\n"
_MADE_OF_BARS: Final = "bar_"


def page() -> str:
    """The page."""
    rules = distinct()
    return "".join(
        (
            _HEAD,
            *(f"| `{status}` | {LOOKS[status].letter} | {LOOKS[status].meaning} |\n" for status in Status),
            _RULES,
            *(_row(rule, tables) for rule, tables in rules),
            _GAPS,
            *(f"| `{cause}` | {'yes' if cause.is_loss else 'no'} | {_CAUSES[cause]} |\n" for cause in Cause),
            _WAYS_OUT,
            *dict.fromkeys(f"- `{rule.name}`: {rule.hint}.\n" for rule, _ in rules if rule.hint),
        )
    )


def distinct() -> list[tuple[Rule, list[str]]]:
    """Each rule, once for each wording, with the tables that have it: those that keep a day out first."""
    found: dict[tuple[str, str], tuple[Rule, list[str]]] = {}
    for table in TABLES.values():
        for rule in table.rules:
            found.setdefault((rule.name, rule.description), (rule, []))[1].append(table.name)
    return sorted(found.values(), key=lambda each: each[0].severity is not Severity.ERROR)


def _row(rule: Rule, tables: list[str]) -> str:
    return (
        f"| `{rule.name}` | {rule.severity} | {rule.description.replace('|', chr(92) + '|')} | {_makes(rule)} "
        f"| `{rule.check}` | {', '.join(_names(tables))} |\n"
    )


def _makes(rule: Rule) -> str:
    """What becomes of a day where it does not hold."""
    if rule.severity is Severity.ERROR:
        return Status.BLOCKED
    return {Effect.DEGRADES: Status.DEGRADED.value, Effect.PARTIAL: Status.PARTIAL.value}.get(rule.effect, "")


def _names(tables: list[str]) -> Iterator[str]:
    """Tables in few words: ``all``, and bars of whatever period as one."""
    if len(tables) == len(TABLES):
        yield "all"
        return
    yield from dict.fromkeys(f"{_MADE_OF_BARS}*" if name.startswith(_MADE_OF_BARS) else name for name in tables)


if __name__ == "__main__":
    sys.stdout.write(page())
