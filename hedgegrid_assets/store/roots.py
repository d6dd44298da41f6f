"""What people name as a root: a folder of this machine, or ``s3://bucket/prefix``."""

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hedgegrid_assets.errors import EnvironmentFault
from hedgegrid_assets.store.local import LocalStore
from hedgegrid_assets.store.objects import StorePath

if TYPE_CHECKING:
    from hedgegrid_assets.store.bucket import ObjectStore

_URL: Final = re.compile(r"s3:/+([^/]+)/*(.*)", re.DOTALL)
"""Also as a ``Path`` holds it, which takes one of the slashes away."""


def is_address(root: str | Path) -> bool:
    """It names a bucket, not a folder of this machine."""
    return _URL.fullmatch(str(root)) is not None


def stored(root: str | Path | StorePath) -> StorePath:
    """A folder, or the prefix of a bucket, as the root of a store; or what is in one already."""
    if isinstance(root, StorePath):
        return root
    found = _URL.fullmatch(str(root))
    return StorePath(LocalStore(Path(root))) if found is None else _bucket(found[1]).at(found[2].rstrip("/"))


@cache
def _bucket(name: str) -> "ObjectStore":
    try:
        from hedgegrid_assets.store.bucket import ObjectStore
    except ImportError:
        raise EnvironmentFault(
            f"a package that is needed for s3://{name} is not installed: expected obstore, found none",
            hint="pip install 'hedgegrid-assets[s3]'",
        ) from None
    return ObjectStore(name)
