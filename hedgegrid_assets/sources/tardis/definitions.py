"""Tardis' definitions of instruments."""

import logging
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from hedgegrid_assets.errors import DataError, RemoteFault
from hedgegrid_assets.sources.client import limits
from hedgegrid_assets.sources.tardis.availability import metadata
from hedgegrid_assets.sources.tardis.connection import Connection

_log: Final = logging.getLogger(__name__)


async def instrument(exchange: str, symbol: str, connection: Connection) -> dict[str, Any] | None:
    """Tardis' definition of an instrument, or None where the key does not reach it."""
    from tardis_dev import get_instrument_info_async  # a third of a second, for what is rarely asked

    try:
        found = await metadata(
            lambda: get_instrument_info_async(
                exchange,
                symbol=symbol,
                api_key=connection.key,
                endpoint=f"{connection.endpoint}/v1",
                timeout=int(limits.in_force.silence) or 1,
            ),
            f"the definition of {exchange} {symbol}",
            connection,
        )
    except RemoteFault as error:
        if error.transient:
            raise
        _log.info("no definition from Tardis: %s", error.message)
        return None
    return found if isinstance(found, dict) else None


def definition_of(found: Mapping[str, Any]) -> dict[str, Any]:
    """Tardis' definition in the words of ``instruments:``: the finest increments that ever held.

    Raises DataError where it has none that could be used.
    """

    def decimals(name: str) -> list[Decimal]:
        said = [entry[name] for entry in (found, *found.get("changes", ())) if entry.get(name) not in (None, "", 0)]
        try:
            return [Decimal(str(value)) for value in said]
        except InvalidOperation:
            raise DataError(
                f"Tardis' definition of {found.get('id')}: expected a number in {name}, found {said}"
            ) from None

    def text(value: Any) -> str:
        return f"{Decimal(str(value)):f}"

    made: dict[str, Any] = {}
    for name, key in (("price", "priceIncrement"), ("size", "amountIncrement")):
        steps = decimals(key)
        if steps:
            finest = min(steps)
            precision = max(0, *(-int(step.normalize().as_tuple().exponent) for step in steps))
            made |= {f"{name}_increment": text(finest), f"{name}_precision": precision}
    for name, key in (("base", "baseCurrency"), ("quote", "quoteCurrency"), ("settlement", "settlementCurrency")):
        if found.get(key):
            made[name] = str(found[key]).upper()
    for name, key in (("multiplier", "contractMultiplier"), ("maker_fee", "makerFee"), ("taker_fee", "takerFee")):
        if found.get(key) is not None:
            made[name] = text(found[key])
    return made
