"""The encoding of a file that is no UTF-8: what its bytes can be, for a hint."""

import re
from typing import Final

_MARKS: Final = (
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_ZEROS: Final = 0.3
"""Share of the bytes that are zero in UTF-16, where most letters are ASCII."""
_LOOKED_AT: Final = 64 << 10
_HAN: Final = re.compile("[\u4e00-\u9fff]")
_CONTROL: Final = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
HEADER_CODEC: Final = "gbk"
"""OKX writes the names of its columns in English and Chinese."""


def guess(data: bytes) -> str | None:
    """The Python codec that reads the beginning of a file; None: it is no text."""
    data = data[:_LOOKED_AT]
    for mark, name in _MARKS:
        if data.startswith(mark):
            return name
    if b"\0" in data:
        even, odd = data[::2].count(0), data[1::2].count(0)
        if even + odd < _ZEROS * len(data) or min(even, odd) * 10 > max(even, odd):
            return None
        return "utf-16-le" if odd > even else "utf-16-be"
    whole = data[: data.rfind(b"\n") + 1] or data
    han = header_text(whole)
    if han is not None:
        return HEADER_CODEC
    for name in ("cp1252", "latin-1"):
        text = _decoded(whole, name)
        if text is not None and not _CONTROL.search(text):
            return name
    return None


def header_text(line: bytes) -> str | None:
    """A line as GBK, if there is Chinese in it: with the usual letters alone, as any bytes may look like the others."""
    text = _decoded(line, "gb2312")
    return text if text is not None and _HAN.search(text) else None


def _decoded(data: bytes, codec: str) -> str | None:
    try:
        return data.decode(codec)
    except UnicodeDecodeError:
        return None
