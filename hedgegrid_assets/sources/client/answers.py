"""What a server may answer but what was asked for: broken transfers, refusals, and their texts for people."""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, Never, override

from hedgegrid_assets.errors import RemoteFault

_SHOWN: Final = 300
_PAGE: Final = re.compile(rb"(\xef\xbb\xbf)?\s*(<!--.*?-->\s*)*<(!doctype\s+html|html)\b", re.IGNORECASE | re.DOTALL)
_GLANCE: Final = 1 << 12
_TEXT_OF_PAGE: Final = 100


class Broken(Exception):
    """A transfer that may work when it is tried again.

    Attributes:
        more: How often it is tried again, soon; None: as the limits say, later and later.
        fault: What it is told as when it never works; None: as a fault of the network.
    """

    def __init__(self, text: str, *, fault: RemoteFault | None = None, more: int | None = None) -> None:
        super().__init__(text)
        self.fault, self.more = fault, more


class Unreachable(Broken):
    """Nobody answers at an address."""


class Damaged(Broken):
    """A transfer that ended, and gave something else than was asked for: it will often do so again."""

    def __init__(self, text: str, *, fault: RemoteFault | None = None, more: int = 2) -> None:
        super().__init__(text, fault=fault, more=more)


class WebPage(Damaged):
    """A page for people came in the place of what is at ``url``; ``words``: what it says."""

    def __init__(self, url: str, words: str) -> None:
        super().__init__(f"a web page came in its place: {words or 'an empty one'}")
        self.url, self.words = url, words


class CutOff(Broken):
    """A body that is shorter than was announced; ``is_nearer``: the next transfer goes on where this one has ended."""

    def __init__(self, received: int, length: int | None, *, is_nearer: bool) -> None:
        of = f" of {length:,}" if length is not None else ""
        super().__init__(f"the transfer was cut off after {received:,}{of} bytes", more=None if is_nearer else 2)


@dataclass
class Answered(Exception):
    """An answer that is none of those expected; ``retry_after`` in seconds, where the server names a time."""

    status: int
    text: str
    retry_after: float | None

    @override
    def __str__(self) -> str:
        return f"{self.status}: {self.text}" if self.text else str(self.status)

    @property
    def is_transient(self) -> bool:
        """It may be another one, later."""
        return self.status in {408, 429} or self.status >= 500


def retry_after(text: str | None) -> float | None:
    """Seconds, from seconds or a date."""
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def in_words(body: str) -> str:
    """What an error's body says, in one line: the message of JSON, the text of HTML or XML."""
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    if isinstance(value, dict) and "message" in value:
        return str(value["message"])[:_SHOWN]
    return " ".join(re.sub(r"<[^>]*>", " ", body).split())[:_SHOWN]


def refuse_web_page(body: bytes, url: str) -> None:
    """Raises WebPage for a body, or its beginning, that is a page for people."""
    if _PAGE.match(body[:_GLANCE]):
        raise WebPage(url, in_words(body[:_GLANCE].decode(errors="replace"))[:_TEXT_OF_PAGE])


def refuse_foreign_json(error: ValueError, body: bytes, url: str) -> Never:
    """Raises Damaged for a body that is no JSON."""
    refuse_web_page(body, url)
    raise Damaged(f"the answer is no JSON: {error}") from None
