"""Expected errors as Dagster shows them: what, where, and the way out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import dagster as dg

from hedgegrid_assets.defs.partitions import key_of
from hedgegrid_assets.errors import HedgegridError, Refused
from hedgegrid_assets.model import InstrumentDay, Status

_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Fault:
    """What kept one asset of an instrument-day from being made. ``look``: the places and commands to look further, Markdown."""

    day: InstrumentDay
    asset: str
    error: HedgegridError
    look: str = ""

    def to_dict(self) -> dict[str, Any]:
        """For metadata."""
        return {
            "partition": str(key_of(self.day)),
            "asset": self.asset,
            "code": self.error.code,
            "status": str(Status.REFUSED if isinstance(self.error, Refused) else Status.BLOCKED),
            "said": str(self.error),
        }


def failure(error: HedgegridError) -> dg.Failure:
    """One error. Running again would not help."""
    found: dict[str, Any] = {"code": error.code}
    if isinstance(error, Refused):
        found["status"] = str(Status.REFUSED)
    if error.hint:
        found["hint"] = error.hint
    if error.details:
        found["details"] = dg.MetadataValue.json({name: _plain(value) for name, value in error.details.items()})
    return dg.Failure(description=str(error), metadata=found, allow_retries=False)


def failure_of(faults: Sequence[Fault], days: int) -> dg.Failure:
    """All faults of a run over so many days; each is in ``faults`` of its metadata."""
    told: dict[str, dg.MetadataValue[Any]] = {"faults": dg.MetadataValue.json([fault.to_dict() for fault in faults])}
    looks = [fault.look for fault in faults[:_SHOWN] if fault.look]
    told |= {"look": dg.MetadataValue.md("\n".join(looks))} if looks else {}
    if len(faults) == 1:
        only = failure(faults[0].error)
        return dg.Failure("\n".join([str(only.description), *looks]), {**only.metadata, **told}, allow_retries=False)
    bad = sorted({str(fault.day) for fault in faults})
    which = f"{len(bad)} of {days} days failed ({', '.join(bad[:_SHOWN])})" if days > 1 else f"{bad[0]} failed"
    lines = [f"{which}:", *(f"{fault.asset}: {fault.error}" for fault in faults[:_SHOWN])]
    lines += looks
    lines += [f"and {len(faults) - _SHOWN} more"] if len(faults) > _SHOWN else []
    return dg.Failure("\n".join(lines), told, allow_retries=False)


def faults_in(metadata: Mapping[str, dg.MetadataValue]) -> list[dict[str, Any]]:
    """The inverse of what ``failure_of`` says of its faults."""
    found = metadata.get("faults")
    return list(found.value) if isinstance(found, dg.JsonMetadataValue) and isinstance(found.value, list) else []


def _plain(value: object) -> object:
    if isinstance(value, (list, tuple, set)):
        return list(value)
    return value if isinstance(value, (int, float, dict)) else str(value)
