"""Venues whose trade ids name no single trade, so that equal rows may be several trades."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from msgspec.structs import replace

from hedgegrid_assets.model import Channel, Identity

SHARED_IDS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("CRYPTO_COM", "CRYPTOCOM"), "all fills of one taker order in a message have its id"),
    "GEMINI": "all trades of one market event have its id",
    "HYPERLIQUID": "tid is a hash of 50 bits: the venue calls it unique only along with block time and coin",
    "POLYMARKET": "the hash of a transaction, which may hold several trades",
}
"""Nautilus venue -> why."""


def identified(channels: Iterable[Channel], venue: str, settings: Mapping[str, Any]) -> Iterator[Channel]:
    """Channels with what tells their rows apart: as the setting ``ids`` says, else as is known of the venue."""
    shared = settings.get("ids", "shared" if venue in SHARED_IDS else "unique") == "shared"
    for channel in channels:
        named = channel.identity is Identity.ID and any(field.name == "id" for field in channel.fields)
        yield replace(channel, identity=Identity.CONTENT) if shared and named else channel
