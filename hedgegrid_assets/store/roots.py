"""What people name as a root: a folder of this machine, or ``s3://bucket/prefix``."""

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hedgegrid_assets.errors import EnvironmentFault, NoSuchStore
from hedgegrid_assets.store.local import LocalStore
from hedgegrid_assets.store.objects import StorePath

if TYPE_CHECKING:
    from hedgegrid_assets.store.bucket import ObjectStore

_URL: Final = re.compile(r"s3:/+([^/]+)/*(.*)", re.DOTALL)
"""Also as a ``Path`` holds it, which takes one of the slashes away."""

_ELSEWHERE: Final = re.compile(r"s3:/*|[A-Za-z][\w+.-]+:/.*", re.DOTALL)
"""No bucket, or something of another kind: on a disk, a folder would be called after it."""


def is_address(root: str | Path) -> bool:
    """It names a bucket, not a folder of this machine."""
    return _URL.fullmatch(str(root)) is not None


def stored(root: str | Path | StorePath) -> StorePath:
    """A folder, or the prefix of a bucket, as the root of a store; or what is in one already. Raises NoSuchStore."""
    if isinstance(root, StorePath):
        return root
    found = _URL.fullmatch(str(root))
    if found is None and _ELSEWHERE.fullmatch(str(root)):
        raise NoSuchStore(re.sub(":/*", "://", str(root), count=1))
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
