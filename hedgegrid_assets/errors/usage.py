"""What a user has said that cannot be: names that are unknown, and several mistakes at once."""

from collections.abc import Callable, Collection, Mapping, Sequence

from hedgegrid_assets.errors.base import UsageError, listed
from hedgegrid_assets.wording import nearest


class UnknownName(UsageError):
    """A name that is none of those there are, or some of several: what there is, and what was probably meant.

    Args:
        what: What it names, as ``table``.
        where: The flag or file that says it.
        found: The name; a list: the unknown ones of several.
        known: Those that there are.
        other: Names that are not taken here -> the one that stands for them.
        hint: The way out where none of the names is near.
    """

    code = "unknown"

    def __init__(
        self,
        what: str,
        where: str,
        found: str | Sequence[str],
        known: Collection[str],
        *,
        other: Mapping[str, str] | None = None,
        hint: str = "",
    ) -> None:
        one = isinstance(found, str)
        near = [guess for each in ((found,) if one else found) for guess in nearest(each, (*known, *(other or ())))]
        meant = list(dict.fromkeys((other or {}).get(guess, guess) for guess in near))
        super().__init__(
            f"unknown {what}{f' ({where})' if where else ''}: expected {'one' if one else 'some'} of "
            f"{listed(list(known)) or 'none'}, found {repr(found) if one else ', '.join(found) or 'none'}",
            hint=f"did you mean {', '.join(meant)}?" if meant else hint,
        )


class Mistakes(UsageError):
    """Several mistakes of one call, each with its own way out."""

    def __init__(self, errors: Sequence[UsageError]) -> None:
        super().__init__(
            "; ".join(each.message for each in errors),
            hint="; ".join(dict.fromkeys(each.hint for each in errors if each.hint)),
            details={"problems": [each.message for each in errors]},
        )
        self.errors = tuple(errors)


def refuse_mistakes(*checks: Callable[[], object]) -> None:
    """Make all checks, and raise what they find: one error as it is, several as ``Mistakes``."""
    found: dict[str, UsageError] = {}
    for check in checks:
        try:
            check()
        except Mistakes as several:
            found |= {error.message: error for error in several.errors}
        except UsageError as error:
            found.setdefault(error.message, error)
    if len(found) > 1:
        raise Mistakes(list(found.values()))
    for error in found.values():
        raise error
