"""Where feeds.yaml says that data and catalogs are, if not on this machine."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from hedgegrid_assets.config.notes import Note
from hedgegrid_assets.fields import shown
from hedgegrid_assets.store import Places, is_address

ROOT_KEYS: Final = ("data", "catalog")


class Roots(Struct, frozen=True):
    """Addresses of a bucket, as ``s3://bucket/prefix``; None: on this machine.

    Attributes:
        data: Raw days and rejects. Landing files and what providers gave stay on this machine.
        catalog: The catalog; without it, beside the data.
    """

    data: str | None = None
    catalog: str | None = None

    def places(self, root: Path, catalog: Path | None = None) -> Places:
        """Where all is: ``root`` is the data root of this machine, ``catalog`` one that is asked for by name."""
        data = self.data or root
        beside = f"{self.data.rstrip('/')}/catalog" if self.data else root / "catalog"
        return Places(data, catalog or self.catalog or beside, None if is_address(root) else root)

    def absolute(self, root: Path) -> Places:
        """The same for processes that have other working directories."""
        return self.places(root if is_address(root) else root.absolute())


HERE: Final = Roots()
"""All on this machine."""


def roots_of(tree: Mapping[str, object]) -> tuple[Roots, list[Note]]:
    """What a feeds file says of them, and what is wrong with that."""
    notes: list[Note] = [
        (
            (key,),
            f"expected an address, as s3://bucket/prefix (a folder of this machine is said by HEDGEGRID_DATA), found {shown(tree[key])}",
        )
        for key in ROOT_KEYS
        if tree.get(key) is not None and not (isinstance(tree[key], str) and is_address(str(tree[key])))
    ]
    said = {key: str(tree[key]) for key in ROOT_KEYS if tree.get(key) is not None and not notes}
    return Roots(**said), notes
