"""How things are said, and which name was probably meant."""

from collections import Counter
from collections.abc import Iterable, Mapping


def counted(number: int, what: str, many: str | None = None) -> str:
    """``1 day``, ``2,000 days``; ``many``: the plural, if it is not ``what`` with an s."""
    return f"{number:,} {what if number == 1 else many or f'{what}s'}"


def each_counted(counts: Mapping[str, int], most: int | None = None) -> str:
    """``zero_price 1,203, bad_decimal 1``: the most frequent first; ``most``: so many at most."""
    return ", ".join(f"{name} {count:,}" for name, count in Counter(counts).most_common(most))


def megabytes(size: int) -> str:
    """Bytes for people."""
    return f"{size / 1e6:,.1f} MB" if size >= 100_000 else f"{size / 1e3:,.1f} kB"


def nearest(found: str, known: Iterable[str], most: int = 1) -> list[str]:
    """The names that look most like one that is none of them, whatever its case; empty if none does."""
    from difflib import get_close_matches

    names = {name.casefold(): name for name in known}
    wanted = found.casefold()
    near = get_close_matches(wanted, names, most) or [name for name in names if name and wanted.startswith(name)]
    return [names[name] for name in near[:most]]
