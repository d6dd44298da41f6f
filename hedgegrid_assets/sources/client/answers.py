"""What a server may answer but what was asked for: broken transfers, refusals, and their texts for people."""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, override

_SHOWN: Final = 300


class Broken(Exception):
    """A transfer that may work when it is tried again."""


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
