"""Which side of a trade a cell means: by its usual words, or as the user says; what is not known is no side.

A file whose sides cannot be told is refused whole, however small: rejecting its unknown code alone would leave trades
of one side only.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import polars as pl

from hedgegrid_assets.errors import SidesUnknown, UsageError

SIDES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("buy", "b", "bid", "long", "buyer", "1", "+1", "1.0"), "BUYER"),
    **dict.fromkeys(("sell", "s", "ask", "short", "seller", "-1", "-1.0"), "SELLER"),
    **dict.fromkeys(("unknown", "no_aggressor", "none"), "NO_AGGRESSOR"),
}
"""Usual words in lower case -> the taker's side."""
FLAGS: Final[Mapping[str, bool]] = {
    **dict.fromkeys(("true", "1", "t", "yes", "1.0"), True),
    **dict.fromkeys(("false", "0", "f", "no", "0.0"), False),
}
"""Usual words in lower case -> true or false."""
MAKER_FLAGS: Final[Mapping[str, str]] = {text: "SELLER" if flag else "BUYER" for text, flag in FLAGS.items()}
"""``is_buyer_maker`` in lower case -> the taker's side."""
_WORDS: Final = {"buy": "BUYER", "sell": "SELLER", "none": "NO_AGGRESSOR"}
_OTHER: Final = {"BUYER": "SELLER", "SELLER": "BUYER"}
_ONES: Final = frozenset({"1", "+1", "1.0"})
"""Buy where -1 is sell; alone it could be either of the codes 0 and 1, or 1 and 2."""
_MINUS_ONES: Final = frozenset({"-1", "-1.0"})
_EMPTY: Final = ("", "nan", "null", "na", "n/a")
_CLASS: Final = 0.01
"""Share of the first rows from which on an unknown value is a code of its own, not a broken cell."""
_SHOWN: Final = 6


def told_sides(given: Mapping[str, str] | None, *, maker: bool) -> dict[str, str]:
    """Value in lower case -> the taker's side: as the user says, else the usual words; turned if they are the maker's."""
    sides = {text.strip().lower(): _WORDS[word] for text, word in given.items()} if given else dict(SIDES)
    return {text: _OTHER.get(side, side) for text, side in sides.items()} if maker else sides


def note_of_signs(texts: pl.Series, sides: Mapping[str, str], name: str) -> str | None:
    """What numbers are taken for, where the first rows have them as sides."""
    words = {side: word for word, side in _WORDS.items()}
    taken = sorted((words[sides[text]], text) for text in (_ONES | _MINUS_ONES).intersection(texts.unique()))
    meant = " and ".join(
        f"{text} {'as' if number else 'is taken as'} {word}" for number, (word, text) in enumerate(taken)
    )
    return f'{name}: {meant} ("sides" in the file of --config says it otherwise)' if taken else None


def check_said(columns: Mapping[str, int], said: Mapping[str, Any], path: Path, *, signed: bool) -> None:
    """Raises UsageError for ``sides`` or ``side_is`` where no column of sides is read."""
    if "aggressor_side" in columns or (signed and not said.get("sides")):
        return
    keys = [key for key in ("sides", "side_is") if said.get(key)]
    if keys:
        found = "is_buyer_maker, which says it all" if "is_buyer_maker" in columns else "no such column"
        raise UsageError(
            f"{' and '.join(keys)} cannot be used ({path.name}): expected a column of sides, found {found}",
            hint='map the column to aggressor_side: "columns": {"aggressor_side": "<your column>", ...}',
        )


def check_values(texts: pl.Series, known: Mapping[str, str], name: str, path: Path, *, given: bool) -> None:
    """Raises SidesUnknown where the values of the first rows are not the known ones, or known ones of one side only."""
    counts = texts.str.to_lowercase().value_counts()
    found = {text: count for text, count in counts.iter_rows() if text not in _EMPTY}
    unknown = {text: count for text, count in found.items() if text not in known}
    sides = {known[text] for text in found if text in known} & _OTHER.keys()
    codes = not given and known is not MAKER_FLAGS and bool(found) and found.keys() - _EMPTY <= _ONES
    common = [text for text, count in unknown.items() if count > 1 and count >= _CLASS * len(texts)]
    if codes or common or (unknown and len(sides) < len(_OTHER)):
        raise SidesUnknown(path, name, sorted(found if codes or len(found) <= _SHOWN else unknown)[:_SHOWN])
