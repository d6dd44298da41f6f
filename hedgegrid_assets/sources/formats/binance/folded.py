"""Lines that hold messages in another form: behind other stamps, in a recorder's wrapper, or several in an array.

Each becomes plain lines: a receive time of 19 digits, where there is one, and one message to the letter as it stands
in the file. The readers of plain lines then read them; the number of the line in the file is kept beside each.

Read by regular expressions over all lines at once where the messages are flat, as those of our channels are; any other
spelling is taken apart by Python, line by line, and counted as ``odd``.
"""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator
from typing import Final

import polars as pl
from msgspec import Struct

from hedgegrid_assets.sources.formats.binance.grammar import (
    BLANKS,
    COLON,
    COMMA,
    GATE,
    GENERATED,
    MESSAGE,
    SCALAR,
    STREAM,
    STRING,
    TIME,
    in_stream,
)
from hedgegrid_assets.sources.formats.lines import shown
from hedgegrid_assets.sources.formats.times import billionths, with_fraction
from hedgegrid_assets.sources.formats.twice import has_twice
from hedgegrid_assets.store import Block, bytes_of

RECEIVED: Final = (
    *("local_timestamp", "local_ts", "local_time", "localTimestamp", "localTime", "localTs"),
    *(
        "receive_timestamp",
        "receive_time",
        "receive_ts",
        "receiveTimestamp",
        "receiveTime",
        "received_at",
        "receivedAt",
    ),
    *("recv_timestamp", "recv_time", "recv_ts", "recvTimestamp", "recvTime", "recvTs", "rx_ts", "rx_time", "ts_recv"),
    *("arrival_time", "arrival_ts", "arrivalTime", "captured_at", "capture_time", "captureTime", "ts_init"),
)
"""Names that recorders give the receive time, also among the fields of a message; the venue has no such field."""

_AROUND: Final = (*RECEIVED, "received", "recv", "local", "ts_ns", "ns", "timestamp", "time", "ts", "t")
"""Those, and names that say so only beside a message, in the wrapper."""

_ISO: Final = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]+)?"
    r"(?: ?(?:[Zz]|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?))?"
)
_STAMP: Final = rf"(?:{_ISO}|[0-9]{{9,19}}(?:\.[0-9]+)?)"
_AT_START: Final = rf"^\s*[\[(\"']?({_STAMP})(?:[^0-9A-Za-z_.+-]|$)"
_HEAD: Final = rf"^\s*[\[(\"']?{_STAMP}[\])\"']?(?:[^0-9A-Za-z_.+\-{{}}\"<>][^{{}}\"<>]*)?(?:\[\s*)*\{{"
_PAIR_HEAD: Final = rf"^\s*\[\s*\"?{_STAMP}\"?\s*,\s*[\[{{]"
_PAIR_BODY: Final = rf"^\s*\[\s*\"?{_STAMP}\"?\s*,\s*"
_BEGINS: Final = r"^\s*[\[{]"
_OWN_EVENT: Final = rf"^\s*{TIME}?\{{{BLANKS}\"e\"{COLON}"
_IN_STREAM: Final = (
    rf"^\s*{TIME}?\{{{BLANKS}(?:{STREAM}{COMMA}{GENERATED}\"data\"{COLON}\{{|\"data\"{COLON}\{{{BLANKS}\"e\")"
)
_MORE_MEMBERS: Final = rf"\}}(?:{COMMA}{STRING}{COLON}{SCALAR})+{BLANKS}\}}{BLANKS}$"
_AFTER_BODY: Final = r"([}\]])[)'\"\s;,]{1,3}$"
_LIST: Final = rf"\[{BLANKS}(?:{MESSAGE}(?:{COMMA}{MESSAGE})*)?{BLANKS}\]"
_ARRAY: Final = rf"^(?:{_LIST}|{in_stream(_LIST)})$"
_PLAIN: Final = f"^{MESSAGE}$"
_QUOTED: Final = r'"(?:[^"\\\x00-\x1f]|\\.)*"'
_OBJECT: Final = rf"{MESSAGE}|{_LIST}|{in_stream(_LIST)}"
_MEMBERS_BEFORE: Final = rf"^\{{{BLANKS}(?:{STRING}{COLON}{SCALAR}{COMMA})*"
_MEMBERS_BEHIND: Final = rf"(?:{COMMA}{STRING}{COLON}{SCALAR})*{BLANKS}\}}$"
_KEY: Final = f"^{STRING}{COLON}"
_VALUE: Final = rf'^(?:{_OBJECT}|"(?:[^"\\]*\\")+[^"\\]*")$'
_WRAPPER: Final = (
    rf"({_MEMBERS_BEFORE}){STRING}{COLON}({_OBJECT}|{_QUOTED})((?:{COMMA}{STRING}{COLON}{SCALAR})*){BLANKS}\}}$"
)
_ONLY_QUOTES_ESCAPED: Final = r'^"(?:[^"\\\x00-\x1f]|\\")*"$'
UNREADABLE: Final = f"{'9' * 19} "
"""A receive time that no reader can read: so that the line is never given another one. Never shown."""
_TWICE: Final = "1e9"
"""In the place of a time that an object has twice: no time that can be read."""
_DEEPEST: Final = 6
_DECODER: Final = json.JSONDecoder()
_OPEN_ONLY: Final = re.compile(r"(?:\[|\{|\[\s*\{)")


class Unfolded(Struct, frozen=True):
    """Lines made plain.

    Attributes:
        block: The plain lines.
        numbers: For each of them, the number in the file of the line that it is from.
        taken: Numbers of all lines that were made plain.
        several: Some line holds several messages.
        odd: Lines that Python took apart.
        messages: The plain lines without what was put in front of them; None: the file does not have them so.
        arrays: Numbers of lines that are one flat array of messages, with a stamp of all of them at most.
    """

    block: Block
    numbers: pl.Series
    taken: pl.Series
    several: bool
    odd: int
    messages: pl.Series | None = None
    arrays: pl.Series | None = None


def unfold(lines: pl.DataFrame, events: Collection[str], names: Collection[str], last: int | None) -> Unfolded | None:
    """Make plain those of some lines (``line, text``) that hold messages of these events in another form; None: no line does.

    With ``names``, messages of other symbols are left out. ``last``: number of a line that may be cut off.
    """
    folded = _folded(lines, events)
    if not len(folded):
        return None
    bodies = _without_wrapper(_without_stamp(folded))
    body = pl.col("body")
    rest = bodies.filter(~pl.col("array") & ~pl.col("plain"))
    messages = bodies.filter("plain").select("line", "ns", "stamped", message="body")
    arrays = bodies.filter("array")
    if len(arrays):
        split = arrays.select("line", "ns", "stamped", message=body.str.extract_all(MESSAGE)).explode("message")
        messages = pl.concat([messages, split.filter(pl.col("message").is_not_null())])
    slow = _by_python(rest, events)
    if len(slow):
        messages = pl.concat([messages, slow])
    if not len(messages):
        return None
    taken = messages["line"].unique()
    several = bool(messages["line"].is_duplicated().any())
    if names:
        message = pl.col("message")
        named = message.str.contains_any([f'"{name}"' for name in names])
        messages = messages.filter(named | message.str.contains("\\", literal=True))
    messages = messages.sort("line", maintain_order=True)
    return Unfolded(
        _block(messages, last), messages["line"], taken, several, len(rest), messages["message"], arrays["line"]
    )


def as_in_file(rows: pl.DataFrame, key: str, numbers: pl.Series, lines: pl.DataFrame) -> pl.DataFrame:
    """``raw`` of some plain lines as it stands in the file: all of a line that holds one message, else the message alone.

    ``key``: column of ``rows`` with the number of the line in the file; ``numbers``: those of all plain lines;
    ``lines``: ``line, text`` of the file.
    """
    alone = lines.filter(~pl.col("line").is_in(numbers.filter(numbers.is_duplicated()).implode()))
    whole = alone.select(pl.col("line").alias(key), whole=shown(pl.col("text")))
    joined = rows.join(whole, on=key, how="left", maintain_order="left")
    raw = pl.col("raw").str.strip_prefix(UNREADABLE)
    held = pl.when(pl.col("raw").is_not_null()).then(pl.coalesce("whole", raw))
    return joined.with_columns(raw=held).select(rows.columns)


def shared(rows: pl.DataFrame, whole: Unfolded, lines: pl.DataFrame) -> pl.DataFrame | None:
    """See ``Placed``. ``rows``: of plain lines that have a place, ``line`` is which; ``lines``: ``line, text`` of the file."""
    if not whole.several or whole.messages is None or whole.arrays is None:
        return None
    messages = pl.DataFrame({"line": whole.numbers, "message": whole.messages})
    arrays = messages.filter(pl.col("line").is_in(whole.arrays.implode()) & pl.col("line").is_duplicated())
    ends = arrays.group_by("line", maintain_order=True).agg(
        pl.len().alias("of"), first=pl.col("message").first(), last=pl.col("message").last()
    )
    found = [
        (line, of, text[:begin], text[end + len(last) :])
        for line, of, first, last, text in ends.join(lines, on="line", maintain_order="left").iter_rows()
        if 0 <= (begin := text.find(first)) < (end := text.rfind(last))  # else a text in a wrapper
    ]
    schema = {"line": pl.UInt32, "of": pl.UInt32, "head": pl.String, "tail": pl.String}
    plain = rows.filter(pl.col("reason").is_null())["line"]
    placed = rows.filter(pl.col("reason").is_null()).select(
        whole.numbers.gather(plain).alias("line"), "channel", "symbol", "ts_init", whole.messages.gather(plain)
    )
    return placed.join(pl.DataFrame(found, schema=schema, orient="row"), on="line", maintain_order="left")


def is_value(text: pl.Expr) -> pl.Expr:
    """The text, without blanks around it, is an object or an array, if need be behind a stamp, as far as its ends tell."""
    return (text.str.contains(_BEGINS) | text.str.contains(_HEAD)) & text.str.contains(r"[}\]]$")


def over_many_lines(block: Block) -> bool:
    """A file begins with one JSON value that is written over several lines."""
    if block.first_line:
        return False
    first = next((line for line in block.data.removeprefix(b"\xef\xbb\xbf").split(b"\n", 64) if line.strip()), b"")
    text = first.decode(errors="replace").strip()
    return bool(_OPEN_ONLY.fullmatch(text)) or (text.startswith("[{") and text.endswith("},"))


def _folded(lines: pl.DataFrame, events: Collection[str]) -> pl.DataFrame:
    """The lines that hold one of the events and are not read as they are."""
    text = pl.col("text")
    named = lines.filter(
        text.str.contains_any([f"{quote}{event}{quote}" for event in events for quote in ('"', '\\"')])
    )
    if not len(named):
        return named
    in_stream = text.str.contains(_IN_STREAM) & ~text.str.contains(_MORE_MEMBERS)
    usual = text.str.contains(_OWN_EVENT) | in_stream | text.str.contains(GATE)
    stamped_inside = text.str.contains(_BEGINS) & text.str.contains_any([f'"{name}"' for name in RECEIVED])
    return named.filter(~usual | stamped_inside)


# ---------------------------------------------------------------- stamps


def nanoseconds(stamps: pl.Series) -> pl.Series:
    """Stamps as ns since 1970: their magnitude says whether they are s, ms, us or ns; null if it is no time.

    Exact: what is finer than a nanosecond is cut off. Without an offset it is UTC.
    """
    stamp = pl.col("stamp")
    whole = stamp.str.extract(r"^([0-9]{9,19})(?:\.[0-9]+)?$", 1).cast(pl.Int64, strict=False)
    part = billionths(stamp.str.extract(r"[.,]([0-9]+)", 1)).fill_null(0)
    frame = pl.DataFrame({"stamp": stamps}).with_columns(whole=whole, part=part)
    numbers = frame.select(ns=with_fraction(pl.col("whole"), pl.col("part")))["ns"]
    if numbers.null_count() == stamps.null_count():
        return numbers
    moment = stamp.str.extract(r"^([0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:]{8})", 1).str.replace("T", " ", literal=True)
    seconds = moment.str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="ns", strict=False).cast(pl.Int64)
    offset = r"[0-9] ?([+-])([0-9]{2}):?([0-9]{2})?$"
    hours, minutes = (stamp.str.extract(offset, group).cast(pl.Int64).fill_null(0) for group in (2, 3))
    east = (hours * 60 + minutes) * pl.when(stamp.str.extract(offset, 1) == "-").then(-1).otherwise(1)
    zoned = stamp.str.contains(r"^[^ T]+[ T][^+-]+ ?[+-]")
    iso = seconds + pl.col("part") - pl.when(zoned).then(east).otherwise(0) * 60 * 10**9
    return frame.select(ns=pl.coalesce(pl.lit(numbers), iso))["ns"]


def _without_stamp(folded: pl.DataFrame) -> pl.DataFrame:
    """``line, stamped, ns, body``: the receive time in front of a line, and what is behind it."""
    text, whole = pl.col("text"), pl.col("whole")
    is_pair, has_head = text.str.contains(_PAIR_HEAD), text.str.contains(_HEAD)
    cut = folded.select(
        "line", is_pair=is_pair, stamped=is_pair | (has_head & ~text.str.contains(r"^\s*\{")), text=text
    )
    cut = cut.with_columns(whole=text.str.strip_chars())
    if not cut["stamped"].any():
        return cut.select("line", "stamped", ns=pl.lit(None, pl.Int64), body="whole")
    cut = cut.with_columns(stamp=pl.when("stamped").then(text.str.extract(_AT_START, 1)))
    head = whole.str.extract(r"^[^{]*", 0).str.replace(r"(?:\[\s*)+$", "")
    bare = whole.str.strip_prefix(head).str.replace(_AFTER_BODY, "$1")
    if cut["is_pair"].any():
        paired = whole.str.replace(_PAIR_BODY, "").str.strip_suffix("]").str.strip_chars_end()
        bare = pl.when("is_pair").then(paired).otherwise(bare)
    body = pl.when("stamped").then(bare).otherwise(whole)
    return cut.select("line", "stamped", ns=nanoseconds(cut["stamp"]), body=body)


def _with_named_stamp(bodies: pl.DataFrame, column: str, names: Collection[str]) -> pl.DataFrame:
    """With the first stamp under one of these names, in their order, where there is none yet; ``timed``: where it is looked for.

    A time that stands there twice is one that cannot be read.
    """
    text, timed = pl.col(column), pl.col("timed")
    there = text.str.extract_many([f'"{name}"' for name in names], overlapping=True).explode().unique()
    quoted = set(bodies.filter("timed").select(there).to_series())
    found = [name for name in names if f'"{name}"' in quoted]
    if not found:
        return bodies
    bodies = bodies.with_columns(twice=timed & has_twice(text, found))
    stamp = pl.coalesce(text.str.extract(rf'"{name}"{COLON}"?({_STAMP})"?{BLANKS}[,}}]', 1) for name in found)
    bodies = bodies.with_columns(stamp=pl.when(timed & ~pl.col("twice")).then(stamp))
    ns = nanoseconds(bodies["stamp"])
    return bodies.with_columns(stamped=pl.col("stamped") | pl.col("twice"), ns=pl.coalesce("ns", pl.lit(ns)))


def _without_wrapper(bodies: pl.DataFrame) -> pl.DataFrame:
    """Take off a recorder's object around a message (or around the text of one), and the receive time in it or in the message.

    With ``array`` and ``plain``: whether what is left is a flat array, or a flat message.
    """
    body = pl.col("body")
    bodies = bodies.with_columns(_kinds(body))
    wrapped = bodies.filter(~pl.col("array") & ~pl.col("plain")).filter(body.str.contains(_WRAPPER))
    if len(wrapped):
        inner, around = pl.col("inner"), pl.col("around")
        parts = _parted(wrapped).with_columns(is_message=around.str.contains(rf'"e"{COLON}'))  # itself, of an odd kind
        parts = parts.with_columns(timed=~pl.col("stamped") & ~pl.col("is_message"))
        parts = _with_named_stamp(parts, "around", _AROUND)
        text = pl.when(inner.str.contains(_ONLY_QUOTES_ESCAPED)).then(
            inner.str.strip_prefix('"').str.strip_suffix('"').str.replace_all('\\"', '"', literal=True)
        )
        inside = pl.when(inner.str.starts_with("{") | inner.str.starts_with("[")).then(inner).otherwise(text)
        parts = parts.select(
            "line", "stamped", "ns", body=pl.coalesce(pl.when(~pl.col("is_message")).then(inside), body)
        ).with_columns(_kinds(body))
        others = bodies if len(wrapped) < len(bodies) else bodies.clear()
        bodies = pl.concat([others.join(parts, on="line", how="anti", maintain_order="left"), parts])
    bodies = bodies.with_columns(timed=~pl.col("stamped") & pl.col("ns").is_null() & pl.col("plain"))
    return _with_named_stamp(bodies, "body", RECEIVED)


def _kinds(body: pl.Expr) -> list[pl.Expr]:
    return [body.str.contains(_ARRAY).alias("array"), body.str.contains(_PLAIN).alias("plain")]


def _parted(wrapped: pl.DataFrame) -> pl.DataFrame:
    """With ``inner`` and ``around``: what stands in wrappers, and these without it.

    Cut from both ends; a cut is right where what is left is a value to its end. The other lines: by groups, at ten times the cost.
    """
    body, rest = pl.col("body"), pl.col("rest")
    cut = wrapped.with_columns(before=body.str.extract(_MEMBERS_BEFORE, 0))
    cut = cut.with_columns(rest=body.str.strip_prefix(pl.col("before")).str.replace(_KEY, ""))
    cut = cut.with_columns(behind=rest.str.extract(_MEMBERS_BEHIND, 0))
    cut = cut.with_columns(inner=rest.str.strip_suffix(pl.col("behind")), around=pl.concat_str("before", "behind"))
    is_value = pl.col("inner").str.contains(_VALUE).fill_null(value=False)
    names = [*wrapped.columns, "inner", "around"]
    cut, other = (cut.filter(kept).select(names) for kept in (is_value, ~is_value))
    parts = other.drop("inner", "around").with_columns(body.str.extract_groups(_WRAPPER).alias("parts")).unnest("parts")
    grouped = parts.with_columns(inner=pl.col("2"), around=pl.concat_str(pl.col("1"), pl.col("3"), pl.lit("}")))
    return pl.concat([cut, grouped.select(names)])


# ---------------------------------------------------------------- plain lines


def _block(messages: pl.DataFrame, last: int | None) -> Block:
    stamp = pl.when(pl.col("ns").is_not_null()).then(pl.col("ns").cast(pl.String).str.zfill(19) + " ")
    stamp = stamp.when("stamped").then(pl.lit(UNREADABLE)).otherwise(pl.lit(""))
    texts = messages.select(text=pl.concat_str(stamp, "message", pl.lit("\n")))["text"]
    cut = last is not None and len(messages) > 0 and messages["line"][-1] == last
    data = bytes_of(texts.to_arrow().cast("large_binary")) if len(texts) else b""
    return Block(data.removesuffix(b"\n") if cut else data, 0, cut=cut)


# ---------------------------------------------------------------- by Python


def _by_python(rest: pl.DataFrame, events: Collection[str]) -> pl.DataFrame:
    """Messages of lines of any other spelling; behind a stamp, also what is no message at all, as it stands."""
    found: list[tuple[int, int | None, bool, str]] = []
    stamps: list[str | None] = []
    for line, stamped, ns, body in rest.select("line", "stamped", "ns", "body").iter_rows():
        messages = list(_messages(body, events))
        if messages:
            found += [(line, ns, stamped or stamp == _TWICE, text) for stamp, text in messages]
            stamps += [None if stamped else stamp for stamp, _ in messages]
        elif stamped:
            found.append((line, ns, True, body))
            stamps.append(None)
    schema = {"line": pl.UInt32, "ns": pl.Int64, "stamped": pl.Boolean, "message": pl.String}
    frame = pl.DataFrame(found, schema=schema, orient="row")
    own = nanoseconds(pl.Series(stamps, dtype=pl.String))
    return frame.with_columns(ns=pl.coalesce("ns", pl.lit(own))).select("line", "ns", "stamped", "message")


def _messages(text: str, events: Collection[str]) -> Iterator[tuple[str | None, str]]:
    """(receive time, message) of all messages of these events in a JSON text, each to the letter."""
    try:
        json.loads(text)
        yield from _found(text.strip(), events, None, 0)
    except (ValueError, RecursionError):
        return


def _found(text: str, events: Collection[str], stamp: str | None, depth: int) -> Iterator[tuple[str | None, str]]:
    if text.startswith('"'):
        inner = json.loads(text).strip()
        if inner[:1] in {"{", "["}:
            json.loads(inner)
            yield from _found(inner, events, stamp, depth + 1)
        return
    if text[:1] not in {"{", "["} or depth > _DEEPEST:
        return
    parts = list(_parts(text))
    named = {key: value for key, value in reversed(parts) if key is not None}
    counts = Counter(key for key, _ in parts)
    named |= {name: _TWICE for name in _AROUND if counts[name] > 1}
    if "e" in named:
        event = json.loads(named["e"])
        if isinstance(event, str) and event in events:
            yield stamp or _stamp_of(named, RECEIVED), text
        return
    if text.startswith("{"):
        stamp = stamp or _stamp_of(named, _AROUND)
    elif len(parts) == 2:
        stamp = stamp or _bare_stamp(parts[0][1])
    for _, value in parts:
        yield from _found(value, events, stamp, depth + 1)


def _stamp_of(named: dict[str, str], names: Collection[str]) -> str | None:
    return next((stamp for name in names if name in named and (stamp := _bare_stamp(named[name]))), None)


def _bare_stamp(value: str) -> str | None:
    bare = value.strip('"')
    return bare if bare == _TWICE or re.fullmatch(_STAMP, bare) else None


def _parts(text: str) -> Iterator[tuple[str | None, str]]:
    """(key, value) of each member of an object, (None, value) of each element of an array, as texts; ``text`` is valid JSON."""
    is_object, at = text[0] == "{", _next(text, 1)
    while text[at] not in "}]":
        key: str | None = None
        if is_object:
            key, at = _DECODER.raw_decode(text, at)
            at = _next(text, _next(text, at) + 1)
        _, end = _DECODER.raw_decode(text, at)
        yield key, text[at:end]
        at = _next(text, end)
        if text[at] == ",":
            at = _next(text, at + 1)


def _next(text: str, at: int) -> int:
    """The first place from ``at`` that is no blank."""
    while text[at] in " \t\r\n":
        at += 1
    return at
