"""What an engine refuses of a job, whatever its version: what it cannot make, unknown fees, money that is not there."""

import traceback
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from hedgegrid_assets.backtest.job import Contract, Fees, Job, Refusal
from hedgegrid_assets.store import sha256_of

_SPEAKS_FOR_ITSELF: Final = (ModuleNotFoundError, AttributeError, TypeError, ValueError)
"""Errors whose text alone says what is wrong; msgspec's are ValueErrors."""


class NotUsable(Exception):
    """A configuration that Nautilus refuses, or that it would take without doing what it says."""

    def __init__(self, message: str, hint: str = "", *, of_strategy: bool = False) -> None:
        super().__init__(message)
        self.refusal = Refusal(message, hint, of_strategy=of_strategy)


def with_reason[T](what: str, make: Callable[[], T]) -> T:
    """What ``make`` gives. Raises NotUsable with Nautilus' own reason."""
    try:
        return make()
    except NotUsable:
        raise
    except Exception as error:
        reason = str(error).strip() or type(error).__name__
        if isinstance(error, _SPEAKS_FOR_ITSELF):
            raise NotUsable(f"{what}: {reason}") from error
        raise NotUsable(f"{what}: {type(error).__name__}: {reason}") from error


def fees_of(job: Job, instrument_id: str, held: Fees | None) -> Fees:
    """What is charged: what the job says, else the definition's (None: nobody knows them). Raises NotUsable."""
    said = job.instruments[instrument_id]
    if said is None and held is None and job.needs_fees:
        raise NotUsable(
            f"nobody says the fees of {instrument_id}, and without fees a grid earns money that nobody pays: expected "
            "hedgegrid: fees: {maker_bps: .., taker_bps: ..}, found none",
            hint="write the fees of your account there; to run without any on purpose: fees: none",
        )
    fees = said or held or Fees(Decimal(0), Decimal(0))
    return Fees(fees.maker * job.fee_factor, fees.taker * job.fee_factor)


def check_money(job: Job, contracts: Sequence[Contract]) -> None:
    """Nautilus would open a balance below zero for a currency that an account does not have. Raises NotUsable."""
    venues: Mapping[str, Mapping[str, Any]] = {venue["name"]: venue for venue in job.venues}
    for contract in contracts:
        venue = venues[venue_of(contract.instrument_id)]
        held = [balance.rpartition(" ")[2] for balance in venue["starting_balances"]]
        base = venue.get("base_currency")
        if contract.currency not in held:
            raise NotUsable(
                f"{contract.instrument_id} is settled in {contract.currency}: expected a starting balance of it at the venue "
                f"{venue['name']}, found {', '.join(held)}",
                hint=f"add one under venues: starting_balances:, such as '10 {contract.currency}'",
            )
        if base not in (None, contract.currency):
            raise NotUsable(
                f"{contract.instrument_id} is settled in {contract.currency}: expected no base_currency or the same at the venue "
                f"{venue['name']}, found {base}"
            )


def source_of(path: str, module: object) -> dict[str, str]:
    """A strategy's file and its digest, by its import path."""
    file = getattr(module, "__file__", None)
    return {path: sha256_of(Path(file))} if file else {}


def venue_of(instrument_id: str) -> str:
    """The venue of an instrument id."""
    return instrument_id.rpartition(".")[2]


def traceback_of(error: BaseException) -> str:
    """From the strategy's own lines on: how the engine came there tells nothing."""
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))
