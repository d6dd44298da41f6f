"""What is said of which archive is asked, and how."""

import re
from typing import Annotated, Final, Literal

from pydantic import Field

from hedgegrid_assets.fields import Settings, Text, matches, unsaid
from hedgegrid_assets.sources.formats.settings import BarKind, Ids, TradeKind

_EXCHANGE: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")

type Sha256 = Annotated[str, matches(_SHA256, "a sha256: 64 hexadecimal digits in lower case")]


class ArchiveSettings(Settings):
    """Of the source ``archive``."""

    exchange: Annotated[str, matches(_EXCHANGE, "the id of an exchange, such as binance-futures")] = unsaid(
        "whose archive, as Tardis names exchanges; binance-futures"
    )
    trade_kind: TradeKind = unsaid("what trades are made from; aggTrade where there are such files")
    bar_kind: BarKind = unsaid("what bars are made from; the published candles of their period, where there are any")
    ids: Ids = unsaid("whether one id may stand for several trades (shared); else as the venue gives them")
    endpoint: Text = unsaid("replaces scheme and host of every address: a mirror")
    cache_dir: Text = unsaid("folder of what was fetched; <data>/cache/archive")
    period: Literal["daily", "monthly"] = unsaid("files of a day or of a month, where there are both")
    accept_checksum: Annotated[list[Sha256], Field(min_length=1)] = unsaid(
        "checksums (sha256) of files that are taken though their checksum file says another"
    )
