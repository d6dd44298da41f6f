"""The exchanges' own documents of instruments, as archives hold none; public, without a key."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from hedgegrid_assets.errors import UsageError
from hedgegrid_assets.sources.client import limits
from hedgegrid_assets.sources.client.answers import refuse_foreign_json
from hedgegrid_assets.sources.client.loop import call
from hedgegrid_assets.sources.client.provider import Provider
from hedgegrid_assets.sources.client.transfers import body_of, reliably, session
from hedgegrid_assets.store import make_folder

DOCUMENTS: Final[Mapping[str, str]] = {
    "binance-futures": "https://fapi.binance.com/fapi/v1/exchangeInfo",
    "binance-delivery": "https://dapi.binance.com/dapi/v1/exchangeInfo",
    "binance": "https://api.binance.com/api/v3/exchangeInfo",
}
"""Exchange, as Tardis names it -> its document."""


def fetch_document(exchange: str, endpoint: str, folder: Path) -> Path:
    """Fetch an exchange's document, and keep it under its date: its path. Raises UsageError, RemoteFault."""
    address = DOCUMENTS.get(exchange)
    if address is None:
        raise UsageError(
            f"no document of instruments is known of this exchange (--from): expected one of {', '.join(DOCUMENTS)}, "
            f"found {exchange!r}"
        )
    url = f"{endpoint.rstrip('/')}{urlsplit(address).path}" if endpoint else address
    body = call(lambda: _fetch(url, exchange, address))
    path = folder / f"{exchange}_{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}.json"
    make_folder(folder)
    path.write_bytes(body)
    return path


async def _fetch(url: str, exchange: str, address: str) -> bytes:
    offline = f"on a machine that may: curl {address} > exchangeInfo.json; then: hedgegrid instruments import exchangeInfo.json"
    hints = {403: offline, 418: offline, 451: f"the exchange refuses the country that you ask from (451); {offline}"}
    provider = Provider(exchange, encoding="gzip", hints=hints)
    async with session(provider, limits.in_force.file_total) as opened:

        async def transfer() -> bytes:
            body = await body_of(opened, url, provider)
            try:
                json.loads(body)
            except ValueError as error:
                refuse_foreign_json(error, body, url)
            return body

        return await reliably(transfer, f"the instruments of {exchange}", provider)
