"""Whom we ask."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Provider:
    """Whom we ask, and as whom.

    Attributes:
        name: For people.
        key: Secret; it is never shown. Empty: none.
        key_variable: Environment variable of the key; empty: no key is ever needed.
        encoding: What bodies may be compressed with; they are kept as they come.
        hints: Status -> what a person can do about it.
        passing: Status -> a text in an answer that is not final, though its status says so.
        slots: Folder that all who share a cache have in common: what the server asks of one holds for all of them.
    """

    name: str
    key: str = field(default="", repr=False)
    key_variable: str = ""
    encoding: str = "identity"
    hints: Mapping[int, str] = field(default_factory=dict)
    passing: Mapping[int, str] = field(default_factory=dict)
    slots: Path | None = None

    def without_key(self, text: str) -> str:
        """Text that a server sent, should it repeat the key."""
        return text.replace(self.key, "***") if self.key else text
