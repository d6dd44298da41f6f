"""Which source reads a file, told by its first line: for hints where another one was asked for."""

import json
import re
from typing import Final

_MESSAGES: Final = (
    ("bybit-websocket", frozenset({"topic", "data"})),
    ("okx-websocket", frozenset({"arg", "data"})),
    ("websocket", frozenset({"stream", "data"})),
    ("websocket", frozenset({"e", "s"})),
)
"""Source -> the keys of its messages."""
_CELLS: Final = re.compile(r"[,;\"']")
"""What stands before the first brace of no message: a recorder's time does not have it."""


def source_of(data: bytes) -> str:
    """The source that reads lines such as the first one, which is whole; empty: nobody can say."""
    first = data.lstrip(b"\xef\xbb\xbf\r\n\t ").partition(b"\n")[0]
    try:
        text = first.decode()
    except UnicodeDecodeError:
        return ""
    before, brace, _ = text.partition("{")
    if not brace or _CELLS.search(before):
        return "csv" if text.isprintable() and any(mark in text for mark in ",;") else ""
    try:
        message = json.loads(text[len(before) :])
    except ValueError:
        return ""
    keys = message.keys() if isinstance(message, dict) else frozenset()
    return next((source for source, needed in _MESSAGES if needed <= keys), "")
