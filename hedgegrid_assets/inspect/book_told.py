"""What is told of good books as well: how many messages they are made of, and that they never contradicted themselves."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Self

from msgspec import Struct

from hedgegrid_assets.model import RuleResult
from hedgegrid_assets.stages.verdict import RuleAnswer
from hedgegrid_assets.tables.order_book_deltas import TOLD
from hedgegrid_assets.tables.rules.book import BookFound
from hedgegrid_assets.wording import counted


class BookTold(Struct, frozen=True):
    """Of the book of a day, or of those of several.

    Attributes:
        messages: That it is made of; the book that is carried over midnight is none.
        breaks: Of the numbers of these; None: they have none.
        crossed: Messages behind which the best bid was above the best ask; ``locked``: equal to it.
        snapshots: Of those that the book was cleared for, how many came behind another one.
        drift: The largest share of the best levels of such a snapshot that the book before it lacked; None: there is none.
        narrowest: Smallest spread, in quote units; ``widest`` the largest; None: not known, or never both sides.
    """

    messages: int
    breaks: int | None
    crossed: int
    locked: int
    snapshots: int
    drift: float | None
    narrowest: Decimal | None = None
    widest: Decimal | None = None

    @classmethod
    def of(cls, rules: Sequence[RuleResult] | Sequence[RuleAnswer], found: BookFound | None = None) -> Self | None:
        """As the answers of a day's rules say it; ``found``: by the rows themselves. None where they do not."""
        numbers: dict[str, Mapping[str, Any]] = {rule.name: rule.numbers for rule in rules}
        told: dict[str, Any] = {what: numbers.get(rule, {}).get(name) for what, (rule, name) in TOLD.items()}
        if told["messages"] is None or told["crossed"] is None:
            return None
        agreeing, carried = told.pop("agreeing"), told.pop("carried")
        told |= {what: told[what] or 0 for what in ("locked", "snapshots")}
        if carried:  # the picture of the book of the day before is no message, nor a snapshot of the venue
            told["messages"] -= 1
            told["snapshots"] -= min(told["snapshots"], found is None or found.carried is not None)
        told["drift"] = round(1 - agreeing, 4) if agreeing is not None and told["snapshots"] else None
        if found is not None:
            told |= found.spread
        return cls(**told)

    def with_more(self, more: "BookTold") -> "BookTold":
        """Of both together."""
        return BookTold(
            self.messages + more.messages,
            sum(breaks) if (breaks := _known(self.breaks, more.breaks)) else None,
            self.crossed + more.crossed,
            self.locked + more.locked,
            self.snapshots + more.snapshots,
            max(_known(self.drift, more.drift), default=None),
            min(_known(self.narrowest, more.narrowest), default=None),
            max(_known(self.widest, more.widest), default=None),
        )

    @property
    def words(self) -> str:
        """For people."""
        breaks = "without numbers" if self.breaks is None else f"{counted(self.breaks, 'break')} in their numbers"
        parts = [f"{counted(self.messages, 'message')}, {breaks}"]
        parts.append(f"{self.crossed:,} times crossed, {self.locked:,} times locked")
        if self.drift is not None:
            parts.append(f"largest drift {self.drift:.1%} at {counted(self.snapshots, 'further snapshot')}")
        if self.narrowest is not None:
            parts.append(f"spread {self.narrowest} to {self.widest}")
        return ", ".join(parts)


def _known[N](*numbers: N | None) -> list[N]:
    return [number for number in numbers if number is not None]
