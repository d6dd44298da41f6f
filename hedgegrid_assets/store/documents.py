"""The small JSON documents of our own: typed, versioned, with a checksum of what they say; read and written here alone.

A document is JSON with sorted keys and one key a line, so that the same value gives the same bytes. The line of its
``checksum`` is the sha256 of all other lines: ``grep -v '^ "checksum"' FILE | sha256sum`` gives it. Documents of before
had none; they are read as they are, and ``checksum`` is None.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, ClassVar, Final

import msgspec

from hedgegrid_assets.errors import DocumentDamaged, HedgegridError
from hedgegrid_assets.store.disk import disk_fault, writing
from hedgegrid_assets.store.objects import AnyFile, StorePath
from hedgegrid_assets.store.publish import atomic_write, retried, temporary_file

MADE_ANEW: Final = "remove it and run again: it is made anew"
"""The way out for a document that a run writes where it finds none."""
_CHECKSUM: Final = re.compile(rb'^ "checksum": "([^"\n]*)",\n', re.MULTILINE)
_BEHIND_A_LINE: Final = b'\n "checksum": "'
"""Where to look for it: a pattern that asks at each line takes longer than all else of reading a verdict with many gaps."""
_KEY: Final = re.compile(rb'^ "([^"\n]*)"', re.MULTILINE)


class Document(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, repr_omit_defaults=True
):
    """A document of a kind: its subclass has its fields, among them one that is named as ``kind`` and holds its version.

    A field with a default is left out where it has that value.

    Attributes:
        kind: The name of the field of the version.
        newest: The version that is written. From it on a document has a checksum.
        told: What it is, for people.
        remedy: The way out where it is damaged.
    """

    kind: ClassVar[str]
    newest: ClassVar[int]
    told: ClassVar[str]
    remedy: ClassVar[str] = MADE_ANEW
    checksum: str | None = None


def plain(value: object) -> Any:
    """A document, or a part of one, as dicts and lists, with the keys that it has in its file."""
    return msgspec.to_builtins(value)


def encode(document: Document) -> bytes:
    """What is written of a document."""
    now = msgspec.structs.replace(document, checksum=None, **{document.kind: document.newest})
    body = msgspec.json.format(msgspec.json.encode(now, order="sorted"), indent=1) + b"\n"
    behind = next(found.start() for found in _KEY.finditer(body) if found[1] > b"checksum")
    line = f' "checksum": "{hashlib.sha256(body).hexdigest()}",\n'.encode()
    return body[:behind] + line + body[behind:]


type Before[D: Document] = Callable[[bytes], D | None]
"""A document from a form of before that looks otherwise; None where it is none."""


def decode[D: Document](data: bytes, of: type[D], path: AnyFile, before: Before[D] | None = None) -> D:
    """A document from what was written of it. Raises DocumentDamaged."""
    checked = _small if len(data) <= _SMALL_BYTES else _middling if len(data) <= _MIDDLING_BYTES else _checked
    try:
        document, wrong = checked(data, of)
    except (ValueError, RecursionError) as error:  # ValueError: also of bytes that are not UTF-8
        earlier = before(data) if before else None
        if earlier is not None:
            return earlier
        raise DocumentDamaged(path, of.told, str(error), of.remedy) from error
    version = getattr(document, of.kind)
    if version > of.newest:
        why = f"its version {version}: this program knows up to {of.newest}"
        raise DocumentDamaged(path, of.told, why, "read it with the newer version of hedgegrid-assets that wrote it")
    if wrong is not None:
        raise DocumentDamaged(path, of.told, wrong, of.remedy)
    return document


def _checked[D: Document](data: bytes, of: type[D]) -> tuple[D, str | None]:
    """What was written, and what is wrong with its checksum. Raises ValueError and RecursionError."""
    document = _decoder(of).decode(data)
    found = _CHECKSUM.search(data, max(data.find(_BEHIND_A_LINE), 0))
    if found is None:
        lacks = getattr(document, of.kind) == of.newest or document.checksum is not None
        return document, "no checksum" if lacks else None
    same = _digest(data, found).encode() == found[1]
    return document, None if same else "another content than its checksum is of"


_small: Final = lru_cache(maxsize=256)(_checked)
"""Those of a catalog are asked for several times a day, and have the same bytes nearly always."""
_recent: Final[list[tuple[tuple[bytes, type[Document], Any], ...]]] = [()]
_RECENT: Final = 4


def _middling[D: Document](data: bytes, of: type[D]) -> tuple[D, str | None]:
    """``_checked`` for those of which a day's own are asked for several times in a row: bytes are compared, as a hash of them takes longer."""
    for held, kind, answer in _recent[0]:
        if kind is of and held == data:
            return answer
    answer = _checked(data, of)
    _recent[0] = ((data, of, answer), *_recent[0][: _RECENT - 1])
    return answer


_SMALL_BYTES: Final = 1 << 13
_MIDDLING_BYTES: Final = 1 << 18


def _digest(data: bytes, line: re.Match[bytes]) -> str:
    digest = hashlib.sha256(data[: line.start()])
    digest.update(data[line.end() :])
    return digest.hexdigest()


@cache
def _decoder[D: Document](of: type[D]) -> msgspec.json.Decoder[D]:
    return msgspec.json.Decoder(of)


def write_document(path: AnyFile, tmp_dir: Path, document: Document) -> None:
    """Publish a document."""
    with atomic_write(path, tmp_dir) as temporary:
        temporary.write_bytes(encode(document))


def change_document[D: Document](
    path: StorePath, tmp_dir: Path, of: type[D], change: Callable[[D | None], D | None], before: Before[D] | None = None
) -> None:
    """Read a document, change it, and publish it over what was read; ``change`` gives None where nothing is to be written.

    It is called again where another writer was faster, so that no change is lost. Raises DocumentDamaged.
    """

    def once() -> None:
        held = path.found()
        new = change(read_document(path, of, before))
        if new is not None:
            with writing(path), temporary_file(path.name, tmp_dir) as temporary:
                temporary.write_bytes(encode(new))
                path.publish_over(temporary, held)

    retried(once)


def read_document[D: Document](path: AnyFile, of: type[D], before: Before[D] | None = None) -> D | None:
    """A document of our own, or None where there is none. Raises DocumentDamaged."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise disk_fault(error, path) from error
    return decode(data, of, path, before)


def write_json(final: AnyFile, tmp_dir: Path, value: object) -> None:
    """Publish JSON with sorted keys: the same value gives the same bytes."""
    with atomic_write(final, tmp_dir) as temporary:
        temporary.write_text(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


@contextmanager
def reading(path: AnyFile, kind: str, remedy: str) -> Iterator[None]:
    """Whatever a reader of other people's making says of a file of ours in the block becomes one error that names it."""
    try:
        yield
    except HedgegridError:
        raise
    except FileNotFoundError as error:
        raise disk_fault(error, path) from error
    except PermissionError as error:
        raise disk_fault(error, path) from error
    except BaseException as error:  # a damaged file can make a decoder raise anything
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise DocumentDamaged(path, kind, " ".join(str(error).split())[:200] or type(error).__name__, remedy) from error
