"""What is said of where and how Tardis is asked."""

import re
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator

from hedgegrid_assets.fields import Settings, Text, matches, unsaid
from hedgegrid_assets.sources.formats.settings import Ids, TradeKind

_EXCHANGE: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_ENVIRONMENT_NAME: Final = re.compile(r"[A-Z_][A-Z0-9_]*")


def _environment_name(value: object) -> object:
    """The name of a variable; what was found may be a key and is not shown."""
    if not isinstance(value, str) or not _ENVIRONMENT_NAME.fullmatch(value):
        raise ValueError("expected the name of an environment variable, as TARDIS_API_KEY, found something else")
    return value


class TardisSettings(Settings):
    """Of the source ``tardis``; the key itself is in the environment."""

    exchange: Annotated[str, matches(_EXCHANGE, "the provider's id of an exchange, such as binance-futures")] = unsaid(
        "Tardis' id of the exchange; binance-futures"
    )
    api: Literal["datasets", "replay"] = unsaid("CSV data sets, or replayed messages; as trade_kind needs it")
    trade_kind: TradeKind = unsaid("what trades are made from: aggTrade needs replay")
    ids: Ids = unsaid("whether one id may stand for several trades (shared); else as the venue gives them")
    depth_kind: Literal["book_snapshot_25", "book_snapshot_5"] = unsaid("what depth is made from; book_snapshot_25")
    cache_dir: Text = unsaid("folder of what was fetched; under <data>/cache")
    endpoint: Text = unsaid("of the API; TARDIS_ENDPOINT goes before feeds.yaml")
    datasets_endpoint: Text = unsaid("of the data sets; TARDIS_DATASETS_ENDPOINT goes before feeds.yaml")
    api_key_env: Annotated[str, BeforeValidator(_environment_name)] = unsaid(
        "variable that holds the key; TARDIS_API_KEY"
    )
