"""What the name of a file in the landing zone says: data, a document that happens to lie there, or a checksum."""

import re
from pathlib import PurePath
from typing import Final

_PACKED: Final = frozenset({".gz", ".zst", ".zstd", ".bz2", ".zip", ".xz", ".7z", ".rar", ".tar", ".tgz"})
_DATA: Final = {
    "csv": frozenset({".csv", ".tsv", ".psv", ".txt", ".dat"}),
    "jsonl": frozenset({".jsonl", ".ndjson", ".json", ".txt", ".log", ".dat"}),
}
"""Extension of a source's raw files -> endings of the files that it reads."""
_DATA_OF_OTHERS: Final = frozenset({".parquet", ".feather", ".arrow", ".h5", ".hdf5", ".xlsx", ".xls", ".npz", ".pkl"})
CHECKSUMS: Final = (".checksum", ".sha256", ".sha256sum")
_DOCUMENTS: Final = frozenset(
    {
        *CHECKSUMS, ".md5", ".sha1", ".sig", ".asc",
        ".md", ".rst", ".pdf", ".html", ".htm", ".doc", ".docx", ".xml", ".url", ".lnk", ".torrent",
        ".png", ".jpg", ".jpeg", ".gif", ".svg",
        ".py", ".ipynb", ".sh", ".bat", ".ps1", ".sql", ".r",
        ".yaml", ".yml", ".toml", ".ini", ".cfg", ".conf",
    }
)  # fmt: skip
_DOCUMENT_NAME: Final = re.compile(
    r"(?:readme|licen[cs]e|notice|copying|changelog|changes|thumbs\.db|desktop\.ini)(?:[._ -].*)?", re.IGNORECASE
)
_UNFINISHED: Final = (".tmp", ".part", ".partial", ".crdownload", ".download", ".aria2", ".filepart")


def is_unfinished(name: str) -> bool:
    """A program is still writing it."""
    return name.lower().endswith(_UNFINISHED)


def is_document(name: str) -> bool:
    """Nobody expects market data in it; packed or not, a README is a README."""
    plain = name.rpartition("/")[2]  # no path is made of it, as each file of a landing zone is asked about
    stem, _, ending = plain.rpartition(".")
    return (bool(stem) and f".{ending.lower()}" in _DOCUMENTS) or _DOCUMENT_NAME.fullmatch(plain) is not None


def claims_data(name: str, extension: str) -> bool:
    """Whoever put it there expects it to be read by a source with raw files of this extension."""
    endings = [ending.lower() for ending in PurePath(name).suffixes[-2:]]
    packed = bool(endings) and endings[-1] in _PACKED
    inner = (endings[-2] if len(endings) > 1 else "") if packed else (endings[-1] if endings else "")
    known = _DATA.get(extension, frozenset[str]())
    if inner in known or inner in _DATA_OF_OTHERS:
        return True
    of_another_source = any(inner in others for others in _DATA.values())
    return packed and not of_another_source
