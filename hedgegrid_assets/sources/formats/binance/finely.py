"""How finely the numbers of messages are written, by channel, symbol and field."""

import re
from collections.abc import Iterable, Sequence

import polars as pl

from hedgegrid_assets.batch import Decimals
from hedgegrid_assets.instruments import FLOAT_DIGITS
from hedgegrid_assets.model import Channel, Field
from hedgegrid_assets.sources.formats.binance.depth import has_levels
from hedgegrid_assets.sources.formats.binance.exact import Refusal, flat, read_fields, read_message
from hedgegrid_assets.sources.formats.binance.levels import Levels, decimals_in
from hedgegrid_assets.sources.formats.binance.text import first_of
from hedgegrid_assets.sources.formats.decimals import DecimalsOf, exact_decimal, most_decimals, number_of
from hedgegrid_assets.sources.formats.digits import seen_in


def decimals_of_rows(rows: pl.DataFrame, channel: Channel, levels: Levels | None = None) -> DecimalsOf:
    """Of rows of a channel that are read by shape; ``levels``: of their messages, where they are typed already."""
    if has_levels(channel):
        return decimals_in(rows, channel, levels)
    names = [field.name for field in channel.fields if field.kind == "decimal"]
    if (rows["symbol"] == rows["symbol"][0]).all():
        typed = [name for name in names if isinstance(rows.schema[name], pl.Decimal)]
        seen = {name: seen_in(rows[name]) for name in typed if rows[name].null_count() < len(rows)}
        found = {(channel.name, rows["symbol"][0], name): each for name, each in seen.items()}
        return found | _decimals_in([rows], [name for name in names if name not in typed], channel)
    text = [pl.col(name) for name in names]
    if not rows.select(pl.any_horizontal((each.str.len_bytes() > FLOAT_DIGITS).any() for each in text)).item():
        return _decimals_by_symbol(rows, names, channel)
    return _decimals_in(rows.select("symbol", "line", *names).partition_by("symbol"), names, channel)


def _decimals_in(parts: Iterable[pl.DataFrame], names: Sequence[str], channel: Channel) -> DecimalsOf:
    values = ((part["symbol"][0], name, part.select("line", text=name)) for part in parts for name in names)
    filled = (
        (symbol, name, found.filter(pl.col("text") != "") if found["text"].null_count() else found)
        for symbol, name, found in values
    )
    return {
        (channel.name, symbol, name): most_decimals(found["text"], found["line"])
        for symbol, name, found in filled
        if found["text"].str.len_bytes().max()
    }


def _decimals_by_symbol(rows: pl.DataFrame, names: Sequence[str], channel: Channel) -> DecimalsOf:
    """For many symbols at once, none of whose numbers is long."""
    behind = [pl.col(name).str.len_bytes() - pl.col(name).str.find(".", literal=True) - 1 for name in names]
    bare = [pl.col(name).str.strip_chars_end("0") for name in names]
    needed = [each.str.len_bytes() - each.str.find(".", literal=True) - 1 for each in bare]
    found = rows.group_by("symbol").agg(
        *((pl.col(name).str.len_bytes().max() > 0).alias(f"any {name}") for name in names),
        *(each.max().fill_null(0).alias(f"written {name}") for name, each in zip(names, behind, strict=True)),
        *(each.max().fill_null(0).alias(f"needed {name}") for name, each in zip(names, needed, strict=True)),
    )
    return {
        (channel.name, row["symbol"], name): Decimals(
            row[f"written {name}"], row[f"needed {name}"], row[f"needed {name}"]
        )
        for row in found.iter_rows(named=True)
        for name in names
        if row[f"any {name}"]
    }


def decimals_of_lines(ours: pl.DataFrame, known: tuple[Channel, ...]) -> DecimalsOf:
    """Most decimals of rows that were read by regular expressions."""
    found: DecimalsOf = {}
    for channel in known:
        rows = ours.filter(pl.col("channel") == channel.name)
        if has_levels(channel) and len(rows):
            found |= decimals_in(_levels_of(rows, channel), channel)
        for field in channel.fields:
            if field.kind == "decimal" and len(rows):
                for (symbol,), part in _numbers(rows, field, channel).group_by("symbol"):
                    found[channel.name, str(symbol), field.name] = most_decimals(part["value"], part["line"])
    return found


def _levels_of(lines: pl.DataFrame, channel: Channel) -> pl.DataFrame:
    """``line, symbol, bids, asks`` of lines that only the exact reader can find these in."""
    read = [read_fields(text, channel, (), {}) for text in lines["text"]]
    rows = [
        {"line": line, "symbol": symbol, "bids": values["bids"], "asks": values["asks"]}
        for values, line, symbol in zip(read, lines["line"], lines["symbol"], strict=True)
        if not isinstance(values, Refusal)
    ]
    return pl.DataFrame(rows, schema=dict.fromkeys(("symbol", "bids", "asks"), pl.String) | {"line": pl.UInt32})


def _numbers(rows: pl.DataFrame, field: Field, channel: Channel) -> pl.DataFrame:
    """``symbol``, ``line`` and ``value``, in plain digits, of all rows that have a decimal in this field."""
    found = rows.select("symbol", "line", "gate", "text", value=first_of(field.key, f'"({number_of(field.decimals)})"'))
    rest = found.filter(~pl.col("gate") | pl.col("value").is_null())
    odd = rest.filter(~pl.col("gate") | first_of(field.key, '"([^"]*[^-0-9"][^"]*)"').is_not_null())
    exact = odd.select(
        "symbol",
        "line",
        value=pl.Series([_plain_digits(text, field, channel) for text in odd["text"]], dtype=pl.String),
    )
    plain = found.filter("gate").select("symbol", "line", "value")
    return pl.concat([plain, exact]).filter(pl.col("value").is_not_null())


def _plain_digits(text: str, field: Field, channel: Channel) -> str | None:
    """A field that only the exact reader can find."""
    message = read_message(text)
    value = flat(message, channel).get(field.key) if isinstance(message, dict) else None
    if not isinstance(value, str):
        return None
    return value if re.fullmatch(number_of(field.decimals), value) else exact_decimal(value, field.decimals)
