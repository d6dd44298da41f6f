"""How NautilusTrader 1.x reaches a catalog: a folder by its path, a bucket by options for each of its two readers."""

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from hedgegrid_assets.errors import EnvironmentFault
from hedgegrid_assets.store import StorePath, is_address, stored

_SCHEME: Final = "s3"
_KEYS: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


def catalog_config(catalog: str | Path | StorePath, prefix: str = "") -> dict[str, Any]:
    """The arguments by which ``ParquetDataCatalog`` reads a catalog, on a disk or in a bucket (``s3://bucket/prefix``).

    Of a bucket they are two sets of options, as one part of Nautilus lists and another one reads; its own ``from_uri``
    fails. Keys, region and address are taken from the environment, as everywhere.

    Args:
        catalog: Root of the catalog.
        prefix: Put before each name: ``catalog_`` gives the arguments of ``BacktestDataConfig``.

    Raises:
        EnvironmentFault: s3fs is not installed.
    """
    root = stored(catalog)
    found = _of_bucket(root) if is_address(root.address) else {"path": root.address}
    return {f"{prefix}{name}": value for name, value in found.items()}


def _of_bucket(root: StorePath) -> dict[str, Any]:
    if find_spec("s3fs") is None:
        raise EnvironmentFault(
            f"NautilusTrader cannot read {root} without s3fs: expected it, found none",
            hint="pip install 'hedgegrid-assets[s3]'",
        )
    said = {name: value for name in (*_KEYS, "AWS_ENDPOINT_URL") if (value := os.environ.get(name))}
    said["AWS_REGION"] = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    http = os.environ.get("AWS_ALLOW_HTTP", "").lower() == "true"
    return {
        "path": root.address.removeprefix(f"{_SCHEME}://"),
        "fs_protocol": _SCHEME,
        "fs_storage_options": _listing(said),
        "fs_rust_storage_options": {name.removeprefix("AWS_").lower(): value for name, value in said.items()}
        | ({"allow_http": "true"} if http else {}),
    }


def _listing(said: Mapping[str, str]) -> dict[str, Any]:
    """As s3fs calls them."""
    keys = dict(zip(("key", "secret", "token"), map(said.get, _KEYS), strict=True))
    client = {"region_name": said["AWS_REGION"], "endpoint_url": said.get("AWS_ENDPOINT_URL")}
    return {
        **{name: value for name, value in keys.items() if value},
        "client_kwargs": {name: value for name, value in client.items() if value},
    }
