"""Fields that know tables: what is said of gaps and of instruments, and when a feed asks by itself."""

import re
from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, WithJsonSchema, field_validator

from hedgegrid_assets.config.notes import refuse, twice, unknown
from hedgegrid_assets.fields import (
    Digits,
    Fee,
    Frozen,
    GapSeconds,
    Instant,
    NamePart,
    PairPart,
    Positive,
    Text,
    matches,
)
from hedgegrid_assets.tables import TABLES, TOKENS
from hedgegrid_assets.tables.bar import TABLE_OF
from hedgegrid_assets.timestamps import iso

_VARIABLE: Final = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")
_LINK: Final = re.compile(r"https?://[^\s]+")
_CLOCK: Final = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]")


def _table_name(value: object) -> str:
    """Nautilus' name of a table, given by it or by the guide's word."""
    if not isinstance(value, str) or value not in (*TABLES, *TOKENS):
        raise ValueError(unknown("table", str(value), (*TOKENS, *TABLES)))
    return TOKENS[value].name if value in TOKENS else value


def _each_table_once(value: object) -> object:
    if isinstance(value, dict):
        twice = [token for token, table in TOKENS.items() if token in value and table.name in value]
        if twice:
            raise ValueError(f"expected each table once, found {twice[0]} and {TOKENS[twice[0]].name}")
    return value


type GapsByTable = Annotated[
    Mapping[Annotated[str, BeforeValidator(_table_name)], GapSeconds], BeforeValidator(_each_table_once)
]
"""Table -> longest usual silence in seconds; 0: off."""


def _period(value: object) -> str:
    """A period of bars in the words of Nautilus."""
    if not isinstance(value, str) or value not in TABLE_OF:
        raise ValueError(unknown(f"period of bars {str(value)!r}", str(value), TABLE_OF))
    return value


def _each_period_once(periods: tuple[str, ...]) -> tuple[str, ...]:
    refuse(twice("bars", periods))
    return periods


type Periods = Annotated[
    tuple[Annotated[str, BeforeValidator(_period), WithJsonSchema({"enum": list(TABLE_OF)})], ...],
    AfterValidator(_each_period_once),
]
"""Lengths of bars, as ``1-MINUTE``."""


type Clock = Annotated[str, matches(_CLOCK, "a time HH:MM, UTC")]


class Schedule(Frozen):
    """When a feed asks by itself.

    Attributes:
        at: ``HH:MM``, UTC.
        look_back_days: Earlier days that are asked for again, besides yesterday.
    """

    at: Clock
    look_back_days: Annotated[int, Field(strict=True, ge=0, le=366)] = 3


class Notify(Frozen):
    """Where alerts go: one message for all that is new, as Slack takes it.

    Attributes:
        url: ``${NAME}``: the environment variable that holds the address. It is never kept in a file.
    """

    url: Annotated[str, matches(_VARIABLE, "the name of an environment variable, as ${SLACK_WEBHOOK}")]

    @property
    def variable(self) -> str:
        """The environment variable that holds the address."""
        return self.url.removeprefix("${").removesuffix("}")


class KnownOutage(Frozen):
    """A time that is known to lack data.

    Attributes:
        start: When it begins: ISO time, UTC, or ns since 1970.
        end: When it is over, likewise.
        reason: In plain words.
        link: Where it is told.
        symbols: Of the feed; none: all of them.
        tables: Of the feed; none: all of them.
    """

    start: Instant
    end: Instant
    reason: Text
    link: Annotated[str, matches(_LINK, "an address that begins with https:// or http://")] | None = None
    symbols: tuple[PairPart, ...] = ()
    tables: tuple[Annotated[str, BeforeValidator(_table_name)], ...] = ()

    @field_validator("end")
    @classmethod
    def _end_is_after_start(cls, end: int, info: ValidationInfo) -> int:
        start = info.data.get("start")
        if start is not None and end <= start:
            raise ValueError(f"expected a time after start {iso(start)}, found {iso(end)}")
        return end


class Refresh(Frozen):
    """When a feed looks again at the published files that it was fetched from.

    Attributes:
        at: ``HH:MM``, UTC, each day.
        days: So far back.
    """

    at: Clock
    days: Annotated[int, Field(strict=True, ge=1, le=3_660)] = 90


class Backtest(Frozen):
    """A backtest that a feed's data end in; files count from the folder of feeds.yaml.

    Attributes:
        config: As of ``run-backtest --backtest-config``.
        strategy: As of ``--strategy-config``; None: those that the file names.
        pin: What inputs and result are held to; None: the ``.pin.json`` beside the file, if there is one.
        allow_gaps: Run without days that are missing or not good.
    """

    config: Annotated[str, Field(min_length=1)]
    strategy: str | None = None
    pin: str | None = None
    allow_gaps: Annotated[bool, Field(strict=True)] = False


class InstrumentOverride(Frozen):
    """What the feed says of one instrument; it goes before an exchange document and before inference.

    Attributes:
        price_precision: Decimals of a price, 0 to 16.
        size_precision: Decimals of a size, 0 to 16.
        mark_precision: Decimals of mark and index prices, 0 to 16; Binance sends 8.
        price_increment: Tick size, decimal text in quote units.
        size_increment: Step of a size, decimal text in base units.
        base: Base currency code.
        quote: Quote currency code.
        settlement: Settlement currency code.
        multiplier: Value of one contract in base currency (quote currency if inverse), decimal text.
        maker_fee: Share of the notional, decimal text; negative is a rebate.
        taker_fee: Share of the notional, decimal text.
        id: Symbol part of the InstrumentId, in place of the one made from the exchange symbol.
    """

    price_precision: Digits | None = None
    size_precision: Digits | None = None
    mark_precision: Digits | None = None
    price_increment: Positive | None = None
    size_increment: Positive | None = None
    base: NamePart | None = None
    quote: NamePart | None = None
    settlement: NamePart | None = None
    multiplier: Positive | None = None
    maker_fee: Fee | None = None
    taker_fee: Fee | None = None
    id: PairPart | None = None

    @field_validator("price_increment", "size_increment")
    @classmethod
    def _increment_fits(cls, text: str | None, info: ValidationInfo) -> str | None:
        precision = info.data.get(str(info.field_name).replace("increment", "precision"))
        if text is not None and precision is not None and len(text.partition(".")[2]) > precision:
            raise ValueError(f"expected at most {precision} decimals, as the precision says, found {text}")
        return text
