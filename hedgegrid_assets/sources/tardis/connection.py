"""Where Tardis is asked, and as whom."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from hedgegrid_assets.errors import DayNotOver, KeyRequired
from hedgegrid_assets.sources.client.provider import Provider

ENDPOINT: Final = "https://api.tardis.dev"
DATASETS_ENDPOINT: Final = "https://datasets.tardis.dev"
KEY_VARIABLE: Final = "TARDIS_API_KEY"


@dataclass(frozen=True, slots=True)
class Connection:
    """Where to ask, and as whom; the key is never shown."""

    endpoint: str
    datasets_endpoint: str
    key: str = field(repr=False)
    key_variable: str = KEY_VARIABLE

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Connection":
        """From a source's settings: ``api_key`` (a secret), else the environment variable named by ``api_key_env``."""
        variable = str(settings.get("api_key_env", KEY_VARIABLE))
        given = settings.get("api_key")
        key = given.get_secret_value() if hasattr(given, "get_secret_value") else given
        return cls(
            _root(settings.get("endpoint", ENDPOINT)),
            _root(settings.get("datasets_endpoint", DATASETS_ENDPOINT)),
            str(key or os.environ.get(variable, "")).strip(),
            variable,
        )

    def root(self, *, messages: bool) -> str:
        """Scheme and host that messages or data sets are asked of."""
        return self.endpoint if messages else self.datasets_endpoint

    def cache_in(self, folder: Path, *, messages: bool) -> Path:
        """Where bodies are kept: in ``folder`` as Tardis gave them, below it what another server did."""
        root = self.root(messages=messages)
        if root == (ENDPOINT if messages else DATASETS_ENDPOINT):
            return folder
        digest = hashlib.sha256(root.encode()).hexdigest()[:8]
        return folder / f"{urlsplit(root).hostname or 'other'}-{digest}"

    @property
    def provider(self) -> Provider:
        """For the client. Only gzip: what tardis-client calls ``.gz`` must be gzip, even where aiohttp could take zstd."""
        return Provider(
            "Tardis",
            self.key,
            self.key_variable,
            encoding="gzip",
            hints={
                400: "check exchange, symbol and dates: hedgegrid replay-to-parquet --dry-run shows what is asked for",
                401: f"the key in use was not accepted for this: check {self.key_variable}, its plan and its days",
                403: f"the key in use has no right to this: check {self.key_variable} and its plan",
                404: "check exchange, symbol and data types",
            },
            passing={400: "ISO 8601 format"},
        )

    def provider_of(self, slots: Path) -> Provider:
        """The same for those who share the folder ``slots``."""
        return replace(self.provider, slots=slots)


def _root(address: object) -> str:
    """Without the ``/v1`` that every request adds."""
    return str(address).rstrip("/").removesuffix("/v1")


def is_free(day: date) -> bool:
    """The first day of each month needs no key."""
    return day.day == 1


def refuse_day(what: str, symbol: str, day: date, connection: Connection) -> None:
    """Raises KeyRequired or DayNotOver for a day that can only be refused."""
    if not connection.key and not is_free(day):
        raise KeyRequired(
            f"{what} {day}", "the day is not the first of a month, and there is no key", connection.key_variable
        )
    if day >= datetime.now(UTC).date():
        raise DayNotOver(symbol, "Tardis", day)
