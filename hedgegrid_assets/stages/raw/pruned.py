"""Which days of a feed were pruned: landing files that still hold them do not give them again."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import ClassVar

import msgspec

from hedgegrid_assets.stages.raw.days import RawKey
from hedgegrid_assets.store import Document, Places, read_document, write_document


class Pruned(Document, frozen=True, kw_only=True):
    """``before``: channel -> symbol -> the first day that was kept."""

    kind: ClassVar[str] = "pruned"
    newest: ClassVar[int] = 1
    told: ClassVar[str] = "which days of a feed were pruned"
    remedy: ClassVar[str] = "remove it: landing files then give the pruned days again"
    pruned: int = 0
    before: dict[str, dict[str, date]] = msgspec.field(default_factory=dict)

    def has(self, key: RawKey) -> bool:
        """The day was pruned."""
        kept = self.before.get(key.channel, {}).get(key.symbol)
        return kept is not None and key.day < kept


def read_pruned(places: Places, feed: str) -> Pruned:
    """Which days of a feed were pruned. Raises DocumentDamaged."""
    return read_document(places.pruned(feed), Pruned) or Pruned()


def note_pruned(places: Places, feed: str, before: Mapping[tuple[str, str], date]) -> None:
    """Note (channel, symbol) -> the first day that is kept; an earlier prune that went further stands."""
    held = read_pruned(places, feed).before
    for (channel, symbol), day in before.items():
        symbols = held.setdefault(channel, {})
        symbols[symbol] = max(day, symbols.get(symbol, day))
    write_document(places.pruned(feed), places.raw_temp(feed), Pruned(before=held))


def forget_pruned(places: Places, feed: str, keys: Iterable[RawKey]) -> None:
    """Days that are taken again are pruned no more, nor are the others of their channel and symbol."""
    held = read_pruned(places, feed)
    again = {(key.channel, key.symbol) for key in keys if held.has(key)}
    if again:
        left = {
            channel: {symbol: day for symbol, day in symbols.items() if (channel, symbol) not in again}
            for channel, symbols in held.before.items()
        }
        write_document(places.pruned(feed), places.raw_temp(feed), Pruned(before=left))
