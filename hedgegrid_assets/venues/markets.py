"""What raw files say of their venue and market, held against what they are taken for."""

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import PurePath
from typing import Any, Final

import msgspec
from msgspec import Struct, field

from hedgegrid_assets.errors import FileContradicts
from hedgegrid_assets.venues import Market, markets_of

NAMES: Final[Mapping[Market, str]] = {"usdm": "USD-M (linear)", "coinm": "coin-margined (inverse)", "spot": "spot"}
_WORDS: Final[Mapping[str, Market]] = {
    "spot": "spot",
    "um": "usdm",
    "usdm": "usdm",
    "usd-m": "usdm",
    "usdt-m": "usdm",
    "linear": "usdm",
    "cm": "coinm",
    "coinm": "coinm",
    "coin-m": "coinm",
    "inverse": "coinm",
    "delivery": "coinm",
}
_FOLDERS: Final = 8


class Contract(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the rows of a symbol say of its contract; ``multiplier``: the value of one unit of their sizes."""

    inverse: bool | None = None
    multiplier: str | None = None


class Says(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a file itself says, by its columns and rows.

    Attributes:
        what: What it is, in words.
        venues: Nautilus venues whose files look so; none: anybody's.
        market: Of all that is in it; where ``at`` names venues, of theirs only.
        markets: Symbol -> its market.
        contracts: Symbol -> what its rows say.
        book_of: The only symbol whose book its messages update, where it has snapshots that may not say their own.
    """

    what: str = ""
    venues: tuple[str, ...] = ()
    market: Market | None = None
    at: tuple[str, ...] = ()
    markets: dict[str, Market] = msgspec.field(default_factory=dict)
    contracts: dict[str, Contract] = msgspec.field(default_factory=dict)
    book_of: str = ""


class Evidence(Struct, frozen=True):
    """What one file says.

    Attributes:
        path: As in the manifest.
        what: What its columns are, in words; empty: nothing that is known.
        venues: Whose dumps look so; none: anybody's.
        market: By its content.
        named: By its name and folders.
        multiplier: Value of one unit of its sizes, by its content.
    """

    path: str
    what: str = ""
    venues: tuple[str, ...] = ()
    market: Market | None = None
    named: Market | None = None
    multiplier: str | None = None


class Taken(Struct, frozen=True):
    """What a symbol's data are taken for. ``said``: the market was said, or an id that means one."""

    instrument_id: str
    symbol: str
    venue: str
    market: Market | None
    said: bool
    definition: Mapping[str, Any] = field(default_factory=dict)


type Files = Iterable[tuple[str, Says | None]]
"""(path, what it says) of each file of a raw day, as its manifest has them."""


def evidence_of(files: Files, venue: str, symbol: str) -> Iterator[Evidence]:
    """What each file of a raw day says of a symbol."""
    for path, told in files:
        says = told or Says()
        contract = says.contracts.get(symbol, Contract())
        market = says.market if not says.at or venue in says.at else None
        market = says.markets.get(symbol, market)
        if contract.inverse is not None:
            market = "coinm" if contract.inverse else "usdm"
        yield Evidence(path, says.what, says.venues, market, named_market(path), contract.multiplier)


def named_market(path: str) -> Market | None:
    """The market that a file's name or one of its folders says; None: none, or several."""
    pure = PurePath(path)
    words = [part.lower() for part in pure.parts[-_FOLDERS:-1]] + re.split(
        r"[_.\s]|(?<!coin)(?<!usd)(?<!usdt)-", pure.name.lower()
    )
    found = {_WORDS[word] for word in words if word in _WORDS}
    return found.pop() if len(found) == 1 else None


def check(files: Files, taken: Taken) -> None:
    """Raises FileContradicts where a file of a raw day is not what it is taken for."""
    for one in evidence_of(files, taken.venue, taken.symbol):
        if one.venues and taken.venue not in one.venues:
            raise FileContradicts(
                one.path,
                taken.instrument_id,
                f"{one.what} (by its columns)",
                f"data of {taken.venue}",
                f"--exchange {' or '.join(one.venues[:2])} (feeds.yaml: venue)",
            )
        if one.market is not None and taken.market is not None and one.market != taken.market:
            raise FileContradicts(
                one.path,
                taken.instrument_id,
                f"{one.what or NAMES[one.market]} (by its content)",
                f"{NAMES[taken.market]} data",
                f"--market {one.market} (feeds.yaml, or the file of --config: market)",
            )
        if (
            one.named is not None
            and not taken.said
            and one.market is None
            and one.named != taken.market
            and one.named in markets_of(taken.venue, taken.symbol)
        ):
            raise FileContradicts(
                one.path,
                taken.instrument_id,
                f"{NAMES[one.named]} (by its name)",
                f"{NAMES[taken.market or 'usdm']} data, as no market is said",
                f"--market {one.named}, or --market {taken.market} if its name is wrong (feeds.yaml, or the file of "
                "--config: market)",
            )
        worth = taken.definition.get("multiplier")
        if one.multiplier is not None and worth is not None and Decimal(one.multiplier) != Decimal(worth):
            raise FileContradicts(
                one.path,
                taken.instrument_id,
                f"sizes of {one.multiplier} each (by homeNotional)",
                f"sizes of {worth} each, as its definition says",
                f'{{"instruments": {{"{taken.symbol}": {{"multiplier": "{one.multiplier}"}}}}}} in the file of --config '
                "(feeds.yaml: the same)",
            )


def market_told(files: Files, venue: str, symbol: str) -> set[Market | None]:
    """The markets that the files of a raw day say by their content; None among them: one says nothing."""
    return {one.market for one in evidence_of(files, venue, symbol)}


def multiplier_told(files: Files, venue: str, symbol: str) -> set[str]:
    """What one unit of the sizes is worth, as the files of a raw day say by their content."""
    return {one.multiplier for one in evidence_of(files, venue, symbol) if one.multiplier is not None}
