"""Files of which no line can be taken, told by what they begin with: other formats, and what is left of a cut one."""

from pathlib import Path
from typing import Final

from hedgegrid_assets.errors import OtherFormat, RawDamaged
from hedgegrid_assets.store import PACKERS, BlockReader

_OTHER_FORMATS: Final = (
    (257, b"ustar", "a tar archive"),
    (0, b"\xfd7zXZ\0", "packed with xz"),
    (0, b"7z\xbc\xaf\x27\x1c", "packed with 7z"),
    (0, b"Rar!\x1a\x07", "packed with rar"),
    (0, b"PK\x03\x04", "a zip archive, packed once more"),
    (0, b"\x1f\x8b", "packed with gzip, once more"),
    (0, b"PAR1", "a Parquet file"),
    (0, b"ARROW1", "an Arrow file"),
    (0, b"\x89HDF\r\n", "an HDF5 file"),
    (0, b"%PDF-", "a PDF"),
)
"""Offset and first bytes of what is often taken for a file of lines."""
_LOOKED_AT: Final = 4_096
_CONTROL: Final = bytes({*range(9), *range(14, 32)})
"""Bytes that no text has, in whatever encoding of the venues: a tab, line ends and the like are none of them."""


def refuse_other_formats(path: Path, reader: BlockReader, start: bytes) -> None:
    """Also of what was packed: lines of a tar archive look right but for those beside the names of its members."""
    for offset, magic, kind in _OTHER_FORMATS:
        if start[offset : offset + len(magic)] == magic:
            raise OtherFormat(path, kind)
    packer = _claimed_packer(path, reader)
    if packer is not None and _is_binary(start):
        raise OtherFormat(path, f"no {packer}, though its name says so", "download or pack it again")


def refuse_remains(path: Path, reader: BlockReader) -> None:
    """Why a file has no columns that are known, where it is not the one that its name says, or is cut."""
    packer = _claimed_packer(path, reader)
    if packer is not None:
        way_out = "give it a name that fits if it is meant, or download or pack it again"
        raise OtherFormat(path, f"no {packer}, though its name says so", way_out)
    if reader.truncated:
        raise RawDamaged(path, "the compressed stream ends before there is a whole row in it")


def packed_otherwise(path: Path, reader: BlockReader) -> str:
    """That a file which was read is not packed as its name says; empty: it is, or its name says nothing."""
    says, found = PACKERS.get(path.suffix.lower()), reader.packed
    if says in {None, found} or not reader.bytes:
        return ""
    return (
        f"no {says}, though its name says so: it is read as {f'the {found}' if found else 'the plain text'} that it is"
    )


def _claimed_packer(path: Path, reader: BlockReader) -> str | None:
    """What its name says that a plain file is packed with."""
    return PACKERS.get(path.suffix.lower()) if reader.packed is None else None


def _is_binary(start: bytes) -> bool:
    """No text: more than one byte in a hundred is a control character."""
    looked = start[:_LOOKED_AT]
    return len(looked) - len(looked.translate(None, _CONTROL)) > len(looked) // 100
