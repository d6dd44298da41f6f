"""CSV files of which nobody can say how they are to be read."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from hedgegrid_assets.errors.base import listed
from hedgegrid_assets.errors.files import FileRefused


def _whole(path: Path) -> str:
    """From wherever the configuration lies."""
    return str(path.absolute()) if isinstance(path, Path) else str(path)


class MissingColumns(FileRefused):
    """The columns that a data type needs are not in a CSV file, by any name that is known."""

    code = "missing_columns"

    def __init__(
        self,
        path: Path,
        token: str,
        missing: Sequence[str],
        found: Sequence[str],
        named: Mapping[str, str | int],
        why: str = "",
        hint: str = "",
    ) -> None:
        unnamed = ", ".join(str(place) for place, name in enumerate(found) if not name)
        by_place = f'; a column without a name by its position, here {unnamed}, as in "{missing[0]}": '
        by_place = f"{by_place}{unnamed.partition(',')[0]}" if unnamed and missing else ""
        what = "<your column for {}>" if found else "<position of {}, from 0, without quotes>"
        mapping = {**named, **{column: what.format(column) for column in missing}}
        example = {"files": {token: {"file_path": _whole(path), "columns": mapping}}}
        super().__init__(
            f"Missing required columns ({path}): expected {', '.join(missing)} for {token}, "
            f"found {listed(list(map(repr, found))) or 'none'}{f'; {why}' if why else ''}",
            hint=hint
            or f"say which column is which in the file given with --config: {json.dumps(example, ensure_ascii=False)}{by_place}",
            details={"path": str(path), "missing": list(missing), "found": list(found), "mapping": mapping},
        )


class MessagesFound(FileRefused):
    """A file given for CSV holds messages; ``source``: the one that reads them."""

    code = "messages_found"

    def __init__(self, path: Path, source: str) -> None:
        super().__init__(
            f"no CSV file ({path}): expected a header or rows, found a JSON message in its first line",
            hint=f"such messages are read by --source {source} (in feeds.yaml source: {source})",
            details={"path": str(path), "source": source},
        )


class DecimalComma(FileRefused):
    """The numbers of a CSV column have a decimal comma, or marks between thousands: what they are is not guessed."""

    code = "decimal_comma"

    def __init__(self, path: Path, line: int, column: str, value: str) -> None:
        super().__init__(
            f"numbers cannot be read ({path}, line {line}, column {column}): expected digits with a decimal point and no "
            f"marks between thousands, as 42324.15, found {value!r}",
            hint="export the file anew with a decimal point and without separators of thousands (in a spreadsheet: the "
            "number format of this column, and the region's separators)",
            details={"path": str(path), "line": line, "column": column, "value": value},
        )


class CandlesRefused(FileRefused):
    """Candles that give none of the prices asked for, as far as the file says.

    ``columns``: ``timestamp`` and ``value`` of a mapping by which they can be read.
    """

    code = "candles"

    def __init__(self, path: Path, token: str, columns: Mapping[str, str], why: str) -> None:
        mapping = {"timestamp": columns["timestamp"], f"{token}_price": columns["value"]}
        example = {"files": {token: {"file_path": _whole(path), "columns": mapping}}}
        super().__init__(
            f"candles are no {token} prices ({path}): expected {token} prices, found candles (open, high, low, close), "
            f"and {why}",
            hint=f"if they are candles of {token} prices, say so in the file given with --config: "
            f"{json.dumps(example, ensure_ascii=False)} (under a name that says nothing else)",
            details={"path": str(path), "token": token, "mapping": mapping},
        )


class DaysOnly(FileRefused):
    """The time column of trades holds days: without the time of day, all of them would lie at midnight.

    ``named``: what is read from which column; ``fmt``: the ``timestamp_format`` that takes the days as they are.
    """

    code = "days_only"

    def __init__(self, path: Path, line: int, value: str, named: Mapping[str, str | int], fmt: str) -> None:
        column = named["timestamp"]
        columns = {**named, "timestamp": f"{column}+<your column for the time of day>"}
        example = {"files": {"trades": {"file_path": _whole(path), "columns": columns}}}
        super().__init__(
            f"Timestamp parsing failed ({path}, line {line}, column {column}): "
            f"expected the time of day of each trade, found days only, such as {value!r}",
            hint="say which column has the time (of day) in the file given with --config: "
            f"{json.dumps(example, ensure_ascii=False)}; where none has it, "
            f'"timestamp_format": {json.dumps(fmt)} takes all trades at midnight',
            details={"path": str(path), "line": line, "column": column, "value": value, "mapping": columns},
        )


class HeaderChanges(FileRefused):
    """In the middle of a CSV file begin rows of other columns: files of several layouts were laid end to end."""

    code = "header_changes"

    def __init__(self, path: Path, line: int, expected: Sequence[str], found: Sequence[str]) -> None:
        super().__init__(
            f"another header in the middle ({path}, line {line}): expected {listed(expected)}, found {listed(found)}",
            hint=f"cut the file before line {line}, and land each part under a name of its own",
            details={"path": str(path), "line": line, "expected": list(expected), "found": list(found)},
        )


class SidesUnknown(FileRefused):
    """A column of sides holds values of which nobody can say whether they are buy or sell."""

    code = "sides"

    def __init__(self, path: Path, column: str, values: Sequence[str]) -> None:
        sides = dict.fromkeys(values, "<buy, sell or none>")
        example = {"files": {"trades": {"file_path": _whole(path), "sides": sides, "side_is": "taker"}}}
        super().__init__(
            f"sides cannot be told ({path}, column {column}): expected buy and sell or the like, "
            f"found {', '.join(map(repr, values))}",
            hint="say which is which with the key sides in the file given with --config, and with side_is whether it is "
            f"the taker's side or the maker's: {json.dumps(example, ensure_ascii=False)}",
            details={"path": str(path), "column": column, "values": list(values)},
        )


class TimestampParsingFailed(FileRefused):
    """The times of a CSV column are of no format that is known, or not of the one that was given."""

    code = "timestamp"

    def __init__(
        self,
        path: Path,
        line: int,
        column: str,
        value: str,
        given: str | None,
        fits: str | None,
        *,
        rounded: bool = False,
    ) -> None:
        expected = f"times like {given}" if given else "ISO 8601, US format or a number since 1970"
        expected = "all the digits that the unit of a time needs" if rounded else expected
        super().__init__(
            f"Timestamp parsing failed ({path}, line {line}, column {column}): expected {expected}, found {value!r}",
            hint="a spreadsheet has rounded these times: take the file as it was before, or export it anew with this column as text"
            if rounded
            else 'say the format in the file given with --config, at the top or beside file_path: "timestamp_format": '
            + (f'"{fits}"' if fits else '"%Y-%m-%d %H:%M:%S.%f" (letters as in strptime; s, ms, us or ns for numbers)'),
            details={"path": str(path), "line": line, "column": column, "value": value, "timestamp_format": fits},
        )
