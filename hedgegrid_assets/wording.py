"""How things are said."""


def counted(number: int, what: str, many: str | None = None) -> str:
    """``1 day``, ``2,000 days``; ``many``: the plural, if it is not ``what`` with an s."""
    return f"{number:,} {what if number == 1 else many or f'{what}s'}"
