"""The same run under less kind assumptions: touch fills, a place in the queue, doubled fees, later data and orders."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from hedgegrid_assets.backtest.config import LATENCY_CONFIG, LATENCY_MODEL, FeeShares, LatencyModel, Setup, Venue
from hedgegrid_assets.backtest.job import Fees

LATER_MS: Final = 250
_LATENCIES: Final = ("insert_latency_nanos", "update_latency_nanos", "cancel_latency_nanos")
_BASE: Final = "base_latency_nanos"
_NAUTILUS_BASE: Final = 1_000_000_000
"""Of ``LatencyModelConfig`` where a file does not say it."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One set of assumptions. ``not_run`` says why a run cannot have it."""

    name: str
    what: str
    venues: Sequence[Venue]
    fees: Fees | None
    needs_fees: bool
    fee_factor: int = 1
    data_latency_ms: int = 0
    delays_all: bool = False
    not_run: str = ""

    @property
    def slug(self) -> str:
        """For a folder's name."""
        return self.name.replace(" ", "-")

    def same_as(self, other: "Variant") -> bool:
        """It changes nothing."""
        return replace(self, name="", what="") == replace(other, name="", what="")


def as_configured(setup: Setup) -> Variant:
    """The run as its files say it; what delays data delays the orders that answer them."""
    ours = setup.run.hedgegrid
    fees = ours.fees.shares if isinstance(ours.fees, FeeShares) else None
    free = ours.fees == "none" or all(venue.fee_model is not None for venue in setup.run.venues)
    venues = _slowed(setup.run.venues, ours.data_latency_ms) if ours.data_latency_ms else tuple(setup.run.venues)
    return Variant(
        "as configured",
        "the run itself",
        venues,
        Fees(Decimal(0), Decimal(0)) if ours.fees == "none" else fees,
        needs_fees=fees is None and not free,
        data_latency_ms=ours.data_latency_ms,
    )


def _touch(_setup: Setup, base: Variant) -> Variant:
    venues = _with(base.venues, queue_position=False, liquidity_consumption=False, fill_model=None)
    what = "a resting order is filled as soon as a trade touches its price"
    return replace(base, name="touch fills", what=what, venues=venues)


def _queue(_setup: Setup, base: Variant) -> Variant:
    venues = _with(base.venues, queue_position=True, liquidity_consumption=True)
    what = "a resting order waits for what was traded at its price before it, and no trade fills twice"
    return replace(base, name="queue position", what=what, venues=venues)


def _fees(_setup: Setup, base: Variant) -> Variant:
    variant = replace(base, name="doubled fees", what="maker and taker fees twice as high", fee_factor=2)
    if any(venue.fee_model is not None for venue in base.venues):
        return replace(variant, not_run="the venue has a fee model of its own")
    return variant


def _later(_setup: Setup, base: Variant) -> Variant:
    what = f"data and orders {LATER_MS} ms later"
    variant = replace(
        base,
        name="later",
        what=what,
        data_latency_ms=base.data_latency_ms + LATER_MS,
        delays_all=True,
    )
    if any(not _is_nautilus(venue.latency_model) for venue in base.venues):
        return replace(variant, not_run="the venue has a latency model of its own")
    return replace(variant, venues=_slowed(base.venues, 2 * LATER_MS))


VARIANTS: Final[tuple[Callable[[Setup, Variant], Variant], ...]] = (_touch, _queue, _fees, _later)


def _with(venues: Sequence[Venue], **changed: Any) -> tuple[Venue, ...]:
    return tuple(_changed(venue, changed) for venue in venues)


def _changed(venue: Venue, changed: Mapping[str, Any]) -> Venue:
    """Only what differs is said, so that a variant that changes nothing is told to be the run itself."""
    differing = {name: value for name, value in changed.items() if getattr(venue, name) != value}
    return venue.model_copy(update=differing) if differing else venue


def _is_nautilus(model: LatencyModel | None) -> bool:
    return model is None or model.latency_model_path == LATENCY_MODEL


def _slowed(venues: Sequence[Venue], milliseconds: int) -> tuple[Venue, ...]:
    """The engine shows market and strategy the same moment, so that late data are orders that come later still."""
    return tuple(venue.model_copy(update={"latency_model": _later_model(venue, milliseconds)}) for venue in venues)


def _later_model(venue: Venue, milliseconds: int) -> LatencyModel:
    model = venue.latency_model
    config: dict[str, Any] = dict(model.config) if model else {_BASE: 0}
    config[_BASE] = int(config.get(_BASE, _NAUTILUS_BASE)) + milliseconds * 1_000_000
    return LatencyModel(latency_model_path=LATENCY_MODEL, config_path=LATENCY_CONFIG, config=config)
