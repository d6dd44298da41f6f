"""What Tardis says of a key, and whether it is there at all."""

import json
from typing import Any

import aiohttp
import anyio

from hedgegrid_assets.sources.client import limits
from hedgegrid_assets.sources.client.answers import refuse_foreign_json
from hedgegrid_assets.sources.client.transfers import body_of, reliably, session
from hedgegrid_assets.sources.tardis.connection import Connection


async def key_info(connection: Connection) -> list[dict[str, Any]]:
    """What the key allows. Raises RemoteFault."""
    provider, url = connection.provider, f"{connection.endpoint}/v1/api-key-info"

    async def transfer() -> list[dict[str, Any]]:
        async with session(provider, limits.in_force.slice_total) as opened:
            body = await body_of(opened, url, provider)
        try:
            return list(json.loads(body))
        except ValueError as error:
            refuse_foreign_json(error, body, url)

    return await reliably(transfer, "what the key allows", provider)


async def reachable(connection: Connection) -> bool:
    """Whether anyone answers at the endpoint, soon."""
    try:
        with anyio.fail_after(limits.in_force.probe):
            async with (
                aiohttp.ClientSession(trust_env=True) as opened,
                opened.get(f"{connection.endpoint}/v1/exchanges/binance-futures") as answer,
            ):
                return answer.status == 200
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False
