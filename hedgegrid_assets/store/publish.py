"""Files that appear at once and whole, or not at all."""

import contextlib
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from hedgegrid_assets.errors import StoreConflict
from hedgegrid_assets.store.disk import put_in_place, second_name, writing
from hedgegrid_assets.store.local import LocalStore
from hedgegrid_assets.store.locks import working_folder
from hedgegrid_assets.store.objects import AnyFile, StorePath
from hedgegrid_assets.store.places import cut_name

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_TRIES: Final = 20
_LONGEST_PAUSE: Final = 0.2
"""Seconds."""


@contextmanager
def temporary_file(name: str, tmp_dir: Path) -> Iterator[Path]:
    """A path for a file in the making, gone when the block ends; ``publish_file`` takes it away before that."""
    with working_folder(tmp_dir) as folder:
        temporary = folder / f"{cut_name(name)}.{uuid4().hex[:12]}.part"
        try:
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)


def publish_file(temporary: Path, final: AnyFile, *, is_synced: bool = False) -> None:
    """Let a complete file appear under its final name at once: an object of a store, or a user's own file."""
    if is_synced and isinstance(final, StorePath) and isinstance(final.store, LocalStore):
        put_in_place(temporary, final.local(), is_synced=True)
    elif isinstance(final, StorePath):
        final.publish(temporary)
    else:
        put_in_place(temporary, final)


@contextmanager
def atomic_write(final: AnyFile, tmp_dir: Path) -> Iterator[Path]:
    """A temporary path that becomes ``final`` at once when the block ends well, and vanishes when it does not.

    ``tmp_dir`` must be on the same filesystem. Raises EnvironmentFault if the place cannot be written.
    """
    with writing(final), temporary_file(final.name, tmp_dir) as temporary:
        yield temporary
        publish_file(temporary, final)


def carry(source: StorePath, final: StorePath, tmp_dir: Path) -> None:
    """The same object in another place, at once: on one disk it gets a second name, and nothing is copied or synced anew."""
    on_one = isinstance(source.store, LocalStore) and isinstance(final.store, LocalStore)
    if on_one and second_name(source.local(), final.local()):
        return
    with writing(final), temporary_file(final.name, tmp_dir) as temporary:
        if not _linked(source.local(), temporary):
            source.store.get(source.key, temporary)
            publish_file(temporary, final)
        else:
            publish_file(temporary, final, is_synced=True)


def _linked(source: Path, second: Path) -> bool:
    """False for another disk, or one without second names."""
    try:
        os.link(source, second)
    except OSError:
        return False
    return True


def read_bytes_of(path: StorePath) -> bytes | None:
    """An object's bytes; None where there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def retried[T](work: Callable[[], T]) -> T:
    """What ``work`` gives: it reads, changes and publishes over what it has read, and is done again where another was faster.

    A lock keeps off the others of this machine; versions keep off those of another. Raises StoreConflict in the end.
    """
    for _ in range(_TRIES - 1):
        with contextlib.suppress(StoreConflict):
            return work()
        time.sleep(random.uniform(0, _LONGEST_PAUSE))
    return work()


@contextmanager
def parquet_writer(path: Path, schema: "pa.Schema", options: dict[str, Any]) -> "Iterator[pq.ParquetWriter]":
    """A Parquet file in the making; if the block fails, it is given up without a further word."""
    import pyarrow.parquet as pq

    writer = pq.ParquetWriter(path, schema, **options)
    try:
        yield writer
        writer.close()
    except BaseException:
        give_up(writer)
        raise


def give_up(writer: "pq.ParquetWriter") -> None:
    """Close a Parquet file that is not wanted any more; on a full disk it could not be ended, and would say so when it goes."""
    with contextlib.suppress(Exception):
        writer.close()
    writer.is_open = False
