"""What Tardis says of a key, and whether it is there at all."""

import json
from typing import Any

import aiohttp
import anyio

from hedgegrid_assets.sources.client import limits
from hedgegrid_assets.sources.client.transfers import body_of, reliably, session
from hedgegrid_assets.sources.tardis.connection import Connection


async def key_info(connection: Connection) -> list[dict[str, Any]]:
    """What the key allows. Raises RemoteFault."""
    provider = connection.provider

    async def transfer() -> list[dict[str, Any]]:
        async with session(provider, limits.in_force.slice_total) as opened:
            return list(json.loads(await body_of(opened, f"{connection.endpoint}/v1/api-key-info", provider)))

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
