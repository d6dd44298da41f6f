"""A venue without a row: what can be read in one way only."""

from typing import Final

from hedgegrid_assets.venues.forms import COINS, FIAT, STABLE, UNKNOWN, Venue, form

_ANY_QUOTE: Final = f"{STABLE}|FDUSD|BUSD|TUSD|USD|{FIAT}|{COINS}"
_CLEAR_QUOTE: Final = f"{STABLE}|(?<![BT])(?<!FD)USD|{FIAT}|{COINS}"
"""Where nobody says that there is no BUSD or no USD, ARBUSD can be AR in BUSD or ARB in USD."""

_PERPETUAL: Final = "[-_](?:PERP|PERPETUAL|SWAP)"


ELSEWHERE: Final = Venue(
    (
        form(f"{{b}}[-_/]{{q}}{_PERPETUAL}", _ANY_QUOTE, "usdm"),
        form("{b}[-_/]{q}[-_]{ymd}", _ANY_QUOTE, "usdm"),
        form("{b}{q}[-_]{ymd}", _CLEAR_QUOTE, "usdm"),
        form("{b}[-_/]{q}", _ANY_QUOTE, "usdm", "{symbol}-PERP"),
        form("{b}{q}", _CLEAR_QUOTE, "usdm", "{symbol}-PERP"),
        form("{b}[-_/]{q}", _ANY_QUOTE, "spot"),
        form("{b}{q}", _CLEAR_QUOTE, "spot"),
        form(f"{{b}}[-_/]?{{q}}{_PERPETUAL}", "USD", "coinm", contract=UNKNOWN, if_said=True),
        form("{b}[-_/]?{q}[-_]{ymd}", "USD", "coinm", contract=UNKNOWN, if_said=True),
        form("{b}[-_/]?{q}", "USD", "coinm", "{symbol}-PERP", contract=UNKNOWN, if_said=True),
    )
)
