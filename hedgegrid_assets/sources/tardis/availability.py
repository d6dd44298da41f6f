"""What Tardis says that it has: exchanges, symbols, days."""

import time
import urllib.error
from collections.abc import Awaitable, Callable, Mapping
from datetime import date
from typing import Any, Final

import anyio

from hedgegrid_assets.errors import NoDataFetched, NotPublished, RemoteFault
from hedgegrid_assets.sources.client import limits
from hedgegrid_assets.sources.client.answers import Answered, Damaged, in_words, retry_after
from hedgegrid_assets.sources.client.transfers import reliably
from hedgegrid_assets.sources.tardis.connection import Connection
from hedgegrid_assets.sources.tardis.names import file_symbol
from hedgegrid_assets.wording import nearest

_DETAILS_SECONDS: Final = 600.0
_details: Final[dict[tuple[str, str], tuple[float, dict[str, Any]]]] = {}
"""(endpoint, exchange) -> when it was asked, and the answer; used on the loop only."""


async def details(exchange: str, connection: Connection) -> dict[str, Any]:
    """What Tardis says of an exchange; asked once in ten minutes. Raises RemoteFault."""
    from tardis_dev import get_exchange_details_async  # a third of a second, for what is rarely asked

    key = (connection.endpoint, exchange)
    held = _details.get(key)
    if held is not None and time.monotonic() - held[0] < _DETAILS_SECONDS:
        return held[1]
    found = await metadata(
        lambda: get_exchange_details_async(
            exchange, endpoint=f"{connection.endpoint}/v1", timeout=int(limits.in_force.silence) or 1
        ),
        f"the details of {exchange}",
        connection,
    )
    _details[key] = (time.monotonic(), found)
    return found


async def metadata[T](ask: Callable[[], Awaitable[T]], what: str, connection: Connection) -> T:
    """A call of tardis-dev's metadata functions, with our patience. Raises RemoteFault."""

    async def transfer() -> T:
        try:
            with anyio.fail_after(limits.in_force.slice_total):
                return await ask()
        except urllib.error.HTTPError as error:
            text = connection.provider.without_key(in_words(str(error.msg)))
            wait = retry_after(error.headers.get("Retry-After") if error.headers else None)
            raise Answered(error.code, text, wait) from None
        except ValueError as error:
            raise Damaged(f"the answer is no JSON: {error}") from None

    return await reliably(transfer, what, connection.provider)


async def with_availability(
    error: RemoteFault, exchange: str, symbol: str, day: date, connection: Connection, *, dataset: bool = False
) -> RemoteFault | NoDataFetched:
    """Where the server refused what may not exist, say what does."""
    if error.details.get("status") not in {400, 404}:
        return error
    try:
        found = await details(exchange, connection)
        why = unavailable(found, symbol, None, day)
        later = "" if why or not dataset else not_exported(found, day)
    except RemoteFault as other:
        if other.details.get("status") == 404:
            return RemoteFault(
                str(error.details["what"]),
                f"Tardis has no exchange {exchange!r}",
                hint="its exchanges are listed at https://api.tardis.dev/v1/exchanges; the venue, such as BINANCE, is another key",
                transient=False,
            )
        return error
    if later:
        return NotPublished(str(error.details["what"]), "Tardis", later)
    return NoDataFetched(str(error.details["what"]), "Tardis", why) if why else error


async def refuse_unavailable(
    what: str, exchange: str, symbol: str, kind: str | None, day: date, connection: Connection
) -> None:
    """An empty day counts as proven empty only where Tardis says that it has the symbol and the day. Raises NoDataFetched."""
    found = await details(exchange, connection)
    why = unavailable(found, symbol, kind, day)
    if why and kind and why == not_exported(found, day):
        raise NotPublished(f"{what} {day}", "Tardis", why)
    if why:
        raise NoDataFetched(f"{what} {day}", "Tardis", why)


def unavailable(found: Mapping[str, Any], symbol: str, kind: str | None, day: date) -> str:
    """Why a day of a symbol cannot be had, from an exchange's details; empty if it should be there.

    ``kind``: the data set; None: messages.
    """
    datasets = found.get("datasets") or {}
    listed = datasets.get("symbols", []) if kind else found.get("availableSymbols", [])
    entry = next((one for one in listed if file_symbol(str(one.get("id", ""))) == file_symbol(symbol)), None)
    if entry is None:
        names = [str(one.get("id")) for one in listed]
        near = nearest(symbol, names, 3) or names[:5]
        return f"no symbol {symbol} on {found.get('id')} (such as {', '.join(near)})"
    if kind and kind not in entry.get("dataTypes", [kind]):
        return f"no {kind} of {symbol}: there is {', '.join(entry['dataTypes'])}"
    since = max(
        filter(
            None,
            (entry.get("availableSince"), found.get("availableSince"), datasets.get("exportedFrom") if kind else None),
        )
    )
    if str(day) < str(since)[:10]:
        return f"{symbol} on {found.get('id')} is available since {str(since)[:10]}"
    until = entry.get("availableTo")
    if until and str(day) >= str(until)[:10]:
        return f"{symbol} on {found.get('id')} was available until {str(until)[:10]}"
    return not_exported(found, day) if kind else ""


def not_exported(found: Mapping[str, Any], day: date) -> str:
    """Why the data sets of a day cannot be there yet, from an exchange's details; empty if they should be."""
    until = exported_until(found)
    if until is None or day < until:
        return ""
    return f"data sets are exported until {until}; a day is ready about 06:00 UTC of the next"


def exported_until(found: Mapping[str, Any]) -> date | None:
    """The first day whose data sets are not there yet, from an exchange's details; None: not said."""
    said = str((found.get("datasets") or {}).get("exportedUntil") or "")[:10]
    return date.fromisoformat(said) if said else None
