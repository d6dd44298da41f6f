"""How each status of an instrument-day is told everywhere: word, letter, pattern, colours, and what it means."""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct


class Look(Struct, frozen=True):
    """One status.

    Attributes:
        letter: Stands for it where there is no room; unique.
        terminal: Style of rich.
        light: Fill on a light page, six hex digits; black and white text are told apart by ``text``.
        dark: Fill on a dark page.
        pattern: Name of the pattern that tells it apart without colour; empty: plain.
        meaning: In plain words.
    """

    letter: str
    terminal: str
    light: str
    dark: str
    pattern: str
    meaning: str


LOOKS: Final[Mapping[str, Look]] = {
    "complete": Look("C", "green", "#8fd19e", "#2f7d46", "", "the whole day, nothing missing"),
    "empty": Look("E", "cyan", "#a5e4ee", "#1d6f80", "dots", "the source proves that there was nothing"),
    "degraded": Look("D", "yellow", "#ffc24d", "#a86a00", "rising", "ids or times are missing inside the day"),
    "partial": Look("P", "blue", "#86b6f7", "#2f62b5", "half", "the data do not reach from midnight to midnight"),
    "missing": Look("M", "dim", "#d5d8dc", "#454b54", "cross", "no raw data, or not made yet"),
    "blocked": Look("B", "bold red", "#d7263d", "#e0495b", "solid", "an ERROR rule failed: kept out of the catalog"),
    "refused": Look(
        "R",
        "bold magenta",
        "#c9a0f5",
        "#7d4cc2",
        "falling",
        "the catalog forbids the write: another series, file or origin",
    ),
}
"""From best to worst, as ``model.Status``."""
